"""Which data a sweep runs over: files into spans of time, each a file that workers map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final, final

from openmm.backtest import gather
from openmm.backtest.columns import instrument_of, is_of
from openmm.config import BotConfig, instrument_errors
from openmm.data import store
from openmm.data.catalogue import ADJOINING_NS
from openmm.data.events import Events, finer
from openmm.data.store import SUFFIX, Header, Source
from openmm.errors import ConfigError, DataError
from openmm.sweep.plan import Part, Span, digest

EVENTS_MIN: Final = 2  # of a part: fewer are no market
PARTS_MAX: Final = 1_000
FOLDER: Final = "spans"  # below the sweep's own

Window = tuple[int, int]  # from, to: ns since 1970 UTC, the end not in it
Told = Callable[[str], None]
Rates = Sequence[tuple[str, str]]  # of `gather.with_rates`: pairs and what one of them is worth


@final
@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A file, what it says of itself, and its events, mapped."""

    path: Path
    header: Header
    events: Events

    @property
    def label(self) -> str:
        """Return what is traded where, such as `binance-usdm BTC/USDT`."""
        market = f"-{self.header.market}" if self.header.market else ""
        return f"{self.header.venue}{market} {self.header.pair}"

    @property
    def window(self) -> Window:
        """Return its time."""
        return self.header.first_ns, self.header.last_ns + 1


def opened(paths: Sequence[Path], told: Told | None = None) -> list[Opened]:
    """Open files and prove that they hold what their headers say, bit for bit.

    Raises:
        ConfigError: none, or one twice.
        DataError: one is damaged or holds no events.
    """
    if not paths:
        raise ConfigError("--data", "nothing", f"one file or more, {SUFFIX}")
    found: list[Opened] = []
    for path in paths:
        if told is not None:
            told(f"checking {path.name}")
        one = store.load(path)
        if store.digest(one.events) != one.header.content:
            raise DataError(
                path, "header, content", one.header.content, "the hash of what it holds"
            )
        if len(one) < EVENTS_MIN:
            raise DataError(path, "events", len(one), f"{EVENTS_MIN} or more")
        if any(one.header.content == other.header.content for other in found):
            raise ConfigError("--data", str(path), "each file's content once")
        found.append(Opened(path.absolute(), one.header, one.events))
    return sorted(found, key=lambda one: (one.header.first_ns, one.label, one.header.content))


def is_watched(config: BotConfig, events: Events) -> bool:
    """Tell whether the bot's file only watches a market."""
    return any(venue.quote is None and is_of(venue, events) for venue in config.venue)


def left_out(config: BotConfig, files: Sequence[Opened], rates: Rates = ()) -> list[str]:
    """Return the labels of venues that the bot's file watches and no file or rate is of."""
    held = {pair for pair, _ in rates}
    return [
        venue.label for venue in config.venue
        if venue.quote is None and venue.rate not in held
        and not any(is_of(venue, one.events) for one in files)
    ]  # fmt: skip


def refuse_rates(config: BotConfig, files: Sequence[Opened], rates: Rates) -> None:
    """Refuse rates that are none of the bot's, and a market that nothing converts.

    Raises:
        ConfigError: naming the pair, or the venue that needs a rate.
    """
    if rates:
        gather.with_rates(gather.Span((files[0].events,), ()), [config], rates)
    missing = left_out(config, files, rates)
    for venue in config.venue:
        if venue.label not in missing and venue.convert in missing:
            allowed = "a venue whose market the data holds, or a rate: --rate PAIR=NUMBER"
            raise ConfigError(f"venue.{venue.label}.convert", venue.convert, allowed)


def stood_in(config: BotConfig, files: Sequence[Opened]) -> list[str]:
    """Return the labels of markets that are quoted in the place of the bot's own."""
    return list(dict.fromkeys(
        one.label for one in files
        if not is_watched(config, one.events) and not is_of(config.quoted, one.events)
    ))  # fmt: skip


def carried_on(files: Sequence[Opened]) -> list[list[Opened]]:
    """Put files together that carry one market on within a minute, as a backtest does.

    One that overlaps those before it is a series of its own.
    """
    found: list[list[Opened]] = []
    for one in files:
        start_ns, _ = one.window
        for some in found:
            _, end_ns = some[-1].window
            same = some[-1].events.market.key == one.events.market.key
            if same and end_ns - 1 <= start_ns < end_ns + ADJOINING_NS:
                some.append(one)
                break
        else:
            found.append([one])
    return found


