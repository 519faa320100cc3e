"""The slow path: acknowledgements, fills, balances, timers and operator commands.

The second entry to the tables that the hot path reads. Pure: a function of the tables' state and
the event; time comes in as an argument, what is to be done outside goes out as `Request` values.
Every event reached the tape before it gets here, so a replay calls the same methods in the same
order.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from typing import Protocol, final

from msgspec import Struct
from msgspec.structs import replace

from openmm import journal
from openmm._fast.book import BookBreak, BookState
from openmm._fast.checks import RiskState
from openmm._fast.latency import Stage
from openmm._fast.orders import OrderEvent, OrderState, OrderView, Transition
from openmm._fast.pipeline import Feed, Pipeline
from openmm._fast.tape import Record
from openmm._fast.units import Side
from openmm.events import (
    BalanceUpdated,
    Event,
    Fee,
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
from openmm.instrument import Instrument
from openmm.risk.monitor import RiskChanged, RiskMonitor
from openmm.settlement.reconcile import Difference
from openmm.telemetry import FILLS_MAX, FillPage

SECOND_NS = 1_000_000_000
# How long to wait before the n-th query of an order that went unanswered; then the last, for ever.
QUERY_AFTER_NS = (0, SECOND_NS, 2 * SECOND_NS, 5 * SECOND_NS, 10 * SECOND_NS, 30 * SECOND_NS)
# Back-off of a broken book's resync, likewise.
RESYNC_AFTER_NS = (0, SECOND_NS, 2 * SECOND_NS, 5 * SECOND_NS, 15 * SECOND_NS)
EXEC_IDS_MAX = 200_000
# What an answer shows of an order that was amended less than this before may be older than that.
QUERY_LAG_NS = 2 * SECOND_NS
# Terminal orders keep their slot this long, so that a late fill still finds them.
LINGER_NS = 60 * SECOND_NS

# Evidence sources as journalled in REC_TRANSITION; 0 is our own act.
SOURCE_CODES = {source: code for code, source in enumerate(Source, start=1)}


class ClientIds(Protocol):
    """What the step must know of the venue's client ids and of the requests sent."""

    def seq_of(self, client_id: str) -> int:
        """Return the order-table sequence of an id of this session, 0 when it is not."""
        ...

    def is_earlier(self, client_id: str) -> bool:
        """Whether the id is this bot's, of an earlier session."""
        ...

    def tier(self, threshold: int) -> tuple[int, int]:
        """Return threshold and decay a second of the account's rate counter, in thousandths."""
        ...

    def requested(self, req_id: int) -> tuple[str, Sequence[int]]:
        """Return the kind of a request sent by the hot path and the sequences it carried."""
        ...


class QueryOrders(Struct, frozen=True):
    """Ask the venue for these orders' states and fills."""

    seqs: tuple[int, ...]


class Resubscribe(Struct, frozen=True):
    """Get a new snapshot for a feed's book."""

    feed_index: int
    reason: BookBreak


class CancelStray(Struct, frozen=True):
    """Cancel orders of an earlier session of this bot, by venue id."""

    venue_order_ids: tuple[str, ...]


class ResyncPrivate(Struct, frozen=True):
    """The private stream lost messages: reconnect it and query what is open."""

    reason: str


class Alert(Struct, frozen=True):
    """Tell people. `severity`: info, warning, critical."""

    severity: str
    text: str


class RiskMoved(Struct, frozen=True):
    """The risk state changed; alert and record."""

    change: RiskChanged


Request = QueryOrders | Resubscribe | CancelStray | ResyncPrivate | Alert | RiskMoved


class Counters(Struct):
    """What happened in the session, for status and report."""

    fills: int = 0
    rejected: int = 0
    duplicate_fills: int = 0
    overfills: int = 0
    illegal: int = 0
    timeouts: int = 0
    queries: int = 0
    unrecognised: int = 0
    foreign: int = 0


class _Unknown(Struct):
    asked: int = 0
    next_ns: int = 0


class _Resync(Struct):
    tries: int = 0
    next_ns: int = 0


class StepConfig(Struct, frozen=True):
    """Times and limits of the slow path."""

    ack_timeout_ns: int = 5 * SECOND_NS
    feed_age_ns_max: int = 5 * SECOND_NS
    sample_every_ns: int = SECOND_NS


