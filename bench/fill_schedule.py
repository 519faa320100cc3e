"""A market and a schedule of orders, the same for every fill model that is compared.

Orders are placed at a time, rest and are cancelled at a time, whatever is filled meanwhile; none
follows the market. At most one rests at a price: several of ours in one queue are no question of
the queue's model.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from openmm._fast.book import Book
from openmm._fast.units import Side
from openmm.data.events import (
    ASK,
    CLEAR,
    COLUMNS,
    KIND_BITS,
    LEVEL,
    MESSAGE_END,
    TRADE,
    Events,
    Market,
)

EVERY_NS = 250_000_000
LIFE_NS = (500_000_000, 20_000_000_000)
ODD_NS = 333  # beside the times of events
TICKS_BACK = (0, 0, 0, 0, 1, 1, 2, 3, 5, 5, 20)
SHOWN = 4  # levels a side of the market of `queues`
LOTS = (1, 5, 20, 100, 400, 2_000)


@dataclass(frozen=True, slots=True)
class Order:
    """One order of the schedule. Times of its arrival at the venue, ns; price in ticks, lots."""

    place_ns: int
    cancel_ns: int
    side: int
    price_ticks: int
    qty_lots: int


Message = tuple[int, list[tuple[int, int, int, int]]]  # recv_ns, (kind, side, price, qty)


def messages_of(events: Events) -> Iterator[Message]:
    """Walk over whole messages; side of a level as `BookSide`, of a trade the taker's."""
    rows: list[tuple[int, int, int, int]] = []
    columns = (events.recv_ns, events.price_ticks, events.qty_lots, events.flags)
    for recv_ns, price, qty, flags in zip(*(one.tolist() for one in columns), strict=True):
        kind = flags & KIND_BITS
        side = 1 if flags & ASK else 0
        if kind == TRADE:
            side = int(Side.SELL if side else Side.BUY)
        rows.append((kind, side, price, qty))
        if flags & MESSAGE_END:
            yield recv_ns, rows
            rows = []


def apply_to(book: Book, rows: list[tuple[int, int, int, int]]) -> None:
    """Bring a book up to a message."""
    for kind, side, price, qty in rows:
        if kind == LEVEL:
            book.apply(side, price, qty)
        elif kind == CLEAR:
            book.catch_up()


def schedule(events: Events, seed: int = 3) -> list[Order]:
    """Draw orders near the best prices of their time; the same events give the same ones."""
    rng = random.Random(seed)
    book = Book(outside_levels=1 << 16)
    made: list[Order] = []
    next_ns = int(events.recv_ns[0]) + EVERY_NS
    resting: dict[tuple[int, int], int] = {}  # until when
    for recv_ns, rows in messages_of(events):
        while next_ns < recv_ns:
            bid, ask = book.best_bid_ticks, book.best_ask_ticks
            side = int(rng.choice((Side.BUY, Side.SELL)))
            back, qty = rng.choice(TICKS_BACK), rng.choice(LOTS)
            end_ns = next_ns + round(rng.uniform(*LIFE_NS))
            if bid is not None and ask is not None and bid < ask:
                price = bid - back if side == Side.BUY else ask + back
                if resting.get((side, price), 0) < next_ns:
                    resting[side, price] = end_ns
                    made.append(Order(next_ns, end_ns, side, price, qty))
            next_ns += EVERY_NS + ODD_NS
        apply_to(book, rows)
    last_ns = int(events.recv_ns[-1])
    return [one for one in made if one.cancel_ns < last_ns]


def table_of(orders: list[Order]) -> NDArray[np.int64]:
    """Return int64[n, 5]: place_ns, cancel_ns, side, price_ticks, qty_lots."""
    rows = [(o.place_ns, o.cancel_ns, o.side, o.price_ticks, o.qty_lots) for o in orders]
    return np.array(rows, np.int64).reshape(-1, 5)


