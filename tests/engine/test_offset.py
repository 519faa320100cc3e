"""The clock's offset: bounded by every answer, never believed without one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm.engine.offset import STALE_NS, ClockOffset

T0 = 1_795_654_771_000_000_000
SECOND = 1_000_000_000
MS = 1_000_000


def told(offset: ClockOffset, true_ns: int, at_ns: int, out_ns: int, back_ns: int) -> None:
    """Ask a venue whose clock is `true_ns` ahead and tells the middle of its whole second."""
    venue_ns = at_ns + out_ns + true_ns
    offset.add(at_ns, venue_ns // SECOND * SECOND + SECOND // 2, at_ns + out_ns + back_ns)


def test_nothing_is_known_before_an_answer_and_long_after_the_last() -> None:
    offset = ClockOffset()
    assert offset.value_ns(T0) is None
    told(offset, 0, T0, MS, MS)
    assert offset.value_ns(T0 + SECOND) == 0
    assert offset.value_ns(T0 + STALE_NS + SECOND) is None


@pytest.mark.parametrize("true_s", [-5, -3, 3, 5])
def test_offset_beyond_a_whole_second_is_seen_with_its_sign(true_s: int) -> None:
    offset = ClockOffset()
    for at in range(4):
        told(offset, true_s * SECOND, T0 + at * 60 * SECOND + at * 130 * MS, 20 * MS, 20 * MS)
    value = offset.value_ns(T0 + 240 * SECOND)
    assert value is not None
    assert abs(value) <= (abs(true_s)) * SECOND
    assert abs(value) >= (abs(true_s) - 1) * SECOND
    assert (value > 0) is (true_s > 0)


def test_round_trips_that_differ_count_against_the_limit() -> None:
    offset = ClockOffset()
    told(offset, 0, T0, 10 * MS, 10 * MS)
    for at in (60, 120, 180):
        told(offset, 0, T0 + at * SECOND, 3 * SECOND, MS)
    assert offset.jitter_ns > SECOND
    assert (offset.value_ns(T0 + 181 * SECOND) or 0) >= offset.jitter_ns


def test_one_slow_answer_counts_neither_at_once_nor_later() -> None:
    offset = ClockOffset()
    for at in range(8):
        told(offset, 0, T0 + at * 60 * SECOND, 9 * SECOND if at == 3 else 10 * MS, 10 * MS)
        assert abs(offset.value_ns(T0 + at * 60 * SECOND + 10 * SECOND) or 0) <= MS


def test_clock_that_was_set_is_believed_by_the_newest_answer() -> None:
    offset = ClockOffset()
    told(offset, 0, T0, MS, MS)
    told(offset, 10 * SECOND, T0 + 60 * SECOND, MS, MS)
    assert (offset.value_ns(T0 + 60 * SECOND) or 0) > 8 * SECOND


@given(
    true_ns=st.integers(-20 * SECOND, 20 * SECOND),
    trips=st.lists(
        st.tuples(st.integers(0, 2 * SECOND), st.integers(0, 2 * SECOND)), min_size=1, max_size=20
    ),
)
def test_true_offset_is_always_within_the_bounds(
    true_ns: int, trips: list[tuple[int, int]]
) -> None:
    offset = ClockOffset()
    at_ns = T0
    for out_ns, back_ns in trips:
        told(offset, true_ns, at_ns, out_ns, back_ns)
        at_ns += 7 * SECOND + 123_456_789
    bounds = offset.bounds_ns(at_ns)
    assert bounds is not None
    assert bounds[0] <= true_ns <= bounds[1]
