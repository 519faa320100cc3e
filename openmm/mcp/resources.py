"""Resources: looks that a person or a client can attach to a conversation by their address."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

import mcp_types as types
from msgspec import Struct

from openmm.control.arguments import BOT_NAME
from openmm.errors import ControlError

SCHEME: Final = "openmm://"
BOTS_MAX: Final = 16  # shown together under an address that names no bot
# Last part of the address: the door's action, and what it is.
WHOLE: Final = {
    "bots": "every bot on this host: state, pair, equity, P&L",
    "portfolio": "P&L, equity and positions over all bots and venues",
    "strategies": "the strategies and their parameters",
    "profiles": "ready configurations to begin with",
    "alerts": "alerts that are open, and their rules",
}
OF_BOTS: Final = {
    "status": "one bot as a whole",
    "config": "the running configuration, without secrets",
    "limits": "each risk limit: the file's, in force, in use",
    "venues": "health of its venues: book state, age, gaps, rate budget",
    "positions": "inventory against target and limits, balances",
    "pnl": "P&L by cause",
    "incidents": "what went wrong, newest first",
}
TOGETHER: Final = ("venues", "limits", "config")  # readable for all bots at once too
_PATH = re.compile(rf"(?:bots/({BOT_NAME.pattern})/)?([a-z_]{{1,32}})")


class Asked(Struct, frozen=True):
    """What an address means: an action of the door, of one bot or of all."""

    action: str
    bot: str = ""


def address(action: str, bot: str = "") -> str:
    """Return the address of a look."""
    return f"{SCHEME}bots/{quote(bot)}/{action}" if bot else f"{SCHEME}{action}"


def asked(uri: str) -> Asked:
    """Read an address.

    Raises:
        ControlError: there is nothing at it (`unknown_resource`).
    """
    match = _PATH.fullmatch(uri.removeprefix(SCHEME)) if uri.startswith(SCHEME) else None
    if match is not None:
        bot, action = match[1] or "", match[2]
        if action in OF_BOTS if bot else action in WHOLE or action in TOGETHER:
            return Asked(action, bot)
    raise ControlError(
        f"no resource {uri[:120]!r}", code="unknown_resource",
        hint="resources/list and resources/templates/list name them; for instance "
        "openmm://bots or openmm://bots/btc-grid/limits",
    )  # fmt: skip


def listed(bots: list[str]) -> list[types.Resource]:
    """List the resources: of the host, and of each bot that the client sees."""
    found = [_resource(action, doc) for action, doc in WHOLE.items()]
    found += [_resource(action, f"{OF_BOTS[action]}: of every bot") for action in TOGETHER]
    for bot in bots[:BOTS_MAX]:
        found += [_resource(action, f"{bot}: {doc}", bot) for action, doc in OF_BOTS.items()]
    return found


def templates() -> list[types.ResourceTemplate]:
    """List the forms of addresses that name a bot."""
    return [
        types.ResourceTemplate(
            name=f"bot_{action}",
            uri_template=f"{SCHEME}bots/{{bot}}/{action}",
            description=doc,
            mime_type="application/json",
        )
        for action, doc in OF_BOTS.items()
    ]


def _resource(action: str, doc: str, bot: str = "") -> types.Resource:
    return types.Resource(
        name=f"{bot} {action}".strip(),
        uri=address(action, bot),
        description=doc,
        mime_type="application/json",
    )
