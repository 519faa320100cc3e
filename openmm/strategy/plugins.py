"""Strategies that other packages bring along, found by entry point: docs/writing-a-strategy.md.

An entry point of the group `openmm.strategies` names one of

* a class with a method `quote(view)`: made with the file's `params`, asked in Python,
* a `cdef class` that fills in `openmm._fast.ports.Strategy`: made with the instrument and `params`,
  asked in C,
* a function of the instrument and `params` that returns either.

What is a plug-in's own never reaches a venue unchecked: `PythonStrategy` and `FencedStrategy`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, cast

from msgspec import Struct

from openmm._fast.ports import Strategy
from openmm.config.schema import STRATEGY_POINTS
from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.strategy.failure import plain
from openmm.strategy.fenced import FencedStrategy
from openmm.strategy.python import PythonStrategy
from openmm.strategy.quotes import Quoter

# Ours: a plug-in that came already wrapped would not be on the tape, or fenced twice.
WRAPPED: Final = (PythonStrategy, FencedStrategy)
# A module that leaves when it is imported would end `openmm check` in silence, and as a success.
FAILED: Final = (Exception, SystemExit)


class Plugin(Struct, frozen=True):
    """An installed strategy.

    Attributes:
        name: of the entry point.
        value: what it names, `package.module:object`.
        package: the distribution it comes with, and its version.
        compiled: asked in C; None: only known once it is made.
    """

    name: str
    value: str
    package: str
    compiled: bool | None


def find(name: str) -> EntryPoint:
    """Return the entry point of a name.

    Raises:
        ConfigError: none is installed, or two packages bring one.
    """
    points = entry_points(group=STRATEGY_POINTS)
    found = {(point.value, _package(point)): point for point in points if point.name == name}
    if not found:
        known = ", ".join(f'"{one}"' for one in sorted({point.name for point in points}))
        raise ConfigError(
            "strategy.name", name,
            f"an installed strategy: {known}" if known else "an installed strategy: there is none",
        )  # fmt: skip
    if len(found) > 1:
        who = ", ".join(sorted(package for _, package in found))
        raise ConfigError("strategy.name", name, f"a name of one package; it is of {who}")
    return next(iter(found.values()))


def look_at(name: str) -> Plugin:
    """Load a plug-in without making a strategy of it.

    Raises:
        ConfigError: it is not installed, does not load, or is no strategy.
    """
    point = find(name)
    made_of = _load(point)
    compiled: bool | None = None
    if isinstance(made_of, type):
        compiled = issubclass(made_of, Strategy)
    return Plugin(name, point.value, _package(point), compiled)


def make(name: str, params: Mapping[str, Any], instrument: Instrument | None) -> Strategy | Quoter:
    """Make a plug-in's strategy, or what answers `quote(view)`; neither is wrapped yet.

    Args:
        instrument: of the traded pair; a class with `quote(view)` is made without it.

    Raises:
        ConfigError: it is not installed, does not load, is no strategy, or refuses the params.
    """
    point = find(name)
    made_of = _load(point)
    needs_instrument = not isinstance(made_of, type) or issubclass(made_of, Strategy)
    args = (instrument,) if needs_instrument else ()
    _check_params(made_of, args, params)
    try:
        made = made_of(*args, **params)
    except FAILED as error:
        # The user's code: whatever it raises, the bot does not start, and is told why.
        told = plain(f"{type(error).__name__}: {error}")
        raise ConfigError(
            "strategy.params", dict(params), f"what {point.value} can be made with ({told})"
        ) from error
    if isinstance(made, WRAPPED):
        raise ConfigError(
            "strategy.name", name,
            f"a strategy, not one in a wrapper of the engine's: {type(made).__name__}",
        )  # fmt: skip
    if not isinstance(made, Strategy) and not callable(getattr(made, "quote", None)):
        raise _no_strategy(point, type(made))
    return cast("Strategy | Quoter", made)


def by_path(class_path: str, params: Mapping[str, Any]) -> Quoter:
    """Make what answers `quote(view)` of a class on the import path, `module:Class`.

    Raises:
        ConfigError: it does not load, refuses the params, or has no such method.
    """
    module, _, name = class_path.partition(":")
    try:
        made = getattr(importlib.import_module(module), name)(**params)
    except FAILED as error:
        told = plain(f"{type(error).__name__}: {error}")
        raise ConfigError(
            "strategy.class", class_path, f"a class that can be made ({told})"
        ) from error
    if not callable(getattr(made, "quote", None)):
        raise ConfigError("strategy.class", class_path, "a class with a method quote(view)")
    return cast("Quoter", made)


def _load(point: EntryPoint) -> Callable[..., object]:
    try:
        made_of = point.load()
    except FAILED as error:
        # As above: importing runs the user's code.
        told = plain(f"{type(error).__name__}: {error}")
        raise ConfigError(
            "strategy.name", point.name, f"a strategy that loads; {point.value} does not ({told})"
        ) from error
    if isinstance(made_of, type):
        if not issubclass(made_of, Strategy) and not callable(getattr(made_of, "quote", None)):
            raise _no_strategy(point, made_of)
    elif not callable(made_of):
        raise _no_strategy(point, type(made_of))
    return cast("Callable[..., object]", made_of)


def _no_strategy(point: EntryPoint, kind: type) -> ConfigError:
    return ConfigError(
        "strategy.name", point.name,
        "a class with a method quote(view), a cdef class of openmm._fast.ports.Strategy, or a "
        f"function that makes one; {point.value} gives {kind.__name__}",
    )  # fmt: skip


def _check_params(
    made_of: Callable[..., object], args: tuple[object, ...], params: Mapping[str, Any]
) -> None:
    """Name the parameters that are not its own, or missing, where it tells which it takes."""
    try:
        signature = inspect.signature(made_of)
    except (TypeError, ValueError):
        return  # a cdef class does not tell: its constructor refuses
    try:
        signature.bind(*args, **params)
    except TypeError as error:
        takes = list(signature.parameters)[len(args) :]
        known = f"it takes {', '.join(takes)}" if takes else "it takes none"
        raise ConfigError("strategy.params", dict(params), f"its own: {error}; {known}") from None


def _package(point: EntryPoint) -> str:
    """Return the distribution of an entry point and its version."""
    dist = point.dist
    return "" if dist is None else f"{dist.name} {dist.version}"
