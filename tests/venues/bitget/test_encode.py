"""Trading messages: as documented field for field, bounded, and traceable."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm._fast.planner import ActionKind
from openmm._fast.ports import RequestKind
from openmm._fast.text import base32, parse_client_id
from openmm._fast.units import Side
from openmm.venues.bitget.encode import BitgetEncoder
from tests.venues.bitget.samples import cases

PLACE, AMEND, CANCEL = ActionKind.ACTION_PLACE, ActionKind.ACTION_AMEND, ActionKind.ACTION_CANCEL
BUY, SELL = Side.BUY, Side.SELL
NOW_NS = 1_700_000_000_000_000_000
Action = tuple[int, int, int, int, int, bool]


def make(**more: Any) -> BitgetEncoder:
    return BitgetEncoder("BTCUSDT", 1, 2, 1, 6, "abc", base32(1_700_000_000), **more)


def write(encoder: BitgetEncoder, *actions: Action) -> list[Any]:
    return [json.loads(message) for message, _ in encoder.encode(list(actions), NOW_NS)]


def test_classic_place_is_the_documented_message(shared: Path) -> None:
    documented = cases(shared)["ws_private_docs:WS place-order request"]["message"]
    encoder = make()
    [[raw, hole]] = encoder.encode([(PLACE, 5, BUY, 25200, 1_000_000, False)], NOW_NS)
    message = json.loads(raw)
    row, wanted = message["args"][0], documented["args"][0]
    assert list(message) == list(documented)
    assert list(row) == list(wanted)
    assert sorted(row["params"]) == sorted(wanted["params"])
    assert (row["id"], row["params"].pop("clientOid")) == ("1", encoder.client_id(5))
    wanted["params"].pop("clientOid")
    # Numbers as the pair's precision writes them.
    assert row["params"] == wanted["params"] | {
        "size": "1.000000", "price": "252.00", "force": "ioc",
    }  # fmt: skip
    assert hole == -1
    assert raw == (
        b'{"op":"trade","args":[{"id":"1","instType":"SPOT","instId":"BTCUSDT",'
        b'"channel":"place-order","params":{"orderType":"limit","side":"buy","size":"1.000000",'
        b'"price":"252.00","force":"ioc","clientOid":"%b"}}]}' % encoder.client_id(5).encode()
    )


def test_classic_accounts_send_one_order_a_message_cancels_first() -> None:
    encoder = make()
    messages = write(
        encoder, (PLACE, 1, BUY, 100, 1, True), (CANCEL, 2, BUY, 0, 0, False),
        (PLACE, 3, SELL, 200, 1, True), (CANCEL, 4, SELL, 0, 0, False),
    )  # fmt: skip
    rows = [message["args"][0] for message in messages]
    assert [row["channel"] for row in rows] == ["cancel-order"] * 2 + ["place-order"] * 2
    assert rows[0]["params"] == {"clientOid": encoder.client_id(2)}
    assert [row["params"].get("force") for row in rows[2:]] == ["post_only"] * 2
    assert [encoder.requested(i) for i in range(1, 6)] == [
        ("cancel", [2]), ("cancel", [4]), ("add", [1]), ("add", [3]), ("", []),
    ]  # fmt: skip


def test_classic_accounts_refuse_amendments() -> None:
    with pytest.raises(ValueError, match="refused"):
        make().encode([(AMEND, 1, BUY, 100, 1, True)], NOW_NS)
    with pytest.raises(ValueError, match="amendment"):
        make(amend=True)


def test_unified_place_has_the_documented_members() -> None:
    encoder = make(unified=True, stp_mode="cancel_maker")
    [message] = write(encoder, (PLACE, 9, SELL, 10000, 100_000, False))
    assert {key: value for key, value in message.items() if key != "args"} == {
        "op": "trade", "id": "1", "category": "spot", "topic": "place-order",
    }  # fmt: skip
    assert message["args"] == [
        {
            "symbol": "BTCUSDT", "orderType": "limit", "side": "sell", "qty": "0.100000",
            "price": "100.00", "timeInForce": "ioc", "stpMode": "cancel_maker",
            "clientOid": encoder.client_id(9),
        }
    ]  # fmt: skip


def test_unified_batches_hold_twenty() -> None:
    encoder = make(unified=True)
    places = [(PLACE, i, BUY, 100 + i, 1, True) for i in range(1, 24)]
    cancels = [(CANCEL, i, BUY, 0, 0, False) for i in range(100, 141)]
    messages = write(encoder, *places, *cancels)
    assert [(one["topic"], len(one["args"])) for one in messages] == [
        ("batch-cancel", 20), ("batch-cancel", 20), ("cancel-order", 1),
        ("batch-place", 20), ("batch-place", 3),
    ]  # fmt: skip
    assert encoder.requests(4) == (RequestKind.REQUEST_BATCH_ADD, list(range(1, 21)))


def test_unified_amendment_names_order_price_and_quantity() -> None:
    encoder = make(unified=True, amend=True)
    [message] = write(encoder, (AMEND, 7, BUY, 12345, 5_000_000, True))
    assert message["topic"] == "modify-order"
    assert message["args"] == [
        {
            "clientOid": encoder.client_id(7), "qty": "5.000000", "price": "123.45",
            "autoCancel": "no", "symbol": "BTCUSDT",
        }
    ]  # fmt: skip


@given(st.integers(0, (1 << 35) - 1))
def test_client_ids_fit_both_families_and_lead_back(seq: int) -> None:
    encoder = make()
    text = encoder.client_id(seq)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,32}", text)
    assert encoder.seq_of(text) == seq
    assert parse_client_id(text) == ("abc", base32(1_700_000_000), seq)


def test_ids_of_other_sessions_and_bots_are_told_apart() -> None:
    encoder = make()
    earlier = BitgetEncoder("BTCUSDT", 1, 2, 1, 6, "abc", base32(1_600_000_000)).client_id(3)
    foreign = BitgetEncoder("BTCUSDT", 1, 2, 1, 6, "xyz", base32(1_600_000_000)).client_id(3)
    assert encoder.is_earlier(earlier)
    assert not encoder.is_earlier(foreign)
    assert [encoder.seq_of(one) for one in (earlier, foreign, "121211212122")] == [0, 0, 0]


@given(st.integers(1, 1 << 40), st.integers(1, 1 << 52), st.integers(0, 8), st.integers(0, 8))
def test_numbers_are_written_with_the_pairs_decimals(
    ticks: int, lots: int, price_decimals: int, qty_decimals: int
) -> None:
    encoder = BitgetEncoder("AUSDT", 1, price_decimals, 1, qty_decimals, "abc", base32(1))
    [message] = write(encoder, (PLACE, 1, BUY, ticks, lots, True))
    params = message["args"][0]["params"]
    for text, value, decimals in (
        (params["price"], ticks, price_decimals), (params["size"], lots, qty_decimals),
    ):  # fmt: skip
        whole, _, fraction = text.partition(".")
        assert len(fraction) == decimals
        assert int(whole + fraction) == value
        assert whole == "0" or not whole.startswith("0")


@pytest.mark.parametrize(
    "action",
    [(PLACE, 0, BUY, 1, 1, True), (PLACE, 1, BUY, 0, 1, True), (PLACE, 1, 0, 1, 1, True),
     (PLACE, 1, BUY, 1, 0, True), (99, 1, BUY, 1, 1, True)],
)  # fmt: skip
def test_an_action_that_makes_no_sense_writes_nothing(action: Action) -> None:
    encoder = make()
    with pytest.raises(ValueError, match="refused"):
        encoder.encode([(PLACE, 8, BUY, 1, 1, True), action], NOW_NS)
    assert encoder.last_req_id == 0


@pytest.mark.parametrize("unified", [False, True])
def test_as_much_as_a_batch_of_actions_holds_fits(unified: bool) -> None:
    encoder = make(unified=unified)
    actions = [(PLACE, i, BUY, (1 << 40) - i, 1 << 50, True) for i in range(1, 65)]
    total = sum(len(message["args"]) for message in write(encoder, *actions))
    assert total == 64


def test_request_is_superseded_by_a_later_one_of_its_kind_and_order() -> None:
    encoder = make(unified=True, amend=True)
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
