"""Orders in doubt are asked for on a schedule that backs off, whatever keeps them in doubt."""

from __future__ import annotations

import itertools

from openmm.execution.doubt import FORGIVE_NS, QUERY_AFTER_NS, SECOND_NS, Doubts

TIMER_NS = SECOND_NS // 20


def queries(doubts: Doubts, until_ns: int, answered: bool) -> list[int]:
    """Run a timer; an answered doubt comes again at once. Returns when order 7 was asked for."""
    asked = []
    for now_ns in range(0, until_ns, TIMER_NS):
        if doubts.due(now_ns):
            asked.append(now_ns)
            if answered:
                doubts.settle(7)
        doubts.raise_(7, now_ns)
    return asked


def test_unanswered_order_is_asked_for_with_back_off_for_ever() -> None:
    doubts = Doubts()
    doubts.raise_(7, 0)
    asked = queries(doubts, 200 * SECOND_NS, answered=False)
    gaps = [b - a for a, b in itertools.pairwise(asked)]
    assert gaps[: len(QUERY_AFTER_NS) - 1] == list(QUERY_AFTER_NS[1:])
    assert set(gaps[len(QUERY_AFTER_NS) - 1 :]) == {QUERY_AFTER_NS[-1]}


def test_doubt_that_comes_again_after_every_answer_backs_off_too() -> None:
    doubts = Doubts()
    doubts.raise_(7, 0)
    asked = queries(doubts, 200 * SECOND_NS, answered=True)
    # Not once for every doubt, of which there were 4,000.
    assert len(asked) <= len(QUERY_AFTER_NS) + 200 * SECOND_NS // QUERY_AFTER_NS[-1]


def test_order_left_in_peace_starts_its_schedule_anew() -> None:
    doubts = Doubts()
    doubts.raise_(7, 0)
    for at in range(4):
        doubts.due(at * 10 * SECOND_NS)
    doubts.settle(7)
    later_ns = 30 * SECOND_NS + FORGIVE_NS + 1
    doubts.raise_(7, later_ns)
    assert doubts.due(later_ns) == (7,)


def test_wait_before_the_first_query_is_kept() -> None:
    doubts = Doubts()
    doubts.raise_(7, 0, SECOND_NS)
    assert doubts.due(SECOND_NS - 1) == ()
    assert doubts.due(SECOND_NS) == (7,)
    assert (doubts.absent(7), doubts.absent(7)) == (1, 2)
    doubts.forget(7)
    assert 7 not in doubts
