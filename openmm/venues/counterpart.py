"""What a simulated venue is made of: its records, and the core that every dialect speaks for.

A dialect turns one venue's wire protocol into calls of `Core` and its notices (`Listener`) back
into messages. The core knows no wire format. Quantities are lots, prices ticks, money atoms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from openmm.events import SystemMode
from openmm.instrument import Instrument


class Refusal(Enum):
    """Why the venue said no."""

    FUNDS = "funds"
    POST_ONLY = "post_only"
    PRICE = "price"  # missing, or not a price
    TICK = "tick"  # finer than the tick
    QTY = "qty"  # not a quantity, or finer than the lot
    QTY_MIN = "qty_min"
    COST_MIN = "cost_min"
    ORDERS_LIMIT = "orders_limit"
    RATE_LIMIT = "rate_limit"
    UNKNOWN_ORDER = "unknown_order"
    NO_CHANGE = "no_change"
    DUPLICATE_ID = "duplicate_id"
    DEADLINE = "deadline"
    INSTRUMENT = "instrument"
    CANCEL_ONLY = "cancel_only"
    POST_ONLY_MODE = "post_only_mode"
    MAINTENANCE = "maintenance"
    CAPACITY = "capacity"


class OrderState(Enum):
    """Where an order is in its life."""

    PENDING = "pending"
    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Change(Enum):
    """What a notice about an order reports."""

    PENDING = "pending"
    OPENED = "opened"
    TRADED = "traded"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    AMENDED = "amended"


@dataclass(frozen=True, slots=True)
class PlaceRequest:
    """An order as asked for. `price_ticks` is None for a market order."""

    instrument: str
    side: int
    qty_lots: int
    price_ticks: int | None
    tif: int  # _fast.matching.Tif
    post_only: bool
    stp: int  # _fast.matching.Stp
    client_id: str = ""
    user_ref: int | None = None
    deadline_ns: int | None = None
    expire_ns: int | None = None


@dataclass(slots=True)
class OrderRecord:
    """An order the venue took. Money is in atoms of the quote asset."""

    number: int
    venue_order_id: str
    account: int
    instrument: str
    side: int
    qty_lots: int
    price_ticks: int | None
    tif: int
    post_only: bool
    stp: int
    client_id: str
    user_ref: int | None
    created_ns: int
    touched_ns: int  # created or last amended: the rate counter's age
    expire_ns: int | None
    state: OrderState = OrderState.PENDING
    filled_lots: int = 0
    cost_atoms: int = 0
    fee_atoms: int = 0
    held_atoms: int = 0  # of `held_asset`
    held_asset: str = ""
    closed_ns: int = 0
    reason: str = ""
    fills: list[FillRecord] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether it may still trade."""
        return self.state in (OrderState.PENDING, OrderState.OPEN)


@dataclass(frozen=True, slots=True)
class FillRecord:
    """One execution of one account's order. The cumulative figures are those after it."""

    exec_id: str
    trade_id: int
    ref_id: str  # shared by its ledger entries
    venue_order_id: str
    instrument: str
    side: int
    price_ticks: int
    qty_lots: int
    cost_atoms: int
    fee_atoms: int
    fee_asset: str
    maker: bool
    ts_ns: int
    filled_lots: int
    order_cost_atoms: int
    order_fee_atoms: int
    ledger_ids: tuple[str, str]
    position: int  # of the fill in the account's history


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """A change of one balance: new balance = old + amount - fee."""

    ledger_id: str
    ref_id: str
    asset: str
    kind: str
    amount_atoms: int
    fee_atoms: int
    balance_atoms: int
    ts_ns: int


@dataclass(frozen=True, slots=True)
class TradeRecord:
    """A public trade."""

    instrument: str
    taker_side: int
    price_ticks: int
    qty_lots: int
    market_order: bool
    trade_id: int
    ts_ns: int


@dataclass(frozen=True, slots=True)
class Tier:
    """What an account may do: counter limit and decay (thousandths), open orders a pair."""

    name: str
    threshold_milli: int
    decay_milli_per_s: int
    orders_max: int
    rest_threshold_milli: int
    rest_decay_milli_per_s: int


