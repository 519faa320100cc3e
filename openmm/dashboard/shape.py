"""What is known of bots, as what is shown: pure, from telemetry pages and answers of the door."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import accumulate
from typing import Any, Final

from openmm._fast.book import BookBreak, BookState
from openmm._fast.checks import Reason, RiskState
from openmm._fast.latency import Stage
from openmm._fast.orders import OrderState
from openmm._fast.reference import SourceVerdict
from openmm.control.views import BotState, enum_name
from openmm.control.views import bps as told_bps
from openmm.dashboard import words
from openmm.dashboard.patch import Cell, Sheet
from openmm.telemetry import LIMITS, MISSING, BookLevel, OwnLevel, TelemetrySnapshot

ROWS_A_SIDE: Final = 12  # of the ladder
OWN_ROWS_MAX: Final = 8  # of them, for orders of ours deeper than the page's book
STALE_NS: Final = 3_000_000_000
TONES: Final = {"running": "good", "reducing": "warn", "paused": "warn", "halted": "bad"}
STAGES: Final = {
    "tick_to_order": "tick to order", "answer_to_order": "answer to order", "read": "socket read",
    "decode": "decode", "book": "book", "signal": "signal", "quote": "quote", "plan": "plan",
    "check": "risk checks", "journal": "journal", "encode": "encode", "write": "socket write",
    "ack": "venue's acknowledgement",
}  # fmt: skip


class Known:
    """A bot's state with what is derived from it, for one page."""

    def __init__(self, state: BotState, now_ns: int) -> None:
        self.state = state
        self.page = state.page
        self.now_ns = now_ns
        self.alive = state.page_state == "alive" and state.running

    @property
    def condition(self) -> tuple[str, str]:
        """What the bot is: its word and tone. A dead engine is never called running."""
        page = self.page
        if not self.state.running:
            if self.state.page_state == "dead":
                return "dead", "bad"
            return ("stopped" if page is not None else "never ran"), "dim"
        if page is None:
            return "starting", "warn"
        if self.state.page_state == "stale":
            return "no heartbeat", "bad"
        if not self.alive:
            return self.state.page_state, "bad"
        name = enum_name(RiskState, page.risk_state)
        return name, TONES.get(name, "bad")

    @property
    def beat(self) -> tuple[str, str]:
        """The age of the last heartbeat, and its tone."""
        if self.page is None:
            return words.NONE, "dim"
        gone_ns = self.now_ns - self.page.heartbeat_ns
        return words.age(gone_ns), "bad" if gone_ns > STALE_NS or not self.alive else ""


def net_of(page: TelemetrySnapshot) -> Decimal:
    """Return the session's P&L after fees, in the quote asset."""
    return page.money(page.realised_ticklots + page.unrealised_ticklots - page.fees_ticklots)


def gain(value: Decimal) -> str:
    """Return the tone of a gain or a loss."""
    return "good" if value > 0 else "bad" if value < 0 else ""


def venue_of(page: TelemetrySnapshot) -> str:
    """Return the quoted venue's label."""
    for one in page.venues:
        if one.quoted:
            return one.label.decode("utf-8", "replace")
    return words.NONE


