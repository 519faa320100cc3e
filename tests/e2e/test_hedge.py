"""A bot whose file has [hedge]: quotes on one simulated venue, hedges on another, over sockets."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openmm import Engine, Instrument, Keys, Quotes, View, parse
from openmm._fast.checks import RiskState
from openmm._fast.matching import Tif
from openmm._fast.units import BookSide, Side
from openmm.engine import hedger
from openmm.engine.replay import replay
from openmm.errors import ConfigError, RiskError
from openmm.events import OrderFilled
from openmm.journal import Journal
from openmm.settlement.report import load_report
from openmm.sim.dialects import GATEIO_PAIRS, KRAKEN_PAIRS
from openmm.sim.options import SimOptions
from openmm.sim.server import SimServer
from openmm.venues.claims import lock_account

ROOT = Path(__file__).resolve().parents[2]
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


def config_data(
    folder: Path, quoting: SimServer, hedge: SimServer, mode: str = "live", **changes: Any
) -> dict[str, Any]:
    return (
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


def toml_of(data: dict[str, Any]) -> str:
    """Write a bot's file; JSON's texts and lists are TOML's."""
    lines = []
    for name, table in data.items():
        for one in table if isinstance(table, list) else [table]:
            lines.append(f"[[{name}]]" if isinstance(table, list) else f"[{name}]")
            for key, value in one.items():
                if isinstance(value, dict):
                    inner = ", ".join(f"{at} = {json.dumps(to)}" for at, to in value.items())
                    lines.append(f"{key} = {{ {inner} }}")
                else:
                    lines.append(f"{key} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"


def bot_process(folder: Path, file: Path) -> subprocess.Popen[bytes]:
    """Start `openmm run` with the keys of both venues."""
    env = os.environ | {
        "OPENMM_GATEIO_KEY": HERE.api_key, "OPENMM_GATEIO_SECRET": HERE.api_secret,
        "OPENMM_KRAKEN_KEY": THERE.api_key, "OPENMM_KRAKEN_SECRET": THERE.api_secret,
        "XDG_RUNTIME_DIR": str(folder),
    }  # fmt: skip
    with (folder / "output").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "openmm.cli.main", "run", str(file), "--json"],
            cwd=ROOT, env=env, stdout=output, stderr=output,
        )  # fmt: skip


def paper_fill(pair: Instrument) -> OrderFilled:
    """Make a fill of 0.01 bought."""
    lots = pair.exact_lots(Decimal("0.01"))
    ticks = pair.exact_ticks(Decimal(60_000))
    return OrderFilled(
        "told", "v", "t-q", pair.name, int(Side.BUY), ticks, lots, Decimal(600), (), True, 1
    )  # fmt: skip


class Cross:
    """Two venues and a bot between them."""

    def __init__(self, folder: Path, quoting: SimServer, hedge: SimServer) -> None:
        self.folder, self.quoting, self.hedge = folder, quoting, hedge
        self.engine: Engine | None = None

    def make(self, mode: str = "live", **changes: Any) -> Engine:
        config = parse(config_data(self.folder, self.quoting, self.hedge, mode, **changes))
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
    def bought(self) -> Decimal:
        """What the balances of base moved by at the quoting venue."""
        atoms = self.quoting.core.balances(self.account)["BTC"][0]
        return Decimal(atoms).scaleb(-GATEIO_PAIRS["BTC/USDT"][0].base_decimals) - 1

    @property
    def held(self) -> Decimal:
        """What the bot's books say the balances of base moved by at the quoting venue."""
        assert self.engine is not None
        lots = self.engine.tables.pipeline.inventory.position_lots
        assert lots is not None
        return self.engine.tables.instrument.qty(lots)

    async def quoting_both(self) -> None:
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
            state = (
                "no engine"
                if self.engine is None
                else (
                    f"{self.hedger.summary()}, {self.hedger.told}, "
                    f"{self.engine.tables.pipeline.last_decision.name}"
                )
            )
            raise AssertionError(f"not within {PATIENCE_S:g} s: {what}; {state}") from None


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
        session = json.loads((tmp_path / "cross" / "session.json").read_text())
        report = load_report(session["store"], session["session"])
        (told,) = [one.text for one in report.incidents if one.kind == "hedge"]
        assert told.startswith(f"hedge on kraken: {cross.hedger.fill_count} fills, bought 0.0")
        atoms = sum(fill.fee_atoms for fill in cross.hedge.core.fills(1))
        found = re.search(r"fees (\S+) USD; realised (\S+) USD on both venues, net of fees", told)
        assert found is not None, told
        pair = KRAKEN_PAIRS["BTC/USD"][0]
        assert Decimal(found[1]) == Decimal(atoms).scaleb(-pair.quote_decimals) > 0
        assert Decimal(found[2]) != 0


@pytest.mark.asyncio
async def test_what_filled_while_the_bot_was_killed_is_hedged_at_its_next_start(
    tmp_path: Path,
) -> None:
    async with venues(tmp_path) as cross:
        file = tmp_path / "bot.toml"
        file.write_text(toml_of(config_data(tmp_path, cross.quoting, cross.hedge)))
        first = bot_process(tmp_path, file)
        try:
            await cross.quoting_both()
            first.send_signal(signal.SIGKILL)
            await asyncio.to_thread(first.wait)
            cross.hit(Side.BUY)
            bought = cross.bought
            assert bought > 0
            assert cross.moved == 0
        finally:
            first.kill()
        # The next start books it from the venue's list, and hedges it before anything else.
        cross.make()
        assert cross.engine is not None
        async with cross.engine as engine:
            assert engine.step.counters.recovered_fills >= 1
            await cross.until(
                lambda: cross.moved == -bought and cross.hedger.unhedged == 0,
                "what filled meanwhile is hedged, and booked as that",
            )
        assert engine.exit_code == 0
        # Once: a third start is told of the same fills, and knows them.
        cross.make()
        async with cross.engine as engine:
            await cross.until(lambda: cross.hedger.state == "", "the hedge venue is healthy")
            assert cross.hedger.hedging.settled
        assert engine.exit_code == 0
        assert cross.moved == -bought


