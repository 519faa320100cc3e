"""The instruments of `bench.fleet`: connections, decoders, books and feeds, as in an engine."""

from __future__ import annotations

import fcntl
import struct
import termios
from collections.abc import Sequence
from typing import Any, Final

from bench.fleet_frames import SOURCES, VENUES, Listed, Source, venue_config
from bench.fleet_sender import Plan
from openmm._fast.book import BookBreak, BookState
from openmm._fast.feed import EventClock, MarketListener
from openmm._fast.pipeline import Feed
from openmm._fast.ports import NullTransport
from openmm._fast.tape import Tape
from openmm.config import BotConfig, parse
from openmm.engine import wiring
from openmm.engine.host import dial_socket
from openmm.engine.links import Link
from openmm.instrument import Instrument
from openmm.venues import registry
from openmm.venues.connector import Connector

TAPE_BYTES: Final = 1 << 20
PRICES: Final = {"BTC": "61800", "ETH": "2680"}


def bot_config(source: Source) -> BotConfig:
    """Write the file of a bot that quotes a pair at the first venue and watches the others."""
    amount = "10" if source.qty_decimals == 0 else "0.01"
    venues: list[dict[str, Any]] = []
    for venue, depth in VENUES.items():
        key = "quote" if not venues else "reference"
        table: dict[str, Any] = {
            "name": venue,
            key: source.pair,
            "maker_fee": "0%",
            "taker_fee": "0%",
        }
        if venue == "binance":
            table["options"] = {"market": source.market}
        else:
            table["depth"] = depth
        venues.append(table)
    return parse(
        {
            "bot": {"name": "fleet", "mode": "paper"},
            "venue": venues,
            "strategy": {
                "kind": "grid", "spread": "10bps", "order_amount": amount, "num_orders": 2,
                "rebalance_threshold": "20%",
            },
            "risk": {
                "max_order_size": "100", "max_open_notional": "100000000",
                "max_inventory": "1000", "max_drawdown": "5%",
            },
        }
    )  # fmt: skip


class Member:
    """One instrument: its connection and its feed, as the engine keeps them."""

    def __init__(
        self, url: str, tables: wiring.Tables, feed: Feed, connector: Connector, pair: Instrument,
        clock: EventClock,
    ) -> None:  # fmt: skip
        self.feed = feed
        self.slow = 0
        pipeline, depth = tables.pipeline, VENUES[connector.name]

        def on_slow(payload: bytes, recv_ns: int) -> None:
            self.slow += 1
            connector.read_public(payload, recv_ns)

        def on_connection(up: bool) -> None:
            if not up:
                feed.book.break_(BookBreak.BREAK_DISCONNECT)
                pipeline.refresh(feed, clock.now_ns())

        def make() -> MarketListener:
            return MarketListener(pipeline, feed, clock, on_slow, on_connection)

        async def hello() -> Sequence[bytes]:
            return connector.subscribe_market(pair, depth)

        self.link = Link(
            connector.name, lambda: url, make, hello, lambda _name: None, clock, dial_socket
        )

    @property
    def verified(self) -> bool:
        """Whether its book is whole."""
        return self.feed.book.state is BookState.BOOK_VERIFIED

    @property
    def unread_bytes(self) -> int:
        """Bytes that the kernel holds for its connection."""
        transport: Any = self.link.transport
        if transport is None:
            return 0
        sock = transport.underlying_transport.get_extra_info("socket")
        if sock.fileno() < 0:
            return 0  # it has just ended
        told = fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4))
        return int(struct.unpack("i", told)[0])


async def members(port: int, plan: Plan) -> list[Member]:
    """Make the instruments, in the order of the plan: one bot for the five venues of a pair."""
    clock = EventClock()
    # They tell connectors what pairs there are, as the venues' REST sides do.
    listed = {
        (index, venue): Listed(venue, SOURCES[index], clock.now_ns())
        for index in range(plan.sources)
        for venue in VENUES
        if venue != "binance"
    }
    found: list[Member] = []
    places = plan.places()
    for at in range(0, len(places), len(VENUES)):
        index = places[at][0]
        source = SOURCES[index]
        config = bot_config(source)
        connectors: list[Connector] = []
        for venue in VENUES:
            if venue == "binance":
                connectors.append(registry.connector(venue_config(venue, source), None))
            else:
                connectors.append(await listed[index, venue].connector())
        pairs = [source.instrument(venue) for venue in VENUES]
        price = PRICES[source.pair.partition("/")[0]]
        tables = wiring.make_tables(
            config, pairs, connectors, connectors[0],
            mid_ticks=int(float(price) * 10**source.price_decimals),
            tape=Tape(None, size_bytes=TAPE_BYTES, follow=False),
            encoder=connectors[0].order_encoder(pairs[0], bot="fleet", session_s=1),
            transport=NullTransport(),
        )  # fmt: skip
        for feed, connector, pair in zip(tables.feeds, connectors, pairs, strict=True):
            url = f"ws://127.0.0.1:{port}/{len(found)}"
            found.append(Member(url, tables, feed, connector, pair, clock))
    return found
