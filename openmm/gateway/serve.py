"""Run the gateway: one process beside the bots, which it reads and commands and never needs.

Killing it touches no bot. It steps back behind them: a lower priority than theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import json
import os
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias, final

import uvicorn
from fastapi import FastAPI
from msgspec import Struct

from openmm.control.access import Clients
from openmm.control.door import Door
from openmm.control.history import Sampler
from openmm.control.home import Home
from openmm.errors import ConfigError
from openmm.gateway.app import create_app
from openmm.gateway.connections import (
    HEAD_BYTES_MAX,
    GuardedProtocol,
    GuardedWebSocket,
    listen,
)
from openmm.gateway.lanes import Lanes
from openmm.gateway.shield import LOOPBACK, App, Settings
from openmm.gateway.tls import ANYWHERE, check_address, load_certificate
from openmm.venues.claims import Lock

NICE: Final = 5
BACKLOG: Final = 64
STOP_S: Final = 5
SHAKE_S: Final = 3.0  # connections are counted once their handshake is done
FILES_MAX: Final = 65_536
MESSAGE_BYTES_MAX: Final = 64 << 10
Part: TypeAlias = Callable[[FastAPI, Door, Lanes], None]
# Mounted when the gateway starts, if they are there, the catch-all last: each has
# `mount(app, door)`, and what it runs it starts and ends with the application's lifespan.
MOUNTED: Final = {
    "metrics": "openmm.gateway.metrics",
    "alerts": "openmm.gateway.alerts",
    "mcp": "openmm.mcp.http",
    "dashboard": "openmm.dashboard.mount",
}


class Options(Struct, frozen=True):
    """How the gateway is started.

    Args:
        host_names: further names that a Host header may have.
        dashboard, mcp, alerts: whether these are served or run.
    """

    home: Home
    host: str = "127.0.0.1"
    port: int = 8080
    cert: Path | None = None
    key: Path | None = None
    host_names: tuple[str, ...] = ()
    dashboard: bool = True
    mcp: bool = True
    alerts: bool = True
    as_json: bool = False


def run(options: Options) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    Raises:
        ConfigError: an address, a file or a name that will not do.
        CommandError: a gateway of this state folder runs already.
    """
    context = load_certificate(options.cert, options.key)
    door = Door(options.home)
    clients = len(Clients(options.home.clients).all())
    check_address(options.host, secure=context is not None, clients=clients)
    settings = Settings(hosts=_hosts(options), secure=context is not None)
    options.home.make()
    with Lock(options.home.state / "gateway.lock", "the gateway"):
        os.nice(NICE)
        _more_files()
        sock = _bound(options)
        sampler = Sampler(options.home)
        try:
            parts, told = _parts(options)
            app = create_app(door, settings, add=parts)
            if not clients:
                sys.stderr.write(
                    "openmm: no client may come in yet: openmm token add NAME makes one\n"
                )
            sampler.start()
            return _serve(app, sock, context, lambda: _ready(options, sock, context, told))
        finally:
            sampler.close()
            sock.close()


def _more_files() -> None:
    """Open as many files as this user may: no crowd of connections leaves none for a halt."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if most == resource.RLIM_INFINITY else min(most, FILES_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _hosts(options: Options) -> frozenset[str]:
    """Return the names that a Host header may have."""
    told = {options.host, *options.host_names}
    for name in options.host_names:
        if not name or not name.isascii() or any(c in name for c in "/:@ \\*"):
            raise ConfigError("--host-name", name, "a name or address, without port")
    if options.host in ANYWHERE:
        told.discard(options.host)
    named = {f"[{one.strip('[]')}]" if ":" in one else one for one in told}
    return frozenset(one.lower() for one in named) | LOOPBACK


def _bound(options: Options) -> socket.socket:
    try:
        return listen(options.host.strip("[]"), options.port)
    except OSError as error:
        raise ConfigError(
            "--port", options.port, f"a free port of {options.host} ({error.strerror}); 0 finds one"
        ) from None


def _parts(options: Options) -> tuple[tuple[Part, ...], list[str]]:
    """Return what this build serves besides the actions, and how each is called."""
    wanted = {"mcp": options.mcp, "dashboard": options.dashboard, "alerts": options.alerts}
    found: list[tuple[str, Part]] = []
    for name, module in MOUNTED.items():
        if wanted.get(name, True) and importlib.util.find_spec(module) is not None:
            found.append((name, _mounting(module)))
    return tuple(part for _, part in found), ["rest", "stream", *(name for name, _ in found)]


def _mounting(module: str) -> Part:
    mount: Callable[[FastAPI, Door], None] = importlib.import_module(module).mount

    def part(app: FastAPI, door: Door, _: Lanes) -> None:
        mount(app, door)

    return part


def _ready(
    options: Options, sock: socket.socket, context: ssl.SSLContext | None, parts: list[str]
) -> None:
    """Tell that the gateway answers, in one line, for people or for scripts."""
    host, port = sock.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    url = f"{'http' if context is None else 'https'}://{shown}:{port}"
    line = f"openmm serve: ready at {url}/ ({', '.join(parts)})"
    if options.as_json:
        line = json.dumps(
            {"ready": True, "url": url, "host": host, "port": port, "pid": os.getpid(),
             "parts": parts}
        )  # fmt: skip
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@final
class _Server(uvicorn.Server):
    """Uvicorn's server: our listener's limits, a clean exit by signal, a word when it answers."""

    def __init__(
        self, config: uvicorn.Config, context: ssl.SSLContext | None, ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._context = context
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, with a limit on the time of a TLS handshake."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise ConfigError("openmm serve", "its parts", "parts that start; the log says more")
        assert sockets is not None
        loop = asyncio.get_running_loop()
        timing: dict[str, Any] = {} if self._context is None else {"ssl_handshake_timeout": SHAKE_S}
        self.servers = [
            await loop.create_server(
                lambda: GuardedProtocol(self.config, self.server_state, self.lifespan.state),
                sock=one, ssl=self._context, backlog=BACKLOG, **timing,
            )
            for one in sockets
        ]  # fmt: skip
        self.started = True
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End in good order on the first signal, at once on the second."""
        loop = asyncio.get_running_loop()

        def stop() -> None:
            self.force_exit = self.should_exit
            self.should_exit = True

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


def _serve(
    app: App, sock: socket.socket, context: ssl.SSLContext | None, ready: Callable[[], None]
) -> int:
    config = uvicorn.Config(
        app, http=GuardedProtocol, ws=GuardedWebSocket, loop="asyncio", lifespan="on",
        log_config=None, access_log=False, proxy_headers=False, server_header=False,
        date_header=True, backlog=BACKLOG, timeout_keep_alive=15,
        timeout_graceful_shutdown=STOP_S, ws_max_size=MESSAGE_BYTES_MAX, ws_ping_interval=20.0,
        ws_ping_timeout=20.0, ws_per_message_deflate=False,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
    )  # fmt: skip
    server = _Server(config, context, ready)
    asyncio.run(server.serve(sockets=[sock]))
    return 0
