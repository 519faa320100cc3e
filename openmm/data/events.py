"""Market data as columns: one entry an event, in the order in which it was received."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, Generic, TypeAlias, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from openmm._fast.book import Book
from openmm._fast.changes import EventFlag, EventKind, follow
from openmm.errors import ConfigError
from openmm.venues.binance.spec import MARKETS, contract_usd
from openmm.venues.binance.spec import VENUE as BINANCE

Int64s: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.uint16]

T = TypeVar("T")

KIND_BITS: Final = int(EventFlag.EVENT_KIND_BITS)
ASK: Final = int(EventFlag.EVENT_ASK)
MESSAGE_END: Final = int(EventFlag.EVENT_MESSAGE_END)
READ_END: Final = int(EventFlag.EVENT_READ_END)
FILTERED: Final = int(EventFlag.EVENT_FILTERED)
FLAGS_MAX: Final = KIND_BITS | ASK | MESSAGE_END | READ_END | FILTERED
LEVEL, TRADE = int(EventKind.EVENT_LEVEL), int(EventKind.EVENT_TRADE)
CLEAR, BROKEN = int(EventKind.EVENT_CLEAR), int(EventKind.EVENT_BROKEN)
QUOTE = int(EventKind.EVENT_QUOTE)
KINDS: Final = {
    "level": LEVEL, "trade": TRADE, "clear": CLEAR, "broken": BROKEN, "quote": QUOTE,
}  # fmt: skip
COLUMNS: Final = ("recv_ns", "venue_ns", "price_ticks", "qty_lots", "flags")
# Of `_fast.changes.MarketEvent`.
ROW: Final = np.dtype(
    [*((name, "<i8") for name in COLUMNS[:4]), ("flags", "<u2"), ("unused", "<u2", 3)]
)
# A trade that comes later than this after its book has a clock of its own.
LATE_NS_MAX: Final = 1_000_000_000
COUNT_MAX: Final = 1 << 62  # of ticks or lots
# Venues whose name alone does not tell what a quantity is: of one of Binance's markets, contracts.
SEVERAL: Final = {BINANCE: tuple(MARKETS)}
OUTSIDE_LEVELS: Final = 1 << 17  # of a plain book: whole books of tens of thousands of levels


@final
@dataclass(frozen=True, slots=True)
class Market:
    """What is traded where, and in which steps.

    Args:
        venue: as the registry names it.
        market: which of a venue's several: `spot`, `usdm`, `coinm` of Binance; else empty.
        pair: our name.
        tick_size: price of one tick, in quote units.
        lot_size: quantity of one lot, in base units, or contracts.
        depth: levels a side that the venue was asked for; 0: not told, or all.
    """

    venue: str
    pair: str
    tick_size: Decimal
    lot_size: Decimal
    depth: int = 0
    market: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what files of one market have in common."""
        return self.venue, self.market, self.pair

    @property
    def contract_size(self) -> Decimal | None:
        """Return what a contract is worth in the quote currency; None: quantities are of base.

        Such a contract is inverse: at every price it is another quantity of base.
        """
        if (self.venue, self.market) != (BINANCE, "coinm"):
            return None
        return contract_usd(self.pair.partition("/")[0])

    def need_told(self, option: str) -> None:
        """Refuse a market that does not say which of its venue's several it is.

        Raises:
            ConfigError: it does not.
        """
        known = SEVERAL.get(self.venue)
        if known is not None and self.market not in known:
            allowed = (
                f"one of {', '.join(known)}: {self.venue} {self.pair} alone may be any of them"
            )
            raise ConfigError(option, self.market or "nothing", allowed)

    @property
    def label(self) -> str:
        """Return a name for people and files, such as `binance-usdm BTC/USDT`."""
        return f"{self.venue}-{self.market} {self.pair}".replace("- ", " ")


