"""The ladder of a file is the kernel's, and every value of a file is told as the file has it."""

from __future__ import annotations

from decimal import Decimal

from openmm.config.load import parse
from openmm.control.ladder import preview, resolved
from tests.control.test_propose import PAIR

FILE = {
    "bot": {"name": "one", "mode": "paper"},
    "venue": [{"name": "kraken", "quote": "BTC/USD"}],
    "strategy": {
        "kind": "grid", "spread": "1%", "level_step": "0.5%", "order_amount": "0.01",
        "num_orders": 2, "rebalance_threshold": "10%",
    },
    "risk": {
        "max_order_size": "0.02", "max_open_notional": "9000", "max_inventory": "0.5",
        "max_drawdown": "2%",
    },
}  # fmt: skip


def test_a_ladder_stands_around_the_price_it_is_asked_for() -> None:
    ladder = preview(parse(FILE), PAIR, Decimal(60_000))
    assert ladder is not None
    assert [one["price"] for one in ladder["bids"]] == [Decimal(59_700), Decimal(59_400)]
    assert [one["price"] for one in ladder["asks"]] == [Decimal(60_300), Decimal(60_600)]
    assert {one["qty"] for side in ladder.values() for one in side} == {Decimal("0.01")}
    assert preview(parse(FILE), None, Decimal(60_000)) == ladder


def test_values_are_told_as_the_file_would_have_them() -> None:
    told = resolved(parse(FILE))
    assert told["strategy.spread"] == "1%"
    assert told["risk.max_inventory"] == "0.5"
    assert told["settlement.reconcile_every"] == "30s"
    assert told["venue.kraken.quote"] == "BTC/USD"


def test_ladder_of_another_shape_is_the_same_with_and_without_the_pair() -> None:
    shape = {"spacing": "geometric", "level_ratio": "2", "sizes": "pyramid", "size_step": "10%"}
    config = parse(FILE | {"strategy": {**FILE["strategy"], **shape, "num_orders": 3}})  # type: ignore[dict-item]
    ladder = preview(config, PAIR, Decimal(60_000))
    assert ladder is not None
    assert [one["price"] for one in ladder["asks"]] == [60_300, 60_600, 61_200]
    assert [one["qty"] for one in ladder["bids"]] == [
        Decimal("0.01"), Decimal("0.011"), Decimal("0.012"),
    ]  # fmt: skip
    assert preview(config, None, Decimal(60_000)) == ladder


def test_lists_are_told_as_one_text() -> None:
    told = {"spacing": "custom", "level_offsets": ["0bps", "20bps"], "schedule": "21:00-23:30 1bps"}
    strategy = {key: value for key, value in FILE["strategy"].items() if key != "level_step"}  # type: ignore[attr-defined]
    found = resolved(parse(FILE | {"strategy": {**strategy, **told}}))
    assert found["strategy.level_offsets"] == "0%, 0.2%"
    assert found["strategy.schedule"] == "21:00-23:30 0.01%"
    assert found["strategy.level_amounts"] == "-"
    assert found["strategy.hanging"] == "false"
