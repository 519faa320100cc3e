"""The error table and the names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from openmm.venues.kraken.spec import (
    FEE_TIERS_PPM,
    TIERS,
    Code,
    classify,
    venue_symbol,
)


@pytest.mark.parametrize(
    ("text", "code", "retryable"),
    [
        ("EOrder:Insufficient funds", Code.FUNDS, False),
        ("EOrder:Insufficient funds (wallet)", Code.FUNDS, False),
        ("EOrder:Rate limit exceeded", Code.RATE_LIMIT, True),
        ("EOrder:Domain rate limit exceeded", Code.RATE_LIMIT, True),
        ("EAPI:Rate limit exceeded", Code.CALL_RATE, True),
        ("EAuth:Rate limit exceeded", Code.CALL_RATE, True),
        ("EAuth:Account temporary disabled", Code.ACCOUNT, False),
        ("EAuth:anything", Code.CREDENTIALS, False),
        ("EService:Market in cancel_only mode", Code.MODE, False),
        ("EGeneral:Invalid arguments:volume", Code.ARGUMENTS, False),
        ("EQuery:Unknown asset pair", Code.INSTRUMENT, False),
        ("Exceeded msg rate", Code.CALL_RATE, True),
        ("Token(s) not found", Code.TOKEN, True),
        ("Symbol(s) not found", Code.INSTRUMENT, False),
        ("Side(s) not found", Code.ARGUMENTS, False),
        ("", Code.UNKNOWN, False),
        ("EOrder:Something new", Code.UNKNOWN, False),
    ],
)
def test_text_is_classified(text: str, code: Code, retryable: bool) -> None:
    fault = classify(text)
    assert (fault.code, fault.retryable) == (code, retryable)


def test_every_text_of_the_sheets_error_table_is_known(shared: Path) -> None:
    sheet = (shared / "venues" / "kraken.md").read_text()
    table = sheet[sheet.index("## 13. Errors") : sheet.index("## 14. Fees")]
    texts = [
        text.split("[")[0].rstrip(".")
        for row in re.findall(r"^\| (`E.*?) \|", table, re.MULTILINE)
        for text in re.findall(r"`(E[A-Z][A-Za-z]*:[^`]*)`", row)
    ]
    assert len(texts) > 35
    unknown = [text for text in texts if classify(text).code is Code.UNKNOWN]
    assert unknown == []


@pytest.mark.parametrize(
    ("wsname", "name"),
    [
        ("XBT/USD", "BTC/USD"),
        ("ETH/XBT", "ETH/BTC"),
        ("XDG/EUR", "DOGE/EUR"),
        ("XRP/USD", "XRP/USD"),
        ("ZEC/XBT", "ZEC/BTC"),
        ("XTZ/USD", "XTZ/USD"),
    ],
)
def test_names_of_websocket_v2(wsname: str, name: str) -> None:
    assert venue_symbol(wsname) == name


def test_tables_run_the_right_way() -> None:
    assert [tier.threshold for tier in TIERS.values()] == [60, 125, 180]
    for column in (1, 2):
        rates = [row[column] for row in FEE_TIERS_PPM]
        assert rates == sorted(rates, reverse=True)
