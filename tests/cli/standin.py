"""A process that looks like a running bot from outside: lock, page, socket, session file.

The parts are the real ones; what stands in is the engine between them. Commands move its risk state
as the engine's do. Run as `python -m tests.cli.standin RUN_DIR BOT [EXIT_CODE]`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from openmm.engine.commands import (
    Adjust,
    Halt,
    Incidents,
    Pause,
    Request,
    Resume,
    Stop,
    Tighten,
)
from openmm.engine.door import CommandServer
from openmm.engine.rundir import RunDir, lock_bot
from openmm.errors import CommandError, RiskError
from openmm.settlement import incidents as money
from openmm.telemetry import (
    MISSING,
    BookLevel,
    Counters,
    FillPage,
    OwnLevel,
    StagePage,
    TelemetrySnapshot,
    TelemetryWriter,
    VenuePage,
)

RUNNING, PAUSED, HALTED = 1, 3, 4


def snapshot(bot: str, risk_state: int = RUNNING, reason: str = "") -> TelemetrySnapshot:
    """Return a page of a bot in the middle of its work."""
    return TelemetrySnapshot(
        session=f"{bot}-1",
        bot=bot,
        mode="paper",
        pid=os.getpid(),
        started_ns=time.time_ns() - 75_000_000_000,
        heartbeat_ns=time.time_ns(),
        instrument="BTC/USD",
        base="BTC",
        quote="USD",
        tick_size=Decimal("0.1"),
        lot_size=Decimal("0.00000001"),
        risk_state=risk_state,
        risk_reason=reason,
        incident="book broken once",
        reference_uticks=660_000_500_000,
        base_lots=100_000_000,
        q_lots=-5_000_000,
        x_ppm=-100_000,
        share_ppm=480_000,
        target_ppm=500_000,
        quote_ticklots=70_000 * 10**9,
        realised_ticklots=12 * 10**9,
        unrealised_ticklots=-3 * 10**9,
        fees_ticklots=1 * 10**9,
        equity_ticklots=136_000 * 10**9,
        drawdown_ppm=150,
        rate_level_milli=12_500,
        rate_threshold_milli=180_000,
        counters=Counters(10, 20, 3, 4, 0, 0, 2, 100, 30),
        venues=(
            VenuePage(
                b"kraken-a", 1, 3, 659_999, 660_001, 4_000_000, 1, 900, 1, 0, 600_000, 1, 1, 1
            ),
            VenuePage(b"kraken-b", 0, 1, MISSING, MISSING, MISSING, 2, 10, MISSING, 0, 0, 2, 1, 1),
        ),
        own_bids=(OwnLevel(659_900, 1_000_000, 400_000, 3), OwnLevel(659_800, 1_000_000, 0, 2)),
        own_asks=(OwnLevel(660_100, 1_000_000, 0, 6),),
        book_bids=(BookLevel(659_999, 50_000_000), BookLevel(659_900, 3_000_000)),
        book_asks=(BookLevel(660_001, 70_000_000),),
        fills=(FillPage(time.time_ns(), 1, 659_900, 400_000, 1),),
        stages=tuple(StagePage(9, 1_500, 2_500, 9_500, 20_500) for _ in range(10)),
        refusals=(0, 0, 0, 2),
    )


def incidents(all_of_them: bool) -> dict[str, Any]:
    """Return an open and a resolved incident, as the engine shows them."""
    book, now_ns = money.Incidents(), time.time_ns()
    since_ns = now_ns - 300_000_000_000
    book.open(
        "balance", "BTC", money.Cause.DOUBLED_FILL, "told twice", since_ns, asset="BTC",
        amount=Decimal("-0.25"),
    )  # fmt: skip
    book.note(
        "fill", "E1", money.Cause.MISSED_FILL, "never told", now_ns, "booked from history",
        asset="BTC", amount=Decimal("0.01"),
    )  # fmt: skip
    shown = [one.shown(now_ns) for one in book if all_of_them or one.is_open]
    return {"incidents": shown, "open": book.open_count}


async def run(root: Path, bot: str, exit_code: int) -> None:
    """Hold the lock, serve commands, publish, until stopped."""
    run_dir = RunDir(root, bot).make()
    stopped = asyncio.Event()
    adjusted: list[Adjust] = []
    state, reason = RUNNING, ""
    with lock_bot(run_dir):
        session: dict[str, Any] = {"session": f"{bot}-1", "bot": bot, "state": "running"}
        run_dir.write_session(session | {"config": {"long": True}})
        writer = TelemetryWriter(run_dir.page)
        writer.publish(snapshot(bot))

        async def handle(request: Request) -> dict[str, Any]:
            nonlocal state, reason
            match request.command:
                case Halt():
                    state, reason = HALTED, request.command.reason
                case Pause():
                    state = PAUSED
                case Resume():
                    if state == RUNNING:
                        raise RiskError("the bot is neither paused nor halted but RUNNING")
                    state, reason = RUNNING, ""
                case Tighten() as closer:
                    limits = {"max_orders": "8", "max_drawdown_peak": None} | closer.changes()
                    run_dir.write_session(session | {"tightened": closer.changes()})
                    return {"risk_state": "RUNNING", "limits": limits}
                case Adjust() as wanted:
                    if not wanted.why:
                        raise CommandError("needs a reason", code="bad_adjustment")
                    adjusted.append(wanted)
                    return {
                        "booked": wanted.key not in {one.key for one in adjusted[:-1]},
                        "key": wanted.key, "asset": wanted.asset, "amount": wanted.amount,
                        "expected": "1.5",
                    }  # fmt: skip
                case Incidents() as wanted_list:
                    return incidents(wanted_list.which == "all")
                case Stop():
                    stopped.set()
            writer.publish(snapshot(bot, state, reason))
            return {"risk_state": {1: "RUNNING", 3: "PAUSED", 4: "HALTED"}[state]}

        server = CommandServer(run_dir.socket, handle)
        await server.start()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await stopped.wait()
        await server.close()
        writer.close()
        end = {"state": "ended", "exit_code": exit_code, "open_orders": 0, "reason": "asked"}
        run_dir.write_session(session | (end if exit_code >= 0 else {}))


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2], int((*sys.argv, "0")[3])))
