"""What a session earned: whole, by cause, in the reporting currency. From the store's sums only.

Every formula stands in docs/report.md and in `causes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context, Decimal
from fractions import Fraction
from itertools import pairwise

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from openmm import journal
from openmm._fast.units import UTICKS_PER_TICK
from openmm.instrument import Instrument
from openmm.settlement import store as tables
from openmm.settlement.causes import (
    HORIZONS_MS,
    HOUR_NS,
    CauseKey,
    Causes,
    MarkoutSums,
    Split,
    add_up,
    split_by_cause,
)
from openmm.settlement.pnl import Valuer
from openmm.settlement.tallies import COST, FEE, load_causes, rows_of

CURRENCY = "USD"  # of sessions whose configuration names none
CURRENCY_DIGITS = 8
_EXACT = Context(prec=60)


@dataclass(frozen=True, slots=True)
class PnlPart:
    """P&L of the session's fills in the quote asset; `net` is after fees and costs.

    `reference` is the last one seen; without one unrealised and total are None.
    """

    asset: str
    realised_average: Decimal
    realised_fifo: Decimal
    unrealised_average: Decimal | None
    unrealised_fifo: Decimal | None
    total: Decimal | None
    fees: Decimal | None  # in quote: base at the reference, others at their rates
    costs: Decimal | None
    net: Decimal | None
    unvalued_fees: tuple[str, ...]  # assets that no rate is known of: in none of these
    unvalued_costs: tuple[str, ...]
    position: Decimal
    reference: Decimal | None


@dataclass(frozen=True, slots=True)
class MarkoutPart:
    """What fills were worth some time later, against their price; weighted by notional."""

    bps: Decimal | None
    quote: Decimal
    fills: int
    late: int  # left out: no reference in time


@dataclass(frozen=True, slots=True)
class CausePart:
    """P&L in quote by cause: the first four make `total`; less fees and costs it is `net`."""

    fills: int
    volume: Decimal
    spread: Decimal
    adverse: Decimal
    drift: Decimal
    unsplit: Decimal  # of fills without a reference
    total: Decimal
    fees: Decimal
    costs: Decimal
    net: Decimal
    markouts: dict[str, MarkoutPart]


@dataclass(frozen=True, slots=True)
class ByCausePart:
    """P&L by cause; every breakdown adds up to `total`, and that to the ledger's P&L.

    `unexplained` is what is left: zero. `younger`: fills that had not aged a minute.
    """

    asset: str
    total: CausePart
    venues: dict[str, CausePart]
    levels: dict[str, CausePart]
    hours: dict[str, CausePart]
    younger: int
    unexplained: Decimal


@dataclass(frozen=True, slots=True)
class RatePart:
    """What a unit of an asset was worth in the reporting currency, by which journalled rates."""

    rate: Decimal
    by: str


@dataclass(frozen=True, slots=True)
class ReportingPart:
    """The P&L in the reporting currency, at the last journalled rates; None: no rate is known."""

    currency: str
    rates: dict[str, RatePart]
    unknown: tuple[str, ...]  # assets without a rate
    realised_average: Decimal | None
    realised_fifo: Decimal | None
    unrealised_average: Decimal | None
    unrealised_fifo: Decimal | None
    total: Decimal | None
    fees: Decimal | None
    costs: Decimal | None
    net: Decimal | None
    spread: Decimal | None
    adverse: Decimal | None
    drift: Decimal | None
    unsplit: Decimal | None


@dataclass(frozen=True, slots=True)
class MovementPart:
    """A named cost, transfer or adjustment; `amount` is what the account got."""

    ts_ns: int
    kind: str
    name: str
    ref: str
    account: str
    asset: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Results:
    """The figures of money."""

    pnl: PnlPart
    by_cause: ByCausePart | None  # None: booked by a version that did not know causes
    reporting: ReportingPart
    costs: dict[str, dict[str, Decimal]]  # by name and asset
    movements: tuple[MovementPart, ...]  # adjustments and costs, the last ones


MOVEMENTS_SHOWN = 200


def load_results(
    connection: Connection,
    session_id: str,
    pair: Instrument,
    decimals: Mapping[str, int],
    last_uticks: int | None,
) -> Results:
    """Compute the figures of a session.

    Args:
        last_uticks: the last reference, in microticks of the pair.
    """
    book = _Book(connection, session_id, pair, decimals, last_uticks)
    pnl = book.pnl()
    by_cause = book.by_cause(pnl)
    costs: dict[str, dict[str, Decimal]] = {}
    for (_, _, _, kind, name, asset), atoms in book.charges.items():
        if kind == COST:
            named = costs.setdefault(name, {})
            named[asset] = _EXACT.add(named.get(asset, Decimal(0)), book.amount(asset, atoms))
    return Results(pnl, by_cause, book.reporting(pnl, by_cause), costs, book.movements())


class Rates:
    """Journalled prices of pairs, and what they make an asset worth in another."""

    def __init__(self) -> None:
        self._prices: dict[str, list[tuple[str, Fraction, str]]] = {}  # asset: to, price, name

    def add(self, base: str, quote: str, price: Fraction, name: str) -> None:
        """Add what one base is worth in quote, and the other way round."""
        self._prices.setdefault(base, []).append((quote, price, name))
        self._prices.setdefault(quote, []).append((base, 1 / price, name))

    def find(self, asset: str, into: str) -> tuple[Fraction, str] | None:
        """Return what one unit is worth by the fewest rates, and their names; None: not known."""
        if asset == into:
            return Fraction(1), ""
        reached: dict[str, tuple[Fraction, str]] = {asset: (Fraction(1), "")}
        edge = [asset]
        while edge:
            further = []
            for here in edge:
                worth, by = reached[here]
                for there, price, name in self._prices.get(here, ()):
                    if there not in reached:
                        reached[there] = (worth * price, f"{by}, {name}" if by else name)
                        further.append(there)
            if into in reached:
                return reached[into]
            edge = further
        return None


class _Book:
    """The sums of one session, and what is made of them."""

    def __init__(
        self,
        connection: Connection,
        session_id: str,
        pair: Instrument,
        decimals: Mapping[str, int],
        last_uticks: int | None,
    ) -> None:
        self.connection, self.session_id, self.pair = connection, session_id, pair
        self.decimals, self.last_uticks = decimals, last_uticks
        row = connection.execute(
            sa.select(tables.session).where(tables.session.c.session_id == session_id)
        ).one()
        settlement = orjson.loads(row.config).get("settlement", {})
        self.venue: str = row.venue
        self.currency: str = settlement.get("currency", CURRENCY)
        self.valuer = Valuer(pair.tick_size, decimals[pair.base], decimals[pair.quote])
        self.charges = {
            (item.hour, item.venue, item.level, item.kind, item.name, item.asset): item.atoms
            for item in rows_of(connection, tables.charge, session_id)
        }
        self.references: dict[int, int] = {}
        self.rates = self._rates()

    def amount(self, asset: str, atoms: int) -> Decimal:
        return Decimal(atoms).scaleb(-self.decimals[asset], _EXACT)

    def quote(self, atoms: int) -> Decimal:
        return self.amount(self.pair.quote, atoms)

    def _rates(self) -> Rates:
        rates = Rates()
        if self.last_uticks is not None:
            price = Fraction(self.last_uticks, UTICKS_PER_TICK) * Fraction(self.pair.tick_size)
            rates.add(self.pair.base, self.pair.quote, price, f"{self.pair.name} reference")
        pairs = {
            (item.venue, item.name): journal.read_instrument(item.definition.encode())
            for item in rows_of(self.connection, tables.instrument, self.session_id)
        }
        last: dict[tuple[str, str], int] = {}
        for item in rows_of(self.connection, tables.rate, self.session_id):
            if (item.venue, item.name) == (self.venue, self.pair.name):
                self.references[item.hour] = item.price_uticks
            elif (item.venue, item.name) in pairs:
                last[item.venue, item.name] = item.price_uticks  # by hour: the last one stays
        for key, uticks in last.items():
            pair = pairs[key]
            price = Fraction(uticks, UTICKS_PER_TICK) * Fraction(pair.tick_size)
            rates.add(pair.base, pair.quote, price, f"{pair.name} of {key[0]}")
        return rates

    # ------------------------------------------------------------------ in quote

    def worth(self, asset: str) -> Callable[[int], int] | None:
        """Return what atoms of an asset are worth in quote atoms, rounded down; None: not known."""
        if asset == self.pair.quote:
            return lambda atoms: atoms
        found = self.rates.find(asset, self.pair.quote)
        if found is None:
            return None
        scale = Fraction(10) ** (self.decimals[self.pair.quote] - self.decimals[asset])
        per = found[0] * scale
        return lambda atoms: atoms * per.numerator // per.denominator

    def valued(self, kind: str) -> tuple[dict[CauseKey, int], tuple[str, ...]]:
        """Return fees or costs in quote atoms by hour, venue and level; and assets not valued.

        What an asset's charges are worth is rounded once; its parts take turns at the atoms.
        """
        out: dict[CauseKey, int] = {}
        unvalued = set()
        running: dict[str, int] = {}
        for (hour, venue, level, kind_, _, asset), atoms in sorted(self.charges.items()):
            if kind_ != kind or not atoms:
                continue
            worth = self.worth(asset)
            if worth is None:
                unvalued.add(asset)
                continue
            before = running.get(asset, 0)
            running[asset] = before + atoms
            key = (hour, venue, level)
            out[key] = out.get(key, 0) + worth(running[asset]) - worth(before)
        return out, tuple(sorted(unvalued))

    def _paid(self, account: str) -> tuple[int | None, tuple[str, ...]]:
        """Return what the ledger's account of fees or costs holds in quote atoms."""
        c = tables.account_total.c
        sums: dict[str, int] = {}
        for row in self.connection.execute(
            sa.select(c.asset, c.atoms).where(c.session_id == self.session_id, c.account == account)
        ):
            sums[row.asset] = sums.get(row.asset, 0) + row.atoms
        total, unvalued = 0, []
        for asset, atoms in sorted(sums.items()):
            worth = self.worth(asset)
            if worth is not None:
                total += worth(atoms)
            elif atoms:
                unvalued.append(asset)
        missing = self.pair.base in unvalued
        return None if missing else total, tuple(unvalued)

    def pnl(self) -> PnlPart:
        c = tables.position.c
        row = self.connection.execute(
            sa.select(tables.position).where(
                c.session_id == self.session_id, c.instrument == self.pair.name
            )
        ).first()
        held = row.position_atoms if row else 0
        average, fifo = (row.realised_average_atoms, row.realised_fifo_atoms) if row else (0, 0)
        basis_average = row.basis_average_atoms if row else 0
        basis_fifo = row.basis_fifo_atoms if row else 0
        unrealised_average = unrealised_fifo = total = None
        (fees, no_fees), (costs, no_costs) = self._paid(FEE), self._paid(COST)
        if self.last_uticks is not None or held == 0:
            value = self.valuer.atoms(held, self.last_uticks or 0)
            unrealised_average, unrealised_fifo = value - basis_average, value - basis_fifo
            total = average + unrealised_average
        net = None
        if total is not None and fees is not None and costs is not None:
            net = total - fees - costs
        return PnlPart(
            asset=self.pair.quote,
            realised_average=self.quote(average),
            realised_fifo=self.quote(fifo),
            unrealised_average=self._maybe(unrealised_average),
            unrealised_fifo=self._maybe(unrealised_fifo),
            total=self._maybe(total),
            fees=self._maybe(fees),
            costs=self._maybe(costs),
            net=self._maybe(net),
            unvalued_fees=no_fees,
            unvalued_costs=no_costs,
            position=self.amount(self.pair.base, held),
            reference=None if self.last_uticks is None else _decimal(
                Fraction(self.last_uticks, UTICKS_PER_TICK) * Fraction(self.pair.tick_size),
                self.pair.price_decimals + 6,
            ),
        )  # fmt: skip

    def _maybe(self, atoms: int | None) -> Decimal | None:
        return None if atoms is None else self.quote(atoms)

    # ------------------------------------------------------------------ by cause

    def _causes(self) -> tuple[Causes, int] | None:
        """Return the causes with every fill aged; None where not every fill has its cause."""
        row = self.connection.execute(
            sa.select(tables.progress).where(tables.progress.c.session_id == self.session_id)
        ).one()
        state = orjson.loads(row.state)
        causes = load_causes(
            self.connection, self.session_id, state.get("marked", Causes().marked), self.pair.name
        )
        c = tables.traded.c
        fills = self.connection.execute(
            sa.select(sa.func.coalesce(sa.func.sum(c.fills), 0)).where(
                c.session_id == self.session_id, c.instrument == self.pair.name
            )
        ).scalar_one()
        if sum(one.fills for one in causes.sums.values()) != fills:
            return None
        younger = causes.waiting_count
        if self.last_uticks is not None:
            causes.settle(self.valuer, row.last_ts_ns, self.last_uticks)
        return causes, younger

    def by_cause(self, pnl: PnlPart) -> ByCausePart | None:
        """Split the P&L; None where the ledger has no total, or the causes are not known."""
        found = self._causes()
        if found is None or pnl.total is None:
            return None
        causes, younger = found
        parts = split_by_cause(self.valuer, causes.sums, self.references, self.last_uticks)
        for kind in (FEE, COST):
            for key, atoms in self.valued(kind)[0].items():
                part = parts.setdefault(key, Split())
                if kind == FEE:
                    part.fees_atoms += atoms
                else:
                    part.costs_atoms += atoms
        whole = self._part(parts, causes, lambda _: "")[""] if parts else self._cause(Split(), [])
        explained = _EXACT.subtract(whole.total, pnl.total)
        for mine, theirs in ((whole.fees, pnl.fees), (whole.costs, pnl.costs)):
            explained = _EXACT.add(explained, _EXACT.subtract(theirs or Decimal(0), mine))
        return ByCausePart(
            asset=self.pair.quote,
            total=whole,
            venues=self._part(parts, causes, lambda key: key[1]),
            levels=self._part(parts, causes, lambda key: "-" if key[2] < 0 else str(key[2])),
            hours=self._part(parts, causes, lambda key: _hour(key[0])),
            younger=younger,
            unexplained=_EXACT.minus(explained),
        )

    def _part(
        self, parts: Mapping[CauseKey, Split], causes: Causes, name: Callable[[CauseKey], str]
    ) -> dict[str, CausePart]:
        """Add parts and markouts up by a name."""
        splits: dict[str, list[Split]] = {}
        for key, part in sorted(parts.items()):
            splits.setdefault(name(key), []).append(part)
        markouts: dict[str, list[tuple[int, MarkoutSums]]] = {}
        for (hour, venue, level, horizon_ms), sums in causes.markouts.items():
            markouts.setdefault(name((hour, venue, level)), []).append((horizon_ms, sums))
        return {
            key: self._cause(add_up(found), markouts.get(key, []))
            for key, found in sorted(splits.items())
        }

    def _cause(self, part: Split, found: Iterable[tuple[int, MarkoutSums]]) -> CausePart:
        markouts = {}
        found = list(found)
        for horizon_ms in HORIZONS_MS:
            mine = [sums for horizon, sums in found if horizon == horizon_ms]
            atoms, notional = sum(one.atoms for one in mine), sum(one.quote_atoms for one in mine)
            markouts[f"{Decimal(horizon_ms) / 1000}s"] = MarkoutPart(
                bps=_decimal(Fraction(atoms * 10_000, notional), 4) if notional else None,
                quote=self.quote(atoms),
                fills=sum(one.fills for one in mine),
                late=sum(one.late for one in mine),
            )
        return CausePart(
            fills=part.fills,
            volume=self.quote(part.quote_atoms),
            spread=self.quote(part.spread_atoms),
            adverse=self.quote(part.adverse_atoms),
            drift=self.quote(part.drift_atoms),
            unsplit=self.quote(part.unsplit_atoms),
            total=self.quote(part.total_atoms),
            fees=self.quote(part.fees_atoms),
            costs=self.quote(part.costs_atoms),
            net=self.quote(part.net_atoms),
            markouts=markouts,
        )

    # ------------------------------------------------------------------ in the reporting currency

    def reporting(self, pnl: PnlPart, by_cause: ByCausePart | None) -> ReportingPart:
        """Convert the figures at the last journalled rates."""
        assets = {self.pair.quote, *pnl.unvalued_fees, *pnl.unvalued_costs}
        assets |= {key[5] for key, atoms in self.charges.items() if atoms}
        rates, unknown = {}, []
        for asset in sorted(assets):
            found = self.rates.find(asset, self.currency)
            if found is None:
                unknown.append(asset)
            else:
                rates[asset] = RatePart(_decimal(found[0], 12), found[1] or "the currency itself")
        found = self.rates.find(self.pair.quote, self.currency)
        cause = None if by_cause is None else by_cause.total
        names = ("spread", "adverse", "drift", "unsplit")
        # Rounded along their running sum, so that the parts add up to the whole here too.
        parts = dict.fromkeys(names, None) if cause is None else dict(
            zip(names, self._share([getattr(cause, name) for name in names], found), strict=True)
        )  # fmt: skip

        def told(amount: Decimal | None) -> Decimal | None:
            return None if amount is None else self._share([amount], found)[0]

        total, fees, costs = told(pnl.total), told(pnl.fees), told(pnl.costs)
        net = None
        if total is not None and fees is not None and costs is not None and pnl.net is not None:
            net = _EXACT.subtract(_EXACT.subtract(total, fees), costs)
        return ReportingPart(
            currency=self.currency, rates=rates, unknown=tuple(unknown),
            realised_average=told(pnl.realised_average), realised_fifo=told(pnl.realised_fifo),
            unrealised_average=told(pnl.unrealised_average),
            unrealised_fifo=told(pnl.unrealised_fifo),
            total=total, fees=fees, costs=costs, net=net, **parts,
        )  # fmt: skip

    def _share(
        self, amounts: list[Decimal], rate: tuple[Fraction, str] | None
    ) -> list[Decimal | None]:
        if rate is None:
            return [None] * len(amounts)
        running = [Fraction(0)]
        for amount in amounts:
            running.append(running[-1] + Fraction(amount) * rate[0])
        rounded = [_decimal(one, CURRENCY_DIGITS) for one in running]
        return [_EXACT.subtract(after, before) for before, after in pairwise(rounded)]

    # ------------------------------------------------------------------ movements

    def movements(self) -> tuple[MovementPart, ...]:
        """Return adjustments and costs, latest last."""
        c = tables.movement.c
        statement = (
            sa.select(tables.movement)
            .where(c.session_id == self.session_id, c.kind.in_(("adjustment", "cost")))
            .order_by(c.record_index.desc())
            .limit(MOVEMENTS_SHOWN)
        )
        return tuple(
            MovementPart(
                row.ts_ns, row.kind, row.name, row.ref, row.account, row.asset,
                self.amount(row.asset, row.atoms),
            )
            for row in reversed(self.connection.execute(statement).all())
        )  # fmt: skip


def _hour(hour: int) -> str:
    return datetime.fromtimestamp(hour * HOUR_NS // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:00Z")


def _decimal(value: Fraction, digits: int) -> Decimal:
    """Round a fraction half to even at a number of decimals."""
    return Decimal(round(value * 10**digits)).scaleb(-digits, _EXACT)
