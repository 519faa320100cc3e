"""A session's own orders against a queue model: placed, amended and cancelled as they were.

The strategy has no say: each order enters the recorded market when its request reached the venue,
and leaves it when the venue let it go, so that a fill that is not as expected changes no other.
An order that was filled stays in the model for a while, to tell how much later it would have been.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final, final

import numpy as np
from msgspec import Struct

from openmm._fast.book import Book
from openmm._fast.planner import ActionKind
from openmm._fast.queue_venue import Link, QueueVenue, Told
from openmm._fast.units import Side
from openmm.backtest.model import QUEUES, Model
from openmm.data.events import ASK, BROKEN, CLEAR, FILTERED, KIND_BITS, LEVEL, MESSAGE_END, TRADE
from openmm.drift.own import Got, Moved, OwnOrders
from openmm.drift.past import Past

OUTSIDE_LEVELS: Final = 1 << 16
STAY_NS: Final = 10_000_000_000  # that a filled order stays in the model, at most
SAME_NS: Final = 1_000_000_000  # fills that are further apart are not the same one
ORDERS_MAX: Final = 512  # that a `QueueVenue` holds
FOREVER_NS: Final = 1 << 62
# Queue models that a fit tries, the careful one first: of two as good it is taken.
TRIED: Final = (
    Model(), *(Model(queue="power", power=one) for one in (1, 2, 3, 5)), Model(queue="log"),
)  # fmt: skip

Progress = Callable[[int], None]


class Fate(Struct):
    """One order, in lots and ns: what it came to in the session, and in the model.

    Args:
        placed_ns: when it reached the venue; `gone_ns`: when it was let go, 0: it was filled.
        got, expected: executions, (when at the venue, price in ticks, lots).
        ahead_lots: what the model had in front of it when the session's venue first filled it;
            None: it was not filled, or the model had filled it by then.
    """

    seq: int
    side: int
    qty_lots: int
    placed_ns: int
    gone_ns: int = 0
    got: list[tuple[int, int, int]] = []
    expected: list[tuple[int, int, int]] = []
    ahead_lots: int | None = None

    @property
    def got_lots(self) -> int:
        """What the session's venue filled."""
        return sum(lots for _, _, lots in self.got)

    def in_time(self) -> list[tuple[int, int, int]]:
        """What the model filled by the time that counts: the order's end, or about its fill."""
        until_ns = self.gone_ns or (self.got[-1][0] + SAME_NS if self.got else FOREVER_NS)
        return [one for one in self.expected if one[0] <= until_ns]


@final
class Schedule:
    """Orders of one session against queue models.

    Args:
        past: what the session's journal tells.
    """

    def __init__(self, past: Past) -> None:
        self._past = past
        rows, times = past.market()
        flags = rows["flags"]
        kinds = flags & KIND_BITS
        keep = ((kinds == LEVEL) | (kinds == TRADE) | (kinds == CLEAR) | (kinds == BROKEN)) & (
            flags & FILTERED == 0
        )
        ends = np.flatnonzero(flags & MESSAGE_END)
        # A message whose last event is left out ends all the same.
        self._ends = np.zeros(len(rows), bool)
        self._ends[ends] = True
        self._keep = keep
        self._flags, self._times = flags, times
        self._prices, self._lots = rows["price_ticks"], rows["qty_lots"]

    def run(self, model: Model, on_progress: Progress | None = None) -> list[Fate]:
        """Return what became of each order, in the order in which they were placed.

        Args:
            on_progress: called with the number of market events dealt with, now and then.
        """
        past = self._past
        answers = Link([0])
        venue = QueueVenue(
            Book(outside_levels=OUTSIDE_LEVELS), answers, QUEUES[model.queue], model.power,
            model.impact_ns,
        )  # fmt: skip
        own = OwnOrders(past)
        run = _Run(past, venue, answers)
        book = venue.book
        rows = zip(
            self._times.tolist(), self._prices.tolist(), self._lots.tolist(),
            self._flags.tolist(), self._keep.tolist(), self._ends.tolist(), strict=True,
        )  # fmt: skip
        held: dict[tuple[int, int], int] = {}
        own_ns = -1
        for number, (at_ns, price_ticks, lots, flags, keep, ends) in enumerate(rows):
            if run.next_ns < at_ns:
                run.pass_to(at_ns)
            kind = flags & KIND_BITS
            if keep and kind == LEVEL:
                if at_ns != own_ns:
                    own_ns = at_ns
                    held = {(side, price): left for side, price, left in own.resting(at_ns)}
                side = 1 if flags & ASK else 0
                venue.level(
                    side, price_ticks, max(0, lots - held.get((side, price_ticks), 0)), at_ns
                )
            elif keep and kind == TRADE:
                taker = Side.SELL if flags & ASK else Side.BUY
                if not own.printed(taker, price_ticks, lots, at_ns):
                    venue.trade(taker, price_ticks, lots, at_ns)
            elif keep:
                book.clear()
            if ends:
                venue.settle(at_ns)
                run.collect()
            if on_progress is not None and not number % (1 << 16):
                on_progress(number)
        run.pass_to(FOREVER_NS)
        return run.fates


