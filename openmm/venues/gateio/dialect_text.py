"""How the simulated Gate.io writes: decimals, times, order objects, labels.

Source: Gate documentation, "Spot WebSocket v4" and "Gate API v4.106.88", read 2026-05-27.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from openmm._fast.matching import Tif
from openmm.instrument import Instrument
from openmm.venues.counterpart import Core, FillRecord, OrderRecord, OrderState, Refusal
from openmm.venues.gateio.spec import venue_symbol

NS: Final = 1_000_000_000
MS: Final = 1_000_000
BUY, SELL = 1, 2
SIDES: Final = {"buy": BUY, "sell": SELL}
SIDE_TEXT: Final = {BUY: "buy", SELL: "sell"}
TIFS: Final = {"gtc": Tif.GTC, "poc": Tif.GTC, "ioc": Tif.IOC, "fok": Tif.FOK}
TIF_TEXT: Final[Mapping[int, str]] = {Tif.GTC: "gtc", Tif.IOC: "ioc", Tif.FOK: "fok"}

# (status, label, message). Where the documents name no status it is 400.
REFUSALS: Final[Mapping[Refusal, tuple[int, str, str]]] = {
    Refusal.FUNDS: (400, "BALANCE_NOT_ENOUGH", "Not enough balance"),
    Refusal.POST_ONLY: (
        400, "POC_FILL_IMMEDIATELY",
        "Order would match and take immediately so its cancelled",
    ),
    Refusal.PRICE: (400, "INVALID_PARAM_VALUE", "Invalid parameter `price`"),
    Refusal.TICK: (400, "INVALID_PRECISION", "Invalid price precision"),
    Refusal.QTY: (400, "INVALID_PARAM_VALUE", "Invalid parameter `amount`"),
    Refusal.QTY_MIN: (400, "INVALID_PARAM_VALUE", "Your order size is too small"),
    Refusal.COST_MIN: (400, "INVALID_PARAM_VALUE", "Your order size is too small"),
    Refusal.ORDERS_LIMIT: (400, "TOO_MANY_ORDERS", "Too many open orders"),
    Refusal.RATE_LIMIT: (429, "TOO_MANY_REQUESTS", "Request Rate limit Exceeded (211)"),
    Refusal.UNKNOWN_ORDER: (404, "ORDER_NOT_FOUND", "Order not found"),
    Refusal.NO_CHANGE: (400, "NO_CHANGE", "No change"),
    Refusal.DUPLICATE_ID: (400, "REPEATED_CREATION", "Repeated text"),
    Refusal.DEADLINE: (400, "REQUEST_EXPIRED", "Request expired"),
    Refusal.INSTRUMENT: (400, "INVALID_CURRENCY_PAIR", "Invalid currency pair"),
    Refusal.CANCEL_ONLY: (400, "TRADE_RESTRICTED", "Trading is restricted"),
    Refusal.POST_ONLY_MODE: (400, "TRADE_RESTRICTED", "Trading is restricted"),
    Refusal.MAINTENANCE: (500, "TOO_BUSY", "Service is busy"),
    Refusal.CAPACITY: (500, "TOO_BUSY", "Service is busy"),
}  # fmt: skip
FINISHED: Final[Mapping[str, str]] = {
    "User requested": "cancelled",
    "Cancel all orders after": "cancelled",
    "Post only order": "poc",
    "Immediate or cancel": "ioc",
    "Self trade prevention": "stp",
}


class Refused(ValueError):
    """A call the venue refuses."""

    def __init__(self, status: int, label: str, message: str) -> None:
        super().__init__(f"{label}: {message}")
        self.status = status
        self.label = label
        self.message = message


def refused(refusal: Refusal) -> Refused:
    """Make the error of a refusal of the core."""
    return Refused(*REFUSALS[refusal])


def dump(value: object) -> bytes:
    """Write JSON as the venue does."""
    return json.dumps(value, separators=(",", ":")).encode()


def plain(value: Decimal) -> str:
    """Write a decimal with the fewest digits, never with an exponent."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def price_text(pair: Instrument, price_ticks: int | None) -> str:
    """Write a price; "0" of a market order."""
    return "0" if price_ticks is None else plain(pair.price(price_ticks))


