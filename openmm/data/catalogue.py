"""Folders of `.omd` files: what is there, which files continue each other, and their one order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from openmm.data.events import Events
from openmm.data.store import SUFFIX, Header, Store, read_header
from openmm.errors import DataError

ADJOINING_NS: Final = 60_000_000_000  # files of one market with no more between them are one series
WINDOW_EVENTS: Final = 1 << 20


@final
@dataclass(frozen=True, slots=True)
class Listed:
    """A file of the catalogue."""

    path: Path
    header: Header
    bytes: int

    @property
    def label(self) -> str:
        """Return what is traded where, such as `binance-usdm BTC/USDT`."""
        market = f"-{self.header.market}" if self.header.market else ""
        return f"{self.header.venue}{market} {self.header.pair}"

    @property
    def verdict(self) -> str:
        """Return the integrity report's verdict when it was written, or nothing."""
        return str(self.header.integrity.get("verdict", ""))

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        one = self.header
        return {
            "file": str(self.path), "venue": one.venue, "market": one.market, "pair": one.pair,
            "tick_size": one.tick_size, "lot_size": one.lot_size, "depth": one.depth,
            "first_ns": one.first_ns, "last_ns": one.last_ns, "events": one.events,
            "counts": one.counts, "bytes": self.bytes, "verdict": self.verdict,
        }  # fmt: skip


def catalogue(folder: Path) -> tuple[list[Listed], list[DataError]]:
    """List the files of a folder and those below it, by market, then by time.

    Returns:
        The files, and what is wrong with those that are none and folders that cannot be read.
    """
    found: list[Listed] = []
    refused: list[DataError] = []
    paths: list[Path] = []

    def unread(error: OSError) -> None:
        allowed = "a folder that can be read"
        refused.append(DataError(Path(error.filename), "folder", error.strerror, allowed))

    for place, below, names in os.walk(folder, onerror=unread):
        # What a conversion that was killed left half-done lies in such a one.
        below[:] = sorted(name for name in below if not name.startswith("."))
        paths += [Path(place, name) for name in names if name.endswith(SUFFIX)]
    for path in sorted(paths):
        try:
            found.append(Listed(path, read_header(path), path.stat().st_size))
        except DataError as error:
            refused.append(error)
    found.sort(key=lambda one: (one.label, one.header.first_ns, one.path))
    return found, refused


def series(listed: Sequence[Listed], within_ns: int = ADJOINING_NS) -> list[list[Listed]]:
    """Group files of one market, in the same steps, that continue each other in time.

    A file that begins before the one ahead of it ends is a series of its own.
    """
    found: list[list[Listed]] = []
    for one in sorted(listed, key=lambda one: (one.label, one.header.first_ns, one.path)):
        last = found[-1][-1] if found else None
        steps = (one.header.tick_size, one.header.lot_size)
        if (
            last is not None
            and last.label == one.label
            and (last.header.tick_size, last.header.lot_size) == steps
            and 0 <= one.header.first_ns - last.header.last_ns <= within_ns
        ):
            found[-1].append(one)
        else:
            found.append([one])
    return found


@final
@dataclass(frozen=True, slots=True)
class Run:
    """Events `start` to `stop` of the file at `index`: nothing of another lies between them."""

    index: int
    start: int
    stop: int


def merged(files: Sequence[Store | Events]) -> Iterator[Run]:
    """Yield the order of receipt over several files, as runs of places; whole reads alone.

    Of one moment the files come in the order given. No more than about a million events are
    looked at a time, however long the files are.
    """
    times = [one.recv_ns for one in files]
    at = [0] * len(times)
    while True:
        # A window ends where the first file that would reach beyond it does.
        ends = [
            int(one[min(begin + WINDOW_EVENTS, len(one)) - 1])
            for one, begin in zip(times, at, strict=True)
            if begin < len(one)
        ]
        if not ends:
            return
        until_ns = min(ends)
        stops = [int(np.searchsorted(one, until_ns, side="right")) for one in times]
        counts = [stop - begin for stop, begin in zip(stops, at, strict=True)]
        owners = np.repeat(np.arange(len(times)), counts)
        parts = [one[begin:stop] for one, begin, stop in zip(times, at, stops, strict=True)]
        owners = owners[np.argsort(np.concatenate(parts), kind="stable")]
        edges = np.flatnonzero(np.diff(owners)) + 1
        firsts = np.concatenate([[0], edges])
        sizes = np.diff(np.concatenate([firsts, [len(owners)]]))
        for index, size in zip(owners[firsts].tolist(), sizes.tolist(), strict=True):
            yield Run(index, at[index], at[index] + size)
            at[index] += size
