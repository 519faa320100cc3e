"""`openmm data`: market data as files that backtests map into memory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openmm.cli.output import EXIT_DONE, EXIT_FAILED, Json, emit, maps_files, need, progress, table
from openmm.cli.spans import decimal, moment, need_utf8, span_s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from openmm.data.catalogue import Listed
    from openmm.data.convert import Written
    from openmm.data.integrity import Found, Limits
    from openmm.data.store import Store
    from openmm.errors import DataError

CONVERT_EXAMPLE = "Example: openmm data convert binance:spot_btcusdt.gz --out market"
LIST_EXAMPLE = "Example: openmm data list market"
CHECK_EXAMPLE = "Example: openmm data check market/*.omd --json"
IMPORT_EXAMPLE = (
    "Example: openmm data import btcusdt.npz --venue binance --market usdm --pair BTC/USDT "
    "--tick 0.1 --lot 0.001"
)
EXPORT_EXAMPLE = "Example: openmm data export market/*.omd --format npz --out arrays"

app = typer.Typer(
    help="Market data for backtests: convert, check, list and exchange it.", epilog=CONVERT_EXAMPLE,
    rich_markup_mode=None,
)  # fmt: skip
Replace = Annotated[bool, typer.Option("--replace", help="Write over files of the same name.")]
Silence = Annotated[str, typer.Option("--silence", help="Tell stretches without an event.")]
Jump = Annotated[str, typer.Option("--jump", help="Tell jumps of a clock.")]


@app.callback()
def group() -> None:
    """Market data for backtests: convert, check, list and exchange it."""
    need("numpy", "market data")
    maps_files("--json" in sys.argv)


@app.command("convert", epilog=CONVERT_EXAMPLE)
def convert(
    files: Annotated[
        list[str], typer.Argument(help="Recordings: FILE, or VENUE:FILE if it does not tell whose.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path("market"),
    pair: Annotated[str, typer.Option("--pair", help="Only this pair of each recording.")] = "",
    quotes: Annotated[
        bool,
        typer.Option("--quotes", help="Keep the best prices that Binance tells beside the book."),
    ] = False,
    lot: Annotated[
        str, typer.Option("--lot", help="Lot size; the coarsest that holds the data unless told.")
    ] = "",
    replace: Replace = False,
    json_: Json = False,
) -> int:
    """Convert recordings to memory-mapped files, one a market and recording.

    Messages go through the decoders that trade; what they do to the book is kept, with every
    trade. Exit code 1 when what was converted is broken; the files are written all the same.
    """
    need("pyarrow", "data convert")
    from openmm.data.convert import convert_files

    need_utf8("files", files)
    lots = decimal("--lot", lot) if lot else None
    with progress() as on_progress:
        made = convert_files(
            files, out, pair=pair, quotes=quotes, lot_size=lots, replace=replace,
            on_progress=on_progress,
        )  # fmt: skip
    return _told(made, json_)


def _told(made: Sequence[Written], json_: bool) -> int:
    emit(
        {
            "files": [
                {"file": one.path, "market": one.market.label, **one.found.to_json()}
                for one in made
            ]
        },
        json_,
        lambda: table(
            [
                ("file", "events", "whole", "verdict"),
                *(
                    (
                        str(one.path), f"{one.found.figures['events']:,}",
                        f"{100 * one.found.figures['whole_share']:.1f}%", one.found.verdict,
                    )
                    for one in made
                ),
            ]
        ),
    )  # fmt: skip
    return EXIT_FAILED if any(one.found.verdict == "broken" for one in made) else EXIT_DONE


@app.command("import", epilog=IMPORT_EXAMPLE)
def import_(
    files: Annotated[list[Path], typer.Argument(help="Parquet, or arrays of hftbacktest (.npz).")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path("market"),
    venue: Annotated[str, typer.Option("--venue", help="Whose market it is.")] = "",
    market: Annotated[
        str, typer.Option("--market", help="Which of Binance's: spot, usdm, coinm.")
    ] = "",
    pair: Annotated[str, typer.Option("--pair", help="What is traded, such as BTC/USDT.")] = "",
    tick: Annotated[str, typer.Option("--tick", help="Price of a tick.")] = "",
    lot: Annotated[str, typer.Option("--lot", help="Quantity of a lot.")] = "",
    replace: Replace = False,
    json_: Json = False,
) -> int:
    """Read events in another format. Parquet that export wrote tells its market itself.

    Exit code 1 when what was read is broken; the files are written all the same.
    """
    need("pyarrow", "data import")
    from openmm.data.events import Market
    from openmm.data.formats import import_files
    from openmm.errors import ConfigError

    need_utf8("files", files)
    told = None
    if venue or pair or tick or lot:
        for option, value in (("--venue", venue), ("--pair", pair), ("--tick", tick)):
            if not value:
                raise ConfigError(option, value, "told with --venue, --pair, --tick and --lot")
        told = Market(venue, pair, decimal("--tick", tick), decimal("--lot", lot), 0, market)
    with progress() as on_progress:
        made = import_files(files, out, told, replace=replace, on_progress=on_progress)
    return _told(made, json_)


@app.command("export", epilog=EXPORT_EXAMPLE)
def export(
    files: Annotated[list[Path], typer.Argument(help="Files of market data, .omd.")],
    format_: Annotated[
        str, typer.Option("--format", help="parquet, or npz: the arrays that hftbacktest reads.")
    ] = "parquet",
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path("export"),
    replace: Replace = False,
    json_: Json = False,
) -> int:
    """Write events in another format; both read back as they were.

    Arrays for hftbacktest: where the recorder's clock ran behind the venue's, the venue's times
    are moved back until no delay is below zero; the output says how far.
    """
    need("pyarrow", "data export")
    from openmm.data.formats import export_files

    need_utf8("files", files)
    with progress() as on_progress:
        made = export_files(files, out, format_, replace=replace, on_progress=on_progress)
    listed = [{"file": path, "events": n, "moved_ns": moved} for path, n, moved in made]
    emit(
        {"files": listed}, json_,
        lambda: table(
            [
                ("file", "events", "venue times moved"),
                *((str(path), f"{n:,}", f"{moved / 1e6:,.3f} ms") for path, n, moved in made),
            ]
        ),
    )  # fmt: skip
    return EXIT_DONE


@app.command("list", epilog=LIST_EXAMPLE)
def list_(
    folder: Annotated[Path, typer.Argument(help="A folder of .omd files.")] = Path("market"),
    json_: Json = False,
) -> int:
    """List the markets of a folder: spans, events by kind, size, and what the check said.

    Files of one market that continue each other are one series. Exit code 1 when a file cannot be
    read.
    """
    from openmm.data.catalogue import catalogue, series
    from openmm.errors import ConfigError

    if not folder.is_dir():
        raise ConfigError("folder", str(folder), "a folder that is there")
    listed, refused = catalogue(folder)
    grouped = series(listed)
    payload = {
        "folder": folder,
        "files": [one.to_json() for one in listed],
        "series": [
            {
                "market": one[0].label, "files": [str(part.path) for part in one],
                "first_ns": one[0].header.first_ns, "last_ns": one[-1].header.last_ns,
                "events": sum(part.header.events for part in one),
            }
            for one in grouped
        ],
        "refused": [str(one) for one in refused],
    }  # fmt: skip
    emit(payload, json_, lambda: _listing(grouped, refused))
    return EXIT_FAILED if refused else EXIT_DONE


def _listing(grouped: Sequence[Sequence[Listed]], refused: Sequence[DataError]) -> str:
    rows: list[tuple[str, ...]] = [
        ("market", "from, UTC", "to, UTC", "levels", "trades", "other", "bytes", "verdict", "file")
    ]
    for one in grouped:
        for at, part in enumerate(one):
            counts = part.header.counts
            other = sum(counts[name] for name in ("clear", "broken", "quote"))
            rows.append(
                (
                    part.label if not at else "  continued", moment(part.header.first_ns),
                    moment(part.header.last_ns), f"{counts['level']:,}", f"{counts['trade']:,}",
                    f"{other:,}", f"{part.bytes:,}", part.verdict or "-", part.path.name,
                )
            )  # fmt: skip
    lines = [table(rows)] if len(rows) > 1 else ["no .omd file there"]
    return "\n".join([*lines, *(str(one) for one in refused)])


@app.command("check", epilog=CHECK_EXAMPLE)
def check(
    files: Annotated[list[Path], typer.Argument(help="Files of market data, .omd.")],
    silence: Silence = "10s",
    jump: Jump = "1s",
    json_: Json = False,
) -> int:
    """Look through files event by event: gaps, crossed books, clocks, silence, trades off the book.

    Exit code 1 when one is broken: it cannot be read, continuity was lost, or its book crosses.
    What is doubtful is told, and no failure.
    """
    from openmm.data.integrity import Limits

    limits = Limits(
        silence_ns=round(span_s("--silence", silence) * 1e9),
        jump_ns=round(span_s("--jump", jump) * 1e9),
    )
    found: list[tuple[Path, Found]] = []
    errors: list[DataError] = []
    with progress() as on_progress:
        for at, path in enumerate(files):
            on_progress(path.name, at, len(files))
            _check_one(path, limits, found, errors)
    clocks = _clocks([path for path, _ in found])
    payload = {
        "files": [{"file": path, **one.to_json()} for path, one in found],
        "refused": [str(one) for one in errors], "clocks": clocks,
    }  # fmt: skip
    emit(payload, json_, lambda: "\n".join([_report(found, errors), *clocks]))
    broken = bool(errors) or any(one.verdict == "broken" for _, one in found)
    return EXIT_FAILED if broken else EXIT_DONE


def _clocks(paths: Sequence[Path]) -> list[str]:
    """Compare the clocks of files of one time: what is apart, once for each group of them."""
    from openmm.data.integrity import clocks_told
    from openmm.data.store import load

    stores = [one for one in (load(path, whole=False) for path in paths) if len(one)]
    stores.sort(key=lambda one: one.header.first_ns)
    groups: list[list[Store]] = []
    until_ns = 0
    for one in stores:
        if not groups or one.header.first_ns > until_ns:
            groups.append([])
        groups[-1].append(one)
        until_ns = max(until_ns, one.header.last_ns)
    found = (clocks_told([one.events for one in some]) for some in groups)
    return [text for text in found if text]


def _check_one(
    path: Path, limits: Limits, found: list[tuple[Path, Found]], errors: list[DataError]
) -> None:
    from openmm.data.integrity import examine
    from openmm.data.store import digest, load
    from openmm.errors import DataError

    try:
        store = load(path)
        content = digest(store.events)
        if content != store.header.content:
            raise DataError(path, "columns", content, f"bytes of digest {store.header.content}")
        found.append((path, examine(store.events, store.header.notes, limits)))
    except DataError as error:
        errors.append(error)
    except ValueError as error:
        errors.append(DataError(path, "events", str(error), "levels that a book takes"))


# Figures of the table, and how each is written.
SHOWN: dict[str, Callable[[Any], str]] = {
    "events": lambda value: f"{value:,}",
    "messages": lambda value: f"{value:,}",
    "span_ns": lambda value: f"{value / 1e9:,.1f} s",
    "whole_share": lambda value: f"{100 * value:.2f}%",
    "gaps": lambda value: f"{value:,}",
    "snapshots": lambda value: f"{value:,}",
    "crossed": lambda value: f"{value:,}",
    "one_sided": lambda value: f"{value:,}",
    "off_tick": lambda value: f"{value:,}",
    "rounded": lambda value: f"{value:,}",
    "silences": lambda value: f"{value:,}",
    "silence_ns_max": lambda value: f"{value / 1e9:,.3f} s",
    "recv_moved": lambda value: f"{value:,}",
    "clock_jumps_up": lambda value: f"{value:,}",
    "clock_jumps_down": lambda value: f"{value:,}",
    "venue_time_falls": lambda value: f"{value:,}",
    "lag_ns_median": lambda value: f"{value / 1e6:,.1f} ms",
    "trades": lambda value: f"{value:,}",
    "trades_filtered": lambda value: f"{value:,}",
    "trades_outside": lambda value: f"{value:,}",
    "trades_far": lambda value: f"{value:,}",
    "repeated_messages": lambda value: f"{value:,}",
}


def _report(found: Sequence[tuple[Path, Found]], errors: Sequence[DataError]) -> str:
    lines = []
    if found:
        rows: list[tuple[str, ...]] = [("", *(path.stem for path, _ in found))]
        for name, written in SHOWN.items():
            label = name.removesuffix("_ns").replace("_ns_", " ").replace("_", " ")
            rows.append((label, *(written(one.figures[name]) for _, one in found)))
        rows.append(("verdict", *(one.verdict for _, one in found)))
        lines.append(table(rows))
    lines += [f"{path.name}: {text}" for path, one in found for _, _, text in one.problems]
    return "\n".join([*lines, *(str(one) for one in errors)])
