"""What the account holds: exact amounts by asset, and the inventory that the hot path reads.

Amounts are decimals as the venue states them. The inventory counts in lots and ticklots: it is the
exact total, rounded down once, so that it never shows more than there is however many fees finer
than a lot were charged.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import final

from msgspec.structs import replace

from openmm import journal
from openmm._fast.pipeline import Pipeline
from openmm._fast.tape import Record
from openmm._fast.units import UTICKS_PER_TICK, Side
from openmm.events import BalanceUpdated, Fee, OrderFilled
from openmm.instrument import Instrument
from openmm.risk.monitor import RiskMonitor
from openmm.settlement.reconcile import Difference, Totals

FOREIGN = "foreign_fill"  # kind of a balance record: a fill on the account that is not this bot's
ADJUSTMENT = "adjustment"  # kind of a balance record: an operator's correction
# Kinds of balance records that move nothing: statements, and what fills have moved already.
STILL = frozenset({"trade", "snapshot"})
REFS_MAX = 10_000


@final
class Money:
    """Keep what one bot's account holds.

    Args:
        monitor: told of money that moved for another reason than our fills, so that it is no P&L.
    """

    def __init__(self, pipeline: Pipeline, instrument: Instrument, monitor: RiskMonitor) -> None:
        self.balances: dict[str, Decimal] = {}  # as the venue last stated them
        self.fees: dict[str, Decimal] = {}
        self.expected: dict[str, Decimal] = {}
        self.totals = Totals()
        self._others: dict[str, Decimal] = {}  # opening of assets nothing was posted in yet
        self._refs: dict[tuple[str, str, str], None] = {}  # movements told before
        self._pipeline = pipeline
        self._instrument = instrument
        self._monitor = monitor
        self._moved_ns = 0

    def set_opening(
        self, opening: Mapping[str, Decimal], now_ns: int,
        others: Mapping[str, Decimal] | None = None,
    ) -> None:  # fmt: skip
        """Take the opening balances of base and quote; what we hold follows from here on.

        Args:
            others: balances of assets that are not traded; booked as opening once one moves.
        """
        instrument = self._instrument
        self.expected = {}
        self._others = dict(others or {})
        for asset, total in opening.items():
            self._open(asset, total, now_ns)
        self._pipeline.inventory.set_balances(
            self.base_lots(opening[instrument.base]), self.quote_ticklots(opening[instrument.quote])
        )

    def quiet_ns(self, now_ns: int) -> int:
        """Return how long ago money last moved."""
        return now_ns - self._moved_ns

    # ------------------------------------------------------------------ what moves it

    def open_fees(self, event: OrderFilled, now_ns: int) -> None:
        """Open the assets that a fill is charged in and nothing was posted in before."""
        for fee in event.fees:
            self.open(fee.asset, now_ns)

    def open(self, asset: str, now_ns: int) -> None:
        """Take an asset into the books with what was there at the start, if it is not in them."""
        if asset not in self.expected:
            self._open(asset, self._others.get(asset, Decimal(0)), now_ns)

    def untouched(self, named: Collection[str]) -> dict[str, Decimal]:
        """Return what was there of assets that nothing was posted in, those named included."""
        return {
            asset: self._others.get(asset, Decimal(0))
            for asset in {*self._others, *named} - set(self.expected)
        }

    def on_fill(self, event: OrderFilled, now_ns: int) -> None:
        """Book a fill of ours and its fees."""
        inventory, instrument = self._pipeline.inventory, self._instrument
        inventory.fill(event.side, event.price_ticks, event.qty_lots)
        sign = 1 if event.side == Side.BUY else -1
        self._post(instrument.base, sign * instrument.qty(event.qty_lots), now_ns)
        self._post(instrument.quote, -sign * event.cost, now_ns)
        for fee in event.fees:
            self._on_fee(fee, now_ns)
        self._settle()

    def _on_fee(self, fee: Fee, now_ns: int) -> None:
        self._post(fee.asset, -fee.amount, now_ns)
        self.fees[fee.asset] = self.fees.get(fee.asset, Decimal(0)) + fee.amount
        if fee.asset == self._instrument.quote:
            # Up, a rebate down: the P&L never looks better than it is.
            unit = self._instrument.tick_size * self._instrument.lot_size
            self._pipeline.inventory.fee(int((fee.amount / unit).to_integral_value(ROUND_CEILING)))

    def on_foreign_fill(self, event: OrderFilled, now_ns: int) -> list[str]:
        """Take a fill on the account that is not this bot's; returns the assets of ours it moved.

        What we hold changes, P&L does not. The ledger books it as a transfer.
        """
        base, _, quote = event.instrument.partition("/")
        qty = event.qty
        if qty is None and event.instrument == self._instrument.name:
            qty = self._instrument.qty(event.qty_lots)
        sign = 1 if event.side == Side.BUY else -1
        changes = {base: sign * qty if qty is not None else Decimal(0), quote: -sign * event.cost}
        fees = {fee.asset: Decimal(0) for fee in event.fees}
        for fee in event.fees:
            fees[fee.asset] += fee.amount
        moved = []
        for asset in sorted({*changes, *fees} & set(self.expected)):
            change, fee_amount = changes.get(asset, Decimal(0)), fees.get(asset, Decimal(0))
            record = BalanceUpdated(
                asset, self.expected[asset] + change - fee_amount, change, fee_amount, FOREIGN,
                event.exec_id, event.ts_ns,
            )  # fmt: skip
            self._append(record, now_ns)
            self._transfer(asset, change - fee_amount, now_ns)
            moved.append(asset)
        return moved

    def on_balance(self, event: BalanceUpdated, now_ns: int) -> Decimal | None:
        """Take what the venue says of an asset; returns the change if it was no fill's."""
        self.balances[event.asset] = event.total
        moved = event.change
        if event.kind in STILL or moved is None:
            self._append(event, now_ns)
            return None
        # Where a movement has no name, its moment and what it left tell it from the next.
        ref = event.ref_id or f"{event.ts_ns}:{event.total:f}"
        event = replace(event, ref_id=ref)
        key = (event.kind, ref, event.asset)
        if key in self._refs:
            return None
        self._refs[key] = None
        if len(self._refs) > REFS_MAX:
            del self._refs[next(iter(self._refs))]
        change = moved - event.fee
        if event.asset not in self.expected:
            self._open(event.asset, event.total - change, now_ns)
        self._append(event, now_ns)
        self._post(event.asset, change, now_ns)
        if event.asset in (self._instrument.base, self._instrument.quote):
            self._tell_transfer(event.asset, change)
            self._settle()
        return change

    def adjust(self, asset: str, amount: Decimal, name: str, now_ns: int) -> None:
        """Book an operator's correction of what the venue holds; no P&L."""
        total = self.expected[asset] + amount
        event = BalanceUpdated(asset, total, amount, Decimal(0), ADJUSTMENT, name, now_ns)
        self._append(event, now_ns)
        self._transfer(asset, amount, now_ns)

    def on_cost(
        self, asset: str, amount: Decimal, ref: str, name: str, account: str, now_ns: int
    ) -> None:
        """Put a cost on record that no venue told: gas, a hedge's fee. The ledger books it once.

        It was paid from another account than the venue's, so that nothing here moves.
        """
        self._pipeline.append(
            Record.REC_BALANCE, self._pipeline.feed.index, now_ns,
            journal.cost_record(asset, amount, ref, name, account, now_ns),
        )  # fmt: skip

    # ------------------------------------------------------------------ compared with the venue

    def difference_ticklots(self, one: Difference) -> int | None:
        """Return what a difference is worth; None where nothing tells, 0 for an asset not traded.

        A base difference is worth the reference, or what the inventory was last marked at.
        """
        if one.asset == self._instrument.quote:
            return abs(self.quote_ticklots(one.amount))
        if one.asset != self._instrument.base:
            return 0
        price_uticks = self._pipeline.reference.price_uticks
        if price_uticks is None:
            price_uticks = self._pipeline.inventory.mark_uticks
        if not price_uticks:
            return None
        return abs(self.base_lots(one.amount)) * price_uticks // UTICKS_PER_TICK

    def too_much(self, found: Sequence[Difference], share_ppm: int) -> list[Difference]:
        """Return the differences worth more than a share of equity, or whose worth is not known."""
        equity = self._pipeline.inventory.equity_ticklots
        beyond = []
        for one in found:
            worth = self.difference_ticklots(one)
            if worth == 0:
                continue
            if worth is None or equity is None or worth * 1_000_000 > share_ppm * equity:
                beyond.append(one)
        return beyond

    # ------------------------------------------------------------------ units

    def quote_ticklots(self, amount: Decimal) -> int:
        """Convert an amount of the quote asset to ticklots, rounded down."""
        unit = self._instrument.tick_size * self._instrument.lot_size
        return int((amount / unit).to_integral_value(ROUND_FLOOR))

    def base_lots(self, amount: Decimal) -> int:
        """Convert an amount of the base asset to lots, rounded down."""
        return self._instrument.floor_lots(amount)

    # ------------------------------------------------------------------ inside

    def _post(self, asset: str, change: Decimal, now_ns: int) -> None:
        self.expected[asset] = self.expected.get(asset, Decimal(0)) + change
        self.totals.note(asset, self.expected[asset], now_ns)
        self._moved_ns = now_ns

    def _open(self, asset: str, total: Decimal, now_ns: int) -> None:
        self.expected[asset] = total
        self.totals.note(asset, total, now_ns)
        opened = BalanceUpdated(asset, total, None, Decimal(0), "opening", "", now_ns)
        self._append(opened, now_ns)

    def _transfer(self, asset: str, change: Decimal, now_ns: int) -> None:
        self._post(asset, change, now_ns)
        self._tell_transfer(asset, change)
        self._settle()

    def _tell_transfer(self, asset: str, change: Decimal) -> None:
        if asset == self._instrument.quote:
            self._monitor.on_transfer(self.quote_ticklots(change))
        elif asset == self._instrument.base:
            reference = self._pipeline.reference.price_uticks
            if reference is None:
                reference = self._pipeline.inventory.mark_uticks or 0
            self._monitor.on_transfer(self.base_lots(change) * reference // UTICKS_PER_TICK)

    def _settle(self) -> None:
        """Bring the inventory to the exact totals, rounded down."""
        inventory, instrument = self._pipeline.inventory, self._instrument
        if not self.expected or inventory.base_lots is None or inventory.quote_ticklots is None:
            return
        inventory.adjust(
            self.base_lots(self.expected[instrument.base]) - inventory.base_lots,
            self.quote_ticklots(self.expected[instrument.quote]) - inventory.quote_ticklots,
        )

    def _append(self, event: BalanceUpdated, now_ns: int) -> None:
        self._pipeline.append(
            Record.REC_BALANCE, self._pipeline.feed.index, now_ns,
            journal.balance_record(event),
        )  # fmt: skip
