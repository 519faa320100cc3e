"""Take what opens doors out of a configuration before it is written down or shown."""

from __future__ import annotations

from typing import Any

from openmm.address import without_password, without_path
from openmm.config.schema import BotConfig


def public(config: BotConfig) -> dict[str, Any]:
    """Return the configuration as plain JSON values, fit for the journal: no password in it."""
    plain = config.model_dump(mode="json")
    if (store := plain["settlement"]["store"]) is not None:
        plain["settlement"]["store"] = without_password(store)
    if (webhook := plain["risk"]["webhook"]) is not None:
        plain["risk"]["webhook"] = without_path(webhook)
    return plain
