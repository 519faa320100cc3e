"""Does a run know what it could not know? Two checks, one exact, one by what an event is worth.

**The future changes nothing.** The data are cut short, and the run is made again: all that was told
before the cut has to be the same, number for number. Whatever reads ahead in the data tells
otherwise.

**One event later is no better.** Every request leaves only when the next read comes, decided on
what was known before it, while the venue goes on as it does: the engine is one event behind. Times
that are wrong show here, as code that reads ahead does above. A market whose receive times are
early gives away what comes next: one event later the gain is gone, and the run *hangs* on that
event. An engine that does *better* with older news has times that are late, or acts on noise.

The difference is of P&L, from mark to mark of the same clock, and its standard error that of spans
of ten marks: neighbouring ones share what they hold. Beyond three of them it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, final

import numpy as np

from openmm.backtest.chances import STAY
from openmm.backtest.columns import Outcome, run
from openmm.backtest.measures import FILL, Measures, measure
from openmm.backtest.model import Model
from openmm.config import BotConfig
from openmm.data.events import LATE_NS_MAX, Events

CUTS: Final = 4  # of the span, into so many and one parts
BLOCK: Final = 10  # marks that one difference is of
BLOCKS_MIN: Final = 12
ERRORS: Final = 3.0  # standard errors from which on a difference counts
HOLDS, IMPROVES, HANGS, SHORT = "holds", "improves", "hangs", "too short"
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
class LookAhead:
    """What the checks of one run found.

    Args:
        cuts: when the data were cut short, ns.
        changed: what was told otherwise before a cut; empty: nothing.
    """

    cuts: tuple[int, ...]
    changed: tuple[str, ...]
    shift: Shift

    @property
    def good(self) -> bool:
        """Whether nothing speaks for a look ahead."""
        return not self.changed and self.shift.verdict in (HOLDS, SHORT)

    @property
    def told(self) -> str:
        """Return what was found, for people."""
        one = self.shift
        future = f"the future changes nothing ({len(self.cuts)} cuts)"
        if self.changed:
            future = f"THE FUTURE CHANGES {', '.join(self.changed)}"
        return (
            f"{future}; one event later {one.later_net:,.4f} instead of {one.net:,.4f}, "
            f"{one.difference:+.4f} ± {one.error:.4f}: {TOLD[one.verdict]}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        one = self.shift
        return {
            "good": self.good, "cuts_ns": list(self.cuts), "changed": list(self.changed),
            "net": format(one.net, "f"), "later_net": format(one.later_net, "f"),
            "difference": one.difference, "error": one.error, "verdict": one.verdict,
        }  # fmt: skip


def look_ahead(
    config: BotConfig, markets: Sequence[Events], model: Model, runner: Runner = run
) -> LookAhead:
    """Check one run, by six of it.

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
    return LookAhead(
        tuple(cuts), tuple(dict.fromkeys(changed)), shifted(measure(whole), measure(later))
    )


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
        ("fills", _before(short.fills, FILL["told_ns"], until_ns),
         _before(whole.fills, FILL["told_ns"], until_ns)),
        ("marks", _before(short.marks, 0, until_ns), _before(whole.marks, 0, until_ns)),
        ("orders", _stays(short.orders, told_ns), _stays(whole.orders, told_ns)),
    ):  # fmt: skip
        if not np.array_equal(mine, others):
            found.append(f"{name} before {(cut_ns - whole.started_ns) / 1e9:.1f} s")
    return found


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
    mine, others = _at_marks(base), _at_marks(later)
    # A mark without a reference is in neither: both saw the same books.
    changes = np.diff((others - mine) * float(base.unit), prepend=0.0)
    difference = float(changes.sum())
    count = len(changes) // BLOCK
    blocks = changes[: count * BLOCK].reshape(count, BLOCK).sum(axis=1)
    error = float(blocks.std(ddof=1)) * count**0.5 if count > 1 else 0.0
    verdict = HOLDS
    if count < BLOCKS_MIN:
        verdict = SHORT
    elif abs(difference) > ERRORS * error:
        verdict = IMPROVES if difference > 0 else HANGS
    return Shift(base.net, later.net, difference, error, verdict)


def _at_marks(one: Measures) -> Any:
    """Return float64[m]: the P&L at each mark, ticklots."""
    return one.curve.pnl_ticklots[1:-1].astype(np.float64)