@pytest.mark.asyncio
async def test_on_paper_the_hedge_is_pretended_too(tmp_path: Path) -> None:
    async with venues(tmp_path) as cross:
        async with cross.make("paper") as engine:
            table = engine.tables.pipeline.table
            await cross.until(lambda: table.live_count >= 2, "quotes")
            # No market maker but ours trades here: the fill is told as its venue would.
            cross.hedger.on_fill(paper_fill(engine.tables.instrument))
            await cross.until(lambda: cross.hedger.fill_count >= 1, "a pretended hedge")
            await cross.until(lambda: cross.hedger.hedging.settled, "all of it hedged")
            held = await cross.hedger._venue.get_balance()
            assert held["BTC"].total == Decimal("0.99")
            assert held["USD"].total > 100_000
            page = engine.snapshot().hedge
            assert (page.hedged, page.state, page.unhedged_lots) == (1, "hedging", 0)
            assert page.fill_count == cross.hedger.fill_count
        assert engine.exit_code == 0
        assert cross.hedge.core.orders(1) == []
        assert cross.moved == 0


@pytest.mark.asyncio
async def test_money_that_hedges_do_not_account_for_halts(tmp_path: Path) -> None:
    async with venues(tmp_path) as cross:
        async with cross.make() as engine:
            await cross.quoting_both()
            await cross.fill_and_hedge(Side.BUY)
            one = cross.hedger
            await cross.until(lambda: one._opening is not None, "a first look")
            assert engine.tables.monitor.state is RiskState.RUNNING
            opening = one._opening["BTC"]
            one._opening["BTC"] = opening + Decimal("0.25")
            await cross.until(lambda: engine.tables.monitor.state is RiskState.HALTED, "a halt")
            assert engine.tables.monitor.halt_reason == "reconciliation"
            assert one._opening["BTC"] == opening  # told once, and then the books'
            await cross.until(lambda: not engine.tables.pipeline.table.live_count, "no quotes")
        assert engine.exit_code == 3


@pytest.mark.asyncio
async def test_a_hedge_venue_that_falls_withdraws_the_quotes_and_the_stop_tells_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hedger, "STOP_S", 0.5)
    async with venues(tmp_path) as cross:
        async with cross.make() as engine:
            await cross.quoting_both()
            await cross.hedge.close()
            await cross.until(lambda: engine.tables.pipeline.checks.hedge_room == (0, 0), "no room")
            await cross.until(lambda: not engine.tables.pipeline.table.live_count, "no quotes")
            assert cross.hedger.state in ("venue_down", "book")
            cross.hedger.on_fill(paper_fill(engine.tables.instrument))
        session = json.loads((tmp_path / "cross" / "session.json").read_text())
        assert Decimal(session["hedge"]["unhedged"]) == Decimal("0.01")
        assert session["hedge"]["orders"] == 0
        assert cross.moved == 0


@pytest.mark.asyncio
async def test_a_live_bot_without_the_hedge_venues_keys_does_not_start(tmp_path: Path) -> None:
    async with venues(tmp_path) as cross:
        engine = cross.make()
        engine._hedge_keys = None
        with pytest.raises(ConfigError) as caught:
            await engine.start()
        assert caught.value.path == "hedge.kraken"


@pytest.mark.asyncio
async def test_a_strategy_of_the_programs_own_is_refused(tmp_path: Path) -> None:
    async with venues(tmp_path) as cross:
        engine = cross.make()
        engine._custom = Still()
        with pytest.raises(ConfigError, match="a strategy of the program's own"):
            await engine.start()


class Still:
    """A strategy that wants nothing."""

    def quote(self, view: View) -> Quotes:
        return Quotes([], [])


@pytest.mark.asyncio
async def test_an_error_inside_the_hedge_halts_and_stops_the_bot(tmp_path: Path) -> None:
    async with venues(tmp_path) as cross:
        async with cross.make() as engine:
            await cross.quoting_both()
            cross.hedger.hedging._fail("a part", ZeroDivisionError("a bug"))
            await engine.wait(PATIENCE_S)
            assert engine.tables.monitor.state is RiskState.HALTED
            assert "hedge_failed: a part: ZeroDivisionError" in engine.stop_reason
        assert engine.exit_code == 1


@pytest.mark.asyncio
async def test_an_account_that_another_trades_stops_the_start(tmp_path: Path) -> None:
    async with venues(tmp_path) as cross:
        lock = lock_account("kraken", cross.hedge.rest_url, THERE.api_key)
        with pytest.raises(RiskError) as caught:
            await cross.make().start()
        assert caught.value.code == "account_in_use"
        lock.close()


@pytest.mark.asyncio
async def test_a_hedge_is_refused_where_every_address_counts_as_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with venues(tmp_path) as cross:
        engine = cross.make()
        engine._gate.admit()
        monkeypatch.setenv("OPENMM_TREAT_AS_REAL", "1")
        monkeypatch.setattr(type(engine._gate), "admit", lambda self: None)
        with pytest.raises(RiskError, match="hedges at a real venue are refused"):
            await engine.start()
