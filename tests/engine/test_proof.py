"""Questions to the venue: asked until there is an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from openmm.engine.proof import Proof
from openmm.engine.step import CancelStray
from openmm.errors import TransportError, VenueRejected
from openmm.events import Event, OrderFilled, OrderStatus, OrderUpdated, Source


def test_stray_order_is_cancelled_though_the_first_request_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Sequence[str]] = []

    async def cancel(venue_order_ids: Sequence[str]) -> int:
        asked.append(tuple(venue_order_ids))
        if len(asked) == 1:
            raise TransportError("unreachable", venue="kraken")
        return 1

    async def at_once(_seconds: float) -> None:
        return None

    monkeypatch.setattr(asyncio, "sleep", at_once)
    rest = SimpleNamespace(cancel=cancel)
    context: Any = SimpleNamespace(trading=SimpleNamespace(rest=lambda: rest))
    asyncio.run(Proof(context).cancel_stray(CancelStray(("OLD",))))
    assert asked == [("OLD",), ("OLD",)]


def earlier(venue_order_id: str) -> OrderUpdated:
    return OrderUpdated(venue_order_id, "old", OrderStatus.OPEN, Source.QUERY, 1)


@pytest.mark.parametrize("code", ["rate_limit", "call_rate"])
def test_start_waits_for_a_limit_the_session_before_used_up(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    asked: list[str] = []
    left = ["A"]

    async def open_orders() -> list[OrderUpdated]:
        asked.append("list")
        if len(asked) == 1:
            raise VenueRejected("too often", venue="kraken", code=code)
        return [earlier(one) for one in left]

    async def cancel(venue_order_ids: Sequence[str]) -> int:
        asked.append("cancel")
        if asked.count("cancel") < 5:
            raise VenueRejected("too often", venue="kraken", code=code)
        left.clear()
        return len(venue_order_ids)

    async def at_once(_seconds: float) -> None:
        return None

    monkeypatch.setattr(asyncio, "sleep", at_once)
    rest = SimpleNamespace(cancel=cancel, open_orders=open_orders)
    ids = SimpleNamespace(is_earlier=lambda _: True, seq_of=lambda _: 0)
    trading = SimpleNamespace(rest=lambda: rest, name="kraken", **vars(ids))
    context: Any = SimpleNamespace(trading=trading, step=SimpleNamespace(ids=ids))
    asyncio.run(Proof(context).adopt())
    assert asked == ["list", "list", *["cancel"] * 5, "list"]


def test_start_refused_for_another_reason_fails_at_once() -> None:
    async def open_orders() -> list[OrderUpdated]:
        raise VenueRejected("no right", venue="kraken", code="permission")

    rest = SimpleNamespace(open_orders=open_orders)
    context: Any = SimpleNamespace(trading=SimpleNamespace(rest=lambda: rest, name="kraken"))
    with pytest.raises(VenueRejected, match="no right"):
        asyncio.run(Proof(context).adopt())


def test_fill_of_an_order_not_known_by_the_venues_id_is_told_by_the_clients() -> None:
    def fill(order_id: str) -> OrderFilled:
        return OrderFilled(
            exec_id=f"T{order_id}", trade_id=1, venue_order_id=order_id, client_id="", side=1,
            instrument="BTC/USD", price_ticks=1, qty_lots=1, cost=Decimal(1), fees=(), maker=True,
            ts_ns=1, source=Source.QUERY,
        )  # fmt: skip

    asked: list[Sequence[str]] = []

    async def fills_since(_ts_ns: int) -> list[OrderFilled]:
        return [fill("KNOWN"), fill("OURS"), fill("FOREIGN")]

    async def find_orders(client_ids: Sequence[str], order_ids: Sequence[str]) -> list[Event]:
        assert list(client_ids) == []
        asked.append(order_ids)
        status = OrderStatus.FILLED
        return [
            OrderUpdated("OURS", "m-one", status, Source.QUERY, 1),
            OrderUpdated("FOREIGN", "", status, Source.QUERY, 1),
        ]

    rest = SimpleNamespace(fills_since=fills_since, find_orders=find_orders)
    orders = SimpleNamespace(seq=lambda _client_id, order_id: int(order_id == "KNOWN"))
    context: Any = SimpleNamespace(
        trading=SimpleNamespace(rest=lambda: rest), step=SimpleNamespace(orders=orders)
    )
    found: Any = asyncio.run(Proof(context).fills_since(0))
    assert asked == [["FOREIGN", "OURS"]]
    assert [(one.venue_order_id, one.client_id) for one in found] == [
        ("KNOWN", ""), ("OURS", "m-one"), ("FOREIGN", ""),
    ]  # fmt: skip


def test_venue_is_asked_whose_an_order_is_until_it_answers() -> None:
    handled: list[Any] = []
    journalled: list[Any] = []
    answers: list[Any] = [VenueRejected("busy", venue="kraken", code="busy"), None]
    told = OrderUpdated("V1", "m-one", OrderStatus.FILLED, Source.QUERY, 1)

    async def find_orders(client_ids: Sequence[str], order_ids: Sequence[str]) -> list[Event]:
        assert (list(client_ids), list(order_ids)) == ([], ["V1", "V2"])
        error = answers.pop(0)
        if error is not None:
            raise error
        return [told]

    def on_named(ids: Sequence[str], found: Sequence[OrderUpdated], _now_ns: int) -> str:
        assert list(ids) == ["V1", "V2"]
        assert found == [told]
        return "requests"

    context: Any = SimpleNamespace(
        trading=SimpleNamespace(rest=lambda: SimpleNamespace(find_orders=find_orders)),
        step=SimpleNamespace(on_named=on_named), clock=SimpleNamespace(now_ns=lambda: 5),
        handle=handled.append, append=lambda *record: journalled.append(record),
    )  # fmt: skip
    asyncio.run(Proof(context).name_orders(["V1", "V2"]))
    assert handled == ["requests"]
    assert len(journalled) == 1
    assert answers == []
