"""Run a simulated venue as a process of its own, until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from openmm.sim.options import SimOptions
from openmm.sim.server import SimServer


async def serve(options: SimOptions) -> None:
    """Serve until SIGTERM or SIGINT; print one JSON line once every port is open.

    Raises:
        ConfigError: if an option is not right or a port is in use.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with SimServer(options) as server:
        sys.stdout.write(json.dumps(server.started()) + "\n")
        sys.stdout.flush()
        stopped = asyncio.create_task(stop.wait())
        running = asyncio.create_task(server.wait())
        done, _ = await asyncio.wait({stopped, running}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if running in done:
            await running
        running.cancel()
        await asyncio.gather(stopped, running, return_exceptions=True)


def run(options: SimOptions) -> None:
    """Run `serve` on a loop of its own.

    Raises:
        ConfigError: if an option is not right or a port is in use.
    """
    asyncio.run(serve(options))
