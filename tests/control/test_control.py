"""The command socket, both ends: commands, refusals, garbage, bounds."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm.control import (
    Adjust,
    Cancel,
    Command,
    Cost,
    Flatten,
    Halt,
    Incidents,
    Orders,
    Pause,
    Place,
    Preview,
    Resume,
    RunDir,
    Set,
    Status,
    Stop,
    Tighten,
    Undo,
    send_command,
)
from openmm.engine.commands import (
    COMMANDS,
    LINE_BYTES_MAX,
    Caller,
    Request,
    decode_reply,
    decode_request,
    encode_error,
    encode_reply,
    encode_request,
    name_of,
)
from openmm.engine.door import CONNECTIONS_MAX, CommandServer, at_folder
from openmm.errors import CommandError, RiskError

COMMANDS_SENT: list[Command] = [
    Halt("news"), Pause(), Resume(), Tighten(max_inventory="0.1"), Stop("done"), Status(),
    Adjust("BTC", "-0.1", "lost", "k1", "s1"), Incidents("all"),
    Cost("ETH", "0.002", "0xab12", "gas", "wallet:base"),
    Set('{"strategy.spread": "0.4%"}', "3", "k2"), Preview('{"strategy.spread": "0.4%"}'),
    Undo("4", "k3"), Place("buy", "0.01", "60000", "why", "k4"), Cancel("all", "", "k5"),
    Flatten("news", "k6"), Orders(),
]  # fmt: skip


class Bot:
    """A handler that remembers what it was told; `resume` is refused as by the risk monitor."""

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.reached = asyncio.Event()

    async def handle(self, request: Request) -> dict[str, Any]:
        self.seen.append(request)
        self.reached.set()
        await self.gate.wait()
        if isinstance(request.command, Resume):
            raise RiskError("the bot is neither paused nor halted but RUNNING")
        return {"did": name_of(request.command)}


@asynccontextmanager
async def serving(folder: Path, idle_s_max: float = 30.0) -> AsyncIterator[tuple[RunDir, Bot]]:
    run_dir, bot = RunDir(folder, "btc").make(), Bot()
    server = CommandServer(run_dir.socket, bot.handle, idle_s_max=idle_s_max)
    await server.start()
    try:
        yield run_dir, bot
    finally:
        await server.close()
        assert not run_dir.socket.exists()


async def send(run_dir: RunDir, command: Command, timeout_s: float = 10.0) -> dict[str, Any]:
    return await asyncio.to_thread(send_command, run_dir, command, timeout_s=timeout_s)


async def raw(run_dir: RunDir, data: bytes) -> bytes:
    """Send bytes, half-close, read until the end."""

    def talk() -> bytes:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            with at_folder(run_dir.socket) as name:
                line.connect(name)
            try:
                line.sendall(data)
                line.shutdown(socket.SHUT_WR)
            except ConnectionError:
                pass
            got = b""
            while True:
                try:
                    chunk = line.recv(65536)
                except ConnectionError:
                    return got
                if not chunk:
                    return got
                got += chunk

    return await asyncio.to_thread(talk)


@pytest.mark.parametrize("command", COMMANDS_SENT, ids=name_of)
def test_request_reads_back(command: Command) -> None:
    request = Request(7, command, Caller("cli", "ann", 1000, 42))
    assert decode_request(encode_request(request), 1000, 42) == request
    caps = {"orders_per_minute": "3", "order_notional": "100.5"}
    request = Request(7, command, Caller("mcp", "ann", 1000, 42, "desk", caps))
    assert decode_request(encode_request(request), 1000, 42) == request


def test_every_command_is_covered() -> None:
    assert {type(command) for command in COMMANDS_SENT} == set(COMMANDS.values())


@pytest.mark.asyncio
async def test_command_is_carried_out_and_its_sender_known(tmp_path: Path) -> None:
    async with serving(tmp_path) as (run_dir, bot):
        assert await send(run_dir, Halt("news")) == {"did": "halt"}
        [request] = bot.seen
        assert request.command == Halt("news")
        assert request.caller.surface == "cli"
        assert (request.caller.uid, request.caller.pid) == (os.getuid(), os.getpid())


@pytest.mark.asyncio
async def test_refusal_comes_back_in_the_bots_words(tmp_path: Path) -> None:
    async with serving(tmp_path) as (run_dir, _):
        with pytest.raises(CommandError, match="neither paused nor halted") as caught:
            await send(run_dir, Resume())
        assert caught.value.code == "risk"
        assert await send(run_dir, Status()) == {"did": "status"}


@pytest.mark.asyncio
async def test_one_connection_carries_several_requests(tmp_path: Path) -> None:
    async with serving(tmp_path) as (run_dir, _):
        caller = Caller("cli", "ann")
        both = b"".join(encode_request(Request(i, Status(), caller)) for i in (1, 2))
        first, second = (await raw(run_dir, both)).splitlines(keepends=True)
        assert decode_reply(first, 1) == decode_reply(second, 2) == {"did": "status"}


@pytest.mark.asyncio
async def test_socket_is_the_owners_only(tmp_path: Path) -> None:
    async with serving(tmp_path) as (run_dir, _):
        assert run_dir.socket.stat().st_mode & 0o777 == 0o600


@pytest.mark.asyncio
async def test_socket_left_by_a_dead_engine_is_replaced(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path, "btc").make()
    with socket.socket(socket.AF_UNIX) as dead, at_folder(run_dir.socket) as name:
        dead.bind(name)
    assert run_dir.socket.exists()
    with pytest.raises(CommandError, match="not running"):
        await send(run_dir, Status())
    async with serving(tmp_path) as (run_dir, _):
        assert await send(run_dir, Status()) == {"did": "status"}


@pytest.mark.asyncio
async def test_other_file_in_the_way_is_not_replaced(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path, "btc").make()
    run_dir.socket.write_text("precious")
    with pytest.raises(CommandError, match="will not be replaced"):
        await CommandServer(run_dir.socket, Bot().handle).start()
    assert run_dir.socket.read_text() == "precious"


@pytest.mark.asyncio
async def test_path_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    async with serving(tmp_path / ("x" * 120)) as (run_dir, _):
        assert await send(run_dir, Status()) == {"did": "status"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"GET / HTTP/1.1\r\n", "one JSON object a line"),
        (b"[]\n", "one JSON object a line"),
        (b"\xff\xfe\n", "one JSON object a line"),
        (b"{}\n", "id is an integer"),
        (b'{"id":1,"command":"buy"}\n', "known commands are halt"),
        (b'{"id":1,"command":["halt"]}\n', "known commands are halt"),
        (b'{"id":1,"command":"halt","args":[]}\n', "args are an object"),
        (b'{"id":1,"command":"halt","args":{"force":"1"}}\n', "halt takes reason"),
        (b'{"id":1,"command":"orders","args":{"reason":"1"}}\n', "orders takes no argument"),
        (b'{"id":1,"command":"halt","args":{"reason":1}}\n', "halt.reason is a text"),
        (
            b'{"id":1,"command":"halt","args":{"reason":"' + b"x" * 501 + b'"}}\n',
            "at most 500 characters",
        ),
        (b'{"id":1,"command":"halt"}\n', "tells surface and user"),
        (b'{"id":1,"command":"halt","caller":{"surface":"cli"}}\n', "tells surface and user"),
        (b"x" * (LINE_BYTES_MAX + 10), "at most 65536 bytes"),
    ],
)
@pytest.mark.asyncio
async def test_garbage_gets_one_clear_error_and_reaches_nobody(
    tmp_path: Path, line: bytes, message: str
) -> None:
    async with serving(tmp_path) as (run_dir, bot):
        reply = await raw(run_dir, line)
        assert reply.count(b"\n") == 1
        with pytest.raises(CommandError, match=message):
            decode_reply(reply, 1)
        assert bot.seen == []
        assert await send(run_dir, Status()) == {"did": "status"}


@given(st.binary(max_size=200) | st.recursive(st.none(), st.lists).map(lambda x: repr(x).encode()))
def test_fuzz_any_line_is_a_request_or_refused(line: bytes) -> None:
    with pytest.raises(CommandError):
        decode_request(line)


@pytest.mark.asyncio
async def test_caller_that_says_nothing_is_hung_up_on(tmp_path: Path) -> None:
    async with serving(tmp_path, idle_s_max=0.05) as (run_dir, _):

        def wait() -> bytes:
            with socket.socket(socket.AF_UNIX) as line, at_folder(run_dir.socket) as name:
                line.settimeout(10)
                line.connect(name)
                return line.recv(10)

        assert await asyncio.to_thread(wait) == b""


@pytest.mark.asyncio
async def test_too_many_connections_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as (run_dir, bot):
        lines: list[socket.socket] = []
        for _ in range(CONNECTIONS_MAX):
            line = socket.socket(socket.AF_UNIX)
            lines.append(line)
            with at_folder(run_dir.socket) as name:
                line.connect(name)
        with pytest.raises(CommandError, match="more than 16 connections"):
            await send(run_dir, Status())
        assert bot.seen == []
        for line in lines:
            line.close()


@pytest.mark.asyncio
async def test_bot_that_does_not_answer_is_told_as_such(tmp_path: Path) -> None:
    async with serving(tmp_path) as (run_dir, bot):
        bot.gate.clear()
        with pytest.raises(CommandError, match="may still carry it out") as caught:
            await send(run_dir, Halt(), timeout_s=0.05)
        assert caught.value.code == "timeout"
        bot.gate.set()


@pytest.mark.asyncio
async def test_bot_that_ends_before_it_answers_is_told_as_such(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path, "btc").make()
    bot = Bot()
    bot.gate.clear()
    server = CommandServer(run_dir.socket, bot.handle)
    await server.start()
    sent = asyncio.create_task(send(run_dir, Halt()))
    await bot.reached.wait()
    await server.close()
    with pytest.raises(CommandError, match="ended before it answered"):
        await sent


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir()])
def test_bot_that_never_ran_is_told_as_not_running(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    run_dir = RunDir(tmp_path, "btc")
    make(run_dir.path)
    with pytest.raises(CommandError, match="the bot btc is not running") as caught:
        send_command(run_dir, Status())
    assert caught.value.code == "not_running"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}\n",
        encode_reply(2, {}),
        b'{"id":1,"ok":true}\n',
        b'{"id":1,"ok":true,"result":[]}\n',
        encode_error(1, "x", "no"),
    ],
)
def test_reply_that_is_no_success_raises(line: bytes) -> None:
    with pytest.raises(CommandError):
        decode_reply(line, 1)
