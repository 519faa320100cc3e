"""The slow path: acknowledgements, fills, balances, timers and operator commands.

The second entry to the tables that the hot path reads. Pure: a function of the tables' state and
the event; time comes in as an argument, what is to be done outside goes out as `Request` values.
Every event reached the tape before it gets here, so a replay calls the same methods in the same
order. The life of orders is `execution.lifecycle`, money is `engine.money`; what is quoted, and
whether anything is, is decided here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, final

from msgspec import Struct
from msgspec.structs import replace

from openmm import journal
from openmm._fast.book import BookBreak, BookState
from openmm._fast.checks import RiskState
from openmm._fast.pipeline import Feed, Pipeline
from openmm._fast.tape import Record
from openmm._fast.units import UTICKS_PER_TICK, Side
from openmm.engine import state
from openmm.engine.capital import Capital
from openmm.engine.entry import entry
from openmm.engine.failures import StrategyFailures
from openmm.engine.flatten import Flattener
from openmm.engine.guard import Guard
from openmm.engine.hand import ByHand, Placed
from openmm.engine.money import Money
from openmm.engine.quoting import Quoting
from openmm.engine.rebalance import Rebalancer, RebalanceTerms
from openmm.engine.reconciler import Reconciler
from openmm.errors import CommandError
from openmm.events import (
    FATAL_CODES,
    BalanceUpdated,
    Event,
    InstrumentUpdated,
    OrderFilled,
    OrderStatus,
    OrderUpdated,
    RequestAccepted,
    RequestRefused,
    Source,
    StatusChanged,
    StreamGapped,
    Subscribed,
    SystemMode,
    Unrecognised,
)
from openmm.execution.doubt import SECOND_NS
from openmm.execution.lifecycle import QUERY_LAG_NS as QUERY_LAG_NS
from openmm.execution.lifecycle import ClientIds, Counters, Lifecycle
from openmm.execution.requests import Alert as Alert
from openmm.execution.requests import CancelStray as CancelStray
from openmm.execution.requests import NameOrders as NameOrders
from openmm.execution.requests import QueryOrders as QueryOrders
from openmm.execution.requests import RenewToken as RenewToken
from openmm.instrument import Instrument
from openmm.risk.group import Told
from openmm.risk.monitor import MonitorLimits, RiskChanged, RiskMonitor
from openmm.settlement.incidents import IncidentMoved as IncidentMoved
from openmm.strategy import compiled
from openmm.strategy.fenced import FencedStrategy
from openmm.strategy.python import PythonStrategy
from openmm.telemetry import FILLS_MAX, FillPage

# Fills this much older than the opening balances are in them, whatever the clocks say; younger ones
# were listed when the balances were asked for.
OPENING_OVERLAP_NS = 30 * SECOND_NS
# Back-off of a broken book's resync.
RESYNC_AFTER_NS = (0, SECOND_NS, 2 * SECOND_NS, 5 * SECOND_NS, 15 * SECOND_NS)
# Orders of one kind of the venue's words that halt: the text is kept for the operator.
ORDER_KINDS = frozenset({"add", "amend", "cancel"})
# Of a pair: those under which a post-only limit order may be placed.
OPEN_STATUSES = frozenset({"online", "post_only", "limit_only"})
# How a race with a fill ends: no sign of a loop.
RACES = frozenset({"no_change", "unknown_order"})
# A trade outside our best prices is followed by news of the book, or the book is wrong.
THROUGH_NS = SECOND_NS
# The first markout of a fill: the reference is journalled again then, of so many fills at a time.
MARK_AFTER_NS = SECOND_NS // 10
MARKS_MAX = 64


class Resubscribe(Struct, frozen=True):
    """Get a new snapshot for a feed's book."""

    feed_index: int
    reason: BookBreak


class ResyncPrivate(Struct, frozen=True):
    """The private stream lost messages: reconnect it and query what is open."""

    reason: str


class RiskMoved(Struct, frozen=True):
    """The risk state changed; alert and record."""

    change: RiskChanged

    @property
    def severity(self) -> str:
        """How loudly people are told."""
        return "critical" if self.change.after is RiskState.HALTED else "warning"

    @property
    def text(self) -> str:
        """What they are told."""
        one = self.change
        return f"risk {one.before.name} -> {one.after.name}: {one.reason}: {one.detail}"


class SetDeadMan(Struct, frozen=True):
    """Arm the venue's dead-man's switch, or disarm it around maintenance."""

    armed: bool


Request = (
    QueryOrders | NameOrders | Resubscribe | CancelStray | RenewToken | ResyncPrivate | Alert
    | RiskMoved | SetDeadMan | IncidentMoved
)  # fmt: skip


class _Resync(Struct):
    tries: int = 0
    next_ns: int = 0


class _Unclaimed(Struct):
    """A fill told by venue id alone, and the orders of ours, without one yet, it may be of.

    `asked`: the venue has been asked whose the order is.
    """

    event: OrderFilled
    seqs: frozenset[int]
    asked: bool = False


class StepConfig(Struct, frozen=True):
    """Times and limits of the slow path.

    `dead_man_ns`: the timeout of a dead-man's switch without which nothing is quoted; None where
    the account has none. `alert_above_ppm`, `halt_above_ppm`: of equity, for a difference between
    books and venue. `dedicated`: nobody else uses the account. `rebalance`: whether and how
    inventory is brought back by taking.
    """

    ack_timeout_ns: int = 5 * SECOND_NS
    feed_age_ns_max: int = 5 * SECOND_NS
    book_silence_ns: tuple[int, ...] = ()  # of each feed; without one it is not watched
    sample_every_ns: int = SECOND_NS
    state_every_ns: int = 10 * SECOND_NS
    rates: frozenset[int] = frozenset()  # feeds that only convert currencies
    dead_man_ns: int | None = None
    watchdog: bool = False
    alert_above_ppm: int = 0
    halt_above_ppm: int = 1_000
    dedicated: bool = False
    rebalance: RebalanceTerms = RebalanceTerms()
    group: str = ""  # of bots that share an inventory
    capital_alert_after_ns: int | None = None  # None: nobody is told of a side without capital