@final
@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Columns of one market, all of one length n.

    Args:
        recv_ns: int64[n], when received, ns since 1970 UTC by the recorder's clock; never falls.
        venue_ns: int64[n], the venue's time in ns since 1970; 0: not told.
        price_ticks: int64[n], price / tick size; 0 of CLEAR and BROKEN.
        qty_lots: int64[n], quantity / lot size; 0 of CLEAR and BROKEN.
        flags: uint16[n], kind in bits 0-3 (1 LEVEL: absolute quantity at a price, 0 removes it;
            2 TRADE; 3 CLEAR: both sides are empty, a whole book follows; 4 BROKEN: continuity is
            lost until the next CLEAR; 5 QUOTE: best price of a side, told beside the book); bit 4
            side (LEVEL, QUOTE: 1 ask; TRADE: 1 when the taker sold); bit 5 last event of its
            message; bit 6 last event of its read (of one `recv_ns`); bit 7 a trade that is not the
            market's.
    """

    market: Market
    recv_ns: Int64s
    venue_ns: Int64s
    price_ticks: Int64s
    qty_lots: Int64s
    flags: Flags

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.flags)

    @property
    def kinds(self) -> Flags:
        """Return uint16[n], the kind of each event."""
        return self.flags & np.uint16(KIND_BITS)

    def cut(self, start: int, stop: int) -> Events:
        """Return the events of a range of places; views, nothing is copied."""
        return replace(self, **{name: getattr(self, name)[start:stop] for name in COLUMNS})

    def place(self, ns: int) -> int:
        """Return the place of the first event received at or after a moment."""
        return int(np.searchsorted(self.recv_ns, ns, side="left"))

    def between(self, start_ns: int, end_ns: int) -> Events:
        """Return the events received in [start_ns, end_ns); views. Whole reads, but no book ahead.

        `opened` is for those who need the book that the first event meets.
        """
        return self.cut(self.place(start_ns), self.place(end_ns))

    def book_before(self, stop: int) -> Book:
        """Return the book, in ticks and lots, that the events ahead of a place leave."""
        kinds = self.kinds[:stop]
        resets = np.flatnonzero((kinds == CLEAR) | (kinds == BROKEN))
        start = int(resets[-1]) if len(resets) else 0
        book = Book(outside_levels=OUTSIDE_LEVELS)
        follow(
            book,
            self.price_ticks[start:stop].data,
            self.qty_lots[start:stop].data,
            self.flags[start:stop].data,
        )
        return book

    def opened(self, start_ns: int, end_ns: int) -> Events:
        """Return the events received in [start_ns, end_ns) behind the book that they meet.

        The book is one message of its own, CLEAR and all levels, received with the first event; it
        is left out where the book is not whole then, or the first event is a CLEAR of its own.
        """
        start, stop = self.place(start_ns), self.place(end_ns)
        kinds = self.kinds[: start + 1]
        resets = np.flatnonzero((kinds == CLEAR) | (kinds == BROKEN))
        part = self.cut(start, stop)
        if start >= stop or not len(resets) or kinds[resets[-1]] == BROKEN or resets[-1] == start:
            return part
        book = self.book_before(start)
        rows = [(side, *level) for side in (0, 1) for level in book.levels(side)]
        sides, prices, qtys = (
            np.array(one, np.int64) for one in zip((0, 0, 0), *rows, strict=True)
        )
        flags = np.where(sides == 1, LEVEL | ASK, LEVEL).astype(np.uint16)
        flags[0] = CLEAR
        flags[-1] |= MESSAGE_END
        times = np.full(len(flags), part.recv_ns[0])
        head = Events(self.market, times, np.zeros_like(times), prices, qtys, flags)
        return joined(self.market, [head, part])


@final
@dataclass(frozen=True, slots=True, eq=False)
class LateTrades:
    """Trades that were received after a book that holds them, by the venue's own times.

    Args:
        at: int64[k], the place of the first event of that book's message, rising.
        trade: int64[k], the trade's place.
        skip: int64[k], the trades' places, rising.
    """

    at: Int64s
    trade: Int64s
    skip: Int64s


class _Kept(Generic[T]):
    """Results that follow from columns, for as long as these are: another column has another.

    Args:
        names: of the columns that they follow from, none of which a result holds.
    """

    def __init__(self, *names: str) -> None:
        self._names = names
        self._made: dict[tuple[Hashable, ...], tuple[tuple[weakref.ref[Any], ...], T]] = {}

    def find(self, events: Events, told: Hashable, make: Callable[[], T]) -> T:
        """Return what is kept of exactly these columns, or make it."""
        columns = [getattr(events, name) for name in self._names]
        key = (*map(id, columns), told)
        known = self._made.get(key)
        # An id is another array's once its own is gone.
        if known is not None and all(
            ref() is one for ref, one in zip(known[0], columns, strict=True)
        ):
            return known[1]
        made = make()

        def forget(_: weakref.ref[Any]) -> None:
            self._made.pop(key, None)

        self._made[key] = tuple(weakref.ref(one, forget) for one in columns), made
        return made


_LATE: Final[_Kept[LateTrades]] = _Kept(*COLUMNS)
_COARSE: Final[_Kept[tuple[Int64s, Int64s]]] = _Kept("price_ticks", "qty_lots", "flags")


def late_trades(events: Events) -> LateTrades:
    """Find the trades that a book that holds them was received ahead of, a second at most.

    Such a book is of a later venue time; or of the same, and took away at the trade's price as much
    as was traded there. A venue sends its book and its trades on ways of their own; who takes the
    trade for news when it comes lets it fill orders that were placed, or spares those that were
    cancelled, in between, and what stood in front of one goes twice.

    Kept for as long as the columns are.
    """
    return _LATE.find(events, None, lambda: _late_trades(events))


def _late_trades(events: Events) -> LateTrades:
    flags, venue_ns, recv_ns = events.flags, events.venue_ns, events.recv_ns
    ends = np.flatnonzero(flags & np.uint16(MESSAGE_END))
    kinds = flags[ends] & np.uint16(KIND_BITS)
    told_ns = np.where((kinds == LEVEL) | (kinds == CLEAR), venue_ns[ends], 0)
    newest_ns = np.maximum.accumulate(told_ns) if len(told_ns) else told_ns
    trades = np.flatnonzero((flags & np.uint16(KIND_BITS | FILTERED)) == TRADE)
    # One of nothing fills nothing: a run passes over it, and would wait for its place for good.
    is_any = (events.price_ticks[trades] > 0) & (events.qty_lots[trades] > 0)
    trades = trades[(venue_ns[trades] > 0) & is_any]
    # That many messages are before the first of a book that is newer than the trade.
    message = np.searchsorted(newest_ns, venue_ns[trades], side="right")
    starts = np.concatenate([[0], ends + 1])
    at = starts[message]
    same = _same_time(events, trades, told_ns, ends, starts)
    at = np.where(same >= 0, np.minimum(same, at), at)
    inside = at < trades
    late_ns = recv_ns[trades[inside]] - recv_ns[at[inside]]
    inside[inside] = late_ns <= LATE_NS_MAX
    at, trades = at[inside].astype(np.int64), trades[inside].astype(np.int64)
    order = np.argsort(at, kind="stable")
    return LateTrades(at[order], trades[order], trades)


def _same_time(
    events: Events, trades: NDArray[np.intp], told_ns: Int64s, ends: NDArray[np.intp],
    starts: NDArray[np.intp],
) -> NDArray[np.intp]:  # fmt: skip
    """Return for each trade where the book of its own venue time begins that holds it, or -1.

    Such a book came before it and lowered the level that was taken from by as much as has been
    traded there at that time.
    """
    found = np.full(len(trades), -1, np.intp)
    books = np.flatnonzero(told_ns > 0)
    books = books[np.argsort(told_ns[books], kind="stable")]
    # The first one of each time, of those received by then.
    place = np.searchsorted(told_ns[books], events.venue_ns[trades], side="left")
    has = place < len(books)
    first = np.where(has, books[np.minimum(place, len(books) - 1)], 0) if len(books) else place
    has &= told_ns[first] == events.venue_ns[trades] if len(told_ns) else has
    has &= starts[first] < trades
    few = np.flatnonzero(has)
    if not len(few):
        return found
    # A taker who sold took from bids: of the level's side.
    side = (events.flags[trades[few]] & np.uint16(ASK)) == 0
    keys = events.price_ticks[trades[few]] * 2 + side
    levels = np.flatnonzero(events.kinds == LEVEL)
    level_keys = events.price_ticks[levels] * 2 + ((events.flags[levels] & np.uint16(ASK)) != 0)
    kept = np.isin(level_keys, keys)
    levels, level_keys = levels[kept], level_keys[kept]
    epoch = np.cumsum((events.kinds == CLEAR) | (events.kinds == BROKEN))[levels]
    lowered = -_changes((epoch, level_keys), events.qty_lots[levels])
    by_level: dict[tuple[int, int], list[list[int]]] = {}
    of = np.searchsorted(ends, levels, side="left")
    for at in np.flatnonzero(lowered > 0).tolist():
        if of[at] < len(ends) and told_ns[of[at]]:
            key = int(told_ns[of[at]]), int(level_keys[at])
            by_level.setdefault(key, []).append([int(starts[of[at]]), int(lowered[at])])
    for number, level in zip(few.tolist(), keys.tolist(), strict=True):
        trade = int(trades[number])
        lots = int(events.qty_lots[trade])
        for one in by_level.get((int(events.venue_ns[trade]), level), ()):
            if one[0] < trade and one[1] >= lots > 0:
                one[1] -= lots
                found[number] = one[0]
                break
    return found


def from_rows(market: Market, rows: bytes) -> Events:
    """Make columns of what a `ChangeLog` holds."""
    table = np.frombuffer(rows, ROW)
    return Events(market, *(np.ascontiguousarray(table[name]) for name in COLUMNS))


def joined(market: Market, parts: Sequence[Events]) -> Events:
    """Put parts behind each other, as they are."""
    if len(parts) == 1:
        return replace(parts[0], market=market)
    return Events(
        market, *(np.concatenate([getattr(one, name) for one in parts]) for name in COLUMNS)
    )


def merged_events(market: Market, parts: Sequence[Events]) -> tuple[Events, dict[str, int]]:
    """Put several streams of one market in the order of receipt; ties in the order given.

    The order within a stream is kept: times that fall are moved up first, counted as by `sealed`.
    """
    made = [sealed(one) for one in parts]
    whole = joined(market, [events for events, _ in made])
    order = np.argsort(whole.recv_ns, kind="stable")
    counts = {
        "recv_moved": sum(moved["recv_moved"] for _, moved in made),
        "recv_moved_ns_max": max((moved["recv_moved_ns_max"] for _, moved in made), default=0),
    }
    return Events(market, *(getattr(whole, name)[order] for name in COLUMNS)), counts


def sealed(events: Events) -> tuple[Events, dict[str, int]]:
    """Make receive times monotone and mark the ends of reads.

    Returns:
        The events, and what was done to their times: how many were moved up to the one before
        (`recv_moved`), and the farthest, in ns (`recv_moved_ns_max`).
    """
    times = events.recv_ns
    raised = np.maximum.accumulate(times) if len(times) else times
    moved = raised - times
    flags = events.flags & np.uint16(~READ_END & 0xFFFF)
    if len(flags):
        ends = np.ones(len(flags), bool)
        ends[:-1] = raised[1:] != raised[:-1]
        flags[ends] |= READ_END
    counts = {
        "recv_moved": int(np.count_nonzero(moved)),
        "recv_moved_ns_max": int(moved.max(initial=0)),
    }
    return replace(events, recv_ns=raised, flags=flags), counts


def coarsest(events: Events, lot_size: Decimal | None = None) -> Events:
    """Return the events in the coarsest lots, by powers of ten, that all quantities are whole in.

    Args:
        lot_size: the lots wanted instead.

    Raises:
        ValueError: a quantity is finer than `lot_size`.
    """
    qtys, market = events.qty_lots, events.market
    if lot_size is not None:
        times = lot_size / market.lot_size
        if times != int(times) or times < 1:
            raise ValueError(f"lots of {lot_size} are no multiple of {market.lot_size}")
        factor = int(times)
        if np.any(qtys % factor):
            raise ValueError(f"quantities are finer than lots of {lot_size}")
    else:
        factor = 1
        while factor < 10**8 and qtys.any() and not np.any(qtys % (factor * 10)):
            factor *= 10
    if factor == 1:
        return events
    told = replace(market, lot_size=plain(market.lot_size * factor))
    return replace(events, market=told, qty_lots=qtys // factor)


def finer(events: Events, market: Market) -> Events:
    """Return the events in the steps of `market`, which theirs are multiples of.

    A tick that is coarser than theirs is met as by `coarser`.

    Raises:
        ValueError: they are not, or numbers become too large.
    """
    if market.tick_size > events.market.tick_size:
        events = coarser(events, market.tick_size)
    mine = events.market
    ticks, lots = mine.tick_size / market.tick_size, mine.lot_size / market.lot_size
    if ticks != int(ticks) or lots != int(lots):
        raise ValueError(
            f"steps of {mine.tick_size} and {mine.lot_size} are no multiples of "
            f"{market.tick_size} and {market.lot_size}"
        )
    return replace(
        events, market=replace(mine, tick_size=market.tick_size, lot_size=market.lot_size),
        price_ticks=many(events.price_ticks, int(ticks)), qty_lots=many(events.qty_lots, int(lots)),
    )  # fmt: skip


def coarser(events: Events, tick_size: Decimal) -> Events:
    """Return the events as a venue with coarser ticks would tell them, one for each.

    What wants to buy stands at the next tick down, what wants to sell at the next one up, so that
    nothing crosses; a level holds what all finer ones hold that come to it; a trade is at the tick
    of the side that was taken from. Kept for as long as the events are.

    Raises:
        ValueError: `tick_size` is no multiple of theirs, or one beyond what 62 bits hold.
    """
    mine = events.market
    times = tick_size / mine.tick_size
    if times != int(times) or times < 1:
        raise ValueError(f"ticks of {tick_size} are no multiple of {mine.tick_size}")
    if times > COUNT_MAX:
        raise ValueError(f"{times:,f} times {mine.tick_size} is beyond {COUNT_MAX:,} times")
    prices, qtys = _COARSE.find(events, times, lambda: _coarser(events, int(times)))
    market = replace(mine, tick_size=plain(tick_size))
    return replace(events, market=market, price_ticks=prices, qty_lots=qtys)


def _coarser(events: Events, factor: int) -> tuple[Int64s, Int64s]:
    kinds = events.kinds
    ask = (events.flags & np.uint16(ASK)) != 0
    # A taker who sold took from bids.
    up = np.where(kinds == TRADE, ~ask, ask)
    prices = np.where(up, -(-events.price_ticks // factor), events.price_ticks // factor)
    qtys = events.qty_lots.copy()
    at = np.flatnonzero(kinds == LEVEL)
    # Books do not go beyond what clears them.
    book = np.cumsum((kinds == CLEAR) | (kinds == BROKEN))[at]
    changes = _changes((book, ask[at], events.price_ticks[at]), qtys[at])
    qtys[at] = _sums((book, ask[at], prices[at]), changes)
    return prices, qtys


def _grouped(keys: Sequence[NDArray[Any]]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the order by keys, ties as they come, and what is the first of its group there."""
    order = np.lexsort(tuple(reversed(keys)))
    first = np.ones(len(order), bool)
    first[1:] = np.any([one[order][1:] != one[order][:-1] for one in keys], axis=0)
    return order, first


