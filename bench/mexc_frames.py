"""MEXC frames that decoders are timed on: the canonical market's changes as protobuf pushes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from openmm._fast.book import Book
from openmm.testing.workload import Mix, WorkloadSpec, make_workload
from openmm.venues.mexc.dialect_text import message, push
from openmm.venues.mexc.wire import MexcDecoder

Levels = dict[str, str]
DEPTH = 25
WARM = 199  # frames decoded before any is counted
SYMBOL = "BTCUSDT"
CHANNEL = "spot@public.aggre.depth.v3.api.pb@10ms"


@dataclass(slots=True)
class Frames:
    """A REST copy, and the pushes behind it, each one version further."""

    name: str
    copy: bytes
    frames: list[bytes] = field(default_factory=list)
    level_count: int = 0


def generated(mix: Mix, messages: int = 4000) -> Frames:
    """Make the pushes of one mix. What leaves the depth is removed: this venue cuts no book."""
    spec = WorkloadSpec(
        messages=messages, mix=mix, depth=DEPTH, trade_share=0.0, heartbeat_share=0.0
    )
    sides: tuple[Levels, Levels] = ({}, {})
    out = None
    for version, data in enumerate(make_workload(spec).frames, start=1):
        told = json.loads(data, parse_float=str)["data"][0]
        old = (dict(sides[0]), dict(sides[1]))
        for side, name in enumerate(("bids", "asks")):
            for row in told[name]:
                _put(sides[side], row["price"], row["qty"])
            for price in sorted(sides[side], key=float, reverse=side == 0)[DEPTH:]:
                del sides[side][price]
        if out is None:
            out = Frames(mix.name, _copy(version, sides))
            continue
        bids, asks = (_changes(old[side], sides[side]) for side in (0, 1))
        out.frames.append(_push(version, bids, asks))
        out.level_count += len(bids) + len(asks)
    assert out is not None, "a workload begins with a snapshot"
    return out


def decoder_of(frames: Frames) -> tuple[MexcDecoder, Book]:
    """Make a decoder whose book has its REST copy."""
    decoder, book = MexcDecoder(), Book()
    decoder.bind(SYMBOL, 0, book, 1, 1, 1, 8, 500)
    decoder.decode(frames.copy)
    return decoder, book


def _put(side: Levels, price: str, qty: str) -> None:
    if float(qty):
        side[price] = qty.rstrip("0").rstrip(".")
    else:
        side.pop(price, None)


def _changes(old: Levels, new: Levels) -> Levels:
    changed = {price: "0" for price in old if price not in new}
    return changed | {price: qty for price, qty in new.items() if old.get(price) != qty}


def _copy(version: int, sides: tuple[Levels, Levels]) -> bytes:
    rows = [[[price, qty] for price, qty in side.items()] for side in sides]
    told = {"lastUpdateId": version, "bids": rows[0], "asks": rows[1]}
    return b'{"channel":"rest.depth","s":"%b","result":%b}' % (
        SYMBOL.encode(), json.dumps(told).encode(),
    )  # fmt: skip


def _push(version: int, bids: Levels, asks: Levels) -> bytes:
    body = b"".join(
        message([(number, message([(1, price), (2, qty)]))])
        for number, side in ((1, asks), (2, bids))
        for price, qty in side.items()
    )
    body += message(
        [(3, CHANNEL), (4, str(version)), (5, str(version)), (6, 1_790_281_243_000 + version)]
    )
    return push(f"{CHANNEL}@{SYMBOL}", SYMBOL, 313, body, (1_790_281_243_006 + version) * 10**6)
