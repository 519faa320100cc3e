"""What runs did, as files: exact, in units of the market, one folder a run."""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from openmm.backtest.gather import Piece, Span
from openmm.backtest.measures import measure
from openmm.backtest.model import Model
from openmm.backtest.trials import Trial, Variant, run_all, to_json
from openmm.backtest.trials_files import claim, decimals, fills, marks, names_of, orders, write
from openmm.errors import CommandError, ConfigError
from tests.backtest.outcomes import BUY, SELL, START_NS, fill, made, market, stay
from tests.rerun.made import bot

NS = 1_000_000_000
U = 1_000_000


@pytest.fixture(scope="module")
def span() -> Span:
    events = market(seconds=40)
    return Span((events,), (Piece("thin", events, "good", ()),))


@pytest.fixture(scope="module")
def trials(span: Span) -> list[Trial]:
    found = [Variant("grid", bot()), Variant("grid spread=4bps", bot({"spread": "4bps"}))]
    return run_all(found, [span], lambda _: Model(), iter(range(8)).__next__)


def plain(column: Any) -> list[Any]:
    """Return values; times in ns, which a `datetime` cannot hold."""
    told = column.cast("int64") if str(column.type).startswith("timestamp") else column
    return list(told.to_pylist())


def test_each_run_has_its_files_and_they_add_up_to_its_figures(
    trials: list[Trial], span: Span, tmp_path: Path
) -> None:
    write(trials, [span], tmp_path)
    told = json.loads((tmp_path / "runs.json").read_text())
    folders = [one.pop("folder") for one in told["runs"]]
    assert folders == ["grid", "grid_spread=4bps"]
    assert told == json.loads(json.dumps(to_json(trials, [span])))
    for one, folder in zip(trials, folders, strict=True):
        found = {
            kind: parquet.read_table(tmp_path / folder / f"{kind}.parquet")
            for kind in ("fills", "orders", "marks")
        }
        figures = one.measures
        columns = {name: plain(found["fills"][name]) for name in found["fills"].column_names}
        cost = [p * q for p, q in zip(columns["price"], columns["qty"], strict=True)]
        assert len(cost) == figures.fills > 0
        assert sum(cost) == figures.volume
        signed = [
            q if side == "buy" else -q
            for side, q in zip(columns["side"], columns["qty"], strict=True)
        ]
        assert sum(signed) == figures.position
        assert sum(plain(found["orders"]["filled"])) <= figures.volume_base
        assert len(found["orders"]) == len(one.outcome.orders)
        assert plain(found["marks"]["net"]) == [
            int(ticklots) * figures.unit for ticklots in figures.curve.pnl_ticklots[1:-1]
        ]
        head = found["fills"].schema.metadata
        assert (head[b"run"], head[b"base"]) == (one.label.encode(), b"BTC")


