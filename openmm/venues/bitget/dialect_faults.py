"""What a fault injector must know of Bitget: kinds of messages, how to spoil them, how to refuse.

Works on bytes as they pass between a session and its client. Kinds have the names of the injector's
scripts, which do not depend on the venue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from openmm.venues.bitget.dialect_text import dump
from openmm.venues.counterpart import Core, OrderRecord

REQUESTS: Mapping[str, str] = {
    "place-order": "add",
    "batch-place": "batch_add",
    "modify-order": "amend",
    "cancel-order": "cancel",
    "batch-cancel": "batch_cancel",
}
CHANNELS: Mapping[str, str] = {
    "orders": "executions",
    "order": "executions",
    "fill": "executions",
    "account": "balances",
    "trade": "trade",
    "publicTrade": "trade",
}
CALLS: Mapping[str, str] = {
    "/public/time": "Time",
    "/spot/public/symbols": "AssetPairs",
    "/market/instruments": "AssetPairs",
    "/spot/market/orderbook": "Depth",
    "/market/orderbook": "Depth",
    "/spot/trade/unfilled-orders": "OpenOrders",
    "/trade/unfilled-orders": "OpenOrders",
    "/spot/trade/orderInfo": "QueryOrders",
    "/trade/order-info": "QueryOrders",
    "/spot/trade/history-orders": "ClosedOrders",
    "/trade/history-orders": "ClosedOrders",
    "/spot/trade/fills": "TradesHistory",
    "/trade/fills": "TradesHistory",
    "/spot/account/assets": "BalanceEx",
    "/account/assets": "BalanceEx",
    "/common/trade-rate": "TradeVolume",
    "/account/fee-rate": "TradeVolume",
    "/spot/trade/place-order": "AddOrder",
    "/trade/place-order": "AddOrder",
    "/spot/trade/cancel-order": "CancelOrder",
    "/trade/cancel-order": "CancelOrder",
    "/spot/trade/batch-cancel-order": "CancelOrder",
    "/trade/cancel-batch": "CancelOrder",
    "/spot/trade/cancel-symbol-order": "CancelAll",
    "/trade/cancel-symbol-order": "CancelAll",
    "/trade/countdown-cancel-all": "CancelAllOrdersAfter",
}
# The injector's texts are another venue's: the code that means the same.
CODES: Mapping[str, str] = {
    "Insufficient funds": "43012",
    "Post only order": "43039",
    "Rate limit exceeded": "429",
    "Unknown order": "43001",
    "Invalid": "40017",
}
UNKNOWN_OUTCOME = "40725"
FIRST_ORDER_ID = 1_171_779_081_105_780_000  # an order's id is this plus its number
NUMBERED: tuple[str, ...] = ()  # no private channel numbers its messages

_CHANNEL = re.compile(rb'"(?:channel|topic)":"([A-Za-z0-9-]+)"')
_CHECKSUM = re.compile(rb'"checksum":(-?\d+)')
_PSEQ = re.compile(rb'"pseq":(\d+)')
_SEQ = re.compile(rb'"seq":(\d+)')
_AMOUNT = re.compile(rb'"(available|balance)":"(-?[0-9.]+)"')


def channel_of(frame: bytes) -> str:
    """Return the channel that a frame names."""
    found = _CHANNEL.search(frame)
    return "" if found is None else found[1].decode()


def kind_of_request(frame: bytes) -> str:
    """Return the kind of a client's message; "" for one of no kind."""
    if frame == b"ping":
        return "ping"
    for kind in ("subscribe", "unsubscribe"):
        if b'"op":"%b"' % kind.encode() in frame:
            return kind
    return REQUESTS.get(channel_of(frame), "") if b'"op":"trade"' in frame else ""


def kind_of_message(frame: bytes) -> str:
    """Return the kind of a message of the venue: a channel's, or `ack.` and what was asked for."""
    if frame == b"pong":
        return "heartbeat"
    if b'"event":' in frame:
        kind = REQUESTS.get(channel_of(frame), "")
        return f"ack.{kind}" if kind else ""
    channel = channel_of(frame)
    return "book" if channel.startswith("books") else CHANNELS.get(channel, "")


def kind_of_call(method: str, target: str) -> str:
    """Return the kind of a REST call; "" for one of no kind."""
    path = target.partition("?")[0]
    return CALLS.get(path.removeprefix("/api/v2").removeprefix("/api/v3"), "")


def is_fill(frame: bytes) -> bool:
    """Whether a message tells of a fill."""
    return b'"fillPrice"' in frame or (b'"action"' in frame and channel_of(frame) == "fill")


def number_of(frame: bytes) -> int:
    """Return no number: private messages of this venue have none."""
    return 0


def numbered(frame: bytes, sequence: int) -> bytes:
    """Return a message as it is."""
    return frame


def wrong_checksum(frame: bytes) -> bytes:
    """Spoil what the message is verified by: checksum, chain, or else its text.

    With a number alone nothing but an unreadable message can be told.
    """
    if _CHECKSUM.search(frame) is not None:
        return _CHECKSUM.sub(lambda found: b'"checksum":%d' % (int(found[1]) ^ 1 or 1), frame)
    if _PSEQ.search(frame) is not None:
        return _PSEQ.sub(lambda found: b'"pseq":%d' % (int(found[1]) + 1), frame)
    return _SEQ.sub(b'"seq":"x"', frame)


def garbled(frame: bytes) -> bytes:
    """Cut a message in its middle."""
    return frame[: max(1, len(frame) // 2)]


def lying(frame: bytes, amount: Decimal) -> bytes:
    """Change the amounts that a pushed balances message tells."""
    return _AMOUNT.sub(
        lambda found: b'"%b":"%b"' % (
            found[1], f"{Decimal(found[2].decode()) + amount:f}".encode(),
        ),
        frame,
    )  # fmt: skip


def lying_reply(body: bytes, amount: Decimal) -> bytes:
    """Change the balances of a REST reply."""
    return lying(body, amount)


def _code(text: str) -> str:
    if text.isdigit():
        return text
    return next((code for part, code in CODES.items() if part in text), UNKNOWN_OUTCOME)


def refusal(frame: bytes, text: str, now_ns: int) -> bytes:
    """Write the answer that refuses a client's message with a text."""
    message: dict[str, Any] = json.loads(frame)
    code = int(_code(text))
    if "topic" in message:
        told = {name: message.get(name) for name in ("id", "category", "topic")}
        return dump({"event": "error", **told, "code": str(code), "msg": text})
    return dump({"event": "error", "arg": message.get("args"), "code": code, "msg": text})


def rest_refusal(text: str) -> tuple[int, bytes]:
    """Write the reply that refuses a REST call with a text: status and body."""
    code = _code(text)
    status = 429 if code == "429" else 400
    return status, dump({"code": code, "msg": text, "requestTime": 0, "data": None})


def orders_named(core: Core, account: int, frame: bytes) -> list[OrderRecord]:
    """Find the open orders that a client's message is about."""
    rows = json.loads(frame).get("args", [])
    named: set[str] = set()
    for row in rows if isinstance(rows, list) else []:
        fields = row.get("params", row) if isinstance(row, dict) else {}
        named |= {str(fields.get(name, "")) for name in ("orderId", "clientOid")}
    return [
        order
        for order in core.open_orders(account)
        if order.client_id in named or str(FIRST_ORDER_ID + order.number) in named
    ]
