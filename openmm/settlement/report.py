"""The session report: a pure function of the store. Every definition stands in docs/report.md.

Amounts are exact decimals; ratios are rounded half to even at the digits their name says.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy.engine import Connection

from openmm import journal
from openmm._fast.book import BookState
from openmm._fast.orders import OrderState
from openmm.errors import LedgerError
from openmm.instrument import Instrument
from openmm.settlement import store as tables
from openmm.settlement.histogram import QUEUE_AGE, QUEUE_AHEAD, quantile_ns
from openmm.settlement.ledger import BUY, FEE
from openmm.settlement.results import (
    ByCausePart,
    CausePart,
    MovementPart,
    PnlPart,
    ReportingPart,
    load_results,
)
from openmm.settlement.store import Store

REPORT_FORMAT = 1
PPM = 1_000_000
STAGE_ORDER = (
    "tick_to_order", "read", "decode", "book", "signal", "quote", "plan", "check", "journal",
    "encode", "write", "answer_to_order", "ack",
)  # fmt: skip
_EXACT = Context(prec=60)


@dataclass(frozen=True, slots=True)
class SessionPart:
    """What ran, from when to when, and how it ended."""

    session_id: str
    bot: str
    mode: str
    venue: str
    instrument: str
    build: str
    started_ns: int
    ended_ns: int
    duration_s: Decimal
    state: str  # running, ended, lost
    end_reason: str
    open_order_count: int | None
    record_count: int
    lost_record_count: int
    journal_hash: str


@dataclass(frozen=True, slots=True)
class Traded:
    """A sum over fills."""

    fills: int
    base: Decimal
    quote: Decimal


@dataclass(frozen=True, slots=True)
class VolumePart:
    """Traded volume; `quote` is what the venue stated as cost."""

    fills: int
    base: Decimal
    quote: Decimal
    buys: Traded
    sells: Traded
    maker: Traded
    taker: Traded


@dataclass(frozen=True, slots=True)
class SpreadPart:
    """Spread captured against the reference, before fees, weighted by notional."""

    bps: Decimal | None
    quote: Decimal
    notional: Decimal
    fills: int
    fills_without_reference: int


@dataclass(frozen=True, slots=True)
class FillRatePart:
    """Filled base over placed base, and orders with a fill over orders acknowledged."""

    by_quantity: Decimal | None
    by_order: Decimal | None
    placed_base: Decimal
    filled_base: Decimal
    orders_acknowledged: int
    orders_filled: int


@dataclass(frozen=True, slots=True)
class QueuePart:
    """Places of orders when they were filled, as they were estimated.

    Attributes:
        fills: of which the place is known.
        age_s, age_p90_s: how long an order had its place, median and the ninth tenth.
        at_front: share of them with nothing of others in front.
        ahead: median share of its queue that was in front.
    """

    fills: int
    age_s: Decimal | None
    age_p90_s: Decimal | None
    at_front: Decimal | None
    ahead: Decimal | None


@dataclass(frozen=True, slots=True)
class AssetPart:
    """One asset of the account: `delta` is end less start, transfers and adjustments apart."""

    opening: Decimal
    closing: Decimal
    delta: Decimal
    transfers: Decimal
    venue: Decimal | None  # last statement
    difference: Decimal | None  # venue - ledger


@dataclass(frozen=True, slots=True)
class TouchPart:
    """Shares of the observed time: a live quote; a live quote no worse than the best of others."""

    quoted: Decimal | None
    at_touch: Decimal | None


@dataclass(frozen=True, slots=True)
class UptimePart:
    """Shares of the observed time in which a side was up: depth within a distance, both live.

    `within_bps` and `depth` (base, 0: any) are what it was booked with; None: not measured.
    """

    within_bps: Decimal | None
    depth: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    both: Decimal | None


@dataclass(frozen=True, slots=True)
class OrdersPart:
    """Orders by what became of them."""

    placed: int
    acknowledged: int
    amended: int
    cancelled: int
    rejected: int
    filled: int
    unknown: int
    live: int
    unsent: int


@dataclass(frozen=True, slots=True)
class BookPart:
    """Breaks of one feed's book, and how long it was not verified."""

    breaks: int
    unverified_s: Decimal


