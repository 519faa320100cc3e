"""Rows of Bitget's answers and pushes, v2 and v3, as values of `events`.

The same word means different things in different places: `priceAvg` is the order's price among open
orders, and the average fill elsewhere; `size` is money for a buy on the orders channel, and base
elsewhere; a fee's sign depends on the channel. Each reader names the place it is for.

Source: Bitget API documentation of v2 and v3, crawl of 2025-12-05; captures in ccxt, 2023 to 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from openmm._fast.units import Side
from openmm.errors import ConfigError, ProtocolError
from openmm.events import (
    BalanceUpdated,
    Fee,
    OrderFilled,
    OrderStatus,
    OrderUpdated,
    Source,
    TickerUpdated,
)
from openmm.instrument import Instrument
from openmm.venues.bitget.fields import (
    as_decimal,
    as_int,
    as_list,
    as_object,
    bad,
    decimal_of,
    text_of,
)
from openmm.venues.bitget.spec import MAKER_FEE_PPM, TAKER_FEE_PPM, VENUE
from openmm.venues.fields import lots_of, ticks_of

SIDES: Final = {"buy": Side.BUY, "sell": Side.SELL}
STATUSES: Final = {
    "live": OrderStatus.OPEN,
    "new": OrderStatus.OPEN,
    "init": OrderStatus.OPEN,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "filled": OrderStatus.FILLED,
    "cancelled": OrderStatus.CANCELLED,
    "canceled": OrderStatus.CANCELLED,
}
ONLINE: Final = frozenset({"online"})

Instruments = Mapping[str, Instrument]  # by the venue's symbol


class State(Struct, frozen=True):
    """Where an order stands: what any place tells of it."""

    status: OrderStatus
    filled: Decimal | None
    update_ms: int


def is_spot(row: Mapping[str, Any]) -> bool:
    """Whether a row is about spot: unified channels mix them, under the same symbols."""
    return text_of(row, "category", "spot").lower() == "spot"


def state_of(row: Mapping[str, Any]) -> State:
    """Read status, quantity filled in base, and the time of the last change.

    A status that is not in the venue's table is UNKNOWN, so that the order is asked for.
    """
    told = text_of(row, "status") or text_of(row, "orderStatus")
    status = STATUSES.get(told, OrderStatus.UNKNOWN)
    filled = decimal_of(row, "accBaseVolume")
    if filled is None:
        filled = decimal_of(row, "cumExecQty")
    if filled is None and "accBaseVolume" not in row and "fillPrice" not in row:
        # On the orders channel `baseVolume` is one execution's.
        filled = decimal_of(row, "baseVolume")
    if status is OrderStatus.OPEN and filled:
        status = OrderStatus.PARTIALLY_FILLED
    return State(status, filled, _millis(row, "uTime", "updatedTime", "cTime", "createdTime"))


def read_order(row: Mapping[str, Any], instruments: Instruments, source: Source) -> OrderUpdated:
    """Turn an order of any place into an event.

    Raises:
        ProtocolError: it names no order or pair.
    """
    order_id = text_of(row, "orderId")
    symbol = text_of(row, "instId") or text_of(row, "symbol")
    if not order_id or not symbol:
        raise bad("order without id or pair", row)
    instrument = instruments.get(symbol)
    state = state_of(row)
    return OrderUpdated(
        venue_order_id=order_id,
        client_id=text_of(row, "clientOid"),
        status=state.status,
        source=source,
        ts_ns=state.update_ms * 1_000_000,
        price_ticks=ticks_of(instrument, _price_of(row)),
        qty_lots=lots_of(instrument, _qty_of(row)),
        filled_lots=lots_of(instrument, state.filled),
        side=SIDES.get(text_of(row, "side").lower()),
        reason=text_of(row, "cancelReason"),
        instrument=symbol if instrument is None else instrument.name,
    )


def _price_of(row: Mapping[str, Any]) -> Decimal | None:
    """Return the order's price; open orders of v2 have it in `priceAvg`, beside `basePrice`."""
    name = "priceAvg" if "price" not in row and "basePrice" in row else "price"
    price = decimal_of(row, name)
    return price if price else None  # "0" of a market order


def _qty_of(row: Mapping[str, Any]) -> Decimal | None:
    """Return the order's quantity in base; None where only money is told."""
    market_buy = text_of(row, "orderType") == "market" and text_of(row, "side").lower() == "buy"
    if market_buy:
        return None
    for name in ("newSize", "qty"):
        if name in row:
            return decimal_of(row, name)
    pushed = "accBaseVolume" in row
    if pushed and text_of(row, "side").lower() == "buy":
        return None
    return decimal_of(row, "size")


