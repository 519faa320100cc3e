"""A sweep from its plan to its last result; what is done already is not done again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, Protocol

import msgspec

from openmm.sweep.plan import Job, described, specs
from openmm.sweep.pool import Pool
from openmm.sweep.ranking import Ranking, rank
from openmm.sweep.space import Point, parted
from openmm.sweep.store import SweepStore

MakePool = Callable[[], Pool]
Told = Callable[[int, int], None]  # results there, runs planned


class Search(msgspec.Struct, frozen=True):
    """How combinations are found.

    Args:
        kind: grid, random or optuna.
        count: of combinations, of random and optuna.
        batch: of optuna: so many are run before it learns of their results.
        split, rolling: of `ranking.rank`: what optuna is told follows from them.
        version: of optuna.
    """

    kind: str
    space: list[dict[str, Any]]
    count: int = 0
    seed: int = 0
    batch: int = 1
    split: int = 0
    rolling: bool = False
    version: str = ""


class Suggesting(Protocol):
    """What suggests combinations: `suggest.Suggestions`."""

    def ask(self, count: int) -> list[Point]:
        """Return the next ones."""

    def tell(self, values: Sequence[float | None]) -> None:
        """Take in what came of them."""


def run_points(
    store: SweepStore, job: Job, search: Search, points: Sequence[Point], make_pool: MakePool,
    told: Told,
) -> None:  # fmt: skip
    """Run combinations that are all known: first the plan is written, then what of it is open.

    What failed before is open again.

    Raises:
        ConfigError: the folder is another sweep's.
        CommandError: workers do not start.
    """
    store.claim(described(job, msgspec.to_builtins(search)))
    store.reopen()
    store.plan(specs(job, points))
    _run_open(store, make_pool, told, len(points) * len(job.spans))


def run_suggested(
    store: SweepStore, job: Job, search: Search, suggesting: Suggesting, make_pool: MakePool,
    told: Told, models: Sequence[Point] = ((),),
) -> None:  # fmt: skip
    """Run what is suggested, batch by batch, each combination under every model.

    What failed before is run again; what was suggested without knowing its figures is dropped.

    Raises:
        ConfigError: the folder is another sweep's.
        CommandError: workers do not start.
    """
    store.claim(described(job, msgspec.to_builtins(search)))
    store.reopen()
    pools: list[Pool] = []
    known: dict[Point, float | None] = {}

    def kept() -> Pool:
        if not pools:
            pools.append(make_pool())
        return _Kept(pools[0])

    try:
        for first in range(0, search.count, search.batch):
            points = suggesting.ask(min(search.batch, search.count - first))
            every = [(*one, *model) for one in points for model in models]
            trial, end = first * len(models), (first + len(points)) * len(models)
            # One that was suggested before is not run again: its figure is known.
            wanted = [one for one in specs(job, every, trial) if parted(one.point)[0] not in known]
            store.replan(wanted, trial, end)
            _run_open(store, kept, told, search.count * len(models) * len(job.spans))
            found = _values(store, job, search, trial)
            known |= {point: found.get(point) for point in points if point not in known}
            suggesting.tell([known[point] for point in points])
    finally:
        for one in pools:
            one.close()


class _Kept:
    """A pool that outlives the batch."""

    def __init__(self, pool: Pool) -> None:
        self.run = pool.run

    def close(self) -> None:
        """Leave it to the search."""


def _values(store: SweepStore, job: Job, search: Search, first: int) -> dict[Point, float | None]:
    """Return the Sharpe ratio in train of each combination from a trial on, by its worst model.

    Without one is what was not traded, and what halted.
    """
    ranked = rank(
        store.results(first), job.spans, job.returns_ns, search.split, search.rolling
    )  # fmt: skip
    return {
        parted(row.point)[0]: row.train.sharpe
        for row in ranked.rows if row.train is not None and not row.halted
    }  # fmt: skip


def _run_open(store: SweepStore, make_pool: MakePool, told: Told, planned: int) -> None:
    todo = store.open_runs()
    done = store.counts()[1]
    told(done, planned)
    if not todo:
        return
    with closing(make_pool()) as pool:
        for results in pool.run(todo):
            done += store.add(results)
            told(done, planned)


def ranking_of(store: SweepStore, job: Job, search: Search) -> Ranking:
    """Rank what there is."""
    return rank(store.results(), job.spans, job.returns_ns, search.split, search.rolling)
