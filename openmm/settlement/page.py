"""The session report as one HTML file: no network, no script, fit for a strict browser and paper.

Style and plots are inside; a content security policy of the page's own forbids everything else.
Text is escaped wherever it comes from.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from typing import Any, Final

import orjson

from openmm.address import public_plain
from openmm.settlement.page_style import STYLE
from openmm.settlement.plots import Line, Marks, Plot, bars, columns, empty, over_time, spans
from openmm.settlement.report import Report, percent, text
from openmm.settlement.series import EVENTS_MAX, Series

# What a page begins with; by it a file is known to be one.
OPENING: Final = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta http-equiv="Content-Security-Policy" content="'
)


def page(report: Report, series: Series) -> str:
    """Return the file's text."""
    plain = report.to_json()
    head = plain["session"]
    title = f"{head['bot']}: {head['session_id']}"
    body = "".join(
        (
            _header(plain), _cards(plain), _money(plain, series), _inventory(plain, series),
            _quoting(plain, series), _latency(plain), _events(plain, series),
            _config(series.config), _footer(head),
        )
    )  # fmt: skip
    return document(title, body)


def document(title: str, body: str, style: str = STYLE) -> str:
    """Return a whole page around a body, its style sheet the only thing that it lets in."""
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        f'{OPENING}{escape(policy, quote=True)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n"
        f"<body><main>{body}</main></body></html>\n"
    )


# ---------------------------------------------------------------- parts


def _header(plain: Mapping[str, Any]) -> str:
    head = plain["session"]
    facts = [
        ("bot", f"{head['bot']}, {head['mode']}"),
        ("market", f"{head['instrument']} on {head['venue']}"),
        ("from", _moment(head["started_ns"])),
        ("to", _moment(head["ended_ns"])),
        ("lasted", _lasted(head["duration_s"])),
        ("end", f"{head['state']}{': ' + head['end_reason'] if head['end_reason'] else ''}"),
        ("open orders at the end", _told(head["open_order_count"])),
        ("records", f"{head['record_count']:,}, {head['lost_record_count']:,} lost"),
        ("build", head["build"]),
    ]
    return (
        f"<header><p class='kicker'>Session report</p><h1>{escape(head['session_id'])}</h1>"
        f"{_facts(facts)}<p class='hash'><b>journal</b> "
        f"<code>{escape(head['journal_hash'] or 'not closed yet')}</code></p></header>"
    )


def _cards(plain: Mapping[str, Any]) -> str:
    pnl, volume, spread = plain["pnl"], plain["volume"], plain["spread_captured"]
    rate, up = plain["fill_rate"], plain["uptime"]
    critical = sum(1 for one in plain["incidents"] if one["severity"] == "critical")
    cards = [
        ("net P&L", _short(pnl["net"]), pnl["asset"], _mood(pnl["net"])),
        ("P&L before fees", _short(pnl["total"]), pnl["asset"], _mood(pnl["total"])),
        (
            "volume", _short(volume["quote"]).lstrip("+"),
            f"{pnl['asset']}, {volume['fills']:,} fills", "",
        ),
        ("spread captured", _told(spread["bps"]), "bps, before fees", ""),
        ("fill rate", _share(rate["by_quantity"]), "of what was placed", ""),
        ("uptime, both sides", _share(up["both"]), _wanted(plain), ""),
        (
            "incidents", f"{len(plain['incidents']):,}", f"{critical:,} critical",
            "bad" if critical else "",
        ),
    ]  # fmt: skip
    told = "".join(
        f'<div class="card {mood}"><h3>{escape(name)}</h3><p class="figure">{escape(figure)}</p>'
        f'<p class="note">{escape(note)}</p></div>'
        for name, figure, note, mood in cards
    )
    return f'<section class="cards">{told}</section>'


