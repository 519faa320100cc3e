"""The journal: what was written is read; what was torn is left out; what was changed is refused."""

from __future__ import annotations

import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm import journal
from openmm._fast.tape import Record
from openmm.errors import JournalError
from openmm.events import BalanceUpdated, Fee, OrderFilled, Source
from openmm.instrument import Instrument
from openmm.journal import (
    BLOCK_HEADER,
    SEGMENT_HEADER,
    ActionRecord,
    Journal,
    JournalRecord,
    LadderParts,
    LadderRecord,
    MarketViewRecord,
    read_journal,
)
from openmm.writer.segments import SegmentWriter

NOW = 1_764_000_000_000_000_000

RecordTuple = tuple[int, int, int, int, bytes]


def make(n: int, start: int = 0) -> list[RecordTuple]:
    return [
        (i, int(Record.REC_FRAME), i % 3, NOW + i, bytes([i % 256]) * (i % 40))
        for i in range(start, start + n)
    ]


def writer(folder: Path, **options: Any) -> SegmentWriter:
    return SegmentWriter(folder, session_id="s-1", build="test 1", created_ns=NOW, **options)


def filled(folder: Path, batches: int = 5, **options: int) -> list[RecordTuple]:
    out = writer(folder, segment_bytes=4096, **options)
    records = []
    for n in range(batches):
        batch = make(10, n * 10)
        out.append(batch, NOW)
        records += batch
    out.close()
    return records


def test_written_records_are_read_back_in_order(tmp_path: Path) -> None:
    records = filled(tmp_path)
    assert list(read_journal(tmp_path)) == records
    assert isinstance(next(read_journal(tmp_path)), JournalRecord)
    tail = Journal(tmp_path).tail
    assert (tail.next_index, tail.torn_bytes, tail.lost_count) == (50, 0, 0)
    assert (tail.headers[0].session_id, tail.headers[0].build) == ("s-1", "test 1")


def test_segments_rotate_by_size_and_chain(tmp_path: Path) -> None:
    records = filled(tmp_path, batches=40)
    paths = sorted(tmp_path.glob("*.omj"))
    assert len(paths) > 3
    assert list(read_journal(tmp_path)) == records
    assert [h.number for h in Journal(tmp_path).tail.headers] == list(range(len(paths)))
    single = list(read_journal(paths[1]))
    assert single == records[single[0].record_index : single[-1].record_index + 1]


def test_preallocated_room_is_not_torn(tmp_path: Path) -> None:
    out = writer(tmp_path, segment_bytes=1 << 16)
    out.append(make(3), NOW)
    assert out.path.stat().st_size == 1 << 16
    assert len(list(read_journal(tmp_path))) == 3
    assert Journal(tmp_path).torn_bytes == 0


@pytest.mark.parametrize("cut", [1, 30, 55, 56, 57, 200])
def test_torn_tail_is_reported_and_writing_goes_on(tmp_path: Path, cut: int) -> None:
    records = filled(tmp_path, batches=1)
    path = tmp_path / "000000.omj"
    whole = path.stat().st_size
    extra = tmp_path / "extra"
    filled(extra, batches=2)
    second = (extra / "000000.omj").read_bytes()[whole:]
    with path.open("ab") as file:
        file.write(second[:cut] + bytes(64))
    found = Journal(tmp_path)
    assert list(found) == records
    assert found.torn_bytes == len(second[:cut].rstrip(b"\0"))
    out = writer(tmp_path, segment_bytes=4096)
    assert out.torn_bytes == found.torn_bytes
    more = make(10, 10)
    out.append(records[-4:] + more, NOW)  # a restarted follower hands in some again
    out.close()
    assert list(read_journal(tmp_path)) == records + more


def test_segment_whose_header_never_reached_the_disk_is_torn(tmp_path: Path) -> None:
    records = filled(tmp_path, batches=2)
    (tmp_path / "000001.omj").write_bytes(bytes(4096))
    assert list(read_journal(tmp_path)) == records
    out = writer(tmp_path, segment_bytes=4096)
    out.append(make(2, 20), NOW)
    out.close()
    assert len(list(read_journal(tmp_path))) == 22


@pytest.mark.parametrize(
    ("offset", "text"),
    [
        (0, "not a journal segment"),
        (8, "version"),
        (40, "header is corrupt at byte 0"),
        (SEGMENT_HEADER.size, "corrupt at byte 224, whole ones follow"),
        (SEGMENT_HEADER.size + 20, "hash chain breaks at byte 224"),  # inside the first index
        (SEGMENT_HEADER.size + 30, "hash chain breaks at byte 224"),
        (SEGMENT_HEADER.size + BLOCK_HEADER.size + 40, "corrupt at byte 224, whole ones follow"),
    ],
)
def test_changed_byte_is_refused_with_file_and_offset(
    tmp_path: Path, offset: int, text: str
) -> None:
    filled(tmp_path)
    path = tmp_path / "000000.omj"
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
    with pytest.raises(JournalError, match=text) as raised:
        list(read_journal(tmp_path))
    assert str(path) in str(raised.value)


