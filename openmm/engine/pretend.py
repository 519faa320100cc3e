"""What a hedge needs of its venue, and one that is pretended: `mode = "paper"`.

The pretended venue asks the real one for its book, without a key, and fills an order out of it at
once, as far as its limit reaches. There is no way from here to an order endpoint.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from decimal import ROUND_CEILING, Decimal
from types import TracebackType
from typing import Final, Protocol, Self, final

from openmm._fast.units import Side
from openmm.errors import VenueRejected
from openmm.events import (
    BalanceUpdated,
    Fee,
    OrderFilled,
    OrderStatus,
    OrderUpdated,
    RequestAccepted,
    Source,
)
from openmm.instrument import Instrument
from openmm.venues.base import Balance, OrderBook, PlaceOrder
from openmm.venues.desk import Desk
from openmm.venues.faults import Code
from openmm.venues.stream import AccountEvent, MarketStream

PPM: Final = 1_000_000
DEPTH: Final = 50  # levels a pretended order may go through
KEPT: Final = 10_000  # pretended orders and fills that can be asked for


class Account(Protocol):
    """The stream of what happens on an account; it begins with `async with`."""

    @property
    def ready(self) -> bool:
        """Whether what happens now is told."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def __aiter__(self) -> AsyncIterator[AccountEvent]: ...


class HedgeDesk(Protocol):
    """The calls of `venues.Desk` that a hedge makes; each raises as that one's."""

    @property
    def name(self) -> str:
        """Name of the venue, as in configuration."""
        ...

    def now_ns(self) -> int:
        """Return the time."""
        ...

    async def get_order_book(self, instrument: str, depth: int = 100) -> OrderBook:
        """Ask for the best levels."""
        ...

    async def get_balance(self) -> dict[str, Balance]:
        """Ask for the holdings, by asset."""
        ...

    async def get_order(
        self, *, client_id: str = "", venue_order_id: str = ""
    ) -> OrderUpdated | None:
        """Look up one order."""
        ...

    async def get_fills(self, since_ns: int) -> list[OrderFilled]:
        """List own fills since a moment."""
        ...

    async def place_order(self, order: PlaceOrder) -> RequestAccepted:
        """Place an order."""
        ...

    async def cancel_order(self, *, client_id: str = "", venue_order_id: str = "") -> int:
        """Cancel an order."""
        ...

    async def market_stream(self, instrument: str, *, levels: int = 10) -> MarketStream:
        """Make the stream of a pair's books."""
        ...

    async def account_stream(self, instrument: str) -> Account:
        """Make the stream of what happens on the account."""
        ...


