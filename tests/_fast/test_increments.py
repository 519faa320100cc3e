"""Increments that wait for their snapshot are bounded, and in a run; arrays of levels are exact."""

from __future__ import annotations

import pytest

from openmm._fast.book import Book, BookBreak, BookState
from openmm._fast.ports import Decoded
from openmm.venues.mexc.wire import MexcDecoder
from tests.venues.mexc.frames import Level, copy, depth

HELD_BYTES = 1 << 21


def made() -> tuple[MexcDecoder, Book]:
    decoder, book = MexcDecoder(), Book()
    decoder.bind("BTCUSDT", 0, book, 5, 1, 2, 0, 500)  # tick 0.5, lot 2
    return decoder, book


def test_what_no_longer_fits_is_dropped_and_the_run_begins_anew() -> None:
    decoder, book = made()
    rows: list[Level] = [(f"{price}", "2") for price in range(1, 3000)]
    size = len(depth(10, 10, rows))
    fits = HELD_BYTES // (size + 8)
    for version in range(10, 10 + fits + 1):
        decoder.decode(depth(version, version, rows), 1)
    assert decoder.counters["overflows"] == 1
    assert decoder.state("BTCUSDT")[1] == 1
    # A copy from before the run that is left does not join.
    assert decoder.decode(copy(9, [("1", "2")], [("9000", "2")]), 2) is Decoded.DECODED_BROKEN
    assert decoder.decode(
        copy(9 + fits, [("1", "2")], [("9000", "2")]), 3
    ) is Decoded.DECODED_BOOK  # fmt: skip
    assert book.state is BookState.BOOK_VERIFIED


def test_an_increment_that_does_not_follow_starts_the_run_anew() -> None:
    decoder, _ = made()
    for first in (10, 11, 13):
        decoder.decode(depth(first, first, [("1", "2")]), 1)
    assert decoder.state("BTCUSDT")[1] == 1
    decoder.decode(depth(13, 13, [("1", "2")]), 1)
    assert (decoder.state("BTCUSDT")[1], decoder.counters["dropped"]) == (1, 1)


@pytest.mark.parametrize(
    ("bids", "wanted"),
    [
        ([("99.5", "4")], [(199, 2)]), ([("99.5", "3")], [(199, 1)]), ([("99.5", "1")], [(199, 1)]),
        ([("99", "4"), ("98.5", "2")], [(198, 2), (197, 1)]),
    ],
)  # fmt: skip
def test_levels_are_in_ticks_and_lots_and_less_than_a_lot_still_stands(
    bids: list[Level], wanted: list[tuple[int, int]]
) -> None:
    decoder, book = made()
    decoder.decode(copy(1, bids, [("200", "2")]), 1)
    assert book.levels(0) == wanted


@pytest.mark.parametrize(
    ("bids", "reason"),
    [
        ([("99.7", "2")], BookBreak.BREAK_OFF_TICK), ([("99.55", "2")], BookBreak.BREAK_OFF_TICK),
        ([("0", "2")], BookBreak.BREAK_PARSE), ([("99", "-2")], BookBreak.BREAK_PARSE),
        ([("9" * 19, "2")], BookBreak.BREAK_BOUNDS), ([("1", "9" * 18)], BookBreak.BREAK_BOUNDS),
    ],
)  # fmt: skip
def test_a_level_that_cannot_be_breaks_the_book(bids: list[Level], reason: BookBreak) -> None:
    decoder, book = made()
    assert decoder.decode(copy(1, bids, [("200", "2")]), 1) is Decoded.DECODED_BROKEN
    assert book.break_reason is reason
