"""Bots and variants of them over spans of data: what each came to, told side by side."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from openmm.backtest.columns import Outcome, run
from openmm.backtest.gather import MADE, Span, label_of, quoted_first
from openmm.backtest.lookahead import LookAhead, look_ahead
from openmm.backtest.measures import Measures, measure
from openmm.backtest.model import Model
from openmm.backtest.stretches import net_error
from openmm.config import BotConfig, load, parse
from openmm.data.events import Events
from openmm.data.integrity import clocks_told
from openmm.errors import ConfigError, ConfigErrors

LIMITS: Final = (
    "What it leaves out: our orders' effect on others, hidden orders, an exchange's queueing of "
    "requests. The venue sees the market when the recorder did: the way of the news belongs to the "
    "delay of orders. A few minutes of one market say little of the next ones."
)
QUEUE_TOLD: Final[Mapping[str, str]] = {
    "careful": "what is cancelled there is taken to have stood behind it",
    "power": (
        "of what is cancelled there the part f(ahead) / (f(ahead) + f(behind)) stood in front, "
        "f(x) = x^{power}"
    ),
    "log": (
        "of what is cancelled there the part f(ahead) / (f(ahead) + f(behind)) stood in front, "
        "f(x) = log(1 + x)"
    ),
}
NOTHING: Final = "nothing was quoted"  # of a run's problems
# Between changes of one variant: values may hold commas, keys hold none.
_NEXT = re.compile(r",(?=[\w.]+=)")
_NUMBER = re.compile(r"-?\d+", re.ASCII)
# (what is run, events dealt with, events in all)
Progress = Callable[[str, int, int], None]


@final
@dataclass(frozen=True, slots=True)
class Variant:
    """A bot's configuration under a name of its own."""

    label: str
    config: BotConfig


@final
@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One run.

    Args:
        seconds: that it took, the tables' making included.
        problems: why its figures say nothing: nothing was quoted.
        notes: what to know when reading them.
        look_ahead: what the check found; None: it was not asked for.
    """

    label: str
    span: Span
    config: BotConfig
    outcome: Outcome
    measures: Measures
    seconds: float
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    look_ahead: LookAhead | None = None

    @property
    def failed(self) -> bool:
        """Whether its figures say nothing, or a look ahead made them."""
        return bool(self.problems) or (self.look_ahead is not None and not self.look_ahead.good)

    @property
    def events_per_s(self) -> float:
        """Return events dealt with per second of computing."""
        return self.outcome.events / self.seconds if self.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain values, amounts as exact text."""
        one = self.outcome
        off = net_error(self.measures)
        checked = None if self.look_ahead is None else self.look_ahead.to_json()
        return {
            "run": self.label, "span": self.span.name, "markets": list(one.markets),
            "model": one.model.to_json(), "took_s": self.seconds,
            "events_per_s": self.events_per_s, "problems": list(self.problems),
            "notes": list(self.notes), "look_ahead": checked,
            "net_error": None if off is None else off.to_json(), **self.measures.to_json(),
        }  # fmt: skip


def variants(paths: Sequence[Path], changes: Sequence[str]) -> list[Variant]:
    """Return each bot as its file has it, and once more for each set of changes.

    Args:
        changes: `KEY=VALUE`, several with commas between; keys as in the file with dots, such as
            `strategy.spread=4bps`; of a list of tables the place: `venue.0.maker_fee=0%`.

    Raises:
        ConfigError: a change is none, a file is wrong, or two bots have one name.
    """
    found = []
    for path in paths:
        config = load(path)
        found.append(Variant(config.bot.name, config))
        found += [_changed(path, config.bot.name, one) for one in changes]
    labels = [one.label for one in found]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError("bot.name", label, "a name of its own for each bot")
    return found


