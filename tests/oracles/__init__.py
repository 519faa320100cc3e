"""The kernels once more in plain Python: the executable specification. Not shipped."""
