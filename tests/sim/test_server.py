"""The simulated venue over real sockets, driven by a plain picows and aiohttp client."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from openmm.errors import ConfigError
from openmm.sim.options import DEMO_KEY, DEMO_SECRET, SimOptions
from openmm.sim.server import SimServer
from tests.oracles.kraken_reader import ReaderBook

OPTIONS = SimOptions(seed=5, balances={"BTC": Decimal(2), "USD": Decimal(100_000)})
ROOT = Path(__file__).resolve().parents[2]
Message = dict[str, Any]


class Client(WSListener):
    """A plain client: every frame to a queue."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.transport: WSTransport | None = None
        self.seen: list[Message] = []
        self.req_id = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self.frames.put_nowait(frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.frames.put_nowait(None)

    def send(self, text: str | Message) -> None:
        assert self.transport is not None
        raw = text if isinstance(text, str) else json.dumps(text)
        self.transport.send(WSMsgType.TEXT, raw.encode())

    async def next(self) -> Message:
        async with asyncio.timeout(20):
            frame = await self.frames.get()
        if frame is None:
            raise ConnectionError("closed")
        message: Message = json.loads(frame, parse_float=Decimal)
        self.seen.append(message)
        return message

    async def until(self, wanted: Callable[[Message], bool]) -> Message:
        while True:
            message = await self.next()
            if wanted(message):
                return message

    async def ask(self, method: str, params: Message) -> Message:
        self.req_id += 1
        number = self.req_id
        self.send({"method": method, "params": params, "req_id": number})
        return await self.until(lambda m: m.get("req_id") == number)

    async def report(self, kind: str) -> Message:
        def wanted(message: Message) -> bool:
            return message.get("channel") == "executions" and any(
                row["exec_type"] == kind for row in message["data"]
            )

        found: Message = (await self.until(wanted))["data"][0]
        return found


@asynccontextmanager
async def client(url: str) -> AsyncIterator[Client]:
    """Connect a plain client."""
    transport, listener = await ws_connect(Client, url)
    assert isinstance(listener, Client)
    try:
        yield listener
    finally:
        transport.disconnect(False)
        await transport.wait_disconnected()


class Rest:
    """A plain REST client with its own nonce."""

    def __init__(self, server: SimServer, http: aiohttp.ClientSession) -> None:
        self.url = server.rest_url
        self.http = http
        self.nonce = 0
        self.secret = DEMO_SECRET
        self.key = DEMO_KEY

    async def private(self, name: str, **params: object) -> Message:
        self.nonce += 1
        body = urlencode({"nonce": self.nonce, **params})
        path = f"/0/private/{name}"
        digest = hashlib.sha256(f"{self.nonce}{body}".encode()).digest()
        mac = hmac.new(base64.b64decode(self.secret), path.encode() + digest, hashlib.sha512)
        headers = {
            "API-Key": self.key,
            "API-Sign": base64.b64encode(mac.digest()).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        async with self.http.post(self.url + path, data=body, headers=headers) as answer:
            found: Message = await answer.json()
            return found

    async def get(self, path: str) -> Message:
        async with self.http.get(self.url + path) as answer:
            found: Message = await answer.json()
            return found

    async def post(self, path: str) -> Message:
        async with self.http.post(self.url + path) as answer:
            found: Message = await answer.json()
            return found

    async def token(self) -> str:
        text: str = (await self.private("GetWebSocketsToken"))["result"]["token"]
        return text


@asynccontextmanager
async def venue(options: SimOptions = OPTIONS) -> AsyncIterator[tuple[SimServer, Rest]]:
    """Start a venue and a REST client."""
    async with SimServer(options) as server, aiohttp.ClientSession() as http:
        yield server, Rest(server, http)


async def best(rest: Rest) -> tuple[Decimal, Decimal]:
    """Return best bid and ask by REST."""
    result = (await rest.get("/0/public/Depth?pair=XBTUSD&count=1"))["result"]["XXBTZUSD"]
    return Decimal(result["bids"][0][0]), Decimal(result["asks"][0][0])


@pytest.mark.asyncio
async def test_public_stream_keeps_its_checksums_over_the_socket() -> None:
    async with venue() as (server, _), client(server.ws_url) as public:
        status = await public.next()
        assert status["channel"] == "status"
        assert status["data"][0]["system"] == "online"
        ack = await public.ask(
            "subscribe", {"channel": "book", "symbol": ["BTC/USD"], "depth": 10, "snapshot": True}
        )
        assert ack["success"] is True
        assert ack["result"] == {
            "channel": "book",
            "depth": 10,
            "snapshot": True,
            "symbol": "BTC/USD",
        }
        book = ReaderBook(10)
        for index in range(40):
            message = await public.until(lambda m: m.get("channel") == "book")
            assert message["type"] == ("snapshot" if index == 0 else "update")
            book.apply(message)
            assert book.checksum() == message["data"][0]["checksum"]
            assert not book.crossed()


@pytest.mark.asyncio
async def test_order_lives_from_pending_to_cancelled_over_the_socket() -> None:
    async with venue() as (server, rest), client(server.ws_auth_url) as private:
        token = await rest.token()
        ack = await private.ask("subscribe", {"channel": "executions", "token": token})
        assert ack["result"]["maxratecount"] == 180
        snapshot = await private.until(lambda m: m.get("channel") == "executions")
        assert (snapshot["type"], snapshot["sequence"], snapshot["data"]) == ("snapshot", 1, [])
        bid, _ = await best(rest)
        price = float(bid - 100)
        order = {
            "order_type": "limit",
            "side": "buy",
            "symbol": "BTC/USD",
            "order_qty": 0.01,
            "limit_price": price,
            "post_only": True,
            "cl_ord_id": "mabc0000001",
            "token": token,
        }
        reply = await private.ask("add_order", order)
        assert reply["success"] is True
        order_id = reply["result"]["order_id"]
        assert reply["result"] == {"order_id": order_id, "cl_ord_id": "mabc0000001"}
        pending = await private.report("pending_new")
        assert (pending["symbol"], pending["cl_ord_id"]) == ("BTC/USD", "mabc0000001")
        opened = await private.report("new")
        assert set(opened) == {
            "order_id",
            "order_userref",
            "order_status",
            "exec_type",
            "timestamp",
        }
        found = (await rest.private("OpenOrders"))["result"]["open"][order_id]
        assert (found["status"], found["vol"]) == ("open", "0.01000000")
        held = (await rest.private("BalanceEx"))["result"]["ZUSD"]
        assert Decimal(held["hold_trade"]) > 0
        reply = await private.ask("cancel_order", {"order_id": [order_id], "token": token})
        assert reply["result"] == {"order_id": order_id}
        gone = await private.report("canceled")
        assert gone["reason"] == "User requested"
        assert "symbol" not in gone
        held = (await rest.private("BalanceEx"))["result"]["ZUSD"]
        assert Decimal(held["hold_trade"]) == 0
        numbers = [m["sequence"] for m in private.seen if m.get("channel") == "executions"]
        assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.asyncio
async def test_taker_fill_moves_both_balances_and_the_statement_agrees() -> None:
    async with venue() as (server, rest), client(server.ws_auth_url) as private:
        token = await rest.token()
        await private.ask("subscribe", {"channel": "executions", "token": token})
        await private.ask("subscribe", {"channel": "balances", "token": token})
        order = {
            "order_type": "market",
            "side": "buy",
            "symbol": "BTC/USD",
            "order_qty": 0.01,
            "token": token,
        }
        assert (await private.ask("add_order", order))["success"] is True
        filled = await private.report("filled")
        assert filled["cum_qty"] == Decimal("0.01")
        fills = [
            m["data"][0]
            for m in private.seen
            if m.get("channel") == "executions"
            and m["data"]
            and m["data"][0]["exec_type"] == "trade"
        ]
        statement = await rest.get("/sim/statement")
        assert [row["exec_id"] for row in statement["fills"]] == [row["exec_id"] for row in fills]
        cost = sum(Decimal(row["cost"]) for row in statement["fills"])
        fee = sum(Decimal(row["fee"]) for row in statement["fills"])
        assert sum(row["fees"][0]["qty"] for row in fills) == fee
        usd, btc = statement["assets"]["USD"], statement["assets"]["BTC"]
        assert Decimal(usd["closing"]) == Decimal("100000") - cost - fee
        assert Decimal(btc["closing"]) == Decimal("2.01")
        balances = (await rest.private("Balance"))["result"]
        assert balances == {"XXBT": btc["closing"], "ZUSD": usd["closing"]}


@pytest.mark.asyncio
async def test_bad_signatures_keys_and_nonces_are_refused() -> None:
    async with venue() as (_, rest):
        assert (await rest.private("Balance"))["error"] == []
        rest.nonce = 0
        assert (await rest.private("Balance"))["error"] == ["EAPI:Invalid nonce"]
        rest.nonce = 10
        rest.secret = base64.b64encode(b"another").decode()
        assert (await rest.private("Balance"))["error"] == ["EAPI:Invalid signature"]
        rest.key = "nobody"
        assert (await rest.private("Balance"))["error"] == ["EAPI:Invalid key"]
        rest.key, rest.secret = DEMO_KEY, DEMO_SECRET
        assert (await rest.private("Balance"))["error"] == []


@pytest.mark.asyncio
async def test_the_socket_drops_as_asked_and_the_order_lives_on() -> None:
    async with venue() as (server, rest):
        token = await rest.token()
        bid, _ = await best(rest)
        async with client(server.ws_auth_url) as private:
            await private.ask("subscribe", {"channel": "executions", "token": token})
            assert (await rest.post("/sim/fault?kind=closed&on=add&when=after")) == {
                "added": "closed"
            }
            order = {
                "order_type": "limit",
                "side": "buy",
                "symbol": "BTC/USD",
                "order_qty": 0.01,
                "limit_price": float(bid - 500),
                "cl_ord_id": "mabc0000009",
                "token": token,
            }
            with pytest.raises(ConnectionError):
                await private.ask("add_order", order)
        found = (await rest.private("OpenOrders", cl_ord_id="mabc0000009"))["result"]["open"]
        assert len(found) == 1


@pytest.mark.asyncio
async def test_latency_delays_replies_and_keeps_their_order() -> None:
    options = replace(OPTIONS, latency_ns=20_000_000, jitter_ns=5_000_000)
    async with venue(options) as (server, _), client(server.ws_url) as public:
        loop = asyncio.get_running_loop()
        before = loop.time()
        for number in range(1, 11):
            public.send({"method": "ping", "req_id": number})
        numbers = [
            (await public.until(lambda m: m.get("method") == "pong"))["req_id"] for _ in range(10)
        ]
        assert numbers == list(range(1, 11))
        assert loop.time() - before >= 0.04


@pytest.mark.asyncio
async def test_a_port_in_use_is_one_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"sim.port: ports {port} to"):
            async with SimServer(replace(OPTIONS, port=port)):
                pytest.fail("it started on a port in use")


@pytest.mark.asyncio
async def test_a_wrong_path_is_not_upgraded() -> None:
    async with venue() as (server, rest):
        url = server.ws_url.replace("ws:", "http:").replace("/v2", "/v1")
        async with rest.http.get(url) as answer:
            assert answer.status == 404
        assert (await rest.get("/nothing"))["error"] == ["EGeneral:Unknown method"]


@pytest.mark.asyncio
async def test_recording_is_served_verbatim_and_takers_reach_our_orders(shared: Path) -> None:
    path = shared / "data" / "kraken" / "v2_btcusd_d25_20260802.cbcap.gz"
    options = SimOptions(
        replay=path,
        flow=7,
        speed=Decimal(200),
        maker_fee_ppm=0,
        balances={"BTC": Decimal(2), "USD": Decimal(200_000)},
    )
    async with (
        venue(options) as (server, rest),
        client(server.ws_auth_url) as private,
        client(server.ws_url) as public,
    ):
        token = await rest.token()
        await private.ask("subscribe", {"channel": "executions", "token": token})
        await public.ask("subscribe", {"channel": "book", "symbol": ["BTC/USD"], "depth": 25})
        book = ReaderBook(25)
        count = 0
        placed = False
        while count < 2052:
            message = await public.until(lambda m: m.get("channel") == "book")
            book.apply(message)
            assert book.checksum() == message["data"][0]["checksum"]
            count += 1
            if not placed:
                placed = True
                top = {
                    "buy": max(book.sides["bids"]),
                    "sell": min(book.sides["asks"]),
                }
                for side, price in top.items():
                    order = {
                        "order_type": "limit",
                        "side": side,
                        "symbol": "BTC/USD",
                        "order_qty": 0.5,
                        "limit_price": float(price),
                        "token": token,
                    }
                    assert (await private.ask("add_order", order))["success"] is True
        statement = await rest.get("/sim/statement")
        assert {row["side"] for row in statement["fills"]} == {"buy", "sell"}
        assert all(row["fee"] == "0.0000" for row in statement["fills"] if row["maker"])


def test_the_process_prints_its_ports_and_stops_on_sigterm() -> None:
    code = (
        "from openmm.sim.main import run\nfrom openmm.sim.options import SimOptions\n"
        "run(SimOptions(seed=3))\n"
    )

    async def drive() -> tuple[Message, int]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env=dict(os.environ, PYTHONPATH=str(ROOT)),
        )
        assert process.stdout is not None
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            return json.loads(line), await process.wait()

    started, code_of_exit = asyncio.run(drive())
    assert started["ws"].startswith("ws://127.0.0.1:")
    assert {started["ws"], started["ws_auth"], started["rest"]} & {""} == set()
    assert (started["maker_fee_ppm"], started["taker_fee_ppm"]) == (2500, 4000)
    assert code_of_exit == 0
