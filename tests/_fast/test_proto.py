"""The protobuf scanner: fields as written, and every cut or bad message told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm._fast.proto import WireType, read_fields
from tests.venues.mexc.frames import field, varint

VALUES = st.one_of(
    st.integers(1, 2**64 - 1), st.binary(min_size=1, max_size=200)
)  # an empty field is not written
FIELDS = st.lists(st.tuples(st.integers(1, 2**29 - 1), VALUES), max_size=8)


@given(FIELDS)
def test_fields_are_read_as_written(fields: list[tuple[int, int | bytes]]) -> None:
    assert read_fields(b"".join(field(number, value) for number, value in fields)) == fields


@given(FIELDS.filter(bool), st.integers(1, 50))
def test_a_cut_message_is_told_or_loses_whole_fields(
    fields: list[tuple[int, int | bytes]], cut: int
) -> None:
    whole = b"".join(field(number, value) for number, value in fields)
    try:
        left = read_fields(whole[:-cut])
    except ValueError:
        return
    assert left == fields[: len(left)]
    assert len(left) < len(fields)


def test_fixed_fields_are_their_bytes() -> None:
    data = varint(1 << 3 | WireType.WIRE_FIXED64) + b"12345678"
    data += varint(2 << 3 | WireType.WIRE_FIXED32) + b"abcd"
    assert read_fields(data) == [(1, b"12345678"), (2, b"abcd")]


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01", b"\x07", b"\x0b\x0c", b"\x0a", b"\x0a\x05abcd", b"\x08", b"\x08\x80",
        b"\x08" + b"\xff" * 9 + b"\x02", b"\x08" + b"\xff" * 10 + b"\x01", b"\x09abc", b"\x0dabc",
        b"\x80\x80\x80\x80\x10\x01", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a protobuf message"):
        read_fields(data)
