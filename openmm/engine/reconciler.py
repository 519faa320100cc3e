"""Hold the books against the venue's word: balances, trade history, open orders; keep incidents.

Pure, like `step.py`, which owns it: statements come in as arguments, incidents go out as values.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import final

from msgspec import Struct
from msgspec.structs import replace

from openmm._fast.orders import OrderState
from openmm.engine.money import Money
from openmm.events import BalanceUpdated, OrderFilled, OrderUpdated
from openmm.execution.lifecycle import Lifecycle
from openmm.instrument import Instrument
from openmm.settlement.incidents import Cause, IncidentMoved, Incidents
from openmm.settlement.reconcile import (
    LAG_NS,
    LOOKS_MIN,
    RACE_NS,
    Comparison,
    Difference,
    FillWatch,
)

# What venues call a movement, to the words of incidents; any other is a transfer.
MOVES = {
    "deposit": Cause.DEPOSIT, "withdrawal": Cause.WITHDRAWAL, "withdraw": Cause.WITHDRAWAL,
}  # fmt: skip
RESTING = frozenset({OrderState.OPEN, OrderState.PARTIALLY_FILLED})
NAMED_MAX = 1000


class _Odd(Struct):
    """An order that the venue and we see otherwise."""

    cause: Cause
    first_ns: int
    looks: int = 1


@final
class Reconciler:
    """Judge what the venue says of one bot's account.

    Args:
        alert_above_ppm: of equity; people are told of a difference worth more.
        halt_above_ppm: of equity; the bot halts at one worth more.
        dedicated: nobody else uses the account: every asset on it is watched.
    """

    def __init__(
        self, money: Money, orders: Lifecycle, instrument: Instrument, *, alert_above_ppm: int,
        halt_above_ppm: int, dedicated: bool,
    ) -> None:  # fmt: skip
        self.incidents = Incidents()
        self.fills = FillWatch()
        self.agreed_ns = 0  # when a statement last agreed in every asset of the books
        self._money = money
        self._orders = orders
        self._instrument = instrument
        self._comparison = Comparison(money.totals)
        self._alert_above_ppm = alert_above_ppm
        self._halt_above_ppm = halt_above_ppm
        self._dedicated = dedicated
        self._odd: dict[str, _Odd] = {}
        self._adjusted: dict[str, str] = {}  # asset -> by whom and why, since it last agreed
        self._hints: dict[str, Cause] = {}  # asset -> what the stream told of it
        self._named: set[str] = set()

    @property
    def in_doubt(self) -> bool:
        """Whether the venue is to be asked again soon: it differs by what is on no record yet."""
        for asset in self._comparison.suspects:
            held = self.incidents.find_open("balance", asset)
            if held is None or held.amount not in self._comparison.amounts(asset):
                return True
        return bool(self._odd)

    def differs(self, asset: str) -> bool:
        """Whether a difference of an asset is on record and open."""
        return self.incidents.find_open("balance", asset) is not None

    def take(self) -> list[IncidentMoved]:
        """Return the incidents that moved, once."""
        return self.incidents.take()

    # ------------------------------------------------------------------ balances

    def on_balances(
        self, seen: Mapping[str, Decimal], asked_ns: int, now_ns: int, *, final: bool
    ) -> list[Difference]:
        """Judge a statement; return the differences at which the bot halts."""
        expected = self._money.expected
        if self._dedicated:
            expected = {**self._money.untouched(seen), **expected}
        found = self._comparison.take(expected, seen, asked_ns, now_ns, final=final)
        for asset in found.agreed:
            self._settle(asset, now_ns)
        for one in found.differences:
            self._differs(one)
        # Of what the bot trades with: an asset beside it proves nothing about its fills.
        if self._money.expected.keys() <= set(found.agreed):
            self.agreed_ns = now_ns
        return self._money.too_much(found.differences, self._halt_above_ppm)

    def _settle(self, asset: str, now_ns: int) -> None:
        by = self._adjusted.pop(asset, "")
        self._hints.pop(asset, None)
        why = f"adjusted by {by}" if by else "the venue's statement agrees with the books again"
        self.incidents.resolve("balance", asset, why, now_ns)

    def _differs(self, one: Difference) -> None:
        held = self.incidents.find_open("balance", one.asset)
        cause, why = self._cause(one)
        if held is not None and cause is Cause.UNKNOWN:
            cause = held.cause
        above = bool(self._money.too_much([one], self._alert_above_ppm)) or (
            # Nothing tells what an asset that is not traded is worth.
            self._money.difference_ticklots(one) == 0
        )
        self.incidents.open(
            "balance", one.asset, cause, f"balance differs: {one}{why}", one.since_ns,
            asset=one.asset, amount=one.amount, alert=above,
        )  # fmt: skip

    def _cause(self, one: Difference) -> tuple[Cause, str]:
        pair = self._instrument
        fill = self.fills.explain(one.asset, one.amount, pair.base, pair.quote)
        if fill is not None:
            if self.fills.doubled(fill):
                return Cause.DOUBLED_FILL, (
                    f": fill {fill.exec_id} is not in the venue's history, and looks like another "
                    f"of order {fill.venue_order_id}"
                )
            return Cause.UNLISTED_FILL, f": fill {fill.exec_id} is not in the venue's history"
        hint = self._hints.get(one.asset, Cause.UNKNOWN)
        return hint, "" if hint is Cause.UNKNOWN else f": {hint.value.replace('_', ' ')}"

    # ------------------------------------------------------------------ what the stream told

    def on_moved(self, event: BalanceUpdated, change: Decimal, now_ns: int) -> None:
        """Put on record money that moved by the venue's own word, and is booked."""
        cause = MOVES.get(event.kind, Cause.TRANSFER)
        text = f"{event.kind} of {change} {event.asset} on the account"
        self.incidents.note(
            "balance", event.asset, cause, text, now_ns, "told by the venue, booked as a transfer",
            asset=event.asset, amount=change, severity="info",
        )  # fmt: skip

    def on_balance(self, event: BalanceUpdated) -> None:
        """Remember what a change that moves no money of ours may explain later."""
        pair = self._instrument
        if event.kind == "trade" and event.asset not in (pair.base, pair.quote) and event.change:
            self._hints[event.asset] = Cause.THIRD_ASSET_FEE
        elif event.kind in MOVES:
            self._hints[event.asset] = MOVES[event.kind]

    def on_fill(self, fill: OrderFilled, now_ns: int, *, listed: bool, expected: bool) -> None:
        """Take a fill of ours that was just booked."""
        pair = self._instrument
        whole = fill if fill.qty is not None else replace(fill, qty=pair.qty(fill.qty_lots))
        self.fills.booked(whole, now_ns, listed=listed, expected=expected)
        for fee in fill.fees:
            if fee.asset in (pair.base, pair.quote) or not self._first(f"fee:{fee.asset}"):
                continue
            text = (
                f"fees are charged in {fee.asset}, which is not traded: fill {fill.exec_id} cost "
                f"{fee.amount:f}; they are booked, and no part of the P&L in {pair.quote}"
            )
            self.incidents.note(
                "balance", fee.asset, Cause.THIRD_ASSET_FEE, text, now_ns, "booked with its fill",
                asset=fee.asset, amount=-fee.amount,
            )  # fmt: skip

    def on_foreign_fill(self, fill: OrderFilled, moved: Collection[str], now_ns: int) -> None:
        """Take a fill on the account that is not this bot's; named once for each order."""
        if not moved or not self._first(f"order:{fill.venue_order_id}"):
            return
        text = (
            f"order {fill.venue_order_id} filled on this account and is not the bot's: "
            f"{' and '.join(moved)} moved"
        )
        pair = self._instrument
        qty = fill.qty if fill.qty is not None else pair.qty(fill.qty_lots)
        self.incidents.note(
            "fill", fill.exec_id, Cause.FOREIGN_FILL, text, now_ns,
            "every fill of it is booked as a transfer", asset=fill.instrument.partition("/")[0],
            amount=qty if fill.side == 1 else -qty,
        )  # fmt: skip

    def on_timer(self, now_ns: int) -> None:
        """Look for fills that the stream has not told of, though it should have by now."""
        for one in self.fills.missed(now_ns):
            fill, pair = one.fill, self._instrument
            qty = fill.qty or Decimal(0)
            text = (
                f"fill {fill.exec_id} of order {fill.venue_order_id} is in the venue's history and "
                "was never told by its stream"
            )
            self.incidents.note(
                "fill", fill.exec_id, Cause.MISSED_FILL, text, now_ns,
                "booked from the venue's history", asset=pair.base,
                amount=qty if fill.side == 1 else -qty, since_ns=one.found_ns,
            )  # fmt: skip

    def on_carried(self, carried: Mapping[str, Decimal], opening: Mapping[str, Decimal],
                   now_ns: int) -> None:  # fmt: skip
        """Compare what the last session left with what this one opens with."""
        for asset, left in sorted(carried.items()):
            one = Difference(asset, left, opening.get(asset, Decimal(0)))
            if one.amount:
                self.incidents.note(
                    "balance", asset, Cause.WHILE_DOWN,
                    f"balance moved since the last session: {one}", now_ns,
                    "in this session's opening balances", asset=asset, amount=one.amount,
                )  # fmt: skip

    # ------------------------------------------------------------------ an operator's word

    def on_adjusted(self, asset: str, by: str) -> None:
        """Remember who adjusted an asset: the next statement shows whether it was right."""
        self._adjusted[asset] = by

    # ------------------------------------------------------------------ orders

    def on_open_orders(
        self, listed: Sequence[OrderUpdated], asked_ns: int, now_ns: int
    ) -> tuple[list[OrderUpdated], list[int]]:
        """Hold the venue's open orders against ours.

        Returns:
            Orders of ours that the venue has open and we hold for ended, and the sequences of
            those we hold for open and the venue does not list: evidence is to be sought for both.
        """
        table = self._orders.pipeline.table
        there: list[OrderUpdated] = []
        named: set[str] = set()
        odd: dict[str, tuple[Cause, str]] = {}
        for state in listed:
            named.add(state.venue_order_id)
            seq = self._orders.seq(state.client_id, state.venue_order_id)
            order = table.get(seq) if seq else None
            if not seq or (order is not None and order.state < OrderState.FILLED):
                continue
            if self._orders.ended_ns(seq) > asked_ns - LAG_NS:
                continue
            there.append(state)
            odd[state.venue_order_id] = (
                Cause.OPEN_AT_VENUE, f"order {state.venue_order_id} is open though ended here",
            )  # fmt: skip
        gone: list[int] = []
        for order in table.live():
            if (
                order.venue_id
                and order.venue_id not in named
                and order.acted_ns <= asked_ns - LAG_NS
                and (order.state in RESTING or order.state is OrderState.UNKNOWN)
            ):
                if order.state in RESTING:
                    gone.append(order.seq)
                odd[order.venue_id] = (
                    Cause.MISSING_AT_VENUE,
                    f"order {order.venue_id} is open here and in no list of the venue's",
                )
        self._judge_orders(odd, now_ns)
        return there, gone

    def _judge_orders(self, odd: Mapping[str, tuple[Cause, str]], now_ns: int) -> None:
        for venue_id in [one for one in self._odd if one not in odd]:
            del self._odd[venue_id]
            self.incidents.resolve("order", venue_id, "both sides say the same again", now_ns)
        for venue_id, (cause, text) in odd.items():
            one = self._odd.get(venue_id)
            if one is None or one.cause is not cause:
                self._odd[venue_id] = _Odd(cause, now_ns)
                continue
            one.looks += 1
            if one.looks >= LOOKS_MIN and now_ns - one.first_ns >= RACE_NS:
                self.incidents.open("order", venue_id, cause, text, one.first_ns)

    def on_vanished(self, venue_order_id: str, now_ns: int) -> None:
        """Take it that the venue, asked again and again, knows nothing of an order it once had."""
        if self.incidents.find_open("order", venue_order_id) is None:
            self.incidents.note(
                "order", venue_order_id, Cause.MISSING_AT_VENUE,
                f"order {venue_order_id} was taken by the venue, which knows it no more", now_ns,
                "asked for twice and in no list: taken for gone",
            )  # fmt: skip

    # ------------------------------------------------------------------ inside

    def _first(self, what: str) -> bool:
        if what in self._named or len(self._named) >= NAMED_MAX:
            return False
        self._named.add(what)
        return True
