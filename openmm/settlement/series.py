"""What a session's plots show, read from the store in one pass each and thinned out on the way.

Memory does not grow with the session: each line keeps the least and the greatest of each of its
spans. What is drawn is no figure of the report: those are exact, and computed in `report`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from openmm import journal
from openmm._fast.units import UTICKS_PER_TICK
from openmm.errors import LedgerError
from openmm.instrument import Instrument
from openmm.settlement import store as tables
from openmm.settlement.ledger import BUY
from openmm.settlement.plots import BUCKETS, Envelope, Point
from openmm.settlement.store import Store
from openmm.settlement.touch import SECOND_NS

COLUMNS = 60
ROWS_AT_ONCE = 5_000
EVENTS_MAX = 200  # of a kind on the page; the newest


@dataclass(slots=True)
class Series:
    """Lines, columns and rows of one session. Prices and amounts in whole units of their asset."""

    start_ns: int
    end_ns: int
    base: str
    quote: str
    config: str
    lines: dict[str, Envelope] = field(default_factory=dict)
    buys: list[Point] = field(default_factory=list)
    sells: list[Point] = field(default_factory=list)
    fill_count: int = 0
    spread_bps: list[float | None] = field(default_factory=list)
    up_share: list[float | None] = field(default_factory=list)
    commands: list[dict[str, Any]] = field(default_factory=list)


LINES = (
    "reference", "best_bid", "best_ask", "own_bid", "own_ask", "holdings", "target", "pnl",
)  # fmt: skip


class Loader:
    """Read one session."""

    def __init__(self, connection: Connection, session_id: str) -> None:
        self._connection = connection
        self._id = session_id
        row = connection.execute(
            sa.select(tables.session).where(tables.session.c.session_id == session_id)
        ).one()
        progress = connection.execute(
            sa.select(tables.progress).where(tables.progress.c.session_id == session_id)
        ).one()
        self._decimals = {item.asset: item.decimals for item in self._rows(sa.select(tables.asset))}
        self._pair = self._find_pair(row.venue, row.instrument)
        end_ns = max(row.ended_ns or progress.last_ts_ns, row.started_ns + SECOND_NS)
        self.series = Series(row.started_ns, end_ns, self._pair.base, self._pair.quote, row.config)
        self.series.lines = {name: Envelope(row.started_ns, end_ns) for name in LINES}
        self._tick = float(self._pair.tick_size)
        self._venue = f"venue:{row.venue}"

    def load(self) -> Series:
        """Read everything."""
        self._prices()
        self._fills()
        self._holdings()
        self._commands()
        return self.series

    # ---------------------------------------------------------------- inside

    def _find_pair(self, venue: str, name: str) -> Instrument:
        for item in list(self._rows(sa.select(tables.instrument))):
            if (item.venue, item.name) == (venue, name):
                return journal.read_instrument(item.definition.encode())
        raise LedgerError(f"session {self._id} has no record of {name}")

    def _rows(self, statement: Any, *order: Any) -> Iterator[Any]:
        """Read a session's rows a few thousand at a time."""
        table = statement.get_final_froms()[0]
        statement = statement.where(table.c.session_id == self._id).order_by(*order)
        options = self._connection.execution_options(yield_per=ROWS_AT_ONCE)
        with options.execute(statement) as found:
            yield from found

    def _end_of(self, second: int) -> int:
        """Return when the state held that a second was stored with: its last moment."""
        return min((second + 1) * SECOND_NS, self.series.end_ns)

    def _column(self, ts_ns: int) -> int:
        series = self.series
        place = (ts_ns - series.start_ns) * COLUMNS // (series.end_ns - series.start_ns)
        return min(max(place, 0), COLUMNS - 1)

    def _prices(self) -> None:
        """Read the seconds: prices, and how long both sides were up."""
        up, observed = [0] * COLUMNS, [0] * COLUMNS
        lines, tick = self.series.lines, self._tick
        for item in self._rows(sa.select(tables.touch), tables.touch.c.second):
            ts_ns = self._end_of(item.second)
            lines["reference"].add(ts_ns, _scaled(item.reference_uticks, tick / UTICKS_PER_TICK))
            for name in ("best_bid", "best_ask", "own_bid", "own_ask"):
                lines[name].add(ts_ns, _scaled(getattr(item, f"{name}_ticks"), tick))
            place = self._column(item.second * SECOND_NS)
            up[place] += item.both_deep_ns
            observed[place] += item.observed_ns
        self.series.up_share = [
            100 * part / whole if whole else None for part, whole in zip(up, observed, strict=True)
        ]

    def _fills(self) -> None:
        """Read the fills: where they were, what spread they captured, the P&L as it went."""
        c = tables.fill.c
        span = (self.series.start_ns, self.series.end_ns, BUCKETS // 2)
        marks = {True: Envelope(*span), False: Envelope(*span)}
        captured, notional = [0] * COLUMNS, [0] * COLUMNS
        base_unit = 10.0 ** -self._decimals.get(self._pair.base, 0)
        quote_unit = 10.0 ** -self._decimals.get(self._pair.quote, 0)
        position = cash = 0
        prices = self._references()
        reference = next(prices, None)
        price: float | None = None
        pnl = self.series.lines["pnl"]
        pnl.add(self.series.start_ns, 0.0)
        mine = sa.select(tables.fill).where(c.instrument == self._pair.name)
        for item in self._rows(mine, c.record_index):
            while reference is not None and reference[0] <= item.ts_ns:
                price = reference[1]
                pnl.add(reference[0], position * base_unit * price + cash * quote_unit)
                reference = next(prices, None)
            self.series.fill_count += 1
            buy = item.side == BUY
            sign = 1 if buy else -1
            position += sign * item.base_atoms
            cash -= sign * item.quote_atoms
            marks[buy].add(item.ts_ns, item.price_ticks * self._tick)
            at = item.price_ticks * self._tick if price is None else price
            pnl.add(item.ts_ns, position * base_unit * at + cash * quote_unit)
            if item.captured_atoms is not None:
                place = self._column(item.ts_ns)
                captured[place] += item.captured_atoms
                notional[place] += item.quote_atoms
        while reference is not None:
            pnl.add(reference[0], position * base_unit * reference[1] + cash * quote_unit)
            reference = next(prices, None)
        self.series.buys = [point for part in marks[True].parts() for point in part]
        self.series.sells = [point for part in marks[False].parts() for point in part]
        self.series.spread_bps = [
            10_000 * part / whole if whole else None
            for part, whole in zip(captured, notional, strict=True)
        ]

    def _references(self) -> Iterator[tuple[int, float]]:
        c = tables.touch.c
        known = sa.select(tables.touch).where(c.reference_uticks.is_not(None))
        for item in self._rows(known, c.second):
            price = item.reference_uticks * self._tick / UTICKS_PER_TICK
            yield self._end_of(item.second), price

    def _holdings(self) -> None:
        """Read what the account held of base, and what it was meant to hold."""
        p = tables.posting.c
        unit = 10.0 ** -self._decimals.get(self._pair.base, 0)
        mine = sa.select(tables.posting).where(p.account == self._venue, p.asset == self._pair.base)
        seconds = (
            item for item in self._rows(sa.select(tables.touch), tables.touch.c.second)
            if item.share_ppm and item.target_ppm is not None
        )  # fmt: skip
        wanted = next(seconds, None)
        atoms, opened = 0, False
        lines = self.series.lines

        def aim(until_ns: int) -> None:
            nonlocal wanted
            while wanted is not None and (ts_ns := self._end_of(wanted.second)) <= until_ns:
                held = atoms * unit
                if opened:
                    lines["holdings"].add(ts_ns, held)
                    # The share wanted of what the account is worth, at the price of that second.
                    lines["target"].add(ts_ns, held * wanted.target_ppm / wanted.share_ppm)
                wanted = next(seconds, None)

        for item in self._rows(mine, p.record_index, p.line):
            aim(item.ts_ns)
            atoms, opened = atoms + item.atoms, True
            lines["holdings"].add(item.ts_ns, atoms * unit)
        aim(self.series.end_ns)
        if opened:
            lines["holdings"].add(self.series.end_ns, atoms * unit)

    def _commands(self) -> None:
        c = tables.operator_command.c
        newest = sa.select(tables.operator_command).limit(EVENTS_MAX)
        rows = self._rows(newest, c.record_index.desc())
        self.series.commands = [dict(row._mapping) for row in rows][::-1]


def _scaled(value: int | None, unit: float) -> float | None:
    return None if value is None else value * unit


def load_series(store_url: str, session_id: str) -> Series:
    """Read what the plots of a session show. The store is only read."""
    store = Store(store_url, create=False)
    try:
        with store.reading() as connection:
            return Loader(connection, session_id).load()
    finally:
        store.close()
