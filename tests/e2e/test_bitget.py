"""A bot trades on the simulated Bitget: every generation of its feed, both families of accounts."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from openmm._fast.book import BookState
from openmm.config import BotConfig, parse
from openmm.sim.options import SimOptions
from openmm.testing.virtual import VirtualBot
from openmm.venues.bitget.dialect import BitgetGateway

NOWHERE = "127.0.0.1:1"


def config(depth: int = 400, **options: str | bool) -> BotConfig:
    # A classic account has no dead-man's switch.
    unified = options.get("account") == "unified"
    dead_man = {"dead_man_timeout": "30s" if unified else "off"}
    return parse(
        {
            "bot": {"name": "bit", "mode": "live"},
            "venue": [
                {
                    "name": "bitget", "quote": "BTC/USDT", "account": "dedicated", "depth": depth,
                    "options": options,
                    "endpoints": {
                        "ws": f"ws://{NOWHERE}/v2/ws", "ws_auth": f"ws://{NOWHERE}/v2/ws",
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
                "max_drawdown": "5%", **dead_man,
            },
        }
    )  # fmt: skip


def sim(venue: str, seed: int = 3) -> SimOptions:
    money = {"BTC": Decimal(1), "USDT": Decimal(60_000)}
    return SimOptions(
        venue=venue, seed=seed, maker_fee_ppm=50, taker_fee_ppm=1000,
        latency_ns=2_000_000, jitter_ns=500_000, balances=money,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("venue", "settings", "depth"),
    [
        ("bitget", config(account="classic"), 400),
        ("bitget-2026", config(5), 5),
        ("bitget-legacy", config(), 400),
        ("bitget-unified", config(account="unified"), 400),
        ("bitget-unified", config(account="unified", amend=True), 400),
        ("bitget", config(fills="fill"), 400),
    ],
    ids=["chained", "touch", "checksums", "unified", "unified amending", "fill channel"],
)
def test_a_bot_trades_and_its_ledger_is_the_venues(
    tmp_path: Path, venue: str, settings: BotConfig, depth: int
) -> None:
    bot = VirtualBot(settings, sim(venue), tmp_path)
    bot.start()
    assert bot.tables.pipeline.feed.book.state is BookState.BOOK_VERIFIED
    bot.run(180)
    assert bot.stop() == 0
    counters = bot.step.counters
    assert counters.fills > 5
    assert counters.fills == len(bot.statement()["fills"])
    assert bot.differences() == {}
    assert bot.open_orders() == []
    assert counters.overfills == counters.illegal == counters.unrecognised == 0
    fees = {row["fee_asset"] for row in bot.statement()["fills"]}
    assert fees == {"BTC", "USDT"}
    # Ten messages a second are all that a connection may send.
    gateway = bot.venue.gateway
    assert isinstance(gateway, BitgetGateway)
    assert gateway.over_limit == 0
