"""Files of others into `.omd` files, and back: Parquet and hftbacktest's arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from openmm.data import hftbacktest, parquet
from openmm.data.convert import Written, is_there, together, write_one
from openmm.data.events import Market, sealed
from openmm.data.integrity import Limits
from openmm.data.raw import Converted, Progress, source_of
from openmm.data.store import load
from openmm.errors import ConfigError

FORMATS: Final[Mapping[str, str]] = {
    "parquet": parquet.SUFFIX, "npz": hftbacktest.SUFFIX,
}  # fmt: skip


def import_files(
    paths: Sequence[Path],
    out: Path,
    market: Market | None,
    *,
    replace: bool = False,
    limits: Limits | None = None,
    on_progress: Progress | None = None,
) -> list[Written]:
    """Read files into a folder, one file each: all of them, or none.

    Args:
        market: what is in them; Parquet of ours tells it, arrays of hftbacktest do not.

    Raises:
        ConfigError: a file of neither kind, or one whose market is not told, or not which one of
            its venue's several: contracts would be taken for the base.
        DataError: a file is damaged.
    """
    made = []
    taken: set[Path] = set()
    with together(out) as folder:
        for at, path in enumerate(paths):
            if on_progress is not None:
                on_progress(path.name, at, len(paths))
            one = _read(path, market)
            made.append(
                write_one(
                    one, out, taken, replace=replace, limits=limits, folder=folder, origin=path
                )
            )
    return made


def _read(path: Path, market: Market | None) -> Converted:
    if path.suffix == parquet.SUFFIX:
        events, sources, notes = parquet.read(path, market)
        events.market.need_told("--market")
        made, moved = sealed(events)
        return Converted(made, tuple(sources) or (source_of(path),), {**notes, **_told(moved)})
    if path.suffix != hftbacktest.SUFFIX:
        raise ConfigError("file", str(path), f"one that ends in {' or '.join(FORMATS.values())}")
    if market is None:
        allowed = "with --venue, --pair, --tick and --lot: arrays do not tell them"
        raise ConfigError("file", str(path), allowed)
    market.need_told("--market")
    made, moved = sealed(hftbacktest.read(path, market))
    return Converted(made, (source_of(path),), _told(moved))


def _told(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def export_files(
    paths: Sequence[Path],
    out: Path,
    format_: str,
    *,
    replace: bool = False,
    on_progress: Progress | None = None,
) -> list[tuple[Path, int, int]]:
    """Write files in another format, all of them or none.

    Returns path, events, and how far venue times were moved, ns, of each.

    Raises:
        ConfigError: an unknown format, or a file that is there already.
        DataError: a file cannot be read or written.
    """
    if format_ not in FORMATS:
        raise ConfigError("--format", format_, " or ".join(FORMATS))
    made: list[tuple[Path, int, int]] = []
    with together(out) as folder:
        for at, path in enumerate(paths):
            if on_progress is not None:
                on_progress(path.name, at, len(paths))
            target = out / f"{path.stem}{FORMATS[format_]}"
            beside = folder / target.name
            if is_there(target) and not replace:
                allowed = "a file that is not there yet, or --replace"
                raise ConfigError("--out", str(target), allowed)
            if beside.exists():
                raise ConfigError("file", str(path), "names of their own: they are kept")
            store = load(path)
            moved_ns = 0
            if format_ == "npz":
                moved_ns = hftbacktest.export(store.events, beside)
            else:
                parquet.export(store, beside)
            made.append((target, len(store), moved_ns))
    return made
