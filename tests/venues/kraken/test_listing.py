"""The instrument channel: what it says of the pairs we trade, and nothing of the others."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm.events import InstrumentUpdated
from openmm.instrument import Instrument
from openmm.venues.kraken.dialect_reports import instrument_snapshot
from openmm.venues.kraken.listing import read_listing
from tests.sim.venue import BTC, Venue

WANTED = {BTC.name: BTC}
PAIR: dict[str, Any] = {
    "symbol": BTC.name, "base": BTC.base, "quote": BTC.quote, "status": "online",
    "qty_precision": 8, "qty_increment": 1e-8, "price_precision": 1, "cost_precision": 5,
    "cost_min": 0.5, "tick_size": 0.1, "price_increment": 0.1, "qty_min": 0.0001,
}  # fmt: skip


def message(*pairs: object, kind: str = "update", **data: object) -> bytes:
    body = {"assets": [], "pairs": list(pairs)} | data
    return json.dumps({"channel": "instrument", "type": kind, "data": body}).encode()


def told(payload: bytes) -> list[Instrument]:
    events = read_listing(payload, WANTED)
    assert events is not None
    assert all(isinstance(one, InstrumentUpdated) for one in events)
    return [one.instrument for one in events if isinstance(one, InstrumentUpdated)]


def test_snapshot_of_the_simulated_venue_tells_our_pair_as_it_was_fetched() -> None:
    (one,) = told(instrument_snapshot(Venue().core))
    assert (one.name, one.status, one.spec()) == (BTC.name, BTC.status, BTC.spec())


@pytest.mark.parametrize(
    "status", ["cancel_only", "post_only", "limit_only", "reduce_only", "maintenance", "tomorrow"]
)
def test_status_is_told_as_the_venue_writes_it(status: str) -> None:
    (one,) = told(message(PAIR | {"status": status}))
    assert one.status == status


def test_change_of_the_tick_is_told() -> None:
    (one,) = told(message(PAIR | {"price_increment": 0.5, "tick_size": 0.5}))
    assert one.tick_size == Decimal("0.5")


def test_other_pairs_are_not_read() -> None:
    assert told(message({"symbol": "ETH/USD", "status": 3}, {"symbol": None}, {})) == []


def test_pair_that_a_snapshot_lacks_is_delisted_and_an_update_says_nothing_of_it() -> None:
    (one,) = told(message(PAIR | {"symbol": "ETH/USD"}, kind="snapshot"))
    assert one.status == "delisted"
    assert told(message(PAIR | {"symbol": "ETH/USD"})) == []


@pytest.mark.parametrize(
    "spoiled",
    [
        {"price_increment": None, "tick_size": None},
        {"qty_increment": "x"},
        {"price_precision": "1"},
        {"price_increment": 0.25},
        {"qty_precision": 99},
        {"price_increment": -1},
        {"status": 7},
    ],
)
def test_pair_that_cannot_be_read_is_told_as_such(spoiled: dict[str, Any]) -> None:
    (one,) = told(message(PAIR | spoiled))
    assert one.status == "unreadable"


@pytest.mark.parametrize("data", [None, [], "x", {"pairs": 1}, {"pairs": [1]}, {"assets": [7]}])
def test_message_without_sense_makes_our_pair_unreadable(data: object) -> None:
    payload = json.dumps({"channel": "instrument", "type": "update", "data": data}).encode()
    assert [one.status for one in told(payload)] == ["unreadable"]


@pytest.mark.parametrize(
    "payload",
    [
        b"", b'{"channel":"status"}', b'{"channel":"instrument"',
        b'{"method":"subscribe","result":{"channel":"instrument"},"success":true}', b"[]",
    ],
)  # fmt: skip
def test_other_messages_are_left_to_others(payload: bytes) -> None:
    assert read_listing(payload, WANTED) is None


@given(st.binary(max_size=60), st.integers(0, 400))
def test_any_bytes_give_events_or_none(junk: bytes, at: int) -> None:
    payload = bytearray(message(PAIR, kind="snapshot"))
    payload[at : at + len(junk)] = junk
    events = read_listing(bytes(payload), WANTED)
    assert events is None or all(isinstance(one, InstrumentUpdated) for one in events)
