"""Send orders on a schedule to hftbacktest and write down every fill.

Runs under the interpreter of `bench.peers` for the replay: `python -m bench.peer_fills FILE` reads
`table` (hftbacktest's array in ticks and lots) and `orders` (int64[n, 5]: place_ns, cancel_ns,
side, price_ticks, qty_lots; sides 1 buys, 2 sells) and prints, by queue model and exchange, the
rows (order, venue's time, lots) of all fills, and how many orders were refused.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from hftbacktest import HashMapMarketDepthBacktest  # type: ignore[import-not-found]
from numba import njit  # type: ignore[import-not-found]
from numpy.typing import NDArray

from bench.peer_hft import asset_of

QUEUES: dict[str, tuple[str, float]] = {
    "careful": ("careful", 0.0), "power1": ("power", 1.0), "power2": ("power", 2.0),
    "power3": ("power", 3.0), "log": ("log", 0.0),
}  # fmt: skip
DELAY_NS = 1  # of requests and of answers: none at all is not a delay to it
NONE, FILLED, PARTIAL, EXPIRED = 0, 3, 5, 2
BUY = 1
GOES_ON = (0, 2, 3)  # time is up, news of the market, an answer


@njit  # type: ignore[untyped-decorator]
def _follow(hbt: Any, orders: Any, actions: Any, fills: Any, refused: Any) -> int:
    """Carry out the actions, (time, order, 0 place or 1 cancel) each.

    Returns: the number of fills, negative when hftbacktest stopped.
    """
    count = len(orders)
    live = np.zeros(count, np.int64)
    left = np.zeros(count, np.float64)
    alive = 0
    found = 0
    at = 0
    hbt.elapse(1)  # before it, its clock tells no time
    while True:
        now = hbt.current_timestamp
        while at < len(actions) and actions[at, 0] <= now:
            which = actions[at, 1]
            price, qty = float(orders[which, 3]), float(orders[which, 4])
            if actions[at, 2] == 0:
                if orders[which, 2] == BUY:
                    hbt.submit_buy_order(0, which, price, qty, 1, 0, False)
                else:
                    hbt.submit_sell_order(0, which, price, qty, 1, 0, False)
                live[alive] = which
                left[which] = qty
                alive += 1
            else:
                hbt.cancel(0, which, False)
            at += 1
        wait = actions[at, 0] - now if at < len(actions) else 1 << 60
        told = hbt.wait_next_feed(True, wait)
        kept = 0
        known = hbt.orders(0)
        for i in range(alive):
            which = live[i]
            order = known.get(which)
            gone = order.status == FILLED or order.status == EXPIRED or order.status == 4
            if order.status == EXPIRED:
                refused[0] += 1
            elif order.status == FILLED or order.status == PARTIAL:
                now_left = order.leaves_qty
                if now_left < left[which]:
                    fills[found, 0] = which
                    fills[found, 1] = order.exch_timestamp
                    fills[found, 2] = round(left[which] - now_left)
                    left[which] = now_left
                    found += 1
            if not gone:
                live[kept] = which
                kept += 1
        alive = kept
        if told == 1:
            return found
        if told not in GOES_ON:
            return -found


def run(
    table: NDArray[Any], orders: NDArray[np.int64], queue: str, *, partial: bool
) -> dict[str, Any]:
    """Run the schedule, again from the start without what is done whenever hftbacktest stops.

    Its exchange with partial fills keeps some orders that it has filled, and stops with an error
    when the market comes to their price again. It serves each order as if it were alone, so that
    the others' fills are the same without those that are filled.
    """
    name, power = QUEUES[queue]
    left = np.arange(len(orders))
    done: list[list[int]] = []
    for stops in range(len(orders)):
        asset = asset_of(
            table, 1.0, 1.0, queue=name, power=power, partial=partial, latency_ns=DELAY_NS
        )
        hbt = HashMapMarketDepthBacktest([asset])
        some = orders[left]
        places = np.column_stack((some[:, 0], np.arange(len(some)), np.zeros(len(some))))
        cancels = np.column_stack((some[:, 1], np.arange(len(some)), np.ones(len(some))))
        actions = np.concatenate((places, cancels)).astype(np.int64)
        actions = actions[np.argsort(actions[:, 0], kind="stable")]
        fills, refused = np.zeros((len(some) * 64, 3), np.int64), np.zeros(1, np.int64)
        found = _follow(hbt, some, actions, fills, refused)
        hbt.close()
        told = fills[: abs(found)]
        rows = [[int(left[n]), int(at), int(lots)] for n, at, lots in told.tolist()]
        if found >= 0:
            return {"fills": done + rows, "refused": int(refused[0]), "stops": stops}
        filled = np.bincount(told[:, 0], told[:, 2], len(some)).astype(np.int64) == some[:, 4]
        gone = np.flatnonzero(filled)
        if not len(gone):
            raise RuntimeError("hftbacktest stopped, and no order was filled")
        whole = set(left[gone].tolist())
        done += [row for row in rows if row[0] in whole]
        left = np.delete(left, gone)
    raise RuntimeError("hftbacktest stopped for every order")


def main() -> None:
    """Run every model and print."""
    with np.load(sys.argv[1]) as kept:
        table, orders = np.ascontiguousarray(kept["table"]), kept["orders"]
    print(
        json.dumps(
            {
                f"{queue}/{'partial' if partial else 'whole'}": run(
                    table, orders, queue, partial=partial
                )
                for queue in QUEUES
                for partial in (True, False)
            }
        )
    )


if __name__ == "__main__":
    main()
