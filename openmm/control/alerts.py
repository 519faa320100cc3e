"""The alert book: what is amiss, and who took note of it; one file for all processes of a host.

Rules open, renew and close alerts; the door lists them and takes note. An alert is one condition of
one bot, told by its rule and subject: however often it is seen, it stays one as long as it lasts.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from openmm.control.home import Home
from openmm.control.plain import iso
from openmm.control.turn import take_turn
from openmm.errors import ControlError
from openmm.whole import write_whole

OPEN_MAX: Final = 1_000
CLOSED_KEPT: Final = 200
TEXT_CHARS_MAX: Final = 500
BUSY_S: Final = 2.0


class Rule(Struct, frozen=True):
    """What is watched, for those who list the alerts."""

    name: str
    severity: str
    text: str


class Alert(Struct):
    """One condition. `closed_ns` 0: it lasts; `acknowledged_ns` 0: nobody took note.

    Args:
        subject: what of the bot it is, such as a venue; a rule has one open alert of each.
        seen_count: how often it was seen.
        told_count: how often it was sent to people; for who sends it.
        told_ns: when it was sent last.
        mark: what was seen of it last, where more of the same is news.
        fresh_ns: since when it is as grave, and of that mark; nobody who took note before knew.
        told: when each channel was told last.
        resolved: the channels that were told that it has passed.
    """

    id: str
    rule: str
    severity: str
    bot: str
    subject: str
    text: str
    opened_ns: int
    seen_ns: int
    seen_count: int = 1
    told_count: int = 0
    told_ns: int = 0
    acknowledged_by: str = ""
    acknowledged_ns: int = 0
    closed_ns: int = 0
    mark: str = ""
    fresh_ns: int = 0
    told: dict[str, int] = {}
    resolved: list[str] = []


class Book(Struct):
    """All that the file holds."""

    alerts: list[Alert] = []
    rules: list[Rule] = []

    def open(self) -> list[Alert]:
        """List the conditions that last, oldest first."""
        return [one for one in self.alerts if not one.closed_ns]

    def see(
        self, rule: str, severity: str, bot: str, subject: str, text: str, now_ns: int
    ) -> Alert:  # fmt: skip
        """Note that a condition is there; the same one twice is one alert.

        A graver one than before counts as new: nobody has taken note of that.
        """
        for one in self.open():
            if (one.rule, one.bot, one.subject) == (rule, bot, subject):
                if one.severity != severity:
                    one.severity, one.acknowledged_by, one.acknowledged_ns = severity, "", 0
                one.text, one.seen_ns = text[:TEXT_CHARS_MAX], now_ns
                one.seen_count += 1
                return one
        made = Alert(
            f"al-{secrets.token_hex(4)}", rule, severity, bot, subject, text[:TEXT_CHARS_MAX],
            now_ns, now_ns,
        )  # fmt: skip
        self.alerts.append(made)
        return made

    def close(self, alert: Alert, now_ns: int) -> None:
        """Note that a condition has passed."""
        alert.closed_ns = now_ns


def read(home: Home) -> Book:
    """Return the book as it is now.

    Raises:
        ControlError: it is damaged (`alerts_damaged`).
    """
    return _read(_path(home))


@contextmanager
def changing(home: Home) -> Iterator[Book]:
    """Hold the book against others for a block, and write what the block left of it.

    Raises:
        ControlError: it is damaged (`alerts_damaged`) or another process holds it (`busy`).
        OSError: it cannot be written.
    """
    path = home.make() / _path(home).name
    fd = os.open(
        path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
    )
    try:
        if not take_turn(fd, BUSY_S):
            raise ControlError(
                f"another process holds the alert book: {path}", code="busy", retryable=True
            )
        book = _read(path)
        yield book
        lasting = book.open()[-OPEN_MAX:]
        passed = sorted((one for one in book.alerts if one.closed_ns), key=lambda a: a.closed_ns)
        book.alerts = [*passed[-CLOSED_KEPT:], *lasting]
        write_whole(path, msgspec.json.encode(book), lasting=False)
    finally:
        os.close(fd)


def listed(home: Home) -> dict[str, Any]:
    """List the open alerts of the bots in sight, newest first, the last that passed, the rules."""
    book = read(home)
    seen = [one for one in book.alerts if _in_sight(home, one)]
    lasting = [one for one in seen if not one.closed_ns]
    passed = sorted((one for one in seen if one.closed_ns), key=lambda one: -one.closed_ns)
    return {
        "alerts": [shown(one) for one in reversed(lasting)],
        "passed": [shown(one) for one in passed[:20]],
        "unacknowledged": sum(not one.acknowledged_ns for one in lasting),
        "rules": [msgspec.to_builtins(one) for one in book.rules],
    }


def acknowledge(home: Home, alert: str, who: str, now_ns: int) -> dict[str, Any]:
    """Take note of an open alert: it is not sent again. Twice changes nothing.

    Raises:
        ControlError: there is no such alert in sight (`no_alert`).
    """
    with changing(home) as book:
        for one in book.open():
            if one.id == alert and _in_sight(home, one):
                if not one.acknowledged_ns:
                    one.acknowledged_by, one.acknowledged_ns = who, now_ns
                return {"alert": shown(one)}
        known = [one.id for one in book.open() if _in_sight(home, one)][-20:]
    raise ControlError(
        f"no open alert {alert[:40]!r}; open are: {', '.join(known) or 'none'}", code="no_alert",
        hint="the action alerts lists them",
    )  # fmt: skip


def shown(alert: Alert) -> dict[str, Any]:
    """Return an alert as data."""
    return {
        **msgspec.to_builtins(alert),
        "opened": iso(alert.opened_ns), "seen": iso(alert.seen_ns),
        "acknowledged": iso(alert.acknowledged_ns), "closed": iso(alert.closed_ns),
    }  # fmt: skip


def _in_sight(home: Home, alert: Alert) -> bool:
    """Tell whether an alert is of a bot in sight; those of the host are everybody's."""
    return not alert.bot or "*" in home.only or alert.bot in home.only


def _path(home: Home) -> Path:
    return home.state / "alerts.json"


def _read(path: Path) -> Book:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Book)
    except FileNotFoundError:
        return Book()
    except msgspec.DecodeError as error:
        raise ControlError(
            f"the alert book is damaged ({error}): {path}", code="alerts_damaged",
            hint="the operator puts it aside; what lasts is found again",
        ) from None  # fmt: skip
