"""L2 book in two sorted dictionaries: what `openmm._fast.book` must give."""

from __future__ import annotations

from sortedcontainers import SortedDict  # type: ignore[import-untyped]

from openmm._fast.book import BookBreak, BookState

PRICE_TICKS_MAX = 1 << 40
QTY_LOTS_MAX = 1 << 52
INT64_MAX = (1 << 63) - 1


class Book:
    """Hold levels by price; no window, no capacity."""

    def __init__(self) -> None:
        self.sides = (SortedDict(), SortedDict())
        self.state = BookState.BOOK_CATCHING_UP
        self.break_reason = BookBreak.BREAK_NONE
        self.live = False
        self.break_count = 0
        self.message_count = 0

    def apply(self, side: int, price_ticks: int, qty_lots: int) -> bool:
        """Set a level; tell whether it was taken."""
        if self.state == BookState.BOOK_BROKEN:
            return False
        if side not in (0, 1) or not 1 <= price_ticks <= PRICE_TICKS_MAX:
            return False
        if not 0 <= qty_lots <= QTY_LOTS_MAX:
            return False
        if qty_lots:
            self.sides[side][price_ticks] = qty_lots
        else:
            self.sides[side].pop(price_ticks, None)
        self._doubt()
        return True

    def best(self, side: int) -> int | None:
        """Return the best price, None when there is none."""
        levels = self.sides[side]
        return levels.peekitem(0 if side else -1)[0] if levels else None

    def levels(self, side: int, n: int = INT64_MAX) -> list[tuple[int, int]]:
        """Return up to n levels, best first."""
        items = list(self.sides[side].items())
        return (items if side else items[::-1])[:n]

    def worse(self, side: int, price_ticks: int) -> int | None:
        """Return the next worse price, None when there is none."""
        for price, _ in self.levels(side):
            if (price > price_ticks) if side else (price < price_ticks):
                return price
        return None

    def depth(self, side: int, distance_ticks: int) -> int:
        """Sum quantities within a distance of the best."""
        best = self.best(side)
        if best is None or distance_ticks < 0:
            return 0
        return min(
            INT64_MAX,
            sum(qty for price, qty in self.levels(side) if abs(price - best) <= distance_ticks),
        )

    def cut(self, depth: int) -> None:
        """Keep the best `depth` levels a side."""
        for side in (0, 1):
            for price, _ in self.levels(side)[depth:]:
                del self.sides[side][price]
        self._doubt()

    def clear(self) -> None:
        """Drop all levels."""
        for levels in self.sides:
            levels.clear()
        self.live = False
        self._doubt()

    def verify(self) -> None:
        """End a message."""
        if self.state == BookState.BOOK_BROKEN:
            return
        if not all(self.sides):
            self.break_(BookBreak.BREAK_EMPTY)
        elif self.is_crossed():
            self.break_(BookBreak.BREAK_CROSSED)
        else:
            self.state = BookState.BOOK_VERIFIED
            self.live = True
            self.message_count += 1

    def break_(self, reason: BookBreak) -> None:
        """Declare the book unusable; the first reason stays."""
        if self.state != BookState.BOOK_BROKEN:
            self.state = BookState.BOOK_BROKEN
            self.live = False
            self.break_reason = reason
            self.break_count += 1

    def catch_up(self) -> None:
        """Start over."""
        self.clear()
        self.state = BookState.BOOK_CATCHING_UP

    def is_crossed(self) -> bool:
        """Tell whether the best bid reaches the best ask."""
        bid, ask = self.best(0), self.best(1)
        return bid is not None and ask is not None and bid >= ask

    def _doubt(self) -> None:
        """Take a crossed book, or one without a side, out of VERIFIED."""
        if self.state == BookState.BOOK_VERIFIED and (not all(self.sides) or self.is_crossed()):
            self.state = BookState.BOOK_CATCHING_UP
