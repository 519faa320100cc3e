"""How the simulated Bitget writes: decimals, times, orders, fills and balances of both interfaces.

Source: Bitget API documentation of v2 and v3, crawl of 2025-12-05; captures in ccxt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from openmm._fast.matching import Tif
from openmm.instrument import Instrument
from openmm.venues.counterpart import Core, FillRecord, OrderRecord, OrderState, Refusal

NS: Final = 1_000_000_000
MS: Final = 1_000_000
BUY, SELL = 1, 2
SIDES: Final = {"buy": BUY, "sell": SELL}
SIDE_TEXT: Final = {BUY: "buy", SELL: "sell"}
TIFS: Final = {"gtc": Tif.GTC, "post_only": Tif.GTC, "ioc": Tif.IOC, "fok": Tif.FOK}
TIF_TEXT: Final[Mapping[int, str]] = {Tif.GTC: "gtc", Tif.IOC: "ioc", Tif.FOK: "fok"}
PASSPHRASE: Final = "simulated"

# (HTTP status, code, message).
REFUSALS: Final[Mapping[Refusal, tuple[int, str, str]]] = {
    Refusal.FUNDS: (400, "43012", "Insufficient balance"),
    # SIM: which code a refused post-only order gets is not documented; by default it is taken.
    Refusal.POST_ONLY: (400, "43039", "post only order would be filled"),
    Refusal.PRICE: (400, "40706", "Wrong order price"),
    Refusal.TICK: (400, "41103", "param price scale error"),
    Refusal.QTY: (400, "40808", "Parameter verification exception size checkBDScale error"),
    Refusal.QTY_MIN: (400, "45111", "less than the minimum order quantity"),
    Refusal.COST_MIN: (400, "45110", "less than the minimum amount 1 USDT"),
    Refusal.ORDERS_LIMIT: (400, "43005", "Exceed the maximum number of orders"),
    Refusal.RATE_LIMIT: (429, "429", "Too many requests"),
    Refusal.UNKNOWN_ORDER: (400, "43001", "The order does not exist"),
    Refusal.NO_CHANGE: (400, "40017", "Parameter verification failed"),
    Refusal.DUPLICATE_ID: (400, "43118", "clientOrderId duplicate"),
    Refusal.DEADLINE: (400, "40078", "request expired"),
    Refusal.INSTRUMENT: (400, "40034", "Parameter does not exist"),
    Refusal.CANCEL_ONLY: (400, "41114", "The current trading pair is under maintenance"),
    Refusal.POST_ONLY_MODE: (400, "41114", "The current trading pair is under maintenance"),
    Refusal.MAINTENANCE: (400, "40200", "Server upgrade"),
    Refusal.CAPACITY: (400, "40015", "System is abnormal"),
}
assert set(REFUSALS) == set(Refusal), "every refusal of the core has its code"


class Refused(ValueError):
    """A request the venue refuses."""

    def __init__(self, status: int, code: str, message: str) -> None:
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


def symbol_of(name: str) -> str:
    """Write our name of a pair as the venue's symbol."""
    return name.replace("/", "")


def plain(value: Decimal) -> str:
    """Write a decimal with the fewest digits, never with an exponent."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def price_text(pair: Instrument, price_ticks: int) -> str:
    """Write a price with the pair's decimals."""
    return f"{pair.price(price_ticks):f}"


def qty_text(pair: Instrument, qty_lots: int) -> str:
    """Write a quantity with the pair's decimals."""
    return f"{pair.qty(qty_lots):f}"


def money_text(core: Core, asset: str, atoms: int) -> str:
    """Write an amount of an asset."""
    return plain(Decimal(atoms).scaleb(-core.asset_decimals(asset)))


def status_of(order: OrderRecord) -> str:
    """Tell where an order stands; both interfaces use the same words."""
    if order.state is OrderState.FILLED:
        return "filled"
    if not order.open:
        return "cancelled"
    return "partially_filled" if order.filled_lots else "live"


def force_of(order: OrderRecord) -> str:
    """Tell an order's time in force."""
    return "post_only" if order.post_only else TIF_TEXT.get(order.tif, "gtc")


def _average(core: Core, order: OrderRecord) -> str:
    pair = core.instruments[order.instrument]
    if not order.filled_lots:
        return "0"
    cost = Decimal(order.cost_atoms).scaleb(-core.asset_decimals(pair.quote))
    return plain(round(cost / pair.qty(order.filled_lots), pair.price_decimals + 4))