@final
class _Run:
    """One pass: what happened to own orders, in its order, and what the model fills."""

    def __init__(self, past: Past, venue: QueueVenue, answers: Link) -> None:
        self._venue = venue
        self._answers = answers
        self._takers = {one.seq for one in past.fills if not one.maker}
        # What an order of ours took, the book tells at the same moment: it comes before that.
        self._acts: list[tuple[int, int, Moved | Got]] = [
            *((one.ts_ns - self._takes(one), one.ts_ns, one) for one in past.moves),
            *((at_ns, at_ns, one) for one in past.fills for at_ns in [past.filled_ns(one)]),
        ]
        self._acts.sort(key=itemgetter(0))
        self._at = 0
        self._leaving: deque[tuple[int, int]] = deque()  # filled orders of the session: until when
        self._free = list(range(ORDERS_MAX - 1, 0, -1))
        self._slots: dict[int, int] = {}  # by the session's number of an order that is open there
        self._fates: dict[int, Fate] = {}  # by slot
        self.fates: list[Fate] = []
        self.next_ns = 0
        self._look()

    def _takes(self, one: Moved) -> bool:
        return one.kind == ActionKind.ACTION_PLACE and one.seq in self._takers

    def _look(self) -> None:
        self.next_ns = self._acts[self._at][0] if self._at < len(self._acts) else FOREVER_NS
        if self._leaving:
            self.next_ns = min(self.next_ns, self._leaving[0][0])

    def pass_to(self, until_ns: int) -> None:
        """Do everything that happened before a moment."""
        while self.next_ns < until_ns:
            if self._leaving and self._leaving[0][0] == self.next_ns:
                at_ns, slot = self._leaving.popleft()
                self._drop(slot, at_ns)
            else:
                _, at_ns, act = self._acts[self._at]
                self._at += 1
                if isinstance(act, Moved):
                    self._move(act, at_ns)
                else:
                    self._got(act, at_ns)
            self.collect()
            self._look()

    def collect(self) -> None:
        """Take what the model filled."""
        if not self._answers.waiting_count:
            return
        for one in self._answers.take(FOREVER_NS):
            fate = self._fates.get(one.seq)
            if one.told == Told.TOLD_FILL and fate is not None:
                fate.expected.append((one.due_ns, one.price_ticks, one.qty_lots))

    def _move(self, one: Moved, at_ns: int) -> None:
        slot = self._slots.get(one.seq)
        if one.kind == ActionKind.ACTION_PLACE:
            if not self._free:
                _, oldest = self._leaving.popleft()
                self._drop(oldest, at_ns)
            slot = self._slots[one.seq] = self._free.pop()
            fate = self._fates[slot] = Fate(one.seq, one.side, one.qty_lots, at_ns)
            self.fates.append(fate)
            self._request(Told.TOLD_PLACE, slot, one, at_ns)
        elif slot is None:
            return
        elif one.kind == ActionKind.ACTION_AMEND:
            self._fates[slot].qty_lots = one.qty_lots
            self._request(Told.TOLD_AMEND, slot, one, at_ns)
        else:
            self._fates[slot].gone_ns = at_ns
            del self._slots[one.seq]
            self.collect()
            self._drop(slot, at_ns)

    def _request(self, told: Told, slot: int, one: Moved, at_ns: int) -> None:
        self._venue.request(
            told, slot, at_ns, side=one.side, price_ticks=one.price_ticks, qty_lots=one.qty_lots,
            post_only=one.seq not in self._takers,
        )  # fmt: skip

    def _got(self, one: Got, at_ns: int) -> None:
        slot = self._slots.get(one.seq)
        if slot is None:
            return
        fate = self._fates[slot]
        if not fate.got and not fate.expected:
            fate.ahead_lots = self._venue.ahead(slot)
        fate.got.append((at_ns, one.price_ticks, one.qty_lots))
        if fate.got_lots >= fate.qty_lots:
            del self._slots[one.seq]
            self._leaving.append((at_ns + STAY_NS, slot))

    def _drop(self, slot: int, at_ns: int) -> None:
        """Let an order go."""
        self._venue.request(Told.TOLD_CANCEL, slot, at_ns)
        self._answers.take(FOREVER_NS)
        del self._fates[slot]
        self._free.append(slot)


