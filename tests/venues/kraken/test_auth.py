"""Signatures and nonces."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from openmm.clock import ManualClock
from openmm.errors import ConfigError
from openmm.venues.kraken.auth import Key, Signer

PRIVATE = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="


def test_documented_vector_reproduces(shared: Path) -> None:
    vector = json.loads((shared / "venues/samples/kraken/rest_signing_vector.json").read_text())
    signer = Signer(vector["private_key"])
    body = vector["encoded_payload"].encode()
    for _ in range(2):  # the kept state is not used up
        signed = signer.sign(vector["uri_path"], int(vector["nonce"]), body)
        assert signed == vector["api_sign"]


def test_nonce_rises_when_the_clock_does_not() -> None:
    clock = ManualClock(1000)
    key = Key("api", PRIVATE, clock)
    assert [key.nonce(), key.nonce(), key.nonce()] == [1000, 1001, 1002]
    clock.advance(500)
    assert key.nonce() == 1500


def test_headers_carry_key_and_signature_of_the_bytes() -> None:
    key = Key("api", PRIVATE, ManualClock())
    headers = key.headers("/0/private/Balance", 5, b"nonce=5")
    assert headers == {
        "API-Key": "api",
        "API-Sign": Signer(PRIVATE).sign("/0/private/Balance", 5, b"nonce=5"),
    }


@pytest.mark.parametrize("text", ["", "not base64!", "ü"])
def test_bad_private_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Signer(text)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("text", ["", "a\nb", "ü"])
def test_bad_api_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Key(text, PRIVATE, ManualClock())
    assert not text or text not in str(caught.value)


def test_nothing_shows_a_secret() -> None:
    key = Key("api-key-text", PRIVATE, ManualClock())
    for shown in (repr(key), str(key), repr(key.signer)):
        assert "api-key-text" not in shown
        assert PRIVATE not in shown
