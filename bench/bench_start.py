"""Start of the real engine against a simulated venue: work until its first quote, resident memory.

`python -m bench --only bench_start` measures the gates. The yardstick is a process that imports
the libraries the engine had imported by its first quote, and does nothing else. What it imports is
counted too: a heavy library weighs on both sides of that ratio. The writer process, which the
engine starts, is told apart.

Work is told in three ways: instructions of either process (callgrind) and pages the kernel had to
give it, which are the same wherever they are counted, and CPU seconds, in which code that runs once
pays for what neighbours of the machine leave of its caches.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.peers import ROOT

TIMEOUT_S = 120
LABEL = "kraken"

FILE = """\
[bot]
name = "start"
mode = "live"
run_dir = "{folder}"

[[venue]]
name = "kraken"
quote = "BTC/USD"
account = "dedicated"
endpoints = {{ ws = "{ws}", ws_auth = "{ws_auth}", rest = "{rest}" }}

[strategy]
kind = "grid"
spread = "3bps"
level_step = "2bps"
order_amount = "0.01"
num_orders = 5
rebalance_threshold = "20%"
target_base = "50%"

[risk]
max_order_size = "0.02"
max_open_notional = "20000"
max_inventory = "0.2"
max_drawdown = "2%"
"""

BARE = """\
import gc, json, os, sys
gc.disable()  # as the engine starts
for name in json.loads(sys.stdin.read()):
    __import__(name)
import resource, time
print(time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt, flush=True)
os._exit(0)  # what an interpreter does at its end is no part of it
"""

# In front of a process: its instructions are written to a file, of which `totals` is read.
COUNTED = ("valgrind", "--tool=callgrind", "--quiet")
TOTALS = re.compile(r"^totals: (\d+)$", re.MULTILINE)


@contextmanager
def simulated_venue(*options: str) -> Iterator[dict[str, Any]]:
    """Run a simulated Kraken; give what it told once its ports were open."""
    process = subprocess.Popen(
        [
            sys.executable, "-m", "openmm.cli.main", "sim", "kraken", "--seed", "7",
            "--maker-fee", "0%", "--taker-fee", "0.1%", *options,
        ],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def bot_file(folder: str, venue: dict[str, Any]) -> Path:
    """Write the file of the bot that is started, for a venue that runs."""
    file = Path(folder) / "bot.toml"
    addresses = {name: venue[name] for name in ("ws", "ws_auth", "rest")}
    file.write_text(FILE.format(folder=folder, **addresses))
    return file


def spawn_engine(
    file: Path, venue: dict[str, Any], seconds: float, before: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start the engine in a process of its own, which tells on its output how it went.

    Args:
        before: a command that runs it.
    """
    keys = {
        f"OPENMM_{LABEL.upper()}_KEY": str(venue["api_key"]),
        f"OPENMM_{LABEL.upper()}_SECRET": str(venue["api_secret"]),
    }
    return subprocess.Popen(
        [
            *before, sys.executable, "-m", "bench.start_engine", str(file), str(seconds),
            str(time.monotonic()),
        ],
        cwd=ROOT, env=os.environ | keys, stdout=subprocess.PIPE,
    )  # fmt: skip


def told_by(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Wait for an engine's end; return what it told.

    Raises:
        subprocess.CalledProcessError: it did not start, quote and stop cleanly.
    """
    output, _ = process.communicate(timeout=TIMEOUT_S)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    told: dict[str, Any] = json.loads(output)
    assert told["placed"] > 0, "the engine sent no order"
    return told


def start_engine(venue: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Start the engine once, in a process and a folder of its own; return what it told.

    Raises:
        subprocess.CalledProcessError: it did not start, quote and stop cleanly.
    """
    with tempfile.TemporaryDirectory() as folder:
        return told_by(spawn_engine(bot_file(folder, venue), venue, seconds))


def libraries(modules: Sequence[str]) -> list[str]:
    """Return the modules among imported ones that others wrote: what the bare process imports.

    By their full names, for a library that loads its parts when they are first used (pydantic) is
    not imported by its first name.
    """
    ours = ("openmm", "bench", "__main__", "__mp_main__")
    return [name for name in modules if not name.startswith(ours)]


def start_bare(names: Sequence[str], before: Sequence[str] = ()) -> tuple[float, int]:
    """Import libraries in a new process; return its CPU seconds and page faults.

    Args:
        before: a command that runs it.

    Raises:
        subprocess.CalledProcessError: one of them does not import.
    """
    done = subprocess.run(
        [*before, sys.executable, "-c", BARE], input=json.dumps(list(names)),
        cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=TIMEOUT_S, text=True,
    )  # fmt: skip
    cpu_s, faults = done.stdout.split()
    return float(cpu_s), int(faults)


def instructions_ratio() -> float:
    """Count a start's instructions until its first orders, over those of the bare imports.

    Raises:
        subprocess.CalledProcessError: either of them did not run.
    """

    def counted(name: str) -> tuple[Path, list[str]]:
        out = Path(folder) / f"{name}.out"
        return out, [*COUNTED, f"--callgrind-out-file={out}"]

    with tempfile.TemporaryDirectory() as folder, simulated_venue() as venue:
        engine_out, before = counted("engine")
        told = told_by(spawn_engine(bot_file(folder, venue), venue, -1, before))
        bare_out, before = counted("bare")
        start_bare(libraries(told["modules"]), before)
        return instructions(engine_out) / instructions(bare_out)


def instructions(out: Path) -> int:
    """Return what callgrind counted in all.

    Raises:
        ValueError: the file does not tell.
    """
    found = TOTALS.search(out.read_text())
    if found is None:
        raise ValueError(f"{out.name}: no line of totals")
    return int(found[1])


def as_installed() -> None:
    """Write the bytecode of our modules, as installing writes that of every package.

    Raises:
        subprocess.CalledProcessError: a source does not compile.
    """
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "openmm", "bench"],
        cwd=ROOT, check=True, timeout=TIMEOUT_S,
    )  # fmt: skip


def start(rounds: int = 5, seconds: float = 1.0) -> dict[str, float]:
    """Measure starts of the engine and of the bare libraries in turn."""
    as_installed()
    ratios, engine, bare, resident, wall, writer, foreign = [], [], [], [], [], [], []
    faults = []
    for _ in range(rounds):
        # A venue of its own: the third start of one account within seconds runs out of its rate
        # counters, and waits for 12 s of them.
        with simulated_venue() as venue:
            told = start_engine(venue, seconds)
        names = libraries(told["modules"])
        bare_s, bare_faults = start_bare(names)
        bare.append(bare_s)
        faults.append(told["page_faults"] / bare_faults)
        foreign.append(len(names))
        writer.append(told["children_cpu_s"])
        engine.append(told["cpu_s"])
        wall.append(told["wall_s"])
        resident.append(told["resident_bytes"])
        ratios.append(engine[-1] / bare[-1])
    return {
        "start/instructions_over_bare_imports": instructions_ratio(),
        "start/page_faults_over_bare_imports": statistics.median(faults),
        "start/cpu_over_bare_imports": statistics.median(ratios),
        "start/engine_cpu_s": statistics.median(engine),
        "start/engine_wall_s": statistics.median(wall),
        "start/bare_cpu_s": statistics.median(bare),
        "start/writer_cpu_s": statistics.median(writer),
        "start/foreign_modules": max(foreign),
        "start/resident_mb": max(resident) / 1e6,
    }


def gate_start() -> dict[str, float]:
    """Measure the gates of the start."""
    return start()
