"""Publish books as Coinbase does: the whole book first, then what changed in 50 ms, unnumbered.

Source: Coinbase Exchange documentation, "WebSocket channels" (level2_batch), read 2026; captures of
2018-04 and 2021-04.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from openmm.instrument import Instrument
from openmm.venues.coinbase.spec import venue_symbol
from openmm.venues.counterpart import Core
from openmm.venues.watched_dialect import ASK, BID, Levels, changed_levels, whole_book

NS: Final = 1_000_000_000
EVERY_NS: Final = 50_000_000
SIDES: Final = ((BID, "buy"), (ASK, "sell"))


def dump(value: object) -> bytes:
    """Write JSON as the venue does."""
    return json.dumps(value, separators=(",", ":")).encode()


def price_text(pair: Instrument, ticks: int) -> str:
    """Write a price, with the tick's decimals."""
    return f"{pair.price(ticks):.{pair.price_decimals}f}"


def qty_text(pair: Instrument, lots: int) -> str:
    """Write a quantity, with the lot's decimals."""
    return f"{pair.qty(lots):.{pair.qty_decimals}f}"


def stamp(ts_ns: int) -> str:
    """Write a time, to the microsecond."""
    whole = datetime.fromtimestamp(ts_ns // NS, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{ts_ns % NS // 1000:06d}Z"


def rows(pair: Instrument, side: int, levels: Levels) -> list[list[str]]:
    """Write a side, best level first."""
    return [
        [price_text(pair, price), qty_text(pair, levels[price])]
        for price in sorted(levels, reverse=side == BID)
    ]


class BookPublisher:
    """The book channel of one pair: what changed since its last frame."""

    def __init__(self, core: Core, pair: Instrument) -> None:
        self.core = core
        self.pair = pair
        self.readers = 0
        self.changed = False
        self._due_ns = 0
        self._levels: tuple[Levels, Levels] = ({}, {})

    def start(self) -> None:
        """Take the book as it is now for what readers hold."""
        self._levels = whole_book(self.core, self.pair.name)
        self.changed = False

    def full(self, now_ns: int) -> bytes:
        """Write the whole book as the last frame left it."""
        told: dict[str, Any] = {"type": "snapshot", "product_id": venue_symbol(self.pair.name)}
        for side, name in ((ASK, "asks"), (BID, "bids")):
            told[name] = rows(self.pair, side, self._levels[side])
        return dump(told | {"time": stamp(now_ns)})

    def update(self, now_ns: int) -> bytes | None:
        """Write what changed since the last frame, if it is time and something did."""
        if not self.changed or now_ns < self._due_ns:
            return None
        new = whole_book(self.core, self.pair.name)
        changes = [
            [word, *row]
            for side, word in SIDES
            for row in rows(self.pair, side, changed_levels(self._levels[side], new[side]))
        ]
        self._levels, self.changed = new, False
        if not changes:
            return None
        self._due_ns = now_ns + EVERY_NS
        return dump({
            "type": "l2update", "product_id": venue_symbol(self.pair.name), "changes": changes,
            "time": stamp(now_ns),
        })  # fmt: skip
