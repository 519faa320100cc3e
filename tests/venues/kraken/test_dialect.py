"""The simulated Kraken's sessions: connection rules, subscriptions, channels, error shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openmm.events import SystemMode
from openmm.sim.market import SyntheticMarket, market_options
from openmm.venues.kraken.dialect import DialectOptions
from tests.oracles.kraken_reader import ReaderBook, loads
from tests.sim.venue import BTC, BUY, IOC, SELL, T0, Venue


def test_status_comes_first_and_heartbeats_only_after_a_subscription() -> None:
    venue = Venue()
    session = venue.gateway.connect(T0, private=False)
    (status,) = [loads(f) for f in session.poll(T0)]
    assert status["channel"] == "status"
    assert status["data"][0]["system"] == "online"
    assert session.poll(T0 + 5_000_000_000) == []
    session.on_client_frame(
        b'{"method":"subscribe","params":{"channel":"instrument"}}', T0 + 5_000_000_000
    )
    assert session.poll(T0 + 5_900_000_000) == []
    assert session.poll(T0 + 6_000_000_000) == [b'{"channel":"heartbeat"}']
    assert session.poll(T0 + 6_500_000_000) == []
    assert session.poll(T0 + 7_000_000_000) == [b'{"channel":"heartbeat"}']


def test_ping_is_answered_and_refuses_params() -> None:
    line = Venue().connect(private=False)
    (pong,) = line.raw(b'{"method":"ping","req_id":7}')
    assert pong["method"] == "pong"
    assert pong["req_id"] == 7
    assert set(pong) == {"method", "req_id", "time_in", "time_out"}
    (bad,) = line.raw(b'{"method":"ping","params":{},"req_id":8}')
    assert (bad["method"], bad["success"]) == ("ping", False)


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (b"not json", "Malformed request"),
        (b"[1,2]", "Malformed request"),
        (b'{"params":{}}', "Malformed request"),
        (b'{"method":"subscribe","params":[]}', "Malformed request"),
        (b'{"method":"fly"}', "Unsupported event"),
        (b'{"method":"add_order","params":{}}', "Unsupported event"),
        (b'{"method":"subscribe","params":{"channel":"weather"}}', "Subscription name invalid"),
        (b'{"method":"subscribe","params":{"channel":"executions"}}', "Subscription name invalid"),
        (b'{"method":"subscribe","params":{"channel":"book"}}', "Symbol(s) not found"),
        (
            b'{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":11}}',
            "Subscription depth not supported",
        ),
        (
            b'{"method":"subscribe","params":{"channel":"book","symbol":["XBT/USD"]}}',
            "Currency pair not supported XBT/USD",
        ),
        (
            b'{"method":"unsubscribe","params":{"channel":"book","symbol":["BTC/USD"]}}',
            "Subscription not found",
        ),
    ],
)
def test_a_bad_public_request_gets_its_error_text(frame: bytes, error: str) -> None:
    (reply,) = Venue().connect(private=False).raw(frame)
    assert (reply["error"], reply["success"]) == (error, False)
    assert "result" not in reply


def test_refused_symbol_stands_at_top_level_and_others_are_acked() -> None:
    line = Venue().connect(private=False)
    replies = line.ask("subscribe", channel="trade", symbol=["BTC/USD", "WWW/USD"], snapshot=False)
    assert replies[0]["result"] == {"channel": "trade", "snapshot": False, "symbol": "BTC/USD"}
    assert replies[1]["symbol"] == "WWW/USD"
    again = line.one("subscribe", channel="trade", symbol=["BTC/USD"])
    assert again["error"] == "Already subscribed"


@pytest.mark.parametrize("depth", [10, 25, 100])
def test_every_message_of_a_synthetic_book_has_a_right_checksum(depth: int) -> None:
    venue = Venue()
    venue.core.drive(SyntheticMarket(BTC, 3, T0, market_options(BTC.tick_size * 600_000, {})))
    line = venue.connect(private=False)
    ack = line.one("subscribe", channel="book", symbol=["BTC/USD"], depth=depth)
    assert ack["result"] == {
        "channel": "book",
        "depth": depth,
        "snapshot": True,
        "symbol": "BTC/USD",
    }
    book = ReaderBook(depth)
    count = 0
    waiting = [message for message in line.seen if "data" in message]
    while count < 3000:
        venue.wait(0.05)
        for message in [*waiting, *line.poll()]:
            if message["channel"] != "book":
                continue
            assert message["type"] == ("snapshot" if count == 0 else "update")
            book.apply(message)
            assert book.checksum() == message["data"][0]["checksum"]
            assert not book.crossed()
            count += 1
        waiting = []
    # What a reader holds is the venue's own top of the book.
    result = venue.get(f"/0/public/Depth?pair=BTC/USD&count={depth}")["result"]["XXBTZUSD"]
    for name in ("bids", "asks"):
        assert book.top(name) == [(price, qty) for price, qty, _ in result[name]]


def test_level_leaving_the_depth_is_not_deleted_and_returns_as_a_level() -> None:
    venue = Venue()
    for step in range(11):
        venue.market(BUY, f"{1000 - step}.0", "1")
    line = venue.connect(private=False)
    line.one("subscribe", channel="book", symbol=["BTC/USD"], depth=10)
    number = venue.market(BUY, "1001.0", "1")
    (update,) = line.poll()
    assert update["data"][0]["bids"] == [{"price": 1001, "qty": 1}]
    venue.core.market_cancel("BTC/USD", number, venue.now_ns)
    (update,) = line.poll()
    rows = [(str(row["price"]), str(row["qty"])) for row in update["data"][0]["bids"]]
    assert rows == [("1001.0", "0E-8"), ("991.0", "1.00000000")]


def test_numbers_carry_the_decimals_of_the_pair() -> None:
    venue = Venue()
    venue.market(BUY, "66788.0", "0.1244")
    line = venue.connect(private=False)
    request = {"channel": "book", "symbol": ["BTC/USD"]}
    frames = line.session.on_client_frame(
        json.dumps({"method": "subscribe", "params": request}).encode(), T0
    )
    assert b'{"price":66788.0,"qty":0.12440000}' in frames[1]


def test_unsubscribe_ends_a_book_and_a_new_subscription_starts_with_a_snapshot() -> None:
    venue = Venue()
    venue.market(BUY, "1000.0", "1")
    line = venue.connect(private=False)
    line.one("subscribe", channel="book", symbol=["BTC/USD"], depth=10)
    assert line.one("unsubscribe", channel="book", symbol=["BTC/USD"], depth=10)["success"] is True
    venue.market(BUY, "1001.0", "1")
    assert line.poll() == []
    messages = line.raw(
        b'{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"],"depth":10}}'
    )
    assert [m.get("type") for m in messages] == [None, "snapshot"]
    assert messages[1]["data"][0]["bids"][0]["price"] == 1001


def test_trades_of_one_taker_come_in_one_message_with_following_ids() -> None:
    venue = Venue()
    line = venue.connect(private=False)
    line.one("subscribe", channel="trade", symbol=["BTC/USD"], snapshot=True)
    venue.market(SELL, "1000.0", "1")
    venue.market(SELL, "1001.0", "1")
    venue.market(BUY, "1002.0", "1.5", IOC)
    (message,) = line.poll()
    rows = message["data"]
    assert [(r["side"], r["price"], float(r["qty"])) for r in rows] == [
        ("buy", 1000, 1.0),
        ("buy", 1001, 0.5),
    ]
    assert rows[1]["trade_id"] == rows[0]["trade_id"] + 1
    late = venue.connect(private=False)
    messages = late.raw(
        b'{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD"],"snapshot":true}}'
    )
    assert (messages[1]["type"], messages[1]["data"]) == ("snapshot", rows)


def test_ticker_follows_trades_or_quotes_as_asked() -> None:
    venue = Venue()
    venue.market(BUY, "999.0", "2")
    venue.market(SELL, "1000.0", "1")
    trades, quotes = venue.connect(private=False), venue.connect(private=False)
    ack = trades.one("subscribe", channel="ticker", symbol=["BTC/USD"])
    assert ack["result"]["event_trigger"] == "trades"
    quotes.one("subscribe", channel="ticker", symbol=["BTC/USD"], event_trigger="bbo")
    venue.market(BUY, "999.5", "1")
    assert trades.poll() == []
    (update,) = quotes.poll()
    assert (update["data"][0]["bid"], update["data"][0]["ask"]) == (
        pytest.approx(999.5),
        1000,
    )
    venue.market(BUY, "1000.0", "0.5", IOC)
    (update,) = trades.poll()
    assert update["data"][0]["last"] == 1000


def test_instrument_channel_tells_steps_and_minimums() -> None:
    line = Venue().connect(private=False)
    messages = line.raw(b'{"method":"subscribe","params":{"channel":"instrument"}}')
    (pair,) = messages[1]["data"]["pairs"]
    assert (pair["symbol"], pair["base"], pair["quote"]) == ("BTC/USD", "BTC", "USD")
    assert str(pair["price_increment"]) == "0.1"
    assert f"{pair['qty_increment']:f}" == "0.00000001"
    assert f"{pair['qty_min']:f}" == "0.00005"
    assert pair["status"] == "online"
    assert {row["id"]: row["precision"] for row in messages[1]["data"]["assets"]} == {
        "BTC": 10,
        "USD": 4,
    }


def test_tokens_are_needed_die_unused_and_live_on_where_used() -> None:
    venue = Venue()
    line = venue.connect()
    assert line.one("subscribe", channel="balances", token="")["error"] == "Token(s) not found"
    bad = line.one("subscribe", channel="balances", token="nothing")
    assert (bad["error"], bad["status"]) == ("ESession:Invalid session", "error")
    assert line.one("cancel_all", token="nothing")["error"] == "ESession:Invalid session"
    assert line.one("subscribe", channel="balances")["success"] is True
    venue.wait(901)
    assert line.one("cancel_all")["success"] is True
    late = venue.connect()
    late.token = line.token
    assert late.one("cancel_all")["error"] == "ESession:Invalid session"


def test_private_sequences_count_from_their_snapshot_each_by_itself() -> None:
    venue = Venue()
    line = venue.connect()
    line.one("subscribe", channel="executions")
    line.one("subscribe", channel="balances")
    venue.market(SELL, "1000.0", "1")
    line.add("buy", 1000.0, 0.5)
    for channel in ("executions", "balances"):
        numbers = [m["sequence"] for m in line.seen if m.get("channel") == channel]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) > 1


def test_executions_snapshot_holds_open_orders_and_asked_for_fills() -> None:
    venue = Venue()
    line = venue.connect()
    venue.market(SELL, "1000.0", "1")
    line.add("buy", 1000.0, 1.5, cl_ord_id="mine")
    late = venue.connect()
    late.one("subscribe", channel="executions", snap_orders=True, snap_trades=True)
    order, fill = late.reports()
    assert (order["cl_ord_id"], order["order_status"]) == ("mine", "partially_filled")
    assert (float(order["order_qty"]), float(order["cum_qty"])) == (1.5, 1.0)
    assert (fill["exec_type"], fill["order_id"]) == ("trade", order["order_id"])
    assert fill["liquidity_ind"] == "t"


def test_balances_snapshot_and_the_two_legs_of_a_fill() -> None:
    venue = Venue()
    line = venue.connect()
    line.one("subscribe", channel="balances")
    venue.market(SELL, "1000.0", "1")
    line.add("buy", 1000.0, 0.5)
    snapshot, base, quote = [m for m in line.seen if m.get("channel") == "balances"]
    assert {row["asset"]: float(row["balance"]) for row in snapshot["data"]} == {
        "BTC": 10,
        "USD": 1_000_000,
    }
    base_leg, quote_leg = base["data"][0], quote["data"][0]
    assert base_leg["ref_id"] == quote_leg["ref_id"]
    assert (float(base_leg["amount"]), float(base_leg["fee"])) == (0.5, 0)
    assert (float(quote_leg["amount"]), float(quote_leg["fee"])) == (-500, 2)
    assert float(quote_leg["balance"]) == 1_000_000 - 502


def test_only_the_account_s_own_sessions_hear_of_its_orders() -> None:
    venue = Venue()
    one, two = venue.connect(), venue.connect(key="two")
    one.one("subscribe", channel="executions")
    two.one("subscribe", channel="executions")
    one.add("buy", 900.0, 0.5)
    two.poll()
    assert two.kinds() == []
    assert one.kinds() == ["pending_new", "new"]


def test_order_status_false_leaves_out_transitions_and_ratecounter_adds_it() -> None:
    venue = Venue()
    line = venue.connect()
    line.one("subscribe", channel="executions", order_status=False, ratecounter=True)
    line.add("buy", 900.0, 0.5)
    assert line.kinds() == ["new"]
    assert line.reports()[0]["ratecount"] == 1


def test_mode_changes_are_pushed_to_every_session() -> None:
    venue = Venue()
    line = venue.connect(private=False)
    venue.core.set_mode(SystemMode.CANCEL_ONLY, venue.now_ns)
    (status,) = line.poll()
    assert status["data"][0]["system"] == "cancel_only"


def test_switches_of_unsettled_behaviour_do_what_they_say() -> None:
    options = DialectOptions(events_first=True, batch_cancel_2024=True, messages_per_s=6)
    venue = Venue(options)
    line = venue.connect()
    line.one("subscribe", channel="executions")
    messages: list[dict[str, Any]] = line.raw(
        json.dumps(
            {
                "method": "add_order",
                "req_id": 5,
                "params": {
                    "order_type": "limit",
                    "side": "buy",
                    "symbol": "BTC/USD",
                    "order_qty": 1,
                    "limit_price": 900.0,
                    "token": line.token,
                },
            }
        ).encode()
    )
    assert [m.get("channel") for m in messages] == ["executions", "executions", None]
    order_id = messages[-1]["result"]["order_id"]
    reply = line.one("batch_cancel", orders=[order_id, "nothing"])
    assert reply["orders_cancelled"] == 1
    assert "result" not in reply
    for _ in range(3):
        line.raw(b'{"method":"ping"}')
    assert line.raw(b'{"method":"ping"}') == [{"Error": "Exceeded msg rate"}]
    venue.wait(1)
    assert line.raw(b'{"method":"ping"}')[0]["method"] == "pong"
