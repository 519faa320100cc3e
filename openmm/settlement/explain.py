"""Why an order was placed, moved and ended: its life out of the journal, each act with its terms.

Nothing is computed anew: prices, terms, reasons and times are those the engine wrote down when it
acted. What the venue knew is in the transitions, with the evidence of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from openmm import journal
from openmm._fast.checks import Reason
from openmm._fast.latency import Stage
from openmm._fast.orders import OrderEvent, OrderState
from openmm._fast.planner import ActionKind, ActionWhy
from openmm._fast.quotes import QuoteClamp
from openmm._fast.tape import Record
from openmm._fast.text import base32
from openmm._fast.units import UTICKS_PER_TICK, Side
from openmm.errors import CommandError, JournalError
from openmm.instrument import Instrument
from openmm.journal import ActionRecord, JournalRecord, LadderRecord

WHY = {
    ActionWhy.WHY_UNWANTED: "no level wants it any more",
    ActionWhy.WHY_MOVED: "its price moved by more than the tolerance",
    ActionWhy.WHY_RESIZED: "its quantity changed by more than the tolerance",
    ActionWhy.WHY_MISSING: "no order stood at its level",
    ActionWhy.WHY_CROSSING: "it met the market or our other side, the fee floor or the band",
    ActionWhy.WHY_STALE: "it rested unchanged for too long",
    ActionWhy.WHY_RISK: "the risk layer wants it gone",
    ActionWhy.WHY_HAND: "an operator asked for it, beside the ladder",
    ActionWhy.WHY_REBALANCE: "inventory is brought back by taking",
}
WITHOUT_LADDER = (ActionWhy.WHY_RISK, ActionWhy.WHY_HAND, ActionWhy.WHY_REBALANCE)
PPM = 1_000_000
SEQ_DIGITS_MAX = 9
REST_OF_IDS = "give its number, its client id, or the venue's id of an order that traded"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a ladder was made of. Prices in the quote asset; shares are parts of one."""

    reference: Decimal
    confidence: Decimal
    best_bid: Decimal
    best_ask: Decimal
    volatility: Decimal  # per square root of a second
    flow: Decimal  # signed, of the market's takers
    fair: Decimal  # fair value off the mid, of price
    imbalance: Decimal  # of the depths
    order_flow: Decimal  # imbalance of what came and went at the best prices
    compression: Decimal  # of the spread: positive when tighter than usual
    depth: Decimal
    usual_depth: Decimal
    inventory: Decimal  # off target, of the full scale; of a group that of all its members
    own_inventory: Decimal  # of this venue alone: the same without a group
    base_share: Decimal
    target_share: Decimal
    centre: Decimal
    skew: Decimal
    flow_skew: Decimal
    fair_skew: Decimal
    imbalance_skew: Decimal
    order_flow_skew: Decimal
    half_spread: Decimal
    half_base: Decimal
    widened_by_volatility: Decimal
    widened_by_depth: Decimal
    widened_by_inventory: Decimal
    widened_by_schedule: Decimal
    held_wide: Decimal  # narrows slowly from a wider spread
    widened_by_compression: Decimal
    fill_decay: Decimal  # 1/k of the fitted intensity; 0: not fitted, or not read
    fill_rate: Decimal  # and A, a second
    clamps: tuple[str, ...]
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


@dataclass(slots=True)
class Event:
    """One thing that happened to the order; fields that say nothing of it are None.

    Attributes:
        what: place, amend, cancel, refused, fill, or the event of a state change.
        terms: of the ladder an act follows from; none where the risk layer acted.
        stages_ns: how long the act took, by stage.
    """

    ts_ns: int
    record_index: int
    what: str
    text: str
    price: Decimal | None = None
    qty: Decimal | None = None
    level: int | None = None
    rate_cost: Decimal | None = None
    terms: Terms | None = None
    ladder_age_ns: int | None = None
    sent_bytes: int | None = None
    stages_ns: dict[str, int] | None = None
    state_from: str | None = None
    state_to: str | None = None
    evidence: str | None = None
    limit: int | None = None
    value: int | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """An order's life, oldest first."""

    session_id: str
    venue: str
    instrument: str
    seq: int
    side: str
    client_id: str
    venue_order_ids: tuple[str, ...]
    events: tuple[Event, ...]


