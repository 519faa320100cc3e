"""Files of others into `.omd` files, and back: Parquet and hftbacktest's arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from openmm.data import hftbacktest, parquet
from openmm.data.convert import Written, make_folder, write_one
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
    """Read files into a folder, one file each.

    Args:
        market: what is in them; Parquet of ours tells it, arrays of hftbacktest do not.

    Raises:
        ConfigError: a file of neither kind, or one whose market is not told, or not which one of
            its venue's several: contracts would be taken for the base.
        DataError: a file is damaged.
    """
    make_folder(out)
    made = []
    taken: set[Path] = set()
    for at, path in enumerate(paths):
        if on_progress is not None:
            on_progress(path.name, at, len(paths))
        made.append(write_one(_read(path, market), out, taken, replace=replace, limits=limits))
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
    """Write files in another format; returns path, events, and how far venue times were moved, ns.

    Raises:
        ConfigError: an unknown format, or a file that is there already.
        DataError: a file cannot be read or written.
    """
    if format_ not in FORMATS:
        raise ConfigError("--format", format_, " or ".join(FORMATS))
    make_folder(out)
    made = []
    for at, path in enumerate(paths):
        if on_progress is not None:
            on_progress(path.name, at, len(paths))
        target = out / f"{path.stem}{FORMATS[format_]}"
        if target.exists() and not replace:
            raise ConfigError("--out", str(target), "a file that is not there yet, or --replace")
        store = load(path)
        moved_ns = 0
        if format_ == "npz":
            moved_ns = hftbacktest.export(store.events, target)
        else:
            parquet.export(store, target)
        made.append((target, len(store), moved_ns))
    return made
