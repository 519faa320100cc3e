"""The checksum's arithmetic against zlib."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm.venues.kraken.checksum import crc32, crc_concat, digits


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_crc_equals_zlib(text: bytes, before: bytes) -> None:
    assert crc32(text) == zlib.crc32(text)
    assert crc32(text, zlib.crc32(before)) == zlib.crc32(before + text)


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


def test_documented_strings_give_the_documented_checksum() -> None:
    asks = (
        b"4528521000004528641545719534528661545711094528961545609114529021589066045291815455349145"
        b"29474454749452961353800004529759945542452995"
        b"18772827"
    )
    bids = (
        b"4528351000000045283415458201545282110000000452810100000004528031545925864527907990000"
        b"45277633101034527753000000045277315460273745276615445238"
    )
    assert crc_concat(crc32(asks), crc32(bids), len(bids)) == 3310070434
