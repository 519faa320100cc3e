"""What a sweep varies: keys of the bot's file and of the fill model, listed values or ranges."""

from __future__ import annotations

import difflib
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice, product
from types import NoneType
from typing import Any, Final, TypeAlias, final, get_args

import msgspec

from openmm.backtest.model import Model
from openmm.config import field_errors
from openmm.config.schema import (
    Avellaneda,
    Glft,
    Grid,
    Inventory,
    PluginStrategy,
    PythonStrategy,
    Risk,
    Section,
    Signal,
    key_of,
)
from openmm.config.values import parse_duration_ns
from openmm.errors import ConfigError, ConfigErrors

TABLES: Final = ("strategy", "risk", "signal", "inventory")
STRATEGIES: Final[Mapping[str, type[Section]]] = {
    "grid": Grid, "glft": Glft, "avellaneda": Avellaneda, "python": PythonStrategy,
    "plugin": PluginStrategy,
}  # fmt: skip
FIXED: Final = ("kind", "class", "name", "params")  # what a strategy is
# Of `backtest.model.Model`: how each is written.
MODEL_KEYS: Final[Mapping[str, str]] = {
    "queue": "text", "power": "whole", "seed": "whole", "orders": "delays", "answers": "delays",
    "every": "delay", "timer": "delay", "impact": "delay", "rate_threshold": "whole",
}  # fmt: skip
MODEL: Final = "model."  # before its keys
MODELS_MAX: Final = 1_000
DIGITS: Final = 6  # significant ones of a drawn value
NUMBER: Final = re.compile(r"([+-]?\d{1,15}(?:\.\d{1,15})?)\s*(%|[A-Za-z]*)")
# Finest decimals that a unit is told in: one ppm, one nanosecond, one tick.
_PLACES: Final[Mapping[str, int]] = {
    "%": 4, "bps": 2, "bp": 2, "ppm": 0, "ns": 0, "us": 3, "ms": 6, "s": 9, "ticks": 0, "tick": 0,
}  # fmt: skip

# Units that measure one thing, and how many of its smallest each is.
_SCALES: Final[Mapping[str, tuple[str, int]]] = {
    "": ("", 1), "ppm": ("ppm", 1), "bp": ("ppm", 100), "bps": ("ppm", 100), "%": ("ppm", 10_000),
    "ns": ("ns", 1), "us": ("ns", 10**3), "ms": ("ns", 10**6), "s": ("ns", 10**9),
    "m": ("ns", 60 * 10**9), "min": ("ns", 60 * 10**9), "h": ("ns", 3600 * 10**9),
    "d": ("ns", 86_400 * 10**9), "tick": ("ticks", 1), "ticks": ("ticks", 1),
}  # fmt: skip

Point: TypeAlias = tuple[tuple[str, str], ...]  # keys and values as the file has them, in order


@final
@dataclass(frozen=True, slots=True)
class Choices:
    """A key and the values it takes."""

    key: str
    values: tuple[str, ...]

    def draw(self, chance: random.Random) -> str:
        """Return one of them, each as likely."""
        return self.values[chance.randrange(len(self.values))]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"key": self.key, "values": list(self.values)}


@final
@dataclass(frozen=True, slots=True)
class Range:
    """A key and the range its value is drawn from: `low` to `high`, both in `unit`.

    Args:
        places: decimals of a value that is drawn.
        log: every magnitude is as likely, not every value.
    """

    key: str
    low: Decimal
    high: Decimal
    unit: str
    places: int
    log: bool

    def draw(self, chance: random.Random) -> str:
        """Return one value, as the file would have it."""
        share = chance.random()
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return self.told(math.exp(low + share * (high - low)))
        return self.told(float(self.low) + share * float(self.high - self.low))

    def told(self, value: float) -> str:
        """Write a value with its unit, within the range and no finer than it may be told."""
        exact = min(max(Decimal(repr(value)), self.low), self.high)
        digits = DIGITS - 1 - exact.adjusted() if exact else self.places
        step = Decimal(1).scaleb(-max(0, min(self.places, digits)))
        text = format(exact.quantize(step), "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return f"{text} {self.unit}" if self.unit.startswith("tick") else f"{text}{self.unit}"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "key": self.key, "low": self.told(float(self.low)), "high": self.told(float(self.high)),
            "log": self.log,
        }  # fmt: skip


Dimension: TypeAlias = Choices | Range


