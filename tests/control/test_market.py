"""A market is asked where the bot is, or at the simulated venue that is set up."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

import pytest

from openmm.control import market
from openmm.control.home import Home
from openmm.errors import ConfigError, ControlError
from openmm.sim.options import DEMO_KEY
from tests.control.conftest import Running


def now() -> int:
    return time.time_ns()


def test_a_market_is_asked_where_a_running_bot_is(running: Running) -> None:
    told = market.ticker(running.home, now(), "kraken", "btc/usd")
    assert (told["simulated"], told["asked"]) == (True, running.sim["rest"])
    assert Decimal(told["bid"]) < Decimal(told["mid"]) < Decimal(told["ask"])
    trades = market.trades(running.home, now(), "kraken", "BTC/USD", limit=5)["trades"]
    assert 1 <= len(trades) <= 5
    times = [one["ts_ns"] for one in trades]
    assert times == sorted(times, reverse=True)
    candles = market.candles(running.home, now(), "kraken", "BTC/USD", "1m", 3)
    assert candles["interval_s"] == 60
    for one in candles["candles"]:
        assert Decimal(one["low"]) <= Decimal(one["open"]) <= Decimal(one["high"])
    with pytest.raises(ControlError) as told_of:
        market.candles(running.home, now(), "kraken", "BTC/USD", "soon")
    assert told_of.value.code == "bad_argument"
    with pytest.raises(ControlError, match="kraken") as nowhere:
        market.ticker(running.home, now(), "nyse", "BTC/USD")
    assert nowhere.value.code == "unknown_venue"


def test_a_survey_tells_rules_and_fees_and_names_near_pairs(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENMM_SIM_KRAKEN", running.sim_line)
    place = market.simulated("kraken")
    assert place is not None
    found = market.survey(place, "BTC/USD", None)
    assert found.instrument.maker_fee_ppm is not None
    assert found.held is None
    with pytest.raises(ControlError, match="BTC/JPY") as told:
        market.survey(place, "BTC/JPY", None)
    assert told.value.code == "unknown_pair"
    assert "BTC/USD" in told.value.hint


def test_a_simulated_venue_is_told_by_line_file_or_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "OPENMM_SIM_KRAKEN"
    line = (
        '{"ws": "ws://127.0.0.1:1/v2", "ws_auth": "ws://127.0.0.1:2/v2", '
        '"rest": "http://127.0.0.1:3", "api_key": "k", "api_secret": "s"}'
    )
    assert market.simulated("kraken") is None
    monkeypatch.setenv(name, line)
    by_line = market.simulated("kraken")
    assert by_line is not None
    assert by_line.endpoints["rest"] == "http://127.0.0.1:3"
    assert by_line.keys == {"key": "k", "secret": "s"}
    assert by_line.simulated
    file = tmp_path / "sim.json"
    file.write_text(line + "\n")
    monkeypatch.setenv(name, str(file))
    assert market.simulated("kraken") == by_line
    monkeypatch.setenv(name, "8100")
    by_port = market.simulated("kraken")
    assert by_port is not None
    assert by_port.endpoints == {
        "ws": "ws://127.0.0.1:8100/v2", "ws_auth": "ws://127.0.0.1:8101/v2",
        "rest": "http://127.0.0.1:8102",
    }  # fmt: skip
    assert by_port.keys["key"] == DEMO_KEY
    home = Home(tmp_path, tmp_path / ".control", tmp_path / "clients.toml")
    assert market.place_of(home, "kraken") == by_port
    assert market.place_of(home, "gateio").endpoints == {}


@pytest.mark.parametrize(
    "told",
    ["70000", "{", "[]", "{}", "/nowhere/at/all", (
        '{"ws": "wss://example.com/v2", "ws_auth": "wss://example.com/v2", '
        '"rest": "https://example.com"}'
    )],
)  # fmt: skip
def test_what_leads_to_no_venue_of_this_machine_is_refused(
    told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENMM_SIM_KRAKEN", told)
    with pytest.raises(ConfigError, match="OPENMM_SIM_KRAKEN"):
        market.simulated("kraken")
