"""What a session's rows add up to, kept as they are booked and stored in their transaction.

A restart reads these sums and the fills of the last minute; neither it nor the report reads the
history. What is held in memory grows with hours, levels, assets and open lots, not with fills.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from openmm.settlement import store as tables
from openmm.settlement.causes import (
    HOUR_NS,
    Causes,
    CauseSums,
    FillMark,
    MarkoutSums,
)
from openmm.settlement.ledger import OPENING, Entry
from openmm.settlement.pnl import AverageCost, Fifo
from openmm.settlement.store import upsert

Row = dict[str, Any]
FEE, COST = "fee", "cost"
_TRADED = ("fills", "base_atoms", "quote_atoms", "captured_fills", "captured_quote_atoms",
           "captured_atoms")  # fmt: skip


@dataclass(slots=True)
class Position:
    """One pair's position by both methods, and what they realised."""

    average: AverageCost = field(default_factory=AverageCost)
    fifo: Fifo = field(default_factory=Fifo)
    realised_average_atoms: int = 0
    realised_fifo_atoms: int = 0
    stored_first: int = 0  # numbers of the lots that the store holds: from here
    stored_end: int = 0  # to before here

    def fill(self, side: int, base_atoms: int, quote_atoms: int) -> tuple[int, int]:
        """Take a fill in; return what it realised, by average cost and by FIFO."""
        average = self.average.fill(side, base_atoms, quote_atoms)
        fifo = self.fifo.fill(side, base_atoms, quote_atoms)
        self.realised_average_atoms += average
        self.realised_fifo_atoms += fifo
        return average, fifo


