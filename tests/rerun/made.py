"""Bots for the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openmm.config import BotConfig, parse


def bot(
    strategy: Mapping[str, Any] | None = None, *, venue: str = "kraken", pair: str = "BTC/USD",
    paper: Mapping[str, Any] | None = None, of_grid: bool = True, **risk: Any,
) -> BotConfig:  # fmt: skip
    """Make a narrow grid that fills often, changed by `strategy`, or of that alone."""
    grid = {
        "kind": "grid", "spread": "2.5bps", "level_step": "1bps", "order_amount": "0.01",
        "num_orders": 2, "rebalance_threshold": "20%", "target_base": "50%", "vol_factor": "0.2",
    }  # fmt: skip
    return parse(
        {
            "bot": {"name": "grid", "mode": "paper"},
            "venue": [{"name": venue, "quote": pair, "maker_fee": "0.01%", "taker_fee": "0.1%"}],
            "strategy": {**(grid if of_grid else {}), **(strategy or {})},
            "risk": {
                "max_order_size": "0.05", "max_open_notional": "50000", "max_inventory": "0.3",
                "max_drawdown": "5%", **risk,
            },
            "paper": {"base": "1", "quote": "60000", "latency": "20ms", **(paper or {})},
        }
    )  # fmt: skip
