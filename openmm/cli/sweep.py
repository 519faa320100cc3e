"""`openmm sweep`: many runs of a bot over stored market data, ranked by what luck explains."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from openmm.cli.output import (
    EXIT_DONE,
    EXIT_FAILED,
    Json,
    emit_beside,
    fail,
    maps_files,
    write_file,
)
from openmm.cli.spans import need_utf8, rate_of, span_s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from openmm.sweep.plan import Job
    from openmm.sweep.pool import Pool
    from openmm.sweep.run import Search
    from openmm.sweep.space import Dimension, Point
    from openmm.sweep.spans import Opened, Rates
    from openmm.sweep.store import SweepStore

EXAMPLE = """Example: openmm sweep bot.toml --data btc.omd --grid strategy.spread=2bps,3bps,5bps
strategy.num_orders=1,2,4 --split 4; openmm sweep bot.toml market/*.omd --random 500
strategy.spread=1bps..20bps:log risk.max_inventory=0.1..1 model.queue=careful,power"""
RUNNER = "openmm.sweep.columns:Columns"
SUMMARY = "summary.html"
RETURNS_NS_MAX = 24 * 3600 * 1_000_000_000
SEED_MAX = (1 << 32) - 1  # Optuna's


def sweep(
    bot: Annotated[Path, typer.Argument(help="The bot's file.")],
    more: Annotated[
        list[str] | None,
        typer.Argument(help="More files of --data, and more KEY=VALUES of the search."),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="Market data, .omd. May be given several times."),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option("--grid", help="KEY=a,b,c: every combination. May be given several times."),
    ] = None,
    random: Annotated[
        int | None,
        typer.Option(
            "--random", min=1, max=1_000_000,
            help="So many combinations, drawn from KEY=low..high[:log] or KEY=a,b,c.",
        ),
    ] = None,
    optuna: Annotated[
        int | None,
        typer.Option(
            "--optuna", min=1, max=100_000, help="So many combinations, suggested by Optuna (TPE)."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=SEED_MAX, help="Of what is drawn.")] = 1,
    batch: Annotated[
        int,
        typer.Option("--batch", min=1, max=1_000, help="Runs suggested before any is learnt from."),
    ] = 8,
    split: Annotated[
        int,
        typer.Option(
            "--split", min=0, max=500,
            help="Walk forward in so many steps: rank on what is before, test on what is next.",
        ),
    ] = 0,
    rolling: Annotated[
        bool,
        typer.Option("--rolling", help="Rank on the one slice before the test, not on all."),
    ] = False,
    returns: Annotated[
        str, typer.Option("--returns", help="Length of one return: longer ones depend less.")
    ] = "1s",
    model: Annotated[
        Path | None, typer.Option("--model", help="What is assumed of the venue: a model's file.")
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(
            "--rate", metavar="PAIR=NUMBER",
            help="Hold a [[venue]] with rate at this where the data has none, such as USDT/USD=1.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of plan and results; sweep/BOT unless told."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=1024, help="Processes; one a core.")
    ] = None,
    ray: Annotated[
        str, typer.Option("--ray", help="Run on a Ray cluster at this address instead.")
    ] = "",
    top: Annotated[int, typer.Option("--top", min=1, help="Combinations to print.")] = 20,
    json_: Json = False,
) -> int:  # fmt: skip
    """Run a bot with many combinations of values over market data, and rank them by a figure that
    takes luck into account.

    Keys are those of the bot's file ([strategy], [risk], [signal], [inventory]) and of the fill
    model (model.queue, model.orders, …), values as the file has them; each combination is run under
    every model and counts by the one that it does worst under. The same command again goes
    on where it was stopped or killed. In the folder: results.parquet with every run, summary.html.
    """
    import importlib

    from openmm.errors import CommandError

    for name in ("numpy", "pyarrow", *(["optuna"] if optuna else []), *(["ray"] if ray else [])):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            raise CommandError(
                f"a sweep needs a package that is not installed ({name}): "
                "pip install 'openmm-engine[research,sweep]'"
            ) from None
    from msgspec import to_builtins
    from msgspec.structs import replace

    from openmm.config import load
    from openmm.sweep.plan import described
    from openmm.sweep.run import Search, run_points, run_suggested
    from openmm.sweep.space import models_of
    from openmm.sweep.spans import most, opened
    from openmm.sweep.store import SweepStore

    told = list(more or [])
    paths = [*(data or []), *(Path(one) for one in told if "=" not in one)]
    texts = [*(grid or []), *(one for one in told if "=" in one)]
    kind = _kind(grid, random, optuna, rolling, split)
    _refuse_both(workers, ray)
    rates = [rate_of(one) for one in rate or []]
    maps_files(json_)
    folder = out if out is not None else Path("sweep") / bot.stem
    need_utf8("sweep", [bot, *paths, folder])  # plan, page and results have them in
    # All that can be refused is before the folder is touched.
    asked, space = _asked(bot, texts, kind, model, returns)
    own, models = models_of(space)
    with _status() as status:
        files = opened(_listed(paths), status)
    _refuse_unfit(bot, files, own, rates)
    _count(kind, own, len(models), most(load(bot), files, split), random or optuna or 0)
    search = Search(
        kind, [one.to_json() for one in space], random or optuna or 0,
        seed if kind != "grid" else 0, batch if optuna else 1, split, rolling,
    )  # fmt: skip
    if kind == "optuna":
        from openmm.sweep import suggest

        search = replace(search, version=suggest.VERSION)
    asked = replace(
        asked,
        sources=(
            *(one.header.content for one in files), *("=".join(one) for one in rates)
        ),
    )  # fmt: skip
    with SweepStore(folder) as store, _status() as status:
        whole = described(asked, to_builtins(search))
        del whole["data"]  # spans are written only into a folder that is this sweep's, or nobody's
        store.compare(whole)
        job = _prepared(asked, bot, files, folder, split, rates, status)
        notes = _notes(bot, files, rates)
        status("")
        try:
            with _progress() as on_progress:
                make = _pool(job, workers, ray)
                if kind == "optuna":
                    suggesting = suggest.Suggestions(own, seed)
                    run_suggested(store, job, search, suggesting, make, on_progress, models)
                else:
                    points = _points(kind, own, models, random or 0, seed)
                    run_points(store, job, search, points, make, on_progress)
        except KeyboardInterrupt:
            planned, done = store.counts()
            text = f"stopped with {done:,} of {planned:,} runs done: the same command goes on"
            return fail("interrupted", text, json_, EXIT_FAILED)
        return _told(store, job, search, bot, space, notes, top, json_)


def _kind(
    grid: Sequence[str] | None, random: int | None, optuna: int | None, rolling: bool, split: int
) -> str:
    from openmm.errors import ConfigError

    asked = [
        name
        for name, there in (("--grid", grid), ("--random", random), ("--optuna", optuna)) if there
    ]  # fmt: skip
    if len(asked) != 1:
        raise ConfigError("sweep", " and ".join(asked) or "nothing", "--grid, --random or --optuna")
    if rolling and not split:
        raise ConfigError("--rolling", "no --split", "with --split: how many steps to walk")
    return asked[0].removeprefix("--")


def _refuse_both(workers: int | None, ray: str) -> None:
    from openmm.errors import ConfigError

    if ray and workers is not None:
        raise ConfigError("--workers", workers, "left out with --ray: a cluster has its own")


def _listed(paths: Sequence[Path]) -> list[Path]:
    """Return files, those of a folder for the folder, as a backtest takes it."""
    from openmm.data.catalogue import catalogue
    from openmm.data.store import SUFFIX
    from openmm.errors import ConfigError

    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        listed, refused = catalogue(path)
        if refused:
            raise refused[0]
        if not listed:
            raise ConfigError("--data", str(path), f"a folder with {SUFFIX} files")
        found += [one.path for one in listed]
    return found


def _asked(
    bot: Path, texts: Sequence[str], kind: str, model: Path | None, returns: str
) -> tuple[Job, list[Dimension]]:
    """Read all but the data, and refuse what is wrong with it."""
    from msgspec.structs import replace

    from openmm.cli.backtest import models as assumed_models
    from openmm.config import load
    from openmm.errors import ConfigError
    from openmm.sweep import space as varied
    from openmm.sweep.own import build_with
    from openmm.sweep.plan import Job

    config = load(bot)
    # As a backtest takes it: the file's [paper] latency, unless a model says otherwise.
    assumed = assumed_models(model, None, None, None, None)(config).to_json()
    returns_ns = round(span_s("--returns", returns) * 1e9)
    if returns_ns % 1_000_000_000:
        raise ConfigError("--returns", returns, "whole seconds: P&L is marked once a second")
    if returns_ns > RETURNS_NS_MAX:
        raise ConfigError("--returns", returns, "24h at most")
    job = Job(
        bot.read_text(encoding="utf-8"),
        str(bot.absolute().parent),
        assumed,
        (),
        returns_ns,
        "",
        RUNNER,
    )
    job = replace(job, build=build_with(job.data))
    kinds = varied.kinds_of(job.data)
    if not texts:
        raise ConfigError(f"--{kind}", "nothing", "KEY=VALUES, such as strategy.spread=2bps,3bps")
    space = [varied.read(kinds, one, ranges=kind != "grid") for one in texts]
    varied.check(job.data, kinds, space, job.model)
    own, _ = varied.models_of(space)
    if not own and kind != "grid":
        raise ConfigError(f"--{kind}", ", ".join(texts), "a key of the bot's file: it is chosen")
    space = [*own, *(one for one in space if one not in own)]
    return job, space


def _refuse_unfit(
    bot: Path, files: Sequence[Opened], own: Sequence[Dimension], rates: Rates
) -> None:
    """Refuse a bot's file that no market takes, as a backtest does, whatever its values become."""
    from openmm.config import load
    from openmm.errors import ConfigErrors
    from openmm.sweep.spans import misfits, refuse_rates

    varied = {one.key.partition(".")[0] for one in own}
    config = load(bot)
    refuse_rates(config, files, rates)
    wrong = [one for one in misfits(config, files) if one.path.partition(".")[0] not in varied]
    if wrong:
        raise ConfigErrors(config.bot.name, wrong)


def _prepared(
    asked: Job, bot: Path, files: Sequence[Opened], folder: Path, split: int, rates: Rates,
    status: Callable[[str], None],
) -> Job:  # fmt: skip
    """Cut the data into spans, which the folder keeps."""
    from msgspec.structs import replace

    from openmm.config import load
    from openmm.sweep.spans import spans

    return replace(asked, spans=tuple(spans(load(bot), files, folder, split, status, rates)))


def _count(
    kind: str, own: Sequence[Dimension], models: int, most: tuple[int, int], count: int
) -> None:
    """Refuse a plan of too many runs, one a combination, model and span, or of too many rows."""
    from openmm.errors import ConfigError
    from openmm.sweep.plan import ROWS_MAX, RUNS_MAX
    from openmm.sweep.space import count_of

    listed = count_of(own)
    points = count
    if listed is not None and kind != "optuna":
        points = listed if kind == "grid" else min(count, listed)
    spans, slices = most
    if points * models * spans > RUNS_MAX:
        told = f"{points:,} combinations under {models:,} models, each over {spans:,} spans"
        raise ConfigError(f"--{kind}", told, f"{RUNS_MAX:,} runs at most")
    if points * models * slices > ROWS_MAX:
        told = f"{points * models:,} runs over {slices:,} slices"
        raise ConfigError("--split", told, f"{ROWS_MAX:,} rows at most")


def _points(
    kind: str, own: Sequence[Dimension], models: Sequence[Point], count: int, seed: int
) -> Sequence[Point]:
    """Return every combination under every model."""
    from openmm.sweep.plan import RUNS_MAX
    from openmm.sweep.space import drawn, grid

    points = grid(own, RUNS_MAX) if kind == "grid" else drawn(own, count, seed)
    return [(*one, *model) for one in points for model in models]


def _pool(job: Job, workers: int | None, ray: str) -> Callable[[], Pool]:
    """Return what makes the workers, once they are needed."""
    if ray:
        from openmm.sweep.ray_pool import RayPool

        return lambda: RayPool(job, ray)
    from openmm.sweep.pool import LocalPool

    return lambda: LocalPool(job, workers or len(os.sched_getaffinity(0)))


def _notes(bot: Path, files: Sequence[Opened], rates: Rates) -> list[str]:
    from openmm.config import load
    from openmm.sweep.spans import left_out, stood_in

    config = load(bot)
    own = f"{config.quoted.label} {config.quoted.pair}"
    return [
        *(f"{label} is quoted as if it were {own}: prices and sizes are of another market."
          for label in stood_in(config, files)),
        *(f"{label} is watched by the bot's file and not in the data: the reference is without it."
          for label in left_out(config, files, rates)),
        *(f"{pair} is held at {number} where the data does not have it." for pair, number in rates),
    ]  # fmt: skip


def _told(
    store: SweepStore, job: Job, search: Search, bot: Path, space: Sequence[Dimension],
    notes: Sequence[str], top: int, json_: bool,
) -> int:  # fmt: skip
    """Write the files, and print what it came to."""
    from openmm.cli.sweep_text import text_of
    from openmm.sweep import page, ranking, results
    from openmm.sweep.run import ranking_of

    found = ranking_of(store, job, search)
    assumed = _assumed(job, space)
    notes = [
        *notes,
        *(f"{key} made no difference: no value of it changed any figure."
          for key in ranking.inert(found)),
    ]  # fmt: skip
    parquet, html = store.folder / results.FILE, store.folder / SUMMARY

    def write() -> None:
        results.write(store, job, [one.key for one in space], parquet)
        write_file(html, page.page(found, job, bot.name, store.results(), [*assumed, *notes]))

    payload = {
        **ranking.to_json(found, top), "model": job.model, "assumptions": assumed,
        "results": parquet, "summary": html, "notes": list(notes),
    }  # fmt: skip
    told = [*notes, f"{parquet}", f"{html}"]
    emit_beside(write, payload, json_, lambda: text_of(found, top, told, assumed))
    is_done = found.counts["done"] and not found.counts["failed"]
    return EXIT_DONE if is_done else EXIT_FAILED


def _assumed(job: Job, space: Sequence[Dimension]) -> list[str]:
    """Say what every figure rests on, and what of it is varied."""
    import msgspec

    from openmm.backtest.model import Model
    from openmm.backtest.trials import LIMITS, assumptions
    from openmm.sweep.space import MODEL, Choices

    told = [assumptions([msgspec.convert(job.model, Model)])]
    varied = [
        f"{one.key} {', '.join(one.values)}"
        for one in space
        if isinstance(one, Choices) and one.key.startswith(MODEL)
    ]
    if varied:
        told.append(
            f"In place of that: {'; '.join(varied)}. Each combination is run under all of it, and "
            "counts by what it did worst under in train."
        )
    return [*told, LIMITS]


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """Tell on the error stream of a terminal what is at hand; an empty text ends it."""
    from rich.console import Console

    console = Console(stderr=True)
    shown = console.status("reading")

    def told(text: str) -> None:
        if text:
            shown.update(text)
        else:
            shown.stop()

    if console.is_terminal:
        shown.start()
    try:
        yield told
    finally:
        shown.stop()


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show how far it is: runs, runs a second, and how long it will take."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    with Progress(
        BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal,
    ) as shown:  # fmt: skip
        task = shown.add_task("runs", total=None, speed="")
        before: list[tuple[float, int]] = []  # what was done before is no part of the speed

        def told(done: int, planned: int) -> None:
            if not before:
                before.append((monotonic(), done))
                shown.reset(task, total=planned, completed=done)
                return
            started, first = before[0]
            speed = (done - first) / max(monotonic() - started, 1e-3)
            shown.update(task, completed=done, total=planned, speed=f"{speed:,.0f} runs/s")

        yield told
