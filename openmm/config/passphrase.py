"""Where the vault's passphrase comes from: a file, a pipe, the keyring, or the terminal."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

from openmm.config.private import read_private
from openmm.config.ring import ring_entry
from openmm.errors import VaultError
from openmm.undumped import keep_to_itself

FILE_VARIABLE = "OPENMM_VAULT_PASSPHRASE_FILE"
# A descriptor that a supervisor hands to the bots it starts; read once, to its end.
FD_VARIABLE = "OPENMM_VAULT_PASSPHRASE_FD"
RING_USER = "vault.passphrase"
BYTES_MAX = 4096


def vault_passphrase(*, ask: bool = True) -> str:
    """Return the passphrase, from the first place that has one.

    Raises:
        VaultError: no place has one, and nobody is at a terminal (or `ask` is not set).
    """
    keep_to_itself()
    if (told := stored_passphrase()) is not None:
        return told
    if ask and sys.stdin.isatty():
        return getpass.getpass("Passphrase of the vault: ")
    raise VaultError(
        f"the vault's passphrase is not known: name a private file in {FILE_VARIABLE}, keep it in "
        f"the keyring (service openmm, user {RING_USER}), or start at a terminal",
        code="vault_passphrase",
    )


def stored_passphrase() -> str | None:
    """Return the passphrase that was left for us; None: it has to be asked for.

    Raises:
        VaultError: the file is open to others or cannot be read, or the pipe is gone.
    """
    if name := os.environ.get(FILE_VARIABLE):
        path = Path(name).expanduser()
        what = "the passphrase file"
        return _text(read_private(path, what, BYTES_MAX, absent="vault_passphrase"))
    if (number := os.environ.pop(FD_VARIABLE, None)) is not None:
        try:
            with os.fdopen(int(number), "rb") as pipe:
                return _text(pipe.read(BYTES_MAX))
        except (OSError, ValueError):
            raise VaultError(
                f"{FD_VARIABLE} names no open descriptor: {number}", code="vault_passphrase"
            ) from None
    return ring_entry(RING_USER)


def _text(raw: bytes) -> str:
    """Read one line; the line's end is not part of it."""
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise VaultError("the passphrase is no text", code="vault_passphrase") from None
