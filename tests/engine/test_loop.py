"""The life of a session: what a start refuses, what its end leaves armed when nothing is proven."""

from __future__ import annotations

import asyncio
import gc
import weakref
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from openmm._fast.checks import RiskState
from openmm.engine import loop
from openmm.engine.loop import EXIT_DONE, EXIT_FAILED, Engine
from openmm.errors import ConfigErrors
from openmm.sim.options import SimOptions
from openmm.testing.virtual import VirtualBot
from tests.e2e import virtual
from tests.e2e.virtual import config

SECOND = 1_000_000_000


def winding_down(*, closed: bool) -> tuple[int, list[bool]]:
    """Wind an engine down whose orders are proven gone, or not."""
    sent: list[bool] = []

    async def answer(value: bool) -> bool:
        return value

    async def disarm() -> None:
        sent.append(False)

    parts: Any = SimpleNamespace(
        config=SimpleNamespace(dead_man_ns=60_000_000_000),
        exit_code=EXIT_DONE,
        _hedger=None,
        _proof=SimpleNamespace(close_all=lambda: answer(closed), settle=lambda: answer(True)),
        _traffic=SimpleNamespace(disarm_dead_man=disarm),
        tables=SimpleNamespace(monitor=SimpleNamespace(state=RiskState.RUNNING)),
    )
    asyncio.run(Engine._wind_down(parts))
    return parts.exit_code, sent


@pytest.mark.parametrize(
    ("closed", "code", "sent"), [(True, EXIT_DONE, [False]), (False, EXIT_FAILED, [])]
)
def test_dead_mans_switch_stays_armed_unless_everything_is_proven_closed(
    closed: bool, code: int, sent: list[bool]
) -> None:
    assert winding_down(closed=closed) == (code, sent)


@pytest.mark.parametrize(("step_s", "halted"), [(-3, True), (3, True), (-1, False)])
def test_step_of_the_machines_clock_past_the_limit_halts(
    step_s: int, halted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CLOCK_LOOK_S", 0.0)
    monkeypatch.setattr(loop, "CLOCK_LOOKS", 3)
    steps = iter([0, step_s * SECOND, 0, 0])
    alerts: list[str] = []
    trips: list[str] = []
    anchors: list[int] = []
    measured: list[int] = []

    async def measure() -> None:
        measured.append(len(anchors))

    def stepped() -> int:
        try:
            return next(steps)
        except StopIteration:
            raise asyncio.CancelledError from None

    def anchor() -> int:
        anchors.append(step_s * SECOND)
        return anchors[-1]

    parts: Any = SimpleNamespace(
        config=SimpleNamespace(risk=SimpleNamespace(max_clock_offset_ns=2 * SECOND)),
        _proof=SimpleNamespace(measure_clock=measure),
        _clock=SimpleNamespace(stepped_ns=stepped, anchor=anchor, now_ns=lambda: 7),
        _alert=lambda _severity, text: alerts.append(text),
        _handle=lambda requests: None,
        step=SimpleNamespace(trip=lambda text, _now_ns: trips.append(text)),
    )
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(Engine._watch_clock(parts))
    told = [f"the machine's clock stepped by {step_s}.000 s"] if halted else []
    assert trips == alerts == told
    # At once after a step, and by the way every third look: anchored, then compared to the venue.
    assert measured == ([1, 2] if halted else [1])


def test_an_error_of_who_is_told_of_fills_halts_and_lets_the_booking_finish() -> None:
    order: list[str] = []

    def broken(event: object) -> None:
        raise OSError(28, "No space left on device")

    async def booking() -> None:
        parts: Any = SimpleNamespace(_on_fill=broken, _hedger=None, _kill=order.append)
        Engine._tell_fill(parts, SimpleNamespace())  # type: ignore[arg-type]
        order.append("booked")
        await asyncio.sleep(0)

    asyncio.run(booking())
    told = "on_fill failed: OSError: [Errno 28] No space left on device"
    assert order == ["booked", told]


# keys to set, a piece of what is told; the venue's price is 1000 USD, its tick 0.1
IMPOSSIBLE: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"order_amount": "0.0004"}, {}, "strategy.order_amount: worth at least the venue's minimum"),
    ({"spread": "50ppm"}, {}, "strategy.spread: at least a tick"),
    ({"level_step": "50ppm"}, {}, "strategy.level_step: at least a tick"),
    ({}, {"max_order_notional": "9"}, "within risk.max_order_notional, 9"),
    ({}, {"max_open_notional": "50"}, "risk.max_open_notional: at least the whole ladder"),
]


@pytest.mark.parametrize(("strategy", "risk", "told"), IMPOSSIBLE)
def test_file_impossible_at_the_venues_price_is_refused_at_start(
    strategy: dict[str, Any], risk: dict[str, Any], told: str, tmp_path: Path
) -> None:
    bot = priced(tmp_path, strategy, risk)
    with pytest.raises(ConfigErrors) as refused:
        bot.start()
    lines = str(refused.value).splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("virtual: ")
    assert told in lines[0]
    assert bot.venue.connections == []
    assert bot.open_orders() == []


def test_file_possible_at_the_venues_price_quotes(tmp_path: Path) -> None:
    bot = priced(tmp_path, {}, {})
    bot.start()
    bot.run(5)
    assert len(bot.open_orders()) == 6
    assert bot.stop() == EXIT_DONE


def priced(folder: Path, strategy: dict[str, Any], risk: dict[str, Any]) -> VirtualBot:
    """Make a bot whose venue trades at 1000 USD, the order worth 10."""
    return VirtualBot(
        config(strategy={"spread": "10bps", "level_step": "2bps"} | strategy, **risk),
        SimOptions(start_price=Decimal(1000), maker_fee_ppm=0, taker_fee_ppm=1000,
                   balances={"BTC": Decimal(1), "USD": Decimal(1000)}),
        folder,
    )  # fmt: skip


def test_engine_that_has_ended_leaves_no_memory_out_of_reach_of_collections(
    tmp_path: Path,
) -> None:
    def session(number: int) -> weakref.ref[object]:
        bot = virtual.bot(tmp_path / str(number), 3)
        bot.start()
        assert gc.get_freeze_count() > 0
        bot.run(1)
        assert bot.stop() == 0
        return weakref.ref(bot.engine)

    ended = [session(number) for number in range(2)]
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert [one() for one in ended] == [None, None]
