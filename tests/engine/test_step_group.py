"""The slow path of a bot in a group: what the others hold moves its quotes, a share bounds them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from openmm import journal
from openmm._fast.checks import Reason
from openmm._fast.units import Side
from openmm.engine.entry import read_call
from openmm.engine.step import Alert, Step, StepConfig
from openmm.risk.group import Told
from tests.engine.world import SECOND, World, quoting

LOTS = 100_000_000  # of a bitcoin
# Two bitcoins and as much as they are worth here: the target of a half is held, nearly.
TOLD = Told(
    base=Decimal(3), value=Decimal(6), target_ppm=500_000, scale=Decimal(2),
    most_lots=4 * LOTS, least_lots=0, members=2,
)  # fmt: skip


def tell(world: World, told: Told) -> list[object]:
    world.now_ns += SECOND // 100
    return list(world.step.group_told(told, world.now_ns))


def ladder(world: World) -> dict[str, int]:
    return world.step.pipeline.ladder_parts()


def best(world: World, side: Side) -> int:
    prices = [
        one.pending_price_ticks or one.price_ticks for one in world.table.live() if one.side == side
    ]
    return max(prices) if side == Side.BUY else min(prices)


def grouped() -> World:
    return quoting(StepConfig(group="btc", capital_alert_after_ns=60 * SECOND))


def test_base_that_another_holds_shades_the_quotes_here() -> None:
    world = grouped()
    tell(world, TOLD)
    level = ladder(world)["skew_uticks"]
    inventory = world.step.pipeline.inventory
    own = inventory.x_ppm
    tell(world, replace(TOLD, base=Decimal(4)))
    assert ladder(world)["skew_uticks"] < level
    assert inventory.x_ppm == own
    # Half of a bitcoin more than half the value, of a scale of two.
    assert inventory.group_x_ppm is not None
    long = inventory.group_x_ppm
    tell(world, replace(TOLD, base=Decimal(2)))
    assert ladder(world)["skew_uticks"] > level
    assert inventory.group_x_ppm == long - 1_000_000
    # What can be sold stays what is here.
    assert inventory.base_lots == 2 * LOTS


def test_scale_and_target_of_the_group_count() -> None:
    world = grouped()
    tell(world, replace(TOLD, base=Decimal(4)))
    x_ppm = world.step.pipeline.inventory.group_x_ppm
    assert x_ppm is not None
    tell(world, replace(TOLD, base=Decimal(4), scale=Decimal(4)))
    assert world.step.pipeline.inventory.group_x_ppm == x_ppm // 2
    tell(world, replace(TOLD, base=Decimal(4), target_ppm=900_000))
    assert (world.step.pipeline.inventory.group_x_ppm or 0) < 0


def test_alone_the_own_inventory_is_followed() -> None:
    world = grouped()
    tell(world, TOLD)
    tell(world, replace(TOLD, base=None, value=None, lacking=("other",)))
    inventory = world.step.pipeline.inventory
    assert (inventory.grouped, inventory.group_x_ppm) == (False, None)


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_share_that_ends_at_what_is_held_stops_the_side_that_adds(side: Side) -> None:
    world = grouped()
    tell(world, TOLD)
    assert {one.side for one in world.table.live()} == {Side.BUY, Side.SELL}
    at_most = {"most_lots": 2 * LOTS} if side == Side.BUY else {"least_lots": 2 * LOTS}
    tell(world, replace(TOLD, **at_most))
    stays = [one for one in world.table.live() if one.state.name == "OPEN"]
    assert {one.side for one in stays} == {Side.BUY, Side.SELL} - {side}
    placed = world.step.by_hand.place(
        side, best(world, side) + (-1_000 if side == Side.BUY else 1_000), 1_000_000, "test",
        world.now_ns,
    )  # fmt: skip
    assert placed.seq == 0
    assert world.step.pipeline.checks.last_reason in (Reason.SHARE_LONG, Reason.SHARE_SHORT)


def test_share_that_is_not_known_lets_nothing_be_placed() -> None:
    world = grouped()
    tell(world, replace(TOLD, most_lots=None, least_lots=None))
    before = world.step.pipeline.placed_count
    world.step.cancel_all(world.now_ns)
    assert world.step.pipeline.placed_count == before


def test_ladder_is_cut_to_the_share_and_not_refused() -> None:
    world = grouped()
    room = 2_500_000  # of three orders of a hundredth a side, two and a half
    tell(world, replace(TOLD, most_lots=2 * LOTS + room))
    buys = [
        one
        for one in world.table.live()
        if one.side == Side.BUY and one.state.name != "PENDING_CANCEL"
    ]
    assert sum(one.qty_lots for one in buys) <= room
    assert Reason.SHARE_LONG not in world.step.pipeline.checks.refusals()


def test_members_that_are_lacking_are_told_once_and_when_they_are_back() -> None:
    world = grouped()
    tell(world, TOLD)
    told = tell(world, replace(TOLD, lacking=("other", "")))
    assert told == [Alert("warning", "group btc: not heard of: other, a member that is not there")]
    assert tell(world, replace(TOLD, lacking=("other", ""), base=Decimal(1))) == []
    assert tell(world, TOLD) == [Alert("info", "group btc: all are heard of")]


def test_group_beyond_its_limit_is_told() -> None:
    world = grouped()
    assert tell(world, TOLD) == []
    (alert,) = tell(world, replace(TOLD, base=Decimal(6)))
    assert isinstance(alert, Alert)
    assert "beyond risk.max_group_inventory, 2" in alert.text
    assert tell(world, replace(TOLD, base=Decimal(6))) == []
    assert tell(world, TOLD) == [Alert("info", "group btc: within its limit again")]


def test_side_without_capital_is_told_after_its_time_and_when_it_has_some() -> None:
    world = quoting(StepConfig(group="btc", capital_alert_after_ns=2 * SECOND))
    inventory = world.step.pipeline.inventory
    quote = inventory.quote_ticklots
    assert quote is not None
    inventory.set_balances(0, quote)
    told: list[object] = []
    for _ in range(5):
        told += [one for one in world.step.capital.on_timer(world.now_ns) if isinstance(one, Alert)]
        world.now_ns += SECOND
    assert [one.text[:40] for one in told if isinstance(one, Alert)] == [
        "no BTC left for asks on kraken for 2 s: "
    ]
    inventory.set_balances(LOTS, quote)
    assert world.step.capital.on_timer(world.now_ns) == [Alert("info", "asks have BTC again")]
    # Without the key nobody is told.
    quiet = quoting()
    quiet.step.pipeline.inventory.set_balances(0, 0)
    for _ in range(5):
        quiet.now_ns += 100 * SECOND
        assert quiet.step.capital.on_timer(quiet.now_ns) == []


def test_what_is_told_is_on_the_tape_and_reads_back() -> None:
    told = replace(TOLD, base=Decimal("123456789012345678901.00000001"), lacking=("a", ""))
    payload = journal.json_record(["group_told", told])
    name, (again,) = read_call(Step, payload)
    assert (name, again) == ("group_told", told)
