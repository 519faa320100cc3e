"""Publish books as Bitget does: a snapshot, then what changed, each push with its number.

Three generations of the feed: `legacy` (checksum and seq, until May 2026), `2026` (seq alone) and
`2026p` (seq and the seq of the push before).

Source: Bitget API documentation, "Depth Channel" of 2025-12 and 2026; "Order Book Channel" (v3).
"""

from __future__ import annotations

import zlib
from random import Random
from typing import Any, Final

from openmm.instrument import Instrument
from openmm.venues.bitget.dialect_text import MS, dump, price_text, qty_text, symbol_of
from openmm.venues.bitget.spec import CHECKSUM_LEVELS, FULL_DEPTH, Family
from openmm.venues.counterpart import Core

BID, ASK = 0, 1
Levels = dict[int, int]
GENERATIONS: Final = ("legacy", "2026", "2026p")
INTERVALS_NS: Final = {"books": 200 * MS, "books1": 10 * MS}
OTHER_INTERVAL_NS: Final = 200 * MS
FIRST_SEQ: Final = 1_304_314_508_780_744_705


class BookPublisher:
    """One channel of one pair; all its readers are told the same."""

    def __init__(
        self, core: Core, pair: Instrument, channel: str, family: Family, generation: str,
        rng: Random,
    ) -> None:  # fmt: skip
        self.core = core
        self.pair = pair
        self.channel = channel
        self.family = family
        self.generation = generation
        self.readers = 0
        self.due_ns = 0
        self.seq = FIRST_SEQ
        self._rng = rng
        told = channel.removeprefix("books")
        self._depth = int(told) if told else FULL_DEPTH
        self._levels: tuple[Levels, Levels] = ({}, {})
        self._pseq = 0

    def start(self) -> None:
        """Take the book as it is now for what readers hold."""
        self._levels = self._current()

    def _current(self) -> tuple[Levels, Levels]:
        name = self.pair.name
        bids, asks = (dict(self.core.depth(name, side, self._depth)) for side in (BID, ASK))
        return bids, asks

    def snapshot(self, now_ns: int) -> bytes:
        """Write the whole book as the last push left it."""
        bids, asks = self._levels
        return self._frame("snapshot", bids, asks, now_ns, chained=False)

    def update(self, now_ns: int) -> bytes | None:
        """Write what changed since the last push, if it is time and something did."""
        if now_ns < self.due_ns:
            return None
        new = self._current()
        changes = tuple(_changes(self._levels[side], new[side]) for side in (BID, ASK))
        if not any(changes):
            return None
        self.due_ns = now_ns + INTERVALS_NS.get(self.channel, OTHER_INTERVAL_NS)
        self._levels = new
        # Numbers grow, and not by one.
        self._pseq, self.seq = self.seq, self.seq + self._rng.randint(1, 9)
        if self.channel != "books":
            return self._frame("snapshot", new[BID], new[ASK], now_ns, chained=False)
        return self._frame("update", changes[BID], changes[ASK], now_ns, chained=True)

    def _frame(
        self, action: str, bids: Levels, asks: Levels, now_ns: int, *, chained: bool
    ) -> bytes:
        unified = self.family is Family.UNIFIED
        data: dict[str, Any] = {
            "a" if unified else "asks": self._rows(ASK, asks),
            "b" if unified else "bids": self._rows(BID, bids),
        }
        if self.generation == "legacy":
            data["checksum"] = self.checksum()
        data["seq"] = self.seq
        if chained and self.generation == "2026p":
            data["pseq"] = self._pseq
        data["ts"] = str(now_ns // MS)
        arg = arg_of(self.family, self.channel, symbol_of(self.pair.name))
        return dump({"action": action, "arg": arg, "data": [data], "ts": now_ns // MS})

    def _rows(self, side: int, levels: Levels) -> list[list[str]]:
        prices = sorted(levels, reverse=side == BID)
        return [[price_text(self.pair, price), self._qty(levels[price])] for price in prices]

    def _qty(self, qty_lots: int) -> str:
        return "0" if qty_lots == 0 else qty_text(self.pair, qty_lots)

    def checksum(self) -> int:
        """Compute the checksum of what readers hold."""
        sides = [self._rows(side, self._levels[side])[:CHECKSUM_LEVELS] for side in (BID, ASK)]
        parts = [
            ":".join(rows[index])
            for index in range(CHECKSUM_LEVELS)
            for rows in sides
            if index < len(rows)
        ]
        value = zlib.crc32(":".join(parts).encode())
        return value - (1 << 32) if value >= 1 << 31 else value


def arg_of(family: Family, channel: str, symbol: str = "") -> dict[str, str]:
    """Write which subscription a frame is about."""
    if family is Family.UNIFIED:
        arg = {"instType": "spot" if symbol else "UTA", "topic": channel}
        return arg | ({"symbol": symbol} if symbol else {})
    arg = {"instType": "SPOT", "channel": channel}
    if symbol:
        return arg | {"instId": symbol}
    return arg | ({"coin": "default"} if channel == "account" else {"instId": "default"})


def _changes(old: Levels, new: Levels) -> Levels:
    changed = {price: 0 for price in old if price not in new}
    return changed | {price: qty for price, qty in new.items() if old.get(price) != qty}
