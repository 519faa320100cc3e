"""`openmm fit`: volatility and fill intensity of recordings, with errors and goodness."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openmm.cli.output import EXIT_DONE, Json, emit, need_page, write_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openmm.config import BotConfig
    from openmm.rerun.fit import Fitted

EXAMPLE = "Example: openmm fit bot.toml --data kraken.omc --html fit.html"


def fit(
    bot: Annotated[Path, typer.Argument(help="The bot's file.")],
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
        typer.Option("--seconds", min=5, max=86_400, help="No more of each than this."),
    ] = None,
    pair: Annotated[
        str, typer.Option("--pair", help="Which pair of recordings that hold several.")
    ] = "",
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with plots to this file as well.")
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            help="Put the last fit into this file as a bot's memory: it starts from there.",
        ),
    ] = None,
    json_: Json = False,
) -> int:
    """Fit volatility, and the intensity A*exp(-k*d) with which quotes at a distance are reached,
    to recordings: with standard errors, the number of trades, and how well the form describes them.

    How samples are taken is the bot's [signal]. The keys printed tell a model this intensity until
    it has a fit of its own; --write seeds that fit itself. Nothing is asked of a venue.
    """
    import time

    from openmm.config import load
    from openmm.rerun.fit import fit as fitted_of
    from openmm.rerun.streams import asked

    need_page("--html", html)
    config = load(bot)
    streams = asked(data or [], regime or "", seed, seconds, pair)
    found = [fitted_of(config, one) for one in streams]
    if html is not None:
        write_page(found, html)
    seeded = None if write is None else seed_memory(config, found[-1], write, time.time_ns())
    told = {"results": [one.to_json() for one in found], "seeded": seeded}
    emit(told, json_, lambda: text_of(found, seeded))
    return EXIT_DONE


def write_page(found: Sequence[Fitted], path: Path) -> None:
    """Write the page with plots.

    Raises:
        CommandError: the file cannot be written.
    """
    from openmm.rerun.fit_page import page

    write_file(path, page(found))


def seed_memory(config: BotConfig, one: Fitted, path: Path, now_ns: int) -> str:
    """Write a fit where a bot looks for its own; return the file's path.

    Raises:
        ConfigError: it is of another pair than the bot trades, or no fit.
        CommandError: the file cannot be written.
    """
    from openmm.errors import CommandError, ConfigError
    from openmm.signal.memory import SignalMemory, seeded

    if one.pair != config.quoted.pair:
        raise ConfigError("--write", one.pair, f"a recording of {config.quoted.pair}")
    if not one.state["decay_uticks"]:
        raise ConfigError("--write", one.stream, "a recording that the engine's own fit ends with")
    try:
        memory = SignalMemory(path)
        try:
            memory.write(seeded(config, one.instrument, one.state, memory.read(), now_ns))
        finally:
            memory.close()
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from None
    return str(path)


def text_of(found: Sequence[Fitted], seeded: str | None) -> str:
    """Render results as text."""
    from openmm.cli.output import table
    from openmm.rerun.fit_page import COLUMNS, LEGEND, LIMITS, cells, why_none

    lines = [table([COLUMNS, *[tuple(cells(one)) for one in found]]), "", LEGEND, LIMITS]
    for one in found:
        lines += ["", f"{one.stream}: {one.about}"]
        if one.fit is None:
            lines.append(f"  no fit: {why_none(one)}")
            continue
        for name, told, scale, unit in (
            ("A", one.fit.arrival, 1.0, "a second and side"),
            ("1/k", one.fit.decay, 1e4, "bps"),
        ):
            low, high = (bound * scale for bound in told.range95)
            lines.append(f"  {name} {told.value * scale:.4g} {unit}, 95% {low:.4g} to {high:.4g}")
        lines.append("  until a model has its own fit, in [strategy]:")
        lines += [f'    {key} = "{value}"' for key, value in one.settings().items()]
    if seeded is not None:
        lines += [
            "",
            f"written: {seeded}; a bot whose memory it is goes on from {found[-1].stream}",
        ]
    return "\n".join(lines)