@dataclass(frozen=True, slots=True)
class LatencyPart:
    """Nanoseconds; percentiles are lower ends of buckets, below 1% under the true value."""

    count: int
    p50: int
    p99: int
    p99_9: int
    max: int


@dataclass(frozen=True, slots=True)
class IncidentPart:
    """One incident."""

    ts_ns: int
    severity: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class RiskPart:
    """One change of the risk state."""

    ts_ns: int
    from_state: str
    to_state: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """One session's report."""

    session: SessionPart
    volume: VolumePart
    pnl: PnlPart
    by_cause: ByCausePart | None
    reporting: ReportingPart
    costs: dict[str, dict[str, Decimal]]
    movements: tuple[MovementPart, ...]
    fees: dict[str, Decimal]
    spread_captured: SpreadPart
    fill_rate: FillRatePart
    queue: QueuePart
    inventory: dict[str, AssetPart]
    time_at_touch: dict[str, TouchPart]
    uptime: UptimePart
    observed_s: Decimal
    orders: OrdersPart
    refusals: dict[str, int]
    books: dict[str, BookPart]
    latency_ns: dict[str, LatencyPart]
    incidents: tuple[IncidentPart, ...]
    risk_events: tuple[RiskPart, ...]
    format: int = field(default=REPORT_FORMAT)

    def to_json(self) -> dict[str, Any]:
        """Return plain values: decimals as exact text, stable keys."""
        plain = _plain(self)
        assert isinstance(plain, dict)
        return plain

    def render(self, console: Console) -> None:
        """Print the report as tables."""
        for table in _render(self):
            console.print(table)


def load_report(store_url: str, session: str | None = None, *, bot: str | None = None) -> Report:
    """Compute the report of a session; without a name, of the one that started last.

    Args:
        bot: whose sessions count; None: every bot's of the store.

    The store is only read. Raises LedgerError when there is none, or it holds no such session.
    """
    store = Store(store_url, create=False)
    try:
        with store.reading() as connection:
            return _load(connection, session, bot)
    finally:
        store.close()


# ---------------------------------------------------------------- computing


class _Session:
    """What every part needs: the rows' filter, the pair, and the size of atoms."""

    def __init__(self, connection: Connection, row: Any) -> None:
        self.connection = connection
        self.row = row
        self.id: str = row.session_id
        self.decimals: dict[str, int] = {
            item.asset: item.decimals for item in self.select(tables.asset)
        }
        self.pair = self._pair()

    def _pair(self) -> Instrument:
        for item in self.select(tables.instrument):
            if (item.venue, item.name) == (self.row.venue, self.row.instrument):
                return journal.read_instrument(item.definition.encode())
        raise LedgerError(f"session {self.id} has no record of {self.row.instrument}")

    def select(self, table: sa.Table, *columns: Any, group: Any = (), where: Any = ()) -> Any:
        statement = sa.select(*(columns or (table,))).where(table.c.session_id == self.id, *where)
        if group:
            statement = statement.group_by(*group).order_by(*group)
        return self.connection.execute(statement)

    def traded(self) -> list[Any]:
        mine = (tables.traded.c.instrument == self.pair.name,)
        return list(self.select(tables.traded, where=mine))

    def amount(self, asset: str, atoms: int) -> Decimal:
        return Decimal(int(atoms)).scaleb(-self.decimals[asset], _EXACT)

    def base(self, atoms: int) -> Decimal:
        return self.amount(self.pair.base, atoms)

    def quote(self, atoms: int) -> Decimal:
        return self.amount(self.pair.quote, atoms)


