"""`openmm mcp`: one client over standard input and output.

Who it is: a client of the clients file by its name (--client), which the bot's own user may say
without its token; or the token in OPENMM_TOKEN, or in a file (--token-file, OPENMM_TOKEN_FILE).
Without any, a client that may only read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
from mcp.server.stdio import stdio_server

from openmm.control.access import Client
from openmm.control.door import Door
from openmm.control.home import Home
from openmm.errors import ControlError
from openmm.mcp.lanes import Lanes
from openmm.mcp.server import Context, Desk

SURFACE: Final = "mcp-stdio"
READER: Final = Client("mcp-reader")
TOKEN_BYTES_MAX: Final = 4096


def serve(
    root: Path | None = None, token_file: Path | None = None, name: str | None = None
) -> None:
    """Serve until standard input ends.

    Args:
        root: folder of the bots; None: as everywhere.
        name: of a client in the clients file.

    Raises:
        ControlError: there is no such client, the token is nobody's, or its file can be read by
            others.
    """
    door = Door(Home.find(root))
    token = find_token(token_file) if name is None else ""

    def find() -> Client:
        if name is not None:
            return door.client(name)
        return door.authenticate(token, surface=SURFACE) if token else READER

    find()
    anyio.run(_serve, door, find)


async def _serve(door: Door, find: Callable[[], Client]) -> None:
    lanes = Lanes()

    async def client_of(_: Context) -> Client:
        found: Client = await lanes.run("door", "", find)
        return found

    server = Desk(door, client_of, surface=SURFACE, lanes=lanes).server()
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def find_token(token_file: Path | None) -> str:
    """Return the token of the environment or of the file; empty when there is neither.

    The environment's is taken out of it: programs that are started from here do not inherit it.

    Raises:
        ControlError: the file is not there, too large, or open to others.
    """
    told = os.environ.pop("OPENMM_TOKEN", "").strip()
    named = os.environ.get("OPENMM_TOKEN_FILE", "")
    path = token_file or (Path(named) if named else None)
    if told or path is None:
        return told
    try:
        fd = os.open(path.expanduser(), os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ControlError(
            f"token file: {error.strerror}: {path}",
            code="unauthenticated",
            hint="the operator makes one with openmm token add",
        ) from None
    try:
        seen = os.fstat(fd)
        if not stat.S_ISREG(seen.st_mode) or seen.st_mode & 0o077:
            raise ControlError(
                f"token file: only its owner may read it (mode 0600): {path}",
                code="unauthenticated",
                hint=f"chmod 600 {path}",
            )
        raw = os.read(fd, TOKEN_BYTES_MAX + 1)
    finally:
        os.close(fd)
    text = raw.decode("utf-8", "replace").strip()
    if not text or len(raw) > TOKEN_BYTES_MAX:
        raise ControlError(f"token file: it holds no token: {path}", code="unauthenticated")
    return text
