"""What Bitget publishes about itself: addresses, limits, fees and error codes.

Two families of accounts with two interfaces: classic accounts use API v2, unified accounts API v3;
a key of one is refused by the other. Where no source settles a matter the choice stands in
`Settings`.

Source: Bitget API documentation, crawl of 2025-12-05, and its 2026 pages "Depth Channel" and "Best
Practices"; BitgetLimited/v3-bitget-api-sdk; ccxt 4.5.90; captures quoted there, 2022 to 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from msgspec import Struct

from openmm.errors import ConfigError
from openmm.venues.faults import Code, Fault

VENUE: Final = "bitget"


class Family(Enum):
    """Which interface an account is served by."""

    CLASSIC = "classic"  # API v2
    UNIFIED = "unified"  # API v3


class Endpoints(Struct, frozen=True):
    """Where to connect; an empty address is the family's own."""

    ws_public: str = ""
    ws_private: str = ""
    rest: str = "https://api.bitget.com"

    def public(self, family: Family) -> str:
        """Return where market data comes from."""
        return self.ws_public or f"wss://ws.bitget.com/{version(family)}/ws/public"

    def private(self, family: Family) -> str:
        """Return where orders go and private streams come from."""
        return self.ws_private or f"wss://ws.bitget.com/{version(family)}/ws/private"


def version(family: Family) -> str:
    """Return the path element of a family's interface."""
    return "v2" if family is Family.CLASSIC else "v3"


# Books: levels subscribed, and the channel that brings them. Source: "Depth Channel" of both.
FULL_DEPTH: Final = 400  # the one channel of changes; how deep it is, no source says
CHANNELS: Final[Mapping[Family, Mapping[int, str]]] = {
    Family.CLASSIC: {1: "books1", 5: "books5", 15: "books15", FULL_DEPTH: "books"},
    Family.UNIFIED: {1: "books1", 5: "books5", 50: "books50", FULL_DEPTH: "books"},
}
CHECKSUM_LEVELS: Final = 25
REST_DEPTH_MAX: Final = 150

# Connections. Source: "Websocket API", FAQ.
PING_EVERY_S: Final = 20
IDLE_CLOSE_S: Final = 120
MESSAGES_PER_S: Final = 10  # of one connection, pings counted
SUBSCRIBES_PER_HOUR: Final = 240
SUBSCRIBE_BYTES_MAX: Final = 4096
LOGIN_PATH: Final = "/user/verify"
CLOCK_S_MAX: Final = 30

# Orders.
BATCH_ORDERS_MAX: Final[Mapping[Family, int]] = {Family.CLASSIC: 50, Family.UNIFIED: 20}
CLIENT_ID_BYTES_MAX: Final = 32  # what both families take
DEAD_MAN_S: Final = (5, 60)  # unified accounts only
ORDER_INFO_BY_CLIENT_ID_S: Final = 7200
FILLS_WINDOW_S: Final = 30 * 86_400
PAGE: Final = 100

# Requests a second of one account. Source: heading of each page.
ORDERS_PER_S: Final = 10
CANCELS_PER_S: Final = 10
REST_PER_MINUTE: Final = 6000

# Base tier, for an account that has not told its own. Source: hummingbot defaults, 2026.
MAKER_FEE_PPM: Final = 1000
TAKER_FEE_PPM: Final = 1000


class Settings(Struct, frozen=True):
    """Choices the venue leaves to the client, or its documents leave open.

    What each takes stands in `config.schema.BitgetOptions`, which reads them out of a file.

    Args:
        account: which interface to use; auto begins as classic and follows the venue's refusal.
        stp_mode: self-trade prevention; "" sends none.
        fills: the classic channel whose executions are booked: `orders` states the fee's sign, on
            `fill` a positive fee is a charge, as captured, and a rebate cannot be told.
        amend: change unified orders in place; that they keep their id is not documented.
        decoded_query: sign the query as text, not percent-encoded: what the venue takes today.
        demo: send the header that selects the demo account.
    """

    account: str = "auto"
    stp_mode: str = ""
    fills: str = "orders"
    amend: bool = False
    decoded_query: bool = True
    demo: bool = False

    @property
    def family(self) -> Family:
        """The interface to begin with."""
        return Family.UNIFIED if self.account == "unified" else Family.CLASSIC


