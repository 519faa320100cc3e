"""A bot trades on the simulated Bitget: every generation of its feed, both families of accounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmm._fast.book import BookState
from openmm.config import BotConfig
from openmm.testing.virtual import VirtualBot
from openmm.venues.bitget.dialect import BitgetGateway
from tests.e2e.usdt import config, sim


def bitget(depth: int = 400, **options: str | bool) -> BotConfig:
    # A classic account has no dead-man's switch.
    unified = options.get("account") == "unified"
    risk = {"dead_man_timeout": "30s" if unified else "off"}
    return config("bitget", depth, risk=risk, options=options)


@pytest.mark.parametrize(
    ("venue", "settings", "depth"),
    [
        ("bitget", bitget(account="classic"), 400),
        ("bitget-2026", bitget(5), 5),
        ("bitget-legacy", bitget(), 400),
        ("bitget-unified", bitget(account="unified"), 400),
        ("bitget-unified", bitget(account="unified", amend=True), 400),
        ("bitget", bitget(fills="fill"), 400),
    ],
    ids=["chained", "touch", "checksums", "unified", "unified amending", "fill channel"],
)
def test_a_bot_trades_and_its_ledger_is_the_venues(
    tmp_path: Path, venue: str, settings: BotConfig, depth: int
) -> None:
    bot = VirtualBot(settings, sim(venue, maker_ppm=50), tmp_path)
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
