"""Bots with simulated Binance and Coinbase beside the venue they trade on, over real sockets.

What is told of the sources is what `openmm status` tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from openmm._fast.units import Side
from openmm.control.views import page_view
from openmm.engine.rundir import RunDir
from openmm.sim.faults import parse_rule
from openmm.sim.options import SimOptions
from openmm.sim.server import SimServer
from openmm.telemetry import TelemetryReader
from tests.e2e.desk import Desk, options

USDT = {"BTC": Decimal(1), "USDT": Decimal(60_000)}
# Out after a second without a word, and a new connection after two: a test need not wait longer.
BRIEF = {"max_age": "1s", "max_book_silence": "2s"}


def watched(venue: str, instrument: str = "") -> SimServer:
    return SimServer(SimOptions(venue=venue, seed=5, instrument=instrument))


def section(server: SimServer, **told: object) -> dict[str, Any]:
    """Write the entry of a watched venue, as a bot's file has it."""
    endpoints = {"ws": server.ws_url, "rest": server.rest_url}
    (pair,) = server.core.instruments.values()
    return {"name": pair.venue, "endpoints": endpoints, **BRIEF, **told}


def fault(server: SimServer, **rule: object) -> None:
    server.strikes.add(parse_rule(rule), server.now_ns())


class Sources:
    """What the bot says of its reference."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._reader = TelemetryReader(RunDir(desk.folder, "desk").page)

    def told(self) -> Mapping[str, Any]:
        """Return what it would publish now: what lasts shorter than a page does is seen too."""
        told: Mapping[str, Any] = page_view(self.desk.engine.snapshot(), self.desk.server.now_ns())
        return told

    def published(self) -> Mapping[str, Any]:
        """Return what stands on its page."""
        told: Mapping[str, Any] = page_view(self._reader.read(), self.desk.server.now_ns())
        return told

    @property
    def price(self) -> Any:
        return self.told()["reference"]["price"]

    def of(self, label: str) -> Mapping[str, Any]:
        rows: list[Mapping[str, Any]] = self.told()["reference"]["sources"]
        (found,) = [one for one in rows if one["label"] == label]
        return found

    def verdicts(self) -> dict[str, str]:
        return {one["label"]: one["verdict"] for one in self.told()["reference"]["sources"]}

    def breaks(self, label: str) -> int:
        """Count the times that a source's book was broken."""
        return int(self._venue(label)["breaks"])

    def broken_since(self, label: str, count: int) -> bool:
        return self.breaks(label) > count

    def _venue(self, label: str) -> Mapping[str, Any]:
        rows: list[Mapping[str, Any]] = self.told()["venues"]
        (found,) = [one for one in rows if one["label"] == label]
        return found

    def check_best(self, label: str, server: SimServer) -> None:
        """Look whether best prices are told in the venue's own steps and currency."""
        (name,) = server.core.instruments
        pair = server.core.instruments[name]
        told = self._venue(label)
        for side, key in ((0, "best_bid"), (1, "best_ask")):
            theirs = pair.price(server.core.depth(name, side, 1)[0][0])
            # The market moves on meanwhile, by far less than a step of ten.
            assert abs(told[key] - theirs) < theirs / 100, (told, theirs)

    async def until_out(self, label: str) -> None:
        """Wait until a source does not count, and see that the price was made without it."""
        await self.desk.until(lambda: self.of(label)["verdict"] != "used", f"{label} out")
        assert self.of(label)["verdict"] in ("stale", "unverified")
        assert self.of(label)["weight_ppm"] == 0

    async def until(self, **wanted: str) -> None:
        """Wait until each source is judged so."""
        await self.desk.until(lambda: self.verdicts() == wanted, f"{wanted}")


def used(told: Mapping[str, Any]) -> int:
    return sum(one["verdict"] == "used" for one in told["reference"]["sources"])


async def fill_both_sides(desk: Desk) -> None:
    for side in (Side.BUY, Side.SELL):
        await desk.until_quoting()
        before = desk.engine.step.counters.fills
        desk.hit(side)
        await desk.until(partial(filled_since, desk, before), "a fill")


def filled_since(desk: Desk, count: int) -> bool:
    return desk.engine.step.counters.fills > count


def check_ledger(desk: Desk) -> None:
    """Compare the bot's money with the venue's, to the last unit."""
    assert desk.engine.exit_code == 0
    assert desk.open_at_end == []
    assets: Any = desk.statement["assets"]
    closing = {asset: Decimal(one["closing"]) for asset, one in assets.items()}
    assert desk.engine.step.expected() == closing
    assert desk.engine.step.counters.unrecognised == 0


