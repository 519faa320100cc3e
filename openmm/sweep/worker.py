"""A worker process: it gets the job once, then runs and gives back each result by itself.

`python -m openmm.sweep.worker FD`: over the socket come the job, then lists of runs; an empty list
is the end. So is the other end's close: a worker whose owner died finishes its run and goes.
"""

from __future__ import annotations

import gc
import importlib
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, cast

import msgspec

from openmm.errors import ConfigError, OpenMMError
from openmm.sweep.figures import Figures
from openmm.sweep.plan import Job, Spec
from openmm.sweep.store import Result

Runner = Callable[[Spec], list[Figures]]  # slice by slice of the run's span
# States of what is told on the way only: ready for runs; dying of a fault of the program.
READY: Final = "ready"
CRASHED: Final = "crashed"
_SPECS = msgspec.msgpack.Decoder(list[Spec])


def runner_of(job: Job) -> Runner:
    """Return what runs a job's runs, by the name that the job has of it."""
    module, _, name = job.runner.partition(":")
    made = getattr(importlib.import_module(module), name)(job)
    return cast(Runner, made)


def outcome(runner: Runner, spec: Spec, host: str) -> Result:
    """Run one; what is wrong with its values or its data is a result too."""
    began = time.perf_counter()
    figures, state, why = None, "done", ""
    try:
        figures = msgspec.msgpack.encode(runner(spec))
    except ConfigError as error:
        state, why = "refused", str(error)
    except OpenMMError as error:
        state, why = "failed", str(error)
    return Result(spec.run_id, state, why, figures, time.perf_counter() - began, host)


def let_go() -> None:
    """Free what the run before left in cycles: tens of megabytes of kernels, a handful of objects.

    Everything older is set aside for good the first time, so that looking through takes no time.
    """
    gc.collect()
    if gc.isenabled():
        gc.disable()
        gc.freeze()


def serve(connection: Connection) -> None:
    """Run what comes, until nothing more does."""
    job = msgspec.msgpack.decode(connection.recv_bytes(), type=Job)
    runner, host = runner_of(job), socket.gethostname()
    _send(connection, Result("", READY))
    # From here on the owner is told what a worker dies of: it need not be printed as well.
    sys.excepthook = lambda kind, error, trace: None
    while specs := _SPECS.decode(connection.recv_bytes()):
        for spec in specs:
            told = None
            try:
                told = outcome(runner, spec, host)
            finally:
                if told is None:  # a fault of the program: its owner is told before it is the end
                    _send(connection, Result(spec.run_id, CRASHED, _fault()))
            _send(connection, told)
            let_go()


def _fault() -> str:
    """Return what was raised and where, in one line."""
    _, error, trace = sys.exc_info()
    told = " ".join(traceback.format_exception_only(error)[-1].split())
    where = traceback.extract_tb(trace)[-1:]
    return told + "".join(f" ({Path(one.filename).name}, line {one.lineno})" for one in where)


def _send(connection: Connection, result: Result) -> None:
    connection.send_bytes(msgspec.msgpack.encode(result))


def main(argv: list[str]) -> int:
    """Serve the socket whose number is given."""
    # Ctrl-C goes to the whole group: the owner decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # held back until here: `pool`
    try:
        serve(Connection(int(argv[0])))
    except (EOFError, ConnectionError):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