def near(events: Events, ticks: int = 500) -> Events:
    """Return the events without levels so far from the best prices that no order comes there."""
    traded = events.price_ticks[events.kinds == TRADE]
    low, high = int(traded.min()) - ticks, int(traded.max()) + ticks
    inside = (events.price_ticks >= low) & (events.price_ticks <= high)
    kept = np.flatnonzero((events.kinds != LEVEL) | inside | ((events.flags & MESSAGE_END) != 0))
    return replace(events, **{name: getattr(events, name)[kept] for name in COLUMNS})


def queues(seconds: float = 240.0, seed: int = 9) -> Events:
    """Make a market of few moves, in which a place in the queue decides: ticks and lots of 1.

    A trade every 60 ms at a best price, or through it by a tick, told before or after the book that
    it changed; levels near the best grow, shrink and are told again unchanged; one change in fifty
    moves the mid by a tick.
    """
    rng = random.Random(seed)
    rows: list[tuple[int, int, int, int]] = []  # recv_ns, price, qty, flags
    now, mid = 1_750_000_000_000_000_000, 10_000
    end_ns = now + round(seconds * 1e9)
    sides: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def some() -> int:
        return rng.randint(1, 40) * rng.randint(1, 40)

    def tell(levels: list[tuple[int, int, int]]) -> None:
        for at, (side, price, qty) in enumerate(levels, 1):
            if qty:
                sides[side][price] = qty
            else:
                sides[side].pop(price, None)
            end = MESSAGE_END if at == len(levels) else 0
            rows.append((now, price, qty, LEVEL | (ASK if side else 0) | end))

    rows.append((now, 0, 0, CLEAR))
    tell([(side, mid + (i + 1 if side else -i), some()) for side in (0, 1) for i in range(SHOWN)])
    while now < end_ns:
        now += round(rng.expovariate(1 / 25.0) * 1_000) * 1_000 + 5_000_000
        side = rng.randrange(2)
        best = mid + 1 if side else mid
        changes: list[tuple[int, int, int]] = []
        if rng.random() < 0.5:
            lots = max(1, round(some() * rng.random()))
            price = best if rng.random() < 0.95 else best + (1 if side else -1)
            rows.append((now, price, lots, TRADE | MESSAGE_END | (0 if side else ASK)))
            now += 1_000_000
            here = sides[side][best]
            if rng.random() < 0.35:
                # The book before the trade comes behind it.
                tell([(side, best, here)])
                now += 1_000_000
            if rng.random() < 0.9:
                # Others leave with what was traded, now and then.
                gone = lots + (round(here * rng.random()) if rng.random() < 0.6 else 0)
                changes.append((side, best, here - gone if gone < here else some()))
        if rng.random() < 1 / 50:
            up = rng.random() < 0.5
            if up:
                changes += [(0, mid + 1, some()), (1, mid + 1, 0), (1, mid + SHOWN + 1, some())]
                changes.append((0, mid - SHOWN + 1, 0))
            else:
                changes += [(0, mid, 0), (1, mid, some()), (0, mid - SHOWN, some())]
                changes.append((1, mid + SHOWN, 0))
            mid += 1 if up else -1
            touched = {(one, price) for one, price, _ in changes[-4:]}
            changes = [one for one in changes[:-4] if one[:2] not in touched] + changes[-4:]
        else:
            for _ in range(rng.randint(1, 4)):
                one = rng.randrange(2)
                price = mid + 1 + rng.randrange(4) if one else mid - rng.randrange(4)
                if any((one, price) == other[:2] for other in changes):
                    continue
                here = sides[one].get(price, 0)
                draw = rng.random()
                lots = here if draw < 0.2 else max(1, round(here * rng.random()))
                changes.append((one, price, lots if draw < 0.7 and here else here + some()))
        tell(changes)
    table = np.array(rows, np.int64)
    market = Market("synthetic", "BTC/USD", Decimal(1), Decimal(1))
    columns = [np.ascontiguousarray(table[:, at]) for at in range(3)]
    return Events(
        market, columns[0], np.zeros(len(table), np.int64), columns[1], columns[2],
        table[:, 3].astype(np.uint16),
    )  # fmt: skip
