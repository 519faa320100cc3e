"""Does a run know what it could not know? One exact check, two by what news is worth.

**The future changes nothing.** The data are cut short, and the run is made again: all that was told
before the cut has to be the same, number for number. Whatever reads ahead in the data tells
otherwise.

**One event later is no better.** Every request leaves only when the next read comes, decided on
what was known before it, while the venue goes on as it does: the engine is one event behind. Times
that are wrong show here, as code that reads ahead does above. A market whose receive times are
early gives away what comes next: one event later the gain is gone, and the run *hangs* on that
event. An engine that does *better* with older news has times that are late, or acts on noise.

**Older news costs in proportion.** What is watched comes later by fixed lags, and so do requests.
News that are twice as old cost twice as much at most: those who trade on them come one by one. A
market whose receive times are early costs nothing until its lead is used up, and then all at once:
the run falls off a *cliff* at the first lag beyond the lead.

The difference is of P&L, from mark to mark of the same clock, and its standard error that of spans
of ten marks: neighbouring ones share what they hold. Beyond three of them it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, final

import msgspec
import numpy as np
from numpy.typing import NDArray

from openmm._fast.backtest import HORIZONS_NS
from openmm.backtest.chances import STAY
from openmm.backtest.columns import Outcome, run
from openmm.backtest.measures import AFTER, FILL, Measures, measure
from openmm.backtest.model import DELAY_NS_MAX, MS, Model
from openmm.config import BotConfig
from openmm.data.events import LATE_NS_MAX, Events

CUTS: Final = 4  # of the span, into so many and one parts
BLOCK: Final = 10  # marks that one difference is of
BLOCKS_MIN: Final = 12
ERRORS: Final = 3.0  # standard errors from which on a difference counts
LAGS_NS: Final = (5 * MS, 20 * MS, 100 * MS, 500 * MS, 1000 * MS)
NEWS, REQUESTS = "watched", "requests"
HOLDS, IMPROVES, HANGS, SHORT = "holds", "improves", "hangs", "too short"
CLIFF = "cliff"
TOLD: Final = {
    HOLDS: "the same, within the error",
    IMPROVES: (
        "it gains by acting one event later: receive times that are late, or an edge that is noise"
    ),
    HANGS: (
        "what it gains is gone one event later: receive times that are early, or a race for the "
        "very next event"
    ),
    SHORT: f"under {BLOCK * BLOCKS_MIN} marks: nothing can be told of one event",
}
LAGGED: Final = {NEWS: "what is watched is older", REQUESTS: "requests are slower"}
# `columns.run`, or what is to be checked in its place.
Runner = Callable[..., Outcome]


@final
@dataclass(frozen=True, slots=True)
class Shift:
    """The same run with the engine one event behind.

    Args:
        net, later_net: P&L after fees as it is, and one event later.
        difference, error: of the P&L at the marks, later less as it is, and its standard error.
        verdict: a key of `TOLD`.
    """

    net: Decimal
    later_net: Decimal
    difference: float
    error: float
    verdict: str


@final
@dataclass(frozen=True, slots=True)
class Lag:
    """The same run with older news of what is watched, or with slower requests.

    Args:
        of: a key of `LAGGED`.
        lag_ns: by how much.
        net: P&L after fees.
        difference, error: as of `Shift`.
        beyond, beyond_error: what it costs more than the lag before it does in proportion, and the
            standard error of that; of the first one what it costs.
        verdict: `HOLDS`, `CLIFF`, or `SHORT`.
    """

    of: str
    lag_ns: int
    net: Decimal
    difference: float
    error: float
    beyond: float
    beyond_error: float
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "of": self.of, "lag_ns": self.lag_ns, "net": format(self.net, "f"),
            "difference": self.difference, "error": self.error, "beyond": self.beyond,
            "beyond_error": self.beyond_error, "verdict": self.verdict,
        }  # fmt: skip


@final
@dataclass(frozen=True, slots=True)
class LookAhead:
    """What the checks of one run found.

    Args:
        cuts: when the data were cut short, ns.
        changed: what was told otherwise before a cut; empty: nothing.
        lags: by what is later, then by how much.
    """

    cuts: tuple[int, ...]
    changed: tuple[str, ...]
    shift: Shift
    lags: tuple[Lag, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing speaks for a look ahead."""
        return (
            not self.changed
            and self.shift.verdict in (HOLDS, SHORT)
            and not any(one.verdict == CLIFF for one in self.lags)
        )

    @property
    def told(self) -> str:
        """Return what was found, for people."""
        one = self.shift
        future = f"the future changes nothing ({len(self.cuts)} cuts)"
        if self.changed:
            future = f"THE FUTURE CHANGES {', '.join(self.changed)}"
        return (
            f"{future}; one event later {one.later_net:,.4f} instead of {one.net:,.4f}, "
            f"{one.difference:+.4f} ± {one.error:.4f}: {TOLD[one.verdict]}{self._lags_told()}"
        )

    def _lags_told(self) -> str:
        told = ""
        for of, text in LAGGED.items():
            mine = [one for one in self.lags if one.of == of]
            if not mine:
                continue
            spans = ", ".join(f"{one.lag_ns / MS:g}" for one in mine)
            nets = ", ".join(f"{one.net:,.4f}" for one in mine)
            told += f"; {nets} where {text} by {spans} ms"
            for one in mine:
                if one.verdict == CLIFF:
                    told += (
                        f": {one.beyond:,.4f} ± {one.beyond_error:.4f} MORE IS GONE AT "
                        f"{one.lag_ns / MS:g} ms than news of that age cost: receive times that "
                        "are early by up to that, or a market that follows that slowly"
                    )
                    break
        return told

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        one = self.shift
        return {
            "good": self.good, "cuts_ns": list(self.cuts), "changed": list(self.changed),
            "net": format(one.net, "f"), "later_net": format(one.later_net, "f"),
            "difference": one.difference, "error": one.error, "verdict": one.verdict,
            "lags": [lag.to_json() for lag in self.lags],
        }  # fmt: skip


