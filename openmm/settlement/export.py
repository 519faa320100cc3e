"""Export a session: every table to CSV or Parquet, and the trades as an accountant wants them.

Amounts are exact decimals in whole units of the asset that stands beside them, times are UTC in
ISO 8601 to the nanosecond; what a table holds in ticks, lots or atoms stays beside it as it is.
Rows are streamed, so that memory does not grow with the session.

A cell that a spreadsheet would take for a formula is written with an apostrophe before it. Source:
OWASP, "CSV Injection". Numbers are left as they are.
"""

from __future__ import annotations

import csv
import importlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Protocol

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from openmm import journal
from openmm._fast.orders import OrderEvent, OrderState
from openmm.address import public_plain
from openmm.errors import LedgerError
from openmm.instrument import Instrument
from openmm.settlement import store as tables
from openmm.settlement.ledger import BUY
from openmm.settlement.store import Store

FORMATS = ("csv", "parquet")
ROWS_AT_ONCE = 5_000
TRADES = "trades"
_EXACT = Context(prec=60)
_FORMULA = re.compile(r"^[\s\x00]*[=+\-@\t\r]")
_NUMBER = re.compile(r"^-?\d+(\.\d+)?$")
_ASSET = "asset"

TRADE_COLUMNS = (
    ("time", "time"), ("kind", "text"), ("venue", "text"), ("pair", "text"), ("side", "text"),
    ("base_amount", "decimal"), ("base_asset", "text"), ("quote_amount", "decimal"),
    ("quote_asset", "text"), ("price", "decimal"), ("fee_amount", "decimal"),
    ("fee_asset", "text"), ("role", "text"), ("execution_id", "text"), ("order_id", "text"),
    ("client_id", "text"), ("session", "text"), ("note", "text"),
)  # fmt: skip
Column = tuple[str, str]  # name; int, text, whole, decimal or time
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """One file that was written."""

    table: str
    path: Path
    rows: int


class Moment(int):
    """Nanoseconds since 1970, to be written as a time."""


class Writer(Protocol):
    """What takes rows of text and numbers."""

    def write(self, rows: Sequence[Sequence[object]]) -> None:
        """Append rows."""

    def close(self) -> None:
        """Finish the file."""


def export(
    store_url: str,
    session_ids: Sequence[str],
    folder: Path,
    form: str = "csv",
    on_progress: Progress | None = None,
) -> list[Exported]:
    """Write a file for each table, and `trades`; the store is only read.

    Args:
        session_ids: the sessions, in the order of the rows.
        form: csv or parquet.
        on_progress: called with a table's name, its rows so far and in all.

    Raises:
        LedgerError: no such session, or a folder or package that is not there.
    """
    if form not in FORMATS:
        raise LedgerError(f"known formats are {', '.join(FORMATS)}; got {form!r}")
    store = Store(store_url, create=False)
    try:
        with store.reading() as connection:
            return _Export(connection, session_ids, folder, form, on_progress).run()
    except OSError as error:
        raise LedgerError(f"cannot write {error.filename}: {error.strerror}") from None
    finally:
        store.close()


def sessions_of(store_url: str, bot: str | None, session: str | None) -> list[str]:
    """List the sessions of a bot, or the one that is named, oldest first.

    Raises:
        LedgerError: there is none.
    """
    table = tables.session
    statement = sa.select(table.c.session_id).order_by(table.c.started_ns, table.c.session_id)
    if session is not None:
        statement = statement.where(table.c.session_id == session)
    elif bot is not None:
        statement = statement.where(table.c.bot == bot)
    store = Store(store_url, create=False)
    try:
        with store.reading() as connection:
            found = list(connection.execute(statement).scalars())
    finally:
        store.close()
    if not found:
        raise LedgerError(f"the store holds no session {session or f'of {bot}'}")
    return found


# ---------------------------------------------------------------- tables


