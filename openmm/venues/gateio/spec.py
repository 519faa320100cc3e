"""What Gate.io publishes about itself: addresses, limits, fees and error labels.

Source: Gate documentation "Spot WebSocket v4" (updated 2026-04-27) and "Gate API v4.106.88"
(overview and "Spot"), read 2026-05-27; frames captured by gocryptotrader and ccxt, 2021 to 2026.
Where neither settles a matter the choice stands in `Settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from openmm.venues.faults import Code, Fault

VENUE: Final = "gateio"


class Endpoints(Struct, frozen=True):
    """Where to connect. Every address can be replaced, for a simulated venue or a proxy."""

    ws: str = "wss://api.gateio.ws/ws/v4/"
    ws_private: str = ""  # "": the same address
    rest: str = "https://api.gateio.ws/api/v4"


# Books. Source: "Spot WebSocket v4", chapters order_book_update and obu.
UPDATE_INTERVALS: Final[Mapping[int, str]] = {20: "20ms", 100: "100ms"}  # by depth; needs REST
OBU_DEPTHS: Final = (50, 400)  # brings its own full book
DEPTHS: Final = (20, 50, 100, 400)
REST_DEPTH_MAX: Final = 100  # deeper copies are tens of seconds old: gatews issue 51

# Orders.
TEXT_PREFIX: Final = "t-"
TEXT_BYTES_MAX: Final = 28  # behind the prefix
BATCH_ORDERS_MAX: Final = 10  # of one pair
BATCH_PAIRS_MAX: Final = 4
CANCEL_IDS_MAX: Final = 20
DEAD_MAN_S_MIN: Final = 5
FILLS_LIMIT: Final = 1000
OPEN_ORDERS_LIMIT: Final = 100
FILLS_WINDOW_S: Final = 30 * 86_400

# Limits. Source: "frequency limit rule".
ORDERS_PER_S: Final = 10  # place and amend, per account and pair
CANCELS_PER_S: Final = 200
PUBLIC_PER_10_S: Final = 200  # each endpoint, per address
PRIVATE_PER_10_S: Final = 200
CLOCK_S_MAX: Final = 60

# Base tier, for an account that has not told its own. Source: fee schedule of 2026-04-09.
MAKER_FEE_PPM: Final = 1000
TAKER_FEE_PPM: Final = 1000


class Settings(Struct, frozen=True):
    """Choices the venue leaves to the client, or its documents leave open.

    What each takes stands in `config.schema.GateioOptions`, which reads them out of a file.

    Args:
        account: which account orders are for.
        stp_act: self-trade prevention; an error for accounts outside an STP group, so off.
        action_mode: how much a placement's answer tells; "" sends none and gets all of it.
        deadline_ms: a placement or amendment that reaches the venue later is refused; 0: never.
        login_param: `req_param` of the login: absent, as documented, or "{}" or '""', which other
            clients send and sign.
    """

    account: str = "spot"
    stp_act: str = ""
    action_mode: str = ""
    deadline_ms: int = 5000
    login_param: str = ""


def _faults(code: Code, retryable: bool, *labels: str) -> dict[str, Fault]:
    return dict.fromkeys(labels, Fault(code, retryable))


# By label; messages are never parsed: they repeat and contradict labels.
# Source: label list of the overview; ccxt's exception table; captures in gocryptotrader.
ERRORS: Final[Mapping[str, Fault]] = {
    **_faults(
        Code.ARGUMENTS, False, "INVALID_PROTOCOL", "INVALID_ARGUMENT", "INVALID_REQUEST_BODY",
        "MISSING_REQUIRED_PARAM", "BAD_REQUEST", "INVALID_CONTENT_TYPE", "NOT_ACCEPTABLE",
        "METHOD_NOT_ALLOWED", "NOT_FOUND", "INVALID_PARAM_VALUE", "TOO_MANY_CURRENCY_PAIRS",
        "TOO_MANY_ORDERS", "MIXED_ACCOUNT_TYPE", "REPEATED_CREATION",
    ),
    **_faults(
        Code.CREDENTIALS, False, "INVALID_CREDENTIALS", "INVALID_KEY", "INVALID_SIGNATURE",
        "MISSING_REQUIRED_HEADER",
    ),
    **_faults(Code.LOGIN, False, "AUTHENTICATION_FAILED"),
    **_faults(Code.PERMISSION, False, "IP_FORBIDDEN", "READ_ONLY", "FORBIDDEN"),
    **_faults(Code.ACCOUNT, False, "ACCOUNT_LOCKED"),
    **_faults(Code.CLOCK, True, "REQUEST_EXPIRED"),
    **_faults(Code.PRICE, False, "INVALID_PRECISION", "PRICE_THRESHOLD_EXCEEDED"),
    **_faults(Code.INSTRUMENT, False, "INVALID_CURRENCY", "INVALID_CURRENCY_PAIR",
              "ORDER_BOOK_NOT_FOUND"),
    **_faults(Code.MINIMUM, False, "AMOUNT_TOO_LITTLE", "AMOUNT_TOO_MUCH"),
    **_faults(Code.POST_ONLY, False, "POC_FILL_IMMEDIATELY"),
    **_faults(Code.FILL, False, "FOK_NOT_FILL"),
    **_faults(Code.FUNDS, False, "BALANCE_NOT_ENOUGH", "QUANTITY_NOT_ENOUGH",
              "MARGIN_BALANCE_NOT_ENOUGH"),
    **_faults(Code.UNKNOWN_ORDER, False, "ORDER_NOT_FOUND", "CLIENT_ID_NOT_FOUND", "ORDER_CLOSED",
              "ORDER_CANCELLED"),
    **_faults(Code.NO_CHANGE, False, "NO_CHANGE"),
    **_faults(Code.UNAVAILABLE, True, "CANCEL_FAIL"),
    **_faults(Code.MARGIN, False, "TRADE_RESTRICTED", "AUTO_BORROW_TOO_MUCH",
              "INITIAL_MARGIN_TOO_LOW", "MARGIN_NOT_SUPPORTED"),
    **_faults(Code.RATE_LIMIT, True, "TOO_MANY_REQUESTS"),
    **_faults(Code.THROTTLED, True, "TOO_FAST"),
    **_faults(Code.UNAVAILABLE, True, "TOO_BUSY"),
    **_faults(Code.INTERNAL, True, "INTERNAL", "SERVER_ERROR", "INTERNAL_SERVER_ERROR"),
}  # fmt: skip
# Of a subscription's `error.code`.
SUBSCRIBE_ERRORS: Final[Mapping[int, Fault]] = {
    1: Fault(Code.ARGUMENTS, False),
    2: Fault(Code.ARGUMENTS, False),
    3: Fault(Code.INTERNAL, True),
    4: Fault(Code.CREDENTIALS, False),
}


def classify(label: str, text: str = "") -> Fault:
    """Tell what an error label means; one of no known kind is `Code.UNKNOWN`, not retryable.

    An order below the minimum has no label of its own: its text tells, as captured live.
    """
    if label == "INVALID_PARAM_VALUE" and "order size" in text and "too small" in text:
        return Fault(Code.MINIMUM, False)
    return ERRORS.get(label, Fault(Code.UNKNOWN, False))


def classify_subscription(code: int, message: str) -> Fault:
    """Tell what a refused subscription means."""
    # A second subscription of an obu stream: the first one stands.
    if code == 2 and message.startswith("Alert sub"):
        return Fault(Code.ALREADY_SUBSCRIBED, False)
    return SUBSCRIBE_ERRORS.get(code, Fault(Code.UNKNOWN, False))


def venue_symbol(name: str) -> str:
    """Turn our name of a pair into the venue's: BTC/USDT is BTC_USDT."""
    return name.replace("/", "_")


def our_name(symbol: str) -> str:
    """Turn the venue's name of a pair into ours: BTC_USDT is BTC/USDT."""
    return symbol.replace("_", "/")


def stream_name(symbol: str, depth: int) -> str:
    """Name an obu stream."""
    return f"ob.{symbol}.{depth}"