def _money(plain: Mapping[str, Any], series: Series) -> str:
    pnl, asset = plain["pnl"], plain["pnl"]["asset"]
    rows = [
        ("realised, average cost", _signed(pnl["realised_average"])),
        ("realised, FIFO", _signed(pnl["realised_fifo"])),
        ("unrealised, average cost", _signed(pnl["unrealised_average"])),
        ("unrealised, FIFO", _signed(pnl["unrealised_fifo"])),
        ("total", _signed(pnl["total"])),
        ("fees", _signed(_negative(pnl["fees"]))),
        ("costs", _signed(_negative(pnl["costs"]))),
        ("net", _signed(pnl["net"])),
        ("position", f"{_amount(pnl['position'])} {series.base}"),
        ("last reference", _amount(pnl["reference"])),
    ]
    for name in ("unvalued_fees", "unvalued_costs"):
        if pnl[name]:
            rows.append((f"{name.partition('_')[2]} without a rate", ", ".join(pnl[name])))
    return section(
        "Money",
        figure(f"P&L by cause, {asset}", bars("P&L by cause", _causes(plain))),
        figure("P&L before fees, at the reference", over_time(_pnl_plot(series))),
        f'<div class="pair">{data_table(("", asset), rows)}{_volumes(plain, series)}</div>',
        _breakdown(plain),
    )


def _causes(plain: Mapping[str, Any]) -> list[tuple[str, float, str]]:
    """List the parts whose sum is the net P&L, and the net."""
    split, pnl = plain.get("by_cause"), plain["pnl"]
    if split is not None:
        whole = split["total"]
        parts = [
            ("spread", whole["spread"]), ("adverse selection", whole["adverse"]),
            ("inventory drift", whole["drift"]), ("without a reference", whole["unsplit"]),
            ("fees", _negative(whole["fees"])), ("costs", _negative(whole["costs"])),
            ("net", whole["net"]),
        ]  # fmt: skip
        shown = [part for part in parts if part[0] != "without a reference" or Decimal(part[1])]
    elif pnl["net"] is None:
        return []
    else:
        captured = plain["spread_captured"]["quote"]
        rest = str(Decimal(pnl["total"]) - Decimal(captured))
        shown = [
            ("spread captured", captured), ("price moves", rest),
            ("fees", _negative(pnl["fees"])), ("net", pnl["net"]),
        ]  # fmt: skip
    return [(name, float(value), _signed(value)) for name, value in shown]


def _pnl_plot(series: Series) -> Plot:
    return Plot(
        "P&L over time", f"{series.quote}, before fees", series.start_ns, series.end_ns,
        lines=[Line("P&L", "pnl", series.lines["pnl"].parts())], zero=True,
    )  # fmt: skip


def _volumes(plain: Mapping[str, Any], series: Series) -> str:
    volume = plain["volume"]
    rows = [
        (name, f"{one['fills']:,}", _amount(one["base"]), _amount(one["quote"]))
        for name, one in (
            ("bought", volume["buys"]), ("sold", volume["sells"]), ("as maker", volume["maker"]),
            ("as taker", volume["taker"]), ("all", volume),
        )
    ]  # fmt: skip
    fees = "".join(
        f"<p class='note'>fees: {escape(_amount(amount))} {escape(asset)}</p>"
        for asset, amount in plain["fees"].items()
    )
    return f"<div>{data_table(('volume', 'fills', series.base, series.quote), rows)}{fees}</div>"


def _breakdown(plain: Mapping[str, Any]) -> str:
    split = plain.get("by_cause")
    if split is None:
        return ""
    names = ("fills", "volume", "spread", "adverse", "drift", "fees", "costs", "net")
    out = []
    for title, key in (("venue", "venues"), ("level", "levels"), ("hour, UTC", "hours")):
        rows = [
            (
                name, f"{one['fills']:,}", _amount(one["volume"]),
                *(_signed(one[part]) for part in names[2:5]),
                *(_signed(_negative(one[part])) for part in names[5:7]), _signed(one["net"]),
            )
            for name, one in list(split[key].items())[-EVENTS_MAX:]
        ]  # fmt: skip
        out.append(data_table((title, *names), rows))
    return "<h3>P&amp;L by venue, level and hour</h3>" + "".join(out)


def _inventory(plain: Mapping[str, Any], series: Series) -> str:
    lines = [
        Line("held", "held", series.lines["holdings"].parts(), step=True),
        Line("target", "target", series.lines["target"].parts()),
    ]
    plot = Plot("Inventory", series.base, series.start_ns, series.end_ns, lines)
    names = ("opening", "closing", "delta", "transfers", "venue", "difference")
    rows = [
        (asset, *(_amount(part[name]) for name in names))
        for asset, part in plain["inventory"].items()
    ]
    return section(
        "Inventory",
        figure("Held against target", over_time(plot)),
        data_table(("asset", *names), rows),
    )


