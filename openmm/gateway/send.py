"""Tell people of alerts: one message to one address, over apprise's hundred services."""

from __future__ import annotations

import logging
from typing import Final

import apprise

TYPES: Final = {
    "info": apprise.NotifyType.INFO,
    "warning": apprise.NotifyType.WARNING,
    "critical": apprise.NotifyType.FAILURE,
    "resolved": apprise.NotifyType.SUCCESS,
}
# These log addresses, and with them tokens.
TALKERS: Final = ("apprise", "urllib3", "requests")


def knows(url: str) -> bool:
    """Tell whether an address is one of a service."""
    _quiet()
    return bool(apprise.Apprise().add(url))


def send(url: str, title: str, body: str, kind: str) -> str:
    """Send a message; return "" or why it was not delivered. Blocks for some seconds at most.

    Args:
        url: an address as apprise has them; never in what is returned.
        kind: `resolved`, or a severity.
    """
    _quiet()
    try:
        service = apprise.Apprise()
        if not service.add(url):
            return "no address that apprise knows"
        delivered = service.notify(body=body, title=title, notify_type=TYPES[kind])
    except Exception as error:
        # The boundary of a hundred services' code; the text of their errors may hold the address.
        return f"the service's part of apprise failed: {type(error).__name__}"
    return "" if delivered else "the service did not take it, or could not be reached"


def _quiet() -> None:
    for name in TALKERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