def window_of(files: Sequence[Opened]) -> Window:
    """Return the time of files that follow each other."""
    return files[0].window[0], files[-1].window[1]


def misfits(config: BotConfig, files: Sequence[Opened]) -> list[ConfigError]:
    """Return what is wrong with a bot's file by the rules of the markets it quotes, each once."""
    found: dict[str, ConfigError] = {}
    for one in files:
        if is_watched(config, one.events) or one.events.market.contract_size is not None:
            continue
        made = instrument_of(config.quoted.name, one.events, config.quoted.pair)
        quoted = config.quoted.model_copy(update={"quote": made.name})
        venues = tuple(quoted if venue is config.quoted else venue for venue in config.venue)
        for error in instrument_errors(config.model_copy(update={"venue": venues}), made):
            found.setdefault(str(error), error)
    return list(found.values())


def windows(covers: Sequence[Window], split: int) -> list[Window]:
    """Cut the time that series cover.

    Args:
        split: 0: what overlaps in time is one window; else into so many and one more, each with
            as much covered time.
    """
    covered: list[Window] = []
    for start, end in sorted(covers):
        if covered and start < covered[-1][1]:
            covered[-1] = covered[-1][0], max(end, covered[-1][1])
        else:
            covered.append((start, end))
    if not split:
        return covered
    total = sum(end - start for start, end in covered)
    edges = [covered[0][0]]
    for place in range(1, split + 1):
        left = total * place // (split + 1)
        for start, end in covered:
            if left < end - start:
                edges.append(start + left)
                break
            left -= end - start
    edges.append(covered[-1][1])
    return list(pairwise(edges))


def spans(
    config: BotConfig, files: Sequence[Opened], folder: Path, split: int, told: Told | None = None,
    rates: Rates = (),
) -> list[Span]:  # fmt: skip
    """Return what runs are over: each market that the bot does not only watch, from its first file
    to the last that carries it on. Windows cut no run: they are the slices that it is told by.

    What is not a whole file in the venue's steps is written below `folder`, once, behind the book
    that it meets: all processes map the same pages then, and none makes them again. Files of one
    market within a span are one series, as in a backtest, and rates are held as there.

    Raises:
        ConfigError: all files are of markets that the bot only watches, two of one such market
            overlap, or one of the others is of contracts that cannot be quoted.
        DataError: a part cannot be written.
    """
    quoted = [one for one in files if not is_watched(config, one.events)]
    watched = [one for one in files if is_watched(config, one.events)]
    if not quoted:
        labels = ", ".join(dict.fromkeys(one.label for one in files))
        raise ConfigError("--data", labels, "a market that the bot's file does not only watch")
    for one in quoted:
        if (size := one.events.market.contract_size) is not None:
            allowed = (
                "a market whose quantities are of its base, or a [[venue]] that watches this one: "
                f"its contracts are worth {size} of its quote currency"
            )
            raise ConfigError("--data", one.label, allowed)
    by_market: dict[tuple[str, str, str], list[Opened]] = {}
    for one in watched:
        by_market.setdefault(one.events.market.key, []).append(one)
    together = carried_on(quoted)
    edges = windows([window_of(some) for some in together], split)
    found = []
    for some in together:
        window = start_ns, end_ns = window_of(some)
        part = series(config, some, window, folder, told)
        if part is None:
            continue
        beside = [series(config, other, window, folder, told) for other in by_market.values()]
        parts = (part, *(other for other in beside if other is not None))
        parts = (*parts, *held(config, parts, rates, folder))
        place = max(at for at, (begin, _) in enumerate(edges) if begin <= start_ns)
        cuts = tuple(begin for begin, _ in edges if start_ns < begin < end_ns)
        found.append(Span(place, start_ns, end_ns, parts, cuts))
    if len(found) > PARTS_MAX:
        raise ConfigError("--data", f"{len(found):,} spans", f"{PARTS_MAX:,} at most")
    return found


def most(config: BotConfig, files: Sequence[Opened], split: int) -> tuple[int, int]:
    """Return how many spans there will be at most, and slices of them; nothing is written."""
    together = carried_on([one for one in files if not is_watched(config, one.events)])
    times = [window_of(some) for some in together]
    edges = windows(times, split) if times else []
    slices = sum(
        1 for start_ns, end_ns in times for begin, end in edges if start_ns < end and begin < end_ns
    )
    return len(together), slices


