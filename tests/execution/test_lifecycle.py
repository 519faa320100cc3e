"""Evidence moves orders: what is not proven counts in full, and nobody asks without end."""

from __future__ import annotations

import pytest

from openmm._fast.checks import RiskState
from openmm._fast.orders import OrderEvent, OrderState
from openmm._fast.units import Side
from openmm.engine.step import CancelStray, QueryOrders, RenewToken, RiskMoved
from openmm.events import (
    FATAL_CODES,
    OrderStatus,
    OrderUpdated,
    RequestAccepted,
    RequestRefused,
    Source,
)
from openmm.execution.lifecycle import AMEND_LAG_NS, QUERY_LAG_NS
from openmm.venues.faults import Code
from openmm.venues.kraken import spec
from tests.engine.world import SECOND, START, World, quoting, updated


@pytest.fixture
def world() -> World:
    return quoting()


# ---------------------------------------------------------------- an unanswered amend


def unanswered_amend(world: World) -> tuple[int, int, int, int]:
    """Lose the private stream with an amend under way; returns order, old, new price, quantity."""
    seq = world.seq(Side.BUY)
    before = world.order(seq)
    new_ticks = before.price_ticks - 7
    world.table.amend_sent(seq, new_ticks, before.qty_lots, START)
    world.transport.set_live(False)  # the socket that orders leave through is the lost one
    world.step.private_lost(START)
    assert world.state(seq) is OrderState.UNKNOWN
    return seq, before.price_ticks, new_ticks, before.qty_lots


def answer(world: World, seq: int, price_ticks: int, qty_lots: int, asked_ns: int) -> None:
    found = [
        updated(
            seq, OrderStatus.OPEN, Source.QUERY,
            filled_lots=0, price_ticks=price_ticks, qty_lots=qty_lots,
        )
    ]  # fmt: skip
    world.step.on_query([seq], found, asked_ns, asked_ns + 1)


def test_lagging_answer_with_the_old_price_does_not_settle_an_unanswered_amend(
    world: World,
) -> None:
    seq, old, new, qty = unanswered_amend(world)
    answer(world, seq, old, qty, START + AMEND_LAG_NS - 1)
    order = world.order(seq)
    assert order.state is OrderState.UNKNOWN
    # Both prices count: neither side may quote into either.
    assert (order.price_ticks, order.pending_price_ticks) == (old, new)
    assert world.table.has_price(Side.BUY, old)
    assert world.table.has_price(Side.BUY, new)
    # And it is asked for again.
    later = world.step.on_timer(START + AMEND_LAG_NS)
    assert any(isinstance(one, QueryOrders) and seq in one.seqs for one in later)


@pytest.mark.parametrize("wins", ["new at once", "old after the lag"])
def test_answer_that_no_lag_explains_settles_an_unanswered_amend(world: World, wins: str) -> None:
    seq, old, new, qty = unanswered_amend(world)
    if wins == "new at once":
        answer(world, seq, new, qty, START + 1)
    else:
        answer(world, seq, old, qty, START + AMEND_LAG_NS)
    order = world.order(seq)
    assert order.state is not OrderState.UNKNOWN
    assert order.price_ticks == (new if wins == "new at once" else old)
    assert order.pending_price_ticks == 0


def test_stream_report_settles_an_unanswered_amend(world: World) -> None:
    seq, _, new, qty = unanswered_amend(world)
    report = updated(seq, OrderStatus.OPEN, amended=True, price_ticks=new, qty_lots=qty)
    world.feed(report)
    assert world.order(seq).price_ticks == new


def test_report_that_does_not_say_to_what_settles_no_amend(world: World) -> None:
    seq, old, new, _ = unanswered_amend(world)
    world.feed(updated(seq, OrderStatus.OPEN, amended=True))
    order = world.order(seq)
    assert (order.price_ticks, order.pending_price_ticks) == (old, new)


