"""A simulated Gate.io without sockets, for tests: core, gateway, one account, a market to move."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from openmm._fast.matching import Tif
from openmm.clock import ManualClock
from openmm.events import Event
from openmm.sim.core import VenueCore
from openmm.sim.dialects import GATEIO_PAIRS, UNCOUNTED
from openmm.venues.counterpart import Tier
from openmm.venues.gateio.auth import Key
from openmm.venues.gateio.connector import GateioConnector
from openmm.venues.gateio.dialect import DialectOptions, GateioGateway, GateioSession
from openmm.venues.gateio.dialect_rest import GateioRest
from openmm.venues.gateio.rest import Rest
from openmm.venues.gateio.spec import Endpoints, Settings

NS = 1_000_000_000
T0 = 1_750_000_000 * NS
BTC = GATEIO_PAIRS["BTC/USDT"][0]
PUBLIC, SECRET = "key", "secret"
BUY, SELL = 1, 2


class Venue:
    """One venue at a moment that the test moves on."""

    def __init__(self, options: DialectOptions | None = None, maker_ppm: int = 1000) -> None:
        self.core = VenueCore([BTC], 1, fee_in_received=True)
        tier = Tier("uncounted", UNCOUNTED, UNCOUNTED, 200, UNCOUNTED, UNCOUNTED)
        money = {"BTC": Decimal(1), "USDT": Decimal(60_000)}
        self.account = self.core.open_account(PUBLIC, SECRET.encode(), money, tier, maker_ppm, 1000)
        self.gateway = GateioGateway(self.core, 1, options or DialectOptions(order="result_first"))
        self.http = GateioRest(self.gateway)
        self.clock = ManualClock(T0)
        self.market(BUY, "60000", "1")
        self.market(SELL, "60010", "1")

    @property
    def now_ns(self) -> int:
        return self.clock.now_ns()

    def wait(self, seconds: float) -> None:
        self.clock.advance(int(seconds * NS))
        self.core.advance(self.now_ns)

    def market(self, side: int, price: str, qty: str, tif: int = Tif.GTC) -> None:
        self.core.market_submit(
            BTC.name, side, BTC.exact_ticks(Decimal(price)), BTC.exact_lots(Decimal(qty)), tif,
            self.now_ns,
        )  # fmt: skip

    # --- requests

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        target = f"{path}?{query}" if query else path
        return self.http.answer(verb, target, headers, body, self.now_ns)

    async def close(self) -> None:
        """Nothing is held."""

    def rest(self, key: Key | None = None) -> Rest:
        return Rest(key=key or Key(PUBLIC, SECRET), clock=self.clock, round_trip=self)

    def connector(self, settings: Settings | None = None) -> GateioConnector:
        return GateioConnector(self.rest(), Endpoints(ws="ws://a"), settings)


class Line:
    """A connection of a connector to the venue."""

    def __init__(self, venue: Venue, connector: GateioConnector) -> None:
        self.venue = venue
        self.connector = connector
        self.session: GateioSession = venue.gateway.connect(venue.now_ns, private=True)

    def frames(self, *messages: bytes) -> list[bytes]:
        """Send messages; return what comes back and what waits."""
        frames: list[bytes] = []
        for message in messages:
            frames += self.session.on_client_frame(message, self.venue.now_ns)
        return frames + self.session.poll(self.venue.now_ns)

    def told(self, *messages: bytes) -> list[Any]:
        """The same, parsed."""
        return [json.loads(frame) for frame in self.frames(*messages)]

    def private(self, *messages: bytes) -> list[Event]:
        """The same, as events of the private side."""
        return [
            event
            for frame in self.frames(*messages)
            for event in self.connector.read_private(frame, self.venue.now_ns)
        ]

    def public(self, *messages: bytes) -> list[Event]:
        """The same, of the public side."""
        return [
            event
            for frame in self.frames(*messages)
            for event in self.connector.read_public(frame, self.venue.now_ns)
        ]
