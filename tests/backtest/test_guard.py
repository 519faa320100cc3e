"""The run over columns against the whole engine: the same orders and fills, risk layer and all."""

from __future__ import annotations

from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from openmm._fast.units import Side
from openmm.backtest import columns
from openmm.backtest.columns import FILL_FIELDS, Outcome, events_of
from openmm.backtest.model import MS, Model
from openmm.config import BotConfig, load
from openmm.events import OrderFilled
from openmm.rerun import runs
from openmm.rerun.streams import Stream, recorded, synthetic
from openmm.strategy.python import View
from openmm.strategy.quotes import Quotes
from tests.rerun.made import bot

ROOT = Path(__file__).parents[2]
EXAMPLES = ("glft", "avellaneda", "glft-touch", "grid-deep", "grid-queue", "grid-tight", "grid")
HOUR_NS = 3_600_000_000_000
FILL = {name: place for place, name in enumerate(FILL_FIELDS)}
SLOW = {"latency": "400ms"}


def both(
    config: BotConfig, stream: Stream, *, messages: bool = False
) -> tuple[runs.Result, list[OrderFilled], Outcome]:
    """Run the whole engine, and its hot path over the columns, or over the messages as they are."""
    booked: list[OrderFilled] = []
    # Questions to the venue take no time: the fills that they tell are ahead of the stream.
    settlement = config.settlement.model_copy(update={"reconcile_every_ns": HOUR_NS})
    config = config.model_copy(update={"settlement": settlement})
    whole = runs.run(config, stream, on_fill=booked.append)
    ns = (config.paper.latency_ns,)
    model = Model(orders_ns=ns, answers_ns=ns, as_received=messages)
    market = stream if messages else events_of(stream)
    made = columns.run(config, [market], model, start_ns=whole.quoted_ns)
    return whole, booked, made