def head(sheet: Sheet, known: Known, name: str) -> None:
    """Show what a bot is and how it does, above everything else."""
    page = known.page
    word, tone = known.condition
    sheet.put("bot", name)
    sheet.put("state", word, tone)
    sheet.put("beat", *known.beat)
    sheet.put("mode", str(known.state.session.get("mode") or words.NONE))
    sheet.more["alive"] = known.alive
    sheet.more["running"] = known.state.running
    sheet.more["risk"] = word
    trouble = "" if page is None else page.incident
    sheet.put("trouble", trouble, "bad" if trouble else "")
    why = ""
    if page is None:
        why = known.state.page_error or ""
        for key in ("pair", "venue", "equity", "net", "fees", "uptime"):
            sheet.put(key, words.NONE, "dim")
    else:
        decimals = words.money_decimals(page.quote)
        net = net_of(page)
        sheet.put("mode", page.mode, "bad" if page.mode == "live" else "info")
        sheet.put("pair", page.instrument)
        sheet.put("venue", venue_of(page))
        sheet.put("equity", f"{words.number(page.money(page.equity_ticklots), decimals)}")
        sheet.put("quote", page.quote)
        sheet.put("base", page.base)
        sheet.put("net", words.signed(net, decimals), gain(net))
        sheet.put("fees", words.number(page.money(page.fees_ticklots), decimals))
        sheet.put("uptime", words.age(page.heartbeat_ns - page.started_ns))
        why = page.risk_reason if page.risk_state != RiskState.RUNNING else ""
    if not known.state.running:
        ended = known.state.session.get("reason")
        why = f"ended: {ended}" if ended else "not running: what is shown is its last word"
        if page is None:
            why = "it has not run yet"
    elif known.state.page_state == "stale":
        why = "the engine publishes nothing: what is shown is its last word"
    sheet.put("why", why)


def ladder(sheet: Sheet, page: TelemetrySnapshot, rows: int = ROWS_A_SIDE) -> None:
    """Show the quoted book with our orders in it: asks above, bids below, the touch between."""
    prices = words.decimals_of(page.tick_size)
    lots = words.decimals_of(page.lot_size)
    asks = levels(page.book_asks, page.own_asks, rows, rising=True)
    bids = levels(page.book_bids, page.own_bids, rows, rising=False)
    deepest = max([one[3] for one in (*asks, *bids)], default=0) or 1

    def show(found: list[tuple[int, int | None, int, int]], tone: str) -> list[list[Cell]]:
        shown: list[list[Cell]] = []
        for ticks, qty, ours, total in found:
            shown.append(
                [
                    ["" if not ours else words.number(page.qty(ours), lots), "ours"],
                    [words.number(page.price(ticks), prices), tone],
                    words.number(None if qty is None else page.qty(qty), lots),
                    ["" if qty is None else words.number(page.qty(total), min(lots, 4)), "dim",
                     {"bar": round(100 * total / deepest, 1) if qty is not None else 0}],
                ]
            )  # fmt: skip
        return shown + [["", "", "", ["", "dim", {"bar": 0}]] for _ in range(rows - len(shown))]

    for row in reversed(show(asks, "sell")):
        sheet.row("ladder", row, _own(row, "ask"))
    spread, middle = "one side is empty", ""
    if page.book_asks and page.book_bids:
        ask, bid = page.book_asks[0].price_ticks, page.book_bids[0].price_ticks
        middle = words.number(Decimal(ask + bid) / 2 * page.tick_size, prices + 1)
        spread = f"{words.number(page.price(ask - bid), prices)} · {bps(ask, bid)}"
    sheet.row("ladder", ["", [middle, "strong"], [spread, "dim"], ""], "touch")
    for row in show(bids, "buy"):
        sheet.row("ladder", row, _own(row, "bid"))


def _own(row: list[Cell], side: str) -> str:
    return f"{side} own" if row[0] and row[0][0] else side


def bps(ask: int, bid: int) -> str:
    """Write the spread of two prices in hundredths of a per cent of their middle."""
    return f"{Decimal(ask - bid) * 20_000 / (ask + bid):.2f} bps" if ask + bid else words.NONE


def levels(
    book: Iterable[BookLevel], own: Iterable[OwnLevel], rows: int, *, rising: bool
) -> list[tuple[int, int | None, int, int]]:
    """Return the rows of one side, the touch first: price, quantity, ours, all up to there.

    Prices deeper than the page's book have no quantity: only what is ours is known there.
    """
    ours: Counter[int] = Counter()
    for order in own:
        ours[order.price_ticks] += order.qty_lots - order.filled_lots
    rest = {one.price_ticks: one.qty_lots for one in book}
    inside = sorted(rest, reverse=not rising)
    last = inside[-1] if inside else None
    deep = sorted((one for one in ours if one not in rest), reverse=not rising)
    beyond = [one for one in deep if last is None or ((one > last) if rising else (one < last))][
        :OWN_ROWS_MAX
    ]
    between = [one for one in deep if one not in beyond and one not in rest and last is not None
               and ((one < last) if rising else (one > last))]  # fmt: skip
    near = sorted([*inside, *between], reverse=not rising)[: max(0, rows - len(beyond))]
    shown = [*near, *beyond][:rows]
    totals = accumulate(rest.get(one, 0) for one in shown)
    return [
        (one, rest.get(one), ours[one], total) for one, total in zip(shown, totals, strict=True)
    ]


