"""Restart of the real engine after `kill -9`: CPU and time until it quotes again.

`python -m bench --only bench_restart` measures the gate. Each round an engine trades against a
simulated venue until it has orders open, and is killed together with its writer: its last records
stand on the tape alone, its orders rest on, and the market fills some of them before anybody is
back. The second engine has to write out that tape, cancel what rests, find the fills and prove the
account before it may quote. Both ends are checked: every fill of the venue is in the store once.

The venue is without latency: the seconds are those beyond its round trips.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.bench_start import (
    as_installed,
    bot_file,
    libraries,
    simulated_venue,
    spawn_engine,
    start_bare,
    told_by,
)

# Takers come often and the price walks fast: fills are made while nobody is there.
MARKET = (
    "--market",
    "taker_share=0.3",
    "--market",
    "calm_volatility=2.5",
    "--balance",
    "BTC=1",
    "--balance",
    "USD=60000",
)
OPEN_MIN = 8  # orders at the venue when the first engine is killed
SIGNALS_BYTES_MIN = 8  # of warm ones; of cold ones an empty object is kept
FILLS_MIN = 1  # made while it is dead
PATIENCE_S = 90.0
ATTEMPTS = 8  # a market may leave our orders alone until the dead-man's switch ends them
FOR_EVER_S = 3600.0


def ask(venue: dict[str, Any], path: str) -> Any:
    """Ask the simulated venue's own doors."""
    with urllib.request.urlopen(venue["rest"] + path, timeout=10) as reply:
        return json.load(reply)


def until(check: Callable[[], object], what: str) -> None:
    """Wait for something to become true.

    Raises:
        TimeoutError: it did not.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while not check():
        if time.monotonic() > deadline_s:
            raise TimeoutError(what)
        time.sleep(0.01)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL an engine and its writer, the writer first: nobody reads the tape to its end."""
    for path in Path(f"/proc/{process.pid}/task").glob("*/children"):
        for pid in path.read_text().split():
            os.kill(int(pid), signal.SIGKILL)
    process.kill()
    process.communicate(timeout=PATIENCE_S)


def restart_engine(venue: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Kill an engine with orders open, let the market fill some, start it again.

    Returns what the second one told, with the orders and fills it found.

    Raises:
        AssertionError: the store is not what the venue says.
        subprocess.CalledProcessError: it did not start, quote and stop cleanly.
    """
    for _ in range(ATTEMPTS):
        with tempfile.TemporaryDirectory() as folder:
            before = kill_first(bot_file(folder, venue), venue)
            if before is not None:
                return come_back(folder, venue, before, seconds)
    raise TimeoutError(f"no fill while nobody is there, in {ATTEMPTS} attempts")


def kill_first(file: Path, venue: dict[str, Any]) -> int | None:
    """Kill an engine with orders open; return the venue's fills until then.

    None: the dead-man's switch ended its orders before anybody filled one.
    """
    first = spawn_engine(file, venue, FOR_EVER_S)
    signals = file.parent / "start" / "signals"
    try:
        until(lambda: len(ask(venue, "/sim/open-orders")) >= OPEN_MIN, "resting orders")
        # A bot of more than a few seconds' age: its estimators are warm, and kept on disk.
        until(lambda: signals.stat().st_size > SIGNALS_BYTES_MIN, "signals on disk")
    finally:
        kill(first)
    before = len(ask(venue, "/sim/statement")["fills"])

    def filled() -> bool:
        return len(ask(venue, "/sim/statement")["fills"]) >= before + FILLS_MIN

    until(
        lambda: filled() or not ask(venue, "/sim/open-orders"), "a fill, or the dead-man's switch"
    )
    return before if filled() else None


def come_back(folder: str, venue: dict[str, Any], before: int, seconds: float) -> dict[str, Any]:
    """Start the second engine; return what it told and found. Raises as `restart_engine`."""
    found = {
        "open_orders": len(ask(venue, "/sim/open-orders")),
        "missed_fills": len(ask(venue, "/sim/statement")["fills"]) - before,
    }
    told = told_by(spawn_engine(Path(folder) / "bot.toml", venue, seconds)) | found
    assert ask(venue, "/sim/open-orders") == {}, "orders are left open"
    with closing(sqlite3.connect(Path(folder) / "start" / "store.sqlite")) as store:
        booked = [row[0] for row in store.execute("SELECT exec_id FROM fill")]
    made = [fill["exec_id"] for fill in ask(venue, "/sim/statement")["fills"]]
    # Rounds share the venue's account, and each has a store of its own.
    assert len(booked) == len(set(booked)), "a fill is booked twice"
    assert set(made[before:]) <= set(booked), "a fill is not booked"
    return told


def restart(rounds: int = 5, seconds: float = 0.5) -> dict[str, float]:
    """Measure restarts and bare imports in turn."""
    as_installed()
    wall, bare, ratios, writer, missed, left = [], [], [], [], [], []
    cpu: list[float] = []
    for _ in range(rounds):
        # A venue of its own: one account killed over and over runs out of its rate counters.
        with simulated_venue(*MARKET) as venue:
            told = restart_engine(venue, seconds)
        bare.append(start_bare(libraries(told["modules"]))[0])
        cpu.append(told["cpu_s"])
        ratios.append(told["cpu_s"] / bare[-1])
        wall.append(told["wall_s"])
        writer.append(told["children_cpu_s"])
        missed.append(told["missed_fills"])
        left.append(told["open_orders"])
    return {
        "restart/cpu_over_bare_imports": statistics.median(ratios),
        "restart/wall_over_bare_imports": statistics.median(
            seconds_ / bare_s for seconds_, bare_s in zip(wall, bare, strict=True)
        ),
        "restart/engine_cpu_s": statistics.median(cpu),
        "restart/bare_cpu_s": statistics.median(bare),
        "restart/writer_cpu_s": statistics.median(writer),
        "restart/wall_s": statistics.median(wall),
        "restart/missed_fills": min(missed),
        "restart/orders_left_open": min(left),
    }


def gate_restart() -> dict[str, float]:
    """Measure the gate of the restart."""
    return restart()
