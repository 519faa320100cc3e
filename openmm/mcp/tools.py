"""The tools: one an action of the door, and one that tells a client what it may do."""

from __future__ import annotations

from typing import Any, Final

import mcp_types as types

from openmm.control.access import Client
from openmm.control.actions import ACTIONS, Action
from openmm.mcp.schema import of_input, of_output
from openmm.mcp.words import description, words_of

ACCESS: Final = "my_access"
# Told twice they do no more than once; the others place, start or move something each time.
IDEMPOTENT: Final = frozenset({"pause", "halt", "stop", "acknowledge"})
# These ask a venue; the others know only this host and its bots.
OUTSIDE: Final = frozenset({"ticker", "trades", "candles", "create", "place", "flatten"})


def of_action(action: Action) -> types.Tool:
    """Return the tool of one action."""
    words = words_of(action)
    return types.Tool(
        name=words.tool,
        title=words.title,
        description=description(action),
        input_schema=of_input(action),
        output_schema=of_output(action),
        annotations=types.ToolAnnotations(
            title=words.title,
            read_only_hint=not action.writes,
            destructive_hint=action.writes and words.destructive,
            idempotent_hint=not action.writes or action.name in IDEMPOTENT,
            open_world_hint=action.name in OUTSIDE,
        ),
    )


TOOLS: Final = {words_of(action).tool: action for action in ACTIONS.values()}
_LISTED: Final = {name: of_action(action) for name, action in TOOLS.items()}
_ACCESS_TOOL: Final = types.Tool(
    name=ACCESS,
    title="What you may do here",
    description="Tell which scopes, bots and caps you have, which tools that leaves out and what "
    "the user can ask the operator for. Money caps are in the quote asset of the bot you command; "
    "null means none at all. Call it when a tool you need is not in the list.\n"
    f"Example: {ACCESS}({{}})",
    input_schema={"type": "object", "properties": {}, "additionalProperties": False},
    output_schema={"type": "object", "properties": {"scopes": {"type": "array"}}},
    annotations=types.ToolAnnotations(
        title="What you may do here",
        read_only_hint=True,
        destructive_hint=False,
        idempotent_hint=True,
        open_world_hint=False,
    ),
)


def listed(client: Client) -> list[types.Tool]:
    """List the tools that a client's scopes grant, `my_access` first."""
    granted = [_LISTED[name] for name, action in TOOLS.items() if client.may(action.scope)]
    return [_ACCESS_TOOL, *granted]


def schema_of(tool: str) -> dict[str, Any] | None:
    """Return a tool's input schema, None when there is no such tool."""
    if tool == ACCESS:
        return _ACCESS_TOOL.input_schema
    found = _LISTED.get(tool)
    return None if found is None else found.input_schema


def access_of(client: Client, bots: list[str]) -> dict[str, Any]:
    """Return what a client may do, and what it would have to ask for.

    Args:
        bots: names of those it sees.
    """
    caps = client.caps
    missing = {
        name: action.scope.value for name, action in TOOLS.items() if not client.may(action.scope)
    }
    return {
        "client": client.name,
        "scopes": sorted(scope.value for scope in client.scopes),
        "bots": bots,
        "caps": {
            "requests_per_minute": caps.requests_per_minute,
            "orders_per_minute": caps.orders_per_minute,
            "order_notional": None if caps.order_notional is None else str(caps.order_notional),
            "notional_per_hour": (
                None if caps.notional_per_hour is None else str(caps.notional_per_hour)
            ),
        },
        "not_granted": missing,
        "ask_the_operator": (
            "Everything is granted."
            if not missing
            else "The operator grants a scope in a terminal: openmm token add --help"
        ),
    }
