"""Wire to wire on loopback, against C by hand and what a Python program would use instead.

`python -m bench.bench_wire` prints the ratios, `python -m bench.wire` the table. Not gated yet: the
goals are not reached, and limits would only bless what is.
Ratios are taken within a round, whose candidates run one after the other. See `docs/latency.md`.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.bench_start import simulated_venue
from bench.wire.rounds import Built, Candidate, Failed, Setting, Spans, build, run

RAW_SPIN, RAW = Candidate("raw", "raw", "spin"), Candidate("raw", "raw", "sleep")
OURS_SPIN, OURS = Candidate("ours", "ours", "spin"), Candidate("ours", "ours", "sleep")
PICOWS, WEBSOCKETS = Candidate("picows", "picows"), Candidate("websockets", "websockets")
CCXT = Candidate("ccxt", "ccxt")
TICKS = 500


@contextmanager
def bench() -> Iterator[tuple[Built, Mapping[str, Any], Path]]:
    """Compile the parts and run the REST side of the venue for a block."""
    with tempfile.TemporaryDirectory() as name, simulated_venue() as sim:
        yield build(Path(name)), sim, Path(name)


def rounds(
    count: int, chosen: Sequence[Candidate], on: Setting, built: Built, sim: Mapping[str, Any],
    folder: Path,
) -> list[dict[Candidate, Spans]]:  # fmt: skip
    """Run the candidates in turn, so many times."""

    def once(one: Candidate, place: Path) -> Spans:
        try:
            return run(one, on, built, sim, place)
        except Failed:
            # A machine that stopped the venue for seconds has its second chance; a client that
            # answers no tick fails again.
            return run(one, on, built, sim, place.with_suffix(".again"))

    place = f"{on.levels}-{on.gap_us}-{on.tls is not None}"
    return [
        {one: once(one, folder / f"{place}-{number}-{one.kind}-{one.wait}") for one in chosen}
        for number in range(count)
    ]


def over(
    found: Sequence[Mapping[Candidate, Spans]], one: Candidate, other: Candidate,
    share: float = 0.5,
) -> list[float]:  # fmt: skip
    """Return one's quantile over the other's, by round."""
    return [each[one].at(share) / each[other].at(share) for each in found]


def wire(count: int = 3, ticks: int = TICKS) -> dict[str, float]:
    """Measure the job of a whole ladder: every tick moves twenty orders."""
    with bench() as (built, sim, folder):
        chosen = (RAW_SPIN, OURS_SPIN, RAW, OURS)
        on = Setting(ticks=ticks)
        found = rounds(count, chosen, on, built, sim, folder)
        peers = rounds(1, (OURS_SPIN, PICOWS, WEBSOCKETS), on, built, sim, folder / "peers")
        one = Setting(ticks=ticks, levels=1)
        single = rounds(1, (OURS_SPIN, CCXT), one, built, sim, folder)
        silent = rounds(
            1, (RAW_SPIN, OURS_SPIN, RAW, OURS, WEBSOCKETS), Setting(ticks=ticks, gap_us=500),
            built, sim, folder,
        )  # fmt: skip
        values = {
            "wire/spin/raw": statistics.median(over(found, OURS_SPIN, RAW_SPIN)),
            "wire/spin/raw/p99": min(over(found, OURS_SPIN, RAW_SPIN, 0.99)),
            "wire/default/raw": statistics.median(over(found, OURS, RAW)),
            "wire/spin/picows": over(peers, PICOWS, OURS_SPIN)[0],
            "wire/spin/websockets": over(peers, WEBSOCKETS, OURS_SPIN)[0],
            "wire/spin/ccxt": over(single, CCXT, OURS_SPIN)[0],
            "wire/silence/spin/raw": over(silent, OURS_SPIN, RAW_SPIN)[0],
            "wire/silence/default/raw": over(silent, OURS, RAW)[0],
            "wire/silence/spin/websockets": over(silent, WEBSOCKETS, OURS_SPIN)[0],
            "wire/spin_us": statistics.median(each[OURS_SPIN].at(0.5) for each in found),
            "wire/default_us": statistics.median(each[OURS].at(0.5) for each in found),
            "wire/raw_spin_us": statistics.median(each[RAW_SPIN].at(0.5) for each in found),
        }
        if built.certificate is not None and built.raw_tls is not None:
            secret = Setting(ticks=ticks, tls=built.certificate)
            tls = rounds(1, (RAW_SPIN, OURS_SPIN, WEBSOCKETS), secret, built, sim, folder)
            values |= {
                "wire/tls/spin/raw": over(tls, OURS_SPIN, RAW_SPIN)[0],
                "wire/tls/spin/websockets": over(tls, WEBSOCKETS, OURS_SPIN)[0],
            }
    return values


if __name__ == "__main__":
    print(json.dumps(wire(), indent=2))