def test_report_told_twice_does_not_settle_the_next_amend(world: World) -> None:
    seq = world.seq(Side.BUY)
    old, lots = world.order(seq).price_ticks, world.order(seq).qty_lots
    now_ns = START + 10 * SECOND
    orders = world.step.orders  # nothing is quoted anew here
    world.table.amend_sent(seq, old - 7, lots, now_ns)
    report = OrderUpdated(
        f"V{seq}", str(seq), OrderStatus.OPEN, Source.STREAM, now_ns,
        amended=True, price_ticks=old - 7, qty_lots=lots,
    )  # fmt: skip
    orders.on_order(report, now_ns + 1)
    # Back and forth: the next but one asks for what the first report tells.
    for price_ticks in (old, old - 7):
        world.table.amend_sent(seq, price_ticks, lots, now_ns + 2)
        orders.on_order(report, now_ns + 3)
        assert world.order(seq).pending_price_ticks == price_ticks
        orders.on_accepted(RequestAccepted("amend", 9, str(seq), f"V{seq}"), now_ns + 4)


def test_answer_asked_for_before_an_amend_settled_does_not_take_it_back(world: World) -> None:
    """An order is put in doubt right after its amend was told: only the doubt is answered."""
    seq, old, new, qty = unanswered_amend(world)
    world.feed(updated(seq, OrderStatus.OPEN, amended=True, price_ticks=new, qty_lots=qty))
    settled_ns = world.order(seq).amended_ns
    world.step.orders.doubt(seq, settled_ns + 1)
    assert world.state(seq) is OrderState.UNKNOWN
    answer(world, seq, old, qty, settled_ns + 2)
    order = world.order(seq)
    assert order.state is not OrderState.UNKNOWN
    assert (order.price_ticks, order.qty_lots) == (new, qty)
    # Asked for so much later that no lag explains it, the venue's word counts.
    world.step.orders.doubt(seq, settled_ns + 3)
    answer(world, seq, old, qty, settled_ns + QUERY_LAG_NS)
    assert (world.order(seq).price_ticks, world.order(seq).qty_lots) == (old, qty)


# ---------------------------------------------------------------- an end before its fills


def test_order_cancelled_with_fills_still_to_come_counts_until_they_have(world: World) -> None:
    seq = world.seq(Side.BUY)
    order = world.order(seq)
    world.table.cancel_sent(seq, START)
    world.step.pipeline.quoting = False
    world.feed(updated(seq, OrderStatus.CANCELLED, filled_lots=300))
    assert world.state(seq) is OrderState.UNKNOWN
    assert world.table.totals().buy_lots >= order.qty_lots
    world.feed(world.fill(seq, "E1", lots=100))
    assert world.state(seq) is OrderState.UNKNOWN
    world.feed(world.fill(seq, "E2", lots=200))
    assert world.state(seq) is OrderState.CANCELLED
    assert world.order(seq).filled_lots == 300


def test_answer_older_than_the_end_does_not_bring_such_an_order_back(world: World) -> None:
    seq = world.seq(Side.BUY)
    world.step.pipeline.quoting = False
    world.feed(updated(seq, OrderStatus.CANCELLED, filled_lots=300))
    answer(world, seq, world.order(seq).price_ticks, world.order(seq).qty_lots, START + SECOND)
    assert world.state(seq) is OrderState.UNKNOWN


# ---------------------------------------------------------------- no loops


