"""`openmm demo`: two simulated venues, a bot quoting on one of them, its report at the end."""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from openmm.cli.output import EXIT_DONE, EXIT_FAILED, Json, emit
from openmm.errors import CommandError, TelemetryError

if TYPE_CHECKING:
    from openmm.engine.rundir import RunDir
    from openmm.telemetry import TelemetrySnapshot

EXAMPLE = "Example: openmm demo --seconds 30 --seed 7"
BOT = "demo"
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
SCOPES = ("read", "brake", "resume", "set", "trade")  # of who looks at the dashboard
START_S = 60.0
STOP_S = 90.0
FRAMES_PER_S = 5
LINE_EVERY_S = 5.0

# A market that shows something within a minute: wide enough to quote inside, with a lively spell.
MARKET = (
    "half_spread_bps=2",
    "taker_share=0.35",
    "calm_volatility=0.15",
    "volatile_volatility=0.5",
    "first_spell_s=30",
    "volatile_s=15",
)

FILE = """\
# Written by `openmm demo`: a bot on two simulated venues of this machine.
[bot]
name = "{bot}"
mode = "live"
run_dir = "."

[[venue]]
name = "kraken"
label = "kraken-a"
quote = "BTC/USD"
account = "dedicated"
endpoints = {{ ws = "{a_ws}", ws_auth = "{a_ws_auth}", rest = "{a_rest}" }}

[[venue]]
name = "kraken"
label = "kraken-b"
reference = "BTC/USD"
endpoints = {{ ws = "{b_ws}", ws_auth = "{b_ws_auth}", rest = "{b_rest}" }}

[strategy]
kind = "grid"
spread = "3bps"
level_step = "2bps"
order_amount = "0.01"
num_orders = 4
tolerance = "1bps"
requote_threshold = "0.3bps"
vol_factor = "0.3"
rebalance_threshold = "20%"
target_base = "50%"

[risk]
max_order_size = "0.02"
max_open_notional = "20000"
max_inventory = "0.2"
max_drawdown = "2%"

[settlement]
reconcile_every = "5s"
halt_above = "0.1%"
"""


def demo(
    seconds: Annotated[
        int, typer.Option("--seconds", min=1, max=86_400, help="How long the bot trades.")
    ] = 60,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of both markets.")] = 7,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Where to leave everything; a new one unless told.")
    ] = None,
    dashboard: Annotated[
        bool, typer.Option("--dashboard/--no-dashboard", help="Serve the dashboard meanwhile.")
    ] = True,
    json_: Json = False,
) -> int:
    """Start two simulated venues and a bot, show it live, stop it, and print its report.

    Needs no keys and no network: everything stays on loopback, the dashboard too. Ends by itself,
    or with Ctrl+C; then the venue is asked that no order is open. Exit code 0 only if all of it
    went well.
    """
    out = _folder(folder)
    stopping = _Asked()
    with ExitStack() as stack:
        stack.enter_context(stopping)
        venues = {}
        for name, fees in (("a", ("0%", "0.1%")), ("b", ("0.25%", "0.4%"))):
            _say(json_, f"starting the simulated venue kraken-{name}")
            venues[name] = stack.enter_context(_venue(out, name, seed, fees))
        file = out / "bot.toml"
        urls = {
            f"{name}_{key}": started[key]
            for name, started in venues.items()
            for key in ("ws", "ws_auth", "rest")
        }
        file.write_text(FILE.format(bot=BOT, **urls))
        keys = {
            "OPENMM_KRAKEN_A_KEY": str(venues["a"]["api_key"]),
            "OPENMM_KRAKEN_A_SECRET": str(venues["a"]["api_secret"]),
        }
        _say(json_, f"starting the bot; everything is in {out}")
        bot = stack.enter_context(_bot(out, file, keys))
        if dashboard and not json_:
            _say(json_, stack.enter_context(_dashboard(out)))
        _show(bot, seconds, stopping, json_)
        _say(json_, "stopping: cancel everything, ask the venue that nothing is open")
        code = bot.stop()
        open_orders = _get(str(venues["a"]["rest"]), "/sim/open-orders")
    return _end(out, bot.run_dir, code, open_orders, json_)


def _say(quiet: bool, text: str) -> None:
    if not quiet:
        typer.echo(text)