def test_block_written_while_the_journal_is_read_is_no_corruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = filled(tmp_path, batches=3)
    look, early = journal.block_at, [2]

    def as_of_before(data: bytes, offset: int) -> tuple[bytes, bytes, bytes] | None:
        # The second block is not there at the first look; by the next it and a third are.
        found = look(data, offset)
        early[0] -= found is not None
        return None if found is not None and early[0] == 0 else found

    monkeypatch.setattr(journal, "block_at", as_of_before)
    assert list(read_journal(tmp_path)) == records


def test_corrupt_block_before_the_last_segment_is_never_torn(tmp_path: Path) -> None:
    filled(tmp_path, batches=40)
    path = tmp_path / "000001.omj"
    data = bytearray(path.read_bytes())
    data[-9] ^= 1  # in the last block of a segment that is not the last
    path.write_bytes(data)
    with pytest.raises(JournalError, match=r"corrupt at byte \d+: .*000001"):
        list(read_journal(tmp_path))


def test_missing_and_foreign_segments_are_refused(tmp_path: Path) -> None:
    filled(tmp_path / "a", batches=40)
    filled(tmp_path / "b", batches=20)
    (tmp_path / "a" / "000001.omj").unlink()
    with pytest.raises(JournalError, match="segment 1 is missing"):
        list(read_journal(tmp_path / "a"))
    (tmp_path / "a" / "000000.omj").unlink()
    with pytest.raises(JournalError, match="segment 0 is missing"):
        list(read_journal(tmp_path / "a"))
    with pytest.raises(JournalError, match="no journal"):
        list(read_journal(tmp_path / "absent"))
    with pytest.raises(JournalError, match="of session"):
        SegmentWriter(tmp_path / "b", session_id="s-2", build="", created_ns=NOW)


