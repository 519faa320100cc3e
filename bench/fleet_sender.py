"""The venues of `bench.fleet`: a process that sends prepared frames, each at its recorded time.

It serves WebSockets on loopback; the path names the number of an instrument. When a connection's
frames are at their end the connection ends, and the reader's next one starts them anew. What was
sent, and when, stands in a page shared with the reader.

Started as `python -m bench.fleet_sender PLAN PAGE`; tells its port in one JSON line, and what it
measured in another one at its end.
"""

from __future__ import annotations

import base64
import hashlib
import json
import mmap
import re
import select
import socket
import struct
import sys
import time
from array import array
from bisect import bisect_right
from pathlib import Path
from typing import Any, Final

import orjson
from msgspec import Struct

from bench.fleet_frames import SOURCES, Timeline, timelines

GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY: Final = re.compile(rb"(?i)sec-websocket-key: *([^\r]+)")
NS: Final = 1_000_000_000
# The page, in 64-bit words: what the reader asks, whether that is done, a block an instrument.
ASKED, DRAINED = 0, 1
RUN, DRAIN, EXIT = 0, 1, 2
HEAD_WORDS: Final = 8
RING: Final = 128
SENT, WRITES, TIMES = 0, 1, 2
BLOCK_WORDS: Final = TIMES + 2 * RING
SEND_BUFFER_BYTES: Final = 256 << 10
LATE_BUCKETS: Final = 40  # by the power of two of nanoseconds
IDLE_NS: Final = 200_000
PASS_NS: Final = 1_000_000  # between two looks at what is due: the reader needs the processor too
DOOR_EVERY_NS: Final = 2_000_000


def page_bytes(count: int) -> int:
    """Return the size of the page for so many instruments."""
    return 8 * (HEAD_WORDS + BLOCK_WORDS * count)


class Plan(Struct):
    """What to send: `per_source` instruments of every source at every venue."""

    data: str
    span_s: float
    speed: float
    per_source: int
    sources: int

    def places(self) -> list[tuple[int, str]]:
        """Return source number and venue of every instrument."""
        from bench.fleet_frames import VENUES

        return [
            (source, venue)
            for _ in range(self.per_source)
            for source in range(self.sources)
            for venue in VENUES
        ]


class Strip:
    """One timeline as bytes of a socket: where each frame ends, and when it is due."""

    def __init__(self, line: Timeline, speed: float) -> None:
        self.verified_at = line.verified_at
        self.due_ns = array("q", (int(at / speed) for at in line.due_ns))
        self.ends = array("q")
        parts, size = [], 0
        for frame, is_text in zip(line.frames, line.texts, strict=True):
            parts.append(framed(frame, is_text))
            size += len(parts[-1])
            self.ends.append(size)
        self.data = memoryview(b"".join(parts))
        self.per_s = len(parts) * NS / self.due_ns[-1]


def framed(payload: bytes, is_text: bool) -> bytes:
    """Return a message as a server frames it."""
    head, size = 0x81 if is_text else 0x82, len(payload)
    if size < 126:
        return bytes((head, size)) + payload
    if size < 1 << 16:
        return struct.pack(">BBH", head, 126, size) + payload
    return struct.pack(">BBQ", head, 127, size) + payload


class Wire:
    """One instrument's connection: present or awaited, and what was sent over all of them."""

    __slots__ = ("_block", "_page", "_pos", "_stop", "at", "next_ns", "sock", "start_ns", "strip")

    def __init__(self, strip: Strip, page: memoryview, block: int, first_share: float) -> None:
        self.strip = strip
        # The first connection ends early, each at its own time: so do those after it.
        count = len(strip.due_ns)
        self._stop = min(count, max(strip.verified_at + 2, int(first_share * count)))
        self.sock: socket.socket | None = None
        self.next_ns = 1 << 62
        self.start_ns = self.at = self._pos = 0
        self._page, self._block = page, block

    def open(self, sock: socket.socket, start_ns: int) -> None:
        """Begin anew on a connection."""
        self.sock, self.start_ns = sock, start_ns
        self.at = self._pos = 0
        self.next_ns = start_ns + self.strip.due_ns[0]

    def is_resting(self) -> bool:
        """Send no more once the book is whole, with a whole frame; returns whether it is so."""
        if self.sock is None or self.at <= self.strip.verified_at:
            return False
        if self._pos != self.strip.ends[self.at - 1]:
            return False
        self.next_ns = 1 << 62
        return True

    def push(self, now_ns: int) -> int:
        """Send what is due; returns how many frames that were, or -1 when the socket is full."""
        strip, sock = self.strip, self.sock
        assert sock is not None
        due = bisect_right(strip.due_ns, now_ns - self.start_ns, self.at, self._stop)
        end = strip.ends[due - 1]
        try:
            self._pos += sock.send(strip.data[self._pos : end])
        except BlockingIOError:
            self.next_ns = now_ns + IDLE_NS
            return -1
        whole = due if self._pos == end else bisect_right(strip.ends, self._pos, self.at)
        count, self.at = whole - self.at, whole
        self._note(count, now_ns)
        if whole < due:
            self.next_ns = now_ns + IDLE_NS
        elif whole < self._stop:
            self.next_ns = self.start_ns + strip.due_ns[whole]
        else:
            sock.close()
            self.sock, self.next_ns = None, 1 << 62
            self._stop = len(strip.due_ns)
        return count

    def _note(self, count: int, now_ns: int) -> None:
        """Tell the reader: how many frames by when."""
        page, block = self._page, self._block
        sent, writes = page[block + SENT] + count, page[block + WRITES]
        slot = block + TIMES + 2 * (writes % RING)
        page[slot], page[slot + 1] = sent, now_ns
        page[block + WRITES] = writes + 1
        page[block + SENT] = sent


