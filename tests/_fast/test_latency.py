"""Latency histograms against sorted lists, and the stamp counter against the clock."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast import latency
from openmm._fast.latency import Histogram, Stage, StageLatency
from tests.oracles import latency as oracle

RANGE_NS = 1 << 36
DURATIONS = st.one_of(st.integers(0, 100), st.integers(0, 10**6), st.integers(0, 60_000_000_000))


def filled(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


@settings(max_examples=300)
@given(
    st.lists(DURATIONS, min_size=1, max_size=60),
    st.one_of(
        st.integers(0, 1_000_000), st.sampled_from([0, 500_000, 990_000, 999_000, 1_000_000])
    ),
)
def test_quantile_is_within_three_percent_of_the_sorted_list(values: list[int], ppm: int) -> None:
    seen = filled(values).quantile(ppm)
    wanted = oracle.quantile(values, ppm)
    assert seen is not None
    assert abs(seen - wanted) * 1_000 <= wanted * 30
    assert seen <= max(values)
    if wanted < 64:
        assert seen == wanted


@given(st.lists(DURATIONS, max_size=60))
def test_count_sum_and_maximum_are_exact(values: list[int]) -> None:
    histogram = filled(values)
    assert (histogram.count, histogram.sum_ns) == (len(values), sum(values))
    assert histogram.max_ns == max(values, default=0)
    assert histogram.mean_ns == (sum(values) // len(values) if values else None)


@given(st.lists(DURATIONS, max_size=40), st.lists(DURATIONS, max_size=40))
def test_merge_equals_recording_all(left: list[int], right: list[int]) -> None:
    merged = filled(left)
    merged.merge(filled(right))
    assert merged.to_bytes() == filled(left + right).to_bytes()


@given(st.lists(DURATIONS, max_size=40))
def test_bytes_and_back_is_identity(values: list[int]) -> None:
    data = filled(values).to_bytes()
    assert len(data) == 24 + 8 * 1024
    assert Histogram.from_bytes(data).to_bytes() == data


@given(st.integers(0, RANGE_NS - 1))
def test_every_duration_has_a_bucket_of_three_percent(value: int) -> None:
    # Two equal samples below a larger one: the median is the bucket's middle, not the maximum.
    seen = filled([value, value, RANGE_NS]).quantile(500_000)
    assert seen is not None
    assert abs(seen - value) * 1_000 <= value * 16


@given(st.lists(st.integers(0, 2 * 10**9), max_size=200))
def test_cumulative_counts_are_those_of_the_list_within_a_bucket(values: list[int]) -> None:
    told = memoryview(filled(values).cumulative()).cast("Q").tolist()
    assert len(told) == len(latency.BOUNDS_NS)
    assert told == sorted(told)
    for bound_ns, count in zip(latency.BOUNDS_NS, told, strict=True):
        # A bucket counts as its middle, which is within 3 % of what it holds.
        assert sum(1 for one in values if one <= bound_ns * 0.97 - 1) <= count
        assert count <= sum(1 for one in values if one <= bound_ns * 1.03 + 1)


def test_longer_than_the_range_reads_as_the_maximum() -> None:
    histogram = filled([10 * RANGE_NS, 20 * RANGE_NS])
    assert histogram.quantile(500_000) == 20 * RANGE_NS
    assert histogram.quantile(1_000_000) == 20 * RANGE_NS


def test_empty_histogram_has_no_quantile() -> None:
    assert Histogram().quantile(500_000) is None


def test_clear_forgets_everything() -> None:
    histogram = filled([5, 6])
    histogram.clear()
    assert histogram.to_bytes() == Histogram().to_bytes()


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Histogram().record(-1)
    with pytest.raises(ValueError, match="ppm"):
        Histogram().quantile(1_000_001)
    with pytest.raises(ValueError, match="bytes"):
        Histogram.from_bytes(b"short")
    with pytest.raises(ValueError, match="span_ns"):
        latency.calibrate(1)


def test_bytes_whose_counts_do_not_add_up_are_refused() -> None:
    data = bytearray(filled([1, 2, 3]).to_bytes())
    data[0] = 4
    with pytest.raises(ValueError, match="do not add up"):
        Histogram.from_bytes(bytes(data))


def test_each_stage_has_its_own_histogram() -> None:
    stages = StageLatency()
    real = [stage for stage in Stage if stage is not Stage.STAGE_COUNT]
    for stage in real:
        stages.record(stage, 1_000 + stage)
    assert [stages.histogram(stage).max_ns for stage in real] == [1_000 + s for s in real]
    assert list(stages.histograms()) == real
    with pytest.raises(ValueError, match="not a stage: 13"):
        stages.record(Stage.STAGE_COUNT, 1)


def test_calibration_takes_no_look_at_the_clock_that_was_interrupted() -> None:
    # (counter before, clock, counter after): the process lost the core in the first and the third.
    looks = [(1_000, 10, 900_000), (900_100, 500, 900_150), (900_200, 600, 9_900_000)]
    assert latency.closest_look(looks) == (900_125, 500)
    assert latency.closest_look([]) is None


def test_calibrations_agree_on_a_busy_machine() -> None:
    rates = sorted(latency.calibrate() for _ in range(100))
    assert rates[-1] - rates[0] < rates[50] // 100


def test_stamps_agree_with_the_monotonic_clock() -> None:
    assert latency.calibrate(5_000_000) > 1_000_000
    best = 1.0
    for _ in range(5):  # a preempted round says nothing: the nearest of five counts
        from_ns, from_count = time.monotonic_ns(), latency.stamp()
        while time.monotonic_ns() - from_ns < 5_000_000:
            pass
        counts = latency.stamp() - from_count
        span_ns = time.monotonic_ns() - from_ns
        best = min(best, abs(latency.stamp_ns(counts) - span_ns) / span_ns)
    assert best < 0.02


def test_stamps_never_run_backwards() -> None:
    stamps = [latency.stamp() for _ in range(1_000)]
    assert stamps == sorted(stamps)
    assert latency.stamp_ns(0) == 0
