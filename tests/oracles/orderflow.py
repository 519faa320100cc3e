"""Order-flow imbalance once more, in plain Python: of a book without us (docs/strategy.md)."""

from __future__ import annotations

from collections.abc import Mapping

from tests.oracles.signals import PPM, halved

STEPS = 128


def event(before: tuple[int, int, int, int], now: tuple[int, int, int, int]) -> int:
    """Return e_n of Cont, Kukanov and Stoikov; quotes are bid, its quantity, ask, its quantity."""
    bid_was, bid_qty_was, ask_was, ask_qty_was = before
    bid, bid_qty, ask, ask_qty = now
    return (
        (bid_qty if bid >= bid_was else 0)
        - (bid_qty_was if bid <= bid_was else 0)
        - (ask_qty if ask <= ask_was else 0)
        + (ask_qty_was if ask >= ask_was else 0)
    )


class OrderFlow:
    """The imbalance as a float, unrounded but clipped."""

    def __init__(self, ofi_ns: int, sample_ns: int, depth_ns: int) -> None:
        self.ofi_ns, self.sample_ns, self.depth_ns = ofi_ns, sample_ns, depth_ns
        self._quotes: tuple[int, int, int, int] | None = None
        self._signed, self._at = 0.0, 0
        self._best = self._weight = 0.0
        self._sampled: int | None = None

    @property
    def ofi(self) -> float:
        if not self._weight:
            return 0.0
        return max(-1.0, min(1.0, self._signed / (self._best / self._weight))) * PPM

    def on_book(
        self, bids: Mapping[int, int], asks: Mapping[int, int], now_ns: int, verified: bool = True
    ) -> None:
        if not verified or not bids or not asks or max(bids) >= min(asks):
            self._quotes = None
            return
        bid, ask = max(bids), min(asks)
        quotes = (bid, bids[bid], ask, asks[ask])
        if self._quotes is not None and (moved := event(self._quotes, quotes)):
            self._decay(now_ns)
            self._signed += moved
        self._quotes = quotes
        if self._sampled is None or now_ns - self._sampled >= self.sample_ns:
            span_ns = self.sample_ns if self._sampled is None else now_ns - self._sampled
            keep = halved(span_ns, self.depth_ns)
            self._best = self._best * keep + (1 - keep) * (bids[bid] + asks[ask]) / 2
            self._weight = self._weight * keep + (1 - keep)
            self._sampled = now_ns
        elif now_ns < self._sampled:
            self._sampled = now_ns

    def decay(self, now_ns: int) -> None:
        if self._signed:
            self._decay(now_ns)

    def _decay(self, now_ns: int) -> None:
        span_ns = now_ns - self._at
        if 0 <= span_ns < self.ofi_ns // STEPS + 1:
            return
        self._at = now_ns
        if span_ns > 0:
            self._signed *= halved(span_ns, self.ofi_ns)
