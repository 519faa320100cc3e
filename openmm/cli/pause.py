"""`openmm pause`: withdraw the quotes for a while."""

from __future__ import annotations

from openmm.cli.output import Json, emit
from openmm.cli.pick import Bot, Folder, pick, tell

EXAMPLE = "Example: openmm pause --bot btc-grid"


def pause(bot: Bot = None, run_dir: Folder = None, json_: Json = False) -> None:
    """Withdraw a bot's quotes until `openmm resume`; no alarm is raised."""
    from openmm.control import Pause

    found = pick(bot, run_dir)
    result = tell(found, Pause())
    emit({"bot": found.bot, **result}, json_, lambda: f"{found.bot}: {result.get('risk_state')}")
