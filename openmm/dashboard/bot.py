"""The page of one bot."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final, final

from fastapi import Request
from nicegui import ui

from openmm.control.access import Client, Scope
from openmm.dashboard import marks, shape, tables, words
from openmm.dashboard.acts import Acts, said
from openmm.dashboard.page import ROOT, Desk, Job, Page, frame, skeleton, text, tools
from openmm.dashboard.parts import Text, button, dialog, table, why_not
from openmm.dashboard.patch import Sheet
from openmm.errors import OpenMMError
from openmm.telemetry import TelemetrySnapshot

RECENT: Final = 900  # points sent one by one; older ones thinned
DEPTH_EVERY: Final = 2  # ticks
REASONS_MAX: Final = 40


@final
class BotPage:
    """One bot, for one client."""

    def __init__(self, desk: Desk, request: Request, client: Client, bot: str) -> None:
        self._page = Page(desk, request, client)
        self._desk = desk
        self._bot = bot
        self._acts = Acts(desk.calls, client, bot, self._page.soon)
        self._by_hand: set[bytes] = set()
        self._who: dict[str, str] = {}
        self._points = -1
        self._marks = 0
        self._filled = -1
        self._trouble = ""
        self._session = ""
        self._ticks = 0
        self._depth = ""
        self._old_marks: list[list[Any]] = []
        self._page.tab = "orders"

    def build(self) -> None:
        """Put the page together."""
        frame(f"{self._bot} · OpenMM")
        page = self._page
        with ui.element("header").classes("bar-top omm"):
            skeleton(marks.bot_head().replace("{fleet}", f"{ROOT}/"), "headed")
            ui.element("div").classes("grow")
            tools(page.client, keys=self._acts.keys)
            with ui.element("div").classes("deeds"):
                self._acts.buttons()
        skeleton(
            '<div class="note trouble" role="alert"><span data-k="trouble"></span></div>'
            '<div class="note why" role="status"><span data-k="why"></span></div>'
        )
        with ui.element("main").classes("page bot omm live"):
            with ui.element("div").classes("col"):
                skeleton(marks.bot_left())
                self._plot("Depth", "depth")
            with ui.element("div").classes("col"):
                self._plot("Price, quotes and fills", "price", windows=True)
                with ui.element("div").classes("two-plots"):
                    self._plot("Net P&L", "net", "small")
                    self._plot("Inventory", "inventory", "small")
                skeleton(marks.bot_tabs())
            skeleton(marks.bot_right(), "col right")
        ui.run_javascript(f"document.body.dataset.fleet='{ROOT}/'")
        ui.on("omm_tab", self._select)
        ui.on("omm_row", self._row)
        self._read()
        page.begin(self._tick)

    def _plot(self, title: str, kind: str, size: str = "", *, windows: bool = False) -> None:
        with ui.element("section").classes("panel") as made:
            made.props["aria-label"] = title
            aside = ""
            if windows:
                aside = "".join(
                    f'<button class="btn small" type="button" data-window="{minutes}" '
                    f'aria-pressed="{"true" if minutes == 15 else "false"}">{minutes} min</button> '
                    for minutes in (5, 15, 60)
                )
            skeleton(f"<h2>{title.replace('&', '&amp;')}<span>{aside}</span></h2>")
            chart = ui.echart({"series": []}).classes(f"plot {size or kind}")
            chart.props["role"] = "img"
            chart.props["aria-label"] = title
            ui.run_javascript(f"omm.plot('{kind}',{chart.id})")

    # ------------------------------------------------------------------ what it reads

    def _read(self) -> None:
        of = {"bot": self._bot}
        sheet = self._page.sheet

        def limits(answer: Any) -> None:
            shape.limits(sheet, answer)

        def causes(answer: Any) -> None:
            _renew(sheet, "causes")
            tables.causes(sheet, answer)

        def orders(answer: Any) -> None:
            self._who = tables.owners(answer)

        def fills(answer: Any) -> None:
            _renew(sheet, "fills")
            tables.fills(sheet, answer)
            self._remember(answer)

        def incidents(answer: Any) -> None:
            _renew(sheet, "incidents")
            tables.incidents(sheet, answer)

        def audit(answer: Any) -> None:
            tables.audit(sheet, answer, "audit", self._bot)

        self._page.jobs += [
            Job("limits", of, 10.0, limits, tab="risk", problem="risk"),
            Job("pnl", {**of, "hours": "24"}, 30.0, causes, least_s=8.0),
            Job("orders", {**of, "limit": 100}, 60.0, orders, problem="orders"),
            Job("fills", {**of, "limit": 100, "hours": "24"}, 20.0, fills, problem="fills",
                least_s=3.0),
            Job("incidents", {**of, "limit": 100, "hours": "24"}, 15.0, incidents,
                problem="incidents"),
            Job("audit", {"limit": 200}, 5.0, audit, tab="audit", problem="audit"),
        ]  # fmt: skip

    def _remember(self, answer: Any) -> None:
        """Put fills from before the feed's first look on the plot, once."""
        if self._old_marks:
            return
        track = self._desk.feed.tracks.get(self._bot)
        since_ms = track.marks[0].ts_ms if track is not None and track.marks else 1 << 62
        self._old_marks = [
            [one["ts_ns"] // 1_000_000, float(one["price"]), one["side"] == "buy"]
            for one in reversed(answer.get("fills", ()))
            if one["ts_ns"] // 1_000_000 < since_ms
        ]
        if self._old_marks:
            news = {"points": [], "marks": self._old_marks}
            ui.run_javascript(f"omm.history({text(news)})")

    # ------------------------------------------------------------------ what it shows

    def _tick(self, sheet: Sheet) -> str:
        self._ticks += 1
        # Asked each time: the operator may have taken the bot from this client.
        mine = self._page.client.sees(self._bot)
        track = self._desk.feed.tracks.get(self._bot) if mine else None
        now_ns = self._desk.clock()
        if track is None:
            sheet.put("bot", self._bot)
            sheet.put("state", "unreadable", "bad")
            sheet.put("why", self._desk.feed.problems.get(self._bot, "no such bot any more"))
            sheet.more["alive"] = False
            return ""
        known = shape.Known(track.state, now_ns)
        shape.head(sheet, known, self._bot)
        word = known.condition[0]
        sheet.more["title"] = f"{self._bot} · {word} · OpenMM"
        page = known.page
        if page is None:
            return ""
        shape.ladder(sheet, page)
        shape.inventory(sheet, page)
        shape.in_use(sheet, page)
        shape.orders(sheet, page, self._who, now_ns)
        shape.money(sheet, page)
        shape.quotes(sheet, page)
        shape.latencies(sheet, page)
        shape.venues(sheet, page)
        if page.counters.filled != self._filled or page.session != self._session:
            self._filled, self._session = page.counters.filled, page.session
            self._page.soon("fills", "pnl")
        by_hand = {one.client_id for one in (*page.own_bids, *page.own_asks) if one.by_hand}
        if by_hand != self._by_hand:
            # Who placed them is on no page: the bot is asked once, not again and again.
            self._by_hand = by_hand
            self._page.soon("orders")
        if page.incident != self._trouble:
            self._trouble = page.incident
            self._page.soon("incidents")
        return self._history() + self._show_depth(page)

    def _history(self) -> str:
        track = self._desk.feed.tracks[self._bot]
        if self._points < 0 or track.point_count < self._points:
            points = list(track.points)
            points = [*points[:-RECENT:4], *points[-RECENT:]]
            news: dict[str, Any] = {"fresh": True, "marks": [*map(_mark, track.marks)]}
            news["marks"] = self._old_marks + news["marks"]
        else:
            count = track.point_count - self._points
            marked = track.mark_count - self._marks
            if not count and not marked:
                return ""
            points = list(islice(track.points, max(0, len(track.points) - count), None))
            news = {"marks": [_mark(one) for one in list(track.marks)[len(track.marks) - marked :]]}
        self._points, self._marks = track.point_count, track.mark_count
        news["points"] = [list(one) for one in points]
        return f"omm.history({text(news)});"

    def _show_depth(self, page: TelemetrySnapshot) -> str:
        if self._ticks % DEPTH_EVERY:
            return ""
        told = text(depth(page))
        if told == self._depth:
            return ""
        self._depth = told
        return f"omm.depth({told});"

    # ------------------------------------------------------------------ what is clicked

    def _select(self, event: Any) -> None:
        tab = str((event.args or {}).get("tab", ""))
        if tab in dict(marks.TABS):
            self._page.tab = tab

    async def _row(self, event: Any) -> None:
        told = event.args or {}
        if told.get("table") in ("orders", "fills") and isinstance(told.get("id"), str):
            await self.order(told["id"][:80])

    async def order(self, order: str) -> None:
        """Show an order's life and its reasons."""
        client, calls = self._page.client, self._desk.calls
        args = {"bot": self._bot, "order": order}
        with dialog(f"Order {order}", "drawer", side=True) as shown:
            Text("h2", f"Order {order}")
            body = ui.element("div").style("display:grid;gap:10px")
            with body:
                waiting = Text("p", "looking…", "dim")
            with ui.element("div").classes("foot"):
                cancel = "Cancel this order"
                button(
                    cancel,
                    lambda: self._acts.brake("cancel", "Cancel", {"order": order}),
                    why_not=why_not(client, Scope.BRAKE),
                )
                button(
                    "HALT", lambda: self._acts.brake("halt", "Halt", {}), "halt",
                    why_not=why_not(client, Scope.BRAKE),
                )  # fmt: skip
                button("Close", shown.close).props["autofocus"] = True
        # Its life is in the ledger at once; its reasons may take a replay of the journal.
        for action, show in (("order", _life), ("explain", _why)):
            try:
                answer, wrong = await calls.read(client, action, args, 1.0), ""
            except OpenMMError as error:
                answer, wrong = {}, said(error)
            if body.is_deleted:
                return  # closed meanwhile
            if action == "order":
                body.clear()
            else:
                waiting.delete()
            with body:
                if wrong:
                    Text("p", wrong, "warned")
                else:
                    show(answer)
                if action == "order":
                    Text("h3", "Why")
                    waiting = Text("p", "reading the journal…", "dim")


def _life(one: dict[str, Any]) -> None:
    summary = (
        f"{one['side']} {words.number(one['qty'])} at {words.number(one['price'])}, "
        f"{words.phrase(one['state'])}, filled {words.number(one['filled'])}"
    )
    Text("p", summary)
    level = "" if one.get("level") is None else f"level {one['level']} · "
    ids = f"{level}number {one.get('order')} · at the venue {one.get('venue_order_id') or '–'}"
    Text("p", ids, "dim")
    Text("h3", "Transitions")
    table(("time, UTC", "event", "state", ">order", "evidence"), tables.life(one))


def _why(told: dict[str, Any]) -> None:
    found = tables.reasons(told)
    if len(found) > REASONS_MAX:
        Text("p", f"the newest {REASONS_MAX} of {len(found)}; openmm explain tells all", "dim")
    for when, title, terms in [*found[:1], *found[1:][-(REASONS_MAX - 1) :]]:
        with ui.element("div").classes("act"):
            Text("div", when, "dim")
            Text("div", title)
            if terms:
                with ui.element("div").classes("terms"):
                    for name, value in terms:
                        with ui.element("div"):
                            Text("span", name)
                            Text("span", value)
    if told.get("not_replayed"):
        Text("p", f"not replayed: {told['not_replayed']}", "warned")


def _mark(one: Any) -> list[Any]:
    return [one.ts_ms, one.price, one.buy]


def _renew(sheet: Sheet, name: str) -> None:
    sheet.rows[name] = []


def depth(page: TelemetrySnapshot) -> dict[str, list[list[float]]]:
    """Return cumulative quantity by price of both sides, and our orders on it; for the plot."""
    out: dict[str, list[list[float]]] = {"bids": [], "asks": [], "ours": []}
    for side, book, own in (
        ("bids", page.book_bids, page.own_bids), ("asks", page.book_asks, page.own_asks),
    ):  # fmt: skip
        total = 0
        at: dict[int, int] = {}
        for one in book:
            total += one.qty_lots
            at[one.price_ticks] = total
            out[side].append([float(page.price(one.price_ticks)), float(page.qty(total))])
        out["ours"] += [
            [float(page.price(one.price_ticks)), float(page.qty(at[one.price_ticks]))]
            for one in own if one.price_ticks in at
        ]  # fmt: skip
    out["bids"].reverse()
    return out
