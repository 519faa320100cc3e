"""What a strategy written in Python gives back, and the one method it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from openmm.strategy.python import View


class Quotes(Struct, frozen=True):
    """Levels wanted now, (price_ticks, qty_lots) each, best first and at distinct prices."""

    bids: Sequence[tuple[int, int]] = ()
    asks: Sequence[tuple[int, int]] = ()


class Quoter(Protocol):
    """A strategy in Python: a view of the market in, quotes out, None to quote nothing."""

    def quote(self, view: View) -> Quotes | None:
        """Return the whole ladder wanted now; what is not in it is cancelled."""
        ...
