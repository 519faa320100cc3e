"""The paths of the gateway: one for each action of the door, made from the list of actions."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

import orjson
from fastapi import FastAPI, Request
from starlette.responses import Response

from openmm.control.access import Client
from openmm.control.actions import ACTIONS, Action
from openmm.control.door import Door
from openmm.errors import OpenMMError
from openmm.gateway.lanes import Lanes, lane_of
from openmm.gateway.refusals import Refusal, refusal_of
from openmm.gateway.schemas import KEY_CHARS_MAX, PREVIEW_CHARS_MAX, path_of

SURFACE: Final = "rest"
KEY: Final = re.compile(rf"[A-Za-z0-9_.:-]{{1,{KEY_CHARS_MAX}}}")
PREVIEW: Final = re.compile(rf"[!-~]{{1,{PREVIEW_CHARS_MAX}}}")
Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


def add_routes(app: FastAPI, door: Door, lanes: Lanes) -> None:
    """Add the path of every action, and of every preview."""
    for action in ACTIONS.values():
        path = path_of(action)
        if not action.writes:
            app.add_api_route(
                path, _read(action, door, lanes), methods=["GET"], include_in_schema=False
            )
            continue
        app.add_api_route(
            path, _write(action, door, lanes), methods=["POST"], include_in_schema=False
        )
        if action.previewed:
            app.add_api_route(
                f"{path}/preview",
                _preview(action, door, lanes),
                methods=["POST"],
                include_in_schema=False,
            )


def client_of(request: Request) -> Client:
    """Return who asks; the shield has put it there.

    Raises:
        Refusal: nobody: a path was left open that should not be.
    """
    client = getattr(request.state, "client", None)
    if not isinstance(client, Client):
        raise Refusal(401, "unauthenticated", "no token was given", "send one")
    return client


async def in_lane(lanes: Lanes, lane: str, client: Client, call: Callable[[], Any]) -> Any:
    """Run a call of the door in a lane.

    Raises:
        Refusal: the door or the lane said no.
    """
    try:
        return await lanes.run(lane, client.name, call)
    except OpenMMError as error:
        raise refusal_of(error) from error
    except OSError as error:
        # The audit or a state file could not be written: nothing is done unaudited.
        raise Refusal(
            503, "unavailable", f"the gateway's state cannot be used: {error.strerror}",
            "the operator has to look at the disk", retry_after_s=5,
        ) from error  # fmt: skip


def answer(result: Any) -> Response:
    """Return a result as JSON."""
    return Response(orjson.dumps(result), media_type="application/json")


def _read(action: Action, door: Door, lanes: Lanes) -> Handler:
    async def read(request: Request) -> Response:
        client = client_of(request)
        args = _query(request, action) | _bot(request, action)
        call = partial(door.call, client, action.name, args, surface=SURFACE)
        return answer(await in_lane(lanes, lane_of(action), client, call))

    return read


def _write(action: Action, door: Door, lanes: Lanes) -> Handler:
    async def write(request: Request) -> Response:
        client = client_of(request)
        _no_query(request)
        args = await _body(request)
        preview = args.pop("preview", "") if action.previewed else ""
        if preview is None:
            preview = ""
        if not isinstance(preview, str) or (preview and not PREVIEW.fullmatch(preview)):
            raise _bad("preview: the token that the preview gave, a text")
        keys = request.headers.getlist("idempotency-key")
        if len(keys) > 1 or (keys and not KEY.fullmatch(keys[0])):
            raise _bad(
                f"Idempotency-Key: one of 1 to {KEY_CHARS_MAX} letters, digits and any of _.:-"
            )
        call = partial(
            door.call, client, action.name, args | _bot(request, action), surface=SURFACE,
            key=keys[0] if keys else "", preview=preview,
        )  # fmt: skip
        return answer(await in_lane(lanes, lane_of(action), client, call))

    return write


def _preview(action: Action, door: Door, lanes: Lanes) -> Handler:
    async def preview(request: Request) -> Response:
        client = client_of(request)
        _no_query(request)
        args = await _body(request) | _bot(request, action)
        call = partial(door.preview, client, action.name, args, surface=SURFACE)
        return answer(await in_lane(lanes, lane_of(action, preview=True), client, call))

    return preview


def _bot(request: Request, action: Action) -> dict[str, Any]:
    return {"bot": request.path_params["bot"]} if action.bot else {}


def _query(request: Request, action: Action) -> dict[str, Any]:
    """Read the query; what its values may be is the door's to say."""
    args: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in args:
            raise _bad(f"{name[:40]!r} stands twice in the address")
        if name == "bot" and action.bot:
            raise _bad("the bot stands in the path")
        args[name] = value
    return args


def _no_query(request: Request) -> None:
    if request.url.query:
        raise _bad("the arguments of a POST stand in its body; the address has a query")


async def _body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    if not raw:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(
            415, "unsupported", f"the body is to be application/json; got {kind[:60] or 'nothing'}",
            "send Content-Type: application/json",
        )  # fmt: skip
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _bad(f"the body is not JSON: {error.msg} at {error.pos}") from None
    if not isinstance(body, dict):
        raise _bad("the body is to be a JSON object of arguments")
    if "bot" in body:
        raise _bad("the bot stands in the path")
    return body


def _bad(message: str) -> Refusal:
    return Refusal(422, "bad_argument", message, "GET /openapi.json tells what each call takes")