class Listener(Protocol):
    """Told of everything that happens, at once and in order."""

    def on_order(
        self, order: OrderRecord, change: Change, fill: FillRecord | None, ts_ns: int
    ) -> None:
        """Take a change of an order."""

    def on_ledger(self, account: int, entry: LedgerRecord, ts_ns: int) -> None:
        """Take a change of a balance."""

    def on_trades(self, trades: Sequence[TradeRecord]) -> None:
        """Take trades of one taker."""

    def on_book(self, instrument: str, ts_ns: int) -> None:
        """Take note that the public book of an instrument changed."""

    def on_mode(self, mode: SystemMode, ts_ns: int) -> None:
        """Take a change of the trading mode."""

    def on_recorded(self, instrument: str, channel: str, frame: bytes, ts_ns: int) -> None:
        """Take a recorded public message to be served as it is."""


class Core(Protocol):
    """The venue behind a dialect. Every call takes the time; nothing reads a clock."""

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """Return what is traded, by name."""

    @property
    def accounts(self) -> Sequence[int]:
        """Return the numbers of the accounts."""

    @property
    def mode(self) -> SystemMode:
        """Return the trading mode."""

    @property
    def now_ns(self) -> int:
        """Return the moment up to which everything has happened."""

    def advance(self, now_ns: int) -> None:
        """Let everything that is due happen."""

    def next_ns(self) -> int | None:
        """Return when something happens next by itself, None for never."""

    def set_mode(self, mode: SystemMode, now_ns: int) -> None:
        """Change the trading mode."""

    def listen(self, listener: Listener) -> None:
        """Tell a listener from now on."""

    def recorded_depth(self, instrument: str) -> int:
        """Return the depth of the recording that is served, 0 without one."""

    def begin(self, instrument: str, now_ns: int) -> None:
        """Start serving a recording, if it waits for its first reader."""

    def account_of(self, key: str) -> int | None:
        """Return the account of an API key."""

    def secret_of(self, account: int) -> bytes:
        """Return the secret of an account's key."""

    def tier_of(self, account: int) -> Tier:
        """Return an account's tier."""

    def fees_ppm(self, account: int) -> tuple[int, int]:
        """Return maker and taker fee."""

    def new_id(self, prefix: str) -> str:
        """Make an id of the venue's form, `prefix` first."""

    def place(
        self, account: int, requests: Sequence[PlaceRequest], now_ns: int, validate: bool = False
    ) -> list[OrderRecord | Refusal | None]:
        """Place orders (None each if only validated); more than one is a batch."""

    def amend(
        self,
        account: int,
        order: OrderRecord,
        price_ticks: int | None,
        qty_lots: int | None,
        post_only: bool,
        now_ns: int,
        deadline_ns: int | None = None,
    ) -> Refusal | None:
        """Change an order in place."""

    def cancel(self, account: int, order: OrderRecord | None, now_ns: int) -> Refusal | None:
        """Cancel one order."""

    def cancel_many(
        self, account: int, orders: Sequence[OrderRecord], now_ns: int
    ) -> int | Refusal:
        """Cancel a batch, whatever the counter says; return how many."""

    def cancel_all(self, account: int, now_ns: int) -> int | Refusal:
        """Cancel everything of an account."""

    def arm(self, account: int, timeout_s: int, now_ns: int) -> int | Refusal:
        """Set (0: clear) the dead man's switch; return when it fires, 0 if never."""

    def order(self, account: int, venue_order_id: str) -> OrderRecord | None:
        """Find an order by the venue's id."""

    def by_client_id(self, account: int, client_id: str) -> list[OrderRecord]:
        """Find orders by the client's id, the open one first."""

    def orders(self, account: int) -> Sequence[OrderRecord]:
        """Return every order of an account, oldest first."""

    def open_orders(self, account: int) -> Sequence[OrderRecord]:
        """Return the open orders of an account, oldest first."""

    def fills(self, account: int) -> Sequence[FillRecord]:
        """Return every fill of an account, oldest first."""

    def balances(self, account: int) -> Mapping[str, tuple[int, int]]:
        """Return (total, held) atoms by asset."""

    def asset_decimals(self, asset: str) -> int:
        """Return the decimals of an asset's atoms."""

    def rate_milli(self, account: int, instrument: str, now_ns: int) -> int:
        """Return the engine's counter of a pair, in thousandths."""

    def depth(self, instrument: str, book_side: int, n: int) -> list[tuple[int, int]]:
        """Return the best levels of the public book."""

    def qty_at(self, instrument: str, book_side: int, price_ticks: int) -> int:
        """Return the quantity of the public book at a price."""

    def trades(self, instrument: str, n: int) -> Sequence[TradeRecord]:
        """Return the last trades, oldest first."""

    def statement(self, account: int) -> dict[str, object]:
        """Return the venue's own account of what happened: opening, ledger, closing, fills."""

    def config(self) -> dict[str, object]:
        """Return what the venue was set up with."""


