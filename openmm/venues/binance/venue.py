"""Binance over request and reply: what is public of one market."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, final

from openmm._fast.units import Side
from openmm.errors import ConfigError, ProtocolError, VenueRejected
from openmm.events import TickerUpdated
from openmm.instrument import Instrument
from openmm.venues.base import MarketTrade, OrderBook, ServerTime
from openmm.venues.binance.fields import (
    as_decimal,
    as_int,
    as_list,
    as_object,
    decimal_of,
    text_of,
)
from openmm.venues.binance.rest import Rest
from openmm.venues.binance.spec import VENUE, contract_lot, venue_symbol
from openmm.venues.faults import Code
from openmm.venues.watched import WatchedVenue

NS_PER_MS = 1_000_000


@final
class BinanceVenue(WatchedVenue):
    """Ask one market of Binance."""

    name = VENUE

    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        self._listed: dict[str, Instrument] = {}

    async def get_server_time(self) -> ServerTime:
        """Ask for the venue's clock."""
        sent_ns = self.rest.clock.now_ns()
        row = as_object(await self.rest.get("/time"))
        back_ns = self.rest.clock.now_ns()
        ts_ns = as_int(row.get("serverTime")) * NS_PER_MS
        return ServerTime(ts_ns, ts_ns - (sent_ns + back_ns) // 2, back_ns - sent_ns)

    async def get_instruments(self) -> dict[str, Instrument]:
        """List the pairs; of the futures markets their perpetuals."""
        info = as_object(await self.rest.get("/exchangeInfo"))
        prices = await self._contract_prices()
        for row in map(as_object, as_list(info.get("symbols"))):
            if row.get("contractType", "PERPETUAL") != "PERPETUAL":
                continue
            try:
                found = read_pair(row, prices.get(text_of(row, "symbol")))
            except (ProtocolError, ConfigError):
                # One that cannot be told exactly is not listed.
                continue
            # Another symbol of the same two assets has steps of its own, and another book.
            if text_of(row, "symbol") == self._symbol(found.name):
                self._listed[found.name] = found
        return dict(self._listed)

    async def get_order_book(self, instrument: str, depth: int = 100) -> OrderBook:
        """Ask for the best `depth` levels a side."""
        # Every limit up to 100 costs the same; the markets offer 5, 10, 20, 50, 100, 500, 1000.
        limit = next((one for one in (5, 10, 20, 50, 100, 500, 1000) if one >= depth), 1000)
        row = as_object(
            await self.rest.get("/depth", {"symbol": self._symbol(instrument), "limit": limit})
        )
        sides = []
        for name in ("bids", "asks"):
            sides.append(_levels(row.get(name))[:depth])
        return OrderBook(instrument, sides[0], sides[1])

    async def get_ticker(self, instrument: str) -> TickerUpdated:
        """Ask for best prices and the day's figures."""
        symbol = {"symbol": self._symbol(instrument)}
        best = _one(await self.rest.get("/ticker/bookTicker", symbol))
        day = _one(await self.rest.get("/ticker/24hr", symbol))
        volume = day.get("baseVolume") or day.get("volume")
        return TickerUpdated(
            instrument,
            as_decimal(best.get("bidPrice")),
            as_decimal(best.get("bidQty")),
            as_decimal(best.get("askPrice")),
            as_decimal(best.get("askQty")),
            as_decimal(day.get("lastPrice")),
            as_decimal(volume),
            as_int(day.get("closeTime") or 0) * NS_PER_MS,
        )

    async def get_trades(self, instrument: str, count: int = 100) -> list[MarketTrade]:
        """Ask for the last trades, oldest first."""
        rows = as_list(
            await self.rest.get("/trades", {"symbol": self._symbol(instrument), "limit": count})
        )
        return [
            MarketTrade(
                instrument,
                as_int(row.get("id")),
                Side.SELL if row.get("isBuyerMaker") is True else Side.BUY,
                as_decimal(row.get("price")),
                as_decimal(row.get("qty")),
                as_int(row.get("time")) * NS_PER_MS,
            )
            for row in map(as_object, rows)
        ]

    async def book_bytes(self, instrument: str, levels: int) -> bytes:
        """Ask for a book as it comes."""
        params: dict[str, str | int] = {"symbol": self._symbol(instrument), "limit": levels}
        return await self.rest.get_bytes("/depth", params)

    async def close(self) -> None:
        """Give back connections."""
        await self.rest.close()

    async def _contract_prices(self) -> Mapping[str, Decimal]:
        """Return what a coin costs now, by symbol, where quantities are contracts."""
        if self.rest.settings.market != "coinm":
            return {}
        rows = map(as_object, as_list(await self.rest.get("/ticker/bookTicker")))
        # One without bids has no price; its contract is not listed.
        told = {text_of(row, "symbol"): decimal_of(row, "bidPrice") for row in rows}
        return {symbol: price for symbol, price in told.items() if price is not None}

    def _symbol(self, instrument: str) -> str:
        if not all(part.isalnum() for part in instrument.split("/")) or "/" not in instrument:
            raise VenueRejected(f"no such pair: {instrument}", venue=VENUE, code=Code.INSTRUMENT)
        return venue_symbol(instrument, self.rest.settings.market)


def _levels(rows: object) -> tuple[tuple[Decimal, Decimal], ...]:
    levels = []
    for row in map(as_list, as_list(rows)):
        if len(row) < 2:
            raise ProtocolError(f"level of price and quantity expected; got {row!r}", venue=VENUE)
        levels.append((as_decimal(row[0]), as_decimal(row[1])))
    return tuple(levels)


def _one(reply: object) -> Mapping[str, Any]:
    """Return the one row of a reply: COIN-M writes a list of it."""
    if isinstance(reply, list) and len(reply) == 1:
        reply = reply[0]
    return as_object(reply)


def read_pair(row: Mapping[str, Any], price: Decimal | None = None) -> Instrument:
    """Turn a row of exchangeInfo into an `Instrument`.

    A COIN-M contract is worth a sum of the quote currency: its lot is what that buys of the base at
    `price`, which is good enough to weigh depth by, and nothing is traded here.

    Raises:
        ProtocolError: steps are missing.
    """
    symbol = text_of(row, "symbol")
    filters = {
        text_of(one, "filterType"): one for one in map(as_object, as_list(row.get("filters")))
    }
    if not {"PRICE_FILTER", "LOT_SIZE"} <= filters.keys():
        raise ProtocolError(f"exchangeInfo {symbol}: steps are missing", venue=VENUE)
    tick_size = as_decimal(filters["PRICE_FILTER"].get("tickSize")).normalize()
    lot_size = as_decimal(filters["LOT_SIZE"].get("stepSize")).normalize()
    if "contractSize" in row:
        if price is None or price <= 0:
            raise ProtocolError(f"exchangeInfo {symbol}: no price", venue=VENUE)
        try:
            lot_size = contract_lot(lot_size, as_decimal(row["contractSize"]), price)
        except ArithmeticError:
            raise ProtocolError(f"exchangeInfo {symbol}: worth out of range", venue=VENUE) from None
    price_decimals = max(-int(tick_size.as_tuple().exponent), 0)
    qty_decimals = max(-int(lot_size.as_tuple().exponent), 0)
    status = text_of(row, "status") or text_of(row, "contractStatus")
    return Instrument(
        venue=VENUE,
        name=f"{text_of(row, 'baseAsset')}/{text_of(row, 'quoteAsset')}",
        base=text_of(row, "baseAsset"),
        quote=text_of(row, "quoteAsset"),
        price_decimals=price_decimals,
        qty_decimals=qty_decimals,
        tick_size=tick_size,
        lot_size=lot_size,
        qty_min=lot_size,
        cost_min=Decimal(0),
        base_decimals=qty_decimals,
        quote_decimals=price_decimals + qty_decimals,
        status="online" if status == "TRADING" else status or "unknown",
    )
