"""The estimators once more, in plain Python floats with the same formulas (docs/strategy.md)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import exp, floor, log, sqrt

LN2 = log(2.0)
UTICKS = 1_000_000
PPM = 1_000_000
BUY, SELL = 1, 2


def halved(span_ns: int, half_life_ns: int) -> float:
    return exp(-LN2 * (span_ns / half_life_ns))


class Signals:
    """Estimates as floats, unrounded. Books are {price_ticks: qty_lots} a side, own taken off."""

    def __init__(
        self,
        *,
        sample_ns: int,
        vol_fast_ns: int,
        vol_slow_ns: int,
        flow_ns: int,
        depth_ns: int,
        depth_distance_ticks: int,
        jump_sigma_ppm: int,
        sigma_floor_uticks: int,
    ) -> None:
        self.sample_ns = sample_ns
        self.vol_ns = (vol_fast_ns, vol_slow_ns)
        self.flow_ns = flow_ns
        self.depth_ns = depth_ns
        self.distance = depth_distance_ticks
        self.jump_sigma = jump_sigma_ppm / PPM
        self.floor = float(sigma_floor_uticks)
        self.mid: float | None = None
        self.microprice: float | None = None
        self.spread_ticks = 0
        self.sigma = self.floor
        self.jump = False
        self.jumped_by = 0.0
        self.jumped_at = 0
        self.depth = 0
        self.samples = 0
        self._at = 0
        self._last = 0.0
        self._vars = [(0.0, 0.0), (0.0, 0.0)]
        self._means = (0.0, 0.0, 0.0)
        self.flow = 0.0
        self._flow_at = 0
        self._signed = self._total = self._slow = self._scale = 0.0

    @property
    def warm(self) -> bool:
        return self.samples >= 3

    @property
    def spread_mean(self) -> float:
        return self._means[0] / self._means[2]

    @property
    def depth_mean(self) -> float:
        return self._means[1] / self._means[2]

    @property
    def compression(self) -> float:
        return PPM * (1 - self.spread_ticks * UTICKS / self.spread_mean)

    def on_book(
        self, bids: Mapping[int, int], asks: Mapping[int, int], now_ns: int, verified: bool = True
    ) -> None:
        if not verified or not bids or not asks or max(bids) >= min(asks):
            self.mid = self.microprice = None
            return
        bid, ask = max(bids), min(asks)
        self.spread_ticks = ask - bid
        self.mid = (bid + ask) * UTICKS / 2
        # Rounded as the kernel tells it: returns are of what others can see.
        self.microprice = bid * UTICKS + floor(
            (ask - bid) * UTICKS * (bids[bid] / (bids[bid] + asks[ask])) + 0.5
        )
        if self.samples and now_ns - self._at < self.sample_ns:
            if now_ns < self._at:
                self._at, self._last = now_ns, self.microprice
            return
        span_ns = now_ns - self._at if self.samples else self.sample_ns
        if self.samples:
            self._sample_return(self.microprice - self._last, span_ns)
            if self.jump:
                self.jumped_by, self.jumped_at = abs(self.microprice - self._last), now_ns
        self.depth = min(
            sum(q for p, q in bids.items() if p >= bid - self.distance),
            sum(q for p, q in asks.items() if p <= ask + self.distance),
        )
        keep = halved(span_ns, self.depth_ns)
        news = (self.spread_ticks * UTICKS, self.depth, 1.0)
        spread, depth, weight = (
            old * keep + (1 - keep) * new for old, new in zip(self._means, news, strict=True)
        )
        self._means = (spread, depth, weight)
        self._at, self._last = now_ns, self.microprice
        self.samples += 1

    def _sample_return(self, move: float, span_ns: int) -> None:
        seconds = span_ns / 1e9
        self.jump = False
        if self.samples > 1:
            known = max(*(v / w for v, w in self._vars), self.floor**2)
            self.jump = abs(move) > self.jump_sigma * sqrt(known * seconds)
        for i, half_life_ns in enumerate(self.vol_ns):
            keep = halved(span_ns, half_life_ns)
            v, w = self._vars[i]
            self._vars[i] = (v * keep + (1 - keep) * move**2 / seconds, w * keep + (1 - keep))
        self.sigma = max(sqrt(max(v / w for v, w in self._vars)), self.floor)

    def on_trade(self, now_ns: int, taker_side: int, qty_lots: int) -> None:
        self._flow_to(now_ns)
        self._signed += qty_lots if taker_side == BUY else -qty_lots
        self._total += qty_lots
        self._slow += qty_lots
        self._scale = max(self._total, self._slow / 8)
        self.flow = PPM * self._signed / self._scale

    def decay(self, now_ns: int) -> None:
        if not self._scale or 0 <= now_ns - self._flow_at < self.flow_ns // 128 + 1:
            return
        self._flow_to(now_ns)
        self.flow = PPM * self._signed / self._scale

    def _flow_to(self, now_ns: int) -> None:
        span_ns, self._flow_at = now_ns - self._flow_at, now_ns
        if span_ns > 0:
            self._signed *= halved(span_ns, self.flow_ns)
            self._total *= halved(span_ns, self.flow_ns)
            self._slow *= halved(span_ns, 8 * self.flow_ns)


def fair_value(
    bids: Mapping[int, int],
    asks: Mapping[int, int],
    kind: str,
    *,
    levels: int,
    decay_uticks: int = 0,
    ticklots: int = 0,
) -> Fraction | float:
    """Return a fair value in uticks, of a book without us; exact but for the decay."""
    if kind == "micro":
        levels = 1
    side_bids = sorted(bids.items(), reverse=True)[:levels]
    side_asks = sorted(asks.items())[:levels]
    bid, ask = side_bids[0][0], side_asks[0][0]
    if kind == "vamp":
        return (_mean_price(side_bids, ticklots) + _mean_price(side_asks, ticklots)) * UTICKS / 2

    def weight(rows: list[tuple[int, int]]) -> float:
        best = rows[0][0]
        if not decay_uticks:
            return sum(qty for _, qty in rows)
        return sum(qty * exp(-abs(price - best) * UTICKS / decay_uticks) for price, qty in rows)

    one, other = weight(side_bids), weight(side_asks)
    return UTICKS * (bid * other + ask * one) / (one + other)


def _mean_price(rows: list[tuple[int, int]], ticklots: int) -> Fraction:
    """Return the mean price of taking an amount off a side, or all of it where it holds less."""
    left, cost, qty = Fraction(ticklots), Fraction(0), Fraction(0)
    for price, lots in rows:
        taken = min(Fraction(lots), left / price)
        cost, qty, left = cost + taken * price, qty + taken, left - taken * price
        if left <= 0:
            break
    return cost / qty
