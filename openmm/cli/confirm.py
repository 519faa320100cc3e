"""The operator's word before a live bot places orders at a real venue: typed, at a terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from openmm.config import BotConfig
    from openmm.config.schema import Risk
    from openmm.config.secrets import Keys
    from openmm.engine.admission import Live

FULL_WORDS = "full size"


def confirm(config: BotConfig, keys: Keys, file: Path) -> None:
    """Ask for what is missing of an operator's word, and put it on record.

    Nothing is asked of a bot on loopback, or of one that was confirmed and trades full size.

    Raises:
        RiskError: nobody is there to ask, or what was typed confirms nothing.
    """
    from openmm.engine import admission
    from openmm.engine.rundir import RunDir
    from openmm.errors import RiskError

    if not admission.goes_live(config):
        return
    assert config.bot.run_dir is not None
    run_dir = RunDir(config.bot.run_dir, config.bot.name)
    folder = run_dir.path
    path = admission.live_path(folder)
    live = admission.read_record(path, admission.Live)
    doctor = admission.read_record(admission.doctor_path(folder), admission.Doctored)
    now_ns = time.time_ns()
    venue = config.quoted
    problem = admission.doctor_problem(config, keys.key, doctor, live, now_ns)
    unconfirmed = admission.confirmation_problem(config, keys.key, live)
    if problem or (unconfirmed and not _somebody_there()):
        text = f"live on the real {venue.name} is refused: {problem or unconfirmed}"
        raise RiskError(text.replace("FILE", str(file)), venue=venue.name, code="not_confirmed")
    if unconfirmed:
        _show(config, keys)
        wanted = [config.bot.name, venue.name]
        if _typed(f"Type {' '.join(wanted)} to trade with real money").split() != wanted:
            raise RiskError("nothing was confirmed", venue=venue.name, code="not_confirmed")
        size = _size(None)
    elif live is not None and live.size != admission.FULL and _somebody_there():
        size = _size(live)
        if size == live.size:
            return
    else:
        return
    from openmm.control.client import user_name

    word = admission.confirmed(config, keys.key, live, size, user_name(), now_ns)
    run_dir.make()
    admission.write_record(path, word)
    typer.echo(f"on record: {path}", err=True)


def _somebody_there() -> bool:
    return sys.stdin.isatty()


def _typed(text: str) -> str:
    answer: str = typer.prompt(text, default="", show_default=False, err=True)
    return answer.strip()


def _size(live: Live | None) -> str:
    """Ask for the size: that of a canary unless the other is typed out."""
    from openmm.engine import admission

    if live is None:
        told = "The first session is best of canary size"
    elif live.canary is None:
        told = "No canary session has ended by itself yet"
    elif live.canary.clean:
        told = (
            f"The canary session {live.canary.session} ended reconciled and clean, with "
            f"{live.canary.fills} fills"
        )
    else:
        told = f"The canary session {live.canary.session} did not end clean"
    answer = _typed(f"{told}. Enter: canary size; type {FULL_WORDS} for the file's sizes")
    return admission.FULL if answer == FULL_WORDS else admission.CANARY


def _show(config: BotConfig, keys: Keys) -> None:
    """Say what is about to be confirmed, with the sizes of file and canary."""
    from openmm.cli.output import pairs
    from openmm.control.market import ask_venue
    from openmm.engine import admission

    venue, risk = config.quoted, config.risk
    instrument, mid = ask_venue(config)
    small = admission.canary_config(config, instrument, mid).risk
    base, quote = instrument.base, instrument.quote
    shown = {
        "bot": config.bot.name,
        "venue": f"{venue.name}, {venue.pair} at {mid}",
        "addresses": ", ".join(admission.endpoints_of(venue)),
        "key": f"fingerprint {admission.fingerprint(venue.name, keys.key)}",
        "capital": f"{config.bot.capital or risk.max_open_notional} {quote}",
        "full size": _sizes(risk, base, quote),
        "canary size": _sizes(small, base, quote),
    }  # fmt: skip
    typer.echo(pairs(shown), err=True)


def _sizes(risk: Risk, base: str, quote: str) -> str:
    order, open_ = risk.max_order_size, risk.max_open_notional
    return f"{order:f} {base} an order at most, {open_:f} {quote} open at once"
