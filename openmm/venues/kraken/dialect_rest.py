"""Answer Kraken's REST API from the venue's side: a pure function of request, core and time.

Signatures, nonces and the call counter are checked as the venue does. Paths under `/sim/` exist
only here: the venue's own statement for tests, and switches for faults and trading modes.

Source: Kraken REST API documentation, read in 2026; shapes as captured by python-kraken-sdk.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from urllib.parse import parse_qsl

from openmm._fast.matching import Stp, Tif
from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.venues.candles import make_candles
from openmm.venues.counterpart import FillRecord, OrderRecord, OrderState, PlaceRequest, Refusal
from openmm.venues.kraken.dialect import KrakenGateway
from openmm.venues.kraken.dialect_reports import cost_decimals
from openmm.venues.kraken.dialect_text import (
    BUY,
    CL_ORD_ID,
    MODE_TEXT,
    NS,
    REFUSALS,
    SELL,
    SIDE_TEXT,
    fixed,
    parse_time,
    price_text,
    qty_text,
    rest_asset,
    rest_pair,
    second_text,
)
from openmm.venues.kraken.spec import FEE_TIERS_PPM

PAGE = 50
DAY_NS = 86_400 * NS
OHLC_MINUTES = ("1", "5", "15", "30", "60", "240", "1440", "10080", "21600")
# What a key for a bot is made with. Source: "API key permissions", market making.
PERMISSIONS = (
    "query-funds", "query-open-trades", "query-closed-trades", "modify-trades", "close-trades",
)  # fmt: skip
CALL_COST = {"TradesHistory": 2, "ClosedOrders": 2, "AddOrder": 0, "CancelOrder": 0}
STATUS = {
    OrderState.PENDING: "pending",
    OrderState.OPEN: "open",
    OrderState.FILLED: "closed",
    OrderState.CANCELLED: "canceled",
    OrderState.EXPIRED: "expired",
}
MODES = {text: mode for mode, text in MODE_TEXT.items()}
Form = Mapping[str, str]
Answer = tuple[int, bytes]


class RestRefused(ValueError):
    """A call the venue refuses; the text is its error."""


def _body(error: list[str], result: object = None) -> bytes:
    if error:
        return json.dumps({"error": error}).encode()
    return json.dumps({"error": [], "result": result}).encode()


def _epoch(ts_ns: int) -> float:
    """Return epoch seconds to the microsecond, as REST tells times."""
    return ts_ns // 1000 / 1_000_000


class KrakenRest:
    """The REST side of a gateway."""

    def __init__(self, gateway: KrakenGateway) -> None:
        self.gateway = gateway
        self.core = gateway.core
        # Takes a fault as `/sim/fault` tells it and returns its kind; None: no faults here.
        self.on_fault: Callable[[Form, int], str] | None = None
        # A test gives a key more, or fewer.
        self.key_permissions: tuple[str, ...] = PERMISSIONS
        self._private: Mapping[str, Callable[[int, Form, int], object]] = {
            "GetWebSocketsToken": self._token,
            "GetApiKeyInfo": self._key_info,
            "OpenOrders": self._open_orders,
            "ClosedOrders": self._closed_orders,
            "QueryOrders": self._query_orders,
            "TradesHistory": self._trades_history,
            "Balance": self._balance,
            "BalanceEx": self._balance_ex,
            "TradeVolume": self._trade_volume,
            "AddOrder": self._add_order,
            "AmendOrder": self._amend_order,
            "CancelOrder": self._cancel_order,
            "CancelAll": self._cancel_all,
            "CancelAllOrdersAfter": self._cancel_all_orders_after,
        }

    def forget_calls(self) -> None:
        """Count no call made so far against a limit of calls."""
        self.gateway.rest_levels.clear()

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, now_ns: int
    ) -> Answer:
        """Return HTTP status and JSON of a request; `path` holds the query, if any."""
        bare, _, query = path.partition("?")
        asked = dict(parse_qsl(query))
        try:
            if bare.startswith("/sim/"):
                return 200, json.dumps(self._sim(method, bare[5:], asked, now_ns)).encode()
            if bare.startswith("/0/public/"):
                return 200, _body([], self._public(bare[10:], asked, now_ns))
            if bare.startswith("/0/private/") and method == "POST":
                lower = {name.lower(): value for name, value in headers.items()}
                name = bare[11:]
                account, form = self._authenticate(bare, lower, body)
                self._count(account, name, now_ns)
                call = self._private.get(name)
                if call is None:
                    raise RestRefused("EGeneral:Unknown method")
                return 200, _body([], call(account, form, now_ns))
        except RestRefused as refused:
            return 200, _body([str(refused)])
        except ConfigError as error:
            return 400, _body([str(error)])
        return 404, _body(["EGeneral:Unknown method"])

    # ---- who asks

    def _authenticate(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Form]:
        account = self.core.account_of(headers.get("api-key", ""))
        if account is None:
            raise RestRefused("EAPI:Invalid key")
        form = self._form(headers, body)
        nonce = form.get("nonce", "")
        digest = hashlib.sha256(nonce.encode() + body).digest()
        mac = hmac.new(self.core.secret_of(account), path.encode() + digest, hashlib.sha512)
        wanted = base64.b64encode(mac.digest()).decode()
        if not hmac.compare_digest(wanted.encode(), headers.get("api-sign", "").encode()):
            raise RestRefused("EAPI:Invalid signature")
        if not nonce.isdecimal() or not self.gateway.nonces.get(account, 0) < int(nonce) < 2**64:
            raise RestRefused("EAPI:Invalid nonce")
        self.gateway.nonces[account] = int(nonce)
        return account, form

    @staticmethod
    def _form(headers: Mapping[str, str], body: bytes) -> Form:
        try:
            if "json" in headers.get("content-type", ""):
                members = json.loads(body, parse_float=str, parse_int=str)
                if not isinstance(members, dict):
                    raise RestRefused("EGeneral:Invalid arguments")
                return {
                    name: str(value).lower() if isinstance(value, bool) else str(value)
                    for name, value in members.items()
                }
            return dict(parse_qsl(body.decode(), keep_blank_values=True))
        except ValueError as error:
            raise RestRefused("EGeneral:Invalid arguments") from error

    def _count(self, account: int, name: str, now_ns: int) -> None:
        tier = self.core.tier_of(account)
        level, then_ns = self.gateway.rest_levels.get(account, (0, now_ns))
        level = max(0, level - (now_ns - then_ns) * tier.rest_decay_milli_per_s)
        raised = level + CALL_COST.get(name, 1) * 1000 * NS
        if raised > tier.rest_threshold_milli * NS:
            raise RestRefused("EAPI:Rate limit exceeded")
        self.gateway.rest_levels[account] = (raised, now_ns)

    # ---- public

    def _public(self, name: str, asked: Form, now_ns: int) -> object:
        if name == "SystemStatus":
            return {"status": MODE_TEXT[self.core.mode], "timestamp": second_text(now_ns)}
        if name == "Time":
            return {"unixtime": now_ns // NS, "rfc1123": second_text(now_ns)}
        if name == "AssetPairs":
            names = [part for part in asked.get("pair", "").split(",") if part]
            pairs = [self._pair(part) for part in names] or list(self.core.instruments.values())
            return {rest_pair(pair)[0]: self._asset_pair(pair) for pair in pairs}
        if name == "Depth":
            pair = self._pair(asked.get("pair", ""))
            count = asked.get("count", "100")
            if not count.isdecimal() or not 1 <= int(count) <= 500:
                raise RestRefused("EGeneral:Invalid arguments:count")
            return {rest_pair(pair)[0]: self._depth(pair, int(count), now_ns)}
        if name in ("Ticker", "Trades", "OHLC"):
            pair = self._pair(asked.get("pair", ""))
            tell = {"Ticker": self._ticker, "Trades": self._trades, "OHLC": self._ohlc}[name]
            found, last = tell(pair, asked, now_ns)
            return {rest_pair(pair)[0]: found} | ({} if last is None else {"last": last})
        raise RestRefused("EGeneral:Unknown method")

    def _pair(self, text: str) -> Instrument:
        for pair in self.core.instruments.values():
            if text in (pair.name, *rest_pair(pair)):
                return pair
        raise RestRefused("EQuery:Unknown asset pair")

    def _asset_pair(self, pair: Instrument) -> object:
        _, alt, wsname = rest_pair(pair)
        return {
            "altname": alt,
            "wsname": wsname,
            "aclass_base": "currency",
            "base": rest_asset(pair.base),
            "aclass_quote": "currency",
            "quote": rest_asset(pair.quote),
            "lot": "unit",
            "cost_decimals": cost_decimals(pair),
            "pair_decimals": pair.price_decimals,
            "lot_decimals": pair.qty_decimals,
            "lot_multiplier": 1,
            "leverage_buy": [],
            "leverage_sell": [],
            "fees": [[volume, taker / 10_000] for volume, _, taker in FEE_TIERS_PPM],
            "fees_maker": [[volume, maker / 10_000] for volume, maker, _ in FEE_TIERS_PPM],
            "fee_volume_currency": "ZUSD",
            "margin_call": 80,
            "margin_stop": 40,
            "ordermin": f"{pair.qty_min:f}",
            "costmin": f"{pair.cost_min:f}",
            "tick_size": f"{pair.tick_size:f}",
            "status": pair.status,
        }

    def _depth(self, pair: Instrument, count: int, now_ns: int) -> object:
        return {
            name: [
                [price_text(pair, price_ticks), qty_text(pair, qty_lots), now_ns // NS]
                for price_ticks, qty_lots in self.core.depth(pair.name, side, count)
            ]
            for name, side in (("asks", 1), ("bids", 0))
        }

    def _ticker(self, pair: Instrument, asked: Form, now_ns: int) -> tuple[object, object]:
        trades = self.core.trades(pair.name, 1)
        row: dict[str, object] = {}
        for side, name in ((0, "b"), (1, "a")):
            price_ticks, qty_lots = (self.core.depth(pair.name, side, 1) or [(0, 0)])[0]
            whole = str(int(pair.qty(qty_lots)))
            row[name] = [price_text(pair, price_ticks), whole, qty_text(pair, qty_lots)]
        last = [price_text(pair, trades[-1].price_ticks), qty_text(pair, trades[-1].qty_lots)]
        day = [one for one in self.core.trades(pair.name, 1000) if one.ts_ns > now_ns - DAY_NS]
        volume = qty_text(pair, sum(one.qty_lots for one in day))
        return row | {"c": last, "v": [volume, volume], "t": [len(day), len(day)]}, None

    def _trades(self, pair: Instrument, asked: Form, now_ns: int) -> tuple[object, object]:
        count = asked.get("count", "1000")
        if not count.isdecimal() or not 1 <= int(count) <= 1000:
            raise RestRefused("EGeneral:Invalid arguments:count")
        trades = self.core.trades(pair.name, int(count))
        rows = [
            [
                price_text(pair, one.price_ticks), qty_text(pair, one.qty_lots),
                _epoch(one.ts_ns), SIDE_TEXT[one.taker_side][0],
                "m" if one.market_order else "l", "", one.trade_id,
            ]
            for one in trades
        ]  # fmt: skip
        return rows, str(trades[-1].ts_ns if trades else now_ns)

    def _ohlc(self, pair: Instrument, asked: Form, now_ns: int) -> tuple[object, object]:
        interval = asked.get("interval", "1")
        if interval not in OHLC_MINUTES:
            raise RestRefused("EGeneral:Invalid arguments:interval")
        trades = self.core.trades(pair.name, 1000)
        candles = make_candles(trades, int(interval) * 60 * NS, 720, now_ns)
        rows = []
        for one in candles:
            prices = (one.open_ticks, one.high_ticks, one.low_ticks, one.close_ticks)
            average = one.cost_ticklots // one.qty_lots if one.qty_lots else 0
            rows.append([
                one.start_ns // NS, *(price_text(pair, price) for price in (*prices, average)),
                qty_text(pair, one.qty_lots), one.trade_count,
            ])  # fmt: skip
        return rows, candles[-1].start_ns // NS if candles else now_ns // NS

    # ---- private: what is

    def _key_info(self, account: int, form: Form, now_ns: int) -> object:
        """Tell what the key may do: all that a bot needs, and what this account was given."""
        return {
            "api_key_name": "simulated", "permissions": list(self.key_permissions),
            "ip_allowlist": [], "nonce_window": "0", "valid_until": "0",
        }  # fmt: skip

    def _token(self, account: int, form: Form, now_ns: int) -> object:
        token = self.gateway.new_token(account, now_ns)
        return {"token": token, "expires": self.gateway.options.token_life_ns // NS}

    def _order(self, order: OrderRecord, with_trades: bool) -> dict[str, object]:
        pair = self.core.instruments[order.instrument]
        places = cost_decimals(pair)
        scale: int = 10 ** (places - pair.quote_decimals)
        kind = "market" if order.price_ticks is None else "limit"
        price = price_text(pair, order.price_ticks or 0)
        volume, alt = qty_text(pair, order.qty_lots), rest_pair(pair)[1]
        text = f"{SIDE_TEXT[order.side]} {volume} {alt} @ {kind}"
        average = Decimal(0)
        if order.filled_lots:
            cost = Decimal(order.cost_atoms).scaleb(-pair.quote_decimals)
            average = cost / pair.qty(order.filled_lots)
        row: dict[str, object] = {
            "refid": None,
            "userref": order.user_ref or 0,
            "status": STATUS[order.state],
            "opentm": _epoch(order.created_ns),
            "starttm": 0,
            "expiretm": (order.expire_ns or 0) // NS,
            "descr": {
                "pair": alt,
                "type": SIDE_TEXT[order.side],
                "ordertype": kind,
                "price": price,
                "price2": "0",
                "leverage": "none",
                "order": f"{text} {price}" if kind == "limit" else text,
                "close": "",
            },
            "vol": volume,
            "vol_exec": qty_text(pair, order.filled_lots),
            "cost": fixed(order.cost_atoms * scale, places),
            "fee": fixed(order.fee_atoms * scale, places),
            "price": f"{average:.{places}f}",
            "stopprice": fixed(0, places),
            "limitprice": fixed(0, places),
            "misc": "",
            "oflags": "fciq,post" if order.post_only else "fciq",
        }
        if order.client_id:
            row["cl_ord_id"] = order.client_id
        if not order.open:
            row["reason"] = order.reason or None
            row["closetm"] = _epoch(order.closed_ns)
        if with_trades and order.fills:
            row["trades"] = [fill.exec_id for fill in order.fills]
        return row

    def _rows(self, orders: list[OrderRecord], form: Form) -> dict[str, object]:
        with_trades = form.get("trades", "") == "true"
        return {o.venue_order_id: self._order(o, with_trades) for o in orders}

    def _filtered(self, orders: list[OrderRecord], form: Form) -> list[OrderRecord]:
        if "cl_ord_id" in form:
            orders = [o for o in orders if o.client_id == form["cl_ord_id"]]
        if "userref" in form:
            orders = [o for o in orders if str(o.user_ref or 0) == form["userref"]]
        return orders

    def _open_orders(self, account: int, form: Form, now_ns: int) -> object:
        orders = self._filtered(list(self.core.open_orders(account)), form)
        return {"open": self._rows(orders, form)}

    def _closed_orders(self, account: int, form: Form, now_ns: int) -> object:
        closed = [o for o in self.core.orders(account) if not o.open]
        by_open = form.get("closetime") == "open"
        found = [
            order
            for order in self._filtered(closed, form)
            if self._between(order.created_ns if by_open else order.closed_ns, form)
        ]
        found.sort(key=lambda order: order.closed_ns, reverse=True)
        start = self._offset(form)
        return {"closed": self._rows(found[start : start + PAGE], form), "count": len(found)}

    @staticmethod
    def _offset(form: Form) -> int:
        text = form.get("ofs", "0")
        if not text.isdecimal():
            raise RestRefused("EGeneral:Invalid arguments:ofs")
        return int(text)

    @staticmethod
    def _between(ts_ns: int, form: Form) -> bool:
        """Compare with `start` (exclusive) and `end` (inclusive), epoch seconds."""
        try:
            start, end = Decimal(form.get("start") or 0), Decimal(form.get("end") or "Infinity")
        except InvalidOperation as error:
            raise RestRefused("EGeneral:Invalid arguments:start") from error
        return start < Decimal(ts_ns) / NS <= end

    def _query_orders(self, account: int, form: Form, now_ns: int) -> object:
        ids = [part for part in form.get("txid", "").split(",") if part]
        if not 1 <= len(ids) <= PAGE:
            raise RestRefused("EGeneral:Invalid arguments:txid")
        found = [self.core.order(account, text) for text in ids]
        orders = [order for order in found if order is not None]
        if len(orders) != len(ids):
            raise RestRefused("EOrder:Unknown order")
        return self._rows(orders, form)

    def _trades_history(self, account: int, form: Form, now_ns: int) -> object:
        fills = [f for f in reversed(self.core.fills(account)) if self._between(f.ts_ns, form)]
        start = self._offset(form)
        page = fills[start : start + PAGE]
        return {
            "trades": {fill.exec_id: self._trade(account, fill) for fill in page},
            "count": len(fills),
        }

    def _trade(self, account: int, fill: FillRecord) -> object:
        pair = self.core.instruments[fill.instrument]
        order = self.core.order(account, fill.venue_order_id)
        places = cost_decimals(pair)
        scale: int = 10 ** (places - pair.quote_decimals)
        return {
            "ordertxid": fill.venue_order_id,
            "postxid": "TKH2SE-M7IF5-CFI7LT",
            "pair": rest_pair(pair)[0],
            "time": _epoch(fill.ts_ns),
            "type": SIDE_TEXT[fill.side],
            "ordertype": "market" if order is None or order.price_ticks is None else "limit",
            "price": price_text(pair, fill.price_ticks),
            "cost": fixed(fill.cost_atoms * scale, places),
            "fee": fixed(fill.fee_atoms * scale, places),
            "vol": qty_text(pair, fill.qty_lots),
            "margin": fixed(0, places),
            "leverage": "0",
            "misc": "",
            "trade_id": fill.trade_id,
            "maker": fill.maker,
            "ledgers": list(fill.ledger_ids),
        }

    def _balance(self, account: int, form: Form, now_ns: int) -> object:
        return {
            rest_asset(asset): fixed(total, self.core.asset_decimals(asset))
            for asset, (total, _) in self.core.balances(account).items()
        }

    def _balance_ex(self, account: int, form: Form, now_ns: int) -> object:
        return {
            rest_asset(asset): {
                "balance": fixed(total, self.core.asset_decimals(asset)),
                "hold_trade": fixed(held, self.core.asset_decimals(asset)),
            }
            for asset, (total, held) in self.core.balances(account).items()
        }

    def _trade_volume(self, account: int, form: Form, now_ns: int) -> object:
        names = [part for part in form.get("pair", "").split(",") if part]
        pairs = [self._pair(part) for part in names]
        maker_ppm, taker_ppm = self.core.fees_ppm(account)
        result: dict[str, object] = {"currency": "ZUSD", "volume": "0.0000"}
        for member, fee_ppm in (("fees", taker_ppm), ("fees_maker", maker_ppm)):
            if pairs:
                text = fixed(fee_ppm, 4)
                result[member] = {
                    rest_pair(pair)[0]: {
                        "fee": text,
                        "minfee": text,
                        "maxfee": text,
                        "nextfee": None,
                        "nextvolume": None,
                        "tiervolume": "0.0000",
                    }
                    for pair in pairs
                }
        return result

    # ---- private: trading

    def _add_order(self, account: int, form: Form, now_ns: int) -> object:
        pair = self._pair(form.get("pair", ""))
        kind, side = form.get("ordertype"), form.get("type")
        flags = [part for part in form.get("oflags", "").split(",") if part]
        tif = {"GTC": Tif.GTC, "IOC": Tif.IOC, "FOK": Tif.FOK}.get(form.get("timeinforce", "GTC"))
        stp = {
            "cancel-newest": Stp.CANCEL_NEWEST,
            "cancel-oldest": Stp.CANCEL_OLDEST,
            "cancel-both": Stp.CANCEL_BOTH,
        }.get(form.get("stptype", "cancel-newest"))
        if kind not in ("limit", "market") or side not in ("buy", "sell"):
            raise RestRefused("EGeneral:Invalid arguments:ordertype")
        if tif is None or stp is None:
            raise RestRefused("EGeneral:Invalid arguments:timeinforce")
        client = form.get("cl_ord_id", "")
        if client and not CL_ORD_ID.fullmatch(client):
            raise RestRefused("EGeneral:Invalid arguments:cl_ord_id")
        price_ticks = self._steps(form, "price", pair.tick_size) if kind == "limit" else None
        request = PlaceRequest(
            instrument=pair.name,
            side=BUY if side == "buy" else SELL,
            qty_lots=self._steps(form, "volume", pair.lot_size),
            price_ticks=price_ticks,
            tif=tif,
            post_only="post" in flags,
            stp=stp,
            client_id=client,
            user_ref=int(form["userref"]) if form.get("userref", "").isdecimal() else None,
            deadline_ns=parse_time(form.get("deadline")),
        )
        validate = form.get("validate", "") == "true"
        outcome = self.core.place(account, [request], now_ns, validate)[0]
        if isinstance(outcome, Refusal):
            raise RestRefused(REFUSALS[outcome])
        price = f" {form['price']}" if kind == "limit" else ""
        volume, alt = qty_text(pair, request.qty_lots), rest_pair(pair)[1]
        result: dict[str, object] = {"descr": {"order": f"{side} {volume} {alt} @ {kind}{price}"}}
        if outcome is not None:
            result["txid"] = [outcome.venue_order_id]
        return result

    @staticmethod
    def _steps(form: Form, name: str, step: Decimal) -> int:
        try:
            value = Decimal(form.get(name, ""))
        except InvalidOperation as error:
            raise RestRefused(f"EGeneral:Invalid arguments:{name}") from error
        if not value.is_finite() or value <= 0 or value % step:
            raise RestRefused(
                "EOrder:Tick size check failed"
                if name == "price" and value.is_finite() and value > 0
                else f"EGeneral:Invalid arguments:{name}"
            )
        return int(value / step)

    def _find(self, account: int, form: Form) -> OrderRecord | None:
        if "txid" in form:
            return self.core.order(account, form["txid"])
        found = self.core.by_client_id(account, form.get("cl_ord_id", ""))
        return found[0] if found else None

    def _amend_order(self, account: int, form: Form, now_ns: int) -> object:
        order = self._find(account, form)
        if order is None:
            raise RestRefused(REFUSALS[Refusal.UNKNOWN_ORDER])
        pair = self.core.instruments[order.instrument]
        refusal = self.core.amend(
            account,
            order,
            self._steps(form, "limit_price", pair.tick_size) if "limit_price" in form else None,
            self._steps(form, "order_qty", pair.lot_size) if "order_qty" in form else None,
            form.get("post_only", "") == "true",
            now_ns,
            parse_time(form.get("deadline")),
        )
        if refusal is not None:
            raise RestRefused(REFUSALS[refusal])
        return {"amend_id": self.core.new_id("T")}

    def _cancel_order(self, account: int, form: Form, now_ns: int) -> object:
        text = form.get("txid", "")
        if text.lstrip("-").isdigit():
            orders = [o for o in self.core.open_orders(account) if str(o.user_ref) == text]
            count = self.core.cancel_many(account, orders, now_ns)
            if isinstance(count, Refusal):
                raise RestRefused(REFUSALS[count])
            return {"count": count}
        refusal = self.core.cancel(account, self._find(account, form), now_ns)
        if refusal is not None:
            raise RestRefused(REFUSALS[refusal])
        return {"count": 1}

    def _cancel_all(self, account: int, form: Form, now_ns: int) -> object:
        count = self.core.cancel_all(account, now_ns)
        if isinstance(count, Refusal):
            raise RestRefused(REFUSALS[count])
        return {"count": count}

    def _cancel_all_orders_after(self, account: int, form: Form, now_ns: int) -> object:
        timeout = form.get("timeout", "")
        if not timeout.isdecimal() or int(timeout) >= 86_400:
            raise RestRefused("EGeneral:Invalid arguments:timeout")
        trigger_ns = self.core.arm(account, int(timeout), now_ns)
        if isinstance(trigger_ns, Refusal):
            raise RestRefused(REFUSALS[trigger_ns])
        return {
            "currentTime": second_text(now_ns),
            "triggerTime": second_text(trigger_ns) if trigger_ns else "0",
        }

    # ---- only here

    def _sim(self, method: str, name: str, asked: Form, now_ns: int) -> object:
        number = asked.get("account", "1")
        account = int(number) if number.isdecimal() else 0
        if account not in self.core.accounts:
            raise ConfigError("account", number, f"one of {list(self.core.accounts)}")
        if name == "statement":
            return self.core.statement(account)
        if name == "open-orders":
            return self._rows(list(self.core.open_orders(account)), {})
        if name == "config":
            return self.core.config()
        if name == "mode" and method == "POST":
            mode = MODES.get(asked.get("set", ""))
            if mode is None:
                raise ConfigError("mode", asked.get("set"), f"one of {sorted(MODES)}")
            self.core.set_mode(mode, now_ns)
            return {"mode": MODE_TEXT[mode]}
        if name == "fault" and method == "POST":
            if self.on_fault is None:
                raise ConfigError("fault", "any", "nothing: this venue is not set up for faults")
            return {"added": self.on_fault(asked, now_ns)}
        raise ConfigError("path", f"/sim/{name}", "statement, open-orders, config, mode, fault")