def look_ahead(
    config: BotConfig, markets: Sequence[Events], model: Model, runner: Runner = run
) -> LookAhead:
    """Check one run, by eleven of it, and by five more where it watches a market.

    Raises:
        ConfigError: the bot does not fit the markets.
    """
    whole = runner(config, markets, model)
    later = runner(config, markets, model, behind=True)
    start_ns, span_ns = whole.started_ns, whole.ended_ns - whole.started_ns
    cuts, changed = [], []
    for part in range(1, CUTS + 1):
        cut_ns = start_ns + span_ns * part // (CUTS + 1)
        short = [one.between(0, cut_ns) for one in markets]
        if not all(map(len, short)):
            continue
        cuts.append(cut_ns)
        changed += differences(runner(config, short, model), whole, cut_ns)
    base = measure(whole)
    requests = [measure(runner(config, markets, slower(model, lag_ns))) for lag_ns in LAGS_NS]
    watched = []
    for lag_ns in LAGS_NS if len(whole.markets) > 1 else ():
        older = lagged(markets, whole.markets[0], lag_ns, whole.ended_ns)
        if all(map(len, older)):
            watched.append(measure(runner(config, older, model)))
    return LookAhead(
        tuple(cuts), tuple(dict.fromkeys(changed)), shifted(base, measure(later)),
        (*lags(NEWS, base, watched), *lags(REQUESTS, base, requests)),
    )  # fmt: skip


def slower(model: Model, lag_ns: int) -> Model:
    """Return a model whose requests take longer."""
    delays = tuple(min(one + lag_ns, DELAY_NS_MAX) for one in model.orders_ns)
    return msgspec.structs.replace(model, orders_ns=delays)


def lagged(
    markets: Sequence[Events], quoted: str, lag_ns: int, end_ns: int
) -> list[Events]:  # fmt: skip
    """Return the markets, all but the quoted one received later; what comes after the end is not.

    Args:
        quoted: its label; the first market that has it is meant.
    """
    at = [one.market.label for one in markets].index(quoted)
    return [
        one if place == at
        else replace(one, recv_ns=one.recv_ns + lag_ns).between(0, end_ns + 1)
        for place, one in enumerate(markets)
    ]  # fmt: skip


