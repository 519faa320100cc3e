"""A bot on each venue whose reference price comes from all the others too, on a virtual clock.

All venues have one fair value (the same seed), each its own order flow, latency and faults. Those
that are only watched trade less: their books have to be right, not busy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from openmm.config import BotConfig, parse
from openmm.journal import JournalRecord
from openmm.sim.faults import FaultScript
from openmm.sim.options import SimOptions
from openmm.testing.virtual import VirtualBot

NOWHERE = "127.0.0.1:1"
TETHER = "tether"
QUIET = {"arrivals_per_s": 1.0, "orders_a_side": 30, "taker_share": 0.05}
# A stable coin: its price hardly moves.
STABLE = {**QUIET, "calm_volatility": 0.01, "volatile_volatility": 0.03}


@dataclass(frozen=True)
class Place:
    """A venue as a bot meets it."""

    pair: str
    depth: int
    # Without a dead-man's switch at the venue, and with no process beside to stand in for it.
    alone: bool = False


PLACES = {
    "kraken": Place("BTC/USD", 25),
    "gateio": Place("BTC/USDT", 50),
    "bitget": Place("BTC/USDT", 400, alone=True),
    "mexc": Place("BTC/USDT", 500, alone=True),
}
WATCHED = {"binance": Place("BTC/USDT", 100)}


def config(quoted: str, **risk: Any) -> BotConfig:
    """Write the file of a bot that quotes on one venue and watches the others."""
    currency = PLACES[quoted].pair.partition("/")[2]
    at = {"ws": f"ws://{NOWHERE}/ws", "ws_auth": f"ws://{NOWHERE}/ws", "rest": f"http://{NOWHERE}"}
    venues: list[dict[str, Any]] = []
    for name, place in {**PLACES, **WATCHED}.items():
        one: dict[str, Any] = {"name": name, "depth": place.depth, "endpoints": at}
        if name == quoted:
            venues.append(one | {"quote": place.pair, "account": "dedicated"})
            continue
        one["reference"] = place.pair
        if place.pair.partition("/")[2] != currency:
            one["convert"] = TETHER
        venues.append(one)
    venues.append({"name": "kraken", "label": TETHER, "rate": "USDT/USD", "endpoints": at})
    alone = {"watchdog_timeout": "off"} if PLACES[quoted].alone else {}
    return parse(
        {
            "bot": {"name": "virtual", "mode": "live"},
            "venue": venues,
            "strategy": {
                "kind": "grid", "spread": "1.5bps", "level_step": "1bps", "order_amount": "0.01",
                "num_orders": 3, "rebalance_threshold": "20%", "target_base": "50%",
                "skew_full": "6bps", "vol_factor": "0.25", "tolerance": "0.3bps",
                "inventory_widen": "0%", "depth_factor": "0%",
            },
            "risk": {
                "max_order_size": "0.02", "max_open_notional": "50000", "max_inventory": "0.3",
                "max_drawdown": "5%", **alone, **risk,
            },
        }
    )  # fmt: skip


def bot(
    folder: Path, quoted: str, seed: int, *, faults: Callable[[int], FaultScript] | None = None,
    on_record: Callable[[JournalRecord], None] | None = None, **risk: Any,
) -> VirtualBot:  # fmt: skip
    """Make a bot with its files in a folder; not started.

    Args:
        faults: draws a venue's script from a seed, each venue's from its own.
    """

    def sim(name: str, number: int, **more: Any) -> SimOptions:
        script = None if faults is None else faults(1000 * number + seed)
        return SimOptions(
            venue=name, seed=seed, latency_ns=2_000_000, jitter_ns=500_000, faults=script, **more
        )

    made = config(quoted, **risk)
    watched = {
        one.label: sim(
            one.name, number, instrument=one.pair, market=STABLE if one.label == TETHER else QUIET
        )
        for number, one in enumerate(made.venue, 1)
        if one.quote is None
    }
    currency = made.quoted.pair.partition("/")[2]
    traded = sim(
        quoted, 0, maker_fee_ppm=0, taker_fee_ppm=1000,
        balances={"BTC": Decimal(1), currency: Decimal(60_000)},
    )  # fmt: skip
    return VirtualBot(made, traded, folder, watched=watched, on_record=on_record)
