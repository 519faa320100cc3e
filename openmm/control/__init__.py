"""The one door for the surfaces: commands in, read-only views out."""

from openmm.control.client import send_command
from openmm.engine.commands import (
    Adjust,
    Command,
    Cost,
    Halt,
    Incidents,
    Pause,
    Resume,
    Status,
    Stop,
    Tighten,
)
from openmm.engine.rundir import RunDir, bots

__all__ = [
    "Adjust",
    "Command",
    "Cost",
    "Halt",
    "Incidents",
    "Pause",
    "Resume",
    "RunDir",
    "Status",
    "Stop",
    "Tighten",
    "bots",
    "send_command",
]
