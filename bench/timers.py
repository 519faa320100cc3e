"""Time a decoder of ours and a plain reader in turn, for the benches of all venues."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from openmm._fast.book import Book, BookState
from openmm._fast.ports import Decoder

ROUND_NS = 20_000_000  # how long each is timed in a round
# A timer returns (nanoseconds, best bid, best ask) after the last frame.
Timer = Callable[[], tuple[int, float, float]]


def decoded(make: Callable[[], tuple[Decoder, Book]], frames: list[bytes]) -> Timer:
    """Time the decoder of ours that `make` gives: all frames in one compiled call."""

    def run() -> tuple[int, float, float]:
        decoder, book = make()
        start = time.thread_time_ns()
        touched = decoder.decode_many(frames)
        took = time.thread_time_ns() - start
        assert touched == len(frames)
        assert book.state is BookState.BOOK_VERIFIED
        assert book.best_bid_ticks is not None
        assert book.best_ask_ticks is not None
        return took, book.best_bid_ticks / 10, book.best_ask_ticks / 10

    return run


def as_long(timer: Callable[[], tuple[Any, ...]]) -> tuple[int, set[tuple[Any, ...]]]:
    """Time a candidate for `ROUND_NS`; return the median of its passes, and what they told.

    Candidates are timed for as long as each other: the quick ones would else be timed while they
    fetch frames and code from memory, out of which the slow ones before them drove both.

    Args:
        timer: one pass: its nanoseconds, then what it tells.
    """
    passes: list[int] = []
    told: set[tuple[Any, ...]] = set()
    while sum(passes) < ROUND_NS:
        took, *rest = timer()
        passes.append(took)
        told.add(tuple(rest))
    return round(statistics.median(passes)), told


def in_turn(
    timers: Mapping[str, Timer], rounds: int, what: str, *, apart: Collection[str] = ()
) -> dict[str, list[int]]:
    """Time each for as long as the others in every round, in turn.

    Args:
        apart: those that may end elsewhere, as one does that never cuts its book.

    Raises:
        AssertionError: the others end with different best prices.
    """
    times: dict[str, list[int]] = {name: [] for name in timers}
    for _ in range(rounds):
        ends: dict[str, tuple[object, ...]] = {}
        for name, timer in timers.items():
            took, told = as_long(timer)
            times[name].append(took)
            assert len(told) == 1, (what, name, told)
            ends[name] = told.pop()
        first, *others = (end for name, end in ends.items() if name not in apart)
        assert all(other == first for other in others), (what, ends)
    return times


def ratio(theirs: Sequence[int], ours: Sequence[int]) -> float:
    """Return the median of the rounds' ratios."""
    return statistics.median(one / us for one, us in zip(theirs, ours, strict=True))