def inventory(sheet: Sheet, page: TelemetrySnapshot) -> None:
    """Show what is held against its target and its limit."""
    lots = words.decimals_of(page.lot_size)
    quote = words.money_decimals(page.quote)
    off = page.qty(page.q_lots)
    most = page.measure(page.limit("inventory_long").limit, "lots")
    held = None if page.base_lots == MISSING else page.qty(page.base_lots)
    sheet.put("held_base", words.number(held, lots))
    sheet.put("held_quote", words.number(page.money(page.quote_ticklots), quote))
    sheet.put("off_target", words.signed(off, lots), "" if not off else "info")
    sheet.put("share", words.percent(page.share_ppm, 1))
    sheet.put("target", words.percent(page.target_ppm, 1))
    sheet.fill("share", 0.0, page.share_ppm / 1e6)
    sheet.bar["target"] = [round(page.target_ppm / 1e4, 1), 0, ""]
    if most:
        part = float(off / most)
        tone = "bad" if abs(part) >= 0.9 else "warn" if abs(part) >= 0.6 else "info"
        sheet.fill("off_target", 0.5, 0.5 + part / 2, tone)
        sheet.put("inventory_max", f"±{words.number(most)}")
        sheet.put("inventory_use", f"{abs(part) * 100:.0f}%", tone if tone != "info" else "")
    sheet.put("drawdown", words.percent(page.drawdown_ppm))
    sheet.put("drawdown_peak", words.percent(page.drawdown_peak_ppm))


def money(sheet: Sheet, page: TelemetrySnapshot) -> None:
    """Show the session's P&L by its parts, exact, from the page."""
    decimals = words.money_decimals(page.quote)
    parts = (
        ("realised", page.money(page.realised_ticklots)),
        ("unrealised", page.money(page.unrealised_ticklots)),
        ("paid", -page.money(page.fees_ticklots)),
    )  # fmt: skip
    largest = max(abs(value) for _, value in parts) or Decimal(1)
    for key, value in parts:
        sheet.put(key, words.signed(value, decimals), gain(value))
        sheet.fill(key, 0.5, 0.5 + float(value / largest) / 2, gain(value))
    for key, ticklots in page.causes().items():
        value = page.money(ticklots)
        sheet.put(f"of_{key}", words.signed(value, decimals), gain(value))
    counters = page.counters
    for key in ("placed", "amended", "cancelled", "filled", "rejected", "refused", "requotes"):
        count = getattr(counters, key)
        sheet.put(f"n_{key}", words.number(count), "warn" if key == "rejected" and count else "")
    sheet.put("n_unknown", words.number(counters.unknown), "bad" if counters.unknown else "")


