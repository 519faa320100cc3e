"""The page of all bots."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, final

from fastapi import Request
from nicegui import ui

from openmm.control.access import Client, Scope
from openmm.dashboard import marks, shape, tables, words
from openmm.dashboard.acts import KEYS, said
from openmm.dashboard.calls import CLIENT_CALLS_MAX
from openmm.dashboard.feed import Track
from openmm.dashboard.page import ROOT, Desk, Job, Page, frame, skeleton, tools
from openmm.dashboard.parts import Text, button, dialog, why_not
from openmm.dashboard.patch import Cell, Sheet
from openmm.errors import OpenMMError

HEADLINE: Final = (
    '<div class="who"><h1>OpenMM</h1><span class="pair" data-k="bots_running"></span></div>'
)


@final
class FleetPage:
    """All bots that a client sees."""

    def __init__(self, desk: Desk, request: Request, client: Client) -> None:
        self._page = Page(desk, request, client)
        self._desk = desk

    def build(self) -> None:
        """Put the page together."""
        frame("Bots · OpenMM")
        page = self._page
        with ui.element("header").classes("bar-top omm"):
            skeleton(HEADLINE, "headed")
            ui.element("div").classes("grow")
            with ui.element("div").classes("deeds one"):
                button(
                    "HALT ALL", self._halt_all, "halt", deed="halt",
                    why_not=why_not(page.client, Scope.BRAKE), title="cancel everything (H)",
                )  # fmt: skip
            tools(page.client, keys=_keys)
        with ui.element("main").classes("page omm live"):
            skeleton(marks.fleet(), "col")

        def alerts(answer: Any) -> None:
            page.sheet.rows["alerts"] = []
            show_alerts(page.sheet, answer)

        def deeds(answer: Any) -> None:
            tables.audit(page.sheet, answer, "deeds", most=20)

        page.jobs += [
            Job("alerts", {}, 5.0, alerts, problem="alerts"),
            Job("audit", {"limit": 300}, 10.0, deeds, problem="audit"),
        ]
        ui.on("omm_row", self._row)
        page.begin(self._tick)

    def _row(self, event: Any) -> None:
        told = event.args or {}
        if told.get("table") == "alerts" and isinstance(told.get("id"), str):
            self._note(told["id"][:80])

    def _note(self, alert: str) -> None:
        """Ask once, then take note of an alert."""
        key = secrets.token_hex(16)
        with dialog("Take note of this alert?") as shown:
            Text("h2", "Take note of this alert?")
            Text("p", "It stays open while its cause lasts, and is sent to nobody any more.")
            wrong = Text("p", "", "wrong")
            wrong.props["role"] = "alert"

            async def go() -> None:
                try:
                    await self._desk.calls.write(
                        self._page.client, "acknowledge", {"alert": alert}, key
                    )
                except OpenMMError as error:
                    wrong.text = said(error)
                    return
                shown.close()
                self._page.soon("alerts")

            with ui.element("div").classes("foot"):
                button("Back", shown.close)
                confirm = button(
                    "Take note", go, "main", why_not=why_not(self._page.client, Scope.BRAKE)
                )
                confirm.props["data-confirm"] = "acknowledge"

    def _mine(self) -> dict[str, Track]:
        client = self._page.client
        tracks = self._desk.feed.tracks
        return {name: tracks[name] for name in sorted(tracks) if client.sees(name)}

    def _tick(self, sheet: Sheet) -> str:
        client = self._page.client
        problems = {
            name: told for name, told in self._desk.feed.problems.items() if client.sees(name)
        }
        show(sheet, self._mine(), problems, self._desk.clock())
        sheet.put("alerts_note", self._page.sheet.text.get("problem_alerts", ""))
        return ""

    def _halt_all(self) -> None:
        running = [name for name, track in self._mine().items() if track.state.running]
        keys = {name: secrets.token_hex(16) for name in running}
        at = ui.context.client
        with dialog("Halt all bots?") as shown:
            Text("h2", "Halt all bots?")
            names = ", ".join(running) or "none runs"
            Text("p", f"Every order of these is cancelled, and they stay halted: {names}.")
            wrong = Text("p", "", "wrong")
            wrong.props["role"] = "alert"

            async def go() -> None:
                # Beside one another: a bot that does not answer delays none that does.
                room = asyncio.Semaphore(CLIENT_CALLS_MAX["brake"])

                async def halt(name: str) -> str:
                    async with room:
                        try:
                            await self._desk.calls.write(
                                self._page.client, "halt", {"bot": name, "reason": "halt all"},
                                keys[name],
                            )  # fmt: skip
                        except OpenMMError as error:
                            return f"{name}: {said(error)}"
                    return ""

                failed = [one for one in await asyncio.gather(*map(halt, running)) if one]
                wrong.text = "; ".join(failed)
                if not failed:
                    shown.close()
                    with at:
                        ui.notify("all halted", type="positive")

            with ui.element("div").classes("foot"):
                button("Back", shown.close)
                confirm = button("Halt all", go, "halt")
                confirm.props["autofocus"] = True
                confirm.props["data-confirm"] = "halt"


def _keys() -> None:
    with dialog("Keys") as shown:
        Text("h2", "Keys")
        with ui.element("div").classes("keys"):
            for key, what in KEYS:
                if key in ("H", "T", "?", "Esc"):
                    Text("kbd", key)
                    Text("span", what)
        with ui.element("div").classes("foot"):
            button("Close", shown.close)


def show(
    sheet: Sheet, tracks: Mapping[str, Track], problems: Mapping[str, str], now_ns: int
) -> None:
    """Show the bots, a row each, and their totals by currency."""
    sheet.rows["bots"] = []
    sheet.rows["totals"] = []
    running = 0
    for name, track in tracks.items():
        known = shape.Known(track.state, now_ns)
        running += track.state.running
        sheet.row("bots", row(name, known), "" if known.alive else "quiet")
    for name, told in problems.items():
        sheet.row("bots", [
            name, ["unreadable", "bad"], "", "", "", "", "", "", "", "", "", "", [told, "text bad"],
        ], "bad")  # fmt: skip
    for cells in totals(one.state.page for one in tracks.values()):
        sheet.row("totals", cells)
    sheet.put("bots_running", f"{running} of {len(tracks)} running")
    sheet.put("bots_count", str(len(tracks) + len(problems)))
    sheet.more["alive"] = True
    sheet.more["title"] = f"{running} running · OpenMM"


def row(name: str, known: shape.Known) -> list[Cell]:
    """Return a bot's row of the overview."""
    word, tone = known.condition
    link: list[Any] = [name, "name", {"href": f"{ROOT}/bot/{name}"}]
    page = known.page
    mode = str(known.state.session.get("mode") or "")
    if page is None:
        why = known.state.page_error or "" if known.state.running else ""
        return [
            link, [word, tone], mode, "", "", "", "", "", "", "", "", "", [why, "text dim"],
        ]  # fmt: skip
    decimals = words.money_decimals(page.quote)
    net = shape.net_of(page)
    spread = words.NONE
    if page.own_bids and page.own_asks:
        ask = min(one.price_ticks for one in page.own_asks)
        bid = max(one.price_ticks for one in page.own_bids)
        spread = shape.bps(ask, bid)
    told = page.incident or (page.risk_reason if word != "running" else "")
    share = page.share_ppm / 1e4
    off = page.qty(page.q_lots)
    return [
        link, [word, tone], [page.mode, "bad" if page.mode == "live" else "info"],
        page.instrument, shape.venue_of(page),
        f"{words.number(page.money(page.equity_ticklots), decimals)} {page.quote}",
        [words.signed(net, decimals), shape.gain(net)],
        [f"{words.signed(off, words.decimals_of(page.lot_size))} {page.base}", "info",
         {"span": [0, round(share, 1)], "pin": round(page.target_ppm / 1e4, 1),
          "title": f"{words.percent(page.share_ppm, 1)} of the equity is {page.base}, "
                   f"target {words.percent(page.target_ppm, 1)}"}],
        spread, f"{len(page.own_bids)} / {len(page.own_asks)}",
        words.number(page.counters.filled), [*known.beat],
        [told, "text bad" if page.incident else "text"],
    ]  # fmt: skip


