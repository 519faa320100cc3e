"""What a backtest runs over: files and recordings as spans of time, their markets on one clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from openmm.backtest.columns import is_of
from openmm.config import BotConfig
from openmm.data import tardis
from openmm.data.catalogue import ADJOINING_NS, catalogue
from openmm.data.convert import read_files
from openmm.data.events import (
    ASK,
    BROKEN,
    CLEAR,
    LEVEL,
    MESSAGE_END,
    QUOTE,
    TRADE,
    Events,
    Market,
    finer,
    joined,
    plain,
    sealed,
    utc,
)
from openmm.data.integrity import BAD, DOUBTFUL, GOOD, examine, trades_told
from openmm.data.raw import Progress
from openmm.data.session import journal_of
from openmm.data.store import SUFFIX, load
from openmm.errors import ConfigError
from openmm.rerun.streams import Stream, recorded

SECOND_NS: Final = 1_000_000_000
# A book that is silent for longer between two files is not the one that was there.
STALE_NS: Final = SECOND_NS
UNCHECKED: Final = "not checked"
MADE: Final = "assumed"
STILL_DIGITS: Final = 6  # of a made rate, behind its first one
STILL_S: Final = 3600  # it is told on after an event; by then everything else is stale
NOT_THERE: Final = f"a {SUFFIX} file, a folder of them, or a recording: FILE or VENUE:FILE"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One file's or recording's events of one market.

    Args:
        name: as people are told.
        verdict: of its integrity report: `good`, `doubtful`, `broken`, or `not checked`.
        problems: what the report says is wrong.
        sources: files that it was read from, by digest.
        feed: place among those of one market in one recording: a bot may follow a pair twice.
    """

    name: str
    events: Events | Stream
    verdict: str
    problems: tuple[str, ...]
    sources: tuple[str, ...] = ()
    feed: int = 0

    @property
    def label(self) -> str:
        """Return what is traded where."""
        return label_of(self.events)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name, "market": self.label, "events": count_of(self.events),
            "first_ns": times_of(self.events)[0], "last_ns": times_of(self.events)[1],
            "verdict": self.verdict, "problems": list(self.problems),
        }  # fmt: skip


@final
@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """A stretch of time and its markets, a series of events each, or of messages as they came.

    What was named first is first.

    Args:
        chosen: the first market was named as the one to quote.
    """

    markets: tuple[Events | Stream, ...]
    pieces: tuple[Piece, ...]
    chosen: bool = False

    @property
    def start_ns(self) -> int:
        """Return the first receive time."""
        return min(times_of(one)[0] for one in self.markets)

    @property
    def end_ns(self) -> int:
        """Return the last receive time."""
        return max(times_of(one)[1] for one in self.markets)

    @property
    def name(self) -> str:
        """Return when it is, such as `2024-08-08 23:54:14, 650 s`."""
        begin = utc(self.start_ns).partition(".")[0].replace("T", " ")
        return f"{begin}, {(self.end_ns - self.start_ns) / SECOND_NS:,.0f} s"

    @property
    def about(self) -> str:
        """Return which markets, with their events."""
        return "; ".join(
            f"{label_of(one)}, {count_of(one):,} "
            f"{'messages' if isinstance(one, Stream) else 'events'}"
            for one in self.markets
        )

    @property
    def count(self) -> int:
        """Return how many events, or messages, there are."""
        return sum(count_of(one) for one in self.markets)

    def columns(self, option: str) -> list[Events]:
        """Return the markets, which have to be columns for what an option asks.

        Raises:
            ConfigError: they are messages.
        """
        made = [one for one in self.markets if isinstance(one, Events)]
        if len(made) < len(self.markets):
            raise ConfigError(option, "--frames", "columns: leave --frames out")
        return made

    @property
    def broken(self) -> list[Piece]:
        """Return the pieces whose integrity report says that they are broken."""
        return [one for one in self.pieces if one.verdict == BAD]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "start_ns": self.start_ns, "end_ns": self.end_ns,
            "markets": [
                {"market": label_of(one), "events": count_of(one)} for one in self.markets
            ],
            "pieces": [one.to_json() for one in self.pieces],
        }  # fmt: skip


