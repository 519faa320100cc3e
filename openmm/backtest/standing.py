"""For how long orders stood at the venue: on both sides, and on one alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from openmm._fast.units import Side
from openmm.backtest.chances import STAY, Int64s


def standing(stays: Int64s, start_ns: int, end_ns: int) -> tuple[float, float] | None:
    """Return the shares of the time with orders on both sides, and on one alone.

    What is on its way to the venue does not stand. None: there is no time.

    Args:
        stays: int64[k, 11], `BacktestStay`'s fields; `ended_ns` 0 of one that was open at the end.
    """
    if end_ns <= start_ns:
        return None
    columns = np.ascontiguousarray(stays.T)
    ends = columns[STAY["ended_ns"]]
    begins = np.clip(columns[STAY["began_ns"]], start_ns, end_ns)
    ends = np.clip(np.where(ends > 0, ends, end_ns), begins, end_ns)
    times = np.concatenate([begins, ends])
    order = np.argsort(times, kind="stable")
    spans = np.diff(times[order])
    buys = columns[STAY["side"]] == int(Side.BUY)

    def there(mine: Any) -> Any:
        steps = np.concatenate([mine, -mine])[order]
        return np.cumsum(steps)[:-1] > 0

    bid, ask = there(buys.astype(np.int64)), there((~buys).astype(np.int64))
    whole = end_ns - start_ns
    return int(spans[bid & ask].sum()) / whole, int(spans[bid ^ ask].sum()) / whole
