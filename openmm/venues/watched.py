"""Venues that are only watched: what a connector of market data alone answers to the rest.

Nothing of theirs can be traded: there is no encoder, no private stream and no account. Whatever
asks for one is refused, at the latest here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

from openmm._fast.checks import RateBudget
from openmm._fast.ports import Encoder
from openmm.errors import VenueRejected
from openmm.events import (
    Event,
    OrderFilled,
    OrderUpdated,
    RequestAccepted,
    SystemMode,
    Unrecognised,
)
from openmm.instrument import Instrument
from openmm.venues.base import Balance, Candle, KeyRights, PlaceOrder, SystemState
from openmm.venues.connector import Capabilities, Fees, OrderHttp
from openmm.venues.faults import Code

CAPABILITIES = Capabilities(
    amend=False,
    amend_keeps_priority=False,
    batch_add_max=1,
    batch_cancel_max=1,
    cancel_all_scope="none",
    dead_man=False,
    websocket_trading=False,
)


class WatchedVenue:
    """The part of a `Venue` that has an account, refused; a venue fills in what is public."""

    name = ""
    capabilities = CAPABILITIES

    async def get_system_state(self) -> SystemState:
        """Tell that the venue says nothing of it."""
        return SystemState(SystemMode.UNKNOWN, "not told")

    @property
    def ohlcv_intervals_s(self) -> tuple[int, ...]:
        """The candles' lengths on offer: none."""
        return ()

    async def get_ohlcv(
        self, instrument: str, interval_s: int = 60, count: int = 100
    ) -> list[Candle]:
        """Refuse: what is watched are books and trades."""
        self._refuse("candles")

    async def get_key_rights(self) -> KeyRights:
        """Refuse: there is no key."""
        self._refuse("a key's rights")

    async def get_balance(self) -> dict[str, Balance]:
        """Refuse: there is no account."""
        self._refuse("balance")

    async def get_fees(self, instrument: str) -> Fees:
        """Refuse: there is no account."""
        self._refuse("fees")

    async def get_open_orders(self) -> list[OrderUpdated]:
        """Refuse: there is no account."""
        self._refuse("open orders")

    async def get_order(
        self, *, client_id: str = "", venue_order_id: str = ""
    ) -> OrderUpdated | None:
        """Refuse: there is no account."""
        self._refuse("an order")

    async def get_fills(self, since_ns: int) -> list[OrderFilled]:
        """Refuse: there is no account."""
        self._refuse("fills")

    async def place_order(self, order: PlaceOrder) -> RequestAccepted:
        """Refuse: nothing is traded here."""
        self._refuse("placing an order")

    async def place_orders(self, orders: Sequence[PlaceOrder]) -> list[RequestAccepted]:
        """Refuse: nothing is traded here."""
        self._refuse("placing orders")

    async def amend_order(
        self, instrument: Instrument, client_id: str, price_ticks: int, qty_lots: int
    ) -> RequestAccepted:
        """Refuse: nothing is traded here."""
        self._refuse("amending an order")

    async def cancel_order(self, *, client_id: str = "", venue_order_id: str = "") -> int:
        """Refuse: nothing is traded here."""
        self._refuse("cancelling an order")

    async def cancel_orders(self, client_ids: Sequence[str]) -> int:
        """Refuse: nothing is traded here."""
        self._refuse("cancelling orders")

    async def cancel_all(self) -> int:
        """Refuse: nothing is traded here."""
        self._refuse("cancelling all orders")

    async def dead_man_switch(self, timeout_s: int) -> None:
        """Refuse: nothing is traded here."""
        self._refuse("a dead-man's switch")

    async def find_orders(
        self, client_ids: Sequence[str], venue_order_ids: Sequence[str], since_ns: int = 0
    ) -> list[OrderUpdated | OrderFilled]:
        """Refuse: there is no account."""
        self._refuse("orders")

    def _refuse(self, what: str) -> NoReturn:
        raise VenueRejected(
            f"{self.name} is only watched: {what} is not to be had",
            venue=self.name,
            code=Code.PERMISSION,
        )


class WatchedConnector:
    """The part of a `Connector` that trades, refused; a venue fills in what is public."""

    name = ""
    ping_every_s = 0.0
    capabilities = CAPABILITIES

    def order_http(self) -> OrderHttp | None:
        """Return nothing: no orders leave."""
        return None

    def order_encoder(self, instrument: Instrument, *, bot: str, session_s: int) -> Encoder:
        """Refuse: nothing is traded here."""
        self._refuse("an order encoder")

    def rate_budget(self, *, reserve: Callable[[int], int]) -> RateBudget:
        """Refuse: nothing is traded here."""
        self._refuse("a rate budget")

    def tier(self, threshold: int) -> tuple[int, int]:
        """Refuse: nothing is traded here."""
        self._refuse("a rate tier")

    def set_token(self, token: str) -> None:
        """Take note of nothing: there is no private stream."""

    def subscribe_private(self) -> list[bytes]:
        """Refuse: there is no account."""
        self._refuse("a private stream")

    def private_ready(self) -> bool:
        """Never: nothing may be placed."""
        return False

    def ping(self) -> bytes:
        """Make nothing: the WebSocket protocol's own pings do."""
        return b""

    def due(self) -> list[bytes]:
        """Make nothing."""
        return []

    def cancel_all(self) -> bytes | None:
        """Make nothing: there are no orders."""
        return None

    def dead_man(self, timeout_s: int) -> bytes | None:
        """Make nothing: there are no orders."""
        return None

    def read_private(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Tell of a message that should not be."""
        return [Unrecognised(payload[:200].decode("utf-8", "replace"))]

    def redact(self, payload: bytes) -> bytes:
        """Return the message: it holds no secret."""
        return payload

    def client_id(self, seq: int) -> str:
        """Refuse: nothing is traded here."""
        self._refuse("a client id")

    def seq_of(self, client_id: str) -> int:
        """Return 0: no order is ours."""
        return 0

    def is_earlier(self, client_id: str) -> bool:
        """Tell that no order is ours."""
        return False

    def is_later(self, client_id: str) -> bool:
        """Tell that no order is ours."""
        return False

    def requested(self, req_id: int) -> tuple[str, Sequence[int]]:
        """Return that nothing was requested."""
        return "", ()

    def superseded(self, req_id: int, seq: int) -> bool:
        """Tell that no later request names an order."""
        return False

    def _refuse(self, what: str) -> NoReturn:
        raise VenueRejected(
            f"{self.name} is only watched: {what} is not to be had",
            venue=self.name,
            code=Code.PERMISSION,
        )
