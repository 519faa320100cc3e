"""`openmm pnl`: what a bot earned, and by which cause."""

from __future__ import annotations

from typing import Any

from openmm.cli.fills import Hours, Named
from openmm.cli.output import Json, emit, pairs, table
from openmm.cli.pick import Folder, pick

EXAMPLE = "Example: openmm pnl btc-grid --hours 24"


def pnl(bot: Named = None, hours: Hours = 24, run_dir: Folder = None, json_: Json = False) -> None:
    """Show a bot's P&L: of its last session as its report has it, and by cause over hours.

    The causes add up to the total; hours are whole ones (UTC), of all its sessions in that time.
    """
    import time

    from openmm.control.home import Home
    from openmm.control.records import pnl as found

    run = pick(bot, run_dir)
    told = found(Home.find(run.root), run.bot, time.time_ns(), f"{hours:f}")
    emit(told, json_, lambda: _text(told))


def _text(told: dict[str, Any]) -> str:
    whole, session = told["pnl"], told["session"]
    names = ("realised_average", "unrealised_average", "total", "fees", "costs", "net")
    head = {name: f"{whole[name] or '-'} {whole['asset']}" for name in names}
    parts = [f"session {session['session_id']}, {session['mode']}, {session['state']}", pairs(head)]
    rows: list[tuple[str, ...]] = []
    for asset, part in told["window"]["by_asset"].items():
        rows = rows or [("by cause", *part)]
        rows.append((asset, *map(str, part.values())))
    if rows:
        parts.append(f"since {told['window']['since']}:\n" + table(rows))
    return "\n\n".join(parts)