def totals(pages: Iterable[Any]) -> list[list[Cell]]:
    """Add the bots up: each currency for itself, paper and live apart. Nothing is converted."""
    sums: dict[tuple[str, str], list[Decimal]] = {}
    counts: dict[tuple[str, str], list[int]] = {}
    for page in pages:
        if page is None:
            continue
        key = (page.quote, page.mode)
        parts = [
            page.money(page.equity_ticklots), shape.net_of(page),
            page.money(page.realised_ticklots), page.money(page.unrealised_ticklots),
            page.money(page.fees_ticklots),
        ]  # fmt: skip
        before = sums.get(key, [Decimal(0)] * len(parts))
        sums[key] = [a + b for a, b in zip(before, parts, strict=True)]
        known = counts.setdefault(key, [0, 0])
        known[0] += 1
        known[1] += page.counters.filled
    found: list[list[Cell]] = []
    for quote, mode in sorted(sums):
        equity, net, realised, unrealised, fees = sums[quote, mode]
        decimals = words.money_decimals(quote)
        bots, filled = counts[quote, mode]
        found.append([
            quote, [mode, "bad" if mode == "live" else "info"], str(bots),
            words.number(equity, decimals), [words.signed(net, decimals), shape.gain(net)],
            [words.signed(realised, decimals), shape.gain(realised)],
            [words.signed(unrealised, decimals), shape.gain(unrealised)],
            words.number(fees, decimals), words.number(filled),
        ])  # fmt: skip
    return found


def show_alerts(sheet: Sheet, answer: Mapping[str, Any]) -> None:
    """Show the alerts that are open; a click on one takes note of it."""
    for one in answer.get("alerts", ()):
        who = one.get("acknowledged_by") or ""
        severity = str(one.get("severity", ""))
        sheet.row("alerts", [
            words.moment(one.get("opened_ns")),
            [severity, tables.SEVERITIES.get(severity, "warn")], str(one.get("bot", "")),
            words.phrase(one.get("rule")), [str(one.get("text", "")), "text"],
            [f"noted by {who}" if who else "open", "dim" if who else ""],
        ], ident="" if who else str(one.get("id", "")))  # fmt: skip
