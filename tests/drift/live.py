"""Whole bots with an account at a simulated venue, on a virtual clock: sessions to run again."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from openmm.config import BotConfig
from openmm.journal import JournalRecord
from openmm.sim.options import SimOptions
from openmm.testing.virtual import VirtualBot
from tests.e2e import usdt, virtual
from tests.rerun.paper import LIVELY, play
from tests.sim.test_recorded import capture

MS = 1_000_000


def kraken(depth: int = 25) -> BotConfig:
    """Return a narrow grid that sees as deep as the recording does."""
    made = virtual.config()
    venue = made.venue[0].model_copy(update={"depth": depth})
    return made.model_copy(update={"venue": (venue,)})


def records_of(
    config: BotConfig, sim: SimOptions, folder: Path, seconds: float
) -> list[JournalRecord]:
    """Run a bot to its clean end; return what it put on its tape."""
    made = VirtualBot(config, sim, folder)
    play(made, seconds)
    return made.records


def sim(venue: str = "kraken", quote: str = "USD", **changed: object) -> SimOptions:
    """Describe a venue whose messages take a while, none as long as the next."""
    money = {"BTC": Decimal(1), quote: Decimal(60_000)}
    base = {
        "venue": venue, "seed": 3, "maker_fee_ppm": 0, "taker_fee_ppm": 1000,
        "latency_ns": 20 * MS, "jitter_ns": 5 * MS, "balances": money,
    }  # fmt: skip
    return SimOptions(**(base | changed))  # type: ignore[arg-type]


@cache
def recorded(data: Path, seconds: float = 120) -> tuple[JournalRecord, ...]:
    """Return a session at a Kraken that serves a recording, which our orders do not move."""
    path = data / "kraken" / "v2_btcusd_d25_20260802.cbcap.gz"
    with TemporaryDirectory() as folder:
        at = sim(replay=path, at_end="loop")
        return tuple(records_of(kraken(), at, Path(folder), seconds))


@cache
def over_rest(seconds: float = 140) -> tuple[JournalRecord, ...]:
    """Return a session at a MEXC that serves a recording: orders leave over REST."""
    with TemporaryDirectory() as folder:
        path, _ = capture(Path(folder), "mexc", 500, seconds=20)
        at = sim("mexc", "USDT", replay=path, at_end="loop", latency_ns=4 * MS, jitter_ns=2 * MS)
        config = usdt.config("mexc", 500, risk={"watchdog_timeout": "off"})
        return tuple(records_of(config, at, Path(folder) / "bot", seconds))


@cache
def synthetic(seconds: float = 60) -> tuple[JournalRecord, ...]:
    """Return a session in a market that is made as it goes, own orders in its book."""
    with TemporaryDirectory() as folder:
        return tuple(records_of(virtual.config(), sim(market=LIVELY), Path(folder), seconds))


@cache
def halted(seconds: float = 30) -> tuple[JournalRecord, ...]:
    """Return a session that a loss halts after some seconds."""
    config = virtual.config(max_drawdown="0.001%")
    with TemporaryDirectory() as folder:
        made = VirtualBot(config, sim(market=LIVELY), Path(folder))
        made.start()
        made.run(seconds)
        made.stop()
        return tuple(made.records)


@cache
def queued(seconds: float = 240) -> tuple[JournalRecord, ...]:
    """Return a session in a market whose levels hold several orders: places in them are unknown."""
    market = {
        "half_spread_bps": 0.3, "depth_bps": 5.0, "orders_a_side": 120, "taker_share": 0.3,
        "order_notional": 400.0, "calm_volatility": 0.1, "volatile_volatility": 0.3,
    }  # fmt: skip
    made = virtual.config(
        {"order_amount": "200", "spread": "2bps", "level_step": "1bps"}, max_order_size="2000",
        max_inventory="30000",
    )  # fmt: skip
    venue = made.venue[0].model_copy(update={"quote": "XRP/USD", "depth": 100})
    at = sim(
        market=market, instrument="XRP/USD",
        balances={"XRP": Decimal(50_000), "USD": Decimal(30_000)},
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        config = made.model_copy(update={"venue": (venue,)})
        return tuple(records_of(config, at, Path(folder), seconds))
