"""Tell people that something is wrong: one address that takes JSON by POST.

Chat services that take incoming webhooks read `text` or `content`; the rest is for machines. An
alert never holds trading up and never raises: what could not be delivered is the return value, to
be logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import aiohttp
from msgspec import Struct

TIMEOUT_S = 5.0
BACKOFF_S: Sequence[float] = (1.0, 5.0)


class AlertMessage(Struct, frozen=True):
    """One alert. `event` is a word for machines: `halted`, once a halt, or `incident`."""

    event: str
    severity: str  # info, warning, critical
    bot: str
    session: str
    ts_ns: int
    text: str

    def body(self) -> Mapping[str, object]:
        """Return what is posted."""
        line = f"[{self.severity}] {self.bot}: {self.text}"
        return {
            "text": line,
            "content": line,
            "event": self.event,
            "severity": self.severity,
            "bot": self.bot,
            "session": self.session,
            "ts_ns": self.ts_ns,
            "detail": self.text,
        }


async def post_alert(
    url: str, message: AlertMessage, *, backoff_s: Sequence[float] = BACKOFF_S
) -> str:
    """Post an alert; try again a few times. Return "" or why it was not delivered."""
    why = ""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for wait_s in (*backoff_s, None):
            try:
                # A redirect could lead the alert to another host: it is an answer, not followed.
                reply = session.post(url, json=message.body(), allow_redirects=False)
                async with reply as response:
                    if response.status < 300:
                        return ""
                    why = f"HTTP status {response.status}"
                    if response.status < 500 and response.status != 429:
                        return why
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                why = type(error).__name__
            if wait_s is not None:
                await asyncio.sleep(wait_s)
    return why
