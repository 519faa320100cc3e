"""Strategies of other packages: found by name, made with params, refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openmm._fast.ports import Strategy
from openmm._fast.tape import Tape
from openmm.config import BotConfig, parse
from openmm.config.change import changeable, with_strategy
from openmm.engine.wiring import make_strategy
from openmm.errors import CommandError, ConfigError, ConfigErrors
from openmm.strategy import plugins
from openmm.strategy.fenced import FencedStrategy
from openmm.strategy.python import PythonStrategy
from openmm.testing import ask, market_view
from openmm.testing.workload import canonical_instrument
from tests.strategy.installed import install

PAIR = canonical_instrument()
SOURCE = """
from openmm import Quotes
from openmm.strategy.python import PythonStrategy
from openmm.testing.calls import ToldStrategy


class Around:
    def __init__(self, away_ticks: int, qty_lots: int = 1_000_000) -> None:
        self.away, self.qty = away_ticks, qty_lots
        if away_ticks < 1:
            raise LookupError("away_ticks must be positive")

    def quote(self, view):
        mid = view.reference_uticks // 1_000_000
        return Quotes([(mid - self.away, self.qty)], [(mid + self.away, self.qty)])


def compiled(instrument, away_ticks: int):
    return ToldStrategy([(600_000 - away_ticks, instrument.qty_lots_min)])


def of_the_pair(instrument, lots_of_minimum: int):
    return Around(10, instrument.qty_lots_min * lots_of_minimum)


def wrapped(instrument):
    return PythonStrategy(instrument, Around(10))


class Mute:
    pass


class Leaves:
    def __init__(self):
        raise SystemExit(0)

    def quote(self, view): ...


def makes_nothing(instrument):
    return 7


