"""Streams for programs: what goes wrong beside a connection is told to whoever reads."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from openmm.clock import ManualClock
from openmm.errors import TransportError
from openmm.sim.options import SimOptions
from openmm.sim.server import SimServer
from openmm.venues import BookUpdated, Desk, advice, connect
from openmm.venues.stream import QUEUE_MAX, MarketStream

PAIR = "BTC/USD"
TIMEOUT_S = 30


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    clock = ManualClock()
    async with asyncio.timeout(TIMEOUT_S), SimServer(SimOptions(seed=5), clock) as server:
        clock.advance(10**9)
        server.core.advance(clock.now_ns())
        endpoints = {"ws": server.ws_url, "ws_auth": server.ws_auth_url, "rest": server.rest_url}
        async with connect("kraken", endpoints=endpoints, clock=clock) as one:
            yield one


async def first_book(stream: MarketStream) -> None:
    async for event in stream:
        if isinstance(event, BookUpdated):
            return


@pytest.mark.asyncio
async def test_tap_that_cannot_write_ends_the_stream_with_its_error() -> None:
    def full(_frame: bytes, _recv_ns: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with desk() as one, await one.market_stream(PAIR, tap=full) as stream:
        with pytest.raises(OSError, match="No space left"):
            await first_book(stream)


@pytest.mark.asyncio
async def test_fault_beside_the_connection_reaches_the_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(_stream: MarketStream) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(MarketStream, "_beside", broken)
    async with desk() as one, await one.market_stream(PAIR) as stream:
        with pytest.raises(RuntimeError, match="a fault of ours"):
            async for _event in stream:
                pass


@pytest.mark.asyncio
async def test_stream_that_was_left_ends_for_who_still_reads() -> None:
    async with desk() as one:
        async with await one.market_stream(PAIR) as stream:
            await first_book(stream)
        assert [event async for event in stream if not isinstance(event, BookUpdated)] == []


@pytest.mark.asyncio
async def test_reader_that_is_too_slow_is_told_what_to_do() -> None:
    async with desk() as one, await one.market_stream(PAIR) as stream:
        await first_book(stream)
        for _ in range(QUEUE_MAX + 1):
            stream._put_lost("again")
        with pytest.raises(TransportError, match="events behind") as caught:
            async for _event in stream:
                pass
    assert caught.value.code == "slow_reader"
    assert advice(caught.value).startswith("read the stream as it comes")
