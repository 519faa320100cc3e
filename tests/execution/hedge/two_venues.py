"""Two simulated venues and the hedge machine between them, on a virtual clock, with faults.

Both venues are whole cores (`openmm.sim.core`) with their matching, money and order records. What
the machine is told is late, lost, doubled and out of order; what is checked is read off the venues
themselves, never off the machine:

- what is unhedged, by the balances of both venues, is never above the limit;
- no hedge is sent that, with all that may still trade at the venue, would hedge more than the fills
  the machine was told of: nothing is ever hedged twice.

The machine's assumptions are the simulator's bounds: a request arrives before its deadline or the
venue refuses it, an answer is no older than `lag_ns` when it was asked for, and an execution that
the stream lost is found by asking.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from msgspec.structs import replace

from openmm._fast.matching import Stp, Tif
from openmm._fast.units import Side
from openmm.events import SystemMode
from openmm.execution.hedge import HedgeMachine, HedgeTerms, HedgeUnits
from openmm.execution.hedge.messages import (
    BookSeen,
    CancelAnswered,
    CancelHedge,
    Closed,
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
    PlaceHedge,
    QueryHedge,
    QuoteFilled,
    QuotesStood,
    ResumeQuoting,
    StopQuoting,
    TimePassed,
    VenueSeen,
)
from openmm.instrument import Instrument
from openmm.sim.core import VenueCore
from openmm.sim.dialects import GATEIO_PAIRS, KRAKEN_PAIRS
from openmm.venues.counterpart import (
    Change,
    FillRecord,
    LedgerRecord,
    OrderRecord,
    PlaceRequest,
    Refusal,
    Tier,
    TradeRecord,
)

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
SECOND = 1_000_000_000
FREE = Tier("free", 1 << 60, 1 << 60, 1 << 30, 1 << 60, 1 << 60)
# One quotes in fine lots and charges buys in base, the other takes coarse lots and charges quote.
QUOTING = replace(
    GATEIO_PAIRS["BTC/USDT"][0], venue="quoting", name="BTC/USD", quote="USD",
    lot_size=Decimal("0.000001"), qty_min=Decimal("0.0001"),
)  # fmt: skip
HEDGE = replace(
    KRAKEN_PAIRS["BTC/USD"][0], venue="hedge", lot_size=Decimal("0.0001"), qty_decimals=4,
    qty_min=Decimal("0.0005"), cost_min=Decimal(40),
)  # fmt: skip
UNITS = HedgeUnits.of(QUOTING, HEDGE)
# Their atoms and lots in the machine's.
QUOTE_LOT = UNITS.quote_atoms(1)
QUOTE_ATOM = UNITS.atoms(Decimal(1).scaleb(-QUOTING.base_decimals))
HEDGE_ATOM = UNITS.atoms(Decimal(1).scaleb(-HEDGE.base_decimals))
HELD = 100_000  # of base, on either venue
HELD_ATOMS = UNITS.atoms(Decimal(HELD))
QUOTE_MONEY = UNITS.tickatoms(Decimal(1).scaleb(-QUOTING.quote_decimals), quoting=True)
HEDGE_MONEY = UNITS.tickatoms(Decimal(1).scaleb(-HEDGE.quote_decimals), quoting=False)
MIDDLE_TICKS = 600_000
LIMIT = Decimal("0.1")


def terms(**changes: Any) -> HedgeTerms:
    """Make terms whose times fit the simulator's."""
    usual: dict[str, Any] = {
        "unhedged_max": LIMIT, "slippage_ppm": 3_000, "taker_fee_ppm": 400, "ack_ns": 300 * MS,
        "rest_ns": 200 * MS, "deadline_ns": 2 * SECOND, "lag_ns": SECOND, "resume_ns": SECOND,
        "doubt_ns_max": 3 * SECOND, "exposure_ns_max": 6 * SECOND, "backoff_ns": 50 * MS,
        "backoff_ns_max": SECOND, "book_ns_max": SECOND,
    }  # fmt: skip
    return UNITS.terms(**(usual | changes))


