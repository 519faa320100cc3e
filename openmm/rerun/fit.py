"""What a market's volatility and fill intensity were: read off a recording, as a bot would see it.

Counted is what `_fast.intensity` counts, each interval once and all alike: how far from the mid at
its start takers went. Beside the estimates over the whole recording (`likelihood`) stands what the
kernel itself comes to at its end with a bot's settings: that is what the bot would quote by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from openmm._fast.book import Book
from openmm._fast.intensity import Intensity
from openmm._fast.ports import TradeLog
from openmm._fast.signals import Signals
from openmm._fast.units import UTICKS_PER_TICK, Side
from openmm.config import BotConfig, intensity_params, signal_params
from openmm.config.values import PPM, format_ppm
from openmm.instrument import Instrument
from openmm.rerun.likelihood import (
    STRETCHES,
    Estimate,
    Exponential,
    exponential,
    jackknife,
)
from openmm.rerun.streams import Stream

NS: Final = 1_000_000_000
YEAR_S: Final = 365 * 86_400
TRADES_MAX: Final = 1 << 14  # of one message
NOBODY: Final = -1.0
# Of `_fast.intensity`: hits that a distance needs, and the nearest one; the last of those that as
# good as every trade reached counts, as the others tell nothing of the decay.
HITS_MIN: Final = 5
HITS_ALL_MIN: Final = 20
HEAD: Final = 0.98
POINTS_MIN: Final = 3


@dataclass(frozen=True, slots=True)
class Point:
    """A distance, in how many intervals of a side it was reached, and the rate that means."""

    distance: float  # share of the price
    hits: int
    rate: float  # a second
    low: float  # the rate less and plus its standard error
    high: float
    used: bool  # whether the fit looks at it


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a recording tells of volatility and intensity. Distances are shares of the price."""

    stream: str
    about: str
    pair: str
    seconds: float
    price: float
    trades: int
    intervals: int  # of both sides
    sample_s: float
    sigma: Estimate | None  # per root second; None: no two samples
    points: tuple[Point, ...]
    fit: Exponential | None  # None: too few trades, or no decay
    kernel_arrival: float  # a second; 0: not fitted
    kernel_decay: float
    state: dict[str, Any]  # of the kernel at the end
    instrument: Instrument

    def settings(self) -> dict[str, str]:
        """Return the keys of `[strategy]` that tell a model this intensity until it has its own."""
        if self.fit is None:
            return {}
        ppm = max(1, round(self.fit.decay.value * PPM))
        return {"fit_decay": format_ppm(ppm), "fit_arrival": f"{self.fit.arrival.value:.4g}"}

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        told = None
        if self.fit is not None:
            told = {
                "arrival": self.fit.arrival.to_json(), "decay": self.fit.decay.to_json(),
                "chi2": self.fit.chi2, "freedom": self.fit.freedom, "chance": self.fit.chance,
            }  # fmt: skip
        return {
            "stream": self.stream, "about": self.about, "pair": self.pair,
            "seconds": self.seconds, "price": self.price, "trades": self.trades,
            "intervals": self.intervals, "sample_s": self.sample_s,
            "sigma": None if self.sigma is None else self.sigma.to_json(), "fit": told,
            "kernel": {"arrival": self.kernel_arrival, "decay": self.kernel_decay},
            "settings": self.settings(),
            "points": [
                {
                    "distance": one.distance, "hits": one.hits, "rate": one.rate,
                    "low": one.low, "high": one.high, "used": one.used,
                }
                for one in self.points
            ],
        }  # fmt: skip


def fit(config: BotConfig, stream: Stream) -> Fitted:
    """Read a stream as the bot's engine would, and fit what is in it.

    Args:
        config: whose `[signal]` tells how samples are taken, and whose venue lists the pair.

    Raises:
        ConfigError: the stream's book never becomes whole.
    """
    instrument = stream.instrument(config.quoted.name, config.quoted.pair)
    _, mid_ticks = stream.opening(instrument)
    kernel = Intensity(**intensity_params(config.signal, mid_ticks))
    signals = Signals(**signal_params(config, mid_ticks))
    seen = read(
        stream, instrument, signals, kernel, config.signal.sample_ns, config.signal.fit_sample_ns
    )
    price = mid_ticks * UTICKS_PER_TICK
    sample_s = config.signal.fit_sample_ns / NS
    points = _points(kernel.distances_uticks, seen.reaches, sample_s, price)
    # On whole ticks: between two of them no trade can be, and a cell without any fits no law.
    ticks = {math.ceil(one.distance * price / UTICKS_PER_TICK - 1e-6) for one in points if one.used}
    used = [float(one * UTICKS_PER_TICK) for one in sorted(ticks)]
    found = None
    if len(used) >= POINTS_MIN:
        found = exponential(used, seen.reaches, sample_s)
    return Fitted(
        stream=stream.name, about=stream.about, pair=stream.pair, seconds=stream.seconds,
        price=float(instrument.price(mid_ticks)), trades=seen.trade_count,
        intervals=len(seen.reaches), sample_s=sample_s, sigma=_sigma(seen.returns, price),
        points=points, fit=None if found is None else _scaled(found, price),
        kernel_arrival=kernel.arrival_uhz / 1e6, kernel_decay=kernel.decay_uticks / price,
        state=kernel.state(), instrument=instrument,
    )  # fmt: skip


