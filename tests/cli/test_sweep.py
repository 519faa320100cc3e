"""`openmm sweep` as a command: what it prints, writes and refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from openmm.backtest.model import Model
from openmm.cli import sweep as sweep_command
from openmm.cli.main import main
from openmm.data import store as omd
from tests.sweep.made import BOT, bot_file, market, market_file

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a bot's file and a market."""
    made = tmp_path_factory.mktemp("sweep")
    bot_file(made)
    market_file(made, 160)
    return made


def command(folder: Path, *args: str, out: str = "out") -> list[str]:
    bot, data = str(folder / "bot.toml"), str(folder / "market2.omd")
    return ["sweep", bot, "--data", data, "--out", str(folder / out), *args]


def swept(folder: Path, *args: str, out: str = "out") -> int:
    return main(command(folder, *args, out=out))


def until(file: Path, count: int, running: subprocess.Popen[str]) -> None:
    """Wait until a sweep has so many results."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        assert running.poll() is None, running.communicate()
        if file.exists():
            with (
                closing(sqlite3.connect(file, timeout=10)) as beside,
                suppress(
                    sqlite3.OperationalError  # the tables are not there yet
                ),
            ):
                if beside.execute("SELECT count(*) FROM result").fetchone()[0] >= count:
                    return
        time.sleep(0.01)
    raise AssertionError(f"fewer than {count} results in a minute")


GRID = ("--grid", "strategy.spread=2bps,2.5bps,9bps", "strategy.num_orders=1,2",
        "model.queue=careful,power", "--split", "3", "--workers", "2")  # fmt: skip


def test_grid_is_run_ranked_and_written_and_the_same_command_does_nothing_again(
    folder: Path, capsys: Capture
) -> None:
    assert swept(folder, *GRID, "--json") == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["runs"] == {"done": 12, "refused": 0, "failed": 0}
    assert (told["trials"], told["models"], len(told["ranking"])) == (6, 2, 6)
    assert told["model"]["orders_ns"] == [20_000_000], "of the file's [paper]"
    assert told["ranking"][0]["train"]["fills"] > 0
    assert len(told["walk_forward"]["folds"]) == 3
    rows = parquet.read_table(told["results"]).to_pylist()
    assert len(rows) == 48
    assert {one["strategy.spread"] for one in rows} == {"2bps", "2.5bps", "9bps"}
    # What is varied counts: no two values of a key make the same figures everywhere.
    for key in ("strategy.spread", "strategy.num_orders"):
        sums: dict[str, float] = {}
        for one in rows:
            sums[one[key]] = sums.get(one[key], 0.0) + one["net"]
        assert len(set(sums.values())) == len(sums), key
    assert "Walking forward" in Path(told["summary"]).read_text()
    before = (folder / "out" / "sweep.sqlite").read_bytes()
    assert swept(folder, *GRID) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0] == told["verdict"]
    assert "12 runs done, 0 refused, 0 failed." in text
    assert "Orders take 20 ms, answers 20 ms" in " ".join(text.split())
    assert "In place of that: model.queue careful, power." in text
    ahead, _, behind = text.partition("\n\n")
    assert "Fill model:" in ahead
    assert "Fill model:" not in behind
    assert "6 combinations under 2 models each" in text
    assert "the best under each model:" in text
    assert "walking forward:" in text
    assert (folder / "out" / "sweep.sqlite").read_bytes() == before


def test_delays_are_those_of_the_file_unless_a_model_says_otherwise(
    folder: Path, capsys: Capture
) -> None:
    args = ("--grid", "strategy.spread=2.5bps", "--workers", "1", "--json")
    slow, model = folder / "slow", folder / "model.json"
    slow.mkdir()
    bot_file(slow, BOT.replace('latency = "20ms"', 'latency = "700ms"'))
    market_file(slow, 160)
    Model(orders_ns=(700_000_000,), answers_ns=(700_000_000,)).save(model)
    found = {}
    for name, at, more in (
        ("slow", slow, ()), ("told", folder, ("--model", str(model))),
    ):  # fmt: skip
        assert swept(at, *args, *more, out=f"delays-{name}") == 0
        told = json.loads(capsys.readouterr().out)
        found[name] = told["model"]["orders_ns"], told["ranking"][0]["train"]
    assert found["slow"] == found["told"]
    assert found["slow"][0] == [700_000_000]


def test_data_that_was_away_is_an_exit_of_its_own_and_tried_again(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ("--grid", "strategy.num_orders=1,2", "--workers", "1", "--json")
    real, away = folder / "market2.omd", folder / "away.omd"

    def without_data(*told: Any) -> Any:
        real.rename(away)
        return pool(*told)

    pool = sweep_command._pool
    try:
        monkeypatch.setattr(sweep_command, "_pool", without_data)
        assert swept(folder, *args, out="away") == 1
    finally:
        away.rename(real)
    assert json.loads(capsys.readouterr().out)["runs"] == {"done": 0, "refused": 0, "failed": 2}
    monkeypatch.setattr(sweep_command, "_pool", pool)
    assert swept(folder, *args, out="away") == 0
    assert json.loads(capsys.readouterr().out)["runs"] == {"done": 2, "refused": 0, "failed": 0}


def test_folder_of_a_changed_bot_is_refused(folder: Path, capsys: Capture) -> None:
    args = ("--grid", "strategy.spread=9bps", "--workers", "1")
    assert swept(folder, *args, out="changed") == 0
    try:
        bot_file(folder, BOT.replace('max_inventory = "0.3"', 'max_inventory = "0.2"'))
        assert swept(folder, *args, out="changed") == 2
    finally:
        bot_file(folder)
    assert "this one holds results of other bot's file; got" in capsys.readouterr().err


MINE = """
from openmm import Quotes
WIDTH = 100
print("hello from a strategy")
class Maker:
    def __init__(self, k=1):
        self.k = k
    def quote(self, view):
        mid, half = view.reference_uticks, view.reference_uticks * WIDTH * self.k // 1_000_000
        return Quotes([((mid - half) // 1_000_000, 1_000_000)],
                      [(-(-(mid + half) // 1_000_000), 1_000_000)])
"""
OWN = """[strategy]
kind = "python"
class = "swept_mine:Maker"
[strategy.params]
k = 1
[risk]"""


def test_strategy_of_ones_own_is_swept_and_its_code_is_of_the_folder(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.syspath_prepend(tmp_path)
    bot_file(tmp_path, re.sub(r"\[strategy\](.|\n)*\[risk\]", OWN, BOT))
    (tmp_path / "swept_mine.py").write_text(MINE)
    (tmp_path / "market2.omd").symlink_to(folder / "market2.omd")
    args = ("--grid", "strategy.params.k=1,3", "--workers", "1", "--json")
    assert swept(tmp_path, *args) == 0
    out, err = capfd.readouterr()
    told = json.loads(out)
    assert told["runs"] == {"done": 2, "refused": 0, "failed": 0}
    assert len({one["train"]["net"] for one in told["ranking"]}) == 2
    assert "hello from a strategy" in err
    (tmp_path / "swept_mine.py").write_text(MINE.replace("WIDTH = 100", "WIDTH = 99"))
    assert swept(tmp_path, *args) == 2
    assert "results of other build or code of the strategy" in capfd.readouterr().err


def test_file_that_no_market_takes_is_refused_before_the_folder_is_claimed(
    folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    without = BOT.replace('maker_fee = "0.01%"\ntaker_fee = "0.1%"\n', "")
    assert without != BOT
    bot = bot_file(tmp_path, without)
    out = tmp_path / "out"
    args = ["sweep", str(bot), str(folder / "market2.omd"), "--grid", "strategy.num_orders=1,2",
            "--workers", "1", "--json", "--out", str(out)]  # fmt: skip
    assert main(args) == 2
    assert "maker_fee and taker_fee are needed" in capsys.readouterr().err
    assert not out.exists()
    # What is varied may mend what the file has: that is for the runs to tell.
    small = BOT.replace('max_order_size = "0.05"', 'max_order_size = "0.00001"')
    small = small.replace('order_amount = "0.01"', 'order_amount = "0.000005"')
    bot_file(tmp_path, small)
    assert main(args) == 2
    assert "at least the venue's minimum" in capsys.readouterr().err
    assert not out.exists()
    args[4:5] = ["risk.max_order_size=0.05", "strategy.order_amount=0.01"]
    assert main(args) == 0
    assert json.loads(capsys.readouterr().out)["runs"]["done"] == 1


def test_combinations_that_do_not_fit_are_results(folder: Path, capsys: Capture) -> None:
    args = ("--random", "12", "strategy.order_amount=0.01,7", "strategy.spread=1bps..9bps:log",
            "--seed", "4", "--workers", "1")  # fmt: skip
    assert swept(folder, *args, "--json", out="random") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["runs"]["done"] + told["runs"]["refused"] == 12
    assert told["runs"]["refused"] > 2
    why = {one["why"] for one in told["ranking"] if one["state"] == "refused"}
    assert any("max_order_size" in one for one in why)


def test_interrupted_it_says_how_to_go_on_and_does(folder: Path, capsys: Capture) -> None:
    args = ("--random", "150", "strategy.spread=2bps..9bps", "strategy.vol_factor=0..1",
            "--workers", "1", "--json")  # fmt: skip
    running = subprocess.Popen(
        [sys.executable, "-m", "openmm.cli.main", *command(folder, *args, out="stopped")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    until(folder / "stopped" / "sweep.sqlite", 5, running)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to the whole group
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (1, "")
    error = json.loads(err)["error"]
    assert error["code"] == "interrupted"
    assert re.fullmatch(
        r"stopped with (\d+) of 150 runs done: the same command goes on", error["message"]
    )
    assert swept(folder, *args, out="stopped") == 0
    assert json.loads(capsys.readouterr().out)["runs"]["done"] == 150


def test_suggested_combinations_are_run(folder: Path, capsys: Capture) -> None:
    args = ("--optuna", "6", "strategy.spread=2bps..9bps", "model.queue=careful,power",
            "--batch", "3", "--workers", "1")  # fmt: skip
    assert swept(folder, *args, "--json", out="optuna") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["runs"]["done"], told["trials"], told["models"]) == (12, 6, 2)
    for one in told["ranking"]:
        assert [under["parameters"] for under in one["models"]] == [
            {"model.queue": "careful"}, {"model.queue": "power"},
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "sweep: --grid, --random or --optuna; got 'nothing'"),
        (("--grid", "strategy.spread=2bps", "--random", "3"), "got '--grid and --random'"),
        (("--random", "3"), "--random: KEY=VALUES"),
        (
            ("--grid", "strategy.spread=2bps", "--ray", "auto", "--workers", "2"),
            "--workers: left out with --ray",
        ),
        (("--grid", "strategy.spread=2bps", "--rate", "USDT=1"), "--rate: PAIR=NUMBER"),
        (
            ("--grid", "strategy.spread=2bps", "--rate", "USDT/USD=1"),
            "--rate: a pair that a [[venue]] has as rate: none",
        ),
        (
            ("--random", "3", "strategy.spread=2bps..9bps", "model.orders=1ms..9ms"),
            "model.orders: listed values",
        ),
        (("--random", "3", "model.orders=1ms,9ms"), "--random: a key of the bot's file"),
        (("--grid", "strategy.spred=2bps"), 'strategy.spred: did you mean "strategy.spread"?'),
        (("--grid", "strategy.spread=2bps", "--rolling"), "--rolling: with --split"),
        (("--grid", "strategy.spread=2bps", "--returns", "1500ms"), "--returns: whole seconds"),
        (("--grid", "strategy.spread=2bps", "none.omd"), "none.omd"),
        (("--grid", "strategy.spread=2bps", "--returns", "9999999h"), "--returns: 24h at most"),
        (("--optuna", "3", "strategy.spread=2bps..3bps", "--seed", "99999999999999"), "--seed"),
        (("--grid", "strategy.spread=2bps", "bad\udcff.omd"), "a path in UTF-8; got"),
        (("--grid", "strategy.num_orders=1,2", "--model", "none.json"), "none.json"),
        (
            ("--random", "600000", "strategy.spread=2bps..3bps", "model.power=1,2"),
            "--random: 1,000,000 runs at most; got '600,000 combinations",
        ),
        (
            ("--optuna", "100000", "strategy.spread=2bps..3bps", "--split", "200"),
            "--split: 10,000,000 rows at most",
        ),
        (("--grid", "model.power=9"), "model.power: of a fill model"),
        (("--grid", "strategy.num_orders=2,99"), "less than or equal to 32; got 99"),
    ],
)
def test_what_is_no_sweep_is_refused_before_anything_runs(
    folder: Path, args: tuple[str, ...], message: str, capsys: Capture
) -> None:
    assert swept(folder, *args, out="refused") in (1, 2)
    assert message in capsys.readouterr().err
    assert not (folder / "refused").exists(), "nothing is left of it"


def test_market_of_another_pair_is_told(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    args = ["--data", str(folder / "market2.omd"), "--grid", "strategy.num_orders=1",
            "--workers", "1", "--json", "--out"]  # fmt: skip
    for pair, told in (("BTC/USD", False), ("DOGE/USD", True)):
        bot = bot_file(tmp_path, BOT.replace("BTC/USD", pair))
        main(["sweep", str(bot), *args, str(tmp_path / pair[:3])])
        notes = json.loads(capsys.readouterr().out)["notes"]
        assert any("kraken BTC/USD is quoted as if it were kraken" in one for one in notes) == told


def test_folder_of_data_is_taken_as_a_backtest_takes_it(
    folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    bot, data = str(bot_file(tmp_path)), tmp_path / "data"
    data.mkdir()
    args = ["sweep", bot, "--data", str(data), "--grid", "strategy.num_orders=1",
            "--workers", "1", "--out", str(tmp_path / "out"), "--json"]  # fmt: skip
    assert main(args) == 2
    assert "a folder with .omd files" in capsys.readouterr().err
    market_file(data, 12)
    assert main(args) == 0
    assert json.loads(capsys.readouterr().out)["runs"]["done"] == 1


LED = """
[[venue]]
name = "gateio"
reference = "BTC/USDT"
convert = "tether"
[[venue]]
name = "coinbase"
label = "tether"
rate = "USDT/USD"
[strategy]"""


def test_bot_that_needs_a_rate_runs_with_one_and_is_refused_without(
    folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    bot = bot_file(tmp_path, BOT.replace("[strategy]", LED, 1))
    watched = market(160, seed=5)
    other = replace(watched.market, venue="gateio", pair="BTC/USDT")
    omd.write(tmp_path / "led.omd", replace(watched, market=other))
    out = tmp_path / "out"
    args = ["sweep", str(bot), str(folder / "market2.omd"), str(tmp_path / "led.omd"), "--grid",
            "strategy.spread=2.5bps", "--workers", "1", "--json", "--out", str(out)]  # fmt: skip
    assert main(args) == 2
    assert "venue.gateio.convert: a venue whose market the data holds" in capsys.readouterr().err
    assert not out.exists()
    assert main([*args, "--rate", "USDT/USD=1"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["runs"] == {"done": 1, "refused": 0, "failed": 0}
    assert "USDT/USD is held at 1 where the data does not have it." in told["notes"]
    assert not any("the reference is without it" in one for one in told["notes"])
    asked = ["backtest", str(bot), "--data", str(folder / "market2.omd"), "--data",
             str(tmp_path / "led.omd"), "--rate", "USDT/USD=1", "--json"]  # fmt: skip
    main(asked)
    run = json.loads(capsys.readouterr().out)["runs"][0]
    mine = told["ranking"][0]["train"]
    assert (mine["fills"], mine["net"]) == (
        run["fills"],
        pytest.approx(float(run["causes"]["net"])),
    )
    # Another rate is another sweep.
    assert main([*args, "--rate", "USDT/USD=1.001"]) == 2
    assert "results of other data;" in capsys.readouterr().err


def test_ranking_is_printed_though_the_page_cannot_be_written(
    folder: Path, capsys: Capture
) -> None:
    args = ("--grid", "strategy.num_orders=1", "--workers", "1")
    assert swept(folder, *args, out="page") == 0
    text = capsys.readouterr().out
    (folder / "page" / "summary.html").unlink()
    (folder / "page" / "summary.html").mkdir()
    assert swept(folder, *args, out="page") == 1
    out, err = capsys.readouterr()
    assert out == text
    assert "cannot write" in err
    assert err.count("\n") == 1


def test_refused_sweep_leaves_nothing_in_anothers_folder(
    folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    args = ("--grid", "strategy.num_orders=1", "--workers", "1")
    assert swept(folder, *args, out="theirs") == 0
    made = market(60, seed=9)
    lots = replace(made.market, lot_size=made.market.lot_size * 10)
    coarse = tmp_path / "coarse.omd"  # a part has to be written of it
    omd.write(coarse, replace(made, market=lots, qty_lots=made.qty_lots // 10))
    before = sorted(one.name for one in (folder / "theirs").rglob("*"))
    capsys.readouterr()
    assert swept(folder, *args, str(coarse), out="theirs") == 2
    assert "this one holds results of other data; got" in capsys.readouterr().err
    assert sorted(one.name for one in (folder / "theirs").rglob("*")) == before


def test_folder_of_something_else_is_refused(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    mine = tmp_path / "results.parquet"
    mine.write_text("of another program")
    args = ["sweep", str(folder / "bot.toml"), str(folder / "market2.omd"), "--grid",
            "strategy.num_orders=1", "--workers", "1", "--out", str(tmp_path)]  # fmt: skip
    assert main(args) == 2
    assert "--out: a sweep's own folder, an empty one" in capsys.readouterr().err
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [
        ("results.parquet", "of another program")
    ]
