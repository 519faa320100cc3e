"""Turns at a file: one at a time, and nobody waits for ever."""

from __future__ import annotations

import os
from pathlib import Path

from openmm.control.turn import take_turn


def test_a_turn_is_one_at_a_time_and_waiting_has_an_end(tmp_path: Path) -> None:
    first, second = (os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT) for _ in range(2))
    try:
        assert take_turn(first, 0.0)
        assert not take_turn(second, 0.01)
    finally:
        os.close(first)
    assert take_turn(second, 0.0)
    os.close(second)
