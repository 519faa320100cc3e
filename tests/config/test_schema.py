"""The page of the configuration names every key, in its table, with the true default."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from openmm.config import parse
from openmm.config.schema import (
    Avellaneda,
    Bot,
    Engine,
    Glft,
    Grid,
    Journal,
    Paper,
    PluginStrategy,
    PythonStrategy,
    Risk,
    Section,
    Settlement,
    Signal,
    Venue,
    key_of,
)
from tests.config.test_config import BASE

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "configuration.md").read_text()
TABLES: dict[str, tuple[type[Section], ...]] = {
    "[bot]": (Bot,),
    "[[venue]]": (Venue,),
    "[strategy]": (Grid, Glft, Avellaneda, PythonStrategy, PluginStrategy),
    "[signal]": (Signal,),
    "[risk]": (Risk,),
    "[settlement]": (Settlement,),
    "[journal]": (Journal,),
    "[engine]": (Engine,),
    "[paper]": (Paper,),
}


def part(title: str) -> str:
    return PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def keys_of(title: str) -> set[str]:
    found: set[str] = set()
    for row in re.findall(r"^\| (`[^|]*`) \|", part(title), re.MULTILINE):
        found |= set(re.findall(r"`([\w.]+)`", row))
    return found


@pytest.mark.parametrize("title", TABLES)
def test_page_names_the_keys_of_a_table_and_no_others(title: str) -> None:
    wanted: set[str] = set()
    for model in TABLES[title]:
        for field in model.model_fields:
            if field == "endpoints":
                wanted |= {"endpoints.ws", "endpoints.ws_auth", "endpoints.rest"}
            else:
                wanted.add(key_of(field))
    assert keys_of(title) == wanted


@pytest.mark.parametrize("title", TABLES)
def test_page_marks_the_required_keys(title: str) -> None:
    marked = {
        key
        for keys in re.findall(r"^\| (`[^|]*`) \| required ", part(title), re.MULTILINE)
        for key in re.findall(r"`([\w.]+)`", keys)
    }
    required = {
        key_of(name)
        for model in TABLES[title]
        for name, field in model.model_fields.items()
        if field.default is PydanticUndefined and field.default_factory is None
    }
    assert marked == required


def test_example_of_the_page_loads() -> None:
    example = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    assert parse(tomllib.loads(example[1])).bot.name == "btc-grid"


def test_defaults_of_the_page_are_the_true_ones() -> None:
    """Write every quoted default of the tables into the example: nothing may change."""
    example = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    base = tomllib.loads(example[1])
    told = tomllib.loads(example[1])
    for title in TABLES:
        at = told.setdefault(title.strip("[]"), {})
        at = at[0] if isinstance(at, list) else at
        for keys, default in re.findall(
            r"^\| (`[^|]*`) \| ((?:`[^`|]*`(?:, )?)+) \|", part(title), re.MULTILINE
        ):
            names, values = re.findall(r"`([\w.]+)`", keys), re.findall(r"`([^`]*)`", default)
            for name, value in zip(names, values, strict=len(names) == len(values)):
                if title == "[strategy]" and name not in map(key_of, Grid.model_fields):
                    continue  # of another kind than the example's
                if re.fullmatch(r'"[^"]*"|\d+|true|false', value) and name not in at:
                    at[name] = tomllib.loads(f"x = {value}")["x"]
    assert told != base
    assert parse(told) == parse(base)


@pytest.mark.parametrize("strategy", ["grid", "python"])
def test_plain_values_are_those_that_pydantic_would_write(strategy: str) -> None:
    data: dict[str, Any] = copy.deepcopy(BASE)
    data["venue"][0]["options"] = {}
    data["venue"][1] |= {"name": "gateio", "options": {"deadline_ms": 100}}
    data["signal"] = {"depth_distance": "25 ticks", "vol_fast": "20s"}
    data["settlement"] = {"store": "sqlite:////tmp-of-nobody/store"}
    if strategy == "python":
        params = {"name": "text", "levels": 3, "both": True}
        data["strategy"] = {"kind": "python", "class": "mystrategies.grid:MyGrid", "params": params}
    config = parse(data)
    plain = config.plain()
    assert plain == config.model_dump(mode="json")
    assert list(plain["risk"]) == list(Risk.model_fields)
    assert json.loads(json.dumps(plain)) == plain
