"""The terminal dashboard: a list of bots, and one bot whole. It reads pages, and asks the door."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Static

from openmm.control.access import LOCAL
from openmm.control.client import send_command
from openmm.control.door import Door
from openmm.control.home import Home
from openmm.engine.commands import Incidents
from openmm.errors import OpenMMError
from openmm.top import draw
from openmm.top.dialogs import Confirm, Help
from openmm.top.source import Watched, uses

EVERY_S = 0.5
INCIDENTS_EVERY_NS = 5_000_000_000
# From here on everything of a bot is on one screen.
WIDE, HIGH = 130, 40
SURFACE = "top"
WHAT = {
    "pause": ("Its quotes are withdrawn until it is resumed.", "pause"),
    "halt": ("Every order is cancelled; it quotes no more until it is resumed.", "halt"),
    "resume": ("It quotes again.", "resume"),
}
CSS = """
Screen { background: $background; }
#head { height: 1; }
#body { height: 1fr; }
#market { height: 1fr; }
#side { width: 1fr; height: 1fr; }
#ladder { width: 1.15fr; height: 1fr; }
#right { width: 1fr; }
.panel { border-top: solid $primary; border-title-color: $text; padding: 0 0 0 1; height: auto; }
#ladder, #chart { height: 1fr; }
.page { display: none; }
.on { display: block; }
DataTable { height: 1fr; }
#note { height: auto; padding: 0 1; color: $text-muted; }
Confirm, Help { align: center middle; background: $background 60%; }
#dialog { width: 66; max-width: 96%; height: auto; border: heavy $primary; padding: 0 1;
          background: $surface; }
