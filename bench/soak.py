"""Ten million canonical ticks: resident memory before and after, and collections.

`python -m bench.soak [--ticks N]` prints both and exits 1 when memory grew lastingly.
"""

from __future__ import annotations

import argparse
import sys

from bench.bench_pipeline import lasting, resident_bytes

GROWTH_BYTES_MAX = 1 << 20


def main() -> int:
    """Run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--ticks", type=int, default=10_000_000)
    args = parser.parse_args()
    before = resident_bytes()
    found = lasting(args.ticks)
    millions = args.ticks / 1e6
    growth = found["pipeline/growth_bytes_per_million"] * millions
    collections = found["pipeline/collections_per_million"] * millions
    print(
        f"{args.ticks:,} ticks: resident {before / 1e6:.1f} MB before the market was made,"
        f" {found['pipeline/resident_bytes'] / 1e6:.1f} MB at the end;"
        f" {growth / 1e3:.0f} kB grown by ticks, {collections:.0f} collections"
    )
    return 0 if growth <= GROWTH_BYTES_MAX and collections == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
