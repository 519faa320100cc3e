"""The in-memory pipe and paper trading: virtual time, no sockets, the same wire protocol."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any

import pytest

from openmm.sim.market import SyntheticMarket, market_options
from openmm.sim.pipe import DelayLine, PaperVenue, Pipe
from tests.oracles.kraken_reader import loads
from tests.sim.test_replay import book_frame
from tests.sim.venue import BTC, NS, T0, Venue

MS = 1_000_000


def test_delay_line_never_overtakes_and_follows_its_seed() -> None:
    lines = [DelayLine("a", 2 * MS, 5 * MS) for _ in range(2)]
    times = [[line.due_ns(T0 + i * MS) for i in range(200)] for line in lines]
    assert times[0] == times[1]
    assert times[0] == sorted(times[0])
    assert all(due >= T0 + i * MS + 2 * MS for i, due in enumerate(times[0]))
    assert DelayLine("a", 0, 0).due_ns(T0) == T0


def test_pipe_delivers_a_round_trip_after_both_delays() -> None:
    pipe = Pipe(Venue().gateway, private=False, now_ns=T0, latency_ns=3 * MS)
    pipe.send(b'{"method":"ping","req_id":1}', T0 + 10 * MS)
    assert [loads(f)["channel"] for f in pipe.receive(T0 + 15 * MS)] == ["status"]
    (pong,) = pipe.receive(T0 + 16 * MS)
    assert loads(pong)["method"] == "pong"
    assert loads(pong)["time_in"] == "2023-11-14T22:13:20.013000Z"


def test_the_same_seed_gives_the_same_bytes_at_the_same_times() -> None:
    def run(seed: int) -> list[tuple[int, bytes]]:
        venue = Venue()
        market = market_options(Decimal(60_000), {})
        venue.core.drive(SyntheticMarket(BTC, seed, T0, market))
        pipe = Pipe(venue.gateway, False, T0, 2 * MS, MS, seed)
        request = {"channel": "book", "symbol": ["BTC/USD"], "depth": 10}
        pipe.send(json.dumps({"method": "subscribe", "params": request}).encode(), T0)
        found = []
        for step in range(1, 2000):
            now_ns = T0 + step * 5 * MS
            found += [(now_ns, frame) for frame in pipe.receive(now_ns)]
        pipe.close()
        return found

    first = run(3)
    assert len(first) > 100
    assert run(3) == first
    assert run(4) != first


SNAPSHOT = book_frame("snapshot", {"1000.0": "1.0", "999.0": "5.0"}, {"1001.0": "2.0"})


class Trader:
    """A client of a paper venue."""

    def __init__(self) -> None:
        balances = {"BTC": Decimal(1), "USD": Decimal(50_000)}
        self.venue = PaperVenue(BTC, (0, 1000), balances, seed=1)
        self.nonce = 0
        token = self.rest("GetWebSocketsToken")["token"]
        self.token = token
        self.ask("subscribe", channel="executions")

    def rest(self, name: str) -> Any:
        self.nonce += 1
        body, path = f"nonce={self.nonce}".encode(), f"/0/private/{name}"
        digest = hashlib.sha256(str(self.nonce).encode() + body).digest()
        secret = base64.b64decode(self.venue.api_secret)
        mac = hmac.new(secret, path.encode() + digest, hashlib.sha512).digest()
        headers = {"API-Key": self.venue.api_key, "API-Sign": base64.b64encode(mac).decode()}
        status, text = self.venue.rest("POST", path, headers, body, T0)
        assert status == 200
        return json.loads(text)["result"]

    def ask(self, method: str, **params: object) -> list[dict[str, Any]]:
        params["token"] = self.token
        self.venue.on_client_frame(
            json.dumps({"method": method, "params": params, "req_id": 1}).encode(), T0
        )
        return [loads(frame) for frame in self.venue.poll(T0)]

    def buy(self, price: float, qty: float, **more: object) -> list[dict[str, Any]]:
        return self.ask(
            "add_order",
            order_type="limit",
            side="buy",
            symbol="BTC/USD",
            limit_price=price,
            order_qty=qty,
            **more,
        )

    def reports(self) -> list[dict[str, Any]]:
        messages = [loads(frame) for frame in self.venue.poll(T0 + NS)]
        return [row for m in messages if m.get("channel") == "executions" for row in m["data"]]


def test_paper_order_fills_when_the_public_book_reaches_it() -> None:
    trader = Trader()
    trader.venue.on_public_frame(SNAPSHOT, T0)
    replies = trader.buy(1000.5, 0.5, post_only=True)
    assert replies[0]["success"] is True
    trader.venue.on_public_frame(book_frame("update", {}, {"1000.5": "0.2"}), T0 + NS)
    (trade,) = trader.reports()
    assert (trade["liquidity_ind"], float(trade["last_qty"])) == ("m", 0.2)
    assert float(trade["fees"][0]["qty"]) == 0
    statement = trader.venue.statement()
    assert statement["assets"]["BTC"]["closing"] == "1.2000000000"  # type: ignore[index]
    assert trader.rest("Balance")["ZUSD"] == "49799.9000"


def test_paper_taker_pays_the_public_quantities_and_the_taker_fee() -> None:
    trader = Trader()
    trader.venue.on_public_frame(SNAPSHOT, T0)
    replies = trader.buy(1001.0, 3.0, time_in_force="ioc")
    kinds = [r["data"][0]["exec_type"] for r in replies if r.get("channel") == "executions"]
    assert kinds == ["pending_new", "new", "trade", "canceled"]
    assert trader.rest("Balance")["ZUSD"] == "47995.9980"


@pytest.mark.parametrize(
    "bad", [SNAPSHOT.replace(b"999.0", b"999.05"), SNAPSHOT.replace(b'"asks"', b'"ask"')]
)
def test_a_broken_public_book_fills_nothing_until_its_next_snapshot(bad: bytes) -> None:
    trader = Trader()
    trader.venue.on_public_frame(SNAPSHOT, T0)
    trader.buy(1000.5, 0.5)
    trader.venue.on_public_frame(bad, T0)
    assert trader.venue.bad_frame_count == 1
    trader.venue.on_public_frame(book_frame("update", {}, {"1000.0": "9.0"}), T0)
    assert trader.reports() == []
    trader.venue.on_public_frame(book_frame("snapshot", {"999.0": "1.0"}, {"1000.0": "9.0"}), T0)
    assert [row["exec_type"] for row in trader.reports()] == ["trade", "filled"]


def test_a_new_private_connection_loses_waiting_messages_not_orders() -> None:
    trader = Trader()
    trader.venue.on_public_frame(SNAPSHOT, T0)
    trader.buy(1000.5, 0.5)
    trader.venue.reconnect(T0)
    assert [loads(f)["channel"] for f in trader.venue.poll(T0)] == ["status"]
    replies = trader.ask("subscribe", channel="executions")
    assert [row["order_status"] for row in replies[1]["data"]] == ["new"]


def test_paper_latency_lets_the_market_move_before_an_order_arrives() -> None:
    balances = {"BTC": Decimal(1), "USD": Decimal(50_000)}
    venue = PaperVenue(BTC, (0, 1000), balances, seed=1, latency_ns=5 * MS)
    venue.on_public_frame(SNAPSHOT, T0)
    trader = Trader()
    trader.venue, trader.nonce = venue, 0
    trader.token = trader.rest("GetWebSocketsToken")["token"]
    assert [m for m in trader.buy(1000.5, 0.5, post_only=True) if m.get("method")] == []
    venue.on_public_frame(book_frame("update", {}, {"1000.5": "0.2"}), T0 + 4 * MS)
    assert venue.poll(T0 + 9 * MS) == []
    (reply,) = [loads(frame) for frame in venue.poll(T0 + 10 * MS)]
    assert reply["error"] == "EOrder:Post only order"
