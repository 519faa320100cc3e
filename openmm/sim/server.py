"""Serve a simulated venue on loopback: two WebSocket ports and a REST port.

The sockets are thin: bytes go to the dialect with the clock's time, answers go back, each after
its seeded latency. One timer lets the market move and sends what waits.
"""

from __future__ import annotations

import asyncio
import errno
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakKeyDictionary

from aiohttp import web
from msgspec.structs import replace
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server
from picows.common import WSUpgradeRequest

from openmm.clock import Clock, RealClock
from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.sim.accounts import NS
from openmm.sim.core import VenueCore
from openmm.sim.faults import FaultScript
from openmm.sim.market import SyntheticMarket, market_options
from openmm.sim.options import SimOptions
from openmm.sim.pipe import DelayLine, Pipe
from openmm.sim.recorded import RecordedDriver, read_recorded, recorded_instrument
from openmm.sim.replay import Flow, ReplayDriver, read_capture
from openmm.sim.strikes import Strikes, rest_answer

STEP_S = 0.002
IDLE_NS = 60 * NS
BALANCES = {"BTC": "1", "ETH": "20", "XRP": "50000", "USD": "50000", "USDT": "50000"}
OTHERS = "100000"  # of an asset that is only in a recording
BODY_BYTES_MAX = 1 << 20
ORDER_CALLS = frozenset({"AddOrder", "CancelOrder"})


def build_core(options: SimOptions, now_ns: int) -> VenueCore:
    """Make the venue that options describe: core, account, market.

    Raises:
        ConfigError: if a capture, balance or market option is not right.
    """
    speaks = options.dialect
    if options.replay is None:
        pair, price = speaks.pairs[options.instrument]
        idle = [speaks.pairs[name][0] for name in options.idle_pairs if name != pair.name]
        # One asset has the same atoms in all pairs: those of the coarsest.
        decimals = min(one.quote_decimals for one in (pair, *idle))
        pair, *idle = (replace(one, quote_decimals=decimals) for one in (pair, *idle))
        core = VenueCore(
            [pair, *idle],
            options.seed,
            (),
            options.post_only_accepted != speaks.post_only_accepted,
            speaks.fee_in_received,
        )
        market = market_options(options.start_price or price, options.market)
        core.drive(SyntheticMarket(pair, options.seed, now_ns, market))
    else:
        core, pair = _recorded_core(options, options.replay, now_ns)
    defaults = {asset: BALANCES.get(asset, OTHERS) for asset in (pair.base, pair.quote)}
    balances = {asset: Decimal(text) for asset, text in defaults.items()} | dict(options.balances)
    secret, tier = speaks.secret(options.api_secret), speaks.tiers[options.tier]
    core.open_account(options.api_key, secret, balances, tier, *options.fees_ppm)
    core.describe(described(options, pair.name))
    return core


def _recorded_core(
    options: SimOptions, path: Path, now_ns: int
) -> tuple[VenueCore, Instrument]:  # fmt: skip
    """Make the venue of a recording, and say which pair it serves."""
    speaks, loop = options.dialect, options.at_end == "loop"
    driver: ReplayDriver | RecordedDriver
    if speaks.recording is not None:
        recording, name = read_recorded(path, speaks, options.instrument)
        pair = recorded_instrument(speaks, name, recording.pairs[name])
        driver = RecordedDriver(recording, recording.pairs[name], pair, now_ns, options.speed, loop)
    else:
        capture = read_capture(path)
        if capture.venue != options.venue or capture.instrument not in speaks.pairs:
            wanted = f"a capture of {', '.join(sorted(speaks.pairs))}"
            raise ConfigError("sim.replay", str(path), wanted)
        pair, _ = speaks.pairs[capture.instrument]
        driver = ReplayDriver(capture, pair, now_ns, options.speed, loop, options.restamp)
    core = VenueCore(
        [pair], options.seed, [pair.name],
        options.post_only_accepted != speaks.post_only_accepted, speaks.fee_in_received,
    )  # fmt: skip
    if isinstance(driver, ReplayDriver):
        core.serve_recording(pair.name, capture.depth)
    core.drive_on_demand(pair.name, driver)
    driver.prime(core)
    if options.flow is not None:
        flow = Flow(pair, options.flow, now_ns, speed=options.speed)
        core.drive_on_demand(pair.name, flow)
    return core, pair


