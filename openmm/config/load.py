"""Read a bot's file: every bad key and value of it is told at once, each with what is allowed."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from openmm.config import check
from openmm.config.schema import (
    DEPTHS,
    OPTIONS,
    AnyStrategy,
    Avellaneda,
    Bot,
    BotConfig,
    Endpoints,
    Engine,
    Glft,
    Grid,
    Hedge,
    Inventory,
    Journal,
    NoOptions,
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
from openmm.errors import ConfigError, ConfigErrors

FILE_BYTES_MAX = 1 << 20
NO_PLUGINS = "PYDANTIC_DISABLE_PLUGINS"
_SECRET = re.compile(r"key|secret|password|passphrase|token|credential", re.IGNORECASE)
_TABLES = (
    "bot",
    "venue",
    "strategy",
    "signal",
    "risk",
    "settlement",
    "journal",
    "engine",
    "paper",
    "hedge",
    "inventory",
)
_REQUIRED = ("bot", "venue", "strategy", "risk")
_STRATEGIES: dict[str, type[AnyStrategy]] = {
    "grid": Grid,
    "glft": Glft,
    "avellaneda": Avellaneda,
    "python": PythonStrategy,
    "plugin": PluginStrategy,
}

S = TypeVar("S", bound=Section)


class Absent:
    """Stand for a value that is not there, in messages."""

    def __repr__(self) -> str:
        """Read as a word, not as a value."""
        return "nothing"


def default_run_dir() -> Path:
    """Return where bots keep their files: OPENMM_RUN_DIR, else the user's state folder."""
    if told := os.environ.get("OPENMM_RUN_DIR"):
        return Path(told)
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "openmm"


