"""What the actions that only read give, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from openmm.control import alerts, history, looks, market, profiles, records
from openmm.control.access import Client
from openmm.control.actions import Action
from openmm.control.audit import Audit
from openmm.control.deeds import not_offered
from openmm.control.groups import groups
from openmm.control.home import Home
from openmm.control.portfolio import portfolio
from openmm.engine.rundir import RunDir

Look = Callable[..., dict[str, Any]]
# What is asked of one bot: (home, bot's name, now, arguments of the action).
OF_A_BOT: Final[dict[str, Look]] = {
    "status": looks.status, "book": looks.book, "orders": looks.orders,
    "positions": looks.positions, "limits": looks.limits, "latency": looks.latency,
    "venues": looks.venues, "config": looks.config, "order": records.order,
    "explain": records.explain, "fills": records.fills, "pnl": records.pnl,
    "incidents": records.incidents, "report": records.report,
    "market_stats": history.market_stats,
}  # fmt: skip
OF_ALL: Final[dict[str, Look]] = {
    "bots": looks.bots, "portfolio": portfolio, "groups": groups, "ticker": market.ticker,
    "trades": market.trades, "candles": market.candles, "profiles": profiles.profiles,
    "strategies": profiles.strategies,
}  # fmt: skip

RECORDS_SEEN_MAX: Final = 20_000  # looked through for those that a client may see


def read(
    home: Home, client: Client, asked: Action, bot: RunDir | None, args: dict[str, Any], now_ns: int
) -> dict[str, Any]:
    """Return what an action reads. `home` shows the client's bots and no other.

    Raises:
        OpenMMError: there is nothing to read.
    """
    if asked.name == "audit":
        return {"records": _records(home, client, args["limit"])}
    if asked.name == "alerts":
        return alerts.listed(home)
    if bot is not None and asked.name in OF_A_BOT:
        return OF_A_BOT[asked.name](home, bot.bot, now_ns, **args)
    if asked.name in OF_ALL:
        return OF_ALL[asked.name](home, now_ns, **args)
    raise not_offered(asked)


def _records(home: Home, client: Client, limit: int) -> list[dict[str, Any]]:
    """List records of the audit, newest first: of a client's bots, and what it did itself."""
    found = islice(Audit(home.audit).newest(), RECORDS_SEEN_MAX)
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
