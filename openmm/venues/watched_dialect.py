"""What the simulators of venues that are only watched share: nobody trades there.

`Watched` is the part of a gateway that an account would hear of; the functions are those of
`counterpart.FaultWords` that are about orders, balances and numbered messages.
"""

from __future__ import annotations

from decimal import Decimal

from openmm.events import SystemMode
from openmm.venues.counterpart import Change, Core, FillRecord, LedgerRecord, OrderRecord

BID, ASK = 0, 1
LEVELS_MAX = 1 << 20
Levels = dict[int, int]
NUMBERED: tuple[str, ...] = ()  # no channel numbers its messages one by one


class Watched:
    """A listener of a core that hears of no account."""

    def expire_tokens(self) -> None:
        """Do nothing: no connection is authorised by anything."""

    def on_order(
        self, order: OrderRecord, change: Change, fill: FillRecord | None, ts_ns: int
    ) -> None:
        """Tell nobody: there are no accounts here."""

    def on_ledger(self, account: int, entry: LedgerRecord, ts_ns: int) -> None:
        """Tell nobody: there are no accounts here."""

    def on_mode(self, mode: SystemMode, ts_ns: int) -> None:
        """Tell nobody: the market stands still, which is all there is to see."""

    def on_recorded(self, instrument: str, channel: str, frame: bytes, ts_ns: int) -> None:
        """Take no recorded frame: every book is derived here."""


def whole_book(core: Core, instrument: str) -> tuple[Levels, Levels]:
    """Return every level of a book, bids then asks."""
    bids, asks = (dict(core.depth(instrument, side, LEVELS_MAX)) for side in (BID, ASK))
    return bids, asks


def changed_levels(old: Levels, new: Levels) -> Levels:
    """Return the levels that changed, with the quantity they have now: 0 for one that is gone."""
    gone = {price: 0 for price in old if price not in new}
    return gone | {price: qty for price, qty in new.items() if old.get(price) != qty}


def is_fill(frame: bytes) -> bool:
    """Tell that no message is of a fill."""
    return False


def number_of(frame: bytes) -> int:
    """Return no number."""
    return 0


def numbered(frame: bytes, sequence: int) -> bytes:
    """Return a message as it is."""
    return frame


def garbled(frame: bytes) -> bytes:
    """Cut a message in its middle."""
    return frame[: max(1, len(frame) // 2)]


def lying(frame: bytes, amount: Decimal) -> bytes:
    """Return a message as it is: none tells a balance."""
    return frame


def lying_reply(body: bytes, amount: Decimal) -> bytes:
    """Return a reply as it is: none tells a balance."""
    return body


def orders_named(core: Core, account: int, frame: bytes) -> list[OrderRecord]:
    """Find no order: none is placed here."""
    return []
