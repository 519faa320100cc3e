"""What a session leaves for the next one: totals, fills since, and the incident of what differs."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from openmm.engine.carried import Left, carried, take_left, write_left
from openmm.events import Fee, OrderFilled
from tests.e2e.planted import Planted
from tests.engine.test_admission import btc

LEFT = Left(5, {"BTC": Decimal("1.5"), "USD": Decimal(100), "ETH": Decimal(2)}, ["A", "B"])


def fill(exec_id: str, *, side: int = 1, instrument: str = "BTC/USD") -> OrderFilled:
    return OrderFilled(
        exec_id=exec_id, venue_order_id="V1", client_id="", instrument=instrument, side=side,
        price_ticks=10, qty_lots=50_000_000, cost=Decimal(30), fees=(Fee("USD", Decimal("0.1")),),
        maker=True, ts_ns=4, qty=None if instrument == "BTC/USD" else Decimal(7),
    )  # fmt: skip


def test_fills_since_the_end_are_counted_once() -> None:
    found = carried(LEFT, [fill("A"), fill("C"), fill("D", side=2)], btc())
    assert found == {"BTC": Decimal("1.5"), "USD": Decimal("99.8")}


def test_fill_of_another_pair_moves_the_quote_asset_alone() -> None:
    assert carried(LEFT, [fill("C", instrument="XRP/USD")], btc()) == {
        "BTC": Decimal("1.5"), "USD": Decimal("69.9"),
    }  # fmt: skip


def test_file_is_taken_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "left"
    write_left(path, LEFT)
    assert path.stat().st_mode & 0o777 == 0o600
    assert take_left(path) == LEFT
    assert take_left(path) is None


def test_file_that_cannot_be_read_keeps_no_bot_from_starting(tmp_path: Path) -> None:
    path = tmp_path / "left"
    path.write_text("{")
    assert take_left(path) is None
    assert not path.exists()


def forget_tapes(folder: Path) -> None:
    """Take away what no writer process was there to write out: each bot reads its own."""
    for path in folder.glob("kraken/*.tape"):
        path.unlink()


def test_money_that_moved_between_two_sessions_is_named_and_no_error(tmp_path: Path) -> None:
    first = Planted("kraken", tmp_path)
    first.bot.start()
    first.bot.run(20)
    first.hit()
    first.bot.run(5)
    assert first.bot.stop() == 0
    left = first.bot.step.expected()
    forget_tapes(tmp_path)
    # The venue of the second one never heard of the first: it opens with 1 BTC and 60,000 USD.
    second = Planted("kraken", tmp_path, seed=4)
    second.bot.start()
    second.bot.run(1)
    opened = {"BTC": Decimal(1), "USD": Decimal(60_000)}
    for asset, total in opened.items():
        told = second.until_told(asset=asset, cause="while_down")
        assert told.amount == total - left[asset]
        assert (told.state, told.severity) == ("resolved", "warning")
    assert second.bot.stop() == 0


def test_balance_that_is_as_it_was_left_is_no_incident(tmp_path: Path) -> None:
    for _ in range(2):
        one = Planted("kraken", tmp_path)
        one.bot.start()
        assert one.bot.stop() == 0
        assert one.fills() == 0
        assert one.told == []
        forget_tapes(tmp_path)