def gather(
    texts: Sequence[str], pair: str = "", on_progress: Progress | None = None
) -> list[Span]:  # fmt: skip
    """Read what a command names, and put what belongs together together.

    Files of one market in one span become one series; where its book is not carried on it is broken
    until the next snapshot. Markets whose times overlap are one span.

    Args:
        texts: `.omd` files, folders of them, and recordings as `openmm data convert` takes them.
        pair: of recordings that hold several, only this one.

    Raises:
        ConfigError: nothing there, or files of one market that overlap.
        DataError, ProtocolError: a file is damaged.
    """
    if not texts:
        raise ConfigError("--data", "nothing", NOT_THERE)
    pieces = _pieces(texts, pair, on_progress)
    pieces = _apart([one for one in pieces if count_of(one.events)])
    if not pieces:
        raise ConfigError("--data", ", ".join(texts), "data with an event in it")
    pairs = sorted({_columns(one).market.pair for one in pieces})
    if pair and pair not in pairs:
        raise ConfigError("--pair", pair, f"one of {', '.join(pairs)}")
    places = {key: at for at, key in reversed(list(enumerate(_key(one) for one in pieces)))}
    spans = [_span(some, places) for some in _together(pieces)]
    return sorted(spans, key=lambda one: one.start_ns)


def label_of(one: Events | Stream) -> str:
    """Return what is traded where."""
    return one.label if isinstance(one, Stream) else one.market.label


def count_of(one: Events | Stream) -> int:
    """Return how many events, or messages, there are."""
    return len(one.records) if isinstance(one, Stream) else len(one)


def times_of(one: Events | Stream) -> tuple[int, int]:
    """Return the first and the last receive time."""
    if isinstance(one, Stream):
        return one.records[0].recv_ns, one.records[-1].recv_ns
    return int(one.recv_ns[0]), int(one.recv_ns[-1])


def need_recordings(option: str, texts: Sequence[str]) -> None:
    """Refuse columns where an option needs the messages that came.

    Raises:
        ConfigError: nothing, a store or a folder is named.
    """
    for text in texts or ("",):
        if not text or Path(text).suffix == SUFFIX or Path(text).is_dir():
            allowed = f"a recording, FILE or VENUE:FILE, with {option}"
            raise ConfigError("--data", text or "nothing", allowed)


def frames(texts: Sequence[str], pair: str = "") -> list[Span]:
    """Read recordings as the messages that came, not as columns; markets at one time are one span.

    Raises:
        ConfigError: nothing there, no recording, or several of one market at one time.
    """
    need_recordings("--frames", texts)
    made: list[list[Piece]] = []
    pieces = [Piece(one.about, one, UNCHECKED, ()) for one in (recorded(t, pair) for t in texts)]
    for piece in sorted(pieces, key=lambda one: times_of(one.events)[0]):
        if made and times_of(piece.events)[0] <= max(times_of(one.events)[1] for one in made[-1]):
            made[-1].append(piece)
        else:
            made.append([piece])
    spans = []
    for some in made:
        some.sort(key=pieces.index)
        spans.append(Span(tuple(one.events for one in some), tuple(some)))
    return spans


def cut(spans: Sequence[Span], start_ns: int, end_ns: int) -> list[Span]:
    """Return the parts received in [start_ns, end_ns), each market behind the book that was there.

    Raises:
        ConfigError: nothing was.
    """
    made = []
    for span in spans:
        kept = [one.opened(start_ns, end_ns) for one in span.columns("--from, --to")]
        kept = [one for one in kept if len(one)]
        if kept:
            pieces = tuple(
                one for one in span.pieces
                if times_of(one.events)[0] < end_ns and times_of(one.events)[1] >= start_ns
            )  # fmt: skip
            made.append(Span(tuple(kept), pieces))
    if not made:
        told = f"{utc(spans[0].start_ns)} to {utc(spans[-1].end_ns)}"
        raise ConfigError(
            "--from, --to", f"{utc(start_ns)} to {utc(end_ns)}", f"a part of the data, {told}"
        )
    return made


