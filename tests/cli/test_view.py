"""The live view draws every state a snapshot can be in."""

from __future__ import annotations

import io

import pytest
from msgspec.structs import replace
from rich.console import Console

from openmm.cli.run import Lines, line_of
from openmm.cli.view import render
from openmm.telemetry import MISSING, TelemetrySnapshot
from tests.cli.standin import snapshot


def drawn(page: TelemetrySnapshot, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(render(page, "59 s left"))
    return out.getvalue()


def test_view_shows_books_ladder_money_risk_latency_and_fills() -> None:
    text = drawn(snapshot("btc"))
    for part in (
        "btc  paper BTC/USD  75 s  risk running",
        "59 s left",
        "kraken-a *",
        "verified",
        "kraken-b",
        "broken",
        "65,999.9",  # best bid
        "66,000.05",  # reference
        "0.006",  # what is left of a partly filled bid
        " part",
        "-1.52",  # its distance in bps
        "70,000.00",
        "48.00%, 50%",
        "12.0000",
        "-3.0000",
        "12.5 / 180",
        "1.5 us",
        "20.5 us",
        "fills (4)",
        "buy",
        "maker",
        "placed 10",
        "book broken once",
    ):
        assert part in text, part


@pytest.mark.parametrize("width", [60, 80, 200])
def test_view_never_draws_wider_than_the_terminal(width: int) -> None:
    assert max(len(line) for line in drawn(snapshot("btc"), width).splitlines()) <= width


def test_own_levels_stand_in_the_book_best_to_the_middle() -> None:
    lines = drawn(snapshot("btc")).splitlines()

    def row(price: str) -> int:
        return next(i for i, line in enumerate(lines) if line.startswith("│") and price in line)

    assert row("66,010.0") < row("66,000.1") < row("reference") < row("65,990.0") < row("65,980.0")


def test_view_of_a_bot_that_knows_nothing_yet() -> None:
    page = replace(
        snapshot("btc"),
        reference_uticks=MISSING,
        base_lots=MISSING,
        venues=(),
        own_bids=(),
        own_asks=(),
        book_bids=(),
        book_asks=(),
        fills=(),
        stages=(),
        incident="",
    )
    text = drawn(page)
    assert "no reference" in text
    assert "tick to order" in text
    assert "reference -" in line_of(page)


@pytest.mark.parametrize(("state", "word"), [(2, "reducing"), (4, "halted"), (9, "unknown 9")])
def test_view_names_the_risk_state(state: int, word: str) -> None:
    page = replace(snapshot("btc"), risk_state=state, risk_reason="drawdown")
    assert f"risk {word} (drawdown)" in drawn(page)


def test_line_tells_the_state_in_one_line() -> None:
    line = line_of(snapshot("btc"))
    assert "\n" not in line
    for part in ("75 s", "risk running", "kraken-b broken", "orders 2+1", "fills 4", "base 1"):
        assert part in line


def test_lines_come_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    lines, page = Lines(), snapshot("btc")
    for late_ns in (0, 1_000_000_000, 4_999_999_999, 5_000_000_000):
        lines(replace(page, heartbeat_ns=page.heartbeat_ns + late_ns))
    assert len(capsys.readouterr().out.splitlines()) == 2
