"""Twenty thousand messages back to back: the last book is quoted, nothing piles up, cancels pass.

Between two turns of the loop the engine reads what one read of a socket brings, and no more: about
six hundred of these messages. Whatever else has its turn (an answer, a command, a timer) waits for
so many, not for the burst. Counted in messages: no test here knows how fast the machine is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openmm._fast.checks import Reason, RiskState
from openmm._fast.orders import OrderState
from openmm._fast.planner import ActionKind
from openmm._fast.tape import Record
from openmm.engine.context import SOURCE_PRIVATE
from openmm.engine.spin import make_loop
from openmm.journal import JournalRecord, read_intent, read_ladder
from tests.e2e.desk import Desk, options
from tests.e2e.flood import Flood, Market

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MESSAGES = 20_000
BURSTS = 4
# Messages of a read: what the kernel holds for a socket at most, by the mean message of the burst.
READ = 256 * 1024 // 250
# The venue's own market stands still and far away: what trades is told by the flood alone.
STILL = {"half_spread_bps": 200.0, "taker_share": 0.0, "step_s": 1e6, "first_spell_s": 1e9}
UTICKS = 1_000_000


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(MESSAGES)


def busy() -> asyncio.AbstractEventLoop:
    return make_loop(True)


def sleeping() -> asyncio.AbstractEventLoop:
    return make_loop(False)


loops = pytest.mark.parametrize("make", [busy, sleeping])


def desk_for(folder: Path, flood: Flood) -> Desk:
    return Desk(folder, options(market=STILL), ws=flood.url, strategy={"num_orders": 3})


def anonymous_bytes() -> int:
    """Return the memory of this process that no file backs: the tape's ring is one."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel does not tell RssAnon")


class Watch:
    """What might grow while a flood is read, looked at in every turn of the loop."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.pipeline = desk.engine.tables.pipeline
        self.turn_frames = 0  # most frames between two turns of the loop
        self.write_bytes = 0
        self.callbacks = 0
        self.tasks = 0
        self._seen = self.pipeline.feed.frame_count

    def look(self) -> None:
        """Take the high-water marks."""
        traffic = self.desk.engine._traffic
        assert traffic is not None
        loop: Any = asyncio.get_running_loop()
        frames = self.pipeline.feed.frame_count
        self.turn_frames = max(self.turn_frames, frames - self._seen)
        self._seen = frames
        self.callbacks = max(self.callbacks, len(loop._ready))
        self.tasks = max(self.tasks, len(asyncio.all_tasks()))
        for link in traffic.links:
            transport: Any = link.transport
            if transport is not None:
                waiting = transport.underlying_transport.get_write_buffer_size()
                self.write_bytes = max(self.write_bytes, waiting)

    async def until(self, check: Callable[[], bool]) -> None:
        """Look in every turn of the loop until something is true."""
        async with asyncio.timeout(60):
            while not check():
                await asyncio.sleep(0)
                self.look()


@loops
def test_after_a_burst_the_last_book_is_quoted_and_nothing_has_grown(
    tmp_path: Path, market: Market, make: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    bids, asks = market.book.levels("bids"), market.book.levels("asks")
    mid_uticks = (bids[0][0] + asks[0][0]) * UTICKS // 2

    async def scenario(flood: Flood) -> Desk:
        async with desk_for(tmp_path, flood) as desk:
            await desk.until_quoting()
            pipeline = desk.engine.tables.pipeline
            held: list[int] = []
            for number in range(BURSTS):
                tasks = len(asyncio.all_tasks())
                watch = Watch(desk)
                # The same messages again: the first is a snapshot.
                total = pipeline.feed.frame_count + len(market.frames)
                desk.mark(f"burst {number}")
                flood.pour(market.frames)
                await watch.until(lambda total=total: pipeline.feed.frame_count >= total)  # type: ignore[misc]
                desk.mark(f"read {number}")
                # Decided on already, in the turn that read it.
                assert pipeline.feed.book.levels(0, 25) == bids
                assert pipeline.feed.book.levels(1, 25) == asks
                assert pipeline.reference.price_uticks == mid_uticks
                assert not pipeline.is_dirty
                assert watch.turn_frames <= READ
                assert watch.write_bytes == 0
                assert watch.callbacks < 20
                assert watch.tasks <= tasks + 5
                flood.rest(market.last)
                await desk.until(lambda: pipeline.tape.unread_bytes < 65536, "the tape read")
                held.append(anonymous_bytes())
            assert not pipeline.tape.full
            assert pipeline.tape.lost_count == 0
            # The first two brought what later ones need too (the test's own buffers are in it);
            # to keep the messages of the other two would take ten megabytes.
            assert held[-1] - held[1] < 2 << 20, held
            assert pipeline.checks.refusals()[Reason.RATE_BUDGET] > 0, "a burst spends the budget"

            def rests_on_the_last_book() -> bool:
                wanted = {1: pipeline.ladder_levels()[0], 2: pipeline.ladder_levels()[1]}
                found = desk.server.core.open_orders(desk.account)
                near = [
                    any(abs(one.price_ticks - price) <= 30 for price, _ in wanted[one.side])
                    for one in found
                    if one.price_ticks is not None
                ]
                return len(near) == 6 and all(near)

            await desk.until(rests_on_the_last_book, "the venue's orders on the last book")
        return desk

    with Flood(market) as flood, asyncio.Runner(loop_factory=make) as runner:
        desk = runner.run(scenario(flood))
    assert desk.engine.exit_code == 0
    assert desk.open_at_end == []
    # An earlier quote would be the jump of the last message away, which no tolerance allows.
    records = desk.journal()
    ladder = [read_ladder(one.payload) for one in records if one.kind == Record.REC_LADDER][-1]
    assert (ladder.view.best_bid_ticks, ladder.view.best_ask_ticks) == (bids[0][0], asks[0][0])
    assert ladder.view.reference_uticks == mid_uticks
    # The first found a fresh budget: orders left in it.
    waits = answer_waits(records, desk.marks["burst 0"], desk.marks["read 0"])
    assert waits, "no order left during the burst"
    # Written in one read, answered by the venue's turn, read behind the next read or two.
    assert max(waits) <= 4 * READ


def answer_waits(records: list[JournalRecord], start: int, stop: int) -> list[int]:
    """Count the market's messages between each write of orders and the next private message."""
    waits: list[int] = []
    since: int | None = None
    for one in records:
        if not start <= one.record_index < stop:
            continue
        if one.kind == Record.REC_WRITE_RESULT and since is None:
            since = 0
        elif one.kind == Record.REC_FRAME and since is not None:
            if one.source == SOURCE_PRIVATE:
                waits.append(since)
                since = None
            else:
                since += 1
    return waits


