"""Keep a core's recorded book equal to the one that a venue's public messages tell of.

The venue's own compiled decoder reads them into a verified book; what differs afterwards from what
the core was told last goes to its `ReplayMatching`. So one reader serves every venue, recorded or
live, whatever its wire format and however its increments join their snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol, final

from openmm._fast.book import Book, BookBreak, BookState
from openmm._fast.ports import Decoded, Decoder, TradeLog
from openmm.instrument import Instrument
from openmm.sim.core import VenueCore
from openmm.venues.connector import MarketSide
from openmm.venues.counterpart import TradeRecord

LEVELS_MAX: Final = 1000  # of a side that are told to the core
TRADES_MAX: Final = 4096  # of one message
WINDOW_TICKS: Final = 1 << 15
OUTSIDE_LEVELS: Final = 1 << 15


class Own(Protocol):
    """Tells what of a public market is not the market's: orders of ours, and their prints."""

    def resting(self, now_ns: int) -> Iterable[tuple[int, int, int]]:
        """Return (book side, price in ticks, lots) of orders that the public book contains."""
        ...

    def printed(self, taker_side: int, price_ticks: int, lots: int, now_ns: int) -> bool:
        """Whether a public trade is only the print of a fill that moved no market."""
        ...


@final
class MirroredFeed:
    """Apply public messages of one instrument to a core's `ReplayMatching`.

    Args:
        pair: whose messages they are.
        decoder: bound to `book`, for this instrument alone.
        told: whether the core's public hears of recorded trades and of fills the book implies.
        own: what of the public market is not the market's: it is taken out.
    """

    def __init__(
        self, pair: Instrument, decoder: Decoder, book: Book, *, told: bool, own: Own | None = None
    ) -> None:
        self.pair = pair
        self.book = book
        self.broken_count = 0
        self._decoder = decoder
        self._trades = TradeLog(TRADES_MAX)
        decoder.set_sink(self._trades)
        self._told = told
        self._own = own
        self._version = -1

    def apply(self, core: VenueCore, frame: bytes, now_ns: int) -> Decoded:
        """Take a message over and book what it fills; an unverified book fills nothing."""
        decoded = self._decoder.decode(frame, now_ns)
        for _, ts_ns, price_ticks, qty_lots, trade_id, side, snapshot in self._trades.take():
            # Told on, it happens now: what is served again is news of today.
            at_ns = now_ns if self._told else ts_ns or now_ns
            trade = TradeRecord(self.pair.name, side, price_ticks, qty_lots, False, trade_id, at_ns)
            if self.whole and qty_lots > 0 and not snapshot:
                self._trade(core, trade, now_ns)
        if decoded in (Decoded.DECODED_BROKEN, Decoded.DECODED_UNDECIDED):
            self.broken_count += 1
        self._follow(core, now_ns)
        return decoded

    @property
    def whole(self) -> bool:
        """Whether the core has a verified book."""
        return self._version >= 0

    def lose(self, core: VenueCore) -> None:
        """Take note that messages were lost: nothing fills until the book is whole again."""
        self.book.break_(BookBreak.BREAK_DISCONNECT)
        self._forget(core)

    def _trade(self, core: VenueCore, trade: TradeRecord, now_ns: int) -> None:
        own = self._own
        if own is not None and own.printed(
            trade.taker_side, trade.price_ticks, trade.qty_lots, now_ns
        ):
            return
        if self._told:
            core.tell_recorded(trade)
        kernel = core.recording(self.pair.name)
        matches = kernel.trade(trade.taker_side, trade.price_ticks, trade.qty_lots)
        core.book_matches(self.pair.name, matches, now_ns, printed=False)

    def _follow(self, core: VenueCore, now_ns: int) -> None:
        """Tell the core what changed since it was told last."""
        book = self.book
        if book.state is not BookState.BOOK_VERIFIED:
            if self.whole:
                self._forget(core)
            return
        if book.version == self._version:
            return
        self._version = book.version
        kernel = core.recording(self.pair.name)
        changed = kernel.follow(book, LEVELS_MAX)
        if self._own is not None:
            for side, price_ticks, lots in self._own.resting(now_ns):
                shown_lots = book.qty_at(side, price_ticks) or 0
                if shown_lots:
                    kernel.set_level(side, price_ticks, max(0, shown_lots - lots))
        if changed:
            core.book_matches(self.pair.name, kernel.settle(), now_ns, printed=self._told)
            if self._told:
                core.book_told(self.pair.name, now_ns)

    def _forget(self, core: VenueCore) -> None:
        self._version = -1
        core.recording(self.pair.name).clear()


def mirrored_feed(
    pair: Instrument, connector: MarketSide, *, depth: int, verify: bool = True, told: bool,
    own: Own | None = None,
) -> MirroredFeed:  # fmt: skip
    """Make the mirror of one venue's instrument.

    Args:
        connector: knows how the venue's messages are read.
        depth: as subscribed.
        own: see `MirroredFeed`.
    """
    book = Book(window_ticks=WINDOW_TICKS, outside_levels=OUTSIDE_LEVELS)
    decoder = connector.market_decoder(pair, book, depth=depth, verify=verify)
    return MirroredFeed(pair, decoder, book, told=told, own=own)
