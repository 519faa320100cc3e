"""Order-flow imbalance: its signs, what resets it, equality with the oracle, and our own orders."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.book import BookBreak
from openmm._fast.orderflow import OrderFlow
from openmm._fast.signals import Want
from tests._fast.test_signals import ASK, BID, MS, PARAMS, PPM, SECOND, T0, Market, books, spans
from tests.oracles import orderflow as oracle

OFI_NS = 2 * SECOND
Quotes = tuple[int, int, int, int]  # bid, its quantity, ask, its quantity
STILL: Quotes = (1_000, 40, 1_002, 40)


class Flow(Market):
    """A market whose order-flow imbalance is followed, shown by its best quotes."""

    def __init__(self) -> None:
        super().__init__(wanted=Want.WANT_OFI, ofi_ns=OFI_NS)

    def quote(self, quotes: Quotes, now_ns: int) -> int:
        bid, bid_qty, ask, ask_qty = quotes
        self.show({bid: bid_qty, bid - 9: 7}, {ask: ask_qty, ask + 9: 7}, now_ns)
        return self.signals.ofi_ppm


@pytest.mark.parametrize(
    ("quotes", "gained"),
    [
        (STILL, 0),
        ((1_000, 50, 1_002, 40), 10),  # more to buy
        ((1_000, 30, 1_002, 40), -10),
        ((1_000, 40, 1_002, 50), -10),  # more to sell
        ((1_000, 40, 1_002, 30), 10),
        ((1_001, 6, 1_002, 40), 6),  # a better bid counts in full
        ((999, 6, 1_002, 40), -40),  # one gone with all it was
        ((1_000, 40, 1_001, 6), -6),
        ((1_000, 40, 1_003, 6), 40),
        ((1_001, 6, 1_003, 9), 46),
    ],
)
def test_event_counts_what_came_and_went_at_the_best(quotes: Quotes, gained: int) -> None:
    flow = Flow()
    flow.quote(STILL, T0)
    assert flow.quote(quotes, T0 + MS) == max(-PPM, min(PPM, gained * PPM // 40))


def test_it_halves_every_half_life() -> None:
    flow = Flow()
    flow.quote(STILL, T0)
    flow.quote((1_000, 60, 1_002, 40), T0)
    for i in (1, 2, 3):
        flow.signals.decay(T0 + i * OFI_NS)
        assert flow.signals.ofi_ppm == pytest.approx(PPM / 2 ** (i + 1), abs=1)


@pytest.mark.parametrize("gap", ["broken and told", "broken untold", "lost", "one-sided"])
def test_gap_resets_it_without_a_jump(gap: str) -> None:
    flow = Flow()
    flow.quote(STILL, T0)
    before = flow.quote((1_000, 50, 1_002, 40), T0 + MS)
    assert before == PPM // 4
    if gap == "one-sided":
        flow.show({}, {1_002: 40}, T0 + 2 * MS)
    elif gap == "lost":
        flow.signals.lose()
    else:
        flow.book.break_(BookBreak.BREAK_GAP)
        if gap == "broken and told":
            flow.signals.on_book(flow.book, T0 + 2 * MS)
    # Elsewhere and with other quantities; from here on it counts again.
    assert flow.quote((1_200, 900, 1_205, 1), T0 + 3 * MS) == before
    assert flow.quote((1_200, 910, 1_205, 1), T0 + 4 * MS) == before + PPM // 4


def test_nothing_is_followed_unless_wanted() -> None:
    flow = Market()
    for i in range(9):
        flow.show({1_000: 10 + i}, {1_002: 10}, T0 + i * SECOND)
    assert (flow.signals.ofi_ppm, flow.signals.micro_ppm, flow.signals.imbalance_ppm) == (0, 0, 0)
    assert flow.signals.state()["best_sum"] == 0


def test_switched_off_and_on_it_knows_nothing() -> None:
    flow = Flow()
    flow.quote(STILL, T0)
    assert flow.quote((1_000, 60, 1_002, 40), T0 + MS) > 0
    flow.signals.set_wanted(0)
    assert flow.quote((1_000, 90, 1_002, 40), T0 + 2 * MS) == 0
    flow.signals.set_wanted(Want.WANT_OFI)
    assert flow.quote((1_000, 400, 1_002, 40), T0 + 3 * MS) == 0
    # The first sample after that gives the usual quantity, without which nothing is told.
    assert flow.quote((1_000, 400, 1_002, 40), T0 + SECOND) == 0
    assert flow.quote((1_000, 422, 1_002, 40), T0 + SECOND + MS) == 100_000


def test_bad_half_life_is_refused() -> None:
    with pytest.raises(ValueError, match="half_life_ns"):
        OrderFlow(0)
    with pytest.raises(ValueError, match="ofi_ns"):
        Market(ofi_ns=0)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("book"), spans, books()),
            st.tuples(st.just("decay"), spans, st.none()),
            st.tuples(st.just("broken"), spans, st.none()),
        ),
        max_size=30,
    )
)
def test_equals_the_oracle(steps: list[tuple[str, int, Any]]) -> None:
    flow = Flow()
    plain = oracle.OrderFlow(OFI_NS, PARAMS["sample_ns"], PARAMS["depth_ns"])
    now = T0
    for kind, span, what in steps:
        now = max(0, now + span)
        if kind == "book":
            bids, asks = what
            flow.show(bids, asks, now)
            plain.on_book(bids, asks, now)
        elif kind == "broken":
            flow.book.break_(BookBreak.BREAK_GAP)
            flow.signals.on_book(flow.book, now)
            plain.on_book({}, {}, now, verified=False)
        else:
            flow.signals.decay(now)
            plain.decay(now)
        assert flow.signals.ofi_ppm == pytest.approx(plain.ofi, abs=1)
        assert -PPM <= flow.signals.ofi_ppm <= PPM


# ------------------------------------------------------------------------ our own orders

LAG = 400 * MS  # at most so late does the book, or the answer, follow a request


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[int, str, int]]:
    """Times at which an order is asked for, stands in the book, is known to; and back again."""
    at = draw(st.integers(0, 5_000)) * MS
    rows = []
    for word in ("place", "cancel"):
        rows.append((at, word))
        for what in ("shown", "known"):
            rows.append((at + draw(st.integers(1, LAG // MS)) * MS, f"{word} {what}"))
        at = max(row[0] for row in rows) + draw(st.integers(0, 3_000)) * MS
    return [(when, word, i) for i, (when, word) in enumerate(rows)]


own_orders = st.lists(
    st.tuples(st.sampled_from([BID, ASK]), st.integers(-2, 2), st.integers(1, 60), lives()),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(own_orders, st.integers(1, 80), st.integers(1, 80))
def test_placing_and_cancelling_our_own_moves_nothing(
    orders: list[Any], bid_qty: int, ask_qty: int
) -> None:
    """Whatever the order in which requests, the public book and the answers come."""
    flow = Flow()
    others = {BID: {1_000: bid_qty, 998: 50}, ASK: {1_005: ask_qty, 1_008: 50}}
    flow.show(others[BID], others[ASK], T0)
    acts = sorted(
        (when, i, word)
        for i, (_, _, _, life) in enumerate(orders)
        for when, word, _ in life
    )  # fmt: skip
    shown: set[int] = set()
    told: dict[int, int | None] = {}
    for when, i, word in acts:
        now = T0 + SECOND + when
        if word == "place":
            told[i] = None
        elif word == "place known":
            told[i] = T0 + SECOND + orders[i][3][0][0]
        elif word == "cancel":
            told[i] = None
        elif word == "cancel known":
            told.pop(i, None)
        elif word == "place shown":
            shown.add(i)
        else:
            shown.discard(i)
        both = {side: dict(levels) for side, levels in others.items()}
        price = {
            i: (1_000 + away if side == BID else 1_005 - away)
            for i, (side, away, _, _) in enumerate(orders)
        }
        for one in shown:
            side, _, qty, _ = orders[one]
            both[side][price[one]] = both[side].get(price[one], 0) + qty
        flow.signals.set_own(
            [(orders[one][0], price[one], orders[one][2], acted) for one, acted in told.items()]
        )
        flow.show(both[BID], both[ASK], now)
        assert flow.signals.ofi_ppm == 0, (when, i, word)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.tuples(books(), spans), min_size=1, max_size=20),
    st.integers(0, 12), st.integers(1, 60),
)  # fmt: skip
def test_an_order_that_rests_for_sure_changes_nothing(
    steps: list[tuple[Any, int]], away: int, qty: int
) -> None:
    """What others do beside an order of ours counts as if it were not there."""
    without, with_own = Flow(), Flow()
    now = T0
    price = 900 - away  # below every bid of others but the lowest
    with_own.signals.set_own([(BID, price, qty)])
    for (bids, asks), span in steps:
        now = max(0, now + span)
        without.show(bids, asks, now)
        with_own.show(bids | {price: bids.get(price, 0) + qty}, asks, now)
        assert with_own.signals.ofi_ppm == without.signals.ofi_ppm


@pytest.mark.parametrize("acted_ns", [None, T0, T0 - SECOND])
def test_joining_the_best_hides_nothing_of_what_others_add(acted_ns: int | None) -> None:
    flow = Flow()
    flow.quote(STILL, T0)
    flow.signals.set_own([(BID, 1_000, 5, acted_ns)])
    assert flow.quote((1_000, 45, 1_002, 40), T0 + MS) == 0
    assert flow.quote((1_000, 65, 1_002, 40), T0 + 2 * MS) == PPM // 2  # 20 are not ours


def test_what_may_be_ours_or_not_counts_once_it_is_known() -> None:
    """Five went while five of ours were being cancelled: whose, nobody can tell yet."""
    flow = Flow()
    flow.signals.set_own([(BID, 1_000, 5)])
    flow.quote((1_000, 45, 1_002, 40), T0)
    flow.signals.set_own([(BID, 1_000, 5, None)])
    assert flow.quote((1_000, 40, 1_002, 40), T0 + MS) == 0
    assert flow.quote((1_000, 30, 1_002, 40), T0 + 2 * MS) == -PPM // 4  # ten more were others'
