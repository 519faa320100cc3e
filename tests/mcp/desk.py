"""A bot in memory behind a real door, for tests of the MCP server: only the socket is left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from mcp import Client as McpClient
from mcp.types import CallToolResult

from openmm.control import deeds
from openmm.control.access import Caps, Client, Clients, Scope
from openmm.control.audit import Audit
from openmm.control.door import Door
from openmm.control.home import Home
from openmm.engine.commands import (
    Caller,
    Command,
    Request,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)
from openmm.engine.rundir import RunDir
from openmm.mcp.lanes import Lanes
from openmm.mcp.server import Context, Desk
from openmm.testing.virtual import VirtualBot
from tests.e2e import virtual

BOT = "virtual"
FULL = Client(
    "agent",
    frozenset(Scope),
    caps=Caps(100_000, 20, Decimal(2_000), Decimal(6_000)),
)


class Rig:
    """A bot, its door, and a way to be any client of it."""

    def __init__(self, root: Path, bot: VirtualBot) -> None:
        self.bot = bot
        self.home = Home(root, root / ".control", root / "clients.toml")
        self.clock_ns = 0  # beside the bot's
        self.door = Door(self.home, clock=self.now_ns)
        self.sent: list[tuple[Command, str]] = []

    def now_ns(self) -> int:
        """The time at the door."""
        return self.bot.now_ns + self.clock_ns

    def send(
        self, run_dir: RunDir, command: Command, *, surface: str = "cli", timeout_s: float = 10.0,
        client: str = "", caps: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Stand in for the command socket: the same bytes, without the socket."""
        assert run_dir.bot == BOT
        asked = Request(1, command, Caller(surface, "user", client=client, caps=caps or {}))
        read = decode_request(encode_request(asked), 1000, 1)
        self.sent.append((command, client))
        bot = self.bot
        result = bot.loop.run_until_complete(bot.engine.on_command(read))
        return decode_reply(encode_reply(1, result), 1)

    def desk(self, client: Client) -> Desk:
        """Make a server for one client."""

        async def client_of(_: Context) -> Client:
            return client

        return Desk(self.door, client_of, surface="test", lanes=Lanes())

    def connect(self, client: Client = FULL) -> McpClient:
        """Return the SDK's client, talking to a server that takes it for `client`."""
        return McpClient(self.desk(client).server(), raise_exceptions=True)

    def grant(self, client: Client) -> str:
        """Write a client into the clients file; return its token."""
        return Clients(self.home.clients).add(client, self.now_ns())

    def audit(self) -> list[dict[str, Any]]:
        """Return the audit, oldest first."""
        return list(Audit(self.home.audit).newest())[::-1]


@contextmanager
def rig(root: Path, monkeypatch: pytest.MonkeyPatch, **risk: Any) -> Iterator[Rig]:
    """Run a bot in memory for a block."""
    bot = virtual.bot(root, **risk)
    bot.start()
    made = Rig(root, bot)
    monkeypatch.setattr(deeds, "send_command", made.send)
    bot.run(3)
    try:
        yield made
    finally:
        bot.stop()


def told(result: CallToolResult) -> dict[str, Any]:
    """Return what a tool answered, which was no error."""
    assert not result.is_error, result.structured_content
    body: dict[str, Any] = result.structured_content
    return body


def refused(result: CallToolResult) -> str:
    """Return the code of a refusal."""
    assert result.is_error, result.structured_content
    body = result.structured_content["error"]
    assert body["message"]
    assert body["hint"]
    return str(body["code"])
