"""What a backtest of a live session says against what it did: orders, fills, delays, money.

Two comparisons. The whole engine runs again (`again`): its orders are the session's own until the
pretended venue fills one otherwise, and from there on it is another session, so its figures say
how long a backtest stays true. The session's own orders, as they were sent, meet the queue models
(`schedule`): nothing diverges there, and each fill expected stands against the one that came.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import Struct

from openmm.backtest.past import Got, Ordered

MATCH_NS: Final = 1_000_000_000  # two orders, or fills, further apart are not the same one
PERCENTILES: Final = (10, 50, 90, 99)


class Count(Struct, frozen=True):
    """How many of two lists are the same. `exact`: in every field, to the nanosecond."""

    session: int
    expected: int
    exact: int
    matched: int
    missing: int  # of the session, not expected
    extra: int  # expected, and not of the session
    apart_ns: tuple[int, ...] = ()  # of the matched: how much later than expected, `PERCENTILES`

    @property
    def share(self) -> float:
        """Matched of all that there are on either side, 1 for none at all."""
        all_ = self.matched + self.missing + self.extra
        return self.matched / all_ if all_ else 1.0


def matched(
    session: Sequence[tuple[Any, int]], expected: Sequence[tuple[Any, int]],
    within_ns: int = MATCH_NS,
) -> list[tuple[int, int]]:  # fmt: skip
    """Pair two lists of (what, when): of what is the same, the nearest in time, in their order.

    Returns:
        places in the two lists.
    """
    open_: dict[Any, list[int]] = defaultdict(list)
    for place, (what, _) in enumerate(expected):
        open_[what].append(place)
    pairs = []
    for place, (what, at_ns) in enumerate(session):
        waiting = open_.get(what)
        if not waiting:
            continue
        nearest = min(range(len(waiting)), key=lambda one: abs(expected[waiting[one]][1] - at_ns))
        if abs(expected[waiting[nearest]][1] - at_ns) <= within_ns:
            # Those before it are passed over: what comes later cannot have been meant earlier.
            pairs.append((place, waiting[nearest]))
            del waiting[: nearest + 1]
    return pairs


def percentiles(values: Iterable[int]) -> tuple[int, ...]:
    """Return the percentiles of `PERCENTILES`; nothing of nothing."""
    ranked = sorted(values)
    if not ranked:
        return ()
    return tuple(ranked[min(len(ranked) - 1, len(ranked) * one // 100)] for one in PERCENTILES)


def count_orders(session: Sequence[Ordered], expected: Sequence[Ordered]) -> Count:
    """Compare order actions: kind, order, side, price, quantity; and when they were sent."""
    both = Counter(session) & Counter(expected)
    mine, theirs = (
        [
            ((one.action.kind, one.action.side, one.action.price_ticks, one.action.qty_lots),
             one.sent_ns)
            for one in side
        ]
        for side in (session, expected)
    )  # fmt: skip
    return _count(mine, theirs, sum(both.values()))


def count_fills(session: Sequence[Got], expected: Sequence[Got]) -> Count:
    """Compare executions: side, price, quantity; exact ones are of one order at one moment."""

    def exact(one: Got) -> tuple[object, ...]:
        return one.seq, one.side, one.price_ticks, one.qty_lots, one.maker, one.told_ns

    both = Counter(map(exact, session)) & Counter(map(exact, expected))
    mine, theirs = (
        [((one.side, one.price_ticks, one.qty_lots), one.told_ns) for one in side]
        for side in (session, expected)
    )
    return _count(mine, theirs, sum(both.values()))


def _count(
    session: Sequence[tuple[Any, int]], expected: Sequence[tuple[Any, int]], exact: int
) -> Count:
    pairs = matched(session, expected)
    return Count(
        len(session), len(expected), exact, len(pairs), len(session) - len(pairs),
        len(expected) - len(pairs),
        percentiles(session[mine][1] - expected[theirs][1] for mine, theirs in pairs),
    )  # fmt: skip
