"""Many instruments of five venues in one process: nothing grows, everything is read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bench.fleet import failures, lasting_growth, run
from bench.fleet_frames import SOURCES, VENUES, timelines
from bench.fleet_sender import Plan
from openmm._fast.book import Book, BookState
from openmm._fast.ports import Count
from openmm.engine.spin import make_loop
from openmm.venues import registry

# One second of it is sent again and again, each time on a new connection.
SPAN_S, SPEED = 10.0, 10.0


@pytest.fixture(scope="module")
def found(shared: Path) -> dict[str, Any]:
    """Hold 20 instruments for a few seconds, at ten times the recorded pace."""
    plan = Plan(str(shared / "data"), SPAN_S, SPEED, per_source=1, sources=len(SOURCES))
    with asyncio.Runner(loop_factory=lambda: make_loop(False)) as runner:
        return runner.run(run(plan, 3.0, 2.5, quiet=True))


def test_nothing_grows_and_everything_sent_is_read(found: dict[str, Any]) -> None:
    assert failures(found) == []
    assert found["instruments"] == found["verified"] == len(SOURCES) * len(VENUES)
    assert found["left_unread"] == 0
    assert found["books_grown_bytes"] == 0
    # A connection that has ended leaves no task behind.
    assert found["tasks_after"] <= found["tasks_before"] + 2


def test_instruments_were_under_way_and_came_again_on_new_connections(
    found: dict[str, Any],
) -> None:
    assert found["frames"] > 1000
    assert found["connections"] >= 2 * found["instruments"]
    assert found["sender"]["frames"] >= found["frames"]


def test_run_that_grew_or_left_something_unread_fails(found: dict[str, Any]) -> None:
    for changed, told in (
        ({"grown_bytes": 1 << 30}, "memory grew"), ({"books_grown_bytes": 8}, "books grew"),
        ({"left_unread": 1}, "left unread"), ({"verified": 19}, "19 books of 20"),
        ({"faults": {"gaps": 1}}, "did not fit"),
    ):  # fmt: skip
        assert any(told in one for one in failures(found | changed))


def test_lasting_growth_is_told_from_a_buffer_that_came_and_went() -> None:
    assert lasting_growth([5, 5, 9, 5, 9, 5]) == 0
    assert lasting_growth([5, 6, 7, 8, 9, 10]) == 3


@pytest.mark.parametrize("source", SOURCES, ids=lambda one: one.file.split(".")[0])
def test_every_venue_tells_the_recorded_book(shared: Path, source: Any) -> None:
    tops: dict[str, tuple[int | None, int | None]] = {}
    for venue, line in timelines(shared / "data", source, 5.0).items():
        assert 0 <= line.verified_at < len(line.frames)
        assert list(line.due_ns) == sorted(line.due_ns)
        tops[venue] = _read(venue, source, line.frames)
    # Bitget tells of changes five times a second: it may be behind the others.
    tops.pop("bitget")
    assert len(set(tops.values())) == 1, tops


def _read(venue: str, source: Any, frames: list[bytes]) -> tuple[int | None, int | None]:
    from bench.fleet_frames import Listed, venue_config

    async def made() -> Any:
        if venue == "binance":
            return registry.connector(venue_config(venue, source), None)
        return await Listed(venue, source, 1).connector()

    book = Book(window_ticks=1 << 15, outside_levels=1 << 13)
    decoder = asyncio.run(made()).market_decoder(
        source.instrument(venue), book, depth=VENUES[venue], verify=True
    )
    decoder.decode_many(frames)
    assert book.state is BookState.BOOK_VERIFIED
    assert decoder.counters[Count.GAPS.name.lower()] == 0
    return book.best_bid_ticks, book.best_ask_ticks
