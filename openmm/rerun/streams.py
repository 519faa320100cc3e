"""What a bot is run over: recordings of venues, and seeded synthetic regimes.

A regime is the simulator's market (`sim/market.py`) recorded without any bot in it, as messages of
one wire format: every bot meets the same stream, and the same fill model as in a recording. What
the market would have done to a bot's orders, or because of them, is not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Final, final

from openmm._fast.book import Book, BookState
from openmm._fast.pipeline import Frames
from openmm._fast.ports import Decoder
from openmm.config import Venue
from openmm.errors import ConfigError, ProtocolError
from openmm.instrument import Instrument
from openmm.rerun.listed import as_listed
from openmm.sim.dialects import dialect
from openmm.sim.options import SimOptions
from openmm.sim.pipe import Pipe
from openmm.sim.server import build_core
from openmm.venues import registry
from openmm.venues.binance.spec import PERPETUAL, contract_usd
from openmm.venues.binance.spec import VENUE as BINANCE
from openmm.venues.kraken.recording import decoder as kraken_decoder
from openmm.venues.readers import READERS, split
from openmm.venues.recordings import Record, RecordedPair, name_of

NS: Final = 1_000_000_000
START_NS: Final = 1_750_000_000 * NS
REGIME_S: Final = 600
# Between two messages of a recording: how much earlier or later the second may be.
BACK_NS_MAX: Final = NS
GAP_NS_MAX: Final = 3600 * NS
WIRE: Final = "kraken"  # that regimes are recorded in
WIRE_DEPTH: Final = 100

# Parameters of the market in each regime; those not named are `MarketOptions`'. Takers reach four
# times the half spread: wide enough that a quote one tick behind the best is met by noise too.
_LIVELY: Final = {"half_spread_bps": 1.5, "taker_share": 0.3, "arrivals_per_s": 8.0}
REGIMES: Final[Mapping[str, Mapping[str, float]]] = {
    "calm": {**_LIVELY, "calm_volatility": 0.15, "volatile_volatility": 0.15},
    "trending": {
        **_LIVELY, "calm_volatility": 0.3, "volatile_volatility": 0.3,
        "drift_bps_per_min": 10.0, "side_persistence": 0.8,
    },
    "volatile": {
        **_LIVELY, "calm_volatility": 0.9, "volatile_volatility": 2.4, "first_spell_s": 30.0,
        "calm_s": 60.0,
    },
    "thin": {
        "half_spread_bps": 5.0, "depth_bps": 15.0, "taker_share": 0.25, "arrivals_per_s": 1.5,
        "orders_a_side": 20, "order_notional": 800.0, "calm_volatility": 0.5,
        "volatile_volatility": 0.8,
    },
}  # fmt: skip


@final
@dataclass(frozen=True, slots=True)
class Stream:
    """One market's messages and how they are read.

    Args:
        name: as people are told.
        about: where it is from, or what made it.
        pair: our name of what is traded.
        told: its steps and what the decoder has to know.
        records: in the order of time.
        make: of a recording: makes decoders.
        venue: whose market it is, as the registry names it.
    """

    name: str
    about: str
    pair: str
    told: RecordedPair
    records: Sequence[Record]
    make: Callable[[RecordedPair, Instrument, Book], Decoder]
    venue: str = WIRE

    @property
    def label(self) -> str:
        """Return a name of the market for people and files, such as `kraken BTC/USD`."""
        return f"{self.venue} {self.pair}"

    def frames(self) -> Frames:
        """Return all messages in one buffer."""
        return Frames([one.data for one in self.records], [one.recv_ns for one in self.records])

    def instrument(self, venue: str, own: str = "") -> Instrument:
        """Return the pair as a venue would list it, in the recording's ticks: see `as_listed`."""
        tick, lot = (
            Decimal(1).scaleb(-one) for one in (self.told.price_decimals, self.told.qty_decimals)
        )
        return as_listed(dialect(venue), self.pair, tick, lot, own, finest=True)

    def market_decoder(
        self, instrument: Instrument, book: Book, *, depth: int, verify: bool
    ) -> Decoder:
        """Make a decoder; depth and checksums are as recorded."""
        return self.make(self.told, instrument, book)

    @property
    def seconds(self) -> float:
        """Return how long it lasts."""
        return (self.records[-1].recv_ns - self.records[0].recv_ns) / NS

    @property
    def contract_size(self) -> Decimal | None:
        """Return what a contract is worth in the quote currency; None: quantities are of base."""
        if self.venue != BINANCE or not self.told.symbol.endswith(PERPETUAL):
            return None
        return contract_usd(name_of(self.told.symbol.removesuffix(PERPETUAL)).partition("/")[0])

    def cut(self, seconds: float) -> Stream:
        """Return its first part."""
        end_ns = self.records[0].recv_ns + round(seconds * NS)
        kept = [one for one in self.records if one.recv_ns <= end_ns]
        return replace(self, records=kept)

    def opening(self, instrument: Instrument) -> tuple[int, int]:
        """Return when its book is first whole, and the mid then, in ticks.

        Raises:
            ConfigError: it never is.
        """
        book = Book()
        decoder = self.make(self.told, instrument, book)
        for one in self.records:
            decoder.decode(one.data, one.recv_ns)
            bid, ask = book.best_bid_ticks, book.best_ask_ticks
            if book.state is BookState.BOOK_VERIFIED and bid is not None and ask is not None:
                return one.recv_ns, (bid + ask) // 2
        raise ConfigError("data", self.name, "a recording whose book becomes whole")


