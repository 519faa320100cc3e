"""`openmm resume`: leave a pause or a halt."""

from __future__ import annotations

from openmm.cli.output import Json, emit
from openmm.cli.pick import Bot, Folder, pick, tell

EXAMPLE = "Example: openmm resume --bot btc-grid"


def resume(bot: Bot = None, run_dir: Folder = None, json_: Json = False) -> None:
    """Let a paused or halted bot quote again."""
    from openmm.control import Resume

    found = pick(bot, run_dir)
    result = tell(found, Resume())
    emit({"bot": found.bot, **result}, json_, lambda: f"{found.bot}: {result.get('risk_state')}")
