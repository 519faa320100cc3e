"""Targets: private messages, answers over REST, configuration, commands, keys and ids."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, get_args

from openmm._fast.text import parse_client_id
from openmm.clock import ManualClock
from openmm.config import load
from openmm.engine import commands
from openmm.errors import CommandError, ConfigError, ProtocolError, VenueError
from openmm.events import Event
from openmm.sim.faults import load_script
from openmm.venues.bitget.private import PrivateDecoder as BitgetPrivate
from openmm.venues.gateio.private import PrivateDecoder as GateioPrivate
from openmm.venues.kraken.auth import Key
from openmm.venues.kraken.encode import KrakenEncoder
from openmm.venues.kraken.fields import loads
from openmm.venues.kraken.listing import read_listing
from openmm.venues.kraken.private import PrivateDecoder
from openmm.venues.kraken.rest import Rest
from openmm.venues.kraken.venue import KrakenVenue
from openmm.venues.mexc.private import PrivateDecoder as MexcPrivate
from openmm.venues.mexc.private import reply_frame
from tests.fuzz.corpus import messages
from tests.fuzz.kernels import hex_frames
from tests.fuzz.target import Check, Target, must
from tests.sim.venue import BTC, SECRET, T0, Venue
from tests.venues.bitget.samples import instrument

EVENTS: tuple[type, ...] = get_args(Event)
TOML = b"""[bot]
name = "btc-grid"
mode = "paper"
[[venue]]
name = "kraken"
quote = "BTC/USD"
taker_fee = "0.4%"
[strategy]
kind = "grid"
spread = "0.6%"
order_amount = "0.01"
num_orders = 5
rebalance_threshold = "10%"
[risk]
max_order_size = "0.05"
max_open_notional = "20000"
max_inventory = "0.5"
max_drawdown = "2%"
cooldown = "5m"
[engine]
tape_size = "16MiB"
"""
FAULTS = b"""seed = 7
[[fault]]
kind = "late"
on = "ack.add"
by = "300ms"
every = "20s"
[[fault]]
kind = "spike"
share = "2%"
for = "10s"
at = "1m"
"""


def kraken_private() -> Check:
    """Any frame gives events of the known kinds; the decoder keeps within its bounds."""
    decoder = PrivateDecoder([BTC])
    wanted = {BTC.name: BTC}

    def check(data: bytes) -> None:
        assert all(isinstance(one, EVENTS) for one in decoder.decode(data))
        assert decoder.orders_kept <= 4096
        listed = read_listing(data, wanted)
        assert listed is None or all(isinstance(one, EVENTS) for one in listed)
        decoder.reset_sequences()

    return check


def gateio_private() -> Check:
    """The same of Gate.io."""
    decoder = GateioPrivate([BTC])

    def check(data: bytes) -> None:
        assert all(isinstance(one, EVENTS) for one in decoder.decode(data))
        assert decoder.orders_kept <= 4096

    return check


def bitget_private() -> Check:
    """The same of Bitget."""
    decoder = BitgetPrivate({"BTCUSDT": instrument()})

    def check(data: bytes) -> None:
        assert all(isinstance(one, EVENTS) for one in decoder.decode(data))
        assert decoder.orders_kept <= 4096

    return check


def mexc_private() -> Check:
    """The same of MEXC: protobuf, text, and replies to orders."""
    decoder = MexcPrivate([BTC], lambda req_id: ("add", ("a", "b")[: req_id % 3]))

    def check(data: bytes) -> None:
        assert all(isinstance(one, EVENTS) for one in decoder.decode(data))
        assert all(isinstance(one, EVENTS) for one in decoder.decode(reply_frame(1, 200, data)))
        assert decoder.orders_kept <= 4096

    return check


class Answer:
    """A venue that answers every call with the same bytes."""

    status = 200
    data = b""

    async def __call__(
        self, verb: str, base: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        return self.status, self.data

    async def close(self) -> None:
        """Nothing to give back."""


async def _at_once(_seconds: float) -> None:
    """Wait for nothing: no time passes here."""


def _run(call: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine that never really waits."""
    try:
        while True:
            call.send(None)
    except StopIteration:
        return


