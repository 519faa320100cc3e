"""What a venue's folder offers to the rest: its module `entry` holds one Entry, named ENTRY."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from openmm.clock import Clock
from openmm.config import Venue as VenueConfig
from openmm.config.secrets import env_names, passphrase_name
from openmm.errors import ConfigError
from openmm.venues.base import Venue
from openmm.venues.connector import Capabilities, Connector, Keys
from openmm.venues.http import RoundTrip

if TYPE_CHECKING:
    from openmm.venues.capture import Verified

K = TypeVar("K")


class Entry(Struct, frozen=True):
    """What the surfaces need of a venue. `verify` checks one recording."""

    name: str
    capabilities: Capabilities
    connector: Callable[[VenueConfig, Keys | None, Clock, RoundTrip | None], Connector]
    venue: Callable[[VenueConfig, Keys | None, Clock], Venue]
    verify: Callable[[Path], Verified]


def named_key(config: VenueConfig, make: Callable[[], K]) -> K:
    """Make a key; one that is refused is named as the operator gave it."""
    try:
        return make()
    except ConfigError as error:
        key, secret = env_names(config.label)
        names = {"api_key": key, "secret": secret, "passphrase": passphrase_name(config.label)}
        raise ConfigError(names[error.path], error.value, error.allowed) from None
