"""Trading calls of the simulated Gate.io: orders placed, amended, cancelled, looked up.

REST uses the same functions; only the envelopes differ. Orders are parsed first; what does not
parse is refused without an acknowledgement, what the engine refuses after it.

Source: Gate documentation, "Spot WebSocket v4", chapter "spot account trade", updated 2026-04-27.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from openmm._fast.matching import Stp
from openmm.instrument import Instrument
from openmm.venues.counterpart import OrderRecord, PlaceRequest, Refusal
from openmm.venues.gateio.dialect_text import (
    MS,
    NS,
    REFUSALS,
    SIDES,
    TIFS,
    Refused,
    dump,
    refused,
)
from openmm.venues.gateio.spec import (
    BATCH_ORDERS_MAX,
    BATCH_PAIRS_MAX,
    CANCEL_IDS_MAX,
    OPEN_ORDERS_LIMIT,
    ORDERS_PER_S,
    TEXT_BYTES_MAX,
    TEXT_PREFIX,
    our_name,
    venue_symbol,
)

if TYPE_CHECKING:
    from openmm.venues.gateio.dialect import GateioGateway, GateioSession

TEXT_CHARS: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-.")
Fields = Mapping[str, Any]
Answers = tuple[list[bytes], list[bytes]]  # acknowledgements, results


class Call:
    """One call and its envelope."""

    def __init__(
        self, session: GateioSession, channel: str, payload: Mapping[str, Any], now_ns: int
    ) -> None:
        self.gateway = session.gateway
        self.channel = channel
        self.payload = payload
        self.now_ns = now_ns
        self.remain = -1  # placements left this second, when told

    @property
    def deadline_ns(self) -> int | None:
        """The moment after which the call must not be carried out."""
        header = self.payload.get("req_header")
        told = header.get("x-gate-exptime") if isinstance(header, dict) else None
        return int(told) * MS if isinstance(told, str) and told.isdecimal() else None

    def _frame(self, status: int, data: Mapping[str, Any], **more: object) -> bytes:
        header: dict[str, Any] = {
            "response_time": str(self.now_ns // MS), "status": str(status),
            "channel": self.channel, "event": "api", "client_id": "127.0.0.1-0xc000000000",
            "x_in_time": self.now_ns // 1000, "x_out_time": self.now_ns // 1000,
        }  # fmt: skip
        if self.remain >= 0:
            header |= {
                "x_gate_ratelimit_requests_remain": self.remain,
                "x_gate_ratelimit_limit": ORDERS_PER_S,
                "x_gat_ratelimit_reset_timestamp": self.now_ns // MS,
            }
        request_id = self.payload.get("req_id", "")
        return dump({"header": header, "data": data, "request_id": request_id} | more)

    def ack(self) -> bytes:
        """Write the acknowledgement: received, not accepted."""
        echo = {
            "req_id": self.payload.get("req_id", ""), "api_key": "", "timestamp": "",
            "signature": "", "req_param": self.payload.get("req_param"),
        }  # fmt: skip
        return self._frame(200, {"result": echo}, ack=True)

    def done(self, result: object) -> bytes:
        """Write a success."""
        return self._frame(200, {"result": result})

    def failed(self, error: Refused) -> bytes:
        """Write a failure."""
        return self._frame(error.status, {"errs": {"label": error.label, "message": error.message}})


def carry_out(call: Call, account: int) -> Answers:
    """Carry out a call of a connection that is logged in.

    Raises:
        Refused: the call does not parse, or is no call.
    """
    work = CALLS.get(call.channel)
    if work is None:
        raise Refused(400, "INVALID_ARGUMENT", f"unknown channel {call.channel}")
    return work(call, account, call.payload.get("req_param"))


def _place(call: Call, account: int, param: object) -> Answers:
    many = isinstance(param, list)
    rows: list[Any] = param if isinstance(param, list) else [param]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise Refused(400, "INVALID_ARGUMENT", "OrderPlace request params error")
    check_batch(rows, many)
    ack = [call.ack()]
    try:
        call.remain = count_orders(call.gateway, account, rows, call.now_ns)
    except Refused as error:
        # SIM: whether it is acknowledged first is not documented.
        after = call.gateway.options.limited_after_ack
        return ack if after else [], [call.failed(error)]
    if many:
        told = [
            batch_row(call.gateway, account, row, call.now_ns, call.deadline_ns) for row in rows
        ]
        return ack, [call.done(told)]
    try:
        order = place(call.gateway, account, rows[0], call.now_ns, call.deadline_ns)
    except Refused as error:
        return ack, [call.failed(error)]
    return ack, [call.done(shortened(call.gateway.told(order), rows[0]))]


def check_batch(rows: Sequence[Fields], many: bool) -> None:
    """Refuse a batch beyond the venue's bounds."""
    pairs = [str(row.get("currency_pair")) for row in rows]
    if len(set(pairs)) > BATCH_PAIRS_MAX:
        raise Refused(400, "TOO_MANY_CURRENCY_PAIRS", "at most 4 pairs")
    if max(map(pairs.count, pairs)) > BATCH_ORDERS_MAX:
        raise Refused(400, "TOO_MANY_ORDERS", "at most 10 orders of a pair")
    if len({row.get("account", "spot") for row in rows}) > 1:
        raise Refused(400, "MIXED_ACCOUNT_TYPE", "one account")
    if many and not all(row.get("text") for row in rows):
        raise Refused(400, "MISSING_REQUIRED_PARAM", "text is required in batches")


