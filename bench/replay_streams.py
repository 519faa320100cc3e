"""The markets that engines are compared on: recordings of Binance, and a seeded synthetic one.

A market is told twice: as the venue's messages, which our decoders read, and as columns of every
level and trade in those messages, which all engines are given. Nothing is left out of the columns,
levels that change nothing neither, as hftbacktest's own converter does: the store of `openmm.data`
keeps only what changes a book.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from openmm._fast.scan import parse_decimal
from openmm.data.events import (
    ASK,
    CLEAR,
    FILTERED,
    LEVEL,
    MESSAGE_END,
    TRADE,
    Events,
    Market,
    sealed,
)
from openmm.data.hftbacktest import arrays
from openmm.rerun.streams import Stream, recorded
from openmm.venues.recordings import Record

START_NS = 1_750_000_000_000_000_000
MS = 1_000_000
DEPTH_TICKS = 1_000  # how far the synthetic book reaches on either side
SHORT = 128  # bytes in which a message says what it is
Row = tuple[int, int, int, int, int]  # recv_ns, venue_ns, price_ticks, qty_lots, flags


@dataclass(frozen=True, slots=True)
class Replay:
    """One market: what the venue sent, and all events in it."""

    name: str
    messages: Stream
    events: Events


def read(path: Path) -> Replay:
    """Read a Binance recording (format A of the data's README) with a snapshot, of one market.

    Best prices that were told beside the book are left out, and trades before the snapshot; changes
    that came before it follow it at once, as a decoder takes them in.
    """
    told = recorded(f"binance:{path}")
    kept = _begun([one for one in told.records if b"bookTicker" not in one.data])
    messages = replace(told, records=kept)
    market = Market(
        "binance", told.pair, Decimal(1).scaleb(-told.told.price_decimals),
        Decimal(1).scaleb(-told.told.qty_decimals),
    )  # fmt: skip
    rows = list(_rows(kept, told.told.price_decimals, told.told.qty_decimals))
    table = np.array(rows, np.int64).reshape(-1, 5)
    columns = [np.ascontiguousarray(table[:, at]) for at in range(4)]
    events = Events(
        market, columns[0], columns[1], columns[2], columns[3], table[:, 4].astype(np.uint16)
    )
    return Replay(path.name.partition(".")[0], messages, sealed(events)[0])


def _begun(records: Sequence[Record]) -> list[Record]:
    """Put the first snapshot in front."""
    at = next((i for i, one in enumerate(records) if b'"lastUpdateId"' in one.data[:SHORT]), None)
    if at is None:
        raise ValueError("a recording with a snapshot of the book")
    snapshot = records[at]
    held = [
        replace_time(one, snapshot.recv_ns) for one in records[:at] if b"@depth" in one.data[:SHORT]
    ]
    return [snapshot, *held, *records[at + 1 :]]


def replace_time(one: Record, recv_ns: int) -> Record:
    """Return a record as if it had been received then."""
    return Record(recv_ns, one.data)


def _rows(records: Sequence[Record], price_decimals: int, qty_decimals: int) -> Iterator[Row]:
    base = 0

    def levels(recv_ns: int, venue_ms: int, bids: Any, asks: Any) -> Iterator[Row]:
        whole = [(one, LEVEL) for one in bids] + [(one, LEVEL | ASK) for one in asks]
        for at, ((price, qty), flags) in enumerate(whole, 1):
            yield (
                recv_ns, venue_ms * MS, parse_decimal(price, price_decimals),
                parse_decimal(qty, qty_decimals), flags | (MESSAGE_END if at == len(whole) else 0),
            )  # fmt: skip

    for one in records:
        message = orjson.loads(one.data)
        data = message.get("data", message)
        if "lastUpdateId" in data:
            base = data["lastUpdateId"]
            yield one.recv_ns, 0, 0, 0, CLEAR
            yield from levels(one.recv_ns, 0, data["bids"], data["asks"])
        elif data["e"] == "depthUpdate" and data["u"] >= base:
            yield from levels(one.recv_ns, data["E"], data["b"], data["a"])
        elif data["e"] == "trade":
            flags = TRADE | MESSAGE_END | (ASK if data["m"] else 0)
            if data.get("X", "MARKET") != "MARKET":
                flags |= FILTERED
            yield (
                one.recv_ns, data["T"] * MS, parse_decimal(data["p"], price_decimals),
                parse_decimal(data["q"], qty_decimals), flags,
            )  # fmt: skip


def synthetic(folder: Path, messages: int = 6_200, seed: int = 5) -> Replay:
    """Make a market and read it as a recording; the same arguments give the same bytes.

    As in the recording of 2024-08-08, a change of the book comes every 50 ms on average and carries
    65 levels, most of them near the best prices, and three of four messages are trades. 7% of the
    changes move the mid, by 35 ticks on average; now and then it runs 150 ticks in three changes,
    through every quote of a grid. Half of the levels that a move removes were taken by trades.
    """
    path = folder / "synthetic.gz"
    with gzip.open(path, "wb", 1) as file:
        file.writelines(f"{ns} ".encode() + line + b"\n" for ns, line in _market(messages, seed))
    return read(path)


def _market(count: int, seed: int) -> Iterator[tuple[int, bytes]]:
    rng = random.Random(seed)
    now, last_id, trade_id, mid = START_NS, 1_000, 1, 600_000
    sides: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def some() -> int:
        return round(rng.lognormvariate(-1.5, 1.5) * 1_000) + 1

    for offset in range(DEPTH_TICKS):
        for side, price in ((0, mid - offset), (1, mid + 1 + offset)):
            if offset == 0 or rng.random() < 0.3:
                sides[side][price] = some()

    def texts(rows: Iterable[tuple[int, int]]) -> list[list[str]]:
        return [[f"{p // 10}.{p % 10}0", f"{q // 1000}.{q % 1000:03d}"] for p, q in rows]

    def trade(price: int, qty: int, taker_sells: bool) -> bytes:
        return _stream(
            "trade",
            {
                "e": "trade", "E": now // MS, "T": now // MS, "s": "BTCUSDT", "t": trade_id,
                "p": f"{price // 10}.{price % 10}0", "q": f"{qty // 1000}.{qty % 1000:03d}",
                "X": "MARKET", "m": taker_sells,
            },
        )  # fmt: skip

    snapshot = {
        "lastUpdateId": last_id, "E": now // MS, "T": now // MS,
        "bids": texts(sorted(sides[0].items(), reverse=True)), "asks": texts(sides[1].items()),
    }  # fmt: skip
    yield now, orjson.dumps(snapshot)
    run = way = 0
    for _ in range(count):
        now += round(rng.expovariate(1 / 35.0) * MS) + 1_000
        if run == 0 and rng.random() < 0.003:
            run, way = 3, rng.choice((-1, 1))
        move = way * rng.randint(40, 60) if run else 0
        run = max(0, run - 1)
        if not move and rng.random() < 0.065:
            move = rng.choice((-1, 1)) * (1 + round(rng.lognormvariate(3.0, 0.95)))
        changes: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for _trade in range(rng.randint(0, 5)):
            side = rng.randrange(2)
            best = mid if side == 0 else mid + 1
            lots = min(some(), sides[side][best])
            yield now, trade(best, lots, side == 0)
            trade_id += 1
            now += round(rng.expovariate(1 / 8.0) * MS) + 1_000
            changes[side][best] = sides[side][best] = sides[side][best] - lots or some()
        taken = 0 if move < 0 else 1
        mid += move
        gone = [one for one in sides[taken] if (one > mid if taken == 0 else one < mid + 1)]
        for price in sorted(gone, reverse=taken == 0):
            if rng.random() < 0.5:
                yield now, trade(price, sides[taken][price], taken == 0)
                trade_id += 1
                now += 1_000
            del sides[taken][price]
            changes[taken][price] = 0
        for side, best in ((0, mid), (1, mid + 1)):
            if best not in sides[side]:
                changes[side][best] = sides[side][best] = some()
        for _touch in range(rng.randint(30, 100)):
            side = rng.randrange(2)
            offset = min(int(rng.expovariate(0.01)), DEPTH_TICKS)
            price = mid - offset if side == 0 else mid + 1 + offset
            lots = 0 if offset and rng.random() < 0.4 else some()
            if lots or price in sides[side]:
                changes[side][price] = lots
            if lots:
                sides[side][price] = lots
            else:
                sides[side].pop(price, None)
        first, last_id = last_id + 1, last_id + rng.randint(1, 9)
        yield (
            now,
            _stream(
                "depth@0ms",
                {
                    "e": "depthUpdate", "E": now // MS, "T": now // MS, "s": "BTCUSDT", "U": first,
                    "u": last_id, "pu": first - 1, "b": texts(changes[0].items()),
                    "a": texts(changes[1].items()),
                },
            ),
        )  # fmt: skip


def _stream(name: str, data: dict[str, Any]) -> bytes:
    return orjson.dumps({"stream": f"btcusdt@{name}", "data": data})


def save(replay: Replay, folder: Path) -> Path:
    """Write what the engines of the other environment are given; returns the file.

    `table` is the array of hftbacktest, as `openmm.data.hftbacktest` exports it: both its sides see
    an event when it was received, as our venue does. The columns are those of `Events`.
    """
    events = replay.events
    table, _ = arrays(replace(events, venue_ns=np.zeros_like(events.recv_ns)))
    path = folder / f"{replay.name}.npz"
    np.savez(
        path, table=table, recv_ns=events.recv_ns, price_ticks=events.price_ticks,
        qty_lots=events.qty_lots, flags=events.flags,
        steps=np.array([str(events.market.tick_size), str(events.market.lot_size)]),
    )  # fmt: skip
    return path
