"""One record into the tape: instructions, copy included, and time against a `bytearray`."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from openmm._fast.tape import Record, Tape
from openmm.testing.callgrind import run_sections

SCRIPT = Path(__file__).with_name("tape_appends.py")
FRAME_BYTES = 370  # the usual Kraken book message
LADDER_BYTES = 1264
APPENDS = 20_000


def gate_tape() -> dict[str, float]:
    """Count the instructions of one append, by payload."""
    sizes, short, long = (FRAME_BYTES, LADDER_BYTES), 1_000, 4_000
    numbers = [str(number) for number in (short, long, *sizes)]
    found = run_sections(SCRIPT, numbers, env={"PYTHONPATH": str(SCRIPT.parent.parent)})
    return {
        f"tape/append/{size}": (found[f"{size}/long"] - found[f"{size}/short"]).instructions
        / (long - short)
        for size in sizes
    }


@pytest.mark.benchmark(group="tape: 20,000 records of 370 bytes")
def test_append(benchmark: BenchmarkFixture) -> None:
    """Time appends in one compiled call, the oldest dropped."""
    tape = Tape(None, size_bytes=1 << 22, follow=False)
    payload = bytes(FRAME_BYTES)
    fitted = benchmark(tape.append_many, Record.REC_FRAME, 0, payload, APPENDS)
    assert fitted == APPENDS


@pytest.mark.benchmark(group="tape: 20,000 records of 370 bytes")
def test_bytearray(benchmark: BenchmarkFixture) -> None:
    """Time the same into a growing `bytearray`, for the scale."""
    head = struct.Struct("<IHHQqQ")
    payload = bytes(FRAME_BYTES)

    def run() -> int:
        out = bytearray()
        for n in range(APPENDS):
            out += head.pack(FRAME_BYTES + 1, 2, 0, n, n, 0)
            out += payload
        return len(out)

    assert benchmark(run) == APPENDS * (32 + FRAME_BYTES)