def recorded(text: str, pair: str = "") -> Stream:
    """Read a recording: `FILE`, or `VENUE:FILE` where the file does not tell whose it is.

    Args:
        pair: which of several; the first unless told.

    Raises:
        ConfigError: no such file, not a recording, or not of that pair.
    """
    venue, path = split(text)
    try:
        found = READERS[venue](path)
    except ProtocolError as error:
        raise ConfigError("data", str(path), f"a recording ({error})") from error
    if not found.pairs:
        raise ConfigError("data", str(path), "a recording of a book; it tells of none")
    if pair and pair not in found.pairs:
        raise ConfigError("pair", pair, f"one of {', '.join(found.pairs)}")
    _check_times(path, found.records)
    name = pair or next(iter(found.pairs))
    short = path.name.partition(".")[0]
    about = f"{venue} {name}, recorded: {path.name}"
    return Stream(
        f"{venue} {short}", about, name, found.pairs[name], found.records, found.decoder, venue
    )


def _check_times(path: Path, records: Sequence[Record]) -> None:
    """Refuse times that are no recording's: the timer would fire through them for hours."""
    last_ns = records[0].recv_ns if records else 0
    for number, one in enumerate(records, 1):
        step_ns = one.recv_ns - last_ns
        if not -BACK_NS_MAX <= step_ns <= GAP_NS_MAX:
            raise ConfigError(
                "data", str(path),
                f"a recording in the order of time without a gap over {GAP_NS_MAX // NS} s; "
                f"message {number} of {len(records)} comes {step_ns / NS:.1f} s after those before",
            )  # fmt: skip
        last_ns = max(last_ns, one.recv_ns)


def synthetic(regime: str, seed: int, seconds: float) -> Stream:
    """Record a regime.

    Raises:
        ConfigError: there is no such regime.
    """
    if regime not in REGIMES:
        raise ConfigError("regime", regime, f"one of {', '.join(REGIMES)}")
    options = SimOptions(venue=WIRE, seed=seed, market=REGIMES[regime])
    core = build_core(options, START_NS)
    ((name, pair),) = core.instruments.items()
    gateway, _ = options.dialect.make(core, seed, False)
    pipe = Pipe(gateway, False, START_NS)
    # The book first: who joins a market in its first moment meets an empty one.
    core.advance(START_NS)
    connector = registry.connector(Venue(name=WIRE, quote=name), None)
    for message in connector.subscribe_market(pair, WIRE_DEPTH):
        pipe.send(message, START_NS)
    records: list[Record] = []
    now_ns, end_ns = START_NS, START_NS + round(seconds * NS)
    while now_ns <= end_ns:
        records += [Record(now_ns, frame) for frame in pipe.receive(now_ns)]
        due_ns = core.next_ns()
        assert due_ns is not None, "a synthetic market goes on for ever"
        now_ns = max(now_ns + 1, due_ns)
    told = RecordedPair(name, pair.price_decimals, pair.qty_decimals, WIRE_DEPTH)
    about = f"synthetic, {regime}, seed {seed}: " + ", ".join(
        f"{key} {value:g}" for key, value in REGIMES[regime].items()
    )
    return Stream(f"{regime} (seed {seed})", about, name, told, records, kraken_decoder)


def asked(
    data: Sequence[str], regimes: str, seed: int, seconds: float | None, pair: str = ""
) -> list[Stream]:
    """Return the streams that a command's options name, recordings first.

    Args:
        data: recordings, as `recorded` takes them.
        regimes: names, with commas between.
        seconds: no more of a recording than this, and the length of a regime; None: all, and 600.

    Raises:
        ConfigError: none is named, or one is not there.
    """
    names = [one.strip() for one in regimes.split(",") if one.strip()]
    if not data and not names:
        raise ConfigError("--data", "nothing", "a recording by --data, or regimes by --regime")
    found = [recorded(one, pair) for one in data]
    if seconds is not None:
        found = [one.cut(seconds) for one in found]
    return found + [synthetic(one, seed, seconds or REGIME_S) for one in names]
