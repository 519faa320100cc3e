"""Connections for orders: kept, several, replies by their ids, loss and silence."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trustme

from openmm._fast.planner import ActionKind
from openmm._fast.rest import RestTransport
from openmm._fast.text import base32
from openmm._fast.units import Side
from openmm.engine import orders
from openmm.engine.orders import OrderLines
from openmm.venues.connector import OrderHttp
from openmm.venues.mexc.encode import MexcEncoder

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def http(port: int, scheme: str = "http") -> OrderHttp:
    return OrderHttp(
        url=f"{scheme}://127.0.0.1:{port}", headers={"X-KEY": "k"}, secret_headers=("X-KEY",),
        idle_path="/ping", connections=2,
        reply=lambda req_id, status, body: b"%d %d %b" % (req_id, status, body),
    )  # fmt: skip


class Server:
    """Answers every request with its own target; counts connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.targets: list[bytes] = []
        self.silent = False
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                target = head.split(b" ")[1]
                self.targets.append(target)
                if not self.silent:
                    writer.write(
                        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target)
                    )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that comes of other tasks."""
    async with asyncio.timeout(20):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


async def with_lines(
    work: Callable[[Server, OrderLines, list[bytes]], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
) -> None:
    served, replies = Server(), list[bytes]()
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    lines = OrderLines(http(port, "http" if tls is None else "https"))
    task = asyncio.ensure_future(lines.keep(replies.append))
    try:
        await until(lambda: all(line.up for line in lines.transport.lines))
        await work(served, lines, replies)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not lines.up
        server.close()


def place(transport: RestTransport, count: int) -> int:
    """Send so many orders through a pipeline's own way: encoder, batch, transport."""
    encoder = MexcEncoder("BTCUSDT", 1, 2, 1, 6, "abc", base32(1))
    actions: list[tuple[int, int, int, int, int, bool]] = [
        (ActionKind.ACTION_CANCEL, seq, Side.BUY, 0, 0, False) for seq in range(1, count + 1)
    ]
    return encoder.send(transport, actions, 1_000_000)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """An authority that this process trusts, and no other."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return made


def certified(authority: trustme.CA, name: str) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(made)
    return made


@pytest.mark.parametrize("tls", [False, True])
def test_orders_share_kept_connections_and_replies_name_them(
    authority: trustme.CA, tls: bool
) -> None:
    async def work(served: Server, lines: OrderLines, replies: list[bytes]) -> None:
        for _ in range(10):
            before = len(replies)
            assert place(lines.transport, 2) > 0
            await until(lambda: len(replies) == before + 2)  # noqa: B023
        assert served.connections == lines.connect_count == 2
        assert len(served.targets) == 20
        assert sorted(int(one.split(b" ")[0]) for one in replies) == sorted([1, 2] * 10)
        assert {line.sent_count for line in lines.transport.lines} == {10}

    asyncio.run(with_lines(work, certified(authority, "127.0.0.1") if tls else None))


def test_no_order_goes_to_a_host_that_cannot_prove_its_name(authority: trustme.CA) -> None:
    async def scenario(tls: ssl.SSLContext) -> None:
        served, replies = Server(), list[bytes]()
        server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=tls)
        lines = OrderLines(http(server.sockets[0].getsockname()[1], "https"))
        with pytest.raises(ssl.SSLCertVerificationError):
            await lines._once(lines.transport.lines[0], lambda *_: None)
        assert not lines.up
        assert place(lines.transport, 1) <= 0
        assert served.targets == replies == []
        server.close()

    for stranger in (
        certified(authority, "elsewhere.example"), certified(trustme.CA(), "127.0.0.1"),
    ):  # fmt: skip
        asyncio.run(scenario(stranger))


def test_a_lost_connection_tells_nobody_and_is_made_anew() -> None:
    async def work(served: Server, lines: OrderLines, replies: list[bytes]) -> None:
        served.silent = True
        assert place(lines.transport, 2) > 0
        await until(lambda: len(served.targets) == 2)
        for writer in served.writers:
            writer.close()
        await until(lambda: served.connections == 4 and lines.up)
        assert lines.lost_count == 2
        assert replies == []
        served.silent = False
        assert place(lines.transport, 1) > 0
        await until(lambda: len(replies) == 1)

    asyncio.run(with_lines(work))


def test_a_connection_that_does_not_answer_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "LOOK_S", 0.01)
    monkeypatch.setattr(orders, "ANSWER_WITHIN_S", 0.05)

    async def work(served: Server, lines: OrderLines, replies: list[bytes]) -> None:
        served.silent = True
        assert place(lines.transport, 1) > 0
        await until(lambda: lines.lost_count == 1)

    asyncio.run(with_lines(work))


def test_an_idle_connection_is_asked_for_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "LOOK_S", 0.01)
    monkeypatch.setattr(orders, "IDLE_S", 0.02)

    async def work(served: Server, lines: OrderLines, replies: list[bytes]) -> None:
        await until(lambda: served.targets.count(b"/ping") > 3)
        assert replies == []
        assert served.connections == 2

    asyncio.run(with_lines(work))
