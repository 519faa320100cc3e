"""Write a bot's file and start it: a process of its own that outlives whoever started it.

Nobody supervises it but its own lock (`openmm up` does, for those who want it started again).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from openmm._fast.checks import RiskState
from openmm.config import BotConfig, load
from openmm.config.schema import Endpoints
from openmm.config.secrets import env_names, passphrase_name
from openmm.control.home import Home
from openmm.control.market import Place, simulated
from openmm.control.supervise import RUN, keys_for, log_path, trim_log
from openmm.control.views import enum_name, look
from openmm.engine import admission
from openmm.engine.process import outlives
from openmm.engine.rundir import Lock, RunDir
from openmm.errors import CommandError, ControlError
from openmm.undumped import environment_of_child

READY_S: Final = 45.0
LOOK_S: Final = 0.05
WORDS_BYTES: Final = 4096


def file_of(home: Home, bot: str) -> Path:
    """Return the file a bot was created with, or last run from.

    Raises:
        ControlError: there is none (`no_file`).
    """
    created = home.root / f"{bot}.toml"
    if created.is_file():
        return created
    with suppress(FileNotFoundError):
        told = RunDir(home.root, bot).file.read_text(encoding="utf-8").strip()
        if told and Path(told).is_file():
            return Path(told)
    raise ControlError(
        f"the file of {bot} is not known here", code="no_file",
        hint="the operator starts it once: openmm run FILE",
    )  # fmt: skip


def write_file(home: Home, bot: str, text: str) -> Path:
    """Write a new bot's file, its owner's only.

    Raises:
        ControlError: there is a bot or a file of that name (`exists`); it is left as it is.
    """
    path = home.root / f"{bot}.toml"
    home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if RunDir(home.root, bot).lock.exists():
        raise _exists(bot)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise _exists(bot) from None
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return path


def _exists(bot: str) -> ControlError:
    return ControlError(
        f"there is a bot {bot} already", code="exists",
        hint="name another: describe it with `named my-bot`",
    )  # fmt: skip


def start(
    home: Home, bot: str, *, ready_s: float = READY_S, command: Sequence[str] = RUN
) -> dict[str, Any]:
    """Start a bot, and wait until it quotes or has failed.

    Returns:
        `state`: `quoting`, or what it does instead, with `why`: it runs on.

    Raises:
        ControlError: it runs already (`already_running`), is being started (`starting`), has no
            file, is not admitted to a real venue (`not_confirmed`), or ended (`start_failed`); the
            text holds its last words.
        ConfigErrors: its file is bad.
    """
    run_dir = RunDir(home.root, bot)
    file = file_of(home, bot)
    config = load(file)
    _check(home, bot, config, run_dir)
    home.make()
    try:
        starting = Lock(home.state / f"starting-{bot}.lock", f"the start of {bot}")
    except CommandError as error:
        raise ControlError(
            f"{bot} is being started", code="starting", retryable=True,
            hint="look at its status in some seconds",
        ) from error  # fmt: skip
    with starting:
        if (pid := run_dir.holder_pid()) is not None:
            raise ControlError(
                f"{bot} runs already: process {pid}", code="already_running",
                hint="stop it first, or leave it",
            )  # fmt: skip
        before = str(run_dir.read_session().get("session", ""))
        process = _spawn(run_dir, file, config, command)
        try:
            return _wait(run_dir, process, before, ready_s)
        finally:
            outlives(process)


def _check(home: Home, bot: str, config: BotConfig, run_dir: RunDir) -> None:
    if config.bot.name != bot or config.bot.run_dir != home.root.resolve():
        raise ControlError(
            f"the file of {bot} is of {config.bot.name} in {config.bot.run_dir}", code="no_file",
            hint="the operator starts it: openmm run FILE",
        )  # fmt: skip
    if not admission.goes_live(config):
        return
    # Only the part that needs no key: the bot itself holds all of it against its file and key.
    live = admission.read_record(admission.live_path(run_dir.path), admission.Live)
    venue = config.quoted
    if live is None or live.endpoints != admission.endpoints_of(venue):
        raise ControlError(
            f"live on the real {venue.name} is refused: nobody has confirmed {bot} at a terminal",
            code="not_confirmed",
            hint=f"the operator runs: openmm doctor {venue.name} --for FILE, then openmm run FILE",
        )


def _spawn(
    run_dir: RunDir, file: Path, config: BotConfig, command: Sequence[str]
) -> subprocess.Popen[bytes]:
    """Start the process: no key in its arguments, only its own venues' in its environment."""
    run_dir.make()
    log = log_path(run_dir.path)
    trim_log(log)
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "ab") as output:
        return subprocess.Popen(
            [*command, str(file)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            env=environment_of_child() | keys_for(config) | simulated_keys(config),
        )  # fmt: skip


def simulated_keys(config: BotConfig) -> dict[str, str]:
    """Return the keys of a simulated venue for a bot that trades there; none for any other."""
    venue = config.quoted
    place = simulated(venue.name)
    if config.bot.mode != "live" or place is None or not _same(place, venue.endpoints):
        return {}
    names = (*env_names(venue.label), passphrase_name(venue.label))
    told = (place.keys.get(one, "") for one in ("key", "secret", "passphrase"))
    return {name: text for name, text in zip(names, told, strict=True) if text}


def _same(place: Place, endpoints: Endpoints) -> bool:
    return all(getattr(endpoints, key) == url for key, url in place.endpoints.items())


def _wait(
    run_dir: RunDir, process: subprocess.Popen[bytes], before: str, ready_s: float
) -> dict[str, Any]:
    deadline = time.monotonic() + ready_s
    told: dict[str, Any] = {"bot": run_dir.bot, "pid": process.pid}
    while True:
        code = process.poll()
        if code is not None:
            raise ControlError(
                f"{run_dir.bot} ended at its start with {_ending(code)}: {last_words(run_dir)}",
                code="start_failed",
                hint="mend what it says, then start it again",
            )
        session, state, why, quoting = _state(run_dir, before)
        if quoting or time.monotonic() > deadline:
            return told | {"session": session, "state": state, "why": why}
        time.sleep(LOOK_S)


def _state(run_dir: RunDir, before: str) -> tuple[str, str, str, bool]:
    """Return the session, what it does, why not more, and whether it quotes or is held."""
    seen = look(run_dir, time.time_ns())
    session = str(seen.session.get("session", ""))
    if session in ("", before) or seen.page is None or seen.page.session != session:
        return "", "starting", "no session yet", False
    page = seen.page
    risk = enum_name(RiskState, page.risk_state)
    if page.own_bids or page.own_asks:
        return session, "quoting", "", True
    if seen.session.get("state") == "running" and page.risk_state != RiskState.RUNNING:
        held = page.risk_state in (RiskState.HALTED, RiskState.PAUSED)
        return session, risk, page.risk_reason or page.message, held
    return session, "running", page.message or "no order rests yet", False


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def last_words(run_dir: RunDir) -> str:
    """Return the last line of what a bot printed."""
    try:
        with log_path(run_dir.path).open("rb") as output:
            output.seek(max(0, output.seek(0, os.SEEK_END) - WORDS_BYTES))
            lines = output.read().decode("utf-8", "replace").strip().splitlines()
    except FileNotFoundError:
        lines = []
    return lines[-1].removeprefix("openmm: ")[:500] if lines else "it said nothing"


def diff_of(values: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a new file's values as rows of a preview."""
    return [{"key": key, "before": None, "after": text} for key, text in sorted(values.items())]
