"""Run a session's journal through the same engine and compare every byte that comes out.

The tables are built from what the journal begins with: configuration, instruments, seeds. Its
inputs are then given to the two entries in their order: market frames and ends of reads to the
pipeline, calls to the step (`engine/entry.py`). What the machine decided comes out of the journal
too: what the transport said, what neighbours showed, what a strategy in Python answered. Everything
the engine puts on its tape must be what the journal holds next. Stage stamps alone are this
machine's and are left out.
"""

from __future__ import annotations

import logging
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, TypeAlias, final

from msgspec import Struct

from openmm import journal
from openmm._fast.feed import EventClock
from openmm._fast.recalled import RecalledNeighbours, RecalledTransport
from openmm._fast.tape import Record, Tape, TapeReader
from openmm.config import BotConfig, Venue
from openmm.config.restore import restore
from openmm.engine import wiring
from openmm.engine.difference import Difference, compared, name_of
from openmm.engine.entry import read_call
from openmm.engine.step import Alert, IncidentMoved, Request, RiskMoved, Step
from openmm.errors import ConfigError, JournalError, TransportError
from openmm.instrument import Instrument
from openmm.journal import JournalRecord, SessionRecord
from openmm.settlement.ledger import Ledger, ledger_decimals
from openmm.signal import memory
from openmm.strategy.python import PythonStrategy
from openmm.strategy.recorded import RecalledQuoter
from openmm.venues import registry
from openmm.venues.connector import Connector, Named

log = logging.getLogger(__name__)

TAPE_BYTES: Final = 1 << 24
READ_RECORDS: Final = 65536
PROGRESS_RECORDS: Final = 4096
# Records that begin something: an input, or evidence that the engine's loop put there. All others
# follow from the one before them.
HEADS: Final = frozenset(
    {
        Record.REC_SESSION, Record.REC_INSTRUMENT, Record.REC_FRAME, Record.REC_BATCH_END,
        Record.REC_CALL, Record.REC_COMMAND, Record.REC_CONNECTION, Record.REC_REST,
        Record.REC_INCIDENT, Record.REC_END,
    }
)  # fmt: skip
CLOSING: Final = b'"kind":"closing"'


class Outcome(Struct):
    """What a replay came to."""

    session_id: str = ""
    bot: str = ""
    build: str = ""
    records: int = 0  # read
    inputs: int = 0  # given to the engine
    compared: int = 0  # outputs that are the journal's, byte for byte
    orders: int = 0  # order messages among them
    states: int = 0  # state hashes among them
    ended: bool = False  # the journal holds the session's end
    orders_hash: str = ""  # over all order bytes
    ledger_hash: str = ""
    difference: Difference | None = None

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return self.difference is None


# Called with an input, what the journal holds behind it, and the engine after it; False: enough.
Look: TypeAlias = Callable[[JournalRecord, Sequence[JournalRecord], wiring.Tables, BotConfig], bool]


def replay(
    records: Iterable[JournalRecord],
    on_progress: Callable[[int], None] | None = None,
    look: Look | None = None,
) -> Outcome:
    """Run the records of one session's journal; stops at the first difference.

    Args:
        on_progress: called with the number of records read, now and then.
        look: is shown the engine after each input that came out the same, its checks followed.

    Raises:
        JournalError: it cannot be replayed: not a session's beginning, records that were refused
            by a full tape, another build's calls or configuration.
    """
    with tempfile.TemporaryDirectory(prefix="openmm-replay-") as folder:
        return _Replay(Path(folder), look).run(_whole(records), on_progress)


