"""What is varied: keys and values as the file has them, refused one by one."""

from __future__ import annotations

import random
import time
import tomllib
from decimal import Decimal
from typing import Any

import pytest

from openmm.config import parse
from openmm.errors import ConfigError, ConfigErrors
from openmm.sweep.space import (
    Choices,
    Range,
    check,
    drawn,
    grid,
    kinds_of,
    models_of,
    parted,
    read,
    with_point,
)
from tests.sweep.made import BOT

DATA: dict[str, Any] = tomllib.loads(BOT)
KINDS = kinds_of(DATA)


def test_every_value_reaches_the_configuration() -> None:
    point = (
        ("strategy.spread", "5bps"), ("strategy.num_orders", "2"), ("strategy.hanging", "true"),
        ("strategy.order_age_max", "2m"), ("risk.max_inventory", "0.25"),
        ("risk.max_orders", "40"), ("signal.flow", "20s"),
    )  # fmt: skip
    made, model = with_point(DATA, KINDS, point)
    config = parse(made)
    found: Any = config.strategy
    assert (found.spread_ppm, found.num_orders, found.hanging) == (500, 2, True)
    assert found.order_age_max_ns == 120_000_000_000
    assert (config.risk.max_inventory, config.risk.max_orders) == (Decimal("0.25"), 40)
    assert config.signal.flow_ns == 20_000_000_000
    assert model == {}
    assert tomllib.loads(BOT) == DATA, "the file's content was changed"


def test_values_of_the_model_are_told_apart() -> None:
    point = (("model.queue", "power"), ("model.orders", "5ms|20ms"), ("model.every", "100ms"))
    made, model = with_point(DATA, KINDS, point)
    assert made == DATA
    assert model == {"queue": "power", "orders_ns": [5_000_000, 20_000_000],
                     "every_ns": 100_000_000}  # fmt: skip


