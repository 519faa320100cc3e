"""A quoting bot on any of the four venues, in virtual time, whose venue can be made to lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from openmm.config import BotConfig, parse
from openmm.journal import IncidentRecord, JournalRecord, read_payload
from openmm.sim.faults import FaultScript, parse_script
from openmm.sim.options import SimOptions
from openmm.testing.virtual import VirtualBot

NOWHERE = "127.0.0.1:1"


@dataclass(frozen=True)
class Place:
    """A venue as a bot meets it.

    `third`: an asset that is not traded and fees can be charged in. `moves`: what its stream calls
    a deposit and a withdrawal; nothing where it tells totals only.
    """

    pair: str
    depth: int
    alone: bool
    third: str
    moves: tuple[str, str] | None


PLACES = {
    "kraken": Place("BTC/USD", 25, False, "ETH", ("deposit", "withdrawal")),
    "gateio": Place("BTC/USDT", 50, False, "ETH", ("deposit", "withdraw")),
    "bitget": Place("BTC/USDT", 400, True, "XRP", None),
    "mexc": Place("BTC/USDT", 500, True, "ETH", ("deposit", "withdraw")),
}


def config(venue: str, **settlement: Any) -> BotConfig:
    """Write the file of a narrow grid that fills often."""
    place = PLACES[venue]
    risk: dict[str, Any] = {"watchdog_timeout": "off"} if place.alone else {}
    return parse(
        {
            "bot": {"name": venue, "mode": "live"},
            "venue": [
                {
                    "name": venue, "quote": place.pair, "account": "dedicated",
                    "depth": place.depth,
                    "endpoints": {
                        "ws": f"ws://{NOWHERE}/ws", "ws_auth": f"ws://{NOWHERE}/ws",
                        "rest": f"http://{NOWHERE}",
                    },
                }
            ],
            "strategy": {
                "kind": "grid", "spread": "2bps", "level_step": "1bps", "order_amount": "0.01",
                "num_orders": 2, "rebalance_threshold": "20%", "target_base": "50%",
                "skew_full": "6bps", "vol_factor": "0.25", "tolerance": "0.3bps",
                "inventory_widen": "0%", "depth_factor": "0%",
            },
            "risk": {
                "max_order_size": "0.02", "max_open_notional": "50000", "max_inventory": "0.3",
                "max_drawdown": "5%", **risk,
            },
            "settlement": {"reconcile_every": "30s", **settlement},
        }
    )  # fmt: skip


class Planted:
    """A bot, the account of its venue, and the incidents that went on record."""

    def __init__(
        self, venue: str, folder: Path, *, faults: Sequence[dict[str, Any]] = (), seed: int = 3,
        third: bool = False, keep: bool = False, **settlement: Any,
    ) -> None:  # fmt: skip
        self.venue = venue
        self.place = PLACES[venue]
        self.base, self.quote = self.place.pair.split("/")
        script: FaultScript | None = None
        if faults:
            script = parse_script({"seed": seed, "fault": list(faults)})
        held = {self.base: Decimal(1), self.quote: Decimal(60_000)}
        if third:
            held[self.place.third] = Decimal(2)
        sim = SimOptions(
            venue=venue, seed=seed, maker_fee_ppm=100, taker_fee_ppm=1000, latency_ns=2_000_000,
            jitter_ns=500_000, faults=script, balances=held,
            idle_pairs=(f"{self.place.third}/{self.quote}",) if third else (),
        )  # fmt: skip
        self._keep = keep
        self.told: list[IncidentRecord] = []
        self.records: list[JournalRecord] = []
        self.bot = VirtualBot(config(venue, **settlement), sim, folder, on_record=self._take)
        self.core, self.account = self.bot.core, self.bot.account

    def _take(self, record: JournalRecord) -> None:
        if self._keep:
            self.records.append(record)
        read = read_payload(record)
        if isinstance(read, IncidentRecord) and read.number:
            self.told.append(read)

    def atoms(self, asset: str, amount: str) -> int:
        """Return an amount in the venue's atoms."""
        return int(Decimal(amount).scaleb(self.core.asset_decimals(asset)))

    def until(self, seen: Callable[[], bool], seconds: int = 600) -> None:
        """Let virtual time pass until something is seen."""
        for _ in range(seconds):
            if seen():
                return
            self.bot.run(1)
        raise AssertionError(f"not seen within {seconds} s; incidents: {self.told}")

    def incident(self, **wanted: Any) -> IncidentRecord | None:
        """Return the newest record of an incident that has these values."""
        for one in reversed(self.told):
            if all(getattr(one, key) == value for key, value in wanted.items()):
                return one
        return None

    def until_told(self, **wanted: Any) -> IncidentRecord:
        """Let time pass until an incident with these values is on record; return it."""
        self.until(lambda: self.incident(**wanted) is not None)
        found = self.incident(**wanted)
        assert found is not None
        return found

    def hit(self) -> None:
        """Let the market take one of the bot's orders as a whole."""
        self.until(lambda: bool(self.core.open_orders(self.account)))
        order = self.core.open_orders(self.account)[0]
        before = self.fills()
        assert self.bot.venue.strikes.fill(order, 1_000_000, self.bot.now_ns)
        assert self.fills() > before

    def fills(self) -> int:
        """How many fills the venue counts."""
        return len(self.core.fills(self.account))
