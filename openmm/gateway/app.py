"""The gateway's application: the door's actions over HTTP, behind the shield.

Whatever else is mounted (dashboard, MCP, metrics) finds who asks in `request.state.client`, a
`control.access.Client` that the shield has put there.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from openmm import __version__
from openmm.control.actions import ACTIONS
from openmm.control.door import Door
from openmm.errors import OpenMMError
from openmm.gateway.lanes import Lanes
from openmm.gateway.refusals import Refusal, refusal_of
from openmm.gateway.routes import add_routes, answer, client_of, in_lane
from openmm.gateway.schemas import document
from openmm.gateway.sessions import Sessions, add_login
from openmm.gateway.shield import App, Settings, Shield
from openmm.gateway.stream import Hub, add_stream

_LOG = logging.getLogger("openmm.gateway")
_WORDS: Final = {404: "not_found", 405: "method_not_allowed"}


def create_app(
    door: Door, settings: Settings | None = None, *,
    add: tuple[Callable[[FastAPI, Door, Lanes], None], ...] = (),
) -> App:  # fmt: skip
    """Return the application.

    Args:
        add: what else to put into it (dashboard, MCP, …), in this order, behind the shield.
    """
    settings = settings or Settings()
    sessions = Sessions()
    lanes = Lanes()
    hub = Hub(door)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await hub.close()
            lanes.close()

    app = FastAPI(
        title="OpenMM gateway", version=__version__, docs_url=None, redoc_url=None,
        openapi_url=None, lifespan=lifespan, redirect_slashes=False,
    )  # fmt: skip
    app.state.lanes = lanes
    app.state.sessions = sessions  # parts end the pages of those who log out
    shield = Shield(app, door, settings, sessions)
    add_login(app, door, sessions, secure=settings.secure, failed=shield.failed)
    add_routes(app, door, lanes)
    add_stream(app, door, lanes, hub)
    schema = document(__version__, tuple(ACTIONS.values()))

    async def openapi(request: Request) -> Response:
        client_of(request)
        return answer(schema)

    async def readyz(request: Request) -> Response:
        client = client_of(request)
        call = partial(door.call, client, "bots", {}, surface="rest")
        seen = await in_lane(lanes, "reads", client, call)
        bots = seen.get("bots", [])
        return answer({"ready": True, "bots": len(bots), "full_lanes": lanes.full})

    app.add_api_route("/openapi.json", openapi, methods=["GET"], include_in_schema=False)
    app.add_api_route("/readyz", readyz, methods=["GET"], include_in_schema=False)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(OpenMMError, _failed)
    app.add_exception_handler(HTTPException, _routing)
    app.add_exception_handler(Exception, _unforeseen)
    for one in add:
        one(app, door, lanes)
    return shield


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.response()


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, OpenMMError)
    return refusal_of(error).response()


async def _routing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _WORDS.get(error.status_code, "refused")
    hint = "GET /openapi.json lists the paths"
    told = f"{request.method} {request.url.path[:200]}: {error.detail}"
    headers = dict(error.headers or {})
    return Refusal(error.status_code, code, told, hint, headers=headers).response()


async def _unforeseen(request: Request, error: Exception) -> Response:
    """Tell the operator's log where it was; tell the caller that it was our fault."""
    _LOG.error("internal error at %s %s", request.method, request.url.path, exc_info=error)
    return Refusal(500, "internal", "the gateway failed", "tell the operator").response()
