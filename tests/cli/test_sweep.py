"""`openmm sweep` as a command: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from openmm.cli.main import main
from tests.sweep.made import BOT, bot_file, market_file

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a bot's file and a market."""
    made = tmp_path_factory.mktemp("sweep")
    bot_file(made)
    market_file(made, 160)
    return made


def swept(folder: Path, *args: str, out: str = "out") -> int:
    bot, data = str(folder / "bot.toml"), str(folder / "market2.omd")
    return main(["sweep", bot, "--data", data, "--out", str(folder / out), *args])


GRID = ("--grid", "strategy.spread=2bps,2.5bps,9bps", "strategy.num_orders=1,2",
        "model.queue=careful,power", "--split", "3", "--workers", "2")  # fmt: skip


def test_grid_is_run_ranked_and_written_and_the_same_command_does_nothing_again(
    folder: Path, capsys: Capture
) -> None:
    assert swept(folder, *GRID, "--json") == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["runs"] == {"done": 48, "refused": 0, "failed": 0}
    assert told["trials"] == len(told["ranking"]) == 12
    assert told["ranking"][0]["train"]["fills"] > 0
    assert len(told["walk_forward"]["folds"]) == 3
    rows = parquet.read_table(told["results"]).to_pylist()
    assert len(rows) == 48
    assert {one["strategy.spread"] for one in rows} == {"2bps", "2.5bps", "9bps"}
    # What is varied counts: no two values of a key make the same figures everywhere.
    for key in ("strategy.spread", "strategy.num_orders"):
        sums: dict[str, float] = {}
        for one in rows:
            sums[one[key]] = sums.get(one[key], 0.0) + one["pnl"]
        assert len(set(sums.values())) == len(sums), key
    assert "Walking forward" in Path(told["summary"]).read_text()
    before = (folder / "out" / "sweep.sqlite").read_bytes()
    assert swept(folder, *GRID) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0] == told["verdict"]
    assert "48 runs done, 0 refused, 0 failed." in text
    assert "walking forward:" in text
    assert (folder / "out" / "sweep.sqlite").read_bytes() == before


def test_folder_of_a_changed_bot_is_refused(folder: Path, capsys: Capture) -> None:
    args = ("--grid", "strategy.spread=9bps", "--workers", "1")
    assert swept(folder, *args, out="changed") == 0
    try:
        bot_file(folder, BOT.replace('max_inventory = "0.3"', 'max_inventory = "0.2"'))
        assert swept(folder, *args, out="changed") == 2
    finally:
        bot_file(folder)
    assert "this one holds results of other bot's file; got" in capsys.readouterr().err


def test_combinations_that_do_not_fit_are_results(folder: Path, capsys: Capture) -> None:
    args = ("--random", "12", "strategy.order_amount=0.01,7", "strategy.spread=1bps..9bps:log",
            "--seed", "4", "--workers", "1")  # fmt: skip
    assert swept(folder, *args, "--json", out="random") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["runs"]["done"] + told["runs"]["refused"] == 12
    assert told["runs"]["refused"] > 2
    why = {one["why"] for one in told["ranking"] if one["state"] == "refused"}
    assert any("max_order_size" in one for one in why)


def test_suggested_combinations_are_run(folder: Path, capsys: Capture) -> None:
    args = ("--optuna", "6", "strategy.spread=2bps..9bps", "--batch", "3", "--workers", "1")
    assert swept(folder, *args, "--json", out="optuna") == 0
    assert json.loads(capsys.readouterr().out)["runs"]["done"] == 6


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "sweep: --grid, --random or --optuna; got 'nothing'"),
        (("--grid", "strategy.spread=2bps", "--random", "3"), "got '--grid and --random'"),
        (("--random", "3"), "--random: KEY=VALUES"),
        (("--grid", "strategy.spred=2bps"), 'strategy.spred: did you mean "strategy.spread"?'),
        (("--grid", "strategy.spread=2bps", "--rolling"), "--rolling: with --split"),
        (("--grid", "strategy.spread=2bps", "--returns", "1500ms"), "--returns: whole seconds"),
        (("--grid", "strategy.spread=2bps", "none.omd"), "none.omd"),
        (("--grid", "strategy.num_orders=2,99"), "less than or equal to 32; got 99"),
    ],
)
def test_what_is_no_sweep_is_refused_before_anything_runs(
    folder: Path, args: tuple[str, ...], message: str, capsys: Capture
) -> None:
    assert swept(folder, *args, out="refused") in (1, 2)
    assert message in capsys.readouterr().err
    assert not (folder / "refused" / "results.parquet").exists()
