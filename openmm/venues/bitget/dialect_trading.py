"""Orders as the simulated Bitget takes them, over WebSocket and REST.

Source: Bitget API documentation, trading channels and REST pages of v2 and v3, crawl of 2025-12-05.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from openmm._fast.matching import Stp
from openmm.instrument import Instrument
from openmm.venues.bitget.dialect_text import MS, SIDES, TIFS, Refused, dump, refused
from openmm.venues.bitget.spec import (
    BATCH_ORDERS_MAX,
    CANCELS_PER_S,
    ORDERS_PER_S,
    Family,
)
from openmm.venues.counterpart import OrderRecord, PlaceRequest, Refusal

if TYPE_CHECKING:
    from openmm.venues.bitget.dialect import BitgetGateway, BitgetSession

CLASSIC_ID: Final = re.compile(r"[0-9A-Za-z\-+_#]{1,50}")
UNIFIED_ID: Final = re.compile(r"[.A-Z:/a-z0-9_\-]{1,32}")
REQUEST_ID: Final = re.compile(r"[0-9A-Za-z_:#\-+\s]{0,40}")
STP: Final = {"none": Stp.CANCEL_NEWEST, "cancel_taker": Stp.CANCEL_NEWEST,
              "cancel_maker": Stp.CANCEL_OLDEST, "cancel_both": Stp.CANCEL_BOTH}  # fmt: skip
BATCHES_PER_S: Final = 5
Fields = Mapping[str, Any]


# --- one order


def place(gateway: BitgetGateway, account: int, row: Fields, now_ns: int) -> OrderRecord:
    """Place one order.

    Raises:
        Refused: the venue says no.
    """
    request = read_order(gateway, row)
    earlier = gateway.core.by_client_id(account, request.client_id) if request.client_id else []
    # SIM: a unified account's id is free again once its order has ended.
    if any(one.open or gateway.family is Family.CLASSIC for one in earlier):
        raise refused(Refusal.DUPLICATE_ID)
    [outcome] = gateway.core.place(account, [request], now_ns)
    if isinstance(outcome, Refusal):
        raise refused(outcome)
    assert outcome is not None, "nothing is only validated here"
    return outcome


def read_order(gateway: BitgetGateway, row: Fields) -> PlaceRequest:
    """Check an order object of either interface.

    Raises:
        Refused: a field is missing, malformed or out of bounds.
    """
    unified = gateway.family is Family.UNIFIED
    name = gateway.names.get(str(row.get("symbol", row.get("instId"))))
    if name is None or (unified and str(row.get("category", "")).lower() != "spot"):
        raise refused(Refusal.INSTRUMENT)
    pair = gateway.core.instruments[name]
    force = str(row.get("timeInForce" if unified else "force", "gtc")).lower()
    side = SIDES.get(str(row.get("side")))
    if row.get("orderType") != "limit" or side is None or force not in TIFS:
        # SIM: the engine places limit orders; a market buy counts money, which the core does not.
        raise Refused(400, "40017", "Parameter verification failed")
    stp = row.get("stpMode", "none")
    if stp not in STP:
        raise Refused(400, "40017", "Parameter verification failed stpMode")
    return PlaceRequest(
        instrument=name,
        side=side,
        qty_lots=lots_of(pair, row.get("qty" if unified else "size")),
        price_ticks=ticks_of(pair, row.get("price")),
        tif=TIFS[force],
        post_only=force == "post_only",
        stp=STP[stp],
        client_id=_client_id(row.get("clientOid"), unified),
    )


def _client_id(told: object, unified: bool) -> str:
    if told in (None, ""):
        return ""
    form = UNIFIED_ID if unified else CLASSIC_ID
    if not isinstance(told, str) or not form.fullmatch(told):
        raise Refused(400, "40305", "client_oid length or characters are wrong")
    return told


def _number(told: object) -> Decimal | None:
    try:
        value = Decimal(told) if isinstance(told, str) else None
    except InvalidOperation:
        return None
    return value if value is not None and value.is_finite() and value > 0 else None


def lots_of(pair: Instrument, told: object) -> int:
    """Read a quantity in whole lots."""
    value = _number(told)
    if value is None:
        raise Refused(400, "40019", "Parameter size cannot be empty")
    try:
        return pair.exact_lots(value)
    except ValueError as error:
        raise refused(Refusal.QTY) from error


def ticks_of(pair: Instrument, told: object) -> int:
    """Read a price in whole ticks."""
    value = _number(told)
    if value is None:
        raise refused(Refusal.PRICE)
    try:
        return pair.exact_ticks(value)
    except ValueError as error:
        raise refused(Refusal.TICK) from error


def find(gateway: BitgetGateway, account: int, row: Fields) -> OrderRecord | None:
    """Find the order that a request names: the venue's id wins."""
    if row.get("orderId"):
        order = gateway.orders.get(str(row["orderId"]))
        return order if order is not None and order.account == account else None
    if row.get("clientOid"):
        found = gateway.core.by_client_id(account, str(row["clientOid"]))
        return found[0] if found else None
    raise Refused(400, "40913", "one of orderId and clientOid is needed")


def cancel(gateway: BitgetGateway, account: int, row: Fields, now_ns: int) -> OrderRecord:
    """Cancel one order.

    Raises:
        Refused: it is not open, or there is none.
    """
    order = find(gateway, account, row)
    if order is None or not order.open:
        raise refused(Refusal.UNKNOWN_ORDER)
    refusal = gateway.core.cancel(account, order, now_ns)
    if refusal is not None:
        raise refused(refusal)
    return order


