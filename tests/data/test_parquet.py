"""Parquet: one row an event, back as it was; what is not ours is refused or told about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from pyarrow import parquet as files

from openmm.data import parquet
from openmm.data.events import COLUMNS, Events
from openmm.data.store import Source, load, write
from openmm.errors import DataError
from tests.data.made import MARKET, any_events, small
from tests.data.test_store import alike

SOURCE = Source("x.gz", "ab", 3)


@settings(max_examples=40)
@given(any_events())
def test_what_is_exported_is_imported(
    tmp_path_factory: pytest.TempPathFactory, events: Events
) -> None:
    folder = tmp_path_factory.getbasetemp()
    stored, path = folder / "roundtrip.omd", folder / "roundtrip.parquet"
    write(stored, events, sources=[SOURCE], notes={"rounded": 1})
    parquet.export(load(stored), path)
    found, sources, notes = parquet.read(path)
    assert alike(found, events)
    assert (sources, notes) == ([SOURCE], {"rounded": 1})


def test_it_is_rows_for_any_data_frame_and_packed_with_zstd(tmp_path: Path) -> None:
    write(tmp_path / "a.omd", small())
    parquet.export(load(tmp_path / "a.omd"), tmp_path / "a.parquet")
    table = files.read_table(tmp_path / "a.parquet")
    assert table.column_names == list(COLUMNS)
    assert [str(field.type) for field in table.schema] == ["int64"] * 4 + ["uint16"]
    assert table.num_rows == len(small())
    column = files.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.omd", "a.parquet"]


def test_file_without_our_metadata_needs_its_market_told(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    events = small()
    files.write_table(pyarrow.table({name: getattr(events, name) for name in COLUMNS}), path)
    with pytest.raises(DataError, match="metadata: our header, or venue"):
        parquet.read(path)
    found, sources, notes = parquet.read(path, MARKET)
    assert alike(found, events)
    assert (sources, notes) == ([], {})


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    events = small()
    columns = {name: getattr(events, name) for name in COLUMNS}

    def refused(told: str) -> None:
        with pytest.raises(DataError) as caught:
            parquet.read(path, MARKET)
        assert told in str(caught.value)

    refused("a file that can be read")
    path.write_bytes(b"something else")
    refused("Parquet")
    files.write_table(pyarrow.table({"recv_ns": events.recv_ns}), path)
    refused("columns: venue_ns among them")
    files.write_table(pyarrow.table({**columns, "flags": events.recv_ns}), path)
    refused("column flags: of type uint16; got 'int64'")
    holes = pyarrow.array([None] * len(events), pyarrow.int64())
    files.write_table(pyarrow.table({**columns, "qty_lots": holes}), path)
    refused("column qty_lots: no row without a value")
    table = pyarrow.table(columns).replace_schema_metadata({parquet.KEY: b"{}"})
    files.write_table(table, path)
    refused("metadata: the header of an .omd file")


def test_more_rows_than_a_group_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS", 5)
    write(tmp_path / "a.omd", small())
    parquet.export(load(tmp_path / "a.omd"), tmp_path / "a.parquet")
    assert files.ParquetFile(tmp_path / "a.parquet").metadata.num_row_groups == 3
    found, _, _ = parquet.read(tmp_path / "a.parquet")
    assert np.array_equal(found.flags, small().flags)
