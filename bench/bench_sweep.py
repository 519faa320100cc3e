"""A sweep on two workers against two busy processes that do the same runs in a plain loop.

`python -m bench --only bench_sweep` measures the gate: runs a second of the whole sweep (planned,
handed out, measured, kept in its file) over those of two processes that know nothing of each other,
in turn, the median of the rounds. A run is a grid over 13,000 events of a synthetic market, about
ten milliseconds: the shorter it is, the more the sweep itself would weigh. What both make is the
same, result by result.
"""

from __future__ import annotations

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from bench.peers import ROOT
from openmm.backtest.columns import events_of
from openmm.data import store
from openmm.data.events import Events
from openmm.rerun.streams import synthetic
from openmm.sweep.plan import Job, Part, Span, specs
from openmm.sweep.pool import LocalPool
from openmm.sweep.run import Search, run_points
from openmm.sweep.space import Point
from openmm.sweep.store import SweepStore

RUNS: Final = 240
ROUNDS: Final = 7
WORKERS: Final = 2
NS: Final = 1_000_000_000
SEARCH: Final = Search("grid", [])
BOT: Final = """\
[bot]
name = "swept"
mode = "paper"
[[venue]]
name = "kraken"
quote = "BTC/USD"
maker_fee = "0.01%"
taker_fee = "0.1%"
[strategy]
kind = "grid"
spread = "2.5bps"
level_step = "1bps"
order_amount = "0.01"
num_orders = 3
rebalance_threshold = "20%"
target_base = "50%"
[risk]
max_order_size = "0.05"
max_open_notional = "50000"
max_inventory = "0.3"
max_drawdown = "5%"
[paper]
base = "1"
quote = "60000"
"""


def market(seconds: int) -> Events:
    """Return a synthetic market as columns."""
    return events_of(synthetic("calm", 2, seconds))


def points(count: int) -> list[Point]:
    """Return so many combinations, no two of them alike."""
    return [(("strategy.spread", f"{2 + place / 100:.2f}bps"),) for place in range(count)]


def job_in(folder: Path, seconds: int = 300) -> Job:
    """Write the market and return what is run over it."""
    events = market(seconds)
    header = store.write(folder / "market.omd", events)
    part = Part(str(folder / "market.omd"), header.content, "kraken BTC/USD", len(events))
    span = Span(0, header.first_ns, header.last_ns + 1, (part,))
    return Job(BOT, str(folder), {}, (span,), NS, "bench", "openmm.sweep.columns:Columns")


def loops(folder: Path, job: Job, count: int) -> list[subprocess.Popen[str]]:
    """Start the plain processes, each with its share of the runs; return them ready to go."""
    file = folder / "job"
    file.write_bytes(msgspec.msgpack.encode(job))
    found = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.sweep_loop", str(file), str(count), str(first),
             str(WORKERS)],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )
        for first in range(WORKERS)
    ]  # fmt: skip
    for one in found:
        assert told_by(one) == "ready"
    return found


def told_by(process: subprocess.Popen[str]) -> str:
    """Return a process's next line."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def loop(processes: Sequence[subprocess.Popen[str]]) -> tuple[float, list[str]]:
    """Let the plain processes go; return how long all of them took, and what they made."""
    began = time.perf_counter()
    for one in processes:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    hashes = [told_by(one) for one in processes]
    return time.perf_counter() - began, hashes


class _Lent:
    """A pool whose workers outlive the sweep: starting them is no part of a run."""

    def __init__(self, pool: LocalPool) -> None:
        self.run = pool.run

    def close(self) -> None:
        """Leave the workers to the bench."""


def sweep(folder: Path, job: Job, pool: LocalPool, count: int) -> tuple[float, list[str]]:
    """Carry the sweep out; return how long it took, and what came in the loops' shares."""
    began = time.perf_counter()
    with SweepStore(folder) as kept:
        run_points(
            kept, job, SEARCH, points(count), lambda: _Lent(pool), lambda done, planned: None
        )
    took = time.perf_counter() - began
    with SweepStore(folder) as kept:
        figures = [result.figures for _, result in kept.results()]
    hashes = []
    for first in range(WORKERS):
        found = hashlib.blake2b()
        for one in figures[first::WORKERS]:
            assert one is not None
            found.update(one)
        hashes.append(found.hexdigest())
    return took, hashes


def measure(count: int = RUNS, rounds: int = ROUNDS, seconds: int = 300) -> dict[str, float]:
    """Measure both in turn.

    Raises:
        AssertionError: they did not come to the same figures.
    """
    swept, looped, ratios = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = job_in(folder, seconds)
        pool = LocalPool(job, WORKERS)
        processes = loops(folder, job, count)
        try:
            for _ in pool.run(specs(job, points(2 * WORKERS))):
                pass
            for turn in range(rounds):
                ours_s, ours = sweep(folder / f"round{turn}", job, pool, count)
                theirs_s, theirs = loop(processes)
                assert ours == theirs, "the sweep came to other figures"
                swept.append(count / ours_s)
                looped.append(count / theirs_s)
                ratios.append(theirs_s / ours_s)
        finally:
            pool.close()
            for one in processes:
                one.communicate("stop\n", timeout=60)
    return {
        "sweep/two_workers_over_two_loops": statistics.median(ratios),
        "sweep/runs_per_s": statistics.median(swept),
        "sweep/plain_runs_per_s": statistics.median(looped),
    }


def gate_sweep() -> dict[str, float]:
    """Measure the gate."""
    return measure()
