"""Draw a bot in text: pure functions from plain values to rich renderables.

Everything is told by words and marks; colour only repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from openmm.control.views import bps
from openmm.top.source import Point, Use, Watched

STYLES: Final = {
    "running": "green", "reducing": "yellow", "paused": "yellow", "halted": "bold red",
    "starting": "yellow", "stale": "red", "dead": "bold red", "ended": "dim",
    "unreadable": "red", "verified": "green",
}  # fmt: skip
SHORT: Final = {
    "pending_new": "sent", "open": "open", "partially_filled": "part", "pending_cancel": "cancel",
    "pending_amend": "amend", "unknown": "UNKNOWN",
}  # fmt: skip
STAGES: Final = (
    ("TICK_TO_ORDER", "tick to order"), ("DECODE", "decode"), ("SIGNAL", "signal"),
    ("ACK", "ack"),
)  # fmt: skip
EIGHTHS: Final = " ▏▎▍▌▋▊▉"


def fleet(watched: Sequence[Watched]) -> list[tuple[str | Text, ...]]:
    """Return a row of cells for each bot: the first names the columns."""
    rows: list[tuple[str | Text, ...]] = [
        ("bot", "state", "mode", "pair", "equity", "P&L", "position", "fills")
    ]
    for one in watched:
        state = Text(one.phase, STYLES.get(one.phase, ""))
        if not one.view:
            rows.append((one.name, state, *["-"] * 6))
            continue
        view = one.view
        stock, pnl = view["inventory"], view["pnl"]
        rows.append(
            (
                one.name, state, view["mode"], view["instrument"],
                f"{pnl['equity']:,.0f} {stock['quote_asset']}", signed(gain(pnl)),
                placed(stock["base"], stock["base_asset"]),
                str(view["counters"]["filled"]),
            )
        )  # fmt: skip
    return rows


def head(one: Watched) -> Text:
    """Say in a line which bot it is and how it does."""
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f" {one.name} ", "bold reverse")
    line.append(f" {one.phase.upper()}", STYLES.get(one.phase, ""))
    if not one.view:
        why = "" if one.state is None else one.state.page_error or ""
        return line.append(f"  {why}")
    view = one.view
    if view["risk_reason"]:
        line.append(f" ({view['risk_reason']})", STYLES.get(one.phase, ""))
    line.append(f"  {view['mode']} {view['instrument']}  up {span(view['uptime_s'])}")
    if one.phase in ("dead", "stale", "ended"):
        line.append(f"  last seen {span(view['heartbeat_age_ms'] // 1000)} ago")
    return line


def ladder(view: Mapping[str, Any], rows: int) -> Table:
    """Draw the book with our orders in it, best prices in the middle; `rows` lines in all."""
    table = Table(box=None, header_style="dim", expand=True, padding=(0, 1, 0, 0))
    for name in ("price", "book", "ours"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("bps", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    reference = view["reference"]["price"]
    room = max(2, rows - 2)
    asks = merged(view["book"]["asks"], view["orders"]["asks"], (room + 1) // 2, best_first=True)
    bids = merged(view["book"]["bids"], view["orders"]["bids"], room // 2, best_first=False)
    for style, side in (("red", list(reversed(asks))), ("green", bids)):
        for price, book_qty, own in side:
            away = "" if not reference else f"{(price / reference - 1) * 10_000:+.1f}"
            mine = "" if own is None else few(own["qty"] - own["filled"])
            mark = "" if own is None else f"◄ {SHORT.get(own['state'], own['state'])}"
            table.add_row(
                f"{price:,}", "" if not book_qty else few(book_qty),
                Text(mine, f"bold {style}"), away,
                Text(mark, f"bold {style}"), style="" if own is not None else "dim",
            )  # fmt: skip
        if style == "red":
            middle = "no reference" if reference is None else f"{reference:,.2f}"
            table.add_row(Text(middle, "bold cyan"), "", "", "", Text("ref", "cyan"))
    return table


def merged(
    book: Sequence[Sequence[Decimal]],
    own: Sequence[Mapping[str, Any]],
    most: int,
    *,
    best_first: bool,
) -> list[tuple[Decimal, Decimal, Mapping[str, Any] | None]]:
    """Return (price, book's quantity, our order) of one side, best first; ours before others.

    Args:
        best_first: whether the lowest price is the best: of asks it is.
    """
    mine = {one["price"]: one for one in own}
    theirs = {price: qty for price, qty in book}
    order = sorted(mine, reverse=not best_first)[:most]
    for price in sorted(theirs, reverse=not best_first):
        if len(order) >= most:
            break
        if price not in mine:
            order.append(price)
    return [
        (price, theirs.get(price, Decimal(0)), mine.get(price))
        for price in sorted(order, reverse=not best_first)
    ]


def chart(points: Sequence[Point], width: int, height: int) -> Text:
    """Plot the reference (•) between our best ask (▔) and best bid (▁), the newest at the right."""
    shown = list(points)[-width:]
    known = [x for p in shown for x in (p.reference, p.bid, p.ask) if x is not None]
    if not known or width < 4 or height < 2:
        return Text("no price yet", "dim")
    low, high = min(known), max(known)
    if low == high:
        high = low + 1

    def row_of(price: Decimal) -> int:
        return int((high - price) / (high - low) * (height - 1) + Decimal("0.5"))

    grid = [[" "] * len(shown) for _ in range(height)]
    for at, point in enumerate(shown):
        for price, mark in ((point.ask, "▔"), (point.bid, "▁"), (point.reference, "•")):
            if price is not None:
                grid[row_of(price)][at] = mark
    text = Text(no_wrap=True)
    styles = {"▔": "red", "▁": "green", "•": "bold cyan"}
    for number, line in enumerate(grid):
        for mark in line:
            text.append(mark, styles.get(mark, ""))
        edge = high if number == 0 else low if number == height - 1 else None
        text.append(f" {edge:,.1f}\n" if edge is not None else "\n", "dim")
    text.right_crop(1)
    return text


def stock(view: Mapping[str, Any], limit: Use | None) -> Table:
    """Draw inventory against its target and limit, and the P&L."""
    table = pairs()
    held, pnl = view["inventory"], view["pnl"]
    base, quote = held["base_asset"], held["quote_asset"]
    table.add_row(base, plain(held["base"]))
    table.add_row(quote, f"{held['quote']:,.2f}")
    table.add_row(
        "share, target", f"{held['share_ppm'] / 10_000:.2f}%, {held['target_ppm'] / 10_000:.0f}%"
    )
    table.add_row("off target", f"{held['off_target']:+f} {base}")
    if limit is not None and limit.limit:
        table.add_row("", needle(held["off_target"] / limit.limit))
    table.add_row(f"P&L {quote}", signed(gain(pnl)))
    for name in ("realised", "unrealised", "fees"):
        table.add_row(f" {name}", signed(pnl[name]) if name != "fees" else f"{pnl[name]:,.2f}")
    table.add_row("equity", f"{pnl['equity']:,.2f}")
    hedge = view["hedge"]
    if hedge is not None:
        table.add_row("hedge", hedge["state"])
        table.add_row("unhedged", f"{hedge['unhedged']:+f} {base}")
        table.add_row("hedge fills", str(hedge["fills"]))
    model = view["model"]
    if model is not None:
        table.add_row("skew at full", bps(model["skew_full"]))
        table.add_row(f"gamma per {quote}", f"{model['gamma']:f}")
        table.add_row("model half", bps(model["half"]))
        table.add_row("1/k" if model["fitted"] else "1/k (as told)", bps(model["decay"]))
        if model["arrival"]:
            table.add_row("A", f"{model['arrival']:f}/s")
    return table


def needle(at: Decimal, width: int = 17) -> Text:
    """Draw where a value stands between the limit below (-1) and the limit above (1)."""
    marks = ["─"] * width
    marks[width // 2] = "┼"
    place = round((max(Decimal(-1), min(Decimal(1), at)) + 1) * (width - 1) / 2)
    marks[place] = "●"
    return Text(f"[{''.join(marks)}]", "bold red" if abs(at) >= 1 else "")


def limits(found: Sequence[Use], width: int) -> Table:
    """Draw how much of each limit is used, in lines of a width."""
    room = max(4, min(16, width - 35))
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for use in found:
        share = min(Decimal(1), use.share)
        style = "bold red" if share >= 1 else "yellow" if share >= Decimal("0.8") else "green"
        of = f"{short(use.used)}/{short(use.limit)} {use.unit}".rstrip()
        table.add_row(use.name, Text(f"{bar(share, room)}{share:>5.0%}", style), of)
    return table


def bar(share: Decimal, width: int) -> str:
    """Draw a share as a bar, in eighths of a cell."""
    cells = int(share * width * 8)
    full, part = divmod(cells, 8)
    return ("█" * full + (EIGHTHS[part] if part else "")).ljust(width, "░")


def venues(view: Mapping[str, Any]) -> Table:
    """Draw the health of each venue: book, age, gaps, and what it adds to the reference."""
    table = headed("venue", "book", "bid", "ask", "age", "gaps", "weight", "reference")
    sources = {one["label"]: one for one in view["reference"]["sources"]}
    for one in view["venues"]:
        source = sources.get(one["label"], {})
        table.add_row(
            one["label"] + ("*" if one["quoted"] else ""),
            Text(one["book"], STYLES.get(one["book"], "red")),
            "-" if one["best_bid"] is None else f"{one['best_bid']:,}",
            "-" if one["best_ask"] is None else f"{one['best_ask']:,}",
            "-" if one["age_ms"] is None else f"{one['age_ms']} ms", str(one["breaks"]),
            f"{source.get('weight_ppm', 0) / 10_000:.0f}%", str(source.get("verdict", "-")),
        )  # fmt: skip
    return table


def latency(view: Mapping[str, Any]) -> Table:
    """Draw the time of every stage that was measured."""
    table = headed("latency", "p50", "p99", "p99.9", "worst", "of")
    for name, found in view["latency_ns"].items():
        label = dict(STAGES).get(name.upper(), name.lower().replace("_", " "))
        spans = (found[key] for key in ("p50_ns", "p99_ns", "p999_ns", "max_ns"))
        table.add_row(label, *(micros(one) for one in spans), f"{found['sample_count']:,}")
    if not view["latency_ns"]:
        table.add_row("none yet", "-", "-", "-", "-", "-")
    return table


def orders(view: Mapping[str, Any]) -> Table:
    """List our live orders, best first."""
    table = headed("side", "price", "qty", "filled", "state")
    for name, side, style in (("sell", "asks", "red"), ("buy", "bids", "green")):
        for one in view["orders"][side]:
            table.add_row(
                Text(name, style), f"{one['price']:,}", plain(one["qty"]), plain(one["filled"]),
                one["state"].replace("_", " "),
            )  # fmt: skip
    if not any(view["orders"].values()):
        table.add_row("none", "", "", "", "")
    return table


def fills(view: Mapping[str, Any], most: int) -> Table:
    """List our last fills, newest first."""
    table = headed("fill", "side", "price", "qty", "")
    for one in view["fills"][:most]:
        side = one["side"]
        when = datetime.fromtimestamp(one["ts_ns"] / 1e9, UTC).strftime("%H:%M:%S")
        table.add_row(
            when, Text(side, "green" if side == "buy" else "red"), f"{one['price']:,}",
            plain(one["qty"]), "maker" if one["maker"] else "taker",
        )  # fmt: skip
    if not view["fills"]:
        table.add_row("none yet", "", "", "", "")
    return table


def incidents(found: Sequence[Mapping[str, Any]] | None, why: str, last: str) -> Table:
    """List the incidents of a bot's money, and the last thing that went wrong with its market."""
    table = headed("incident", "state", "asset", "amount", "age", "what")
    if last:
        table.add_row("-", Text("last", "red"), "", "", "", last)
    for one in found or ():
        state = one["state"]
        table.add_row(
            str(one["number"]), Text(state, "bold red" if state == "open" else "dim"),
            one["asset"] or "-", str(one["amount"] or "-"), span(one["age_ns"] // 10**9),
            f"{one['cause']}: {one['text']}",
        )  # fmt: skip
    if why:
        table.add_row("-", "", "", "", "", why)
    elif not found and not last:
        table.add_row("none", "", "", "", "", "")
    return table


def counters(view: Mapping[str, Any]) -> Text:
    """Say in a line what was done so far, and what risk refused."""
    done = view["counters"]
    names = ("placed", "amended", "cancelled", "rejected", "refused", "unknown")
    told = "  ".join(f"{name} {done[name]}" for name in names if name in done)
    if view["refusals"]:
        told += "\nrefused by: " + ", ".join(
            f"{name} {count}" for name, count in sorted(view["refusals"].items())
        )
    return Text(told, "dim")


def headed(*names: str) -> Table:
    """Make a table with a line of column names."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), expand=False)
    for name in names:
        table.add_column(name, no_wrap=name != "what")
    return table


def pairs() -> Table:
    """Make a table of names and values."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    return table


def gain(pnl: Mapping[str, Any]) -> Decimal:
    """Return what was won or lost: realised and unrealised, less fees."""
    found: Decimal = pnl["realised"] + pnl["unrealised"] - pnl["fees"]
    return found


def signed(amount: Decimal) -> Text:
    """Write money with its sign."""
    return Text(f"{amount:+,.2f}", "red" if amount < 0 else "green" if amount > 0 else "")


def plain(value: Decimal | None) -> str:
    """Write a quantity without the zeros at its end."""
    if value is None:
        return "-"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def placed(qty: Decimal | None, asset: str) -> str:
    """Write a position in few places."""
    return "-" if qty is None else f"{qty:.4f} {asset}"


def few(qty: Decimal) -> str:
    """Write a quantity in six characters where that is exact enough."""
    return f"{qty:.4f}" if Decimal("0.001") <= qty < 10 else plain(qty)


def short(value: Decimal) -> str:
    """Write a number in few places: 12.3k, 0.05."""
    if value >= 10_000:
        return f"{value / 1000:.1f}k"
    return plain(value.quantize(Decimal("0.0001") if value < 100 else Decimal("0.1")))


def micros(span_ns: int) -> str:
    """Write a latency."""
    return f"{span_ns / 1e3:.1f} us" if span_ns < 10_000_000 else f"{span_ns / 1e6:.1f} ms"


def span(seconds: int) -> str:
    """Write a duration in its two largest units."""
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3_600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    if seconds < 86_400:
        return f"{seconds // 3_600}h{seconds % 3_600 // 60:02d}m"
    return f"{seconds // 86_400}d{seconds % 86_400 // 3_600:02d}h"
