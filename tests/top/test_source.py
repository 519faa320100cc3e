"""What the terminal dashboard makes of a bot's page: limits in use, and a short past."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from openmm.engine.rundir import RunDir
from openmm.top.source import Use, Watched, uses

D = Decimal


def view(**more: Any) -> dict[str, Any]:
    order = {"price": D(100), "qty": D(3), "filled": D(1), "state": "open"}
    return {
        "inventory": {
            "base_asset": "BTC", "quote_asset": "USD", "off_target": D("-0.2"), "base": D(1),
            "quote": D(5_000), "share_ppm": 480_000, "target_ppm": 500_000,
        },
        "orders": {"bids": [order], "asks": [order | {"price": D(110), "qty": D(2)}]},
        "pnl": {
            "drawdown_ppm": 5_000, "realised": D(7), "unrealised": D(-2), "fees": D(1),
            "equity": D(10_000),
        },
        "rate": {"level": D(30), "threshold": D(120)},
        "model": None,
        "hedge": None,
    } | more  # fmt: skip


def test_each_limit_is_held_against_what_is_used_of_it() -> None:
    risk = {"max_inventory": "0.5", "max_open_notional": "1000", "max_order_size": "4",
            "max_drawdown": "2%"}  # fmt: skip
    assert uses(view(), {"config": {"risk": risk}}) == [
        Use("inventory", D("0.2"), D("0.5"), "BTC"),
        Use("notional", D(310), D(1000), "USD"),
        Use("order", D(2), D(4), "BTC"),
        Use("drawdown", D("0.5"), D(2), "%"),
        Use("rate", D(30), D(120), ""),
    ]
    assert [use.share for use in uses(view(), {"config": {"risk": risk}})] == [
        D("0.4"), D("0.31"), D("0.5"), D("0.25"), D("0.25")
    ]  # fmt: skip


def test_tightened_limit_goes_before_the_files() -> None:
    session = {"config": {"risk": {"max_inventory": "0.5"}}, "tightened": {"max_inventory": "0.2"}}
    assert uses(view(), session)[0] == Use("inventory", D("0.2"), D("0.2"), "BTC")


def test_limits_that_nobody_told_are_left_out() -> None:
    assert [use.name for use in uses(view(), {})] == ["rate"]
    assert Use("x", D(1), D(0), "").share == 1


def test_bot_that_never_ran_shows_as_ended(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path, "new").make()
    run_dir.lock.touch()
    one = Watched(run_dir)
    one.look(1)
    assert (one.phase, one.view, list(one.points)) == ("ended", {}, [])


def test_damaged_session_file_is_told(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path, "bad").make()
    run_dir.lock.touch()
    run_dir.session.write_text("{")
    one = Watched(run_dir)
    one.look(1)
    assert one.phase == "unreadable"
