"""The loop of the alerts: look at the bots, keep the alert book, tell people.

What is to be told follows from the book alone, and is entered there once it is told. So a gateway
that is killed loses nothing, and tells nothing twice but what it was killed in the middle of. All
that is due on a channel goes in one message, one at a time, so many a minute: there is no storm.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import shutil
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias, final

from fastapi import FastAPI
from msgspec import Struct

from openmm.control import alert_rules, alerts
from openmm.control.alert_file import RULES, AlertFile, Channel, alerts_path, load_alerts
from openmm.control.alert_rules import Found
from openmm.control.door import Door
from openmm.control.home import Home
from openmm.control.views import Fleet, look
from openmm.errors import CommandError, ConfigError, ControlError, OpenMMError
from openmm.gateway.send import send

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
MINUTE_NS: Final = 60_000_000_000
BACKOFF_NS: Final = tuple(s * 1_000_000_000 for s in (2, 5, 15, 60, 300))
# Between two messages of one alert on a channel, however often it gets worse.
AGAIN_NS: Final = MINUTE_NS
# What passed is told of for so long, if it could not be before.
PASSED_NS: Final = 10 * MINUTE_NS
QUEUE_MAX: Final = 64
LINES_MAX: Final = 20
FAILING: Final = 3
STOP_S: Final = 5.0
Send: TypeAlias = Callable[[str, str, str, str], str]


class Message(Struct, frozen=True):
    """What goes to one channel at once: `parts` are alerts' ids and whether they have passed."""

    channel: Channel
    title: str
    body: str
    kind: str
    parts: tuple[tuple[str, bool], ...]


class _Line(Struct):
    """How one channel does. `waiting`: a message is under way."""

    waiting: bool = False
    failures: int = 0
    next_ns: int = 0
    why: str = ""
    sent: deque[int] = deque()


@final
class Post:
    """Send messages in a thread of its own; what became of them is asked for."""

    def __init__(self, send_one: Send = send) -> None:
        self._send = send_one
        self._asked: queue.Queue[Message | None] = queue.Queue(QUEUE_MAX)
        self._done: queue.Queue[tuple[Message, str]] = queue.Queue()
        self.answered = threading.Event()  # something was sent, or could not be
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="alerts", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> bool:
        """Take a message; False: there is no room for it now."""
        try:
            self._asked.put_nowait(message)
        except queue.Full:
            return False
        return True

    def done(self) -> list[tuple[Message, str]]:
        """Return what was sent since the last question: "" or why it was not delivered."""
        self.answered.clear()
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._done.get_nowait())
        return found

    def close(self) -> None:
        """Let the message under way go out, and end; what waits is due at the next start."""
        self._closing.set()
        with contextlib.suppress(queue.Full):
            self._asked.put_nowait(None)
        self._thread.join(STOP_S)

    def _work(self) -> None:
        while (message := self._asked.get()) is not None and not self._closing.is_set():
            try:
                url = message.channel.url()
            except OpenMMError as error:
                why = str(error)
            else:
                why = self._send(url, message.title, message.body, message.kind)
            self._done.put((message, why))
            self.answered.set()


@final
class Watch:
    """Look, enter, tell: one `tick` a second, by whatever clock."""

    def __init__(self, home: Home, path: Path, post: Post) -> None:
        self._home = home
        self._path = path
        self._post = post
        self._fleet = Fleet()
        self._file = AlertFile(RULES)
        self._mark: tuple[int, ...] | None = None
        self._bad_file = ""
        self._since: dict[tuple[str, str, str], int] = {}
        self._lines: dict[str, _Line] = {}

    @property
    def waiting(self) -> bool:
        """Whether a message is under way."""
        return any(line.waiting for line in self._lines.values())

    def tick(self, now_ns: int) -> None:
        """Do all that is due.

        Raises:
            ControlError: the book is damaged or held by another.
            OSError: the book cannot be written.
        """
        self._reload()
        rules = self._file.rules
        found = self._found(now_ns)
        told = self._results(now_ns)
        book = alerts.read(self._home)
        found = alert_rules.lasting(found, self._since, book, rules, now_ns)
        shown = alert_rules.listed_rules(rules)
        if told or book.rules != shown or alert_rules.enter(book, found, now_ns):
            with alerts.changing(self._home) as book:
                book.rules = shown
                for message in told:
                    _enter_told(book, message, now_ns)
                alert_rules.enter(book, found, now_ns)
        self._tell(book, now_ns)

    def close(self) -> None:
        """Enter what was sent last, and end."""
        self._post.close()
        self._fleet.close()
        now_ns = time.time_ns()
        if told := self._results(now_ns):
            with alerts.changing(self._home) as book:
                for message in told:
                    _enter_told(book, message, now_ns)

    # ------------------------------------------------------------------ look

    def _reload(self) -> None:
        try:
            info = self._path.stat()
            mark: tuple[int, ...] = (info.st_ino, info.st_mtime_ns, info.st_size, info.st_mode)
        except OSError:
            mark = ()
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._file, self._bad_file = load_alerts(self._path), ""
        except ConfigError as error:
            # What was good before stays in force.
            self._bad_file = str(error)
            log.error("alerts file: %s", error)

    def _found(self, now_ns: int) -> list[Found]:
        rules = self._file.rules
        found = alert_rules.of_disk(
            shutil.disk_usage(self._home.root).free if self._home.root.exists() else 1 << 62,
            rules, str(self._home.root),
        )  # fmt: skip
        for run_dir in self._home.bots():
            try:
                state = look(run_dir, now_ns, self._fleet)
            except (CommandError, OSError) as error:
                # Of one bot: the others are watched all the same.
                found.append(
                    Found(
                        "engine_silent", rules["engine_silent"].severity, run_dir.bot, "files",
                        f"its files cannot be read: {error}",
                    )
                )  # fmt: skip
                continue
            found += alert_rules.of_bot(state, rules, now_ns)
        if self._bad_file:
            severity = rules["alerts_file"].severity
            found.append(Found("alerts_file", severity, "", "file", self._bad_file))
        for name, line in self._lines.items():
            if line.failures >= FAILING:
                text = f"not reached, {line.failures} times: {line.why}"
                severity = rules["alerts_channel"].severity
                found.append(Found("alerts_channel", severity, "", name, text))
        return [one for one in found if rules[one.rule].enabled]

    # ------------------------------------------------------------------ tell

    def _results(self, now_ns: int) -> list[Message]:
        """Take what the thread has done; return what was delivered."""
        delivered = []
        for message, why in self._post.done():
            line = self._line(message.channel.name)
            line.waiting = False
            if why:
                line.next_ns = now_ns + BACKOFF_NS[min(line.failures, len(BACKOFF_NS) - 1)]
                line.failures += 1
                line.why = why
                log.warning("alert channel %s: %s", message.channel.name, why)
            else:
                line.failures, line.next_ns, line.why = 0, 0, ""
                delivered.append(message)
        return delivered

    def _line(self, name: str) -> _Line:
        return self._lines.setdefault(name, _Line(sent=deque()))

    def _tell(self, book: alerts.Book, now_ns: int) -> None:
        for name, channel in self._file.channels.items():
            line = self._line(name)
            while line.sent and now_ns - line.sent[0] >= MINUTE_NS:
                line.sent.popleft()
            if line.waiting or now_ns < line.next_ns or len(line.sent) >= channel.per_minute:
                continue
            due = [one for one in book.alerts if _due(one, name, self._file, now_ns)]
            if due and self._post.put(_message(channel, due)):
                line.waiting = True
                line.sent.append(now_ns)
        for gone in [name for name in self._lines if name not in self._file.channels]:
            del self._lines[gone]


