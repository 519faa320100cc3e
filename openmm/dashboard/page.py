"""What every page has: the bar on top, who is there, patches, an end when one may not stay."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, final

import orjson
from fastapi import Request
from nicegui import ui

from openmm.control.access import Client
from openmm.control.door import Door
from openmm.dashboard.acts import said
from openmm.dashboard.calls import Calls
from openmm.dashboard.feed import Feed
from openmm.dashboard.parts import Text
from openmm.dashboard.patch import Sent, Sheet
from openmm.errors import OpenMMError

TICK_S: Final = 0.33
WORD_S: Final = 1.0  # at least so often the page hears that the gateway lives
GUARD_S: Final = 5.0
ROOT: Final = "/ui"


@final
class Desk:
    """What all pages share.

    Args:
        stays: tells whether the session that a page was opened in is still open.
    """

    def __init__(
        self, door: Door, calls: Calls, feed: Feed, clock: Callable[[], int],
        stays: Callable[[Request], bool],
    ) -> None:  # fmt: skip
        self.door = door
        self.calls = calls
        self.feed = feed
        self.clock = clock
        self.stays = stays


@final
class Job:
    """A read of the door that a page makes again and again.

    Args:
        age_s: after so long it is made again.
        least_s: so long it waits even when there is news.
        tab: the tab that has to be open for it; empty: always.
    """

    def __init__(
        self, action: str, args: dict[str, Any], age_s: float, show: Callable[[Any], None],
        *, tab: str = "", problem: str = "", least_s: float = 2.0,
    ) -> None:  # fmt: skip
        self.action = action
        self.args = args
        self.age_s = age_s
        self.show = show
        self.tab = tab
        self.problem = problem
        self.least_s = least_s
        self.due_s = 0.0
        self.last_s = 0.0
        self.busy = False


@final
class Page:
    """One open page: what it was sent, and what it reads."""

    def __init__(self, desk: Desk, request: Request, client: Client) -> None:
        self.desk = desk
        self.client = client
        self.sheet = Sheet()  # of the door's answers, which come more seldom than the ticks
        self.jobs: list[Job] = []
        self.tab = ""
        self._request = request
        self._sent = Sent()
        self._word_s = 0.0
        self._guard_s = time.monotonic() + GUARD_S
        self._guarding = False
        self._ended = False

    def soon(self, *actions: str) -> None:
        """Read again what these actions tell; without any, everything."""
        for job in self.jobs:
            if not actions or job.action in actions:
                job.due_s = min(job.due_s, job.last_s + job.least_s)

    def begin(self, tick: Callable[[Sheet], str]) -> None:
        """Start the page's beat.

        Args:
            tick: fills a sheet with what is to be shown; returns further script to run.
        """

        async def beat() -> None:
            if not self._ended:
                await self._beat(tick)

        ui.timer(TICK_S, beat)

    async def _beat(self, tick: Callable[[Sheet], str]) -> None:
        now_s = time.monotonic()
        self.desk.feed.watch()
        if now_s >= self._guard_s and not self._guarding:
            await self._guard()
            if self._ended:
                return
        for job in self.jobs:
            if not job.busy and now_s >= job.due_s and job.tab in ("", self.tab):
                job.busy = True
                job.last_s, job.due_s = now_s, now_s + job.age_s
                ui.timer(0, _once(self._read, job), once=True)
        sheet = Sheet()
        for kind in ("text", "tone", "bar", "rows", "more"):
            getattr(sheet, kind).update(getattr(self.sheet, kind))
        more = tick(sheet)
        news = self._sent.difference(sheet)
        if not news and not more and now_s - self._word_s < WORD_S:
            return
        self._word_s = now_s
        ui.run_javascript(f"omm.put({text(news)});{more}")

    async def _read(self, job: Job) -> None:
        trouble = ""
        try:
            answer = await self.desk.calls.read(
                self.client, job.action, job.args, job.least_s * 0.9
            )
        except OpenMMError as error:
            trouble = said(error)
        else:
            job.show(answer)
        finally:
            job.busy = False
        if job.problem:
            self.sheet.put(f"problem_{job.problem}", trouble)

    async def _guard(self) -> None:
        """End the page of one who logged out, or whom the operator took out."""
        self._guarding = True
        try:
            self.client = await self.desk.calls.client(self.client)
            stays = self.desk.stays(self._request)
        except OpenMMError as error:
            stays = error.code != "unauthenticated"
        finally:
            self._guarding = False
            self._guard_s = time.monotonic() + GUARD_S
        if not stays:
            self._ended = True
            ui.run_javascript("omm.end();location.reload()")


def _once(call: Callable[[Job], Awaitable[None]], job: Job) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        await call(job)

    return run


def text(value: Any) -> str:
    """Write a value as script."""
    return orjson.dumps(value).decode()


def skeleton(markup: str, kind: str = "") -> None:
    """Put markup of ours on the page; values come into it as texts."""
    made = ui.html(markup, sanitize=False)
    made.classes(f"omm {kind}")


def frame(title: str) -> None:
    """Set up what every page has in its head, and the banner of a lost connection."""
    ui.page_title(title)
    ui.add_head_html(
        f'<link rel="stylesheet" href="{ROOT}/static/omm.css">'
        f'<script src="{ROOT}/static/omm.js"></script>'
    )
    skeleton(
        '<div class="note gone" role="alert">Connection lost: nothing below is current. '
        "The bots trade on; trying again…</div>"
    )


def tools(client: Client, *, keys: Callable[[], None] | None) -> None:
    """Show who is there, the colours, the keys, the way out."""
    with ui.element("div").classes("tools"):
        scopes = ", ".join(sorted(one.value for one in client.scopes))
        Text("span", client.name, "name").props["title"] = f"may: {scopes}"
        if keys is not None:
            known = Text("button", "?", "btn bare")
            known.props.update({"type": "button", "data-deed": "help", "aria-label": "keys"})
            known.on("click", keys)
        for ident, label, name in (("theme", "◐", "colours"), ("logout", "Log out", "log out")):
            made = Text("button", label, "btn bare")
            made.props.update(
                {"type": "button", "id": ident, "aria-label": name, "title": name}
            )  # fmt: skip