def test_parameters_of_a_strategy_of_the_users_own_keep_their_kind() -> None:
    own = {**DATA, "strategy": {"kind": "python", "class": "a:B",
                                "params": {"width": 3, "name": "x", "on": False}}}  # fmt: skip
    kinds = kinds_of(own)
    point = (("strategy.params.width", "7"), ("strategy.params.on", "true"))
    made, _ = with_point(own, kinds, point)
    assert made["strategy"]["params"] == {"width": 7, "name": "x", "on": True}


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("strategy.spred=1bps", "strategy.spred: did you mean \"strategy.spread\"?; got '1bps'"),
        ("bot.name=a", "bot.name: keys of [strategy], [risk], [signal], [inventory] and model.*"),
        ("strategy.kind=glft", "did you mean"),
        ("strategy.spread", "KEY=a,b,c or KEY=low..high"),
        ("strategy.spread=,", "one value or more"),
        ("strategy.spread=1bps..2%", "one unit for both ends"),
        ("strategy.spread=9bps..1bps", "from less to more"),
        ("strategy.spread=0bps..1bps:log", "and above 0"),
        ("strategy.spread=1bps..2bps:lin", 'a range such as "1bps..10bps"'),
        ("strategy.hanging=0..1", 'a range such as "1bps..10bps"'),
    ],
)
def test_what_is_no_search_is_refused(told: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(KINDS, told, ranges=True)
    assert message in str(caught.value)


def test_grid_takes_no_range() -> None:
    with pytest.raises(ConfigError, match="a grid takes no range"):
        read(KINDS, "strategy.spread=1bps..2bps", ranges=False)


def test_values_that_are_wrong_by_themselves_are_all_told_before_anything_runs() -> None:
    told = ["strategy.spread=1,2bps", "strategy.num_orders=2,99", "risk.max_inventory=0..1",
            "model.power=x", "strategy.spread=3bps"]  # fmt: skip
    with pytest.raises(ConfigErrors) as caught:
        check(DATA, KINDS, [read(KINDS, one, ranges=True) for one in told])
    lines = str(caught.value).splitlines()
    assert len(lines) == 5, lines
    for text in (
        "strategy.spread: each key once", "strategy.spread: a share with its unit",
        "strategy.num_orders: less than or equal to 32; got 99",
        "risk.max_inventory: more than zero; got '0'", "model.power: a whole number; got 'x'",
    ):  # fmt: skip
        assert any(text in line for line in lines), (text, lines)


@pytest.mark.parametrize(
    "told",
    ["power=9", "queue=nope", "orders=90s", "seed=" + "9" * 23, "seed=" + "9" * 19,
     "rate_threshold=0", "every=999999999h", "timer=1ns", "power=²", "power=３"],
)  # fmt: skip
def test_value_that_no_fill_model_takes_is_refused_before_anything_runs(told: str) -> None:
    key, _, value = f"model.{told}".partition("=")
    with pytest.raises(ConfigErrors) as caught:
        check(DATA, KINDS, [read(KINDS, f"model.{told}", ranges=False)])
    (error,) = caught.value.errors
    assert (error.path, error.value) == (key, value)


def test_values_that_only_do_not_fit_together_are_no_fault_of_the_plan() -> None:
    space = [read(KINDS, "strategy.order_amount=0.01,7", ranges=False)]
    check(DATA, KINDS, space)
    made, _ = with_point(DATA, KINDS, (("strategy.order_amount", "7"),))
    with pytest.raises(ConfigErrors, match="max_order_size"):
        parse(made)


def test_value_that_holds_commas_is_set_apart_by_semicolons() -> None:
    found = read(KINDS, "strategy.level_offsets=0bps,1bps;0bps,2bps", ranges=False)
    assert found == Choices("strategy.level_offsets", ("0bps,1bps", "0bps,2bps"))
    check(DATA, KINDS, [found])


@pytest.mark.parametrize(
    ("told", "values"),
    [
        ("strategy.spread=2bps,2.0bps,02.00 bps,0.02%,200ppm,2 ticks,20bps", "2bps 2 ticks 20bps"),
        ("risk.max_inventory=0.3,0.30,+0.3,3", "0.3 3"),
        ("strategy.num_orders=2,02,3", "2 3"),
        ("strategy.order_age_max=2m,120s,2min,120001ms", "2m 120001ms"),
        ("strategy.level_offsets=0bps,1bps;0.0bps,1.0bps;1bps,0bps", "0bps,1bps 1bps,0bps"),
        ("model.orders=5ms|20ms,5000us|20ms,20ms|5ms", "5ms|20ms 20ms|5ms"),
    ],
)
def test_equal_values_written_otherwise_are_one(told: str, values: str) -> None:
    found = read(KINDS, told, ranges=False)
    assert isinstance(found, Choices)
    assert " ".join(found.values) == values


def test_text_of_a_strategy_of_the_users_own_is_taken_by_the_letter() -> None:
    own = {**DATA, "strategy": {"kind": "python", "class": "a:B",
                                "params": {"width": 3, "name": "x"}}}  # fmt: skip
    for told, values in (("width=1,01,2", ("1", "2")), ("name=1.0,1.00", ("1.0", "1.00"))):
        found = read(kinds_of(own), f"strategy.params.{told}", ranges=False)
        assert isinstance(found, Choices)
        assert found.values == values


def test_grid_is_every_combination_the_last_key_fastest() -> None:
    space = [Choices("a", ("1", "2")), Choices("b", ("x", "y"))]
    assert [[value for _, value in one] for one in grid(space, 4)] == [
        ["1", "x"], ["1", "y"], ["2", "x"], ["2", "y"],
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="3 at most"):
        grid(space, 3)


def test_drawn_values_lie_in_their_range_and_can_be_told() -> None:
    told = ["strategy.spread=2bps..20bps:log", "strategy.num_orders=1..4",
            "risk.max_inventory=0.05..0.3", "signal.flow=10s..60s",
            "strategy.tolerance=1 ticks..9 ticks", "model.queue=careful,power"]  # fmt: skip
    space = [read(KINDS, one, ranges=True) for one in told]
    found = drawn(space, 300, 7)
    assert len(set(found)) == 300
    assert found == drawn(space, 300, 7)
    assert found != drawn(space, 300, 8)
    spreads = []
    for point in found:
        made, _ = with_point(DATA, KINDS, point)
        config: Any = parse(made)
        assert 200 <= config.strategy.spread_ppm <= 2000
        assert 1 <= config.strategy.num_orders <= 4
        spreads.append(config.strategy.spread_ppm)
    # Every magnitude as likely: the middle is at the root of the product of the ends.
    assert 500 < sorted(spreads)[150] < 800


def test_fewer_are_drawn_where_there_are_no_more() -> None:
    space = [Choices("a", ("1", "2")), Choices("b", ("x", "y"))]
    began_s = time.process_time()
    assert drawn(space, 1_000_000, 1) == grid(space, 4)
    assert time.process_time() - began_s < 1, "it is known how many there are"
    assert len(drawn(space, 3, 1)) == 3


@pytest.mark.parametrize(
    ("value", "text"), [(1.23456, "1.23bps"), (0.5, "1bps"), (99.0, "20bps"), (10.0, "10bps")]
)
def test_a_drawn_value_is_no_finer_than_it_may_be_told(value: float, text: str) -> None:
    made = Range("strategy.spread", Decimal(1), Decimal(20), "bps", 2, False)
    assert made.told(value) == text
    assert made.told(float(made.draw(random.Random(1)).removesuffix("bps"))).endswith("bps")


def test_every_combination_of_the_models_values_is_one_model() -> None:
    own = [Choices("strategy.num_orders", ("1", "2"))]
    space = [
        Choices("model.queue", ("careful", "log")), *own, Choices("model.orders", ("0", "20ms")),
    ]  # fmt: skip
    found, models = models_of(space)
    assert found == own
    assert models == [
        (("model.queue", queue), ("model.orders", delay))
        for queue in ("careful", "log")
        for delay in ("0", "20ms")
    ]
    assert models_of(own) == (own, [()])
    point = (("model.queue", "log"), ("strategy.num_orders", "1"), ("model.orders", "0"))
    assert parted(point) == (point[1:2], (point[0], point[2]))
    with pytest.raises(ConfigError, match="listed values"):
        models_of([Range("model.orders", Decimal(1), Decimal(9), "ms", 6, False)])
