"""What `doctor` makes of a key's rights, as the simulated venue tells them."""

from __future__ import annotations

import asyncio

import pytest

from openmm.cli.doctor import _examine
from openmm.clock import RealClock
from openmm.sim.options import SimOptions
from openmm.sim.server import SimServer
from openmm.venues import connect
from openmm.venues.connector import Keys
from openmm.venues.kraken.dialect_rest import KrakenRest
from openmm.venues.kraken.venue import TRADE_RIGHT


async def verdicts(rights: tuple[str, ...] = (TRADE_RIGHT,)) -> dict[str, tuple[str, str]]:
    """Return each check's verdict and words, of a key with these rights."""
    async with asyncio.timeout(30), SimServer(SimOptions(seed=3), RealClock()) as server:
        assert isinstance(server.rest, KrakenRest)
        server.rest.key_permissions = rights
        keys = Keys(str(server.started()["api_key"]), str(server.started()["api_secret"]))
        endpoints = {"ws": server.ws_url, "ws_auth": server.ws_auth_url, "rest": server.rest_url}
        async with connect("kraken", keys, endpoints=endpoints) as desk:
            rows, _ = await _examine(desk, True)
    return {what: (verdict, words) for what, verdict, words in rows}


@pytest.mark.parametrize(
    ("rights", "check", "verdict", "words"),
    [
        (("query-open-trades", TRADE_RIGHT), "may withdraw", "ok", "it cannot"),
        ((TRADE_RIGHT, "withdraw-funds"), "may withdraw", "failed", "make one that cannot"),
        ((TRADE_RIGHT, "add-withdraw-address"), "may withdraw", "failed", "make one that cannot"),
        (("query-open-trades",), "may trade", "failed", "query-open-trades"),
    ],
)
def test_key_that_can_withdraw_or_cannot_trade_is_refused(
    rights: tuple[str, ...], check: str, verdict: str, words: str
) -> None:
    found = asyncio.run(verdicts(rights))
    assert found[check][0] == verdict
    assert words in found[check][1]
    assert found["keys"][0] == "ok"


def test_limits_are_those_a_bot_keeps() -> None:
    found = asyncio.run(verdicts())
    told = "60 at once, then 1 a second; 1 to place, 4 to amend, 8 to cancel"
    assert found["limits"][0] == "ok"
    assert found["limits"][1].startswith(told)
