"""Create and start bots behind the door: shown first, then done as it was shown.

A proposal follows the market. So that what is written is what was shown, its text is kept under its
own hash until it is called for, in the state folder and for a short time.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from openmm.config import BotConfig, load
from openmm.config.load import parse
from openmm.control import starting
from openmm.control.access import Client, Scope
from openmm.control.home import Home
from openmm.control.ladder import resolved
from openmm.control.previews import Shown
from openmm.control.propose import Proposal, in_sight, propose
from openmm.engine import admission
from openmm.engine.rundir import RunDir
from openmm.errors import ControlError

KEPT_NS: Final = 600_000_000_000
KEPT_MAX: Final = 200
_HASH: Final = re.compile(r"[0-9a-f]{64}")


def of_create(home: Home, client: Client, args: Mapping[str, Any], now_ns: int) -> Shown:
    """Show the bot that a description makes, and keep its text for the call.

    Raises:
        ControlError: the description will not do, or the bot would be over the client's caps.
    """
    made = propose(home, args["description"], args["mode"])
    _allowed(home, client, made.parsed, made.mid)
    told = made.told()
    return Shown(
        _keep(home, made, now_ns),
        starting.diff_of(_flat(tomllib.loads(made.config))),
        {"before": None, "after": told["ladder"]},
        made.warnings,
        {key: value for key, value in told.items() if key not in ("ladder", "warnings")},
    )


def _allowed(home: Home, client: Client, config: BotConfig, mid: Decimal) -> None:
    in_sight(config.bot.name, home.only)
    if client.local or config.bot.mode != "live":
        return
    caps, risk = client.caps, config.risk
    for name, cap, value in (
        ("order_notional", caps.order_notional, risk.max_order_size * mid),
        ("notional_per_hour", caps.notional_per_hour, risk.max_open_notional),
    ):
        if cap is None or value > cap:
            raise ControlError(
                f"a live bot of {value:f} is over the cap {name} of {client.name}: "
                f"{'none at all' if cap is None else format(cap, 'f')}",
                code="over_cap",
                hint="describe a smaller one, or mode paper; the operator sets caps",
            )


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in data.items():
        rows = value if isinstance(value, list) else [value]
        for one in rows:
            if isinstance(one, Mapping):
                found |= _flat(one, f"{prefix}{key}.")
            else:
                found[f"{prefix}{key}"] = str(one)
    return found


def _folder(home: Home) -> Path:
    return home.state / "proposals"


def _keep(home: Home, made: Proposal, now_ns: int) -> str:
    """Keep a proposal's text under its hash; those of before are cleared away."""
    home.make()
    folder = _folder(home)
    folder.mkdir(mode=0o700, exist_ok=True)
    kept = sorted(folder.glob("*.toml"), key=lambda one: one.stat().st_mtime_ns, reverse=True)
    for number, one in enumerate(kept):
        if number >= KEPT_MAX or now_ns - one.stat().st_mtime_ns > KEPT_NS:
            one.unlink(missing_ok=True)
    version = hashlib.sha256(made.config.encode()).hexdigest()
    fd = os.open(
        folder / f"{version}.toml", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
    )
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(made.config)
    return version


def _shown(home: Home, version: str) -> str:
    try:
        text = (_folder(home) / f"{version}.toml").read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    if hashlib.sha256(text.encode()).hexdigest() != version:
        raise ControlError(
            "what was shown is not kept any more", code="preview_expired",
            hint="ask for a new preview and look at it",
        )  # fmt: skip
    return text


def create(home: Home, client: Client, args: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Write the file that was shown, and start the bot.

    Args:
        version: of the preview; empty where the operator has said yes without one.

    Raises:
        ControlError: there is such a bot by now, or it could not be started; a file without a bot
            that ever ran is taken away again.
    """
    if _HASH.fullmatch(version):
        text = _shown(home, version)
        config = parse(tomllib.loads(text), source="the bot shown")
        in_sight(config.bot.name, home.only)
    else:
        made = propose(home, args["description"], args["mode"])
        _allowed(home, client, made.parsed, made.mid)
        text, config = made.config, made.parsed
    name = config.bot.name
    path = starting.write_file(home, name, text)
    told: dict[str, Any] = {"bot": name, "file": str(path), "mode": config.bot.mode}
    if admission.goes_live(config):
        venue = config.quoted.name
        return told | {
            "state": "written",
            "why": f"real money: it is started by the operator at a terminal: openmm doctor "
            f"{venue} --for {path}, then openmm run {path}",
        }
    try:
        return told | starting.start(home, name)
    finally:
        if not RunDir(home.root, name).lock.exists():
            path.unlink(missing_ok=True)


def _check_held(client: Client, bot: RunDir) -> str:
    """Return what holds a bot that is to be started; only who may resume it may do that.

    Raises:
        ControlError: this client may not (`forbidden`).
    """
    note = bot.why_held()
    if note and not client.may(Scope.RESUME):
        raise ControlError(
            f"{bot.bot} was {note}: to start it is to resume it, which needs the scope resume",
            code="forbidden", hint="the operator looks at it and starts it",
        )  # fmt: skip
    return note


def of_start(home: Home, client: Client, bot: RunDir) -> Shown:
    """Show what a bot's file would start.

    Raises:
        ControlError: its file is not known, or it runs.
        ConfigErrors: its file is bad.
    """
    if (pid := bot.holder_pid()) is not None:
        raise ControlError(
            f"{bot.bot} runs already: process {pid}", code="already_running",
            hint="stop it first, or leave it",
        )  # fmt: skip
    note = _check_held(client, bot)
    file = starting.file_of(home, bot.bot)
    config = load(file)
    rows = starting.diff_of(resolved(config))
    warnings = (f"it was {note}: starting it lets that go",) if note else ()
    needs = {"file": str(file), "mode": config.bot.mode, "pair": config.quoted.pair}
    return Shown(_version(file), rows, None, warnings, needs)


def start(home: Home, client: Client, bot: RunDir, version: str) -> dict[str, Any]:
    """Start a bot by the file that was shown.

    Raises:
        ControlError: the file has changed since (`preview_mismatch`), it is held and this client
            may not resume it (`forbidden`), or it did not start.
    """
    _check_held(client, bot)
    if _HASH.fullmatch(version) and version != _version(starting.file_of(home, bot.bot)):
        raise ControlError(
            f"the file of {bot.bot} has changed since the preview", code="preview_mismatch",
            hint="ask for a new preview and look at it",
        )  # fmt: skip
    return starting.start(home, bot.bot)


def _version(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
