"""Find a venue's keys: the vault, then the environment, then the system's keyring. Never a file.

A process that holds keys leaves no core dump and is not readable by others of its user.
"""

from __future__ import annotations

import os
from pathlib import Path

from openmm.config.keys import Keys as Keys
from openmm.config.keys import check_text
from openmm.config.passphrase import vault_passphrase
from openmm.config.ring import SERVICE, ring_entry
from openmm.config.vault import read_labels, read_vault, vault_path
from openmm.errors import ConfigError
from openmm.undumped import keep_to_itself

# What was taken out of the vault, so that nobody is asked for the passphrase twice: by the file as
# it was, and label.
_TAKEN: dict[tuple[Path, int, int, str], Keys] = {}


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
        VaultError: the vault has them and cannot be opened.
    """
    keep_to_itself()
    if (found := _from_vault(label)) is not None:
        return found
    key_name, secret_name = env_names(label)
    pass_name = passphrase_name(label)
    key, secret = os.environ.get(key_name), os.environ.get(secret_name)
    passphrase = os.environ.get(pass_name)
    source = "environment"
    if key is None and secret is None:
        key, secret = _from_keyring(label)
        passphrase = passphrase or ring_entry(f"{label}.passphrase")
        source = "keyring"
    if not key or not secret:
        missing = key_name if not key else secret_name
        allowed = (
            f"keys in the vault (openmm vault add {label}), in {key_name} and {secret_name}, or in "
            f"the keyring as service {SERVICE}, users {label}.key and {label}.secret"
        )
        raise ConfigError(missing, "nothing", allowed)
    for name, text in ((key_name, key), (secret_name, secret), (pass_name, passphrase or "")):
        check_text(name, text)
    return Keys(key, secret, passphrase or "", source=source)


def has_keys(label: str) -> bool:
    """Tell whether anything of a label's keys is there; `load_keys` may still refuse it.

    Raises:
        VaultError: there is a vault, and not even its labels can be read.
    """
    path = vault_path()
    return (
        (path is not None and label in read_labels(path))
        or any(name in os.environ for name in env_names(label))
        or any(_from_keyring(label))
    )


def _from_vault(label: str) -> Keys | None:
    """Return a label's keys if the vault has them; asks for no passphrase unless it does."""
    path = vault_path()
    if path is None or label not in read_labels(path):
        return None
    info = path.stat()
    mark = (path.absolute(), info.st_ino, info.st_mtime_ns, label)
    if mark not in _TAKEN:
        _TAKEN[mark] = read_vault(path, vault_passphrase())[label]
    return _TAKEN[mark]


def _from_keyring(label: str) -> tuple[str | None, str | None]:
    """Ask the keyring for key and secret, if the package and a keyring are there."""
    return ring_entry(f"{label}.key"), ring_entry(f"{label}.secret")