def count_orders(gateway: GateioGateway, account: int, rows: Sequence[Fields], now_ns: int) -> int:
    """Count placements of each pair; returns how many are left of the last."""
    pairs = [our_name(str(row.get("currency_pair"))) for row in rows]
    left = 0
    for name in dict.fromkeys(pairs):
        left = gateway.may_order(account, name, pairs.count(name), now_ns)
        if left < 0:
            raise refused(Refusal.RATE_LIMIT)
    return left


def batch_row(
    gateway: GateioGateway, account: int, row: Fields, now_ns: int, deadline_ns: int | None
) -> dict[str, Any]:
    """Place one order of a batch; tell it or its refusal."""
    try:
        order = place(gateway, account, row, now_ns, deadline_ns)
    except Refused as error:
        return {
            "text": row.get("text"), "succeeded": False, "label": error.label,
            "message": error.message,
        }  # fmt: skip
    told = shortened(gateway.told(order), row)
    return told | {"order_id": told["id"], "succeeded": True, "label": "", "message": ""}


def shortened(told: dict[str, Any], row: Fields) -> dict[str, Any]:
    """Cut an answer down to what `action_mode` asks for."""
    mode = row.get("action_mode", "FULL")
    if mode == "ACK":
        return {name: told[name] for name in ("id", "text", "amend_text")}
    if mode == "RESULT":
        return {name: value for name, value in told.items() if "fee" not in name}
    return told


def place(
    gateway: GateioGateway, account: int, row: Fields, now_ns: int, deadline_ns: int | None
) -> OrderRecord:
    """Place one order.

    Raises:
        Refused: the venue says no.
    """
    request = read_order(gateway, row, deadline_ns)
    [outcome] = gateway.core.place(account, [request], now_ns)
    if isinstance(outcome, Refusal):
        raise refused(outcome)
    assert outcome is not None, "nothing is only validated here"
    return outcome


def read_order(gateway: GateioGateway, row: Fields, deadline_ns: int | None) -> PlaceRequest:
    """Check an order object.

    Raises:
        Refused: a field is missing, malformed or out of bounds.
    """
    symbol = row.get("currency_pair")
    name = our_name(symbol) if isinstance(symbol, str) else ""
    pair = gateway.core.instruments.get(name)
    if pair is None or venue_symbol(name) != symbol:
        raise Refused(400, "INVALID_CURRENCY_PAIR", f"Invalid currency pair {symbol}")
    if row.get("type", "limit") != "limit":
        # SIM: the engine places limit orders; a market buy counts money, which the core does not.
        raise Refused(400, "INVALID_PARAM_VALUE", "market orders are not simulated")
    side, tif = SIDES.get(str(row.get("side")).lower()), row.get("time_in_force", "gtc")
    if side is None or tif not in TIFS:
        raise Refused(400, "INVALID_PARAM_VALUE", "Invalid parameter `side` or `time_in_force`")
    if row.get("account", "spot") not in ("spot", "unified"):
        raise Refused(400, "INVALID_PARAM_VALUE", "Invalid parameter `account`")
    if row.get("stp_act"):
        raise Refused(400, "INVALID_PARAM_VALUE", "the account is in no STP group")
    return PlaceRequest(
        instrument=name,
        side=side,
        qty_lots=lots_of(pair, row.get("amount")),
        price_ticks=ticks_of(pair, row.get("price")),
        tif=TIFS[tif],
        post_only=tif == "poc",
        stp=Stp.CANCEL_NEWEST,
        client_id=_text(row.get("text")),
        deadline_ns=deadline_ns,
    )


