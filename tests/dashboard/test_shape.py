"""Telemetry as what is shown."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from openmm._fast.checks import RiskState
from openmm._fast.orders import OrderState
from openmm.control.views import BotState
from openmm.dashboard import shape, words
from openmm.dashboard.patch import Sheet
from openmm.telemetry import (
    LIMITS,
    MISSING,
    BookLevel,
    LimitPage,
    ModelPage,
    OwnLevel,
    TelemetrySnapshot,
)
from tests.test_telemetry import NOW_NS, full, snapshot

OPEN = int(OrderState.OPEN)


def state(page: TelemetrySnapshot | None, page_state: str, running: bool = True) -> BotState:
    return BotState("btc-grid", running, 1 if running else None, {}, page, page_state)


@pytest.mark.parametrize(
    ("page_state", "running", "risk", "word", "tone"),
    [
        ("alive", True, RiskState.RUNNING, "running", "good"),
        ("alive", True, RiskState.HALTED, "halted", "bad"),
        ("alive", True, RiskState.PAUSED, "paused", "warn"),
        ("stale", True, RiskState.RUNNING, "no heartbeat", "bad"),
        ("dead", False, RiskState.RUNNING, "dead", "bad"),
        ("ended", False, RiskState.RUNNING, "stopped", "dim"),
        ("ended", True, RiskState.RUNNING, "ended", "bad"),
    ],
)
def test_engine_that_is_not_alive_is_never_called_running(
    page_state: str, running: bool, risk: RiskState, word: str, tone: str
) -> None:
    known = shape.Known(state(snapshot(risk_state=int(risk)), page_state, running), NOW_NS)
    assert known.condition == (word, tone)
    assert known.alive is (page_state == "alive" and running)


def test_bot_without_a_page_says_whether_it_starts() -> None:
    assert shape.Known(state(None, "absent"), NOW_NS).condition[0] == "starting"
    assert shape.Known(state(None, "absent", False), NOW_NS).condition[0] == "never ran"


def test_head_of_a_silent_bot_says_that_it_is_its_last_word() -> None:
    sheet = Sheet()
    shape.head(sheet, shape.Known(state(full(), "stale"), NOW_NS + 10**10), "btc-grid")
    assert sheet.text["why"] == "the engine publishes nothing: what is shown is its last word"
    assert (sheet.text["beat"], sheet.tone["beat"]) == ("10.0 s", "bad")
    assert sheet.more["alive"] is False


def test_ladder_marks_ours_and_adds_up() -> None:
    page = snapshot(
        book_asks=(BookLevel(1011, 500), BookLevel(1013, 250)),
        book_bids=(BookLevel(1009, 100), BookLevel(1008, 300)),
        own_asks=(OwnLevel(1013, 70, 20, OPEN), OwnLevel(1030, 10, 0, OPEN)),
        own_bids=(OwnLevel(1008, 40, 0, OPEN),),
    )
    sheet = Sheet()
    shape.ladder(sheet, page, rows=3)
    shown = [
        [cell if isinstance(cell, str) else cell[0] for cell in row["c"]]
        for row in sheet.rows["ladder"]
    ]
    assert shown == [
        ["0.00000010", "103.0", "–", ""],  # deeper than the page's book
        ["0.00000050", "101.3", "0.00000250", "0.0000"],
        ["", "101.1", "0.00000500", "0.0000"],
        ["", "101.00", "0.2 · 19.80 bps", ""],
        ["", "100.9", "0.00000100", "0.0000"],
        ["0.00000040", "100.8", "0.00000300", "0.0000"],
        ["", "", "", ""],
    ]
    assert [row["t"] for row in sheet.rows["ladder"]] == [
        "ask own", "ask own", "ask", "touch", "bid", "bid own", "bid",
    ]  # fmt: skip


def test_levels_always_keep_our_deep_orders_and_add_up_to_each() -> None:
    book = [BookLevel(100 + i, 10) for i in range(10)]
    own = [OwnLevel(200 + i, 1, 0, OPEN) for i in range(3)]
    found = shape.levels(book, own, 6, rising=True)
    assert [one[0] for one in found] == [100, 101, 102, 200, 201, 202]
    assert [one[3] for one in found] == [10, 20, 30, 30, 30, 30]
    falling = shape.levels([BookLevel(100 - i, 5) for i in range(3)], [], 6, rising=False)
    assert [one[0] for one in falling] == [100, 99, 98]
    assert shape.levels([], own, 2, rising=True)[0][:2] == (200, None)


def test_limits_show_the_fullest_first_with_their_units() -> None:
    page = snapshot(
        limits=tuple(
            LimitPage(1000, 950) if name == "orders"
            else LimitPage(20_000, 5_000) if name == "drawdown"
            else LimitPage(MISSING, MISSING)
            for name, _ in LIMITS
        )
    )  # fmt: skip
    sheet = Sheet()
    shape.in_use(sheet, page)
    rows = sheet.rows["in_use"]
    assert [row["c"][0] for row in rows] == ["orders", "drawdown"]
    assert rows[0]["c"][3][:2] == ["95%", "bad"]
    assert rows[1]["c"][1][0] == "0.50%"
    assert rows[1]["c"][2] == "2.00%"


def test_orders_by_hand_are_told_with_their_client() -> None:
    page = snapshot(
        own_bids=(
            OwnLevel(1008, 40, 0, OPEN, 1, NOW_NS - 10**9, b"hand-1"),
            OwnLevel(1007, 40, 10, int(OrderState.UNKNOWN), 0, NOW_NS, b"grid-1"),
        )
    )
    sheet = Sheet()
    shape.orders(sheet, page, {"hand-1": "desk"}, NOW_NS)
    first, second = sheet.rows["orders"]
    assert first["c"][6] == ["desk", "ours"]
    assert first["c"][5] == "1.0 s"
    assert first["id"] == "hand-1"
    assert second["c"][4] == ["unknown", "bad"]
    assert second["c"][6] == ["ladder", "dim"]


def test_full_page_is_shown_whole() -> None:
    page, sheet = full(), Sheet()
    for show in (
        shape.ladder, shape.inventory, shape.money, shape.quotes, shape.latencies, shape.venues,
        shape.in_use,
    ):  # fmt: skip
        show(sheet, page)
    assert len(sheet.rows["ladder"]) == 2 * shape.ROWS_A_SIDE + 1
    assert len(sheet.rows["venues"]) == len(page.venues)
    assert len(sheet.rows["latency"]) == len(page.stages)
    assert sheet.text["n_placed"] == "1"
    # Not rounded on the way: these do not fit a float.
    net = page.money(page.realised_ticklots + page.unrealised_ticklots - page.fees_ticklots)
    assert shape.net_of(page) == net == Decimal(-(1 << 90)) * page.tick_size * page.lot_size


def test_a_models_parameters_are_shown_in_both_forms() -> None:
    model = ModelPage(
        risk_uticks=20_000 * 10**6, order_lots=1_000_000, skew_uticks=360 * 10**6,
        half_uticks=60 * 10**6, decay_uticks=45 * 10**6, arrival_uhz=1_250_000, fitted=1,
    )  # fmt: skip
    page, sheet = snapshot(reference_uticks=600_000 * 10**6, model=model), Sheet()
    shape.quotes(sheet, page)
    told = {name: sheet.text[f"model_{name}"] for name in ("skew_full", "gamma", "half", "decay")}
    assert told == {"skew_full": "6 bps", "gamma": "0.05", "half": "1 bps", "decay": "0.75 bps"}
    assert sheet.text["model_arrival"] == "1.25/s"
    shape.quotes(sheet, replace(page, model=model._replace(fitted=0)))
    assert sheet.text["model_arrival"] == "1.25/s (as told)"
    shape.quotes(sheet, snapshot())
    assert sheet.text["model_gamma"] == words.NONE
