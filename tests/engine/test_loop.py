"""The end of a session: what is left armed, and what is told, when nothing could be proven."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from openmm._fast.checks import RiskState
from openmm.engine import loop
from openmm.engine.loop import EXIT_DONE, EXIT_FAILED, Engine

SECOND = 1_000_000_000


def winding_down(*, closed: bool) -> tuple[int, list[bool]]:
    """Wind an engine down whose orders are proven gone, or not."""
    sent: list[bool] = []

    async def answer(value: bool) -> bool:
        return value

    async def disarm() -> None:
        sent.append(False)

    parts: Any = SimpleNamespace(
        config=SimpleNamespace(dead_man_ns=60_000_000_000),
        exit_code=EXIT_DONE,
        _proof=SimpleNamespace(close_all=lambda: answer(closed), settle=lambda: answer(True)),
        _traffic=SimpleNamespace(disarm_dead_man=disarm),
        tables=SimpleNamespace(monitor=SimpleNamespace(state=RiskState.RUNNING)),
    )
    asyncio.run(Engine._wind_down(parts))
    return parts.exit_code, sent


@pytest.mark.parametrize(
    ("closed", "code", "sent"), [(True, EXIT_DONE, [False]), (False, EXIT_FAILED, [])]
)
def test_dead_mans_switch_stays_armed_unless_everything_is_proven_closed(
    closed: bool, code: int, sent: list[bool]
) -> None:
    assert winding_down(closed=closed) == (code, sent)


@pytest.mark.parametrize(("step_s", "halted"), [(-3, True), (3, True), (-1, False)])
def test_step_of_the_machines_clock_past_the_limit_halts(
    step_s: int, halted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CLOCK_LOOK_S", 0.0)
    monkeypatch.setattr(loop, "CLOCK_LOOKS", 3)
    steps = iter([0, step_s * SECOND, 0, 0])
    alerts: list[str] = []
    trips: list[str] = []
    anchors: list[int] = []
    measured: list[int] = []

    async def measure() -> None:
        measured.append(len(anchors))

    def stepped() -> int:
        try:
            return next(steps)
        except StopIteration:
            raise asyncio.CancelledError from None

    def anchor() -> int:
        anchors.append(step_s * SECOND)
        return anchors[-1]

    parts: Any = SimpleNamespace(
        config=SimpleNamespace(risk=SimpleNamespace(max_clock_offset_ns=2 * SECOND)),
        _proof=SimpleNamespace(measure_clock=measure),
        _clock=SimpleNamespace(stepped_ns=stepped, anchor=anchor, now_ns=lambda: 7),
        _alert=lambda _severity, text: alerts.append(text),
        _handle=lambda requests: None,
        step=SimpleNamespace(trip=lambda text, _now_ns: trips.append(text)),
    )
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(Engine._watch_clock(parts))
    told = [f"the machine's clock stepped by {step_s}.000 s"] if halted else []
    assert trips == alerts == told
    # At once after a step, and by the way every third look: anchored, then compared to the venue.
    assert measured == ([1, 2] if halted else [1])
