"""Our fill model in plain Python, with each rule in which hftbacktest's differs as a switch.

With no switch it fills as `_fast.queue_venue.QueueVenue` does, with all of them as hftbacktest
2.4.4 does: `bench.compare_fills` proves both on the same orders. Between the two, switch by switch,
every order whose fills change is put down to the rule that changed them.

Source: hftbacktest's documentation, "Order Fill", and the descriptions of its queue models
(hftbacktest.readthedocs.io, docs.rs/hftbacktest; read 2026-11). Floats, as there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.fill_schedule import Message, Order
from openmm._fast.book import Book
from openmm._fast.units import BookSide, Side
from openmm.data.events import CLEAR, LEVEL, TRADE

# In the order in which they are switched, and why the two differ.
RULES: dict[str, str] = {
    "whole": "its exchange without partial fills fills an order whole as soon as its turn comes;"
    " ours has no such mode",
    "through": "a trade through the price fills all that is left; ours no more than was traded",
    "reached": "the opposite best at the price fills all that is left; ours what is shown there,"
    " once until it is told again",
    "alone": "a trade serves each order as if there were no other of ours; ours divides it",
    "told_again": "a level told again unchanged uses up the trades since; ours keeps them until"
    " the level changes",
    "traded_behind": "what was traded still counts as behind us when the rest of a decrease is"
    " shared out; ours takes it off first",
    "fractions": "queue places in fractions of a lot; ours in whole lots, rounded against us",
    "overrun": "a place can fall below zero when more is said to leave than stands in front, and"
    " the next trade then fills more than was traded; ours ends at the front",
    "unshown": "nothing is in front where nothing is shown; ours waits beyond the last level shown"
    " until the level is told",
}
FAR = float(1 << 60)
LEVELS_MAX = 64  # through which one message of the market may run
Fill = tuple[int, int, int]  # order, time, lots


@dataclass(slots=True)
class Resting:
    """An order at the venue."""

    number: int
    order: Order
    left: int
    front: float
    shown: float
    traded: float = 0.0
    known: bool = True


@dataclass(slots=True)
class Rules:
    """One fill model: a queue model, and which rules are the other's.

    Args:
        queue: "careful", "power" or "log".
        power: of "power".
        theirs: names of `RULES`.
    """

    queue: str
    power: float
    theirs: frozenset[str]
    book: Book = field(default_factory=lambda: Book(outside_levels=1 << 16))
    resting: dict[int, Resting] = field(default_factory=dict)
    taken: dict[tuple[int, int], int] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    def run(self, messages: Sequence[Message], orders: Sequence[Order]) -> list[Fill]:
        """Put a schedule through the market; returns all fills in order."""
        actions = sorted(
            [(one.place_ns, at, 0) for at, one in enumerate(orders)]
            + [(one.cancel_ns, at, 1) for at, one in enumerate(orders)]
        )
        at = 0
        for recv_ns, rows in messages:
            while at < len(actions) and actions[at][0] < recv_ns:
                _, number, cancel = actions[at]
                if cancel:
                    self.resting.pop(number, None)
                else:
                    self._place(number, orders[number])
                at += 1
            self._message(recv_ns, rows)
        return self.fills

    # ------------------------------------------------------------------ the market

    def _message(self, now: int, rows: list[tuple[int, int, int, int]]) -> None:
        told: dict[tuple[int, int], tuple[int, int]] = {}
        for kind, side, price, qty in rows:
            if kind == LEVEL:
                told[side, price] = (self.book.qty_at(side, price), qty)
                self.book.apply(side, price, qty)
                self.taken.pop((side, price), None)
            elif kind == CLEAR:
                self.book.catch_up()
            elif kind == TRADE:
                self._trade(side, price, qty, now)
        if any(kind != TRADE for kind, *_ in rows):
            self._look(told)
            self._reach(now)

    def _trade(self, taker: int, price: int, lots: int, now: int) -> None:
        side = Side.SELL if taker == Side.BUY else Side.BUY
        mine = [one for one in self.resting.values() if one.order.side == side]
        mine.sort(key=lambda one: one.order.price_ticks * (-1 if side == Side.BUY else 1))
        left = lots
        for one in mine:
            own = one.order.price_ticks
            if own != price and not (own > price if side == Side.BUY else own < price):
                continue
            offered = lots if "alone" in self.theirs else left
            if own != price:
                qty = one.left if "through" in self.theirs else min(one.left, offered)
                left -= min(qty, left)
                self._fill(one, qty, now)
                continue
            reached = offered - one.front
            left -= min(left, int(max(0.0, min(one.front, offered))))
            one.front -= offered
            one.traded += min(offered, offered - reached) if "alone" not in self.theirs else offered
            if "fractions" not in self.theirs and one.front < 0:
                one.front = 0.0
            turn = round_half_up(reached) if "fractions" in self.theirs else int(reached)
            if turn > 0:
                one.front = 0.0
                qty = one.left if "whole" in self.theirs else min(turn, one.left)
                left -= min(qty, left)
                self._fill(one, qty, now)

    def _look(self, told: dict[tuple[int, int], tuple[int, int]]) -> None:
        """Bring the queue places up to the book."""
        for one in self.resting.values():
            side = BookSide.BID if one.order.side == Side.BUY else BookSide.ASK
            price = one.order.price_ticks
            if not one.known or ("unshown" not in self.theirs and self._beyond(side, price)):
                shown = float(self._left(side, price))
                if shown == 0 and self._beyond(side, price):
                    one.known = False
                    continue
                one.known = True
                if one.front == FAR:
                    one.front = one.shown = shown
            if (side, price) not in told:
                continue
            before = float(told[side, price][0]) if "reached" in self.theirs else one.shown
            shown = float(self._left(side, price))
            if shown == before and "told_again" not in self.theirs:
                continue
            self._depth(one, before, shown)
            one.shown, one.traded = shown, 0.0

    def _depth(self, one: Resting, before: float, shown: float) -> None:
        """Share a decrease out between what is in front and what is behind."""
        gone = before - shown - one.traded
        if self.queue == "careful" or gone < 0:
            one.front = min(one.front, shown)
            return
        front = one.front
        behind = before - front - (0.0 if "traded_behind" in self.theirs else one.traded)
        if "fractions" in self.theirs:
            share = self._share(front, behind)
            left = front - (1.0 - share) * gone + min(behind - share * gone, 0.0)
            if "overrun" not in self.theirs:
                left = max(left, 0.0)
            one.front = shown if math.isnan(left) else min(left, shown)
            return
        if gone > 0 and front > 0:
            behind = max(behind, 0.0)
            ahead, back = self._weight(front), self._weight(behind)
            leaves = float(int(gone * (ahead / (ahead + back))))
            front -= min(max(leaves, gone - behind), front)
        one.front = min(front, shown)

    def _share(self, front: float, behind: float) -> float:
        """Return the share of a decrease that was behind."""
        ahead, back = self._weight(front), self._weight(behind)
        return back / (back + ahead) if back + ahead else math.nan

    def _weight(self, lots: float) -> float:
        if self.queue == "log":
            return math.log(1.0 + lots) if lots > -1.0 else math.nan
        return float(lots**self.power)

    def _reach(self, now: int) -> None:
        """Fill what the opposite best has reached."""
        for side, other in ((Side.BUY, BookSide.ASK), (Side.SELL, BookSide.BID)):
            mine = [one for one in self.resting.values() if one.order.side == side]
            mine.sort(key=lambda one: one.order.price_ticks * (-1 if side == Side.BUY else 1))
            best = self.book.best_ask_ticks if side == Side.BUY else self.book.best_bid_ticks
            if best is None:
                continue
            for one in mine:
                own = one.order.price_ticks
                if not (own >= best if side == Side.BUY else own <= best):
                    break
                if "reached" in self.theirs:
                    self._fill(one, one.left, now)
                    continue
                for price, _ in self.book.levels(other, LEVELS_MAX):
                    if not (own >= price if side == Side.BUY else own <= price) or not one.left:
                        break
                    lots = min(self._left(other, price), one.left)
                    if lots:
                        self.taken[other, price] = self.taken.get((other, price), 0) + lots
                        self._fill(one, lots, now)

    # ------------------------------------------------------------------ orders

    def _place(self, number: int, order: Order) -> None:
        buys = order.side == Side.BUY
        best = self.book.best_ask_ticks if buys else self.book.best_bid_ticks
        if best is not None and (order.price_ticks >= best if buys else order.price_ticks <= best):
            self.refused.append(number)
            return
        side = BookSide.BID if buys else BookSide.ASK
        shown = float(self._left(side, order.price_ticks))
        known = "unshown" in self.theirs or not self._beyond(side, order.price_ticks)
        front = shown if known else FAR
        self.resting[number] = Resting(number, order, order.qty_lots, front, shown, 0.0, known)

    def _fill(self, one: Resting, lots: int, now: int) -> None:
        if not lots:
            return
        one.left -= lots
        self.fills.append((one.number, now, lots))
        if one.left == 0:
            self.resting.pop(one.number, None)

    def _left(self, side: int, price: int) -> int:
        shown = self.book.qty_at(side, price)
        return max(0, shown - self.taken.get((side, price), 0))

    def _beyond(self, side: int, price: int) -> bool:
        return self.book.qty_at(side, price) == 0 and self.book.worse(side, price) is None


def round_half_up(value: float) -> int:
    """Round as Rust does: halves away from zero."""
    return math.floor(value + 0.5) if value >= 0 else -math.floor(-value + 0.5)
