# Nothing for other kernels: what a call costs is asked from Python.
