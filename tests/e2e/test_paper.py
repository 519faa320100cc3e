"""Paper mode: the venue's real feed, fills of the core in this process, nothing private leaves."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openmm._fast.tape import Record
from openmm.engine.replay import replay
from openmm.events import StreamGapped
from openmm.journal import read_balance
from openmm.settlement.report import load_report
from openmm.sim.paper import PaperVenue
from openmm.sim.pipe import Pipe
from openmm.venues.http import HttpRoundTrip
from openmm.venues.mexc.dialect import MexcGateway
from tests.e2e.checker import check
from tests.e2e.desk import Desk, options

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
GRID = {"spread": "1bps", "vol_factor": "0", "depth_factor": "0%", "inventory_widen": "0%"}
FEES = {"maker_fee": "0%", "taker_fee": "0.1%"}
CLOSED = "ws://127.0.0.1:1/v2"
# The simulated venue that is the real one here, and how its pair and its account are told.
VENUES = {
    "kraken": {},
    "gateio": {"quote": "BTC/USDT", "depth": 50},
    "bitget": {"quote": "BTC/USDT", "depth": 400},
    "bitget-unified": {"quote": "BTC/USDT", "depth": 50, "options": {"account": "unified"}},
    "mexc": {"quote": "BTC/USDT", "depth": 500},
}  # fmt: skip


class Watched:
    """A desk on paper, and all that its venue was told."""

    def __init__(self, folder: Path, name: str, patch: pytest.MonkeyPatch) -> None:
        told = {"name": name.partition("-")[0], **FEES, **VENUES[name]}
        quote = str(told.get("quote", "BTC/USD")).partition("/")[2]
        money = {"BTC": Decimal(1), quote: Decimal(60_000)}
        self.desk = Desk(
            folder, options(venue=name, balances=money), mode="paper", strategy=GRID, venue=told,
            with_keys=False, ws_auth=CLOSED,
        )  # fmt: skip
        self.requests: list[tuple[Any, ...]] = []
        self.frames: list[bytes] = []
        carried, opened = HttpRoundTrip.__call__, self.desk.server.pipe

        # What this engine sends to anybody, over HTTP and over the venue's sockets.
        async def carry(link: HttpRoundTrip, *request: Any) -> tuple[int, bytes]:
            self.requests.append(request)
            return await carried(link, *request)

        def pipe(*about: Any) -> Pipe:
            made = opened(*about)
            send = made.send

            def sent(frame: bytes, now_ns: int) -> None:
                self.frames.append(frame)
                send(frame, now_ns)

            made.send = sent  # type: ignore[method-assign]
            return made

        patch.setattr(HttpRoundTrip, "__call__", carry)
        patch.setattr(self.desk.server, "pipe", pipe)

    def check_nothing_private(self) -> None:
        """Check that the venue was asked for public things alone, and knows of no order."""
        desk = self.desk
        key = desk.options.api_key
        assert self.requests
        assert [one for one in self.requests if key in str(one)] == []
        assert {(one[0], one[4]) for one in self.requests} == {("GET", b"")}
        assert self.frames
        public = (b"subscri", b"ping")
        assert [one for one in self.frames if not any(w in one.lower() for w in public)] == []
        assert [one for one in self.frames if key.encode() in one] == []
        assert desk.server.core.orders(desk.account) == []
        assert desk.statement["fills"] == []


@pytest.mark.parametrize("name", VENUES)
def test_paper_fills_in_this_process_and_asks_the_venue_nothing_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    requests: list[bytes] = []
    on_order = PaperVenue.on_order

    def noted(self: PaperVenue, request: bytes, *more: Any) -> None:
        requests.append(request)
        on_order(self, request, *more)

    monkeypatch.setattr(PaperVenue, "on_order", noted)

    async def scenario() -> tuple[Watched, dict[str, Any]]:
        watched = Watched(tmp_path, name, monkeypatch)
        desk = watched.desk
        async with desk:
            counters = desk.engine.step.counters
            await desk.until(lambda: counters.fills >= 3, "fills on paper")
            assert desk.sockets(private=True) == []
            (public,) = desk.sockets(private=False)
            assert public.pipe is not None
            assert public.pipe.session.account is None
            paper = desk.engine._traffic._paper  # type: ignore[union-attr]
            assert paper is not None
        return watched, paper.statement()

    watched, statement = asyncio.run(scenario())
    desk = watched.desk
    assert desk.engine.exit_code == 0
    watched.check_nothing_private()
    # Where orders go over REST it is their requests, signed, that the paper venue takes.
    assert bool(requests) is (name == "mexc")
    assert all(b"&signature=" in one for one in requests)

    records = desk.journal()
    if name == "kraken":  # the checker reads this venue's frames
        checker = check(records)
        assert checker.found == []
        assert len(checker.fills) == len(statement["fills"])
    # What the paper venue states at the end is opening plus every booked fill, and what the report
    # tells.
    counters = desk.engine.step.counters
    assert counters.fills == len(statement["fills"]) >= 3
    assert counters.overfills == counters.illegal == counters.unrecognised == 0
    closing = {
        balance.asset: balance.total
        for balance in (read_balance(r.payload) for r in records if r.kind == Record.REC_BALANCE)
        if balance.kind == "closing"
    }
    session = json.loads((tmp_path / "desk" / "session.json").read_text())
    report = load_report(session["store"])
    assert report.session.mode == "paper"
    again = replay(records)
    assert again.difference is None
    assert again.ended
    assert report.volume.fills == counters.fills
    assert closing.keys() == statement["assets"].keys()
    assert desk.engine.step.expected() == closing
    for asset, total in closing.items():
        assert total == Decimal(statement["assets"][asset]["closing"])
        assert report.inventory[asset].closing == total
        assert report.inventory[asset].difference == Decimal(0)


@pytest.mark.parametrize("name", ["kraken", "mexc"])
def test_gap_of_the_paper_venues_private_stream_is_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async def scenario() -> tuple[bool, int]:
        desk = Watched(tmp_path, name, monkeypatch).desk
        async with desk:
            engine = desk.engine
            pipeline = engine.tables.pipeline
            await desk.until(lambda: pipeline.table.live_count > 0, "quotes on paper")
            gap = StreamGapped("executions", 7, 9)
            engine._running.handle(engine.step.on_events([gap], engine._clock.now_ns()))
            lost = not pipeline.stream_live
            await desk.until(lambda: pipeline.stream_live, "the stream to come back")
            await desk.until(lambda: pipeline.table.live_count > 0, "quotes on paper again")
        return lost, engine.exit_code

    assert asyncio.run(scenario()) == (True, 0)


def test_a_dead_listen_key_of_the_paper_venue_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> tuple[set[str], int]:
        desk = Watched(tmp_path, "mexc", monkeypatch).desk
        async with desk:
            engine = desk.engine
            pipeline = engine.tables.pipeline
            await desk.until(lambda: pipeline.table.live_count > 0, "quotes on paper")
            paper = engine._traffic._paper  # type: ignore[union-attr]
            assert paper is not None
            assert isinstance(paper.gateway, MexcGateway)
            keys = set(paper.gateway.listen_keys)
            paper.gateway.expire_tokens()
            await desk.until(lambda: not pipeline.stream_live, "the loss seen")
            await desk.until(lambda: pipeline.stream_live, "the stream to come back")
            fills = engine.step.counters.fills
            await desk.until(lambda: engine.step.counters.fills > fills, "fills on paper again")
            keys ^= set(paper.gateway.listen_keys)
        return keys, engine.exit_code

    keys, exit_code = asyncio.run(scenario())
    assert (len(keys), exit_code) == (2, 0)


@pytest.mark.parametrize("name", ["mexc"])
def test_paper_goes_on_after_the_public_feed_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async def scenario() -> Watched:
        watched = Watched(tmp_path, name, monkeypatch)
        desk = watched.desk
        async with desk:
            pipeline = desk.engine.tables.pipeline
            await desk.until(lambda: pipeline.table.live_count > 0, "quotes on paper")
            paper = desk.engine._traffic._paper  # type: ignore[union-attr]
            assert paper is not None
            pair = desk.config.quoted.pair
            desk.drop(private=False)
            await desk.until(lambda: not paper.core.depth(pair, 0, 1), "the paper book emptied")
            before = desk.engine.step.counters.fills
            await desk.until(lambda: desk.engine.step.counters.fills > before, "fills afterwards")
        return watched

    watched = asyncio.run(scenario())
    assert watched.desk.engine.exit_code == 0
    watched.check_nothing_private()
