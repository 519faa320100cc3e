"""A watched venue that is down when a bot starts keeps it from quoting only if it was never up."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmm._fast.book import BookState
from openmm._fast.tape import Record
from openmm.engine.rundir import RunDir
from openmm.errors import VenueError
from openmm.sim.faults import FaultScript, parse_rule
from openmm.testing.virtual import VirtualBot
from tests.e2e import crossed

# No REST call of a watched venue is answered for so long.
DOWN = FaultScript((parse_rule({"kind": "status", "on": "rest", "code": 503, "for": "30s"}),))
UP = FaultScript(())


def down(seed: int) -> FaultScript:
    """Strike every venue but the traded one, whose number is 0."""
    return DOWN if seed >= 1000 else UP


def run(folder: Path, quoted: str) -> None:
    """Let a first session end in good order, its tape taken away as its writer does."""
    bot = crossed.bot(folder, quoted, seed=1)
    bot.start()
    bot.run(2)
    assert bot.stop() == 0
    for tape in RunDir(folder, "virtual").tapes():
        tape.unlink()


def states(bot: VirtualBot) -> list[BookState]:
    return [feed.book.state for feed in bot.tables.feeds]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("quoted", ["kraken", "mexc"])
def test_bot_starts_without_answers_of_watched_venues_it_knows(tmp_path: Path, quoted: str) -> None:
    run(tmp_path, quoted)
    bot = crossed.bot(tmp_path, quoted, seed=1, faults=down)
    bot.start()
    bot.run(10)
    assert bot.tables.pipeline.placed_count > 0, "it quotes on what it has"
    told = [record.payload for record in bot.records if record.kind == Record.REC_INCIDENT]
    missing = [text for text in told if b"listed as before" in text]
    assert len(missing) == len(bot.config.venue) - 1
    bot.run(60)
    assert states(bot) == [BookState.BOOK_VERIFIED] * len(bot.config.venue)
    assert bot.stop() == 0


@pytest.mark.timeout(60)
def test_venue_never_seen_has_to_answer(tmp_path: Path) -> None:
    bot = crossed.bot(tmp_path, "kraken", seed=1, faults=down)
    with pytest.raises(VenueError, match=r"503|unavailable"):
        bot.start()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", [b"", b"{}\n", b"\xff\n{}", b'{"seen_ns":1}\nnull'])
def test_damaged_listing_is_left_aside(tmp_path: Path, text: bytes) -> None:
    run(tmp_path, "kraken")
    folder = RunDir(tmp_path, "virtual").path
    listed = sorted(folder.glob("listed-*"))
    assert len(listed) == 5
    for path in listed:
        path.write_bytes(text)
    with pytest.raises(VenueError, match=r"503|unavailable"):
        crossed.bot(tmp_path, "kraken", seed=1, faults=down).start()
