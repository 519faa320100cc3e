"""The rules of a group: what others show, and what each may hold of the limit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.board import Holdings
from openmm.risk.group import (
    Member,
    Others,
    Own,
    Rule,
    Share,
    lacking,
    off_target,
    others,
    room,
    wanted,
)

NOW = 10**18
AGE = 2 * 10**9


def member(
    index: int = 1, *, base: int = 100, value: int = 200, share: tuple[int, int] = (150, 50),
    decimals: int = 8, alive: bool = True, age_ns: int = 0,
) -> Member:  # fmt: skip
    told = Share(*share, value, 500_000, 500_000, 1)
    holdings = Holdings(NOW - age_ns, decimals, 2, base, 0, 0, 0, 0, told.spare())
    return Member(index, f"bot{index}", alive, holdings)


def test_share_is_read_as_it_was_told() -> None:
    told = Share(1, 2, 3, 4, 5, 6, 7)
    assert Share.read(Holdings(1, 8, 2, 0, 0, 0, 0, 0, told.spare())) == told
    with pytest.raises(ValueError, match="from 0 to"):
        Share(1 << 63, 0, 0, 0, 0, 0).spare()


def test_others_add_up_in_the_finest_unit() -> None:
    found = others([member(1), member(2, decimals=5, base=7, value=9, share=(8, 6))], NOW, AGE, 3)
    assert (found.decimals, found.base, found.value) == (8, 7_100, 9_200)
    assert (found.most, found.least, found.count) == (8_150, 6_050, 2)
    assert found.first_index == 1
    # Nobody there: our own lot's decimals.
    assert others([], NOW, AGE, 3) == Others(3)


def test_what_is_held_beyond_a_share_counts_as_held() -> None:
    found = others([member(base=200, share=(150, 180))], NOW, AGE, 8)
    assert (found.most, found.least) == (200, 180)


@pytest.mark.parametrize(
    ("one", "gone"),
    [
        (member(age_ns=AGE), False),
        (member(age_ns=AGE + 1), True),
        (member(alive=False), True),
        (Member(1, "bot1", True, None), False),
        (Member(1, "bot1", False, None), True),
    ],
)
def test_who_is_silent(one: Member, gone: bool) -> None:
    found = others([one], NOW, AGE, 8)
    assert found.silent == (("bot1",) if gone else ())
    # What it told last counts on.
    assert found.base == (0 if one.holdings is None else 100)


RULE = Rule(500_000, limit=100, claim=40)


def test_room_is_what_the_others_leave_of_the_limit() -> None:
    rest = others([member()], NOW, AGE, 8)
    own = Own(100, 200)
    # 400 in all, 200 wished: at most 300, of which the other may come to 150.
    assert room(own, rest, RULE) == (150, 50)
    assert off_target(own, rest, 500_000) == 0


def test_share_follows_what_is_held_lazily() -> None:
    own, rest = Own(100, 200), Others(8)
    assert wanted(own, rest, RULE, None) == (140, 60)
    assert wanted(Own(110, 200), rest, RULE, (140, 60)) == (140, 60 + 0)
    assert wanted(Own(121, 200), rest, RULE, (140, 60)) == (161, 81)
    assert wanted(Own(79, 200), rest, RULE, (140, 60)) == (119, 39)


def test_share_ends_at_the_room_and_at_what_is_held() -> None:
    rest = others([member(share=(240, 20))], NOW, AGE, 8)
    assert wanted(Own(90, 200), rest, Rule(500_000, 110, 100), None)[0] == 90
    assert wanted(Own(60, 200), rest, Rule(500_000, 110, 100), None)[0] == 70
    assert wanted(Own(90, 200), rest, Rule(500_000, 110, 100), None)[1] == 70


@pytest.mark.parametrize(
    ("base", "share"), [(150, (150, 130)), (100, (100, 80)), (60, (80, 60)), (80, (80, 80 - 0))]
)
def test_while_somebody_is_silent_no_share_adds_to_the_distance(
    base: int, share: tuple[int, int]
) -> None:
    # The other holds 100 of 200: own base + 100 against a target of half of 200 + own value.
    rest = others([member(alive=False)], NOW, AGE, 8)
    own = Own(base, 160)
    found = wanted(own, rest, Rule(500_000, 10_000, 20), None)
    away = off_target(own, rest, 500_000)
    assert away == base - 80
    assert found == (base + min(20, max(0, -away)), base - min(20, max(0, away)))
    assert found == share
    # Each for itself where the file says so.
    alone = wanted(own, rest, Rule(500_000, 10_000, 20, reduce=False), None)
    assert alone == (base + 20, base - 20)


def test_fewer_members_than_there_have_to_be_is_lacking() -> None:
    rest = others([member()], NOW, AGE, 8)
    assert not lacking(rest, Rule(500_000, 1, 1, members=2))
    assert lacking(rest, Rule(500_000, 1, 1, members=3))


@settings(max_examples=300)
@given(
    bases=st.lists(st.integers(0, 1000), min_size=2, max_size=5),
    limit=st.integers(1, 500), claim=st.integers(0, 400),
    steps=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 100), st.integers(0, 100)), max_size=30
    ),
)  # fmt: skip
def test_shares_taken_one_after_another_never_pass_the_limit(
    bases: list[int], limit: int, claim: int, steps: list[tuple[int, int, int]]
) -> None:
    """Whoever takes his share and fills as much of it as he may: the group stays within its limit,
    or within what it was off before."""
    held = list(bases)
    shares = [(base, base) for base in held]
    value = 2 * max(1, sum(bases))  # the group is at its target
    rule = Rule(500_000, limit, claim)
    for who, bought, sold in steps:
        at = who % len(held)
        rest = others(
            [
                member(i, base=held[i], value=value if i == 0 else 0, share=shares[i])
                for i in range(len(held)) if i != at
            ],
            NOW, AGE, 8,
        )  # fmt: skip
        own = Own(held[at], value if at == 0 else 0)
        shares[at] = wanted(own, rest, rule, shares[at])
        assert shares[at][1] <= held[at] <= shares[at][0]
        held[at] = max(shares[at][1], min(shares[at][0], held[at] + bought - sold))
        assert abs(sum(held) - value // 2) <= limit + 1