def _changed(path: Path, name: str, text: str) -> Variant:
    settings = []
    for one in _NEXT.split(text):
        key, mark, value = one.partition("=")
        if not mark or not key.strip() or not value.strip():
            raise ConfigError("--set", text, "KEY=VALUE, such as strategy.spread=4bps")
        settings.append((key.strip(), value.strip()))
    keys = [key for key, _ in settings]
    for key in keys:
        if keys.count(key) > 1:
            raise ConfigError("--set", text, f"{key} once; another --set is another variant")
    told = " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in settings)
    source = f"{path} with {text}"
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    try:
        config = _parsed(data, settings, source, path.parent)
    except ConfigErrors as error:
        # Keys that hold texts take digits as well.
        bad = {one.path.replace("[", ".").replace("]", "") for one in error.errors}
        if not any(key in bad and _NUMBER.fullmatch(value) for key, value in settings):
            raise
        config = _parsed(data, settings, source, path.parent, texts=bad)
    return Variant(f"{name} {told}", config)


def _parsed(
    data: Mapping[str, Any], settings: Sequence[tuple[str, str]], source: str, folder: Path,
    texts: AbstractSet[str] = frozenset(),
) -> BotConfig:  # fmt: skip
    made: Any = dict(data)
    for key, text in settings:
        value: Any = {"true": True, "false": False}.get(text, text)
        if key not in texts and _NUMBER.fullmatch(text):
            value = int(text)
        made = _with(made, key, key.split("."), value)
    return parse(made, source=source, folder=folder)


def _with(data: Any, key: str, parts: Sequence[str], value: Any) -> Any:
    """Return a copy of tables with one value in it."""
    name, *rest = parts
    if isinstance(data, list):
        if not (name.isascii() and name.isdigit()) or int(name) >= len(data):
            allowed = f"a key with a place from 0 to {len(data) - 1} in it"
            raise ConfigError("--set", key, allowed)
        copy = list(data)
        copy[int(name)] = _with(data[int(name)], key, rest, value) if rest else value
        return copy
    if not isinstance(data, Mapping):
        raise ConfigError("--set", key, "a key of a table")
    return {**data, name: _with(data.get(name, {}), key, rest, value) if rest else value}


def run_all(
    found: Sequence[Variant], spans: Sequence[Span], model_of: Callable[[BotConfig], Model],
    clock: Callable[[], float], on_progress: Progress | None = None, *, checked: bool = False,
) -> list[Trial]:  # fmt: skip
    """Run every variant over every span; by span, then by variant.

    Args:
        model_of: what is assumed of the venue, by bot.
        clock: seconds, for how long a run took.
        checked: look for a look ahead in each run as well.

    Raises:
        ConfigError: a bot does not fit the data.
    """
    made = []
    # What a bot does not fit is told before the first one runs.
    seated = [[quoted_first(span, one.config) for one in found] for span in spans]
    for whole, own in zip(spans, seated, strict=True):
        for one, span in zip(found, own, strict=True):
            told = None
            if on_progress is not None:
                events = span.count

                def told(done: int, label: str = one.label, events: int = events) -> None:
                    assert on_progress is not None
                    on_progress(label, done, events)

                told(0)
            begin = clock()
            outcome = run(one.config, span.markets, model_of(one.config), told)
            seconds = clock() - begin
            problems, notes = _remarks(one.config, span, outcome)
            ahead = None
            if checked:
                ahead = look_ahead(one.config, span.columns("--look-ahead"), outcome.model)
            made.append(
                Trial(
                    one.label, whole, one.config, outcome, measure(outcome), seconds, problems,
                    notes, ahead,
                )
            )  # fmt: skip
    return made