def quotes(sheet: Sheet, page: TelemetrySnapshot) -> None:
    """Show the reference and where our quotes stand to it."""
    prices = words.decimals_of(page.tick_size)
    reference = None if page.reference_uticks == MISSING else page.mid(page.reference_uticks)
    sheet.put("reference", words.number(reference, prices + 1), "" if reference else "warn")
    sheet.put("confidence", words.percent(page.confidence_ppm, 0))
    sheet.put(
        "sigma",
        words.number(
            None if page.sigma_uticks == MISSING else page.mid(page.sigma_uticks), prices + 1
        ),
    )
    sheet.put("flow", words.percent(page.flow_ppm, 0))
    sheet.put("ofi", words.percent(page.ofi_ppm, 0))
    sheet.put("skew", words.signed(page.mid(page.skew_uticks), prices + 1))
    sheet.put("half", words.number(page.mid(page.half_uticks), prices + 1))
    model = page.model_numbers()
    for name in ("skew_full", "half", "decay"):
        sheet.put(f"model_{name}", told_bps(model[name]) if model else words.NONE)
    sheet.put("model_gamma", f"{model['gamma']:f}" if model else words.NONE)
    arrival = f"{model['arrival']:f}/s" if model and model["arrival"] else words.NONE
    guess = bool(model) and not page.model.fitted
    sheet.put(
        "model_arrival", f"{arrival} (as told)" if guess else arrival, "warn" if guess else ""
    )
    spread = words.NONE
    if page.own_bids and page.own_asks:
        ask = min(one.price_ticks for one in page.own_asks)
        bid = max(one.price_ticks for one in page.own_bids)
        spread = bps(ask, bid)
    sheet.put("our_spread", spread)
    sheet.put("n_live", f"{len(page.own_bids)} / {len(page.own_asks)}")


def latencies(sheet: Sheet, page: TelemetrySnapshot) -> None:
    """Show every stage's percentiles since the session's start."""
    found = {
        enum_name(Stage, index, "STAGE_"): one
        for index, one in enumerate(page.stages) if one.sample_count
    }  # fmt: skip
    sheet.rows.setdefault("latency", [])
    for name, label in STAGES.items():
        if name in found:
            one = found[name]
            sheet.row("latency", [
                label, words.latency(one.p50_ns), words.latency(one.p99_ns),
                words.latency(one.p999_ns), words.latency(one.max_ns),
                words.number(one.sample_count),
            ], "strong" if name == "tick_to_order" else "")  # fmt: skip


def venues(sheet: Sheet, page: TelemetrySnapshot) -> None:
    """Show every venue's health."""
    sheet.rows.setdefault("venues", [])
    for one in page.venues:
        book = enum_name(BookState, one.book_state, "BOOK_")
        verdict = enum_name(SourceVerdict, one.verdict, "SOURCE_")
        fresh = None if one.age_ns == MISSING else one.age_ns
        decimals = one.price_decimals

        def best(ticks: int, venue: Any = one, decimals: int = decimals) -> str:
            return words.number(None if ticks == MISSING else venue.price(ticks), decimals)

        sheet.row("venues", [
            one.label.decode("utf-8", "replace") + (" (quoted)" if one.quoted else ""),
            [words.phrase(book) + _since(one.broken_ns, page.heartbeat_ns),
             "good" if book == "verified" else "bad"],
            best(one.best_bid_ticks), best(one.best_ask_ticks),
            [words.age(fresh), "bad" if fresh is None or fresh > STALE_NS else ""],
            [words.number(one.break_count), "warn" if one.break_count else "",
             {"title": "last: " + words.phrase(enum_name(BookBreak, one.break_reason, "BREAK_"))}],
            words.number(one.resync_count), words.number(one.message_count),
            words.age(_some(one.clock_offset_ns)), words.latency(_some(one.ack_p50_ns)),
            [f"{words.phrase(verdict)} {words.percent(one.weight_ppm, 0)}",
             "" if verdict == "used" else "dim"],
        ])  # fmt: skip
    unread = page.tape_unread_bytes / page.tape_size_bytes if page.tape_size_bytes else 0.0
    lost = f", {words.number(page.tape_lost)} records lost" if page.tape_lost else ""
    sheet.put("tape", f"{unread * 100:.1f}%{lost}", "bad" if lost else "")
    sheet.fill("tape", 0.0, unread, "bad" if unread > 0.5 else "good")
    level, most = page.rate_level_milli, page.rate_threshold_milli
    part = level / most if most else 0.0
    tone = "bad" if part >= 0.9 else "warn" if part >= 0.6 else "good"
    sheet.put("rate", f"{level / 1000:.1f} of {most / 1000:.0f}" if most else words.NONE)
    sheet.fill("rate", 0.0, part, tone)
    refused = {
        enum_name(Reason, index): count for index, count in enumerate(page.refusals) if count
    }
    sheet.rows.setdefault("refusals", [])
    for name, count in sorted(refused.items(), key=lambda one: -one[1])[:8]:
        sheet.row("refusals", [words.phrase(name), words.number(count)])


