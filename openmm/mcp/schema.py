"""JSON schemas of tools, from the arguments of the door's actions."""

from __future__ import annotations

from typing import Any, Final

from openmm.control.actions import Action, Param
from openmm.control.arguments import (
    BOT_NAME,
    CHANGES_MAX,
    DECIMAL_CHARS_MAX,
    DESCRIPTION_CHARS_MAX,
    FILE_KEY,
    TEXT_CHARS_MAX,
    takes,
)

PREVIEW_TOKEN: Final[dict[str, Any]] = {
    "type": "string",
    "maxLength": 200,
    "description": "Leave it out in the first call: nothing happens, you get a preview and its "
    "token. To carry it out, call again with the very same arguments and this token.",
}
KEY: Final[dict[str, Any]] = {
    "type": "string",
    "maxLength": 100,
    "pattern": r"^[A-Za-z0-9._:-]*$",
    "description": "Idempotency key of your choice, optional: a call repeated with the same key "
    "and arguments happens once and returns its first answer. Use it when a call timed out.",
}
LIST: Final[dict[str, Any]] = {"type": "array", "items": {"type": "object"}}
OBJECT: Final[dict[str, Any]] = {"type": "object"}
# What answers hold at their top, where one word says it; all else is free to grow.
FIELDS: Final[dict[str, dict[str, Any]]] = {
    "bots": {"bots": LIST},
    "status": {"risk_state": {"type": "string"}, "pnl": OBJECT, "inventory": OBJECT},
    "book": {"bids": LIST, "asks": LIST, "spread_bps": {"type": ["string", "null"]}},
    "orders": {"orders": LIST},
    "fills": {"fills": LIST},
    "pnl": {"pnl": OBJECT, "by_cause": OBJECT},
    "portfolio": {"bots": LIST, "by_currency": LIST, "holdings": LIST},
    "groups": {"groups": LIST},
    "limits": {"limits": LIST},
    "venues": {"venues": LIST},
    "config": {"config": OBJECT},
    "audit": {"records": LIST},
}
ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Only when the call was refused or failed.",
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "hint": {"type": "string", "description": "what to do next"},
        "retryable": {"type": "boolean"},
        "details": {"type": "object", "description": "the limit, its value, the value seen"},
    },
}
DIFF: Final[dict[str, Any]] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"key": {"type": "string"}, "before": {}, "after": {}},
    },
}


def of_param(param: Param) -> dict[str, Any]:
    """Return the schema of one argument, with the bounds that the door holds it to."""
    found: dict[str, Any]
    match param.kind:
        case "choice":
            found = {"type": "string", "enum": list(param.choices)}
        case "integer":
            most = param.most if param.most is not None else 1_000_000
            found = {"type": "integer", "minimum": 1, "maximum": most}
        case "flag":
            found = {"type": "boolean"}
        case "decimal":
            found = {
                "type": "string",
                "maxLength": DECIMAL_CHARS_MAX,
                "pattern": r"^[0-9]{1,15}(\.[0-9]{1,18})?$",
            }
        case "changes":
            found = {
                "type": "object",
                "minProperties": 1,
                "maxProperties": CHANGES_MAX,
                "propertyNames": {"pattern": f"^{FILE_KEY.pattern}$", "maxLength": 80},
                "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 100},
            }
        case _:
            long = param.name == "description"
            most = DESCRIPTION_CHARS_MAX if long else TEXT_CHARS_MAX
            found = {"type": "string", "maxLength": most}
            if param.name == "bot":
                found = {"type": "string", "pattern": f"^{BOT_NAME.pattern}$"}
    found["description"] = param.doc
    if param.default not in (None, ""):
        found["default"] = param.default
    return found


def of_input(action: Action) -> dict[str, Any]:
    """Return the schema of a tool's arguments."""
    params = takes(action)
    properties = {one.name: of_param(one) for one in params}
    if action.previewed:
        properties["preview_token"] = PREVIEW_TOKEN
    if action.writes:
        properties["key"] = KEY
    return {
        "type": "object",
        "properties": properties,
        "required": [one.name for one in params if one.required],
        "additionalProperties": False,
    }


def of_output(action: Action) -> dict[str, Any]:
    """Return the schema of what a tool returns: always an object, decimals as exact text."""
    properties: dict[str, Any] = {"error": ERROR, **FIELDS.get(action.name, {})}
    if action.bot:
        properties["bot"] = {"type": "string"}
    if action.previewed:
        properties |= {
            "preview_token": {"type": "string", "description": "only of a preview"},
            "expires_s": {"type": "integer"},
            "diff": DIFF,
            "next": {"type": "string", "description": "what to do with the preview"},
        }
    if action.writes:
        properties["repeated"] = {
            "type": "boolean",
            "description": "true: it happened before, this is the first answer again",
        }
    return {"type": "object", "properties": properties}
