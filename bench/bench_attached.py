"""A tick's cost with the control plane attached: nothing that watches a bot may be felt by it.

`python -m bench --only bench_attached` runs the wire job of `bench_wire` alone and with everything
attached, in turn: a gateway that reads the bot's page, and as its clients a browser with the bot's
dashboard open, a WebSocket stream, a scraper of the metrics, a REST client and an MCP client. Gated
are the median of a tick (p50, default mode), instructions from the frame's first byte to the end of
its decision (callgrind) and system calls of the engine a tick (strace): each with over without.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeAlias

from bench.apart import apart
from bench.bench_wire import LOCKED, OURS
from bench.peers import ROOT
from bench.wire.rounds import Built, Candidate, Setting, Spans, build, run

TICKS, GAP_US = 3000, 500
# Without its rehearsals between ticks, which come as time allows.
BARE = Candidate("ours", "ours", "sleep", LOCKED + "keep_warm = false\n")
COUNTED = 600  # ticks of a counted run
BOT = "wire"
START_S = 60
# Where a frame's decision begins and ends, in the translated C.
ENTRY = "__pyx_f_6openmm_5_fast_8pipeline_8Pipeline_on_frame_c"
CALLS = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", re.MULTILINE)
# Sleeping depends on when things come, the timer and the page on the clock: sockets on ticks alone.
SOCKET_CALLS = frozenset({"recvfrom", "recvmsg", "sendto", "sendmsg", "writev"})
Ready: TypeAlias = Callable[[], Any]
Beside: TypeAlias = Callable[[Path], AbstractContextManager[Ready]]


def _first_line(process: subprocess.Popen[str], what: str) -> dict[str, object]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{what} ended before it was ready")
    found: dict[str, object] = json.loads(line)
    return found


@contextmanager
def _program(command: list[str], env: dict[str, str], log: IO[str]) -> Iterator[Ready]:
    """Run a program for a block; give what waits for its next line and returns that."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
        text=True,
    )  # fmt: skip
    try:
        yield partial(_first_line, process, command[2])
    finally:
        process.terminate()
        process.communicate(timeout=START_S)


@contextmanager
def attached(root: Path) -> Iterator[Ready]:
    """Serve the bots of a folder, and open every kind of client on the one that is measured.

    Gives what waits until each of them has seen the bot.
    """
    clients = root / "clients.toml"
    env = os.environ | {"OPENMM_CLIENTS": str(clients), "OPENMM_VAULT": ""}
    made = subprocess.run(
        [sys.executable, "-m", "openmm.cli.main", "token", "add", "bench", "--scope", "read",
         "--requests-per-minute", "6000", "--json"],
        cwd=ROOT, env=env, check=True, capture_output=True, text=True,
    )  # fmt: skip
    env["BENCH_TOKEN"] = json.loads(made.stdout)["token"]
    with ExitStack() as stack:
        log = stack.enter_context((root / "attached.log").open("w"))
        serve = [
            sys.executable, "-m", "openmm.cli.main", "serve", "--port", "0", "--run-dir",
            str(root), "--json",
        ]  # fmt: skip
        gateway = stack.enter_context(_program(serve, env, log))()
        watch = [sys.executable, "-m", "bench.attached_clients", str(gateway["url"]), BOT]
        watchers = stack.enter_context(_program(watch, env, log))
        watchers()  # the browser is up
        yield watchers


def _pid(root: Path) -> str:
    session = json.loads((root / BOT / "session.json").read_text())
    return str(session["pid"])


@contextmanager
def _counting(root: Path) -> Iterator[Ready]:
    """Count instructions once the engine quotes: start and warm-up are over."""

    def begin() -> None:
        command = ["callgrind_control", "-i", "on", _pid(root)]
        subprocess.run(command, check=True, capture_output=True)

    yield begin


@contextmanager
def _tracing(root: Path) -> Iterator[Ready]:
    """Count the engine's system calls from when it quotes until it ends."""
    tracers = []

    def begin() -> None:
        command = ["strace", "-c", "-o", str(root / "strace"), "-p", _pid(root)]
        tracers.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        assert tracers[0].stderr is not None
        said = tracers[0].stderr.readline()
        assert "attached" in said, said

    try:
        yield begin
    finally:
        for one in tracers:
            one.communicate(timeout=START_S)


def counts(built: Built, folder: Path) -> dict[str, float]:
    """Count instructions and system calls a tick, alone and attached."""
    on = Setting(ticks=COUNTED, warm=0)
    values = {}
    for name, others in (("alone", ()), ("attached", (attached,))):
        told = folder / f"{name}.callgrind"
        place = folder / f"{name}-instructions"
        run(
            BARE, on, built, place, beside=_all_of(*others, _counting),
            under=("valgrind", "-q", "--tool=callgrind", "--instr-atstart=no",
                   "--collect-atstart=no", f"--toggle-collect={ENTRY}",
                   f"--callgrind-out-file={told}"),
        )  # fmt: skip
        found = re.search(r"^(?:summary|totals): (\d+)", told.read_text(), re.MULTILINE)
        assert found is not None, "callgrind wrote no total"
        values[f"attached/instructions/{name}"] = int(found[1]) / COUNTED
        place = folder / f"{name}-calls"
        run(BARE, on, built, place, beside=_all_of(*others, _tracing))
        made = CALLS.findall((place / "strace").read_text())
        values[f"attached/calls/{name}"] = sum(
            int(count) for count, name in made if name in SOCKET_CALLS
        ) / COUNTED  # fmt: skip
    for what in ("instructions", "calls"):
        with_it, without = (values[f"attached/{what}/{one}"] for one in ("attached", "alone"))
        values[f"attached/{what}"] = with_it / without
    return values


def _all_of(*parts: Beside) -> Beside:
    """Enter several things that run beside a measurement, as one."""

    @contextmanager
    def entered(root: Path) -> Iterator[Ready]:
        with ExitStack() as stack:
            ready = [stack.enter_context(one(root)) for one in parts]
            yield lambda: [one() for one in ready]

    return entered


def attached_over_alone(count: int = 3, ticks: int = TICKS) -> dict[str, float]:
    """Measure a tick of the wire job with everything attached over one without, round by round."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built, on = build(folder), Setting(ticks=ticks, gap_us=GAP_US)
        found: list[tuple[Spans, Spans]] = []
        for number in range(count):
            alone = run(OURS, on, built, folder / f"alone-{number}")
            watched = run(OURS, on, built, folder / f"attached-{number}", beside=attached)
            found.append((alone, watched))
        values = {
            f"attached/wire{part}": statistics.median(
                watched.at(share) / alone.at(share) for alone, watched in found
            )
            for part, share in (("", 0.5), ("/p99", 0.99))
        }
        for at, which in enumerate(("alone", "attached")):
            for part, share in (("p50", 0.5), ("p99", 0.99)):
                values[f"attached/{which}/{part}_us"] = statistics.median(
                    pair[at].at(share) for pair in found
                )
        return values | counts(built, folder)


def gate_attached() -> dict[str, float]:
    """Measure what is attached against the limits of `gates.toml`."""
    return attached_over_alone()


if __name__ == "__main__":
    with apart():
        print(json.dumps(attached_over_alone(), indent=2))
