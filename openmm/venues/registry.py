"""The venues this build knows, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct

from openmm.clock import Clock, RealClock
from openmm.config import Venue as VenueConfig
from openmm.config import read_options
from openmm.config.secrets import env_names, passphrase_name
from openmm.errors import ConfigError
from openmm.venues.base import Venue
from openmm.venues.bitget.auth import Key as BitgetKey
from openmm.venues.bitget.connector import BitgetConnector
from openmm.venues.bitget.rest import Rest as BitgetRest
from openmm.venues.bitget.spec import Endpoints as BitgetEndpoints
from openmm.venues.bitget.spec import Settings as BitgetSettings
from openmm.venues.bitget.venue import CAPABILITIES as BITGET_CAPABILITIES
from openmm.venues.bitget.venue import BitgetVenue
from openmm.venues.connector import Capabilities, Connector, Keys
from openmm.venues.gateio.auth import Key as GateioKey
from openmm.venues.gateio.connector import GateioConnector
from openmm.venues.gateio.rest import Rest as GateioRest
from openmm.venues.gateio.spec import Endpoints as GateioEndpoints
from openmm.venues.gateio.spec import Settings
from openmm.venues.gateio.venue import CAPABILITIES as GATEIO_CAPABILITIES
from openmm.venues.gateio.venue import GateioVenue
from openmm.venues.http import RoundTrip as RoundTrip
from openmm.venues.kraken.auth import Key
from openmm.venues.kraken.connector import KrakenConnector
from openmm.venues.kraken.rest import Rest
from openmm.venues.kraken.spec import Endpoints
from openmm.venues.kraken.venue import CAPABILITIES as KRAKEN_CAPABILITIES
from openmm.venues.kraken.venue import KrakenVenue

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


def _key(config: VenueConfig, make: Callable[[], K]) -> K:
    """Make a key; one that is refused is named as the operator gave it."""
    try:
        return make()
    except ConfigError as error:
        key, secret = env_names(config.label)
        names = {"api_key": key, "secret": secret, "passphrase": passphrase_name(config.label)}
        raise ConfigError(names[error.path], error.value, error.allowed) from None


def _kraken_rest(
    config: VenueConfig, keys: Keys | None, clock: Clock, round_trip: RoundTrip | None = None
) -> Rest:
    read_options(config)
    known = Endpoints()
    endpoints = Endpoints(
        ws_public=config.endpoints.ws or known.ws_public,
        ws_private=config.endpoints.ws_auth or known.ws_private,
        rest=(config.endpoints.rest or known.rest).rstrip("/"),
    )
    key = _key(config, lambda: None if keys is None else Key(keys.key, keys.secret, clock))
    return Rest(endpoints, key, clock, round_trip=round_trip)


def _gateio_rest(
    config: VenueConfig, keys: Keys | None, clock: Clock, round_trip: RoundTrip | None = None
) -> GateioRest:
    known = GateioEndpoints()
    endpoints = GateioEndpoints(
        ws=config.endpoints.ws or known.ws,
        ws_private=config.endpoints.ws_auth or "",
        rest=(config.endpoints.rest or known.rest).rstrip("/"),
    )
    key = _key(config, lambda: None if keys is None else GateioKey(keys.key, keys.secret))
    return GateioRest(endpoints, key, clock, round_trip=round_trip)


def _gateio_connector(
    config: VenueConfig, keys: Keys | None, clock: Clock, round_trip: RoundTrip | None = None
) -> GateioConnector:
    settings = Settings(**read_options(config))
    return GateioConnector(_gateio_rest(config, keys, clock, round_trip), settings=settings)


def _gateio_venue(config: VenueConfig, keys: Keys | None, clock: Clock) -> GateioVenue:
    return GateioVenue(_gateio_rest(config, keys, clock), Settings(**read_options(config)))


def _bitget_rest(
    config: VenueConfig, keys: Keys | None, clock: Clock, round_trip: RoundTrip | None = None
) -> BitgetRest:
    known = BitgetEndpoints()
    endpoints = BitgetEndpoints(
        ws_public=config.endpoints.ws or known.ws_public,
        ws_private=config.endpoints.ws_auth or known.ws_private,
        rest=(config.endpoints.rest or known.rest).rstrip("/"),
    )
    key = _key(
        config,
        lambda: None if keys is None else BitgetKey(keys.key, keys.secret, keys.passphrase),
    )
    settings = BitgetSettings(**read_options(config))
    return BitgetRest(endpoints, key, clock, settings, round_trip=round_trip)


def _verify_bitget(path: Path) -> Verified:
    from openmm.venues.bitget.verify import verify  # a bot needs no reader of recordings

    return verify(path)


def _verify_gateio(path: Path) -> Verified:
    from openmm.venues.gateio.verify import verify  # a bot needs no reader of recordings

    return verify(path)


def _verify_kraken(path: Path) -> Verified:
    from openmm.venues.kraken.verify import verify  # a bot needs no reader of recordings

    return verify(path)


VENUES: Final = {
    entry.name: entry
    for entry in (
        Entry(
            "kraken",
            KRAKEN_CAPABILITIES,
            lambda *args: KrakenConnector(_kraken_rest(*args)),
            lambda *args: KrakenVenue(_kraken_rest(*args)),
            _verify_kraken,
        ),
        Entry(
            "gateio",
            GATEIO_CAPABILITIES,
            _gateio_connector,
            _gateio_venue,
            _verify_gateio,
        ),
        Entry(
            "bitget",
            BITGET_CAPABILITIES,
            lambda *args: BitgetConnector(_bitget_rest(*args)),
            lambda *args: BitgetVenue(_bitget_rest(*args)),
            _verify_bitget,
        ),
    )
}


def get(name: str) -> Entry:
    """Return a venue by name.

    Raises:
        ConfigError: for a name this build does not know.
    """
    try:
        return VENUES[name]
    except KeyError:
        raise ConfigError("venue.name", name, f"one of {', '.join(VENUES)}") from None


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