def test_lost_records_are_counted_by_the_holes_they_leave(tmp_path: Path) -> None:
    out = writer(tmp_path)
    out.append(make(3), NOW)
    out.append(make(3, 7), NOW)
    out.close()
    assert Journal(tmp_path).tail.lost_count == 4


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.lists(st.integers(0, 700), min_size=1, max_size=6), min_size=1, max_size=12),
    cut=st.integers(0, 3000),
)
def test_any_cut_of_the_last_segment_keeps_a_prefix(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[list[int]], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    out = writer(folder, segment_bytes=4096)
    records: list[RecordTuple] = []
    for batch in sizes:
        start = len(records)
        block = [(start + i, 2, 0, NOW, b"\x01" * size) for i, size in enumerate(batch)]
        out.append(block, NOW)
        records += block
    out.close()
    last = sorted(folder.glob("*.omj"))[-1]
    data = last.read_bytes()
    keep = max(SEGMENT_HEADER.size, len(data) - cut)
    last.write_bytes(data[:keep])
    got = list(read_journal(folder))
    assert got == records[: len(got)]
    if cut == 0:
        assert len(got) == len(records)


@settings(max_examples=200, deadline=None)
@given(noise=st.binary(max_size=400), at=st.integers(0, 2500))
def test_any_bytes_are_an_error_or_a_prefix(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    records = filled(folder)
    path = folder / "000000.omj"
    data = bytearray(path.read_bytes())
    data[at : at + len(noise)] = noise
    path.write_bytes(data)
    got: list[JournalRecord] = []
    try:
        got.extend(read_journal(folder))
    except JournalError:
        return
    assert got == records[: len(got)]


# ---------------------------------------------------------------- payloads

VIEW = MarketViewRecord(*range(1, 33))
LADDER = LadderRecord(
    VIEW, 5, 2, ((100, 1), (99, 2)), ((103, 4),), LadderParts(-1, -2, -3, *range(4, 23)), 0, 1
)
ACTION = ActionRecord(3, 4, 1 << 63, 667_880, 1_000, 1, 2)


def test_binary_payloads_round_trip() -> None:
    assert journal.read_ladder(journal.ladder_record(LADDER)) == LADDER
    intent = journal.IntentRecord(ACTION, 1_000)
    assert journal.read_intent(journal.intent_record(intent)) == intent
    refusal = journal.RefusalRecord(ACTION, 12, -(1 << 100), 1 << 120)
    assert journal.read_refusal(journal.refusal_record(refusal)) == refusal
    packed = journal.transition_record(9, 10, 2, 3, 2, 55, 66)
    transition = journal.read_transition(packed)
    assert transition == (9, 10, 2, 3, 2, 55, 66)
    assert journal.transition_source(transition) == "stream"
    assert journal.read_stamps(journal.stamps_record(list(range(13)))) == tuple(range(13))
    book = journal.BookRecord(3, 2, 5, 6, 7)
    assert journal.read_book(journal.book_record(book)) == book
    place = journal.PlaceRecord(9, 55, 0, 4, 5, 6, 7)
    assert journal.read_place(journal.place_record(place)) == place
    seen = journal.NeighboursRecord(7, 0, (1 << 63) - 1, 2)
    assert journal.read_neighbours(journal.neighbours_record(seen)) == seen
    assert journal.read_sample(journal.sample_record(1, 2, 3, 4)) == (1, 2, 3, 4)


def test_stamps_of_a_journal_before_the_stages_read_and_book_are_read() -> None:
    old = struct.pack("<10q", *range(1, 11))
    assert journal.read_stamps(old) == (*range(1, 11), 0, 0, 0)


FILL = OrderFilled(
    exec_id="E1",
    venue_order_id="O1",
    client_id="mabc",
    instrument="BTC/USD",
    side=1,
    price_ticks=667_880,
    qty_lots=12_345,
    cost=Decimal("8.24497860"),
    fees=(Fee("USD", Decimal("0.0132")), Fee("KFEE", Decimal("-0.10"))),
    maker=True,
    ts_ns=NOW,
    source=Source.STREAM,
)


def test_fill_round_trips_with_exact_decimals() -> None:
    payload = journal.fill_record(FILL, 513, 667_881_000_000)
    back = journal.read_fill(payload)
    assert back == journal.fill_of(FILL, 513, 667_881_000_000)
    assert str(back.cost) == "8.24497860"
    assert [str(fee.amount) for fee in back.fees] == ["0.0132", "-0.10"]
    assert journal.read_fill(journal.fill_record(FILL, 1, journal.MISSING)).reference_uticks is None


def test_other_json_payloads_round_trip() -> None:
    session = journal.SessionRecord(
        "s", "bot", "paper", "kraken", "BTC/USD", "b", NOW, {"a": {"b": 1}}, {"flow": 7}, "m"
    )
    assert journal.read_session(journal.session_record(session)) == session
    balance = BalanceUpdated("USD", Decimal("10.50"), None, Decimal(0), "snapshot", "", NOW)
    back = journal.read_balance(journal.balance_record(balance, "opening"))
    assert (back.kind, str(back.total), back.change) == ("opening", "10.50", None)
    assert journal.read_balance(journal.balance_record(balance)).kind == "snapshot"
    instrument = Instrument(
        "kraken", "BTC/USD", "BTC", "USD", 1, 8, Decimal("0.1"), Decimal("0.00000001"),
        Decimal("0.00005"), Decimal("0.5"), 10, 4,
    )  # fmt: skip
    assert journal.read_instrument(journal.instrument_record(instrument)) == instrument
    risk = journal.read_risk(journal.risk_record("RUNNING", "HALTED", "drawdown", "2.1%"))
    assert (risk.to_state, risk.detail) == ("HALTED", "2.1%")
    command = journal.read_command(journal.command_record("halt", {"why": "test"}, "me", "cli"))
    assert (command.command, command.arguments) == ("halt", {"why": "test"})
    incident = journal.read_incident(
        journal.incident_record("off by one", kind="balance", asset="USD", amount=Decimal("0.01"))
    )
    assert (incident.severity, incident.amount) == ("warning", Decimal("0.01"))
    end = journal.EndRecord("stop", NOW, 0, {"decisions": 5})
    assert journal.read_end(journal.end_record(end)) == end


@pytest.mark.parametrize(
    ("kind", "payload", "text"),
    [
        (Record.REC_FILL, b"{", "not JSON"),
        (Record.REC_FILL, b"[]", "not an object"),
        (Record.REC_FILL, b"{}", "malformed"),
        (Record.REC_END, b'{"reason":1}', "wrong fields"),
        (Record.REC_BALANCE, b'{"total":"x","fee":"0","change":null}', "malformed"),
        (Record.REC_LADDER, b"short", "5 bytes instead of 1448"),
        (Record.REC_STAMPS, b"", "0 bytes instead of 104"),
    ],
)
def test_malformed_payload_is_refused(kind: Record, payload: bytes, text: str) -> None:
    with pytest.raises(JournalError, match=text):
        journal.read_payload(JournalRecord(0, kind, 0, 0, payload))


def test_payload_without_reader_gives_its_bytes() -> None:
    assert journal.read_payload(JournalRecord(0, 2, 0, 0, b"frame")) == b"frame"
    assert journal.read_payload(JournalRecord(0, 999, 0, 0, b"new")) == b"new"
