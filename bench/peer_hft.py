"""What hftbacktest does with our events: its grid example, or no strategy at all.

Runs under the interpreter of `bench.peers` for the replay (`replay_peers.txt`). The grid follows
the logic that hftbacktest documents in its example "High-Frequency Grid Trading" (hftbacktest 2.x,
read 2026-11), written anew in ticks: every 100 ms, prices around the mid, skewed by the position
and snapped to the interval of the grid, so that an order keeps its place while the mid stays in its
cell; orders away from the wanted prices are cancelled, missing ones are sent as post-only.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import thread_time_ns
from typing import Any

import numpy as np
from hftbacktest import (  # type: ignore[import-not-found]
    BacktestAsset,
    HashMapMarketDepthBacktest,
    Recorder,
    ROIVectorMarketDepthBacktest,
)
from numba import njit, types  # type: ignore[import-not-found]
from numba.typed import Dict  # type: ignore[import-not-found]
from numpy.typing import NDArray

CADENCE_NS = 100_000_000
LATENCY_NS = 20_000_000
GTX, LIMIT = 1, 0
BUY, SELL = 1, -1
NEW, FILLED, PARTIAL = 1, 3, 5


@dataclass(frozen=True)
class Grid:
    """The grid that every engine quotes; shares in millionths of the mid."""

    levels: int = 10
    half_ppm: int = 120
    step_ppm: int = 50
    skew_ppm: int = 12  # an order's quantity off: at the limit the skew is the half spread
    qty: float = 0.01
    position_max: float = 0.1


def asset_of(
    table: NDArray[Any], tick: float, lot: float, *, queue: str = "power", power: float = 3.0,
    partial: bool = True, latency_ns: int = LATENCY_NS, roi: tuple[float, float] = (0.0, 0.0),
    trades: int = 0,
) -> Any:  # fmt: skip
    """Describe a market to hftbacktest; `table` must outlive what is made of it."""
    asset = BacktestAsset().data([table]).linear_asset(1.0)
    asset = asset.constant_order_latency(latency_ns, latency_ns)
    if queue == "careful":
        asset = asset.risk_adverse_queue_model()
    elif queue == "log":
        asset = asset.log_prob_queue_model()
    else:
        asset = asset.power_prob_queue_model(power)
    asset = asset.partial_fill_exchange() if partial else asset.no_partial_fill_exchange()
    asset = asset.trading_value_fee_model(0.0, 0.0).tick_size(tick).lot_size(lot)
    asset = asset.last_trades_capacity(trades)
    return asset.roi_lb(roi[0]).roi_ub(roi[1]) if roi[1] else asset


@njit  # type: ignore[untyped-decorator]
def _grid(
    hbt: Any, stat: Any, levels: int, half_ppm: int, step_ppm: int, skew_ppm: int, qty: float,
    position_max: float, counts: Any,
) -> None:  # fmt: skip
    tick_size = hbt.depth(0).tick_size
    turn = 0
    while hbt.elapse(CADENCE_NS) == 0:
        turn += 1
        if turn % 10 == 0:
            stat.record(hbt)
        hbt.clear_inactive_orders(0)
        depth = hbt.depth(0)
        best_bid, best_ask = depth.best_bid_tick, depth.best_ask_tick
        if best_bid <= 0 or best_ask > 1 << 40:
            continue
        mid = (best_bid + best_ask) / 2.0
        position = hbt.position(0)
        lean = skew_ppm * position / qty
        step = max(1, round(mid * step_ppm / 1e6))
        bid = min(int(mid * (1.0 - (half_ppm + lean) / 1e6)), best_bid) // step * step
        ask = -(-max(int(np.ceil(mid * (1.0 + (half_ppm - lean) / 1e6))), best_ask) // step) * step
        wanted_bids = Dict.empty(types.int64, types.int64)
        wanted_asks = Dict.empty(types.int64, types.int64)
        for i in range(levels):
            if position < position_max:
                wanted_bids[bid - i * step] = 1
            if position > -position_max:
                wanted_asks[ask + i * step] = 1
        orders = hbt.orders(0)
        counts[3] += len(orders)
        stale = np.zeros(len(orders), np.int64)
        stale_count = 0
        values = orders.values()
        while values.has_next():
            order = values.get()
            if order.cancellable:
                price = order.price_tick
                if (order.side == 1 and price not in wanted_bids) or (
                    order.side == -1 and price not in wanted_asks
                ):
                    stale[stale_count] = order.order_id
                    stale_count += 1
        for i in range(stale_count):
            hbt.cancel(0, stale[i], False)
            counts[1] += 1
        for price in wanted_bids:
            if price not in orders:
                hbt.submit_buy_order(0, price, price * tick_size, qty, GTX, LIMIT, False)
                counts[0] += 1
        for price in wanted_asks:
            if price not in orders:
                hbt.submit_sell_order(0, price, price * tick_size, qty, GTX, LIMIT, False)
                counts[0] += 1
        counts[2] += 1


@njit  # type: ignore[untyped-decorator]
def _nothing(hbt: Any, counts: Any) -> None:
    while hbt.elapse(CADENCE_NS) == 0:
        counts[2] += 1


@njit  # type: ignore[untyped-decorator]
def _count(hbt: Any, counts: Any) -> None:
    """Stop at every event of the market."""
    while True:
        told = hbt.wait_next_feed(False, 1 << 60)
        if told == 1:
            return
        if told != 2:
            counts[1] += 1
            return
        counts[0] += 1


class HftRuns:
    """hftbacktest over one stream."""

    def __init__(self, table: NDArray[Any], tick: float, lot: float, grid: Grid) -> None:
        self.table = np.ascontiguousarray(table)
        self.tick, self.lot, self.grid = tick, lot, grid
        told = self.table["px"][self.table["px"] > 0]
        middle = float(np.median(told))
        # Wide enough for every price that the grid and the best prices reach: all within 10%.
        self.roi = (round(middle * 0.9, 1), round(middle * 1.1, 1))

    def _made(self, depth: str, trades: int = 0) -> Any:
        asset = asset_of(self.table, self.tick, self.lot, roi=self.roi, trades=trades)
        if depth == "roi":
            return ROIVectorMarketDepthBacktest([asset])
        return HashMapMarketDepthBacktest([asset])

    def run(self, depth: str, strategy: str) -> dict[str, float]:
        """Time one run; counts of orders beside it."""
        hbt = self._made(depth)
        counts = np.zeros(4, np.int64)
        stat = Recorder(1, 1_000_000)
        g = self.grid
        began = thread_time_ns()
        if strategy == "grid":
            _grid(
                hbt, stat.recorder, g.levels, g.half_ppm, g.step_ppm, g.skew_ppm, g.qty,
                g.position_max, counts,
            )  # fmt: skip
        else:
            _nothing(hbt, counts)
        took = thread_time_ns() - began
        state = hbt.state_values(0)
        out = {
            "ns": took, "placed": int(counts[0]), "cancelled": int(counts[1]),
            "decisions": int(counts[2]),
            "live": float(counts[3] / counts[2]) if counts[2] else 0.0,
            "fills": int(state.num_trades),
            "volume": float(state.trading_volume), "position": float(state.position),
            "best_bid_ticks": int(hbt.depth(0).best_bid_tick),
            "best_ask_ticks": int(hbt.depth(0).best_ask_tick),
        }  # fmt: skip
        hbt.close()
        return out

    def trades(self) -> int:
        """Count the trades that hftbacktest has seen by the end."""
        hbt = self._made("roi", trades=1 << 22)
        _nothing(hbt, np.zeros(4, np.int64))
        seen = len(hbt.last_trades(0))
        hbt.close()
        return seen

    def count(self, depth: str) -> int:
        """Count the times at which hftbacktest shows something new to a strategy."""
        hbt = self._made(depth)
        counts = np.zeros(4, np.int64)
        _count(hbt, counts)
        hbt.close()
        if counts[1]:
            raise AssertionError("hftbacktest stopped before the end of the events")
        return int(counts[0])