def test_thousand_refused_cancels_give_a_bounded_number_of_messages(world: World) -> None:
    """The venue denies every cancel, and lists the order as open whenever it is asked."""
    step, refused, cancels, queries, now_ns = world.step, 0, 0, 0, START
    step.stop(now_ns)
    while refused < 1_000 and now_ns < START + 7_200 * SECOND:
        now_ns += SECOND // 20
        world.now_ns = now_ns
        for order in world.table.live():
            if order.state is not OrderState.PENDING_CANCEL:
                continue
            refused += 1
            world.ids.sent[9] = ("cancel", [order.seq])
            world.feed(RequestRefused("cancel", 9, "EOrder:Unknown order", "unknown_order", False))
        requests = step.on_timer(now_ns)
        for one in requests:
            if isinstance(one, QueryOrders):
                queries += 1
                found = [
                    updated(
                        seq, OrderStatus.OPEN, Source.QUERY, filled_lots=0,
                        price_ticks=world.order(seq).price_ticks,
                        qty_lots=world.order(seq).qty_lots,
                    )
                    for seq in one.seqs
                ]  # fmt: skip
                step.on_query(one.seqs, found, now_ns, now_ns)
        step.pipeline.withdraw(now_ns)
        cancels += sum(message.count(b"cancel_order") for message in world.transport.take())
    seconds = (now_ns - START) // SECOND
    orders = 20
    # After the first few, one cancel and one query of an order every half minute.
    assert refused == 1_000
    assert cancels <= orders * (8 + seconds // 30)
    assert queries <= orders * (8 + seconds // 30)
    assert seconds > 1_000


def test_nothing_is_placed_while_the_predecessor_at_its_level_is_unknown(world: World) -> None:
    seq = world.seq(Side.BUY)
    order = world.order(seq)
    world.table.event(seq, OrderEvent.EV_TIMEOUT, START)
    for at in range(1, 40):
        world.step.on_timer(START + at * SECOND // 20)
    assert world.state(seq) is OrderState.UNKNOWN
    twins = [
        one
        for one in world.table.live()
        if one.seq != seq and one.side == order.side
        and (one.level == order.level or one.price_ticks == order.price_ticks)
    ]  # fmt: skip
    assert twins == []


def test_doubled_late_and_reordered_events_leave_one_order(world: World) -> None:
    seq = world.seq(Side.SELL)
    lots = world.order(seq).qty_lots
    fill = world.fill(seq, "E1", lots=lots)
    world.step.pipeline.quoting = False
    gone = updated(seq, OrderStatus.CANCELLED, filled_lots=lots)
    ack = RequestAccepted("add", 1, client_id=str(seq), venue_order_id=f"V{seq}")
    world.feed(gone, fill, fill, ack, gone, updated(seq, OrderStatus.OPEN), ack)
    assert world.step.counters.fills == 1
    assert world.state(seq) is OrderState.FILLED
    assert world.step.counters.illegal == 0


# ---------------------------------------------------------------- refusals that need an operator


def test_fatal_codes_are_those_of_the_venue() -> None:
    assert {str(code) for code in Code} >= FATAL_CODES


@pytest.mark.parametrize(
    "text",
    [
        "EGeneral:Permission denied",
        "EAPI:Invalid key",
        "ETrade:User Locked",
        "EGeneral:Temporary lockout",
    ],
)
@pytest.mark.parametrize("kind", ["add", "cancel", "subscribe"])
def test_fatal_refusal_halts_latched_with_the_venues_text(
    world: World, text: str, kind: str
) -> None:
    code = spec.classify(text).code
    requests = world.feed(RequestRefused(kind, 9, text, code, False))
    (moved,) = [one for one in requests if isinstance(one, RiskMoved)]
    assert text in moved.change.detail
    assert world.step.monitor.halt_reason == "refused"
    assert any(b"cancel" in message for message in world.transport.take())
    # Latched: no time ends it, an operator does.
    world.step.on_timer(START + 3_600 * SECOND)
    assert world.step.pipeline.risk_state is RiskState.HALTED


def test_stale_token_is_renewed_and_nothing_is_placed_meanwhile(world: World) -> None:
    seq = world.seq()
    world.table.event(seq, OrderEvent.EV_CANCELLED, START)
    world.step.pipeline.requote(START)
    (pending,) = [o.seq for o in world.table.live() if o.state is OrderState.PENDING_NEW]
    world.transport.take()
    world.ids.sent[9] = ("add", [pending])
    refusal = RequestRefused("add", 9, "ESession:Invalid session", "token", True)
    requests = world.feed(refusal)
    assert [one for one in requests if isinstance(one, RenewToken)] == [
        RenewToken("ESession:Invalid session")
    ]
    assert world.state(pending) is OrderState.REJECTED
    world.step.on_timer(START + 1)
    assert not any(b"add" in message for message in world.transport.take())
    world.step.token_renewed(START + 2)
    assert any(b"add" in message for message in world.transport.take())


def test_forgotten_stray_is_cancelled_by_the_venues_id(world: World) -> None:
    seq = world.seq()
    world.feed(updated(seq, OrderStatus.CANCELLED, filled_lots=0))
    assert CancelStray((f"V{seq}",)) in world.feed(updated(seq, OrderStatus.OPEN))
