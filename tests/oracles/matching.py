"""The matching kernels once more in plain Python: the executable specification."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from sortedcontainers import SortedDict  # type: ignore[import-untyped]

BID, ASK = 0, 1
BUY, SELL = 1, 2
GTC, IOC, FOK = 1, 2, 3
NEWEST, OLDEST, BOTH = 1, 2, 3
RESTING, FILLED, CANCELLED, POST_ONLY, FULL, BAD, UNKNOWN = 1, 2, 3, 4, 5, 6, 7
TICKS_MAX, LOTS_MAX = 1 << 40, 1 << 52
FAR = 1 << 62

# maker_id, taker_id, price, qty, maker_remaining, maker_owner, taker_owner, taker_side
Row = tuple[int, int, int, int, int, int, int, int]


@dataclass
class Order:
    """An order of either matcher; `ahead` and `arrival` belong to the replay one."""

    order_id: int
    owner: int
    side: int
    price: int
    remaining: int
    filled: int = 0
    ahead: int = 0
    arrival: int = 0


def valid(order_id: int, owner: int, side: int, price: int, qty: int, tif: int) -> bool:
    """Check the plain ranges of an order."""
    return (
        order_id > 0
        and owner >= 0
        and side in (BUY, SELL)
        and 0 < price <= TICKS_MAX
        and 0 < qty <= LOTS_MAX
        and tif in (GTC, IOC, FOK)
    )


@dataclass
class Matching:
    """Sorted levels of deques."""

    capacity: int
    sides: dict[int, SortedDict] = field(
        default_factory=lambda: {BUY: SortedDict(lambda p: -p), SELL: SortedDict()}
    )
    orders: dict[int, Order] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    met_own: bool = False

    def begin(self) -> None:
        """Forget the outcome of the last call."""
        self.rows, self.removed, self.met_own = [], [], False

    def crosses(self, side: int, price: int) -> bool:
        """Whether an order would take."""
        levels = self.sides[BUY + SELL - side]
        if not levels:
            return False
        best = levels.keys()[0]
        return bool(best <= price if side == BUY else best >= price)

    def rest(self, order: Order) -> None:
        """Put an order at the end of its level."""
        self.sides[order.side].setdefault(order.price, deque()).append(order)
        self.orders[order.order_id] = order

    def unlink(self, order: Order) -> None:
        """Take an order off its level."""
        level = self.sides[order.side][order.price]
        level.remove(order)
        if not level:
            del self.sides[order.side][order.price]

    def fillable(self, owner: int, side: int, price: int, qty: int, stp: int) -> bool:
        """Whether a fill-or-kill order fills whole."""
        for level_price, level in self.sides[BUY + SELL - side].items():
            if (level_price > price) if side == BUY else (level_price < price):
                return False
            for maker in level:
                if owner > 0 and maker.owner == owner:
                    if stp != OLDEST:
                        return False
                    continue
                qty -= maker.remaining
                if qty <= 0:
                    return True
        return False

    def take(self, order_id: int, owner: int, side: int, price: int, qty: int, stp: int) -> int:
        """Match against the other side; return what is left."""
        levels = self.sides[BUY + SELL - side]
        while qty > 0 and self.crosses(side, price):
            maker = levels.values()[0][0]
            if owner > 0 and maker.owner == owner:
                self.met_own = True
                if stp != NEWEST:
                    self.removed.append(maker.order_id)
                    self.unlink(maker)
                    del self.orders[maker.order_id]
                if stp != OLDEST:
                    return qty
                continue
            fill = min(qty, maker.remaining)
            qty -= fill
            maker.remaining -= fill
            maker.filled += fill
            self.rows.append(
                (
                    maker.order_id,
                    order_id,
                    maker.price,
                    fill,
                    maker.remaining,
                    maker.owner,
                    owner,
                    side,
                )
            )
            if maker.remaining == 0:
                self.unlink(maker)
                del self.orders[maker.order_id]
        return qty

    def submit(
        self,
        order_id: int,
        owner: int,
        side: int,
        price: int,
        qty: int,
        tif: int,
        post_only: bool,
        stp: int,
    ) -> int:
        """Match an order and rest what is left of a GTC one."""
        self.begin()
        if not valid(order_id, owner, side, price, qty, tif) or (post_only and tif != GTC):
            return BAD
        if order_id in self.orders:
            return BAD
        if post_only and self.crosses(side, price):
            return POST_ONLY
        if tif == GTC and len(self.orders) >= self.capacity:
            return FULL
        if tif == FOK and not self.fillable(owner, side, price, qty, stp):
            return CANCELLED
        left = self.take(order_id, owner, side, price, qty, stp)
        if left == 0:
            return FILLED
        if tif != GTC or (self.met_own and stp != OLDEST):
            return CANCELLED
        self.rest(Order(order_id, owner, side, price, left, qty - left))
        return RESTING

    def cancel(self, order_id: int) -> int:
        """Take a resting order off the book."""
        self.begin()
        order = self.orders.pop(order_id, None)
        if order is None:
            return UNKNOWN
        self.unlink(order)
        return CANCELLED

    def amend(self, order_id: int, price: int, qty: int, post_only: bool, stp: int) -> int:
        """Change price and total quantity."""
        self.begin()
        order = self.orders.get(order_id)
        if order is None:
            return UNKNOWN
        if not valid(order_id, order.owner, order.side, price, qty, GTC):
            return BAD
        left = qty - order.filled
        if left <= 0:
            return self.cancel(order_id)
        if price == order.price and left <= order.remaining:
            order.remaining = left
            return RESTING
        if post_only and self.crosses(order.side, price):
            return POST_ONLY
        self.unlink(order)
        del self.orders[order_id]
        left = self.take(order_id, order.owner, order.side, price, left, stp)
        if left == 0:
            return FILLED
        if self.met_own and stp != OLDEST:
            return CANCELLED
        self.rest(Order(order_id, order.owner, order.side, price, left, qty - left))
        return RESTING

    def depth(self, side: int) -> list[tuple[int, int]]:
        """Return a side's levels, best first."""
        return [(p, sum(o.remaining for o in q)) for p, q in self.sides[side].items()]

    def queues(self, side: int) -> dict[int, list[int]]:
        """Return order ids by price, oldest first."""
        return {p: [o.order_id for o in q] for p, q in self.sides[side].items()}


