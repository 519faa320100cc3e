"""Every error has its status, and one shape."""

from __future__ import annotations

import json

import pytest

from openmm.errors import (
    CommandError,
    ConfigError,
    ControlError,
    JournalError,
    LedgerError,
    OpenMMError,
    RiskError,
    TelemetryError,
    TransportError,
)
from openmm.gateway.refusals import ANSWERS, STATUS, Refusal, refusal_of

CASES: list[tuple[OpenMMError, int, str]] = [
    (ControlError("x", code="unauthenticated"), 401, "unauthenticated"),
    (ControlError("x", code="forbidden"), 403, "forbidden"),
    (ControlError("x", code="over_cap"), 403, "over_cap"),
    (ControlError("x", code="unknown_bot"), 404, "unknown_bot"),
    (ControlError("x", code="preview_expired"), 409, "preview_expired"),
    (ControlError("x", code="key_reused"), 409, "key_reused"),
    (ControlError("x", code="bad_argument"), 422, "bad_argument"),
    (ControlError("x", code="rate_limited"), 429, "rate_limited"),
    (CommandError("x", code="not_running"), 409, "not_running"),
    (CommandError("x", code="looser"), 422, "looser"),
    (CommandError("x", code="timeout"), 504, "timeout"),
    (RiskError("x"), 409, "risk"),
    (ConfigError("a.b", 1, "two"), 422, "config"),
    (TransportError("x"), 503, "transport"),
    (JournalError("x"), 503, "journal"),
    (TelemetryError("x"), 503, "telemetry"),
    (LedgerError("x"), 503, "ledger"),
    (OpenMMError("x"), 409, "error"),
]


@pytest.mark.parametrize(("error", "status", "code"), CASES)
def test_error_has_its_status_and_the_one_shape(error: OpenMMError, status: int, code: str) -> None:
    refusal = refusal_of(error)
    answer = refusal.response()
    assert (answer.status_code, refusal.code) == (status, code)
    told = json.loads(bytes(answer.body))
    assert list(told) == ["error"]
    assert sorted(told["error"]) == ["code", "hint", "message"]
    assert ("retry-after" in answer.headers) is (status in (429, 503))
    assert ("www-authenticate" in answer.headers) is (status == 401)


def test_retry_after_is_whole_seconds_and_never_too_early() -> None:
    error = ControlError("x", code="rate_limited", retry_after_s=3.2)
    assert refusal_of(error).response().headers["retry-after"] == "4"
    assert Refusal(429, "busy", "x", retry_after_s=0.1).response().headers["retry-after"] == "1"


def test_every_status_given_is_documented() -> None:
    assert set(STATUS.values()) <= {one.status for one in ANSWERS}
