"""What a recording of Binance tells beside the book: best prices, and trades that are not the
market's; and recordings that never hold a whole book.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, final

from openmm._fast.book import Book
from openmm._fast.changes import ChangeLog
from openmm.data.events import ASK, FILTERED, MESSAGE_END, QUOTE, TRADE
from openmm.errors import ProtocolError
from openmm.instrument import Instrument
from openmm.venues.binance.fields import as_decimal, as_object, loads, text_of
from openmm.venues.binance.spec import PERPETUAL
from openmm.venues.binance.verify import COPY, day_before, decimals_of
from openmm.venues.binance.wire import BinanceDecoder
from openmm.venues.capture import is_capture
from openmm.venues.recordings import Record, RecordedPair, Recording, name_of, read_stamped

MS_NS: Final = 1_000_000
DECIMALS_MAX: Final = 8


def market_of(name: str, told: RecordedPair, records: Sequence[Record]) -> tuple[str, str]:
    """Tell which of the venue's markets a pair is of, and our name of it."""
    if told.symbol.endswith(PERPETUAL):
        return "coinm", name_of(told.symbol.removesuffix(PERPETUAL))
    perpetual = bool(told.stream) or any(b'"T":' in one.data for one in _tickers(records))
    return ("usdm" if perpetual else "spot"), name


def _tickers(records: Sequence[Record]) -> Iterator[Record]:
    """Yield the first message of best prices; those of perpetuals tell their time."""
    found = (one for one in records if b"@bookTicker" in one.data[:64])
    yield from (one for one, _ in zip(found, range(1), strict=False))


def is_unbased(path: Path) -> bool:
    """Whether a recording holds no copy of the book, and goes on from none that does."""
    if is_capture(path) or day_before(path) is not None:
        return False
    return not any(one.data.startswith(COPY) for one in read_stamped(path))


def read_unbased(path: Path) -> Recording:
    """Read a recording of trades and best prices alone.

    Raises:
        ProtocolError: it is cut, or holds neither.
    """
    records = list(read_stamped(path))
    symbol, price_decimals, qty_decimals = "", 0, 0
    for one in records:
        head = one.data[:64]
        if b"@bookTicker" not in head and b"@trade" not in head:
            continue
        told = as_object(as_object(loads(one.data)).get("data"))
        symbol = symbol or text_of(told, "s")
        prices, qtys = (("b", "a"), ("B", "A")) if b"@bookTicker" in head else (("p",), ("q",))
        price_decimals = max(price_decimals, *(decimals_of(told.get(key)) for key in prices))
        qty_decimals = max(qty_decimals, *(decimals_of(told.get(key)) for key in qtys))
    if not symbol:
        raise ProtocolError(f"{path}: neither a copy of the book nor best prices or trades in it")
    pair = RecordedPair(symbol, price_decimals, min(qty_decimals, DECIMALS_MAX), 0)

    def decoder(pair: RecordedPair, one: Instrument, book: Book) -> BinanceDecoder:
        made = BinanceDecoder()
        made.bind(
            pair.symbol, 0, book, one.tick_points, one.price_decimals, one.lot_points,
            one.qty_decimals, 0, False,
        )  # fmt: skip
        return made

    return Recording(records, {name_of(symbol): pair}, decoder)


@final
class Beside:
    """Write down best prices and filtered trades, message by message.

    `INSURANCE_FUND` and liquidations by other names: the decoder passes over them, and so do
    signals; a backtest may want to know that they were.
    """

    def __init__(self, log: ChangeLog, pair: RecordedPair, *, quotes: bool) -> None:
        self.rounded = 0
        self._log = log
        self._price = Decimal(1).scaleb(pair.price_decimals)
        self._qty = Decimal(1).scaleb(pair.qty_decimals)
        self._quotes = quotes

    def __call__(self, record: Record) -> bool:
        """Take one message; true when the decoder need not see it."""
        data = record.data
        if self._quotes and b"@bookTicker" in data[:64]:
            told = as_object(as_object(loads(data)).get("data"))
            venue_ns = int(told.get("T") or told.get("E") or 0) * MS_NS
            bid, ask = QUOTE, QUOTE | ASK | MESSAGE_END
            self._add(record.recv_ns, venue_ns, told.get("b"), told.get("B"), bid)
            self._add(record.recv_ns, venue_ns, told.get("a"), told.get("A"), ask)
            return True
        if b'"X":"' in data and b'"X":"MARKET"' not in data and b"@trade" in data[:64]:
            told = as_object(as_object(loads(data)).get("data"))
            sold = ASK if told.get("m") is True else 0
            flags = TRADE | FILTERED | sold | MESSAGE_END
            venue_ns = int(told.get("T") or 0) * MS_NS
            self._add(record.recv_ns, venue_ns, told.get("p"), told.get("q"), flags)
        # The decoder counts the trade's number, so that its neighbours are no gap.
        return False

    def _add(self, recv_ns: int, venue_ns: int, price: Any, qty: Any, flags: int) -> None:
        ticks, lots = as_decimal(price) * self._price, as_decimal(qty) * self._qty
        self.rounded += ticks != int(ticks) or lots != int(lots)
        self._log.append(recv_ns, venue_ns, int(ticks), int(lots), flags)
