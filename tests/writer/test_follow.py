"""The writer process: nothing is lost or doubled, whoever dies, and trouble stops quoting."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from openmm._fast.tape import Record, Tape
from openmm.errors import JournalError
from openmm.journal import Journal, read_journal
from openmm.settlement.booking import Booker
from openmm.settlement.report import load_report
from openmm.writer.books import rebuild
from openmm.writer.follow import Follower, Timing, run
from tests.settlement.made import PAIR, T0, RecordTuple, hand_made
from tests.settlement.made import Tape as MadeTape

SESSION = "s-1"
QUICK = Timing(
    poll_s=0.001, sync_s=0.01, commit_s=0.01, check_s=0.01, retry_s=0.001, store_retry_s=0.0,
    segment_bytes=1 << 16, free_bytes_min=0,
)  # fmt: skip
Spawn = Callable[..., subprocess.Popen[bytes]]

ENGINE = """
import sys
from openmm._fast.tape import Tape
from tests.settlement.made import hand_made
tape = Tape(sys.argv[1], size_bytes=1 << 20, session_id="s-1")
for _index, kind, source, ts_ns, payload in hand_made()[:-1]:
    assert tape.append(kind, source, ts_ns, payload)
n = 0
print("ready", flush=True)
while True:
    n += tape.append(2, 0, 1_764_000_010_000_000_000 + n, b"f" * 100)
"""


class Place:
    """Where one session's files lie."""

    def __init__(self, folder: Path, store: str) -> None:
        self.tape = folder / "tape"
        self.journal = folder / "journal"
        self.store = store

    @property
    def segments(self) -> Path:
        return self.journal / SESSION

    def make_tape(self, size_bytes: int = 1 << 20) -> Tape:
        return Tape(self.tape, size_bytes=size_bytes, session_id=SESSION)

    def arguments(self) -> list[str]:
        return [
            "--tape", str(self.tape), "--journal", str(self.journal), "--store", self.store,
            "--segment-bytes", "65536", "--free-bytes", "0",
        ]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, database: Callable[[str], str]) -> Place:
    return Place(tmp_path, database("store"))


@pytest.fixture
def filed(tmp_path: Path) -> Place:
    """A place whose store is a file beside the tape."""
    return Place(tmp_path, f"sqlite:///{tmp_path / 'store.sqlite'}")


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Start processes that do not outlive the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, **options: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, *arguments], **options)  # type: ignore[call-overload]
        started.append(process)
        return process  # type: ignore[no-any-return]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=20)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def feed(tape: Tape, records: list[RecordTuple]) -> None:
    for _index, kind, source, ts_ns, payload in records:
        assert tape.append(kind, source, ts_ns, payload), "the tape of this test is too small"


def until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait for another process; what is waited for, not how long, decides the test."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the other process did not get there"
        time.sleep(0)


def test_session_goes_through_to_journal_store_and_report(place: Place, spawn: Spawn) -> None:
    tape = place.make_tape()
    process = spawn("-m", "openmm.writer", *place.arguments())
    records = hand_made()
    feed(tape, records[:30])
    until(lambda: tape.follower_pid == process.pid and tape.unread_bytes == 0)
    feed(tape, records[30:])
    tape.close()
    assert process.wait(timeout=60) == 0
    assert list(read_journal(place.segments)) == records
    report = load_report(place.store)
    assert (report.session.state, report.volume.fills) == ("ended", 4)
    assert report.session.journal_hash == Journal(place.segments).tail.chain.hex()
    assert not place.tape.exists(), "a drained tape gives its memory back"


