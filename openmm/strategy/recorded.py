"""A strategy in Python under record: what it answers is on the tape, and comes back from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from operator import index
from typing import TYPE_CHECKING, Final, final

import orjson

from openmm._fast.tape import Record, Tape
from openmm.errors import JournalError
from openmm.strategy.quotes import Quoter, Quotes

if TYPE_CHECKING:
    from openmm.strategy.python import View

NOTHING: Final = b"null"


@final
class RecordedQuoter:
    """Ask a quoter and put its answer on the tape, ahead of what follows from it."""

    def __init__(self, quoter: Quoter, tape: Tape) -> None:
        self._quoter = quoter
        self._tape = tape

    def quote(self, view: View) -> Quotes | None:
        """Return what the quoter wants; its errors are its own, and quote nothing."""
        answer = NOTHING
        try:
            quotes = self._quoter.quote(view)
            answer = _encode(quotes)
            return quotes
        finally:
            self._tape.append(Record.REC_STRATEGY, 0, view.now_ns, answer)


@final
class RecalledQuoter:
    """Answer what the quoter of a recorded session did."""

    def __init__(self) -> None:
        self._answers: deque[bytes] = deque()
        self.missing_count = 0  # of answers that the session did not ask for

    def recall(self, answers: Iterable[bytes]) -> None:
        """Take the answers of the next input."""
        self._answers = deque(answers)

    def quote(self, view: View) -> Quotes | None:
        """Return the next answer."""
        del view
        if not self._answers:
            self.missing_count += 1
            return None
        try:
            told = orjson.loads(self._answers.popleft())
            if told is None:
                return None
            bids, asks = told
            return Quotes([(one, qty) for one, qty in bids], [(one, qty) for one, qty in asks])
        except (ValueError, TypeError) as error:
            raise JournalError(f"strategy record cannot be read: {error}") from error


def _encode(quotes: object) -> bytes:
    """Write quotes down; what the adapter will not take is written as nothing, as it quotes it."""
    if not isinstance(quotes, Quotes):
        return NOTHING
    try:
        return orjson.dumps((_levels(quotes.bids), _levels(quotes.asks)))
    except (TypeError, ValueError):
        # No pairs of integers: the adapter refuses the whole of it.
        return NOTHING


def _levels(levels: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(index(price), index(qty)) for price, qty in levels]
