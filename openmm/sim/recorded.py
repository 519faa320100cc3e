"""Serve a venue's recording anew: its book and trades move the core, the dialect tells of them.

Nothing recorded is sent as it is: identifiers, sequence numbers, checksums and times are those of
the simulated venue, so that whoever joins at any moment, at any depth, gets a book that verifies.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Final, final

from openmm._fast.book import Book
from openmm.errors import ConfigError, ProtocolError
from openmm.instrument import Instrument
from openmm.sim.core import VenueCore
from openmm.sim.dialects import Dialect
from openmm.sim.mirror import OUTSIDE_LEVELS, WINDOW_TICKS, MirroredFeed
from openmm.sim.replay import Paced
from openmm.venues.capture import is_capture, read_head
from openmm.venues.recordings import RecordedPair, Recording

DECIMALS_MAX: Final = 15
# Fees are a millionth of the quantity at the finest.
FEE_DECIMALS: Final = 6


@final
class RecordedDriver(Paced):
    """Play one pair of a recording into a core, from the moment on at which its book is whole."""

    def __init__(
        self, recording: Recording, told: RecordedPair, pair: Instrument, start_ns: int,
        speed: Decimal = Decimal(1), loop: bool = False,
    ) -> None:  # fmt: skip
        super().__init__([one.recv_ns for one in recording.records], start_ns, speed, loop)
        self.pair = pair
        self.recording = recording
        self._told = told
        self._feed = self._open()

    def _open(self) -> MirroredFeed:
        book = Book(window_ticks=WINDOW_TICKS, outside_levels=OUTSIDE_LEVELS)
        decoder = self.recording.decoder(self._told, self.pair, book)
        return MirroredFeed(self.pair, decoder, book, told=True)

    def prime(self, core: VenueCore) -> None:
        """Let the venue know its opening book.

        Raises:
            ConfigError: the recording never tells a whole one.
        """
        self._feed.lose(core)
        self._feed = self._open()
        for at, record in enumerate(self.recording.records):
            self._feed.apply(core, record.data, core.now_ns)
            if self._feed.whole:
                self.begin_at(at + 1)
                return
        raise ConfigError("sim.replay", self.pair.name, "a recording whose book becomes whole")

    def fire(self, core: VenueCore) -> None:
        """Play the next message."""
        loops = self.loops
        at = self.take(core.now_ns)
        self._feed.apply(core, self.recording.records[at].data, core.now_ns)
        if self.loops != loops:
            self.prime(core)


def read_recorded(path: Path, speaks: Dialect, name: str) -> tuple[Recording, str]:
    """Read a recording of a dialect's venue, and choose the pair: the named one, else the first.

    Raises:
        ConfigError: it is none, or the pair is not in it.
    """
    assert speaks.recording is not None, "options are checked"
    venue = next(iter(speaks.pairs.values()))[0].venue
    try:
        if is_capture(path) and (told := read_head(path).venue) != venue:
            raise ConfigError("sim.replay", str(path), f"a recording of {venue}; it is of {told}")
        recording = speaks.recording(path)
    except ProtocolError as error:
        raise ConfigError("sim.replay", str(path), f"a recording of the venue ({error})") from error
    if not recording.pairs:
        raise ConfigError("sim.replay", str(path), f"a recording of a book of {speaks.name}")
    if name and name not in recording.pairs:
        wanted = f"a pair of the recording: {', '.join(recording.pairs)}"
        raise ConfigError("sim.instrument", name, wanted)
    return recording, name or next(iter(recording.pairs))


def recorded_instrument(speaks: Dialect, name: str, told: RecordedPair) -> Instrument:
    """Return the venue's pair, or one with the steps of the recording where that is finer."""
    if name in speaks.pairs:
        known = speaks.pairs[name][0]
        if known.price_decimals >= told.price_decimals and known.qty_decimals >= told.qty_decimals:
            return known
    base, _, quote = name.partition("/")
    venue = next(iter(speaks.pairs.values()))[0].venue
    lot, tick = Decimal(1).scaleb(-told.qty_decimals), Decimal(1).scaleb(-told.price_decimals)
    return Instrument(
        venue, name, base, quote, told.price_decimals, told.qty_decimals, tick, lot, lot, tick,
        min(DECIMALS_MAX, told.qty_decimals + FEE_DECIMALS),
        min(DECIMALS_MAX, told.price_decimals + told.qty_decimals),
    )  # fmt: skip
