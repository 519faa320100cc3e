"""The canonical workload: a seeded market as checksummed Kraken v2 frames, and a pipeline.

Written down once, so that figures of different days and machines mean the same thing:

* one instrument at price 60,000.0 (tick 0.1, lot 1e-8), 25 levels a side, gaps of 1 to 30 ticks;
* a message carries 1 level (75%), 2 to 4 (15%) or 5 to 40 (10%): `MIXED`; `WIDE` is the 6.4-level
  mix and `NARROW` one level always;
* a level change hits a rank drawn from a geometric law (p = 0.25): near the top;
* one message in eight moves the best prices by 1 to 4 ticks: of a canonical bot's ticks about one
  in thirteen re-quotes, with 10 levels a side, and moves 18 of its 20 orders then;
* one message in twenty is a trade, one in two hundred a heartbeat;
* messages arrive 1 ms apart on the receive clock.
"""

from __future__ import annotations

import random
import zlib
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from decimal import Decimal

from openmm.instrument import Instrument

START_NS = 1_750_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class Mix:
    """How many levels a message carries: (share, least, most), shares adding up to 1."""

    name: str
    parts: tuple[tuple[float, int, int], ...]


NARROW = Mix("narrow", ((1.0, 1, 1),))
MIXED = Mix("mixed", ((0.75, 1, 1), (0.15, 2, 4), (0.10, 5, 40)))
WIDE = Mix("wide", ((1.0, 3, 10),))


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """What a workload is made from. The same spec gives the same bytes.

    Attributes:
        mid_move_ticks_min: every book message moves the mid at least so far: each one re-quotes.
    """

    messages: int = 20_000
    seed: int = 7
    mix: Mix = MIXED
    depth: int = 25
    move_share: float = 0.125
    trade_share: float = 0.05
    heartbeat_share: float = 0.005
    spacing_ns: int = 1_000_000
    mid_move_ticks_min: int = 0


@dataclass(slots=True)
class Workload:
    """Frames in order, with receive times; the first is a snapshot."""

    spec: WorkloadSpec
    frames: list[bytes] = field(default_factory=list)
    recv_ns: list[int] = field(default_factory=list)
    level_count: int = 0
    book_count: int = 0


def canonical_instrument() -> Instrument:
    """Return the workload's pair."""
    return Instrument(
        venue="kraken", name="BTC/USD", base="BTC", quote="USD", price_decimals=1, qty_decimals=8,
        tick_size=Decimal("0.1"), lot_size=Decimal("0.00000001"), qty_min=Decimal("0.00005"),
        cost_min=Decimal("0.5"), base_decimals=10, quote_decimals=5, maker_fee_ppm=0,
        taker_fee_ppm=1000,
    )  # fmt: skip


