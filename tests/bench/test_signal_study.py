"""What signals are worth: the arithmetic of the study, and that it runs on a recording."""

from __future__ import annotations

import os

import pytest

from bench.book_streams import shared_data
from bench.compare_requote import load
from bench.signal_study import SIGNALS, STUDIED, relation, study

REQUIRED = os.environ.get("OPENMM_REQUIRE_DATA") == "1"


def test_slope_and_correlation_of_a_line_are_its_own() -> None:
    values = [float(i % 7 - 3) for i in range(70)]
    told = relation(values, [2 * value for value in values], 5)
    assert told["slope_bps"] == pytest.approx(2)
    assert told["correlation"] == pytest.approx(1)
    opposite = relation(values, [-value + i % 2 / 10 for i, value in enumerate(values)], 5)
    assert opposite["correlation"] < -0.99
    assert opposite["t"] < -10


def test_what_does_not_move_tells_nothing() -> None:
    flat = relation([0.0] * 50, [1.0, -1.0] * 25, 5)
    assert flat == {"correlation": 0.0, "slope_bps": 0.0, "t": 0.0}


@pytest.mark.skipif(
    shared_data() is None and not REQUIRED, reason="no recorded data beside the checkout"
)
def test_signals_of_a_recording_tell_where_its_mid_goes() -> None:
    data = shared_data()
    assert data is not None, "no recorded data beside the checkout"
    market = next(one for one in STUDIED if one.label.startswith("Kraken BTC"))
    rows = {
        (row["signal"], row["horizon_s"]): row for row in study(market, load(market, data))
    }  # fmt: skip
    assert {name for name, _ in rows} == set(SIGNALS) - {"flow"}  # no trades in it
    assert rows["micro", 1]["correlation"] > 0
    assert all(abs(row["correlation"]) <= 1 for row in rows.values())