def _folder(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="openmm-demo-"))
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise CommandError(f"--out must be empty: {folder}", code="not_empty")
    return folder


class _Asked:
    """Remember Ctrl+C and SIGTERM instead of dying of them: what was started must be stopped."""

    def __init__(self) -> None:
        self.stop = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Asked:
        """Take the signals over."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, before in self._before.items():
            signal.signal(number, before)

    def _on_signal(self, number: int, frame: object) -> None:
        self.stop = True


def _end_with_parent() -> None:
    """Ask the system for SIGTERM when the demo dies without a word, where it can do that."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def _child(
    out: Path, name: str, args: list[str], env: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of our commands as a process of its own; end it with the block, however it ends."""
    with (out / f"{name}.err").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "openmm.cli.main", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            # No vault: its keys are of real venues, and the passphrase would be asked for. A board
            # of its own: what a demo leaves there when it is killed would be in force for good.
            env={
                **os.environ,
                **env,
                "OPENMM_DEMO": str(out),
                "OPENMM_VAULT": "",
                "XDG_RUNTIME_DIR": str(out),
            },
            start_new_session=True,  # Ctrl+C is for the demo alone, which stops them in order
            preexec_fn=_end_with_parent,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _failed(out: Path, name: str, what: str) -> CommandError:
    """Tell why a child failed, in its own last words."""
    said = (out / f"{name}.err").read_text(errors="replace").strip().splitlines()
    return CommandError(f"{what}: {said[-1] if said else 'it said nothing'}", code="demo")


@contextmanager
def _venue(out: Path, name: str, seed: int, fees: tuple[str, str]) -> Iterator[dict[str, Any]]:
    """Run a simulated venue; give what it told when its ports were open."""
    args = ["sim", "kraken", "--seed", str(seed), "--maker-fee", fees[0], "--taker-fee", fees[1]]
    args += [part for option in MARKET for part in ("--market", option)]
    args += ["--balance", "BTC=1", "--balance", "USD=60000"]  # on target at the start
    with _child(out, f"venue-{name}", args, {}) as process:
        assert process.stdout is not None
        line = _line(process.stdout, START_S)
        if not line:
            process.poll()
            raise _failed(out, f"venue-{name}", f"the simulated venue kraken-{name} did not start")
        yield json.loads(line)


def _line(stream: IO[bytes], seconds: float) -> bytes:
    """Read one line, waiting no longer than told; empty when there was none."""
    got = b""
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while not got.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                return b""
            chunk = os.read(stream.fileno(), 65536)
            if not chunk:
                return b""
            got += chunk
    return got


@dataclass(slots=True)
class _Bot:
    """The running bot: its process and its page."""

    out: Path
    run_dir: RunDir
    process: subprocess.Popen[bytes]

    def page(self) -> TelemetrySnapshot | None:
        """Return the newest snapshot; None before the first.

        Raises:
            CommandError: the bot ended by itself.
        """
        from openmm.telemetry import TelemetryReader

        if self.process.poll() is not None:
            raise _failed(self.out, "bot", f"the bot ended with {self.process.returncode}")
        try:
            reader = TelemetryReader(self.run_dir.page)
        except TelemetryError:
            return None
        try:
            return reader.read()
        except TelemetryError:
            return None
        finally:
            reader.close()

    def stop(self) -> int:
        """Stop the bot by its command socket; return its exit code."""
        from openmm.control import Stop, send_command

        if self.process.poll() is None:
            try:
                send_command(self.run_dir, Stop("the demo is over"))
            except CommandError:
                # It is not listening (yet, or any more): SIGTERM asks for the same.
                self.process.terminate()
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise CommandError(f"the bot did not stop within {STOP_S:g} s", code="demo") from None


@contextmanager
def _bot(out: Path, file: Path, keys: Mapping[str, str]) -> Iterator[_Bot]:
    """Run the bot; wait until it publishes."""
    from openmm.engine.rundir import RunDir

    with _child(out, "bot", ["run", str(file), "--json"], keys) as process:
        bot = _Bot(out, RunDir(out, BOT), process)
        deadline = time.monotonic() + START_S
        while bot.page() is None:
            if time.monotonic() > deadline:
                raise _failed(out, "bot", f"the bot published nothing within {START_S:g} s")
            time.sleep(0.05)
        yield bot


@contextmanager
def _dashboard(out: Path) -> Iterator[str]:
    """Serve the bot's dashboard on loopback; give where it is and what lets in."""
    if find_spec("uvicorn") is None or find_spec("nicegui") is None:
        yield "no dashboard: pip install 'openmm-engine[gateway]' brings it"
        return
    env = {"OPENMM_CLIENTS": str(out / "clients.toml")}
    scopes = [part for scope in SCOPES for part in ("--scope", scope)]
    with _child(out, "token", ["token", "add", BOT, *scopes, "--json"], env) as process:
        assert process.stdout is not None
        line = _line(process.stdout, START_S)
        if not line or process.wait(START_S):
            raise _failed(out, "token", "the dashboard's token was not made")
        token = json.loads(line)["token"]
    args = ["serve", "--port", "0", "--run-dir", str(out), "--no-alerts", "--json"]
    with _child(out, "gateway", args, env) as process:
        assert process.stdout is not None
        line = _line(process.stdout, START_S)
        if not line:
            process.poll()
            raise _failed(out, "gateway", "the dashboard did not start")
        yield f"dashboard: {json.loads(line)['url']}/ui/bot/{BOT}  token: {token}"


