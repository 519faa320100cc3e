"""Incidents of the money: what did not add up, by how much, since when, why, and how it ended.

An incident is never edited away: it is open until evidence or an operator's named adjustment ends
it, and every change of it is told, so that journal and store hold its whole life.
"""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal
from enum import StrEnum
from typing import Any, final

from msgspec import Struct
from msgspec.structs import replace

INCIDENTS_MAX = 1000  # resolved ones beyond are dropped from memory, oldest first


class Cause(StrEnum):
    """Why the books and the venue were not of one mind."""

    UNKNOWN = "unknown"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER = "transfer"  # another movement that the venue told of
    THIRD_ASSET_FEE = "third_asset_fee"
    MISSED_FILL = "missed_fill"  # in the venue's history, never told by its stream
    FOREIGN_FILL = "foreign_fill"  # of an order that is not this bot's
    DOUBLED_FILL = "doubled_fill"  # told twice under two ids, of which the venue lists one
    UNLISTED_FILL = "unlisted_fill"  # told by the stream, not in the venue's history
    WHILE_DOWN = "while_down"  # between the end of a session and the start of this one
    OPEN_AT_VENUE = "open_at_venue"  # an order that ended here
    MISSING_AT_VENUE = "missing_at_venue"  # an order that is open here


class Incident(Struct, frozen=True):
    """One incident as it stands. `subject`: an asset, an execution's id or a venue's order id.

    `amount`: what the venue has more (positive) or less than the books; None where it is no amount.
    """

    number: int
    kind: str  # balance, fill, order
    subject: str
    asset: str
    amount: Decimal | None
    cause: Cause
    since_ns: int
    state: str  # open, resolved
    severity: str  # info, warning, critical
    text: str
    resolved_ns: int = 0
    resolution: str = ""

    @property
    def is_open(self) -> bool:
        """Whether nothing has ended it yet."""
        return self.state == "open"

    def age_ns(self, now_ns: int) -> int:
        """Return how long it lasted, or has lasted by now."""
        return (now_ns if self.is_open else self.resolved_ns) - self.since_ns

    def shown(self, now_ns: int) -> dict[str, Any]:
        """Return what people and programs are shown."""
        return {
            "number": self.number, "kind": self.kind, "subject": self.subject,
            "asset": self.asset, "amount": None if self.amount is None else f"{self.amount:f}",
            "cause": self.cause.value, "since_ns": self.since_ns, "age_ns": self.age_ns(now_ns),
            "state": self.state, "severity": self.severity, "text": self.text[:300],
            "resolution": self.resolution[:300],
        }  # fmt: skip


class IncidentMoved(Struct, frozen=True):
    """An incident opened, changed or was resolved. `alert`: people are to be told."""

    incident: Incident
    alert: bool


@final
class Incidents:
    """The incidents of one session, by number."""

    def __init__(self) -> None:
        self._all: OrderedDict[int, Incident] = OrderedDict()
        self._open: dict[tuple[str, str], int] = {}  # (kind, subject) -> number
        self._number = 0
        self._out: list[IncidentMoved] = []

    def __iter__(self) -> Any:
        """Yield them, oldest first."""
        return iter(list(self._all.values()))

    @property
    def open_count(self) -> int:
        """How many are open."""
        return len(self._open)

    def take(self) -> list[IncidentMoved]:
        """Return what changed, once."""
        out, self._out = self._out, []
        return out

    def find_open(self, kind: str, subject: str) -> Incident | None:
        """Return the open incident about something, if there is one."""
        number = self._open.get((kind, subject))
        return None if number is None else self._all[number]

    def open(
        self, kind: str, subject: str, cause: Cause, text: str, since_ns: int, *, asset: str = "",
        amount: Decimal | None = None, severity: str = "warning", alert: bool = True,
    ) -> Incident:  # fmt: skip
        """Open an incident, or bring the open one about the same up to date.

        An open one is told anew when its cause or its amount has changed; people are, when it grew.
        """
        held = self.find_open(kind, subject)
        if held is not None:
            if (held.amount, held.cause) == (amount, cause):
                return held
            before = abs(held.amount or Decimal(0))
            grew = amount is not None and abs(amount) > before
            moved = replace(held, amount=amount, cause=cause, text=text)
            return self._put(moved, alert and (grew or held.cause is not cause))
        self._number += 1
        made = Incident(
            self._number, kind, subject, asset, amount, cause, since_ns, "open", severity, text
        )
        self._open[kind, subject] = made.number
        return self._put(made, alert)

    def resolve(self, kind: str, subject: str, resolution: str, now_ns: int) -> Incident | None:
        """End the open incident about something; None when there is none."""
        number = self._open.pop((kind, subject), None)
        if number is None:
            return None
        held = self._all[number]
        return self._put(
            replace(held, state="resolved", resolved_ns=now_ns, resolution=resolution), alert=False
        )

    def note(
        self, kind: str, subject: str, cause: Cause, text: str, now_ns: int, resolution: str, *,
        asset: str = "", amount: Decimal | None = None, severity: str = "warning",
        since_ns: int | None = None,
    ) -> Incident:  # fmt: skip
        """Put on record what is explained already: people are told of warnings, not of news."""
        self._number += 1
        since_ns = now_ns if since_ns is None else since_ns
        made = Incident(
            self._number, kind, subject, asset, amount, cause, since_ns, "resolved", severity,
            text, now_ns, resolution,
        )  # fmt: skip
        return self._put(made, alert=severity != "info")

    def _put(self, one: Incident, alert: bool) -> Incident:
        self._all[one.number] = one
        if len(self._all) > INCIDENTS_MAX:
            old = next((number for number, it in self._all.items() if not it.is_open), None)
            if old is not None:
                del self._all[old]
        self._out.append(IncidentMoved(one, alert))
        return one
