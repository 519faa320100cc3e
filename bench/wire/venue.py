"""The venue of the wire bench: sends ticks, times the answers, acknowledges the orders.

`python -m bench.wire.venue CLOCK.SO --ticks N ...` prints its ports as one JSON line, serves one
client until it is ready, tells so, waits for a line, and prints the spans it measured. It speaks
as much of Kraken's WebSocket v2 as the clients need: subscriptions with their snapshots on both
connections, and a reply to every request. After the replies to a tick's orders it pings, and sends
the next tick once the pong is there: every client has dealt with all replies by then.

With TLS a tick is encrypted before the watch starts and an answer decrypted after it stops: the
venue's own work is not in the figures.
"""

from __future__ import annotations

import argparse
import base64
import ctypes
import datetime
import hashlib
import json
import re
import select
import socket
import ssl
import struct
import sys
import time
from pathlib import Path
from typing import Any, final

import orjson

from openmm.testing.workload import Workload, WorkloadSpec, make_workload

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
QUIET_NS = 100_000
SETTLE_NS = 100_000
TIMEOUT_NS = 2_000_000_000
ANSWER_S = 20.0
WARM_S = 0.002
WARM_MAX = 2000
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ONLINE = (
    '{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online",'
    '"api_version":"v2","connection_id":1}]}'
)
TIME = "2026-01-01T00:00:00.000000Z"


def make_ticks(count: int) -> Workload:
    """Return the frames: a snapshot, then ticks each of which moves every quote."""
    return make_workload(
        WorkloadSpec(
            messages=count, move_share=1.0, trade_share=0.0, heartbeat_share=0.0,
            mid_move_ticks_min=4,
        )
    )  # fmt: skip


def own_pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends of a TCP connection within this process."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        one = socket.create_connection(door.getsockname())
        other, _ = door.accept()
    for end in (one, other):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one, other


def stamped(frame: bytes) -> bytes:
    """Return a book frame with the time of now in place of the workload's: a late one is no use."""
    head, mark, rest = frame.rpartition(b'"timestamp":"')
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
    return head + mark + now + rest[rest.index(b'"') :]