def explain(records: Iterable[JournalRecord], order: str) -> Explanation:
    """Tell an order's life.

    Args:
        records: of a whole session.
        order: its sequence number, its client id, or the id the venue gave it, once it traded.

    Raises:
        CommandError: the session has no such order.
        JournalError: a record cannot be read, or the first ones are missing.
    """
    reader = _Reader(order.strip())
    for record in records:
        reader.take(record)
    return reader.found()


class _Reader:
    """Collect every order's acts until it is known which one is meant, then that one's alone."""

    def __init__(self, order: str) -> None:
        self._order = order
        self._seq = int(order) if order.isdecimal() and len(order) <= SEQ_DIGITS_MAX else None
        self._session: journal.SessionRecord | None = None
        self._pair: Instrument | None = None
        self._quoted = 0
        self._ladder: JournalRecord | None = None
        self._terms: Terms | None = None
        self._events: dict[int, list[Event]] = {}
        self._sides: dict[int, int] = {}
        self._ids: dict[int, dict[str, None]] = {}
        self._first_seq = self._last_seq = 0
        self._sent: list[Event] = []  # of the batch under way
        self._timed: list[Event] = []

    # ---- records

    def take(self, record: JournalRecord) -> None:
        """Follow one record."""
        match record.kind:
            case Record.REC_LADDER:
                self._ladder, self._terms = record, None
            case Record.REC_INTENT:
                self._on_intent(record)
            case Record.REC_REFUSAL:
                self._on_refusal(record)
            case Record.REC_WRITE_RESULT:
                told = int.from_bytes(record.payload, "little", signed=True)
                for event in self._sent:
                    event.sent_bytes = told
                self._sent, self._timed = [], self._sent
            case Record.REC_STAMPS:
                self._on_stamps(record)
            case Record.REC_TRANSITION:
                self._on_transition(record)
            case Record.REC_FILL:
                self._on_fill(record)
            case Record.REC_PLACE:
                self._on_place(record)
            case Record.REC_SESSION:
                self._on_session(record)
            case Record.REC_INSTRUMENT if record.source == self._quoted:
                self._pair = journal.read_instrument(record.payload)

    def _on_session(self, record: JournalRecord) -> None:
        session = self._session = journal.read_session(record.payload)
        labels = [str(one["label"]) for one in session.config.get("venue", ())]
        self._quoted = labels.index(session.venue) if session.venue in labels else 0
        prefix = session.client_id_prefix
        if self._seq is None and prefix and self._order.startswith(prefix):
            try:
                # Sequence numbers stand in client ids in base 32, digits before letters.
                self._seq = int(self._order.removeprefix(prefix), 32)
            except ValueError:
                return

    def _wanted(self, seq: int) -> bool:
        return self._seq is None or seq == self._seq

    def _add(self, seq: int, event: Event) -> Event:
        self._events.setdefault(seq, []).append(event)
        return event

    def _act(self, record: JournalRecord, action: ActionRecord, what: str, text: str) -> Event:
        pair = self._known_pair()
        self._sides[action.seq] = action.side
        priced = action.kind != ActionKind.ACTION_CANCEL
        return self._add(
            action.seq,
            Event(
                record.ts_ns, record.record_index, what, text,
                price=pair.price(action.price_ticks) if priced else None,
                qty=pair.qty(action.qty_lots) if priced else None, level=action.level,
            ),
        )  # fmt: skip

    def _on_intent(self, record: JournalRecord) -> None:
        intent = journal.read_intent(record.payload)
        action = intent.action
        if action.kind == ActionKind.ACTION_PLACE:
            self._first_seq = self._first_seq or action.seq
            self._last_seq = action.seq
        if not self._wanted(action.seq):
            return
        what = ActionKind(action.kind).name.removeprefix("ACTION_").lower()
        event = self._act(record, action, what, WHY.get(ActionWhy(action.why), "no reason told"))
        event.rate_cost = Decimal(intent.rate_cost_milli) / 1000
        if action.why not in WITHOUT_LADDER and self._ladder is not None:
            if self._terms is None:
                ladder = journal.read_ladder(self._ladder.payload)
                self._terms = _terms(ladder, self._known_pair())
            event.terms, event.ladder_age_ns = self._terms, record.ts_ns - self._ladder.ts_ns
        self._sent.append(event)

    def _on_refusal(self, record: JournalRecord) -> None:
        refusal = journal.read_refusal(record.payload)
        if not self._wanted(refusal.action.seq):
            return
        reason = Reason(refusal.reason).name.lower()
        kind = ActionKind(refusal.action.kind).name.removeprefix("ACTION_").lower()
        event = self._act(record, refusal.action, "refused", f"{kind}: {reason}")
        event.limit, event.value = refusal.limit, refusal.value

    def _on_stamps(self, record: JournalRecord) -> None:
        if self._timed:
            spans = journal.read_stamps(record.payload)
            told = {
                stage.name.removeprefix("STAGE_").lower(): spans[stage]
                for stage in Stage
                if stage is not Stage.STAGE_COUNT and spans[stage] > 0
            }
            for event in self._timed:
                event.stages_ns = told
            self._timed = []

    def _on_transition(self, record: JournalRecord) -> None:
        told = journal.read_transition(record.payload)
        if not self._wanted(told.seq):
            return
        pair = self._known_pair()
        what = OrderEvent(told.event).name.removeprefix("EV_").lower()
        before, after = OrderState(told.from_state).name, OrderState(told.to_state).name
        evidence = journal.transition_source(told)
        self._add(
            told.seq,
            Event(
                record.ts_ns, record.record_index, what, f"{before} to {after}, by {evidence}",
                price=pair.price(told.price_ticks) if told.price_ticks else None,
                qty=pair.qty(told.qty_lots) if told.qty_lots else None,
                state_from=before, state_to=after, evidence=evidence,
            ),
        )  # fmt: skip

    def _on_fill(self, record: JournalRecord) -> None:
        fill = journal.read_fill(record.payload)
        if not self._wanted(fill.seq) or not fill.seq:
            return
        pair = self._known_pair()
        self._sides.setdefault(fill.seq, fill.side)
        ids = self._ids.setdefault(fill.seq, {})
        ids |= dict.fromkeys(one for one in (fill.venue_order_id,) if one)
        if self._seq is None and self._order in (fill.venue_order_id, fill.client_id, fill.exec_id):
            self._seq = fill.seq
        fees = " + ".join(f"{fee.amount:f} {fee.asset}" for fee in fill.fees) or "no fee"
        details: dict[str, Any] = {
            "exec_id": fill.exec_id, "cost": fill.cost, "maker": fill.maker,
            "fees": {fee.asset: fee.amount for fee in fill.fees},
        }  # fmt: skip
        if fill.reference_uticks is not None:
            details["reference"] = _price(pair, fill.reference_uticks)
        role = "maker" if fill.maker else "taker"
        self._add(
            fill.seq,
            Event(
                record.ts_ns, record.record_index, "fill", f"{role}, {fees}, {fill.exec_id}",
                price=pair.price(fill.price_ticks), qty=pair.qty(fill.qty_lots),
                evidence=fill.source, details=details,
            ),
        )  # fmt: skip

    def _on_place(self, record: JournalRecord) -> None:
        told = journal.read_place(record.payload)
        if not self._wanted(told.seq):
            return
        pair, text = self._known_pair(), "its place when it was filled"
        if told.wanted_ticks:
            off = abs(told.price_ticks - told.wanted_ticks)
            text = f"kept: {off} ticks off {pair.price(told.wanted_ticks):f} not worth its place"
        self._add(
            told.seq,
            Event(
                record.ts_ns, record.record_index, "place", text,
                price=pair.price(told.price_ticks),
                details={
                    "ahead": pair.qty(told.ahead_lots), "behind": pair.qty(told.behind_lots),
                    "queue_age_ns": record.ts_ns - told.since_ns, "worth_ticks": told.worth_ticks,
                },
            ),
        )  # fmt: skip

    def _known_pair(self) -> Instrument:
        if self._pair is None:
            raise JournalError("the journal does not begin with its session")
        return self._pair

    # ---- the answer

    def found(self) -> Explanation:
        """Return what was found."""
        if self._session is None:
            raise JournalError("the journal does not begin with its session")
        seq, session = self._seq, self._session
        if seq is None or seq not in self._events:
            first, last = self._first_seq, self._last_seq
            placed = f"orders {first} to {last} are in it" if last else "it placed none"
            raise CommandError(
                f"session {session.session_id} has no order {self._order}: {placed}; {REST_OF_IDS}",
                code="no_order",
            )
        side = Side(self._sides[seq]).name.lower() if seq in self._sides else ""
        return Explanation(
            session.session_id, session.venue, session.instrument, seq, side,
            session.client_id_prefix + base32(seq), tuple(self._ids.get(seq, ())),
            tuple(self._events[seq]),
        )  # fmt: skip


