"""Counts of what is the same, and the whole comparison of a session with its backtest."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from itertools import combinations, permutations
from operator import itemgetter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from openmm._fast.planner import ActionKind
from openmm._fast.queue_venue import Link
from openmm.backtest import columns
from openmm.backtest.model import Model, load
from openmm.data.session import convert
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
from openmm.errors import ConfigError, JournalError
from openmm.journal import ActionRecord, read_session, session_record
from tests.drift import live
from tests.e2e import virtual
from tests.rerun.paper import LIVELY
from tests.rerun.test_shadow import write

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
    assert matched([("a", 1), ("a", 2)], [("a", 2)], 5) == [(1, 0)]


def test_as_many_are_paired_as_can_be() -> None:
    # The nearest of the first is the second's only one.
    assert matched([("a", 400), ("a", 600)], [("a", 0), ("a", 600)], 400) == [(0, 0), (1, 1)]
    session = [("a", at * 500 + 300) for at in range(100)]
    expected = [("a", at * 500) for at in range(100)]
    assert matched(session, expected, 1000) == [(at, at) for at in range(100)]
    # Where one is left over it is the one that is farthest from any.
    assert matched([("a", 10), ("a", 30), ("a", 50)], [("a", 11), ("a", 49)], 100) == [
        (0, 0), (2, 1),
    ]  # fmt: skip
    assert matched([("a", 11), ("a", 49)], [("a", 10), ("a", 30), ("a", 50)], 100) == [
        (0, 0), (1, 2),
    ]  # fmt: skip


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30)), max_size=5),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30)), max_size=5),
    st.integers(0, 12),
)
def test_no_other_pairing_is_better(
    session: list[tuple[str, int]], expected: list[tuple[str, int]], within_ns: int
) -> None:
    found = matched(session, expected, within_ns)
    best = max(
        (
            (
                len(mine),
                -sum(
                    abs(session[a][1] - expected[b][1]) for a, b in zip(mine, theirs, strict=True)
                ),
            )
            for count in range(min(len(session), len(expected)) + 1)
            for mine in combinations(range(len(session)), count)
            for theirs in permutations(range(len(expected)), count)
            if all(
                session[a][0] == expected[b][0] and abs(session[a][1] - expected[b][1]) <= within_ns
                for a, b in zip(mine, theirs, strict=True)
            )
        ),
    )
    assert best == (len(found), -sum(abs(session[a][1] - expected[b][1]) for a, b in found))
    assert len(dict(found)) == len(found) == len({b for _, b in found})


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
    # Drawn are one of each decision and one of each answer.
    assert len(fitted.orders_ns) == len({one.sent_ns for one in past.sent if one.arrived_ns})
    assert len(fitted.answers_ns) == len(past.orders) + len(past.fills)
    # What was assumed is the bot's own [paper].
    latency_ns = past.config.paper.latency_ns
    assert told.delays.assumed_requests == (latency_ns,) * 4
    assert told.delays.requests[1] == 4 * MS  # requests over REST take the constant part alone


@pytest.mark.parametrize("venue", ["kraken", "mexc"])
def test_each_order_of_the_session_takes_its_own_delay_to_the_nanosecond(
    shared: Path, venue: str
) -> None:
    past = Past(live.recorded(shared / "data") if venue == "kraken" else live.over_rest())
    each = model_of(past, Model(), each=True)
    # Several messages of one decision arrived at several moments.
    arrivals = {(one.sent_ns, one.arrived_ns) for one in past.sent}
    several = len(arrivals) > len({sent_ns for sent_ns, _ in arrivals})
    assert several == (venue == "kraken")  # requests over REST take the constant part alone
    link = Link(each.orders_ns, each.seed, each.orders_from_ns)
    last_ns = 0
    placed = []
    for message in past.sent:
        for action in message.own:
            last_ns = max(last_ns, message.sent_ns + link.delay(message.sent_ns))
            placed.append((action, last_ns))
    # A backtest's venue has the market when the bot does: at the same place among its messages.
    assert placed == [
        (action, past.seen_at_ns(one.arrived_ns)) for one in past.sent for action in one.own
    ]
    assert [action for action, _ in placed] == [one.action for one in past.orders]
    # And so do its answers, but for those that overtook the market that they follow from.
    answers = Link(each.answers_ns, each.seed, each.answers_from_ns)
    told = [(one.answered_ns, at_ns) for one, (_, at_ns) in zip(
        (one for one in past.sent for _ in one.own), placed, strict=True
    ) if one.answered_ns]  # fmt: skip
    fills = [(one.told_ns, past.seen_at_ns(past.filled_ns(one))) for one in past.fills]
    for answered_ns, at_ns in sorted((*told, *fills), key=itemgetter(1)):
        assert at_ns + answers.delay(at_ns) == max(at_ns, answered_ns)


def test_a_backtest_of_the_sessions_data_has_its_orders_where_they_were(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = live.recorded(shared / "data")
    past = Past(records)
    write(tmp_path, list(records))
    (converted,) = convert(tmp_path)
    fees = {"maker_fee_ppm": 0, "taker_fee_ppm": 1000}
    config = past.config.model_copy(update={"venue": (past.config.quoted.model_copy(update=fees),)})
    # The session's account: a backtest would open at the target.
    monkeypatch.setattr(columns, "placed_in", lambda config, *_: config)
    held = {one: Decimal(past.opening[name]) for one, name in (("base", "BTC"), ("quote", "USD"))}
    config = config.model_copy(update={"paper": config.paper.model_copy(update=held)})
    each = model_of(past, Model(), each=True)
    start_ns = next(one.ts_ns for one in records if one.payload.startswith(b'["start"'))
    session = {
        (past.seen_at_ns(one.arrived_ns), action.side, action.price_ticks)
        for one, action in past.carried() if action.kind != CANCEL
    }  # fmt: skip

    def there(model: Model) -> int:
        made = columns.run(config, [converted.events], model, start_ns=start_ns)
        return sum((row[1], row[2], row[4]) in session for row in made.orders.tolist())

    assert there(each) >= 6  # its answers come with the market, and the session's own way ends
    assert there(replace(each, orders_from_ns=(), answers_from_ns=())) < there(each)
    late = dataclasses.replace(converted.events, recv_ns=converted.events.recv_ns + 3_600_000 * MS)
    with pytest.raises(ConfigError, match="data of that time"):
        columns.run(config, [late], each)


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


def test_a_clock_that_went_back_leaves_moments_that_ascend(shared: Path) -> None:
    records = live.recorded(shared / "data", 60)
    past = Past([
        one._replace(ts_ns=one.ts_ns - 3_600_000 * MS * (at > len(records) // 2))
        for at, one in enumerate(records)
    ])  # fmt: skip
    each = model_of(past, Model(), each=True)
    assert list(each.orders_from_ns) == sorted(each.orders_from_ns)


def test_a_fit_to_a_session_without_fills_says_that_nothing_was_fitted(tmp_path: Path) -> None:
    far = virtual.config({"spread": "500bps"})
    records = live.records_of(far, live.sim(market=LIVELY), tmp_path / "bot", 10)
    told = measured(lambda: records, tmp_path, fit=True)
    assert told.orders.session == told.orders.exact > 5
    assert told.fitted is not None
    assert told.fitted.queue == "careful"
    assert any("nothing was filled" in one for one in told.notes)


def test_a_session_on_paper_is_refused(tmp_path: Path) -> None:
    records = list(live.synthetic())
    session = read_session(records[0].payload)
    paper = session_record(type(session)(**{
        **{name: getattr(session, name) for name in session.__struct_fields__}, "mode": "paper",
    }))  # fmt: skip
    records[0] = records[0]._replace(payload=paper)
    with pytest.raises(JournalError, match="was on paper"):
        measured(lambda: records, tmp_path)
