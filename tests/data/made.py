"""Made-up market data: a small market by hand, and any that a file may hold."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from hypothesis import strategies as st

from openmm.data.events import (
    ASK,
    BROKEN,
    CLEAR,
    FILTERED,
    LEVEL,
    MESSAGE_END,
    QUOTE,
    TRADE,
    Events,
    Market,
    sealed,
)

START_NS = 1_750_000_000_000_000_000
MARKET = Market("kraken", "BTC/USD", Decimal("0.1"), Decimal("0.0001"), 10)
Row = tuple[int, int, int, int, int]


def events_of(rows: Sequence[Row], market: Market = MARKET) -> Events:
    """Make columns of (recv_ns, venue_ns, price_ticks, qty_lots, flags)."""
    table = np.array(rows, np.int64).reshape(-1, 5)
    recv, venue, price, qty = (np.ascontiguousarray(table[:, at]) for at in range(4))
    return sealed(Events(market, recv, venue, price, qty, table[:, 4].astype(np.uint16)))[0]


def small() -> Events:
    """Return a book of two levels a side, a trade, a change, a break, and a new book."""
    at = START_NS
    return events_of(
        [
            (at, at - 5, 0, 0, CLEAR),
            (at, at - 5, 1000, 50, LEVEL),
            (at, at - 5, 999, 20, LEVEL),
            (at, at - 5, 1001, 30, LEVEL | ASK),
            (at, at - 5, 1003, 10, LEVEL | ASK | MESSAGE_END),
            (at + 10, at + 4, 1001, 10, TRADE | MESSAGE_END),
            (at + 10, at + 5, 1001, 20, LEVEL | ASK | MESSAGE_END),
            (at + 30, at + 25, 1000, 0, LEVEL | MESSAGE_END),
            (at + 40, 0, 0, 0, BROKEN | MESSAGE_END),
            (at + 60, at + 55, 0, 0, CLEAR),
            (at + 60, at + 55, 998, 7, LEVEL),
            (at + 60, at + 55, 1002, 9, LEVEL | ASK | MESSAGE_END),
        ]
    )


@st.composite
def any_events(draw: st.DrawFn, size_max: int = 60) -> Events:
    """Draw events that a file may hold."""
    times = st.integers(0, 1 << 40)
    rows = []
    at = START_NS + draw(times)
    for _ in range(draw(st.integers(0, size_max))):
        at += draw(st.sampled_from([0, 0, 1, 1_000_000_000]))
        kind = draw(st.sampled_from([LEVEL, LEVEL, TRADE, CLEAR, BROKEN, QUOTE]))
        flags = kind | draw(st.sampled_from([0, MESSAGE_END]))
        price = qty = 0
        if kind not in (CLEAR, BROKEN):
            price, qty = draw(st.integers(1, 1 << 30)), draw(st.integers(0, 1 << 40))
            flags |= draw(st.sampled_from([0, ASK]))
        if kind == TRADE:
            flags |= draw(st.sampled_from([0, 0, FILTERED]))
        venue_ns = draw(st.sampled_from([0, 1])) * max(at - draw(st.integers(0, 10**9)), 1)
        rows.append((at, venue_ns, price, qty, flags))
    return events_of(rows)
