"""What a session's journal tells of its orders: what was sent, when it arrived, what came of it.

A venue stamps its market messages, and what it says of orders, by its own clock. Both are brought
to the bot's by one offset that no message contradicts: none arrives before it was sent, none is
answered before it arrived. Where the venue tells no time, a request is taken to have needed half
of its round trip, and a market message as long as the answers do.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Final, TypeAlias, cast, final

import numpy as np
from numpy.typing import NDArray

from openmm import __version__, journal
from openmm._fast.book import Book, BookBreak
from openmm._fast.changes import ChangeLog
from openmm._fast.feed import EventClock
from openmm._fast.planner import ActionKind
from openmm._fast.tape import Record
from openmm._fast.units import BookSide, Side
from openmm.config import BotConfig, Venue
from openmm.config.restore import restore
from openmm.data.events import KIND_BITS, ROW, TRADE, Int64s
from openmm.drift.own import KINDS, Got, Key, Moved, Ordered, Sent, Stood, key_of
from openmm.engine.context import SOURCE_PRIVATE
from openmm.engine.entry import read_call
from openmm.engine.replay import NoRequests
from openmm.engine.step import Step
from openmm.errors import ConfigError, JournalError
from openmm.events import (
    Event,
    OrderStatus,
    OrderUpdated,
    RequestAccepted,
    RequestRefused,
    Source,
    Subscribed,
)
from openmm.instrument import Instrument
from openmm.journal import ActionRecord, JournalRecord, SessionRecord
from openmm.venues import registry
from openmm.venues.connector import Connector, Named, Stamped

PROGRESS_RECORDS: Final = 4096
LOOK_EVERY: Final = 16  # market messages between looks whether own orders stand in the book
SETTLED_NS: Final = 200_000_000  # so long after an order was last touched, the book must show it
APART_SHARE: Final = 0.1  # of own orders that the book does not show
WORD_NS: Final = 300_000_000  # within which the bot hears what became of an order
SURE_NS: Final = 5_000_000_000  # after which a look counts though nothing more was heard
OUTSIDE_LEVELS: Final = 1 << 16
STALE_NS: Final = 250_000_000  # between a venue's two words about one request
GRAINS_NS: Final = (1_000_000_000, 1_000_000, 1_000, 1)  # that venues cut their times to
FINE_NS: Final = 1_000  # finer than which no time has to be guessed
COARSE_NS: Final = 1_000_000  # of market messages
NOTHING: Final = -1
DOWN: Final = b"0"
# What a session's beginning tells, without which it cannot be run again.
SEEDS: Final = frozenset(
    {"mid_ticks", "recalled", "session_s", "signals", "symbols", "watchdog"}
)  # fmt: skip
HEADS: Final = frozenset({Record.REC_FRAME, Record.REC_BATCH_END, Record.REC_CALL})  # inputs

Progress: TypeAlias = Callable[[int], None]


def _amends(sent: Sent, event: OrderUpdated, seq: int) -> bool:
    """Whether an order stands as a request wanted it."""
    return any(
        (one.price_ticks, one.qty_lots) == (event.price_ticks, event.qty_lots)
        for one in sent.own if one.seq == seq
    )  # fmt: skip


def _grain(times_ns: Sequence[int]) -> int:
    """Return what a venue cuts its times to, 1 where it told none."""
    if not times_ns:
        return 1
    return next(one for one in GRAINS_NS if not any(at_ns % one for at_ns in times_ns))


@final
class Past:
    """Read a session's records once, from its first on.

    Args:
        records: of the whole journal.
        on_progress: called with the number of records read, now and then.

    Raises:
        JournalError: not a session's beginning, another build's, or a session that sent no order.
    """

    def __init__(
        self, records: Iterable[JournalRecord], on_progress: Progress | None = None
    ) -> None:
        self.session: SessionRecord
        self.config: BotConfig
        self.instruments: list[Instrument] = []
        self.opening: Mapping[str, Any] = {}
        self.records = 0
        self.ended = False
        self.orders: list[Ordered] = []
        self.sent: list[Sent] = []
        self.fills: list[Got] = []
        self.steps: list[Stood] = []
        self.moves: list[Moved] = []  # of orders, in the order of time
        self.notes: list[str] = []
        self.replies: dict[int, tuple[int, int]] = {}  # to order requests: when, which record
        self.told: dict[Key, deque[tuple[int, int]]] = defaultdict(deque)  # likewise
        self.offset_ns = 0
        self.rate_threshold: int | None = None  # of the venue's counter of requests, when told
        self.cost_decimals: int | None = None  # that the venue rounds costs to, where it does
        self.apart = False  # own orders do not stand in the public book
        # What the bot's others showed, by the record it was looked up for.
        self.neighbours: dict[int, list[tuple[int, ...]]] = {}
        self._head = 0
        self._batch: list[ActionRecord] = []
        self._batch_sent = 0
        # Messages whose answer, and whose word on the stream, is still to come: by kind and order.
        self._unanswered: dict[tuple[int, int], deque[Sent]] = defaultdict(deque)
        self._untold: dict[tuple[int, int], deque[Sent]] = defaultdict(deque)
        self._asked: dict[int, Sent] = {}  # order messages by the id that their answer repeats
        self._seqs: dict[str, int] = {}  # by the venue's id
        self._ids: dict[int, bytes] = {}  # and the other way round
        self._private = False
        # Of each own order: how many looks more found it missing in the book than there.
        self._shown: dict[int, int] = defaultdict(int)
        # Those that do not count yet, by order: when, whether it was missing.
        self._looks: dict[int, deque[tuple[int, bool]]] = defaultdict(deque)
        self._doubted: set[int] = set()  # orders that may be gone: the connection was lost
        self._resting: dict[int, tuple[int, int, int, int]] = {}
        self._rows: list[bytes] = []
        self._counts: list[int] = []
        self._recv: list[int] = []
        self._venue: list[int] = []
        self._trades: list[bool] = []
        self._touch: list[tuple[int, int, int, int, int]] = []
        self._losses = 0
        self._last_ns = 0
        self._stopped = False
        self._read(iter(records), on_progress)
        self._finish()

    # ------------------------------------------------------------------ read

    def _read(self, records: Iterator[JournalRecord], on_progress: Progress | None) -> None:
        first = next(records, None)
        if first is None or first.kind != Record.REC_SESSION:
            raise JournalError("the journal does not begin with its session's record")
        session = self.session = journal.read_session(first.payload)
        try:
            self.config = restore(session.config)
        except ConfigError as error:
            raise JournalError(f"the journal's configuration is another build's: {error}") from None
        if untold := SEEDS - session.seeds.keys():
            raise JournalError(
                f"the journal is of a build ({session.build}) that did not record every input; it "
                f"cannot be run again without {', '.join(sorted(untold))}"
            )
        if session.build != __version__:
            self.notes.append(
                f"the session is of build {session.build}, and this is {__version__}: what differs "
                "may be their difference"
            )
        self.quoted = self.config.venue.index(self.config.quoted)
        self.records = 1
        for one in records:
            self.records += 1
            if on_progress is not None and not self.records % PROGRESS_RECORDS:
                on_progress(self.records)
            self._take(one)

    def _take(self, one: JournalRecord) -> None:
        kind, self._last_ns = one.kind, one.ts_ns
        if kind == Record.REC_SESSION:
            raise JournalError(f"a second session begins at record {one.record_index}")
        if kind in HEADS and not (kind == Record.REC_CALL and self._private):
            self._head = one.record_index
        if kind == Record.REC_FRAME:
            if len(self.instruments) < len(self.config.venue):
                raise JournalError("the session never told what its instruments were")
            if one.source == self.quoted:
                self._market(one)
            self._private = one.source == SOURCE_PRIVATE
            self._payload = one.payload
            return
        private, self._private = self._private, False
        if kind == Record.REC_INTENT:
            if self._batch_sent:
                self._batch, self._batch_sent = [], 0
            action = journal.read_intent(one.payload).action
            self._batch.append(action)
            self.orders.append(Ordered(one.ts_ns, action))
        elif kind == Record.REC_ORDER_BYTES:
            self._message(one)
        elif kind == Record.REC_CALL:
            self._call(one, private)
        elif kind == Record.REC_FILL:
            told = journal.read_fill(one.payload)
            if told.seq and not told.venue:
                if told.cost != told.price_ticks * told.qty_lots * self._unit:
                    places = -int(told.cost.as_tuple().exponent)
                    self.cost_decimals = max(self.cost_decimals or 0, places)
                self.fills.append(
                    Got(
                        told.seq, told.side, told.price_ticks, told.qty_lots, told.maker,
                        told.ts_ns, one.ts_ns, told.trade_id,
                    )
                )  # fmt: skip
                self._filled(told)
        elif kind == Record.REC_INSTRUMENT:
            self.instruments.append(journal.read_instrument(one.payload))
            if len(self.instruments) == len(self.config.venue):
                self._open_market()
        elif kind == Record.REC_CONNECTION and one.payload == DOWN:
            if one.source == self.quoted:
                self._book.break_(BookBreak.BREAK_DISCONNECT)
            elif one.source == SOURCE_PRIVATE and not self._stopped:
                self._losses += 1
            if one.source == SOURCE_PRIVATE:
                self._looks.clear()
                self._doubted.update(self._resting)
        elif kind == Record.REC_NEIGHBOURS:
            rows = self.neighbours.setdefault(self._head, [])
            rows.append(tuple(journal.read_neighbours(one.payload)))
        elif kind == Record.REC_END:
            self.ended = True

    def _open_market(self) -> None:
        venue, instrument = self.config.quoted, self.instrument
        self.trading = self.connector(venue, instrument, EventClock())
        self.trading.order_encoder(instrument, bot=self.session.bot, session_s=self.session_s)
        self._book = Book(outside_levels=OUTSIDE_LEVELS)
        self._log = ChangeLog(self._book)
        self._decoder = self.trading.market_decoder(
            instrument, self._book, depth=venue.depth, verify=venue.verify_checksum
        )
        self._decoder.set_sink(self._log)
        self._unit = instrument.tick_size * instrument.lot_size

    def connector(self, venue: Venue, instrument: Instrument, clock: EventClock) -> Connector:
        """Make what reads a venue's messages: without a key, and without a way to ask."""
        made = registry.connector(venue, None, clock=clock, round_trip=NoRequests())
        if isinstance(made, Named):
            made.recall(instrument, self.seeds["symbols"][venue.label])
        return made

    @property
    def seeds(self) -> Mapping[str, Any]:
        """What the session started from beside its configuration."""
        return cast("Mapping[str, Any]", self.session.seeds)

    @property
    def session_s(self) -> int:
        """Of the session's client ids."""
        return int(self.seeds["session_s"])

    @property
    def instrument(self) -> Instrument:
        """What is quoted."""
        return self.instruments[self.quoted]

    # ------------------------------------------------------------------ market

    def _market(self, one: JournalRecord) -> None:
        self._log.decode(self._decoder, one.payload, one.ts_ns)
        told = self._log.take()
        rows = np.frombuffer(told, ROW)
        self._rows.append(told)
        self._counts.append(len(rows))
        self._recv.append(one.ts_ns)
        # What changes nothing (a heartbeat) has no time of its own.
        self._venue.append(int(rows["venue_ns"][-1]) if len(rows) else NOTHING)
        self._trades.append(bool(len(rows)) and int(rows["flags"][-1]) & KIND_BITS == TRADE)
        if self._resting and not len(self._recv) % LOOK_EVERY:
            self._look(one.ts_ns)

    def _look(self, now_ns: int) -> None:
        """See whether the book contains own orders that have stood long enough to be in it."""
        for seq, (side, price_ticks, left_lots, since_ns) in self._resting.items():
            self._count_looks(seq, now_ns - SURE_NS)
            book_side = BookSide.BID if side == Side.BUY else BookSide.ASK
            levels = self._book.levels(book_side)
            if now_ns - since_ns < SETTLED_NS or not levels or seq in self._doubted:
                continue
            worst = levels[-1][0]
            if price_ticks < worst if side == Side.BUY else price_ticks > worst:
                continue
            missing = self._book.qty_at(book_side, price_ticks) < left_lots
            self._looks[seq].append((now_ns, missing))

    def _count_looks(self, seq: int, until_ns: int) -> None:
        """Count looks at an order from before a moment."""
        looks = self._looks.get(seq)
        while looks and looks[0][0] < until_ns:
            self._shown[seq] += 1 if looks.popleft()[1] else -1

    # ------------------------------------------------------------------ orders

    def _message(self, one: JournalRecord) -> None:
        batch = tuple(self._batch)
        made = Sent(one.ts_ns, batch, self._batch_sent, self._carried(one.payload, batch))
        self._batch_sent += 1
        self.sent.append(made)
        if isinstance(self.trading, Stamped) and (asked := self.trading.asked_id(one.payload)):
            self._asked[asked] = made
        for action in made.own:
            self._unanswered[action.kind, action.seq].append(made)
            self._untold[action.kind, action.seq].append(made)

    def _carried(self, payload: bytes, batch: tuple[ActionRecord, ...]) -> tuple[ActionRecord, ...]:
        """Tell which actions a message carries: it names their orders."""
        if len(batch) == 1:
            return batch
        named = [
            one for one in batch
            if self.trading.client_id(one.seq).encode() in payload
            or (one.seq in self._ids and self._ids[one.seq] in payload)
        ]  # fmt: skip
        return tuple(named) if named else batch

    def _call(self, one: JournalRecord, private: bool) -> None:
        name = one.payload[2 : one.payload.find(b'"', 2)].decode(errors="replace")
        self._stopped |= name == "stop"
        if name == "set_opening":
            self.opening = read_call(Step, one.payload)[1][0]
        elif name == "on_events" and private:
            for event in read_call(Step, one.payload)[1][0]:
                self._event(event, one.ts_ns, one.record_index)

    def _event(self, event: Event, recv_ns: int, index: int) -> None:
        key = key_of(event)
        if key is not None:
            self.told[key].append((recv_ns, index))
        match event:
            case RequestAccepted() | RequestRefused():
                stamped = self.trading
                at_ns = stamped.answered_ns(self._payload) if isinstance(stamped, Stamped) else 0
                if event.req_id:
                    self.replies.setdefault(event.req_id, (recv_ns, index))
                seq = self._seq(event.client_id, getattr(event, "venue_order_id", ""))
                kind = KINDS.get(event.kind)
                asked = self._asked.get(event.req_id)
                if not seq and kind is not None and asked is not None:
                    # An answer about several orders names none, of which none may be left to tell.
                    asked.answered_ns = min(asked.answered_ns or recv_ns, recv_ns)
                    if at_ns:
                        asked.venue_ns, asked.stamped = at_ns, True
                if seq and kind is not None:
                    made = self._answer(self._unanswered, kind, seq, at_ns, recv_ns)
                    if made is not None and at_ns:
                        made.venue_ns, made.stamped = at_ns, True
                    untold = self._untold[kind, seq]
                    if made is not None and isinstance(event, RequestRefused) and made in untold:
                        untold.remove(made)
            case Subscribed() if event.rate_threshold is not None:
                self.rate_threshold = event.rate_threshold
            case OrderUpdated() if event.source is Source.STREAM:
                seq = self._seq(event.client_id, event.venue_order_id)
                if seq:
                    self._update(event, seq, recv_ns)

    def _seq(self, client_id: str, venue_id: str) -> int:
        seq = self.trading.seq_of(client_id) if client_id else self._seqs.get(venue_id, 0)
        if seq and venue_id:
            self._seqs.setdefault(venue_id, seq)
            self._ids.setdefault(seq, venue_id.encode())
        return seq

    def _update(self, event: OrderUpdated, seq: int, recv_ns: int) -> None:
        if event.status.terminal:
            made = None
            if event.status is OrderStatus.CANCELLED:
                # One that was never told to stand was cancelled where it arrived.
                placed = self._untold.get((ActionKind.ACTION_PLACE, seq))
                kind = ActionKind.ACTION_PLACE if placed else ActionKind.ACTION_CANCEL
                made = self._answer(self._untold, kind, seq, event.ts_ns, recv_ns)
            held = self._resting.get(seq)
            if held is not None and event.status is not OrderStatus.FILLED:
                side, price_ticks, _, _ = held
                self._moved(ActionKind.ACTION_CANCEL, seq, side, price_ticks, 0, event, made)
            self._touched(seq, event.ts_ns, recv_ns, 0, 0)
            return
        kind = ActionKind.ACTION_AMEND
        if not event.amended:
            amends = self._untold.get((kind, seq))
            placed = self._untold.get((ActionKind.ACTION_PLACE, seq))
            # Some streams do not say that an update is of an amend.
            if placed or not amends or not _amends(amends[0], event, seq):
                kind = ActionKind.ACTION_PLACE
        made = self._answer(self._untold, kind, seq, event.ts_ns, recv_ns)
        if event.price_ticks is None or event.qty_lots is None or event.side is None:
            return
        if made is not None:
            self._moved(kind, seq, event.side, event.price_ticks, event.qty_lots, event, made)
        left = event.qty_lots - (event.filled_lots or 0)
        self._resting[seq] = (event.side, event.price_ticks, left, recv_ns)
        self._touched(seq, event.ts_ns, recv_ns, event.price_ticks, left)

    def _moved(
        self, kind: int, seq: int, side: int, price_ticks: int, qty_lots: int,
        event: OrderUpdated, made: Sent | None,
    ) -> None:  # fmt: skip
        self.moves.append(Moved(kind, seq, side, price_ticks, qty_lots, event.ts_ns, made))

    def _filled(self, told: journal.FillRecord) -> None:
        held = self._resting.get(told.seq)
        if held is None:
            return
        side, price_ticks, left_lots, since_ns = held
        left_lots -= told.qty_lots
        self._resting[told.seq] = (side, price_ticks, left_lots, since_ns)
        self._touched(told.seq, told.ts_ns, since_ns, price_ticks, max(0, left_lots))

    def _touched(self, seq: int, venue_ns: int, recv_ns: int, price: int, left: int) -> None:
        held = self._resting.get(seq)
        if held is None:
            return
        # The book may have told first what this word says: what was seen shortly before is void.
        self._count_looks(seq, self._last_ns - WORD_NS)
        self._looks.pop(seq, None)
        self._doubted.discard(seq)
        side, old_price, _, _ = held
        if left <= 0:
            del self._resting[seq]
        self._touch.append((venue_ns or recv_ns, seq, side, price or old_price, left))

    @staticmethod
    def _answer(
        waiting: Mapping[tuple[int, int], deque[Sent]], kind: int, seq: int, venue_ns: int,
        recv_ns: int,
    ) -> Sent | None:  # fmt: skip
        """Take a word about the oldest request of a kind that it can be about."""
        requests = waiting.get((kind, seq))
        while requests and 0 < requests[0].answered_ns < recv_ns - STALE_NS:
            requests.popleft()  # it was answered, and the stream did not tell of it
        if not requests or requests[0].sent_ns >= recv_ns:
            return None
        made = requests.popleft()
        made.answered_ns = min(made.answered_ns or recv_ns, recv_ns)
        if venue_ns and not made.venue_ns:
            made.venue_ns = venue_ns
        return made

    # ------------------------------------------------------------------ times

    def _finish(self) -> None:
        if not self.sent:
            raise JournalError("the session sent no order: there is nothing to compare")
        if not self.opening:
            raise JournalError("the session never opened its account")
        if self._losses:
            self.notes.append(
                f"the private connection was lost {self._losses} times: what was missed "
                "meanwhile is told without the delay"
            )
        missing = sum(surplus > 0 for surplus in self._shown.values())
        self.apart = missing > len(self._shown) * APART_SHARE
        recv = np.array(self._recv, np.int64)
        raw = np.array(self._venue, np.int64)
        told = [one.venue_ns for one in self.sent if one.venue_ns and not one.stamped]
        self.grain_ns = _grain(told)
        self._fills_grain_ns = _grain([one.venue_ns for one in self.fills])
        self.offset_ns = self._offset(recv, raw)
        known = raw > 0
        self.requests_ns, self.answers_ns = self._arrivals()
        usual = round(median(self.answers_ns)) if self.answers_ns else 0
        guess = recv - usual
        at = raw + self.offset_ns
        trades = np.array(self._trades, bool)
        for kind in (known & trades, known & ~trades):
            if not (raw[kind] % COARSE_NS).any():
                at[kind] = np.clip(guess[kind], at[kind], at[kind] + COARSE_NS - 1)
        at = np.where(known, at, guess)
        first = int(at[raw != NOTHING][0]) if (raw != NOTHING).any() else 0
        at = np.where(raw == NOTHING, np.minimum(guess, first), at)
        # What follows a message that tells a time and tells none itself was sent no earlier.
        quiet = (raw == NOTHING) & (np.cumsum(raw != NOTHING) > 0)
        at = np.where(quiet, 0, at)
        # One after the other, and none later than it was received.
        self.market_ns = np.maximum.accumulate(np.minimum(at, recv)) if len(recv) else at
        self._news = self.market_ns[raw != NOTHING], recv[raw != NOTHING]
        for one in self.moves:
            arrived_ns = 0 if one.sent is None else one.sent.arrived_ns
            one.ts_ns = arrived_ns or one.ts_ns + self.offset_ns
        self.moves.sort(key=lambda one: one.ts_ns)
        self.steps = sorted(
            (Stood(at_ns + self.offset_ns, *rest) for at_ns, *rest in self._touch),
            key=lambda one: one.ts_ns,
        )

    def market(self) -> tuple[NDArray[Any], Int64s]:
        """Return what the quoted market did, in rows of `data.events.ROW`, and when, at the venue.

        The rows are in ticks and lots of the instrument, times by the bot's clock.
        """
        rows = np.frombuffer(b"".join(self._rows), ROW)
        return rows, np.repeat(self.market_ns, np.array(self._counts, np.int64))

    def seen_ns(self) -> Int64s:
        """Return int64[n], how long each message that told of the market was on its way, ns."""
        sent, recv = self._news
        delays: Int64s = recv - sent
        return delays

    def filled_ns(self, fill: Got) -> int:
        """Return when the venue filled, by the bot's clock; of a cut time its end."""
        grain_ns = self._fills_grain_ns
        return fill.venue_ns + self.offset_ns + (grain_ns - 1 if grain_ns > FINE_NS else 0)

    @property
    def is_coarse(self) -> bool:
        """Whether the venue cuts its times to what is too coarse to order by."""
        return self.grain_ns > FINE_NS

    def carried(self) -> Iterator[tuple[Sent, ActionRecord]]:
        """Yield each action with the message that carried it, in the order in which they left."""
        left = 0
        while left < len(self.sent):
            batch = self.sent[left].batch
            messages = [self.sent[left]]
            while left + len(messages) < len(self.sent) and self.sent[left + len(messages)].place:
                messages.append(self.sent[left + len(messages)])
            left += len(messages)
            for action in batch:
                # One that no message names is on one of them: the last, to be careful.
                yield next((one for one in messages if action in one.own), messages[-1]), action

    def seen_at_ns(self, at_ns: int) -> int:
        """Return when the bot had seen the market that the venue had at a moment."""
        sent, recv = self._news
        place = int(np.searchsorted(sent, at_ns, side="right"))
        if not place:
            return at_ns
        last_ns = int(recv[place - 1])
        seen_ns = at_ns + last_ns - int(sent[place - 1])
        later_ns = int(recv[place]) if place < len(recv) else seen_ns + 1
        # Not after the next message: it was not there yet.
        return max(last_ns, min(seen_ns, later_ns - 1))

    def _offset(self, recv: Any, venue: Any) -> int:
        """Find what has to be added to the venue's times: in the middle of what fits them all."""
        known = venue > 0
        most = [int((recv - venue)[known].min())] if known.any() else []
        least = []
        stamped = _grain([one.venue_ns for one in self.sent if one.venue_ns and one.stamped])
        for one in self.sent:
            if one.venue_ns:
                # A time that was cut is a little early.
                cut_ns = (stamped if one.stamped else self.grain_ns) - 1
                least.append(one.sent_ns - one.venue_ns - cut_ns)
                most.append(one.answered_ns - one.venue_ns)
        if not least:
            return min(most, default=0)
        low, high = max(least), min(most)
        # Clocks that agree need none.
        if low <= 0 <= high:
            return 0
        return (low + high) // 2 if low <= high else high

    def _arrivals(self) -> tuple[list[int], list[int]]:
        """Say of each request when it arrived; return the delays there and back that were told."""
        there, back = [], []
        for one in self.sent:
            if one.venue_ns:
                at_ns = one.venue_ns + self.offset_ns
                if self.is_coarse and not one.stamped:
                    # Where in its millisecond: about half-way between question and answer.
                    half_ns = (one.sent_ns + one.answered_ns) // 2
                    at_ns = min(max(at_ns, half_ns), at_ns + self.grain_ns - 1)
                one.arrived_ns = max(one.sent_ns, at_ns)
                one.told = True
                there.append(one.arrived_ns - one.sent_ns)
                back.append(max(0, one.answered_ns - one.arrived_ns))
        for one in self.sent:
            if not one.told and one.answered_ns:
                one.arrived_ns = one.sent_ns + (one.answered_ns - one.sent_ns) // 2
                if not there:
                    back.append(one.answered_ns - one.arrived_ns)
        if not there:
            there = [one.arrived_ns - one.sent_ns for one in self.sent if one.arrived_ns]
        # Requests of one connection do not overtake each other. One that was never answered, on a
        # connection that stood, came no sooner than the next, or not before the end.
        next_ns = self._last_ns
        for one in reversed(self.sent):
            if one.arrived_ns:
                next_ns = one.arrived_ns
            elif not self._losses:
                one.arrived_ns = max(one.sent_ns, next_ns)
        last_ns = 0
        for one in self.sent:
            if one.arrived_ns:
                last_ns = one.arrived_ns = max(last_ns, one.arrived_ns)
        return there, back