def _load(connection: Connection, session_id: str | None, bot: str | None) -> Report:
    table = tables.session
    statement = sa.select(table).order_by(table.c.started_ns.desc(), table.c.session_id.desc())
    if session_id is not None:
        statement = statement.where(table.c.session_id == session_id)
    if bot is not None:
        statement = statement.where(table.c.bot == bot)
    row = connection.execute(statement.limit(1)).first()
    if row is None:
        raise LedgerError(
            f"the store holds no session{'' if session_id is None else f' {session_id!r}'}"
            f"{'' if bot is None else f' of {bot}'}"
        )
    s = _Session(connection, row)
    fees: dict[str, int] = {}
    for item in s.select(tables.account_total, where=(tables.account_total.c.account == FEE,)):
        fees[item.asset] = fees.get(item.asset, 0) + item.atoms
    results = load_results(connection, s.id, s.pair, s.decimals, _last_reference(s))
    orders = _order_sums(s)
    observed_ns, touch = _touch(s)
    return Report(
        session=_session(s),
        volume=_volume(s),
        pnl=results.pnl,
        by_cause=results.by_cause,
        reporting=results.reporting,
        costs=results.costs,
        movements=results.movements,
        fees={asset: s.amount(asset, atoms) for asset, atoms in sorted(fees.items())},
        spread_captured=_spread(s),
        fill_rate=_fill_rate(s, orders),
        queue=_queue(s),
        inventory=_inventory(s),
        time_at_touch=touch,
        uptime=_uptime(s, observed_ns),
        observed_s=_seconds(observed_ns),
        orders=_orders(orders),
        refusals={
            item.reason: item.count
            for item in s.select(
                tables.refusal,
                tables.refusal.c.reason,
                sa.func.count().label("count"),
                group=(tables.refusal.c.reason,),
            )
        },
        books=_books(s),
        latency_ns=_latency(s),
        incidents=tuple(
            IncidentPart(
                item.ts_ns,
                item.severity,
                item.kind,
                f"{item.text} ({item.state})" if item.state else item.text,
            )
            for item in s.select(tables.incident)
        ),
        risk_events=tuple(
            RiskPart(item.ts_ns, item.from_state, item.to_state, item.reason, item.detail)
            for item in s.select(tables.risk_event)
        ),
    )


def _session(s: _Session) -> SessionPart:
    progress = s.select(tables.progress).one()
    ended_ns = s.row.ended_ns or progress.last_ts_ns
    return SessionPart(
        session_id=s.id,
        bot=s.row.bot,
        mode=s.row.mode,
        venue=s.row.venue,
        instrument=s.row.instrument,
        build=s.row.build,
        started_ns=s.row.started_ns,
        ended_ns=ended_ns,
        duration_s=_seconds(ended_ns - s.row.started_ns),
        state=s.row.state,
        end_reason=s.row.end_reason or "",
        open_order_count=s.row.open_order_count,
        record_count=progress.next_index - progress.lost_count,
        lost_record_count=progress.lost_count,
        journal_hash=s.row.journal_hash or "",
    )


def _volume(s: _Session) -> VolumePart:
    zero = Traded(0, s.base(0), s.quote(0))
    by_side, by_role = {True: zero, False: zero}, {True: zero, False: zero}
    for item in s.traded():
        part = Traded(item.fills, s.base(item.base_atoms), s.quote(item.quote_atoms))
        by_side[item.side == BUY] = _add(by_side[item.side == BUY], part)
        by_role[bool(item.maker)] = _add(by_role[bool(item.maker)], part)
    total = _add(by_side[True], by_side[False])
    return VolumePart(
        fills=total.fills,
        base=total.base,
        quote=total.quote,
        buys=by_side[True],
        sells=by_side[False],
        maker=by_role[True],
        taker=by_role[False],
    )


def _add(a: Traded, b: Traded) -> Traded:
    return Traded(a.fills + b.fills, _EXACT.add(a.base, b.base), _EXACT.add(a.quote, b.quote))


def _last_reference(s: _Session) -> int | None:
    """Return the last reference seen, in microticks; old sessions know it by second or fill."""
    c = tables.rate.c
    found = s.connection.execute(
        sa.select(c.price_uticks)
        .where(c.session_id == s.id, c.venue == s.row.venue, c.name == s.pair.name)
        .order_by(c.hour.desc())
        .limit(1)
    ).scalar()
    for table, key in ((tables.touch, "second"), (tables.fill, "record_index")):
        if found is not None:
            break
        found = s.connection.execute(
            sa.select(table.c.reference_uticks)
            .where(table.c.session_id == s.id, table.c.reference_uticks.is_not(None))
            .order_by(table.c[key].desc())
            .limit(1)
        ).scalar()
    return None if found is None else int(found)


