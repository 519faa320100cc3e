"""Keys come from the environment or the keyring, and never show."""

from __future__ import annotations

import importlib
import sys
from types import SimpleNamespace

import pytest

from openmm.config.secrets import Keys, env_names, has_keys, load_keys
from openmm.errors import ConfigError


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """Stand in for the system's keyring."""
    stored: dict[tuple[str, str], str] = {}
    errors = SimpleNamespace(
        KeyringError=type("KeyringError", (Exception,), {}),
        NoKeyringError=type("NoKeyringError", (Exception,), {}),
    )
    stand_in = SimpleNamespace(
        get_password=lambda service, user: stored.get((service, user)), errors=errors
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "keyring", stand_in)
    for name in env_names("kraken-b"):
        monkeypatch.delenv(name, raising=False)
    return stored


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENMM_KRAKEN_B_KEY", "abc")
    monkeypatch.setenv("OPENMM_KRAKEN_B_SECRET", "c2VjcmV0")
    assert load_keys("kraken-b") == Keys("abc", "c2VjcmV0")


def test_keys_come_from_the_keyring(no_keyring: dict[tuple[str, str], str]) -> None:
    no_keyring["openmm", "kraken-b.key"] = "abc"
    no_keyring["openmm", "kraken-b.secret"] = "def"
    assert load_keys("kraken-b") == Keys("abc", "def")
    assert has_keys("kraken-b")


def test_keys_that_are_nowhere_are_told_with_where_to_put_them() -> None:
    assert not has_keys("kraken-b")
    with pytest.raises(ConfigError, match="OPENMM_KRAKEN_B_KEY and OPENMM_KRAKEN_B_SECRET"):
        load_keys("kraken-b")


def test_half_a_pair_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENMM_KRAKEN_B_KEY", "abc")
    with pytest.raises(ConfigError) as caught:
        load_keys("kraken-b")
    assert has_keys("kraken-b")
    assert caught.value.path == "OPENMM_KRAKEN_B_SECRET"


def test_key_with_a_line_end_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENMM_KRAKEN_B_KEY", "abc\n")
    monkeypatch.setenv("OPENMM_KRAKEN_B_SECRET", "def")
    with pytest.raises(ConfigError, match="printable ASCII") as caught:
        load_keys("kraken-b")
    assert "abc" not in str(caught.value)


def test_keys_never_show() -> None:
    keys = Keys("abcdef", "ghijkl")
    assert "abcdef" not in f"{keys!r} {keys}"
    assert "ghijkl" not in f"{keys!r} {keys}"