def modify(gateway: BitgetGateway, account: int, row: Fields, now_ns: int) -> OrderRecord:
    """Change a unified account's order; it keeps its id (SIM: not documented).

    Raises:
        Refused: the venue says no.
    """
    order = find(gateway, account, row)
    if order is None or not order.open:
        raise refused(Refusal.UNKNOWN_ORDER)
    pair = gateway.core.instruments[order.instrument]
    price, qty = row.get("price"), row.get("qty")
    refusal = gateway.core.amend(
        account, order,
        None if price is None else ticks_of(pair, price),
        None if qty is None else lots_of(pair, qty),
        order.post_only, now_ns,
    )  # fmt: skip
    if refusal is not None:
        raise refused(refusal)
    return order


def ids_of(gateway: BitgetGateway, order: OrderRecord) -> dict[str, str]:
    """Write which order an answer is about."""
    order_id = gateway.order_id(order)
    return {"orderId": order_id, "clientOid": order.client_id or order_id}


Work = Callable[["BitgetGateway", int, Fields, int], OrderRecord]
WORK: Final[Mapping[str, tuple[Work, str, int]]] = {
    "place-order": (place, "place", ORDERS_PER_S),
    "batch-place": (place, "place-batch", BATCHES_PER_S),
    "modify-order": (modify, "modify", ORDERS_PER_S),
    "cancel-order": (cancel, "cancel", CANCELS_PER_S),
    "batch-cancel": (cancel, "cancel-batch", CANCELS_PER_S),
}
CLASSIC_WORK: Final = ("place-order", "cancel-order")


# --- over the WebSocket


def carry_out(
    session: BitgetSession, message: Fields, rows: Sequence[Fields], now_ns: int
) -> list[bytes]:
    """Carry out a trading message; its answer, as the interface writes it."""
    if session.gateway.family is Family.CLASSIC:
        return [_classic(session, rows, now_ns)]
    return [_unified(session, message, rows, now_ns)]


def _may(session: BitgetSession) -> int:
    if session.login is None:
        raise Refused(400, "30004", "User needs to log in")
    if not session.gateway.options.trading:
        raise Refused(400, "40014", "Incorrect permissions")
    return session.login


def _classic(session: BitgetSession, rows: Sequence[Fields], now_ns: int) -> bytes:
    row = rows[0]
    channel = str(row.get("channel"))
    echo = {name: row.get(name) for name in ("id", "instType", "channel", "instId")}
    params = row.get("params")
    params = params if isinstance(params, dict) else {}
    try:
        account = _may(session)
        told = row.get("id")
        if len(rows) != 1 or channel not in CLASSIC_WORK or not isinstance(told, str):
            raise Refused(400, "40017", "Parameter verification failed")
        if not REQUEST_ID.fullmatch(told):
            raise Refused(400, "40017", "Parameter verification failed id")
        work, name, limit = WORK[channel]
        session.gateway.count(account, name, limit, now_ns)
        order = work(session.gateway, account, {**params, "symbol": row.get("instId")}, now_ns)
    except Refused as error:
        # SIM: the shape of a failure is not documented; the answer's own is the likeliest.
        return session.error(error.code, error.message, arg=[echo | {"params": params}])
    answer = [echo | {"params": ids_of(session.gateway, order)}]
    return dump({"event": "trade", "arg": answer, "code": session.code("0"), "msg": "Success"})


def _unified(session: BitgetSession, message: Fields, rows: Sequence[Fields], now_ns: int) -> bytes:
    topic, told = str(message.get("topic")), message.get("id")
    head = {"id": told, "category": message.get("category"), "topic": topic}
    gateway = session.gateway
    try:
        account = _may(session)
        if topic not in WORK or not isinstance(told, str):
            raise Refused(400, "40017", "Parameter verification failed")
        many = topic.startswith("batch")
        if len(rows) > (BATCH_ORDERS_MAX[Family.UNIFIED] if many else 1):
            raise Refused(400, "40912", "too many orders in a batch")
        if many and len({"orderId" in row for row in rows}) > 1:
            raise Refused(400, "40017", "orderId and clientOid must not be mixed")
        work, name, limit = WORK[topic]
        gateway.count(account, name, limit, now_ns)
        answers = []
        for row in rows:
            fields = {"category": message.get("category"), **row}
            if not many:
                answers.append(ids_of(gateway, work(gateway, account, fields, now_ns)))
                continue
            answers.append(_batch_row(gateway, work, account, fields, now_ns))
    except Refused as error:
        return session.error(error.code, error.message, **head)
    return dump({
        "event": "trade", **head, "args": answers, "code": "0", "msg": "success",
        "ts": str(now_ns // MS),
    })  # fmt: skip


def _batch_row(
    gateway: BitgetGateway, work: Work, account: int, row: Fields, now_ns: int
) -> dict[str, str]:
    try:
        ids = ids_of(gateway, work(gateway, account, row, now_ns))
    except Refused as error:
        named = {name: str(row.get(name, "")) for name in ("orderId", "clientOid")}
        return {"code": error.code, "msg": error.message, **named}
    return {"code": "0", "msg": "Success", **ids}
