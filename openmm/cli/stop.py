"""`openmm stop`: cancel everything, prove it, end the process."""

from __future__ import annotations

from typing import Annotated

import typer

from openmm.cli.output import EXIT_FAILED, Json, emit, fail
from openmm.cli.pick import Bot, Folder, pick, tell

EXAMPLE = "Example: openmm stop --bot btc-grid"


def stop(
    bot: Bot = None,
    run_dir: Folder = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; goes to the journal.")] = "",
    wait: Annotated[
        str, typer.Option("--wait", help="How long to wait for the end, such as 90s.")
    ] = "90s",
    json_: Json = False,
) -> int:
    """Stop a bot: its orders are cancelled and the venue is asked that none is left.

    The exit code is the bot's own: 0 done, 1 something failed or is not proven, 3 halted by risk.
    """
    import time

    from openmm.cli.spans import span_s
    from openmm.control import Stop

    wait_s = span_s("--wait", wait)
    found = pick(bot, run_dir)
    session = found.read_session().get("session")
    tell(found, Stop(reason))
    deadline = time.monotonic() + wait_s
    while found.holder_pid() is not None:
        if time.monotonic() > deadline:
            message = f"{found.bot} is still stopping after {wait}; see openmm status"
            return fail("still_stopping", message, json_, EXIT_FAILED)
        time.sleep(0.05)
    end = found.read_session()
    if end.get("session") != session or end.get("state") != "ended":
        message = f"{found.bot} ended without a proof that nothing is open: {found.session}"
        return fail("no_proof", message, json_, EXIT_FAILED)
    code = end.get("exit_code")
    payload = {
        "bot": found.bot,
        "session": session,
        "exit_code": code,
        "open_orders": end.get("open_orders"),
        "reason": end.get("reason"),
    }
    emit(
        payload,
        json_,
        lambda: f"{found.bot}: stopped, {end.get('open_orders')} orders of ours open at the venue",
    )
    return code if isinstance(code, int) else EXIT_FAILED
