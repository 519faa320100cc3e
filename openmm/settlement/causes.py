"""P&L by cause: what the spread brought, what the minute after a fill took, what inventory did.

`V(b, R)` is what `b` base atoms are worth at the reference `R`, in quote atoms, rounded down; `s`
is +1 for a buy and -1 for a sell. A fill has `b` base and cost `q`; `R0` is the reference when it
arrived and `R60` the first one journalled a minute or more after that:

- spread captured: `V(s b, R0) - s q`
- adverse selection: `V(s b, R60) - V(s b, R0)`
- inventory drift: what the position of the fills older than a minute gained by moves of the
  reference. Over a span, with `P` that position at its start and end:
  `V(P_end, R_end) - V(P_start, R_start) - sum of V(s b, R60) of the fills that aged in between`
- unsplit: `V(s b, R60) - s q` of the fills that arrived without a reference

Their sum telescopes to `V(position, R) - sum of s q`, the ledger's realised plus unrealised, to the
last atom. At the end, fills younger than a minute age at the last reference.

A markout at horizon h is `V(s b, Rh) - s q`; divided by `q` it is `s (Rh - price) / price`.
Source: docs/report.md, "P&L by cause"; the markout is the usual one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

from openmm.settlement.pnl import BUY, Valuer

HOUR_NS = 3_600_000_000_000
MS_NS = 1_000_000
HORIZONS_MS = (100, 1_000, 10_000, 60_000)
AGED = len(HORIZONS_MS) - 1  # the horizon that parts adverse selection from drift
LEVEL_UNKNOWN = -1

Group = tuple[str, int]  # venue, level
CauseKey = tuple[int, str, int]  # hour, venue, level
MarkoutKey = tuple[int, str, int, int]  # and horizon_ms


@dataclass(slots=True)
class CauseSums:
    """Sums of one hour, venue and level; see the columns of `store.cause`."""

    fills: int = 0
    quote_atoms: int = 0
    spread_atoms: int = 0
    adverse_atoms: int = 0
    unsplit_atoms: int = 0
    matured_base_atoms: int = 0
    matured_atoms: int = 0


@dataclass(slots=True)
class MarkoutSums:
    """Sums of one hour, venue, level and horizon; `late` fills are left out of the others."""

    fills: int = 0
    late: int = 0
    quote_atoms: int = 0
    atoms: int = 0


class FillMark(NamedTuple):
    """A fill as the causes need it. `base_atoms` is negative for a sell; so is its `cost_atoms`."""

    record_index: int
    arrived_ns: int
    venue: str
    level: int
    base_atoms: int
    cost_atoms: int
    reference_uticks: int | None

    @classmethod
    def of(
        cls,
        record_index: int,
        arrived_ns: int,
        group: Group,
        side: int,
        amounts: tuple[int, int],
        reference_uticks: int | None,
    ) -> FillMark:
        """Give the amounts, base and cost, the sign of the side."""
        sign = 1 if side == BUY else -1
        if reference_uticks is not None and reference_uticks <= 0:
            reference_uticks = None
        base, cost = amounts
        return cls(record_index, arrived_ns, *group, sign * base, sign * cost, reference_uticks)


class Causes:
    """Add up the causes of one pair's P&L, fill by fill and reference by reference.

    Times never go back: the caller passes the latest that it has seen.
    """

    def __init__(self) -> None:
        self.sums: dict[CauseKey, CauseSums] = {}
        self.markouts: dict[MarkoutKey, MarkoutSums] = {}
        self.marked = [-1] * len(HORIZONS_MS)  # record index of the last fill marked, by horizon
        self.changed: set[CauseKey] = set()
        self.changed_markouts: set[MarkoutKey] = set()
        self._waiting: tuple[deque[FillMark], ...] = tuple(deque() for _ in HORIZONS_MS)

    def fill(self, valuer: Valuer, mark: FillMark) -> None:
        """Take a fill in, after the reference that it arrived with."""
        sums = self._sums((mark.arrived_ns // HOUR_NS, mark.venue, mark.level))
        sums.fills += 1
        sums.quote_atoms += abs(mark.cost_atoms)
        if mark.reference_uticks is None:
            sums.unsplit_atoms -= mark.cost_atoms
        else:
            worth = valuer.atoms(mark.base_atoms, mark.reference_uticks)
            sums.spread_atoms += worth - mark.cost_atoms
        for waiting in self._waiting:
            waiting.append(mark)

    def reference(self, valuer: Valuer, now_ns: int, reference_uticks: int) -> None:
        """Mark every fill whose time has come at a reference that was just journalled."""
        for place, horizon_ms in enumerate(HORIZONS_MS):
            waiting = self._waiting[place]
            due_ns = now_ns - horizon_ms * MS_NS
            while waiting and waiting[0].arrived_ns <= due_ns:
                mark = waiting.popleft()
                self.marked[place] = mark.record_index
                worth = valuer.atoms(mark.base_atoms, reference_uticks)
                late = due_ns - mark.arrived_ns > horizon_ms * MS_NS
                self._mark_out(mark, horizon_ms, worth, late=late)
                if place == AGED:
                    self._age(mark, now_ns, worth, valuer)

    def settle(self, valuer: Valuer, now_ns: int, reference_uticks: int) -> None:
        """Age what is younger than a minute, at the last reference: for a report, never stored."""
        for mark in self._waiting[AGED]:
            self._age(mark, now_ns, valuer.atoms(mark.base_atoms, reference_uticks), valuer)
        self._waiting[AGED].clear()

    def wait_again(self, marks: Iterable[FillMark]) -> None:
        """Take over, in their order, the fills after the last that was marked at every horizon."""
        for mark in marks:
            for place, waiting in enumerate(self._waiting):
                if mark.record_index > self.marked[place]:
                    waiting.append(mark)

    @property
    def waiting_count(self) -> int:
        """Fills younger than a minute."""
        return len(self._waiting[AGED])

    def _mark_out(self, mark: FillMark, horizon_ms: int, worth: int, *, late: bool) -> None:
        key = (mark.arrived_ns // HOUR_NS, mark.venue, mark.level, horizon_ms)
        sums = self.markouts.get(key)
        if sums is None:
            sums = self.markouts[key] = MarkoutSums()
        self.changed_markouts.add(key)
        if late:
            sums.late += 1
            return
        sums.fills += 1
        sums.quote_atoms += abs(mark.cost_atoms)
        sums.atoms += worth - mark.cost_atoms

    def _age(self, mark: FillMark, now_ns: int, worth: int, valuer: Valuer) -> None:
        then = self._sums((mark.arrived_ns // HOUR_NS, mark.venue, mark.level))
        if mark.reference_uticks is None:
            then.unsplit_atoms += worth
        else:
            then.adverse_atoms += worth - valuer.atoms(mark.base_atoms, mark.reference_uticks)
        now = self._sums((now_ns // HOUR_NS, mark.venue, mark.level))
        now.matured_base_atoms += mark.base_atoms
        now.matured_atoms += worth

    def _sums(self, key: CauseKey) -> CauseSums:
        sums = self.sums.get(key)
        if sums is None:
            sums = self.sums[key] = CauseSums()
        self.changed.add(key)
        return sums


# ---------------------------------------------------------------- split


@dataclass(slots=True)
class Split:
    """P&L of one hour, venue and level by cause, in quote atoms; `fees` and `costs` are paid."""

    fills: int = 0
    quote_atoms: int = 0
    spread_atoms: int = 0
    adverse_atoms: int = 0
    drift_atoms: int = 0
    unsplit_atoms: int = 0
    fees_atoms: int = 0
    costs_atoms: int = 0

    @property
    def total_atoms(self) -> int:
        """Before fees and costs: the ledger's realised plus unrealised."""
        return self.spread_atoms + self.adverse_atoms + self.drift_atoms + self.unsplit_atoms

    @property
    def net_atoms(self) -> int:
        """After fees and costs."""
        return self.total_atoms - self.fees_atoms - self.costs_atoms