@final
class PaperAccount:
    """The stream of a pretended account: always up, told what the desk does."""

    def __init__(self, snapshot: list[AccountEvent]) -> None:
        self._events: deque[AccountEvent] = deque(snapshot)
        self._wake = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether what happens now is told."""
        return True

    def put(self, event: AccountEvent) -> None:
        """Tell of something."""
        self._events.append(event)
        self._wake.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    async def __aiter__(self) -> AsyncIterator[AccountEvent]:
        while True:
            while self._events:
                yield self._events.popleft()
            self._wake.clear()
            await self._wake.wait()


@final
class PaperHedgeDesk:
    """A pretended account beside a venue's real book.

    An immediate order fills against the book the venue tells when the order arrives, level by level
    up to its limit; what is left is cancelled. What it takes does not leave the real book: two
    orders within one look may have the same quantity.

    Args:
        desk: of the venue, without a key.
        balances: what the account opens with, by asset.
        latency_ns: from the order to the book.
    """

    def __init__(
        self, desk: Desk, pair: Instrument, taker_fee_ppm: int, balances: Mapping[str, Decimal],
        latency_ns: int,
    ) -> None:  # fmt: skip
        self._desk = desk
        self._pair = pair
        self._fee_ppm = taker_fee_ppm
        self._held = {asset: balances.get(asset, Decimal(0)) for asset in (pair.base, pair.quote)}
        self._latency_s = latency_ns / 1e9
        self._orders: dict[str, OrderUpdated] = {}
        self._fills: deque[OrderFilled] = deque(maxlen=KEPT)
        self._count = 0
        self._began_ns = desk.now_ns()  # ids differ from those of the session before
        self._account: PaperAccount | None = None

    @property
    def name(self) -> str:
        """Name of the venue, as in configuration."""
        return self._desk.name

    def now_ns(self) -> int:
        """Return the time by the desk's clock."""
        return self._desk.now_ns()

    async def get_order_book(self, instrument: str, depth: int = 100) -> OrderBook:
        """Ask the venue for its best levels."""
        return await self._desk.get_order_book(instrument, depth)

    async def market_stream(self, instrument: str, *, levels: int = 10) -> MarketStream:
        """Make the venue's stream of a pair's books."""
        return await self._desk.market_stream(instrument, levels=levels)

    async def account_stream(self, instrument: str) -> PaperAccount:
        """Make the stream of the pretended account."""
        self._account = PaperAccount([self._balance(asset, "snapshot") for asset in self._held])
        return self._account

    async def get_balance(self) -> dict[str, Balance]:
        """Return the pretended holdings."""
        return {asset: Balance(asset, total, Decimal(0)) for asset, total in self._held.items()}

    async def get_order(
        self, *, client_id: str = "", venue_order_id: str = ""
    ) -> OrderUpdated | None:
        """Look up a pretended order of this session."""
        return self._orders.get(client_id)

    async def get_fills(self, since_ns: int) -> list[OrderFilled]:
        """List the pretended fills of this session."""
        return [one for one in self._fills if one.ts_ns >= since_ns]

    async def cancel_order(self, *, client_id: str = "", venue_order_id: str = "") -> int:
        """Nothing rests here."""
        return 0

    async def place_order(self, order: PlaceOrder) -> RequestAccepted:
        """Fill an order against the venue's book; the rest is cancelled.

        Raises:
            VenueRejected: too small, or not enough is held.
            VenueError: the venue did not tell its book; nothing was placed.
        """
        await asyncio.sleep(self._latency_s)
        pair = self._pair
        if order.qty_lots < pair.qty_lots_min:
            raise VenueRejected("too small", venue=self.name, code=Code.MINIMUM)
        book = await self._desk.get_order_book(pair.name, DEPTH)
        limit, buys = pair.price(order.price_ticks), order.side == Side.BUY
        asset, needed = pair.base, pair.qty(order.qty_lots)
        if buys:
            asset, needed = pair.quote, self._with_fee(needed * limit)
        if self._held[asset] < needed:
            raise VenueRejected(f"not enough {asset}", venue=self.name, code=Code.FUNDS)
        self._count += 1
        venue_order_id, left = f"paper-{self._began_ns:x}-{self._count}", order.qty_lots
        for price, qty in book.asks if buys else book.bids:
            if left == 0 or (price > limit if buys else price < limit):
                break
            lots = min(left, pair.floor_lots(qty))
            if lots > 0:
                left -= lots
                self._fill(order, venue_order_id, price, lots)
        done = order.qty_lots - left
        status = OrderStatus.FILLED if left == 0 else OrderStatus.CANCELLED
        ended = OrderUpdated(
            venue_order_id, order.client_id, status, Source.STREAM, self.now_ns(),
            order.price_ticks, order.qty_lots, done, int(order.side), instrument=pair.name,
        )  # fmt: skip
        self._orders[order.client_id] = ended
        if len(self._orders) > KEPT:
            del self._orders[next(iter(self._orders))]
        self._tell(ended)
        return RequestAccepted("add", 0, order.client_id, venue_order_id, 1)

    def _fill(self, order: PlaceOrder, venue_order_id: str, price: Decimal, lots: int) -> None:
        pair = self._pair
        qty = pair.qty(lots)
        cost = price * qty
        fee = self._with_fee(cost) - cost
        sign = 1 if order.side == Side.BUY else -1
        self._held[pair.base] += sign * qty
        self._held[pair.quote] -= sign * cost + fee
        one = OrderFilled(
            f"{venue_order_id}-{price}", venue_order_id, order.client_id,
            pair.name, int(order.side), pair.exact_ticks(price), lots, cost,
            (Fee(pair.quote, fee),), False, self.now_ns(),
        )  # fmt: skip
        self._fills.append(one)
        self._tell(one)
        for asset in self._held:
            self._tell(self._balance(asset, "trade"))

    def _with_fee(self, cost: Decimal) -> Decimal:
        step = Decimal(1).scaleb(-self._pair.quote_decimals)
        return cost + (cost * self._fee_ppm / PPM).quantize(step, ROUND_CEILING)

    def _balance(self, asset: str, kind: str) -> BalanceUpdated:
        total = self._held[asset]
        return BalanceUpdated(asset, total, None, Decimal(0), kind, "", self.now_ns())

    def _tell(self, event: AccountEvent) -> None:
        if self._account is not None:
            self._account.put(event)
