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
    """A key, its secret and, where the venue has one, its passphrase; none shows in a log."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(default="", repr=False)

    def __repr__(self) -> str:
        """Tell that keys are there, not which."""
        return "Keys(key=<redacted>, secret=<redacted>)"


def env_names(label: str) -> tuple[str, str]:
    """Return the environment variables of a venue's label: OPENMM_KRAKEN_KEY, …_SECRET."""
    stem = "OPENMM_" + label.upper().replace("-", "_")
    return f"{stem}_KEY", f"{stem}_SECRET"


def passphrase_name(label: str) -> str:
    """Return the environment variable of a label's passphrase: OPENMM_BITGET_PASSPHRASE."""
    return env_names(label)[0].removesuffix("_KEY") + "_PASSPHRASE"


def load_keys(label: str) -> Keys:
    """Return the keys of a venue's label; the passphrase is empty where none is set.

    Raises:
        ConfigError: there are none, or only one of the two, or one with blanks in it.
    """
    key_name, secret_name = env_names(label)
    pass_name = passphrase_name(label)
    key, secret = os.environ.get(key_name), os.environ.get(secret_name)
    passphrase = os.environ.get(pass_name)
    if key is None and secret is None:
        key, secret = _from_keyring(label)
        passphrase = passphrase or _passphrase_from_keyring(label)
    if not key or not secret:
        missing = key_name if not key else secret_name
        allowed = (
            f"keys in {key_name} and {secret_name}, or in the keyring as service {SERVICE}, "
            f"users {label}.key and {label}.secret"
        )
        raise ConfigError(missing, "nothing", allowed)
    texts = ((key_name, key), (secret_name, secret), (pass_name, passphrase or ""))
    for name, text in texts:
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ConfigError(name, "<redacted>", "printable ASCII without blanks")
    return Keys(key, secret, passphrase or "")


def has_keys(label: str) -> bool:
    """Tell whether anything of a label's keys is there; `load_keys` may still refuse it."""
    return any(name in os.environ for name in env_names(label)) or any(_from_keyring(label))


def _from_keyring(label: str) -> tuple[str | None, str | None]:
    """Ask the keyring for key and secret, if the package and a keyring are there."""
    return _keyring_entry(f"{label}.key"), _keyring_entry(f"{label}.secret")


def _passphrase_from_keyring(label: str) -> str | None:
    return _keyring_entry(f"{label}.passphrase")


def _keyring_entry(user: str) -> str | None:
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
