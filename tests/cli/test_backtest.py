"""`openmm backtest`: figures with their model, errors that say what is allowed, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openmm.backtest.model import MS, Model
from openmm.cli.main import main
from openmm.data.events import Events
from openmm.data.integrity import examine
from openmm.data.store import write
from tests.backtest.outcomes import broken, market, whole_for_a_moment
from tests.backtest.test_lookahead import LED, NEAR, two_markets

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "bots"
TIGHT = str(EXAMPLES / "grid-tight.toml")
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("market") / "thin.omd"
    events = market(seconds=60)
    write(path, events, integrity=examine(events).to_json())
    return str(path)


def told(capsys: Capture) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_run_prints_its_figures_and_its_model(store: str, capsys: Capture) -> None:
    assert main(["backtest", TIGHT, "--data", store]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    (row,) = [line for line in lines if line.startswith(" grid-tight")]
    heads = next(line for line in lines if line.startswith(" run")).split()
    fills = int(row.split()[heads.index("fills")])
    assert fills > 0
    assert "Fill model: our orders rest in the recorded book" in captured.out
    assert "Filled by distance from the reference" in captured.out
    assert "Filled by what stood in front" in captured.out
    assert "thin.omd good" in captured.out


def test_json_and_text_tell_the_same_twice(store: str, capsys: Capture) -> None:
    assert main(["backtest", TIGHT, "--data", store, "--json"]) == 0
    first = told(capsys)
    assert main(["backtest", TIGHT, "--data", store, "--json"]) == 0
    second = told(capsys)
    for one in (first, second):
        for run in one["runs"]:
            assert run.pop("took_s") > 0
            assert run.pop("events_per_s") > 0
    assert first == second
    assert first["runs"][0]["fills"] > 0


def test_variants_stand_side_by_side(store: str, tmp_path: Path, capsys: Capture) -> None:
    page = tmp_path / "page.html"
    arguments = ["backtest", TIGHT, str(EXAMPLES / "grid.toml"), "--data", store]
    assert main([*arguments, "--set", "strategy.num_orders=1", "--html", str(page), "--json"]) == 0
    found = told(capsys)["runs"]
    assert [one["run"] for one in found] == [
        "grid-tight", "grid-tight num_orders=1", "grid", "grid num_orders=1",
    ]  # fmt: skip
    assert found[0]["orders"]["placed"] > found[1]["orders"]["placed"] > 0
    assert page.read_text().startswith("<!doctype html>")


def test_what_each_run_did_is_written_beside_what_is_told(
    store: str, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "files"
    arguments = ["backtest", TIGHT, "--data", store, "--set", "strategy.spread=4bps", "--json"]
    assert main([*arguments, "--out", str(out)]) == 0
    printed = told(capsys)
    written = json.loads((out / "runs.json").read_text())
    folders = [one.pop("folder") for one in written["runs"]]
    assert written == printed
    kinds = {"fills.parquet", "orders.parquet", "marks.parquet"}
    assert [{one.name for one in (out / name).iterdir()} for name in folders] == [kinds] * 2
    # A second time it is not empty: told at once, and nothing is run.
    assert main([*arguments[:-1], "--out", str(out)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"openmm: --out: a folder that is empty, or not there yet; got '{out}'\n"
    )


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ([], Model()),
        (["--latency", "5ms", "--queue", "power", "--power", "2"],
         Model(queue="power", power=2, orders_ns=(5 * MS,), answers_ns=(5 * MS,))),
        (["--latency", "0ms", "--every", "100ms"],
         Model(orders_ns=(0,), answers_ns=(0,), every_ns=100 * MS)),
    ],
)  # fmt: skip
def test_options_make_the_model(
    store: str, options: list[str], wanted: Model, capsys: Capture
) -> None:
    assert main(["backtest", TIGHT, "--data", store, *options, "--json"]) == 0
    assert told(capsys)["runs"][0]["model"] == json.loads(json.dumps(wanted.to_json()))


def test_a_model_file_is_taken_and_options_go_before_it(
    store: str, tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "model.json"
    Model(queue="log", orders_ns=(MS, 2 * MS), answers_ns=(3 * MS,), seed=7).save(path)
    arguments = ["backtest", TIGHT, "--data", store, "--model", str(path), "--json"]
    assert main(arguments) == 0
    model = told(capsys)["runs"][0]["model"]
    assert (model["queue"], model["orders_ns"], model["seed"]) == ("log", [MS, 2 * MS], 7)
    assert main([*arguments, "--queue", "careful"]) == 0
    model = told(capsys)["runs"][0]["model"]
    assert (model["queue"], model["orders_ns"]) == ("careful", [MS, 2 * MS])
    # An exponent counts with the queue model "power" alone, whoever says that.
    assert main([*arguments, "--power", "5"]) == 2
    told_of = "--power: with --queue power, or a model's file of that queue; got 5"
    assert told_of in capsys.readouterr().err
    assert main([*arguments, "--queue", "power", "--power", "5"]) == 0
    assert told(capsys)["runs"][0]["model"]["power"] == 5
    Model(queue="power", power=2).save(path)
    assert main([*arguments, "--power", "5"]) == 0
    assert told(capsys)["runs"][0]["model"]["power"] == 5
    assert main([*arguments, "--queue", "log", "--power", "5"]) == 2
    assert told_of in capsys.readouterr().err
    # Delays of another time are of no use, unless others are told.
    Model(orders_ns=(MS, 2 * MS), orders_from_ns=(1, 2)).save(path)
    assert main(arguments) == 2
    assert "data of that time" in capsys.readouterr().err
    assert main([*arguments, "--latency", "5ms"]) == 0
    assert told(capsys)["runs"][0]["model"]["orders_from_ns"] == []


def test_a_span_is_cut_by_times_into_the_data_and_by_the_clock(store: str, capsys: Capture) -> None:
    arguments = ["backtest", TIGHT, "--data", store, "--json"]
    assert main([*arguments, "--from", "10s", "--to", "40s"]) == 0
    found = told(capsys)["runs"][0]
    assert 29 < found["seconds"] <= 31
    # The regimes begin at 2025-06-15T15:06:40 UTC.
    assert main([*arguments, "--from", "2025-06-15T15:06:50", "--to", "2025-06-15T15:07:20Z"]) == 0
    assert told(capsys)["runs"][0]["causes"] == found["causes"]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--queue", "best"], "--queue: one of careful, power, log; got 'best'"),
        (["--power", "2"], "--power: with --queue power, or a model's file of that queue"),
        (["--queue", "power", "--power", "9"], "--power: 1 to 8; got 9"),
        (["--latency", "5"], "--latency: "),
        (["--latency", "2h"], "--latency: 0s to 60s; got '2h'"),
        (["--every", "0ms"], "--every: more than zero; got '0ms'"),
        (["--from", "noon"], "--from: UTC such as"),
        (["--from", "20s", "--to", "10s"], "--to: later than --from, 20s; got '10s'"),
        (["--from", "3h"], "--from, --to: "),
        (["--model", "none.json"], "model: a file that can be read"),
        (["--rate", "USDT/USD"], "--rate: PAIR=NUMBER"),
        (["--rate", "USDT/USD=1"], "--rate: a pair that a [[venue]] has as rate: none"),
        (["--set", "strategy.spread"], "--set: KEY=VALUE"),
        (["--whole", "--queue", "log"], "--queue: left out with --whole"),
        (["--whole", "--out", "x"], "--out: left out with --whole"),
        (["--whole"], "--data: a recording, FILE or VENUE:FILE, with --whole"),
        (["--frames"], "--data: a recording, FILE or VENUE:FILE, with --frames"),
    ],
)
def test_a_bad_option_says_what_is_allowed(
    store: str, options: list[str], wanted: str, capsys: Capture
) -> None:
    assert main(["backtest", TIGHT, "--data", store, *options]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("openmm: ")
    assert wanted in captured.err
    assert captured.out == ""


def test_no_data_is_bad_usage(capsys: Capture) -> None:
    assert main(["backtest", TIGHT]) == 2
    assert "--data: a .omd file, a folder of them, or a recording" in capsys.readouterr().err


def stored(folder: Path, name: str, events: Events) -> str:
    path = folder / name
    write(path, events, integrity=examine(events).to_json())
    return str(path)


def test_nothing_quoted_fails_and_says_so(tmp_path: Path, capsys: Capture) -> None:
    data = stored(tmp_path, "lost.omd", whole_for_a_moment())
    assert main(["backtest", TIGHT, "--data", data]) == 1
    assert "grid-tight: nothing was quoted: " in capsys.readouterr().out
    assert main(["backtest", TIGHT, "--data", data, "--json"]) == 1
    assert told(capsys)["runs"][0]["problems"]


def test_a_look_ahead_is_looked_for(tmp_path: Path, capsys: Capture) -> None:
    files = []
    for name, told_ms in (("honest", 3), ("early", -3)):
        (tmp_path / name).mkdir()
        files.append(str(tmp_path / name))
        for at, events in enumerate(two_markets(told_ms)):
            stored(tmp_path / name, f"{at}.omd", events)
    bot, model = tmp_path / "led.toml", tmp_path / "model.json"
    bot.write_text(LED)
    NEAR.save(model)
    arguments = ["backtest", str(bot), "--model", str(model), "--look-ahead", "--data"]
    assert main([*arguments, files[0], "--json"]) == 0
    assert told(capsys)["runs"][0]["look_ahead"]["good"] is True
    assert main([*arguments, files[1]]) == 1
    out = capsys.readouterr().out
    assert "look-ahead, led: the future changes nothing (4 cuts); one event later" in out
    assert "receive times that are early" in out


def test_broken_data_is_told_loudly(tmp_path: Path, capsys: Capture) -> None:
    events = market(seconds=30)
    data = stored(tmp_path, "gap.omd", broken(events, len(events) // 2))
    assert main(["backtest", TIGHT, "--data", data]) == 0
    captured = capsys.readouterr()
    assert "openmm: BROKEN data: gap.omd BROKEN (continuity lost 1 times" in captured.err
    assert "gap.omd is broken" in captured.out


@pytest.mark.parametrize("as_received", [False, True])
def test_messages_come_to_what_their_columns_come_to(
    as_received: bool, shared: Path, capsys: Capture, tmp_path: Path
) -> None:
    path = str(shared / "data/binance/spot_btcusdt_20240808.gz")
    # One trade in five was received after a book that holds it.
    Model(as_received=as_received).save(model := tmp_path / "model.json")
    # Messages are met in the data's ticks: columns are where the venue does not list the pair.
    change = ["--set", "venue.0.quote=BTC/USDT"]
    arguments = ["backtest", TIGHT, "--data", path, "--model", str(model), "--json", *change]
    found = []
    for options in ([], ["--frames"]):
        assert main([*arguments, *options]) == 0
        text = told(capsys)
        as_listed, unlisted = text["runs"]
        assert unlisted["model"]["as_received"] is as_received
        assert ("The venue has a trade when it was made" in text["assumptions"]) is not as_received
        ticks = "ticks are the data's 0.01" if options else "ticks are kraken's 0.1"
        assert any(note.startswith(ticks) for note in as_listed["notes"])
        found.append(unlisted)
    columns, frames = found
    assert frames["events"] == frames["messages"]
    assert columns["fills"] > 10
    for name in ("causes", "fills", "volume", "markouts", "queue", "position"):
        assert frames[name] == columns[name], name
    for name in ("placed", "amended", "cancelled", "refused"):
        assert frames["orders"][name] == columns["orders"][name]
    assert main([*arguments, "--frames", "--look-ahead"]) == 2
    assert "--look-ahead: columns: leave --frames out" in capsys.readouterr().err


def test_the_whole_engine_runs_a_recording(shared: Path, capsys: Capture) -> None:
    path = shared / "data/kraken/v2_btcusd_d10_20260801.cbcap.gz"
    code = main(["backtest", TIGHT, "--data", str(path), "--whole", "--json"])
    found = told(capsys)["results"]
    assert [one["bot"] for one in found] == ["grid-tight"]
    assert code == (0 if found[0]["messages"]["placed"] else 1)
    assert main(["backtest", TIGHT, "--data", str(path), "--json"]) == 0
    assert told(capsys)["runs"][0]["orders"]["placed"] > 0