#dialog.help { width: 78; }
#answers { height: 3; align-horizontal: right; }
#answers Button { margin: 0 1; }
"""


class FleetScreen(Screen[None]):
    """Every bot of the host in a line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "down", show=False),
        Binding("k", "up", show=False),
    ]

    def __init__(self, watched: list[Watched], where: str) -> None:
        super().__init__()
        self._watched, self._where = watched, where

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        yield Static(Text(f" openmm top  {self._where}", "bold"), id="head")
        yield DataTable(cursor_type="row", zebra_stripes=False)
        yield Static(id="note")
        yield Footer()

    def on_mount(self) -> None:
        """Make the columns."""
        table: DataTable[str | Text] = self.query_one(DataTable)
        names = draw.fleet([])[0]
        right = ("equity", "P&L", "position", "fills")
        for name in names:
            label = Text(str(name), justify="right" if name in right else "left")
            table.add_column(label, key=str(name))
        table.focus()
        self.draw()

    def draw(self) -> None:
        """Write what is known by now."""
        table: DataTable[str | Text] = self.query_one(DataTable)
        names, *rows = draw.fleet(self._watched)
        for one, row in zip(self._watched, rows, strict=True):
            cells = [
                cell
                if isinstance(cell, Text)
                else Text(cell, justify="right" if at > 3 else "left")
                for at, cell in enumerate(row)
            ]
            if one.name not in table.rows:
                table.add_row(*cells, key=one.name)
                continue
            for name, cell in zip(names, cells, strict=True):
                table.update_cell(one.name, str(name), cell, update_width=True)
        if not self._watched:
            self.query_one("#note", Static).update("no bot ever ran here: openmm run bot.toml")

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Open the bot."""
        app = self.app
        assert isinstance(app, Top)
        app.open(str(event.row_key.value))

    def action_down(self) -> None:
        """Choose the next bot."""
        self.query_one(DataTable).action_cursor_down()

    def action_up(self) -> None:
        """Choose the bot before."""
        self.query_one(DataTable).action_cursor_up()


class BotScreen(Screen[None]):
    """One bot whole."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "page(1)", "pages", key_display="1-4"),
        Binding("2", "page(2)", show=False),
        Binding("3", "page(3)", show=False),
        Binding("4", "page(4)", show=False),
        Binding("p", "ask('pause')", "pause"),
        Binding("r", "ask('resume')", "resume"),
        Binding("h", "ask('halt')", "halt"),
        Binding("tab", "next", show=False, priority=True),
        Binding("escape", "back", "fleet"),
    ]

    def __init__(self, watched: Watched, door: Door, clock: Callable[[], int]) -> None:
        super().__init__()
        self.watched = watched
        self._door = door
        self._clock = clock
        self._page = 1
        self._incidents: list[dict[str, Any]] | None = None
        self._why = ""
        self._asked_ns = 0

    def compose(self) -> ComposeResult:
        """Lay out the panels; a narrow screen shows a page of them."""
        yield Static(id="head")
        with Horizontal(id="body"):
            with Horizontal(id="market", classes="page p1"):
                yield self._panel("ladder", "our orders on the book")
                with Vertical(id="right"):
                    yield self._panel("stock", "inventory and P&L")
                    yield self._panel("limits", "limits in use")
                    yield self._panel("chart", "reference • our ask ▔ bid ▁")
            with VerticalScroll(id="side", classes="page p2 p3 p4"):
                yield self._panel("venues", "venues", "page p2")
                yield self._panel("latency", "latency by stage", "page p2")
                yield self._panel("orders", "orders", "page p3")
                yield self._panel("fills", "fills", "page p3")
                yield self._panel("counters", "since the start", "page p3")
                yield self._panel("incidents", "incidents", "page p4")
        yield Footer()

    @staticmethod
    def _panel(name: str, title: str, classes: str = "") -> Static:
        panel = Static(id=name, classes=f"panel {classes}")
        panel.border_title = title
        return panel

    def on_mount(self) -> None:
        """Show the first page."""
        self._arrange()

    def on_resize(self) -> None:
        """Show as much as there is room for."""
        self._arrange()

    @property
    def whole(self) -> bool:
        """Whether there is room for everything at once."""
        return self.size.width >= WIDE and self.size.height >= HIGH

    def _arrange(self) -> None:
        for panel in self.query(".page"):
            panel.set_class(self.whole or panel.has_class(f"p{self._page}"), "on")
        self.call_after_refresh(self.draw)

    def draw(self) -> None:
        """Write what is known by now."""
        one = self.watched
        self.query_one("#head", Static).update(draw.head(one))
        if not one.view or one.state is None:
            self.query_one("#ladder", Static).update(self._absent())
            return
        view = one.view
        found = uses(view, one.state.session)
        inventory = next((use for use in found if use.name == "inventory"), None)
        ladder, chart = self.query_one("#ladder", Static), self.query_one("#chart", Static)
        ladder.update(draw.ladder(view, ladder.content_size.height))
        self.query_one("#stock", Static).update(draw.stock(view, inventory))
        self.query_one("#limits", Static).update(
            draw.limits(found, self.query_one("#limits").content_size.width)
        )
        room = chart.content_size
        chart.update(draw.chart(one.points, room.width - 12, room.height))
        self.query_one("#venues", Static).update(draw.venues(view))
        self.query_one("#latency", Static).update(draw.latency(view))
        self.query_one("#orders", Static).update(draw.orders(view))
        self.query_one("#fills", Static).update(draw.fills(view, 8))
        self.query_one("#counters", Static).update(draw.counters(view))
        if self.whole or self._page == 4:
            self._ask_incidents()
        self.query_one("#incidents", Static).update(
            draw.incidents(self._incidents, self._why, view["incident"])
        )

    def _absent(self) -> Text:
        state = self.watched.state
        why = "" if state is None else state.page_error or ""
        return Text(f"{self.watched.name} shows nothing: {why or 'it has not started yet'}")

    def _ask_incidents(self) -> None:
        """Ask the bot for its incidents now and then, beside the drawing."""
        now_ns = self._clock()
        if now_ns - self._asked_ns < INCIDENTS_EVERY_NS:
            return
        self._asked_ns = now_ns
        self.run_worker(self._fetch_incidents, thread=True, group="incidents", exclusive=True)

    def _fetch_incidents(self) -> None:
        try:
            told = send_command(self.watched.run_dir, Incidents("all"), surface=SURFACE)
        except OpenMMError as error:
            self.app.call_from_thread(self._got, self._incidents, str(error))
        else:
            self.app.call_from_thread(self._got, told["incidents"], "")

    def _got(self, found: list[dict[str, Any]] | None, why: str) -> None:
        self._incidents, self._why = found, why

    def action_page(self, number: int) -> None:
        """Show a page."""
        self._page = number
        self._arrange()

    def action_back(self) -> None:
        """Go back to the fleet."""
        app = self.app
        assert isinstance(app, Top)
        app.close_bot()

    def action_next(self) -> None:
        """Go to the next bot."""
        app = self.app
        assert isinstance(app, Top)
        app.open_next(self.watched.name)

    def action_ask(self, action: str) -> None:
        """Ask whether an action is meant, then send it through the door."""
        self.run_worker(lambda: self._prepare(action), thread=True, group="commands")

    def _prepare(self, action: str) -> None:
        """Get the preview that an action needs, beside the drawing; then ask."""
        text, yes = WHAT[action]
        lines, token = [text], ""
        if action == "resume":
            try:
                shown = self._door.preview(LOCAL, action, self._args(), surface=SURFACE)
            except OpenMMError as error:
                self.app.call_from_thread(self._tell, str(error), False)
                return
            token = shown["preview"]
            lines += [f"{row['key']}: {row['before']} -> {row['after']}" for row in shown["diff"]]
            lines += [str(line) for line in shown["warnings"]]
        confirm = Confirm(f"{action} {self.watched.name}?", lines, yes)

        def answered(agreed: bool | None) -> None:
            if agreed:
                self.run_worker(lambda: self._send(action, token), thread=True, group="commands")

        self.app.call_from_thread(self.app.push_screen, confirm, answered)

    def _args(self) -> dict[str, Any]:
        return {"bot": self.watched.name}

    def _send(self, action: str, token: str) -> None:
        args = self._args() | {"reason": "by hand, openmm top"}
        if action == "resume":
            # The very arguments that were previewed.
            args = self._args()
        try:
            told = self._door.call(LOCAL, action, args, surface=SURFACE, preview=token)
        except OpenMMError as error:
            self.app.call_from_thread(self._tell, str(error), False)
            return
        state = str(told.get("risk_state", "done")).lower()
        self.app.call_from_thread(self._tell, f"{self.watched.name}: {state}", True)

    def _tell(self, text: str, good: bool) -> None:
        self.notify(text, severity="information" if good else "error", timeout=6, markup=False)


