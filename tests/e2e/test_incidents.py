"""Planted faults of the money on every traded venue: the right incident, alert and state.

Virtual time; see `planted.py` for the bot and its venue.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from openmm._fast.checks import RiskState
from openmm.engine.commands import Adjust
from openmm.engine.replay import replay
from openmm.errors import CommandError
from tests.e2e.planted import PLACES, Planted

pytestmark = pytest.mark.slow
VENUES = sorted(PLACES)


@pytest.fixture
def planted(tmp_path: Path) -> Callable[..., Planted]:
    def make(venue: str, **other: object) -> Planted:
        made = Planted(venue, tmp_path, **other)  # type: ignore[arg-type]
        made.bot.start()
        return made

    return make


@pytest.mark.parametrize("venue", VENUES)
def test_fill_that_only_the_history_tells_is_booked_and_named(
    planted: Callable[..., Planted], venue: str
) -> None:
    lost = {"kind": "lost", "on": "executions", "at": "20s", "for": "15s"}
    one = planted(venue, faults=[lost])
    one.bot.run(22)
    one.hit()
    told = one.until_told(cause="missed_fill")
    assert (told.kind, told.state, told.severity) == ("reconciliation_fill", "resolved", "warning")
    assert told.asset == one.base
    assert told.amount
    one.bot.run(15)
    assert one.incident(kind="reconciliation_balance") is None
    assert one.bot.stop() == 0
    assert one.bot.differences() == {}


@pytest.mark.parametrize("venue", VENUES)
def test_balance_off_by_one_unit_stays_open_until_it_is_adjusted(
    planted: Callable[..., Planted], venue: str
) -> None:
    one = planted(venue, keep=True)
    one.bot.run(20)
    one.core.tamper(one.account, one.base, -1)
    told = one.until_told(asset=one.base, state="open")
    unit = Decimal(1).scaleb(-one.core.asset_decimals(one.base))
    assert (told.kind, told.amount, told.cause) == ("reconciliation_balance", -unit, "unknown")
    assert one.bot.step.last_incident == told.text
    assert one.bot.tables.monitor.state is RiskState.RUNNING
    session = one.bot.session_id
    right = Adjust(one.base, f"{-unit:f}", "lost in a round", "k1", session)
    for wrong in (
        Adjust(one.base, f"{-unit:f}", " ", "k0", session),
        Adjust("NONE", "1", "why", "k0", session),
        Adjust(one.base, "0", "why", "k0", session),
        Adjust(one.base, "much", "why", "k0", session),
        Adjust(one.base, "1", "why", "", session),
        Adjust(one.base, "1", "why", "k0", "another"),
    ):
        with pytest.raises(CommandError) as caught:
            one.bot.command(wrong)
        assert caught.value.code == "bad_adjustment"
    assert one.bot.command(right)["booked"] is True
    assert one.bot.command(right)["booked"] is False
    with pytest.raises(CommandError, match="k1 has booked"):
        one.bot.command(Adjust(one.base, "1", "why", "k1", session))
    ended = one.until_told(asset=one.base, state="resolved")
    assert ended.number == told.number
    assert "lost in a round" in ended.resolution
    assert one.bot.stop() == 0
    # Statements, lists and the adjustment are inputs like any: the session replays with them.
    again = replay(one.records)
    assert again.difference is None
    assert again.states


def test_difference_that_grows_halts_though_statements_are_far_apart(
    planted: Callable[..., Planted],
) -> None:
    one = planted("kraken", reconcile_every="2m", halt_above="0.1%")
    one.bot.run(20)
    one.core.tamper(one.account, one.base, -1)
    one.until_told(asset=one.base, state="open")
    one.bot.run(300)
    assert one.bot.tables.monitor.state is RiskState.RUNNING
    one.core.tamper(one.account, one.base, -one.atoms(one.base, "0.1"))
    one.until(lambda: one.bot.tables.monitor.state is RiskState.HALTED, 180)


def test_asset_beside_the_traded_ones_that_moved_unseen_can_be_adjusted(
    planted: Callable[..., Planted],
) -> None:
    one = planted("kraken", third=True)
    one.bot.run(20)
    asset = one.place.third
    one.core.tamper(one.account, asset, one.atoms(asset, "0.5"))
    told = one.until_told(asset=asset, state="open")
    assert told.amount == Decimal("0.5")
    session = one.bot.session_id
    assert one.bot.command(Adjust(asset, "0.5", "staking", "k1", session))["booked"] is True
    assert one.until_told(asset=asset, state="resolved").number == told.number
    assert one.bot.step.expected()[asset] == Decimal("2.5")
    assert one.bot.stop() == 0
    assert one.bot.differences() == {}


@pytest.mark.parametrize("venue", VENUES)
def test_fee_in_a_third_asset_is_booked_where_it_was_charged(
    planted: Callable[..., Planted], venue: str
) -> None:
    one = planted(venue, third=True)
    one.core.charge_fees_in(one.place.third, 1, 3000)
    told = one.until_told(cause="third_asset_fee")
    assert (told.asset, told.state, told.severity) == (one.place.third, "resolved", "warning")
    assert told.amount is not None
    assert told.amount < 0
    one.bot.run(35)
    assert one.incident(state="open") is None
    assert one.bot.stop() == 0
    assert one.bot.step.expected()[one.place.third] < 2
    assert one.bot.differences() == {}


MOVED = [(venue, amount) for venue in VENUES for amount in ("3000", "-2000")]


SOAK = os.environ.get("OPENMM_SOAK") == "1"


@pytest.mark.parametrize(("venue", "amount"), MOVED if SOAK else [MOVED[at] for at in (0, 3, 4, 7)])
def test_money_moved_in_or_out_is_no_profit(
    planted: Callable[..., Planted], venue: str, amount: str
) -> None:
    one = planted(venue)
    one.bot.run(20)
    drawdown = one.bot.tables.monitor.drawdown_ppm or 0
    moves = one.place.moves or ("deposit", "withdrawal")
    kind = moves[0] if amount[0] != "-" else moves[1]
    one.core.transfer(one.account, one.quote, one.atoms(one.quote, amount), kind, one.bot.now_ns)
    told = one.until_told(asset=one.quote)
    assert told.amount == Decimal(amount)
    if one.place.moves is None:
        # Only totals are told here: nothing says why, so an operator has to.
        assert (told.cause, told.state) == ("unknown", "open")
        assert one.bot.tables.monitor.halt_reason == "reconciliation"
        session = one.bot.session_id
        one.bot.command(Adjust(one.quote, amount, "moved by hand", "k1", session))
        one.until_told(asset=one.quote, state="resolved")
        assert one.bot.stop() == 3
    else:
        cause = "deposit" if amount[0] != "-" else "withdrawal"
        assert (told.cause, told.state, told.severity) == (cause, "resolved", "info")
        one.bot.run(40)
        assert len(one.told) == 1
        assert one.bot.stop() == 0
    # 5% of the equity moved: as a loss it would show, and halt.
    assert (one.bot.tables.monitor.drawdown_ppm or 0) < drawdown + 2_000
    assert one.bot.differences() == {}


@pytest.mark.parametrize("venue", VENUES)
def test_fill_doubled_under_another_id_is_named_in_both_assets(
    planted: Callable[..., Planted], venue: str
) -> None:
    one = planted(venue)
    one.bot.run(20)
    one.hit()
    one.bot.run(2)
    again = one.core.tell_again(one.account, one.bot.now_ns)
    qty = one.bot.step.instrument.qty(again.qty_lots) * (-1 if again.side == 1 else 1)
    told = one.until_told(asset=one.base, cause="doubled_fill", state="open")
    assert told.kind == "reconciliation_balance"
    fee = 0 if venue in ("kraken", "mexc") else abs(qty) * Decimal("0.0001")
    assert told.amount == qty + (fee if again.side == 1 else 0)
    assert one.until_told(asset=one.quote, cause="doubled_fill", state="open").amount
    # Worth more than a thousandth of the equity: it quotes no more.
    assert one.bot.tables.monitor.halt_reason == "reconciliation"
    for asset, (ours, theirs) in one.bot.differences().items():
        why = "fill told twice"
        one.bot.command(Adjust(asset, f"{theirs - ours:f}", why, asset, one.bot.session_id))
        one.until_told(asset=asset, state="resolved")
    assert one.bot.differences() == {}
    assert one.bot.stop() == 3


HOURS = 6 if SOAK else 0.02


@pytest.mark.parametrize("venue", VENUES)
def test_late_and_overtaken_reports_raise_no_incident(
    planted: Callable[..., Planted], venue: str
) -> None:
    channels = ["executions", "balances"]
    one = planted(
        venue,
        faults=[
            {"kind": "late", "on": channels, "by": "700ms", "every": "4s"},
            {"kind": "late", "on": "executions", "by": "3s", "every": "40s"},
            {"kind": "late", "on": "balances", "by": "3s", "every": "30s"},
            {"kind": "reordered", "on": channels, "by": "900ms", "every": "5s"},
            {"kind": "doubled", "on": channels, "every": "20s"},
            {"kind": "late", "on": ["rest.Balance", "rest.BalanceEx"], "by": "2s", "every": "60s"},
        ],
        reconcile_every="5s",
    )
    one.bot.run(HOURS * 3600)
    assert one.fills() > 3
    struck = one.bot.venue.strikes.struck
    assert struck["late executions"] > 3
    assert struck["reordered executions"] > 3
    assert one.told == []
    assert one.bot.tables.monitor.halt_reason == ""
    assert one.bot.stop() == 0
    assert one.bot.differences() == {}
    assert one.told == []
