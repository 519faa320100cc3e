"""Publish a book as Kraken does: the top N by differences, with a checksum on every message.

A level is sent only when it changed. One that falls out of the top N is not deleted; one that
enters from below is sent as a normal level. Source: Kraken, Book (websocket-v2) and Book checksum.
"""

from __future__ import annotations

from zlib import crc32

from openmm.instrument import Instrument
from openmm.venues.counterpart import Core
from openmm.venues.kraken.dialect_text import price_text, qty_text, time_text

DEPTHS = (10, 25, 100, 500, 1000)
BID, ASK = 0, 1
Levels = list[tuple[int, int]]


def checksum(pair: Instrument, bids: Levels, asks: Levels) -> int:
    """Return the CRC32 over the best ten asks, then bids: digits of price and quantity."""
    digits = [
        f"{price_ticks * pair.tick_points}{qty_lots * pair.lot_points}"
        for side in (asks, bids)
        for price_ticks, qty_lots in side[:10]
    ]
    return crc32("".join(digits).encode())


class BookPublisher:
    """Keep what readers of one depth hold and say what they must change."""

    def __init__(self, core: Core, pair: Instrument, depth: int) -> None:
        self.core = core
        self.pair = pair
        self.depth = depth
        self.readers = 0
        self.told = False  # False while the book is empty and no snapshot was sent
        self._sides: tuple[Levels, Levels] = ([], [])

    def refresh(self) -> None:
        """Take the book as it is now for what readers hold."""
        self._sides = self._current()
        self.told = any(self._sides)

    def _current(self) -> tuple[Levels, Levels]:
        name = self.pair.name
        return self.core.depth(name, BID, self.depth), self.core.depth(name, ASK, self.depth)

    def _levels(self, levels: Levels) -> str:
        pair = self.pair
        return ",".join(
            f'{{"price":{price_text(pair, price_ticks)},"qty":{qty_text(pair, qty_lots)}}}'
            for price_ticks, qty_lots in levels
        )

    def _message(self, kind: str, bids: Levels, asks: Levels, total: int, ts_ns: int) -> bytes:
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{self.pair.name}",'
            f'"bids":[{self._levels(bids)}],"asks":[{self._levels(asks)}],'
            f'"checksum":{total},"timestamp":"{time_text(ts_ns)}"}}]}}'
        ).encode()

    def snapshot(self, ts_ns: int) -> bytes:
        """Return the whole book; readers must hold what `refresh` or the last update left."""
        bids, asks = self._sides
        return self._message("snapshot", bids, asks, checksum(self.pair, bids, asks), ts_ns)

    def update(self, ts_ns: int) -> bytes | None:
        """Return what changed since the last message, None if nothing did.

        The first message of a book that was empty is its snapshot.
        """
        if not self.told:
            self.refresh()
            return self.snapshot(ts_ns) if self.told else None
        new = self._current()
        changed = [self._changes(side, self._sides[side], new[side]) for side in (BID, ASK)]
        self._sides = new
        if not changed[BID] and not changed[ASK]:
            return None
        total = checksum(self.pair, new[BID], new[ASK])
        return self._message("update", changed[BID], changed[ASK], total, ts_ns)

    def _changes(self, side: int, old: Levels, new: Levels) -> Levels:
        if old == new:
            return []
        held, wanted = dict(old), dict(new)
        changes: Levels = []
        for price_ticks in held:
            # A level that fell out of scope still exists, and the reader cuts it off by itself.
            if price_ticks not in wanted and (
                len(new) < self.depth or self._inside(side, price_ticks, new)
            ):
                changes.append((price_ticks, 0))
        changes += [row for row in new if held.get(row[0]) != row[1]]
        return changes

    @staticmethod
    def _inside(side: int, price_ticks: int, levels: Levels) -> bool:
        worst = levels[-1][0]
        return price_ticks > worst if side == BID else price_ticks < worst
