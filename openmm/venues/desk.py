"""A venue for programs: what `openmm.venues.connect` returns.

Every call of the `Venue` protocol, the streams, and one rule: an account is traded by one trader. A
program that places orders holds the account's lock from its first order on, and where a bot holds
it, in this process or another of the host, placing and amending are refused: the bot's risk checks
would not see those orders. Cancels, and questions, are always let through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self, final

from openmm.clock import Clock, RealClock
from openmm.config.schema import DEPTH_DEFAULT
from openmm.config.schema import Endpoints as ConfigEndpoints
from openmm.config.schema import Venue as VenueConfig
from openmm.config.values import is_loopback
from openmm.errors import CommandError, ConfigError, RiskError, VenueRejected
from openmm.events import OrderFilled, OrderUpdated, RequestAccepted, TickerUpdated
from openmm.instrument import Instrument
from openmm.venues import registry
from openmm.venues.base import (
    Balance,
    Candle,
    KeyRights,
    MarketTrade,
    OrderBook,
    PlaceOrder,
    ServerTime,
    SystemState,
    Venue,
)
from openmm.venues.claims import Lock, account_name, lock_account
from openmm.venues.connector import Capabilities, Connector, Fees, Keys
from openmm.venues.faults import Code
from openmm.venues.stream import AccountStream, MarketStream, Tap


def connect(
    name: str,
    keys: Keys | None = None,
    *,
    endpoints: Mapping[str, str] | None = None,
    options: Mapping[str, str | int | bool] | None = None,
    clock: Clock | None = None,
) -> Desk:
    """Return a venue to talk to; nothing is sent yet. Close it, or use it in `async with`.

    Args:
        name: of a venue of this build, or of an installed one.
        keys: without them only public calls are answered.
        endpoints: `ws`, `ws_auth`, `rest` instead of the venue's own addresses.
        options: the venue's own settings, as `[venue.options]` of a bot's file.

    Raises:
        ConfigError: a name, address, option or key that is not right.
    """
    registry.get(name)
    known = set(ConfigEndpoints.model_fields)
    for key in endpoints or {}:
        if key not in known:
            raise ConfigError(f"endpoints.{key}", key, f"one of {', '.join(sorted(known))}")
    config = VenueConfig.model_validate(
        {"name": name, "endpoints": dict(endpoints or {}), "options": dict(options or {})}
    )
    return Desk(config, keys, clock)


@final
class Desk:
    """One venue, by hand: see the module, and `venues.base.Venue` for each call."""

    def __init__(self, config: VenueConfig, keys: Keys | None, clock: Clock | None = None) -> None:
        self.config = config
        self._keys = keys
        self._clock = clock or RealClock()
        self._venue: Venue = registry.venue(config, keys, clock=self._clock)
        self._connectors: list[Connector] = []
        self._lock: Lock | None = None

    def __repr__(self) -> str:
        """Show no secret."""
        return f"Desk({self.name!r})"

    async def __aenter__(self) -> Self:
        """Use it for a block."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give back connections and the account."""
        await self.close()

    @property
    def name(self) -> str:
        """Name of the venue, as in configuration."""
        return self._venue.name

    @property
    def capabilities(self) -> Capabilities:
        """What the venue can do."""
        return self._venue.capabilities

    @property
    def ohlcv_intervals_s(self) -> tuple[int, ...]:
        """The candles' lengths on offer, in seconds."""
        return self._venue.ohlcv_intervals_s

    def now_ns(self) -> int:
        """Return the time by the clock this desk uses."""
        return self._clock.now_ns()

    # --- public

    async def get_server_time(self) -> ServerTime:
        """Ask for the venue's clock."""
        return await self._venue.get_server_time()

    async def get_system_state(self) -> SystemState:
        """Ask for the trading mode."""
        return await self._venue.get_system_state()

    async def get_instruments(self) -> dict[str, Instrument]:
        """List what is traded, by name."""
        return await self._venue.get_instruments()

    async def get_order_book(self, instrument: str, depth: int = 100) -> OrderBook:
        """Ask for the best `depth` levels a side."""
        return await self._venue.get_order_book(instrument, depth)

    async def get_ticker(self, instrument: str) -> TickerUpdated:
        """Ask for best prices and the day's figures."""
        return await self._venue.get_ticker(instrument)

    async def get_trades(self, instrument: str, count: int = 100) -> list[MarketTrade]:
        """Ask for the last trades, oldest first."""
        return await self._venue.get_trades(instrument, count)

    async def get_ohlcv(
        self, instrument: str, interval_s: int = 60, count: int = 100
    ) -> list[Candle]:
        """Ask for the last candles, oldest first; the last one may still be running."""
        return await self._venue.get_ohlcv(instrument, interval_s, count)

    # --- account

    async def get_key_rights(self) -> KeyRights:
        """Ask what the key may do; what the venue does not tell is None."""
        return await self._venue.get_key_rights()

    async def get_balance(self) -> dict[str, Balance]:
        """Ask for the holdings, by asset."""
        return await self._venue.get_balance()

    async def get_fees(self, instrument: str) -> Fees:
        """Ask for the account's own rates."""
        return await self._venue.get_fees(instrument)

    async def get_open_orders(self) -> list[OrderUpdated]:
        """List every open order of the account."""
        return await self._venue.get_open_orders()

    async def get_order(
        self, *, client_id: str = "", venue_order_id: str = ""
    ) -> OrderUpdated | None:
        """Look up one order, open or done; None when the venue knows none."""
        return await self._venue.get_order(client_id=client_id, venue_order_id=venue_order_id)

    async def get_fills(self, since_ns: int) -> list[OrderFilled]:
        """List own fills at or after `since_ns`, oldest first."""
        return await self._venue.get_fills(since_ns)

    # --- orders

    async def place_order(self, order: PlaceOrder) -> RequestAccepted:
        """Place an order; never retried.

        Raises:
            RiskError: a bot trades this account, or the address is not on this machine.
        """
        self.claim()
        return await self._venue.place_order(order)

    async def place_orders(self, orders: Sequence[PlaceOrder]) -> list[RequestAccepted]:
        """Place orders of one instrument; raises as `place_order`, and a batch's first refusal."""
        self.claim()
        return await self._venue.place_orders(orders)

    async def amend_order(
        self, instrument: Instrument, client_id: str, price_ticks: int, qty_lots: int
    ) -> RequestAccepted:
        """Change price and total quantity in place; raises as `place_order`."""
        self.claim()
        return await self._venue.amend_order(instrument, client_id, price_ticks, qty_lots)

    async def cancel_order(self, *, client_id: str = "", venue_order_id: str = "") -> int:
        """Cancel one order; returns how many were cancelled, 0 when it was gone."""
        return await self._venue.cancel_order(client_id=client_id, venue_order_id=venue_order_id)

    async def cancel_orders(self, client_ids: Sequence[str]) -> int:
        """Cancel several orders; returns how many the venue cancelled."""
        return await self._venue.cancel_orders(client_ids)

    async def cancel_all(self) -> int:
        """Cancel everything within `capabilities.cancel_all_scope`; returns how many."""
        return await self._venue.cancel_all()

    async def dead_man_switch(self, timeout_s: int) -> None:
        """Cancel everything after `timeout_s` unless called again; 0 disarms."""
        await self._venue.dead_man_switch(timeout_s)

    # --- streams

    async def market_stream(
        self,
        instrument: str,
        *,
        levels: int = 10,
        depth: int | None = None,
        tap: Tap | None = None,
    ) -> MarketStream:
        """Make the stream of a pair's books and trades; it begins with `async with`.

        Args:
            levels: of a side in the books that are told.
            depth: levels subscribed, one the venue offers.
            tap: is given every frame as it came, with its time of receipt.

        Raises:
            VenueError: the pair cannot be asked for, or is not listed.
        """
        connector, pair = await self._connector(instrument)
        depth = depth or DEPTH_DEFAULT.get(self.name, 25)
        return MarketStream(connector, pair, self._clock, depth=depth, levels=levels, tap=tap)

    async def account_stream(self, instrument: str) -> AccountStream:
        """Make the stream of what happens to the account; ticks and lots are of one pair.

        Raises:
            VenueError: the pair cannot be asked for, or is not listed; there is no key.
        """
        if self._keys is None:
            raise VenueRejected(
                "the account's stream needs an API key", venue=self.name, code=Code.CREDENTIALS
            )
        connector, pair = await self._connector(instrument)
        return AccountStream(connector, pair, self._clock)

    async def close(self) -> None:
        """Give back connections and the account."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        for connector in self._connectors:
            await connector.rest().close()
        self._connectors.clear()
        await self._venue.close()

    @property
    def account(self) -> str:
        """What tells this account from others; holds the key.

        Raises:
            RiskError: there are no keys, so no account.
        """
        if self._keys is None:
            raise RiskError("no keys: there is no account", venue=self.name, code="no_keys")
        return account_name(self.name, self.config.endpoints.rest or "", self._keys.key)

    def claim(self) -> None:
        """Become the account's one trader, if nobody is.

        Raises:
            RiskError: somebody is, or orders would leave this machine.
        """
        endpoint = self.config.endpoints.rest or ""
        if not is_loopback(endpoint):
            raise RiskError(
                f"orders to {endpoint or 'the real venue'} are refused: this version places orders "
                "on simulated venues only",
                venue=self.name, code="not_loopback",
            )  # fmt: skip
        if self._lock is not None or self._keys is None:
            return
        try:
            self._lock = lock_account(self.name, endpoint, self._keys.key)
        except CommandError as error:
            raise RiskError(
                f"{error}: its risk checks would not see this order; stop it first, or only cancel",
                venue=self.name, code="account_in_use",
            ) from None  # fmt: skip

    # --- inside

    async def _connector(self, instrument: str) -> tuple[Connector, Instrument]:
        connector = registry.connector(self.config, self._keys, clock=self._clock)
        self._connectors.append(connector)
        found = await connector.rest().instruments([instrument])
        if instrument not in found:
            raise VenueRejected(
                f"no such pair: {instrument}", venue=self.name, code=Code.INSTRUMENT
            )
        return connector, found[instrument]