def load(path: str | Path) -> BotConfig:
    """Read and validate a file.

    Raises:
        ConfigError: the file cannot be read or is no TOML.
        ConfigErrors: it holds bad keys or values; all of them are told.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError("file", str(path), f"a readable file ({error.strerror})") from None
    if len(raw) > FILE_BYTES_MAX:
        raise ConfigError("file", str(path), f"a file of at most {FILE_BYTES_MAX} bytes")
    try:
        data = tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        allowed = f"UTF-8 text (byte {error.start} is not)"
        raise ConfigError("file", str(path), allowed) from None
    except (ValueError, RecursionError) as error:
        # Besides its own error the parser lets out those of numbers of thousands of digits.
        raise ConfigError("file", str(path), f"valid TOML ({error})") from None
    return parse(data, source=str(path), folder=path.parent)


def parse(
    data: Mapping[str, Any], *, source: str = "config", folder: Path | None = None
) -> BotConfig:
    """Validate the content of a file; relative folders are taken from `folder`.

    Raises:
        ConfigErrors: bad keys, bad values, impossible combinations; all that can be told.
    """
    errors: list[ConfigError] = []
    for key, value in data.items():
        if key not in _TABLES:
            errors.append(_unknown(key, key, value, list(_TABLES)))
    for key in _REQUIRED:
        if key not in data:
            errors.append(ConfigError(key, Absent(), f"a table [{key}] is required"))
    bot = _table("bot", Bot, data, errors)
    risk = _table("risk", Risk, data, errors)
    signal = _table("signal", Signal, data, errors)
    settlement = _table("settlement", Settlement, data, errors)
    journal = _table("journal", Journal, data, errors)
    engine = _table("engine", Engine, data, errors)
    paper = _table("paper", Paper, data, errors)
    hedge = _section(Hedge, data["hedge"], "hedge", errors) if "hedge" in data else None
    inventory = _table("inventory", Inventory, data, errors)
    strategy = parse_strategy(data["strategy"], errors) if "strategy" in data else None
    found = _venues(data["venue"], errors) if "venue" in data else []
    venues = [venue for venue in found if venue is not None]
    if signal is not None:
        errors += check.signal_errors(signal)
    if strategy is not None:
        errors += check.strategy_errors(strategy)
    if strategy is not None and risk is not None:
        errors += check.limit_errors(strategy, risk)
    if bot is not None and risk is not None:
        errors += check.capital_errors(bot, risk)
    if inventory is not None and risk is not None:
        errors += check.group_errors(inventory, risk, strategy)
    if venues and len(venues) == len(found):
        errors += check.venue_errors(venues, strategy, risk, bot)
    if hedge is not None:
        options = _options_of(hedge.venue)
        if options is not None:
            _section(options, hedge.options, "hedge.options", errors)
        errors += check.hedge_errors(hedge, bot, venues, strategy)
    if errors:
        raise ConfigErrors(source, errors)
    assert bot is not None
    assert risk is not None
    run_dir = (bot.run_dir or default_run_dir()).expanduser()
    run_dir = run_dir if run_dir.is_absolute() else (folder or Path.cwd()) / run_dir
    return BotConfig.model_construct(
        bot=bot.model_copy(update={"run_dir": run_dir.resolve()}),
        venue=tuple(venues),
        strategy=strategy,
        signal=signal,
        risk=risk,
        settlement=settlement,
        journal=journal,
        engine=engine,
        paper=paper,
        hedge=hedge,
        inventory=inventory,
    )


def field_errors(data: Mapping[str, Any]) -> list[ConfigError]:
    """Tell bad keys and values of [strategy], [risk], [signal] and [inventory], each by itself."""
    errors: list[ConfigError] = []
    parse_strategy(data.get("strategy"), errors)
    _table("risk", Risk, data, errors)
    _table("signal", Signal, data, errors)
    _table("inventory", Inventory, data, errors)
    return errors


def _table(
    key: str, model: type[S], data: Mapping[str, Any], errors: list[ConfigError]
) -> S | None:
    """Validate a table that may be left out if no key of it is required."""
    if key not in data and key in _REQUIRED:
        return None
    if key not in data:
        # All of it defaults, which are not validated: no validator is made for them.
        return model.model_construct()
    return _section(model, data[key], key, errors)


def parse_strategy(raw: object, errors: list[ConfigError]) -> AnyStrategy | None:
    """Validate [strategy] by its kind; with a bad kind still tell of what no kind knows."""
    if not isinstance(raw, Mapping):
        errors.append(ConfigError("strategy", raw, "a table [strategy]"))
        return None
    kind = raw.get("kind", Absent())
    model = _STRATEGIES.get(kind) if isinstance(kind, str) else None
    if model is None:
        allowed = ", ".join(f'"{one}"' for one in _STRATEGIES)
        errors.append(ConfigError("strategy.kind", kind, f"one of {allowed}"))
        keys = sorted({key for each in _STRATEGIES.values() for key in _keys(each)})
        for key, value in raw.items():
            if key not in keys:
                errors.append(_unknown(f"strategy.{key}", key, value, keys))
        return None
    return _section(model, raw, "strategy", errors)


def _venues(raw: object, errors: list[ConfigError]) -> list[Venue | None]:
    if not isinstance(raw, list) or not raw:
        errors.append(ConfigError("venue", raw, "one or more tables [[venue]]"))
        return []
    found = []
    for index, item in enumerate(raw):
        found.append(_section(Venue, item, f"venue[{index}]", errors))
        options = item.get("options") if isinstance(item, Mapping) else None
        if isinstance(options, Mapping):
            model = _options_of(str(item.get("name")))
            if model is not None:
                _section(model, options, f"venue[{index}].options", errors)
    return found


def _options_of(name: str) -> type[Section] | None:
    """Return what a venue's options are checked by; None: a plugged-in one checks its own."""
    return OPTIONS.get(name, NoOptions) if name in DEPTHS else None


def read_options(venue: Venue) -> dict[str, Any]:
    """Return all options of a venue, defaults included.

    Raises:
        ConfigErrors: options that the venue does not have, or values it does not take.
    """
    errors: list[ConfigError] = []
    model = _options_of(venue.name)
    if model is None:
        return dict(venue.options)
    found = _section(model, venue.options, "options", errors)
    if found is None:
        raise ConfigErrors(f"venue.{venue.label}", errors)
    return found.model_dump()


def _section(model: type[S], raw: object, path: str, errors: list[ConfigError]) -> S | None:
    """Validate one table; what is wrong goes to `errors`."""
    if not isinstance(raw, Mapping):
        errors.append(ConfigError(path, raw, f"a table [{path}]"))
        return None
    _complete(model)
    try:
        return model.model_validate(dict(raw))
    except ValidationError as error:
        errors += [
            _told(detail, model, path)
            for detail in error.errors(include_url=False)
            if detail["type"] != "default_factory_not_called"  # follows from one told already
        ]
        return None