class _Export:
    def __init__(
        self,
        connection: Connection,
        session_ids: Sequence[str],
        folder: Path,
        form: str,
        on_progress: Progress | None,
    ) -> None:
        self._connection = connection
        self._ids = list(session_ids)
        self._folder = folder
        self._form = form
        self._on_progress = on_progress
        self._units: dict[str, _Units] = {}

    def run(self) -> list[Exported]:
        self._folder.mkdir(parents=True, exist_ok=True)
        for one in self._ids:
            self._units[one] = _Units(self._connection, one)
        out = [self._table(table) for table in tables.metadata.sorted_tables]
        out.append(self._file(TRADES, TRADE_COLUMNS, self._trades(), self._count_trades()))
        return out

    def _table(self, table: sa.Table) -> Exported:
        names = [column.name for column in table.columns]
        moments = [name for name in names if name in MOMENTS]
        amounts = [(n, kind) for n in names if (kind := _amount_of(table.name, n)) is not None]
        heads: list[Column] = [(column.name, _type_of(column)) for column in table.columns]
        heads += [(f"{name[:-3]}_time", "time") for name in moments]
        heads += [(_plain(name), "text" if kind in WORDS else "decimal") for name, kind in amounts]

        def rows() -> Iterator[list[object]]:
            for row in self._rows(sa.select(table), *table.primary_key.columns):
                units = self._units[row.session_id]
                values = row._mapping
                if table.name == tables.session.name:
                    config = public_plain(orjson.loads(values["config"]))
                    values = {**values, "config": orjson.dumps(config).decode()}
                yield [
                    *(values[name] for name in names),
                    *(None if values[name] is None else Moment(values[name]) for name in moments),
                    *(units.amount(name, kind, values) for name, kind in amounts),
                ]

        return self._file(table.name, heads, rows(), self._count(table))

    def _rows(self, statement: Any, *order: Any) -> Iterator[Any]:
        table = statement.get_final_froms()[0]
        for one in self._ids:
            mine = statement.where(table.c.session_id == one).order_by(*order)
            # Or the driver would fetch the whole answer first.
            options = self._connection.execution_options(yield_per=ROWS_AT_ONCE)
            with options.execute(mine) as found:
                yield from found

    def _count(self, table: sa.Table, *where: Any) -> int:
        statement = sa.select(sa.func.count()).where(table.c.session_id.in_(self._ids), *where)
        return self._connection.execute(statement).scalar_one()

    def _file(
        self, name: str, heads: Sequence[Column], rows: Iterator[Sequence[object]], count: int
    ) -> Exported:
        path = self._folder / f"{name}.{self._form}"
        done = 0
        with ExitStack() as stack:
            part = path.with_name(f".{path.name}.part")  # whole or not there
            writer: Writer = (_Csv if self._form == "csv" else _Parquet)(part, heads)
            stack.callback(writer.close)
            batch: list[Sequence[object]] = []
            for row in rows:
                batch.append(row)
                if len(batch) >= ROWS_AT_ONCE:
                    writer.write(batch)
                    done += len(batch)
                    batch = []
                    if self._on_progress is not None:
                        self._on_progress(name, done, count)
            writer.write(batch)
            done += len(batch)
        part.replace(path)
        if self._on_progress is not None:
            self._on_progress(name, done, done)
        return Exported(name, path, done)

    # ------------------------------------------------------------ trades

    def _count_trades(self) -> int:
        p = tables.posting.c
        return self._count(tables.fill) + self._count(tables.posting, *self._other(p))  # at least

    def _other(self, p: Any) -> tuple[Any, ...]:
        """Postings of money that no fill moved: what an account of ours got."""
        theirs = ("fee", "cost", "trading")
        return (
            p.kind.in_(OTHER_KINDS), p.account.not_in(theirs), p.account.not_like("equity:%")
        )  # fmt: skip

    def _trades(self) -> Iterator[list[object]]:
        """Merge fills with what else moved the account, in the order of the journal."""
        for one in self._ids:
            units = self._units[one]
            c, p = tables.fill.c, tables.posting.c
            options = self._connection.execution_options(yield_per=ROWS_AT_ONCE)
            wanted = sa.or_(sa.and_(*self._other(p)), sa.and_(p.kind == FEE, p.account == FEE))
            with (
                options.execute(
                    sa.select(tables.fill).where(c.session_id == one).order_by(c.record_index)
                ) as fills,
                options.execute(
                    sa.select(tables.posting)
                    .where(p.session_id == one, wanted)
                    .order_by(p.record_index, p.line)
                ) as moves,
            ):
                yield from _merge(iter(fills), iter(moves), units)


