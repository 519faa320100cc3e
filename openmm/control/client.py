"""Send a command to a running bot and wait for its reply."""

from __future__ import annotations

import getpass
import itertools
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from openmm.engine.commands import (
    LINE_BYTES_MAX,
    Caller,
    Command,
    Request,
    decode_reply,
    encode_request,
    name_of,
)
from openmm.engine.door import at_folder
from openmm.engine.rundir import RunDir
from openmm.errors import CommandError

_NUMBERS = itertools.count(1)


def send_command(
    run_dir: RunDir,
    command: Command,
    *,
    surface: str = "cli",
    timeout_s: float = 10.0,
    client: str = "",
    caps: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Send one command; return what the bot answered.

    Args:
        client: on whose behalf; "": the bot's own user.
        caps: of the client, see `commands.Caller`.

    Raises:
        CommandError: no bot runs there, it refused, or it did not answer in time.
    """
    caller = Caller(surface, user_name(), client=client, caps=caps or {})
    request = Request(next(_NUMBERS), command, caller)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(timeout_s)
        try:
            with at_folder(run_dir.socket) as name:
                line.connect(name)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            raise CommandError(
                f"the bot {run_dir.bot} is not running: {run_dir.path}", code="not_running"
            ) from None
        except BlockingIOError:
            raise CommandError(
                f"the bot {run_dir.bot} has more callers than it takes", code="busy",
                retryable=True,
            ) from None  # fmt: skip
        except PermissionError:
            raise CommandError(
                f"the bot {run_dir.bot} belongs to another user: {run_dir.socket}", code="denied"
            ) from None
        try:
            with suppress(ConnectionError):
                # What it said before it closed, such as that it is busy, can still be read.
                line.sendall(encode_request(request))
            reply = _line(line)
        except TimeoutError:
            raise CommandError(
                f"the bot {run_dir.bot} did not answer {name_of(command)} within {timeout_s:g} s; "
                "it may still carry it out",
                code="timeout",
            ) from None
        except ConnectionError:
            reply = b""
    if not reply.endswith(b"\n"):
        raise CommandError(
            f"the bot {run_dir.bot} ended before it answered {name_of(command)}", code="ended"
        )
    return decode_reply(reply, request.id)


def _line(line: socket.socket) -> bytes:
    """Read up to a line's end, a bounded number of bytes."""
    got = b""
    while not got.endswith(b"\n") and len(got) < LINE_BYTES_MAX:
        chunk = line.recv(LINE_BYTES_MAX)
        if not chunk:
            break
        got += chunk
    return got


def user_name() -> str:
    """Return the user's name as the system tells it, for the audit."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
