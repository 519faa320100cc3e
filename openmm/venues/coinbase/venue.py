"""Coinbase Exchange over request and reply: what is public."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, final

from openmm._fast.units import Side
from openmm.errors import ConfigError, ProtocolError, VenueRejected
from openmm.events import TickerUpdated
from openmm.instrument import Instrument
from openmm.venues.base import MarketTrade, OrderBook, ServerTime
from openmm.venues.coinbase.fields import as_decimal, as_int, as_list, as_object, text_of
from openmm.venues.coinbase.rest import Rest
from openmm.venues.coinbase.spec import VENUE, our_name, venue_symbol
from openmm.venues.faults import Code
from openmm.venues.watched import WatchedVenue

NS = 1_000_000_000


@final
class CoinbaseVenue(WatchedVenue):
    """Ask Coinbase Exchange."""

    name = VENUE

    def __init__(self, rest: Rest) -> None:
        self.rest = rest

    async def get_server_time(self) -> ServerTime:
        """Ask for the venue's clock."""
        sent_ns = self.rest.clock.now_ns()
        row = as_object(await self.rest.get("/time"))
        back_ns = self.rest.clock.now_ns()
        ts_ns = int(as_decimal(row.get("epoch")) * NS)
        return ServerTime(ts_ns, ts_ns - (sent_ns + back_ns) // 2, back_ns - sent_ns)

    async def get_instruments(self) -> dict[str, Instrument]:
        """List the pairs."""
        listed: dict[str, Instrument] = {}
        for row in map(as_object, as_list(await self.rest.get("/products"))):
            try:
                found = read_product(row)
            except (ProtocolError, ConfigError):
                # One that cannot be told exactly is not listed.
                continue
            listed[found.name] = found
        return listed

    async def get_order_book(self, instrument: str, depth: int = 100) -> OrderBook:
        """Ask for the best `depth` levels a side."""
        level = 1 if depth == 1 else 2
        row = as_object(await self.rest.get(f"{_path(instrument)}/book", {"level": level}))
        sides = []
        for name in ("bids", "asks"):
            sides.append(_levels(row.get(name))[:depth])
        return OrderBook(instrument, sides[0], sides[1])

    async def get_ticker(self, instrument: str) -> TickerUpdated:
        """Ask for best prices and the day's volume; their quantities stand in the book alone."""
        book = await self.get_order_book(instrument, 1)
        row = as_object(await self.rest.get(f"{_path(instrument)}/ticker"))
        bid, bid_qty = book.bids[0] if book.bids else (as_decimal(row.get("bid")), Decimal(0))
        ask, ask_qty = book.asks[0] if book.asks else (as_decimal(row.get("ask")), Decimal(0))
        return TickerUpdated(
            instrument,
            bid,
            bid_qty,
            ask,
            ask_qty,
            as_decimal(row.get("price")),
            as_decimal(row.get("volume")),
            _ns_of(text_of(row, "time")),
        )

    async def get_trades(self, instrument: str, count: int = 100) -> list[MarketTrade]:
        """Ask for the last trades, oldest first; the venue tells the maker's side."""
        rows = as_list(await self.rest.get(f"{_path(instrument)}/trades", {"limit": count}))
        return [
            MarketTrade(
                instrument,
                as_int(row.get("trade_id")),
                Side.SELL if text_of(row, "side") == "buy" else Side.BUY,
                as_decimal(row.get("price")),
                as_decimal(row.get("size")),
                _ns_of(text_of(row, "time")),
            )
            for row in map(as_object, reversed(rows))
        ]

    async def close(self) -> None:
        """Give back connections."""
        await self.rest.close()


def _levels(rows: object) -> tuple[tuple[Decimal, Decimal], ...]:
    levels = []
    for row in map(as_list, as_list(rows)):
        if len(row) < 2:
            raise ProtocolError(f"level of price and quantity expected; got {row!r}", venue=VENUE)
        levels.append((as_decimal(row[0]), as_decimal(row[1])))
    return tuple(levels)


def _path(instrument: str) -> str:
    if not all(part.isalnum() for part in instrument.split("/")) or "/" not in instrument:
        raise VenueRejected(f"no such pair: {instrument}", venue=VENUE, code=Code.INSTRUMENT)
    return f"/products/{venue_symbol(instrument)}"


def _ns_of(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ProtocolError(f"time expected; got {text[:40]!r}", venue=VENUE) from error
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * NS + moment.microsecond * 1000


def read_product(row: Mapping[str, Any]) -> Instrument:
    """Turn a row of products into an `Instrument`.

    Raises:
        ProtocolError: steps are missing.
    """
    tick_size = as_decimal(row.get("quote_increment")).normalize()
    lot_size = as_decimal(row.get("base_increment")).normalize()
    price_decimals = max(-int(tick_size.as_tuple().exponent), 0)
    qty_decimals = max(-int(lot_size.as_tuple().exponent), 0)
    return Instrument(
        venue=VENUE,
        name=our_name(text_of(row, "id")),
        base=text_of(row, "base_currency"),
        quote=text_of(row, "quote_currency"),
        price_decimals=price_decimals,
        qty_decimals=qty_decimals,
        tick_size=tick_size,
        lot_size=lot_size,
        qty_min=lot_size,
        cost_min=Decimal(0),
        base_decimals=qty_decimals,
        quote_decimals=price_decimals + qty_decimals,
        status=text_of(row, "status") or "unknown",
    )