def in_steps(config: BotConfig, events: Events) -> Events:
    """Return events in the ticks and lots of the venue that they are run at."""
    venue = next((one for one in config.venue if is_of(one, events)), config.quoted)
    own = config.quoted.pair if venue is config.quoted else ""
    made, market = instrument_of(venue.name, events, own), events.market
    if (made.tick_size, made.lot_size) == (market.tick_size, market.lot_size):
        return events
    return finer(events, replace(market, tick_size=made.tick_size, lot_size=made.lot_size))


def cut(
    config: BotConfig, one: Opened, window: Window, folder: Path, told: Told | None = None
) -> Part | None:
    """Return a file's part within a window, written unless it can be mapped as it is.

    None: there are no events in it.
    """
    header = one.header
    begin, end = max(one.window[0], window[0]), min(one.window[1], window[1])
    if begin >= end:
        return None
    whole = (begin, end) == one.window
    steps = in_steps(config, one.events.cut(0, 0)).market
    if whole and steps == one.events.market:
        return Part(str(one.path), header.content, one.label, header.events)
    lots = f"{begin}-{end}-{steps.tick_size}-{steps.lot_size}"
    path = folder / FOLDER / f"{one.path.stem}-{header.content[:12]}-{lots}{SUFFIX}"
    if not is_sound(path):
        if told is not None:
            told(f"writing {path.name}")
        events = in_steps(config, one.events if whole else one.events.opened(begin, end))
        if len(events) < EVENTS_MIN:
            return None
        _make_folder(path.parent)
        source = Source(one.path.name, header.content, one.path.stat().st_size)
        store.write(path, events, sources=[source])
    return _part(path, one.label)


def series(
    config: BotConfig, files: Sequence[Opened], window: Window, folder: Path,
    told: Told | None = None,
) -> Part | None:  # fmt: skip
    """Return what files of one market hold within a window, as one series of events.

    None: there are no events in it.

    Raises:
        ConfigError: they overlap.
    """
    held = [one for one in files if one.window[0] < window[1] and window[0] < one.window[1]]
    if not held:
        return None
    if len(held) == 1:
        return cut(config, held[0], window, folder, told)
    contents = digest([one.header.content for one in held])[:12]
    steps = in_steps(config, held[0].events.cut(0, 0)).market
    lots = f"{window[0]}-{window[1]}-{steps.tick_size}-{steps.lot_size}"
    path = folder / FOLDER / f"{held[0].path.stem}-and-{len(held) - 1}-{contents}-{lots}{SUFFIX}"
    if not is_sound(path):
        if told is not None:
            told(f"writing {path.name}")
        cuts = [(one.path.name, one.events.opened(*window)) for one in held]
        pieces = [gather.Piece(*one, gather.UNCHECKED, ()) for one in cuts if len(one[1])]
        # As a backtest joins them: where the book is not carried on it is broken.
        events = in_steps(config, gather.one_series(pieces))
        if len(events) < EVENTS_MIN:
            return None
        _make_folder(path.parent)
        sources = [
            Source(one.path.name, one.header.content, one.path.stat().st_size) for one in held
        ]
        store.write(path, events, sources=sources)
    return _part(path, held[0].label)


def held(config: BotConfig, parts: Sequence[Part], rates: Rates, folder: Path) -> list[Part]:
    """Return the made markets of rates that a span's parts do not hold, written once as well."""
    if not rates:
        return []
    known = [store.load(Path(part.path)).events for part in parts]
    made = gather.with_rates(gather.Span(tuple(known), ()), [config], rates)
    found = []
    for events in made.columns("--rate")[len(known) :]:
        market = events.market
        name = digest([market.key, rates, [part.content for part in parts]])[:24]
        path = folder / FOLDER / f"rate-{market.pair.replace('/', '-')}-{name}{SUFFIX}"
        if not is_sound(path):
            _make_folder(path.parent)
            store.write(path, events)
        found.append(_part(path, gather.label_of(events)))
    return found


def is_sound(path: Path) -> bool:
    """Tell whether a part that was written before is there and holds what it says, bit for bit."""
    if not path.exists():
        return False
    try:
        found = store.load(path)
        return store.digest(found.events) == found.header.content
    except DataError:
        return False


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(folder, "file", error.strerror, "a folder that can be made") from error


def _part(path: Path, label: str) -> Part:
    made = store.read_header(path)
    return Part(str(path.absolute()), made.content, label, made.events)