# --- fills


def read_pushed_fill(row: Mapping[str, Any], instruments: Instruments) -> OrderFilled | None:
    """Read the execution that a push of the classic orders channel is about; None: it is not.

    A negative fee is a charge.

    Raises:
        ProtocolError: it cannot be booked.
    """
    trade_id = text_of(row, "tradeId")
    if not trade_id or "fillPrice" not in row:
        return None
    instrument = instruments.get(text_of(row, "instId"))
    if instrument is None:
        return None
    fee = decimal_of(row, "fillFee")
    fees = (Fee(text_of(row, "fillFeeCoin"), -fee),) if fee else ()
    return _fill(
        row, instrument, Source.STREAM, trade_id,
        price=as_decimal(row.get("fillPrice")), qty=as_decimal(row.get("baseVolume")), fees=fees,
        maker=text_of(row, "tradeScope") == "M",
        ts_ms=_millis(row, "fillTime", "uTime"), filled=decimal_of(row, "accBaseVolume"),
    )  # fmt: skip


def read_unified_fill(
    row: Mapping[str, Any], instruments: Instruments, source: Source
) -> OrderFilled | None:
    """Read a row of a fill channel, classic or unified, or of v3 REST: positive is a charge.

    None for a pair that is not loaded.

    Raises:
        ProtocolError: it cannot be booked.
    """
    instrument = instruments.get(text_of(row, "symbol"))
    if instrument is None:
        return None
    fees = []
    for one in map(as_object, as_list(row.get("feeDetail") or [])):
        amount = decimal_of(one, "totalFee" if "totalFee" in one else "fee")
        if text_of(one, "deduction") == "yes":
            amount = decimal_of(one, "totalDeductionFee") or amount
        if amount:
            fees.append(Fee(text_of(one, "feeCoin"), amount))
    trade_id = text_of(row, "tradeId") or text_of(row, "execId")
    return _fill(
        row, instrument, source, trade_id,
        price=as_decimal(row.get("execPrice", row.get("priceAvg"))),
        qty=as_decimal(row.get("execQty", row.get("size"))), fees=tuple(fees),
        maker=text_of(row, "tradeScope") in ("maker", "marker"),
        ts_ms=_millis(row, "cTime", "execTime", "createdTime", "uTime", "updatedTime"), filled=None,
    )  # fmt: skip


def read_rest_fill(row: Mapping[str, Any], instruments: Instruments) -> OrderFilled | None:
    """Read a row of v2 REST: a negative fee is a charge, unless it was deducted in BGB.

    None for a pair that is not loaded.

    Raises:
        ProtocolError: it cannot be booked.
    """
    instrument = instruments.get(text_of(row, "symbol"))
    if instrument is None:
        return None
    fee = as_object(row.get("feeDetail") or {})
    amount = -(decimal_of(fee, "totalFee") or Decimal(0))
    if text_of(fee, "deduction") == "yes":
        amount = abs(decimal_of(fee, "totalDeductionFee") or amount)
    return _fill(
        row, instrument, Source.QUERY, text_of(row, "tradeId"),
        price=as_decimal(row.get("priceAvg")), qty=as_decimal(row.get("size")),
        fees=(Fee(text_of(fee, "feeCoin"), amount),) if amount else (),
        maker=text_of(row, "tradeScope") == "maker",
        ts_ms=_millis(row, "cTime", "uTime"), filled=None,
    )  # fmt: skip


def _fill(
    row: Mapping[str, Any],
    instrument: Instrument,
    source: Source,
    trade_id: str,
    *,
    price: Decimal,
    qty: Decimal,
    fees: tuple[Fee, ...],
    maker: bool,
    ts_ms: int,
    filled: Decimal | None,
) -> OrderFilled:
    side = SIDES.get(text_of(row, "side").lower())
    order_id = text_of(row, "orderId")
    try:
        lots, ticks = lots_of(instrument, qty), instrument.floor_ticks(price)
    except ArithmeticError as error:
        raise bad("price out of all bounds", row) from error
    if side is None or not order_id or not trade_id or lots is None or lots <= 0 or ticks <= 0:
        raise bad("fill that cannot be booked", row)
    if any(not fee.asset for fee in fees):
        raise bad("fee without a coin", row)
    return OrderFilled(
        # Both sides of a trade with oneself carry the same trade id.
        exec_id=f"{order_id}-{trade_id}",
        venue_order_id=order_id,
        client_id=text_of(row, "clientOid"),
        instrument=instrument.name,
        side=side,
        price_ticks=ticks,
        qty_lots=lots,
        cost=price * qty,
        fees=fees,
        maker=maker,
        ts_ns=ts_ms * 1_000_000,
        source=source,
        trade_id=as_int(trade_id) if trade_id.isdigit() else 0,
        filled_lots=lots_of(instrument, filled),
    )


