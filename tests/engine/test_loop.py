"""The end of a session: what is left armed, and what is told, when nothing could be proven."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from openmm._fast.checks import RiskState
from openmm.engine.loop import EXIT_DONE, EXIT_FAILED, Engine


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
