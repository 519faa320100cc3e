"""Put a recording through the decoder and the books, and count what happened.

Reads `CBCAP1` captures; raw connection logs (`<name>_ws.raw.gz`, `<name>_meta.raw.gz`); messages as
rows (one WebSocket message a row, columns by message type, lists in Python's spelling); and level
changes as rows (`side,price,size,time`; `<name>_l2_part2.csv.gz` follows on
`<name>_l2_part1.csv.gz` and that on `<name>_snapshot_bids.csv.gz` and `<name>_snapshot_asks.csv.gz`
beside it).
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, final

from openmm._fast.book import Book, BookState
from openmm._fast.ports import Decoded
from openmm.errors import ProtocolError
from openmm.venues.capture import Verified, is_capture, read_frames
from openmm.venues.coinbase.fields import as_decimal, as_list, as_object, loads, text_of
from openmm.venues.coinbase.wire import CoinbaseDecoder
from openmm.venues.recordings import Record, read_log, read_replies, read_rows

OUTSIDE_LEVELS: Final = 1 << 16
QTY_STEP: Final = Decimal("1e-8")
QTY_DECIMALS: Final = 8
PRICE_DECIMALS_MAX: Final = 10
PART: Final = re.compile(r"^(.*)_l2_part(\d+)(\.csv.*)$")
LISTS: Final = ("asks", "bids", "changes", "channels")


def verify(path: Path) -> Verified:
    """Check one recording; counts only, the file itself must be whole.

    Raises:
        ProtocolError: naming file and line, when the file is cut or of no known format.
    """
    if is_capture(path):
        return _Check().run(Record(frame.recv_ns, frame.data) for frame in read_frames(path))
    if ".csv" not in path.name:
        return _log(path)
    part = PART.match(path.name)
    if part is None:
        if "_snapshot_" in path.name:
            # Put to use together with the changes; here it only has to be whole.
            return Verified(messages=len(_levels(path)))
        return _Check().run(messages(path))
    return _changes(path, part[1], int(part[2]), part[3])


def _log(path: Path) -> Verified:
    check = _Check()
    if "_ws.raw" not in path.name:
        # Put to use together with the frames; here it only has to be whole.
        return Verified(messages=sum(1 for _ in read_replies(path)))
    check.decimals.update(products_beside(path))
    return check.run(read_log(path))


def products_beside(path: Path) -> dict[str, tuple[int, int]]:
    """Return the decimals of prices and quantities, by product, that a log's other file tells."""
    meta = path.with_name(path.name.replace("_ws.raw", "_meta.raw"))
    found: dict[str, tuple[int, int]] = {}
    for url, body in read_replies(meta) if meta.is_file() else ():
        if url.endswith("/products"):
            for row in map(as_object, as_list(loads(body))):
                found[text_of(row, "id")] = (
                    decimals_of(row.get("quote_increment")), decimals_of(row.get("base_increment"))
                )  # fmt: skip
    return found


def _changes(path: Path, name: str, number: int, ending: str) -> Verified:
    check = _Check()
    copy = copy_beside(path, name, ending)
    warm = Verified()
    if copy is not None:
        warm = check.run([copy])
        for earlier in range(1, number):
            warm = check.run(
                level_changes(path.with_name(f"{name}_l2_part{earlier}{ending}"), name)
            )
    found = check.run(level_changes(path, name))
    return _less(found, warm)


def copy_beside(path: Path, name: str, ending: str) -> Record | None:
    """Return the book ahead of the first level change, from the files beside; None: not there."""
    copies = [path.with_name(f"{name}_snapshot_{side}{ending}") for side in ("bids", "asks")]
    if not all(copy.is_file() for copy in copies):
        return None
    bids, asks = map(_levels, copies)
    copy = {"type": "snapshot", "product_id": name, "bids": bids, "asks": asks}
    return Record(0, _dumps(copy))


def _less(found: Verified, part: Verified) -> Verified:
    """Take off what was counted before."""
    names = [field.name for field in fields(Verified)]
    return Verified(**{name: getattr(found, name) - getattr(part, name) for name in names})


