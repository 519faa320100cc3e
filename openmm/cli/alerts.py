"""`openmm alerts`: what is amiss, taking note of it, and whether people can be told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from openmm.cli.output import EXIT_DONE, EXIT_FAILED, Json, emit, pairs, table
from openmm.cli.pick import Folder, root_of

if TYPE_CHECKING:
    from openmm.control.alert_file import AlertFile

EXAMPLE = "Example: openmm alerts list"
LIST_EXAMPLE = "Example: openmm alerts list --json"
ACK_EXAMPLE = "Example: openmm alerts ack al-1f00c2d3"
TEST_EXAMPLE = "Example: openmm alerts test ops"
CHECK_EXAMPLE = "Example: openmm alerts check --json"

File: TypeAlias = Annotated[
    Path | None,
    typer.Option("--file", help="The alerts file.", envvar="OPENMM_ALERTS", show_default=False),
]

app = typer.Typer(
    help="Show the alerts of the bots of this host, take note of them, try who is told.\n\n"
    "The gateway (openmm serve) watches the bots; without it nothing is found or told.",
    epilog=EXAMPLE,
    rich_markup_mode=None,
)


@app.command("list", epilog=LIST_EXAMPLE)
def list_(run_dir: Folder = None, json_: Json = False) -> int:
    """List what is amiss now and what passed last. Exit code 1: something grave is not noted."""
    from openmm.control.access import LOCAL

    found = _door(run_dir).call(LOCAL, "alerts", {}, surface="cli")
    grave = [
        one for one in found["alerts"]
        if one["severity"] == "critical" and not one["acknowledged_ns"]
    ]  # fmt: skip

    def text() -> str:
        rows: list[tuple[str, ...]] = [("id", "since", "severity", "bot", "rule", "what", "noted")]
        for one in found["alerts"]:
            what = f"{one['subject']}: {one['text']}" if one["subject"] else one["text"]
            rows.append(
                (
                    one["id"], str(one["opened"])[:19], one["severity"], one["bot"] or "host",
                    one["rule"], what[:70], one["acknowledged_by"] or "-",
                )
            )  # fmt: skip
        return table(rows) if found["alerts"] else "no alert is open"

    emit(found, json_, text)
    return EXIT_FAILED if grave else EXIT_DONE


@app.command("ack", epilog=ACK_EXAMPLE)
def ack(
    alert: Annotated[str, typer.Argument(help="The alert's id, as the list shows it.")],
    run_dir: Folder = None,
    json_: Json = False,
) -> int:
    """Take note of an alert: it is not sent again and escalates no further."""
    from openmm.control.access import LOCAL

    found = _door(run_dir).call(LOCAL, "acknowledge", {"alert": alert}, surface="cli")
    emit(found, json_, lambda: f"{alert}: noted by {found['alert']['acknowledged_by']}")
    return EXIT_DONE


@app.command("test", epilog=TEST_EXAMPLE)
def try_(
    channel: Annotated[str, typer.Argument(help="The channel's name in the file.")],
    file: File = None,
    json_: Json = False,
) -> int:
    """Send a message over a channel, to see whether it arrives. Exit code 1: it does not."""
    from openmm.errors import ConfigError

    send = _sending().send
    told = _load(file)
    if channel not in told.channels:
        known = ", ".join(told.channels) or "none yet"
        raise ConfigError("channel", channel, f"a channel of the file; there are: {known}")
    why = send(
        told.channels[channel].url(), "[info] OpenMM: a test",
        f"A test of the channel {channel}: alerts arrive here.", "info",
    )  # fmt: skip
    payload = {"channel": channel, "delivered": not why, "why": why}
    emit(payload, json_, lambda: f"{channel}: {why or 'delivered'}")
    return EXIT_FAILED if why else EXIT_DONE


@app.command("check", epilog=CHECK_EXAMPLE)
def check(file: File = None, json_: Json = False) -> int:
    """Check the file, and that each channel's address is where it says; sends nothing."""
    from openmm.errors import ConfigError

    knows = _sending().knows
    told = _load(file)
    for channel in told.channels.values():
        if not knows(channel.url()):
            allowed = "an address that apprise knows, such as tgram://…, slack://…, json://…"
            raise ConfigError(f"channel.{channel.name}.url", "something else", allowed)
    payload: dict[str, Any] = {
        "file": str(_path(file)),
        "present": _path(file).exists(),
        "channels": list(told.channels),
        "severities": {name: list(one.channels) for name, one in told.grades.items()},
        "rules": {name: one.severity for name, one in told.rules.items() if one.enabled},
    }

    def text() -> str:
        lines = {
            "file": f"{payload['file']}{'' if payload['present'] else ' (absent: defaults)'}",
            "channels": ", ".join(payload["channels"]) or "none: nobody is told",
            "rules": ", ".join(payload["rules"]),
        }
        for name, names in payload["severities"].items():
            lines[name] = ", ".join(names) or "nobody"
        return pairs(lines)

    emit(payload, json_, text)
    return EXIT_DONE


def _path(file: Path | None) -> Path:
    from openmm.control.alert_file import alerts_path

    return file.expanduser().absolute() if file is not None else alerts_path()


def _load(file: Path | None) -> AlertFile:
    from openmm.control.alert_file import load_alerts

    return load_alerts(_path(file))


def _sending() -> Any:
    """Return what sends; it is an extra."""
    try:
        from openmm.gateway import send
    except ModuleNotFoundError as error:
        if error.name != "apprise":
            raise
        from openmm.errors import CommandError

        raise CommandError(
            "sending alerts needs apprise: pip install 'openmm-engine[gateway]'",
            code="missing_extra",
        ) from None
    return send


def _door(run_dir: Path | None) -> Any:
    from openmm.control.door import Door
    from openmm.control.home import Home

    return Door(Home.find(root_of(run_dir)))
