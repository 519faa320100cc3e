"""Paper trading: the real public feed, a venue in this process for everything private.

No socket to an order endpoint exists in paper mode: the traded venue's connector is made with a
request side that ends in memory, and order bytes go to a function.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import final

from msgspec.structs import replace

from openmm._fast.feed import EventClock
from openmm.config import (
    BotConfig,
    Venue,
    maker_fee_ppm,
    paper_balances,
    read_options,
    taker_fee_ppm,
)
from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.sim.dialects import Dialect, dialect
from openmm.sim.mirror import Own, mirrored_feed
from openmm.sim.paper import PaperVenue
from openmm.sim.pipe import Delays
from openmm.venues import registry
from openmm.venues.calls import Sleep
from openmm.venues.connector import Connector, Keys, MarketSide


@final
class PaperRoundTrip:
    """Answer REST requests of the connector out of the paper venue.

    Args:
        sleep: waits between calls; virtual time has a wait of its own.
    """

    def __init__(self, venue: PaperVenue, clock: EventClock, sleep: Sleep = asyncio.sleep) -> None:
        self._venue = venue
        self._clock = clock
        self.sleep = sleep

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Return HTTP status and body."""
        target = f"{path}?{query}" if query else path
        return self._venue.rest(verb, target, headers, body, self._clock.now_ns())

    async def close(self) -> None:
        """Nothing is held."""


def paper_venue(
    config: BotConfig, instrument: Instrument, market: MarketSide, *,
    delays: Delays | None = None, own: Own | None = None, cost_decimals: int | None = None,
) -> PaperVenue:  # fmt: skip
    """Open the paper account.

    Args:
        market: makes the decoder of the venue's public feed.
        delays: of single messages, where they are known.
        own: what of the public feed is not the market's.
        cost_decimals: that the venue rounds costs and fees to; None: as finely as they come.

    Raises:
        ConfigError: the fees are not known.
    """
    maker, taker = maker_fee_ppm(config, instrument), taker_fee_ppm(config, instrument)
    if maker is None or taker is None:
        raise ConfigError("venue.maker_fee", "nothing", "a fee: the venue does not tell it here")
    venue = config.quoted
    feed = mirrored_feed(
        instrument, market, depth=venue.depth, verify=venue.verify_checksum, told=False,
        own=own,
    )  # fmt: skip
    # The account counts in atoms of an order's cost; finer ones could hold nothing more.
    decimals = min(instrument.quote_decimals, instrument.price_decimals + instrument.qty_decimals)
    if cost_decimals is not None:
        decimals = min(decimals, cost_decimals)
    return PaperVenue(
        _dialect(venue), feed, replace(instrument, quote_decimals=decimals), (maker, taker),
        paper_balances(config, instrument), seed=0, latency_ns=config.paper.latency_ns,
        delays=delays,
    )  # fmt: skip


def _dialect(venue: Venue) -> Dialect:
    """Return what the private side of a venue speaks, by the account its options name."""
    unified = venue.name == "bitget" and read_options(venue).get("account") == "unified"
    return dialect("bitget-unified" if unified else venue.name)


def paper_connector(
    config: BotConfig, venue: PaperVenue, clock: EventClock, sleep: Sleep = asyncio.sleep
) -> Connector:
    """Make the traded venue's connector over the paper account; `sleep` as of `PaperRoundTrip`."""
    keys = Keys(venue.api_key, venue.api_secret, venue.passphrase)
    return registry.connector(
        config.quoted, keys, clock=clock, round_trip=PaperRoundTrip(venue, clock, sleep)
    )