def kinds_of(data: Mapping[str, Any]) -> dict[str, str]:
    """Return every key that can be varied of a bot's file, and how its values are written.

    Args:
        data: the file's content, valid.

    Returns:
        By dotted path: `text`, `whole` (a number), `switch` (true or false), `delay`, `delays`.
    """
    models: dict[str, type[Section]] = {
        "strategy": STRATEGIES[data["strategy"]["kind"]], "risk": Risk, "signal": Signal,
        "inventory": Inventory,
    }  # fmt: skip
    found: dict[str, str] = {}
    for table, model in models.items():
        for name, field in model.model_fields.items():
            key = key_of(name)
            if table == "strategy" and name in FIXED:
                continue
            if field.annotation is bool:
                found[f"{table}.{key}"] = "switch"
            elif key == name and _is_whole(field.annotation):
                found[f"{table}.{key}"] = "whole"
            else:
                found[f"{table}.{key}"] = "text"
    for name, value in dict(data["strategy"].get("params", {})).items():
        switch, whole = isinstance(value, bool), isinstance(value, int)
        found[f"strategy.params.{name}"] = "switch" if switch else "whole" if whole else "text"
    found |= {f"model.{name}": kind for name, kind in MODEL_KEYS.items()}
    return found


def _is_whole(annotation: Any) -> bool:
    """Tell whether a field without a unit is a number of TOML."""
    bare = [one for one in get_args(annotation) if one is not NoneType] or [annotation]
    return any(one is int or get_args(one)[:1] == (int,) for one in bare)


def read(kinds: Mapping[str, str], told: str, *, ranges: bool) -> Dimension:
    """Read one `KEY=a,b,c` or `KEY=low..high[:log]`.

    Values that hold commas themselves are set apart by semicolons: `KEY=a,b;c,d`. Of values that
    are written otherwise and are the same (2bps, 2.0bps, 0.02%) the first is taken.

    Args:
        kinds: of `kinds_of`.
        ranges: whether a range is of use: a grid has none.

    Raises:
        ConfigError: no such key, no values, or a range that is none.
    """
    key, equals, text = (part.strip() for part in told.partition("="))
    if not equals or not key:
        raise ConfigError("sweep", told, "KEY=a,b,c or KEY=low..high, such as strategy.spread=")
    if key not in kinds:
        near = difflib.get_close_matches(key, list(kinds), n=1, cutoff=0.5)
        every = f"keys of {', '.join(f'[{one}]' for one in TABLES)} and model.*"
        raise ConfigError(key, text, f'did you mean "{near[0]}"?' if near else every)
    if ".." in text:
        if not ranges:
            raise ConfigError(key, text, "listed values: a grid takes no range, --random does")
        return _range(key, kinds[key], text)
    parts = [part.strip() for part in text.split(";" if ";" in text else ",")]
    firsts: dict[object, str] = {}
    for part in filter(None, parts):
        firsts.setdefault(_meant(key, kinds[key], part), part)
    values = tuple(firsts.values())
    if not values:
        raise ConfigError(key, text, "one value or more: a,b,c")
    return Choices(key, values)


def _meant(key: str, kind: str, text: str) -> object:
    """Return what is the same of values that are, however they are written."""
    if kind in ("switch", "whole") or key.startswith("strategy.params."):
        return _typed(kind, text)  # what a strategy of one's own makes of a text is its affair
    return tuple(map(_measured, re.split(r"([,|])", text)))


def _measured(text: str) -> object:
    found = NUMBER.fullmatch(text.strip())
    if found is None or found[2] not in _SCALES:
        return text.strip()
    base, scale = _SCALES[found[2]]
    return base, Decimal(found[1]) * scale if scale != 1 else Decimal(found[1])


def _range(key: str, kind: str, text: str) -> Range:
    body, _, scale = text.partition(":")
    low_text, _, high_text = body.partition("..")
    low, high = NUMBER.fullmatch(low_text.strip()), NUMBER.fullmatch(high_text.strip())
    allowed = 'a range such as "1bps..10bps" or "0.01..1:log"'
    if low is None or high is None or scale not in ("", "log") or kind == "switch":
        raise ConfigError(key, text, allowed)
    units = {unit for unit in (low[2], high[2]) if unit}
    if len(units) > 1:
        raise ConfigError(key, text, f"{allowed}, one unit for both ends")
    unit = units.pop() if units else ""
    ends = Decimal(low[1]), Decimal(high[1])
    if ends[0] >= ends[1] or (scale and ends[0] <= 0):
        raise ConfigError(key, text, f"{allowed}, from less to more{' and above 0' * bool(scale)}")
    places = 0 if kind == "whole" else _PLACES.get(unit, 9)
    return Range(key, *ends, unit, places, bool(scale))


