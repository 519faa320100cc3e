"""A session run again is the session: every order and every fill, to the nanosecond."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from openmm.drift.again import Made, Reproduction
from openmm.drift.past import Past
from openmm.journal import JournalRecord
from tests.drift import live


def again(folder: Path, records: Sequence[JournalRecord]) -> tuple[Past, Made]:
    past = Past(records)
    made = Reproduction(past, lambda: records, folder)
    try:
        return past, made.run()
    finally:
        made.close()


@pytest.mark.parametrize("venue", ["kraken", "mexc"])
def test_a_session_on_a_recording_is_reproduced_exactly(
    tmp_path: Path, shared: Path, venue: str
) -> None:
    records = live.recorded(shared / "data") if venue == "kraken" else live.over_rest()
    past, made = again(tmp_path, records)
    assert past.apart
    assert len(past.orders) > 100
    assert len(past.fills) > 5
    assert made.orders == past.orders
    assert [(one.seq, one.price_ticks, one.qty_lots, one.told_ns) for one in made.fills] == [
        (one.seq, one.price_ticks, one.qty_lots, one.told_ns) for one in past.fills
    ]


@pytest.mark.parametrize("end", ["halted", "killed"])
def test_a_session_that_ended_badly_is_reproduced_exactly(tmp_path: Path, end: str) -> None:
    records = live.halted()
    if end == "killed":
        whole = live.synthetic(20)
        records = whole[: len(whole) * 3 // 4]
    past, made = again(tmp_path, records)
    assert past.ended == (end == "halted")
    assert made.orders == past.orders
    assert len(made.fills) == len(past.fills) > 5
    assert made.drawn == 0


def test_the_market_of_a_session_with_other_delays_is_another_session(
    tmp_path: Path, shared: Path
) -> None:
    records = live.recorded(shared / "data")
    past = Past(records)
    for one in past.sent:
        one.arrived_ns += 300_000_000
    past.told.clear()
    made = Reproduction(past, lambda: records, tmp_path)
    try:
        found = made.run()
    finally:
        made.close()
    assert found.orders != past.orders
    assert found.drawn > 0
    assert len(found.fills) > 0


def test_own_orders_in_the_book_are_taken_out_of_it(tmp_path: Path) -> None:
    records = live.synthetic()
    past, made = again(tmp_path, records)
    assert not past.apart
    assert made.orders == past.orders
    assert len(made.fills) == len(past.fills) > 20
    (tmp_path / "taken").mkdir()
    # As if they were the market's: each order would stand behind itself.
    past.steps.clear()
    other = Reproduction(past, lambda: records, tmp_path / "taken")
    try:
        assert other.run().fills != made.fills
    finally:
        other.close()
