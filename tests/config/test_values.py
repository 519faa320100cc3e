"""The units of a file, read exactly."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm.config.values import (
    Distance,
    format_bytes,
    format_duration,
    format_ppm,
    is_loopback,
    parse_bytes,
    parse_decimal,
    parse_distance,
    parse_duration_ns,
    parse_ppm,
    parse_url,
)


@given(ppm=st.integers(-(10**9), 10**9))
def test_ppm_formatted_reads_back(ppm: int) -> None:
    assert parse_ppm(format_ppm(ppm)) == ppm


@given(span_ns=st.integers(0, 10**14))
def test_duration_formatted_reads_back(span_ns: int) -> None:
    assert parse_duration_ns(format_duration(span_ns)) == span_ns


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**9, places=8))
def test_decimal_text_reads_exactly(number: Decimal) -> None:
    assert parse_decimal(format(number, "f")) == number


def reason(parse: Callable[[object], object], value: object) -> str:
    """Return why a value is refused, "" when it is read."""
    try:
        parse(value)
    except ValueError as error:
        return str(error) or "no reason given"
    return ""


@given(st.text() | st.floats() | st.none() | st.booleans() | st.binary() | st.lists(st.integers()))
def test_fuzz_anything_is_read_or_refused_with_a_reason(value: object) -> None:
    for parse in (parse_ppm, parse_duration_ns, parse_decimal, parse_distance):
        assert reason(parse, value) != "no reason given"


@pytest.mark.parametrize(
    ("parse", "text"),
    [(parse_decimal, "\uff11"), (parse_duration_ns, "\uff11s"), (parse_ppm, "\u0664bps")],
)
def test_digits_are_those_of_ascii(parse: Callable[[object], object], text: str) -> None:
    assert reason(parse, text)


@given(st.text())
def test_fuzz_any_text_is_an_address_or_refused(text: str) -> None:
    why = reason(lambda value: parse_url(value, ("ws", "wss")), text)
    assert "ws" in why or text.startswith(("ws://", "wss://"))


@pytest.mark.parametrize(
    ("text", "price_ticks", "ticks"),
    [("2 ticks", 660_000, 2), ("1 tick", 1, 1), ("1bps", 660_000, 66), ("1bps", 9_999, 0)],
)
def test_distance_at_a_price(text: str, price_ticks: int, ticks: int) -> None:
    distance = parse_distance(text)
    assert distance.to_ticks(price_ticks) == ticks
    assert parse_distance(str(distance)) == distance


def test_distance_in_uticks_keeps_what_ticks_lose() -> None:
    assert Distance(ppm=100).to_uticks(9_999 * 1_000_000) == 999_900
    assert Distance(ticks=3).to_uticks(1) == 3_000_000


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("ws://127.0.0.1:1/v2", True),
        ("http://[::1]:8", True),
        ("https://localhost", True),
        ("wss://127.0.0.1.example.com", False),
        ("wss://example.com/127.0.0.1", False),
    ],
)
def test_loopback_is_told_by_the_host_alone(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


@given(st.integers(1, 1 << 22))
def test_size_reads_back_as_it_was_written(kib: int) -> None:
    assert parse_bytes(format_bytes(kib << 10)) == kib << 10


def test_size_of_no_whole_unit_is_told_exactly() -> None:
    assert format_bytes(1_572_864) == "1536KiB"
    assert format_bytes(1_500_000) == "1500000 bytes"
