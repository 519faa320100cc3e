"""Carry out what operators and their clients ask of a running bot.

Each command that acts is journalled before it does, with who sent it and whether it may; what it
does to the bot's state goes through an entry of the step, so that a replay comes to the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias, final

from msgspec import Struct
from msgspec.structs import asdict

from openmm import journal
from openmm._fast.book import BookState
from openmm._fast.checks import Reason, RiskState
from openmm._fast.orders import OrderView
from openmm._fast.tape import Record
from openmm._fast.units import Side
from openmm.config.redact import public
from openmm.engine.clients import Caps, ClientUses, read_caps
from openmm.engine.commands import (
    AMOUNT_DECIMALS_MAX,
    AMOUNT_MAX,
    READS,
    Adjust,
    Caller,
    Cancel,
    Command,
    Cost,
    Flatten,
    Halt,
    Incidents,
    Orders,
    Pause,
    Place,
    Preview,
    Request,
    Resume,
    Set,
    Stop,
    Tighten,
    Undo,
    name_of,
)
from openmm.engine.context import Context
from openmm.engine.hand import Placed
from openmm.engine.replies import Replies
from openmm.engine.session import SessionFiles
from openmm.engine.shown import shown_order, shown_refusal
from openmm.engine.tuning import Change, Tuning, read_changes
from openmm.errors import CommandError, OpenMMError, RiskError
from openmm.instrument import LOTS_MAX, TICKS_MAX
from openmm.risk import limits as risk_limits

FOREIGN_SHOWN: Final = 50
INCIDENTS_SHOWN: Final = 50  # in a reply, which is bounded
ORDERS_SHOWN: Final = 128
DECIMALS_MAX: Final = 18  # of a price or quantity by hand: more is no step of any venue
LOCAL: Final = "local"
BRAKES: TypeAlias = Halt | Pause | Stop | Cancel


class _Order(Struct, frozen=True):
    """An order by hand that may be tried."""

    side: Side
    price_ticks: int
    qty_lots: int
    notional: Decimal
    caps: Caps | None  # None: the bot's own user


@final
class Operator:
    """Take commands of one running bot.

    Args:
        stop: ends the bot for a reason.
        stopping: whether it is about to.
        reconcile: compares with the venue at once.
    """

    def __init__(
        self, context: Context, files: SessionFiles, *, stop: Callable[[str], None],
        stopping: Callable[[], bool], reconcile: Callable[[], None],
    ) -> None:  # fmt: skip
        self._ctx = context
        self._files = files
        self._stop = stop
        self._stopping = stopping
        self._reconcile = reconcile
        self._replies = Replies()
        self._uses = ClientUses(files.run_dir.uses, context.clock.now_ns())
        self.tuning = Tuning(context.config, context.tables, context.mid_ticks)

    # ------------------------------------------------------------------ one command

    def carry_out(self, asked: Request) -> dict[str, Any]:
        """Carry out one command, or refuse it.

        Raises:
            OpenMMError: it may not be, with `code` and the reason in words; nothing was done.
        """
        now_ns = self._ctx.clock.now_ns()
        caller, command = asked.caller, asked.command
        name, args = name_of(command), asdict(command)
        if isinstance(command, READS):
            return self._read(command, caller, now_ns)
        # Of an adjustment the ledger keeps the keys; a brake that is told again brakes again, for
        # what it stopped may have been let go meanwhile.
        key = "" if isinstance(command, Adjust | Cost | BRAKES) else command.key
        refused: OpenMMError | None = None
        before: dict[str, Any] | None = None
        work: Callable[[], dict[str, Any]] | None = None
        try:
            before = self._replies.find(caller.client, key, name, args)
            if before is None:
                work = self._work(command, caller, now_ns)
        except OpenMMError as error:
            refused = error
        verdict = "done" if before is None else "repeated"
        record = journal.command_record(
            name, args, str(caller), caller.surface,
            verdict if refused is None else f"refused: {refused}",
        )  # fmt: skip
        self._ctx.append(Record.REC_COMMAND, 0, now_ns, record)
        if refused is not None:
            raise refused
        if before is not None:
            return before
        assert work is not None, "what is neither refused nor repeated is done"
        reply = work()
        self._replies.keep(caller.client, key, name, args, reply)
        return reply

    def _read(self, command: Command, caller: Caller, now_ns: int) -> dict[str, Any]:
        match command:
            case Incidents():
                return self._incidents(command.which == "all", now_ns)
            case Preview():
                return self._preview(command, now_ns)
            case Orders():
                return self._orders(now_ns)
        return self.status(caller, now_ns)

    def _work(self, command: Command, caller: Caller, now_ns: int) -> Callable[[], dict[str, Any]]:
        """Check a command; return what carries it out.

        Raises:
            OpenMMError: it may not be carried out.
        """
        match command:
            case Tighten():
                change = (
                    self.tuning.plan(
                        {f"risk.{key}": text for key, text in command.changes().items()}
                    )
                    if command.changes()
                    else self._nothing()
                )
                return lambda: self._tune(change, caller, now_ns)
            case Set():
                self.tuning.check_version(command.version)
                planned = self.tuning.plan(read_changes(command.changes))
                return lambda: self._tune(planned, caller, now_ns, told=True)
            case Undo():
                self.tuning.check_version(command.version)
                back = self.tuning.plan_undo()
                return lambda: self._tune(back, caller, now_ns, told=True, undo=True)
            case Adjust():
                amount = self._adjustable(command)
                return lambda: self._adjust(command, amount, str(caller), now_ns)
            case Cost():
                cost = command.checked()
                return lambda: self._cost(command, cost, caller, now_ns)
            case Place():
                self._check_flatten()
                order = self._placeable(command, caller, now_ns)
                return lambda: self._place(order, caller, now_ns)
            case Flatten() if self._ctx.tables.monitor.state is RiskState.HALTED:
                raise RiskError("the bot is halted: resume it first", code="halted")
            case Cancel():
                found = self._found(command.order)
                return lambda: self._cancel(found, now_ns)
            case Resume() | Flatten():
                self._check_moves(command.version)
        return lambda: self._move(command, caller, now_ns)

    def _check_moves(self, version: str) -> None:
        """Refuse to let go what was put on after a preview."""
        moves = self._ctx.tables.monitor.move_count
        if version and version != str(moves):
            raise CommandError(
                "the risk state was moved since that preview; preview again", code="stale_preview"
            )

    def _check_flatten(self) -> None:
        """Refuse an order by hand beside a flatten: it would wait for that order's end."""
        if self._ctx.tables.monitor.flattening:
            raise CommandError(
                "the position is being flattened: no order by hand meanwhile; pause ends it",
                code="flattening",
            )

    def _nothing(self) -> Change:
        """Refuse a change of no limit, in its own words."""
        risk_limits.tightened(self.tuning.file, self.tuning.in_force, {})
        raise AssertionError("no limit is refused")

    def _move(self, command: Command, caller: Caller, now_ns: int) -> dict[str, Any]:
        """Move the risk state, or stop."""
        step, handle = self._ctx.step, self._ctx.handle
        match command:
            case Halt():
                handle(step.halt(f"{caller} {command.reason}".strip(), now_ns))
            case Pause():
                handle(step.pause(f"{caller} {command.reason}".strip(), now_ns))
            case Resume():
                handle(step.resume(f"{caller} {command.reason}".strip(), now_ns))
            case Flatten():
                handle(step.flatten(f"{caller} {command.reason}".strip(), now_ns))
            case Stop():
                self._stop(f"stopped by {caller} {command.reason}".strip())
        return self.status(caller, now_ns)

    # ------------------------------------------------------------------ looks

    def status(self, caller: Caller, now_ns: int) -> dict[str, Any]:
        """Tell the state in short."""
        ctx = self._ctx
        pipeline, monitor, tuning = ctx.tables.pipeline, ctx.tables.monitor, self.tuning
        told: dict[str, Any] = {
            "bot": ctx.config.bot.name,
            "session": self._files.session_id,
            "mode": ctx.config.bot.mode,
            "risk_state": monitor.state.name,
            "risk_reason": monitor.reason,
            "risk_moves": monitor.move_count,
            "flattening": self._flattening(),
            "rebalancing": self._rebalancing(),
            "limits": risk_limits.shown(tuning.in_force),
            "changed": tuning.changed(),
            "version": tuning.version,
            "stopping": self._stopping(),
            "live_orders": pipeline.table.live_count,
            "ladder_orders": pipeline.table.ladder_count,
            "client_orders": pipeline.table.live_count - pipeline.table.ladder_count,
            "foreign_orders": sorted(ctx.step.foreign)[:FOREIGN_SHOWN],
            "unknown_orders": pipeline.table.unknown_count,
            "book_state": BookState(pipeline.feed.book.state).name,
            "last_decision": pipeline.last_decision.name,
        }
        if caller.client:
            told["used"] = self._uses.used(caller.client, now_ns)
        return told

    def _flattening(self) -> dict[str, str] | None:
        """Tell how far a flatten is; None: there is none."""
        ctx = self._ctx
        if not ctx.tables.monitor.flattening:
            return None
        flattener, one = ctx.step.flattener, ctx.tables.instrument
        left = flattener.left_lots
        told = {"left": "" if left is None else f"{one.qty(left):f}", "asset": one.base}
        if flattener.refused.reason is not Reason.REASON_UNDECIDED:
            told["refused"] = flattener.refused.reason.name.lower()
        return told

    def _rebalancing(self) -> dict[str, str] | None:
        """Tell how far inventory is brought back by taking, or what keeps it; None: it need not."""
        ctx = self._ctx
        rebalancer, one = ctx.step.rebalancer, ctx.tables.instrument
        if not rebalancer.active and not rebalancer.why:
            return None
        left = rebalancer.left_lots
        told = {"left": "" if left is None else f"{one.qty(left):f}", "asset": one.base}
        return told | ({"why": rebalancer.why} if rebalancer.why else {})

    def _orders(self, now_ns: int) -> dict[str, Any]:
        ctx = self._ctx
        live = ctx.tables.pipeline.table.live()
        return {
            "orders": [self._shown(order, now_ns) for order in live[:ORDERS_SHOWN]],
            "live": len(live),
        }

    def _shown(self, order: OrderView, now_ns: int) -> dict[str, Any]:
        ctx = self._ctx
        by, client_id = ctx.step.by_hand.who(order), ctx.trading.client_id(order.seq)
        return shown_order(order, ctx.tables.instrument, client_id, by, now_ns)

    def _preview(self, command: Preview, now_ns: int) -> dict[str, Any]:
        if command.undo:
            change = self.tuning.plan_undo()
        else:
            change = self.tuning.plan(read_changes(command.changes))
        return self.tuning.preview(change, now_ns)

    def _incidents(self, all_of_them: bool, now_ns: int) -> dict[str, Any]:
        incidents = self._ctx.step.reconciler.incidents
        shown = [one.shown(now_ns) for one in incidents if all_of_them or one.is_open]
        return {"incidents": shown[-INCIDENTS_SHOWN:], "open": incidents.open_count}

    # ------------------------------------------------------------------ parameters and limits

    def _tune(
        self, change: Change, caller: Caller, now_ns: int, *, told: bool = False, undo: bool = False
    ) -> dict[str, Any]:
        """Put a change in force, all of it, and note it where `status` looks."""
        step, kernels = self._ctx.step, change.kernels
        if kernels.grid is None and kernels.plan is None and kernels.inventory is None:
            if kernels.limits is not None and kernels.monitor is not None:
                self._ctx.handle(step.tighten(kernels.limits, kernels.monitor, now_ns))
        else:
            self._ctx.handle(
                step.tune(
                    kernels.grid, kernels.plan, kernels.inventory, kernels.limits,
                    kernels.monitor, now_ns,
                )
            )  # fmt: skip
        self.tuning.commit(change, undo=undo)
        closer = self.tuning.tightened()
        try:
            self._files.note(
                pid=os.getpid(), state="running", config=public(self.tuning.file),
                tightened=closer, changed=self.tuning.changed(), version=self.tuning.version,
            )  # fmt: skip
        except OSError as error:
            # In force all the same, and in the journal.
            self._ctx.alert("warning", f"session.json cannot be written: {error.strerror}")
        if kernels.limits is not None:
            text = f"limits in force, by {caller}: {closer or 'those of the file'}"
            self._ctx.alert("warning", text)
        moved = {one["key"]: one["after"] for one in change.diff()}
        if any(key.startswith("strategy.") for key in moved):
            self._ctx.alert("info", f"parameters in force, by {caller}: {moved}")
        reply = self.status(caller, now_ns)
        return {**reply, "diff": change.diff()} if told else reply

    # ------------------------------------------------------------------ orders

    def _placeable(self, command: Place, caller: Caller, now_ns: int) -> _Order:
        """Read an order by hand and hold it against the client's caps.

        Raises:
            CommandError: it is none (`bad_order`), or over a cap (`over_cap`).
        """
        one = self._ctx.tables.instrument
        sides = {"buy": Side.BUY, "sell": Side.SELL}
        if command.side not in sides:
            raise CommandError(f"side is buy or sell; got {command.side!r}", code="bad_order")
        price, qty = _amount("price", command.price), _amount("qty", command.qty)
        try:
            price_ticks, qty_lots = one.exact_ticks(price), one.exact_lots(qty)
        except ValueError as error:
            raise CommandError(f"{one.name}: {error}", code="bad_order") from None
        if price_ticks > TICKS_MAX or qty_lots > LOTS_MAX:
            raise CommandError(f"{one.name}: more than any order can be", code="bad_order")
        order = _Order(
            sides[command.side], price_ticks, qty_lots, price * qty,
            read_caps(caller.caps) if caller.client else None,
        )  # fmt: skip
        if order.caps is not None:
            self._uses.check(caller.client, order.caps, order.notional, now_ns)
        return order

    def _place(self, order: _Order, caller: Caller, now_ns: int) -> dict[str, Any]:
        """Place an order; what it uses of the caps is on disk before it leaves."""
        ctx = self._ctx
        if order.caps is not None:
            self._uses.note(caller.client, order.notional, now_ns)
        placed, requests = ctx.step.place_by_hand(
            order.side, order.price_ticks, order.qty_lots, caller.client or LOCAL, now_ns
        )
        ctx.handle(requests)
        if not placed.seq:
            if order.caps is not None:
                self._uses.take_back(caller.client)
            raise self._refusal(placed)
        view = ctx.tables.pipeline.table.get(placed.seq)
        assert view is not None, "an order that left is in the table"
        return {"order": self._shown(view, now_ns)}

    def _refusal(self, placed: Placed) -> RiskError:
        if placed.reason is Reason.REASON_UNDECIDED:
            return RiskError("the order did not leave: no way to the venue now", code="not_sent")
        told = shown_refusal(placed.reason, placed.limit, placed.value, self._ctx.tables.instrument)
        text = f"order refused by the check {told['reason']}"
        if told["limit"] or told["value"]:
            text += f": limit {told['limit'] or 'none'}, this would be {told['value'] or 'unknown'}"
        return RiskError(text, code="refused", details=told)

    def _found(self, order: str) -> tuple[int, ...] | None:
        """Find a live order by client id, venue id or number; None: all of them.

        Raises:
            CommandError: there is none (`no_order`).
        """
        if order == "all":
            return None
        ctx = self._ctx
        table, seqs = ctx.tables.pipeline.table, set[int]()
        if order:
            seqs.add(ctx.step.orders.seq("", order))
            seqs.add(ctx.trading.seq_of(order))
            if order.isdecimal() and len(order) < 19:
                seqs.add(int(order))
        live = {one.seq for one in table.live()}
        found = tuple(sorted(seqs & live))
        if len(found) != 1:
            raise CommandError(
                f"no live order of this bot has the client id, venue id or number {order!r}",
                code="no_order",
            )
        return found

    def _cancel(self, seqs: tuple[int, ...] | None, now_ns: int) -> dict[str, Any]:
        ctx = self._ctx
        step, table = ctx.step, ctx.tables.pipeline.table
        meant = [one for one in table.live() if seqs is None or one.seq in seqs]
        if seqs is None:
            sent, requests = step.cancel_all(now_ns)
        else:
            sent, requests = step.cancel_by_hand(list(seqs), now_ns)
        ctx.handle(requests)
        note = "the bot quotes on"
        if any(step.by_hand.who(one) == "ladder" for one in meant):
            note += ": a level of the ladder that was cancelled may come back"
        return {
            "cancelled": sent,
            "orders": [ctx.trading.client_id(one.seq) for one in meant[:ORDERS_SHOWN]],
            "note": note if ctx.tables.pipeline.quoting else "the bot does not quote",
        }

    # ------------------------------------------------------------------ money

    def _adjustable(self, command: Adjust) -> Decimal:
        """Return the amount of an adjustment that may be booked.

        Raises:
            CommandError: it may not; the text says why.
        """
        if command.session != self._files.session_id:
            raise CommandError(
                f"meant for session {command.session or 'none'}, this is {self._files.session_id}: "
                "it opened with the venue's own balances",
                code="bad_adjustment",
            )
        if not command.key:
            raise CommandError("an adjustment needs a key of its own", code="bad_adjustment")
        try:
            amount = Decimal(command.amount)
            # Before it is written out anywhere: a slip of the exponent has a gigabyte of digits.
            good = (
                amount.is_finite()
                and amount.copy_abs() <= AMOUNT_MAX
                and -int(amount.as_tuple().exponent) <= AMOUNT_DECIMALS_MAX
            )
        except ArithmeticError:
            good = False
        if not good:
            raise CommandError(
                f"an adjustment is an amount such as -0.25, to {AMOUNT_MAX:,} either way and "
                f"{AMOUNT_DECIMALS_MAX} decimals; got {command.amount[:40]}",
                code="bad_adjustment",
            )
        self._ctx.step.check_adjustment(command.asset, amount, command.why, command.key)
        return amount

    def _adjust(self, command: Adjust, amount: Decimal, caller: str, now_ns: int) -> dict[str, Any]:
        """Book an operator's correction, and ask the venue at once whether it was right."""
        step = self._ctx.step
        booked, requests = step.adjust(
            command.asset, amount, command.why, caller, command.key, now_ns
        )
        self._ctx.handle(requests)
        if booked:
            self._reconcile()
        return {
            "booked": booked, "key": command.key, "asset": command.asset, "amount": f"{amount:f}",
            "expected": f"{step.expected()[command.asset]:f}",
        }  # fmt: skip

    def _cost(self, command: Cost, amount: Decimal, caller: Caller, now_ns: int) -> dict[str, Any]:
        self._ctx.step.post_cost(
            command.asset, amount, command.ref, command.name, command.account, now_ns
        )
        return self.status(caller, now_ns)


def _amount(name: str, text: str) -> Decimal:
    """Read a price or quantity.

    Raises:
        CommandError: no number above zero, or one of too many digits (`bad_order`).
    """
    try:
        value = Decimal(text)
        exponent = value.as_tuple().exponent
        good = (
            value.is_finite() and 0 < value <= AMOUNT_MAX
            and isinstance(exponent, int) and -exponent <= DECIMALS_MAX
        )  # fmt: skip
    except InvalidOperation:
        good = False
    if not good:
        raise CommandError(
            f"{name} is a number above zero, such as 0.01; got {text[:40]!r}", code="bad_order"
        )
    return value
