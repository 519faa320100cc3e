"""The vault: sealed, private, bounded; each thing that can be wrong with it is one clear error."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm.config import vault
from openmm.config.keys import Keys
from openmm.config.vault import (
    Costs,
    change_passphrase,
    create_vault,
    labels_of,
    put_keys,
    read_labels,
    read_vault,
    remove_keys,
    seal,
    unseal,
)
from openmm.errors import ConfigError, VaultError

CHEAP = Costs(n=1 << 14)
PASS = "correct horse battery"
KEYS = Keys("the-key", "the-secret", "the-words")
SALT, NONCE = b"s" * 16, b"n" * 12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "openmm" / "vault.json"
    create_vault(path, PASS, CHEAP)
    return path


def code_of(run: Callable[[], object]) -> str:
    with pytest.raises(VaultError) as caught:
        run()
    for secret in (PASS, "the-key", "the-secret", "the-words"):
        assert secret not in str(caught.value)
    return caught.value.code


def test_keys_come_back_as_they_were_put_in(path: Path) -> None:
    put_keys(path, PASS, "kraken", KEYS)
    put_keys(path, PASS, "gateio-b", Keys("k", "s"))
    assert read_vault(path, PASS) == {"kraken": KEYS, "gateio-b": Keys("k", "s")}
    assert read_vault(path, PASS)["kraken"].source == "vault"
    assert read_labels(path) == ("gateio-b", "kraken")


def test_file_is_private_and_holds_nothing_in_plain(path: Path) -> None:
    put_keys(path, PASS, "kraken", KEYS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    raw = path.read_bytes()
    for secret in (KEYS.key, KEYS.secret, KEYS.passphrase, PASS):
        assert secret.encode() not in raw
        assert base64.b64encode(secret.encode()) not in raw
    assert sorted(p.name for p in path.parent.iterdir()) == [".vault.json.lock", "vault.json"]


def test_salt_and_nonce_are_new_at_every_write(path: Path) -> None:
    seen = set()
    for label in ("a", "b", "c"):
        put_keys(path, PASS, label, KEYS)
        body = json.loads(path.read_bytes())
        seen |= {body["salt"], body["nonce"]}
    assert len(seen) == 6


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o777])
def test_file_open_to_others_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    assert code_of(lambda: read_vault(path, PASS)) == "vault_unsafe"
    assert code_of(lambda: read_labels(path)) == "vault_unsafe"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_file_of_another_user_is_refused(path: Path) -> None:
    os.chown(path, 65_534, -1)
    assert code_of(lambda: read_vault(path, PASS)) == "vault_unsafe"


def test_link_pipe_and_folder_in_its_place_are_refused(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path)
    assert code_of(lambda: read_vault(link, PASS)) == "no_vault"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    assert code_of(lambda: read_vault(pipe, PASS)) == "vault_unsafe"
    assert code_of(lambda: read_vault(tmp_path, PASS)) == "vault_unsafe"
    assert code_of(lambda: read_vault(tmp_path / "none", PASS)) == "no_vault"
    assert read_labels(tmp_path / "none") == ()


def test_wrong_passphrase_is_told_apart_from_a_changed_file(path: Path) -> None:
    put_keys(path, PASS, "kraken", KEYS)
    assert code_of(lambda: read_vault(path, "another one")) == "vault_passphrase"
    body = json.loads(path.read_bytes())
    sealed = bytearray(base64.b64decode(body["sealed"]))
    sealed[3] ^= 1
    body["sealed"] = base64.b64encode(sealed).decode()
    path.write_text(json.dumps(body))
    assert code_of(lambda: read_vault(path, PASS)) == "vault_damaged"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"version": 2}, "vault_version"),
        ({"version": 0}, "vault_version"),
        ({"format": "other"}, "vault_damaged"),
        ({"labels": []}, "vault_damaged"),
        ({"labels": ["kraken", "more"]}, "vault_damaged"),
        ({"nonce": "00" * 12}, "vault_damaged"),
        ({"nonce": "00"}, "vault_damaged"),
        ({"salt": "zz"}, "vault_damaged"),
        ({"salt": "00" * 16}, "vault_passphrase"),
        ({"n": 1 << 15}, "vault_passphrase"),
        ({"n": 1 << 30}, "vault_damaged"),
        ({"n": 1 << 10}, "vault_damaged"),
        ({"n": (1 << 14) + 1}, "vault_damaged"),
        ({"r": 1 << 20}, "vault_damaged"),
        ({"n": 1 << 20, "r": 32}, "vault_damaged"),
        ({"p": 0}, "vault_damaged"),
        ({"n": "many"}, "vault_damaged"),
        ({"sealed": "!"}, "vault_damaged"),
        ({"sealed": ""}, "vault_damaged"),
        ({"more": 1}, "vault_damaged"),
    ],
)
def test_each_change_of_the_file_is_refused(change: dict[str, Any], code: str) -> None:
    body = json.loads(seal({"kraken": KEYS}, PASS, SALT, NONCE, CHEAP)) | change
    assert code_of(lambda: unseal(json.dumps(body).encode(), PASS)) == code


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_one_error(data: bytes) -> None:
    for read in (lambda: unseal(data, PASS), lambda: labels_of(data)):
        assert code_of(read) in ("vault_damaged", "vault_version")


def test_file_that_is_too_large_is_not_read(path: Path) -> None:
    path.write_bytes(b" " * (vault.FILE_BYTES_MAX + 1))
    assert code_of(lambda: read_vault(path, PASS)) == "vault_damaged"


def test_second_vault_and_second_key_of_a_label_are_refused(path: Path) -> None:
    assert code_of(lambda: create_vault(path, PASS)) == "vault_exists"
    put_keys(path, PASS, "kraken", KEYS)
    assert code_of(lambda: put_keys(path, PASS, "kraken", Keys("x", "y"))) == "vault_exists"
    put_keys(path, PASS, "kraken", Keys("x", "y"), replace=True)
    assert read_vault(path, PASS) == {"kraken": Keys("x", "y")}


def test_what_can_be_no_key_is_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="printable ASCII") as caught:
        put_keys(path, PASS, "kraken", Keys("a b", "the-secret"))
    assert "a b" not in str(caught.value)
    assert code_of(lambda: put_keys(path, PASS, "kraken", Keys("", "s"))) == "vault"
    assert code_of(lambda: put_keys(path, PASS, "Kraken!", KEYS)) == "vault"
    assert read_labels(path) == ()


def test_removed_keys_are_gone(path: Path) -> None:
    put_keys(path, PASS, "kraken", KEYS)
    remove_keys(path, PASS, "kraken")
    assert read_vault(path, PASS) == {}
    assert code_of(lambda: remove_keys(path, PASS, "kraken")) == "no_keys"


def test_after_a_rotation_only_the_new_passphrase_opens(path: Path) -> None:
    put_keys(path, PASS, "kraken", KEYS)
    assert code_of(lambda: change_passphrase(path, PASS, "short", CHEAP)) == "vault_passphrase"
    assert read_vault(path, PASS) == {"kraken": KEYS}
    change_passphrase(path, PASS, "a fresh passphrase", CHEAP)
    assert code_of(lambda: read_vault(path, PASS)) == "vault_passphrase"
    assert read_vault(path, "a fresh passphrase") == {"kraken": KEYS}


def test_passphrase_reads_alike_however_it_was_typed(tmp_path: Path) -> None:
    data = seal({}, "cafe\N{COMBINING ACUTE ACCENT} noir", SALT, NONCE, CHEAP)
    assert unseal(data, "caf\N{LATIN SMALL LETTER E WITH ACUTE} noir") == {}


def test_write_that_fails_leaves_the_old_vault(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert code_of(lambda: put_keys(path, PASS, "kraken", KEYS)) == "vault"
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == [".vault.json.lock", "vault.json"]


def test_usual_costs_are_not_cheap() -> None:
    assert vault.USUAL.n * vault.USUAL.r >= 1 << 20
