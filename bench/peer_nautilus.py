"""What NautilusTrader's BacktestEngine does with our events: the same grid, or no strategy.

Runs under the interpreter of `bench.peers` for the replay (`replay_peers.txt`). Deltas and trades
are built beforehand and not timed. The engine takes them message by message, which is what it is
fastest with. The strategy keeps the orders it sent by price and never asks the cache for open
orders: that query grows with every order ever sent. The latency model delays what is sent; what the
venue says arrives at once.
"""

from __future__ import annotations

from decimal import Decimal
from time import thread_time_ns
from typing import Any

from nautilus_trader.backtest.engine import (  # type: ignore[import-not-found]
    BacktestEngine,
    BacktestEngineConfig,
)
from nautilus_trader.backtest.models import FillModel, LatencyModel  # type: ignore[import-not-found]
from nautilus_trader.common.config import LoggingConfig  # type: ignore[import-not-found]
from nautilus_trader.model.currencies import BTC, USDT  # type: ignore[import-not-found]
from nautilus_trader.model.data import (  # type: ignore[import-not-found]
    BookOrder,
    OrderBookDelta,
    OrderBookDeltas,
    TradeTick,
)
from nautilus_trader.model.enums import (  # type: ignore[import-not-found]
    AccountType,
    AggressorSide,
    BookAction,
    BookType,
    OmsType,
    OrderSide,
    RecordFlag,
)
from nautilus_trader.model.identifiers import (  # type: ignore[import-not-found]
    InstrumentId,
    Symbol,
    TradeId,
    Venue,
)
from nautilus_trader.model.instruments import CryptoPerpetual  # type: ignore[import-not-found]
from nautilus_trader.model.objects import Money, Price, Quantity  # type: ignore[import-not-found]
from nautilus_trader.trading.strategy import Strategy  # type: ignore[import-not-found]

from bench.peer_hft import CADENCE_NS, LATENCY_NS, Grid

VENUE = Venue("BENCH")
NAME = InstrumentId(Symbol("BTCUSDT-PERP"), VENUE)
LEVEL, TRADE, CLEAR = 1, 2, 3
KIND, ASK, MESSAGE_END = 0xF, 16, 32


def _decimals(step: Decimal) -> int:
    return max(0, -int(step.normalize().as_tuple().exponent))


def pair_of(tick: Decimal, lot: Decimal) -> Any:
    """Describe the pair: linear, without fees or margin that would refuse an order."""
    return CryptoPerpetual(
        instrument_id=NAME, raw_symbol=Symbol("BTCUSDT"), base_currency=BTC, quote_currency=USDT,
        settlement_currency=USDT, is_inverse=False, price_precision=_decimals(tick),
        size_precision=_decimals(lot), price_increment=Price(tick, _decimals(tick)),
        size_increment=Quantity(lot, _decimals(lot)), margin_init=Decimal(0),
        margin_maint=Decimal(0), maker_fee=Decimal(0), taker_fee=Decimal(0), ts_event=0, ts_init=0,
    )  # fmt: skip


def data_of(columns: Any, tick: Decimal, lot: Decimal) -> tuple[list[Any], int]:
    """Build the engine's data of the events; returns it and how many events it holds."""
    out: list[Any] = []
    price_decimals, qty_decimals = _decimals(tick), _decimals(lot)
    tick_size, lot_size = float(tick), float(lot)
    deltas: list[Any] = []
    events = 0
    for number, (ts, price, qty, flags) in enumerate(
        zip(
            *(columns[n].tolist() for n in ("recv_ns", "price_ticks", "qty_lots", "flags")),
            strict=True,
        )
    ):
        kind, last = flags & KIND, flags & MESSAGE_END
        events += 1
        if kind == TRADE:
            side = AggressorSide.SELLER if flags & ASK else AggressorSide.BUYER
            out.append(
                TradeTick(
                    NAME, Price(price * tick_size, price_decimals),
                    Quantity(qty * lot_size, qty_decimals), side, TradeId(str(number)), ts, ts,
                )
            )  # fmt: skip
            continue
        mark = RecordFlag.F_LAST if last else 0
        if kind == CLEAR:
            deltas.append(OrderBookDelta.clear(NAME, number, ts, ts))
        else:
            order = BookOrder(
                OrderSide.SELL if flags & ASK else OrderSide.BUY,
                Price(price * tick_size, price_decimals),
                Quantity(qty * lot_size, qty_decimals), price,
            )  # fmt: skip
            action = BookAction.UPDATE if qty else BookAction.DELETE
            deltas.append(OrderBookDelta(NAME, action, order, mark, number, ts, ts))
        if last:
            out.append(OrderBookDeltas(NAME, deltas))
            deltas = []
    return out, events


