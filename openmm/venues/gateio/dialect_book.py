"""Publish books as Gate.io does: every change has an id, frames are batched, windows maintained.

A level that leaves the best N is sent with amount 0, one that enters is sent as new, so that a
reader's book holds exactly N levels. Source: capture of 2021-04-22 replayed; "Spot WebSocket v4".
"""

from __future__ import annotations

from typing import Any, Final

from openmm.instrument import Instrument
from openmm.venues.counterpart import Core
from openmm.venues.gateio.dialect_text import MS, NS, dump, price_text, qty_text
from openmm.venues.gateio.spec import UPDATE_INTERVALS, stream_name, venue_symbol

BID, ASK = 0, 1
Levels = dict[int, int]
INTERVALS_NS: Final = {20: 20 * MS, 100: 100 * MS, 50: 20 * MS, 400: 100 * MS}
FIRST_ID: Final = 48_000_000_000
OBU_FIRST_ID: Final = 9_000_000_000


class BookPublisher:
    """One book channel of one pair at one depth; `sync` says what changed since the last frame."""

    def __init__(self, core: Core, pair: Instrument, depth: int, seed_id: int) -> None:
        self.core = core
        self.pair = pair
        self.depth = depth
        self.readers = 0
        self.book_id = seed_id  # of the last change of the pair's book
        self.last_id = seed_id  # of the last frame
        self.due_ns = 0
        self._levels: tuple[Levels, Levels] = ({}, {})

    @property
    def obu(self) -> bool:
        """Whether this is the channel that brings its own full book."""
        return self.depth not in UPDATE_INTERVALS

    def start(self) -> None:
        """Take the book as it is now for what readers hold."""
        self._levels = self._current()
        self.last_id = self.book_id

    def _current(self) -> tuple[Levels, Levels]:
        name = self.pair.name
        bids, asks = (dict(self.core.depth(name, side, self.depth)) for side in (BID, ASK))
        return bids, asks

    def full(self, now_ns: int) -> bytes:
        """Write the whole book as the last frame left it."""
        bids, asks = self._levels
        return self._frame(bids, asks, self.last_id, now_ns, full=True)

    def update(self, now_ns: int) -> bytes | None:
        """Write what changed since the last frame, if it is time and something did."""
        if self.book_id == self.last_id or now_ns < self.due_ns:
            return None
        self.due_ns = now_ns + INTERVALS_NS[self.depth]
        new = self._current()
        bids, asks = (_changes(self._levels[side], new[side]) for side in (BID, ASK))
        self._levels = new
        first_id, self.last_id = self.last_id + 1, self.book_id
        return self._frame(bids, asks, first_id, now_ns, full=False)

    def _frame(
        self, bids: Levels, asks: Levels, first_id: int, now_ns: int, *, full: bool
    ) -> bytes:
        symbol = venue_symbol(self.pair.name)
        result: dict[str, Any] = {"t": now_ns // MS}
        if full:
            result["full"] = True
        sides = {"b": self._rows(BID, bids), "a": self._rows(ASK, asks)}
        if self.obu:
            result["s"] = stream_name(symbol, self.depth)
            if not full:
                result["U"] = first_id
            result |= {"u": self.last_id, **sides}
            return dump({"channel": "spot.obu", "result": result, "time_ms": now_ns // MS,
                         "event": "update"})  # fmt: skip
        result |= {
            "l": str(self.depth), "e": "depthUpdate", "E": now_ns // NS, "s": symbol,
            "U": first_id, "u": self.last_id, **sides,
        }  # fmt: skip
        return dump({
            "time": now_ns // NS, "time_ms": now_ns // MS, "channel": "spot.order_book_update",
            "event": "update", "result": result,
        })  # fmt: skip

    def _rows(self, side: int, levels: Levels) -> list[list[str]]:
        prices = sorted(levels, reverse=side == BID)
        return [
            [price_text(self.pair, price), qty_text(self.pair, levels[price])] for price in prices
        ]


def _changes(old: Levels, new: Levels) -> Levels:
    changed = {price: 0 for price in old if price not in new}
    return changed | {price: qty for price, qty in new.items() if old.get(price) != qty}


def rest_book(core: Core, pair: Instrument, limit: int, book_id: int | None, now_ns: int) -> bytes:
    """Write the REST copy; without `book_id` it carries no id."""
    sides = {
        name: [[price_text(pair, price), qty_text(pair, qty)]
               for price, qty in core.depth(pair.name, side, limit)]
        for name, side in (("asks", ASK), ("bids", BID))
    }  # fmt: skip
    head: dict[str, Any] = {} if book_id is None else {"id": book_id}
    return dump(head | {"current": now_ns // MS, "update": now_ns // MS} | sides)
