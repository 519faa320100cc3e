"""Book a session's records into the store: one transaction per batch, each record once.

`Booker` holds what has to be known between records (live orders, ledger, P&L, touch) and reads it
back from the store when it is made; a writer that was killed goes on where the last transaction
ended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from openmm import journal
from openmm._fast.book import BookState
from openmm._fast.checks import Reason
from openmm._fast.latency import Stage
from openmm._fast.orders import OrderEvent, OrderState
from openmm._fast.planner import ActionKind
from openmm._fast.tape import Record
from openmm._fast.units import UTICKS_PER_TICK
from openmm.errors import LedgerError
from openmm.instrument import Instrument
from openmm.journal import ActionRecord, BalanceRecord, FillRecord
from openmm.settlement import store as tables
from openmm.settlement.causes import LEVEL_UNKNOWN, FillMark
from openmm.settlement.histogram import QUEUE_AGE, QUEUE_AHEAD, bucket_ns
from openmm.settlement.ledger import (
    ADJUSTMENT_KIND,
    BUY,
    COST_KIND,
    FILL_LEGS,
    FROM_FILLS,
    SELL,
    STATEMENTS,
    Entry,
    Ledger,
    ledger_decimals,
    movement_ref,
)
from openmm.settlement.pnl import Valuer, captured_atoms
from openmm.settlement.store import Store, upsert
from openmm.settlement.tallies import COST, FEE, Tallies
from openmm.settlement.touch import TICKS_MAX, TouchState, TouchTracker, Uptime

# On the venue's book, as far as anybody knows.
RESTING = frozenset(
    {
        OrderState.OPEN,
        OrderState.PARTIALLY_FILLED,
        OrderState.PENDING_CANCEL,
        OrderState.PENDING_AMEND,
    }
)
TERMINAL = frozenset({OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED})
PROOF_OF_LIFE = frozenset({OrderEvent.EV_ACKED, OrderEvent.EV_PROVEN_OPEN, OrderEvent.EV_AMENDED})
# Records of one batch of orders; any other kind ends it.
BATCH = frozenset(
    {Record.REC_INTENT, Record.REC_ORDER_BYTES, Record.REC_WRITE_RESULT, Record.REC_REFUSAL}
)
STAGE_NAMES = {
    stage.value: stage.name.removeprefix("STAGE_").lower()
    for stage in Stage
    if stage is not Stage.STAGE_COUNT
}
ACK = STAGE_NAMES[Stage.STAGE_ACK.value]
PPM = 1_000_000

SAME_TIME_NS = 1_000_000_000
KEYS_MAX = 500  # looked up in one question to the store
STATES_NOTHING = frozenset({COST_KIND, ADJUSTMENT_KIND})  # balance records that no venue told

Row = dict[str, Any]
RecordTuple = tuple[int, int, int, int, bytes]


class Booker:
    """Book one session.

    Args:
        store: to write to.
        session_id: of the tape or journal the records come from.
        uptime: what to measure the quotes' uptime by instead of what the session's configuration
            says; for a session that is booked from its start.
    """

    def __init__(self, store: Store, session_id: str, *, uptime: Uptime | None = None) -> None:
        self.store = store
        self.session_id = session_id
        self.venue = ""
        self.next_index = 0
        self.lost_count = 0
        self.last_ts_ns = 0
        self.ended = False
        self._bot = ""
        self._labels: list[str] = []  # of the session's venues, by feed
        self._instruments: dict[tuple[str, str], Instrument] = {}  # by label and name
        self._ledger = Ledger("")
        self._tallies = Tallies(session_id)
        self._instrument = ""  # the traded one
        self._valuer: Valuer | None = None  # of it
        self._fills: dict[int, FillRecord] = {}  # of the batch, by record index
        self._balances: dict[int, BalanceRecord] = {}
        self._executions: dict[str, list[Any]] = {}  # of the batch's fills, in earlier sessions
        self._paid: set[tuple[str, str, str]] = set()  # bot, reference, asset: likewise
        self._orders: dict[int, Row] = {}
        self._touch = TouchTracker()
        self._uptime_told = uptime
        self._uptime = uptime or Uptime()
        self._batch: list[ActionRecord] = []
        self._restore()
        self._clear()

    # ---------------------------------------------------------------- public

    def apply(self, records: Iterable[RecordTuple]) -> None:
        """Take records in; those below `next_index` have been stored and are left out.

        Raises LedgerError or JournalError on a record that cannot be booked: make a new Booker.
        """
        records = list(records)
        self._look_up(records)
        for record_index, kind, source, ts_ns, payload in records:
            if record_index < self.next_index:
                continue
            self.lost_count += record_index - self.next_index
            self.next_index = record_index + 1
            self.last_ts_ns = max(self.last_ts_ns, ts_ns)
            if self._batch and kind not in BATCH:
                self._unsend(ts_ns)
            handler = self._HANDLERS.get(kind)
            if handler is not None:
                handler(self, record_index, source, ts_ns, payload)

    def commit(self) -> None:
        """Write everything taken in since the last commit, in one transaction."""
        with self.store.begin() as connection:
            self._write(connection)
        self._tallies.committed()
        self._ledger.forget()
        for seq in [s for s, row in self._orders.items() if row["state"] in TERMINAL]:
            del self._orders[seq]
        self._clear()

    def mark_lost(self) -> None:
        """Note that the engine went without an end record."""
        self._touch.advance(self.last_ts_ns)
        self._session_changes |= {
            "state": "lost",
            "ended_ns": self.last_ts_ns,
            "end_reason": "the engine went away without an end",
        }
        self.ended = True

    def set_journal_hash(self, chain: bytes) -> None:
        """Note the hash that the session's journal ends with."""
        self._session_changes["journal_hash"] = chain.hex()

    # ---------------------------------------------------------------- records

    def _on_session(self, _index: int, _source: int, _ts_ns: int, payload: bytes) -> None:
        record = journal.read_session(payload)
        if record.session_id != self.session_id:
            raise LedgerError(f"session {record.session_id!r} on the tape of {self.session_id!r}")
        self._set_session(record.bot, record.venue, record.instrument, record.config)
        self._rows["session"].append(
            {
                "session_id": self.session_id,
                "bot": record.bot,
                "mode": record.mode,
                "venue": record.venue,
                "instrument": record.instrument,
                "build": record.build,
                "started_ns": record.started_ns,
                "config": _text(record.config),
                "seeds": _text(record.seeds),
                "state": "running",
                "ended_ns": None,
                "end_reason": None,
                "open_order_count": None,
                "counters": None,
                "journal_hash": None,
                "uptime_within_ppm": self._uptime.within_ppm,
                "uptime_depth": format(self._uptime.depth, "f"),
            }
        )

    def _on_instrument(self, _index: int, source: int, _ts_ns: int, payload: bytes) -> None:
        pair = journal.read_instrument(payload)
        if source >= len(self._labels):
            raise LedgerError(f"{pair.name} of feed {source}: the session has {self._labels}")
        label = self._labels[source]
        self._instruments[label, pair.name] = pair
        self._instrument_rows[label, pair.name] = {
            "session_id": self.session_id,
            "venue": label,
            "name": pair.name,
            "definition": payload.decode(),
        }
        if label != self.venue:
            return  # only watched: nothing of it is booked
        self._measure(pair)
        for asset, decimals in ledger_decimals([pair]).items():
            # Fixed with the first record: stored atoms must not change their size.
            self._ledger.decimals.setdefault(asset, decimals)

    def _on_intent(self, _index: int, _source: int, ts_ns: int, payload: bytes) -> None:
        action = journal.read_intent(payload).action
        self._batch.append(action)
        if action.kind == ActionKind.ACTION_PLACE:
            self._orders[action.seq] = self._new_order(action, ts_ns)
            self._changed.add(action.seq)
            return
        row = self._order(action.seq, ts_ns)
        if action.kind == ActionKind.ACTION_AMEND:
            row["state"] = OrderState.PENDING_AMEND.value
            row["pending_price_ticks"] = action.price_ticks
            row["pending_qty_lots"] = action.qty_lots
        else:
            row["state"] = OrderState.PENDING_CANCEL.value

    def _on_write_result(self, _index: int, _source: int, ts_ns: int, payload: bytes) -> None:
        if int.from_bytes(payload, "little", signed=True) < 0:
            self._unsend(ts_ns)
        self._batch.clear()

    def _unsend(self, ts_ns: int) -> None:
        """The bytes of the last batch never left: its orders are not orders."""
        for action in self._batch:
            row = self._order(action.seq, ts_ns)
            if action.kind == ActionKind.ACTION_PLACE:
                row |= {"state": OrderState.REJECTED.value, "ended_ns": ts_ns, "unsent": 1}
                continue
            row |= {"pending_price_ticks": 0, "pending_qty_lots": 0}
            row["state"] = (
                OrderState.PARTIALLY_FILLED.value if row["filled_lots"] else OrderState.OPEN.value
            )
        self._batch.clear()

    def _on_transition(self, index: int, _source: int, ts_ns: int, payload: bytes) -> None:
        record = journal.read_transition(payload)
        self._rows["transition"].append(
            {
                "session_id": self.session_id,
                "record_index": index,
                "ts_ns": ts_ns,
                "seq": record.seq,
                "event": record.event,
                "from_state": record.from_state,
                "to_state": record.to_state,
                "evidence": journal.transition_source(record),
                "price_ticks": record.price_ticks,
                "qty_lots": record.qty_lots,
            }
        )
        row = self._order(record.seq, ts_ns)
        row["state"] = record.to_state
        if record.event == OrderEvent.EV_ACKED and not row["acked"]:
            self._count(ACK, ts_ns - row["created_ns"])
        if record.event in PROOF_OF_LIFE:
            row["acked"] = 1
        if record.event == OrderEvent.EV_AMENDED:
            # The stream repeats what the reply told: the second one has nothing pending to take.
            row["amended_count"] += record.from_state == OrderState.PENDING_AMEND
            row["price_ticks"] = (
                record.price_ticks or row["pending_price_ticks"] or row["price_ticks"]
            )
            row["qty_lots"] = record.qty_lots or row["pending_qty_lots"] or row["qty_lots"]
            row["placed_lots"] = max(row["placed_lots"], row["qty_lots"])
        elif record.price_ticks and record.event in PROOF_OF_LIFE:
            row["price_ticks"] = record.price_ticks
        if record.event in (OrderEvent.EV_AMENDED, OrderEvent.EV_AMEND_REJECTED):
            row |= {"pending_price_ticks": 0, "pending_qty_lots": 0}
        if record.to_state in TERMINAL:
            row["ended_ns"] = ts_ns
        self._own(ts_ns)

    def _on_fill(self, index: int, _source: int, ts_ns: int, _payload: bytes) -> None:
        fill = self._fills.pop(index)
        # Another venue's pair of the same name has other steps.
        pair = self._instruments.get((self.venue, fill.instrument))
        if pair is None:
            self._on_fill_of_another_pair(index, ts_ns, fill)
            return
        venue = fill.venue or self.venue
        entry = None if self._known_before(fill) else self._ledger.book_fill(fill, pair)
        if entry is None:
            # A recovery puts on record what may have been booked: that is no doubled fill.
            if fill.seq:
                self._incident(index, ts_ns, "doubled_fill", f"execution {fill.exec_id} came again")
            return
        self._post(index, ts_ns, entry)
        sign = 1 if fill.side == BUY else -1
        base, quote = (entry.postings[line].atoms for line in FILL_LEGS)
        base_atoms, quote_atoms = sign * base, -sign * quote
        captured = captured_atoms(fill.side, fill.price_ticks, fill.reference_uticks, quote_atoms)
        realised_average, realised_fifo = self._tallies.trade(
            pair.name, fill.side, int(fill.maker), (base_atoms, quote_atoms), captured
        )
        position = self._tallies.positions[pair.name]
        level = self._level(fill, ts_ns)
        arrived_ns = self.last_ts_ns
        self._tallies.charge(entry, arrived_ns, venue, level)
        self._mark(FillMark.of(
            index, arrived_ns, (venue, level), fill.side, (base_atoms, quote_atoms),
            fill.reference_uticks,
        ), pair)  # fmt: skip
        self._rows["fill"].append(
            {
                "session_id": self.session_id,
                "record_index": index,
                "venue": venue,
                "exec_id": fill.exec_id,
                "seq": fill.seq,
                "client_id": fill.client_id,
                "venue_order_id": fill.venue_order_id,
                "instrument": fill.instrument,
                "side": fill.side,
                "price_ticks": fill.price_ticks,
                "qty_lots": fill.qty_lots,
                "base_atoms": base_atoms,
                "quote_atoms": quote_atoms,
                "maker": int(fill.maker),
                "ts_ns": fill.ts_ns,
                "evidence": fill.source,
                "trade_id": fill.trade_id,
                "reference_uticks": fill.reference_uticks,
                "captured_atoms": captured,
                "realised_average_atoms": realised_average,
                "realised_fifo_atoms": realised_fifo,
                "position_atoms": position.average.position_atoms,
                "basis_average_atoms": position.average.basis_atoms,
                "basis_fifo_atoms": position.fifo.basis_atoms,
                "level": level,
                "arrived_ns": arrived_ns,
            }
        )
        if fill.seq:
            row = self._order(fill.seq, ts_ns)
            row["filled_lots"] += fill.qty_lots
            row["client_id"] = fill.client_id or row["client_id"]
            row["venue_order_id"] = fill.venue_order_id or row["venue_order_id"]
            if not row["side"]:
                row |= {"side": fill.side, "price_ticks": fill.price_ticks}

    def _level(self, fill: FillRecord, ts_ns: int) -> int:
        """Return the level of a fill's order; unknown where its intent was never seen."""
        if not fill.seq:
            return LEVEL_UNKNOWN
        row = self._order(fill.seq, ts_ns)
        return int(row["level"]) if row["side"] else LEVEL_UNKNOWN

    def _mark(self, mark: FillMark, pair: Instrument) -> None:
        """Let the causes know a fill of the traded pair, and the reference that it came with."""
        if pair.name != self._instrument:
            return
        if mark.reference_uticks is not None:
            self._refer(mark.reference_uticks)
        self._tallies.causes.fill(self._value(), mark)

    def _refer(self, reference_uticks: int) -> None:
        """Take in a journalled reference; zero or less means none."""
        if reference_uticks > 0:
            self._tallies.causes.reference(self._value(), self.last_ts_ns, reference_uticks)
            self._tallies.rate(self.venue, self._instrument, self.last_ts_ns, reference_uticks)

    def _value(self) -> Valuer:
        if self._valuer is None:
            pair = self._instruments.get((self.venue, self._instrument))
            if pair is None:
                raise LedgerError(f"no record of {self._instrument}, which the session trades")
            decimals = self._ledger.decimals
            self._valuer = Valuer(pair.tick_size, decimals[pair.base], decimals[pair.quote])
        return self._valuer

    def _on_fill_of_another_pair(self, index: int, ts_ns: int, fill: FillRecord) -> None:
        """Tell of a recovered fill that no session booked: this bot traded another pair before.

        Its steps are not known here, nor are its assets in this session's balances.
        """
        if fill.seq or not self._instruments:
            raise LedgerError(f"fill {fill.exec_id} of a pair without a record: {fill.instrument}")
        if not self._known_before(fill):
            text = (
                f"execution {fill.exec_id} of {fill.instrument}, order {fill.venue_order_id}, cost "
                f"{fill.cost}, is of an earlier session and in no ledger: {self._bot} trades "
                "another pair now"
            )
            self._incident(index, ts_ns, "unbooked_fill", text, "critical")

    def _on_balance(self, index: int, _source: int, ts_ns: int, _payload: bytes) -> None:
        record = self._balances.pop(index)
        known = record.kind == COST_KIND and self._paid_before(record)
        entry = None if known else self._ledger.book_balance(record)
        if entry is not None:
            self._post(index, ts_ns, entry)
            self._on_movement(index, ts_ns, record, entry)
        elif record.kind == COST_KIND:
            told = f"{record.name} {record.ref_id} of {record.change} {record.asset} came again"
            self._incident(index, ts_ns, "doubled_cost", told, asset=record.asset)
        if record.kind in STATES_NOTHING:
            return
        total, _ = self._ledger.atoms(record.asset, record.total)
        change = record.change
        self._statements[record.asset] = {
            "session_id": self.session_id,
            "asset": record.asset,
            "record_index": index,
            "total_atoms": total,
            "ts_ns": record.ts_ns,
        }
        self._rows["balance"].append(
            {
                "session_id": self.session_id,
                "record_index": index,
                "venue": record.venue or self.venue,
                "asset": record.asset,
                "kind": record.kind,
                "total_atoms": total,
                "change_atoms": None
                if change is None
                else self._ledger.atoms(record.asset, change)[0],
                "fee_atoms": self._ledger.atoms(record.asset, record.fee)[0],
                "ref_id": record.ref_id,
                "ts_ns": record.ts_ns,
            }
        )

    def _on_movement(self, index: int, ts_ns: int, record: BalanceRecord, entry: Entry) -> None:
        """Note what no fill moved, and what of it is paid."""
        first = entry.postings[0]
        kind = first.kind
        if kind not in ("transfer", COST_KIND, ADJUSTMENT_KIND):
            return  # the opening
        # What has no reference of its own has that of its record.
        named = bool(record.ref_id) and kind != ADJUSTMENT_KIND
        self._rows["movement"].append(
            {
                "session_id": self.session_id,
                "kind": kind,
                "ref": entry.ref if named else f"{entry.ref}#{index}",
                "asset": record.asset,
                "record_index": index,
                "account": first.account,
                "name": entry.name or record.kind,
                "atoms": first.atoms,
                "ts_ns": record.ts_ns,
            }
        )
        if kind == COST_KIND:
            self._tallies.charge(entry, self.last_ts_ns, first.account, LEVEL_UNKNOWN, COST)
        else:
            self._tallies.charge(entry, self.last_ts_ns, self.venue, LEVEL_UNKNOWN, FEE)

    def _on_command(self, index: int, _source: int, ts_ns: int, payload: bytes) -> None:
        record = journal.read_command(payload)
        self._rows["command"].append(
            {
                "session_id": self.session_id,
                "record_index": index,
                "ts_ns": ts_ns,
                "command": record.command,
                "arguments": _text(record.arguments),
                "by": record.by,
                "door": record.door,
                "verdict": record.verdict,
            }
        )

    def _on_risk(self, index: int, _source: int, ts_ns: int, payload: bytes) -> None:
        record = journal.read_risk(payload)
        self._rows["risk_event"].append(
            {
                "session_id": self.session_id,
                "record_index": index,
                "ts_ns": ts_ns,
                "from_state": record.from_state,
                "to_state": record.to_state,
                "reason": record.reason,
                "detail": record.detail,
            }
        )

    def _on_incident(self, index: int, _source: int, ts_ns: int, payload: bytes) -> None:
        record = journal.read_incident(payload)
        amount = None if record.amount is None else str(record.amount)
        self._incident(
            index, ts_ns, record.kind, record.text, record.severity, record.asset, amount,
            subject=record.subject, cause=record.cause, state=record.state,
            resolution=record.resolution, number=record.number, since_ns=record.since_ns,
        )  # fmt: skip

    def _on_place(self, _index: int, _source: int, ts_ns: int, payload: bytes) -> None:
        place = journal.read_place(payload)
        if place.wanted_ticks:
            return  # it stays for its place: no fill
        queue_lots = place.ahead_lots + place.behind_lots
        self._tally(QUEUE_AGE, max(0, ts_ns - place.since_ns))
        self._tally(QUEUE_AHEAD, place.ahead_lots * PPM // queue_lots if queue_lots else 0)

    def _on_refusal(self, index: int, _source: int, ts_ns: int, payload: bytes) -> None:
        record = journal.read_refusal(payload)
        known = record.reason in Reason._value2member_map_
        self._rows["refusal"].append(
            {
                "session_id": self.session_id,
                "record_index": index,
                "ts_ns": ts_ns,
                "reason": Reason(record.reason).name if known else f"REASON_{record.reason}",
                "action_kind": record.action.kind,
                "seq": record.action.seq,
                "side": record.action.side,
                "level": record.action.level,
                "price_ticks": record.action.price_ticks,
                "qty_lots": record.action.qty_lots,
                "limit_value": str(record.limit),
                "seen_value": str(record.value),
            }
        )

    def _on_book(self, index: int, source: int, ts_ns: int, payload: bytes) -> None:
        record = journal.read_book(payload)
        self._rows["book_event"].append(
            {
                "session_id": self.session_id,
                "record_index": index,
                "ts_ns": ts_ns,
                "feed": source,
                "state": record.state,
                "reason": record.reason,
                "break_count": record.break_count,
            }
        )
        if source == self._quoted_feed:
            if record.state == BookState.BOOK_VERIFIED:
                self._touch.market(ts_ns, record.best_bid_ticks, record.best_ask_ticks)
            else:
                self._touch.market(ts_ns, 0, 0)

    def _on_ladder(self, _index: int, source: int, ts_ns: int, payload: bytes) -> None:
        view = journal.read_ladder(payload).view
        self._quoted_feed = source
        self._touch.market(ts_ns, view.best_bid_ticks, view.best_ask_ticks)
        self._touch.reference(view.reference_uticks)
        self._touch.inventory(view.share_ppm, view.target_ppm)
        self._refer(view.reference_uticks)

    def _on_sample(self, _index: int, source: int, ts_ns: int, payload: bytes) -> None:
        record = journal.read_sample(payload)
        label = self._labels[source] if source < len(self._labels) else self.venue
        if label != self.venue:
            self._on_rate(label, record.best_bid_ticks, record.best_ask_ticks)
            return
        self._quoted_feed = source
        self._touch.market(ts_ns, record.best_bid_ticks, record.best_ask_ticks)
        self._touch.reference(record.reference_uticks)
        self._refer(record.reference_uticks)

    def _on_rate(self, label: str, best_bid_ticks: int, best_ask_ticks: int) -> None:
        """Note what a watched pair that converts currencies is worth: the middle of its book."""
        if not 0 < best_bid_ticks < best_ask_ticks < TICKS_MAX:
            return
        middle_uticks = (best_bid_ticks + best_ask_ticks) * UTICKS_PER_TICK // 2
        for venue, name in self._instruments:
            if venue == label:
                self._tallies.rate(label, name, self.last_ts_ns, middle_uticks)

    def _on_stamps(self, _index: int, _source: int, _ts_ns: int, payload: bytes) -> None:
        for stage, span_ns in enumerate(journal.read_stamps(payload)):
            self._count(STAGE_NAMES[stage], span_ns)

    def _on_end(self, index: int, _source: int, ts_ns: int, payload: bytes) -> None:
        record = journal.read_end(payload)
        self._touch.advance(ts_ns)
        self._session_changes |= {
            "state": "ended",
            "ended_ns": record.ended_ns,
            "end_reason": record.reason,
            "open_order_count": record.open_order_count,
            "counters": _text(record.counters),
        }
        self.ended = True

    _HANDLERS: dict[int, Any] = {  # noqa: RUF012 - a constant of the class
        Record.REC_SESSION: _on_session,
        Record.REC_COMMAND: _on_command,
        Record.REC_WRITE_RESULT: _on_write_result,
        Record.REC_LADDER: _on_ladder,
        Record.REC_INTENT: _on_intent,
        Record.REC_TRANSITION: _on_transition,
        Record.REC_FILL: _on_fill,
        Record.REC_PLACE: _on_place,
        Record.REC_REFUSAL: _on_refusal,
        Record.REC_RISK: _on_risk,
        Record.REC_BOOK: _on_book,
        Record.REC_BALANCE: _on_balance,
        Record.REC_STAMPS: _on_stamps,
        Record.REC_INSTRUMENT: _on_instrument,
        Record.REC_INCIDENT: _on_incident,
        Record.REC_SAMPLE: _on_sample,
        Record.REC_END: _on_end,
    }

    # ---------------------------------------------------------------- inside

    def _clear(self) -> None:
        self._rows: dict[str, list[Row]] = defaultdict(list)
        self._instrument_rows: dict[tuple[str, str], Row] = {}
        self._latency: dict[tuple[str, int], Row] = {}
        self._statements: dict[str, Row] = {}
        self._changed: set[int] = set()
        self._session_changes: Row = {}

    def _set_session(
        self, bot: str, venue: str, instrument: str, config: Mapping[str, Any]
    ) -> None:
        self._bot, self.venue, self._instrument = bot, venue, instrument
        self._labels = [str(one["label"]) for one in config.get("venue", ())]
        self._ledger.venue = venue
        self._ledger.account = f"venue:{venue}"
        self._uptime = self._uptime_told or Uptime.of(config.get("settlement", {}))

    def _measure(self, pair: Instrument) -> None:
        """Tell the touch tracker what counts as up, in this pair's lots."""
        lots = -(-self._uptime.depth // pair.lot_size)  # never less than what was wanted
        self._touch.measure(self._uptime.within_ppm, int(lots))

    def _post(self, index: int, ts_ns: int, entry: Entry) -> None:
        self._tallies.post(entry)
        for line, item in enumerate(entry.postings):
            self._rows["posting"].append(
                {
                    "session_id": self.session_id,
                    "record_index": index,
                    "line": line,
                    "kind": item.kind,
                    "account": item.account,
                    "asset": item.asset,
                    "atoms": item.atoms,
                    "ref": entry.ref,
                    "ts_ns": ts_ns,
                }
            )
        for fee in entry.inexact:
            self._incident(
                index, ts_ns, "inexact_amount",
                f"{entry.ref}: {fee.amount} {fee.asset} is finer than an atom and was rounded",
                asset=fee.asset, amount=str(fee.amount),
            )  # fmt: skip

    def _incident(
        self,
        index: int,
        ts_ns: int,
        kind: str,
        text: str,
        severity: str = "warning",
        asset: str = "",
        amount: str | None = None,
        *,
        subject: str = "",
        cause: str = "",
        state: str = "",
        resolution: str = "",
        number: int = 0,
        since_ns: int = 0,
    ) -> None:
        rows = self._rows["incident"]
        line = sum(1 for row in rows[-8:] if row["record_index"] == index)
        rows.append(
            {
                "session_id": self.session_id,
                "record_index": index,
                "line": line,
                "ts_ns": ts_ns,
                "severity": severity,
                "kind": kind,
                "text": text,
                "asset": asset,
                "amount": amount,
                "subject": subject,
                "cause": cause,
                "state": state,
                "resolution": resolution,
                "number": number,
                "since_ns": since_ns,
            }
        )

    def _count(self, stage: str, span_ns: int) -> None:
        if span_ns > 0:
            self._tally(stage, span_ns)

    def _tally(self, stage: str, value: int) -> None:
        bucket = bucket_ns(value)
        row = self._latency.get((stage, bucket))
        if row is None:
            row = self._latency[stage, bucket] = {
                "session_id": self.session_id,
                "stage": stage,
                "bucket_ns": bucket,
                "count": 0,
                "max_ns": 0,
            }
        row["count"] += 1
        row["max_ns"] = max(row["max_ns"], value)

    def _new_order(self, action: ActionRecord, ts_ns: int) -> Row:
        return {
            "session_id": self.session_id,
            "seq": action.seq,
            "side": action.side,
            "level": action.level,
            "price_ticks": action.price_ticks,
            "qty_lots": action.qty_lots,
            "placed_lots": action.qty_lots,
            "filled_lots": 0,
            "pending_price_ticks": 0,
            "pending_qty_lots": 0,
            "state": OrderState.PENDING_NEW.value,
            "acked": 0,
            "amended_count": 0,
            "created_ns": ts_ns,
            "ended_ns": None,
            "unsent": 0,
            "client_id": "",
            "venue_order_id": "",
        }

    def _order(self, seq: int, ts_ns: int) -> Row:
        """Return the row of an order for a change; made when nobody knows it (adopted)."""
        self._changed.add(seq)
        row = self._orders.get(seq)
        if row is None:
            table = tables.order
            with self.store.engine.connect() as connection:
                found = connection.execute(
                    sa.select(table).where(
                        table.c.session_id == self.session_id, table.c.seq == seq
                    )
                ).first()
            if found is not None:
                row = dict(found._mapping)
            else:
                row = self._new_order(ActionRecord(0, 0, seq, 0, 0, 0, 0), ts_ns)
            self._orders[seq] = row
        return row

    def _own(self, ts_ns: int) -> None:
        """Tell the touch tracker our best resting prices."""
        bids: list[tuple[int, int]] = []
        asks: list[tuple[int, int]] = []
        for row in self._orders.values():
            if row["state"] not in RESTING:
                continue
            level = (row["price_ticks"], max(0, row["qty_lots"] - row["filled_lots"]))
            if row["side"] == BUY:
                bids.append(level)
            elif row["side"] == SELL:
                asks.append(level)
        self._touch.own(ts_ns, bids, asks)

    # ---------------------------------------------------------------- what was booked before

    def _look_up(self, records: list[RecordTuple]) -> None:
        """Ask the store, once for the whole batch, which fills and costs it has booked before.

        An id is looked up in an index; to hold all of them would take memory without end.
        """
        self._fills.clear()
        self._balances.clear()
        self._executions.clear()
        self._paid.clear()
        for index, kind, _source, _ts_ns, payload in records:
            if index < self.next_index:
                continue
            if kind == Record.REC_FILL:
                self._fills[index] = journal.read_fill(payload)
            elif kind == Record.REC_BALANCE:
                self._balances[index] = journal.read_balance(payload)
        exec_ids = sorted({fill.exec_id for fill in self._fills.values()})
        refs = sorted(
            {
                movement_ref(one)
                for one in self._balances.values()
                if one.change is not None and one.kind not in STATEMENTS | FROM_FILLS
            }
        )
        if not exec_ids and not refs:
            return
        with self.store.engine.connect() as connection:
            for at in range(0, len(exec_ids), KEYS_MAX):
                self._look_up_fills(connection, exec_ids[at : at + KEYS_MAX])
            for at in range(0, len(refs), KEYS_MAX):
                self._look_up_movements(connection, refs[at : at + KEYS_MAX])

    def _look_up_fills(self, connection: Connection, exec_ids: list[str]) -> None:
        table, session = tables.fill, tables.session
        c = table.c
        columns = (c.session_id, c.exec_id, c.venue_order_id, c.ts_ns, session.c.bot)
        for row in connection.execute(
            sa.select(*columns)
            .join(session, session.c.session_id == c.session_id)
            .where(c.exec_id.in_(exec_ids))
        ):
            if row.session_id == self.session_id:
                self._ledger.know([row.exec_id])
            else:
                self._executions.setdefault(row.exec_id, []).append(row)

    def _look_up_movements(self, connection: Connection, refs: list[str]) -> None:
        c, session = tables.movement.c, tables.session
        for row in connection.execute(
            sa.select(c.session_id, c.kind, c.ref, c.asset, session.c.bot)
            .join(session, session.c.session_id == c.session_id)
            .where(c.ref.in_(refs))
        ):
            if row.session_id == self.session_id:
                self._ledger.know(transfers=[(row.kind, row.ref, row.asset)])
            elif row.kind == COST_KIND:
                self._paid.add((row.bot, row.ref, row.asset))

    def _known_before(self, fill: FillRecord) -> bool:
        """Whether an earlier session of this bot booked the fill: same execution, order and time.

        The time tells a simulated venue's ids from those of its last run. A venue's stream and its
        lists tell it to different digits. Bots that share a store may meet the same ids: those of
        two venues are two countings, and every paper account's are alike.
        """
        return any(
            row.bot == self._bot
            and row.venue_order_id == fill.venue_order_id
            and abs(row.ts_ns - fill.ts_ns) <= SAME_TIME_NS
            for row in self._executions.get(fill.exec_id, ())
        )

    def _paid_before(self, record: BalanceRecord) -> bool:
        """Whether an earlier session of this bot booked the cost."""
        return (self._bot, record.ref_id, record.asset) in self._paid

    def _write(self, connection: Connection) -> None:
        own = tables.metadata.tables
        for name, rows in self._rows.items():
            if rows:
                connection.execute(sa.insert(own[name]), rows)
        self._tallies.write(connection)
        upsert(connection, tables.instrument, list(self._instrument_rows.values()))
        upsert(
            connection,
            tables.asset,
            [
                {"session_id": self.session_id, "asset": asset, "decimals": decimals}
                for asset, decimals in self._ledger.decimals.items()
            ],
        )
        upsert(connection, tables.statement, list(self._statements.values()))
        upsert(connection, tables.order, [self._orders[seq] for seq in sorted(self._changed)])
        upsert(connection, tables.latency, list(self._latency.values()), ("count",), ("max_ns",))
        seconds = [
            {
                "session_id": self.session_id,
                "second": number,
                "observed_ns": second.observed_ns,
                "bid_quoted_ns": second.bid_quoted_ns,
                "bid_touch_ns": second.bid_touch_ns,
                "ask_quoted_ns": second.ask_quoted_ns,
                "ask_touch_ns": second.ask_touch_ns,
                "reference_uticks": second.reference_uticks,
                "bid_deep_ns": second.bid_deep_ns,
                "ask_deep_ns": second.ask_deep_ns,
                "both_deep_ns": second.both_deep_ns,
                "best_bid_ticks": second.best_bid_ticks,
                "best_ask_ticks": second.best_ask_ticks,
                "own_bid_ticks": second.own_bid_ticks,
                "own_ask_ticks": second.own_ask_ticks,
                "share_ppm": second.share_ppm,
                "target_ppm": second.target_ppm,
            }
            for number, second in self._touch.seconds.items()
        ]
        spans = tuple(name for name in tables.touch.c.keys() if name.endswith("_ns"))  # noqa: SIM118
        upsert(connection, tables.touch, seconds, spans)
        self._touch.seconds.clear()
        if self._session_changes:
            connection.execute(
                sa.update(tables.session)
                .where(tables.session.c.session_id == self.session_id)
                .values(**self._session_changes)
            )
        upsert(
            connection,
            tables.progress,
            [
                {
                    "session_id": self.session_id,
                    "next_index": self.next_index,
                    "lost_count": self.lost_count,
                    "last_ts_ns": self.last_ts_ns,
                    "state": _text(
                        {
                            "touch": self._touch.state.as_dict(),
                            "quoted_feed": self._quoted_feed,
                            "batch": [list(action) for action in self._batch],
                            "marked": self._tallies.causes.marked,
                        }
                    ),
                }
            ],
        )

    # ---------------------------------------------------------------- restart

    def _restore(self) -> None:
        self._quoted_feed = 0
        with self.store.engine.connect() as connection:
            where = tables.progress.c.session_id == self.session_id
            found = connection.execute(sa.select(tables.progress).where(where)).first()
            if found is None:
                return
            self.next_index = found.next_index
            self.lost_count = found.lost_count
            self.last_ts_ns = found.last_ts_ns
            state = orjson.loads(found.state)
            self._touch = TouchTracker(TouchState(**state["touch"]))
            self._quoted_feed = state["quoted_feed"]
            self._batch = [ActionRecord._make(action) for action in state["batch"]]
            row = connection.execute(
                sa.select(tables.session).where(tables.session.c.session_id == self.session_id)
            ).first()
            if row is not None:
                self._set_session(row.bot, row.venue, row.instrument, orjson.loads(row.config))
                self.ended = row.state != "running"
            marked = state.get("marked", self._tallies.causes.marked)
            self._tallies.restore(connection, marked, self._instrument)
            self._restore_ledger(connection)
            for item in connection.execute(
                sa.select(tables.order).where(
                    tables.order.c.session_id == self.session_id,
                    tables.order.c.state.not_in([state.value for state in TERMINAL]),
                )
            ):
                self._orders[item.seq] = dict(item._mapping)

    def _restore_ledger(self, connection: Connection) -> None:
        mine = tables.asset.c.session_id == self.session_id
        for item in connection.execute(sa.select(tables.asset).where(mine)):
            self._ledger.decimals[item.asset] = item.decimals
        mine = tables.instrument.c.session_id == self.session_id
        for item in connection.execute(sa.select(tables.instrument).where(mine)):
            pair = journal.read_instrument(item.definition.encode())
            self._instruments[item.venue, item.name] = pair
            if item.venue == self.venue:
                self._measure(pair)
        self._ledger.restore(self._tallies.ledger_totals(), opened=self._tallies.opened())


def _text(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
