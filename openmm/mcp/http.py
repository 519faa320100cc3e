"""MCP over streamable HTTP, mounted in the gateway: a bearer token with each request.

Nothing is kept between requests, so a gateway that is killed and started again loses no session,
and each request is let in, and audited, by its own token. Host and Origin, and the token where
the gateway's shield stands before it, are checked before anything arrives here.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, final

from fastapi import FastAPI
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from openmm.control.access import Client
from openmm.control.door import Door
from openmm.errors import ControlError, OpenMMError
from openmm.mcp.answers import error_of
from openmm.mcp.lanes import Lanes
from openmm.mcp.server import Context, Desk

SURFACE: Final = "mcp-http"
BODY_BYTES_MAX: Final = 256 * 1024
TOKEN_CHARS_MAX: Final = 400
_CLIENT: Final = "openmm.client"


def mount(app: FastAPI, door: Door, path: str = "/mcp") -> None:
    """Serve MCP at a path of an application; it starts and ends with the application."""
    front = Front(door)
    app.router.routes.insert(0, Route(path, endpoint=front))
    around = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(inner: FastAPI) -> AsyncIterator[Any]:
        async with around(inner) as state, front.running():
            yield state

    app.router.lifespan_context = lifespan


@final
class Front:
    """The ASGI endpoint: who is it, then the SDK."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._lanes = Lanes()
        self._server = Desk(door, _client_of, surface=SURFACE, lanes=self._lanes).server()
        self._manager: StreamableHTTPSessionManager | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve within this block."""
        self._manager = StreamableHTTPSessionManager(
            self._server, json_response=True, stateless=True, max_request_body_size=BODY_BYTES_MAX
        )
        try:
            async with self._manager.run():
                yield
        finally:
            self._manager = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] != "POST":
            # No stream of its own and no session to end: each answer comes with its request.
            await Response(status_code=405, headers={"Allow": "POST"})(scope, receive, send)
            return
        if self._manager is None:
            await _refused(503, ControlError("not started", code="busy"))(scope, receive, send)
            return
        try:
            # A session's cookie is a browser's: here each request says who it is.
            token = _token(scope)
            client = scope.get("state", {}).get("client")
            if client is None:
                client = await self._lanes.run("door", "", self._authenticate, token)
        except OpenMMError as error:
            status = 401 if error.code == "unauthenticated" else 503
            await _refused(status, error)(scope, receive, send)
            return
        await self._manager.handle_request({**scope, _CLIENT: client}, receive, send)

    def _authenticate(self, token: str) -> Client:
        return self._door.authenticate(token, surface=SURFACE)


async def _client_of(ctx: Context) -> Client:
    assert ctx.request is not None, "a request of HTTP comes with its scope"
    found: Client = ctx.request.scope[_CLIENT]
    return found


def _token(scope: Scope) -> str:
    scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(token) <= TOKEN_CHARS_MAX:
        raise ControlError(
            "a bearer token is needed: Authorization: Bearer TOKEN", code="unauthenticated"
        )
    return token.strip()


def _refused(status: int, error: OpenMMError) -> Response:
    """Return a refusal in the protocol's form, before a request was read."""
    told = error_of(error)
    body = {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32000, "message": f"{told['code']}: {told['message']}", "data": told},
    }
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {"Retry-After": "1"}
    return Response(
        json.dumps(body), status_code=status, media_type="application/json", headers=headers
    )