def book_channel(family: Family, depth: int) -> str:
    """Name the channel of a book.

    Raises:
        ConfigError: for a depth the family does not offer.
    """
    try:
        return CHANNELS[family][depth]
    except KeyError:
        allowed = f"one of {', '.join(map(str, CHANNELS[family]))} on {family.value} accounts"
        raise ConfigError("venue.bitget.depth", depth, allowed) from None


def _faults(code: Code, retryable: bool, *codes: str) -> dict[str, Fault]:
    return dict.fromkeys(codes, Fault(code, retryable))


# By code: the wording was revised in October 2025 and comes in the language of a header.
# Source: "REST API error code"; hummingbot constants for 30xxx; "WebSocket error code" for 25xxx;
# captures in ccxt.
ERRORS: Final[Mapping[str, Fault]] = {
    **_faults(Code.CALL_RATE, True, "429", "30006", "30007", "25004"),
    **_faults(
        Code.CREDENTIALS, False, "40001", "40002", "40003", "40005", "40006", "40009", "40011",
        "40012", "40036", "40037", "30005", "30011", "30012", "30015",
    ),
    **_faults(Code.LOGIN, False, "30004"),
    **_faults(Code.CLOCK, True, "40008", "30013", "30014"),
    **_faults(Code.PERMISSION, False, "40014", "40018", "40038", "40084", "40085"),
    **_faults(
        Code.ARGUMENTS, False, "40007", "40017", "40019", "40020", "40034", "40304", "40305",
        "40402", "40912", "40913", "40924", "41100", "41101", "30001", "30002", "30003", "30016",
    ),
    # An id used before: whatever stands under it must be looked up.
    **_faults(Code.INTERNAL, False, "43118", "45034", "25212"),
    **_faults(Code.DEADLINE, True, "40078", "40079"),
    **_faults(
        Code.UNAVAILABLE, False, "40010", "40015", "40200", "40725", "43059", "45001",
    ),
    **_faults(
        Code.UNKNOWN_ORDER, False, "40109", "43001", "43004", "31007", "45057", "22001", "45055",
        "45056", "45031", "25204", "24056",
    ),
    **_faults(Code.PRICE, False, "40706", "41103", "43028", "45035", "45115", "41117", "43008",
              "43009", "43039", "43040"),
    **_faults(Code.ORDERS_LIMIT, True, "40761", "40723", "43005", "43128", "45118", "25211"),
    **_faults(Code.FUNDS, False, "40762", "43012", "40754", "45002", "25202"),
    **_faults(Code.INSTRUMENT, False, "41113", "41114", "43115", "43119", "43120", "40102",
              "42016", "22004"),
    **_faults(Code.MINIMUM, False, "43006", "43007", "43010", "43027", "43037", "43038", "45110",
              "45111", "45112", "45113"),
    **_faults(Code.THROTTLED, True, "45129"),
}  # fmt: skip
# A key of the other family was used.
UNIFIED_ON_CLASSIC: Final = "40085"
CLASSIC_ON_UNIFIED: Final = "40084"
# A notice, about a minute before the venue closes the connection.
UPGRADE_NOTICE: Final = "30033"
LOGIN_CODES: Final = frozenset(
    {"30004", "30005", "30011", "30012", "30013", "30014", "30015"}
)  # fmt: skip
OK_CODES: Final = frozenset({"0", "00000"})


def classify(code: str, text: str = "") -> Fault:
    """Tell what an error code means; one of no known kind is `Code.UNKNOWN`, not retryable.

    Code 40808 names two things: a parameter that was checked, or a server in maintenance, after
    which the outcome is not known.
    """
    if code == "40808":
        checked = "check" in text.lower()
        return Fault(Code.ARGUMENTS if checked else Code.INTERNAL, False)
    return ERRORS.get(code, Fault(Code.UNKNOWN, False))
