"""Configuration to tables: what the reference makes of several venues."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from openmm import Keys
from openmm._fast.ports import NullTransport
from openmm._fast.reference import SourceVerdict
from openmm._fast.tape import Tape
from openmm.config import BotConfig, parse
from openmm.engine.wiring import Tables, make_tables, restore_waits
from openmm.instrument import Instrument
from openmm.strategy.compiled import COMPILED
from openmm.venues import registry
from tests.strategy.test_glft import LIVE

NOW = 1_700_000_000 * 10**9
BTC_USD = Instrument(
    venue="kraken", name="BTC/USD", base="BTC", quote="USD", price_decimals=1, qty_decimals=8,
    tick_size=Decimal("0.1"), lot_size=Decimal("0.00000001"), qty_min=Decimal("0.0001"),
    cost_min=Decimal("0.5"), base_decimals=8, quote_decimals=4, maker_fee_ppm=0, taker_fee_ppm=1000,
)  # fmt: skip
BTC_USDT = replace(
    BTC_USD, name="BTC/USDT", quote="USDT", tick_size=Decimal("0.01"), price_decimals=2,
    lot_size=Decimal("0.0001"), qty_decimals=4,
)  # fmt: skip
USDT_USD = replace(
    BTC_USD, name="USDT/USD", base="USDT", tick_size=Decimal("0.00001"), price_decimals=5
)


GRID = {
    "kind": "grid", "spread": "20bps", "order_amount": "0.01", "num_orders": 2,
    "rebalance_threshold": "20%",
}  # fmt: skip
PLAIN = {key: GRID[key] for key in ("order_amount", "num_orders", "rebalance_threshold")}
TOLD = {"skew_full": "6bps", "fit_decay": "1bps"}
MODELS = [
    PLAIN | TOLD | {"kind": "glft", "fit_arrival": "1"}, PLAIN | TOLD | {"kind": "avellaneda"},
]  # fmt: skip


def configured(
    quoted: Instrument = BTC_USD,
    watched: Instrument = BTC_USDT,
    weight: str = "1",
    strategy: Mapping[str, Any] = GRID,
) -> BotConfig:
    """A bot that quotes in one currency and watches a book in another."""
    return parse(
        {
            "bot": {"name": "wired", "mode": "paper"},
            "venue": [
                {"name": "kraken", "quote": quoted.name},
                {
                    "name": "kraken", "label": "watched", "reference": watched.name,
                    "convert": "tether", "weight": weight,
                },
                {"name": "kraken", "label": "tether", "rate": "USDT/USD"},
            ],
            "strategy": dict(strategy),
            "risk": {
                "max_order_size": "0.02", "max_open_notional": "20000", "max_inventory": "0.5",
                "max_drawdown": "5%",
            },
            "signal": {"readmit_updates": 1},
        }
    )  # fmt: skip


def tables(
    quoted: Instrument = BTC_USD,
    watched: Instrument = BTC_USDT,
    weight: str = "1",
    strategy: Mapping[str, Any] = GRID,
) -> Tables:
    """Wire that bot."""
    config = configured(quoted, watched, weight, strategy)
    connectors = [registry.connector(venue, Keys("key", "c2VjcmV0")) for venue in config.venue]
    return make_tables(
        config, [quoted, watched, USDT_USD], connectors, connectors[0], mid_ticks=600_000,
        tape=Tape(None, size_bytes=1 << 20, follow=False),
        encoder=connectors[0].order_encoder(quoted, bot="wired", session_s=1),
        transport=NullTransport(),
    )  # fmt: skip


def test_book_in_another_currency_and_other_steps_gives_the_same_price() -> None:
    reference = tables().pipeline.reference
    uticks = 1_000_000
    reference.set(0, 600_000 * uticks, uticks, 10**8, NOW, True)  # 60,000 USD
    reference.set(1, 6_006_006 * uticks, uticks, 10**4, NOW, True)  # 60,060.06 USDT
    reference.set(2, 99_900 * uticks, uticks, 10**12, NOW, True)  # a USDT is 0.999 USD
    price = reference.compute(NOW)
    assert price is not None
    assert abs(price - 600_000 * uticks) < uticks
    assert [reference.source(index)[1:] for index in range(3)] == [
        (500_000, SourceVerdict.SOURCE_USED),  # 1 BTC deep each
        (500_000, SourceVerdict.SOURCE_USED),
        (0, SourceVerdict.SOURCE_RATE),
    ]


def test_dollars_are_made_tethers_by_the_same_rate() -> None:
    reference = tables(BTC_USDT, BTC_USD).pipeline.reference
    uticks = 1_000_000
    reference.set(0, 6_006_006 * uticks, uticks, 10**4, NOW, True)  # 60,060.06 USDT
    reference.set(1, 600_000 * uticks, uticks, 10**8, NOW, True)  # 60,000 USD
    reference.set(2, 99_900 * uticks, uticks, 10**12, NOW, True)  # a USDT is 0.999 USD
    price = reference.compute(NOW)
    assert price is not None
    assert abs(price - 6_006_006 * uticks) < uticks
    assert reference.source(1)[2] is SourceVerdict.SOURCE_USED


def test_rate_that_is_lost_takes_its_book_out() -> None:
    reference = tables().pipeline.reference
    reference.set(0, 600_000_000_000, 1_000_000, 10**8, NOW, True)
    reference.set(1, 6_006_006_000_000, 1_000_000, 10**4, NOW, True)
    reference.set(2, None, 0, 0, NOW, False)
    assert reference.compute(NOW) == 600_000_000_000
    assert reference.source(1)[2] is SourceVerdict.SOURCE_NO_RATE


def test_converted_book_without_a_weight_is_only_looked_at() -> None:
    reference = tables(weight="0").pipeline.reference
    uticks = 1_000_000
    reference.set(0, 600_000 * uticks, uticks, 10**8, NOW, True)
    reference.set(1, 6_006_006 * uticks, uticks, 10**4, NOW, True)
    reference.set(2, 99_900 * uticks, uticks, 10**12, NOW, True)
    assert reference.compute(NOW) == 600_000 * uticks
    assert reference.source(1)[1] == 0


@pytest.mark.parametrize("strategy", [GRID, *MODELS], ids=lambda told: told["kind"])
def test_side_quoted_alone_outlives_a_restart(strategy: dict[str, Any]) -> None:
    made = tables(strategy=strategy)
    config = configured(strategy=strategy)
    quoted = made.pipeline.strategy
    assert isinstance(quoted, COMPILED)
    restore_waits(config, made, {"kraken": {"one_sided": 1}})
    assert quoted.one_sided == 1
    # Between exit and threshold it stays alone, as it would have without the restart.
    view = LIVE | {
        "decay_uticks": 10**7, "arrival_uhz": 10**6, "share_ppm": 650_000,
        "base_lots": 10**10, "quote_lots_max": 10**10,
    }  # fmt: skip
    _, ladder = quoted.quote(view)
    assert (ladder["bids"], bool(ladder["asks"])) == ([], True)
    other = tables(strategy=strategy).pipeline.strategy
    assert isinstance(other, COMPILED)
    assert other.quote(view)[1]["bids"]
    for bad in (2, "1", None, [1]):
        known: dict[str, dict[str, Any]] = {"kraken": {"one_sided": bad}}
        fresh = tables(strategy=strategy)
        restore_waits(config, fresh, known)
        left = fresh.pipeline.strategy
        assert isinstance(left, COMPILED)
        assert left.one_sided == 0
        assert bad is None or known == {"kraken": {}}