def _spread(s: _Session) -> SpreadPart:
    rows = s.traded()
    captured = sum(row.captured_atoms for row in rows)
    notional = sum(row.captured_quote_atoms for row in rows)
    fills = sum(row.captured_fills for row in rows)
    return SpreadPart(
        bps=_decimal(Fraction(captured * 10_000, notional), 4) if notional else None,
        quote=s.quote(captured),
        notional=s.quote(notional),
        fills=fills,
        fills_without_reference=sum(row.fills for row in rows) - fills,
    )


def _order_sums(s: _Session) -> Any:
    """Add up the orders in one pass over them; without a group, which would sort them first."""
    c = tables.order.c
    sent = c.unsent == 0

    def total(value: Any, *conditions: Any) -> Any:
        return sa.func.coalesce(
            sa.func.sum(sa.case((sa.and_(sent, *conditions), value), else_=0)), 0
        )

    return s.select(
        tables.order,
        total(c.placed_lots).label("placed_lots"),
        total(c.filled_lots).label("filled_lots"),
        total(1, c.filled_lots > 0).label("hit"),
        total(1, sa.or_(c.acked == 1, c.filled_lots > 0)).label("proved"),
        total(c.acked).label("acked"),
        total(c.amended_count).label("amended"),
        total(1).label("placed"),
        sa.func.coalesce(sa.func.sum(c.unsent), 0).label("unsent"),
        *(
            total(1, c.state == state.value).label(state.name)
            for state in (
                OrderState.CANCELLED, OrderState.REJECTED, OrderState.FILLED, OrderState.UNKNOWN
            )
        ),
    ).one()  # fmt: skip


def _fill_rate(s: _Session, row: Any) -> FillRatePart:
    placed, filled, acked = int(row.placed_lots), int(row.filled_lots), int(row.proved)
    return FillRatePart(
        by_quantity=_decimal(Fraction(filled, placed), 6) if placed else None,
        by_order=_decimal(Fraction(int(row.hit), acked), 6) if acked else None,
        placed_base=s.pair.qty(placed),
        filled_base=s.pair.qty(filled),
        orders_acknowledged=acked,
        orders_filled=int(row.hit),
    )


def _inventory(s: _Session) -> dict[str, AssetPart]:
    sums: dict[str, dict[str, int]] = {}
    for item in s.select(tables.account_total):
        if item.account.startswith("venue:"):
            kinds = sums.setdefault(item.asset, {})
            kinds[item.kind] = kinds.get(item.kind, 0) + item.atoms
    latest = {item.asset: item.total_atoms for item in s.select(tables.statement)}
    out: dict[str, AssetPart] = {}
    for asset in sorted(set(sums) | set(latest)):
        kinds = sums.get(asset, {})
        opening, closing = kinds.get("opening", 0), sum(kinds.values())
        apart = kinds.get("transfer", 0) + kinds.get("adjustment", 0)
        venue = latest.get(asset)
        if not any(kinds.values()) and not venue:
            continue
        out[asset] = AssetPart(
            opening=s.amount(asset, opening),
            closing=s.amount(asset, closing),
            delta=s.amount(asset, closing - opening - apart),
            transfers=s.amount(asset, apart),
            venue=None if venue is None else s.amount(asset, venue),
            difference=None if venue is None else s.amount(asset, venue - closing),
        )
    return out


def _touch(s: _Session) -> tuple[int, dict[str, TouchPart]]:
    c = tables.touch.c
    names = ("observed_ns", "bid_quoted_ns", "bid_touch_ns", "ask_quoted_ns", "ask_touch_ns")
    row = s.select(
        tables.touch, *(sa.func.coalesce(sa.func.sum(c[name]), 0).label(name) for name in names)
    ).one()
    observed = int(row.observed_ns)

    def share(part_ns: int) -> Decimal | None:
        return _decimal(Fraction(int(part_ns), observed), 6) if observed else None

    return observed, {
        "bid": TouchPart(share(row.bid_quoted_ns), share(row.bid_touch_ns)),
        "ask": TouchPart(share(row.ask_quoted_ns), share(row.ask_touch_ns)),
    }


