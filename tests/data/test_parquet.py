"""Parquet: one row an event, back as it was; what is not ours is refused or told about."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from pyarrow import parquet as files

from openmm.data import parquet
from openmm.data.events import COLUMNS, Events, sealed
from openmm.data.integrity import examine
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
    refused("metadata, header, format: 1, the one of this build")


def exported(path: Path) -> pyarrow.Table:
    """Write a file's Parquet to `path`, and return its rows."""
    write(path.with_suffix(".omd"), small(), notes={"rounded": 1})
    parquet.export(load(path.with_suffix(".omd")), path)
    return files.read_table(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tick_size", "NaN"), ("tick_size", "0"), ("tick_size", "Infinity"),
        ("tick_size", "1E+999999"), ("lot_size", "-1"), ("pair", "BTC\0USD"),
    ],
)  # fmt: skip
def test_a_header_in_it_is_held_to_the_rules_of_the_file(
    tmp_path: Path, field: str, value: str
) -> None:
    path = tmp_path / "a.parquet"
    table = exported(path)
    header = {**json.loads(table.schema.metadata[parquet.KEY]), field: value}
    text = json.dumps(header)
    files.write_table(table.replace_schema_metadata({parquet.KEY: text}), path)
    with pytest.raises(DataError, match=f"metadata, header, {field}: "):
        parquet.read(path)


def test_rows_that_were_changed_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = exported(path)
    assert parquet.read(path)[2] == {"rounded": 1}
    for rows in (table.slice(0, 7), table.slice(0, 0)):
        files.write_table(rows, path)
        events, _, notes = parquet.read(path)
        assert len(events) == rows.num_rows
        assert notes == {"rounded": 1, "changed_since_export": 1}
        found = examine(sealed(events)[0], notes)
        assert ("doubtful", "changed_since_export") in {one[:2] for one in found.problems}


def test_damage_of_what_was_exported_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    exported(path)
    data = bytearray(path.read_bytes())
    column = files.ParquetFile(path).metadata.row_group(0).column(3)
    # The last byte of a page is of its values: it unpacks as well with another.
    data[column.data_page_offset + column.total_compressed_size - 1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"file: .*CRC"):
        parquet.read(path)


def test_more_rows_than_a_group_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS", 5)
    write(tmp_path / "a.omd", small())
    parquet.export(load(tmp_path / "a.omd"), tmp_path / "a.parquet")
    assert files.ParquetFile(tmp_path / "a.parquet").metadata.num_row_groups == 3
    found, _, _ = parquet.read(tmp_path / "a.parquet")
    assert np.array_equal(found.flags, small().flags)
