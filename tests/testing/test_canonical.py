"""The canonical workload repeats, is a sound market, and makes the canonical bot quote."""

from __future__ import annotations

import pytest

from openmm._fast.book import BookState
from openmm.testing import MIXED, NARROW, WIDE, WorkloadSpec, frames_of, make_bot, make_workload
from openmm.testing.workload import Mix


def test_same_spec_gives_the_same_bytes_and_another_seed_others() -> None:
    one = make_workload(WorkloadSpec(messages=300))
    assert one.frames == make_workload(WorkloadSpec(messages=300)).frames
    assert one.frames != make_workload(WorkloadSpec(messages=300, seed=8)).frames


@pytest.mark.parametrize(
    ("mix", "least", "most"), [(NARROW, 0.99, 1.3), (MIXED, 2.8, 4.2), (WIDE, 6.0, 6.9)]
)
def test_messages_carry_the_levels_of_their_mix(mix: Mix, least: float, most: float) -> None:
    workload = make_workload(WorkloadSpec(messages=3_000, mix=mix))
    updates = workload.book_count - 1
    assert least <= (workload.level_count - 50) / updates <= most


@pytest.mark.parametrize("mix", [NARROW, MIXED, WIDE])
def test_every_frame_keeps_the_book_verified(mix: Mix) -> None:
    workload = make_workload(WorkloadSpec(messages=1_000, mix=mix))
    bot, frames = make_bot(), frames_of(workload)
    assert bot.feed.decode(frames) == workload.book_count
    assert bot.book.state is BookState.BOOK_VERIFIED
    assert bot.book.break_count == 0


def test_decode_alone_changes_the_book_and_nothing_else() -> None:
    bot, frames = make_bot(), frames_of(make_workload(WorkloadSpec(messages=200)))
    bot.feed.decode(frames, 0, 100)
    other = make_bot()
    other.pipeline.run(other.feed, frames, 0, 100)
    assert bot.book.levels(0) == other.book.levels(0)
    assert bot.book.levels(1) == other.book.levels(1)
    assert (bot.pipeline.decision_count, bot.pipeline.tape.next_index) == (0, 0)
    assert other.pipeline.decision_count > 0


def test_canonical_bot_requotes_as_often_as_is_written_down() -> None:
    bot, frames = make_bot(), frames_of(make_workload(WorkloadSpec(messages=6_000)))
    # Until its signals are warm the bot asks for a ladder with every tick.
    writes = bot.pipeline.run(bot.feed, frames, 0, 600, accept=True)
    assert writes > 0
    before = (bot.pipeline.requote_count, bot.pipeline.decision_count)
    writes += bot.pipeline.run(bot.feed, frames, 600, accept=True)
    assert writes == bot.pipeline.write_count
    requotes = bot.pipeline.requote_count - before[0]
    assert 1 / 16 < requotes / (bot.pipeline.decision_count - before[1]) < 1 / 10
    assert bot.pipeline.placed_count == 20
    assert 17 < bot.pipeline.amended_count / writes <= 20
    assert bot.pipeline.table.live_count == 20


def test_frames_come_again_later_when_shifted_and_never_earlier() -> None:
    spec = WorkloadSpec(messages=500)
    bot, frames = make_bot(), frames_of(make_workload(spec))
    bot.pipeline.run(bot.feed, frames, accept=True)
    before_ns = bot.feed.last_recv_ns
    with pytest.raises(ValueError, match="receive time goes back"):
        bot.pipeline.run(bot.feed, frames, accept=True)
    assert bot.feed.last_recv_ns == before_ns
    span_ns = spec.messages * spec.spacing_ns
    assert bot.pipeline.run(bot.feed, frames, accept=True, shift_ns=span_ns) > 0
    assert bot.feed.last_recv_ns == before_ns + span_ns
    assert bot.feed.frame_count == 1_000


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 4), (0, 501)])
def test_frames_beyond_the_buffer_are_refused(start: int, stop: int) -> None:
    bot, frames = make_bot(), frames_of(make_workload(WorkloadSpec(messages=500)))
    with pytest.raises(ValueError, match="frames"):
        bot.pipeline.run(bot.feed, frames, start, stop)
    with pytest.raises(ValueError, match="frames"):
        bot.feed.decode(frames, start, stop)
