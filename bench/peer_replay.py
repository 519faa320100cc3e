"""Run the other engines when asked: a line of JSON in, a line of JSON out.

Runs under the interpreter of `bench.peers` for the replay, beside the process that runs ours:
`python -m bench.peer_replay FILE` reads a file of `replay_streams.save` and answers `{"engine":
"hftbacktest", "depth": "roi" | "map", "strategy": "grid" | "none"}`, `{"engine": "nautilus",
"strategy": …}` with what the run took and counted, and `{"count": true}` with what each was given.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from bench import peer_nautilus
from bench.peer_hft import Grid, HftRuns

LOCAL_EVENT = 1 << 30  # in `ev`: our side sees it


class Runs:
    """One stream, and whoever can run over it."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as kept:
            table = kept["table"]
            columns = {name: kept[name] for name in kept.files if name != "table"}
        self.tick, self.lot = (Decimal(str(step)) for step in columns.pop("steps"))
        self.grid = Grid()
        self.table_count = int(np.count_nonzero(table["ev"] & LOCAL_EVENT))
        self.hft = HftRuns(table, float(self.tick), float(self.lot), self.grid)
        self.data, self.data_count = peer_nautilus.data_of(columns, self.tick, self.lot)

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Do what a line asks for."""
        if asked.get("count"):
            return {
                "hftbacktest": self.table_count, "hftbacktest_reads": self.hft.count("roi"),
                "hftbacktest_trades": self.hft.trades(), "nautilus": self.data_count,
                "nautilus_messages": len(self.data),
            }  # fmt: skip
        if asked["engine"] == "hftbacktest":
            return self.hft.run(asked["depth"], asked["strategy"])
        grid = self.grid if asked["strategy"] == "grid" else None
        return peer_nautilus.run(self.data, self.tick, self.lot, grid)


def main() -> None:
    """Answer until the other side closes."""
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    runs = Runs(Path(sys.argv[1]))
    gc.collect()
    gc.freeze()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(runs.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
