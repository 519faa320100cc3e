"""The encoder: exact requests, batches, ids, the token's hole."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.planner import ActionKind
from openmm._fast.ports import RequestKind
from openmm._fast.text import SEQ_MAX, base32, parse_client_id
from openmm._fast.units import Side
from openmm.venues.kraken.encode import (
    KrakenEncoder,
)

CANCEL = int(ActionKind.ACTION_CANCEL)
AMEND = int(ActionKind.ACTION_AMEND)
PLACE = int(ActionKind.ACTION_PLACE)
BUY, SELL = int(Side.BUY), int(Side.SELL)
NOW_NS = 1_721_555_639_050_999_999
DEADLINE = "2024-07-21T09:54:04.050Z"
SESSION = base32(1_721_555_639)
Action = tuple[int, int, int, int, int, bool]


def make(**change: Any) -> KrakenEncoder:
    given: dict[str, Any] = {
        "venue_symbol": "BTC/USD", "tick_points": 1, "price_decimals": 1, "lot_points": 1,
        "qty_decimals": 8, "bot": "abc", "session": SESSION,
    }  # fmt: skip
    return KrakenEncoder(**(given | change))


def sent(encoder: KrakenEncoder, *actions: Action, now_ns: int = NOW_NS) -> list[dict[str, Any]]:
    """Encode, fill in a token, read back."""
    encoder.set_token("t0ken/+=")
    messages = []
    for message, hole in encoder.encode(list(actions), now_ns):
        wire = encoder.fill_secret(message, hole)
        assert len(wire) == len(message)
        read = json.loads(wire, parse_float=Decimal)
        assert read["params"].pop("token") == "t0ken/+="
        messages.append(read)
    return messages


def order(seq: int, side: str, price: str, qty: str, post_only: bool = True) -> dict[str, Any]:
    return {
        "order_type": "limit",
        "side": side,
        "limit_price": Decimal(price),
        "order_qty": Decimal(qty),
        "time_in_force": "gtc" if post_only else "ioc",
        "post_only": post_only,
        "stp_type": "cancel_newest",
        "cl_ord_id": f"mabc{SESSION}{base32(seq)}",
    }


def test_one_place_is_an_add_order() -> None:
    assert sent(make(), (PLACE, 513, BUY, 602999, 100_000_000, True)) == [
        {
            "method": "add_order",
            "params": order(513, "buy", "60299.9", "1.00000000")
            | {"symbol": "BTC/USD", "deadline": DEADLINE},
            "req_id": 1,
        }
    ]


def test_several_places_are_a_batch_add() -> None:
    actions = [
        (PLACE, 513, BUY, 602999, 1, True),
        (PLACE, 514, SELL, 5, 12_345_678_901, False),
    ]
    assert sent(make(), *actions) == [
        {
            "method": "batch_add",
            "params": {
                "symbol": "BTC/USD",
                "orders": [
                    order(513, "buy", "60299.9", "0.00000001"),
                    order(514, "sell", "0.5", "123.45678901", post_only=False),
                ],
                "deadline": DEADLINE,
            },
            "req_id": 1,
        }
    ]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (1, [1]),
        (2, [2]),
        (15, [15]),
        (16, [14, 2]),
        (17, [15, 2]),
        (31, [15, 14, 2]),
        (45, [15] * 3),
    ],
)
def test_places_are_shared_out_in_batches_of_two_to_fifteen(count: int, sizes: list[int]) -> None:
    actions = [(PLACE, 512 + i, BUY, 1000 + i, 1, True) for i in range(count)]
    messages = sent(make(), *actions)
    got = [one["params"].get("orders", [one["params"]]) for one in messages]
    assert [len(orders) for orders in got] == sizes
    ids = [one["cl_ord_id"] for orders in got for one in orders]
    assert ids == [make().client_id(512 + i) for i in range(count)]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(1, [1]), (2, [2]), (50, [50]), (51, [49, 2]), (100, [50, 50]), (128, [50, 50, 28])],
)
def test_cancels_are_shared_out_in_batches_of_two_to_fifty(count: int, sizes: list[int]) -> None:
    messages = sent(make(), *[(CANCEL, 512 + i, 0, 0, 0, False) for i in range(count)])
    assert [len(one["params"]["cl_ord_id"]) for one in messages] == sizes
    assert {one["method"] for one in messages} == {
        "cancel_order" if size == 1 else "batch_cancel" for size in sizes
    }


def test_amend_names_the_order_and_its_new_total() -> None:
    assert sent(make(), (AMEND, 513, BUY, 610313, 120_000_000, True)) == [
        {
            "method": "amend_order",
            "params": {
                "cl_ord_id": make().client_id(513),
                "limit_price": Decimal("61031.3"),
                "order_qty": Decimal("1.20000000"),
                "post_only": True,
                "deadline": DEADLINE,
            },
            "req_id": 1,
        }
    ]


def test_amend_names_the_pair_where_the_venue_needs_it() -> None:
    (message,) = sent(make(amend_symbol=True), (AMEND, 513, BUY, 610313, 1, False))
    assert message["params"]["symbol"] == "BTC/USD"
    assert message["params"]["post_only"] is False


def test_cancels_go_first_then_amends_then_places() -> None:
    actions = [
        (PLACE, 600, BUY, 1000, 1, True),
        (AMEND, 601, BUY, 1000, 1, True),
        (CANCEL, 602, 0, 0, 0, False),
        (PLACE, 603, BUY, 1001, 1, True),
        (AMEND, 604, SELL, 1000, 1, True),
        (CANCEL, 605, 0, 0, 0, False),
    ]
    encoder = make()
    assert [one["method"] for one in sent(encoder, *actions)] == [
        "batch_cancel", "amend_order", "amend_order", "batch_add",
    ]  # fmt: skip
    assert encoder.requests(1) == (RequestKind.REQUEST_BATCH_CANCEL, [602, 605])
    assert encoder.requests(2) == (RequestKind.REQUEST_AMEND, [601])
    assert encoder.requests(4) == (RequestKind.REQUEST_BATCH_ADD, [600, 603])
    assert encoder.requested(4) == ("add", [600, 603])


def test_request_is_superseded_by_a_later_one_of_its_kind_and_order() -> None:
    encoder = make()
    again = (AMEND, 601, BUY, 10, 10, True)
    for action in (
        again, (AMEND, 602, BUY, 10, 10, True), (CANCEL, 602, 0, 0, 0, False), again,
    ):  # fmt: skip
        encoder.encode([action], NOW_NS)
    assert encoder.superseded(1, 601)
    assert not encoder.superseded(2, 602)  # a cancel is no amend
    assert not encoder.superseded(4, 601)
    for unknown in (0, 5, -1, 2**40):
        assert not encoder.superseded(unknown, 601)


def test_numbers_are_json_numbers_with_the_pairs_decimals() -> None:
    ((message, _),) = make().encode([(PLACE, 1, BUY, 10, 10, True)], NOW_NS)
    assert b'"limit_price":1.0,' in message
    assert b'"order_qty":0.00000010,' in message


def test_pair_without_decimals_and_with_coarse_steps() -> None:
    encoder = make(price_decimals=0, tick_points=5, qty_decimals=2, lot_points=10)
    ((message, _),) = encoder.encode([(PLACE, 1, BUY, 7, 3, True)], NOW_NS)
    assert b'"limit_price":35,' in message
    assert b'"order_qty":0.30,' in message


@settings(max_examples=200)
@given(
    st.integers(1, 2**40), st.integers(1, 2**52), st.integers(0, 15), st.integers(0, 15),
    st.integers(1, 1000),
)  # fmt: skip
def test_any_number_reads_back_exactly(
    price: int, qty: int, price_decimals: int, qty_decimals: int, lot_points: int
) -> None:
    encoder = make(price_decimals=price_decimals, qty_decimals=qty_decimals, lot_points=lot_points)
    (message,) = sent(encoder, (PLACE, 1, SELL, price, qty, True))
    assert message["params"]["limit_price"] == Decimal(price).scaleb(-price_decimals)
    assert message["params"]["order_qty"] == Decimal(qty * lot_points).scaleb(-qty_decimals)


# --- deadline


@given(
    st.lists(st.integers(0, 4_102_444_800_000), min_size=1, max_size=20), st.integers(0, 999_999)
)
def test_deadline_equals_the_calendars(moments_ms: list[int], rest_ns: int) -> None:
    encoder = make(deadline_ms=500)
    for ms in moments_ms:
        (message,) = sent(encoder, (PLACE, 1, BUY, 1, 1, True), now_ns=ms * 1_000_000 + rest_ns)
        moment = datetime.fromtimestamp((ms + 500) // 1000, UTC)
        want = f"{moment:%Y-%m-%dT%H:%M:%S}.{(ms + 500) % 1000:03}Z"
        assert message["params"]["deadline"] == want


def test_deadline_can_be_left_out() -> None:
    encoder = make(deadline_ms=0)
    for message in sent(encoder, (PLACE, 1, BUY, 1, 1, True), (AMEND, 2, BUY, 1, 1, True)):
        assert "deadline" not in message["params"]


# --- refusals


@pytest.mark.parametrize(
    "action",
    [
        (PLACE, 0, BUY, 1, 1, True),
        (PLACE, 1, 0, 1, 1, True),
        (PLACE, 1, 3, 1, 1, True),
        (PLACE, 1, BUY, 0, 1, True),
        (PLACE, 1, BUY, 1, 0, True),
        (AMEND, 1, BUY, -1, 1, True),
        (0, 1, BUY, 1, 1, True),
        (4, 1, BUY, 1, 1, True),
    ],
)
def test_impossible_action_refuses_the_whole_batch(action: Action) -> None:
    encoder = make()
    with pytest.raises(ValueError, match="refused"):
        encoder.encode([(CANCEL, 9, 0, 0, 0, False), action], NOW_NS)
    assert encoder.last_req_id == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"venue_symbol": 'A"B'}, "plain"),
        ({"venue_symbol": ""}, "1 to 32"),
        ({"tick_points": 0}, "positive"),
        ({"price_decimals": 16}, "0 to 15"),
        ({"bot": "ABC"}, "bot"),
        ({"bot": "ab"}, "bot"),
        ({"session": "zzzzzzz"}, "session"),
        ({"deadline_ms": 499}, "499"),
        ({"deadline_ms": 60_001}, "60001"),
        ({"stp_type": "cancel-newest"}, "cancel-newest"),
    ],
)
def test_impossible_encoder_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make(**change)


# --- the token


def test_hole_is_the_token_place_and_canonical_text_has_none() -> None:
    encoder = make()
    encoder.set_token("x" * 64)
    ((message, hole),) = encoder.encode([(CANCEL, 1, 0, 0, 0, False)], NOW_NS)
    assert message[hole : hole + 65] == b"*" * 64 + b'"'
    assert b"x" * 8 not in message
    assert json.loads(message)["params"]["token"] == "*" * 64
    assert json.loads(encoder.fill_secret(message, hole))["params"]["token"] == "x" * 64


@pytest.mark.parametrize("token", ["", "x" * 65, 'a"b', "a\\b", "ü"])
def test_token_that_does_not_fit_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(ValueError, match="plain characters") as caught:
        make().set_token(token)
    assert not token or token not in str(caught.value)


def test_without_a_token_nothing_is_filled_in() -> None:
    encoder = make()
    ((message, hole),) = encoder.encode([(CANCEL, 1, 0, 0, 0, False)], NOW_NS)
    assert not encoder.has_token
    assert encoder.fill_secret(message, hole) == message


# --- ids


@given(st.integers(0, SEQ_MAX))
def test_client_id_leads_back_to_its_sequence(seq: int) -> None:
    encoder = make()
    text = encoder.client_id(seq)
    assert len(text) == 18
    assert parse_client_id(text) == ("abc", SESSION, seq)
    assert encoder.seq_of(text) == seq


@pytest.mark.parametrize(
    "text",
    ["", "mabc", "0835958d-c526-4ad8-aea8-af54836de47e", "x" * 18, "mabc0000000000000z",
     "mab!00000000000000", "mABC00000000000000", "m" + "é" * 17],
)  # fmt: skip
def test_foreign_client_id_is_not_ours(text: str) -> None:
    assert parse_client_id(text) is None
    assert make().seq_of(text) == 0
    assert not make().is_earlier(text)


def test_earlier_session_is_told_from_this_one_and_from_other_bots() -> None:
    encoder = make()
    assert encoder.is_earlier(make(session=base32(1)).client_id(5))
    assert not encoder.is_earlier(encoder.client_id(5))
    assert not encoder.is_earlier(make(bot="xyz", session=base32(1)).client_id(5))
    assert encoder.seq_of(make(session=base32(1)).client_id(5)) == 0


def test_request_ids_count_up_and_old_ones_are_forgotten() -> None:
    encoder = make()
    for i in range(1100):
        encoder.encode([(CANCEL, i + 1, 0, 0, 0, False)], NOW_NS)
    assert encoder.last_req_id == 1100
    assert encoder.requests(1100) == (RequestKind.REQUEST_CANCEL, [1100])
    assert encoder.requests(76) is None
    assert encoder.requests(77) == (RequestKind.REQUEST_CANCEL, [77])
    assert encoder.requested(1) == ("", [])
    assert encoder.requests(0) is None
    assert encoder.requests(2**40) is None


def test_same_actions_give_the_same_bytes() -> None:
    actions = [(PLACE, 600 + i, BUY, 1000 + i, 5, True) for i in range(20)]
    assert make().encode(actions, NOW_NS) == make().encode(actions, NOW_NS)


def test_many_rounds_write_as_many_bytes() -> None:
    actions = [(PLACE, 600 + i, BUY, 1000 + i, 5, True) for i in range(10)]
    size = sum(len(one) for one, _ in make().encode(actions, NOW_NS))
    assert make().encode_many(actions, NOW_NS, 9) == 9 * size
