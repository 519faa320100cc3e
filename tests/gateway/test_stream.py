"""The stream: states as they change, to those who may see them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from starlette.websockets import WebSocket

from openmm.control.access import Client, Clients
from openmm.control.audit import Audit
from openmm.control.door import Door
from openmm.gateway.stream import (
    CLIENT_STREAMS_MAX,
    MESSAGES_MAX,
    TOPICS_MAX,
    Hub,
    Stream,
    changed,
)
from tests.control.running import PATIENCE_S
from tests.gateway.serving import BOT, World, add, home_of

Line = aiohttp.ClientWebSocketResponse


def stream(
    world: World, use: Callable[[Line], Awaitable[Any]], token: str | None = "", **more: Any
) -> Any:
    """Open the stream and use it; `token` None: without one."""
    headers = {} if token is None else {"Authorization": f"Bearer {token or world.reader}"}

    async def scenario() -> Any:
        async with (
            asyncio.timeout(PATIENCE_S),
            aiohttp.ClientSession() as session,
            session.ws_connect(
                f"{world.gateway.url}/api/stream", headers=headers | more.pop("headers", {}), **more
            ) as line,
        ):
            return await use(line)

    return asyncio.run(scenario())


async def error(line: Line) -> dict[str, str]:
    message = await line.receive_json()
    assert list(message) == ["error"]
    told: dict[str, str] = message["error"]
    return told


def test_a_bot_comes_whole_and_then_as_it_changes(world: World) -> None:
    async def use(line: Line) -> None:
        await line.send_json({"subscribe": [BOT]})
        first = await line.receive_json()
        assert (first["topic"], first["full"]) == (BOT, True)
        assert (first["data"]["bot"], first["data"]["running"]) == (BOT, True)
        second = await line.receive_json()
        assert "full" not in second
        assert second["data"]
        assert "bot" not in second["data"]
        assert "instrument" not in second["data"]
        assert second["ts_ns"] > first["ts_ns"]
        await line.send_json({"unsubscribe": [BOT], "ping": 7})
        while (message := await line.receive_json()) != {"pong": 7}:
            assert message["topic"] == BOT

    stream(world, use)


def test_the_fleet_comes_as_rows(world: World) -> None:
    async def use(line: Line) -> None:
        await line.send_json({"subscribe": ["*"]})
        first = await line.receive_json()
        assert first["topic"] == "*"
        assert first["data"][BOT]["running"] is True
        assert "book" not in first["data"][BOT]

    stream(world, use)


def test_a_subscription_stands_in_the_audit_once(world: World) -> None:
    token = add(world.home, "watcher")

    async def use(line: Line) -> None:
        await line.send_json({"subscribe": [BOT]})
        for _ in range(3):
            await line.receive_json()
        await line.send_json({"subscribe": [BOT]})
        await line.receive_json()

    stream(world, use, token)
    mine = [one for one in Audit(world.home.audit).newest() if one["caller"]["client"] == "watcher"]
    assert [(one["action"], one["bot"], one["verdict"]) for one in mine] == [
        ("status", BOT, "done")
    ]
    assert mine[0]["caller"]["surface"] == "stream"


def test_a_token_may_come_first(world: World) -> None:
    async def use(line: Line) -> None:
        await line.send_json({"token": world.reader})
        await line.send_json({"ping": 1})
        assert await line.receive_json() == {"pong": 1}

    stream(world, use, None)


@pytest.mark.parametrize(
    "first", ['{"token": "no"}', '{"subscribe": ["*"]}', "[]", "{", '{"token":1}']
)
def test_without_a_token_nothing_comes(world: World, first: str) -> None:
    async def use(line: Line) -> int | None:
        await line.send_str(first)
        assert (await error(line))["code"] in ("unauthenticated", "bad_argument", "rate_limited")
        await line.receive()
        return line.close_code

    assert stream(world, use, None) in (4401, 4422, 4429)


@pytest.mark.parametrize(
    ("headers", "token", "status"),
    [
        ({}, "no", (401, 429)),
        ({"Origin": "http://evil.example"}, "", (403,)),
        ({"Origin": "null"}, None, (403,)),
        ({"Host": "evil.example"}, "", (403,)),
    ],
)
def test_a_handshake_from_elsewhere_is_refused(
    world: World, headers: dict[str, str], token: str | None, status: tuple[int, ...]
) -> None:
    async def use(line: Line) -> None:
        raise AssertionError("it was let in")

    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        stream(world, use, token, headers=headers)
    assert refused.value.status in status


def test_a_client_sees_its_bots_alone(world: World) -> None:
    token = add(world.home, "other", bots=("other-bot",))

    async def use(line: Line) -> None:
        await line.send_json({"subscribe": [BOT]})
        assert (await error(line))["code"] == "unknown_bot"
        await line.send_json({"subscribe": ["*"]})
        assert (await line.receive_json())["data"] == {}

    stream(world, use, token)


BAD: list[str] = [
    "{", "[]", '{"subscribe": "x"}', '{"subscribe": [1]}', '{"subscribe": [""]}', '{"frob": 1}',
    '{"subscribe": ["A"]}', '{"subscribe": ["' + "a" * 33 + '"]}',
    '{"unsubscribe": {}}', '{"subscribe": [' + ",".join(['"a"'] * (TOPICS_MAX + 1)) + "]}",
]  # fmt: skip


def test_a_bad_message_is_told_and_the_stream_goes_on(world: World) -> None:
    async def use(line: Line) -> None:
        for text in BAD:
            await line.send_str(text)
            assert (await error(line))["code"] in ("bad_argument", "unknown_bot"), text
        await line.send_json({"ping": 2})
        assert await line.receive_json() == {"pong": 2}

    stream(world, use)


def test_too_many_messages_end_the_stream(world: World) -> None:
    async def use(line: Line) -> int | None:
        for number in range(MESSAGES_MAX + 1):
            await line.send_json({"ping": number})
        while (await line.receive()).type != aiohttp.WSMsgType.CLOSE:
            pass
        return line.close_code

    assert stream(world, use) == 4429


def test_a_message_over_the_limit_ends_the_stream(world: World) -> None:
    async def use(line: Line) -> int | None:
        await line.send_str("x" * 70_000)
        await line.receive()
        return line.close_code

    assert stream(world, use) == 1009


def test_a_client_has_so_many_streams(world: World) -> None:
    token = add(world.home, "many")

    async def scenario() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession(headers=headers) as session:
            url = f"{world.gateway.url}/api/stream"
            lines = [await session.ws_connect(url) for _ in range(CLIENT_STREAMS_MAX)]
            for line in lines:
                await line.send_json({"ping": 1})
                await line.receive_json()
            late = await session.ws_connect(url)
            assert (await error(late))["code"] == "busy"
            for line in (*lines, late):
                await line.close()
            again = await session.ws_connect(url)
            await again.send_json({"ping": 1})
            assert await again.receive_json() == {"pong": 1}
            await again.close()

    asyncio.run(scenario())


class SlowSocket:
    """The end of a reader that takes one frame when the test lets it."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.free = asyncio.Semaphore(0)
        self.closed: tuple[int, str] | None = None

    async def send_text(self, text: str) -> None:
        await self.free.acquire()
        self.taken.append(json.loads(text))

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)


