"""`openmm run`: run one bot until it is stopped."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openmm.cli.output import Json, emit, pairs

if TYPE_CHECKING:
    from openmm.config import BotConfig
    from openmm.config.secrets import Keys
    from openmm.telemetry import TelemetrySnapshot

EXAMPLE = "Example: openmm run bot.toml --for 10m"
LINE_EVERY_NS = 5_000_000_000


def run(
    file: Annotated[Path, typer.Argument(help="The bot's file.")],
    for_: Annotated[
        str | None, typer.Option("--for", help="Stop by itself after so long, such as 60s.")
    ] = None,
    canary: Annotated[
        bool, typer.Option("--canary", help="Orders of the least size, whatever the file says.")
    ] = False,
    json_: Json = False,
) -> int:
    """Run a bot in the foreground. Ctrl+C or SIGTERM stops it cleanly: orders cancelled and proven.

    Keys of a live bot come from OPENMM_<LABEL>_KEY and OPENMM_<LABEL>_SECRET or the keyring. Its
    first start at a real venue needs a passed `openmm doctor VENUE --for FILE` and asks, at a
    terminal, for a typed confirmation.
    """
    import gc
    import logging

    # What a start makes is there to stay: collections on the way only walk it. `run_bot` turns
    # the collector on again once the bot has started.
    gc.disable()
    from openmm.cli.spans import span_s
    from openmm.config import load

    config = load(file)
    duration_s = None if for_ is None else span_s("--for", for_)
    keys = _keys(config)
    hedge_keys = _hedge_keys(config)
    if keys is not None:
        from openmm.cli.confirm import confirm

        confirm(config, keys, file)
    from openmm.engine.log import start_log, stop_log
    from openmm.engine.run import run_bot
    from openmm.engine.rundir import RunDir

    assert config.bot.run_dir is not None
    run_dir = RunDir(config.bot.run_dir, config.bot.name).make()
    run_dir.file.write_text(f"{file.absolute()}\n", encoding="utf-8")
    secrets = tuple(
        text
        for one in (keys, hedge_keys)
        if one is not None
        for text in (one.key, one.secret, one.passphrase)
    )
    handler = start_log(run_dir.log, config.engine.log_level, secrets)
    if not json_:
        typer.echo(f"{config.bot.name}: {config.bot.mode} on {config.quoted.label}; {run_dir.path}")
    try:
        code = run_bot(
            config,
            keys=keys,
            hedge_keys=hedge_keys,
            duration_s=duration_s,
            on_snapshot=None if json_ else Lines(),
            canary=canary,
        )
    finally:
        if (error := sys.exception()) is not None:
            logging.getLogger("openmm").error("the bot ended by an error", exc_info=error)
        stop_log(handler)
    end = {
        key: value
        for key, value in run_dir.read_session().items()
        if key in ("bot", "session", "mode", "exit_code", "reason", "open_orders", "store")
    }
    emit(end, json_, lambda: pairs(end))
    return code


def _keys(config: BotConfig) -> Keys | None:
    """Return the traded venue's keys; a paper bot gets none."""
    if config.bot.mode == "paper":
        return None
    from openmm.config.secrets import load_keys

    return load_keys(config.quoted.label)


def _hedge_keys(config: BotConfig) -> Keys | None:
    """Return the keys of the venue of [hedge]; a paper bot gets none."""
    if config.bot.mode == "paper" or config.hedge is None:
        return None
    from openmm.config.secrets import load_keys

    return load_keys(config.hedge.label)


class Lines:
    """Print a line about the bot now and then."""

    def __init__(self) -> None:
        self._next_ns = 0

    def __call__(self, page: TelemetrySnapshot) -> None:
        """Print the state if the last line is old enough."""
        if page.heartbeat_ns < self._next_ns:
            return
        self._next_ns = page.heartbeat_ns + LINE_EVERY_NS
        typer.echo(line_of(page))


def line_of(page: TelemetrySnapshot) -> str:
    """Describe a snapshot in one line."""
    from openmm._fast.book import BookState
    from openmm._fast.checks import RiskState
    from openmm.control.views import enum_name
    from openmm.telemetry import MISSING

    parts: dict[str, Any] = {
        "risk": enum_name(RiskState, page.risk_state),
        "reference": "-" if page.reference_uticks == MISSING else page.mid(page.reference_uticks),
    }
    for venue in page.venues:
        parts[venue.label.decode()] = enum_name(BookState, venue.book_state, "BOOK_")
    parts |= {
        "orders": f"{len(page.own_bids)}+{len(page.own_asks)}",
        "fills": page.counters.filled,
        "base": "-" if page.base_lots == MISSING else page.qty(page.base_lots),
        "realised": f"{page.money(page.realised_ticklots):.4f}",
        "unrealised": f"{page.money(page.unrealised_ticklots):.4f}",
        "fees": f"{page.money(page.fees_ticklots):.4f}",
    }
    uptime_s = (page.heartbeat_ns - page.started_ns) // 1_000_000_000
    return f"{uptime_s:>5} s  " + "  ".join(f"{key} {value}" for key, value in parts.items())
