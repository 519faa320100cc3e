"""Clients, an application and a gateway process, for tests of the gateway."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import Struct

from openmm.control.access import Caps, Client, Clients, Scope
from openmm.control.home import Home
from tests.e2e.programs import COMMAND, ROOT

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


class Gateway(Struct, frozen=True):
    """A gateway process that answers."""

    url: str
    port: int
    pid: int
    process: subprocess.Popen[str]
    parts: list[str]


@contextmanager
def gateway(home: Home, *args: str, env: Mapping[str, str] | None = None) -> Iterator[Gateway]:
    """Run `openmm serve` for a block."""
    told = home.clients.parent / "gateway.err"
    with told.open("ab") as err:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", "0", "--json", "--run-dir", str(home.root), *args],
            cwd=ROOT,
            env={**os.environ, "OPENMM_CLIENTS": str(home.clients), **(env or {})},
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, told.read_text()
        ready = json.loads(line)
        yield Gateway(ready["url"], ready["port"], ready["pid"], process, ready["parts"])
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()