def _some(ns: int) -> int | None:
    return None if ns == MISSING else ns


def _since(broken_ns: int, now_ns: int) -> str:
    return f" for {words.age(now_ns - broken_ns)}" if broken_ns else ""


def limits(sheet: Sheet, answer: Mapping[str, Any]) -> None:
    """Show the file's limits and those in force."""
    sheet.rows["limits"] = []
    for one in answer.get("limits", ()):
        file, limit = _told(one.get("file")), _told(one.get("in_force"))
        tighter = bool(file) and file != limit
        sheet.row("limits", [
            str(one.get("limit", "")).removeprefix("risk."),
            [file or words.NONE, "" if file else "dim"],
            [limit or words.NONE, "info" if tighter else "" if limit else "dim"],
        ])  # fmt: skip


def _told(value: Any) -> str:
    """Return a limit as text; nothing for one that is not set."""
    return "" if value in (None, "-", "None") else str(value)


def in_use(sheet: Sheet, page: TelemetrySnapshot) -> None:
    """Show what is used of each limit now, the fullest first."""
    sheet.rows["in_use"] = []
    rows = []
    for (name, unit), one in zip(LIMITS, page.limits, strict=False):
        limit, used = page.measure(one.limit, unit), page.measure(one.used, unit)
        if limit is None:
            continue
        part = None if used is None or not limit else float(abs(used) / limit)
        rows.append((-1.0 if part is None else part, name, unit, used, limit))
    for part, name, unit, used, limit in sorted(rows, reverse=True, key=lambda row: row[0]):
        tone = "bad" if part >= 0.9 else "warn" if part >= 0.6 else "good" if part >= 0 else ""
        sheet.row("in_use", [
            words.phrase(name), [_measured(used, unit, page), "dim" if used is None else ""],
            _measured(limit, unit, page),
            ["" if part < 0 else f"{part * 100:.0f}%", tone,
             {"bar": round(min(1.0, max(0.0, part)) * 100, 1)}],
        ])  # fmt: skip


def _measured(value: Decimal | None, unit: str, page: TelemetrySnapshot) -> str:
    """Write a limit or its use, with its unit."""
    if value is None:
        return words.NONE
    if unit == "lots":
        return f"{words.number(value.normalize())} {page.base}"
    if unit == "ticklots":
        return f"{words.number(value, words.money_decimals(page.quote))} {page.quote}"
    if unit == "ppm":
        return f"{words.number(value * 100, 2)}%"
    if unit == "ns":
        return words.age(int(value * 10**9))
    return words.number(value.normalize())


def orders(sheet: Sheet, page: TelemetrySnapshot, who: Mapping[str, str], now_ns: int) -> None:
    """Show the live orders, asks from the top down to bids.

    Args:
        who: by client id, who placed an order that is not the ladder's.
    """
    sheet.rows["orders"] = []
    prices, lots = words.decimals_of(page.tick_size), words.decimals_of(page.lot_size)
    for side, own in (("sell", page.own_asks), ("buy", page.own_bids)):
        for one in sorted(own, key=lambda order: -order.price_ticks):
            state = enum_name(OrderState, one.state)
            tone = "bad" if state == "unknown" else "" if state == "open" else "warn"
            name = one.client_id.decode("utf-8", "replace")
            by = who.get(name, "by hand") if one.by_hand else "ladder"
            sheet.row("orders", [
                [side, side], [words.number(page.price(one.price_ticks), prices), side],
                words.number(page.qty(one.qty_lots), lots),
                words.number(page.qty(one.filled_lots), lots) if one.filled_lots else "0",
                [words.phrase(state), tone],
                words.age(now_ns - one.created_ns if one.created_ns else None),
                [by, "ours" if one.by_hand else "dim"], [name, "code"],
            ], ident=name)  # fmt: skip
    sheet.put("orders_count", str(len(page.own_asks) + len(page.own_bids)))
