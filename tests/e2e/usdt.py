"""One bot and one market for every venue whose main quote asset is USDT."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from openmm.config import BotConfig, parse
from openmm.sim.faults import FaultScript
from openmm.sim.options import SimOptions

# Never asked: a bot in memory has its venue beside it.
NOWHERE = "127.0.0.1:1"


def config(
    venue: str,
    depth: int,
    *,
    risk: Mapping[str, str] | None = None,
    options: Mapping[str, str | bool] | None = None,
) -> BotConfig:
    """Write a bot's file; `risk` and `options` are of the venue at hand."""
    return parse(
        {
            "bot": {"name": venue, "mode": "live"},
            "venue": [
                {
                    "name": venue, "quote": "BTC/USDT", "account": "dedicated", "depth": depth,
                    "options": dict(options or {}),
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
                "max_drawdown": "5%", **(risk or {}),
            },
        }
    )  # fmt: skip


def sim(
    venue: str, *, seed: int = 3, maker_ppm: int = 0, faults: FaultScript | None = None
) -> SimOptions:
    """Describe the simulated venue, by the name of its dialect."""
    money = {"BTC": Decimal(1), "USDT": Decimal(60_000)}
    return SimOptions(
        venue=venue, seed=seed, maker_fee_ppm=maker_ppm, taker_fee_ppm=1000,
        latency_ns=2_000_000, jitter_ns=500_000, balances=money, faults=faults,
    )  # fmt: skip
