"""When people are told that the strategy fails, and when it has failed too often.

A failed call has quoted nothing already. One cause is told when it is new and once a minute while
it lasts; many in a row halt the bot: what fails that often will not mend itself.
"""

from __future__ import annotations

from typing import Final, final

from msgspec import Struct

from openmm.execution.doubt import SECOND_NS

# Failed calls one after the other, no good one between, that halt.
FAILURES_IN_A_ROW: Final = 10
# Between two words about one cause, and about any.
AGAIN_NS: Final = 60 * SECOND_NS
APART_NS: Final = SECOND_NS
# Causes told apart; a strategy with more of them is told of more often.
CAUSES_MAX: Final = 16


class _Cause(Struct):
    told_ns: int
    since: int = 0  # failures of it since it was told


@final
class StrategyFailures:
    """Count what failed, and say what is to be told."""

    def __init__(self) -> None:
        self.count = 0
        self._causes: dict[str, _Cause] = {}
        self._told_ns: int | None = None

    def on_failed(self, count: int, kind: str, text: str, now_ns: int) -> str:
        """Take failures of one cause since the last look; return what is told, or nothing."""
        self.count += count
        cause = self._causes.get(kind)
        if cause is None:
            if len(self._causes) == CAUSES_MAX:
                del self._causes[next(iter(self._causes))]
            cause = self._causes[kind] = _Cause(now_ns - AGAIN_NS)
        cause.since += count
        early = self._told_ns is not None and now_ns - self._told_ns < APART_NS
        if early or now_ns - cause.told_ns < AGAIN_NS:
            return ""
        told = f"{cause.since} calls" if cause.since > 1 else "a call"
        cause.told_ns = self._told_ns = now_ns
        cause.since = 0
        return f"{told} of the strategy failed and quoted nothing: {text}"

    def too_many(self, row: int, text: str) -> str:
        """Say why so many failures in a row are too many; nothing when they are not."""
        if row < FAILURES_IN_A_ROW:
            return ""
        return (
            f"{row} calls of the strategy failed in a row, the limit is {FAILURES_IN_A_ROW}: {text}"
        )