def check_same(whole: runs.Result, booked: list[OrderFilled], made: Outcome) -> None:
    """Hold fills, what was sent, and the account against each other."""
    latency_ns = made.model.answers_ns[0]
    told = [
        (
            (int(row[FILL["told_ns"]]) - latency_ns) // MS, Side(row[FILL["side"]]),
            int(row[FILL["price_ticks"]]), int(row[FILL["qty_lots"]]),
        )
        for row in made.fills
    ]  # fmt: skip
    assert told == [(one.ts_ns // MS, one.side, one.price_ticks, one.qty_lots) for one in booked]
    one = whole.messages
    assert (made.placed, made.amended, made.cancelled) == (one.placed, one.amended, one.cancelled)
    base, quote = (a - b for a, b in zip(made.closing, made.opening, strict=True))
    pair = made.instrument
    paid = {pair.base: Decimal(0), pair.quote: Decimal(0)}
    for fill in booked:
        for fee in fill.fees:
            paid[fee.asset] += fee.amount
    assert pair.qty(base + made.base_fees_lots) == whole.report.pnl.position
    assert made.base_fees_lots == ceil(paid[pair.base] / pair.lot_size)
    assert quote * pair.tick_size * pair.lot_size == -paid[pair.quote] - sum(
        fill.cost if fill.side is Side.BUY else -fill.cost for fill in booked
    )


def test_a_recording_comes_to_the_same_but_for_its_late_trades(shared: Path) -> None:
    # One trade in five came after a book that holds it: the whole engine takes it when it came.
    stream = recorded(str(shared / "data/binance/spot_btcusdt_20240808.gz"))
    config = load(ROOT / "examples/bots/grid-tight.toml")
    whole, booked, made = both(config, stream, messages=True)
    assert len(booked) > 50
    check_same(whole, booked, made)
    ns = (config.paper.latency_ns,)
    model = Model(orders_ns=ns, answers_ns=ns)
    other = columns.run(config, [stream], model, start_ns=whole.quoted_ns)
    assert other.placed != made.placed


class Around:
    """Quote both sides of the reference; fail in every so many-th call."""

    def __init__(self, fail_every: int = 0) -> None:
        self.fail_every = fail_every
        self.calls = 0

    def quote(self, view: View) -> Quotes:
        """Return a level a side."""
        self.calls += 1
        if self.fail_every and self.calls % self.fail_every == 0:
            raise ValueError("no idea")
        mid = view.reference_uticks // 1_000_000
        return Quotes([(mid - 40, 1_000_000)], [(mid + 40, 1_000_000)])


def own(**params: int) -> BotConfig:
    return bot(
        {"kind": "python", "class": f"{__name__}:Around", "params": params}, of_grid=False
    )  # fmt: skip


def test_a_strategy_of_ones_own_comes_to_the_same() -> None:
    whole, booked, made = both(own(), synthetic("volatile", 5, 120))
    assert len(booked) > 20
    check_same(whole, booked, made)
    assert not made.problems


def test_failures_of_a_strategy_are_told() -> None:
    market = events_of(synthetic("volatile", 5, 20))
    (told,) = columns.run(own(fail_every=2), [market]).problems
    assert "the strategy failed" in told
    assert "no idea" in told
    assert "in a row" in told
    nothing, told = columns.run(own(fail_every=1), [market]).problems
    assert nothing == "nothing was quoted: the strategy wanted nothing"
    assert "ValueError: no idea" in told


@pytest.mark.parametrize("regime", ["calm", "volatile", "trending", "thin"])
def test_the_hot_path_over_columns_is_the_whole_engine(regime: str) -> None:
    whole, booked, made = both(bot(), synthetic(regime, 5, 120))
    assert len(booked) > 20
    check_same(whole, booked, made)


@pytest.mark.parametrize("venue", ["mexc", "bitget", "gateio"])
def test_so_it_is_with_every_venues_orders_and_fees(venue: str) -> None:
    # Two of them charge a buy in base, two have no amends.
    whole, booked, made = both(bot(venue=venue, pair="BTC/USDT"), synthetic("volatile", 5, 120))
    assert len(booked) > 20
    assert (made.base_fees_lots > 0) == (venue in {"bitget", "gateio"})
    assert (made.amended > 0) == (venue == "gateio")
    check_same(whole, booked, made)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_bot_comes_to_the_same(name: str) -> None:
    config = load(ROOT / "examples" / "bots" / f"{name}.toml")
    whole, booked, made = both(config, synthetic("trending", 6, 90))
    assert whole.messages.placed > 5
    check_same(whole, booked, made)


@pytest.mark.parametrize(
    ("strategy", "risk", "reason"),
    [
        ({}, {"fills_per_minute": 12}, "fills_per_minute"),
        ({}, {"cancels_per_minute": 5}, "cancels_per_minute"),
        ({"paper": SLOW}, {"post_only_per_minute": 1}, "post_only_per_minute"),
        ({}, {"max_drawdown": "0.01%"}, "drawdown"),
        ({}, {"max_drawdown_peak": "0.01%"}, "drawdown_peak"),
        ({"num_orders": 1}, {"max_inventory": "0.015"}, "inventory"),
        ({"paper": SLOW}, {"max_slippage": "0.01%"}, "slippage"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_the_risk_layer_acts_as_it_does_in_a_session(
    strategy: dict[str, Any], risk: dict[str, Any], reason: str
) -> None:
    paper = strategy.pop("paper", None)
    whole, booked, made = both(bot(strategy, paper=paper, **risk), synthetic("volatile", 5, 240))
    assert any(f"{reason}:" in one for one in made.problems)
    told = [one for one in whole.problems if one.startswith("risk ")]
    assert [one for one in made.problems if one.startswith("risk ")] == told
    check_same(whole, booked, made)


def test_inventory_is_taken_back_as_in_a_session() -> None:
    config = bot(
        {
            "rebalance": "take", "rebalance_threshold": "1%", "rebalance_exit": "0.5%",
            "rebalance_wait": "1s", "order_amount": "0.02", "rebalance_slippage": "50bps",
        }
    )  # fmt: skip
    whole, booked, made = both(config, synthetic("trending", 5, 240))
    assert not all(one.maker for one in booked), "it took"
    check_same(whole, booked, made)