class GridStrategy(Strategy):  # type: ignore[misc]
    """The grid of `peer_hft`, in this engine's terms."""

    def __init__(self, grid: Grid, tick: Decimal, lot: Decimal) -> None:
        super().__init__()
        self.grid = grid
        self.tick = float(tick)
        self.price_decimals = _decimals(tick)
        self.qty = Quantity(grid.qty, _decimals(lot))
        self.bids: dict[int, Any] = {}
        self.asks: dict[int, Any] = {}
        self.position = 0.0
        self.placed = self.cancelled = self.decisions = self.fills = self.refused = self.live = 0
        self.marks: list[tuple[int, float, float, float]] = []

    def on_start(self) -> None:
        """Follow the book, decide on a timer."""
        self.subscribe_order_book_deltas(NAME, BookType.L2_MBP)
        self.clock.set_timer_ns("grid", CADENCE_NS, 0, 0, self.decide)

    def decide(self, _event: Any) -> None:
        """Cancel what is away from the wanted prices, send what is missing."""
        book = self.cache.order_book(NAME)
        best_bid, best_ask = book.best_bid_price(), book.best_ask_price()
        if best_bid is None or best_ask is None:
            return
        self.decisions += 1
        self.live += len(self.bids) + len(self.asks)
        grid = self.grid
        bid_ticks, ask_ticks = (
            round(float(best_bid) / self.tick),
            round(float(best_ask) / self.tick),
        )
        mid = (bid_ticks + ask_ticks) / 2
        if self.decisions % 10 == 0:
            # Once a second, as the other engines keep their marks.
            money = self.portfolio.account(VENUE).balance_total(USDT)
            self.marks.append((self.clock.timestamp_ns(), mid, self.position, float(money)))
        lean = grid.skew_ppm * self.position / grid.qty
        step = max(1, round(mid * grid.step_ppm / 1e6))
        bid = min(int(mid * (1 - (grid.half_ppm + lean) / 1e6)), bid_ticks) // step * step
        ask = -(-max(int(mid * (1 + (grid.half_ppm - lean) / 1e6)) + 1, ask_ticks) // step) * step
        bids = (
            {bid - i * step for i in range(grid.levels)}
            if self.position < grid.position_max else set()
        )  # fmt: skip
        asks = (
            {ask + i * step for i in range(grid.levels)}
            if self.position > -grid.position_max else set()
        )  # fmt: skip
        for wanted, live in ((bids, self.bids), (asks, self.asks)):
            for price, order in live.items():
                if price not in wanted and order.is_open and not order.is_pending_cancel:
                    self.cancel_order(order)
                    self.cancelled += 1
        for side, wanted, live in (
            (OrderSide.BUY, bids, self.bids), (OrderSide.SELL, asks, self.asks),
        ):  # fmt: skip
            for price in wanted:
                if price in live:
                    continue
                order = self.order_factory.limit(
                    NAME, side, self.qty, Price(price * self.tick, self.price_decimals),
                    post_only=True,
                )  # fmt: skip
                live[price] = order
                self.submit_order(order)
                self.placed += 1

    def _gone(self, client_order_id: Any) -> None:
        order = self.cache.order(client_order_id)
        live = self.bids if order.side == OrderSide.BUY else self.asks
        price = round(float(order.price) / self.tick)
        if live.get(price) is order:
            del live[price]

    def on_order_filled(self, event: Any) -> None:
        """Count a fill; an order that is filled is gone."""
        self.fills += 1
        signed = float(event.last_qty) * (1 if event.order_side == OrderSide.BUY else -1)
        self.position += signed
        if self.cache.order(event.client_order_id).is_closed:
            self._gone(event.client_order_id)

    def on_order_canceled(self, event: Any) -> None:
        """Forget an order."""
        self._gone(event.client_order_id)

    def on_order_rejected(self, event: Any) -> None:
        """Forget an order that would have taken."""
        self.refused += 1
        self._gone(event.client_order_id)


def run(data: list[Any], tick: Decimal, lot: Decimal, grid: Grid | None) -> dict[str, float]:
    """Time one run over the data; without a grid nothing is quoted."""
    engine = BacktestEngine(
        BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), run_analysis=False)
    )
    engine.add_venue(
        VENUE, OmsType.NETTING, AccountType.MARGIN, [Money(100_000_000, USDT)],
        base_currency=USDT, default_leverage=Decimal(1), book_type=BookType.L2_MBP,
        latency_model=LatencyModel(base_latency_nanos=LATENCY_NS), fill_model=FillModel(),
        trade_execution=True,
    )  # fmt: skip
    engine.add_instrument(pair_of(tick, lot))
    # One kind at a time, as the engine wants it; it sorts by time and keeps the order of equals.
    for kind in (OrderBookDeltas, TradeTick):
        some = [one for one in data if isinstance(one, kind)]
        if some:
            engine.add_data(some)
    strategy = None
    if grid is not None:
        strategy = GridStrategy(grid, tick, lot)
        engine.add_strategy(strategy)
    began = thread_time_ns()
    engine.run()
    took = thread_time_ns() - began
    out: dict[str, float] = {"ns": took, "messages": engine.iteration}
    if strategy is not None:
        out |= {
            "placed": strategy.placed, "cancelled": strategy.cancelled, "fills": strategy.fills,
            "decisions": strategy.decisions, "refused": strategy.refused,
            "position": strategy.position, "live": strategy.live / strategy.decisions,
        }  # fmt: skip
    engine.dispose()
    return out
