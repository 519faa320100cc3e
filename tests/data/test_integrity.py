"""The integrity report: each thing that may be wrong is seen, told, and nothing else is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from openmm.data.events import ASK, BROKEN, CLEAR, FILTERED, LEVEL, MESSAGE_END, TRADE, Events
from openmm.data.integrity import Found, Limits, clocks_told, examine, trades_told
from tests.data.made import MARKET, START_NS, Row, events_of

S = 1_000_000_000
MS = 1_000_000
END = MESSAGE_END


def rows(*more: Row, last: int = 20) -> list[Row]:
    """A whole book, a trade, what happens to it, and an event each second."""
    at = START_NS
    book: list[Row] = [
        (at, at - 7, 0, 0, CLEAR),
        (at, at - 7, 1000, 5, LEVEL),
        (at, at - 7, 1002, 5, LEVEL | ASK | END),
        (at, at - 7, 1002, 1, TRADE | END),
    ]
    ticking: list[Row] = [
        (at + S * second, at + S * second - 7, 900, 1 + second % 2, LEVEL | END)
        for second in range(1, last)
    ]
    return sorted([*book, *more, *ticking], key=lambda row: row[0])


def names(found: Found) -> set[str]:
    return {name for _, name, _ in found.problems}


def test_good_data_is_good() -> None:
    found = examine(events_of(rows()))
    assert (found.verdict, list(found.problems)) == ("good", [])
    assert found.figures["whole_share"] == 1.0
    assert found.figures["messages"] == 21
    assert found.figures["lag_ns_median"] == 7
    assert found.to_json()["verdict"] == "good"


def test_gap_is_broken_and_the_book_not_whole_until_the_next() -> None:
    at = START_NS
    found = examine(
        events_of(
            rows(
                (at + 5 * S + 1, 0, 0, 0, BROKEN | END),
                (at + 10 * S + 1, 0, 0, 0, CLEAR),
                (at + 10 * S + 1, 0, 1000, 5, LEVEL),
                (at + 10 * S + 1, 0, 1002, 5, LEVEL | ASK | END),
            )
        )
    )
    assert found.verdict == "broken"
    assert (found.figures["gaps"], found.figures["snapshots"]) == (1, 2)
    assert found.figures["whole_share"] == pytest.approx(14 / 19)
    assert names(found) == {"gaps", "whole_share"}


def test_book_without_a_level_is_not_whole() -> None:
    at = START_NS
    gone: list[Row] = [
        (at + 5 * S, 0, 1000, 0, LEVEL), (at + 5 * S, 0, 1002, 0, LEVEL | ASK),
        (at + 5 * S, 0, 900, 0, LEVEL | END),
    ]  # fmt: skip
    empty = [row for row in rows() if row[2] != 900]
    found = examine(events_of(sorted([*empty, *gone, (at + 20 * S, 0, 1, 1, TRADE | END)])))
    assert found.figures["whole_share"] == 5 / 20
    assert "whole_share" in names(found)


def test_end_of_a_recording_is_no_gap() -> None:
    end = (START_NS + 30 * S, 0, 0, 0, BROKEN | END)
    found = examine(events_of(rows(end, last=30)))
    assert (found.verdict, found.figures["gaps"]) == ("good", 0)


def test_crossed_book_is_seen_at_the_end_of_a_message_alone() -> None:
    at = START_NS + S // 2
    within: list[Row] = [(at, 0, 1003, 5, LEVEL), (at, 0, 1003, 0, LEVEL | END)]
    assert examine(events_of(rows(*within))).figures["crossed"] == 0
    found = examine(events_of(rows((at, 0, 1003, 5, LEVEL | END))))
    assert (found.verdict, found.figures["crossed"]) == ("broken", 20)


def test_silence_beyond_the_limit_is_told_with_its_length() -> None:
    at = START_NS
    events = events_of(rows((at + 50 * S, at + 50 * S - 7, 900, 9, LEVEL | END)))
    found = examine(events)
    assert (found.figures["silences"], found.figures["silence_ns_max"]) == (1, 31 * S)
    assert (found.verdict, names(found)) == ("doubtful", {"silences"})
    assert examine(events, limits=Limits(silence_ns=32 * S)).verdict == "good"


def shifted(events: Events, start: int, stop: int, by_ns: int) -> Events:
    venue = events.venue_ns.copy()
    venue[start:stop] += by_ns
    return replace(events, venue_ns=venue)


def test_jump_of_a_clock_is_told_in_its_direction() -> None:
    events = events_of(rows())
    ahead = examine(shifted(events, 10, 99, 5 * S))
    assert (ahead.figures["clock_jumps_up"], ahead.figures["clock_jumps_down"]) == (0, 1)
    assert (ahead.figures["clock_jump_ns_max"], ahead.figures["venue_time_falls"]) == (5 * S, 0)
    behind = examine(shifted(events, 10, 12, -5 * S))
    assert (behind.figures["clock_jumps_up"], behind.figures["clock_jumps_down"]) == (1, 1)
    assert (behind.figures["venue_time_falls"], behind.figures["venue_time_fall_ns_max"]) == (
        1, 4 * S,
    )  # fmt: skip
    assert names(behind) == {"clock_jumps", "venue_time_falls"}
    assert examine(shifted(events, 10, 12, -5 * S), limits=Limits(jump_ns=6 * S)).verdict == "good"


def test_trades_are_held_against_the_book_before_them() -> None:
    at = START_NS + S // 2
    found = examine(
        events_of(
            rows(
                (at, 0, 1002, 1, TRADE | END),
                (at + 1, 0, 1003, 1, TRADE | END),
                (at + 2, 0, 989, 1, TRADE | ASK | END),
                (at + 3, 0, 500, 1, TRADE | ASK | FILTERED | END),
            )
        )
    )
    figures = found.figures
    assert (figures["trades"], figures["trades_filtered"]) == (4, 1)
    assert (figures["trades_outside"], figures["trades_far"]) == (2, 1)
    assert figures["trade_outside_ticks_max"] == 11
    assert (found.verdict, names(found)) == ("doubtful", {"trades_far"})


def test_message_told_twice_is_seen() -> None:
    at = START_NS + S // 2
    twice: list[Row] = [
        (at + turn, at, price, 3, LEVEL | end)
        for turn in (0, 1)
        for price, end in ((995, 0), (994, END))
    ]
    found = examine(events_of(rows(*twice)))
    assert (found.figures["repeated_messages"], names(found)) == (1, {"repeated_messages"})
    other = [*twice[:3], (at + 1, at, 994, 4, LEVEL | END)]
    assert examine(events_of(rows(*other))).figures["repeated_messages"] == 0


@pytest.mark.parametrize(
    ("notes", "verdict"),
    [
        ({"off_tick": 2}, "broken"),
        ({"checksums_failed": 1}, "broken"),
        ({"parse_errors": 1}, "broken"),
        ({"recv_moved": 3, "recv_moved_ns_max": 5}, "doubtful"),
        ({"trade_gaps": 1}, "doubtful"),
        ({"updates_ahead_of_snapshot": 1}, "doubtful"),
        ({"trades_rounded": 1}, "doubtful"),
        ({"trades_of_before": 50, "levels_rounded": 3}, "good"),
    ],
)
def test_what_the_conversion_met_counts(notes: Mapping[str, int], verdict: str) -> None:
    found = examine(events_of(rows()), notes)
    assert found.verdict == verdict
    assert found.figures["notes"] == notes
    assert found.figures["off_tick"] == notes.get("off_tick", 0)


def test_few_events_or_none_are_no_fault_of_the_report() -> None:
    assert examine(events_of([])).figures["whole_share"] == 0.0
    one = examine(events_of(rows(last=0)[:1]))
    assert (one.figures["events"], one.figures["whole_share"]) == (1, 0.0)
    assert examine(events_of(rows(last=0)[:3])).figures["whole_share"] == 1.0
    trades = examine(events_of([(START_NS, 0, 10, 1, TRADE | END)]))
    assert (names(trades), trades.figures["trades_outside"]) == ({"whole_share"}, 0)


def test_nothing_is_broken_and_a_book_that_is_never_whole_doubtful() -> None:
    nothing = examine(events_of([]))
    assert (nothing.verdict, names(nothing)) == ("broken", {"events"})
    # Without a snapshot no book is ever whole.
    never = examine(events_of([row for row in rows() if row[4] != CLEAR]))
    assert (never.figures["snapshots"], never.figures["whole_share"]) == (0, 0.0)
    assert (never.verdict, names(never)) == ("doubtful", {"whole_share"})


def test_events_that_no_book_takes_are_refused() -> None:
    events = events_of(rows())
    with pytest.raises(ValueError, match="no level of a book"):
        examine(replace(events, qty_lots=np.full(len(events), 1 << 60, np.int64)))


def test_a_book_without_trades_is_doubtful() -> None:
    events = events_of(rows())
    none = events.cut(0, 3)
    for part in (none, replace(events, flags=events.flags | np.uint16(FILTERED))):
        found = examine(part)
        assert (found.verdict, names(found)) == ("doubtful", {"trades_missing"})
        assert "no trades: orders would be filled by the book" in trades_told(part)
    at = START_NS
    for last, told in ((62, "no trades for 61 s of the book"), (60, "")):
        text = trades_told(events_of(rows(last=last)))
        assert text.startswith(told)
        assert bool(text) == bool(told)
    # Where it takes a while from one to the next, the end is no surprise.
    seldom: list[Row] = [(at + S * second, 0, 1002, 1, TRADE | END) for second in (20, 40, 60)]
    assert trades_told(events_of(rows(*seldom, last=150))) == ""
    assert trades_told(events_of(rows(*seldom, last=170))) != ""
    # Prints alone, or nothing, is no book.
    assert trades_told(events_of(seldom)) == trades_told(events.cut(0, 0)) == ""


def test_clocks_of_one_recorder_are_held_against_each_other() -> None:
    events = events_of(rows(last=3_000))
    other = replace(events, market=replace(MARKET, venue="coinbase"))
    early = replace(other, recv_ns=other.recv_ns - 25 * MS)
    text = clocks_told([events, early])
    assert "coinbase BTC/USD -25.0 ms, kraken BTC/USD 0.0 ms: receive times" in text
    # A recorder whose own clock is off moves both.
    assert clocks_told([replace(events, recv_ns=events.recv_ns - 25 * MS), early]) == ""
    assert clocks_told([events, replace(other, recv_ns=other.recv_ns - 19 * MS)]) == ""
    assert clocks_told([events, replace(early, venue_ns=np.zeros_like(early.venue_ns))]) == ""
    assert clocks_told([events]) == clocks_told([]) == ""
    # One time in a thousand that is wrong is no clock.
    odd = other.venue_ns.copy()
    odd[[50, 700]] += 5 * S
    assert clocks_told([events, replace(other, venue_ns=odd)]) == ""
