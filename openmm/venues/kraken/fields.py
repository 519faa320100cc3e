"""Read members of Kraken's JSON: an integer is a number, and an absent number is absent or null."""

from __future__ import annotations

from typing import Final

from openmm.venues.fields import Fields
from openmm.venues.kraken.spec import VENUE

_FIELDS: Final = Fields(VENUE)
loads = _FIELDS.loads
bad = _FIELDS.bad
as_object = _FIELDS.as_object
as_list = _FIELDS.as_list
as_decimal = _FIELDS.as_decimal
as_int = _FIELDS.as_int
text_of = _FIELDS.text_of
decimal_of = _FIELDS.decimal_of
