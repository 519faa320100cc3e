"""Wire to wire on loopback, against C by hand and what a Python program would use instead.

`python -m bench.bench_wire` prints the ratios, `python -m bench.wire` the table. Ratios are taken
within a round, whose candidates run one after the other; against C the best of three rounds, as the
goal is worded, the median beside it and, of the default mode, every round. Gated is what is
reached; see `docs/latency.md`.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.apart import apart
from bench.wire.rounds import Built, Candidate, Failed, Setting, Spans, build, run

RAW_SPIN, RAW = Candidate("raw", "raw", "spin"), Candidate("raw", "raw", "sleep")
LOCKED = "lock_memory = true\n"
OURS_SPIN = Candidate("ours", "ours", "spin", LOCKED)
OURS = Candidate("ours", "ours", "sleep", LOCKED)
PICOWS, WEBSOCKETS = Candidate("picows", "picows"), Candidate("websockets", "websockets")
CCXT = Candidate("ccxt", "ccxt")
TICKS = 500


@contextmanager
def bench() -> Iterator[tuple[Built, Path]]:
    """Compile the parts; they live for a block."""
    with tempfile.TemporaryDirectory() as name:
        yield build(Path(name)), Path(name)


def rounds(
    count: int, chosen: Sequence[Candidate], on: Setting, built: Built, folder: Path
) -> list[dict[Candidate, Spans]]:  # fmt: skip
    """Run the candidates in turn, so many times."""

    def once(one: Candidate, place: Path) -> Spans:
        try:
            return run(one, on, built, place)
        except Failed:
            # A machine that stopped the venue for seconds has its second chance; a client that
            # answers no tick fails again.
            return run(one, on, built, place.with_suffix(".again"))

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
    """Measure the wire job: each tick moves both orders; their acks are read before the next."""
    with bench() as (built, folder):
        both = (RAW_SPIN, OURS_SPIN, RAW, OURS)
        on, silence = Setting(ticks=ticks), Setting(ticks=ticks, gap_us=500)
        found = rounds(count, both, on, built, folder)
        peers = rounds(1, (OURS_SPIN, PICOWS, WEBSOCKETS, CCXT), on, built, folder / "peers")
        silent = rounds(count, both, silence, built, folder)
        still = rounds(1, (OURS_SPIN, WEBSOCKETS), silence, built, folder / "peers")
        values = {
            f"wire/{wait}{what}/raw{part}{of}": taken(over(where, ours, raw, share))
            for what, where in (("", found), ("/silence", silent))
            for wait, ours, raw in (("spin", OURS_SPIN, RAW_SPIN), ("default", OURS, RAW))
            for part, share in (("", 0.5), ("/p99", 0.99))
            for of, taken in (("", min), ("/median", statistics.median))
        }
        values |= {
            f"wire/default{what}/raw/round_{number}": ratio
            for what, where in (("", found), ("/silence", silent))
            for number, ratio in enumerate(over(where, OURS, RAW), 1)
        }
        values |= {
            f"wire/spin/{one.kind}": over(peers, one, OURS_SPIN)[0]
            for one in (PICOWS, WEBSOCKETS, CCXT)
        }
        values["wire/spin/silence/websockets"] = over(still, WEBSOCKETS, OURS_SPIN)[0]
        values |= {
            f"wire/{one.kind}/{one.wait}_us": statistics.median(each[one].at(0.5) for each in found)
            for one in both
        }
        if built.certificate is not None and built.raw_tls is not None:
            secret = Setting(ticks=ticks, tls=built.certificate)
            tls = rounds(count, (RAW_SPIN, OURS_SPIN), secret, built, folder)
            values["wire/spin/tls/raw"] = min(over(tls, OURS_SPIN, RAW_SPIN))
            values["wire/spin/tls/raw/p99"] = min(over(tls, OURS_SPIN, RAW_SPIN, 0.99))
            peers = rounds(1, (OURS_SPIN, WEBSOCKETS), secret, built, folder / "peers")
            values["wire/spin/tls/websockets"] = over(peers, WEBSOCKETS, OURS_SPIN)[0]
    return values


def gate_wire() -> dict[str, float]:
    """Measure the wire job against the limits of `gates.toml`."""
    return wire()


if __name__ == "__main__":
    with apart():
        print(json.dumps(wire(), indent=2))
