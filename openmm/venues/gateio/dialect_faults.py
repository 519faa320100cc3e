"""What a fault injector must know of Gate.io: kinds of messages, how to spoil them, how to refuse.

Works on bytes as they pass between a session and its client. Kinds have the names of the injector's
scripts, which do not depend on the venue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from openmm.venues.counterpart import Core, OrderRecord
from openmm.venues.gateio.dialect_text import MS, dump

REQUESTS: Mapping[str, str] = {
    "spot.order_place": "add",
    "spot.order_amend": "amend",
    "spot.order_cancel": "cancel",
    "spot.order_cancel_ids": "batch_cancel",
    "spot.order_cancel_cp": "cancel_all",
    "spot.ping": "ping",
}
CHANNELS: Mapping[str, str] = {
    "spot.orders": "executions",
    "spot.usertrades": "executions",
    "spot.balances": "balances",
    "spot.order_book_update": "book",
    "spot.obu": "book",
    "spot.trades": "trade",
    "spot.pong": "heartbeat",
}
CALLS: Mapping[tuple[str, str], str] = {
    ("GET", "/spot/time"): "Time",
    ("GET", "/spot/currency_pairs"): "AssetPairs",
    ("GET", "/spot/order_book"): "Depth",
    ("GET", "/spot/open_orders"): "OpenOrders",
    ("GET", "/spot/orders"): "ClosedOrders",
    ("GET", "/spot/my_trades"): "TradesHistory",
    ("GET", "/spot/accounts"): "BalanceEx",
    ("GET", "/wallet/fee"): "TradeVolume",
    ("POST", "/spot/orders"): "AddOrder",
    ("POST", "/spot/cancel_batch_orders"): "CancelOrder",
    ("DELETE", "/spot/orders"): "CancelAll",
    ("POST", "/spot/countdown_cancel_all"): "CancelAllOrdersAfter",
}
# The injector's texts are another venue's: the label that means the same.
LABELS: Mapping[str, tuple[int, str]] = {
    "Insufficient funds": (400, "BALANCE_NOT_ENOUGH"),
    "Post only order": (400, "POC_FILL_IMMEDIATELY"),
    "Rate limit exceeded": (429, "TOO_MANY_REQUESTS"),
    "Unknown order": (404, "ORDER_NOT_FOUND"),
    "Invalid": (400, "INVALID_PARAM_VALUE"),
}
FIRST_ORDER_ID = 644_865_000_000  # an order's id is this plus its number
NUMBERED: tuple[str, ...] = ()  # no channel numbers its messages

_CHANNEL = re.compile(rb'"channel":"([a-z_.]+)"')
_IDS = re.compile(rb'"(U|u)":(\d+)')
_TOTAL = re.compile(rb'"total":"(-?[0-9.]+)"')


def channel_of(frame: bytes) -> str:
    """Return the channel that a frame names."""
    found = _CHANNEL.search(frame)
    return "" if found is None else found[1].decode()


def kind_of_request(frame: bytes) -> str:
    """Return the kind of a client's message; "" for one of no kind."""
    if b'"event":"subscribe"' in frame:
        return "subscribe"
    if b'"event":"unsubscribe"' in frame:
        return "unsubscribe"
    kind = REQUESTS.get(channel_of(frame), "")
    return "batch_add" if kind == "add" and b'"req_param":[' in frame else kind


def kind_of_message(frame: bytes) -> str:
    """Return the kind of a message of the venue: a channel's, or `ack.` and what was asked for."""
    if b'"event":"api"' in frame:
        kind = REQUESTS.get(channel_of(frame), "")
        many = kind == "add" and b'"result":[' in frame
        return f"ack.{'batch_add' if many else kind}" if kind else ""
    if b'"event":"subscribe"' in frame or b'"event":"unsubscribe"' in frame:
        return ""
    return CHANNELS.get(channel_of(frame), "")


def kind_of_call(method: str, target: str) -> str:
    """Return the kind of a REST call; "" for one of no kind."""
    path = target.partition("?")[0].removeprefix("/api/v4")
    if path.startswith("/spot/orders/"):
        return {"GET": "QueryOrders", "PATCH": "AmendOrder"}.get(method, "CancelOrder")
    return CALLS.get((method, path), "")


def is_fill(frame: bytes) -> bool:
    """Whether a message tells of a fill."""
    return channel_of(frame) == "spot.usertrades"


def number_of(frame: bytes) -> int:
    """Return no number: messages of this venue have none."""
    return 0


def numbered(frame: bytes, sequence: int) -> bytes:
    """Return a message as it is."""
    return frame


def wrong_checksum(frame: bytes) -> bytes:
    """Move the ids of a book message, so that it does not follow on the one before."""
    return _IDS.sub(lambda found: b'"%b":%d' % (found[1], int(found[2]) + 7), frame)


def garbled(frame: bytes) -> bytes:
    """Cut a message in its middle."""
    return frame[: max(1, len(frame) // 2)]


def lying(frame: bytes, amount: Decimal) -> bytes:
    """Change the totals that a pushed balances message tells."""
    return _TOTAL.sub(
        lambda found: b'"total":"%b"' % f"{Decimal(found[1].decode()) + amount:f}".encode(), frame
    )


def lying_reply(body: bytes, amount: Decimal) -> bytes:
    """Change the balances of a reply to `GET /spot/accounts`."""
    rows = json.loads(body)
    if not isinstance(rows, list):
        return body
    for row in rows:
        row["available"] = f"{Decimal(row['available']) + amount:f}"
    return dump(rows)


def _label(text: str) -> tuple[int, str]:
    if text.isupper() and " " not in text:
        return 400, text
    return next(
        (told for part, told in LABELS.items() if part in text), (500, "INTERNAL_SERVER_ERROR")
    )


def refusal(frame: bytes, text: str, now_ns: int) -> bytes:
    """Write the answer that refuses a client's message with a text."""
    message: dict[str, Any] = json.loads(frame)
    status, label = _label(text)
    payload = message.get("payload")
    header = {
        "response_time": str(now_ns // MS), "status": str(status),
        "channel": message.get("channel", ""), "event": "api",
    }  # fmt: skip
    return dump({
        "header": header, "data": {"errs": {"label": label, "message": text}},
        "request_id": payload.get("req_id", "") if isinstance(payload, dict) else "",
    })  # fmt: skip


def rest_refusal(text: str) -> tuple[int, bytes]:
    """Write the reply that refuses a REST call with a text: status and body."""
    status, label = _label(text)
    return status, dump({"label": label, "message": text})


def orders_named(core: Core, account: int, frame: bytes) -> list[OrderRecord]:
    """Find the open orders that a client's message is about."""
    payload = json.loads(frame).get("payload", {})
    param = payload.get("req_param", {}) if isinstance(payload, dict) else {}
    named: set[str] = set()
    for row in param if isinstance(param, list) else [param]:
        named |= {str(row.get(name, "")) for name in ("order_id", "id", "text")}
    return [
        order
        for order in core.open_orders(account)
        if order.client_id in named or str(FIRST_ORDER_ID + order.number) in named
    ]
