"""Read members of Binance's JSON: integers may come as texts, absent numbers as empty ones."""

from __future__ import annotations

from typing import Final

from openmm.venues.binance.spec import VENUE
from openmm.venues.fields import Fields

_FIELDS: Final = Fields(VENUE)
loads = _FIELDS.loads
bad = _FIELDS.bad
as_object = _FIELDS.as_object
as_list = _FIELDS.as_list
as_decimal = _FIELDS.as_decimal
as_int = _FIELDS.as_int_or_text
text_of = _FIELDS.text_of
decimal_of = _FIELDS.decimal_or_empty_of
