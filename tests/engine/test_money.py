"""What the account holds: exact, also when others trade on it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace as replaced

from openmm._fast.book import BookBreak
from openmm._fast.checks import RiskState
from openmm._fast.tape import Record, Tape, TapeReader
from openmm._fast.units import Side
from openmm.engine.money import FOREIGN
from openmm.engine.step import IncidentMoved
from openmm.events import Fee, OrderFilled, OrderStatus
from openmm.journal import read_balance
from openmm.settlement.ledger import Ledger
from tests.engine.world import START, World, quoting, updated


@pytest.fixture
def world() -> World:
    return quoting()


def foreign(world: World, exec_id: str = "F1", **other: object) -> OrderFilled:
    fill = world.fill(world.seq(), exec_id, lots=50_000_000, venue_order_id="FOREIGN")
    return replaced(fill, client_id="someone", **other)


def test_foreign_fill_moves_what_is_held_but_is_no_profit_and_no_fill_of_ours(
    world: World,
) -> None:
    before, inventory = world.step.expected(), world.step.pipeline.inventory
    fill = foreign(world)
    requests = world.feed(fill, fill)
    after = world.step.expected()
    assert after["BTC"] - before["BTC"] == Decimal("0.5")
    assert after["USD"] - before["USD"] == -fill.cost - Decimal("0.25")
    assert inventory.base_lots == 250_000_000
    assert inventory.position_lots == 0
    assert world.step.counters.fills == 0
    assert world.step.counters.foreign_fills == 1
    assert world.step.monitor.drawdown_ppm in (0, 1)
    (named,) = (one for one in requests if isinstance(one, IncidentMoved))
    assert named.alert
    assert "FOREIGN" in named.incident.text
    told = named.incident
    assert (told.cause, told.state, told.severity) == ("foreign_fill", "resolved", "warning")
    assert (told.asset, told.amount) == ("BTC", Decimal("0.5"))


def test_foreign_order_is_named_once_however_often_it_fills(world: World) -> None:
    requests = world.feed(*(foreign(world, f"F{at}") for at in range(5)))
    assert sum(isinstance(one, IncidentMoved) for one in requests) == 1
    assert world.step.counters.foreign_fills == 5


def test_foreign_fill_beyond_the_inventory_limit_reduces_in_the_same_step(world: World) -> None:
    # The limit is 1.5 BTC off target; target is half, 2 BTC are held.
    world.feed(*(foreign(world, f"F{at}") for at in range(4)))
    assert world.step.monitor.state is RiskState.REDUCING
    assert any(b"cancel" in message for message in world.transport.take())


def test_fill_of_another_pair_moves_the_quote_asset_it_paid_with(world: World) -> None:
    before = world.step.expected()
    world.feed(
        foreign(
            world, instrument="ETH/USD", qty=Decimal(2), qty_lots=0, price_ticks=0,
            cost=Decimal(6_000), fees=(Fee("USD", Decimal(9)),),
        )
    )  # fmt: skip
    after = world.step.expected()
    assert after == {"BTC": before["BTC"], "USD": before["USD"] - 6_009}
    assert world.step.monitor.drawdown_ppm in (0, 1)


def test_fill_of_a_pair_without_our_assets_changes_nothing(world: World) -> None:
    before = world.step.expected()
    requests = world.feed(
        foreign(world, instrument="ETH/EUR", qty=Decimal(2), fees=(Fee("EUR", Decimal(9)),))
    )
    assert world.step.expected() == before
    assert not any(isinstance(one, IncidentMoved) for one in requests)


def test_foreign_fill_is_in_the_ledger_as_a_transfer(tmp_path: Path) -> None:
    tape = Tape(tmp_path / "tape", size_bytes=1 << 20, session_id="s")
    world = quoting(tape=tape)
    fill = foreign(world)
    world.feed(fill)
    records = TapeReader(tmp_path / "tape").read(10_000)
    found = [read_balance(one[4]) for one in records if one[1] == Record.REC_BALANCE]
    assert [(one.kind, one.asset, one.change, one.fee) for one in found[2:]] == [
        (FOREIGN, "BTC", Decimal("0.5"), Decimal(0)),
        (FOREIGN, "USD", -fill.cost, Decimal("0.25")),
    ]
    ledger = Ledger("kraken")
    for one in found:
        ledger.book_balance(one)
    assert {asset: ledger.balance(asset) for asset in ("BTC", "USD")} == world.step.expected()


def test_late_fill_after_a_proven_end_counts_against_the_inventory_limit_at_once(
    world: World,
) -> None:
    seq = world.seq(Side.BUY)
    world.feed(updated(seq, OrderStatus.CANCELLED, filled_lots=0))
    world.transport.take()
    world.feed(world.fill(seq, "late", lots=200_000_000))
    assert world.step.monitor.state is RiskState.REDUCING
    assert any(b"cancel" in message for message in world.transport.take())
    assert not world.step.pipeline.allow_bid


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_base_fees_finer_than_a_lot_do_not_add_up_to_an_error(world: World, side: Side) -> None:
    seq = world.seq(side)
    inventory = world.step.pipeline.inventory
    fine = Decimal("0.0000000033")
    for at in range(100):
        world.feed(world.fill(seq, f"E{at}", lots=1_000, fees=(Fee("BTC", fine),)))
    exact = world.step.expected()["BTC"]
    assert exact == Decimal(2) + (1 if side is Side.BUY else -1) * Decimal("0.001") - 100 * fine
    # Rounded down once: never more than there is, never a lot off.
    held = world.step.instrument.qty(inventory.base_lots or 0)
    assert Decimal(0) <= exact - held < world.step.instrument.lot_size


def test_quote_held_is_the_exact_total_rounded_down_once(world: World) -> None:
    seq = world.seq()
    for at in range(50):
        world.feed(
            world.fill(seq, f"E{at}", lots=1_000, fees=(Fee("USD", Decimal("0.00000000007")),))
        )
    held = world.step.pipeline.inventory.quote_ticklots
    assert held == world.step.money.quote_ticklots(world.step.expected()["USD"])


@pytest.fixture
def blind(world: World) -> World:
    """A bot whose book, and with it the reference, is gone."""
    feed = world.step.feeds[0]
    feed.book.break_(BookBreak.BREAK_DISCONNECT)
    world.step.pipeline.refresh(feed, START)
    assert world.step.pipeline.reference.price_uticks is None
    return world


@pytest.mark.parametrize(("lacks", "halts"), [("1", True), ("0.00000001", False)])
def test_base_difference_without_a_reference_is_weighed_at_the_last_mark(
    blind: World, lacks: str, halts: bool
) -> None:
    step, expected = blind.step, blind.step.expected()
    step.on_statement(expected | {"BTC": expected["BTC"] - Decimal(lacks)}, START, True, START)
    assert (step.monitor.halt_reason == "reconciliation") is halts


def test_base_difference_that_nothing_can_weigh_halts(blind: World) -> None:
    step, expected = blind.step, blind.step.expected()
    step.pipeline.inventory.mark(0)
    lacking = expected | {"BTC": expected["BTC"] - Decimal("0.00000001")}
    step.on_statement(lacking, START, True, START)
    assert step.monitor.halt_reason == "reconciliation"
