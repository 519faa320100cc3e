"""The board: who is on it, what stays in force, and what is refused."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from openmm._fast.board import (
    HEADER_BYTES,
    PAGE_BYTES,
    ROW_BYTES,
    ROWS,
    SPARE,
    BoardFault,
    OwnRow,
)
from openmm._fast.ports import NOTHING_ASK, NOTHING_BID, Neighbours
from openmm._fast.units import Side
from openmm.board import Board, Guard, Holdings, Market, Owner, Seat
from openmm.errors import BoardError

MARKET = Market("kraken", "BTC/USD")
TICK = Decimal("0.1")


def seat(board: Board, bot: str, market: Market = MARKET, tick: Decimal = TICK) -> Seat:
    """Take a row for a bot whose account has its name."""
    return board.claim(market, bot=bot, account=f"key of {bot}", tick_size=tick)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """Return a new board."""
    return Board(tmp_path / "board")


def dead(board: Board, bot: str, bid: int = NOTHING_BID, ask: int = NOTHING_ASK) -> None:
    """Put on the board what a process showed that was killed."""
    code = (
        "import os, sys\n"
        "from tests.test_board import *\n"
        "row = seat(Board(Path(sys.argv[1])), sys.argv[2]).row\n"
        "row.publish(int(sys.argv[3]), int(sys.argv[4]))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(board.path), bot, str(bid), str(ask)], check=False
    )
    assert done.returncode == -9


class TestRows:
    def test_row_tells_who_and_what(self, board: Board) -> None:
        one = board.claim(
            MARKET, bot="a", account="k", tick_size=Decimal("0.10"), group="pool", purpose="hedge"
        )
        one.row.publish(990, NOTHING_ASK)
        (row,) = board.rows()
        assert (row.bot, row.venue, row.pair, row.group) == ("a", "kraken", "BTC/USD", "pool")
        assert (row.purpose, row.tick_size, row.bid) == ("hedge", TICK, Decimal("99.0"))
        assert (row.ask_ticks, row.ask, row.holdings) == (None, None, None)
        assert row.owner == Owner.me()
        assert row.alive
        assert not row.empty

    def test_others_see_the_most_aggressive_of_all(self, board: Board) -> None:
        a, b, c = (seat(board, name) for name in "abc")
        a.row.publish(990, 1010)
        b.row.publish(995, 1020)
        assert c.row.look()
        assert (c.row.bid_ticks, c.row.ask_ticks, c.row.count) == (995, 1010, 2)
        assert not c.row.look()
        assert a.row.look()
        assert (a.row.bid_ticks, a.row.ask_ticks) == (995, 1020)
        assert [row.bot for row in c.neighbours()] == ["a", "b"]

    @pytest.mark.parametrize(
        "other", [Market("kraken", "ETH/USD"), Market("gateio", "BTC/USD")], ids=["pair", "venue"]
    )
    def test_other_markets_do_not_meet(self, board: Board, other: Market) -> None:
        seat(board, "a", other).row.publish(990, 1010)
        mine = seat(board, "b").row
        mine.look()
        assert (mine.count, mine.bid_ticks, mine.ask_ticks) == (0, NOTHING_BID, NOTHING_ASK)

    def test_endpoint_tells_simulated_venues_apart_alone(self) -> None:
        def at(endpoint: str) -> int:
            return Market("kraken", "BTC/USD", endpoint).key

        assert at("http://127.0.0.1:8001/") == at("http://127.0.0.1:8001")
        assert at("http://127.0.0.1:8001") != at("http://127.0.0.1:8002")
        assert at("https://api.kraken.com") == at("https://api.vip.kraken.com") == at("")

    def test_who_comes_later_is_seen_and_who_leaves_is_not(self, board: Board) -> None:
        mine = seat(board, "a").row
        mine.look()
        other = seat(board, "b")
        other.row.publish(990, 1010)
        assert mine.look()
        assert mine.bid_ticks == 990
        other.leave(proven=True)
        assert mine.look()
        assert mine.bid_ticks == NOTHING_BID
        assert mine.count == 0
        assert [row.bot for row in board.rows()] == ["a"]

    def test_base_sees_nobody(self) -> None:
        off = Neighbours()
        assert not off.on
        assert not off.look()
        assert (off.bid_ticks, off.ask_ticks) == (NOTHING_BID, NOTHING_ASK)


class TestHoldings:
    HELD = Holdings(5, 8, 2, 1 << 90, -7, 3, 4, 6, tuple(range(SPARE)))

    def test_holdings_come_back_whole(self, board: Board) -> None:
        one = seat(board, "a")
        one.row.tell(self.HELD)
        assert board.rows()[0].holdings == self.HELD
        one.row.tell(self.HELD._replace(base_atoms=-1))
        told = board.rows()[0].holdings
        assert told is not None
        assert told.base_atoms == -1

    def test_value_that_does_not_fit_changes_nothing(self, board: Board) -> None:
        one = seat(board, "a")
        one.row.tell(self.HELD)
        with pytest.raises(OverflowError):
            one.row.tell(self.HELD._replace(quote_atoms=1 << 130))
        assert board.rows()[0].holdings == self.HELD

    def test_torn_holdings_are_told_as_unknown_and_prices_stay(self, board: Board) -> None:
        one = seat(board, "a")
        one.row.publish(990, 1010)
        one.row.tell(self.HELD)
        board.page.poke(HEADER_BYTES + 320, struct.pack("<Q", 3))  # its writer ended within
        (row,) = board.rows()
        assert row.holdings is None
        assert row.bid_ticks == 990
        one.row.tell(self.HELD)
        assert board.rows()[0].holdings == self.HELD

    def test_never_torn_under_a_writer_that_goes_on(self, board: Board) -> None:
        code = (
            "import sys\n"
            "from tests.test_board import *\n"
            "row = seat(Board(Path(sys.argv[1])), 'a').row\n"
            "print(flush=True)\n"
            "for i in range(1, 10**9):\n"
            "    row.tell(Holdings(i, 8, 2, i, i, i, i, i, (i,) * SPARE))\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, str(board.path)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            seen: list[int] = []
            while len(set(seen)) < 10 or len(seen) < 2_000:
                held = board.rows()[0].holdings
                if held is not None:
                    assert {*held[3:8], *held.spare, held.updated_ns} == {held.updated_ns}
                    seen.append(held.updated_ns)
            writer.kill()
        assert seen == sorted(seen)


class TestOwners:
    def test_row_of_a_killed_bot_stays_in_force(self, board: Board) -> None:
        dead(board, "a", 990, 1010)
        (row,) = board.rows()
        assert not row.alive
        assert row.bid_ticks == 990
        mine = seat(board, "b").row
        mine.look()
        assert (mine.bid_ticks, mine.ask_ticks) == (990, 1010)

    def test_next_run_takes_over_and_keeps_the_prices_until_settled(self, board: Board) -> None:
        dead(board, "a", 990, 1010)
        again, other = seat(board, "a").row, seat(board, "b").row
        assert len(board.rows()) == 2
        assert again.kept == (990, 1010)
        again.publish(980, 1005)
        other.look()
        assert (other.bid_ticks, other.ask_ticks) == (990, 1005)
        again.settle()
        again.publish(980, NOTHING_ASK)
        other.look()
        assert (other.bid_ticks, other.ask_ticks) == (980, NOTHING_ASK)

    def test_next_run_with_another_account_leaves_the_old_row_in_force(self, board: Board) -> None:
        dead(board, "a", 990, 1010)
        mine = board.claim(MARKET, bot="a", account="another key", tick_size=TICK).row
        mine.look()
        assert len(board.rows()) == 2
        assert mine.bid_ticks == 990

    def test_pid_used_again_and_an_earlier_boot_are_dead(self, board: Board) -> None:
        me = Owner.me()
        assert me.alive
        assert not Owner(me.pid, me.start + 1, me.boot).alive
        assert not Owner(me.pid, me.start, me.boot + 1).alive

    def test_same_bot_and_account_twice_is_refused(self, board: Board) -> None:
        code = (
            "import sys\n"
            "from tests.test_board import *\n"
            "try:\n    seat(Board(Path(sys.argv[1])), 'a')\n"
            "except BoardError as error:\n    sys.exit(str(error))\n"
        )
        seat(board, "a")
        done = subprocess.run(
            [sys.executable, "-c", code, str(board.path)], check=False, capture_output=True
        )
        assert f"a runs as process {os.getpid()}" in done.stderr.decode()

    def test_forget_takes_off_the_dead_alone(self, board: Board) -> None:
        dead(board, "a", 990, 1010)
        mine = seat(board, "b")
        with pytest.raises(BoardError, match="b runs"):
            board.forget("b")
        with pytest.raises(BoardError, match="'c' is not on the board"):
            board.forget("c")
        assert [row.bot for row in board.forget("a")] == ["a"]
        mine.row.look()
        assert mine.row.count == 0
        assert [row.bot for row in board.rows()] == ["b"]


class TestRefused:
    def test_full_board_is_refused_and_empty_dead_rows_make_room(self, board: Board) -> None:
        dead(board, "empty")
        dead(board, "resting", 990)
        for i in range(ROWS - 2):
            seat(board, f"bot{i}")
        assert seat(board, "one").row.index == 0  # the empty one's
        with pytest.raises(BoardError, match=r"full: 128 rows, 1 of bots that run no .* --forget"):
            seat(board, "another")
        assert "resting" in {row.bot for row in board.rows()}

    def test_another_tick_on_the_same_market_is_refused(self, board: Board) -> None:
        seat(board, "a")
        with pytest.raises(BoardError, match=r"a counts BTC/USD in ticks of 0.1, not 0.01"):
            seat(board, "b", tick=Decimal("0.01"))
        seat(board, "b", tick=Decimal("0.100"))

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"x", "not a board of this build"),
            (b"y" * PAGE_BYTES, "not a board"),
            (None, "a board of version 9, this build's is 1"),
        ],
        ids=["size", "magic", "version"],
    )
    def test_file_that_is_no_board_is_refused(
        self, tmp_path: Path, content: bytes | None, said: str
    ) -> None:
        path = tmp_path / "board"
        if content is None:
            Board(path).page.poke(8, struct.pack("<I", 9))
        else:
            path.write_bytes(content)
        with pytest.raises(BoardError, match=said):
            Board(path)
        assert content is None or path.read_bytes() == content

    def test_folder_that_is_not_there_and_text_too_long_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(BoardError, match="cannot be opened"):
            Board(tmp_path / "none" / "board")
        with pytest.raises(BoardError, match="bot is longer than 48 bytes"):
            seat(Board(tmp_path / "board"), "b" * 49)

    def test_row_must_be_claimed(self, board: Board) -> None:
        with pytest.raises(ValueError, match="is not claimed"):
            OwnRow(board.page, 0)
        with pytest.raises(ValueError, match="row must be 0 to"):
            OwnRow(board.page, ROWS)


class TestBroken:
    """What is found while it runs: from then on every order would meet a neighbour."""

    PRICES = HEADER_BYTES + ROW_BYTES + 64  # of the second row

    @pytest.mark.parametrize(
        ("at", "value", "fault"),
        [
            (0, 0, BoardFault.FAULT_HEADER),
            (8, 2, BoardFault.FAULT_HEADER),
            (PRICES, -1, BoardFault.FAULT_PRICE),
            (PRICES, (1 << 40) + 1, BoardFault.FAULT_PRICE),
            (PRICES + 8, 0, BoardFault.FAULT_PRICE),
            (PRICES + 8, (1 << 40) + 1, BoardFault.FAULT_PRICE),
        ],
    )
    def test_damage_lets_nothing_pass(
        self, board: Board, at: int, value: int, fault: BoardFault
    ) -> None:
        mine, other = seat(board, "a"), seat(board, "b")
        other.row.publish(990, 1010)
        assert mine.row.look()
        assert mine.fault() == ""
        board.page.poke(at, struct.pack("<q", value))
        assert mine.row.look()
        assert (mine.row.bid_ticks, mine.row.ask_ticks) == (NOTHING_ASK, 0)
        assert mine.row.fault == fault
        assert mine.fault()
        board.page.poke(at, struct.pack("<q", 990))
        assert not mine.row.look()
        assert mine.row.ask_ticks == 0

    def test_own_row_taken_lets_nothing_pass(self, board: Board) -> None:
        mine = seat(board, "a")
        mine.row.look()
        board.page.free(mine.row.index)
        assert mine.row.look()
        assert mine.row.fault == BoardFault.FAULT_ROW_LOST
        assert mine.row.ask_ticks == 0

    def test_file_gone_or_replaced_is_told(self, board: Board) -> None:
        mine = seat(board, "a")
        assert mine.fault() == ""
        board.path.unlink()
        assert "the board is gone" in mine.fault()
        Board(board.path)
        assert "the board was replaced" in mine.fault()

    def test_half_made_file_is_made_again(self, tmp_path: Path) -> None:
        path = tmp_path / "board"
        path.write_bytes(bytes(PAGE_BYTES))
        assert Board(path).rows() == []


class TestGuard:
    """Orders that leave one by one: the hedge's."""

    def test_order_that_would_meet_a_bots_is_told_and_not_shown(self, board: Board) -> None:
        bot, hedge = seat(board, "bot").row, seat(board, "hedge")
        guard = Guard(hedge)
        bot.publish(990, 1010)
        assert guard.enter(1, Side.BUY, 1009) == 0
        assert guard.enter(2, Side.BUY, 1010) == 1010
        assert hedge.row.shown == (1009, NOTHING_ASK)
        assert guard.enter(1, Side.BUY, 1011) == 1010
        assert hedge.row.shown == (1009, NOTHING_ASK)  # as it was
        guard.leave(1)
        guard.leave(1)
        assert guard.enter(3, Side.SELL, 990) == 990
        assert guard.enter(3, Side.SELL, 991) == 0
        bot.look()
        assert (bot.bid_ticks, bot.ask_ticks) == (NOTHING_BID, 991)

    def test_orders_of_its_own_do_not_meet_either(self, board: Board) -> None:
        guard = Guard(seat(board, "hedge"))
        assert guard.enter(1, Side.SELL, 1000) == 0
        assert guard.enter(2, Side.BUY, 1000) == 1000
        assert guard.enter(2, Side.BUY, 999) == 0
        assert guard.enter(3, Side.SELL, 999) == 999

    def test_what_an_earlier_run_left_counts_until_it_is_settled(self, board: Board) -> None:
        dead(board, "hedge", 995, 1005)
        bot = seat(board, "bot").row
        guard = Guard(seat(board, "hedge"))
        guard.keep(1, Side.BUY, 990)
        bot.look()
        assert (bot.bid_ticks, bot.ask_ticks) == (995, 1005)
        guard.settle()
        bot.look()
        assert (bot.bid_ticks, bot.ask_ticks) == (990, NOTHING_ASK)

    def test_board_that_cannot_be_read_lets_nothing_out(self, board: Board) -> None:
        guard = Guard(seat(board, "hedge"))
        board.page.poke(0, b"nonsense")
        assert guard.enter(1, Side.BUY, 5) == -1
        assert guard.enter(1, Side.SELL, 5) == -1

    def test_row_left_with_orders_open_stays_until_they_are_proven_gone(self, board: Board) -> None:
        mine, other = seat(board, "a"), seat(board, "b").row
        mine.row.publish(990, NOTHING_ASK)
        mine.leave(proven=False)
        other.look()
        assert other.bid_ticks == 990
        again = Board(board.path)
        assert not again.proven(MARKET, bot="b", account="key of b")  # it runs
        assert not again.proven(MARKET, bot="a", account="another")
        assert again.proven(MARKET, bot="a", account="key of a")
        assert not again.proven(MARKET, bot="a", account="key of a")
        other.look()
        assert other.bid_ticks == NOTHING_BID

    def test_who_has_left_writes_no_more(self, board: Board) -> None:
        mine = seat(board, "a")
        mine.leave(proven=True)
        again = Board(board.path)
        later = seat(again, "later")
        assert later.row.index == mine.row.index
        mine.row.publish(1, 2)
        assert later.row.shown == (NOTHING_BID, NOTHING_ASK)
        assert again.rows()[0].empty


class TestStuck:
    def test_lock_that_another_holds_for_good_is_waited_for_no_longer_than_a_look_may_take(
        self, board: Board
    ) -> None:
        mine = seat(board, "one")
        with open(board.path, "rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(BoardError, match="does not go on"):
                board.rows()
            with pytest.raises(BoardError, match="does not go on"):
                mine.neighbours()
        assert [row.bot for row in board.rows()] == ["one"]

    def test_row_that_another_process_took_lets_nothing_through_any_more(
        self, board: Board
    ) -> None:
        mine = seat(board, "one")
        mine.row.settle()
        mine.row.look()
        assert mine.fault() == ""
        # As by a process that took ours for a dead one: it sees other processes' numbers.
        board.page.take_over(mine.row.index, 1, 2, 3)
        mine.row.look()
        assert mine.row.fault == BoardFault.FAULT_ROW_LOST
        assert "taken" in mine.fault()
        assert (mine.row.bid_ticks, mine.row.ask_ticks) == (NOTHING_ASK, NOTHING_BID)
