"""The operating system's keyring, where the package `keyring` and a keyring are there."""

from __future__ import annotations

import importlib
import importlib.util

from openmm.errors import ConfigError

SERVICE = "openmm"


def ring_entry(user: str) -> str | None:
    """Return what the keyring has of a user of the service `openmm`; None: nothing, or no keyring.

    Raises:
        ConfigError: there is a keyring, and it cannot be opened.
    """
    if importlib.util.find_spec("keyring") is None:
        return None
    keyring = importlib.import_module("keyring")
    try:
        found: str | None = keyring.get_password(SERVICE, user)
    except keyring.errors.NoKeyringError:
        return None
    except keyring.errors.KeyringError as error:
        raise ConfigError("keyring", type(error).__name__, "a keyring that can be opened") from None
    return found
