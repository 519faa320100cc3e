"""Worker processes: every run once, whatever happens to the worker that is at it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
from collections import deque
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from openmm.data import store
from openmm.errors import CommandError
from openmm.sweep.plan import Job, Spec, specs
from openmm.sweep.pool import LocalPool, Worker
from openmm.sweep.store import Result
from openmm.sweep.worker import READY, outcome, runner_of
from tests.sweep.made import bot_file, job, market_file, points, span


def carried_out(job: Job, count: int, workers: int = 2) -> dict[str, Result]:
    with closing(LocalPool(job, workers)) as pool:
        found = [one for came in pool.run(specs(job, points(count))) for one in came]
    by_id = {one.run_id: one for one in found}
    assert len(by_id) == len(found), "a run came back twice"
    return by_id


def alone(job: Job, count: int) -> dict[str, Result]:
    runner = runner_of(job)
    return {one.run_id: outcome(runner, one, "") for one in specs(job, points(count))}


def told(result: Result) -> tuple[str, str, bytes | None]:
    return result.state, result.why, result.figures


def test_results_are_those_of_a_plain_loop_and_refusals_stop_nothing() -> None:
    made = job("picky", spans=3)
    found, wanted = carried_out(made, 40), alone(made, 40)
    assert {name: told(one) for name, one in found.items()} == {
        name: told(one) for name, one in wanted.items()
    }
    assert all(one.attempts == 1 and one.host for one in found.values())
    for one in specs(made, points(40)):
        state = "refused" if one.trial % 3 == 0 else "failed" if one.trial % 5 == 0 else "done"
        assert found[one.run_id].state == state
    first = next(specs(made, points(1)))
    assert found[first.run_id].why == "strategy.num_orders: no multiple of 3; got 0"


def test_killed_worker_loses_its_own_run_which_is_done_again(tmp_path: Path) -> None:
    made = job("deadly_once", folder=str(tmp_path))
    found = carried_out(made, 30)
    attempts = [found[one.run_id].attempts for one in specs(made, points(30))]
    assert attempts == [2 if at == 2 else 1 for at in range(30)]
    assert {one.state for one in found.values()} == {"done"}


def test_run_that_ends_every_worker_is_given_up_and_says_of_what() -> None:
    made = job("deadly")
    found = carried_out(made, 12)
    results = [found[one.run_id] for one in specs(made, points(12))]
    assert (results[2].state, results[2].attempts) == ("failed", 3)
    assert results[2].why == "its worker ended with -9"
    assert (results[4].state, results[4].attempts) == ("failed", 3)
    assert "ZeroDivisionError: a fault of the program" in results[4].why
    assert "made.py" in results[4].why
    assert "\n" not in results[4].why, "a reason, no traceback"
    assert all(one.state == "done" for at, one in enumerate(results) if at not in (2, 4))


def test_workers_that_do_not_start_are_an_error_and_no_endless_loop() -> None:
    with pytest.raises(CommandError, match="workers end with 7 before they are ready"):
        carried_out(job("stillborn"), 4)


def test_fault_of_every_run_is_an_error_and_not_a_result_each(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(CommandError, match=r"every run ends its worker: (.|\n)*a fault of the"):
        carried_out(job("fatal"), 10_000, workers=1)
    assert capfd.readouterr().err == "", "it is told once, by the owner"


def test_what_a_run_prints_is_kept_off_the_standard_output(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert len(carried_out(job("loud"), 3, workers=1)) == 3
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("said by a run") == 3


def test_there_are_no_more_workers_than_runs_and_each_has_one() -> None:
    made = job("busy")
    with closing(LocalPool(made, 50)) as pool:
        came = pool.run(specs(made, points(2)))
        first = next(came)
        assert len(pool.pids) == 2
        assert len(first) + sum(map(len, came)) == 2
        assert [one.given for one in pool._workers] == [deque(), deque()]
        # A later batch may be a larger one.
        assert sum(map(len, pool.run(specs(made, points(5)[2:], 2)))) == 3
        assert len(pool.pids) == 3


def test_process_that_cannot_be_started_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    for module, name in ((socket, "socketpair"), (subprocess, "Popen")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, full)
            with pytest.raises(CommandError, match="be started: Too many open files"):
                carried_out(job("tiny"), 4)


def test_close_leaves_no_process_behind() -> None:
    made = job("busy")
    pool = LocalPool(made, 2)
    came = pool.run(specs(made, points(1_000)))
    next(came)
    pids = pool.pids
    assert len(pids) == 2
    pool.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_worker_killed_from_outside_is_replaced() -> None:
    made = job("busy")
    with closing(LocalPool(made, 2)) as pool:
        found: list[Result] = []
        for came in pool.run(specs(made, points(60))):
            if not found:
                os.kill(pool.pids[0], signal.SIGKILL)
            found += came
    assert sorted(one.run_id for one in found) == sorted(
        one.run_id for one in specs(made, points(60))
    )
    assert sum(one.attempts for one in found) in (60, 61)


def held_kb(pid: int) -> int:
    """Return what a process holds for itself: pages of mapped files are everybody's."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))


def test_memory_of_a_worker_is_flat_in_the_number_of_runs(tmp_path: Path) -> None:
    file = market_file(tmp_path, seconds=6)
    content = store.read_header(file).content
    part = msgspec.structs.replace(span(0).parts[0], path=str(file), content=content)
    made = msgspec.structs.replace(
        job("tiny"), runner="openmm.sweep.columns:Columns",
        spans=(msgspec.structs.replace(span(0), parts=(part,)),), folder=str(bot_file(tmp_path)),
    )  # fmt: skip
    listed = [
        Spec(f"{place}", place, place, 0, (("strategy.num_orders", str(1 + place % 4)),))
        for place in range(2_000)
    ]
    held: dict[int, int] = {}
    done = 0
    with closing(LocalPool(made, 1)) as pool:
        for came in pool.run(iter(listed)):
            assert {one.state for one in came} == {"done"}, came[0].why
            done += len(came)
            for count in (200, 1_950):
                if done >= count and count not in held:
                    held[count] = held_kb(pool.pids[0])
    assert done == 2_000
    assert held[1_950] - held[200] < 2_048, held


def test_ctrl_c_while_a_worker_imports_is_nothing_to_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    made = job("tiny")
    worker = Worker(msgspec.msgpack.encode(made))
    os.kill(worker.process.pid, signal.SIGINT)  # before it can have said what that means to it
    try:
        ready = worker.take()
        assert ready is not None
        assert ready.state == READY
        os.kill(worker.process.pid, signal.SIGINT)
        worker.give(list(specs(made, points(1))))
        done = worker.take()
        assert done is not None
        assert done.state == "done"
    finally:
        worker.stop()
    assert capfd.readouterr() == ("", "")
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, []), "ours is not held"
