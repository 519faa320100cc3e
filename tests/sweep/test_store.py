"""The file of plan and results: one owner, one sweep, each result once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from openmm.errors import CommandError, ConfigError
from openmm.sweep.figures import Moments
from openmm.sweep.plan import described, specs
from openmm.sweep.ranking import rank
from openmm.sweep.store import FILE, Result, SweepStore
from tests.sweep.made import NS, encoded, job, points

JOB = job("tiny", spans=2)
SPECS = list(specs(JOB, points(5)))


def test_what_is_kept_comes_back_in_the_plans_order(tmp_path: Path) -> None:
    with SweepStore(tmp_path) as store:
        store.plan(SPECS)
        assert store.open_runs() == SPECS
        results = [Result(one.run_id, "done", "", b"x", 0.5, "here", 1) for one in SPECS]
        assert store.add(reversed(results[:7])) == 7
    with SweepStore(tmp_path) as store:
        assert store.counts() == (10, 7)
        assert store.open_runs() == SPECS[7:]
        assert list(store.results()) == list(zip(SPECS[:7], results[:7], strict=True))
        assert [spec.trial for spec, _ in store.results(3)] == [3, 4]


def test_nothing_is_kept_twice(tmp_path: Path) -> None:
    with SweepStore(tmp_path) as store:
        store.plan(SPECS)
        store.plan(SPECS)
        first = Result(SPECS[0].run_id, "done", "", b"first")
        assert store.add([first]) == 1
        assert store.add([Result(SPECS[0].run_id, "failed", "later"), first]) == 0
        assert [result for _, result in store.results()] == [first]
        assert store.counts() == (10, 1)


def test_result_of_no_run_is_refused_with_all_that_came_with_it(tmp_path: Path) -> None:
    with SweepStore(tmp_path) as store:
        store.plan(SPECS[:1])
        with pytest.raises(sqlite3.IntegrityError):
            store.add([Result(SPECS[0].run_id, "done"), Result("unknown", "done")])
        assert store.counts() == (1, 0)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with SweepStore(tmp_path), pytest.raises(CommandError) as caught:
        SweepStore(tmp_path)
    assert caught.value.code == "busy"
    with SweepStore(tmp_path):
        pass


def test_folder_of_another_sweep_is_refused_with_what_differs(tmp_path: Path) -> None:
    wanted = described(JOB, {"kind": "grid"})
    with SweepStore(tmp_path) as store:
        assert store.claim(wanted) is False
    with SweepStore(tmp_path) as store:
        assert store.claim(wanted) is True
        with pytest.raises(ConfigError, match="of other bot's file, build or code of the strat"):
            store.claim({**wanted, "bot": "other", "build": "other"})
        with pytest.raises(ConfigError, match="of other parameters; got"):
            store.claim(described(JOB, {"kind": "random"}))
        assert store.claim(wanted) is True


def test_what_is_committed_is_there_for_a_second_reader(tmp_path: Path) -> None:
    """What `kill -9` leaves: the file as others see it while its owner has not closed it."""
    with SweepStore(tmp_path) as store:
        store.plan(SPECS)
        store.add([Result(SPECS[3].run_id, "done")])
        beside = sqlite3.connect(tmp_path / FILE)
        assert beside.execute("SELECT run_id FROM result").fetchall() == [(SPECS[3].run_id,)]
        beside.close()


@pytest.mark.parametrize("made", [lambda file: file.write_bytes(b"no such file" * 999), Path.mkdir])
def test_file_that_is_no_database_is_told_by_name(
    tmp_path: Path, made: Callable[[Path], object]
) -> None:
    made(tmp_path / FILE)
    for _ in range(2):  # the folder is let go
        with pytest.raises(CommandError, match=FILE) as caught:
            SweepStore(tmp_path)
        assert caught.value.code == "command"


@pytest.mark.parametrize("harmed", ["about SET value", "run SET point", "result SET figures"])
def test_values_that_are_damaged_are_told_by_the_files_name(tmp_path: Path, harmed: str) -> None:
    wanted = described(JOB, {"kind": "grid"})
    with SweepStore(tmp_path) as store:
        store.claim(wanted)
        both = list(specs(JOB, points(1)))
        store.plan(both)
        store.add(Result(one.run_id, "done", figures=encoded(Moments())) for one in both)
    with closing(sqlite3.connect(tmp_path / FILE)) as beside:
        beside.execute(f"UPDATE {harmed} = x'ff00'")
        beside.commit()

    def read() -> None:
        with SweepStore(tmp_path) as store:
            store.claim(wanted)
            rank(store.results(), JOB.spans, NS, 0, False)

    with pytest.raises(CommandError, match=f"{FILE}: damaged: "):
        read()


def fill(folder: Path) -> None:
    """Keep results until there is no room: a limit of pages gives the error of a full disk."""
    with SweepStore(folder) as store:
        store.plan(SPECS)
        store.add([Result(SPECS[0].run_id, "done", "", b"kept")])
        store._db.execute("PRAGMA max_page_count=1")
        for one in SPECS[1:]:
            store.add([Result(one.run_id, "done", "", b"x" * 100_000)])


def test_full_disk_is_told_by_name_and_what_was_kept_stays(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=f"{FILE}: database or disk is full"):
        fill(tmp_path)
    with SweepStore(tmp_path) as store:
        assert [result.figures for _, result in store.results()] == [b"kept"]


def test_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "results.parquet"
    mine.write_text("of another program")
    with pytest.raises(ConfigError, match="a sweep's own folder, an empty one"):
        SweepStore(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["results.parquet"]
    assert mine.read_text() == "of another program"
    (tmp_path / "begun" / "spans").mkdir(parents=True)  # of a sweep that was killed at once
    SweepStore(tmp_path / "begun").close()
    (tmp_path / "begun" / "results.parquet").touch()
    SweepStore(tmp_path / "begun").close()


def test_what_is_known_before_the_spans_is_compared_by_itself(tmp_path: Path) -> None:
    wanted = described(JOB, {"kind": "grid"})
    known = {name: value for name, value in wanted.items() if name != "data"}
    with SweepStore(tmp_path) as store:
        assert store.compare(known) is False
        assert store.claim(wanted) is False
        assert store.compare(known) is True
        with pytest.raises(ConfigError, match=r"results of other data;"):
            store.compare({**known, "files": "others"})
