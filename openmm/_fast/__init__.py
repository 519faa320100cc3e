"""Compiled kernels; they know no venue, and only `feed` sees a socket or a clock."""
