"""A bot's hedge: its terms from the file, what the quotes are told, money that differs."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from openmm import BotConfig, parse
from openmm._fast.units import Side
from openmm.clock import RealClock
from openmm.config import Hedge
from openmm.engine.hedger import Hedger, Told, hedge_terms, log_name
from openmm.engine.hedging import Hedging
from openmm.events import Fee, OrderFilled
from openmm.execution.hedge import HedgeUnits
from openmm.execution.hedge.messages import BookSeen, Incident, VenueSeen
from openmm.sim.dialects import GATEIO_PAIRS, KRAKEN_PAIRS

QUOTING = GATEIO_PAIRS["BTC/USDT"][0]
PAIR = KRAKEN_PAIRS["BTC/USD"][0]
UNITS = HedgeUnits.of(QUOTING, PAIR, Fraction(1))
TABLE: dict[str, Any] = {
    "venue": "kraken", "pair": "BTC/USD", "price_rate": "1", "unhedged_max": "0.256",
    "slippage": "1%", "taker_fee": "0.04%", "resume_after": "0s",
}  # fmt: skip


def config_of(**changes: Any) -> BotConfig:
    return parse(
        {
            "bot": {"name": "cross", "mode": "paper"},
            "venue": [{"name": "gateio", "quote": "BTC/USDT"}],
            "strategy": {
                "kind": "grid", "spread": "2%", "order_amount": "0.01", "num_orders": 2,
                "rebalance_threshold": "10%",
            },
            "risk": {
                "max_order_size": "0.05", "max_open_notional": "20000", "max_inventory": "0.5",
                "max_drawdown": "2%",
            },
            "settlement": {"alert_above": "0.01%", "halt_above": "1%"},
            "hedge": TABLE | changes,
        }
    )  # fmt: skip


# a key, its value, the field of the terms that follows from it, and what that is
TERMS: list[tuple[str, str | int, str, int | str]] = [
    ("unhedged_max", "0.1", "unhedged_atoms_max", UNITS.atoms(Decimal("0.1"))),
    ("slippage", "2%", "slippage_ppm", 20_000),
    ("urgent", "25%", "urgent_atoms", UNITS.atoms(Decimal("0.064"))),
    ("order_max", "0.01", "order_lots_max", PAIR.exact_lots(Decimal("0.01"))),
    ("when", "profitable", "when", "profitable"),
    ("delay", "2s", "delay_ns", 2_000_000_000),
    ("edge_min", "1bps", "edge_ppm_min", 100),
    ("latency_allowance", "2bps", "latency_ppm", 200),
    ("slippage_allowance", "3bps", "allowance_ppm", 300),
    ("deadline", "20s", "deadline_ns", 20_000_000_000),
    ("max_book_age", "2s", "book_ns_max", 2_000_000_000),
    ("resume_after", "1s", "resume_ns", 1_000_000_000),
    ("exposure_max", "20s", "exposure_ns_max", 20_000_000_000),
    ("doubt_max", "7s", "doubt_ns_max", 7_000_000_000),
    ("attempts_max", 3, "attempts_max", 3),
]


def terms_of(**changes: Any) -> dict[str, Any]:
    hedge = config_of(**changes).hedge
    assert hedge is not None
    made = hedge_terms(hedge, UNITS, 400)
    return {name: getattr(made, name) for name in made.__struct_fields__}


@pytest.mark.parametrize(("key", "value", "field", "wanted"), TERMS)
def test_each_key_changes_its_term_and_no_other(
    key: str, value: str | int, field: str, wanted: int | str
) -> None:
    before, after = terms_of(), terms_of(**{key: value})
    assert before[field] != after[field] == wanted
    beside = {"urgent_atoms"} if key == "unhedged_max" else set()  # it is a share of it
    assert {name for name in before if before[name] != after[name]} - beside == {field}


def test_the_fee_of_the_venue_is_a_term_and_the_log_is_one_of_mode_venue_and_pair() -> None:
    hedge = config_of().hedge
    assert isinstance(hedge, Hedge)
    assert hedge_terms(hedge, UNITS, 123).taker_fee_ppm == 123
    assert log_name(config_of()) == "hedge-paper-kraken-BTC-USD.log"


class Heard:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.filled: list[OrderFilled] = []
        self.differs: list[tuple[str, Decimal, bool]] = []

    def hedge_told(self, told: Told) -> None:
        self.told.append(told)

    def hedge_filled(self, event: OrderFilled) -> None:
        self.filled.append(event)

    def hedge_incident(self, incident: Incident) -> None:
        raise AssertionError(incident)

    def hedge_differs(self, text: str, asset: str, amount: Decimal, *, halt: bool) -> None:
        assert asset in text
        self.differs.append((asset, amount, halt))


@pytest.fixture
def one(tmp_path: Path) -> Iterator[tuple[Hedger, Heard]]:
    """Make a hedge whose venue is up, at 60,000 with a spread of 2 ticks."""
    config, heard = config_of(), Heard()
    hedger = Hedger(config, None, RealClock(), tmp_path, heard)
    assert config.hedge is not None
    venue: Any = SimpleNamespace(name="kraken", now_ns=lambda: 10)
    hedger._made = Hedging(
        venue, UNITS, hedge_terms(config.hedge, UNITS, 400), tmp_path / "log",
        on_hedged=hedger._on_hedged,
    )  # fmt: skip
    hedger._flow = {"BTC": Decimal(0), "USD": Decimal(0)}
    machine = hedger.hedging.machine
    machine.apply(VenueSeen(10, True))
    book(hedger, 1)
    hedger.begin()
    yield hedger, heard
    hedger.hedging.drop()


def book(hedger: Hedger, half_ticks: int) -> None:
    bids, asks = ((600_000 - half_ticks, 10**8),), ((600_000 + half_ticks, 10**8),)
    hedger.hedging.machine.apply(BookSeen(10, bids, asks))


def test_room_and_edge_are_told_when_they_move_by_a_step(one: tuple[Hedger, Heard]) -> None:
    hedger, heard = one
    lots = QUOTING.exact_lots(Decimal("0.256"))
    # 400 of the fee and 1.7 of half the spread, in steps of 10.
    assert heard.told == [Told(lots, lots, 410)]
    hedger._tell()
    assert len(heard.told) == 1
    book(hedger, 3)  # 405: within what they keep
    hedger._tell()
    assert len(heard.told) == 1
    book(hedger, 10)  # 417
    hedger._tell()
    assert heard.told[-1].edge_ppm == 420
    book(hedger, 1)  # 402: nearly two steps less
    hedger._tell()
    assert len(heard.told) == 2
    hedger.hedging.machine.apply(VenueSeen(10, False))
    hedger._tell()
    assert heard.told[-1] == Told(0, 0, 420)
    assert hedger.page().state == "venue_down"


def hedge_fill(qty: str, side: Side = Side.SELL) -> OrderFilled:
    lots = PAIR.exact_lots(Decimal(qty))
    return OrderFilled(
        "x", "v", "t", PAIR.name, int(side), 600_000, lots, Decimal(qty) * 60_000,
        (Fee("USD", Decimal("0.24")), Fee("KFEE", Decimal(7))), False, 5,
    )  # fmt: skip


def test_room_is_told_anew_after_each_fill_that_the_checks_took_off(
    one: tuple[Hedger, Heard],
) -> None:
    hedger, heard = one
    fill = OrderFilled(
        "q1", "v", "t", QUOTING.name, int(Side.BUY), 600_000, 1, Decimal("0.0006"), (), True, 5
    )
    hedger.on_fill(fill)
    hedger._tell()
    assert len(heard.told) == 2
    # Known already: as much room as before, of which the checks took a lot off again.
    hedger.on_fill(fill)
    hedger._tell()
    assert heard.told[2] == heard.told[1]
    hedger._tell()
    assert len(heard.told) == 3


def test_executions_are_counted_in_and_told_at_the_end(one: tuple[Hedger, Heard]) -> None:
    hedger, heard = one
    hedger._on_hedged(hedge_fill("0.01"))
    hedger._on_hedged(hedge_fill("0.02", Side.BUY))
    assert hedger._flow == {"BTC": Decimal("0.01"), "USD": Decimal("-600.48")}
    assert len(heard.filled) == hedger.fill_count == 2
    told = hedger.told_at_end()
    assert "2 fills, bought 0.02" in told
    assert "sold 0.01" in told
    assert "fees 14 KFEE, 0.48 USD" in told


@pytest.mark.parametrize(
    ("off", "told"),
    [
        ({"USD": Decimal("0.0001")}, []),  # of a fill: rounding
        ({"USD": Decimal(5)}, []),  # under 0.01% of 120,000
        ({"USD": Decimal(100)}, [("USD", Decimal(100), False)]),
        ({"USD": Decimal(-2000)}, [("USD", Decimal(-2000), True)]),
        ({"BTC": Decimal("-0.5")}, [("BTC", Decimal("-0.5"), True)]),
    ],
)
def test_a_difference_is_told_above_the_one_share_and_halts_above_the_other(
    one: tuple[Hedger, Heard], off: dict[str, Decimal], told: list[tuple[str, Decimal, bool]]
) -> None:
    hedger, heard = one
    hedger._opening = {"BTC": Decimal(1), "USD": Decimal(60_000)}
    hedger.fill_count = 1
    hedger._judge(off, {"BTC": Decimal(1), "USD": Decimal(60_000)})
    assert heard.differs == told


def test_a_difference_of_a_worth_that_nothing_tells_halts(one: tuple[Hedger, Heard]) -> None:
    hedger, heard = one
    hedger._opening = {"BTC": Decimal(1), "USD": Decimal(60_000)}
    hedger.hedging.machine.apply(BookSeen(10, (), (), verified=False))
    hedger._judge({"BTC": Decimal("0.001")}, {"BTC": Decimal(1), "USD": Decimal(60_000)})
    assert heard.differs == [("BTC", Decimal("0.001"), True)]
