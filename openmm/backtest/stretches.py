"""How far a net may be off: a bootstrap over fixed stretches of the run.

What was gained from second to second hangs together: a position is held for a while. So what is
drawn again are whole stretches, with replacement, each time as many as there are; the net is the
sum of what was drawn. It says what chance alone does to the net of a run as long as this one in a
market that goes on as in it; of other markets it says nothing.

Source: block bootstrap of E. Carlstein, Annals of Statistics 14 (1986), 1171-1179; percentile
interval of B. Efron, Annals of Statistics 7 (1979), 1-26.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, final

import numpy as np

from openmm.backtest.measures import Curve, Measures

SECOND_NS: Final = 1_000_000_000
STRETCH_S: Final = 10  # at least
STRETCHES_MIN: Final = 12  # fewer say nothing
STRETCHES_MAX: Final = 400  # more make longer ones
DRAWS: Final = 2_000
SEED: Final = 20_240_808


@final
@dataclass(frozen=True, slots=True)
class NetError:
    """The error of a net, in quote.

    Args:
        error: standard deviation of the drawn nets.
        low, high: 95% of them lie between.
        stretches, stretch_s: how many there are, and how long each.
        draws: how often.
    """

    error: float
    low: float
    high: float
    stretches: int
    stretch_s: int
    draws: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def net_error(one: Measures) -> NetError | None:
    """Return the error of a run's net; None: it was too short to tell. The same for the same run.

    The last stretch is left out where it is not whole, and the interval moved to the whole net.
    """
    gains, stretch_s = gained(one.curve)
    count = len(gains)
    if count < STRETCHES_MIN:
        return None
    unit = float(one.unit)
    chosen = np.random.Generator(np.random.PCG64(SEED)).integers(0, count, (DRAWS, count))
    nets = gains[chosen].sum(axis=1) * unit
    off = float(one.net) - float(gains.sum()) * unit
    low, high = (float(np.quantile(nets, share)) + off for share in (0.025, 0.975))
    return NetError(float(nets.std()), low, high, count, stretch_s, DRAWS)


def gained(curve: Curve) -> tuple[Any, int]:
    """Return int64[n], ticklots gained in each whole stretch, and its length in seconds."""
    start_ns, end_ns = int(curve.ts_ns[0]), int(curve.ts_ns[-1])
    seconds = (end_ns - start_ns) // SECOND_NS
    stretch_s = max(STRETCH_S, -(-seconds // STRETCHES_MAX))
    edges = start_ns + np.arange(seconds // stretch_s + 1) * (stretch_s * SECOND_NS)
    # The last that was told by then.
    at = np.searchsorted(curve.ts_ns, edges, side="right") - 1
    return np.diff(curve.pnl_ticklots[at]), stretch_s
