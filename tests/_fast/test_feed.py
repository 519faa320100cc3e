"""Sockets meet the pipeline: frames as they come, fragments, oversize, one write a decision."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable

import orjson
import pytest
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_connect,
    ws_create_server,
)

from openmm import journal
from openmm._fast.feed import EventClock, MarketListener, PrivateListener, SocketTransport
from openmm._fast.latency import Stage
from openmm._fast.orders import OrderEvent
from openmm._fast.pipeline import Decision
from openmm._fast.ports import MemoryTransport
from openmm._fast.tape import Record
from openmm.testing.canonical import CanonicalBot, make_bot
from openmm.testing.workload import WorkloadSpec, make

WORK = make(WorkloadSpec(messages=20))


OPENED: list[WSTransport] = []


async def connect(make: Callable[[], WSListener], url: str) -> WSTransport:
    transport, _ = await ws_connect(
        lambda *_: make(), url, max_frame_size=32 << 20, enable_auto_pong=False
    )
    OPENED.append(transport)
    return transport


class Peer(WSListener):
    """The other end: keeps what arrives."""

    def __init__(self) -> None:
        self.transport: WSTransport | None = None
        self.got: list[bytes] = []
        self.reads: list[bool] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.got.append(frame.get_payload_as_bytes())
        self.reads.append(bool(frame.last_in_buffer))


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not check():  # noqa: ASYNC110 - any observable thing may be waited for
            await asyncio.sleep(0)


def run(test: Callable[[Peer, str], Awaitable[None]]) -> None:
    async def body() -> None:
        peer = Peer()

        def accept(_request: WSUpgradeRequest) -> WSListener:
            return peer

        server = await ws_create_server(accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            await test(peer, f"ws://127.0.0.1:{port}/")
        finally:
            for transport in (*OPENED, *([peer.transport] if peer.transport else [])):
                transport.disconnect(False)
                await transport.wait_disconnected()
            OPENED.clear()
            server.close()
            await server.wait_closed()

    asyncio.run(body())


def listener(bot: CanonicalBot, slow: list[bytes], ups: list[bool]) -> MarketListener:
    return MarketListener(
        bot.pipeline, bot.feed, EventClock(), lambda data, _ns: slow.append(data), ups.append
    )


def test_frames_reach_the_book_and_other_messages_the_slow_path() -> None:
    async def test(peer: Peer, url: str) -> None:
        bot = make_bot()
        slow: list[bytes] = []
        ups: list[bool] = []
        transport = await connect(lambda: listener(bot, slow, ups), url)
        await until(lambda: peer.transport is not None)
        assert peer.transport is not None
        for frame in WORK.frames:
            peer.transport.send(WSMsgType.TEXT, frame)
        peer.transport.send(WSMsgType.TEXT, b'{"channel":"status","data":[]}')
        await until(lambda: bool(slow))
        assert bot.feed.frame_count == len(WORK.frames) + 1
        assert bot.book.message_count == WORK.book_count
        assert slow == [b'{"channel":"status","data":[]}']
        assert ups == [True]
        transport.disconnect()
        await transport.wait_disconnected()
        assert ups == [True, False]

    run(test)


def test_fragments_are_joined() -> None:
    async def test(peer: Peer, url: str) -> None:
        bot = make_bot()
        slow: list[bytes] = []
        await connect(lambda: listener(bot, slow, []), url)
        await until(lambda: peer.transport is not None)
        assert peer.transport is not None
        first = WORK.frames[0]
        peer.transport.send(WSMsgType.TEXT, first[:100], fin=False)
        peer.transport.send(WSMsgType.CONTINUATION, first[100:200], fin=False)
        peer.transport.send(WSMsgType.CONTINUATION, first[200:])
        await until(lambda: bot.feed.frame_count == 1)
        assert bot.book.message_count == 1
        assert slow == []

    run(test)


def test_messages_of_a_decision_leave_in_one_read() -> None:
    async def test(peer: Peer, url: str) -> None:
        sender = SocketTransport()
        bot = make_bot(transport=sender)
        private: list[bytes] = []
        await connect(
            lambda: PrivateListener(
                bot.pipeline, 100, EventClock(), sender, lambda data, _ns: private.append(data),
                lambda _up: None, lambda data: data.replace(b"secret", b"******"),
            ),
            url,
        )  # fmt: skip
        await until(lambda: peer.transport is not None)
        for at in range(3):
            bot.pipeline.mark_dirty()
            bot.pipeline.on_frame(bot.feed, WORK.frames[0], WORK.recv_ns[0] + at * 300_000_000)
        assert bot.pipeline.last_decision is Decision.DECISION_SENT
        await until(lambda: len(peer.got) == bot.pipeline.message_count)
        assert bot.pipeline.message_count > 1
        # One write arrived as one read: only its last frame is the last of its buffer.
        assert peer.reads == [False] * (len(peer.reads) - 1) + [True]
        assert all(orjson.loads(message)["params"]["token"] == "T" * 43 for message in peer.got)
        assert peer.transport is not None
        peer.transport.send(WSMsgType.TEXT, b'{"a":"secret"}')
        await until(lambda: bool(private))
        assert private == [b'{"a":"secret"}']
        kept = [row[4] for row in bot.pipeline.tape.records() if row[1] == Record.REC_FRAME]
        assert kept[-1] == b'{"a":"******"}'

    run(test)


def test_latency_of_an_order_counts_from_what_caused_it() -> None:
    bot = make_bot(transport=MemoryTransport())
    pipeline = bot.pipeline
    clock = EventClock()
    begin_ns = clock.now_ns()
    for at in range(3):
        pipeline.mark_dirty()
        pipeline.on_frame(bot.feed, WORK.frames[0], begin_ns + at * 300_000_000)
    now_ns = begin_ns + 700_000_000

    def counted() -> tuple[int, int]:
        stages = (Stage.STAGE_TICK_TO_ORDER, Stage.STAGE_ANSWER_TO_ORDER)
        tick, answer = (pipeline.latency.histogram(stage).count for stage in stages)
        return tick, answer

    def on_message(_data: bytes, _recv_ns: int) -> None:
        pipeline.withdraw(now_ns)

    assert counted() == (1, 0)
    answers = PrivateListener(
        pipeline, 100, clock, None, on_message, lambda _up: None, lambda data: data
    )
    answers.deliver(b"{}")
    assert pipeline.cancel_count == 20
    assert counted() == (1, 1)
    last = [row[4] for row in pipeline.tape.records() if row[1] == Record.REC_STAMPS][-1]
    stamps = journal.read_stamps(last)
    assert stamps[Stage.STAGE_TICK_TO_ORDER] == 0
    assert stamps[Stage.STAGE_ANSWER_TO_ORDER] >= stamps[Stage.STAGE_WRITE] > 0
    # A timer's orders belong to neither.
    for order in pipeline.table.live():
        pipeline.table.event(order.seq, OrderEvent.EV_CANCELLED, now_ns)
    pipeline.requote(now_ns)
    assert pipeline.last_decision is Decision.DECISION_SENT
    assert counted() == (1, 1)


def test_detached_transport_refuses() -> None:
    sender = SocketTransport()
    bot = make_bot(transport=sender)
    for at in range(3):
        bot.pipeline.mark_dirty()
        bot.pipeline.on_frame(bot.feed, WORK.frames[0], WORK.recv_ns[0] + at * 300_000_000)
    assert bot.pipeline.last_decision is Decision.DECISION_FAILED
    assert sender.bytes_sent == 0


def test_message_beyond_the_bound_drops_the_connection() -> None:
    async def test(peer: Peer, url: str) -> None:
        bot = make_bot()
        ups: list[bool] = []
        made: list[MarketListener] = []

        def factory() -> MarketListener:
            made.append(listener(bot, [], ups))
            return made[-1]

        transport = await connect(factory, url)
        await until(lambda: peer.transport is not None)
        assert peer.transport is not None
        peer.transport.send(WSMsgType.TEXT, b"x" * (17 << 20))
        await asyncio.wait_for(transport.wait_disconnected(), 10)
        assert made[0].oversize_count == 1
        assert bot.feed.frame_count == 0
        assert ups == [True, False]

    run(test)


def test_before_hook_sees_each_message_ahead_of_the_pipeline() -> None:
    async def test(peer: Peer, url: str) -> None:
        bot = make_bot()
        seen: list[int] = []

        def factory() -> MarketListener:
            return MarketListener(
                bot.pipeline, bot.feed, EventClock(), lambda *_: None, lambda _up: None,
                lambda _data, _ns: seen.append(bot.feed.frame_count),
            )  # fmt: skip

        await connect(factory, url)
        await until(lambda: peer.transport is not None)
        assert peer.transport is not None
        for frame in WORK.frames[:3]:
            peer.transport.send(WSMsgType.TEXT, frame)
        await until(lambda: bot.feed.frame_count == 3)
        assert seen == [0, 1, 2]

    run(test)


def test_event_clock_never_goes_back() -> None:
    clock = EventClock()
    times = [clock.now_ns() for _ in range(1_000)]
    assert times == sorted(times)
    clock.anchor()
    assert clock.now_ns() >= times[-1]
    assert abs(clock.stepped_ns()) < 1_000_000_000


SECOND = 1_000_000_000


@pytest.mark.parametrize("step_s", [-10, 10])
def test_event_clock_makes_up_for_a_step_of_utc_while_time_goes_on(step_s: int) -> None:
    clock = EventClock()
    start_ns = time.monotonic_ns() + 3_600 * SECOND  # ahead of whatever was told so far
    offset_ns = clock.at(start_ns) - start_ns
    stepped_ns = clock.anchor_at(start_ns + offset_ns + step_s * SECOND, start_ns)
    assert stepped_ns == step_s * SECOND
    told = [clock.at(start_ns + i * SECOND) - start_ns - offset_ns for i in range(200)]
    spans = [later - earlier for earlier, later in itertools.pairwise(told)]
    # A span of time is told to a sixteenth while the step is made up for: an order that goes
    # unanswered for five seconds is unanswered for five, not for fifteen or none.
    assert {abs(span - SECOND) for span in spans} == {SECOND // 16, 0}
    assert spans[158] != SECOND == spans[160]
    assert told[-1] == (199 + step_s) * SECOND


def test_event_clock_steered_again_under_way_does_not_jump() -> None:
    clock = EventClock()
    start_ns = time.monotonic_ns() + 3_600 * SECOND
    offset_ns = clock.at(start_ns) - start_ns
    clock.anchor_at(start_ns + offset_ns - 10 * SECOND, start_ns)
    middle_ns = start_ns + 16 * SECOND
    before_ns = clock.at(middle_ns)
    # The machine's clock was put right again; a second of it is made up for already.
    assert clock.anchor_at(middle_ns + offset_ns, middle_ns) == 10 * SECOND
    assert clock.at(middle_ns) == before_ns == middle_ns + offset_ns - SECOND
    assert clock.at(middle_ns + 16 * SECOND) == middle_ns + offset_ns + 16 * SECOND


def test_held_event_clock_knows_of_no_step() -> None:
    clock = EventClock()
    clock.hold(clock.now_ns() + 3_600 * SECOND)
    told_ns = clock.now_ns()
    assert (clock.stepped_ns(), clock.anchor(), clock.now_ns()) == (0, 0, told_ns)


@pytest.mark.parametrize("attribute", ["on_ws_frame", "on_ws_connected", "on_ws_disconnected"])
def test_listener_overrides_every_callback_of_picows(attribute: str) -> None:
    # Written as `def` in a cdef class an override compiles and is never called.
    assert getattr(MarketListener, attribute) is not getattr(WSListener, attribute)


def test_ping_that_ends_a_read_decides_at_once_on_the_books_before_it() -> None:
    async def test(peer: Peer, url: str) -> None:
        bot = make_bot()
        await connect(lambda: listener(bot, [], []), url)
        await until(lambda: peer.transport is not None)
        assert peer.transport is not None
        # One write, and so one read: a snapshot, then a ping as the last frame.
        snapshot = WORK.frames[0]
        frame = b"\x81\x7e" + len(snapshot).to_bytes(2, "big") + snapshot
        peer.transport.underlying_transport.write(frame + b"\x89\x00")
        await until(lambda: bot.feed.frame_count == 1)
        assert bot.pipeline.decision_count == 1
        assert not bot.pipeline.is_dirty
        assert bot.pipeline.reference.price_uticks is not None
        await until(lambda: len(peer.got) == 1)  # and the ping is answered

    run(test)


def test_requote_sees_a_book_whose_read_has_not_ended() -> None:
    bot = make_bot()
    bot.pipeline.on_frame(bot.feed, WORK.frames[0], WORK.recv_ns[0], last=False)
    assert bot.pipeline.reference.price_uticks is None
    bot.pipeline.requote(WORK.recv_ns[0])
    assert bot.pipeline.reference.price_uticks is not None