def _uptime(s: _Session, observed_ns: int) -> UptimePart:
    if s.row.uptime_within_ppm is None:
        return UptimePart(None, None, None, None, None)
    c = tables.touch.c
    names = ("bid_deep_ns", "ask_deep_ns", "both_deep_ns")
    row = s.select(
        tables.touch, *(sa.func.coalesce(sa.func.sum(c[name]), 0).label(name) for name in names)
    ).one()
    shares = [
        _decimal(Fraction(int(getattr(row, name)), observed_ns), 6) if observed_ns else None
        for name in names
    ]
    within_bps = Decimal(s.row.uptime_within_ppm).scaleb(-2, _EXACT)
    return UptimePart(within_bps, Decimal(s.row.uptime_depth), *shares)


def _orders(row: Any) -> OrdersPart:
    ended = int(row.FILLED + row.CANCELLED + row.REJECTED)
    return OrdersPart(
        placed=int(row.placed),
        acknowledged=int(row.acked),
        amended=int(row.amended),
        cancelled=int(row.CANCELLED),
        rejected=int(row.REJECTED),
        filled=int(row.FILLED),
        unknown=int(row.UNKNOWN),
        live=int(row.placed) - ended,
        unsent=int(row.unsent),
    )


def _books(s: _Session) -> dict[str, BookPart]:
    c = tables.book_event.c
    ended_ns = s.row.ended_ns or s.select(tables.progress).one().last_ts_ns
    breaks: dict[int, int] = {}
    spans: dict[int, int] = {}
    since: dict[int, int] = {}
    statement = (
        sa.select(c.feed, c.ts_ns, c.state, c.break_count)
        .where(c.session_id == s.id)
        .order_by(c.record_index)
    )
    for item in s.connection.execute(statement):
        breaks[item.feed] = max(breaks.get(item.feed, 0), item.break_count)
        if item.feed in since:
            spans[item.feed] = spans.get(item.feed, 0) + item.ts_ns - since.pop(item.feed)
        if item.state != BookState.BOOK_VERIFIED:
            since[item.feed] = item.ts_ns
    for feed, start in since.items():
        spans[feed] = spans.get(feed, 0) + max(0, ended_ns - start)
    return {
        str(feed): BookPart(breaks[feed], _seconds(spans.get(feed, 0))) for feed in sorted(breaks)
    }


def _queue(s: _Session) -> QueuePart:
    ages, ahead = (
        {item.bucket_ns: item.count for item in s.select(tables.latency) if item.stage == name}
        for name in (QUEUE_AGE, QUEUE_AHEAD)
    )
    fills = sum(ages.values())
    if not fills:
        return QueuePart(0, None, None, None, None)
    return QueuePart(
        fills,
        _seconds(quantile_ns(ages, 500_000) or 0),
        _seconds(quantile_ns(ages, 900_000) or 0),
        _decimal(Fraction(ahead.get(0, 0), fills), 4),
        _decimal(Fraction(quantile_ns(ahead, 500_000) or 0, PPM), 4),
    )


def _latency(s: _Session) -> dict[str, LatencyPart]:
    counts: dict[str, dict[int, int]] = {}
    largest: dict[str, int] = {}
    for item in s.select(tables.latency):
        counts.setdefault(item.stage, {})[item.bucket_ns] = item.count
        largest[item.stage] = max(largest.get(item.stage, 0), item.max_ns)
    out: dict[str, LatencyPart] = {}
    for stage in STAGE_ORDER:
        if stage in counts:
            values = [quantile_ns(counts[stage], ppm) or 0 for ppm in (500_000, 990_000, 999_000)]
            out[stage] = LatencyPart(
                sum(counts[stage].values()), values[0], values[1], values[2], largest[stage]
            )
    return out


def _seconds(span_ns: int) -> Decimal:
    return _decimal(Fraction(span_ns, 1_000_000_000), 3)


def _decimal(value: Fraction, digits: int) -> Decimal:
    """Round a fraction half to even at a number of decimals."""
    scaled = round(value * 10**digits)
    return Decimal(scaled).scaleb(-digits, _EXACT)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


# ---------------------------------------------------------------- rendering


class _Plain(Table):
    """A table whose cells are shown as they are: brackets in a venue's words are no markup."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row; texts with a style of their own come as `Text`."""
        super().add_row(*(Text(one) if isinstance(one, str) else one for one in cells), **options)


