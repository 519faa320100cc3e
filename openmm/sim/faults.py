"""What can go wrong at a simulated venue, written down: rules from a file, or drawn from a seed.

A rule says what happens (`kind`), to which messages (`on`), and when. `sim/strikes.py` carries them
out. A script is TOML:

    seed = 7
    [[fault]]
    kind = "late"
    on = "ack.add"
    by = "300ms"
    every = "20s"
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

from openmm.config.values import parse_decimal, parse_duration_ns, parse_ppm
from openmm.errors import ConfigError
from openmm.events import SystemMode
from openmm.venues.kraken.dialect_faults import ACKS, CHANNELS, ORDER_REQUESTS, REQUESTS, REST_PATHS
from openmm.venues.kraken.dialect_text import MODE_TEXT

SECOND_NS: Final = 1_000_000_000
PPM: Final = 1_000_000
MODES: Final = {text: mode for mode, text in MODE_TEXT.items()}

SAID: Final = frozenset((*CHANNELS, *ACKS))
ASKED: Final = frozenset(REQUESTS.values())
REST: Final = frozenset(f"rest.{name}" for name in REST_PATHS)
ADDS: Final = ("add", "batch_add")
ENDS: Final = ("amend", "cancel", "batch_cancel")
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "ack": ACKS,
    "order": ORDER_REQUESTS,
    "rest": tuple(sorted(REST)),
}


@dataclass(frozen=True, slots=True)
class _Form:
    """What a kind of fault may strike, what it reads, and what it takes where nothing is said."""

    on: frozenset[str]  # empty: the venue itself
    default: tuple[str, ...]
    reads: frozenset[str]
    needs: frozenset[str] = frozenset()


def _form(
    on: frozenset[str], reads: str = "", needs: str = "", default: Sequence[str] = ()
) -> _Form:
    return _Form(
        on, tuple(default), frozenset((reads + " " + needs).split()), frozenset(needs.split())
    )


KINDS: Final[Mapping[str, _Form]] = {
    "late": _form(SAID | ASKED | REST, needs="by"),
    "lost": _form(SAID | ASKED, "seen"),
    "doubled": _form(SAID | ASKED, "seen"),
    "reordered": _form(SAID, "seen", "by"),
    "garbled": _form(SAID),
    "checksum": _form(frozenset({"book"}), default=("book",)),
    "lie": _form(
        frozenset({"balances", "rest.Balance", "rest.BalanceEx"}), needs="amount",
        default=("balances", "rest.Balance", "rest.BalanceEx"),
    ),
    "closed": _form(SAID | ASKED, "when"),
    "half_open": _form(SAID | ASKED),
    "refused": _form(ASKED | REST, "when", "text"),
    "status": _form(REST, "code when"),
    "timeout": _form(REST, "by when"),
    "forget": _form(frozenset(ADDS), default=ADDS),
    "fill": _form(frozenset(ENDS), "share by", default=ENDS),
    "mode": _form(frozenset(), needs="mode for"),
    "spike": _form(frozenset(), needs="share for"),
    "clock": _form(frozenset(), needs="offset for"),
    "tokens": _form(frozenset()),
}  # fmt: skip
TIMES: Final = frozenset({"at", "every", "chance", "count", "until", "for"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One fault. Spans count from the start of the venue.

    `on`: the kinds of messages it strikes; empty for the venue itself. `every_ns`: mean of the
    seeded exponential time between strikes; `chance_ppm`: of each message; neither: from `at_ns` on
    at the next `count` occasions. `for_ns`: once struck, every further message for this long; of
    what has a duration of its own (a mode, a half-open socket), its duration.
    """

    kind: str
    on: tuple[str, ...] = ()
    at_ns: int = 0
    every_ns: int | None = None
    chance_ppm: int | None = None
    count: int | None = None
    until_ns: int | None = None
    for_ns: int | None = None
    by_ns: int = 0
    seen: bool = False
    after: bool = False
    text: str = ""
    code: int = 503
    mode: SystemMode = SystemMode.ONLINE
    share_ppm: int = PPM // 2
    amount: Decimal = Decimal(0)
    offset_ns: int = 0

    @property
    def lasting(self) -> bool:
        """Whether `for_ns` is the duration of one strike."""
        return not self.on or self.kind == "half_open"


@dataclass(frozen=True, slots=True)
class FaultScript:
    """Every fault of a session, and the seed of its chances."""

    rules: tuple[Rule, ...]
    seed: int = 0
    drawn: bool = False  # by `chaos`


# ---- reading


def load_script(path: Path) -> FaultScript:
    """Read a script from a file.

    Raises:
        ConfigError: it cannot be read, is no TOML, or a key or value in it is not right.
    """
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("sim.faults", str(path), f"a file that can be read ({error})") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError("sim.faults", str(path), f"a TOML file ({error})") from None
    return parse_script(body)