def _quoting(plain: Mapping[str, Any], series: Series) -> str:
    lines = [
        Line(told, css, series.lines[name].parts(), step=name != "reference")
        for name, told, css in (
            ("best_bid", "market bid", "market"), ("best_ask", "market ask", "market"),
            ("own_bid", "our bid", "bid"), ("own_ask", "our ask", "ask"),
            ("reference", "reference", "reference"),
        )
    ]  # fmt: skip
    marks = [
        Marks("bought", "bid", series.buys),
        Marks("sold", "ask", series.sells),
    ]
    prices = Plot(
        "Quotes and fills on the price", series.quote, series.start_ns, series.end_ns, lines, marks
    )
    orders, rate = plain["orders"], plain["fill_rate"]
    rows = [(name.replace("_", " "), f"{count:,}") for name, count in orders.items()]
    rows += [
        ("fill rate by quantity", _share(rate["by_quantity"])),
        ("fill rate by order", _share(rate["by_order"])),
    ]
    queue = plain["queue"]
    if queue["fills"]:
        told = f"{_share(queue['at_front'])} at the front, median {_share(queue['ahead'])} in front"
        ages = f"median {_told(queue['age_s'])} s, p90 {_told(queue['age_p90_s'])} s"
        rows += [("queue place at fill", told), ("queue age at fill", ages)]
    rows += [(f"refused: {name}", f"{count:,}") for name, count in plain["refusals"].items()]
    return section(
        "Quoting",
        figure("Quotes and fills on the price", over_time(prices)),
        figure(
            "Spread captured by fills",
            columns("spread captured", "bps of the notional, before fees", series.start_ns,
                    series.end_ns, series.spread_bps, "spread"),
        ),
        figure("Markouts", _markouts(plain)),
        figure(
            f"Uptime of both sides, {_wanted(plain)}",
            columns("both sides up", "% of the time", series.start_ns, series.end_ns,
                    series.up_share, "up"),
        ),
        f'<div class="pair">{_uptime(plain)}{data_table(("orders", ""), rows)}</div>',
    )  # fmt: skip


def _markouts(plain: Mapping[str, Any]) -> str:
    split = plain.get("by_cause")
    if split is None:
        return empty("Markouts")
    rows = []
    for name, one in split["total"]["markouts"].items():
        if one["bps"] is not None:
            told = f"{_signed(one['bps'])} bps, {one['fills']:,} fills"
            rows.append((f"after {name}", float(one["bps"]), told))
    return bars("Markouts", rows)


def _uptime(plain: Mapping[str, Any]) -> str:
    up, touch = plain["uptime"], plain["time_at_touch"]
    rows = [
        (side, _share(up[side]), _share(touch[side]["at_touch"]), _share(touch[side]["quoted"]))
        for side in ("bid", "ask")
    ]
    rows.append(("both", _share(up["both"]), "", ""))
    books = [
        (f"book {feed}", f"{book['breaks']:,} breaks", f"{_told(book['unverified_s'])} s", "")
        for feed, book in plain["books"].items()
    ]
    observed = (
        f"<p class='note'>of {_lasted(plain['observed_s'])} observed; {escape(_wanted(plain))}</p>"
    )
    told = data_table(("side", "up", "at touch", "quoted"), rows)
    more = data_table(("", "", "not verified", ""), books) if books else ""
    return f"<div>{told}{observed}{more}</div>"


def _latency(plain: Mapping[str, Any]) -> str:
    stages = plain["latency_ns"]
    keys = ("p50", "p99", "p99_9", "max")
    rows = [
        (name, f"{part['count']:,}", *(f"{part[key] / 1000:,.1f}" for key in keys))
        for name, part in stages.items()
    ]
    drawn = spans("Latency", [(name, [part[key] for key in keys]) for name, part in stages.items()])
    heads = ("stage, µs", "count", "p50", "p99", "p99.9", "greatest")
    return section("Latency", figure("Latency by stage", drawn), data_table(heads, rows))