def _complete(model: type[Section]) -> None:
    """Make a table's validator, unless it is made, without the plugins pydantic looks for.

    It would search every installed package for them, and load those it finds into the engine.

    Source: https://docs.pydantic.dev/latest/concepts/plugins/, PYDANTIC_DISABLE_PLUGINS.
    """
    if model.__pydantic_complete__:
        return
    before = os.environ.get(NO_PLUGINS)
    os.environ[NO_PLUGINS] = "__all__"
    try:
        model.model_rebuild()
    finally:
        if before is None:
            del os.environ[NO_PLUGINS]
        else:
            os.environ[NO_PLUGINS] = before


def _told(detail: ErrorDetails, model: type[Section], base: str) -> ConfigError:
    """Turn one finding of pydantic into ours."""
    path, at = base, model
    for part in detail["loc"][:-1]:
        path += f".{part}"
        at = Endpoints if part == "endpoints" else at
    last = detail["loc"][-1]
    path += f".{last}" if isinstance(last, str) else f"[{last}]"
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(path, str(last), value, _keys(at))
    if kind == "missing":
        return ConfigError(path, Absent(), "a value is required")
    if kind == "value_error":
        return ConfigError(path, _shown(str(last), value), str(context["error"]))
    if kind == "literal_error":
        return ConfigError(
            path, value, f"one of {str(context['expected']).replace(chr(39), chr(34))}"
        )
    if kind == "string_pattern_mismatch":
        return ConfigError(path, value, PATTERNS[str(last)])
    message = str(detail["msg"]).removeprefix("Input should be ")
    return ConfigError(path, _shown(str(last), value), message)


_PAIR = 'a pair such as "BTC/USD"'
# What each key with a pattern allows, in words.
PATTERNS = {
    "name": "1 to 32 of a-z, 0-9 and -, not starting with -",
    "label": "1 to 16 of a-z, 0-9 and -, starting with a letter",
    "quote": _PAIR,
    "pair": _PAIR,
    "reference": _PAIR,
    "rate": _PAIR,
    "convert": "the label of a venue with rate: 1 to 16 of a-z, 0-9 and -, starting with a letter",
    "class": 'a class by its import path, such as "mystrategies.grid:MyGrid"',
    "group": "1 to 32 of a-z, 0-9 and -, not starting with -",
    "currency": 'a currency as the venues write it, such as "USD"',
    "store": 'a database address such as "sqlite:////var/lib/openmm/store.sqlite"',
}


_MADE = "a model makes its spread; half_factor scales it, spread_min and spread_max bound it"
_FALLS = "a model's spread falls as slowly as its volatility and its fit ([signal] vol_slow, fit)"
_SHIFTS = "a model answers a fill by its shift for the inventory, on both sides at once"
# Keys that only a grid has, and why: a hint of the nearest name would mislead.
GRID_ALONE: Final = {
    "spread": _MADE, "vol_factor": _MADE, "quote_rest": _MADE, "depth_factor": _MADE,
    "inventory_widen": _MADE, "schedule": "it is a grid's alone; `openmm set` changes half_factor",
    "narrow_rate": _FALLS, "refill_delay": _SHIFTS, "ping_pong": _SHIFTS, "hanging": _SHIFTS,
    "hanging_age_max": _SHIFTS, "hanging_distance_max": _SHIFTS,
}  # fmt: skip


def _unknown(path: str, key: str, value: object, known: list[str]) -> ConfigError:
    """Refuse a key with the nearest known one; a secret's value is never repeated."""
    if _SECRET.search(key):
        allowed = (
            "no secret stands in this file: keys come from OPENMM_<LABEL>_KEY and "
            "OPENMM_<LABEL>_SECRET or from the keyring"
        )
        return ConfigError(path, "<redacted>", allowed)
    a_model = path == f"strategy.{key}" and "half_factor" in known
    if a_model and key in GRID_ALONE and key not in known:
        return ConfigError(path, _shown(key, value), f"no key of this kind: {GRID_ALONE[key]}")
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    every = "known are " + ", ".join(sorted(known)) if known else "none are known here"
    text = f'did you mean "{near[0]}"?' if near else every
    return ConfigError(path, _shown(key, value), f"unknown key; {text}")


def _shown(key: str, value: object) -> object:
    """Cut what is long or may carry a credential out of a message."""
    if key in ("webhook", "store", "ws", "ws_auth", "rest"):
        return (
            re.sub(r"(?<=//)[^/@]*@|(?<=[^/:])/.*|\?.*", "…", value)
            if isinstance(value, str)
            else value
        )
    text = repr(value)
    return value if len(text) <= 100 else text[:100] + "…"


def _keys(model: type[Section]) -> list[str]:
    return [key_of(name) for name in model.model_fields]
