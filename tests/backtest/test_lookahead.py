"""A look ahead is caught: one in code by the cut, one in the data by what older news are worth."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from openmm.backtest.chances import STAY
from openmm.backtest.columns import Outcome, run
from openmm.backtest.lookahead import (
    CLIFF,
    HANGS,
    HOLDS,
    IMPROVES,
    LAGGED,
    LAGS_NS,
    NEWS,
    REQUESTS,
    SHORT,
    differences,
    lags,
    look_ahead,
    shifted,
)
from openmm.backtest.measures import measure
from openmm.backtest.model import MS, SECOND, Model
from openmm.config import BotConfig, parse
from openmm.data.events import ASK, CLEAR, LEVEL, MESSAGE_END, TRADE, Events, Market
from tests.backtest.outcomes import market
from tests.data.made import events_of
from tests.rerun.made import bot

START_NS = 1_750_000_000 * SECOND
NEAR = Model(orders_ns=(2 * MS,), answers_ns=(2 * MS,), rate_threshold=1_000_000)
QUOTED = Market("kraken", "BTC/USD", Decimal("0.1"), Decimal("0.001"))
WATCHED = Market("coinbase", "BTC/USD", Decimal("0.1"), Decimal("0.001"))
STEP_S, STEPS = 1, 200
# In ticks of 0.1 at 60,000: a move is 8 bps, there and back; our quotes stand 2 bps off.
MOVE, TOUCH, TAKEN = 480, 200, 150


# Quotes one market around the mid of another.
LED = """
[bot]
name = "led"
mode = "paper"

[[venue]]
name = "kraken"
quote = "BTC/USD"
maker_fee = "0%"
taker_fee = "0.1%"
weight = "0"

[[venue]]
name = "coinbase"
reference = "BTC/USD"

[strategy]
kind = "grid"
spread = "4bps"
level_step = "1bps"
order_amount = "0.01"
num_orders = 1
rebalance_threshold = "50%"
target_base = "50%"
queue_value = "0 ticks"
vol_factor = "0"

[risk]
max_order_size = "0.05"
max_open_notional = "50000"
max_inventory = "5"
max_drawdown = "50%"

