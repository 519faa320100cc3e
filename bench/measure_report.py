"""Print, as JSON, what the report of a store costs beside a full sum over its fills.

`python -m bench.measure_report STORE [ROUNDS]`: CPU seconds of each, medians of rounds in turn, and
the resident memory of a process that did nothing but that.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable

import sqlalchemy as sa

from openmm.settlement import store as tables
from openmm.settlement.report import load_report
from openmm.settlement.store import Store


def cpu_of(work: Callable[[], object]) -> float:
    """Time one call by the CPU it took."""
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> int:
    """Measure and print."""
    url, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    store = Store(url, create=False)
    with store.engine.connect() as connection:
        # A column behind all the texts of a row, as the report's own sums would read.
        statement = sa.select(sa.func.sum(tables.fill.c.realised_fifo_atoms), sa.func.count())
        fills = connection.execute(statement).one()[1]  # the pages are in memory from here on
        load_report(url)
        scans, reports = [], []
        for _ in range(rounds):
            scans.append(cpu_of(lambda: connection.execute(statement).one()))
            reports.append(cpu_of(lambda: load_report(url)))
    store.close()
    told = {
        "fills": fills,
        "scan_s": statistics.median(scans),
        "report_s": statistics.median(reports),
        "resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
