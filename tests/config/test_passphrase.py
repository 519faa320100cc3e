"""The vault's passphrase: a private file, a pipe, or the terminal; else it is said how."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openmm.config import passphrase
from openmm.config.passphrase import FD_VARIABLE, FILE_VARIABLE, stored_passphrase, vault_passphrase
from openmm.errors import VaultError


@pytest.fixture(autouse=True)
def nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FILE_VARIABLE, raising=False)
    monkeypatch.delenv(FD_VARIABLE, raising=False)
    monkeypatch.setattr(passphrase, "ring_entry", lambda user: None)
    monkeypatch.setattr(passphrase, "keep_to_itself", lambda: None)


def test_it_is_the_line_of_a_private_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pass"
    path.write_text("three words long\n")
    path.chmod(0o600)
    monkeypatch.setenv(FILE_VARIABLE, str(path))
    assert vault_passphrase() == "three words long"
    path.chmod(0o640)
    with pytest.raises(VaultError, match="open to others") as caught:
        vault_passphrase()
    assert caught.value.code == "vault_unsafe"
    path.unlink()
    with pytest.raises(VaultError, match="passphrase file") as caught:
        vault_passphrase()
    assert caught.value.code == "vault_passphrase"


def test_it_is_read_from_a_pipe_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"three words long")
    os.close(theirs)
    monkeypatch.setenv(FD_VARIABLE, str(ours))
    assert stored_passphrase() == "three words long"
    assert FD_VARIABLE not in os.environ
    assert stored_passphrase() is None
    monkeypatch.setenv(FD_VARIABLE, "nonsense")
    with pytest.raises(VaultError, match="no open descriptor"):
        stored_passphrase()


def test_it_is_in_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrase, "ring_entry", {"vault.passphrase": "from the ring"}.get)
    assert vault_passphrase() == "from the ring"


def test_without_a_terminal_it_is_said_where_to_put_it() -> None:
    with pytest.raises(VaultError, match=FILE_VARIABLE) as caught:
        vault_passphrase(ask=False)
    assert caught.value.code == "vault_passphrase"
