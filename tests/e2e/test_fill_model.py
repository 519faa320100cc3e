"""The fill model as docs/comparing.md tells it, on markets written by hand, computed by hand.

Best bid 100.00 with 1 in front of us, best ask 100.20 with 1; nothing moves but what a case tells.
The bot joins both with 0.1, 20 ms away. The mid is 100.10, so a fill at 100.00 has captured 0.10 a
coin; the fee is 0.1% of what was paid.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openmm.config import parse
from openmm.rerun.runs import Result, run
from openmm.rerun.streams import recorded
from openmm.strategy.python import View
from openmm.strategy.quotes import Quotes
from tests.rerun.told import copy, levels, quiet, trade, written

Message = tuple[int, dict[str, object]]
BOOK = copy(
    0,
    [("100.00", "1.00000"), ("99.99", "5.00000")],
    [("100.20", "1.00000"), ("100.21", "5.00000")],
)
LOTS = 10_000  # 0.1


class Joins:
    """Join the best prices as they stand."""

    def quote(self, view: View) -> Quotes:
        """Return a level a side."""
        return Quotes([(view.best_bid_ticks, LOTS)], [(view.best_ask_ticks, LOTS)])


class Wants:
    """Want nothing."""

    def quote(self, view: View) -> None:
        """Return nothing."""


def bot(strategy: type = Joins, **risk: str) -> Any:
    return parse(
        {
            "bot": {"name": "joins", "mode": "paper"},
            "venue": [
                {
                    "name": "kraken", "quote": "BTC/USDT", "maker_fee": "0.1%",
                    "taker_fee": "0.2%", "max_spread": "5%",
                }
            ],
            "strategy": {
                "kind": "python", "class": f"{__name__}:{strategy.__name__}",
                "inventory_scale": "1",
            },
            "risk": {
                "max_order_size": "1", "max_open_notional": "100000", "max_inventory": "10",
                "max_drawdown": "50%", "price_collar": "20%", **risk,
            },
            "paper": {"base": "10", "quote": "1000", "latency": "20ms"},
        }
    )  # fmt: skip


def played(folder: Path, told: list[Message], config: Any = None) -> Result:
    messages = [BOOK, *quiet(100, 12_000), *told]
    return run(config or bot(), recorded(written(folder / "market.gz", messages)))


CASES: dict[str, tuple[list[Message], str, str]] = {
    # What happens, what was bought at 100.00, what was sold at 100.20.
    "nothing": ([], "0", "0"),
    "less than the queue ahead": ([trade(10_050, "100.00", "0.99999", "sell")], "0", "0"),
    "the queue ahead and half of ours": (
        [trade(10_050, "100.00", "0.50000", "sell"), trade(10_060, "100.00", "0.55000", "sell")],
        "0.05", "0",
    ),
    "more than all": ([trade(10_050, "100.00", "9.00000", "sell")], "0.1", "0"),
    "the other side's taker": ([trade(10_050, "100.20", "1.03000", "buy")], "0", "0.03"),
    "cancelled behind us": (
        # 0.7 went from behind: 0.3 are left, which all stand ahead.
        [levels(10_010, [("100.00", "0.30000")]), trade(10_050, "100.00", "0.34000", "sell")],
        "0.04", "0",
    ),
    "joined behind us": (
        [levels(10_010, [("100.00", "5.00000")]), trade(10_050, "100.00", "1.04000", "sell")],
        "0.04", "0",
    ),
    "through our price": ([trade(10_050, "99.99", "0.02000", "sell")], "0.02", "0"),
    "the opposite best at our price": (
        # What is shown there and no more, however often it is told again.
        [
            levels(10_010, [("100.00", "0")], [("100.00", "0.03000")]),
            levels(10_030, [("99.98", "1.00000")], [("100.00", "0.03000")]),
        ],
        "0.03", "0",
    ),
    "both sides": (
        [trade(10_050, "99.99", "0.02000", "sell"), trade(10_070, "100.21", "0.02000", "buy")],
        "0.02", "0.02",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_fills_are_those_computed_by_hand(tmp_path: Path, case: str) -> None:
    told, bought, sold = CASES[case]
    found = played(tmp_path, told)
    volume = found.report.volume
    assert (volume.buys.base, volume.sells.base) == (Decimal(bought), Decimal(sold))
    paid, got = Decimal(bought) * 100, Decimal(sold) * Decimal("100.2")
    assert (volume.buys.quote, volume.sells.quote) == (paid, got)
    assert volume.taker.fills == 0
    split = found.report.by_cause
    assert split is not None
    whole = split.total
    assert whole.fees == (paid + got) / 1000
    # Where the ask came down, the mid at the fill was 99.995.
    mid = Decimal("99.995" if "opposite" in case else "100.1")
    assert whole.spread == Decimal(bought) * (mid - 100) + Decimal(sold) * (Decimal("100.2") - mid)
    # It stays there: nothing but the spread was earned.
    assert {whole.adverse, whole.drift, whole.unsplit} == {Decimal(0)}
    assert whole.net == whole.spread - whole.fees
    assert found.extremes.greatest >= Decimal(bought) - Decimal(sold)
    assert found.problems == ()


@pytest.mark.parametrize(("after_ms", "bought"), [(15, "0"), (25, "0.05")])
def test_an_order_arrives_after_its_way_and_not_before(
    tmp_path: Path, after_ms: int, bought: str
) -> None:
    # The best bid goes up by itself; ours follows behind it, 20 ms later.
    told = [
        levels(10_010, [("100.05", "1.00000")]),
        trade(10_010 + after_ms, "100.05", "1.05000", "sell"),
    ]
    found = played(tmp_path, told)
    buys = found.report.volume.buys
    assert (buys.base, buys.quote) == (Decimal(bought), Decimal(bought) * Decimal("100.05"))


def test_an_order_that_is_moved_may_still_fill_on_the_way(tmp_path: Path) -> None:
    told = [
        levels(10_010, [("100.05", "1.00000")]),
        trade(10_025, "99.99", "3.00000", "sell"),
    ]
    buys = played(tmp_path, told).report.volume.buys
    assert (buys.base, buys.quote) == (Decimal("0.1"), Decimal(10))


def test_a_bot_that_never_quoted_says_so(tmp_path: Path) -> None:
    assert played(tmp_path, [], bot(Wants)).problems == (
        "nothing was quoted: the strategy wanted nothing",
    )
    (problem,) = played(tmp_path, [], bot(price_collar="0.01%")).problems
    assert problem.startswith("nothing was quoted: ")
    assert "PRICE_COLLAR" in problem
