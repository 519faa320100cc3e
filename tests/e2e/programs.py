"""Start `openmm` commands as processes of their own, as a user does, and end them for certain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openmm.sim.options import DEMO_KEY, DEMO_SECRET

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = [sys.executable, "-m", "openmm.cli.main"]
KEYS = {"OPENMM_KRAKEN_KEY": DEMO_KEY, "OPENMM_KRAKEN_SECRET": DEMO_SECRET}


def openmm(
    *args: str | Path, env: Mapping[str, str] = KEYS, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, args)],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@contextmanager
def simulator(*args: str | Path) -> Iterator[dict[str, Any]]:
    """Run `openmm sim kraken` for a block; gives its start line."""
    process = subprocess.Popen(
        [*COMMAND, "sim", "kraken", *map(str, args)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def ask(rest: str, path: str, verb: str = "GET") -> Any:
    """Ask the simulator's own doors."""
    request = urllib.request.Request(rest + path, method=verb)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)


BOT = """
[bot]
name = "{name}"
mode = "{mode}"
run_dir = "{run_dir}"

[[venue]]
name = "kraken"
quote = "BTC/USD"
account = "dedicated"
depth = {depth}
{venue}

[venue.endpoints]
ws = "{ws}"
ws_auth = "{ws_auth}"
rest = "{rest}"

[strategy]
kind = "grid"
spread = "2bps"
level_step = "1bps"
order_amount = "0.01"
num_orders = 3
rebalance_threshold = "10%"
target_base = "50%"

[risk]
max_order_size = "0.05"
max_open_notional = "20000"
max_inventory = "0.5"
max_drawdown = "2%"
{risk}

[settlement]
reconcile_every = "2s"
halt_above = "0.1%"

[engine]
{engine}
"""


def bot_toml(
    folder: Path, sim: Mapping[str, Any], *, name: str = "bot", mode: str = "live",
    depth: int = 25, venue: str = "", risk: str = "", engine: str = "",
) -> Path:  # fmt: skip
    """Write a bot's file for a simulator that has started."""
    path = folder / f"{name}.toml"
    path.write_text(
        BOT.format(
            name=name, mode=mode, run_dir=folder / "runs", depth=depth, venue=venue, risk=risk,
            engine=engine, ws=sim["ws"], ws_auth=sim["ws_auth"], rest=sim["rest"],
        )
    )  # fmt: skip
    return path