def split_by_cause(
    valuer: Valuer,
    sums: Mapping[CauseKey, CauseSums],
    references: Mapping[int, int],
    last_uticks: int | None,
) -> dict[CauseKey, Split]:
    """Return the causes of each hour, venue and level, without fees and costs.

    What a position of several venues and levels is worth is rounded once; the groups share it by
    taking the atoms in the order of their names, so that any margin adds up to the whole.

    Args:
        sums: of fills that have all aged.
        references: the last of each hour that had one, in microticks.
        last_uticks: what the session ends with; None only where there never was a reference.
    """
    groups: list[Group] = sorted({(venue, level) for _, venue, level in sums})
    hours = sorted({key[0] for key in sums} | set(references))
    held = dict.fromkeys(groups, 0)
    worth = dict.fromkeys(groups, 0)
    at: int | None = None
    out: dict[CauseKey, Split] = {}
    for hour in hours:
        at = references.get(hour, at) if hour != hours[-1] else last_uticks
        whole = before = running = 0
        for group in groups:
            key = (hour, *group)
            found = sums.get(key)
            aged = 0
            if found is not None:
                held[group] += found.matured_base_atoms
                aged = found.matured_atoms
            running += held[group]
            before, whole = whole, 0 if at is None else valuer.atoms(running, at)
            drift = whole - before - worth[group] - aged
            worth[group] = whole - before
            if found is None and not drift:
                continue
            found = found or CauseSums()
            out[key] = Split(
                fills=found.fills,
                quote_atoms=found.quote_atoms,
                spread_atoms=found.spread_atoms,
                adverse_atoms=found.adverse_atoms,
                drift_atoms=drift,
                unsplit_atoms=found.unsplit_atoms,
            )
    return out


def add_up(parts: Iterable[Split]) -> Split:
    """Return the sum of several parts."""
    out = Split()
    for part in parts:
        for item in fields(Split):
            setattr(out, item.name, getattr(out, item.name) + getattr(part, item.name))
    return out
