"""Gates: a measured ratio or count against its limit, from a table with reasons.

A gate file is TOML, one table a gate:

    ["book/ladder/sorteddict/25"]
    at_least = 30.0
    reason = "one level update against a SortedDict of ints, 25 deep"

Counts of instructions have a file of their own, with the compiler they were recorded with:

    compiler = "gcc (Debian 12.2.0) 12.2.0"
    [counts]
    "instructions/tape_append" = 109.0

A count passes up to 3% above what was recorded; with another compiler, up to 25%.

A suite is a function that measures and returns {gate name: value}. Only ratios within one run and
instruction counts make good gates. A missed gate has its suite measured again, up to three times,
before it counts as missed: noise can fail a gate once, a regression fails it every time.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import SubprocessError

from openmm.errors import ConfigError

Suite = Callable[[], Mapping[str, float]]
TRIES = 3
# What a process that a suite starts, or waits for, does not do on a machine that is busy.
FAILURES = (OSError, RuntimeError, SubprocessError)
HEADROOM = 1.03
HEADROOM_OTHER_COMPILER = 1.25


@dataclass(frozen=True, slots=True)
class Gate:
    """One limit. `value` passes when it is on the right side of it, the limit included."""

    name: str
    limit: float
    at_least: bool
    reason: str

    def passes(self, value: float) -> bool:
        """Whether a measured value is within the limit; NaN never is."""
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True, slots=True)
class Outcome:
    """A gate and what was measured; `value` None: no suite measured it, which is a miss."""

    gate: Gate
    value: float | None
    tries: int

    @property
    def passed(self) -> bool:
        """Whether the gate holds."""
        return self.value is not None and self.gate.passes(self.value)


def load_gates(path: Path) -> dict[str, Gate]:
    """Read a gate file.

    Raises:
        ConfigError: unreadable, or a gate without exactly one limit and a reason.
    """
    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(str(path), str(error), "a readable TOML file") from error
    gates: dict[str, Gate] = {}
    for name, table in tables.items():
        known = {"at_least", "at_most", "reason"}
        if not isinstance(table, dict) or set(table) - known:
            raise ConfigError(f"{path.name}: {name}", table, f"a table of {sorted(known)}")
        limits = [key for key in ("at_least", "at_most") if key in table]
        if len(limits) != 1 or not isinstance(table[limits[0]], int | float):
            raise ConfigError(f"{path.name}: {name}", table, "one limit, at_least or at_most")
        if not str(table.get("reason", "")).strip():
            raise ConfigError(f"{path.name}: {name}", table, "a reason")
        gates[name] = Gate(name, float(table[limits[0]]), limits[0] == "at_least", table["reason"])
    return gates


def load_counts(path: Path, compiler: str) -> dict[str, Gate]:
    """Read recorded instruction counts as gates for code built by `compiler`.

    Raises:
        ConfigError: unreadable, or not of the form above.
    """
    try:
        table = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(str(path), str(error), "a readable TOML file") from error
    recorded, counts = table.get("compiler"), table.get("counts")
    if set(table) != {"compiler", "counts"} or not isinstance(recorded, str):
        raise ConfigError(path.name, sorted(table), "compiler and counts")
    if not isinstance(counts, dict) or not counts:
        raise ConfigError(f"{path.name}: counts", counts, "a table of counts")
    same = recorded == compiler
    room = HEADROOM if same else HEADROOM_OTHER_COMPILER
    built = "the same compiler" if same else f"{compiler}, not {recorded}"
    gates = {}
    for name, count in counts.items():
        if not isinstance(count, int | float) or not count > 0:
            raise ConfigError(f"{path.name}: {name}", count, "a positive number")
        reason = f"{count:,.1f} instructions were recorded; built with {built}"
        gates[name] = Gate(name, count * room, at_least=False, reason=reason)
    return gates


def write_counts(path: Path, compiler: str, counts: Mapping[str, float]) -> None:
    """Record instruction counts as `load_counts` reads them."""
    lines = [
        "# Instructions under callgrind; see docs/benchmarks.md for how to record them afresh.",
        f'compiler = "{compiler}"',
        "",
        "[counts]",
        *(f'"{name}" = {count:.1f}' for name, count in sorted(counts.items())),
    ]
    path.write_text("\n".join(lines) + "\n")


def run_gates(
    gates: Mapping[str, Gate],
    suites: Sequence[Suite],
    *,
    on_suite: Callable[[str, int], None] | None = None,
    on_failed: Callable[[str, int, Exception], None] | None = None,
) -> tuple[list[Outcome], dict[str, float]]:
    """Measure every suite and hold it against the gates.

    Args:
        on_suite: told the suite's name and the try, before it is measured.
        on_failed: told of a suite that could not be measured (`FAILURES`): it is tried again like a
            miss, and the other suites are measured. Without it the error ends the run.

    Returns:
        The outcomes in the order of the gates, and the values no gate asks for (reported only).
    """
    found: dict[str, tuple[float, int]] = {}
    extra: dict[str, float] = {}
    for suite in suites:
        for attempt in range(1, TRIES + 1):
            told = suite.__module__.rsplit(".", 1)[-1] + "." + suite.__name__
            if on_suite is not None:
                on_suite(told, attempt)
            missed = False
            try:
                values = suite()
            except FAILURES as error:
                if on_failed is None:
                    raise
                on_failed(told, attempt, error)
                continue
            for name, value in values.items():
                if name not in gates:
                    extra[name] = value
                elif name not in found or not gates[name].passes(found[name][0]):
                    found[name] = (value, attempt)
                    missed = missed or not gates[name].passes(value)
            if not missed:
                break
    outcomes = []
    for name, gate in gates.items():
        measured, tries = found.get(name, (None, 0))
        outcomes.append(Outcome(gate, measured, tries))
    return outcomes, extra
