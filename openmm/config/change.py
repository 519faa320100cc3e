"""A running bot's configuration with some keys changed: held to the rules of its file, and never
looser than the file."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from openmm.config import check
from openmm.config.load import parse_strategy
from openmm.config.schema import BotConfig, Ladder, Section, key_of
from openmm.config.values import format_duration, format_ppm
from openmm.errors import CommandError, ConfigError, ConfigErrors, RiskError
from openmm.instrument import Instrument

# What a strategy is, and what only its constructor takes: a bot is started anew for them.
FIXED: Final = ("kind", "class_path", "name", "params")
OWN_PARAMS: Final = (
    "a plug-in takes its params when it is made: what they would change cannot be previewed, and "
    "the bot is started anew for them"
)
# Where lower than the file's, or higher, would let the ladder stand where the file does not.
AT_LEAST: Final = ("min_edge_ppm", "price_floor")
AT_MOST: Final = ("fee_budget_ppm", "price_ceiling")


def changeable(config: BotConfig) -> tuple[str, ...]:
    """Return the keys of [strategy] that can be changed while a bot runs."""
    fields = type(config.strategy).model_fields
    return tuple(f"strategy.{key_of(name)}" for name in fields if name not in FIXED)


def shown(config: BotConfig) -> dict[str, str]:
    """Return the strategy's values as the file would have them, those that follow too."""
    told = {}
    for name in type(config.strategy).model_fields:
        value = getattr(config.strategy, name)
        if name not in FIXED and value is not None:
            text = text_of(name, value)
            told[f"strategy.{key_of(name)}"] = (
                str(text).lower() if isinstance(text, bool) else str(text)
            )
    return told


def with_strategy(
    file: BotConfig, in_force: BotConfig, changes: Mapping[str, str], instrument: Instrument,
    mid: Decimal | None,
) -> BotConfig:  # fmt: skip
    """Return the configuration in force with other values of the strategy, checked as a file is.

    Distances that the file leaves out go on following from the spread.

    Args:
        changes: keys of [strategy], without `strategy.`, and values as the file writes them.
        mid: the price now, if known.

    Raises:
        CommandError: a key that is not the strategy's, or not to be changed (`bad_change`).
        ConfigErrors: values that are none, or that do not fit together, the venue or the limits.
        RiskError: one that would be looser than the file (`looser`).
    """
    fields = {key_of(name): name for name in type(in_force.strategy).model_fields}
    for key in changes:
        if fields.get(key, FIXED[0]) in FIXED:
            known = ", ".join(one.removeprefix("strategy.") for one in changeable(in_force))
            own = key == "params" or key.startswith("params.")
            why = f"; {OWN_PARAMS}" if own else ""
            raise CommandError(
                f"keys of a running bot's strategy are {known}; got {key!r}{why}",
                code="bad_change",
            )
    raw = _raw(in_force.strategy)
    for key, text in changes.items():
        whole = type(in_force.strategy).model_fields[fields[key]]
        if whole.annotation is bool and text in ("true", "false"):
            raw[key] = text == "true"
        else:
            number = whole.annotation is int and text.isdigit()
            raw[key] = int(text) if number else text
    errors: list[ConfigError] = []
    strategy = parse_strategy(raw, errors)
    if strategy is None:
        raise ConfigErrors("change", errors)
    _hold_to(file, strategy)
    made = in_force.model_copy(update={"strategy": strategy})
    # What a limit that was tightened below the ladder makes misfit is no reason to refuse this.
    before = {error.path for error in _errors(in_force, instrument, mid)}
    errors = [error for error in _errors(made, instrument, mid) if error.path not in before]
    if errors:
        raise ConfigErrors("change", errors)
    return made


def need_fit(config: BotConfig, instrument: Instrument, mid: Decimal | None) -> None:
    """Refuse a configuration of parts of two files where they do not fit together, or the venue.

    Raises:
        ConfigErrors: all that is wrong, one line each.
    """
    if errors := _errors(config, instrument, mid):
        raise ConfigErrors("change", errors)


def unfit(config: BotConfig, instrument: Instrument, mid: Decimal | None) -> list[str]:
    """Tell what of a configuration does not fit together: limits tightened below the ladder."""
    return [str(error) for error in _errors(config, instrument, mid)]


def _hold_to(file: BotConfig, strategy: Any) -> None:
    """Refuse what would move the floor of the spread, or the price band, beyond the file's."""
    if not isinstance(strategy, Ladder) or not isinstance(file.strategy, Ladder):
        return
    for name in (*AT_LEAST, *AT_MOST):
        now, bound = getattr(strategy, name), getattr(file.strategy, name)
        if bound is None:
            continue
        if now is None or (now < bound if name in AT_LEAST else now > bound):
            side = "at least" if name in AT_LEAST else "at most"
            raise RiskError(
                f"strategy.{key_of(name)}: never looser than the file: {side} "
                f"{text_of(name, bound)}; got {'off' if now is None else text_of(name, now)!r}",
                code="looser",
            )


def _errors(config: BotConfig, instrument: Instrument, mid: Decimal | None) -> list[ConfigError]:
    return [
        *check.strategy_errors(config.strategy),
        *check.limit_errors(config.strategy, config.risk),
        *check.venue_errors(config.venue, config.strategy, config.risk, config.bot),
        *check.instrument_errors(config, instrument, mid),
    ]


def _raw(section: Section) -> dict[str, Any]:
    """Return what was told of a table, as the file writes it; what follows is left out."""
    return {
        key_of(name): text_of(name, getattr(section, name)) for name in section.model_fields_set
        if getattr(section, name) is not None
    }  # fmt: skip


def text_of(name: str, value: Any) -> Any:
    """Return a value as the file has it; a list is one text with commas."""
    if isinstance(value, tuple):
        return ", ".join(
            text_of(name, one) if isinstance(one, int | Decimal) else str(one) for one in value
        )
    if name.endswith("_ppm"):
        return format_ppm(value)
    if name.endswith("_ns"):
        return format_duration(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value if isinstance(value, int | str | dict) else str(value)
