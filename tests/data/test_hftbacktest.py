"""Arrays of hftbacktest: what we write is in their order and form, and reads back."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from openmm.data import hftbacktest
from openmm.data.events import (
    ASK,
    CLEAR,
    FILTERED,
    LEVEL,
    MESSAGE_END,
    QUOTE,
    TRADE,
    Events,
    sealed,
)
from openmm.data.hftbacktest import BUY, EVENT, EXCH, LOCAL, SELL
from openmm.errors import DataError
from tests.data.made import MARKET, START_NS, any_events, events_of, small
from tests.data.test_store import alike


def written(tmp_path: Path, rows: Sequence[tuple[Any, ...]]) -> Path:
    """Write (ev, exch_ts, local_ts, px, qty) as somebody else would."""
    table = np.zeros(len(rows), EVENT)
    for at, row in enumerate(rows):
        for name, value in zip(("ev", "exch_ts", "local_ts", "px", "qty"), row, strict=True):
            table[name][at] = value
    path = tmp_path / "a.npz"
    np.savez(path, data=table)
    return path


def test_an_event_is_64_bytes_of_their_fields() -> None:
    assert EVENT.itemsize == 64
    assert EVENT.names == (
        "ev", "exch_ts", "local_ts", "px", "qty", "order_id", "ival", "fval",
    )  # fmt: skip


def test_kinds_sides_and_snapshots_are_theirs() -> None:
    table, moved_ns = hftbacktest.arrays(small())
    assert moved_ns == 0
    both = EXCH | LOCAL
    assert table["ev"].tolist() == [
        both | 3,  # cleared on both sides
        both | BUY | 4, both | BUY | 4, both | SELL | 4, both | SELL | 4,
        both | BUY | 2,  # the taker bought
        both | SELL | 1, both | BUY | 1,
        both | 3,  # continuity lost
        both | 3, both | BUY | 4, both | SELL | 4,
    ]  # fmt: skip
    assert table["px"][1] == pytest.approx(100.0)
    assert table["qty"][1] == pytest.approx(0.005)
    assert table["exch_ts"][8] == table["local_ts"][8]  # the venue told no time


@settings(max_examples=40)
@given(any_events())
def test_both_sides_find_their_events_in_order(events: Events) -> None:
    table, _ = hftbacktest.arrays(events)
    ours = table[(table["ev"] & np.uint64(LOCAL)) != 0]
    theirs = table[(table["ev"] & np.uint64(EXCH)) != 0]
    kept = int(np.count_nonzero((events.flags & FILTERED) == 0))
    assert len(ours) == len(theirs) == kept
    assert np.all(np.diff(ours["local_ts"]) >= 0)
    assert np.all(np.diff(theirs["exch_ts"]) >= 0)
    assert np.all(table["local_ts"] >= table["exch_ts"])
    key = ("exch_ts", "local_ts", "px", "qty")
    assert sorted(ours[list(key)].tolist()) == sorted(theirs[list(key)].tolist())


def test_venue_times_move_when_the_recorders_clock_ran_behind() -> None:
    """Receive times are the backtest's clock: they stay."""
    events = small()
    ahead = replace(events, venue_ns=np.where(events.venue_ns > 0, events.venue_ns + 1_000, 0))
    table, moved_ns = hftbacktest.arrays(ahead)
    assert moved_ns == 995  # the shortest delay was 5, then -995, and is 0
    ours = table[(table["ev"] & np.uint64(LOCAL)) != 0]
    assert np.array_equal(ours["local_ts"], events.recv_ns)
    assert int((table["local_ts"] - table["exch_ts"]).min()) == 0
    _, moved_ns = hftbacktest.arrays(ahead, latency_ns=50)
    assert moved_ns == 1_045


@settings(max_examples=40)
@given(any_events())
def test_what_is_exported_is_imported(
    tmp_path_factory: pytest.TempPathFactory, events: Events
) -> None:
    path = tmp_path_factory.getbasetemp() / "roundtrip.npz"
    kept = (events.flags & FILTERED) == 0
    wanted = sealed(
        Events(
            events.market, events.recv_ns[kept], events.venue_ns[kept], events.price_ticks[kept],
            events.qty_lots[kept], events.flags[kept],
        )
    )[0]  # fmt: skip
    assert hftbacktest.export(events, path) == 0
    assert alike(sealed(hftbacktest.read(path, events.market))[0], wanted)