class FaultWords(Protocol):
    """What a fault injector must know of a dialect's bytes; kinds are the scripts' words."""

    NUMBERED: tuple[str, ...]

    def kind_of_request(self, frame: bytes) -> str:
        """Return the kind of a client's message; "" for one of no kind."""

    def kind_of_message(self, frame: bytes) -> str:
        """Return the kind of a message of the venue: a channel, or `ack.` and what was asked."""

    def kind_of_call(self, method: str, target: str) -> str:
        """Return the kind of a REST call; "" for one of no kind."""

    def is_fill(self, frame: bytes) -> bool:
        """Whether a message tells of a fill."""

    def number_of(self, frame: bytes) -> int:
        """Return a message's sequence number, 0 without one."""

    def numbered(self, frame: bytes, sequence: int) -> bytes:
        """Write another sequence number into a message."""

    def wrong_checksum(self, frame: bytes) -> bytes:
        """Spoil what a reader verifies a book message by."""

    def garbled(self, frame: bytes) -> bytes:
        """Cut a message in its middle."""

    def lying(self, frame: bytes, amount: Decimal) -> bytes:
        """Change the balances that a pushed message tells."""

    def lying_reply(self, body: bytes, amount: Decimal) -> bytes:
        """Change the balances of a REST reply."""

    def refusal(self, frame: bytes, text: str, now_ns: int) -> bytes:
        """Write the answer that refuses a client's message."""

    def rest_refusal(self, text: str) -> tuple[int, bytes]:
        """Write the reply that refuses a REST call: status and body."""

    def orders_named(self, core: Core, account: int, frame: bytes) -> list[OrderRecord]:
        """Find the open orders that a client's message is about."""


class Session(Protocol):
    """One WebSocket connection at the venue's end."""

    last_frame_ns: int

    @property
    def account(self) -> int | None:
        """The account that may trade here."""

    @property
    def subscribed(self) -> bool:
        """Whether anything is subscribed to that keeps the connection up."""

    def poll(self, now_ns: int) -> list[bytes]:
        """Return what the venue has to say."""

    def on_client_frame(self, frame: bytes, now_ns: int) -> list[bytes]:
        """Carry out a request; return answers and what it set off, in order of sending."""


@runtime_checkable
class Authorised(Protocol):
    """A session that is told the query of its address: a credential stands in it."""

    def authorise(self, query: str, now_ns: int) -> None:
        """Take the credential."""


class Gateway(Protocol):
    """A dialect over a core: what sockets, pipes and faults join."""

    @property
    def core(self) -> Core:
        """The venue it speaks for."""

    @property
    def faults(self) -> FaultWords:
        """What a fault injector must know."""

    @property
    def sessions(self) -> Sequence[Session]:
        """The open sessions."""

    def connect(self, now_ns: int, private: bool) -> Session:
        """Open a session."""

    def drop(self, session: Any) -> None:
        """Forget a session whose socket is gone."""

    def expire_tokens(self) -> None:
        """End what connections were authorised by."""


class RestSide(Protocol):
    """The REST side of a dialect."""

    on_fault: Callable[[Mapping[str, str], int], str] | None

    def forget_calls(self) -> None:
        """Count no call made so far against a limit of calls."""

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, now_ns: int
    ) -> tuple[int, bytes]:
        """Return HTTP status and body of a request; `path` holds the query, if any."""