def test_a_slow_reader_gets_the_latest_and_not_the_history(tmp_path: Path) -> None:
    async def scenario() -> SlowSocket:
        hub, socket = Hub(Door(home_of(tmp_path))), SlowSocket()
        made = Stream(cast(WebSocket, socket), Client("slow"), hub)
        made.topics.add("a")
        sender = asyncio.ensure_future(made.send())
        for number in range(1_000):
            hub.states = {"a": {"bot": "a", "number": number}}
            made.wake()
            await asyncio.sleep(0)
        socket.free.release()
        socket.free.release()
        async with asyncio.timeout(PATIENCE_S):
            while len(socket.taken) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0)
        made.end(1012, "over")
        await sender
        await hub.close()
        return socket

    socket = asyncio.run(scenario())
    first, second = socket.taken
    assert first["data"] == {"bot": "a", "number": 0}
    assert second["data"] == {"number": 999}
    assert socket.closed == (1012, "over")


def test_a_token_that_is_taken_back_ends_the_stream(world: World) -> None:
    token = add(world.home, "leaver")

    async def use(line: Line) -> int | None:
        await line.send_json({"ping": 1})
        await line.receive_json()
        Clients(world.home.clients).revoke("leaver")
        await line.receive()
        return line.close_code

    assert stream(world, use, token) == 4401


def test_a_stream_ends_with_the_session_it_was_opened_in(world: World) -> None:
    url, own = world.gateway.url, {"Origin": world.gateway.url}

    async def scenario() -> int | None:
        async with (
            asyncio.timeout(PATIENCE_S),
            aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
        ):
            told = {"token": add(world.home, "guest")}
            await session.post(f"{url}/login", data=told, headers=own, allow_redirects=False)
            async with session.ws_connect(f"{url}/api/stream", headers=own) as line:
                await line.send_json({"ping": 1})
                await line.receive_json()
                await session.post(f"{url}/logout", headers=own, allow_redirects=False)
                await line.receive()
                return line.close_code

    assert asyncio.run(scenario()) == 4401


def test_only_what_changed_is_sent() -> None:
    assert changed(None, {"a": 1}) == ({"a": 1}, [])
    assert changed({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3}) == ({"b": 3}, ["c"])
