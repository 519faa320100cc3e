"""A model's file: written, read, and refused where it says what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from openmm.backtest.model import Model, load
from openmm.errors import ConfigError


def test_a_saved_model_is_the_one_that_is_loaded(tmp_path: Path) -> None:
    told = Model(queue="power", power=2, orders_ns=(1, 2), seed=7, impact_ns=5, rate_threshold=180)
    told = replace(told, seed=0, orders_from_ns=(3, 3))
    path = tmp_path / "model.json"
    told.save(path)
    assert load(path) == told
    assert told.to_json()["queue"] == "power"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"queue": "hopeful"}', "careful, power, log: hopeful"),
        ('{"power": 9}', "<= 8"),
        ('{"orders_ns": []}', "length >= 1"),
        ('{"answers_ns": [-1]}', ">= 0"),
        ('{"latency": 3}', "latency"),
        ('{"every_ns": 1}', "every_ns must be 0, or 10000 to"),
        ('{"timer_ns": 9999}', "timer_ns must be 0, or 10000 to"),
        ('{"rate_threshold": 9223372036854775807}', "<= 1000000"),
        ("[", "got `array`"),
    ],
)
def test_what_no_model_can_be_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(b'{"queue": "\xff"}')
    with pytest.raises(ConfigError, match="a model file"):
        load(path)


def test_a_missing_file_is_told_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json"):
        load(tmp_path / "none.json")


@pytest.mark.parametrize(
    "told",
    [
        {"answers_ns": (1 << 62, 1)}, {"orders_ns": (-1,)}, {"orders_ns": ()},
        {"every_ns": 1 << 62}, {"timer_ns": -1}, {"orders_from_ns": (1, 2)},
        {"answers_from_ns": (2, 1), "answers_ns": (3, 4)}, {"orders_from_ns": (1,), "seed": 1},
        {"answers_from_ns": (-1,)},
    ],
)  # fmt: skip
def test_one_that_is_made_is_checked_too(told: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(told))):
        Model(**told)
