"""What MEXC publishes about itself: addresses, limits, fees and error codes.

Source: MEXC API documentation (spot v3), pages of 2025-08, 2025-11 and 2026;
mexcdevelop/websocket-proto of 2026-06-17; mexcdevelop/mexc-api-demo of 2026-03; ccxt 4.5.90; issues
quoted there. Where they leave a matter open the choice stands in `Settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from openmm.venues.faults import Code, Fault

VENUE: Final = "mexc"


class Endpoints(Struct, frozen=True):
    """Where to connect. Every address can be replaced, for a simulated venue or a proxy."""

    ws: str = "wss://wbs-api.mexc.com/ws"
    ws_private: str = ""  # "": the same address
    rest: str = "https://api.mexc.com"


# Books. Source: "Partial Book Depth Streams", "Diff.Depth Stream", "Order Book".
WHOLE_DEPTHS: Final = (5, 10, 20)  # limit.depth: every push is whole
COPY_DEPTHS: Final = (100, 500, 1000)  # aggre.depth behind a REST copy
REST_DEPTH_MAX: Final = 5000
INTERVALS: Final = ("10ms", "100ms")

# Connections. Source: "WebSocket Market Streams", general information.
PING_EVERY_S: Final = 15.0
IDLE_CLOSE_S: Final = 60
UNSUBSCRIBED_CLOSE_S: Final = 30
SUBSCRIPTIONS_MAX: Final = 30
LISTEN_KEY_S: Final = 3600
KEYS_CONNECTIONS_MAX: Final = 5
# Kept open for orders, so that none waits for a handshake; a few, so that none waits for another.
ORDER_CONNECTIONS: Final = 4

# Orders.
BATCH_ORDERS_MAX: Final = 20
CLIENT_ID_BYTES_MAX: Final = 32
# Place, cancel, batch and cancel-all count in one. Source: page "New Order", 2026.
ORDERS_PER_S: Final = 12
OPEN_ORDERS_MAX: Final = 500
CLOCK_AHEAD_MS_MAX: Final = 1000
FILLS_LIMIT: Final = 100
FILLS_WINDOW_S: Final = 30 * 86_400

# Weight of ten seconds: the documents disagree on 500 or 300, and on who shares it.
WEIGHT_PER_10_S: Final = 300

# Base tier, for an account that has not told its own. Source: help articles of 2025-07, 2025-09.
MAKER_FEE_PPM: Final = 0
TAKER_FEE_PPM: Final = 500


class Settings(Struct, frozen=True):
    """Choices the venue leaves to the client, or its documents leave open.

    What each takes stands in `config.schema.MexcOptions`, which reads them out of a file.

    Args:
        interval: how long the venue gathers changes for one push of the book.
        recv_window_ms: a request that reaches the venue later than this is refused.
        stp_mode: self-trade prevention, for accounts in a strategy group; "" sends none.
        orders_per_s: requests that place or cancel, of the account: a market maker's programme
            grants more than the published twelve.
    """

    interval: str = "10ms"
    recv_window_ms: int = 5000
    stp_mode: str = ""
    orders_per_s: int = ORDERS_PER_S


def _faults(code: Code, retryable: bool, *codes: int) -> dict[int, Fault]:
    return dict.fromkeys(codes, Fault(code, retryable))


# By code: texts may be Chinese, and change. Source: "Error Code"; ccxt's exception table; issues.
ERRORS: Final[Mapping[int, Fault]] = {
    **_faults(Code.UNKNOWN_ORDER, False, -2011, -2013),
    **_faults(Code.INSTRUMENT, False, -1121, 10007, 30014, 30021),
    **_faults(
        Code.ARGUMENTS, False, -1127, -1128, 700004, 700005, 700008, 700013, 10095, 30026, 33333,
        44444,
    ),
    **_faults(Code.MODE, False, 26, 30000, 30001, 30016, 30018, 30019, 30027, 30028, 30032, 30041,
              30051),
    **_faults(Code.CREDENTIALS, False, 400, 401, 602, 700001, 700002, 10072),
    **_faults(Code.CALL_RATE, True, 403),
    **_faults(Code.LOCKOUT, False, 418),
    **_faults(Code.RATE_LIMIT, True, 429),
    **_faults(Code.INTERNAL, False, 500, 502, 503, 504),
    **_faults(Code.CLOCK, True, 700003, 10073),
    **_faults(Code.PERMISSION, False, 700006, 700007, 30020),
    **_faults(Code.FUNDS, False, 10101, 30004, 30005),
    **_faults(Code.MINIMUM, False, 30002, 30003, 10097, 10102),
    **_faults(Code.PRICE, False, 10096, 30010, 30087),
    **_faults(Code.FILL, False, 30025),
    **_faults(Code.ORDERS_LIMIT, True, 30029),
    **_faults(Code.ACCOUNT, False, 60005, 70011),
}  # fmt: skip
# Codes of answers that are no refusal.
OK_CODES: Final = frozenset({0, 200})
# What the venue answers a private address with when its key is not good: text, not JSON.
BAD_LISTEN_KEY: Final = b"Invalid listen key"


def classify(code: int) -> Fault:
    """Tell what an error code means; one of no known kind is `Code.UNKNOWN`, not retryable."""
    return ERRORS.get(code, Fault(Code.UNKNOWN, False))


def venue_symbol(name: str) -> str:
    """Turn our name of a pair into the venue's: BTC/USDT is BTCUSDT."""
    return name.replace("/", "")
