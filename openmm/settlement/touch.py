"""Time at touch: how long our best quote stood at the market's best, by side and second.

A quote is at the touch when its price is no worse than the best price of everybody else. What is
known at one record holds until the next one; an unknown market (book broken) counts as observed
and not at the touch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

SECOND_NS = 1_000_000_000
TICKS_MAX = 1 << 60  # prices beyond are the book's "no ask"


@dataclass(slots=True)
class TouchSecond:
    """Nanoseconds of one second, or of the part of it since the last store."""

    observed_ns: int = 0
    bid_quoted_ns: int = 0
    bid_touch_ns: int = 0
    ask_quoted_ns: int = 0
    ask_touch_ns: int = 0
    reference_uticks: int | None = None


@dataclass(slots=True)
class TouchState:
    """What holds from `since_ns` on; zero means unknown or none."""

    since_ns: int = 0
    best_bid_ticks: int = 0
    best_ask_ticks: int = 0
    own_bid_ticks: int = 0
    own_ask_ticks: int = 0
    reference_uticks: int | None = None

    def as_dict(self) -> dict[str, int | None]:
        """Return what a restart needs."""
        return asdict(self)


class TouchTracker:
    """Turn changes of the market and of our quotes into nanoseconds per second."""

    def __init__(self, state: TouchState | None = None) -> None:
        self.state = state or TouchState()
        self.seconds: dict[int, TouchSecond] = {}  # not stored yet, by seconds since 1970

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
            second.reference_uticks = state.reference_uticks
            state.since_ns += span_ns

    def market(self, ts_ns: int, best_bid_ticks: int, best_ask_ticks: int) -> None:
        """Take in the market's best prices; anything but a price means unknown."""
        self.advance(ts_ns)
        self.state.best_bid_ticks = _price(best_bid_ticks)
        self.state.best_ask_ticks = _price(best_ask_ticks)

    def reference(self, reference_uticks: int) -> None:
        """Take in the reference; zero or less means none."""
        self.state.reference_uticks = reference_uticks if reference_uticks > 0 else None

    def own(self, ts_ns: int, own_bid_ticks: int, own_ask_ticks: int) -> None:
        """Take in our best live prices, zero for none."""
        self.advance(ts_ns)
        self.state.own_bid_ticks = own_bid_ticks
        self.state.own_ask_ticks = own_ask_ticks


def _price(ticks: int) -> int:
    return ticks if 0 < ticks < TICKS_MAX else 0
