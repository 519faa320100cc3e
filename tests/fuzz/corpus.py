"""Samples to spoil: the documented and captured messages, recorded frames, files made here."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path

from openmm.venues.capture import read_frames
from openmm.venues.kraken.fields import loads
from openmm.venues.kraken.stream import dumps

MESSAGE_KEYS = frozenset(
    {"channel", "method", "error", "Error", "event", "header", "data", "result", "order_id", "id"}
)
FRAMES_KEPT = 200


def messages(folder: Path) -> list[bytes]:
    """Return every message of a folder of sample files, each once, in the files' order."""
    found: dict[bytes, None] = {}
    for path in sorted(folder.glob("*.json")):
        for text in _messages(loads(path.read_bytes())):
            found.setdefault(text)
    return list(found)


def _messages(value: object) -> Iterator[bytes]:
    if isinstance(value, dict):
        if MESSAGE_KEYS & value.keys():
            yield _written(value)
        for inner in value.values():
            yield from _messages(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _messages(inner)
    elif isinstance(value, str) and value[:1] in ("{", "["):
        yield value.encode()


def _written(value: object) -> bytes:
    try:
        return dumps(value).encode()  # type: ignore[arg-type]
    except TypeError:
        return json.dumps(value, default=_plain).encode()


def _plain(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def frames(capture: Path, count: int = FRAMES_KEPT) -> list[bytes]:
    """Return the first frames of a recording."""
    return [one.data for one in islice(read_frames(capture), count)]


def head_of(capture: Path, n_bytes: int = 4000) -> bytes:
    """Return the beginning of a recording's own bytes, unpacked."""
    with gzip.open(capture, "rb") as file:
        return file.read(n_bytes)
