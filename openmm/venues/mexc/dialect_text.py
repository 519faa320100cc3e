"""How the simulated MEXC writes: protobuf, decimals, orders and fills.

Messages are written field by field in ascending order, empty and zero ones left out, as captured
frames are.

Source: mexcdevelop/websocket-proto of 2026-06-17; MEXC API documentation, 2025-08 to 2026.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from openmm._fast.matching import Tif
from openmm.instrument import Instrument
from openmm.venues.counterpart import Core, FillRecord, OrderRecord, OrderState, Refusal

NS: Final = 1_000_000_000
MS: Final = 1_000_000
BUY, SELL = 1, 2
SIDES: Final = {"BUY": BUY, "SELL": SELL}
SIDE_TEXT: Final = {BUY: "BUY", SELL: "SELL"}
TIFS: Final[Mapping[str, int]] = {
    "LIMIT": Tif.GTC, "LIMIT_MAKER": Tif.GTC, "IMMEDIATE_OR_CANCEL": Tif.IOC,
    "FILL_OR_KILL": Tif.FOK,
}  # fmt: skip
TYPE_NUMBERS: Final = {
    "LIMIT": 1, "LIMIT_MAKER": 2, "IMMEDIATE_OR_CANCEL": 3, "FILL_OR_KILL": 4,
}  # fmt: skip
FIRST_ORDER_ID: Final = (
    505_979_017_439_002_624_000  # an order's id is `C02__` and this plus its number
)
FIRST_TRADE_ID: Final = 731_901_896_985_399_296

# (HTTP status, code, message).
REFUSALS: Final[Mapping[Refusal, tuple[int, int, str]]] = {
    Refusal.FUNDS: (400, 30004, "Insufficient position"),
    # SIM: what a refused post-only order gets is not documented; by default it is taken.
    Refusal.POST_ONLY: (400, 30041, "current order type can not place order"),
    Refusal.PRICE: (400, 30010, "no valid trade price"),
    Refusal.TICK: (400, 10096, "amount decimal places is too long"),
    Refusal.QTY: (400, 10096, "amount decimal places is too long"),
    Refusal.QTY_MIN: (400, 30002, "The minimum transaction volume cannot be less than:0.5USDT"),
    Refusal.COST_MIN: (400, 30002, "The minimum transaction volume cannot be less than:0.5USDT"),
    Refusal.ORDERS_LIMIT: (400, 30029, "cannot exceed the maximum order limit"),
    Refusal.RATE_LIMIT: (429, 429, "Too Many Requests"),
    Refusal.UNKNOWN_ORDER: (400, -2011, "Unknown order sent."),
    Refusal.NO_CHANGE: (400, 33333, "param error"),
    Refusal.DUPLICATE_ID: (400, 33333, "param error"),  # SIM: not documented
    Refusal.DEADLINE: (400, 700003, "Timestamp for this request is outside of the recvWindow."),
    Refusal.INSTRUMENT: (400, -1121, "Invalid symbol."),
    Refusal.CANCEL_ONLY: (400, 30016, "trading disabled"),
    Refusal.POST_ONLY_MODE: (400, 30041, "current order type can not place order"),
    Refusal.MAINTENANCE: (503, 503, "Service Unavailable"),
    Refusal.CAPACITY: (400, 30029, "cannot exceed the maximum order limit"),
}
assert set(REFUSALS) == set(Refusal), "every refusal of the core has its code"


class Refused(ValueError):
    """A request the venue refuses."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message


def refused(refusal: Refusal) -> Refused:
    """Make the error of a refusal of the core."""
    return Refused(*REFUSALS[refusal])


def dump(value: object) -> bytes:
    """Write JSON as the venue does."""
    return json.dumps(value, separators=(",", ":")).encode()


