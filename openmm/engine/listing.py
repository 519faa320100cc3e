"""What watched venues listed last, kept on disk: one that is down keeps no bot from starting.

The traded venue has to answer: its steps, minimums and fees are those of our orders. Of a watched
one only steps are needed, and a book whose steps have become finer since breaks and stays out.
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any, final

import orjson

from openmm import journal
from openmm.clock import Clock
from openmm.config import Venue
from openmm.engine.proof import within_limits
from openmm.errors import ConfigError, JournalError, VenueError
from openmm.instrument import Instrument
from openmm.venues.connector import Connector

log = logging.getLogger(__name__)

AGE_NS_MAX = 7 * 86_400 * 1_000_000_000


@final
class Listings:
    """Ask venues for their instruments, and keep those of the watched ones.

    Args:
        folder: of the bot; a file for each watched venue, named by its label.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.missed: list[str] = []  # what was taken from disk, and why, in words
        self._folder = folder
        self._clock = clock

    async def find(self, connector: Connector, venue: Venue) -> Instrument:
        """Return a venue's instrument; a watched one that does not answer, as it was last listed.

        Raises:
            ConfigError: the venue does not list it.
            VenueError: no answer, and nothing on disk that is younger than a week.
        """
        rest = connector.rest()
        try:
            found = await within_limits(partial(rest.instruments, [venue.pair]))
        except VenueError as error:
            kept = None if venue.quote is not None or not error.retryable else self._read(venue)
            if kept is None:
                raise
            rest.remember(kept)
            self.missed.append(f"{venue.label}: listed as before, for it does not answer: {error}")
            log.warning("%s", self.missed[-1])
            return kept
        if venue.pair not in found:
            raise ConfigError(f"venue.{venue.label}", venue.pair, f"a pair of {venue.name}")
        instrument = found[venue.pair]
        if venue.quote is None:
            self._write(venue, instrument)
        return instrument

    def _path(self, venue: Venue) -> Path:
        return self._folder / f"listed-{venue.label}"

    def _head(self, venue: Venue) -> dict[str, Any]:
        """Return what a listing is of; a label may name another market by now."""
        return {"venue": venue.name, "pair": venue.pair, "rest": venue.endpoints.rest}

    def _write(self, venue: Venue, instrument: Instrument) -> None:
        head = self._head(venue) | {"seen_ns": self._clock.now_ns()}
        fresh = self._folder / f".listed-{venue.label}"
        try:
            fresh.write_bytes(orjson.dumps(head) + b"\n" + journal.instrument_record(instrument))
            fresh.replace(self._path(venue))
        except OSError as error:
            log.warning("listing of %s is not kept: %s", venue.label, error)

    def _read(self, venue: Venue) -> Instrument | None:
        try:
            first, _, rest = self._path(venue).read_bytes().partition(b"\n")
            head = orjson.loads(first)
            seen_ns = head.pop("seen_ns")
            if head != self._head(venue):
                return None
            if not 0 <= self._clock.now_ns() - seen_ns <= AGE_NS_MAX:
                return None
            return journal.read_instrument(rest)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, AttributeError, TypeError, JournalError) as error:
            log.warning("damaged, and left aside (%s): %s", error, self._path(venue))
            return None
