"""The dialects a simulated venue can speak: what is traded, what accounts pay, who answers."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.sim.accounts import TIERS
from openmm.venues.binance.dialect import BinanceGateway
from openmm.venues.binance.dialect import DialectOptions as BinanceOptions
from openmm.venues.binance.dialect_rest import BinanceRest
from openmm.venues.binance.spec import Market
from openmm.venues.bitget.dialect import BitgetGateway
from openmm.venues.bitget.dialect import DialectOptions as BitgetOptions
from openmm.venues.bitget.dialect_rest import BitgetRest
from openmm.venues.bitget.dialect_text import PASSPHRASE
from openmm.venues.bitget.spec import MAKER_FEE_PPM as BITGET_MAKER_FEE_PPM
from openmm.venues.bitget.spec import TAKER_FEE_PPM as BITGET_TAKER_FEE_PPM
from openmm.venues.bitget.spec import Family
from openmm.venues.bitget.verify import read_recording as bitget_recording
from openmm.venues.coinbase.dialect import CoinbaseGateway
from openmm.venues.coinbase.dialect_rest import CoinbaseRest
from openmm.venues.counterpart import Core, Gateway, RestSide, Tier
from openmm.venues.gateio.dialect import DialectOptions as GateioOptions
from openmm.venues.gateio.dialect import GateioGateway
from openmm.venues.gateio.dialect_rest import PREFIX, GateioRest
from openmm.venues.gateio.spec import MAKER_FEE_PPM, TAKER_FEE_PPM
from openmm.venues.gateio.verify import read_recording as gateio_recording
from openmm.venues.kraken.dialect import DialectOptions, KrakenGateway
from openmm.venues.kraken.dialect_rest import KrakenRest
from openmm.venues.kraken.spec import FEE_TIERS_PPM
from openmm.venues.mexc.dialect import DialectOptions as MexcOptions
from openmm.venues.mexc.dialect import MexcGateway
from openmm.venues.mexc.dialect_rest import MexcRest
from openmm.venues.mexc.spec import MAKER_FEE_PPM as MEXC_MAKER_FEE_PPM
from openmm.venues.mexc.spec import TAKER_FEE_PPM as MEXC_TAKER_FEE_PPM
from openmm.venues.mexc.verify import read_recording as mexc_recording
from openmm.venues.recordings import Recording

PAPER_TIER: Final = "pro"
Pair = tuple[Instrument, Decimal]  # and the price a synthetic market starts from


@dataclass(frozen=True, slots=True)
class Dialect:
    """One venue's side of the simulator.

    Args:
        path: of the WebSocket.
        rest_path: of the REST address a client is told.
        fees_ppm: by row of the fee table: maker and taker.
        tier: by name; what core counts. A dialect that counts by itself has one without bounds.
        secret: from the text a client holds to the key that signatures are checked with.
        fee_in_received: fees are charged in what a fill brings.
        passphrase: of the account's key, where the venue's keys have one.
        post_only_accepted: a post-only order that would take is taken and cancelled, not refused.
        is_text: whether a message of the venue is text; others are binary.
        make: joins a core: (core, seed, pushes before the answer that caused them).
        recording: reads a recording to be served anew; None: this venue's are served as they are,
            or not at all.
    """

    name: str
    pairs: Mapping[str, Pair]
    path: str
    rest_path: str
    fees_ppm: tuple[tuple[int, int], ...]
    tiers: Mapping[str, Tier]
    secret: Callable[[str], bytes]
    fee_in_received: bool
    make: Callable[[Core, int, bool], tuple[Gateway, RestSide]]
    passphrase: str = ""
    post_only_accepted: bool = False
    is_text: Callable[[bytes], bool] = lambda _frame: True
    recording: Callable[[Path], Recording] | None = None


def _pair(
    venue: str,
    name: str,
    places: tuple[int, int, int, int],
    qty_min: str,
    cost_min: str,
    price: str,
) -> Pair:
    """Make a pair: decimals of price, quantity, base and quote asset; its minimums; a price."""
    base, quote = name.split("/")
    price_decimals, qty_decimals, base_decimals, quote_decimals = places
    made = Instrument(
        venue, name, base, quote, price_decimals, qty_decimals,
        Decimal(1).scaleb(-price_decimals), Decimal(1).scaleb(-qty_decimals),
        Decimal(qty_min), Decimal(cost_min), base_decimals, quote_decimals,
    )  # fmt: skip
    return made, Decimal(price)


# Steps as the venues have them, and a price to start from. Source: captures of 2025 and 2026.
KRAKEN_PAIRS: Final[Mapping[str, Pair]] = {
    "BTC/USD": _pair("kraken", "BTC/USD", (1, 8, 10, 4), "0.00005", "0.5", "60000"),
    "ETH/USD": _pair("kraken", "ETH/USD", (2, 8, 10, 4), "0.002", "0.5", "3000"),
    "XRP/USD": _pair("kraken", "XRP/USD", (5, 8, 8, 4), "2", "0.5", "0.60"),
    "USDT/USD": _pair("kraken", "USDT/USD", (5, 8, 8, 4), "5", "0.5", "1"),
}
# Base fees are exact: a millionth of the step. Quote fees are rounded to the cost's decimals.
GATEIO_PAIRS: Final[Mapping[str, Pair]] = {
    "BTC/USDT": _pair("gateio", "BTC/USDT", (1, 6, 12, 7), "0.000001", "3", "60000"),
    "ETH/USDT": _pair("gateio", "ETH/USDT", (2, 5, 11, 7), "0.00001", "3", "3000"),
    "XRP/USDT": _pair("gateio", "XRP/USDT", (4, 3, 9, 7), "0.001", "3", "0.60"),
}
BITGET_PAIRS: Final[Mapping[str, Pair]] = {
    "BTC/USDT": _pair("bitget", "BTC/USDT", (2, 6, 12, 8), "0.000001", "1", "60000"),
    "ETH/USDT": _pair("bitget", "ETH/USDT", (2, 4, 10, 6), "0.0001", "1", "3000"),
    "XRP/USDT": _pair("bitget", "XRP/USDT", (4, 4, 10, 8), "0.0001", "1", "0.60"),
}
# Fees are taken in the quote asset on both sides.
MEXC_PAIRS: Final[Mapping[str, Pair]] = {
    "BTC/USDT": _pair("mexc", "BTC/USDT", (2, 6, 12, 8), "0.000001", "1", "60000"),
    "ETH/USDT": _pair("mexc", "ETH/USDT", (2, 5, 11, 7), "0.00001", "1", "3000"),
    "XRP/USDT": _pair("mexc", "XRP/USDT", (4, 2, 8, 6), "0.01", "1", "0.60"),
}
BINANCE_PAIRS: Final[Mapping[str, Pair]] = {
    "BTC/USDT": _pair("binance", "BTC/USDT", (2, 5, 8, 7), "0.00001", "5", "60000"),
    "ETH/USDT": _pair("binance", "ETH/USDT", (2, 4, 8, 6), "0.0001", "5", "3000"),
    "XRP/USDT": _pair("binance", "XRP/USDT", (4, 1, 8, 5), "0.1", "5", "0.60"),
}
BINANCE_USDM_PAIRS: Final[Mapping[str, Pair]] = {
    "BTC/USDT": _pair("binance", "BTC/USDT", (1, 3, 8, 4), "0.001", "100", "60000"),
    "ETH/USDT": _pair("binance", "ETH/USDT", (2, 3, 8, 5), "0.001", "20", "3000"),
}
# A lot is a contract: what its 100 dollars were once worth of the base.
BINANCE_COINM_PAIRS: Final[Mapping[str, Pair]] = {
    "BTC/USD": _pair("binance", "BTC/USD", (1, 3, 8, 4), "0.001", "100", "60000"),
}
COINBASE_PAIRS: Final[Mapping[str, Pair]] = {
    "BTC/USD": _pair("coinbase", "BTC/USD", (2, 8, 8, 8), "0.00000001", "1", "60000"),
    "ETH/USD": _pair("coinbase", "ETH/USD", (2, 8, 8, 8), "0.00000001", "1", "3000"),
    "XRP/USD": _pair("coinbase", "XRP/USD", (4, 6, 8, 8), "0.000001", "1", "0.60"),
    "BTC/USDT": _pair("coinbase", "BTC/USDT", (2, 8, 8, 8), "0.00000001", "1", "60000"),
    "USDT/USD": _pair("coinbase", "USDT/USD", (5, 2, 7, 7), "0.01", "1", "1"),
}
UNCOUNTED: Final = 1 << 60


def _kraken(core: Core, seed: int, events_first: bool) -> tuple[Gateway, RestSide]:
    gateway = KrakenGateway(core, seed, DialectOptions(events_first=events_first))
    return gateway, KrakenRest(gateway)


def _gateio(core: Core, seed: int, events_first: bool) -> tuple[Gateway, RestSide]:
    options = GateioOptions(order="events_first") if events_first else GateioOptions()
    gateway = GateioGateway(core, seed, options)
    return gateway, GateioRest(gateway)


def _bitget(name: str, family: Family, generation: str) -> Dialect:
    """Make one of the venue's interfaces with one generation of its books."""

    def make(core: Core, seed: int, events_first: bool) -> tuple[Gateway, RestSide]:
        options = BitgetOptions(family, generation, events_first)
        gateway = BitgetGateway(core, seed, options)
        return gateway, BitgetRest(gateway)

    path = "/v2/ws" if family is Family.CLASSIC else "/v3/ws"
    return Dialect(
        name, BITGET_PAIRS, path, "", ((BITGET_MAKER_FEE_PPM, BITGET_TAKER_FEE_PPM),),
        dict.fromkeys(TIERS, Tier("uncounted", UNCOUNTED, UNCOUNTED, 200, UNCOUNTED, UNCOUNTED)),
        str.encode, fee_in_received=True, make=make, passphrase=PASSPHRASE,
        post_only_accepted=True, recording=bitget_recording,
    )  # fmt: skip