@final
class Step:
    """Apply events of the slow path to the tables of one bot."""

    # Written out: a generated class of this many fields takes a bot's start 1.5 ms.
    def __init__(
        self, pipeline: Pipeline, feeds: Sequence[Feed], instrument: Instrument,
        monitor: RiskMonitor, ids: ClientIds, config: StepConfig,
        on_booked: Callable[[OrderFilled], None] | None = None,
    ) -> None:  # fmt: skip
        self.pipeline = pipeline
        self.feeds = feeds
        self.instrument = instrument
        self.monitor = monitor
        self.ids = ids
        self.config = config
        self.mode = SystemMode.UNKNOWN
        self.pair_status = instrument.status
        self.recent_fills: deque[FillPage] = deque(maxlen=FILLS_MAX)
        self.stopping = False
        self.last_incident = ""
        self.incident_count = 0
        self.resync_counts: dict[int, int] = {}  # by feed
        self.clock_offset_ns: int | None = None  # as told last
        self.captured_ticklots = 0  # fills against the reference when they arrived
        # The parts that share the tables.
        self.orders = Lifecycle(pipeline, ids, config.ack_timeout_ns)
        self.money = Money(pipeline, instrument, monitor)
        self.guard = Guard(config.dead_man_ns, watchdog=config.watchdog)
        self.reconciler = Reconciler(
            self.money, self.orders, instrument, alert_above_ppm=config.alert_above_ppm,
            halt_above_ppm=config.halt_above_ppm, dedicated=config.dedicated,
        )  # fmt: skip
        self.failures = StrategyFailures()
        self.capital = Capital(pipeline, instrument, config.capital_alert_after_ns)
        self._group_lacking: tuple[str, ...] = ()
        self._group_over = False
        self.by_hand = ByHand(pipeline)
        self.flattener = Flattener(pipeline, self.by_hand, monitor, instrument)
        self.rebalancer = Rebalancer(
            pipeline, self.by_hand, monitor, instrument, config.rebalance
        )  # fmt: skip
        self.quoting = Quoting(pipeline, monitor, self.rebalancer)
        self._adjustments: dict[str, str] = {}
        self._resync: dict[int, _Resync] = {}
        self._catching_up: dict[int, int] = {}
        self._broken_since: dict[int, int] = {}
        self._renewed: dict[int, int] = {}
        self._sampled_ns = 0
        self._stated_ns = 0
        self._marks_ns: deque[int] = deque(maxlen=MARKS_MAX)
        self._covered = self.guard.covers(0)
        self._token_stale = False
        self._opened_ns = 0
        self._hearing = False  # whether the private stream tells everything
        self._unclaimed: dict[str, _Unclaimed] = {}
        self._others_told = False
        self._out: list[Request] = []
        # Told of each own fill, once, as soon as all of it is booked and before anything is quoted
        # anew, and at the start of those that earlier sessions did not live to see. It must not
        # call back or raise: what it decides, it says through the strategy.
        self.on_booked = on_booked
        # What hedging a fill costs, and the strategy's parameters without it.
        self.hedge_edge_ppm = 0
        strategy = pipeline.strategy
        self._plain = strategy.params if isinstance(strategy, compiled.COMPILED) else None

    # ------------------------------------------------------------------ money

    @entry
    def set_opening(
        self, opening: Mapping[str, Decimal], others: Mapping[str, Decimal],
        carried: Mapping[str, Decimal], now_ns: int,
    ) -> list[Request]:  # fmt: skip
        """Take the opening balances of base and quote; what we hold follows from here on.

        Args:
            others: balances of the assets that are not traded.
            carried: what the last session's books, and fills since, say should be there.
        """
        self._opened_ns = now_ns
        self.money.set_opening(opening, now_ns, others)
        self.reconciler.on_carried(carried, opening, now_ns)
        return self._take()

    def expected(self) -> dict[str, Decimal]:
        """Return opening plus every booked change, by asset."""
        return dict(self.money.expected)

    @property
    def unclaimed_count(self) -> int:
        """How many fills wait to be told whose they are."""
        return len(self._unclaimed)

    @property
    def counters(self) -> Counters:
        """What happened in the session."""
        return self.orders.counters

    @property
    def foreign(self) -> Mapping[str, OrderUpdated]:
        """Open orders on the account that are not this bot's, by venue id."""
        return self.orders.foreign

    @property
    def fees(self) -> Mapping[str, Decimal]:
        """Fees paid, by asset."""
        return self.money.fees

    @entry
    def on_statement(
        self, seen: Mapping[str, Decimal], asked_ns: int, final: bool, now_ns: int
    ) -> list[Request]:
        """Hold the books against the venue's statement of balances.

        Halts when what the venue lacks or has too much, beyond doubt, passes a share of equity; a
        difference whose worth nothing tells halts too.

        Args:
            seen: totals by asset, as the venue stated them.
            asked_ns: when it was asked.
            final: there will be no other statement to tell a race from a difference.
        """
        if self._unclaimed and not final:
            # Fills that are not booked before it is known whose they are.
            return []
        share = f"{self.config.halt_above_ppm / 10_000:g}%"
        for one in self.reconciler.on_balances(seen, asked_ns, now_ns, final=final):
            detail = f"balance differs by more than {share}: {one}"
            self._halt("reconciliation", detail, now_ns)
        return self._take()

    @entry
    def on_history(
        self, fills: Sequence[Event], since_ns: int, asked_ns: int, now_ns: int
    ) -> list[Request]:
        """Take the venue's trade history from a moment on: book what is missing here."""
        told = [one for one in fills if isinstance(one, OrderFilled)]
        for event in told:
            self._on_fill(event, now_ns)
        self.reconciler.fills.on_history([one.exec_id for one in told], since_ns, asked_ns)
        self._claim(now_ns)
        self._mark(now_ns)
        self._requote(now_ns)
        return self._take()

    @entry
    def on_open_orders(
        self, listed: Sequence[OrderUpdated], asked_ns: int, now_ns: int
    ) -> list[Request]:
        """Hold our orders against the venue's list of open ones; what differs is asked for."""
        there, gone = self.reconciler.on_open_orders(listed, asked_ns, now_ns)
        for one in there:
            self.orders.on_state_found(one, asked_ns, now_ns)
        for seq in gone:
            self.orders.doubt(seq, now_ns)
        self._requote(now_ns)
        return self._take()

    def check_adjustment(self, asset: str, amount: Decimal, why: str, key: str) -> None:
        """Refuse an adjustment that may not be booked; one that has been may be sent again.

        Raises:
            CommandError: no reason, no amount, an asset that is not in the books, or a key that
                has booked another amount.
        """
        what = f"{amount:f} {asset}"
        said = ""
        if self._adjustments.get(key, what) != what:
            said = f"key {key} has booked {self._adjustments[key]}, not {what}"
        elif not why.strip():
            said = "an adjustment needs a reason: --why"
        elif not amount.is_finite() or not amount:
            said = f"an adjustment is an amount, not zero; got {amount}"
        elif asset not in self.money.expected and not self.reconciler.differs(asset):
            known = ", ".join(sorted(self.money.expected))
            said = f"{asset} is not in the books; there are {known}"
        if said:
            raise CommandError(said, code="bad_adjustment")

    @entry
    def adjust(
        self, asset: str, amount: Decimal, why: str, who: str, key: str, now_ns: int
    ) -> tuple[bool, list[Request]]:
        """Book an operator's named correction of what the venue holds, once for each key.

        Returns:
            Whether it was booked now, and what is to be done; False: this key has been booked.

        Raises:
            CommandError: it may not be booked, see `check_adjustment`; nothing is.
        """
        self.check_adjustment(asset, amount, why, key)
        if key in self._adjustments:
            return False, []
        what = self._adjustments[key] = f"{amount:f} {asset}"
        self.money.open(asset, now_ns)
        self.money.adjust(asset, amount, f"{why.strip()} [{key}]", now_ns)
        self.reconciler.on_adjusted(asset, f"{who}: {why.strip()}")
        self._out.append(Alert("warning", f"{what} adjusted by {who}: {why.strip()}"))
        self._mark(now_ns)
        self._requote(now_ns)
        return True, self._take()

    def counter_values(self) -> dict[str, int]:
        """Return the session's counters by name."""
        return {name: int(getattr(self.counters, name)) for name in Counters.__struct_fields__}

    # ------------------------------------------------------------------ events

    @entry
    def on_events(self, events: Sequence[Event], now_ns: int) -> list[Request]:
        """Apply the events of one private message or reply, then look at the quotes once."""
        before = self.pipeline.table.version
        held = self._held()
        for event in events:
            self._on_event(event, now_ns)
        self._claim(now_ns)
        if held != self._held():
            self._mark(now_ns)
        if before != self.pipeline.table.version or held != self._held():
            self._requote(now_ns)
        return self._take()

    def _held(self) -> tuple[int | None, int | None]:
        inventory = self.pipeline.inventory
        return inventory.base_lots, inventory.quote_ticklots

    def _on_event(self, event: Event, now_ns: int) -> None:
        match event:
            case OrderFilled():
                self._on_fill(event, now_ns)
            case OrderUpdated():
                seq = self.orders.seq(event.client_id, event.venue_order_id)
                refused = (
                    event.status is OrderStatus.CANCELLED and "post only" in event.reason.lower()
                )
                if seq and refused:
                    # The other way to refuse one: taken, then cancelled on arrival.
                    self.orders.note_taking(seq, now_ns)
                    self._changed(self.monitor.on_refused(True, now_ns), now_ns)
                if event.client_id and self.ids.is_later(event.client_id):
                    self._on_twin(event, now_ns)
                self.orders.on_order(event, now_ns)
                self._look_for_others(event)
            case RequestAccepted():
                if event.kind == "dead_man":
                    self.guard.on_accepted()
                    self._look_at_guard(now_ns)
                self.orders.on_accepted(event, now_ns)
            case RequestRefused():
                self._on_refused(event, now_ns)
            case BalanceUpdated():
                change = self.money.on_balance(event, now_ns)
                if change is not None:
                    self.reconciler.on_moved(event, change, now_ns)
                else:
                    self.reconciler.on_balance(event)
            case StatusChanged():
                self._on_status(event, now_ns)
            case InstrumentUpdated():
                self._on_instrument(event.instrument, now_ns)
            case StreamGapped():
                self.pipeline.set_inputs(stream_live=False)
                self._hear_no_more()
                self._incident(
                    f"private stream {event.channel} lost messages: "
                    f"expected {event.expected}, saw {event.seen}"
                )
                self._out.append(ResyncPrivate(f"{event.channel} gap"))
                self._requote(now_ns)
            case Subscribed():
                if event.rate_threshold is not None:
                    self.pipeline.checks.budget.set_threshold(*self.ids.tier(event.rate_threshold))
            case Unrecognised():
                self.counters.unrecognised += 1
                if self.counters.unrecognised == 1:
                    self._out.append(Alert("info", f"unrecognised message: {event.text[:200]}"))

    def _on_refused(self, event: RequestRefused, now_ns: int) -> None:
        if event.code == "token" and not self._token_stale:
            # Whatever is sent until there is another one is refused too.
            self._token_stale = True
            self._gate(now_ns)
        if event.code in FATAL_CODES:
            # No retry will help and nothing placed here will stand: an operator must act.
            self._halt("refused", f"{event.kind} refused: {event.text}", now_ns)
        if event.kind in ORDER_KINDS:
            before = self.counters.rejected
            self.orders.on_refused(event, now_ns)
            if event.code not in RACES:
                count = max(1, self.counters.rejected - before)
                post_only = event.code == "post_only"
                self._changed(self.monitor.on_refused(post_only, now_ns, count), now_ns)
            return
        if event.kind == "dead_man":
            self.guard.on_refused()
            if event.code == "mode" and self.mode is SystemMode.MAINTENANCE:
                return
        if event.code == "token":
            self._out.append(RenewToken(event.text))
        self._incident(f"{event.kind} refused: {event.text}")

    @entry
    def token_renewed(self, now_ns: int) -> list[Request]:
        """There is a fresh credential: quote again."""
        self._token_stale = False
        self.guard.on_lost()
        self._gate(now_ns)
        return self._take()

    def _on_fill(self, event: OrderFilled, now_ns: int) -> None:
        if not event.client_id and not self.orders.seq("", event.venue_order_id):
            seqs = self.orders.nameless()
            if seqs:
                # The acknowledgement that would tell whose it is may be late or lost.
                self._unclaimed.setdefault(event.exec_id, _Unclaimed(event, seqs))
                return
        self._book(event, now_ns)

    def _book(self, event: OrderFilled, now_ns: int) -> None:
        if not self.orders.first_seen(event.exec_id):
            if event.source is not Source.QUERY:
                # The history, asked for again and again, is no doubled message of the venue's.
                self.counters.duplicate_fills += 1
                self.reconciler.fills.told(event.exec_id)
            return
        seq = self.orders.seq(event.client_id, event.venue_order_id)
        if not seq and event.ts_ns < self._opened_ns - OPENING_OVERLAP_NS:
            # Told once more by a snapshot of the stream: the opening contains it.
            return
        earlier = bool(event.client_id) and self.ids.is_earlier(event.client_id)
        if not seq and not earlier:
            self._on_foreign_fill(event, now_ns)
            return
        self.money.open_fees(event, now_ns)
        self.pipeline.append(
            Record.REC_FILL,
            self.pipeline.feed.index,
            now_ns,
            journal.fill_record(event, seq, self.pipeline.reference.price_uticks),
        )
        limit_ticks = self.orders.price_of(seq, event)
        if seq:
            self.pipeline.tell_place(seq, now_ns)
            self.pipeline.note_fill(seq, event.qty_lots, now_ns)
            self.orders.on_fill(seq, event, now_ns)
        else:
            self._incident(f"fill {event.exec_id} of an order of an earlier session")
        self.counters.fills += 1
        self._marks_ns.append(now_ns + MARK_AFTER_NS)
        self.recent_fills.appendleft(
            FillPage(
                event.ts_ns, int(event.side), event.price_ticks, event.qty_lots, int(event.maker)
            )
        )
        braked = self.monitor.on_fill(now_ns)
        self.money.on_fill(event, now_ns)
        self.reconciler.on_fill(
            event, now_ns, listed=event.source is Source.QUERY, expected=self._hearing
        )
        self.pipeline.set_inputs(fills_last_minute=self.monitor.fills_last_minute(now_ns))
        # A fill told late was made at another reference than today's.
        fresh = now_ns - event.ts_ns <= self.config.feed_age_ns_max
        reference = self.pipeline.reference.price_uticks if fresh else None
        if reference is not None:
            sign = 1 if event.side == Side.BUY else -1
            gained_uticks = sign * (reference - event.price_ticks * UTICKS_PER_TICK)
            self.captured_ticklots += gained_uticks * event.qty_lots // UTICKS_PER_TICK
        slipped = self.monitor.on_fill_price(
            event.side, event.price_ticks, limit_ticks, reference, now_ns
        )
        # What it left to hedge leaves no room for another in its place, until the hedge says so.
        self.pipeline.checks.hedge_filled(event.side, event.qty_lots + self._fee_lots(event))
        # All of it is booked by now, and nothing quoted anew yet.
        if self.on_booked is not None:
            self.on_booked(event)
        self._changed([*slipped, *braked], now_ns)

    def _fee_lots(self, event: OrderFilled) -> int:
        """Return a fill's fee in base in lots, rounded up."""
        fee = sum(
            (one.amount for one in event.fees if one.asset == self.instrument.base), Decimal()
        )
        return max(0, math.ceil(fee / self.instrument.lot_size))

    def _claim(self, now_ns: int) -> None:
        """Book the fills whose order has got its name since, and those that can be none of ours."""
        if not self._unclaimed:
            return
        nameless = self.orders.nameless()
        for exec_id, one in list(self._unclaimed.items()):
            venue_id = one.event.venue_order_id
            if not self.orders.seq("", venue_id):
                if one.seqs & nameless:
                    continue
                if not one.asked and self.orders.ended_nameless(one.seqs):
                    # An order of ours went without ever telling its name: this may be why.
                    one.asked = True
                    self._out.append(NameOrders((venue_id,)))
                if one.asked:
                    continue
            del self._unclaimed[exec_id]
            self._book(one.event, now_ns)

    @entry
    def on_named(
        self, venue_order_ids: Sequence[str], found: Sequence[OrderUpdated], now_ns: int
    ) -> list[Request]:
        """Take the venue's word on whose orders are; fills of unnamed ones are foreign."""
        names = {state.venue_order_id: state.client_id for state in found}
        for exec_id, one in list(self._unclaimed.items()):
            venue_id = one.event.venue_order_id
            if venue_id in venue_order_ids:
                del self._unclaimed[exec_id]
                self._book(replace(one.event, client_id=names.get(venue_id, "")), now_ns)
        self._mark(now_ns)
        self._requote(now_ns)
        return self._take()

    def _on_twin(self, event: OrderUpdated, now_ns: int) -> None:
        """Make way for an engine of this bot that began later, wherever it runs.

        It takes our orders for leftovers and cancels them; both would fight over every level.
        """
        self._halt(
            "account",
            f"order {event.venue_order_id} ({event.client_id}) is of another engine of this bot, "
            "started after this one: only one may trade an account",
            now_ns,
        )

    def _look_for_others(self, event: OrderUpdated) -> None:
        """Tell, once, that an account which should be ours alone has another's order."""
        if (
            self.config.dead_man_ns is not None
            and not self._others_told
            and event.venue_order_id in self.orders.foreign
            and (event.client_id or not self.orders.nameless())
        ):
            self._others_told = True
            who = f" ({event.client_id})" if event.client_id else ""
            self._incident(
                f"order {event.venue_order_id}{who} is not this bot's, but the account is said to "
                "be dedicated: the dead-man's switch and cancel-all hit it too",
                "critical",
            )

    def _on_foreign_fill(self, event: OrderFilled, now_ns: int) -> None:
        """Count a fill on the account that is not this bot's: it moves what we hold."""
        self.counters.foreign_fills += 1
        moved = self.money.on_foreign_fill(event, now_ns)
        self.reconciler.on_foreign_fill(event, moved, now_ns)

    @entry
    def recover(
        self, fills: Sequence[OrderFilled], listed: Sequence[str], now_ns: int
    ) -> list[Request]:
        """Put on record what orders of earlier sessions filled; before the opening balances.

        The opening contains them already, so nothing moves here; the ledger books each of them
        once, however many sessions told of it. `on_booked` is told of each as well: whoever hedges
        has to hear of what filled while nobody listened.

        Args:
            fills: of this bot's orders.
            listed: executions of the whole account that the opening contains.
        """
        for event in fills:
            if self.orders.first_seen(event.exec_id):
                self.counters.recovered_fills += 1
                self.pipeline.append(
                    Record.REC_FILL, self.pipeline.feed.index, now_ns,
                    journal.fill_record(event, 0, None),
                )  # fmt: skip
                if self.on_booked is not None:
                    self.on_booked(event)
        for exec_id in listed:
            self.orders.first_seen(exec_id)
        return self._take()

    def _on_status(self, event: StatusChanged, now_ns: int) -> None:
        if event.mode is self.mode:
            return
        self.mode = event.mode
        # Unknown modes fail closed, like every other that is not open for orders.
        online = event.mode in (SystemMode.ONLINE, SystemMode.POST_ONLY)
        self.pipeline.set_inputs(instrument_online=self._open_for_orders())
        self._out.append(Alert("info" if online else "warning", f"venue is {event.text}"))
        # An armed switch would cancel everything the moment the venue comes back.
        if self.guard.rest(event.mode is SystemMode.MAINTENANCE):
            self._out.append(SetDeadMan(False))
        self._requote(now_ns)

    def _open_for_orders(self) -> bool:
        """Whether venue and pair take post-only orders; a mode or status not known does not."""
        modes = (SystemMode.ONLINE, SystemMode.POST_ONLY)
        return self.mode in modes and self.pair_status in OPEN_STATUSES

    def _on_instrument(self, now: Instrument, now_ns: int) -> None:
        """Follow what the venue says of our pair while we quote it."""
        held = self.instrument
        if now.name != held.name:
            return
        if now.status == "delisted":
            self._halt("instrument", f"{now.name} is no longer listed", now_ns)
        elif now.status == "unreadable":
            # Its steps may have changed with it.
            self._halt("instrument", f"{now.name}: listing that cannot be read", now_ns)
        elif (changed := _changed_steps(held, now)) != "":
            # Books, orders and ledger count in the old steps.
            self._halt("instrument", f"{now.name}: {changed}; start the bot anew", now_ns)
        else:
            # Minimums may change under way: the next order has to meet them.
            self.pipeline.checks.set_spec(now.spec())
        if now.status == self.pair_status:
            return
        self._out.append(
            Alert(
                "info" if now.status in OPEN_STATUSES else "warning",
                f"{now.name} is {now.status or 'of no status'}, was {self.pair_status}",
            )
        )
        self.pair_status = now.status
        self.pipeline.set_inputs(instrument_online=self._open_for_orders())
        self._gate(now_ns)

    # ------------------------------------------------------------------ time

    @entry
    def post_cost(
        self, asset: str, amount: Decimal, ref: str, name: str, account: str, now_ns: int
    ) -> None:
        """Put a cost on record that no venue told; see `commands.Cost`."""
        self.money.on_cost(asset, amount, ref, name, account, now_ns)

    @entry
    def on_timer(self, now_ns: int) -> list[Request]:
        """Look for what did not happen: silence, unanswered requests, broken books, cooldowns."""
        for feed in self.feeds:
            self._watch_feed(feed, now_ns)
        self.orders.on_timer(now_ns)
        self._claim(now_ns)
        self.reconciler.on_timer(now_ns)
        if self.guard.due(now_ns):
            self._out.append(SetDeadMan(True))
        self._look_at_guard(now_ns)
        self._changed(self.monitor.on_cancels(self.pipeline.cancel_count, now_ns), now_ns)
        self._changed(self.monitor.on_time(now_ns), now_ns)
        self._mark(now_ns)
        self.pipeline.set_inputs(fills_last_minute=self.monitor.fills_last_minute(now_ns))
        self._sample(now_ns)
        if why := self.quoting.rebalance(now_ns):
            self._incident(why)
        self._requote(now_ns)
        self._out += self.capital.on_timer(now_ns)
        if self.monitor.flattening and self.flattener.on_timer(now_ns):
            self._changed(self.monitor.flattened("the position is at its target"), now_ns)
        if now_ns - self._stated_ns >= self.config.state_every_ns:
            self._tell_state(now_ns)
        return self._take()

    def _look_at_guard(self, now_ns: int) -> None:
        """Withdraw the quotes when nothing would end them any more, quote again when it does."""
        covered = self.guard.covers(now_ns)
        if covered == self._covered:
            return
        self._covered = covered
        if not covered and not self.stopping and not self.guard.resting:
            self._incident("nothing would cancel the orders if the bot died: quotes withdrawn")
        self._gate(now_ns)

    def _sample(self, now_ns: int) -> None:
        """Journal the market once a second, for what the report says about time and markouts.

        And a tenth of a second after a fill, as its first markout asks for the reference then.
        """
        if now_ns - self._sampled_ns >= self.config.sample_every_ns:
            self._sampled_ns = now_ns
            self._sample_rates(now_ns)
        elif not self._marks_ns or now_ns < self._marks_ns[0]:
            return
        while self._marks_ns and self._marks_ns[0] <= now_ns:
            self._marks_ns.popleft()
        book = self.pipeline.feed.book
        verified = book.state is BookState.BOOK_VERIFIED
        self.pipeline.append(
            Record.REC_SAMPLE,
            self.pipeline.feed.index,
            now_ns,
            journal.sample_record(
                _known(book.best_bid_ticks if verified else None),
                _known(book.best_ask_ticks if verified else None),
                _known(self.pipeline.reference.price_uticks),
                _known(self.pipeline.inventory.base_lots),
            ),
        )

    def _tell_state(self, now_ns: int) -> None:
        """Journal hashes over all that decisions rest on: a replay has to come to the same."""
        self._stated_ns = now_ns
        self.pipeline.append(
            Record.REC_STATE, self.pipeline.feed.index, now_ns,
            journal.json_record(
                state.digests(
                    self.pipeline, self.feeds, self.monitor, self.money, self.counter_values()
                )
            ),
        )  # fmt: skip

    def _sample_rates(self, now_ns: int) -> None:
        """Journal the books that only convert currencies: the report's rates."""
        for feed in self.feeds:
            book = feed.book
            if feed.index in self.config.rates and book.state is BookState.BOOK_VERIFIED:
                self.pipeline.append(
                    Record.REC_SAMPLE, feed.index, now_ns,
                    journal.sample_record(
                        _known(book.best_bid_ticks), _known(book.best_ask_ticks),
                        journal.MISSING, journal.MISSING,
                    ),
                )  # fmt: skip

    def broken_ns(self, feed: Feed, now_ns: int) -> int:
        """Return for how long a feed's book has not been one to quote from; 0: it is."""
        return now_ns - self._broken_since.get(feed.index, now_ns)

    def _watch_feed(self, feed: Feed, now_ns: int) -> None:
        book = feed.book
        if book.state is BookState.BOOK_VERIFIED:
            self._broken_since.pop(feed.index, None)
        else:
            self._broken_since.setdefault(feed.index, now_ns)
        if book.recentre_due:
            # The market nears the edge of the ladder's window; moved here, no tick waits for it.
            book.recentre()
        if book.state is BookState.BOOK_VERIFIED:
            self._resync.pop(feed.index, None)
            why = self._stale(feed, now_ns)
            if not why:
                return
            book.break_(BookBreak.BREAK_STALE)
            self.pipeline.refresh(feed, now_ns)
            self._incident(f"feed {feed.index} {why}: book dropped")
        if book.state is BookState.BOOK_CATCHING_UP:
            since_ns = self._catching_up.setdefault(feed.index, now_ns)
            if now_ns - since_ns > self.config.feed_age_ns_max:
                book.break_(BookBreak.BREAK_STALE)
                self.pipeline.refresh(feed, now_ns)
                self._incident(f"feed {feed.index}: no snapshot came: book dropped")
        else:
            self._catching_up.pop(feed.index, None)
        if book.state is BookState.BOOK_BROKEN:
            resync = self._resync.setdefault(feed.index, _Resync())
            if now_ns >= resync.next_ns:
                wait = RESYNC_AFTER_NS[min(resync.tries + 1, len(RESYNC_AFTER_NS) - 1)]
                resync.tries += 1
                resync.next_ns = now_ns + wait
                self._resubscribe(feed, book.break_reason)

    def _resubscribe(self, feed: Feed, reason: BookBreak) -> None:
        self.resync_counts[feed.index] = self.resync_counts.get(feed.index, 0) + 1
        self._out.append(Resubscribe(feed.index, reason))

    def _stale(self, feed: Feed, now_ns: int) -> str:
        """Say why a verified book is no longer to be believed, or nothing."""
        if now_ns - feed.last_recv_ns > self.config.feed_age_ns_max:
            return "is silent"
        if feed.through_ns and now_ns - feed.through_ns > THROUGH_NS:
            return "shows no trade through its best price"
        limits = self.config.book_silence_ns
        if feed.index >= len(limits) or now_ns - feed.book.recv_ns <= limits[feed.index]:
            return ""
        # Heartbeats alone: a quiet market, or a subscription that died. A snapshot tells.
        asked_ns = self._renewed.get(feed.index, 0)
        if asked_ns <= feed.book.recv_ns:
            self._renewed[feed.index] = now_ns
            self._resubscribe(feed, BookBreak.BREAK_NONE)
        elif now_ns - asked_ns > self.config.feed_age_ns_max:
            return "brings heartbeats and no book"
        return ""

    @entry
    def on_query(
        self, seqs: Sequence[int], found: Sequence[Event], asked_ns: int, now_ns: int
    ) -> list[Request]:
        """Take the venue's answer about orders: fills first, then states; absence is evidence too.

        Args:
            seqs: the orders asked for.
            found: `OrderFilled` and `OrderUpdated` events (source QUERY) of the answer.
            asked_ns: when the question was sent; absence counts only for orders last acted upon
                well before it, because a venue's query side lags its engine.
        """
        for event in found:
            if isinstance(event, OrderFilled):
                self._on_fill(event, now_ns)
        seen = {
            self.orders.on_state_found(event, asked_ns, now_ns)
            for event in found
            if isinstance(event, OrderUpdated)
        }
        for seq in seqs:
            if seq not in seen:
                self.orders.on_absent(seq, asked_ns, now_ns)
        for venue_order_id in self.orders.take_vanished():
            self.reconciler.on_vanished(venue_order_id, now_ns)
        self._claim(now_ns)
        self._mark(now_ns)
        self._requote(now_ns)
        return self._take()

    @entry
    def group_told(self, told: Told, now_ns: int) -> list[Request]:
        """Take what the others of the group hold, and the share of its limit that is ours."""
        inventory = self.pipeline.inventory
        if told.base is None or told.value is None:
            inventory.leave_group()
        else:
            lot = self.instrument.lot_size
            places = max(places_of(one) for one in (told.base, told.value, told.scale, lot))
            inventory.set_group(
                target_ppm=told.target_ppm, lot_atoms=int(lot.scaleb(places)),
                base_atoms=int(told.base.scaleb(places)),
                value_atoms=int(told.value.scaleb(places)),
                scale_atoms=int(told.scale.scaleb(places)),
            )  # fmt: skip
        self.pipeline.bound_base(told.least_lots, told.most_lots)
        if told.lacking != self._group_lacking:
            self._group_lacking = told.lacking
            who = ", ".join(one or "a member that is not there" for one in told.lacking)
            if told.lacking:
                self._incident(f"group {self.config.group}: not heard of: {who}")
            else:
                self._out.append(Alert("info", f"group {self.config.group}: all are heard of"))
        self._mark(now_ns)
        self._look_at_group(told.scale)
        self._requote(now_ns)
        return self._take()

    def _look_at_group(self, limit: Decimal) -> None:
        """Tell when the group passes its limit, which its shares should have prevented, and when it
        is back."""
        q_lots = self.pipeline.inventory.group_q_lots
        if q_lots is None:
            return
        over = abs(self.instrument.qty(q_lots)) > limit
        if over and not self._group_over:
            self._incident(
                f"group {self.config.group}: {self.instrument.qty(q_lots):+f} "
                f"{self.instrument.base} off target, beyond risk.max_group_inventory, {limit:f}: "
                "nothing that adds is quoted"
            )
        elif self._group_over and not over:
            self._out.append(Alert("info", f"group {self.config.group}: within its limit again"))
        self._group_over = over

    # ------------------------------------------------------------------ commands

    @entry
    def halt(self, who: str, now_ns: int) -> list[Request]:
        """Latch HALTED and cancel everything."""
        self._halt("operator", f"halted by {who}", now_ns)
        return self._take()

    @entry
    def pause(self, who: str, now_ns: int) -> list[Request]:
        """Cancel everything and quote nothing until resumed."""
        for change in self.monitor.pause(who):
            self._apply(change, now_ns)
        return self._take()

    @entry
    def resume(self, who: str, now_ns: int) -> list[Request]:
        """Leave PAUSED or HALTED."""
        strategy = self.pipeline.strategy
        if isinstance(strategy, PythonStrategy | FencedStrategy):
            # What failed before is over: as many failures are let pass as at the start.
            strategy.forgive()
        self._changed(self.monitor.resume(who, now_ns), now_ns)
        return self._take()

    @entry
    def tighten(
        self, limits: Mapping[str, int], monitor: MonitorLimits, now_ns: int
    ) -> list[Request]:
        """Quote within other limits from now on; what rests under the old ones is withdrawn.

        Raises:
            RiskError: a limit looser than the file's; nothing is changed.
        """
        self._limit(limits, monitor, now_ns)
        self._mark(now_ns)
        self._requote(now_ns)
        return self._take()

    def _limit(self, limits: Mapping[str, int], monitor: MonitorLimits, now_ns: int) -> None:
        self.pipeline.checks.tighten(**limits)
        self.monitor.tighten(monitor)
        self.pipeline.withdraw(now_ns)

    @entry
    def tune(
        self, grid: Mapping[str, Any] | None, plan: Mapping[str, int] | None,
        inventory: Mapping[str, int] | None, limits: Mapping[str, int] | None,
        monitor: MonitorLimits | None, now_ns: int,
    ) -> list[Request]:  # fmt: skip
        """Quote by other parameters from now on; of those that are None nothing changes.

        Live orders are moved to the new ladder; with other limits they are withdrawn before.

        Raises:
            RiskError: a limit looser than the file's; nothing is changed.
            ConfigError: parameters of a grid that cannot be; nothing is changed.
        """
        pipeline = self.pipeline
        strategy, parameters = pipeline.strategy, None
        if grid is not None:
            assert isinstance(strategy, compiled.COMPILED), (
                "only a compiled strategy has parameters"
            )
            parameters = compiled.parameters(strategy, grid)
        if limits is not None:
            assert monitor is not None, "limits of the checks and the monitor change together"
            self._limit(limits, monitor, now_ns)
        if parameters is not None:
            self._plain = parameters
            compiled.change(strategy, compiled.beyond(parameters, self.hedge_edge_ppm))
        if plan is not None:
            pipeline.planner.set_params(
                tolerance_ticks=plan["tolerance_ticks"],
                qty_tolerance_ppm=plan["qty_tolerance_ppm"],
                order_age_ns_max=plan["order_age_ns_max"],
            )
            pipeline.planner.queue.set_params(
                value_ticks=plan["queue_value_ticks"],
                model=plan["queue_model"],
                power=plan["queue_power"],
            )
            if "rebalance_take" in plan:
                self.rebalancer.terms = RebalanceTerms.of(plan)
            pipeline.set_requote_uticks(plan["requote_uticks"])
            pipeline.set_leans(plan)
            if plan["wanted"] != pipeline.feed.signals.wanted:
                pipeline.feed.signals.set_wanted(plan["wanted"])
        if inventory is not None:
            pipeline.inventory.retarget(**inventory)
        self._mark(now_ns)
        self._requote(now_ns)
        return self._take()

    @entry
    def place_by_hand(
        self, side: int, price_ticks: int, qty_lots: int, who: str, now_ns: int
    ) -> tuple[Placed, list[Request]]:
        """Place one post-only order of an operator's, beside the ladder, through every check."""
        placed = self.by_hand.place(side, price_ticks, qty_lots, who, now_ns)
        return placed, self._take()

    @entry
    def cancel_by_hand(self, seqs: Sequence[int], now_ns: int) -> tuple[int, list[Request]]:
        """Cancel live orders, whoever placed them; returns how many cancels left."""
        return self.by_hand.cancel(seqs, now_ns), self._take()

    @entry
    def cancel_all(self, now_ns: int) -> tuple[int, list[Request]]:
        """Cancel every live order, and quote on; returns how many cancels left."""
        sent = self.pipeline.withdraw(now_ns)
        self._requote(now_ns)
        return sent, self._take()

    @entry
    def flatten(self, who: str, now_ns: int) -> list[Request]:
        """Cancel everything, reduce the position to its target, then pause.

        Raises:
            RiskError: it is halted.
        """
        changes = self.monitor.flatten(who)
        self.flattener.begin()
        self._changed(changes, now_ns)
        self.pipeline.withdraw(now_ns)
        return self._take()

    @entry
    def hedge_told(self, bid_lots: int, ask_lots: int, edge_ppm: int, now_ns: int) -> list[Request]:
        """Quote within what the hedge has room for, and at what it costs, from now on.

        Args:
            bid_lots, ask_lots: what either side may hold in all; a fill takes its part off at once.
            edge_ppm: what a quote keeps from the reference beyond the strategy's own floor.
        """
        self.pipeline.checks.hedge(bid_lots, ask_lots)
        if edge_ppm != self.hedge_edge_ppm and self._plain is not None:
            self.hedge_edge_ppm = edge_ppm
            compiled.change(self.pipeline.strategy, compiled.beyond(self._plain, edge_ppm))
        self._requote(now_ns)
        return self._take()

    @entry
    def hedge_differs(self, detail: str, now_ns: int) -> list[Request]:
        """The hedge venue holds another amount than the hedges account for: halt, latched."""
        self._halt("reconciliation", detail, now_ns)
        return self._take()

    @entry
    def trip(self, reason: str, now_ns: int) -> list[Request]:
        """Halt because something inside is broken."""
        self._halt("internal", reason, now_ns)
        return self._take()

    @entry
    def strategy_failed(
        self, count: int, row: int, kind: str, text: str, now_ns: int
    ) -> list[Request]:
        """Tell of calls of the user's own strategy that failed; halt after too many in a row.

        A replay does not fail: its strategy gives recorded answers. What is done about failures
        follows from this call alone.

        Args:
            count, row, kind, text: of `strategy.failure.Failures`, since the last call of this.
        """
        told = self.failures.on_failed(count, kind, text, now_ns)
        if told:
            self._incident(told)
        if why := self.failures.too_many(row, text):
            self._halt("strategy", why, now_ns)
        return self._take()

    @entry
    def stop(self, now_ns: int) -> list[Request]:
        """Quote no more and cancel everything; the loop waits for the proof."""
        self.stopping = True
        self._gate(now_ns)
        return self._take()

    @entry
    def end(self, now_ns: int) -> None:
        """The session ends: put the state it ends in on the tape."""
        self._tell_state(now_ns)

    @entry
    def start(self, now_ns: int) -> list[Request]:
        """Begin to quote: books, balances and streams are in place."""
        self.pipeline.set_inputs(risk_state=self.monitor.state, drawdown_breached=False,
                                 fills_last_minute=0)  # fmt: skip
        # Drawdown is measured from here: the first mark must not wait for the first loss.
        self._mark(now_ns)
        self._gate(now_ns)
        return self._take()

    @entry
    def private_lost(self, now_ns: int) -> list[Request]:
        """The private stream is gone: nothing may be placed until it has been reconciled."""
        self.pipeline.set_inputs(stream_live=False)
        self._hear_no_more()
        self.guard.on_lost()
        self.orders.on_private_lost(now_ns)
        self._requote(now_ns)
        return self._take()

    @entry
    def private_down(self, now_ns: int) -> None:
        """The private connection has ended: market data may be read before `private_lost`."""
        self.pipeline.set_inputs(stream_live=False)

    @entry
    def market_lost(self, feed_index: int, now_ns: int) -> list[Request]:
        """A feed's connection is gone: its book says nothing any more, now."""
        feed = self.feeds[feed_index]
        feed.book.break_(BookBreak.BREAK_DISCONNECT)
        self.pipeline.refresh(feed, now_ns)
        self._requote(now_ns)
        return self._take()

    @entry
    def clock_told(self, offset_ns: int | None, now_ns: int) -> None:
        """How far the venue's clock may be from ours; None: nothing is known."""
        self.clock_offset_ns = offset_ns
        self.pipeline.set_inputs(
            clock_offset_ns=journal.MISSING if offset_ns is None else offset_ns
        )

    @entry
    def private_restored(self, now_ns: int) -> list[Request]:
        """The private stream is back and its snapshot has been applied."""
        self.pipeline.set_inputs(stream_live=True)
        self._hearing = True
        self._requote(now_ns)
        return self._take()

    @entry
    def refused(self, text: str, now_ns: int) -> list[Request]:
        """The venue refused what no retry will mend (key, rights, account): halt, latched."""
        self._halt("refused", text, now_ns)
        return self._take()

    @entry
    def dead_man_sent(self, armed: bool, now_ns: int) -> None:
        """A request to arm or disarm the dead-man's switch has left."""
        self.guard.sent(armed, now_ns)

    @entry
    def watchdog_seen(self, alive: bool, now_ns: int) -> list[Request]:
        """The watchdog process runs, or does not."""
        self.guard.watchdog_alive = alive
        self._look_at_guard(now_ns)
        return self._take()

    # ------------------------------------------------------------------ inside

    def _changed(self, changes: Iterable[RiskChanged], now_ns: int) -> None:
        for change in changes:
            self._apply(change, now_ns)

    def _apply(self, change: RiskChanged, now_ns: int) -> None:
        self.pipeline.append(
            Record.REC_RISK,
            self.pipeline.feed.index,
            now_ns,
            journal.risk_record(
                change.before.name, change.after.name, change.reason, change.detail
            ),
        )
        self._out.append(RiskMoved(change))
        self.quoting.follow(change, now_ns, open_=self._open)

    def _gate(self, now_ns: int) -> None:
        self.quoting.gate(now_ns, open_=self._open)

    @property
    def _open(self) -> bool:
        """Whether all but the risk state lets us quote."""
        return (
            not self.stopping
            and self._covered
            and not self._token_stale
            and self.pair_status in OPEN_STATUSES
        )

    def _mark(self, now_ns: int) -> None:
        self._changed(self.quoting.mark(now_ns), now_ns)

    def _requote(self, now_ns: int) -> None:
        self.pipeline.requote(now_ns)

    def _halt(self, reason: str, detail: str, now_ns: int) -> None:
        for change in self.monitor.halt(reason, detail, now_ns):
            self._apply(change, now_ns)

    def _incident(self, text: str, severity: str = "warning") -> None:
        self._out.append(Alert(severity, text))

    def _hear_no_more(self) -> None:
        """Reports may have been lost, and it is known: no missing one is news."""
        self._hearing = False
        self.reconciler.fills.stream_lost()

    def _take(self) -> list[Request]:
        out: list[Request] = [*self.orders.take(), *self._out, *self.reconciler.take()]
        self._out.clear()
        for one in out:
            if isinstance(one, Alert) and one.severity != "info":
                self.last_incident = one.text
                self.incident_count += 1
            elif isinstance(one, IncidentMoved) and one.alert:
                self.last_incident = one.incident.text
                self.incident_count += 1
        return out


def places_of(value: Decimal) -> int:
    """Return how many decimals an amount has."""
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _known(value: int | None) -> int:
    return journal.MISSING if value is None else value


def _changed_steps(held: Instrument, now: Instrument) -> str:
    """Tell which of the steps that everything is counted in are not what they were."""
    return ", ".join(
        f"{name} {getattr(held, name)} -> {getattr(now, name)}"
        for name in ("tick_size", "lot_size", "price_decimals", "qty_decimals")
        if getattr(held, name) != getattr(now, name)
    )
