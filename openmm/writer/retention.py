"""Old journals give way: by number of sessions, by age, by their size together.

Only a session that has ended, that no writer holds and that the store has booked to its end is
removed, the oldest first; the newest of those stays in any case. Client ids are told apart by it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from openmm.journal import segment_paths
from openmm.writer.drain import LOCK

DAY_S: Final = 86_400
REMOVED: Final = ".removed-"


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept; None: no such limit."""

    bytes_max: int | None = None  # of all journals of a bot, the running session's too
    days: int | None = None  # since a session ended
    sessions: int | None = None  # that have ended


@dataclass(frozen=True, slots=True)
class _Kept:
    folder: Path
    ended_s: float
    size_bytes: int


def sweep(
    journal_dir: Path, rules: Retention, now_s: float, is_booked: Callable[[str], bool]
) -> list[str]:
    """Remove what the rules let go; returns the sessions' ids, oldest first.

    Args:
        is_booked: whether the store holds a session to its end.
    """
    for left in journal_dir.glob(f"{REMOVED}*"):
        shutil.rmtree(left)
    found = [_look(one) for one in journal_dir.iterdir() if one.is_dir()]
    total_bytes = sum(one.size_bytes for one in found)
    ended = sorted(
        (one for one in found if not _is_held(one.folder)),
        key=lambda one: (one.ended_s, one.folder.name),
    )
    gone: list[str] = []
    for place, one in enumerate(ended[:-1]):
        over = (
            (rules.sessions is not None and len(ended) - place > max(1, rules.sessions))
            or (rules.days is not None and now_s - one.ended_s > rules.days * DAY_S)
            or (rules.bytes_max is not None and total_bytes > rules.bytes_max)
        )
        if not over:
            break
        if not is_booked(one.folder.name):
            continue
        # Out of sight at once: a kill leaves no half of a journal under its name.
        away = one.folder.with_name(REMOVED + one.folder.name)
        one.folder.rename(away)
        shutil.rmtree(away)
        total_bytes -= one.size_bytes
        gone.append(one.folder.name)
    return gone


def _look(folder: Path) -> _Kept:
    stats = []
    for path in segment_paths(folder):
        try:
            stats.append(path.stat())
        except FileNotFoundError:
            # Compressed, or gone as a whole, since it was listed.
            continue
    return _Kept(
        folder,
        max((one.st_mtime for one in stats), default=folder.stat().st_mtime),
        sum(min(one.st_size, one.st_blocks * 512) for one in stats),
    )


def _is_held(folder: Path) -> bool:
    """Whether a writer is at a session: it holds the lock."""
    try:
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
