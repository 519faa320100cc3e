"""Client order ids of every venue: read back, sorted, and told from others'."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm._fast.text import SEQ_MAX, base32, parse_client_id


@given(st.integers(0, SEQ_MAX), st.integers(0, SEQ_MAX))
def test_base32_keeps_the_order_of_its_numbers(one: int, other: int) -> None:
    assert len(base32(one)) == 7
    assert (base32(one) < base32(other)) is (one < other)


@pytest.mark.parametrize("mark", ["m", "t-m"])
@given(seq=st.integers(0, SEQ_MAX))
def test_id_reads_back_under_its_own_mark(mark: str, seq: int) -> None:
    text = f"{mark}abc{base32(1_700_000_000)}{base32(seq)}"
    assert parse_client_id(text, mark) == ("abc", base32(1_700_000_000), seq)
    assert parse_client_id(text, "x" + mark[1:]) is None


@pytest.mark.parametrize("mark", ["m", "t-m"])
@pytest.mark.parametrize(
    "rest", ["", "abc", "abc" + "0" * 13 + "z", "ab!" + "0" * 14, "ABC" + "0" * 14, "é" * 17]
)
def test_text_of_another_form_is_no_id(mark: str, rest: str) -> None:
    assert parse_client_id(mark + rest, mark) is None