def test_writer_killed_again_and_again_loses_and_doubles_nothing(
    place: Place, spawn: Spawn
) -> None:
    rng = random.Random(20261125)
    tape = place.make_tape()
    made = MadeTape()
    made.session(SESSION)
    made.balance(0, "USD", "1000000", "opening")
    made.balance(0, "BTC", "0", "opening")
    fills = 600
    for n in range(fills):
        side = 1 + n % 2
        made.fill(
            n, f"E{n}", 512, side, 500_000 - 3 + 2 * side, 1000 + n, "0.0001", 500_000_000_000
        )
    cash = sum(
        (1 if n % 2 else -1) * PAIR.notional((500_000 + (1 if n % 2 else -1)) * (1000 + n))
        for n in range(fills)
    ) - Decimal("0.0001") * fills  # fmt: skip
    base = sum((-1 if n % 2 else 1) * PAIR.qty(1000 + n) for n in range(fills))
    left = list(made.records)
    for _ in range(6):
        process = spawn("-m", "openmm.writer", *place.arguments())
        share = rng.randrange(10, 100)
        feed(tape, left[:share])
        del left[:share]
        goal = rng.randrange(tape.unread_bytes)
        until(lambda goal=goal: tape.unread_bytes <= goal)  # type: ignore[misc]
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
    feed(tape, left)
    tape.close()
    process = spawn("-m", "openmm.writer", *place.arguments())
    assert process.wait(timeout=60) == 0
    assert list(read_journal(place.segments)) == made.records
    report = load_report(place.store)
    assert report.volume.fills == fills
    assert report.inventory["USD"].closing == Decimal(1_000_000) + cash
    assert report.inventory["BTC"].closing == base
    assert report.session.state == "lost", "the tape was closed without an end record"


@pytest.mark.parametrize("seed", range(3))
def test_engine_killed_leaves_a_drained_and_lost_session(
    place: Place, spawn: Spawn, seed: int
) -> None:
    engine = spawn("-c", ENGINE, str(place.tape), stdout=subprocess.PIPE)
    assert engine.stdout is not None
    assert engine.stdout.readline() == b"ready\n"
    writer = spawn("-m", "openmm.writer", *place.arguments())
    goal = random.Random(seed).randrange(200_000, 2_000_000)
    # Of a segment in both forms one counts.
    until(lambda: 65536 * len({p.name[:6] for p in place.segments.glob("0*")}) > goal)
    engine.send_signal(signal.SIGKILL)
    assert writer.wait(timeout=60) == 0
    records = list(read_journal(place.segments))
    assert records[: len(hand_made()) - 1] == hand_made()[:-1]
    assert all(r.payload == b"f" * 100 for r in records[len(hand_made()) - 1 :])
    report = load_report(place.store)
    assert (report.session.state, report.volume.fills) == ("lost", 4)
    assert report.session.record_count == len(records)


def test_tape_left_by_a_dead_engine_is_drained_later(place: Place) -> None:
    tape = place.make_tape()
    feed(tape, hand_made()[:-1])
    del tape
    assert run(place.tape, place.journal, place.store, timing=QUICK)
    assert list(read_journal(place.segments)) == hand_made()[:-1]
    assert load_report(place.store).session.state == "lost"


def leave(place: Place, session_id: str) -> Path:
    """Make the tape of an earlier engine that died together with its writer."""
    path = place.tape.with_name(f"{session_id}.tape")
    feed(Tape(path, size_bytes=1 << 20, session_id=session_id), hand_made(session_id)[:-1])
    return path


def test_tapes_of_dead_engines_are_booked_before_the_session(place: Place) -> None:
    left = [leave(place, "r-1"), leave(place, "r-2")]
    tape = place.make_tape()
    feed(tape, hand_made())
    tape.close()
    assert run(place.tape, place.journal, place.store, left=left, timing=QUICK)
    # All three tell of the same fills: each is in the ledger once, where it was first.
    for session_id, fills in (("r-1", 4), ("r-2", 0)):
        assert list(read_journal(place.journal / session_id)) == hand_made(session_id)[:-1]
        report = load_report(place.store, session_id)
        assert (report.session.state, report.volume.fills) == ("lost", fills)
        assert report.session.journal_hash == Journal(place.journal / session_id).tail.chain.hex()
    report = load_report(place.store)
    assert (report.session.state, report.volume.fills) == ("ended", 0)
    assert not list(place.tape.parent.glob("*.tape"))