def framed(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return a frame as a server sends it."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return struct.pack(">BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack(">BBQ", 0x80 | opcode, 127, size) + payload


@final
class Line:
    """One client's connection: WebSocket over TCP, or over TLS in memory."""

    def __init__(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        self.sock = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._raw = bytearray()
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = None
        if tls is not None:
            self._tls = tls.wrap_bio(self._in, self._out, server_side=True)
            while True:
                try:
                    self._tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    self._flush()
                    self._in.write(self._received())
            self._flush()
        self._upgrade()

    def _flush(self) -> None:
        if data := self._out.read():
            self.sock.sendall(data)

    def _received(self) -> bytes:
        self.sock.settimeout(ANSWER_S)
        data = self.sock.recv(1 << 20)
        if not data:
            raise ConnectionError("the client is gone")
        return data

    def _upgrade(self) -> None:
        self.feed(b"")  # what came together with the end of the handshake
        while b"\r\n\r\n" not in self._raw:
            self.feed(self._received())
        head, _, rest = bytes(self._raw).partition(b"\r\n\r\n")
        self._raw = bytearray(rest)
        found = re.search(rb"(?i)sec-websocket-key: *([^\r]+)", head)
        assert found is not None, head
        accept = base64.b64encode(hashlib.sha1(found[1].strip() + GUID).digest())
        self.send_raw(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self.say(ONLINE)

    def sealed(self, data: bytes) -> bytes:
        """Return bytes as they go over TCP."""
        if self._tls is None:
            return data
        self._tls.write(data)
        return self._out.read()

    def send_raw(self, data: bytes) -> None:
        """Send bytes that are frames already."""
        self.sock.sendall(self.sealed(data))

    def say(self, *payloads: bytes | str) -> None:
        """Send messages in one write."""
        self.send_raw(b"".join(framed(p.encode() if isinstance(p, str) else p) for p in payloads))

    def feed(self, data: bytes) -> None:
        """Take bytes that came over TCP."""
        if self._tls is None:
            self._raw += data
            return
        self._in.write(data)
        while True:
            try:
                self._raw += self._tls.read(1 << 20)
            except ssl.SSLWantReadError:
                return

    def frames(self) -> list[tuple[int, bytes]]:
        """Return and forget the whole frames that have come: (opcode, payload)."""
        raw, at, out = self._raw, 0, []
        while len(raw) - at >= 6:
            size, head = raw[at + 1] & 127, 2
            if size == 126:
                (size,), head = struct.unpack_from(">H", raw, at + 2), 4
            elif size == 127:
                (size,), head = struct.unpack_from(">Q", raw, at + 2), 10
            if len(raw) - at < head + 4 + size:
                break
            mask = raw[at + head : at + head + 4]
            body = raw[at + head + 4 : at + head + 4 + size]
            key = int.from_bytes((bytes(mask) * (size // 4 + 1))[:size], "little")
            out.append(
                (raw[at] & 15, (int.from_bytes(body, "little") ^ key).to_bytes(size, "little"))
            )
            at += head + 4 + size
        del raw[:at]
        return out

    def wait_frames(self) -> list[tuple[int, bytes]]:
        """Return the next frames, waiting for them."""
        while not (found := self.frames()):
            self.feed(self._received())
        return found


@final
class Venue:
    """Serve one client."""

    def __init__(self, public: Line, ticks: Workload, clock: ctypes.CDLL, levels: int) -> None:
        self.public = public
        self.private: Line | None = None
        self.ticks = ticks
        self.orders = 2 * levels
        self.ready = False
        self.warming = False
        self._clock = clock
        self.next = 1
        self._placed = 0
        self._sequence = {"executions": 0, "balances": 0}
        self._buffer = ctypes.create_string_buffer(1 << 20)
        self._own = own_pair()

    # ------------------------------------------------------------------ before the ticks

    def open_public(self) -> None:
        """Answer the subscriptions of market data until the client has its book."""
        told = False
        while not told:
            for opcode, payload in self.public.wait_frames():
                if opcode != TEXT:
                    continue
                request = orjson.loads(payload)
                if request.get("method") != "subscribe":
                    continue
                channel = request["params"]["channel"]
                result = {"channel": channel, "symbol": "BTC/USD", "snapshot": True}
                if channel == "book":
                    result["depth"] = 25
                self.public.say(self._reply(request, result))
                if channel == "book":
                    self.public.say(stamped(self.ticks.frames[0]))
                    told = True

    def open_private(self, line: Line) -> None:
        """Answer requests until the client has its orders placed, or says that it is ready."""
        self.private = line
        while not self.ready:
            # Signals have to see a market before an engine quotes. A client by hand says that it is
            # ready: a tick ahead of that may meet one that has no order connection yet.
            if select.select([line.sock], [], [], WARM_S)[0]:
                line.feed(line._received())
            elif self.warming and self.next < WARM_MAX:
                self.public.say(stamped(self.ticks.frames[self.next]))
                self.next += 1
            for opcode, payload in line.frames():
                if opcode == TEXT:
                    self._answer(payload)

    def _reply(self, request: dict[str, Any], result: object) -> bytes:
        return orjson.dumps(
            {
                "method": request["method"], "req_id": request.get("req_id", 0), "result": result,
                "success": True, "time_in": TIME, "time_out": TIME,
            }
        )  # fmt: skip

    def _answer(self, payload: bytes) -> None:
        """Answer one request of the private connection."""
        line, request = self.private, orjson.loads(payload)
        assert line is not None
        method, params = request["method"], request.get("params", {})
        if method == "ready":
            self.ready = True
        elif method == "subscribe":
            self.warming = True
            channel = params["channel"]
            if channel == "executions":
                result: dict[str, Any] = {"channel": channel, "maxratecount": 1_000_000_000}
                rows: list[dict[str, Any]] = []
            else:
                result = {"channel": channel, "snapshot": True}
                rows = [self._wallet("BTC", 1.0), self._wallet("USD", 60000.0)]
            self._sequence[channel] += 1
            line.say(
                self._reply(request, result),
                orjson.dumps(
                    {
                        "channel": channel, "type": "snapshot", "data": rows,
                        "sequence": self._sequence[channel],
                    }
                ),
            )  # fmt: skip
        elif method == "batch_add":
            line.say(self._reply(request, [self._placed_order(one) for one in params["orders"]]))
            self.ready = self._placed >= self.orders
        else:
            line.say(self._order_reply(request))
            self.ready = method == "add_order"

    @staticmethod
    def _wallet(asset: str, balance: float) -> dict[str, Any]:
        wallets = [{"type": "spot", "id": "main", "balance": balance}]
        return {"asset": asset, "asset_class": "currency", "balance": balance, "wallets": wallets}

    def _placed_order(self, order: dict[str, Any]) -> dict[str, str]:
        self._placed += 1
        return {"order_id": f"O{self._placed:05d}-AAAAA-AAAAAA", "cl_ord_id": order["cl_ord_id"]}

    def _order_reply(self, request: dict[str, Any]) -> bytes:
        params = request.get("params", {})
        if request["method"] == "amend_order":
            return self._reply(
                request, {"amend_id": "TAAAAA-AAAAA-AAAAAA", "cl_ord_id": params["cl_ord_id"]}
            )
        if request["method"] == "add_order":
            self._placed += 1
            result = {"order_id": f"O{self._placed:05d}-AAAAA-AAAAAA"}
            if "cl_ord_id" in params:
                result["cl_ord_id"] = params["cl_ord_id"]
            return self._reply(request, result)
        return self._reply(request, {"count": 1})

    # ------------------------------------------------------------------ the ticks

    def run(self, warm: int, count: int, gap_ns: int) -> dict[str, Any]:
        """Send ticks; returns the spans in nanoseconds."""
        assert self.private is not None
        first, last, orders = [], [], []
        stamps = (ctypes.c_int64 * 3)()
        self._finish()  # what was placed is acknowledged, and the client knows
        for number in range(1, warm + count + 1):
            data = self.public.sealed(framed(stamped(self.ticks.frames[self.next])))
            self.next += 1
            self._clock.settle(gap_ns, SETTLE_NS, *(one.fileno() for one in self._own))
            got = self._clock.tick(
                self.public.sock.fileno(), data, len(data), self.private.sock.fileno(),
                self._buffer, len(self._buffer), QUIET_NS, TIMEOUT_NS, stamps,
            )  # fmt: skip
            if got < 0:
                why = "in time" if got == -2 else "before the connection broke"
                raise ConnectionError(f"no order followed tick {number} of {warm + count} {why}")
            self.private.feed(self._buffer.raw[:got])
            frames = self._finish()
            if number > warm:
                first.append(stamps[1] - stamps[0])
                last.append(stamps[2] - stamps[0])
                orders.append(frames)
        return {"first_ns": first, "last_ns": last, "orders": orders}

    def _finish(self) -> int:
        """Reply to all orders of a tick, ping, and wait for the pong; returns how many orders."""
        line, count = self.private, 0
        assert line is not None
        mark, pinged = b"", False
        while True:
            replies, ponged = [], False
            for opcode, payload in line.frames():
                if opcode == PONG and payload == mark:
                    ponged = True
                if opcode == CLOSE:
                    raise ConnectionError("the client closed its order connection")
                if opcode == PING:
                    line.send_raw(framed(payload, PONG))
                if opcode == TEXT:
                    count += 1
                    replies.append(self._order_reply(orjson.loads(payload)))
            if ponged and not replies:
                return count
            if replies or not pinged:
                # A pong to the newest ping alone proves that the last reply was read.
                mark, pinged = struct.pack("<d", time.monotonic()), True
                line.send_raw(b"".join(framed(one) for one in replies) + framed(mark, PING))
            line.feed(line._received())


def load_clock(path: str) -> ctypes.CDLL:
    """Load the stopwatch."""
    clock = ctypes.CDLL(path)
    clock.tick.restype = ctypes.c_int64
    clock.tick.argtypes = (
        ctypes.c_int, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int, ctypes.c_char_p,
        ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.POINTER(ctypes.c_int64),
    )  # fmt: skip
    clock.settle.argtypes = (ctypes.c_int64, ctypes.c_int64, ctypes.c_int, ctypes.c_int)
    clock.settle.restype = None
    return clock


def main() -> int:
    """Serve one client."""
    parser = argparse.ArgumentParser(prog="python -m bench.wire.venue", description=__doc__)
    parser.add_argument("clock", help="the compiled stopwatch")
    parser.add_argument("--ticks", type=int, default=2000)
    parser.add_argument("--warm", type=int, default=300)
    parser.add_argument("--gap-us", type=int, default=0)
    parser.add_argument("--levels", type=int, default=10)
    parser.add_argument("--tls", type=Path, help="a PEM file of certificate and key")
    args = parser.parse_args()
    clock, tls = load_clock(args.clock), None
    if args.tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(args.tls)
    ticks = make_ticks(WARM_MAX + args.warm + args.ticks + 1)
    doors = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    print(json.dumps([door.getsockname()[1] for door in doors]), flush=True)
    for door in doors:
        door.settimeout(60)
    venue = Venue(Line(doors[0].accept()[0], tls), ticks, clock, args.levels)
    venue.open_public()
    venue.open_private(Line(doors[1].accept()[0], tls))
    print(json.dumps("ready"), flush=True)
    sys.stdin.readline()  # the bench puts both sides where nothing disturbs them
    print(json.dumps(venue.run(args.warm, args.ticks, args.gap_us * 1000)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
