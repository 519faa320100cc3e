"""What `bench_mexc` counts under callgrind: decoding, and an order's way to its socket.

`python bench/count_mexc.py FILE SHORT LONG SHORT_ORDERS LONG_ORDERS`: FILE holds pickled frames by
mix: making them is not for an emulated processor. Every kind of work is done twice, SHORT times and
LONG times; what one costs is the difference. The order is written and sent to a socket of this
process: by WebSocket as Kraken takes it, and over REST as MEXC does, unsigned and signed.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from bench.mexc_frames import SYMBOL, WARM, Frames
from openmm._fast.book import Book, BookState
from openmm._fast.feed import SocketTransport
from openmm._fast.planner import ActionKind
from openmm._fast.ports import Encoder, Transport
from openmm._fast.rest import RestTransport
from openmm._fast.text import base32
from openmm._fast.units import Side
from openmm.testing.callgrind import section
from openmm.venues.kraken.encode import KrakenEncoder
from openmm.venues.mexc.auth import Key
from openmm.venues.mexc.encode import MexcEncoder
from openmm.venues.mexc.wire import MexcDecoder

LINES = 8
NOW_NS = 1_750_000_000_000_000_000
ORDER: list[tuple[int, int, int, int, int, bool]] = [
    (ActionKind.ACTION_PLACE, 5, Side.BUY, 6_000_000, 10_000, True)
]


def decode(made: dict[str, Frames], short: int, long: int) -> None:
    """Decode the frames of each mix."""
    for mix, frames in made.items():
        decoder, book = MexcDecoder(), Book()
        decoder.bind(SYMBOL, 0, book, 1, 1, 1, 8, 500)
        decoder.decode(frames.copy)
        decoder.decode_many(frames.frames[:WARM])
        for part, rows in (
            ("short", frames.frames[WARM : WARM + short]),
            ("long", frames.frames[WARM + short : WARM + short + long]),
        ):
            with section(f"decode_mexc_{mix}/{part}"):
                decoder.decode_many(rows)
        assert book.state is BookState.BOOK_VERIFIED


class Drain:
    """The other end of a connection: what arrives is dropped."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)

    def empty(self) -> int:
        """Return how many bytes had arrived."""
        count = 0
        try:
            while data := self.theirs.recv(1 << 16):
                count += len(data)
        except BlockingIOError:
            pass
        return count


def send(
    name: str, encoder: Encoder, transport: Transport, drain: Drain, answered: Callable[[], object],
    short: int, long: int,
) -> None:  # fmt: skip
    """Send one order so many times."""
    for part, count in (("warm", short), ("short", short), ("long", long)):
        with section(f"{name}/{part}"):
            assert encoder.send(transport, ORDER, NOW_NS, None, count) > 0
        assert drain.empty() > 100 * count
        answered()


async def orders(short: int, long: int) -> None:
    """Send over each kind of connection."""
    steps = (SYMBOL, 1, 2, 1, 6, "abc", base32(1_750_000_000))
    ws, drain = SocketTransport(), Drain()
    ws.attach_socket(drain.ours)
    kraken = KrakenEncoder("BTC/USD", 1, 1, 1, 8, "abc", base32(1_750_000_000))
    send("order_ws", kraken, ws, drain, lambda: 0, short, long)
    for name, sign in (("order_rest", None), ("order_rest_signed", Key("mx0", "secret").sign)):
        drain = Drain()
        headers = {"X-MEXC-APIKEY": "mx0", "Content-Type": "application/json"}
        # One connection in all of them: as many orders as are counted go unanswered meanwhile.
        rest = RestTransport("api.mexc.com", headers, LINES)
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, sock=drain.ours
        )

        fd = drain.ours.fileno()

        def answered(
            rest: RestTransport = rest, writer: asyncio.Transport = transport, fd: int = fd
        ) -> None:
            for line in rest.lines:
                line.attach(writer, fd)

        answered()
        rest.look()
        send(name, MexcEncoder(*steps, sign=sign), rest, drain, answered, short, long)
        transport.abort()


if __name__ == "__main__":
    counts = [int(one) for one in sys.argv[2:]]
    decode(pickle.loads(Path(sys.argv[1]).read_bytes()), *counts[:2])
    asyncio.run(orders(*counts[2:]))
