"""What of a public market is a session's own."""

from __future__ import annotations

from pathlib import Path

from openmm._fast.units import BookSide, Side
from openmm.drift.own import OwnOrders, key_of
from openmm.drift.past import Past
from openmm.events import (
    OrderStatus,
    OrderUpdated,
    RequestAccepted,
    Source,
    Subscribed,
)
from tests.drift import live


def test_orders_in_the_book_are_told_from_their_arrival_to_their_end() -> None:
    past = Past(live.synthetic())
    own = OwnOrders(past)
    first = past.steps[0]
    assert own.resting(first.ts_ns - 1) == []
    told = own.resting(first.ts_ns)
    side = BookSide.BID if first.side == Side.BUY else BookSide.ASK
    assert (side, first.price_ticks, first.left_lots) in told
    assert own.resting(past.steps[-1].ts_ns) == []
    one = past.fills[0]
    # Somebody came for it: the print is the market's.
    assert not own.printed(Side.SELL, one.price_ticks, one.qty_lots, past.filled_ns(one))


def test_prints_of_own_fills_are_told_once_where_orders_move_no_market(shared: Path) -> None:
    past = Past(live.recorded(shared / "data"))
    own = OwnOrders(past)
    assert own.resting(past.steps[-1].ts_ns - 1) == []
    one = past.fills[0]
    taker = Side.SELL if one.side == Side.BUY else Side.BUY
    at_ns = past.filled_ns(one)
    assert not own.printed(one.side, one.price_ticks, one.qty_lots, at_ns)
    assert not own.printed(taker, one.price_ticks, one.qty_lots, at_ns + 10_000_000)
    assert own.printed(taker, one.price_ticks, one.qty_lots, at_ns)
    assert not own.printed(taker, one.price_ticks, one.qty_lots, at_ns)


def test_events_are_known_by_what_another_run_tells_as_well() -> None:
    def order(venue_id: str, status: OrderStatus) -> OrderUpdated:
        return OrderUpdated(venue_id, "c1", status, Source.STREAM, 5, 10, 20, 0, 1)

    assert key_of(order("a", OrderStatus.OPEN)) == key_of(order("b", OrderStatus.OPEN))
    assert key_of(order("a", OrderStatus.OPEN)) != key_of(order("a", OrderStatus.CANCELLED))
    assert key_of(RequestAccepted("add", 7)) != key_of(RequestAccepted("add", 8))
    assert key_of(RequestAccepted("dead_man", 7)) == key_of(RequestAccepted("dead_man", 8))
    assert key_of(Subscribed("book")) is None
