"""Orders and refusals as people and programs read them: exact decimals, no kernel units."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from openmm._fast.checks import Reason
from openmm._fast.orders import OrderView
from openmm._fast.units import Side
from openmm.config.values import format_duration, format_ppm
from openmm.instrument import Instrument

LOTS = frozenset({Reason.ORDER_SIZE_MIN, Reason.ORDER_SIZE_MAX, Reason.INVENTORY_LONG,
                  Reason.INVENTORY_SHORT, Reason.SHARE_LONG, Reason.SHARE_SHORT})  # fmt: skip
MONEY = frozenset({Reason.NOTIONAL_MIN, Reason.NOTIONAL_MAX, Reason.OPEN_NOTIONAL})
PRICES = frozenset({Reason.POST_ONLY_CROSS, Reason.SELF_TRADE, Reason.NEIGHBOUR})
SHARES = frozenset({Reason.PRICE_COLLAR})
SPANS = frozenset({Reason.CLOCK_SKEW, Reason.MESSAGE_AGE})


def shown_order(
    order: OrderView, one: Instrument, client_id: str, by: str, now_ns: int
) -> dict[str, Any]:
    """Return a live order: ids, price, quantities, state, age and who placed it."""
    told = {
        "client_id": client_id,
        "venue_id": order.venue_id,
        "seq": order.seq,
        "side": Side(order.side).name.lower(),
        "price": f"{one.price(order.price_ticks):f}",
        "qty": f"{one.qty(order.qty_lots):f}",
        "filled": f"{one.qty(order.filled_lots):f}",
        "state": order.state.name.lower(),
        "age_ms": max(0, now_ns - order.created_ns) // 1_000_000,
        "by": by,
    }
    if order.pending_price_ticks:
        told["pending_price"] = f"{one.price(order.pending_price_ticks):f}"
    return told


def shown_refusal(
    reason: Reason, limit: int | None, value: int | None, one: Instrument
) -> dict[str, str]:
    """Return a check's word with its limit and the value seen; "": it was missing."""

    def text(number: int | None) -> str:
        if number is None:
            return ""
        if reason in LOTS:
            return f"{one.qty(number):f} {one.base}"
        if reason in MONEY:
            return f"{(number * one.tick_size * one.lot_size).normalize():f} {one.quote}"
        if reason in PRICES:
            return f"{one.price(number):f} {one.quote}"
        if reason in SHARES:
            return format_ppm(number)
        if reason in SPANS:
            return format_duration(number)
        if reason is Reason.RATE_BUDGET:
            return f"{Decimal(number) / 1000:f}"
        return str(number)

    return {"reason": reason.name.lower(), "limit": text(limit), "value": text(value)}
