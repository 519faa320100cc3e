"""How many requests a client may make; what lowers risk has a budget of its own."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final, final

from openmm.errors import ControlError

WINDOW_NS: Final = 60_000_000_000
BRAKES_PER_MINUTE: Final = 120
NAMES_MAX: Final = 2_000


@final
class Limits:
    """A sliding window a client and budget, over one minute. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], deque[int]] = {}

    def request(self, name: str, budget: str, most: int, now_ns: int) -> None:
        """Count one request.

        Args:
            budget: requests of different budgets do not take from each other.
            most: requests a minute.

        Raises:
            ControlError: it is one too many (`rate_limited`); not counted.
        """
        with self._lock:
            if len(self._seen) > NAMES_MAX:
                self._forget(now_ns)
            window = self._seen.setdefault((name, budget), deque())
            while window and not now_ns - WINDOW_NS < window[0] <= now_ns:
                window.popleft()
            if len(window) < most:
                window.append(now_ns)
                return
            wait_s = (window[0] + WINDOW_NS - now_ns) / 1e9
        raise ControlError(
            f"{name} has made {most} requests within a minute, its most; next in {wait_s:.0f} s",
            code="rate_limited",
            hint=f"wait {max(1, round(wait_s))} s; pause, halt, cancel and stop have a budget of "
            "their own",
            retryable=True,
            retry_after_s=wait_s,
        )

    def _forget(self, now_ns: int) -> None:
        for key in [
            k for k, seen in self._seen.items() if not seen or seen[-1] < now_ns - WINDOW_NS
        ]:
            del self._seen[key]
