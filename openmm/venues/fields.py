"""Read members of a venue's JSON: exact decimals, and an error for what is not as it should be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NoReturn, final

from openmm.errors import ProtocolError
from openmm.instrument import Instrument

# Beyond any price, quantity or id of a venue, and far below what makes arithmetic slow: one
# "1e999999999" would keep whoever turns it into an integer busy for ever.
NUMBER_CHARS_MAX: Final = 64
EXPONENT_MAX: Final = 64


def exact(text: str) -> Decimal:
    """Read a JSON number with a point or an exponent.

    Raises:
        ValueError: no number, or one of a length or size that no venue has.
    """
    if len(text) > NUMBER_CHARS_MAX:
        raise ValueError(f"number of {len(text)} characters")
    try:
        number = Decimal(text)
    except ArithmeticError:
        raise ValueError(f"not a number: {text}") from None
    if number.is_finite() and abs(number.adjusted()) > EXPONENT_MAX:
        raise ValueError(f"number out of range: {text}")
    return number


def whole(text: str) -> int:
    """Read a JSON number without point and exponent.

    Raises:
        ValueError: longer than any venue's.
    """
    if len(text) > NUMBER_CHARS_MAX:
        raise ValueError(f"number of {len(text)} characters")
    return int(text)


def _not_a_number(text: str) -> NoReturn:
    raise ValueError(f"not a JSON number: {text}")


@final
class Fields:
    """The readers of one venue, which its errors name. A venue's `fields.py` picks those it needs.

    Where venues differ there are two readers: one as strict as the venue writes, one that takes
    what others write as well.
    """

    def __init__(self, venue: str) -> None:
        self._venue = venue

    def loads(self, data: bytes | str) -> object:
        """Parse JSON with exact decimals; raise ProtocolError on anything else.

        The standard library's parser is used because it hands numbers over as text; faster ones go
        through binary floats.
        """
        try:
            return json.loads(
                data, parse_float=exact, parse_int=whole, parse_constant=_not_a_number
            )
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"not JSON: {error}", venue=self._venue) from error

    def bad(self, what: str, value: object) -> ProtocolError:
        """Make the error for a value that is not what it should be."""
        return ProtocolError(f"{what}; got {value!r}"[:200], venue=self._venue)

    def as_object(self, value: object) -> Mapping[str, Any]:
        """Require a JSON object."""
        if not isinstance(value, dict):
            raise self.bad("object expected", value)
        return value

    def as_list(self, value: object) -> Sequence[Any]:
        """Require a JSON array."""
        if not isinstance(value, list):
            raise self.bad("array expected", value)
        return value

    def as_decimal(self, value: object) -> Decimal:
        """Require a finite number, or its text."""
        if isinstance(value, str):
            try:
                value = exact(value)
            except ValueError as error:
                raise self.bad("number expected", value) from error
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            raise self.bad("number expected", value)
        number = Decimal(value)
        if not number.is_finite():
            raise self.bad("finite number expected", value)
        return number

    def as_int(self, value: object) -> int:
        """Require an integer; its text is refused."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.bad("integer expected", value)
        return value

    def as_int_or_text(self, value: object) -> int:
        """Require an integer, or its text: some venues write ids and times either way."""
        if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit():
            if len(value) > NUMBER_CHARS_MAX:
                raise self.bad("integer expected", value)
            return int(value)
        return self.as_int(value)

    def text_of(self, fields: Mapping[str, Any], name: str, default: str = "") -> str:
        """Return a text member; `default` when it is absent or null."""
        value = fields.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.bad(f"text expected for {name}", value)
        return value

    def decimal_of(self, fields: Mapping[str, Any], name: str) -> Decimal | None:
        """Return a number member; None when it is absent or null."""
        value = fields.get(name)
        return None if value is None else self.as_decimal(value)

    def decimal_or_empty_of(self, fields: Mapping[str, Any], name: str) -> Decimal | None:
        """Return a number member; None when it is absent, null or an empty text."""
        return None if fields.get(name) == "" else self.decimal_of(fields, name)


def ticks_of(instrument: Instrument | None, price: Decimal | None) -> int | None:
    """Convert a price; None when it is not known or finer than the tick."""
    if instrument is None or price is None:
        return None
    try:
        return instrument.exact_ticks(price)
    except ValueError:
        return None


def lots_of(instrument: Instrument | None, qty: Decimal | None) -> int | None:
    """Convert a quantity; None when it is not known or finer than the lot."""
    if instrument is None or qty is None:
        return None
    try:
        return instrument.exact_lots(qty)
    except ValueError:
        return None
