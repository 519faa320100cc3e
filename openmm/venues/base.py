"""The Venue protocol: what every connector offers, whatever the venue's own words are.

The hot path does not pass here: it knows `_fast.ports` only, and the engine what `connector` says.
This is the interface for programs and the command line: one call, one typed answer. Calls raise the
errors of `openmm.errors`; an outcome that is not known raises `TransportError`, and what was asked
must then be looked up, not asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from openmm._fast.units import Side
from openmm.events import OrderFilled, OrderUpdated, RequestAccepted, SystemMode, TickerUpdated
from openmm.instrument import Instrument
from openmm.venues.connector import Capabilities, Fees


class PlaceOrder(Struct, frozen=True):
    """Place one limit order. `client_id` is ours and unique.

    `immediate`: what does not trade on arrival is cancelled; it is then not post-only.
    `deadline_ns`: refused by the venue after this moment, where it can be told one (Kraken).
    """

    instrument: Instrument
    side: Side
    price_ticks: int
    qty_lots: int
    client_id: str
    post_only: bool = True
    immediate: bool = False
    deadline_ns: int | None = None

    def __post_init__(self) -> None:
        if self.immediate and self.post_only:
            raise ValueError("an immediate order cannot be post-only: post_only=False")


class Balance(Struct, frozen=True):
    """Holdings of one asset; `held` is bound by open orders."""

    asset: str
    total: Decimal
    held: Decimal

    @property
    def free(self) -> Decimal:
        """What can be used for new orders."""
        return self.total - self.held


class OrderBook(Struct, frozen=True):
    """A book as it was queried: (price, qty), best first."""

    instrument: str
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


class MarketTrade(Struct, frozen=True):
    """A trade of the market; `taker_side` is the aggressor's."""

    instrument: str
    trade_id: int
    taker_side: Side
    price: Decimal
    qty: Decimal
    ts_ns: int


class Candle(Struct, frozen=True):
    """The market's trades of one interval; `volume` in base. The running one is not `closed`."""

    instrument: str
    start_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    closed: bool


class KeyRights(Struct, frozen=True):
    """What a key may do, as far as the venue tells: None where it does not.

    `told` are the venue's own words for it, `ips` the addresses the key is bound to.
    """

    reads: bool | None = None
    trades: bool | None = None
    withdraws: bool | None = None
    told: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()


class ServerTime(Struct, frozen=True):
    """The venue's clock beside ours: `offset_ns` = venue minus the middle of the request."""

    ts_ns: int
    offset_ns: int
    round_trip_ns: int


class SystemState(Struct, frozen=True):
    """The venue's trading mode by query."""

    mode: SystemMode
    text: str


class Venue(Protocol):
    """A venue over request and reply."""

    @property
    def name(self) -> str:
        """Name of the venue, as in configuration."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What the venue can do."""
        ...

    # --- public

    async def get_server_time(self) -> ServerTime:
        """Ask for the venue's clock."""
        ...

    async def get_system_state(self) -> SystemState:
        """Ask for the trading mode."""
        ...

    async def get_instruments(self) -> dict[str, Instrument]:
        """List what is traded, by name."""
        ...

    async def get_order_book(self, instrument: str, depth: int = 100) -> OrderBook:
        """Ask for the best `depth` levels a side."""
        ...

    async def get_ticker(self, instrument: str) -> TickerUpdated:
        """Ask for best prices and the day's figures."""
        ...

    async def get_trades(self, instrument: str, count: int = 100) -> list[MarketTrade]:
        """Ask for the last trades, oldest first."""
        ...

    async def get_ohlcv(
        self, instrument: str, interval_s: int = 60, count: int = 100
    ) -> list[Candle]:
        """Ask for the last candles, oldest first; the last one may still be running.

        Raises:
            ValueError: an interval that is not in `ohlcv_intervals_s`, or too many.
        """
        ...

    @property
    def ohlcv_intervals_s(self) -> tuple[int, ...]:
        """The candles' lengths on offer, in seconds."""
        ...

    # --- account

    async def get_key_rights(self) -> KeyRights:
        """Ask what the key may do; what the venue does not tell is None."""
        ...

    async def get_balance(self) -> dict[str, Balance]:
        """Ask for the holdings, by asset."""
        ...

    async def get_fees(self, instrument: str) -> Fees:
        """Ask for the account's own rates."""
        ...

    async def get_open_orders(self) -> list[OrderUpdated]:
        """List every open order of the account."""
        ...

    async def get_order(
        self, *, client_id: str = "", venue_order_id: str = ""
    ) -> OrderUpdated | None:
        """Look up one order, open or done; None when the venue knows none."""
        ...

    async def get_fills(self, since_ns: int) -> list[OrderFilled]:
        """List own fills at or after `since_ns`, oldest first."""
        ...

    # --- orders

    async def place_order(self, order: PlaceOrder) -> RequestAccepted:
        """Place an order; never retried."""
        ...

    async def place_orders(self, orders: Sequence[PlaceOrder]) -> list[RequestAccepted]:
        """Place orders of one instrument; stops at the first refusal, which it raises."""
        ...

    async def amend_order(
        self, instrument: Instrument, client_id: str, price_ticks: int, qty_lots: int
    ) -> RequestAccepted:
        """Change price and total quantity in place; never retried."""
        ...

    async def cancel_order(self, *, client_id: str = "", venue_order_id: str = "") -> int:
        """Cancel one order; returns how many were cancelled, 0 when it was gone."""
        ...

    async def cancel_orders(self, client_ids: Sequence[str]) -> int:
        """Cancel several orders; returns how many the venue cancelled."""
        ...

    async def cancel_all(self) -> int:
        """Cancel everything within `capabilities.cancel_all`; returns how many."""
        ...

    async def dead_man_switch(self, timeout_s: int) -> None:
        """Cancel everything after `timeout_s` unless called again; 0 disarms."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
