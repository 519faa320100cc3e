"""Carry out Kraken's trading methods: check what was sent, ask the core, write the replies.

Source: Kraken, add_order, batch_add, amend_order, cancel_order, batch_cancel, cancel_all,
cancel_all_orders_after (websocket-v2), read in 2026; refusal texts of the venue sheet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from openmm._fast.matching import Stp, Tif
from openmm.instrument import LOTS_MAX, TICKS_MAX, Instrument
from openmm.venues.counterpart import Core, OrderRecord, PlaceRequest, Refusal
from openmm.venues.kraken.dialect_text import (
    BUY,
    CL_ORD_ID,
    NS,
    REFUSALS,
    SELL,
    parse_time,
    second_text,
)

if TYPE_CHECKING:
    from openmm.venues.kraken.dialect import KrakenSession, Reply

Params = Mapping[str, Any]
TIFS = {"gtc": Tif.GTC, "ioc": Tif.IOC, "fok": Tif.FOK, "gtd": Tif.GTC}
STPS = {
    "cancel_newest": Stp.CANCEL_NEWEST,
    "cancel_oldest": Stp.CANCEL_OLDEST,
    "cancel_both": Stp.CANCEL_BOTH,
}
SIDES = {"buy": BUY, "sell": SELL}
DEADLINE_NS_MAX = 60 * NS
EXPIRE_NS_MAX = 31 * 86_400 * NS
BATCH_ADD_MAX = 15
BATCH_CANCEL_MAX = 50
TIMEOUT_S_MAX = 86_400

ORDER_FIELDS = frozenset(
    {
        "order_type",
        "side",
        "order_qty",
        "limit_price",
        "limit_price_type",
        "time_in_force",
        "expire_time",
        "post_only",
        "cl_ord_id",
        "order_userref",
        "stp_type",
        "fee_preference",
        "reduce_only",
        "margin",
        "no_mpp",
        "sender_sub_id",
    }
)
ADD_FIELDS = ORDER_FIELDS | {"symbol", "token", "deadline", "validate"}
AMEND_FIELDS = frozenset(
    {
        "order_id",
        "cl_ord_id",
        "order_qty",
        "limit_price",
        "limit_price_type",
        "post_only",
        "deadline",
        "symbol",
        "token",
    }
)


class Refused(ValueError):
    """A request that fails its format check; the text is what the venue answers."""


def _fields(params: Params, allowed: frozenset[str], kind: str) -> None:
    for name in params:
        if name not in allowed:
            raise Refused(f"Unsupported field: '{name}' for the given msg type: {kind}")


def _number(params: Params, name: str) -> Decimal | None:
    value = params.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Refused(f"{name.capitalize()} field must be a number_float")
    number = Decimal(value)
    if not number.is_finite():
        raise Refused(f"{name.capitalize()} field must be a number_float")
    return number


def _flag(params: Params, name: str) -> bool:
    value = params.get(name, False)
    if not isinstance(value, bool):
        raise Refused(f"{name.capitalize()} field must be a boolean")
    return value


def _choice(params: Params, name: str, table: Mapping[str, int], default: str) -> int:
    value = params.get(name, default)
    if not isinstance(value, str) or value.lower() not in table:
        raise Refused(f"EGeneral:Invalid arguments:{name}")
    return table[value.lower()]


def _required(params: Params, name: str) -> Any:
    if params.get(name) in (None, ""):
        raise Refused(f"{name.capitalize()}(s) not found")
    return params[name]


def _ticks(pair: Instrument, price: Decimal) -> int:
    if price <= 0 or price > TICKS_MAX * pair.tick_size:
        raise Refused(REFUSALS[Refusal.PRICE])
    if price % pair.tick_size:
        raise Refused(REFUSALS[Refusal.TICK])
    return int(price / pair.tick_size)


def _lots(pair: Instrument, qty: Decimal) -> int:
    if qty <= 0 or qty > LOTS_MAX * pair.lot_size or qty % pair.lot_size:
        raise Refused("EGeneral:Invalid arguments:order_qty")
    return int(qty / pair.lot_size)


def _client_id(params: Params) -> str:
    value = params.get("cl_ord_id", "")
    if "cl_ord_id" not in params:
        return ""
    if not isinstance(value, str) or not CL_ORD_ID.fullmatch(value):
        raise Refused("EGeneral:Invalid arguments:cl_ord_id")
    if "order_userref" in params:
        raise Refused("EGeneral:Invalid arguments:cl_ord_id and order_userref are exclusive")
    return value


def _user_ref(params: Params) -> int | None:
    value = params.get("order_userref")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**31) <= value < 2**31:
        raise Refused("EGeneral:Invalid arguments:order_userref")
    return value


def _deadline(params: Params, now_ns: int) -> int | None:
    if "deadline" not in params:
        return None
    deadline_ns = parse_time(params["deadline"])
    if deadline_ns is None or deadline_ns > now_ns + DEADLINE_NS_MAX:
        raise Refused("EGeneral:Invalid arguments:deadline")
    return deadline_ns


def _expiry(params: Params, now_ns: int) -> int | None:
    good_till_date = str(params.get("time_in_force", "")).lower() == "gtd"
    if not good_till_date:
        if "expire_time" in params:
            raise Refused("EGeneral:Invalid arguments:expire_time")
        return None
    expire_ns = parse_time(params.get("expire_time"))
    if expire_ns is None or not now_ns < expire_ns <= now_ns + EXPIRE_NS_MAX:
        raise Refused("EGeneral:Invalid arguments:expire_time")
    return expire_ns


def _pair(core: Core, params: Params) -> Instrument:
    symbol = _required(params, "symbol")
    pair = core.instruments.get(symbol) if isinstance(symbol, str) else None
    if pair is None:
        raise Refused(f"Currency pair not supported {symbol}")
    return pair


def parse_order(
    pair: Instrument, params: Params, deadline_ns: int | None, now_ns: int
) -> PlaceRequest:
    """Check an order object and translate it.

    Raises:
        Refused: if its format is not right.
    """
    order_type = _required(params, "order_type")
    if order_type not in ("limit", "market"):
        raise Refused("EGeneral:Invalid arguments:order_type")
    _required(params, "side")
    _required(params, "order_qty")
    side = _choice(params, "side", SIDES, "")
    qty = _number(params, "order_qty")
    price = _number(params, "limit_price")
    post_only = _flag(params, "post_only")
    tif = _choice(params, "time_in_force", TIFS, "gtc")
    if _flag(params, "margin") or _flag(params, "reduce_only"):
        raise Refused("EOrder:Insufficient margin")
    assert qty is not None
    price_ticks = None
    if order_type == "limit":
        if price is None:
            raise Refused("Limit_price(s) not found")
        price_ticks = _ticks(pair, price)
    elif price is not None or post_only:
        raise Refused("EGeneral:Invalid arguments:limit_price")
    if post_only and tif != Tif.GTC:
        raise Refused("EGeneral:Invalid arguments:post_only")
    return PlaceRequest(
        instrument=pair.name,
        side=side,
        qty_lots=_lots(pair, qty),
        price_ticks=price_ticks,
        tif=tif,
        post_only=post_only,
        stp=_choice(params, "stp_type", STPS, "cancel_newest"),
        client_id=_client_id(params),
        user_ref=_user_ref(params),
        deadline_ns=deadline_ns,
        expire_ns=_expiry(params, now_ns),
    )


def _named(order: OrderRecord) -> dict[str, object]:
    row: dict[str, object] = {"order_id": order.venue_order_id}
    if order.client_id:
        row["cl_ord_id"] = order.client_id
    if order.user_ref is not None:
        row["order_userref"] = order.user_ref
    return row


def add_order(
    session: KrakenSession, account: int, params: Params, reply: Reply, now_ns: int
) -> None:
    """Place one order."""
    _fields(params, ADD_FIELDS, "add order")
    pair = _pair(session.core, params)
    request = parse_order(pair, params, _deadline(params, now_ns), now_ns)
    validate = _flag(params, "validate")
    outcome = session.core.place(account, [request], now_ns, validate)[0]
    if isinstance(outcome, Refusal):
        reply.failed(REFUSALS[outcome], now_ns)
    elif outcome is None:
        reply.done({"order_id": ""}, now_ns)
    else:
        reply.done(_named(outcome), now_ns)


def batch_add(
    session: KrakenSession, account: int, params: Params, reply: Reply, now_ns: int
) -> None:
    """Place 2 to 15 orders of one pair; the format of all is checked before any is placed."""
    _fields(params, frozenset({"symbol", "orders", "deadline", "validate", "token"}), "batch add")
    pair = _pair(session.core, params)
    orders = _required(params, "orders")
    if not isinstance(orders, list) or not 2 <= len(orders) <= BATCH_ADD_MAX:
        raise Refused("EGeneral:Invalid arguments:orders")
    deadline_ns = _deadline(params, now_ns)
    requests = []
    for order in orders:
        if not isinstance(order, dict):
            raise Refused("EGeneral:Invalid arguments:orders")
        _fields(order, ORDER_FIELDS, "batch add")
        requests.append(parse_order(pair, order, deadline_ns, now_ns))
    validate = _flag(params, "validate")
    outcomes = session.core.place(account, requests, now_ns, validate)
    if all(outcome is Refusal.RATE_LIMIT for outcome in outcomes):
        reply.failed(REFUSALS[Refusal.RATE_LIMIT], now_ns)
        return
    rows: list[dict[str, object]] = []
    for request, outcome in zip(requests, outcomes, strict=True):
        if isinstance(outcome, OrderRecord):
            rows.append(_named(outcome))
            continue
        row: dict[str, object] = {}
        if outcome is None:
            row["order_id"] = ""
        else:
            row["error"] = REFUSALS[outcome]
        if request.client_id:
            row["cl_ord_id"] = request.client_id
        if request.user_ref is not None:
            row["order_userref"] = request.user_ref
        rows.append(row)
    reply.done(rows, now_ns)


def _one(session: KrakenSession, account: int, params: Params) -> tuple[OrderRecord | None, str]:
    """Find the order of an amend and the field that named it."""
    if ("order_id" in params) == ("cl_ord_id" in params):
        raise Refused("EGeneral:Invalid arguments:order_id")
    name = "order_id" if "order_id" in params else "cl_ord_id"
    value = params[name]
    if not isinstance(value, str):
        raise Refused(f"EGeneral:Invalid arguments:{name}")
    if name == "order_id":
        return session.core.order(account, value), name
    found = session.core.by_client_id(account, value)
    return (found[0] if found else None), name


def amend_order(
    session: KrakenSession, account: int, params: Params, reply: Reply, now_ns: int
) -> None:
    """Change price or total quantity of an order in place."""
    _fields(params, AMEND_FIELDS, "amend order")
    order, name = _one(session, account, params)
    price, qty = _number(params, "limit_price"), _number(params, "order_qty")
    post_only = _flag(params, "post_only")
    deadline_ns = _deadline(params, now_ns)
    if order is None:
        raise Refused(REFUSALS[Refusal.UNKNOWN_ORDER])
    pair = session.core.instruments[order.instrument]
    refusal = session.core.amend(
        account,
        order,
        None if price is None else _ticks(pair, price),
        None if qty is None else _lots(pair, qty),
        post_only,
        now_ns,
        deadline_ns,
    )
    if refusal is not None:
        raise Refused(REFUSALS[refusal])
    reply.done({"amend_id": session.core.new_id("T"), name: params[name]}, now_ns)


def _texts(params: Params, name: str) -> list[str]:
    values = params.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise Refused(f"EGeneral:Invalid arguments:{name}")
    return values


def _by_user_ref(session: KrakenSession, account: int, user_ref: int) -> list[OrderRecord]:
    return [o for o in session.core.open_orders(account) if o.user_ref == user_ref]


def cancel_order(
    session: KrakenSession, account: int, params: Params, reply: Reply, now_ns: int
) -> None:
    """Cancel orders by venue id, client id or user reference: one reply each."""
    allowed = frozenset({"order_id", "cl_ord_id", "order_userref", "token", "symbol"})
    _fields(params, allowed, "cancel order")
    wanted: list[tuple[OrderRecord | None, dict[str, object]]] = [
        (session.core.order(account, text), {"order_id": text})
        for text in _texts(params, "order_id")
    ]
    for text in _texts(params, "cl_ord_id"):
        found = session.core.by_client_id(account, text)
        wanted.append((found[0] if found else None, {"cl_ord_id": text}))
    refs = params.get("order_userref", [])
    if not isinstance(refs, list) or not all(isinstance(ref, int) for ref in refs):
        raise Refused("EGeneral:Invalid arguments:order_userref")
    for ref in refs:
        orders = _by_user_ref(session, account, ref)
        wanted += [(order, {"order_id": order.venue_order_id}) for order in orders]
        if not orders:
            wanted.append((None, {}))
    if not wanted:
        raise Refused("Order_id(s) not found")
    for order, named in wanted:
        refusal = session.core.cancel(account, order, now_ns)
        if refusal is None:
            reply.done(named, now_ns)
        else:
            reply.failed(REFUSALS[refusal], now_ns)


def batch_cancel(
    session: KrakenSession, account: int, params: Params, reply: Reply, now_ns: int
) -> None:
    """Cancel 2 to 50 orders at once; the reply only counts."""
    _fields(params, frozenset({"orders", "cl_ord_id", "token"}), "batch cancel")
    texts, clients = _texts(params, "orders"), _texts(params, "cl_ord_id")
    if not 2 <= len(texts) + len(clients) <= BATCH_CANCEL_MAX:
        raise Refused("EGeneral:Invalid arguments:orders")
    orders: list[OrderRecord] = []
    for text in texts:
        order = session.core.order(account, text)
        if order is not None:
            orders.append(order)
        elif text.lstrip("-").isdigit():
            orders += _by_user_ref(session, account, int(text))
    for text in clients:
        orders += session.core.by_client_id(account, text)[:1]
    count = session.core.cancel_many(account, orders, now_ns)
    if isinstance(count, Refusal):
        raise Refused(REFUSALS[count])
    if session.gateway.options.batch_cancel_2024:
        reply.done(None, now_ns, orders_cancelled=count)
    else:
        reply.done({"count": count}, now_ns)


def cancel_all(
    session: KrakenSession, account: int, params: Params, reply: Reply, now_ns: int
) -> None:
    """Cancel every order of the account."""
    _fields(params, frozenset({"token"}), "cancel all")
    count = session.core.cancel_all(account, now_ns)
    if isinstance(count, Refusal):
        raise Refused(REFUSALS[count])
    reply.done({"count": count}, now_ns)


def cancel_all_orders_after(
    session: KrakenSession, account: int, params: Params, reply: Reply, now_ns: int
) -> None:
    """Set or clear the dead man's switch."""
    _fields(params, frozenset({"timeout", "token"}), "cancel all orders after")
    timeout = params.get("timeout")
    if isinstance(timeout, bool) or not isinstance(timeout, int):
        raise Refused("Timeout field must be an integer")
    if not 0 <= timeout < TIMEOUT_S_MAX:
        raise Refused("EGeneral:Invalid arguments:timeout")
    trigger_ns = session.core.arm(account, timeout, now_ns)
    if isinstance(trigger_ns, Refusal):
        raise Refused(REFUSALS[trigger_ns])
    trigger = second_text(trigger_ns) if trigger_ns else "0"
    reply.done({"currentTime": second_text(now_ns), "triggerTime": trigger}, now_ns)


Handler = Callable[["KrakenSession", int, Params, "Reply", int], None]


def _answering(handler: Handler) -> Handler:
    """Turn a failed format check into its reply."""

    def answer(
        session: KrakenSession, account: int, params: Params, reply: Reply, now_ns: int
    ) -> None:
        try:
            handler(session, account, params, reply, now_ns)
        except Refused as refused:
            reply.failed(str(refused), now_ns)

    return answer


METHODS: Mapping[str, Handler] = {
    handler.__name__: _answering(handler)
    for handler in (
        add_order,
        batch_add,
        amend_order,
        cancel_order,
        batch_cancel,
        cancel_all,
        cancel_all_orders_after,
    )
}
