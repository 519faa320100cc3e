"""Orders as HTTP requests: framing, the freest connection, room, and failures."""

from __future__ import annotations

import select
import socket

import pytest

from openmm._fast.planner import ActionKind
from openmm._fast.rest import WAITING_MAX, RestTransport
from openmm._fast.text import base32
from openmm._fast.units import Side
from openmm.venues.mexc.encode import MexcEncoder


def place(transport: RestTransport, count: int) -> int:
    encoder = MexcEncoder("BTCUSDT", 1, 2, 1, 6, "abc", base32(1))
    actions: list[tuple[int, int, int, int, int, bool]] = [
        (ActionKind.ACTION_CANCEL, seq, Side.BUY, 0, 0, False) for seq in range(1, count + 1)
    ]
    return encoder.send(transport, actions, 1_000_000)


class Writer:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.held = 0

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def get_write_buffer_size(self) -> int:
        return self.held


def test_requests_go_to_the_freest_connection_as_framed() -> None:
    transport = RestTransport("api.mexc.com", {"X-MEXC-APIKEY": "mx0"}, 2)
    writers = [Writer(), Writer()]
    for line, writer in zip(transport.lines, writers, strict=True):
        line.attach(writer)
    transport.look()
    transport.lines[0].ask(b"GET /ping")
    assert place(transport, 3) > 0
    assert [len(writer.sent) for writer in writers] == [2, 2]
    assert [line.outstanding for line in transport.lines] == [2, 2]
    assert transport.write_count == 1
    for request in (*writers[0].sent[1:], *writers[1].sent):
        assert request.startswith(b"DELETE /api/v3/order?symbol=BTCUSDT&origClientOrderId=mabc")
        assert request.endswith(
            b" HTTP/1.1\r\nHost: api.mexc.com\r\nX-MEXC-APIKEY: mx0\r\nContent-Length: 0\r\n\r\n"
        )
    assert [transport.lines[0].answered() for _ in range(3)] == [0, 2, -1]
    assert transport.lines[1].detach() == [1, 3]


def test_a_plain_connection_is_written_to_without_its_writer_and_never_out_of_order() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        transport, writer = RestTransport("h", {}, 1), Writer()
        [line] = transport.lines
        line.attach(writer, ours.fileno())
        assert place(transport, 1) > 0
        assert writer.sent == []
        first = theirs.recv(4096)
        assert first.endswith(b"\r\n\r\n")
        # The socket takes no more: the rest waits in the writer, and so does all behind it.
        line.answered()
        while not writer.sent:
            assert place(transport, 1) > 0
            line.answered()
        taken, writer.held = len(writer.sent), 1
        assert place(transport, 1) > 0
        line.answered()
        assert len(writer.sent) == taken + 1
        assert writer.sent[-1] == first
        writer.held = 0
        theirs.setblocking(False)
        while select.select([theirs], [], [], 0)[0]:
            theirs.recv(1 << 20)
        assert place(transport, 1) > 0
        assert len(writer.sent) == taken + 1
        assert theirs.recv(4096) == first


def test_a_plain_connection_that_is_gone_counts_as_not_sent() -> None:
    ours, theirs = socket.socketpair()
    transport = RestTransport("h", {}, 1)
    transport.lines[0].attach(Writer(), ours.fileno())
    theirs.close()
    with ours:
        assert place(transport, 1) == -1
    assert isinstance(transport.last_error, OSError)


def test_without_room_nothing_leaves() -> None:
    transport = RestTransport("h", {}, 1)
    writer = Writer()
    [line] = transport.lines
    assert place(transport, 1) == -1
    line.attach(writer)
    transport.look()
    assert transport.up
    assert place(transport, WAITING_MAX + 1) == -1
    assert writer.sent == []
    assert place(transport, WAITING_MAX) > 0
    assert place(transport, 1) == -1
    assert [line.answered() for _ in range(WAITING_MAX)] == list(range(1, WAITING_MAX + 1))
    assert line.answered() == -1
    assert line.detach() == []
    with pytest.raises(RuntimeError):
        line.ask(b"x")


def test_a_connection_that_fails_under_an_order_counts_as_not_sent() -> None:
    class Broken:
        def write(self, data: bytes) -> None:
            raise OSError("gone")

        def get_write_buffer_size(self) -> int:
            return 0

    transport = RestTransport("h", {}, 1)
    transport.lines[0].attach(Broken())
    assert place(transport, 1) == -1
    assert isinstance(transport.last_error, OSError)


@pytest.mark.parametrize(
    ("headers", "connections"), [({}, 0), ({}, 33), ({"A": "b\r\nC: d"}, 1), ({"A": "x" * 5000}, 1)]
)
def test_a_transport_that_cannot_be_is_refused(headers: dict[str, str], connections: int) -> None:
    with pytest.raises(ValueError, match="must"):
        RestTransport("h", headers, connections)