def test_arrays_of_others_are_read_with_their_messages(tmp_path: Path) -> None:
    """A snapshot without a clearing, a doubled event, and two messages of one moment."""
    at = START_NS
    path = written(
        tmp_path,
        [
            (LOCAL | EXCH | BUY | 4, at, at + 5, 100.0, 1.0),
            (LOCAL | EXCH | SELL | 4, at, at + 5, 100.2, 2.0),
            (EXCH | BUY | 1, at + 1, at + 9, 100.0, 0.5),
            (LOCAL | EXCH | SELL | 2, at + 2, at + 8, 100.0, 0.5),
            (LOCAL | EXCH | SELL | 2, at + 2, at + 8, 100.0, 0.25),
            (LOCAL | BUY | 1, at + 1, at + 9, 100.0, 0.5),
            (LOCAL | EXCH | SELL | 5, at + 7, at + 9, 100.1, 0.1),
        ],
    )
    events, _ = sealed(hftbacktest.read(path, MARKET))
    end = MESSAGE_END
    assert (events.flags & ~np.uint16(64)).tolist() == [
        CLEAR, LEVEL, LEVEL | ASK | end, TRADE | ASK | end, TRADE | ASK | end, LEVEL | end,
        QUOTE | ASK | end,
    ]  # fmt: skip
    assert events.price_ticks.tolist() == [0, 1000, 1002, 1000, 1000, 1000, 1001]
    assert events.qty_lots.tolist() == [0, 10_000, 20_000, 5_000, 2_500, 5_000, 1_000]
    assert (events.recv_ns - at).tolist() == [5, 5, 5, 8, 8, 9, 9]
    assert (events.venue_ns - at).tolist() == [0, 0, 0, 2, 2, 1, 7]


def test_side_cleared_up_to_a_price_is_the_levels_that_it_removes(tmp_path: Path) -> None:
    at, both = START_NS, LOCAL | EXCH
    path = written(
        tmp_path,
        [
            (both | 3, at, at, 0.0, 0.0),
            *((both | BUY | 4, at, at, price, 1.0) for price in (100.0, 99.9, 99.8)),
            *((both | SELL | 4, at, at, price, 1.0) for price in (100.1, 100.2)),
            (both | BUY | 3, at + 1, at + 1, 99.9, 0.0),
            (both | SELL | 3, at + 2, at + 2, 0.0, 0.0),
        ],
    )
    events = hftbacktest.read(path, MARKET)
    removed = events.cut(6, len(events))
    assert removed.price_ticks.tolist() == [1000, 999, 1001, 1002]
    assert not removed.qty_lots.any()
    book = events.book_before(len(events))
    assert (book.levels(0), book.levels(1)) == ([(998, 10_000)], [])


