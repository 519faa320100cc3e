"""The wire bench runs: C by hand and the whole engine answer every tick of the bench's venue."""

from __future__ import annotations

import datetime
from pathlib import Path

import orjson
import pytest

from bench.bench_wire import OURS, OURS_SPIN, RAW, RAW_SPIN, over, rounds
from bench.wire.rounds import Setting, build
from bench.wire.venue import framed, make_ticks, stamped
from openmm.testing.canonical import frames_of, make_bot

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def test_every_tick_moves_every_order_of_the_canonical_bot() -> None:
    ticks = make_ticks(3_000)
    bot, frames = make_bot(requote_uticks=0), frames_of(ticks)
    bot.pipeline.run(bot.feed, frames, 0, 2_000, accept=True)
    before = bot.pipeline.write_count, bot.pipeline.amended_count
    bot.pipeline.run(bot.feed, frames, 2_000, 3_000, accept=True)
    assert bot.pipeline.write_count - before[0] == 1_000
    assert bot.pipeline.amended_count - before[1] >= 19_900


def test_frames_of_the_venue_have_the_length_their_header_tells() -> None:
    for size in (0, 125, 126, 65_535, 65_536):
        frame = framed(bytes(size))
        assert len(frame) == size + (2 if size < 126 else 4 if size < 65_536 else 10)


def test_frames_of_the_venue_carry_the_time_of_now_and_nothing_else_is_changed() -> None:
    for frame in make_ticks(3).frames:
        told, now = orjson.loads(frame)["data"][0], orjson.loads(stamped(frame))["data"][0]
        then = datetime.datetime.fromisoformat(now.pop("timestamp"))
        assert datetime.datetime.now(datetime.UTC) - then < datetime.timedelta(minutes=1)
        del told["timestamp"]
        assert told == now


def test_c_by_hand_and_the_engine_answer_every_tick(tmp_path: Path) -> None:
    chosen = (RAW_SPIN, OURS_SPIN, RAW, OURS)
    built = build(tmp_path)
    found = rounds(1, chosen, Setting(ticks=60, warm=20), built, tmp_path / "runs")
    ladder = Setting(ticks=60, warm=20, levels=10)
    wide = rounds(1, (RAW_SPIN, OURS_SPIN), ladder, built, tmp_path / "wide")
    for one in chosen:
        assert len(found[0][one].first) == 60
        assert min(found[0][one].first) > 0
        # Two amends a tick; a tick may move one of them twice, or place where one was missing.
        assert 1.8 < found[0][one].orders < 2.5
    for one in (RAW_SPIN, OURS_SPIN):
        assert wide[0][one].orders > 15
    stages = found[0][OURS_SPIN].told["stages"]
    assert {"read", "decode", "book", "check", "journal", "encode", "write"} <= set(stages)
    assert len(over(found, OURS_SPIN, RAW_SPIN)) == 1
