"""Private messages and replies: every sample, sparse reports, gaps, odd shapes."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from openmm._fast.units import Side
from openmm.events import (
    BalanceUpdated,
    Event,
    Fee,
    InstrumentUpdated,
    OrderFilled,
    OrderStatus,
    OrderUpdated,
    RequestAccepted,
    RequestRefused,
    Source,
    StatusChanged,
    StreamGapped,
    Subscribed,
    SystemMode,
    TickerUpdated,
    Unrecognised,
)
from openmm.instrument import Instrument
from openmm.venues.kraken.private import PrivateDecoder
from openmm.venues.messages import ORDERS_KEPT

BTC = Instrument(
    venue="kraken", name="BTC/USD", base="BTC", quote="USD", price_decimals=1, qty_decimals=8,
    tick_size=Decimal("0.1"), lot_size=Decimal("0.00000001"), qty_min=Decimal("0.00005"),
    cost_min=Decimal("0.5"), base_decimals=10, quote_decimals=5,
)  # fmt: skip
D = Decimal
ORDER = "OK4GJX-KSTLS-7DZZO5"


def dump(message: dict[str, Any]) -> str:
    return json.dumps(message)


def reports(sequence: int, *rows: dict[str, Any], kind: str = "update") -> str:
    return dump({"channel": "executions", "type": kind, "data": rows, "sequence": sequence})


def started() -> PrivateDecoder:
    decoder = PrivateDecoder([BTC])
    assert decoder.decode(reports(1, kind="snapshot")) == []
    return decoder


PENDING = {
    "order_id": ORDER, "cl_ord_id": "mabc00000000000001", "symbol": "BTC/USD", "side": "buy",
    "order_qty": 0.5, "limit_price": 60000.1, "exec_type": "pending_new",
    "order_status": "pending_new", "timestamp": "2026-08-01T00:00:00.000001Z", "cum_qty": 0,
}  # fmt: skip
UPDATED = OrderUpdated(
    venue_order_id=ORDER, client_id="mabc00000000000001", status=OrderStatus.PENDING,
    source=Source.STREAM, ts_ns=1_785_542_400_000_001_000, price_ticks=600001,
    qty_lots=50_000_000, filled_lots=0, side=Side.BUY, instrument="BTC/USD",
)  # fmt: skip


# --- every sample

ORDER_1 = OrderUpdated(
    venue_order_id=ORDER, client_id="", status=OrderStatus.PENDING, source=Source.STREAM,
    ts_ns=1_695_378_785_709_950_000, price_ticks=265000, qty_lots=500_000, filled_lots=None,
    side=Side.SELL, instrument="BTC/USD",
)  # fmt: skip
WANT: dict[str, list[Event]] = {
    "heartbeat": [],
    "status_online_on_connect": [StatusChanged(SystemMode.ONLINE, "online")],
    "pong": [RequestAccepted("ping", 42)],
    "subscribe_ticker_ack": [Subscribed("ticker", "BTC/USD")],
    "subscribe_book_ack": [Subscribed("book", "BTC/USD")],
    "ticker_snapshot": [
        TickerUpdated(
            "BTC/USD", D("65972.8"), D("0.1"), D("65972.9"), D("39.67506683"), D("65972.9"),
            D("4216.6182937"), 0,
        )
    ],
    "instrument_snapshot": [
        InstrumentUpdated(
            Instrument(
                "kraken", "EUR/USD", "EUR", "USD", 5, 8, D("0.00001"), D("0.00000001"), D("0.5"),
                D("0.5"), 8, 5,
            )
        ),
        InstrumentUpdated(
            Instrument(
                "kraken", "ETH/BTC", "ETH", "BTC", 5, 8, D("0.00001"), D("0.00000001"),
                D("0.002"), D("0.00002"), 10, 10,
            )
        ),
    ],
    "subscribe_executions_ack": [Subscribed("executions", rate_threshold=125)],
    "executions_pending_new": [StreamGapped("executions", 1, 8), ORDER_1],
    "executions_new": [
        replace(ORDER_1, status=OrderStatus.OPEN, ts_ns=1_695_378_785_709_982_000)
    ],
    "executions_trade": [
        OrderFilled(
            exec_id="TGBB7L-HT5LX-J3BZ4A", venue_order_id=ORDER, client_id="",
            instrument="BTC/USD", side=Side.SELL, price_ticks=265999, qty_lots=500_000,
            cost=D("132.9995"), fees=(Fee("USD", D("0.3458")),), maker=False,
            ts_ns=1_695_378_785_709_993_000, trade_id=62887576, filled_lots=500_000,
        )
    ],
    "executions_stop_loss_limit_pending": [
        StreamGapped("executions", 11, 120),
        OrderUpdated(
            "AHOJQ8-1E72C-8M2VQH", "", OrderStatus.PENDING, Source.STREAM,
            1_716_033_716_165_888_000, side=Side.BUY, instrument="ADX/USD",
        ),
    ],
    "unsubscribe_executions_ack": [RequestAccepted("unsubscribe", 0)],
    "subscribe_balances_ack": [Subscribed("balances")],
    "balances_snapshot": [
        BalanceUpdated("BTC", D("1.2"), None, D(0), "snapshot", "", 0),
        BalanceUpdated("MATIC", D(300), None, D(0), "snapshot", "", 0),
        BalanceUpdated("USD", D("80595.4943"), None, D(0), "snapshot", "", 0),
    ],
    "balances_deposit": [
        BalanceUpdated(
            "BTC", D("0.02"), D("0.01"), D(0), "deposit", "AGBWUJRU-LAREZ-W3UFAN",
            1_695_378_222_925_034_000,
        )
    ],
    "balances_trade_base_leg": [
        StreamGapped("balances", 3, 9),
        BalanceUpdated(
            "BTC", D("0.005"), D("-0.005"), D(0), "trade", "AGBB7L-HT5LX-J3BB4A",
            1_695_378_785_710_082_000,
        ),
    ],
    "balances_trade_quote_leg": [
        BalanceUpdated(
            "USD", D(500), D("132.9995"), D("0.3458"), "trade", "AGBB7L-HT5LX-J3BB4A",
            1_695_378_785_710_082_000,
        )
    ],
    "add_order_response": [RequestAccepted("add", 1, venue_order_id="OXM2QD-EALR2-YBAVEU")],
    "cancel_order_response_1_of_2": [
        RequestAccepted("cancel", 123456789, venue_order_id="OLUMT4-UTEGU-ZYM7E9")
    ],
    "cancel_order_response_2_of_2": [
        RequestAccepted("cancel", 123456789, venue_order_id="OM5CRX-N2HAL-GFGWE9")
    ],
    "cancel_all_response": [RequestAccepted("cancel_all", 123456789, count=1)],
    "cancel_all_orders_after_response": [RequestAccepted("dead_man", 1234567890)],
    "amend_order_response": [
        RequestAccepted("amend", 0, client_id="2c6be801-1f53-4f79-a0bb-4ea1c95dfae9")
    ],
    "edit_order_response": [
        RequestAccepted("edit", 1234567890, venue_order_id="ORDERX-IDXXX-XXXXX2")
    ],
    "batch_add_response": [
        RequestAccepted("add", 1234567890, venue_order_id="ORDERX-IDXXX-XXXXX1", index=0),
        RequestAccepted("add", 1234567890, venue_order_id="ORDERX-IDXXX-XXXXX2", index=1),
    ],
    "batch_cancel_response": [RequestAccepted("cancel", 1234567890, count=3)],
    "error_unknown_pair": [
        RequestRefused(
            "subscribe", 0, "Currency pair not supported WWW/USD", "instrument", False
        )
    ],
    "error_stale_token_on_subscribe": [
        RequestRefused("subscribe", 42, "ESession:Invalid session", "token", True)
    ],
    "error_unsupported_field": [
        RequestRefused(
            "add", 0, "Unsupported field: 'price' for the given msg type: add order",
            "arguments", False,
        )
    ],
    "error_number_as_text": [
        RequestRefused(
            "add", 7, "Cash_order_qty field must be a number_float", "arguments", False
        )
    ],
    "error_insufficient_funds_shape": [
        RequestRefused("add", 99, "EOrder:Insufficient funds", "funds", False)
    ],
}  # fmt: skip
# The hot path's own channels, and one reply that its publisher cut in the middle.
NOT_HERE = {
    "book_snapshot_checksum_doc_example",
    "book_snapshot_partial_doc_example",
    "book_update_doc_example",
    "book_update",
    "trade_snapshot",
    "trade_update_doc_example",
    "unsubscribe_book_ack_shape",
}


def test_every_sample_gives_its_events(shared: Path) -> None:
    decoder = PrivateDecoder([BTC])
    seen = set()
    for file in ("ws_public", "ws_private_channels", "ws_trading"):
        path = shared / "venues" / "samples" / "kraken" / f"{file}.json"
        for sample in json.loads(path.read_text()):
            name, raw = sample["name"], sample["raw"]
            if sample["dir"] != "recv":
                continue
            seen.add(name)
            events = decoder.decode(raw)
            if name in NOT_HERE:
                assert events == [Unrecognised(raw)], name
            else:
                assert events == WANT[name], name
    assert seen == set(WANT) | NOT_HERE


# --- executions


def test_sparse_follow_ups_are_filled_from_the_first_report() -> None:
    decoder = started()
    assert decoder.decode(reports(2, PENDING)) == [UPDATED]
    ts = {"timestamp": "2026-08-01T00:00:00.000001Z", "order_id": ORDER}
    new = {"exec_type": "new", "order_status": "new"} | ts
    assert decoder.decode(reports(3, new)) == [replace(UPDATED, status=OrderStatus.OPEN)]
    amended = {
        "exec_type": "amended", "order_status": "new", "limit_price": 60000.3, "order_qty": 0.4,
        "amended": True, "reason": "User requested",
    } | ts  # fmt: skip
    assert decoder.decode(reports(4, amended)) == [
        replace(
            UPDATED, status=OrderStatus.OPEN, price_ticks=600003, qty_lots=40_000_000,
            amended=True, reason="User requested",
        )
    ]  # fmt: skip
    cancelled = {
        "exec_type": "canceled", "order_status": "canceled", "cum_qty": 0.1, "reason": "",
        "cancel_reason": "User requested",
    } | ts  # fmt: skip
    assert decoder.decode(reports(5, cancelled)) == [
        replace(
            UPDATED, status=OrderStatus.CANCELLED, price_ticks=600003, qty_lots=40_000_000,
            filled_lots=10_000_000, reason="User requested",
        )
    ]  # fmt: skip


def test_amend_of_an_order_whose_first_report_was_lost_is_read_with_its_prices() -> None:
    decoder = started()
    decoder.decode(reply("add_order", result={"order_id": ORDER, "cl_ord_id": "m-1"}))
    amended = {
        "order_id": ORDER, "exec_type": "amended", "order_status": "new", "amended": True,
        "limit_price": 60000.2, "order_qty": 0.25, "timestamp": "2026-08-01T00:00:00.000001Z",
    }  # fmt: skip
    (event,) = decoder.decode(reports(2, amended))
    assert isinstance(event, OrderUpdated)
    assert (event.client_id, event.instrument) == ("m-1", "BTC/USD")
    assert (event.price_ticks, event.qty_lots) == (600_002, 25_000_000)


def test_client_id_of_the_reply_serves_the_reports() -> None:
    decoder = started()
    decoder.decode(
        dump(
            {
                "method": "add_order", "req_id": 3, "success": True,
                "result": {"order_id": ORDER, "cl_ord_id": "mabc00000000000009"},
            }
        )
    )  # fmt: skip
    (event,) = decoder.decode(
        reports(2, {"order_id": ORDER, "exec_type": "new", "order_status": "new"})
    )
    assert isinstance(event, OrderUpdated)
    assert event.client_id == "mabc00000000000009"


@pytest.mark.parametrize(
    ("status", "want"),
    [
        ("pending_new", OrderStatus.PENDING),
        ("new", OrderStatus.OPEN),
        ("partially_filled", OrderStatus.PARTIALLY_FILLED),
        ("filled", OrderStatus.FILLED),
        ("canceled", OrderStatus.CANCELLED),
        ("expired", OrderStatus.EXPIRED),
        ("frozen", OrderStatus.UNKNOWN),
    ],
)
def test_order_status_is_taken_over(status: str, want: OrderStatus) -> None:
    (event,) = started().decode(reports(2, PENDING | {"order_status": status, "exec_type": "?"}))
    assert isinstance(event, OrderUpdated)
    assert event.status is want


def test_snapshot_orders_and_fills_are_marked_as_such() -> None:
    decoder = PrivateDecoder([BTC])
    fill = PENDING | {
        "exec_type": "trade", "exec_id": "T1", "trade_id": 5, "last_qty": 0.1,
        "last_price": 60000.0, "cost": 6000.0, "liquidity_ind": "m", "order_status": "filled",
        "fees": [{"asset": "USD", "qty": -0.5}, {"asset": "KFEE", "qty": 1}],
    }  # fmt: skip
    events = decoder.decode(reports(1, PENDING | {"order_status": "new"}, fill, kind="snapshot"))
    assert [getattr(one, "source", None) for one in events] == [Source.SNAPSHOT] * 2
    assert isinstance(events[1], OrderFilled)
    assert events[1].fees == (Fee("USD", D("-0.5")), Fee("KFEE", D(1)))
    assert events[1].maker
    assert decoder.has_snapshot("executions")
    assert not decoder.has_snapshot("balances")
    decoder.reset_sequences()
    assert not decoder.has_snapshot("executions")


def test_every_report_of_a_message_is_told() -> None:
    other = PENDING | {"order_id": "OTHER", "cl_ord_id": "x"}
    events = started().decode(reports(2, PENDING, other))
    assert [getattr(one, "venue_order_id", "") for one in events] == [ORDER, "OTHER"]


def test_fill_of_a_pair_not_loaded_tells_what_it_moved_and_the_state() -> None:
    fill = {
        "order_id": "F", "symbol": "ETH/USD", "side": "buy", "exec_type": "trade",
        "exec_id": "T1", "last_qty": 0.1, "last_price": 1.0, "order_status": "filled",
    }  # fmt: skip
    moved, event = started().decode(reports(2, fill))
    assert isinstance(moved, OrderFilled)
    assert (moved.qty, moved.cost, moved.qty_lots) == (Decimal("0.1"), Decimal("0.10"), 0)
    assert isinstance(event, OrderUpdated)
    assert (event.instrument, event.price_ticks) == ("ETH/USD", None)


@pytest.mark.parametrize(
    "report",
    [
        {"exec_type": "trade", "exec_id": "T1", "order_status": "filled"},
        PENDING | {"exec_type": "trade", "exec_id": "T", "last_qty": 0, "last_price": 1.0},
        PENDING | {"exec_type": "trade", "exec_id": "T", "last_qty": "x", "last_price": 1.0},
        PENDING | {"exec_type": "trade", "exec_id": "T", "last_qty": 1e-9, "last_price": 1.0},
        PENDING | {"order_id": None},
        PENDING | {"order_qty": True},
        PENDING | {"order_qty": []},
        PENDING | {"timestamp": "yesterday"},
        PENDING | {"symbol": 7},
        7,
    ],
)
def test_report_that_cannot_be_read_counts_as_a_gap_and_spares_the_others(report: Any) -> None:
    if isinstance(report, dict):
        report = {"order_id": "BAD"} | report
    events = started().decode(reports(2, report, PENDING))
    assert [type(one) for one in events] == [Unrecognised, OrderUpdated, StreamGapped]


def test_missed_and_doubled_messages_are_gaps() -> None:
    decoder = started()
    assert decoder.decode(reports(4, PENDING)) == [StreamGapped("executions", 2, 4), UPDATED]
    assert decoder.decode(reports(5, PENDING)) == [UPDATED]
    assert decoder.decode(reports(5, PENDING)) == [StreamGapped("executions", 6, 5), UPDATED]
    unnumbered = {"channel": "executions", "type": "update", "data": [PENDING]}
    assert decoder.decode(dump(unnumbered)) == [StreamGapped("executions", 6, -1), UPDATED]


def test_new_subscription_starts_anew() -> None:
    decoder = started()
    decoder.decode(reports(2, PENDING))
    assert decoder.decode(reports(1, kind="snapshot")) == []
    decoder.reset_sequences()
    assert decoder.decode(reports(2, PENDING)) == [StreamGapped("executions", 1, 2), UPDATED]


def test_a_snapshot_may_come_in_two_messages() -> None:
    decoder = started()
    assert len(decoder.decode(reports(2, PENDING, kind="snapshot"))) == 1


def test_orders_remembered_are_bounded_and_done_ones_go_first() -> None:
    decoder = started()
    live = PENDING | {"order_id": "LIVE"}
    rows = [PENDING | {"order_id": f"O{i}", "order_status": "canceled"} for i in range(ORDERS_KEPT)]
    decoder.decode(reports(2, live, *rows, *rows[:10]))
    assert decoder.orders_kept == ORDERS_KEPT
    (event,) = decoder.decode(reports(3, {"order_id": "LIVE", "order_status": "new"}))
    assert isinstance(event, OrderUpdated)
    assert event.client_id == PENDING["cl_ord_id"]


# --- balances


def test_other_wallets_do_not_count() -> None:
    decoder = PrivateDecoder()
    row = {
        "asset": "BTC", "balance": 2, "amount": 1, "type": "transfer", "wallet_type": "earn",
        "wallet_id": "flex",
    }  # fmt: skip
    message = {"channel": "balances", "type": "update", "data": [row], "sequence": 1}
    assert decoder.decode(dump(message)) == []


def test_balance_without_wallets_is_the_assets_own() -> None:
    row = {"asset": "BTC", "balance": 2, "wallets": []}
    message = {"channel": "balances", "type": "snapshot", "data": [row], "sequence": 1}
    assert PrivateDecoder().decode(dump(message)) == [
        BalanceUpdated("BTC", D(2), None, D(0), "snapshot", "", 0)
    ]


def test_decimals_are_exact() -> None:
    text = (
        '{"channel":"balances","type":"update","data":[{"asset":"BTC","balance":0.1234567890123456789,'
        '"amount":-1e-10,"fee":0.00000000000000000001,"type":"trade"}],"sequence":1}'
    )
    (event,) = PrivateDecoder().decode(text)
    assert isinstance(event, BalanceUpdated)
    assert event.total == D("0.1234567890123456789")
    assert event.change == D("-1e-10")
    assert event.fee == D("1e-20")


# --- replies


def reply(method: str, **members: Any) -> str:
    return dump({"method": method, "req_id": 5, "success": True} | members)


def knowing(*client_ids: str, kind: str = "add") -> PrivateDecoder:
    return PrivateDecoder(
        [BTC], requested=lambda req_id: (kind, client_ids) if req_id == 5 else ("", ())
    )


def test_batch_entries_with_an_error_are_refused_one_by_one() -> None:
    entries = [
        {"order_id": "A", "cl_ord_id": "a"},
        {"error": "EOrder:Insufficient funds", "cl_ord_id": "b"},
    ]
    want = [
        RequestAccepted("add", 5, "a", "A", index=0),
        RequestRefused("add", 5, "EOrder:Insufficient funds", "funds", False, "b", 1),
    ]
    assert knowing("a", "b").decode(reply("batch_add", result=entries)) == want
    assert knowing("a", "b").decode(reply("batch_add", result={"orders": entries})) == want


def test_batch_reply_without_ids_goes_by_position_if_none_is_missing() -> None:
    entries = [{"order_id": "A"}, {"error": "EOrder:Cost minimum not met"}]
    assert knowing("a", "b").decode(reply("batch_add", result=entries)) == [
        RequestAccepted("add", 5, "a", "A", index=0),
        RequestRefused("add", 5, "EOrder:Cost minimum not met", "minimum", False, "b", 1),
    ]


def test_short_batch_reply_names_no_order_and_leaves_every_outcome_open() -> None:
    entries = [{"order_id": "B"}, {"error": "EOrder:Cost minimum not met"}]
    assert knowing("a", "b", "c").decode(reply("batch_add", result=entries)) == [
        RequestAccepted("add", 5, "", "B", index=0),
        RequestRefused("add", 5, "EOrder:Cost minimum not met", "internal", False),
    ]


def test_batch_reply_out_of_order_goes_by_client_id() -> None:
    entries = [{"order_id": "B", "cl_ord_id": "b"}, {"order_id": "A", "cl_ord_id": "a"}]
    events = knowing("a", "b").decode(reply("batch_add", result=entries))
    named = [
        (one.client_id, one.venue_order_id) for one in events if isinstance(one, RequestAccepted)
    ]
    assert named == [("b", "B"), ("a", "A")]


def test_reply_that_names_no_order_is_given_the_only_one_asked_for() -> None:
    failed = {"success": False, "error": "EOrder:Post only order"}
    assert knowing("a").decode(reply("add_order", **failed)) == [
        RequestRefused("add", 5, "EOrder:Post only order", "post_only", False, "a")
    ]
    assert knowing("a", "b", kind="cancel").decode(
        reply("cancel_order", success=False, error="EOrder:Invalid order")
    ) == [RequestRefused("cancel", 5, "EOrder:Invalid order", "unknown_order", False)]
    assert knowing("a", kind="cancel").decode(reply("cancel_order", result={"order_id": "X"})) == [
        RequestAccepted("cancel", 5, "a", "X")
    ]


def test_batch_cancel_of_2024_is_understood() -> None:
    assert PrivateDecoder().decode(reply("batch_cancel", orders_cancelled=2)) == [
        RequestAccepted("cancel", 5, count=2)
    ]


@pytest.mark.parametrize("success", [None, "true", 1, False])
def test_anything_but_true_is_a_failure(success: Any) -> None:
    (event,) = PrivateDecoder().decode(reply("add_order", success=success, result={}))
    assert isinstance(event, RequestRefused)
    assert event.code == "unknown"


@pytest.mark.parametrize(
    ("message", "kind", "code"),
    [
        ({"Error": "Exceeded msg rate"}, "", "call_rate"),
        ({"error": "Exceeded msg rate"}, "", "call_rate"),
        ({"method": "ping", "error": "Malformed request"}, "ping", "arguments"),
        (
            {"method": "amend_order", "error": "EGeneral:x:No amendable parameters"},
            "amend",
            "no_change",
        ),
        ({"method": "amend_order", "error": "No amendable parameters"}, "amend", "no_change"),
        ({"method": "amend_order", "error": "EOrder:Unknown order"}, "amend", "unknown_order"),
        ({"method": "add_order", "error": ["EService:Busy", "x"]}, "add", "unavailable"),
        ({"method": "subscribe", "error": "Already subscribed"}, "subscribe", "already_subscribed"),
        ({"method": "add_order", "error": "EService:Deadline elapsed"}, "add", "deadline"),
        ({"method": "add_order", "error": "something new"}, "add", "unknown"),
    ],
)  # fmt: skip
def test_error_shapes(message: dict[str, Any], kind: str, code: str) -> None:
    (event,) = PrivateDecoder().decode(dump(message))
    assert isinstance(event, RequestRefused)
    assert (event.kind, event.code) == (kind, code)


@pytest.mark.parametrize(
    ("system", "mode"),
    [
        ("online", SystemMode.ONLINE),
        ("post_only", SystemMode.POST_ONLY),
        ("cancel_only", SystemMode.CANCEL_ONLY),
        ("maintenance", SystemMode.MAINTENANCE),
        ("unknown", SystemMode.UNKNOWN),
        ("limit_only", SystemMode.UNKNOWN),
    ],
)
def test_trading_modes(system: str, mode: SystemMode) -> None:
    message = {"channel": "status", "type": "update", "data": [{"system": system}]}
    assert PrivateDecoder().decode(dump(message)) == [StatusChanged(mode, system)]


def test_instrument_update_replaces_the_pair_and_an_odd_one_spares_the_rest() -> None:
    decoder = PrivateDecoder([BTC])
    pair = {
        "symbol": "BTC/USD", "base": "BTC", "quote": "USD", "status": "cancel_only",
        "price_precision": 1, "qty_precision": 8, "price_increment": 0.5,
        "qty_increment": 0.00000001, "qty_min": 0.0001, "cost_min": "0.5", "cost_precision": 5,
    }  # fmt: skip
    odd = pair | {"symbol": "X/Y", "price_increment": 0.03}
    message = {"channel": "instrument", "type": "update", "data": {"pairs": [odd, pair]}}
    first, second = decoder.decode(dump(message))
    assert isinstance(first, Unrecognised)
    assert isinstance(second, InstrumentUpdated)
    assert decoder.instruments["BTC/USD"].status == "cancel_only"
    assert decoder.instruments["BTC/USD"].tick_size == D("0.5")


@pytest.mark.parametrize(
    "data",
    [b"restarting", b"", b"[]", b"7", b"{}", b'{"channel":7}', b'{"method":"new_thing"}',
     b'{"channel":"l3","data":[]}', b'{"a":NaN}', b"\xff\xfe", b"[" * 100_000,
     b'{"channel":"status"}', b'{"method":"subscribe","success":true}',
     b'{"method":"cancel_all","success":true,"result":{"count":"x"}}'],
)  # fmt: skip
def test_frame_of_no_known_kind_is_kept_as_text(data: bytes) -> None:
    (event,) = PrivateDecoder().decode(data)
    assert isinstance(event, Unrecognised)
    assert len(event.text) <= 2000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["executions", "balances", "trade", "update", "snapshot", "buy", "1.5"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["channel", "type", "data", "sequence", "method", "success", "result", "error",
             "order_id", "exec_id", "exec_type", "order_status", "symbol", "side", "last_qty",
             "last_price", "asset", "balance", "wallets", "timestamp", "fees", "req_id"]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    JSON,
    st.sampled_from(["executions", "balances", "status", "instrument", "ticker", "book"]),
    st.sampled_from(
        ["add_order", "batch_add", "cancel_order", "subscribe", "batch_cancel", "pong"]
    ),
    st.booleans(),
)
def test_any_json_gives_events(value: Any, channel: str, method: str, reply_: bool) -> None:
    decoder = PrivateDecoder([BTC])
    message = value if isinstance(value, dict) else {"data": value, "result": value}
    message = message | ({"method": method} if reply_ else {"channel": channel})
    if reply_:
        message.pop("channel", None)
    for event in decoder.decode(json.dumps(message)):
        assert type(event).__module__ == "openmm.events"


@given(st.binary(max_size=200))
def test_any_bytes_give_events(data: bytes) -> None:
    assert isinstance(PrivateDecoder().decode(data), list)
