"""How the gateway says no: one JSON shape, the right status, never a trace."""

from __future__ import annotations

import math
from typing import Any, Final

import orjson
from msgspec import Struct
from starlette.responses import Response

from openmm.errors import (
    CommandError,
    ConfigError,
    ControlError,
    JournalError,
    LedgerError,
    OpenMMError,
    RiskError,
    TelemetryError,
    VenueError,
)

# Words whose status is not that of their class. What a caller can mend is a 4xx; 503 and 504 say
# that something behind the gateway (a bot, a venue, the disk) did not do its part.
STATUS: Final = {
    "unauthenticated": 401,
    "forbidden": 403,
    "denied": 403,
    "over_cap": 403,
    "looser": 422,
    "bad_argument": 422,
    "unknown_bot": 404,
    "unknown_order": 404,
    "unknown_alert": 404,
    "no_bot": 404,
    "not_found": 404,
    "rate_limited": 429,
    "busy": 429,
    "timeout": 504,
    "unavailable": 503,
    "audit": 503,
}
BY_KIND: Final[tuple[tuple[type[OpenMMError], int], ...]] = (
    (ControlError, 409),  # preview_required, preview_used, key_reused, not_running, …
    (CommandError, 409),
    (RiskError, 409),
    (ConfigError, 422),
    (VenueError, 503),
    (TelemetryError, 503),
    (JournalError, 503),
    (LedgerError, 503),
)
HINTS: Final = {
    "unauthenticated": "send Authorization: Bearer TOKEN; openmm token add NAME makes one",
    "not_running": "GET /api/bots lists the bots and which of them run",
    "timeout": "look at the state before asking again; a write told again with its "
    "Idempotency-Key happens once",
}


class Refusal(Exception):
    """A request that is not carried out.

    Args:
        code: a word for machines (docs/gateway.md).
        hint: what to do next.
        retry_after_s: when to try again; None: not by waiting.
    """

    def __init__(
        self, status: int, code: str, message: str, hint: str = "", *,
        retry_after_s: float | None = None, headers: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.retry_after_s = retry_after_s
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, Any]:
        """The one JSON shape of every refusal."""
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint}}

    def response(self) -> Response:
        """Return it as an answer."""
        headers = dict(self.headers)
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="openmm"'
        return Response(
            orjson.dumps(self.body), self.status, headers, media_type="application/json"
        )


def refusal_of(error: OpenMMError) -> Refusal:
    """Return one of our errors as the answer it deserves."""
    code = str(error.code)
    status = STATUS.get(code)
    if status is None:
        status = next((one for kind, one in BY_KIND if isinstance(error, kind)), 409)
    hint = getattr(error, "hint", "") or HINTS.get(code, "")
    retry_s: float | None = None
    if status in (429, 503):
        told_s = error.retry_after_s if isinstance(error, ControlError) else 0.0
        retry_s = told_s or 1.0
    return Refusal(status, code, str(error), hint, retry_after_s=retry_s)


class Answer(Struct, frozen=True):
    """One row of the documentation: a status and when it is given."""

    status: int
    when: str


ANSWERS: Final = (
    Answer(400, "the request is not HTTP as it should be"),
    Answer(401, "no token, or a wrong one"),
    Answer(403, "the scope is missing, a cap is passed, or the request comes from another site"),
    Answer(404, "no such bot, order or path"),
    Answer(405, "the path does not take this method"),
    Answer(408, "the body did not arrive in time"),
    Answer(409, "not as things are: preview missing, used or stale, key reused, bot not running"),
    Answer(413, "the body is over the limit"),
    Answer(414, "the address is over the limit"),
    Answer(415, "the body is not application/json"),
    Answer(422, "an argument is unknown, missing or out of bounds"),
    Answer(429, "too many requests; Retry-After tells when to ask again"),
    Answer(431, "the headers are over the limit"),
    Answer(503, "a venue, a file or the gateway cannot serve this now"),
    Answer(504, "a bot or a venue did not answer in time"),
)
