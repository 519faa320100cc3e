"""Read members of MEXC's JSON, and fields of its protobuf messages."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from openmm._fast.proto import read_fields
from openmm.errors import ProtocolError
from openmm.venues.fields import Fields
from openmm.venues.mexc.spec import VENUE

_FIELDS: Final = Fields(VENUE)
loads = _FIELDS.loads
bad = _FIELDS.bad
as_object = _FIELDS.as_object
as_list = _FIELDS.as_list
as_decimal = _FIELDS.as_decimal
as_int = _FIELDS.as_int_or_text
text_of = _FIELDS.text_of
decimal_of = _FIELDS.decimal_or_empty_of

Message = Mapping[int, int | bytes]  # by field number; of a repeated field the last one


def message_of(data: object) -> Message:
    """Read a protobuf message; raise ProtocolError when it is none."""
    if not isinstance(data, bytes):
        raise ProtocolError("message expected", venue=VENUE)
    try:
        return dict(read_fields(data))
    except ValueError as error:
        raise ProtocolError(str(error), venue=VENUE) from error


def proto_text(message: Message, number: int) -> str:
    """Return a text field; "" when it is absent, as this format leaves empty ones out."""
    value = message.get(number, b"")
    if not isinstance(value, bytes):
        raise bad(f"text expected for field {number}", value)
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise bad(f"text expected for field {number}", value) from error


def proto_int(message: Message, number: int) -> int:
    """Return a number field; 0 when it is absent, as this format leaves zeros out."""
    value = message.get(number, 0)
    if not isinstance(value, int):
        raise bad(f"number expected for field {number}", value)
    return value


def proto_decimal(message: Message, number: int) -> Decimal | None:
    """Return a decimal that travels as text; None when it is absent or empty."""
    told = proto_text(message, number)
    return as_decimal(told) if told else None
