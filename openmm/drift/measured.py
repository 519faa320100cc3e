"""What a backtest of a live session says against what it did: orders, fills, delays, money.

Two comparisons. The whole engine runs again (`again`): its orders are the session's own until the
pretended venue fills one otherwise, and from there on it is another session, so its figures say
how long a backtest stays true. The session's own orders, as they were sent, meet the queue models
(`schedule`): nothing diverges there, and each fill expected stands against the one that came.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import accumulate, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import asdict, replace

from openmm._fast.planner import ActionKind
from openmm.backtest.model import DELAY_NS_MAX, DELAYS_MAX, Model
from openmm.drift.again import Made, Records, Reproduction
from openmm.drift.own import Got, Ordered, Sent
from openmm.drift.past import Past
from openmm.drift.schedule import TRIED, Fate, Schedule, Tally, tally
from openmm.errors import ConfigError, JournalError
from openmm.journal import ActionRecord, JournalRecord
from openmm.rerun.compare import causes_of
from openmm.settlement.booking import Booker
from openmm.settlement.report import Report, load_report
from openmm.settlement.store import Store

MATCH_NS: Final = 1_000_000_000  # two orders, or fills, further apart are not the same one
PERCENTILES: Final = (10, 50, 90, 99)
DELAYS_KEPT: Final = 100_000  # to draw from, in a model's file
BATCH_RECORDS: Final = 4_096


class _Pair(NamedTuple):
    here: int
    there: int
    before: _Pair | None


# (what is done now, how much of it is done)
Stage = Callable[[str, int], None]


class Count(Struct, frozen=True):
    """How many of two lists are the same. `exact`: in every field, to the nanosecond."""

    session: int
    expected: int
    exact: int
    matched: int
    missing: int  # of the session, not expected
    extra: int  # expected, and not of the session
    apart_ns: tuple[int, ...] = ()  # of the matched: how much later than expected, `PERCENTILES`

    @property
    def share(self) -> float:
        """Matched of all that there are on either side, 1 for none at all."""
        all_ = self.matched + self.missing + self.extra
        return self.matched / all_ if all_ else 1.0


def matched(
    session: Sequence[tuple[Any, int]], expected: Sequence[tuple[Any, int]],
    within_ns: int = MATCH_NS,
) -> list[tuple[int, int]]:  # fmt: skip
    """Pair two lists of (what, when): as many of the same as can be, none overtaking another.

    Of the ways to do that, the one that is nearest in time. Takes as long as there are pairs within
    `within_ns`.

    Returns:
        places in the two lists, in the order of the first.
    """
    sides: dict[Any, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for which, side in enumerate((session, expected)):
        for place, (what, _) in enumerate(side):
            sides[what][which].append(place)
    pairs = []
    for mine, theirs in sides.values():
        mine.sort(key=lambda place: session[place][1])
        theirs.sort(key=lambda place: expected[place][1])
        found = _paired(
            [session[place][1] for place in mine], [expected[place][1] for place in theirs],
            within_ns,
        )  # fmt: skip
        pairs += [(mine[here], theirs[there]) for here, there in found]
    return sorted(pairs)


def _paired(mine: list[int], theirs: list[int], within_ns: int) -> list[tuple[int, int]]:
    """Pair two ascending lists of times: most pairs, then least apart. Returns places."""
    # Of each of mine, for each end of theirs that it reaches: pairs (negative), apart, last pair.
    best: list[tuple[int, int, _Pair | None]] = [(0, 0, None)]
    first = 0  # the end of theirs that `best` begins with
    for here, at_ns in enumerate(mine):
        low = bisect_left(theirs, at_ns - within_ns)
        high = bisect_right(theirs, at_ns + within_ns)
        ends: list[tuple[int, int, _Pair | None]] = []
        for end in range(low, high + 1):
            told = best[min(end - first, len(best) - 1)]
            if end > low:
                there = end - 1
                count, apart_ns, last = best[min(there - first, len(best) - 1)]
                made = (count - 1, apart_ns + abs(theirs[there] - at_ns))
                if made < told[:2]:
                    told = (*made, _Pair(here, there, last))
                if ends[-1][:2] <= told[:2]:
                    told = ends[-1]
            ends.append(told)
        best, first = ends, low
    pairs = []
    last = best[-1][2]
    while last is not None:
        pairs.append((last.here, last.there))
        last = last.before
    return pairs[::-1]


def percentiles(values: Iterable[int]) -> tuple[int, ...]:
    """Return the percentiles of `PERCENTILES`; nothing of nothing."""
    ranked = sorted(values)
    if not ranked:
        return ()
    return tuple(ranked[min(len(ranked) - 1, len(ranked) * one // 100)] for one in PERCENTILES)


def same_orders(
    session: Sequence[Ordered], expected: Sequence[Ordered], within_ns: int = MATCH_NS
) -> dict[int, int | None]:
    """Return by the number of each order that was expected the session's; None: it placed none.

    An order is the same one that was placed on the same side, at the same price, of the same
    quantity, at about the same time; its number is another once one run placed one order more.
    """
    mine, theirs = (
        [one for one in side if one.action.kind == ActionKind.ACTION_PLACE]
        for side in (session, expected)
    )
    same: dict[int, int | None] = dict.fromkeys(one.action.seq for one in theirs)
    pairs = matched(
        [(_asked(one), one.sent_ns) for one in mine],
        [(_asked(one), one.sent_ns) for one in theirs], within_ns,
    )  # fmt: skip
    same |= {theirs[there].action.seq: mine[here].action.seq for here, there in pairs}
    return same


def _asked(one: Ordered) -> tuple[int, int, int]:
    return one.action.side, one.action.price_ticks, one.action.qty_lots


def count_orders(session: Sequence[Ordered], expected: Sequence[Ordered]) -> Count:
    """Compare order actions: kind, order, side, price, quantity; and when they were sent.

    What is matched is of one order, as `same_orders` tells; exact ones have its number as well.
    """
    both = Counter(session) & Counter(expected)
    same = same_orders(session, expected)

    def told(one: Ordered, seq: int | None) -> tuple[tuple[object, ...], int]:
        # An order is placed once: what it asks for says which one it is.
        place = one.action.kind == ActionKind.ACTION_PLACE
        return (one.action.kind, None if place else (seq,), *_asked(one)), one.sent_ns

    mine = [told(one, one.action.seq) for one in session]
    theirs = [told(one, same.get(one.action.seq, one.action.seq)) for one in expected]
    return _count(mine, theirs, sum(both.values()))


def count_fills(
    session: Sequence[Got], expected: Sequence[Got], same: Mapping[int, int | None] | None = None
) -> Count:
    """Compare executions: order, side, price, quantity; exact ones are at one moment as well.

    Args:
        same: which of the session's orders is which of those expected, as `same_orders` tells;
            None: that of its number.
    """

    def exact(one: Got) -> tuple[object, ...]:
        return one.seq, one.side, one.price_ticks, one.qty_lots, one.maker, one.told_ns

    def told(one: Got, seq: int | None) -> tuple[tuple[object, ...], int]:
        return (seq, one.side, one.price_ticks, one.qty_lots), one.told_ns

    both = Counter(map(exact, session)) & Counter(map(exact, expected))
    known = same or {}
    mine = [told(one, one.seq) for one in session]
    theirs = [told(one, known.get(one.seq, one.seq)) for one in expected]
    return _count(mine, theirs, sum(both.values()))


def _count(
    session: Sequence[tuple[Any, int]], expected: Sequence[tuple[Any, int]], exact: int,
    within_ns: int = MATCH_NS,
) -> Count:  # fmt: skip
    pairs = matched(session, expected, within_ns)
    return Count(
        len(session), len(expected), exact, len(pairs), len(session) - len(pairs),
        len(expected) - len(pairs),
        percentiles(session[mine][1] - expected[theirs][1] for mine, theirs in pairs),
    )  # fmt: skip


class Queued(Struct, frozen=True):
    """The session's own orders against one queue model.

    Args:
        fills: one by one: of one order, price and quantity, at about the same time at the venue.
    """

    model: Model
    tally: Tally
    fills: Count

    @property
    def apart(self) -> tuple[int, ...]:
        """How much later than expected orders were first filled, by `PERCENTILES`."""
        return percentiles(self.tally.apart_ns)

    @property
    def ahead(self) -> tuple[int, ...]:
        """What stood in front when orders were first filled, by the model and `PERCENTILES`."""
        return percentiles(self.tally.ahead_lots)

    @property
    def name(self) -> str:
        """The queue model, for people."""
        return f"power {self.model.power}" if self.model.queue == "power" else self.model.queue


class Delays(Struct, frozen=True):
    """Delays in ns, by `PERCENTILES`: what was assumed of them, and what was measured.

    Args:
        told: requests whose arrival the venue told; the others took half of their round trip.
    """

    requests: tuple[int, ...]
    answers: tuple[int, ...]
    market: tuple[int, ...]
    told: int
    sent: int
    assumed_requests: tuple[int, ...]
    assumed_answers: tuple[int, ...]


class Money(Struct, frozen=True):
    """P&L after fees of one side, with what it came of, in `asset`; None: nothing was marked."""

    asset: str
    net: Decimal | None
    causes: dict[str, Decimal]


class Drift(Struct, frozen=True):
    """How a live session and its backtest compare.

    Args:
        seconds: that the session quoted, or was recorded for.
        apart: own orders do not stand in its public book: a simulated venue that serves a
            recording, whose market they do not move.
        orders, fills: of the whole engine, run again.
        drawn: messages of that run whose delay the session does not tell.
        queue: the session's own orders in the assumed queue model; `tried`: in all of them.
    """

    session: str
    bot: str
    venue: str
    instrument: str
    seconds: float
    records: int
    apart: bool
    offset_ns: int
    orders: Count
    fills: Count
    drawn: int
    queue: Queued
    tried: tuple[Queued, ...]
    delays: Delays
    got: Money
    expected: Money
    notes: tuple[str, ...] = ()
    fitted: Model | None = None

    @property
    def exact(self) -> bool:
        """Whether every order and every fill came out as it was."""
        return all(one.exact == one.session == one.expected for one in (self.orders, self.fills))

    def to_json(self) -> dict[str, Any]:
        """Return plain values; amounts are decimals."""
        return {
            "session": self.session, "bot": self.bot, "venue": self.venue,
            "instrument": self.instrument, "seconds": self.seconds, "records": self.records,
            "own_orders_in_book": not self.apart, "clock_offset_ns": self.offset_ns,
            "exact": self.exact, "orders": _told(self.orders), "fills": _told(self.fills),
            "drawn": self.drawn, "queue": _queued(self.queue),
            "tried": [_queued(one) for one in self.tried], "percentiles": PERCENTILES,
            "delays": asdict(self.delays),
            "pnl": {
                "asset": self.got.asset, "got": self.got.net, "expected": self.expected.net,
                "got_by_cause": self.got.causes, "expected_by_cause": self.expected.causes,
            },
            "model": None if self.fitted is None else self.fitted.to_json(),
            "notes": list(self.notes),
        }  # fmt: skip


def _told(one: Count) -> dict[str, Any]:
    return {**asdict(one), "share": one.share}


def _queued(one: Queued) -> dict[str, Any]:
    told = asdict(one.tally)
    told["apart_ns"], told["ahead_lots"] = one.apart, one.ahead
    return {
        "queue": one.model.queue, "power": one.model.power, "fills": _told(one.fills),
        "error": one.tally.error, **told,
    }  # fmt: skip


def count_fates(fates: Sequence[Fate], within_ns: int = MATCH_NS) -> Count:
    """Compare executions of the same orders, one by one; exact ones are at the same moment."""
    mine: list[tuple[Any, int]] = []
    theirs: list[tuple[Any, int]] = []
    for place, one in enumerate(fates):
        mine += [((place, price, lots), ns) for ns, price, lots in one.got]
        theirs += [((place, price, lots), ns) for ns, price, lots in one.in_time()]
    both = Counter(mine) & Counter(theirs)
    return _count(mine, theirs, sum(both.values()), within_ns)


def measured(
    records: Records, folder: Path, model: Model | None = None, *, within_ns: int = MATCH_NS,
    fit: bool = False, each: bool = False, on_stage: Stage | None = None,
) -> Drift:  # fmt: skip
    """Run a session again, put its orders to the queue models, and compare.

    Args:
        records: give the session's journal, from its first record on; asked several times.
        folder: for books; its owner removes it.
        model: what is assumed; None: the careful queue, and the delays of the bot's `[paper]`.
        within_ns: that two fills may be apart and are the same.
        fit: try every queue model, and fit one to the session.
        each: the fitted one has the delay of each message, in turn, instead of their distribution.

    Raises:
        JournalError: damaged, of another build, of a session on paper, or one that sent no order.
        ConfigError: the bot cannot be run again.
    """

    def at(stage: str) -> Callable[[int], None] | None:
        return None if on_stage is None else lambda done: on_stage(stage, done)

    past = Past(records(), at("reading"))
    if past.session.mode != "live":
        raise JournalError(
            f"session {past.session.session_id} was on {past.session.mode}: its fills are this "
            "model's own, and drift tells how a live session differs from it"
        )
    latency_ns = past.config.paper.latency_ns
    assumed = model or Model(orders_ns=(latency_ns,), answers_ns=(latency_ns,))
    again = Reproduction(past, records, folder)
    try:
        made = again.run(at("running again"))
    finally:
        again.close()
    schedule = Schedule(past)
    queue = _queue(schedule, assumed, within_ns, at("queue"))
    tried: list[Queued] = []
    fitted = None
    if fit:
        # All else is as assumed: what the fit is of, it says.
        models = [replace(assumed, queue=one.queue, power=one.power) for one in TRIED]
        tried = [_queue(schedule, one, within_ns, at("queue")) for one in models]
        tried.sort(key=lambda one: one.tally.rank)
        fitted = model_of(past, tried[0].model, each)
        if not any(one.tally.lots or one.tally.lots_expected for one in tried):
            past.notes.append(
                f"nothing was filled, and no queue model expects it: {tried[0].name} was written "
                "because it comes first, not because it fits"
            )
    live = _booked(records(), folder, past.session.session_id, at("booking"))
    assert made.report is not None, "a run ends with its report"
    return _drift(past, made, queue, tuple(tried), fitted, assumed, (live, made.report))


def _queue(
    schedule: Schedule, model: Model, within_ns: int, on_progress: Callable[[int], None] | None
) -> Queued:
    fates = schedule.run(model, on_progress)
    return Queued(model, tally(fates), count_fates(fates, within_ns))


def _drift(
    past: Past, made: Made, queue: Queued, tried: tuple[Queued, ...], fitted: Model | None,
    assumed: Model, reports: tuple[Report, Report],
) -> Drift:  # fmt: skip
    session = past.session
    notes = [*past.notes]
    if not past.ended:
        notes.append("the journal ends before its session did")
    market = [int(one) for one in past.seen_ns()]
    return Drift(
        session=session.session_id, bot=session.bot, venue=session.venue,
        instrument=session.instrument, seconds=float(reports[0].session.duration_s),
        records=past.records, apart=past.apart, offset_ns=past.offset_ns,
        orders=count_orders(past.orders, made.orders),
        fills=count_fills(past.fills, made.fills, same_orders(past.orders, made.orders)),
        drawn=made.drawn, queue=queue, tried=tried,
        delays=Delays(
            percentiles(past.requests_ns), percentiles(past.answers_ns), percentiles(market),
            sum(one.told for one in past.sent), len(past.sent),
            percentiles(assumed.orders_ns), percentiles(assumed.answers_ns),
        ),
        got=_money(reports[0]), expected=_money(reports[1]), notes=tuple(notes), fitted=fitted,
    )  # fmt: skip


def model_of(past: Past, queue: Model, each: bool) -> Model:
    """Return a model with the session's delays: as if the venue saw the market when the bot did.

    Args:
        each: every order action and every answer has its own, with its moment; else delays to draw
            from: one a decision, of the last of its messages, and those of all answers.

    Raises:
        JournalError: no request is known to have arrived, or none was answered.
    """
    orders = _requests(past)
    answers = sorted((*_answers(past, orders), *_fills(past)), key=itemgetter(0))
    rate = past.rate_threshold or queue.rate_threshold
    if not each:
        # One that was never answered arrived nobody knows when.
        known = [one for one in orders if one[0].answered_ns]
        if not known:
            raise JournalError("no request of the session was answered: no delay is known")
        last = {one.sent_ns: delay_ns for one, _, delay_ns in known}
        return replace(
            queue, orders_ns=fitted_delays(last.values()), orders_from_ns=(),
            answers_ns=fitted_delays(delay_ns for _, delay_ns in answers), answers_from_ns=(),
            seed=1, rate_threshold=rate,
        )  # fmt: skip
    if max(len(orders), len(answers)) > DELAYS_MAX:
        raise ConfigError(
            "--each", f"{max(len(orders), len(answers)):,} messages",
            f"a session of {DELAYS_MAX:,} at most: fit their distribution",
        )  # fmt: skip
    return replace(
        queue, orders_ns=tuple(delay_ns for *_, delay_ns in orders),
        orders_from_ns=tuple(accumulate((one.sent_ns for one, *_ in orders), max)),
        answers_ns=tuple(delay_ns for _, delay_ns in answers),
        answers_from_ns=tuple(at_ns for at_ns, _ in answers), seed=0, rate_threshold=rate,
    )  # fmt: skip


def _requests(past: Past) -> list[tuple[Sent, ActionRecord, int]]:
    """Return each action in the order in which they left: with what, and how long it took."""
    made: list[tuple[Sent, ActionRecord, int]] = []
    last_ns = 0
    for one, action in past.carried():
        if one.arrived_ns:
            # A connection keeps the order, there as here.
            last_ns = max(last_ns, one.sent_ns, past.seen_at_ns(one.arrived_ns))
            delay_ns = min(DELAY_NS_MAX, last_ns - one.sent_ns)
            made.append((one, action, delay_ns))
    if not made:
        raise JournalError("no request of the session is known to have arrived: nothing is fitted")
    return made


def _answers(
    past: Past, orders: Sequence[tuple[Sent, ActionRecord, int]]
) -> Iterator[tuple[int, int]]:  # fmt: skip
    """Yield when the venue answered an action, and how long that took."""
    for one, _, delay_ns in orders:
        if one.answered_ns:
            at_ns = one.sent_ns + delay_ns
            yield at_ns, min(DELAY_NS_MAX, max(0, one.answered_ns - at_ns))


def _fills(past: Past) -> Iterator[tuple[int, int]]:
    """Yield when the venue filled, and how long its word took."""
    for one in past.fills:
        at_ns = past.seen_at_ns(past.filled_ns(one))
        yield at_ns, min(DELAY_NS_MAX, max(0, one.told_ns - at_ns))


def fitted_delays(delays_ns: Iterable[int]) -> tuple[int, ...]:
    """Return delays to draw spells from: as they came, the first of very many.

    Slow messages hold up those behind them, which are slow too: that is in their order alone.
    """
    return tuple(islice(delays_ns, DELAYS_KEPT))


def _booked(
    records: Iterable[JournalRecord], folder: Path, session_id: str,
    on_progress: Callable[[int], None] | None,
) -> Report:  # fmt: skip
    """Return the session's own report, by the booking that any session goes through."""
    url = f"sqlite:///{folder / 'live.sqlite'}"
    store = Store(url)
    try:
        booker = Booker(store, session_id)
        batch: list[JournalRecord] = []
        for number, one in enumerate(records):
            batch.append(one)
            if len(batch) >= BATCH_RECORDS:
                booker.apply(batch)
                batch.clear()
                if on_progress is not None:
                    on_progress(number)
        booker.apply(batch)
        booker.commit()
        return load_report(url, session_id)
    finally:
        store.close()


def _money(report: Report) -> Money:
    causes = {} if report.by_cause is None else dict(causes_of(report))
    return Money(report.pnl.asset, report.pnl.net, causes)