def _fee(core: Core, order: OrderRecord) -> tuple[str, str]:
    """Return coin and amount of what an order cost so far."""
    pair = core.instruments[order.instrument]
    coin = pair.base if order.side == BUY else pair.quote
    return coin, money_text(core, coin, order.fee_atoms)


def _negative(text: str) -> str:
    return text if text in ("0", "-0") else text[1:] if text.startswith("-") else f"-{text}"


def pushed_order(
    core: Core, order: OrderRecord, order_id: str, updated_ns: int, fill: FillRecord | None
) -> dict[str, Any]:
    """Write an order as the classic channel tells it; `size` of a buy is money."""
    pair = core.instruments[order.instrument]
    price = order.price_ticks or 0
    notional = plain(pair.price(price) * pair.qty(order.qty_lots))
    row: dict[str, Any] = {
        "instId": symbol_of(order.instrument), "orderId": order_id,
        "clientOid": order.client_id or order_id, "price": price_text(pair, price),
        "newSize": qty_text(pair, order.qty_lots),
        "size": notional if order.side == BUY else qty_text(pair, order.qty_lots),
        "orderType": "limit", "force": force_of(order), "side": SIDE_TEXT[order.side],
    }  # fmt: skip
    if order.side == BUY:
        row["notional"] = notional
    if fill is not None:
        row |= {
            "fillPrice": price_text(pair, fill.price_ticks), "tradeId": str(fill.trade_id),
            "baseVolume": qty_text(pair, fill.qty_lots), "fillTime": str(fill.ts_ns // MS),
            "fillFee": _negative(money_text(core, fill.fee_asset, fill.fee_atoms)),
            "fillFeeCoin": fill.fee_asset, "tradeScope": "M" if fill.maker else "T",
        }  # fmt: skip
    filled = order.filled_lots if fill is None else fill.filled_lots
    coin, fee = _fee(core, order)
    row |= {
        "accBaseVolume": qty_text(pair, filled), "priceAvg": _average(core, order),
        # The execution that completes an order still says so of a part; the end follows.
        "status": "partially_filled" if fill is not None else status_of(order),
        "cTime": str(order.created_ns // MS), "uTime": str(updated_ns // MS), "stpMode": "none",
        "feeDetail": [{"feeCoin": coin, "fee": _negative(fee)}] if order.fee_atoms else [],
        "enterPointSource": "API",
    }  # fmt: skip
    return row


def pushed_fill(core: Core, order: OrderRecord, order_id: str, fill: FillRecord) -> dict[str, Any]:
    """Write a fill as the classic channel tells it: no client id, a positive fee is a charge."""
    pair = core.instruments[fill.instrument]
    return {
        "orderId": order_id, "tradeId": str(fill.trade_id), "symbol": symbol_of(fill.instrument),
        "orderType": "limit", "side": SIDE_TEXT[fill.side],
        "priceAvg": price_text(pair, fill.price_ticks), "size": qty_text(pair, fill.qty_lots),
        "amount": plain(pair.price(fill.price_ticks) * pair.qty(fill.qty_lots)),
        "tradeScope": "maker" if fill.maker else "taker",
        "feeDetail": [{
            "feeCoin": fill.fee_asset, "deduction": "no", "totalDeductionFee": "0",
            "totalFee": money_text(core, fill.fee_asset, fill.fee_atoms),
        }],
        "cTime": str(fill.ts_ns // MS), "uTime": str(fill.ts_ns // MS),
    }  # fmt: skip


def unified_order(core: Core, order: OrderRecord, order_id: str, updated_ns: int) -> dict[str, Any]:
    """Write an order as unified channels and answers tell it."""
    pair = core.instruments[order.instrument]
    coin, fee = _fee(core, order)
    return {
        "category": "SPOT", "symbol": symbol_of(order.instrument), "orderId": order_id,
        "clientOid": order.client_id or order_id,
        "price": price_text(pair, order.price_ticks or 0),
        "qty": qty_text(pair, order.qty_lots), "amount": "0", "orderType": "limit",
        "timeInForce": force_of(order), "side": SIDE_TEXT[order.side], "holdMode": "",
        "cumExecQty": qty_text(pair, order.filled_lots),
        "cumExecValue": money_text(core, pair.quote, order.cost_atoms),
        "avgPrice": _average(core, order), "orderStatus": status_of(order),
        "cancelReason": "" if order.open or order.state is OrderState.FILLED else "normal_cancel",
        "feeDetail": [{"feeCoin": coin, "fee": fee}],
        "createdTime": str(order.created_ns // MS), "updatedTime": str(updated_ns // MS),
        "stpMode": "none",
    }  # fmt: skip


def unified_fill(core: Core, order: OrderRecord, order_id: str, fill: FillRecord) -> dict[str, Any]:
    """Write a fill as unified channels and answers tell it: a positive fee is a charge."""
    pair = core.instruments[fill.instrument]
    return {
        "category": "SPOT", "symbol": symbol_of(fill.instrument), "orderId": order_id,
        "clientOid": order.client_id or order_id, "execId": str(fill.trade_id),
        "execLinkId": str(fill.trade_id), "orderType": "limit", "side": SIDE_TEXT[fill.side],
        "execPrice": price_text(pair, fill.price_ticks),
        "execQty": qty_text(pair, fill.qty_lots),
        "execValue": plain(pair.price(fill.price_ticks) * pair.qty(fill.qty_lots)),
        "tradeScope": "maker" if fill.maker else "taker",
        "feeDetail": [{
            "feeCoin": fill.fee_asset, "fee": money_text(core, fill.fee_asset, fill.fee_atoms),
        }],
        "execTime": str(fill.ts_ns // MS), "createdTime": str(fill.ts_ns // MS),
        "updatedTime": str(fill.ts_ns // MS),
    }  # fmt: skip


def open_row(core: Core, order: OrderRecord, order_id: str, updated_ns: int) -> dict[str, Any]:
    """Write a row of v2's open orders: the order's price stands in `priceAvg`."""
    pair = core.instruments[order.instrument]
    row = info_row(core, order, order_id, updated_ns)
    for name in ("price", "feeDetail", "cancelReason"):
        del row[name]
    return row | {
        "priceAvg": price_text(pair, order.price_ticks or 0), "basePrice": _average(core, order),
    }  # fmt: skip


def info_row(core: Core, order: OrderRecord, order_id: str, updated_ns: int) -> dict[str, Any]:
    """Write a row of v2's order info and history: 16 decimals, fees as text in text."""
    pair = core.instruments[order.instrument]
    coin, fee = _fee(core, order)
    detail = json.dumps({coin: {"deduction": False, "feeCoinCode": coin, "totalDeductionFee": 0,
                                "totalFee": _negative(fee)}})  # fmt: skip
    return {
        "userId": "0000000000", "symbol": symbol_of(order.instrument), "orderId": order_id,
        "clientOid": order.client_id or order_id,
        "price": f"{pair.price(order.price_ticks or 0):.16f}",
        "size": f"{pair.qty(order.qty_lots):.16f}", "orderType": "limit",
        "side": SIDE_TEXT[order.side], "status": status_of(order),
        "priceAvg": _average(core, order), "baseVolume": f"{pair.qty(order.filled_lots):.16f}",
        "quoteVolume": money_text(core, pair.quote, order.cost_atoms), "enterPointSource": "API",
        "feeDetail": detail if order.fee_atoms else "", "orderSource": "normal",
        "cancelReason": "" if order.open or order.state is OrderState.FILLED else "normal_cancel",
        "cTime": str(order.created_ns // MS), "uTime": str(updated_ns // MS),
    }  # fmt: skip


def rest_fill(core: Core, order: OrderRecord, order_id: str, fill: FillRecord) -> dict[str, Any]:
    """Write a row of v2's fills: a negative fee is a charge."""
    row = pushed_fill(core, order, order_id, fill)
    [detail] = row["feeDetail"]
    return row | {
        "userId": "0000000000",
        "feeDetail": detail | {"totalDeductionFee": "", "totalFee": _negative(detail["totalFee"])},
    }


def classic_coin(core: Core, account: int, asset: str, ts_ns: int) -> dict[str, str]:
    """Write what a classic account holds of a coin."""
    total, held = core.balances(account)[asset]
    return {
        "coin": asset, "available": money_text(core, asset, total - held),
        "frozen": money_text(core, asset, held), "locked": "0", "limitAvailable": "0",
        "uTime": str(ts_ns // MS),
    }  # fmt: skip


def unified_coin(core: Core, account: int, asset: str) -> dict[str, str]:
    """Write what a unified account holds of a coin."""
    total, held = core.balances(account)[asset]
    return {
        "coin": asset, "balance": money_text(core, asset, total),
        "equity": money_text(core, asset, total),
        "available": money_text(core, asset, total - held),
        "locked": money_text(core, asset, held), "debts": "0", "borrow": "0", "usdValue": "0",
    }  # fmt: skip
