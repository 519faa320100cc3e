"""Read members of a venue's JSON: exact decimals, and an error for what is not as it should be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NoReturn

from openmm.errors import ProtocolError


def loads(data: bytes | str) -> object:
    """Parse JSON with exact decimals; raise ProtocolError on anything else.

    The standard library's parser is used because it hands numbers over as text; faster ones go
    through binary floats.
    """
    try:
        return json.loads(data, parse_float=Decimal, parse_constant=_not_a_number)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {error}") from error


def _not_a_number(text: str) -> NoReturn:
    raise ValueError(f"not a JSON number: {text}")


def bad(what: str, value: object) -> ProtocolError:
    """Make the error for a value that is not what it should be."""
    return ProtocolError(f"{what}; got {value!r}"[:200])


def as_object(value: object) -> Mapping[str, Any]:
    """Require a JSON object."""
    if not isinstance(value, dict):
        raise bad("object expected", value)
    return value


def as_list(value: object) -> Sequence[Any]:
    """Require a JSON array."""
    if not isinstance(value, list):
        raise bad("array expected", value)
    return value


def as_decimal(value: object) -> Decimal:
    """Require a finite number, or its text."""
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except ArithmeticError as error:
            raise bad("number expected", value) from error
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise bad("number expected", value)
    number = Decimal(value)
    if not number.is_finite():
        raise bad("finite number expected", value)
    return number


def as_int(value: object) -> int:
    """Require an integer, or its text: venues write ids and times either way."""
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad("integer expected", value)
    return value


def text_of(fields: Mapping[str, Any], name: str, default: str = "") -> str:
    """Return a text member; `default` when it is absent or null."""
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise bad(f"text expected for {name}", value)
    return value


def decimal_of(fields: Mapping[str, Any], name: str) -> Decimal | None:
    """Return a number member; None when it is absent, null or an empty text."""
    value = fields.get(name)
    return None if value is None or value == "" else as_decimal(value)