def described(options: SimOptions, instrument: str) -> dict[str, object]:
    """Return the options as `/sim/config` tells them, without the secret."""
    maker_ppm, taker_ppm = options.fees_ppm
    return {
        "venue": options.venue,
        "instrument": instrument,
        "seed": options.seed,
        "market": "replay" if options.replay else "synthetic",
        "replay": options.replay.name if options.replay else None,
        "flow": options.flow,
        "speed": str(options.speed),
        "tier": options.tier,
        "fee_tier": options.fee_tier,
        "maker_fee_ppm": maker_ppm,
        "taker_fee_ppm": taker_ppm,
        "chaos": options.faults.seed if options.faults and options.faults.drawn else None,
        "latency_ns": options.latency_ns,
        "jitter_ns": options.jitter_ns,
        "api_key": options.api_key,
    }


class _Socket(WSListener):
    """One connection: its frames go into a pipe, what comes out of the pipe goes to its client."""

    def __init__(self, server: SimServer, private: bool, query: str) -> None:
        self.server = server
        self.private = private
        self.query = query
        self.pipe: Pipe | None = None
        self.transport: WSTransport | None = None
        self._wake: asyncio.TimerHandle | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Open the session; its status message goes out at once."""
        self.transport = transport
        self.pipe = self.server.pipe(self.private, self.query)
        self.server.sockets.append(self)
        self.flush()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Hand a request over, after its latency."""
        if self.pipe is None:
            return
        now_ns = self.server.now_ns()
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.PING:
            # A half-open connection answers nothing at all.
            if not self.pipe.is_deaf(now_ns):
                transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY):
            self.pipe.send(frame.get_payload_as_bytes(), now_ns)
            self.flush()
            self.server.flush()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """End the session; orders and the dead man's switch live on."""
        if self.pipe is not None:
            self.pipe.close()
            self.server.sockets.remove(self)
        self.pipe = None

    def flush(self) -> None:
        """Send what has passed the pipe by now."""
        pipe, transport = self.pipe, self.transport
        if pipe is None or transport is None:
            return
        now_ns = self.server.now_ns()
        is_text = self.server.options.dialect.is_text
        for frame in pipe.receive(now_ns):
            transport.send(WSMsgType.TEXT if is_text(frame) else WSMsgType.BINARY, frame)
        session = pipe.session
        if pipe.fallen:
            transport.disconnect(False)
        elif now_ns - session.last_frame_ns > IDLE_NS and not session.subscribed:
            transport.send_close(WSCloseCode.OK, b"idle")
            transport.disconnect()
        else:
            self._wait(pipe.next_ns(now_ns), now_ns)

    def _wait(self, due_ns: int | None, now_ns: int) -> None:
        """Flush again when the next message arrives at an end of the pipe."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if due_ns is not None:
            span_s = min(IDLE_NS, max(0, due_ns - now_ns)) / NS
            self._wake = asyncio.get_running_loop().call_later(span_s, self.flush)


class SimServer:
    """A simulated venue on real sockets: `async with SimServer(options) as server`.

    Raises:
        ConfigError: on entering, if an option is not right or a port is in use.
    """

    def __init__(self, options: SimOptions, clock: Clock | None = None) -> None:
        self.options = options
        self._clock = clock or RealClock()
        self.core = build_core(options, self._clock.now_ns())
        self.gateway, self.rest = options.dialect.make(
            self.core, options.seed, options.events_first
        )
        script = options.faults or FaultScript(())
        self.strikes = Strikes(script, self.core, self.gateway, self._clock.now_ns())
        self.rest.on_fault = self.strikes.add_told
        self.sockets: list[_Socket] = []
        self._servers: list[asyncio.Server] = []
        self._runner: web.AppRunner | None = None
        self._task: asyncio.Task[None] | None = None
        self._links = 0
        # REST connections that brought an order or a cancel, with how many each.
        self._order_calls: WeakKeyDictionary[object, int] = WeakKeyDictionary()
        self.order_connections = 0
        self.order_calls = 0
        self.ws_url = ""
        self.ws_auth_url = ""
        self.rest_url = ""

    def now_ns(self) -> int:
        """Return the clock's time."""
        return self._clock.now_ns()

    def pipe(self, private: bool, query: str = "") -> Pipe:
        """Make the venue's end of a connection; its latency is seeded by its number."""
        self._links += 1
        options = self.options
        return Pipe(
            self.gateway, private, self.now_ns(), options.latency_ns, options.jitter_ns,
            f"{options.seed}:{self._links}", self.strikes, query,
        )  # fmt: skip

    def flush(self) -> None:
        """Send what waits on every connection."""
        for socket in list(self.sockets):
            socket.flush()

    def started(self) -> dict[str, object]:
        """Return what a client must know: addresses, credentials, fees."""
        passphrase = self.options.dialect.passphrase
        return {
            "ws": self.ws_url,
            "ws_auth": self.ws_auth_url,
            "rest": self.rest_url,
            "api_secret": self.options.api_secret,
            **({"passphrase": passphrase} if passphrase else {}),
        } | described(self.options, next(iter(self.core.instruments)))

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except OSError as error:
            await self.close()
            if error.errno == errno.EADDRINUSE:
                ports = f"ports {self.options.port} to {self.options.port + 2} free"
                raise ConfigError("sim.port", self.options.port, ports) from error
            raise
        self._task = asyncio.create_task(self._run(), name="simulated venue")
        return self

    async def _open(self) -> None:
        options = self.options
        host, port = options.host, options.port
        path = options.dialect.path
        self.ws_url = f"ws://{host}:{await self._listen(port, False)}{path}"
        self.ws_auth_url = f"ws://{host}:{await self._listen(port and port + 1, True)}{path}"
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("*", "/{tail:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port and port + 2)
        await site.start()
        bound: tuple[str, int] = self._runner.addresses[0]
        self.rest_url = f"http://{host}:{bound[1]}{options.dialect.rest_path}"

    async def _listen(self, port: int, private: bool) -> int:
        def socket(request: WSUpgradeRequest) -> _Socket | None:
            path, _, query = request.path.partition(b"?")
            wanted = self.options.dialect.path.encode()
            return _Socket(self, private, query.decode("latin-1")) if path == wanted else None

        # Pings are answered by the socket's own code: a half-open one does not.
        server = await ws_create_server(socket, self.options.host, port, enable_auto_pong=False)
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        options = self.options
        if options.latency_ns or options.jitter_ns:
            self._links += 1
            line = DelayLine(
                f"rest:{options.seed}:{self._links}", options.latency_ns, options.jitter_ns
            )
            now_ns = self.now_ns()
            await asyncio.sleep((line.due_ns(now_ns) - now_ns) / NS)
        now_ns = self.now_ns()
        self._count(request)
        self.strikes.advance(now_ns)
        self.core.advance(now_ns)
        told = rest_answer(
            self.strikes, self.rest, request.method, request.raw_path, request.headers, body, now_ns
        )
        self.flush()
        if told.delay_ns:
            await asyncio.sleep(told.delay_ns / NS)
        if told.lost and request.transport is not None:
            request.transport.abort()
        return web.Response(
            status=told.status or 500, body=told.body, content_type="application/json"
        )

    def _count(self, request: web.Request) -> None:
        """Count what comes to place or cancel orders, and over how many connections."""
        kind = self.gateway.faults.kind_of_call(request.method, request.raw_path)
        if kind not in ORDER_CALLS or request.transport is None:
            return
        self.order_calls += 1
        before = self._order_calls.get(request.transport, 0)
        self.order_connections += before == 0
        self._order_calls[request.transport] = before + 1

    async def _run(self) -> None:
        while True:
            now_ns = self.now_ns()
            self.strikes.advance(now_ns)
            self.core.advance(now_ns)
            self.flush()
            await asyncio.sleep(STEP_S)

    async def wait(self) -> None:
        """Wait for the venue to fail; it runs until `close`."""
        assert self._task is not None, "wait before start"
        await self._task

    async def close(self) -> None:
        """Stop: close every connection and port."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for socket in list(self.sockets):
            if socket.transport is not None:
                socket.transport.send_close(WSCloseCode.GOING_AWAY, b"")
                socket.transport.disconnect()
        for server in self._servers:
            server.close()
            await server.wait_closed()
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