def with_point(
    data: Mapping[str, Any], kinds: Mapping[str, str], point: Point
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a file's content with other values, and what of the model is changed.

    Args:
        data: the file's content; it stays as it is.

    Raises:
        ConfigError: a value of the model that is none.
    """
    made: dict[str, Any] = dict(data)
    copied: set[str] = set()
    model: dict[str, Any] = {}
    for key, text in point:
        table, _, name = key.partition(".")
        if table == "model":
            model |= _model_value(key, name, kinds[key], text)
            continue
        if table not in copied:
            made[table] = dict(made.get(table, {}))
            copied.add(table)
        value = _typed(kinds[key], text)
        if name.startswith("params."):
            made[table]["params"] = {**made[table].get("params", {}), name[7:]: value}
        else:
            made[table][name] = value
    return made, model


def _typed(kind: str, text: str) -> Any:
    if kind == "switch" and text in ("true", "false"):
        return text == "true"
    if kind == "whole" and re.fullmatch(r"-?\d{1,15}", text):
        return int(text)
    return text


def _model_value(key: str, name: str, kind: str, text: str) -> dict[str, Any]:
    if kind == "whole":
        if not re.fullmatch(r"[0-9]{1,19}", text):
            raise ConfigError(key, text, "a whole number")
        return {name: int(text)}
    if kind in ("delay", "delays"):
        try:
            delays = [0 if one == "0" else parse_duration_ns(one) for one in text.split("|")]
        except ValueError as error:
            raise ConfigError(key, text, str(error)) from None
        return {f"{name}_ns": delays if kind == "delays" else delays[0]}
    return {name: text}


def check(
    data: Mapping[str, Any], kinds: Mapping[str, str], space: Sequence[Dimension],
    model: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Try every value by itself, and both ends of every range.

    Values that only do not fit each other are no fault of the plan: those runs are refused.

    Args:
        model: what is assumed of the venue besides what is varied.

    Raises:
        ConfigErrors: naming key, value and what is allowed; all that can be told.
    """
    errors: list[ConfigError] = []
    keys = [one.key for one in space]
    for key in {key for key in keys if keys.count(key) > 1}:
        errors.append(ConfigError(key, key, "each key once"))
    for one in space:
        ends = (one.low, one.high) if isinstance(one, Range) else ()
        values = one.values if isinstance(one, Choices) else [one.told(float(end)) for end in ends]
        for value in values:
            try:
                changed, told = with_point(data, kinds, ((one.key, value),))
                msgspec.convert({**(model or {}), **told}, Model)
            except ConfigError as error:
                errors.append(error)
                continue
            except msgspec.ValidationError as error:
                errors.append(ConfigError(one.key, value, f"of a fill model: {error}"))
                continue
            errors += [
                error for error in field_errors(changed)
                if error.path.partition("[")[0] == one.key
            ]  # fmt: skip
    if errors:
        raise ConfigErrors("sweep", errors)


def grid(space: Sequence[Dimension], most: int) -> list[Point]:
    """Return every combination of listed values, the last key turning fastest.

    Raises:
        ConfigError: there are more than `most`.
    """
    listed = [one for one in space if isinstance(one, Choices)]
    assert len(listed) == len(space)
    count = math.prod(len(one.values) for one in listed)
    if count > most:
        raise ConfigError("--grid", f"{count:,} combinations", f"{most:,} at most")
    rows = product(*(one.values for one in listed))
    return [tuple(zip((one.key for one in listed), row, strict=True)) for row in rows]


def count_of(space: Sequence[Dimension]) -> int | None:
    """Return how many combinations of listed values there are; None: a range is among them."""
    counts = [len(one.values) for one in space if isinstance(one, Choices)]
    return math.prod(counts) if len(counts) == len(space) else None


def parted(point: Point) -> tuple[Point, Point]:
    """Return what a combination has of the bot's file, and what it has of the fill model.

    The first is what is chosen; the second is the weather that it is looked at in.
    """
    own = tuple(one for one in point if not one[0].startswith(MODEL))
    return own, tuple(one for one in point if one[0].startswith(MODEL))


def models_of(space: Sequence[Dimension]) -> tuple[list[Dimension], list[Point]]:
    """Return what is varied of the bot's file, and every model that each combination is run under.

    One, which changes nothing, where no key of the model is varied.

    Raises:
        ConfigError: a range of a model's key.
    """
    own = [one for one in space if not one.key.startswith(MODEL)]
    models = [one for one in space if one.key.startswith(MODEL)]
    for one in models:
        if isinstance(one, Range):
            low, high = one.told(float(one.low)), one.told(float(one.high))
            raise ConfigError(
                one.key,
                f"{low}..{high}",
                "listed values: each combination is run under all of them",
            )
    return own, grid(models, MODELS_MAX)


def drawn(space: Sequence[Dimension], count: int, seed: int) -> list[Point]:
    """Return combinations drawn by chance, none twice; fewer than `count` where no more turn up."""
    most = count_of(space)
    if most is not None and most <= count:
        return grid(space, most)
    chance = random.Random(seed)
    found: dict[Point, None] = {}
    tries = (tuple((one.key, one.draw(chance)) for one in space) for _ in range(20 * count))
    for point in tries:
        found.setdefault(point)
        if len(found) == count:
            break
    return list(islice(found, count))
