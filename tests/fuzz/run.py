"""Run targets over numbered inputs; a failure names target, seed and number, and is kept."""

from __future__ import annotations

import mmap
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.fuzz import files, kernels, texts
from tests.fuzz.target import INPUT_BYTES_MAX, Target

KEPT: Final = Path(".cache") / "fuzz"
CHUNK: Final = 200


@dataclass
class Tally:
    """How much of a target was run."""

    inputs: int = 0
    seconds: float = 0.0


class InputFailed(AssertionError):
    """An input did what none may; the text tells which and how to repeat it."""


@contextmanager
def all_targets(shared: Path) -> Iterator[list[Target]]:
    """Make every target; those that read files have a folder for as long."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(prefix="fuzz-", dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        yield [
            *kernels.targets(shared),
            *texts.targets(shared, folder),
            *files.targets(shared, folder),
        ]


class Last:
    """The input being tried, in a file: a crash of the process leaves it there."""

    def __init__(self, name: str) -> None:
        KEPT.mkdir(parents=True, exist_ok=True)
        self.path = KEPT / f"{name}.last"
        with self.path.open("wb") as file:
            file.truncate(8 + INPUT_BYTES_MAX)
        with self.path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8 + INPUT_BYTES_MAX)

    def put(self, data: bytes) -> None:
        """Note an input before it is tried."""
        self._map[:8] = len(data).to_bytes(8, "little")
        self._map[8 : 8 + len(data)] = data

    def close(self) -> None:
        """Forget it: the target is through."""
        self._map.close()
        self.path.unlink(missing_ok=True)


def last_input(path: Path) -> bytes:
    """Return an input that a crash left, or a file's bytes."""
    data = path.read_bytes()
    return data[8 : 8 + int.from_bytes(data[:8], "little")] if path.suffix == ".last" else data


def run(
    target: Target, seed: int, count: int, tally: Tally, *, seconds: float | None = None,
    first: int = 0,
) -> Iterator[int]:  # fmt: skip
    """Try inputs of a target; yields how many were done, now and then.

    Raises:
        InputFailed: one of them did what none may.
    """
    last = Last(target.name)
    started = time.monotonic()
    done = 0
    while done < count and (seconds is None or time.monotonic() - started < seconds):
        for number in range(first + done, first + min(count, done + CHUNK)):
            data = target.input(seed, number)
            last.put(data)
            try:
                target.check(data)
            except Exception as error:
                raise InputFailed(_told(target, seed, number, data, error)) from error
        step = min(CHUNK, count - done)
        done += step
        tally.inputs += step
        tally.seconds = time.monotonic() - started
        yield step
    last.close()


def _told(target: Target, seed: int, number: int, data: bytes, error: Exception) -> str:
    kept = KEPT / f"{target.name}-{seed}-{number}.bin"
    kept.write_bytes(data)
    return (
        f"{target.name}: {type(error).__name__}: {error}\n"
        f"  input {number} of seed {seed}: {data[:200]!r}\n"
        f"  again: python -m tests.fuzz --only {target.name} --input {kept}"
    )


def shares(targets: Sequence[Target], total: int) -> dict[str, int]:
    """Split a number of inputs among targets by their weights, none left out."""
    weights = sum(one.weight for one in targets)
    return {one.name: -(-total * one.weight // weights) for one in targets}


def progress(done: int, total: int, name: str) -> None:
    """Show how far it is: a bar on a terminal, a line now and then elsewhere."""
    if sys.stderr.isatty():
        filled = 40 * done // total
        bar = "#" * filled + "." * (40 - filled)
        sys.stderr.write(f"\r[{bar}] {done:>9,} of {total:,}  {name:<18}")
        sys.stderr.flush()
