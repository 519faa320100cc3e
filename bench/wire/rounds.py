"""Run the candidates of the wire bench against the venue, each in its process on its core.

A candidate is a client and how it waits. Every round runs each candidate once, in turn; a figure is
the median of its rounds, a ratio the median (or the best) of the ratios within each round.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.bench_start import simulated_venue
from bench.peers import ROOT, peers_python
from bench.wire.ours import FILE

HERE = Path(__file__).resolve().parent
TIMEOUT_S = 90
PATIENCE_S = 5  # for what a client says of a failure
CLIENT_CPU, VENUE_CPU = 0, 1
ON_ONE_CORE = len(os.sched_getaffinity(0)) < 2


class Failed(RuntimeError):
    """A candidate that did not answer every tick; carries what it said."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One client.

    Attributes:
        wait: spin or sleep, where the client has a choice.
        engine: lines added to [engine] of our bot's file.
        quickack: False: market data is acknowledged late.
        frozen: False: the collector walks the heap of the started engine too.
        pinned: False: it runs on any core.
    """

    name: str
    kind: str  # ours, raw, picows, websockets, ccxt
    wait: str = ""
    engine: str = ""
    quickack: bool = True
    frozen: bool = True
    pinned: bool = True


@dataclass(frozen=True, slots=True)
class Setting:
    """What all candidates of a round have in common."""

    levels: int = 1
    gap_us: int = 0
    tls: Path | None = None
    ticks: int = 1000
    warm: int = 200


@dataclass(frozen=True, slots=True)
class Spans:
    """Nanoseconds from a tick's send to its first order, sorted; `last`: median to the last one."""

    first: tuple[int, ...]
    last: int
    orders: float
    told: Mapping[str, Any]

    def at(self, share: float) -> float:
        """Return a quantile in microseconds."""
        return self.first[min(len(self.first) - 1, int(len(self.first) * share))] / 1000


@dataclass(frozen=True, slots=True)
class Built:
    """What the bench has compiled, and the certificate of its venue."""

    clock: Path
    raw: Path
    raw_tls: Path | None
    certificate: Path | None


def build(folder: Path) -> Built:
    """Compile the stopwatch and the C client; make a certificate. TLS only where OpenSSL is.

    Raises:
        subprocess.CalledProcessError: a compiler that does not take our C.
    """
    flags = ["gcc", "-O3", "-Wall", "-Wextra"]
    clock, raw, raw_tls = folder / "clock.so", folder / "raw", folder / "raw_tls"
    shared = [*flags, "-shared", "-fPIC", "-o", str(clock), str(HERE / "clock.c")]
    subprocess.run(shared, check=True)
    source = str(HERE / "raw.c")
    subprocess.run([*flags, "-o", str(raw), source, "-lz"], check=True)
    with_tls = [*flags, "-DWITH_TLS", "-o", str(raw_tls), source, "-lz", "-lssl", "-lcrypto"]
    done = subprocess.run(with_tls, capture_output=True, check=False)
    pem = folder / "venue.pem"
    if shutil.which("openssl") is None or done.returncode != 0:
        return Built(clock, raw, None if done.returncode else raw_tls, None)
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
            "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key.pem"),
            "-out", str(folder / "cert.pem"),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    pem.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return Built(clock, raw, raw_tls, pem)


def _command(one: Candidate, built: Built, ports: Sequence[int], on: Setting) -> list[str]:
    public, private = (str(port) for port in ports)
    quickack = str(int(one.quickack))
    if one.kind == "raw":
        binary = built.raw if on.tls is None else built.raw_tls
        wait = "spin" if one.wait == "spin" else "epoll"
        tls = ["tls"] if on.tls else []
        return [str(binary), public, private, wait, str(on.levels), quickack, *tls]
    script = str(HERE / "peer.py")
    tls = [str(on.tls)] if on.tls else []
    return [str(peers_python()), script, one.kind, public, private, str(on.levels), quickack, *tls]


