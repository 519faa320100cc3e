"""Answer MEXC's REST API from the venue's side: a pure function of request, core and time.

Signatures, clock, content type and limits are checked as the venue does. Paths under `/sim/` exist
only here.

Source: MEXC API documentation (spot v3), 2025-08 to 2026; error texts from issues quoted in ccxt.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import parse_qsl

from openmm._fast.matching import Stp
from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.venues.candles import make_candles
from openmm.venues.counterpart import OrderRecord, PlaceRequest, Refusal
from openmm.venues.mexc.dialect import MexcGateway
from openmm.venues.mexc.dialect_book import ASK, BID
from openmm.venues.mexc.dialect_text import (
    BUY,
    MS,
    NS,
    SIDE_TEXT,
    SIDES,
    TIFS,
    Refused,
    dump,
    fill_row,
    hex_id,
    money_text,
    order_id,
    order_row,
    plain,
    price_text,
    qty_text,
    refused,
    trade_id,
    type_of,
)
from openmm.venues.mexc.spec import (
    BATCH_ORDERS_MAX,
    CLOCK_AHEAD_MS_MAX,
    FILLS_LIMIT,
    LISTEN_KEY_S,
    ORDERS_PER_S,
    REST_DEPTH_MAX,
    WEIGHT_PER_10_S,
    venue_symbol,
)
from openmm.venues.simulated import simulator_answer

Query = Mapping[str, str]
Answer = tuple[int, bytes]
CLIENT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
NO_SIGNATURE: Final = (
    "Mandatory parameter 'signature' was not sent, was empty/null, or malformed."
)  # fmt: skip
STP: Final[Mapping[str, int]] = {
    "": Stp.CANCEL_NEWEST, "cancel_taker": Stp.CANCEL_NEWEST, "cancel_maker": Stp.CANCEL_OLDEST,
    "cancel_both": Stp.CANCEL_BOTH,
}  # fmt: skip
# Documented weights; what is not listed weighs 1. Orders have a limit of their own.
WEIGHTS: Final[Mapping[str, int]] = {
    "/api/v3/exchangeInfo": 10, "/api/v3/trades": 5, "/api/v3/order": 2, "/api/v3/openOrders": 3,
    "/api/v3/allOrders": 10, "/api/v3/account": 10, "/api/v3/myTrades": 10,
    "/api/v3/tradeFee": 20,
}  # fmt: skip
ORDER_CALLS: Final = frozenset(
    {
        ("POST", "/api/v3/order"), ("POST", "/api/v3/batchOrders"), ("DELETE", "/api/v3/order"),
        ("DELETE", "/api/v3/openOrders"), ("DELETE", "/api/v3/order/all"),
    }
)  # fmt: skip

INTERVALS_S: Final[Mapping[str, int]] = {
    "1m": 60, "5m": 300, "15m": 900, "30m": 1800, "60m": 3600, "4h": 14_400, "1d": 86_400,
}  # fmt: skip


class MexcRest:
    """The REST side of a gateway."""

    def __init__(self, gateway: MexcGateway) -> None:
        self.gateway = gateway
        self.core = gateway.core
        # Takes a fault as `/sim/fault` tells it and returns its kind; None: no faults here.
        self.on_fault: Callable[[Query, int], str] | None = None

    def forget_calls(self) -> None:
        """Count no call made so far against a limit of calls."""
        self.gateway.forget_calls()

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, now_ns: int
    ) -> Answer:
        """Return HTTP status and JSON of a request; `path` holds the query, if any."""
        bare, _, query = path.partition("?")
        asked = dict(parse_qsl(query, keep_blank_values=True))
        try:
            if bare.startswith("/sim/"):
                return 200, dump(
                    simulator_answer(
                        self.core, method, bare[5:], asked, now_ns, self._told, self.on_fault
                    )
                )
            if (method, bare) not in ORDER_CALLS:
                weight = WEIGHTS.get(bare, 1)
                self.gateway.count(0, "weight", weight, WEIGHT_PER_10_S, 10, now_ns)
            public = PUBLIC.get(bare) if method == "GET" else None
            if public is not None:
                return 200, dump(public(self, asked, now_ns))
            call = PRIVATE.get((method, bare))
            if call is None:
                raise Refused(404, 404, "Not Found")
            lower = {key.lower(): value for key, value in headers.items()}
            account = self._authenticate(method, query, lower, body, asked, now_ns)
            if (method, bare) in ORDER_CALLS:
                self.gateway.count(account, "orders", 1, ORDERS_PER_S, 1, now_ns)
            return 200, dump(call(self, account, asked, now_ns))
        except Refused as error:
            return error.status, dump({"code": error.code, "msg": error.message})
        except ConfigError as error:
            return 400, dump({"code": 33333, "msg": str(error)})

    # ---- who asks

    def _authenticate(
        self, method: str, query: str, headers: Query, body: bytes, asked: Query, now_ns: int
    ) -> int:
        if method in ("POST", "PUT") and headers.get("content-type") != "application/json":
            raise Refused(400, 700013, "Invalid content Type.")
        if not headers.get("x-mexc-apikey"):
            raise Refused(400, 400, "api key required")
        account = self.core.account_of(headers["x-mexc-apikey"])
        if account is None:
            raise Refused(400, 10072, "Api key info invalid")
        parts = query.split("&") if query else []
        told = [one for one in parts if one.startswith("signature=")]
        if len(told) != 1 or len(told[0]) != 74:
            raise Refused(400, 700004, NO_SIGNATURE)
        # Over the bytes as sent: their order and their encoding count.
        text = "&".join(one for one in parts if one not in told).encode() + body
        wanted = hmac.new(self.core.secret_of(account), text, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted, told[0][10:]):
            raise Refused(400, 700002, "Signature for this request is not valid.")
        stamp, window = asked.get("timestamp", ""), asked.get("recvWindow", "5000")
        if not stamp.isdecimal() or not window.isdecimal():
            raise Refused(400, 700004, "Mandatory parameter 'timestamp' was not sent")
        if int(window) > 60_000:
            raise Refused(400, 700005, "recvWindow must less than 60000")
        late_ms = now_ns // MS - int(stamp)
        if late_ms <= -CLOCK_AHEAD_MS_MAX or late_ms > int(window):
            raise refused(Refusal.DEADLINE)
        return account

    # ---- public

    def _pair(self, asked: Query) -> Instrument:
        name = self.gateway.names.get(asked.get("symbol", ""))
        if name is None:
            raise refused(Refusal.INSTRUMENT)
        return self.core.instruments[name]

    def time(self, _asked: Query, now_ns: int) -> Any:
        """Answer the clock."""
        return {"serverTime": now_ns // MS}

    def info(self, _asked: Query, now_ns: int) -> Any:
        """Answer the pairs."""
        rows = [
            {
                "symbol": venue_symbol(pair.name), "status": "1", "baseAsset": pair.base,
                "baseAssetPrecision": pair.qty_decimals, "quoteAsset": pair.quote,
                "quotePrecision": pair.price_decimals, "quoteAssetPrecision": pair.price_decimals,
                "baseCommissionPrecision": pair.qty_decimals,
                "quoteCommissionPrecision": pair.price_decimals,
                "orderTypes": ["LIMIT", "MARKET", "LIMIT_MAKER"], "isSpotTradingAllowed": True,
                "isMarginTradingAllowed": False, "quoteAmountPrecision": plain(pair.cost_min),
                "baseSizePrecision": plain(pair.qty_min), "permissions": ["SPOT"], "filters": [],
                "maxQuoteAmount": "2000000", "makerCommission": "0", "takerCommission": "0.0005",
                "tradeSideType": 1, "st": False,
            }
            for pair in self.core.instruments.values()
        ]  # fmt: skip
        return {"timezone": "CST", "serverTime": now_ns // MS, "rateLimits": [],
                "exchangeFilters": [], "symbols": rows}  # fmt: skip

    def depth(self, asked: Query, now_ns: int) -> Any:
        """Answer a book with its version: the counter of the streams."""
        pair, limit = self._pair(asked), asked.get("limit", "100")
        if not limit.isdecimal() or not 1 <= int(limit) <= REST_DEPTH_MAX:
            raise Refused(400, 33333, "param error")
        state = self.gateway.books[venue_symbol(pair.name)].refresh()
        sides = {
            name: [[price_text(pair, price), qty_text(pair, qty)]
                   for price, qty in state.best(side, int(limit))]
            for name, side in (("bids", BID), ("asks", ASK))
        }  # fmt: skip
        return {"lastUpdateId": state.version, **sides, "timestamp": now_ns // MS}

    def ticker(self, asked: Query, now_ns: int) -> Any:
        """Answer best prices and the day's figures."""
        pair = self._pair(asked)
        last = self.core.trades(pair.name, 1)
        row: dict[str, Any] = {"symbol": venue_symbol(pair.name)}
        for side, name in ((BID, "bid"), (ASK, "ask")):
            best = self.core.depth(pair.name, side, 1)
            row[f"{name}Price"] = price_text(pair, best[0][0]) if best else "0"
            row[f"{name}Qty"] = qty_text(pair, best[0][1]) if best else "0"
        price = price_text(pair, last[-1].price_ticks) if last else row["bidPrice"]
        return row | {"lastPrice": price, "volume": "0", "closeTime": now_ns // MS}

    def trades(self, asked: Query, _now_ns: int) -> Any:
        """Answer the last trades, newest first, without ids."""
        pair, limit = self._pair(asked), asked.get("limit", "500")
        count = min(1000, int(limit)) if limit.isdecimal() else 500
        return [
            {
                "id": None, "price": price_text(pair, one.price_ticks),
                "qty": qty_text(pair, one.qty_lots),
                "quoteQty": plain(pair.price(one.price_ticks) * pair.qty(one.qty_lots)),
                "time": one.ts_ns // MS, "isBuyerMaker": one.taker_side != BUY,
                "isBestMatch": True, "tradeType": "BID" if one.taker_side == BUY else "ASK",
            }
            for one in reversed(self.core.trades(pair.name, count))
        ]  # fmt: skip

    def klines(self, asked: Query, now_ns: int) -> Any:
        """Answer candles, oldest first."""
        pair, limit = self._pair(asked), asked.get("limit", "500")
        interval_s = INTERVALS_S.get(asked.get("interval", ""))
        if interval_s is None or not limit.isdecimal() or not 1 <= int(limit) <= 500:
            raise Refused(400, 33333, "param error")
        trades = self.core.trades(pair.name, 1000)
        return [
            [
                one.start_ns // MS,
                *(price_text(pair, price) for price in (
                    one.open_ticks, one.high_ticks, one.low_ticks, one.close_ticks
                )),
                qty_text(pair, one.qty_lots), one.start_ns // MS + interval_s * 1000,
                plain(pair.price(1) * pair.qty(1) * one.cost_ticklots),
            ]
            for one in make_candles(trades, interval_s * 1000 * MS, int(limit), now_ns)
        ]  # fmt: skip

    # ---- orders

    def _told(self, order: OrderRecord) -> dict[str, Any]:
        return order_row(self.core, order, self.gateway.updated(order))

    def place(self, account: int, asked: Mapping[str, Any], now_ns: int) -> Any:
        """Place one order: the answer names it by the venue's id alone."""
        order = self._place(account, asked, now_ns)
        pair = self.core.instruments[order.instrument]
        assert order.price_ticks is not None, "limit orders alone are taken"
        return {
            "symbol": venue_symbol(order.instrument), "orderId": order_id(order),
            "orderListId": -1, "price": price_text(pair, order.price_ticks),
            "origQty": qty_text(pair, order.qty_lots), "type": type_of(order),
            "side": SIDE_TEXT[order.side], "stpMode": str(asked.get("stpMode", "")).upper(),
            "transactTime": now_ns // MS,
        }  # fmt: skip

    def _place(self, account: int, asked: Mapping[str, Any], now_ns: int) -> OrderRecord:
        request = self._request(asked)
        if request.client_id and self.core.by_client_id(account, request.client_id):
            raise refused(Refusal.DUPLICATE_ID)
        [outcome] = self.core.place(account, [request], now_ns)
        if isinstance(outcome, Refusal):
            raise refused(outcome)
        assert outcome is not None, "nothing is only validated here"
        return outcome

    def _request(self, asked: Mapping[str, Any]) -> PlaceRequest:
        pair, kind = self._pair(asked), str(asked.get("type"))
        side, stp = SIDES.get(str(asked.get("side"))), str(asked.get("stpMode", ""))
        if side is None or stp not in STP:
            raise Refused(400, 33333, "param error")
        if kind not in TIFS:
            # SIM: the engine places limit orders; a market buy counts money, the core does not.
            raise Refused(400, 30019, "api market order is disabled")
        client_id = str(asked.get("newClientOrderId", ""))
        if client_id and not CLIENT_ID.fullmatch(client_id):
            raise Refused(400, 700008, "Illegal characters found in parameter 'newClientOrderId'")
        return PlaceRequest(
            instrument=pair.name, side=side, qty_lots=_lots(pair, asked.get("quantity")),
            price_ticks=_ticks(pair, asked.get("price")), tif=TIFS[kind],
            post_only=kind == "LIMIT_MAKER", stp=STP[stp], client_id=client_id,
        )  # fmt: skip

    def try_order(self, _account: int, asked: Query, _now_ns: int) -> Any:
        """Check an order without placing it."""
        self._request(asked)
        return {}

    def batch(self, account: int, asked: Query, now_ns: int) -> Any:
        """Place up to twenty orders of one pair; each has its answer, in their order."""
        try:
            rows = json.loads(asked.get("batchOrders", ""))
        except ValueError:
            rows = None
        if not isinstance(rows, list) or not 0 < len(rows) <= BATCH_ORDERS_MAX:
            raise Refused(400, 33333, "param error")
        if len({str(row.get("symbol")) for row in rows if isinstance(row, dict)}) != 1:
            raise Refused(400, 33333, "param error")
        told: list[dict[str, Any]] = []
        for row in rows:
            named = {"newClientOrderId": str(row.get("newClientOrderId", ""))}
            try:
                order = self._place(account, row, now_ns)
            except Refused as error:
                told.append({**named, "msg": error.message, "code": error.code})
            else:
                told.append({"symbol": row["symbol"], "orderId": order_id(order), **named,
                             "orderListId": -1})  # fmt: skip
        return told

    def _find(self, account: int, asked: Query) -> OrderRecord | None:
        self._pair(asked)
        if asked.get("orderId"):
            order = self.gateway.orders.get(asked["orderId"])
            return order if order is not None and order.account == account else None
        if asked.get("origClientOrderId"):
            found = self.core.by_client_id(account, asked["origClientOrderId"])
            return found[0] if found else None
        raise Refused(
            400, 700004, "Mandatory parameter 'orderId' or 'origClientOrderId' was not sent"
        )

    def cancel(self, account: int, asked: Query, now_ns: int) -> Any:
        """Cancel one order."""
        order = self._find(account, asked)
        if order is None or not order.open:
            raise refused(Refusal.UNKNOWN_ORDER)
        refusal = self.core.cancel(account, order, now_ns)
        if refusal is not None:
            raise refused(refusal)
        row = self._told(order)
        # The short form of live answers.
        return {one: row[one] for one in ("symbol", "orderId", "price", "origQty", "type", "side")}

    def cancel_symbol(self, account: int, asked: Query, now_ns: int) -> Any:
        """Cancel a pair's orders."""
        pair = self._pair(asked)
        return [
            self._told(order)
            for order in list(self.core.open_orders(account))
            if order.instrument == pair.name and self.core.cancel(account, order, now_ns) is None
        ]

    def cancel_all(self, account: int, _asked: Query, now_ns: int) -> Any:
        """Cancel every order."""
        outcome = self.core.cancel_all(account, now_ns)
        if isinstance(outcome, Refusal):
            raise refused(outcome)
        return {"code": 200, "msg": "success", "timestamp": now_ns // MS}

    def query(self, account: int, asked: Query, _now_ns: int) -> Any:
        """Answer one order."""
        order = self._find(account, asked)
        if order is None:
            raise Refused(400, -2013, "Order does not exist.")
        return self._told(order)

    def open_orders(self, account: int, asked: Query, _now_ns: int) -> Any:
        """Answer the open orders, of one pair or of all."""
        symbol = asked.get("symbol", "")
        return [
            self._told(order)
            for order in self.core.open_orders(account)
            if not symbol or venue_symbol(order.instrument) == symbol
        ]

    def all_orders(self, account: int, asked: Query, now_ns: int) -> Any:
        """Answer a pair's orders of the last day."""
        pair = self._pair(asked)
        return [
            self._told(order)
            for order in self.core.orders(account)
            if order.instrument == pair.name and order.created_ns > now_ns - 86_400 * NS
        ][-500:]

    def fills(self, account: int, asked: Query, _now_ns: int) -> Any:
        """Answer an account's fills of a pair, newest first."""
        pair, wanted = self._pair(asked), asked.get("orderId", "")
        start_ns = int(asked.get("startTime", "0")) * MS
        end_ns = (int(asked["endTime"]) + 1) * MS if "endTime" in asked else 1 << 62
        own_ids = self.gateway.options.rest_ids == "stream"
        rows = []
        for fill in reversed(self.core.fills(account)):
            order = self.core.order(account, fill.venue_order_id)
            assert order is not None, "a fill's order is known"
            if fill.instrument != pair.name or (wanted and wanted != order_id(order)):
                continue
            if start_ns <= fill.ts_ns < end_ns:
                told_id = trade_id(fill) if own_ids else hex_id(fill)
                rows.append(fill_row(self.core, order, fill, told_id))
        limit = asked.get("limit", str(FILLS_LIMIT))
        return rows[: min(FILLS_LIMIT, int(limit) if limit.isdecimal() else FILLS_LIMIT)]

    # ---- account

    def account(self, account: int, _asked: Query, _now_ns: int) -> Any:
        """Answer what an account holds."""
        rows = [
            {
                "asset": asset,
                "free": money_text(self.core, asset, total - held),
                "locked": money_text(self.core, asset, held),
                "available": money_text(self.core, asset, total - held),
            }
            for asset, (total, held) in self.core.balances(account).items()
        ]
        return {"makerCommission": None, "takerCommission": None, "canTrade": True,
                "canWithdraw": True, "canDeposit": True, "updateTime": None,
                "accountType": "SPOT", "balances": rows, "permissions": ["SPOT"]}  # fmt: skip

    def fees(self, account: int, asked: Query, now_ns: int) -> Any:
        """Answer the account's own rates."""
        self._pair(asked)
        maker, taker = (one / 1_000_000 for one in self.core.fees_ppm(account))
        return {"data": {"makerCommission": maker, "takerCommission": taker}, "code": 0,
                "msg": "success", "timestamp": now_ns // MS}  # fmt: skip

    def key_new(self, account: int, _asked: Query, now_ns: int) -> Any:
        """Make a listen key."""
        return {"listenKey": self.gateway.new_listen_key(account, now_ns)}

    def keys(self, account: int, _asked: Query, _now_ns: int) -> Any:
        """Answer an account's listen keys."""
        known = self.gateway.listen_keys.items()
        return {"listenKey": [text for text, one in known if one.account == account]}

    def key_renew(self, account: int, asked: Query, now_ns: int) -> Any:
        """Renew a listen key."""
        key = self.gateway.key_of(asked.get("listenKey", ""), now_ns)
        if key is None or key.account != account:
            raise Refused(400, 33333, "param error")  # SIM: which code is not documented
        key.expires_ns = now_ns + LISTEN_KEY_S * NS
        return {}

    def key_end(self, account: int, asked: Query, now_ns: int) -> Any:
        """End a listen key."""
        key = self.gateway.key_of(asked.get("listenKey", ""), now_ns)
        if key is not None and key.account == account:
            self.gateway.end_key(asked["listenKey"])
        return {}


def _number(told: object) -> Decimal | None:
    try:
        value = Decimal(told) if isinstance(told, str) else None
    except InvalidOperation:
        return None
    return value if value is not None and value.is_finite() and value > 0 else None


def _lots(pair: Instrument, told: object) -> int:
    value = _number(told)
    if value is None:
        raise Refused(400, 10095, "amount cannot be null")
    try:
        return pair.exact_lots(value)
    except ValueError as error:
        raise refused(Refusal.QTY) from error


def _ticks(pair: Instrument, told: object) -> int:
    value = _number(told)
    if value is None:
        raise refused(Refusal.PRICE)
    try:
        return pair.exact_ticks(value)
    except ValueError as error:
        raise refused(Refusal.TICK) from error


PUBLIC: Final[Mapping[str, Callable[[MexcRest, Query, int], Any]]] = {
    "/api/v3/ping": lambda _rest, _asked, _now_ns: {},
    "/api/v3/time": MexcRest.time,
    "/api/v3/exchangeInfo": MexcRest.info,
    "/api/v3/depth": MexcRest.depth,
    "/api/v3/trades": MexcRest.trades,
    "/api/v3/klines": MexcRest.klines,
    "/api/v3/ticker/24hr": MexcRest.ticker,
    "/api/v3/ticker/bookTicker": MexcRest.ticker,
}
PRIVATE: Final[Mapping[tuple[str, str], Callable[[MexcRest, int, Query, int], Any]]] = {
    ("POST", "/api/v3/order"): MexcRest.place,
    ("POST", "/api/v3/order/test"): MexcRest.try_order,
    ("POST", "/api/v3/batchOrders"): MexcRest.batch,
    ("DELETE", "/api/v3/order"): MexcRest.cancel,
    ("DELETE", "/api/v3/openOrders"): MexcRest.cancel_symbol,
    ("DELETE", "/api/v3/order/all"): MexcRest.cancel_all,
    ("GET", "/api/v3/order"): MexcRest.query,
    ("GET", "/api/v3/openOrders"): MexcRest.open_orders,
    ("GET", "/api/v3/allOrders"): MexcRest.all_orders,
    ("GET", "/api/v3/myTrades"): MexcRest.fills,
    ("GET", "/api/v3/account"): MexcRest.account,
    ("GET", "/api/v3/tradeFee"): MexcRest.fees,
    ("POST", "/api/v3/userDataStream"): MexcRest.key_new,
    ("GET", "/api/v3/userDataStream"): MexcRest.keys,
    ("PUT", "/api/v3/userDataStream"): MexcRest.key_renew,
    ("DELETE", "/api/v3/userDataStream"): MexcRest.key_end,
}
