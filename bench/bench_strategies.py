"""What each compiled strategy costs the pipeline, over the plain grid on the same frames.

`python -m bench --only bench_strategies` counts the instructions of the canonical bot with each
kind, everything it can do switched on; the bench's own venue is left out, it is no part of ours.
"""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path
from typing import Final

from bench.bench_pipeline import VENUE, workload
from bench.count_strategies import KINDS, WARM
from bench.peers import ROOT
from openmm.testing.callgrind import run_sections
from openmm.testing.workload import MIXED

SCRIPT: Final = ROOT / "bench" / "count_strategies.py"
SHORT, LONG = 500, 2_500
# Frames of which some re-quote, and frames that change no quote.
RUNS: Final = ("requote", "skip")


def gate_strategies() -> dict[str, float]:
    """Count instructions a frame of every kind, and tell those over the plain grid's."""
    told: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "workload"
        file.write_bytes(pickle.dumps(workload(WARM + SHORT + LONG, MIXED)))
        found = run_sections(
            SCRIPT, [str(file), str(SHORT), str(LONG)], env={"PYTHONPATH": str(ROOT)}, told=told
        )
    costs = {}
    for kind in KINDS:
        for run in RUNS:
            part = found[f"{kind}/{run}/long"] - found[f"{kind}/{run}/short"]
            costs[kind, run] = (part.instructions - part.total(VENUE)) / (LONG - SHORT)
    requotes = {
        line.split()[0]: int(line.split()[1]) for line in told if line.split()[0].endswith(RUNS)
    }
    # A strategy that left its quotes alone would be the cheapest of all.
    plain = requotes["grid/requote"]
    assert plain > 0, requotes
    values = {f"strategy/{kind}_instructions": costs[kind, "requote"] for kind in KINDS}
    for kind in KINDS:
        if kind == "grid":
            continue
        assert requotes[f"{kind}/requote"] >= plain, (kind, requotes)
        values[f"strategy/{kind}_over_grid"] = costs[kind, "requote"] / costs["grid", "requote"]
        values[f"strategy/{kind}_over_grid/quiet"] = costs[kind, "skip"] / costs["grid", "skip"]
    return values