number = 8
"""
POINTS = {
    "around": "mine:Around", "compiled": "mine:compiled", "pair": "mine:of_the_pair",
    "class-in-c": "openmm.testing.calls:ToldStrategy", "wrapped": "mine:wrapped",
    "mute": "mine:Mute", "nothing": "mine:makes_nothing", "number": "mine:number",
    "gone": "mine:Gone", "missing": "not_there:Gone", "leaves": "mine:Leaves",
    "module-leaves": "leaves_at_once:Gone",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site", monkeypatch, POINTS, SOURCE)
    (tmp_path / "site" / "leaves_at_once.py").write_text("raise SystemExit(0)")


FILE: dict[str, Any] = {
    "bot": {"name": "plug", "mode": "paper"},
    "venue": [{"name": "kraken", "quote": "BTC/USD"}],
    "risk": {
        "max_order_size": "0.02", "max_open_notional": "20000", "max_inventory": "0.5",
        "max_drawdown": "5%",
    },
}  # fmt: skip


def file(name: str, **more: Any) -> BotConfig:
    return parse(FILE | {"strategy": {"kind": "plugin", "name": name, **more}})


def made(name: str, **params: Any) -> Strategy:
    tape = Tape(None, size_bytes=1 << 20, follow=False)
    return make_strategy(file(name, params=params), PAIR, tape)


def test_class_in_python_is_made_with_its_params_and_asked_in_python() -> None:
    strategy = made("around", away_ticks=20)
    assert isinstance(strategy, PythonStrategy)
    quoted = ask(strategy.quoter)
    assert (quoted.bids, quoted.asks) == ([(599_980, 1_000_000)], [(600_020, 1_000_000)])
    assert plugins.look_at("around") == plugins.Plugin("around", "mine:Around", "mine 1.2", False)


def test_params_change_what_is_quoted() -> None:
    strategy = made("around", away_ticks=50, qty_lots=2_000_000)
    assert isinstance(strategy, PythonStrategy)
    assert ask(strategy.quoter).bids == [(599_950, 2_000_000)]


def test_compiled_strategy_is_made_with_the_pair_and_stands_behind_the_fence() -> None:
    strategy = made("compiled", away_ticks=30)
    assert isinstance(strategy, FencedStrategy)
    assert ask(strategy.strategy).bids == [(599_970, PAIR.qty_lots_min)]
    assert plugins.look_at("compiled").compiled is None
    assert plugins.look_at("class-in-c").compiled is True


def test_function_may_make_one_in_python_of_the_pair() -> None:
    strategy = made("pair", lots_of_minimum=3)
    assert isinstance(strategy, PythonStrategy)
    assert ask(strategy.quoter).bids == [(599_990, 3 * PAIR.qty_lots_min)]


def test_answers_of_a_plug_in_in_python_go_on_the_tape() -> None:
    tape = Tape(None, size_bytes=1 << 20, follow=False)
    strategy = make_strategy(file("around", params={"away_ticks": 9}), PAIR, tape)
    assert isinstance(strategy, PythonStrategy)
    strategy.quote(market_view())
    assert [one[-1] for one in tape.records()] == [b"1 [[[599991,1000000]],[[600009,1000000]]]"]


@pytest.mark.parametrize(
    ("name", "params", "path", "text"),
    [
        ("mute", {}, "strategy.name", "method quote(view)"),
        ("number", {}, "strategy.name", "mine:number gives int"),
        ("nothing", {}, "strategy.name", "mine:makes_nothing gives int"),
        ("gone", {}, "strategy.name", "mine:Gone does not (AttributeError: "),
        ("missing", {}, "strategy.name", "does not (ModuleNotFoundError: No module named 'not_th"),
        # A script without its guard: `openmm check` must not end as if all were well.
        ("module-leaves", {}, "strategy.name", "leaves_at_once:Gone does not (SystemExit: 0)"),
        ("leaves", {}, "strategy.params", "made with (SystemExit: 0)"),
        ("wrapped", {}, "strategy.name", "not one in a wrapper of the engine's: PythonStrategy"),
        ("around", {}, "strategy.params", "missing a required argument: 'away_ticks'"),
        ("around", {"away": 3}, "strategy.params", "it takes away_ticks, qty_lots"),
        ("around", {"away_ticks": 0}, "strategy.params", "LookupError: away_ticks must be posit"),
        ("compiled", {}, "strategy.params", "it takes away_ticks"),
        ("class-in-c", {"colour": 1}, "strategy.params", "made with (TypeError: "),
    ],
)
def test_what_is_no_strategy_is_refused_in_one_sentence(
    name: str, params: dict[str, Any], path: str, text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        made(name, **params)
    assert caught.value.path == path
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("class_path", "params", "text"),
    [
        ("mine:Gone", {}, "can be made (AttributeError: "),
        ("not_there:Gone", {}, "can be made (ModuleNotFoundError: "),
        ("leaves_at_once:Gone", {}, "can be made (SystemExit: 0)"),
        (
            "mine:Around",
            {"away_ticks": 0},
            "can be made (LookupError: away_ticks must be positive)",
        ),
        ("mine:Around", {}, "can be made (TypeError: "),
        ("mine:Mute", {}, "a class with a method quote(view)"),
    ],
)
def test_class_by_its_path_is_refused_in_one_sentence(
    class_path: str, params: dict[str, Any], text: str
) -> None:
    strategy = {"kind": "python", "class": class_path, "params": params}
    told = parse(FILE | {"strategy": strategy})
    with pytest.raises(ConfigError) as caught:
        make_strategy(told, PAIR, Tape(None, size_bytes=1 << 20, follow=False))
    assert caught.value.path == "strategy.class"
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_class_by_its_path_is_made_with_its_params() -> None:
    quoter = plugins.by_path("mine:Around", {"away_ticks": 7})
    assert ask(quoter, PAIR).bids == [(599_993, 1_000_000)]


def test_name_that_is_not_installed_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigErrors) as caught:
        file("arround")
    (error,) = caught.value.errors
    assert error.path == "strategy.name"
    assert 'an installed strategy: "around", "class-in-c", "compiled"' in str(error)
    with pytest.raises(ConfigError, match="an installed strategy"):
        plugins.find("arround")


def test_name_of_two_packages_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "other", monkeypatch, {"around": "theirs:A"}, "class A: ...", "theirs")
    with pytest.raises(ConfigError, match=r"a name of one package; it is of mine 1.2, theirs 1.2"):
        plugins.make("around", {"away_ticks": 1}, PAIR)


def test_keys_that_every_strategy_has_change_while_it_runs_and_its_own_do_not() -> None:
    config = file("around", params={"away_ticks": 9}, tolerance="3 ticks")
    assert config.strategy.tolerance.to_ticks(1) == 3
    assert "strategy.requote_threshold" in changeable(config)
    assert not {"strategy.params", "strategy.name", "strategy.kind"} & {*changeable(config)}
    after = with_strategy(config, config, {"requote_threshold": "5 ticks"}, PAIR, None)
    assert after.strategy.requote_threshold.to_ticks(1) == 5
    with pytest.raises(CommandError, match="what they would change cannot be previewed"):
        with_strategy(config, config, {"params": "x"}, PAIR, None)
