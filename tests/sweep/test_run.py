"""A sweep from its plan to its last result, killed on the way and gone on with."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from openmm.errors import ConfigError
from openmm.sweep.plan import Spec, specs
from openmm.sweep.pool import LocalPool, Pool
from openmm.sweep.run import Search, ranking_of, run_points, run_suggested
from openmm.sweep.space import Choices, Dimension, Point, Range
from openmm.sweep.store import FILE, Result, SweepStore
from openmm.sweep.suggest import Suggestions
from openmm.sweep.worker import outcome, runner_of
from tests.sweep.made import job, points

ROOT = Path(__file__).resolve().parent.parent.parent
RUNS = 10_000
GRID = Search("grid", [{"key": "strategy.num_orders"}])
OWNER = """
import sys
from pathlib import Path
from openmm.sweep.pool import LocalPool
from openmm.sweep.run import run_points
from openmm.sweep.store import SweepStore
from tests.sweep.made import job, points
from tests.sweep.test_run import GRID
made = job(sys.argv[3])
with SweepStore(Path(sys.argv[1])) as store:
    run_points(store, made, GRID, points(int(sys.argv[2])), lambda: LocalPool(made, 2),
               lambda done, planned: None)
"""


class Here:
    """Runs in this process, and counts."""

    def __init__(self, job_of: str = "tiny", stop_after: int = 1 << 30) -> None:
        self.runner = runner_of(job(job_of))
        self.ran: list[Spec] = []
        self.stop_after = stop_after

    def run(self, specs: Iterable[Spec]) -> Iterator[list[Result]]:
        for spec in specs:
            if len(self.ran) == self.stop_after:
                raise KeyboardInterrupt
            self.ran.append(spec)
            yield [outcome(self.runner, spec, "")]

    def close(self) -> None:
        pass


def never() -> Pool:
    raise AssertionError("nothing was to be run")


def quiet(done: int, planned: int) -> None:
    assert done <= planned


def until(folder: Path, count: int, owner: subprocess.Popen[bytes]) -> int:
    """Wait until a sweep has so many results; return how many."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        assert owner.poll() is None, "the sweep was over before it could be killed"
        if (folder / FILE).exists():
            with closing(sqlite3.connect(folder / FILE, timeout=10)) as beside:
                tables = beside.execute("SELECT count(*) FROM sqlite_master WHERE name = 'result'")
                if tables.fetchone()[0]:
                    done = int(beside.execute("SELECT count(*) FROM result").fetchone()[0])
                    if done >= count:
                        return done
        time.sleep(0.002)
    raise AssertionError(f"fewer than {count} results in a minute")


def owner_of(folder: Path, count: int, runner: str) -> subprocess.Popen[bytes]:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder), str(count), runner], cwd=ROOT, env=env
    )


