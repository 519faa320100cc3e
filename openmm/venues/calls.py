"""Calls to a venue's REST interface: repeated within a bound where a repeat can do no harm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from openmm.clock import Clock, RealClock
from openmm.errors import TransportError, VenueRejected
from openmm.venues.faults import UNCERTAIN_CODES
from openmm.venues.http import HttpRoundTrip, RoundTrip

RETRIES: Final = 2
BACKOFF_S: Final = 0.5

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


class Calls:
    """The part of a REST client that no venue does differently; a venue's `Rest` fills in the rest.

    Args:
        venue: named by errors.
        round_trip: carries the bytes; HTTP unless told otherwise.
        sleep: waits between repeats.
    """

    def __init__(
        self,
        venue: str,
        clock: Clock | None = None,
        round_trip: RoundTrip | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.clock = clock or RealClock()
        self._venue = venue
        self._carry = round_trip or HttpRoundTrip(venue)
        # Who carries requests in virtual time waits in it too.
        self._sleep: Sleep = getattr(round_trip, "sleep", sleep)

    async def close(self) -> None:
        """Close the connections."""
        await self._carry.close()

    async def _repeated(self, what: str, once: Callable[[], Awaitable[T]], *, once_only: bool) -> T:
        """Make a call, and again while that may help; one that is `once_only` is never repeated."""
        tries = 0 if once_only else RETRIES
        while True:
            try:
                return await once()
            except TransportError as error:
                if once_only:
                    raise TransportError(
                        f"{what}: outcome unknown: {error}",
                        venue=self._venue,
                        code="outcome_unknown",
                    ) from None
                if tries == 0 or not error.retryable:
                    raise
            except VenueRejected as error:
                # What leaves the outcome of an order open may be asked again here.
                again = error.retryable or error.code in UNCERTAIN_CODES
                if not self._refused(error) or tries == 0 or not again:
                    raise
            await self._sleep(BACKOFF_S * 2 ** (RETRIES - tries))
            tries -= 1

    def _refused(self, error: VenueRejected) -> bool:
        """Take note of a refusal; whether a repeat could end otherwise."""
        return True
