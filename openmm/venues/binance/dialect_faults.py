"""What a fault injector must know of Binance: kinds of messages, how to spoil them, how to refuse.

Works on bytes as they pass between a session and its client. Kinds have the names of the injector's
scripts, which do not depend on the venue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from openmm.venues.binance.dialect_book import dump
from openmm.venues.watched_dialect import NUMBERED as NUMBERED
from openmm.venues.watched_dialect import garbled as garbled
from openmm.venues.watched_dialect import is_fill as is_fill
from openmm.venues.watched_dialect import lying as lying
from openmm.venues.watched_dialect import lying_reply as lying_reply
from openmm.venues.watched_dialect import number_of as number_of
from openmm.venues.watched_dialect import numbered as numbered
from openmm.venues.watched_dialect import orders_named as orders_named

REQUESTS: Mapping[str, str] = {"SUBSCRIBE": "subscribe", "UNSUBSCRIBE": "unsubscribe"}
STREAMS: Mapping[bytes, str] = {
    b"depth": "book",
    b"trade": "trade",
    b"aggTrade": "trade",
    b"bookTicker": "ticker",
}
CALLS: Mapping[str, str] = {"time": "Time", "exchangeInfo": "AssetPairs", "depth": "Depth"}
# The injector's texts are another venue's: status, code and words that mean the same.
CODES: Mapping[str, tuple[int, int, str]] = {
    "Rate limit exceeded": (429, -1003, "Too many requests; current limit of IP is reached."),
    "Unavailable": (503, -1001, "Internal error; unable to process your request."),
    "Busy": (503, -1008, "Server is currently overloaded with other requests."),
    "Invalid": (400, -1100, "Illegal characters found in a parameter."),
}

_METHOD = re.compile(rb'"method"\s*:\s*"(\w+)"')
_STREAM = re.compile(rb'^\{"stream":"[^"@]*@(\w+)')
_IDS = re.compile(rb'"(U|u|pu)":(\d+)')


def kind_of_request(frame: bytes) -> str:
    """Return the kind of a client's message; "" for one of no kind."""
    found = _METHOD.search(frame)
    return "" if found is None else REQUESTS.get(found[1].decode(), "")


def kind_of_message(frame: bytes) -> str:
    """Return the kind of a message of the venue; "" for the answer to a request."""
    found = _STREAM.match(frame)
    return "" if found is None else STREAMS.get(found[1], "")


def kind_of_call(method: str, target: str) -> str:
    """Return the kind of a REST call; "" for one of no kind."""
    return CALLS.get(target.partition("?")[0].rpartition("/")[2], "") if method == "GET" else ""


def wrong_checksum(frame: bytes) -> bytes:
    """Move the ids of a book message, so that it does not follow on the one before."""
    return _IDS.sub(lambda found: b'"%b":%d' % (found[1], int(found[2]) + 7), frame)


def _meaning(text: str) -> tuple[int, int, str]:
    known = (told for part, told in CODES.items() if part in text)
    return next(known, (500, -1000, "An unknown error occurred while processing the request."))


def refusal(frame: bytes, text: str, now_ns: int) -> bytes:
    """Write the answer that refuses a client's message with a text."""
    return dump({"error": {"code": 2, "msg": text}, "id": json.loads(frame).get("id")})


def rest_refusal(text: str) -> tuple[int, bytes]:
    """Write the reply that refuses a REST call with a text: status and body."""
    status, code, words = _meaning(text)
    return status, dump({"code": code, "msg": words})
