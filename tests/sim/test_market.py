"""The synthetic market: seeded, endless, two-sided, clustered, with volatile spells."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from decimal import Decimal

import pytest

from openmm.errors import ConfigError
from openmm.sim.core import VenueCore
from openmm.sim.market import SyntheticMarket, market_options
from openmm.venues.counterpart import TradeRecord
from tests.sim.venue import ASK, BID, BTC, BUY, NS, SELL, T0

PRICE = Decimal(60_000)
SECONDS = 600


class Run:
    """Ten minutes of a market, sampled once a second."""

    def __init__(self, seed: int, seconds: int = SECONDS) -> None:
        self.core = VenueCore([BTC], 1)
        self.market = SyntheticMarket(BTC, seed, T0, market_options(PRICE, {}))
        self.core.drive(self.market)
        self.trades: list[TradeRecord] = []
        self.books: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]] = []
        self.fair: list[float] = []
        self.volatile: list[bool] = []
        self.core.listen(self)
        for second in range(1, seconds + 1):
            self.core.advance(T0 + second * NS)
            self.books.append(
                (self.core.depth("BTC/USD", BID, 25), self.core.depth("BTC/USD", ASK, 25))
            )
            self.fair.append(self.market.fair_price)
            self.volatile.append(self.market.volatile)

    def on_trades(self, trades: Sequence[TradeRecord]) -> None:
        self.trades += trades

    def on_order(self, *_: object) -> None:
        raise AssertionError("the market has no account")

    def on_ledger(self, *_: object) -> None:
        raise AssertionError("the market has no account")

    def on_book(self, instrument: str, ts_ns: int) -> None:
        bid, ask = self.core.depth(instrument, BID, 1), self.core.depth(instrument, ASK, 1)
        assert not bid or not ask or bid[0][0] < ask[0][0]

    def on_mode(self, *_: object) -> None:
        raise AssertionError("nobody changed the mode")

    def on_recorded(self, *_: object) -> None:
        raise AssertionError("nothing is recorded")


@pytest.fixture(scope="module")
def ten_minutes() -> Run:
    return Run(seed=1)


def test_the_same_seed_gives_the_same_market(ten_minutes: Run) -> None:
    again = Run(seed=1, seconds=60)
    assert again.books == ten_minutes.books[:60]
    assert again.trades == ten_minutes.trades[: len(again.trades)]
    assert Run(seed=2, seconds=60).books != again.books


def test_both_sides_always_have_depth_and_the_spread_is_tight(ten_minutes: Run) -> None:
    spreads = []
    for bids, asks in ten_minutes.books:
        assert min(len(bids), len(asks)) >= 20
        spreads.append((asks[0][0] - bids[0][0]) / bids[0][0] * 10_000)
    assert 0.1 < statistics.median(spreads) < 3
    assert max(spreads) < 15


def test_takers_come_from_both_sides_in_clusters(ten_minutes: Run) -> None:
    sides = [trade.taker_side for trade in ten_minutes.trades]
    assert min(sides.count(BUY), sides.count(SELL)) > 0.3 * len(sides)
    assert len(sides) > 600
    counts = [0] * SECONDS
    for trade in ten_minutes.trades:
        counts[min(SECONDS - 1, (trade.ts_ns - T0) // NS)] += 1
    # A Poisson stream has variance equal to its mean; clustering shows as much more.
    assert statistics.variance(counts) > 2 * statistics.mean(counts)


def test_volatile_spells_move_the_price_several_times_as_much(ten_minutes: Run) -> None:
    steps = [
        (abs(b - a), hot)
        for a, b, hot in zip(
            ten_minutes.fair, ten_minutes.fair[1:], ten_minutes.volatile[1:], strict=False
        )
    ]
    calm = statistics.mean(move for move, hot in steps if not hot)
    hot = statistics.mean(move for move, hot in steps if hot)
    assert not any(ten_minutes.volatile[:89])
    assert hot > 2 * calm


def test_the_book_follows_the_fair_value(ten_minutes: Run) -> None:
    for (bids, asks), fair in zip(ten_minutes.books, ten_minutes.fair, strict=True):
        mid = (bids[0][0] + asks[0][0]) / 20
        assert abs(mid - fair) / fair < 10e-4


def test_trading_against_the_market_does_not_change_its_fair_value() -> None:
    free, traded = VenueCore([BTC], 1), VenueCore([BTC], 1)
    markets = [SyntheticMarket(BTC, 4, T0, market_options(PRICE, {})) for _ in range(2)]
    free.drive(markets[0])
    traded.drive(markets[1])
    for second in range(1, 30):
        free.advance(T0 + second * NS)
        traded.advance(T0 + second * NS)
        traded.market_submit("BTC/USD", BUY, 10**9, 10**8, 2, T0 + second * NS)
    assert markets[0].fair_price == markets[1].fair_price


@pytest.mark.parametrize(
    ("overrides", "path"),
    [({"colour": 1.0}, "market.colour"), ({"excitation": 1.0}, "market.excitation")],
)
def test_bad_options_are_refused(overrides: dict[str, float], path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        market_options(PRICE, overrides)


def test_drift_moves_the_fair_value_beside_the_same_walk() -> None:
    prices = []
    for drift in (0.0, 12.0):
        core = VenueCore([BTC], 1)
        market = SyntheticMarket(BTC, 3, T0, market_options(PRICE, {"drift_bps_per_min": drift}))
        core.drive(market)
        core.advance(T0 + 30 * NS)
        prices.append(market.fair_price)
    assert math.log(prices[1] / prices[0]) * 10_000 == pytest.approx(6.0, rel=0.01)
