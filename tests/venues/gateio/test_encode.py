"""Trading calls as bytes: the documented ones, the rules of batches, ids and refusals."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm._fast.orders import OrderTable
from openmm._fast.planner import ActionKind
from openmm._fast.ports import RequestKind
from openmm._fast.text import base32, parse_client_id
from openmm._fast.units import Side
from openmm.venues.gateio.encode import GateioEncoder
from tests.venues.gateio.samples import load

NS = 1_000_000_000
NOW_NS = 1_681_986_203 * NS
PLACE, CANCEL, AMEND = (
    ActionKind.ACTION_PLACE, ActionKind.ACTION_CANCEL, ActionKind.ACTION_AMEND,
)  # fmt: skip
Action = tuple[int, int, int, int, int, bool]


def make(symbol: str = "GT_USDT", price: int = 0, qty: int = 0, **more: Any) -> GateioEncoder:
    return GateioEncoder(symbol, 1, price, 1, qty, "abc", base32(1_681_986_203), **more)


def sent(encoder: GateioEncoder, *actions: Action, table: OrderTable | None = None) -> list[Any]:
    written = encoder.encode(list(actions), NOW_NS, table)
    assert all(hole == -1 for _, hole in written)
    return [json.loads(message) for message, _ in written]


def documented(shared: Path, name: str) -> Any:
    [found] = [
        one["msg"]
        for one in load(shared, "official_ws_trading_api")["messages"]
        if one["name"] == name
    ]
    return found


def test_a_documented_placement_is_written_byte_for_byte(shared: Path) -> None:
    wanted = documented(shared, "order_place_request")
    encoder = make(deadline_ms=0)
    [(raw, _)] = encoder.encode([(PLACE, 5, Side.BUY, 1, 1, False)], NOW_NS)
    # Only our own request id and text stand in place of theirs; what is not post-only is to take
    # at once, where theirs may rest.
    ours = raw.replace(encoder.client_id(5).encode(), b"t-my-custom-id")
    ours = ours.replace(b'"req_id":"1"', b'"req_id":"request-2"')
    assert ours.count(b',"time_in_force":"ioc"') == 1
    ours = ours.replace(b',"time_in_force":"ioc"', b"")
    assert ours == json.dumps(wanted, separators=(",", ":")).encode()


def test_a_documented_batch_is_written_field_for_field(shared: Path) -> None:
    wanted = documented(shared, "order_place_batch_request")
    encoder = make(deadline_ms=0)
    [ours] = sent(encoder, (PLACE, 1, Side.BUY, 1, 1, False), (PLACE, 2, Side.BUY, 1, 2, False))
    ours["payload"]["req_id"] = "request-2"
    for seq, order in enumerate(ours["payload"]["req_param"], start=1):
        assert order["text"] == encoder.client_id(seq)
        order["text"] = f"t-my-custom-id-{seq}"
        assert order.pop("time_in_force") == "ioc"
    assert ours == wanted


def test_settings_stand_in_every_order() -> None:
    encoder = make(account="unified", stp_act="cn", action_mode="RESULT")
    [ours] = sent(encoder, (PLACE, 1, Side.SELL, 3, 4, True))
    assert ours["payload"]["req_param"] == {
        "text": encoder.client_id(1), "currency_pair": "GT_USDT", "type": "limit",
        "account": "unified", "side": "sell", "amount": "4", "price": "3",
        "time_in_force": "poc", "stp_act": "cn", "action_mode": "RESULT",
    }  # fmt: skip
    assert ours["payload"]["req_header"] == {"x-gate-exptime": str(NOW_NS // 1_000_000 + 5000)}
    [ours] = sent(encoder, (CANCEL, 1, 0, 0, 0, False))
    assert ours["payload"]["req_param"] == {
        "order_id": encoder.client_id(1), "currency_pair": "GT_USDT", "account": "unified",
    }  # fmt: skip
    assert "req_header" not in ours["payload"]


def test_an_order_is_named_by_the_venues_id_once_that_is_known() -> None:
    table = OrderTable()
    encoder = make(price=2, qty=3)
    seq = table.place(Side.BUY, 0, 100, 10, True, now_ns=NOW_NS)
    [one] = sent(encoder, (CANCEL, seq, 0, 0, 0, False), table=table)
    assert one["payload"]["req_param"]["order_id"] == encoder.client_id(seq)
    table.set_venue_id(seq, "644865690097")
    [one] = sent(encoder, (CANCEL, seq, 0, 0, 0, False), table=table)
    assert one["payload"]["req_param"]["order_id"] == "644865690097"
    [one] = sent(encoder, (AMEND, seq, Side.BUY, 123, 4567, True), table=table)
    assert one["channel"] == "spot.order_amend"
    assert one["payload"]["req_param"] == {
        "order_id": "644865690097", "currency_pair": "GT_USDT", "amount": "4.567", "price": "1.23",
    }  # fmt: skip
    both = sent(encoder, (CANCEL, seq, 0, 0, 0, False), (CANCEL, 99, 0, 0, 0, False), table=table)
    assert [row["id"] for row in both[0]["payload"]["req_param"]] == [
        "644865690097", encoder.client_id(99),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cancels", "places", "sizes"),
    [(1, 1, [1, 1]), (20, 10, [20, 10]), (21, 11, [20, 1, 10, 1]), (3, 12, [3, 10, 2])],
)
def test_batches_keep_the_venues_limits(cancels: int, places: int, sizes: list[int]) -> None:
    encoder = make()
    actions: list[Action] = [(CANCEL, seq, 0, 0, 0, False) for seq in range(1, cancels + 1)]
    actions += [(PLACE, 100 + i, Side.BUY, 1, 1, True) for i in range(places)]
    counts = []
    for message in sent(encoder, *actions):
        param = message["payload"]["req_param"]
        counts.append(len(param) if isinstance(param, list) else 1)
        assert (message["channel"] == "spot.order_cancel_ids") == (
            isinstance(param, list) and "id" in param[0]
        )
    assert counts == sizes


def test_cancels_go_first_and_requests_are_remembered() -> None:
    encoder = make()
    written = sent(
        encoder, (PLACE, 7, Side.BUY, 1, 1, True), (AMEND, 8, Side.BUY, 1, 1, True),
        (CANCEL, 9, 0, 0, 0, False),
    )  # fmt: skip
    assert [one["channel"] for one in written] == [
        "spot.order_cancel", "spot.order_amend", "spot.order_place",
    ]  # fmt: skip
    assert [one["payload"]["req_id"] for one in written] == ["1", "2", "3"]
    assert encoder.requested(1) == ("cancel", [9])
    assert encoder.requests(2) == (RequestKind.REQUEST_AMEND, [8])
    assert encoder.requested(3) == ("add", [7])
    assert encoder.requested(4) == ("", [])
    assert encoder.last_req_id == 3


def test_request_is_superseded_by_a_later_one_of_its_kind_and_order() -> None:
    encoder = make()
    again = (AMEND, 601, Side.BUY, 10, 10, True)
    for action in (
        again, (AMEND, 602, Side.BUY, 10, 10, True), (CANCEL, 602, 0, 0, 0, False), again,
    ):  # fmt: skip
        encoder.encode([action], NOW_NS)
    assert encoder.superseded(1, 601)
    assert not encoder.superseded(2, 602)  # a cancel is no amend
    assert not encoder.superseded(4, 601)
    for unknown in (0, 5, -1, 2**40):
        assert not encoder.superseded(unknown, 601)


def test_old_requests_are_forgotten() -> None:
    encoder = make()
    for seq in range(1, 1030):
        encoder.encode([(CANCEL, seq, 0, 0, 0, False)], NOW_NS)
    assert encoder.requested(1) == ("", [])
    assert encoder.requested(1029) == ("cancel", [1029])


@pytest.mark.parametrize(
    "action",
    [(PLACE, 0, Side.BUY, 1, 1, True), (PLACE, 1, Side.BUY, 0, 1, True),
     (PLACE, 1, Side.BUY, 1, 0, True), (PLACE, 1, 3, 1, 1, True), (9, 1, Side.BUY, 1, 1, True)],
)  # fmt: skip
def test_an_action_that_makes_no_sense_is_refused_whole(action: Action) -> None:
    encoder = make()
    with pytest.raises(ValueError, match="refused"):
        encoder.encode([(CANCEL, 5, 0, 0, 0, False), action], NOW_NS)
    assert encoder.last_req_id == 0


@pytest.mark.parametrize(
    "more",
    [{"account": "x"}, {"stp_act": "x"}, {"action_mode": "x"}, {"deadline_ms": 60_001}],
)
def test_bad_settings_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        make(**more)


def test_texts_follow_the_venues_rules() -> None:
    text = make().client_id((1 << 35) - 1)
    assert text.startswith("t-")
    assert len(text) - 2 <= 28
    assert text[2:].isalnum()


@given(st.integers(1, (1 << 35) - 1))
def test_a_client_id_leads_back_to_its_sequence(seq: int) -> None:
    encoder = make()
    text = encoder.client_id(seq)
    assert encoder.seq_of(text) == seq
    assert parse_client_id(text, "t-m") == ("abc", base32(1_681_986_203), seq)
    later = GateioEncoder("GT_USDT", 1, 0, 1, 0, "abc", base32(1_681_990_000))
    assert later.seq_of(text) == 0
    assert later.is_earlier(text)
    assert not encoder.is_earlier(text)
    other = GateioEncoder("GT_USDT", 1, 0, 1, 0, "xyz", base32(1_681_990_000))
    assert not other.is_earlier(text)


@pytest.mark.parametrize(
    "text", ["", "apiv4", "t-123456", "t-MABC0000000000000", "mabc" + "0" * 14]
)
def test_texts_of_others_are_not_ours(text: str) -> None:
    encoder = make()
    assert encoder.seq_of(text) == 0
    assert not encoder.is_earlier(text)


@given(
    st.integers(1, 1 << 40), st.integers(1, 1 << 52), st.integers(0, 15), st.integers(0, 15),
    st.booleans(),
)  # fmt: skip
def test_prices_and_quantities_are_written_exactly(
    ticks: int, lots: int, price_decimals: int, qty_decimals: int, buy: bool
) -> None:
    encoder = make(price=price_decimals, qty=qty_decimals)
    side = Side.BUY if buy else Side.SELL
    [one] = sent(encoder, (PLACE, 1, side, ticks, lots, True))
    order = one["payload"]["req_param"]
    assert Decimal(order["price"]) == Decimal(ticks).scaleb(-price_decimals)
    assert Decimal(order["amount"]) == Decimal(lots).scaleb(-qty_decimals)
    assert "e" not in (order["price"] + order["amount"]).lower()


def test_a_batch_that_does_not_fit_is_refused_whole() -> None:
    encoder = make()
    actions: list[Action] = [(AMEND, seq, Side.BUY, 1, 1, True) for seq in range(1, 128)]
    assert len(encoder.encode(actions[:63], NOW_NS)) == 63
    with pytest.raises(ValueError, match="refused"):
        encoder.encode(actions, NOW_NS)
    assert encoder.last_req_id == 63
    assert encoder.encode_many(actions[:2], NOW_NS, 3) > 0
