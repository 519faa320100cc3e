"""Orders in doubt: when to ask the venue what became of them, bounded however often it says no.

An order comes into doubt when a request went unanswered, or when the venue said something that
cannot be. It is asked for on a schedule that backs off and never ends. An answer ends the doubt but
not the back-off: an order that comes into doubt again soon goes on where its schedule stood, so
that a venue which refuses every cancel of an order it also lists as open is asked a bounded number
of times, not once for every refusal.
"""

from __future__ import annotations

from typing import final

from msgspec import Struct

SECOND_NS = 1_000_000_000
# How long to wait before the n-th query of an order that went unanswered; then the last, for ever.
QUERY_AFTER_NS = (0, SECOND_NS, 2 * SECOND_NS, 5 * SECOND_NS, 10 * SECOND_NS, 30 * SECOND_NS)
# An order left in peace for so long starts its schedule anew.
FORGIVE_NS = 60 * SECOND_NS


class _Doubt(Struct):
    absent: int = 0  # answers of the present doubt that did not list it
    tries: int = 0  # queries of this doubt and those shortly before it
    next_ns: int = 0
    asked_ns: int = 0
    open: bool = True


@final
class Doubts:
    """The orders in doubt, by sequence."""

    def __init__(self) -> None:
        self._doubts: dict[int, _Doubt] = {}

    def __contains__(self, seq: int) -> bool:
        """Whether an order is in doubt now."""
        one = self._doubts.get(seq)
        return one is not None and one.open

    def raise_(self, seq: int, now_ns: int, after_ns: int = 0) -> None:
        """Put an order in doubt: ask after `after_ns`, or later if it was asked for lately."""
        one = self._doubts.get(seq)
        if one is None or (not one.open and now_ns - one.asked_ns > FORGIVE_NS):
            self._doubts[seq] = _Doubt(next_ns=now_ns + after_ns)
        elif not one.open:
            wait_ns = QUERY_AFTER_NS[min(one.tries, len(QUERY_AFTER_NS) - 1)]
            one.open, one.absent = True, 0
            one.next_ns = max(now_ns + after_ns, one.asked_ns + wait_ns)

    def settle(self, seq: int) -> None:
        """End the doubt of an order: there is an answer."""
        one = self._doubts.get(seq)
        if one is not None:
            one.open = False

    def forget(self, seq: int) -> None:
        """Drop all that is known of an order: its slot is free."""
        self._doubts.pop(seq, None)

    def absent(self, seq: int) -> int:
        """Note that an answer did not list an order in doubt; returns how many did not so far."""
        one = self._doubts[seq]
        one.absent += 1
        return one.absent

    def due(self, now_ns: int) -> tuple[int, ...]:
        """Return the orders to ask for now, and set when to ask for them again."""
        due = tuple(seq for seq, one in self._doubts.items() if one.open and now_ns >= one.next_ns)
        for seq in due:
            one = self._doubts[seq]
            one.tries += 1
            one.asked_ns = now_ns
            one.next_ns = now_ns + QUERY_AFTER_NS[min(one.tries, len(QUERY_AFTER_NS) - 1)]
        return due