def _table(title: str, *columns: str) -> Table:
    table = _Plain(title=title, title_justify="left", title_style="bold", header_style="dim")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right")
    return table


def text(value: Decimal | int | str | None) -> str:
    """Write a value for people: exact, without trailing zeros, a dash for nothing."""
    if value is None:
        return "-"
    if isinstance(value, Decimal):
        plain = format(value, "f")
        return (plain.rstrip("0").rstrip(".") or "0") if "." in plain else plain
    return str(value)


def percent(value: Decimal | None) -> str:
    """Write a share as percent."""
    return (
        "-"
        if value is None
        else f"{value.scaleb(2, _EXACT).quantize(Decimal('0.01'), ROUND_HALF_EVEN)}%"
    )


def _micros(span_ns: int) -> str:
    return f"{Decimal(span_ns).scaleb(-3).quantize(Decimal('0.1'), ROUND_HALF_EVEN)} us"


def _render(report: Report) -> list[Table]:
    part = report.session
    base, _, quote = part.instrument.partition("/")
    head = _table(f"Session {part.session_id}", "", "")
    head.add_row("bot, mode", f"{part.bot}, {part.mode}")
    head.add_row("market", f"{part.venue} {part.instrument}")
    head.add_row("build", part.build)
    head.add_row("lasted", f"{text(part.duration_s)} s, {part.state} ({part.end_reason or '-'})")
    head.add_row("open orders at the end", text(part.open_order_count))
    head.add_row("records", f"{part.record_count} ({part.lost_record_count} lost)")
    head.add_row("journal", part.journal_hash[:16] or "-")
    return [
        head,
        _render_money(report, base, quote),
        *_render_causes(report),
        _render_inventory(report),
        _render_trading(report),
        _render_latency(report),
        *_render_events(report),
    ]


def _render_money(report: Report, base: str, quote: str) -> Table:
    table = _table("Money", "", "")
    volume, pnl, spread = report.volume, report.pnl, report.spread_captured
    for name, traded in (
        ("volume", Traded(volume.fills, volume.base, volume.quote)),
        ("  bought", volume.buys),
        ("  sold", volume.sells),
        ("  as maker", volume.maker),
    ):
        table.add_row(
            name,
            f"{traded.fills} fills, {text(traded.base)} {base}, {text(traded.quote)} {quote}",
        )
    table.add_row("realised, average cost", f"{text(pnl.realised_average)} {pnl.asset}")
    table.add_row("realised, FIFO", f"{text(pnl.realised_fifo)} {pnl.asset}")
    table.add_row("unrealised, average cost", f"{text(pnl.unrealised_average)} {pnl.asset}")
    table.add_row("unrealised, FIFO", f"{text(pnl.unrealised_fifo)} {pnl.asset}")
    for asset, amount in report.fees.items():
        table.add_row("fees", f"{text(amount)} {asset}")
    for name, assets in report.costs.items():
        for asset, amount in assets.items():
            table.add_row(f"cost: {name}", f"{text(amount)} {asset}")
    table.add_row("net after fees and costs", f"{text(pnl.net)} {pnl.asset}")
    _render_reporting(table, report)
    table.add_row(
        "spread captured",
        f"{text(spread.bps)} bps, {text(spread.quote)} {pnl.asset} on {text(spread.notional)}",
    )
    return table


def _render_reporting(table: Table, report: Report) -> None:
    told, pnl = report.reporting, report.pnl
    for asset in sorted({*pnl.unvalued_fees, *pnl.unvalued_costs}):
        table.add_row(f"  without {asset}", f"no rate of {asset} in {pnl.asset} is on record")
    if told.currency == pnl.asset:
        return
    if pnl.asset not in told.rates:
        table.add_row(f"in {told.currency}", f"no rate of {pnl.asset} is on record")
        return
    rate = told.rates[pnl.asset]
    table.add_row(f"in {told.currency}", f"at {text(rate.rate)} by {rate.by}")
    table.add_row(
        "  realised, average cost; FIFO",
        f"{text(told.realised_average)}; {text(told.realised_fifo)} {told.currency}",
    )
    table.add_row(
        "  unrealised, average cost; FIFO",
        f"{text(told.unrealised_average)}; {text(told.unrealised_fifo)} {told.currency}",
    )
    table.add_row("  net after fees and costs", f"{text(told.net)} {told.currency}")


