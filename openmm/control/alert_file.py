"""`alerts.toml`: which conditions are alerts, how grave, and who is told of them.

The addresses of channels hold tokens: the file is its owner's only, and none of them is ever shown,
logged or part of an error. Without a file every rule is watched as it is by default and nobody is
told: the alerts stand in the alert book.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from openmm.config import secrets
from openmm.config.private import read_private
from openmm.config.values import parse_bytes, parse_duration_ns
from openmm.errors import ConfigError, VaultError

FILE_BYTES_MAX: Final = 256 << 10
CHANNELS_MAX: Final = 50
SEVERITIES: Final = ("info", "warning", "critical")  # from the lightest on
SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60_000_000_000
STEP_SEVERITY: Final = {50: "info", 80: "warning", 100: "critical"}


class RuleFile(Struct, frozen=True):
    """How one rule is watched.

    Args:
        after_ns: how long a condition has to last before it is an alert.
        most: a share in percent, or bytes, where the rule compares with one.
    """

    severity: str
    text: str
    after_ns: int = 0
    most: int = 0
    enabled: bool = True


class Channel(Struct, frozen=True):
    """Where people are told. `source` is what the file says: an address, or where it is kept."""

    name: str
    source: str
    per_minute: int = 10

    def __repr__(self) -> str:
        """Name it; never its address."""
        return f"Channel({self.name!r})"

    def url(self) -> str:
        """Return the address.

        Raises:
            ConfigError: it is not where the file says; the text does not hold it.
        """
        kind, _, rest = self.source.partition(":")
        if kind == "env":
            found = os.environ.get(rest, "")
        elif kind == "vault":
            found = secrets.load_keys(rest).secret
        else:
            found = self.source
        if not found.strip():
            raise ConfigError(f"channel.{self.name}.url", self.source, "an address where it says")
        return found.strip()


class Grade(Struct, frozen=True):
    """Who is told of alerts of one severity, and when again.

    Args:
        repeat_ns: told again after this while nobody has taken note; 0: once.
        escalate_ns: without a note for so long, `escalate_to` is told too; 0: never.
    """

    channels: tuple[str, ...] = ()
    repeat_ns: int = 0
    escalate_ns: int = 0
    escalate_to: tuple[str, ...] = ()


class AlertFile(Struct, frozen=True):
    """The whole file."""

    rules: Mapping[str, RuleFile]
    channels: Mapping[str, Channel] = {}
    grades: Mapping[str, Grade] = {}

    def grade(self, severity: str) -> Grade:
        """Return how alerts of a severity are told; nobody is, where the file does not say."""
        return self.grades.get(severity, Grade())


RULES: Final[Mapping[str, RuleFile]] = {
    "halt": RuleFile("critical", "the bot is halted"),
    "incident": RuleFile("warning", "the bot reported an incident"),
    "book_broken": RuleFile("warning", "a venue's book cannot be verified", 30 * SECOND_NS),
    "venue_down": RuleFile("warning", "a venue's connection is silent", 15 * SECOND_NS),
    "drawdown": RuleFile("critical", "the loss is at 50, 80 or 100 % of its limit", most=50),
    "clock_offset": RuleFile("warning", "the clock's offset nears its limit", 10 * SECOND_NS, 80),
    "disk_low": RuleFile("critical", "little disk is left", most=1 << 30),
    "no_fills": RuleFile("info", "no fill for long", 6 * 60 * MINUTE_NS),
    "engine_silent": RuleFile("critical", "the engine died or publishes nothing"),
    "rate_budget": RuleFile("warning", "the rate budget is used up", 10 * SECOND_NS, 95),
    "writer_behind": RuleFile("critical", "the journal's writer is behind", 5 * SECOND_NS, 50),
    "alerts_file": RuleFile("warning", "the alerts file will not do; the last good one is used"),
    "alerts_channel": RuleFile("warning", "a channel cannot be reached"),
}


def alerts_path() -> Path:
    """Return where the file is: OPENMM_ALERTS, or `openmm/alerts.toml` of the user's settings."""
    told = os.environ.get("OPENMM_ALERTS")
    settings = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    path = Path(told) if told else Path(settings) / "openmm" / "alerts.toml"
    return path.expanduser().absolute()


