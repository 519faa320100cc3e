"""The ledger: every unit of money in double entry, in integer atoms of its asset.

An entry is a list of postings; per asset its debits equal its credits. Debits are positive.

| account | holds |
|---|---|
| `venue:<name>` | what the venue holds for us: must equal its own statement |
| `equity:opening` | what was there when the session began |
| `equity:transfer` | deposits, withdrawals and whatever else is no result of trading |
| `equity:adjustment` | named corrections |
| `trading` | the other side of every fill: what we gave and took |
| `fee` | fees paid (rebates negative) |
| `cost` | gas and other named costs |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from openmm.errors import LedgerError
from openmm.events import Fee
from openmm.instrument import Instrument
from openmm.journal import BalanceRecord, FillRecord
from openmm.settlement.reconcile import Difference, reconcile

ATOMS_MAX = (1 << 63) - 1
DECIMALS_MAX = 10  # of an atom: 18 digits leave 8 before the point
BUY = 1
SELL = 2
# Balance records that are statements or follow from fills: they move no money by themselves.
STATEMENTS = frozenset({"opening", "closing", "snapshot"})
FROM_FILLS = frozenset({"trade"})
ADJUSTED = "adjustment"  # an operator's correction; its reference says why

OPENING = "equity:opening"
TRANSFER = "equity:transfer"
ADJUSTMENT = "equity:adjustment"
TRADING = "trading"
FEE = "fee"
COST = "cost"


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of an entry. Debit positive, credit negative."""

    kind: str
    account: str
    asset: str
    atoms: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What one event did. `inexact`: amounts that are finer than an atom and were rounded."""

    ref: str
    postings: tuple[Posting, ...]
    inexact: tuple[Fee, ...] = ()


def ledger_decimals(instruments: Iterable[Instrument]) -> dict[str, int]:
    """Choose decimals per asset so that any price times quantity is a whole number of atoms.

    At most `DECIMALS_MAX`; an amount finer than that is rounded half to even, and named.
    """
    found: dict[str, int] = {}
    for pair in instruments:
        for asset, decimals in (
            (pair.base, max(pair.base_decimals, pair.qty_decimals)),
            (pair.quote, max(pair.quote_decimals, pair.price_decimals + pair.qty_decimals)),
        ):
            found[asset] = max(found.get(asset, 0), min(decimals, DECIMALS_MAX))
    return found


class Ledger:
    """Book one venue's account over one session.

    Every `book_*` method returns the entry it made, or None when the event was booked before.
    A fill is known by its execution id, a transfer by kind, reference and asset.

    Args:
        venue: the account is `venue:<venue>`.
        decimals: of an atom, by asset; an asset not named gets `DECIMALS_MAX`.
    """

    def __init__(self, venue: str, decimals: Mapping[str, int] | None = None) -> None:
        self.venue = venue
        self.account = f"venue:{venue}"
        self.decimals: dict[str, int] = dict(decimals or {})
        self.totals: dict[tuple[str, str], int] = {}  # (account, asset) -> atoms
        self.opened: set[str] = set()
        self._exec_ids: set[str] = set()
        self._transfers: set[tuple[str, str, str]] = set()

    # ---------------------------------------------------------------- units

    def atoms(self, asset: str, amount: Decimal) -> tuple[int, bool]:
        """Convert an amount to atoms, half to even; True when that was exact."""
        decimals = self.decimals.setdefault(asset, DECIMALS_MAX)
        if not amount.is_finite():
            raise LedgerError(f"amount of {asset} is not a number: {amount}")
        scaled = _scaled(amount, decimals)
        whole = int(scaled.to_integral_value(ROUND_HALF_EVEN))
        if abs(whole) > ATOMS_MAX:
            raise LedgerError(f"amount of {asset} is beyond the ledger: {amount}")
        return whole, scaled == whole

    def amount(self, asset: str, atoms: int) -> Decimal:
        """Convert atoms to an amount, exactly."""
        sign, digits, _ = Decimal(atoms).as_tuple()
        return Decimal((sign, digits, -self.decimals.setdefault(asset, DECIMALS_MAX)))

    # ---------------------------------------------------------------- booking

    def book_fill(self, fill: FillRecord, pair: Instrument) -> Entry | None:
        """Book both legs and every fee of a fill."""
        if fill.exec_id in self._exec_ids:
            return None
        if fill.side not in (BUY, SELL):
            raise LedgerError(f"fill {fill.exec_id} has no side: {fill.side}")
        sign = 1 if fill.side == BUY else -1
        inexact: list[Fee] = []
        base = self._convert(pair.base, pair.qty(fill.qty_lots), inexact)
        quote = self._convert(pair.quote, fill.cost, inexact)
        postings = [
            Posting("fill", self.account, pair.base, sign * base),
            Posting("fill", TRADING, pair.base, -sign * base),
            Posting("fill", self.account, pair.quote, -sign * quote),
            Posting("fill", TRADING, pair.quote, sign * quote),
        ]
        for fee in fill.fees:
            paid = self._convert(fee.asset, fee.amount, inexact)
            postings += [
                Posting("fee", self.account, fee.asset, -paid),
                Posting("fee", FEE, fee.asset, paid),
            ]
        entry = self._post(fill.exec_id, postings, inexact)
        self._exec_ids.add(fill.exec_id)
        return entry

    def book_balance(self, record: BalanceRecord) -> Entry | None:
        """Book an opening statement, or money that moved for another reason than a fill.

        The first statement of an asset opens it: what the venue states, less what fills have moved
        already. Later statements are for `differences` and move nothing.
        """
        if record.kind in STATEMENTS:
            if record.asset in self.opened or record.kind == "closing":
                return None
            return self.open(record.asset, record.total)
        if record.kind in FROM_FILLS or record.change is None:
            return None
        if record.kind == ADJUSTED:
            return self.adjust(record.asset, record.change, record.ref_id)
        return self.book_transfer(
            record.asset, record.change, f"{record.kind}:{record.ref_id}", record.fee
        )

    def open(self, asset: str, total: Decimal) -> Entry:
        """Book what was there before the session."""
        if asset in self.opened:
            raise LedgerError(f"{asset} has been opened before")
        inexact: list[Fee] = []
        atoms = self._convert(asset, total, inexact) - self.totals.get((self.account, asset), 0)
        self.opened.add(asset)
        return self._post("opening", self._pair("opening", OPENING, asset, atoms), inexact)

    def book_transfer(
        self, asset: str, change: Decimal, ref: str, fee: Decimal = Decimal(0)
    ) -> Entry | None:
        """Book a deposit (positive), a withdrawal (negative) or the like; kept out of P&L."""
        key = ("transfer", ref, asset)
        if key in self._transfers:
            return None
        inexact: list[Fee] = []
        postings = self._pair("transfer", TRANSFER, asset, self._convert(asset, change, inexact))
        if fee:
            postings += self._pair("fee", FEE, asset, -self._convert(asset, fee, inexact))
        entry = self._post(ref, postings, inexact)
        self._transfers.add(key)
        return entry

    def book_cost(self, asset: str, amount: Decimal, ref: str) -> Entry | None:
        """Book gas or another cost that no fill carries; once per reference."""
        key = ("cost", ref, asset)
        if key in self._transfers:
            return None
        inexact: list[Fee] = []
        atoms = self._convert(asset, amount, inexact)
        entry = self._post(ref, self._pair("cost", COST, asset, -atoms), inexact)
        self._transfers.add(key)
        return entry

    def adjust(self, asset: str, amount: Decimal, name: str) -> Entry:
        """Book a named correction of what the venue holds; the name must say why."""
        if not name.strip():
            raise LedgerError(f"an adjustment of {amount} {asset} needs a name")
        inexact: list[Fee] = []
        atoms = self._convert(asset, amount, inexact)
        return self._post(name, self._pair("adjustment", ADJUSTMENT, asset, atoms), inexact)

    # ---------------------------------------------------------------- reading

    def balance(self, asset: str) -> Decimal:
        """What the venue must hold of an asset, by this ledger."""
        return self.amount(asset, self.totals.get((self.account, asset), 0))

    @property
    def assets(self) -> list[str]:
        """Every asset that something was posted in, sorted."""
        return sorted({asset for _, asset in self.totals})

    def differences(self, venue_totals: Mapping[str, Decimal]) -> list[Difference]:
        """Compare `opening + postings` with the venue's statement; return what differs, sorted.

        An asset that either side does not name counts as zero there.
        """
        expected = {asset: self.balance(asset) for asset in set(self.assets) | set(venue_totals)}
        return reconcile(expected, venue_totals)

    def restore(
        self,
        totals: Mapping[tuple[str, str], int],
        *,
        opened: Iterable[str] = (),
        exec_ids: Iterable[str] = (),
        transfers: Iterable[tuple[str, str, str]] = (),
    ) -> None:
        """Take over what a store holds, to go on booking after a restart."""
        self.totals = dict(totals)
        self.opened = set(opened)
        self._exec_ids = set(exec_ids)
        self._transfers = set(transfers)

    # ---------------------------------------------------------------- inside

    def _convert(self, asset: str, amount: Decimal, inexact: list[Fee]) -> int:
        atoms, exact = self.atoms(asset, amount)
        if not exact:
            inexact.append(Fee(asset, amount))
        return atoms

    def _pair(self, kind: str, against: str, asset: str, atoms: int) -> list[Posting]:
        return [
            Posting(kind, self.account, asset, atoms),
            Posting(kind, against, asset, -atoms),
        ]

    def _post(self, ref: str, postings: list[Posting], inexact: list[Fee]) -> Entry:
        sums: dict[str, int] = {}
        totals: dict[tuple[str, str], int] = {}
        for line in postings:
            sums[line.asset] = sums.get(line.asset, 0) + line.atoms
            key = (line.account, line.asset)
            totals[key] = totals.get(key, self.totals.get(key, 0)) + line.atoms
            if abs(totals[key]) > ATOMS_MAX:
                raise LedgerError(f"balance of {line.asset} in {line.account} is beyond the ledger")
        assert not any(sums.values()), f"debits differ from credits: {postings}"
        self.totals.update(totals)
        return Entry(ref, tuple(postings), tuple(inexact))


def _scaled(amount: Decimal, decimals: int) -> Decimal:
    """Move the point without the context's rounding."""
    sign, digits, exponent = amount.as_tuple()
    assert isinstance(exponent, int)
    return Decimal((sign, digits, exponent + decimals))
