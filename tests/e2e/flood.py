"""A venue's public stream that can send thousands of book messages without a breath in between."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import struct
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from openmm.testing.workload import WorkloadSpec, make_workload
from tests.oracles.kraken import Level, OracleBook, digits_crc

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ONLINE = (
    b'{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online",'
    b'"api_version":"v2","connection_id":1}]}'
)
HEARTBEAT = b'{"channel":"heartbeat"}'
STAMP = re.compile(rb'(?<="timestamp":")[^"]{27}(?=")')
REST_S = 0.02
DEPTH = 25


def text_of(level: Level) -> str:
    price, qty = level
    return f'{{"price":{price // 10}.{price % 10},"qty":{qty // 10**8}.{qty % 10**8:08d}}}'


def written(kind: str, bids: list[Level], asks: list[Level], crc: int) -> bytes:
    """Write a book message."""
    rows = [",".join(map(text_of, side)) for side in (bids, asks)]
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD",'
        f'"bids":[{rows[0]}],"asks":[{rows[1]}],"checksum":{crc},'
        '"timestamp":"2025-06-15T15:06:40.000000Z"}]}'
    ).encode()


def snapshot(book: OracleBook) -> bytes:
    """Write the message that says a whole book once more."""
    bids, asks = book.levels("bids"), book.levels("asks")
    return written("snapshot", bids, asks, digits_crc(bids, asks))


def moved(book: OracleBook, ticks: int) -> bytes:
    """Write the message that moves a whole book up, every level at a new price."""
    changes: list[list[Level]] = []
    after: list[list[Level]] = []
    for side in ("bids", "asks"):
        old = book.levels(side)
        new = [(price + ticks, qty) for price, qty in old]
        prices = {price for price, _ in new}
        after.append(new)
        changes.append([(price, 0) for price, _ in old if price not in prices] + new)
    return written("update", changes[0], changes[1], digits_crc(after[0], after[1]))


class Market:
    """Checksummed messages, the first a snapshot, and the book that the last one leaves.

    The last message moves the whole book by a per mille: no earlier quote fits it.
    """

    def __init__(self, messages: int, *, jump_ticks: int = 600) -> None:
        made = make_workload(
            WorkloadSpec(
                messages=messages, move_share=1.0, trade_share=0.0, heartbeat_share=0.0,
                mid_move_ticks_min=4,
            )
        )  # fmt: skip
        book = OracleBook(1, 8, DEPTH, verify=False)
        for frame in made.frames:
            book.apply(frame)
        made.frames.append(moved(book, jump_ticks))
        book.apply(made.frames[-1])
        assert book.verified
        self.frames = made.frames
        self.book = book
        self.last = snapshot(book)


def framed(payload: bytes) -> bytes:
    """Return a text frame as a server sends it."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    return struct.pack(">BBH", 0x81, 126, size) + payload


def stamped(data: bytes) -> bytes:
    """Return messages with the present moment in all their stamps."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
    return STAMP.sub(now, data)


class Flood:
    """Serve one client with a market's snapshot, and then with what `pour` is given.

    A thread of its own sends: while the reader works, the next bytes come as fast as it takes them.
    """

    def __init__(self, market: Market) -> None:
        self.market = market
        self._server = socket.create_server(("127.0.0.1", 0))
        self._poured: list[bytes] = []
        self._resting = market.frames[0]
        self._due = threading.Event()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.ended: OSError | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"ws://127.0.0.1:{self._server.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._due.set()
        self._server.close()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def pour(self, frames: Sequence[bytes]) -> None:
        """Send messages back to back, in one go, and then none until `rest`."""
        self._resting = b""
        self._poured.append(b"".join(map(framed, frames)))
        self._due.set()

    def rest(self, frame: bytes) -> None:
        """Say one message again and again, at an ordinary market's pace."""
        self._resting = frame

    def _serve(self) -> None:
        try:
            sock, _ = self._server.accept()
            with sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._greet(sock)
                while not self._end.is_set():
                    if not self._due.wait(REST_S):
                        sock.sendall(stamped(framed(self._resting or HEARTBEAT)))
                        continue
                    self._due.clear()
                    while self._poured:
                        sock.sendall(stamped(self._poured.pop(0)))
        except OSError as error:
            self.ended = (
                error  # the client left: who needs it for longer will not get what it poured
            )

    def _greet(self, sock: socket.socket) -> None:
        raw = b""
        while b"\r\n\r\n" not in raw:
            raw += sock.recv(65536)
        found = re.search(rb"(?i)sec-websocket-key: *([^\r]+)", raw)
        assert found is not None, raw
        accept = base64.b64encode(hashlib.sha1(found[1].strip() + GUID).digest())
        sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + framed(ONLINE)
        )
        # Whatever it subscribes to, there is one book; requests are masked, their text is not read.
        sock.recv(65536)
        sock.sendall(stamped(framed(self.market.frames[0])))
