"""Print the latency table: `python -m bench.wire [--rounds N] [--ticks N] [--only TEXT]`.
`--settings` prints what each setting of `[engine]` comes to instead.

Microseconds from the moment the venue hands a tick to the kernel until the first order that follows
it is back, p50 / p99: medians over interleaved rounds. Lines are GitHub's table markup, for README.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path

from bench.apart import apart
from bench.wire.rounds import Built, Candidate, Failed, Setting, Spans, build, run

LOCKED = "lock_memory = true\n"
CANDIDATES = (
    Candidate("C by hand, spinning", "raw", "spin"),
    Candidate("OpenMM, `busy_poll`", "ours", "spin", LOCKED),
    Candidate("C by hand, epoll", "raw", "sleep"),
    Candidate("OpenMM", "ours", "sleep", LOCKED),
    Candidate("Python on picows", "picows"),
    Candidate("Python on websockets", "websockets"),
    Candidate("ccxt.pro, one order", "ccxt"),
)
# What one setting less, or more, of a spinning engine comes to.
SETTINGS = (
    Candidate("`busy_poll`, `lock_memory`", "ours", "spin", LOCKED),
    Candidate("without `keep_warm`", "ours", "spin", LOCKED + "keep_warm = false\n"),
    Candidate("without `lock_memory`", "ours", "spin"),
    Candidate("without `busy_poll`", "ours", "sleep", LOCKED),
    Candidate("without either", "ours", "sleep", LOCKED + "keep_warm = false\n"),
    Candidate("`quickack = false`", "ours", "spin", LOCKED, quickack=False),
    Candidate("collector not frozen", "ours", "spin", LOCKED, frozen=False),
    Candidate("free to move between the cores", "ours", "spin", LOCKED, pinned=False),
)


def settings(built: Built, ticks: int) -> dict[str, Setting]:
    """Return the columns of the table; TLS only where both sides can be built."""
    columns = {
        "back to back": Setting(ticks=ticks),
        "after 500 µs of silence": Setting(ticks=ticks, gap_us=500),
        "ten levels a side": Setting(ticks=ticks, levels=10),
    }
    if built.certificate is not None and built.raw_tls is not None:
        columns["TLS"] = Setting(ticks=ticks, tls=built.certificate)
    return columns


def machine() -> str:
    """Name the day and the machine."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    today = datetime.datetime.now(datetime.UTC).date()
    return (
        f"{today}, {model}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def cell(found: list[Spans]) -> str:
    """Return one cell: medians of p50 and p99."""
    if not found:
        return "-"
    p50 = statistics.median(one.at(0.5) for one in found)
    p99 = statistics.median(one.at(0.99) for one in found)
    return f"{p50:.1f} / {p99:.1f}"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.wire", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ticks", type=int, default=1000)
    parser.add_argument("--only", default="", help="columns whose name contains this text")
    parser.add_argument("--settings", action="store_true", help="ours by setting, one column")
    args = parser.parse_args()
    found: dict[tuple[str, str], list[Spans]] = {}
    candidates = SETTINGS if args.settings else CANDIDATES
    only = "back to back" if args.settings else args.only
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = build(folder)
        columns = {k: v for k, v in settings(built, args.ticks).items() if only in k}
        for number in range(args.rounds):
            for column, on in columns.items():
                for one in candidates:
                    if one.kind == "ccxt" and on.tls is not None:
                        continue  # it takes no certificate of ours
                    place = folder / f"{number}-{len(found)}-{candidates.index(one)}"
                    try:
                        spans = run(one, on, built, place)
                    except Failed as error:
                        print(f"left out: {column}: {error}", file=sys.stderr)
                        continue
                    found.setdefault((one.name, column), []).append(spans)
    print(f"{machine()}; µs, p50 / p99, median of {args.rounds} rounds of {args.ticks} ticks\n")
    print("| client | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for one in candidates:
        cells = [cell(found.get((one.name, column), [])) for column in columns]
        print(f"| {one.name} | " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    with apart():
        sys.exit(main())
