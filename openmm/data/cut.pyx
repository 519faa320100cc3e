"""Say so when a mapped file is cut short under its reader.

What reads on is ended by the kernel (SIGBUS) without a word; no exception can be made of it, for the
instruction would only fault again.
"""

from libc.signal cimport SIGBUS
from libc.string cimport memcpy
from posix.signal cimport SA_RESETHAND, sigaction, sigaction_t, sigemptyset
from posix.unistd cimport _exit, write

cdef enum:
    LINE_MAX = 1024
    STDERR = 2

cdef char line_said[LINE_MAX]
cdef size_t said_bytes = 0
cdef int exits_with = 1


cdef void said(int number) noexcept nogil:
    # Nothing but what a handler may call.
    write(STDERR, line_said, said_bytes)
    _exit(exits_with)


def say_when_cut(bytes line not None, int exit_code):
    """End this process with a line on the error stream, and a code, where a mapped file was cut.

    For a command's own process: an engine is not to end by this.

    Raises:
        ValueError: the line is empty or longer than 1,024 bytes.
        OSError: the handler cannot be set.
    """
    global said_bytes, exits_with
    cdef sigaction_t action
    if not 0 < len(line) <= LINE_MAX:
        raise ValueError(f"a line of 1 to {<int>LINE_MAX} bytes, not {len(line)}")
    memcpy(line_said, <const char*>line, <size_t>len(line))
    said_bytes = <size_t>len(line)
    exits_with = exit_code
    action.sa_handler = said
    action.sa_flags = SA_RESETHAND
    sigemptyset(&action.sa_mask)
    if sigaction(SIGBUS, &action, NULL) != 0:
        raise OSError("no handler for SIGBUS can be set")
