"""Private pushes, answers and replies to orders as events: samples, every code, bad input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

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
    Source,
    StreamGapped,
    Subscribed,
    Unrecognised,
)
from openmm.venues.faults import Code
from openmm.venues.mexc.private import PrivateDecoder, reply_frame
from openmm.venues.mexc.rows import FillIds
from openmm.venues.mexc.spec import ERRORS, classify
from tests.venues.mexc.frames import field, push
from tests.venues.mexc.samples import instrument, load, pushes, rest

MX = instrument("MX/USDT", 4, 2)
BTC = instrument()


def decoder(*asked: str, kind: str = "add") -> PrivateDecoder:
    def requested(req_id: int) -> tuple[str, Sequence[str]]:
        return (kind, asked) if req_id == 7 else ("", ())

    return PrivateDecoder([MX, BTC], requested)


def one(events: list[Event]) -> Event:
    [event] = events
    return event


def private(shared: Path, kind: str) -> bytes:
    [found] = [data for name, data, _ in pushes(shared) if name == kind]
    return found


# --- samples


def test_the_documented_private_pushes_are_their_events(shared: Path) -> None:
    made = decoder()
    assert one(made.decode(private(shared, "private.orders"))) == OrderUpdated(
        "C02__505979017439002624115", "", OrderStatus.FILLED, Source.STREAM,
        1_736_417_034_281_000_000, 35_121, 100, 100, Side.SELL, instrument="MX/USDT",
    )  # fmt: skip
    assert one(made.decode(private(shared, "private.deals"))) == OrderFilled(
        "MX/USDT-505979017439002624X1", "C02__505979017439002624115", "", "MX/USDT", Side.SELL,
        36_962, 100, Decimal("3.6962"), (Fee("MX", Decimal("0.0003998377369698171")),), False,
        1_736_417_034_280_000_000,
    )  # fmt: skip
    assert one(made.decode(private(shared, "private.account"))) == BalanceUpdated(
        "USDT",
        Decimal("21.94210356004384"),
        Decimal(10),
        Decimal(0),
        "contract_transfer",
        "",
        1_736_416_910_000_000_000,
    )


def test_every_public_push_of_the_samples_is_known_and_no_event(shared: Path) -> None:
    for name, data, decoded in pushes(shared):
        if not any(key.startswith("private") for key in decoded):
            assert decoder().decode(data) == [], name


def test_every_text_of_the_samples_is_understood(shared: Path) -> None:
    told = [row["raw"] for row in load(shared, "ws_control.json") if row["dir"] == "recv"]
    assert len(told) >= 4
    for raw in told:
        events = decoder().decode(raw.encode())
        assert events
        assert not any(isinstance(event, Unrecognised) for event in events), raw


def test_a_refused_topic_is_refused_though_its_code_is_zero(shared: Path) -> None:
    [raw] = [
        row["raw"] for row in load(shared, "ws_control.json")
        if row["dir"] == "recv" and "Not Subscribed" in row["raw"]
    ]  # fmt: skip
    event = one(decoder().decode(raw.encode()))
    assert isinstance(event, RequestRefused)
    assert event.kind == "subscribe"


def test_several_topics_of_one_answer_are_each_live() -> None:
    events = decoder().decode(b'{"id":1,"code":0,"msg":"spot@a,spot@b"}')
    assert events == [Subscribed("spot@a"), Subscribed("spot@b")]


def test_a_dead_listen_key_asks_for_another() -> None:
    event = one(decoder().decode(b"Invalid listen key"))
    assert isinstance(event, RequestRefused)
    assert event.code == Code.TOKEN


# --- orders and fills


@pytest.mark.parametrize(
    ("status", "filled", "wanted"),
    [
        (1, "", OrderStatus.OPEN), (3, "1", OrderStatus.PARTIALLY_FILLED),
        (2, "2", OrderStatus.FILLED), (4, "", OrderStatus.CANCELLED),
        (5, "1", OrderStatus.CANCELLED), (0, "", OrderStatus.UNKNOWN), (9, "", OrderStatus.UNKNOWN),
    ],
)  # fmt: skip
def test_each_status_of_a_push_is_a_state(status: int, filled: str, wanted: OrderStatus) -> None:
    body = field(1, "C02__1") + field(2, "mine") + field(3, "5") + field(4, "2") + field(8, 1)
    body += field(13, filled) + field(15, status)
    event = one(decoder().decode(push(304, body, "spot@private.orders.v3.api.pb", "MXUSDT")))
    assert isinstance(event, OrderUpdated)
    assert (event.status, event.client_id, event.side) == (wanted, "mine", Side.BUY)
    assert event.filled_lots == (100 * int(filled) if filled else 0)


def test_an_older_state_behind_a_later_one_is_no_event() -> None:
    made = decoder()

    def told(status: int, filled: str) -> list[Event]:
        body = field(1, "C02__1") + field(4, "2") + field(13, filled) + field(15, status)
        return made.decode(push(304, body, "spot@private.orders.v3.api.pb", "MXUSDT"))

    assert told(3, "1")
    assert told(1, "") == []
    assert told(5, "1")
    assert told(3, "1") == []


@pytest.mark.parametrize("missing", [1, 2, 4, 7, 9])
def test_a_fill_that_cannot_be_booked_is_a_gap(missing: int) -> None:
    parts: dict[int, int | str | bytes] = {
        1: "5",
        2: "1",
        3: "5",
        4: 1,
        7: "1X1",
        9: "C02__1",
        10: "0.1",
        11: "USDT",
    }
    body = b"".join(field(at, value) for at, value in parts.items() if at != missing)
    events = decoder().decode(push(306, body, "spot@private.deals.v3.api.pb", "MXUSDT"))
    assert [type(event) for event in events] == [Unrecognised, StreamGapped]


def test_a_fill_of_a_pair_not_loaded_is_anothers() -> None:
    body = field(1, "5") + field(2, "1") + field(4, 1) + field(7, "1X1") + field(9, "C02__1")
    assert decoder().decode(push(306, body, "spot@private.deals.v3.api.pb", "XRPUSDT")) == []


def test_a_balance_change_of_an_unknown_kind_tells_its_total_alone() -> None:
    body = field(1, "USDT") + field(3, "5") + field(4, "1") + field(5, "2") + field(7, "NEW_KIND")
    event = one(decoder().decode(push(307, body, "spot@private.account.v3.api.pb", "")))
    assert isinstance(event, BalanceUpdated)
    assert (event.total, event.change, event.kind) == (Decimal(7), None, "new_kind")


def test_an_execution_has_one_id_whichever_way_rest_writes_it() -> None:
    price, qty = Decimal(5), Decimal(1)
    ids = FillIds()
    for told in ("1X1", "2X1", "1X1"):
        assert ids.of("o", told, Side.BUY, price, qty) == told
    # Two executions alike: each of REST's is one of them, and a third is new.
    names = [ids.of("o", f"{n:032x}", Side.BUY, price, qty) for n in (1, 2, 3, 1)]
    assert names == ["1X1", "2X1", f"{3:032x}", "1X1"]
    assert ids.of("o", "9X1", Side.BUY, price, qty) == f"{3:032x}"
    # Of one form they are compared as they are.
    assert ids.of("o", "10X1", Side.BUY, price, qty) == "10X1"
    assert ids.of("p", f"{1:032x}", Side.BUY, price, qty) == f"{1:032x}"


# --- replies to orders


def test_documented_answers_name_their_orders_by_place(shared: Path) -> None:
    body = json.dumps(rest(shared, "new order")).encode()
    assert decoder("mine").decode(reply_frame(7, 200, body)) == [
        RequestAccepted("add", 7, "mine", "06a480e69e604477bfb48dddd5f0b750")
    ]
    body = json.dumps(rest(shared, "batch orders, one refused")).encode()
    assert decoder("a", "b", "c").decode(reply_frame(7, 200, body)) == [
        RequestAccepted("add", 7, "a", "1196315350023612316", index=0),
        RequestRefused(
            "add", 7, "30002: The minimum transaction volume cannot be less than:0.5USDT",
            Code.MINIMUM, False, "b", 1,
        ),
        RequestAccepted("add", 7, "c", "1196315350023612318", index=2),
    ]  # fmt: skip
    for name in ("cancel order", "cancel order, short live form"):
        body = json.dumps(rest(shared, name)).encode()
        event = one(decoder("mine", kind="cancel").decode(reply_frame(7, 200, body)))
        assert isinstance(event, RequestAccepted)
        assert (event.kind, event.client_id) == ("cancel", "mine")


def test_every_captured_error_is_a_typed_refusal(shared: Path) -> None:
    for row in load(shared, "rest_errors.json"):
        frame = reply_frame(7, row["http_status"], row["raw"].encode())
        event = one(decoder("mine").decode(frame))
        assert isinstance(event, RequestRefused), row
        assert event.code != Code.UNKNOWN, row
        assert (event.kind, event.client_id, event.index) == ("add", "mine", -1)


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_every_code_of_the_table_is_a_typed_refusal(code: int) -> None:
    body = json.dumps({"msg": "说明", "code": code}).encode()
    event = one(decoder("mine").decode(reply_frame(7, 400, body)))
    assert isinstance(event, RequestRefused)
    fault = classify(code)
    assert (event.code, event.retryable) == (fault.code, fault.retryable)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (500, b'{"code":30004,"msg":"x"}', Code.INTERNAL), (502, b"<html>", Code.INTERNAL),
        (200, b"<html>", Code.INTERNAL), (200, b"[]", Code.INTERNAL), (200, b"{}", Code.INTERNAL),
        (429, b"", Code.RATE_LIMIT), (418, b"{}", Code.LOCKOUT), (403, b"<html>", Code.CALL_RATE),
        (400, b'{"code":987654,"msg":"new"}', Code.UNKNOWN), (404, b"", Code.INTERNAL),
    ],
)  # fmt: skip
def test_what_leaves_the_outcome_open_says_so(status: int, body: bytes, code: Code) -> None:
    event = one(decoder("mine").decode(reply_frame(7, status, body)))
    assert isinstance(event, RequestRefused)
    assert event.code == code


def test_a_batch_with_another_number_of_answers_is_open_as_a_whole() -> None:
    body = b'[{"symbol":"BTCUSDT","orderId":"1"}]'
    event = one(decoder("a", "b").decode(reply_frame(7, 200, body)))
    assert isinstance(event, RequestRefused)
    assert (event.code, event.client_id, event.index) == (Code.INTERNAL, "", -1)


def test_a_reply_to_no_request_of_ours_is_not_understood() -> None:
    assert isinstance(one(decoder("a").decode(reply_frame(8, 200, b"{}"))), Unrecognised)


# --- bad input


@given(st.binary(max_size=200))
def test_any_bytes_give_events(data: bytes) -> None:
    assert all(event is not None for event in decoder("a").decode(data))


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'{"id":1}', b'{"id":"x","code":0,"msg":"PONG"}', b"\x0a\x01a", b"\xff"],
)
def test_what_makes_no_sense_is_not_understood(data: bytes) -> None:
    assert isinstance(one(decoder().decode(data)), Unrecognised)
