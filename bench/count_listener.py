"""What `bench_listener` counts under callgrind: from a frame of picows to the send of its orders.

`python bench/count_listener.py TICKS`. The canonical bot on two WebSocket connections to a peer in
this process, its orders leaving by the real `SocketTransport`; each tick follows when the orders of
the one before have arrived and are answered. Prints how many ticks sent orders.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import final

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect, ws_create_server

from openmm._fast.feed import EventClock, MarketListener, PrivateListener, SocketTransport
from openmm._fast.orders import OrderEvent
from openmm.testing.callgrind import section
from openmm.testing.canonical import CanonicalBot, make_bot
from openmm.testing.workload import WorkloadSpec, make_workload

WARM = 600
LEVELS = 1
WAIT_S = 60.0


@final
class Peer(WSListener):
    """The venue's end of a connection: counts what arrives."""

    def __init__(self) -> None:
        self.transport: WSTransport | None = None
        self.count = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep the connection."""
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Count."""
        self.count += 1


async def until(check: Callable[[], bool]) -> None:
    """Wait for something that any callback may bring about."""
    async with asyncio.timeout(WAIT_S):
        while not check():  # noqa: ASYNC110 - any observable thing may be waited for
            await asyncio.sleep(0)


async def tick(bot: CanonicalBot, market: Peer, orders: Peer, frame: bytes) -> bool:
    """Send a frame and wait for what the bot does about it; returns whether it sent orders."""
    seen, sent = bot.feed.frame_count, bot.pipeline.message_count
    before = orders.count
    assert market.transport is not None
    market.transport.send(WSMsgType.TEXT, frame)
    await until(lambda: bot.feed.frame_count > seen)
    await until(lambda: orders.count - before == bot.pipeline.message_count - sent)
    for order in bot.pipeline.table.live():
        event = OrderEvent.EV_AMENDED if order.acked else OrderEvent.EV_ACKED
        bot.pipeline.table.event(order.seq, event, order.acted_ns)
    return bot.pipeline.message_count > sent


async def run(ticks: int) -> int:
    """Warm up, then count."""
    transport = SocketTransport()
    bot = make_bot(levels=LEVELS, requote_uticks=0, transport=transport)
    work = make_workload(
        WorkloadSpec(
            messages=WARM + ticks, move_share=1.0, trade_share=0.0, heartbeat_share=0.0,
            mid_move_ticks_min=4,
        )
    )  # fmt: skip
    peers: list[Peer] = []

    def accept(_request: object) -> WSListener:
        peers.append(Peer())
        return peers[-1]

    server = await ws_create_server(accept, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    clock = EventClock()
    await ws_connect(
        lambda *_: MarketListener(bot.pipeline, bot.feed, clock, print, lambda _up: None), url
    )
    await ws_connect(
        lambda *_: PrivateListener(
            bot.pipeline, 100, clock, transport, print, lambda _up: None, bytes
        ),
        url,
    )
    await until(lambda: len(peers) == 2 and peers[1].transport is not None)
    for number in range(WARM):
        # Event time moves on as the workload's does: signals warm up in it.
        clock.hold(work.recv_ns[number])
        await tick(bot, peers[0], peers[1], work.frames[number])
    moved = 0
    with section("listener"):
        for number in range(WARM, WARM + ticks):
            clock.hold(work.recv_ns[number])
            moved += await tick(bot, peers[0], peers[1], work.frames[number])
    return moved


if __name__ == "__main__":
    print("moved", asyncio.run(run(int(sys.argv[1]))), flush=True)