@loops
def test_cancels_leave_at_once_in_a_burst_that_has_used_up_the_budget(
    tmp_path: Path, market: Market, make: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def scenario(flood: Flood) -> Desk:
        async with desk_for(tmp_path, flood) as desk:
            await desk.until_quoting()
            pipeline = desk.engine.tables.pipeline
            watch = Watch(desk)
            start = pipeline.feed.frame_count
            flood.pour(market.frames)
            refusals = pipeline.checks.refusals
            await watch.until(
                lambda: (
                    pipeline.feed.frame_count > start + 2_000
                    and refusals().get(Reason.RATE_BUDGET, 0) > 0
                )
            )
            resting = [
                one for one in pipeline.table.live() if one.state is not OrderState.PENDING_CANCEL
            ]
            assert resting
            before, halted = pipeline.cancel_count, pipeline.feed.frame_count
            desk.mark("halt")
            # As the operator's command does it, in the same turn of the loop.
            desk.engine._handle(desk.engine.step.halt("the operator", desk.engine._clock.now_ns()))
            assert pipeline.cancel_count == before + len(resting)
            assert pipeline.feed.frame_count == halted
            await watch.until(lambda: not desk.venue_orders())
            gone = pipeline.feed.frame_count
            assert gone - halted <= 4 * READ
            assert gone < start + len(market.frames), "the burst goes on behind it"
            await watch.until(lambda: pipeline.feed.frame_count >= start + len(market.frames))
            assert desk.engine.tables.monitor.state is RiskState.HALTED
            assert desk.venue_orders() == []
        return desk

    with Flood(market) as flood, asyncio.Runner(loop_factory=make) as runner:
        desk = runner.run(scenario(flood))
    assert desk.engine.exit_code == 3
    assert desk.open_at_end == []
    later = [
        read_intent(one.payload).action.kind
        for one in desk.journal()
        if one.kind == Record.REC_INTENT and one.record_index >= desk.marks["halt"]
    ]
    assert later
    assert set(later) == {ActionKind.ACTION_CANCEL}
