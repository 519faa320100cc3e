"""What may be wrong with recorded market data, in figures: gaps, crossed books, clocks, silence.

The book is the one that the events themselves make, read at the end of each message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from openmm._fast.book import Book
from openmm._fast.changes import follow
from openmm.data.events import (
    BROKEN,
    CLEAR,
    FILTERED,
    LEVEL,
    MESSAGE_END,
    OUTSIDE_LEVELS,
    TRADE,
    Events,
    Int64s,
)

SECOND_NS: Final = 1_000_000_000
PPM: Final = 1_000_000
GOOD, DOUBTFUL, BAD = "good", "doubtful", "broken"
# Of a conversion's notes: what makes data broken, and what makes it doubtful.
NOTES_BAD: Final = (
    "gaps", "checksums_failed", "crossed", "off_tick", "bounds", "capacity", "parse_errors",
    "overflows",
)  # fmt: skip
NOTES_DOUBTFUL: Final = (
    "trade_gaps", "trades_repeated", "trades_rounded", "quotes_rounded", "trades_side_unknown",
    "updates_ahead_of_snapshot", "changed_since_export",
)  # fmt: skip
WHOLE_SHARE_MIN: Final = 0.95
# Trades that begin or end by so much later or earlier than the book are missing: unless such
# stretches without one are usual.
TRADES_SILENT_NS: Final = 60 * SECOND_NS
TRADES_SILENT_TIMES: Final = 5
CLOCKS_NS: Final = 20_000_000  # apart, from the venue to the recorder at the least
CLOCK_LOOKS: Final = 500_000  # at most, or twice that, spread over all events
SOONEST: Final = 1000  # one in so many may be a venue's time that is wrong


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """From where on something is told as a problem.

    Args:
        silence_ns: no event for longer.
        jump_ns: receive time less venue time moves by more between messages, or the venue's time
            falls by more.
        far_ppm: a trade's price is farther outside the best prices, in millionths of it.
    """

    silence_ns: int = 10 * SECOND_NS
    jump_ns: int = SECOND_NS
    far_ppm: int = 10_000


@final
@dataclass(frozen=True, slots=True)
class Found:
    """Figures by name, and the problems among them: (severity, name, text)."""

    figures: Mapping[str, Any]
    problems: Sequence[tuple[str, str, str]]

    @property
    def verdict(self) -> str:
        """Return `good`, `doubtful` or `broken`: the worst of the problems."""
        told = {one[0] for one in self.problems}
        return next((one for one in (BAD, DOUBTFUL) if one in told), GOOD)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        listed = [
            {"severity": one, "name": name, "text": text} for one, name, text in self.problems
        ]
        return {"verdict": self.verdict, **self.figures, "problems": listed}


def examine(
    events: Events, notes: Mapping[str, int] | None = None, limits: Limits | None = None
) -> Found:
    """Look through a market's events.

    Args:
        notes: what their conversion counted.

    Raises:
        ValueError: an event that no book takes.
    """
    limits = limits or Limits()
    notes = notes or {}
    bids = np.zeros(len(events), np.int64)
    asks = np.zeros(len(events), np.int64)
    book = Book(outside_levels=OUTSIDE_LEVELS)
    follow(
        book, events.price_ticks.data, events.qty_lots.data, events.flags.data, bids.data,
        asks.data,
    )  # fmt: skip
    whole = _whole(events)
    figures: dict[str, Any] = {
        "events": len(events),
        "messages": int(np.count_nonzero(events.flags & np.uint16(MESSAGE_END))),
        **_times(events, limits),
        **_book(events, bids, asks, whole),
        **_trades(events, bids, asks, whole, limits),
        "repeated_messages": _repeated(events),
        "recv_moved": notes.get("recv_moved", 0),
        "recv_moved_ns_max": notes.get("recv_moved_ns_max", 0),
        "off_tick": notes.get("off_tick", 0),
        "rounded": sum(count for name, count in notes.items() if name.endswith("_rounded")),
        "notes": dict(notes),
    }
    return Found(figures, list(_problems(figures, notes, limits)))


def _whole(events: Events) -> NDArray[np.bool_]:
    """Tell for each event whether the book is whole once its message is read."""
    kinds = events.kinds
    marks = np.where(kinds == CLEAR, 1, np.where(kinds == BROKEN, -1, 0))
    places = np.where(marks != 0, np.arange(len(marks)), -1)
    last = np.maximum.accumulate(places) if len(places) else places
    return (last >= 0) & (marks[last] > 0)


def _times(events: Events, limits: Limits) -> dict[str, Any]:
    times = events.recv_ns
    silent = np.diff(times)
    told = events.venue_ns > 0
    lag = (times - events.venue_ns)[told]
    moves = np.diff(lag)
    venue = events.venue_ns[told]
    falls = np.maximum.accumulate(venue) - venue if len(venue) else venue
    return {
        "span_ns": int(times[-1] - times[0]) if len(times) else 0,
        "silences": int(np.count_nonzero(silent > limits.silence_ns)),
        "silence_ns_max": int(silent.max(initial=0)),
        "clock_jumps_up": int(np.count_nonzero(moves > limits.jump_ns)),
        "clock_jumps_down": int(np.count_nonzero(moves < -limits.jump_ns)),
        "clock_jump_ns_max": int(np.abs(moves).max(initial=0)),
        "venue_time_falls": int(
            np.count_nonzero(np.diff(falls > limits.jump_ns, prepend=False)) + 1
        )
        // 2,
        "venue_time_fall_ns_max": int(falls.max(initial=0)),
        "lag_ns_min": int(lag.min()) if len(lag) else 0,
        "lag_ns_median": int(np.median(lag)) if len(lag) else 0,
        "lag_ns_max": int(lag.max()) if len(lag) else 0,
    }


def _book(events: Events, bids: Int64s, asks: Int64s, whole: NDArray[np.bool_]) -> dict[str, Any]:
    ends = (events.flags & np.uint16(MESSAGE_END)) != 0
    both = (bids > 0) & (asks > 0)
    times = events.recv_ns
    span = int(times[-1] - times[0]) if len(times) else 0
    # A book of which nothing is left is told whole by its events, and is none.
    held_at = whole & ((bids > 0) | (asks > 0))
    held = int(np.diff(times)[held_at[:-1]].sum()) if len(times) else 0
    levels = events.kinds == LEVEL
    # What nothing follows on is the end of the recording: the connection was closed.
    gaps = np.count_nonzero(events.kinds[:-1] == BROKEN)
    return {
        "gaps": int(gaps),
        "snapshots": int(np.count_nonzero(events.kinds == CLEAR)),
        "crossed": int(np.count_nonzero(ends & whole & both & (bids >= asks))),
        "one_sided": int(np.count_nonzero(ends & whole & ~both & levels)),
        "whole_share": round(held / span, 6) if span else float(bool(len(times) and held_at[-1])),
    }


def _trades(
    events: Events, bids: Int64s, asks: Int64s, whole: NDArray[np.bool_], limits: Limits
) -> dict[str, Any]:
    """Compare trades with the best prices that were there before their message."""
    trades = events.kinds == TRADE
    market = trades & ((events.flags & np.uint16(FILTERED)) == 0)
    seen = np.flatnonzero(market & whole & (bids > 0) & (asks > 0))
    prices, low, high = events.price_ticks[seen], bids[seen], asks[seen]
    outside = np.maximum(low - prices, prices - high)
    far = outside > (prices // PPM) * limits.far_ppm + (prices % PPM) * limits.far_ppm // PPM
    return {
        "trades": int(np.count_nonzero(market)),
        "trades_filtered": int(np.count_nonzero(trades & ~market)),
        "trades_outside": int(np.count_nonzero(outside > 0)),
        "trades_far": int(np.count_nonzero(far)),
        "trade_outside_ticks_max": int(outside.max(initial=0)),
        "trades_missing_ns": _trades_missing(events, np.flatnonzero(market)),
    }


def _trades_missing(events: Events, trades: NDArray[np.intp]) -> int:
    """Return how long there is a book and no trade at its beginning or end, beyond what is usual.

    The whole span where there is none at all, 0 where none is missing.
    """
    told = np.flatnonzero((events.kinds == LEVEL) | (events.kinds == CLEAR))
    if not len(told):
        return 0
    first_ns, last_ns = int(events.recv_ns[told[0]]), int(events.recv_ns[told[-1]])
    if not len(trades):
        return last_ns - first_ns
    times = events.recv_ns[trades]
    usual_ns = int(np.diff(times).max(initial=0))
    longest_ns = max(int(times[0]) - first_ns, last_ns - int(times[-1]))
    limit_ns = max(TRADES_SILENT_NS, TRADES_SILENT_TIMES * usual_ns)
    return longest_ns if longest_ns > limit_ns else 0


def _missing_told(figures: Mapping[str, Any]) -> str:
    if not figures["trades"] and figures["snapshots"]:
        return "no trades: orders would be filled by the book crossing them alone"
    if missing_ns := figures["trades_missing_ns"]:
        return f"no trades for {missing_ns / SECOND_NS:,.0f} s of the book, at its begin or end"
    return ""


def trades_told(events: Events) -> str:
    """Say so where a book has no trades, or none at its begin or end: as the report does."""
    kinds = events.kinds
    trades = np.flatnonzero((kinds == TRADE) & ((events.flags & np.uint16(FILTERED)) == 0))
    return _missing_told(
        {
            "trades": len(trades), "snapshots": int(np.count_nonzero(kinds == CLEAR)),
            "trades_missing_ns": _trades_missing(events, trades),
        }
    )  # fmt: skip


def clocks_told(markets: Sequence[Events]) -> str:
    """Say so where markets of one recorder are not told equally soon after their venues' times.

    A recorder's clock that is off moves all of them alike. Nothing where they agree, or where one
    alone has its venue's times.
    """
    soonest = []
    for one in markets:
        every = max(1, len(one) // CLOCK_LOOKS)
        recv_ns, venue_ns = one.recv_ns[::every], one.venue_ns[::every]
        lags = (recv_ns - venue_ns)[venue_ns > 0]
        if len(lags):
            at = len(lags) // SOONEST
            soonest.append((int(np.partition(lags, at)[at]), one.market.label))
    soonest.sort()
    if len(soonest) < 2 or soonest[-1][0] - soonest[0][0] <= CLOCKS_NS:
        return ""
    told_ms = ", ".join(f"{label} {ns / 1e6:,.1f} ms" for ns, label in soonest)
    return (
        f"clocks: from the venue's time to receipt it took at the least {told_ms}: receive times "
        "that are early or late, a venue's clock that is off, or ways that are so much longer"
    )


def _repeated(events: Events) -> int:
    """Count book messages that say over again what the one before them said."""
    ends = np.flatnonzero(events.flags & np.uint16(MESSAGE_END))
    if len(ends) < 2:
        return 0
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = ends + 1 - starts
    n = int(ends[-1]) + 1
    back = np.repeat(sizes, sizes)
    at = np.arange(n)
    before = np.maximum(at - back, 0)
    same = (events.kinds[:n] == LEVEL) & (events.venue_ns[:n] > 0) & (at >= back)
    for column in (events.venue_ns, events.price_ticks, events.qty_lots, events.flags & 0x3F):
        same &= column[:n] == column[before]
    alike = np.logical_and.reduceat(same, starts)
    alike[1:] &= sizes[1:] == sizes[:-1]
    return int(np.count_nonzero(alike[1:]))


def _problems(
    figures: Mapping[str, Any], notes: Mapping[str, int], limits: Limits
) -> list[tuple[str, str, str]]:
    found = []

    def tell(severity: str, name: str, text: str) -> None:
        if figures.get(name, notes.get(name, 0)):
            found.append((severity, name, text))

    if not figures["events"]:
        found.append((BAD, "events", "no events: there is nothing in it"))
    tell(BAD, "gaps", f"continuity lost {figures['gaps']:,} times")
    tell(BAD, "crossed", f"the book crosses after {figures['crossed']:,} messages")
    for name in NOTES_BAD:
        if notes.get(name) and name not in ("gaps", "crossed"):
            found.append((BAD, name, f"{name.replace('_', ' ')}: {notes[name]:,}, when converted"))
    longest = figures["silence_ns_max"] / SECOND_NS
    tell(DOUBTFUL, "silences", f"silent {figures['silences']:,} times, up to {longest:.1f} s")
    jumps = figures["clock_jumps_up"] + figures["clock_jumps_down"]
    farthest = figures["clock_jump_ns_max"] / SECOND_NS
    if jumps:
        text = f"one of the clocks jumps {jumps:,} times, up to {farthest:.1f} s"
        found.append((DOUBTFUL, "clock_jumps", text))
    fall = figures["venue_time_fall_ns_max"] / SECOND_NS
    tell(
        DOUBTFUL, "venue_time_falls",
        f"the venue's time falls {figures['venue_time_falls']:,} times, up to {fall:.1f} s",
    )  # fmt: skip
    tell(
        DOUBTFUL, "recv_moved",
        f"{figures['recv_moved']:,} events were received before the one ahead of them, "
        f"up to {figures['recv_moved_ns_max'] / SECOND_NS:.3f} s",
    )  # fmt: skip
    tell(
        DOUBTFUL, "trades_far",
        f"{figures['trades_far']:,} trades more than {limits.far_ppm / 10_000:g}% off the book",
    )  # fmt: skip
    if text := _missing_told(figures):
        found.append((DOUBTFUL, "trades_missing", text))
    tell(DOUBTFUL, "repeated_messages", f"{figures['repeated_messages']:,} messages told twice")
    for name in NOTES_DOUBTFUL:
        if notes.get(name):
            text = f"{name.replace('_', ' ')}: {notes[name]:,}, when converted"
            found.append((DOUBTFUL, name, text))
    if figures["events"] and figures["whole_share"] < WHOLE_SHARE_MIN:
        share = 100 * figures["whole_share"]
        found.append((DOUBTFUL, "whole_share", f"the book is whole {share:.1f}% of the time"))
    return found
