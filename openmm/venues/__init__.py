"""Everything about each venue, one folder a venue; and the door to them for programs.

`connect` returns a venue to talk to, the same calls whichever it is (docs/embedding.md). Each name
below is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openmm.venues.base import Balance as Balance
    from openmm.venues.base import Candle as Candle
    from openmm.venues.base import KeyRights as KeyRights
    from openmm.venues.base import MarketTrade as MarketTrade
    from openmm.venues.base import OrderBook as OrderBook
    from openmm.venues.base import PlaceOrder as PlaceOrder
    from openmm.venues.base import ServerTime as ServerTime
    from openmm.venues.base import Venue as Venue
    from openmm.venues.connector import Capabilities as Capabilities
    from openmm.venues.desk import Desk as Desk
    from openmm.venues.desk import connect as connect
    from openmm.venues.entry import Entry as Entry
    from openmm.venues.faults import Code as Code
    from openmm.venues.registry import names as names
    from openmm.venues.remedies import advice as advice
    from openmm.venues.stream import BookUpdated as BookUpdated
    from openmm.venues.stream import StreamLost as StreamLost

_PUBLIC = {
    "Balance": "base",
    "BookUpdated": "stream",
    "Candle": "base",
    "Capabilities": "connector",
    "Code": "faults",
    "Desk": "desk",
    "Entry": "entry",
    "KeyRights": "base",
    "MarketTrade": "base",
    "OrderBook": "base",
    "PlaceOrder": "base",
    "ServerTime": "base",
    "StreamLost": "stream",
    "Venue": "base",
    "advice": "remedies",
    "connect": "desk",
    "names": "registry",
}


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"openmm.venues.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
