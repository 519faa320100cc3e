"""Count instructions with callgrind: the same number on a busy machine as on an idle one.

A script marks what it wants counted with `section`; `run_sections` runs it under callgrind and
returns what each section cost. A section's fixed part (the call into it, the interpreter around it)
cancels in the difference of a long and a short one: `(large - small).instructions / (n - m)`.

    # count_mine.py                                    # the gate
    bot = make_bot(strategy=Mine())                    found = run_sections(Path("count_mine.py"))
    with section("short"):                             frame = found["long"] - found["short"]
        bot.pipeline.run(bot.feed, frames, 0, 500)     frame.instructions / 1500
    with section("long"):
        bot.pipeline.run(bot.feed, frames, 500, 2500)
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from openmm._fast.latency import stamp
from openmm.errors import OpenMMError

TIMEOUT_S = 900.0

# The C function behind `stamp()`: callgrind writes its counts out whenever it is entered.
_MARK = "__pyx_pw_6openmm_5_fast_7latency_*stamp"
_NAMES = "openmm callgrind sections: "

# Functions that give out memory, and those that make Python objects from free lists.
ALLOCATORS = (
    "malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc", "mmap", "PyObject_Malloc",
    "PyObject_Calloc", "PyObject_Realloc", "PyMem_Malloc", "PyMem_Calloc", "PyMem_Realloc",
    "PyType_GenericAlloc", "PyType_GenericNew", "_PyObject_New", "_PyObject_GC_New",
    "_PyObject_GC_NewVar", "PyLong_FromLong", "PyLong_FromLongLong", "PyLong_FromSsize_t",
    "PyLong_FromUnsignedLong", "PyLong_FromUnsignedLongLong", "PyFloat_FromDouble", "PyTuple_New",
    "PyList_New", "PyDict_New", "PyBytes_FromStringAndSize", "PyUnicode_New",
    "PyMemoryView_FromObject", "PyMemoryView_FromMemory",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Section:
    """What happened between two marks.

    Attributes:
        instructions: executed, in all code.
        by_object: instructions by the name of the binary or library they lie in.
        calls: how often each function was called.
        inclusive: instructions of each called function with all it called.
    """

    instructions: int
    by_object: Mapping[str, int] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)
    inclusive: Mapping[str, int] = field(default_factory=dict)

    def __sub__(self, other: Section) -> Section:
        return Section(
            self.instructions - other.instructions,
            _less(self.by_object, other.by_object),
            _less(self.calls, other.calls),
            _less(self.inclusive, other.inclusive),
        )

    @property
    def allocations(self) -> int:
        """Calls of functions that give out memory or make Python objects."""
        return sum(self.calls.get(name, 0) for name in ALLOCATORS)

    @property
    def interpreter(self) -> int:
        """Instructions inside the Python interpreter."""
        return sum(
            count
            for name, count in self.by_object.items()
            if name.startswith(("python", "libpython"))
        )

    def total(self, function: str) -> int:
        """Return the instructions of all calls of the functions whose name ends with `function`."""
        return sum(count for name, count in self.inclusive.items() if name.endswith(function))

    def each(self, function: str) -> float:
        """Return the instructions of one call of the functions whose name ends with `function`.

        Raises:
            OpenMMError: no such function was called.
        """
        names = [name for name in self.calls if name.endswith(function)]
        calls = sum(self.calls[name] for name in names)
        if calls <= 0:
            raise OpenMMError(f"no call of {function} was counted")
        return self.total(function) / calls


def _less(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) - other.get(name, 0) for name in {**one, **other}}


_names: list[str] = []


def _tell() -> None:
    print(_NAMES + json.dumps(_names), flush=True)


@contextmanager
def section(name: str) -> Iterator[None]:
    """Count what runs inside. Outside of callgrind it does nothing.

    Raises:
        ValueError: the name was used before.
    """
    if name in _names:
        raise ValueError(f"a section of this name was counted already: {name}")
    if not _names:
        atexit.register(_tell)
    _names.append(name)
    stamp()
    try:
        yield
    finally:
        stamp()


def compiler() -> str:
    """Name the C compiler that this machine builds with."""
    try:
        done = subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise OpenMMError(f"no gcc to ask for its version: {error}") from error
    return done.stdout.splitlines()[0].strip()


def run_sections(
    script: Path,
    args: Sequence[str] = (),
    *,
    python: str = sys.executable,
    env: Mapping[str, str] | None = None,
    told: list[str] | None = None,
    inside: str | None = None,
) -> dict[str, Section]:
    """Run a script under callgrind and return its sections by name.

    Every Python object is allocated with malloc, so that none hides in an arena.

    Args:
        env: added to the environment.
        told: gets the lines that the script printed.
        inside: the C name of a function, `*` for any text; only what happens between its entry and
            its return is counted.

    Raises:
        OpenMMError: valgrind is missing, the script failed, or it marked no section.
    """
    if shutil.which("valgrind") is None:
        raise OpenMMError("valgrind is not installed: apt-get install valgrind")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        # Hash seeds change dictionaries, and with them the instructions of the interpreter.
        environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONMALLOC": "malloc", **(env or {})}
        done = subprocess.run(
            [
                "valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                f"--dump-before={_MARK}", *([f"--toggle-collect={inside}"] if inside else []),
                "--compress-strings=no", "--compress-pos=no", python, str(script), *args,
            ],
            capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise OpenMMError(f"{script.name} failed under callgrind: {done.stderr[-2000:]}")
        lines = done.stdout.splitlines()
        if told is not None:
            told += lines
        listed = [line for line in lines if line.startswith(_NAMES)]
        names: list[str] = json.loads(listed[-1].removeprefix(_NAMES)) if listed else []
        # Part 2 i + 1 ends where section i begins, part 2 i + 2 where it ends.
        parts = [Path(f"{out}.{2 * index + 2}") for index in range(len(names))]
        if not names or not all(part.exists() for part in parts):
            raise OpenMMError(f"{script.name} marked no section, or another thread did")
        return {
            name: parse(part.read_text(errors="replace"))
            for name, part in zip(names, parts, strict=True)
        }


def parse(text: str) -> Section:
    """Read one part of callgrind's output, written without compressed names or positions."""
    by_object: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    inclusive: Counter[str] = Counter()
    binary = called = ""
    after_calls = False
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if line[:1].isdigit():
            count = int(line.split()[1])
            if after_calls:
                inclusive[called] += count
                after_calls = False
            else:
                by_object[binary] += count
        elif key == "ob":
            binary = value.rsplit("/", 1)[-1]
        elif key == "cfn":
            called = value
        elif key == "calls":
            calls[called] += int(value.split()[0])
            after_calls = True
    return Section(sum(by_object.values()), by_object, calls, inclusive)
