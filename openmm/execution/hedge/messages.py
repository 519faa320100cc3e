"""What the hedge machine is told and what it wants done: frozen values, each with its moment.

Quantities are atoms of the base asset (the finer of both venues' lots divides into them), hedge
orders are in lots and ticks of the hedge venue, money is in tickatoms: hedge ticks times atoms.
Tags tell the events apart in a journal, and replaying them gives the same actions.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from openmm._fast.units import Side


class QuoteFilled(Struct, frozen=True, tag=True):
    """An execution of ours on the quoting venue; `fill_id` is unique there.

    `cost_tickatoms` is price times quantity and `fee_tickatoms` what was charged in quote, both in
    the hedge venue's quote currency; `fee_atoms` is what was charged in base.
    """

    now_ns: int
    fill_id: str
    side: Side
    qty_atoms: int
    cost_tickatoms: int
    fee_tickatoms: int = 0
    fee_atoms: int = 0


class QuotesStood(Struct, frozen=True, tag=True):
    """What may still fill on the quoting venue: open, pending and unknown orders in full."""

    now_ns: int
    bid_atoms: int
    ask_atoms: int


class HedgeAccepted(Struct, frozen=True, tag=True):
    """The hedge venue took an order: it lives, or lived."""

    now_ns: int
    seq: int


class HedgeRefused(Struct, frozen=True, tag=True):
    """The hedge venue refused an order; `code` is a `venues.faults.Code` or "duplicate_id"."""

    now_ns: int
    seq: int
    code: str


class HedgeUnanswered(Struct, frozen=True, tag=True):
    """A placement or cancel ended without an answer: the venue may have acted on it."""

    now_ns: int
    seq: int


class HedgeFilled(Struct, frozen=True, tag=True):
    """An execution on the hedge venue, from its stream, an answer or its trade history."""

    now_ns: int
    seq: int
    fill_id: str
    side: Side
    qty_lots: int
    cost_tickatoms: int
    fee_tickatoms: int = 0
    fee_atoms: int = 0


class HedgeEnded(Struct, frozen=True, tag=True):
    """The venue reports an order's end; `filled_lots` of it in all, None where it does not say."""

    now_ns: int
    seq: int
    filled_lots: int | None


class HedgeFound(Struct, frozen=True, tag=True):
    """A query's answer lists an order as open; what it shows may be older than the question."""

    now_ns: int
    seq: int
    filled_lots: int


class HedgeAbsent(Struct, frozen=True, tag=True):
    """A query's answer, asked for at `asked_ns`, knows no such order."""

    now_ns: int
    seq: int
    asked_ns: int


class CancelAnswered(Struct, frozen=True, tag=True):
    """The venue answered a cancel, whether it found the order or not: its end is told apart."""

    now_ns: int
    seq: int


class BookSeen(Struct, frozen=True, tag=True):
    """The hedge venue's book, (price_ticks, qty_lots) best first; not verified: no price at all."""

    now_ns: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]
    verified: bool = True


class VenueSeen(Struct, frozen=True, tag=True):
    """Whether the hedge venue takes orders and its private stream tells of them."""

    now_ns: int
    up: bool


class FundsSeen(Struct, frozen=True, tag=True):
    """What the hedge venue holds for us: base to sell, quote to buy with; None: not told."""

    now_ns: int
    base_atoms: int | None
    quote_tickatoms: int | None


class FeesTold(Struct, frozen=True, tag=True):
    """The hedge venue's taker fee changed."""

    now_ns: int
    taker_ppm: int


class TimePassed(Struct, frozen=True, tag=True):
    """The timer: whatever is due by now is done."""

    now_ns: int


class Killed(Struct, frozen=True, tag=True):
    """Stop for good: what is open is cancelled and its end proven, nothing more is placed."""

    now_ns: int


class Released(Struct, frozen=True, tag=True):
    """An operator looked: a kill, and a stop that only a person may end, are over."""

    now_ns: int


HedgeEvent = (
    QuoteFilled
    | QuotesStood
    | HedgeAccepted
    | HedgeRefused
    | HedgeUnanswered
    | HedgeFilled
    | HedgeEnded
    | HedgeFound
    | HedgeAbsent
    | CancelAnswered
    | BookSeen
    | VenueSeen
    | FundsSeen
    | FeesTold
    | TimePassed
    | Killed
    | Released
)


class Reason(Enum):
    """Why nothing may be quoted, or a side may not."""

    UNKNOWN = "unknown"
    VENUE_DOWN = "venue_down"  # the hedge venue takes no orders, or tells nothing of them
    BOOK = "book"  # its book is not verified, or too old
    RECOVERING = "recovering"  # healthy again, not for long enough
    ATTEMPTS = "attempts"  # too many hedges in a row came back unfilled
    REFUSED = "refused"  # the venue refuses our hedges for a reason that no retry mends
    OLD = "old"  # exposure has waited too long for its hedge
    DOUBT = "doubt"  # an order of unknown state for too long
    EVIDENCE = "evidence"  # the venue told something that cannot be; a person has to look
    KILLED = "killed"
    LIMIT = "limit"  # of one side: no room under `unhedged_atoms_max`


class PlaceHedge(Struct, frozen=True, tag=True):
    """Place a limit order that takes at once and does not rest; `seq` names it and no other."""

    seq: int
    side: Side
    price_ticks: int
    qty_lots: int
    deadline_ns: int  # the venue must refuse it after this moment


class CancelHedge(Struct, frozen=True, tag=True):
    """Cancel an order by its client id."""

    seq: int


class QueryHedge(Struct, frozen=True, tag=True):
    """Ask for an order's state and executions; answer with `HedgeFound, HedgeEnded, HedgeAbsent`
    after every `HedgeFilled` the venue lists of it."""

    seq: int


class StopQuoting(Struct, frozen=True, tag=True):
    """Cancel quotes and place none: of one side, or of both (None)."""

    side: Side | None
    reason: Reason


class ResumeQuoting(Struct, frozen=True, tag=True):
    """A stop is over: of one side, or the one of both (None); the other kind may still hold."""

    side: Side | None


class Incident(Struct, frozen=True, tag=True):
    """Tell people. `severity`: warning, critical."""

    severity: str
    code: str
    text: str


class Closed(Struct, frozen=True, tag=True):
    """After a kill: nothing of ours can trade any more at the hedge venue; what is unhedged."""

    unhedged_atoms: int


HedgeAction = (
    PlaceHedge | CancelHedge | QueryHedge | StopQuoting | ResumeQuoting | Incident | Closed
)
