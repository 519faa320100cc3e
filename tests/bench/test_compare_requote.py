"""How many order actions it takes to follow recorded markets, tick by tick."""

from __future__ import annotations

import os
from functools import cache

import pytest

from bench.book_streams import shared_data
from bench.compare_requote import MARKETS, Message, Outcome, Policy, load, off_share, run
from openmm._fast.orders import OrderEvent, OrderTable
from openmm._fast.units import Side

REQUIRED = os.environ.get("OPENMM_REQUIRE_DATA") == "1"
pytestmark = pytest.mark.skipif(
    shared_data() is None and not REQUIRED, reason="no recorded data beside the checkout"
)
NAMES = [market.label for market in MARKETS]
BY_NAME = {market.label: market for market in MARKETS}


@cache
def messages_of(name: str) -> list[Message]:
    """Read a recording, once."""
    data = shared_data()
    assert data is not None, "no recorded data beside the checkout"
    return load(BY_NAME[name], data)


@cache
def outcome(name: str, policy: Policy) -> Outcome:
    """Put a recording through a policy, once."""
    return run(BY_NAME[name], policy, messages_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_replacing_everything_takes_forty_actions_a_move(name: str) -> None:
    moves = outcome(name, "replace").by_move
    assert len(moves) > 10
    assert {(actions, messages) for _, actions, messages in moves} == {(40, 3)}


@pytest.mark.parametrize("name", NAMES)
def test_ladder_of_twenty_follows_within_half_a_level_by_under_ten_actions_a_move(
    name: str,
) -> None:
    ours, all_anew = outcome(name, "default"), outcome(name, "replace")
    # The same moves of the same market.
    assert [one[0] for one in ours.by_move] == [one[0] for one in all_anew.by_move]
    _, one_tick, one_tick_messages = ours.per_move(ticks_max=1)
    _, actions, messages = ours.per_move()
    assert one_tick < 10
    assert actions < 10
    assert ours.all_in() < 10  # what replaces fills and follows other terms of the ladder too
    # An amend is a message; what is placed together is one.
    assert one_tick_messages <= one_tick
    assert messages <= actions
    # After every decision: each level has its order, each order is within half a level of it.
    assert ours.decisions >= len(ours.by_move)
    assert ours.off_max <= 1


def test_recordings_hold_one_tick_moves_enough() -> None:
    counts = [outcome(name, "default").per_move(ticks_max=1) for name in NAMES]
    moves = sum(count for count, _, _ in counts)
    assert moves >= 60
    assert sum(count * actions for count, actions, _ in counts) / moves < 4


@pytest.mark.parametrize("name", [NAMES[0], NAMES[-1]])
def test_tolerance_of_half_a_level_lets_no_order_stand_further_off(name: str) -> None:
    wide = outcome(name, "wide")
    assert 0.7 < wide.off_max <= 1


@pytest.mark.parametrize("name", NAMES)
def test_queue_places_spare_actions_and_keep_places_longer(name: str) -> None:
    ours, without = outcome(name, "default"), outcome(name, "no places")
    assert ours.held > 0
    assert without.held == 0
    assert ours.all_in() < 0.6 * without.all_in()


def test_orders_that_keep_their_place_have_it_for_longer_when_filled() -> None:
    kept, anew = outcome(NAMES[0], "default"), outcome(NAMES[0], "replace")
    ages = [sum(fill.age_ns for fill in one.fills) / len(one.fills) for one in (kept, anew)]
    assert ages[0] > 3 * ages[1]
    # Our own estimate knows most of them to be at the front when they are filled.
    ahead = [fill.ahead_lots for fill in kept.fills]
    assert sum(lots == 0 for lots in ahead) > 0.8 * len(ahead)


def test_distance_from_the_ladder_is_told() -> None:
    table = OrderTable()
    ladder = [[(100, 1), (90, 1)], [(110, 1)]]
    for side, level, price in ((Side.BUY, 0, 98), (Side.BUY, 1, 90), (Side.SELL, 0, 110)):
        table.event(table.place(side, level, price, 1, now_ns=1), OrderEvent.EV_ACKED, 1)
    assert off_share(ladder, table) == 0.4
    assert off_share([ladder[0], []], table) == float("inf")
    assert off_share([[*ladder[0], (80, 1)], ladder[1]], table) == float("inf")
