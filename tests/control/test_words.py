"""A description says what it says: each field out of many forms, and nothing out of none."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import asdict

from openmm.control.words import Wish, read
from openmm.errors import ControlError

SAID: list[tuple[str, dict[str, Any]]] = [
    ("start a grid on BTC/USD with 1% spread", {"pair": "BTC/USD", "spread": "1%"}),
    (
        "quote ETH/USDT at gateio, 5 levels of 0.1, target 50% base, paper",
        {
            "pair": "ETH/USDT", "venue": "gateio", "levels": 5, "amount": Decimal("0.1"),
            "target": "50%", "mode": "paper",
        },
    ),
    (
        "a careful grid on btc/usd at Kraken with 1% spread and 5000 USD, paper",
        {
            "pair": "BTC/USD", "venue": "kraken", "profile": "careful", "spread": "1%",
            "capital": Decimal(5000), "mode": "paper",
        },
    ),
    (
        "btc-usdt on gate.io, $10k, 25bps spread, five orders per side, 0.2% apart",
        {
            "pair": "BTC/USDT", "venue": "gateio", "capital": Decimal(10_000), "spread": "0.25%",
            "levels": 5, "step": "0.2%",
        },
    ),
    (
        "grid named my-bot on BTC/EUR, 0.01 BTC each, 3 levels a side, max drawdown 2%",
        {
            "name": "my-bot", "pair": "BTC/EUR", "amount": Decimal("0.01"), "levels": 3,
            "drawdown": "2%",
        },
    ),
    (
        "SOL/USDT at bitget with capital of 2,500 USDT, 60% SOL, aggressive",
        {
            "pair": "SOL/USDT", "venue": "bitget", "capital": Decimal(2500), "target": "60%",
            "profile": "tight",
        },
    ),
    (
        "live BTC/USD, order size 0.02, spread of 60 basis points, maker fee 0.1%, taker fee 0.2%",
        {
            "mode": "live", "pair": "BTC/USD", "amount": Decimal("0.02"), "spread": "0.6%",
            "maker_fee": "0.1%", "taker_fee": "0.2%",
        },
    ),
    (
        "BTC/USD max inventory 0.5 rebalance beyond 15% spread: 40bps",
        {
            "pair": "BTC/USD", "inventory": Decimal("0.5"), "rebalance": "15%", "spread": "0.4%",
        },
    ),
    ("make a market", {}),
]  # fmt: skip

REFUSED = [
    ("BTC/USD and ETH/USD", "ambiguous", "BTC/USD and ETH/USD"),
    ("BTC/USD at kraken or mexc", "ambiguous", "kraken and mexc"),
    ("BTC/USD with 1% spread and 2% spread", "ambiguous", "spread"),
    ("BTC/USD live and paper", "ambiguous", "mode"),
    ("a careful aggressive grid on BTC/USD", "ambiguous", "profile"),
    ("BTC/USD at binance", "impossible", "only watched"),
    ("short BTC/USD", "impossible", "spot"),
    ("BTC/USD perpetual with leverage", "impossible", "spot"),
    ("avellaneda on BTC/USD", "impossible", "grid"),
    ("BTC/USD with -1% spread", "impossible", "below zero"),
    ("BTC/USD with 0% spread", "impossible", "spread"),
    ("BTC/USD 40 levels", "impossible", "levels"),
    ("BTC/USD 2.5 levels", "impossible", "levels"),
    ("BTC/USD spread 1", "not_understood", "'1'"),
    ("BTC/USD 7%", "not_understood", "7%"),
    ("grid on BTC/USD 12", "not_understood", "'12'"),
]


@pytest.mark.parametrize(("text", "fields"), SAID)
def test_a_description_says_what_it_says(text: str, fields: dict[str, Any]) -> None:
    assert asdict(read(text)) == asdict(Wish(**fields))


@pytest.mark.parametrize(("text", "code", "names"), REFUSED)
def test_what_is_not_clear_is_one_error_that_names_it(text: str, code: str, names: str) -> None:
    with pytest.raises(ControlError) as told:
        read(text)
    assert told.value.code == code
    assert names in str(told.value)
    assert told.value.hint