# --- balances, tickers, pairs


def read_balances(row: Mapping[str, Any], kind: str, sent_ms: int) -> list[BalanceUpdated]:
    """Read the totals of a row: one coin of a classic account, or all told of a unified one."""
    coins = [row]
    if isinstance(row.get("coin"), list):
        coins = [as_object(one) for one in row["coin"]]
    found = []
    for coin in coins:
        asset = text_of(coin, "coin").upper()
        if not asset:
            raise bad("balance without a coin", coin)
        stamp_ms = _millis(coin, "uTime") or sent_ms
        found.append(
            BalanceUpdated(asset, total_of(coin), None, Decimal(0), kind, "", stamp_ms * 1_000_000)
        )
    return found


def total_of(coin: Mapping[str, Any]) -> Decimal:
    """Return what is held of a coin in all."""
    balance = decimal_of(coin, "balance")
    if balance is not None:
        return balance
    return as_decimal(coin.get("available")) + held_of(coin)


def held_of(coin: Mapping[str, Any]) -> Decimal:
    """Return what of a coin is bound by orders."""
    return (decimal_of(coin, "frozen") or Decimal(0)) + (decimal_of(coin, "locked") or Decimal(0))


def read_ticker(
    row: Mapping[str, Any], instruments: Instruments, symbol: str, sent: object
) -> TickerUpdated:
    """Turn a ticker of either interface into an event."""

    def number(*names: str) -> Decimal:
        for name in names:
            value = decimal_of(row, name)
            if value is not None:
                return value
        return Decimal(0)

    where = text_of(row, "instId") or text_of(row, "symbol") or symbol
    instrument = instruments.get(where)
    stamp_ms = _millis(row, "ts") or (sent if isinstance(sent, int) else 0)
    return TickerUpdated(
        instrument=where if instrument is None else instrument.name,
        bid=number("bidPr", "bid1Price"),
        bid_qty=number("bidSz", "bid1Size"),
        ask=number("askPr", "ask1Price"),
        ask_qty=number("askSz", "ask1Size"),
        last=number("lastPr", "lastPrice"),
        volume=number("baseVolume", "volume24h"),
        ts_ns=stamp_ms * 1_000_000,
    )


def read_pair(row: Mapping[str, Any]) -> Instrument:
    """Turn a row of symbols (v2) or instruments (v3) into an `Instrument` with base-tier fees.

    The minimum cost is told in USDT; for other quote coins the venue converts it at a rate it does
    not publish, so there it is taken as no minimum and the venue's refusal decides.

    Raises:
        ProtocolError: precision or names are missing: the pair cannot be traded.
    """
    symbol = text_of(row, "symbol")
    price_decimals = as_int(row.get("pricePrecision"))
    qty_decimals = as_int(row.get("quantityPrecision"))
    base, quote = text_of(row, "baseCoin"), text_of(row, "quoteCoin")
    if not symbol or not base or not quote:
        raise bad("pair without names", row)
    lot_size = Decimal(1).scaleb(-qty_decimals)
    cost_min = decimal_of(row, "minOrderAmount")
    if cost_min is None:
        cost_min = decimal_of(row, "minTradeUSDT")
        if cost_min is None:
            raise bad("pair without a minimum", row)
        if quote != "USDT":
            cost_min = Decimal(0)
    status = text_of(row, "status")
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
            qty_min=lot_size,
            cost_min=cost_min,
            base_decimals=qty_decimals + 6,
            quote_decimals=price_decimals + qty_decimals + 6,
            status="online" if status in ONLINE else status or "unknown",
            maker_fee_ppm=MAKER_FEE_PPM,
            taker_fee_ppm=TAKER_FEE_PPM,
        )
    except ConfigError as error:
        raise ProtocolError(f"pair {symbol}: {error}", venue=VENUE) from error


# --- units


def _millis(row: Mapping[str, Any], *names: str) -> int:
    """Return the first time told, in milliseconds; documents show seconds where servers do not."""
    for name in names:
        value = row.get(name)
        if value is None or value == "":
            continue
        stamp = as_int(value)
        return stamp * 1000 if 0 < stamp < 100_000_000_000 else stamp
    return 0


def millis_to_ns(value: object) -> int:
    """Convert milliseconds, a number or its text, to nanoseconds."""
    return as_int(value) * 1_000_000
