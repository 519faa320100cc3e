"""The Parquet file: a row a run, in the plan's order, the same however it was run."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from pyarrow import parquet

from openmm.sweep.figures import moments_of
from openmm.sweep.plan import Job, specs
from openmm.sweep.pool import LocalPool
from openmm.sweep.results import TIMINGS, write
from openmm.sweep.run import Search, run_points
from openmm.sweep.store import SweepStore
from openmm.sweep.worker import outcome, runner_of
from tests.sweep.made import job, points

KEYS = ["strategy.num_orders"]


def rows_of(folder: Path, job: Job, workers: int) -> list[dict[str, Any]]:
    """Carry a sweep out and read its file back, timings left out."""
    with SweepStore(folder) as store:
        if workers:
            run_points(
                store, job, Search("grid", []), points(20), lambda: LocalPool(job, workers),
                lambda done, planned: None,
            )  # fmt: skip
        else:
            store.plan(specs(job, points(20)))
            runner = runner_of(job)
            for spec in reversed(store.open_runs()):
                store.add([outcome(runner, spec, "elsewhere")])
        assert write(store, job, KEYS, folder / "results.parquet") == 60
    with closing(parquet.ParquetFile(folder / "results.parquet")) as file:
        table = file.read()
    assert set(TIMINGS) <= set(table.column_names)
    rows: list[dict[str, Any]] = table.drop_columns(list(TIMINGS)).to_pylist()
    return rows


def test_rows_are_the_same_however_they_were_run(tmp_path: Path) -> None:
    made = job("picky", spans=3)
    found = rows_of(tmp_path / "processes", made, 2)
    assert found == rows_of(tmp_path / "alone", made, 0)
    assert [(one["span"], one["trial"]) for one in found] == [
        (span, trial) for span in range(3) for trial in range(20)
    ]
    assert [one["run_id"] for one in found] == [one.run_id for one in specs(made, points(20))]


def test_columns_hold_what_the_run_was_and_what_came_of_it(tmp_path: Path) -> None:
    found = rows_of(tmp_path, job("picky", spans=3), 0)
    refused, one = found[0], found[7]
    assert (refused["state"], refused["pnl"], refused["returns"]) == ("refused", None, None)
    assert refused["why"] == "strategy.num_orders: no multiple of 3; got 0"
    assert (one["state"], one["why"], one["pnl"]) == ("done", "", 7.0)
    assert one["strategy.num_orders"] == "7"
    assert (one["market"], one["slice"], one["end_ns"] - one["start_ns"]) == (
        "made made", 0, 60_000_000_000,
    )  # fmt: skip
    moments = moments_of([((7 * 7 + at) % 11 - 5) / 1000 for at in range(40)])
    assert (one["returns"], one["sum1"], one["sum4"]) == (40, moments.sum1, moments.sum4)
    assert one["sharpe"] == moments.sharpe
    assert one["curve"] == [0.0, 7.0]