# Kinds of postings that get a line of their own; of fills and openings others tell.
OTHER_KINDS = ("transfer", "cost", "adjustment")
FEE = "fee"


def _merge(fills: Iterator[Any], moves: Iterator[Any], units: _Units) -> Iterator[list[object]]:
    """Give each fill its fees, and every other movement a line of its own."""
    move = next(moves, None)
    for fill in fills:
        while move is not None and move.record_index < fill.record_index:
            yield units.movement(move)
            move = next(moves, None)
        fees = []
        while move is not None and move.record_index == fill.record_index:
            fees.append(move)
            move = next(moves, None)
        yield units.fill(fill, fees[0] if fees else None)
        # A fee in a second asset cannot stand on the same line.
        for fee in fees[1:]:
            yield units.movement(fee)
    while move is not None:
        yield units.movement(move)
        move = next(moves, None)


# ---------------------------------------------------------------- units


class _Units:
    """What one session's integers are worth."""

    def __init__(self, connection: Connection, session_id: str) -> None:
        row = connection.execute(
            sa.select(tables.session).where(tables.session.c.session_id == session_id)
        ).first()
        if row is None:
            raise LedgerError(f"the store holds no session {session_id!r}")
        self.session_id, self.venue = session_id, row.venue
        mine = sa.select(tables.asset).where(tables.asset.c.session_id == session_id)
        self._decimals = {item.asset: item.decimals for item in connection.execute(mine)}
        self._pairs: dict[str, Instrument] = {}
        mine = sa.select(tables.instrument).where(tables.instrument.c.session_id == session_id)
        for item in connection.execute(mine):
            if item.venue == row.venue:
                self._pairs[item.name] = journal.read_instrument(item.definition.encode())
        self._pair = self._pairs.get(row.instrument)

    def atoms(self, asset: str, atoms: int) -> Decimal:
        """Convert atoms, exactly."""
        return Decimal(atoms).scaleb(-self._decimals[asset], _EXACT)

    def amount(self, name: str, kind: str, row: Mapping[str, Any]) -> object:
        """Convert one value of a row to whole units; to words where it is a state or a side."""
        value = row[name]
        if value is None:
            return None
        if kind == "side":
            return _side(value)
        if kind == "state":
            known = value in OrderState._value2member_map_
            return OrderState(value).name.lower() if known else str(value)
        if kind == "event":
            known = value in OrderEvent._value2member_map_
            return OrderEvent(value).name.removeprefix("EV_").lower() if known else str(value)
        pair = self._pairs.get(str(row.get("instrument", ""))) or self._pair
        if kind == _ASSET:
            return self.atoms(str(row[_ASSET]), int(value))
        if pair is None:
            return None
        if kind == "price":
            return pair.price(value)
        if kind == "qty":
            return pair.qty(value)
        if kind == "uticks":
            return _EXACT.multiply(Decimal(value).scaleb(-6, _EXACT), pair.tick_size)
        return self.atoms(pair.base if kind == "base" else pair.quote, int(value))

    def fill(self, fill: Any, fee: Any | None) -> list[object]:
        """Make an accountant's line of a fill: what came is positive, what went negative."""
        pair = self._pairs[fill.instrument]
        sign = 1 if fill.side == BUY else -1
        base = self.atoms(pair.base, sign * fill.base_atoms)
        quote = self.atoms(pair.quote, -sign * fill.quote_atoms)
        paid = None if fee is None else self.atoms(fee.asset, fee.atoms)
        return [
            Moment(fill.ts_ns), "trade", fill.venue, fill.instrument, _side(fill.side), base,
            pair.base, quote, pair.quote, pair.price(fill.price_ticks), paid,
            None if fee is None else fee.asset, "maker" if fill.maker else "taker", fill.exec_id,
            fill.venue_order_id, fill.client_id, self.session_id, "",
        ]  # fmt: skip

    def movement(self, move: Any) -> list[object]:
        """Make a line of money that no fill moved, or of a fee that stands alone."""
        amount = self.atoms(move.asset, move.atoms)
        fee = move.kind == FEE
        kind = move.kind
        if kind == "transfer":
            kind = "deposit" if amount > 0 else "withdrawal"
        return [
            Moment(move.ts_ns), kind, self.venue if fee else move.account.removeprefix("venue:"),
            None, None, None if fee else amount,
            None if fee else move.asset, None, None, None, amount if fee else None,
            move.asset if fee else None, None, None, None, None, self.session_id, move.ref,
        ]  # fmt: skip


