"""Streams of level changes that books are timed on: seeded synthetic ones, and recorded ones.

A stream is a snapshot, rows of (side, price_ticks, qty_lots) and the index behind each message's
last row. Side 0 is the bids. Applied in order it is never crossed after a message.
"""

from __future__ import annotations

import gzip
import os
import random
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from openmm._fast.scan import parse_decimal

ROOT = Path(__file__).resolve().parent.parent
Row = tuple[int, int, int]


@dataclass(slots=True)
class Stream:
    """What a book is fed: the snapshot untimed, then the rows message by message."""

    name: str
    snapshot: list[Row] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def messages(self) -> list[list[Row]]:
        """Return the rows grouped by message."""
        return [
            self.rows[start:end] for start, end in zip([0, *self.ends], self.ends, strict=False)
        ]


def table(rows: list[Row]) -> memoryview:
    """Pack rows into int64[n, 3]."""
    flat = array("q", [number for row in rows for number in row])
    return memoryview(flat).cast("B").cast("q", (len(rows), 3))


def synthetic(depth: int, rows: int, seed: int = 11) -> Stream:
    """Make a random walk near the top of a book `depth` levels deep, 6.4 levels a message.

    A message carries 3 to 10 rows, at times one more. A change picks a side and a rank by a
    geometric law (p = 0.25): 60% a new quantity, 20% a deletion with a new level at the far end,
    20% a new level beside the rank with the worst level deleted. New levels may improve the best
    price, so the market walks.
    """
    rng = random.Random(seed)
    stream = Stream(f"synthetic {depth}")
    middle = 600_000
    # Ascending keys a side: the price, negative for bids, so that the best is first on both.
    sides = ([1 - middle], [middle])
    for keys in sides:
        while len(keys) < depth:
            keys.append(keys[-1] + rng.randint(1, 3))
    stream.snapshot = [
        (side, abs(key), rng.randrange(1, 1 << 30))
        for side, keys in enumerate(sides)
        for key in keys
    ]
    while len(stream.rows) < rows:
        target = len(stream.rows) + rng.choice((3, 4, 5, 6, 7, 8, 10))
        while len(stream.rows) < target:
            _change(rng, stream.rows, sides)
        stream.ends.append(len(stream.rows))
    return stream


def _change(rng: random.Random, rows: list[Row], sides: tuple[list[int], list[int]]) -> None:
    """Append one change, or two that keep the depth."""
    side = rng.randint(0, 1)
    keys = sides[side]
    rank = 0
    while rank < len(keys) - 2 and rng.random() > 0.25:
        rank += 1
    draw = rng.random()
    if draw < 0.6:
        rows.append((side, abs(keys[rank]), rng.randrange(1, 1 << 30)))
    elif draw < 0.8:
        rows.append((side, abs(keys.pop(rank)), 0))
        keys.append(keys[-1] + rng.randint(1, 3))
        rows.append((side, abs(keys[-1]), rng.randrange(1, 1 << 30)))
    else:
        key = keys[rank] - rng.randint(1, 2)
        at = bisect_left(keys, key)
        # Taken already, or through the other side: a new quantity instead.
        if keys[at] == key or key <= -sides[1 - side][0]:
            rows.append((side, abs(keys[rank]), rng.randrange(1, 1 << 30)))
            return
        keys.insert(at, key)
        rows.append((side, abs(key), rng.randrange(1, 1 << 30)))
        rows.append((side, abs(keys.pop()), 0))


def shared_data() -> Path | None:
    """Return the folder of recorded data, None when it is absent."""
    path = Path(os.environ.get("OPENMM_SHARED", ROOT.parent / "shared")) / "data"
    return path if path.is_dir() else None


def binance_spot(path: Path, messages: int | None = None) -> Stream:
    """Read a Binance capture (format A of the data's README): ticks of 0.01, lots of 0.00000001.

    Updates wholly before the snapshot are dropped, as the venue prescribes.
    """
    stream = Stream("recorded binance spot")
    waiting: list[dict[str, list[list[str]]]] = []
    last_id = -1
    with gzip.open(path, "rb") as lines:
        for line in lines:
            record = orjson.loads(line[line.index(b" ") + 1 :])
            if "lastUpdateId" in record:
                last_id = record["lastUpdateId"]
                stream.snapshot = _rows(record["bids"], record["asks"])
                ready = [data for data in waiting if data["u"] > last_id]
            elif "@depth@" in record.get("stream", ""):
                ready = [record["data"]]
                if last_id < 0:
                    waiting += ready
                    continue
            else:
                continue
            for data in ready:
                rows = _rows(data["b"], data["a"])
                if rows:
                    stream.rows += rows
                    stream.ends.append(len(stream.rows))
            if messages is not None and len(stream.ends) >= messages:
                break
    return stream


def _rows(bids: list[list[str]], asks: list[list[str]]) -> list[Row]:
    return [
        (side, parse_decimal(price, 2), parse_decimal(qty, 8))
        for side, levels in enumerate((bids, asks))
        for price, qty in levels
    ]
