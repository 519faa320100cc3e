"""A simulated MEXC without sockets, for tests: core, gateway, one account, a market to move."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from openmm._fast.matching import Tif
from openmm.clock import ManualClock
from openmm.sim.core import VenueCore
from openmm.sim.dialects import MEXC_PAIRS, UNCOUNTED
from openmm.venues.counterpart import Tier
from openmm.venues.mexc.auth import Key
from openmm.venues.mexc.connector import MexcConnector
from openmm.venues.mexc.dialect import DialectOptions, MexcGateway
from openmm.venues.mexc.dialect_rest import MexcRest
from openmm.venues.mexc.rest import Rest
from openmm.venues.mexc.spec import Endpoints

NS = 1_000_000_000
T0 = 1_750_000_000 * NS
BTC = MEXC_PAIRS["BTC/USDT"][0]
PUBLIC, SECRET = "key", "secret"
BUY, SELL = 1, 2


class Venue:
    """One venue at a moment that the test moves on."""

    def __init__(self, options: DialectOptions | None = None, maker_ppm: int = 1000) -> None:
        self.core = VenueCore([BTC], 1, post_only_accepted=True)
        tier = Tier("uncounted", UNCOUNTED, UNCOUNTED, 200, UNCOUNTED, UNCOUNTED)
        money = {"BTC": Decimal(1), "USDT": Decimal(60_000)}
        self.account = self.core.open_account(PUBLIC, SECRET.encode(), money, tier, maker_ppm, 1000)
        self.gateway = MexcGateway(self.core, 1, options)
        self.http = MexcRest(self.gateway)
        self.clock = ManualClock(T0)
        self.asked: list[tuple[str, str]] = []
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

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        self.asked.append((verb, path))
        target = f"{path}?{query}" if query else path
        return self.http.answer(verb, target, headers, body, self.now_ns)

    async def close(self) -> None:
        """Nothing is held."""

    def rest(self, key: Key | None = None) -> Rest:
        return Rest(
            key=key or Key(PUBLIC, SECRET), clock=self.clock, round_trip=self, sleep=_at_once
        )

    def connector(self) -> MexcConnector:
        return MexcConnector(self.rest(), Endpoints(ws="ws://a/ws"))


async def _at_once(_seconds: float) -> None:
    """Wait for nothing: no time passes here."""
