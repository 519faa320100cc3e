"""Measure every gate against `bench/gates.toml`: `python -m bench [--only TEXT] [--json]`.

Prints a table of gate, limit and measured value; exits 1 on a miss. Suites are the functions named
`gate_*` of the `bench_*.py` files; each returns {gate: value}. Values without a gate are reported.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.apart import apart
from bench.book_streams import shared_data
from openmm.testing.callgrind import compiler
from openmm.testing.gates import TRIES, Outcome, Suite, load_counts, load_gates, run_gates

HERE = Path(__file__).resolve().parent


def suites(only: str = "") -> list[Suite]:
    """Find the gate functions whose name or file contains `only`, slowest files last."""
    found: list[Suite] = []
    for path in sorted(HERE.glob("bench_*.py")):
        module = importlib.import_module(f"bench.{path.stem}")
        for name, suite in sorted(vars(module).items()):
            own = getattr(suite, "__module__", "") == module.__name__  # not one it imports
            if own and name.startswith("gate_") and only in f"{path.stem}.{name}":
                found.append(suite)
    return found


def without_data(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the gates over recordings that go unmeasured here; none where data is required."""
    if shared_data() is not None or os.environ.get("OPENMM_REQUIRE_DATA") == "1":
        return []
    return [one for one in outcomes if one.value is None and one.gate.name.endswith("/recorded")]


def main() -> int:
    """Run the gates; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default="", help="suites whose name contains this text")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    args = parser.parse_args()
    console = Console(stderr=args.json)
    chosen = suites(args.only)
    if not chosen:
        console.print(f"no suite matches --only {args.only!r}")
        return 2
    built_with = compiler()
    counts = HERE / "instructions.toml"
    gates = load_gates(HERE / "gates.toml") | load_counts(counts, built_with)
    if built_with not in counts.read_text():
        console.print(
            f"[yellow]built with {built_with}, not the compiler of {counts.name}:"
            " instruction counts may be 25% above what was recorded[/yellow]"
        )
    started = time.monotonic()
    gc.disable()

    def told(name: str, attempt: int) -> None:
        note = f" (try {attempt})" if attempt > 1 else ""
        console.print(f"[dim]{time.monotonic() - started:6.1f} s  {name}{note}[/dim]")

    broken: list[str] = []

    def failed(name: str, attempt: int, error: Exception) -> None:
        console.print(f"{name} was not measured: {type(error).__name__}: {error}", markup=False)
        if attempt == TRIES:
            broken.append(name)

    with apart():
        outcomes, extra = run_gates(gates, chosen, on_suite=told, on_failed=failed)
    if args.only:
        outcomes = [one for one in outcomes if one.value is not None]
    skipped = without_data(outcomes)
    outcomes = [one for one in outcomes if one not in skipped]
    missed = [one for one in outcomes if not one.passed]
    if args.json:
        print(
            json.dumps(
                {
                    "gates": [
                        {
                            "name": one.gate.name, "limit": one.gate.limit,
                            "at_least": one.gate.at_least, "value": one.value,
                            "tries": one.tries, "passed": one.passed,
                        }
                        for one in outcomes
                    ],
                    "reported": extra,
                    "skipped": [one.gate.name for one in skipped],
                    "broken": broken,
                    "passed": not missed and not broken,
                }
            )
        )  # fmt: skip
    else:
        table = Table(title="gates")
        for heading in ("gate", "limit", "measured", "tries", ""):
            table.add_column(heading, justify="left" if heading == "gate" else "right")
        for one in outcomes:
            sign = "≥" if one.gate.at_least else "≤"
            measured = "not measured" if one.value is None else f"{one.value:,.2f}"
            verdict = "[green]ok[/green]" if one.passed else "[red]MISSED[/red]"
            table.add_row(
                one.gate.name, f"{sign} {one.gate.limit:,.2f}", measured, str(one.tries), verdict
            )
        console.print(table)
        if extra:
            told_only = Table(title="reported, not gated")
            told_only.add_column("figure")
            told_only.add_column("measured", justify="right")
            for name, value in sorted(extra.items()):
                told_only.add_row(name, f"{value:,.2f}")
            console.print(told_only)
        for one in skipped:
            console.print(f"skipped, no recorded data: {one.gate.name}")
        # Again and last: who reads only the end of a long log must learn which.
        for one in missed:
            told_value = "not measured" if one.value is None else f"{one.value:,.2f}"
            word = "at least" if one.gate.at_least else "at most"
            console.print(f"missed: {one.gate.name}: {told_value}, {word} {one.gate.limit:,.2f}")
        for name in broken:
            console.print(f"could not be measured: {name}")
        console.print(
            f"{len(outcomes) - len(missed)} passed, {len(missed)} failed, {len(skipped)} skipped"
            f" in {time.monotonic() - started:.0f} s"
        )
    return 1 if missed or broken else 0


if __name__ == "__main__":
    sys.exit(main())
