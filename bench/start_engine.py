"""One start of the real engine, for `bench_start`: `python -m bench.start_engine FILE SECONDS`.

Starts the bot of FILE in this process, as `openmm run` does, and prints one JSON object: CPU seconds
of the process until its first orders had left, the modules it had imported by then, its resident
bytes after SECONDS of trading, its orders, and its exit code. Keys come from the environment.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from openmm.config import load
from openmm.config.secrets import load_keys
from openmm.engine.loop import Engine
from openmm.engine.log import start_log, stop_log
from openmm.engine.rundir import RunDir
from openmm.venues.connector import Keys

FIRST_QUOTE_S = 60.0
LOOK_S = 0.005


async def trade(engine: Engine, seconds: float) -> dict[str, Any]:
    """Start, wait for the first orders, trade on, stop."""
    await engine.start()
    pipeline = engine.tables.pipeline
    deadline = time.monotonic() + FIRST_QUOTE_S
    while pipeline.write_count == 0 and time.monotonic() < deadline:
        await asyncio.sleep(LOOK_S)
    told = {
        "cpu_s": time.process_time(),
        "wall_s": time.monotonic() - STARTED_S,
        "modules": sorted(sys.modules),
    }
    await engine.wait(seconds)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    told |= {"resident_bytes": pages * 4096, "orders": pipeline.sent_count}
    return told | {"exit_code": await engine.stop("measured")}


def main(file: Path, seconds: float) -> int:
    """Run one start."""
    config = load(file)
    found = load_keys(config.quoted.label)
    assert config.bot.run_dir is not None
    run_dir = RunDir(config.bot.run_dir, config.bot.name).make()
    handler = start_log(run_dir.log, config.engine.log_level, (found.key, found.secret))
    try:
        told = asyncio.run(trade(Engine(config, keys=Keys(found.key, found.secret)), seconds))
    finally:
        stop_log(handler)
    print(json.dumps(told))
    return int(told["exit_code"])


STARTED_S = time.monotonic()

if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2])))
