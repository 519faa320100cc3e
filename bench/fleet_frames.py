"""One recorded Binance market told by five venues: frames with their times, ready to be sent.

Kraken's, Gate.io's, Bitget's and MEXC's frames are what their simulated venues say while the
recorded book and trades pass through them, the snapshot or REST copy first; Binance's are the
recorded ones. All of them have passed the venue's own decoder.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from msgspec import Struct

from openmm._fast.book import Book, BookState
from openmm._fast.ports import Decoded, Decoder
from openmm.config import Venue
from openmm.instrument import Instrument
from openmm.sim.core import VenueCore
from openmm.sim.dialects import dialect
from openmm.venues import registry
from openmm.venues.connector import Connector
from openmm.venues.counterpart import TradeRecord
from openmm.venues.recordings import Record, read_stamped

BID, ASK, BUY, SELL = 0, 1, 1, 2
NS: Final = 1_000_000_000
# Of the market that the simulated venues are told: what they publish is less deep.
LEVELS: Final = 1000
VENUES: Final = {"kraken": 25, "gateio": 50, "bitget": 400, "mexc": 500, "binance": 1000}


class Source(Struct, frozen=True):
    """A recorded market: its file, pair, and the steps of its prices and quantities."""

    file: str
    market: str
    pair: str
    price_decimals: int
    qty_decimals: int

    def instrument(self, venue: str) -> Instrument:
        """Describe the pair as a venue that lists it would."""
        base, _, quote = self.pair.partition("/")
        return Instrument(
            venue, self.pair, base, quote, self.price_decimals, self.qty_decimals,
            Decimal(1).scaleb(-self.price_decimals), Decimal(1).scaleb(-self.qty_decimals),
            Decimal(1).scaleb(-self.qty_decimals), Decimal(1),
            12, self.price_decimals + self.qty_decimals,
        )  # fmt: skip


SOURCES: Final = (
    Source("spot_btcusdt_20240808.gz", "spot", "BTC/USDT", 2, 8),
    Source("usdm_btcusdt_20240808.gz", "usdm", "BTC/USDT", 1, 3),
    Source("cm_btcusd_perp_20240808.gz", "coinm", "BTC/USD", 1, 0),
    Source("cm_ethusd_perp_20240808.gz", "coinm", "ETH/USD", 2, 0),
)


class Timeline(Struct):
    """The frames of one source at one venue.

    Args:
        frames: as they came; whole books among the first.
        due_ns: when each was received, from the first on.
        verified_at: index of the frame with which the book is first verified.
        texts: whether each is a text message; others are binary.
    """

    venue: str
    frames: list[bytes]
    due_ns: array[int]
    verified_at: int = -1
    texts: list[bool] = []


def venue_config(venue: str, source: Source) -> Venue:
    """Return the table of a bot's file that watches a source at a venue."""
    options = {"market": source.market} if venue == "binance" else {}
    return Venue.model_validate({"name": venue, "reference": source.pair, "options": options})


def timelines(data: Path, source: Source, span_s: float) -> dict[str, Timeline]:
    """Translate the first `span_s` seconds of a recording, for every venue.

    Behind 215 s the price of one of them leaves the 1,000 levels of the only REST copy that was
    recorded: a reader would have to ask for another.
    """
    records = list(_span(data / "binance" / source.file, span_s))
    return {
        venue: _recorded(source, records) if venue == "binance" else _told(venue, source, records)
        for venue in VENUES
    }


def _span(path: Path, span_s: float) -> Iterator[Record]:
    first_ns = 0
    for record in read_stamped(path):
        first_ns = first_ns or record.recv_ns
        if record.recv_ns - first_ns > span_s * NS:
            return
        yield record


class _Kept:
    """Keep the frames that the hot path reads, and see that the venue's own decoder takes them."""

    def __init__(self, venue: str, source: Source, connector: Connector) -> None:
        self.book = Book(window_ticks=1 << 15, outside_levels=1 << 13)
        pair = source.instrument(venue)
        self._decoder: Decoder = connector.market_decoder(
            pair, self.book, depth=VENUES[venue], verify=True
        )
        self._is_text = (lambda _: True) if venue == "binance" else dialect(venue).is_text
        self.timeline = Timeline(venue, [], array("q"))

    def add(self, frame: bytes, due_ns: int) -> bool:
        """Keep a frame; False where it is not for the hot path (an acknowledgement)."""
        decoded = self._decoder.decode(frame, due_ns)
        if decoded == Decoded.DECODED_SLOW:
            return False
        line = self.timeline
        if decoded == Decoded.DECODED_BROKEN:
            raise AssertionError(
                f"{line.venue}: frame {len(line.frames)} breaks the book:"
                f" {self.book.break_reason.name} {frame[:300]!r}"
            )
        if line.verified_at < 0 and self.book.state == BookState.BOOK_VERIFIED:
            line.verified_at = len(line.frames)
        line.frames.append(frame)
        line.due_ns.append(due_ns)
        line.texts.append(self._is_text(frame))
        return True


