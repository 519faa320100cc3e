"""The same runs on a Ray cluster: a node that is lost loses what it was at, which is done again.

The driver alone writes results. A node maps the data where it finds it under the path it has here;
where it does not, it gets it once through Ray's object store into a folder of its own, proven by
its hash, and all its processes map that one copy.

Source: https://docs.ray.io/en/latest/ray-core/fault_tolerance/tasks.html.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

import msgspec
import ray

from openmm.data import store
from openmm.errors import CommandError, DataError
from openmm.sweep.own import build_with
from openmm.sweep.plan import Job, Part, Spec
from openmm.sweep.pool import ATTEMPTS_MAX, LOST_MAX
from openmm.sweep.store import Result
from openmm.sweep.worker import Runner, let_go, outcome, runner_of

CHUNK_S: Final = 0.25  # of work in one task: what Ray adds to each is a few milliseconds
CHUNK_MAX: Final = 256
WAIT_S: Final = 1.0
REACH_S: Final = 5.0  # Ray itself waits for a closed port for ever
PIECE_BYTES: Final = 32 << 20
CACHE: Final = "OPENMM_SWEEP_CACHE"  # of the environment: where nodes keep data that they were sent


class Told(msgspec.Struct, frozen=True):
    """What a task gives back: results, or why there are none.

    Args:
        missing: hashes of the data that the node does not have.
        build: of the node, where it is another than the driver's.
    """

    results: list[Result]
    host: str
    missing: list[str] = []
    build: str = ""


_TOLD: Final = msgspec.msgpack.Decoder(Told)


# ---------------------------------------------------------------- on a node


def cache_folder() -> Path:
    """Return where a node keeps data that it was sent: OPENMM_SWEEP_CACHE, or the user's cache."""
    if told := os.environ.get(CACHE):
        return Path(told)
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "openmm" / "sweep"


def placed(part: Part, cache: Path) -> Part:
    """Return a part with the path it has on this node: as told if its content lies there."""
    try:
        if store.read_header(Path(part.path)).content == part.content:
            return part
    except (DataError, OSError):
        pass
    return msgspec.structs.replace(part, path=str(cache / f"{part.content}{store.SUFFIX}"))


