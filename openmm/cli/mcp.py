"""`openmm mcp`: the tools for AI assistants, on standard input and output; set up a client."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openmm.cli.output import EXIT_DONE, Json, emit
from openmm.cli.pick import Folder

EXAMPLE = "Example: openmm mcp --setup claude-desktop --print"


def mcp(
    setup: Annotated[
        str | None,
        typer.Option("--setup", help="Write the configuration of this client, such as cursor."),
    ] = None,
    print_: Annotated[
        bool, typer.Option("--print", help="With --setup: only print what would be written.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --setup: write without asking.")] = False,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="File with the token; without one, reading only."),
    ] = None,
    client: Annotated[
        str | None,
        typer.Option("--client", help="Be this client of the clients file; needs no token."),
    ] = None,
    token_env: Annotated[
        str | None,
        typer.Option("--token-env", help="With --setup: variable the client takes the token of."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="With --setup: another file than the client's.")
    ] = None,
    run_dir: Folder = None,
    json_: Json = False,
) -> int:
    """Serve the Model Context Protocol on standard input and output, for an AI assistant.

    It may do what --client, or the token of OPENMM_TOKEN or --token-file, may; without any of them
    it may read only. openmm token add makes clients.
    """
    if setup is None:
        from openmm.mcp import stdio

        stdio.serve(run_dir, token_file, client)
        return EXIT_DONE
    from openmm.mcp.setup import plan

    found = plan(
        setup, run_dir=run_dir, client=client, token_file=token_file, token_env=token_env, file=file
    )
    asked = not (print_ or yes or json_) and bool(found.diff)
    if asked:
        typer.echo(found.text())
        yes = typer.confirm(f"Write {found.path}?")
    written = found.write() if yes and not print_ else False
    emit(
        {**found.as_dict(), "written": written},
        json_,
        lambda: found.told(written) if asked else f"{found.text()}\n{found.told(written)}",
    )
    return EXIT_DONE
