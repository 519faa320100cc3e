"""The one door for the surfaces: commands in, read-only views out."""

from openmm.control.client import send_command
from openmm.engine.commands import (
    Adjust,
    Cancel,
    Command,
    Cost,
    Flatten,
    Halt,
    Incidents,
    Orders,
    Pause,
    Place,
    Preview,
    Resume,
    Set,
    Status,
    Stop,
    Tighten,
    Undo,
)
from openmm.engine.rundir import RunDir, bots

__all__ = [
    "Adjust",
    "Cancel",
    "Command",
    "Cost",
    "Flatten",
    "Halt",
    "Incidents",
    "Orders",
    "Pause",
    "Place",
    "Preview",
    "Resume",
    "RunDir",
    "Set",
    "Status",
    "Stop",
    "Tighten",
    "Undo",
    "bots",
    "send_command",
]
