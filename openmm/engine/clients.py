"""What clients use up of what they were granted: orders a minute, notional an order and an hour.

The engine counts for itself, whatever a surface in front of it has counted already. What was used
is in a file of the bot's folder before an order leaves, so that a restart forgives nothing.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, final

import orjson
from msgspec import Struct

from openmm.errors import CommandError
from openmm.whole import write_whole

log = logging.getLogger(__name__)

MINUTE_NS: Final = 60_000_000_000
HOUR_NS: Final = 60 * MINUTE_NS
CLIENTS_MAX: Final = 256
# Of one client within the hour; a cap of more orders than this a minute cannot be kept.
USES_MAX: Final = 20_000
CAPS: Final = ("orders_per_minute", "order_notional", "notional_per_hour")


class Caps(Struct, frozen=True):
    """What a client may use; money in the quote asset. None: none at all."""

    orders_per_minute: int = 0
    order_notional: Decimal | None = None
    notional_per_hour: Decimal | None = None


def read_caps(told: Mapping[str, str]) -> Caps:
    """Read caps as a caller tells them.

    Raises:
        CommandError: an unknown cap, or one that is no number of zero or more.
    """
    found: dict[str, Any] = {}
    for name, text in told.items():
        if name not in CAPS:
            raise CommandError(f"caps are {', '.join(CAPS)}; got {name!r}", code="bad_caps")
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal("NaN")
        whole = name == "orders_per_minute"
        if not value.is_finite() or value < 0 or (whole and value != value.to_integral_value()):
            kind = "a whole number" if whole else "an amount"
            raise CommandError(f"{name} is {kind} of zero or more; got {text!r}", code="bad_caps")
        found[name] = int(value) if whole else value
    return Caps(**found)


class Use(Struct):
    """One order of a client."""

    ts_ns: int
    notional: Decimal


@final
class ClientUses:
    """Hold what each client used within the last hour.

    Args:
        path: of the file; None: kept in memory alone.
        now_ns: what is an hour old by then is forgotten.
    """

    def __init__(self, path: Path | None, now_ns: int) -> None:
        self._path = path
        self._uses: dict[str, deque[Use]] = {}
        self._closed_until_ns = 0
        if path is not None:
            self._read(path, now_ns)
            self._write_all(path)

    def check(self, client: str, caps: Caps, notional: Decimal, now_ns: int) -> None:
        """Refuse an order that would pass a cap.

        Raises:
            CommandError: it would (`over_cap`), with the cap, its value and the value seen.
        """
        uses = self._recent(client, now_ns)
        minute = sum(1 for one in uses if one.ts_ns > now_ns - MINUTE_NS) + 1
        hour = sum((one.notional for one in uses), notional)
        if now_ns < self._closed_until_ns:
            raise CommandError(
                f"what {client} used of its caps cannot be read: no order before an hour is over",
                code="over_cap", details={"cap": "notional_per_hour"},
            )  # fmt: skip
        if len(uses) >= USES_MAX or (client not in self._uses and len(self._uses) >= CLIENTS_MAX):
            raise CommandError(
                f"{client}: more orders or clients within an hour than are counted",
                code="over_cap", details={"cap": "orders_per_minute"},
            )  # fmt: skip
        for cap, limit, seen in (
            ("order_notional", caps.order_notional, notional),
            ("orders_per_minute", Decimal(caps.orders_per_minute), Decimal(minute)),
            ("notional_per_hour", caps.notional_per_hour, hour),
        ):
            if limit is None or seen > limit:
                most = "none was granted" if limit is None else f"at most {limit:f}"
                raise CommandError(
                    f"over the cap {cap} of {client}: {most}, this would be {seen:f}",
                    code="over_cap",
                    details={"cap": cap, "limit": f"{limit or 0:f}", "value": f"{seen:f}"},
                )

    def note(self, client: str, notional: Decimal, now_ns: int) -> None:
        """Count an order, before it leaves.

        Raises:
            CommandError: it cannot be put on disk (`not_counted`): it is not to leave.
        """
        try:
            self._append(client, now_ns, notional)
        except OSError as error:
            raise CommandError(
                f"what {client} uses of its caps cannot be written down: {error.strerror}",
                code="not_counted",
            ) from None
        self._uses.setdefault(client, deque()).append(Use(now_ns, notional))

    def take_back(self, client: str) -> None:
        """Forget the order counted last: it did not leave."""
        use = self._uses[client].pop()
        try:
            self._append(client, use.ts_ns, -use.notional)
        except OSError as error:
            # After a restart it counts: on the safe side.
            log.warning("not written down (%s): %s", error.strerror, self._path)

    def used(self, client: str, now_ns: int) -> dict[str, str]:
        """Return what a client has used: orders of the last minute, notional of the last hour."""
        uses = self._recent(client, now_ns)
        minute = sum(1 for one in uses if one.ts_ns > now_ns - MINUTE_NS)
        hour = sum((one.notional for one in uses), Decimal(0))
        return {"orders_per_minute": str(minute), "notional_per_hour": f"{hour:f}"}

    def _recent(self, client: str, now_ns: int) -> deque[Use]:
        for name in [*self._uses]:
            uses = self._uses[name]
            while uses and uses[0].ts_ns <= now_ns - HOUR_NS:
                uses.popleft()
            if not uses:
                del self._uses[name]
        return self._uses.get(client, deque())

    # ------------------------------------------------------------------ the file

    def _read(self, path: Path, now_ns: int) -> None:
        try:
            whole = path.read_bytes()
        except FileNotFoundError:
            return
        lines, _, torn = whole.rpartition(b"\n")
        if torn:
            # Cut off while it was written: the order it counts did not leave.
            log.warning("a torn line is left out: %s", path)
        try:
            for line in lines.splitlines():
                told = orjson.loads(line)
                if "closed_until_ns" in told:
                    self._closed_until_ns = int(told["closed_until_ns"])
                    continue
                name, use = str(told["client"]), Use(int(told["ts_ns"]), Decimal(told["notional"]))
                if use.ts_ns <= now_ns - HOUR_NS:
                    continue
                uses = self._uses.setdefault(name, deque())
                if use.notional < 0:
                    uses.pop()
                else:
                    # A clock that was set back makes no use younger than now.
                    uses.append(Use(min(use.ts_ns, now_ns), use.notional))
        except (ValueError, KeyError, TypeError, IndexError, ArithmeticError) as error:
            log.error("damaged (%s), capped clients place nothing for an hour: %s", error, path)
            path.replace(path.with_name(path.name + ".damaged"))
            self._closed_until_ns = now_ns + HOUR_NS

    def _write_all(self, path: Path) -> None:
        lines = [
            _line(client, use.ts_ns, use.notional)
            for client, uses in self._uses.items() for use in uses
        ]  # fmt: skip
        if self._closed_until_ns:
            lines.insert(0, orjson.dumps({"closed_until_ns": self._closed_until_ns}) + b"\n")
        write_whole(path, b"".join(lines), lasting=False)

    def _append(self, client: str, ts_ns: int, notional: Decimal) -> None:
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(_line(client, ts_ns, notional))


def _line(client: str, ts_ns: int, notional: Decimal) -> bytes:
    return orjson.dumps({"ts_ns": ts_ns, "client": client, "notional": f"{notional:f}"}) + b"\n"
