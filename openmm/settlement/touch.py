"""Time at touch and uptime: how our live quotes stood to the market, by side and second.

A quote is at the touch when its price is no worse than the best price of everybody else. A side is
*deep* when the live quantity within a distance of the reference reaches a depth. What is known at
one record holds until the next one; an unknown market (book broken) counts as observed, and
neither at the touch nor deep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Self

from openmm._fast.units import UTICKS_PER_TICK

SECOND_NS = 1_000_000_000
TICKS_MAX = 1 << 60  # prices beyond are the book's "no ask"
PPM = 1_000_000

Level = tuple[int, int]  # price in ticks, remaining lots


@dataclass(frozen=True, slots=True)
class Uptime:
    """What a side must show to be up: `depth` (base, 0: any) within a distance of the reference."""

    within_ppm: int = 5_000
    depth: Decimal = Decimal(0)

    @classmethod
    def of(cls, settlement: Mapping[str, Any]) -> Self:
        """Read it from a session's configuration; journals of before have none: the defaults."""
        usual = cls()
        return cls(
            int(settlement.get("uptime_within_ppm", usual.within_ppm)),
            Decimal(str(settlement.get("uptime_depth", usual.depth))),
        )


@dataclass(slots=True)
class TouchSecond:
    """Nanoseconds of one second, or of the part of it since the last store; its last state."""

    observed_ns: int = 0
    bid_quoted_ns: int = 0
    bid_touch_ns: int = 0
    ask_quoted_ns: int = 0
    ask_touch_ns: int = 0
    bid_deep_ns: int = 0
    ask_deep_ns: int = 0
    both_deep_ns: int = 0
    reference_uticks: int | None = None
    best_bid_ticks: int | None = None
    best_ask_ticks: int | None = None
    own_bid_ticks: int | None = None
    own_ask_ticks: int | None = None
    share_ppm: int | None = None
    target_ppm: int | None = None


@dataclass(slots=True)
class TouchState:
    """What holds from `since_ns` on; zero means unknown or none."""

    since_ns: int = 0
    best_bid_ticks: int = 0
    best_ask_ticks: int = 0
    own_bid_ticks: int = 0
    own_ask_ticks: int = 0
    reference_uticks: int | None = None
    share_ppm: int | None = None
    target_ppm: int | None = None
    own_bids: list[Level] = field(default_factory=list)
    own_asks: list[Level] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return what a restart needs."""
        return asdict(self)


class TouchTracker:
    """Turn changes of the market and of our quotes into nanoseconds per second."""

    def __init__(self, state: TouchState | None = None) -> None:
        self.state = state or TouchState()
        self.seconds: dict[int, TouchSecond] = {}  # not stored yet, by seconds since 1970
        self._within_ppm = 0
        self._depth_lots = 0
        self._bid_deep = self._ask_deep = False

    def measure(self, within_ppm: int, depth_lots: int) -> None:
        """Set what a deep side must show; less than a lot means any quantity."""
        self._within_ppm = within_ppm
        self._depth_lots = max(1, depth_lots)
        self._judge()

    def advance(self, ts_ns: int) -> None:
        """Let what is known hold until `ts_ns`; a moment in the past changes nothing."""
        state = self.state
        if not state.since_ns:
            state.since_ns = ts_ns
            return
        bid_quoted, ask_quoted = state.own_bid_ticks > 0, state.own_ask_ticks > 0
        bid_touch = bid_quoted and 0 < state.best_bid_ticks <= state.own_bid_ticks
        ask_touch = ask_quoted and 0 < state.own_ask_ticks <= state.best_ask_ticks
        while state.since_ns < ts_ns:
            number = state.since_ns // SECOND_NS
            span_ns = min(ts_ns, (number + 1) * SECOND_NS) - state.since_ns
            second = self.seconds.setdefault(number, TouchSecond())
            second.observed_ns += span_ns
            second.bid_quoted_ns += span_ns if bid_quoted else 0
            second.bid_touch_ns += span_ns if bid_touch else 0
            second.ask_quoted_ns += span_ns if ask_quoted else 0
            second.ask_touch_ns += span_ns if ask_touch else 0
            second.bid_deep_ns += span_ns if self._bid_deep else 0
            second.ask_deep_ns += span_ns if self._ask_deep else 0
            second.both_deep_ns += span_ns if self._bid_deep and self._ask_deep else 0
            self._note(second)
            state.since_ns += span_ns

    def market(self, ts_ns: int, best_bid_ticks: int, best_ask_ticks: int) -> None:
        """Take in the market's best prices; anything but a price means unknown."""
        self.advance(ts_ns)
        self.state.best_bid_ticks = _price(best_bid_ticks)
        self.state.best_ask_ticks = _price(best_ask_ticks)
        self._judge()

    def reference(self, reference_uticks: int) -> None:
        """Take in the reference; zero or less means none."""
        self.state.reference_uticks = reference_uticks if reference_uticks > 0 else None
        self._judge()

    def inventory(self, share_ppm: int, target_ppm: int) -> None:
        """Take in the base's share of the account's value and the wanted one; unknown: negative."""
        known = 0 <= share_ppm <= PPM and 0 <= target_ppm <= PPM
        self.state.share_ppm = share_ppm if known else None
        self.state.target_ppm = target_ppm if known else None

    def own(self, ts_ns: int, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Take in our live quotes."""
        self.advance(ts_ns)
        state = self.state
        state.own_bids, state.own_asks = list(bids), list(asks)
        state.own_bid_ticks = max((price for price, _ in bids), default=0)
        state.own_ask_ticks = min((price for price, _ in asks), default=0)
        self._judge()

    def _note(self, second: TouchSecond) -> None:
        state = self.state
        second.reference_uticks = state.reference_uticks
        second.best_bid_ticks = state.best_bid_ticks or None
        second.best_ask_ticks = state.best_ask_ticks or None
        second.own_bid_ticks = state.own_bid_ticks or None
        second.own_ask_ticks = state.own_ask_ticks or None
        second.share_ppm, second.target_ppm = state.share_ppm, state.target_ppm

    def _judge(self) -> None:
        """Tell which sides are deep from now on."""
        state, reference = self.state, self.state.reference_uticks
        self._bid_deep = self._ask_deep = False
        if reference is None or not state.best_bid_ticks or not state.best_ask_ticks:
            return
        reach = reference * self._within_ppm
        low, high = reference * PPM - reach, reference * PPM + reach
        scale = UTICKS_PER_TICK * PPM
        bid_lots = sum(lots for price, lots in state.own_bids if price * scale >= low)
        ask_lots = sum(lots for price, lots in state.own_asks if price * scale <= high)
        self._bid_deep = bid_lots >= self._depth_lots > 0
        self._ask_deep = ask_lots >= self._depth_lots > 0


def _price(ticks: int) -> int:
    return ticks if 0 < ticks < TICKS_MAX else 0
