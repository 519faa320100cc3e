"""What the machine grants a trading process, and one warning for each thing it does not."""

from __future__ import annotations

import json
import logging
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from openmm.config.schema import Engine
from openmm.engine import process
from openmm.engine.process import prepared

LOCKED = """
import json, sys
from openmm.engine.process import lock_memory
why = lock_memory()
kept = bytearray(8 << 20)
lines = open("/proc/self/status").read().splitlines()
print(json.dumps([why, *(int(x.split()[1]) for x in lines if x.startswith(("VmLck", "VmRSS")))]))
"""
PINNED = """
import json, os, subprocess, sys
from openmm.engine import process
free = os.sched_getaffinity(0)
core = min(free)
assert process.pin(core) == ""
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
before = sorted(os.sched_getaffinity(child.pid))
process.unpin(child.pid)
after = sorted(os.sched_getaffinity(child.pid))
child.communicate(b"\\n")
process.unpin(child.pid)
print(json.dumps([core, sorted(free), before, after, sorted(os.sched_getaffinity(0))]))
"""


def said(script: str) -> list[object]:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    found: list[object] = json.loads(done.stdout)
    return found


def test_child_that_outlives_us_is_held_until_it_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process.outlives(child)
        assert child in process._OUTLIVING
        child.communicate(b"\n")
        process.outlives(child)
    assert child not in process._OUTLIVING


def test_nothing_asked_for_is_nothing_done(caplog: pytest.LogCaptureFixture) -> None:
    before = os.sched_getaffinity(0)
    with caplog.at_level(logging.WARNING), prepared(Engine()) as refused:
        assert refused == []
        assert os.sched_getaffinity(0) == before
    assert caplog.records == []


def test_core_that_is_not_there_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), prepared(Engine(cpu=4095)) as refused:
        assert len(refused) == 1
        assert "engine.cpu = 4095 is not used" in refused[0]
    assert len(caplog.records) == 1


def test_child_of_a_pinned_process_leaves_its_core_alone() -> None:
    core, free, before, after, mine = said(PINNED)
    assert before == mine == [core]
    assert isinstance(free, list)
    assert after == [cpu for cpu in free if cpu != core] or after == free == [core]


def test_locked_memory_is_resident_or_the_refusal_says_why() -> None:
    why, locked_kib, resident_kib = said(LOCKED)
    assert isinstance(locked_kib, int)
    assert isinstance(resident_kib, int)
    if why:
        assert locked_kib == 0
    else:
        assert locked_kib > 8 << 10
        assert resident_kib > 8 << 10


def test_memory_is_not_locked_under_a_limit(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process, "_may_lock", lambda: False)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (8 << 20, 8 << 20))
    with caplog.at_level(logging.WARNING), prepared(Engine(lock_memory=True)) as refused:
        assert refused == [
            "engine.lock_memory is not used: "
            "the limit of locked memory is 8192 KiB (ulimit -l unlimited)"
        ]
    assert len(caplog.records) == 1


def test_sleep_states_are_held_off_while_the_block_lasts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    device = tmp_path / "cpu_dma_latency"
    device.touch()
    monkeypatch.setattr(process, "DMA_LATENCY", device)
    before = len(os.listdir("/proc/self/fd"))
    with prepared(Engine(keep_awake=True)) as refused:
        assert refused == []
        assert device.read_bytes() == bytes(4)
        assert len(os.listdir("/proc/self/fd")) == before + 1
    assert len(os.listdir("/proc/self/fd")) == before


def test_device_that_is_not_there_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process, "DMA_LATENCY", tmp_path / "none")
    with caplog.at_level(logging.WARNING), prepared(Engine(keep_awake=True)) as refused:
        assert len(refused) == 1
    assert ["engine.keep_awake is not used" in one.message for one in caplog.records] == [True]


def test_busy_polling_on_the_only_core_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_STARTED_WITH", frozenset({0}))
    with prepared(Engine(busy_poll=True)) as refused:
        assert refused == [
            "engine.busy_poll takes the only core there is: everything else will wait"
        ]
