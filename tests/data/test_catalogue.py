"""Folders of files: what is there, which continue each other, and their one order of receipt."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm.data import catalogue as folders
from openmm.data.catalogue import Run, catalogue, merged, series
from openmm.data.events import Events
from openmm.data.store import load, write
from tests.data.made import MARKET, START_NS, events_of, small


def at_times(times: list[int]) -> Events:
    return events_of([(START_NS + at, 0, 10, 1, 2) for at in sorted(times)])


def test_files_are_listed_by_market_and_time_and_others_told(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    late = replace(small(), recv_ns=small().recv_ns + 100)
    write(below / "late.omd", late, integrity={"verdict": "good"})
    write(tmp_path / "early.omd", small())
    other = replace(small(), market=replace(MARKET, venue="bitget"))
    write(tmp_path / "other.omd", other)
    (tmp_path / "bad.omd").write_bytes(b"nothing of ours")
    (tmp_path / "note.txt").write_bytes(b"x")
    listed, refused = catalogue(tmp_path)
    assert [one.path.name for one in listed] == ["other.omd", "early.omd", "late.omd"]
    assert [one.verdict for one in listed] == ["", "", "good"]
    assert [str(one).partition(":")[0] for one in refused] == [str(tmp_path / "bad.omd")]
    told = listed[-1].to_json()
    assert told["bytes"] == (below / "late.omd").stat().st_size
    assert (told["events"], told["counts"]["trade"], told["pair"]) == (12, 1, "BTC/USD")
    assert [[part.path.name for part in one] for one in series(listed)] == [
        ["other.omd"], ["early.omd", "late.omd"],
    ]  # fmt: skip


def test_a_folder_below_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "below"
    below.mkdir()
    write(below / "a.omd", small())
    write(tmp_path / "b.omd", small())
    real = os.scandir

    def closed(path: str) -> object:
        if Path(path) == below:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", closed)  # root reads what nobody may
    listed, refused = catalogue(tmp_path)
    assert [one.path.name for one in listed] == ["b.omd"]
    (told,) = map(str, refused)
    assert told == f"{below}: folder: a folder that can be read; got 'Permission denied'"


def test_what_a_killed_conversion_left_is_no_file_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / ".half").mkdir()
    write(tmp_path / ".half" / "a.omd", small())
    assert catalogue(tmp_path) == ([], [])


def test_series_breaks_at_a_gap_an_overlap_and_other_steps(tmp_path: Path) -> None:
    def store(name: str, begin: int, **market: object) -> None:
        events = replace(
            small(),
            recv_ns=small().recv_ns + begin,
            market=replace(MARKET, **market),  # type: ignore[arg-type]
        )
        write(tmp_path / f"{name}.omd", events)

    store("a", 0)
    store("b", 60)
    store("overlaps", 100)
    store("gap", 100_000_000_000)
    store("coarse", 100_000_000_100, lot_size=MARKET.lot_size * 10)
    listed, _ = catalogue(tmp_path)
    assert [[part.path.stem for part in one] for one in series(listed)] == [
        ["a", "b"], ["overlaps"], ["gap"], ["coarse"],
    ]  # fmt: skip


def test_several_markets_are_one_order_of_receipt() -> None:
    first, second = at_times([0, 5, 5, 9]), at_times([5, 6, 20])
    assert list(merged([first, second])) == [
        Run(0, 0, 3), Run(1, 0, 2), Run(0, 3, 4), Run(1, 2, 3),
    ]  # fmt: skip
    assert list(merged([])) == []
    assert list(merged([at_times([]), first])) == [Run(1, 0, 4)]


@pytest.mark.parametrize("window", [1, 3, 1 << 20])
def test_order_is_the_same_however_little_is_looked_at_a_time(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    @given(st.lists(st.lists(st.integers(0, 12), max_size=20), max_size=4))
    def check(times: list[list[int]]) -> None:
        files = [at_times(one) for one in times]
        got = [
            (int(files[run.index].recv_ns[at]), run.index, at)
            for run in merged(files)
            for at in range(run.start, run.stop)
        ]
        wanted = sorted(
            (int(ns), index, at)
            for index, one in enumerate(files)
            for at, ns in enumerate(one.recv_ns)
        )
        assert got == wanted

    monkeypatch.setattr(folders, "WINDOW_EVENTS", window)
    check()


def test_files_are_merged_as_they_are_mapped(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.omd", small())
    stores = [load(tmp_path / f"{name}.omd") for name in ("a", "b")]
    runs = list(merged(stores))
    assert sum(run.stop - run.start for run in runs) == 24
    times = np.concatenate([stores[run.index].recv_ns[run.start : run.stop] for run in runs])
    assert np.all(np.diff(times) >= 0)
