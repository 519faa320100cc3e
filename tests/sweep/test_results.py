"""The Parquet file: a row a run, in the plan's order, the same however it was run."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

from pyarrow import parquet

from openmm.sweep.plan import Job, specs
from openmm.sweep.pool import LocalPool
from openmm.sweep.results import TIMINGS, write
from openmm.sweep.run import Search, run_points
from openmm.sweep.store import SweepStore
from openmm.sweep.worker import outcome, runner_of
from tests.sweep.made import job, points, sums

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


def test_run_of_several_slices_has_a_row_each(tmp_path: Path) -> None:
    made = job("picky", slices=3)
    found = rows_of(tmp_path, made, 0)
    ids = [one.run_id for one in specs(made, points(20))]
    assert [one["run_id"] for one in found] == [one for one in ids for _ in range(3)]
    assert [one["slice"] for one in found[:6]] == [0, 1, 2, 0, 1, 2]
    assert all(one["end_ns"] == other["start_ns"] for one, other in pairwise(found[:3]))
    assert [one["state"] for one in found[:6]] == ["refused"] * 3 + ["done"] * 3
    assert [one["net"] for one in found[:6]] == [None] * 3 + [1.0] * 3


def test_columns_hold_what_the_run_was_and_what_came_of_it(tmp_path: Path) -> None:
    found = rows_of(tmp_path, job("picky", spans=3), 0)
    refused, one = found[0], found[7]
    assert (refused["state"], refused["net"], refused["returns"]) == ("refused", None, None)
    assert refused["why"] == "strategy.num_orders: no multiple of 3; got 0"
    assert (one["state"], one["why"], one["net"]) == ("done", "", 7.0)
    assert one["strategy.num_orders"] == "7"
    assert (one["market"], one["slice"], one["end_ns"] - one["start_ns"]) == (
        "made made/USD", 0, 60_000_000_000,
    )  # fmt: skip
    moments = sums([((7 * 7 + at) % 11 - 5) / 1000 for at in range(40)])
    assert (one["returns"], one["sum1"], one["sum4"]) == (40, moments.sum1, moments.sum4)
    assert one["sharpe"] == moments.sharpe
    assert one["curve"] == [0.0, 7.0]
