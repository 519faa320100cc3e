"""`openmm init` and `openmm check`: what is written loads; what is wrong is told."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from openmm.cli.main import main
from openmm.config import load
from openmm.sim.dialects import dialect
from openmm.sim.options import SimOptions
from openmm.sim.server import SimServer

ROOT = Path(__file__).resolve().parent.parent.parent


def test_init_writes_a_file_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bot.toml"
    assert main(["init", str(file), "--name", "eth", "--pair", "ETH/USD", "--spread", "80bps"]) == 0
    config = load(file)
    assert (config.bot.name, config.quoted.pair) == ("eth", "ETH/USD")
    assert f"wrote {file}" in capsys.readouterr().out


def test_init_takes_every_option(tmp_path: Path) -> None:
    file = tmp_path / "bot.toml"
    options = {
        "--num-orders": "3",
        "--order-amount": "0.02",
        "--rebalance-threshold": "12%",
        "--target-base": "40%",
        "--max-order-size": "0.06",
        "--max-open-notional": "30000",
        "--max-inventory": "0.7",
        "--max-drawdown": "3%",
        "--maker-fee": "0.2%",
        "--taker-fee": "0.3%",
    }
    assert main(["init", str(file), *(part for pair in options.items() for part in pair)]) == 0
    text = file.read_text()
    for value in options.values():
        assert value in text
    assert load(file).quoted.maker_fee_ppm == 2_000


@pytest.mark.parametrize(
    ("options", "mode", "pair"),
    [
        ([], "paper", "BTC/USD"),
        (["--venue", "gateio"], "paper", "BTC/USDT"),
        (["--venue", "gateio", "--pair", "ETH/USDT"], "paper", "ETH/USDT"),
        (["--venue", "bitget"], "paper", "BTC/USDT"),
        (["--venue", "mexc"], "paper", "BTC/USDT"),
        (["--mode", "live"], "live", "BTC/USD"),
    ],
)
def test_init_begins_with_what_the_venue_has(
    tmp_path: Path, options: list[str], mode: str, pair: str
) -> None:
    file = tmp_path / "bot.toml"
    assert main(["init", str(file), "--yes", *options]) == 0
    config = load(file)
    assert (config.bot.mode, config.quoted.pair) == (mode, pair)
    assert config.quoted.name in options or "--venue" not in options
    assert f'# name = "{config.quoted.name}"' in file.read_text()


@pytest.mark.parametrize("venue", ["kraken", "gateio", "bitget", "mexc"])
def test_init_of_a_live_bot_has_the_addresses_of_its_simulated_venue(
    tmp_path: Path, venue: str
) -> None:
    async def addresses() -> dict[str, str]:
        async with SimServer(SimOptions(venue=venue, port=0)) as server:
            told = server.started()
        return {key: urlsplit(str(told[key])).path for key in ("ws", "ws_auth", "rest")}

    file = tmp_path / "bot.toml"
    assert main(["init", str(file), "--venue", venue, "--mode", "live"]) == 0
    endpoints = load(file).quoted.endpoints.model_dump()
    assert {key: urlsplit(url).path for key, url in endpoints.items()} == asyncio.run(addresses())
    assert ("_PASSPHRASE" in file.read_text()) is bool(dialect(venue).passphrase)


def test_init_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bot.toml"
    file.write_text("mine")
    assert main(["init", str(file), "--yes"]) == 2
    assert file.read_text() == "mine"
    assert "this one is kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--spread", "0.6", "strategy.spread"),
        ("--spread", '1%"\nevil = "1', "without quotes"),
        ("--name", "Big Bot", "bot.name"),
        ("--num-orders", "many", "plain values"),
        ("--order-amount", "1", "risk.max_order_size"),
        ("--venue", "mtgox", "venue[0].name"),
        ("--mode", "test", "bot.mode"),
    ],
)
def test_init_writes_nothing_that_would_not_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, told: str
) -> None:
    file = tmp_path / "bot.toml"
    assert main(["init", str(file), option, value]) == 2
    assert not file.exists()
    assert told in capsys.readouterr().err


def test_init_asks_at_a_terminal(tmp_path: Path) -> None:
    """Answer the first two questions, take the defaults of the rest."""
    file = tmp_path / "bot.toml"
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "openmm.cli.main", "init", str(file), "--venue", "kraken"],
        cwd=ROOT,
        stdin=child,
        stdout=child,
        stderr=child,
    )
    os.close(child)
    os.write(parent, b"asked\nETH/USD\n" + b"\n" * 9)
    shown = b""
    while True:
        try:
            chunk = os.read(parent, 4096)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    os.close(parent)
    assert process.wait(30) == 0, shown
    assert b"The pair to trade" in shown
    config = load(file)
    assert (config.bot.name, config.quoted.pair) == ("asked", "ETH/USD")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bot.toml"
    assert main(["init", str(path), "--yes"]) == 0
    return path


def test_check_offline_prints_parameters_and_ladder(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["check", str(file), "--offline", "--mid", "66000"]) == 0
    out = capsys.readouterr().out
    assert "venue not asked" in out
    lines = {line.split()[0]: line.split()[1] for line in out.splitlines() if len(line.split()) > 1}
    assert lines["strategy.spread"] == "0.6%"
    assert lines["strategy.level_step"] == "0.3%"
    assert lines["risk.dead_man_timeout"] == "off"
    assert "66198" in out  # the first ask: 0.3% above
    assert "65802" in out
    assert "-1.5000%" in out  # the last bid: half the spread and four steps


def test_check_json_is_one_object(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["check", str(file), "--offline", "--json", "--mid", "100"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["ok"] is True
    assert body["ladder"]["asks"][0] == {"price": "100.3", "qty": "0.01"}
    assert len(body["ladder"]["bids"]) == 5
    assert body["parameters"]["risk.max_orders"] == "20"


def test_check_tells_every_error_in_a_line_of_its_own(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = file.read_text().replace('"0.6%"', '"0.6"').replace("max_drawdown", "max_drawdwn")
    file.write_text(text)
    capsys.readouterr()
    assert main(["check", str(file), "--offline"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith(f"openmm: {file}: ") for line in lines)
    assert any("strategy.spread" in line for line in lines)
    assert any('did you mean "max_drawdown"' in line for line in lines)


def test_check_errors_as_json_carry_path_and_allowed(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(file.read_text().replace('"0.6%"', "0.006"))
    capsys.readouterr()
    assert main(["check", str(file), "--offline", "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    [error] = json.loads(captured.err)["error"]["errors"]
    assert error["path"] == "strategy.spread"
    assert error["value"] == "0.006"
    assert '"0.6%"' in error["allowed"]


@pytest.mark.parametrize("price", ["0", "-1", "much"])
def test_check_refuses_a_price_that_is_none(
    file: Path, capsys: pytest.CaptureFixture[str], price: str
) -> None:
    capsys.readouterr()
    assert main(["check", str(file), "--offline", "--mid", price]) == 2
    assert "--mid" in capsys.readouterr().err


def test_check_hides_where_alerts_go(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = file.read_text().replace("[risk]", '[risk]\nwebhook = "https://x.example/T0/hush"')
    file.write_text(text)
    capsys.readouterr()
    assert main(["check", str(file), "--offline"]) == 0
    assert "hush" not in capsys.readouterr().out


def test_check_without_the_venue_says_that_the_file_is_good_and_names_offline(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    venue = 'name = "kraken"\nendpoints.rest = "http://127.0.0.1:1"'
    file.write_text(file.read_text().replace('name = "kraken"', venue, 1))
    capsys.readouterr()
    assert main(["check", str(file)]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"openmm: kraken: {file} is good by itself, but the venue could not")
    assert "--offline" in told
    assert told.endswith("http://127.0.0.1:1/0/public/AssetPairs: no connection: "
                         "connection refused\n")  # fmt: skip
