"""Clients, an application and a gateway process, for tests of the gateway."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct

from openmm.control.access import Caps, Client, Clients, Scope
from openmm.control.home import Home
from openmm.control.views import look
from openmm.telemetry import TelemetrySnapshot
from tests.e2e.programs import COMMAND, ROOT

BOT = "btc-grid"
PLENTY = Caps(
    requests_per_minute=100_000, orders_per_minute=100, order_notional=Decimal(5_000),
    notional_per_hour=Decimal(100_000),
)  # fmt: skip


def home_of(folder: Path) -> Home:
    """Return places below a folder, as `openmm serve --run-dir` finds them."""
    return Home(folder / "runs", folder / "runs" / ".control", folder / "clients.toml")


def add(home: Home, name: str, *scopes: Scope, caps: Caps = PLENTY, bots: Any = ("*",)) -> str:
    """Add a client; return its token."""
    client = Client(name, frozenset({Scope.READ, *scopes}), tuple(bots), caps)
    return Clients(home.clients).add(client, time.time_ns())


class Gateway:
    """A gateway process that answers."""

    def __init__(self, home: Home, args: tuple[str, ...]) -> None:
        self._home = home
        self._args = args
        self.start()

    def start(self) -> None:
        """Start it, at a port of its own, and wait until it answers."""
        folder = self._home.clients.parent
        folder.mkdir(exist_ok=True)
        told = folder / "gateway.err"
        with told.open("ab") as err:
            self.process = subprocess.Popen(
                [*COMMAND, "serve", "--port", "0", "--json", "--run-dir", str(self._home.root),
                 *self._args],
                cwd=ROOT,
                env={**os.environ, "OPENMM_CLIENTS": str(self._home.clients)},
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.end()
            raise AssertionError(told.read_text())
        ready = json.loads(line)
        assert ready["pid"] == self.process.pid
        self.url, self.port, self.pid = ready["url"], ready["port"], ready["pid"]
        self.parts: list[str] = ready["parts"]

    def kill(self) -> None:
        """End it as the kernel does when memory runs out."""
        self.process.kill()
        self.end()

    def end(self) -> None:
        """End it in good order, or for certain."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def gateway(home: Home, *args: str) -> Iterator[Gateway]:
    """Run `openmm serve` for a block."""
    served = Gateway(home, args)
    try:
        yield served
    finally:
        served.end()


class World(Struct, frozen=True):
    """A bot that trades, a gateway, and clients of it."""

    home: Home
    gateway: Gateway
    operator: str
    reader: str
    small: str  # two requests a minute, and brakes

    def client(self, token: str = "", **more: Any) -> httpx.Client:
        """Return an HTTP client; the operator's unless told otherwise."""
        headers = {"Authorization": f"Bearer {token or self.operator}"}
        return httpx.Client(base_url=self.gateway.url, headers=headers, timeout=30, **more)

    def page(self) -> TelemetrySnapshot:
        """Return the bot's page."""
        (bot,) = self.home.bots()
        page = look(bot, time.time_ns()).page
        assert page is not None
        return page
