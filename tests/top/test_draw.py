"""The drawing: our orders are on the book and marked, by words and marks rather than by colour."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from openmm.top import draw
from openmm.top.source import Point, Use
from tests.top.test_source import view

D = Decimal


def text_of(drawn: RenderableType, width: int = 78) -> str:
    """Return what a screen without colour shows."""
    console = Console(file=StringIO(), width=width, no_color=True, legacy_windows=False)
    console.print(drawn)
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


def on_book(**more: Any) -> dict[str, Any]:
    return view(
        book={
            "bids": [[D(99), D(1)], [D(98), D(2)], [D(97), D(1)]],
            "asks": [[D(101), D(1)], [D(102), D(2)], [D(103), D(1)]],
        },
        reference={"price": D(100), "sources": []},
        orders={
            "bids": [{"price": D(98), "qty": D("0.5"), "filled": D("0.2"), "state": "open"},
                     {"price": D(90), "qty": D(1), "filled": D(0), "state": "pending_new"}],
            "asks": [{"price": D(102), "qty": D(1), "filled": D(0), "state": "unknown"}],
        },
        **more,
    )  # fmt: skip


def test_ladder_marks_our_orders_among_the_books() -> None:
    lines = text_of(draw.ladder(on_book(), 8)).splitlines()
    cells = [line.split() for line in lines if line.strip()]
    assert cells[1:] == [
        ["103", "1.0000", "+300.0"],
        ["102", "2.0000", "1.0000", "+200.0", "◄", "UNKNOWN"],
        ["101", "1.0000", "+100.0"],
        ["100.00", "ref"],
        ["99", "1.0000", "-100.0"],
        ["98", "2.0000", "0.3000", "-200.0", "◄", "open"],
        ["90", "1.0000", "-1000.0", "◄", "sent"],
    ]


def test_ladder_keeps_ours_when_there_is_little_room() -> None:
    out = text_of(draw.ladder(on_book(), 5))
    assert out.count("◄") == 2  # the best of each side
    assert "97" not in out


def test_ladder_says_when_there_is_no_reference() -> None:
    assert "no reference" in text_of(draw.ladder(on_book() | {"reference": {"price": None}}, 8))


def test_chart_puts_the_newest_right_and_prices_at_their_heights() -> None:
    points = [Point(D(100 + n), D(99 + n), D(101 + n)) for n in range(4)]
    lines = text_of(draw.chart(points, 10, 6)).splitlines()
    assert [line[:4] for line in lines] == ["   ▔", "  ▔•", " ▔•▁", "▔•▁ ", "•▁  ", "▁   "]
    assert "104.0" in lines[0]
    assert "99.0" in lines[5]
    assert "no price yet" in text_of(draw.chart([], 10, 6))
    flat = [Point(D(5), None, None)] * 3
    assert "•••" in text_of(draw.chart(flat, 10, 3))


@pytest.mark.parametrize(
    ("at", "shown"),
    [("-2", "[●───┼────]"), ("-1", "[●───┼────]"), ("0", "[────●────]"), ("1", "[────┼───●]")],
)
def test_needle_stands_between_the_limits(at: str, shown: str) -> None:
    assert draw.needle(D(at), 9).plain == shown


def test_limits_show_their_use_in_per_cent() -> None:
    found = [Use("inventory", D("0.25"), D("0.5"), "BTC"), Use("drawdown", D(3), D(2), "%")]
    out = text_of(draw.limits(found, 60))
    assert " 50%" in out
    assert "0.25/0.5 BTC" in out
    assert "100%" in out


def test_stock_shows_what_was_won_after_fees() -> None:
    out = text_of(draw.stock(view(), None))
    assert "+4.00" in out
    assert "48.00%, 50%" in out


def test_incidents_show_what_is_open_and_what_went_wrong_last() -> None:
    row = {"number": 3, "state": "open", "asset": "BTC", "amount": "0.1", "age_ns": 61 * 10**9,
           "cause": "unknown", "text": "nothing tells"}  # fmt: skip
    out = text_of(draw.incidents([row], "", "book broken: gap"), 100)
    assert "unknown: nothing tells" in out
    assert "1m01s" in out
    assert "book broken: gap" in out
    assert "none" in text_of(draw.incidents([], "", ""))
    assert "does not answer" in text_of(draw.incidents(None, "it does not answer", ""))


def test_numbers_are_told_in_few_places() -> None:
    assert [draw.short(D(x)) for x in ("0.05000000", "20000", "1042.123", "0")] == [
        "0.05", "20.0k", "1042.1", "0"
    ]  # fmt: skip
    assert [draw.few(D(x)) for x in ("0.00868864", "0.00000001", "12.50")] == [
        "0.0087", "0.00000001", "12.5"
    ]  # fmt: skip
    assert [draw.span(s) for s in (5, 65, 3_700, 90_000)] == ["5s", "1m05s", "1h01m", "1d01h"]
    assert [draw.micros(ns) for ns in (1_500, 12_000_000)] == ["1.5 us", "12.0 ms"]
    assert draw.bar(D("0.5"), 4) == "██░░"
    assert draw.bar(D("0.3"), 4) == "█▏░░"


MODEL = {
    "gamma": D("0.05"), "skew_full": D("0.0006"), "half": D("0.0001"), "sigma": D("0.00005"),
    "decay": D("0.000075"), "arrival": D("1.25"), "fitted": True,
}  # fmt: skip


def test_stock_shows_a_models_parameters_in_both_forms() -> None:
    out = text_of(draw.stock(view(model=MODEL), None))
    cells = [line.split() for line in out.splitlines()]
    for row in (
        ["skew", "at", "full", "6", "bps"],
        ["gamma", "per", "USD", "0.05"],
        ["model", "half", "1", "bps"],
        ["1/k", "0.75", "bps"],
        ["A", "1.25/s"],
    ):
        assert row in cells
    guessed = text_of(draw.stock(view(model=MODEL | {"fitted": False, "arrival": D(0)}), None))
    assert "1/k (as told)" in guessed
    assert "/s" not in guessed
    assert "gamma" not in text_of(draw.stock(view(), None))
