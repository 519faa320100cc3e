"""`openmm up`: run all bots of a fleet's file, and start again what failed."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from openmm.control.fleet_file import FleetFile
    from openmm.control.supervise import Fleet, Supervised
    from openmm.engine.rundir import RunDir

EXAMPLE = "Example: openmm up fleet.toml --json"
TICK_S = 0.25
STATE_EVERY_NS = 5_000_000_000
STYLES = {
    "running": "green", "waiting": "yellow", "stopping": "yellow", "done": "dim",
    "halted": "bold red", "refused": "red", "failed": "red",
}  # fmt: skip


def up(
    file: Annotated[Path, typer.Argument(help="The fleet's file.")] = Path("fleet.toml"),
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line, one for each event.")
    ] = False,
) -> int:
    """Supervise many bots: start them one after the other, and start again what failed.

    A bot is a [[bot]] with file = "btc.toml" and restart = "on-failure" or "never". One that risk
    halted, or whose file is bad, stays down. Ctrl+C or SIGTERM stops every bot in order and waits
    until each has proven that nothing is open; a second one ends them at once. Bots outlive a
    supervisor that dies: the next openmm up takes them on.
    """
    import time

    from openmm.control.fleet_file import read_fleet
    from openmm.control.neighbours import shared, shared_text
    from openmm.control.supervise import Fleet, supervising
    from openmm.undumped import keep_to_itself

    keep_to_itself()
    fleet_file = read_fleet(file)
    with supervising(fleet_file.path):
        show = Shown(json_)
        fleet = Fleet(fleet_file, show.event, passphrase=_passphrase(fleet_file))
        with signals() as (wake, asked), show.live(fleet):
            told = [one.config for one in fleet_file.members if one.config is not None]
            for one in shared(told):
                show.event("fleet", "shared", {"market": shared_text(one)})
            fleet.begin(time.time_ns())
            served = 0
            while not fleet.over:
                if asked() > served:
                    served += 1
                    fleet.stop(time.time_ns())
                    if served > 1:
                        break
                fleet.tick(time.time_ns())
                show.state(fleet, time.time_ns())
                wait(wake)
            show.state(fleet, time.time_ns(), last=True)
    return fleet.exit_code()


@contextmanager
def signals() -> Iterator[tuple[int, Any]]:
    """Count SIGTERM and SIGINT for a block; gives a descriptor that a signal makes readable."""
    count = 0

    def on_signal(*_: object) -> None:
        nonlocal count
        count += 1

    wake, end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, on_signal) for number in numbers]
    # A child that ends wakes us too.
    child = signal.signal(signal.SIGCHLD, lambda *_: None)
    woken = signal.set_wakeup_fd(end, warn_on_full_buffer=False)
    try:
        yield wake, lambda: count
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in zip((*numbers, signal.SIGCHLD), (*before, child), strict=True):
            signal.signal(number, handler)
        os.close(wake)
        os.close(end)


def wait(wake: int) -> None:
    """Sleep for a tick, less when a signal comes."""
    import select

    if select.select([wake], [], [], TICK_S)[0]:
        os.read(wake, 64)


def _passphrase(file: FleetFile) -> str | None:
    """Ask for the vault's passphrase where a bot needs it and nothing else will tell it."""
    from openmm.config.passphrase import FD_VARIABLE, FILE_VARIABLE, stored_passphrase
    from openmm.config.passphrase import vault_passphrase as asked
    from openmm.config.vault import read_labels, read_vault, vault_path

    path = vault_path()
    held = () if path is None else read_labels(path)
    live = {one.config.quoted.label for one in file.members
            if one.config is not None and one.config.bot.mode == "live"}  # fmt: skip
    if path is None or not live & set(held):
        return None
    if FD_VARIABLE not in os.environ and (FILE_VARIABLE in os.environ or stored_passphrase()):
        return None
    passphrase = asked()
    read_vault(path, passphrase)
    return passphrase


class Shown:
    """What people or machines see of a fleet: a live table, lines of text, or lines of JSON."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._live: Any = None
        self._next_ns = 0

    @contextmanager
    def live(self, fleet: Fleet) -> Iterator[None]:
        """Keep a table on the screen for a block, at a terminal."""
        if self._json or not sys.stdout.isatty():
            yield
            return
        from rich.live import Live

        with Live(table(fleet, 0), auto_refresh=False) as self._live:
            yield
        self._live = None

    def event(self, bot: str, what: str, more: Mapping[str, Any]) -> None:
        """Tell one event."""
        import time

        now_ns = time.time_ns()
        if self._json:
            self._line({"ts_ns": now_ns, "bot": bot, "event": what, **more})
            return
        rest = " ".join(f"{key} {value}" for key, value in more.items() if key != "stage" and value)
        text = f"{time.strftime('%H:%M:%S')}  {bot}: {what} {rest}".rstrip()
        if self._live is not None:
            self._live.console.print(text, highlight=False, markup=False)
        else:
            self._out(text)

    def state(self, fleet: Fleet, now_ns: int, *, last: bool = False) -> None:
        """Draw the table anew; as JSON, a line with every bot now and then."""
        if self._live is not None:
            self._live.update(table(fleet, now_ns), refresh=True)
        elif self._json and (last or now_ns >= self._next_ns):
            self._next_ns = now_ns + STATE_EVERY_NS
            rows = [row(bot, now_ns) for bot in fleet.bots]
            self._line({"ts_ns": now_ns, "event": "over" if last else "state", "bots": rows})

    def _line(self, body: Mapping[str, Any]) -> None:
        self._out(json.dumps(body, default=str))

    def _out(self, text: str) -> None:
        typer.echo(text)
        sys.stdout.flush()


def row(bot: Supervised, now_ns: int) -> dict[str, Any]:
    """Describe one bot: its process, and what its telemetry page tells."""
    body: dict[str, Any] = {
        "bot": bot.member.name, "stage": bot.stage.value, "pid": bot.pid, "adopted": bot.adopted,
        "restarts": bot.restarts, "exit_code": bot.exit_code, "reason": bot.reason,
        "up_s": (now_ns - bot.started_ns) // 1_000_000_000 if bot.pid is not None else None,
        "risk": None, "equity": None, "fills": None,
    }  # fmt: skip
    if bot.pid is not None and bot.member.run_dir is not None:
        body |= _page(bot.member.run_dir, now_ns)
    return body


def _page(run_dir: RunDir, now_ns: int) -> dict[str, Any]:
    from openmm._fast.checks import RiskState
    from openmm.control.views import enum_name, look

    page = look(run_dir, now_ns).page
    if page is None:
        return {}
    return {
        "risk": enum_name(RiskState, page.risk_state),
        "equity": f"{page.money(page.equity_ticklots):.2f} {page.quote}",
        "fills": page.counters.filled,
    }


def table(fleet: Fleet, now_ns: int) -> Table:
    """Draw the fleet."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("bot", "stage", "process", "up", "starts", "risk", "equity", "fills", ""):
        drawn.add_column(name, justify="right" if name in ("up", "starts", "fills") else "left")
    for bot in fleet.bots:
        told = row(bot, now_ns)
        drawn.add_row(
            told["bot"], Text(told["stage"], STYLES[told["stage"]]),
            "-" if told["pid"] is None else f"{told['pid']}{' (adopted)' if bot.adopted else ''}",
            "-" if told["up_s"] is None else f"{told['up_s']} s", str(told["restarts"]),
            told["risk"] or "-", told["equity"] or "-",
            "-" if told["fills"] is None else str(told["fills"]), Text(told["reason"], "dim"),
        )  # fmt: skip
    return drawn
