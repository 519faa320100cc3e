"""The books: what a fill costs to book as the history grows, and what a report costs beside it.

`python -m bench --only bench_books` books 20,000 fills of a session by chance: late and doubled
ones, fees in four assets, other money in between. For the report, the rows of fills, orders and
postings are then put there ten times. `OPENMM_SOAK=1` books a million, and adds nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from openmm.settlement import store as tables
from openmm.settlement.store import Store

ROOT = Path(__file__).resolve().parent.parent
SOAK = os.environ.get("OPENMM_SOAK") == "1"
FILLS, TIMES = (1_000_000, 1) if SOAK else (20_000, 10)


def told_by(program: str, *args: str) -> Any:
    """Run a module of this folder in a process of its own; return the JSON it prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{program}", *args],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def multiply(path: Path, times: int) -> None:
    """Put the rows of fills, orders and postings there several times, as if from long before."""
    store = Store(str(path))
    own = {"record_index": -(1 << 40), "seq": -(1 << 40)}
    with store.begin() as connection:
        for table in (tables.fill, tables.order, tables.posting):
            for number in range(1, times):
                columns = []
                for column in table.columns:
                    value: Any = column
                    if column.name in own and column.primary_key:
                        value = column + number * own[column.name]
                    elif column.name == "exec_id":
                        value = column + f"-{number}"
                    columns.append(value)
                rows = sa.select(*columns).where(
                    *(table.c[name] >= 0 for name in own if name in table.primary_key)
                )
                connection.execute(sa.insert(table).from_select(list(table.c.keys()), rows))
    store.close()


def gate_books() -> dict[str, float]:
    """Book, multiply, report; ratios of CPU and megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite"
        booked = told_by("book_fills", str(path), str(FILLS))
        multiply(path, TIMES)
        report = told_by("measure_report", str(path))
    assert report["fills"] == FILLS * TIMES
    return {
        "books/posting/last_tenth_over_first": booked["last_tenth"] / booked["first_tenth"],
        "books/posting/us_per_fill": booked["us_per_fill"],
        "books/writer_resident_mb": booked["resident_mb"],
        "books/report_over_sum": report["report_s"] / report["scan_s"],
        "books/report_resident_mb": report["resident_mb"],
    }