def _text(text: object) -> str:
    if text is None:
        return ""
    if (
        not isinstance(text, str)
        or not text.startswith(TEXT_PREFIX)
        or not 0 < len(text) - len(TEXT_PREFIX) <= TEXT_BYTES_MAX
        or not TEXT_CHARS.issuperset(text)
    ):
        raise Refused(400, "INVALID_PARAM_VALUE", f"Invalid parameter `text` with value: {text}")
    return text


def _number(told: object, what: str) -> Decimal:
    try:
        value = Decimal(told) if isinstance(told, str) else Decimal("NaN")
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value <= 0:
        raise Refused(400, "INVALID_PARAM_VALUE", f"Invalid parameter `{what}` with value: {told}")
    return value


def lots_of(pair: Instrument, told: object) -> int:
    """Read a quantity in whole lots."""
    try:
        return pair.exact_lots(_number(told, "amount"))
    except ValueError as error:
        if isinstance(error, Refused):
            raise
        raise Refused(400, "INVALID_PRECISION", "Invalid amount precision") from error


def ticks_of(pair: Instrument, told: object) -> int:
    """Read a price in whole ticks."""
    try:
        return pair.exact_ticks(_number(told, "price"))
    except ValueError as error:
        if isinstance(error, Refused):
            raise
        raise Refused(400, "INVALID_PRECISION", "Invalid price precision") from error


def object_of(param: object) -> Fields:
    """Require a JSON object."""
    if not isinstance(param, dict):
        raise Refused(400, "INVALID_ARGUMENT", "request params error")
    return param


def named(
    gateway: GateioGateway, account: int, name: object, symbol: object, *, ended_too: bool = False
) -> OrderRecord:
    """Find the order that a call names.

    Raises:
        Refused: there is none, or its pair is another.
    """
    if not isinstance(symbol, str) or our_name(symbol) not in gateway.core.instruments:
        raise Refused(400, "INVALID_CURRENCY_PAIR", f"Invalid currency pair {symbol}")
    order = gateway.find(account, str(name), ended_too=ended_too)
    if order is None or order.instrument != our_name(symbol):
        if str(name).startswith(TEXT_PREFIX):
            raise Refused(404, "CLIENT_ID_NOT_FOUND", "Order not found")
        raise refused(Refusal.UNKNOWN_ORDER)
    return order


def amend(
    gateway: GateioGateway, account: int, name: object, row: Fields, now_ns: int,
    deadline_ns: int | None = None,
) -> OrderRecord:  # fmt: skip
    """Change an order in place; `amount` is the new total.

    Raises:
        Refused: the venue says no.
    """
    order = named(gateway, account, name, row.get("currency_pair"))
    if gateway.may_order(account, order.instrument, 1, now_ns) < 0:
        raise refused(Refusal.RATE_LIMIT)
    pair = gateway.core.instruments[order.instrument]
    price, amount = row.get("price"), row.get("amount")
    refusal = gateway.core.amend(
        account, order,
        None if price is None else ticks_of(pair, price),
        None if amount is None else lots_of(pair, amount),
        order.post_only, now_ns, deadline_ns,
    )  # fmt: skip
    if refusal is not None:
        raise refused(refusal)
    return order


def cancel(
    gateway: GateioGateway, account: int, name: object, symbol: object, now_ns: int
) -> OrderRecord:
    """Cancel one order.

    Raises:
        Refused: it is not open, or there is none.
    """
    order = named(gateway, account, name, symbol)
    if not gateway.may_cancel(account, 1, now_ns):
        raise refused(Refusal.RATE_LIMIT)
    refusal = gateway.core.cancel(account, order, now_ns)
    if refusal is not None:
        raise refused(refusal)
    return order


