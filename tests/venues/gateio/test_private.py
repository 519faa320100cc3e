"""Messages of the slow path as events: every sample, every label, the rules of the sheet."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm._fast.units import Side
from openmm.events import (
    FATAL_CODES,
    BalanceUpdated,
    Event,
    Fee,
    OrderFilled,
    OrderStatus,
    OrderUpdated,
    RequestAccepted,
    RequestRefused,
    Source,
    StreamGapped,
    Subscribed,
    TickerUpdated,
    Unrecognised,
)
from openmm.venues.faults import UNCERTAIN_CODES, Code
from openmm.venues.gateio.private import PrivateDecoder, read_status
from openmm.venues.gateio.spec import ERRORS, classify
from openmm.venues.messages import ORDERS_KEPT
from tests.venues.gateio.samples import FILES, instrument, load, messages

ASKED: dict[int, tuple[str, list[str]]] = {
    1: ("add", ["t-one"]), 2: ("add", ["t-one", "t-two"]), 3: ("cancel", ["t-one", "t-two"]),
    4: ("amend", ["t-one"]),
}  # fmt: skip


def make(**more: Any) -> PrivateDecoder:
    pairs = [instrument("BTC_USDT", 1, 6), instrument("GT_USDT", 4, 3), instrument("LTC_USDT")]
    return PrivateDecoder(pairs, requested=lambda req_id: ASKED.get(req_id, ("", [])), **more)


def dump(value: object) -> bytes:
    return json.dumps(value).encode()


def push(channel: str, *rows: dict[str, Any]) -> bytes:
    return dump({"time": 1, "channel": channel, "event": "update", "result": list(rows)})


def answer(channel: str, result: object, request_id: str = "1", **more: object) -> bytes:
    header = {"status": "200", "channel": channel, "event": "api"}
    return dump({"header": header, "data": {"result": result}, "request_id": request_id, **more})


def refusal(channel: str, label: str, request_id: str = "1", status: str = "400") -> bytes:
    header = {"status": status, "channel": channel, "event": "api"}
    errs = {"label": label, "message": f"label: {label}, message: no"}
    return dump({"header": header, "data": {"errs": errs}, "request_id": request_id})


def order(**fields: Any) -> dict[str, Any]:
    return {
        "id": "77", "text": "t-one", "currency_pair": "BTC_USDT", "type": "limit", "side": "buy",
        "amount": "0.1", "price": "200", "left": "0.1", "filled_total": "0", "event": "put",
        "finish_as": "open", "create_time_ms": "1774613210391", "update_time_ms": "1774613210391",
    } | fields  # fmt: skip


def only(events: list[Event]) -> Event:
    [event] = events
    return event


# --- samples


def test_every_server_message_of_the_samples_is_understood(shared: Path) -> None:
    decoder = make()
    hot = ("spot.trades", "spot.order_book_update", "spot.obu")
    for name, raw in messages(shared, direction="s2c").items():
        body = json.loads(raw)
        if body.get("event", "update") == "update" and body.get("channel") in hot:
            continue
        events = decoder.decode(raw)
        assert not any(isinstance(one, Unrecognised) for one in events), name


def test_the_samples_give_these_events(shared: Path) -> None:
    seen = {name: make().decode(raw) for name, raw in messages(shared, *FILES).items()}
    place = seen["capture_ws_trading_api_2024:order_place_result_success"]
    assert place == [
        RequestAccepted(
            "add", 1722400187564025900, "t-1722400187564025900", "644865690097"
        )
    ]  # fmt: skip
    assert seen["capture_ws_trading_api_2024:order_place_ack"] == []
    assert seen["official_ws_trading_api:order_place_ack"] == []
    cancel = seen["capture_ws_trading_api_2024:order_cancel_success"]
    assert isinstance(cancel[1], OrderUpdated)
    assert (cancel[1].status, cancel[1].filled_lots) == (OrderStatus.CANCELLED, 0)
    ids = only(seen["capture_ws_trading_api_2024:order_cancel_ids_success"])
    assert isinstance(ids, RequestAccepted)
    assert (ids.kind, ids.venue_order_id) == ("cancel", "644913101755")
    bad_envelope = only(seen["capture_ws_trading_api_2024:order_place_bad_envelope"])
    assert isinstance(bad_envelope, RequestRefused)
    assert bad_envelope.code == Code.ARGUMENTS
    amend = only(seen["capture_ws_trading_api_2024:order_amend_success"])
    assert isinstance(amend, RequestAccepted)
    assert amend.kind == "amend"
    status = only(seen["capture_ws_trading_api_2024:order_status_success"])
    assert isinstance(status, OrderUpdated)
    assert (status.status, status.source) == (OrderStatus.CANCELLED, Source.QUERY)
    full = seen["official_ws_trading_api:order_place_result_action_mode_FULL"]
    assert [type(one) for one in full] == [RequestAccepted, OrderUpdated]
    assert isinstance(full[1], OrderUpdated)
    assert (full[1].status, full[1].filled_lots) == (OrderStatus.FILLED, 1000)
    login = only(seen["official_ws_trading_api:login_response"])
    assert login == RequestAccepted("login", 0)
    limited = only(seen["official_ws_trading_api:rate_limited"])
    assert isinstance(limited, RequestRefused)
    assert (limited.code, limited.retryable) == (Code.RATE_LIMIT, True)
    not_login = seen["capture_misc:not_logged_in"]
    assert isinstance(not_login[0], RequestRefused)
    assert not_login[0].code == Code.LOGIN
    assert isinstance(not_login[1], StreamGapped)
    bad_key = only(seen["capture_misc:private_subscribe_bad_key"])
    assert isinstance(bad_key, RequestRefused)
    assert (bad_key.kind, bad_key.code) == ("subscribe", Code.CREDENTIALS)
    assert only(seen["official_ws_public:subscribe_ack"]) == Subscribed("spot.orders")
    assert only(seen["official_ws_public:obu_subscribe_ack"]) == Subscribed(
        "spot.obu", "ob.BTC/USDT.50"
    )
    # Subscribed twice: the first subscription stands.
    assert only(seen["official_ws_public:obu_duplicate_subscribe_error"]) == Subscribed(
        "spot.obu", "ob.BTC/USDT.400"
    )
    ticker = only(seen["official_ws_public:ticker_update"])
    assert isinstance(ticker, TickerUpdated)
    assert (ticker.bid, ticker.ask) == (Decimal("19106.55"), Decimal("19108.71"))
    put = only(seen["capture_misc:orders_put_2026"])
    assert isinstance(put, OrderUpdated)
    assert (put.status, put.price_ticks, put.qty_lots) == (OrderStatus.OPEN, 2000, 100_000)
    assert put.ts_ns == 1774613210391 * 10**6
    assert seen["official_ws_public:upgrade_notice"] == []


def test_a_fill_is_booked_with_its_fee_in_what_was_received(shared: Path) -> None:
    fill = only(make().decode(messages(shared)["official_ws_private:usertrades"]))
    assert fill == OrderFilled(
        exec_id="BTC_USDT-5736713", venue_order_id="30784428", client_id="apiv4",
        instrument="BTC/USDT", side=Side.SELL, price_ticks=100_000, qty_lots=1_000_000,
        cost=Decimal(10000), fees=(Fee("USDT", Decimal("0.002")),), maker=False,
        ts_ns=1605176741123456000, source=Source.STREAM, trade_id=5736713,
    )  # fmt: skip


# --- orders


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"event": "put"}, OrderStatus.OPEN),
        ({"event": "update", "left": "0.04"}, OrderStatus.PARTIALLY_FILLED),
        ({"event": "finish", "finish_as": "filled", "left": "0"}, OrderStatus.FILLED),
        *[
            ({"event": "finish", "finish_as": word}, OrderStatus.CANCELLED)
            for word in (
                "cancelled", "ioc", "poc", "fok", "stp", "small", "depth_not_enough",
                "trader_not_enough", "price_protect_cancelled", "liquidate_cancelled",
            )
        ],
        ({"event": "finish", "finish_as": "unknown", "left": "0"}, OrderStatus.FILLED),
        ({"event": "finish", "finish_as": "-", "left": "0.1"}, OrderStatus.CANCELLED),
        ({"event": "finish", "finish_as": "of tomorrow"}, OrderStatus.UNKNOWN),
        ({"event": "of tomorrow"}, OrderStatus.UNKNOWN),
        ({"event": "", "status": "cancelled", "finish_as": "ioc"}, OrderStatus.CANCELLED),
        ({"event": "", "status": "halted"}, OrderStatus.UNKNOWN),
    ],
)  # fmt: skip
def test_where_an_order_stands(fields: dict[str, Any], status: OrderStatus) -> None:
    assert read_status(order(**fields)) is status


def test_a_market_buy_counts_money_and_is_filled_with_some_left(shared: Path) -> None:
    row = load(shared, "capture_misc")["messages"]
    [closed] = [one["msg"] for one in row if one["name"] == "rest_market_buy_closed_2023"]
    assert read_status(closed) is OrderStatus.FILLED
    event = only(make().decode(push("spot.orders", closed | {"event": "finish"})))
    assert isinstance(event, OrderUpdated)
    assert event.qty_lots is None
    assert event.filled_lots is None


def test_a_state_older_than_what_is_known_is_not_told() -> None:
    decoder = make()
    newer = order(event="update", left="0.04", update_time_ms="1774613210500")
    assert len(decoder.decode(push("spot.orders", newer))) == 1
    assert decoder.decode(push("spot.orders", order())) == []
    same = order(event="update", left="0.05", update_time_ms="1774613210500")
    assert decoder.decode(push("spot.orders", same)) == []
    done = order(event="finish", finish_as="cancelled", left="0.04", update_time_ms="1774613210501")
    assert len(decoder.decode(push("spot.orders", done))) == 1
    late = order(event="update", left="0.04", update_time_ms="1774613210600")
    assert decoder.decode(push("spot.orders", late)) == []


def test_an_amendment_is_seen_by_what_changed() -> None:
    decoder = make()
    decoder.decode(push("spot.orders", order()))
    moved = only(decoder.decode(push("spot.orders", order(event="update", price="210"))))
    assert isinstance(moved, OrderUpdated)
    assert (moved.amended, moved.price_ticks) == (True, 2100)
    filled = only(
        decoder.decode(push("spot.orders", order(event="update", price="210", left="0.05")))
    )
    assert isinstance(filled, OrderUpdated)
    assert not filled.amended


def test_a_finish_may_be_the_first_that_is_heard() -> None:
    done = order(event="finish", finish_as="filled", left="0")
    event = only(make().decode(push("spot.orders", done)))
    assert isinstance(event, OrderUpdated)
    assert event.status is OrderStatus.FILLED
    assert event.filled_lots == 100_000


def test_memory_of_orders_is_bounded() -> None:
    decoder = make()
    for number in range(ORDERS_KEPT + 10):
        decoder.decode(push("spot.orders", order(id=str(number))))
    assert decoder.orders_kept == ORDERS_KEPT


# --- fills and balances


def fill(**fields: Any) -> dict[str, Any]:
    return {
        "id": 5, "order_id": "77", "currency_pair": "BTC_USDT", "side": "buy", "amount": "0.01",
        "price": "200.00", "role": "maker", "fee": "0.00001", "fee_currency": "BTC",
        "text": "t-one", "create_time_ms": "1605176741123.456",
    } | fields  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "fees"),
    [
        ({}, (Fee("BTC", Decimal("0.00001")),)),
        ({"fee": "-0.0001"}, (Fee("BTC", Decimal("-0.0001")),)),
        ({"fee": "0", "gt_fee": "0.5"}, (Fee("GT", Decimal("0.5")),)),
        ({"fee": "0", "point_fee": "0.2"}, (Fee("POINT", Decimal("0.2")),)),
        ({"fee": "0"}, ()),
        ({"fee_currency": ""}, (Fee("BTC", Decimal("0.00001")),)),
        ({"side": "sell", "fee_currency": ""}, (Fee("USDT", Decimal("0.00001")),)),
    ],
)
def test_fees_stand_in_their_asset_and_sign(fields: dict[str, Any], fees: tuple[Fee, ...]) -> None:
    event = only(make().decode(push("spot.usertrades", fill(**fields))))
    assert isinstance(event, OrderFilled)
    assert event.fees == fees


@pytest.mark.parametrize(
    "fields",
    [{"fee": None}, {"amount": "0.0000001"}, {"side": "both"}, {"price": "0"}, {"order_id": ""}],
)
def test_a_fill_that_cannot_be_booked_is_asked_for(fields: dict[str, Any]) -> None:
    events = make().decode(push("spot.usertrades", fill(**fields), fill()))
    assert [type(one) for one in events] == [Unrecognised, OrderFilled, StreamGapped]


def test_a_fill_of_a_pair_that_is_not_loaded_is_another_bots() -> None:
    assert make().decode(push("spot.usertrades", fill(currency_pair="DOGE_USDT"))) == []


def balance(**fields: Any) -> dict[str, Any]:
    return {
        "timestamp_ms": "1667556323730", "currency": "USDT", "change": "-2", "total": "98",
        "available": "98", "change_type": "order-match",
    } | fields  # fmt: skip


@pytest.mark.parametrize(
    ("told", "kind", "change"),
    [
        ("order-create", "trade", Decimal(-2)), ("order-match", "trade", Decimal(-2)),
        ("order-update", "trade", Decimal(-2)), ("trade-fee-deduct", "trade", Decimal(-2)),
        ("deposit", "deposit", Decimal(-2)), ("withdraw", "withdraw", Decimal(-2)),
        ("referral-fee", "referral-fee", Decimal(-2)), ("other", "other", None),
        ("of tomorrow", "of tomorrow", None), (None, "unknown", None),
    ],
)  # fmt: skip
def test_only_money_that_trading_did_not_move_is_a_transfer(
    told: str | None, kind: str, change: Decimal | None
) -> None:
    event = only(make().decode(push("spot.balances", balance(change_type=told))))
    assert event == BalanceUpdated(
        "USDT", Decimal(98), change, Decimal(0), kind, "", 1667556323730000000
    )


# --- answers


def test_only_the_result_accepts_a_placement() -> None:
    decoder = make()
    echo = {"req_id": "1", "req_param": order()}
    assert decoder.decode(answer("spot.order_place", echo, ack=True)) == []
    assert decoder.decode(answer("spot.order_place", echo)) == []
    taken = only(decoder.decode(answer("spot.order_place", order(status="open", event=""))))
    assert taken == RequestAccepted("add", 1, "t-one", "77")


def test_an_id_that_contains_ack_is_no_acknowledgement() -> None:
    row = order(status="open", event="", text="t-back1")
    assert only(make().decode(answer("spot.order_place", row))) == RequestAccepted(
        "add", 1, "t-back1", "77"
    )


@pytest.mark.parametrize("mode", [{}, {"amend_text": "-"}])
def test_the_shortest_answer_names_the_order(mode: dict[str, str]) -> None:
    row = {"id": "77", "text": "t-one", **mode}
    assert make().decode(answer("spot.order_place", row)) == [
        RequestAccepted("add", 1, "t-one", "77")
    ]


def test_a_placement_that_ends_at_once_is_told_as_ended() -> None:
    row = order(status="cancelled", finish_as="poc", event="")
    events = make().decode(answer("spot.order_place", row))
    assert isinstance(events[1], OrderUpdated)
    assert (events[1].status, events[1].reason) == (OrderStatus.CANCELLED, "poc")


def test_each_order_of_a_batch_is_told_by_its_place() -> None:
    rows = [
        order(succeeded=True, status="open", event=""),
        {"text": "t-two", "succeeded": False, "label": "BALANCE_NOT_ENOUGH", "message": "no"},
    ]
    events = make().decode(answer("spot.order_place", rows, "2"))
    assert events[0] == RequestAccepted("add", 2, "t-one", "77")
    assert events[1] == RequestRefused(
        "add", 2, "BALANCE_NOT_ENOUGH: no", Code.FUNDS, False, client_id="t-two", index=1
    )


def test_a_refused_order_without_its_text_is_known_by_its_place_in_a_whole_answer() -> None:
    row = {"succeeded": False, "label": "BALANCE_NOT_ENOUGH", "message": "no"}
    told = make().decode(answer("spot.order_place", [row, row], "2"))
    assert [one.client_id for one in told if isinstance(one, RequestRefused)] == ["t-one", "t-two"]
    untold = only(make().decode(answer("spot.order_place", [row], "2")))
    assert isinstance(untold, RequestRefused)
    assert untold.code == Code.INTERNAL


def test_cancelled_ids_that_fail_come_without_succeeded() -> None:
    rows = [
        {"currency_pair": "BTC_USDT", "id": "t-one", "succeeded": True},
        {"currency_pair": "BTC_USDT", "id": "99", "label": "ORDER_NOT_FOUND", "message": "gone"},
    ]
    events = make().decode(answer("spot.order_cancel_ids", rows, "3"))
    assert events[0] == RequestAccepted("cancel", 3, "t-one", "t-one", index=0)
    assert events[1] == RequestRefused(
        "cancel", 3, "ORDER_NOT_FOUND: gone", Code.UNKNOWN_ORDER, False, "t-two", index=1
    )


def test_a_pair_cancelled_tells_each_order() -> None:
    rows = [order(status="cancelled", finish_as="cancelled", event="")]
    events = make().decode(answer("spot.order_cancel_cp", rows, "9"))
    assert events[0] == RequestAccepted("cancel_all", 9, count=1)
    assert isinstance(events[1], OrderUpdated)
    assert make().decode(answer("spot.order_cancel_cp", [], "9")) == [
        RequestAccepted("cancel_all", 9, count=0)
    ]


@pytest.mark.parametrize("label", sorted(ERRORS))
@pytest.mark.parametrize("channel", ["spot.order_place", "spot.order_amend", "spot.order_cancel"])
def test_every_label_is_a_typed_refusal(label: str, channel: str) -> None:
    event = make().decode(refusal(channel, label))[0]
    assert isinstance(event, RequestRefused)
    assert (event.code, event.retryable) == (ERRORS[label].code, ERRORS[label].retryable)
    assert event.code != Code.UNKNOWN
    assert event.client_id == "t-one"
    assert not (event.retryable and event.code in FATAL_CODES)


def test_a_label_of_tomorrow_is_unknown_and_not_retried() -> None:
    fault = classify("OF_TOMORROW")
    assert (fault.code, fault.retryable) == (Code.UNKNOWN, False)
    assert fault.code not in UNCERTAIN_CODES
    event = only(make().decode(refusal("spot.order_place", "OF_TOMORROW")))
    assert isinstance(event, RequestRefused)
    assert event.code == "unknown"


def test_the_label_decides_not_the_message() -> None:
    raw = refusal("spot.order_place", "INVALID_PARAM_VALUE").replace(b"no", b"ORDER_NOT_FOUND")
    event = only(make().decode(raw))
    assert isinstance(event, RequestRefused)
    assert event.code == Code.ARGUMENTS


# --- bad input


@pytest.mark.parametrize(
    "raw",
    [b"", b"x", b"[]", b"{}", b"\xff", b'{"channel":5}', b'{"channel":"spot.new","result":1}',
     b'{"header":5}', b'{"header":{"status":"200","channel":"spot.new"}}', b"[" * 5000],
)  # fmt: skip
def test_what_makes_no_sense_is_unrecognised(raw: bytes) -> None:
    assert isinstance(only(make().decode(raw)), Unrecognised)


@pytest.mark.parametrize("channel", ["spot.orders", "spot.usertrades", "spot.balances"])
def test_a_private_frame_that_makes_no_sense_is_a_gap(channel: str) -> None:
    results: tuple[object, ...] = (None, 5, [5], [{}])
    for result in results:
        raw = dump({"channel": channel, "event": "update", "result": result})
        events = make().decode(raw)
        assert isinstance(events[0], Unrecognised)
        assert events[-1] == StreamGapped(channel, 0, 0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)


@given(
    st.sampled_from(["spot.orders", "spot.usertrades", "spot.balances", "spot.tickers"]),
    st.fixed_dictionaries(
        {}, optional={name: JSON for name in (*order(), *fill(), *balance(), "status")}
    ),
)
def test_any_member_gives_events_and_no_exception(channel: str, fields: dict[str, Any]) -> None:
    base = {"spot.orders": order, "spot.usertrades": fill, "spot.balances": balance}.get(channel)
    row = (base() if base is not None else {}) | fields
    for event in make().decode(push(channel, row)):
        assert isinstance(event, Event)


@given(st.sampled_from(["spot.order_place", "spot.order_cancel_ids", "spot.login", "x"]), JSON)
def test_any_answer_gives_events_and_no_exception(channel: str, data: object) -> None:
    header = {"status": "200", "channel": channel}
    for raw in ({"header": header, "data": data}, {"header": header, "data": {"result": data}}):
        for event in make().decode(dump(raw | {"request_id": "2"})):
            assert isinstance(event, Event)


@given(st.binary(max_size=300))
def test_any_bytes_give_events_and_no_exception(raw: bytes) -> None:
    assert isinstance(make().decode(raw), list)


def test_request_id_longer_than_any_number_is_anothers() -> None:
    told = make().decode(refusal("spot.order_place", "AUTHENTICATION_FAILED", "9" * 5000))
    assert told
    assert all(getattr(event, "req_id", 0) == 0 for event in told)
