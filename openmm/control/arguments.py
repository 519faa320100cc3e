"""The arguments of a call, checked against what its action takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from openmm.control.actions import Action, Param
from openmm.control.audit import redacted
from openmm.errors import ControlError

TEXT_CHARS_MAX: Final = 400
DESCRIPTION_CHARS_MAX: Final = 2_000
CHANGES_MAX: Final = 40
DECIMAL_MAX: Final = Decimal(10**15)
DECIMAL_CHARS_MAX: Final = 40
BOT_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
FILE_KEY: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
_BOT = Param("bot", "text", "the bot's name")


def takes(action: Action) -> tuple[Param, ...]:
    """Return everything an action takes, the bot's name among it."""
    return (_BOT, *action.params) if action.bot else action.params


def checked(action: Action, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments in one form, defaults filled in: the same request, the same values.

    Raises:
        ControlError: an argument is unknown, missing or will not do (`bad_argument`); the text
            names it, what is allowed, and what was given.
    """
    params = takes(action)
    known = {one.name for one in params}
    if not isinstance(args, Mapping):
        raise _bad("arguments", args, "an object")
    for name in args:
        if name not in known:
            raise _bad(str(name), args[name], f"{action.name} takes {_names(params)}")
    found: dict[str, Any] = {}
    for one in params:
        value = args.get(one.name)
        if value is None:
            if one.required:
                raise _bad(one.name, None, f"{action.name} needs it: {one.doc}")
            value = one.default
        found[one.name] = value if value is None else _one(one, value)
    return found


def _names(params: tuple[Param, ...]) -> str:
    return ", ".join(one.name for one in params) or "no argument"


def _one(param: Param, value: Any) -> str | int | dict[str, str]:
    match param.kind:
        case "choice":
            if value not in param.choices:
                raise _bad(param.name, value, f"one of {', '.join(param.choices)}")
            return str(value)
        case "integer":
            return _integer(param, value)
        case "flag":
            if not isinstance(value, bool):
                raise _bad(param.name, value, "true or false")
            return value
        case "decimal":
            return _decimal(param, value)
        case "changes":
            return _changes(param, value)
    return _text(param, value)


def _integer(param: Param, value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        value = int(value)
    most = param.most if param.most is not None else 1_000_000
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise _bad(param.name, value, f"an integer from 1 to {most}")
    return value


def _decimal(param: Param, value: Any) -> str:
    allowed = 'a positive number as exact text, such as "0.01"'
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() < 60:
        value = str(value)
    if not isinstance(value, str) or len(value) > DECIMAL_CHARS_MAX or not value.isascii():
        raise _bad(param.name, value, allowed)
    # No exponent: sixteen characters can be a number of a billion digits.
    if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,20})?", value):
        raise _bad(param.name, value, allowed)
    number = Decimal(value)
    if not 0 < number <= DECIMAL_MAX:
        raise _bad(param.name, value, f"{allowed}, of at most {DECIMAL_MAX}")
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _changes(param: Param, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not 0 < len(value) <= CHANGES_MAX:
        raise _bad(param.name, value, f"an object of 1 to {CHANGES_MAX} file keys, each a text")
    for key, text in value.items():
        if not isinstance(key, str) or len(key) > 80 or not FILE_KEY.fullmatch(key):
            raise _bad(param.name, key, "keys as in the file, such as strategy.spread")
        if not isinstance(text, str) or len(text) > 100 or not text.isprintable():
            raise _bad(f"{param.name}.{key}", text, 'a text of 1 to 100 characters, as "0.4%"')
    return dict(sorted(value.items()))


def _text(param: Param, value: Any) -> str:
    most = DESCRIPTION_CHARS_MAX if param.name == "description" else TEXT_CHARS_MAX
    if not (isinstance(value, str) and len(value) <= most and _printable(value)):
        raise _bad(param.name, value, f"a text of at most {most} printable characters")
    text: str = value.strip()
    if not text and param.required:
        raise _bad(param.name, value, f"a text that is not empty: {param.doc}")
    if param.name == "bot" and not BOT_NAME.fullmatch(text):
        raise _bad(param.name, value, "1 to 32 of a-z, 0-9 and -")
    return text


def _printable(value: str) -> bool:
    return all(one.isprintable() or one in "\n\t" for one in value)


def _bad(name: str, value: object, allowed: str) -> ControlError:
    text = repr(redacted(value, name.rpartition(".")[2]))
    short = text if len(text) <= 80 else text[:80] + "…"
    got = "nothing" if value is None else short
    return ControlError(f"{name[:80]}: {allowed}; got {got}", code="bad_argument")
