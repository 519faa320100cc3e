"""The checks: each at its exact boundary, each failing closed, then against the oracle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from openmm._fast.book import BookState
from openmm._fast.checks import (
    INPUT_NAMES,
    LIMIT_NAMES,
    ApprovedView,
    Checks,
    RateBudget,
    Reason,
    RiskState,
)
from openmm._fast.orders import OrderEvent, OrderTable, Transition
from openmm._fast.planner import ActionKind
from openmm._fast.units import Side
from openmm.errors import RiskError
from tests.oracles import checks as oracle
from tests.oracles.checks import Wanted

BUY, SELL = Side.BUY, Side.SELL
CANCEL, AMEND, PLACE = ActionKind.ACTION_CANCEL, ActionKind.ACTION_AMEND, ActionKind.ACTION_PLACE
SECOND = 1_000_000_000
TICK = 1_000_000  # uticks
SEAL = 0xFEED_FACE_CAFE_BEEF

SPEC = {
    "tick_points": 1,
    "lot_points": 1,
    "qty_lots_min": 5,
    "qty_lots_max": 1_000,
    "notional_ticklots_min": 1_000,
    "price_decimals": 1,
    "qty_decimals": 8,
}
LIMITS: dict[str, int | None] = {
    "order_lots_max": 100,
    "order_lots_min": 5,
    "order_ticklots_max": 200_000,
    "open_ticklots_max": 1_000_000,
    "inventory_lots_max": 500,
    "collar_ppm": 50_000,
    "order_count_max": 20,
    "message_age_ns_max": 2 * SECOND,
    "clock_offset_ns_max": SECOND,
    "base_reserve_lots": 100,
    "quote_reserve_ticklots": 10_000,
    "fills_per_minute_max": 30,
    "fee_ppm": 4_000,
}
INPUTS: dict[str, int | None] = {
    "now_ns": 1_000 * SECOND,
    "risk_state": RiskState.RUNNING,
    "book_state": BookState.BOOK_VERIFIED,
    "stream_live": 1,
    "instrument_online": 1,
    "book_recv_ns": 999 * SECOND,
    "clock_offset_ns": 0,
    "reference_uticks": 1_000 * TICK,
    "best_bid_ticks": 999,
    "best_ask_ticks": 1_001,
    "other_bid_ticks": 0,
    "other_ask_ticks": (1 << 63) - 1,
    "q_lots": 0,
    "base_lots": 10_000,
    "quote_ticklots": 10_000_000,
    "quote_known": 1,
    "fills_last_minute": 0,
    "drawdown_breached": 0,
    "tape_full": 0,
    "bounded": 1,
    "base_lots_most": 20_000,
    "base_lots_least": 0,
}


def kraken_budget(threshold: int = 125_000, reserve: int = 25_000) -> RateBudget:
    """Intermediate tier of Kraken, venues/kraken.md section 12."""
    return RateBudget(
        threshold,
        reserve,
        2_340,
        add_milli=1_000,
        batch_add_milli=500,
        amend_milli=1_000,
        amend_ages=[(5 * SECOND, 3_000), (10 * SECOND, 2_000), (15 * SECOND, 1_000)],
        cancel_ages=[
            (5 * SECOND, 8_000),
            (10 * SECOND, 6_000),
            (15 * SECOND, 5_000),
            (45 * SECOND, 4_000),
            (90 * SECOND, 2_000),
            (300 * SECOND, 1_000),
        ],
    )


@dataclass
class Desk:
    """Checks over a table, with limits and inputs to be changed by a case."""

    limits: dict[str, int | None] = field(default_factory=lambda: dict(LIMITS))
    inputs: dict[str, int | None] = field(default_factory=lambda: dict(INPUTS))
    spec: dict[str, int] | None = field(default_factory=lambda: dict(SPEC))
    table: OrderTable = field(default_factory=OrderTable)
    budget: RateBudget = field(default_factory=kraken_budget)
    checks: Checks | None = None

    def judge(self, action: Wanted) -> tuple[Reason, ApprovedView | None]:
        """Judge with checks made of the present limits."""
        self.checks = Checks(self.limits, self.spec, self.budget, seal=SEAL)
        return self.checks.approve(
            action.kind,
            self.inputs,
            self.table,
            side=action.side,
            level=action.level,
            price_ticks=action.price_ticks,
            qty_lots=action.qty_lots,
            seq=action.seq,
        )

    def reason(self, action: Wanted) -> Reason:
        """Judge; an approval is sealed and a refusal is not."""
        reason, approved = self.judge(action)
        assert (approved is not None) == (reason is Reason.APPROVED)
        return reason

    def rest(self, side: int, price: int, qty: int, level: int = 0) -> int:
        """Put a resting order into the table."""
        seq = self.table.place(side, level, price, qty, now_ns=1)
        assert self.table.event(seq, OrderEvent.EV_ACKED, 1) is Transition.TR_OK
        return seq


BID = Wanted(PLACE, BUY, 990, 10)
OFFER = Wanted(PLACE, SELL, 1_010, 10)


# ------------------------------------------------------------------ boundaries


def test_plain_orders_are_approved_and_sealed() -> None:
    for action in (BID, OFFER):
        desk = Desk()
        reason, approved = desk.judge(action)
        assert reason is Reason.APPROVED
        assert approved == ApprovedView(
            SEAL, PLACE, 0, action.side, 0, action.price_ticks, 10, 1_000, True
        )
        assert desk.checks is not None
        assert (desk.checks.approved_count, desk.checks.refusals()) == (1, {})


@dataclass(frozen=True)
class Boundary:
    """One accepted and one refused value of one limit or input."""

    reason: Reason
    accepted: dict[str, int]
    refused: dict[str, int]
    action: Wanted = BID
    also: dict[str, int] = field(default_factory=dict)
    limit: int | None = None
    value: int | None = None


B, R = Boundary, Reason
BOUNDARIES = [
    B(R.STATE, {"risk_state": 1}, {"risk_state": 0}, limit=1, value=0),
    B(R.STATE, {"risk_state": 1}, {"risk_state": RiskState.PAUSED}, limit=1, value=3),
    B(R.STATE, {"risk_state": 1}, {"risk_state": RiskState.HALTED}, limit=1, value=4),
    B(R.STATE, {"q_lots": -10}, {"q_lots": -9}, BID, {"risk_state": 2}, 9, 10),
    B(R.STATE, {"q_lots": 10}, {"q_lots": 9}, OFFER, {"risk_state": 2}, 9, 10),
    B(R.STATE, {"q_lots": -10}, {"q_lots": 400}, BID, {"risk_state": 2}, -400, 10),
    B(R.BOOK_UNVERIFIED, {"book_state": 3}, {"book_state": 2}, limit=3, value=2),
    B(R.BOOK_UNVERIFIED, {"book_state": 3}, {"book_state": 1}, limit=3, value=1),
    B(R.STREAM_DOWN, {"stream_live": 1}, {"stream_live": 0}, limit=1, value=0),
    B(R.STREAM_DOWN, {"stream_live": 1}, {"stream_live": 2}, limit=1, value=2),
    B(
        R.CLOCK_SKEW, {"clock_offset_ns": SECOND}, {"clock_offset_ns": SECOND + 1},
        limit=SECOND, value=SECOND + 1,
    ),
    B(
        R.CLOCK_SKEW, {"clock_offset_ns": -SECOND}, {"clock_offset_ns": -SECOND - 1},
        limit=SECOND, value=-SECOND - 1,
    ),
    B(
        R.MESSAGE_AGE, {"book_recv_ns": 998 * SECOND}, {"book_recv_ns": 998 * SECOND - 1},
        limit=2 * SECOND, value=2 * SECOND + 1,
    ),
    B(
        R.MESSAGE_AGE, {"book_recv_ns": 1_000 * SECOND}, {"book_recv_ns": 1_000 * SECOND + 1},
        limit=2 * SECOND, value=-1,
    ),
    B(R.REFERENCE_MISSING, {"reference_uticks": 990 * TICK}, {"reference_uticks": 0}),
    B(R.INSTRUMENT, {"instrument_online": 1}, {"instrument_online": 0}, limit=1, value=0),
    B(R.ORDER_SIZE_MIN, {"order_lots_min": 10}, {"order_lots_min": 11}, limit=11, value=10),
    B(R.ORDER_SIZE_MAX, {"order_lots_max": 10}, {"order_lots_max": 9}, limit=9, value=10),
    B(
        R.NOTIONAL_MAX, {"order_ticklots_max": 9_900}, {"order_ticklots_max": 9_899},
        limit=9_899, value=9_900,
    ),
    B(R.PRICE_COLLAR, {"collar_ppm": 10_000}, {"collar_ppm": 9_999}, limit=9_999, value=10_000),
    B(
        R.PRICE_COLLAR, {"collar_ppm": 10_000}, {"collar_ppm": 9_999}, OFFER,
        limit=9_999, value=10_000,
    ),
    B(R.POST_ONLY_CROSS, {"best_ask_ticks": 991}, {"best_ask_ticks": 990}, limit=990, value=990),
    B(
        R.POST_ONLY_CROSS, {"best_bid_ticks": 1_009}, {"best_bid_ticks": 1_010}, OFFER,
        limit=1_010, value=1_010,
    ),
    B(R.POST_ONLY_CROSS, {"best_ask_ticks": 991}, {"best_ask_ticks": (1 << 63) - 1}),
    B(R.POST_ONLY_CROSS, {"best_bid_ticks": 1}, {"best_bid_ticks": 0}, OFFER),
    B(R.NEIGHBOUR, {"other_ask_ticks": 991}, {"other_ask_ticks": 990}, limit=990, value=990),
    B(
        R.NEIGHBOUR, {"other_bid_ticks": 1_009}, {"other_bid_ticks": 1_010}, OFFER,
        limit=1_010, value=1_010,
    ),
    # What a board that cannot be read shows.
    B(R.NEIGHBOUR, {"other_ask_ticks": 991}, {"other_ask_ticks": 0}, limit=0, value=990),
    B(R.NEIGHBOUR, {"other_bid_ticks": 0}, {"other_bid_ticks": (1 << 63) - 1}, OFFER),
    B(R.ORDER_COUNT, {"order_count_max": 1}, {"order_count_max": 0}, limit=0, value=1),
    B(
        R.OPEN_NOTIONAL, {"open_ticklots_max": 9_900}, {"open_ticklots_max": 9_899},
        limit=9_899, value=9_900,
    ),
    B(R.INVENTORY_LONG, {"q_lots": 490}, {"q_lots": 491}, limit=500, value=501),
    B(R.INVENTORY_SHORT, {"q_lots": -490}, {"q_lots": -491}, OFFER, limit=500, value=501),
    B(
        R.SHARE_LONG, {"base_lots_most": 10_010}, {"base_lots_most": 10_009},
        limit=10_009, value=10_010,
    ),
    B(
        R.SHARE_SHORT, {"base_lots_least": 9_990}, {"base_lots_least": 9_991}, OFFER,
        limit=9_991, value=9_990,
    ),
    B(R.SHARE_LONG, {"bounded": 0, "base_lots_most": 5}, {"bounded": 1, "base_lots_most": 5}),
    B(
        R.SHARE_SHORT, {"bounded": 0, "base_lots_least": 20_000}, {"base_lots_least": 20_000}, OFFER
    ),
    B(R.SHARE_LONG, {"bounded": 0}, {"bounded": 2}),
    B(
        # 9,900 and 4,000 ppm of it, 10,000 in reserve.
        R.BALANCE, {"quote_ticklots": 19_940}, {"quote_ticklots": 19_939},
        limit=9_939, value=9_900,
    ),
    B(R.BALANCE, {"base_lots": 110}, {"base_lots": 109}, OFFER, limit=9, value=10),
    B(
        R.FILL_BRAKE, {"fills_last_minute": 30}, {"fills_last_minute": 31}, limit=30, value=31
    ),
    B(R.DRAWDOWN, {"drawdown_breached": 0}, {"drawdown_breached": 1}, limit=0, value=1),
    B(R.DRAWDOWN, {"drawdown_breached": 0}, {"drawdown_breached": -1}, limit=0, value=-1),
    B(R.TAPE_FULL, {"tape_full": 0}, {"tape_full": 1}, limit=0, value=1),
]  # fmt: skip


@pytest.mark.parametrize("case", BOUNDARIES, ids=lambda case: f"{case.reason.name}-{case.refused}")
def test_check_accepts_at_its_limit_and_refuses_beyond(case: Boundary) -> None:
    for values, reason in ((case.accepted, Reason.APPROVED), (case.refused, case.reason)):
        desk = Desk()
        for name, value in (case.also | values).items():
            (desk.inputs if name in INPUT_NAMES else desk.limits)[name] = value
        assert desk.reason(case.action) is reason
        assert desk.checks is not None
        if reason is not Reason.APPROVED:
            assert desk.checks.last_reason is reason
            assert desk.checks.refusals() == {reason: 1}
            if case.limit is not None:
                assert (desk.checks.last_limit, desk.checks.last_value) == (case.limit, case.value)


def test_venue_minimum_binds_where_it_is_higher_than_ours() -> None:
    desk = Desk()
    assert desk.spec is not None
    desk.spec["qty_lots_min"] = 11
    assert desk.reason(BID) is Reason.ORDER_SIZE_MIN
    desk.spec["qty_lots_min"] = 10
    assert desk.reason(BID) is Reason.APPROVED


@pytest.mark.parametrize(("minimum", "reason"), [(9_900, R.APPROVED), (9_901, R.NOTIONAL_MIN)])
def test_venue_minimum_cost_binds(minimum: int, reason: Reason) -> None:
    desk = Desk()
    assert desk.spec is not None
    desk.spec["notional_ticklots_min"] = minimum
    assert desk.reason(BID) is reason


@pytest.mark.parametrize(("maximum", "reason"), [(10, R.APPROVED), (9, R.ORDER_SIZE_MAX)])
def test_venue_maximum_binds(maximum: int, reason: Reason) -> None:
    desk = Desk()
    assert desk.spec is not None
    desk.spec["qty_lots_max"] = maximum
    assert desk.reason(BID) is reason


@pytest.mark.parametrize(
    ("own", "reason"), [(991, R.APPROVED), (990, R.SELF_TRADE), (989, R.SELF_TRADE)]
)
def test_buy_at_or_over_an_own_sell_is_refused(own: int, reason: Reason) -> None:
    desk = Desk()
    desk.rest(SELL, own, 10)
    assert desk.reason(BID) is reason


@pytest.mark.parametrize(
    ("own", "reason"), [(1_009, R.APPROVED), (1_010, R.SELF_TRADE), (1_011, R.SELF_TRADE)]
)
def test_sell_at_or_under_an_own_buy_is_refused(own: int, reason: Reason) -> None:
    desk = Desk()
    desk.rest(BUY, own, 10)
    assert desk.reason(OFFER) is reason


def test_self_trade_sees_both_prices_of_an_amend_in_flight() -> None:
    desk = Desk()
    desk.table.amend_sent(desk.rest(SELL, 1_010, 10), 990, 10, 2)
    assert desk.reason(BID) is Reason.SELF_TRADE
    desk = Desk()
    desk.table.amend_sent(desk.rest(SELL, 990, 10), 1_010, 10, 2)
    assert desk.reason(BID) is Reason.SELF_TRADE


@pytest.mark.parametrize(("own", "reason"), [(989, R.APPROVED), (990, R.DUPLICATE)])
def test_second_order_at_a_price_is_refused(own: int, reason: Reason) -> None:
    desk = Desk()
    desk.rest(BUY, own, 10)
    assert desk.reason(BID) is reason


def test_level_of_an_unknown_order_is_refused() -> None:
    desk = Desk()
    seq = desk.table.place(BUY, 3, 980, 10, now_ns=1)
    at_level = Wanted(PLACE, BUY, 990, 10, level=3)
    assert desk.reason(at_level) is Reason.APPROVED
    desk.table.event(seq, OrderEvent.EV_TIMEOUT, 2)
    assert desk.reason(at_level) is Reason.DUPLICATE
    assert desk.reason(Wanted(PLACE, BUY, 990, 10, level=2)) is Reason.APPROVED


def test_full_table_is_refused() -> None:
    desk = Desk(limits=LIMITS | {"order_count_max": 600, "open_ticklots_max": 10**12})
    seqs = [desk.rest(SELL, 1_011 + i, 1) for i in range(512)]
    assert desk.reason(BID) is Reason.TABLE_FULL
    desk.table.event(seqs[0], OrderEvent.EV_CANCELLED, 2)
    assert desk.reason(BID) is Reason.APPROVED


def test_amend_of_an_order_not_in_the_table_is_refused() -> None:
    desk = Desk()
    seq = desk.rest(BUY, 980, 10)
    assert desk.reason(Wanted(AMEND, BUY, 990, 10, seq=seq)) is Reason.APPROVED
    assert desk.reason(Wanted(AMEND, BUY, 990, 10, seq=seq + 512)) is Reason.UNKNOWN_ORDER
    assert desk.reason(Wanted(AMEND, SELL, 1_010, 10, seq=seq)) is Reason.UNKNOWN_ORDER
    desk.table.event(seq, OrderEvent.EV_CANCELLED, 2)
    assert desk.reason(Wanted(AMEND, BUY, 990, 10, seq=seq)) is Reason.UNKNOWN_ORDER


@pytest.mark.parametrize(
    "event", [OrderEvent.EV_UNDECIDED, OrderEvent.EV_CANCEL_SENT, OrderEvent.EV_TIMEOUT]
)
def test_amend_of_an_order_under_way_is_refused(event: OrderEvent) -> None:
    desk = Desk()
    seq = desk.table.place(BUY, 0, 980, 10, now_ns=1)
    if event:
        desk.table.event(seq, event, 2)
    assert desk.reason(Wanted(AMEND, BUY, 990, 10, seq=seq)) is Reason.ORDER_UNCERTAIN


def room_of(checks: Checks) -> tuple[int, int] | None:
    """Return the bounds of a hedge, as they are now."""
    return checks.hedge_room


def test_a_side_holds_no_more_than_the_hedge_leaves_room_for() -> None:
    desk = Desk()
    checks = Checks(desk.limits, desk.spec, desk.budget, seal=SEAL)

    def reason(kind: int, side: int, price_ticks: int, qty_lots: int, seq: int = 0) -> Reason:
        return checks.approve(
            kind, desk.inputs, desk.table, side=side, price_ticks=price_ticks,
            qty_lots=qty_lots, seq=seq,
        )[0]  # fmt: skip

    assert checks.hedge_room is None
    checks.hedge_filled(BUY, 5)  # nothing is hedged: nothing follows
    assert reason(PLACE, BUY, 990, 10) is Reason.APPROVED
    checks.hedge(25, 9)
    assert reason(PLACE, SELL, 1_010, 10) is Reason.HEDGE_ROOM
    seq = desk.rest(BUY, 980, 10)
    assert reason(PLACE, BUY, 990, 15) is Reason.APPROVED
    assert reason(PLACE, BUY, 990, 16) is Reason.HEDGE_ROOM
    assert (checks.last_limit, checks.last_value) == (25, 26)
    assert reason(AMEND, BUY, 985, 26, seq) is Reason.HEDGE_ROOM
    checks.hedge_filled(BUY, 20)
    assert room_of(checks) == (5, 9)
    # What is there already may be moved and made smaller, and cancelled.
    assert reason(AMEND, BUY, 985, 10, seq) is Reason.APPROVED
    assert reason(PLACE, BUY, 990, 10) is Reason.HEDGE_ROOM
    checks.hedge_filled(BUY, 20)
    assert room_of(checks) == (0, 9)
    with pytest.raises(ValueError, match="must not be negative"):
        checks.hedge(-1, 0)


def test_action_of_no_kind_or_side_is_undecided() -> None:
    desk = Desk()
    for action in (Wanted(0, BUY, 990, 10), Wanted(4, BUY, 990, 10), Wanted(PLACE, 0, 990, 10)):
        assert desk.reason(action) is Reason.REASON_UNDECIDED


@pytest.mark.parametrize("price", [0, -1, (1 << 40) + 1, (1 << 63) - 1])
def test_price_that_no_market_has_is_refused(price: int) -> None:
    assert Desk().reason(Wanted(PLACE, BUY, price, 10)) in (
        Reason.NOTIONAL_MIN,
        Reason.PRICE_COLLAR,
    )


@pytest.mark.parametrize("qty", [0, -1, (1 << 52) + 1, (1 << 63) - 1])
def test_quantity_that_no_market_has_is_refused(qty: int) -> None:
    assert Desk().reason(Wanted(PLACE, BUY, 990, qty)) is Reason.ORDER_SIZE_MIN


# ------------------------------------------------------------------ fail closed

MISSING_INPUT = {
    "now_ns": Reason.MESSAGE_AGE,
    "risk_state": Reason.STATE,
    "book_state": Reason.BOOK_UNVERIFIED,
    "stream_live": Reason.STREAM_DOWN,
    "instrument_online": Reason.INSTRUMENT,
    "book_recv_ns": Reason.MESSAGE_AGE,
    "clock_offset_ns": Reason.CLOCK_SKEW,
    "reference_uticks": Reason.REFERENCE_MISSING,
    "best_bid_ticks": Reason.POST_ONLY_CROSS,
    "best_ask_ticks": Reason.POST_ONLY_CROSS,
    "other_bid_ticks": Reason.NEIGHBOUR,
    "other_ask_ticks": Reason.NEIGHBOUR,
    "q_lots": Reason.INVENTORY_LONG,
    "base_lots": Reason.SHARE_SHORT,
    "quote_ticklots": Reason.BALANCE,
    "quote_known": Reason.BALANCE,
    "fills_last_minute": Reason.FILL_BRAKE,
    "drawdown_breached": Reason.DRAWDOWN,
    "tape_full": Reason.TAPE_FULL,
    "bounded": Reason.SHARE_LONG,
    "base_lots_most": Reason.SHARE_LONG,
    "base_lots_least": Reason.SHARE_SHORT,
}
MISSING_LIMIT = {
    "order_lots_max": Reason.ORDER_SIZE_MAX,
    "order_lots_min": Reason.ORDER_SIZE_MIN,
    "order_ticklots_max": Reason.NOTIONAL_MAX,
    "open_ticklots_max": Reason.OPEN_NOTIONAL,
    "inventory_lots_max": Reason.INVENTORY_LONG,
    "collar_ppm": Reason.PRICE_COLLAR,
    "order_count_max": Reason.ORDER_COUNT,
    "message_age_ns_max": Reason.MESSAGE_AGE,
    "clock_offset_ns_max": Reason.CLOCK_SKEW,
    "base_reserve_lots": Reason.BALANCE,
    "quote_reserve_ticklots": Reason.BALANCE,
    "fills_per_minute_max": Reason.FILL_BRAKE,
    "fee_ppm": Reason.BALANCE,
}
OF_SELLS = {
    "best_bid_ticks", "other_bid_ticks", "base_lots", "base_lots_least", "base_reserve_lots",
}  # fmt: skip


def test_every_input_and_limit_has_a_test_of_its_absence() -> None:
    assert set(MISSING_INPUT) == set(INPUT_NAMES)
    assert set(MISSING_LIMIT) == set(LIMIT_NAMES)


@pytest.mark.parametrize("name", INPUT_NAMES)
def test_missing_input_refuses(name: str) -> None:
    for gone in (None, "absent"):
        desk = Desk()
        if gone is None:
            desk.inputs[name] = None
        else:
            del desk.inputs[name]
        action = OFFER if name in OF_SELLS else BID
        assert desk.reason(action) is MISSING_INPUT[name]
    if name == "q_lots":
        assert desk.reason(OFFER) is Reason.INVENTORY_SHORT
        desk.inputs["risk_state"] = RiskState.REDUCING
        assert desk.reason(BID) is Reason.STATE
        assert desk.reason(OFFER) is Reason.STATE


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_missing_limit_refuses(name: str) -> None:
    desk = Desk()
    desk.limits[name] = None
    action = OFFER if name in OF_SELLS else BID
    assert desk.reason(action) is MISSING_LIMIT[name]
    del desk.limits[name]
    assert desk.reason(action) is MISSING_LIMIT[name]
    if name == "inventory_lots_max":
        assert desk.reason(OFFER) is Reason.INVENTORY_SHORT


def test_missing_instrument_refuses() -> None:
    assert Desk(spec=None).reason(BID) is Reason.INSTRUMENT


def test_exhausted_budget_refuses_places_and_never_cancels() -> None:
    desk = Desk(budget=kraken_budget(10_000, 5_000))
    seq = desk.rest(BUY, 980, 10)
    desk.budget.decay(1_000 * SECOND)
    desk.budget.spend(4_000)
    assert desk.reason(BID) is Reason.APPROVED
    desk.budget.spend(1)
    assert desk.reason(BID) is Reason.RATE_BUDGET
    assert desk.checks is not None
    assert (desk.checks.last_limit, desk.checks.last_value) == (5_000, 5_001)
    desk.budget.exhaust(1_000 * SECOND)
    assert desk.reason(Wanted(CANCEL, BUY, 0, 0, seq=seq)) is Reason.APPROVED


@pytest.mark.parametrize("state", [None, 0, 3, 4])
def test_cancel_passes_with_nothing_known(state: int | None) -> None:
    desk = Desk(limits={}, inputs={"risk_state": state, "now_ns": 3}, spec=None)
    seqs = [desk.rest(BUY, 980, 10), desk.table.place(SELL, 0, 970, 10, now_ns=1)]
    desk.table.event(seqs[1], OrderEvent.EV_TIMEOUT, 2)
    for seq in seqs:
        reason, approved = desk.judge(Wanted(CANCEL, BUY, 0, 0, seq=seq))
        assert reason is Reason.APPROVED
        assert approved is not None
        assert (approved.seal, approved.seq, approved.rate_cost_milli) == (SEAL, seq, 8_000)
    assert desk.reason(Wanted(CANCEL, BUY, 0, 0, seq=77)) is Reason.UNKNOWN_ORDER


# ------------------------------------------------------------------ amends


def test_amend_counts_with_what_it_adds() -> None:
    desk = Desk(limits=LIMITS | {"open_ticklots_max": 20_000})
    seq = desk.rest(BUY, 980, 10)  # 9,800
    desk.rest(SELL, 1_010, 10)  # 10,100
    assert desk.reason(Wanted(AMEND, BUY, 990, 10, seq=seq)) is Reason.APPROVED  # + 100
    assert desk.reason(Wanted(AMEND, BUY, 991, 10, seq=seq)) is Reason.OPEN_NOTIONAL
    # Smaller or cheaper adds nothing, and takes nothing off until it is confirmed.
    assert desk.reason(Wanted(AMEND, BUY, 970, 5, seq=seq)) is Reason.APPROVED


def test_amend_is_sized_by_what_rests_after_it() -> None:
    desk = Desk(limits=LIMITS | {"order_lots_max": 10})
    seq = desk.rest(BUY, 980, 10)
    desk.table.fill(seq, 980, 4, 2)
    assert desk.reason(Wanted(AMEND, BUY, 980, 14, seq=seq)) is Reason.APPROVED
    assert desk.reason(Wanted(AMEND, BUY, 980, 15, seq=seq)) is Reason.ORDER_SIZE_MAX
    assert desk.reason(Wanted(AMEND, BUY, 980, 9, seq=seq)) is Reason.APPROVED
    assert desk.reason(Wanted(AMEND, BUY, 980, 8, seq=seq)) is Reason.ORDER_SIZE_MIN
    assert desk.reason(Wanted(AMEND, BUY, 980, 4, seq=seq)) is Reason.ORDER_SIZE_MIN


def test_amend_is_no_duplicate_of_itself_and_no_new_order() -> None:
    desk = Desk(limits=LIMITS | {"order_count_max": 1})
    seq = desk.rest(BUY, 990, 10)
    assert desk.reason(Wanted(AMEND, BUY, 990, 20, seq=seq)) is Reason.APPROVED
    assert desk.reason(Wanted(PLACE, BUY, 980, 10)) is Reason.ORDER_COUNT
    desk.limits["order_count_max"] = 0
    assert desk.reason(Wanted(AMEND, BUY, 990, 20, seq=seq)) is Reason.APPROVED


@pytest.mark.parametrize(
    ("limit", "inputs", "reason"),
    [
        ({"open_ticklots_max": 5_000}, {}, Reason.OPEN_NOTIONAL),
        ({"inventory_lots_max": 5}, {}, Reason.INVENTORY_LONG),
        ({}, {"quote_ticklots": 5_000}, Reason.BALANCE),
    ],
    ids=str,
)
def test_amend_that_adds_nothing_to_what_a_limit_counts_passes_it(
    limit: dict[str, int], inputs: dict[str, int], reason: Reason
) -> None:
    desk = Desk()
    seq = desk.rest(BUY, 990, 10)
    desk.limits.update(limit)
    desk.inputs.update(inputs)
    assert desk.reason(Wanted(AMEND, BUY, 980, 10, seq=seq)) is Reason.APPROVED
    assert desk.reason(Wanted(AMEND, BUY, 980, 5, seq=seq)) is Reason.APPROVED
    assert desk.reason(Wanted(AMEND, BUY, 980, 12, seq=seq)) is reason


@pytest.mark.parametrize(
    ("age_s", "amend", "cancel"),
    [(4, 4_000, 8_000), (5, 3_000, 6_000), (12, 2_000, 5_000), (20, 1_000, 4_000),
     (299, 1_000, 1_000)],
)  # fmt: skip
def test_cost_follows_the_age_of_the_order(age_s: int, amend: int, cancel: int) -> None:
    desk = Desk()
    seq = desk.table.place(BUY, 0, 980, 10, now_ns=(1_000 - age_s) * SECOND)
    desk.table.event(seq, OrderEvent.EV_ACKED, (1_000 - age_s) * SECOND)
    for action, cost in (
        (Wanted(AMEND, BUY, 985, 10, seq=seq), amend),
        (Wanted(CANCEL, BUY, 0, 0, seq=seq), cancel),
    ):
        _, approved = desk.judge(action)
        assert approved is not None
        assert approved.rate_cost_milli == cost


# ------------------------------------------------------------------ limits


def test_limits_may_be_tightened_and_not_loosened_past_the_file() -> None:
    checks = Checks(LIMITS, SPEC, kraken_budget())
    checks.tighten(order_lots_max=50, base_reserve_lots=200)
    assert checks.current_limits()["order_lots_max"] == 50
    checks.tighten(order_lots_max=100, base_reserve_lots=100)  # back to the file's
    assert checks.current_limits() == LIMITS
    for name in LIMIT_NAMES:
        value = LIMITS[name]
        assert value is not None
        looser = (
            value - 1
            if name in ("order_lots_min", "base_reserve_lots", "quote_reserve_ticklots", "fee_ppm")
            else value + 1
        )
        with pytest.raises(RiskError, match=name):
            checks.tighten(**{name: looser})
    assert checks.current_limits() == checks.hard_limits() == LIMITS


def test_one_loose_limit_changes_none() -> None:
    checks = Checks(LIMITS, SPEC, kraken_budget())
    with pytest.raises(RiskError, match="collar_ppm"):
        checks.tighten(order_lots_max=50, collar_ppm=50_001)
    assert checks.current_limits() == LIMITS


def test_limit_missing_in_the_file_cannot_be_set_later() -> None:
    checks = Checks({}, SPEC, kraken_budget())
    with pytest.raises(RiskError, match="not set in the file"):
        checks.tighten(order_lots_max=1)


def test_tightened_limit_binds() -> None:
    desk = Desk()
    checks = Checks(LIMITS, SPEC, kraken_budget(), seal=SEAL)

    def reason() -> Reason:
        return checks.approve(
            PLACE, desk.inputs, desk.table, side=BUY, price_ticks=990, qty_lots=10
        )[0]

    assert reason() is Reason.APPROVED
    checks.tighten(order_lots_max=9)
    assert reason() is Reason.ORDER_SIZE_MAX


def test_bad_arguments_are_refused() -> None:
    budget = kraken_budget()
    with pytest.raises(ValueError, match="seal"):
        Checks(LIMITS, SPEC, budget, seal=0)
    with pytest.raises(ValueError, match="unknown limits"):
        Checks(LIMITS | {"order_max": 1}, SPEC, budget)
    with pytest.raises(ValueError, match="order_lots_max must not be negative"):
        Checks(LIMITS | {"order_lots_max": -1}, SPEC, budget)
    with pytest.raises(ValueError, match="qty_lots_min must be positive"):
        Checks(LIMITS, SPEC | {"qty_lots_min": 0}, budget)
    with pytest.raises(ValueError, match="unknown limits"):
        Checks(LIMITS, SPEC, budget).tighten(order_max=1)
    with pytest.raises(ValueError, match="unknown inputs"):
        Checks(LIMITS, SPEC, budget).approve(PLACE, {"now": 1}, OrderTable())


def test_spec_may_be_an_object() -> None:
    class Pair:
        tick_points = lot_points = qty_lots_min = 1
        notional_ticklots_min = 1
        price_decimals = qty_decimals = 0

    checks = Checks(LIMITS, Pair(), kraken_budget())
    reason, _ = checks.approve(PLACE, INPUTS, OrderTable(), side=BUY, price_ticks=990, qty_lots=10)
    assert reason is Reason.APPROVED


# ------------------------------------------------------------------ rate budget


def test_documented_example_of_the_counter() -> None:
    """Add, amend after 7 s, cancel 36 s later: 1 + (1 + 2) + 4 = 8."""
    budget = kraken_budget()
    spent = [budget.cost(PLACE), budget.cost(AMEND, 7 * SECOND), budget.cost(CANCEL, 36 * SECOND)]
    assert spent == [1_000, 3_000, 4_000]


def test_documented_burst_decays() -> None:
    """Burst of 50 adds, Intermediate, 10 s later: 50 - 23.4 = 26.6."""
    budget = kraken_budget()
    budget.decay(SECOND)
    for _ in range(50):
        budget.spend(budget.cost(PLACE))
    assert budget.decay(11 * SECOND) == 26_600


@pytest.mark.parametrize(
    ("age_ns", "cost"),
    [
        (-1, 8_000), (0, 8_000), (5 * SECOND - 1, 8_000), (5 * SECOND, 6_000),
        (10 * SECOND, 5_000), (15 * SECOND, 4_000), (45 * SECOND, 2_000), (90 * SECOND, 1_000),
        (300 * SECOND - 1, 1_000), (300 * SECOND, 0),
    ],
)  # fmt: skip
def test_cancel_cost_by_bracket(age_ns: int, cost: int) -> None:
    assert kraken_budget().cost(CANCEL, age_ns) == cost


def test_batch_gives_back_half() -> None:
    budget = kraken_budget()
    budget.spend(10_000)
    budget.refund_batch(1)
    assert budget.level_milli == 10_000
    budget.refund_batch(10)
    assert budget.level_milli == 5_000


def test_threshold_of_the_venue_keeps_the_share_of_the_reserve() -> None:
    budget = kraken_budget(125_000, 25_000)
    budget.set_threshold(60_000)
    assert (budget.threshold_milli, budget.reserve_milli) == (60_000, 12_000)


def test_reserve_is_for_cancels() -> None:
    budget = kraken_budget(10_000, 4_000)
    budget.spend(6_000)
    assert not budget.allows(PLACE, 1, 0)
    assert not budget.allows(AMEND, 1, 0)
    assert budget.allows(PLACE, 0, 0)
    assert budget.allows(CANCEL, 8_000, 0)


def test_bad_budgets_are_refused() -> None:
    good: dict[str, Any] = {"add_milli": 1, "batch_add_milli": 1, "amend_milli": 1}
    for args in ((0, 0, 1), (10, 10, 1), (10, -1, 1), (10, 0, 0)):
        with pytest.raises(ValueError, match="must be"):
            RateBudget(*args, **good)
    with pytest.raises(ValueError, match="ages must rise"):
        RateBudget(10, 0, 1, **good, cancel_ages=[(5, 1), (5, 1)])
    with pytest.raises(ValueError, match="at most 8"):
        RateBudget(10, 0, 1, **good, cancel_ages=[(i + 1, 1) for i in range(9)])
    with pytest.raises(ValueError, match="batch_add_milli"):
        RateBudget(10, 0, 1, add_milli=1, batch_add_milli=2, amend_milli=1)
    budget = RateBudget(10, 0, 1, **good)
    with pytest.raises(ValueError, match="must not be negative"):
        budget.spend(-1)
    with pytest.raises(ValueError, match="not a kind"):
        budget.cost(0)
    with pytest.raises(ValueError, match="threshold_milli"):
        budget.set_threshold(0)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 10_000), st.integers(0, 10 * SECOND)),
            st.integers(0, 9_000),
        ),
        max_size=60,
    ),
    st.sampled_from([1_000, 2_340, 3_750, 7]),
)
def test_counter_is_never_below_the_venues_and_not_far_above(
    steps: list[tuple[int, int]], decay: int
) -> None:
    ours = RateBudget(125_000, 0, decay, add_milli=1_000, batch_add_milli=500, amend_milli=1_000)
    exact = oracle.RateBudget(decay)
    now_ns = 0
    for span_ns, cost in steps:
        now_ns += span_ns
        level = ours.decay(now_ns)
        # A thousandth that is not whole yet, and a nanosecond rounded at each step.
        assert 0 <= level - exact.decay(now_ns) <= 2
        ours.spend(cost)
        exact.spend(cost)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=50))
def test_rounding_of_time_never_decays_twice(spans_ns: list[int]) -> None:
    """A decay of more than a thousandth a nanosecond would show time that is counted again."""
    ours = RateBudget(
        125_000, 0, 1_500_000_000, add_milli=1_000, batch_add_milli=500, amend_milli=1_000
    )
    exact = oracle.RateBudget(1_500_000_000)
    for budget in (ours, exact):
        budget.spend(100_000)
    now_ns = 0
    for span_ns in spans_ns:
        now_ns += span_ns
        assert ours.decay(now_ns) >= exact.decay(now_ns)


# ------------------------------------------------------------------ against the oracle


@st.composite
def desks(draw: st.DrawFn) -> tuple[Desk, Wanted]:
    """Draw limits, inputs, a table in any state, and an action; most near the limits."""
    small = st.integers(0, 40)
    limits: dict[str, int | None] = {
        "order_lots_max": draw(st.integers(5, 40)),
        "order_lots_min": draw(st.integers(0, 8)),
        "order_ticklots_max": draw(st.integers(500, 4_000)),
        "open_ticklots_max": draw(st.integers(1_000, 20_000)),
        "inventory_lots_max": draw(st.integers(10, 150)),
        "collar_ppm": draw(st.integers(20_000, 300_000)),
        "order_count_max": draw(st.integers(2, 9)),
        "message_age_ns_max": draw(st.integers(0, 10)),
        "clock_offset_ns_max": draw(st.integers(0, 10)),
        "base_reserve_lots": draw(small),
        "quote_reserve_ticklots": draw(st.integers(0, 4_000)),
        "fills_per_minute_max": draw(st.integers(0, 5)),
        "fee_ppm": draw(st.integers(0, 10_000)),
    }
    now_ns = 1_000
    inputs: dict[str, int | None] = {
        "now_ns": now_ns,
        "risk_state": draw(st.sampled_from([1] * 8 + [2, 2, 0, 3, 4])),
        "book_state": draw(st.sampled_from([3] * 9 + [0, 1, 2])),
        "stream_live": draw(st.sampled_from([1] * 9 + [0])),
        "instrument_online": draw(st.sampled_from([1] * 9 + [0])),
        "book_recv_ns": now_ns - draw(st.integers(0, 5)),
        "clock_offset_ns": draw(st.integers(-4, 4)),
        "reference_uticks": draw(st.integers(95 * TICK, 105 * TICK)),
        "best_bid_ticks": draw(st.integers(90, 100)),
        "best_ask_ticks": draw(st.integers(100, 110)),
        "other_bid_ticks": draw(st.sampled_from([0] * 5 + [90, 99, 100, 105])),
        "other_ask_ticks": draw(st.sampled_from([(1 << 63) - 1] * 5 + [95, 100, 101, 110, 0])),
        "q_lots": draw(st.integers(-60, 60)),
        "base_lots": draw(st.integers(0, 300)),
        "quote_ticklots": draw(st.integers(0, 30_000)),
        "quote_known": draw(st.sampled_from([1] * 9 + [0])),
        "fills_last_minute": draw(st.integers(0, 3)),
        "drawdown_breached": draw(st.sampled_from([0] * 9 + [1, -1])),
        "tape_full": draw(st.sampled_from([0] * 9 + [1])),
    }
    for values in (limits, inputs):
        if draw(st.integers(0, 9)) == 0:
            values[draw(st.sampled_from(sorted(values)))] = None
    spec: dict[str, int] | None = {
        "tick_points": 1,
        "lot_points": 1,
        "qty_lots_min": draw(st.integers(1, 6)),
        "qty_lots_max": draw(st.integers(10, 60)),
        "notional_ticklots_min": draw(st.integers(0, 600)),
        "price_decimals": 0,
        "qty_decimals": 0,
    }
    if draw(st.integers(0, 19)) == 0:
        spec = None
    table = OrderTable()
    seqs = [0, 99_999]
    for _ in range(draw(st.integers(0, 6))):
        side = draw(st.sampled_from([BUY, SELL]))
        price = draw(st.integers(85, 99) if side is BUY else st.integers(101, 115))
        seq = table.place(side, draw(st.integers(0, 3)), price, draw(st.integers(1, 15)), now_ns=1)
        seqs.append(seq)
        for event in draw(
            st.lists(st.sampled_from([OrderEvent.EV_ACKED, OrderEvent.EV_ACKED,
                                      OrderEvent.EV_TIMEOUT, OrderEvent.EV_CANCEL_SENT,
                                      OrderEvent.EV_CANCELLED]), max_size=2)
        ):  # fmt: skip
            table.event(seq, event, 2)
        if draw(st.integers(0, 3)) == 0:
            table.fill(seq, price, draw(st.integers(1, 3)), 3)
        if draw(st.integers(0, 3)) == 0:
            table.amend_sent(seq, price + draw(st.integers(-5, 5)), draw(st.integers(1, 20)), 4)
    kind = draw(st.sampled_from([PLACE, PLACE, AMEND, AMEND, CANCEL]))
    side = draw(st.sampled_from([BUY, SELL]))
    seq = 0 if kind is PLACE else draw(st.sampled_from(seqs))
    order = table.get(seq)
    if order is not None and draw(st.integers(0, 9)):
        side = Side(order.side)
    price = draw(st.integers(80, 100) if side is BUY else st.integers(100, 120))
    action = Wanted(kind, side, price, draw(st.integers(1, 30)), draw(st.integers(0, 3)), seq)
    budget = kraken_budget(10_000, 1_000)
    budget.decay(now_ns)
    budget.spend(draw(st.sampled_from([0, 0, 0, 5_000, 7_000, 8_000, 8_001])))
    return Desk(limits, inputs, spec, table, budget), action


@settings(max_examples=600, deadline=None)
@given(desks())
def test_reason_equals_oracle(drawn: tuple[Desk, Wanted]) -> None:
    desk, action = drawn
    live = desk.table.live()
    order = desk.table.get(action.seq)
    if action.kind is CANCEL and order is not None and order not in live:
        assume(False)  # a finished order that still has its slot: the cancel passes, and is idle
    if action.kind is AMEND and (order is None or order.side != action.side):
        # No such order: whatever refuses first, it is refused.
        assert desk.reason(action) is not Reason.APPROVED
        return
    if action.kind is AMEND and order not in live:
        assert desk.reason(action) is not Reason.APPROVED
        return
    now_ns = desk.inputs["now_ns"]
    age = (now_ns or -(1 << 63)) - order.amended_ns if order else 0
    allows = desk.budget.allows(
        action.kind, desk.budget.cost(action.kind, max(age, -(1 << 62))), now_ns or 0
    )
    wanted = oracle.judge(action, desk.limits, desk.inputs, desk.spec, live, allows)
    assert desk.reason(action) is wanted


# ------------------------------------------------------------------ no limit is exceeded


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_sequence_of_approved_orders_exceeds_a_limit(data: st.DataObject) -> None:
    """Place, amend, answer, lose and fill at random: the worst that may still come stays within."""
    limits: dict[str, int | None] = {
        "order_lots_max": 20,
        "order_lots_min": 1,
        "order_ticklots_max": 2_200,
        "open_ticklots_max": data.draw(st.integers(2_000, 9_000)),
        "inventory_lots_max": data.draw(st.integers(20, 60)),
        "collar_ppm": 200_000,
        "order_count_max": data.draw(st.integers(1, 8)),
        "message_age_ns_max": SECOND,
        "clock_offset_ns_max": SECOND,
        "base_reserve_lots": 5,
        "quote_reserve_ticklots": 500,
        "fills_per_minute_max": 1_000,
        "fee_ppm": 5_000,
    }
    table = OrderTable()
    budget = RateBudget(100_000, 0, 1_000_000, add_milli=1, batch_add_milli=1, amend_milli=1)
    checks = Checks(limits, SPEC | {"qty_lots_min": 1, "notional_ticklots_min": 0}, budget)
    base, quote, target = 40, 6_000, data.draw(st.integers(20, 60))
    state = data.draw(st.sampled_from([RiskState.RUNNING, RiskState.RUNNING, RiskState.REDUCING]))
    for step in range(data.draw(st.integers(1, 40))):
        inputs = INPUTS | {
            "risk_state": state, "reference_uticks": 100 * TICK, "best_bid_ticks": 99,
            "best_ask_ticks": 101, "q_lots": base - target, "base_lots": base,
            "quote_ticklots": quote,
        }  # fmt: skip
        live = table.live()
        what = data.draw(st.sampled_from(["place", "place", "place", "amend", "event", "fill"]))
        if what == "place" or not live:
            side = data.draw(st.sampled_from([BUY, SELL]))
            price = data.draw(st.integers(90, 100) if side is BUY else st.integers(100, 110))
            qty, level = data.draw(st.integers(1, 22)), data.draw(st.integers(0, 3))
            reason, _ = checks.approve(
                PLACE, inputs, table, side=side, level=level, price_ticks=price, qty_lots=qty
            )
            if reason is Reason.APPROVED:
                table.place(side, level, price, qty, now_ns=step)
        else:
            order = data.draw(st.sampled_from(live))
            if what == "amend":
                price = data.draw(
                    st.integers(90, 100) if order.side == BUY else st.integers(100, 110)
                )
                qty = data.draw(st.integers(1, 40))
                reason, _ = checks.approve(
                    AMEND, inputs, table, side=order.side, price_ticks=price, qty_lots=qty,
                    seq=order.seq,
                )  # fmt: skip
                if reason is Reason.APPROVED:
                    sent = table.amend_sent(order.seq, price, qty, step)
                    assert sent is Transition.TR_OK
            elif what == "event":
                event = data.draw(
                    st.sampled_from(
                        [
                            OrderEvent.EV_ACKED, OrderEvent.EV_AMENDED,
                            OrderEvent.EV_AMEND_REJECTED, OrderEvent.EV_TIMEOUT,
                            OrderEvent.EV_CANCEL_SENT, OrderEvent.EV_CANCELLED,
                            OrderEvent.EV_PROVEN_OPEN, OrderEvent.EV_REJECTED,
                        ]
                    )
                )  # fmt: skip
                table.event(order.seq, event, step)
            elif max(order.qty_lots, order.pending_qty_lots) > order.filled_lots:
                most = max(order.qty_lots, order.pending_qty_lots) - order.filled_lots
                qty = data.draw(st.integers(1, most))
                price = (
                    max(order.price_ticks, order.pending_price_ticks)
                    if order.side == BUY
                    else order.price_ticks
                )
                table.fill(order.seq, price, qty, step)
                if order.side == BUY:
                    base += qty
                    quote -= -(-price * qty * 1_005_000 // 1_000_000)
                else:
                    base -= qty
                    quote += price * qty
        totals = table.totals()
        worst_cost = totals.buy_ticklots + totals.sell_ticklots
        assert worst_cost <= (limits["open_ticklots_max"] or 0)
        assert totals.live_count <= (limits["order_count_max"] or 0)
        # Every live buy filled and no sell, then the reverse.
        bound = limits["inventory_lots_max"] or 0
        if totals.buy_lots:
            assert base - target + totals.buy_lots <= bound
        if totals.sell_lots:
            assert target - base + totals.sell_lots <= bound
            assert base - totals.sell_lots >= 5
        if totals.buy_lots:
            # Fees of single fills round up by a ticklot each.
            assert quote - totals.buy_ticklots * 1_005_000 // 1_000_000 >= 500 - step
        if state is RiskState.REDUCING:
            q_lots = base - target
            assert totals.buy_lots <= max(-q_lots, 0)
            assert totals.sell_lots <= max(q_lots, 0)
        for order in table.live():
            rest = max(order.qty_lots, order.pending_qty_lots) - order.filled_lots
            assert rest <= (limits["order_lots_max"] or 0)
        bids = [max(o.price_ticks, o.pending_price_ticks) for o in table.live() if o.side == BUY]
        asks = [
            min(o.price_ticks, o.pending_price_ticks or o.price_ticks)
            for o in table.live()
            if o.side == SELL
        ]
        assert not bids or not asks or max(bids) < min(asks)


def test_followed_checks_are_told_and_change_no_verdict() -> None:
    plain, followed = (Checks(LIMITS, SPEC, kraken_budget(), seal=SEAL) for _ in range(2))
    assert followed.followed() == []
    followed.follow()
    for case in ({"price_ticks": 990, "qty_lots": 10}, {"price_ticks": 1_001, "qty_lots": 10}):
        verdicts = [
            one.approve(PLACE, INPUTS, OrderTable(), side=BUY, **case)[0]
            for one in (plain, followed)
        ]
        assert verdicts[0] is verdicts[1]
        [(action, checks)] = followed.followed()
        assert action == (PLACE, 0, BUY, 0, case["price_ticks"])
        told = dict((check, (limit, value)) for check, limit, value in checks)
        assert told[Reason.ORDER_SIZE_MAX][1] == 10
        assert told[Reason.POST_ONLY_CROSS] == (1_001, case["price_ticks"])
        # The first check that refuses is the last one made.
        assert (Reason.OPEN_NOTIONAL in told) is (verdicts[0] is Reason.APPROVED)
    assert followed.followed() == plain.followed() == []
