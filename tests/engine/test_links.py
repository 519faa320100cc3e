"""Connections: a silent peer is a lost one, and none is led elsewhere."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Sequence

import pytest
from picows import WSListener

from openmm._fast.feed import EventClock
from openmm.engine import host
from openmm.engine.links import Link

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Shake hands, then read on without ever answering, like a host that lost its network."""
    head = await reader.readuntil(b"\r\n\r\n")
    key = next(
        line.split(b":", 1)[1].strip()
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    )
    accept = base64.b64encode(hashlib.sha1(key + MAGIC).digest())
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    while await reader.read(4096):
        pass
    writer.close()


@pytest.mark.timeout(20)
def test_silent_connection_is_lost_and_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "SILENT_AFTER_S", 0.05)
    monkeypatch.setattr(host, "ANSWER_WITHIN_S", 0.05)

    async def run() -> tuple[int, int]:
        server = await asyncio.start_server(mute, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        lost: list[str] = []
        twice = asyncio.Event()

        async def hello() -> Sequence[bytes]:
            return ()

        def on_lost(name: str) -> None:
            lost.append(name)
            if len(lost) == 2:
                twice.set()

        url = f"ws://127.0.0.1:{port}/"
        link = Link("one", lambda: url, WSListener, hello, on_lost, EventClock())
        task = asyncio.ensure_future(link.keep())
        async with asyncio.timeout(10):
            await twice.wait()
        link.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        server.close()
        return len(lost), link.connect_count

    lost, connects = asyncio.run(run())
    assert lost >= 2
    assert connects >= 2


@pytest.mark.timeout(20)
@pytest.mark.parametrize("to_place", ["ws://127.0.0.1:{port}/elsewhere", "http://[elsewhere"])
def test_redirect_is_a_failed_try_and_is_not_followed(to_place: str) -> None:
    asked: list[bytes] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b" ", 2)[1])
        port = writer.get_extra_info("sockname")[1]
        writer.write(
            b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "
            + to_place.format(port=port).encode()
            + b"\r\n\r\n"
        )
        await writer.drain()
        writer.close()

    async def run() -> str:
        server = await asyncio.start_server(redirect, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/here"
        tries = 0
        twice = asyncio.Event()

        async def hello() -> Sequence[bytes]:
            nonlocal tries
            tries += 1
            if tries == 3:
                twice.set()
            return ()

        link = Link("one", lambda: url, WSListener, hello, lambda _name: None, EventClock())
        task = asyncio.ensure_future(link.keep())
        waiting = asyncio.ensure_future(twice.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        for one in (task, waiting):
            one.cancel()
        await asyncio.gather(task, waiting, return_exceptions=True)
        server.close()
        assert tries >= 3, f"the link gave up: {task}"
        return link.last_error

    assert "302" in asyncio.run(run())
    assert set(asked) == {b"/here"}
