# What a command says when a file that it has mapped is cut short.

# The handler: writes the line that was set, and ends the process.
cdef void said(int number) noexcept nogil
