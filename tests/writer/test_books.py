"""A store that goes away, is locked or is damaged: the journal goes on, and nothing is lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from openmm._fast.tape import Tape
from openmm.address import STORE_VARIABLE
from openmm.errors import LedgerError
from openmm.journal import read_journal
from openmm.settlement.report import load_report
from openmm.settlement.store import Store
from openmm.writer.__main__ import main
from openmm.writer.books import Books, rebuild
from openmm.writer.drain import Drain
from openmm.writer.follow import Follower, Timing
from tests.postgres import PASSWORD, Server
from tests.settlement.made import hand_made
from tests.writer.test_follow import QUICK, SESSION, Place, feed, until

Spawn = Callable[[Place], subprocess.Popen[bytes]]


@pytest.fixture
def writer() -> Iterator[Spawn]:
    """Start a writer as the engine does, the store's address in its environment."""
    started: list[subprocess.Popen[bytes]] = []

    def start(place: Place) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "openmm.writer", "--tape", str(place.tape),
                "--journal", str(place.journal), "--segment-bytes", "65536", "--free-bytes", "0",
            ],
            env={**os.environ, STORE_VARIABLE: place.store}, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=20)
        assert process.stderr is not None
        process.stderr.close()


def stored(place: Place) -> bool:
    """Whether the first records are in the store by now."""
    try:
        store = Store(place.store, create=False)
    except LedgerError:
        return False
    try:
        with store.engine.connect() as connection:
            return connection.execute(sa.text("SELECT count(*) FROM session")).scalar() == 1
    finally:
        store.close()


def test_server_killed_under_a_session_is_caught_up_with(
    tmp_path: Path, postgres: Server, writer: Spawn
) -> None:
    place = Place(tmp_path, postgres.make_database())
    whole = Place(tmp_path / "whole", postgres.make_database())
    tape = place.make_tape()
    process = writer(place)
    records = hand_made()
    feed(tape, records[:20])
    until(lambda: stored(place))
    postgres.kill()
    try:
        feed(tape, records[20:])
        until(lambda: tape.unread_bytes == 0)
        assert list(read_journal(place.segments)) == records, "the journal needs no store"
        assert not tape.stop_requested, "a short failure does not stop quoting"
    finally:
        postgres.start()
    tape.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr is not None
    said = process.stderr.read().decode()
    assert "the store fails, the journal goes on" in said
    assert PASSWORD not in said
    again = Books(whole.store)
    again.open(place.segments, SESSION)
    again.commit()
    again.close()
    found, expected = load_report(place.store), load_report(whole.store)
    assert (found.session.state, found.volume.fills) == ("ended", 4)
    assert (found.pnl, found.inventory, found.orders) == (
        expected.pnl, expected.inventory, expected.orders,
    )  # fmt: skip


def test_connection_that_the_server_ends_is_made_anew(
    tmp_path: Path, postgres: Server, writer: Spawn
) -> None:
    place = Place(tmp_path, postgres.make_database())
    tape = place.make_tape()
    process = writer(place)
    records = hand_made()
    feed(tape, records[:20])
    until(lambda: stored(place))
    postgres.drop_connections()
    feed(tape, records[20:])
    tape.close()
    assert process.wait(timeout=60) == 0
    assert load_report(place.store).volume.fills == 4


def test_writers_that_start_at_once_make_one_schema(
    tmp_path: Path, postgres: Server, writer: Spawn
) -> None:
    store = postgres.make_database()
    places = [Place(tmp_path / name, store) for name in ("a", "b")]
    processes = []
    for number, place in enumerate(places):
        place.tape.parent.mkdir()
        tape = Tape(place.tape, size_bytes=1 << 20, session_id=f"s-{number}")
        feed(tape, hand_made(f"s-{number}", f"bot-{number}"))
        tape.close()
        processes.append(writer(place))
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    for number in range(2):
        assert load_report(store, f"s-{number}").volume.fills == 4


def test_password_is_in_no_error(tmp_path: Path, postgres: Server, writer: Spawn) -> None:
    secret = "not-this-one"
    wrong = postgres.url("postgres", secret)
    with pytest.raises(LedgerError, match="cannot open the store postgresql") as found:
        Store(wrong)
    assert secret not in str(found.value)
    assert found.value.__cause__ is None
    place = Place(tmp_path, wrong)
    tape = place.make_tape()
    feed(tape, hand_made())
    tape.close()
    process = writer(place)
    arguments = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert secret.encode() not in arguments, "every user of the machine reads those"
    assert process.wait(timeout=60) == 1
    assert process.stderr is not None
    said = process.stderr.read()
    assert b"password authentication failed" in said
    assert secret.encode() not in said
    assert list(read_journal(place.segments)) == hand_made()


def test_locked_file_is_outlived(tmp_path: Path) -> None:
    place = Place(tmp_path, f"sqlite:///{tmp_path / 'store.sqlite'}")
    Store(place.store).close()
    tape = place.make_tape()
    feed(tape, hand_made())
    tape.close()
    said: list[str] = []
    with closing(sqlite3.connect(tmp_path / "store.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")

        def log(message: str, **_values: object) -> None:
            said.append(message)
            if other.in_transaction:
                other.execute("ROLLBACK")

        assert Follower(place.tape, place.journal, place.store, timing=QUICK, log=log).run()
    assert said == ["the store fails, the journal goes on", "the store has caught up"]
    assert not tape.stop_requested
    assert load_report(place.store).volume.fills == 4


def test_damaged_file_stops_quoting_and_is_rebuilt_from_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    place = Place(tmp_path, f"sqlite:///{path}")
    Store(place.store).close()
    with path.open("r+b") as file:  # the header is whole, what it speaks of is not
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))
    tape = place.make_tape()
    feed(tape, hand_made())
    tape.close()
    timing = Timing(
        check_s=0.0, store_retry_s=0.0, store_patience_s=0.0, free_bytes_min=0,
        segment_bytes=1 << 16,
    )  # fmt: skip
    follower = Follower(
        place.tape, place.journal, place.store, timing=timing, log=lambda *_a, **_k: None
    )
    assert not follower.run()
    assert tape.stop_requested
    assert list(read_journal(place.segments)) == hand_made()
    fresh = f"sqlite:///{tmp_path / 'fresh.sqlite'}"
    assert rebuild(place.journal, fresh, SESSION) == len(hand_made())
    assert load_report(fresh).volume.fills == 4


def test_session_that_a_writer_follows_is_not_booked_by_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(tmp_path, f"sqlite:///{tmp_path / 'store.sqlite'}")
    feed(place.make_tape(), hand_made())
    drain = Drain(place.tape, place.journal)
    assert drain.begin()
    while drain.step():
        pass
    drain.segments.sync()
    arguments = ["--session", SESSION, "--journal", str(place.journal), "--store", place.store]
    assert main(arguments) == 1
    assert f"a writer follows session {SESSION}" in capsys.readouterr().err
    drain.close()
    assert main(arguments) == 0
    assert load_report(place.store).session.state == "ended"


def test_store_that_refuses_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(tmp_path, f"sqlite:///{tmp_path / 'store.sqlite'}")
    tape = place.make_tape()
    feed(tape, hand_made())
    drain = Drain(place.tape, place.journal)
    assert drain.begin()
    while drain.step():
        pass
    drain.segments.close()
    drain.close()
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(b"SQLite format 3\0" + b"\xa5" * 8192)
    arguments = ["--session", SESSION, "--journal", str(place.journal)]
    assert main([*arguments, "--store", f"sqlite:///{damaged}"]) == 1
    told = capsys.readouterr().err
    assert told.strip()
    assert "Traceback" not in told