class Top(App[None]):
    """The application: looks at every bot twice a second, and shows the fleet or one of it."""

    CSS = CSS
    ENABLE_COMMAND_PALETTE = False
    TITLE = "openmm top"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(
        self, home: Home, bot: str | None = None, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        super().__init__()
        self.home = home
        self.door = Door(home)
        self._clock = clock
        self._first = bot
        self.watched: list[Watched] = []

    def on_mount(self) -> None:
        """Open the fleet, and the one bot that is meant or the only one there is."""
        self._look()
        self.push_screen(FleetScreen(self.watched, str(self.home.root)))
        first = self._first
        if first is None and len(self.watched) == 1:
            first = self.watched[0].name
        if first is not None:
            self.open(first)
        self.set_interval(EVERY_S, self.refresh_all)

    def _look(self) -> None:
        known = {one.name for one in self.watched}
        self.watched += [
            Watched(run_dir) for run_dir in self.home.bots() if run_dir.bot not in known
        ]
        now_ns = self._clock()
        for one in self.watched:
            one.look(now_ns)

    def refresh_all(self) -> None:
        """Look at every bot and draw what is shown of it, under a dialog too."""
        self._look()
        for screen in self.screen_stack:
            if isinstance(screen, FleetScreen | BotScreen) and screen.is_mounted:
                screen.draw()

    def open(self, name: str) -> None:
        """Show one bot."""
        for one in self.watched:
            if one.name == name:
                self.push_screen(BotScreen(one, self.door, self._clock))

    def close_bot(self) -> None:
        """Show the fleet."""
        self.pop_screen()

    def open_next(self, name: str) -> None:
        """Show the bot after another one."""
        names = [one.name for one in self.watched]
        after = names[(names.index(name) + 1) % len(names)]
        if after != name:
            self.pop_screen()
            self.open(after)

    def action_help(self) -> None:
        """Show the keys."""
        if not isinstance(self.screen, Help):
            self.push_screen(Help())
