"""What happened and what is to be done: the frozen values that cross layers on the slow path.

Events are past tense, commands imperative. Quantities are integers in the instrument's ticks and
lots; amounts of money are exact decimals as the venue stated them. A client id is the text the
venue sees; `seq` is its order-table sequence, 0 when the order is not ours. Their tags tell them
apart in the journal's calls (`engine/entry.py`).
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from msgspec import Struct

from openmm.instrument import Instrument


class OrderStatus(Enum):
    """A venue's view of an order."""

    UNKNOWN = "unknown"
    PENDING = "pending"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def terminal(self) -> bool:
        """Whether the venue calls the order finished."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED}
)


class SystemMode(Enum):
    """A venue's trading mode."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    POST_ONLY = "post_only"
    CANCEL_ONLY = "cancel_only"
    MAINTENANCE = "maintenance"


class Source(Enum):
    """Which evidence an order event rests on."""

    ACK = "ack"
    STREAM = "stream"
    SNAPSHOT = "snapshot"
    QUERY = "query"
    TIMEOUT = "timeout"


# Typed reasons of a refusal after which no retry helps: the key, its rights, or the account.
FATAL_CODES = frozenset({"permission", "credentials", "account", "lockout"})

# Those that say "too often": the same request passes later.
RATES = frozenset({"rate_limit", "call_rate", "throttled"})


class Fee(Struct, frozen=True):
    """An amount charged (negative: a rebate) in one asset, as the venue stated it."""

    asset: str
    amount: Decimal


class RequestAccepted(Struct, frozen=True, tag=True):
    """The venue took a request.

    `kind`: add, amend, cancel, cancel_all, dead_man, subscribe, ping.
    """

    kind: str
    req_id: int
    client_id: str = ""
    venue_order_id: str = ""
    count: int = 0
    index: int = -1  # position in a batch, -1 for the whole request


class RequestRefused(Struct, frozen=True, tag=True):
    """The venue refused a request (one order of a batch, or the whole of it)."""

    kind: str
    req_id: int
    text: str
    code: str  # typed reason, see venues/<venue>/errors
    retryable: bool
    client_id: str = ""
    index: int = -1  # position in a batch, -1 for the whole request


class OrderUpdated(Struct, frozen=True, tag=True):
    """The state of an order by the venue's word. None: the message did not say."""

    venue_order_id: str
    client_id: str
    status: OrderStatus
    source: Source
    ts_ns: int
    price_ticks: int | None = None
    qty_lots: int | None = None
    filled_lots: int | None = None
    side: int | None = None  # Side.BUY, Side.SELL
    reason: str = ""
    amended: bool = False
    instrument: str = ""


class OrderFilled(Struct, frozen=True, tag=True):
    """One execution of an order on the account.

    `exec_id` is the venue's, unique: a doubled fill books once. Of a pair that is not loaded only
    `qty` and `cost` are told, ticks and lots are 0.
    """

    exec_id: str
    venue_order_id: str
    client_id: str
    instrument: str
    side: int
    price_ticks: int
    qty_lots: int
    cost: Decimal  # in quote, as the venue stated it
    fees: tuple[Fee, ...]
    maker: bool
    ts_ns: int
    source: Source = Source.STREAM
    trade_id: int = 0
    filled_lots: int | None = None  # cumulative after this fill, when told
    qty: Decimal | None = None  # in base, where the pair's lots are not known to the reader


class BalanceUpdated(Struct, frozen=True, tag=True):
    """Total of one asset after a change (or in a snapshot); `kind` is the venue's ledger type."""

    asset: str
    total: Decimal
    change: Decimal | None
    fee: Decimal
    kind: str  # snapshot, trade, deposit, withdrawal, ...
    ref_id: str
    ts_ns: int


class StatusChanged(Struct, frozen=True, tag=True):
    """The venue's trading mode changed (or was told on connect)."""

    mode: SystemMode
    text: str


class InstrumentUpdated(Struct, frozen=True, tag=True):
    """A venue told what it lists: steps, minimums and trading status of one pair."""

    instrument: Instrument


class TickerUpdated(Struct, frozen=True, tag=True):
    """Best prices and the day's figures of one pair, as the venue stated them."""

    instrument: str
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal
    last: Decimal
    volume: Decimal  # of 24 hours, in base
    ts_ns: int  # 0: the venue did not say


class Subscribed(Struct, frozen=True, tag=True):
    """A subscription was acknowledged. `rate_threshold`: the account's counter limit, when told."""

    channel: str
    instrument: str = ""
    rate_threshold: int | None = None


class StreamGapped(Struct, frozen=True, tag=True):
    """A private stream lost messages: reconcile by query and resubscribe."""

    channel: str
    expected: int
    seen: int


class Unrecognised(Struct, frozen=True, tag=True):
    """A message of no known kind; kept, logged once, never acted upon."""

    text: str


Event = (
    RequestAccepted
    | RequestRefused
    | OrderUpdated
    | OrderFilled
    | BalanceUpdated
    | StatusChanged
    | InstrumentUpdated
    | TickerUpdated
    | Subscribed
    | StreamGapped
    | Unrecognised
)
