"""Signatures: the published vector, the published mistake, and what no key shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmm.errors import ConfigError
from openmm.venues.mexc.auth import Key
from openmm.venues.mexc.rest import query_of
from tests.venues.mexc.samples import load

# Printed by the documentation's example 1 for the very message of example 2.
WRONG = "323c96ab"


def test_every_published_vector_reproduces(shared: Path) -> None:
    for vector in load(shared, "signing_vectors.json"):
        key = Key(vector["api_key"], vector["secret"])
        assert query_of(dict(vector["params"])) == vector["message"]
        made = key.sign(vector["message"].encode()).decode()
        assert made == vector["signature"]
        assert key.headers().items() >= vector["headers"].items()


def test_the_signature_documented_wrongly_does_not_reproduce(shared: Path) -> None:
    [vector] = load(shared, "signing_vectors.json")
    key = Key(vector["api_key"], vector["secret"])
    for text in (vector["message"], f"{vector['message']}\n", f"&{vector['message']}"):
        assert not key.sign(text.encode()).decode().startswith(WRONG)


def test_a_query_is_encoded_in_upper_case() -> None:
    assert query_of({"batchOrders": '[{"a":"b"},1]'}) == (
        "batchOrders=%5B%7B%22a%22%3A%22b%22%7D%2C1%5D"
    )


def test_no_part_of_a_key_is_shown() -> None:
    assert repr(Key("public", "hidden")) == "Key(<redacted>)"


@pytest.mark.parametrize(("public", "secret"), [("", "x"), ("a b", "x"), ("ключ", "x"), ("a", "")])
def test_a_key_that_is_none_is_refused(public: str, secret: str) -> None:
    with pytest.raises(ConfigError):
        Key(public, secret)