async def _refuse(
    verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    raise TransportError(f"a replay asks nobody: {verb} {base}{path}", venue="replay")


@final
class NoRequests:
    """Carry no request: everything the venue said is in the journal."""

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Refuse."""
        return await _refuse(verb, base, path, query, body, headers)

    async def close(self) -> None:
        """Nothing is held."""


class _Group(Struct):
    """One input or piece of evidence, and what followed from it."""

    head: JournalRecord
    outputs: list[JournalRecord]
    last: bool = False  # nothing is behind it: what follows from it may have been cut off


@final
class _Replay:
    """Run one session."""

    def __init__(self, folder: Path, look: Look | None = None) -> None:
        self._look = look
        self._tape = Tape(folder / "tape", size_bytes=TAPE_BYTES, session_id="replay")
        self._reader = TapeReader(folder / "tape")
        self._transport = RecalledTransport()
        self._neighbours = RecalledNeighbours()
        self._quoter = RecalledQuoter()
        self._clock = EventClock()
        self._alerts: deque[str] = deque()  # raised here, and not seen in the journal yet
        self._error = ""
        self._held, self._made = _Books(), _Books()
        self._bytes = blake2b(digest_size=16)
        self.outcome = Outcome()

    # ------------------------------------------------------------------ run

    def run(
        self, records: Iterator[JournalRecord], on_progress: Callable[[int], None] | None
    ) -> Outcome:
        """Build the engine of the journal, run it, and compare."""
        outcome = self.outcome
        groups = _grouped(records)
        session, instruments, first = _beginning(groups)
        outcome.session_id, outcome.bot, outcome.build = (
            session.session_id, session.bot, session.build
        )  # fmt: skip
        self._build(session, instruments)
        outcome.records = 1 + len(instruments)
        told = 0
        for group in _chained(first, groups):
            outcome.records += 1 + len(group.outputs)
            found = self._take(group)
            if found is not None:
                outcome.difference = found
                return outcome
            if self._look is not None and not self._look(
                group.head, group.outputs, self._tables, self._config
            ):
                return outcome
            if on_progress is not None and outcome.records - told >= PROGRESS_RECORDS:
                told = outcome.records
                on_progress(told)
        outcome.orders_hash = self._bytes.hexdigest()
        outcome.ledger_hash = self._made.digest()
        if self._held.digest() != outcome.ledger_hash:
            raise JournalError("the ledgers of the same records differ")
        return outcome

    def _build(self, session: SessionRecord, instruments: list[Instrument]) -> None:
        seeds: Mapping[str, Any] = session.seeds
        try:
            config = restore(session.config)
        except ConfigError as error:
            raise JournalError(f"the journal's configuration is another build's: {error}") from None
        if len(instruments) != len(config.venue):
            raise JournalError(
                f"the journal begins with {len(instruments)} instruments for "
                f"{len(config.venue)} venues"
            )
        quoted = config.venue.index(config.quoted)
        instrument = instruments[quoted]
        *connectors, trading = [
            self._connector(config.venue[at], instruments[at], seeds["symbols"])
            for at in (*range(len(config.venue)), quoted)
        ]
        encoder = trading.order_encoder(
            instrument, bot=session.bot, session_s=int(seeds["session_s"])
        )
        try:
            self._tables = wiring.make_tables(
                config, instruments, connectors, trading, mid_ticks=int(seeds["mid_ticks"]),
                tape=self._tape, encoder=encoder, transport=self._transport,
                custom=self._quoter if seeds["recalled"] else None, seal=session.started_ns,
                neighbours=self._neighbours if seeds.get("neighbours") else None,
            )  # fmt: skip
        except ConfigError as error:
            raise JournalError(f"the journal's strategy cannot be made again: {error}") from None
        self._config = config
        if self._look is not None:
            self._tables.pipeline.checks.follow()
        for venue, feed in zip(config.venue, self._tables.feeds, strict=True):
            known = seeds["signals"].get(venue.label)
            if known is not None:
                memory.restore(feed, known)
        wiring.restore_waits(config, self._tables, dict(seeds["signals"]))
        self._trading = trading
        self._step = wiring.make_step(
            config, self._tables, trading, watchdog=bool(seeds["watchdog"])
        )
        for books in (self._held, self._made):
            books.open(session.venue, instruments)

    def _connector(
        self, venue: Venue, instrument: Instrument, symbols: Mapping[str, str]
    ) -> Connector:
        made = registry.connector(venue, None, clock=self._clock, round_trip=NoRequests())
        if isinstance(made, Named):
            made.recall(instrument, symbols[venue.label])
        return made

    # ------------------------------------------------------------------ one input

    def _take(self, group: _Group) -> Difference | None:
        """Give one input to the engine; compare what comes out with what the journal holds."""
        head = group.head
        self._error = ""
        if self._alerts and head.kind == Record.REC_CALL and head.payload == b'["on_timer"]':
            # Each was told before the loop came to its next timer.
            return self._untold(head)
        results = [
            int.from_bytes(one.payload, "little", signed=True)
            for one in group.outputs
            if one.kind == Record.REC_WRITE_RESULT
        ]
        self._transport.recall(results)
        self._neighbours.recall(
            [
                tuple(journal.read_neighbours(one.payload))
                for one in group.outputs
                if one.kind == Record.REC_NEIGHBOURS
            ]
        )
        self._quoter.recall(one.payload for one in group.outputs if one.kind == Record.REC_STRATEGY)
        requests = self._enter(head)
        strategy = self._tables.pipeline.strategy
        if isinstance(strategy, PythonStrategy) and isinstance(strategy.last_error, JournalError):
            raise strategy.last_error
        held, at = group.outputs, 0
        for made in self._outputs(head):
            if at == len(held) and group.last:
                return None
            if at == len(held) or not _same(held[at], made):
                return self._differs(held[at] if at < len(held) else None, made, held[at:], head)
            self._count(made)
            self._held.take(held[at])
            self._made.take(made)
            at += 1
        if at < len(held):
            return self._differs(held[at], None, held[at:], head)
        self._alerts.extend(
            one.incident.text if isinstance(one, IncidentMoved) else one.text
            for one in requests
            if isinstance(one, RiskMoved | IncidentMoved)
            or (isinstance(one, Alert) and one.severity != "info")
        )
        return self._evidence(head)

    def _enter(self, head: JournalRecord) -> Sequence[Request]:
        """Call the entry that an input went to; evidence goes nowhere."""
        pipeline, feeds = self._tables.pipeline, self._tables.feeds
        if head.kind == Record.REC_CALL:
            self.outcome.inputs += 1
            name, args = read_call(Step, head.payload)
            try:
                return getattr(self._step, name)(*args, head.ts_ns) or ()
            except Exception as error:
                # The session's own loop caught it too, and what followed is in the journal.
                log.debug("%s failed", name, exc_info=True)
                self._error = f"{name} failed: {type(error).__name__}: {error}"
        elif head.kind == Record.REC_BATCH_END and head.source < len(feeds):
            self.outcome.inputs += 1
            pipeline.end_read(feeds[head.source], head.ts_ns)
        elif head.kind == Record.REC_FRAME and head.source < len(feeds):
            self.outcome.inputs += 1
            # Whether its read ended there is told by the record that comes next.
            pipeline.on_frame(feeds[head.source], head.payload, head.ts_ns, False)
        return ()

    def _outputs(self, head: JournalRecord) -> Iterator[JournalRecord]:
        """Yield what the engine put on its tape, less the input itself."""
        first = True
        while chunk := self._reader.read(READ_RECORDS):
            for one in chunk:
                made = JournalRecord._make(one)
                if first and made.kind == head.kind:
                    first = False
                    if made.payload != head.payload or made.ts_ns != head.ts_ns:
                        raise JournalError(
                            f"record {head.record_index}: an input that does not come back as "
                            f"it was: {head.payload[:200]!r}, {made.payload[:200]!r}"
                        )
                    continue
                first = False
                yield made

    def _evidence(self, head: JournalRecord) -> Difference | None:
        if head.kind == Record.REC_INCIDENT:
            text = journal.read_incident(head.payload).text
            if self._alerts and self._alerts[0] == text:
                self._alerts.popleft()
        elif head.kind == Record.REC_END:
            self.outcome.ended = True
            if self._alerts:
                return self._untold(head)
        return None

    def _untold(self, head: JournalRecord) -> Difference:
        text = self._alerts[0]
        payload = journal.incident_record(text, "warning")
        made = JournalRecord(head.record_index, Record.REC_INCIDENT, 0, head.ts_ns, payload)
        return self._differs(None, made, (), head)

    def _differs(
        self, held: JournalRecord | None, made: JournalRecord | None,
        rest: Sequence[JournalRecord], head: JournalRecord,
    ) -> Difference:  # fmt: skip
        follow = [*rest] if made is None else [made, *self._outputs(head), *rest]
        return compared(held, made, follow, head, self._trading.client_id, self._error)

    def _count(self, made: JournalRecord) -> None:
        self.outcome.compared += 1
        if made.kind == Record.REC_ORDER_BYTES:
            self.outcome.orders += 1
            self._bytes.update(len(made.payload).to_bytes(4, "little") + made.payload)
        elif made.kind == Record.REC_STATE:
            self.outcome.states += 1


@final
class _Books:
    """Rebuild the ledger of a session from records."""

    def __init__(self) -> None:
        self._ledger = Ledger("")
        self._pairs: dict[str, Instrument] = {}

    def open(self, venue: str, instruments: Sequence[Instrument]) -> None:
        """Begin with the session's account."""
        self._pairs = {one.name: one for one in instruments}
        self._ledger = Ledger(venue, ledger_decimals(instruments))

    def take(self, record: JournalRecord) -> None:
        """Book what moves money."""
        if record.kind == Record.REC_FILL:
            fill = journal.read_fill(record.payload)
            pair = self._pairs.get(fill.instrument)
            if pair is not None:
                self._ledger.book_fill(fill, pair)
        elif record.kind == Record.REC_BALANCE:
            self._ledger.book_balance(journal.read_balance(record.payload))

    def digest(self) -> str:
        """Return a hash over every account's total."""
        totals = sorted(self._ledger.totals.items())
        return blake2b(repr(totals).encode(), digest_size=16).hexdigest()


# ---------------------------------------------------------------- the journal's records


def _same(held: JournalRecord, made: JournalRecord) -> bool:
    """Whether two records are the same but for their place; stamps are the machine's."""
    return (
        held.kind == made.kind
        and held.ts_ns == made.ts_ns
        and held.source == made.source
        and (held.payload == made.payload or held.kind == Record.REC_STAMPS)
    )


def _whole(records: Iterable[JournalRecord]) -> Iterator[JournalRecord]:
    """Pass records on as long as none is missing."""
    for expected, one in enumerate(records):
        if one.record_index != expected:
            raise JournalError(
                f"records {expected} to {one.record_index - 1} are missing: the tape was full, or "
                "the journal does not begin with its first segment; no replay can pass them"
            )
        yield one


def _grouped(records: Iterator[JournalRecord]) -> Iterator[_Group]:
    """Put each input together with what follows from it."""
    group: _Group | None = None
    for one in records:
        if one.kind in HEADS or (one.kind == Record.REC_BALANCE and CLOSING in one.payload):
            if group is not None:
                yield group
            group = _Group(one, [])
        elif group is None:
            raise JournalError(f"the journal begins with a record of kind {name_of(one.kind)}")
        else:
            group.outputs.append(one)
    if group is not None:
        group.last = group.head.kind != Record.REC_END
        yield group


def _beginning(groups: Iterator[_Group]) -> tuple[SessionRecord, list[Instrument], _Group | None]:
    """Read what a session starts from; returns the first group behind it too."""
    group = next(groups, None)
    if group is None or group.head.kind != Record.REC_SESSION:
        raise JournalError("the journal does not begin with its session's record")
    session = journal.read_session(group.head.payload)
    if "session_s" not in session.seeds:
        raise JournalError(
            f"the journal is of a build ({session.build}) that did not record every input; "
            "it cannot be replayed"
        )
    instruments: list[Instrument] = []
    while (group := next(groups, None)) is not None and group.head.kind == Record.REC_INSTRUMENT:
        instruments.append(journal.read_instrument(group.head.payload))
    return session, instruments, group


def _chained(first: _Group | None, rest: Iterator[_Group]) -> Iterator[_Group]:
    if first is not None:
        yield first
    yield from rest
