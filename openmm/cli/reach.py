"""Reach a venue from the command line: its address, its keys, one question at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar

import typer

if TYPE_CHECKING:
    from openmm.venues.desk import Desk

T = TypeVar("T")

VenueName: TypeAlias = Annotated[str, typer.Argument(help="kraken, gateio, bitget, mexc, …")]
PairName: TypeAlias = Annotated[str, typer.Argument(help="The pair, BASE/QUOTE.")]
RestUrl: TypeAlias = Annotated[
    str, typer.Option("--rest", help="REST address instead of the venue's, of openmm sim for one.")
]
Label: TypeAlias = Annotated[
    str, typer.Option("--label", help="Whose keys: OPENMM_<LABEL>_KEY; the venue's name if left.")
]
Options: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--option", help="NAME=VALUE of the venue's own settings; may be repeated."),
]


def reach(
    venue: str,
    ask: Callable[[Desk], Awaitable[T]],
    *,
    endpoints: dict[str, str],
    options: list[str] | None = None,
    label: str | None = None,
) -> T:
    """Ask a venue something and let go of it again.

    Args:
        label: of the keys, "" for the venue's name; None: no keys are needed.

    Raises:
        ConfigError: the venue, an option or the keys.
        VenueError: no answer, or a refusal.
    """
    import asyncio

    from openmm.config.secrets import load_keys
    from openmm.errors import ConfigError
    from openmm.venues.desk import connect

    keys = None if label is None else load_keys(label or venue)
    told = {name: url for name, url in endpoints.items() if url}
    desk = connect(venue, keys, endpoints=told, options=read_options(options))

    async def run() -> T:
        async with desk:
            return await ask(desk)

    try:
        return asyncio.run(run())
    except ValueError as error:
        text, _, value = str(error).rpartition(": ")
        raise ConfigError("asked", value, text or "what the venue offers") from error


def read_options(texts: list[str] | None) -> dict[str, str | int | bool]:
    """Read NAME=VALUE settings.

    Raises:
        ConfigError: one is not of that form.
    """
    from openmm.errors import ConfigError

    found: dict[str, str | int | bool] = {}
    for text in texts or []:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise ConfigError("--option", text, "NAME=VALUE")
        words: dict[str, bool] = {"true": True, "false": False}
        number = value.isascii() and value.isdigit()
        found[name] = words[value] if value in words else int(value) if number else value
    return found
