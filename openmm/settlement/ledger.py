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
| `wallet:<name>`, `hedge:<name>` | what paid for them, where that was no account of ours here |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal

from openmm.errors import LedgerError
from openmm.events import Fee
from openmm.instrument import Instrument
from openmm.journal import BalanceRecord, FillRecord
from openmm.settlement.reconcile import Difference, reconcile

ATOMS_MAX = (1 << 63) - 1
WHOLE_DIGITS = 15  # of an asset met for the first time: three below what an atom can count
DECIMALS_MAX = 10  # of an atom: 18 digits leave 8 before the point
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)  # moving a point rounds nothing
BUY = 1
SELL = 2
# Balance records that are statements or follow from fills: they move no money by themselves.
STATEMENTS = frozenset({"opening", "closing", "snapshot"})
FROM_FILLS = frozenset({"trade"})
# Kinds that are booked under their own name; whatever else moves money is a transfer.
COST_KIND = "cost"
ADJUSTMENT_KIND = "adjustment"  # an operator's correction; its reference says why
FOREIGN_KIND = "foreign_fill"  # another's trade on our account: its fee is none of ours

OPENING = "equity:opening"
TRANSFER = "equity:transfer"
ADJUSTMENT = "equity:adjustment"
TRADING = "trading"
FEE = "fee"
COST = "cost"
FILL_LEGS = (0, 2)  # lines of a fill's entry: base and quote in the venue's account


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
    name: str = ""  # why: of a cost or an adjustment


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
    A fill is known by its execution id, everything else by kind, reference and asset. What is known
    is what was booked since `forget`, and what `know` told: a store holds the rest.

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
        if not amount.is_finite():
            raise LedgerError(f"amount of {asset} is not a number: {amount}")
        decimals = self.decimals.get(asset)
        if decimals is None:
            # Of a coin that is held by the billion the last decimals give way, not the ledger.
            whole_digits = max(0, amount.adjusted() + 1)
            decimals = max(0, min(DECIMALS_MAX, WHOLE_DIGITS - whole_digits))
            self.decimals[asset] = decimals
        scaled = amount.scaleb(decimals, _EXACT)
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
        if record.kind == COST_KIND:
            return self.book_cost(
                record.asset, record.change.copy_negate(), record.ref_id,
                name=record.name, account=record.account,
            )  # fmt: skip
        if record.kind == ADJUSTMENT_KIND:
            return self.adjust(record.asset, record.change, record.ref_id)
        change, fee = record.change, record.fee
        if record.kind == FOREIGN_KIND:
            change, fee = change - fee, Decimal(0)
        return self.book_transfer(record.asset, change, movement_ref(record), fee)

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
        """Book a deposit (positive), a withdrawal (negative) or the like; kept out of P&L.

        Once per reference and asset; one that ends with a colon names none, and always counts.
        """
        key = ("transfer", ref, asset)
        if key in self._transfers:
            return None
        inexact: list[Fee] = []
        postings = self._pair("transfer", TRANSFER, asset, self._convert(asset, change, inexact))
        if fee:
            postings += self._pair("fee", FEE, asset, -self._convert(asset, fee, inexact))
        entry = self._post(ref, postings, inexact)
        if not ref.endswith(":"):
            self._transfers.add(key)
        return entry

    def book_cost(
        self, asset: str, amount: Decimal, ref: str, *, name: str = "cost", account: str = ""
    ) -> Entry | None:
        """Book gas, a hedge's cost or another that no fill carries; once per reference and asset.

        Args:
            amount: what was paid; negative: given back.
            name: what it was for.
            account: what paid, `wallet:base` or the like; empty: the venue's account.
        """
        key = (COST_KIND, ref, asset)
        if key in self._transfers:
            return None
        inexact: list[Fee] = []
        atoms = self._convert(asset, amount, inexact)
        postings = self._pair(COST_KIND, COST, asset, -atoms, account)
        entry = self._post(ref, postings, inexact, name)
        self._transfers.add(key)
        return entry

    def adjust(self, asset: str, amount: Decimal, name: str) -> Entry:
        """Book a named correction of what the venue holds; the name must say why."""
        if not name.strip():
            raise LedgerError(f"an adjustment of {amount} {asset} needs a name")
        inexact: list[Fee] = []
        atoms = self._convert(asset, amount, inexact)
        postings = self._pair(ADJUSTMENT_KIND, ADJUSTMENT, asset, atoms)
        return self._post(name, postings, inexact, name)

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
        self.forget()
        self.know(exec_ids, transfers)

    def know(
        self, exec_ids: Iterable[str] = (), transfers: Iterable[tuple[str, str, str]] = ()
    ) -> None:
        """Tell of executions, and of (kind, reference, asset), that have been booked before."""
        self._exec_ids.update(exec_ids)
        self._transfers.update(transfers)

    def forget(self) -> None:
        """Let go of what was booked: the caller's store knows it, and tells before it is needed."""
        self._exec_ids.clear()
        self._transfers.clear()

    # ---------------------------------------------------------------- inside

    def _convert(self, asset: str, amount: Decimal, inexact: list[Fee]) -> int:
        atoms, exact = self.atoms(asset, amount)
        if not exact:
            inexact.append(Fee(asset, amount))
        return atoms

    def _pair(
        self, kind: str, against: str, asset: str, atoms: int, account: str = ""
    ) -> list[Posting]:
        return [
            Posting(kind, account or self.account, asset, atoms),
            Posting(kind, against, asset, -atoms),
        ]

    def _post(self, ref: str, postings: list[Posting], inexact: list[Fee], name: str = "") -> Entry:
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
        return Entry(ref, tuple(postings), tuple(inexact), name)


def movement_ref(record: BalanceRecord) -> str:
    """Return the reference that a movement of money is known by."""
    if record.kind in (COST_KIND, ADJUSTMENT_KIND):
        return record.ref_id
    return f"{record.kind}:{record.ref_id}"
