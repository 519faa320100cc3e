"""What a strategy in Python answered: as it stands on the tape, and given again from it.

A record is the number of the call, a space, and the answer as JSON: `null`, or bids and asks. Calls
without a record were answered as the one before them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, final

import orjson

from openmm.errors import JournalError
from openmm.strategy.quotes import Quotes

if TYPE_CHECKING:
    from openmm.strategy.python import View

NOTHING: Final = b"null"


def encode(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> bytes:
    """Write down the levels that were taken of an answer."""
    return orjson.dumps((bids, asks))


@final
class RecalledQuoter:
    """Answer what the quoter of a recorded session did."""

    def __init__(self) -> None:
        self._answers: deque[bytes] = deque()
        self._quotes: Quotes | None = None
        self._call_count = 0

    def recall(self, answers: Iterable[bytes]) -> None:
        """Take the answers of the next input."""
        self._answers = deque(answers)

    def quote(self, view: View) -> Quotes | None:
        """Return the answer to the next call.

        Raises:
            JournalError: a record that is none.
        """
        del view
        self._call_count += 1
        if self._answers:
            count, quotes = _decode(self._answers[0])
            if count == self._call_count:
                self._answers.popleft()
                self._quotes = quotes
        return self._quotes


def _decode(record: bytes) -> tuple[int, Quotes | None]:
    count, _, answer = record.partition(b" ")
    try:
        told = orjson.loads(answer)
        if told is None:
            return int(count), None
        bids, asks = told
        return int(count), Quotes(
            [(one, qty) for one, qty in bids], [(one, qty) for one, qty in asks]
        )
    except (ValueError, TypeError) as error:
        raise JournalError(f"strategy record cannot be read: {error}") from error
