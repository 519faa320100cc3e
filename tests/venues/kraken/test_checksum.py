"""The checksum's arithmetic against zlib."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm.venues.kraken.checksum import crc_concat, digits, level_crc

POINTS = st.one_of(st.integers(0, 2**63 - 1), st.integers(0, 10**9))


@given(POINTS, POINTS)
def test_crc_of_a_level_equals_zlib_over_its_digits(price: int, qty: int) -> None:
    text = f"{price}{qty}".encode()
    assert level_crc(price, qty) == (zlib.crc32(text), len(text))


@pytest.mark.parametrize("points", [2**63, 2**64 - 1])
def test_points_beyond_63_bits_are_refused(points: int) -> None:
    with pytest.raises(ValueError, match=str(points)):
        level_crc(points, 1)
    with pytest.raises(ValueError, match=str(points)):
        level_crc(1, points)


@given(st.binary(max_size=400), st.binary(max_size=415))
def test_crc_of_two_parts_equals_crc_of_the_whole(first: bytes, second: bytes) -> None:
    assert crc_concat(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(
        first + second
    )


@pytest.mark.parametrize("length", [-1, 416, 10_000])
def test_length_beyond_the_tables_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=str(length)):
        crc_concat(0, 0, length)


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_digits_are_those_of_python(value: int) -> None:
    assert digits(value) == str(value).encode()


@pytest.mark.parametrize("power", range(20))
def test_digits_at_powers_of_ten(power: int) -> None:
    for value in (10**power - 1, 10**power, 10**power + 1):
        assert digits(value) == str(value).encode()


def test_documented_example_gives_the_documented_checksum() -> None:
    asks = (
        (452852, 100000), (452864, 154571953), (452866, 154571109), (452896, 154560911),
        (452902, 15890660), (452918, 154553491), (452947, 4454749), (452961, 35380000),
        (452975, 9945542), (452995, 18772827),
    )  # fmt: skip
    bids = (
        (452835, 10000000), (452834, 154582015), (452821, 10000000), (452810, 10000000),
        (452803, 154592586), (452790, 7990000), (452776, 3310103), (452775, 30000000),
        (452773, 154602737), (452766, 15445238),
    )  # fmt: skip
    crc = 0
    for level in (*asks, *bids):
        crc = crc_concat(crc, *level_crc(*level))
    assert crc == 3310070434
