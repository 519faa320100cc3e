"""Answer Bitget's REST API from the venue's side: a pure function of request, core and time.

Signatures, clock and call limits are checked as the venue does; a key of one family is refused by
the other's interface. Paths under `/sim/` exist only here.

Source: Bitget API documentation, REST pages of v2 and v3, crawl of 2025-12-05.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.venues.bitget import dialect_trading as trading
from openmm.venues.bitget.dialect import BitgetGateway, signed
from openmm.venues.bitget.dialect_book import ASK, BID
from openmm.venues.bitget.dialect_text import (
    MS,
    NS,
    PASSPHRASE,
    SIDE_TEXT,
    Refused,
    classic_coin,
    dump,
    info_row,
    open_row,
    plain,
    price_text,
    qty_text,
    refused,
    rest_fill,
    symbol_of,
    unified_coin,
    unified_fill,
    unified_order,
)
from openmm.venues.bitget.spec import (
    BATCH_ORDERS_MAX,
    CLASSIC_ON_UNIFIED,
    CLOCK_S_MAX,
    DEAD_MAN_S,
    ORDER_INFO_BY_CLIENT_ID_S,
    REST_DEPTH_MAX,
    UNIFIED_ON_CLASSIC,
    Family,
)
from openmm.venues.candles import make_candles
from openmm.venues.counterpart import OrderRecord, Refusal
from openmm.venues.simulated import simulator_answer

Query = Mapping[str, str]
Answer = tuple[int, bytes]
# Requests a second; each page names its own, most of these.
LIMITS: Final[Mapping[str, int]] = {
    "/api/v2/spot/trade/fills": 10, "/api/v2/spot/account/assets": 10,
    "/api/v2/common/trade-rate": 10, "/api/v2/spot/market/fills": 10,
    "/api/v3/account/fee-rate": 3, "/api/v3/trade/countdown-cancel-all": 1,
}  # fmt: skip
CLASSIC_INTERVALS_S: Final[Mapping[str, int]] = {
    "1min": 60, "5min": 300, "15min": 900, "30min": 1800, "1h": 3600, "4h": 14_400,
    "6h": 21_600, "12h": 43_200, "1day": 86_400,
}  # fmt: skip
UNIFIED_INTERVALS_S: Final[Mapping[str, int]] = {
    "1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1H": 3600, "4H": 14_400, "6H": 21_600,
    "12H": 43_200, "1D": 86_400,
}  # fmt: skip
LIMIT: Final = 20
PER_SYMBOL: Final = 5


class BitgetRest:
    """The REST side of a gateway."""

    def __init__(self, gateway: BitgetGateway) -> None:
        self.gateway = gateway
        self.core = gateway.core
        # Takes a fault as `/sim/fault` tells it and returns its kind; None: no faults here.
        self.on_fault: Callable[[Query, int], str] | None = None
        # A test gives a key more, or fewer.
        self.key_permissions: tuple[str, ...] = ("trade", "readonly")

    def forget_calls(self) -> None:
        """Count no call made so far against a limit of calls."""
        self.gateway.forget_calls()

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, now_ns: int
    ) -> Answer:
        """Return HTTP status and JSON of a request; `path` holds the query, if any."""
        bare, _, query = path.partition("?")
        asked = dict(parse_qsl(query))
        try:
            if bare.startswith("/sim/"):
                return 200, dump(self._sim(method, bare[5:], asked, now_ns))
            data = self._public(bare, asked, now_ns) if method == "GET" else None
            if data is None:
                lower = {key.lower(): value for key, value in headers.items()}
                account = self._authenticate(method, bare, query, lower, body, now_ns)
                data = self._private(method, bare, account, asked, _parsed(body), now_ns)
        except Refused as error:
            return error.status, dump({
                "code": error.code, "msg": error.message, "requestTime": now_ns // MS,
                "data": None,
            })  # fmt: skip
        except ConfigError as error:
            return 400, dump({"code": "40017", "msg": str(error), "data": None})
        return 200, dump({
            "code": "00000", "msg": "success", "requestTime": now_ns // MS, "data": data,
        })  # fmt: skip

    # ---- who asks

    def _authenticate(
        self, method: str, path: str, query: str, headers: Query, body: bytes, now_ns: int
    ) -> int:
        for name, code in (("key", "40001"), ("sign", "40002"), ("timestamp", "40003"),
                           ("passphrase", "40011")):  # fmt: skip
            if not headers.get(f"access-{name}"):
                raise Refused(400, code, f"ACCESS_{name.upper()} cannot be empty")
        account = self.core.account_of(headers["access-key"])
        if account is None:
            raise Refused(400, "40006", "Invalid ACCESS_KEY")
        if headers["access-passphrase"] != PASSPHRASE:
            raise Refused(400, "40012", "apikey/password is incorrect")
        if method == "POST" and headers.get("content-type") != "application/json":
            raise Refused(400, "40007", "Invalid Content_Type, please use 'application/json'")
        stamp = headers["access-timestamp"]
        if not stamp.isdecimal() or abs(int(stamp) - now_ns // MS) > CLOCK_S_MAX * 1000:
            raise Refused(400, "40008", "Request timestamp expired")
        told = f"?{unquote(query)}" if query else ""
        text = f"{stamp}{method}{path}{told}".encode() + body
        if not signed(self.core, account, text, headers["access-sign"]):
            raise Refused(400, "40009", "sign signature error")
        unified = self.gateway.family is Family.UNIFIED
        if path.startswith("/api/v2/spot/") and unified:
            raise Refused(400, UNIFIED_ON_CLASSIC, "You are in Unified Account mode")
        if path.startswith("/api/v3/") and not unified:
            raise Refused(400, CLASSIC_ON_UNIFIED, "You are in Classic Account mode")
        return account

    def _count(self, account: int, path: str, now_ns: int) -> None:
        self.gateway.count(account, path, LIMITS.get(path, LIMIT), now_ns)

    # ---- public

    def _public(self, path: str, asked: Query, now_ns: int) -> Any:
        """Answer a public call; None for a path that is not public."""
        calls: Mapping[str, Callable[[Query, int], Any]] = {
            "/api/v2/public/time": lambda _asked, at: {"serverTime": str(at // MS)},
            "/api/v2/spot/public/symbols": lambda _asked, _at: self._symbols(),
            "/api/v3/market/instruments": lambda _asked, _at: self._instruments(),
            "/api/v2/spot/market/orderbook": lambda one, at: self._book(one, at, "asks", "bids"),
            "/api/v3/market/orderbook": lambda one, at: self._book(one, at, "a", "b"),
            "/api/v2/spot/market/tickers": lambda one, at: [self._ticker(one, at)],
            "/api/v3/market/tickers": lambda one, at: [unified_ticker(self._ticker(one, at))],
            "/api/v2/spot/market/fills": lambda one, _at: self._trades(one, "tradeId"),
            "/api/v3/market/fills": lambda one, _at: self._trades(one, "execId"),
            "/api/v2/spot/market/candles": lambda one, at: self._candles(
                one, at, CLASSIC_INTERVALS_S, one.get("granularity", ""), 1000
            ),
            "/api/v3/market/candles": lambda one, at: self._candles(
                one, at, UNIFIED_INTERVALS_S, one.get("interval", ""), 100
            ),
        }
        call = calls.get(path)
        if call is None:
            return None
        self._count(0, path, now_ns)
        return call(asked, now_ns)

    def _pair(self, asked: Query) -> Instrument:
        name = self.gateway.names.get(asked.get("symbol", ""))
        if name is None:
            raise refused(Refusal.INSTRUMENT)
        return self.core.instruments[name]

    def _symbols(self) -> list[dict[str, str]]:
        return [
            {
                "symbol": symbol_of(pair.name), "baseCoin": pair.base, "quoteCoin": pair.quote,
                "minTradeAmount": "0", "maxTradeAmount": "900000000000000000000",
                "takerFeeRate": "0.002", "makerFeeRate": "0.002",
                "pricePrecision": str(pair.price_decimals),
                "quantityPrecision": str(pair.qty_decimals), "quotePrecision": "8",
                "status": "online", "minTradeUSDT": plain(pair.cost_min),
                "buyLimitPriceRatio": "0.05", "sellLimitPriceRatio": "0.05", "areaSymbol": "no",
                "orderQuantity": "200", "openTime": "1532454360000", "offTime": "",
            }
            for pair in self.core.instruments.values()
        ]  # fmt: skip

    def _instruments(self) -> list[dict[str, str]]:
        return [
            {**row, "category": "SPOT", "minOrderAmount": row["minTradeUSDT"]}
            for row in self._symbols()
        ]

    def _book(self, asked: Query, now_ns: int, asks: str, bids: str) -> dict[str, Any]:
        pair, limit = self._pair(asked), asked.get("limit", str(REST_DEPTH_MAX))
        if not limit.isdecimal() or not 1 <= int(limit) <= REST_DEPTH_MAX:
            raise Refused(400, "40017", "Parameter verification failed limit")
        sides = {
            name: [[price_text(pair, price), qty_text(pair, qty)]
                   for price, qty in self.core.depth(pair.name, side, int(limit))]
            for name, side in ((asks, ASK), (bids, BID))
        }  # fmt: skip
        return sides | {"ts": str(now_ns // MS)}

    def _ticker(self, asked: Query, now_ns: int) -> dict[str, str]:
        pair = self._pair(asked)
        bid, ask = (self.core.depth(pair.name, side, 1) for side in (BID, ASK))
        last = self.core.trades(pair.name, 1)
        price = last[-1].price_ticks if last else (bid or ask or [(0, 0)])[0][0]
        row = {
            "symbol": symbol_of(pair.name), "lastPr": price_text(pair, price), "baseVolume": "0",
            "quoteVolume": "0", "ts": str(now_ns // MS),
        }  # fmt: skip
        for levels, name in ((bid, "bid"), (ask, "ask")):
            row[f"{name}Pr"] = price_text(pair, levels[0][0]) if levels else "0"
            row[f"{name}Sz"] = qty_text(pair, levels[0][1]) if levels else "0"
        return row

    def _trades(self, asked: Query, id_name: str) -> list[dict[str, str]]:
        pair, limit = self._pair(asked), asked.get("limit", "100")
        count = int(limit) if limit.isdecimal() else 100
        return [
            {
                "symbol": symbol_of(pair.name), id_name: str(one.trade_id),
                "side": SIDE_TEXT[one.taker_side], "price": price_text(pair, one.price_ticks),
                "size": qty_text(pair, one.qty_lots), "ts": str(one.ts_ns // MS),
            }
            for one in reversed(self.core.trades(pair.name, count))
        ]  # fmt: skip

    def _candles(
        self, asked: Query, now_ns: int, intervals_s: Mapping[str, int], interval: str, most: int
    ) -> list[list[str]]:
        pair, limit = self._pair(asked), asked.get("limit", "100")
        if interval not in intervals_s:
            raise Refused(400, "40017", "Parameter verification failed granularity")
        if not limit.isdecimal() or not 1 <= int(limit) <= most:
            raise Refused(400, "40017", "Parameter verification failed limit")
        rows = []
        trades = self.core.trades(pair.name, 1000)
        for one in make_candles(trades, intervals_s[interval] * NS, int(limit), now_ns):
            prices = (one.open_ticks, one.high_ticks, one.low_ticks, one.close_ticks)
            cost = plain(pair.price(1) * pair.qty(1) * one.cost_ticklots)
            volumes = [qty_text(pair, one.qty_lots), cost]
            if intervals_s is CLASSIC_INTERVALS_S:
                volumes.append(cost)
            rows.append([
                str(one.start_ns // MS), *(price_text(pair, price) for price in prices), *volumes
            ])  # fmt: skip
        return rows

    def key_info(self, account: int, _asked: Query, _now_ns: int) -> dict[str, Any]:
        """Answer what the key may do."""
        return {"userId": str(account), "ips": "", "authorities": list(self.key_permissions)}

    # ---- private

    def _private(
        self, method: str, path: str, account: int, asked: Query, body: Any, now_ns: int
    ) -> Any:
        calls = GETS if method == "GET" else POSTS if method == "POST" else {}
        call = calls.get(path)
        if call is None:
            raise Refused(404, "40404", "Request URL NOT FOUND")
        if method == "GET":
            self._count(account, path, now_ns)
        return call(self, account, asked if method == "GET" else body, now_ns)

    def told(self, order: OrderRecord) -> dict[str, Any]:
        """Write an order as queries tell it."""
        write = unified_order if self.gateway.family is Family.UNIFIED else info_row
        return write(self.core, order, self.gateway.order_id(order), self.gateway.updated(order))

    def assets(self, account: int, _asked: Query, now_ns: int) -> Any:
        """Answer what an account holds."""
        held = self.core.balances(account)
        if self.gateway.family is Family.UNIFIED:
            return {"assets": [unified_coin(self.core, account, asset) for asset in held]}
        return [classic_coin(self.core, account, asset, now_ns) for asset in held]

    def rates(self, account: int, _asked: Query, _now_ns: int) -> dict[str, str]:
        """Answer the account's own rates."""
        maker_ppm, taker_ppm = self.core.fees_ppm(account)
        return {"makerFeeRate": f"{maker_ppm / 1e6:g}", "takerFeeRate": f"{taker_ppm / 1e6:g}"}

    def unfilled(self, account: int, asked: Query, _now_ns: int) -> Any:
        """Answer the open orders, newest first."""
        orders = self._chosen(list(reversed(self.core.open_orders(account))), asked)
        if self.gateway.family is Family.UNIFIED:
            return self._listed([self.told(order) for order in orders], "orderId")
        return [
            open_row(self.core, order, self.gateway.order_id(order), self.gateway.updated(order))
            for order in orders
        ]

    def history(self, account: int, asked: Query, _now_ns: int) -> Any:
        """Answer orders of the past, newest first."""
        orders = [order for order in reversed(self.core.orders(account)) if not order.open]
        rows = [self.told(order) for order in self._chosen(orders, asked)]
        return self._listed(rows, "orderId") if self.gateway.family is Family.UNIFIED else rows

    def _chosen(self, orders: list[OrderRecord], asked: Query) -> list[OrderRecord]:
        symbol, start_ns = asked.get("symbol"), int(asked.get("startTime", "0")) * MS
        before = int(asked.get("idLessThan") or asked.get("cursor") or (1 << 63))
        found = [
            order
            for order in orders
            if (not symbol or symbol_of(order.instrument) == symbol)
            and order.created_ns >= start_ns
            and int(self.gateway.order_id(order)) < before
        ]
        return found[: int(asked.get("limit", "100"))]

    @staticmethod
    def _listed(rows: list[dict[str, Any]], cursor: str) -> dict[str, Any]:
        return {"list": rows, "cursor": rows[-1][cursor] if rows else None}

    def info(self, account: int, asked: Query, now_ns: int) -> Any:
        """Answer one order; a classic account forgets our ids after two hours."""
        order = trading.find(self.gateway, account, asked)
        unified = self.gateway.family is Family.UNIFIED
        if order is not None and not asked.get("orderId") and not unified:
            age_ns = now_ns - order.created_ns
            order = None if age_ns > ORDER_INFO_BY_CLIENT_ID_S * NS else order
        if unified:
            if order is None:
                raise Refused(400, "25204", "Order does not exist")
            return self.told(order)
        return [] if order is None else [self.told(order)]

    def fills(self, account: int, asked: Query, _now_ns: int) -> Any:
        """Answer an account's fills, newest first."""
        unified = self.gateway.family is Family.UNIFIED
        write = unified_fill if unified else rest_fill
        wanted = asked.get("orderId", "")
        start_ns = int(asked.get("startTime", "0")) * MS
        end_ns = (int(asked["endTime"]) + 1) * MS if "endTime" in asked else 1 << 62
        before = int(asked.get("idLessThan") or asked.get("cursor") or (1 << 63))
        rows = []
        for fill in reversed(self.core.fills(account)):
            order = self.core.order(account, fill.venue_order_id)
            assert order is not None, "a fill's order is known"
            order_id = self.gateway.order_id(order)
            if (wanted and wanted != order_id) or fill.trade_id >= before:
                continue
            if start_ns <= fill.ts_ns < end_ns:
                rows.append(write(self.core, order, order_id, fill))
        rows = rows[: int(asked.get("limit", "100"))]
        return self._listed(rows, "execId") if unified else rows

    def _one(self, what: str, account: int, body: Any, now_ns: int) -> dict[str, str]:
        work, name, limit = trading.WORK[what]
        self.gateway.count(account, name, limit, now_ns)
        order = work(self.gateway, account, _object(body), now_ns)
        return trading.ids_of(self.gateway, order)

    def place(self, account: int, body: Any, now_ns: int) -> dict[str, str]:
        """Place one order: the answer says that it was taken, not what became of it."""
        return self._one("place-order", account, body, now_ns)

    def cancel(self, account: int, body: Any, now_ns: int) -> dict[str, str]:
        """Cancel one order."""
        return self._one("cancel-order", account, body, now_ns)

    def modify(self, account: int, body: Any, now_ns: int) -> dict[str, str]:
        """Change one order."""
        return self._one("modify-order", account, body, now_ns)

    def batch(self, what: str, account: int, body: Any, now_ns: int) -> Any:
        """Carry out a batch: some of it may fail, and the envelope says success all the same."""
        unified = self.gateway.family is Family.UNIFIED
        rows = body if unified else _object(body).get("orderList")
        limit = BATCH_ORDERS_MAX[self.gateway.family]
        if not isinstance(rows, list) or not 0 < len(rows) <= limit:
            raise Refused(400, "40912", f"at most {limit} orders in a batch")
        work, name, per_second = trading.WORK[what]
        self.gateway.count(account, name, per_second, now_ns)
        outer = {} if unified or _object(body).get("batchMode") == "multiple" else {
            "symbol": _object(body).get("symbol")
        }  # fmt: skip
        told: list[dict[str, Any]] = []
        for row in map(_object, rows):
            named = {one: row.get(one, "") for one in ("orderId", "clientOid")}
            try:
                order = work(self.gateway, account, {**row, **outer}, now_ns)
            except Refused as error:
                told.append({**named, "code": error.code, "msg": error.message})
            else:
                told.append({**trading.ids_of(self.gateway, order), "code": "", "msg": ""})
        if unified:
            return told
        return {
            "successList": [
                {one: row[one] for one in ("orderId", "clientOid")}
                for row in told
                if not row["code"]
            ],
            "failureList": [
                {"orderId": row["orderId"], "clientOid": row["clientOid"],
                 "errorMsg": row["msg"], "errorCode": row["code"]}
                for row in told if row["code"]
            ],
        }  # fmt: skip

    def cancel_symbol(self, account: int, body: Any, now_ns: int) -> Any:
        """Cancel a pair's orders; of every pair for a unified account that names none."""
        self.gateway.count(account, "cancel-symbol", PER_SYMBOL, now_ns)
        symbol = _object(body).get("symbol")
        unified = self.gateway.family is Family.UNIFIED
        if symbol not in self.gateway.names and not (unified and symbol is None):
            raise refused(Refusal.INSTRUMENT)
        told = []
        for order in list(self.core.open_orders(account)):
            # SIM: at once; the venue's answer may come before.
            if (symbol is None or symbol_of(order.instrument) == symbol) and (
                self.core.cancel(account, order, now_ns) is None
            ):
                told.append(trading.ids_of(self.gateway, order))
        return {"list": told} if unified else {"symbol": symbol}

    def replace(self, account: int, body: Any, now_ns: int) -> dict[str, Any]:
        """Cancel an order and place another for it; the verdict stands inside the answer."""
        self.gateway.count(account, "cancel-replace", PER_SYMBOL, now_ns)
        return self._replaced(account, _object(body), now_ns)

    def replace_many(self, account: int, body: Any, now_ns: int) -> list[dict[str, Any]]:
        """Replace several orders."""
        self.gateway.count(account, "cancel-replace-batch", PER_SYMBOL, now_ns)
        rows = _object(body).get("orderList")
        if not isinstance(rows, list) or not 0 < len(rows) <= BATCH_ORDERS_MAX[Family.CLASSIC]:
            raise Refused(400, "40912", "at most 50 orders in a batch")
        return [self._replaced(account, _object(row), now_ns) for row in rows]

    def _replaced(self, account: int, row: Mapping[str, Any], now_ns: int) -> dict[str, Any]:
        named = {"orderId": "", "clientOid": row.get("clientOid")}
        try:
            old = trading.cancel(self.gateway, account, row, now_ns)
            trading.place(self.gateway, account, {
                "symbol": row.get("symbol"), "side": SIDE_TEXT[old.side], "orderType": "limit",
                "force": "post_only" if old.post_only else "gtc", "price": row.get("price"),
                "size": row.get("size"), "clientOid": row.get("newClientOid"),
            }, now_ns)  # fmt: skip
        except Refused as error:
            return named | {"success": "failure", "msg": error.message}
        return named | {"success": "success", "msg": None}

    def countdown(self, account: int, body: Any, now_ns: int) -> str:
        """Arm the dead-man's switch."""
        self._count(account, "/api/v3/trade/countdown-cancel-all", now_ns)
        told = _object(body).get("countdown")
        timeout = int(told) if isinstance(told, str) and told.isdecimal() else -1
        low, high = DEAD_MAN_S
        if timeout != 0 and not low <= timeout <= high:
            raise Refused(400, "40017", "Parameter verification failed countdown")
        outcome = self.core.arm(account, timeout, now_ns)
        if isinstance(outcome, Refusal):
            raise refused(outcome)
        return "success"

    # ---- the simulator's own

    def _sim(self, method: str, name: str, asked: Query, now_ns: int) -> object:
        return simulator_answer(self.core, method, name, asked, now_ns, self.told, self.on_fault)