@final
@dataclass(slots=True)
class Step:
    """Apply events of the slow path to the tables of one bot."""

    pipeline: Pipeline
    feeds: Sequence[Feed]
    instrument: Instrument
    monitor: RiskMonitor
    ids: ClientIds
    config: StepConfig
    counters: Counters = field(default_factory=Counters)
    venue_ids: dict[str, int] = field(default_factory=dict)
    balances: dict[str, Decimal] = field(default_factory=dict)
    fees: dict[str, Decimal] = field(default_factory=dict)
    mode: SystemMode = SystemMode.UNKNOWN
    foreign: dict[str, OrderUpdated] = field(default_factory=dict)
    recent_fills: deque[FillPage] = field(default_factory=lambda: deque(maxlen=FILLS_MAX))
    stopping: bool = False
    last_incident: str = ""
    _exec_ids: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _unknown: dict[int, _Unknown] = field(default_factory=dict)
    _resync: dict[int, _Resync] = field(default_factory=dict)
    _catching_up: dict[int, int] = field(default_factory=dict)
    _terminal: OrderedDict[int, int] = field(default_factory=OrderedDict)
    _sampled_ns: int = 0
    _expected: dict[str, Decimal] = field(default_factory=dict)
    _moved_ns: int = 0
    _out: list[Request] = field(default_factory=list)

    # ------------------------------------------------------------------ money

    def set_opening(self, opening: Mapping[str, Decimal], now_ns: int) -> None:
        """Take the opening balances of base and quote; what we hold follows from here on."""
        instrument = self.instrument
        self._expected = dict(opening)
        for asset, total in opening.items():
            event = BalanceUpdated(asset, total, None, Decimal(0), "opening", "", now_ns)
            self.pipeline.append(
                Record.REC_BALANCE, self.pipeline.feed.index, now_ns, journal.balance_record(event)
            )
        self.pipeline.inventory.set_balances(
            self.base_lots(opening[instrument.base]), self.quote_ticklots(opening[instrument.quote])
        )

    def expected(self) -> dict[str, Decimal]:
        """Return opening plus every booked change, by asset."""
        return dict(self._expected)

    def quiet_ns(self, now_ns: int) -> int:
        """Return how long ago money last moved."""
        return now_ns - self._moved_ns

    def on_differences(
        self, found: Sequence[Difference], halt_above_ppm: int, now_ns: int
    ) -> list[Request]:
        """Halt when what the venue lacks or has too much passes a share of equity."""
        inventory = self.pipeline.inventory
        reference = self.pipeline.reference.price_uticks
        for one in found:
            if one.asset == self.instrument.quote:
                ticklots = abs(self.quote_ticklots(one.amount))
            elif one.asset == self.instrument.base and reference is not None:
                ticklots = abs(self.base_lots(one.amount)) * reference // 1_000_000
            else:
                continue
            equity = inventory.equity_ticklots
            if equity is None or ticklots * 1_000_000 > halt_above_ppm * equity:
                detail = f"balance differs by more than {halt_above_ppm / 10_000:g}%: {one}"
                for change in self.monitor.halt("reconciliation", detail, now_ns):
                    self._apply(change, now_ns)
        return self._take()

    def counter_values(self) -> dict[str, int]:
        """Return the session's counters by name."""
        return {name: int(getattr(self.counters, name)) for name in Counters.__struct_fields__}

    def _post(self, asset: str, change: Decimal, now_ns: int) -> None:
        self._expected[asset] = self._expected.get(asset, Decimal(0)) + change
        self._moved_ns = now_ns

    # ------------------------------------------------------------------ events

    def on_events(self, events: Sequence[Event], now_ns: int) -> list[Request]:
        """Apply the events of one private message or reply, then look at the quotes once."""
        before = self.pipeline.table.version
        position = self.pipeline.inventory.position_lots
        for event in events:
            self._on_event(event, now_ns)
        if position != self.pipeline.inventory.position_lots:
            self._mark(now_ns)
        if before != self.pipeline.table.version:
            self._requote(now_ns)
        return self._take()

    def _on_event(self, event: Event, now_ns: int) -> None:
        match event:
            case OrderFilled():
                self._on_fill(event, now_ns)
            case OrderUpdated():
                self._on_order(event, now_ns)
            case RequestAccepted():
                self._on_accepted(event, now_ns)
            case RequestRefused():
                self._on_refused(event, now_ns)
            case BalanceUpdated():
                self._on_balance(event, now_ns)
            case StatusChanged():
                self._on_status(event, now_ns)
            case StreamGapped():
                self.pipeline.set_inputs(stream_live=False)
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

    def _on_accepted(self, event: RequestAccepted, now_ns: int) -> None:
        if event.kind == "add":
            seqs = self._seqs(event.client_id, event.req_id)
            # Of a batch only the client id tells which order a row is about.
            if len(seqs) == 1:
                if event.venue_order_id:
                    self._name(seqs[0], event.venue_order_id)
                self._ack_latency(seqs[0], now_ns)
                self._move(seqs[0], OrderEvent.EV_ACKED, Source.ACK, now_ns)
        elif event.kind == "amend":
            for one in self._seqs(event.client_id, event.req_id):
                self._ack_latency(one, now_ns)
                self._move(one, OrderEvent.EV_AMENDED, Source.ACK, now_ns)
        # A cancel's reply is not its end: a fill can come first. `canceled` on the stream is.

    def _on_refused(self, event: RequestRefused, now_ns: int) -> None:
        if event.kind not in ("add", "amend", "cancel"):
            self._incident(f"{event.kind} refused: {event.text}")
            return
        seqs = self._seqs(event.client_id, event.req_id, event.index)
        self.counters.rejected += len(seqs)
        # A text of no known kind is no proof that the request took no effect.
        uncertain = event.code in ("unavailable", "internal", "timeout", "unknown")
        for seq in seqs:
            if uncertain:
                self._move(seq, OrderEvent.EV_TIMEOUT, Source.ACK, now_ns)
                self._track_unknown(seq, now_ns)
            elif event.kind == "add":
                self._move(seq, OrderEvent.EV_REJECTED, Source.ACK, now_ns)
            elif event.kind == "amend":
                if event.code == "no_change":
                    self._move(seq, OrderEvent.EV_AMENDED, Source.ACK, now_ns)
                else:
                    self._move(seq, OrderEvent.EV_AMEND_REJECTED, Source.ACK, now_ns)
                    if event.code == "unknown_order":
                        self._doubt(seq, now_ns)
            else:
                self._move(seq, OrderEvent.EV_CANCEL_REJECTED, Source.ACK, now_ns)
                # Refused for a lack of budget: asking at once, then cancelling at once, would only
                # use up more of it.
                wait = event.code in ("rate_limit", "call_rate", "throttled")
                self._doubt(seq, now_ns, after_ns=SECOND_NS if wait else 0)
        if event.code == "rate_limit":
            # Our counter was wrong: believe the venue's, which is over its threshold.
            self.pipeline.checks.budget.exhaust(now_ns)
        if not seqs:
            self._incident(f"{event.kind} refused, order not known: {event.text}")

    def _on_order(self, event: OrderUpdated, now_ns: int) -> None:
        seq = self._seq(event.client_id, event.venue_order_id)
        if not seq:
            self._on_other_order(event)
            return
        if event.venue_order_id:
            self._name(seq, event.venue_order_id)
        order = self.pipeline.table.get(seq)
        if (
            (order is None or order.state >= OrderState.FILLED)
            and event.venue_order_id
            and event.status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)
        ):
            # We took it for ended, the venue has it open: it may not stand uncounted.
            self._incident(f"order {event.venue_order_id} is open though ended here: {seq}")
            self._out.append(CancelStray((event.venue_order_id,)))
        if order is None:
            return
        if event.status is OrderStatus.UNKNOWN:
            self._incident(f"order {event.venue_order_id}: state unknown to us: {event.reason}")
            self._doubt(seq, now_ns)
            return
        if event.filled_lots is not None and event.filled_lots > order.filled_lots:
            # The state is ahead of the fills: ask for what we have not seen.
            self._track_unknown(seq, now_ns, after_ns=SECOND_NS)
        proven = event.source in (Source.SNAPSHOT, Source.QUERY)
        match event.status:
            case OrderStatus.OPEN | OrderStatus.PARTIALLY_FILLED:
                if event.amended and _is_earlier_amend(event, order):
                    # The report of the amend before the one under way: the reply settles that.
                    pass
                elif event.amended:
                    # 0 where the report is silent: then what the amend asked for holds.
                    self.pipeline.table.amended(
                        seq, event.price_ticks or 0, event.qty_lots or 0, now_ns
                    )
                    self._journal(seq, OrderEvent.EV_AMENDED, order.state, event.source, now_ns)
                elif proven:
                    # The price settles an amend that went unanswered; without it the order
                    # stays unknown, and is asked for again.
                    self._move(
                        seq,
                        OrderEvent.EV_PROVEN_OPEN,
                        event.source,
                        now_ns,
                        event.price_ticks or 0,
                        event.qty_lots or 0,
                    )
                    after = self.pipeline.table.get(seq)
                    if after is None or after.state is not OrderState.UNKNOWN:
                        self._unknown.pop(seq, None)
                else:
                    self._move(seq, OrderEvent.EV_ACKED, event.source, now_ns)
            case OrderStatus.CANCELLED:
                self._move(
                    seq,
                    OrderEvent.EV_PROVEN_GONE if proven else OrderEvent.EV_CANCELLED,
                    event.source,
                    now_ns,
                )
            case OrderStatus.EXPIRED:
                self._move(seq, OrderEvent.EV_EXPIRED, event.source, now_ns)
            case OrderStatus.REJECTED:
                self._move(seq, OrderEvent.EV_REJECTED, event.source, now_ns)
            case OrderStatus.FILLED:
                # Filled follows from the fills, which carry the money; a missing one was noticed
                # above. With all of them booked an order that still stands here had another
                # quantity at the venue than here.
                if (
                    proven
                    and event.filled_lots
                    and order.filled_lots >= event.filled_lots
                    and order.state < OrderState.FILLED
                ):
                    self._move(seq, OrderEvent.EV_PROVEN_GONE, event.source, now_ns)
            case OrderStatus.PENDING:
                pass  # not live yet

    def _on_other_order(self, event: OrderUpdated) -> None:
        if event.client_id and self.ids.is_earlier(event.client_id):
            if not event.status.terminal:
                self._out.append(CancelStray((event.venue_order_id,)))
            return
        if event.status.terminal:
            self.foreign.pop(event.venue_order_id, None)
        elif event.venue_order_id not in self.foreign:
            self.counters.foreign += 1
            if len(self.foreign) < 1000:
                self.foreign[event.venue_order_id] = event

    def _on_fill(self, event: OrderFilled, now_ns: int) -> None:
        if event.exec_id in self._exec_ids:
            self.counters.duplicate_fills += 1
            return
        seq = self._seq(event.client_id, event.venue_order_id)
        if not seq:
            # Not an order of this session: its balance change comes on the balances channel.
            return
        self._exec_ids[event.exec_id] = None
        if len(self._exec_ids) > EXEC_IDS_MAX:
            self._exec_ids.popitem(last=False)
        self._name(seq, event.venue_order_id)
        self.pipeline.append(
            Record.REC_FILL,
            self.pipeline.feed.index,
            now_ns,
            journal.fill_record(event, seq, self.pipeline.reference.price_uticks),
        )
        order = self.pipeline.table.get(seq)
        result = self.pipeline.table.fill(seq, event.price_ticks, event.qty_lots, now_ns)
        if order is not None:
            self._journal(
                seq, OrderEvent.EV_FILL, order.state, event.source, now_ns,
                event.price_ticks, event.qty_lots,
            )  # fmt: skip
        if result is Transition.TR_OVERFILL:
            self.counters.overfills += 1
            self._incident(f"order {event.venue_order_id} filled beyond its quantity", "critical")
        elif result is Transition.TR_UNKNOWN_ORDER:
            self._incident(f"fill {event.exec_id} of an order no longer held: {seq}", "critical")
        self.counters.fills += 1
        self.recent_fills.appendleft(
            FillPage(
                event.ts_ns, int(event.side), event.price_ticks, event.qty_lots, int(event.maker)
            )
        )
        self.monitor.on_fill(now_ns)
        inventory = self.pipeline.inventory
        inventory.fill(event.side, event.price_ticks, event.qty_lots)
        qty = self.instrument.qty(event.qty_lots)
        sign = 1 if event.side == Side.BUY else -1
        self._post(self.instrument.base, sign * qty, now_ns)
        self._post(self.instrument.quote, -sign * event.cost, now_ns)
        for fee in event.fees:
            self._on_fee(fee, now_ns)
        self._settle_terminal(seq, now_ns)
        self.pipeline.set_inputs(fills_last_minute=self.monitor.fills_last_minute(now_ns))

    def _on_fee(self, fee: Fee, now_ns: int) -> None:
        self._post(fee.asset, -fee.amount, now_ns)
        before = self.fees.get(fee.asset, Decimal(0))
        after = self.fees[fee.asset] = before + fee.amount
        inventory = self.pipeline.inventory
        # Single fees are finer than lots: what counts is how many lots their sum has passed.
        if fee.asset == self.instrument.quote:
            inventory.fee(self.quote_ticklots(after) - self.quote_ticklots(before))
        elif fee.asset == self.instrument.base:
            inventory.adjust(self.base_lots(before) - self.base_lots(after), 0)

    def _on_balance(self, event: BalanceUpdated, now_ns: int) -> None:
        self.balances[event.asset] = event.total
        self.pipeline.append(
            Record.REC_BALANCE, self.pipeline.feed.index, now_ns, journal.balance_record(event)
        )
        if event.kind in ("trade", "snapshot") or event.change is None:
            return
        # Money moved for another reason than our fills: what we hold changes, P&L does not.
        change = event.change - event.fee
        self._post(event.asset, change, now_ns)
        inventory = self.pipeline.inventory
        if event.asset == self.instrument.quote:
            ticklots = self.quote_ticklots(change)
            inventory.adjust(0, ticklots)
            self.monitor.on_transfer(ticklots)
        elif event.asset == self.instrument.base:
            lots = self.base_lots(change)
            inventory.adjust(lots, 0)
            reference = self.pipeline.reference.price_uticks
            if reference is not None:
                self.monitor.on_transfer(lots * reference // 1_000_000)
        else:
            return
        self._out.append(Alert("info", f"{event.kind} of {change} {event.asset} on the account"))
        self._mark(now_ns)

    def _on_status(self, event: StatusChanged, now_ns: int) -> None:
        if event.mode is self.mode:
            return
        self.mode = event.mode
        # Unknown modes fail closed, like every other that is not open for orders.
        online = event.mode in (SystemMode.ONLINE, SystemMode.POST_ONLY)
        self.pipeline.set_inputs(instrument_online=online and self.instrument.status == "online")
        self._out.append(Alert("info" if online else "warning", f"venue is {event.text}"))
        self._requote(now_ns)

    # ------------------------------------------------------------------ time

    def on_timer(self, now_ns: int) -> list[Request]:
        """Look for what did not happen: silence, unanswered requests, broken books, cooldowns."""
        for feed in self.feeds:
            self._watch_feed(feed, now_ns)
        for seq in self.pipeline.table.timeouts(now_ns, self.config.ack_timeout_ns):
            self.counters.timeouts += 1
            self._move(seq, OrderEvent.EV_TIMEOUT, Source.TIMEOUT, now_ns)
            self._track_unknown(seq, now_ns)
        if self.pipeline.table.unknown_count:
            # A batch the pipeline took back leaves its cancels in doubt without a word to us.
            for order in self.pipeline.table.live():
                if order.state is OrderState.UNKNOWN:
                    self._track_unknown(order.seq, now_ns)
        self._query_due(now_ns)
        self._release(now_ns)
        for change in self.monitor.on_time(now_ns):
            self._apply(change, now_ns)
        self._mark(now_ns)
        self.pipeline.set_inputs(fills_last_minute=self.monitor.fills_last_minute(now_ns))
        self._sample(now_ns)
        self._requote(now_ns)
        return self._take()

    def _sample(self, now_ns: int) -> None:
        """Journal the market once a second, for what the report says about time."""
        if now_ns - self._sampled_ns < self.config.sample_every_ns:
            return
        self._sampled_ns = now_ns
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

    def _watch_feed(self, feed: Feed, now_ns: int) -> None:
        book = feed.book
        if book.recentre_due:
            # The market nears the edge of the ladder's window; moved here, no tick waits for it.
            book.recentre()
        if book.state is BookState.BOOK_VERIFIED:
            self._resync.pop(feed.index, None)
            if now_ns - feed.last_recv_ns <= self.config.feed_age_ns_max:
                return
            book.break_(BookBreak.BREAK_STALE)
            self.pipeline.refresh(feed, now_ns)
            self._incident(f"feed {feed.index} is silent: book dropped")
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
                self._out.append(Resubscribe(feed.index, book.break_reason))

    def _query_due(self, now_ns: int) -> None:
        due = [seq for seq, one in self._unknown.items() if now_ns >= one.next_ns]
        if not due:
            return
        for seq in due:
            one = self._unknown[seq]
            one.asked += 1
            one.next_ns = now_ns + QUERY_AFTER_NS[min(one.asked, len(QUERY_AFTER_NS) - 1)]
        self.counters.queries += 1
        self._out.append(QueryOrders(tuple(due)))

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
        fills = [event for event in found if isinstance(event, OrderFilled)]
        states = [event for event in found if isinstance(event, OrderUpdated)]
        seen: set[int] = set()
        for fill in fills:
            self._on_fill(fill, now_ns)
        for state in states:
            seq = self._seq(state.client_id, state.venue_order_id)
            seen.add(seq)
            ended_ns = self._terminal.get(seq)
            if ended_ns is not None and ended_ns > asked_ns - QUERY_LAG_NS:
                # Its end was told after, or just before, the venue looked.
                self._unknown.pop(seq, None)
                continue
            before = self.pipeline.table.get(seq) if seq else None
            if (
                before is not None
                and before.state is not OrderState.UNKNOWN
                and before.amended_ns > asked_ns - QUERY_LAG_NS
            ):
                # Its price was settled after, or just before, the venue looked.
                state = replace(state, price_ticks=None, qty_lots=None)
            self._on_order(state, now_ns)
            order = self.pipeline.table.get(seq) if seq else None
            if (
                order is not None
                and order.state is not OrderState.UNKNOWN
                and (state.filled_lots is None or state.filled_lots <= order.filled_lots)
            ):
                self._unknown.pop(seq, None)
        for seq in seqs:
            if seq in seen:
                continue
            order = self.pipeline.table.get(seq)
            one = self._unknown.get(seq)
            if order is None or order.state >= OrderState.FILLED or one is None:
                self._unknown.pop(seq, None)
                continue
            if order.state is not OrderState.UNKNOWN:
                # We hold it for live, the venue does not list it: that is no certainty either way.
                self._doubt(seq, now_ns)
                continue
            # Twice absent, and long enough after we acted: it was never there, or is gone.
            if one.asked >= 2 and asked_ns - order.acted_ns >= 2 * SECOND_NS:
                self._move(seq, OrderEvent.EV_PROVEN_GONE, Source.QUERY, now_ns)
                self._unknown.pop(seq, None)
        self._mark(now_ns)
        self._requote(now_ns)
        return self._take()

    # ------------------------------------------------------------------ commands

    def halt(self, who: str, now_ns: int) -> list[Request]:
        """Latch HALTED and cancel everything."""
        for change in self.monitor.halt("operator", f"halted by {who}", now_ns):
            self._apply(change, now_ns)
        return self._take()

    def pause(self, who: str, now_ns: int) -> list[Request]:
        """Cancel everything and quote nothing until resumed."""
        for change in self.monitor.pause(who):
            self._apply(change, now_ns)
        return self._take()

    def resume(self, who: str, now_ns: int) -> list[Request]:
        """Leave PAUSED or HALTED."""
        for change in self.monitor.resume(who):
            self._apply(change, now_ns)
        return self._take()

    def trip(self, reason: str, now_ns: int) -> list[Request]:
        """Halt because something inside is broken."""
        for change in self.monitor.halt("internal", reason, now_ns):
            self._apply(change, now_ns)
        return self._take()

    def stop(self, now_ns: int) -> list[Request]:
        """Quote no more and cancel everything; the loop waits for the proof."""
        self.stopping = True
        self._gate(now_ns)
        return self._take()

    def start(self, now_ns: int) -> list[Request]:
        """Begin to quote: books, balances and streams are in place."""
        self.pipeline.set_inputs(risk_state=self.monitor.state, drawdown_breached=False,
                                 fills_last_minute=0)  # fmt: skip
        # Drawdown is measured from here: the first mark must not wait for the first loss.
        self._mark(now_ns)
        self._gate(now_ns)
        return self._take()

    def private_lost(self, now_ns: int) -> list[Request]:
        """The private stream is gone: nothing may be placed until it has been reconciled."""
        self.pipeline.set_inputs(stream_live=False)
        for order in self.pipeline.table.live():
            if order.state in (
                OrderState.PENDING_NEW, OrderState.PENDING_AMEND, OrderState.PENDING_CANCEL,
            ):  # fmt: skip
                self._move(order.seq, OrderEvent.EV_TIMEOUT, Source.TIMEOUT, now_ns)
            self._track_unknown(order.seq, now_ns)
        self._requote(now_ns)
        return self._take()

    def private_restored(self, now_ns: int) -> list[Request]:
        """The private stream is back and its snapshot has been applied."""
        self.pipeline.set_inputs(stream_live=True)
        self._requote(now_ns)
        return self._take()

    # ------------------------------------------------------------------ inside

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
        if change.reason == "inventory" and change.after is RiskState.REDUCING:
            self.pipeline.withdraw(now_ns)
        self._gate(now_ns)

    def _gate(self, now_ns: int) -> None:
        state = self.monitor.state
        quoting = state in (RiskState.RUNNING, RiskState.REDUCING) and not self.stopping
        self.pipeline.quoting = quoting
        self.pipeline.set_inputs(risk_state=state, drawdown_breached=self.monitor.drawdown_breached)
        reducing = state is RiskState.REDUCING
        q_lots = self.pipeline.inventory.q_lots or 0
        self.pipeline.allow_bid = not reducing or q_lots < 0
        self.pipeline.allow_ask = not reducing or q_lots > 0
        if quoting:
            self._requote(now_ns)
        else:
            self.pipeline.withdraw(now_ns)

    def _mark(self, now_ns: int) -> None:
        reference = self.pipeline.reference.price_uticks
        inventory = self.pipeline.inventory
        if reference is None or not inventory.known:
            return
        inventory.mark(reference)
        equity, q_lots = inventory.equity_ticklots, inventory.q_lots
        assert equity is not None, "a marked inventory has its equity"
        assert q_lots is not None, "a marked inventory has its position"
        changes = self.monitor.on_mark(equity, q_lots, now_ns)
        for change in changes:
            self._apply(change, now_ns)
        if not changes:
            self.pipeline.set_inputs(drawdown_breached=self.monitor.drawdown_breached)
            if self.monitor.state is RiskState.REDUCING:
                self.pipeline.allow_bid = q_lots < 0
                self.pipeline.allow_ask = q_lots > 0

    def _requote(self, now_ns: int) -> None:
        self.pipeline.requote(now_ns)

    def _move(
        self,
        seq: int,
        event: OrderEvent,
        source: Source,
        now_ns: int,
        price_ticks: int = 0,
        qty_lots: int = 0,
    ) -> None:
        order = self.pipeline.table.get(seq)
        if order is None:
            return
        result = self.pipeline.table.event(
            seq, event, now_ns, price_ticks=price_ticks, qty_lots=qty_lots
        )
        if result is Transition.TR_ILLEGAL:
            self.counters.illegal += 1
            self._incident(f"order {seq}: {event.name} is impossible in {order.state.name}")
            self._doubt(seq, now_ns)
            return
        if result is Transition.TR_OK:
            self._journal(seq, event, order.state, source, now_ns, price_ticks, qty_lots)
        self._settle_terminal(seq, now_ns)

    def _journal(
        self,
        seq: int,
        event: OrderEvent,
        before: OrderState,
        source: Source,
        now_ns: int,
        price_ticks: int = 0,
        qty_lots: int = 0,
    ) -> None:
        order = self.pipeline.table.get(seq)
        after = OrderState.FREE if order is None else order.state
        self.pipeline.append(
            Record.REC_TRANSITION,
            self.pipeline.feed.index,
            now_ns,
            journal.transition_record(
                seq, event, before, after, SOURCE_CODES[source], price_ticks, qty_lots
            ),
        )

    def _settle_terminal(self, seq: int, now_ns: int) -> None:
        order = self.pipeline.table.get(seq)
        if order is not None and order.state >= OrderState.FILLED and seq not in self._terminal:
            self._terminal[seq] = now_ns

    def _release(self, now_ns: int) -> None:
        while self._terminal:
            seq, ended_ns = next(iter(self._terminal.items()))
            if now_ns - ended_ns < LINGER_NS:
                return
            del self._terminal[seq]
            self._unknown.pop(seq, None)
            order = self.pipeline.table.get(seq)
            if order is not None:
                self.venue_ids.pop(order.venue_id, None)
                self.pipeline.table.release(seq)

    def _doubt(self, seq: int, now_ns: int, after_ns: int = 0) -> None:
        """Stop believing what the table says of an order until a query has answered."""
        order = self.pipeline.table.get(seq)
        if order is not None and order.state < OrderState.FILLED:
            self.pipeline.table.event(seq, OrderEvent.EV_TIMEOUT, now_ns)
            self._journal(seq, OrderEvent.EV_TIMEOUT, order.state, Source.TIMEOUT, now_ns)
            self._track_unknown(seq, now_ns, after_ns)

    def _track_unknown(self, seq: int, now_ns: int, after_ns: int = 0) -> None:
        self._unknown.setdefault(seq, _Unknown(next_ns=now_ns + after_ns))

    def _name(self, seq: int, venue_order_id: str) -> None:
        if not venue_order_id or self.pipeline.table.get(seq) is None:
            return
        if self.venue_ids.get(venue_order_id) != seq:
            self.venue_ids[venue_order_id] = seq
            self.pipeline.table.set_venue_id(seq, venue_order_id)

    def _seq(self, client_id: str, venue_order_id: str) -> int:
        seq = self.ids.seq_of(client_id) if client_id else 0
        return seq or self.venue_ids.get(venue_order_id, 0)

    def _seqs(self, client_id: str, req_id: int, index: int = -1) -> Sequence[int]:
        if client_id:
            seq = self.ids.seq_of(client_id)
            return (seq,) if seq else ()
        _, seqs = self.ids.requested(req_id)
        if 0 <= index < len(seqs):
            return (seqs[index],)
        return seqs

    def _ack_latency(self, seq: int, now_ns: int) -> None:
        order = self.pipeline.table.get(seq)
        if order is not None and order.state in (
            OrderState.PENDING_NEW, OrderState.PENDING_AMEND,
        ):  # fmt: skip
            self.pipeline.latency.record(Stage.STAGE_ACK, now_ns - order.acted_ns)

    def _incident(self, text: str, severity: str = "warning") -> None:
        self.last_incident = text
        self._out.append(Alert(severity, text))

    def quote_ticklots(self, amount: Decimal) -> int:
        """Convert an amount of the quote asset to ticklots, rounded down."""
        unit = self.instrument.tick_size * self.instrument.lot_size
        return int((amount / unit).to_integral_value(ROUND_FLOOR))

    def base_lots(self, amount: Decimal) -> int:
        """Convert an amount of the base asset to lots, rounded down."""
        return self.instrument.floor_lots(amount)

    def _take(self) -> list[Request]:
        out, self._out = self._out, []
        return out


def _is_earlier_amend(event: OrderUpdated, order: OrderView) -> bool:
    """Whether a report of an amend is not of the one under way."""
    if event.source is not Source.STREAM or not order.pending_price_ticks:
        return False
    price_ticks = event.price_ticks or order.pending_price_ticks
    qty_lots = event.qty_lots or order.pending_qty_lots
    return (price_ticks, qty_lots) != (order.pending_price_ticks, order.pending_qty_lots)


def _known(value: int | None) -> int:
    return journal.MISSING if value is None else value
