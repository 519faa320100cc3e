"""Ten virtual minutes of synthetic market: the real bot and wire protocol, no socket, one seed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from statistics import mean

import pytest

from openmm.config import BotConfig, parse
from openmm.sim.options import SimOptions
from openmm.testing.virtual import VirtualBot

SECONDS = 600
SEED = 3
# One path tells little of a mean: the shading is judged over several.
SEEDS = (3, 4, 5, 6)


def config(skew: str, size_skew: str) -> BotConfig:
    nowhere = "127.0.0.1:1"
    return parse(
        {
            "bot": {"name": "synthetic", "mode": "live"},
            "venue": [
                {
                    "name": "kraken", "quote": "BTC/USD", "account": "dedicated",
                    "endpoints": {
                        "ws": f"ws://{nowhere}/v2", "ws_auth": f"ws://{nowhere}/v2",
                        "rest": f"http://{nowhere}",
                    },
                }
            ],
            "strategy": {
                "kind": "grid", "spread": "1.5bps", "level_step": "1bps", "order_amount": "0.01",
                "num_orders": 3, "rebalance_threshold": "20%", "target_base": "50%",
                "skew_full": skew, "size_skew": size_skew, "vol_factor": "0.25",
                "tolerance": "0.3bps", "inventory_widen": "0%", "depth_factor": "0%",
            },
            "risk": {
                "max_order_size": "0.02", "max_open_notional": "50000", "max_inventory": "0.3",
                "max_drawdown": "5%",
            },
        }
    )  # fmt: skip


def sim(seed: int) -> SimOptions:
    return SimOptions(
        seed=seed, maker_fee_ppm=0, taker_fee_ppm=1000, latency_ns=2_000_000, jitter_ns=500_000,
        balances={"BTC": Decimal(1), "USD": Decimal(60_000)},
    )  # fmt: skip


@cache
def session(skew: str, size_skew: str, seed: int) -> VirtualBot:
    with tempfile.TemporaryDirectory(prefix="openmm-test-") as folder:
        bot = VirtualBot(config(skew, size_skew), sim(seed), Path(folder))
        bot.start()
        bot.run(SECONDS)
        assert bot.stop() == 0
    return bot


@pytest.fixture(scope="module", autouse=True)
def _forget() -> Iterator[None]:
    """Leave the memory of a dozen bots to the tests that follow."""
    yield
    session.cache_clear()


def shaded(seed: int = SEED) -> VirtualBot:
    return session("6bps", "80%", seed)


def unshaded(seed: int = SEED) -> VirtualBot:
    return session("0%", "0%", seed)


def away(bot: VirtualBot) -> list[int]:
    """Return how far the inventory was from its target, sample by sample."""
    return [abs(sample.q_lots) for sample in bot.samples]


def test_fills_come_on_both_sides() -> None:
    sides = [fill["side"] for fill in shaded().statement()["fills"]]
    assert sides.count("buy") >= 20
    assert sides.count("sell") >= 20


def test_shading_pulls_inventory_back_to_target() -> None:
    with_it = {seed: away(shaded(seed)) for seed in SEEDS}
    without = {seed: away(unshaded(seed)) for seed in SEEDS}
    for seed in SEEDS:
        # Within an order and a half of the target, whatever the market does.
        assert mean(with_it[seed]) < 1_500_000, seed
        # Without it chance alone may keep one of them near.
        assert mean(without[seed]) > 1.5 * mean(with_it[seed]), seed
        assert max(without[seed]) > 1.2 * max(with_it[seed]), seed
    far = sum(mean(without[seed]) for seed in SEEDS)
    assert far > 4 * sum(mean(with_it[seed]) for seed in SEEDS)


def test_volatile_spell_widens_the_quotes() -> None:
    samples = [sample for sample in shaded().samples if sample.half_uticks]
    volatile = [sample.half_uticks for sample in samples if sample.volatile]
    calm = [sample.half_uticks for sample in samples if not sample.volatile]
    assert len(volatile) >= 10
    assert mean(volatile) > 1.1 * mean(calm)


@pytest.mark.parametrize("bot", [shaded, unshaded])
def test_every_fill_is_booked_and_the_ledger_is_the_venues(bot) -> None:  # type: ignore[no-untyped-def]
    run = bot()
    fills = run.statement()["fills"]
    assert run.step.counters.fills == len(fills) > 0
    assert run.differences() == {}
    assert run.step.counters.duplicate_fills == 0


@pytest.mark.parametrize("bot", [shaded, unshaded])
def test_nothing_is_open_at_the_end(bot) -> None:  # type: ignore[no-untyped-def]
    assert list(bot().open_orders()) == []
    assert bot().tables.pipeline.table.live_count == 0


def test_same_seed_gives_the_same_fills(tmp_path: Path) -> None:
    again = VirtualBot(shaded().config, sim(SEED), tmp_path)
    again.start()
    again.run(60)
    again.stop()
    ids = [fill["exec_id"] for fill in again.statement()["fills"]]
    first = [fill["exec_id"] for fill in shaded().statement()["fills"]]
    assert ids
    assert ids == first[: len(ids)]