def qty_text(pair: Instrument, qty_lots: int) -> str:
    """Write a quantity."""
    return plain(pair.qty(qty_lots))


def money_text(core: Core, asset: str, atoms: int) -> str:
    """Write an amount of an asset."""
    return plain(Decimal(atoms).scaleb(-core.asset_decimals(asset)))


def finish_as(order: OrderRecord) -> str:
    """Tell how an order ended, as the venue words it."""
    if order.open:
        return "open"
    if order.state is OrderState.FILLED:
        return "filled"
    if order.reason == "Immediate or cancel" and order.tif == Tif.FOK:
        return "fok"
    return FINISHED.get(order.reason, "cancelled")


def status_of(order: OrderRecord) -> str:
    """Tell an order's status: cancelled even if part of it was filled."""
    if order.open:
        return "open"
    return "closed" if order.state is OrderState.FILLED else "cancelled"


def order_fields(core: Core, order_id: str, order: OrderRecord, updated_ns: int) -> dict[str, Any]:
    """Write an order as the trading API and REST tell it."""
    pair = core.instruments[order.instrument]
    left_lots = order.qty_lots - order.filled_lots
    filled = pair.qty(order.filled_lots)
    total = Decimal(order.cost_atoms).scaleb(-core.asset_decimals(pair.quote))
    received = pair.base if order.side == BUY else pair.quote
    tif = "poc" if order.post_only else TIF_TEXT.get(order.tif, "gtc")
    return {
        "id": order_id,
        "text": order.client_id or "apiv4",
        "amend_text": "-",
        "create_time": str(order.created_ns // NS),
        "update_time": str(updated_ns // NS),
        "create_time_ms": order.created_ns // MS,
        "update_time_ms": updated_ns // MS,
        "status": status_of(order),
        "currency_pair": venue_symbol(order.instrument),
        "type": "market" if order.price_ticks is None else "limit",
        "account": "spot",
        "side": SIDE_TEXT[order.side],
        "amount": qty_text(pair, order.qty_lots),
        "price": price_text(pair, order.price_ticks),
        "time_in_force": tif,
        "iceberg": "0",
        "left": qty_text(pair, left_lots),
        "filled_amount": plain(filled),
        "fill_price": plain(total),
        "filled_total": plain(total),
        "avg_deal_price": plain(total / filled) if filled else "0",
        "fee": money_text(core, received, order.fee_atoms),
        "fee_currency": received,
        "point_fee": "0",
        "gt_fee": "0",
        "rebated_fee": "0",
        "rebated_fee_currency": received,
        "stp_id": 0,
        "finish_as": finish_as(order),
    }


def order_event(fields: Mapping[str, Any], event: str, account: int) -> dict[str, Any]:
    """Write an order as `spot.orders` tells it: times are text, the event stands inside."""
    told = {name: value for name, value in fields.items() if name not in ("status", "iceberg")}
    for name in ("create_time_ms", "update_time_ms"):
        told[name] = str(told[name])
    return told | {
        "user": account, "event": event, "stp_act": "-", "biz_info": "-",
    }  # fmt: skip


def fill_fields(core: Core, order_id: str, fill: FillRecord, text: str) -> dict[str, Any]:
    """Write a fill as `spot.usertrades` tells it."""
    pair = core.instruments[fill.instrument]
    return {
        "id": fill.trade_id,
        "user_id": 1,
        "order_id": order_id,
        "currency_pair": venue_symbol(fill.instrument),
        "create_time": fill.ts_ns // NS,
        "create_time_ms": millis(fill.ts_ns),
        "side": SIDE_TEXT[fill.side],
        "amount": f"{pair.qty(fill.qty_lots):.10f}",
        "role": "maker" if fill.maker else "taker",
        "price": f"{pair.price(fill.price_ticks):.10f}",
        "fee": money_text(core, fill.fee_asset, fill.fee_atoms),
        "fee_currency": fill.fee_asset,
        "point_fee": "0",
        "gt_fee": "0",
        "text": text or "apiv4",
    }


def millis(ts_ns: int) -> str:
    """Write milliseconds with a fraction, as trades and fills do."""
    return f"{ts_ns // MS}.{ts_ns % MS // 1000:03d}"
