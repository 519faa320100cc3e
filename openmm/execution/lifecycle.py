"""The life of every own order: evidence in, transitions with their evidence out.

Acknowledgements, stream reports, snapshots and queries move the orders of the table; what they
cannot settle comes into doubt and is asked for. An order counts in full against every limit until
its end is proven, and its end is proven only together with every fill that belongs to it: a report
that tells of more fills than were booked leaves the order standing until they have come.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Protocol, final

from msgspec import Struct
from msgspec.structs import replace

from openmm import journal
from openmm._fast.latency import Stage
from openmm._fast.orders import InFlight, OrderEvent, OrderState, OrderView, Transition
from openmm._fast.pipeline import Pipeline
from openmm._fast.tape import Record
from openmm.events import (
    RATES,
    OrderFilled,
    OrderStatus,
    OrderUpdated,
    RequestAccepted,
    RequestRefused,
    Source,
)
from openmm.execution.doubt import SECOND_NS, Doubts
from openmm.execution.requests import Alert, CancelStray, OrderRequest, QueryOrders, RenewToken

EXEC_IDS_MAX = 200_000
# What an answer shows of an order that was amended less than this before may be older than that.
QUERY_LAG_NS = 2 * SECOND_NS
# An answer that still shows the price from before an unanswered amend proves nothing for so long.
AMEND_LAG_NS = 10 * SECOND_NS
# More than a venue's clock is ever from ours while quotes stand.
CLOCKS_NS = 2 * SECOND_NS
# The time a restored stream's own questions are given before single orders are asked for.
RECOVERY_NS = 5 * SECOND_NS
# Terminal orders keep their slot this long, so that a late fill still finds them.
LINGER_NS = 60 * SECOND_NS

# Evidence sources as journalled in REC_TRANSITION; 0 is our own act.
SOURCE_CODES = {source: code for code, source in enumerate(Source, start=1)}
UNCERTAIN = frozenset({"unavailable", "internal", "timeout", "unknown"})
REPRICING = frozenset(
    {OrderEvent.EV_AMENDED, OrderEvent.EV_AMEND_REJECTED, OrderEvent.EV_PROVEN_OPEN}
)
LIVE = frozenset({OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED})


class ClientIds(Protocol):
    """What must be known of the venue's client ids and of the requests sent."""

    def seq_of(self, client_id: str) -> int:
        """Return the order-table sequence of an id of this session, 0 when it is not."""
        ...

    def is_earlier(self, client_id: str) -> bool:
        """Whether the id is this bot's, of an earlier session."""
        ...

    def is_later(self, client_id: str) -> bool:
        """Whether the id is this bot's, of a session that began after this one."""
        ...

    def tier(self, threshold: int) -> tuple[int, int]:
        """Return threshold and decay a second of the account's rate counter, in thousandths."""
        ...

    def requested(self, req_id: int) -> tuple[str, Sequence[int]]:
        """Return the kind of a request sent by the hot path and the sequences it carried."""
        ...

    def superseded(self, req_id: int, seq: int) -> bool:
        """Whether a later request of the kind names the order: an answer to this one is old."""
        ...


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
    foreign_fills: int = 0
    recovered_fills: int = 0


class _Ending(Struct, frozen=True):
    """An end that was told before all of the order's fills."""

    event: OrderEvent
    source: Source
    filled_lots: int


