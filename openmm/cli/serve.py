"""`openmm serve`: the gateway for REST, dashboard, MCP, metrics and alerts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openmm.cli.output import Json
from openmm.cli.pick import Folder, root_of

EXAMPLE = (
    "Example: openmm serve; for others on the network: openmm serve --host 0.0.0.0 "
    "--cert gateway.pem --key gateway.key --host-name bots.example.org"
)


def serve(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; others than loopback need TLS.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", help="Port; 0 finds one and tells it.", min=0, max=65535)
    ] = 8080,
    cert: Annotated[
        Path | None, typer.Option("--cert", help="Certificate chain, PEM: serve over TLS.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="Key of the certificate, PEM, mode 0600.")
    ] = None,
    host_name: Annotated[
        list[str] | None,
        typer.Option("--host-name", help="A name people reach it by; may be repeated."),
    ] = None,
    run_dir: Folder = None,
    dashboard: Annotated[
        bool, typer.Option("--dashboard/--no-dashboard", help="Serve the dashboard.")
    ] = True,
    mcp: Annotated[bool, typer.Option("--mcp/--no-mcp", help="Serve MCP at /mcp.")] = True,
    alerts: Annotated[
        bool, typer.Option("--alerts/--no-alerts", help="Watch the bots and send alerts.")
    ] = True,
    json_: Json = False,
) -> int:
    """Serve every bot of this host to people and programs, on loopback unless told otherwise.

    Each request needs a token: openmm token add NAME makes one. One line tells where it listens
    once it answers. Ending it, however, touches no bot.
    """
    from openmm.control.home import Home
    from openmm.errors import CommandError

    try:
        from openmm.gateway.serve import Options, run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("openmm"):
            raise
        raise CommandError(
            f"openmm serve needs {error.name}: pip install 'openmm-engine[gateway]'",
            code="missing_extra",
        ) from None
    return run(
        Options(
            home=Home.find(root_of(run_dir)), host=host, port=port, cert=cert, key=key,
            host_names=tuple(host_name or ()), dashboard=dashboard, mcp=mcp, alerts=alerts,
            as_json=json_,
        )
    )  # fmt: skip