def run(
    one: Candidate, on: Setting, built: Built, folder: Path, *, under: Sequence[str] = (),
    beside: Callable[[Path], AbstractContextManager[Callable[[], object]]] | None = None,
) -> Spans:  # fmt: skip
    """Run one candidate once. Our engine asks a simulated venue of its own over REST: a shared one
    would count the calls of all runs, and let the later ones wait as Kraken does.

    Args:
        under: a program, with its options, that runs our engine.
        beside: what runs beside it, from before its start; given the folder of the bots, and called
            once ours quotes: it has a second or two, for the venue sends nothing meanwhile.

    Raises:
        Failed: it did not come up, or left a tick unanswered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    args = [
        str(built.clock), "--ticks", str(on.ticks), "--warm", str(on.warm), "--levels",
        str(on.levels), "--gap-us", str(on.gap_us), *(["--tls", str(on.tls)] if on.tls else []),
    ]  # fmt: skip
    with ExitStack() as stack:
        command = [sys.executable, "-m", "bench.wire.venue", *args]
        at_ready = stack.enter_context(beside(folder)) if beside is not None else None
        venue = stack.enter_context(_process(command, VENUE_CPU))
        ports = _line(venue, one)
        env = dict(os.environ)
        if one.kind == "ours":
            sim = stack.enter_context(simulated_venue())
            scheme = "wss" if on.tls else "ws"
            file = folder / "bot.toml"
            file.write_text(
                FILE.format(
                    folder=folder, levels=on.levels, busy=str(one.wait == "spin").lower(),
                    quickack=str(one.quickack).lower(), rest=sim["rest"],
                    ws=f"{scheme}://127.0.0.1:{ports[0]}/v2",
                    ws_auth=f"{scheme}://127.0.0.1:{ports[1]}/v2",
                )
                + one.engine
            )  # fmt: skip
            env |= {"OPENMM_KRAKEN_KEY": sim["api_key"], "OPENMM_KRAKEN_SECRET": sim["api_secret"]}
            if on.tls:
                env["SSL_CERT_FILE"] = str(on.tls)
            command = [*under, sys.executable, "-m", "bench.wire.ours", str(file)]
            command += [] if one.frozen else ["thaw"]
        else:
            command = _command(one, built, ports, on)
        client = stack.enter_context(_process(command, CLIENT_CPU if one.pinned else None, env))
        _line_or(venue, one, client)
        if at_ready is not None:
            at_ready()
        if not under:
            for process in (client, venue):
                _undisturbed(process.pid)
        assert venue.stdin is not None
        venue.stdin.write("go\n")
        venue.stdin.flush()
        found = _line_or(venue, one, client)
        told = {}
        if one.kind == "ours":
            told = json.loads(client.communicate(timeout=TIMEOUT_S)[0] or "{}")
    first = tuple(sorted(found["first_ns"]))
    last = sorted(found["last_ns"])[len(found["last_ns"]) // 2]
    return Spans(first, last, sum(found["orders"]) / len(found["orders"]), told)


def _line(process: subprocess.Popen[str], one: Candidate) -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        assert process.stderr is not None
        raise Failed(f"{one.name} {one.wait}: {process.stderr.read()[-500:]}")
    return json.loads(line)


def _line_or(
    venue: subprocess.Popen[str], one: Candidate, client: subprocess.Popen[str]
) -> Any:  # fmt: skip
    """Return the venue's next line, or what both say of its failure."""
    try:
        return _line(venue, one)
    except Failed as error:
        raise Failed(f"{error}\nthe client: {_last_words(client)}") from None


def _last_words(client: subprocess.Popen[str]) -> str:
    """What a client says whose venue is gone: why it sent nothing, where it can tell."""
    try:
        out, err = client.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        return "it still runs, and says nothing"
    return f"{out[-1500:]}{err[-1500:]}"


@contextmanager
def _process(
    command: Sequence[str], cpu: int | None, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a process on its core for a block."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    if not ON_ONE_CORE and cpu is not None:
        with suppress(OSError):
            os.sched_setaffinity(process.pid, {cpu})
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _undisturbed(pid: int) -> None:
    """Let nothing take the core from a process while it is measured, where that is permitted."""
    if ON_ONE_CORE:
        return
    with suppress(OSError):
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))
