"""Queue places in plain Python: the executable specification of `openmm._fast.queue`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from openmm._fast.book import Book, BookState
from openmm._fast.orders import OrderState, OrderTable, OrderView

BUY = 1
NOWHERE = (OrderState.PENDING_NEW, OrderState.UNKNOWN)


@dataclass
class _Place:
    key: tuple[int, int, int]
    filled: int
    ahead: int | None = None  # None: nobody told what rests there
    shown: int = 0
    traded: int = 0


class Places:
    """Estimate places from whole books and trades, order by order.

    Args:
        model: name of a `QueueModel`.
    """

    def __init__(self, model: str, power: int) -> None:
        self._model = model
        self._power = power
        self._places: dict[int, _Place] = {}
        self._usual_64ths = 0
        self._lost = False

    def _behind_share(self, ahead: int, behind: int) -> float:
        if self._model == "QUEUE_LOG":
            front, back = math.log1p(ahead), math.log1p(behind)
        else:
            front, back = float(ahead) ** self._power, float(behind) ** self._power
        return back / (front + back)

    def look(self, book: Book, table: OrderTable, *, own_shown: bool = True) -> None:
        """Read a book."""
        if book.state is not BookState.BOOK_VERIFIED:
            self._lost = True
            return
        if self._lost:
            self._lost = False
            self._places.clear()
        seen = []
        live = {order.seq for order in table.live()}
        self._places = {seq: place for seq, place in self._places.items() if seq in live}
        for order in table.live():
            if order.state in NOWHERE:
                self._places.pop(order.seq, None)
                continue
            side = 0 if order.side == BUY else 1
            raw = book.qty_at(side, order.price_ticks)
            key = (order.seq, order.price_ticks, order.queue_ns)
            place = self._places.get(order.seq)
            if place is None or place.key != key:
                place = self._places[order.seq] = _Place(key, order.filled_lots)
            if raw == 0 and book.worse(side, order.price_ticks) is None:
                continue
            own = table.own_lots_at(order.side, order.price_ticks) if own_shown else 0
            shown = max(0, raw - own)
            seen.append(shown)
            self._tell(place, order, shown)
        if seen:
            mean = sum(seen) // len(seen)
            if self._usual_64ths:
                self._usual_64ths += mean - self._usual_64ths // 64
            else:
                self._usual_64ths = mean * 64

    def _tell(self, place: _Place, order: OrderView, shown: int) -> None:
        if place.ahead is None:
            place.ahead = place.shown = shown
            return
        if order.filled_lots > place.filled:
            place.filled, place.ahead = order.filled_lots, 0
        if shown == place.shown:
            return
        cancelled = place.shown - shown - place.traded
        if cancelled > 0 and place.ahead and self._model != "QUEUE_CAUTIOUS":
            behind = max(0, place.shown - place.traded - place.ahead)
            front = int(cancelled * (1 - self._behind_share(place.ahead, behind)) + 1e-9)
            place.ahead -= min(place.ahead, max(front, cancelled - behind))
        place.shown, place.traded = shown, 0
        place.ahead = min(place.ahead, shown)

    def trade(self, table: OrderTable, taker_side: int, price_ticks: int, qty_lots: int) -> None:
        """Read a trade."""
        for order in table.live():
            place = self._places.get(order.seq)
            if place is None or place.key != (order.seq, order.price_ticks, order.queue_ns):
                continue
            if order.side != taker_side and order.price_ticks == price_ticks:
                if place.ahead is not None:
                    place.ahead = max(0, place.ahead - qty_lots)
                place.traded = min(place.traded, place.shown) + qty_lots

    def told(self, seq: int, value_ticks: int) -> tuple[int, int] | None:
        """Return quantity in front and worth of a place, or None where it is not known."""
        place = self._places.get(seq)
        if place is None or place.ahead is None:
            return None
        of = max(place.shown, self._usual_64ths // 64)
        worth = value_ticks if of == 0 else value_ticks * max(0, of - place.ahead) // of
        return place.ahead, worth