@pytest.mark.parametrize("damage", ["deflate", "encrypted", "method", "lzma", "none", "huge"])
def test_archives_that_cannot_be_unpacked_are_one_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.npz"
    table = np.zeros(2000, EVENT)
    table["local_ts"] = np.random.default_rng(1).integers(0, 1 << 60, len(table))
    np.savez_compressed(path, data=table)
    data = bytearray(path.read_bytes())
    central = data.find(b"PK\x01\x02")
    if damage == "deflate":
        data[200:260] = bytes(byte ^ 0xFF for byte in data[200:260])
    elif damage == "encrypted":
        data[6] |= 1
        data[central + 8] |= 1
    elif damage == "method":
        data[8] = data[central + 10] = 99
    path.write_bytes(bytes(data))
    if damage in ("lzma", "none", "huge"):
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            head, {"descr": "<f8", "fortran_order": False, "shape": (10**13,)}
        )
        content = {"lzma": bytes(3000), "none": b"abc", "huge": head.getvalue()}[damage]
        method = zipfile.ZIP_LZMA if damage == "lzma" else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "w", compression=method) as archive:
            archive.writestr("data" if damage == "none" else "data.npy", content)
    if damage == "lzma":
        data = bytearray(path.read_bytes())
        data[50:60] = b"\xff" * 10
        path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=f"^{path}: (file|member data): "):
        hftbacktest.read(path, MARKET)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("px", "U8", "numbers, one a row"),
        ("px", ("<f8", (2,)), "numbers, one a row"),
        ("qty", "c16", "numbers, one a row"),
        ("ev", "<f8", "whole numbers, one a row"),
        ("ev", "c16", "whole numbers, one a row"),
    ],
)
def test_columns_of_other_kinds_are_refused(
    tmp_path: Path, name: str, kind: Any, told: str
) -> None:
    path = tmp_path / "a.npz"
    fields = [(one, kind if one == name else EVENT[one]) for one in EVENT.names or ()]
    np.savez(path, data=np.zeros(3, np.dtype(fields)))
    with pytest.raises(DataError, match=f"data, {name}: {told}"):
        hftbacktest.read(path, MARKET)


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    def refused(path: Path, told: str) -> None:
        with pytest.raises(DataError) as caught:
            hftbacktest.read(path, MARKET)
        assert told in str(caught.value)
        assert str(path) in str(caught.value)

    refused(tmp_path / "none.npz", "a file that can be read")
    other = tmp_path / "other.npz"
    other.write_bytes(b"something")
    refused(other, "arrays of numpy")
    np.savez(other, x=np.zeros(3))
    refused(other, "members: 'data' among them; got ['x']")
    np.savez(other, data=np.zeros(3))
    refused(other, "one row an event of")
    with other.open("wb") as file:
        np.save(file, np.zeros(3, EVENT))
    refused(other, "file: arrays by name, 'data' of them; got 'one array (.npy)'")
    path = written(tmp_path, [(LOCAL | 10, 1, 1, 1.0, 1.0)])
    refused(path, "ev, our event 0: a kind of 1 to 5; got 10")
    path = written(tmp_path, [(LOCAL | 1, 1, 1, float("nan"), 1.0)])
    refused(path, "px, our event 0: a number in bounds; got nan")
    path = written(tmp_path, [(LOCAL | 1, 1, 1, 1.0, 1e300)])
    refused(path, "qty, our event 0: a number in bounds")


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ({"tick_size": Decimal("0.7")}, "px, our event 1: whole steps of --tick 0.7: 6 are not"),
        ({"lot_size": Decimal("0.001")}, "whole steps of --lot 0.001: 2 are not; got 0.0007"),
        ({"lot_size": Decimal(1_000_000)}, "qty, our event 1: whole steps of --lot 1000000:"),
    ],
)  # fmt: skip
def test_steps_that_are_not_the_arrays_are_refused(
    tmp_path: Path, steps: dict[str, Any], told: str
) -> None:
    """Nothing in the arrays says which they are: rounded, they would be another market."""
    path = tmp_path / "a.npz"
    hftbacktest.export(small(), path)
    with pytest.raises(DataError) as caught:
        hftbacktest.read(path, replace(MARKET, **steps))
    assert told in str(caught.value)


def test_steps_finer_than_the_arrays_and_their_floats_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    big = events_of(
        [(START_NS, 0, 0, 0, CLEAR), (START_NS, 0, (1 << 40) + 1, (1 << 49) + 1, LEVEL)]
    )
    hftbacktest.export(big, path)
    assert hftbacktest.read(path, MARKET).qty_lots.tolist() == [0, (1 << 49) + 1]
    finer = hftbacktest.read(path, replace(MARKET, tick_size=Decimal("0.01")))
    assert finer.price_ticks.tolist() == [0, 10 * ((1 << 40) + 1)]


def test_what_a_cleared_book_holds_besides_is_nothing(tmp_path: Path) -> None:
    at, both = START_NS, LOCAL | EXCH
    rows = [(both | 3, at, at, float("nan"), 0.123456), (both | BUY | 1, at, at, 100.0, 1.0)]
    events = hftbacktest.read(written(tmp_path, rows), MARKET)
    assert (events.price_ticks.tolist(), events.qty_lots.tolist()) == ([0, 1000], [0, 10_000])


def test_no_event_is_an_array_too(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    assert hftbacktest.export(events_of([]), path) == 0
    assert len(hftbacktest.read(path, replace(MARKET, tick_size=Decimal("0.5")))) == 0
