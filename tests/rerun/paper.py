"""A whole bot on paper on a virtual clock, whose records go to a shadow."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from openmm.journal import JournalRecord
from openmm.sim.options import SimOptions
from openmm.testing.virtual import VirtualBot
from tests.rerun.made import bot

LIVELY = {"half_spread_bps": 1.5, "taker_share": 0.3}


def paper_bot(
    folder: Path, venue: str = "kraken", pair: str = "BTC/USD",
    on_record: Callable[[JournalRecord], None] | None = None,
) -> VirtualBot:  # fmt: skip
    """Make a bot that fills often; not started."""
    quote = pair.partition("/")[2]
    return VirtualBot(
        bot(venue=venue, pair=pair, paper={"base": "1", "quote": "60000", "latency": "20ms"}),
        SimOptions(
            venue=venue, seed=3, latency_ns=2_000_000, jitter_ns=500_000, market=LIVELY,
            balances={"BTC": Decimal(1), quote: Decimal(60_000)},
        ),
        folder,
        on_record=on_record,
    )  # fmt: skip


def play(made: VirtualBot, seconds: float) -> None:
    """Run a bot to its clean end."""
    made.start()
    made.run(seconds)
    assert made.stop() == 0
