"""The venues by name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Literal

import pytest

from openmm.clock import ManualClock
from openmm.config.schema import ENDPOINT_KEYS, Endpoints, Venue
from openmm.config.values import is_loopback
from openmm.errors import ConfigError, TransportError
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


@pytest.mark.parametrize(
    ("name", "keys", "variable"),
    [
        ("kraken", Keys("public", "s3cret!"), "OPENMM_TWO_B_SECRET"),
        ("kraken", Keys("", "czNjcmV0"), "OPENMM_TWO_B_KEY"),
        ("gateio", Keys("public", ""), "OPENMM_TWO_B_SECRET"),
        ("gateio", Keys("s3cret\n", "s3cret"), "OPENMM_TWO_B_KEY"),
        ("bitget", Keys("s3cret\n", "s3cret", "pass"), "OPENMM_TWO_B_KEY"),
        ("bitget", Keys("public", "", "pass"), "OPENMM_TWO_B_SECRET"),
        ("bitget", Keys("public", "s3cret", "s3cret phrase"), "OPENMM_TWO_B_PASSPHRASE"),
    ],
)
def test_bad_key_is_named_as_the_operator_gave_it_and_not_shown(
    name: str, keys: Keys, variable: str
) -> None:
    config = Venue.model_validate({"name": name, "label": "two-b", "quote": "BTC/USD"})
    for make in (registry.connector, registry.venue):
        with pytest.raises(ConfigError) as caught:
            make(config, keys)
        assert caught.value.path == variable
        assert str(caught.value).endswith("; got '<redacted>'")
        assert "s3cret" not in str(caught.value)
        assert caught.value.__cause__ is None


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


@pytest.mark.parametrize("name", registry.VENUES)
def test_addresses_a_live_bot_needs_are_all_that_lead_to_the_venue(name: str) -> None:
    local = {"ws": "ws://127.0.0.1:1", "ws_auth": "ws://127.0.0.1:2", "rest": "http://127.0.0.1:3"}

    def reached(keys: Iterable[str]) -> set[str]:
        asked: list[str] = []

        class Nowhere:
            async def __call__(
                self, verb: str, base: str, path: str, query: str, body: bytes,
                headers: Mapping[str, str],
            ) -> tuple[int, bytes]:  # fmt: skip
                asked.append(base)
                raise TransportError("nothing answers")

            async def close(self) -> None:
                """Nothing is held."""

        config = Venue.model_validate(
            {"name": name, "quote": "BTC/USD", "endpoints": {key: local[key] for key in keys}}
        )
        connector = registry.connector(config, None, clock=ManualClock(), round_trip=Nowhere())
        with pytest.raises(TransportError):
            asyncio.run(connector.rest().server_time_ns())
        return {connector.public_url, connector.private_url, *asked}

    needed = ENDPOINT_KEYS[name]
    assert all(map(is_loopback, reached(needed)))
    for key in needed:
        assert not all(map(is_loopback, reached(set(needed) - {key})))
