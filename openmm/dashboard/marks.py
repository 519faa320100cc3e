"""Skeletons of pages: markup with names for what is shown. No value ever becomes part of it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def fact(label: str, key: str, *, unit: str = "", bar: str = "", hint: str = "") -> str:
    """Return one labelled value.

    Args:
        unit: key of its unit, shown behind it.
        bar: key of a bar under it.
    """
    title = f' title="{escape(hint, quote=True)}"' if hint else ""
    after = f'<span class="unit" data-k="{unit}"></span>' if unit else ""
    under = f'<div class="bar" data-bar="{bar}" aria-hidden="true"><i></i></div>' if bar else ""
    return (
        f'<div class="fact"{title}><dt>{escape(label)}</dt>'
        f'<dd><span data-k="{key}">–</span>{after}</dd>{under}</div>'
    )


def facts(*inside: str, kind: str = "") -> str:
    """Return a list of labelled values."""
    return f'<dl class="facts {kind}">{"".join(inside)}</dl>'


def panel(title: str, inside: str, *, kind: str = "", aside: str = "", ident: str = "") -> str:
    """Return a titled part of a page."""
    name = f' id="{ident}"' if ident else ""
    right = f'<span class="aside">{aside}</span>' if aside else ""
    return (
        f'<section class="panel {kind}"{name} aria-label="{escape(title, quote=True)}">'
        f"<h2>{escape(title)}{right}</h2>{inside}</section>"
    )


def table(name: str, columns: Sequence[str], *, empty: str, label: str, kind: str = "") -> str:
    """Return a table that is filled later.

    Args:
        columns: headings; one that begins with `>` is of numbers, with `<` of text that may wrap.
        empty: what is said while it has no row.
    """
    heads = "".join(
        f'<th scope="col" class="{_kind(one)}">{escape(one.lstrip("<>"))}</th>' for one in columns
    )
    return (
        f'<div class="scroll {kind}" tabindex="0" role="region" '
        f'aria-label="{escape(label, quote=True)}"><table>'
        f"<thead><tr>{heads}</tr></thead>"
        f'<tbody data-rows="{name}"></tbody></table>'
        f'<p class="empty" data-empty="{name}" data-say="{escape(empty, quote=True)}">…</p></div>'
    )


def _kind(column: str) -> str:
    return {"<": "wrap", ">": "num"}.get(column[:1], "")


SHARE = (
    '<div class="gauge" aria-hidden="true"><div class="bar" data-bar="share"><i></i></div>'
    '<b class="pin" data-pin="target"></b></div>'
)
OFF_TARGET = (
    '<div class="gauge two" aria-hidden="true"><div class="bar" data-bar="off_target"><i></i></div>'
    '<b class="pin middle"></b></div>'
)


def bot_left() -> str:
    """Return the book."""
    heads = ("ours", "price", "quantity", "total")
    row = "".join(f'<th scope="col" class="num">{one}</th>' for one in heads)
    return panel(
        "Book", f'<table class="ladder"><thead><tr>{row}</tr></thead>'
        '<tbody data-rows="ladder"></tbody></table>',
        kind="book", aside='<span data-k="venue"></span>',
    )  # fmt: skip


def bot_right() -> str:
    """Return position, P&L, risk and quotes."""
    return (
        panel(
            "Position",
            facts(
                fact("held", "held_base", unit="base"),
                fact("cash", "held_quote", unit="quote"),
                fact("off target", "off_target", unit="base"),
                fact("limit", "inventory_max", unit="base"),
                kind="held",
            )
            + f'<div class="named"><span>inventory of its limit</span>'
            f'<span data-k="inventory_use"></span></div>{OFF_TARGET}'
            f'<div class="named"><span>base share <b data-k="share"></b></span>'
            f'<span>target <b data-k="target"></b></span></div>{SHARE}',
        )
        + panel(
            "P&L of the session",
            facts(
                fact("realised", "realised", bar="realised"),
                fact("unrealised", "unrealised", bar="unrealised"),
                fact("fees", "paid", bar="paid"),
                fact("spread captured", "of_spread", hint="fills against the reference then"),
                fact("price moves", "of_move", hint="what it did to what was traded since"),
                fact(
                    "on holdings",
                    "of_holding",
                    hint="what it did to the inventory held at the start",
                ),
                fact("drawdown", "drawdown", hint="from the session's start"),
                fact("from peak", "drawdown_peak", hint="drawdown from the highest equity"),
                kind="money",
            ),
            aside='<span data-k="quote"></span>',
        )
        + panel(
            "P&L by cause",
            '<table class="causes"><tbody data-rows="causes"></tbody></table>'
            '<p class="empty" data-empty="causes" data-say="no fill booked yet">…</p>',
            aside='<span data-k="causes_of"></span>',
        )
        + panel(
            "Quotes",
            facts(
                fact("reference", "reference"),
                fact("confidence", "confidence"),
                fact("our spread", "our_spread"),
                fact("half spread", "half"),
                fact("skew", "skew", hint="how far the ladder leans, in the quote asset"),
                fact("volatility", "sigma", hint="of the price, per square root of a second"),
                fact("trade flow", "flow", hint="who aggresses: buyers above zero"),
                fact("order flow", "ofi", hint="at the best prices; 0 unless computed"),
                fact("skew at full", "model_skew_full", hint="of a model: at full inventory"),
                fact("gamma", "model_gamma", hint="what gives that skew: per unit of quote asset"),
                fact("model half", "model_half", hint="half-spread before fee floor and leans"),
                fact("1/k", "model_decay", hint="a quote so much further out fills e times less"),
                fact("A", "model_arrival", hint="how often a quote at the mid would be reached"),
                fact("orders bid / ask", "n_live"),
                fact("fills", "n_filled"),
                fact("placed", "n_placed"),
                fact("amended", "n_amended"),
                fact("cancelled", "n_cancelled"),
                fact("rejected", "n_rejected"),
                fact("refused", "n_refused", hint="by our own checks"),
                fact("uncertain", "n_unknown", hint="orders whose fate is not known"),
                kind="dense",
            ),
        )
    )


TABS = (
    ("orders", "Orders"), ("fills", "Fills"), ("risk", "Risk"), ("venues", "Venues"),
    ("latency", "Latency"), ("incidents", "Incidents"), ("audit", "Audit"),
)  # fmt: skip


def bot_tabs() -> str:
    """Return the tables under the plots, one shown at a time."""
    inside = {
        "orders": table(
            "orders",
            ("side", ">price", ">quantity", ">filled", "state", ">age", "placed by", "client id"),
            empty="no live order", label="live orders",
        ),
        "fills": table(
            "fills",
            ("time", "side", ">price", ">quantity", ">value", ">edge", ">fee", ">realised", "as",
             "client id"),
            empty="no fill in the last 24 hours", label="fills",
        ),
        "risk": table(
            "in_use",
            ("limit", ">in use", ">in force", ">use"),
            empty="not known yet",
            label="limits and their use",
        )
        + "<h3>Refused by our own checks</h3>"
        + table("refusals", ("check", ">times"), empty="nothing was refused", label="refusals")
        + "<h3>All limits</h3>"
        + table(
            "limits", ("limit", ">the file", ">in force"), empty="not known yet", label="all limits"
        ),
        "venues": facts(
            fact("rate budget in use", "rate", bar="rate"),
            fact("journal not yet written", "tape", bar="tape"),
            kind="two",
        )
        + table(
            "venues",
            (
                "venue", "book", ">bid", ">ask", ">age", ">breaks", ">resyncs", ">messages",
                ">clock", ">ack p50", "in the reference",
            ),
            empty="no venue yet",
            label="venues",
        ),
        "latency": table(
            "latency", ("stage", ">p50", ">p99", ">p99.9", ">worst", ">samples"),
            empty="nothing measured yet", label="latency by stage",
        ),
        "incidents": table(
            "incidents", ("time, UTC", "severity", "what", "<text", ">amount"),
            empty="nothing went wrong in the last 24 hours", label="incidents",
        ),
        "audit": table(
            "audit", ("time, UTC", "who", "action", "<asked for", "<verdict"),
            empty="nobody asked for anything yet", label="audit",
        ),
    }  # fmt: skip
    counts = {"orders": "orders_count", "fills": "fills_count", "incidents": "incidents_open"}
    buttons = "".join(
        f'<button role="tab" id="tab-{name}" aria-controls="pane-{name}" data-tab="{name}" '
        f'aria-selected="{"true" if index == 0 else "false"}" '
        f'tabindex="{0 if index == 0 else -1}">{label}'
        + (f' <span class="count" data-k="{counts[name]}"></span>' if name in counts else "")
        + "</button>"
        for index, (name, label) in enumerate(TABS)
    )
    panes = "".join(
        f'<div role="tabpanel" id="pane-{name}" aria-labelledby="tab-{name}"'
        f"{'' if index == 0 else ' hidden'}>"
        f'<p class="problem" data-k="problem_{name}"></p>{inside[name]}</div>'
        for index, (name, _) in enumerate(TABS)
    )
    return (
        f'<section class="panel tabs"><div role="tablist" aria-label="details">{buttons}</div>'
        f"{panes}</section>"
    )


def bot_head() -> str:
    """Return what stands above everything: what the bot is, how it does."""
    return (
        '<div class="who"><a class="back" href="{fleet}" aria-label="all bots">‹ Bots</a>'
        '<h1 data-k="bot"></h1><span class="chip" data-k="state"></span>'
        '<span class="chip mode" data-k="mode"></span>'
        '<span class="pair" data-k="pair"></span></div>'
        + facts(
            fact("equity", "equity", unit="quote"), fact("net P&L", "net", unit="quote"),
            fact("heartbeat", "beat"), fact("up", "uptime"), kind="headline",
        )
    )  # fmt: skip


def fleet() -> str:
    """Return the page of all bots."""
    return (
        panel(
            "Totals by currency", table(
                "totals",
                ("currency", "mode", ">bots", ">equity", ">net P&L", ">realised", ">unrealised",
                 ">fees", ">fills"),
                empty="no bot has run yet", label="totals by currency",
            ),
        )
        + panel(
            "Bots", table(
                "bots",
                ("bot", "state", "mode", "pair", "venue", ">equity", ">net P&L", "inventory",
                 ">our spread", ">orders", ">fills", ">heartbeat", "<note"),
                empty="no bot on this host: openmm run FILE, or openmm demo", label="bots",
                kind="fleet",
            ),
            aside='<span data-k="bots_count"></span>',
        )
        + panel(
            "Alerts", table(
                "alerts", ("since, UTC", "severity", "bot", "rule", "<text", "state"),
                empty="no alert is open", label="open alerts",
            ),
            aside='<span data-k="alerts_note"></span>',
        )
        + panel(
            "Who did what",
            table(
                "deeds",
                ("time, UTC", "who", "bot", "action", "<asked for", "<verdict"),
                empty="nobody has asked for a change yet",
                label="what was asked for, newest first",
            ),
            aside='<span data-k="problem_audit"></span>',
        )
    )  # fmt: skip
