"""Read the records of recordings that are no capture of ours: logs of connections, and rows."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from msgspec import Struct

from openmm._fast.book import Book
from openmm._fast.ports import Decoder
from openmm.errors import ProtocolError
from openmm.instrument import Instrument
from openmm.venues.capture import reading

NS_DIGITS: Final = 19
# Ends of symbols that join two names without a mark between them, longest first.
QUOTES: Final = ("USDT", "USDC", "BTC", "ETH", "EUR", "USD")
FIELD_CHARS_MAX: Final = 16 << 20


class Record(Struct, frozen=True):
    """One message received, and when."""

    recv_ns: int
    data: bytes


class RecordedPair(Struct, frozen=True):
    """A pair whose book is in a recording.

    Args:
        stream: what the decoder has to know of the book's subscription.
    """

    symbol: str
    price_decimals: int
    qty_decimals: int
    stream: int | str


@dataclass(frozen=True, slots=True)
class Recording:
    """What a venue sent, as its decoder reads it.

    Args:
        pairs: by our names, in the order in which their books appear.
        decoder: makes one bound to the book of one of them, in an instrument's steps.
    """

    records: Sequence[Record]
    pairs: Mapping[str, RecordedPair]
    decoder: Callable[[RecordedPair, Instrument, Book], Decoder]


def name_of(symbol: str, told: str = "") -> str:
    """Return our name of a pair whose symbol has no mark in it; `told`: what a file says of it."""
    if told.replace("/", "") == symbol:
        return told
    for quote in QUOTES:
        if symbol.endswith(quote) and symbol != quote:
            return f"{symbol.removesuffix(quote)}/{quote}"
    return symbol


def read_log(path: Path) -> Iterator[Record]:
    """Read `<seconds>: <json>` lines; what the recorder sent, connects and replies are passed over.

    Raises:
        ProtocolError: naming file and line, when it is cut or no such log.
    """
    for number, line in lines(path):
        stamp, mark, data = line.rstrip(b"\r\n").partition(b": ")
        if b" <- " in stamp or b" <-> " in stamp or b" -> " in stamp or not line.strip():
            continue
        if stamp == b"configuration":
            continue
        if not mark:
            raise ProtocolError(f"{path}: line {number} is no record: {line[:60]!r}")
        try:
            recv_ns = int(Decimal(stamp.decode("ascii", "replace")).scaleb(9))
        except (InvalidOperation, ValueError, OverflowError) as error:
            raise ProtocolError(f"{path}: line {number} has no time: {stamp[:40]!r}") from error
        yield Record(recv_ns, data)


def read_replies(path: Path) -> Iterator[tuple[str, bytes]]:
    """Read the replies to REST requests of a connection log: address and body.

    Raises:
        ProtocolError: naming file and line, when it is cut or no such log.
    """
    for number, line in lines(path):
        url, arrow, rest = line.rstrip(b"\r\n").partition(b" -> ")
        if not arrow:
            continue
        _, mark, body = rest.partition(b": ")
        if not mark:
            raise ProtocolError(f"{path}: line {number} is no reply: {line[:60]!r}")
        yield url.decode("ascii", "replace"), body


def read_stamped(path: Path) -> Iterator[Record]:
    """Read `<nanoseconds or microseconds> <json>` lines.

    Raises:
        ProtocolError: naming file and line, when it is cut or no such recording.
    """
    for number, line in lines(path):
        stamp, _, data = line.rstrip(b"\r\n").partition(b" ")
        if not stamp.isdigit() or len(stamp) > NS_DIGITS or not data.startswith(b"{"):
            raise ProtocolError(f"{path}: line {number} is no record: {line[:60]!r}")
        yield Record(int(stamp) * 10 ** (NS_DIGITS - len(stamp)), data)


def read_rows(path: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Read rows of comma-separated values by the names in the first one, with their line numbers.

    Raises:
        ProtocolError: naming file and line, when it is cut or a row has not the columns named.
    """
    csv.field_size_limit(FIELD_CHARS_MAX)
    text = (line.decode("utf-8", "replace") for _, line in lines(path))
    rows = csv.reader(text)
    try:
        names = next(rows, [])
        for row in rows:
            if len(row) != len(names):
                raise ProtocolError(
                    f"{path}: line {rows.line_num}: {len(names)} columns expected; got {len(row)}"
                )
            yield rows.line_num, dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise ProtocolError(f"{path}: line {rows.line_num}: {error}") from error


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Read lines with their numbers.

    Raises:
        ProtocolError: naming the file, when it is cut or damaged.
    """
    with reading(path) as file:
        yield from enumerate(file, start=1)
