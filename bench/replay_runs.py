"""Time every engine on one market, in turn: rounds of ours, hftbacktest and NautilusTrader.

Ours runs here, the others in a process of their own environment (`bench.peer_replay`), which waits
meanwhile. Times are of the run alone, the thread's own: not of building data, wiring or compiling.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import thread_time_ns
from typing import Any, Self

import numpy as np

from bench.peers import ROOT, peers_python
from bench.replay_streams import Replay, save
from openmm._fast.backtest import Backtest
from openmm.backtest import columns
from openmm.backtest.model import Model
from openmm.config import BotConfig, parse
from openmm.data.events import FILTERED, TRADE

CADENCE_NS = 100_000_000
LATENCY_NS = 20_000_000
NEVER_NS = 3_600_000_000_000
COUNTER = 10**9  # of the venue's requests: no counter holds the bench's bot back
RUNS = 3  # a round's time is their median: a run of some milliseconds is easily disturbed
NAUTILUS_ROUNDS = 3  # one run each: they take longest and scatter least


def bot() -> BotConfig:
    """Return the grid of `peer_hft.Grid` as a bot's file: ten levels a side, nothing adaptive."""
    return parse(
        {
            "bot": {"name": "replay", "mode": "paper"},
            "venue": [
                {"name": "kraken", "quote": "BTC/USD", "maker_fee": "0%", "taker_fee": "0.1%"}
            ],
            "strategy": {
                "kind": "grid", "spread": "2.4bps", "level_step": "0.5bps", "num_orders": 10,
                "order_amount": "0.01", "target_base": "50%", "rebalance_threshold": "5%",
                "inventory_scale": "0.1", "skew_full": "1.2bps", "quote_rest": "1ms",
                "vol_factor": "0", "flow_full": "0bps", "depth_factor": "0bps",
                "inventory_widen": "0bps",
            },
            "risk": {
                "max_order_size": "0.1", "max_open_notional": "1000000", "max_inventory": "0.5",
                "max_drawdown": "20%", "fills_per_minute": 100_000,
                "cancels_per_minute": 1_000_000,
            },
            "paper": {"base": "1", "quote": "60000", "latency": "20ms"},
        }
    )  # fmt: skip


# Ours: how often it decides, 0 with every read; whether from the venue's messages.
OURS: dict[str, tuple[int, bool]] = {
    "ours/grid": (CADENCE_NS, False),
    "ours/grid_frames": (CADENCE_NS, True),
    "ours/grid_every_read": (0, False),
    "ours/none": (NEVER_NS, False),
}
PEERS: dict[str, dict[str, str]] = {
    "hftbacktest/grid_roi": {"engine": "hftbacktest", "depth": "roi", "strategy": "grid"},
    "hftbacktest/grid_map": {"engine": "hftbacktest", "depth": "map", "strategy": "grid"},
    "hftbacktest/none_roi": {"engine": "hftbacktest", "depth": "roi", "strategy": "none"},
    "nautilus/grid": {"engine": "nautilus", "strategy": "grid"},
    "nautilus/none": {"engine": "nautilus", "strategy": "none"},
}
# Each gate: whose time over whose.
RATIOS: dict[str, tuple[str, str]] = {
    "hftbacktest": ("hftbacktest/grid_roi", "ours/grid"),
    "nautilus": ("nautilus/grid", "ours/grid"),
    "frames_over_hftbacktest": ("hftbacktest/grid_roi", "ours/grid_frames"),
    "every_read_over_hftbacktest": ("hftbacktest/grid_roi", "ours/grid_every_read"),
}


Progress = Callable[[str, int], None]  # (market, round)


@dataclass(frozen=True, slots=True)
class Found:
    """What the rounds on one market came to.

    Args:
        events: levels and trades, the same ones for every engine.
        times_ns: by engine and job, one a round: the median of `RUNS` runs.
        counts: by engine and job: orders, fills and the like of one run.
    """

    name: str
    events: int
    messages: int
    times_ns: dict[str, list[int]] = field(default_factory=dict)
    counts: dict[str, dict[str, float]] = field(default_factory=dict)

    def speed(self, job: str) -> float:
        """Return million events a second, in the median."""
        return self.events / statistics.median(self.times_ns[job]) * 1_000

    def ratio(self, name: str) -> float:
        """Return the median over the rounds of one of `RATIOS`."""
        theirs, own = (self.times_ns[job] for job in RATIOS[name])
        return statistics.median(peer / mine for peer, mine in zip(theirs, own, strict=False))


