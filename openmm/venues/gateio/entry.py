"""Gate.io: how the rest of the engine comes to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from openmm.clock import Clock
from openmm.config import Venue as VenueConfig
from openmm.config import read_options
from openmm.venues.connector import Keys
from openmm.venues.entry import Entry, named_key
from openmm.venues.gateio.auth import Key
from openmm.venues.gateio.connector import GateioConnector
from openmm.venues.gateio.rest import Rest
from openmm.venues.gateio.spec import Endpoints, Settings
from openmm.venues.gateio.venue import CAPABILITIES, GateioVenue
from openmm.venues.http import RoundTrip

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
    return Rest(endpoints, key, clock, round_trip=round_trip)


def _connector(
    config: VenueConfig, keys: Keys | None, clock: Clock, round_trip: RoundTrip | None = None
) -> GateioConnector:
    settings = Settings(**read_options(config))
    return GateioConnector(_rest(config, keys, clock, round_trip), settings=settings)


def _venue(config: VenueConfig, keys: Keys | None, clock: Clock) -> GateioVenue:
    return GateioVenue(_rest(config, keys, clock), Settings(**read_options(config)))


def _verify(path: Path) -> Verified:
    from openmm.venues.gateio.verify import verify  # a bot needs no reader of recordings

    return verify(path)


ENTRY: Final = Entry("gateio", CAPABILITIES, _connector, _venue, _verify)