@dataclass
class Replay:
    """Our orders in estimated places of a recorded book; each rule as its sentence."""

    book: dict[int, dict[int, int]] = field(default_factory=lambda: {BUY: {}, SELL: {}})
    taken: dict[tuple[int, int], int] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)  # in order of arrival
    rows: list[Row] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    met_own: bool = False

    def begin(self) -> None:
        """Forget the outcome of the last call."""
        self.rows, self.removed, self.met_own = [], [], False

    def open_at(self, side: int, price: int) -> int:
        """Return recorded quantity not used up."""
        return self.book[side].get(price, 0) - self.taken.get((side, price), 0)

    def better(self, side: int, a: int, b: int) -> bool:
        """Whether price `a` is strictly better than `b` for resting orders of a side."""
        return a > b if side == BUY else a < b

    def seen(self, side: int, price: int) -> bool:
        """Whether the recorded book tells about a price."""
        prices = self.book[side]
        if not prices:
            return False
        worst = min(prices) if side == BUY else max(prices)
        return price == worst or self.better(side, price, worst)

    def reach(self, side: int, limit: int, price: int) -> bool:
        """Whether a maker of `side` at `price` is within a taker's limit."""
        return price == limit or self.better(side, price, limit)

    def sorted_orders(self, side: int) -> list[Order]:
        """Return our orders of a side by price, then arrival."""
        mine = [o for o in self.orders if o.side == side]
        return sorted(mine, key=lambda o: (-o.price if side == BUY else o.price, o.arrival))

    def walk(self, order_id: int, owner: int, side: int, limit: int, qty: int, stp: int) -> int:
        """Take recorded and own quantity in price-queue order; return what is left."""
        maker_side = BUY + SELL - side
        while qty > 0:
            levels = [p for p in self.book[maker_side] if self.open_at(maker_side, p) > 0]
            levels = [p for p in levels if self.reach(maker_side, limit, p)]
            best = (max if maker_side == BUY else min)(levels, default=None)
            own = [o for o in self.sorted_orders(maker_side)]
            first = own[0] if own and self.reach(maker_side, limit, own[0].price) else None
            if best is None and first is None:
                return qty
            if first is not None and (
                best is None
                or self.better(maker_side, first.price, best)
                or (first.price == best and first.ahead == 0)
            ):
                if owner > 0 and first.owner == owner:
                    self.met_own = True
                    if stp != NEWEST:
                        self.removed.append(first.order_id)
                        self.orders.remove(first)
                    if stp != OLDEST:
                        return qty
                    continue
                qty -= self.fill(first, qty, order_id, owner, side)
                continue
            assert best is not None
            room = self.open_at(maker_side, best)
            if first is not None and first.price == best:
                room = min(room, first.ahead)
            take = min(room, qty)
            qty -= take
            self.taken[maker_side, best] = self.taken.get((maker_side, best), 0) + take
            for order in self.orders:
                if order.side == maker_side and order.price == best:
                    order.ahead = max(0, order.ahead - take)
            self.rows.append(
                (0, order_id, best, take, self.open_at(maker_side, best), 0, owner, side)
            )
        return qty

    def fill(self, order: Order, qty: int, taker_id: int, taker_owner: int, side: int) -> int:
        """Fill a resting order of ours with up to `qty`."""
        fill = min(qty, order.remaining)
        order.remaining -= fill
        order.filled += fill
        self.rows.append(
            (
                order.order_id,
                taker_id,
                order.price,
                fill,
                order.remaining,
                order.owner,
                taker_owner,
                side,
            )
        )
        if order.remaining == 0:
            self.orders.remove(order)
        return fill

    def queue(self, order: Order) -> None:
        """Put an order behind everything told at its price."""
        order.arrival = max((o.arrival for o in self.orders), default=0) + 1
        order.ahead = (
            self.open_at(order.side, order.price) if self.seen(order.side, order.price) else FAR
        )

    def would_take(self, side: int, limit: int) -> bool:
        """Whether an order of `side` would take from anything."""
        maker = BUY + SELL - side
        return any(
            self.reach(maker, limit, p) for p in self.book[maker] if self.open_at(maker, p) > 0
        ) or any(self.reach(maker, limit, o.price) for o in self.orders if o.side == maker)

    def submit(
        self,
        order_id: int,
        owner: int,
        side: int,
        price: int,
        qty: int,
        tif: int,
        post_only: bool,
        stp: int,
    ) -> int:
        """Match an order of an account and queue what is left of a GTC one."""
        self.begin()
        if owner == 0 or not valid(order_id, owner, side, price, qty, tif):
            return BAD
        if (post_only and tif != GTC) or any(o.order_id == order_id for o in self.orders):
            return BAD
        if post_only and self.would_take(side, price):
            return POST_ONLY
        left = self.walk(order_id, owner, side, price, qty, stp)
        if left == 0:
            return FILLED
        if tif != GTC or (self.met_own and stp != OLDEST):
            return CANCELLED
        order = Order(order_id, owner, side, price, left, qty - left)
        self.queue(order)
        self.orders.append(order)
        return RESTING

    def settle(self) -> None:
        """Adjust places, then fill what the recorded book reaches."""
        self.begin()
        for order in self.orders:
            if self.seen(order.side, order.price):
                order.ahead = min(order.ahead, self.open_at(order.side, order.price))
        for side in (BUY, SELL):
            other = BUY + SELL - side
            for order in self.sorted_orders(side):
                for price in sorted(self.book[other], reverse=other == BUY):
                    room = self.open_at(other, price)
                    if order.remaining and room and self.reach(other, order.price, price):
                        take = self.fill(order, room, 0, 0, other)
                        self.taken[other, price] = self.taken.get((other, price), 0) + take

    def trade(self, taker_side: int, price: int, qty: int) -> None:
        """Let a trade pass: through our price first, then the merged queue at it."""
        self.begin()
        side = BUY + SELL - taker_side
        passed = 0
        for order in self.sorted_orders(side):
            if not self.reach(side, price, order.price):
                break
            if order.price == price:
                gap = min(max(0, order.ahead - passed), qty)
                passed += gap
                qty -= gap
                if order.ahead > passed:
                    break
            if qty:
                qty -= self.fill(order, qty, 0, 0, taker_side)
        for order in self.orders:
            if order.side == side and order.price == price:
                order.ahead = max(0, order.ahead - passed)

    def set_level(self, side: int, price: int, qty: int) -> None:
        """Take over a recorded level."""
        self.taken.pop((side, price), None)
        self.book[side].pop(price, None)
        if qty:
            self.book[side][price] = qty
