"""What a fault injector must know of Coinbase: kinds of messages, how to spoil them, how to refuse.

Works on bytes as they pass between a session and its client. Kinds have the names of the injector's
scripts, which do not depend on the venue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from openmm.venues.coinbase.dialect_book import dump
from openmm.venues.watched_dialect import NUMBERED as NUMBERED
from openmm.venues.watched_dialect import garbled as garbled
from openmm.venues.watched_dialect import is_fill as is_fill
from openmm.venues.watched_dialect import lying as lying
from openmm.venues.watched_dialect import lying_reply as lying_reply
from openmm.venues.watched_dialect import number_of as number_of
from openmm.venues.watched_dialect import numbered as numbered
from openmm.venues.watched_dialect import orders_named as orders_named

MESSAGES: Mapping[bytes, str] = {
    b"snapshot": "book",
    b"l2update": "book",
    b"match": "trade",
    b"last_match": "trade",
    b"heartbeat": "heartbeat",
}
CALLS: Mapping[str, str] = {"time": "Time", "products": "AssetPairs", "book": "Depth"}

_TYPE = re.compile(rb'"type"\s*:\s*"(\w+)"')


def _type_of(frame: bytes) -> bytes:
    found = _TYPE.search(frame)
    return b"" if found is None else found[1]


def kind_of_request(frame: bytes) -> str:
    """Return the kind of a client's message; "" for one of no kind."""
    told = _type_of(frame)
    return told.decode() if told in (b"subscribe", b"unsubscribe") else ""


def kind_of_message(frame: bytes) -> str:
    """Return the kind of a message of the venue; "" for the answer to a request."""
    return MESSAGES.get(_type_of(frame), "")


def kind_of_call(method: str, target: str) -> str:
    """Return the kind of a REST call; "" for one of no kind."""
    return CALLS.get(target.partition("?")[0].rpartition("/")[2], "") if method == "GET" else ""


def wrong_checksum(frame: bytes) -> bytes:
    """Let a book message cross the book: a reader has nothing else to verify it by."""
    message: dict[str, Any] = json.loads(frame)
    if message["type"] == "snapshot":
        message["bids"].insert(0, [message["asks"][-1][0], "1"])
    else:
        _, price, _ = message["changes"][-1]
        message["changes"].append(["buy", str(2 * Decimal(price)), "1"])
    return dump(message)


def refusal(frame: bytes, text: str, now_ns: int) -> bytes:
    """Write the answer that refuses a client's message with a text."""
    kind = kind_of_request(frame) or "answer"
    return dump({"type": "error", "message": f"Failed to {kind}", "reason": text})


def rest_refusal(text: str) -> tuple[int, bytes]:
    """Write the reply that refuses a REST call with a text: status and body."""
    limited = "Rate limit exceeded" in text
    status = 429 if limited else 503 if "Unavailable" in text or "Busy" in text else 500
    return status, dump({"message": "Public rate limit exceeded" if limited else text})