[paper]
base = "10"
quote = "600000"
"""


def informed() -> BotConfig:
    return parse(tomllib.loads(LED))


def two_markets(told_ms: int) -> list[Events]:
    """Make a market that is taken from just before it moves, and one that tells of the move.

    Args:
        told_ms: when the other tells, off the moment at which the first one is taken from.
    """
    rng = np.random.default_rng(5)
    middle = 600_000
    quoted: list[tuple[int, int, int, int, int]] = []
    watched: list[tuple[int, int, int, int, int]] = []
    for number in range(STEPS):
        at = START_NS + number * STEP_S * SECOND
        up = number % 2 == 0
        moved = middle + (MOVE if up else -MOVE)
        if number:
            quoted.append(taker(at, middle, sells=not up))
        else:
            moved = middle
        quoted += book(at + MS, moved)
        watched += book(at + told_ms * MS, moved)
        # News of a level far off: one event later is soon.
        quoted += [
            (at + ms * MS, at, moved - 5 * TOUCH, ms, LEVEL | MESSAGE_END)
            for ms in range(5, 1_000, 20)
        ]
        # Those who know nothing pay the spread.
        if rng.random() < 0.8:
            quoted.append(taker(at + 410 * MS, moved, sells=False))
            quoted.append(taker(at + 610 * MS, moved, sells=True))
        middle = moved
    return [events_of(sorted(quoted), QUOTED), events_of(sorted(watched), WATCHED)]


def taker(at: int, middle: int, *, sells: bool) -> tuple[int, int, int, int, int]:
    price = middle + (-TAKEN if sells else TAKEN)
    return at, at, price, 20, TRADE | MESSAGE_END | (ASK if sells else 0)


def book(at: int, middle: int) -> list[tuple[int, int, int, int, int]]:
    return [
        (at, at, 0, 0, CLEAR), (at, at, middle - TOUCH, 5_000, LEVEL),
        (at, at, middle + TOUCH, 5_000, LEVEL | ASK | MESSAGE_END),
    ]  # fmt: skip


def test_behind_leaves_with_the_next_read() -> None:
    markets = two_markets(told_ms=3)
    reads = np.unique(np.concatenate([one.recv_ns for one in markets]))
    delay_ns = NEAR.orders_ns[0]
    found = run(informed(), markets, NEAR, behind=True)
    sent_ns = found.orders[:, 1] - delay_ns
    assert len(sent_ns) > 100
    assert np.isin(sent_ns, reads).all()
    at_once = run(informed(), markets, NEAR)
    assert not np.isin(at_once.orders[:, 1] - delay_ns, reads).all()
    assert found.open_orders == at_once.open_orders == 0


def test_an_honest_run_holds() -> None:
    found = look_ahead(informed(), two_markets(told_ms=3), NEAR)
    assert found.good
    assert found.shift.verdict == HOLDS
    assert found.changed == ()
    assert len(found.cuts) == 4
    assert [one.verdict for one in found.lags] == [HOLDS] * 2 * len(LAGS_NS)
    assert "the future changes nothing (4 cuts)" in found.told
    assert found.to_json()["good"] is True


def test_a_market_that_tells_too_early_is_caught() -> None:
    # The same, but the other market's clock runs ahead: it tells before the takers come.
    honest = look_ahead(informed(), two_markets(told_ms=3), NEAR)
    cheat = look_ahead(informed(), two_markets(told_ms=-3), NEAR)
    assert cheat.shift.net > honest.shift.net
    assert not cheat.good
    assert cheat.shift.verdict == HANGS
    assert cheat.shift.later_net < cheat.shift.net
    assert "receive times that are early" in cheat.told


@pytest.mark.parametrize(("early_ms", "gone_ms"), [(20, 20), (100, 100), (300, 500)])
def test_foresight_that_is_longer_than_a_read_is_caught(early_ms: int, gone_ms: int) -> None:
    found = look_ahead(informed(), two_markets(told_ms=-early_ms), NEAR)
    # One event says nothing of it: the lead is longer than that.
    assert found.shift.verdict == HOLDS
    assert not found.good
    for of in (NEWS, REQUESTS):
        mine = [one for one in found.lags if one.of == of]
        assert [one.lag_ns for one in mine] == list(LAGS_NS)
        fell = [one.lag_ns // MS for one in mine if one.verdict == CLIFF]
        assert fell[:1] == [gone_ms]
        assert all(one.net == found.shift.net for one in mine if one.lag_ns < early_ms * MS)
    assert f"MORE IS GONE AT {gone_ms} ms" in found.told
    told = found.to_json()
    assert told["good"] is False
    assert [one["verdict"] for one in told["lags"]].count(CLIFF) >= 2


def test_what_a_lag_costs_in_proportion_is_no_cliff() -> None:
    rng = np.random.default_rng(3)
    per_ms = np.abs(rng.normal(10, 1, 300))
    base = made(np.cumsum(rng.normal(0, 5, 300)))
    for power, fell in ((1.0, []), (0.5, []), (2.0, [20, 100, 500, 1000])):
        later = [
            made(base.curve.pnl_ticklots[1:-1] - np.cumsum(per_ms) * (ns / (5 * MS)) ** power)
            for ns in LAGS_NS
        ]
        found = lags(NEWS, base, later)
        # Whatever the first lag costs beyond its error is told.
        assert [one.lag_ns // MS for one in found if one.verdict == CLIFF] == [5, *fell]
    gains = [made(base.curve.pnl_ticklots[1:-1] + np.cumsum(per_ms)) for _ in LAGS_NS]
    assert all(one.verdict == HOLDS for one in lags(NEWS, base, gains))


def test_a_bot_that_watches_nothing_has_slower_requests_alone() -> None:
    found = look_ahead(bot(), [market(seconds=150)], Model())
    assert found.good
    assert [(one.of, one.lag_ns) for one in found.lags] == [(REQUESTS, ns) for ns in LAGS_NS]
    assert f"where {LAGGED[REQUESTS]} by 5, 20, 100, 500, 1000 ms" in found.told
    assert LAGGED[NEWS] not in found.told


def made(pnl_ticklots: Any) -> Any:
    """Return what `lags` reads of a run's measures."""
    curve = SimpleNamespace(pnl_ticklots=np.array([0, *np.round(pnl_ticklots), 0]))
    return SimpleNamespace(curve=curve, unit=Decimal("0.01"), net=Decimal(0))


