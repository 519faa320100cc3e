"""The plain fill model of the bench: without a switch it is ours, and every switch counts."""

from __future__ import annotations

from functools import cache

import pytest

from bench.compare_fills import MODELS, by_order, differing, ours
from bench.fill_rules import RULES, Fill, Rules
from bench.fill_schedule import Message, Order, messages_of, near, queues, schedule

SECONDS = 120


@cache
def market() -> tuple[list[Message], list[Order]]:
    events = queues(SECONDS)
    return list(messages_of(events)), schedule(events)


def plain(name: str, theirs: frozenset[str]) -> list[Fill]:
    _, power, _ = MODELS[name]
    queue = "power" if name.startswith("power") else name
    return Rules(queue, float(power), theirs).run(*market())


@pytest.mark.parametrize("name", MODELS)
def test_the_plain_model_fills_as_ours(name: str) -> None:
    model, power, _ = MODELS[name]
    own = ours(*market(), model, power)
    assert len(own) > 60
    assert not differing(own, plain(name, frozenset()))


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_changes_some_fill(rule: str) -> None:
    """A rule that changes nothing could explain nothing."""
    changed = 0
    for name in MODELS:
        # What falls below zero does so in fractions.
        others = frozenset({"fractions"} if rule == "overrun" else ())
        changed += len(differing(plain(name, others), plain(name, others | {rule})))
    assert changed > 0


def test_no_order_is_filled_beyond_its_quantity_or_its_life() -> None:
    messages, orders = market()
    for number, fills in by_order(plain("power3", frozenset())).items():
        order = orders[number]
        assert sum(lots for _, lots in fills) <= order.qty_lots
        assert all(order.place_ns < when < order.cancel_ns for when, _ in fills)
    assert messages[0][0] < orders[0].place_ns


def test_orders_differ_by_time_and_by_quantity() -> None:
    one: list[Fill] = [(1, 10, 5), (2, 10, 5), (2, 11, 1)]
    assert not differing(one, [(2, 10, 5), (2, 11, 1), (1, 10, 2), (1, 10, 3)])
    assert differing(one, [(1, 11, 5), (2, 10, 5), (2, 11, 1)]) == {1}
    assert differing(one, [(1, 10, 5), (2, 10, 6)]) == {2}
    assert differing(one, []) == {1, 2}


def test_a_market_cut_near_its_prices_keeps_messages_and_trades() -> None:
    events = queues(5)
    cut = near(events, 0)
    assert len(list(messages_of(cut))) == len(list(messages_of(events)))
    assert len(cut) < len(events)
