"""What a market says now: best prices, trades, candles, straight from its venue.

A venue is named as such, or by the label that a running bot gives it. It is reached where that bot
reaches it; else at the simulated venue of `OPENMM_SIM_<VENUE>`, if that is set; else at its public
address. Each answer tells which it was.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
from msgspec import Struct
from msgspec.structs import replace

from openmm.config.restore import restore
from openmm.config.schema import ENDPOINT_KEYS, VENUES, BotConfig
from openmm.config.schema import Venue as VenueConfig
from openmm.config.secrets import has_keys, load_keys
from openmm.config.values import is_loopback, parse_duration_ns
from openmm.control.home import Home
from openmm.control.plain import iso, plain
from openmm.errors import ConfigError, ControlError
from openmm.instrument import Instrument
from openmm.sim.dialects import dialect
from openmm.sim.options import DEMO_KEY, DEMO_SECRET
from openmm.venues import registry
from openmm.venues.connector import Keys
from openmm.venues.desk import Desk

T = TypeVar("T")
SIM_BYTES_MAX: Final = 1 << 16
SECOND_NS: Final = 1_000_000_000
PORTS_MAX: Final = 65_533


class Place(Struct, frozen=True):
    """Where a venue is reached.

    Args:
        endpoints: as `[venue.endpoints]`; empty: its public addresses.
        keys: of a simulated venue, as it told them; nobody else's.
    """

    venue: str
    endpoints: dict[str, str]
    keys: dict[str, str] = {}

    @property
    def simulated(self) -> bool:
        """Whether it is a venue of this machine."""
        return bool(self.endpoints) and all(is_loopback(url) for url in self.endpoints.values())

    def told(self) -> dict[str, Any]:
        """Return what answers say of it."""
        return {
            "venue": self.venue, "simulated": self.simulated,
            "asked": self.endpoints.get("rest", "the venue's public address"),
        }  # fmt: skip


def simulated(venue: str) -> Place | None:
    """Return the simulated venue that `OPENMM_SIM_<VENUE>` leads to; None where it is not set.

    Its value is the line that `openmm sim VENUE` prints when it is ready, a file with that line, or
    a port: the public WebSocket's, with the private one and REST on the next two.

    Raises:
        ConfigError: it is none of these, or not on this machine.
    """
    name = f"OPENMM_SIM_{venue.upper().replace('-', '_')}"
    told = os.environ.get(name, "").strip()
    if not told:
        return None
    if told.isascii() and told.isdigit() and 0 < int(told) <= PORTS_MAX:
        phrase = dialect(venue).passphrase
        demo = {"key": DEMO_KEY, "secret": DEMO_SECRET, "passphrase": phrase or ""}
        return Place(venue, _by_port(venue, int(told)), demo)
    text = told
    if not told.startswith("{"):
        try:
            with Path(told).expanduser().open("rb") as file:
                text = file.read(SIM_BYTES_MAX).decode("utf-8", "replace")
        except OSError as error:
            raise ConfigError(name, told, f"a file that can be read ({error.strerror})") from None
    try:
        line = orjson.loads(text.strip().partition("\n")[0])
    except orjson.JSONDecodeError:
        line = None
    keys = ENDPOINT_KEYS.get(venue, ("ws", "rest"))
    found = {key: line.get(key) for key in keys} if isinstance(line, Mapping) else {}
    if not found or not all(isinstance(url, str) and is_loopback(url) for url in found.values()):
        allowed = f"the line of openmm sim {venue}, a file with it, or its port; on this machine"
        raise ConfigError(name, told[:60], allowed)
    secrets = {
        name: str(line[key])
        for name, key in (("key", "api_key"), ("secret", "api_secret"), ("passphrase",) * 2)
        if line.get(key)
    }
    return Place(venue, {key: str(url) for key, url in found.items()}, secrets)


def _by_port(venue: str, port: int) -> dict[str, str]:
    speaks = dialect(venue)
    found = {
        "ws": f"ws://127.0.0.1:{port}{speaks.path}",
        "ws_auth": f"ws://127.0.0.1:{port + 1}{speaks.path}",
        "rest": f"http://127.0.0.1:{port + 2}{speaks.rest_path}",
    }
    return {key: url for key, url in found.items() if key in ENDPOINT_KEYS.get(venue, found)}


def place_of(home: Home, name: str) -> Place:
    """Return where a venue, or a running bot's venue of that label, is reached.

    Raises:
        ControlError: there is no such venue (`unknown_venue`).
    """
    wanted = name.strip().lower()
    labels: list[str] = []
    for one in home.bots():
        if one.holder_pid() is None:
            continue
        for venue in _venues(one.read_session().get("config")):
            labels.append(venue.label)
            if venue.label == wanted:
                told = {key: str(url) for key, url in venue.endpoints if url is not None}
                return Place(venue.name, told)
    if wanted not in registry.names():
        known = ", ".join(dict.fromkeys((*registry.names(), *labels)))
        raise ControlError(
            f"venue: one of {known}; got {name[:40]!r}", code="unknown_venue",
            hint="take one of those",
        )  # fmt: skip
    return simulated(wanted) or Place(wanted, {})


def _venues(told: Any) -> tuple[VenueConfig, ...]:
    if not isinstance(told, dict):
        return ()
    try:
        return restore(told).venue
    except ConfigError:
        return ()  # of another build


def _asked(home: Home, venue: str, ask: Callable[[Desk], Awaitable[T]]) -> tuple[dict[str, Any], T]:
    """Ask a venue one question, without keys, and let go of it."""
    place = place_of(home, venue)
    config = VenueConfig.model_validate({"name": place.venue, "endpoints": place.endpoints})

    async def run() -> T:
        async with Desk(config, None) as desk:
            return await ask(desk)

    try:
        return place.told(), asyncio.run(run())
    except ValueError as error:
        raise ControlError(
            f"{error}", code="bad_argument", hint="ask for what the venue offers"
        ) from error


def ticker(home: Home, now_ns: int, venue: str, pair: str) -> dict[str, Any]:
    """Return best prices with their quantities, the last trade's price and the day's volume."""
    place, told = _asked(home, venue, lambda desk: desk.get_ticker(pair.upper()))
    mid = (told.bid + told.ask) / 2
    return _plain(
        {
            **place, "pair": pair.upper(), "bid": told.bid, "bid_qty": told.bid_qty,
            "ask": told.ask, "ask_qty": told.ask_qty, "mid": mid,
            "spread_bps": round((told.ask - told.bid) * 10_000 / mid, 4) if mid else None,
            "last": told.last, "volume": told.volume, "ts": iso(told.ts_ns), "ts_ns": told.ts_ns,
        }
    )  # fmt: skip


def trades(home: Home, now_ns: int, venue: str, pair: str, limit: int = 50) -> dict[str, Any]:
    """Return the market's last trades, newest first."""
    place, found = _asked(home, venue, lambda desk: desk.get_trades(pair.upper(), limit))
    rows = [
        {
            "ts": iso(one.ts_ns), "ts_ns": one.ts_ns, "id": one.trade_id,
            "taker_side": one.taker_side.name.lower(), "price": one.price, "qty": one.qty,
        }
        for one in reversed(found[-limit:])
    ]  # fmt: skip
    return _plain({**place, "pair": pair.upper(), "trades": rows})