def parse_script(body: Mapping[str, Any]) -> FaultScript:
    """Check a script.

    Raises:
        ConfigError: a key or value is not right; it names both and says what is allowed.
    """
    for name in body:
        if name not in ("seed", "fault"):
            raise ConfigError(name, body[name], "only seed and [[fault]] tables")
    seed = body.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ConfigError("seed", seed, "a whole number, 0 or more")
    tables = body.get("fault", [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise ConfigError("fault", tables, "[[fault]] tables")
    rules = tuple(parse_rule(one, f"fault[{index}]") for index, one in enumerate(tables))
    return FaultScript(rules, seed)


def parse_rule(body: Mapping[str, Any], path: str = "fault") -> Rule:
    """Check one rule.

    Raises:
        ConfigError: a key or value is not right.
    """
    kind = body.get("kind")
    form = KINDS.get(kind) if isinstance(kind, str) else None
    if form is None or not isinstance(kind, str):
        raise ConfigError(f"{path}.kind", kind, f"one of {', '.join(KINDS)}")
    allowed = {"kind"} | TIMES | form.reads | ({"on"} if form.on else set())
    for name in body:
        if name not in allowed:
            raise ConfigError(
                f"{path}.{name}", body[name], f"for {kind}: {', '.join(sorted(allowed))}"
            )
    for name in sorted(form.needs):
        if name not in body:
            raise ConfigError(f"{path}.{name}", "nothing", f"a value: {kind} needs it")
    values: dict[str, Any] = {"kind": kind, "on": _on(body, form, path), "after": kind == "timeout"}
    if kind == "timeout":
        values["by_ns"] = 10 * SECOND_NS
    for name, value in body.items():
        if name not in ("kind", "on"):
            field, read = _READERS[name]
            try:
                values[field] = read(value)
            except ValueError as error:
                raise ConfigError(f"{path}.{name}", value, str(error)) from None
    rule = Rule(**values)
    if rule.every_ns is not None and rule.chance_ppm is not None:
        raise ConfigError(f"{path}.chance", body["chance"], "every or chance, not both")
    if rule.chance_ppm is not None and not form.on:
        raise ConfigError(f"{path}.chance", body["chance"], f"for {kind}: at or every")
    if rule.count is None and rule.every_ns is None and rule.chance_ppm is None:
        rule = replace(rule, count=1)
    return rule


def _on(body: Mapping[str, Any], form: _Form, path: str) -> tuple[str, ...]:
    told = body.get("on", list(form.default))
    names = [told] if isinstance(told, str) else told
    choices = f"one or more of {', '.join(sorted(form.on | _groups(form)))}"
    if not isinstance(names, list) or (form.on and not names):
        raise ConfigError(f"{path}.on", told, choices)
    found: dict[str, None] = {}
    for name in names:
        kinds = GROUPS.get(name, (name,)) if isinstance(name, str) else ()
        if not kinds or not form.on.issuperset(kinds):
            raise ConfigError(f"{path}.on", name, choices)
        found |= dict.fromkeys(kinds)
    return tuple(found)


def _groups(form: _Form) -> frozenset[str]:
    return frozenset(name for name, kinds in GROUPS.items() if form.on.issuperset(kinds))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError('the venue\'s error text, such as "EService:Busy"')
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("a whole number, 1 or more")
    return value


def _code(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 400 <= value <= 599:
        raise ValueError("an HTTP status, 400 to 599")
    return value


def _when(value: object) -> bool:
    if value not in ("before", "after"):
        raise ValueError("before or after (the venue acts)")
    return value == "after"


def _mode(value: object) -> SystemMode:
    if not isinstance(value, str) or value not in MODES:
        raise ValueError(f"one of {', '.join(MODES)}")
    return MODES[value]


def _chance(value: object) -> int:
    ppm = parse_ppm(value)
    if not 0 < ppm <= PPM:
        raise ValueError("above 0% up to 100%")
    return ppm


def _share(value: object) -> int:
    ppm = parse_ppm(value)
    if not -PPM < ppm <= PPM or ppm == 0:
        raise ValueError("above -100% up to 100%, not 0")
    return ppm


def _span(value: object) -> int:
    span_ns = parse_duration_ns(value)
    if span_ns < 0:
        raise ValueError("a duration, 0 or more")
    return span_ns


def _positive(value: object) -> int:
    span_ns = _span(value)
    if span_ns == 0:
        raise ValueError("a duration above 0")
    return span_ns


def _offset(value: object) -> int:
    sign = -1 if isinstance(value, str) and value.startswith("-") else 1
    return sign * parse_duration_ns(value.lstrip("+-") if isinstance(value, str) else value)


_READERS: Final[Mapping[str, tuple[str, Callable[[object], Any]]]] = {
    "at": ("at_ns", _span),
    "every": ("every_ns", _positive),
    "chance": ("chance_ppm", _chance),
    "count": ("count", _count),
    "until": ("until_ns", _positive),
    "for": ("for_ns", _positive),
    "by": ("by_ns", _positive),
    "seen": ("seen", _flag),
    "when": ("after", _when),
    "text": ("text", _text),
    "code": ("code", _code),
    "mode": ("mode", _mode),
    "share": ("share_ppm", _share),
    "amount": ("amount", parse_decimal),
    "offset": ("offset_ns", _offset),
}

# ---- drawing

_EXECUTIONS = ("executions",)
_REPORTS = ("executions", "balances")
_POST_ONLY = "EOrder:Post only order"
# Everything at once: what happens, and the mean seconds between two of it.
CHAOS: Final[tuple[tuple[float, Rule], ...]] = tuple(
    (every_s, Rule(kind, tuple(on), **more))
    for every_s, kind, on, more in (
        (40, "late", ACKS, {"by_ns": 400_000_000}),
        (120, "late", ACKS, {"by_ns": 7_000_000_000}),
        (60, "late", ORDER_REQUESTS, {"by_ns": 300_000_000}),
        (90, "late", _REPORTS, {"by_ns": 800_000_000}),
        (120, "late", ("book",), {"by_ns": 1_500_000_000}),
        (90, "lost", ACKS, {}),
        (150, "lost", ORDER_REQUESTS, {}),
        (150, "lost", _EXECUTIONS, {}),
        (240, "lost", _REPORTS, {"seen": True}),
        (150, "lost", ("book",), {}),
        (300, "lost", ("trade", "heartbeat", "status"), {}),
        (60, "doubled", ACKS, {}),
        (60, "doubled", _REPORTS, {}),
        (300, "doubled", _REPORTS, {"seen": True}),
        (120, "doubled", ("book", "trade"), {}),
        (60, "reordered", _EXECUTIONS, {"by_ns": 200_000_000}),
        (180, "reordered", _EXECUTIONS, {"by_ns": 4_000_000_000}),
        (300, "reordered", _REPORTS, {"by_ns": 100_000_000, "seen": True}),
        (90, "reordered", ACKS, {"by_ns": 150_000_000}),
        (240, "reordered", ("book",), {"by_ns": 20_000_000}),
        (300, "garbled", ("executions", "book", "ack.add"), {}),
        (240, "checksum", ("book",), {}),
        (300, "closed", ORDER_REQUESTS, {}),
        (300, "closed", ORDER_REQUESTS, {"after": True}),
        (400, "closed", ("book",), {}),
        (500, "half_open", (*ORDER_REQUESTS, "executions"), {"for_ns": 20_000_000_000}),
        (600, "half_open", ("book",), {"for_ns": 20_000_000_000}),
        (400, "half_open", ("executions",), {"for_ns": 3_000_000_000}),
        (240, "refused", ADDS, {"text": _POST_ONLY, "for_ns": 3_000_000_000}),
        (240, "refused", ("cancel", "batch_cancel"), {"text": "EService:Unavailable"}),
        (240, "refused", ("amend",), {"text": "EGeneral:Internal error", "after": True}),
        (240, "refused", ADDS, {"text": "EService:Unavailable", "after": True}),
        (300, "refused", ORDER_REQUESTS, {"text": "EOrder:Rate limit exceeded"}),
        (200, "status", GROUPS["rest"], {"code": 502, "for_ns": 1_000_000_000}),
        (300, "status", GROUPS["rest"], {"code": 429, "for_ns": 2_000_000_000}),
        (200, "timeout", GROUPS["rest"], {"by_ns": 10_000_000_000, "after": True}),
        (200, "late", GROUPS["rest"], {"by_ns": 3_000_000_000}),
        (300, "refused", GROUPS["rest"], {"text": "EAPI:Rate limit exceeded"}),
        (300, "forget", ADDS, {}),
        (25, "fill", ENDS, {"share_ppm": 500_000}),
        (45, "fill", ENDS, {"share_ppm": 500_000, "by_ns": 300_000_000}),
        (90, "fill", ENDS, {"share_ppm": 1_000_000, "by_ns": 2_000_000_000}),
        (700, "mode", (), {"mode": SystemMode.MAINTENANCE, "for_ns": 15_000_000_000}),
        (600, "mode", (), {"mode": SystemMode.CANCEL_ONLY, "for_ns": 8_000_000_000}),
        (600, "mode", (), {"mode": SystemMode.POST_ONLY, "for_ns": 8_000_000_000}),
        (500, "spike", (), {"share_ppm": 8_000, "for_ns": 4_000_000_000}),
        (600, "spike", (), {"share_ppm": -8_000, "for_ns": 2_000_000_000}),
        (900, "clock", (), {"offset_ns": 4_000_000_000, "for_ns": 70_000_000_000}),
        (700, "tokens", (), {}),
        (400, "lie", ("balances",), {"amount": Decimal("0.01")}),
        (600, "lie", ("rest.Balance", "rest.BalanceEx"), {"amount": Decimal("0.00001")}),
        (1500, "lie", ("rest.Balance", "rest.BalanceEx"), {"amount": Decimal("0.5")}),
    )
)  # fmt: skip


def chaos(seed: int) -> FaultScript:
    """Draw a script of every fault: how often each strikes differs from seed to seed."""
    rng = Random(f"chaos:{seed}")
    rules = tuple(
        replace(rule, every_ns=round(every_s * rng.uniform(0.6, 1.6) * SECOND_NS))
        for every_s, rule in CHAOS
    )
    return FaultScript(rules, seed, drawn=True)
