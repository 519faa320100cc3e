"""The tape: committed records survive everything short of the machine; torn ones are never read."""

from __future__ import annotations

import os
import random
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.tape import RECORD_HEADER_BYTES, Record, Tape, TapeReader
from openmm.errors import JournalError
from tests.oracles.tape import PlainTape

HEADER_PAGE = 4096
SALT = 0x9E37_79B9_7F4A_7C15
FRAME, INTENT, FILL = int(Record.REC_FRAME), int(Record.REC_INTENT), int(Record.REC_FILL)

WRITER = """
import random, sys
from openmm._fast.tape import Tape
tape = Tape(sys.argv[1], size_bytes=1 << 22, session_id="kill")
rng = random.Random(int(sys.argv[2]))
print("ready", flush=True)
while True:
    n = tape.next_index
    tape.append(17, n % 7, n * 3, n.to_bytes(8, "little") * rng.randrange(1, 90))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tape"


def drain(reader: TapeReader) -> list[tuple[int, int, int, int, bytes]]:
    out = []
    while batch := reader.read(1000):
        out += batch
    return out


def test_reader_sees_records_in_order_with_their_headers(path: Path) -> None:
    tape = Tape(path, size_bytes=4096, session_id="20261125-a")
    assert tape.append(FRAME, 3, 17, b"abc")
    assert tape.append(FILL, 0, 18, b"")
    reader = TapeReader(path)
    assert reader.read(1) == [(0, FRAME, 3, 17, b"abc")]
    assert reader.read(9) == [(1, FILL, 0, 18, b"")]
    assert reader.read(9) == []
    assert (reader.session_id, reader.engine_pid) == ("20261125-a", os.getpid())
    assert tape.unread_bytes == 0


def test_reader_in_another_process_reads_and_frees_room(path: Path) -> None:
    tape = Tape(path, size_bytes=4096)
    follower = (
        "import sys\nfrom openmm._fast.tape import TapeReader\n"
        "r = TapeReader(sys.argv[1])\n"
        "print(sum(len(x[4]) for x in r.read(100)), r.engine_alive)\n"
    )
    for total in (300, 600, 900):  # each round fills more than a third of the ring
        for part in range(3):
            assert tape.append(INTENT, part, 0, b"z" * (total // 3))
        out = subprocess.run(
            [sys.executable, "-c", follower, str(path)], check=True, capture_output=True, text=True
        )
        assert out.stdout.split() == [str(total), "True"]
        assert tape.unread_bytes == 0


def test_frames_stop_at_the_reserve_and_intents_still_fit(path: Path) -> None:
    tape = Tape(path, size_bytes=4096)
    taken = 0
    while tape.append(FRAME, 0, 0, b"f" * 96):
        taken += 1
    assert taken == (4096 - 512 - 8) // 128
    assert tape.full
    assert tape.lost_count == 1
    assert tape.append(INTENT, 0, 0, b"i" * 96)
    assert tape.full, "the latch stays although a record fitted"
    while tape.append(INTENT, 0, 0, b"i" * 96):
        taken += 1
    reader = TapeReader(path)
    assert len(drain(reader)) == taken + 1
    assert reader.lost_count == 1, "the hole in the indices shows the refused frame"
    assert reader.full


def test_clear_full_needs_a_follower_that_caught_up(path: Path) -> None:
    tape = Tape(path, size_bytes=4096)
    while tape.append(INTENT, 0, 0, b"i" * 96):
        pass
    with pytest.raises(JournalError, match="behind"):
        tape.clear_full()
    reader = TapeReader(path)
    drain(reader)
    tape.clear_full()
    assert not tape.full
    assert not reader.full
    assert tape.append(FRAME, 0, 0, b"again")


def test_without_follower_the_oldest_are_dropped() -> None:
    tape = Tape(None, size_bytes=4096, follow=False)
    for n in range(1000):
        assert tape.append(FRAME, 0, n, b"x" * (n % 200))
    kept = tape.records()
    assert [r[0] for r in kept] == list(range(kept[0][0], 1000))
    assert all(r[4] == b"x" * (r[0] % 200) for r in kept)
    assert not tape.full
    assert tape.lost_count == 0


def test_append_many_equals_appends_one_by_one() -> None:
    many, single = (Tape(None, size_bytes=4096, follow=False) for _ in range(2))
    assert many.append_many(FRAME, 5, b"same", 300) == 300
    for n in range(300):
        single.append(FRAME, 0, 5 + n, b"same")
    assert many.records() == single.records()


def test_restarted_reader_starts_behind_the_last_acknowledged(path: Path) -> None:
    tape = Tape(path, size_bytes=4096)
    for n in range(6):
        tape.append(INTENT, 0, n, b"")
    first = TapeReader(path)
    first.read(2)
    first.read(2, acknowledge=False)
    del first
    assert [r[0] for r in TapeReader(path).read(9)] == [2, 3, 4, 5]


def test_stop_request_and_beats_reach_the_engine(path: Path) -> None:
    tape = Tape(path, size_bytes=4096)
    reader = TapeReader(path)
    seen = [tape.stop_requested]
    reader.request_stop()
    reader.attach()
    reader.beat()
    seen.append(tape.stop_requested)
    assert (tape.follower_pid, tape.follower_beats) == (os.getpid(), 1)
    reader.request_stop(False)
    seen.append(tape.stop_requested)
    assert seen == [False, True, False]


def test_close_is_seen_and_ends_appending(path: Path) -> None:
    tape = Tape(path, size_bytes=4096)
    reader = TapeReader(path)
    before = reader.closed
    tape.close()
    assert (before, reader.closed) == (False, True)
    with pytest.raises(ValueError, match="closed"):
        tape.append(INTENT, 0, 0, b"")


def test_torn_record_is_recognised_and_not_read(path: Path) -> None:
    tape = Tape(path, size_bytes=4096)
    tape.append(INTENT, 0, 5, b"whole")
    reader = TapeReader(path)
    reader.read(1)
    before = reader.torn
    # What an engine killed between header and commit word leaves behind.
    with path.open("r+b") as file:
        file.seek(HEADER_PAGE + 40)
        file.write(struct.pack("<IHHQqQ", 0, INTENT, 0, 1, 6, 1 ^ 40 ^ SALT) + b"half")
    assert (before, reader.torn) == (False, True)
    assert reader.read(1) == []


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (0, struct.pack("<I", 9000)),  # longer than the ring
        (0, b"\xff\xff\xff\xff"),  # wrap mark at the start
        (RECORD_HEADER_BYTES + 8, b"\xff\xff\xff\xff"),  # wrap mark too early
        (RECORD_HEADER_BYTES + 8 + 8, struct.pack("<Q", 0)),  # index goes back
        (RECORD_HEADER_BYTES + 8 + 24, bytes(8)),  # check word gone
    ],
)
def test_corrupt_ring_raises_with_file_and_offset(path: Path, offset: int, value: bytes) -> None:
    tape = Tape(path, size_bytes=4096)
    for n in range(3):
        tape.append(INTENT, 0, n, b"12345678")
    with path.open("r+b") as file:
        file.seek(HEADER_PAGE + offset)
        file.write(value)
    reader = TapeReader(path)
    with pytest.raises(JournalError, match=rf"byte \d+: {path}"):
        drain(reader)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"size_bytes": 5000}, "power of two"),
        ({"size_bytes": 2048}, "power of two"),
        ({"session_id": "x" * 65}, "longer than 64"),
    ],
)
def test_bad_arguments_are_refused(path: Path, options: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Tape(path, **options)  # type: ignore[arg-type]


def test_private_memory_cannot_be_followed() -> None:
    with pytest.raises(ValueError, match="follow=False"):
        Tape(None)


def test_existing_tape_is_never_overwritten(path: Path) -> None:
    Tape(path, size_bytes=4096).append(INTENT, 0, 0, b"precious")
    with pytest.raises(JournalError, match="exists"):
        Tape(path, size_bytes=4096)
    assert TapeReader(path).read(1)[0][4] == b"precious"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ((0, b"NOTATAPE"), "not a tape"),
        ((8, struct.pack("<I", 99)), "version 99"),
        ((16, struct.pack("<Q", 8192)), "cut"),
    ],
)
def test_foreign_file_is_refused(path: Path, change: tuple[int, bytes], text: str) -> None:
    Tape(path, size_bytes=4096)
    with path.open("r+b") as file:
        file.seek(change[0])
        file.write(change[1])
    with pytest.raises(JournalError, match=text):
        TapeReader(path)
    with pytest.raises(JournalError, match="cannot open"):
        TapeReader(path.with_name("absent"))


@pytest.mark.parametrize("in_file", [True, False])
def test_no_append_is_the_first_to_touch_a_page(path: Path, in_file: bool) -> None:
    tape = Tape(path if in_file else None, size_bytes=1 << 22, follow=False)
    payload = b"f" * 4000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for index in range(1024):
        assert tape.append(FRAME, 0, index, payload)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 64, "of 1,024 pages"  # a few are the interpreter's


def test_payload_limit_is_a_quarter_of_the_ring(path: Path) -> None:
    tape = Tape(path, size_bytes=4096)
    assert tape.append(INTENT, 0, 0, bytes(1024 - 32))
    with pytest.raises(ValueError, match="longer than"):
        tape.append(INTENT, 0, 0, bytes(1024 - 31))


def kills() -> Iterator[tuple[int, float]]:
    rng = random.Random(20261125)
    for seed in range(10):
        yield seed, rng.uniform(0.0, 0.03)


@pytest.mark.parametrize(("seed", "after_s"), list(kills()))
def test_kill_nine_leaves_every_committed_record_readable(
    path: Path, seed: int, after_s: float
) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(seed)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    reader = TapeReader(path)
    alive = [reader.engine_alive]
    got: list[tuple[int, int, int, int, bytes]] = []
    enough = int(after_s * 100_000)  # a point that depends on progress, not on the scheduler
    while len(got) < enough:
        got += reader.read(500)
    writer.send_signal(signal.SIGKILL)
    writer.wait(timeout=20)
    writer.stdout.close()
    alive.append(reader.engine_alive)
    assert alive == [True, False]
    got += drain(reader)
    rng = random.Random(seed)
    sizes = {}
    for n in range(got[-1][0] + 1):
        sizes[n] = rng.randrange(1, 90)
    assert len(got) + reader.lost_count == got[-1][0] + 1
    for index, kind, source, ts_ns, payload in got:
        assert (kind, source, ts_ns) == (17, index % 7, index * 3)
        assert payload == index.to_bytes(8, "little") * sizes[index]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.sampled_from([FRAME, INTENT, FILL]), st.integers(0, 900)),
        st.tuples(st.just("read"), st.integers(1, 12), st.just(0)),
    ),
    max_size=120,
)


@settings(max_examples=150, deadline=None)
@given(steps=steps)
def test_followed_tape_equals_the_plain_one(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    path = tmp_path_factory.mktemp("tape") / "tape"
    tape, plain = Tape(path, size_bytes=4096), PlainTape(4096)
    reader = TapeReader(path)
    for what, first, second in steps:
        if what == "append":
            payload = bytes([second % 251]) * second
            assert tape.append(first, 1, second, payload) == plain.append(first, 1, second, payload)
        else:
            assert reader.read(first) == plain.read(first)
        assert (tape.full, tape.lost_count) == (plain.full, plain.lost_count)
        assert tape.next_index == plain.next_index
        assert not reader.torn
    assert drain(reader) == plain.read(1 << 20)


@settings(max_examples=150, deadline=None)
@given(sizes=st.lists(st.integers(0, 900), max_size=200))
def test_overwriting_tape_equals_the_plain_one(sizes: list[int]) -> None:
    tape, plain = Tape(None, size_bytes=4096, follow=False), PlainTape(4096, follow=False)
    for n, size in enumerate(sizes):
        payload = bytes([size % 251]) * size
        assert tape.append(FRAME, 2, n, payload)
        assert plain.append(FRAME, 2, n, payload)
        assert tape.records() == plain.records()


@settings(max_examples=200, deadline=None)
@given(noise=st.binary(min_size=8, max_size=256), at=st.integers(0, 4096))
def test_any_bytes_in_the_ring_never_crash_the_reader(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int
) -> None:
    path = tmp_path_factory.mktemp("tape") / "tape"
    tape = Tape(path, size_bytes=4096)
    for n in range(20):
        tape.append(INTENT, 0, n, b"p" * n * 3)
    with path.open("r+b") as file:
        file.seek(HEADER_PAGE + min(at, 4096 - len(noise)))
        file.write(noise)
    reader = TapeReader(path)
    error = ""
    try:
        drain(reader)
    except JournalError as raised:
        error = str(raised)
    assert not error or str(path) in error