def cancel_ids(
    gateway: GateioGateway, account: int, rows: object, now_ns: int, *, rest: bool
) -> list[dict[str, Any]]:
    """Cancel a list of orders; a failure stands in its row, and differs between socket and REST."""
    if not isinstance(rows, list) or not 0 < len(rows) <= CANCEL_IDS_MAX:
        raise Refused(400, "INVALID_PARAM_VALUE", "1 to 20 orders")
    told: list[dict[str, Any]] = []
    for row in map(object_of, rows):
        answer: dict[str, Any] = {"currency_pair": row.get("currency_pair"), "id": row.get("id")}
        try:
            cancel(gateway, account, row.get("id"), row.get("currency_pair"), now_ns)
        except Refused as error:
            answer |= {"label": error.label, "message": error.message}
            told.append(answer | {"succeeded": False} if rest else answer)
        else:
            told.append(answer | {"succeeded": True})
            if rest:
                told[-1] |= {"text": row.get("id"), "label": None, "message": None}
    return told


def cancel_pair(
    gateway: GateioGateway, account: int, symbol: object, side: object, now_ns: int
) -> list[dict[str, Any]]:
    """Cancel a pair's orders, of every pair without one: the venue does that too."""
    told = []
    for order in list(gateway.core.open_orders(account)):
        if symbol and venue_symbol(order.instrument) != symbol:
            continue
        if side in SIDES and order.side != SIDES[str(side)]:
            continue
        if gateway.core.cancel(account, order, now_ns) is None:
            told.append(gateway.told(order) | {"succeeded": True, "label": "", "message": ""})
    return told


def _amend_call(call: Call, account: int, param: object) -> Answers:
    row = object_of(param)
    name = row.get("order_id")
    order = amend(call.gateway, account, name, row, call.now_ns, call.deadline_ns)
    return [], [call.done(call.gateway.told(order))]


def _cancel_call(call: Call, account: int, param: object) -> Answers:
    row = object_of(param)
    order = cancel(
        call.gateway, account, row.get("order_id"), row.get("currency_pair"), call.now_ns
    )
    return [], [call.done(call.gateway.told(order))]


def _cancel_ids_call(call: Call, account: int, param: object) -> Answers:
    return [], [call.done(cancel_ids(call.gateway, account, param, call.now_ns, rest=False))]


def _cancel_pair_call(call: Call, account: int, param: object) -> Answers:
    row = object_of(param)
    told = cancel_pair(
        call.gateway, account, row.get("currency_pair"), row.get("side"), call.now_ns
    )
    return [], [call.done(told)]


def _status_call(call: Call, account: int, param: object) -> Answers:
    row = object_of(param)
    order = named(
        call.gateway, account, row.get("order_id"), row.get("currency_pair"),
        ended_too=_recently(call, account, row.get("order_id")),
    )  # fmt: skip
    return [], [call.done(call.gateway.told(order))]


def _recently(call: Call, account: int, name: object) -> bool:
    """Whether a text may still be looked up here: for an hour after the order's end."""
    found = call.gateway.core.by_client_id(account, str(name))
    return bool(found) and call.now_ns - found[0].closed_ns < 3600 * NS


def _list_call(call: Call, account: int, param: object) -> Answers:
    row = object_of(param)
    orders = list_orders(call.gateway, account, row.get("currency_pair"), row.get("status"))
    return [], [call.done(orders[:OPEN_ORDERS_LIMIT])]


def list_orders(
    gateway: GateioGateway, account: int, symbol: object, status: object
) -> list[dict[str, Any]]:
    """List a pair's orders, open or finished, the latest first."""
    core = gateway.core
    orders = core.open_orders(account) if status == "open" else core.orders(account)
    return [
        gateway.told(order)
        for order in reversed(orders)
        if venue_symbol(order.instrument) == symbol and order.open == (status == "open")
    ]


CALLS: Final[Mapping[str, Callable[[Call, int, object], Answers]]] = {
    "spot.order_place": _place,
    "spot.order_amend": _amend_call,
    "spot.order_cancel": _cancel_call,
    "spot.order_cancel_ids": _cancel_ids_call,
    "spot.order_cancel_cp": _cancel_pair_call,
    "spot.order_status": _status_call,
    "spot.order_list": _list_call,
}
assert set(REFUSALS) == set(Refusal), "every refusal of the core has its label"