def _recorded(source: Source, records: Sequence[Record]) -> Timeline:
    """Keep Binance's frames as they are; the REST copy as its connector hands it on."""
    config = venue_config("binance", source)
    kept = _Kept("binance", source, registry.connector(config, None))
    symbol = source.pair.replace("/", "") + ("_PERP" if source.market == "coinm" else "")
    for record in records:
        data = record.data
        if _is_copy(record):
            data = b'{"stream":"%b@rest","data":%b}' % (symbol.encode(), data)
        kept.add(data, record.recv_ns - records[0].recv_ns)
    return kept.timeline


def _is_copy(record: Record) -> bool:
    return b'"stream"' not in record.data[:20]


class _Loopback:
    """Carry REST requests to a simulated venue in this process."""

    def __init__(self, venue: Listed) -> None:
        self._venue = venue

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        target = urlsplit(base).path + path + (f"?{query}" if query else "")
        return self._venue.rest.answer(verb, target, headers, body, self._venue.now_ns)

    async def close(self) -> None:
        """Have nothing to give back."""


class Listed:
    """A simulated venue that lists one pair, whose market is the recorded one."""

    def __init__(self, venue: str, source: Source, now_ns: int) -> None:
        speaks = dialect(venue)
        self.venue, self.source = venue, source
        self.pair = source.instrument(venue)
        self.now_ns = now_ns
        self.core = VenueCore([self.pair], 1, recorded=[self.pair.name])
        self.core.now_ns = now_ns
        self.gateway, self.rest = speaks.make(self.core, 1, False)
        self.kernel = self.core.recording(self.pair.name)

    async def connector(self) -> Connector:
        """Make a connector that knows the pair, and asks this venue for the rest."""
        config = venue_config(self.venue, self.source)
        made = registry.connector(config, None, round_trip=_Loopback(self))
        await made.rest().instruments([self.pair.name])
        return made

    def book(self, data: Mapping[str, Any], bids: str, asks: str) -> None:
        """Take over levels."""
        for side, levels in ((BID, data[bids]), (ASK, data[asks])):
            for price, qty in levels:
                self.kernel.set_level(
                    side, self.pair.exact_ticks(Decimal(price)), self.pair.exact_lots(Decimal(qty))
                )
        self.kernel.cut(LEVELS)
        self.core.book_told(self.pair.name, self.now_ns)

    def trade(self, data: Mapping[str, Any]) -> None:
        """Print a trade."""
        trade = TradeRecord(
            self.pair.name, SELL if data["m"] else BUY,
            self.pair.exact_ticks(Decimal(data["p"])), self.pair.exact_lots(Decimal(data["q"])),
            False, 0, self.now_ns,
        )  # fmt: skip
        self.core.tell_recorded(trade)


def _told(venue: str, source: Source, records: Sequence[Record]) -> Timeline:
    """Let a recorded market pass through a simulated venue; keep what it tells a reader."""
    first_ns = records[0].recv_ns
    made = Listed(venue, source, first_ns)
    connector = asyncio.run(made.connector())
    kept = _Kept(venue, source, connector)
    # The copy comes a few records late: what those changed is in it, or follows it at once.
    start = next(index for index, record in enumerate(records) if _is_copy(record))
    copied = orjson.loads(records[start].data)
    made.book(copied, "bids", "asks")
    session = made.gateway.connect(first_ns, False)

    def take(frames: Sequence[bytes]) -> None:
        for frame in frames:
            if not kept.add(frame, made.now_ns - first_ns):
                connector.read_public(frame, made.now_ns)

    for message in connector.subscribe_market(made.pair, VENUES[venue]):
        take(session.on_client_frame(message, made.now_ns))
    take(session.poll(made.now_ns))
    copy = asyncio.run(connector.book_snapshot(made.pair, VENUES[venue]))
    if copy is not None:
        take([copy])
    for index, record in enumerate(records):
        if index == start:
            continue
        made.now_ns = record.recv_ns
        made.core.advance(record.recv_ns)
        message = orjson.loads(record.data)
        stream = message["stream"].partition("@")[2]
        if stream.startswith("depth"):
            if message["data"]["u"] > copied["lastUpdateId"]:
                made.book(message["data"], "b", "a")
        elif stream == "trade" and message["data"].get("X", "MARKET") == "MARKET":
            made.trade(message["data"])
        take(session.poll(record.recv_ns))
    return kept.timeline
