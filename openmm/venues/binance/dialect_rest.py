"""Answer Binance's public REST API from the venue's side: a pure function of request, core, time.

What an address may ask is weighed by the minute as the venue does. Paths under `/sim/` exist only
here.

Source: Binance documentation, "General API information" and "Market data endpoints" of spot, USD-M
and COIN-M, read 2026.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.venues.binance.dialect import BinanceGateway
from openmm.venues.binance.dialect_book import MS, dump
from openmm.venues.binance.spec import MARKETS
from openmm.venues.simulated import simulator_answer
from openmm.venues.watched_dialect import ASK, BID

SELL: Final = 2
MINUTE_NS: Final = 60_000_000_000
DAY_NS: Final = 1440 * MINUTE_NS
WEIGHT_PER_MINUTE: Final = {"spot": 6000, "usdm": 2400, "coinm": 2400}
# What a copy of so many levels weighs.
DEPTH_WEIGHTS: Final[Mapping[str, Mapping[int, int]]] = {
    "spot": {100: 5, 500: 25, 1000: 50, 5000: 250},
    "usdm": {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20},
    "coinm": {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20},
}
TRADES_MAX: Final = 1000
CONTRACT_WORTH: Final = 100  # of a COIN-M contract of BTC, in USD
Query = Mapping[str, str]
Answer = tuple[int, bytes]


class _Refused(ValueError):
    """A call the venue refuses."""

    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.answer: Answer = (status, dump({"code": code, "msg": text}))


class BinanceRest:
    """The REST side of a gateway."""

    def __init__(self, gateway: BinanceGateway) -> None:
        self.gateway = gateway
        self.core = gateway.core
        # Takes a fault as `/sim/fault` tells it and returns its kind; None: no faults here.
        self.on_fault: Callable[[Query, int], str] | None = None
        self._market = gateway.options.market
        self._weighed: deque[tuple[int, int]] = deque()
        self._weight = 0

    def forget_calls(self) -> None:
        """Count no call made so far against a limit of calls."""
        self._weighed.clear()
        self._weight = 0

    def answer(self, method: str, path: str, headers: Query, body: bytes, now_ns: int) -> Answer:
        """Return HTTP status and JSON of a request; `path` holds the query, if any."""
        bare, _, query = path.partition("?")
        asked = dict(parse_qsl(query))
        try:
            if bare.startswith("/sim/"):
                return 200, dump(simulator_answer(
                    self.core, method, bare[5:], asked, now_ns,
                    lambda order: order.venue_order_id, self.on_fault,
                ))  # fmt: skip
            prefix = MARKETS[self._market].api
            if method != "GET" or not bare.startswith(prefix + "/"):
                raise _Refused(404, -1000, f"no such path: {bare}")
            return 200, self._public(bare.removeprefix(prefix), asked, now_ns)
        except _Refused as error:
            return error.answer
        except (ConfigError, ValueError) as error:
            return 400, dump({"code": -1100, "msg": str(error)})

    def _public(self, name: str, asked: Query, now_ns: int) -> bytes:
        calls: Mapping[str, tuple[int, Callable[[Query, int], bytes]]] = {
            "/ping": (1, lambda _asked, _at: b"{}"),
            "/time": (1, lambda _asked, at: dump({"serverTime": at // MS})),
            "/exchangeInfo": (20, self._listing),
            "/depth": (0, self._depth),
            "/trades": (25, self._trades),
            "/ticker/bookTicker": (2, self._best),
            "/ticker/24hr": (2, self._day),
        }
        if name not in calls:
            raise _Refused(404, -1000, f"no such path: {name}")
        weight, call = calls[name]
        self._weigh(weight, now_ns)
        return call(asked, now_ns)

    def _weigh(self, weight: int, now_ns: int) -> None:
        while self._weighed and self._weighed[0][0] <= now_ns - MINUTE_NS:
            self._weight -= self._weighed.popleft()[1]
        if self._weight + weight > WEIGHT_PER_MINUTE[self._market]:
            raise _Refused(
                429, -1003, "Too much request weight used; please use WebSocket Streams."
            )
        self._weighed.append((now_ns, weight))
        self._weight += weight

    def _pair(self, asked: Query) -> Instrument:
        symbol = asked.get("symbol")
        if not symbol:
            raise _Refused(400, -1102, "Mandatory parameter 'symbol' was not sent.")
        pair = self.gateway.symbols.get(symbol)
        if pair is None:
            raise _Refused(400, -1121, "Invalid symbol.")
        return pair

    @staticmethod
    def _limit(asked: Query, default: int) -> int:
        text = asked.get("limit", str(default))
        if not text.isdecimal() or int(text) < 1:
            raise _Refused(400, -1100, "Illegal characters found in parameter 'limit'.")
        return int(text)

    def _depth(self, asked: Query, now_ns: int) -> bytes:
        pair, weights = self._pair(asked), DEPTH_WEIGHTS[self._market]
        limit = self._limit(asked, 100 if self._market == "spot" else 500)
        if self._market == "spot":
            limit = min(limit, max(weights))
        elif limit not in weights:
            raise _Refused(400, -4021, f"'{limit}' is not valid depth limit.")
        self._weigh(next(cost for most, cost in weights.items() if limit <= most), now_ns)
        book_id, sides = self.gateway.copy(pair.name, now_ns)
        return self.gateway.wording.copy(pair, book_id, sides, limit, now_ns)

    def _trades(self, asked: Query, now_ns: int) -> bytes:
        pair, wording = self._pair(asked), self.gateway.wording
        limit = min(self._limit(asked, 500), TRADES_MAX)
        return dump([
            {
                "id": one.trade_id, "price": wording.price(pair, one.price_ticks),
                "qty": wording.qty(pair, one.qty_lots), "time": one.ts_ns // MS,
                "isBuyerMaker": one.taker_side == SELL,
            }
            for one in self.core.trades(pair.name, limit)
        ])  # fmt: skip

    def _asked_pairs(self, asked: Query) -> list[Instrument]:
        return [self._pair(asked)] if "symbol" in asked else list(self.core.instruments.values())

    def _told(self, asked: Query, rows: list[dict[str, Any]]) -> bytes:
        """Write a row alone where one pair was asked for; COIN-M writes a list always."""
        return dump(rows[0] if "symbol" in asked and self._market != "coinm" else rows)

    def _best(self, asked: Query, now_ns: int) -> bytes:
        rows = []
        for pair in self._asked_pairs(asked):
            row = {"symbol": self.gateway.symbol(pair.name)}
            for side, name in ((BID, "bid"), (ASK, "ask")):
                best = self.core.depth(pair.name, side, 1)
                price_ticks, qty_lots = best[0] if best else (0, 0)
                row[f"{name}Price"] = self.gateway.wording.price(pair, price_ticks)
                row[f"{name}Qty"] = self.gateway.wording.qty(pair, qty_lots)
            rows.append(row)
        return self._told(asked, rows)

    def _day(self, asked: Query, now_ns: int) -> bytes:
        rows = []
        for pair in self._asked_pairs(asked):
            # Of the trades that are kept.
            day = [
                one
                for one in self.core.trades(pair.name, TRADES_MAX)
                if one.ts_ns > now_ns - DAY_NS
            ]
            last_ticks = day[-1].price_ticks if day else 0
            lots = sum(one.qty_lots for one in day)
            volume = self.gateway.wording.qty(pair, lots)
            row: dict[str, Any] = {
                "symbol": self.gateway.symbol(pair.name),
                "lastPrice": self.gateway.wording.price(pair, last_ticks), "volume": volume,
                "openTime": (now_ns - DAY_NS) // MS, "closeTime": now_ns // MS, "count": len(day),
            }  # fmt: skip
            if self._market == "coinm":
                row["baseVolume"] = f"{pair.qty(lots):f}"
            rows.append(row)
        return self._told(asked, rows)

    def _listing(self, asked: Query, now_ns: int) -> bytes:
        rows = [self._symbol_row(one) for one in self.core.instruments.values()]
        limit = {
            "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
            "limit": WEIGHT_PER_MINUTE[self._market],
        }  # fmt: skip
        return dump({
            "timezone": "UTC", "serverTime": now_ns // MS, "rateLimits": [limit], "symbols": rows,
        })  # fmt: skip

    def _symbol_row(self, pair: Instrument) -> dict[str, Any]:
        wording = self.gateway.wording
        step = wording.qty(pair, 1)
        row: dict[str, Any] = {
            "symbol": self.gateway.symbol(pair.name), "status": "TRADING", "baseAsset": pair.base,
            "quoteAsset": pair.quote,
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": wording.price(pair, 1)},
                {"filterType": "LOT_SIZE", "minQty": step, "stepSize": step},
            ],
        }  # fmt: skip
        if self._market == "spot":
            row["isSpotTradingAllowed"] = True
        else:
            row |= {"pair": pair.base + pair.quote, "contractType": "PERPETUAL"}
        if self._market == "coinm":
            row["contractStatus"] = row.pop("status")
            row["contractSize"] = CONTRACT_WORTH
        return row
