"""Whether a venue has the capital to quote both sides: base to ask with, quote to bid with."""

from __future__ import annotations

from typing import final

from openmm._fast.pipeline import Pipeline
from openmm._fast.units import UTICKS_PER_TICK
from openmm.execution.requests import Alert
from openmm.instrument import Instrument

BIDS, ASKS = 1, 2
UTICKS = int(UTICKS_PER_TICK)


def starved_sides(pipeline: Pipeline) -> int:
    """Return the sides for which the least order cannot be paid: BIDS, ASKS or both, 0 for none.

    Nothing is told while balances or price are not known.
    """
    held, reference = pipeline.inventory, pipeline.reference.price_uticks
    quote = held.usable_quote_ticklots
    if held.base_lots is None or quote is None or reference is None:
        return 0
    limits = pipeline.checks.current_limits()
    least = limits["order_lots_min"] or 1
    sides = 0
    if (quote - (limits["quote_reserve_ticklots"] or 0)) * UTICKS < least * reference:
        sides |= BIDS
    if held.base_lots - (limits["base_reserve_lots"] or 0) < least:
        sides |= ASKS
    return sides


@final
class Capital:
    """Tell when a side has had no capital for some time, and when it has some again.

    Args:
        alert_after_ns: None: nothing is told.
    """

    def __init__(
        self, pipeline: Pipeline, instrument: Instrument, alert_after_ns: int | None
    ) -> None:
        self._pipeline = pipeline
        self._one = instrument
        self._after_ns = alert_after_ns
        self._since_ns: dict[int, int] = {}
        self._told: set[int] = set()

    def on_timer(self, now_ns: int) -> list[Alert]:
        """Look once; return what people are to be told."""
        if self._after_ns is None:
            return []
        sides = starved_sides(self._pipeline) if self._pipeline.quoting else 0
        found = []
        for side, word, asset in (
            (BIDS, "bids", self._one.quote), (ASKS, "asks", self._one.base),
        ):  # fmt: skip
            if not sides & side:
                self._since_ns.pop(side, None)
                if side in self._told:
                    self._told.remove(side)
                    found.append(Alert("info", f"{word} have {asset} again"))
                continue
            since_ns = self._since_ns.setdefault(side, now_ns)
            if side not in self._told and now_ns - since_ns >= self._after_ns:
                self._told.add(side)
                found.append(
                    Alert(
                        "warning",
                        f"no {asset} left for {word} on {self._one.venue} for "
                        f"{(now_ns - since_ns) // 1_000_000_000} s: `openmm inventory` shows what "
                        "to transfer",
                    )
                )
        return found
