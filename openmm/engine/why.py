"""What decisions saw: the sources of the reference and every check, by replaying a journal.

The journal holds what was decided, and what refused; what passed, and by how much, stands nowhere.
The same engine given the same inputs comes to the same tables, and those tell it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from typing import TypeAlias

from msgspec import Struct

from openmm import journal
from openmm._fast.checks import Reason
from openmm._fast.planner import ActionKind
from openmm._fast.reference import SourceVerdict
from openmm._fast.tape import Record
from openmm._fast.units import UTICKS_PER_TICK
from openmm.config import BotConfig
from openmm.engine.replay import replay
from openmm.engine.wiring import Tables
from openmm.errors import JournalError
from openmm.journal import ActionRecord, JournalRecord
from openmm.strategy import compiled
from openmm.strategy.avellaneda import AvellanedaStrategy
from openmm.strategy.glft import GlftStrategy

# What a check's trace tells of one action: see `Checks.followed`.
Followed: TypeAlias = tuple[
    tuple[int, int, int, int, int], Sequence[tuple[Reason, int | None, int | None]]
]


class Source(Struct, frozen=True):
    """One venue's part in the reference. Prices in the quote asset; a missing one is None."""

    venue: str
    verdict: str
    mid: Decimal | None  # in the quoted currency
    basis: Decimal
    weight: Decimal  # share of one
    age_ns: int | None


class Check(Struct, frozen=True):
    """One pre-trade check of an action, in the check's own units; None where it was missing."""

    check: str
    limit: int | None
    value: int | None


class Seen(Struct, frozen=True):
    """What stood behind one act: the record that tells the act, and what it was decided from."""

    record_index: int
    sources: tuple[Source, ...]
    checks: tuple[Check, ...]
    model: dict[str, Decimal] = {}  # as `compiled.model_numbers` tells them; of a model alone


def seen(
    records: Iterable[JournalRecord],
    wanted: Collection[int],
    on_progress: Callable[[int], None] | None = None,
) -> dict[int, Seen]:
    """Replay a session as far as needed; tell what stood behind acts.

    Args:
        records: of the session, from its first on.
        wanted: record indices of intents.
        on_progress: as of `replay`.

    Raises:
        JournalError: the journal cannot be replayed, or what comes out is not what it holds.
    """
    found: dict[int, Seen] = {}
    last = max(wanted, default=-1)

    def look(
        head: JournalRecord, outputs: Sequence[JournalRecord], tables: Tables, config: BotConfig
    ) -> bool:
        checked = tables.pipeline.checks.followed()
        acts = [one for one in outputs if one.kind == Record.REC_INTENT]
        if any(one.record_index in wanted for one in acts):
            sources = _sources(tables, config, head.ts_ns)
            model = _model(tables)
            for one in acts:
                if one.record_index in wanted:
                    action = journal.read_intent(one.payload).action
                    checks = _checks(checked, action)
                    found[one.record_index] = Seen(one.record_index, sources, checks, model)
        return head.record_index <= last

    if wanted:
        difference = replay(records, on_progress, look).difference
        if difference is not None:
            raise JournalError(
                f"a replay differs at record {difference.record_index}: {difference.text}"
            )
    return found


def _checks(checked: Sequence[Followed], action: ActionRecord) -> tuple[Check, ...]:
    """Return the checks of an action, none of a cancel: nothing holds it back."""
    seq = 0 if action.kind == ActionKind.ACTION_PLACE else action.seq
    wanted = (action.kind, seq, action.side, action.level, action.price_ticks)
    rows = [rows for one, rows in checked if one == wanted]
    if not rows:
        return ()
    return tuple(Check(reason.name.lower(), limit, value) for reason, limit, value in rows[-1])


def _model(tables: Tables) -> dict[str, Decimal]:
    """Return what a model came to for the last ladder, the paper's form beside the plain one."""
    strategy, uticks = tables.pipeline.strategy, tables.pipeline.reference.price_uticks
    if not isinstance(strategy, GlftStrategy | AvellanedaStrategy) or uticks is None:
        return {}
    fields = strategy.params.fields()
    return compiled.model_numbers(strategy.solved, tables.instrument, fields, uticks)


def _sources(tables: Tables, config: BotConfig, now_ns: int) -> tuple[Source, ...]:
    reference, tick = tables.pipeline.reference, tables.instrument.tick_size

    def price(uticks: int) -> Decimal:
        return uticks * tick / UTICKS_PER_TICK

    told = []
    for venue, feed in zip(config.venue, tables.feeds, strict=True):
        mid_uticks, weight_ppm, verdict = reference.source(feed.index)
        told.append(
            Source(
                venue.label, SourceVerdict(verdict).name.removeprefix("SOURCE_").lower(),
                None if mid_uticks is None else price(mid_uticks),
                price(reference.basis(feed.index)[0]), Decimal(weight_ppm) / 1_000_000,
                now_ns - feed.last_recv_ns if feed.last_recv_ns else None,
            )
        )  # fmt: skip
    return tuple(told)
