"""Bitget: how the rest of the engine comes to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from openmm.clock import Clock
from openmm.config import Venue as VenueConfig
from openmm.config import read_options
from openmm.venues.bitget.auth import Key
from openmm.venues.bitget.connector import BitgetConnector
from openmm.venues.bitget.rest import Rest
from openmm.venues.bitget.spec import Endpoints, Settings
from openmm.venues.bitget.venue import CAPABILITIES, BitgetVenue
from openmm.venues.connector import Keys
from openmm.venues.entry import Entry, named_key
from openmm.venues.http import RoundTrip

if TYPE_CHECKING:
    from openmm.venues.capture import Verified


def _rest(
    config: VenueConfig, keys: Keys | None, clock: Clock, round_trip: RoundTrip | None = None
) -> Rest:
    known = Endpoints()
    endpoints = Endpoints(
        ws_public=config.endpoints.ws or known.ws_public,
        ws_private=config.endpoints.ws_auth or known.ws_private,
        rest=(config.endpoints.rest or known.rest).rstrip("/"),
    )
    key = named_key(
        config, lambda: None if keys is None else Key(keys.key, keys.secret, keys.passphrase)
    )
    settings = Settings(**read_options(config))
    return Rest(endpoints, key, clock, settings, round_trip=round_trip)


def _verify(path: Path) -> Verified:
    from openmm.venues.bitget.verify import verify  # a bot needs no reader of recordings

    return verify(path)


ENTRY: Final = Entry(
    "bitget",
    CAPABILITIES,
    lambda *args: BitgetConnector(_rest(*args)),
    lambda *args: BitgetVenue(_rest(*args)),
    _verify,
)
