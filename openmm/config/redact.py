"""Take what opens doors out of a configuration before it is written down or shown."""

from __future__ import annotations

from typing import Any

from openmm.address import public_plain
from openmm.config.schema import BotConfig


def public(config: BotConfig) -> dict[str, Any]:
    """Return the configuration as plain JSON values, fit for the journal: no password in it."""
    return public_plain(config.plain())