def candles(
    home: Home, now_ns: int, venue: str, pair: str, interval: str = "1m", limit: int = 50
) -> dict[str, Any]:
    """Return the last candles, oldest first; the last one may still be running."""
    try:
        interval_s = max(1, parse_duration_ns(interval) // SECOND_NS)
    except ValueError as error:
        raise ControlError(
            f"interval: a duration such as 1m, 15m, 1h or 1d; got {interval[:40]!r} ({error})",
            code="bad_argument",
        ) from error  # fmt: skip
    place, found = _asked(
        home, venue, lambda desk: desk.get_ohlcv(pair.upper(), interval_s, limit)
    )  # fmt: skip
    rows = [
        {
            "start": iso(one.start_ns), "start_ns": one.start_ns, "open": one.open,
            "high": one.high, "low": one.low, "close": one.close, "volume": one.volume,
            "closed": one.closed,
        }
        for one in found
    ]  # fmt: skip
    return _plain({**place, "pair": pair.upper(), "interval_s": interval_s, "candles": rows})


def ask_venue(config: BotConfig, keys: Keys | None = None) -> tuple[Instrument, Decimal]:
    """Return what the venue says of a file's traded pair, with the account's fees, and its price.

    Args:
        keys: None: those of the venue's label, if there are any.

    Raises:
        ConfigError: the venue does not list the pair.
        VenueError: no answer.
    """
    venue = config.quoted
    if keys is None and has_keys(venue.label):
        keys = load_keys(venue.label)

    async def ask() -> tuple[Instrument, Decimal]:
        rest = registry.connector(venue, keys).rest()
        try:
            found = await rest.instruments([venue.pair])
            if venue.pair not in found:
                raise ConfigError(f"venue.{venue.label}", venue.pair, f"a pair of {venue.name}")
            instrument = found[venue.pair]
            if keys is not None:
                fees = await rest.fees(instrument)
                instrument = replace(
                    instrument, maker_fee_ppm=fees.maker_ppm, taker_fee_ppm=fees.taker_ppm
                )
            return instrument, await rest.mid(instrument)
        finally:
            await rest.close()

    return asyncio.run(ask())


class Market(Struct, frozen=True):
    """What a proposal is made from."""

    instrument: Instrument
    mid: Decimal
    spread_bps: Decimal
    # Standard deviation of one minute's return, in bps; None: the venue tells no candles.
    minute_bps: Decimal | None
    # What the account holds, by asset; None: nobody's keys were asked with.
    held: dict[str, Decimal] | None = None


CANDLES: Final = 60


def survey(place: Place, pair: str, keys: Keys | None) -> Market:
    """Ask a venue for a pair's rules, fees, spread now and volatility of the last hour.

    Raises:
        ControlError: the venue does not list the pair (`unknown_pair`).
        VenueError: no answer.
    """
    config = VenueConfig.model_validate({"name": place.venue, "endpoints": place.endpoints})

    async def run() -> Market:
        async with Desk(config, keys) as desk:
            listed = await desk.get_instruments()
            if pair not in listed:
                base = pair.partition("/")[0]
                near = [one for one in listed if one.partition("/")[0] == base][:6]
                raise ControlError(
                    f"{place.venue} lists no {pair}", code="unknown_pair",
                    hint=f"it has {', '.join(near)}" if near else "name another pair",
                )  # fmt: skip
            instrument, held = listed[pair], None
            if keys is not None:
                held = {asset: one.total for asset, one in (await desk.get_balance()).items()}
                fees = await desk.get_fees(pair)
                instrument = replace(
                    instrument, maker_fee_ppm=fees.maker_ppm, taker_fee_ppm=fees.taker_ppm
                )
            book = await desk.get_order_book(pair, 5)
            if not book.bids or not book.asks:
                raise ControlError(
                    f"{pair} has no two-sided market at {place.venue} now", code="no_market",
                    hint="try later", retryable=True,
                )  # fmt: skip
            bid, ask = book.bids[0][0], book.asks[0][0]
            mid = (bid + ask) / 2
            rows = await desk.get_ohlcv(pair, 60, CANDLES) if 60 in desk.ohlcv_intervals_s else []
            closes = [one.close for one in rows]
            return Market(instrument, mid, (ask - bid) * 10_000 / mid, _minute_bps(closes), held)

    return asyncio.run(run())


def _minute_bps(closes: list[Decimal]) -> Decimal | None:
    """Return the standard deviation of returns between closes, in bps."""
    returns = [
        (after / before - 1) * 10_000 for before, after in itertools.pairwise(closes) if before
    ]
    if len(returns) < 5:
        return None
    return (sum((one * one for one in returns), Decimal(0)) / len(returns)).sqrt()


def traded_venues() -> tuple[str, ...]:
    """Return the venues that a bot can be created on."""
    return VENUES


def _plain(value: Any) -> dict[str, Any]:
    found = plain(value)
    assert isinstance(found, dict)
    return found
