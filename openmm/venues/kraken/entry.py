"""Kraken: how the rest of the engine comes to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from openmm.clock import Clock
from openmm.config import Venue as VenueConfig
from openmm.config import read_options
from openmm.venues.connector import Keys
from openmm.venues.entry import Entry, named_key
from openmm.venues.http import RoundTrip
from openmm.venues.kraken.auth import Key
from openmm.venues.kraken.connector import KrakenConnector
from openmm.venues.kraken.rest import Rest
from openmm.venues.kraken.spec import Endpoints
from openmm.venues.kraken.venue import CAPABILITIES, KrakenVenue

if TYPE_CHECKING:
    from openmm.venues.capture import Verified


def _rest(
    config: VenueConfig, keys: Keys | None, clock: Clock, round_trip: RoundTrip | None = None
) -> Rest:
    read_options(config)
    known = Endpoints()
    endpoints = Endpoints(
        ws_public=config.endpoints.ws or known.ws_public,
        ws_private=config.endpoints.ws_auth or known.ws_private,
        rest=(config.endpoints.rest or known.rest).rstrip("/"),
    )
    key = named_key(config, lambda: None if keys is None else Key(keys.key, keys.secret, clock))
    return Rest(endpoints, key, clock, round_trip=round_trip)


def _verify(path: Path) -> Verified:
    from openmm.venues.kraken.verify import verify  # a bot needs no reader of recordings

    return verify(path)


ENTRY: Final = Entry(
    "kraken",
    CAPABILITIES,
    lambda *args: KrakenConnector(_rest(*args)),
    lambda *args: KrakenVenue(_rest(*args)),
    _verify,
)
