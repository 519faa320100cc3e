"""Files of market data: what is written is read, mapped, and nothing else is taken for one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from openmm.data.events import COLUMNS, FILTERED, LEVEL, TRADE, Events, Market
from openmm.data.store import MAGIC, Source, load, read_header, write
from openmm.errors import DataError
from tests.data.made import MARKET, START_NS, any_events, small


def alike(one: Events, other: Events) -> bool:
    return one.market == other.market and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in COLUMNS
    )


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(any_events())
def test_what_is_written_is_read(tmp_path: Path, events: Events) -> None:
    path = tmp_path / "a.omd"
    written = write(path, events, sources=[Source("x", "00", 1)], notes={"rounded": 2})
    store = load(path)
    assert alike(store.events, events)
    assert store.header == written == read_header(path)
    assert store.header.events == len(store) == len(events)


def test_columns_are_mapped_aligned_and_read_only(tmp_path: Path) -> None:
    path = tmp_path / "a.omd"
    write(path, small())
    store = load(path)
    for name in COLUMNS:
        column = getattr(store, name)
        assert column is getattr(store.events, name)
        assert not column.flags.owndata
        assert column.ctypes.data % 64 == 0
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1
    assert store.header.counts == {
        "level": 8, "trade": 1, "clear": 2, "broken": 1, "quote": 0, "filtered": 0,
    }  # fmt: skip
    assert (store.header.first_ns, store.header.last_ns) == (START_NS, START_NS + 60)
    assert (store.header.first_venue_ns, store.header.last_venue_ns) == (
        START_NS - 5, START_NS + 55,
    )  # fmt: skip


def test_same_events_are_the_same_bytes_and_leave_nothing_beside(tmp_path: Path) -> None:
    for name in ("a.omd", "b.omd"):
        write(tmp_path / name, small())
    assert (tmp_path / "a.omd").read_bytes() == (tmp_path / "b.omd").read_bytes()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.omd", "b.omd"]


def test_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.omd"
    write(path, small())
    before = path.read_bytes()
    bad = replace(small(), recv_ns=small().recv_ns[::-1])
    with pytest.raises(DataError, match="recv_ns, event 3"):
        write(path, bad)
    with pytest.raises(DataError, match="a place that can be written to"):
        write(tmp_path / "no" / "a.omd", small())
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.omd"]


@pytest.mark.parametrize(
    ("market", "told"),
    [
        (replace(MARKET, tick_size=Decimal("NaN")), "header, tick_size: a decimal above 0"),
        (replace(MARKET, lot_size=Decimal(-1)), "header, lot_size: a decimal above 0"),
        (replace(MARKET, pair="BTC\n/USD"), "header, pair: printable characters"),
    ],
)
def test_what_could_not_be_read_again_replaces_nothing(
    tmp_path: Path, market: Market, told: str
) -> None:
    path = tmp_path / "a.omd"
    write(path, small())
    before = path.read_bytes()
    with pytest.raises(DataError) as caught:
        write(path, replace(small(), market=market))
    assert told in str(caught.value)
    assert path.read_bytes() == before


def edited(name: str, at: int, value: int) -> Callable[[Events], Events]:
    def edit(events: Events) -> Events:
        column = getattr(events, name).copy()
        column[at] = value
        return replace(events, **{name: column})

    return edit


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (edited("flags", 1, 0x101), "flags, event 1: bits within 0xff; got 257"),
        (edited("flags", 2, 0), "flags, event 2: a kind of"),
        (edited("flags", 2, 6), "flags, event 2: a kind of"),
        (edited("flags", 1, LEVEL | FILTERED), "event 1: the mark of a filtered trade on trades"),
        (edited("flags", 1, LEVEL | 64), "event 1: the end of a read where the receive time moves"),
        (edited("recv_ns", 9, 1), "recv_ns, event 9: no time before the one ahead of it; got 1"),
        (edited("venue_ns", 3, -1), "venue_ns, event 3: a time, or 0; got -1"),
        (edited("price_ticks", 0, 5), "price_ticks, event 0: above 0; 0 of CLEAR and BROKEN"),
        (edited("price_ticks", 1, 0), "price_ticks, event 1: above 0"),
        (edited("qty_lots", 5, -3), "qty_lots, event 5: 0 or more; got -3"),
        (edited("qty_lots", 0, 3), "qty_lots, event 0: 0 or more; got 3"),
        (edited("recv_ns", 0, 0), "recv_ns, event 0: a time, above 0; got 0"),
        (edited("price_ticks", 1, 1 << 41), "price_ticks, event 1: at most 1,099,511,627,776"),
        (edited("qty_lots", 1, 1 << 53), "qty_lots, event 1: at most 4,503,599,627,370,496"),
    ],
)
def test_events_that_no_file_holds_are_refused(
    tmp_path: Path, edit: Callable[[Events], Events], told: str
) -> None:
    with pytest.raises(DataError) as caught:
        write(tmp_path / "a.omd", edit(small()))
    assert told in str(caught.value)
    assert str(tmp_path / "a.omd") in str(caught.value)


def test_damaged_files_are_one_clear_error(tmp_path: Path) -> None:
    """Each names the file, the place, the value and what is allowed."""
    path = tmp_path / "a.omd"
    write(path, small())
    good = path.read_bytes()
    size = int.from_bytes(good[8:16], "little")
    header = json.loads(good[16 : 16 + size])

    def refused(data: bytes) -> str:
        path.write_bytes(data)
        with pytest.raises(DataError) as caught:
            load(path)
        assert str(path) in str(caught.value)
        return str(caught.value)

    def headed(**fields: object) -> bytes:
        text = json.dumps({**header, **fields}, separators=(",", ":")).encode()
        head = MAGIC + len(text).to_bytes(8, "little") + text
        return head + bytes(4096 - len(head)) + good[4096:]

    assert "byte 0: the magic" in refused(b"OMDATA2\n" + good[8:])
    assert "byte 0" in refused(b"")
    assert "byte 8: a header of 2 to" in refused(MAGIC + (1 << 40).to_bytes(8, "little"))
    assert "header: JSON" in refused(good[:16] + b"[" + good[17:])
    assert "header, format: 1, the one of this build; got 2" in refused(headed(format=2))
    assert "header: the fields of its format" in refused(headed(extra=1))
    for size_name in ("tick_size", "lot_size"):
        for value in (
            "-1",
            "0",
            "x",
            "nan",
            "1E+60",
            "1E-60",
            "1E-19",
            "1E-999999",
            "0." + "3" * 50,
        ):
            told = refused(headed(**{size_name: value}))
            assert f"header, {size_name}: a decimal above 0, within 18 digits of the po" in told
    reports: list[dict[str, object]] = [
        {"verdict": 5}, {"problems": 7}, {"problems": ["x"]}, {"problems": [{}]},
    ]  # fmt: skip
    for report in reports:
        told = refused(headed(integrity=report))
        assert "header, integrity: a report's verdict and problems" in told
    for name in ("venue", "market", "pair"):
        for word in ("a\nb", "\x1b[31mred", "a\0b", "\u202e"):
            told = refused(headed(**{name: word}))
            assert f"header, {name}: printable characters; got {word!r}" in told
    lines = {"problems": [{"severity": "doubtful", "name": "a", "text": "one\ntwo"}]}
    assert "header, integrity: printable characters" in refused(headed(integrity=lines))
    for name in ("first_ns", "last_ns", "first_venue_ns", "last_venue_ns"):
        for time_ns in (-1, 1 << 63):
            assert f"header, {name}: 0 to 9,223" in refused(headed(**{name: time_ns}))
    assert "size: 4,672 bytes for 12 events; got 4671" in refused(good[:-1])
    assert "bytes for 99 events; got 4672" in refused(headed(events=99))
    assert "header, counts: events of each kind" in refused(headed(counts={}))
    assert "header, counts" in refused(headed(counts={**header["counts"], "trade": 9}))
    assert "first_ns and last_ns: those in it" in refused(headed(first_ns=1 << 62))
    assert "first_ns and last_ns: those in it" in refused(headed(last_ns=0))
    assert "recv_ns, event 1" in refused(good[: 4096 + 8] + bytes(8) + good[4096 + 16 :])
    with pytest.raises(DataError, match="a file that can be read"):
        load(tmp_path / "none.omd")


def test_span_of_a_file_is_a_view_of_whole_reads(tmp_path: Path) -> None:
    path = tmp_path / "a.omd"
    write(path, small())
    store = load(path)
    part = store.between(START_NS + 10, START_NS + 40)
    assert (part.recv_ns - START_NS).tolist() == [10, 10, 30]
    assert part.kinds.tolist() == [TRADE, LEVEL, LEVEL]
    assert np.shares_memory(part.flags, store.flags)
    assert len(store.between(START_NS + 61, START_NS + 99)) == 0
