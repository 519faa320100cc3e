"""Run one bot as a process of its own: signals, log, exit code."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Callable

from openmm.config import BotConfig
from openmm.engine.loop import EXIT_FAILED, Engine
from openmm.engine.process import prepared
from openmm.engine.spin import make_loop
from openmm.strategy.quotes import Quoter
from openmm.telemetry import TelemetrySnapshot
from openmm.venues.connector import Keys


def run_bot(
    config: BotConfig,
    *,
    keys: Keys | None = None,
    hedge_keys: Keys | None = None,
    duration_s: float | None = None,
    strategy: Quoter | None = None,
    on_snapshot: Callable[[TelemetrySnapshot], None] | None = None,
    canary: bool = False,
) -> int:
    """Run a bot until it is told to stop, or for `duration_s`; returns the exit code.

    0 done, 1 something failed or is not proven, 3 halted by risk. SIGTERM and SIGINT stop cleanly;
    a second one ends the process at once, and the venue's dead-man's switch has to do the rest.

    Raises:
        ConfigError: the configuration does not fit the venue.
        OpenMMError: the bot could not start; nothing was placed.
    """
    busy = config.engine.busy_poll
    with prepared(config.engine), asyncio.Runner(loop_factory=lambda: make_loop(busy)) as runner:
        return runner.run(_run(config, keys, hedge_keys, duration_s, strategy, on_snapshot, canary))


async def _run(
    config: BotConfig,
    keys: Keys | None,
    hedge_keys: Keys | None,
    duration_s: float | None,
    strategy: Quoter | None,
    on_snapshot: Callable[[TelemetrySnapshot], None] | None,
    canary: bool,
) -> int:
    engine = Engine(
        config, strategy=strategy, on_snapshot=on_snapshot, keys=keys, hedge_keys=hedge_keys,
        canary=canary,
    )  # fmt: skip
    loop = asyncio.get_running_loop()
    asked = 0

    def on_signal(name: str) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            os._exit(EXIT_FAILED)
        engine.request_stop(name)

    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
            loop.add_signal_handler(number, on_signal, number.name)
    gc.disable()
    try:
        await engine.start()
    finally:
        gc.enable()
    await engine.wait(duration_s)
    return await engine.stop(engine.stop_reason or "duration over")
