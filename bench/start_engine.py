"""One start of the real engine, for `bench_start` and `bench_restart`.

`python -m bench.start_engine FILE SECONDS STARTED` starts the bot of FILE in this process, as
`openmm run` does, and prints one JSON object: CPU seconds of the process and of those it started
until its first orders had left, its page faults by then, seconds of the clock since STARTED (a
reading of the monotonic clock, before the process began), the modules it had imported by then, its
resident bytes after SECONDS of trading, its orders, and its exit code. Keys come from the
environment. With SECONDS below 0 the process ends where its first orders have left, for a tool that
counts what it did until then.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from openmm.engine.loop import Engine

FIRST_QUOTE_S = 60.0
LOOK_S = 0.02


def from_file(name: str, module: Any) -> bool:
    """Whether importing this name would read a file: not a builtin, nor made by another module."""
    spec = getattr(module, "__spec__", None)
    return spec is not None and spec.name == name and getattr(module, "__file__", None) is not None


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def children() -> list[str]:
    """Return the ids of the processes this one has running."""
    paths = Path("/proc/self/task").glob("*/children")
    return " ".join(path.read_text() for path in paths).split()


def children_cpu_s() -> float:
    """Return the CPU seconds, user and system, of the processes this one has running."""
    ticks = 0
    for pid in children():
        # The name in brackets may hold spaces: fields count from behind it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def end_here(told: dict[str, Any]) -> NoReturn:
    """Print what is known and end, as `kill -9` would, with the processes this one has running."""
    print(json.dumps(told), flush=True)
    for pid in children():
        os.kill(int(pid), signal.SIGKILL)
        os.waitpid(int(pid), 0)
    os._exit(0)


async def trade(engine: Engine, seconds: float, started_s: float) -> dict[str, Any]:
    """Start, wait for the first orders, trade on, stop."""
    await engine.start()
    gc.enable()
    pipeline = engine.tables.pipeline
    deadline = time.monotonic() + FIRST_QUOTE_S
    while pipeline.placed_count == 0 and time.monotonic() < deadline:  # noqa: ASYNC110 - no event
        # Not `engine.wait`: its tasks and timers would be a part of what is measured here.
        await asyncio.sleep(LOOK_S)
    told = {
        "cpu_s": time.process_time(),
        "placed": pipeline.placed_count,
        "page_faults": resource.getrusage(resource.RUSAGE_SELF).ru_minflt,
        "children_cpu_s": children_cpu_s(),
        "wall_s": time.monotonic() - started_s,
        "modules": [name for name, module in sys.modules.items() if from_file(name, module)],
    }
    if seconds < 0:
        end_here(told)
    await engine.wait(seconds)
    told["resident_bytes"] = resident_bytes()
    return told | {"exit_code": await engine.stop("measured")}


def main(file: Path, seconds: float, started_s: float) -> int:
    """Run one start, its imports and the collector as in `openmm.cli.run`."""
    gc.disable()
    from openmm.config import load
    from openmm.config.secrets import load_keys
    from openmm.engine.log import start_log, stop_log
    from openmm.engine.loop import Engine
    from openmm.engine.rundir import RunDir
    from openmm.venues.connector import Keys

    config = load(file)
    found = load_keys(config.quoted.label)
    assert config.bot.run_dir is not None
    run_dir = RunDir(config.bot.run_dir, config.bot.name).make()
    handler = start_log(run_dir.log, config.engine.log_level, (found.key, found.secret))
    try:
        told = asyncio.run(
            trade(Engine(config, keys=Keys(found.key, found.secret)), seconds, started_s)
        )
    finally:
        stop_log(handler)
    print(json.dumps(told))
    return int(told["exit_code"])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