@dataclass
class Faults:
    """How often what goes wrong, in thousandths; all zero: nothing does."""

    request_lost: int = 10
    request_late: int = 20
    answer_lost: int = 20  # the venue acted
    answer_late: int = 30
    refused: int = 15
    refused_after: int = 10  # told "internal" although the venue acted
    ack_doubled: int = 30
    fill_lost: int = 20
    fill_doubled: int = 40
    fill_late: int = 40
    end_lost: int = 20
    end_late: int = 30
    end_blank: int = 20  # an end that does not say how much was filled
    query_lost: int = 100
    query_lags: int = 500
    quote_fill_late: int = 40
    quote_fill_doubled: int = 40
    thin: int = 300  # a book that holds less than the hedges
    down: int = 15  # a second

    def none(self) -> Faults:
        """Return the same with nothing going wrong."""
        return Faults(**dict.fromkeys(vars(self), 0))

    def times(self, factor: int) -> Faults:
        """Return the same, so many times as often."""
        return Faults(**{name: min(700, value * factor) for name, value in vars(self).items()})


@dataclass
class QuoteOrder:
    """A quote: `told_lots` is what the machine knows of its fills."""

    number: int
    side: Side
    qty_lots: int
    record: OrderRecord | None = None
    told_lots: int = 0
    over: bool = False  # refused, or its end was told
    cancelling: bool = False


@dataclass
class Hedge:
    """A hedge as it truly is: on its way, at the venue, or neither."""

    action: PlaceHedge
    travelling: bool = True
    record: OrderRecord | None = None

    def rest_lots(self) -> int:
        """Return what may still trade."""
        if self.record is not None:
            return self.record.qty_lots - self.record.filled_lots if self.record.open else 0
        return self.action.qty_lots if self.travelling else 0


class Overshot(AssertionError):
    """An invariant is broken."""


@dataclass
class Seen:
    """What happened, for tests that want to know that it did."""

    counts: Counter[str] = field(default_factory=Counter)
    exposure_max_atoms: int = 0
    incidents: Counter[str] = field(default_factory=Counter)


