"""The OpenAPI schema of the door's actions: paths, arguments, answers, all from `ACTIONS`."""

from __future__ import annotations

from typing import Any, Final

from openmm.control.actions import Action, Param
from openmm.control.arguments import (
    CHANGES_MAX,
    DESCRIPTION_CHARS_MAX,
    TEXT_CHARS_MAX,
)
from openmm.gateway.refusals import ANSWERS

MARKET: Final = frozenset({"ticker", "trades", "candles"})
KEY_CHARS_MAX: Final = 100
PREVIEW_CHARS_MAX: Final = 200
_ERROR: Final = {"$ref": "#/components/schemas/Error"}
_TAGS: Final = {"read": "read", "brake": "brakes"}

COMPONENTS: Final[dict[str, Any]] = {
    "schemas": {
        "Error": {
            "type": "object",
            "required": ["error"],
            "additionalProperties": False,
            "properties": {
                "error": {
                    "type": "object",
                    "required": ["code", "message", "hint"],
                    "additionalProperties": False,
                    "properties": {
                        "code": {"type": "string", "description": "a word that stays as it is"},
                        "message": {"type": "string", "description": "what was wrong, and how"},
                        "hint": {"type": "string", "description": "what to do next"},
                    },
                }
            },
        },
        "Result": {
            "type": "object",
            "description": "Decimals are exact texts; moments are ISO 8601 in UTC with a field in "
            "nanoseconds beside.",
        },
        "Preview": {
            "type": "object",
            "required": ["preview", "expires_s"],
            "properties": {
                "preview": {"type": "string", "description": "token of this very request"},
                "expires_s": {"type": "integer"},
            },
        },
    },
    "securitySchemes": {
        "bearer": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": "openmm_session"},
    },
}


def path_of(action: Action) -> str:
    """Return the path of an action."""
    if action.bot:
        return f"/api/bots/{{bot}}/{action.name}"
    return f"/api/market/{action.name}" if action.name in MARKET else f"/api/{action.name}"


def of_param(param: Param) -> dict[str, Any]:
    """Return the JSON schema of one argument."""
    schema: dict[str, Any]
    match param.kind:
        case "integer":
            schema = {"type": "integer", "minimum": 1, "maximum": param.most or 1_000_000}
        case "decimal":
            # Not zero, as exact text: a JSON number may lose digits on its way.
            schema = {
                "type": "string",
                "pattern": r"^(?!0+(\.0+)?$)[0-9]{1,12}(\.[0-9]{1,18})?$",
            }
        case "flag":
            schema = {"type": "boolean"}
        case "choice":
            schema = {"type": "string", "enum": list(param.choices)}
        case "changes":
            schema = {
                "type": "object", "minProperties": 1, "maxProperties": CHANGES_MAX,
                "propertyNames": {"pattern": r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$", "maxLength": 80},
                "additionalProperties": {
                    "type": "string", "minLength": 1, "maxLength": 100, "pattern": r"^[ -~]+$",
                },
            }  # fmt: skip
        case _:
            most = DESCRIPTION_CHARS_MAX if param.name == "description" else TEXT_CHARS_MAX
            schema = {"type": "string", "maxLength": most, "pattern": r"^[ -~]*$"}
            if param.required:
                schema |= {"minLength": 1, "pattern": r"^[!-~]([ -~]*[!-~])?$"}
    schema["description"] = param.doc
    if param.default is not None:
        schema["default"] = param.default
    return schema


def _parameters(action: Action, *, body: bool) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if action.bot:
        found.append(
            {
                "name": "bot", "in": "path", "required": True,
                "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,31}$"},
                "description": "the bot's name",
            }
        )  # fmt: skip
    if not body:
        found += [
            {
                "name": one.name, "in": "query", "required": one.required,
                "schema": {k: v for k, v in of_param(one).items() if k != "description"},
                "description": one.doc,
            }
            for one in action.params
        ]  # fmt: skip
    return found


def _answers(result: str) -> dict[str, Any]:
    def content(schema: dict[str, Any]) -> dict[str, Any]:
        return {"application/json": {"schema": schema}}

    answers: dict[str, Any] = {
        "200": {
            "description": "done",
            "content": content({"$ref": f"#/components/schemas/{result}"}),
        }
    }
    for one in ANSWERS:
        answers[str(one.status)] = {"description": one.when, "content": content(_ERROR)}
        if one.status in (429, 503):
            answers[str(one.status)]["headers"] = {
                "Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}
            }
    return answers


def _body(action: Action, *, preview: bool) -> dict[str, Any]:
    fields = {one.name: of_param(one) for one in action.params}
    required = [one.name for one in action.params if one.required]
    if action.previewed and not preview:
        fields["preview"] = {
            "type": "string", "minLength": 1, "maxLength": PREVIEW_CHARS_MAX,
            "pattern": r"^[!-~]+$",
            "description": f"token that POST {path_of(action)}/preview gave for these arguments",
        }  # fmt: skip
        required.append("preview")
    schema: dict[str, Any] = {
        "type": "object", "properties": fields, "additionalProperties": False,
    }  # fmt: skip
    if required:
        schema["required"] = required
    return {"required": bool(required), "content": {"application/json": {"schema": schema}}}


def operation(action: Action, *, preview: bool = False) -> dict[str, Any]:
    """Return the OpenAPI operation of an action, or of its preview."""
    takes = _parameters(action, body=action.writes)
    made: dict[str, Any] = {
        "operationId": f"{action.name}_preview" if preview else action.name,
        "summary": f"Preview: {action.doc}" if preview else action.doc,
        "description": f"Scope `{action.scope}`." + (
            " Changes nothing: shows what would change, and gives the token for it."
            if preview
            else " Needs the token of a preview of the same arguments." if action.previewed else ""
        ),
        "tags": [_TAGS.get(action.scope, "writes")],
        "responses": _answers("Preview" if preview else "Result"),
    }  # fmt: skip
    if action.writes:
        made["requestBody"] = _body(action, preview=preview)
        if not preview:
            takes.append(
                {
                    "name": "Idempotency-Key", "in": "header", "required": False,
                    "schema": {
                        "type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX,
                        "pattern": "^[A-Za-z0-9_.:-]+$",
                    },
                    "description": "told again with the same key and arguments it happens once",
                }
            )  # fmt: skip
    if takes:
        made["parameters"] = takes
    return made


def document(version: str, actions: tuple[Action, ...]) -> dict[str, Any]:
    """Return the whole OpenAPI document."""
    paths: dict[str, Any] = {}
    for action in actions:
        path = path_of(action)
        paths.setdefault(path, {})["post" if action.writes else "get"] = operation(action)
        if action.previewed:
            paths[f"{path}/preview"] = {"post": operation(action, preview=True)}
    paths["/readyz"] = {
        "get": {
            "operationId": "readyz", "summary": "whether the gateway can serve",
            "tags": ["read"], "responses": _answers("Result"),
        }
    }  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OpenMM gateway",
            "version": version,
            "description": "Every call goes through the one door: scope, caps, preview, audit.",
        },
        "paths": paths,
        "components": COMPONENTS,
        "security": [{"bearer": []}, {"session": []}],
    }
