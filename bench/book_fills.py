"""Book fills as a writer does; print as JSON what a record cost early and late, and the memory.

`python -m bench.book_fills STORE FILLS`
"""

from __future__ import annotations

import json
import resource
import sys
import time

from openmm.settlement.booking import Booker
from openmm.settlement.store import Store
from tests.settlement.stream import Stream

BATCH = 500


def main() -> int:
    """Book and print."""
    url, fills = sys.argv[1], int(sys.argv[2])
    store, stream = Store(url), Stream(seed=11, fill_count=fills)
    booker = Booker(store, "s-1")
    spent: list[float] = []
    batch = []
    records = 0
    for record in stream.records():
        batch.append(record)
        if len(batch) < BATCH:
            continue
        started = time.process_time()
        booker.apply(batch)
        booker.commit()
        spent.append(time.process_time() - started)
        records += len(batch)
        batch.clear()
        # What happened is not asked for here: the memory is to be the writer's.
        stream.fills.clear()
        stream.references.clear()
    booker.apply(batch)
    booker.commit()
    store.close()
    tenth = len(spent) // 10
    told = {
        "first_tenth": sum(spent[1 : tenth + 1]) / tenth,  # not the first: it warms what is cached
        "last_tenth": sum(spent[-tenth:]) / tenth,
        "us_per_fill": sum(spent) / fills * 1e6,
        "resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
