"""Counts of what is the same, and the whole comparison of a session with its backtest."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from openmm._fast.planner import ActionKind
from openmm.backtest.model import Model, load
from openmm.drift.measured import (
    count_fates,
    count_fills,
    count_orders,
    fitted_delays,
    matched,
    measured,
    model_of,
    same_orders,
)
from openmm.drift.own import Got, Ordered
from openmm.drift.past import Past
from openmm.drift.schedule import Fate
from openmm.errors import JournalError
from openmm.journal import ActionRecord, read_session, session_record
from tests.drift import live

MS = 1_000_000
PLACE, AMEND, CANCEL = (
    int(getattr(ActionKind, f"ACTION_{name}")) for name in ("PLACE", "AMEND", "CANCEL")
)


def order(ns: int, price: int = 100, seq: int = 1, kind: int = 3) -> Ordered:
    return Ordered(ns, ActionRecord(kind, 4, seq, price, 5, 1, 0))


def test_the_nearest_of_the_same_is_its_pair_and_none_is_taken_twice() -> None:
    session = [("a", 10), ("a", 50), ("b", 60)]
    expected = [("a", 11), ("a", 49), ("a", 52), ("c", 60)]
    assert matched(session, expected, 5) == [(0, 0), (1, 1)]
    assert matched(session, [("b", 66)], 5) == []
    assert matched(session, [("b", 65)], 5) == [(2, 0)]
    assert matched([("a", 1), ("a", 2)], [("a", 2)], 5) == [(0, 0)]


def test_orders_are_exact_in_every_field_and_the_same_by_what_they_ask() -> None:
    session = [order(10, kind=PLACE), order(20, 101, 2, PLACE), order(30, 102)]
    assert count_orders(session, session).exact == 3
    expected = [order(10, kind=PLACE), order(25, 101, 9, PLACE), order(31, 102, kind=CANCEL)]
    told = count_orders(session, expected)
    assert (told.exact, told.matched, told.missing, told.extra) == (1, 2, 1, 1)
    assert told.share == 0.5
    assert told.apart_ns == (-5, 0, 0, 0)
    assert count_orders([], []).share == 1


def test_what_becomes_of_an_order_is_matched_with_that_order() -> None:
    # One run places an order more, so that the numbers of all later ones are others.
    session = [order(10, kind=PLACE), order(20, 101, 2, PLACE), order(30, 102, 2, AMEND)]
    expected = [
        order(10, kind=PLACE), order(15, 90, 2, PLACE), order(20, 101, 3, PLACE),
        order(30, 102, 3, AMEND),
    ]  # fmt: skip
    assert same_orders(session, expected) == {1: 1, 2: None, 3: 2}
    told = count_orders(session, expected)
    assert (told.exact, told.matched, told.missing, told.extra) == (1, 3, 0, 1)
    # The same move of another order is no match, and none of an order that was not placed is.
    for seq in (1, 2):
        other = [*expected[:3], order(30, 102, seq, AMEND)]
        assert count_orders(session, other).matched == 2


def test_a_fill_of_another_order_is_another_fill() -> None:
    (one,) = session = [Got(1, 1, 100, 5, True, 10, 12)]
    expected = [replace(one, seq=77, told_ns=900 * MS)]
    told = count_fills(session, expected)
    assert (told.matched, told.missing, told.extra) == (0, 1, 1)
    assert count_fills(session, expected, {77: 1}).matched == 1
    assert count_fills(session, [replace(one, told_ns=900 * MS)]).matched == 1
    assert count_fills(session, [one], {1: None}).matched == 0


def test_fitted_delays_are_the_sessions_own_as_they_came() -> None:
    # A stall of a second and what waited behind it; drawn in spells, they stay together.
    told = [3 * MS] * 150 + [1_000 * MS, 700 * MS, 300 * MS] + [4 * MS] * 5
    assert fitted_delays(told) == tuple(told)
    many = list(range(150_000))
    assert fitted_delays(many) == tuple(many[:100_000])


def test_fills_are_matched_one_by_one() -> None:
    session = [Got(1, 1, 100, 5, True, 10, 12), Got(2, 2, 101, 4, True, 20, 22)]
    expected = [Got(1, 1, 100, 5, True, 10, 12), Got(2, 2, 101, 3, True, 20, 22)]
    told = count_fills(session, expected)
    assert (told.exact, told.matched, told.missing, told.extra) == (1, 1, 1, 1)
    fates = [
        Fate(1, 1, 5, 0, 0, [(10, 100, 5)], [(14, 100, 5)]),
        Fate(2, 1, 5, 0, 0, [(10, 100, 5)], [(10, 100, 2), (11, 100, 3)]),
    ]
    told = count_fates(fates, within_ns=5)
    assert (told.matched, told.missing, told.extra, told.exact) == (1, 1, 2, 0)
    assert count_fates(fates, within_ns=3).matched == 0


def test_a_session_over_rest_is_its_backtest_and_its_delays_are_fitted(tmp_path: Path) -> None:
    records = live.over_rest()
    stages: list[str] = []
    told = measured(
        lambda: records, tmp_path, fit=True, on_stage=lambda stage, _: stages.append(stage)
    )
    assert told.exact
    assert told.drawn == 0
    assert told.queue.fills.share == 1
    assert (told.got.net, told.got.causes) == (told.expected.net, told.expected.causes)
    assert {"reading", "running again", "queue"} <= set(stages)
    fitted = told.fitted
    assert fitted is not None
    path = tmp_path / "model.json"
    fitted.save(path)
    assert load(path) == fitted
    # The venue of a model sees the market when the bot does: a request takes its own 4 ms and the
    # market's; an answer what is left of its own.
    assert min(fitted.orders_ns) > 7 * MS
    assert min(fitted.answers_ns) < 2 * MS
    assert fitted.seed == 1
    past = Past(records)
    each = model_of(past, Model(), each=True)
    assert (each.seed, len(each.orders_ns)) == (0, len(past.orders))
    assert len(each.answers_ns) == len(past.orders) + len(past.fills)
    assert each.orders_ns == fitted.orders_ns
    assert each.answers_ns == fitted.answers_ns
    # What was assumed is the bot's own [paper].
    latency_ns = past.config.paper.latency_ns
    assert told.delays.assumed_requests == (latency_ns,) * 4
    assert told.delays.requests[1] == 4 * MS  # requests over REST take the constant part alone


def test_a_market_with_queues_drifts_and_says_how_far(tmp_path: Path) -> None:
    records = live.queued()
    told = measured(lambda: records, tmp_path, Model(queue="log"))
    assert not told.exact
    assert 0 < told.fills.exact < told.fills.session
    assert told.fills.missing + told.fills.extra > 0
    # Up to the first fill that differs every order is the session's.
    assert told.orders.exact > 100
    assert told.queue.name == "log"
    plain = told.to_json()
    assert plain["own_orders_in_book"] is True
    assert plain["queue"]["fills"]["session"] == told.fills.session
    assert plain["model"] is None
    assert plain["tried"] == []


def test_a_session_on_paper_is_refused(tmp_path: Path) -> None:
    records = list(live.synthetic())
    session = read_session(records[0].payload)
    paper = session_record(type(session)(**{
        **{name: getattr(session, name) for name in session.__struct_fields__}, "mode": "paper",
    }))  # fmt: skip
    records[0] = records[0]._replace(payload=paper)
    with pytest.raises(JournalError, match="was on paper"):
        measured(lambda: records, tmp_path)
