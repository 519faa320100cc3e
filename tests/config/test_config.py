"""A bot's file: every key has an effect, every mistake is told with what is allowed."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm._fast.signals import Want
from openmm.config import (
    BotConfig,
    check_with_instrument,
    default_run_dir,
    grid_params,
    instrument_errors,
    inventory_params,
    load,
    paper_balances,
    parse,
    planner_params,
    read_options,
    rebalance_params,
    signal_params,
    source_params,
    taker_fee_ppm,
    wanted_signals,
)
from openmm.config.check import GROUP_ONLY
from openmm.config.load import PATTERNS
from openmm.config.restore import restore
from openmm.config.schema import (
    ENDPOINT_KEYS,
    VENUES,
    Bot,
    Endpoints,
    Engine,
    Grid,
    Hedge,
    Inventory,
    Journal,
    Paper,
    PythonStrategy,
    Risk,
    Section,
    Settlement,
    Signal,
    Venue,
    Window,
    key_of,
)
from openmm.config.values import Distance
from openmm.engine.admission import goes_live
from openmm.engine.rebalance import RebalanceTerms
from openmm.errors import ConfigError, ConfigErrors
from openmm.instrument import Instrument
from openmm.risk.limits import drawdown_ticklots, limits, rate_reserve_milli
from openmm.telemetry import VENUES_MAX

ROOT = Path(__file__).resolve().parent.parent.parent
BASE: dict[str, Any] = {
    "bot": {"name": "btc-grid", "mode": "paper", "run_dir": "runs"},
    "venue": [
        {
            "name": "kraken",
            "quote": "BTC/USD",
            "maker_fee": "0.2%",
            "taker_fee": "0.35%",
            "account": "dedicated",
        },
        {
            "name": "kraken",
            "label": "kraken-b",
            "reference": "BTC/USD",
            "endpoints": {"ws": "ws://127.0.0.1:8/v2"},
        },
    ],
    "strategy": {
        "kind": "grid",
        "spread": "0.6%",
        "order_amount": "0.01",
        "num_orders": 5,
        "rebalance_threshold": "10%",
        "target_base": "50%",
    },
    "risk": {
        "max_order_size": "0.05",
        "max_open_notional": "20000",
        "max_inventory": "0.5",
        "max_drawdown": "2%",
    },
}
PYTHON = {"kind": "python", "class": "mystrategies.grid:MyGrid"}

BTC = Instrument(
    venue="kraken",
    name="BTC/USD",
    base="BTC",
    quote="USD",
    price_decimals=1,
    qty_decimals=8,
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.00000001"),
    qty_min=Decimal("0.0001"),
    cost_min=Decimal("0.5"),
    base_decimals=8,
    quote_decimals=4,
)
MID = Decimal("66000")


def with_key(path: str, value: object) -> dict[str, Any]:
    """Return the base file with one key set: `risk.max_orders`, `venue[1].depth`, or removed."""
    data = copy.deepcopy(BASE)
    if path.startswith("hedge."):
        data["hedge"] = dict(HEDGE)
    at: Any = data
    *tables, key = path.split(".")
    for table in tables:
        if table.endswith("]"):
            name, _, index = table[:-1].partition("[")
            at = at[name][int(index)]
        else:
            at = at.setdefault(table, {})
    if value is REMOVED:
        del at[key]
    else:
        at[key] = value
    data["strategy"] |= BESIDE.get(path, {})
    if path in GROUPED:
        data.setdefault("inventory", {}).setdefault("group", "grouped")
        data["risk"].setdefault("max_group_inventory", "0.75")
    return data


REMOVED = object()


def refusal(data: dict[str, Any]) -> list[ConfigError]:
    with pytest.raises(ConfigErrors) as caught:
        parse(data)
    return list(caught.value.errors)


# key, text in the file, attribute on the built object, value it must have
KEYS: list[tuple[str, object, object]] = [
    ("bot.name", "eth-1", "eth-1"),
    ("bot.mode", "live", "live"),
    ("bot.run_dir", "/srv/elsewhere", Path("/srv/elsewhere")),
    ("venue[1].name", "kraken", "kraken"),
    ("venue[1].label", "other", "other"),
    ("venue[0].quote", "BTC/USD", "BTC/USD"),
    ("venue[1].reference", "BTC/USD", "BTC/USD"),
    ("venue[0].endpoints.ws", "ws://127.0.0.1:9/v2", "ws://127.0.0.1:9/v2"),
    ("venue[0].endpoints.ws_auth", "wss://example.com/v2", "wss://example.com/v2"),
    ("venue[0].endpoints.rest", "http://localhost:9", "http://localhost:9"),
    ("venue[0].depth", 100, 100),
    ("venue[0].account", "shared", "shared"),
    ("venue[0].maker_fee", "0.1%", 1_000),
    ("venue[0].maker_fee", "-1bps", -100),
    ("venue[0].taker_fee", "26bps", 2_600),
    ("venue[1].weight", "0.5", Decimal("0.5")),
    ("venue[1].max_age", "3s", 3_000_000_000),
    ("venue[1].max_spread", "20bps", 2_000),
    ("venue[1].verify_checksum", False, False),
    ("strategy.spread", "80bps", 8_000),
    ("strategy.order_amount", "0.02", Decimal("0.02")),
    ("strategy.order_amount", "0.0200", Decimal("0.02")),
    ("strategy.num_orders", 7, 7),
    ("strategy.rebalance_threshold", "12.5%", 125_000),
    ("strategy.rebalance_exit", "3%", 30_000),
    ("strategy.rebalance", "take", "take"),
    ("strategy.rebalance_slippage", "5bps", 500),
    ("strategy.rebalance_cost_max", "15bps", 1_500),
    ("strategy.rebalance_wait", "3s", 3_000_000_000),
    ("strategy.target_base", "40%", 400_000),
    ("strategy.inventory_scale", "0.25", Decimal("0.25")),
    ("strategy.level_step", "0.1%", 1_000),
    ("strategy.skew_full", "8bps", 800),
    ("strategy.flow_full", "300ppm", 300),
    ("strategy.micro_weight", "150%", 1_500_000),
    ("strategy.micro_cap", "3bps", 300),
    ("strategy.imbalance_full", "2bps", 200),
    ("strategy.ofi_full", "4bps", 400),
    ("strategy.compression_full", "5bps", 500),
    ("strategy.vol_factor", "0.5", Decimal("0.5")),
    ("strategy.quote_rest", "10s", 10_000_000_000),
    ("strategy.depth_factor", "5bps", 500),
    ("strategy.inventory_widen", "6bps", 600),
    ("strategy.min_edge", "1bps", 100),
    ("strategy.fee_budget", "2bps", 200),
    ("strategy.spread_min", "0.5%", 5_000),
    ("strategy.spread_max", "2%", 20_000),
    ("strategy.size_skew", "25%", 250_000),
    ("strategy.spacing", "geometric", "geometric"),
    ("strategy.level_ratio", "1.25", Decimal("1.25")),
    ("strategy.level_offsets", ["0%", "1bps", "2bps", "3bps", "9bps"], (0, 100, 200, 300, 900)),
    ("strategy.level_offsets", "0%, 1bps, 2bps, 3bps, 9bps", (0, 100, 200, 300, 900)),
    ("strategy.sizes", "pyramid", "pyramid"),
    ("strategy.size_step", "-10%", -100_000),
    ("strategy.level_amounts", ["0.01"] * 5, (Decimal("0.01"),) * 5),
    ("strategy.price_floor", "50000", Decimal(50_000)),
    ("strategy.price_ceiling", 90_000, Decimal(90_000)),
    ("strategy.price_ceiling", "off", None),
    (
        "strategy.schedule",
        [{"from": "21:00", "to": "9:05", "widen": "1bps"}],
        (Window(75_600, 32_700, 100, False),),
    ),
    ("strategy.schedule", "00:00-24:00 off", (Window(0, 86_400, 0, True),)),
    ("strategy.narrow_rate", "1bps", 100),
    ("strategy.refill_delay", "1500ms", 1_500_000_000),
    ("strategy.ping_pong", True, True),
    ("strategy.hanging", True, True),
    ("strategy.hanging_age_max", "5m", 300_000_000_000),
    ("strategy.hanging_distance_max", "2%", 20_000),
    ("strategy.requote_threshold", "3 ticks", Distance(ticks=3)),
    ("strategy.tolerance", "0.5bps", Distance(ppm=50)),
    ("strategy.qty_tolerance", "5%", 50_000),
    ("strategy.order_age_max", "1h", 3_600_000_000_000),
    ("strategy.queue_value", "2bps", Distance(ppm=200)),
    ("strategy.queue_model", "log", "log"),
    ("strategy.queue_power", 2, 2),
    ("signal.sample", "100ms", 100_000_000),
    ("signal.vol_fast", "5s", 5_000_000_000),
    ("signal.vol_slow", "5m", 300_000_000_000),
    ("signal.flow", "20s", 20_000_000_000),
    ("signal.ofi", "2s", 2_000_000_000),
    ("signal.watch", True, True),
    ("signal.fair", "vamp", "vamp"),
    ("signal.fair_levels", 3, 3),
    ("signal.fair_decay", "2bps", Distance(ppm=200)),
    ("signal.fair_notional", "5000", Decimal(5_000)),
    ("signal.depth", "90s", 90_000_000_000),
    ("signal.depth_distance", "25 ticks", Distance(ticks=25)),
    ("signal.fit_sample", "500ms", 500_000_000),
    ("signal.fit", "20m", 1_200_000_000_000),
    ("signal.jump_sigma", "4.5", Decimal("4.5")),
    ("signal.sigma_floor", "1bps", Distance(ppm=100)),
    ("signal.outlier_floor", "40bps", 4_000),
    ("venue[0].max_book_silence", "1m", 60_000_000_000),
    ("signal.clamp", "20bps", 2_000),
    ("signal.basis", "5m", 300_000_000_000),
    ("signal.basis_cap", "1%", 10_000),
    ("signal.readmit_updates", 5, 5),
    ("signal.jump", "20bps", 2_000),
    ("signal.jump_hold", "3s", 3_000_000_000),
    ("risk.max_order_size", "0.07", Decimal("0.07")),
    ("risk.min_order_size", "0.001", Decimal("0.001")),
    ("risk.max_order_notional", "5000", Decimal(5_000)),
    ("risk.max_open_notional", 30_000, Decimal(30_000)),
    ("risk.max_inventory", "0.75", Decimal("0.75")),
    ("risk.max_drawdown", "1.5%", 15_000),
    ("risk.max_drawdown_peak", "3%", 30_000),
    ("risk.cooldown", "5m", 300_000_000_000),
    ("risk.price_collar", "4%", 40_000),
    ("risk.max_orders", 12, 12),
    ("risk.max_message_age", "900ms", 900_000_000),
    ("risk.max_clock_offset", "250ms", 250_000_000),
    ("risk.base_reserve", "0.1", Decimal("0.1")),
    ("risk.quote_reserve", "100", Decimal(100)),
    ("risk.max_slippage", "2%", 20_000),
    ("risk.fills_per_minute", 30, 30),
    ("risk.rejects_per_minute", 5, 5),
    ("risk.post_only_per_minute", 6, 6),
    ("risk.cancels_per_minute", 7, 7),
    ("risk.brake", "10s", 10_000_000_000),
    ("risk.rate_reserve", "30%", 300_000),
    ("risk.ack_timeout", "1500ms", 1_500_000_000),
    ("risk.dead_man_timeout", "45s", 45_000_000_000),
    ("risk.dead_man_timeout", "off", 0),
    ("risk.watchdog_timeout", "3s", 3_000_000_000),
    ("risk.watchdog_timeout", "off", 0),
    ("risk.neighbours", "off", "off"),
    ("risk.webhook", "https://example.com/hook", "https://example.com/hook"),
    ("bot.capital", "25000.50", Decimal("25000.50")),
    ("settlement.reconcile_every", "15s", 15_000_000_000),
    ("settlement.alert_above", "0.01%", 100),
    ("settlement.halt_above", "0.05%", 500),
    ("settlement.alert_above", "0.01%", 100),
    ("settlement.currency", "EUR", "EUR"),
    ("settlement.store", "postgresql://db/openmm", "postgresql://db/openmm"),
    ("settlement.uptime_within", "25bps", 2_500),
    ("settlement.uptime_depth", "0.5", Decimal("0.5")),
    ("journal.max_size", "5GiB", 5 << 30),
    ("journal.keep_days", 30, 30),
    ("journal.keep_sessions", 100, 100),
    ("engine.telemetry_interval", "50ms", 50_000_000),
    ("engine.tape_size", "128MiB", 128 << 20),
    ("engine.log_level", "debug", "debug"),
    ("engine.cpu", 1, 1),
    ("engine.busy_poll", True, True),
    ("engine.lock_memory", True, True),
    ("engine.keep_awake", True, True),
    ("engine.keep_warm", False, False),
    ("engine.quickack", False, False),
    ("paper.base", "2.5", Decimal("2.5")),
    ("paper.quote", 5_000, Decimal(5_000)),
    ("paper.latency", "20ms", 20_000_000),
    ("risk.max_group_inventory", "1.5", Decimal("1.5")),
    ("inventory.group", "btc", "btc"),
    ("inventory.target_base", "40%", 400_000),
    ("inventory.claim", "0.3", Decimal("0.3")),
    ("inventory.members", 3, 3),
    ("inventory.neighbour_age_max", "5s", 5_000_000_000),
    ("inventory.silence", "own", "own"),
    ("inventory.look_every", "50ms", 50_000_000),
    ("inventory.capital_base_max", "1.25", Decimal("1.25")),
    ("inventory.capital_quote_max", "50000", Decimal(50_000)),
    ("inventory.capital_alert_after", "5m", 300_000_000_000),
]
HEDGE_KEYS: list[tuple[str, object, object]] = [
    ("hedge.venue", "bitget", "bitget"),
    ("hedge.pair", "BTC/USD", "BTC/USD"),
    ("hedge.label", "other", "other"),
    ("hedge.options", {"account": "unified"}, {"account": "unified"}),
    ("hedge.unhedged_max", "0.2", Decimal("0.2")),
    ("hedge.slippage", "3bps", 300),
    ("hedge.taker_fee", "0.1%", 1_000),
    ("hedge.price_rate", "0.99", Decimal("0.99")),
    ("hedge.urgent", "80%", 800_000),
    ("hedge.order_max", "0.05", Decimal("0.05")),
    ("hedge.when", "profitable", "profitable"),
    ("hedge.delay", "2s", 2_000_000_000),
    ("hedge.edge_min", "1bps", 100),
    ("hedge.latency_allowance", "2bps", 200),
    ("hedge.slippage_allowance", "3bps", 300),
    ("hedge.deadline", "20s", 20_000_000_000),
    ("hedge.max_book_age", "2s", 2_000_000_000),
    ("hedge.resume_after", "1s", 1_000_000_000),
    ("hedge.exposure_max", "20s", 20_000_000_000),
    ("hedge.doubt_max", "7s", 7_000_000_000),
    ("hedge.attempts_max", 3, 3),
    ("hedge.paper_base", "3", Decimal(3)),
    ("hedge.paper_quote", "500", Decimal(500)),
]
HEDGE: dict[str, Any] = {
    "venue": "gateio", "pair": "BTC/USDT", "price_rate": "1", "unhedged_max": "0.1",
    "slippage": "0.2%",
}  # fmt: skip
LOOPBACK = {"ws": "ws://127.0.0.1:1", "ws_auth": "ws://[::1]:1", "rest": "http://localhost:1"}


# What a key has a meaning with.
BESIDE: dict[str, dict[str, object]] = {
    "strategy.level_ratio": {"spacing": "geometric"},
    "strategy.level_offsets": {"spacing": "custom"},
    "strategy.size_step": {"sizes": "pyramid"},
    "strategy.level_amounts": {"sizes": "custom"},
}
# Keys that only a group has.
GROUPED = {"risk.max_group_inventory", "inventory.group"} | {
    f"inventory.{key_of(name)}" for name in GROUP_ONLY
}


def built(config: BotConfig, path: str) -> object:
    """Read the attribute that a key of the file ends up in."""
    at: Any = config
    *tables, key = path.split(".")
    for table in tables:
        name, _, index = table.rstrip("]").partition("[")
        at = getattr(at, name)
        at = at[int(index)] if index else at
    return getattr(at, next(field for field in type(at).model_fields if key_of(field) == key))


@pytest.mark.parametrize(("path", "text", "value"), KEYS)
def test_key_sets_its_value(path: str, text: object, value: object) -> None:
    data = with_key(path, text)
    if path == "bot.mode":
        data["venue"][0]["endpoints"] = LOOPBACK
    if path == "venue[0].account":
        assert "dead_man_timeout" not in data["risk"]
    assert built(parse(data), path) == value


@pytest.mark.parametrize(
    ("path", "text", "value"), [*[k for k in KEYS if built(parse(BASE), k[0]) != k[2]]]
)
def test_key_changes_the_default(path: str, text: object, value: object) -> None:
    data = with_key(path, text)
    if path == "bot.mode":
        data["venue"][0]["endpoints"] = LOOPBACK
    assert parse(data) != parse(BASE)


@pytest.mark.parametrize(("path", "text", "value"), HEDGE_KEYS)
def test_key_of_a_hedge_sets_its_value(path: str, text: object, value: object) -> None:
    data = with_key(path, text)
    if path == "hedge.pair":
        del data["hedge"]["price_rate"]
    config = parse(data)
    assert built(config, path) == value
    assert config.hedge != parse(copy.deepcopy(BASE) | {"hedge": HEDGE}).hedge
    assert restore(json.loads(json.dumps(config.plain(), default=str))) == config


def test_every_key_of_the_schema_is_in_the_table() -> None:
    tables: dict[str, type[Section]] = {
        "bot": Bot,
        "strategy": Grid,
        "signal": Signal,
        "risk": Risk,
        "settlement": Settlement,
        "journal": Journal,
        "engine": Engine,
        "paper": Paper,
        "hedge": Hedge,
        "inventory": Inventory,
    }
    wanted = {f"{name}.{key_of(f)}" for name, t in tables.items() for f in t.model_fields}
    # A watched venue has no rate, Kraken no options: they have a test.
    roles = {"endpoints", "rate", "convert", "options"}
    wanted -= {"hedge.endpoints"}  # in a test of its own
    wanted |= {f"venue.{key_of(f)}" for f in Venue.model_fields if f not in roles}
    wanted |= {f"venue.endpoints.{f}" for f in Endpoints.model_fields}
    seen = {path.replace("[0]", "").replace("[1]", "") for path, _, _ in KEYS + HEDGE_KEYS}
    assert wanted - seen == {"strategy.kind"}


# what of [hedge] is changed, the key that is refused, a piece of what is allowed
BAD_HEDGE: list[tuple[dict[str, Any], str, str]] = [
    ({"venue": "kraken", "pair": "BTC/USD", "label": "b"}, "hedge.venue", "another venue than"),
    ({"venue": "mtgox"}, "hedge.venue", "'binance' or 'coinbase'"),
    ({"venue": "binance"}, "hedge.venue", "binance is only watched"),
    ({"label": "kraken"}, "hedge.label", "a label of its own"),
    ({"pair": "ETH/USDT"}, "hedge.pair", "a pair of BTC"),
    ({"pair": "BTCUSDT"}, "hedge.pair", 'a pair such as "BTC/USD"'),
    ({"price_rate": REMOVED}, "hedge.pair", "a pair in USD, or price_rate"),
    ({"deadline": "5s"}, "hedge.deadline", "gateio keeps no deadlines"),
    ({"delay": "10s"}, "hedge.exposure_max", "longer than hedge.delay"),
    ({"order_max": "0.2"}, "hedge.order_max", "at most hedge.unhedged_max"),
    ({"when": "never"}, "hedge.when", '"always" or "profitable"'),
    ({"slippage": "60%"}, "hedge.slippage", "50%"),
    ({"unhedged_max": "0"}, "hedge.unhedged_max", "more than zero"),
    ({"options": {"account": "none"}}, "hedge.options.account", '"spot"'),
    ({"slipage": "1%"}, "hedge.slipage", 'did you mean "slippage"'),
    ({"secret": "abc"}, "hedge.secret", "no secret stands in this file"),
]


@pytest.mark.parametrize(("changes", "path", "allowed"), BAD_HEDGE)
def test_hedge_that_cannot_be_is_refused(changes: dict[str, Any], path: str, allowed: str) -> None:
    table = {key: value for key, value in (HEDGE | changes).items() if value is not REMOVED}
    found = refusal(copy.deepcopy(BASE) | {"hedge": table})
    assert [one.path for one in found] == [path]
    assert allowed in found[0].allowed


def test_hedge_needs_a_strategy_that_keeps_what_it_costs() -> None:
    (found,) = refusal(copy.deepcopy(BASE) | {"hedge": HEDGE, "strategy": PYTHON})
    assert "a built-in strategy" in found.allowed


def test_live_hedge_goes_to_this_machine_only() -> None:
    data = copy.deepcopy(BASE) | {"hedge": HEDGE}
    data["bot"]["mode"] = "live"
    data["venue"][0]["endpoints"] = LOOPBACK
    assert [one.path for one in refusal(data)] == ["hedge.endpoints.ws", "hedge.endpoints.rest"]
    data["hedge"] = HEDGE | {"endpoints": LOOPBACK | {"rest": "https://api.example.com"}}
    (found,) = refusal(data)
    assert (found.path, "simulated venues only" in found.allowed) == ("hedge.endpoints.rest", True)
    data["hedge"] = HEDGE | {"endpoints": LOOPBACK}
    hedge = parse(data).hedge
    assert hedge is not None
    assert hedge.endpoints.rest == LOOPBACK["rest"]


def test_watched_pair_in_another_currency_names_its_rate() -> None:
    data = copy.deepcopy(BASE)
    data["venue"][1] |= {"reference": "BTC/USDT", "convert": "tether"}
    data["venue"].append({"name": "kraken", "label": "tether", "rate": "USDT/USD"})
    watched, rate = parse(data).venue[1:]
    assert (watched.pair, watched.convert) == ("BTC/USDT", "tether")
    assert (rate.pair, rate.blended) == ("USDT/USD", False)


def test_rate_converts_the_other_way_round_too() -> None:
    data = copy.deepcopy(BASE)
    data["venue"][0]["quote"] = "BTC/USDT"
    data["venue"][1] |= {"reference": "BTC/USD", "convert": "tether"}
    data["venue"].append({"name": "kraken", "label": "tether", "rate": "USDT/USD"})
    assert parse(data).venue[1].convert == "tether"
    data["venue"][2]["rate"] = "USDC/USD"
    with pytest.raises(ConfigErrors, match='rate = "USD/USDT" or "USDT/USD"'):
        parse(data)


def test_python_strategy_takes_class_and_params() -> None:
    data = copy.deepcopy(BASE)
    data["strategy"] = PYTHON | {"params": {"edge": "3bps", "levels": 4}, "tolerance": "2 ticks"}
    strategy = parse(data).strategy
    assert isinstance(strategy, PythonStrategy)
    assert strategy.class_path == "mystrategies.grid:MyGrid"
    assert strategy.params == {"edge": "3bps", "levels": 4}
    assert strategy.tolerance == Distance(ticks=2)


def test_python_strategy_refuses_grid_keys() -> None:
    data = copy.deepcopy(BASE)
    data["strategy"] = PYTHON | {"spread": "1%"}
    [error] = refusal(data)
    assert error.path == "strategy.spread"
    assert "unknown key" in error.allowed


PLUGGED = """
import json, os, sys
from pydantic import BaseModel
from openmm.config import parse
before = dict(os.environ)
parse(json.loads(sys.argv[1]))
assert os.environ == before
print("hooked" in sys.modules)
class Other(BaseModel):
    key: int
