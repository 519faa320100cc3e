"""What the operating system can do for a trading process: core, memory, sleep states.

Each of these is asked for in the bot's file, and each that the machine does not grant costs one
warning and no more.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from openmm.config.schema import Engine

log = logging.getLogger(__name__)

DMA_LATENCY = Path("/dev/cpu_dma_latency")
MCL_CURRENT, MCL_FUTURE = 1, 2
CAP_IPC_LOCK = 14

# The cores this process was started with, before it was put on one of them.
_STARTED_WITH: frozenset[int] = frozenset(
    os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
)


# Children that are meant to run on without us. Held: one that is dropped before it was waited for
# is reported as lost.
_OUTLIVING: list[subprocess.Popen[bytes]] = []


def outlives(process: subprocess.Popen[bytes]) -> None:
    """Leave a child to itself; those left earlier that have ended by now are reaped."""
    _OUTLIVING[:] = [left for left in (*_OUTLIVING, process) if left.poll() is None]


@contextmanager
def prepared(engine: Engine) -> Iterator[list[str]]:
    """Set the process up as its file asks, for a block; gives what was not granted, a line each."""
    refused: list[str] = []
    awake = None
    if engine.cpu is not None and (why := pin(engine.cpu)):
        refused.append(f"engine.cpu = {engine.cpu} is not used: {why}")
    if engine.lock_memory and (why := lock_memory()):
        refused.append(f"engine.lock_memory is not used: {why}")
    if engine.keep_awake:
        try:
            awake = hold_awake()
        except OSError as error:
            refused.append(f"engine.keep_awake is not used: {error}")
    if engine.busy_poll and len(_STARTED_WITH) < 2:
        refused.append("engine.busy_poll takes the only core there is: everything else will wait")
    for line in refused:
        log.warning("%s", line)
    try:
        yield refused
    finally:
        if awake is not None:
            os.close(awake)


def pin(cpu: int) -> str:
    """Keep this thread and those it starts on one core; returns why not, or nothing."""
    try:
        os.sched_setaffinity(0, {cpu})
    except (OSError, AttributeError) as error:
        return str(error)
    return ""


def unpin(pid: int) -> None:
    """Let a child process run anywhere but on our own core."""
    if not hasattr(os, "sched_setaffinity"):
        return
    mine = os.sched_getaffinity(0)
    if mine != _STARTED_WITH:
        # It may have ended already; whoever waits for it tells.
        with suppress(ProcessLookupError):
            os.sched_setaffinity(pid, (_STARTED_WITH - mine) or _STARTED_WITH)


def lock_memory() -> str:
    """Keep all memory of this process, future memory too, in RAM; returns why not, or nothing.

    Everything that exists is faulted in at once, everything mapped later when it is mapped. Refused
    under a limit: an allocation beyond it would fail in the middle of trading.
    """
    limit_bytes, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if limit_bytes != resource.RLIM_INFINITY and not _may_lock():
        return f"the limit of locked memory is {limit_bytes >> 10} KiB (ulimit -l unlimited)"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(MCL_CURRENT | MCL_FUTURE) != 0:
        return os.strerror(ctypes.get_errno())
    return ""


def _may_lock() -> bool:
    """Whether the process has CAP_IPC_LOCK."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_IPC_LOCK & 1)
    return False


def hold_awake() -> int:
    """Ask the kernel for no sleep state with a wake-up cost, while the returned descriptor is open.

    Raises:
        OSError: the device is not there, or not ours to write.

    Source: Linux, Documentation/power/pm_qos_interface.rst: a 32-bit value of microseconds.
    """
    fd = os.open(DMA_LATENCY, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, (0).to_bytes(4, "little"))
    except OSError:
        os.close(fd)
        raise
    return fd