def _mexc(name: str, rest_ids: str) -> Dialect:
    """Make the venue with one way of REST to name executions."""

    def make(core: Core, seed: int, events_first: bool) -> tuple[Gateway, RestSide]:
        gateway = MexcGateway(core, seed, MexcOptions(rest_ids))
        return gateway, MexcRest(gateway)

    return Dialect(
        name, MEXC_PAIRS, "/ws", "", ((MEXC_MAKER_FEE_PPM, MEXC_TAKER_FEE_PPM),),
        dict.fromkeys(TIERS, Tier("uncounted", UNCOUNTED, UNCOUNTED, 500, UNCOUNTED, UNCOUNTED)),
        str.encode, fee_in_received=False, make=make, post_only_accepted=True,
        is_text=lambda frame: frame[:1] != b"\x0a", recording=mexc_recording,
    )  # fmt: skip


DIALECTS: Final[Mapping[str, Dialect]] = {
    "kraken": Dialect(
        "kraken", KRAKEN_PAIRS, "/v2", "",
        tuple((maker, taker) for _, maker, taker in FEE_TIERS_PPM), TIERS, base64.b64decode,
        fee_in_received=False, make=_kraken,
    ),
    "gateio": Dialect(
        "gateio", GATEIO_PAIRS, "/ws/v4/", PREFIX, ((MAKER_FEE_PPM, TAKER_FEE_PPM),),
        dict.fromkeys(TIERS, Tier("uncounted", UNCOUNTED, UNCOUNTED, 200, UNCOUNTED, UNCOUNTED)),
        str.encode, fee_in_received=True, make=_gateio, recording=gateio_recording,
    ),
    "bitget": _bitget("bitget", Family.CLASSIC, "2026p"),
    "bitget-2026": _bitget("bitget-2026", Family.CLASSIC, "2026"),
    "bitget-legacy": _bitget("bitget-legacy", Family.CLASSIC, "legacy"),
    "bitget-unified": _bitget("bitget-unified", Family.UNIFIED, "2026p"),
    "mexc": _mexc("mexc", "stream"),
    "mexc-ids": _mexc("mexc-ids", "other"),
}  # fmt: skip


