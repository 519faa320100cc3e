"""Coinbase: how the rest of the engine comes to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from openmm.clock import Clock
from openmm.config import Venue as VenueConfig
from openmm.config import read_options
from openmm.venues.coinbase.connector import CoinbaseConnector
from openmm.venues.coinbase.rest import Rest
from openmm.venues.coinbase.spec import Endpoints
from openmm.venues.coinbase.venue import CoinbaseVenue
from openmm.venues.connector import Keys
from openmm.venues.entry import Entry
from openmm.venues.http import RoundTrip
from openmm.venues.watched import CAPABILITIES

if TYPE_CHECKING:
    from openmm.venues.capture import Verified


def _rest(
    config: VenueConfig, keys: Keys | None, clock: Clock, round_trip: RoundTrip | None = None
) -> Rest:
    del keys  # nothing here asks for one
    read_options(config)
    known = Endpoints()
    endpoints = Endpoints(
        ws=config.endpoints.ws or known.ws,
        rest=(config.endpoints.rest or known.rest).rstrip("/"),
    )
    return Rest(endpoints, clock, round_trip=round_trip)


def _verify(path: Path) -> Verified:
    from openmm.venues.coinbase.verify import verify  # a bot needs no reader of recordings

    return verify(path)


ENTRY: Final = Entry(
    "coinbase",
    CAPABILITIES,
    lambda *args: CoinbaseConnector(_rest(*args)),
    lambda *args: CoinbaseVenue(_rest(*args)),
    _verify,
)
