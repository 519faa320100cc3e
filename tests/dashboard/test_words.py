"""Numbers and times as text."""

from __future__ import annotations

from decimal import Decimal

import pytest

from openmm.dashboard import words


@pytest.mark.parametrize(
    ("step", "decimals"), [("0.10", 1), ("0.00000001", 8), ("1", 0), ("100", 0), ("5E-3", 3)]
)
def test_decimals_are_those_of_the_step(step: str, decimals: int) -> None:
    assert words.decimals_of(Decimal(step)) == decimals


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (None, 2, "–"),
        ("", None, "–"),
        ("64250.1", 1, "64,250.1"),
        ("0.00000001", None, "0.00000001"),
        ("1E-8", None, "0.00000001"),
        ("NaN", 2, "–"),
        ("1e30", 0, "1,000,000,000,000,000,000,000,000,000,000"),
        (Decimal("-1234.565"), 2, "-1,234.56"),
    ],
)
def test_number(value: object, decimals: int | None, text: str) -> None:
    assert words.number(value, decimals) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), ("0", "0.00"), ("-0.001", "0.00"), ("12.5", "+12.50"), ("-3", "-3.00")],
)
def test_gain_has_its_sign_and_nothing_has_none(value: object, text: str) -> None:
    assert words.signed(value) == text


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (None, "–"),
        (-5, "0 ms"),
        (999_999_999, "999 ms"),
        (59_940_000_000, "59.9 s"),
        (61_000_000_000, "1 min 01 s"),
        (3_661_000_000_000, "1 h 01 min"),
        (90_000_000_000_000, "1 d 1 h"),
    ],
)
def test_age(ns: int | None, text: str) -> None:
    assert words.age(ns) == text


@pytest.mark.parametrize(
    ("ns", "text"),
    [(None, "–"), (0, "0 ns"), (840, "840 ns"), (1_240, "1.24 µs"), (12_000_000, "12.0 ms"),
     (198_000_000, "198 ms"), (2_500_000_000, "2.50 s")],
)  # fmt: skip
def test_latency_has_three_digits(ns: int | None, text: str) -> None:
    assert words.latency(ns) == text


def test_moments_are_utc() -> None:
    assert words.moment(1_700_000_000_123_456_789) == "2023-11-14 22:13:20.123"
    assert words.clock(1_700_000_000_123_456_789) == "22:13:20"
    assert words.moment(0) == words.clock(None) == "–"
