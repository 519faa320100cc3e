"""Proposals keep to fees, minimums and capital, and say what they chose themselves."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from openmm.config.values import parse_ppm
from openmm.control.home import Home
from openmm.control.market import Market, Place
from openmm.control.propose import Proposal, build, in_sight
from openmm.control.words import read
from openmm.errors import ControlError
from openmm.instrument import Instrument

PAIR = Instrument(
    "kraken", "BTC/USD", "BTC", "USD", 1, 8, Decimal("0.1"), Decimal("0.00000001"),
    Decimal("0.00005"), Decimal("0.5"), 10, 10, maker_fee_ppm=2_500, taker_fee_ppm=4_000,
)  # fmt: skip
MARKET = Market(PAIR, Decimal(60_000), Decimal("0.5"), Decimal(8))


def made(
    folder: Path, text: str, market: Market = MARKET, mode: str = "paper", sim: bool = False
) -> Proposal:
    endpoints = {"ws": "ws://127.0.0.1:1/v2", "ws_auth": "ws://127.0.0.1:2/v2",
                 "rest": "http://127.0.0.1:3"}  # fmt: skip
    place = Place("kraken", endpoints if sim else {})
    home = Home(folder, folder / ".control", folder / "clients.toml")
    return build(home, read(text), mode, place, "kraken", market, [])


def test_the_issues_sentence_is_a_whole_bot(tmp_path: Path) -> None:
    found = made(tmp_path, "start a grid on BTC/USD with 1% spread")
    grid = found.parsed.strategy
    assert (found.name, found.parsed.bot.mode, found.parsed.quoted.pair) == (
        "btc-grid", "paper", "BTC/USD",
    )  # fmt: skip
    assert getattr(grid, "spread_ppm", 0) == 10_000
    best_bid, best_ask = found.ladder["bids"][0]["price"], found.ladder["asks"][0]["price"]
    assert Decimal("0.0099") < (best_ask - best_bid) / 60_000 <= Decimal("0.0101")
    told = found.told()
    # The bids' money and the asks' base are what the ladder itself adds up to.
    assert told["capital"]["quote"] == sum(
        one["price"] * one["qty"] for one in found.ladder["bids"]
    )
    assert told["capital"]["base"] == sum(one["qty"] for one in found.ladder["asks"])
    assert any(line.startswith("capital: 10000 USD") for line in found.assumed)
    assert not any(line.startswith("spread") for line in found.assumed)


@pytest.mark.parametrize("profile", ["careful", "balanced", "tight"])
@pytest.mark.parametrize("fee_ppm", [0, 250, 2_500, 6_000])
@pytest.mark.parametrize("minute_bps", [None, Decimal("0.1"), Decimal(40)])
def test_a_spread_that_is_chosen_pays_the_fees_and_covers_a_minute(
    tmp_path: Path, profile: str, fee_ppm: int, minute_bps: Decimal | None
) -> None:
    market = replace(
        MARKET, instrument=replace(PAIR, maker_fee_ppm=fee_ppm), minute_bps=minute_bps
    )  # fmt: skip
    found = made(tmp_path, f"a {profile} grid on BTC/USD", market)
    spread_ppm = parse_ppm(tomllib.loads(found.config)["strategy"]["spread"])
    assert spread_ppm >= 2 * fee_ppm
    assert spread_ppm >= 2 * 100 * (minute_bps or 0)
    assert any(line.startswith("spread: ") for line in found.assumed)
    assert any("candles" in line for line in found.warnings) == (minute_bps is None)


@pytest.mark.parametrize(
    ("text", "code", "names"),
    [
        ("BTC/USD with 0.4% spread", "impossible", "at least 0.5%"),
        ("BTC/USD of 0.00001", "impossible", "0.00005"),
        ("BTC/USD 20 USD, 5 levels", "impossible", "too little"),
        ("BTC/USD 1000 USD, 10 levels of 0.01", "impossible", "more than the capital"),
        ("BTC/USD of 0.1, max inventory 0.01", "impossible", "max inventory"),
    ],
)
def test_what_cannot_be_is_told_with_what_can(
    tmp_path: Path, text: str, code: str, names: str
) -> None:
    with pytest.raises(ControlError) as told:
        made(tmp_path, text)
    assert told.value.code == code
    assert names in str(told.value)


def test_fewer_levels_where_none_were_asked_for(tmp_path: Path) -> None:
    found = made(tmp_path, "BTC/USD with 30 USD capital")
    grid = tomllib.loads(found.config)["strategy"]
    assert 1 <= grid["num_orders"] < 5
    assert Decimal(grid["order_amount"]) >= PAIR.qty_min


def test_what_is_said_is_what_the_file_has(tmp_path: Path) -> None:
    found = made(
        tmp_path,
        "grid named alpha on BTC/USD, 0.01 each, 3 levels, 0.8% spread, 0.3% apart, 60% base, "
        "max drawdown 1.5%, rebalance 20%, 9000 USD, max inventory 0.2",
    )
    data = tomllib.loads(found.config)
    assert data["bot"]["name"] == "alpha"
    assert data["bot"]["capital"] == "9000"
    assert {key: data["strategy"][key] for key in data["strategy"] if key != "kind"} == {
        "spread": "0.8%", "level_step": "0.3%", "order_amount": "0.01", "num_orders": 3,
        "rebalance_threshold": "20%", "target_base": "60%",
    }  # fmt: skip
    assert data["risk"]["max_drawdown"] == "1.5%"
    assert Decimal(data["risk"]["max_inventory"]) == Decimal("0.2")
    assert Decimal(data["risk"]["max_open_notional"]) <= 9000


def test_a_live_bot_keeps_what_the_account_holds(tmp_path: Path) -> None:
    held = {"BTC": Decimal(1), "USD": Decimal(20_000)}
    found = made(
        tmp_path, "BTC/USD 1% spread", replace(MARKET, held=held), mode="live", sim=True
    )  # fmt: skip
    data = tomllib.loads(found.config)
    assert data["strategy"]["target_base"] == "75%"
    assert "paper" not in data
    assert data["venue"][0]["endpoints"]["rest"] == "http://127.0.0.1:3"
    assert not any("real money" in line for line in found.warnings)
    real = made(tmp_path, "BTC/USD 1% spread", mode="live")
    assert any("real money" in line for line in real.warnings)


def test_names_that_are_taken_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "btc-grid").mkdir()
    (tmp_path / "btc-grid-2.toml").touch()
    assert made(tmp_path, "BTC/USD").name == "btc-grid-3"


def test_a_client_makes_no_bot_that_it_could_not_see() -> None:
    in_sight("any", ("*",))
    in_sight("mine", ("mine",))
    with pytest.raises(ControlError, match="mine") as told:
        in_sight("other", ("mine",))
    assert told.value.code == "forbidden"
