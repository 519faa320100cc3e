"""The venues by name."""

from __future__ import annotations

from typing import Literal

import pytest

from openmm.clock import ManualClock
from openmm.config.schema import Endpoints, Venue
from openmm.errors import ConfigError
from openmm.venues import registry
from openmm.venues.connector import Keys


def test_endpoints_of_the_file_replace_the_venues() -> None:
    config = Venue(
        name="kraken",
        quote="BTC/USD",
        endpoints=Endpoints(ws="ws://127.0.0.1:1/v2", ws_auth="ws://127.0.0.1:2/v2"),
    )
    connector = registry.connector(config, None, clock=ManualClock())
    assert connector.public_url == "ws://127.0.0.1:1/v2"
    assert connector.private_url == "ws://127.0.0.1:2/v2"


def test_venue_side_tells_what_it_can_do() -> None:
    venue = registry.venue(Venue(name="kraken", quote="BTC/USD"), None)
    assert venue.name == "kraken"
    assert venue.capabilities == registry.get("kraken").capabilities


def test_bad_key_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError) as caught:
        registry.connector(Venue(name="kraken", quote="BTC/USD"), Keys("public", "s3cret!"))
    assert "s3cret" not in str(caught.value)


def test_unknown_venue_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="kraken"):
        registry.get("nowhere")


def test_options_of_a_venue_are_its_own() -> None:
    gateio = Venue(name="gateio", quote="BTC/USDT", options={"account": "unified"})
    assert gateio.depth == 50
    assert registry.connector(gateio, None).name == "gateio"
    assert registry.venue(gateio, None).capabilities == registry.get("gateio").capabilities
    bad: list[tuple[Literal["kraken", "gateio"], dict[str, str | int | bool]]] = [
        ("kraken", {"account": "unified"}), ("gateio", {"colour": "red"}),
        ("gateio", {"account": "mine"}), ("gateio", {"deadline_ms": "5000"}),
    ]  # fmt: skip
    for name, options in bad:
        with pytest.raises(ConfigError):
            registry.connector(Venue(name=name, quote="BTC/USD", options=options), None)