def _remarks(
    config: BotConfig, span: Span, outcome: Outcome
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    problems = [one for one in outcome.problems if one.startswith(NOTHING)]
    notes = [one for one in outcome.problems if not one.startswith(NOTHING)]
    own = f"{config.quoted.name} {config.quoted.pair}"
    quoted, *watched = outcome.markets
    if quoted != own:
        notes.append(f"{quoted} was quoted as if it were {own}")
    base, bots = outcome.instrument.base, config.quoted.pair.partition("/")[0]
    if base != bots:
        notes.append(
            f"another pair than the bot's: amounts and limits of its file, meant in {bots}, "
            f"counted in {base}"
        )
    if watched:
        notes.append(f"watched beside it: {', '.join(watched)}")
    labels = [label_of(one) for one in span.markets]
    unused = [one for one in labels if one not in outcome.markets]
    if unused:
        notes.append(f"no [[venue]] of the bot watches {', '.join(unused)}: left out")
    if outcome.left_out:
        notes.append(f"not in the data: {', '.join(outcome.left_out)}")
    if outcome.crossed:
        notes.append(f"the book was not whole after {outcome.crossed:,} messages: nothing stood")
    if outcome.halted:
        notes.append("halted by the risk layer before the end")
    if outcome.closing[0] != outcome.opening[0] and not outcome.closing_spread_ticks:
        notes.append("no whole book at the end: flattened by the taker fee alone")
    if outcome.open_orders:
        notes.append(f"{outcome.open_orders} orders were open when all answers had come")
    pretended = {one.label for one in span.pieces if one.verdict == MADE}
    clocks = clocks_told(
        [
            one for one in span.markets
            if isinstance(one, Events) and one.market.label not in pretended
        ]
    )  # fmt: skip
    notes += [clocks] if clocks else []
    notes += [f"{one.name} is broken: {'; '.join(one.problems)}" for one in span.broken]
    return tuple(problems), tuple(notes)


def assumptions(models: Sequence[Model]) -> str:
    """Say by what orders are filled: for every figure stands beside it."""
    return " ".join(_assumed(one) for one in dict.fromkeys(models))


def _assumed(model: Model) -> str:
    queue = QUEUE_TOLD[model.queue].format(power=model.power)
    cadence = "with each message" if not model.every_ns else f"every {_span(model.every_ns)}"
    late = (
        ""
        if model.as_received
        else (
            " The venue has a trade when it was made, though it is told after a book that holds it."
        )
    )
    impact = ""
    if model.impact_ns:
        impact = f" What we took of a level stays missing for {_span(model.impact_ns)}."
    orders = _delays(model.orders_ns, _how(model, model.orders_from_ns))
    answers = _delays(model.answers_ns, _how(model, model.answers_from_ns))
    return (
        "Fill model: our orders rest in the recorded book and change nothing in it. An order "
        f"stands behind all that is shown at its price when it arrives; {queue}. It is filled by "
        "a trade through its price, up to the trade's quantity; by a trade at its price after the "
        "queue ahead has traded; and where the opposite best reaches its price, up to what is "
        f"shown there.{impact}{late} Orders take {orders}, answers {answers}; decisions are made "
        f"{cadence}."
    )


def _how(model: Model, moments_ns: Sequence[int]) -> str:
    if moments_ns:
        return "each at its moment"
    return "drawn from" if model.seed else "in turn"


def _delays(delays_ns: Sequence[int], how: str) -> str:
    if len(delays_ns) == 1:
        return _span(delays_ns[0])
    ordered = sorted(delays_ns)
    middle, high = ordered[(len(ordered) - 1) // 2], ordered[-(-len(ordered) * 99 // 100) - 1]
    return (
        f"{len(ordered):,} delays {how} (median {_span(middle)}, 99% within {_span(high)})"
    )  # fmt: skip


def _span(ns: int) -> str:
    return f"{ns / 1e9:g} s" if ns >= 1_000_000_000 else f"{ns / 1e6:g} ms"


def to_json(trials: Sequence[Trial], spans: Sequence[Span]) -> dict[str, Any]:
    """Return plain values; what is assumed stands beside the figures."""
    return {
        "assumptions": assumptions([one.outcome.model for one in trials]), "limits": LIMITS,
        "spans": [{"name": one.name, **one.to_json()} for one in spans],
        "runs": [one.to_json() for one in trials],
    }  # fmt: skip
