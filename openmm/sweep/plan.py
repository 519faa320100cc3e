"""What is to be run: every run with an id that follows from all that its figures follow from."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec

import openmm
from openmm.data.events import utc
from openmm.sweep.space import Point

RUNS_MAX: Final = 1_000_000
ROWS_MAX: Final = 10_000_000  # slices of runs
ID_BYTES: Final = 16
# What no figure follows from: the surfaces, live operation, and of the sweep what plans and tells.
NOT_OF_FIGURES: Final = frozenset((
    "board.py", "cli", "control", "dashboard", "drift", "gateway", "mcp", "testing", "top",
    "watchdog", "writer",
))  # fmt: skip
OF_THE_SWEEP: Final = frozenset(("columns.py", "figures.py", "space.py", "worker.py"))
BUILD_SUFFIXES: Final = (".so", ".py")


class Part(msgspec.Struct, frozen=True):
    """One market's events of a span, whole in a file; `content` is blake2b-256 of its columns."""

    path: str
    content: str
    label: str
    events: int


class Span(msgspec.Struct, frozen=True):
    """What one run is over: `parts`, the quoted market first, received in [start_ns, end_ns).

    Args:
        slice: the place in time of its first slice; spans of several markets at one time share it.
        cuts: where in time the next slices begin, rising: figures are told slice by slice.
    """

    slice: int
    start_ns: int
    end_ns: int
    parts: tuple[Part, ...]
    cuts: tuple[int, ...] = ()

    @property
    def slices(self) -> list[tuple[int, int, int]]:
        """Return its slices: place in time, beginning and end."""
        borders = [self.start_ns, *self.cuts, self.end_ns]
        return [(self.slice + at, *ends) for at, ends in enumerate(pairwise(borders))]

    @property
    def name(self) -> str:
        """Return a name for people."""
        return f"{self.parts[0].label} {utc(self.start_ns)}"

    @property
    def contents(self) -> list[str]:
        """Return what the run's data is, bit for bit."""
        return [part.content for part in self.parts]


class Job(msgspec.Struct, frozen=True):
    """What all runs of a sweep share; a worker gets it once.

    Args:
        bot: the bot's file, as it is.
        folder: where it lies: what it names is looked for there.
        model: of `backtest.model.Model`, what is told of it; the rest is its default.
        returns_ns: the length of time over which one return is taken.
        build: of `own.build_with`.
        runner: what runs, `module:function`: it takes the job and returns a `Runner`.
        sources: what the spans are made of, known before any is: contents of files, rates held.
    """

    bot: str
    folder: str
    model: dict[str, Any]
    spans: tuple[Span, ...]
    returns_ns: int
    build: str
    runner: str
    sources: tuple[str, ...] = ()

    @property
    def data(self) -> dict[str, Any]:
        """Return the bot's file, read."""
        return tomllib.loads(self.bot)


class Spec(msgspec.Struct, frozen=True, array_like=True):
    """One run: a combination of values over a span. `place`: its own in the plan's order."""

    run_id: str
    place: int
    trial: int
    span: int
    point: Point


def digest(value: object) -> str:
    """Return a hash of plain values; of mappings the order does not count."""
    text = msgspec.json.encode(value, order="deterministic")
    return blake2b(text, digest_size=ID_BYTES).hexdigest()


def build_of(folder: Path | None = None) -> str:
    """Return the version, and a hash of the code that figures follow from."""
    root = Path(openmm.__file__).parent if folder is None else folder
    found = blake2b(digest_size=ID_BYTES // 2)
    for path in sorted(root.rglob("*")):
        if makes_figures(path.relative_to(root)) and path.is_file():
            data = path.read_bytes()
            found.update(f"{path.relative_to(root)} {len(data)}\n".encode() + data)
    return f"{openmm.__version__}+{found.hexdigest()}"


def makes_figures(path: Path) -> bool:
    """Tell whether figures can follow from a file of the package, given below its folder."""
    if path.suffix not in BUILD_SUFFIXES or path.parts[0] in NOT_OF_FIGURES:
        return False
    return path.parts[0] != "sweep" or path.name in OF_THE_SWEEP


def specs(job: Job, points: Sequence[Point], first_trial: int = 0) -> Iterator[Spec]:
    """Yield the runs of combinations: span by span, so that a worker stays with its data.

    Args:
        first_trial: number of the first combination; places follow from it.
    """
    shared = [job.bot, job.model, job.returns_ns, job.build, job.runner]
    base = blake2b(msgspec.json.encode(shared, order="deterministic"), digest_size=ID_BYTES)
    place = first_trial * len(job.spans)
    for at, span in enumerate(job.spans):
        ahead = base.copy()
        ahead.update(msgspec.json.encode([span.start_ns, span.end_ns, span.cuts, span.contents]))
        for trial, point in enumerate(points, first_trial):
            made = ahead.copy()
            made.update(msgspec.json.encode(point))
            yield Spec(made.hexdigest(), place, trial, at, point)
            place += 1


def described(job: Job, search: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a folder's sweep is, part by part, for comparison with one that is asked for."""
    return {
        "bot": digest(job.bot), "files": digest(job.sources),
        "data": digest([[one.slices, one.contents] for one in job.spans]),
        "parameters": digest(search), "model": digest([job.model, job.returns_ns]),
        "build": job.build, "runner": job.runner,
    }  # fmt: skip