Call = Callable[[BitgetRest, int, Any, int], Any]
_V2, _V3 = "/api/v2/spot", "/api/v3"
GETS: Final[Mapping[str, Call]] = {
    f"{_V2}/account/assets": BitgetRest.assets,
    f"{_V2}/account/info": BitgetRest.key_info,
    f"{_V3}/account/assets": BitgetRest.assets,
    "/api/v2/common/trade-rate": BitgetRest.rates,
    f"{_V3}/account/fee-rate": BitgetRest.rates,
    f"{_V2}/trade/unfilled-orders": BitgetRest.unfilled,
    f"{_V3}/trade/unfilled-orders": BitgetRest.unfilled,
    f"{_V2}/trade/history-orders": BitgetRest.history,
    f"{_V3}/trade/history-orders": BitgetRest.history,
    f"{_V2}/trade/orderInfo": BitgetRest.info,
    f"{_V3}/trade/order-info": BitgetRest.info,
    f"{_V2}/trade/fills": BitgetRest.fills,
    f"{_V3}/trade/fills": BitgetRest.fills,
}
POSTS: Final[Mapping[str, Call]] = {
    f"{_V2}/trade/place-order": BitgetRest.place,
    f"{_V3}/trade/place-order": BitgetRest.place,
    f"{_V2}/trade/batch-orders": lambda rest, *args: rest.batch("batch-place", *args),
    f"{_V3}/trade/place-batch": lambda rest, *args: rest.batch("batch-place", *args),
    f"{_V2}/trade/cancel-order": BitgetRest.cancel,
    f"{_V3}/trade/cancel-order": BitgetRest.cancel,
    f"{_V2}/trade/batch-cancel-order": lambda rest, *args: rest.batch("batch-cancel", *args),
    f"{_V3}/trade/cancel-batch": lambda rest, *args: rest.batch("batch-cancel", *args),
    f"{_V2}/trade/cancel-symbol-order": BitgetRest.cancel_symbol,
    f"{_V3}/trade/cancel-symbol-order": BitgetRest.cancel_symbol,
    f"{_V2}/trade/cancel-replace-order": BitgetRest.replace,
    f"{_V2}/trade/batch-cancel-replace-order": BitgetRest.replace_many,
    f"{_V3}/trade/modify-order": BitgetRest.modify,
    f"{_V3}/trade/countdown-cancel-all": BitgetRest.countdown,
}


def unified_ticker(row: Mapping[str, str]) -> dict[str, str]:
    """Write a ticker in the words of v3."""
    return {
        "category": "SPOT", "symbol": row["symbol"], "lastPrice": row["lastPr"],
        "bid1Price": row["bidPr"], "bid1Size": row["bidSz"], "ask1Price": row["askPr"],
        "ask1Size": row["askSz"], "volume24h": row["baseVolume"], "ts": row["ts"],
    }  # fmt: skip


def _object(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise Refused(400, "40017", "Parameter verification failed")
    return body


def _parsed(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError as error:
        raise Refused(400, "40017", "body is not JSON") from error
