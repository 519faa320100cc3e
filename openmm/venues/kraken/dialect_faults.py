"""What a fault injector must know of Kraken: kinds of messages, their numbers, how to spoil them.

Works on bytes as they pass between a session and its client; the dialect itself knows no faults.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from openmm.venues.counterpart import Core, OrderRecord
from openmm.venues.kraken.dialect_text import time_text

REQUESTS: Mapping[str, str] = {
    "add_order": "add",
    "batch_add": "batch_add",
    "amend_order": "amend",
    "cancel_order": "cancel",
    "batch_cancel": "batch_cancel",
    "cancel_all": "cancel_all",
    "cancel_all_orders_after": "dead_man",
    "subscribe": "subscribe",
    "unsubscribe": "unsubscribe",
    "ping": "ping",
}
ORDER_REQUESTS = ("add", "batch_add", "amend", "cancel", "batch_cancel", "cancel_all")
ACKS = tuple(f"ack.{name}" for name in (*ORDER_REQUESTS, "dead_man"))
CHANNELS = (
    "executions",
    "balances",
    "book",
    "trade",
    "ticker",
    "heartbeat",
    "status",
    "instrument",
)
NUMBERED: tuple[str, ...] = ("executions", "balances")
REST_PATHS = (
    "Time", "AssetPairs", "Depth", "SystemStatus", "GetWebSocketsToken", "OpenOrders",
    "ClosedOrders", "QueryOrders", "TradesHistory", "Balance", "BalanceEx", "TradeVolume",
    "AddOrder", "AmendOrder", "CancelOrder", "CancelAll", "CancelAllOrdersAfter",
)  # fmt: skip

_METHOD = re.compile(rb'"method"\s*:\s*"(\w+)"')
_CHANNEL = re.compile(rb'^\{"channel":"(\w+)"')
_CHECKSUM = re.compile(rb'"checksum":(\d+)')
_SEQUENCE = re.compile(rb'"sequence":(\d+)\}$')
_BALANCE = re.compile(rb'"balance":(-?[0-9.]+)')


def kind_of_request(frame: bytes) -> str:
    """Return the kind of a client's message; "" for one of no kind."""
    found = _METHOD.search(frame)
    return "" if found is None else REQUESTS.get(found[1].decode(), "")


def kind_of_message(frame: bytes) -> str:
    """Return the kind of a message of the venue: a channel, or `ack.` and what was asked for."""
    found = _CHANNEL.match(frame)
    if found is not None:
        return found[1].decode()
    asked = kind_of_request(frame)
    return f"ack.{asked}" if asked else ""


def kind_of_call(method: str, target: str) -> str:
    """Return the kind of a REST call; "" for one of no kind."""
    path = target.partition("?")[0]
    return path.rpartition("/")[2] if path.startswith("/0/") else ""


def is_fill(frame: bytes) -> bool:
    """Whether a message tells of a fill."""
    return kind_of_message(frame) == "executions" and b'"trade"' in frame


def number_of(frame: bytes) -> int:
    """Return a message's sequence number, 0 without one."""
    found = _SEQUENCE.search(frame)
    return 0 if found is None else int(found[1])


def numbered(frame: bytes, sequence: int) -> bytes:
    """Write another sequence number into a message."""
    return _SEQUENCE.sub(b'"sequence":%d}' % sequence, frame)


def wrong_checksum(frame: bytes) -> bytes:
    """Make the checksum of a book message wrong."""
    return _CHECKSUM.sub(lambda found: b'"checksum":%d' % ((int(found[1]) + 1) % 2**32), frame)


def garbled(frame: bytes) -> bytes:
    """Cut a message in its middle."""
    return frame[: max(1, len(frame) // 2)]


def lying(frame: bytes, amount: Decimal) -> bytes:
    """Change the balances that a pushed balances message tells."""

    def lie(found: re.Match[bytes]) -> bytes:
        return b'"balance":' + _off(found[1].decode(), amount).encode()

    return _BALANCE.sub(lie, frame)


def lying_reply(body: bytes, amount: Decimal) -> bytes:
    """Change the balances of a reply to Balance or BalanceEx."""
    reply = json.loads(body)
    result = reply.get("result")
    if not isinstance(result, dict):
        return body
    for asset, held in result.items():
        if isinstance(held, dict):
            held["balance"] = _off(held["balance"], amount)
        else:
            result[asset] = _off(held, amount)
    return json.dumps(reply).encode()


def _off(text: str, amount: Decimal) -> str:
    """Return an amount off by another, with its own decimals."""
    told = Decimal(text)
    return f"{(told + amount).quantize(told) if told else told + amount:f}"


def refusal(frame: bytes, text: str, now_ns: int) -> bytes:
    """Write the reply that refuses a client's message with a text."""
    message = json.loads(frame)
    reply: dict[str, Any] = {"error": text, "method": message.get("method", "")}
    if "req_id" in message:
        reply["req_id"] = message["req_id"]
    told = time_text(now_ns)
    reply |= {"success": False, "time_in": told, "time_out": told}
    return json.dumps(reply, separators=(",", ":")).encode()


def rest_refusal(text: str) -> tuple[int, bytes]:
    """Write the reply that refuses a REST call with a text: status and body."""
    return 200, json.dumps({"error": [text]}).encode()


def orders_named(core: Core, account: int, frame: bytes) -> list[OrderRecord]:
    """Find the open orders that a client's message is about."""
    params = json.loads(frame).get("params", {})
    rows: Sequence[Any] = params.get("orders", [params])
    found: list[OrderRecord] = []
    for row in [params, *rows]:
        if isinstance(row, str):
            order = core.order(account, row)
            found += [order] if order is not None else []
            continue
        for name in ("order_id", "cl_ord_id"):
            told = row.get(name, [])
            for text in [told] if isinstance(told, str) else told:
                order = core.order(account, text) if name == "order_id" else None
                found += [order] if order is not None else core.by_client_id(account, text)[:1]
    unique = {order.venue_order_id: order for order in found if order.open}
    return list(unique.values())
