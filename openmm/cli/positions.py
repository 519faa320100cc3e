"""`openmm positions`: what the bots hold."""

from __future__ import annotations

from typing import Any

from openmm.cli.fills import Named
from openmm.cli.output import Json, emit, table
from openmm.cli.pick import Folder, pick, root_of

EXAMPLE = "Example: openmm positions btc-grid --json"


def positions(bot: Named = None, run_dir: Folder = None, json_: Json = False) -> None:
    """Show inventory against target and limit of one bot, or of all there are."""
    import time

    from openmm.control.home import Home
    from openmm.control.looks import positions as found
    from openmm.errors import ControlError

    home = Home.find(pick(bot, run_dir).root if bot is not None else root_of(run_dir))
    shown: list[dict[str, Any]] = []
    missing: list[dict[str, str]] = []
    for one in home.bots():
        if bot in (None, one.bot):
            try:
                shown.append(found(home, one.bot, time.time_ns()))
            except ControlError as error:
                missing.append({"bot": one.bot, "code": error.code, "why": str(error)})
    emit({"positions": shown, "missing": missing}, json_, lambda: _text(shown, missing))


def _text(shown: list[dict[str, Any]], missing: list[dict[str, str]]) -> str:
    rows: list[tuple[str, ...]] = [
        ("bot", "pair", "base", "quote", "off target", "of limit", "share", "target", "equity")
    ]
    for one in shown:
        used = one.get("max_inventory_used")
        rows.append(
            (
                one["bot"], one["instrument"], f"{one['base'] or '-'} {one['base_asset']}",
                f"{one['quote']} {one['quote_asset']}", one["off_target"],
                "-" if used is None else f"{float(used):.1%}", f"{one['share_ppm'] / 10_000:.2f}%",
                f"{one['target_ppm'] / 10_000:.2f}%", one["equity"],
            )
        )  # fmt: skip
    lines = [table(rows)] if shown else ["no positions"]
    return "\n".join([*lines, *(one["why"] for one in missing)])