def _price(pair: Instrument, uticks: int) -> Decimal:
    return uticks * pair.tick_size / UTICKS_PER_TICK


def _terms(ladder: LadderRecord, pair: Instrument) -> Terms:
    view, parts = ladder.view, ladder.parts

    def levels(rows: tuple[tuple[int, int], ...]) -> tuple[tuple[Decimal, Decimal], ...]:
        return tuple((pair.price(ticks), pair.qty(lots)) for ticks, lots in rows)

    def share(ppm: int) -> Decimal:
        return Decimal(ppm) / PPM

    return Terms(
        reference=_price(pair, view.reference_uticks),
        confidence=share(view.confidence_ppm),
        best_bid=pair.price(view.best_bid_ticks),
        best_ask=pair.price(view.best_ask_ticks),
        volatility=_price(pair, view.sigma_uticks),
        flow=share(view.flow_ppm),
        fair=share(view.micro_ppm),
        imbalance=share(view.imbalance_ppm),
        order_flow=share(view.ofi_ppm),
        compression=share(view.compression_ppm),
        depth=pair.qty(view.depth_lots),
        usual_depth=pair.qty(view.depth_mean_lots),
        inventory=share(view.x_ppm),
        own_inventory=share(view.own_x_ppm),
        base_share=share(view.share_ppm),
        target_share=share(view.target_ppm),
        centre=_price(pair, parts.centre_uticks),
        skew=_price(pair, parts.skew_uticks),
        flow_skew=_price(pair, parts.flow_uticks),
        fair_skew=_price(pair, parts.micro_uticks),
        imbalance_skew=_price(pair, parts.imbalance_uticks),
        order_flow_skew=_price(pair, parts.ofi_uticks),
        half_spread=_price(pair, parts.half_uticks),
        half_base=_price(pair, parts.half_base_uticks),
        widened_by_volatility=_price(pair, parts.widen_sigma_uticks),
        widened_by_depth=_price(pair, parts.widen_depth_uticks),
        widened_by_inventory=_price(pair, parts.widen_inventory_uticks),
        widened_by_schedule=_price(pair, parts.widen_schedule_uticks),
        held_wide=_price(pair, parts.widen_held_uticks),
        widened_by_compression=_price(pair, parts.widen_compression_uticks),
        fill_decay=_price(pair, view.decay_uticks),
        fill_rate=Decimal(view.arrival_uhz).scaleb(-6),
        clamps=tuple(
            one.name.removeprefix("CLAMP_").lower() for one in QuoteClamp if ladder.clamps & one
        ),
        bids=levels(ladder.bids),
        asks=levels(ladder.asks),
    )