def keep(part: Part, pieces: Iterable[bytes]) -> None:
    """Write a file that was sent, once for the node: others wait for it.

    Raises:
        DataError: it is not what it should be, or cannot be written.
    """
    path = Path(part.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return
        with store.replacing(path) as name:
            with open(name, "wb") as file:
                for piece in pieces:
                    file.write(piece)
            found = store.digest(store.load(name).events)
            if found != part.content:
                raise DataError(
                    path, "content", found, f"the hash it was sent under, {part.content}"
                )


@final
class _Node:
    """What a worker process of Ray keeps from task to task."""

    def __init__(self, told: bytes) -> None:
        job = msgspec.msgpack.decode(told, type=Job)
        self.build = build_with(job.data)
        self.told = told
        cache = cache_folder()
        spans = tuple(
            msgspec.structs.replace(span, parts=tuple(placed(part, cache) for part in span.parts))
            for span in job.spans
        )
        self.job = msgspec.structs.replace(job, spans=spans)
        self.runner: Runner | None = None
        node = ray.get_runtime_context().get_node_id()
        self.host = f"{socket.gethostname()}/{node[:8]}"

    def run(self, specs: Sequence[Spec], pieces: Mapping[str, Sequence[Any]]) -> Told:
        """Run a chunk, if its data is here or was sent along."""
        if self.build != self.job.build:
            return Told([], self.host, build=self.build)
        missing = []
        for at in {spec.span for spec in specs}:
            for part in self.job.spans[at].parts:
                if Path(part.path).exists():
                    continue
                if part.content in pieces:
                    keep(part, (ray.get(one) for one in pieces[part.content]))
                else:
                    missing.append(part.content)
        if missing:
            return Told([], self.host, missing=missing)
        if self.runner is None:
            self.runner = runner_of(self.job)
        results = []
        for spec in specs:
            results.append(outcome(self.runner, spec, self.host))
            let_go()
        return Told(results, self.host)


_kept: list[_Node] = []


def run_chunk(jobs: Sequence[Any], specs: bytes, pieces: Mapping[str, Sequence[Any]]) -> bytes:
    """Run a chunk of runs in a process of Ray.

    Args:
        jobs: one reference to the encoded job: inside a list, it is fetched only where it is new.
        specs: encoded.
        pieces: of data that nodes lacked: references, by hash.
    """
    told = ray.get(jobs[0])
    if not _kept or _kept[0].told != told:
        _kept[:] = [_Node(told)]
    found = _kept[0].run(msgspec.msgpack.decode(specs, type=list[Spec]), pieces)
    return msgspec.msgpack.encode(found)


# ---------------------------------------------------------------- the driver


def reach(address: str) -> None:
    """Prove that something answers at HOST:PORT; an address without a port is Ray's to judge.

    Raises:
        CommandError: nothing does within `REACH_S`.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_S).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise CommandError(f"no Ray cluster at {address}: {error}") from None


@final
class RayPool:
    """The processors of a cluster, those that come and go while it runs included.

    Args:
        address: as `ray start` tells it, such as 127.0.0.1:6379; `auto`: the one of this machine.

    Raises:
        CommandError: there is none.
    """

    def __init__(self, job: Job, address: str) -> None:
        reach(address)
        # Ray tells of lost processes on the standard output, which is the results' alone.
        self._aside = contextlib.redirect_stdout(sys.stderr)
        self._aside.__enter__()
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            self._aside.__exit__(None, None, None)
            raise CommandError(f"no Ray cluster at {address}: {error}") from None
        self._job = job
        self._jobs = [ray.put(msgspec.msgpack.encode(job))]
        # Losses are counted here: a node that dies says nothing of the run.
        self._task = ray.remote(num_cpus=1, max_retries=0)(run_chunk)
        self._pieces: dict[str, list[Any]] = {}
        self._flight: dict[Any, list[Spec]] = {}
        self._attempts: dict[str, int] = {}
        self._seconds = CHUNK_S  # of a run, lately
        self._came = self._given_up = self._lost_count = 0
        self._address, self._is_gone = address, False
        self._asking: threading.Thread | None = None
        self._cpu_count = 0
        self._ask()  # the head has just answered

    def run(self, specs: Iterable[Spec]) -> Iterator[list[Result]]:
        """Yield results as they come, each run's once.

        Raises:
            CommandError: a node has another build, no node is left, or every run is lost.
        """
        todo = iter(specs)
        again: deque[list[Spec]] = deque()
        while True:
            room = 2 * self._cpus() - len(self._flight)
            while room > 0 and (chunk := again.popleft() if again else self._chunk(todo)):
                self._submit(chunk)
                room -= 1
            if not self._flight and not again:
                return
            if not self._flight:
                raise CommandError(
                    "the Ray cluster has no processor left: the same command goes on"
                )
            ready, _ = ray.wait(list(self._flight), num_returns=1, timeout=WAIT_S)
            came: list[Result] = []
            lost = self._lost_count
            for reference in ready:
                came += self._take(reference, again)
            if not ready or self._lost_count > lost:
                self._need_head()
            if came:
                yield came

    def _need_head(self) -> None:
        """Prove that the head is there: Ray waits a minute for it, then ends the process.

        Raises:
            CommandError: it is not.
        """
        try:
            reach(self._address)
        except CommandError as error:
            self._is_gone = True
            raise CommandError(f"{error}; the same command goes on, there or here") from None

    def _cpus(self) -> int:
        """Return how many processors there are, or were while the head is slow to tell.

        Asked beside: of a head that is gone the answer takes a minute, and ends the process.

        Raises:
            CommandError: the head is gone.
        """
        if self._asking is None:
            self._asking = threading.Thread(target=self._ask, daemon=True)
            self._asking.start()
        self._asking.join(WAIT_S)
        if self._asking.is_alive():
            self._need_head()
        else:
            self._asking = None
        return self._cpu_count

    def _ask(self) -> None:
        resources: Any = ray.cluster_resources  # untyped there
        # Not told: the number stands, and is asked for again.
        with contextlib.suppress(ray.exceptions.RayError, ConnectionError):
            self._cpu_count = int(resources().get("CPU", 0))

    def _chunk(self, todo: Iterator[Spec]) -> list[Spec]:
        count = max(1, min(CHUNK_MAX, int(CHUNK_S / max(self._seconds, 1e-6))))
        found: list[Spec] = []
        for one in todo:
            found.append(one)
            if len(found) == count:
                break
        return found

    def _submit(self, chunk: list[Spec]) -> None:
        contents = {part.content for spec in chunk for part in self._job.spans[spec.span].parts}
        pieces = {one: self._pieces[one] for one in contents if one in self._pieces}
        reference = self._task.remote(self._jobs, msgspec.msgpack.encode(chunk), pieces)
        self._flight[reference] = chunk

    def _take(self, reference: Any, again: deque[list[Spec]]) -> list[Result]:
        """Return what a task came to; what was lost with its node is put up again."""
        chunk = self._flight.pop(reference)
        try:
            told = _TOLD.decode(ray.get(reference))
        except ray.exceptions.RayError as error:
            return self._lost(chunk, again, str(error))
        if told.build:
            raise CommandError(
                f"{told.host} has build {told.build}, not {self._job.build}: install the same"
            )
        if told.missing:
            for content in told.missing:
                self._send(content)
            again.append(chunk)
            return []
        self._came += len(told.results)
        for one in told.results:
            self._seconds += (one.seconds - self._seconds) / 8
        return [
            msgspec.structs.replace(one, attempts=self._attempts.pop(one.run_id, 0) + 1)
            for one in told.results
        ]

    def _lost(self, chunk: list[Spec], again: deque[list[Spec]], why: str) -> list[Result]:
        """Put runs up again, each by itself; give up one that was lost too often."""
        self._lost_count += 1
        given_up = []
        for spec in chunk:
            begun = self._attempts[spec.run_id] = self._attempts.get(spec.run_id, 0) + 1
            if len(chunk) == 1 and begun >= ATTEMPTS_MAX:
                told = why.strip().splitlines()
                said = told[-1] if told else "lost"
                given_up.append(Result(spec.run_id, "failed", said, attempts=begun))
                self._given_up += 1
                if not self._came and self._given_up >= LOST_MAX:
                    raise CommandError(f"every run is lost: {said}")
            else:
                again.append([spec])
        return given_up

    def _send(self, content: str) -> None:
        """Put a file's bytes into the object store, piece by piece, for nodes that lack it."""
        if content in self._pieces:
            return
        paths = (
            part.path for span in self._job.spans for part in span.parts if part.content == content
        )
        found = []
        path = next(paths)
        try:
            with open(path, "rb") as file:
                while piece := file.read(PIECE_BYTES):
                    found.append(ray.put(piece))
        except OSError as error:
            raise DataError(path, "file", error.strerror, "a file that can be read") from error
        self._pieces[content] = found

    def close(self) -> None:
        """Leave the cluster; what is under way there is dropped."""
        # Of a head that is gone nothing can be asked: each question would wait for a minute.
        for reference in () if self._is_gone else self._flight:
            ray.cancel(reference, force=True)
        self._flight.clear()
        ray.shutdown()
        self._aside.__exit__(None, None, None)