@final
class Seen:
    """What was counted: reaches of takers, both sides of an interval one after the other."""

    def __init__(self, sample_ns: int) -> None:
        self.reaches: list[float] = []  # uticks from the mid at the interval's start
        self.returns: list[tuple[float, float]] = []  # seconds, change of the microprice in uticks
        self.trade_count = 0
        self._sample_ns = sample_ns
        self._start_ns: int | None = None
        self._from = self._mid = 0
        self._reach = [NOBODY, NOBODY]

    def on_mid(self, now_ns: int, mid_uticks: int | None) -> None:
        """Take the mid after a message; an interval without one at its end is given up."""
        self._roll(now_ns)
        if mid_uticks is None:
            self._start_ns = None
            return
        self._mid = mid_uticks
        if self._start_ns is None:
            self._start_ns, self._from, self._reach = now_ns, mid_uticks, [NOBODY, NOBODY]

    def on_trade(self, now_ns: int, taker_side: int, price_ticks: int) -> None:
        """Count a trade of the market."""
        self.trade_count += 1
        self._roll(now_ns)
        if self._start_ns is None:
            return
        away = price_ticks * UTICKS_PER_TICK - self._from
        at = 0 if taker_side == Side.BUY else 1
        self._reach[at] = max(self._reach[at], float(-away if at else away))

    def _roll(self, now_ns: int) -> None:
        if self._start_ns is None:
            return
        count = (now_ns - self._start_ns) // self._sample_ns
        if count < 1:
            return
        self.reaches += [*self._reach, *[NOBODY] * (2 * (count - 1))]
        self._start_ns += count * self._sample_ns
        self._from, self._reach = self._mid, [NOBODY, NOBODY]


def read(
    stream: Stream,
    instrument: Instrument,
    signals: Signals,
    kernel: Intensity,
    sample_ns: int,
    fit_sample_ns: int,
) -> Seen:
    """Put a stream through book, signals and the kernel's fit; return what was counted beside."""
    book, log, seen = Book(), TradeLog(TRADES_MAX), Seen(fit_sample_ns)
    decoder = stream.market_decoder(instrument, book, depth=0, verify=True)
    decoder.set_sink(log)
    sampled_ns, sampled = 0, 0
    for record in stream.records:
        now_ns = record.recv_ns
        decoder.decode(record.data, now_ns)
        for _, _, price_ticks, _, _, side, snapshot in log.take():
            if not snapshot and side in (Side.BUY, Side.SELL):
                kernel.on_trade(now_ns, side, price_ticks)
                seen.on_trade(now_ns, side, price_ticks)
        signals.on_book(book, now_ns)  # of a book that is not whole: that there is none
        mid = signals.mid_uticks
        kernel.on_mid(now_ns, mid)
        seen.on_mid(now_ns, mid)
        fair = signals.microprice_uticks
        if fair is None:
            sampled_ns = 0
        elif not sampled_ns or now_ns - sampled_ns >= sample_ns:
            if sampled_ns:
                seen.returns.append(((now_ns - sampled_ns) / NS, float(fair - sampled)))
            sampled_ns, sampled = now_ns, fair
    return seen


def _points(
    distances: Sequence[int], reaches: Sequence[float], sample_s: float, price: int
) -> tuple[Point, ...]:
    """Return every distance that was reached, and whether the kernel's rule lets it count."""
    total = len(reaches)
    hits = [sum(one >= edge for one in reaches) for edge in distances]
    head = max((i for i, hit in enumerate(hits) if hit >= HEAD * hits[0]), default=0)
    found = []
    for i, (edge, hit) in enumerate(zip(distances, hits, strict=True)):
        if not 0 < hit < total:
            continue
        share = hit / total
        free = -math.log1p(-share)
        error = math.sqrt(share / ((1 - share) * total)) / free  # of the rate's logarithm
        used = hits[0] >= HITS_ALL_MIN and i >= head and hit >= HITS_MIN and share <= 0.99
        found.append(
            Point(
                edge / price, hit, free / sample_s, free / sample_s * math.exp(-error),
                free / sample_s * math.exp(error), used,
            )
        )  # fmt: skip
    return tuple(found)


def _sigma(returns: Sequence[tuple[float, float]], price: int) -> Estimate | None:
    """Return the volatility per root second: root of the squares' sum over the time's."""
    if len(returns) < 2:
        return None

    def of(sums: Sequence[float]) -> float:
        return math.sqrt(sums[0] / sums[1]) if sums[1] > 0.0 else 0.0

    size = -(-len(returns) // STRETCHES)
    stretches = [returns[at : at + size] for at in range(0, len(returns), size)]
    parts = [
        (sum(move * move for _, move in one), sum(seconds for seconds, _ in one))
        for one in stretches
    ]
    value = of([sum(column) for column in zip(*parts, strict=True)])
    error = value / math.sqrt(2 * len(returns))
    bursts = jackknife(parts, lambda left: (of(left),))
    if bursts is not None:
        error = max(error, bursts[0])
    return Estimate(value / price, error / price)


def _scaled(found: Exponential, price: int) -> Exponential:
    """Return a fit whose distances are shares of the price."""
    decay = Estimate(found.decay.value / price, found.decay.error / price)
    return Exponential(found.arrival, decay, found.chi2, found.freedom, found.chance)
