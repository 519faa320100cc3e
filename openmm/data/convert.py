"""Files of any known format into a folder of `.omd` files."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, final

from openmm.data import raw, session, tardis
from openmm.data.events import Events, Market, finer, utc
from openmm.data.integrity import Found, Limits, examine
from openmm.data.raw import Converted, Progress
from openmm.data.store import SUFFIX, load, validate, write
from openmm.errors import ConfigError, DataError
from openmm.venues.readers import split

NAME_CHARS: Final = str.maketrans({"/": "-", " ": "_", ":": "", ".": ""})


@final
@dataclass(frozen=True, slots=True)
class Written:
    """A file that was made, and what was found in it."""

    path: Path
    market: Market
    found: Found


def convert_files(
    texts: Sequence[str],
    out: Path,
    *,
    pair: str = "",
    quotes: bool = False,
    lot_size: Decimal | None = None,
    replace: bool = False,
    limits: Limits | None = None,
    on_progress: Progress | None = None,
) -> list[Written]:
    """Convert recordings into a folder, one file a market and recording: all of them, or none.

    Files of one market that come out in different steps are written again in the finest of them.

    Args:
        texts: `FILE` or `VENUE:FILE` of a recording; a session's journal, or a run's folder, whose
            last one it is; Tardis' CSV files, all those of one market together.
        pair, quotes, lot_size: as in `raw.convert`.
        replace: files of the same name.

    Raises:
        ConfigError: a file is none that can be converted, or is there already.
        DataError, ProtocolError: it is damaged.
    """
    taken: set[Path] = set()
    with together(out) as folder:
        written = [
            write_one(one, out, taken, replace=replace, limits=limits, folder=folder)
            for one in read_files(texts, pair, quotes, lot_size, on_progress)
        ]
        return _alike(written, limits, folder)


@contextmanager
def together(out: Path) -> Iterator[Path]:
    """Give a folder for files that come to stand in `out` all together; after an error none does.

    Raises:
        ConfigError: `out` is no folder and cannot be made.
        DataError: it cannot be written to.
    """
    make_folder(out)
    try:
        made = tempfile.mkdtemp(dir=out, prefix=".")
    except OSError as error:
        raise DataError(out, "file", error.strerror, "a place that can be written to") from error
    try:
        yield Path(made)
        for path in sorted(Path(made).iterdir()):
            _move(path, out / path.name)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _move(path: Path, target: Path) -> None:
    try:
        path.replace(target)
    except OSError as error:
        raise DataError(target, "file", error.strerror, "a place for a file") from error


def is_there(path: Path) -> bool:
    """Tell whether there is such a file.

    Raises:
        ConfigError: there cannot be one, its name is too long, say.
    """
    try:
        return path.exists()
    except OSError as error:
        raise ConfigError("--out", str(path), f"a file's name ({error.strerror})") from error


def make_folder(out: Path) -> None:
    """Make the folder for files, where it is not there.

    Raises:
        ConfigError: it cannot be.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        allowed = f"a folder that is there or can be made ({error.strerror})"
        raise ConfigError("--out", str(out), allowed) from error


def read_files(
    texts: Sequence[str],
    pair: str = "",
    quotes: bool = False,
    lot_size: Decimal | None = None,
    on_progress: Progress | None = None,
) -> Iterator[Converted]:
    """Read recordings, one market of one after the other; arguments as `convert_files` has them.

    Raises:
        ConfigError, DataError, ProtocolError: as there.
    """
    rows = [Path(text) for text in texts if Path(text).is_file() and tardis.kind_of(Path(text))]
    others = [text for text in texts if Path(text) not in rows]
    if rows and pair:
        raise ConfigError("--pair", pair, "no pair with files that hold one market each")
    made: list[Iterable[Converted]] = [
        _read(text, pair, quotes, lot_size, on_progress) for text in others
    ]
    if rows:
        made.append(tardis.convert(rows, lot_size=lot_size, on_progress=on_progress))
    for some in made:
        yield from some


def _read(
    text: str, pair: str, quotes: bool, lot_size: Decimal | None, on_progress: Progress | None
) -> Iterator[Converted]:
    folder = session.journal_of(Path(text))
    if folder is not None:
        return session.convert(folder, pair=pair, lot_size=lot_size, on_progress=on_progress)
    venue, path = split(text, by_folder=True)
    return raw.convert(
        venue, path, pair=pair, quotes=quotes, lot_size=lot_size, on_progress=on_progress
    )


def write_one(
    one: Converted, out: Path, taken: set[Path] | None = None, *, replace: bool = False,
    limits: Limits | None = None, folder: Path | None = None, origin: Path | None = None,
) -> Written:  # fmt: skip
    """Write a market's events to a file named after it and its first event.

    Args:
        taken: files that were made along with it, which none replaces: a bot may follow one pair of
            a venue twice, and such a file's name ends in -2, -3. It is added.
        folder: of `together`, where it is written until it comes to stand in `out`.
        origin: the one file that the events are from, which is named where they are refused.

    Raises:
        ConfigError: there is such a file.
        DataError: the events are none that a file may hold, or it cannot be written.
    """
    path = out / name_of(one.events)
    taken = set() if taken is None else taken
    same = sum(1 for name in taken if name == path or name.stem.startswith(f"{path.stem}-"))
    if same:
        path = path.with_stem(f"{path.stem}-{same + 1}")
    taken.add(path)
    if is_there(path) and not replace:
        raise ConfigError("--out", str(path), "a file that is not there yet, or --replace")
    # What is none is told as such, not by the book that it meets.
    validate(origin or path, one.events)
    found = examine(one.events, one.notes, limits)
    write(
        (folder or out) / path.name, one.events, sources=one.sources, notes=one.notes,
        integrity=found.to_json(),
    )  # fmt: skip
    return Written(path, one.events.market, found)


def name_of(events: Events) -> str:
    """Name a file, such as `kraken_BTC-USD_20260801T025352.omd`."""
    begin = utc(int(events.recv_ns[0])) if len(events) else "empty"
    stamp = begin.partition(".")[0].replace("-", "").replace(":", "")
    return f"{events.market.label.translate(NAME_CHARS)}_{stamp}{SUFFIX}"


def _alike(written: Sequence[Written], limits: Limits | None, folder: Path) -> list[Written]:
    """Bring files of one market to the finest steps among them."""
    made = list(written)
    for at, one in enumerate(made):
        mine = [other.market for other in made if other.market.key == one.market.key]
        tick_size = min(other.tick_size for other in mine)
        lot_size = min(other.lot_size for other in mine)
        if (one.market.tick_size, one.market.lot_size) == (tick_size, lot_size):
            continue
        path = folder / one.path.name
        store = load(path, whole=False)
        wanted = Market(one.market.venue, one.market.pair, tick_size, lot_size)
        events = finer(store.events, wanted)
        header = store.header
        found = examine(events, header.notes, limits)
        write(path, events, sources=header.sources, notes=header.notes, integrity=found.to_json())
        made[at] = Written(one.path, events.market, found)
    return made
