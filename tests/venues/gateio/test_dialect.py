"""The venue's side over WebSocket: envelopes, books, limits, what the documents leave open."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openmm._fast.book import Book, BookState
from openmm.venues.gateio.auth import Key
from openmm.venues.gateio.dialect import DialectOptions, raw_param
from openmm.venues.gateio.stream import Requests, Subscription, book, dumps, trades
from openmm.venues.gateio.wire import GateioDecoder
from tests.venues.gateio.venue import BTC, BUY, PUBLIC, SECRET, SELL, Line, Venue

T0_S = 1_750_000_000
ORDER = {
    "text": "t-one", "currency_pair": "BTC_USDT", "type": "limit", "side": "buy",
    "amount": "0.01", "price": "59900",
}  # fmt: skip


def made(options: DialectOptions | None = None) -> tuple[Line, Requests]:
    venue = Venue(options)
    return Line(venue, venue.connector()), Requests(Key(PUBLIC, SECRET))


def logged_in(options: DialectOptions | None = None) -> tuple[Line, Requests]:
    line, requests = made(options)
    [answer] = line.told(requests.login(T0_S))
    assert answer["header"]["status"] == "200"
    return line, requests


def place(requests: Requests, param: object = None) -> bytes:
    return requests.call("spot.order_place", param or ORDER, T0_S, "7")  # type: ignore[arg-type]


@pytest.mark.parametrize("param", ["", "{}", '""'])
def test_a_login_is_checked_against_its_raw_parameter(param: str) -> None:
    line, _ = made()
    [answer] = line.told(Requests(Key(PUBLIC, SECRET), param).login(T0_S))
    assert answer["header"]["status"] == "200"
    assert answer["data"]["result"]["api_key"] == PUBLIC


@pytest.mark.parametrize(
    ("key", "time_s", "label"),
    [
        (Key("other", SECRET), T0_S, "INVALID_KEY"),
        (Key(PUBLIC, "other"), T0_S, "INVALID_SIGNATURE"),
        (Key(PUBLIC, SECRET), T0_S - 61, "REQUEST_EXPIRED"),
    ],
)
def test_a_bad_login_is_refused(key: Key, time_s: int, label: str) -> None:
    line, _ = made()
    [answer] = line.told(Requests(key).login(time_s))
    assert answer["data"]["errs"]["label"] == label


def test_raw_parameter_keeps_its_bytes() -> None:
    assert raw_param(b'{"payload":{"req_param": {"a" :1} ,"x":2}}') == b'{"a" :1}'
    assert raw_param(b'{"payload":{}}') == b""


def test_a_placement_is_acknowledged_then_accepted() -> None:
    line, requests = logged_in()
    ack, result = line.told(place(requests))
    assert ack["ack"] is True
    assert ack["data"]["result"]["req_param"] == ORDER
    assert "ack" not in result
    assert result["request_id"] == "7"
    order = result["data"]["result"]
    assert (order["status"], order["left"], order["finish_as"]) == ("open", "0.01", "open")
    assert result["header"]["x_gate_ratelimit_requests_remain"] == 9


@pytest.mark.parametrize(
    ("change", "label"),
    [
        ({"price": "70000", "time_in_force": "poc"}, "POC_FILL_IMMEDIATELY"),
        ({"amount": "-1"}, "INVALID_PARAM_VALUE"), ({"price": "1.23456"}, "INVALID_PRECISION"),
        ({"amount": "0.00000001"}, "INVALID_PRECISION"),
        ({"currency_pair": "BTCUSD"}, "INVALID_CURRENCY_PAIR"),
        ({"amount": "100"}, "BALANCE_NOT_ENOUGH"), ({"amount": "0.00001"}, "INVALID_PARAM_VALUE"),
        ({"stp_act": "cn"}, "INVALID_PARAM_VALUE"), ({"type": "market"}, "INVALID_PARAM_VALUE"),
    ],
)  # fmt: skip
def test_an_order_refused_by_the_engine_was_acknowledged(
    change: dict[str, Any], label: str
) -> None:
    line, requests = logged_in()
    ack, result = line.told(place(requests, ORDER | change))
    assert ack["ack"] is True
    assert result["data"]["errs"]["label"] == label


def test_what_does_not_parse_is_refused_without_an_acknowledgement() -> None:
    line, requests = logged_in()
    [answer] = line.told(place(requests, "text"))
    assert answer["data"]["errs"]["label"] == "INVALID_ARGUMENT"


def test_a_call_without_a_login_is_refused() -> None:
    line, requests = made()
    [answer] = line.told(place(requests))
    assert answer["data"]["errs"] == {"label": "AUTHENTICATION_FAILED", "message": "Not login"}


@pytest.mark.parametrize("after", [False, True])
def test_the_eleventh_order_of_a_second_is_refused(after: bool) -> None:
    line, requests = logged_in(DialectOptions(order="result_first", limited_after_ack=after))
    batch = [ORDER | {"text": f"t-{number}"} for number in range(10)]
    assert len(line.told(place(requests, batch))) == 2
    answers = line.told(place(requests))
    assert len(answers) == 1 + after
    assert answers[-1]["header"]["status"] == "429"
    assert answers[-1]["data"]["errs"]["label"] == "TOO_MANY_REQUESTS"
    line.venue.wait(1.0)
    assert line.told(place(requests))[-1]["header"]["status"] == "200"


def test_bounds_of_a_batch() -> None:
    line, requests = logged_in()
    [answer] = line.told(place(requests, [ORDER | {"text": f"t-{n}"} for n in range(11)]))
    assert answer["data"]["errs"]["label"] == "TOO_MANY_ORDERS"
    nameless = {name: value for name, value in ORDER.items() if name != "text"}
    [answer] = line.told(place(requests, [nameless]))
    assert answer["data"]["errs"]["label"] == "MISSING_REQUIRED_PARAM"


@pytest.mark.parametrize(
    ("mode", "present", "absent"),
    [("ACK", "id", "status"), ("RESULT", "status", "fee"), ("FULL", "fee", "")],
)
def test_the_answer_is_as_long_as_asked(mode: str, present: str, absent: str) -> None:
    line, requests = logged_in()
    result = line.told(place(requests, ORDER | {"action_mode": mode}))[-1]["data"]["result"]
    assert present in result
    assert absent not in result


def test_a_late_order_is_refused() -> None:
    line, requests = logged_in()
    message = json.loads(place(requests))
    message["payload"]["req_header"] = {"x-gate-exptime": str(T0_S * 1000 - 1)}
    assert line.told(dumps(message).encode())[-1]["data"]["errs"]["label"] == "REQUEST_EXPIRED"


def test_a_finished_order_is_not_found_by_its_text() -> None:
    line, requests = logged_in()
    line.told(place(requests))
    cancel = requests.call(
        "spot.order_cancel", {"order_id": "t-one", "currency_pair": "BTC_USDT"}, T0_S
    )
    [done] = line.told(cancel)
    assert done["data"]["result"]["finish_as"] == "cancelled"
    [again] = line.told(cancel)
    assert again["header"]["status"] == "404"
    assert again["data"]["errs"]["label"] == "CLIENT_ID_NOT_FOUND"
    # A look-up by text works for an hour.
    [status] = line.told(requests.order_status("t-one", "BTC_USDT", T0_S))
    assert status["data"]["result"]["status"] == "cancelled"
    line.venue.wait(3601)
    [status] = line.told(requests.order_status("t-one", "BTC_USDT", T0_S + 3601))
    assert status["data"]["errs"]["label"] == "CLIENT_ID_NOT_FOUND"


def test_without_a_pair_every_order_is_cancelled() -> None:
    line, requests = logged_in()
    line.told(place(requests))
    [answer] = line.told(requests.call("spot.order_cancel_cp", {"side": "buy"}, T0_S))
    assert len(answer["data"]["result"]) == 1


def test_a_fill_is_told_on_every_channel() -> None:
    line, requests = logged_in()
    subs = [
        requests.subscription("subscribe", Subscription(f"spot.{name}", payload, True), T0_S)[1]
        for name, payload in (("orders", ("!all",)), ("usertrades", ("BTC_USDT",)),
                              ("balances", ()))
    ]  # fmt: skip
    assert all(one["result"]["status"] == "success" for one in line.told(*subs))
    told = line.told(place(requests))
    assert [one["channel"] for one in told[2:]] == ["spot.orders", "spot.balances"]
    line.venue.market(SELL, "59900", "1.01")
    told = line.told()
    events = [row["event"] for one in told if one["channel"] == "spot.orders"
              for row in one["result"]]  # fmt: skip
    assert events == ["finish"]
    [fill] = [one for one in told if one["channel"] == "spot.usertrades"]
    assert (fill["result"][0]["fee"], fill["result"][0]["fee_currency"]) == ("0.00001", "BTC")
    kinds = {one["result"][0]["change_type"] for one in told if one["channel"] == "spot.balances"}
    assert "order-match" in kinds


def test_a_private_subscription_is_signed() -> None:
    line, _ = made()
    bad = Requests(Key(PUBLIC, "other"))
    one = Subscription("spot.orders", ("!all",), True)
    [answer] = line.told(bad.subscription("subscribe", one, T0_S)[1])
    assert answer["error"]["code"] == 4
    assert json.loads(answer["error"]["message"])["label"] == "INVALID_SIGNATURE"


def test_one_unknown_pair_fails_the_whole_request() -> None:
    line, requests = made()
    one = Subscription("spot.trades", ("BTC_USDT", "XYZ_USDT"))
    [answer] = line.told(requests.subscription("subscribe", one, T0_S)[1])
    assert answer["error"] == {"code": 2, "message": "unknown currency pair: XYZ_USDT"}
    line.venue.market(BUY, "60010", "0.1")
    assert line.told() == []


def test_an_obu_stream_taken_twice_is_an_error() -> None:
    line, requests = made()
    subscribe = requests.subscription("subscribe", book("BTC_USDT", 50), T0_S)[1]
    ack, full = line.told(subscribe)
    assert ack["result"] == {"status": "success"}
    assert full["result"]["full"] is True
    [again] = line.told(subscribe)
    assert again["error"]["message"] == "Alert sub ob.BTC_USDT.50"


def test_the_full_frame_may_come_before_the_answer() -> None:
    line, requests = made(DialectOptions(obu_full_first=True))
    full, ack = line.told(requests.subscription("subscribe", book("BTC_USDT", 50), T0_S)[1])
    assert full["result"]["full"] is True
    assert ack["event"] == "subscribe"


@pytest.mark.parametrize("depth", [20, 50, 100, 400])
def test_a_readers_book_stays_the_window_of_the_venues(depth: int) -> None:
    line, requests = made(DialectOptions(whole_first_frame=True))
    decoder, mine = GateioDecoder(), Book()
    decoder.bind("BTC_USDT", 0, mine, 1, 1, 1, 6, depth)
    frames = line.frames(requests.subscription("subscribe", book("BTC_USDT", depth), T0_S)[1])
    venue = line.venue
    for number in range(60):
        side = BUY if number % 2 else SELL
        price = 59_990 - number if side == BUY else 60_020 + number
        venue.market(side, str(price), "0.5")
        if number % 7 == 0:
            venue.market(SELL, "59995", "1.2")
            venue.market(BUY, "60000", "1")
        venue.wait(0.11)
        frames += line.frames()
        for frame in frames:
            decoder.decode(frame, 1)
        frames = []
        assert mine.state is BookState.BOOK_VERIFIED
        for which in (0, 1):
            assert mine.levels(which) == venue.core.depth(BTC.name, which, depth)
    assert decoder.counters["gaps"] == 0


def test_a_trade_is_printed_with_ten_decimals() -> None:
    line, requests = made()
    line.told(requests.subscription("subscribe", trades("BTC_USDT"), T0_S)[1])
    line.venue.market(BUY, "60010", "0.1")
    [frame] = line.told()
    assert frame["result"]["amount"] == "0.1000000000"
    assert frame["result"]["side"] == "buy"


def test_what_is_no_request_is_answered() -> None:
    line, _ = made()
    for raw in (b"", b"x", b"[]", b'{"channel":5}', b'{"channel":"spot.x","event":"api"}'):
        [answer] = line.told(raw)
        assert answer.get("error") or answer["data"]["errs"]
    assert line.told(Requests().ping(T0_S))[0]["channel"] == "spot.pong"


def test_expired_logins_are_refused() -> None:
    line, requests = logged_in()
    line.venue.gateway.expire_tokens()
    [answer] = line.told(place(requests))
    assert answer["data"]["errs"]["label"] == "AUTHENTICATION_FAILED"
