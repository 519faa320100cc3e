"""The page of the configuration names every key, in its table, with the true default."""

from __future__ import annotations

import copy
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
    Hedge,
    Inventory,
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
    "[hedge]": (Hedge,),
    "[inventory]": (Inventory,),
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


def written_out(text: str, at: dict[str, Any], model: type[Section]) -> int:
    """Write the quoted defaults of some rows into a table that leaves them out; return how many."""
    count = 0
    known = {key_of(field) for field in model.model_fields}
    for keys, default in re.findall(
        r"^\| (`[^|]*`) \| ((?:`[^`|]*`(?:, )?)+) \|", text, re.MULTILINE
    ):
        names, values = re.findall(r"`([\w.]+)`", keys), re.findall(r"`([^`]*)`", default)
        for name, value in zip(names, values, strict=len(names) == len(values)):
            if (
                re.fullmatch(r'"[^"]*"|\d+|true|false', value)
                and name not in at
                and name.partition(".")[0] in known
            ):
                at[name] = tomllib.loads(f"x = {value}")["x"]
                count += 1
    return count


def example_of_the_page() -> dict[str, Any]:
    example = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    return tomllib.loads(example[1])


def test_defaults_of_the_page_are_the_true_ones() -> None:
    """Write every quoted default of the tables into the example: nothing may change."""
    hedge = {"venue": "gateio", "pair": "BTC/USD", "unhedged_max": "0.1", "slippage": "1%"}
    base = example_of_the_page() | {"hedge": hedge, "inventory": {"group": "btc"}}
    base["risk"]["max_group_inventory"] = "1"
    base["venue"] = [one for one in base["venue"] if one["name"] == "kraken"]
    told = copy.deepcopy(base)
    for title, models in TABLES.items():
        at = told.setdefault(title.strip("[]"), {})
        text = part(title).partition('`kind = "glft"` and')[0]
        written_out(text, at[0] if isinstance(at, list) else at, models[0])
    assert told != base
    assert parse(told) == parse(base)


@pytest.mark.parametrize(("kind", "model"), [("glft", Glft), ("avellaneda", Avellaneda)])
def test_defaults_of_the_models_are_the_true_ones(kind: str, model: type[Section]) -> None:
    rows = part("[strategy]").partition('`kind = "glft"` and')[2].partition('`kind = "python"`')[0]
    base = example_of_the_page()
    grid = base["strategy"]
    shared = ("order_amount", "num_orders", "rebalance_threshold")
    base["strategy"] = {"kind": kind, "gamma": "0.001"} | {key: grid[key] for key in shared}
    told = copy.deepcopy(base)
    assert written_out(rows, told["strategy"], model) > 5
    assert parse(told) == parse(base)