def _changes(keys: Sequence[NDArray[Any]], values: Int64s) -> Int64s:
    """Return by how much each value is more than the one before it of its group, 0 ahead of it."""
    order, first = _grouped(keys)
    sorted_ = values[order]
    before = np.roll(sorted_, 1)
    before[first] = 0
    made = np.empty_like(values)
    made[order] = sorted_ - before
    return made


def _sums(keys: Sequence[NDArray[Any]], values: Int64s) -> Int64s:
    """Return the sum up to each value within its group."""
    order, first = _grouped(keys)
    total = np.cumsum(values[order])
    begins = np.flatnonzero(first)
    ahead = total[begins] - values[order][begins]
    made = np.empty_like(values)
    made[order] = total - np.repeat(ahead, np.diff(np.append(begins, len(order))))
    return made


def many(numbers: Int64s, factor: int) -> Int64s:
    """Return int64[n], each number `factor` times.

    Raises:
        ValueError: one is beyond what 62 bits hold.
    """
    if factor == 1:
        return numbers
    widest = max(int(numbers.max(initial=0)), -int(numbers.min(initial=0)))
    if widest * factor > COUNT_MAX:
        raise ValueError(f"{widest:,} times {factor:,} is beyond {COUNT_MAX:,}: steps too fine")
    made: Int64s = numbers * factor
    return made


def plain(number: Decimal) -> Decimal:
    """Return a number without zeros behind and without an exponent in front of the point."""
    short = number.normalize()
    exponent: Any = short.as_tuple().exponent
    return short.quantize(Decimal(1)) if exponent > 0 else short


def utc(ns: int) -> str:
    """Write a moment for people, to the millisecond."""
    moment = np.datetime64(ns // 1_000_000, "ms")
    return f"{moment}Z"