def test_one_event_of_foresight_is_an_improvement() -> None:
    # The other way round: the data as they should be, shifted by one event ahead.
    markets = two_markets(told_ms=-3)
    late = measure(run(informed(), markets, NEAR, behind=True))
    ahead = measure(run(informed(), markets, NEAR))
    found = shifted(late, ahead)
    assert found.verdict == IMPROVES
    assert found.difference > 3 * found.error > 0


def peeking(config: BotConfig, markets: Sequence[Events], model: Model, **told: Any) -> Outcome:
    """Run a bot whose target is what the last price of the data makes right."""
    prices = markets[0].price_ticks[markets[0].kinds == TRADE]
    width = "3bps" if prices[-1] > prices[0] else "5bps"
    return run(bot({"spread": width}), markets, model, **told)


def test_code_that_reads_ahead_is_caught_by_the_cut() -> None:
    events = market(seconds=150)
    found = look_ahead(bot(), [events], Model(), peeking)
    assert not found.good
    assert any(one.startswith("fills before") for one in found.changed)
    assert "THE FUTURE CHANGES" in found.told


@pytest.mark.parametrize("every_ns", [0, 100 * MS])
def test_the_engine_does_not(every_ns: int) -> None:
    found = look_ahead(bot(), [market(seconds=150)], Model(every_ns=every_ns))
    assert found.changed == ()
    assert found.good


def test_a_few_seconds_say_nothing() -> None:
    assert look_ahead(bot(), [market(seconds=60)], Model()).shift.verdict == SHORT


def test_every_row_before_the_cut_counts() -> None:
    events = market(seconds=60)
    whole = run(bot(), [events], Model())
    cut_ns = whole.started_ns + 30 * SECOND
    short = run(bot(), [events.between(0, cut_ns)], Model())
    assert differences(short, whole, cut_ns) == []
    assert len(short.fills) > 5
    for name in ("fills", "marks", "orders"):
        rows = getattr(short, name).copy()
        rows[0, 4] += 1
        changed = Changed(short, **{name: rows})
        assert differences(changed, whole, cut_ns) == [f"{name} before 30.0 s"]  # type: ignore[arg-type]


def test_an_order_that_is_made_smaller_after_the_cut_is_no_look_ahead() -> None:
    events = market(seconds=60)
    whole = run(bot(), [events], Model())
    cut_ns = whole.started_ns + 30 * SECOND
    short = run(bot(), [events.between(0, cut_ns)], Model())
    ended = short.orders[:, STAY["ended_ns"]]
    for goes_on, told in ((True, []), (False, ["orders before 30.0 s"])):
        (row, *_) = np.flatnonzero((ended >= short.ended_ns) == goes_on)
        rows = short.orders.copy()
        rows[row, STAY["qty_lots"]] -= 1
        changed = Changed(short, orders=rows)
        assert differences(changed, whole, cut_ns) == told  # type: ignore[arg-type]


class Changed:
    """An outcome with other rows."""

    def __init__(self, one: Outcome, **told: Any) -> None:
        self._one, self._told = one, told

    def __getattr__(self, name: str) -> Any:
        return self._told[name] if name in self._told else getattr(self._one, name)
