"""The log: one JSON object a line, no secrets in any of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from openmm.engine.log import start_log, stop_log


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    handler = start_log(tmp_path / "log", "info", secrets=("hunter2",))
    yield tmp_path / "log"
    stop_log(handler)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_record_is_one_json_object_with_its_extras(log: Path) -> None:
    logging.getLogger("openmm.engine").warning("halted: %s", "drawdown", extra={"limit": 20_000})
    [line] = lines(log)
    assert line["text"] == "halted: drawdown"
    assert line["limit"] == 20_000
    assert line["level"] == "warning"
    assert str(line["ts"]).endswith("+00:00")


def test_record_below_the_level_is_dropped(log: Path) -> None:
    logging.getLogger("openmm.engine").debug("noise")
    assert lines(log) == []


@pytest.mark.parametrize(
    "text",
    [
        "the secret is hunter2",
        'sent {"token": "abcdef123", "x": 1}',
        "API-Key: abcdef123",
        "api_sign=abcdef123&nonce=1",
        "password = 'abcdef123'",
        'quotes "and" backslash \\ token=abcdef123',
    ],
)
def test_secret_in_text_is_blanked(log: Path, text: str) -> None:
    logging.getLogger("openmm.venues").info("%s", text)
    [line] = lines(log)
    assert "<redacted>" in str(line["text"])
    assert "hunter2" not in str(line)
    assert "abcdef123" not in str(line)


def test_secret_in_extras_is_blanked(log: Path) -> None:
    extra = {"request": {"params": {"token": "abcdef123", "order_qty": 1}}, "who": ["hunter2"]}
    logging.getLogger("openmm.venues").info("request", extra=extra)
    [line] = lines(log)
    assert line["request"] == {"params": {"token": "<redacted>", "order_qty": 1}}
    assert line["who"] == ["<redacted>"]


def test_trace_of_an_exception_is_kept(log: Path) -> None:
    try:
        raise RuntimeError("token=abcdef123")
    except RuntimeError:
        logging.getLogger("openmm").exception("failed")
    [line] = lines(log)
    assert "RuntimeError" in str(line["trace"])
    assert "abcdef123" not in str(line)
