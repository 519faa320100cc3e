"""Take turns at a file that several processes change."""

from __future__ import annotations

import fcntl
import time
from typing import Final

LOOK_S: Final = 0.001


def take_turn(fd: int, wait_s: float) -> bool:
    """Lock an open file until it is closed; return whether it was free within so long.

    One who stands still with it holds up nobody for longer.
    """
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                return False
            time.sleep(LOOK_S)
        else:
            return True