def _events(plain: Mapping[str, Any], series: Series) -> str:
    risk = [
        (_clock(one["ts_ns"]), f"{one['from_state']} → {one['to_state']}", one["reason"],
         one["detail"])
        for one in plain["risk_events"]
    ]  # fmt: skip
    incidents = [
        (_clock(one["ts_ns"]), one["severity"], one["kind"], one["text"])
        for one in plain["incidents"]
    ]
    commands = [
        (_clock(one["ts_ns"]), one["command"], one["by"], one["door"], one["arguments"],
         one["verdict"] or "-")
        for one in series.commands
    ]  # fmt: skip
    return section(
        "Incidents, risk, commands",
        _listed("Incidents", ("UTC", "severity", "kind", "what"), incidents),
        _listed("Risk", ("UTC", "state", "reason", "detail"), risk),
        _listed("Commands", ("UTC", "command", "by", "door", "arguments", "verdict"), commands),
    )


def _config(config: str) -> str:
    plain = public_plain(orjson.loads(config))
    told = orjson.dumps(plain, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()
    return f"<section><h2>Configuration</h2><pre>{escape(told)}</pre></section>"


def _footer(head: Mapping[str, Any]) -> str:
    return (
        f"<footer>Build {escape(head['build'])}, journal "
        f"<code>{escape(head['journal_hash'] or '-')}</code>. Definitions: docs/report.md. "
        "<code>openmm report --verify</code> recomputes every figure from the journal.</footer>"
    )


# ---------------------------------------------------------------- pieces


def section(title: str, *parts: str) -> str:
    """Put parts of a page under a heading."""
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def figure(title: str, drawn: str) -> str:
    """Put a drawing under its title."""
    return f"<figure><figcaption>{escape(title)}</figcaption>{drawn}</figure>"


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    told = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in rows)
    return f"<dl>{told}</dl>"


def data_table(heads: Sequence[str], rows: Iterable[Sequence[str]], css: str = "") -> str:
    """Write rows of texts under their heads."""
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f'<div class="wide"><table class="{css}"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _listed(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return empty(title)
    left = len(rows) - EVENTS_MAX
    more = f"<p class='note'>and {left:,} before these</p>" if left > 0 else ""
    return f"<h3>{escape(title)}</h3>{data_table(heads, rows[-EVENTS_MAX:], 'events')}{more}"


def _told(value: object) -> str:
    return "-" if value is None else str(value)


def _amount(value: str | None) -> str:
    """Group an exact decimal's digits; trailing zeros say nothing."""
    if value is None:
        return "-"
    whole, point, part = text(Decimal(value)).partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}{point}{part}"


def _signed(value: str | None) -> str:
    told = _amount(value)
    return f"+{told}" if value is not None and Decimal(value) > 0 else told


def _short(value: str | None) -> str:
    """Round to what a headline needs: four digits behind the first, at least cents."""
    if value is None:
        return "-"
    exact = Decimal(value)
    digits = max(2, 3 - exact.adjusted()) if exact else 2
    return _signed(format(round(exact, min(digits, 10)), "f"))


def _negative(value: str | None) -> str | None:
    return None if value is None else format(-Decimal(value), "f")


def _mood(value: str | None) -> str:
    if value is None or not Decimal(value):
        return ""
    return "good" if Decimal(value) > 0 else "bad"


def _share(value: str | None) -> str:
    return percent(None if value is None else Decimal(value))


def _wanted(plain: Mapping[str, Any]) -> str:
    up = plain["uptime"]
    if up["within_bps"] is None:
        return "not measured"
    depth = Decimal(up["depth"])
    base = plain["session"]["instrument"].partition("/")[0]
    least = f"at least {_amount(up['depth'])} {base}" if depth else "any depth"
    return f"{least} within {_amount(up['within_bps'])} bps"


def _moment(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _clock(ts_ns: int) -> str:
    at = datetime.fromtimestamp(ts_ns // 10**9, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{ts_ns % 10**9 // 10**6:03d}"


def _lasted(seconds: str) -> str:
    whole = int(Decimal(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours:,} h {minutes:02d} min {left:02d} s"
    return f"{minutes} min {left:02d} s" if minutes else f"{text(Decimal(seconds))} s"
