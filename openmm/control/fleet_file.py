"""Read fleet.toml: which bots run side by side on this host, and when one is started again."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from openmm.config import BotConfig, load
from openmm.config.values import format_duration, parse_duration_ns
from openmm.engine.rundir import RunDir
from openmm.errors import ConfigError, ConfigErrors

FILE_BYTES_MAX = 1 << 20
BOTS_MAX = 64
RESTARTS = ("on-failure", "never")
_SECOND, _DAY = 1_000_000_000, 86_400_000_000_000
# Key of [fleet], its default and its bounds.
_SPANS: Final = {
    "stagger": ("2s", 0, 3_600 * _SECOND),
    "backoff": ("1s", _SECOND // 10, 3_600 * _SECOND),
    "backoff_max": ("5m", _SECOND // 10, _DAY),
    "healthy_after": ("60s", _SECOND // 10, _DAY),
    "stop_within": ("2m", _SECOND, _DAY),
}


class Member(Struct, frozen=True):
    """One bot of a fleet. `error`: its file cannot be used; it is not started."""

    name: str
    file: Path
    restart: str
    config: BotConfig | None = None
    error: str = ""

    @property
    def run_dir(self) -> RunDir | None:
        """Where it keeps its files; None: its file does not tell."""
        if self.config is None or self.config.bot.run_dir is None:
            return None
        return RunDir(self.config.bot.run_dir, self.config.bot.name)


class FleetFile(Struct, frozen=True):
    """A fleet as its file has it.

    Args:
        stagger_ns: between two starts.
        backoff_ns: before the first start after a failure; doubles up to `backoff_max_ns`.
        healthy_ns: a bot that ran so long begins at `backoff_ns` again.
        stop_ns: how long a clean stop may take before people are told.
    """

    path: Path
    members: tuple[Member, ...]
    stagger_ns: int
    backoff_ns: int
    backoff_max_ns: int
    healthy_ns: int
    stop_ns: int


def read_fleet(path: Path) -> FleetFile:
    """Read and validate a fleet's file and those of its bots.

    A bot whose own file is bad is told in its member, and keeps no other from running.

    Raises:
        ConfigError: the file cannot be read or is no TOML.
        ConfigErrors: it holds bad keys or values, or two bots of one name.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
        if len(raw) > FILE_BYTES_MAX:
            raise ConfigError("file", str(path), f"a file of at most {FILE_BYTES_MAX} bytes")
        data = tomllib.loads(raw.decode())
    except OSError as error:
        raise ConfigError("file", str(path), f"a readable file ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError("file", str(path), f"valid TOML ({error})") from None
    errors: list[ConfigError] = []
    for key in data:
        if key not in ("fleet", "bot"):
            errors.append(ConfigError(key, data[key], "unknown key; known are bot, fleet"))
    spans = _spans(data.get("fleet", {}), errors)
    members = _members(data.get("bot"), path.absolute().parent, errors)
    if spans["backoff"] > spans["backoff_max"]:
        allowed = f'at least backoff, "{format_duration(spans["backoff"])}"'
        errors.append(
            ConfigError("fleet.backoff_max", format_duration(spans["backoff_max"]), allowed)
        )
    if errors:
        raise ConfigErrors(str(path), errors)
    return FleetFile(
        path.absolute(), tuple(members), spans["stagger"], spans["backoff"], spans["backoff_max"],
        spans["healthy_after"], spans["stop_within"],
    )  # fmt: skip


def _spans(raw: object, errors: list[ConfigError]) -> dict[str, int]:
    """Read [fleet]; what is wrong goes to `errors`, its default in its place."""
    told: dict[str, Any] = {}
    if isinstance(raw, Mapping):
        told = dict(raw)
    else:
        errors.append(ConfigError("fleet", raw, "a table [fleet]"))
    found = {}
    for key, (default, low_ns, high_ns) in _SPANS.items():
        value = told.pop(key, default)
        found[key] = parse_duration_ns(default)
        try:
            span_ns = parse_duration_ns(value)
        except ValueError as error:
            errors.append(ConfigError(f"fleet.{key}", value, str(error)))
            continue
        if not low_ns <= span_ns <= high_ns:
            allowed = f'from "{format_duration(low_ns)}" to "{format_duration(high_ns)}"'
            errors.append(ConfigError(f"fleet.{key}", value, allowed))
            continue
        found[key] = span_ns
    for key, value in told.items():
        known = ", ".join(sorted(_SPANS))
        errors.append(ConfigError(f"fleet.{key}", value, f"unknown key; known are {known}"))
    return found


def _members(raw: object, folder: Path, errors: list[ConfigError]) -> list[Member]:
    if not isinstance(raw, list) or not 0 < len(raw) <= BOTS_MAX:
        errors.append(ConfigError("bot", raw, f"1 to {BOTS_MAX} tables [[bot]]"))
        return []
    found: list[Member] = []
    places: dict[Path, int] = {}
    for index, item in enumerate(raw):
        at = f"bot[{index}]"
        if not isinstance(item, Mapping):
            errors.append(ConfigError(at, item, "a table [[bot]]"))
            continue
        for key in item:
            if key not in ("file", "restart"):
                known = "unknown key; known are file, restart"
                errors.append(ConfigError(f"{at}.{key}", item[key], known))
        name, restart = item.get("file"), item.get("restart", "on-failure")
        if restart not in RESTARTS:
            errors.append(ConfigError(f"{at}.restart", restart, 'one of "on-failure", "never"'))
            continue
        if not isinstance(name, str) or not name:
            errors.append(ConfigError(f"{at}.file", name, "the path of a bot's file"))
            continue
        member = _member(folder / Path(name).expanduser(), restart)
        place = member.file.resolve() if member.run_dir is None else member.run_dir.path
        if place in places:
            allowed = f"another bot than bot[{places[place]}]: they share a name and a folder"
            errors.append(ConfigError(f"{at}.file", name, allowed))
            continue
        places[place] = index
        found.append(member)
    return found


def _member(file: Path, restart: str) -> Member:
    try:
        config = load(file)
    except ConfigError as error:
        return Member(file.stem, file, restart, error=str(error))
    return Member(config.bot.name, file, restart, config)
