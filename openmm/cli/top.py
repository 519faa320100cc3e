"""`openmm top`: the dashboard in a terminal."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from openmm.cli.output import EXIT_DONE, Json, emit
from openmm.cli.pick import Bot, Folder, pick, root_of
from openmm.errors import CommandError

EXAMPLE = "Example: openmm top --bot btc-grid"


def top(bot: Bot = None, run_dir: Folder = None, json_: Json = False) -> int:
    """Watch bots live in the terminal: ladder, inventory, P&L, limits, venues, orders, incidents.

    Keys: p pause, r resume, h halt (each asks first), 1 to 4 pages, tab the next bot, ? all keys,
    q quit. Works over SSH, from 80x24 on, without colour too (NO_COLOR=1). With --json, or without
    a terminal, the state of every bot is printed once: see openmm status for more.
    """
    root = root_of(run_dir)
    only = pick(bot, run_dir).bot if bot is not None else None
    if json_ or not sys.stdout.isatty():
        return _once(root, only, json_)
    if importlib.util.find_spec("textual") is None:
        raise CommandError(
            'openmm top needs the package textual: pip install "openmm-engine[top]"; '
            "openmm status needs nothing",
            code="no_package",
        )
    from openmm.control.home import Home
    from openmm.top.app import Top

    app = Top(Home.find(root), only)
    app.run()
    return app.return_code or EXIT_DONE


def _once(root: Any, only: str | None, json_: bool) -> int:
    import time

    from openmm.cli.output import table
    from openmm.control.home import Home
    from openmm.top.draw import fleet
    from openmm.top.source import Watched

    watched = [Watched(one) for one in Home.find(root).bots() if only in (None, one.bot)]
    for one in watched:
        one.look(time.time_ns())
    names, *rows = ([str(cell) for cell in row] for row in fleet(watched))
    payload = {"bots": [dict(zip(names, row, strict=True)) for row in rows]}
    emit(payload, json_, lambda: table([tuple(names), *map(tuple, rows)]))
    return EXIT_DONE