def test_tape_left_is_kept_until_the_store_has_it(filed: Place, spawn: Spawn) -> None:
    left = leave(filed, "r-1")
    store = filed.tape.with_name("store.sqlite")
    store.write_bytes(b"not a database at all" * 100)
    tape = filed.make_tape()
    feed(tape, hand_made())
    tape.close()
    follower = Follower(
        filed.tape, filed.journal, filed.store, left=[left], timing=QUICK,
        log=lambda *_a, **_k: None,
    )  # fmt: skip
    assert not follower.run()
    assert list(read_journal(filed.journal / "r-1")) == hand_made("r-1")[:-1]
    assert left.exists()
    store.unlink()
    later = Tape(filed.tape, size_bytes=1 << 20, session_id="s-2")
    feed(later, hand_made("s-2"))
    later.close()
    assert run(filed.tape, filed.journal, filed.store, left=[left], timing=QUICK)
    assert not left.exists()
    assert load_report(filed.store, "r-1").session.state == "lost"


def test_left_tape_that_another_writer_follows_is_waited_for(place: Place, spawn: Spawn) -> None:
    left = leave(place, "r-1")
    before = Follower(left, place.journal, place.store, timing=QUICK)
    tape = place.make_tape()
    feed(tape, hand_made())
    process = spawn("-m", "openmm.writer", *place.arguments(), "--left", str(left))
    until(lambda: tape.follower_pid == process.pid and tape.unread_bytes == 0)
    assert list(read_journal(place.segments)) == hand_made(), "the journal does not wait"
    assert before.run()
    tape.close()
    assert process.wait(timeout=60) == 0
    assert load_report(place.store, "r-1").session.state == "lost"
    assert load_report(place.store).session.state == "ended"


def test_left_tape_whose_journal_is_damaged_stops_no_journal_but_the_quotes(filed: Place) -> None:
    left = leave(filed, "r-1")
    (filed.journal / "r-1").mkdir(parents=True)
    (filed.journal / "r-1" / "000000.omj").write_bytes(b"no journal" * 100)
    tape = filed.make_tape()
    feed(tape, hand_made())
    tape.close()
    said: list[str] = []
    timing = Timing(
        check_s=0.0, store_retry_s=0.0, store_patience_s=0.0, free_bytes_min=0,
        segment_bytes=1 << 16,
    )  # fmt: skip
    follower = Follower(
        filed.tape, filed.journal, filed.store, left=[left], timing=timing,
        log=lambda message, **_values: said.append(message),
    )  # fmt: skip
    assert not follower.run()
    assert said == ["the store fails, the journal goes on"], "said once"
    assert list(read_journal(filed.segments)) == hand_made()
    assert tape.stop_requested
    assert left.exists(), "what it holds is nowhere else"