def kraken_rest(real: Mapping[str, bytes]) -> Check:
    """Any answer to any call is a value or a `VenueError`."""
    answer, clock = Answer(), ManualClock(T0)
    rest = Rest(key=Key("one", SECRET, clock), clock=clock, round_trip=answer, sleep=_at_once)
    venue = KrakenVenue(rest)
    answer.data = real["AssetPairs"]
    asyncio.run(_loaded(venue))
    calls: list[Callable[[], Awaitable[object]]] = [
        venue.get_server_time, venue.get_system_state, venue.get_instruments,
        lambda: venue.get_order_book("BTC/USD"), lambda: venue.get_ticker("BTC/USD"),
        lambda: venue.get_trades("BTC/USD"), venue.get_balance, lambda: venue.get_fees("BTC/USD"),
        venue.get_open_orders, venue.get_closed_orders, lambda: venue.query_orders(["O1"]),
        lambda: venue.get_fills(T0), rest.websocket_token,
        lambda: venue.cancel_order(client_id="c"),
    ]  # fmt: skip
    turn = 0

    def check(data: bytes) -> None:
        nonlocal turn
        turn += 1
        answer.data = data
        answer.status = (200, 200, 200, 500, 429)[turn % 5]
        try:
            _run(calls[turn % len(calls)]())  # type: ignore[arg-type]
        except VenueError:
            return

    return check


async def _loaded(venue: KrakenVenue) -> None:
    await venue.get_instruments()


def kraken_keys() -> Check:
    """A secret that is none is refused without showing it; any body can be signed."""
    clock = ManualClock(T0)
    good = Key("one", SECRET, clock)
    encoder = KrakenEncoder("BTC/USD", 1, 1, 1, 8, "abc", "defghij")

    def check(data: bytes) -> None:
        text = data.decode("latin-1")
        try:
            made = Key("one", text, clock)
        except ConfigError as error:
            must(len(text) < 6 or text not in str(error), error)
        else:
            assert text not in repr(made)
        signed = good.headers("/0/private/Balance", good.nonce(), data)["API-Sign"]
        assert len(base64.b64decode(signed)) == 64
        assert encoder.seq_of(text) >= 0
        assert encoder.is_earlier(text) in (True, False)
        parsed = parse_client_id(text)
        assert parsed is None or len(parsed) == 3

    return check


def config(folder: Path) -> Check:
    """A file is a configuration, a script of faults, or a `ConfigError` that says where."""
    path = folder / "bot.toml"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        for read in (load, load_script):
            try:
                read(path)
            except ConfigError as error:
                must(bool(error.path), error)

    return check


def command() -> Check:
    """A line is a command, a reply, or one `CommandError`."""

    def check(data: bytes) -> None:
        try:
            request = commands.decode_request(data, 1, 2)
            assert commands.name_of(request.command) in commands.COMMANDS
        except CommandError as error:
            must(len(str(error)) < 1000, error)
        try:
            assert isinstance(commands.decode_reply(data, 1), dict)
        except CommandError:
            return

    return check


def dialect() -> Check:
    """The simulated venue answers anything a client says, or says nothing."""
    sim = Venue()

    def check(data: bytes) -> None:
        for private in (False, True):
            session = sim.gateway.connect(sim.now_ns, private=private)
            for frame in session.on_client_frame(data, sim.now_ns):
                json.loads(frame)
            sim.gateway.drop(session)

    return check


def exact_json() -> Check:
    """Text is JSON with exact numbers or a `ProtocolError`."""

    def check(data: bytes) -> None:
        try:
            loads(data)
        except ProtocolError:
            return

    return check


def targets(shared: Path, folder: Path) -> list[Target]:
    """Return the targets that read text."""
    kraken = messages(shared / "venues" / "samples" / "kraken")
    gate = messages(shared / "venues" / "samples" / "gateio")
    bitget = messages(shared / "venues" / "samples" / "bitget")
    mexc_folder = shared / "venues" / "samples" / "mexc"
    mexc = [*hex_frames(mexc_folder), *messages(mexc_folder)]
    line = [
        commands.encode_request(commands.Request(1, one, commands.Caller("cli", "ann")))
        for one in (commands.Halt("x"), commands.Tighten(max_orders="3"), commands.Status())
    ]
    line.append(commands.encode_reply(1, {"risk_state": "RUNNING"}))
    line.append(commands.encode_error(1, "busy", "no"))
    pairs = {"AssetPairs": _pairs(kraken)}
    ids = [b"abcdef0000000001", b"old", SECRET.encode() if isinstance(SECRET, str) else SECRET]
    return [
        Target("kraken.private", kraken_private(), kraken, 10, 400),
        Target("gateio.private", gateio_private(), gate, 8, 400),
        Target("bitget.private", bitget_private(), bitget, 8, 400),
        Target("mexc.private", mexc_private(), mexc, 8, 400),
        Target("kraken.rest", kraken_rest(pairs), [one for one in kraken if b'"error"' in one], 8),
        Target("kraken.auth", kraken_keys(), ids, 3, 128),
        Target("json", exact_json(), kraken, 4),
        Target("config", config(folder), [TOML, FAULTS], 1),
        Target("command", command(), line, 8, 200),
        Target("sim.dialect", dialect(), kraken, 3, 300),
    ]


def _pairs(samples: list[bytes]) -> bytes:
    """Return the recorded answer that tells the pairs."""
    return next(one for one in samples if b'"altname"' in one and b'"wsname"' in one)
