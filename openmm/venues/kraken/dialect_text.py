"""How the simulated Kraken writes: exact decimals, times, names, error texts, fee table.

Source: Kraken API documentation (WebSocket v2 and REST), read in 2026; the venue sheet's samples.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from openmm.events import SystemMode
from openmm.instrument import Instrument
from openmm.venues.counterpart import OrderRecord, OrderState, Refusal

NS = 1_000_000_000
BUY, SELL = 1, 2
SIDE_TEXT = {BUY: "buy", SELL: "sell"}
TIF_TEXT = {1: "GTC", 2: "IOC", 3: "FOK"}

# Our asset: (altname, REST id). Others have one name everywhere.
REST_NAMES: Mapping[str, tuple[str, str]] = {
    "BTC": ("XBT", "XXBT"),
    "DOGE": ("XDG", "XXDG"),
    "ETH": ("ETH", "XETH"),
    "LTC": ("LTC", "XLTC"),
    "XRP": ("XRP", "XXRP"),
    "XLM": ("XLM", "XXLM"),
    "USD": ("USD", "ZUSD"),
    "EUR": ("EUR", "ZEUR"),
    "GBP": ("GBP", "ZGBP"),
}

REFUSALS: Mapping[Refusal, str] = {
    Refusal.FUNDS: "EOrder:Insufficient funds",
    Refusal.POST_ONLY: "EOrder:Post only order",
    Refusal.PRICE: "EOrder:Invalid price",
    Refusal.TICK: "EOrder:Tick size check failed",
    Refusal.QTY: "EGeneral:Invalid arguments:volume",
    Refusal.QTY_MIN: "EOrder:Order minimum not met",
    Refusal.COST_MIN: "EOrder:Cost minimum not met",
    Refusal.ORDERS_LIMIT: "EOrder:Orders limit exceeded",
    Refusal.RATE_LIMIT: "EOrder:Rate limit exceeded",
    Refusal.UNKNOWN_ORDER: "EOrder:Unknown order",
    Refusal.NO_CHANGE: "EGeneral:Invalid arguments:No amendable parameters",
    Refusal.DUPLICATE_ID: "EGeneral:Invalid arguments:cl_ord_id",
    Refusal.DEADLINE: "EService:Deadline elapsed",
    Refusal.INSTRUMENT: "EQuery:Unknown asset pair",
    Refusal.CANCEL_ONLY: "EService:Market in cancel_only mode",
    Refusal.POST_ONLY_MODE: "EService:Market in post_only mode",
    Refusal.MAINTENANCE: "EService:Unavailable",
    Refusal.CAPACITY: "EService:Busy",
}

MODE_TEXT: Mapping[SystemMode, str] = {
    SystemMode.ONLINE: "online",
    SystemMode.POST_ONLY: "post_only",
    SystemMode.CANCEL_ONLY: "cancel_only",
    SystemMode.MAINTENANCE: "maintenance",
}

CL_ORD_ID = re.compile(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[\x21-\x7e]{1,18}"
)


def fixed(points: int, decimals: int) -> str:
    """Write an integer of 10**-decimals with exactly that many decimals."""
    if decimals == 0:
        return str(points)
    sign = "-" if points < 0 else ""
    whole, rest = divmod(abs(points), 10**decimals)
    return f"{sign}{whole}.{rest:0{decimals}d}"


def price_text(pair: Instrument, price_ticks: int) -> str:
    """Write a price with the pair's decimals."""
    return fixed(price_ticks * pair.tick_points, pair.price_decimals)


def qty_text(pair: Instrument, qty_lots: int) -> str:
    """Write a quantity with the pair's decimals."""
    return fixed(qty_lots * pair.lot_points, pair.qty_decimals)


def average_text(pair: Instrument, order_cost_atoms: int, filled_lots: int) -> str:
    """Write an average price with the pair's decimals, rounded half even."""
    if filled_lots == 0:
        return fixed(0, pair.price_decimals)
    cost = Decimal(order_cost_atoms).scaleb(-pair.quote_decimals)
    return f"{cost / pair.qty(filled_lots):.{pair.price_decimals}f}"


@lru_cache(maxsize=64)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def time_text(ts_ns: int) -> str:
    """Write a time as RFC3339 with microseconds."""
    second, rest_ns = divmod(ts_ns, NS)
    return f"{_second_text(second)}.{rest_ns // 1000:06d}Z"


def second_text(ts_ns: int) -> str:
    """Write a time as RFC3339 in whole seconds."""
    return _second_text(ts_ns // NS) + "Z"


def parse_time(text: object) -> int | None:
    """Read an RFC3339 time to nanoseconds; None if it is not one."""
    if not isinstance(text, str):
        return None
    match = re.fullmatch(
        r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", text
    )
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(match[1] + (match[3] or "Z"))
    except ValueError:
        return None
    return int(moment.timestamp()) * NS + int((match[2] or "0").ljust(9, "0"))


def altname(asset: str) -> str:
    """Return an asset's short REST name."""
    return REST_NAMES.get(asset, (asset, asset))[0]


def rest_asset(asset: str) -> str:
    """Return an asset's REST id."""
    return REST_NAMES.get(asset, (asset, asset))[1]


def rest_pair(pair: Instrument) -> tuple[str, str, str]:
    """Return (result key, altname, wsname) of a pair."""
    base, quote = altname(pair.base), altname(pair.quote)
    legacy = pair.base in REST_NAMES and pair.quote in REST_NAMES
    key = rest_asset(pair.base) + rest_asset(pair.quote) if legacy else base + quote
    return key, base + quote, f"{base}/{quote}"


def order_status(order: OrderRecord) -> str:
    """Return an order's `order_status` on the executions channel."""
    if order.state is OrderState.OPEN:
        return "partially_filled" if order.filled_lots else "new"
    return {
        OrderState.PENDING: "pending_new",
        OrderState.FILLED: "filled",
        OrderState.CANCELLED: "canceled",
        OrderState.EXPIRED: "expired",
    }[order.state]