print("hooked" in sys.modules)
"""


@pytest.mark.parametrize("table", ["signal", "settlement", "journal", "engine", "paper"])
def test_table_left_out_is_an_empty_one(table: str) -> None:
    assert table not in BASE
    assert parse(BASE) == parse({**BASE, table: {}})


def test_a_file_is_read_without_what_is_plugged_into_pydantic(tmp_path: Path) -> None:
    # A plugin is code of others in the process that trades, and may take long to load.
    package = tmp_path / "hooked-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: hooked\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[pydantic]\nhooked = hooked:plugin\n")
    (tmp_path / "hooked.py").write_text(
        "class plugin:\n    def new_schema_validator(*_, **__): return None, None, None\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", PLUGGED, json.dumps(BASE)],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["False", "True"]


def test_defaults_follow_the_spread() -> None:
    grid = parse(BASE).strategy
    assert isinstance(grid, Grid)
    assert (grid.level_step_ppm, grid.skew_full_ppm, grid.spread_max_ppm) == (3_000, 2_400, 30_000)
    assert grid.tolerance == Distance(ppm=300)
    assert grid.requote_threshold == Distance(ppm=150)
    assert grid.queue_value == Distance(ppm=1_500)  # half a level


# path, bad value, a piece of what is allowed
BAD: list[tuple[str, object, str]] = [
    ("bot.name", "BTC grid", "1 to 32 of a-z"),
    ("bot.name", REMOVED, "required"),
    ("bot.mode", "test", '"paper" or "live"'),
    ("bot.run_dir", "", "folder"),
    ("venue[0].name", "mtgox", "'binance' or 'coinbase'"),
    ("venue[0].label", "Kraken", "starting with a letter"),
    ("venue[0].quote", "BTCUSD", 'a pair such as "BTC/USD"'),
    ("venue[1].reference", "BTCUSD", 'a pair such as "BTC/USD"'),
    ("venue[1].rate", "USDTUSD", 'a pair such as "BTC/USD"'),
    ("venue[1].convert", "Tether", "the label of a venue with rate"),
    ("venue[0].depth", 11, "10, 25, 100, 500 or 1000"),
    ("venue[0].account", "mine", '"dedicated" or "shared"'),
    ("venue[0].endpoints.ws", "http://x", "such as wss://"),
    ("venue[0].endpoints.ws", "ws://example.com", "without TLS only loopback"),
    ("venue[0].endpoints.ws", "wss://me:pw@example.com", "without a user or password"),
    ("venue[0].endpoints.ws", "ws://127.0.0.1:99999", "Port out of range"),
    ("venue[0].endpoints.rest", 8080, "such as https://"),
    ("venue[0].maker_fee", "20%", 'from "-1%" to "10%"'),
    ("venue[0].maker_fee", 0.0025, 'if a fraction was meant write "0.25%"'),
    ("venue[0].verify_checksum", "yes", "boolean"),
    ("venue[1].weight", "-1", "zero or more"),
    ("venue[1].max_age", "0s", 'from "1ms" to "1d"'),
    ("strategy.kind", "martingale", '"grid", "glft", "avellaneda", "python"'),
    ("strategy.spread", "0.006", 'if a fraction was meant write "0.6%"'),
    ("strategy.spread", 0.006, 'if a fraction was meant write "0.6%"'),
    ("strategy.spread", "0%", 'from "0.0001%"'),
    ("strategy.spread", "0.00001%", "no finer"),
    ("strategy.spread", "-0.6%", "from"),
    ("strategy.spread", True, "a share with its unit"),
    ("strategy.order_amount", 0.01, "exact decimal as text"),
    ("strategy.order_amount", "1e-2", "exact decimal as text"),
    ("strategy.order_amount", "0", "more than zero"),
    ("strategy.order_amount", True, "exact decimal as text"),
    ("strategy.num_orders", 0, "greater than or equal to 1"),
    ("strategy.num_orders", 33, "less than or equal to 32"),
    ("strategy.num_orders", "5", "valid integer"),
    ("strategy.target_base", "100%", "from"),
    ("strategy.target_base", "0%", "from"),
    ("strategy.tolerance", "2", "2 ticks"),
    ("strategy.tolerance", "-1bps", "2 ticks"),
    ("strategy.queue_value", "4", "2 ticks"),
    ("strategy.queue_model", "hopeful", "cautious"),
    ("strategy.queue_power", 9, "less than or equal to 8"),
    ("strategy.quote_rest", 5, '"30s"'),
    ("strategy.quote_rest", "5", '"30s"'),
    ("strategy.quote_rest", "0.1ns", "no finer"),
    ("risk.max_open_notional", "lots", "exact decimal as text"),
    ("risk.max_drawdown", "0%", "from"),
    ("risk.max_orders", 1000, "less than or equal to 256"),
    ("risk.neighbours", "maybe", 'one of "refuse" or "off"'),
    ("risk.webhook", "ftp://example.com", "such as https://"),
    ("risk.webhook", "http://example.com/hook", "https://"),
    ("risk.ack_timeout", "10h", "from"),
    ("settlement.currency", "$", "a currency"),
    ("settlement.store", "store.sqlite", "database address"),
    ("journal.max_size", "1MiB", 'from "64MiB"'),
    ("journal.keep_sessions", 0, "greater than or equal to 1"),
    ("engine.tape_size", "64", '"64MiB"'),
    ("engine.tape_size", "1KiB", 'from "1MiB"'),
    ("engine.log_level", "loud", '"debug", "info", "warning" or "error"'),
]


@pytest.mark.parametrize(("path", "value", "allowed"), BAD)
def test_bad_value_is_refused_with_path_value_and_allowed(
    path: str, value: object, allowed: str
) -> None:
    errors = refusal(with_key(path, value))
    [error] = [error for error in errors if error.path == path]
    assert allowed in error.allowed
    assert str(error).startswith(f"{path}: ")
    if value is not REMOVED and not path.endswith(("webhook", "ws")):
        assert error.value == value


def sections(model: type[Section] = Section) -> list[type[Section]]:
    """Return every table of the schema."""
    own = [one for one in model.__subclasses__() if one.__module__ == Section.__module__]
    return own + [found for one in own for found in sections(one)]


def test_every_key_with_a_pattern_says_in_words_what_it_allows() -> None:
    found = {
        key_of(name)
        for section in sections()
        for name, field in section.model_fields.items()
        if "pattern='" in repr((field.annotation, field.metadata))
    }
    assert {"name", "label", "quote", "rate", "convert", "class", "store"} <= found
    assert found == set(PATTERNS)


# keys to set, path of the error, a piece of what is allowed
IMPOSSIBLE: list[tuple[dict[str, object], str, str]] = [
    ({"strategy.spread": "0.39%"}, "strategy.spread", "at least 0.4%"),
    ({"strategy.min_edge": "0.11%"}, "strategy.spread", "at least 0.62%"),
    ({"strategy.order_amount": "0.06"}, "strategy.order_amount", "risk.max_order_size, 0.05"),
    ({"strategy.order_amount": "0.04"}, "strategy.order_amount", "an order grows to 0.06"),
    ({"risk.min_order_size": "0.02"}, "strategy.order_amount", "at least risk.min_order_size"),
    ({"risk.min_order_size": "0.06"}, "risk.min_order_size", "at most risk.max_order_size"),
    ({"risk.max_orders": 9}, "strategy.num_orders", "within risk.max_orders, 9"),
    ({"risk.max_inventory": "0.04"}, "strategy.num_orders", "within risk.max_inventory, 0.04"),
    ({"risk.price_collar": "1%"}, "risk.price_collar", "outermost level's distance, 1.77%"),
    ({"risk.max_order_notional": "20001"}, "risk.max_order_notional", "risk.max_open_notional"),
    ({"strategy.spread_min": "0.7%"}, "strategy.spread_min", "at most strategy.spread, 0.6%"),
    ({"strategy.spread_max": "0.5%"}, "strategy.spread_max", "at least strategy.spread, 0.6%"),
    ({"strategy.rebalance_exit": "11%"}, "strategy.rebalance_exit", "rebalance_threshold, 10%"),
    (
        {"strategy.rebalance": "take", "strategy.rebalance_exit": "10%"},
        "strategy.rebalance_exit",
        "below strategy.rebalance_threshold, 10%",
    ),
    (
        {"strategy.rebalance": "take", "strategy.rebalance_slippage": "2%"},
        "strategy.rebalance_slippage",
        "at most risk.max_slippage, 1%",
    ),
    ({"signal.vol_slow": "10s"}, "signal.vol_slow", "longer than signal.vol_fast"),
    ({"venue[1].label": "kraken"}, "venue[1].label", "a label of its own"),
    ({"venue[1].quote": "BTC/USD"}, "venue[1].quote", "one of quote"),
    ({"venue[1].reference": REMOVED}, "venue[1].quote", "one of quote"),
    ({"venue[1].rate": "USDT/USD"}, "venue[1].quote", "one of quote"),
    ({"venue[1].endpoints": {}}, "venue[1]", "BTC/USD of kraken is kraken already"),
    ({"venue[1].reference": "ETH/USD"}, "venue[1].reference", "a pair of BTC"),
    ({"venue[1].reference": "BTC/USDT"}, "venue[1].convert", 'rate = "USDT/USD"'),
    ({"venue[1].convert": "kraken"}, "venue[1].convert", 'rate = "USD/USD"'),
    ({"venue[0].convert": "other"}, "venue[0].convert", "only beside reference"),
    ({"venue[0].weight": "0", "venue[1].weight": "0"}, "venue", "a weight above 0"),
    ({"inventory.group": "btc"}, "risk.max_group_inventory", 'a limit of the group "btc"'),
    (
        {
            "inventory.group": "btc",
            "risk.max_group_inventory": "1",
            "strategy.rebalance": "take",
        },
        "strategy.rebalance",
        '"passive" with inventory.group',
    ),
    (
        {"inventory.group": "btc", "risk.max_group_inventory": "1", "risk.neighbours": "off"},
        "risk.neighbours",
        '"refuse": the bots of a group',
    ),
    ({"risk.max_group_inventory": "1"}, "risk.max_group_inventory", "told with inventory.group"),
    ({"inventory.target_base": "40%"}, "inventory.target_base", "told with inventory.group"),
    ({"inventory.claim": "1"}, "inventory.claim", "told with inventory.group"),
    ({"inventory.members": 2}, "inventory.members", "told with inventory.group"),
    (
        {"inventory.neighbour_age_max": "1s"},
        "inventory.neighbour_age_max",
        "told with inventory.group",
    ),
    ({"inventory.silence": "own"}, "inventory.silence", "told with inventory.group"),
    ({"inventory.look_every": "50ms"}, "inventory.look_every", "told with inventory.group"),
    (
        {"inventory.capital_alert_after": "1m"},
        "inventory.capital_alert_after",
        "told with inventory.group",
    ),
    (
        {"venue[0].account": "shared", "risk.dead_man_timeout": "60s"},
        "risk.dead_man_timeout",
        'account = "dedicated"',
    ),
]


GATEIO: dict[str, Any] = {"name": "gateio", "quote": "BTC/USDT", "account": "dedicated"}
WATCHED: dict[str, Any] = {"name": "gateio", "reference": "BTC/USD"}


def test_options_told_stand_beside_the_defaults_of_the_others() -> None:
    options = {"account": "unified", "deadline_ms": 0}
    venues = [BASE["venue"][0], WATCHED | {"options": options}]
    assert read_options(parse(BASE | {"venue": venues}).venue[1]) == {
        "account": "unified", "stp_act": "", "action_mode": "", "deadline_ms": 0, "login_param": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"acount": "spot"}, {"acount": 'did you mean "account"'}),
        ({"deadline_ms": "no"}, {"deadline_ms": "valid integer"}),
        ({"deadline_ms": 60_001}, {"deadline_ms": "60000"}),
        (
            {"acount": "x", "stp_act": "zz", "deadline_ms": -1},
            {"acount": "unknown key", "stp_act": '"cn"', "deadline_ms": "greater than"},
        ),
        ({"login_param": []}, {"login_param": "one of"}),
    ],
)
def test_options_of_a_venue_are_checked_with_the_rest_of_the_file(
    options: dict[str, Any], told: dict[str, str]
) -> None:
    venues = [BASE["venue"][0], WATCHED | {"options": options}]
    errors = {error.path: error.allowed for error in refusal(BASE | {"venue": venues})}
    assert set(errors) == {f"venue[1].options.{key}" for key in told}
    for key, allowed in told.items():
        assert allowed in errors[f"venue[1].options.{key}"]


def test_checksum_cannot_be_left_out_where_there_is_none() -> None:
    venues = [BASE["venue"][0], WATCHED | {"verify_checksum": False}]
    [error] = refusal(BASE | {"venue": venues})
    assert error.path == "venue[1].verify_checksum"
    assert "carry no checksum" in error.allowed
    parse(BASE | {"venue": [BASE["venue"][0], WATCHED | {"verify_checksum": True}]})


def test_a_venue_without_a_dead_mans_switch_has_the_watchdog_stand_in() -> None:
    live = BASE["bot"] | {"mode": "live"}
    venue = GATEIO | {"name": "mexc", "endpoints": LOOPBACK}
    made = parse(BASE | {"bot": live, "venue": [venue]})
    assert made.dead_man_ns is None
    assert made.watchdog_ns == 10_000_000_000
    risk = BASE["risk"] | {"dead_man_timeout": "60s"}
    [error] = refusal(BASE | {"bot": live, "venue": [venue], "risk": risk})
    assert (error.path, "no such switch" in error.allowed) == ("risk.dead_man_timeout", True)


def test_bitget_has_a_switch_on_unified_accounts_only() -> None:
    live = BASE["bot"] | {"mode": "live"}
    bitget = GATEIO | {"name": "bitget", "endpoints": LOOPBACK, "depth": 5, "account": "dedicated"}
    for options in ({}, {"account": "auto"}, {"account": "classic"}):
        made = parse(BASE | {"bot": live, "venue": [bitget | {"options": options}]})
        assert (made.dead_man_ns, made.watchdog_ns) == (None, 10_000_000_000)
        risk = BASE["risk"] | {"dead_man_timeout": "30s"}
        [error] = refusal(
            BASE | {"bot": live, "venue": [bitget | {"options": options}], "risk": risk}
        )
        assert 'unless venue[0].options.account = "unified"' in error.allowed
    made = parse(BASE | {"bot": live, "venue": [bitget | {"options": {"account": "unified"}}]})
    assert (made.dead_man_ns, made.watchdog_ns) == (60_000_000_000, None)


@pytest.mark.parametrize(
    ("name", "options", "least_s", "most_s"),
    [
        ("kraken", {}, 2, 86_399), ("gateio", {}, 5, 86_399),
        ("bitget", {"account": "unified"}, 5, 60),
    ],
)  # fmt: skip
def test_switch_takes_what_its_venue_takes(
    name: str, options: dict[str, str], least_s: int, most_s: int
) -> None:
    live = BASE["bot"] | {"mode": "live"}
    venue = BASE["venue"][0] | {"name": name, "endpoints": LOOPBACK, "account": "dedicated"}
    venue |= {"options": options, "depth": {"kraken": 10, "gateio": 50, "bitget": 5}[name]}
    for timeout_s, good in (
        (least_s - 1, False), (least_s, True), (most_s, True), (most_s + 1, False),
    ):  # fmt: skip
        risk = BASE["risk"] | {"dead_man_timeout": f"{timeout_s}s"}
        file = BASE | {"bot": live, "venue": [venue], "risk": risk}
        if good:
            assert parse(file).dead_man_ns == timeout_s * 1_000_000_000
        else:
            [error] = refusal(file)
            assert error.path == "risk.dead_man_timeout"
            assert error.allowed.startswith('from "')


def test_venue_without_options_takes_none() -> None:
    [error] = refusal(with_key("venue[0].options", {"account": "spot"}))
    assert (error.path, error.allowed) == (
        "venue[0].options.account", "unknown key; none are known here",
    )  # fmt: skip


def test_a_venue_that_is_only_watched_is_not_traded() -> None:
    [error] = refusal(BASE | {"venue": [GATEIO | {"name": "binance"}]})
    assert (error.path, "only watched" in error.allowed) == ("venue[0].quote", True)


@pytest.mark.parametrize("name", VENUES)
def test_every_traded_venue_has_a_paper_mode(name: str) -> None:
    assert parse(BASE | {"venue": [GATEIO | {"name": name}]}).bot.mode == "paper"


@pytest.mark.parametrize("name", VENUES)
def test_live_mode_goes_to_the_real_venue_unless_every_address_of_it_is_local(name: str) -> None:
    needed = {key: LOOPBACK[key] for key in ENDPOINT_KEYS[name]}
    live = BASE["bot"] | {"mode": "live"}

    def real(endpoints: dict[str, str], **bot: str) -> bool:
        venue = GATEIO | {"name": name, "endpoints": endpoints}
        return goes_live(parse(BASE | {"bot": live | bot, "venue": [venue]}), {})

    assert not real(needed)
    for key in Endpoints.model_fields:
        assert real(needed | {key: LOOPBACK[key].split(":")[0] + "s://example.com"})
    for key in needed:
        assert real({k: v for k, v in needed.items() if k != key})
    assert not real({}, mode="paper")


def test_capital_bounds_what_may_be_open_at_once() -> None:
    file = BASE | {"bot": BASE["bot"] | {"capital": "19999"}}
    [error] = refusal(file)
    assert error.path == "risk.max_open_notional"
    assert "at most bot.capital, 19999" in error.allowed
    assert parse(BASE | {"bot": BASE["bot"] | {"capital": "20000"}}).bot.capital == 20_000


@pytest.mark.parametrize(("keys", "path", "allowed"), IMPOSSIBLE)
def test_impossible_combination_is_refused(
    keys: dict[str, object], path: str, allowed: str
) -> None:
    data = copy.deepcopy(BASE)
    for key, value in keys.items():
        only = with_key(key, value)
        table = key.split(".")[0].split("[")[0]
        if table == "venue":
            index = int(key[6])
            data["venue"][index] = only["venue"][index] | (
                {} if len(keys) == 1 else {key.split(".")[1]: value}
            )
        else:
            data.setdefault(table, {})[key.split(".")[1]] = value
    errors = refusal(data)
    assert any(error.path == path and allowed in error.allowed for error in errors), errors


def test_two_quoted_venues_are_refused() -> None:
    data = copy.deepcopy(BASE)
    data["venue"][1] = {"name": "kraken", "label": "kraken-b", "quote": "BTC/USD"}
    assert any("exactly one venue" in error.allowed for error in refusal(data))


def test_more_venues_than_the_telemetry_page_shows_are_refused() -> None:
    data = copy.deepcopy(BASE)
    watched = [
        {
            "name": "kraken",
            "label": f"watched-{number}",
            "reference": data["venue"][0]["quote"],
            "endpoints": {"ws": f"ws://127.0.0.1:{number + 1}/v2"},
        }
        for number in range(VENUES_MAX)
    ]
    data["venue"] = [data["venue"][0], *watched[1:]]
    assert len(parse(data).venue) == VENUES_MAX
    data["venue"] += watched[:1]
    assert any("at most 8" in error.allowed for error in refusal(data))


def test_no_quoted_venue_is_refused() -> None:
    data = copy.deepcopy(BASE)
    data["venue"] = [{"name": "kraken", "reference": "BTC/USD"}]
    assert any("exactly one venue" in error.allowed for error in refusal(data))


def test_fee_budget_allows_a_spread_under_fees() -> None:
    data = with_key("strategy.spread", "0.02%")
    data["strategy"]["fee_budget"] = "0.19%"
    assert parse(data).quoted.maker_fee_ppm == 2_000


def test_all_errors_of_a_file_are_listed_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "bot.toml"
    path.write_text(
        '[bot]\nname = "x y"\nmode = "paper"\n[strategy]\nkind = "grid"\nspred = "1%"\n'
        "[risk]\nmax_order_size = 0.1\n[oops]\n"
    )
    with pytest.raises(ConfigErrors) as caught:
        load(path)
    paths = [error.path for error in caught.value.errors]
    for wanted in ("oops", "venue", "bot.name", "strategy.spred", "strategy.spread"):
        assert wanted in paths
    assert "risk.max_order_size" in paths
    assert "risk.max_drawdown" in paths
    lines = str(caught.value).splitlines()
    assert len(lines) == len(paths) == len(set(paths))
    assert all(line.startswith(f"{path}: ") for line in lines)


def test_default_that_hangs_on_a_refused_key_is_not_told_as_an_error() -> None:
    errors = refusal(with_key("strategy.spread", "0.6"))
    assert [error.path for error in errors] == ["strategy.spread"]


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("strategy.spred", "spread"),
        ("strategy.order_amnt", "order_amount"),
        ("risk.max_drawdwn", "max_drawdown"),
        ("venue[0].endpoints.wss", "ws"),
        ("engine.telemetry", "telemetry_interval"),
        ("stategy", "strategy"),
    ],
)
def test_unknown_key_is_refused_with_the_nearest(path: str, near: str) -> None:
    [error] = refusal(with_key(path, "1"))
    assert error.path == path
    assert error.allowed.startswith("unknown key")
    assert near in error.allowed


@pytest.mark.parametrize("key", ["key", "api_key", "secret", "api_secret", "password", "token"])
def test_secret_in_file_is_refused_and_never_repeated(key: str) -> None:
    [error] = refusal(with_key(f"venue[0].{key}", "hunter2"))
    assert "OPENMM_" in str(error)
    assert "hunter2" not in str(error) + repr(error.value)


def test_error_about_webhook_hides_its_path() -> None:
    [error] = refusal(with_key("risk.webhook", "http://hooks.example.com/T0/secret"))
    assert "secret" not in str(error)
    assert "hooks.example.com" in str(error)


@pytest.mark.parametrize(
    ("content", "allowed"),
    [(b"[bot\n", "valid TOML"), (b"\xff\xfe", "UTF-8"), (b"#" * ((1 << 20) + 1), "at most")],
)
def test_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes, allowed: str) -> None:
    path = tmp_path / "bot.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=allowed) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_file_that_is_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")


def test_config_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse(BASE).risk.max_orders = 3


def test_relative_run_dir_is_taken_from_the_files_folder(tmp_path: Path) -> None:
    assert parse(BASE, folder=tmp_path).bot.run_dir == (tmp_path / "runs").resolve()


def test_run_dir_defaults_to_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENMM_RUN_DIR", str(tmp_path))
    assert default_run_dir() == tmp_path
    data = with_key("bot.run_dir", REMOVED)
    assert parse(data).bot.run_dir == tmp_path.resolve()


def test_dead_man_switch_needs_a_dedicated_account() -> None:
    assert parse(BASE).dead_man_ns == 60_000_000_000
    assert parse(with_key("venue[0].account", "shared")).dead_man_ns is None


# --- second stage: with the instrument


def test_sound_file_passes_with_instrument() -> None:
    check_with_instrument(parse(BASE), BTC, MID)


INSTRUMENT: list[tuple[dict[str, str], dict[str, Any], str, str]] = [
    ({"strategy.order_amount": "0.00005"}, {}, "strategy.order_amount", "minimum, 0.0001 BTC"),
    (
        {"strategy.order_amount": "0.015"},
        {"lot_size": Decimal("0.01"), "qty_decimals": 2},
        "strategy.order_amount",
        "a multiple of the lot, 0.01",
    ),
    ({}, {"cost_min": Decimal(700)}, "strategy.order_amount", "minimum, 700 USD"),
    ({"risk.max_open_notional": "6599"}, {}, "risk.max_open_notional", "ladder, 6600.00 USD"),
    ({"risk.max_order_notional": "659"}, {}, "strategy.order_amount", "max_order_notional, 659"),
    (
        {},
        {"tick_size": Decimal(500), "price_decimals": 0},
        "strategy.spread",
        "at least a tick of 500",
    ),
    (
        {"strategy.level_step": "1ppm"},
        {},
        "strategy.level_step",
        "at least a tick of 0.1, 0.0002%",
    ),
    ({}, {"name": "ETH/USD"}, "venue.quote", "ETH/USD"),
    ({}, {"qty_min": Decimal(1)}, "risk.max_order_size", "minimum, 1 BTC"),
]


@pytest.mark.parametrize(("keys", "pair", "path", "allowed"), INSTRUMENT)
def test_file_impossible_with_instrument_is_refused(
    keys: dict[str, str], pair: dict[str, Any], path: str, allowed: str
) -> None:
    data = copy.deepcopy(BASE)
    for key, value in keys.items():
        table, name = key.split(".")
        data[table][name] = value
    instrument = Instrument(**({f: getattr(BTC, f) for f in BTC.__struct_fields__} | pair))
    with pytest.raises(ConfigErrors) as caught:
        check_with_instrument(parse(data), instrument, MID)
    assert any(e.path == path and allowed in e.allowed for e in caught.value.errors), caught.value


def venue_fees(maker_ppm: int | None, taker_ppm: int | None) -> Instrument:
    fees = {"maker_fee_ppm": maker_ppm, "taker_fee_ppm": taker_ppm}
    return Instrument(**({f: getattr(BTC, f) for f in BTC.__struct_fields__} | fees))


def without_fees(**strategy: str) -> BotConfig:
    data = copy.deepcopy(BASE)
    del data["venue"][0]["maker_fee"], data["venue"][0]["taker_fee"]
    data["strategy"] |= strategy
    return parse(data)


def test_spread_is_checked_against_the_venues_own_fee() -> None:
    [error] = instrument_errors(without_fees(), venue_fees(4_000, 6_000))
    assert error.path == "strategy.spread"
    assert "at least 0.8%" in error.allowed


def test_fee_told_nowhere_is_refused() -> None:
    [error] = instrument_errors(without_fees(), venue_fees(None, None))
    assert "maker_fee and taker_fee are needed" in error.allowed
    with pytest.raises(ConfigError, match="maker_fee"):
        grid_params(without_fees(), BTC)
    with pytest.raises(ConfigError, match="taker_fee"):
        limits(without_fees(), BTC)


# --- the kernels' integers


def test_grid_params_are_exact() -> None:
    assert grid_params(parse(BASE), BTC) == {
        "spread_ppm": 6_000,
        "order_lots": 1_000_000,
        "num_orders": 5,
        "level_step_ppm": 3_000,
        "rebalance_threshold_ppm": 100_000,
        "rebalance_exit_ppm": 50_000,
        "skew_full_ppm": 2_400,
        "flow_full_ppm": 300,
        "micro_weight_ppm": 0,
        "micro_cap_ppm": 200,
        "imbalance_full_ppm": 0,
        "ofi_full_ppm": 0,
        "compression_full_ppm": 0,
        "vol_ppm": 1_000_000,
        "rest_ns": 5_000_000_000,
        "depth_ppm": 300,
        "inventory_widen_ppm": 600,
        "fee_floor_ppm": 2_000,
        "half_min_ppm": 0,
        "half_max_ppm": 15_000,
        "size_skew_ppm": 500_000,
        "floor_ticks": 0,
        "ceiling_ticks": 1 << 40,
        "level_offsets_ppm": (),
        "level_lots": (),
        "schedule": (),
        "narrow_ppm": 0,
        "refill_ns": 0,
        "ping_pong": 0,
        "hanging": 0,
        "hanging_ns_max": 3_600_000_000_000,
        "hanging_distance_ppm": 0,
    }


@pytest.mark.parametrize(
    ("key", "text", "field"),
    [
        ("spread", "0.7%", "spread_ppm"),
        ("order_amount", "0.02", "order_lots"),
        ("num_orders", 6, "num_orders"),
        ("level_step", "0.1%", "level_step_ppm"),
        ("rebalance_threshold", "20%", "rebalance_threshold_ppm"),
        ("rebalance_exit", "2%", "rebalance_exit_ppm"),
        ("skew_full", "1bps", "skew_full_ppm"),
        ("flow_full", "1bps", "flow_full_ppm"),
        ("micro_weight", "50%", "micro_weight_ppm"),
        ("micro_cap", "1bps", "micro_cap_ppm"),
        ("imbalance_full", "1bps", "imbalance_full_ppm"),
        ("ofi_full", "1bps", "ofi_full_ppm"),
        ("compression_full", "1bps", "compression_full_ppm"),
        ("vol_factor", "2", "vol_ppm"),
        ("quote_rest", "1s", "rest_ns"),
        ("depth_factor", "1bps", "depth_ppm"),
        ("inventory_widen", "1bps", "inventory_widen_ppm"),
        ("min_edge", "1bps", "fee_floor_ppm"),
        ("fee_budget", "1bps", "fee_floor_ppm"),
        ("spread_min", "1bps", "half_min_ppm"),
        ("spread_max", "1%", "half_max_ppm"),
        ("size_skew", "10%", "size_skew_ppm"),
    ],
)
def test_grid_key_moves_its_parameter(key: str, text: object, field: str) -> None:
    changed = grid_params(parse(with_key(f"strategy.{key}", text)), BTC)
    assert changed[field] != grid_params(parse(BASE), BTC)[field]


@pytest.mark.parametrize(
    ("key", "text", "wanted"),
    [
        ("strategy.flow_full", "1bps", 0),
        ("strategy.compression_full", "1bps", 0),  # known anyway
        ("strategy.micro_weight", "50%", Want.WANT_MICRO),
        ("strategy.imbalance_full", "1bps", Want.WANT_IMBALANCE),
        ("strategy.ofi_full", "1bps", Want.WANT_OFI),
        ("signal.watch", True, Want.WANT_MICRO | Want.WANT_IMBALANCE | Want.WANT_OFI),
    ],
)
def test_signal_is_computed_where_a_weight_follows_it(key: str, text: object, wanted: int) -> None:
    assert planner_params(parse(with_key(key, text)), 100)["wanted"] == wanted


def test_strategy_of_ones_own_sees_every_signal() -> None:
    data = copy.deepcopy(BASE)
    data["strategy"] = PYTHON
    assert wanted_signals(parse(data)) == 7


@pytest.mark.parametrize(
    "weights",
    [{"imbalance_full": "2%"}, {"ofi_full": "2%"}, {"micro_cap": "2%", "micro_weight": "1%"}],
)
def test_leans_count_as_reach(weights: dict[str, str]) -> None:
    data = copy.deepcopy(BASE)
    data["strategy"] |= weights
    data["risk"]["price_collar"] = "2.5%"
    assert "risk.price_collar" in {error.path for error in refusal(data)}


def test_limits_round_down_and_reserves_up() -> None:
    data = with_key("risk.max_order_size", "0.050000009")
    data["risk"] |= {
        "min_order_size": "0.000200001",
        "base_reserve": "0.100000001",
        "quote_reserve": "0.0000000011",
        "max_open_notional": "20000.0000000019",
        "max_order_notional": "5000",
        "max_orders": 20,
    }
    assert limits(parse(data), BTC) == {
        "order_lots_max": 5_000_000,
        "order_lots_min": 20_001,
        "order_ticklots_max": 5_000 * 10**9,
        "open_ticklots_max": 20_000 * 10**9 + 1,
        "inventory_lots_max": 50_000_000,
        "collar_ppm": 50_000,
        "order_count_max": 20,
        "message_age_ns_max": 5_000_000_000,
        "clock_offset_ns_max": 2_000_000_000,
        "base_reserve_lots": 10_000_001,
        "quote_reserve_ticklots": 2,
        "fills_per_minute_max": 120,
        "fee_ppm": 3_500,
    }


def test_smallest_order_is_the_venues_when_the_file_tells_less() -> None:
    assert limits(parse(BASE), BTC)["order_lots_min"] == 10_000


def test_order_notional_defaults_to_open_notional() -> None:
    built_limits = limits(parse(BASE), BTC)
    assert built_limits["order_ticklots_max"] == built_limits["open_ticklots_max"]


@pytest.mark.parametrize(
    ("key", "text", "field", "value"),
    [
        ("rebalance", "take", "rebalance_take", 1),
        ("rebalance_threshold", "20%", "rebalance_threshold_ppm", 200_000),
        ("rebalance_exit", "2%", "rebalance_exit_ppm", 20_000),
        ("rebalance_slippage", "5bps", "rebalance_slippage_ppm", 500),
        ("rebalance_cost_max", "15bps", "rebalance_cost_ppm_max", 1_500),
        ("rebalance_wait", "3s", "rebalance_wait_ns", 3_000_000_000),
    ],
)
def test_terms_of_taking_inventory_back_follow_from_the_file(
    key: str, text: str, field: str, value: int
) -> None:
    before = rebalance_params(parse(BASE), BTC)
    after = rebalance_params(parse(with_key(f"strategy.{key}", text)), BTC)
    assert before[field] != after[field] == value
    assert RebalanceTerms.of(after) != RebalanceTerms.of(before)
    assert before["taker_fee_ppm"] == taker_fee_ppm(parse(BASE), BTC)


def test_prices_turn_distances_into_ticks() -> None:
    data = with_key("strategy.tolerance", "2 ticks")
    data["signal"] = {"sigma_floor": "1bps"}
    config, price_ticks = parse(data), BTC.exact_ticks(MID)
    assert planner_params(config, price_ticks) == {
        "tolerance_ticks": 2,
        "requote_uticks": 99 * 1_000_000,
        "qty_tolerance_ppm": 100_000,
        "order_age_ns_max": 3_600_000_000_000,
        "queue_value_ticks": 1_500 * price_ticks // 1_000_000,
        "queue_model": 1,
        "queue_power": 3,
        "wanted": 0,
        "micro_weight_ppm": 0,
        "micro_cap_ppm": 200,
        "imbalance_full_ppm": 0,
        "ofi_full_ppm": 0,
        "compression_full_ppm": 0,
    }
    config = parse(data | {"strategy": data["strategy"] | {"queue_value": "1bps"}})
    assert planner_params(config, price_ticks)["queue_value_ticks"] == price_ticks // 10_000
    signal = signal_params(config, price_ticks)
    assert (signal["depth_distance_ticks"], signal["depth_distance_ppm"]) == (1, 1_000)
    assert signal["sigma_floor_uticks"] == 66 * 1_000_000
    # Ticks of the file are the quoted pair's: 40 of them are 4 of a book with ticks ten times that.
    near = parse(data | {"signal": {"depth_distance": "40 ticks"}})
    told = signal_params(near, price_ticks, Fraction(10))
    assert (told["depth_distance_ticks"], told["depth_distance_ppm"]) == (4, 0)
    assert signal["jump_sigma_ppm"] == 6_000_000
    assert source_params(config.venue[1]) == {
        "age_ns_max": 5_000_000_000,
        "spread_ppm_max": 10_000,
        "trust_ppm": 1_000_000,
    }
    assert inventory_params(config, BTC) == {"target_ppm": 500_000, "scale_lots": 50_000_000}


def test_paper_balances_are_whole_atoms() -> None:
    data = copy.deepcopy(BASE)
    data["paper"] = {"base": "1.0000000019", "quote": "10.00009"}
    balances = paper_balances(parse(data), BTC)
    assert balances == {"BTC": Decimal("1.00000000"), "USD": Decimal("10.0000")}


@given(threshold_milli=st.integers(0, 10**9), equity=st.integers(0, 10**30))
def test_reserve_rounds_up_and_drawdown_down(threshold_milli: int, equity: int) -> None:
    config = parse(BASE)
    reserve = rate_reserve_milli(config, threshold_milli)
    assert reserve * 1_000_000 >= threshold_milli * 200_000 > (reserve - 1) * 1_000_000
    loss = drawdown_ticklots(20_000, equity)
    assert loss * 1_000_000 <= equity * 20_000 < (loss + 1) * 1_000_000
