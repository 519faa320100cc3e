"""`openmm halt`: cancel everything and quote no more."""

from __future__ import annotations

from typing import Annotated

import typer

from openmm.cli.output import Json, emit
from openmm.cli.pick import Bot, Folder, pick, tell

EXAMPLE = 'Example: openmm halt --bot btc-grid --reason "venue outage"'


def halt(
    bot: Bot = None,
    run_dir: Folder = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; goes to the journal.")] = "",
    json_: Json = False,
) -> None:
    """Cancel every order of a bot and quote no more until `openmm resume`."""
    from openmm.control import Halt

    found = pick(bot, run_dir)
    result = tell(found, Halt(reason))
    emit({"bot": found.bot, **result}, json_, lambda: f"{found.bot}: {result.get('risk_state')}")