def _show(bot: _Bot, seconds: int, stopping: _Asked, quiet: bool) -> None:
    """Show the bot until the time is over or somebody asks to stop."""
    deadline = time.monotonic() + seconds
    if quiet or not sys.stdout.isatty():
        _show_lines(bot, deadline, stopping, quiet)
    else:
        _show_live(bot, deadline, stopping)


def _show_lines(bot: _Bot, deadline: float, stopping: _Asked, quiet: bool) -> None:
    from openmm.cli.run import line_of

    next_line = 0.0
    while time.monotonic() < deadline and not stopping.stop:
        page = bot.page()
        if page is not None and not quiet and time.monotonic() >= next_line:
            typer.echo(line_of(page))
            next_line = time.monotonic() + LINE_EVERY_S
        time.sleep(0.1)


def _show_live(bot: _Bot, deadline: float, stopping: _Asked) -> None:
    from rich.console import Console
    from rich.live import Live

    from openmm.cli.view import render

    with Live(console=Console(), screen=False, auto_refresh=False, transient=True) as live:
        while time.monotonic() < deadline and not stopping.stop:
            page = bot.page()
            if page is not None:
                left = f"{max(0.0, deadline - time.monotonic()):.0f} s left, Ctrl+C stops"
                live.update(render(page, left), refresh=True)
            time.sleep(1 / FRAMES_PER_S)


def _get(rest: str, path: str) -> Any:
    """Ask a simulated venue something, directly: no proxy stands before loopback."""
    from http.client import HTTPConnection, HTTPException
    from urllib.parse import urlsplit

    address = urlsplit(rest)
    connection = HTTPConnection(address.hostname or "127.0.0.1", address.port, timeout=10)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    except (OSError, HTTPException, ValueError) as error:
        text = f"the simulated venue did not tell {path}: {type(error).__name__}"
        raise CommandError(text, code="demo") from error
    finally:
        connection.close()


def _end(out: Path, run_dir: RunDir, code: int, open_orders: Any, as_json: bool) -> int:
    """Write and print the report; say whether all went well."""
    from openmm.cli.report import text_of
    from openmm.settlement.report import load_report

    found = load_report(str(run_dir.read_session()["store"]), None)
    file = out / "report.json"
    file.write_text(json.dumps(found.to_json(), indent=2) + "\n")
    good = code == EXIT_DONE and not open_orders
    payload = {
        "ok": good,
        "open_orders": len(open_orders),
        "bot_exit_code": code,
        "folder": out,
        "report_file": file,
        "report": found.to_json(),
    }

    def text() -> str:
        count = len(open_orders)
        proof = "no order is open at the venue" if not count else f"{count} ORDERS ARE STILL OPEN"
        end = "" if code == EXIT_DONE else f"; the bot ended with {code}, see {out / 'bot.err'}"
        return f"{text_of(found)}\n\n{proof}{end}\nreport: {file}"

    emit(payload, as_json, text)
    if good:
        return EXIT_DONE
    return code if code != EXIT_DONE else EXIT_FAILED
