"""`openmm compare`: bots side by side over recordings and synthetic regimes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openmm.cli.output import EXIT_DONE, Json, emit_beside, need_page, write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from openmm.rerun.runs import Result
    from openmm.rerun.streams import Stream

WIDTH = 150
EXAMPLE = "Example: openmm compare examples/bots/*.toml --regime calm,volatile --seed 3"


def compare(
    bots: Annotated[list[Path], typer.Argument(help="The bots' files.")],
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help="A recording: FILE or VENUE:FILE. May be given several times."),
    ] = None,
    regime: Annotated[
        str | None, typer.Option("--regime", help="Synthetic regimes, such as calm,volatile.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the regimes.")] = 1,
    seconds: Annotated[
        int | None,
        typer.Option(
            "--seconds", min=5, max=86_400,
            help="Length of a regime, 600 unless told; of a recording no more than this.",
        ),
    ] = None,
    pair: Annotated[
        str, typer.Option("--pair", help="Which pair of recordings that hold several.")
    ] = "",
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with plots to this file as well.")
    ] = None,
    json_: Json = False,
) -> int:  # fmt: skip
    """Run every bot over every stream, in virtual time and with a pretended account, and print P&L
    by cause, inventory range, time at touch, messages and markouts side by side.

    The engine is the one that trades. What fills an order is a model, told below the tables: no
    figure stands without it. Nothing is asked of a venue, and no key is needed.
    """
    from openmm.config import load
    from openmm.errors import ConfigError
    from openmm.rerun import compare as comparing
    from openmm.rerun.streams import asked

    need_page("--html", html)
    streams = asked(data or [], regime or "", seed, seconds, pair)
    configs = [load(path) for path in bots]
    called = [one.bot.name for one in configs]
    if len(set(called)) < len(called):
        raise ConfigError("bot.name", ", ".join(called), "a name of its own for each bot")
    with progress(len(configs), streams) as on_progress:
        found = comparing.compare(configs, streams, on_progress)
    tell(found, html, json_, WIDTH)
    return EXIT_DONE


def tell(found: Sequence[Result], html: Path | None, json_: bool, width: int) -> None:
    """Print results, and write the page with plots where one is wanted.

    Raises:
        CommandError: the file cannot be written.
    """
    from openmm.rerun.compare import to_json

    def write() -> None:
        from openmm.rerun.compare_page import page

        if html is not None:
            write_file(html, page(found))

    emit_beside(write, to_json(found), json_, lambda: text_of(found, width))


def text_of(found: Sequence[Result], width: int = WIDTH) -> str:
    """Render results as text."""
    import io

    from rich.console import Console

    from openmm.rerun.compare import render

    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=sys.stdout.isatty(), highlight=False)
    render(found, console)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip("\n").splitlines())


@contextmanager
def progress(bots: int, streams: Sequence[Stream]) -> Iterator[Callable[[str, str, int], None]]:
    """Show how far it is, on the error stream of a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    sizes = {one.name: len(one.records) for one in streams}
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f}%"),
        TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal,
    ) as shown:  # fmt: skip
        task = shown.add_task("comparing", total=bots * sum(sizes.values()))
        done, current = 0, ("", "")

        def told(bot: str, stream: str, count: int) -> None:
            nonlocal done, current
            if (bot, stream) != current:
                done += sizes.get(current[1], 0)
                current = bot, stream
            shown.update(task, completed=done + count, description=f"{bot} on {stream}")

        yield told
