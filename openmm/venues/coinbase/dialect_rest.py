"""Answer Coinbase's public REST API from the venue's side: a pure function of request, core, time.

Calls of an address are limited by the second as the venue does. Paths under `/sim/` exist only
here.

Source: Coinbase Exchange documentation, "REST API" (products, book, ticker, trades, time) and "Rate
limits", read 2026; capture of 2021-04.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.venues.coinbase.dialect import BUY, CoinbaseGateway
from openmm.venues.coinbase.dialect_book import NS, dump, price_text, qty_text, stamp
from openmm.venues.coinbase.spec import our_name, venue_symbol
from openmm.venues.counterpart import TradeRecord
from openmm.venues.simulated import simulator_answer
from openmm.venues.watched_dialect import ASK, BID, LEVELS_MAX

CALLS_PER_S: Final = 15  # 10, in bursts 15
DAY_NS: Final = 86_400 * NS
TRADES_MAX: Final = 1000
Query = Mapping[str, str]
Answer = tuple[int, bytes]


class _Refused(ValueError):
    """A call the venue refuses."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.answer: Answer = (status, dump({"message": text}))


class CoinbaseRest:
    """The REST side of a gateway."""

    def __init__(self, gateway: CoinbaseGateway) -> None:
        self.gateway = gateway
        self.core = gateway.core
        # Takes a fault as `/sim/fault` tells it and returns its kind; None: no faults here.
        self.on_fault: Callable[[Query, int], str] | None = None
        self._calls: deque[int] = deque()

    def forget_calls(self) -> None:
        """Count no call made so far against a limit of calls."""
        self._calls.clear()

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
            if method != "GET":
                raise _Refused(404, "NotFound")
            self._count(now_ns)
            return 200, dump(self._public(bare.strip("/").split("/"), asked, now_ns))
        except _Refused as error:
            return error.answer
        except (ConfigError, ValueError) as error:
            return 400, dump({"message": str(error)})

    def _count(self, now_ns: int) -> None:
        while self._calls and self._calls[0] <= now_ns - NS:
            self._calls.popleft()
        if len(self._calls) >= CALLS_PER_S:
            raise _Refused(429, "Public rate limit exceeded")
        self._calls.append(now_ns)

    def _public(self, parts: list[str], asked: Query, now_ns: int) -> object:
        match parts:
            case ["time"]:
                return {"iso": stamp(now_ns), "epoch": now_ns // 1000 / 1_000_000}
            case ["products"]:
                return [_product(one) for one in self.core.instruments.values()]
            case ["products", product]:
                return _product(self._pair(product))
            case ["products", product, "book"]:
                return self._book(self._pair(product), asked.get("level", "1"), now_ns)
            case ["products", product, "ticker"]:
                return self._ticker(self._pair(product), now_ns)
            case ["products", product, "trades"]:
                limit = asked.get("limit", str(TRADES_MAX))
                if not limit.isdecimal() or not 1 <= int(limit) <= TRADES_MAX:
                    raise _Refused(400, "Invalid limit")
                pair = self._pair(product)
                trades = self.core.trades(pair.name, int(limit))
                return [_trade(pair, one) for one in reversed(trades)]
        raise _Refused(404, "NotFound")

    def _pair(self, product: str) -> Instrument:
        pair = self.core.instruments.get(our_name(product))
        if pair is None or venue_symbol(pair.name) != product:
            raise _Refused(404, "NotFound")
        return pair

    def _book(self, pair: Instrument, level: str, now_ns: int) -> dict[str, Any]:
        if level not in ("1", "2"):
            raise _Refused(400, "Invalid level")
        told: dict[str, Any] = {}
        for side, name in ((BID, "bids"), (ASK, "asks")):
            levels = self.core.depth(pair.name, side, 1 if level == "1" else LEVELS_MAX)
            # SIM: how many orders stand at a level is not known here, and told as one.
            told[name] = [
                [price_text(pair, price), qty_text(pair, qty), 1] for price, qty in levels
            ]
        return told | {"sequence": self.gateway.sequence(pair.name), "time": stamp(now_ns)}

    def _ticker(self, pair: Instrument, now_ns: int) -> dict[str, Any]:
        # Of the trades that are kept.
        trades = self.core.trades(pair.name, TRADES_MAX)
        day = [one for one in trades if one.ts_ns > now_ns - DAY_NS]
        told: dict[str, Any] = {}
        for side, name in ((BID, "bid"), (ASK, "ask")):
            best = self.core.depth(pair.name, side, 1)
            told[name] = price_text(pair, best[0][0]) if best else "0"
        told["volume"] = qty_text(pair, sum(one.qty_lots for one in day))
        if not trades:
            return told | {"trade_id": 0, "price": "0", "size": "0", "time": stamp(now_ns)}
        last = _trade(pair, trades[-1])
        return told | {name: last[name] for name in ("trade_id", "price", "size", "time")}


def _trade(pair: Instrument, trade: TradeRecord) -> dict[str, Any]:
    return {
        "trade_id": trade.trade_id, "side": "sell" if trade.taker_side == BUY else "buy",
        "size": qty_text(pair, trade.qty_lots), "price": price_text(pair, trade.price_ticks),
        "time": stamp(trade.ts_ns),
    }  # fmt: skip


def _product(pair: Instrument) -> dict[str, Any]:
    return {
        "id": venue_symbol(pair.name), "base_currency": pair.base, "quote_currency": pair.quote,
        "quote_increment": price_text(pair, 1), "base_increment": qty_text(pair, 1),
        "display_name": pair.name, "min_market_funds": "1", "margin_enabled": False,
        "post_only": False, "limit_only": False, "cancel_only": False, "trading_disabled": False,
        "status": "online", "status_message": "",
    }  # fmt: skip