@final
class Tallies:
    """The sums of one session."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.causes = Causes()
        self.positions: dict[str, Position] = {}
        self._totals: dict[tuple[str, str, str], int] = {}  # account, asset, kind
        self._traded: dict[tuple[str, int, int], list[int]] = {}  # instrument, side, maker
        self._charges: dict[tuple[int, str, int, str, str, str], int] = {}
        self._rates: dict[tuple[str, str, int], tuple[int, int]] = {}  # of the hours since commit
        self._clear()

    def _clear(self) -> None:
        self._changed_totals: set[tuple[str, str, str]] = set()
        self._changed_traded: set[tuple[str, int, int]] = set()
        self._changed_positions: set[str] = set()
        self._changed_charges: set[tuple[int, str, int, str, str, str]] = set()
        self._rates.clear()
        self.causes.changed.clear()
        self.causes.changed_markouts.clear()

    # ---------------------------------------------------------------- adding

    def post(self, entry: Entry) -> None:
        """Add an entry's postings to the totals of their accounts."""
        for line in entry.postings:
            key = (line.account, line.asset, line.kind)
            self._totals[key] = self._totals.get(key, 0) + line.atoms
            self._changed_totals.add(key)

    def charge(self, entry: Entry, now_ns: int, venue: str, level: int, kind: str = FEE) -> None:
        """Add what an entry posted to fees or costs to its hour, venue and level."""
        for line in entry.postings:
            if line.account == kind:
                key = (now_ns // HOUR_NS, venue, level, kind, entry.name, line.asset)
                self._charges[key] = self._charges.get(key, 0) + line.atoms
                self._changed_charges.add(key)

    def trade(
        self, instrument: str, side: int, maker: int, amounts: tuple[int, int], captured: int | None
    ) -> tuple[int, int]:
        """Add a fill, base and quote atoms; return what it realised, by average cost and FIFO."""
        base_atoms, quote_atoms = amounts
        key = (instrument, side, maker)
        sums = self._traded.setdefault(key, [0] * len(_TRADED))
        sums[0] += 1
        sums[1] += base_atoms
        sums[2] += quote_atoms
        if captured is not None:
            sums[3] += 1
            sums[4] += quote_atoms
            sums[5] += captured
        self._changed_traded.add(key)
        position = self.positions.setdefault(instrument, Position())
        self._changed_positions.add(instrument)
        return position.fill(side, base_atoms, quote_atoms)

    def rate(self, venue: str, name: str, now_ns: int, price_uticks: int) -> None:
        """Note a price, to be found as its hour's last."""
        self._rates[venue, name, now_ns // HOUR_NS] = (price_uticks, now_ns)

    # ---------------------------------------------------------------- storing

    def write(self, connection: Connection) -> None:
        """Store what changed since the last time."""
        mine = {"session_id": self.session_id}
        upsert(connection, tables.account_total, [
            mine | dict(zip(("account", "asset", "kind"), key, strict=True))
            | {"atoms": self._totals[key]}
            for key in sorted(self._changed_totals)
        ])  # fmt: skip
        upsert(connection, tables.traded, [
            mine | dict(zip(("instrument", "side", "maker"), key, strict=True))
            | dict(zip(_TRADED, self._traded[key], strict=True))
            for key in sorted(self._changed_traded)
        ])  # fmt: skip
        upsert(connection, tables.charge, [
            mine | dict(zip(("hour", "venue", "level", "kind", "name", "asset"), key, strict=True))
            | {"atoms": self._charges[key]}
            for key in sorted(self._changed_charges)
        ])  # fmt: skip
        upsert(connection, tables.rate, [
            mine | {"venue": venue, "name": name, "hour": hour}
            | {"price_uticks": price, "ts_ns": ts_ns}
            for (venue, name, hour), (price, ts_ns) in sorted(self._rates.items())
        ])  # fmt: skip
        causes = self.causes
        upsert(connection, tables.cause, [
            mine | dict(zip(("hour", "venue", "level"), key, strict=True))
            | asdict(causes.sums[key])
            for key in sorted(causes.changed)
        ])  # fmt: skip
        upsert(connection, tables.markout, [
            mine | dict(zip(("hour", "venue", "level", "horizon_ms"), key, strict=True))
            | asdict(causes.markouts[key])
            for key in sorted(causes.changed_markouts)
        ])  # fmt: skip
        for name in sorted(self._changed_positions):
            self._write_position(connection, name, self.positions[name])

    def committed(self) -> None:
        """Note that what `write` stored is there to stay."""
        for name in self._changed_positions:
            position = self.positions[name]
            position.stored_first = position.fifo.closed_count
            position.stored_end = position.stored_first + len(position.fifo.lots)
        self._clear()

    def _write_position(self, connection: Connection, name: str, position: Position) -> None:
        mine = {"session_id": self.session_id, "instrument": name}
        fifo = position.fifo
        upsert(connection, tables.position, [
            mine | {
                "position_atoms": position.average.position_atoms,
                "basis_average_atoms": position.average.basis_atoms,
                "basis_fifo_atoms": fifo.basis_atoms,
                "realised_average_atoms": position.realised_average_atoms,
                "realised_fifo_atoms": position.realised_fifo_atoms,
                "lots_closed": fifo.closed_count,
            }
        ])  # fmt: skip
        table = tables.lot
        first, end = fifo.closed_count, fifo.closed_count + len(fifo.lots)
        if first > position.stored_first:
            connection.execute(
                sa.delete(table).where(
                    table.c.session_id == self.session_id,
                    table.c.instrument == name,
                    table.c.number < first,
                )
            )
        # Only the oldest lot may have changed; the newest are at the right end.
        fresh = list(islice(reversed(fifo.lots), end - max(first, position.stored_end)))
        rows = [mine | {"number": end - 1 - place, "base_atoms": lot[0], "quote_atoms": lot[1]}
                for place, lot in enumerate(fresh)]  # fmt: skip
        if fifo.lots and len(fresh) < len(fifo.lots):
            base_atoms, quote_atoms = fifo.lots[0]
            rows.append(mine | {
                "number": first, "base_atoms": base_atoms, "quote_atoms": quote_atoms
            })  # fmt: skip
        upsert(connection, table, rows)

    # ---------------------------------------------------------------- restart

    def restore(self, connection: Connection, marked: list[int], fills_of: str) -> None:
        """Take over what the store holds.

        Args:
            marked: of `Causes`.
            fills_of: the pair whose fills have causes.
        """
        for row in self._rows(connection, tables.account_total):
            self._totals[row.account, row.asset, row.kind] = row.atoms
        for row in self._rows(connection, tables.traded):
            values = [getattr(row, name) for name in _TRADED]
            self._traded[row.instrument, row.side, row.maker] = values
        for row in self._rows(connection, tables.charge):
            key = (row.hour, row.venue, row.level, row.kind, row.name, row.asset)
            self._charges[key] = row.atoms
        self._restore_positions(connection)
        self.causes = load_causes(connection, self.session_id, marked, fills_of)

    def ledger_totals(self) -> dict[tuple[str, str], int]:
        """Return the totals of the ledger's accounts."""
        out: dict[tuple[str, str], int] = {}
        for (account, asset, _kind), atoms in self._totals.items():
            out[account, asset] = out.get((account, asset), 0) + atoms
        return out

    def opened(self) -> list[str]:
        """Return the assets that have an opening."""
        return sorted({asset for account, asset, _ in self._totals if account == OPENING})

    def _restore_positions(self, connection: Connection) -> None:
        for row in self._rows(connection, tables.position):
            self.positions[row.instrument] = Position(
                AverageCost(row.position_atoms, row.basis_average_atoms),
                Fifo(position_atoms=row.position_atoms, basis_atoms=row.basis_fifo_atoms,
                     closed_count=row.lots_closed),
                row.realised_average_atoms, row.realised_fifo_atoms,
            )  # fmt: skip
        for row in self._rows(connection, tables.lot):
            self.positions[row.instrument].fifo.lots.append([row.base_atoms, row.quote_atoms])
        for position in self.positions.values():
            position.stored_first = position.fifo.closed_count
            position.stored_end = position.stored_first + len(position.fifo.lots)

    def _rows(self, connection: Connection, table: sa.Table) -> Iterator[Any]:
        return rows_of(connection, table, self.session_id)


def rows_of(connection: Connection, table: sa.Table, session_id: str) -> Iterator[Any]:
    """Yield a table's rows of a session, in the order of their keys."""
    statement = sa.select(table).where(table.c.session_id == session_id)
    yield from connection.execute(statement.order_by(*table.primary_key.columns))


def load_causes(
    connection: Connection, session_id: str, marked: list[int], instrument: str
) -> Causes:
    """Read the causes back, and the fills that wait to be marked."""
    causes = Causes()
    causes.marked = list(marked)
    for row in rows_of(connection, tables.cause, session_id):
        causes.sums[row.hour, row.venue, row.level] = CauseSums(
            row.fills, row.quote_atoms, row.spread_atoms, row.adverse_atoms, row.unsplit_atoms,
            row.matured_base_atoms, row.matured_atoms,
        )  # fmt: skip
    for row in rows_of(connection, tables.markout, session_id):
        causes.markouts[row.hour, row.venue, row.level, row.horizon_ms] = MarkoutSums(
            row.fills, row.late, row.quote_atoms, row.atoms
        )
    c = tables.fill.c
    columns = (c.record_index, c.arrived_ns, c.venue, c.level, c.side, c.base_atoms, c.quote_atoms,
               c.reference_uticks)  # fmt: skip
    statement = sa.select(*columns).where(
        c.session_id == session_id, c.record_index > min(marked), c.instrument == instrument,
        c.arrived_ns.is_not(None),
    ).order_by(c.record_index)  # fmt: skip
    causes.wait_again(
        FillMark.of(
            row.record_index, row.arrived_ns, (row.venue, row.level), row.side,
            (row.base_atoms, row.quote_atoms), row.reference_uticks,
        )
        for row in connection.execute(statement)
    )  # fmt: skip
    return causes
