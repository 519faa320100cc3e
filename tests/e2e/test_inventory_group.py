"""Two bots on two simulated venues with one inventory, on virtual clocks, one page between."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openmm import journal
from openmm._fast.matching import Tif
from openmm._fast.tape import Record
from openmm._fast.units import BookSide, Side
from openmm.board import Board
from openmm.cli.explain import text_of
from openmm.config import BotConfig, parse
from openmm.control.groups import groups
from openmm.control.home import Home
from openmm.engine.entry import read_call
from openmm.engine.replay import replay
from openmm.engine.step import Step
from openmm.risk.group import Share, Told
from openmm.settlement.explain import explain
from openmm.sim.options import SimOptions
from openmm.testing.virtual import VirtualBot
from tests.e2e.virtual import NOWHERE

PLACES = {"kraken": "BTC/USD", "gateio": "BTC/USDT"}
STEP_S = 0.05
QUIET = {"arrivals_per_s": 20.0, "orders_a_side": 100, "taker_share": 0.0}


def config(venue: str, limit: str, inventory: dict[str, Any]) -> BotConfig:
    at = {"ws": f"ws://{NOWHERE}/v2", "rest": f"http://{NOWHERE}"}
    if venue == "kraken":
        at["ws_auth"] = at["ws"]
    return parse(
        {
            "bot": {"name": f"on-{venue}", "mode": "live"},
            "venue": [
                {"name": venue, "quote": PLACES[venue], "account": "dedicated", "endpoints": at}
            ],
            "strategy": {
                "kind": "grid", "spread": "10bps", "level_step": "2bps", "order_amount": "0.01",
                "num_orders": 3, "rebalance_threshold": "50%", "target_base": "50%",
                "skew_full": "6bps", "vol_factor": "0", "tolerance": "0.3bps",
                "inventory_widen": "0%", "depth_factor": "0%", "flow_full": "0%",
            },
            "risk": {
                "max_order_size": "0.02", "max_open_notional": "50000", "max_inventory": "0.9",
                "max_drawdown": "50%", "max_group_inventory": limit,
            },
            "inventory": {"group": "btc", **inventory},
        }
    )  # fmt: skip


class Two:
    """Both bots, one step of virtual time after the other."""

    def __init__(self, folder: Path, limit: str = "0.2", **inventory: Any) -> None:
        self.page = folder / "board"
        self.bots = {
            venue: VirtualBot(
                config(venue, limit, inventory),
                SimOptions(
                    venue=venue, seed=3, maker_fee_ppm=0, taker_fee_ppm=1000, latency_ns=2_000_000,
                    market=QUIET,
                    balances={"BTC": Decimal(1), pair.partition("/")[2]: Decimal(60_000)},
                ),
                folder / venue, board=self.page,
            )
            for venue, pair in PLACES.items()
        }  # fmt: skip

    def __getitem__(self, venue: str) -> VirtualBot:
        return self.bots[venue]

    def start(self) -> None:
        for one in self.bots.values():
            one.start()
        ahead = max(one.now_ns for one in self.bots.values())
        for one in self.bots.values():
            one.run((ahead - one.now_ns) / 1e9 + STEP_S)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            for one in self.bots.values():
                one.run(STEP_S)

    def sides(self, venue: str) -> set[int]:
        return {one.side for one in self[venue].tables.pipeline.table.live()}

    def told(self, venue: str) -> list[Told]:
        found = []
        for one in self[venue].records:
            if one.kind == Record.REC_CALL and one.payload.startswith(b'["group_told"'):
                _, (told,) = read_call(Step, one.payload)
                found.append(told)
        return found


@pytest.fixture
def two(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Two]:
    made = Two(tmp_path, **getattr(request, "param", {}))
    made.start()
    made.run(2)
    yield made
    for one in made.bots.values():
        one.stop()


def take(bot: VirtualBot, side: Side, levels: int = 1) -> None:
    """Let somebody at the venue take the innermost of our quotes; `side` is ours."""
    one, live = bot.tables.instrument, bot.tables.pipeline.table.live()
    prices = sorted((row.price_ticks for row in live if row.side == side), reverse=side == Side.BUY)
    limit = prices[levels - 1]
    book = bot.core.depth(one.name, BookSide.BID if side == Side.BUY else BookSide.ASK, 1_000)
    sign = 1 if side == Side.BUY else -1
    lots = sum(qty for price, qty in book if sign * price >= sign * limit)
    other = Side.SELL if side == Side.BUY else Side.BUY
    bot.core.market_submit(one.name, other, limit, lots, Tif.IOC, bot.now_ns)
    bot.run(STEP_S)


def test_fill_on_one_venue_moves_the_quotes_of_the_other(two: Two) -> None:
    kraken, gateio = two["kraken"], two["gateio"]
    assert {Side.BUY, Side.SELL} == two.sides("kraken") == two.sides("gateio")
    before = gateio.tables.pipeline.ladder_parts()["skew_uticks"]
    base = kraken.tables.pipeline.inventory.base_lots
    held = gateio.tables.pipeline.inventory.base_lots
    take(kraken, Side.BUY)
    assert kraken.tables.pipeline.inventory.base_lots != base
    # Two looks of 20 ms and what the virtual clocks are apart.
    two.run(2 * STEP_S)
    assert gateio.tables.pipeline.ladder_parts()["skew_uticks"] < before
    assert gateio.tables.pipeline.inventory.base_lots == held
    home = Home(two.page, two.page, two.page)
    (one,) = groups(home, gateio.now_ns, "btc", folder=two.page.parent)["groups"]
    assert [member["state"] for member in one["members"]] == ["here", "here"]


@pytest.mark.parametrize("two", [{"limit": "0.06"}], indirect=True)
def test_group_limit_stops_what_adds_on_both_venues(two: Two) -> None:
    limit = Decimal("0.06")
    for _ in range(40):
        sides = two.sides("kraken") | two.sides("gateio")
        buying = [venue for venue in PLACES if Side.BUY in two.sides(venue)]
        for venue in buying:
            take(two[venue], Side.BUY)
        two.run(0.2)
        # What both hold and what both have open counts: of two bitcoins, a tenth for what prices
        # move the target by.
        worst = sum(
            each.tables.instrument.qty(
                (each.tables.pipeline.inventory.base_lots or 0)
                + each.tables.pipeline.table.totals().buy_lots
            )
            for each in two.bots.values()
        )
        assert worst - 2 <= limit * Decimal("1.1")
        if sides == {Side.SELL} and worst - 2 > limit / 2:
            break
    assert sides == {Side.SELL}
    held = [one.tables.pipeline.inventory for one in two.bots.values()]
    # Far within what each alone may be off: the group's limit it was.
    assert all(abs(one.x_ppm or 0) < 150_000 for one in held)
    assert worst - 2 > limit / 2


def test_member_that_falls_silent_leaves_only_what_reduces(two: Two) -> None:
    kraken, gateio = two["kraken"], two["gateio"]
    take(kraken, Side.BUY, 2)
    two.run(0.2)
    assert (gateio.tables.pipeline.inventory.group_q_lots or 0) > 0
    # As after a kill: the row stays, and says nothing more.
    gateio.run(3)
    assert two.told("gateio")[-1].lacking == ("on-kraken",)
    assert two.sides("gateio") == {Side.SELL}
    row = next(one for one in Board(two.page).rows() if one.bot == "on-kraken")
    assert row.holdings is not None
    assert Share.read(row.holdings).most >= row.holdings.base_atoms
    kraken.run((gateio.now_ns - kraken.now_ns) / 1e9)
    two.run(0.5)
    assert two.told("gateio")[-1].lacking == ()
    assert two.sides("gateio") == {Side.BUY, Side.SELL}


def test_session_of_a_group_replays_bit_for_bit(two: Two) -> None:
    take(two["kraken"], Side.BUY)
    take(two["gateio"], Side.SELL)
    two.run(1)
    for venue, one in two.bots.items():
        assert len(two.told(venue)) >= 3
        outcome = replay(list(one.records))
        assert outcome.identical, outcome.difference
        assert outcome.orders > 0


def test_explain_tells_the_distance_of_the_group_and_the_own(two: Two) -> None:
    take(two["kraken"], Side.BUY, 2)
    two.run(0.5)
    records = list(two["gateio"].records)
    [*_, last] = [one for one in records if one.kind == Record.REC_INTENT]
    found = explain(records, str(journal.read_intent(last.payload).action.seq))
    assert "the group's, of this venue alone" in text_of(found, {})
