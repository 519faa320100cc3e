"""The HTTP endpoint before the SDK: method, token, size; and a client's whole way through it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from fastapi import FastAPI
from mcp import Client as McpClient
from mcp.client.streamable_http import streamable_http_client

from openmm.control.access import Client, Clients, Scope
from openmm.control.audit import Audit
from openmm.control.door import Door
from openmm.control.home import Home
from openmm.mcp.http import BODY_BYTES_MAX, SURFACE, mount

URL = "http://127.0.0.1/mcp"
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


class Site:
    """An application with MCP mounted, and a client of its clients file."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root, root / ".control", root / "clients.toml")
        self.clients = Clients(self.home.clients)
        self.token = self.clients.add(Client("web", frozenset({Scope.READ, Scope.BRAKE})), 0)
        self.app = FastAPI()
        mount(self.app, Door(self.home))

    @asynccontextmanager
    async def open(self, token: str | None = "") -> AsyncIterator[httpx2.AsyncClient]:
        """Start the application; give an HTTP client with a token, its own unless told."""
        told = self.token if token == "" else token
        headers = {} if told is None else {"authorization": f"Bearer {told}"}
        transport = httpx2.ASGITransport(app=self.app)
        async with (
            self.app.router.lifespan_context(self.app),
            httpx2.AsyncClient(transport=transport, headers=headers) as http,
        ):
            yield http


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def post(site: Site, token: str | None = "", **more: Any) -> httpx2.Response:
    async def main() -> httpx2.Response:
        async with site.open(token) as http:
            return await http.request(
                **{"method": "POST", "url": URL, "json": CALL, "headers": HEADERS, **more}
            )

    return anyio.run(main)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_client_comes_in_with_its_token_and_only_with_its_scopes(site: Site, mode: str) -> None:
    async def main() -> None:
        async with site.open() as http:
            transport = streamable_http_client(URL, http_client=http)
            async with McpClient(transport, mode=mode) as session:
                names = [tool.name for tool in (await session.list_tools()).tools]
                assert "halt_bot" in names
                assert "place_order" not in names
                seen = await session.call_tool("list_bots", {})
                assert seen.structured_content["bots"] == []
                refused = await session.call_tool("undo_change", {"bot": "x"})
                assert refused.structured_content["error"]["code"] == "forbidden"

    anyio.run(main)
    records = [one for one in Audit(site.home.audit).newest() if one["action"] == "bots"]
    assert records[0]["caller"]["client"] == "web"
    assert records[0]["caller"]["surface"] == SURFACE


@pytest.mark.parametrize("token", [None, "wrong", "x" * 500, "omm_web_" + "A" * 43])
def test_no_or_wrong_token_is_refused_before_anything_is_read(
    site: Site, token: str | None
) -> None:
    got = post(site, token)
    assert got.status_code == 401
    assert got.headers["www-authenticate"] == "Bearer"
    assert got.json()["error"]["data"]["code"] == "unauthenticated"


def test_token_in_another_scheme_or_a_cookie_is_none(site: Site) -> None:
    for headers in ({"authorization": f"Basic {site.token}"}, {"cookie": f"token={site.token}"}):
        assert post(site, None, headers={**HEADERS, **headers}).status_code == 401


def test_token_taken_back_opens_nothing_from_then_on(site: Site) -> None:
    assert post(site).status_code == 200
    site.clients.revoke("web")
    assert post(site).status_code == 401


@pytest.mark.parametrize("verb", ["GET", "DELETE", "PUT", "OPTIONS"])
def test_other_methods_are_not_allowed(site: Site, verb: str) -> None:
    got = post(site, method=verb)
    assert (got.status_code, got.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"jsonrpc":"2.0","id":1}',
     b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":3}}'],
)  # fmt: skip
def test_nonsense_is_refused_without_a_failure_of_ours(site: Site, body: bytes) -> None:
    got = post(site, json=None, content=body)
    assert 200 <= got.status_code < 500
    if got.status_code == 200:
        assert "error" in got.json()


def test_large_body_is_refused(site: Site) -> None:
    got = post(site, json=None, content=b" " * (BODY_BYTES_MAX + 1))
    assert got.status_code == 413