class TwoVenues:
    """The world of one seed; `run` lets a number of quote fills happen and ends flat."""

    def __init__(
        self,
        seed: int,
        machine: HedgeMachine,
        faults: Faults | None = None,
        *,
        tif: Tif = Tif.IOC,
        lag_ns: int = SECOND,
        log: list[tuple[HedgeEvent, list[HedgeAction]]] | None = None,
    ) -> None:
        self.machine = machine
        self.faults = faults or Faults()
        self.seen = Seen()
        self._rng = Random(f"two venues:{seed}")
        self._tif = tif
        self._lag_ns = lag_ns
        self._log = log
        self.now_ns = T0
        self._due: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self.quoting = self._core(QUOTING, seed, fee_in_received=True)
        self.hedge = self._core(HEDGE, seed + 1, fee_in_received=False)
        self.quoting.listen(_Ear(self._on_quote_change))
        self.hedge.listen(_Ear(self._on_hedge_change))
        self._opening = self._held()
        self._quotes: dict[int, QuoteOrder] = {}
        self._hedges: dict[int, Hedge] = {}
        self._trading: dict[int, Hedge] = {}  # those that may still trade, others too
        self._by_record: dict[int, Hedge] = {}
        self._told_atoms = 0  # by the quote fills the machine was told of
        self._told_fills: set[str] = set()
        self.quote_fills = 0
        self._middle = MIDDLE_TICKS
        self._resting: list[int] = []
        self._down_until_ns = 0
        self._quoting_allowed = True
        self.closed: Closed | None = None

    @staticmethod
    def _core(pair: Instrument, seed: int, *, fee_in_received: bool) -> VenueCore:
        core = VenueCore([pair], seed, fee_in_received=fee_in_received)
        held = {pair.base: Decimal(HELD), pair.quote: Decimal(10**10)}
        core.open_account("ours", b"s", held, FREE, 100, 400)
        core.advance(T0)
        return core

    # ------------------------------------------------------------------ truth

    def _held(self) -> int:
        return (
            self.quoting.balances(1)["BTC"][0] * QUOTE_ATOM
            + self.hedge.balances(1)["BTC"][0] * HEDGE_ATOM
        )

    @property
    def exposure_atoms(self) -> int:
        """What is unhedged, by the balances of both venues."""
        return self._held() - self._opening

    def _check_limit(self) -> None:
        exposure = abs(self.exposure_atoms)
        self.seen.exposure_max_atoms = max(self.seen.exposure_max_atoms, exposure)
        if exposure > self.machine.terms.unhedged_atoms_max:
            raise Overshot(f"unhedged beyond the limit: {exposure}")

    def _check_hedge(self, action: PlaceHedge) -> None:
        """Refuse a hedge that hedges, with the others that may still trade, more than was told."""
        lot = UNITS.lot_atoms
        quoted = self._held_hedge() + self._told_atoms
        self._trading = {seq: one for seq, one in self._trading.items() if one.rest_lots()}
        same = sum(h.rest_lots() for h in self._trading.values() if h.action.side == action.side)
        more = (same + action.qty_lots) * lot
        after = quoted - more if action.side == Side.SELL else quoted + more
        if (after < 0) if action.side == Side.SELL else (after > 0):
            raise Overshot(f"hedged twice: {action} leaves {after}")

    def _held_hedge(self) -> int:
        """What the hedge venue's balance moved by."""
        return self.hedge.balances(1)["BTC"][0] * HEDGE_ATOM - HELD_ATOMS

    # ------------------------------------------------------------------ time

    def _at(self, after_ns: int, what: Callable[..., None], *args: Any) -> None:
        self._number += 1
        heapq.heappush(self._due, (self.now_ns + after_ns, self._number, what, args))

    def _strikes(self, per_mille: int, name: str) -> bool:
        if per_mille and self._rng.random() * 1000 < per_mille:
            self.seen.counts[name] += 1
            return True
        return False

    def _soon(self) -> int:
        return int(self._rng.random() * 10 * MS) + MS

    def run(self, fills: int) -> None:
        """Let so many of our quotes' executions happen, end the faults, and come to rest."""
        self.begin()
        self.until(fills)
        self.end()
        self.check_rest()

    def begin(self) -> None:
        """Open both venues."""
        self.tell(VenueSeen(self.now_ns, True))
        self._refresh_book()
        self._timer()
        self._quote()
        self._take()
        self._trouble()

    def until(self, fills: int) -> None:
        """Let time pass until so many quote fills have happened."""
        while self.quote_fills < fills:
            self._next()

    def end(self) -> None:
        """End quotes and faults, and let everything on its way arrive."""
        self._quoting_allowed = False
        self.faults = self.faults.none()
        self._go_up()
        for number in list(self._quotes):
            self._cancel_quote(number)
        self.rest()

    def rest(self) -> None:
        """Let two minutes pass."""
        until_ns = self.now_ns + 120 * SECOND
        while self.now_ns < until_ns:
            self._next()

    def _next(self) -> None:
        self.now_ns, _, what, args = heapq.heappop(self._due)
        what(*args)

    def check_rest(self) -> None:
        """Assert that everything was hedged that can be, and that the machine knows it."""
        machine = self.machine
        assert not machine.orders.live, machine.orders.live
        assert machine.net_atoms == self.exposure_atoms
        left_max = machine.terms.least_lots(self._middle * 99 // 100) * UNITS.lot_atoms
        if machine.terms.when == "profitable":
            left_max = max(left_max, machine.terms.urgent_atoms)
        assert abs(self.exposure_atoms) < left_max, self.exposure_atoms
        assert machine.low_atoms == machine.high_atoms == machine.net_atoms

    def _timer(self) -> None:
        self.tell(TimePassed(self.now_ns))
        self._at(50 * MS, self._timer)

    # ------------------------------------------------------------------ the machine

    def tell(self, event: HedgeEvent) -> None:
        """Tell the machine something now, and do what it says."""
        event = replace(event, now_ns=self.now_ns)
        actions = self.machine.apply(event)
        if self._log is not None:
            self._log.append((event, actions))
        for action in actions:
            match action:
                case PlaceHedge():
                    self._place_hedge(action)
                case CancelHedge():
                    self._cancel_hedge(action.seq)
                case QueryHedge():
                    self._query(action.seq)
                case StopQuoting(side, reason):
                    self.seen.counts[f"stop {reason.value}"] += 1
                    for number, quote in list(self._quotes.items()):
                        if side is None or quote.side == side:
                            self._cancel_quote(number)
                case ResumeQuoting():
                    self.seen.counts["resume"] += 1
                case Incident(_, code, _):
                    self.seen.incidents[code] += 1
                case Closed():
                    self.closed = action

    # ------------------------------------------------------------------ the hedge venue

    @property
    def _down(self) -> bool:
        return self.now_ns < self._down_until_ns

    def _trouble(self) -> None:
        """Fall, now and then, for a while: nothing arrives, nothing is told."""
        if not self._down and self._strikes(self.faults.down, "down"):
            span_ns = int(self._rng.random() * 3 * SECOND) + 100 * MS
            self._down_until_ns = self.now_ns + span_ns
            if self._rng.random() < 0.5:
                # It still answers, with refusals: and what the refusals tell is true.
                self.hedge.set_mode(SystemMode.MAINTENANCE, self.now_ns)
            self._at(200 * MS, self.tell, VenueSeen(0, False))
            self._at(span_ns + 1, self._go_up)
        self._at(SECOND, self._trouble)

    def _go_up(self) -> None:
        self._down_until_ns = 0
        self.hedge.set_mode(SystemMode.ONLINE, self.now_ns)
        self.tell(VenueSeen(0, True))

    def _place_hedge(self, action: PlaceHedge) -> None:
        self._check_hedge(action)
        assert action.seq not in self._hedges, "an id is used twice"
        hedge = self._hedges[action.seq] = self._trading[action.seq] = Hedge(action)
        self.seen.counts["hedges"] += 1
        faults = self.faults
        if self._strikes(faults.request_lost, "request_lost"):
            hedge.travelling = False
            self._at(SECOND, self.tell, HedgeUnanswered(0, action.seq))
            return
        after_ns = self._soon()
        if self._strikes(faults.request_late, "request_late"):
            after_ns = int(self._rng.random() * 3 * SECOND)
            # The caller's patience ends before the request arrives.
            self._at(min(after_ns, SECOND), self.tell, HedgeUnanswered(0, action.seq))
        self._at(after_ns, self._arrive, hedge)

    def _arrive(self, hedge: Hedge) -> None:
        action, faults, seq = hedge.action, self.faults, hedge.action.seq
        hedge.travelling = False
        if self._down and self.hedge.mode is SystemMode.ONLINE:
            self._at(SECOND, self.tell, HedgeUnanswered(0, seq))
            return
        if self._strikes(faults.refused, "refused"):
            code = self._rng.choice(["throttled", "rate_limit", "funds", "fill"])
            self._answer(HedgeRefused(0, seq, code))
            return
        request = PlaceRequest(
            HEDGE.name, action.side, action.qty_lots, action.price_ticks, self._tif, False,
            Stp.CANCEL_NEWEST, client_id=f"h{seq}", deadline_ns=action.deadline_ns,
        )  # fmt: skip
        self._arriving = hedge
        (found,) = self.hedge.place(1, [request], self.now_ns)
        if isinstance(found, Refusal):
            code = {"deadline": "deadline", "maintenance": "mode"}[found.value]
            self.seen.counts[f"refusal {code}"] += 1
            self._answer(HedgeRefused(0, seq, code))
        elif self._strikes(faults.refused_after, "refused_after"):
            self._answer(HedgeRefused(0, seq, "internal"))
        else:
            self._answer(HedgeAccepted(0, seq))
            if self._strikes(faults.ack_doubled, "ack_doubled"):
                self._answer(HedgeAccepted(0, seq))

    def _answer(self, event: HedgeAccepted | HedgeRefused | CancelAnswered) -> None:
        faults = self.faults
        if self._strikes(faults.answer_lost, "answer_lost"):
            if self._rng.random() < 0.5:
                self._at(SECOND, self.tell, HedgeUnanswered(0, event.seq))
            return
        after_ns = self._soon()
        if self._strikes(faults.answer_late, "answer_late"):
            after_ns = int(self._rng.random() * 2 * SECOND)
        self._at(after_ns, self.tell, event)

    def _cancel_hedge(self, seq: int) -> None:
        self.seen.counts["cancels"] += 1
        if self._strikes(self.faults.request_lost, "cancel_lost"):
            self._at(SECOND, self.tell, HedgeUnanswered(0, seq))
            return
        self._at(self._soon(), self._arrive_cancel, seq)

    def _arrive_cancel(self, seq: int) -> None:
        if self._down:
            self._at(SECOND, self.tell, HedgeUnanswered(0, seq))
            return
        self.hedge.cancel(1, self._hedges[seq].record, self.now_ns)
        self._answer(CancelAnswered(0, seq))

    def _on_hedge_change(self, order: OrderRecord, change: Change, fill: FillRecord | None) -> None:
        if change is Change.PENDING:
            self._arriving.record = order
            self._by_record[order.number] = self._arriving
        hedge = self._by_record[order.number]
        faults = self.faults
        if fill is not None:
            self._check_limit()
            self.seen.counts["hedge fills"] += 1
            if self._down or self._strikes(faults.fill_lost, "fill_lost"):
                return
            event = _filled(hedge.action.seq, fill)
            late = self._strikes(faults.fill_late, "fill_late")
            after_ns = int(self._rng.random() * 2 * SECOND) if late else self._soon()
            self._at(after_ns, self.tell, event)
            if self._strikes(faults.fill_doubled, "fill_doubled"):
                self._at(after_ns + self._soon(), self.tell, event)
        elif change in (Change.FILLED, Change.CANCELLED, Change.EXPIRED):
            if order.filled_lots and order.filled_lots < order.qty_lots:
                self.seen.counts["partial"] += 1
            if self._down or self._strikes(faults.end_lost, "end_lost"):
                return
            blank = self._strikes(faults.end_blank, "end_blank")
            end = HedgeEnded(0, hedge.action.seq, None if blank else order.filled_lots)
            late = self._strikes(faults.end_late, "end_late")
            self._at(int(self._rng.random() * SECOND) if late else self._soon(), self.tell, end)

    def _query(self, seq: int) -> None:
        self.seen.counts["queries"] += 1
        if self._down or self._strikes(self.faults.query_lost, "query_lost"):
            return
        self._at(self._soon(), self._look, seq, self.now_ns)

    def _look(self, seq: int, asked_ns: int) -> None:
        """Answer as of a moment that lies back, up to the lag from when it was asked."""
        as_of_ns = self.now_ns
        if self._strikes(self.faults.query_lags, "query_lags"):
            as_of_ns = asked_ns - int(self._rng.random() * self._lag_ns)
        order = self._hedges[seq].record
        after_ns = self._soon()
        if order is None or order.created_ns > as_of_ns:
            self._at(after_ns, self.tell, HedgeAbsent(0, seq, asked_ns))
            return
        fills = [fill for fill in order.fills if fill.ts_ns <= as_of_ns]
        for fill in fills:
            self._at(after_ns, self.tell, _filled(seq, fill))
        filled_lots = sum(fill.qty_lots for fill in fills)
        over = not order.open and order.closed_ns <= as_of_ns
        told = HedgeEnded(0, seq, filled_lots) if over else HedgeFound(0, seq, filled_lots)
        self._at(after_ns, self.tell, told)

    def _refresh_book(self) -> None:
        """Move the market and lay three levels a side anew; sometimes there is little in them."""
        rng, core, name = self._rng, self.hedge, HEDGE.name
        if core.mode is SystemMode.ONLINE:
            self._middle += rng.randrange(-60, 61)
            self._middle += (MIDDLE_TICKS - self._middle) // 100
            for number in self._resting:
                core.market_cancel(name, number, self.now_ns)
            thin = self._strikes(self.faults.thin, "thin")
            self._resting = []
            for level in range(3):
                for side, sign in ((Side.BUY, -1), (Side.SELL, 1)):
                    price = self._middle + sign * (20 + level * 200)
                    lots = rng.randrange(1, 30) if thin else rng.randrange(300, 900)
                    number = core.market_submit(name, side, price, lots, Tif.GTC, self.now_ns)
                    if number:
                        self._resting.append(number)
        if not self._down:
            bids, asks = (tuple(core.depth(name, side, 3)) for side in (0, 1))
            self._at(self._soon(), self.tell, BookSeen(0, bids, asks))
        self._at(100 * MS, self._refresh_book)

    # ------------------------------------------------------------------ the quoting venue

    def _take(self) -> None:
        """Let the market take from our quotes, in waves of one side."""
        if self._quoting_allowed:
            wave = (self.now_ns // (2 * SECOND)) % 3
            bias = (0.5, 0.9, 0.1)[wave]
            side = Side.SELL if self._rng.random() < bias else Side.BUY
            price = 1 if side == Side.SELL else 1_000_000
            lots = self._rng.randrange(100, 30_000)
            self.quoting.market_submit(QUOTING.name, side, price, lots, Tif.IOC, self.now_ns)
        self._at(int(self._rng.expovariate(1 / (25 * MS))), self._take)

    def _stood(self) -> QuotesStood:
        sums = {Side.BUY: 0, Side.SELL: 0}
        for quote in self._quotes.values():
            sums[quote.side] += quote.qty_lots - quote.told_lots
        return QuotesStood(self.now_ns, sums[Side.BUY] * QUOTE_LOT, sums[Side.SELL] * QUOTE_LOT)

    def _quote(self) -> None:
        """Keep as many quotes as there is room for; drop one now and then."""
        rng = self._rng
        if self._quotes and rng.random() < 0.1:
            self._cancel_quote(rng.choice(list(self._quotes)))
        for side in (Side.BUY, Side.SELL):
            while self._quoting_allowed and not self.machine.is_stopped(side):
                room = self.machine.room_atoms(side) // QUOTE_LOT
                lots = min(room, rng.randrange(100, 20_000))
                if lots < QUOTING.qty_lots_min or lots * MIDDLE_TICKS * 9 // 10 < (
                    QUOTING.notional_ticklots_min
                ):
                    break
                self._number += 1
                quote = self._quotes[self._number] = QuoteOrder(self._number, side, lots)
                # It counts before it is sent.
                self.tell(self._stood())
                self._at(self._soon(), self._arrive_quote, quote)
        self._at(40 * MS, self._quote)

    def _arrive_quote(self, quote: QuoteOrder) -> None:
        away = self._rng.randrange(1, 400)
        price = MIDDLE_TICKS + (-away if quote.side == Side.BUY else away)
        request = PlaceRequest(
            QUOTING.name, quote.side, quote.qty_lots, price, Tif.GTC, True, Stp.CANCEL_NEWEST,
            client_id=f"q{quote.number}",
        )  # fmt: skip
        (found,) = self.quoting.place(1, [request], self.now_ns)
        if isinstance(found, OrderRecord):
            quote.record = found
        else:
            self._at(self._soon(), self._end_quote, quote)

    def _cancel_quote(self, number: int) -> None:
        quote = self._quotes.get(number)
        if quote is not None and not quote.cancelling:
            quote.cancelling = True
            self._at(self._soon() * 3, self._arrive_cancel_quote, quote)

    def _arrive_cancel_quote(self, quote: QuoteOrder) -> None:
        if quote.record is not None and quote.record.open:
            self.quoting.cancel(1, quote.record, self.now_ns)
        elif quote.record is None and not quote.over:
            # It overtook its order.
            self._at(self._soon(), self._arrive_cancel_quote, quote)
            return
        self._at(self._soon(), self._end_quote, quote)

    def _end_quote(self, quote: QuoteOrder) -> None:
        """Take note of a quote's end; it counts until its fills were told."""
        quote.over = True
        self._drop_quote(quote)

    def _drop_quote(self, quote: QuoteOrder) -> None:
        filled = quote.record.filled_lots if quote.record is not None else 0
        if quote.over and quote.told_lots >= filled and quote.number in self._quotes:
            del self._quotes[quote.number]
            self.tell(self._stood())

    def _on_quote_change(self, order: OrderRecord, change: Change, fill: FillRecord | None) -> None:
        quote = self._quotes[int(order.client_id[1:])]
        if fill is not None:
            self.quote_fills += 1
            self._check_limit()
            late = self._strikes(self.faults.quote_fill_late, "quote_fill_late")
            after_ns = int(self._rng.random() * 3 * SECOND) if late else self._soon()
            self._at(after_ns, self._tell_quote_fill, quote, fill)
            if self._strikes(self.faults.quote_fill_doubled, "quote_fill_doubled"):
                self._at(after_ns + self._soon(), self._tell_quote_fill, quote, fill)
        elif change is Change.FILLED:
            quote.record = order
            self._at(self._soon(), self._end_quote, quote)

    def _tell_quote_fill(self, quote: QuoteOrder, fill: FillRecord) -> None:
        qty, side = fill.qty_lots * QUOTE_LOT, Side(fill.side)
        in_base = fill.fee_asset == "BTC"
        fee_atoms = fill.fee_atoms * QUOTE_ATOM if in_base else 0
        fee = 0 if in_base else fill.fee_atoms * QUOTE_MONEY
        event = QuoteFilled(
            0, fill.exec_id, side, qty, fill.cost_atoms * QUOTE_MONEY, fee, fee_atoms
        )
        if fill.exec_id not in self._told_fills:
            self._told_fills.add(fill.exec_id)
            self._told_atoms += (qty if side == Side.BUY else -qty) - fee_atoms
            quote.told_lots += fill.qty_lots
        self.tell(event)
        self._drop_quote(quote)


def _filled(seq: int, fill: FillRecord) -> HedgeFilled:
    return HedgeFilled(
        0, seq, fill.exec_id, Side(fill.side), fill.qty_lots,
        fill.cost_atoms * HEDGE_MONEY, fill.fee_atoms * HEDGE_MONEY,
    )  # fmt: skip


class _Ear:
    """Hear what happens to our orders at one venue."""

    def __init__(self, on_change: Callable[[OrderRecord, Change, FillRecord | None], None]) -> None:
        self._on_change = on_change

    def on_order(
        self, order: OrderRecord, change: Change, fill: FillRecord | None, ts_ns: int
    ) -> None:
        """Take a change of an order."""
        if fill is not None or change in (
            Change.PENDING, Change.FILLED, Change.CANCELLED, Change.EXPIRED,
        ):  # fmt: skip
            self._on_change(order, change, fill)

    def on_ledger(self, account: int, entry: LedgerRecord, ts_ns: int) -> None:
        """Balances are read, not heard."""

    def on_trades(self, trades: Sequence[TradeRecord]) -> None:
        """The market's business."""

    def on_book(self, instrument: str, ts_ns: int) -> None:
        """Books are told on a schedule."""

    def on_mode(self, mode: SystemMode, ts_ns: int) -> None:
        """Told as up and down."""

    def on_recorded(self, instrument: str, channel: str, frame: bytes, ts_ns: int) -> None:
        """Nothing is recorded."""
