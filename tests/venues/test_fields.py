"""Members of a venue's JSON: what each reader takes, and whose name a refusal carries."""

from __future__ import annotations

from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest

from openmm.errors import ProtocolError
from openmm.venues.bitget import fields as bitget
from openmm.venues.gateio import fields as gateio
from openmm.venues.kraken import fields as kraken

ALL = [
    pytest.param(bitget, id="bitget"), pytest.param(gateio, id="gateio"),
    pytest.param(kraken, id="kraken"),
]  # fmt: skip


@pytest.mark.parametrize("fields", ALL)
@pytest.mark.parametrize(
    ("reader", "arguments"),
    [
        ("loads", (b"{",)), ("loads", (b"NaN",)), ("as_object", ([],)), ("as_list", ({},)),
        ("as_decimal", ("x",)), ("as_decimal", (True,)), ("as_decimal", ("Infinity",)),
        ("as_decimal", (None,)), ("as_int", (True,)), ("as_int", (Decimal(1),)),
        ("as_int", ("1.0",)), ("text_of", ({"a": 1}, "a")), ("decimal_of", ({"a": []}, "a")),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_the_venues_name(
    fields: ModuleType, reader: str, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(ProtocolError) as caught:
        getattr(fields, reader)(*arguments)
    assert caught.value.venue == fields.__name__.split(".")[-2]


@pytest.mark.parametrize("fields", ALL)
def test_what_fits_is_read_exactly(fields: ModuleType) -> None:
    body = fields.as_object(fields.loads(b'{"a":0.10,"b":"0.20","c":7,"d":null,"e":[],"f":"x"}'))
    assert str(fields.as_decimal(body["a"])) == "0.10"
    assert fields.decimal_of(body, "b") == Decimal("0.20")
    assert fields.as_int(body["c"]) == 7
    assert fields.decimal_of(body, "d") is None
    assert fields.decimal_of(body, "z") is None
    assert fields.as_list(body["e"]) == []
    assert (fields.text_of(body, "f"), fields.text_of(body, "z", "none")) == ("x", "none")


@pytest.mark.parametrize("fields", ALL[:2])
def test_some_write_integers_as_texts_and_absent_numbers_as_empty_ones(fields: ModuleType) -> None:
    assert fields.as_int("-12") == -12
    assert fields.decimal_of({"a": ""}, "a") is None


def test_kraken_does_neither() -> None:
    for call in (lambda: kraken.as_int("12"), lambda: kraken.decimal_of({"a": ""}, "a")):
        with pytest.raises(ProtocolError):
            call()
