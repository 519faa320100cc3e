"""What ends our orders when this process cannot: nothing is quoted without it.

On a dedicated account that is the venue's dead-man's switch, armed and refreshed at a third of its
timeout; where there is none, or the account is shared, the watchdog process. Pure: told what was
sent and what the venue answered.
"""

from __future__ import annotations

from collections import deque
from typing import final

from openmm.execution.doubt import SECOND_NS

UNANSWERED_MAX = 16


@final
class Guard:
    """Whether something stands behind our orders.

    Args:
        dead_man_ns: timeout of the venue's switch; None: it is not used.
        watchdog: whether a watchdog process has to run.
    """

    def __init__(self, dead_man_ns: int | None, *, watchdog: bool = False) -> None:
        self.timeout_ns = dead_man_ns
        self.watchdog_needed = watchdog
        self.watchdog_alive = False
        self._sent: deque[tuple[int, bool]] = deque(maxlen=UNANSWERED_MAX)
        self._armed_until_ns = 0
        self._tried_ns = 0
        self.resting = False  # disarmed around maintenance

    def covers(self, now_ns: int) -> bool:
        """Whether orders may stand: a sixth of the timeout before it fires they no longer may."""
        if self.watchdog_needed and not self.watchdog_alive:
            return False
        if self.timeout_ns is None:
            return True
        return now_ns < self._armed_until_ns - self.timeout_ns // 6

    def due(self, now_ns: int) -> bool:
        """Whether to arm the switch now, or to try again; counts as a try."""
        if self.timeout_ns is None or self.resting:
            return False
        wait_ns = self.timeout_ns // 3
        if not self.covers(now_ns):
            wait_ns = min(wait_ns, SECOND_NS)
        if now_ns - self._tried_ns < wait_ns:
            return False
        self._tried_ns = now_ns
        return True

    def rest(self, on: bool) -> bool:
        """Leave the switch disarmed during maintenance; returns whether to disarm it now."""
        started = on and not self.resting and self.timeout_ns is not None
        if self.resting and not on:
            self._tried_ns = 0
        self.resting = on
        return started

    def sent(self, armed: bool, now_ns: int) -> None:
        """Note that a request has left."""
        self._sent.append((now_ns, armed))

    def on_accepted(self) -> None:
        """The venue took the oldest unanswered request: it counts from when that was sent."""
        if not self._sent or self.timeout_ns is None:
            return
        sent_ns, armed = self._sent.popleft()
        self._armed_until_ns = sent_ns + self.timeout_ns if armed else 0

    def on_refused(self) -> None:
        """The venue refused the oldest unanswered request: what was armed before runs out."""
        if self._sent:
            self._sent.popleft()

    def on_lost(self) -> None:
        """The connection is gone: what was not answered by now never will be."""
        self._sent.clear()
        self._tried_ns = 0
