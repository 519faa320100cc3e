"""The live terminal view of one bot: rich renderables made of a telemetry snapshot."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from openmm._fast.book import BookState
from openmm._fast.checks import RiskState
from openmm._fast.latency import Stage
from openmm._fast.orders import OrderState
from openmm._fast.reference import SourceVerdict
from openmm._fast.units import Side
from openmm.control.views import enum_name
from openmm.telemetry import MISSING, BookLevel, OwnLevel, StagePage, TelemetrySnapshot, VenuePage

BOOK_ROWS = 4
RISK_STYLE = {
    int(RiskState.RUNNING): "green",
    int(RiskState.REDUCING): "yellow",
    int(RiskState.PAUSED): "yellow",
    int(RiskState.HALTED): "bold red",
}

SHORT = {
    int(OrderState.PENDING_NEW): "new",
    int(OrderState.OPEN): "open",
    int(OrderState.PARTIALLY_FILLED): "part",
    int(OrderState.PENDING_CANCEL): "cancel",
    int(OrderState.PENDING_AMEND): "amend",
}


def render(page: TelemetrySnapshot, title: str = "") -> RenderableType:
    """Draw everything a person wants to see of a running bot."""
    sides = Table.grid(padding=(0, 1), expand=True)
    sides.add_column(ratio=1)
    sides.add_column(ratio=1)
    right = Group(_stock(page), _latency(page))
    sides.add_row(_ladder(page), right)
    return Group(_head(page, title), _venues(page), sides, _fills(page), _foot(page))


def _head(page: TelemetrySnapshot, title: str) -> Text:
    state = enum_name(RiskState, page.risk_state)
    style = RISK_STYLE.get(page.risk_state, "")
    uptime_s = max(0, (page.heartbeat_ns - page.started_ns) // 1_000_000_000)
    line = Text()
    line.append(f"{page.bot}  ", "bold")
    line.append(f"{page.mode} {page.instrument}  {uptime_s} s  risk ")
    line.append(state, style)
    if page.risk_reason:
        line.append(f" ({page.risk_reason})", style)
    if title:
        line.append(f"  {title}", "dim")
    return line


def _price(venue: VenuePage, ticks: int) -> str:
    return "-" if ticks == MISSING else f"{venue.price(ticks):,}"


def _venues(page: TelemetrySnapshot) -> Table:
    table = Table(box=None, header_style="dim", expand=True, padding=(0, 1, 0, 0))
    table.add_column("venue")
    table.add_column("book")
    for name in ("bid", "ask", "age", "messages", "breaks", "basis", "weight"):
        table.add_column(name, justify="right")
    table.add_column("reference")
    for venue in page.venues:
        state = enum_name(BookState, venue.book_state, "BOOK_")
        age = "-" if venue.age_ns == MISSING else f"{venue.age_ns / 1e6:.0f} ms"
        table.add_row(
            venue.label.decode("utf-8", "replace") + (" *" if venue.quoted else ""),
            Text(state, "green" if state == "verified" else "red"),
            _price(venue, venue.best_bid_ticks),
            _price(venue, venue.best_ask_ticks),
            age,
            f"{venue.message_count:,}",
            str(venue.break_count),
            _basis(venue),
            f"{venue.weight_ppm / 10_000:.0f}%",
            enum_name(SourceVerdict, venue.verdict, "SOURCE_"),
        )
    return table


def _basis(venue: VenuePage) -> str:
    """Write a source's lasting gap to the others' price."""
    if venue.mid_uticks == MISSING or not venue.mid_uticks:
        return "-"
    return f"{venue.basis_uticks * 10_000 / venue.mid_uticks:+.1f} bps"


def _rows(
    own: tuple[OwnLevel, ...], book: tuple[BookLevel, ...], best_first: bool
) -> list[tuple[int, int, OwnLevel | None]]:
    """Merge own levels and the top of the book by price: (price, qty in the book, own)."""
    mine = {level.price_ticks: level for level in own}
    theirs = {level.price_ticks: level.qty_lots for level in book}
    shown = {*mine, *(level.price_ticks for level in book[:BOOK_ROWS])}
    return [
        (price, theirs.get(price, 0), mine.get(price))
        for price in sorted(shown, reverse=best_first)
    ]


def _ladder(page: TelemetrySnapshot) -> Panel:
    table = Table(box=None, header_style="dim", expand=True, padding=(0, 1, 0, 0))
    table.add_column("price", justify="right")
    table.add_column("book", justify="right")
    table.add_column("ours", justify="right")
    table.add_column("bps", justify="right")
    table.add_column("state")
    reference = None if page.reference_uticks == MISSING else page.mid(page.reference_uticks)
    for style, rows in (
        ("red", _rows(page.own_asks, page.book_asks, True)),
        ("green", _rows(page.own_bids, page.book_bids, True)),
    ):
        for price_ticks, book_lots, own in rows:
            price = page.price(price_ticks)
            away = "" if not reference else f"{(price / reference - 1) * 10_000:+.2f}"
            ours, state = "", ""
            if own is not None:
                ours = f"{page.qty(own.qty_lots - own.filled_lots).normalize():f}"
                state = SHORT.get(own.state, enum_name(OrderState, own.state))
            table.add_row(
                f"{price:,}",
                f"{page.qty(book_lots):.4f}" if book_lots else "",
                Text(ours, f"bold {style}"),
                away,
                state,
                style="" if own is not None else "dim",
            )
        if style == "red":
            middle = "no reference" if reference is None else f"{reference:,.2f}"
            table.add_row(Text(middle, "bold cyan"), "", "", "", Text("reference", "cyan"))
    return Panel(table, title="own ladder on the book", border_style="dim")


def _stock(page: TelemetrySnapshot) -> Panel:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column()
    table.add_column(justify="right")
    base = "-" if page.base_lots == MISSING else f"{page.qty(page.base_lots).normalize():f}"
    share, target = page.share_ppm / 10_000, page.target_ppm / 10_000
    table.add_row(f"{page.base}", base)
    table.add_row(f"{page.quote}", f"{page.money(page.quote_ticklots):,.2f}")
    table.add_row("base share, target", f"{share:.2f}%, {target:.0f}%")
    table.add_row("off target", _bar(page.x_ppm))
    for name, ticklots in (
        ("realised", page.realised_ticklots),
        ("unrealised", page.unrealised_ticklots),
        ("fees", page.fees_ticklots),
    ):
        amount = page.money(ticklots)
        style = "red" if amount < 0 and name != "fees" else ""
        table.add_row(f"{name} {page.quote}", Text(f"{amount:,.4f}", style))
    table.add_row("drawdown", f"{page.drawdown_ppm / 10_000:.4f}%")
    rate = f"{page.rate_level_milli / 1000:.1f} / {page.rate_threshold_milli / 1000:.0f}"
    table.add_row("rate budget used", rate)
    return Panel(table, title="inventory and P&L", border_style="dim")


def _bar(x_ppm: int, width: int = 16) -> Text:
    """Draw where inventory stands between full short and full long."""
    at = max(0, min(width, round((x_ppm + 1_000_000) * width / 2_000_000)))
    marks = ["─"] * (width + 1)
    marks[width // 2] = "┼"
    marks[at] = "●"
    return Text("".join(marks) + f" {x_ppm / 10_000:+.0f}%")


def _latency(page: TelemetrySnapshot) -> Panel:
    table = Table(box=None, header_style="dim", expand=True, padding=(0, 1, 0, 0))
    table.add_column("latency", no_wrap=True)
    for name in ("p50", "p99", "p99.9", "max"):
        table.add_column(name, justify="right")
    for stage, label in ((Stage.STAGE_TICK_TO_ORDER, "tick to order"), (Stage.STAGE_ACK, "ack")):
        found = page.stages[stage] if stage < len(page.stages) else StagePage(0, 0, 0, 0, 0)
        if found.sample_count:
            spans = (found.p50_ns, found.p99_ns, found.p999_ns, found.max_ns)
            table.add_row(label, *(_micros(span_ns) for span_ns in spans))
        else:
            table.add_row(label, "-", "-", "-", "-")
    return Panel(table, title="latency", border_style="dim")


def _micros(span_ns: int) -> str:
    return f"{span_ns / 1e3:.1f} us" if span_ns < 10_000_000 else f"{span_ns / 1e6:.1f} ms"


def _fills(page: TelemetrySnapshot) -> Panel:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("time", "side", "price", "qty", ""):
        table.add_column(name, justify="right" if name in ("price", "qty") else "left")
    for fill in page.fills[:5]:
        side = enum_name(Side, fill.side)
        when = datetime.fromtimestamp(fill.ts_ns / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]
        table.add_row(
            when,
            Text(side, "green" if side == "buy" else "red"),
            f"{page.price(fill.price_ticks):,}",
            f"{page.qty(fill.qty_lots).normalize():f}",
            "maker" if fill.maker else "taker",
        )
    return Panel(table, title=f"fills ({page.counters.filled})", border_style="dim")


def _foot(page: TelemetrySnapshot) -> Text:
    done = page.counters
    line = Text(
        f"placed {done.placed}  amended {done.amended}  cancelled {done.cancelled}  "
        f"rejected {done.rejected}  refused {done.refused}  unknown {done.unknown}",
        "dim",
    )
    if page.incident:
        line.append(f"\n{page.incident}", "red")
    return line
