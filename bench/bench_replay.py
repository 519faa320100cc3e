"""A market replayed: our kernel against hftbacktest and NautilusTrader, on the same events.

`python -m bench --only bench_replay` measures the gates, the peers in an environment of their own;
`python -m bench.compare_replay` prints the whole table. Every engine quotes ten orders a side every
100 ms of the market's time with 20 ms to the venue, ours and hftbacktest 20 ms back too, and reads
every level and trade (`replay_streams`). What the others do: `peer_hft`, `peer_nautilus`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.book_streams import shared_data
from bench.replay_runs import OURS, PEERS, RATIOS, Found, measure
from bench.replay_streams import Replay, read, synthetic

ROUNDS = 7
RECORDED = "usdm_btcusdt_20240808"


def markets() -> Iterator[tuple[str, Replay]]:
    """Make the synthetic market, and read the recorded one where it is."""
    with tempfile.TemporaryDirectory() as folder:
        yield "synthetic", synthetic(Path(folder))
    data = shared_data()
    if data is not None:
        yield "recorded", read(data / "binance" / f"{RECORDED}.gz")


def figures(name: str, found: Found) -> dict[str, float]:
    """Name the ratios, and the speeds in million events a second."""
    return {f"replay/{one}/{name}": found.ratio(one) for one in RATIOS} | {
        f"replay/million_events_per_s/{job}/{name}": found.speed(job) for job in (*OURS, *PEERS)
    }


def gate_replay() -> dict[str, float]:
    """Time all engines on each market; {"replay/<peer>/<market>": peer's time over ours}.

    Raises:
        AssertionError: an engine was given other events, or quoted or filled nothing.
        ChildProcessError: the peers' process ended.
        subprocess.CalledProcessError: the peers do not install.
    """
    values: dict[str, float] = {}
    for name, market in markets():
        values |= figures(name, measure(market, ROUNDS))
    return values
