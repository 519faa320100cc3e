"""The venues by name: those of this build, and those that installed packages bring.

A venue's code is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import Final

from openmm.clock import Clock, RealClock
from openmm.config import Venue as VenueConfig
from openmm.config.schema import ENTRY_POINTS, plugged
from openmm.errors import ConfigError
from openmm.venues.base import Venue
from openmm.venues.connector import Connector, Keys
from openmm.venues.entry import Entry as Entry
from openmm.venues.http import RoundTrip as RoundTrip

# Each a folder here, whose module `entry` holds its Entry.
VENUES: Final = ("kraken", "gateio", "bitget", "mexc", "binance", "coinbase")


def names() -> tuple[str, ...]:
    """List the venues of this build, then those that installed packages bring."""
    return (*VENUES, *(name for name in plugged() if name not in VENUES))


def get(name: str) -> Entry:
    """Return a venue by name: of this build, or of an installed package's entry point.

    Raises:
        ConfigError: for a name nobody knows, or a package that brings something else.
    """
    if name in VENUES:
        own: Entry = importlib.import_module(f"openmm.venues.{name}.entry").ENTRY
        return own
    for point in entry_points(group=ENTRY_POINTS, name=name):
        try:
            entry = point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError("venue.name", name, f"{point.value} to be there: {error}") from error
        if not isinstance(entry, Entry) or entry.name != name:
            raise ConfigError(
                "venue.name", name, f"{point.value} to be an Entry of that name; it is {entry!r}"
            )
        return entry
    raise ConfigError("venue.name", name, f"one of {', '.join(names())}")


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
