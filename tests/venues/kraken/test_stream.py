"""Requests of the slow path, field for field, and the state of subscriptions."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openmm.events import RequestRefused, Subscribed
from openmm.venues.kraken.stream import (
    REQ_ID_FIRST,
    REQ_ID_LAST,
    Requests,
    Subscription,
    Subscriptions,
    dumps,
    request,
)
from openmm.venues.messages import State, redact

BOOK = Subscription("book", "BTC/USD", 10)
TRADES = Subscription("trade", "BTC/USD")


def read(message: bytes) -> dict[str, Any]:
    return json.loads(message, parse_float=Decimal)  # type: ignore[no-any-return]


def test_every_documented_request_can_be_written(shared: Path) -> None:
    count = 0
    for file in ("ws_public", "ws_private_channels", "ws_trading"):
        path = shared / "venues" / "samples" / "kraken" / f"{file}.json"
        for sample in json.loads(path.read_text()):
            if sample["dir"] != "send":
                continue
            count += 1
            want = json.loads(sample["raw"], parse_float=Decimal)
            written = request(want["method"], want.get("params"), want.get("req_id"))
            assert written.decode() == sample["raw"], sample["name"]
    assert count == 16


def test_subscriptions_write_what_the_pages_document(shared: Path) -> None:
    samples: dict[str, Any] = {}
    for file in ("ws_public", "ws_private_channels"):
        path = shared / "venues" / "samples" / "kraken" / f"{file}.json"
        samples |= {one["name"]: json.loads(one["raw"]) for one in json.loads(path.read_text())
                    if one["dir"] == "send"}  # fmt: skip
    token = "G38a1tGFzqGiUCmnegBcm8d4nfP3tytiNQz6tkCBYXY"
    for name, one in (
        ("subscribe_book", BOOK),
        ("subscribe_executions", Subscription("executions")),
        ("subscribe_balances", Subscription("balances")),
    ):
        (message,) = Subscriptions(Requests()).subscribe(one, token=token)
        params = read(message)["params"]
        want = samples[name]["params"]
        assert {key: params[key] for key in want} == want, name
        assert set(params) - set(want) <= {"snapshot"}
    leave = read(Subscriptions(Requests()).unsubscribe(Subscription("executions"), token))
    assert leave["params"] == samples["unsubscribe_executions"]["params"]
    assert "params" not in read(Requests().ping()[1])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("66788.0"), "66788.0"),
        (Decimal("1E-8"), "0.00000001"),
        (Decimal("0.10000000"), "0.10000000"),
        (True, "true"),
        ('a"b', '"a\\"b"'),
        ([1, Decimal("2.50")], "[1,2.50]"),
        ({"a": {"b": []}}, '{"a":{"b":[]}}'),
    ],
)
def test_values_are_written_exactly(value: Any, text: str) -> None:
    assert dumps(value) == text


@pytest.mark.parametrize("value", [1.5, None, Decimal("NaN"), Decimal("Infinity"), object()])
def test_values_that_are_not_exact_json_are_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        dumps(value)


def test_request_ids_stay_in_their_range() -> None:
    requests = Requests()
    assert [requests.next_id() for _ in range(3)] == [REQ_ID_FIRST + i for i in range(3)]
    requests._req_id = REQ_ID_LAST
    assert requests.next_id() == REQ_ID_FIRST


def test_commands() -> None:
    one = Requests()
    written = [
        one.cancel_all("t"),
        one.cancel_all_after("t", 60),
        one.cancel_orders("t", order_ids=["A"]),
        one.cancel_orders("t", client_ids=["a", "b"]),
    ]
    assert [read(message) for _, message in written] == [
        {"method": method, "params": params, "req_id": req_id}
        for (req_id, _), method, params in zip(
            written,
            ("cancel_all", "cancel_all_orders_after", "cancel_order", "cancel_order"),
            (
                {"token": "t"},
                {"timeout": 60, "token": "t"},
                {"order_id": ["A"], "token": "t"},
                {"cl_ord_id": ["a", "b"], "token": "t"},
            ),
            strict=True,
        )
    ]


def test_impossible_commands_are_refused() -> None:
    with pytest.raises(ValueError, match="no order"):
        Requests().cancel_orders("t")
    with pytest.raises(ValueError, match="86400"):
        Requests().cancel_all_after("t", 86_400)


def test_redacted_message_keeps_its_length() -> None:
    message = Requests().cancel_all("s3cret")[1]
    blank = redact(message, "s3cret")
    assert b"s3cret" not in blank
    assert len(blank) == len(message)
    assert redact(message, "") == message


# --- subscriptions


def test_subscription_becomes_active_by_its_acknowledgement() -> None:
    held = Subscriptions(Requests())
    held.subscribe(BOOK, TRADES)
    assert (held.state(BOOK), held.settled) == (State.ASKED, False)
    held.on_events([Subscribed("book", "BTC/USD"), Subscribed("trade", "BTC/USD")])
    assert held.settled
    assert held.refused == []


def test_refusal_is_matched_by_request_alone() -> None:
    held = Subscriptions(Requests())
    messages = held.subscribe(BOOK, TRADES)
    req_id = read(messages[1])["req_id"]
    held.on_events([RequestRefused("subscribe", req_id, "x", "instrument", False)])
    assert held.refused == [TRADES]
    assert held.state(BOOK) is State.ASKED
    held.on_events([RequestRefused("subscribe", 0, "x", "instrument", False)])
    assert held.state(BOOK) is State.ASKED


def test_already_subscribed_is_as_good_as_an_acknowledgement() -> None:
    held = Subscriptions(Requests())
    (message,) = held.subscribe(BOOK)
    refusal = RequestRefused(
        "subscribe", read(message)["req_id"], "Already subscribed", "already_subscribed", False
    )
    held.on_events([refusal])
    assert held.state(BOOK) is State.ACTIVE


def test_renewal_leaves_first_and_repeats_the_key() -> None:
    held = Subscriptions(Requests())
    held.subscribe(BOOK)
    held.on_events([Subscribed("book", "BTC/USD")])
    leave, enter = (read(one) for one in held.renew(BOOK))
    assert leave["method"] == "unsubscribe"
    assert leave["params"] == {"channel": "book", "symbol": ["BTC/USD"], "depth": 10}
    assert enter["method"] == "subscribe"
    assert enter["params"] == leave["params"] | {"snapshot": True}
    assert held.state(BOOK) is State.ASKED


def test_new_connection_forgets_everything() -> None:
    held = Subscriptions(Requests())
    held.subscribe(BOOK)
    held.reset()
    assert held.state(BOOK) is None
    assert len(held.renew(BOOK)) == 1


def test_second_depth_of_a_book_and_odd_depths_are_refused() -> None:
    held = Subscriptions(Requests())
    held.subscribe(BOOK)
    with pytest.raises(ValueError, match="depth 10"):
        held.subscribe(Subscription("book", "BTC/USD", 25))
    with pytest.raises(ValueError, match="one of"):
        held.subscribe(Subscription("book", "ETH/USD", 11))
