"""The in-memory pipe: virtual time, no sockets, the same wire protocol."""

from __future__ import annotations

import json
from decimal import Decimal

from openmm.sim.market import SyntheticMarket, market_options
from openmm.sim.pipe import DelayLine, Delays, Pipe
from tests.oracles.kraken_reader import loads
from tests.sim.venue import BTC, T0, Venue

MS = 1_000_000


def test_delay_line_never_overtakes_and_follows_its_seed() -> None:
    lines = [DelayLine("a", 2 * MS, 5 * MS) for _ in range(2)]
    times = [[line.due_ns(T0 + i * MS) for i in range(200)] for line in lines]
    assert times[0] == times[1]
    assert times[0] == sorted(times[0])
    assert all(due >= T0 + i * MS + 2 * MS for i, due in enumerate(times[0]))
    assert DelayLine("a", 0, 0).due_ns(T0) == T0


def test_told_delays_come_first_and_the_rest_is_drawn_as_ever() -> None:
    told = {b"a": T0 + 9 * MS, b"b": T0 + 4 * MS, b"past": T0 - MS}
    line = DelayLine("a", 2 * MS, 0, lambda frame, _: told.get(frame))
    # Each as it is told, whatever left before it; none before it was sent.
    assert [line.due_ns(T0, frame) for frame in (b"a", b"b", b"past")] == [
        T0 + 9 * MS, T0 + 4 * MS, T0,
    ]  # fmt: skip
    # One whose delay is drawn overtakes none of them.
    assert line.due_ns(T0 + MS, b"c") == T0 + 9 * MS
    assert line.due_ns(T0 + 20 * MS, b"c") == T0 + 22 * MS


def test_pipe_delivers_each_message_when_it_is_told_to() -> None:
    at = {b'"status"': T0 + 7 * MS, b'"pong"': T0 + 5 * MS}

    def told(frame: bytes, now_ns: int) -> int | None:
        return next((ns for word, ns in at.items() if word in frame), None)

    ping = b'{"method":"ping","req_id":1}'
    delays = Delays(inward=lambda frame, now_ns: now_ns + 3 * MS, outward=told)
    pipe = Pipe(Venue().gateway, private=False, now_ns=T0, latency_ns=50 * MS, delays=delays)
    pipe.send(ping, T0)
    assert pipe.next_ns(T0) == T0 + 3 * MS
    assert pipe.receive(T0 + 5 * MS - 1) == []
    (pong,) = pipe.receive(T0 + 5 * MS)
    assert loads(pong)["time_in"] == "2023-11-14T22:13:20.003000Z"
    (status,) = pipe.receive(T0 + 7 * MS)
    assert loads(status)["channel"] == "status"


def test_a_request_that_the_venue_has_lived_beyond_is_late_and_says_so() -> None:
    venue = Venue()
    pipe = Pipe(venue.gateway, private=False, now_ns=T0)
    pipe.send(b'{"method":"ping","req_id":1}', T0 + 10 * MS)
    venue.core.advance(T0 + 13 * MS)  # for another connection
    pong = next(f for f in pipe.receive(T0 + 20 * MS) if b"pong" in f)
    assert loads(pong)["time_in"] == "2023-11-14T22:13:20.013000Z"


def test_pipe_delivers_a_round_trip_after_both_delays() -> None:
    pipe = Pipe(Venue().gateway, private=False, now_ns=T0, latency_ns=3 * MS)
    pipe.send(b'{"method":"ping","req_id":1}', T0 + 10 * MS)
    assert [loads(f)["channel"] for f in pipe.receive(T0 + 15 * MS)] == ["status"]
    (pong,) = pipe.receive(T0 + 16 * MS)
    assert loads(pong)["method"] == "pong"
    assert loads(pong)["time_in"] == "2023-11-14T22:13:20.013000Z"


def test_the_same_seed_gives_the_same_bytes_at_the_same_times() -> None:
    def run(seed: int) -> list[tuple[int, bytes]]:
        venue = Venue()
        market = market_options(Decimal(60_000), {})
        venue.core.drive(SyntheticMarket(BTC, seed, T0, market))
        pipe = Pipe(venue.gateway, False, T0, 2 * MS, MS, seed)
        request = {"channel": "book", "symbol": ["BTC/USD"], "depth": 10}
        pipe.send(json.dumps({"method": "subscribe", "params": request}).encode(), T0)
        found = []
        for step in range(1, 2000):
            now_ns = T0 + step * 5 * MS
            found += [(now_ns, frame) for frame in pipe.receive(now_ns)]
        pipe.close()
        return found

    first = run(3)
    assert len(first) > 100
    assert run(3) == first
    assert run(4) != first
