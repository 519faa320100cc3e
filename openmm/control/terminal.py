"""What an operator tells a bot at a terminal: on record like every call, and without the weight of
the rest of the door, so that a halt is on its way at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import asdict

from openmm.control.audit import Audit, redacted, verdict_of
from openmm.control.client import send_command
from openmm.control.home import Home
from openmm.control.plain import plain
from openmm.engine.commands import Cancel, Command, Halt, Pause, Stop, name_of
from openmm.engine.rundir import RunDir
from openmm.errors import ControlError, OpenMMError

BRAKES: Final = (Halt, Pause, Cancel, Stop)
MS: Final = 1_000_000


def operate(
    home: Home, bot: RunDir, command: Command, *, surface: str, timeout_s: float = 10.0,
    clock: Callable[[], int] = time.time_ns,
) -> dict[str, Any]:  # fmt: skip
    """Send a command as the bot's own user; in the audit before and after.

    Raises:
        ControlError: it cannot be recorded, and is no brake (`not_recorded`).
        CommandError: the bot does not run or refused.
    """
    began_ns = clock()
    brake = isinstance(command, BRAKES)
    record: dict[str, Any] = {
        "caller": {"client": "local", "surface": surface, "uid": os.getuid()},
        "scope": "", "action": name_of(command), "bot": bot.bot, "args": redacted(asdict(command)),
    }  # fmt: skip
    audit = Audit(home.audit)

    def note(verdict: str, **more: Any) -> str:
        try:
            home.make()
            told = {**record, "verdict": verdict[:500], **more}
            audit.append(told, clock(), sync=not (brake and verdict == "asked"), hurry=brake)
        except OSError as error:
            return f"not recorded: {error}"
        return ""

    if (problem := note("asked")) and not brake:
        raise ControlError(
            f"it cannot be recorded, so it is not done: {problem}", code="not_recorded",
            hint="make room on the disk; pause, halt, cancel and stop work all the same",
        )  # fmt: skip
    verdict = "failed: internal_error"
    try:
        result: dict[str, Any] = plain(
            send_command(bot, command, surface=surface, timeout_s=timeout_s)
        )
        verdict = "done"
    except OpenMMError as error:
        verdict = verdict_of(error)
        raise
    finally:
        problem = note(verdict, duration_ms=max(0, clock() - began_ns) // MS)
    return {**result, "audit": problem} if problem else result
