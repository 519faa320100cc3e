"""Everything beside the hot path: documented and captured messages, traps, bad input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm._fast.units import Side
from openmm.events import (
    BalanceUpdated,
    Event,
    Fee,
    OrderFilled,
    OrderStatus,
    OrderUpdated,
    RequestAccepted,
    RequestRefused,
    StreamGapped,
    Subscribed,
    TickerUpdated,
    Unrecognised,
)
from openmm.venues.bitget import spec
from openmm.venues.bitget.private import PrivateDecoder
from openmm.venues.faults import Code
from tests.venues.bitget.samples import cases, dump, pairs


def make(
    asked: Mapping[int, tuple[str, Sequence[str]]] | None = None, last: int = 0
) -> PrivateDecoder:
    told = asked or {}
    return PrivateDecoder(
        pairs(), requested=lambda req_id: told.get(req_id, ("", ())), last_request=lambda: last
    )


def orders(*rows: dict[str, Any], channel: str = "orders") -> bytes:
    arg = {"instType": "SPOT", "channel": channel, "instId": "default"}
    return dump({"action": "snapshot", "arg": arg, "data": list(rows), "ts": 1695797773370})


def unified(topic: str, *rows: dict[str, Any]) -> bytes:
    arg = {"instType": "UTA", "topic": topic}
    return dump({"data": list(rows), "arg": arg, "action": "snapshot", "ts": 1740546523244})


ROW: dict[str, Any] = {
    "instId": "BTCUSDT", "orderId": "77", "clientOid": "mine", "price": "100.00",
    "newSize": "2.000000", "size": "200.00", "notional": "200.00", "orderType": "limit",
    "force": "post_only", "side": "buy", "accBaseVolume": "0.0000", "priceAvg": "0.0",
    "status": "live", "cTime": "1700000000000", "uTime": "1700000000000", "feeDetail": [],
}  # fmt: skip


def row(**more: Any) -> dict[str, Any]:
    return ROW | more


def fill_fields(trade_id: str, qty: str, total: str, **more: Any) -> dict[str, Any]:
    return {
        "fillPrice": "100.00", "tradeId": trade_id, "baseVolume": qty, "fillTime": "1700000000100",
        "fillFee": "-0.001", "fillFeeCoin": "BTC", "tradeScope": "M", "accBaseVolume": total,
        "status": "partially_filled", "uTime": "1700000000101", **more,
    }  # fmt: skip


# --- every sample

LAST_FILL = (
    "live_captures:WS orders row: limit buy, last of several partial fills (before newSize existed)"
)
EXPECTED: dict[str, tuple[type[Event], ...]] = {
    "ws_public_and_session_docs:login ok": (RequestAccepted,),
    "ws_public_and_session_docs:login failure": (RequestRefused,),
    "ws_public_and_session_docs:subscribe ack": (Subscribed,),
    "ws_public_and_session_docs:books5 ack": (Subscribed,),
    "ws_public_and_session_docs:ticker push": (TickerUpdated,),
    "ws_private_docs:orders ack": (Subscribed,),
    "ws_private_docs:orders push, market buy partially_filled": (OrderFilled, OrderUpdated),
    "ws_private_docs:account ack": (Subscribed,),
    "ws_private_docs:account push": (BalanceUpdated,),
    "ws_private_docs:fill push, two fills of one order": (OrderFilled, OrderFilled),
    "ws_private_docs:WS place-order response": (RequestAccepted,),
    "live_captures:WS orders row: limit buy just accepted": (OrderUpdated,),
    LAST_FILL: (
        OrderFilled, OrderUpdated,
    ),
    "live_captures:WS ticker push": (TickerUpdated,),
    "errors:429-class WS error": (RequestRefused,),
    "errors:WS login refused": (RequestRefused,),
}  # fmt: skip
# Those are the hot path's.
HOT = {
    "ws_public_and_session_docs:books5 push (page version with checksum, up to early 2026)",
    "ws_public_and_session_docs:books5 push (page version without checksum, 2026)",
    "ws_public_and_session_docs:trade push",
}


def test_every_socket_sample_gives_its_event(shared: Path) -> None:
    seen = set(HOT)
    for name, case in cases(shared, direction="venue>client").items():
        message = case["message"]
        if "requestTime" in message or name.startswith(("rest_docs", "live_captures:one row")):
            continue  # replies to requests: test_venue
        raw = orders(message) if "orderId" in message else dump(message)
        events = make().decode(raw)
        if name in HOT:
            assert events == []
            continue
        seen.add(name)
        assert tuple(type(event) for event in events) == EXPECTED[name], name
    assert seen == set(EXPECTED) | HOT


def test_a_captured_order_is_read_in_base_not_in_money(shared: Path) -> None:
    message = cases(shared)["live_captures:WS orders row: limit buy just accepted"]["message"]
    [order] = make().decode(orders(message))
    assert isinstance(order, OrderUpdated)
    assert (order.price_ticks, order.qty_lots, order.filled_lots) == (81075, 70000, 0)
    assert (order.status, order.side) == (OrderStatus.OPEN, Side.BUY)


def test_an_order_before_newsize_existed_tells_no_quantity_for_a_buy(shared: Path) -> None:
    fill, order = make().decode(orders(cases(shared)[LAST_FILL]["message"]))
    assert isinstance(order, OrderUpdated)
    assert isinstance(fill, OrderFilled)
    assert (order.qty_lots, order.filled_lots) == (None, 2_000_000)
    assert fill.fees == (Fee("DOGE", Decimal("0.059882")),)
    assert not fill.maker


# --- the life of an order


def test_a_life_from_placement_to_the_closing_push() -> None:
    decoder = make()
    events = decoder.decode(orders(row()))
    events += decoder.decode(orders(row(**fill_fields("1", "0.5", "0.5"))))
    last = fill_fields("2", "1.5", "2.0", uTime="1700000000200")
    events += decoder.decode(orders(row(**last)))
    # The closing push may repeat the execution: the id is the same, it books once.
    events += decoder.decode(orders(row(**last | {"status": "filled"})))
    fills = [event for event in events if isinstance(event, OrderFilled)]
    states = [event for event in events if isinstance(event, OrderUpdated)]
    assert [fill.exec_id for fill in fills] == ["77-1", "77-2", "77-2"]
    assert [fill.qty_lots for fill in fills[:2]] == [500_000, 1_500_000]
    assert all(fill.fees == (Fee("BTC", Decimal("0.001")),) and fill.maker for fill in fills)
    assert [state.status for state in states] == [
        OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED, OrderStatus.PARTIALLY_FILLED,
        OrderStatus.FILLED,
    ]  # fmt: skip
    assert [state.filled_lots for state in states] == [0, 500_000, 2_000_000, 2_000_000]


def test_a_rebate_keeps_its_sign() -> None:
    [fill, _] = make().decode(orders(row(**fill_fields("1", "0.5", "0.5", fillFee="0.002"))))
    assert isinstance(fill, OrderFilled)
    assert fill.fees == (Fee("BTC", Decimal("-0.002")),)


@pytest.mark.parametrize(
    "late",
    [row(status="live", uTime="1700000000300"), row(status="partially_filled",
     accBaseVolume="0.1", uTime="1700000000300"), row(status="cancelled", uTime="1600000000000")],
)  # fmt: skip
def test_a_push_overtaken_by_a_later_one_tells_nothing(late: dict[str, Any]) -> None:
    decoder = make()
    decoder.decode(orders(row(status="filled", accBaseVolume="2.0", uTime="1700000000200")))
    assert decoder.decode(orders(late)) == []


@pytest.mark.parametrize("word", ["live", "new", "init"])
def test_words_for_an_open_order(word: str) -> None:
    [order] = make().decode(orders(row(status=word)))
    assert isinstance(order, OrderUpdated)
    assert order.status is OrderStatus.OPEN


def test_an_unknown_status_fails_closed() -> None:
    [order] = make().decode(orders(row(status="frozen")))
    assert isinstance(order, OrderUpdated)
    assert order.status is OrderStatus.UNKNOWN


def test_a_row_that_cannot_be_read_is_a_gap_and_the_others_count() -> None:
    events = make().decode(orders({"instId": "BTCUSDT"}, row()))
    assert [type(event) for event in events] == [Unrecognised, OrderUpdated, StreamGapped]


def test_an_order_of_a_pair_not_loaded_is_told_without_numbers() -> None:
    [order] = make().decode(orders(row(instId="XYZUSDT")))
    assert isinstance(order, OrderUpdated)
    assert (order.instrument, order.price_ticks, order.qty_lots) == ("XYZUSDT", None, None)


def test_memory_of_orders_is_bounded() -> None:
    decoder = make()
    for start in range(0, 5000, 500):
        decoder.decode(orders(*(row(orderId=str(i)) for i in range(start, start + 500))))
    assert decoder.orders_kept == 4096


# --- unified accounts

UNIFIED: dict[str, Any] = {
    "category": "spot", "symbol": "BTCUSDT", "orderId": "77", "clientOid": "mine",
    "price": "100", "qty": "2", "amount": "0", "orderType": "limit", "timeInForce": "post_only",
    "side": "sell", "cumExecQty": "0.5", "cumExecValue": "50", "avgPrice": "100",
    "orderStatus": "partially_filled", "cancelReason": "", "feeDetail": [],
    "createdTime": "1742367838101", "updatedTime": "1742367838115",
}  # fmt: skip


def test_a_unified_order_is_read() -> None:
    [order] = make().decode(unified("order", UNIFIED))
    assert isinstance(order, OrderUpdated)
    assert (order.price_ticks, order.qty_lots, order.filled_lots) == (10000, 2_000_000, 500_000)
    assert (order.status, order.side, order.client_id) == (
        OrderStatus.PARTIALLY_FILLED, Side.SELL, "mine",
    )  # fmt: skip


@pytest.mark.parametrize("category", ["usdt-futures", "USDT-FUTURES", "MARGIN"])
def test_futures_under_the_same_symbol_are_not_ours(category: str) -> None:
    assert make().decode(unified("order", UNIFIED | {"category": category})) == []
    assert make().decode(unified("fill", {"category": category, "symbol": "BTCUSDT"})) == []


def test_a_unified_fill_charges_a_positive_fee() -> None:
    fill = {
        "category": "SPOT", "symbol": "BTCUSDT", "orderId": "77", "clientOid": "mine",
        "execId": "9", "side": "buy", "execPrice": "94993", "execQty": "0.01",
        "execValue": "949.93", "tradeScope": "maker", "execTime": "1736378720623",
        "feeDetail": [{"feeCoin": "BTC", "fee": "0.00001"}],
    }  # fmt: skip
    [event] = make().decode(unified("fill", fill))
    assert isinstance(event, OrderFilled)
    assert (event.exec_id, event.client_id, event.maker) == ("77-9", "mine", True)
    assert event.fees == (Fee("BTC", Decimal("0.00001")),)
    assert event.cost == Decimal("949.93")


def test_unified_balances_are_told_coin_by_coin() -> None:
    coins = [
        {"coin": "ETH", "balance": "0.9992", "available": "0.9", "locked": "0.0992"},
        {"coin": "USDT", "balance": "354411.4", "available": "344282.6", "locked": "0"},
    ]
    decoder = make()
    events = decoder.decode(unified("account", {"totalEquity": "1", "coin": coins}))
    assert [(e.asset, e.total, e.kind) for e in events if isinstance(e, BalanceUpdated)] == [
        ("ETH", Decimal("0.9992"), "snapshot"), ("USDT", Decimal("354411.4"), "snapshot"),
    ]  # fmt: skip
    [later] = decoder.decode(unified("account", {"coin": coins[:1]}))
    assert isinstance(later, BalanceUpdated)
    assert (later.kind, later.change) == ("update", None)


def test_a_classic_total_is_the_sum_of_its_parts() -> None:
    arg = {"instType": "SPOT", "channel": "account", "coin": "default"}
    data = [{"coin": "USDT", "available": "100.5", "frozen": "5.5", "locked": "1",
             "limitAvailable": "0", "uTime": "1697092295506"}]  # fmt: skip
    [event] = make().decode(dump({"action": "snapshot", "arg": arg, "data": data, "ts": 1}))
    assert isinstance(event, BalanceUpdated)
    assert event.total == Decimal("107.0")


# --- answers


def answer(code: object, **params: object) -> dict[str, Any]:
    return {
        "event": "trade", "code": code, "msg": "Success",
        "arg": [{"id": "4", "instType": "SPOT", "channel": "place-order", "instId": "BTCUSDT",
                 "params": params}],
    }  # fmt: skip


@pytest.mark.parametrize("code", [0, "0", "00000"])
def test_a_placement_taken(code: object) -> None:
    asked = {4: ("add", ["mine"])}
    [event] = make(asked, 4).decode(dump(answer(code, orderId="9", clientOid="mine")))
    assert event == RequestAccepted("add", 4, client_id="mine", venue_order_id="9")
    [event] = make(asked, 4).decode(dump(answer(code, orderId="9")))
    assert isinstance(event, RequestAccepted)
    assert event.client_id == "mine"


@pytest.mark.parametrize("code", [43012, "43012"])
@pytest.mark.parametrize("event", ["error", "trade"])
def test_a_placement_refused(code: object, event: str) -> None:
    message = answer(code) | {"event": event, "msg": "Insufficient balance"}
    [refused] = make({4: ("add", ["mine"])}, 4).decode(dump(message))
    assert isinstance(refused, RequestRefused)
    assert (refused.kind, refused.req_id, refused.client_id) == ("add", 4, "mine")
    assert (refused.code, refused.retryable) == (Code.FUNDS, False)
    assert refused.text == "43012: Insufficient balance"


def test_an_error_that_names_no_request_is_about_the_oldest_and_settles_nothing() -> None:
    asked = {1: ("add", ["a"]), 2: ("add", ["b"]), 3: ("cancel", ["c"])}
    decoder = make(asked, 3)
    done = answer(0, orderId="9", clientOid="a")
    done["arg"][0]["id"] = "1"
    decoder.decode(dump(done))
    error = dump({"event": "error", "code": "40010", "msg": "Request timed out"})
    [first] = decoder.decode(error)
    [second] = decoder.decode(error)
    for event, req_id, client_id in ((first, 2, "b"), (second, 3, "c")):
        assert isinstance(event, RequestRefused)
        assert (event.req_id, event.client_id, event.code) == (req_id, client_id, Code.INTERNAL)
    [third] = decoder.decode(error)
    assert isinstance(third, RequestRefused)
    assert (third.req_id, third.client_id) == (0, "")


def test_unified_batches_tell_each_order() -> None:
    rows = [
        {"code": "0", "msg": "Success", "symbol": "BTCUSDT", "orderId": "1", "clientOid": "a"},
        {"code": "25204", "msg": "Order does not exist", "orderId": "2", "clientOid": "b"},
    ]
    message = {"event": "trade", "id": "6", "topic": "batch-cancel", "args": rows, "code": "0",
               "msg": "Success", "ts": "1751980011084"}  # fmt: skip
    taken, refused = make({6: ("cancel", ["a", "b"])}, 6).decode(dump(message))
    assert taken == RequestAccepted("cancel", 6, client_id="a", venue_order_id="1", index=0)
    assert isinstance(refused, RequestRefused)
    assert (refused.client_id, refused.index, refused.code) == ("b", 1, Code.UNKNOWN_ORDER)


@pytest.mark.parametrize("code", [0, "0"])
def test_a_login_taken_with_its_code_in_either_form(code: object) -> None:
    assert make().decode(dump({"event": "login", "code": code})) == [RequestAccepted("login", 0)]


@pytest.mark.parametrize("event", ["login", "error"])
def test_a_login_refused(event: str) -> None:
    [refused] = make().decode(dump({"event": event, "code": 30005, "msg": "sign error"}))
    assert isinstance(refused, RequestRefused)
    assert (refused.kind, refused.code) == ("login", Code.CREDENTIALS)


def test_a_connection_that_forgot_the_login_is_made_anew() -> None:
    events = make().decode(dump({"event": "error", "code": 30004, "msg": "log in"}))
    assert [type(event) for event in events] == [RequestRefused, StreamGapped]


def test_notice_of_an_upgrade_is_a_gap_to_come() -> None:
    [event] = make().decode(dump({"event": "error", "code": 30033, "msg": "service upgrade"}))
    assert isinstance(event, StreamGapped)


def test_a_refused_subscription_is_told(shared: Path) -> None:
    message = {"event": "error", "code": 30001, "msg": "channel doesn't exist", "arg": {
        "instType": "SPOT", "channel": "books", "instId": "NOUSDT"}}  # fmt: skip
    [event] = make().decode(dump(message))
    assert isinstance(event, RequestRefused)
    assert (event.kind, event.code) == ("subscribe", Code.ARGUMENTS)


def test_pong_answers_a_ping() -> None:
    assert make().decode(b"pong") == [RequestAccepted("ping", 0)]


@given(st.binary(max_size=100) | st.text(max_size=60).map(str.encode))
def test_any_bytes_give_events(raw: bytes) -> None:
    assert isinstance(make().decode(raw), list)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["event", "action", "arg", "args", "data", "code", "id", "channel", "topic",
                         "orderId", "tradeId", "fillPrice", "coin", "params", "status", "ts"]),
        inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@given(st.fixed_dictionaries(
    {"arg": json_values, "data": json_values, "code": json_values},
    optional={"event": st.sampled_from(["trade", "error", "login", "subscribe"]),
              "action": st.sampled_from(["snapshot", "update"])},
))  # fmt: skip
def test_any_json_gives_events(message: dict[str, Any]) -> None:
    assert isinstance(make().decode(dump(message)), list)
    for channel in ("orders", "fill", "account", "ticker"):
        message["arg"] = {"channel": channel}
        assert isinstance(make().decode(dump(message)), list)


# --- the sheet's table

TABLE = [
    "429", "40001", "40002", "40003", "40005", "40006", "40011", "40007", "40008", "40009",
    "40012", "40036", "40037", "40014", "40018", "40038", "40010", "40015", "40725", "45001",
    "43059", "40017", "40019", "40020", "40034", "40808", "40078", "40079", "40084", "40085",
    "40109", "43001", "43004", "31007", "45057", "22001", "40200", "40304", "40305", "40402",
    "40913", "40924", "40706", "41103", "43028", "45035", "45115", "40761", "40723", "43005",
    "43128", "45118", "40762", "43012", "40754", "45002", "40912", "41101", "41100", "41113",
    "41114", "43115", "43119", "43120", "40102", "42016", "22004", "41117", "43008", "43009",
    "43039", "43040", "43006", "43007", "43010", "43027", "43037", "43038", "45110", "45111",
    "45112", "45113", "43118", "45034", "45055", "45056", "45031", "45129", "30001", "30002",
    "30003", "30004", "30005", "30006", "30007", "30011", "30012", "30013", "30014", "30015",
    "30016", "25202", "25204", "25211", "25212", "25004",
]  # fmt: skip


@pytest.mark.parametrize("code", TABLE)
def test_every_code_of_the_sheet_is_typed(code: str) -> None:
    assert spec.classify(code).code is not Code.UNKNOWN


def test_outcomes_that_are_not_known_are_uncertain() -> None:
    from openmm.venues.faults import UNCERTAIN_CODES

    for code in ("40010", "40015", "40725", "45001", "43059", "40808", "43118"):
        assert spec.classify(code).code in UNCERTAIN_CODES
    checked = spec.classify("40808", "Parameter verification exception size checkBDScale error")
    assert checked.code is Code.ARGUMENTS
    assert spec.classify("99999").code is Code.UNKNOWN
    assert not spec.classify("99999").retryable
