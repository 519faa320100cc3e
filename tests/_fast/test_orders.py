"""The order table against its oracle, its drawing in the docs, and case by case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.orders import (
    InFlight,
    Lane,
    OrderEvent,
    OrderState,
    OrderTable,
    OrderView,
    Transition,
    transition_table,
)
from openmm._fast.units import Side
from openmm.errors import RiskError
from tests.oracles import orders as oracle

BUY, SELL = Side.BUY, Side.SELL
DOCS = Path(__file__).resolve().parents[2] / "docs" / "orders.md"
CAPACITY = 512


def placed(table: OrderTable, side: int = BUY, price: int = 100, qty: int = 10) -> int:
    return table.place(side, 0, price, qty, now_ns=1)


def rested(table: OrderTable, side: int = BUY, price: int = 100, qty: int = 10) -> int:
    seq = placed(table, side, price, qty)
    assert table.event(seq, OrderEvent.EV_ACKED, 2) is Transition.TR_OK
    return seq


def held(table: OrderTable, seq: int) -> OrderView:
    order = table.get(seq)
    assert order is not None
    return order


def in_state(table: OrderTable, state: OrderState) -> int:
    """Bring a fresh order into a state by the shortest way."""
    seq = placed(table)
    ways: dict[OrderState, list[OrderEvent]] = {
        OrderState.PENDING_NEW: [],
        OrderState.OPEN: [OrderEvent.EV_ACKED],
        OrderState.PARTIALLY_FILLED: [OrderEvent.EV_ACKED],
        OrderState.PENDING_CANCEL: [OrderEvent.EV_ACKED, OrderEvent.EV_CANCEL_SENT],
        OrderState.PENDING_AMEND: [OrderEvent.EV_ACKED],
        OrderState.UNKNOWN: [OrderEvent.EV_TIMEOUT],
        OrderState.FILLED: [OrderEvent.EV_ACKED],
        OrderState.CANCELLED: [OrderEvent.EV_ACKED, OrderEvent.EV_CANCELLED],
        OrderState.REJECTED: [OrderEvent.EV_REJECTED],
    }
    for event in ways[state]:
        assert table.event(seq, event, 2) is Transition.TR_OK
    if state is OrderState.PARTIALLY_FILLED:
        table.fill(seq, 100, 4, 2)
    elif state is OrderState.PENDING_AMEND:
        table.amend_sent(seq, 110, 12, 2)
    elif state is OrderState.FILLED:
        table.fill(seq, 100, 10, 2)
    assert held(table, seq).state is state
    return seq


# ------------------------------------------------------------------ the table


def test_every_pair_does_what_the_table_says() -> None:
    table = transition_table()
    for state in OrderState:
        if state is OrderState.FREE:
            continue
        for event in OrderEvent:
            if event in (OrderEvent.EV_UNDECIDED, OrderEvent.EV_PLACED, OrderEvent.EV_FILL):
                continue
            orders = OrderTable()
            seq = in_state(orders, state)
            before = held(orders, seq)
            result = orders.event(seq, event, 3, price_ticks=120, qty_lots=20)
            after = held(orders, seq)
            outcome = table.get((state, event), "ILLEGAL")
            where = f"{state.name} {event.name} {outcome}"
            if outcome == "ILLEGAL":
                assert result is Transition.TR_ILLEGAL, where
                assert after == before, where
            elif outcome == "IGNORED":
                assert result is Transition.TR_IGNORED, where
                assert after == before, where
            elif outcome in OrderState.__members__:
                assert result is Transition.TR_OK, where
                assert after.state is OrderState[outcome], where
            assert orders.totals() == orders.recompute(), where


def test_terminal_states_are_left_by_no_event() -> None:
    for (state, _), outcome in transition_table().items():
        if state >= OrderState.FILLED:
            assert outcome in ("IGNORED", "LATE")


def test_docs_draw_the_table_as_it_is() -> None:
    lines = [line for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    drawn: dict[tuple[OrderState, OrderEvent], str] = {}
    events = [OrderEvent(i) for i in range(1, 15)]
    for line in lines:
        name, *cells = (cell.strip().strip("`") for cell in line.strip("|").split("|"))
        if name not in OrderState.__members__:
            continue
        assert len(cells) == len(events), line
        for event, cell in zip(events, cells, strict=True):
            if cell:
                drawn[OrderState[name], event] = cell
    short = {"IGNORED": "·"}
    assert drawn == {pair: short.get(out, out) for pair, out in transition_table().items()}


# ------------------------------------------------------------------ single cases


def test_place_counts_at_once_in_full() -> None:
    table = OrderTable()
    seq = placed(table, SELL, 200, 5)
    assert held(table, seq).state is OrderState.PENDING_NEW
    assert table.totals() == (1, 0, 1, 0, 5, 0, 1000, 0, 200)
    assert table.own_lots_at(SELL, 200) == 5  # not acknowledged: the book may show it already


def test_sequence_leads_to_its_slot_and_starts_at_generation_one() -> None:
    table = OrderTable()
    assert [placed(table, price=p) for p in (1, 2, 3)] == [CAPACITY, CAPACITY + 1, CAPACITY + 2]


def test_released_slot_gets_a_new_sequence_and_the_old_one_is_unknown() -> None:
    table = OrderTable()
    seq = placed(table)
    table.event(seq, OrderEvent.EV_REJECTED, 2)
    table.release(seq)
    assert placed(table) == seq + CAPACITY
    assert table.get(seq) is None
    assert table.event(seq, OrderEvent.EV_ACKED, 3) is Transition.TR_UNKNOWN_ORDER
    assert table.fill(seq, 100, 1, 3) is Transition.TR_UNKNOWN_ORDER


def test_full_table_reuses_the_oldest_finished_order_and_never_a_live_one() -> None:
    table = OrderTable()
    seqs = [placed(table, price=i + 1) for i in range(CAPACITY)]
    with pytest.raises(RiskError, match="full"):
        placed(table)
    for seq in (seqs[7], seqs[3]):
        table.event(seq, OrderEvent.EV_CANCELLED, 2)
    assert [order.seq for order in table.ended()] == [seqs[7], seqs[3]]
    assert placed(table) == seqs[7] + CAPACITY
    assert placed(table) == seqs[3] + CAPACITY
    with pytest.raises(RiskError, match="full"):
        placed(table)
    assert table.live_count == CAPACITY


def test_unknown_order_is_never_reused() -> None:
    table = OrderTable()
    seqs = [placed(table, price=i + 1) for i in range(CAPACITY)]
    for seq in seqs:
        table.event(seq, OrderEvent.EV_TIMEOUT, 2)
    with pytest.raises(RiskError, match="full"):
        placed(table)
    with pytest.raises(ValueError, match="not a finished order"):
        table.release(seqs[0])


def test_fill_after_cancel_books_and_stays_cancelled() -> None:
    table = OrderTable()
    seq = rested(table)
    table.cancel_sent(seq, 3)
    table.event(seq, OrderEvent.EV_CANCELLED, 4)
    assert table.fill(seq, 99, 4, 5) is Transition.TR_OK
    order = held(table, seq)
    assert (order.state, order.filled_lots, order.cost_ticklots) == (OrderState.CANCELLED, 4, 396)
    assert table.totals().live_count == 0


def test_overfill_books_and_alarms() -> None:
    table = OrderTable()
    seq = rested(table)
    assert table.fill(seq, 100, 11, 3) is Transition.TR_OVERFILL
    order = held(table, seq)
    assert (order.state, order.filled_lots) == (OrderState.FILLED, 11)
    assert table.totals() == table.recompute()


def test_fill_of_a_rejected_order_books_and_alarms() -> None:
    table = OrderTable()
    seq = placed(table)
    table.event(seq, OrderEvent.EV_REJECTED, 2)
    assert table.fill(seq, 100, 1, 3) is Transition.TR_OVERFILL
    assert held(table, seq).filled_lots == 1


def test_fill_before_ack_proves_the_order_and_the_ack_is_ignored() -> None:
    table = OrderTable()
    seq = placed(table)
    assert table.fill(seq, 100, 4, 2) is Transition.TR_OK
    assert held(table, seq).state is OrderState.PARTIALLY_FILLED
    assert table.event(seq, OrderEvent.EV_ACKED, 3) is Transition.TR_IGNORED


def test_late_ack_does_not_end_a_cancel_in_flight() -> None:
    table = OrderTable()
    seq = placed(table)
    table.cancel_sent(seq, 2)
    assert table.event(seq, OrderEvent.EV_ACKED, 3) is Transition.TR_OK
    order = held(table, seq)
    assert order.state is OrderState.PENDING_CANCEL
    assert order.acked
    assert order.in_flight == InFlight.FLIGHT_CANCEL


def test_amend_in_flight_counts_the_larger_of_both() -> None:
    table = OrderTable()
    buy, sell = rested(table, BUY, 100, 10), rested(table, SELL, 200, 10)
    table.amend_sent(buy, 90, 20, 3)
    table.amend_sent(sell, 150, 5, 3)
    totals = table.totals()
    assert (totals.buy_lots, totals.buy_ticklots, totals.best_buy_ticks) == (20, 2000, 100)
    assert (totals.sell_lots, totals.sell_ticklots, totals.best_sell_ticks) == (10, 2000, 150)


def test_amended_order_takes_the_pending_values_and_the_rate_age() -> None:
    table = OrderTable()
    seq = rested(table)
    table.fill(seq, 100, 4, 3)
    table.amend_sent(seq, 101, 14, 4)
    assert table.event(seq, OrderEvent.EV_AMENDED, 9) is Transition.TR_OK
    order = held(table, seq)
    assert (order.price_ticks, order.qty_lots, order.filled_lots) == (101, 14, 4)
    assert (order.pending_price_ticks, order.pending_qty_lots) == (0, 0)
    assert (order.state, order.amended_ns, order.queue_ns) == (OrderState.PARTIALLY_FILLED, 9, 9)
    assert table.totals() == (1, 0, 0, 10, 0, 1010, 0, 101, 0)


def test_smaller_quantity_keeps_the_queue_place() -> None:
    table = OrderTable()
    seq = rested(table)
    table.amend_sent(seq, 100, 8, 5)
    table.event(seq, OrderEvent.EV_AMENDED, 6)
    assert held(table, seq).queue_ns == 2


def test_refused_amend_keeps_the_confirmed_values() -> None:
    table = OrderTable()
    seq = rested(table)
    table.amend_sent(seq, 101, 14, 4)
    assert table.event(seq, OrderEvent.EV_AMEND_REJECTED, 5) is Transition.TR_OK
    order = held(table, seq)
    assert (order.state, order.price_ticks, order.qty_lots) == (OrderState.OPEN, 100, 10)
    assert table.totals() == table.recompute()


@pytest.mark.parametrize(("price", "qty"), [(0, 12), (101, 4), (101, 3)])
def test_impossible_amend_is_illegal(price: int, qty: int) -> None:
    table = OrderTable()
    seq = rested(table)
    table.fill(seq, 100, 4, 3)
    assert table.amend_sent(seq, price, qty, 4) is Transition.TR_ILLEGAL
    assert held(table, seq).state is OrderState.PARTIALLY_FILLED


def test_fill_to_the_old_quantity_waits_for_the_amend() -> None:
    table = OrderTable()
    seq = rested(table)
    table.amend_sent(seq, 100, 15, 3)
    assert table.fill(seq, 100, 10, 4) is Transition.TR_OK
    assert held(table, seq).state is OrderState.PENDING_AMEND
    assert table.totals().buy_lots == 5
    table.event(seq, OrderEvent.EV_AMEND_REJECTED, 5)
    assert held(table, seq).state is OrderState.FILLED


def test_timeout_makes_unknown_and_it_counts_in_full() -> None:
    table = OrderTable()
    seq = placed(table)
    assert table.timeouts(10, 10) == []
    assert table.timeouts(11, 10) == [seq]
    table.event(seq, OrderEvent.EV_TIMEOUT, 11)
    assert table.timeouts(99, 10) == []
    assert table.totals() == (1, 1, 0, 10, 0, 1000, 0, 100, 0)


def test_unknown_create_proven_open_rests() -> None:
    table = OrderTable()
    seq = in_state(table, OrderState.UNKNOWN)
    assert table.event(seq, OrderEvent.EV_PROVEN_OPEN, 5) is Transition.TR_OK
    order = held(table, seq)
    assert (order.state, order.in_flight, order.unanswered_count) == (OrderState.OPEN, 0, 0)


def test_unknown_amend_needs_the_price_to_be_proven() -> None:
    table = OrderTable()
    seq = rested(table)
    table.amend_sent(seq, 110, 12, 3)
    table.event(seq, OrderEvent.EV_TIMEOUT, 4)
    table.event(seq, OrderEvent.EV_PROVEN_OPEN, 5)
    assert held(table, seq).state is OrderState.UNKNOWN
    assert table.totals().buy_ticklots == 1320
    table.event(seq, OrderEvent.EV_PROVEN_OPEN, 6, price_ticks=110, qty_lots=12)
    order = held(table, seq)
    assert (order.state, order.price_ticks, order.qty_lots) == (OrderState.OPEN, 110, 12)


def test_refused_cancel_is_a_doubt_that_only_a_query_settles() -> None:
    table = OrderTable()
    seq = rested(table)
    table.cancel_sent(seq, 3)
    table.event(seq, OrderEvent.EV_CANCEL_REJECTED, 4)
    order = held(table, seq)
    assert (order.state, order.in_flight) == (OrderState.UNKNOWN, InFlight.FLIGHT_DOUBT)
    assert table.event(seq, OrderEvent.EV_ACKED, 5) is Transition.TR_IGNORED
    assert table.event(seq, OrderEvent.EV_PROVEN_GONE, 6) is Transition.TR_OK
    assert held(table, seq).state is OrderState.CANCELLED


def test_query_that_misses_an_order_under_way_proves_nothing() -> None:
    table = OrderTable()
    seq = placed(table)
    assert table.event(seq, OrderEvent.EV_PROVEN_GONE, 2) is Transition.TR_IGNORED
    assert held(table, seq).state is OrderState.PENDING_NEW


def test_venue_word_moves_a_resting_order() -> None:
    table = OrderTable()
    seq = rested(table)
    assert table.amended(seq, 100, 10, 3) is Transition.TR_IGNORED
    assert table.amended(seq, 105, 8, 4) is Transition.TR_OK
    order = held(table, seq)
    assert (order.price_ticks, order.qty_lots, order.state) == (105, 8, OrderState.OPEN)
    assert table.totals() == table.recompute()


def test_amend_below_the_filled_quantity_finishes_the_order() -> None:
    table = OrderTable()
    seq = rested(table)
    table.amend_sent(seq, 100, 5, 3)
    table.fill(seq, 100, 6, 4)
    table.event(seq, OrderEvent.EV_AMENDED, 5)
    assert held(table, seq).state is OrderState.FILLED


def test_adopted_order_counts_what_is_left() -> None:
    table = OrderTable()
    seq = table.adopt(SELL, 2, 300, 10, 4, now_ns=9, venue_id="OABCDE-FGHIJ-KLMNOP")
    order = held(table, seq)
    assert (order.state, order.venue_id) == (OrderState.PARTIALLY_FILLED, "OABCDE-FGHIJ-KLMNOP")
    assert (order.level, order.acked, order.cost_ticklots) == (2, True, 0)
    assert table.totals() == (1, 0, 0, 0, 6, 0, 1800, 0, 300)
    assert table.own_lots_at(SELL, 300) == 6


def test_own_lots_sum_what_rests_at_a_price_and_what_may() -> None:
    table = OrderTable()
    rested(table, BUY, 100, 10)
    rested(table, BUY, 100, 7)
    rested(table, BUY, 356, 5)  # the same low byte
    placed(table, BUY, 100, 3)
    rested(table, SELL, 100, 2)
    moving = rested(table, BUY, 90, 4)
    table.amend_sent(moving, 100, 6, 2)
    assert table.own_lots_at(BUY, 100) == 10 + 7 + 3 + 6
    assert table.own_lots_at(BUY, 90) == 6
    assert table.own_lots_at(BUY, 612) == 0


def test_has_price_sees_pending_prices_and_leaves_one_out() -> None:
    table = OrderTable()
    seq = rested(table, BUY, 100, 10)
    table.amend_sent(seq, 110, 10, 3)
    assert table.has_price(BUY, 100)
    assert table.has_price(BUY, 110)
    assert not table.has_price(BUY, 110, seq)
    assert not table.has_price(BUY, 366)
    assert not table.has_price(SELL, 110)


def test_live_orders_keep_the_order_of_creation() -> None:
    table = OrderTable()
    seqs = [placed(table, price=i + 1) for i in range(6)]
    table.event(seqs[1], OrderEvent.EV_REJECTED, 2)
    table.event(seqs[4], OrderEvent.EV_REJECTED, 2)
    assert [order.seq for order in table.live()] == [seqs[0], seqs[2], seqs[3], seqs[5]]


@pytest.mark.parametrize(
    ("side", "level", "price", "qty"),
    [(0, 0, 1, 1), (3, 0, 1, 1), (BUY, -1, 1, 1), (BUY, 256, 1, 1), (BUY, 0, 0, 1), (BUY, 0, 1, 0)],
)
def test_bad_place_is_refused(side: int, level: int, price: int, qty: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        OrderTable().place(side, level, price, qty, now_ns=1)


def test_bad_arguments_are_refused() -> None:
    table = OrderTable()
    seq = rested(table)
    with pytest.raises(ValueError, match="not an order event: 15"):
        table.event(seq, 15, 3)
    with pytest.raises(ValueError, match="must not be negative"):
        table.event(seq, OrderEvent.EV_AMENDED, 3, price_ticks=-1)
    with pytest.raises(ValueError, match="must be positive"):
        table.fill(seq, 0, 1, 3)
    with pytest.raises(ValueError, match="longer than"):
        table.set_venue_id(seq, "x" * 41)
    with pytest.raises(ValueError, match="not in the table"):
        table.set_venue_id(1, "x")
    with pytest.raises(ValueError, match="filled_lots"):
        table.adopt(BUY, 0, 100, 10, 10, now_ns=1)
    with pytest.raises(ValueError, match="side must be"):
        table.own_lots_at(0, 100)


def test_largest_values_keep_the_sums_exact() -> None:
    table = OrderTable()
    price, qty = 1 << 40, 1 << 52
    for _ in range(20):
        placed(table, BUY, price, qty)
    assert table.totals().buy_ticklots == 20 * price * qty
    seq = rested(table, BUY, price, qty)
    table.fill(seq, price, qty, 3)
    assert held(table, seq).cost_ticklots == price * qty


# ------------------------------------------------------------------ against the oracle

PRICES = st.integers(1, 300)
QTYS = st.integers(1, 12)
LEVELS = (0, 3, int(Lane.LANE_FLATTEN), int(Lane.LANE_HAND))


@dataclass(frozen=True)
class Place:
    side: int
    price_ticks: int
    qty_lots: int
    level: int


@dataclass(frozen=True)
class Evidence:
    which: int
    event: OrderEvent
    told: tuple[int, int]


@dataclass(frozen=True)
class Fill:
    which: int
    price_ticks: int
    qty_lots: int


@dataclass(frozen=True)
class Release:
    which: int


Step = Place | Evidence | Fill | Release
WHICH = st.integers(0, 5)
EVENTS = st.sampled_from([event for event in OrderEvent if event])
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.builds(Place, st.sampled_from([BUY, SELL]), PRICES, QTYS, st.sampled_from(LEVELS)),
        st.builds(Evidence, WHICH, EVENTS, st.one_of(st.just((0, 0)), st.tuples(PRICES, QTYS))),
        st.builds(Fill, WHICH, PRICES, QTYS),
        st.builds(Release, WHICH),
    ),
    max_size=60,
)


@settings(max_examples=400)
@given(STEPS)
def test_table_equals_oracle_on_any_sequence(steps: list[Step]) -> None:
    table = OrderTable()
    spec = oracle.Orders()
    seqs: list[int] = []
    for now_ns, step in enumerate(steps, 1):
        version = table.version
        if isinstance(step, Place):
            seq = table.place(step.side, step.level, step.price_ticks, step.qty_lots, now_ns=now_ns)
            spec.place(seq, step.side, step.price_ticks, step.qty_lots)
            seqs.append(seq)
            assert table.version == version + 1
            check_equal(table, spec, seqs)
            continue
        seq = seqs[step.which % len(seqs)] if seqs else 12345
        before = table.get(seq)
        if isinstance(step, Release):
            if before is None or before.state < OrderState.FILLED:
                with pytest.raises(ValueError, match="not a finished order"):
                    table.release(seq)
            else:
                table.release(seq)
                spec.release(seq)
            continue
        if isinstance(step, Evidence):
            price, qty = step.told
            result = table.event(seq, step.event, now_ns, price_ticks=price, qty_lots=qty)
            assert result is spec.event(seq, step.event, step.told)
        else:
            result = table.fill(seq, step.price_ticks, step.qty_lots, now_ns)
            assert result is spec.fill(seq, step.price_ticks, step.qty_lots)
        after = table.get(seq)
        changed = result in (Transition.TR_OK, Transition.TR_OVERFILL)
        assert changed == (before != after)
        assert (table.version != version) == changed
        if before is not None and before.state >= OrderState.FILLED:
            assert after is not None
            # Nothing but a late fill's booking changes a finished order.
            assert after == before._replace(
                filled_lots=after.filled_lots, cost_ticklots=after.cost_ticklots
            )
        check_equal(table, spec, seqs)


def check_equal(table: OrderTable, spec: oracle.Orders, seqs: list[int]) -> None:
    """Compare every order and every sum, and the sums with a fresh count."""
    assert table.totals() == spec.totals()
    assert table.totals() == table.recompute()
    live = table.live()
    beside = [order.level >= Lane.LANE_FLATTEN for order in live]
    # The ladder's first, then the others, each in order of creation.
    assert beside == sorted(beside)
    assert table.ladder_count == beside.count(False)
    lanes = {order.seq: order.level >= Lane.LANE_FLATTEN for order in live}
    assert [order.seq for order in live] == sorted(
        (order.seq for order in spec.live), key=lambda seq: lanes[seq]
    )
    for seq in seqs:
        ours, theirs = table.get(seq), spec.orders.get(seq)
        if theirs is None:
            assert ours is None
            continue
        assert ours is not None
        assert ours.state == theirs.state
        assert (ours.price_ticks, ours.qty_lots) == (theirs.price_ticks, theirs.qty_lots)
        assert ours.filled_lots == theirs.filled_lots
        assert ours.cost_ticklots == theirs.cost_ticklots
        assert (ours.pending_price_ticks, ours.pending_qty_lots) == (theirs.pending or (0, 0))
        bits = {"create": 1, "amend": 2, "cancel": 4, "doubt": 8}
        assert ours.in_flight == sum(bits[name] for name in theirs.in_flight)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["place", "hang", "end"]), st.integers(0, 9), st.booleans()),
        max_size=40,
    )
)
def test_orders_that_hang_leave_the_ladder_and_keep_the_order_of_creation(
    told: list[tuple[str, int, bool]],
) -> None:
    table = OrderTable()
    lanes: dict[int, int] = {}  # of live orders, in order of creation
    for now_ns, (what, number, beside) in enumerate(told, 1):
        seq = [*lanes][number % len(lanes)] if lanes else 0
        if what == "place":
            level = int(Lane.LANE_HAND) if beside else number
            lanes[table.place(Side.BUY, level, 100 + now_ns, 10, now_ns=now_ns)] = level
        elif what == "hang" and seq:
            lane = int(Lane.LANE_HANGING) + number
            fits = lanes[seq] < Lane.LANE_HANGING
            assert table.hang(seq, lane, now_ns) == fits
            lanes[seq] = lane if fits else lanes[seq]
        elif seq:
            table.event(seq, OrderEvent.EV_REJECTED, now_ns)
            del lanes[seq]
        ladder = [one for one, level in lanes.items() if level < Lane.LANE_HANGING]
        others = [one for one, level in lanes.items() if level >= Lane.LANE_HANGING]
        live = table.live()
        assert [(one.seq, one.level) for one in live] == [
            (one, lanes[one]) for one in ladder + others
        ]
        assert table.ladder_count == len(ladder)
        assert table.totals() == table.recompute()
    assert not table.hang(12_345, int(Lane.LANE_HANGING), 1)


def test_only_hanging_lanes_hang() -> None:
    table = OrderTable()
    seq = table.place(Side.BUY, 0, 100, 10, now_ns=1)
    for lane in (0, 221, int(Lane.LANE_FLATTEN), int(Lane.LANE_HAND)):
        assert not table.hang(seq, lane, 2)


@pytest.mark.parametrize("seed", range(5))
def test_thousands_of_orders_through_the_slots(seed: int) -> None:
    """More orders than slots: reuse, dense lists and sums stay right."""
    table = OrderTable()
    rng = Random(seed)
    live: list[int] = []
    for now_ns in range(1, 4_000):
        if len(live) < CAPACITY and rng.random() < 0.6:
            side = rng.choice([BUY, SELL])
            live.append(table.place(side, 0, rng.randint(1, 999), 5, now_ns=now_ns))
        elif live:
            seq = live.pop(rng.randrange(len(live)))
            table.event(seq, OrderEvent.EV_CANCELLED, now_ns)
            if rng.random() < 0.3:
                table.release(seq)
        assert table.live_count == len(live)
    assert [order.seq for order in table.live()] == live
    assert table.totals() == table.recompute()
    assert len(table.ended()) + len(live) <= CAPACITY
