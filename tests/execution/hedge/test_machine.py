"""The hedge machine's decisions, one at a time."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest

from openmm._fast.units import Side
from openmm.execution.hedge import HedgeMachine
from openmm.execution.hedge.messages import (
    BookSeen,
    CancelAnswered,
    CancelHedge,
    Closed,
    FeesTold,
    FundsSeen,
    HedgeAbsent,
    HedgeAccepted,
    HedgeAction,
    HedgeEnded,
    HedgeEvent,
    HedgeFilled,
    HedgeFound,
    HedgeRefused,
    HedgeUnanswered,
    Incident,
    Killed,
    PlaceHedge,
    QuoteFilled,
    QuotesStood,
    Reason,
    Released,
    ResumeQuoting,
    StopQuoting,
    TimePassed,
    VenueSeen,
)
from tests.execution.hedge.two_venues import MS, SECOND, T0, terms

LOT = 10**8  # of the hedge venue, in atoms
UNIT = 1_000 * LOT  # 0.1 BTC: the limit
BIDS = ((599_990, 500), (599_900, 5_000))
ASKS = ((600_010, 500), (600_100, 5_000))


class Desk:
    """A machine with its venue up and its book seen, at a time of the test's."""

    def __init__(self, *, ready: bool = True, **changes: Any) -> None:
        self.machine = HedgeMachine(terms(**changes))
        self.now_ns = T0
        self.ids = 0
        if ready:
            self.up()

    def up(self) -> None:
        self.tell(VenueSeen(0, True))
        self.book()
        for _ in range(4):
            self.wait(self.machine.terms.resume_ns // 3)
        assert self.stopped() is None

    def tell(self, event: HedgeEvent) -> list[HedgeAction]:
        fields = {name: getattr(event, name) for name in event.__struct_fields__}
        return self.machine.apply(type(event)(**(fields | {"now_ns": self.now_ns})))

    def wait(self, span_ns: int, *, book: bool = True) -> list[HedgeAction]:
        self.now_ns += span_ns
        return self.book() if book else self.tell(TimePassed(0))

    def book(
        self, bids: tuple[tuple[int, int], ...] = BIDS, asks: tuple[tuple[int, int], ...] = ASKS
    ) -> list[HedgeAction]:
        return self.tell(BookSeen(0, bids, asks))

    def stopped(self) -> Reason | None:
        return self.machine.stopped

    def closed(self) -> bool:
        return self.machine.closed

    def fill(self, lots: int, price_ticks: int = 600_000, **fields: int) -> list[HedgeAction]:
        """Fill a bid of ours by a positive quantity in hedge lots, an ask by a negative one."""
        self.ids += 1
        side, atoms = (Side.BUY if lots > 0 else Side.SELL), abs(lots) * LOT
        return self.tell(QuoteFilled(0, f"q{self.ids}", side, atoms, atoms * price_ticks, **fields))

    def hedged(self, placed: PlaceHedge, lots: int, ended: bool = True) -> list[HedgeAction]:
        self.ids += 1
        cost = lots * LOT * placed.price_ticks
        out = self.tell(HedgeFilled(0, placed.seq, f"h{self.ids}", placed.side, lots, cost))
        if ended:
            out += self.tell(HedgeEnded(0, placed.seq, lots))
        return out


def placed(actions: list[HedgeAction]) -> PlaceHedge:
    (one,) = [action for action in actions if isinstance(action, PlaceHedge)]
    return one


def none_placed(actions: list[HedgeAction]) -> bool:
    return not any(isinstance(action, PlaceHedge) for action in actions)


# ---------------------------------------------------------------- what is hedged, and at what price


def test_a_fill_is_hedged_at_once_within_the_slippage_bound() -> None:
    desk = Desk(slippage_ppm=1_000)
    assert placed(desk.fill(50)) == PlaceHedge(1, Side.SELL, 599_400, 50, desk.now_ns + 2 * SECOND)
    short = Desk(slippage_ppm=1_000)
    one = placed(short.fill(-50))
    assert (one.side, one.price_ticks, one.qty_lots) == (Side.BUY, 600_600, 50)
    assert one.deadline_ns == short.now_ns + short.machine.terms.deadline_ns


def test_slippage_bound_rounds_against_a_worse_price() -> None:
    desk = Desk(slippage_ppm=333)
    assert placed(desk.fill(50)).price_ticks == 599_801  # 599,800.2
    short = Desk(slippage_ppm=333)
    assert placed(short.fill(-50)).price_ticks == 600_199  # 600,199.8


def test_a_book_beyond_the_bound_is_waited_for() -> None:
    desk = Desk(slippage_ppm=10)
    assert none_placed(desk.fill(50))
    assert placed(desk.book(((599_999, 500),), ASKS)).price_ticks == 599_999


def test_remainders_are_carried_and_netted_by_opposite_fills() -> None:
    desk = Desk()
    assert none_placed(desk.fill(4))  # under 0.0005
    assert none_placed(desk.fill(-6))
    assert desk.machine.net_atoms == -2 * LOT
    one = placed(desk.fill(-10))
    assert (one.side, one.qty_lots) == (Side.BUY, 12)


def test_a_part_is_never_less_than_the_venues_least_cost() -> None:
    desk = Desk(order_lots_max=5, notional_ticklots_min=600_000 * 10)
    # 10 lots at 600,000 ticks, 11 at the worst price of a sale: 5 would be refused for ever.
    assert placed(desk.fill(50)).qty_lots == 11


def test_less_than_a_lot_of_the_hedge_venue_stays_open() -> None:
    desk = Desk()
    desk.ids += 1
    one = placed(desk.tell(QuoteFilled(0, "q", Side.BUY, 20 * LOT + 7, 20 * LOT * 600_000)))
    assert one.qty_lots == 20
    desk.hedged(one, 20)
    assert desk.machine.net_atoms == 7


def test_a_fee_in_base_is_not_hedged() -> None:
    desk = Desk()
    assert placed(desk.fill(50, fee_atoms=3 * LOT)).qty_lots == 47


def test_a_fill_told_twice_is_booked_once() -> None:
    desk = Desk()
    fill = QuoteFilled(0, "same", Side.BUY, 50 * LOT, 50 * LOT * 600_000)
    one = placed(desk.tell(fill))
    assert none_placed(desk.tell(fill))
    told = HedgeFilled(0, one.seq, "same", Side.SELL, 50, 0)
    desk.tell(told)
    desk.tell(told)
    assert desk.machine.net_atoms == 0


def test_an_order_is_no_larger_than_its_bound_and_the_rest_follows() -> None:
    desk = Desk(order_lots_max=30)
    first = placed(desk.fill(70))
    second = placed(desk.wait(1 * MS))
    third = placed(desk.wait(1 * MS))
    assert [one.qty_lots for one in (first, second, third)] == [30, 30, 10]
    assert none_placed(desk.wait(1 * MS))


# ---------------------------------------------------------------- when


def test_the_netting_window_lets_opposite_fills_cancel_out() -> None:
    desk = Desk(delay_ns=100 * MS)
    assert none_placed(desk.fill(50))
    assert none_placed(desk.wait(60 * MS))
    assert none_placed(desk.fill(-30))
    assert placed(desk.wait(50 * MS)).qty_lots == 20
    at_once = Desk(delay_ns=0)
    assert placed(at_once.fill(50)).qty_lots == 50


def test_the_window_is_not_waited_for_once_exposure_is_urgent() -> None:
    desk = Desk(delay_ns=SECOND, urgent_share_ppm=200_000)
    assert none_placed(desk.fill(199))
    assert placed(desk.fill(1)).qty_lots == 200


@pytest.mark.parametrize(
    ("price_ticks", "changes", "pays"),
    [
        (599_700, {}, True),  # 0.05 % to the bid, less 0.04 % taker fee
        (599_800, {}, False),
        (599_700, {"latency_ppm": 200}, False),
        (599_700, {"edge_ppm_min": 200}, False),
        (599_700, {"taker_fee_ppm": 600}, False),
        (599_800, {"when": "always"}, True),
    ],
)
def test_profitable_hedges_alone_are_made_where_that_is_wanted(
    price_ticks: int, changes: dict[str, Any], pays: bool
) -> None:
    desk = Desk(**({"when": "profitable"} | changes))
    assert none_placed(desk.fill(50, price_ticks)) is not pays


def test_a_short_position_is_judged_by_what_it_brought() -> None:
    assert placed(Desk(when="profitable").fill(-50, 600_300))
    assert none_placed(Desk(when="profitable").fill(-50, 600_200))


def test_the_quoting_fee_is_part_of_what_a_hedge_must_earn() -> None:
    value = 50 * LOT * 599_700
    assert placed(Desk(when="profitable").fill(50, 599_700))
    assert none_placed(Desk(when="profitable").fill(50, 599_700, fee_tickatoms=value // 5_000))


def test_depth_beyond_the_touch_counts_in_the_cost() -> None:
    desk = Desk(when="profitable", urgent_share_ppm=1_000_000)
    assert none_placed(desk.fill(900, 599_740))  # 400 of them at 599,900
    assert placed(Desk(when="profitable", urgent_share_ppm=1_000_000).fill(400, 599_740))


def test_a_fee_told_later_is_the_one_that_counts() -> None:
    desk = Desk(when="profitable")
    desk.tell(FeesTold(0, 600))
    assert none_placed(desk.fill(50, 599_700))
    assert placed(desk.tell(FeesTold(0, 400)))


def test_what_waits_for_a_profit_is_hedged_at_a_loss_once_urgent() -> None:
    desk = Desk(when="profitable", urgent_share_ppm=100_000)
    assert none_placed(desk.fill(60))
    for _ in range(20):
        assert none_placed(desk.wait(SECOND))
    assert desk.stopped() is None  # waiting by choice is no old exposure
    assert placed(desk.fill(40)).qty_lots == 100


# ---------------------------------------------------------------- doubt


def test_an_unanswered_hedge_counts_in_both_directions_and_is_not_sent_again() -> None:
    desk = Desk()
    one = placed(desk.fill(50))
    desk.tell(HedgeUnanswered(0, one.seq))
    assert (desk.machine.low_atoms, desk.machine.high_atoms) == (0, 50 * LOT)
    assert none_placed(desk.wait(100 * MS))
    # A fill on top is hedged: it is exposed whatever became of the first.
    assert placed(desk.fill(20)).qty_lots == 20
    # One the other way is not: the first may yet turn out to have hedged it away.
    assert none_placed(desk.fill(-10))
    assert (desk.machine.low_atoms, desk.machine.high_atoms) == (-10 * LOT, 60 * LOT)


def test_doubt_ends_by_evidence_and_then_the_rest_is_hedged() -> None:
    desk = Desk()
    one = placed(desk.fill(50))
    desk.tell(HedgeUnanswered(0, one.seq))
    asked_ns = one.deadline_ns + desk.machine.terms.lag_ns + 1
    desk.now_ns = asked_ns
    desk.book()
    assert none_placed(desk.tell(HedgeAbsent(0, one.seq, asked_ns)))
    desk.tell(HedgeAbsent(0, one.seq, asked_ns))
    again = placed(desk.wait(SECOND))
    assert (again.seq, again.qty_lots) == (2, 50)


def test_no_more_orders_live_at_once_than_allowed() -> None:
    desk = Desk(live_max=2)
    for _ in range(2):
        placed(desk.fill(20))
    assert none_placed(desk.fill(20))


def test_an_order_unknown_for_too_long_stops_the_quotes() -> None:
    desk = Desk(doubt_ns_max=3 * SECOND)
    one = placed(desk.fill(50))
    desk.tell(HedgeUnanswered(0, one.seq))
    desk.wait(2 * SECOND)
    assert desk.stopped() is None
    actions = desk.wait(SECOND)
    assert StopQuoting(None, Reason.DOUBT) in actions
    assert Incident("critical", "hedge_doubt", "hedges of unknown state: [1]") in actions
    assert ResumeQuoting(None) in desk.hedged(one, 50)


# ---------------------------------------------------------------- limits


def test_room_is_what_the_worst_outcome_leaves() -> None:
    desk = Desk(urgent_share_ppm=1_000_000, delay_ns=SECOND)
    machine = desk.machine
    assert machine.room_atoms(Side.BUY) == machine.room_atoms(Side.SELL) == UNIT
    desk.tell(QuotesStood(0, 300 * LOT, 100 * LOT))
    assert machine.room_atoms(Side.BUY) == UNIT - 300 * LOT
    assert machine.room_atoms(Side.SELL) == UNIT - 100 * LOT
    desk.fill(200)
    # What filled has left the quotes and entered the position: the sum is the same.
    assert machine.room_atoms(Side.BUY) == UNIT - 300 * LOT
    # A long position makes no room for more asks: hedging it would use that up.
    assert machine.room_atoms(Side.SELL) == UNIT - 100 * LOT


def test_a_full_side_stops_and_comes_back_when_hedged() -> None:
    desk = Desk(delay_ns=SECOND, urgent_share_ppm=1_000_000)
    desk.tell(QuotesStood(0, UNIT, 0))
    assert not desk.machine.is_stopped(Side.BUY)
    actions = desk.fill(1_000)
    assert StopQuoting(Side.BUY, Reason.LIMIT) in actions
    assert desk.machine.is_stopped(Side.BUY)
    assert not desk.machine.is_stopped(Side.SELL)
    assert desk.machine.room_atoms(Side.BUY) == 0
    assert ResumeQuoting(Side.BUY) in desk.hedged(placed(actions), 1_000)


def test_a_side_is_quoted_no_further_than_the_hedge_venues_funds_reach() -> None:
    desk = Desk(slippage_ppm=1_000)
    desk.tell(FundsSeen(0, 200 * LOT, None))
    assert desk.machine.capacity_atoms(Side.BUY) == 200 * LOT
    assert desk.machine.capacity_atoms(Side.SELL) == UNIT  # not told
    # Buying 300 lots at up to 600,600 ticks and 0.04 % of fee.
    money = 300 * LOT * 600_600 * 1_000_400 // 1_000_000
    desk.tell(FundsSeen(0, 2 * UNIT, money))
    assert desk.machine.capacity_atoms(Side.BUY) == UNIT
    assert desk.machine.capacity_atoms(Side.SELL) == 300 * LOT
    desk.tell(FundsSeen(0, 60 * LOT, money))
    desk.hedged(placed(desk.fill(50)), 50)
    assert desk.machine.capacity_atoms(Side.BUY) == 10 * LOT  # what is left to sell
    # What came in counts once its balance is told: before the execution, it would count twice.
    assert desk.machine.capacity_atoms(Side.SELL) == 300 * LOT
    assert StopQuoting(Side.BUY, Reason.LIMIT) in desk.tell(FundsSeen(0, 0, money))


@pytest.mark.parametrize("lots", [50, -50])
def test_a_balance_told_before_its_execution_is_not_counted_twice(lots: int) -> None:
    desk = Desk(slippage_ppm=1_000)
    money = 300 * LOT * 600_600 * 1_000_400 // 1_000_000
    desk.tell(FundsSeen(0, 300 * LOT, money))
    one = placed(desk.fill(lots))
    moved = lots * LOT * one.price_ticks
    desk.tell(FundsSeen(0, (300 - lots) * LOT, money + moved))
    told = {side: desk.machine._funded_atoms(side) for side in (Side.BUY, Side.SELL)}
    desk.hedged(one, 50)
    for side in (Side.BUY, Side.SELL):
        assert desk.machine._funded_atoms(side) <= told[side]  # type: ignore[operator]


def test_more_standing_than_there_is_room_for_stops_the_side() -> None:
    desk = Desk()
    assert StopQuoting(Side.SELL, Reason.LIMIT) in desk.tell(QuotesStood(0, 0, UNIT + 1))
    assert ResumeQuoting(Side.SELL) in desk.tell(QuotesStood(0, 0, UNIT))


def test_a_buy_hedge_on_its_way_takes_no_room_from_bids_but_one_in_doubt_does() -> None:
    desk = Desk()
    one = placed(desk.fill(-50))
    assert desk.machine.room_atoms(Side.BUY) == UNIT
    # The short is bought back by a fill while the hedge is on its way.
    desk.fill(50)
    assert desk.machine.room_atoms(Side.BUY) == UNIT - 50 * LOT
    assert placed(desk.hedged(one, 50)).side == Side.SELL


# ---------------------------------------------------------------- attempts


def test_the_rest_of_a_partial_hedge_is_sent_at_the_new_price_after_a_wait() -> None:
    desk = Desk(backoff_ns=50 * MS)
    one = placed(desk.fill(50))
    assert none_placed(desk.hedged(one, 20))
    assert none_placed(desk.book(((599_000, 500),), ((599_020, 500),)))
    desk.now_ns += 50 * MS
    again = placed(desk.book(((599_000, 500),), ((599_020, 500),)))
    assert (again.qty_lots, again.price_ticks) == (30, 597_213)


def test_waits_double_and_after_too_many_attempts_quotes_stop_until_hedged() -> None:
    desk = Desk(backoff_ns=50 * MS, backoff_ns_max=150 * MS, attempts_max=3)
    actions = desk.fill(50)
    waits = []
    for _ in range(4):
        one = placed(actions)
        ended = desk.tell(HedgeEnded(0, one.seq, 0))
        since_ns = desk.now_ns
        while none_placed(actions := desk.wait(10 * MS)):
            pass
        waits.append((desk.now_ns - since_ns) // MS)
        if len(waits) < 3:
            assert desk.stopped() is None
        elif len(waits) == 3:
            assert StopQuoting(None, Reason.ATTEMPTS) in ended
            assert any(isinstance(one, Incident) for one in ended)
        else:
            assert ended == []  # told once
    assert waits == [50, 100, 150, 150]
    assert ResumeQuoting(None) in desk.hedged(placed(actions), 50)


def test_a_refusal_that_no_retry_mends_stops_at_once_and_is_tried_seldom() -> None:
    desk = Desk()
    one = placed(desk.fill(50))
    actions = desk.tell(HedgeRefused(0, one.seq, "funds"))
    assert StopQuoting(None, Reason.REFUSED) in actions
    assert Incident("critical", "hedge_refused", "the hedge venue refuses hedges: funds") in actions
    assert none_placed(desk.wait(desk.machine.terms.backoff_ns_max - 1))
    assert placed(desk.wait(1))


def test_exposure_that_waits_too_long_stops_the_quotes() -> None:
    desk = Desk(slippage_ppm=10, exposure_ns_max=4 * SECOND)
    desk.fill(50)
    assert desk.wait(4 * SECOND - 1) == []
    actions = desk.wait(1)
    assert StopQuoting(None, Reason.OLD) in actions
    one = placed(desk.book(((599_999, 500),), ASKS))
    assert ResumeQuoting(None) in desk.hedged(one, 50)


# ---------------------------------------------------------------- health


def test_nothing_is_quoted_before_the_venue_was_healthy_for_long_enough() -> None:
    desk = Desk(ready=False, resume_ns=SECOND)
    assert desk.stopped() is Reason.VENUE_DOWN
    assert desk.machine.room_atoms(Side.BUY) == 0
    desk.tell(VenueSeen(0, True))
    desk.book()
    assert desk.wait(SECOND - 1) == []
    assert ResumeQuoting(None) in desk.wait(1)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (VenueSeen(0, False), Reason.VENUE_DOWN),
        (BookSeen(0, BIDS, ASKS, False), Reason.BOOK),
        (BookSeen(0, (), ASKS), Reason.BOOK),
        (BookSeen(0, ((600_010, 1),), ((600_010, 1),)), Reason.BOOK),
    ],
)
def test_a_hedge_venue_in_trouble_stops_quotes_at_once_and_hedges_too(
    event: HedgeEvent, reason: Reason
) -> None:
    desk = Desk(resume_ns=2 * SECOND)
    assert desk.tell(event) == [StopQuoting(None, reason)]
    assert none_placed(desk.fill(50))
    # Hedged as soon as it can be, quoted later.
    assert placed(desk.tell(VenueSeen(0, True)) + desk.book())
    assert desk.stopped() is Reason.RECOVERING
    desk.wait(SECOND)
    assert desk.stopped() is Reason.RECOVERING


def test_a_book_that_is_not_told_of_grows_stale() -> None:
    desk = Desk(book_ns_max=SECOND)
    assert desk.wait(SECOND, book=False) == []
    assert desk.wait(1, book=False) == [StopQuoting(None, Reason.BOOK)]


def test_a_lost_stream_puts_every_hedge_in_doubt() -> None:
    desk = Desk()
    one = placed(desk.fill(50))
    desk.tell(HedgeAccepted(0, one.seq))
    desk.tell(VenueSeen(0, False))
    assert desk.machine.orders.doubt_ns(desk.now_ns + 5) == 5


# ---------------------------------------------------------------- kill, and what cannot be


def test_a_kill_cancels_proves_and_places_nothing_more() -> None:
    desk = Desk()
    one = placed(desk.fill(50))
    actions = desk.tell(Killed(0))
    assert CancelHedge(one.seq) in actions
    assert StopQuoting(None, Reason.KILLED) in actions
    assert none_placed(desk.fill(50))
    assert not desk.closed()
    desk.tell(CancelAnswered(0, one.seq))
    assert not desk.closed()  # an answer to a cancel is no proof
    assert desk.tell(HedgeEnded(0, one.seq, 0)) == [Closed(100 * LOT)]
    assert desk.closed()
    actions = desk.tell(Released(0))
    assert placed(desk.wait(SECOND)).qty_lots == 100
    assert not desk.closed()


def test_an_execution_after_a_proven_end_is_booked_and_waits_for_a_person() -> None:
    desk = Desk()
    one = placed(desk.fill(50))
    desk.hedged(one, 50)
    actions = desk.hedged(one, 20, ended=False)
    assert desk.machine.net_atoms == -20 * LOT
    assert StopQuoting(None, Reason.EVIDENCE) in actions
    back = placed(actions)
    assert (back.side, back.qty_lots) == (Side.BUY, 20)  # what is known is hedged all the same
    desk.hedged(back, 20)
    desk.wait(60 * SECOND)
    assert desk.stopped() is Reason.EVIDENCE
    assert ResumeQuoting(None) in desk.tell(Released(0))


def test_a_start_with_a_position_hedges_it() -> None:
    machine = HedgeMachine(terms(), net_atoms=30 * LOT, cost_tickatoms=1, first_seq=8)
    machine.apply(VenueSeen(T0, True))
    one = placed(machine.apply(BookSeen(T0, BIDS, ASKS)))
    assert (one.seq, one.qty_lots) == (8, 30)


def test_no_sequence_of_events_leaves_the_interval_or_sends_past_it() -> None:
    """Whatever is told, possible or not: nothing raises, and nothing is hedged past zero."""
    total = 0
    for seed in range(60):
        rng = Random(f"events:{seed}")
        desk = Desk(ready=rng.random() < 0.8, live_max=rng.randrange(1, 5))
        machine, sent = desk.machine, 0
        for n in range(150):
            desk.now_ns += rng.choice([0, 1, 30 * MS, 400 * MS, 3 * SECOND])
            seq, lots = rng.randrange(1, sent + 3), rng.randrange(1, 120)
            side = rng.choice([Side.BUY, Side.SELL])
            events: list[HedgeEvent] = [
                QuoteFilled(0, f"q{rng.randrange(60)}", side, lots * LOT, lots * LOT * 600_000),
                HedgeFilled(0, seq, f"h{rng.randrange(60)}", side, lots, lots * LOT * 600_000),
                HedgeAccepted(0, seq), HedgeUnanswered(0, seq), CancelAnswered(0, seq),
                HedgeRefused(0, seq, rng.choice(["funds", "internal", "rate_limit"])),
                HedgeEnded(0, seq, rng.choice([None, 0, lots])), HedgeFound(0, seq, lots),
                HedgeAbsent(0, seq, desk.now_ns), QuotesStood(0, lots * LOT, 5 * lots * LOT),
                BookSeen(0, BIDS, ASKS, rng.random() < 0.9), VenueSeen(0, rng.random() < 0.9),
                TimePassed(0), FundsSeen(0, lots * LOT, None), FeesTold(0, lots),
                Killed(0) if n % 50 == 49 else Released(0),
            ]  # fmt: skip
            low, high = machine.low_atoms, machine.high_atoms
            event = rng.choice(events)
            actions = desk.tell(event)
            assert machine.low_atoms <= machine.net_atoms <= machine.high_atoms
            for action in actions:
                if isinstance(action, PlaceHedge):
                    sent, total = sent + 1, total + 1
                    assert action.seq == sent
                    # After it, and in every outcome, the position is not past zero on its account.
                    if action.side == Side.SELL:
                        assert machine.low_atoms >= 0, (seed, n, event, low, high)
                    else:
                        assert machine.high_atoms <= 0, (seed, n, event, low, high)
    assert total > 200


# ---------------------------------------------------------------- the edge of the quotes


def test_the_least_edge_follows_the_hedge_venues_spread_and_fee() -> None:
    desk = Desk(ready=False)
    assert desk.machine.edge_floor_ppm() is None
    assert HedgeMachine(terms()).mid_uticks is None
    desk.book()
    assert desk.machine.mid_uticks == 600_000 * 10**6
    assert desk.machine.half_spread_ppm == 17  # 10 of 600,000 ticks, rounded up
    assert desk.machine.edge_floor_ppm() == 417
    desk.tell(FeesTold(0, 260))
    assert desk.machine.edge_floor_ppm() == 277
    desk.book(((590_000, 1),), ((610_000, 1),))
    assert desk.machine.edge_floor_ppm() == 260 + 3_000


def test_a_quote_at_the_edge_floor_is_hedged_without_a_loss() -> None:
    desk = Desk(when="profitable", urgent_share_ppm=1_000_000)
    floor_ppm = desk.machine.edge_floor_ppm()
    assert floor_ppm is not None
    price = 600_000 * (1_000_000 - floor_ppm) // 1_000_000
    one = placed(desk.fill(400, price))
    proceeds = 400 * LOT * 599_990
    fee = proceeds * 400 // 1_000_000
    desk.tell(HedgeFilled(0, one.seq, "h", Side.SELL, 400, proceeds, fee))
    assert desk.machine.cost.realised_tickatoms > 0
    assert desk.machine.cost.realised_tickatoms < proceeds // 100_000
    assert Decimal(floor_ppm) == 417
