"""Two bots of one owner, different accounts, on one simulated venue and pair: they never meet."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openmm import journal
from openmm._fast.checks import Reason, RiskState
from openmm._fast.tape import Record
from openmm.board import Board
from openmm.engine.replay import replay
from openmm.sim.options import SimOptions
from openmm.testing.virtual import VirtualBot
from openmm.venues.counterpart import OrderRecord, PlaceRequest
from tests.e2e import virtual

SECONDS = 60
# A market that never rests, and jumps.
FAST = {"calm_s": 1.0, "volatile_s": 60.0, "volatile_volatility": 8.0}


def bot(
    folder: Path, name: str, *, beside: VirtualBot | None = None, base: str = "1",
    neighbours: str = "refuse", seed: int = 5, board: Path | None = None,
) -> VirtualBot:  # fmt: skip
    """Make a bot with an account of its own; one holds too much, the other too little."""
    made = virtual.config(neighbours=neighbours)
    config = made.model_copy(update={"bot": made.bot.model_copy(update={"name": name})})
    return VirtualBot(
        config,
        SimOptions(
            seed=seed, maker_fee_ppm=0, taker_fee_ppm=1000, latency_ns=8_000_000,
            jitter_ns=4_000_000, balances={"BTC": Decimal(base), "USD": Decimal(60_000)},
            api_key=f"key-of-{name}", market=FAST,
        ),
        folder / name, beside=beside, board=board or folder / "board",
    )  # fmt: skip


class Meetings:
    """Watch the venue's door: orders that come in at a price another own bot's order rests at."""

    def __init__(self, bots: Sequence[VirtualBot]) -> None:
        self.met: list[tuple[int, int]] = []
        self.core = bots[0].core
        self.accounts = {one.account for one in bots}
        self._place, self._amend = self.core.place, self.core.amend
        self.core.place = self.place  # type: ignore[method-assign]
        self.core.amend = self.amend  # type: ignore[method-assign, assignment]

    def look(self, account: int, side: int, price_ticks: int | None) -> None:
        """Note it if an order of another bot stands at that price or a better one."""
        if price_ticks is None:
            return
        for other in self.accounts - {account}:
            for one in self.core.open_orders(other):
                assert one.price_ticks is not None
                sign = 1 if side == 1 else -1
                if one.side != side and sign * price_ticks >= sign * one.price_ticks:
                    self.met.append((price_ticks, one.price_ticks))

    def place(self, account: int, requests: Sequence[PlaceRequest], *args: Any, **more: Any) -> Any:
        """Look at each new order as it comes in."""
        for one in requests:
            self.look(account, one.side, one.price_ticks)
        return self._place(account, requests, *args, **more)

    def amend(self, account: int, order: OrderRecord, price: int | None, *args: Any) -> Any:
        """Look at each new price as it comes in."""
        self.look(account, order.side, price)
        return self._amend(account, order, price, *args)


def session(folder: Path, neighbours: str, seconds: int = SECONDS) -> tuple[Any, list[VirtualBot]]:
    """Run two bots to their end; returns who met whom at the venue, and the bots."""
    one = bot(folder, "one", base="0.2", neighbours=neighbours)
    two = bot(folder, "two", base="1.5", neighbours=neighbours, beside=one)
    bots = [one, two]
    watch = Meetings(bots)
    for each in bots:
        each.start()
    one.run(seconds)
    for each in reversed(bots):
        assert each.stop() in (0, 3)
    return watch, bots


def test_bots_with_crossing_wishes_never_meet_and_both_replay(tmp_path: Path) -> None:
    watch, bots = session(tmp_path, "refuse")
    assert watch.met == []
    fills = [len(one.core.fills(one.account)) for one in bots]
    assert min(fills) > 10
    refused = 0
    for one in bots:
        assert replay(one.records).identical
        kinds = [record.kind for record in one.records]
        assert kinds.count(Record.REC_NEIGHBOURS) > 20
        told = [
            journal.read_refusal(record.payload)
            for record in one.records
            if record.kind == Record.REC_REFUSAL
        ]
        refused += sum(each.reason == Reason.NEIGHBOUR for each in told)
    # What one did not see of the other changes what it does: a replay that is told otherwise tells.
    seen = next(
        at
        for at, record in enumerate(bots[0].records)
        if record.kind == Record.REC_NEIGHBOURS
        and journal.read_neighbours(record.payload).bid_ticks > 0
    )
    changed = list(bots[0].records)
    shown = journal.read_neighbours(changed[seen].payload)
    changed[seen] = changed[seen]._replace(
        payload=journal.neighbours_record(shown._replace(ask_ticks=1))
    )
    assert not replay(changed).identical
    # Both ended in good order: nobody is on the board any more.
    assert Board(tmp_path / "board").rows() == []


def test_bots_that_do_not_look_do_meet(tmp_path: Path) -> None:
    """The same session with the key off: what the test above looks for is there to be seen."""
    watch, bots = session(tmp_path, "off")
    assert len(watch.met) > 0
    assert not any(one.tables.pipeline.neighbours.on for one in bots)
    assert all(record.kind != Record.REC_NEIGHBOURS for one in bots for record in one.records)


KILLED = """
import os, sys
from pathlib import Path
from tests.e2e.test_neighbours import bot
one = bot(Path(sys.argv[1]), "one")
one.start()
one.run(5)
assert len(one.open_orders()) > 2
os.kill(os.getpid(), 9)
"""


def test_prices_of_a_killed_bot_stay_in_force_until_its_next_start(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -9
    board = Board(tmp_path / "board")
    (row,) = board.rows()
    assert (row.bot, row.alive) == ("one", False)
    assert row.bid_ticks is not None
    assert row.ask_ticks is not None
    # Another bot on the same market, which the dead one's orders would stand in the way of.
    two = bot(tmp_path, "two", seed=6)
    two.start()
    for _ in range(40):
        two.run(0.5)
        live = two.tables.pipeline.table.live()
        assert all(one.price_ticks < row.ask_ticks for one in live if one.side == 1)
        assert all(one.price_ticks > row.bid_ticks for one in live if one.side == 2)
    assert [each.bot for each in board.rows()] == ["one", "two"]
    assert two.stop() in (0, 3)
    # The next start takes the row over, and off once it has proven what is open.
    one = bot(tmp_path, "one")
    one.start()
    (again,) = board.rows()
    assert again.alive
    assert one.tables.pipeline.neighbours.kept == (0, (1 << 63) - 1)  # type: ignore[attr-defined]
    one.run(2)
    assert one.stop() in (0, 3)
    assert board.rows() == []


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_board_that_is_lost_halts_once(tmp_path: Path, how: str) -> None:
    one = bot(tmp_path, "one")
    one.start()
    one.run(3)
    placed = one.tables.pipeline.placed_count
    assert placed > 0
    if how == "gone":
        (tmp_path / "board").unlink()
    else:
        Board(tmp_path / "board").page.poke(0, b"nonsense")
    one.run(10)
    assert one.tables.monitor.state is RiskState.HALTED
    assert one.open_orders() == []
    assert one.stop() == 3
    incidents = [
        journal.read_incident(record.payload).text
        for record in one.records
        if record.kind == Record.REC_INCIDENT
    ]
    assert len([text for text in incidents if "other bots cannot be seen" in text]) == 1
    assert replay(one.records).identical


def test_bot_without_a_row_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "board").write_bytes(b"something else")
    one = bot(tmp_path, "one")
    with pytest.raises(Exception, match="not a board of this build"):
        one.start()
