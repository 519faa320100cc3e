"""MEXC: how the rest of the engine comes to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from openmm.clock import Clock
from openmm.config import Venue as VenueConfig
from openmm.config import read_options
from openmm.venues.connector import Keys
from openmm.venues.entry import Entry, named_key
from openmm.venues.http import RoundTrip
from openmm.venues.mexc.auth import Key
from openmm.venues.mexc.connector import MexcConnector
from openmm.venues.mexc.rest import Rest
from openmm.venues.mexc.spec import Endpoints, Settings
from openmm.venues.mexc.venue import CAPABILITIES, MexcVenue

if TYPE_CHECKING:
    from openmm.venues.capture import Verified


def _rest(
    config: VenueConfig, keys: Keys | None, clock: Clock, round_trip: RoundTrip | None = None
) -> Rest:
    known = Endpoints()
    endpoints = Endpoints(
        ws=config.endpoints.ws or known.ws,
        ws_private=config.endpoints.ws_auth or "",
        rest=(config.endpoints.rest or known.rest).rstrip("/"),
    )
    key = named_key(config, lambda: None if keys is None else Key(keys.key, keys.secret))
    return Rest(endpoints, key, clock, Settings(**read_options(config)), round_trip=round_trip)


def _verify(path: Path) -> Verified:
    from openmm.venues.mexc.verify import verify  # a bot needs no reader of recordings

    return verify(path)


ENTRY: Final = Entry(
    "mexc",
    CAPABILITIES,
    lambda *args: MexcConnector(_rest(*args)),
    lambda *args: MexcVenue(_rest(*args)),
    _verify,
)
