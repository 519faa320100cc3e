"""The watchdog as the engine sees it: started before the first order, dismissed after the last."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import subprocess
import sys
import time
from typing import Any, final

import orjson

from openmm.config import BotConfig
from openmm.engine.process import outlives, unpin
from openmm.engine.rundir import RunDir
from openmm.errors import OpenMMError
from openmm.undumped import environment_of_child
from openmm.venues.connector import Keys

log = logging.getLogger(__name__)

START_S = 20.0
END_S = 5.0


@final
class WatchdogProcess:
    """Own the cancel-only process that outlives this one (`openmm.watchdog`)."""

    def __init__(self, config: BotConfig, keys: Keys, run_dir: RunDir) -> None:
        self._config = config
        self._keys = keys
        self._run_dir = run_dir
        self._process: subprocess.Popen[bytes] | None = None

    def spawn(self) -> None:
        """Start it; `wait_ready` tells when it watches."""
        with (self._run_dir.path / "watchdog.log").open("ab") as output:
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", "openmm.watchdog"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output,
                start_new_session=True, env=environment_of_child(),
            )  # fmt: skip
        unpin(process.pid)
        assert process.stdin is not None
        # The key goes through a pipe: no other process can read it there.
        process.stdin.write(orjson.dumps(self._asked()) + b"\n")
        process.stdin.flush()

    async def wait_ready(self) -> None:
        """Wait until it watches: on the loop, for a loop that spins starves threads.

        Raises:
            OpenMMError: it ended, or is not ready in time.
        """
        process = self._process
        assert process is not None, "spawn comes first"
        assert process.stdout is not None
        deadline = time.monotonic() + START_S
        while not select.select([process.stdout], [], [], 0)[0]:
            if time.monotonic() > deadline:
                raise OpenMMError(f"the watchdog is not ready after {START_S:g} s")
            await asyncio.sleep(0.005)
        if os.read(process.stdout.fileno(), 64) != b"ready\n":
            raise OpenMMError(
                f"the watchdog ended with {process.wait(END_S)}; "
                f"see {self._run_dir.path / 'watchdog.log'}"
            )

    @property
    def alive(self) -> bool:
        """Whether the process watches; one that has fired closes its pipe to us."""
        process = self._process
        if process is None or process.poll() is not None or process.stdout is None:
            return False
        return not select.select([process.stdout], [], [], 0)[0]

    async def restart(self) -> None:
        """Put another one in place of one that ended or fired.

        One that fired while this process hung goes on cancelling until the other watches; what is
        quoted from then on is none of its business.

        Raises:
            OpenMMError: the other one ended, or is not ready in time.
        """
        before = self._process
        log.error("the watchdog ended or fired (%s); starting another",
                  "never started" if before is None else before.poll())  # fmt: skip
        self.spawn()
        await self.wait_ready()
        if before is not None:
            _dismiss(before)

    def dismiss(self) -> None:
        """Let it go: it is proven that nothing of ours is open."""
        if self._process is not None:
            _dismiss(self._process)
            self._process = None

    def release(self) -> None:
        """Close our end of the pipes; a watchdog not dismissed by now fires."""
        if self._process is not None:
            _close(self._process)
            outlives(self._process)
            self._process = None

    def _asked(self) -> dict[str, Any]:
        venue = self._config.quoted
        timeout_ns = self._config.watchdog_ns
        assert timeout_ns is not None
        endpoints = {
            name: url
            for name in ("ws", "ws_auth", "rest")
            if (url := getattr(venue.endpoints, name)) is not None
        }
        return {
            "venue": {
                "name": venue.name, "label": venue.label, "quote": venue.pair,
                "endpoints": endpoints, "options": venue.options,
            },
            "bot": self._config.bot.name, "root": str(self._run_dir.root), "pid": os.getpid(),
            "silent_s": timeout_ns / 1e9, "key": self._keys.key, "secret": self._keys.secret,
            "passphrase": self._keys.passphrase,
        }  # fmt: skip


def _dismiss(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(b"bye\n")
        process.stdin.flush()
    except BrokenPipeError:
        log.warning("the watchdog was gone before it was dismissed")
    _close(process)
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        log.warning("the watchdog does not end: process %d", process.pid)
        outlives(process)


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                log.warning("the watchdog's pipe was closed at its end")
