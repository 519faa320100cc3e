"""The reference on three recorded markets of one clock, with one of them at fault."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.reference_replay import (
    FAULTS,
    FEEDS,
    Rows,
    Run,
    against_mids,
    faults,
    load,
    plot,
    replay,
)


@pytest.fixture(scope="module")
def rows(shared: Path) -> Rows:
    """The day on which all three were recorded."""
    return load(shared / "data" / "binance", ("20240808",))


@pytest.fixture(scope="module")
def clean(rows: Rows) -> Run:
    """Nothing at fault."""
    return replay(rows)


@pytest.mark.parametrize("kind", FAULTS)
def test_one_feed_at_fault_hardly_moves_the_reference_and_is_told_at_once(
    rows: Rows, clean: Run, kind: str
) -> None:
    for row in faults(rows, clean, [kind], range(len(FEEDS))):
        assert row["rows"] > 20_000
        assert row["p99_bps"] < 1.0, row
        assert row["max_bps"] < 3.0, row
        assert row["told_after"] == 1, row
        # No reference is no quote: only where the two that are left were 3 bps apart.
        assert row["without"] < row["rows"] // 200, row


def test_the_reference_stays_with_the_mids(rows: Rows, clean: Run) -> None:
    for row in against_mids(clean):
        assert abs(row["mean_bps"]) < 5
        assert row["p99_bps"] < 5
    assert np.isnan(clean.price).sum() < 50
    drawn = plot(rows, clean)
    assert drawn.startswith("<svg")
    assert drawn.count("<polyline") == len(FEEDS) + 1


def test_a_feed_that_was_shifted_from_the_start_is_seen_to_move_it(rows: Rows, clean: Run) -> None:
    """The harness can see a reference that moves: a premium that was always there is no fault."""
    begin_ns = int(rows.recv_ns[0])
    moved = replay(rows, "shift", 0, begin_ns)
    away = np.abs(moved.price - clean.price[: len(moved.price)]) / moved.price * 10_000
    assert np.nanmax(away) > 3