class Peers:
    """The process of the other engines, on one stream."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [str(peers_python("replay_peers")), "-m", "bench.peer_replay", str(path)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._answer()

    def __enter__(self) -> Self:
        """Return itself, ready to be asked."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the process end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def ask(self, asked: Mapping[str, object]) -> dict[str, Any]:
        """Send one question and wait for its answer.

        Raises:
            ChildProcessError: the process has ended; what it printed stands above.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildProcessError(f"bench.peer_replay ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def ours(replay: Replay, every_ns: int, frames: bool) -> tuple[int, Backtest]:
    """Run ours once; returns the time of the run alone and the run.

    What wiring took in, the first whole book, is not timed: the rest pays for it in proportion.
    """
    model = Model(
        queue="power", power=3, orders_ns=(LATENCY_NS,), answers_ns=(LATENCY_NS,),
        every_ns=every_ns, timer_ns=CADENCE_NS, rate_threshold=COUNTER, as_received=True,
    )  # fmt: skip
    made = columns.prepare(bot(), [replay.messages if frames else replay.events], model)
    taken = made.event_count
    began = thread_time_ns()
    made.run()
    spent_ns = thread_time_ns() - began
    return spent_ns * made.event_count // (made.event_count - taken), made


def measure(replay: Replay, rounds: int, on_round: Progress | None = None) -> Found:
    """Time every engine on a market, in turn; a first round is not counted.

    Raises:
        AssertionError: an engine was given other events, or quoted or filled nothing.
    """
    found = Found(replay.name, len(replay.events), len(replay.messages.records))
    with tempfile.TemporaryDirectory() as folder, Peers(save(replay, Path(folder))) as peers:
        found.counts.update(_first(replay, peers))
        for at in range(rounds):
            if on_round is not None:
                on_round(replay.name, at + 1)
            for job, (every_ns, frames) in OURS.items():
                some = [ours(replay, every_ns, frames)[0] for _ in range(RUNS)]
                found.times_ns.setdefault(job, []).append(round(statistics.median(some)))
            for job, asked in PEERS.items():
                slow = asked["engine"] == "nautilus"
                if slow and at >= NAUTILUS_ROUNDS:
                    continue
                some = [peers.ask(asked)["ns"] for _ in range(1 if slow else RUNS)]
                found.times_ns.setdefault(job, []).append(round(statistics.median(some)))
    return found


def _first(replay: Replay, peers: Peers) -> dict[str, dict[str, float]]:
    """Run everything once, and check that all did the same work; returns the counts by job."""
    counts: dict[str, dict[str, float]] = {}
    runs = {job: ours(replay, *how)[1] for job, how in OURS.items()}
    events = replay.events
    for job, made in runs.items():
        counts[job] = counts_of(made)
        read = len(replay.messages.records) if OURS[job][1] else len(events)
        assert (made.event_count, made.crossed_count) == (read, 0), (job, made.event_count)
    assert runs["ours/grid"].fills_bytes() == runs["ours/grid_frames"].fills_bytes(), "of frames"
    counts |= {job: peers.ask(asked) for job, asked in PEERS.items()}
    # A trade that is not the market's counts for nothing here, and hftbacktest is not told of it.
    filtered = int(np.count_nonzero(events.flags & FILTERED))
    trades = int(np.count_nonzero(events.kinds == TRADE)) - filtered
    reads = len(np.unique(events.recv_ns))
    given = peers.ask({"count": True})
    assert given["hftbacktest"] == len(events) - filtered, given
    assert given["hftbacktest_trades"] == trades, (given, trades)
    # The first read is there before hftbacktest waits for one.
    assert reads - filtered - 1 <= given["hftbacktest_reads"] <= reads, (given, reads)
    assert given["nautilus"] == len(events), given
    book = runs["ours/grid"].venue.book
    for job, told in counts.items():
        if job.startswith("hftbacktest"):
            best = told["best_bid_ticks"], told["best_ask_ticks"]
            assert best == (book.best_bid_ticks, book.best_ask_ticks), (job, best)
        if "grid" in job:
            assert told["placed"] >= 20, (job, told)
            assert told["fills"] > 0, (job, told)
            assert told.get("refused", 0) < told["placed"] / 10, (job, told)
            assert told["live"] > 10, (job, told)
    return counts


def counts_of(made: Backtest) -> dict[str, float]:
    """Count what a run of ours did."""
    pipeline = made.pipeline
    marks = np.frombuffer(made.marks_bytes(), np.int64).reshape(-1, len(columns.MARK_FIELDS))
    live = marks[:, columns.MARK_FIELDS.index("live_count")]
    return {
        "placed": pipeline.placed_count, "amended": pipeline.amended_count,
        "cancelled": pipeline.cancel_count, "fills": made.fill_count,
        "refused": made.refused_count, "decisions": pipeline.decision_count,
        "live": float(live.mean()) if len(live) else 0.0,
    }  # fmt: skip
