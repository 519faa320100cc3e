"""Fuzz from the command line: `python -m tests.fuzz --count 1000000`."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from pathlib import Path

from tests.fuzz.run import InputFailed, Tally, all_targets, last_input, progress, run, shares
from tests.fuzz.target import SANITISED

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run every target, or those named; print the counts."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="inputs in all")
    parser.add_argument("--seed", type=int, help="of the inputs; drawn and printed unless given")
    parser.add_argument("--only", action="append", default=[], help="a target's name, or its start")
    parser.add_argument("--input", type=Path, help="try one file's bytes, or what a crash left")
    args = parser.parse_args()
    seed = secrets.randbelow(1 << 30) if args.seed is None else args.seed
    shared = Path(os.environ.get("OPENMM_SHARED", ROOT.parent / "shared"))
    if not (shared / "venues" / "samples").is_dir():
        sys.stderr.write(f"fuzz: no samples to start from: {shared}\n")
        return 2
    with all_targets(shared) as targets:
        chosen = [one for one in targets if not args.only or one.name.startswith(tuple(args.only))]
        if not chosen:
            sys.stderr.write(f"fuzz: targets are {', '.join(one.name for one in targets)}\n")
            return 2
        if args.input is not None:
            for target in chosen:
                target.check(last_input(args.input))
            return 0
        parts = shares(chosen, args.count)
        total, done = sum(parts.values()), 0
        tallies = {one.name: Tally() for one in chosen}
        build = "under AddressSanitizer" if SANITISED else "as built in place"
        sys.stdout.write(f"fuzz: {total:,} inputs, seed {seed}, {build}\n")
        try:
            for target in chosen:
                for step in run(target, seed, parts[target.name], tallies[target.name]):
                    done += step
                    progress(done, total, target.name)
        except InputFailed as failure:
            sys.stderr.write(f"\nfuzz: {failure}\n")
            return 1
        if sys.stderr.isatty():
            sys.stderr.write("\n")
        for name, tally in tallies.items():
            rate = tally.inputs / tally.seconds if tally.seconds else 0
            sys.stdout.write(
                f"{name:<18} {tally.inputs:>9,} inputs  {tally.seconds:7.1f} s  {rate:>9,.0f}/s\n"
            )
        sys.stdout.write(f"{'all':<18} {sum(t.inputs for t in tallies.values()):>9,} inputs\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
