"""`openmm ticker | orderbook | trades | ohlcv`: what a market says now, of any venue."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import typer

from openmm.cli.output import EXIT_DONE, Json, emit, pairs, table
from openmm.cli.reach import Options, PairName, RestUrl, VenueName, reach
from openmm.cli.spans import moment, span_s

TICKER_EXAMPLE = "Example: openmm ticker kraken BTC/USD"
BOOK_EXAMPLE = "Example: openmm orderbook gateio BTC/USDT --depth 5 --json"
TRADES_EXAMPLE = "Example: openmm trades bitget BTC/USDT --count 20"
OHLCV_EXAMPLE = "Example: openmm ohlcv mexc BTC/USDT --interval 5m --count 12"


def ticker(
    venue: VenueName,
    pair: PairName,
    rest: RestUrl = "",
    option: Options = None,
    json_: Json = False,
) -> int:
    """Show best prices and the day's figures of a pair."""
    told = reach(
        venue, lambda desk: desk.get_ticker(pair), endpoints={"rest": rest}, options=option
    )
    payload: dict[str, Any] = {
        "venue": venue, "pair": pair, "bid": told.bid, "bid_qty": told.bid_qty, "ask": told.ask,
        "ask_qty": told.ask_qty, "last": told.last, "volume": told.volume, "ts_ns": told.ts_ns,
    }  # fmt: skip
    shown = {name: _plain(value) for name, value in payload.items() if name != "ts_ns"}
    emit(payload, json_, lambda: pairs(shown))
    return EXIT_DONE


def orderbook(
    venue: VenueName,
    pair: PairName,
    depth: Annotated[int, typer.Option(help="Levels of a side.")] = 10,
    rest: RestUrl = "",
    option: Options = None,
    json_: Json = False,
) -> int:
    """Show the best levels of a pair's book, as the venue has it now."""
    _count("--depth", depth)
    book = reach(
        venue, lambda desk: desk.get_order_book(pair, depth), endpoints={"rest": rest},
        options=option,
    )  # fmt: skip
    payload = {"venue": venue, "pair": pair, "bids": book.bids, "asks": book.asks}
    rows: list[tuple[str, ...]] = [("side", "price", "qty")]
    rows += [("ask", _plain(price), _plain(qty)) for price, qty in reversed(book.asks)]
    rows += [("bid", _plain(price), _plain(qty)) for price, qty in book.bids]
    emit(payload, json_, lambda: table(rows))
    return EXIT_DONE


def trades(
    venue: VenueName,
    pair: PairName,
    count: Annotated[int, typer.Option(help="How many, the last ones.")] = 20,
    rest: RestUrl = "",
    option: Options = None,
    json_: Json = False,
) -> int:
    """Show the market's last trades of a pair, oldest first."""
    _count("--count", count)
    found = reach(
        venue, lambda desk: desk.get_trades(pair, count), endpoints={"rest": rest}, options=option
    )
    payload = {
        "venue": venue, "pair": pair,
        "trades": [
            {
                "id": one.trade_id, "ts_ns": one.ts_ns, "taker_side": one.taker_side.name.lower(),
                "price": one.price, "qty": one.qty,
            }
            for one in found
        ],
    }  # fmt: skip
    rows: list[tuple[str, ...]] = [("time", "taker", "price", "qty")]
    rows += [
        (moment(one.ts_ns), one.taker_side.name.lower(), _plain(one.price), _plain(one.qty))
        for one in found
    ]
    emit(payload, json_, lambda: table(rows))
    return EXIT_DONE


def ohlcv(
    venue: VenueName,
    pair: PairName,
    interval: Annotated[str, typer.Option(help="A candle's length: 1m, 5m, 1h, 1d, …")] = "1m",
    count: Annotated[int, typer.Option(help="How many, the last ones.")] = 20,
    rest: RestUrl = "",
    option: Options = None,
    json_: Json = False,
) -> int:
    """Show a pair's last candles, oldest first; the last one may still be running."""
    _count("--count", count)
    interval_s = round(span_s("--interval", interval))
    found = reach(
        venue, lambda desk: desk.get_ohlcv(pair, interval_s, count), endpoints={"rest": rest},
        options=option,
    )  # fmt: skip
    payload = {
        "venue": venue, "pair": pair, "interval_s": interval_s,
        "candles": [
            {
                "start_ns": one.start_ns, "open": one.open, "high": one.high, "low": one.low,
                "close": one.close, "volume": one.volume, "closed": one.closed,
            }
            for one in found
        ],
    }  # fmt: skip
    rows: list[tuple[str, ...]] = [("start", "open", "high", "low", "close", "volume", "")]
    for one in found:
        cells = (one.open, one.high, one.low, one.close, one.volume)
        running = "" if one.closed else "running"
        rows.append((moment(one.start_ns), *(_plain(cell) for cell in cells), running))
    emit(payload, json_, lambda: table(rows))
    return EXIT_DONE


def _count(option: str, count: int) -> None:
    from openmm.errors import ConfigError

    if count < 1:
        raise ConfigError(option, count, "1 or more")


def _plain(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)