def test_full_disk_under_a_left_tape_is_said_once_and_loses_nothing(
    filed: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = leave(filed, "r-1")
    tape = filed.make_tape()
    said: list[str] = []
    follower = Follower(
        filed.tape, filed.journal, filed.store, left=[left], timing=QUICK,
        log=lambda message, **_values: said.append(message),
    )  # fmt: skip
    feed(tape, hand_made())
    tape.close()
    real, failures = os.pwrite, [7]

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        if "/r-1/" in os.readlink(f"/proc/self/fd/{fd}") and failures[0]:
            failures[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    assert follower.run()
    assert failures == [0]
    assert tape.stop_requested
    assert said.count("disk is full, quoting stops") == 1
    assert list(read_journal(filed.journal / "r-1")) == hand_made("r-1")[:-1]
    assert list(read_journal(filed.segments)) == hand_made()


def test_session_without_a_record_leaves_nothing(filed: Place) -> None:
    filed.make_tape().close()
    assert run(filed.tape, filed.journal, filed.store, timing=QUICK)
    assert not filed.tape.exists()
    assert not list(filed.journal.iterdir())
    assert not filed.tape.with_name("store.sqlite").exists(), "a failed start makes no ledger"
    left = leave(filed, "r-1")
    filed.make_tape().close()
    assert run(filed.tape, filed.journal, filed.store, left=[left], timing=QUICK)
    assert not filed.tape.exists()
    assert [folder.name for folder in filed.journal.iterdir()] == ["r-1"]
    assert load_report(filed.store, "r-1").session.state == "lost"


def test_term_leaves_the_session_running_for_the_next_writer(place: Place, spawn: Spawn) -> None:
    tape = place.make_tape()
    process = spawn("-m", "openmm.writer", *place.arguments())
    feed(tape, hand_made()[:30])
    until(lambda: tape.follower_pid == process.pid and tape.unread_bytes == 0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert place.tape.exists()
    assert load_report(place.store).session.state == "running"
    feed(tape, hand_made()[30:])
    tape.close()
    assert run(place.tape, place.journal, place.store, timing=QUICK)
    assert list(read_journal(place.segments)) == hand_made()
    assert load_report(place.store).session.state == "ended"


def test_low_disk_asks_the_engine_to_stop(filed: Place) -> None:
    tape = filed.make_tape()
    feed(tape, hand_made())
    tape.close()
    said: list[str] = []
    timing = Timing(free_bytes_min=1 << 62, segment_bytes=1 << 16)
    follower = Follower(
        filed.tape, filed.journal, filed.store, timing=timing,
        log=lambda message, **_values: said.append(message),
    )  # fmt: skip
    assert follower.run()
    assert tape.stop_requested
    assert said == ["disk is low, quoting stops"]
    assert list(read_journal(filed.segments)) == hand_made(), "what is there is still written"


def test_full_disk_stops_quoting_and_loses_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = place.make_tape()
    feed(tape, hand_made())
    tape.close()
    said: list[str] = []
    follower = Follower(
        place.tape, place.journal, place.store, timing=QUICK,
        log=lambda message, **_values: said.append(message),
    )  # fmt: skip
    real, failures = os.pwrite, [5]

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        if failures[0]:
            failures[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    assert follower.run()
    assert tape.stop_requested
    assert said == ["disk is full, quoting stops"]
    assert list(read_journal(place.segments)) == hand_made()
    assert load_report(place.store).volume.fills == 4


def test_store_that_fails_for_a_while_catches_up_from_the_journal(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = place.make_tape()
    feed(tape, hand_made())
    tape.close()
    said: list[str] = []
    real, failures = Booker.commit, [2]

    def commit(self: Booker) -> None:
        if failures[0]:
            failures[0] -= 1
            raise sa.exc.OperationalError("insert", {}, Exception("database is locked"))
        real(self)

    monkeypatch.setattr(Booker, "commit", commit)
    follower = Follower(
        place.tape, place.journal, place.store, timing=QUICK,
        log=lambda message, **_values: said.append(message),
    )  # fmt: skip
    assert follower.run()
    assert said[0] == "the store fails, the journal goes on"
    assert said[-1] == "the store has caught up"
    assert not tape.stop_requested, "a short failure does not stop quoting"
    assert load_report(place.store).session.state == "ended"


def test_store_that_is_no_database_stops_quoting_and_is_rebuilt(
    filed: Place, tmp_path: Path, spawn: Spawn
) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    tape = filed.make_tape()
    feed(tape, hand_made())
    tape.close()
    timing = Timing(check_s=0.0, store_retry_s=0.0, store_patience_s=0.0, free_bytes_min=0,
                    segment_bytes=1 << 16)  # fmt: skip
    follower = Follower(
        filed.tape, filed.journal, filed.store, timing=timing, log=lambda *_a, **_k: None
    )
    assert not follower.run()
    assert follower.store_behind
    assert tape.stop_requested
    assert list(read_journal(filed.segments)) == hand_made(), "the journal does not need the store"
    path.unlink()
    arguments = ["--session", SESSION, "--journal", str(filed.journal), "--store", filed.store]
    assert spawn("-m", "openmm.writer", *arguments).wait(timeout=60) == 0
    report = load_report(filed.store)
    assert (report.session.state, report.volume.fills) == ("ended", 4)
    assert rebuild(filed.journal, filed.store, SESSION) == len(hand_made()), "again: no change"
    assert load_report(filed.store) == report


def test_record_that_cannot_be_booked_stays_in_the_journal(place: Place) -> None:
    tape = place.make_tape()
    feed(tape, hand_made()[:4])
    tape.append(Record.REC_FILL, 0, T0, b"{}")
    tape.close()
    said: list[str] = []
    follower = Follower(
        place.tape, place.journal, place.store, timing=QUICK,
        log=lambda message, **_values: said.append(message),
    )  # fmt: skip
    assert not follower.run()
    assert said[0] == "the store fails, the journal goes on"
    assert len(list(read_journal(place.segments))) == 5


def test_beats_tell_the_engine_that_the_writer_lives(filed: Place, spawn: Spawn) -> None:
    tape = filed.make_tape()
    spawn("-m", "openmm.writer", *filed.arguments())
    until(lambda: tape.follower_beats >= 2)
    tape.close()


def test_it_follows_before_it_has_loaded_what_a_store_needs(spawn: Spawn) -> None:
    # A bot quotes only once its writer follows: what that takes is on the way to the first quote.
    look = "import sys, openmm.writer.__main__; print(*sys.modules)"
    process = spawn("-c", look, stdout=subprocess.PIPE)
    assert process.stdout is not None
    loaded = set(process.stdout.read().decode().split())
    assert "openmm.writer.follow" in loaded
    assert not loaded & {"sqlalchemy", "pydantic", "openmm.config", "importlib.metadata"}


def test_absent_tape_and_bad_usage_are_one_clear_error(filed: Place, spawn: Spawn) -> None:
    process = spawn("-m", "openmm.writer", "--journal", "x", "--store", "y", stderr=subprocess.PIPE)
    assert process.wait(timeout=60) == 2
    filed.tape.write_bytes(b"some other file" * 10_000)
    process = spawn("-m", "openmm.writer", *filed.arguments(), stderr=subprocess.PIPE)
    assert process.wait(timeout=60) == 1
    assert process.stderr is not None
    said = process.stderr.read()
    assert said.count(b"\n") == 1
    assert b"not a tape" in said
    assert str(filed.tape).encode() in said


def test_second_writer_waits_and_then_gives_up(
    filed: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openmm.writer.follow.ATTACH_S", 0.05)
    tape = filed.make_tape()
    feed(tape, hand_made())
    tape.close()
    first = Follower(filed.tape, filed.journal, filed.store, timing=QUICK)
    with pytest.raises(JournalError, match="another writer follows"):
        Follower(filed.tape, filed.journal, filed.store, timing=QUICK)
    assert first.run()
    assert list(read_journal(filed.segments)) == hand_made()


def test_journal_of_another_session_is_refused(filed: Place) -> None:
    tape = filed.make_tape()
    feed(tape, hand_made())
    tape.close()
    assert run(filed.tape, filed.journal, filed.store, timing=QUICK)
    (filed.journal / "s-2").mkdir()
    for path in filed.segments.iterdir():
        (filed.journal / "s-2" / path.name).write_bytes(path.read_bytes())
    second = Tape(filed.tape, size_bytes=1 << 20, session_id="s-2")
    with pytest.raises(JournalError, match="of session 's-1'"):
        Follower(filed.tape, filed.journal, filed.store, timing=QUICK)
    second.close()


def test_old_journals_give_way_once_they_are_booked(place: Place, spawn: Spawn) -> None:
    folders = []
    for session_id in ("r-1", "r-2", "r-3", "r-4"):
        path = place.tape.with_name(f"{session_id}.tape")
        tape = Tape(path, size_bytes=1 << 20, session_id=session_id)
        named = (b'"s-1"', f'"{session_id}"'.encode())
        made = [(*one[:4], one[4].replace(*named)) for one in hand_made()]
        feed(tape, made)
        tape.close()
        del tape
        arguments = place.arguments()
        arguments[1] = str(path)
        writer = spawn("-m", "openmm.writer", *arguments, "--keep-sessions", "1")
        assert writer.wait(timeout=60) == 0
        folders.append(sorted(one.name for one in place.journal.iterdir()))
    # Each writer finds the sessions before its own; the last ended one stays.
    assert folders == [["r-1"], ["r-1", "r-2"], ["r-2", "r-3"], ["r-3", "r-4"]]
    assert list(read_journal(place.journal / "r-4")) == made
    assert [one.suffix for one in (place.journal / "r-4").glob("0*")] == [".zst"]
