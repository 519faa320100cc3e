"""Print how fast each engine replays a market: `python -m bench.compare_replay [--data FILE ...]`.

Without `--data` the market is a synthetic one, and the recorded one of `../shared` where that is
there. `--data` takes Binance recordings (format A of the data's README) of one market each, such as
`../shared/data/binance/usdm_btcusdt_20240808.gz`. All engines run in turn on the same events.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.bench_replay import ROUNDS, markets
from bench.replay_runs import RATIOS, Found, measure
from bench.replay_streams import read

ABOUT = {
    "ours/grid": ("ours", "grid, every 100 ms"),
    "ours/grid_frames": ("ours", "the same, from the venue's messages, decoding included"),
    "ours/grid_every_read": ("ours", "grid, with every read and every answer"),
    "ours/none": ("ours", "no strategy"),
    "hftbacktest/grid_roi": (
        "hftbacktest 2.4.4",
        "its grid example, every 100 ms, ROI vector depth",
    ),
    "hftbacktest/grid_map": ("hftbacktest 2.4.4", "the same, hash map depth"),
    "hftbacktest/none_roi": ("hftbacktest 2.4.4", "no strategy, ROI vector depth"),
    "nautilus/grid": ("NautilusTrader 1.221", "the same grid, every 100 ms"),
    "nautilus/none": ("NautilusTrader 1.221", "no strategy"),
}


def table_of(found: Found) -> Table:
    """Lay out what was found on one market."""
    table = Table(title=f"{found.name}: {found.events:,} events in {found.messages:,} messages")
    for heading in (
        "engine",
        "job",
        "M events/s",
        "placed",
        "amended",
        "cancelled",
        "fills",
        "live",
    ):
        table.add_column(heading, justify="left" if heading in ("engine", "job") else "right")
    for job, (engine, about) in ABOUT.items():
        told = found.counts[job]
        counts = [
            f"{told.get(name, 0):,.0f}" if "grid" in job else ""
            for name in ("placed", "amended", "cancelled", "fills", "live")
        ]
        table.add_row(engine, about, f"{found.speed(job):,.2f}", *counts)
    return table


def plain(found: Found) -> dict[str, object]:
    """Return what was found as plain values."""
    return {
        "market": found.name, "events": found.events, "messages": found.messages,
        "engines": [
            {
                "engine": engine, "job": about, "million_events_per_s": found.speed(job),
                "median_ns": statistics.median(found.times_ns[job]), "counts": found.counts[job],
            }
            for job, (engine, about) in ABOUT.items()
        ],
        "ratios": {name: found.ratio(name) for name in RATIOS},
    }  # fmt: skip


def main() -> None:
    """Measure each market and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare_replay", description=__doc__)
    parser.add_argument("--data", nargs="+", type=Path, default=[], help="Binance recordings")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    args = parser.parse_args()
    console = Console(stderr=args.json)
    streams = [read(path) for path in args.data] or [market for _, market in markets()]
    gc.disable()
    found = [
        measure(one, args.rounds, lambda name, at: console.print(f"[dim]{name}, round {at}[/dim]"))
        for one in streams
    ]
    if args.json:
        print(json.dumps([plain(one) for one in found]))
        return
    for one in found:
        console.print(table_of(one))
        for name, (theirs, mine) in RATIOS.items():
            console.print(f"{name}: {one.ratio(name):.2f} times  ({mine} against {theirs})")


if __name__ == "__main__":
    main()