def load_alerts(path: Path) -> AlertFile:
    """Read and check the file; the default rules and no channel when there is none.

    Raises:
        ConfigError: it will not do; the text names the key and never an address.
    """
    if not path.exists() and not path.is_symlink():
        return AlertFile(RULES)
    try:
        text = read_private(path, "the alerts file", FILE_BYTES_MAX, absent="unreadable").decode()
        told = tomllib.loads(text)
    except VaultError as error:
        raise ConfigError("alerts file", str(path), str(error)) from None
    except UnicodeDecodeError:
        raise ConfigError("alerts file", str(path), "UTF-8") from None
    except tomllib.TOMLDecodeError:
        # The parser's own words may quote the line with the address.
        raise ConfigError("alerts file", str(path), "TOML") from None
    _known(told, "", ("channel", "severity", "rule"))
    channels = {name: _channel(name, one) for name, one in _tables(told, "channel").items()}
    if len(channels) > CHANNELS_MAX:
        raise ConfigError("channel", len(channels), f"at most {CHANNELS_MAX} channels")
    grades = {}
    for name, one in _tables(told, "severity").items():
        if name not in SEVERITIES:
            raise ConfigError("severity", name, f"one of {', '.join(SEVERITIES)}")
        grades[name] = _grade(name, one, channels)
    rules = dict(RULES)
    for name, one in _tables(told, "rule").items():
        if name not in RULES:
            raise ConfigError("rule", name, f"one of {', '.join(RULES)}")
        rules[name] = _rule(name, one)
    return AlertFile(rules, channels, grades)


def _tables(told: Mapping[str, Any], key: str) -> Mapping[str, Mapping[str, Any]]:
    found = told.get(key, {})
    if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
        raise ConfigError(key, "no table", f"tables: [{key}.NAME]")
    return found


def _known(table: Mapping[str, Any], place: str, keys: tuple[str, ...]) -> None:
    for key in table:
        if key not in keys:
            raise ConfigError(f"{place}{key}", "an unknown key", f"one of {', '.join(keys)}")


def _channel(name: str, table: Mapping[str, Any]) -> Channel:
    place = f"channel.{name}"
    _known(table, f"{place}.", ("url", "per_minute"))
    url, rate = table.get("url"), table.get("per_minute", 10)
    if not isinstance(url, str) or not url.strip():
        raise ConfigError(f"{place}.url", "nothing", "an address, env:NAME or vault:LABEL")
    if isinstance(rate, bool) or not isinstance(rate, int) or not 1 <= rate <= 600:
        raise ConfigError(f"{place}.per_minute", rate, "an integer from 1 to 600")
    return Channel(name, url, rate)


def _grade(name: str, table: Mapping[str, Any], channels: Mapping[str, Channel]) -> Grade:
    place = f"severity.{name}"
    _known(table, f"{place}.", ("channels", "repeat_every", "escalate_after", "escalate_to"))

    def names(key: str) -> tuple[str, ...]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(
            isinstance(one, str) and one in channels for one in value
        ):
            known = ", ".join(channels) or "none yet"
            # Without the value: an address may stand there in the place of a channel's name.
            raise ConfigError(
                f"{place}.{key}", "something else", f"a list of channels; there are: {known}"
            )
        return tuple(value)

    made = Grade(
        names("channels"), _span(table, place, "repeat_every"),
        _span(table, place, "escalate_after"), names("escalate_to"),
    )  # fmt: skip
    if bool(made.escalate_ns) != bool(made.escalate_to):
        raise ConfigError(f"{place}.escalate_after", "one of two", "both it and escalate_to")
    if 0 < made.repeat_ns < MINUTE_NS:
        raise ConfigError(f"{place}.repeat_every", table["repeat_every"], "a minute or more")
    return made


def _rule(name: str, table: Mapping[str, Any]) -> RuleFile:
    place, usual = f"rule.{name}", RULES[name]
    # Each rule takes only the keys that change something in it.
    keys = ["enabled"]
    keys += ["severity"] if name != "drawdown" else []
    keys += ["after"] if usual.after_ns else []
    keys += ["below"] if name == "disk_low" else []
    keys += ["percent"] if usual.most and name != "disk_low" else []
    _known(table, f"{place}.", tuple(keys))
    enabled = table.get("enabled", True)
    if not isinstance(enabled, bool):
        raise ConfigError(f"{place}.enabled", enabled, "true or false")
    severity = table.get("severity", usual.severity)
    if severity not in SEVERITIES:
        raise ConfigError(f"{place}.severity", severity, f"one of {', '.join(SEVERITIES)}")
    most = usual.most
    if "below" in table:
        most = _parsed(parse_bytes, table, place, "below", "a size such as 2GiB")
    if "percent" in table:
        most = table["percent"]
        if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= 100:
            raise ConfigError(f"{place}.percent", most, "an integer from 1 to 100")
    after_ns = _span(table, place, "after") if "after" in table else usual.after_ns
    return RuleFile(severity, usual.text, after_ns, most, enabled)


def _span(table: Mapping[str, Any], place: str, key: str) -> int:
    if key not in table:
        return 0
    allowed = "a span such as 30s or 15m"
    span_ns = _parsed(parse_duration_ns, table, place, key, allowed)
    if span_ns < 0:
        raise ConfigError(f"{place}.{key}", table[key], allowed)
    return span_ns


def _parsed(parse: Any, table: Mapping[str, Any], place: str, key: str, allowed: str) -> int:
    try:
        return int(parse(table[key]))
    except (ValueError, ConfigError):
        raise ConfigError(f"{place}.{key}", table[key], allowed) from None