def first(span: Span, text: str) -> Span:
    """Return a span with the market first whose label begins so: `binance-spot`, say.

    Raises:
        ConfigError: no market of it, or several.
    """
    found = [one for one in span.markets if label_of(one).startswith(text)]
    if len(found) != 1:
        labels = ", ".join(map(label_of, span.markets))
        raise ConfigError("--quote", text, f"the beginning of one of {labels}")
    rest = [one for one in span.markets if one is not found[0]]
    return Span((found[0], *rest), span.pieces, chosen=True)


def quoted_first(span: Span, config: BotConfig) -> Span:
    """Return a span with the market first that a bot quotes.

    That is its own, or the one that was chosen; else the only one that can stand in for it: no
    venue of the bot's file watches it, and its quantities are of its base.

    Raises:
        ConfigError: there are several.
    """
    if span.chosen or any(is_of(config.quoted, one) for one in span.markets):
        return span
    made = {label_of(one.events) for one in span.pieces if one.verdict == MADE}
    found = [
        one for one in span.markets
        if label_of(one) not in made and contract_size(one) is None
        and not any(is_of(venue, one) for venue in config.venue)
    ]  # fmt: skip
    if len(found) > 1:
        raise ConfigError(
            "--quote", "not given",
            f"which of {', '.join(map(label_of, found))} to quote as {config.bot.name}'s "
            f"{config.quoted.name} {config.quoted.pair}, which the data do not hold",
        )  # fmt: skip
    rest = [one for one in span.markets if not found or one is not found[0]]
    return Span((*found, *rest), span.pieces)


def contract_size(one: Events | Stream) -> Decimal | None:
    """Return what a contract is worth in the quote currency; None: quantities are of the base."""
    return one.contract_size if isinstance(one, Stream) else one.market.contract_size


def with_rates(span: Span, configs: Sequence[BotConfig], rates: Sequence[tuple[str, str]]) -> Span:
    """Return a span with made markets for the bots' venues with `rate` that the data does not hold.

    Such a market stands still: one unit each side, a tick off the rate, told once a second.

    Args:
        rates: pairs and what one of them is worth.

    Raises:
        ConfigError: no bot has a venue with such a rate.
    """
    made: dict[tuple[str, str], Events] = {}
    for pair, number in rates:
        venues = {
            venue.name for one in configs for venue in one.venue if venue.rate == pair
        }  # fmt: skip
        if not venues:
            known = {venue.rate for one in configs for venue in one.venue if venue.rate}
            allowed = f"a pair that a [[venue]] has as rate: {', '.join(sorted(known)) or 'none'}"
            raise ConfigError("--rate", f"{pair}={number}", allowed)
        held = {(one.market.venue, one.market.pair) for one in span.columns("--rate")}
        for venue in sorted(venues):
            if (venue, pair) not in held:
                made[venue, pair] = _still(venue, pair, Decimal(number), span)
    pieces = tuple(
        Piece(f"{pair} held at {dict(rates)[pair]}", events, MADE, ())
        for (_, pair), events in made.items()
    )
    return Span((*span.markets, *made.values()), (*span.pieces, *pieces), span.chosen)


