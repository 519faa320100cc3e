"""The slow path: evidence moves orders, doubt is a state, money books once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from openmm._fast.book import BookBreak, BookState
from openmm._fast.checks import RiskState
from openmm._fast.orders import OrderEvent, OrderState
from openmm._fast.units import Side
from openmm.engine.step import (
    QUERY_LAG_NS,
    Alert,
    CancelStray,
    IncidentMoved,
    NameOrders,
    QueryOrders,
    Resubscribe,
    ResyncPrivate,
    RiskMoved,
    StepConfig,
)
from openmm.errors import RiskError
from openmm.events import (
    BalanceUpdated,
    Fee,
    OrderFilled,
    OrderStatus,
    OrderUpdated,
    RequestAccepted,
    RequestRefused,
    Source,
    StatusChanged,
    StreamGapped,
    Subscribed,
    SystemMode,
)
from openmm.strategy.grid import GridStrategy
from tests.engine.world import SECOND, START, World, quoting, updated


@pytest.fixture
def world() -> World:
    return quoting()


def test_doubled_fill_books_once(world: World) -> None:
    seq = world.seq()
    before = world.step.expected()
    world.feed(world.fill(seq, "E1"), world.fill(seq, "E1"))
    world.feed(world.fill(seq, "E1", source=Source.SNAPSHOT))
    assert world.step.counters.fills == 1
    assert world.step.counters.duplicate_fills == 2
    after = world.step.expected()
    assert after["BTC"] - before["BTC"] == Decimal("0.001")
    assert world.step.pipeline.inventory.position_lots == 100_000


def test_each_booked_fill_is_told_once_before_anything_is_quoted_anew(world: World) -> None:
    seq = world.seq()
    told: list[tuple[str, int, bool]] = []

    def on_booked(event: OrderFilled) -> None:
        sent = any(b"add_order" in message for message in world.transport.take())
        told.append((event.exec_id, world.table.get(seq).filled_lots, sent))  # type: ignore[union-attr]

    world.transport.take()
    world.step.on_booked = on_booked
    lots = world.order(seq).qty_lots
    world.feed(world.fill(seq, "E1", lots=lots), world.fill(seq, "E1", lots=lots))
    assert told == [("E1", lots, False)]
    assert any(b"add_order" in message for message in world.transport.take())


def test_fills_of_the_time_down_are_told_once_each(world: World) -> None:
    told: list[str] = []
    world.step.on_booked = lambda event: told.append(event.exec_id)
    earlier = world.fill(world.seq(), "E0", source=Source.QUERY)
    assert isinstance(earlier, OrderFilled)
    world.step.recover([earlier, earlier], ["E0", "of another"], START)
    world.feed(earlier)
    assert told == ["E0"]


def test_a_fill_is_told_when_all_of_it_is_booked(world: World) -> None:
    seq = world.seq()
    lots = world.order(seq).qty_lots
    seen: list[tuple[int, Decimal]] = []

    def on_booked(event: OrderFilled) -> None:
        seen.append((world.step.counters.fills, world.step.expected()["BTC"]))

    before = world.step.expected()["BTC"]
    world.step.on_booked = on_booked
    world.feed(world.fill(seq, "E1", lots=lots))
    assert seen == [(1, world.step.expected()["BTC"])]
    assert seen[0][1] > before


def test_quotes_stay_within_the_room_that_a_hedge_leaves(world: World) -> None:
    table, step = world.table, world.step
    lots = world.order(world.seq()).qty_lots

    def live() -> tuple[int, int]:
        totals = table.totals()
        return totals.buy_lots, totals.sell_lots

    assert live()[0] > lots
    step.hedge_told(lots, 0, 0, START + 1)
    world.feed(*(updated(one.seq, OrderStatus.CANCELLED) for one in table.live()
                 if one.state is OrderState.PENDING_CANCEL))  # fmt: skip
    assert live() == (lots, 0)
    # A fill leaves as much less: nothing is placed in its stead before the hedge says so.
    world.feed(world.fill(world.seq(), "E1", lots=lots))
    assert step.pipeline.checks.hedge_room == (0, 0)
    assert live() == (0, 0)
    step.hedge_told(2 * lots, lots, 0, START + 2)
    assert live() == (2 * lots, lots)


def test_a_fee_in_base_takes_room_too(world: World) -> None:
    step = world.step
    step.hedge_told(10**9, 10**9, 0, START + 1)
    event = world.fill(world.seq(), "E1", lots=1_000, fees=(Fee("BTC", Decimal("0.000000015")),))
    world.feed(event)
    assert step.pipeline.checks.hedge_room == (10**9 - 1_002, 10**9)


def test_quotes_keep_what_their_hedge_costs_beyond_their_own_floor(world: World) -> None:
    step = world.step
    strategy = step.pipeline.strategy
    assert isinstance(strategy, GridStrategy)
    plain = strategy.params
    step.hedge_told(10**9, 10**9, 3_000, START + 1)
    assert strategy.params.fee_floor_ppm == plain.fee_floor_ppm + 3_000
    (bid, _), (ask, _) = (side[0] for side in step.pipeline.ladder_levels())
    reference = step.pipeline.reference.price_uticks
    assert reference is not None
    for ticks in (bid, ask):
        assert abs(ticks * 10**6 - reference) * 10**6 >= 3_000 * reference
    # A change of parameters keeps it, and it goes when the hedge costs nothing.
    fields = plain.fields() | {"num_orders": plain.num_orders}
    step.tune(fields, None, None, None, None, START + 2)
    assert strategy.params.fee_floor_ppm == plain.fee_floor_ppm + 3_000
    step.hedge_told(10**9, 10**9, 0, START + 3)
    assert strategy.params == plain


def test_money_that_differs_at_the_hedge_venue_halts(world: World) -> None:
    world.step.hedge_differs("it holds less", START)
    assert world.step.monitor.state is RiskState.HALTED
    assert world.step.monitor.halt_reason == "reconciliation"


def test_fill_books_the_venues_cost_and_fee(world: World) -> None:
    seq = world.seq(Side.SELL)
    before = world.step.expected()
    world.feed(world.fill(seq, "E1", cost=Decimal("60.1234"), fees=(Fee("USD", Decimal("-0.01")),)))
    after = world.step.expected()
    assert after["USD"] - before["USD"] == Decimal("60.1334")
    assert after["BTC"] - before["BTC"] == Decimal("-0.001")
    assert world.step.fees == {"USD": Decimal("-0.01")}


def test_fill_after_cancel_still_books(world: World) -> None:
    seq = world.seq()
    world.table.cancel_sent(seq, START)
    world.feed(updated(seq, OrderStatus.CANCELLED))
    assert world.state(seq) is OrderState.CANCELLED
    world.feed(world.fill(seq, "late"))
    assert world.step.counters.fills == 1
    assert world.state(seq) is OrderState.CANCELLED


def test_overfill_is_booked_and_alarmed(world: World) -> None:
    seq = world.seq()
    order = world.order(seq)
    requests = world.feed(world.fill(seq, "E1", lots=order.qty_lots + 1))
    assert world.step.counters.overfills == 1
    assert any(isinstance(one, Alert) and one.severity == "critical" for one in requests)
    assert world.step.pipeline.inventory.position_lots == order.qty_lots + 1


def test_filled_level_is_replaced_at_once(world: World) -> None:
    seq = world.seq()
    world.feed(world.fill(seq, "E1", lots=world.order(seq).qty_lots))
    assert world.state(seq) is OrderState.FILLED
    assert any(b"add_order" in message for message in world.transport.take())


def test_refused_order_is_rejected_and_only_it(world: World) -> None:
    world.table.event(world.seq(), OrderEvent.EV_CANCELLED, START)
    world.step.pipeline.requote(START)
    pending = [o.seq for o in world.table.live() if o.state is OrderState.PENDING_NEW]
    assert len(pending) == 1
    world.ids.sent[9] = ("add", pending)
    world.feed(RequestRefused("add", 9, "EOrder:Insufficient funds", "funds", False))
    assert world.state(pending[0]) is OrderState.REJECTED
    assert world.step.counters.rejected == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [("EService:Unavailable", "unavailable"), ("EDatabase:Internal error", "unknown")],
)
def test_refusal_that_leaves_the_outcome_open_makes_the_order_unknown(
    world: World, text: str, code: str
) -> None:
    seq = world.seq()
    world.table.cancel_sent(seq, START)
    world.ids.sent[9] = ("cancel", [seq])
    world.feed(RequestRefused("cancel", 9, text, code, True))
    assert world.state(seq) is OrderState.UNKNOWN
    (query,) = [one for one in world.step.on_timer(START + 1) if isinstance(one, QueryOrders)]
    assert query.seqs == (seq,)


def test_refused_cancel_leads_to_a_query_not_to_a_loop(world: World) -> None:
    seq = world.seq()
    world.table.cancel_sent(seq, START)
    world.ids.sent[9] = ("cancel", [seq])
    world.feed(RequestRefused("cancel", 9, "EOrder:Unknown order", "unknown_order", False))
    assert world.state(seq) is OrderState.UNKNOWN
    world.transport.take()
    world.step.on_timer(START + 1)
    assert world.transport.take() == []


def test_order_refused_in_words_unknown_to_us_is_not_taken_for_dead(world: World) -> None:
    world.table.event(world.seq(), OrderEvent.EV_CANCELLED, START)
    world.step.pipeline.requote(START)
    (pending,) = [o.seq for o in world.table.live() if o.state is OrderState.PENDING_NEW]
    world.ids.sent[9] = ("add", [pending])
    world.feed(RequestRefused("add", 9, "EDatabase:Internal error", "unknown", False))
    assert world.state(pending) is OrderState.UNKNOWN


def test_rate_limit_refusal_uses_up_our_counter(world: World) -> None:
    budget = world.step.pipeline.checks.budget
    budget.set_threshold(60_000, 1_000)
    world.ids.sent[9] = ("amend", [world.seq()])
    world.table.amend_sent(world.seq(), 599_000, 1_000_000, START)
    world.feed(RequestRefused("amend", 9, "EOrder:Rate limit exceeded", "rate_limit", True))
    assert budget.level_milli >= 60_000


def test_unanswered_request_becomes_unknown_and_is_asked_for(world: World) -> None:
    seq = world.seq()
    world.table.cancel_sent(seq, START)
    late_ns = START + 5 * SECOND + 1
    requests = world.step.on_timer(late_ns)
    assert world.state(seq) is OrderState.UNKNOWN
    assert any(isinstance(one, QueryOrders) and seq in one.seqs for one in requests)
    assert world.step.counters.timeouts == 1


def test_unknown_order_is_gone_only_when_absent_twice_and_late(world: World) -> None:
    seq = world.seq()
    world.table.cancel_sent(seq, START)
    first_ns = START + 6 * SECOND
    world.step.on_timer(first_ns)
    world.step.on_query([seq], [], first_ns, first_ns)
    assert world.state(seq) is OrderState.UNKNOWN
    second_ns = first_ns + 2 * SECOND
    world.step.on_timer(second_ns)
    world.step.on_query([seq], [], second_ns, second_ns)
    assert world.state(seq) is OrderState.CANCELLED


@pytest.mark.parametrize(("asked_ns", "alarms"), [(START, 0), (START + SECOND + QUERY_LAG_NS, 1)])
def test_answer_older_than_the_orders_end_is_no_contradiction(
    world: World, asked_ns: int, alarms: int
) -> None:
    seq = world.seq()
    world.table.cancel_sent(seq, START)
    gone = updated(seq, OrderStatus.CANCELLED, Source.STREAM, filled_lots=0)
    world.step.on_events([gone], START + SECOND)
    found = [updated(seq, OrderStatus.OPEN, Source.QUERY, filled_lots=0)]
    requests = world.step.on_query([seq], found, asked_ns, START + 2 * SECOND)
    assert world.state(seq) is OrderState.CANCELLED
    assert requests.count(CancelStray((f"V{seq}",))) == alarms


def test_query_that_finds_the_order_open_restores_it(world: World) -> None:
    seq = world.seq()
    world.table.cancel_sent(seq, START)
    world.step.on_timer(START + 6 * SECOND)
    found = [updated(seq, OrderStatus.OPEN, Source.QUERY, filled_lots=0)]
    world.step.on_query([seq], found, START + 6 * SECOND, START + 6 * SECOND)
    assert world.state(seq) in (OrderState.OPEN, OrderState.PENDING_CANCEL)
    assert world.table.unknown_count == 0


def test_unanswered_amend_stays_unknown_until_the_price_is_told(world: World) -> None:
    seq = world.seq()
    before = world.order(seq)
    world.table.amend_sent(seq, before.price_ticks - 7, before.qty_lots, START)
    world.table.event(seq, OrderEvent.EV_TIMEOUT, START)
    silent = [updated(seq, OrderStatus.OPEN, Source.QUERY, filled_lots=0)]
    world.step.on_query([seq], silent, START, START)
    assert world.state(seq) is OrderState.UNKNOWN
    world.step.pipeline.quoting = False
    told = updated(
        seq,
        OrderStatus.OPEN,
        Source.QUERY,
        filled_lots=0,
        price_ticks=before.price_ticks - 7,
        qty_lots=before.qty_lots,
    )
    world.step.on_query([seq], [told], START, START)
    assert world.table.unknown_count == 0
    after = world.order(seq)
    assert (after.price_ticks, after.qty_lots) == (before.price_ticks - 7, before.qty_lots)


def test_query_books_the_fills_it_brings_before_the_state(world: World) -> None:
    seq = world.seq()
    lots = world.order(seq).qty_lots
    world.table.cancel_sent(seq, START)
    world.step.on_timer(START + 6 * SECOND)
    found = [
        updated(seq, OrderStatus.FILLED, Source.QUERY, filled_lots=lots),
        world.fill(seq, "missed", lots=lots, source=Source.QUERY),
    ]
    world.step.on_query([seq], found, START + 6 * SECOND, START + 6 * SECOND)
    assert world.step.counters.fills == 1
    assert world.state(seq) is OrderState.FILLED


def test_live_order_the_venue_does_not_list_is_doubted(world: World) -> None:
    seq = world.seq()
    world.step.private_lost(START)
    world.step.on_query([seq], [], START + SECOND, START + SECOND)
    assert world.state(seq) is OrderState.UNKNOWN


def test_state_ahead_of_the_fills_asks_for_them(world: World) -> None:
    seq = world.seq()
    world.feed(updated(seq, OrderStatus.PARTIALLY_FILLED, filled_lots=5))
    requests = world.step.on_timer(START + SECOND)
    assert any(isinstance(one, QueryOrders) and seq in one.seqs for one in requests)


def test_stream_gap_stops_placing_and_asks_for_a_resync(world: World) -> None:
    requests = world.feed(StreamGapped("executions", 7, 9))
    assert any(isinstance(one, ResyncPrivate) for one in requests)
    assert not world.step.pipeline.stream_live
    assert any(b"cancel" in message for message in world.transport.take())


def test_order_of_an_earlier_session_is_cancelled_and_a_foreign_one_is_not(world: World) -> None:
    old = OrderUpdated("OLD", "old1", OrderStatus.OPEN, Source.SNAPSHOT, START)
    foreign = OrderUpdated("FOREIGN", "someone", OrderStatus.OPEN, Source.SNAPSHOT, START)
    requests = world.feed(old, foreign)
    strays = [one for one in requests if isinstance(one, CancelStray)]
    assert [one.venue_order_ids for one in strays] == [("OLD",)]
    assert list(world.step.foreign) == ["FOREIGN"]


def test_deposit_changes_what_is_held_but_is_no_profit(world: World) -> None:
    inventory = world.step.pipeline.inventory
    held = inventory.quote_ticklots or 0
    world.feed(
        BalanceUpdated("USD", Decimal(121_000), Decimal(1_000), Decimal(0), "deposit", "R", START)
    )
    assert (inventory.quote_ticklots or 0) - held == world.step.money.quote_ticklots(Decimal(1_000))
    assert world.step.expected()["USD"] == Decimal(121_000)
    assert world.step.monitor.drawdown_ppm == 0


@pytest.mark.parametrize(
    "mode", [SystemMode.CANCEL_ONLY, SystemMode.MAINTENANCE, SystemMode.UNKNOWN]
)
def test_mode_that_takes_no_orders_withdraws_the_quotes(world: World, mode: SystemMode) -> None:
    world.feed(StatusChanged(mode, mode.value))
    assert any(b"cancel" in message for message in world.transport.take())
    world.step.on_timer(START + 1)
    assert not any(b"add" in message for message in world.transport.take())


def test_told_threshold_sets_the_rate_counter(world: World) -> None:
    world.feed(Subscribed("executions", rate_threshold=125))
    assert world.step.pipeline.checks.budget.threshold_milli == 125_000
    assert world.step.pipeline.checks.budget.decay_milli_per_s == 2_000


def test_halt_cancels_everything_and_resume_quotes_again(world: World) -> None:
    requests = world.step.halt("ann", START)
    assert any(isinstance(one, RiskMoved) for one in requests)
    assert world.step.pipeline.risk_state is RiskState.HALTED
    for order in world.table.live():
        assert order.state is OrderState.PENDING_CANCEL
        world.feed(updated(order.seq, OrderStatus.CANCELLED))
    assert world.table.live_count == 0
    world.transport.take()
    world.step.resume("ann", START + SECOND)
    assert any(b"batch_add" in message for message in world.transport.take())


def test_resume_of_a_running_bot_is_refused(world: World) -> None:
    with pytest.raises(RiskError):
        world.step.resume("ann", START)


def test_loss_beyond_the_limit_halts_and_cancels(world: World) -> None:
    world.feed(
        world.fill(world.seq(Side.SELL), "bad", fees=(Fee("USD", Decimal(10_000)),))
    )  # a fee of 4% of equity
    assert world.step.monitor.state is RiskState.HALTED
    assert any(b"cancel" in message for message in world.transport.take())


def test_silent_feed_loses_its_book_and_is_resubscribed_with_back_off(world: World) -> None:
    book = world.step.feeds[0].book
    late_ns = START + 6 * SECOND
    requests = world.step.on_timer(late_ns)
    assert book.state is BookState.BOOK_BROKEN
    assert book.break_reason is BookBreak.BREAK_STALE
    assert sum(isinstance(one, Resubscribe) for one in requests) == 1
    assert any(b"cancel" in message for message in world.transport.take())
    again = [world.step.on_timer(late_ns + at * SECOND // 10) for at in range(1, 9)]
    assert not any(isinstance(one, Resubscribe) for some in again for one in some)
    assert any(isinstance(one, Resubscribe) for one in world.step.on_timer(late_ns + SECOND))


def test_lost_private_stream_puts_unanswered_orders_in_doubt(world: World) -> None:
    seq = world.seq()
    world.table.cancel_sent(seq, START)
    world.step.private_lost(START)
    assert world.state(seq) is OrderState.UNKNOWN
    assert not world.step.pipeline.stream_live


def test_difference_above_the_share_halts(world: World) -> None:
    held = world.step.expected()
    told = world.step.on_statement(held | {"USD": held["USD"] - 1}, START, True, START)
    assert [one.incident.amount for one in told if isinstance(one, IncidentMoved)] == [-1]
    assert world.step.monitor.halt_reason == ""
    world.step.on_statement(held | {"USD": held["USD"] - 1_000}, START, True, START)
    assert world.step.monitor.halt_reason == "reconciliation"


def test_terminal_order_keeps_its_slot_for_late_fills_then_frees_it(world: World) -> None:
    seq = world.seq()
    world.feed(updated(seq, OrderStatus.CANCELLED))
    world.step.on_timer(START + 59 * SECOND)
    assert world.table.get(seq) is not None
    world.step.on_timer(START + 61 * SECOND)
    assert world.table.get(seq) is None


def test_book_near_the_edge_of_its_window_is_moved_off_the_hot_path(world: World) -> None:
    book = world.step.feeds[0].book
    base = book.base_ticks

    def due() -> bool:
        return book.recentre_due

    # Walk the market up, best ask first, until the book asks to be moved.
    step_ticks = 2_000
    ask = book.best_ask_ticks or 0
    while not due():
        ask += step_ticks
        book.apply(1, ask, 1_000)
        for price, _ in book.levels(1, 200):
            if price < ask:
                book.apply(1, price, 0)
        book.apply(0, ask - 5, 1_000)
        assert ask < 2_000_000
    world.step.on_timer(START + 1)
    assert not due()
    assert book.base_ticks != base
    assert book.best_ask_ticks == ask


def test_order_the_venue_has_open_though_ended_here_is_cancelled(world: World) -> None:
    seq = world.seq()
    world.table.cancel_sent(seq, START)
    world.feed(updated(seq, OrderStatus.CANCELLED))
    for source in (Source.STREAM, Source.SNAPSHOT, Source.QUERY):
        requests = world.feed(updated(seq, OrderStatus.OPEN, source))
        assert CancelStray((f"V{seq}",)) in requests
    assert world.step.counters.illegal == 0
    # Asked for until the venue says so too, and cancelled each time it does not.
    open_ = [updated(seq, OrderStatus.OPEN, Source.QUERY, filled_lots=0)]
    strays = asked = 0
    for at in range(1, 200):
        now_ns = START + at * SECOND
        if any(isinstance(one, QueryOrders) for one in world.step.on_timer(now_ns)):
            asked += 1
            found = world.step.on_query([seq], open_, now_ns, now_ns)
            strays += found.count(CancelStray((f"V{seq}",)))
    assert asked >= 8
    assert strays >= asked - 2  # the first answers are too close to the end to count
    gone = 987_654_321
    assert world.table.get(gone) is None
    assert CancelStray((f"V{gone}",)) in world.feed(updated(gone, OrderStatus.OPEN))


def unacknowledged(world: World) -> int:
    """Place an order whose acknowledgement is lost, so that its venue id is not known."""
    return int(world.table.place(Side.BUY, 9, 590_000, 100_000, now_ns=START))


def test_fill_told_by_venue_id_before_the_acknowledgement_waits_for_it(world: World) -> None:
    seq = unacknowledged(world)
    fill = world.fill(seq, "E1", client_id="", venue_order_id="V77")
    for _ in range(2):
        world.feed(fill)
    assert world.step.counters.fills == 0
    assert world.step.counters.foreign_fills == 0
    world.feed(RequestAccepted("add", 1, str(seq), "V77"))
    assert world.state(seq) is OrderState.FILLED
    world.feed(fill)
    assert (world.step.counters.fills, world.step.counters.duplicate_fills) == (1, 1)
    assert world.step.counters.foreign_fills == 0


def test_fill_that_no_order_claims_is_anothers(world: World) -> None:
    seq = unacknowledged(world)
    world.feed(world.fill(seq, "E1", client_id="", venue_order_id="V78"))
    assert world.step.counters.foreign_fills == 0
    world.feed(RequestAccepted("add", 1, str(seq), "V77"))
    assert world.step.counters.foreign_fills == 1
    assert world.step.counters.fills == 0


@pytest.mark.parametrize("ours", [True, False])
def test_fill_left_by_an_order_that_ended_nameless_is_booked_by_the_venues_word(
    world: World, ours: bool
) -> None:
    seq = unacknowledged(world)
    world.feed(world.fill(seq, "E1", client_id="", venue_order_id="V77"))
    # The venue denies the order, twice and late enough, and the table takes it for gone.
    later = START + 10 * SECOND
    world.step.on_timer(later)
    asked: list[Any] = []
    for number in range(3):
        at = later + number * SECOND
        asked += world.step.on_query([seq], [], at, at)
        world.step.orders.doubts.raise_(seq, at)
    assert world.state(seq) is OrderState.CANCELLED
    assert [one for one in asked if isinstance(one, NameOrders)] == [NameOrders(("V77",))]
    assert world.step.counters.foreign_fills == 0, "it is not given away before the venue told"
    assert world.step.unclaimed_count == 1
    told = OrderUpdated("V77", str(seq) if ours else "", OrderStatus.FILLED, Source.QUERY, later)
    world.step.on_named(["V77"], [told] if ours else [], later + 4 * SECOND)
    counters = world.step.counters
    assert (counters.fills, counters.foreign_fills) == ((1, 0) if ours else (0, 1))
    assert world.step.unclaimed_count == 0


def test_fill_beside_a_refused_order_is_anothers_without_a_question(world: World) -> None:
    seq = unacknowledged(world)
    world.feed(world.fill(seq, "E1", client_id="", venue_order_id="V78"))
    out = world.feed(RequestRefused("add", 1, "post only", "post_only", False, client_id=str(seq)))
    assert not any(isinstance(one, NameOrders) for one in out)
    assert world.step.counters.foreign_fills == 1


def test_another_bots_order_on_a_dedicated_account_is_one_critical_alert() -> None:
    world = quoting(StepConfig(dead_man_ns=60 * SECOND))

    def told(number: int) -> list[Alert]:
        seen = OrderUpdated(
            f"OTHER-{number}", f"x-{number}", OrderStatus.OPEN, Source.STREAM, START
        )
        out = world.feed(seen)
        assert not any(isinstance(one, CancelStray) for one in out), "it is not ours to cancel"
        return [one for one in out if isinstance(one, Alert)]

    (alert,) = told(1)
    assert alert.severity == "critical"
    assert "OTHER-1 (x-1) is not this bot's" in alert.text
    assert "the account is said to be dedicated" in alert.text
    assert told(2) == [], "said once"
    assert set(world.step.foreign) == {"OTHER-1", "OTHER-2"}


def test_fill_waiting_for_its_order_is_claimed_by_a_query(world: World) -> None:
    seq = unacknowledged(world)
    world.feed(world.fill(seq, "E1", client_id="", venue_order_id=f"V{seq}"))
    world.step.on_timer(START + 6 * SECOND)
    found = [
        world.fill(seq, "E1"),
        updated(seq, OrderStatus.FILLED, Source.QUERY, filled_lots=100_000),
    ]
    world.step.on_query([seq], found, START + 7 * SECOND, START + 7 * SECOND)
    assert world.state(seq) is OrderState.FILLED
    assert (world.step.counters.fills, world.step.counters.foreign_fills) == (1, 0)


def test_report_older_than_an_orders_last_fill_is_no_stray(world: World) -> None:
    seq = world.seq()
    lots = world.order(seq).qty_lots
    world.feed(world.fill(seq, "E1", lots=lots))
    late = updated(seq, OrderStatus.PARTIALLY_FILLED, filled_lots=lots // 2)
    assert not any(isinstance(one, CancelStray) for one in world.feed(late))


def test_refusals_of_another_bots_orders_do_not_brake_ours(world: World) -> None:
    for number in range(200):
        ended = updated(1, OrderStatus.CANCELLED, reason="Post only order")
        world.feed(replace(ended, venue_order_id=f"X{number}", client_id="someone"))
    assert world.risk() is RiskState.RUNNING


def test_late_report_of_the_amend_before_leaves_the_one_under_way(world: World) -> None:
    seq = world.seq()
    before = world.order(seq)
    world.table.amend_sent(seq, before.price_ticks - 7, before.qty_lots, START)
    late = updated(
        seq, OrderStatus.OPEN, amended=True,
        price_ticks=before.price_ticks, qty_lots=before.qty_lots,
    )  # fmt: skip
    world.feed(late)
    assert world.state(seq) is OrderState.PENDING_AMEND
    assert world.order(seq).pending_price_ticks == before.price_ticks - 7


@pytest.mark.parametrize("reported", [True, False])
def test_report_of_an_amend_before_the_last_one_does_not_bring_its_price_back(
    world: World, reported: bool
) -> None:
    seq = world.seq()
    old, lots = world.order(seq).price_ticks, world.order(seq).qty_lots
    now_ns = START + 10 * SECOND
    orders = world.step.orders  # nothing is quoted anew here
    world.table.amend_sent(seq, old - 7, lots - 1, now_ns)
    orders.on_accepted(RequestAccepted("amend", 9, str(seq), f"V{seq}"), now_ns)
    report = OrderUpdated(
        f"V{seq}", str(seq), OrderStatus.OPEN, Source.STREAM, now_ns,
        amended=True, price_ticks=old - 7, qty_lots=lots - 1,
    )  # fmt: skip
    late = replace(
        report, price_ticks=old, qty_lots=lots, ts_ns=now_ns - (1 if reported else 5 * SECOND)
    )
    for one in [report, late] if reported else [late]:
        orders.on_order(one, now_ns + 1)
    assert (world.order(seq).price_ticks, world.order(seq).qty_lots) == (old - 7, lots - 1)
    # What the venue tells of a later change holds.
    orders.on_order(replace(late, ts_ns=now_ns + 5), now_ns + 6)
    assert world.order(seq).price_ticks == old


@pytest.mark.parametrize(
    "late",
    [
        RequestAccepted("amend", 8, "", "V1"),
        RequestRefused("amend", 8, "EOrder:Cannot amend", "no_change", False),
        RequestRefused("amend", 8, "EOrder:Unknown", "unknown", False),
    ],
)
def test_late_answer_to_the_amend_before_leaves_the_one_under_way(
    world: World, late: RequestAccepted | RequestRefused
) -> None:
    seq = world.seq()
    before = world.order(seq)
    world.ids.sent |= {8: ("amend", [seq]), 9: ("amend", [seq])}
    # The stream settled the first before its answer came, and the second left at once.
    world.table.amend_sent(seq, before.price_ticks - 7, before.qty_lots - 1, START)
    world.feed(late)
    assert world.state(seq) is OrderState.PENDING_AMEND
    assert world.order(seq).qty_lots == before.qty_lots
    world.feed(RequestAccepted("amend", 9, "", "V1"))
    assert world.order(seq).qty_lots == before.qty_lots - 1


def test_order_the_venue_calls_filled_ends_once_its_fills_are_booked(world: World) -> None:
    seq = world.seq()
    lots = world.order(seq).qty_lots
    # An amend to less was not answered, and what is left of it filled.
    world.table.amend_sent(seq, world.order(seq).price_ticks, lots // 2, START)
    world.feed(world.fill(seq, "E1", lots=lots // 2))
    world.table.event(seq, OrderEvent.EV_TIMEOUT, START)
    found = [updated(seq, OrderStatus.FILLED, Source.QUERY, filled_lots=lots // 2)]
    world.step.on_timer(START + 6 * SECOND)
    world.step.on_query([seq], found, START + 6 * SECOND, START + 6 * SECOND)
    assert world.state(seq) is OrderState.CANCELLED


def test_answer_older_than_an_amend_does_not_bring_back_the_old_price(world: World) -> None:
    seq = world.seq()
    before = world.order(seq)
    world.step.pipeline.quoting = False
    world.feed(updated(seq, OrderStatus.PARTIALLY_FILLED, filled_lots=5))
    world.step.pipeline.quoting = True
    asked_ns = START + SECOND
    amended_ns = asked_ns + 1
    world.table.event(seq, OrderEvent.EV_TIMEOUT, START)
    world.table.event(seq, OrderEvent.EV_PROVEN_OPEN, START)
    world.table.amend_sent(seq, before.price_ticks - 7, before.qty_lots, asked_ns)
    world.table.event(seq, OrderEvent.EV_AMENDED, amended_ns)
    world.step.pipeline.quoting = False
    stale = updated(
        seq, OrderStatus.OPEN, Source.QUERY, filled_lots=0,
        price_ticks=before.price_ticks, qty_lots=before.qty_lots,
    )  # fmt: skip
    world.step.on_query([seq], [stale], asked_ns, amended_ns + 1)
    assert world.order(seq).price_ticks == before.price_ticks - 7


def test_cancel_taken_back_by_the_pipeline_is_asked_for(world: World) -> None:
    seq = world.seq()
    # As the pipeline does when a batch with a cancel in it cannot leave.
    world.table.cancel_sent(seq, START)
    world.table.event(seq, OrderEvent.EV_CANCEL_REJECTED, START)
    requests = world.step.on_timer(START + 1)
    assert any(isinstance(one, QueryOrders) and seq in one.seqs for one in requests)


def test_cancel_refused_for_its_rate_is_not_asked_for_at_once(world: World) -> None:
    seq = world.seq()
    world.table.cancel_sent(seq, START)
    world.ids.sent[9] = ("cancel", [seq])
    world.feed(RequestRefused("cancel", 9, "EOrder:Rate limit exceeded", "rate_limit", True))
    assert not any(isinstance(one, QueryOrders) for one in world.step.on_timer(START + 1))
    requests = world.step.on_timer(START + SECOND)
    assert any(isinstance(one, QueryOrders) and seq in one.seqs for one in requests)


def test_book_whose_snapshot_never_comes_is_dropped_and_resubscribed(world: World) -> None:
    book = world.step.feeds[0].book
    book.catch_up()
    world.step.on_timer(START)
    requests = world.step.on_timer(START + 6 * SECOND)
    assert book.state is BookState.BOOK_BROKEN
    assert any(isinstance(one, Resubscribe) for one in requests)


def test_fill_later_than_the_orders_slot_is_booked_with_an_alarm(world: World) -> None:
    seq = world.seq()
    late = world.fill(seq, "late")
    world.feed(updated(seq, OrderStatus.CANCELLED))
    world.step.on_timer(START + 61 * SECOND)
    assert world.table.get(seq) is None
    requests = world.feed(late)
    assert world.step.counters.fills == 1
    assert world.step.pipeline.inventory.position_lots == late.qty_lots
    assert any(isinstance(one, Alert) and one.severity == "critical" for one in requests)
