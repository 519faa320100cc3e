"""Orders as requests: documented forms, batches, ids, refusals, and the signature in its hole."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm._fast.orders import OrderTable
from openmm._fast.planner import ActionKind
from openmm._fast.ports import RequestKind
from openmm._fast.rest import OrderLine, RestTransport
from openmm._fast.text import base32
from openmm._fast.units import Side
from openmm.venues.mexc.auth import Key
from openmm.venues.mexc.encode import MexcEncoder
from tests.venues.mexc.samples import load

NS = 1_000_000_000
NOW_NS = 1_644_489_390_087_000_000
PLACE, CANCEL, AMEND = (
    ActionKind.ACTION_PLACE, ActionKind.ACTION_CANCEL, ActionKind.ACTION_AMEND,
)  # fmt: skip
Action = tuple[int, int, int, int, int, bool]


def make(symbol: str = "BTCUSDT", price: int = 0, qty: int = 0, **more: Any) -> MexcEncoder:
    return MexcEncoder(symbol, 1, price, 1, qty, "abc", base32(1_644_489_390), **more)


def sent(encoder: MexcEncoder, *actions: Action, table: OrderTable | None = None) -> list[Any]:
    """Return (id, verb, path, query as pairs without the signature) of each message."""
    out = []
    for message, hole in encoder.encode(list(actions), NOW_NS, table):
        assert message[hole:] == b"*" * 64
        assert message[:hole].endswith(b"&signature=")
        head, verb, target = message.decode().split(" ")
        path, _, query = target.partition("?")
        pairs = dict(parse_qsl(query, keep_blank_values=True))
        del pairs["signature"]
        out.append((int(head), verb, path, pairs))
    return out


def test_the_documented_order_is_written_and_signed_as_documented(shared: Path) -> None:
    [vector] = load(shared, "signing_vectors.json")
    key = Key(vector["api_key"], vector["secret"])
    encoder = make(sign=key.sign)
    [(message, hole)] = encoder.encode([(PLACE, 5, Side.BUY, 11, 1, False)], NOW_NS)
    ours = message.replace(f"&newClientOrderId={encoder.client_id(5)}".encode(), b"")
    cut = len(message) - len(ours)
    filled = encoder.filled(ours, hole - cut)
    # Theirs may rest; ours takes at once or not at all.
    query = vector["message"].replace("type=LIMIT&", "type=IMMEDIATE_OR_CANCEL&").encode()
    assert query != vector["message"].encode()
    whole = message[message.index(b"?") + 1 : message.index(b"&signature=")]
    assert whole.replace(f"&newClientOrderId={encoder.client_id(5)}".encode(), b"") == query
    assert filled == b"1 POST /api/v3/order?" + query + b"&signature=" + key.sign(query)


def test_one_order_is_a_request_and_several_share_a_batch() -> None:
    encoder = make(price=2, qty=6, stp_mode="cancel_maker")
    [one] = sent(encoder, (PLACE, 1, Side.SELL, 6_000_001, 12_345, True))
    order = {
        "symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT_MAKER", "quantity": "0.012345",
        "price": "60000.01", "newClientOrderId": encoder.client_id(1), "stpMode": "cancel_maker",
    }  # fmt: skip
    timed = {"recvWindow": "5000", "timestamp": "1644489390087"}
    assert one == (1, "POST", "/api/v3/order", {**order, **timed})
    [many] = sent(
        encoder, (PLACE, 2, Side.BUY, 1, 1, False), (PLACE, 1, Side.SELL, 6_000_001, 12_345, True)
    )
    assert many[:3] == (2, "POST", "/api/v3/batchOrders")
    rows = json.loads(many[3].pop("batchOrders"))
    assert many[3] == timed
    assert rows == [
        {
            "symbol": "BTCUSDT", "side": "BUY", "type": "IMMEDIATE_OR_CANCEL",
            "quantity": "0.000001", "price": "0.01",
            "newClientOrderId": encoder.client_id(2), "stpMode": "cancel_maker",
        },
        order,
    ]  # fmt: skip
    assert encoder.requests(1) == (RequestKind.REQUEST_ADD, [1])
    assert encoder.requests(2) == (RequestKind.REQUEST_BATCH_ADD, [2, 1])


def test_a_batch_is_signed_over_its_very_bytes() -> None:
    key = Key("mx0", "secret")
    encoder = make(sign=key.sign)
    actions: list[Action] = [(PLACE, seq, Side.BUY, 5, 1, True) for seq in (1, 2)]
    [(message, hole)] = encoder.encode(actions, NOW_NS)
    query = message[message.index(b"?") + 1 : hole - len(b"&signature=")]
    assert b"%22" in query
    assert query == query.replace(b"%2c", b"%2C")
    assert encoder.filled(message, hole)[hole:] == key.sign(query)


def test_more_than_twenty_orders_are_several_batches() -> None:
    encoder = make()
    written = sent(encoder, *((PLACE, seq, Side.BUY, 5, 1, True) for seq in range(1, 42)))
    paths = [path for _, _, path, _ in written]
    assert paths == ["/api/v3/batchOrders", "/api/v3/batchOrders", "/api/v3/order"]


def test_cancels_go_first_one_each_by_the_venues_id_once_known() -> None:
    encoder, table = make(), OrderTable()
    seqs = [table.place(Side.BUY, level, 5, 1, now_ns=NOW_NS) for level in range(3)]
    for seq, told in zip(seqs, ("C02__505979017439002624115", "", "a&b=c"), strict=True):
        if told:
            table.set_venue_id(seq, told)
    written = sent(
        encoder, (PLACE, 9, Side.BUY, 5, 1, True), *((CANCEL, seq, 0, 0, 0, False) for seq in seqs),
        table=table,
    )  # fmt: skip
    names = [
        {"orderId": "C02__505979017439002624115"},
        {"origClientOrderId": encoder.client_id(seqs[1])},
        {"origClientOrderId": encoder.client_id(seqs[2])},  # no id that could stand in a query
    ]
    for row, name in zip(written, names, strict=False):
        assert row[1:3] == ("DELETE", "/api/v3/order")
        assert row[3].items() >= {"symbol": "BTCUSDT", **name}.items()
    assert [row[1] for row in written] == ["DELETE"] * 3 + ["POST"]


@pytest.mark.parametrize(
    "action",
    [
        (AMEND, 1, Side.BUY, 5, 1, True), (PLACE, 1, 0, 5, 1, True),
        (PLACE, 0, Side.BUY, 5, 1, True), (PLACE, 1, Side.BUY, 0, 1, True),
        (PLACE, 1, Side.BUY, 5, 0, True),
    ],
)  # fmt: skip
def test_what_is_no_approved_order_is_refused_whole(action: Action) -> None:
    encoder = make()
    with pytest.raises(ValueError, match="refused"):
        encoder.encode([(PLACE, 2, Side.BUY, 5, 1, True), action], NOW_NS)
    assert encoder.last_req_id == 0


@pytest.mark.parametrize(
    "more", [{"symbol": "BTC/USDT"}, {"recv_window_ms": 0}, {"stp_mode": "both"}]
)
def test_an_encoder_that_cannot_be_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        make(**more)


def test_without_a_key_the_stars_stay() -> None:
    encoder = make()
    [(message, hole)] = encoder.encode([(PLACE, 1, Side.BUY, 5, 1, True)], NOW_NS)
    assert encoder.filled(message, hole) == message


@given(
    st.integers(1, 1 << 40), st.integers(1, 1 << 52), st.integers(0, 8), st.integers(0, 8),
    st.integers(1, (1 << 35) - 1),
)  # fmt: skip
def test_numbers_are_written_exactly(
    price: int, qty: int, price_decimals: int, qty_decimals: int, seq: int
) -> None:
    encoder = make(price=price_decimals, qty=qty_decimals)
    [(_, _, _, pairs)] = sent(encoder, (PLACE, seq, Side.BUY, price, qty, True))
    assert Decimal(pairs["price"]) == Decimal(price).scaleb(-price_decimals)
    assert Decimal(pairs["quantity"]) == Decimal(qty).scaleb(-qty_decimals)
    assert encoder.seq_of(pairs["newClientOrderId"]) == seq


def test_a_transport_frames_a_message_as_one_request_without_its_id() -> None:
    transport = RestTransport("api.mexc.com", {"X-MEXC-APIKEY": "mx0"}, 2)
    assert transport.framed(b"17 DELETE /api/v3/order?a=b") == (
        17,
        b"DELETE /api/v3/order?a=b HTTP/1.1\r\nHost: api.mexc.com\r\nX-MEXC-APIKEY: mx0\r\n"
        b"Content-Length: 0\r\n\r\n",
    )
    assert not transport.up
    assert all(isinstance(line, OrderLine) for line in transport.lines)