def _still(venue: str, pair: str, rate: Decimal, span: Span) -> Events:
    tick_size = Decimal(1).scaleb(rate.adjusted() - STILL_DIGITS)
    middle = rate / tick_size
    if middle != middle.to_integral_value():
        raise ConfigError("--rate", f"{pair}={rate}", f"at most {STILL_DIGITS + 1} digits")
    seconds = span.start_ns + SECOND_NS * _seconds(span)
    # The first message is a whole book; each one after it says the same again.
    count = len(seconds)
    flags = np.tile(np.array([LEVEL, LEVEL | ASK | MESSAGE_END], np.uint16), count)
    prices = np.tile(np.array([int(middle) - 1, int(middle) + 1], np.int64), count)
    times = np.repeat(seconds, 2)
    flags = np.concatenate([np.array([CLEAR], np.uint16), flags])
    market = Market(venue, pair, plain(tick_size), Decimal(1))
    lots = np.ones(2 * count, np.int64)
    zero = np.zeros(1, np.int64)
    times = np.concatenate([times[:1], times])
    return sealed(
        Events(
            market, times, times, np.concatenate([zero, prices]), np.concatenate([zero, lots]),
            flags,
        )
    )[0]  # fmt: skip


def _seconds(span: Span) -> NDArray[np.int64]:
    """Return int64[n], the seconds since a span's begin but for those long after any event."""
    found = [np.zeros(1, np.int64)]
    for events in span.columns("--rate"):
        places = np.maximum(events.recv_ns - span.start_ns, 0) // SECOND_NS
        found.append(places[np.flatnonzero(np.diff(places, prepend=-1))])
    places = np.unique(np.concatenate(found))
    gaps = np.flatnonzero(np.diff(places) > STILL_S)
    begins = places[np.append(0, gaps + 1)]
    ends = np.append(places[gaps] + STILL_S, (span.end_ns - span.start_ns) // SECOND_NS)
    stretches = zip(begins.tolist(), ends.tolist(), strict=True)
    return np.concatenate([np.arange(begin, end + 1) for begin, end in stretches])


def _pieces(texts: Sequence[str], pair: str, on_progress: Progress | None) -> list[Piece]:
    made: list[Piece] = []
    seen: set[Path] = set()
    # Tardis has several files for one market: they are read together.
    rows = [text for text in texts if Path(text).is_file() and tardis.kind_of(Path(text))]
    for text in texts:
        path = Path(text)
        if not text.strip():
            raise ConfigError("--data", text, NOT_THERE)
        if text in rows:
            made += _recorded(rows, pair, on_progress) if text == rows[0] else []
            continue
        paths = [path] if path.suffix == SUFFIX else []
        if path.is_dir() and not _is_session(path):
            listed, refused = catalogue(path)
            if refused:
                raise refused[0]
            # Feeds of one market in the order of their names: the bot's own one is first.
            paths = [one.path for one in sorted(listed, key=lambda x: (x.label, x.path.stem))]
            if not paths:
                raise ConfigError("--data", text, f"a folder with {SUFFIX} files")
        for one in paths:
            if not one.is_file():
                raise ConfigError("--data", str(one), f"{NOT_THERE}; it is not there")
            if one.resolve() not in seen:
                seen.add(one.resolve())
                made.append(_stored(one))
        if not paths:
            made += _recorded([text], pair, on_progress)
    return made


def _is_session(path: Path) -> bool:
    return journal_of(path) is not None and not any(path.glob(f"*{SUFFIX}"))


def _stored(path: Path) -> Piece:
    store = load(path)
    store.market.need_told(f"--data {path.name}, --market of its import")
    told = store.header.integrity
    problems = tuple(str(one.get("text", one)) for one in told.get("problems", ()))
    sources = tuple(one.sha256 for one in store.header.sources)
    verdict = str(told.get("verdict") or UNCHECKED)
    # A report of before says nothing of trades that are not there.
    missing = trades_told(store.events)
    if missing and missing not in problems:
        problems = (*problems, missing)
        verdict = DOUBTFUL if verdict == GOOD else verdict
    return Piece(path.name, store.events, verdict, problems, sources)


def _recorded(texts: Sequence[str], pair: str, on_progress: Progress | None) -> list[Piece]:
    made = []
    for one in read_files(texts, pair, on_progress=on_progress):
        found = examine(one.events, one.notes)
        problems = tuple(told for _, _, told in found.problems)
        name = ", ".join(source.name for source in one.sources)
        sources = tuple(source.sha256 for source in one.sources)
        made.append(Piece(name, one.events, found.verdict, problems, sources))
    return made


def _apart(pieces: Sequence[Piece]) -> list[Piece]:
    """Number the feeds that one recording has of one market; a copy of one is none of its own."""
    feeds: dict[tuple[Any, ...], list[list[Piece]]] = {}
    made = []
    for one in pieces:
        events = _columns(one)
        known = feeds.setdefault((events.market.key, one.sources), []) if one.sources else []
        feed = next((at for at, some in enumerate(known) if _fits(one, some)), len(known))
        if feed == len(known):
            known.append([])
        known[feed].append(one)
        made.append(replace(one, feed=feed))
    return made


def _fits(piece: Piece, others: Sequence[Piece]) -> bool:
    """Whether a piece is more of a feed, or a copy of a part of it."""
    first_ns, last_ns = times_of(piece.events)
    apart = all(
        first_ns >= times_of(one.events)[1] or last_ns <= times_of(one.events)[0] for one in others
    )
    times = _columns(piece).recv_ns
    return apart or any(np.array_equal(times, _columns(one).recv_ns) for one in others)


def _columns(piece: Piece) -> Events:
    assert isinstance(piece.events, Events), "stored and converted ones are columns"
    return piece.events


def _key(piece: Piece) -> tuple[str | int, ...]:
    return (*_columns(piece).market.key, piece.feed)


def _together(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Group pieces whose times overlap, or that carry one market on within a minute."""
    groups: list[list[Piece]] = []
    for one in sorted(pieces, key=lambda one: times_of(one.events)[0]):
        first_ns, _ = times_of(one.events)
        last = groups[-1] if groups else []
        near = any(
            first_ns <= times_of(other.events)[1]
            + (ADJOINING_NS if _key(other) == _key(one) else 0)
            for other in last
        )  # fmt: skip
        if near:
            last.append(one)
        else:
            groups.append([one])
    return groups


def _span(pieces: Sequence[Piece], places: Mapping[tuple[str | int, ...], int]) -> Span:
    by_market: dict[tuple[str | int, ...], list[Piece]] = {}
    for one in pieces:
        by_market.setdefault(_key(one), []).append(one)
    keys = sorted(by_market, key=lambda key: places[key])
    return Span(
        tuple(one_series(by_market[key]) for key in keys),
        tuple(one for key in keys for one in by_market[key]),
    )


def one_series(pieces: Sequence[Piece]) -> Events:
    """Join files of one market that follow each other, in the finest steps among them."""
    markets = [_columns(one).market for one in pieces]
    first = markets[0]
    market = Market(
        first.venue, first.pair, min(one.tick_size for one in markets),
        min(one.lot_size for one in markets), first.depth, first.market,
    )  # fmt: skip
    if len(pieces) == 1:
        return _columns(pieces[0])
    parts: list[Events] = []
    for before, one in zip([None, *pieces[:-1]], pieces, strict=True):
        try:
            events = finer(_columns(one), market)
        except ValueError as error:
            allowed = f"steps that fit those of {first.label}'s other files ({error})"
            raise ConfigError("--data", one.name, allowed) from error
        if before is not None:
            _, last_ns = times_of(before.events)
            if int(events.recv_ns[0]) < last_ns:
                raise ConfigError(
                    "--data", one.name, f"files of one market that do not overlap, as {before.name}"
                )
            if int(events.recv_ns[0]) - last_ns > STALE_NS and not _carries_on(events):
                parts.append(_broken(market, last_ns))
        parts.append(events)
    return sealed(joined(market, parts))[0]


def _carries_on(events: Events) -> bool:
    """Whether the first that is told of the book changes the one that was there."""
    told = np.flatnonzero((events.kinds != TRADE) & (events.kinds != QUOTE))
    return bool(len(told)) and int(events.kinds[told[0]]) == LEVEL


def _broken(market: Market, ns: int) -> Events:
    none = np.zeros(1, np.int64)
    flags = np.array([BROKEN | MESSAGE_END], np.uint16)
    return Events(market, np.array([ns]), none, none, none, flags)
