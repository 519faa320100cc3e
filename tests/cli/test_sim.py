"""`openmm sim kraken` as a process: one line when ready, the options it was given, a clean end."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from openmm.cli.main import main
from tests.cli.processes import ask, get, venue


def test_venue_tells_where_it_is_and_ends_cleanly() -> None:
    args = ["--seed", "3", "--maker-fee", "0%", "--taker-fee", "10bps", "--latency", "1ms+500us"]
    with venue(*args, "--balance", "BTC=2", "--tier", "starter") as (told, process):
        assert told["ws"].startswith("ws://127.0.0.1:")
        assert (told["seed"], told["maker_fee_ppm"], told["taker_fee_ppm"]) == (3, 0, 1_000)
        assert (told["latency_ns"], told["jitter_ns"], told["tier"]) == (
            1_000_000,
            500_000,
            "starter",
        )
        assert get(told["rest"], "/sim/open-orders") == {}
        assert "2" in str(get(told["rest"], "/sim/statement"))
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["binance", "coinbase"])
def test_a_venue_that_is_only_watched_is_served_too(name: str) -> None:
    with venue(name=name) as (told, process):
        assert told["venue"] == name
        path = {"binance": "/api/v3/time", "coinbase": "/time"}[name]
        assert ask(told["rest"], path)[0] == 200
        assert get(told["rest"], "/sim/open-orders") == []
    assert process.returncode == 0


def test_recording_is_served_with_added_flow(shared: Path) -> None:
    file = shared / "data" / "kraken" / "v2_btcusd_d25_20260802.cbcap.gz"
    args = [
        "--replay",
        str(file),
        "--flow",
        "5",
        "--speed",
        "10",
        "--at-end",
        "loop",
        "--keep-stamps",
    ]
    with venue(*args) as (told, process):
        assert (told["market"], told["flow"], told["speed"]) == ("replay", 5, "10")
        assert told["replay"] == file.name
    assert process.returncode == 0


def test_venue_with_faults_takes_more_of_them(tmp_path: Path) -> None:
    script = tmp_path / "faults.toml"
    script.write_text('[[fault]]\nkind = "status"\non = "rest.Time"\ncode = 503\n')
    with venue("--faults", str(script)) as (told, process):
        assert [ask(told["rest"], "/0/public/Time")[0] for _ in range(2)] == [503, 200]
        rule = "/sim/fault?kind=status&on=rest.Time&code=502"
        assert ask(told["rest"], rule, "POST") == (200, b'{"added": "status"}')
        assert [ask(told["rest"], "/0/public/Time")[0] for _ in range(2)] == [502, 200]
        status, body = ask(told["rest"], "/sim/fault?kind=rain", "POST")
        assert status == 400
        assert b"one of late, lost" in body
    assert process.returncode == 0


def test_venue_draws_its_faults_from_a_seed() -> None:
    with venue("--chaos", "3") as (told, process):
        assert told["chaos"] == 3
        get(told["rest"], "/sim/statement")
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--maker-fee", "0.1"], "a fee with its unit"),
        (["--latency", "5"], "with units"),
        (["--balance", "BTC"], "ASSET=AMOUNT"),
        (["--balance", "FOO=1"], "one of BTC, USD; got 'FOO'"),
        (["--balance", "BTC=0.00000000001"], "whole atoms"),
        (["--pair", "DOGE/USD"], "one of BTC/USD, ETH/USD, USDT/USD, XRP/USD"),
        (["--price", "0"], "--price"),
        (["--seed", "-1"], "0 or more"),
        (["--port", "65534"], "0 to 65533"),
        (["--taker-fee", "20%"], "at most 10%"),
        (["--fee-tier", "10"], "0 to 9"),
        (["--at-end", "stop"], "hold or loop"),
        (["--speed", "2"], "1 without replay"),
        (["--market", "excitation=2"], "--market excitation: 0 up to below 1"),
        (["--market", "colour=2"], "--market colour: one of "),
        (["--price", "cheap"], "--price"),
        (["--replay", "none.gz"], "a capture file"),
        (["--flow", "1"], "only together with replay"),
        (["--tier", "gold"], "one of intermediate, pro, starter"),
        (["--host", "0.0.0.0"], "loopback"),
        (["--faults", "none.toml"], "a file that can be read"),
        (["--chaos", "-1"], "0 or more"),
        (["--chaos", "1", "--faults", "none.toml"], "not both"),
    ],
)
def test_bad_option_is_refused_before_any_port_opens(
    args: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sim", "kraken", *args]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"openmm: {args[0]}")
    assert told in captured.err
    assert "sim." not in captured.err
    assert "['" not in captured.err


def test_port_in_use_is_one_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["sim", "kraken", "--port", str(port)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith(f"openmm: --port: ports {port} to ")
