"""Worker processes of this machine: a worker that dies loses its own run, which is done again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Final, Protocol, final

import msgspec

from openmm.errors import CommandError
from openmm.sweep.plan import Job, Spec
from openmm.sweep.store import Result
from openmm.sweep.worker import CRASHED, READY

ATTEMPTS_MAX: Final = 3  # a run that ended so many workers is given up
LOST_MAX: Final = 3  # runs that end workers before there is any result: no fault of theirs
AHEAD_S: Final = 0.05  # of work lies ready at a worker; longer runs are handed out singly
AHEAD_MAX: Final = 64  # runs; what is under way fits a socket's buffer both ways
STOP_S: Final = 5.0
STDERR: Final = 2
_RESULT = msgspec.msgpack.Decoder(Result)


class Pool(Protocol):
    """What carries runs out. `close` ends what is under way."""

    def run(self, specs: Iterable[Spec]) -> Iterator[list[Result]]:
        """Yield results as they come, each run's once, in no order."""

    def close(self) -> None:
        """Let everything go."""


@final
class Worker:
    """One process and what it was given.

    Raises:
        CommandError: it cannot be started.
    """

    def __init__(self, job: bytes) -> None:
        try:
            ours, theirs = socket.socketpair()
            with theirs, closing(ours):
                self.process = _started(theirs.fileno())
                self.connection = Connection(ours.detach())
        except OSError as error:
            raise CommandError(f"no worker process can be started: {error.strerror}") from error
        self.given: deque[Spec] = deque()
        self.seconds = 2 * AHEAD_S  # of a run, lately: until there is one, none lies ready
        self.is_ready = False
        with suppress(ConnectionError):  # it is found dead when its first result is waited for
            self.connection.send_bytes(job)

    @property
    def room(self) -> int:
        """Return how many more runs it should have."""
        ahead = min(AHEAD_MAX, int(AHEAD_S / max(self.seconds, 1e-6)))
        return 1 + ahead - len(self.given)

    def give(self, specs: list[Spec]) -> None:
        """Hand runs over."""
        self.given.extend(specs)
        with suppress(ConnectionError):
            self.connection.send_bytes(msgspec.msgpack.encode(specs))

    def take(self) -> Result | None:
        """Return its next result; None: it is dead."""
        try:
            result = _RESULT.decode(self.connection.recv_bytes())
        except (EOFError, OSError):
            return None
        if result.state == READY:
            self.is_ready = True
        elif result.state != CRASHED:
            # A moving average: one slow run is no reason to starve it, nor one fast to flood it.
            self.seconds += (result.seconds - self.seconds) / 8
        return result

    def stop(self) -> None:
        """End it: at once if it does not go by itself."""
        with suppress(OSError):
            self.connection.send_bytes(msgspec.msgpack.encode([]))
        self.connection.close()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()
        self.connection.close()

    def end(self) -> int:
        """Return how it ended, once its side is closed."""
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.connection.close()
        return self.process.wait()


def _started(socket_fd: int) -> subprocess.Popen[bytes]:
    env = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    # A worker is born with Ctrl-C held back, which it ignores once it runs: one that comes while it
    # imports is nothing that it should print a trace of.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        # What a strategy prints is no part of the results, which alone go to standard output.
        return subprocess.Popen(
            [sys.executable, "-m", "openmm.sweep.worker", str(socket_fd)], env=env,
            pass_fds=[socket_fd], stdin=subprocess.DEVNULL, stdout=STDERR,
        )  # fmt: skip
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@final
class LocalPool:
    """Worker processes that live as long as the sweep.

    Args:
        workers: how many at most; there are no more than runs.
    """

    def __init__(self, job: Job, workers: int) -> None:
        self._job = msgspec.msgpack.encode(job)
        self._count = workers
        self._workers: list[Worker] = []
        self._attempts: dict[str, int] = {}
        self._why: dict[str, str] = {}
        self._stillborn = 0  # workers in a row that ended before they were ready
        self._late: deque[Spec] = deque()  # what ended a worker is tried again behind the rest
        self._came = 0  # runs with a result

    @property
    def pids(self) -> list[int]:
        """Return the processes."""
        return [one.process.pid for one in self._workers]

    def run(self, specs: Iterable[Spec]) -> Iterator[list[Result]]:
        """Yield results as they come, each run's once.

        Raises:
            CommandError: workers do not even start, or every run ends its worker.
        """
        todo = iter(specs)
        # As many as there are workers for: a process without a run would be made for nothing.
        again = deque(islice(todo, self._count))
        while len(self._workers) < min(self._count, len(again)):
            self._workers.append(Worker(self._job))
        while True:
            for one in self._workers:
                self._fill(one, again, todo)
            busy = [one for one in self._workers if one.given]
            if not busy:
                return
            ready = set(wait([one.connection for one in busy]))
            came: list[Result] = []
            for one in busy:
                if one.connection not in ready:
                    continue
                if not self._drain(one, came):
                    self._bury(one, again, came)
            if came:
                yield came

    def _fill(self, worker: Worker, again: deque[Spec], todo: Iterator[Spec]) -> None:
        specs: list[Spec] = []
        while len(specs) < worker.room:
            one = again.popleft() if again else next(todo, None)
            if one is None and self._late:
                one = self._late.popleft()
            if one is None:
                break
            specs.append(one)
        if specs:
            worker.give(specs)

    def _drain(self, worker: Worker, came: list[Result]) -> bool:
        """Take every result that lies ready; tell whether the worker lives."""
        while True:
            result = worker.take()
            if result is None:
                return False
            if result.state == CRASHED:
                self._why[result.run_id] = result.why
                return False
            if result.state == READY:
                self._stillborn = 0
                if not worker.connection.poll():
                    return True
                continue
            spec = worker.given.popleft()
            assert spec.run_id == result.run_id
            begun = self._attempts.pop(spec.run_id, 0) + 1
            self._came += 1
            came.append(msgspec.structs.replace(result, attempts=begun))
            if not worker.connection.poll():
                return True

    def _bury(self, worker: Worker, again: deque[Spec], came: list[Result]) -> None:
        """Put a new worker in a dead one's place; what it had is done again.

        Raises:
            CommandError: workers do not even start, or every run ends its worker.
        """
        code = worker.end()
        if not worker.is_ready:
            self._stillborn += 1
            if self._stillborn >= ATTEMPTS_MAX:
                raise CommandError(f"workers end with {code} before they are ready: see above")
        elif worker.given:
            lost = worker.given.popleft()
            begun = self._attempts[lost.run_id] = self._attempts.get(lost.run_id, 0) + 1
            told = self._why.get(lost.run_id) or f"its worker ended with {code}"
            if not self._came and len(self._attempts) >= LOST_MAX:
                raise CommandError(f"every run ends its worker: {told}")
            if begun >= ATTEMPTS_MAX:
                came.append(Result(lost.run_id, "failed", told, attempts=begun))
            else:
                self._late.append(lost)
        again.extend(worker.given)
        self._workers[self._workers.index(worker)] = Worker(self._job)

    def close(self) -> None:
        """End the workers, and what they are at."""
        busy = [one for one in self._workers if one.given]
        for one in busy:
            one.kill()
        for one in self._workers:
            if one not in busy:
                one.stop()
        self._workers.clear()