class Sender:
    """Serve every instrument until the reader says so."""

    def __init__(self, plan: Plan, page: memoryview) -> None:
        data = Path(plan.data)
        strips: list[dict[str, Strip]] = []
        for source in SOURCES[: plan.sources]:
            told = timelines(data, source, plan.span_s)
            strips.append({venue: Strip(line, plan.speed) for venue, line in told.items()})
        places = plan.places()
        self.wires = [
            Wire(
                strips[source][venue],
                page,
                HEAD_WORDS + BLOCK_WORDS * index,
                (index + 1) / len(places),
            )
            for index, (source, venue) in enumerate(places)
        ]
        self._page = page
        self._door = socket.create_server(("127.0.0.1", 0), backlog=len(places))
        self._door.setblocking(False)
        self.port = self._door.getsockname()[1]
        self._greeted: dict[socket.socket, bytearray] = {}
        self._door_ns = 0
        self.late = [0] * LATE_BUCKETS
        self.frames = self.sends = self.full = 0

    def run(self) -> None:
        """Send until told to stop, and then until every book that was begun is whole."""
        while self._page[ASKED] != EXIT:
            now_ns = time.monotonic_ns()
            if now_ns > self._door_ns:
                self._door_ns = now_ns + DOOR_EVERY_NS
                self._greet(now_ns)
            draining = self._page[ASKED] == DRAIN
            if draining:
                self._page[DRAINED] = all(wire.is_resting() for wire in self.wires)
            first_ns = now_ns + 5 * IDLE_NS
            for wire in self.wires:
                if wire.next_ns <= now_ns:
                    self._push(wire)
                if wire.next_ns < first_ns:
                    first_ns = wire.next_ns
            wait_ns = max(first_ns, now_ns + PASS_NS) - time.monotonic_ns()
            if wait_ns > 0:
                time.sleep(wait_ns / NS)

    def _push(self, wire: Wire) -> None:
        now_ns = time.monotonic_ns()
        late_ns = now_ns - wire.next_ns
        count = wire.push(now_ns)
        if count < 0:
            self.full += 1
            return
        self.frames += count
        self.sends += 1
        self.late[min(LATE_BUCKETS - 1, late_ns.bit_length())] += 1

    def _greet(self, now_ns: int) -> None:
        """Take connections, answer their handshakes, start what has subscribed."""
        try:
            while True:
                sock, _ = self._door.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
                self._greeted[sock] = bytearray()
        except BlockingIOError:
            pass
        if not self._greeted:
            return
        for sock in select.select(list(self._greeted), [], [], 0)[0]:
            raw = self._greeted[sock]
            try:
                data = sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                del self._greeted[sock]
                sock.close()
                continue
            answered = b"\r\n\r\n" in raw
            raw += data
            head, mark, rest = bytes(raw).partition(b"\r\n\r\n")
            if mark and not answered:
                sock.sendall(accepted(head))
            if mark and rest:
                # It has subscribed. What to is known: the path says so.
                del self._greeted[sock]
                index = int(head.split(b" ", 2)[1].strip(b"/"))
                self.wires[index].open(sock, now_ns)

    def measured(self) -> dict[str, Any]:
        """Return what was sent, and how late it left."""
        return {
            "offered_per_s": round(sum(one.strip.per_s for one in self.wires)),
            "frames": self.frames, "sends": self.sends, "socket_full": self.full,
            "late_p50_us": self._late_us(0.5), "late_p99_us": self._late_us(0.99),
            "late_max_us": self._late_us(1.0),
        }  # fmt: skip

    def _late_us(self, share: float) -> float:
        """Return a bound in microseconds that so large a share of the sends was late by at most."""
        left, power = share * sum(self.late), 0
        while power < LATE_BUCKETS - 1 and left > self.late[power]:
            left -= self.late[power]
            power += 1
        return (1 << power) / 1000


def accepted(head: bytes) -> bytes:
    """Answer a WebSocket handshake."""
    found = KEY.search(head)
    assert found is not None, head
    digest = base64.b64encode(hashlib.sha1(found[1].strip() + GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + digest + b"\r\n\r\n"
    )


def main() -> int:
    """Run the process; returns its exit code."""
    plan = Plan(**orjson.loads(sys.argv[1]))
    with Path(sys.argv[2]).open("r+b") as file:
        page = memoryview(mmap.mmap(file.fileno(), 0)).cast("q")
    sender = Sender(plan, page)
    print(json.dumps({"port": sender.port}), flush=True)
    sender.run()
    print(json.dumps(sender.measured()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