def lags(of: str, base: Measures, later: Sequence[Measures]) -> list[Lag]:
    """Compare a run with those that `LAGS_NS` make of it, in their order."""
    made = []
    before_ns = 0
    before: NDArray[np.float64] | None = None
    for lag_ns, one in zip(LAGS_NS, later, strict=False):
        costs = -_differences(base, one)
        cost, error, count = _summed(costs)
        excess = costs
        # What a shorter lag gains says nothing of what a longer one may cost.
        if before is not None and before.sum() > 0:
            n = min(len(costs), len(before))
            excess = costs[:n] - before[:n] * (lag_ns / before_ns)
        beyond, beyond_error, _ = _summed(excess)
        verdict = HOLDS
        if count < BLOCKS_MIN:
            verdict = SHORT
        elif cost > ERRORS * error and beyond > ERRORS * beyond_error:
            verdict = CLIFF
        made.append(Lag(of, lag_ns, one.net, -cost, error, beyond, beyond_error, verdict))
        before_ns, before = lag_ns, costs
    return made


def differences(short: Outcome, whole: Outcome, cut_ns: int) -> list[str]:
    """Return what a run over data cut short told otherwise, before its last event.

    The venue has a trade when it was made: one that the cut took away may have filled us before.
    """
    until_ns = short.ended_ns - LATE_NS_MAX
    # A place at the venue is told to the engine an answer's time later.
    told_ns = until_ns - max(whole.model.answers_ns)
    found = []
    for name, mine, others in (
        ("opening", np.array([short.opening]), np.array([whole.opening])),
        ("fills", _fills(short.fills, until_ns), _fills(whole.fills, until_ns)),
        ("marks", _before(short.marks, 0, until_ns), _before(whole.marks, 0, until_ns)),
        ("orders", _stays(short.orders, told_ns), _stays(whole.orders, told_ns)),
    ):  # fmt: skip
        if not np.array_equal(mine, others):
            found.append(f"{name} before {(cut_ns - whole.started_ns) / 1e9:.1f} s")
    return found


def _fills(rows: Any, until_ns: int) -> Any:
    """Return the fills that were told before a moment, with the references of later known then."""
    made = _before(rows, FILL["told_ns"], until_ns).copy()
    for column, span_ns in zip(AFTER.values(), HORIZONS_NS, strict=True):
        made[made[:, FILL["told_ns"]] + span_ns >= until_ns, column] = 0
    return made


def _stays(rows: Any, told_ns: int) -> Any:
    """Return the stays that began before a moment, as they were known then."""
    made = _before(rows, STAY["began_ns"], told_ns).copy()
    # One that goes on may be made smaller where it stands: a row has what it was in the end.
    made[made[:, STAY["ended_ns"]] >= told_ns, STAY["qty_lots"]] = 0
    made[:, [STAY["filled_lots"], STAY["ended_ns"]]] = 0
    return made


def _before(rows: Any, column: int, until_ns: int) -> Any:
    return rows[rows[:, column] < until_ns]


def shifted(base: Measures, later: Measures) -> Shift:
    """Compare a run with one that acts one event later."""
    difference, error, count = _summed(_differences(base, later))
    verdict = HOLDS
    if count < BLOCKS_MIN:
        verdict = SHORT
    elif abs(difference) > ERRORS * error:
        verdict = IMPROVES if difference > 0 else HANGS
    return Shift(base.net, later.net, difference, error, verdict)


def _differences(base: Measures, later: Measures) -> NDArray[np.float64]:
    """Return float64[m]: by how much more the later run made, mark by mark, in quote units."""
    mine, others = _at_marks(base), _at_marks(later)
    n = min(len(mine), len(others))  # the marks are of one clock; one run may end before its last
    # A mark without a reference is in neither: both saw the same books.
    made: NDArray[np.float64] = np.diff((others[:n] - mine[:n]) * float(base.unit), prepend=0.0)
    return made


def _summed(changes: NDArray[np.float64]) -> tuple[float, float, int]:
    """Return the sum, its standard error by blocks, and how many of these there are."""
    count = len(changes) // BLOCK
    blocks = changes[: count * BLOCK].reshape(count, BLOCK).sum(axis=1)
    error = float(blocks.std(ddof=1)) * count**0.5 if count > 1 else 0.0
    return float(changes.sum()), error, count


def _at_marks(one: Measures) -> Any:
    """Return float64[m]: the P&L at each mark, ticklots."""
    return one.curve.pnl_ticklots[1:-1].astype(np.float64)
