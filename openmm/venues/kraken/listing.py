"""What the venue says of the pairs it lists, while we trade them.

The `instrument` channel tells all pairs and takes no filter: only those asked for are read here.
A pair that a snapshot lacks, or that cannot be read, is told as such: to quote on would be a guess.

Source: Kraken API documentation, page "Instruments" (WebSocket v2), read 2026-06.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from openmm.errors import ConfigError, ProtocolError
from openmm.events import Event, InstrumentUpdated
from openmm.instrument import Instrument
from openmm.venues.kraken.fields import as_int, as_list, as_object, loads, text_of
from openmm.venues.kraken.private import read_pair

CHANNEL: Final = "instrument"
DELISTED: Final = "delisted"
UNREADABLE: Final = "unreadable"


def read_listing(payload: bytes, wanted: Mapping[str, Instrument]) -> list[Event] | None:
    """Return what a message says of the pairs in `wanted`; None: it is of another channel.

    A message of the channel that makes no sense makes every pair of it unreadable.
    """
    if b'"instrument"' not in payload:
        return None
    try:
        message = as_object(loads(payload))
    except ProtocolError:
        return None
    if message.get("channel") != CHANNEL:
        return None
    try:
        data = as_object(message.get("data"))
        rows = {
            row.get("symbol"): row
            for row in map(as_object, as_list(data.get("pairs") or []))
            if isinstance(row.get("symbol"), str)
        }
        told = {
            text_of(asset, "id"): as_int(asset.get("precision"))
            for asset in map(as_object, as_list(data.get("assets") or []))
        }
    except ProtocolError:
        return [InstrumentUpdated(replace(one, status=UNREADABLE)) for one in wanted.values()]
    events: list[Event] = []
    for name, known in wanted.items():
        row = rows.get(name)
        if row is not None:
            events.append(InstrumentUpdated(_read(row, known, told)))
        elif message.get("type") == "snapshot":
            events.append(InstrumentUpdated(replace(known, status=DELISTED)))
    return events


def _read(row: Mapping[str, Any], known: Instrument, told: Mapping[str, int]) -> Instrument:
    decimals = {known.base: known.base_decimals, known.quote: known.quote_decimals, **told}
    try:
        return read_pair(row, decimals)
    except (ProtocolError, ConfigError):
        return replace(known, status=UNREADABLE)
