"""A bot whose file has [hedge]: quotes on one simulated venue, hedges on another, over sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openmm import BotConfig, Engine, Keys, parse
from openmm._fast.matching import Tif
from openmm._fast.units import BookSide, Side
from openmm.engine.replay import replay
from openmm.journal import Journal
from openmm.sim.options import SimOptions
from openmm.sim.server import SimServer

PATIENCE_S = 60.0
HERE = SimOptions(
    venue="gateio", seed=3, maker_fee_ppm=0, taker_fee_ppm=1000,
    balances={"BTC": Decimal(1), "USDT": Decimal(60_000)},
)  # fmt: skip
THERE = SimOptions(
    venue="kraken", seed=4, taker_fee_ppm=400,
    balances={"BTC": Decimal(1), "USD": Decimal(60_000)},
)  # fmt: skip


def ends(sim: SimServer) -> dict[str, str]:
    return {"ws": sim.ws_url, "ws_auth": sim.ws_auth_url, "rest": sim.rest_url}


def config_of(
    folder: Path, quoting: SimServer, hedge: SimServer, mode: str = "live", **changes: Any
) -> BotConfig:
    return parse(
        {
            "bot": {"name": "cross", "mode": mode, "run_dir": str(folder)},
            "venue": [
                {
                    "name": "gateio", "quote": "BTC/USDT", "endpoints": ends(quoting),
                    "maker_fee": "0%", "taker_fee": "0.1%",
                }
            ],
            "strategy": {
                "kind": "grid", "spread": "2bps", "level_step": "1bps", "order_amount": "0.01",
                "num_orders": 2, "rebalance_threshold": "90%",
            },
            "risk": {
                "max_order_size": "0.02", "max_open_notional": "20000", "max_inventory": "0.9",
                "max_drawdown": "9%",
            },
            "settlement": {"reconcile_every": "1s"},
            "hedge": {
                "venue": "kraken", "pair": "BTC/USD", "price_rate": "1", "endpoints": ends(hedge),
                "unhedged_max": "0.1", "slippage": "2%", "resume_after": "0s",
                # Quotes at the touch fill: what the hedge costs is let go here.
                "edge_min": "0%", "taker_fee": "0%", **changes,
            },
        }
    )  # fmt: skip


class Cross:
    """Two venues and a bot between them."""

    def __init__(self, folder: Path, quoting: SimServer, hedge: SimServer) -> None:
        self.folder, self.quoting, self.hedge = folder, quoting, hedge
        self.engine: Engine | None = None

    def make(self, mode: str = "live", **changes: Any) -> Engine:
        config = config_of(self.folder, self.quoting, self.hedge, mode, **changes)
        live = mode == "live"
        self.engine = Engine(
            config, keys=Keys(HERE.api_key, HERE.api_secret) if live else None,
            hedge_keys=Keys(THERE.api_key, THERE.api_secret) if live else None,
        )  # fmt: skip
        return self.engine

    @property
    def hedger(self) -> Any:
        assert self.engine is not None
        return self.engine._hedger

    @property
    def moved(self) -> Decimal:
        """What the balances of base moved by at the hedge venue."""
        return Decimal(self.hedge.core.balances(1)["BTC"][0]).scaleb(-10) - 1

    @property
    def held(self) -> Decimal:
        """What the bot's books say the balances of base moved by at the quoting venue."""
        assert self.engine is not None
        lots = self.engine.tables.pipeline.inventory.position_lots
        assert lots is not None
        return self.engine.tables.instrument.qty(lots)

    async def quoting_both(self) -> None:
        assert self.engine is not None
        core, account = self.quoting.core, self.account
        await self.until(
            lambda: {one.side for one in core.open_orders(account)} == {Side.BUY, Side.SELL},
            "quotes on both sides",
        )

    @property
    def account(self) -> int:
        number = self.quoting.core.account_of(HERE.api_key)
        assert number is not None
        return number

    def hit(self, side: Side) -> None:
        """Let the market take our best order of a side, and all that stands before it."""
        core = self.quoting.core
        prices = [
            one.price_ticks
            for one in core.open_orders(self.account)
            if one.side == side and one.price_ticks is not None
        ]
        price = max(prices) if side is Side.BUY else min(prices)
        book_side = BookSide.BID if side is Side.BUY else BookSide.ASK
        lots = sum(
            qty
            for at, qty in core.depth("BTC/USDT", book_side, 500)
            if (at >= price) is (side is Side.BUY) or at == price
        )
        taker = Side.SELL if side is Side.BUY else Side.BUY
        core.market_submit("BTC/USDT", taker, price, lots, Tif.IOC, self.quoting.now_ns())
        self.quoting.flush()

    async def fill_and_hedge(self, side: Side) -> None:
        """Let a quote fill, and wait until it is hedged."""
        assert self.engine is not None
        step = self.engine.step
        before = step.counters.fills
        self.hit(side)
        await self.until(lambda: step.counters.fills > before, "a fill")
        await self.until(lambda: self.hedger.hedging.settled, "a hedge")

    async def until(self, check: Callable[[], object], what: str = "") -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not check():  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
        except TimeoutError:
            assert self.engine is not None
            raise AssertionError(
                f"not within {PATIENCE_S:g} s: {what}; {self.hedger.summary()}, "
                f"{self.hedger.told}, {self.engine.tables.pipeline.last_decision.name}"
            ) from None


@asynccontextmanager
async def venues(folder: Path) -> AsyncIterator[Cross]:
    async with AsyncExitStack() as stack:
        quoting = await stack.enter_async_context(SimServer(HERE))
        hedge = await stack.enter_async_context(SimServer(THERE))
        yield Cross(folder, quoting, hedge)


@pytest.mark.asyncio
async def test_a_bot_hedges_its_fills_and_its_session_replays(tmp_path: Path) -> None:
    async with venues(tmp_path) as cross:
        async with cross.make() as engine:
            for side in (Side.BUY, Side.SELL, Side.BUY):
                await cross.quoting_both()
                await cross.fill_and_hedge(side)
            assert cross.hedger.fill_count >= 3
        assert engine.exit_code == 0
        assert cross.hedge.core.open_orders(1) == []
        held = cross.held
        # What is left is less than the hedge venue takes.
        assert abs(held + cross.moved) < Decimal("0.00006"), (held, cross.moved)
        journal = next((tmp_path / "cross" / "journal").iterdir())
        outcome = replay(Journal(journal))
        assert outcome.difference is None, outcome.difference
        assert outcome.identical
        assert outcome.orders >= 3
