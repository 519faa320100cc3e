"""Find a venue's keys: the environment first, then the system's keyring. Never the bot's file."""

from __future__ import annotations

import importlib
import importlib.util
import os
from dataclasses import dataclass, field

from openmm.errors import ConfigError

SERVICE = "openmm"


@dataclass(frozen=True, slots=True)
class Keys:
    """A key and its secret; neither shows in a message or a log."""

    key: str = field(repr=False)
    secret: str = field(repr=False)

    def __repr__(self) -> str:
        """Tell that keys are there, not which."""
        return "Keys(key=<redacted>, secret=<redacted>)"


def env_names(label: str) -> tuple[str, str]:
    """Return the environment variables of a venue's label: OPENMM_KRAKEN_KEY, …_SECRET."""
    stem = "OPENMM_" + label.upper().replace("-", "_")
    return f"{stem}_KEY", f"{stem}_SECRET"


def load_keys(label: str) -> Keys:
    """Return the keys of a venue's label.

    Raises:
        ConfigError: there are none, or only one of the two, or one with blanks in it.
    """
    key_name, secret_name = env_names(label)
    key, secret = os.environ.get(key_name), os.environ.get(secret_name)
    if key is None and secret is None:
        key, secret = _from_keyring(label)
    if not key or not secret:
        missing = key_name if not key else secret_name
        allowed = (
            f"keys in {key_name} and {secret_name}, or in the keyring as service {SERVICE}, "
            f"users {label}.key and {label}.secret"
        )
        raise ConfigError(missing, "nothing", allowed)
    for name, text in ((key_name, key), (secret_name, secret)):
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ConfigError(name, "<redacted>", "printable ASCII without blanks")
    return Keys(key, secret)


def has_keys(label: str) -> bool:
    """Tell whether anything of a label's keys is there; `load_keys` may still refuse it."""
    return any(name in os.environ for name in env_names(label)) or any(_from_keyring(label))


def _from_keyring(label: str) -> tuple[str | None, str | None]:
    """Ask the keyring, if the package and a keyring are there."""
    if importlib.util.find_spec("keyring") is None:
        return None, None
    keyring = importlib.import_module("keyring")
    try:
        return (
            keyring.get_password(SERVICE, f"{label}.key"),
            keyring.get_password(SERVICE, f"{label}.secret"),
        )
    except keyring.errors.NoKeyringError:
        return None, None
    except keyring.errors.KeyringError as error:
        raise ConfigError("keyring", type(error).__name__, "a keyring that can be opened") from None
