"""Paper trading: virtual time, no sockets, the same wire protocol."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any

import pytest

from openmm._fast.book import Book
from openmm.sim.dialects import MEXC_PAIRS, dialect
from openmm.sim.mirror import MirroredFeed, Own
from openmm.sim.options import DEMO_KEY, DEMO_SECRET
from openmm.sim.paper import PaperVenue
from openmm.venues.kraken.wire import KrakenDecoder
from openmm.venues.mexc.private import reply_frame
from openmm.venues.mexc.wire import MexcDecoder
from tests.oracles.kraken_reader import loads
from tests.sim.test_replay import book_frame
from tests.sim.venue import BTC, NS, T0

MS = 1_000_000


def paper_venue(latency_ns: int = 0, own: Own | None = None) -> PaperVenue:
    """Make one whose book messages need no right checksum."""
    book, decoder = Book(), KrakenDecoder()
    decoder.bind(
        BTC.name, 0, book, BTC.tick_points, BTC.price_decimals, BTC.lot_points, BTC.qty_decimals,
        10, False,
    )  # fmt: skip
    feed = MirroredFeed(BTC, decoder, book, told=False, own=own)
    balances = {"BTC": Decimal(1), "USD": Decimal(50_000)}
    return PaperVenue(
        dialect("kraken"), feed, BTC, (0, 1000), balances, seed=1, latency_ns=latency_ns
    )


SNAPSHOT = book_frame("snapshot", {"1000.0": "1.0", "999.0": "5.0"}, {"1001.0": "2.0"})


class Trader:
    """A client of a paper venue."""

    def __init__(self) -> None:
        self.venue = paper_venue()
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
    trader.venue.connect(T0)
    assert [loads(f)["channel"] for f in trader.venue.poll(T0)] == ["status"]
    replies = trader.ask("subscribe", channel="executions")
    assert [row["order_status"] for row in replies[1]["data"]] == ["new"]


def test_paper_latency_lets_the_market_move_before_an_order_arrives() -> None:
    venue = paper_venue(latency_ns=5 * MS)
    venue.on_public_frame(SNAPSHOT, T0)
    trader = Trader()
    trader.venue, trader.nonce = venue, 0
    trader.token = trader.rest("GetWebSocketsToken")["token"]
    assert [m for m in trader.buy(1000.5, 0.5, post_only=True) if m.get("method")] == []
    venue.on_public_frame(book_frame("update", {}, {"1000.5": "0.2"}), T0 + 4 * MS)
    assert venue.poll(T0 + 9 * MS) == []
    (reply,) = [loads(frame) for frame in venue.poll(T0 + 10 * MS)]
    assert reply["error"] == "EOrder:Post only order"


class Ours:
    """Own orders in a public book, and prints that are no trades."""

    def resting(self, now_ns: int) -> list[tuple[int, int, int]]:
        return [(0, 10_000, 40_000_000)] if now_ns > T0 else []

    def printed(self, taker_side: int, price_ticks: int, lots: int, now_ns: int) -> bool:
        return lots == 7


def test_what_is_ours_is_taken_out_of_the_public_market() -> None:
    venue = paper_venue(own=Ours())
    venue.on_public_frame(SNAPSHOT, T0)
    assert venue.core.qty_at("BTC/USD", 0, 10_000) == 100_000_000
    venue.on_public_frame(book_frame("update", {"1000.0": "1.5"}, {}), T0 + NS)
    assert venue.core.qty_at("BTC/USD", 0, 10_000) == 110_000_000
    venue.on_public_frame(book_frame("update", {"1000.0": "0.4"}, {}), T0 + 2 * NS)
    assert venue.core.qty_at("BTC/USD", 0, 10_000) == 0
    venue.live_until(T0 + 2 * NS)
    assert venue.next_ns(T0 + 2 * NS) is not None


def test_a_lost_public_feed_fills_nothing_until_it_is_back() -> None:
    trader = Trader()
    trader.venue.on_public_frame(SNAPSHOT, T0)
    trader.buy(1000.5, 0.5)
    trader.venue.on_public_lost()
    assert trader.venue.core.depth("BTC/USD", 0, 5) == []
    trader.venue.on_public_frame(book_frame("update", {}, {"1000.0": "9.0"}), T0)
    assert trader.reports() == []
    trader.venue.on_public_frame(book_frame("snapshot", {"999.0": "1.0"}, {"1000.0": "9.0"}), T0)
    assert [row["exec_type"] for row in trader.reports()] == ["trade", "filled"]


def test_orders_over_rest_arrive_and_are_answered_each_after_its_latency() -> None:
    pair = MEXC_PAIRS["BTC/USDT"][0]
    book, decoder = Book(), MexcDecoder()
    decoder.bind("BTCUSDT", 0, book, 1, 2, 1, 6, 500, True)
    venue = PaperVenue(
        dialect("mexc"), MirroredFeed(pair, decoder, book, told=False), pair, (0, 0),
        {"BTC": Decimal(1), "USDT": Decimal(60_000)}, seed=1, latency_ns=5 * MS,
    )  # fmt: skip
    copy = (
        b'{"channel":"rest.depth","s":"BTCUSDT","result":{"lastUpdateId":1,'
        b'"bids":[["59999.00","1"]],"asks":[["60001.00","1"]]}}'
    )
    venue.on_public_frame(copy, T0)
    query = (
        "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.01&price=60000.00"
        f"&timestamp={T0 // MS}&recvWindow=5000"
    )
    mac = hmac.new(DEMO_SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
    headers = {"X-MEXC-APIKEY": DEMO_KEY, "Content-Type": "application/json"}
    request = f"7 POST /api/v3/order?{query}&signature={mac}".encode()
    venue.on_order(request, headers, T0)
    assert venue.replies(T0 + 4 * MS, reply_frame) == []
    assert venue.core.open_orders(venue.account) == []
    assert venue.replies(T0 + 9 * MS, reply_frame) == []
    assert [order.price_ticks for order in venue.core.open_orders(venue.account)] == [6_000_000]
    (reply,) = venue.replies(T0 + 10 * MS, reply_frame)
    assert b'"orderId"' in reply
    venue.on_order(request.replace(b"0.01", b"0.02"), headers, T0 + 10 * MS)
    (refused,) = venue.replies(T0 + 20 * MS, reply_frame)
    assert b"700002" in refused  # the signature is of another request
