"""Questions to the venue: asked until there is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from openmm.engine.proof import Proof
from openmm.engine.step import CancelStray
from openmm.errors import TransportError


def test_stray_order_is_cancelled_though_the_first_request_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Sequence[str]] = []

    async def cancel(venue_order_ids: Sequence[str]) -> int:
        asked.append(tuple(venue_order_ids))
        if len(asked) == 1:
            raise TransportError("unreachable", venue="kraken")
        return 1

    async def at_once(_seconds: float) -> None:
        return None

    monkeypatch.setattr(asyncio, "sleep", at_once)
    rest = SimpleNamespace(cancel=cancel)
    context: Any = SimpleNamespace(trading=SimpleNamespace(rest=lambda: rest))
    asyncio.run(Proof(context).cancel_stray(CancelStray(("OLD",))))
    assert asked == [("OLD",), ("OLD",)]
