"""Sessions of browsers end by time, by number and by hand."""

from __future__ import annotations

from openmm.gateway.sessions import IDLE_S, LIFE_S, Sessions


def test_a_session_ends_without_use_and_with_age() -> None:
    sessions = Sessions()
    cookie = sessions.open("token", "alice", 0.0)
    assert sessions.token(cookie, IDLE_S) == "token"
    assert sessions.token(cookie, 2 * IDLE_S + 1) is None
    assert sessions.token(cookie, 0.0) is None
    cookie = sessions.open("token", "alice", 0.0)
    now_s = 0.0
    while now_s + IDLE_S <= LIFE_S:
        now_s += IDLE_S
        assert sessions.token(cookie, now_s) == "token"
    assert sessions.token(cookie, LIFE_S + 1) is None


def test_asking_whether_a_session_lasts_does_not_prolong_it() -> None:
    sessions = Sessions()
    cookie = sessions.open("token", "alice", 0.0)
    assert sessions.lasts(cookie, IDLE_S)
    assert not sessions.lasts(cookie, IDLE_S + 1)
    assert not sessions.lasts("another", 0.0)
    assert sessions.token(cookie, IDLE_S + 1) is None


def test_the_session_unused_longest_makes_room() -> None:
    sessions = Sessions(2)
    first, second = (sessions.open(name, name, 0.0) for name in "ab")
    assert sessions.token(first, 1.0) == "a"
    third = sessions.open("c", "c", 2.0)
    assert [sessions.token(one, 3.0) for one in (first, second, third)] == ["a", None, "c"]


def test_cookies_are_long_differ_and_are_not_kept() -> None:
    sessions = Sessions()
    cookies = {sessions.open("token", "alice", 0.0) for _ in range(50)}
    assert len(cookies) == 50
    assert min(len(one) for one in cookies) >= 43
    assert not any(one in str(vars(sessions)) for one in cookies)


def test_a_closed_session_opens_nothing() -> None:
    sessions = Sessions()
    cookie = sessions.open("token", "alice", 0.0)
    sessions.close(cookie)
    sessions.close(cookie)
    assert sessions.token(cookie, 0.0) is None