class _Side:
    """One side of the plain book: sorted keys (price for asks, minus price for bids)."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.qty: dict[int, int] = {}

    def put(self, key: int, qty_lots: int) -> None:
        if qty_lots == 0:
            if key in self.qty:
                del self.qty[key]
                del self.keys[bisect_left(self.keys, key)]
        else:
            if key not in self.qty:
                insort(self.keys, key)
            self.qty[key] = qty_lots

    def cut(self, depth: int) -> None:
        for key in self.keys[depth:]:
            del self.qty[key]
        del self.keys[depth:]

    def digits(self) -> str:
        return "".join(f"{abs(key)}{self.qty[key]}" for key in self.keys[:10])


def _levels(pairs: list[tuple[int, int]]) -> str:
    return ",".join(
        f'{{"price":{price // 10}.{price % 10},"qty":{qty // 10**8}.{qty % 10**8:08d}}}'
        for price, qty in pairs
    )


def make_workload(spec: WorkloadSpec) -> Workload:
    """Make the frames of a spec."""
    rng = random.Random(spec.seed)
    out = Workload(spec)
    bids, asks = _Side(-1), _Side(1)
    price = 600_000
    for side in (bids, asks):
        at = price if side is bids else price + 1
        for _ in range(spec.depth):
            side.put(side.sign * at, rng.randrange(10_000, 300_000_000))
            at += side.sign * rng.randrange(1, 31)

    def add(body: str) -> None:
        out.frames.append(body.encode())
        out.recv_ns.append(START_NS + len(out.recv_ns) * spec.spacing_ns)

    def book(kind: str, changes: tuple[list[tuple[int, int]], list[tuple[int, int]]]) -> None:
        bids.cut(spec.depth)
        asks.cut(spec.depth)
        crc = zlib.crc32((asks.digits() + bids.digits()).encode())
        at = len(out.frames)
        add(
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD",'
            f'"bids":[{_levels(changes[0])}],"asks":[{_levels(changes[1])}],"checksum":{crc},'
            f'"timestamp":"2025-06-15T15:06:{40 + at // 1000 % 20:02d}.{at % 1000:03d}000Z"}}]}}'
        )
        out.book_count += 1
        out.level_count += len(changes[0]) + len(changes[1])

    book(
        "snapshot", ([(-k, bids.qty[k]) for k in bids.keys], [(k, asks.qty[k]) for k in asks.keys])
    )
    trade_id = 1000
    while len(out.frames) < spec.messages:
        draw = rng.random()
        if draw < spec.heartbeat_share:
            add('{"channel":"heartbeat"}')
            continue
        if draw < spec.heartbeat_share + spec.trade_share:
            trade_id += 1
            buy = rng.random() < 0.5
            at = asks.keys[0] if buy else -bids.keys[0]
            qty = rng.randrange(10_000, 20_000_000)
            add(
                f'{{"channel":"trade","type":"update","data":[{{"symbol":"BTC/USD",'
                f'"side":"{"buy" if buy else "sell"}","price":{at // 10}.{at % 10},'
                f'"qty":{qty // 10**8}.{qty % 10**8:08d},"ord_type":"limit","trade_id":{trade_id},'
                f'"timestamp":"2025-06-15T15:06:40.000000Z"}}]}}'
            )
            continue
        share, count = rng.random(), 1
        for part, least, most in spec.mix.parts:
            if share < part:
                count = rng.randint(least, most)
                break
            share -= part
        changes: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        twice_mid = asks.keys[0] - bids.keys[0]
        if rng.random() < spec.move_share:
            _move(rng, bids, asks, changes, rng.random() < 0.5)
        # One way only, towards the side with more levels to give.
        up = len(asks.keys) > len(bids.keys)
        while abs(asks.keys[0] - bids.keys[0] - twice_mid) < 2 * spec.mid_move_ticks_min:
            _move(rng, bids, asks, changes, up)
        if spec.mid_move_ticks_min:
            # So many moves empty a side: what lay beyond the depth comes into it.
            for side, rows in ((bids, changes[0]), (asks, changes[1])):
                while len(side.keys) < spec.depth - 5:
                    key = side.keys[-1] + rng.randrange(1, 31)
                    qty = rng.randrange(10_000, 300_000_000)
                    side.put(key, qty)
                    rows.append((abs(key), qty))
        while len(changes[0]) + len(changes[1]) < count:
            _touch(rng, bids, asks, changes)
        book("update", changes)
    return out


make = make_workload  # for callers that name the module


def _move(
    rng: random.Random,
    bids: _Side,
    asks: _Side,
    changes: tuple[list[tuple[int, int]], list[tuple[int, int]]],
    up: bool,
) -> None:
    """Take the best level of one side away and put the other side's best in its place."""
    gone, come = (asks, bids) if up else (bids, asks)
    if len(gone.keys) < 13:
        gone, come = come, gone
    key = gone.keys[0]
    changes[0 if gone is bids else 1].append((abs(key), 0))
    gone.put(key, 0)
    # Between the old best and the new one there is room for the side that follows.
    room = abs(abs(gone.keys[0]) - abs(come.keys[0]))
    if room < 2:
        return
    price = abs(come.keys[0]) - come.sign * rng.randrange(1, min(5, room))
    qty = rng.randrange(10_000, 300_000_000)
    come.put(come.sign * price, qty)
    changes[0 if come is bids else 1].append((price, qty))


def _touch(
    rng: random.Random,
    bids: _Side,
    asks: _Side,
    changes: tuple[list[tuple[int, int]], list[tuple[int, int]]],
) -> None:
    """Change, delete or insert one level near the top."""
    side = bids if rng.random() < 0.5 else asks
    rank = 0
    while rank < len(side.keys) - 2 and rng.random() > 0.25:
        rank += 1
    key, draw = side.keys[rank], rng.random()
    qty = rng.randrange(10_000, 300_000_000)
    if draw < 0.15 and rank > 0 and len(side.keys) > 12:
        qty = 0
    elif draw < 0.35 and side.keys[rank + 1] - key > 1:
        key += rng.randrange(1, side.keys[rank + 1] - key)
    side.put(key, qty)
    changes[0 if side is bids else 1].append((abs(key), qty))
