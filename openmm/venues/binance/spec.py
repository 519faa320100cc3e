"""What Binance publishes about itself: addresses, depths and error codes. Market data only.

Source: Binance documentation, "Spot API", "USDⓈ-M Futures", "COIN-M Futures" (general info, market
data streams, market data endpoints), read 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct

from openmm.venues.faults import Code, Fault

VENUE: Final = "binance"
Market = Literal["spot", "usdm", "coinm"]


class Endpoints(Struct, frozen=True):
    """Where to connect. Every address can be replaced, for a simulated venue or a proxy."""

    ws: str
    rest: str


class Paths(Struct, frozen=True):
    """What differs between the markets."""

    endpoints: Endpoints
    api: str  # of every REST path
    depth: str  # of the depth stream, behind the `@`
    trades: str


MARKETS: Final[Mapping[str, Paths]] = {
    "spot": Paths(
        Endpoints("wss://stream.binance.com:9443/stream", "https://api.binance.com"),
        "/api/v3", "depth@100ms", "trade",
    ),
    "usdm": Paths(
        Endpoints("wss://fstream.binance.com/stream", "https://fapi.binance.com"),
        "/fapi/v1", "depth@0ms", "aggTrade",
    ),
    "coinm": Paths(
        Endpoints("wss://dstream.binance.com/stream", "https://dapi.binance.com"),
        "/dapi/v1", "depth@0ms", "aggTrade",
    ),
}  # fmt: skip


class Settings(Struct, frozen=True):
    """Which market is watched: `config.schema.BinanceOptions`."""

    market: Market = "spot"


_FAULTS: Final[Mapping[int, Fault]] = {
    -1003: Fault(Code.CALL_RATE, True),
    -1100: Fault(Code.ARGUMENTS, False),
    -1121: Fault(Code.INSTRUMENT, False),
    -1000: Fault(Code.INTERNAL, True),
    -1001: Fault(Code.UNAVAILABLE, True),
    -1007: Fault(Code.UNAVAILABLE, True),
    -1008: Fault(Code.THROTTLED, True),
}


PERPETUAL: Final = "_PERP"  # ends a COIN-M symbol
# What a COIN-M contract is worth, in dollars, by base; any other base's: ten.
# Source: "COIN-M Futures", contract specifications; exchangeInfo's `contractSize`.
_CONTRACT_USD: Final[Mapping[str, Decimal]] = {"BTC": Decimal(100)}
CONTRACT_USD: Final = Decimal(10)
CONTRACT_QTY_DECIMALS: Final = 12  # of a contract's worth in base


def contract_usd(base: str) -> Decimal:
    """Return what one COIN-M contract is worth, in dollars."""
    return _CONTRACT_USD.get(base, CONTRACT_USD)


def contract_lot(contracts: Decimal, size: Decimal, price: Decimal) -> Decimal:
    """Return what contracts of a size in the quote currency are worth in base at a price.

    Raises:
        ArithmeticError: that is out of range.
    """
    worth = contracts * size / price
    return worth.quantize(Decimal(1).scaleb(-CONTRACT_QTY_DECIMALS)).normalize()


def classify(code: int) -> Fault:
    """Return what an error code means; one that is not known may not be repeated."""
    return _FAULTS.get(code, Fault(Code.UNKNOWN, False))


def venue_symbol(instrument: str, market: str) -> str:
    """Return the venue's name of a pair; on COIN-M that of its perpetual."""
    base, _, quote = instrument.partition("/")
    return f"{base}{quote}{PERPETUAL}" if market == "coinm" else base + quote
