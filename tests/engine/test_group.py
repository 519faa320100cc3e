"""A bot in its group: what it shows, what it sees, what it tells its step. Two bots, one page."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from openmm._fast.units import Side
from openmm.board import Board, Holdings, Market, Seat
from openmm.config import BotConfig, parse
from openmm.engine.group import Group, paper_seat
from openmm.engine.step import StepConfig
from openmm.errors import BoardError
from openmm.risk.group import Share, Told
from tests.engine.world import SECOND, World, quoting

LOTS = 100_000_000
LOOK = SECOND // 50


def config(name: str, inventory: dict[str, Any] | None = None, limit: str = "1") -> BotConfig:
    return parse(
        {
            "bot": {"name": name, "mode": "paper"},
            "venue": [
                {"name": "kraken", "quote": "BTC/USD", "maker_fee": "0.1%", "taker_fee": "0.2%"}
            ],
            "strategy": {
                "kind": "grid", "spread": "0.6%", "order_amount": "0.01", "num_orders": 3,
                "rebalance_threshold": "10%", "size_skew": "0%",
            },
            "risk": {
                "max_order_size": "0.05", "max_open_notional": "20000", "max_inventory": "0.5",
                "max_drawdown": "5%", "max_group_inventory": limit,
            },
            "inventory": {"group": "btc", "claim": "0.2"} | (inventory or {}),
        }
    )  # fmt: skip


@dataclass
class Bot:
    world: World
    group: Group
    seat: Seat
    told: list[Told]
    config: BotConfig

    def look(self, step_ns: int = LOOK) -> None:
        self.world.now_ns += step_ns
        self.group.look(self.world.now_ns)

    @property
    def share(self) -> tuple[int, int]:
        least, most = self.world.step.pipeline.base_bounds or (0, 0)
        return most, least

    def fill(self, side: Side, lots: int) -> None:
        reference = self.world.step.pipeline.reference.price_uticks
        assert reference is not None
        self.world.step.pipeline.inventory.fill(side, reference // 1_000_000, lots)


def bot(path: Path, name: str, inventory: dict[str, Any] | None = None, limit: str = "1") -> Bot:
    world = quoting(StepConfig(group="btc"))
    told: list[Told] = []
    made = config(name, inventory, limit)
    seat = paper_seat(made, path, world.step.instrument)
    found = Bot(world, None, seat, told, made)  # type: ignore[arg-type]

    def tell(one: Told, now_ns: int) -> None:
        told.append(one)
        world.step.group_told(one, now_ns)

    found.group = Group(
        seat, world.step.pipeline, world.step.instrument, lambda: found.config, tell
    )
    return found


def pair(path: Path, inventory: dict[str, Any] | None = None, limit: str = "1") -> tuple[Bot, Bot]:
    both = bot(path, "one", inventory, limit), bot(path, "two", inventory, limit)
    for _ in range(3):
        for one in both:
            one.look()
    return both


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "page"


def shown(one: Bot) -> tuple[Holdings, Share]:
    row = next(row for row in Board(one.seat.board.path).rows() if row.bot == one.config.bot.name)
    assert row.holdings is not None
    return row.holdings, Share.read(row.holdings)


def test_member_shows_what_it_holds_and_may_hold(path: Path) -> None:
    one, _ = pair(path, {"capital_base_max": "5", "capital_quote_max": "70000"})
    held, share = shown(one)
    assert (held.base_atoms, held.base_decimals) == (2 * LOTS, 8)
    assert held.capital_base_atoms == 5 * LOTS
    assert held.capital_quote_atoms == 70_000 * 10**held.quote_decimals
    assert (share.most, share.least) == (one.share[0], one.share[1])
    assert share.most == 2 * LOTS + 20_000_000
    assert share.value > held.base_atoms


def test_fill_of_one_moves_the_skew_of_the_other_with_its_next_look(path: Path) -> None:
    one, two = pair(path)
    before = two.world.step.pipeline.ladder_parts()["skew_uticks"]
    one.fill(Side.BUY, 5_000_000)
    one.look()
    two.look()
    assert two.told[-1].base == Decimal("2.05")
    assert two.world.step.pipeline.ladder_parts()["skew_uticks"] < before
    assert two.world.step.pipeline.inventory.base_lots == 2 * LOTS


def test_what_did_not_change_is_not_told_again(path: Path) -> None:
    one, two = pair(path)
    count = len(two.told)
    for _ in range(20):
        one.look()
        two.look()
    assert len(two.told) == count
    one.world.step.pipeline.inventory.adjust(0, 10_000_000)
    one.look()
    two.look()
    # A trifle of quote moves no target.
    assert len(two.told) == count


def test_shares_of_both_stay_within_the_limit_however_they_race(path: Path) -> None:
    one, two = pair(path, {"claim": "0.4"}, limit="0.5")
    for _ in range(6):
        one.look()
        two.look()
    q_lots = one.world.step.pipeline.inventory.group_q_lots
    assert q_lots is not None
    room_up = sum(each.share[0] - 2 * LOTS for each in (one, two))
    room_down = sum(2 * LOTS - each.share[1] for each in (one, two))
    assert q_lots + room_up <= 50_000_000
    assert room_down - q_lots <= 50_000_000
    # Somebody got all that there was to get.
    assert q_lots + room_up >= 49_900_000


def test_limit_reached_stops_the_side_that_adds_on_both(path: Path) -> None:
    one, two = pair(path, limit="0.5")
    one.fill(Side.BUY, LOTS)
    for _ in range(2):
        one.look()
        two.look()
    for each in (one, two):
        live = [row for row in each.world.table.live() if row.state.name != "PENDING_CANCEL"]
        assert {row.side for row in live} == {Side.SELL}


def test_capital_here_bounds_what_is_bought_here(path: Path) -> None:
    one = bot(path, "one", {"capital_base_max": "2.02"})
    for _ in range(3):
        one.look()
    assert one.share[0] == 2 * LOTS + 2_000_000


def test_who_does_not_quote_claims_nothing(path: Path) -> None:
    one, two = pair(path)
    one.world.step.pause("test", one.world.now_ns)
    one.look()
    held, share = shown(one)
    open_lots = one.world.table.totals().buy_lots
    # What is being cancelled counts until it is gone.
    assert share.most == held.base_atoms + open_lots
    assert two.share[0] > 2 * LOTS


def test_silent_member_is_told_and_nothing_that_adds_is_quoted(path: Path) -> None:
    one, two = pair(path, {"neighbour_age_max": "1s"})
    one.fill(Side.BUY, 5_000_000)
    one.look()
    two.look()
    last = two.told[-1]
    two.look(2 * SECOND)
    assert two.told[-1].lacking == ("one",)
    assert two.told[-1].base == last.base
    q_lots = two.world.step.pipeline.inventory.group_q_lots
    assert q_lots is not None
    most, least = two.share
    assert (most, least) == (2 * LOTS + max(0, -q_lots), 2 * LOTS - max(0, q_lots))
    one.world.now_ns = two.world.now_ns
    one.look()
    two.look()
    assert not two.told[-1].lacking


def test_silent_member_leaves_the_other_to_itself_where_the_file_says_so(path: Path) -> None:
    _, two = pair(path, {"neighbour_age_max": "1s", "silence": "own"})
    two.look(2 * SECOND)
    assert (two.told[-1].base, two.told[-1].lacking) == (None, ("one",))
    assert two.share[0] > 2 * LOTS


def test_members_that_have_to_be_there(path: Path) -> None:
    one = bot(path, "one", {"members": 2})
    one.look()
    one.look()
    assert one.told[-1].lacking == ("",)
    two = bot(path, "two", {"members": 2})
    two.world.now_ns = one.world.now_ns
    two.look()
    one.look()
    assert not one.told[-1].lacking


def test_target_and_claim_of_the_file_count(path: Path) -> None:
    one, _ = pair(path)
    q_lots = one.world.step.pipeline.inventory.group_q_lots
    one.config = config("one", {"target_base": "80%", "claim": "0.5"})
    one.look()
    inventory = one.world.step.pipeline.inventory
    assert q_lots is not None
    assert (inventory.group_q_lots or 0) < q_lots
    assert one.share[0] == 2 * LOTS + 50_000_000


def test_other_groups_and_other_assets_are_none_of_ours(path: Path) -> None:
    one, two = pair(path)
    board = Board(path)
    board.claim(
        Market("gateio", "ETH/USDT"), bot="eth", account="x", tick_size=Decimal("0.01"), group="btc"
    )
    board.claim(
        Market("gateio", "BTC/USDT"), bot="other", account="x", tick_size=Decimal("0.1"),
        group="other",
    )  # fmt: skip
    one.look()
    assert one.told[-1].members == 2
    assert two.told[-1].members == 2


def test_page_that_cannot_be_read_stops_what_adds(path: Path) -> None:
    one, _ = pair(path)
    last = one.told[-1]
    one.group.lose(BoardError("gone"), one.world.now_ns)
    assert one.told[-1] == replace(last, most_lots=2 * LOTS, least_lots=2 * LOTS, lacking=("",))
    one.group.lose(BoardError("gone"), one.world.now_ns)
    one.look()
    assert not one.told[-1].lacking