class Tally(Struct, frozen=True):
    """How a model's fills compare, over all orders of a session.

    Args:
        filled, expected: orders that the session's venue filled, at least in part, and the model.
        both: both did, about the same time; earlier, later: the model did at another time.
        never: the session's venue did, the model not while it looked; extra: the other way round.
        lots, lots_expected: filled.
        lots_differing: the sum over orders of what the model filled too much, too little, or at
            another time.
        ahead_lots: what stood in front, by the model, of orders when they were filled.
    """

    orders: int
    filled: int
    expected: int
    both: int
    earlier: int
    later: int
    never: int
    extra: int
    lots: int
    lots_expected: int
    lots_differing: int
    apart_ns: list[int]
    ahead_lots: list[int]

    @property
    def error(self) -> float:
        """Lots that the model filled too much, too little, or at another time, as a share of those
        that the session's venue filled.
        """
        return self.lots_differing / self.lots if self.lots else float(self.lots_differing > 0)

    @property
    def rank(self) -> tuple[float, float]:
        """Where the model stands among others, the least first: by `error`, of equals by how far
        its fills are apart, on average.
        """
        apart_ns = sum(map(abs, self.apart_ns))
        return self.error, apart_ns / len(self.apart_ns) if self.apart_ns else 0.0


def _differing(fate: Fate) -> int:
    """Return how many lots the model filled too much, too little, or at another time."""
    expected = fate.in_time()
    differing = abs(sum(lots for *_, lots in expected) - fate.got_lots)
    at, left = 0, expected[0][2] if expected else 0
    for got_ns, _, lots in fate.got:
        # Lot after lot, in the order in which they were filled.
        while lots and at < len(expected):
            part = min(lots, left)
            if abs(expected[at][0] - got_ns) > SAME_NS:
                differing += part
            lots -= part
            left -= part
            if not left:
                at += 1
                left = expected[at][2] if at < len(expected) else 0
    return differing


def tally(fates: Sequence[Fate]) -> Tally:
    """Count what a pass came to."""
    counts = dict.fromkeys(("filled", "expected", "both", "earlier", "later", "never", "extra"), 0)
    lots = lots_expected = differing = 0
    apart: list[int] = []
    ahead: list[int] = []
    for one in fates:
        expected_lots = sum(lots for _, _, lots in one.in_time())
        lots += one.got_lots
        lots_expected += expected_lots
        differing += _differing(one)
        counts["filled"] += bool(one.got)
        counts["expected"] += bool(expected_lots)
        if one.got:
            if one.ahead_lots is not None:
                ahead.append(one.ahead_lots)
            if not one.expected:
                counts["never"] += 1
                continue
            apart_ns = one.got[0][0] - one.expected[0][0]
            apart.append(apart_ns)
            word = "both"
            if abs(apart_ns) > SAME_NS:
                word = "earlier" if apart_ns > 0 else "later"
            counts[word] += 1
        elif expected_lots:
            counts["extra"] += 1
    return Tally(
        len(fates), lots=lots, lots_expected=lots_expected, lots_differing=differing,
        apart_ns=apart, ahead_lots=ahead, **counts,
    )  # fmt: skip
