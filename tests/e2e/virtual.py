"""A bot on a virtual clock, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from openmm.config import BotConfig, parse
from openmm.journal import JournalRecord
from openmm.sim.faults import FaultScript
from openmm.sim.options import SimOptions
from openmm.testing.virtual import VirtualBot

NOWHERE = "127.0.0.1:1"


def config(strategy: Mapping[str, Any] | None = None, **risk: Any) -> BotConfig:
    """Make the configuration of a narrow grid that fills often, or as `strategy` has it."""
    return parse(
        {
            "bot": {"name": "virtual", "mode": "live"},
            "venue": [
                {
                    "name": "kraken", "quote": "BTC/USD", "account": "dedicated",
                    "endpoints": {
                        "ws": f"ws://{NOWHERE}/v2", "ws_auth": f"ws://{NOWHERE}/v2",
                        "rest": f"http://{NOWHERE}",
                    },
                }
            ],
            "strategy": {
                "kind": "grid", "spread": "1.5bps", "level_step": "1bps", "order_amount": "0.01",
                "num_orders": 3, "rebalance_threshold": "20%", "target_base": "50%",
                "skew_full": "6bps", "vol_factor": "0.25", "tolerance": "0.3bps",
                "inventory_widen": "0%", "depth_factor": "0%", **(strategy or {}),
            },
            "risk": {
                "max_order_size": "0.02", "max_open_notional": "50000", "max_inventory": "0.3",
                "max_drawdown": "5%", **risk,
            },
        }
    )  # fmt: skip


def bot(
    folder: Path, seed: int = 3, *, faults: FaultScript | None = None,
    on_record: Callable[[JournalRecord], None] | None = None, **risk: Any,
) -> VirtualBot:  # fmt: skip
    """Make a bot with its files in a folder; not started."""
    return VirtualBot(
        config(**risk),
        SimOptions(
            seed=seed, maker_fee_ppm=0, taker_fee_ppm=1000, latency_ns=2_000_000,
            jitter_ns=500_000, balances={"BTC": Decimal(1), "USD": Decimal(60_000)}, faults=faults,
        ),
        folder,
        on_record=on_record,
    )  # fmt: skip
