"""Publish books as Binance does: changes of the whole book, gathered, between two ids.

Source: Binance documentation, "How to manage a local order book correctly" of spot, USD-M and
COIN-M, read 2026.
"""

from __future__ import annotations

import json
from typing import Any, Final

from openmm.instrument import Instrument
from openmm.venues.binance.spec import Market, venue_symbol
from openmm.venues.counterpart import Core
from openmm.venues.watched_dialect import (
    ASK,
    BID,
    LEVELS_MAX,
    Levels,
    changed_levels,
    whole_book,
)

MS: Final = 1_000_000


def dump(value: object) -> bytes:
    """Write JSON as the venue does."""
    return json.dumps(value, separators=(",", ":")).encode()


def stream_frame(stream: str, data: object) -> bytes:
    """Write a message of a combined stream."""
    return dump({"stream": stream, "data": data})


class Wording:
    """How a market writes prices, quantities and books."""

    def __init__(self, market: Market) -> None:
        self.market = market

    def price(self, pair: Instrument, ticks: int) -> str:
        """Write a price: spot with eight decimals, USD-M two or more, COIN-M the tick's."""
        decimals = {"spot": 8, "usdm": max(2, pair.price_decimals)}.get(
            self.market, pair.price_decimals
        )
        return f"{pair.price(ticks):.{decimals}f}"

    def qty(self, pair: Instrument, lots: int) -> str:
        """Write a quantity; COIN-M counts contracts, a lot each."""
        if self.market == "coinm":
            return str(lots)
        decimals = 8 if self.market == "spot" else pair.qty_decimals
        return f"{pair.qty(lots):.{decimals}f}"

    def rows(self, pair: Instrument, side: int, levels: Levels, n: int) -> list[list[str]]:
        """Write the best `n` levels of a side."""
        prices = sorted(levels, reverse=side == BID)[:n]
        return [[self.price(pair, price), self.qty(pair, levels[price])] for price in prices]

    def ticker(
        self,
        pair: Instrument,
        book_id: int,
        bid: tuple[int, int],
        ask: tuple[int, int],
        now_ns: int,
    ) -> dict[str, Any]:
        """Write best prices as of a book's id."""
        told: dict[str, Any] = {"u": book_id}
        if self.market != "spot":
            told["e"] = "bookTicker"
        if self.market == "usdm":
            told = dict(reversed(told.items()))
        told["s"] = venue_symbol(pair.name, self.market)
        if self.market == "coinm":
            told["ps"] = pair.base + pair.quote
        for (price, qty), names in ((bid, "bB"), (ask, "aA")):
            told |= {names[0]: self.price(pair, price), names[1]: self.qty(pair, qty)}
        if self.market != "spot":
            told |= {"T": now_ns // MS, "E": now_ns // MS}
        return told

    def copy(
        self, pair: Instrument, book_id: int, sides: tuple[Levels, ...], n: int, now_ns: int
    ) -> bytes:
        """Write the REST copy."""
        told: dict[str, Any] = {"lastUpdateId": book_id}
        if self.market != "spot":
            told |= {"E": now_ns // MS, "T": now_ns // MS}
        if self.market == "coinm":
            told |= {"symbol": venue_symbol(pair.name, "coinm"), "pair": pair.base + pair.quote}
        for name, side in (("bids", BID), ("asks", ASK)):
            told[name] = self.rows(pair, side, sides[side], n)
        return dump(told)


class BookPublisher:
    """One depth stream of one pair: what changed since its last frame."""

    def __init__(
        self, core: Core, pair: Instrument, wording: Wording, stream: str, every_ns: int
    ) -> None:
        self.core = core
        self.pair = pair
        self.readers = 0
        self._wording = wording
        self._stream = stream
        self._every_ns = every_ns
        self._last_id = 0  # of the last frame
        self._due_ns = 0
        self._levels: tuple[Levels, Levels] = ({}, {})

    def start(self, book_id: int) -> None:
        """Take the book as it is now for what readers know."""
        self._levels = whole_book(self.core, self.pair.name)
        self._last_id = book_id

    def update(self, book_id: int, id_step: int, now_ns: int) -> bytes | None:
        """Write what changed since the last frame, if it is time and something did."""
        if book_id == self._last_id or now_ns < self._due_ns:
            return None
        self._due_ns = now_ns + self._every_ns
        new = whole_book(self.core, self.pair.name)
        bids, asks = (changed_levels(self._levels[side], new[side]) for side in (BID, ASK))
        pair, market = self.pair, self._wording.market
        data: dict[str, Any] = {"e": "depthUpdate", "E": now_ns // MS}
        if market != "spot":
            data["T"] = now_ns // MS
        data["s"] = venue_symbol(pair.name, market)
        if market == "coinm":
            data["ps"] = pair.base + pair.quote
        data |= {"U": self._last_id + id_step, "u": book_id}
        if market != "spot":
            data["pu"] = self._last_id
        for name, side, levels in (("b", BID, bids), ("a", ASK, asks)):
            data[name] = self._wording.rows(pair, side, levels, LEVELS_MAX)
        self._levels, self._last_id = new, book_id
        return stream_frame(self._stream, data)
