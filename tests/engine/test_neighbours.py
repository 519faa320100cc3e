"""A bot's row among the bots of its host, and the hedge's."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from openmm._fast.ports import NOTHING_BID
from openmm._fast.units import Side
from openmm.board import Board
from openmm.config.keys import Keys
from openmm.engine.hedging import Hedging
from openmm.engine.host import Host
from openmm.engine.neighbours import hedge_guard, market_of, open_board, take_seat
from openmm.errors import RiskError
from openmm.execution.hedge.messages import HedgeEnded
from openmm.sim.dialects import dialect
from openmm.testing.workload import canonical_instrument
from openmm.venues import connect
from tests.e2e import virtual
from tests.engine.test_hedging import HEDGE, UNITS, filled, hedge_desk, held, lines, until

KEYS = Keys("key", "secret", "")


def test_seat_is_taken_for_live_bots_that_look(tmp_path: Path) -> None:
    host = Host(board=tmp_path / "board")
    config = virtual.config()
    one = take_seat(config, host, canonical_instrument(), KEYS)
    assert one is not None
    (row,) = one.board.rows()
    assert (row.bot, row.pair, row.purpose) == ("virtual", "BTC/USD", "quote")
    assert row.market == market_of(config.quoted).key
    assert b"key" not in (tmp_path / "board").read_bytes()
    assert take_seat(config, host, canonical_instrument(), None) is None  # paper: it has no keys
    off = virtual.config(neighbours="off")
    assert take_seat(off, host, canonical_instrument(), KEYS) is None


def test_board_lies_beside_the_account_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    board = open_board()
    assert board.path.parent.parent == tmp_path
    assert board.path.stat().st_mode & 0o077 == 0
    carried = Host(round_trip=dialect)  # type: ignore[arg-type]
    assert take_seat(virtual.config(), carried, canonical_instrument(), KEYS) is None


@pytest.mark.asyncio
async def test_hedge_that_would_meet_a_bot_is_not_sent(tmp_path: Path) -> None:
    board = Board(tmp_path / "board")
    async with hedge_desk() as (sim, desk):
        bot = board.claim(
            market_of(desk.config.model_copy(update={"quote": HEDGE.name})), bot="bot",
            account="other", tick_size=HEDGE.tick_size,
        )  # fmt: skip
        # A bid of ours rests on the hedge venue, at which the hedge would sell.
        bot.row.publish(1 << 39, (1 << 39) + 1)
        guard = hedge_guard(desk, HEDGE, "hedge", Board(board.path))
        terms = UNITS.terms(
            unhedged_max=Decimal(1), slippage_ppm=20_000, taker_fee_ppm=400,
            resume_ns=0, book_ns_max=60_000_000_000,
        )  # fmt: skip
        async with Hedging(desk, UNITS, terms, tmp_path / "hedge.log", guard=guard) as hedging:
            await until(hedging, lambda: hedging.machine.stopped is None)
            hedging.on_fill(filled("a", Side.BUY, "0.03"))
            await until(
                hedging, lambda: any(isinstance(one, HedgeEnded) for one in lines(tmp_path))
            )
            assert held(sim) == 0
            assert guard.seat.row.shown[1] > 1 << 40  # shown no more
            # Once the bot's order is gone the hedge is sent.
            bot.row.publish(NOTHING_BID, (1 << 39) + 1)
            await until(hedging, lambda: hedging.settled)
            assert held(sim) < 0
            assert await hedging.close()
        assert [row.bot for row in board.rows()] == ["bot"]


@pytest.mark.asyncio
async def test_desk_without_keys_has_no_account() -> None:
    async with connect("kraken") as desk:
        with pytest.raises(RiskError, match="no keys"):
            _ = desk.account
