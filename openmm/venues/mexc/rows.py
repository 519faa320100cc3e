"""Objects as MEXC's streams and REST tell them: pairs, orders, fills.

Source: MEXC API documentation, "Exchange Information", "Query Order", "Account Trade List", "Spot
Account Orders", "Spot Account Deals", 2025-08 to 2026; captures in ccxt and gocryptotrader.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, final

from msgspec import Struct

from openmm._fast.units import Side
from openmm.errors import ConfigError, ProtocolError
from openmm.events import Fee, OrderFilled, OrderStatus, OrderUpdated, Source
from openmm.instrument import Instrument
from openmm.venues.fields import lots_of, ticks_of
from openmm.venues.mexc.fields import (
    Message,
    as_decimal,
    as_int,
    bad,
    decimal_of,
    proto_decimal,
    proto_int,
    proto_text,
    text_of,
)
from openmm.venues.mexc.spec import VENUE

STATES: Final = {
    "NEW": OrderStatus.OPEN,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELLED,
    "PARTIALLY_CANCELED": OrderStatus.CANCELLED,
}
# Of streams. A value that is not in the venue's table is UNKNOWN, so that the order is asked for.
NUMBERED_STATES: Final = {
    1: OrderStatus.OPEN,
    2: OrderStatus.FILLED,
    3: OrderStatus.PARTIALLY_FILLED,
    4: OrderStatus.CANCELLED,
    5: OrderStatus.CANCELLED,
}
SIDES: Final = {"BUY": Side.BUY, "SELL": Side.SELL}
NUMBERED_SIDES: Final = {1: Side.BUY, 2: Side.SELL}
STREAM_ID: Final = re.compile(r"\d+X\d+")
ORDERS_KEPT: Final = 4096
NS_PER_MS: Final = 1_000_000

Instruments = Mapping[str, Instrument]  # by the venue's name of the pair


class _Execution(Struct):
    exec_id: str
    side: int
    price: Decimal
    qty: Decimal
    other_id: str = ""  # what the other side calls it, once that is known


@final
class FillIds:
    """Give an execution one id, whoever tells of it.

    Streams call it `<n>X<k>`; whether REST does is documented nowhere, and its examples do not. As
    long as REST writes ids of another form, an execution of the same order, side, price and
    quantity is the same one, as often as each side tells of it: all of an order's are in both.
    """

    def __init__(self) -> None:
        self._orders: OrderedDict[str, list[_Execution]] = OrderedDict()

    def of(self, order_id: str, told: str, side: int, price: Decimal, qty: Decimal) -> str:
        """Return the id to book an execution under.

        Args:
            told: its id as it was told.
        """
        known = self._orders.setdefault(order_id, [])
        self._orders.move_to_end(order_id)
        if len(self._orders) > ORDERS_KEPT:
            self._orders.popitem(last=False)
        for one in known:
            if told in (one.exec_id, one.other_id):
                return one.exec_id
        form = STREAM_ID.fullmatch(told) is None
        for one in known:
            if (
                not one.other_id
                and (STREAM_ID.fullmatch(one.exec_id) is None) != form
                and (one.side, one.price, one.qty) == (side, price, qty)
            ):
                one.other_id = told
                return one.exec_id
        known.append(_Execution(told, side, price, qty))
        return told


# --- pairs


def read_symbol(row: Mapping[str, Any]) -> Instrument:
    """Turn an entry of exchangeInfo into an `Instrument` with its published fees.

    The precisions are the steps: a pair without them is refused. A missing minimum is none: the
    step is the floor then. Fees are exact to a millionth of what is traded.

    Raises:
        ProtocolError: precision or names are missing: the pair cannot be traded.
    """
    symbol = text_of(row, "symbol")
    base, quote = text_of(row, "baseAsset"), text_of(row, "quoteAsset")
    told = row.get("quoteAssetPrecision")
    price_decimals = as_int(row.get("quotePrecision") if told is None else told)
    qty_decimals = as_int(row.get("baseAssetPrecision"))
    lot_size = Decimal(1).scaleb(-qty_decimals)
    if not base or not quote or symbol != base + quote:
        raise ProtocolError(f"exchangeInfo {symbol}: no such assets: {base}, {quote}", venue=VENUE)
    try:
        return Instrument(
            venue=VENUE,
            name=f"{base}/{quote}",
            base=base,
            quote=quote,
            price_decimals=price_decimals,
            qty_decimals=qty_decimals,
            tick_size=Decimal(1).scaleb(-price_decimals),
            lot_size=lot_size,
            # Named a precision, it is the smallest quantity; "0" means none.
            qty_min=decimal_of(row, "baseSizePrecision") or lot_size,
            cost_min=decimal_of(row, "quoteAmountPrecision") or Decimal(0),
            base_decimals=qty_decimals + 6,
            quote_decimals=price_decimals + qty_decimals + 6,
            status=_status(row),
            maker_fee_ppm=ppm_of(row.get("makerCommission")),
            taker_fee_ppm=ppm_of(row.get("takerCommission")),
        )
    except ConfigError as error:
        raise ProtocolError(f"exchangeInfo {symbol}: {error}", venue=VENUE) from error


def _status(row: Mapping[str, Any]) -> str:
    """Tell whether a pair may be traded over the API, both ways."""
    online = str(row.get("status")) in ("1", "ENABLED")
    permitted = "SPOT" in (row.get("permissions") or ())
    if not online or row.get("isSpotTradingAllowed") is not True or not permitted:
        return "offline"
    return "online" if str(row.get("tradeSideType", 1)) == "1" else "restricted"


def ppm_of(rate: object) -> int | None:
    """Convert a fraction to millionths; one finer than that is rounded up: a fee is a cost."""
    if rate is None:
        return None
    ppm = as_decimal(rate) * 1_000_000
    whole = int(ppm)
    return whole + (ppm > whole)


# --- orders


def read_order(row: Mapping[str, Any], instruments: Instruments) -> OrderUpdated:
    """Turn an order of a REST answer into an event."""
    symbol = text_of(row, "symbol")
    instrument = instruments.get(symbol)
    order_id = _id_of(row.get("orderId"))
    if not order_id:
        raise bad("order without id", row)
    price, qty = decimal_of(row, "price"), decimal_of(row, "origQty")
    stamp = row.get("updateTime") or row.get("time") or row.get("transactTime")
    return OrderUpdated(
        venue_order_id=order_id,
        client_id=text_of(row, "clientOrderId"),
        status=STATES.get(text_of(row, "status"), OrderStatus.UNKNOWN),
        source=Source.QUERY,
        ts_ns=0 if stamp is None else as_int(stamp) * NS_PER_MS,
        price_ticks=ticks_of(instrument, price or None),
        qty_lots=lots_of(instrument, qty),
        filled_lots=lots_of(instrument, decimal_of(row, "executedQty")),
        side=SIDES.get(text_of(row, "side")),
        reason=text_of(row, "cancelReason"),
        instrument=symbol if instrument is None else instrument.name,
    )


def _id_of(value: object) -> str:
    # A number in old examples, text in every live answer.
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return str(value)


def pushed_order(push: Message, body: Message, instruments: Instruments) -> OrderUpdated:
    """Turn an order of the private stream into an event."""
    symbol = proto_text(push, 3)
    instrument = instruments.get(symbol)
    order_id = proto_text(body, 1)
    if not order_id:
        raise bad("order without id", symbol)
    return OrderUpdated(
        venue_order_id=order_id,
        client_id=proto_text(body, 2),
        status=NUMBERED_STATES.get(proto_int(body, 15), OrderStatus.UNKNOWN),
        source=Source.STREAM,
        ts_ns=(proto_int(push, 6) or proto_int(body, 16)) * NS_PER_MS,
        price_ticks=ticks_of(instrument, proto_decimal(body, 3) or None),
        qty_lots=lots_of(instrument, proto_decimal(body, 4)),
        # Absent means none: this format leaves empty fields out.
        filled_lots=lots_of(instrument, proto_decimal(body, 13) or Decimal(0)),
        side=NUMBERED_SIDES.get(proto_int(body, 8)),
        instrument=symbol if instrument is None else instrument.name,
    )


# --- fills


def read_fill(row: Mapping[str, Any], instruments: Instruments, ids: FillIds) -> OrderFilled | None:
    """Turn a row of myTrades into an event; None for a pair that is not loaded.

    Raises:
        ProtocolError: it cannot be booked.
    """
    instrument = instruments.get(text_of(row, "symbol"))
    if instrument is None:
        return None
    buyer = row.get("isBuyer")
    if not isinstance(buyer, bool):
        raise bad("fill without a side", row)
    return _filled(
        instrument, ids, Source.QUERY,
        told=_id_of(row.get("id")), order_id=_id_of(row.get("orderId")),
        client_id=text_of(row, "clientOrderId"), side=Side.BUY if buyer else Side.SELL,
        price=as_decimal(row.get("price")), qty=as_decimal(row.get("qty")),
        cost=decimal_of(row, "quoteQty"),
        fee=Fee(text_of(row, "commissionAsset"), as_decimal(row.get("commission"))),
        maker=row.get("isMaker") is True, ts_ns=as_int(row.get("time")) * NS_PER_MS,
    )  # fmt: skip


def pushed_fill(
    push: Message, body: Message, instruments: Instruments, ids: FillIds
) -> OrderFilled | None:
    """Turn a deal of the private stream into an event; None for a pair that is not loaded.

    Raises:
        ProtocolError: it cannot be booked.
    """
    instrument = instruments.get(proto_text(push, 3))
    if instrument is None:
        return None
    price, qty = proto_decimal(body, 1), proto_decimal(body, 2)
    side = NUMBERED_SIDES.get(proto_int(body, 4))
    if price is None or qty is None or side is None:
        raise bad("fill that cannot be booked", dict(body))
    return _filled(
        instrument, ids, Source.STREAM,
        told=proto_text(body, 7), order_id=proto_text(body, 9), client_id=proto_text(body, 8),
        side=side, price=price, qty=qty, cost=proto_decimal(body, 3),
        fee=Fee(proto_text(body, 11), proto_decimal(body, 10) or Decimal(0)),
        maker=bool(proto_int(body, 5)), ts_ns=proto_int(body, 12) * NS_PER_MS,
    )  # fmt: skip


def _filled(
    instrument: Instrument, ids: FillIds, source: Source, *, told: str, order_id: str,
    client_id: str, side: Side, price: Decimal, qty: Decimal, cost: Decimal | None, fee: Fee,
    maker: bool, ts_ns: int,
) -> OrderFilled:  # fmt: skip
    lots, ticks = lots_of(instrument, qty), instrument.floor_ticks(price)
    if not told or not order_id or lots is None or lots <= 0 or ticks <= 0:
        raise bad("fill that cannot be booked", (told, order_id, str(qty), str(price)))
    if fee.amount and not fee.asset:
        raise bad("fee without an asset", told)
    return OrderFilled(
        exec_id=f"{instrument.name}-{ids.of(order_id, told, side, price, qty)}",
        venue_order_id=order_id,
        client_id=client_id,
        instrument=instrument.name,
        side=side,
        price_ticks=ticks,
        qty_lots=lots,
        cost=price * qty if cost is None else cost,
        fees=(fee,) if fee.amount else (),
        maker=maker,
        ts_ns=ts_ns,
        source=source,
    )