def iso(ts_ns: int) -> str:
    """Write a time in UTC, to the nanosecond."""
    at = datetime.fromtimestamp(ts_ns // 10**9, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{ts_ns % 10**9:09d}Z"


MOMENTS = frozenset({"ts_ns", "started_ns", "ended_ns", "created_ns", "last_ts_ns", "arrived_ns"})
WORDS = frozenset({"side", "state", "event"})


def _type_of(column: sa.Column[Any]) -> str:
    """Tell how a column is written: sums of any size have more digits than 64 bits hold."""
    if isinstance(column.type, sa.Integer):
        return "int"
    return "whole" if isinstance(column.type, sa.types.TypeDecorator) else "text"


def _amount_of(table: str, name: str) -> str | None:
    """Tell what a column counts: an asset's atoms, base, quote, price, qty, uticks, a word."""
    if table in ("posting", "balance", "account_total", "movement", "statement") and name.endswith(
        "atoms"
    ):
        return _ASSET
    if table == "fill" and name.endswith("_atoms"):
        return "base" if name in ("base_atoms", "position_atoms") else "quote"
    if table in ("order", "fill", "transition", "refusal", "touch"):
        for suffix, kind in (("price_ticks", "price"), ("_lots", "qty"), ("_uticks", "uticks")):
            if name.endswith(suffix):
                return kind
        if table == "touch" and name.endswith("_ticks"):
            return "price"
        if name == "side":
            return "side"
        if name in ("state", "from_state", "to_state"):
            return "state"
        if name == "event":
            return "event"
    return None


def _plain(name: str) -> str:
    """Name the column that holds a converted value."""
    for suffix in ("_atoms", "_ticks", "_lots", "_uticks"):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return {"atoms": "amount"}.get(name, f"{name}_name")


def _side(side: int) -> str:
    return {1: "buy", 2: "sell"}.get(side, "")


# ---------------------------------------------------------------- files


def safe(value: object) -> str:
    """Write a cell: exact, and no formula to any spreadsheet."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Moment):
        return iso(value)
    text = str(value)
    if isinstance(value, str) and _FORMULA.match(text) and not _NUMBER.match(text):
        return f"'{text}"
    return text


class _Csv:
    def __init__(self, path: Path, heads: Sequence[Column]) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._out = csv.writer(self._file)
        self._out.writerow([name for name, _ in heads])

    def write(self, rows: Sequence[Sequence[object]]) -> None:
        self._out.writerows([[safe(value) for value in row] for row in rows])

    def close(self) -> None:
        self._file.close()


class _Parquet:
    """Amounts are decimals of 38 digits, 18 behind the point; one that needs more is refused."""

    def __init__(self, path: Path, heads: Sequence[Column]) -> None:
        try:
            arrow = importlib.import_module("pyarrow")
            parquet = importlib.import_module("pyarrow.parquet")
        except ModuleNotFoundError as error:
            raise LedgerError(
                f"Parquet needs a package that is not installed ({error.name}): "
                "pip install 'openmm-engine[research]'",
                code="no_driver",
            ) from None
        kinds = {
            "int": arrow.int64(), "text": arrow.string(), "whole": arrow.decimal128(38, 0),
            "decimal": arrow.decimal128(38, 18), "time": arrow.timestamp("ns", "UTC"),
        }  # fmt: skip
        self._arrow = arrow
        self._schema = arrow.schema([(name, kinds[kind]) for name, kind in heads])
        self._whole = [kind == "whole" for _, kind in heads]
        self._out = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: Sequence[Sequence[object]]) -> None:
        if not rows:
            return
        columns = []
        for field, whole, cells in zip(
            self._schema, self._whole, zip(*rows, strict=True), strict=True
        ):
            told = [None if c is None else Decimal(c) for c in cells] if whole else list(cells)
            columns.append(self._arrow.array(told, field.type))
        self._out.write_batch(self._arrow.record_batch(columns, schema=self._schema))

    def close(self) -> None:
        self._out.close()
