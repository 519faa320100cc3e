"""The venues this build knows, by name. A venue's code is loaded when it is first asked for."""

from __future__ import annotations

import importlib
from typing import Final

from openmm.clock import Clock, RealClock
from openmm.config import Venue as VenueConfig
from openmm.errors import ConfigError
from openmm.venues.base import Venue
from openmm.venues.connector import Connector, Keys
from openmm.venues.entry import Entry
from openmm.venues.http import RoundTrip as RoundTrip

# Each a folder here, whose module `entry` holds its Entry.
VENUES: Final = ("kraken", "gateio", "bitget", "mexc", "binance", "coinbase")


def get(name: str) -> Entry:
    """Return a venue by name.

    Raises:
        ConfigError: for a name this build does not know.
    """
    if name not in VENUES:
        raise ConfigError("venue.name", name, f"one of {', '.join(VENUES)}")
    entry: Entry = importlib.import_module(f"openmm.venues.{name}.entry").ENTRY
    return entry


def connector(
    config: VenueConfig,
    keys: Keys | None,
    *,
    clock: Clock | None = None,
    round_trip: RoundTrip | None = None,
) -> Connector:
    """Make the engine's side of a configured venue.

    Args:
        keys: without them nothing private can be asked or ordered.
        round_trip: carries requests instead of HTTP, to a venue in this process.
    """
    return get(config.name).connector(config, keys, clock or RealClock(), round_trip)


def venue(config: VenueConfig, keys: Keys | None, *, clock: Clock | None = None) -> Venue:
    """Make the request-and-reply side of a configured venue."""
    return get(config.name).venue(config, keys, clock or RealClock())
