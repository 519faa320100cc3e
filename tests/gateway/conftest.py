"""One bot that trades and one gateway for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from openmm.control.access import Caps, Scope
from tests.control.running import running_bot
from tests.gateway.serving import BOT, World, add, gateway, home_of


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Run a live bot against a simulated venue, and a gateway with three clients."""
    folder = tmp_path_factory.mktemp("gateway")
    home = home_of(folder)
    tokens = [
        add(home, "operator", *Scope),
        add(home, "reader"),
        add(home, "small", Scope.BRAKE, caps=Caps(requests_per_minute=2)),
    ]
    with (
        running_bot(folder, BOT),
        gateway(home, "--no-dashboard", "--no-alerts") as served,
    ):
        yield World(home, served, *tokens)