# --- protobuf


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(fields: Iterable[tuple[int, int | str | bytes]]) -> bytes:
    """Write a message: (number, varint, text or message); empty and zero fields are left out."""
    out = bytearray()
    for number, value in fields:
        if not value:
            continue
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(value)
            continue
        data = value.encode() if isinstance(value, str) else value
        out += _varint(number << 3 | 2) + _varint(len(data)) + data
    return bytes(out)


def push(channel: str, symbol: str, number: int, body: bytes, ts_ns: int) -> bytes:
    """Write a push: the wrapper's fields, then its body under `number`; never an empty body."""
    head = message([(1, channel), (3, symbol), (6, ts_ns // MS)])
    return head + _varint(number << 3 | 2) + _varint(len(body)) + body


# --- numbers


def plain(value: Decimal) -> str:
    """Write a decimal with the fewest digits, never with an exponent."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def price_text(pair: Instrument, price_ticks: int) -> str:
    """Write a price as streams do, unpadded."""
    return plain(pair.price(price_ticks))


def qty_text(pair: Instrument, qty_lots: int) -> str:
    """Write a quantity as streams do, unpadded."""
    return plain(pair.qty(qty_lots))


def money_text(core: Core, asset: str, atoms: int) -> str:
    """Write an amount of an asset."""
    return plain(Decimal(atoms).scaleb(-core.asset_decimals(asset)))


def order_id(order: OrderRecord) -> str:
    """Return the venue's id of an order."""
    return f"C02__{FIRST_ORDER_ID + order.number}"


def type_of(order: OrderRecord) -> str:
    """Return the venue's word for a limit order's kind."""
    if order.post_only:
        return "LIMIT_MAKER"
    return {Tif.IOC: "IMMEDIATE_OR_CANCEL", Tif.FOK: "FILL_OR_KILL"}.get(
        Tif(order.tif), "LIMIT"
    )  # fmt: skip


def status_of(order: OrderRecord) -> tuple[str, int]:
    """Tell where an order stands: REST's word and the stream's number."""
    if order.state is OrderState.FILLED or order.filled_lots >= order.qty_lots:
        return "FILLED", 2
    if not order.open:
        return ("PARTIALLY_CANCELED", 5) if order.filled_lots else ("CANCELED", 4)
    return ("PARTIALLY_FILLED", 3) if order.filled_lots else ("NEW", 1)


def average_of(core: Core, order: OrderRecord) -> Decimal:
    """Return the average price of an order's fills; 0 before the first."""
    if not order.filled_lots:
        return Decimal(0)
    pair = core.instruments[order.instrument]
    cost = Decimal(order.cost_atoms).scaleb(-core.asset_decimals(pair.quote))
    return (cost / pair.qty(order.filled_lots)).quantize(pair.tick_size)


def trade_id(fill: FillRecord) -> str:
    """Return what the stream calls an execution."""
    return f"{FIRST_TRADE_ID + fill.trade_id}X{0 if fill.maker else 1}"


def hex_id(fill: FillRecord) -> str:
    """Return an id of an execution of another form, as REST's documented example has one."""
    return hashlib.md5(trade_id(fill).encode(), usedforsecurity=False).hexdigest()


# --- private pushes


def order_push(core: Core, order: OrderRecord, fill: FillRecord | None, ts_ns: int) -> bytes:
    """Write an order's state."""
    pair = core.instruments[order.instrument]
    price = Decimal(0) if order.price_ticks is None else pair.price(order.price_ticks)
    left = pair.qty(order.qty_lots - order.filled_lots)
    body = message(
        [
            (1, order_id(order)), (2, order.client_id), (3, plain(price)),
            (4, qty_text(pair, order.qty_lots)), (5, plain(price * pair.qty(order.qty_lots))),
            (6, plain(average_of(core, order))), (7, TYPE_NUMBERS[type_of(order)]),
            (8, order.side), (9, int(fill is not None and fill.maker)),
            (10, plain(price * left)), (11, plain(left)),
            (12, "" if fill is None else qty_text(pair, fill.qty_lots)),
            (13, qty_text(pair, order.filled_lots)),
            (14, money_text(core, pair.quote, order.cost_atoms)), (15, status_of(order)[1]),
            (16, order.created_ns // MS),
        ]
    )  # fmt: skip
    return push("spot@private.orders.v3.api.pb", pair.base + pair.quote, 304, body, ts_ns)


def deal_push(core: Core, order: OrderRecord, fill: FillRecord, ts_ns: int) -> bytes:
    """Write an execution."""
    pair = core.instruments[order.instrument]
    body = message(
        [
            (1, price_text(pair, fill.price_ticks)), (2, qty_text(pair, fill.qty_lots)),
            (3, money_text(core, pair.quote, fill.cost_atoms)), (4, fill.side),
            (5, int(fill.maker)), (7, trade_id(fill)), (8, order.client_id),
            (9, order_id(order)), (10, money_text(core, fill.fee_asset, fill.fee_atoms)),
            (11, fill.fee_asset), (12, fill.ts_ns // MS),
        ]
    )  # fmt: skip
    return push("spot@private.deals.v3.api.pb", pair.base + pair.quote, 306, body, ts_ns)


def account_push(
    core: Core, asset: str, now: tuple[int, int], before: tuple[int, int], kind: str, ts_ns: int
) -> bytes:
    """Write a change of a balance; `now` and `before`: (free, held) in atoms."""
    (free, held), (free_was, held_was) = now, before
    body = message(
        [
            (1, asset), (2, hashlib.md5(asset.encode(), usedforsecurity=False).hexdigest()),
            (3, money_text(core, asset, free)), (4, money_text(core, asset, free - free_was)),
            (5, money_text(core, asset, held)), (6, money_text(core, asset, held - held_was)),
            (7, kind), (8, ts_ns // MS),
        ]
    )  # fmt: skip
    return push("spot@private.account.v3.api.pb", "", 307, body, ts_ns)


# --- rows of REST


def order_row(core: Core, order: OrderRecord, updated_ns: int) -> dict[str, Any]:
    """Write an order as queries tell it."""
    pair = core.instruments[order.instrument]
    price = "0" if order.price_ticks is None else f"{pair.price(order.price_ticks):f}"
    return {
        "symbol": pair.base + pair.quote, "orderId": order_id(order), "orderListId": -1,
        "clientOrderId": order.client_id, "price": price,
        "origQty": f"{pair.qty(order.qty_lots):f}",
        "executedQty": f"{pair.qty(order.filled_lots):f}",
        "cummulativeQuoteQty": money_text(core, pair.quote, order.cost_atoms),
        "status": status_of(order)[0], "timeInForce": None, "type": type_of(order),
        "side": SIDE_TEXT[order.side], "stopPrice": None, "icebergQty": None,
        "time": order.created_ns // MS, "updateTime": updated_ns // MS, "isWorking": True,
        "stpMode": "", "cancelReason": None, "origQuoteOrderQty": "0",
    }  # fmt: skip


def fill_row(core: Core, order: OrderRecord, fill: FillRecord, told_id: str) -> dict[str, Any]:
    """Write an execution as myTrades tells it."""
    pair = core.instruments[order.instrument]
    return {
        "symbol": pair.base + pair.quote, "id": told_id, "orderId": order_id(order),
        "orderListId": -1, "price": f"{pair.price(fill.price_ticks):f}",
        "qty": f"{pair.qty(fill.qty_lots):f}",
        "quoteQty": money_text(core, pair.quote, fill.cost_atoms),
        "commission": money_text(core, fill.fee_asset, fill.fee_atoms),
        "commissionAsset": fill.fee_asset, "time": fill.ts_ns // MS,
        "isBuyer": fill.side == BUY, "isMaker": fill.maker, "isBestMatch": True,
        "isSelfTrade": False, "clientOrderId": order.client_id or None,
    }  # fmt: skip
