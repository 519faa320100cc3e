"""The estimators: what each tells, what moves none of them, and equality with the oracle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.book import Book, BookBreak
from openmm._fast.signals import Fair, Signals, Want
from openmm._fast.units import BookSide, Side
from tests.oracles import signals as oracle

BID, ASK = BookSide.BID, BookSide.ASK
BUY, SELL = Side.BUY, Side.SELL
MS = 1_000_000
SECOND = 1_000 * MS
UTICKS = 1_000_000
PPM = 1_000_000
T0 = 1_700_000_000 * SECOND

PARAMS = {
    "sample_ns": 250 * MS,
    "vol_fast_ns": 10 * SECOND,
    "vol_slow_ns": 120 * SECOND,
    "flow_ns": 10 * SECOND,
    "depth_ns": 60 * SECOND,
    "depth_distance_ticks": 5,
    "jump_sigma_ppm": 6 * PPM,
    "sigma_floor_uticks": 1_000,
}
Levels = Mapping[int, int]
BIDS, ASKS = {1_000: 10, 999: 30, 996: 50, 990: 500}, {1_002: 20, 1_004: 40, 1_009: 70}


class Market:
    """A book and its signals, fed with whole sides."""

    def __init__(self, **changes: int) -> None:
        self.book = Book(window_ticks=4_096)
        self.book.catch_up()
        self.signals = Signals(**(PARAMS | changes))

    def show(self, bids: Levels, asks: Levels, now_ns: int, own: tuple[int, int] = (0, 0)) -> None:
        self.book.catch_up()
        self.book.clear()
        for side, levels in ((BID, bids), (ASK, asks)):
            for price, qty in levels.items():
                self.book.apply(side, price, qty)
        if bids and asks and max(bids) < min(asks):
            self.book.verify(now_ns)
        self.signals.on_book(self.book, now_ns, *own)

    def at(self, mid_ticks: int, now_ns: int) -> None:
        """Show a balanced book around a price."""
        self.show({mid_ticks - 1: 10}, {mid_ticks + 1: 10}, now_ns)


def told(signals: Signals) -> dict[str, Any]:
    return {
        name: getattr(signals, name)
        for name in dir(signals)
        if not name.startswith("_") and not callable(getattr(signals, name))
    }


# ------------------------------------------------------------------------ prices


def test_microprice_leans_to_the_side_with_less_quantity() -> None:
    market = Market()
    market.show({1_000: 30}, {1_002: 10}, T0)
    assert market.signals.mid_uticks == 1_001 * UTICKS
    assert market.signals.microprice_uticks == 1_001_500_000
    assert market.signals.spread_ticks == 2


def test_best_level_that_is_only_ours_is_passed_over() -> None:
    market = Market()
    market.show(BIDS, ASKS, T0, own=(10, 0))
    assert market.signals.best_bid_ticks == 999
    assert market.signals.mid_uticks == 1_000_500_000
    assert market.signals.microprice_uticks == 999 * UTICKS + 3 * UTICKS * 30 // 50
    market.show(BIDS, ASKS, T0 + SECOND, own=(0, 20))
    assert market.signals.best_ask_ticks == 1_004


def test_deeper_own_levels_are_passed_over_too() -> None:
    market = Market()
    market.signals.set_own([(BID, 1_000, 10), (BID, 999, 30), (ASK, 1_004, 40)])
    market.show(BIDS, ASKS, T0, own=(10, 0))
    assert (market.signals.best_bid_ticks, market.signals.best_ask_ticks) == (996, 1_002)
    assert market.signals.depth_lots == 20  # 40 at 1,004 are ours


def test_side_with_nobody_but_us_has_no_price() -> None:
    market = Market()
    market.show({1_000: 10}, ASKS, T0)
    market.show({1_000: 10}, ASKS, T0 + SECOND, own=(10, 0))
    assert market.signals.mid_uticks is None
    assert market.signals.microprice_uticks is None
    assert market.signals.best_bid_ticks is None
    assert market.signals.sample_count == 1


@pytest.mark.parametrize("bad", ["empty bids", "empty asks", "broken", "catching up"])
def test_book_that_is_not_right_has_no_price_and_moves_nothing(bad: str) -> None:
    market = Market()
    for i in range(5):
        market.at(1_000 + i, T0 + i * SECOND)
    before = told(market.signals)
    if bad == "broken":
        market.book.break_(BookBreak.BREAK_GAP)
        market.signals.on_book(market.book, T0 + 9 * SECOND)
    elif bad == "catching up":
        market.book.catch_up()
        market.book.apply(BID, 999, 1)
        market.book.apply(ASK, 1_001, 1)
        market.signals.on_book(market.book, T0 + 9 * SECOND)
    else:
        sides = ({}, ASKS) if bad == "empty bids" else (BIDS, {})
        market.show(*sides, T0 + 9 * SECOND)
    assert market.signals.mid_uticks is None
    prices = {"mid_uticks", "microprice_uticks"}
    assert {k: v for k, v in told(market.signals).items() if k not in prices} == {
        k: v for k, v in before.items() if k not in prices
    }


# ------------------------------------------------------------------------ fair value

FAIR_OF = {"micro": Fair.FAIR_MICRO, "depth": Fair.FAIR_DEPTH, "vamp": Fair.FAIR_VAMP}


def test_fair_value_is_told_off_the_mid() -> None:
    market = Market(wanted=Want.WANT_MICRO)
    market.show({1_000: 30}, {1_002: 10}, T0)
    assert market.signals.fair_uticks == market.signals.microprice_uticks == 1_001_500_000
    assert market.signals.micro_ppm == 500  # half a tick of 1,001
    market.show({1_000: 10}, {1_002: 30}, T0 + MS)
    assert market.signals.micro_ppm == -500
    market.signals.lose()
    assert told(market.signals)["fair_uticks"] is None
    assert told(market.signals)["micro_ppm"] == 0


def test_depth_of_more_levels_outweighs_dust_at_the_best() -> None:
    bids, asks = {1_000: 1, 999: 90, 998: 9}, {1_002: 10, 1_003: 10, 1_004: 80}
    fair = {}
    for levels in (1, 2, 3):
        market = Market(wanted=Want.WANT_MICRO, fair=Fair.FAIR_DEPTH, fair_levels=levels)
        market.show(bids, asks, T0)
        fair[levels] = market.signals.fair_uticks
    assert fair[1] == 1_000 * UTICKS + round(2 * UTICKS / 11)
    assert fair[2] == 1_000 * UTICKS + round(2 * UTICKS * 91 / 111)
    assert fair[3] == 1_001 * UTICKS
    near = Market(
        wanted=Want.WANT_MICRO, fair=Fair.FAIR_DEPTH, fair_levels=3, fair_decay_uticks=UTICKS
    )
    near.show(bids, asks, T0)
    assert near.signals.fair_uticks not in fair.values()


def test_amount_that_costs_more_on_one_side_moves_the_fair_value() -> None:
    market = Market(
        wanted=Want.WANT_MICRO, fair=Fair.FAIR_VAMP, fair_levels=3, fair_ticklots=20_000
    )
    # 20 lots or so: the bids hold them at the best, the asks need a level ten ticks off for half.
    market.show({1_000: 100}, {1_002: 10, 1_012: 100}, T0)
    away = market.signals.fair_uticks
    assert away is not None
    assert 1_003 * UTICKS < away < 1_004 * UTICKS  # a mid of 1,001, and half of nearly 5


@pytest.mark.parametrize("fair", FAIR_OF)
def test_own_quantity_is_no_part_of_a_fair_value(fair: str) -> None:
    options = {"wanted": 1, "fair": FAIR_OF[fair], "fair_levels": 3, "fair_ticklots": 50_000}
    without, with_own = Market(**options), Market(**options)
    without.show({1_000: 10, 997: 30}, {1_002: 20, 1_003: 5}, T0)
    with_own.signals.set_own([(BID, 1_000, 4), (BID, 999, 7), (ASK, 1_003, 9)])
    with_own.show({1_000: 14, 999: 7, 997: 30}, {1_002: 20, 1_003: 14}, T0, own=(4, 0))
    assert with_own.signals.fair_uticks == without.signals.fair_uticks


@pytest.mark.parametrize(
    "changes",
    [{"fair": 3}, {"fair_levels": 0}, {"fair_levels": 11}, {"fair_decay_uticks": -1},
     {"fair_ticklots": 0}, {"wanted": 8}, {"wanted": -1}],
    ids=str,
)  # fmt: skip
def test_bad_fair_value_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must"):
        Market(**changes)


def test_imbalance_is_of_the_depths() -> None:
    market = Market(wanted=Want.WANT_IMBALANCE)
    market.show({1_000: 10, 996: 20, 994: 500}, {1_002: 5, 1_007: 5, 1_009: 70}, T0)
    assert market.signals.imbalance_ppm == 500_000  # 30 against 10 within 5 ticks
    market.show({1_000: 10}, {1_002: 30}, T0 + MS)
    assert market.signals.imbalance_ppm == 500_000  # as of the last sample
    market.show({1_000: 10}, {1_002: 30}, T0 + SECOND)
    assert market.signals.imbalance_ppm == -500_000


# ------------------------------------------------------------------------ volatility


def test_nothing_is_known_at_the_start() -> None:
    signals = Signals(**PARAMS)
    assert signals.mid_uticks is None
    assert signals.best_bid_ticks is None
    assert signals.best_ask_ticks is None
    assert not signals.warm
    assert signals.sigma_uticks == PARAMS["sigma_floor_uticks"]
    assert signals.flow_ppm == 0


def test_two_returns_make_it_warm() -> None:
    market = Market()
    for i, warm in enumerate((False, False, True)):
        market.at(1_000, T0 + i * SECOND)
        assert market.signals.warm is warm


def test_steady_moves_give_their_size_per_root_second() -> None:
    market = Market()
    for i in range(400):
        market.at(1_000 + 3 * (i % 2), T0 + i * SECOND)
    assert market.signals.sigma_uticks == 3 * UTICKS


@pytest.mark.parametrize("seconds", [1, 4, 9])
def test_volatility_counts_time_between_samples(seconds: int) -> None:
    market = Market()
    for i in range(10):
        market.at(1_000 + 6 * (i % 2), T0 + i * seconds * SECOND)
    assert market.signals.sigma_uticks == round(6 * UTICKS / math.sqrt(seconds))


def test_messages_between_samples_do_not_count() -> None:
    market = Market()
    market.at(1_000, T0)
    for i in range(1, 250):
        market.at(1_000 + i % 50, T0 + i * MS)
    assert market.signals.sample_count == 1
    market.at(1_000, T0 + 250 * MS)
    assert market.signals.sample_count == 2
    assert market.signals.sigma_uticks == PARAMS["sigma_floor_uticks"]


def test_volatility_widens_at_once_and_narrows_slowly() -> None:
    market = Market()
    for i in range(300):
        market.at(1_000 + i % 2, T0 + i * SECOND)
    calm = market.signals.sigma_uticks
    market.at(1_050, T0 + 300 * SECOND)
    rough = market.signals.sigma_uticks
    assert calm is not None
    assert rough is not None
    assert rough > 5 * calm
    for i in range(301, 320):
        market.at(1_050, T0 + i * SECOND)
        sigma = market.signals.sigma_uticks
        assert sigma is not None
        assert calm < sigma < rough
        rough = sigma


def test_jump_is_flagged_for_one_sample() -> None:
    market = Market()
    for i in range(100):
        market.at(1_000 + i % 2, T0 + i * SECOND)
    flags = [market.signals.jump]
    for i, bid_ticks in ((100, 1_020), (101, 1_021)):
        market.at(bid_ticks, T0 + i * SECOND)
        flags.append(market.signals.jump)
    assert flags == [False, True, False]
    assert market.signals.jumped_ns == T0 + 100 * SECOND
    assert market.signals.jump_uticks == 19 * UTICKS


def test_floor_holds() -> None:
    market = Market(sigma_floor_uticks=5 * UTICKS)
    for i in range(10):
        market.at(1_000 + i % 2, T0 + i * SECOND)
    assert market.signals.sigma_uticks == 5 * UTICKS


def test_time_that_goes_back_takes_no_return() -> None:
    market = Market()
    for i in range(10):
        market.at(1_000 + i % 2, T0 + i * SECOND)
    before = market.signals.sigma_uticks
    market.at(1_500, T0)
    assert (market.signals.sample_count, market.signals.sigma_uticks) == (10, before)
    market.at(1_501, T0 + SECOND)
    assert market.signals.sample_count == 11
    assert market.signals.sigma_uticks == UTICKS


# ------------------------------------------------------------------------ spread and depth


def test_spread_compression_has_its_sign() -> None:
    market = Market()
    for i in range(3):
        market.show({1_000: 1}, {1_004: 1}, T0 + i * SECOND)
    assert market.signals.spread_mean_uticks == 4 * UTICKS
    assert market.signals.spread_compression_ppm == 0
    market.show({1_000: 1}, {1_001: 1}, T0 + 2 * SECOND + MS)
    assert market.signals.spread_compression_ppm == 750_000
    market.show({1_000: 1}, {1_008: 1}, T0 + 2 * SECOND + 2 * MS)
    assert market.signals.spread_compression_ppm == -1_000_000


def test_depth_is_that_of_the_thinner_side_within_the_distance() -> None:
    market = Market()
    market.show(BIDS, ASKS, T0)
    assert market.signals.depth_lots == 60  # bids 10 + 30 + 50, asks 20 + 40
    assert market.signals.depth_mean_lots == 60


def test_distance_as_a_share_follows_the_price() -> None:
    # 0.35% reaches 3 ticks from 1,000 and 7 from 2,000; the ticks do not count beside it.
    market = Market(depth_distance_ppm=3_500)
    market.show(BIDS, ASKS, T0)
    assert market.signals.depth_lots == 40  # bids 10 + 30, asks 20 + 40
    bids, asks = ({price + 1_000: qty for price, qty in side.items()} for side in (BIDS, ASKS))
    market.show(bids, asks, T0 + SECOND)
    assert market.signals.depth_lots == 90  # bids 10 + 30 + 50, asks 20 + 40 + 70


def test_own_quantity_at_the_best_is_not_depth() -> None:
    market = Market()
    market.show(BIDS, ASKS, T0, own=(0, 15))
    assert market.signals.depth_lots == 45


# ------------------------------------------------------------------------ flow


def test_flow_tells_who_aggresses() -> None:
    signals = Signals(**PARAMS)
    signals.on_trade(T0, BUY, 1_000, 30)
    assert signals.flow_ppm == PPM
    signals.on_trade(T0, SELL, 1_000, 10)
    assert signals.flow_ppm == 500_000
    signals.on_trade(T0, SELL, 1_000, 20)
    assert signals.flow_ppm == 0


def test_flow_halves_every_half_life_without_trades() -> None:
    signals = Signals(**PARAMS)
    signals.on_trade(T0, SELL, 1_000, 30)
    for i in (1, 2, 3):
        signals.decay(T0 + i * 10 * SECOND)
        assert signals.flow_ppm == pytest.approx(-PPM / 2**i, abs=1)


def test_dust_after_silence_is_no_full_signal() -> None:
    signals = Signals(**PARAMS)
    for i in range(1_000):
        signals.on_trade(T0 + i * SECOND, (BUY, SELL)[i % 2], 1_000, 1_000)
    signals.on_trade(T0 + 1_060 * SECOND, BUY, 1_000, 1)
    assert abs(signals.flow_ppm) < 20_000


def test_time_that_goes_back_decays_no_flow() -> None:
    signals = Signals(**PARAMS)
    signals.on_trade(T0, BUY, 1_000, 30)
    signals.decay(T0 - SECOND)
    assert signals.flow_ppm == PPM
    signals.on_trade(T0 - 2 * SECOND, BUY, 1_000, 30)
    assert signals.flow_ppm == PPM


def test_flow_that_faded_for_ages_is_nothing() -> None:
    signals = Signals(**PARAMS)
    signals.on_trade(T0, BUY, 1_000, 30)
    signals.decay(T0 + 10**18)
    assert signals.flow_ppm == 0
    signals.on_trade(T0 + 2 * 10**18, SELL, 1_000, 30)
    assert signals.flow_ppm == -PPM


# ------------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    "changes",
    [
        {"sample_ns": 0},
        {"flow_ns": -1},
        {"vol_fast_ns": 121 * SECOND},
        {"depth_distance_ticks": -1},
        {"depth_distance_ppm": -1},
        {"depth_distance_ppm": PPM + 1},
        {"sigma_floor_uticks": -1},
        {"jump_sigma_ppm": 0},
    ],
    ids=str,
)
def test_bad_parameter_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must|below"):
        Signals(**(PARAMS | changes))


def test_bad_argument_is_refused() -> None:
    market = Market()
    with pytest.raises(ValueError, match="taker_side"):
        market.signals.on_trade(T0, 3, 1, 1)
    with pytest.raises(ValueError, match="qty_lots"):
        market.signals.on_trade(T0, BUY, 1, 0)
    with pytest.raises(ValueError, match="own quantity"):
        market.signals.on_book(market.book, T0, -1)
    for own in ([(2, 1_000, 1)], [(BID, 1_000, 0)], [(BID, 1_000, 1)] * 129):
        with pytest.raises(ValueError, match="not accepted"):
            market.signals.set_own(own)


# ------------------------------------------------------------------------ properties

quantities = st.one_of(st.integers(1, 100), st.integers(1, 1 << 40))
spans = st.one_of(
    st.integers(0, 2 * SECOND), st.sampled_from([0, 250 * MS]), st.integers(-SECOND, 10**15)
)


@st.composite
def books(draw: st.DrawFn) -> tuple[dict[int, int], dict[int, int]]:
    bid = draw(st.integers(900, 1_100))
    ask = bid + draw(st.integers(1, 6))
    near = st.integers(0, 9)
    bids = {bid - p: draw(quantities) for p in {0, *draw(st.lists(near, max_size=4))}}
    asks = {ask + p: draw(quantities) for p in {0, *draw(st.lists(near, max_size=4))}}
    return bids, asks


events = st.lists(
    st.one_of(
        st.tuples(st.just("book"), spans, books()),
        st.tuples(st.just("trade"), spans, st.tuples(st.sampled_from([BUY, SELL]), quantities)),
        st.tuples(st.just("decay"), spans, st.none()),
        st.tuples(st.just("broken"), spans, st.none()),
    ),
    max_size=30,
)


def same(one: float | None, other: float | None) -> None:
    assert (one is None) == (other is None)
    assert one == pytest.approx(other, abs=1) if one is not None else True


@settings(max_examples=150, deadline=None)
@given(
    books(), st.sampled_from(sorted(FAIR_OF)), st.integers(1, 10),
    st.one_of(st.just(0), st.integers(1, 20 * UTICKS)), st.integers(1, 1 << 40),
)  # fmt: skip
def test_fair_value_equals_the_oracle(
    book: tuple[dict[int, int], dict[int, int]], kind: str, levels: int, decay: int, ticklots: int
) -> None:
    bids, asks = book
    market = Market(
        wanted=Want.WANT_MICRO, fair=FAIR_OF[kind], fair_levels=levels, fair_decay_uticks=decay,
        fair_ticklots=ticklots,
    )  # fmt: skip
    market.show(bids, asks, T0)
    plain = oracle.fair_value(
        bids, asks, kind, levels=levels, decay_uticks=decay, ticklots=ticklots
    )
    mid = (max(bids) + min(asks)) * UTICKS / 2
    assert market.signals.fair_uticks == pytest.approx(float(plain), abs=2)
    assert market.signals.micro_ppm == pytest.approx(float(PPM * (plain - mid)) / mid, abs=1)


@settings(max_examples=100, deadline=None)
@given(books(), st.integers(1, 1 << 40), st.integers(1, 10))
def test_mirrored_book_has_the_mirrored_fair_value(
    book: tuple[dict[int, int], dict[int, int]], more: int, levels: int
) -> None:
    """Weighted values mirror; more to buy at the best never lowers one."""
    bids, asks = book
    # About a price at which one tick up is one tick down.
    centre = max(bids) + min(asks)
    for kind in (Fair.FAIR_MICRO, Fair.FAIR_DEPTH):
        market, mirror, heavier = (
            Market(wanted=Want.WANT_MICRO, fair=kind, fair_levels=levels) for _ in range(3)
        )
        market.show(bids, asks, T0)
        mirror.show(
            {centre - p: q for p, q in asks.items()}, {centre - p: q for p, q in bids.items()}, T0
        )
        heavier.show(bids | {max(bids): bids[max(bids)] + more}, asks, T0)
        assert mirror.signals.micro_ppm == -market.signals.micro_ppm
        assert heavier.signals.micro_ppm >= market.signals.micro_ppm


@settings(max_examples=150, deadline=None)
@given(events, st.sampled_from([0, 1_000, 10**7]))
def test_equals_the_oracle(steps: list[tuple[str, int, Any]], floor: int) -> None:
    market = Market(sigma_floor_uticks=floor)
    plain = oracle.Signals(**(PARAMS | {"sigma_floor_uticks": floor}))
    signals = market.signals
    now = T0
    for kind, span, what in steps:
        now = max(0, now + span)
        if kind == "book":
            bids, asks = what
            market.show(bids, asks, now)
            plain.on_book(bids, asks, now)
            assert signals.spread_ticks == plain.spread_ticks
            same(signals.spread_compression_ppm, plain.compression)
        elif kind == "broken":
            market.book.break_(BookBreak.BREAK_GAP)
            signals.on_book(market.book, now)
            plain.on_book({}, {}, now, verified=False)
        elif kind == "trade":
            side, qty = what
            signals.on_trade(now, side, 1_000, qty)
            plain.on_trade(now, side, qty)
        else:
            signals.decay(now)
            plain.decay(now)
        assert signals.mid_uticks == plain.mid
        assert signals.microprice_uticks == plain.microprice
        assert signals.warm == plain.warm
        assert signals.jump == plain.jump
        assert signals.jump_uticks == plain.jumped_by
        assert signals.jumped_ns == plain.jumped_at
        assert signals.depth_lots == plain.depth
        same(signals.sigma_uticks, plain.sigma)
        same(signals.flow_ppm, plain.flow)
        if plain.samples:
            same(signals.spread_mean_uticks, plain.spread_mean)
            same(signals.depth_mean_lots, plain.depth_mean)
        assert -PPM <= signals.flow_ppm <= PPM
        assert signals.sigma_uticks is not None
        assert signals.sigma_uticks >= floor


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(spans, st.sampled_from([BUY, SELL]), quantities), min_size=1, max_size=20),
    st.lists(st.integers(0, 60 * SECOND), max_size=20),
)
def test_flow_fades_without_trades(trades: list[tuple[int, int, int]], waits: list[int]) -> None:
    signals = Signals(**PARAMS)
    now = T0
    for span, side, qty in trades:
        now = max(0, now + span)
        signals.on_trade(now, side, 1_000, qty)
    last = signals.flow_ppm
    for wait in waits:
        now += wait
        signals.decay(now)
        assert abs(signals.flow_ppm) <= abs(last)
        assert signals.flow_ppm * last >= 0
        last = signals.flow_ppm


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            books(), spans,
            st.dictionaries(st.integers(0, 12), quantities, max_size=5),
            st.dictionaries(st.integers(0, 12), quantities, max_size=5),
        ),
        min_size=1, max_size=12,
    )
)  # fmt: skip
def test_own_orders_change_nothing(steps: list[tuple[Any, int, Levels, Levels]]) -> None:
    without, with_own = Market(), Market()
    now = T0
    for (bids, asks), span, own_bids, own_asks in steps:
        now = max(0, now + span)
        without.show(bids, asks, now)
        # Ours may stand better than anybody's, short of crossing.
        top = max(min(asks) - 1, max(bids))
        ours = {
            BID: {top - 1 - p: q for p, q in own_bids.items()},
            ASK: {top + p: q for p, q in own_asks.items() if top + p > max(bids)},
        }
        ours[BID] = {p: q for p, q in ours[BID].items() if p < min(asks)}
        both = {
            side: {p: others.get(p, 0) + mine.get(p, 0) for p in others | mine}
            for side, others, mine in ((BID, bids, ours[BID]), (ASK, asks, ours[ASK]))
        }
        with_own.signals.set_own([(s, p, q) for s in ours for p, q in ours[s].items()])
        own_best = (
            ours[BID].get(max(both[BID]), 0),
            ours[ASK].get(min(both[ASK]), 0),
        )
        with_own.show(both[BID], both[ASK], now, own=own_best)
        assert told(with_own.signals) == told(without.signals)


def test_same_input_gives_the_same_bits_everywhere() -> None:
    """Pin what a generated market gives; another compiler or machine must give the same."""
    market = Market(sigma_floor_uticks=0)
    state, price, now = 12_345, 1_000, T0
    for i in range(5_000):
        state = (state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % (1 << 64)
        draw = state >> 33
        now += 1 + draw % (400 * MS)
        price += draw % 3 - 1
        qty = 1 + draw % 97
        if i % 4 == 0:
            market.signals.on_trade(now, BUY if draw & 64 else SELL, price, qty)
        else:
            market.show({price: qty, price - 2: 50}, {price + 1 + draw % 4: 60}, now)
    signals = market.signals
    assert (
        signals.sigma_uticks,
        signals.spread_mean_uticks,
        signals.depth_mean_lots,
        signals.flow_ppm,
        signals.sample_count,
    ) == (2_324_265, 2_588_698, 60, 40_317, 2_254)


# ------------------------------------------------------------------------ state


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["book", "buy", "sell", "decay"]),
        st.integers(0, 2 * SECOND),  # after the event before
        st.integers(-3, 3),  # price
        st.integers(1, 50),  # quantity
    ),
    max_size=30,
)


def play(market: Market, events: list[tuple[str, int, int, int]], now_ns: int) -> int:
    for kind, span_ns, move, qty in events:
        now_ns += span_ns
        if kind == "book":
            market.show({1_000 + move: qty}, {1_003 + move: 7}, now_ns)
        elif kind == "decay":
            market.signals.decay(now_ns)
        else:
            market.signals.on_trade(now_ns, BUY if kind == "buy" else SELL, 1_000, qty)
    return now_ns


@given(EVENTS, EVENTS)
def test_signals_go_on_from_a_state_as_if_nothing_had_been_between(
    before: list[tuple[str, int, int, int]], after: list[tuple[str, int, int, int]]
) -> None:
    one, other = Market(wanted=7), Market(wanted=7)
    # Three samples make it warm.
    start = [("book", 250 * MS, move, 10) for move in (0, 1, 0)]
    now_ns = play(one, start + before, T0)
    other.signals.restore(one.signals.state())
    assert other.signals.warm
    one.signals.lose()  # what the book was is no part of a state
    for market in (one, other):
        market.show({1_000: 10}, {1_003: 7}, now_ns + 1)
        play(market, after, now_ns + 1)
    assert told(one.signals) == told(other.signals)
    assert one.signals.state() == other.signals.state()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sampled_ns": None}, "sampled_ns"),
        ({"sampled_uticks": -1}, "sampled_uticks"),
        ({"var_fast": math.nan}, "var_fast"),
        ({"var_slow": math.inf}, "var_slow"),
        ({"mean_weight": 0.0}, "mean_weight"),
        ({"var_fast_weight": 1.5}, "var_fast_weight"),
        ({"flow_signed": 1e9}, "flow_signed"),
        ({"sample_count": 2}, "sample_count"),
        ({"sigma_uticks": 1 << 70}, "sigma_uticks"),
        ({"depth_sum": "much"}, "no state of signals"),
        ({"best_weight": 1.5}, "best_weight"),
        ({"ofi_signed": math.nan}, "ofi_signed"),
        ({"imbalance_ppm": 1_000_001}, "imbalance_ppm"),
    ],
)
def test_state_that_cannot_be_is_refused_and_changes_nothing(
    change: dict[str, Any], named: str
) -> None:
    market = Market()
    play(market, [("book", 250 * MS, move, 10) for move in (0, 1, 0)], T0)
    fresh = Signals(**PARAMS)
    untouched = fresh.state()
    with pytest.raises(ValueError, match=named):
        fresh.restore(market.signals.state() | change)
    assert not fresh.warm
    assert fresh.state() == untouched
    with pytest.raises(ValueError, match="no state of signals"):
        fresh.restore({})
    with pytest.raises(ValueError, match="samples of their own"):
        market.signals.restore(market.signals.state())
