"""Targets: recordings, the tape and the journal, as files that something has damaged."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

from openmm import journal
from openmm._fast.tape import Record, Tape, TapeReader
from openmm.errors import JournalError, ProtocolError
from openmm.events import BalanceUpdated
from openmm.journal import Journal, JournalRecord
from openmm.venues.capture import is_capture, read_frames
from openmm.writer.segments import SegmentWriter
from tests.fuzz.corpus import head_of
from tests.fuzz.target import Check, Target, must
from tests.sim.venue import BTC

TAPE_BYTES = 4096


def capture(folder: Path) -> Check:
    """A recording gives whole frames, then ends or is a `ProtocolError` that names it."""
    path = folder / "capture"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        is_capture(path)
        try:
            total = sum(len(one.data) for one in read_frames(path))
        except ProtocolError as error:
            must(str(path) in str(error), error)
            return
        assert total <= len(data) or data[:2] == b"\x1f\x8b"

    return check


def tape(folder: Path) -> tuple[Check, list[bytes]]:
    """A damaged tape gives records or a `JournalError` that names it; no read leaves the file."""
    made = folder / "made"
    writer = Tape(made, size_bytes=TAPE_BYTES)
    for n in range(24):
        writer.append(Record.REC_INTENT, 0, n, b"p" * n * 3)
    sample = made.read_bytes()
    writer.close()
    path = folder / "tape"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        try:
            reader = TapeReader(path)
            for _ in range(64):
                if not reader.read(16):
                    break
        except JournalError as error:
            must(str(path) in str(error), error)

    return check, [sample]


def journal_file(folder: Path) -> tuple[Check, list[bytes]]:
    """A damaged segment gives a prefix of what was written, or a `JournalError`."""
    segments = folder / "segments"
    segments.mkdir()
    written = _written(segments)
    (sample,) = [one.read_bytes() for one in segments.glob("*.omj")]
    here = folder / "damaged"
    here.mkdir()
    path = here / "000000.omj"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        got: list[JournalRecord] = []
        try:
            got.extend(Journal(here))
        except JournalError:
            return
        assert got == written[: len(got)]

    return check, [sample]


def _written(folder: Path) -> list[JournalRecord]:
    """Write a segment of a few blocks; return its records."""
    out = SegmentWriter(folder, session_id="s-1", build="test", created_ns=1, segment_bytes=4096)
    records: list[JournalRecord] = []
    for block in range(5):
        batch = [
            JournalRecord(block * 10 + n, int(Record.REC_FRAME), n % 3, n, bytes([n]) * n)
            for n in range(10)
        ]
        out.append(list(batch), 1)
        records += batch
    out.close()
    return records


def payload_samples() -> list[bytes]:
    """Return payloads as the engine writes them, each behind its kind."""
    view = journal.MarketViewRecord(*range(1, 33))
    parts = journal.LadderParts(*range(22))
    ladder = journal.LadderRecord(view, 5, 0, ((100, 1), (99, 2)), ((103, 4),), parts, 0, 1)
    action = journal.ActionRecord(3, 4, 1 << 63, 667_880, 1_000, 1, 2)
    moved = BalanceUpdated("USD", Decimal("10.5"), Decimal("-1"), Decimal(0), "trade", "r", 7)
    made = {
        Record.REC_LADDER: journal.ladder_record(ladder),
        Record.REC_INTENT: journal.intent_record(journal.IntentRecord(action, 1_000)),
        Record.REC_REFUSAL: journal.refusal_record(journal.RefusalRecord(action, 12, -1, 1 << 99)),
        Record.REC_TRANSITION: journal.transition_record(9, 10, 2, 3, 2, 55, 66),
        Record.REC_SAMPLE: journal.sample_record(1, 2, 3, 4),
        Record.REC_BALANCE: journal.balance_record(moved),
        Record.REC_INSTRUMENT: journal.instrument_record(BTC),
        Record.REC_RISK: journal.risk_record("RUNNING", "HALTED", "drawdown", "text"),
        Record.REC_COMMAND: journal.command_record("halt", {"reason": "x"}, "ann", "cli"),
        Record.REC_INCIDENT: journal.incident_record("text", "warning", asset="", amount=None),
    }
    return [bytes([int(kind)]) + payload for kind, payload in made.items()]


def payloads() -> Check:
    """A record's payload of any kind is a value or a `JournalError`."""

    def check(data: bytes) -> None:
        kind = data[0] if data else 0
        record = JournalRecord(0, kind, 0, 0, data[1:])
        try:
            journal.read_payload(record)
        except JournalError:
            return

    return check


def targets(shared: Path, folder: Path) -> list[Target]:
    """Return the targets that read files; `folder` is theirs."""
    recorded = head_of(shared / "data" / "kraken" / "v2_btcusd_d25_20260802.cbcap.gz")
    tape_check, tapes = tape(folder)
    journal_check, journals = journal_file(folder)
    return [
        Target("capture", capture(folder), [recorded, gzip.compress(recorded, mtime=0)], 2),
        Target("tape", tape_check, tapes, 2),
        Target("journal", journal_check, journals, 2),
        Target("journal.payload", payloads(), payload_samples(), 6),
    ]