def test_columns_are_in_units_and_what_is_unknown_is_null(trials: list[Trial]) -> None:
    outcome = made(
        [
            fill(0.5, BUY, 600_001, 7, 600_000 * U + 5, seq=3, ahead=4, level=2),
            fill(1.5, SELL, 600_003, 2, -1, seq=4, ahead=-1, level=-1, maker=0),
        ],
        [600_000 * U, 600_002 * U],
        orders=[stay(0.1, SELL, 600_005, 9, 0, seq=5, ahead=-1, filled=1, rested_s=0)],
    )
    outcome = replace(outcome, taker_fee_ppm=1000)
    one = replace(trials[0], outcome=outcome, measures=measure(outcome))
    found = {name: plain(column) for name, column in fills(one).items()}
    assert found == {
        "told_at": [START_NS + NS // 2, START_NS + 3 * NS // 2], "order": [3, 4],
        "side": ["buy", "sell"], "price": [Decimal("60000.1"), Decimal("60000.3")],
        "qty": [Decimal("0.007"), Decimal("0.002")], "maker": [True, False],
        "reference": [Decimal("60000.0000005"), None], "ahead": [Decimal("0.004"), None],
        "joined_at": [START_NS - NS // 2, START_NS + NS // 2], "level": [2, None],
        "after_100ms": [None, None], "after_1s": [Decimal("60000.2"), None],
        "after_10s": [None, None], "after_60s": [None, None],
    }  # fmt: skip
    found = {name: plain(column) for name, column in orders(one).items()}
    assert found == {
        "order": [5], "began_at": [START_NS + NS // 10], "ended_at": [None], "side": ["sell"],
        "level": [0], "price": [Decimal("60000.5")], "qty": [Decimal("0.009")],
        "filled": [Decimal("0.001")], "reference": [None], "ahead": [None], "moves": [0],
    }  # fmt: skip
    found = {name: plain(column) for name, column in marks(one).items()}
    assert found["told_at"] == [START_NS + NS, START_NS + 2 * NS]
    # One BTC and 60,000 USD at the start; 0.007 bought at 60,000.1, 0.002 of them sold.
    assert found["base"] == [Decimal("1.007"), Decimal("1.005")]
    assert found["position"] == [Decimal("0.007"), Decimal("0.005")]
    assert found["equity"] == [Decimal("119999.9993"), Decimal("120000.2009")]
    assert found["net"] == [Decimal("-0.0007"), Decimal("0.0009")]
    assert found["live_orders"] == [2, 2]
    assert found["exit_cost"] == [0, 0]
    # A thousandth of what is held is the fee for trading it away.
    assert found["flattened"] == [Decimal("-0.4207"), Decimal("-0.2992")]


@given(
    st.lists(st.integers(-(2**61), 2**61), max_size=5),
    st.sampled_from(["0.1", "0.05", "0.00000001", "1", "25", "1E+2", "0.0000000000000005"]),
)
def test_decimals_are_exact_however_wide(counts: list[int], step: str) -> None:
    found = decimals(np.array(counts, np.int64), Decimal(step)).to_pylist()
    exact = Context(prec=60)
    assert found == [exact.multiply(Decimal(one), Decimal(step)) for one in counts]


def test_names_of_folders_are_plain_and_differ(trials: list[Trial], span: Span) -> None:
    labels = ["a/b:c", "A b c", "..", "a_b_c", "é"]
    found = [replace(trials[0], label=one) for one in labels]
    assert names_of(found, [span]) == ["a_b_c", "A_b_c_2", "run", "a_b_c_3", "_"]
    (name,) = names_of(found[:1], [span, span])
    assert name == "2025-06-15_150640_a_b_c"


def test_a_folder_that_will_not_do_is_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim("--out", tmp_path / "new" / "folder")
    claim("--out", tmp_path / "new" / "folder")
    with pytest.raises(ConfigError, match="--out: a folder that is empty, or not there yet; got"):
        claim("--out", tmp_path)
    (tmp_path / "file").write_text("")
    for name in ("file", "file/below"):
        with pytest.raises(ConfigError, match=r"--out: a folder that is there or can be made \("):
            claim("--out", tmp_path / name)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ConfigError, match="--out: a folder that can be written to"):
        claim("--out", tmp_path / "new" / "folder")


def test_a_file_that_cannot_be_written_is_one_error(
    trials: list[Trial], span: Span, tmp_path: Path
) -> None:
    (tmp_path / "grid").write_text("in the way")
    with pytest.raises(CommandError, match=r"cannot write to .*: File exists"):
        write(trials, [span], tmp_path)
    assert not (tmp_path / "runs.json").exists()


def test_an_index_that_does_not_fit_is_none(
    trials: list[Trial], span: Span, tmp_path: Path
) -> None:
    # By it readers know that a folder is whole: half of one would say so too.
    long = [replace(trials[0], notes=("x" * 1_000_000,))]
    bounds = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, bounds[1]))
    try:
        with pytest.raises(CommandError, match=r"cannot write to .*: File too large"):
            write(long, [span], tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, bounds)
    assert [one.name for one in tmp_path.iterdir()] == ["grid"]
