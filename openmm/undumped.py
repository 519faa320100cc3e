"""Keep what this process knows to itself: no core dump, no debugger, nothing in the environment of
its children."""

from __future__ import annotations

import ctypes
import os
import re
import resource

PR_GET_DUMPABLE, PR_SET_DUMPABLE = 3, 4
_SECRET_NAME = re.compile(r"OPENMM_\w+_(KEY|SECRET|PASSPHRASE|TOKEN)|OPENMM_VAULT_PASSPHRASE_FD")


def keep_to_itself() -> None:
    """Turn core dumps off, and make the process unreadable to others of the same user.

    Not dumpable, its memory and environment in /proc are root's. A process that it starts begins
    dumpable again, but without core files. Only Linux has the second part.

    Source: prctl(2), PR_SET_DUMPABLE; proc(5), ownership of /proc/pid.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def keeps_to_itself() -> bool:
    """Whether this process leaves no core and cannot be read by others of the same user."""
    libc = ctypes.CDLL(None, use_errno=True)
    dumpable = libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) if hasattr(libc, "prctl") else 0
    return dumpable != 1 and resource.getrlimit(resource.RLIMIT_CORE)[0] == 0


def environment_of_child() -> dict[str, str]:
    """Return the environment for a process that we start: without keys and secrets."""
    return {name: text for name, text in os.environ.items() if not _SECRET_NAME.fullmatch(name)}
