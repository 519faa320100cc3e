"""The checks in plain Python: the executable specification of `openmm._fast.checks`.

`judge` gives the first reason that refuses, in the order of `Reason`, or APPROVED. It reads copies
of the live orders, sums them afresh, and treats an absent limit or input as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from openmm._fast.book import BookState
from openmm._fast.checks import Reason, RiskState
from openmm._fast.orders import OrderState, OrderView
from openmm._fast.planner import ActionKind

BUY, SELL = 1, 2
PPM = 1_000_000
UTICKS = 1_000_000
NO_ASK_TICKS = (1 << 63) - 1
RESTING = (OrderState.OPEN, OrderState.PARTIALLY_FILLED)

Values = Mapping[str, int | None]


@dataclass(frozen=True)
class Wanted:
    """An action to be judged."""

    kind: int
    side: int
    price_ticks: int
    qty_lots: int
    level: int = 0
    seq: int = 0


def worst(order: OrderView, price_ticks: int = 0, qty_lots: int = 0) -> tuple[int, int]:
    """Remaining lots and notional at worst, as it is or with one more pending amend."""
    total = max(order.qty_lots, order.pending_qty_lots, qty_lots)
    lots = max(total - order.filled_lots, 0)
    return lots, lots * max(order.price_ticks, order.pending_price_ticks, price_ticks)


def judge(
    action: Wanted,
    limits: Values,
    inputs: Values,
    spec: Mapping[str, int] | None,
    live: Sequence[OrderView],
    budget_allows: bool,
    capacity: int = 512,
) -> Reason:
    """Return the first reason that refuses, or APPROVED."""
    held = {order.seq: order for order in live}
    order = held.get(action.seq) if action.kind != ActionKind.ACTION_PLACE else None
    if action.kind == ActionKind.ACTION_CANCEL:
        return Reason.UNKNOWN_ORDER if order is None else Reason.APPROVED
    is_place = action.kind == ActionKind.ACTION_PLACE
    side, price = action.side, action.price_ticks
    rest = action.qty_lots - (order.filled_lots if order else 0)
    mine = [o for o in live if o.side == side]
    lots = sum(worst(o)[0] for o in mine)
    cost = sum(worst(o)[1] for o in mine)
    all_cost = sum(worst(o)[1] for o in live)
    if order is None:
        more_lots, more_cost = rest, rest * price
    else:
        now, then = worst(order), worst(order, price, action.qty_lots)
        more_lots, more_cost = then[0] - now[0], then[1] - now[1]
    others = [
        (o.price_ticks, o.pending_price_ticks or o.price_ticks) for o in live if o.side != side
    ]
    sign = 1 if side == BUY else -1
    neighbour = inputs.get("other_ask_ticks" if side == BUY else "other_bid_ticks")
    opposite = inputs.get("best_ask_ticks" if side == BUY else "best_bid_ticks")

    def limit(name: str) -> int | None:
        return limits.get(name)

    def at_most(value: int | None, name: str) -> bool:
        bound = limit(name)
        return value is not None and bound is not None and value <= bound

    def state() -> bool:
        risk = inputs.get("risk_state")
        q_lots = inputs.get("q_lots")
        if risk == RiskState.REDUCING:
            return q_lots is not None and lots + more_lots <= -sign * q_lots
        return risk == RiskState.RUNNING

    def age() -> bool:
        now_ns, seen_ns = inputs.get("now_ns"), inputs.get("book_recv_ns")
        if not now_ns or not seen_ns or now_ns < seen_ns:
            return False
        return at_most(now_ns - seen_ns, "message_age_ns_max")

    def skew() -> bool:
        offset = inputs.get("clock_offset_ns")
        return offset is not None and at_most(abs(offset), "clock_offset_ns_max")

    def collar() -> bool:
        reference, bound = inputs["reference_uticks"], limit("collar_ppm")
        assert reference is not None
        return bound is not None and abs(price * UTICKS - reference) * PPM <= bound * reference

    def post_only() -> bool:
        if opposite is None or opposite <= 0 or opposite == NO_ASK_TICKS:
            return False
        return sign * price < sign * opposite

    def duplicate() -> bool:
        for o in mine:
            if o.seq != action.seq and price in (o.price_ticks, o.pending_price_ticks):
                return False
            if is_place and o.state == OrderState.UNKNOWN and o.level == action.level:
                return False
        return True

    def adds_no(more: int) -> bool:
        # An amend that adds nothing to what a limit counts passes it.
        return order is not None and more <= 0

    def inventory() -> bool:
        q_lots = inputs.get("q_lots")
        if q_lots is None or limit("inventory_lots_max") is None:
            return False
        return adds_no(more_lots) or at_most(sign * q_lots + lots + more_lots, "inventory_lots_max")

    def share() -> bool:
        if inputs.get("bounded") == 0:
            return True
        base = inputs.get("base_lots")
        bound = inputs.get("base_lots_most" if side == BUY else "base_lots_least")
        if inputs.get("bounded") != 1 or base is None or bound is None:
            return False
        return adds_no(more_lots) or sign * base + lots + more_lots <= sign * bound

    def balance() -> bool:
        if side == SELL:
            base, reserve = inputs.get("base_lots"), limit("base_reserve_lots")
            if base is None or base < 0 or reserve is None:
                return False
            return adds_no(more_lots) or lots + more_lots <= base - reserve
        quote, reserve, fee = (
            inputs.get("quote_ticklots"),
            limit("quote_reserve_ticklots"),
            limit("fee_ppm"),
        )
        if quote is None or reserve is None or fee is None or inputs.get("quote_known") != 1:
            return False
        return adds_no(more_cost) or (cost + more_cost) * (PPM + fee) <= (quote - reserve) * PPM

    def least_size() -> bool:
        assert spec is not None
        bound = limit("order_lots_min")
        return bound is not None and rest >= max(bound, spec["qty_lots_min"])

    rules: list[tuple[Reason, Callable[[], bool]]] = [
        (Reason.STATE, state),
        (
            Reason.BOOK_UNVERIFIED,
            lambda: inputs.get("book_state") == BookState.BOOK_VERIFIED,
        ),
        (Reason.STREAM_DOWN, lambda: inputs.get("stream_live") == 1),
        (Reason.CLOCK_SKEW, skew),
        (Reason.MESSAGE_AGE, age),
        (Reason.REFERENCE_MISSING, lambda: (inputs.get("reference_uticks") or 0) > 0),
        (
            Reason.INSTRUMENT,
            lambda: spec is not None and inputs.get("instrument_online") == 1,
        ),
        (Reason.ORDER_SIZE_MIN, least_size),
        (
            Reason.ORDER_SIZE_MAX,
            lambda: (
                at_most(rest, "order_lots_max") and action.qty_lots <= (spec or {})["qty_lots_max"]
            ),
        ),
        (Reason.NOTIONAL_MIN, lambda: price * rest >= (spec or {})["notional_ticklots_min"]),
        (Reason.NOTIONAL_MAX, lambda: at_most(price * rest, "order_ticklots_max")),
        (Reason.PRICE_COLLAR, collar),
        (Reason.POST_ONLY_CROSS, post_only),
        (
            Reason.SELF_TRADE,
            lambda: all(sign * price < sign * p for pair in others for p in pair),
        ),
        (
            Reason.NEIGHBOUR,
            lambda: neighbour is not None and sign * price < sign * neighbour,
        ),
        (Reason.DUPLICATE, duplicate),
        (Reason.ORDER_COUNT, lambda: at_most((len(live) + 1) * is_place, "order_count_max")),
        (
            Reason.OPEN_NOTIONAL,
            lambda: adds_no(more_cost) or at_most(all_cost + more_cost, "open_ticklots_max"),
        ),
        (Reason.INVENTORY_LONG if side == BUY else Reason.INVENTORY_SHORT, inventory),
        (Reason.SHARE_LONG if side == BUY else Reason.SHARE_SHORT, share),
        (Reason.BALANCE, balance),
        (Reason.RATE_BUDGET, lambda: budget_allows),
        (
            Reason.FILL_BRAKE,
            lambda: at_most(inputs.get("fills_last_minute"), "fills_per_minute_max"),
        ),
        (Reason.DRAWDOWN, lambda: inputs.get("drawdown_breached") == 0),
        (Reason.TAPE_FULL, lambda: inputs.get("tape_full") == 0),
        (Reason.TABLE_FULL, lambda: not is_place or len(live) < capacity),
        (Reason.UNKNOWN_ORDER, lambda: is_place or order is not None),
        (
            Reason.ORDER_UNCERTAIN,
            lambda: is_place or (order is not None and order.state in RESTING),
        ),
    ]
    for reason, passes in rules:
        if not passes():
            return reason
    return Reason.APPROVED


class RateBudget:
    """The venue's counter with steady decay, exact: what ours must never be below."""

    def __init__(self, decay_milli_per_s: int) -> None:
        self.decay_milli_per_ns = Fraction(decay_milli_per_s, 1_000_000_000)
        self.level_milli = Fraction(0)
        self.updated_ns = 0

    def decay(self, now_ns: int) -> Fraction:
        """Bring the level up to a time that is not earlier than the last."""
        gone = (now_ns - self.updated_ns) * self.decay_milli_per_ns
        self.level_milli = max(self.level_milli - gone, Fraction(0))
        self.updated_ns = now_ns
        return self.level_milli

    def spend(self, cost_milli: int) -> None:
        """Count a request."""
        self.level_milli += cost_milli
