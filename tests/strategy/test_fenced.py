"""Behind the fence no compiled strategy, however bad, quotes what may not be quoted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.quotes import QuoteClamp, fence_ladder
from openmm.strategy.fenced import FencedStrategy
from openmm.testing import any_markets, faults, market_view
from openmm.testing.calls import ToldStrategy
from openmm.testing.strategies import Quoted
from tests._fast.test_quotes import MISSING, PAIR, VIEW

LOTS = 10_000_000
BIDS = [(9_990, LOTS), (9_985, LOTS)]
ASKS = [(10_010, LOTS)]


def test_good_ladder_passes_and_its_state_too() -> None:
    fenced = FencedStrategy(PAIR, ToldStrategy(BIDS, ASKS, one_sided=-1))
    quoting, ladder = fenced.quote(VIEW)
    assert quoting == 1
    assert (ladder["bids"], ladder["asks"]) == (BIDS, ASKS)
    assert fenced.take_failures() is None
    assert fenced.error_count == 0


@pytest.mark.parametrize(
    ("told", "kind", "text"),
    [
        (ToldStrategy(BIDS, ASKS, answer=2), "answer", "1 or 0, not 2"),
        (ToldStrategy(BIDS, ASKS, answer=-1), "answer", "1 or 0, not -1"),
        (ToldStrategy(BIDS, ASKS, bid_count=33), "count", "33 bids: from 0 to 32"),
        (ToldStrategy(BIDS, ASKS, ask_count=-1), "count", "-1 asks"),
        (ToldStrategy(BIDS, ASKS, ask_count=1 << 30), "count", "1073741824 asks"),
        (ToldStrategy([(0, LOTS)]), "bounds", "level 1 of the bids, 0 ticks 10000000 lots"),
        (ToldStrategy([(-5, LOTS)]), "bounds", "-5 ticks"),
        (ToldStrategy([], [(1 << 41, LOTS)]), "bounds", "level 1 of the asks"),
        (ToldStrategy([*BIDS, (9_000, 0)]), "bounds", "level 3 of the bids, 9000 ticks 0 lots"),
        (ToldStrategy([(9_990, -LOTS)]), "bounds", "-10000000 lots"),
        (ToldStrategy([], [(10_010, 1 << 60)]), "bounds", "lots"),
        (ToldStrategy(BIDS[::-1]), "order", "level 2 of the bids"),
        (ToldStrategy([], ASKS * 2), "order", "level 2 of the asks"),
        (ToldStrategy([(10_010, LOTS)], ASKS), "crossed", "crosses itself at 10010"),
    ],
    ids=lambda one: one if isinstance(one, str) else "ladder",
)
def test_bad_ladder_quotes_nothing_and_says_why(told: ToldStrategy, kind: str, text: str) -> None:
    fenced = FencedStrategy(PAIR, told)
    quoting, ladder = fenced.quote(VIEW)
    assert (quoting, ladder["bids"], ladder["asks"]) == (0, [], [])
    failed = fenced.take_failures()
    assert failed is not None
    assert (failed.count, failed.row, failed.kind) == (1, 1, kind)
    assert text in failed.text
    assert fenced.take_failures() is None


def test_failures_in_a_row_go_on_over_a_look_and_end_by_a_word() -> None:
    fenced = FencedStrategy(PAIR, ToldStrategy(BIDS, ASKS, answer=9))
    rows = []
    for _ in range(3):
        fenced.quote(VIEW)
        failed = fenced.take_failures()
        assert failed is not None
        rows.append(failed.row)
    fenced.forgive()
    fenced.quote(VIEW)
    failed = fenced.take_failures()
    assert failed is not None
    assert [*rows, failed.row] == [1, 2, 3, 1]


def test_strategy_that_wants_nothing_has_not_failed() -> None:
    fenced = FencedStrategy(PAIR, ToldStrategy([(-1, -1)], answer=0))
    assert fenced.quote(VIEW)[0] == 0
    assert fenced.error_count == 0


@pytest.mark.parametrize(
    "changes", [{"reference_uticks": MISSING}, {"warm": 0}, {"x_ppm": MISSING}], ids=str
)
def test_strategy_is_not_asked_while_it_must_not_quote(changes: dict[str, int]) -> None:
    told = ToldStrategy(BIDS, ASKS)
    assert FencedStrategy(PAIR, told).quote(VIEW | changes)[0] == 0
    assert told.call_count == 0


def test_strategy_that_spoils_its_view_spoils_a_copy() -> None:
    through = [(10_500, LOTS), (10_400, LOTS)]
    quoting, ladder = FencedStrategy(PAIR, ToldStrategy(through, spoils=True)).quote(VIEW)
    assert quoting == 1
    assert ladder["bids"] == [(10_099, LOTS), (10_098, LOTS)]
    assert ladder["clamps"] == QuoteClamp.CLAMP_POST_ONLY_BID


def test_capped_by_what_is_held_and_allowed() -> None:
    fenced = FencedStrategy(PAIR, ToldStrategy(BIDS, ASKS))
    _, ladder = fenced.quote(VIEW | {"quote_lots_max": LOTS + 1, "allow_ask": 0})
    assert (ladder["bids"], ladder["asks"]) == ([(9_990, LOTS)], [])


def test_anything_but_a_strategy_is_refused() -> None:
    for other in (None, object()):
        with pytest.raises(TypeError):
            FencedStrategy(PAIR, other)  # type: ignore[arg-type]


WILD = st.integers(-(1 << 62), 1 << 62)
NEAR = st.integers(9_800, 10_200)
LEVELS = st.lists(
    st.tuples(st.one_of(NEAR, WILD), st.one_of(st.integers(1, 10**9), WILD)), max_size=6
)


@settings(max_examples=300, deadline=None)
@given(LEVELS, LEVELS, st.sampled_from((1, 1, 1, 0, 7)), st.booleans(), st.booleans())
def test_whatever_it_answers_nothing_unsafe_is_quoted(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], answer: int, ordered: bool, cap: bool
) -> None:
    if ordered:
        bids = sorted({price: (price, qty) for price, qty in bids}.values(), reverse=True)
        asks = sorted({price: (price, qty) for price, qty in asks}.values())
    view = VIEW | ({"base_lots": 3 * LOTS, "quote_lots_max": 2 * LOTS} if cap else {})
    fenced = FencedStrategy(PAIR, ToldStrategy(bids, asks, answer=answer))
    quoting, ladder = fenced.quote(view)
    quoted = Quoted(ladder["bids"], ladder["asks"])
    assert not faults(quoted, market_view(**view), PAIR)
    assert quoting == bool(quoted.bids or quoted.asks)
    # A ladder that was let in is clamped by the very fence of every strategy.
    if answer == 1 and fenced.error_count == 0:
        assert (quoting, ladder) == fence_ladder(view, PAIR, bids, asks)
    else:
        assert quoting == 0


def test_in_any_market_nothing_unsafe_is_quoted() -> None:
    told = ToldStrategy(
        [(600_000 - n, 10_000) for n in range(32)], [(600_001 + n, 10_000) for n in range(32)]
    )
    quoted = 0
    for changes in any_markets(500):
        view = market_view(**changes)
        fenced = FencedStrategy(PAIR, told)
        quoting, ladder = fenced.quote(view)
        quoted += quoting
        assert not faults(Quoted(ladder["bids"], ladder["asks"]), view, PAIR)
        assert fenced.error_count == 0
    assert quoted > 100
