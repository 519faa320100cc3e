"""Compare what we should hold with what the venue says we hold, without being fooled by races.

A statement of balances is as of some moment around its question, and the reports of fills come
over another connection: a statement agrees when it equals what the books said at *any* moment near
it. What disagrees is a suspicion. It becomes a difference when it stays the same over several
statements for longer than reports take, or when nothing has agreed for so long that lateness does
not explain it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import final

from msgspec import Struct

from openmm.events import OrderFilled

SECOND_NS = 1_000_000_000
# A statement may be of so long before it was asked for.
LAG_NS = 5 * SECOND_NS
# An unchanging suspicion of this age is a difference; reports and lists come sooner than that.
RACE_NS = 10 * SECOND_NS
# A suspicion that changes all the time is one after this.
DRIFT_NS = 60 * SECOND_NS
LOOKS_MIN = 3
DRIFT_LOOKS_MIN = 10
# Between two statements of one suspicion; further apart they are two.
GAP_NS = 45 * SECOND_NS
# Between statements while there is a suspicion.
HURRY_NS = 2 * SECOND_NS
# A fill that was booked so long before the venue's history was asked for must be listed there.
LISTED_NS = 5 * SECOND_NS
# A fill known from the venue's lists alone: so long its own report may still come.
MISSED_NS = 30 * SECOND_NS
FILLS_KEPT = 2000


class Difference(Struct, frozen=True):
    """One asset whose balance is not what opening plus postings make it."""

    asset: str
    expected: Decimal
    seen: Decimal
    since_ns: int = 0

    @property
    def amount(self) -> Decimal:
        """What the venue has more (positive) or less than we expect."""
        return self.seen - self.expected

    def __str__(self) -> str:
        return (
            f"{self.asset}: venue has {self.seen:f}, expected {self.expected:f} ({self.amount:+f})"
        )


def reconcile(expected: Mapping[str, Decimal], seen: Mapping[str, Decimal]) -> list[Difference]:
    """Compare per asset, to the last unit; an asset the venue does not list is zero there."""
    return [
        Difference(asset, amount, seen.get(asset, Decimal(0)))
        for asset, amount in sorted(expected.items())
        if seen.get(asset, Decimal(0)) != amount
    ]


@final
class Totals:
    """What the books said of each asset over the last while, oldest first."""

    def __init__(self) -> None:
        self._past: dict[str, deque[tuple[int, Decimal]]] = {}

    def note(self, asset: str, total: Decimal, now_ns: int) -> None:
        """Keep a total; of one moment the last word counts."""
        past = self._past.setdefault(asset, deque())
        if past and past[-1][0] == now_ns:
            past.pop()
        past.append((now_ns, total))
        # One from before the window stays: it is what was in force when the window began.
        while len(past) > 1 and past[1][0] < now_ns - LAG_NS - RACE_NS:
            past.popleft()

    def around(self, asset: str, since_ns: int, default: Decimal) -> list[Decimal]:
        """Return every total from the one in force at a moment on, oldest first."""
        past = self._past.get(asset)
        if not past:
            return [default]
        found = [total for at_ns, total in past if at_ns > since_ns]
        before = [total for at_ns, total in past if at_ns <= since_ns]
        return [*before[-1:], *found] or [default]


class _Suspicion(Struct):
    first_ns: int
    stable_ns: int
    amounts: frozenset[Decimal]
    last_ns: int
    looks: int = 1
    seen: int = 1  # statements since the first, whatever they differed by


class Compared(Struct, frozen=True):
    """What a statement showed: assets that agree, and those that differ beyond doubt."""

    agreed: tuple[str, ...]
    differences: tuple[Difference, ...]


@final
class Comparison:
    """Judge statements of balances one after the other.

    Args:
        totals: what the books said.
    """

    def __init__(self, totals: Totals) -> None:
        self._totals = totals
        self._suspects: dict[str, _Suspicion] = {}

    @property
    def suspects(self) -> frozenset[str]:
        """The assets whose last statement did not agree."""
        return frozenset(self._suspects)

    def amounts(self, asset: str) -> frozenset[Decimal]:
        """By how much an asset may differ, as its last statements had it; none when it agreed."""
        one = self._suspects.get(asset)
        return frozenset() if one is None else one.amounts

    def take(
        self,
        expected: Mapping[str, Decimal],
        seen: Mapping[str, Decimal],
        asked_ns: int,
        now_ns: int,
        *,
        final: bool = False,
    ) -> Compared:
        """Judge a statement.

        Args:
            expected: what the books say now, by asset.
            seen: the venue's statement; an asset it does not list is zero there.
            asked_ns: when it was asked for.
            final: there will be no other; what does not agree now is a difference.
        """
        agreed: list[str] = []
        differences: list[Difference] = []
        for asset, total in sorted(expected.items()):
            there = seen.get(asset, Decimal(0))
            past = self._totals.around(asset, asked_ns - LAG_NS, total)
            amounts = frozenset(there - one for one in past)
            if Decimal(0) in amounts:
                self._suspects.pop(asset, None)
                agreed.append(asset)
                continue
            one = self._suspect(asset, amounts, now_ns)
            stable = one.looks >= LOOKS_MIN and now_ns - one.stable_ns >= RACE_NS
            drifts = one.seen >= DRIFT_LOOKS_MIN and now_ns - one.first_ns >= DRIFT_NS
            if final or stable or drifts:
                latest = there - total
                amount = latest if latest in one.amounts else min(one.amounts, key=abs)
                differences.append(Difference(asset, there - amount, there, one.first_ns))
        return Compared(tuple(agreed), tuple(differences))

    def _suspect(self, asset: str, amounts: frozenset[Decimal], now_ns: int) -> _Suspicion:
        one = self._suspects.get(asset)
        if one is None or now_ns - one.last_ns > GAP_NS:
            # Nobody looked for a while, as in an outage: what was suspected then may be long over.
            one = self._suspects[asset] = _Suspicion(now_ns, now_ns, amounts, now_ns)
            return one
        one.last_ns = now_ns
        one.seen += 1
        if common := one.amounts & amounts:
            one.amounts = common
            one.looks += 1
        else:
            one.amounts, one.stable_ns, one.looks = amounts, now_ns, 1
        return one


class _Booked(Struct):
    """A fill that was booked and is not listed in the venue's history yet."""

    fill: OrderFilled
    booked_ns: int
    absent: int = 0


