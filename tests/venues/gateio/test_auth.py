"""Signatures: the sheet's vectors, and nothing of a key in any text."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmm.errors import ConfigError
from openmm.venues.gateio.auth import EMPTY_BODY_SHA512, Key
from tests.venues.gateio.samples import load

KEY = Key("key", "secret")


def test_every_published_vector_reproduces(shared: Path) -> None:
    vectors = {one["name"]: one for one in load(shared, "signing")["vectors"]}
    rest = vectors["official_get"]
    assert rest["body_sha512"] == EMPTY_BODY_SHA512
    assert (
        KEY.sign_request(rest["method"], rest["path"], rest["query"], b"", int(rest["timestamp"]))
        == rest["sign"]
    )
    stream = vectors["ws_subscribe_orders"]
    assert (
        KEY.sign_subscription(stream["channel"], stream["event"], stream["time"]) == stream["sign"]
    )
    login = vectors["ws_login_no_req_param"]
    assert KEY.sign_call(login["channel"], b"", int(login["timestamp"])) == login["sign"]


def test_a_documented_signature_of_another_secret_does_not_reproduce(shared: Path) -> None:
    [login] = [
        one["msg"]
        for one in load(shared, "official_ws_trading_api")["messages"]
        if one["name"] == "login_request"
    ]
    payload = login["payload"]
    made = Key(payload["api_key"], "secret").sign_call("spot.login", b"", login["time"])
    assert made != payload["signature"]


def test_headers_carry_what_was_signed() -> None:
    headers = KEY.headers("POST", "/api/v4/spot/orders", "", b'{"a":1}', 1700000000)
    assert headers["KEY"] == "key"
    assert headers["Timestamp"] == "1700000000"
    assert headers["SIGN"] == KEY.sign_request(
        "POST", "/api/v4/spot/orders", "", b'{"a":1}', 1700000000
    )
    assert headers["SIGN"] != KEY.sign_request("POST", "/api/v4/spot/orders", "", b"", 1700000000)


@pytest.mark.parametrize(("key", "secret"), [("", "s"), ("k", ""), ('k"', "s"), ("k y", "s")])
def test_an_unusable_key_is_refused_without_repeating_it(key: str, secret: str) -> None:
    with pytest.raises(ConfigError) as error:
        Key(key, secret)
    assert "redacted" in str(error.value)


def test_no_part_of_a_key_shows() -> None:
    assert "key" not in repr(KEY).lower().replace("key(<redacted>)", "")
    assert "secret" not in repr(KEY)
