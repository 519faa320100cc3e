"""Candles out of a simulated venue's trades, as every dialect tells them in its own words."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from openmm.venues.counterpart import TradeRecord


class CandleRecord(Struct):
    """One interval's trades; an interval without any repeats the close before it."""

    start_ns: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    qty_lots: int = 0
    trade_count: int = 0
    cost_ticklots: int = 0
    closed: bool = True


def make_candles(
    trades: Sequence[TradeRecord], interval_ns: int, count: int, now_ns: int
) -> list[CandleRecord]:
    """Return the last `count` candles up to now, oldest first; the last one is still running.

    Args:
        trades: oldest first. Before the first of them nothing is known, and nothing is told.
    """
    if interval_ns <= 0 or count <= 0:
        raise ValueError(f"an interval and a count above 0: {interval_ns}, {count}")
    found: list[CandleRecord] = []
    for trade in trades:
        start_ns = trade.ts_ns - trade.ts_ns % interval_ns
        _fill_gap(found, start_ns, interval_ns, count)
        if not found or found[-1].start_ns != start_ns:
            price = trade.price_ticks
            found.append(CandleRecord(start_ns, price, price, price, price))
        one = found[-1]
        if one.trade_count == 0:
            one.open_ticks = one.high_ticks = one.low_ticks = trade.price_ticks
        one.high_ticks = max(one.high_ticks, trade.price_ticks)
        one.low_ticks = min(one.low_ticks, trade.price_ticks)
        one.close_ticks = trade.price_ticks
        one.qty_lots += trade.qty_lots
        one.cost_ticklots += trade.qty_lots * trade.price_ticks
        one.trade_count += 1
    _fill_gap(found, now_ns - now_ns % interval_ns + interval_ns, interval_ns, count)
    if found:
        found[-1].closed = False
    return found[-count:]


def _fill_gap(found: list[CandleRecord], until_ns: int, interval_ns: int, count: int) -> None:
    """Repeat the last close up to the interval before a moment, no more often than is asked for."""
    if not found:
        return
    last = found[-1]
    first_ns = max(last.start_ns + interval_ns, until_ns - count * interval_ns)
    price = last.close_ticks
    found.extend(
        CandleRecord(start_ns, price, price, price, price)
        for start_ns in range(first_ns, until_ns, interval_ns)
    )
