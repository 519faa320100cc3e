"""Plots keep what matters of any line, and draw within their frame."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from openmm.settlement.plots import (
    ACROSS,
    Envelope,
    Line,
    Marks,
    Plot,
    bars,
    columns,
    empty,
    over_time,
    shares,
    span,
    spans,
)

SECOND = 1_000_000_000


@given(
    values=st.lists(
        st.tuples(st.integers(0, 999), st.one_of(st.none(), st.floats(-1e9, 1e9))), min_size=1
    )
)
def test_thinned_line_keeps_its_extremes_and_its_order(
    values: list[tuple[int, float | None]],
) -> None:
    envelope = Envelope(0, 1000, buckets=20)
    for at, value in sorted(values, key=lambda one: one[0]):
        envelope.add(at, value)
    kept = [point for part in envelope.parts() for point in part]
    known = [value for _, value in values if value is not None]
    assert len(kept) <= 40
    assert [x for x, _ in kept] == sorted(x for x, _ in kept)
    if known:
        assert min(y for _, y in kept) == min(known)
        assert max(y for _, y in kept) == max(known)
    else:
        assert kept == []


def test_time_without_a_value_parts_the_line() -> None:
    envelope = Envelope(0, 100, buckets=10)
    for at, value in ((0, 1.0), (10, 2.0), (20, None), (30, 3.0)):
        envelope.add(at, value)
    assert envelope.parts() == [[(0.0, 1.0), (10.0, 2.0)], [(30.0, 3.0)]]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-1e12, 1e12)), min_size=1, max_size=30))
def test_everything_is_drawn_within_the_frame(points: list[tuple[float, float]]) -> None:
    points = sorted((x * SECOND, y) for x, y in points)
    drawn = over_time(
        Plot(
            "a <b>", "USD", 0, 100 * SECOND,
            [Line("line", "bid", [points], step=True)], [Marks("mark", "ask", points)],
        )
    )  # fmt: skip
    assert "<b>" not in drawn
    for css in ("line bid", "mark ask"):
        path = re.search(rf'class="{css}" d="([^"]*)"', drawn)
        assert path is not None
        found = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path[1])
        assert found
        for x, y in found:
            assert 0 <= float(x) <= ACROSS
            assert 10 <= float(y) <= 265
    # Texts stand outside of what is stretched.
    (stretched,) = re.findall(r'<svg viewBox[^>]*preserveAspectRatio="none".*?</svg>', drawn)
    assert "<text" not in stretched


def test_nothing_to_draw_is_said() -> None:
    plot = Plot("title", "USD", 0, 1)
    for drawn in (
        over_time(plot), bars("title", []), spans("title", []),
        columns("title", "x", 0, 1, [None], "up"),
    ):  # fmt: skip
        assert drawn == empty("title")


def test_times_are_told_with_their_unit() -> None:
    assert [span(value) for value in (12, 4_500, 1_234_567, 2e9)] == [
        "12 ns", "4.5 µs", "1.23 ms", "2 s",
    ]  # fmt: skip


def test_bars_and_columns_show_losses_as_such() -> None:
    drawn = bars("P&L", [("spread", 3.0, "+3"), ("fees", -1.0, "-1")])
    assert (drawn.count('class="bar gain"'), drawn.count('class="bar loss"')) == (1, 1)
    drawn = columns("spread", "bps", 0, SECOND, [1.0, None, -2.0], "spread")
    assert (drawn.count('class="bar spread"'), drawn.count('class="bar spread loss"')) == (1, 1)


def test_shares_are_drawn_with_where_they_may_lie() -> None:
    drawn = shares("filled", "share", [("a <b>", 0.5, 0.25, 1.0, "50% of 2"), ("c", 0, 0, 1, "-")])
    assert "<b>" not in drawn
    assert drawn.count('class="bar up"') == 2
    # From 0 to a half; the line from a quarter to one.
    assert re.search(r'class="bar up" x="0" y="[\d.]+" width="50.00%"', drawn)
    assert re.search(r'class="axis" x1="25.00%" x2="100.00%"', drawn)
    assert shares("filled", "share", []) == empty("filled")