@pytest.mark.timeout(120)
def test_killed_half_way_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    made = job("tiny")
    owner = owner_of(tmp_path, RUNS, "tiny")
    done = until(tmp_path, RUNS // 10, owner)
    owner.kill()
    owner.wait()
    wanted = list(specs(made, points(RUNS)))
    with SweepStore(tmp_path) as store:
        planned, kept = store.counts()
        assert planned == RUNS, "the plan was written first"
        assert done <= kept < RUNS, "it was killed on the way"
        before = dict(store.results())
        again = Here()
        run_points(store, made, GRID, points(RUNS), lambda: again, quiet)
        assert len(again.ran) == RUNS - kept, "what was done is not done again"
        found = dict(store.results())
        assert list(found) == wanted, "each once, in the plan's order"
        assert all(found[spec] == result for spec, result in before.items())
        runner = runner_of(made)
        assert all(found[one].figures == outcome(runner, one, "").figures for one in wanted)
        run_points(store, made, GRID, points(RUNS), never, quiet)


def test_workers_of_a_killed_sweep_end(tmp_path: Path) -> None:
    owner = owner_of(tmp_path, 2_000, "busy")
    until(tmp_path, 4, owner)
    children = Path(f"/proc/{owner.pid}/task/{owner.pid}/children").read_text().split()
    assert len(children) == 2
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    deadline_s = time.monotonic() + 10
    while any(Path(f"/proc/{pid}/cmdline").exists() and b"openmm.sweep.worker" in
              Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children):  # fmt: skip
        assert time.monotonic() < deadline_s, "a worker outlives its owner"
        os.sched_yield()


def test_interrupted_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    made = job("picky")
    first, second = Here("picky", stop_after=7), Here("picky")
    with SweepStore(tmp_path) as store:
        with pytest.raises(KeyboardInterrupt):
            run_points(store, made, GRID, points(20), lambda: first, quiet)
        assert store.counts() == (20, 7)
        run_points(store, made, GRID, points(20), lambda: second, quiet)
        # The sixth failed: it is tried again.
        assert [one.trial for one in first.ran] == list(range(7))
        assert [one.trial for one in second.ran] == [5, *range(7, 20)]
        assert ranking_of(store, made, GRID).counts == {"done": 11, "refused": 7, "failed": 2}


class Poorly(Here):
    """As if the data were away for some of the runs."""

    def __init__(self, job_of: str, away: range) -> None:
        super().__init__(job_of)
        self.away = away

    def run(self, specs: Iterable[Spec]) -> Iterator[list[Result]]:
        for came in super().run(specs):
            if len(self.ran) in self.away:
                yield [Result(self.ran[-1].run_id, "failed", "no such file")]
            else:
                yield came


def test_what_failed_is_run_again_and_counts_no_more(tmp_path: Path) -> None:
    made, again = job("tiny"), Here()
    with SweepStore(tmp_path) as store:
        run_points(store, made, GRID, points(12), lambda: Poorly("tiny", range(4, 9)), quiet)
        assert ranking_of(store, made, GRID).counts == {"done": 7, "refused": 0, "failed": 5}
        run_points(store, made, GRID, points(12), lambda: again, quiet)
        assert [one.trial for one in again.ran] == [3, 4, 5, 6, 7]
        assert ranking_of(store, made, GRID).counts == {"done": 12, "refused": 0, "failed": 0}
        run_points(store, made, GRID, points(12), never, quiet)


def test_changed_search_is_refused_and_nothing_is_run(tmp_path: Path) -> None:
    with SweepStore(tmp_path) as store:
        run_points(store, job("tiny"), GRID, points(3), Here, quiet)
        other = Search("grid", [{"key": "strategy.spread"}])
        with pytest.raises(ConfigError, match="parameters"):
            run_points(store, job("tiny"), other, points(4), never, quiet)
        with pytest.raises(ConfigError, match="data or spans"):
            run_points(store, job("tiny", spans=2), GRID, points(4), never, quiet)
        assert store.counts() == (3, 3)


SPACE: list[Dimension] = [
    Range("strategy.x", Decimal(0), Decimal(1), "", 3, False),
    Choices("strategy.y", ("a", "b")),
]


class Told:
    """Suggestions that keep what was asked and told."""

    def __init__(self) -> None:
        self.study = Suggestions(SPACE, 3)
        self.points: list[Point] = []
        self.values: list[float | None] = []

    def ask(self, count: int) -> list[Point]:
        asked = self.study.ask(count)
        self.points += asked
        return asked

    def tell(self, values: Sequence[float | None]) -> None:
        self.values += values
        self.study.tell(values)


OPTUNA = Search("optuna", [one.to_json() for one in SPACE], 30, 3, 5)


def test_suggested_sweep_that_was_stopped_suggests_the_same(tmp_path: Path) -> None:
    made = job("suggested", spans=2)
    whole, stopped, resumed = Told(), Told(), Told()
    with SweepStore(tmp_path / "whole") as store:
        run_suggested(store, made, OPTUNA, whole, lambda: Here("suggested"), quiet)
        figures = {spec.run_id: result.figures for spec, result in store.results()}
    assert len(whole.points) == 30
    assert len(set(whole.points[:10])) > 5
    later = [float(dict(point)["strategy.x"]) for point in whole.points[15:]]
    # What is best lies at 0.7: suggestions draw near it.
    assert sum(abs(one - 0.7) < 0.2 for one in later) > 7
    with SweepStore(tmp_path / "part") as store:
        first, second = Here("suggested", stop_after=23), Here("suggested")
        with pytest.raises(KeyboardInterrupt):
            run_suggested(store, made, OPTUNA, stopped, lambda: first, quiet)
        run_suggested(store, made, OPTUNA, resumed, lambda: second, quiet)
        assert {spec.run_id: result.figures for spec, result in store.results()} == figures
    assert (resumed.points, resumed.values) == (whole.points, whole.values)
    ran = [one.run_id for one in first.ran + second.ran]
    assert len(ran) == len(set(ran)) == len(figures)


def test_search_whose_data_was_away_for_a_while_comes_to_the_same(tmp_path: Path) -> None:
    made = job("suggested", spans=2)
    with SweepStore(tmp_path / "whole") as store:
        run_suggested(store, made, OPTUNA, Told(), lambda: Here("suggested"), quiet)
        wanted = [(spec, result.figures) for spec, result in store.results()]
    with SweepStore(tmp_path / "poor") as store:
        poorly = Poorly("suggested", range(5, 30))
        run_suggested(store, made, OPTUNA, Told(), lambda: poorly, quiet)
        assert [(spec, result.figures) for spec, result in store.results()] != wanted
        run_suggested(store, made, OPTUNA, Told(), lambda: Here("suggested"), quiet)
        assert [(spec, result.figures) for spec, result in store.results()] == wanted


def test_suggestions_are_carried_out_by_processes_too(tmp_path: Path) -> None:
    made, told = job("suggested"), Told()
    short = Search("optuna", [one.to_json() for one in SPACE], 10, 3, 5)
    with SweepStore(tmp_path) as store:
        run_suggested(store, made, short, told, lambda: LocalPool(made, 2), quiet)
        assert store.counts()[0] == store.counts()[1] == len(set(told.points))
