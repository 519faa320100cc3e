"""An instrument that no venue can have is refused when it is made, with what is wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from openmm.errors import ConfigError
from openmm.instrument import Instrument

FIELDS: dict[str, Any] = {
    "venue": "kraken", "name": "BTC/USD", "base": "BTC", "quote": "USD", "price_decimals": 1,
    "qty_decimals": 8, "tick_size": Decimal("0.1"), "lot_size": Decimal("1E-8"),
    "qty_min": Decimal("0.00005"), "cost_min": Decimal("0.5"), "base_decimals": 10,
    "quote_decimals": 4,
}  # fmt: skip


def test_spec_counts_in_steps() -> None:
    spec = Instrument(**FIELDS).spec()
    assert (spec["tick_points"], spec["lot_points"], spec["qty_lots_min"]) == (1, 1, 5_000)
    assert spec["notional_ticklots_min"] == 500_000_000


def test_minimums_of_nothing_are_allowed() -> None:
    none = Instrument(**FIELDS | {"qty_min": Decimal(0), "cost_min": Decimal(0)})
    assert (none.qty_lots_min, none.notional_ticklots_min) == (0, 0)


@pytest.mark.parametrize("field", ["tick_size", "lot_size", "qty_min", "cost_min"])
@pytest.mark.parametrize("text", ["-1", "NaN", "Infinity", "1e999999999", "1e-999999999"])
def test_step_or_minimum_that_none_can_be_is_refused(field: str, text: str) -> None:
    with pytest.raises(ConfigError, match=field):
        Instrument(**FIELDS | {field: Decimal(text)})


@pytest.mark.parametrize("field", ["tick_size", "lot_size"])
@pytest.mark.parametrize("text", ["0", "1e-9"])
def test_step_of_nothing_or_finer_than_its_decimals_is_refused(field: str, text: str) -> None:
    with pytest.raises(ConfigError, match=field):
        Instrument(**FIELDS | {field: Decimal(text)})