def _due(one: alerts.Alert, channel: str, file: AlertFile, now_ns: int) -> bool:
    """Tell whether a channel is to hear of an alert now."""
    grade = file.grade(one.severity)
    if one.closed_ns:
        if channel in one.resolved or now_ns - one.closed_ns > PASSED_NS:
            return False
        # One that nobody could be told of while it lasted is told of all the same.
        never = not one.told and not one.acknowledged_ns
        return channel in one.told or (never and channel in grade.channels)
    if one.acknowledged_ns:
        return False
    fresh_ns = max(one.fresh_ns, one.opened_ns)
    escalated = bool(grade.escalate_ns) and now_ns - fresh_ns >= grade.escalate_ns
    if channel not in grade.channels and not (escalated and channel in grade.escalate_to):
        return False
    last_ns = one.told.get(channel)
    if last_ns is None:
        return True
    if fresh_ns > last_ns and now_ns - last_ns >= AGAIN_NS:
        return True
    return bool(grade.repeat_ns) and now_ns - last_ns >= grade.repeat_ns


def _message(channel: Channel, due: list[alerts.Alert]) -> Message:
    lasting = [one for one in due if not one.closed_ns]
    if lasting:
        order = ("info", "warning", "critical")
        kind = max((one.severity for one in lasting), key=order.index)
    else:
        kind = "resolved"
    one = (lasting or due)[0]
    what = f"{one.bot or 'host'}: {one.rule}" if len(due) == 1 else f"{len(due)} alerts"
    lines = [_line_of(alert) for alert in due[:LINES_MAX]]
    if len(due) > LINES_MAX:
        lines.append(f"and {len(due) - LINES_MAX} more: openmm alerts")
    if lasting:
        lines.append(f"take note: openmm alerts ack {one.id}")
    return Message(
        channel, f"[{kind}] {what}", "\n".join(lines), kind,
        tuple((alert.id, bool(alert.closed_ns)) for alert in due),
    )  # fmt: skip


def _line_of(one: alerts.Alert) -> str:
    where = " ".join(part for part in (one.bot or "host", one.rule, one.subject) if part)
    state = "resolved" if one.closed_ns else one.severity
    return f"{one.id} [{state}] {where}: {one.text}"


def _enter_told(book: alerts.Book, message: Message, now_ns: int) -> None:
    """Enter that a message arrived."""
    passed = dict(message.parts)
    name = message.channel.name
    for one in book.alerts:
        if one.id not in passed:
            continue
        one.told_count += 1
        one.told_ns = now_ns
        if passed[one.id]:
            one.resolved = [*one.resolved, name]
        else:
            one.told = {**one.told, name: now_ns}


# ---------------------------------------------------------------------- in the gateway


async def run(home: Home, path: Path | None = None) -> None:
    """Watch until cancelled; a look that fails is logged and tried again."""
    watch = Watch(home, path or alerts_path(), Post())
    said = ""
    try:
        while True:
            try:
                await asyncio.to_thread(watch.tick, time.time_ns())
                said = ""
            except (ControlError, OSError) as error:
                if str(error) != said:
                    said = str(error)
                    log.error("alerts: %s", error)
            await asyncio.sleep(LOOK_S)
    finally:
        await asyncio.shield(asyncio.to_thread(watch.close))


def _ended(task: asyncio.Task[None]) -> None:
    """Say at once when the watch is over before its time: from then on nobody is told."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("alerts: the watch is over, nobody is told any more: %r", error)


def mount(app: FastAPI, door: Door) -> None:
    """Watch the bots for as long as the application runs."""
    around = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(inner: FastAPI) -> AsyncIterator[Any]:
        async with around(inner) as state:
            task = asyncio.create_task(run(door.home), name="alerts")
            task.add_done_callback(_ended)
            try:
                yield state
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    app.router.lifespan_context = lifespan
