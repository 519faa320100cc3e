"""Calls over REST: what is repeated, how often, and what never is."""

from __future__ import annotations

import asyncio

import pytest

from openmm.clock import ManualClock
from openmm.errors import TransportError, VenueError, VenueRejected
from openmm.venues.calls import BACKOFF_S, RETRIES, Calls
from openmm.venues.faults import Code

LOST = TransportError("no answer", venue="v", retryable=True)
PAGE = TransportError("a proxy's page", venue="v")
UNSURE = VenueRejected("busy", venue="v", code=Code.UNAVAILABLE)
NO = VenueRejected("no", venue="v", code=Code.FUNDS)


class Asked(Calls):
    """A client whose calls end as told, one after another."""

    def __init__(self, *ends: VenueError) -> None:
        super().__init__("v", ManualClock(1), None, self._waited)
        self.ends = list(ends)
        self.waits: list[float] = []
        self.made = 0

    async def _waited(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def _once(self) -> str:
        self.made += 1
        if self.ends:
            raise self.ends.pop(0)
        return "answer"

    def ask(self, *, once_only: bool = False) -> str:
        return asyncio.run(self._repeated("ask", self._once, once_only=once_only))


@pytest.mark.parametrize("error", [LOST, UNSURE])
def test_what_may_help_is_repeated_ever_later(error: VenueError) -> None:
    rest = Asked(error, error)
    assert rest.ask() == "answer"
    assert rest.waits == [BACKOFF_S, 2 * BACKOFF_S]


@pytest.mark.parametrize("error", [LOST, UNSURE])
def test_repeats_are_bounded(error: VenueError) -> None:
    rest = Asked(*[error] * 9)
    with pytest.raises(type(error)):
        rest.ask()
    assert rest.made == 1 + RETRIES


@pytest.mark.parametrize("error", [PAGE, NO])
def test_what_cannot_help_is_asked_once(error: VenueError) -> None:
    rest = Asked(error)
    with pytest.raises(type(error)):
        rest.ask()
    assert rest.made == 1


def test_order_is_sent_once_and_its_lost_answer_leaves_the_outcome_unknown() -> None:
    rest = Asked(LOST)
    with pytest.raises(TransportError, match="outcome unknown") as caught:
        rest.ask(once_only=True)
    assert (rest.made, caught.value.code, caught.value.retryable) == (1, "outcome_unknown", False)
    rest = Asked(UNSURE)
    with pytest.raises(VenueRejected, match="busy"):
        rest.ask(once_only=True)
    assert rest.made == 1
