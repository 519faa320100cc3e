"""Signatures: every vector reproduces, the one that is documented wrongly does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmm.errors import ConfigError
from openmm.venues.bitget.auth import Key
from tests.venues.bitget.samples import cases, load

SECRET = "22582BD0CFF14C41EDBF1AB98506286D"


def key(secret: str = SECRET) -> Key:
    return Key("bg_key", secret, "pass")


def test_every_vector_reproduces(shared: Path) -> None:
    vectors = load(shared, "signing_vectors")["cases"]
    assert len(vectors) == 5
    for case in vectors:
        made = key(case["secret"])
        assert made.sign(case["prehash"].encode()) == case["signature_base64"], case["name"]
        if "path" in case:
            signed = made.sign_request(
                case["method"], case["path"], case.get("query", ""), case["body"].encode(),
                int(case["timestamp"]),
            )  # fmt: skip
            assert signed == case["signature_base64"], case["name"]


def test_login_vector_reproduces_and_the_printed_one_does_not(shared: Path) -> None:
    printed = cases(shared)[
        "ws_public_and_session_docs:login request (illustrative sign, not reproducible)"
    ]["message"]["args"][0]
    signed = key().sign_login(int(printed["timestamp"]))
    assert signed == "/4S0C3L8mGdm8894ulf8wfnQ6dqMXO8Iw95zlvMN8Zw="
    assert signed != printed["sign"]


def test_a_signature_leaves_the_kept_state_alone() -> None:
    made = key()
    assert made.sign(b"one") == key().sign(b"one")
    assert made.sign(b"two") == key().sign(b"two")
    assert made.sign(b"one") == key().sign(b"one")


def test_a_symbol_is_signed_as_text_and_not_as_sent() -> None:
    made = key()
    asked = made.sign_request("GET", "/api/v2/x", "symbol=$ALTUSDT", b"", 1)
    assert asked == made.sign(b"1GET/api/v2/x?symbol=$ALTUSDT")
    assert asked != made.sign_request("GET", "/api/v2/x", "symbol=%24ALTUSDT", b"", 1)


def test_headers_carry_the_four_that_the_venue_asks_for() -> None:
    headers = key().headers("POST", "/api/v2/spot/trade/place-order", "", b"{}", 1659076670000)
    assert headers["ACCESS-KEY"] == "bg_key"
    assert headers["ACCESS-PASSPHRASE"] == "pass"
    assert headers["ACCESS-TIMESTAMP"] == "1659076670000"
    assert len(headers["ACCESS-SIGN"]) == 44


@pytest.mark.parametrize(
    "parts", [("", SECRET, "p"), ("k", "", "p"), ("k", SECRET, ""), ('k"', SECRET, "p")]
)
def test_a_key_that_is_not_whole_is_refused_and_not_shown(parts: tuple[str, str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Key(*parts)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(key())
