"""Answer Gate.io's REST API from the venue's side: a pure function of request, core and time.

Signatures, clock and call limits are checked as the venue does. Paths under `/sim/` exist only
here.

Source: Gate documentation, "Gate API v4.106.88", read 2026-05-27.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.venues.candles import make_candles
from openmm.venues.counterpart import Refusal
from openmm.venues.gateio import dialect_trading as trading
from openmm.venues.gateio.dialect import FIRST_FILL_ID, GateioGateway
from openmm.venues.gateio.dialect_book import rest_book
from openmm.venues.gateio.dialect_text import (
    MS,
    NS,
    SIDE_TEXT,
    Refused,
    dump,
    fill_fields,
    millis,
    money_text,
    plain,
    refused,
)
from openmm.venues.gateio.spec import (
    CLOCK_S_MAX,
    DEAD_MAN_S_MIN,
    PRIVATE_PER_10_S,
    PUBLIC_PER_10_S,
    our_name,
    venue_symbol,
)
from openmm.venues.simulated import simulator_answer

PREFIX: Final = "/api/v4"
INTERVALS_S: Final = {
    "10s": 10, "1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14_400,
    "8h": 28_800, "1d": 86_400, "7d": 604_800,
}  # fmt: skip
Query = Mapping[str, str]
Answer = tuple[int, bytes]


class GateioRest:
    """The REST side of a gateway."""

    def __init__(self, gateway: GateioGateway) -> None:
        self.gateway = gateway
        self.core = gateway.core
        # Takes a fault as `/sim/fault` tells it and returns its kind; None: no faults here.
        self.on_fault: Callable[[Query, int], str] | None = None
        # By name: whether only to read. A test gives a key more, or fewer.
        self.key_permissions: dict[str, bool] = {"spot": False, "wallet": True}
        self._calls: dict[tuple[int, str], deque[int]] = {}

    def forget_calls(self) -> None:
        """Count no call made so far against a limit of calls."""
        self._calls.clear()

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, now_ns: int
    ) -> Answer:
        """Return HTTP status and JSON of a request; `path` holds the query, if any."""
        bare, _, query = path.partition("?")
        asked = dict(parse_qsl(query))
        try:
            if bare.removeprefix(PREFIX).startswith("/sim/"):
                name = bare.removeprefix(PREFIX)[5:]
                return 200, dump(self._sim(method, name, asked, now_ns))
            if not bare.startswith(PREFIX):
                raise Refused(404, "NOT_FOUND", bare)
            name = bare.removeprefix(PREFIX)
            public = self._public(name, asked, now_ns) if method == "GET" else None
            if public is not None:
                return 200, public
            lower = {key.lower(): value for key, value in headers.items()}
            account = self._authenticate(method, bare, query, lower, body, now_ns)
            self._count(account, f"{method} {name}", PRIVATE_PER_10_S, now_ns)
            return self._private(method, name, account, asked, _parsed(body), lower, now_ns)
        except Refused as error:
            return error.status, dump({"label": error.label, "message": error.message})
        except ConfigError as error:
            return 400, dump({"label": "INVALID_PARAM_VALUE", "message": str(error)})

    # ---- who asks

    def _authenticate(
        self, method: str, path: str, query: str, headers: Query, body: bytes, now_ns: int
    ) -> int:
        for name in ("key", "timestamp", "sign"):
            if not headers.get(name):
                raise Refused(401, "MISSING_REQUIRED_HEADER", f"Missing header {name}")
        account = self.core.account_of(headers["key"])
        if account is None:
            raise Refused(401, "INVALID_KEY", "Invalid key provided")
        stamp = headers["timestamp"]
        digest = hashlib.sha512(body).hexdigest()
        text = f"{method}\n{path}\n{unquote(query)}\n{digest}\n{stamp}".encode()
        wanted = hmac.new(self.core.secret_of(account), text, hashlib.sha512).hexdigest()
        if not hmac.compare_digest(wanted.encode(), headers["sign"].encode()):
            raise Refused(401, "INVALID_SIGNATURE", "Signature mismatch")
        seconds = stamp.partition(".")[0]
        if not seconds.isdecimal() or abs(int(seconds) - now_ns // NS) > CLOCK_S_MAX:
            raise Refused(
                403, "REQUEST_EXPIRED", "gap between request Timestamp and server time exceeds 60"
            )
        return account

    def _count(self, account: int, name: str, limit: int, now_ns: int) -> None:
        times = self._calls.setdefault((account, name), deque())
        while times and times[0] <= now_ns - 10 * NS:
            times.popleft()
        if len(times) >= limit:
            raise Refused(429, "TOO_MANY_REQUESTS", "Request Rate limit Exceeded")
        times.append(now_ns)

    # ---- public

    def _public(self, name: str, asked: Query, now_ns: int) -> bytes | None:
        """Answer a public call; None for a path that is not public."""
        calls: Mapping[str, Callable[[Query, int], bytes]] = {
            "/spot/time": lambda _asked, at: dump({"server_time": at // MS}),
            "/spot/currency_pairs": lambda _asked, _at: dump(
                [pair_fields(one) for one in self.core.instruments.values()]
            ),
            "/spot/order_book": self._order_book,
            "/spot/trades": self._trades,
            "/spot/tickers": self._tickers,
            "/spot/candlesticks": self._candles,
        }
        call = calls.get(name)
        if call is None:
            return None
        self._count(0, name, PUBLIC_PER_10_S, now_ns)
        return call(asked, now_ns)

    def _pair(self, asked: Query) -> Instrument:
        symbol = asked.get("currency_pair", "")
        pair = self.core.instruments.get(our_name(symbol))
        if pair is None or venue_symbol(pair.name) != symbol:
            raise refused(Refusal.INSTRUMENT)
        return pair

    def _order_book(self, asked: Query, now_ns: int) -> bytes:
        pair = self._pair(asked)
        limit = asked.get("limit", "10")
        if not limit.isdecimal() or not 1 <= int(limit) <= 1000:
            raise Refused(400, "INVALID_PARAM_VALUE", f"Invalid parameter `limit`: {limit}")
        book_id = self.gateway.book_id(pair.name) if asked.get("with_id") == "true" else None
        return rest_book(self.core, pair, int(limit), book_id, now_ns)

    def _trades(self, asked: Query, now_ns: int) -> bytes:
        pair = self._pair(asked)
        limit = asked.get("limit", "100")
        count = int(limit) if limit.isdecimal() else 100
        rows = [
            {
                "id": str(one.trade_id), "create_time": str(one.ts_ns // NS),
                "create_time_ms": millis(one.ts_ns), "currency_pair": venue_symbol(pair.name),
                "side": SIDE_TEXT[one.taker_side], "amount": plain(pair.qty(one.qty_lots)),
                "price": plain(pair.price(one.price_ticks)), "sequence_id": str(one.trade_id),
            }
            for one in reversed(self.core.trades(pair.name, count))
        ]  # fmt: skip
        return dump(rows)

    def _tickers(self, asked: Query, now_ns: int) -> bytes:
        pair = self._pair(asked)
        (bid, ask) = (self.core.depth(pair.name, side, 1) for side in (0, 1))
        last = self.core.trades(pair.name, 1)
        price = last[-1].price_ticks if last else (bid or ask or [(0, 0)])[0][0]
        row: dict[str, str] = {
            "currency_pair": venue_symbol(pair.name), "last": plain(pair.price(price)),
            "base_volume": "0", "quote_volume": "0",
        }  # fmt: skip
        for levels, name, size in ((bid, "highest_bid", "highest_size"),
                                   (ask, "lowest_ask", "lowest_size")):  # fmt: skip
            row[name] = plain(pair.price(levels[0][0])) if levels else ""
            row[size] = plain(pair.qty(levels[0][1])) if levels else ""
        return dump([row])

    def _candles(self, asked: Query, now_ns: int) -> bytes:
        pair, interval = self._pair(asked), asked.get("interval", "30m")
        if interval not in INTERVALS_S:
            raise Refused(400, "INVALID_PARAM_VALUE", f"Invalid parameter `interval`: {interval}")
        limit = asked.get("limit", "100")
        count = min(int(limit), 1000) if limit.isdecimal() and int(limit) else 100
        rows = []
        trades = self.core.trades(pair.name, 1000)
        for one in make_candles(trades, INTERVALS_S[interval] * NS, count, now_ns):
            prices = (one.close_ticks, one.high_ticks, one.low_ticks, one.open_ticks)
            cost = pair.price(1) * pair.qty(1) * one.cost_ticklots
            rows.append([
                str(one.start_ns // NS), plain(cost),
                *(plain(pair.price(price)) for price in prices),
                plain(pair.qty(one.qty_lots)), "true" if one.closed else "false",
            ])  # fmt: skip
        return dump(rows)

    # ---- private

    def _private(
        self, method: str, name: str, account: int, asked: Query, body: Any, headers: Query,
        now_ns: int,
    ) -> Answer:  # fmt: skip
        gateway = self.gateway
        told = headers.get("x-gate-exptime", "")
        deadline_ns = int(told) * MS if told.isdecimal() else None
        one = name.removeprefix("/spot/orders/") if name.startswith("/spot/orders/") else ""
        if one:
            fields = {**asked, **body} if isinstance(body, dict) else dict(asked)
            return 200, dump(self._order(method, one, account, fields, now_ns, deadline_ns))
        match (method, name):
            case ("GET", "/spot/accounts"):
                return 200, dump(self._accounts(account, asked))
            case ("GET", "/spot/open_orders"):
                return 200, dump(self._open_orders(account))
            case ("GET", "/spot/orders"):
                limit = int(asked.get("limit", "100"))
                orders = trading.list_orders(
                    gateway, account, asked.get("currency_pair"), asked.get("status")
                )
                return 200, dump(orders[:limit])
            case ("GET", "/spot/my_trades"):
                return 200, dump(self._my_trades(account, asked))
            case ("GET", "/account/main_keys"):
                rights = [{"name": n, "read_only": ro} for n, ro in self.key_permissions.items()]
                return 200, dump({
                    "state": 1, "mode": 1, "name": "simulated", "perms": rights,
                    "ip_whitelist": [],
                })  # fmt: skip
            case ("GET", "/wallet/fee"):
                return 200, dump(self._fee(account))
            case ("POST", "/spot/orders"):
                row = trading.object_of(body)
                trading.check_batch([row], many=False)
                trading.count_orders(gateway, account, [row], now_ns)
                order = trading.place(gateway, account, row, now_ns, deadline_ns)
                return 201, dump(trading.shortened(gateway.told(order), row))
            case ("POST", "/spot/batch_orders"):
                rows = [trading.object_of(row) for row in body] if isinstance(body, list) else []
                if not rows:
                    raise Refused(400, "INVALID_REQUEST_BODY", "an array of orders")
                trading.check_batch(rows, many=True)
                trading.count_orders(gateway, account, rows, now_ns)
                return 200, dump(
                    [trading.batch_row(gateway, account, row, now_ns, deadline_ns) for row in rows]
                )
            case ("POST", "/spot/cancel_batch_orders"):
                return 200, dump(trading.cancel_ids(gateway, account, body, now_ns, rest=True))
            case ("DELETE", "/spot/orders"):
                return 200, dump(
                    trading.cancel_pair(
                        gateway, account, asked.get("currency_pair"), asked.get("side"), now_ns
                    )
                )
            case ("POST", "/spot/countdown_cancel_all"):
                return 200, dump(self._countdown(account, trading.object_of(body), now_ns))
        raise Refused(404, "NOT_FOUND", name)

    def _order(
        self, method: str, name: str, account: int, fields: Mapping[str, Any], now_ns: int,
        deadline_ns: int | None,
    ) -> dict[str, Any]:  # fmt: skip
        gateway, symbol = self.gateway, fields.get("currency_pair")
        match method:
            case "GET":
                return gateway.told(trading.named(gateway, account, name, symbol))
            case "PATCH":
                order = trading.amend(gateway, account, name, fields, now_ns, deadline_ns)
                return gateway.told(order)
            case "DELETE":
                return gateway.told(trading.cancel(gateway, account, name, symbol, now_ns))
        raise Refused(405, "METHOD_NOT_ALLOWED", method)

    def _accounts(self, account: int, asked: Query) -> list[dict[str, Any]]:
        wanted = asked.get("currency", "")
        return [
            {
                "currency": asset,
                "available": money_text(self.core, asset, total - held),
                "locked": money_text(self.core, asset, held),
                "update_id": 1,
            }
            for asset, (total, held) in self.core.balances(account).items()
            if not wanted or asset == wanted
        ]

    def _open_orders(self, account: int) -> list[dict[str, Any]]:
        groups: dict[str, list[dict[str, Any]]] = {}
        for order in self.core.open_orders(account):
            symbol = venue_symbol(order.instrument)
            groups.setdefault(symbol, []).append(self.gateway.told(order))
        return [
            {"currency_pair": symbol, "total": len(orders), "orders": orders}
            for symbol, orders in groups.items()
        ]

    def _my_trades(self, account: int, asked: Query) -> list[dict[str, Any]]:
        wanted = asked.get("order_id", "")
        first_ns = int(asked.get("from", "0")) * NS
        last_ns = (int(asked["to"]) + 1) * NS if "to" in asked else 1 << 62
        limit, page = int(asked.get("limit", "100")), int(asked.get("page", "1"))
        rows = []
        for fill in reversed(self.core.fills(account)):
            order = self.core.order(account, fill.venue_order_id)
            assert order is not None, "a fill's order is known"
            order_id = self.gateway.order_id(order)
            if (wanted and wanted not in (order_id, order.client_id)) or not (
                first_ns <= fill.ts_ns < last_ns
            ):
                continue
            row = fill_fields(self.core, order_id, fill, order.client_id)
            row |= {"id": str(FIRST_FILL_ID + fill.position), "create_time": str(fill.ts_ns // NS)}
            rows.append(row)
        return rows[limit * (page - 1) : limit * page]

    def _fee(self, account: int) -> dict[str, Any]:
        maker_ppm, taker_ppm = self.core.fees_ppm(account)
        return {
            "user_id": account, "maker_fee": f"{maker_ppm / 1e6:g}",
            "taker_fee": f"{taker_ppm / 1e6:g}", "gt_discount": False,
            "gt_maker_fee": "0", "gt_taker_fee": "0", "debit_fee": 3,
        }  # fmt: skip

    def _countdown(self, account: int, body: Mapping[str, Any], now_ns: int) -> dict[str, str]:
        timeout = body.get("timeout")
        if (
            not isinstance(timeout, int)
            or isinstance(timeout, bool)
            or (timeout != 0 and timeout < DEAD_MAN_S_MIN)
        ):
            raise Refused(400, "INVALID_PARAM_VALUE", f"Invalid parameter `timeout`: {timeout}")
        # SIM: the countdown is the account's, whatever pair it names.
        outcome = self.core.arm(account, timeout, now_ns)
        if isinstance(outcome, Refusal):
            raise refused(outcome)
        return {"triggerTime": str(outcome // MS)}

    # ---- the simulator's own

    def _sim(self, method: str, name: str, asked: Query, now_ns: int) -> object:
        return simulator_answer(
            self.core, method, name, asked, now_ns, self.gateway.told, self.on_fault
        )


def pair_fields(pair: Instrument) -> dict[str, Any]:
    """Write a pair's metadata."""
    return {
        "id": venue_symbol(pair.name), "base": pair.base, "base_name": pair.base,
        "quote": pair.quote, "quote_name": pair.quote, "fee": "0.2",
        "min_base_amount": plain(pair.qty_min), "min_quote_amount": plain(pair.cost_min),
        "amount_precision": pair.qty_decimals, "precision": pair.price_decimals,
        "trade_status": "tradable", "sell_start": 0, "buy_start": 0, "delisting_time": 0,
        "type": "normal", "st_tag": False, "up_rate": "0.05", "down_rate": "0.05",
    }  # fmt: skip


def _parsed(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError as error:
        raise Refused(400, "INVALID_REQUEST_BODY", "not JSON") from error
