"""Events as Parquet, one row an event: for data frames, and back."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow
from pyarrow import parquet

from openmm.data.events import COLUMNS, Events, Market
from openmm.data.store import TYPES, Source, Store, checked_header, digest, replacing
from openmm.errors import DataError

KEY: Final = b"openmm.market_data"  # of the schema's metadata: the header of the .omd file
ROWS: Final = 1 << 20  # a row group
SUFFIX: Final = ".parquet"
CHANGED: Final = "changed_since_export"  # the note of rows that are not those that were written


def export(store: Store, path: Path) -> None:
    """Write a file's events with zstd; its header stands in the schema's metadata.

    Columns as in `Events`: four int64 and uint16 `flags`; prices in ticks, quantities in lots.

    Raises:
        DataError: it cannot be written.
    """
    kinds = {name: pyarrow.from_numpy_dtype(np.dtype(TYPES[name])) for name in COLUMNS}
    schema = pyarrow.schema(list(kinds.items()), metadata={KEY: msgspec.json.encode(store.header)})
    with (
        replacing(path) as name,
        parquet.ParquetWriter(name, schema, compression="zstd", write_page_checksum=True) as out,
    ):
        for start in range(0, max(len(store), 1), ROWS):
            part = store.events.cut(start, start + ROWS)
            columns = [pyarrow.array(getattr(part, one), kinds[one]) for one in COLUMNS]
            out.write_table(pyarrow.Table.from_arrays(columns, schema=schema))


def read(path: Path, market: Market | None = None) -> tuple[Events, list[Source], dict[str, int]]:
    """Read events, and where they were from and what was met then.

    Rows that are not those of our metadata's digest, as when a data frame changed them, are noted
    as `changed_since_export`; damage is found by the checksums of the file's pages.

    Args:
        market: what a file without our metadata is of.

    Raises:
        DataError: it is no Parquet, has not those columns, or does not tell its market.
    """
    try:
        file = parquet.ParquetFile(path, page_checksum_verification=True)
        columns = [_column(path, file, name) for name in COLUMNS]
        told = (file.schema_arrow.metadata or {}).get(KEY)
    except OSError as error:
        raise DataError(path, "file", str(error), "a file that can be read") from error
    except pyarrow.ArrowException as error:
        raise DataError(path, "file", str(error), "Parquet") from error
    sources: list[Source] = []
    notes: dict[str, int] = {}
    content = ""
    if told is not None:
        try:
            header = checked_header(path, told)
        except DataError as error:
            place = f"metadata, {error.place}"
            raise DataError(path, place, error.value, error.allowed) from error
        market = Market(
            header.venue, header.pair, Decimal(header.tick_size), Decimal(header.lot_size),
            header.depth, header.market,
        )  # fmt: skip
        sources, notes, content = header.sources, header.notes, header.content
    if market is None:
        raise DataError(path, "metadata", None, "our header, or venue, pair, tick and lot told")
    events = Events(market, *columns)
    if told is not None and digest(events) != content:
        notes = {**notes, CHANGED: 1}
    return events, sources, notes


def _column(path: Path, file: Any, name: str) -> Any:
    names = file.schema_arrow.names
    if name not in names:
        raise DataError(path, "columns", names, f"{name} among them")
    wanted = pyarrow.from_numpy_dtype(np.dtype(TYPES[name]))
    found = file.schema_arrow.field(name).type
    if found != wanted:
        raise DataError(path, f"column {name}", str(found), f"of type {wanted}")
    column = file.read(columns=[name]).column(0)
    if column.null_count:
        raise DataError(path, f"column {name}", column.null_count, "no row without a value")
    return np.ascontiguousarray(column.to_numpy())
