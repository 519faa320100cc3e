"""Matching kernels: tables of cases, and equality with their plain-Python specification."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.book import Book
from openmm._fast.matching import Matching, MatchResult, ReplayMatching, Stp, Tif
from tests.oracles import matching as oracle

CANCEL_NEWEST, CANCEL_OLDEST, CANCEL_BOTH = (
    Stp.CANCEL_NEWEST,
    Stp.CANCEL_OLDEST,
    Stp.CANCEL_BOTH,
)
GTC, IOC, FOK = Tif.GTC, Tif.IOC, Tif.FOK
MATCH_RESTING = MatchResult.MATCH_RESTING
MATCH_FILLED = MatchResult.MATCH_FILLED
MATCH_CANCELLED = MatchResult.MATCH_CANCELLED
MATCH_POST_ONLY = MatchResult.MATCH_POST_ONLY
MATCH_FULL = MatchResult.MATCH_FULL
MATCH_BAD = MatchResult.MATCH_BAD
MATCH_UNKNOWN = MatchResult.MATCH_UNKNOWN
BID, ASK = 0, 1
BUY, SELL = 1, 2


def book(*rows: tuple[int, int, int, int, int]) -> Matching:
    """Build a book from (id, owner, side, price, qty)."""
    matching = Matching(64)
    for order_id, owner, side, price, qty in rows:
        assert matching.submit(order_id, owner, side, price, qty) == MATCH_RESTING
    return matching


def test_taker_pays_maker_prices_best_first_then_oldest_first() -> None:
    matching = book((1, 0, SELL, 102, 5), (2, 0, SELL, 101, 3), (3, 0, SELL, 101, 4))
    assert matching.submit(9, 7, BUY, 102, 10) == MATCH_FILLED
    assert [(e.maker_id, e.price_ticks, e.qty_lots) for e in matching.matches()] == [
        (2, 101, 3),
        (3, 101, 4),
        (1, 102, 3),
    ]
    assert matching.depth(ASK, 5) == [(102, 2)]
    assert matching.best_bid_ticks == 0


def test_gtc_remainder_rests_at_its_limit() -> None:
    matching = book((1, 0, SELL, 101, 3))
    assert matching.submit(2, 1, BUY, 101, 5) == MATCH_RESTING
    assert matching.depth(BID, 5) == [(101, 2)]
    assert matching.order(2) == (BUY, 101, 2, 3, 1)


def test_ioc_remainder_is_dropped() -> None:
    matching = book((1, 0, SELL, 101, 3))
    assert matching.submit(2, 1, BUY, 101, 5, IOC) == MATCH_CANCELLED
    assert [e.qty_lots for e in matching.matches()] == [3]
    assert matching.resting_count == 0


def test_fok_that_cannot_fill_whole_trades_nothing() -> None:
    matching = book((1, 0, SELL, 101, 3), (2, 0, SELL, 103, 9))
    assert matching.submit(3, 1, BUY, 102, 5, FOK) == MATCH_CANCELLED
    assert matching.matches() == []
    assert matching.submit(4, 1, BUY, 103, 5, FOK) == MATCH_FILLED


def test_post_only_that_would_take_is_refused_and_changes_nothing() -> None:
    matching = book((1, 0, SELL, 101, 3))
    assert matching.submit(2, 1, BUY, 101, 5, GTC, True) == MATCH_POST_ONLY
    assert matching.submit(2, 1, BUY, 100, 5, GTC, True) == MATCH_RESTING
    assert matching.depth(ASK, 1) == [(101, 3)]


@pytest.mark.parametrize(
    ("rule", "result", "removed", "asks", "bids"),
    [
        (CANCEL_NEWEST, MATCH_CANCELLED, [], [(101, 4), (102, 6)], []),
        (CANCEL_OLDEST, MATCH_RESTING, [2], [(102, 6)], [(101, 7)]),
        (CANCEL_BOTH, MATCH_CANCELLED, [2], [(102, 6)], []),
    ],
)
def test_self_trade_prevention_keeps_what_its_rule_says(
    rule: int, result: int, removed: list[int], asks: object, bids: object
) -> None:
    matching = book((1, 0, SELL, 101, 3), (2, 7, SELL, 101, 4), (3, 0, SELL, 102, 6))
    assert matching.submit(9, 7, BUY, 101, 10, GTC, False, 0, rule) == result
    assert [e.maker_id for e in matching.matches()] == [1]
    assert matching.removed_ids() == removed
    assert matching.met_own()
    assert matching.depth(ASK, 9) == asks
    assert matching.depth(BID, 9) == bids


def test_the_market_may_trade_with_itself() -> None:
    matching = book((1, 0, SELL, 101, 3))
    assert matching.submit(2, 0, BUY, 101, 3) == MATCH_FILLED


def test_amend_down_keeps_the_place_and_up_loses_it() -> None:
    matching = book((1, 1, BUY, 100, 5), (2, 1, BUY, 100, 5))
    assert matching.amend(1, 100, 3) == MATCH_RESTING
    assert matching.queue(BID, 100) == [1, 2]
    assert matching.amend(1, 100, 4) == MATCH_RESTING
    assert matching.queue(BID, 100) == [2, 1]
    assert matching.qty_at(BID, 100) == 9


def test_amend_counts_the_filled_part_and_cancels_at_or_below_it() -> None:
    matching = book((1, 1, BUY, 100, 5))
    assert matching.submit(2, 0, SELL, 100, 2, IOC) == MATCH_FILLED
    assert matching.amend(1, 100, 4) == MATCH_RESTING
    assert matching.order(1) == (BUY, 100, 2, 2, 1)
    assert matching.amend(1, 100, 2) == MATCH_CANCELLED
    assert matching.order(1) is None


def test_amend_across_the_book_takes_or_is_refused() -> None:
    matching = book((1, 1, BUY, 100, 5), (2, 0, SELL, 101, 2))
    assert matching.amend(1, 101, 5, True) == MATCH_POST_ONLY
    assert matching.order(1) == (BUY, 100, 5, 0, 1)
    assert matching.amend(1, 101, 5) == MATCH_RESTING
    assert matching.order(1) == (BUY, 101, 3, 2, 1)


@pytest.mark.parametrize(
    ("order_id", "side", "price", "qty", "tif", "post_only"),
    [
        (0, BUY, 100, 1, GTC, False),
        (5, 0, 100, 1, GTC, False),
        (5, 3, 100, 1, GTC, False),
        (5, BUY, 0, 1, GTC, False),
        (5, BUY, (1 << 40) + 1, 1, GTC, False),
        (5, BUY, 100, 0, GTC, False),
        (5, BUY, 100, -1, GTC, False),
        (5, BUY, 100, 1, 0, False),
        (5, BUY, 100, 1, IOC, True),
        (1, BUY, 100, 1, GTC, False),
    ],
)
def test_a_bad_order_is_refused(
    order_id: int, side: int, price: int, qty: int, tif: int, post_only: bool
) -> None:
    matching = book((1, 0, SELL, 101, 3))
    assert matching.submit(order_id, 1, side, price, qty, tif, post_only) == MATCH_BAD
    assert matching.resting_count == 1


def test_a_full_pool_refuses_a_resting_order_and_takes_others() -> None:
    matching = Matching(1)
    assert matching.submit(1, 0, SELL, 101, 3) == MATCH_RESTING
    assert matching.submit(2, 0, SELL, 101, 3) == MATCH_FULL
    assert matching.submit(3, 0, BUY, 101, 3, IOC) == MATCH_FILLED
    assert matching.submit(4, 0, SELL, 101, 3) == MATCH_RESTING


def test_unknown_ids_are_told() -> None:
    matching = Matching(4)
    assert matching.cancel(1) == MATCH_UNKNOWN
    assert matching.amend(1, 100, 1) == MATCH_UNKNOWN
    assert matching.cancel(0) == MATCH_UNKNOWN


def test_bad_arguments_raise() -> None:
    with pytest.raises(ValueError, match="capacity"):
        Matching(0)
    with pytest.raises(ValueError, match="self-trade"):
        Matching(4).submit(1, 1, BUY, 1, 1, GTC, False, 0, 0)
    with pytest.raises(ValueError, match="book side"):
        Matching(4).depth(2, 1)


def test_changes_name_every_touched_level_once_in_a_row() -> None:
    matching = book((1, 0, SELL, 101, 3), (2, 0, SELL, 101, 3))
    assert matching.take_changes() == [(ASK, 101)]
    matching.submit(3, 0, BUY, 101, 7)
    assert matching.take_changes() == [(ASK, 101), (BID, 101)]
    assert matching.take_changes() == []


SIDES = st.sampled_from([BUY, SELL])
PRICES = st.integers(95, 105)
QTYS = st.integers(1, 8)
OWNERS = st.integers(0, 2)
RULES = st.sampled_from([CANCEL_NEWEST, CANCEL_OLDEST, CANCEL_BOTH])
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("submit"),
            st.integers(0, 30),
            OWNERS,
            SIDES,
            PRICES,
            QTYS,
            st.sampled_from([GTC, GTC, GTC, IOC, FOK]),
            st.booleans(),
            RULES,
        ),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("amend"), st.integers(0, 30), PRICES, QTYS, st.booleans(), RULES),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_kernel_equals_its_specification_and_conserves_quantity(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    fast, plain = Matching(12), oracle.Matching(12)
    for step in steps:
        before = sum(o.remaining for o in plain.orders.values())
        if step[0] == "submit":
            _, order_id, owner, side, price, qty, tif, post_only, rule = step
            got: int = fast.submit(order_id, owner, side, price, qty, tif, post_only, 0, rule)
            want = plain.submit(order_id, owner, side, price, qty, tif, post_only, rule)
        elif step[0] == "cancel":
            got, want = fast.cancel(step[1]), plain.cancel(step[1])
        else:
            _, order_id, price, qty, post_only, rule = step
            got = fast.amend(order_id, price, qty, post_only, 0, rule)
            want = plain.amend(order_id, price, qty, post_only, rule)
        assert got == want
        assert [tuple(e) for e in fast.matches()] == plain.rows
        assert fast.removed_ids() == plain.removed
        assert fast.met_own() == plain.met_own
        for book_side, side in ((BID, BUY), (ASK, SELL)):
            assert fast.depth(book_side, 99) == plain.depth(side)
            for price, ids in plain.queues(side).items():
                assert fast.queue(book_side, price) == ids
        assert fast.resting_count == len(plain.orders)
        bid, ask = fast.best_bid_ticks, fast.best_ask_ticks
        assert not (bid and ask and bid >= ask)
        if step[0] == "submit" and not plain.removed:
            # What a taker takes leaves the book; what rests joins it: nothing else moves.
            after = sum(o.remaining for o in plain.orders.values())
            traded = sum(e.qty_lots for e in fast.matches())
            rested = plain.orders[step[1]].remaining if got == MATCH_RESTING else 0
            assert after == before - traded + rested


def replay(bids: dict[int, int], asks: dict[int, int]) -> ReplayMatching:
    """Build a recorded book."""
    matching = ReplayMatching(16, 64)
    for price, qty in bids.items():
        matching.set_level(BID, price, qty)
    for price, qty in asks.items():
        matching.set_level(ASK, price, qty)
    matching.settle()
    return matching


def test_replayed_order_queues_behind_the_recorded_quantity() -> None:
    matching = replay({100: 5, 99: 7}, {101: 4})
    assert matching.submit(1, 1, BUY, 100, 3) == MATCH_RESTING
    assert matching.ahead(1) == 5
    assert matching.trade(SELL, 100, 4) == []
    assert matching.ahead(1) == 1
    (fill,) = matching.trade(SELL, 100, 3)
    assert (fill.maker_id, fill.qty_lots, fill.maker_remaining_lots, fill.price_ticks) == (
        1,
        2,
        1,
        100,
    )


def test_recorded_cancellations_come_from_behind_first() -> None:
    matching = replay({100: 5, 99: 1}, {101: 4})
    matching.submit(1, 1, BUY, 100, 3)
    matching.set_level(BID, 100, 20)
    matching.settle()
    assert matching.ahead(1) == 5
    matching.set_level(BID, 100, 4)
    matching.settle()
    assert matching.ahead(1) == 4
    matching.set_level(BID, 100, 0)
    matching.settle()
    assert matching.ahead(1) == 0


def test_level_outside_the_recorded_depth_puts_everything_in_front() -> None:
    matching = replay({100: 5, 99: 5}, {101: 4})
    matching.submit(1, 1, BUY, 98, 3)
    assert matching.ahead(1) == 1 << 62
    matching.set_level(BID, 98, 6)
    matching.settle()
    assert matching.ahead(1) == 6


def test_opposite_best_that_reaches_our_price_fills_up_to_its_quantity() -> None:
    matching = replay({100: 5}, {102: 4})
    matching.submit(1, 1, BUY, 101, 9)
    matching.set_level(ASK, 101, 4)
    (fill,) = matching.settle()
    assert (fill.price_ticks, fill.qty_lots, fill.maker_id) == (101, 4, 1)
    assert matching.settle() == []
    matching.set_level(ASK, 100, 9)
    (fill,) = matching.settle()
    assert (fill.price_ticks, fill.qty_lots) == (101, 5)


def test_trade_through_our_price_fills_us_at_our_price() -> None:
    matching = replay({100: 5}, {102: 4})
    matching.submit(1, 1, BUY, 101, 2)
    (fill,) = matching.trade(SELL, 100, 9)
    assert (fill.price_ticks, fill.qty_lots, fill.taker_side) == (101, 2, SELL)


def test_our_taker_uses_recorded_quantity_once() -> None:
    matching = replay({100: 5}, {101: 4, 102: 4})
    assert matching.submit(1, 1, BUY, 101, 6, IOC) == MATCH_CANCELLED
    assert [(e.maker_id, e.qty_lots) for e in matching.matches()] == [(0, 4)]
    assert matching.submit(2, 1, BUY, 101, 6, IOC) == MATCH_CANCELLED
    assert matching.matches() == []
    matching.set_level(ASK, 101, 3)
    assert matching.submit(3, 1, BUY, 101, 6, IOC) == MATCH_CANCELLED
    assert [e.qty_lots for e in matching.matches()] == [3]


def test_added_taker_eats_the_queue_ahead_then_ours_then_the_rest() -> None:
    matching = replay({100: 5}, {101: 4})
    matching.submit(1, 1, BUY, 100, 3)
    matching.set_level(BID, 100, 8)
    matching.settle()
    rows = matching.take(SELL, 99, 10)
    assert [(e.maker_id, e.qty_lots) for e in rows] == [(0, 5), (1, 3), (0, 2)]


def test_replayed_post_only_and_self_trade_rules() -> None:
    matching = replay({100: 5}, {103: 4})
    assert matching.submit(1, 1, SELL, 101, 2) == MATCH_RESTING
    assert matching.submit(2, 1, BUY, 101, 2, GTC, True) == MATCH_POST_ONLY
    assert matching.submit(3, 1, BUY, 101, 2) == MATCH_CANCELLED
    assert matching.submit(4, 1, BUY, 102, 2, GTC, False, 0, CANCEL_OLDEST) == MATCH_RESTING
    assert matching.removed_ids() == [1]
    assert matching.submit(5, 0, BUY, 90, 2) == MATCH_BAD


def test_replayed_fok_fills_whole_or_not_at_all() -> None:
    matching = replay({100: 5}, {101: 4, 102: 4})
    assert matching.submit(1, 1, BUY, 101, 5, FOK) == MATCH_CANCELLED
    assert matching.matches() == []
    assert matching.submit(2, 1, BUY, 102, 5, FOK) == MATCH_FILLED


def test_bad_trades_and_takers_raise() -> None:
    matching = replay({100: 5}, {101: 4})
    with pytest.raises(ValueError, match="bad trade"):
        matching.trade(0, 100, 1)
    with pytest.raises(ValueError, match="bad taker"):
        matching.take(BUY, 100, 0)
    assert matching.set_level(BID, 0, 1) == MATCH_BAD


REPLAY_STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("submit"),
            st.integers(1, 2),
            SIDES,
            PRICES,
            QTYS,
            st.sampled_from([GTC, GTC, IOC]),
            st.booleans(),
            RULES,
        ),
        st.tuples(st.just("level"), SIDES, PRICES, st.integers(0, 6)),
        st.tuples(st.just("settle")),
        st.tuples(st.just("trade"), SIDES, PRICES, QTYS),
        st.tuples(st.just("take"), SIDES, PRICES, QTYS),
        st.tuples(st.just("cancel"), st.integers(1, 20)),
    ),
    max_size=50,
)


@settings(max_examples=300, deadline=None)
@given(REPLAY_STEPS)
def test_replay_kernel_equals_its_specification(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    fast, plain = ReplayMatching(64, 64), oracle.Replay()
    next_id = 0
    for step in steps:
        plain.begin()
        if step[0] == "submit":
            next_id += 1
            _, owner, side, price, qty, tif, post_only, rule = step
            got = fast.submit(next_id, owner, side, price, qty, tif, post_only, 0, rule)
            assert got == plain.submit(next_id, owner, side, price, qty, tif, post_only, rule)
        elif step[0] == "level":
            fast.set_level(BID if step[1] == BUY else ASK, step[2], step[3])
            plain.set_level(step[1], step[2], step[3])
            continue
        elif step[0] == "settle":
            fast.settle()
            plain.settle()
        elif step[0] == "trade":
            fast.trade(*step[1:])
            plain.trade(*step[1:])
        elif step[0] == "take":
            fast.take(*step[1:])
            plain.walk(0, 0, step[1], step[2], step[3], CANCEL_NEWEST)
        else:
            fast.cancel(step[1])
            plain.orders = [o for o in plain.orders if o.order_id != step[1]]
        assert [tuple(e) for e in fast.matches()] == plain.rows
        assert fast.removed_ids() == plain.removed
        assert fast.resting_count == len(plain.orders)
        for order in plain.orders:
            assert fast.ahead(order.order_id) == order.ahead
            assert fast.order(order.order_id) == (
                order.side,
                order.price,
                order.remaining,
                order.filled,
                order.owner,
            )


@given(
    st.lists(
        st.tuples(st.sampled_from([BID, ASK]), st.integers(1, 40), st.integers(0, 3)),
        max_size=60,
    ),
    st.integers(0, 12),
)
def test_following_a_book_is_telling_each_changed_level(
    changes: list[tuple[int, int, int]], depth: int
) -> None:
    source = Book(window_ticks=64)
    followed, told = ReplayMatching(16, 64), ReplayMatching(16, 64)
    before: dict[int, dict[int, int]] = {BID: {}, ASK: {}}
    for at, (side, offset, qty) in enumerate(changes):
        source.apply(side, 100 - offset if side == BID else 100 + offset, qty)
        if at % 3 == 0:
            # What was taken of a level is used up until it is told anew.
            for kernel in (followed, told):
                kernel.take(BUY if side == ASK else SELL, 140 if side == ASK else 60, 1)
        changed = False
        for which, held in before.items():
            now = dict(source.levels(which, depth))
            for price in held.keys() - now.keys():
                told.set_level(which, price, 0)
            for price, lots in now.items() - held.items():
                told.set_level(which, price, lots)
            changed = changed or now != held
            before[which] = now
        assert followed.follow(source, depth) is changed
        for which in (BID, ASK):
            levels = followed.depth(which, 100)
            assert levels == told.depth(which, 100) == source.levels(which, depth)
            assert [followed.qty_at(which, price) for price, _ in levels] == [
                told.qty_at(which, price) for price, _ in levels
            ]


def test_following_needs_a_depth() -> None:
    with pytest.raises(ValueError, match="depth must be 0 or more: -1"):
        ReplayMatching().follow(Book(), -1)
