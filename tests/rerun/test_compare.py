"""Bots side by side: no figure without the model that made it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from openmm.cli.main import main
from openmm.rerun.compare import COLUMNS, cells, compare, render, to_json, told_once
from openmm.rerun.engine import FILL_MODEL
from openmm.rerun.streams import synthetic
from tests.rerun.made import bot

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "bots"
Capture = pytest.CaptureFixture[str]


def test_the_table_has_a_row_for_each_bot_and_stream_and_states_its_model() -> None:
    streams = [synthetic(name, 1, 20) for name in ("thin", "calm")]
    seen: list[tuple[str, str]] = []
    found = compare([bot(), bot({"spread": "4bps"})], streams, lambda *one: seen.append(one[:2]))
    assert [one.stream for one in found] == ["thin (seed 1)"] * 2 + ["calm (seed 1)"] * 2
    assert set(seen) == {("grid", "thin (seed 1)"), ("grid", "calm (seed 1)")}
    console = Console(width=200, record=True, file=io.StringIO())
    render(found, console)
    told = " ".join(console.export_text().split())
    assert FILL_MODEL in told
    assert "Here: 20 ms." in told
    assert "What it leaves out" in told
    assert len(cells(found[0])) == len(COLUMNS)
    plain = json.loads(json.dumps(to_json(found)))
    assert plain["fill_model"] == FILL_MODEL
    assert [one["bot"] for one in plain["results"]] == ["grid"] * 4
    # A console that is too narrow cuts no figure.
    narrow = io.StringIO()
    render(found, Console(width=60, file=narrow))
    assert "…" not in narrow.getvalue()
    rows = [" ".join(line.split()) for line in narrow.getvalue().splitlines()]
    assert all(" ".join(cells(one)) in rows for one in found)


def test_the_examples_are_compared(capsys: Capture) -> None:
    files = [str(path) for path in sorted(EXAMPLES.glob("*.toml"))]
    assert len(files) > 1
    assert main(["compare", *files, "--regime", "thin", "--seconds", "20", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["bot"] for one in told["results"]} == {Path(one).stem for one in files}
    assert all(one["orders"]["acknowledged"] for one in told["results"])


def test_a_recording_is_cut_to_the_seconds(shared: Path, capsys: Capture) -> None:
    data = shared / "data/binance/spot_btcusdt_20240808.gz"
    file = str(EXAMPLES / "grid.toml")
    assert main(["compare", file, "--data", str(data), "--seconds", "10"]) == 0
    out = capsys.readouterr().out
    assert "binance spot_btcusdt_20240808: 10 s" in out


def test_nothing_to_compare_over_is_bad_usage(capsys: Capture) -> None:
    assert main(["compare", str(EXAMPLES / "grid.toml")]) == 2
    assert "--regime" in capsys.readouterr().err


def test_problems_are_told_once_with_their_count() -> None:
    assert told_once(("lost", "halted", "lost")) == ["lost (2 times)", "halted"]


def test_bots_of_one_name_are_refused(capsys: Capture) -> None:
    file = str(EXAMPLES / "grid.toml")
    assert main(["compare", file, file, "--regime", "thin"]) == 2
    assert "a name of its own" in capsys.readouterr().err
