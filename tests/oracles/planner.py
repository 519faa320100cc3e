"""The planner in plain Python: the executable specification of `openmm._fast.planner`.

An order stays within the tolerance of its level, and further off for its queue place: by what that
is worth, within half a level; at the first level within an eighth of the wanted spread where it is
too good for the taker, within a quarter where it is too shy. `Places`: what follows for a side.
`best_fit` finds by exhaustive search how well a side's orders can be matched to its levels;
`violations` states what every plan must obey, whatever it chose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

from openmm._fast.orders import OrderState, OrderView
from openmm._fast.planner import ActionKind, ActionView

BUY = 1
RESTING = (OrderState.OPEN, OrderState.PARTIALLY_FILLED)
Level = tuple[int, int]


def seen_ticks(order: OrderView) -> int:
    """Price an order has or is about to have."""
    return order.pending_price_ticks or order.price_ticks


def effective(levels: Sequence[Level], tolerance_ticks: int) -> int:
    """Tolerance that is less than half the distance of any two levels."""
    gaps = [abs(a[0] - b[0]) for a, b in pairwise(levels)]
    return min([tolerance_ticks, *((gap - 1) // 2 for gap in gaps)])


@dataclass(frozen=True)
class Places:
    """What queue places let the orders of a side be off by.

    Attributes:
        told_ticks: the tolerance as configured, not cut.
        worth_ticks: of each order that may be touched and has a place.
        good_ticks: bound where the order is too good for the taker, at the first level and at the
            others; `shy_ticks`: where it is not.
    """

    first_ticks: int = 0
    told_ticks: int = 0
    worth_ticks: Mapping[int, int] = field(default_factory=dict)
    good_ticks: tuple[int, int] = (0, 0)
    shy_ticks: tuple[int, int] = (0, 0)

    def allowed(self, order: OrderView, level: Level, tolerance_ticks: int) -> int:
        """Return how far the order may be off the level."""
        if order.seq not in self.worth_ticks:
            return tolerance_ticks
        bought = order.side == BUY
        good = (seen_ticks(order) > level[0]) if bought else (seen_ticks(order) < level[0])
        bound = (self.good_ticks if good else self.shy_ticks)[level[0] != self.first_ticks]
        return max(tolerance_ticks, min(bound, self.told_ticks + self.worth_ticks[order.seq]))


def places(
    levels: Sequence[Level],
    half_uticks: int,
    told_ticks: int,
    worth_ticks: Mapping[int, int],
) -> Places:
    """Bound what places are worth on a side: half a level, and parts of the spread.

    Args:
        half_uticks: half the wanted spread, in millionths of a tick.
    """
    if not levels:
        return NO_PLACES
    gaps = [abs(a[0] - b[0]) for a, b in pairwise(levels)] or [1 << 40]
    good, shy = (min(gaps) - 1) // 2, min(gaps) // 2
    return Places(
        levels[0][0], told_ticks, worth_ticks, (min(good, half_uticks // 4_000_000), good),
        (min(shy, half_uticks // 2_000_000), shy),
    )  # fmt: skip


NO_PLACES = Places()


def near(order: OrderView, level: Level, tolerance_ticks: int, held: Places = NO_PLACES) -> bool:
    """Whether the order's price is near enough to a level's to stay."""
    off = abs(seen_ticks(order) - level[0])
    return off <= held.allowed(order, level, tolerance_ticks)


def sized(order: OrderView, level: Level, qty_tolerance_ppm: int) -> bool:
    """Whether what remains of the order is within the tolerance of a level's quantity."""
    off = abs(order.qty_lots - order.filled_lots - level[1])
    return off * 1_000_000 <= qty_tolerance_ppm * level[1]


def best_fit(
    orders: Sequence[OrderView],
    levels: Sequence[Level],
    touchable: set[int],
    leaving: set[int],
    crossing: set[int],
    tolerance_ticks: int,
    qty_tolerance_ppm: int,
    held_by_place: Places = NO_PLACES,
) -> tuple[int, ...]:
    """Return the best (held, kept, resized, leaving, worth - distance) of any monotone matching.

    `touchable`: sequences that may be changed. `leaving`: those with a cancel under way or due; the
    others hold a level where they are near one.
    """
    ordered = sorted(
        orders, key=lambda order: -seen_ticks(order) if order.side == BUY else seen_ticks(order)
    )

    @cache
    def search(i: int, j: int) -> tuple[int, ...]:
        if i == len(ordered) or j == len(levels):
            return (0, 0, 0, 0, 0)
        best = max(search(i + 1, j), search(i, j + 1))
        order, level = ordered[i], levels[j]
        if not near(order, level, tolerance_ticks, held_by_place) or order.seq in crossing:
            return best
        held, kept, resized, out, distance = search(i + 1, j + 1)
        distance -= abs(seen_ticks(order) - level[0])
        if order.seq in leaving:
            out += 1
        elif order.seq not in touchable:
            held += 1
        elif sized(order, level, qty_tolerance_ppm):
            kept += 1
            distance += held_by_place.worth_ticks.get(order.seq, 0)
        else:
            resized += 1
        return max(best, (held, kept, resized, out, distance))

    return search(0, 0)


def action_count(
    orders: Sequence[OrderView],
    levels: Sequence[Level],
    touchable: set[int],
    crossing: set[int],
    tolerance_ticks: int,
    qty_tolerance_ppm: int,
    held_by_place: Places = NO_PLACES,
) -> int:
    """Return how many actions a side needs if the venue amends and nothing is in the way."""
    _, kept, resized, *_ = best_fit(
        orders, levels, touchable, set(), crossing, tolerance_ticks, qty_tolerance_ppm,
        held_by_place,
    )  # fmt: skip
    fixed = len(orders) - len(touchable)
    loose = len(touchable) - kept - resized
    free = max(len(levels) - min(fixed, len(levels)) - kept - resized, 0)
    return resized + max(loose, free)


def violations(
    before: Sequence[OrderView], actions: Sequence[ActionView], amend_supported: bool
) -> list[str]:
    """List what a plan does that no plan may do."""
    found: list[str] = []
    live = {order.seq: order for order in before}
    kinds = [action.kind for action in actions]
    order_of = [ActionKind.ACTION_CANCEL, ActionKind.ACTION_AMEND, ActionKind.ACTION_PLACE]
    if kinds != sorted(kinds, key=order_of.index):
        found.append("cancels, amends and places are out of order")
    touched = [action.seq for action in actions if action.kind != ActionKind.ACTION_PLACE]
    if len(set(touched)) != len(touched):
        found.append("an order is touched twice")
    for action in actions:
        if action.kind != ActionKind.ACTION_PLACE:
            if live[action.seq].state not in RESTING:
                found.append(f"order {action.seq} is touched while {live[action.seq].state.name}")
            if live[action.seq].side != action.side:
                found.append(f"order {action.seq} changes its side")
        if action.kind == ActionKind.ACTION_AMEND and not amend_supported:
            found.append("an amend on a venue without")
        if action.kind == ActionKind.ACTION_CANCEL:
            continue
        for order in before:
            prices = {order.price_ticks, seen_ticks(order)}
            if order.side == action.side:
                if order.seq != action.seq and action.price_ticks in prices:
                    found.append(f"two own orders at {action.price_ticks}")
                continue
            if action.side == BUY and action.price_ticks >= min(prices):
                found.append(f"buy at {action.price_ticks} meets own sell of {min(prices)}")
            if action.side != BUY and action.price_ticks <= max(prices):
                found.append(f"sell at {action.price_ticks} meets own buy of {max(prices)}")
    return found
