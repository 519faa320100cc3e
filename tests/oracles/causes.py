"""P&L of a list of fills in decimals and fractions, from the formulas of docs/report.md alone.

Slow and plain: it knows the whole session, sums nothing on the way and shares nothing with
`openmm.settlement`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import floor, trunc

HOUR_NS = 3_600 * 10**9
HORIZONS_S = (Fraction(1, 10), Fraction(1), Fraction(10), Fraction(60))
Key = tuple[int, int]  # hour, level


@dataclass(frozen=True)
class Deal:
    """A fill: signed base and cost as exact amounts, when it arrived, what the reference was."""

    arrived_ns: int
    level: int
    base: Decimal
    cost: Decimal
    reference: Fraction | None


@dataclass
class Told:
    """The figures in quote units: whole numbers of the smallest unit."""

    realised_average: int = 0
    realised_fifo: int = 0
    total: int = 0
    causes: dict[Key, dict[str, int]] = field(default_factory=dict)
    markouts: dict[Fraction, tuple[int, int, int, int]] = field(default_factory=dict)


class Reckoner:
    """Reckon in units of 10**-decimals of quote."""

    def __init__(self, quote_decimals: int) -> None:
        self.unit = Fraction(1, 10**quote_decimals)

    def units(self, amount: Fraction | Decimal) -> Fraction:
        return Fraction(amount) / self.unit

    def worth(self, base: Decimal | Fraction, price: Fraction) -> int:
        """What base is worth, rounded down to a unit."""
        return floor(self.units(Fraction(base) * price))

    def realised_average(self, deals: Sequence[Deal]) -> list[int]:
        """What each fill realised: shares of cost rounded toward zero, the rest stays."""
        held, basis = Fraction(0), 0
        realised = []
        for deal in deals:
            out = 0
            base, cost = Fraction(deal.base), int(self.units(deal.cost))
            if held * base < 0:
                closed = min(abs(base), abs(held))
                mine = trunc(cost * closed / abs(base))
                theirs = trunc(basis * closed / abs(held))
                out -= mine + theirs
                basis -= theirs
                held += closed if base > 0 else -closed
                base -= closed if base > 0 else -closed
                cost -= mine
            held += base
            basis += cost
            realised.append(out)
        return realised

    def realised_fifo(self, deals: Sequence[Deal]) -> list[int]:
        """The same, oldest fills closed first."""
        open_: deque[tuple[Fraction, int]] = deque()
        realised = []
        for deal in deals:
            out = 0
            base, cost = Fraction(deal.base), int(self.units(deal.cost))
            while base and open_ and open_[0][0] * base < 0:
                held, basis = open_.popleft()
                closed = min(abs(base), abs(held))
                mine, theirs = trunc(cost * closed / abs(base)), trunc(basis * closed / abs(held))
                out -= mine + theirs
                cost -= mine
                base -= closed if base > 0 else -closed
                held += closed if held < 0 else -closed
                if held:
                    open_.appendleft((held, basis - theirs))
            if base:
                open_.append((base, cost))
            realised.append(out)
        return realised

    def reckon(
        self, deals: Sequence[Deal], references: Sequence[tuple[int, Fraction]], end_ns: int
    ) -> Told:
        """Return every figure; `references` in the order of the journal, their times too."""
        times = [one[0] for one in references]
        last = references[-1][1]
        position = sum((Fraction(deal.base) for deal in deals), Fraction(0))
        paid = sum(int(self.units(deal.cost)) for deal in deals)
        told = Told(sum(self.realised_average(deals)), sum(self.realised_fifo(deals)))
        told.total = self.worth(position, last) - paid

        def after(deal: Deal, span_s: Fraction) -> tuple[int, Fraction] | None:
            place = bisect_left(times, deal.arrived_ns + int(span_s * 10**9))
            return references[place] if place < len(times) else None

        self._causes(told, deals, references, after, end_ns)
        for span in HORIZONS_S:
            told.markouts[span] = self._markouts(deals, span, after)
        return told

    def _markouts(
        self,
        deals: Sequence[Deal],
        span_s: Fraction,
        after: Callable[[Deal, Fraction], tuple[int, Fraction] | None],
    ) -> tuple[int, int, int, int]:
        fills = late = notional = units = 0
        for deal in deals:
            then = after(deal, span_s)
            if then is None:
                continue
            if then[0] - deal.arrived_ns > 2 * int(span_s * 10**9):
                late += 1
                continue
            cost = int(self.units(deal.cost))
            fills, notional = fills + 1, notional + abs(cost)
            units += self.worth(deal.base, then[1]) - cost
        return fills, late, notional, units

    def _causes(
        self,
        told: Told,
        deals: Sequence[Deal],
        references: Sequence[tuple[int, Fraction]],
        after: Callable[[Deal, Fraction], tuple[int, Fraction] | None],
        end_ns: int,
    ) -> None:
        last = references[-1][1]
        aged: dict[Key, tuple[Fraction, int]] = {}

        def part(key: Key) -> dict[str, int]:
            return told.causes.setdefault(
                key, {"spread": 0, "adverse": 0, "unsplit": 0, "drift": 0}
            )

        for deal in deals:
            key = (deal.arrived_ns // HOUR_NS, deal.level)
            cost = int(self.units(deal.cost))
            when_ns, then = after(deal, HORIZONS_S[-1]) or (end_ns, last)
            worth = self.worth(deal.base, then)
            if deal.reference is None:
                part(key)["unsplit"] += worth - cost
            else:
                first = self.worth(deal.base, deal.reference)
                part(key)["spread"] += first - cost
                part(key)["adverse"] += worth - first
            base, sums = aged.get((when_ns // HOUR_NS, deal.level), (Fraction(0), 0))
            aged[when_ns // HOUR_NS, deal.level] = (base + Fraction(deal.base), sums + worth)
        self._drift(part, aged, references)

    def _drift(
        self,
        part: Callable[[Key], dict[str, int]],
        aged: dict[Key, tuple[Fraction, int]],
        references: Sequence[tuple[int, Fraction]],
    ) -> None:
        by_hour = {when // HOUR_NS: price for when, price in references}
        levels = sorted({level for _, level in aged})
        held = dict.fromkeys(levels, Fraction(0))
        value = dict.fromkeys(levels, 0)
        price = Fraction(0)
        for hour in sorted(set(by_hour) | {hour for hour, _ in aged}):
            price = by_hour.get(hour, price)
            for level in levels:
                base, sums = aged.get((hour, level), (Fraction(0), 0))
                held[level] += base
                below = sum((held[each] for each in levels if each < level), Fraction(0))
                now = self.worth(below + held[level], price) - self.worth(below, price)
                drift, value[level] = now - value[level] - sums, now
                if drift or (hour, level) in aged:
                    part((hour, level))["drift"] += drift
