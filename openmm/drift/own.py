"""A session's own orders and fills, as values, and what of its public market was theirs."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Final, TypeAlias, final

from msgspec import Struct

from openmm._fast.planner import ActionKind
from openmm._fast.units import BookSide, Side
from openmm.events import (
    BalanceUpdated,
    Event,
    OrderFilled,
    OrderUpdated,
    RequestAccepted,
    RequestRefused,
    Source,
)
from openmm.journal import ActionRecord

if TYPE_CHECKING:
    from openmm.drift.past import Past

PRINT_NS: Final = 2_000_000  # between an own fill and its print, by the venue's times
KINDS: Final = {
    "add": ActionKind.ACTION_PLACE, "amend": ActionKind.ACTION_AMEND,
    "cancel": ActionKind.ACTION_CANCEL,
}  # fmt: skip

Key: TypeAlias = tuple[object, ...]


class Ordered(Struct, frozen=True):
    """One order action: what was to be done, and when it was sent."""

    sent_ns: int
    action: ActionRecord


class Sent(Struct):
    """One order message. Times by the bot's clock, 0: not known.

    Args:
        batch: actions of everything that left with it, in their order.
        place: of the message among those that left with it.
        own: the actions that it carries itself.
        arrived_ns: when it reached the venue, and how that is known: `told` or half of the trip;
            `stamped`: in the answer itself.
        answered_ns: when the first word of the venue about it was received.
    """

    sent_ns: int
    batch: tuple[ActionRecord, ...]
    place: int
    own: tuple[ActionRecord, ...]
    venue_ns: int = 0
    answered_ns: int = 0
    arrived_ns: int = 0
    told: bool = False
    stamped: bool = False


class Got(Struct, frozen=True):
    """One execution of the session. `venue_ns`: by the venue's clock; `told_ns`: received."""

    seq: int
    side: int
    price_ticks: int
    qty_lots: int
    maker: bool
    venue_ns: int
    told_ns: int
    trade_id: int = 0


class Moved(Struct):
    """A request that the venue carried out, or an order's end that it told of by itself.

    Args:
        kind: of `ActionKind`.
        ts_ns: by the bot's clock.
        qty_lots: in all, what was filled included.
        sent: the request; None: there was none.
    """

    kind: int
    seq: int
    side: int
    price_ticks: int
    qty_lots: int
    ts_ns: int
    sent: Sent | None = None


class Stood(Struct, frozen=True):
    """From a moment on, an own order rests at a price with so much left; 0: it is gone."""

    ts_ns: int
    seq: int
    side: int
    price_ticks: int
    left_lots: int


def key_of(event: Event) -> Key | None:
    """Return what makes an event of a session the same one in another run; None: nothing does."""
    match event:
        case RequestAccepted() | RequestRefused() if event.kind in KINDS:
            return event.kind, event.req_id, event.index
        case RequestAccepted() | RequestRefused() if event.kind != "subscribe":
            return type(event).__name__, event.kind
        case OrderUpdated() if event.source is Source.STREAM:
            return (
                "order", event.client_id, event.status, event.price_ticks, event.qty_lots,
                event.filled_lots, event.amended,
            )  # fmt: skip
        case OrderFilled() if event.source is Source.STREAM:
            return "fill", event.client_id, event.price_ticks, event.qty_lots, event.filled_lots
        case BalanceUpdated() if event.change is not None:
            return "balance", event.asset, event.change
    return None


@final
class OwnOrders:
    """Tell what of a session's public market was its own, moment after moment.

    Where own orders stand in the public book, they are taken out of it, and prints of own fills are
    trades like any: somebody came for that much. Where they do not (`Past.apart`), such prints say
    nothing of the market, and are left out.
    """

    def __init__(self, past: Past) -> None:
        self._steps = () if past.apart else past.steps
        self._times = [one.ts_ns for one in self._steps]
        self._at = 0
        self._orders: dict[int, Stood] = {}
        self._prints: dict[tuple[int, int, int], deque[int]] = defaultdict(deque)
        for one in past.fills if past.apart else ():
            taker = Side.SELL if one.side == Side.BUY else Side.BUY
            key = (int(taker), one.price_ticks, one.qty_lots)
            self._prints[key].append(past.filled_ns(one))

    def resting(self, now_ns: int) -> list[tuple[int, int, int]]:
        """Return (book side, price, lots) at a moment; moments do not go back."""
        until = bisect_right(self._times, now_ns, self._at)
        for one in self._steps[self._at : until]:
            if one.left_lots:
                self._orders[one.seq] = one
            else:
                self._orders.pop(one.seq, None)
        self._at = until
        held: dict[tuple[int, int], int] = {}
        for one in self._orders.values():
            place = (int(BookSide.BID if one.side == Side.BUY else BookSide.ASK), one.price_ticks)
            held[place] = held.get(place, 0) + one.left_lots
        return [(*place, lots) for place, lots in held.items()]

    def printed(self, taker_side: int, price_ticks: int, lots: int, now_ns: int) -> bool:
        """Whether a trade is only the print of an own fill; each is one print."""
        times = self._prints.get((taker_side, price_ticks, lots))
        if not times or abs(times[0] - now_ns) > PRINT_NS:
            return False
        times.popleft()
        return True
