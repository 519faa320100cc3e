"""What an operator gets wrong is one clear error, nothing half done; what breaks stops quoting."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import resource
import signal
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from openmm import Engine, Keys
from openmm._fast.book import BookBreak
from openmm._fast.checks import Reason, RiskState
from openmm._fast.planner import ActionKind
from openmm._fast.tape import Record
from openmm.cli.main import main
from openmm.errors import CommandError, ConfigError
from openmm.events import SystemMode
from openmm.journal import read_intent, read_risk
from openmm.sim.options import DEMO_KEY, DEMO_SECRET
from tests.e2e.checker import check
from tests.e2e.desk import Desk, options
from tests.e2e.programs import bot_toml

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
NOWHERE = {"ws": "ws://127.0.0.1:1", "ws_auth": "ws://127.0.0.1:1", "rest": "http://127.0.0.1:1"}
REMOTE = {"ws": "wss://ws.kraken.com/v2", "ws_auth": "wss://ws-auth.kraken.com/v2"}


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ('spread = "2bps"', 'spraed = "2bps"', 'did you mean "spread"'),
        ('spread = "2bps"', 'spread = "2"', "unit"),
        ('spread = "2bps"', 'spread = "2 USD"', "strategy.spread"),
        ('max_inventory = "0.5"', 'max_inventory = "half"', "risk.max_inventory"),
        ('max_open_notional = "20000"', "", "max_open_notional"),
        ('max_order_size = "0.05"', 'max_order_size = "0.001"', "strategy.order_amount"),
    ],
)
def test_bad_file_is_one_clear_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], was: str, now: str, told: str
) -> None:
    file = bot_toml(tmp_path, NOWHERE)
    text = file.read_text()
    assert was in text
    file.write_text(text.replace(was, now))
    assert main(["run", str(file)]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in lines if told in line]) == 1, lines
    assert not (tmp_path / "runs").exists()


def test_live_mode_refuses_a_real_venue_that_nobody_confirmed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENMM_KRAKEN_KEY", DEMO_KEY)
    monkeypatch.setenv("OPENMM_KRAKEN_SECRET", DEMO_SECRET)
    file = bot_toml(tmp_path, NOWHERE | REMOTE)
    assert main(["run", str(file)]) == 1
    err = capsys.readouterr().err
    assert "live on the real kraken is refused" in err
    assert f"openmm doctor kraken --for {file}" in err
    assert not (tmp_path / "runs").exists()
    assert DEMO_SECRET not in err


@pytest.mark.parametrize(
    ("strategy", "sim", "told"),
    [
        ({}, {"maker_fee_ppm": 2500}, "strategy.spread"),
        ({"order_amount": "0.00001"}, {}, "venue's minimum"),
    ],
)
def test_grid_the_venue_makes_impossible_is_refused_before_any_order(
    tmp_path: Path, strategy: dict[str, Any], sim: dict[str, Any], told: str
) -> None:
    async def scenario() -> Desk:
        desk = Desk(tmp_path, options(**sim), strategy=strategy)
        with pytest.raises(ConfigError, match=told):
            await desk.__aenter__()
        return desk

    desk = asyncio.run(scenario())
    assert desk.server.core.orders(desk.account) == []


def test_second_engine_of_a_bot_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Desk(tmp_path) as desk:
            await desk.until_quoting()
            before = desk.venue_orders()
            with pytest.raises(CommandError, match="in use"):
                await Desk(tmp_path).__aenter__()
            assert len(desk.venue_orders()) == len(before)
            await desk.until_quoting()
        assert desk.engine.exit_code == 0
        assert desk.open_at_end == []

    asyncio.run(scenario())


def test_loss_beyond_the_limit_halts_tells_the_webhook_and_exits_with_3(tmp_path: Path) -> None:
    posted: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        posted.append(await request.json())
        return web.Response()

    async def scenario() -> Desk:
        app = web.Application()
        app.router.add_post("/alert", take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/alert"
        # From the peak: no market goes on rising.
        risk = {"max_drawdown_peak": "0.0002%", "webhook": url}
        try:
            async with Desk(tmp_path, risk=risk) as desk:
                monitor = desk.engine.tables.monitor
                await desk.until(lambda: monitor.state is RiskState.HALTED, "a loss")
                await desk.until(lambda: not desk.venue_orders(), "everything cancelled")
                await desk.until(lambda: bool(posted), "the webhook")
                # Latched: what comes after does not quote again.
                frames = desk.engine.tables.pipeline.feed.frame_count
                await desk.until(
                    lambda: desk.engine.tables.pipeline.feed.frame_count > frames + 20, "market"
                )
                assert desk.venue_orders() == []
        finally:
            await runner.cleanup()
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 3
    assert desk.open_at_end == []
    alert = posted[0]
    assert (alert["event"], alert["severity"], alert["bot"]) == ("halted", "critical", "desk")
    assert "drawdown" in alert["text"]
    assert [one["event"] for one in posted].count("halted") == 1
    assert check(desk.journal()).found == []


def test_full_tape_stops_quoting_cancels_and_halts(tmp_path: Path) -> None:
    async def scenario() -> Desk:
        async with Desk(tmp_path, engine={"tape_size": "1MiB"}) as desk:
            await desk.until_quoting()
            pipeline = desk.engine.tables.pipeline
            writer = pipeline.tape.follower_pid
            os.kill(writer, signal.SIGSTOP)
            try:
                # A flood of what the bot has to keep, as a venue's endless status would be.
                while not pipeline.tape.full:
                    desk.server.core.set_mode(SystemMode.ONLINE, desk.server.now_ns())
                    desk.say(b'{"channel":"status","data":[{"x":"' + b"x" * 20_000 + b'"}]}')
                    await asyncio.sleep(0)
                await desk.until(lambda: not desk.venue_orders(), "everything cancelled")
                placed = pipeline.placed_count
                frames = pipeline.feed.frame_count
                await desk.until(lambda: pipeline.feed.frame_count > frames + 50, "market")
                assert pipeline.placed_count == placed
                assert desk.engine.tables.monitor.state is RiskState.HALTED
                assert desk.venue_orders() == []
            finally:
                os.kill(writer, signal.SIGCONT)
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 3
    assert desk.open_at_end == []
    # What the full tape refused is missing and says so; no order went out without its record.
    records = desk.journal()
    assert any(b.record_index != a.record_index + 1 for a, b in pairwise(records))
    placed = [
        one
        for one in records
        if one.kind == Record.REC_INTENT
        and read_intent(one.payload).action.kind == ActionKind.ACTION_PLACE
    ]
    assert len(placed) == len(desk.server.core.orders(desk.account)) >= 4


def listing(**changed: object) -> bytes:
    """Write what the venue says of its pair, with something changed."""
    pair = {
        "symbol": "BTC/USD", "base": "BTC", "quote": "USD", "status": "online",
        "qty_precision": 8, "qty_increment": 1e-8, "price_precision": 1, "cost_precision": 5,
        "cost_min": 0.5, "tick_size": 0.1, "price_increment": 0.1, "qty_min": 0.0001,
    }  # fmt: skip
    data = {"assets": [], "pairs": [pair | changed]}
    return json.dumps({"channel": "instrument", "type": "update", "data": data}).encode()


def test_pair_closed_while_quoting_is_left_and_quoted_again_when_it_opens(tmp_path: Path) -> None:
    async def scenario() -> Desk:
        async with Desk(tmp_path) as desk:
            await desk.until_quoting()
            desk.say(listing(status="cancel_only"))
            await desk.until(lambda: not desk.venue_orders(), "everything cancelled")
            pipeline = desk.engine.tables.pipeline
            placed, frames = pipeline.placed_count, pipeline.feed.frame_count
            await desk.until(lambda: pipeline.feed.frame_count > frames + 50, "market")
            assert pipeline.placed_count == placed
            desk.say(listing(status="post_only"))
            await desk.until_quoting()
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 0
    assert desk.open_at_end == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"status": "delisted"}, "no longer listed"),
        ({"tick_size": 0.5, "price_increment": 0.5}, "tick_size 0.1 -> 0.5"),
        ({"qty_precision": 5, "qty_increment": 0.00001}, "lot_size"),
        ({"price_increment": "?"}, "cannot be read"),
    ],
)
def test_pair_delisted_or_changed_while_quoting_is_a_safe_stop(
    tmp_path: Path, changed: dict[str, object], told: str
) -> None:
    async def scenario() -> Desk:
        async with Desk(tmp_path) as desk:
            await desk.until_quoting()
            desk.say(listing(**changed))
            await desk.until(lambda: not desk.venue_orders(), "everything cancelled")
            assert desk.engine.tables.monitor.state is RiskState.HALTED
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 3
    assert desk.open_at_end == []
    halts = [one for one in desk.journal() if one.kind == Record.REC_RISK]
    assert any(told in read_risk(one.payload).detail for one in halts)


def book_update(price: str) -> bytes:
    """Write a book message with one level at a price, as text."""
    return (
        '{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":'
        f'[{{"price":{price},"qty":1.00000000}}],"asks":[],"checksum":1,'
        '"timestamp":"2026-08-01T02:53:53.398143Z"}]}'
    ).encode()


@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_frame_of_fifty_megabytes_costs_a_connection_and_no_more(
    tmp_path: Path, private: bool
) -> None:
    async def scenario() -> Desk:
        async with Desk(tmp_path) as desk:
            await desk.until_quoting()
            links = desk.engine._traffic.links if desk.engine._traffic is not None else []
            link = next(one for one in links if ("private" in one.name) is private)
            before = link.connect_count
            desk.say(b'{"channel":"status","data":["' + b"x" * 50_000_000 + b'"]}', private=private)
            await desk.until(lambda: link.connect_count > before, "another connection")
            await desk.until_quoting()
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 0
    assert desk.open_at_end == []
    assert check(desk.journal()).found == []


def test_level_finer_than_the_tick_breaks_the_book_until_a_new_snapshot(tmp_path: Path) -> None:
    async def scenario() -> Desk:
        async with Desk(tmp_path) as desk:
            await desk.until_quoting()
            book = desk.engine.tables.pipeline.feed.book
            reasons: list[BookBreak] = []
            for number in range(1, 4):
                desk.say(book_update(f"{60_000}.{number}5"))
                await desk.until(lambda n=number: book.break_count >= n, "a broken book")  # type: ignore[misc]
                reasons.append(book.break_reason)
                await desk.until_quoting()
            assert BookBreak.BREAK_OFF_TICK in reasons
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 0
    assert desk.open_at_end == []


def test_frames_out_of_order_and_twice_never_leave_a_wrong_book_quoted(tmp_path: Path) -> None:
    async def scenario() -> Desk:
        async with Desk(tmp_path) as desk:
            await desk.until_quoting()
            pipeline = desk.engine.tables.pipeline
            desk.fault(kind="doubled", on="book", chance="30%")
            desk.fault(kind="reordered", on="book", chance="30%", by="50ms")
            frames = pipeline.feed.frame_count
            await desk.until(lambda: pipeline.feed.frame_count > frames + 60, "market")
            assert pipeline.feed.book.break_count > 0
            desk.server.strikes.end(desk.server.now_ns())
            await desk.until_quoting()

            def agrees() -> bool:
                # Own orders rest in the venue's book and, live, in the one it sends.
                bids = desk.server.core.depth("BTC/USD", 0, 10)
                return pipeline.feed.book.levels(0, 10) == [tuple(one) for one in bids]

            await desk.until(agrees, "the venue's book")
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 0
    assert desk.open_at_end == []
    assert check(desk.journal()).found == []


def test_clock_off_beyond_the_venues_window_places_nothing(tmp_path: Path) -> None:
    async def scenario() -> Desk:
        async with Desk(tmp_path, risk={"max_clock_offset": "500ms"}) as desk:
            await desk.until_quoting()
            desk.fault(kind="clock", offset="30s", **{"for": "10m"})
            pipeline, proof = desk.engine.tables.pipeline, desk.engine._proof
            assert proof is not None

            def more_frames(than: int) -> bool:
                return pipeline.feed.frame_count > than

            async with asyncio.timeout(60):
                while Reason.CLOCK_SKEW not in pipeline.checks.refusals():
                    await proof.measure_clock()
                    pipeline.withdraw(desk.engine._clock.now_ns())
                    await desk.until(partial(more_frames, pipeline.feed.frame_count), "market")
            await desk.until(lambda: not desk.venue_orders(), "everything cancelled")
            placed, frames = pipeline.placed_count, pipeline.feed.frame_count
            await desk.until(lambda: pipeline.feed.frame_count > frames + 30, "market")
            assert pipeline.placed_count == placed
            desk.server.strikes.end(desk.server.now_ns())
            await proof.measure_clock()
            await desk.until_quoting()
        return desk

    desk = asyncio.run(scenario())
    assert desk.open_at_end == []


def test_full_disk_under_the_journal_cancels_all_and_halts(tmp_path: Path) -> None:
    async def scenario() -> tuple[Desk, int]:
        async with Desk(tmp_path) as desk:
            await desk.until_quoting()
            writer = desk.engine.tables.pipeline.tape.follower_pid
            # No file of the writer's may grow any more, as on a disk without a free block.
            resource.prlimit(writer, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
            monitor = desk.engine.tables.monitor
            await desk.until(lambda: monitor.state is RiskState.HALTED, "the halt")
            await desk.until(lambda: not desk.venue_orders(), "everything cancelled")
        return desk, writer

    desk, writer = asyncio.run(scenario())
    assert desk.engine.exit_code != 0
    assert desk.open_at_end == []
    # It waits for space, and ends once what the tape still has is written.
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(writer, resource.RLIMIT_FSIZE, unlimited)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(writer, 0)
    assert desk.journal()[-1].kind == Record.REC_END


@pytest.mark.parametrize("folder", ["/proc/openmm-runs", "/sys/openmm-runs"])
def test_data_folder_that_cannot_be_written_is_one_clear_line(
    tmp_path: Path,
    folder: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENMM_KRAKEN_KEY", DEMO_KEY)
    monkeypatch.setenv("OPENMM_KRAKEN_SECRET", DEMO_SECRET)
    file = bot_toml(tmp_path, NOWHERE)
    file.write_text(re.sub(r'run_dir = ".*"', f'run_dir = "{folder}"', file.read_text()))
    assert folder in file.read_text()
    assert main(["run", str(file)]) == 2
    (line,) = [one for one in capsys.readouterr().err.strip().splitlines() if folder in one]
    assert "bot.run_dir" in line


UNKNOWN: list[bytes] = [
    b'{"channel":"executions","type":"update","data":[{"order_id":"OQ","exec_type":"teleported",'
    b'"order_status":"new","timestamp":"2026-08-01T02:53:53.398143Z"}],"sequence":%d}',
    b'{"channel":"executions","type":"update","data":[{"order_id":"OQ","exec_type":"new",'
    b'"order_status":"dreaming","timestamp":"2026-08-01T02:53:53.398143Z"}],"sequence":%d}',
    b'{"channel":"executions","type":"update","data":[{"order_id":"OQ","exec_type":"trade",'
    b'"order_status":"filled","side":"sideways","exec_id":"TQ","symbol":"BTC/USD","last_qty":1,'
    b'"last_price":1,"liquidity_ind":"z","cost":1,"fees":[{"asset":"MOON","qty":1}],'
    b'"timestamp":"2026-08-01T02:53:53.398143Z"}],"sequence":%d}',
    b'{"channel":"executions","type":"hologram","data":[],"sequence":%d}',
    b'{"channel":"balances","type":"update","data":[{"asset":"MOON","asset_class":"rock",'
    b'"amount":1,"fee":0,"balance":1,"ledger_id":"L","ref_id":"R","type":"gift","subtype":"?",'
    b'"category":"?","wallet_type":"pocket","wallet_id":"left",'
    b'"timestamp":"2026-08-01T02:53:53.398143Z"}],"sequence":%d}',
    b'{"channel":"telepathy","type":"update","data":[{"a":%d}]}',
    b'{"method":"levitate","req_id":%d,"success":true,"result":{"floor":1}}',
    b'{"channel":"status","type":"update","data":[{"system":"siesta","connection_id":%d}]}',
]


async def read_after(desk: Desk, index: int) -> None:
    """Wait until something stands on the tape behind a mark."""
    tape = desk.engine.tables.pipeline.tape
    await desk.until(lambda: tape.next_index > index, "the message read")


def test_unknown_words_in_private_messages_are_survived_and_book_nothing(tmp_path: Path) -> None:
    async def scenario() -> Desk:
        async with Desk(tmp_path) as desk:
            await desk.until_quoting()
            for number, text in enumerate(UNKNOWN):
                desk.mark(str(number))
                desk.say(text % (1_000_000 + number), private=True)
                told = desk.marks[str(number)]
                await read_after(desk, told)
                # What the venue says next puts an unknown mode right.
                desk.server.core.set_mode(SystemMode.POST_ONLY, desk.server.now_ns())
                desk.server.core.set_mode(SystemMode.ONLINE, desk.server.now_ns())
                desk.server.flush()
                await desk.until_quoting()
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 0
    assert desk.open_at_end == []
    assert check(desk.journal()).found == []


def test_money_that_only_the_stream_tells_of_is_a_named_difference(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Whatever its kind is called, a change of our wallet is one; the venue's own list decides.
    gift = UNKNOWN[4].replace(b"pocket", b"spot").replace(b"left", b"main")

    async def scenario() -> Desk:
        async with Desk(tmp_path) as desk:
            await desk.until_quoting()
            desk.mark("gift")
            desk.say(gift % 1_000_000, private=True)
            await read_after(desk, desk.marks["gift"])
            await desk.until_quoting()
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 1
    assert desk.open_at_end == []
    assert "balance differs: MOON: venue has 0, expected 1" in caplog.text


def test_second_bot_on_the_account_of_a_running_one_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Desk(tmp_path) as desk:
            await desk.until_quoting()
            data = desk.config.model_copy(
                update={"bot": desk.config.bot.model_copy(update={"name": "second"})}
            )
            with pytest.raises(CommandError, match="in use by process"):
                await Engine(data, keys=Keys(DEMO_KEY, DEMO_SECRET)).start()
            await desk.until_quoting()
        assert desk.engine.exit_code == 0
        assert desk.open_at_end == []

    asyncio.run(scenario())


def test_engine_of_the_same_bot_on_another_host_makes_the_earlier_one_halt(tmp_path: Path) -> None:
    async def scenario() -> Desk:
        async with Desk(tmp_path) as desk:
            await desk.until_quoting()
            trading = desk.engine._running.trading
            ours = trading.client_id(1)
            bot, session = ours[:-14], ours[-14:-7]
            later = bot + chr(ord(session[0]) + 1) + session[1:] + ours[-7:]
            assert trading.is_later(later)
            assert not trading.is_earlier(later)
            desk.say(
                b'{"channel":"executions","type":"update","data":[{"order_id":"OTWIN","cl_ord_id":'
                b'"%b","exec_type":"new","order_status":"new","symbol":"BTC/USD","side":"buy"}],'
                b'"sequence":1000000}' % later.encode(), private=True,
            )  # fmt: skip
            monitor = desk.engine.tables.monitor
            await desk.until(lambda: monitor.state is RiskState.HALTED, "the halt")
            assert monitor.halt_reason == "account"
            await desk.until(lambda: not desk.venue_orders(), "everything cancelled")
        return desk

    desk = asyncio.run(scenario())
    assert desk.engine.exit_code == 3
    assert desk.open_at_end == []
