"""The command socket: the one way into a running bot.

A unix socket that only the bot's user can open; who is at the other end comes from the kernel.
Every message is bounded, anything else than a command gets one clear error and the line is closed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, final

from openmm.engine.commands import (
    LINE_BYTES_MAX,
    Request,
    decode_request,
    encode_error,
    encode_reply,
)
from openmm.errors import CommandError, OpenMMError

CONNECTIONS_MAX = 16
IDLE_S_MAX = 30.0

Handler: TypeAlias = Callable[[Request], Awaitable[dict[str, Any]]]


@final
class CommandServer:
    """Serve commands to a handler, one after the other on each connection."""

    def __init__(self, path: Path, handler: Handler, *, idle_s_max: float = IDLE_S_MAX) -> None:
        self.path = path
        self._handler = handler
        self._idle_s_max = idle_s_max
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the socket. The bot's lock is held by now, so an old socket file is a dead one's.

        Raises:
            CommandError: something else than a socket stands in the way.
        """
        if self.path.exists() and not self.path.is_socket():
            raise CommandError(f"not a socket, will not be replaced: {self.path}")
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.setblocking(False)
        with at_folder(self.path) as name:
            before = os.umask(0o177)
            try:
                listener.bind(name)
            finally:
                os.umask(before)
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listener, limit=LINE_BYTES_MAX
        )

    async def close(self) -> None:
        """Close the socket and every connection; what was being handled is let finish."""
        if self._server is None:
            return
        self._server.close()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        await asyncio.gather(*self._tasks - {asyncio.current_task()}, return_exceptions=True)
        self.path.unlink(missing_ok=True)
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if len(self._tasks) > CONNECTIONS_MAX:
                writer.write(encode_error(None, "busy", f"more than {CONNECTIONS_MAX} connections"))
                await writer.drain()
                return
            uid, pid = _peer(writer)
            if uid not in (os.getuid(), 0):
                writer.write(encode_error(None, "denied", f"not this bot's user: uid {uid}"))
                await writer.drain()
                return
            while await self._one(reader, writer, uid, pid):
                pass
        except ConnectionError:
            return  # the caller left; a command already begun has been carried out
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, uid: int, pid: int
    ) -> bool:
        """Serve one request; return whether the connection goes on."""
        try:
            async with asyncio.timeout(self._idle_s_max):
                line = await reader.readline()
        except TimeoutError:
            return False
        except ValueError:
            message = f"a request is at most {LINE_BYTES_MAX} bytes"
            writer.write(encode_error(None, "too_long", message))
            await writer.drain()
            return False
        if not line:
            return False
        try:
            request = decode_request(line, uid, pid)
        except CommandError as error:
            writer.write(encode_error(None, "bad_request", str(error)))
            await writer.drain()
            return False
        try:
            reply = encode_reply(request.id, await self._handler(request))
        except OpenMMError as error:
            reply = encode_error(request.id, error.code, str(error), error.details)
        writer.write(reply)
        await writer.drain()
        return True


def _peer(writer: asyncio.StreamWriter) -> tuple[int, int]:
    """Return the user and process at the other end, by the kernel's word."""
    raw = writer.get_extra_info("socket").getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
    )
    pid, uid, _ = struct.unpack("3i", raw)
    return uid, pid


@contextmanager
def at_folder(path: Path) -> Iterator[str]:
    """Name a socket through its open folder, so that its path may be longer than 107 bytes."""
    fd = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{path.name}"
    finally:
        os.close(fd)
