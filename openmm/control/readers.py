"""What the actions that only read give, and for whom."""

from __future__ import annotations

from itertools import islice
from typing import Any

from openmm.control.access import Client
from openmm.control.actions import Action
from openmm.control.audit import Audit
from openmm.control.deeds import not_offered
from openmm.control.home import Home
from openmm.control.views import look, page_view
from openmm.engine.rundir import RunDir


def read(
    home: Home, client: Client, asked: Action, bot: RunDir | None, args: dict[str, Any], now_ns: int
) -> dict[str, Any]:
    """Return what an action reads. `home` shows the client's bots and no other.

    Raises:
        OpenMMError: there is nothing to read.
    """
    match asked.name:
        case "audit":
            return {"records": _records(home, client, args["limit"])}
        case "bots":
            return {"bots": [_status(one, now_ns) for one in home.bots()]}
        case "status":
            assert bot is not None
            return _status(bot, now_ns)
    raise not_offered(asked)


def _records(home: Home, client: Client, limit: int) -> list[dict[str, Any]]:
    """List records of the audit, newest first: of a client's bots, and what it did itself."""
    found = Audit(home.audit).newest()
    if client.local:
        return list(islice(found, limit))
    everything = "*" in client.bots
    mine = (
        one
        for one in found
        if everything
        or (one.get("bot") and client.sees(str(one["bot"])))
        or (isinstance(who := one.get("caller"), dict) and who.get("client") == client.name)
    )
    return list(islice(mine, limit))


def _status(bot: RunDir, now_ns: int) -> dict[str, Any]:
    seen = look(bot, now_ns)
    view = page_view(seen.page, now_ns) if seen.page is not None else {}
    return {"bot": bot.bot, "running": seen.running, "page": seen.page_state, **view}
