"""A process that holds 200 instruments of five venues under ten times a recorded load.

`python -m bench.fleet` starts a sender (`bench.fleet_sender`) that replays Binance's recordings of
2024-08-08 in every venue's own wire format, each message at its recorded time divided by `--speed`.
This process reads them as an engine does: a connection, a compiled decoder, a book and a feed for
each instrument, one pipeline with its reference for the five venues of a pair. It watches what may
grow: resident memory, what waits in the kernel, the age of what waits. Exit code 1: memory grew
after the warm-up, something was left unread, or a book was not verified at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import mmap
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from bench.apart import apart
from bench.book_streams import ROOT, shared_data
from bench.fleet_frames import SOURCES, VENUES
from bench.fleet_members import Member, members
from bench.fleet_sender import (
    ASKED,
    BLOCK_WORDS,
    DRAIN,
    DRAINED,
    EXIT,
    HEAD_WORDS,
    RING,
    SENT,
    TIMES,
    WRITES,
    Plan,
    page_bytes,
)
from openmm.engine.spin import make_loop

NS: Final = 1_000_000_000
SAMPLE_S: Final = 0.02
READY_S: Final = 60.0
PREPARE_S: Final = 600.0
WEIGH_EVERY_S: Final = 0.25
# Lasting growth that is told from the allocator's noise, of the whole process.
GROWTH_BYTES_MAX: Final = 1 << 20
FAULTS: Final = (
    "gaps", "checksums_failed", "crossed", "off_tick", "bounds", "capacity", "parse_errors",
    "overflows", "trade_gaps", "levels_rounded", "old_snapshots",
)  # fmt: skip


class Memory(NamedTuple):
    """What no file backs of this process's memory.

    Tables are taken whole at the start, and become resident as prices come to use them: `taken` is
    what does not grow, `resident` nears it.
    """

    resident_bytes: int
    taken_bytes: int

    @classmethod
    def now(cls) -> Self:
        """Ask the kernel."""
        told = dict(
            line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines()
        )
        return cls(*(int(told[name].split()[0]) * 1024 for name in ("RssAnon", "VmData")))


class Watch:
    """What may grow, sampled."""

    def __init__(self, fleet: list[Member], page: memoryview) -> None:
        self._fleet = fleet
        self._page = page
        self.ages_us: list[int] = []  # of the oldest unread frame of any instrument
        self.unread_frames = 0  # most, of all instruments together
        self.unread_bytes = 0
        self.turn_us = 0  # longest time between two samples, beyond the pause
        self.tasks = 0
        self.memory: list[Memory] = []

    def sent(self, index: int) -> int:
        """Return how many frames were sent to an instrument."""
        return int(self._page[HEAD_WORDS + BLOCK_WORDS * index + SENT])

    @property
    def drained(self) -> bool:
        """Whether everything that was sent was read."""
        return all(self.sent(at) == one.feed.frame_count for at, one in enumerate(self._fleet))

    def look(self) -> None:
        """Take one sample."""
        unread = 0
        oldest_ns = now_ns = time.monotonic_ns()
        for index, one in enumerate(self._fleet):
            count = self.sent(index) - one.feed.frame_count
            if count > 0:
                unread += count
                oldest_ns = min(oldest_ns, self._left_ns(index, one.feed.frame_count, now_ns))
        self.ages_us.append((now_ns - oldest_ns) // 1000)
        self.unread_frames = max(self.unread_frames, unread)
        self.tasks = max(self.tasks, len(asyncio.all_tasks()))

    def weigh(self) -> None:
        """Ask the kernel what it holds, of us and for us."""
        self.memory.append(Memory.now())
        self.unread_bytes = max(self.unread_bytes, sum(one.unread_bytes for one in self._fleet))

    def _left_ns(self, index: int, read: int, now_ns: int) -> int:
        """Return when the first frame behind those read was sent, as far back as is remembered."""
        block = HEAD_WORDS + BLOCK_WORDS * index
        page, writes = self._page, self._page[block + WRITES]
        left_ns = now_ns
        for number in range(writes - 1, max(-1, writes - RING), -1):
            slot = block + TIMES + 2 * (number % RING)
            if page[slot] <= read:
                break
            left_ns = page[slot + 1]
        return int(left_ns)

    def age_us(self, share: float) -> int:
        """Return the age that so large a share of the samples did not pass."""
        ranked = sorted(self.ages_us)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


class Progress:
    """One line that tells how far a run is."""

    def __init__(self, seconds: float, *, shown: bool) -> None:
        self._seconds = seconds
        self._shown = shown
        self._told_s = -1

    def show(self, passed_s: float, text: str) -> None:
        """Draw it, once a second."""
        if not self._shown or int(passed_s) == self._told_s:
            return
        self._told_s = int(passed_s)
        share = min(1.0, passed_s / self._seconds)
        bar = "#" * int(30 * share)
        sys.stderr.write(f"\r[{bar:<30}] {passed_s:4.0f}/{self._seconds:.0f} s  {text:<50}")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._shown:
            sys.stderr.write("\n")


@asynccontextmanager
async def sender(plan: Plan, page: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the sending process for a block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.fleet_sender",
        json.dumps({name: getattr(plan, name) for name in plan.__struct_fields__}), str(page),
        cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def told(process: asyncio.subprocess.Process, seconds: float) -> dict[str, Any]:
    """Return the next line that a process says."""
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), seconds)
    if not line:
        raise AssertionError(f"the sender has ended with {await process.wait()}")
    found: dict[str, Any] = json.loads(line)
    return found


async def until(check: Callable[[], bool], seconds: float) -> bool:
    """Wait for something to become true; returns whether it did in time."""
    deadline_s = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline_s:
            return False
        await asyncio.sleep(SAMPLE_S)
    return True


async def sample(
    fleet: list[Member], watch: Watch, seconds: float, progress: Progress, passed_s: float
) -> None:
    """Look at everything for so long."""
    started_s = time.monotonic()
    weighed_s = 0.0
    while (now_s := time.monotonic() - started_s) < seconds:
        watch.look()
        if now_s - weighed_s > WEIGH_EVERY_S:
            weighed_s = now_s
            watch.weigh()
            for one in fleet:
                if one.feed.book.recentre_due:
                    one.feed.book.recentre()
        progress.show(passed_s + now_s, f"{sum(one.feed.frame_count for one in fleet):,} frames")
        before_s = time.monotonic()
        await asyncio.sleep(SAMPLE_S)
        over_s = time.monotonic() - before_s - SAMPLE_S
        watch.turn_us = max(watch.turn_us, int(over_s * 1e6))


async def run(plan: Plan, seconds: float, warm_s: float, *, quiet: bool = False) -> dict[str, Any]:
    """Hold the instruments for `warm_s` and `seconds` more; returns what was measured."""
    count = len(plan.places())
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(page_bytes(count))
        with mmap.mmap(file.fileno(), 0) as shared:
            page = memoryview(shared).cast("q")
            async with sender(plan, Path(file.name)) as process:
                try:
                    return await _held(plan, seconds, warm_s, process, page, quiet)
                finally:
                    page.release()


async def _held(
    plan: Plan, seconds: float, warm_s: float, process: asyncio.subprocess.Process,
    page: memoryview, quiet: bool,
) -> dict[str, Any]:  # fmt: skip
    port = (await told(process, PREPARE_S))["port"]
    empty = Memory.now()
    fleet = await members(port, plan)
    gc.collect()
    gc.freeze()
    tasks = [asyncio.create_task(one.link.keep()) for one in fleet]
    progress = Progress(warm_s + seconds, shown=not quiet and sys.stderr.isatty())
    if not await until(lambda: all(one.feed.frame_count for one in fleet), READY_S):
        raise AssertionError(f"an instrument had no frame within {READY_S:g} s")
    warm = Watch(fleet, page)
    await sample(fleet, warm, warm_s, progress, 0.0)
    before = _state(fleet)
    started_s, cpu_s = time.monotonic(), time.process_time()
    watch = Watch(fleet, page)
    await sample(fleet, watch, seconds, progress, warm_s)
    wall_s, cpu_s = time.monotonic() - started_s, time.process_time() - cpu_s
    after = _state(fleet)
    progress.end()
    page[ASKED] = DRAIN
    await until(
        lambda: page[DRAINED] == 1 and watch.drained and all(one.verified for one in fleet),
        READY_S,
    )  # fmt: skip
    unread = sum(watch.sent(at) - one.feed.frame_count for at, one in enumerate(fleet))
    verified = sum(one.verified for one in fleet)
    for one in fleet:
        one.link.close()
    page[ASKED] = EXIT
    sent = await told(process, READY_S)
    await asyncio.gather(*tasks)
    frames = after["frames"] - before["frames"]
    return {
        "instruments": len(fleet), "venues": len(VENUES), "speed": plan.speed,
        "seconds": round(wall_s, 1), "frames": frames, "frames_per_s": round(frames / wall_s),
        "cpu_share": round(cpu_s / wall_s, 3),
        "preempted": after["preempted"] - before["preempted"],
        "resident_before_bytes": before["resident"], "resident_after_bytes": after["resident"],
        "taken_before_bytes": before["taken"], "taken_after_bytes": after["taken"],
        "grown_bytes": lasting_growth([one.taken_bytes for one in watch.memory]),
        "instrument_bytes": (after["taken"] - empty.taken_bytes) // len(fleet),
        "books_grown_bytes": after["books"] - before["books"],
        "tasks_before": warm.tasks, "tasks_after": watch.tasks,
        "age_p50_us": watch.age_us(0.5), "age_p99_us": watch.age_us(0.99),
        "age_max_us": watch.age_us(1.0), "turn_max_us": watch.turn_us,
        "unread_frames_max": watch.unread_frames, "unread_bytes_max": watch.unread_bytes,
        "resident_bytes": [one.resident_bytes for one in (*warm.memory, *watch.memory)],
        "connections": sum(one.link.connect_count for one in fleet),
        "verified": verified, "left_unread": unread,
        "slow": sum(one.slow for one in fleet), "faults": faults(fleet), "sender": sent,
    }  # fmt: skip


def lasting_growth(samples: Sequence[int]) -> int:
    """Return by how much the least of the last third is above the most of the first one.

    A read buffer grows when this process had no turn for a while, and goes with its connection.
    """
    third = len(samples) // 3
    return min(samples[-third:]) - max(samples[:third])


def faults(fleet: list[Member]) -> dict[str, int]:
    """Add up what decoders count of messages that did not fit; those that none had are left out."""
    found: Counter[str] = Counter()
    for one in fleet:
        found.update({name: one.feed.counters[name] for name in FAULTS})
    return {name: count for name, count in found.items() if count}


def _state(fleet: list[Member]) -> dict[str, int]:
    """Return frames read, memory, and that of the books."""
    gc.collect()
    memory = Memory.now()
    return {
        "frames": sum(one.feed.frame_count for one in fleet),
        "preempted": resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw,
        "resident": memory.resident_bytes, "taken": memory.taken_bytes,
        "books": sum(one.feed.book.memory_bytes for one in fleet),
    }  # fmt: skip


def failures(found: dict[str, Any]) -> list[str]:
    """Return what did not hold, by counts alone."""
    wrong = []
    if found["grown_bytes"] > GROWTH_BYTES_MAX:
        wrong.append(f"memory grew by {found['grown_bytes']:,} bytes after the warm-up")
    if found["books_grown_bytes"]:
        wrong.append(f"books grew by {found['books_grown_bytes']:,} bytes")
    if found["faults"]:
        wrong.append(f"messages did not fit: {found['faults']}")
    if found["left_unread"]:
        wrong.append(f"{found['left_unread']:,} frames were left unread")
    if found["verified"] != found["instruments"]:
        wrong.append(f"{found['verified']} books of {found['instruments']} are verified")
    return wrong


def main() -> int:
    """Run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="measured, behind the warm-up")
    parser.add_argument("--warm-up", type=float, default=None, help="a third of it, at least 20 s")
    parser.add_argument("--instruments", type=int, default=200, help="a multiple of 20, or of 5")
    parser.add_argument("--speed", type=float, default=10.0)
    parser.add_argument("--span", type=float, default=200.0, help="seconds of recording, repeated")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    data = shared_data()
    if data is None:
        parser.error("the recorded data is not there: set OPENMM_SHARED")
    sources = min(len(SOURCES), max(1, args.instruments // len(VENUES)))
    plan = Plan(
        str(data), args.span, args.speed, args.instruments // (sources * len(VENUES)), sources
    )
    warm_s = max(20.0, args.seconds / 3) if args.warm_up is None else args.warm_up
    with asyncio.Runner(loop_factory=lambda: make_loop(False)) as runner:
        found = runner.run(run(plan, args.seconds, warm_s))
    wrong = failures(found)
    if args.json:
        print(json.dumps(found | {"failures": wrong}))
    else:
        print(told_in_words(found))
        for one in wrong:
            print(f"FAILED: {one}")
    return 1 if wrong else 0


def told_in_words(found: dict[str, Any]) -> str:
    """Write a result for people."""
    sent = found["sender"]
    return (
        f"{found['instruments']} instruments of {found['venues']} venues at {found['speed']:g}"
        f" times the recorded pace: {found['frames_per_s']:,} frames/s of"
        f" {sent['offered_per_s']:,} for {found['seconds']:g} s,"
        f" {found['cpu_share']:.0%} of a core\n"
        f"memory: {found['resident_before_bytes'] / 1e6:.1f} MB resident after the warm-up,"
        f" {found['resident_after_bytes'] / 1e6:.1f} MB at the end; of"
        f" {found['taken_before_bytes'] / 1e6:.1f} and {found['taken_after_bytes'] / 1e6:.1f} MB"
        f" taken, {found['instrument_bytes'] / 1e3:.0f} kB an instrument\n"
        f"oldest unread frame: p50 {found['age_p50_us']:,} us, p99 {found['age_p99_us']:,} us,"
        f" max {found['age_max_us']:,} us; most unread: {found['unread_frames_max']:,} frames,"
        f" {found['unread_bytes_max']:,} bytes\n"
        f"sender: {sent['frames'] / max(1, sent['sends']):.1f} frames a send, late by p50"
        f" {sent['late_p50_us']:,.0f} us, p99 {sent['late_p99_us']:,.0f} us; socket full"
        f" {sent['socket_full']:,} times\n"
        f"at the end: {found['verified']} books verified, {found['left_unread']} frames unread"
    )


if __name__ == "__main__":
    with apart():
        sys.exit(main())
