"""The page itself: its layout, its words, and that of two who race at least one sees the other."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from openmm._fast.board import HEADER_BYTES, ROW_BYTES, ROWS, BoardPage
from openmm.board import Board
from tests.test_board import MARKET, TICK


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """Return a new board."""
    return Board(tmp_path / "board")


class TestPage:
    def test_layout_is_as_documented(self, board: Board) -> None:
        """What another build reads: a change of these is a new version."""
        assert (HEADER_BYTES, ROW_BYTES, ROWS) == (64, 512, 128)
        one = board.claim(MARKET, bot="a", account="k", tick_size=TICK).row
        one.publish(990, 1010)
        raw = board.path.read_bytes()
        assert raw[:8] == b"OMMBORD1"
        row = raw[64:576]
        assert struct.unpack_from("<2q", row, 64) == (990, 1010)
        assert row[128:129] == b"a"
        assert row[176:182] == b"kraken"
        assert row[200:207] == b"BTC/USD"
        assert row[232:235] == b"0.1"
        assert row[296:301] == b"quote"

    def test_page_reads_a_free_row_as_none(self, board: Board) -> None:
        assert isinstance(board.page, BoardPage)
        assert board.page.read(5) is None


RACER = """
import sys
from tests.test_board import *
row = seat(Board(Path(sys.argv[1])), sys.argv[2]).row
print("here", flush=True)
sys.stdin.readline()
print(*row.race(int(sys.argv[4]), int(sys.argv[3]), careful=sys.argv[5] == "careful"))
"""


def raced(board: Board, rounds: int, how: str) -> list[tuple[int, int]]:
    """Let two processes race on one market; return what each says: (went on, met)."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(board.path), bot, side, str(rounds), how],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for bot, side in (("a", "1"), ("b", "2"))
    ]  # fmt: skip
    said = []
    for one in racers:
        assert one.stdout is not None
        assert one.stdout.readline() == "here\n"
    for one in racers:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    for one in racers:
        out, _ = one.communicate()
        went, met = out.split()
        said.append((int(went), int(met)))
    return said


class TestRace:
    ROUNDS = 1_000_000
    TRIES = 30  # until the two really ran at once, on a machine that does something else

    def test_never_do_both_go_on(self, board: Board) -> None:
        """Bid and ask meet; each is withdrawn at once, and shown again: millions of races."""
        for _ in range(self.TRIES):
            said = raced(board, self.ROUNDS, "careful")
            assert [met for _, met in said] == [0, 0]
            went = [went for went, _ in said]
            if min(went) > 0 and sum(went) < 2 * self.ROUNDS - 1000:
                return  # both were there at once: many saw the other, and stayed away
        pytest.fail("the two never met")

    def test_race_can_be_lost(self, board: Board) -> None:
        """Who looks before it shows its own price meets the other: the test can see it."""
        for _ in range(self.TRIES):
            if sum(met for _, met in raced(board, self.ROUNDS, "careless")):
                return
        pytest.fail("nothing of it was seen")