@final
class Lifecycle:
    """Apply evidence to the order table of one bot.

    Args:
        pipeline: holds the table, the tape and the counters that evidence moves.
        ids: reads client ids.
        ack_timeout_ns: how long a request may go unanswered.
    """

    def __init__(self, pipeline: Pipeline, ids: ClientIds, ack_timeout_ns: int) -> None:
        self.pipeline = pipeline
        self.ids = ids
        self.counters = Counters()
        self.venue_ids: dict[str, int] = {}
        self.foreign: dict[str, OrderUpdated] = {}
        self.doubts = Doubts()
        self._ack_timeout_ns = ack_timeout_ns
        self._exec_ids: OrderedDict[str, None] = OrderedDict()
        self._terminal: OrderedDict[int, int] = OrderedDict()
        self._endings: dict[int, _Ending] = {}
        self._repriced: dict[int, int] = {}  # when an amend was last settled
        self._amended_ns: dict[int, int] = {}  # the venue's stamp of the last amend it reported
        self._vanished: list[str] = []
        self._out: list[OrderRequest] = []

    def take_vanished(self) -> list[str]:
        """Return the venue's ids of orders that it had and now knows nothing of, once."""
        out, self._vanished = self._vanished, []
        return out

    def take(self) -> list[OrderRequest]:
        """Return what is to be done outside, once."""
        out, self._out = self._out, []
        return out

    # ------------------------------------------------------------------ replies

    def on_accepted(self, event: RequestAccepted, now_ns: int) -> None:
        """Take the venue's yes to a request."""
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
                # The stream may have settled this amend, and another be under way since.
                if self.ids.superseded(event.req_id, one):
                    continue
                self._ack_latency(one, now_ns)
                self._move(one, OrderEvent.EV_AMENDED, Source.ACK, now_ns)
        # A cancel's reply is not its end: a fill can come first. `canceled` on the stream is.

    def on_refused(self, event: RequestRefused, now_ns: int) -> None:
        """Take the venue's no to an order, an amend or a cancel."""
        seqs = self._seqs(event.client_id, event.req_id, event.index)
        self.counters.rejected += len(seqs)
        for seq in seqs:
            if event.code == "post_only":
                self.note_taking(seq, now_ns)
            self._refuse(seq, event, now_ns)
        if event.code == "rate_limit":
            # Our counter was wrong: believe the venue's, which is over its threshold.
            self.pipeline.checks.budget.exhaust(now_ns)
        if event.code == "token":
            self._out.append(RenewToken(event.text))
        if not seqs:
            self._incident(f"{event.kind} refused, order not known: {event.text}")

    def note_taking(self, seq: int, now_ns: int) -> None:
        """Leave alone the price at which an order would have taken: the venue sees another book."""
        order = self.pipeline.table.get(seq)
        if order is not None:
            price_ticks = order.pending_price_ticks or order.price_ticks
            self.pipeline.note_taking(order.side, price_ticks, order.acted_ns, now_ns)

    def _refuse(self, seq: int, event: RequestRefused, now_ns: int) -> None:
        if event.kind == "amend" and self.ids.superseded(event.req_id, seq):
            # Not of the amend under way.
            if event.code == "unknown_order":
                self.doubt(seq, now_ns)
        # A text of no known kind is no proof that the request took no effect.
        elif event.code in UNCERTAIN:
            self._move(seq, OrderEvent.EV_TIMEOUT, Source.ACK, now_ns)
            self.doubts.raise_(seq, now_ns)
        elif event.kind == "add":
            self._move(seq, OrderEvent.EV_REJECTED, Source.ACK, now_ns)
        elif event.kind == "amend":
            if event.code == "no_change":
                self._move(seq, OrderEvent.EV_AMENDED, Source.ACK, now_ns)
                return
            self._move(seq, OrderEvent.EV_AMEND_REJECTED, Source.ACK, now_ns)
            if event.code == "unknown_order":
                self.doubt(seq, now_ns)
        else:
            self._move(seq, OrderEvent.EV_CANCEL_REJECTED, Source.ACK, now_ns)
            # Refused for a lack of budget: asking at once, then cancelling at once, would only
            # use up more of it.
            self.doubt(seq, now_ns, after_ns=SECOND_NS if event.code in RATES else 0)

    # ------------------------------------------------------------------ states

    def on_order(self, event: OrderUpdated, now_ns: int) -> None:
        """Take the venue's word on an order's state."""
        seq = self.seq(event.client_id, event.venue_order_id)
        if not seq:
            self._on_other_order(event)
            return
        if event.venue_order_id:
            self._name(seq, event.venue_order_id)
        order = self.pipeline.table.get(seq)
        ended = order is None or order.state >= OrderState.FILLED
        filled = event.filled_lots
        if ended and order is not None and filled is not None and filled < order.filled_lots:
            # Told of a moment before its last fills.
            return
        if ended and event.venue_order_id and event.status in LIVE:
            # We took it for ended, the venue has it open: it may not stand uncounted.
            self._incident(f"order {event.venue_order_id} is open though ended here: {seq}")
            self._out.append(CancelStray((event.venue_order_id,)))
            # The table knows no way back from an end; what still fills of it is booked late. Asked
            # for until the venue says so too.
            if order is not None:
                self.doubts.raise_(seq, now_ns, after_ns=SECOND_NS)
            return
        if order is None or (seq in self._endings and event.status in LIVE):
            # Its end was told already, and only its fills are missing: this is older.
            return
        if event.status is OrderStatus.UNKNOWN:
            self._incident(f"order {event.venue_order_id}: state unknown to us: {event.reason}")
            self.doubt(seq, now_ns)
            return
        behind = event.filled_lots is not None and event.filled_lots > order.filled_lots
        if behind:
            # The state is ahead of the fills: ask for what we have not seen.
            self.doubts.raise_(seq, now_ns, after_ns=SECOND_NS)
        proven = event.source in (Source.SNAPSHOT, Source.QUERY)
        match event.status:
            case OrderStatus.OPEN | OrderStatus.PARTIALLY_FILLED:
                self._on_live(seq, order, event, proven, now_ns)
            case OrderStatus.CANCELLED:
                gone = OrderEvent.EV_PROVEN_GONE if proven else OrderEvent.EV_CANCELLED
                self._end(seq, order, gone, event, now_ns)
            case OrderStatus.EXPIRED:
                self._end(seq, order, OrderEvent.EV_EXPIRED, event, now_ns)
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

    def _on_live(
        self, seq: int, order: OrderView, event: OrderUpdated, proven: bool, now_ns: int
    ) -> None:
        if event.amended and not event.price_ticks:
            # It does not say to what: of several amends on their way it may be any.
            return
        if event.amended and _is_earlier_amend(event, order):
            # The report of the amend before the one under way: the reply settles that.
            return
        if event.amended and self._is_overtaken(seq, order, event):
            # Of an amend before the last one, which its reply or its own report has settled.
            return
        if event.amended:
            self._amended_ns[seq] = event.ts_ns
            # 0 where the report is silent: then what the amend asked for holds.
            self.pipeline.table.amended(seq, event.price_ticks or 0, event.qty_lots or 0, now_ns)
            self._journal(seq, OrderEvent.EV_AMENDED, order.state, event.source, now_ns)
        elif proven:
            # The price settles an amend that went unanswered; without it the order stays unknown,
            # and is asked for again.
            self._move(
                seq, OrderEvent.EV_PROVEN_OPEN, event.source, now_ns,
                event.price_ticks or 0, event.qty_lots or 0,
            )  # fmt: skip
            after = self.pipeline.table.get(seq)
            if after is None or after.state is not OrderState.UNKNOWN:
                self.doubts.settle(seq)
        else:
            self._move(seq, OrderEvent.EV_ACKED, event.source, now_ns)

    def _is_overtaken(self, seq: int, order: OrderView, event: OrderUpdated) -> bool:
        """Whether a report of an amend is not of the one under way, by the venue's stamps.

        It may be the last one's once more, or of before the present one was sent; against a stamp
        of ours it takes more than clocks may be apart.
        """
        if event.source is not Source.STREAM or event.ts_ns <= 0:
            return False
        return (
            event.ts_ns <= self._amended_ns.get(seq, 0)
            or event.ts_ns < order.amended_ns - CLOCKS_NS
        )

    def _end(
        self, seq: int, order: OrderView, gone: OrderEvent, event: OrderUpdated, now_ns: int
    ) -> None:
        """End an order, unless fills of it are still to come: until then it stands in full."""
        filled = event.filled_lots
        if filled is not None and filled > order.filled_lots and order.state < OrderState.FILLED:
            self._endings[seq] = _Ending(gone, event.source, filled)
            self.doubt(seq, now_ns, after_ns=SECOND_NS)
            return
        self._move(seq, gone, event.source, now_ns)

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

    # ------------------------------------------------------------------ fills

    def nameless(self) -> frozenset[int]:
        """Return the live orders whose venue id has not been told: a fill may be theirs."""
        return frozenset(order.seq for order in self.pipeline.table.live() if not order.venue_id)

    def ended_ns(self, seq: int) -> int:
        """Return when an order's end was told; 0 while it has not ended or is forgotten."""
        return self._terminal.get(seq, 0)

    def ended_nameless(self, seqs: Iterable[int]) -> bool:
        """Whether one of these orders is over, and the venue's id of it was never told."""
        for seq in seqs:
            order = self.pipeline.table.get(seq)
            if order is None:
                return True
            # A refused one never stood at the venue.
            ended = order.state >= OrderState.FILLED and order.state is not OrderState.REJECTED
            if ended and not order.venue_id:
                return True
        return False

    def last_exec_ids(self, count: int) -> list[str]:
        """Return the executions seen last."""
        return list(islice(reversed(self._exec_ids), count))

    def first_seen(self, exec_id: str) -> bool:
        """Whether an execution comes for the first time; remembers it."""
        if exec_id in self._exec_ids:
            return False
        self._exec_ids[exec_id] = None
        if len(self._exec_ids) > EXEC_IDS_MAX:
            self._exec_ids.popitem(last=False)
        return True

    def price_of(self, seq: int, event: OrderFilled) -> int | None:
        """Return the limit a fill was made under, in ticks; None while it is not certain."""
        order = self.pipeline.table.get(seq)
        if order is None or order.pending_price_ticks:
            return None
        # A fill told late may be of the price before the last amend.
        settled_ns = self._repriced.get(seq)
        if settled_ns is not None and event.ts_ns <= settled_ns + QUERY_LAG_NS:
            return None
        return order.price_ticks

    def on_fill(self, seq: int, event: OrderFilled, now_ns: int) -> None:
        """Book a fill on its order; the money is the caller's."""
        self._name(seq, event.venue_order_id)
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
        self._settle_terminal(seq, now_ns)
        ending = self._endings.get(seq)
        after = self.pipeline.table.get(seq)
        if ending is not None and after is not None and after.filled_lots >= ending.filled_lots:
            # Every fill the end was told with has come: now it is one.
            del self._endings[seq]
            if after.state < OrderState.FILLED:
                self._move(seq, ending.event, ending.source, now_ns)
            self.doubts.settle(seq)

    # ------------------------------------------------------------------ time

    def on_timer(self, now_ns: int) -> None:
        """Look for unanswered requests and orders in doubt; free what ended long ago."""
        table = self.pipeline.table
        for seq in table.timeouts(now_ns, self._ack_timeout_ns):
            self.counters.timeouts += 1
            self._move(seq, OrderEvent.EV_TIMEOUT, Source.TIMEOUT, now_ns)
            self.doubts.raise_(seq, now_ns)
        if table.unknown_count:
            # A batch the pipeline took back leaves its cancels in doubt without a word to us.
            for order in table.live():
                if order.state is OrderState.UNKNOWN:
                    self.doubts.raise_(order.seq, now_ns)
        due = self.doubts.due(now_ns)
        if due:
            self.counters.queries += 1
            self._out.append(QueryOrders(due))
        self._release(now_ns)

    def _release(self, now_ns: int) -> None:
        over = []
        for seq, ended_ns in self._terminal.items():
            if now_ns - ended_ns < LINGER_NS:
                break
            if seq not in self.doubts:
                over.append(seq)
        for seq in over:
            del self._terminal[seq]
            self.doubts.forget(seq)
            self._endings.pop(seq, None)
            self._repriced.pop(seq, None)
            self._amended_ns.pop(seq, None)
            order = self.pipeline.table.get(seq)
            if order is not None:
                self.venue_ids.pop(order.venue_id, None)
                self.pipeline.table.release(seq)

    def on_private_lost(self, now_ns: int) -> None:
        """Put every live order in doubt: what the lost stream would have told is not known."""
        for order in self.pipeline.table.live():
            if order.state in (
                OrderState.PENDING_NEW, OrderState.PENDING_AMEND, OrderState.PENDING_CANCEL,
            ):  # fmt: skip
                self._move(order.seq, OrderEvent.EV_TIMEOUT, Source.TIMEOUT, now_ns)
            # Whoever restores the stream asks for all of them at once: that comes first.
            self.doubts.raise_(order.seq, now_ns, after_ns=RECOVERY_NS)

    # ------------------------------------------------------------------ queries

    def on_state_found(self, state: OrderUpdated, asked_ns: int, now_ns: int) -> int:
        """Take an order's state out of an answer; returns its sequence, 0 for none of ours."""
        seq = self.seq(state.client_id, state.venue_order_id)
        ended_ns = self._terminal.get(seq)
        if ended_ns is not None and ended_ns > asked_ns - QUERY_LAG_NS:
            # Its end was told after, or just before, the venue looked.
            self.doubts.settle(seq)
            return seq
        before = self.pipeline.table.get(seq) if seq else None
        if before is not None and not _tells_price(before, state, asked_ns):
            state = replace(state, price_ticks=None, qty_lots=None)
        self.on_order(state, now_ns)
        order = self.pipeline.table.get(seq) if seq else None
        if (
            order is not None
            and order.state is not OrderState.UNKNOWN
            # Open at the venue though ended here: asked for until both say the same.
            and not (order.state >= OrderState.FILLED and state.status in LIVE)
            and (state.filled_lots is None or state.filled_lots <= order.filled_lots)
        ):
            self.doubts.settle(seq)
        return seq

    def on_absent(self, seq: int, asked_ns: int, now_ns: int) -> None:
        """Take it that the venue's answer does not list an order it was asked for."""
        order = self.pipeline.table.get(seq)
        if order is None or order.state >= OrderState.FILLED or seq not in self.doubts:
            self.doubts.settle(seq)
            return
        if order.state is not OrderState.UNKNOWN:
            # We hold it for live, the venue does not list it: that is no certainty either way.
            self.doubt(seq, now_ns)
            return
        # Twice absent, and long enough after we acted: it was never there, or is gone. Should the
        # venue tell of it once more all the same, it is cancelled as a stray.
        if self.doubts.absent(seq) >= 2 and asked_ns - order.acted_ns >= QUERY_LAG_NS:
            self._move(seq, OrderEvent.EV_PROVEN_GONE, Source.QUERY, now_ns)
            self.doubts.settle(seq)
            if order.venue_id:
                self._vanished.append(order.venue_id)

    # ------------------------------------------------------------------ inside

    def doubt(self, seq: int, now_ns: int, after_ns: int = 0) -> None:
        """Stop believing what the table says of an order until a query has answered."""
        order = self.pipeline.table.get(seq)
        if order is not None and order.state < OrderState.FILLED:
            self.pipeline.table.event(seq, OrderEvent.EV_TIMEOUT, now_ns)
            self._journal(seq, OrderEvent.EV_TIMEOUT, order.state, Source.TIMEOUT, now_ns)
            self.doubts.raise_(seq, now_ns, after_ns)

    def seq(self, client_id: str, venue_order_id: str) -> int:
        """Return an order's sequence by its ids, 0 when it is none of this session's."""
        seq = self.ids.seq_of(client_id) if client_id else 0
        return seq or self.venue_ids.get(venue_order_id, 0)

    def _move(
        self, seq: int, event: OrderEvent, source: Source, now_ns: int,
        price_ticks: int = 0, qty_lots: int = 0,
    ) -> None:  # fmt: skip
        order = self.pipeline.table.get(seq)
        if order is None:
            return
        result = self.pipeline.table.event(
            seq, event, now_ns, price_ticks=price_ticks, qty_lots=qty_lots
        )
        if result is Transition.TR_ILLEGAL:
            self.counters.illegal += 1
            self._incident(f"order {seq}: {event.name} is impossible in {order.state.name}")
            self.doubt(seq, now_ns)
            return
        if result is Transition.TR_OK:
            self._journal(seq, event, order.state, source, now_ns, price_ticks, qty_lots)
        self._settle_terminal(seq, now_ns)

    def _journal(
        self, seq: int, event: OrderEvent, before: OrderState, source: Source, now_ns: int,
        price_ticks: int = 0, qty_lots: int = 0,
    ) -> None:  # fmt: skip
        order = self.pipeline.table.get(seq)
        after = OrderState.FREE if order is None else order.state
        if event in REPRICING:
            self._repriced[seq] = now_ns
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

    def _name(self, seq: int, venue_order_id: str) -> None:
        if not venue_order_id or self.pipeline.table.get(seq) is None:
            return
        if self.venue_ids.get(venue_order_id) != seq:
            self.venue_ids[venue_order_id] = seq
            self.pipeline.table.set_venue_id(seq, venue_order_id)

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
        self._out.append(Alert(severity, text))


def _is_earlier_amend(event: OrderUpdated, order: OrderView) -> bool:
    """Whether a report of an amend is not of the one under way."""
    if event.source is not Source.STREAM or not order.pending_price_ticks:
        return False
    qty_lots = event.qty_lots or order.pending_qty_lots
    return (event.price_ticks, qty_lots) != (order.pending_price_ticks, order.pending_qty_lots)


def _tells_price(order: OrderView, state: OrderUpdated, asked_ns: int) -> bool:
    """Whether the price in an answer can be taken for the order's: it is no older than our amends.

    While an amend is unanswered both prices count. An answer with the new one settles it; one with
    the old one only when it was asked for so long after the amend that no lag explains it.
    """
    if not order.in_flight & InFlight.FLIGHT_AMEND:
        # Of an order in doubt too: what is doubted is whether it stands, not what an amend settled.
        return order.amended_ns <= asked_ns - QUERY_LAG_NS
    told = (state.price_ticks, state.qty_lots)
    if told == (order.pending_price_ticks, order.pending_qty_lots):
        return True
    return order.amended_ns <= asked_ns - AMEND_LAG_NS
