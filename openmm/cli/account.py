"""`openmm balance | orders`: what an account holds and has open, by the venue's word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openmm.cli.output import EXIT_DONE, Json, emit, table
from openmm.cli.reach import Label, Options, RestUrl, VenueName, reach
from openmm.cli.spans import moment

if TYPE_CHECKING:
    from openmm.events import OrderUpdated

BALANCE_EXAMPLE = "Example: openmm balance kraken (keys: OPENMM_KRAKEN_KEY, OPENMM_KRAKEN_SECRET)"
ORDERS_EXAMPLE = "Example: openmm orders gateio --json"


def balance(
    venue: VenueName,
    rest: RestUrl = "",
    label: Label = "",
    option: Options = None,
    json_: Json = False,
) -> int:
    """Show what the account of a key holds: total, held by open orders, free."""
    found = reach(
        venue, lambda desk: desk.get_balance(), endpoints={"rest": rest}, options=option,
        label=label,
    )  # fmt: skip
    held = {asset: one for asset, one in sorted(found.items()) if one.total}
    payload = {
        "venue": venue,
        "balances": {
            asset: {"total": one.total, "held": one.held, "free": one.free}
            for asset, one in held.items()
        },
    }
    rows: list[tuple[str, ...]] = [("asset", "total", "held", "free")]
    rows += [
        (asset, *(format(value, "f") for value in (one.total, one.held, one.free)))
        for asset, one in held.items()
    ]
    emit(payload, json_, lambda: table(rows) if held else "nothing")
    return EXIT_DONE


def orders(
    venue: VenueName,
    rest: RestUrl = "",
    label: Label = "",
    option: Options = None,
    json_: Json = False,
) -> int:
    """Show every open order of the account of a key, a bot's and all others."""

    async def ask(desk: Any) -> tuple[list[OrderUpdated], dict[str, Any]]:
        return await desk.get_open_orders(), await desk.get_instruments()

    found, listed = reach(venue, ask, endpoints={"rest": rest}, options=option, label=label)
    told = [_told(one, listed) for one in found]
    rows: list[tuple[str, ...]] = [
        ("client id", "pair", "side", "price", "qty", "filled", "status", "since")
    ]
    rows += [
        (
            one["client_id"] or one["venue_order_id"], one["pair"], one["side"], one["price"],
            one["qty"], one["filled"], one["status"], moment(one["ts_ns"]),
        )
        for one in told
    ]  # fmt: skip
    emit({"venue": venue, "orders": told}, json_, lambda: table(rows) if told else "none open")
    return EXIT_DONE


def _told(order: OrderUpdated, listed: dict[str, Any]) -> dict[str, Any]:
    """Write an order in the pair's own units; "?" for what cannot be."""
    pair = listed.get(order.instrument)

    def text(steps: int | None, unit: str) -> str:
        if pair is None or steps is None:
            return "?"
        return format(getattr(pair, unit)(steps), "f")

    side = {1: "buy", 2: "sell"}.get(order.side or 0, "?")
    return {
        "client_id": order.client_id, "venue_order_id": order.venue_order_id,
        "pair": order.instrument, "side": side, "price": text(order.price_ticks, "price"),
        "qty": text(order.qty_lots, "qty"), "filled": text(order.filled_lots, "qty"),
        "status": order.status.value, "ts_ns": order.ts_ns,
    }  # fmt: skip
