"""What Kraken publishes about itself: addresses, limits, fees and error texts.

Source: Kraken API documentation (spot WebSocket v2, REST, trading limits, error messages), read
2026-06; krakenfx/kraken-api-sdk `docs/guides`, 2026. Figures marked so come from captures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from openmm.venues.faults import UNCERTAIN_CODES as UNCERTAIN_CODES
from openmm.venues.faults import Code as Code
from openmm.venues.faults import Fault as Fault

VENUE: Final = "kraken"


class Endpoints(Struct, frozen=True):
    """Where to connect. Every address can be replaced, for a simulated venue or a proxy."""

    ws_public: str = "wss://ws.kraken.com/v2"
    ws_private: str = "wss://ws-auth.kraken.com/v2"
    rest: str = "https://api.kraken.com"


DEPTHS: Final = (10, 25, 100, 500, 1000)
BATCH_ADD_ORDERS: Final = (2, 15)
BATCH_CANCEL_IDS: Final = (2, 50)
DEAD_MAN_S_MAX: Final = 86_399


class Tier(Struct, frozen=True):
    """Limits of the engine counter, one counter an account and pair."""

    threshold: int
    decay_milli_per_s: int
    rest_counter_max: int
    rest_decay_milli_per_s: int


# Source: "Spot Trading Limits", "Spot REST Rate Limits".
TIERS: Final[Mapping[str, Tier]] = {
    "starter": Tier(60, 1_000, 15, 330),
    "intermediate": Tier(125, 2_340, 20, 500),
    "pro": Tier(180, 3_750, 20, 1_000),
}

# (age below this many seconds, added to the counter), oldest last; older than all: 0.
ADD_COST: Final = 1
AMEND_COST: Final = 1
AMEND_AGE_COSTS: Final = ((5, 3), (10, 2), (15, 1))
CANCEL_COST: Final = 0
CANCEL_AGE_COSTS: Final = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))

# (30-day volume in USD from, maker, taker) in millionths. Crypto pairs; others have their own
# table, which AssetPairs and TradeVolume tell. Source: captured AssetPairs, November 2025.
FEE_TIERS_PPM: Final = (
    (0, 2500, 4000),
    (10_000, 2000, 3500),
    (50_000, 1400, 2400),
    (100_000, 1200, 2200),
    (250_000, 1000, 2000),
    (500_000, 800, 1800),
    (1_000_000, 600, 1600),
    (2_500_000, 400, 1400),
    (5_000_000, 200, 1200),
    (10_000_000, 0, 1000),
)


# Matched by prefix, first hit wins; the raw text is always kept.
# Source: "Spot Error Messages"; SDK error-handling.md, error.rs; captures in kraken-async-rs, ccxt.
ERRORS: Final[tuple[tuple[str, Fault], ...]] = (
    ("EOrder:Insufficient funds", Fault(Code.FUNDS, False)),
    ("EOrder:Post only order", Fault(Code.POST_ONLY, False)),
    ("EOrder:Invalid price", Fault(Code.PRICE, False)),
    ("EOrder:Tick size check failed", Fault(Code.PRICE, False)),
    ("EOrder:Order minimum not met", Fault(Code.MINIMUM, False)),
    ("EOrder:Cost minimum not met", Fault(Code.MINIMUM, False)),
    ("EOrder:Orders limit exceeded", Fault(Code.ORDERS_LIMIT, True)),
    ("EOrder:Scheduled orders limit exceeded", Fault(Code.ORDERS_LIMIT, False)),
    ("EOrder:Rate limit exceeded", Fault(Code.RATE_LIMIT, True)),
    ("EOrder:Domain rate limit exceeded", Fault(Code.RATE_LIMIT, True)),
    ("EOrder:Unknown order", Fault(Code.UNKNOWN_ORDER, False)),
    ("EOrder:Invalid order", Fault(Code.UNKNOWN_ORDER, False)),
    ("EOrder:Positions limit exceeded", Fault(Code.MARGIN, False)),
    ("EOrder:Reduce only", Fault(Code.MARGIN, False)),
    ("EOrder:Insufficient margin", Fault(Code.MARGIN, False)),
    ("EOrder:Margin", Fault(Code.MARGIN, False)),
    ("EOrder:Cannot open position", Fault(Code.MARGIN, False)),
    ("EService:Unavailable", Fault(Code.UNAVAILABLE, False)),
    ("EService:Busy", Fault(Code.UNAVAILABLE, False)),
    ("EService:Deadline elapsed", Fault(Code.DEADLINE, True)),
    ("EService:Market in", Fault(Code.MODE, False)),
    ("EService:Throttled", Fault(Code.THROTTLED, True)),
    ("EGeneral:Invalid arguments", Fault(Code.ARGUMENTS, False)),
    ("EGeneral:Permission denied", Fault(Code.PERMISSION, False)),
    ("EAccount:Invalid permissions", Fault(Code.PERMISSION, False)),
    ("EGeneral:Internal error", Fault(Code.INTERNAL, False)),
    ("EGeneral:Temporary lockout", Fault(Code.LOCKOUT, False)),
    ("EGeneral:Too many requests", Fault(Code.CALL_RATE, True)),
    ("EAuth:Rate limit exceeded", Fault(Code.CALL_RATE, True)),
    ("EAuth:Too many requests", Fault(Code.CALL_RATE, True)),
    ("EAPI:Rate limit exceeded", Fault(Code.CALL_RATE, True)),
    ("EAuth:Account temporary disabled", Fault(Code.ACCOUNT, False)),
    ("EAPI:Invalid key", Fault(Code.CREDENTIALS, False)),
    ("EAPI:Invalid signature", Fault(Code.CREDENTIALS, False)),
    ("EAPI:Invalid nonce", Fault(Code.NONCE, True)),
    ("EAPI:Invalid token", Fault(Code.TOKEN, True)),
    ("ESession:Invalid session", Fault(Code.TOKEN, True)),
    ("EAuth:", Fault(Code.CREDENTIALS, False)),
    ("EQuery:Unknown asset", Fault(Code.INSTRUMENT, False)),  # and "Unknown asset pair"
    ("ETrade:User Locked", Fault(Code.ACCOUNT, False)),
    ("Exceeded msg rate", Fault(Code.CALL_RATE, True)),
    ("Currency pair not supported", Fault(Code.INSTRUMENT, False)),
    ("Symbol(s) not found", Fault(Code.INSTRUMENT, False)),
    ("Token(s) not found", Fault(Code.TOKEN, True)),
    ("Already subscribed", Fault(Code.ALREADY_SUBSCRIBED, False)),
    ("Unsupported field", Fault(Code.ARGUMENTS, False)),
    ("Unsupported event", Fault(Code.ARGUMENTS, False)),
    ("Subscription name invalid", Fault(Code.ARGUMENTS, False)),
    ("Subscription depth not supported", Fault(Code.ARGUMENTS, False)),
    ("Malformed request", Fault(Code.ARGUMENTS, False)),
)
# Texts whose telling part stands anywhere in them.
ERRORS_WITHIN: Final[tuple[tuple[str, Fault], ...]] = (
    ("Unknown order", Fault(Code.UNKNOWN_ORDER, False)),
    ("Already subscribed", Fault(Code.ALREADY_SUBSCRIBED, False)),
    ("Exceeded msg rate", Fault(Code.CALL_RATE, True)),
    ("field must be a number_float", Fault(Code.ARGUMENTS, False)),
    ("(s) not found", Fault(Code.ARGUMENTS, False)),
)


def classify(text: str) -> Fault:
    """Tell what an error text means; a text of no known kind is `Code.UNKNOWN`, not retryable."""
    # Its class is not settled by any source.
    if "No amendable parameters" in text:
        return Fault(Code.NO_CHANGE, False)
    for prefix, fault in ERRORS:
        if text.startswith(prefix):
            return fault
    for part, fault in ERRORS_WITHIN:
        if part in text:
            return fault
    return Fault(Code.UNKNOWN, False)


def venue_symbol(wsname: str) -> str:
    """Turn a REST `wsname` into the name used on WebSocket v2: XBT is BTC, XDG is DOGE.

    Source: "Get Tradable Asset Pairs"; nautechsystems/nautilus_trader issues 3509, 3961.
    """
    return "/".join({"XBT": "BTC", "XDG": "DOGE"}.get(asset, asset) for asset in wsname.split("/"))
