"""Carry out a hedge for a program that embeds an engine: venue, streams, log (docs/hedging.md).

The decisions are `execution.hedge.HedgeMachine`'s. Here are the hedge venue's desk, which its
orders leave by, its two streams, a timer, and a log on disk: an order is in the log before its
bytes leave, and a start reads it, so that what was unhedged or in doubt when the process died is so
again.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self, final

import msgspec
from msgspec import Struct

from openmm._fast.orders import OrderState, OrderTable
from openmm._fast.units import Side
from openmm.board import Guard
from openmm.engine.pretend import Account, HedgeDesk
from openmm.errors import ConfigError, JournalError, RiskError, VenueError, VenueRejected
from openmm.events import BalanceUpdated, OrderFilled, OrderStatus, OrderUpdated, Source
from openmm.execution.hedge import HedgeMachine, HedgeTerms, HedgeUnits
from openmm.execution.hedge.messages import (
    BookSeen,
    CancelAnswered,
    CancelHedge,
    FundsSeen,
    HedgeAbsent,
    HedgeAccepted,
    HedgeAction,
    HedgeEnded,
    HedgeEvent,
    HedgeFilled,
    HedgeFound,
    HedgeRefused,
    HedgeUnanswered,
    Incident,
    Killed,
    PlaceHedge,
    QueryHedge,
    QuoteFilled,
    QuotesStood,
    ResumeQuoting,
    StopQuoting,
    TimePassed,
    VenueSeen,
)
from openmm.strategy.quotes import Quotes
from openmm.venues.base import PlaceOrder
from openmm.venues.stream import BookUpdated, StreamLost

log = logging.getLogger(__name__)

TICK_S: Final = 0.05
LEVELS: Final = 10
LOOK_BACK_NS: Final = 60_000_000_000  # clocks of the venue and ours differ by less
IDS_KEPT: Final = 4096
INCIDENTS_KEPT: Final = 100
# Venues that refuse an order after a deadline it is sent with. At others a request counts as on its
# way for as long as a call may take, and somewhat longer.
KEEP_DEADLINES: Final = frozenset({"kraken"})
CALL_NS: Final = 12_000_000_000
DEADLINE_NS_MIN: Final = 15_000_000_000
VERSION: Final = 1
# Orders that will still be there for a level at their price.
STANDING: Final = frozenset({OrderState.PENDING_NEW, OrderState.OPEN, OrderState.PARTIALLY_FILLED})
LIVE: Final = frozenset({OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED})


class LogOpened(Struct, frozen=True, tag=True):
    """The first line of a log: what the ids in it are made of, and what is older than it."""

    version: int
    session: str
    opened_ns: int


LogLine = LogOpened | PlaceHedge | QuoteFilled | HedgeFilled | HedgeEnded


@final
class Hedging:
    """Hedge what fills elsewhere on one pair of a venue: `async with` it.

    Args:
        desk: of the hedge venue, with keys; closed by the caller.
        units: of the two pairs.
        terms: of the hedge.
        file: the log; it is made where there is none, and read where there is.
        on_incident: told what people have to know.
        guard: the hedge's row among this host's bots (`engine.neighbours.hedge_guard`): a hedge
            that would meet an order of theirs is not sent; None: nobody is asked.
        on_gate: called, from the loop, when quoting stops or resumes, for one side or both.
        on_told: called after each event; it must not call back.
        on_hedged: called with each execution of a hedge, once, ahead of `on_told`.

    `on_fill` takes the quoting venue's executions (`Engine(on_fill=...)`).

    Raises:
        JournalError: the log is not one, or of another version.
        ConfigError: `deadline_ns` is too short for a venue that keeps no deadlines; or, as the
            block begins, the venue takes no order under these terms at its price of now.
        VenueError: as the block begins, that price is not told.
    """

    def __init__(
        self,
        desk: HedgeDesk,
        units: HedgeUnits,
        terms: HedgeTerms,
        file: Path,
        *,
        on_incident: Callable[[Incident], None] | None = None,
        on_gate: Callable[[], None] | None = None,
        on_told: Callable[[], None] | None = None,
        on_hedged: Callable[[OrderFilled], None] | None = None,
        guard: Guard | None = None,
    ) -> None:
        keeps = desk.name in KEEP_DEADLINES
        if not keeps and terms.deadline_ns < DEADLINE_NS_MIN:
            raise ConfigError(
                "hedge.deadline_ns", terms.deadline_ns,
                f"at least {DEADLINE_NS_MIN}: {desk.name} keeps no deadlines",
            )  # fmt: skip
        self._call_ns = 0 if keeps else CALL_NS
        self._guard = guard
        self.units = units
        self.machine = HedgeMachine(terms)
        self.on_gate = on_gate
        self.incidents: deque[Incident] = deque(maxlen=INCIDENTS_KEPT)
        self.failure: BaseException | None = None
        self._desk = desk
        self._pair = units.hedge
        self._on_incident = on_incident
        self._on_told = on_told
        self._on_hedged = on_hedged
        self._prefix = ""
        self._opened_ns = 0
        self._unwritten: deque[bytes] = deque()  # lines that the disk did not take yet
        self._whole_bytes = 0  # of the log: what ends with a whole line
        self._seqs: OrderedDict[str, int] = OrderedDict()  # by the venue's ids, the last ones
        self._held: dict[str, Decimal] = {}  # at the hedge venue, of its pair
        self._placed_ns: dict[int, int] = {}
        self._told = asyncio.Event()
        self._told_up = False
        self._account: Account | None = None
        self._account_lost = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._encode = msgspec.json.Encoder().encode
        self._file = self._open(file)

    # ------------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        """Open the streams; quotes may stand once the venue was healthy for long enough."""
        try:
            book = await self._desk.get_order_book(self._pair.name, LEVELS)
            if book.bids:
                self.machine.terms.check_price(self._pair.floor_ticks(book.bids[0][0]))
        except (VenueError, ConfigError):
            self._file.close()
            raise
        for work, name in (
            (self._follow_market(), "market"),
            (self._follow_account(), "account"),
            (self._tick(), "timer"),
        ):
            self._spawn(work, f"hedge {name}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End with nothing open, if that can be proven in time: see `close`."""
        await self.close()

    async def close(self, seconds: float = 30.0) -> bool:
        """Hedge what can be, then cancel and prove what is open; returns whether nothing is.

        Call it when nothing can fill any more on the quoting venue.
        """
        if self._file.closed:
            return self.machine.closed
        await self._until(lambda: self.settled, seconds)
        self.tell(Killed(self._now()))
        await self._until(lambda: self.machine.closed, seconds)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not self._flush():
            log.error("%d lines of the hedge log were not written", len(self._unwritten))
        self._file.close()
        if self._guard is not None:
            self._guard.seat.leave(proven=self.machine.closed)
            self._guard.seat.board.close()
        return self.machine.closed

    def drop(self) -> None:
        """Let the log go where it was never begun, or has been closed."""
        if not self._file.closed:
            self._file.close()

    async def _until(self, good: Callable[[], bool], seconds: float) -> None:
        """Wait until something holds, a part has failed, or so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not good() and self.failure is None:
                    self._told.clear()
                    await self._told.wait()

    @property
    def settled(self) -> bool:
        """Whether no hedge is open and what is unhedged is less than the venue's least order."""
        machine = self.machine
        lots = abs(machine.net_atoms) // machine.terms.lot_atoms
        mid_uticks = machine.mid_uticks
        least = machine.terms.least_lots(mid_uticks // 1_000_000 if mid_uticks else 0)
        return not machine.orders.live and lots < least

    # ------------------------------------------------------------------ the quoting venue's side

    def on_fill(self, event: OrderFilled) -> None:
        """Take an execution of the quoting venue: `Engine(on_fill=hedging.on_fill)`.

        One that is told again is known by its id. One from before the log, which an engine finds at
        its start, is not of this hedge.
        """
        if event.source is Source.QUERY and event.ts_ns < self._opened_ns:
            return
        units = self.units
        qty_atoms = units.quote_atoms(event.qty_lots)
        fee, fee_atoms = Decimal(0), 0
        for one in event.fees:
            if one.asset == units.quoting.base:
                fee_atoms += units.atoms(one.amount)
            elif one.asset == units.quoting.quote:
                fee += one.amount
        self.tell(
            QuoteFilled(
                self._now(), event.exec_id, Side(event.side), qty_atoms,
                units.tickatoms(event.cost, quoting=True), units.tickatoms(fee, quoting=True),
                fee_atoms,
            )
        )  # fmt: skip

    def bound(self, quotes: Quotes, table: OrderTable) -> Quotes:
        """Cut a ladder to the room there is, with what stands and is on its way in full.

        A level at the price of an order that stands needs room for what it adds to it only.
        """
        totals, quote_lot = table.totals(), self.units.quote_atoms(1)
        stood = QuotesStood(self._now(), totals.buy_lots * quote_lot, totals.sell_lots * quote_lot)
        self.tell(stood)
        standings: dict[tuple[int, int], int] = {}
        for order in table.live():
            if order.state in STANDING:
                key = (order.side, order.price_ticks)
                left = order.qty_lots - order.filled_lots
                standings[key] = standings.get(key, 0) + left
        sides = []
        for side, levels in ((Side.BUY, quotes.bids), (Side.SELL, quotes.asks)):
            kept: list[tuple[int, int]] = []
            room = self.machine.room_atoms(side) // quote_lot
            if not self.machine.is_stopped(side):
                for price_ticks, qty_lots in levels:
                    standing = standings.get((int(side), price_ticks), 0)
                    lots = min(qty_lots, standing + room)
                    if lots < max(1, self.units.quoting.qty_lots_min):
                        continue
                    room -= max(0, lots - standing)
                    kept.append((price_ticks, lots))
            sides.append(kept)
        return Quotes(*sides)

    # ------------------------------------------------------------------ events and actions

    def tell(self, event: HedgeEvent) -> None:
        """Give the machine an event and carry out what it says.

        The position follows also where the log does not take the event: nothing is hedged then, and
        nothing may be quoted.
        """
        self._told.set()
        machine = self.machine
        before = dict(machine.orders.live)
        if isinstance(event, QuoteFilled | HedgeFilled):
            self._write(event)
        actions = machine.apply(event)
        for seq, order in before.items():
            if seq not in machine.orders.live:
                self._write(HedgeEnded(event.now_ns, seq, order.filled_lots))
                self._placed_ns.pop(seq, None)
                if self._guard is not None:
                    self._guard.leave(seq)
        gate = False
        for action in actions:
            gate = gate or isinstance(action, StopQuoting | ResumeQuoting)
            self._act(action)
        if self._on_told is not None:
            self._on_told()
        if gate and self.on_gate is not None:
            # Not from here: this may be called from within what the gate would call.
            asyncio.get_running_loop().call_soon(self.on_gate)

    def _act(self, action: HedgeAction) -> None:
        match action:
            case PlaceHedge():
                if not self._write(action):
                    # It is told once the event it follows from has been dealt with.
                    refused = HedgeRefused(self._now(), action.seq, "log")
                    asyncio.get_running_loop().call_soon(self.tell, refused)
                    return
                self._placed_ns[action.seq] = self._now()
                self._spawn(self._place(action), "hedge order")
            case CancelHedge(seq):
                self._spawn(self._cancel(seq), "hedge cancel")
            case QueryHedge(seq):
                self._spawn(self._ask(seq), "hedge query")
            case Incident():
                log.error("%s: %s", action.code, action.text)
                self.incidents.append(action)
                if self._on_incident is not None:
                    self._on_incident(action)
            case StopQuoting(side, reason):
                log.warning("no %s quotes: %s", side.name if side else "more", reason.value)

    async def _place(self, action: PlaceHedge) -> None:
        order = PlaceOrder(
            self._pair, action.side, action.price_ticks, action.qty_lots,
            self._client_id(action.seq), post_only=False, immediate=True,
            deadline_ns=action.deadline_ns,
        )  # fmt: skip
        # On disk before it is on the wire; the loop does not wait.
        await asyncio.to_thread(os.fdatasync, self._file.fileno())
        if self._now() >= action.deadline_ns - self._call_ns:
            # It could arrive when the machine no longer reckons with it: it is not sent.
            self.tell(HedgeRefused(self._now(), action.seq, "deadline"))
            return
        if self._guard is not None:
            met = self._guard.enter(action.seq, action.side, action.price_ticks)
            if met:
                log.warning("hedge %d would meet another bot's order at %d", action.seq, met)
                self.tell(HedgeRefused(self._now(), action.seq, "neighbour"))
                return
        try:
            taken = await self._desk.place_order(order)
        except VenueRejected as error:
            self.tell(HedgeRefused(self._now(), action.seq, error.code))
        except RiskError as error:
            # Nothing was sent: the account is another's, or the address is not allowed.
            log.error("hedge %d: %s", action.seq, error)
            self.tell(HedgeRefused(self._now(), action.seq, "account"))
        except VenueError as error:
            log.warning("hedge %d: %s", action.seq, error)
            self.tell(HedgeUnanswered(self._now(), action.seq))
        else:
            self._name(taken.venue_order_id, action.seq)
            self.tell(HedgeAccepted(self._now(), action.seq))

    async def _cancel(self, seq: int) -> None:
        try:
            await self._desk.cancel_order(client_id=self._client_id(seq))
        except VenueError as error:
            log.warning("cancel of hedge %d: %s", seq, error)
            self.tell(HedgeUnanswered(self._now(), seq))
        else:
            self.tell(CancelAnswered(self._now(), seq))

    async def _ask(self, seq: int) -> None:
        asked_ns = self._now()
        since_ns = self._placed_ns.get(seq, asked_ns) - LOOK_BACK_NS
        try:
            found = await self._desk.get_order(client_id=self._client_id(seq))
            fills = [] if found is None else await self._desk.get_fills(since_ns)
        except VenueError as error:
            # The machine asks again.
            log.warning("query of hedge %d: %s", seq, error)
            return
        if found is None:
            self.tell(HedgeAbsent(self._now(), seq, asked_ns))
            return
        self._name(found.venue_order_id, seq)
        for fill in fills:
            self._on_hedge_fill(fill)
        if found.status.terminal:
            none = found.status is OrderStatus.REJECTED
            self.tell(HedgeEnded(self._now(), seq, 0 if none else found.filled_lots))
        elif found.status in LIVE:
            self.tell(HedgeFound(self._now(), seq, found.filled_lots or 0))

    # ------------------------------------------------------------------ streams and timer

    async def _follow_market(self) -> None:
        async with await self._desk.market_stream(self._pair.name, levels=LEVELS) as stream:
            async for event in stream:
                if isinstance(event, BookUpdated):
                    bids, asks = (
                        tuple(
                            (self._pair.exact_ticks(price), self._pair.exact_lots(qty))
                            for price, qty in side
                        )
                        for side in (event.book.bids, event.book.asks)
                    )
                    self.tell(BookSeen(self._now(), bids, asks))
                elif isinstance(event, StreamLost):
                    self.tell(BookSeen(self._now(), (), (), verified=False))

    async def _follow_account(self) -> None:
        async with await self._desk.account_stream(self._pair.name) as stream:
            self._account = stream
            async for event in stream:
                self._account_lost = isinstance(event, StreamLost)
                if isinstance(event, StreamLost):
                    self._tell_up()
                elif isinstance(event, OrderFilled):
                    self._on_hedge_fill(event)
                elif isinstance(event, OrderUpdated):
                    self._on_hedge_order(event)
                elif isinstance(event, BalanceUpdated):
                    self.on_balance(event)

    def on_balance(self, event: BalanceUpdated) -> None:
        """Take what the account holds: quotes go no further than it can hedge."""
        if event.asset not in (self._pair.base, self._pair.quote):
            return
        self._held[event.asset] = event.total
        base, quote = self._held.get(self._pair.base), self._held.get(self._pair.quote)
        self.tell(
            FundsSeen(
                self._now(),
                None if base is None else int(base / self.units.atom),
                None if quote is None else self.units.tickatoms(quote, quoting=False),
            )
        )

    def _tell_up(self) -> None:
        stream = self._account
        up = stream is not None and stream.ready and not self._account_lost
        up = up and self.failure is None
        if up != self._told_up:
            self._told_up = up
            self.tell(VenueSeen(self._now(), up))

    def _on_hedge_fill(self, event: OrderFilled) -> None:
        seq = self._seq_of(event.client_id) or self._seqs.get(event.venue_order_id, 0)
        if not seq or event.instrument != self._pair.name:
            # Of somebody else; or of ours before its id is known: its end tells of more, and asks.
            return
        fee, fee_atoms = Decimal(0), 0
        for one in event.fees:
            if one.asset == self._pair.base:
                fee_atoms += self.units.atoms(one.amount)
            elif one.asset == self._pair.quote:
                fee += one.amount
        if self._on_hedged is not None and not self.machine.has_booked(event.exec_id):
            self._on_hedged(event)
        self.tell(
            HedgeFilled(
                self._now(), seq, event.exec_id, Side(event.side), event.qty_lots,
                self.units.tickatoms(event.cost, quoting=False),
                self.units.tickatoms(fee, quoting=False), fee_atoms,
            )
        )  # fmt: skip

    def _on_hedge_order(self, event: OrderUpdated) -> None:
        seq = self._seq_of(event.client_id) or self._seqs.get(event.venue_order_id, 0)
        if not seq:
            return
        self._name(event.venue_order_id, seq)
        if event.status is OrderStatus.REJECTED:
            self.tell(HedgeRefused(self._now(), seq, "refused"))
        elif event.status.terminal:
            self.tell(HedgeEnded(self._now(), seq, event.filled_lots))
        elif event.status in LIVE:
            self.tell(HedgeAccepted(self._now(), seq))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._tell_up()
            self.tell(TimePassed(self._now()))

    # ------------------------------------------------------------------ log

    def _open(self, path: Path) -> BinaryIO:
        """Read a log into the machine, or begin one; a torn last line was never acted upon."""
        now_ns = self._now()
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        whole = sum(len(line) for line in lines if line.endswith(b"\n"))
        decoder = msgspec.json.Decoder(LogLine)
        try:
            told = [decoder.decode(line) for line in lines if line.endswith(b"\n")]
        except msgspec.DecodeError as error:
            raise JournalError(f"{path} is no hedge log: {error}") from None
        if told:
            first = told[0]
            if not isinstance(first, LogOpened) or first.version != VERSION:
                raise JournalError(f"{path} is no hedge log of version {VERSION}")
            self._prefix, self._opened_ns = first.session, first.opened_ns
            for one in told[1:]:
                if isinstance(one, PlaceHedge):
                    self.machine.adopt(one, now_ns)
                    self._placed_ns[one.seq] = one.deadline_ns - self.machine.terms.deadline_ns
                elif not isinstance(one, LogOpened):
                    self.machine.apply(one)
            for seq in list(self._placed_ns):
                if seq not in self.machine.orders.live:
                    del self._placed_ns[seq]
        if self._guard is not None:
            # What the row shows of the run before is what the log says may be open.
            for seq, order in self.machine.orders.live.items():
                self._guard.keep(seq, order.side, order.price_ticks)
            self._guard.settle()
        file = path.open("r+b" if told else "wb", buffering=0)
        file.truncate(whole if told else 0)
        file.seek(0, os.SEEK_END)
        if not told:
            self._prefix, self._opened_ns = f"t-h{now_ns // 10**9:x}-", now_ns
            file.write(self._encode(LogOpened(VERSION, self._prefix, now_ns)) + b"\n")
        self._whole_bytes = file.tell()
        return file

    def _write(self, line: LogLine) -> bool:
        """Write a line behind those the disk did not take; returns whether all of them are in."""
        self._unwritten.append(self._encode(line) + b"\n")
        return self._flush()

    def _flush(self) -> bool:
        try:
            while self._unwritten:
                one = self._unwritten[0]
                if self._file.write(one) != len(one):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self._whole_bytes += len(one)
                self._unwritten.popleft()
        except OSError as error:
            with contextlib.suppress(OSError):
                # What is left of a line would end the log for whoever reads it.
                self._file.truncate(self._whole_bytes)
                self._file.seek(self._whole_bytes)
            self._fail("log", error)
            return False
        return True

    # ------------------------------------------------------------------ inside

    def _now(self) -> int:
        return self._desk.now_ns()

    def _client_id(self, seq: int) -> str:
        return f"{self._prefix}{seq:x}"

    def _seq_of(self, client_id: str) -> int:
        rest = client_id.removeprefix(self._prefix)
        if rest == client_id or not rest.isalnum():
            return 0
        try:
            return int(rest, 16)
        except ValueError:
            return 0

    def _name(self, venue_order_id: str, seq: int) -> None:
        if venue_order_id:
            self._seqs[venue_order_id] = seq
            if len(self._seqs) > IDS_KEPT:
                self._seqs.popitem(last=False)

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        """Stop for good where a part has failed: its error is `failure`, and an incident."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(task.get_name(), error)

    def _fail(self, part: str, error: BaseException) -> None:
        """Stop for good: nothing is sent or quoted any more."""
        if self.failure is not None:
            return
        self.failure = error
        self._act(Incident("critical", "hedge_failed", f"{part}: {type(error).__name__}: {error}"))
        self._tell_up()
        self._told.set()
