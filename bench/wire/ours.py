"""Our side of the wire bench: the real engine, everything on, against the bench's venue.

`python -m bench.wire.ours FILE [thaw]` runs the bot of FILE as `openmm run` does, on the loop and
with the process settings the file asks for, until the venue ends, and prints the latency stages it
measured; `thaw` takes back that the collector was frozen. REST is a simulated venue's: the engine
starts as it always does.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from pathlib import Path

from openmm import Engine, Keys
from openmm._fast.book import BookState
from openmm._fast.latency import Stage
from openmm.config import BotConfig, load
from openmm.config.secrets import load_keys
from openmm.engine.process import prepared
from openmm.engine.spin import make_loop

LOOK_S = 0.02

FILE = """\
[bot]
name = "wire"
mode = "live"
run_dir = "{folder}"

[[venue]]
name = "kraken"
quote = "BTC/USD"
endpoints = {{ ws = "{ws}", ws_auth = "{ws_auth}", rest = "{rest}" }}

[strategy]
kind = "grid"
spread = "2.4bps"
level_step = "0.5bps"
order_amount = "0.01"
num_orders = {levels}
rebalance_threshold = "30%"
fee_budget = "1%"
requote_threshold = "0 ticks"
tolerance = "1 ticks"
queue_value = "0 ticks"

[signal]
sample = "5ms"

[risk]
max_order_size = "0.1"
max_open_notional = "100000"
max_inventory = "1.5"
max_drawdown = "50%"
ack_timeout = "60s"

[settlement]
reconcile_every = "1h"

[engine]
tape_size = "256MiB"
telemetry_interval = "1s"
log_level = "warning"
busy_poll = {busy}
quickack = {quickack}
"""


async def trade(config: BotConfig, frozen: bool) -> dict[str, object]:
    """Run until the venue's market data ends; return the stages and the counts."""
    found = load_keys(config.quoted.label)
    engine = Engine(config, keys=Keys(found.key, found.secret))
    await engine.start()
    if not frozen:
        gc.unfreeze()
    pipeline = engine.tables.pipeline
    while engine.step.pipeline.stream_live and pipeline.feed.book.state is BookState.BOOK_VERIFIED:
        await engine.wait(LOOK_S)
    stages = {}
    for stage in Stage:
        if stage is not Stage.STAGE_COUNT and pipeline.latency.histogram(stage).count:
            one = pipeline.latency.histogram(stage)
            name = stage.name.removeprefix("STAGE_").lower()
            stages[name] = [one.count, one.quantile(500_000), one.quantile(990_000)]
    return {
        "stages": stages, "writes": pipeline.write_count, "orders": pipeline.sent_count,
        "last_decision": pipeline.last_decision.name,
        "refused": {reason.name: n for reason, n in pipeline.checks.refusals().items()},
    }  # fmt: skip


def main(file: Path, frozen: bool) -> None:
    """Run the bot of a file; `frozen`: the collector as the engine leaves it."""
    config = load(file)
    busy = config.engine.busy_poll
    with prepared(config.engine), asyncio.Runner(loop_factory=lambda: make_loop(busy)) as runner:
        told = runner.run(trade(config, frozen))
        print(json.dumps(told), flush=True)
        # The venue is gone for good: there is nobody left to prove a clean stop to.
        os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), "thaw" not in sys.argv)
