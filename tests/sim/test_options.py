"""Options of the simulated venue: each wrong one is refused by name."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from openmm.errors import ConfigError
from openmm.sim.options import SimOptions, parse_balances, parse_fee, parse_latency


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"venue": "moon"}, "sim.venue"),
        ({"port": 65_534}, "sim.port"),
        ({"port": -1}, "sim.port"),
        ({"seed": -1}, "sim.seed"),
        ({"instrument": "WWW/USD"}, "sim.instrument"),
        ({"tier": "gold"}, "sim.tier"),
        ({"fee_tier": 10}, "sim.fee_tier"),
        ({"maker_fee_ppm": 200_000}, "sim.maker_fee_ppm"),
        ({"latency_ns": -1}, "sim.latency_ns"),
        ({"flow": 3}, "sim.flow"),
        ({"speed": Decimal(2)}, "sim.speed"),
        ({"speed": Decimal(0)}, "sim.speed"),
        ({"at_end": "stop"}, "sim.at_end"),
        ({"replay": Path("nowhere.cbcap")}, "replay"),
        ({"host": "0.0.0.0"}, "sim.host"),
        ({"host": "here"}, "host"),
    ],
)
def test_a_wrong_option_is_refused_by_name(change: dict[str, object], path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        SimOptions(**change)  # type: ignore[arg-type]


def test_fees_are_the_tier_s_unless_given() -> None:
    assert SimOptions().fees_ppm == (2500, 4000)
    assert SimOptions(fee_tier=9).fees_ppm == (0, 1000)
    assert SimOptions(fee_tier=9, maker_fee_ppm=-50).fees_ppm == (-50, 1000)


@pytest.mark.parametrize(
    ("text", "fee_ppm"), [("0.25%", 2500), ("25bps", 2500), ("2500ppm", 2500), ("-0.01%", -100)]
)
def test_fee_is_read_with_its_unit(text: str, fee_ppm: int) -> None:
    assert parse_fee("fee", text) == fee_ppm


@pytest.mark.parametrize("text", ["0.25", "", "0.00001%", "a%", "1e3ppm"])
def test_fee_without_unit_or_too_fine_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="fee"):
        parse_fee("fee", text)


def test_balances_are_read_and_refused() -> None:
    assert parse_balances(["BTC=1", "USD=50000.5"]) == {
        "BTC": Decimal(1),
        "USD": Decimal("50000.5"),
    }
    for text in ("BTC", "=1", "BTC=", "BTC=-1", "BTC=NaN", "BTC=x"):
        with pytest.raises(ConfigError, match="balance"):
            parse_balances([text])


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("2ms", (2_000_000, 0)),
        ("2ms+500us", (2_000_000, 500_000)),
        ("0s", (0, 0)),
        ("1.5ms + 1ns", (1_500_000, 1)),
    ],
)
def test_latency_is_read_with_units(text: str, spans: tuple[int, int]) -> None:
    assert parse_latency(text) == spans


@pytest.mark.parametrize("text", ["2", "ms", "1ms+2ms+3ms", "-1ms", ""])
def test_latency_without_unit_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="latency"):
        parse_latency(text)
