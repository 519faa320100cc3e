"""A busy process beside the sweep's: it does its share of the same runs in a plain loop.

`python -m bench.sweep_loop JOB COUNT FIRST STEP` reads the job, does one run to warm up, prints a
line, waits for a line, does runs FIRST, FIRST + STEP, … of COUNT and prints the hash of what came.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import msgspec

from bench.bench_sweep import points
from openmm.sweep.plan import Job, specs
from openmm.sweep.worker import runner_of


def main() -> int:
    """Do a share of the runs."""
    job = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=Job)
    count, first, step = (int(one) for one in sys.argv[2:])
    mine = list(specs(job, points(count)))[first::step]
    runner = runner_of(job)
    runner(mine[0])
    print("ready", flush=True)
    while sys.stdin.readline().strip() == "go":
        found = hashlib.blake2b()
        for spec in mine:
            found.update(msgspec.msgpack.encode(runner(spec)))
        print(found.hexdigest(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
