"""Units against exact integers, fractions and the C library's exp and log."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openmm._fast import units
from tests.oracles import units as oracle

INT64_MAX = oracle.INT64_MAX
int64 = st.one_of(
    st.integers(-INT64_MAX, INT64_MAX),
    st.integers(-1000, 1000),
    st.sampled_from([INT64_MAX, -INT64_MAX, INT64_MAX - 1]),
)
divisor = st.one_of(st.integers(1, INT64_MAX), st.integers(1, 1000))


@pytest.mark.parametrize(
    ("a", "b", "floor", "ceil"),
    [
        (7, 2, 3, 4),
        (-7, 2, -4, -3),
        (6, 2, 3, 3),
        (-6, 2, -3, -3),
        (0, 5, 0, 0),
        (1, 5, 0, 1),
        (-1, 5, -1, 0),
    ],
)
def test_division_rounds_by_its_name(a: int, b: int, floor: int, ceil: int) -> None:
    assert (units.floor_div(a, b), units.ceil_div(a, b)) == (floor, ceil)


@pytest.mark.parametrize(
    ("uticks", "floor", "ceil"),
    [(1_500_000, 1, 2), (-1_500_000, -2, -1), (2_000_000, 2, 2), (1, 0, 1), (-1, -1, 0)],
)
def test_bid_rounds_down_and_ask_rounds_up(uticks: int, floor: int, ceil: int) -> None:
    assert (units.floor_ticks(uticks), units.ceil_ticks(uticks)) == (floor, ceil)


@pytest.mark.parametrize("b", [0, -1, -INT64_MAX])
def test_divisor_that_is_not_positive_is_refused(b: int) -> None:
    for call in (units.floor_div, units.ceil_div, lambda a, b: units.mul_div(a, a, b)):
        with pytest.raises(ValueError, match="divisor"):
            call(5, b)


def test_missing_value_is_refused() -> None:
    missing = units.MISSING_VALUE
    for call in (
        lambda: units.floor_div(missing, 1),
        lambda: units.ceil_ticks(missing),
        lambda: units.mul_div(1, missing, 1),
        lambda: units.ticklots(missing, 1),
        lambda: units.format_points(missing, 1),
    ):
        with pytest.raises(ValueError, match="missing"):
            call()


@given(int64, divisor)
def test_division_equals_fractions(a: int, b: int) -> None:
    assert units.floor_div(a, b) == oracle.floor_div(a, b)
    assert units.ceil_div(a, b) == oracle.ceil_div(a, b)


@given(int64, int64, divisor)
@example(INT64_MAX, INT64_MAX, 1)
@example(-INT64_MAX, INT64_MAX, 1)
@example(1 << 62, -2, 1)
@example(1 << 32, 1 << 32, 3)
@example(-(1 << 32), 1 << 32, 7)
def test_mul_div_equals_fractions_and_saturates(a: int, b: int, c: int) -> None:
    assert units.mul_div(a, b, c) == oracle.mul_div(a, b, c)


@given(int64, int64)
def test_ticklots_are_exact_beyond_63_bits(price_ticks: int, qty_lots: int) -> None:
    assert units.ticklots(price_ticks, qty_lots) == price_ticks * qty_lots


@given(st.one_of(st.integers(-(1 << 127), (1 << 127) - 1), int64))
def test_saturate_never_gives_the_missing_value(value: int) -> None:
    assert units.saturate(value) == oracle.saturate(value)


@pytest.mark.parametrize("value", [1 << 127, -(1 << 127) - 1, 1 << 200])
def test_saturate_refuses_what_128_bits_do_not_hold(value: int) -> None:
    with pytest.raises(OverflowError, match="128"):
        units.saturate(value)


def test_pow10_covers_0_to_18_and_no_more() -> None:
    assert [units.pow10(n) for n in range(19)] == [10**n for n in range(19)]
    for n in (-1, 19):
        with pytest.raises(ValueError, match="decimals"):
            units.pow10(n)


@given(
    st.one_of(
        st.integers(0, INT64_MAX), st.integers(0, 3_037_000_499).map(lambda root: root * root)
    )
)
@example(INT64_MAX)
@example(3_037_000_499**2 - 1)
def test_isqrt_is_the_floor(value: int) -> None:
    assert units.isqrt(value) == math.isqrt(value)


def test_isqrt_refuses_negative_values() -> None:
    with pytest.raises(ValueError, match="negative"):
        units.isqrt(-1)


@given(st.floats(-708.0, 709.0))
def test_exp_is_within_an_ulp_or_two(x: float) -> None:
    assert units.exp(x) == pytest.approx(math.exp(x), rel=1e-15, abs=0)


@given(st.floats(5e-324, 1.7e308, allow_subnormal=True))
@example(1.0)
@example(math.nextafter(1.0, 2.0))
@example(math.nextafter(1.0, 0.0))
@example(math.sqrt(2.0))
def test_log_is_within_an_ulp_or_two(x: float) -> None:
    assert units.log(x) == pytest.approx(math.log(x), rel=1e-15, abs=0)


@given(st.floats(-700.0, 700.0))
def test_log_undoes_exp(x: float) -> None:
    assert units.log(units.exp(x)) == pytest.approx(x, rel=1e-13, abs=1e-15)


def test_exp_and_log_at_the_ends() -> None:
    assert units.exp(0.0) == 1.0
    assert units.exp(710.0) == math.inf
    assert units.exp(-746.0) == 0.0
    assert units.exp(-745.0) == math.exp(-745.0)
    assert math.isnan(units.exp(math.nan))
    assert units.exp(-math.inf) == 0.0
    assert units.log(1.0) == 0.0
    assert units.log(0.0) == -math.inf
    assert units.log(math.inf) == math.inf
    assert math.isnan(units.log(-1.0))
    assert math.isnan(units.log(math.nan))


@given(st.floats(-745.0, 709.7))
@example(0.0)
@example(-745.0)
def test_exp_gives_the_bits_of_its_oracle(x: float) -> None:
    assert units.exp(x).hex() == oracle.exp(x).hex()


@given(st.floats(5e-324, 1.7e308, allow_subnormal=True))
@example(5e-324)
@example(66788.5)
def test_log_gives_the_bits_of_its_oracle(x: float) -> None:
    assert units.log(x).hex() == oracle.log(x).hex()


def test_exp_and_log_give_these_bits_on_every_machine() -> None:
    assert [units.exp(x).hex() for x in (1.0, -0.3, 88.7)] == [
        "0x1.5bf0a8b14576ap+1", "0x1.7b4c869c37c05p-1", "0x1.f4705bbffae5cp+127",
    ]  # fmt: skip
    assert [units.log(x).hex() for x in (2.0, 0.1, 66788.5)] == [
        "0x1.62e42fefa39efp-1", "-0x1.26bb1bbb55515p+1", "0x1.637f45bff7402p+3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("points", "decimals", "text"),
    [
        (667_880, 1, b"66788.0"),
        (12_440_000, 8, b"0.12440000"),
        (0, 8, b"0.00000000"),
        (0, 0, b"0"),
        (-5, 1, b"-0.5"),
        (-5, 0, b"-5"),
        (1, 18, b"0.000000000000000001"),
        (INT64_MAX, 0, b"9223372036854775807"),
        (-INT64_MAX, 18, b"-9.223372036854775807"),
    ],
)
def test_points_are_written_with_exactly_their_decimals(
    points: int, decimals: int, text: bytes
) -> None:
    assert units.format_points(points, decimals) == text


@pytest.mark.parametrize("decimals", [-1, 19])
def test_format_refuses_other_decimals(decimals: int) -> None:
    with pytest.raises(ValueError, match="decimals"):
        units.format_points(1, decimals)


@given(int64, st.integers(0, 18))
def test_format_equals_decimal(points: int, decimals: int) -> None:
    assert units.format_points(points, decimals).decode() == oracle.format_points(points, decimals)


@given(st.one_of(st.integers(0, (1 << 64) - 1), st.integers(0, 1001)))
@example((1 << 64) - 1)
def test_digits_are_plain(value: int) -> None:
    assert units.format_digits(value) == str(value).encode()