def _dumps(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def _qty(path: Path, line: int, text: str) -> str:
    """Write a quantity that went through a float as it was."""
    try:
        return format(as_decimal(text).quantize(QTY_STEP), "f")
    except (ProtocolError, ArithmeticError) as error:
        raise ProtocolError(f"{path}: line {line} has no size: {text[:40]!r}") from error


def _levels(path: Path) -> list[tuple[str, str]]:
    return [
        (_column(path, line, row, "price"), _qty(path, line, _column(path, line, row, "size")))
        for line, row in read_rows(path)
    ]


def _column(path: Path, line: int, row: Mapping[str, str], name: str) -> str:
    if name not in row:
        raise ProtocolError(f"{path}: line {line}: column {name} is missing")
    return row[name]


def level_changes(path: Path, product: str) -> Iterator[Record]:
    """Read one change a row as a message each; the time is the venue's."""
    for line, row in read_rows(path):
        side, price, time = (_column(path, line, row, name) for name in ("side", "price", "time"))
        qty = _qty(path, line, _column(path, line, row, "size"))
        message = {
            "type": "l2update", "product_id": product, "changes": [(side, price, qty)],
            "time": time,
        }  # fmt: skip
        yield Record(line, _dumps(message))


def messages(path: Path) -> Iterator[Record]:
    """Read one message a row; its empty columns are no members."""
    for line, row in read_rows(path):
        if "type" not in row:
            raise ProtocolError(f"{path}: line {line}: column type is missing")
        message: dict[str, Any] = {}
        for name in ("type", "product_id", *(one for one in row if one not in ("type", "_id"))):
            value = row.get(name, "")
            if not value:
                continue
            try:
                if name in LISTS:
                    message[name] = ast.literal_eval(value)
                elif name in ("sequence", "trade_id"):
                    message[name] = int(as_decimal(value))
                else:
                    message[name] = value
            except (ProtocolError, ValueError, SyntaxError) as error:
                raise ProtocolError(
                    f"{path}: line {line}: {name} is no value: {value[:40]!r}"
                ) from error
        yield Record(line, _dumps(message))


@final
class _Check:
    """Bind an instrument when its first snapshot tells the decimals it uses."""

    def __init__(self) -> None:
        self.decoder = CoinbaseDecoder()
        self.books: dict[str, Book] = {}
        # Of prices and quantities, by product, where they have been told.
        self.decimals: dict[str, tuple[int, int]] = {}
        self.errors = 0

    def run(self, records: Iterable[Record]) -> Verified:
        """Decode everything."""
        for record in records:
            if b'"snapshot"' in record.data[:64]:
                self._learn(record.data)
            told = self.decoder.decode(record.data, record.recv_ns)
            if told is Decoded.DECODED_SLOW:
                self.errors += not _known(record.data)
        return self._result()

    def _learn(self, data: bytes) -> None:
        try:
            message = as_object(loads(data))
            product = text_of(message, "product_id")
            rows = [as_list(one) for name in ("bids", "asks") for one in as_list(message[name])]
            price_decimals = max(decimals_of(row[0]) for row in rows)
        except (ProtocolError, KeyError, IndexError, ValueError):
            # Not what it looked like: the decoder says what it is.
            return
        if product and product not in self.books:
            book = self.books[product] = Book(outside_levels=OUTSIDE_LEVELS)
            told = self.decimals.get(product, (price_decimals, QTY_DECIMALS))
            price_decimals, qty_decimals = min(told[0], PRICE_DECIMALS_MAX), told[1]
            self.decoder.bind(
                product, len(self.books) - 1, book, 1, price_decimals, 1, qty_decimals, 0
            )

    def _result(self) -> Verified:
        counts = self.decoder.counters
        bad = ("parse_errors", "off_tick", "bounds", "capacity")
        return Verified(
            messages=counts["messages"],
            book_updates=counts["book_updates"],
            trades=counts["trades"],
            gaps=counts["trade_gaps"],
            resubscribed=sum(max(self.decoder.state(one)[0] - 1, 0) for one in self.books),
            crossed=counts["crossed"],
            errors=self.errors
            + sum(counts[name] for name in bad)
            + sum(book.state is BookState.BOOK_BROKEN for book in self.books.values()),
            skipped=counts["not_ready"] + counts["unbound"],
        )


def _known(data: bytes) -> bool:
    """Whether a message of no channel that the engine follows is well-formed all the same."""
    try:
        as_object(loads(data))
    except ProtocolError:
        return False
    return True


def decimals_of(text: Any) -> int:
    """Count the decimals that are used."""
    number: Decimal = as_decimal(text).normalize()
    return max(-int(number.as_tuple().exponent), 0)
