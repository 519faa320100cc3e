"""What `bench_plugin` counts under callgrind: `python bench/count_plugin.py SHORT LONG`.

An empty strategy in Python, asked for its ladder as the pipeline asks, and its method called bare
from compiled code with the same view. Each is done twice, SHORT and LONG times; what a call costs
is the difference.
"""

from __future__ import annotations

import sys

from openmm.strategy.python import PythonStrategy, View
from openmm.testing import make_bot, market_view, section
from openmm.testing.calls import call_bare, call_strategy

# A calm one, in which everything may be quoted.
MARKET = market_view()


class Empty:
    """A strategy that wants nothing."""

    def quote(self, view: View) -> None:
        """Quote nothing."""
        return None


class Seen:
    """A strategy that keeps what it is shown."""

    def __init__(self) -> None:
        self.views: list[View] = []

    def quote(self, view: View) -> None:
        """Keep the view."""
        self.views.append(view)


def main(short: int, long: int) -> None:
    """Call both, marked; prints how often the strategy was asked within the marks."""
    instrument = make_bot().instrument
    seen = Seen()
    call_strategy(PythonStrategy(instrument, seen), MARKET, 1)
    (view,) = seen.views
    strategy, bare = PythonStrategy(instrument, Empty()), Empty().quote
    # The interpreter adapts a function's code to its callers in the first calls.
    call_strategy(strategy, MARKET, short)
    call_bare(bare, view, short)
    before = strategy.call_count
    for part, count in (("short", short), ("long", long)):
        with section(f"asked/{part}"):
            call_strategy(strategy, MARKET, count)
        with section(f"bare/{part}"):
            call_bare(bare, view, count)
    print("asked", strategy.call_count - before)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