def _binance(name: str, pairs: Mapping[str, Pair], market: Market, copies_ns: int = 0) -> Dialect:
    """Make one market of the venue: its data alone, nothing is traded."""

    def make(core: Core, seed: int, events_first: bool) -> tuple[Gateway, RestSide]:
        gateway = BinanceGateway(core, BinanceOptions(market, copies_ns))
        return gateway, BinanceRest(gateway)

    return _watched(name, pairs, "/stream", make)


def _watched(
    name: str, pairs: Mapping[str, Pair], path: str,
    make: Callable[[Core, int, bool], tuple[Gateway, RestSide]],
) -> Dialect:  # fmt: skip
    """Make a venue whose account nobody can reach."""
    return Dialect(
        name, pairs, path, "", ((0, 0),),
        dict.fromkeys(TIERS, Tier("uncounted", UNCOUNTED, UNCOUNTED, 1, UNCOUNTED, UNCOUNTED)),
        str.encode, fee_in_received=False, make=make,
    )  # fmt: skip


def _coinbase(core: Core, seed: int, events_first: bool) -> tuple[Gateway, RestSide]:
    gateway = CoinbaseGateway(core)
    return gateway, CoinbaseRest(gateway)


# Venues that are only watched: market data, as a source of the reference price.
WATCHED: Final[Mapping[str, Dialect]] = {
    "binance": _binance("binance", BINANCE_PAIRS, "spot"),
    "binance-cached": _binance("binance-cached", BINANCE_PAIRS, "spot", 1_000_000_000),
    "binance-usdm": _binance("binance-usdm", BINANCE_USDM_PAIRS, "usdm"),
    "binance-coinm": _binance("binance-coinm", BINANCE_COINM_PAIRS, "coinm"),
    "coinbase": _watched("coinbase", COINBASE_PAIRS, "/", _coinbase),
}


def dialect(venue: str) -> Dialect:
    """Return a venue's dialect.

    Raises:
        ConfigError: for a venue that is not simulated.
    """
    found = DIALECTS.get(venue) or WATCHED.get(venue)
    if found is None:
        raise ConfigError("sim.venue", venue, f"one of {', '.join((*DIALECTS, *WATCHED))}")
    return found


def paper_threshold(venue: str) -> int | None:
    """Return the counter of messages that a venue tells a paper account; None: it tells none."""
    tier = dialect(venue).tiers[PAPER_TIER]
    return None if tier.name != PAPER_TIER else tier.threshold_milli // 1000
