"""Requests a minute: the window slides, budgets are apart, nothing is counted twice."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm.control.limits import WINDOW_NS, Limits
from openmm.errors import ControlError

SECOND = 10**9


def allowed(limits: Limits, name: str, budget: str, most: int, now_ns: int) -> bool:
    try:
        limits.request(name, budget, most, now_ns)
    except ControlError as error:
        if error.code != "rate_limited" or not error.retryable:
            raise
        return False
    return True


@given(
    st.lists(st.integers(0, 20 * SECOND), min_size=1, max_size=60),
    st.integers(1, 8),
)
def test_no_minute_has_more_than_the_most(gaps: list[int], most: int) -> None:
    let_in: list[int] = []
    limits, now_ns = Limits(), SECOND
    for gap in gaps:
        now_ns += gap
        within = sum(1 for at in let_in if at > now_ns - WINDOW_NS)
        passed = allowed(limits, "ann", "", most, now_ns)
        assert passed is (within < most)
        if passed:
            let_in.append(now_ns)


def test_brakes_have_a_budget_of_their_own_and_so_has_each_client() -> None:
    limits = Limits()
    assert allowed(limits, "ann", "", 1, SECOND)
    assert not allowed(limits, "ann", "", 1, SECOND)
    assert allowed(limits, "ann", "brake", 1, SECOND)
    assert allowed(limits, "bob", "", 1, SECOND)


def test_clock_that_is_set_back_locks_nobody_out() -> None:
    limits = Limits()
    assert allowed(limits, "ann", "", 1, 10**18)
    assert allowed(limits, "ann", "", 1, SECOND)


def test_refusal_tells_when_to_come_back() -> None:
    limits = Limits()
    limits.request("ann", "", 1, 0)
    with pytest.raises(ControlError, match="next in 45 s") as caught:
        limits.request("ann", "", 1, 15 * SECOND)
    assert caught.value.hint.startswith("wait 45 s")


def test_threads_share_one_window() -> None:
    passed: list[bool] = []
    limits = Limits()

    def ask() -> None:
        passed.extend(allowed(limits, "ann", "", 50, SECOND) for _ in range(40))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 50
