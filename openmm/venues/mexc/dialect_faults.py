"""What a fault injector must know of MEXC: kinds of messages, how to spoil them, how to refuse.

Works on bytes as they pass between a session and its client. Kinds have the names of the injector's
scripts, which do not depend on the venue. Orders go over REST here: no message of a client is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from openmm._fast.proto import read_fields
from openmm.venues.counterpart import Core, OrderRecord
from openmm.venues.mexc.dialect_text import dump, message

CHANNELS: Mapping[str, str] = {
    "spot@private.orders": "executions",
    "spot@private.deals": "executions",
    "spot@private.account": "balances",
    "spot@public.aggre.depth": "book",
    "spot@public.limit.depth": "book",
    "spot@public.aggre.deals": "trade",
}
CALLS: Mapping[tuple[str, str], str] = {
    ("GET", "/api/v3/time"): "Time",
    ("GET", "/api/v3/exchangeInfo"): "AssetPairs",
    ("GET", "/api/v3/depth"): "Depth",
    ("GET", "/api/v3/openOrders"): "OpenOrders",
    ("GET", "/api/v3/order"): "QueryOrders",
    ("GET", "/api/v3/allOrders"): "ClosedOrders",
    ("GET", "/api/v3/myTrades"): "TradesHistory",
    ("GET", "/api/v3/account"): "BalanceEx",
    ("GET", "/api/v3/tradeFee"): "TradeVolume",
    ("POST", "/api/v3/order"): "AddOrder",
    ("POST", "/api/v3/batchOrders"): "AddOrder",
    ("DELETE", "/api/v3/order"): "CancelOrder",
    ("DELETE", "/api/v3/openOrders"): "CancelAll",
    ("POST", "/api/v3/userDataStream"): "GetWebSocketsToken",
    ("PUT", "/api/v3/userDataStream"): "GetWebSocketsToken",
}
# The injector's texts are another venue's: the code that means the same.
CODES: Mapping[str, tuple[int, int]] = {
    "Insufficient funds": (400, 30004),
    "Post only order": (400, 30041),
    "Rate limit exceeded": (429, 429),
    "Unknown order": (400, -2011),
    "Invalid": (400, 33333),
}
NUMBERED: tuple[str, ...] = ()  # no private channel numbers its messages
DEPTH_BODY = 313
LIMIT_BODY = 303
ACCOUNT_BODY = 307
_FREE = re.compile(rb'"free":"(-?[0-9.]+)"')


def channel_of(frame: bytes) -> str:
    """Return the channel that a push names; "" for text."""
    if frame[:1] != b"\x0a":
        return ""
    try:
        return next(
            (value.decode() for number, value in read_fields(frame)
             if number == 1 and isinstance(value, bytes)), "",
        )  # fmt: skip
    except ValueError:
        return ""


def kind_of_request(frame: bytes) -> str:
    """Return the kind of a client's message; "" for one of no kind."""
    if b'"PING"' in frame.upper():
        return "ping"
    if b'"UNSUBSCRIPTION"' in frame:
        return "unsubscribe"
    return "subscribe" if b'"SUBSCRIPTION"' in frame else ""


def kind_of_message(frame: bytes) -> str:
    """Return the kind of a message of the venue: a channel's."""
    channel = channel_of(frame)
    if not channel:
        return "heartbeat" if b'"PONG"' in frame else ""
    return CHANNELS.get(channel.partition(".v3")[0], "")


def kind_of_call(method: str, target: str) -> str:
    """Return the kind of a REST call; "" for one of no kind."""
    return CALLS.get((method, target.partition("?")[0]), "")


def is_fill(frame: bytes) -> bool:
    """Whether a message tells of a fill."""
    return channel_of(frame).startswith("spot@private.deals")


def number_of(frame: bytes) -> int:
    """Return no number: private messages of this venue have none."""
    return 0


def numbered(frame: bytes, sequence: int) -> bytes:
    """Return a message as it is."""
    return frame


def _spoiled(frame: bytes, body_number: int, change: Mapping[int, str]) -> bytes:
    """Write a push with other texts in some fields of its body."""
    out = b""
    for number, value in read_fields(frame):
        if number == body_number and isinstance(value, bytes):
            value = b"".join(
                message([(at, change.get(at, one))]) for at, one in read_fields(value)
            )  # fmt: skip
        out += message([(number, value)])
    return out


def wrong_checksum(frame: bytes) -> bytes:
    """Spoil what a book message is verified by: its versions."""
    if channel_of(frame).startswith("spot@public.limit"):
        return _spoiled(frame, LIMIT_BODY, {4: "x"})
    return _spoiled(frame, DEPTH_BODY, {5: "x"})


def garbled(frame: bytes) -> bytes:
    """Cut a message in its middle."""
    return frame[: max(1, len(frame) // 2)]


def lying(frame: bytes, amount: Decimal) -> bytes:
    """Change the balance that a pushed message tells."""
    body = dict(read_fields(frame)).get(ACCOUNT_BODY)
    if not isinstance(body, bytes):
        return frame
    free = dict(read_fields(body)).get(3, b"0")
    assert isinstance(free, bytes), "a balance travels as text"
    return _spoiled(frame, ACCOUNT_BODY, {3: f"{Decimal(free.decode()) + amount:f}"})


def lying_reply(body: bytes, amount: Decimal) -> bytes:
    """Change the balances of a REST reply."""
    return _FREE.sub(
        lambda found: b'"free":"%b"' % f"{Decimal(found[1].decode()) + amount:f}".encode(), body
    )


def _code(text: str) -> tuple[int, int]:
    return next((code for part, code in CODES.items() if part in text), (500, 500))


def refusal(frame: bytes, text: str, now_ns: int) -> bytes:
    """Write the answer that refuses a client's message with a text."""
    return dump(
        {"id": 0, "code": 0, "msg": f"Not Subscribed successfully! [{text}].  Reason： {text}"}
    )


def rest_refusal(text: str) -> tuple[int, bytes]:
    """Write the reply that refuses a REST call with a text: status and body."""
    status, code = _code(text)
    return status, dump({"code": code, "msg": text})


def orders_named(core: Core, account: int, frame: bytes) -> list[OrderRecord]:
    """Find no order: none is named over the WebSocket."""
    return []
