"""A rehearsal walks the hot path on tables of its own, and the real ones never notice."""

from __future__ import annotations

import socket

import pytest

from openmm._fast.book import BookState
from openmm._fast.feed import SocketTransport
from openmm._fast.ports import MemoryTransport
from openmm._fast.rehearsal import Rehearsal
from openmm.testing.canonical import CanonicalBot, frames_of, make_bot
from openmm.testing.workload import WorkloadSpec, make_workload

WORKLOAD = make_workload(WorkloadSpec(messages=1_500))
SIDES = (0, 1)


def pair(real: CanonicalBot) -> tuple[CanonicalBot, Rehearsal]:
    stage = make_bot()
    return stage, Rehearsal(real.pipeline, stage.pipeline, [stage.feed])


def test_stage_follows_the_real_book_through_any_number_of_passes() -> None:
    real = make_bot()
    stage, rehearsal = pair(real)
    frames = frames_of(WORKLOAD)
    for number, frame in enumerate(WORKLOAD.frames):
        real.pipeline.run(real.feed, frames, number, number + 1, accept=True)
        rehearsal.keep(0, frame, WORKLOAD.recv_ns[number])
        rehearsal.run(1 + number % 4)
        assert stage.book.state is BookState.BOOK_VERIFIED
        if number % 50 == 0:
            for side in SIDES:
                assert stage.book.levels(side) == real.book.levels(side)
    assert stage.book.break_count == 0
    assert rehearsal.pass_count == sum(1 + number % 4 for number in range(1_500))


def test_every_pass_goes_all_the_way_to_a_write_once_the_stage_quotes() -> None:
    real = make_bot()
    stage, rehearsal = pair(real)
    real.pipeline.run(real.feed, frames_of(WORKLOAD), 0, 1_000, accept=True)
    for number in range(1_000):
        rehearsal.keep(0, WORKLOAD.frames[number], WORKLOAD.recv_ns[number])
        rehearsal.run()
    before, sent = rehearsal.sent_count, stage.pipeline.amended_count
    rehearsal.run(100)
    assert rehearsal.sent_count - before == 100
    assert stage.pipeline.amended_count - sent == 2_000
    assert stage.pipeline.checks.refusals() == {}


def test_real_path_sends_the_same_bytes_with_and_without_a_rehearsal() -> None:
    sent = []
    for rehearsed in (False, True):
        transport = MemoryTransport()
        real = make_bot(transport=transport)
        _, rehearsal = pair(real)
        frames = frames_of(WORKLOAD)
        for number, frame in enumerate(WORKLOAD.frames):
            real.pipeline.run(real.feed, frames, number, number + 1, accept=True)
            if rehearsed:
                rehearsal.keep(0, frame, WORKLOAD.recv_ns[number])
                rehearsal.run(2)
        sent.append((transport.take(), real.pipeline.tape.next_index))
    assert len(sent[0][0]) > 1_000
    assert sent[0] == sent[1]


def test_frames_without_an_idle_moment_are_followed_all_the_same() -> None:
    real = make_bot()
    stage, rehearsal = pair(real)
    real.pipeline.run(real.feed, frames_of(WORKLOAD), 0, 1_500, accept=True)
    for number, frame in enumerate(WORKLOAD.frames):
        rehearsal.keep(0, frame, WORKLOAD.recv_ns[number])
    assert stage.feed.frame_count > 0
    assert rehearsal.pass_count == 0
    rehearsal.run(1_500)
    assert stage.book.state is BookState.BOOK_VERIFIED
    for side in SIDES:
        assert stage.book.levels(side) == real.book.levels(side)


def test_frame_longer_than_all_room_is_dropped_and_counted() -> None:
    real = make_bot()
    stage, rehearsal = pair(real)
    rehearsal.keep(0, b" " * (1 << 20), 0)
    rehearsal.run()
    assert (rehearsal.dropped_count, stage.feed.frame_count) == (1, 0)


def test_what_the_stage_sends_comes_out_of_its_own_socket_and_is_read_again() -> None:
    real = make_bot()
    outlet, inlet = socket.socketpair()
    transport = SocketTransport()
    transport.attach_socket(outlet)
    stage = make_bot(transport=transport)
    rehearsal = Rehearsal(real.pipeline, stage.pipeline, [stage.feed], inlet)
    real.pipeline.run(real.feed, frames_of(WORKLOAD), 0, 1_000, accept=True)
    for number in range(1_000):
        rehearsal.keep(0, WORKLOAD.frames[number], WORKLOAD.recv_ns[number])
        rehearsal.run()
    assert rehearsal.sent_count > 400  # the first five seconds pass before a bot quotes
    assert stage.pipeline.write_failed_count == 0
    # No more than one pass lies in the socket.
    assert 0 < len(inlet.recv(1 << 20)) < 20_000
    # A tear-down leaves no socket to a collection of garbage.
    rehearsal.close()
    rehearsal.close()
    assert (outlet.fileno(), inlet.fileno()) == (-1, -1)
    rehearsal.run()


def test_shared_tables_and_unknown_feeds_are_refused() -> None:
    real = make_bot()
    with pytest.raises(ValueError, match="tables of its own"):
        Rehearsal(real.pipeline, real.pipeline, [real.feed])
    _, rehearsal = pair(real)
    with pytest.raises(IndexError):
        rehearsal.keep(1, b"{}", 0)