def test_a_silent_binance_is_shown_out_and_the_bot_goes_on_without_it(tmp_path: Path) -> None:
    async def scenario() -> Desk:
        async with watched("binance") as binance:
            desk = Desk(
                tmp_path, options(venue="gateio", balances=USDT),
                venue={"name": "gateio", "quote": "BTC/USDT", "depth": 50},
                others=[
                    section(binance, reference="BTC/USDT", weight="0.5", max_book_silence="4s")
                ],
            )  # fmt: skip
            async with desk:
                sources = Sources(desk)
                await sources.until(gateio="used", binance="used")
                await desk.until(lambda: used(sources.published()) == 2, "the page")
                told = sources.published()["reference"]
                assert told["price"] is not None
                assert [one["label"] for one in told["sources"]] == ["gateio", "binance"]
                assert sum(one["weight_ppm"] for one in told["sources"]) in range(
                    999_990, 1_000_001
                )
                assert all(one["mid"] > 0 < one["weight_ppm"] for one in told["sources"])
                sources.check_best("binance", binance)
                await fill_both_sides(desk)
                # The socket stays up, and nothing passes: not even the answer to a ping.
                fault(binance, kind="half_open", on="book")
                await sources.until_out("binance")
                assert sources.of("gateio")["weight_ppm"] == 1_000_000
                await desk.until(lambda: desk.quoting, "quotes without Binance")
                assert sources.of("binance")["verdict"] != "used"
                await fill_both_sides(desk)
                # The engine gives the connection up by itself, and the source counts again.
                await sources.until(gateio="used", binance="used")
                assert sources.of("binance")["weight_ppm"] > 0
                await fill_both_sides(desk)
        assert sum(binance.strikes.struck.values()) == 1
        return desk

    desk = asyncio.run(scenario())
    check_ledger(desk)
    assert desk.engine.step.counters.fills >= 6


def test_a_bot_whose_price_is_binances_alone_stops_with_it_and_starts_with_it(
    tmp_path: Path,
) -> None:
    async def scenario() -> Desk:
        async with watched("binance-cached") as binance:
            desk = Desk(
                tmp_path, options(venue="gateio", balances=USDT),
                venue={"name": "gateio", "quote": "BTC/USDT", "depth": 50, "weight": "0"},
                others=[section(binance, reference="BTC/USDT")],
            )  # fmt: skip
            async with desk:
                sources = Sources(desk)
                await desk.until(lambda: sources.of("binance")["verdict"] == "used", "Binance")
                assert sources.of("gateio")["weight_ppm"] == 0
                await fill_both_sides(desk)
                fault(binance, kind="half_open", on="book")
                await sources.until_out("binance")
                assert sources.price is None
                await desk.until(lambda: not desk.venue_orders(), "no orders")
                assert sources.of("gateio")["weight_ppm"] == 0
                # A gap that the connection outlives: books come back over a new copy.
                await desk.until(lambda: sources.price is not None, "a reference again")
                await fill_both_sides(desk)
                breaks = sources.breaks("binance")
                fault(binance, kind="checksum", on="book")
                await desk.until(partial(sources.broken_since, "binance", breaks), "a gap")
                await desk.until(lambda: sources.of("binance")["verdict"] == "used", "healed")
                await fill_both_sides(desk)
        return desk

    desk = asyncio.run(scenario())
    check_ledger(desk)
    assert desk.engine.step.counters.fills >= 6


def test_coinbase_and_a_converted_binance_stand_beside_kraken(tmp_path: Path) -> None:
    async def scenario() -> Desk:
        async with (
            watched("coinbase") as coinbase,
            watched("coinbase", "USDT/USD") as rates,
            watched("binance") as binance,
        ):
            desk = Desk(
                tmp_path, options(),
                others=[
                    section(coinbase, reference="BTC/USD", weight="0.5"),
                    section(rates, label="tether", rate="USDT/USD"),
                    section(binance, reference="BTC/USDT", convert="tether", weight="0.5"),
                ],
            )  # fmt: skip
            async with desk:
                sources = Sources(desk)
                all_used = {"kraken": "used", "coinbase": "used", "binance": "used"}
                await sources.until(**all_used, tether="rate")
                for label, server in (
                    ("coinbase", coinbase), ("tether", rates), ("binance", binance),
                ):  # fmt: skip
                    sources.check_best(label, server)
                await fill_both_sides(desk)
                # Without the rate its currency is not the bot's.
                fault(rates, kind="half_open", on="book")
                await desk.until(lambda: sources.of("binance")["verdict"] == "no_rate", "no rate")
                assert sources.price is not None
                await sources.until(**all_used, tether="rate")
                # Each of these breaks the book; a new subscription or connection brings it back.
                for kind, on in (("garbled", "book"), ("lost", "trade"), ("closed", "book")):
                    breaks = sources.breaks("coinbase")
                    fault(coinbase, kind=kind, on=on)
                    await desk.until(partial(sources.broken_since, "coinbase", breaks), kind)
                    await sources.until(**all_used, tether="rate")
                # News that are late by the venue's own stamps do not count, whole as they are.
                fault(binance, kind="late", on="book", by="2500ms")
                await sources.until_out("binance")
                await sources.until(**all_used, tether="rate")
                await fill_both_sides(desk)
        return desk

    desk = asyncio.run(scenario())
    check_ledger(desk)
    assert desk.engine.step.counters.fills >= 4
