"""Count instructions with callgrind: the same number on a busy machine as on an idle one.

A program is run twice, with `n` and with `2 n` repetitions of the work; the difference divided by
`n` is the cost of one, free of start-up and of whatever both runs share.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openmm.errors import OpenMMError

TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class Counted:
    """Instructions of one repetition, and those of the named functions among them."""

    instructions: float
    by_function: dict[str, float]


def compiler() -> str:
    """Name the C compiler that this machine builds with."""
    out = subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=True).stdout
    return out.splitlines()[0].strip()


def count(
    script: Path, args: Sequence[str], n: int, *, functions: Sequence[str] = (),
    python: str = sys.executable,
) -> Counted:  # fmt: skip
    """Count one repetition of what `script` does `int(argv[-1])` times.

    Args:
        args: arguments before the repetition count.
        functions: parts of function names whose inclusive counts are wanted too.

    Raises:
        OpenMMError: valgrind is missing or the script failed.
    """
    small = _run(script, [*args, str(n)], functions, python)
    large = _run(script, [*args, str(2 * n)], functions, python)
    return Counted(
        (large[0] - small[0]) / n,
        {name: (large[1][name] - small[1][name]) / n for name in functions},
    )


def _run(
    script: Path, args: Sequence[str], functions: Sequence[str], python: str
) -> tuple[int, dict[str, int]]:
    if shutil.which("valgrind") is None:
        raise OpenMMError("valgrind is not installed: apt-get install valgrind")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        # Hash seeds change dictionaries, and with them the instructions of the interpreter.
        env = os.environ | {"PYTHONHASHSEED": "0", "PYTHONMALLOC": "malloc"}
        done = subprocess.run(
            [
                "valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                python, str(script), *args,
            ],
            capture_output=True, text=True, timeout=TIMEOUT_S, env=env, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise OpenMMError(f"{script.name} failed under callgrind: {done.stderr[-2000:]}")
        text = out.read_text(errors="replace")
        total = re.search(r"^summary: (\d+)", text, re.MULTILINE) or re.search(
            r"^totals: (\d+)", text, re.MULTILINE
        )
        if total is None:
            raise OpenMMError(f"callgrind wrote no total for {script.name}")
        inclusive = _inclusive(out, functions) if functions else {}
    return int(total.group(1)), inclusive


def _inclusive(out: Path, functions: Sequence[str]) -> dict[str, int]:
    listed = subprocess.run(
        ["callgrind_annotate", "--inclusive=yes", "--threshold=100", str(out)],
        capture_output=True, text=True, check=True, timeout=TIMEOUT_S,
    ).stdout  # fmt: skip
    found = dict.fromkeys(functions, 0)
    for line in listed.splitlines():
        match = re.match(r"\s*([\d,]+)\s*\([^)]*\)\s+(\S.*)", line)
        if match is None:
            continue
        for name in functions:
            if name in match.group(2):
                found[name] = max(found[name], int(match.group(1).replace(",", "")))
    return found
