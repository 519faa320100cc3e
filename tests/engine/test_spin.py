"""The engine's event loop: hot sockets are read inside of `select`, all else has its turn."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from openmm.engine import spin
from openmm.engine.spin import SpinLoop, make_loop, try_out

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture(params=[True, False], ids=["busy", "sleeping"])
def loop(request: pytest.FixtureRequest) -> Iterator[SpinLoop]:
    made = SpinLoop(busy=request.param)
    yield made
    made.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    one, other = socket.socketpair()
    one.setblocking(False)
    yield one, other
    one.close()
    other.close()


def test_make_loop_gives_a_loop_that_was_tried_out() -> None:
    for busy in (False, True):
        made = make_loop(busy)
        assert isinstance(made, SpinLoop)
        assert made.selector.busy is busy
        made.close()


def test_hot_socket_is_read_before_any_callback_is_due(loop: SpinLoop, ends: Ends) -> None:
    one, other = ends
    heard: list[bytes] = []

    def read() -> None:
        heard.append(one.recv(100))
        assert not loop._ready  # type: ignore[attr-defined]
        loop.stop()

    loop.add_reader(one, read)
    assert loop.heat(one.fileno())
    other.send(b"tick")
    loop.run_forever()
    assert heard == [b"tick"]
    assert loop.selector.spinner.read_count == 1


def test_many_reads_come_in_order_and_none_is_lost(loop: SpinLoop, ends: Ends) -> None:
    one, other = ends
    got = bytearray()
    sent = bytes(range(256)) * 40

    def read() -> None:
        got.extend(one.recv(1000))
        if len(got) == len(sent):
            loop.stop()

    def write() -> None:
        for at in range(0, len(sent), 64):
            other.sendall(sent[at : at + 64])

    loop.add_reader(one, read)
    loop.heat(one.fileno())
    writer = threading.Thread(target=write)
    writer.start()
    loop.run_forever()
    writer.join()
    assert bytes(got) == sent


def test_timer_due_while_a_socket_is_hot_comes_in_time(loop: SpinLoop, ends: Ends) -> None:
    one, _ = ends
    loop.add_reader(one, lambda: None)
    loop.heat(one.fileno())

    order: list[int] = []
    loop.call_later(0.03, loop.stop)
    loop.call_later(0.02, order.append, 2)
    loop.call_later(0.01, order.append, 1)
    loop.run_forever()
    assert order == [1, 2]


def test_reads_that_take_long_do_not_keep_a_timer_waiting(ends: Ends) -> None:
    one, other = ends
    loop = SpinLoop(busy=True, budget_ns=1_000_000)
    reads: list[float] = []

    def read() -> None:
        one.recv(1)
        reads.append(loop.time())
        while loop.time() < reads[-1] + 0.002:  # a burst: each read brings much to do
            pass

    loop.add_reader(one, read)
    loop.heat(one.fileno())
    other.send(bytes(64))
    due = loop.time() + 0.005
    loop.call_at(due, loop.stop)
    loop.run_forever()
    # One read is under way when it becomes due; on a busy machine one more for each loop's turn.
    assert len([at for at in reads if at > due]) <= 2
    loop.close()


def test_callback_due_ends_the_spin_at_once(ends: Ends) -> None:
    one, other = ends
    loop = SpinLoop(busy=True, budget_ns=3_600_000_000_000)
    done: list[str] = []

    def read() -> None:
        one.recv(10)
        loop.call_soon(done.append, "called")
        loop.call_soon(loop.stop)

    loop.add_reader(one, read)
    loop.heat(one.fileno())
    other.send(b"x")
    loop.run_forever()
    assert done == ["called"]
    loop.close()


def test_other_threads_and_cold_sockets_end_the_spin(ends: Ends) -> None:
    one, _ = ends
    cold, far = socket.socketpair()
    cold.setblocking(False)
    loop = SpinLoop(busy=True, budget_ns=3_600_000_000_000)
    loop.add_reader(one, lambda: None)
    loop.heat(one.fileno())
    heard: list[bytes] = []

    def read() -> None:
        heard.append(cold.recv(10))
        loop.stop()

    loop.add_reader(cold, read)
    far.send(b"cold")
    loop.run_forever()
    assert heard == [b"cold"]
    loop.remove_reader(cold)
    far.close()
    cold.close()
    thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(loop.stop))
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()
    loop.close()


def test_signal_is_handled_while_spinning(ends: Ends) -> None:
    one, _ = ends
    loop = SpinLoop(busy=True, budget_ns=3_600_000_000_000)
    loop.add_reader(one, lambda: None)
    loop.heat(one.fileno())
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    sender = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGUSR1))
    loop.call_soon(sender.start)
    loop.run_forever()
    sender.join()
    loop.remove_signal_handler(signal.SIGUSR1)
    loop.close()


def test_socket_closed_by_the_other_side_is_told_to_its_callback(
    loop: SpinLoop, ends: Ends
) -> None:
    one, other = ends
    heard: list[bytes] = []

    def read() -> None:
        heard.append(one.recv(10))
        loop.remove_reader(one)
        loop.stop()

    loop.add_reader(one, read)
    loop.heat(one.fileno())
    other.close()
    loop.run_forever()
    assert heard == [b""]
    assert loop.selector.spinner.hot_count == 0


def test_descriptor_reused_after_a_close_is_not_hot(loop: SpinLoop, ends: Ends) -> None:
    one, _ = ends
    loop.add_reader(one, lambda: None)
    loop.heat(one.fileno())
    loop.remove_reader(one)
    loop.add_reader(one, lambda: None)
    assert loop.selector.spinner.hot_count == 0
    loop.remove_reader(one)


def test_socket_waiting_to_write_as_well_stays_hot_and_is_told_of_room(
    loop: SpinLoop, ends: Ends
) -> None:
    one, other = ends
    heard: list[bytes] = []
    loop.add_reader(one, lambda: heard.append(one.recv(10)))
    loop.heat(one.fileno())
    writable: list[bool] = []

    def write() -> None:
        writable.append(True)
        loop.remove_writer(one)
        if heard:
            loop.stop()

    loop.add_writer(one, write)
    assert loop.selector.spinner.hot_count == 1
    other.send(b"x")
    loop.call_later(0.02, loop.stop)
    loop.run_forever()
    assert (heard, writable) == ([b"x"], [True])


def test_error_of_a_read_callback_goes_to_the_exception_handler(loop: SpinLoop, ends: Ends) -> None:
    one, other = ends
    told: list[object] = []

    def read() -> None:
        one.recv(10)
        loop.call_soon(loop.stop)
        raise ValueError("bad frame")

    loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))
    loop.add_reader(one, read)
    loop.heat(one.fileno())
    other.send(b"x")
    loop.run_forever()
    assert [str(error) for error in told] == ["bad frame"]


class Taker:
    """A protocol with a buffer: keeps what came."""

    def __init__(self, loop: SpinLoop, until: int = 1) -> None:
        self.loop = loop
        self.until = until
        self.room = bytearray(100)
        self.heard: list[bytes] = []
        self.error: Exception | None = None

    def get_buffer(self, _hint: int) -> memoryview:
        return memoryview(self.room)

    def buffer_updated(self, n_bytes: int) -> None:
        self.heard.append(bytes(self.room[:n_bytes]))
        # The next bytes go elsewhere, as where a message came in part.
        self.room = bytearray(100 + len(self.heard))
        if len(b"".join(self.heard)) >= self.until:
            self.loop.call_soon(self.loop.stop)
        if self.error is not None:
            raise self.error


def test_bytes_go_straight_into_the_buffer_of_a_protocol(loop: SpinLoop, ends: Ends) -> None:
    one, other = ends
    taker = Taker(loop, until=6)
    called: list[int] = []
    loop.add_reader(one, lambda: called.append(1))
    assert loop.heat(one.fileno(), taker)  # type: ignore[arg-type]
    for number, text in enumerate((b"a", b"bc", b"def")):
        loop.call_later(0.005 * number, other.send, text)
    loop.run_forever()
    assert (b"".join(taker.heard), called) == (b"abcdef", [])


def test_end_of_a_socket_read_for_a_protocol_is_told_to_its_callback(
    loop: SpinLoop, ends: Ends
) -> None:
    one, other = ends
    taker, heard = Taker(loop), []

    def read() -> None:
        heard.append(one.recv(10))
        loop.remove_reader(one)
        loop.stop()

    loop.add_reader(one, read)
    loop.heat(one.fileno(), taker)  # type: ignore[arg-type]
    loop.call_later(0.005, other.close)
    loop.run_forever()
    assert (heard, taker.heard, loop.selector.spinner.hot_count) == ([b""], [], 0)


def test_error_of_a_protocol_is_told_and_ends_its_connection(loop: SpinLoop, ends: Ends) -> None:
    one, other = ends
    taker = Taker(loop)
    taker.error = ValueError("bad bytes")
    told: list[object] = []
    ended: list[str] = []
    loop.set_exception_handler(lambda _loop, context: told.append(context["exception"]))
    loop.add_reader(one, print)
    loop.heat(one.fileno(), taker, lambda: ended.append("aborted"))  # type: ignore[arg-type]
    other.send(b"x")
    loop.run_forever()
    assert ([str(error) for error in told], ended) == (["bad bytes"], ["aborted"])


def test_timer_set_by_a_read_ends_the_spin(ends: Ends) -> None:
    one, other = ends
    loop = SpinLoop(busy=True, budget_ns=3_600_000_000_000)

    def read() -> None:
        one.recv(10)
        loop.call_later(0.001, loop.stop)

    loop.add_reader(one, read)
    loop.heat(one.fileno())
    other.send(b"x")
    loop.run_forever()
    assert loop.selector.spinner.read_count == 1
    loop.close()


def test_callback_with_arguments_and_unknown_socket_cannot_be_hot(
    loop: SpinLoop, ends: Ends
) -> None:
    one, other = ends
    loop.add_reader(one, print, "x")
    assert not loop.heat(one.fileno())
    assert not loop.heat(other.fileno())
    loop.remove_reader(one)


def test_more_sockets_than_fit_are_left_to_asyncio(loop: SpinLoop) -> None:
    pairs = [socket.socketpair() for _ in range(9)]
    heard: list[int] = []
    hot = 0

    def reader(one: socket.socket, number: int) -> Callable[[], None]:
        def read() -> None:
            one.recv(1)
            heard.append(number)
            if len(heard) == len(pairs):
                loop.stop()

        return read

    for number, (one, _) in enumerate(pairs):
        one.setblocking(False)
        loop.add_reader(one, reader(one, number))
        hot += loop.heat(one.fileno())
    for _, other in pairs:
        other.send(b"x")
    loop.run_forever()
    assert (hot, sorted(heard)) == (8, list(range(9)))
    for one, other in pairs:
        loop.remove_reader(one)
        one.close()
        other.close()


def test_asyncio_that_is_not_as_known_gives_a_plain_loop_and_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_loop: SpinLoop) -> None:
        raise RuntimeError("a hot socket is not read at once")

    monkeypatch.setattr(spin, "try_out", broken)
    with caplog.at_level(logging.WARNING):
        made = make_loop(busy=True)
    try:
        assert type(made) is asyncio.SelectorEventLoop
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "not read at once" in caplog.text
    finally:
        made.close()


def test_try_out_leaves_nothing_behind(loop: SpinLoop) -> None:
    before = len(os.listdir("/proc/self/fd"))
    try_out(loop)
    assert len(os.listdir("/proc/self/fd")) == before
    assert not loop._ready  # type: ignore[attr-defined]
    assert loop.selector.spinner.hot_count == 0