def _render_causes(report: Report) -> list[Table]:
    """Show P&L by cause: the whole, then by venue, level and hour where there are several."""
    found = report.by_cause
    if found is None:
        return []
    causes = ("spread", "adverse", "drift", "unsplit", "fees", "costs", "net")
    table = _table(f"P&L by cause, {found.asset}", "", "fills", *causes)
    late = _table(
        "Markouts, bps against the fill's price",
        "",
        *(f"after {each}" for each in found.total.markouts),
    )

    def add(name: str, part: CausePart) -> None:
        table.add_row(name, str(part.fills), *(text(getattr(part, each)) for each in causes))
        late.add_row(
            name,
            *(f"{text(each.bps)} ({each.fills})" for each in part.markouts.values()),
        )

    add("all", found.total)
    for what, parts in (("venue", found.venues), ("level", found.levels), ("hour", found.hours)):
        for name, part in parts.items() if len(parts) > 1 else ():
            add(f"{what} {name}", part)
    if found.unexplained:
        table.add_row(Text("unexplained", "red"), "", text(found.unexplained))
    return [table, late]


def _render_inventory(report: Report) -> Table:
    table = _table(
        "Inventory", "asset", "opening", "closing", "delta", "transfers", "venue", "difference"
    )
    for asset, part in report.inventory.items():
        table.add_row(
            asset, text(part.opening), text(part.closing), text(part.delta), text(part.transfers),
            text(part.venue), text(part.difference),
        )  # fmt: skip
    return table


def _render_trading(report: Report) -> Table:
    table = _table("Quoting", "", "")
    orders, rate = report.orders, report.fill_rate
    table.add_row(
        "orders",
        f"{orders.placed} placed, {orders.amended} amended, {orders.cancelled} cancelled, "
        f"{orders.filled} filled, {orders.rejected} rejected",
    )
    if orders.unknown or orders.live or orders.unsent:
        table.add_row(
            "  unsettled",
            f"{orders.live} live ({orders.unknown} unknown), {orders.unsent} never sent",
        )
    table.add_row("fill rate by quantity", percent(rate.by_quantity))
    table.add_row("fill rate by order", percent(rate.by_order))
    queue = report.queue
    if queue.fills:
        table.add_row(
            "queue place at fill",
            f"{percent(queue.at_front)} at the front, median {percent(queue.ahead)} in front, "
            f"{queue.fills} fills",
        )
        table.add_row(
            "queue age at fill", f"median {text(queue.age_s)} s, p90 {text(queue.age_p90_s)} s"
        )
    for side, touch in report.time_at_touch.items():
        table.add_row(
            f"{side} at touch", f"{percent(touch.at_touch)} (quoted {percent(touch.quoted)})"
        )
    up = report.uptime
    if up.within_bps is not None:
        wanted = f"{text(up.depth)} within {text(up.within_bps)} bps"
        table.add_row(
            f"up with {wanted}",
            f"bid {percent(up.bid)}, ask {percent(up.ask)}, both {percent(up.both)}",
        )
    for feed, book in report.books.items():
        table.add_row(
            f"book of feed {feed}",
            f"{book.breaks} breaks, unverified {text(book.unverified_s)} s",
        )
    for reason, count in report.refusals.items():
        table.add_row(f"refused: {reason}", str(count))
    return table


def _render_latency(report: Report) -> Table:
    table = _table("Latency", "stage", "count", "p50", "p99", "p99.9", "max")
    for stage, part in report.latency_ns.items():
        table.add_row(
            stage,
            str(part.count),
            *(_micros(v) for v in (part.p50, part.p99, part.p99_9, part.max)),
        )
    return table


def _render_events(report: Report) -> list[Table]:
    out = []
    if report.risk_events:
        table = _table("Risk", "from", "to", "reason", "detail")
        for item in report.risk_events:
            table.add_row(item.from_state, item.to_state, item.reason, item.detail)
        out.append(table)
    if report.incidents:
        table = _table("Incidents", "severity", "kind", "what")
        for incident in report.incidents:
            table.add_row(incident.severity, incident.kind, incident.text)
        out.append(table)
    return out
