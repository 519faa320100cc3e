"""Connections at the socket: counted, and not waited for without end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from openmm.gateway import connections
from openmm.gateway.connections import GuardedProtocol, GuardedWebSocket, listen, open_count

PATIENCE_S = 20.0
ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
Use = Callable[[int], Awaitable[None]]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with ten bytes, or with 64 MB before them at /long."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(1_000 if scope["path"] == "/long" else 0):
        await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
    await send({"type": "http.response.body", "body": b"0123456789"})


def serve(use: Use) -> None:
    """Serve the application on a port of its own, and use it."""

    async def scenario() -> None:
        config = uvicorn.Config(
            app, http=GuardedProtocol, ws=GuardedWebSocket, lifespan="off", log_config=None,
            access_log=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        sock = listen("127.0.0.1", 0)
        server = uvicorn.Server(config)
        task = asyncio.ensure_future(server._serve([sock]))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await until(lambda: server.started)
                await use(sock.getsockname()[1])
                await until(lambda: open_count() == 0)
        finally:
            server.should_exit = True
            await task

    asyncio.run(scenario())


async def until(check: Callable[[], bool]) -> None:
    while not check():  # noqa: ASYNC110  the server tells nobody
        await asyncio.sleep(0.005)


async def read_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Read to the end of a connection and let go of it."""
    try:
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("begun", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_head_that_does_not_come_is_waited_for_so_long(
    monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.05)

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        got = await read_all(reader, writer)
        assert got.startswith(b"HTTP/1.1 408 ")
        assert b'{"error":{"code":"too_slow"' in got

    serve(use)


def test_bytes_that_trickle_in_gain_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.2)

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        # The first line alone: what is written after it may be answered with a reset.
        got = asyncio.ensure_future(reader.readline())
        sent = 0
        while not got.done():
            writer.write(b"G" if not sent else b"E")
            sent += 1
            await asyncio.wait({got}, timeout=0.01)
        assert (await got).startswith(b"HTTP/1.1 408 ")
        writer.close()

    serve(use)


def test_the_next_request_of_a_connection_has_the_same_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.2)

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(ASK)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            await reader.readuntil(b"0\r\n\r\n")  # chunked
        writer.write(b"GET / HTT")
        assert b"408" in await read_all(reader, writer)

    serve(use)


def test_a_reader_that_takes_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "WRITE_S", 0.1)

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(ASK.replace(b"/ ", b"/long "))
        await writer.drain()
        await until(lambda: open_count() == 1)
        await until(lambda: open_count() == 0)
        writer.close()
        assert reader is not None

    serve(use)


def test_an_address_has_so_many_connections_and_gets_places_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "ADDRESS_MAX", 3)

    async def use(port: int) -> None:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await until(lambda: open_count("127.0.0.1") == 3)
        got = await read_all(*await asyncio.open_connection("127.0.0.1", port))
        assert got.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in got
        assert b"too_many_connections" in got
        for _, writer in held:
            writer.close()
        await until(lambda: open_count() == 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert (await read_all(reader, writer)).startswith(b"HTTP/1.1 200 ")

    serve(use)


def test_a_websocket_keeps_the_place_of_its_connection() -> None:
    shake = (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(shake)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert open_count() == 1
        writer.close()

    serve(use)


def test_what_is_no_http_is_refused_in_the_one_shape() -> None:
    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01\x02\x00\r\n\r\n")
        got = await read_all(reader, writer)
        assert got.startswith(b"HTTP/1.1 400 ")
        assert b'{"error":{"code":"bad_request"' in got

    serve(use)
