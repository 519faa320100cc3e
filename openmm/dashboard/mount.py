"""Put the dashboard into the gateway's application."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from typing import Any, Final

from fastapi import FastAPI, Request
from nicegui import ui
from starlette.responses import RedirectResponse, Response

from openmm.control.access import Client
from openmm.control.door import Door
from openmm.dashboard.acts import said
from openmm.dashboard.bot import BotPage
from openmm.dashboard.calls import Calls
from openmm.dashboard.feed import Feed
from openmm.dashboard.fleet import FleetPage
from openmm.dashboard.page import ROOT, Desk, frame, skeleton
from openmm.dashboard.parts import Text
from openmm.errors import OpenMMError

COOKIE: Final = "openmm_session"
TYPES: Final = {"omm.css": "text/css; charset=utf-8", "omm.js": "text/javascript; charset=utf-8"}


def mount(app: FastAPI, door: Door) -> None:
    """Serve the dashboard below `/ui`; `/` leads there. The shield stands before all of it."""
    calls = Calls(door)
    feed = Feed(door.home, time.time_ns)
    desk = Desk(door, calls, feed, time.time_ns, partial(_stays, app))
    around = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(inner: FastAPI) -> AsyncIterator[Any]:
        async with around(inner) as state:
            feed.start()
            try:
                yield state
            finally:
                await feed.stop()
                calls.close()

    app.router.lifespan_context = lifespan

    async def home() -> Response:
        return RedirectResponse(f"{ROOT}/", status_code=303)

    app.add_api_route("/", home, methods=["GET"], include_in_schema=False)
    app.add_api_route(ROOT, home, methods=["GET"], include_in_schema=False)
    folder = files("openmm.dashboard") / "static"
    for name, kind in TYPES.items():
        body = (folder / name).read_bytes()
        app.add_api_route(
            f"{ROOT}/static/{name}", partial(_static, body, kind), methods=["GET"],
            include_in_schema=False, response_model=None,
        )  # fmt: skip

    @ui.page("/")
    async def fleet(request: Request) -> None:
        if (client := await _client(desk, request, "bots", {})) is not None:
            FleetPage(desk, request, client).build()

    @ui.page("/bot/{name}")
    async def bot(request: Request, name: str) -> None:
        if (client := await _client(desk, request, "status", {"bot": name})) is not None:
            BotPage(desk, request, client, name).build()

    ui.run_with(
        app, title="OpenMM", mount_path=ROOT, dark=None, tailwind=False, favicon=ICON,
        show_welcome_message=False, binding_refresh_interval=None, reconnect_timeout=10.0,
        message_history_length=60, language="en-US",
    )  # fmt: skip


ICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="#1f63d6" '
    'd="M1 3h6v2H1zm0 4h4v2H1zm0 4h6v2H1z"/><path fill="#f0b429" '
    'd="M9 3h6v2H9zm2 4h4v2h-4zm-2 4h6v2H9z"/></svg>'
)


async def _static(body: bytes, kind: str) -> Response:
    return Response(body, media_type=kind, headers={"cache-control": "no-cache"})


def _stays(app: FastAPI, request: Request) -> bool:
    """Tell whether the session that a page was opened in is still open; a token has none."""
    sessions = getattr(app.state, "sessions", None)
    cookie = request.cookies.get(COOKIE, "")
    if sessions is None or not cookie:
        return True
    return bool(sessions.lasts(cookie, time.monotonic()))


async def _client(desk: Desk, request: Request, action: str, args: dict[str, str]) -> Client | None:
    """Return who opens a page, once the door has let them; else the page says why not."""
    client = getattr(request.state, "client", None)
    if not isinstance(client, Client):
        _refused("nobody is logged in")
        return None
    try:
        await desk.calls.read(client, action, args, 0.0)
    except OpenMMError as error:
        _refused(said(error))
        return None
    return client


def _refused(why: str) -> None:
    frame("OpenMM")
    with ui.element("main").classes("plain omm"):
        Text("h1", "This page cannot be shown")
        Text("p", why).props["role"] = "alert"
        skeleton(f'<a href="{ROOT}/">All bots</a>')