class Missed(Struct, frozen=True):
    """A fill that only the venue's lists have told of, for longer than reports take."""

    fill: OrderFilled
    found_ns: int


@final
class FillWatch:
    """Hold the fills we booked against the venue's trade history, and the history against them."""

    def __init__(self) -> None:
        self._unlisted: OrderedDict[str, _Booked] = OrderedDict()
        self._found: dict[str, Missed] = {}
        # How many fills of one order, side, price and quantity were booked.
        self._alike: OrderedDict[tuple[str, int, int, int], int] = OrderedDict()

    def booked(self, fill: OrderFilled, now_ns: int, *, listed: bool, expected: bool) -> None:
        """Take a fill that was just booked.

        Args:
            listed: the venue's lists told of it, not its stream.
            expected: a report of it was due; False while the stream is known to have lost some.
        """
        key = _alike(fill)
        self._alike[key] = self._alike.pop(key, 0) + 1
        if len(self._alike) > FILLS_KEPT:
            self._alike.popitem(last=False)
        if listed:
            if expected:
                self._found[fill.exec_id] = Missed(fill, now_ns)
            return
        self._unlisted[fill.exec_id] = _Booked(fill, now_ns)
        if len(self._unlisted) > FILLS_KEPT:
            self._unlisted.popitem(last=False)

    def told(self, exec_id: str) -> None:
        """Take it that the stream told of a fill that was booked before."""
        self._found.pop(exec_id, None)

    def stream_lost(self) -> None:
        """Wait for no report any more: the loss is known, and recovery is under way."""
        self._found.clear()

    def missed(self, now_ns: int) -> list[Missed]:
        """Return fills that the stream never told of, once each."""
        over = [one for one in self._found.values() if now_ns - one.found_ns >= MISSED_NS]
        for one in over:
            del self._found[one.fill.exec_id]
        return over

    def on_history(self, listed: Iterable[str], since_ns: int, asked_ns: int) -> None:
        """Take the venue's history from a moment on, by execution id."""
        known = set(listed)
        for exec_id, one in list(self._unlisted.items()):
            if exec_id in known:
                del self._unlisted[exec_id]
            elif one.fill.ts_ns < since_ns + SECOND_NS:
                # Too old for this history, whichever clock counts: money has proven it by now.
                del self._unlisted[exec_id]
            elif one.booked_ns <= asked_ns - LISTED_NS:
                one.absent += 1

    def explain(self, asset: str, amount: Decimal, base: str, quote: str) -> OrderFilled | None:
        """Return a fill, booked and not listed, whose absence at the venue is this difference."""
        for one in self._unlisted.values():
            if not one.absent:
                continue
            if asset in (base, quote) and -_change(one.fill, asset, base, quote) == amount:
                return one.fill
        return None

    def doubled(self, fill: OrderFilled) -> bool:
        """Whether another fill of the same order, side, price and quantity was booked."""
        return self._alike.get(_alike(fill), 0) > 1


def _alike(fill: OrderFilled) -> tuple[str, int, int, int]:
    return fill.venue_order_id, fill.side, fill.price_ticks, fill.qty_lots


def _change(fill: OrderFilled, asset: str, base: str, quote: str) -> Decimal:
    """Return what a fill did to an asset; `qty` is told."""
    sign = 1 if fill.side == 1 else -1
    change = Decimal(0)
    if asset == base:
        change += sign * (fill.qty or Decimal(0))
    if asset == quote:
        change -= sign * fill.cost
    return change - sum((fee.amount for fee in fill.fees if fee.asset == asset), Decimal(0))
