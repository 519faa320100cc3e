"""The questions of `openmm init` at a terminal: a grid proposed from the market as it is now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from openmm.errors import ConfigError, OpenMMError

if TYPE_CHECKING:
    from openmm.config.keys import Keys
    from openmm.control.sizing import Market, Proposal
    from openmm.instrument import Instrument
    from openmm.venues.desk import Desk

T = TypeVar("T")
CANDLES = 61
CAPITAL = "2000"


def ask(file: Path, addresses: Mapping[str, str]) -> dict[str, Any]:
    """Ask for venue, keys, pair and capital; show a grid; return the values of the file.

    Args:
        addresses: `rest`, `ws`, `ws_auth` instead of the venue's own.

    Raises:
        typer.Abort: the user does not want it.
        VenueError: the venue does not answer.
    """
    from openmm.cli.init import PAIR, PAIRS
    from openmm.config.schema import VENUES

    say("A bot in a few questions. Enter takes what stands in brackets; Ctrl+C leaves.")
    say(f"Nothing is written before you have seen the grid, and {file} then.\n")
    venue = until_good("Venue", "kraken", lambda text: one_of(text, VENUES))
    mode = until_good("Mode: paper or live", "paper", lambda text: one_of(text, ("paper", "live")))
    keys = keys_of(venue, wanted=mode == "live")
    while True:
        pair = until_good("Pair", PAIRS.get(venue, PAIR), str.upper)
        try:
            instrument, seen, fee_ppm, worth = look(venue, pair, addresses, keys)
            break
        except ConfigError as error:
            say(f"  {error}")
    quote = instrument.quote
    say(f"\n  {venue} {pair}: bid {seen.bid:,f}, ask {seen.ask:,f}")
    say(f"  spread {pct(seen.spread_ppm)}, {moves(seen)}")
    say(f"  maker fee {pct(fee_ppm)}{' (your account)' if keys else ' (its list)'}")
    if worth is not None:
        say(f"  the account holds {worth:,.2f} {quote} in {instrument.base} and {quote}\n")
    told = CAPITAL if worth is None else f"{min(worth, Decimal(CAPITAL)):.2f}"
    capital = until_good(f"Capital in {quote}, base and quote together", told, positive)
    name = until_good("The bot's name", f"{instrument.base.lower()}-grid", bot_name)
    proposal = settle(instrument, seen, capital, fee_ppm)
    from openmm.config.values import format_ppm

    return {
        "name": name, "mode": mode, "venue": venue, "pair": pair, "capital": f"{capital:f}",
        "spread": format_ppm(proposal.spread_ppm), "num_orders": str(proposal.num_orders),
        "order_amount": f"{proposal.order_amount:f}", "max_order_size":
        f"{proposal.max_order_size:f}", "max_open_notional": f"{proposal.max_open_notional:f}",
        "max_inventory": f"{proposal.max_inventory:f}",
    }  # fmt: skip


def settle(instrument: Instrument, seen: Market, capital: Decimal, fee_ppm: int) -> Proposal:
    """Show a proposal and take changes of it until it is taken."""
    from openmm.config.values import parse_ppm
    from openmm.control.sizing import LEVELS, propose

    proposal = propose(instrument, seen, capital, fee_ppm)
    while True:
        show(instrument, seen, capital, proposal)
        say("Enter writes it. A spread (0.8%) or a number of levels (3) proposes anew; q leaves.")
        told: str = typer.prompt("Take it", default="yes").strip().lower()
        if told in ("yes", "y"):
            return proposal
        if told in ("q", "n", "no", "quit"):
            raise typer.Abort
        spread_ppm, levels = proposal.spread_ppm, proposal.num_orders
        try:
            if told.isdigit():
                levels = int(told)
                if not 1 <= levels <= 32:
                    raise ValueError("1 to 32 levels")
            else:
                spread_ppm = parse_ppm(told)
            proposal = propose(
                instrument, seen, capital, fee_ppm, spread_ppm=spread_ppm,
                num_orders=levels if told.isdigit() else max(levels, LEVELS),
            )  # fmt: skip
        except (ValueError, ConfigError) as error:
            say(f"  {error}")


def show(instrument: Instrument, seen: Market, capital: Decimal, proposal: Proposal) -> None:
    """Draw a proposal: the ladder it gives at the price now, and why it is so."""
    from openmm.cli.output import table

    base, quote = instrument.base, instrument.quote
    rows: list[tuple[str, ...]] = [("", f"price {quote}", f"qty {base}", f"{quote}", "from mid")]
    levels = range(proposal.num_orders)
    away = [Decimal(proposal.spread_ppm) / 2 * (1 + n) / 1_000_000 for n in levels]
    for side, sign, order in (("ask", 1, reversed(away)), ("bid", -1, away)):
        for share in order:
            wanted = seen.mid * (1 + sign * share)
            ticks = (instrument.ceil_ticks if sign > 0 else instrument.floor_ticks)(wanted)
            price = instrument.price(ticks)
            rows.append(
                (
                    side, f"{price:,f}", f"{proposal.order_amount:f}",
                    f"{price * proposal.order_amount:,.2f}", f"{sign * share * 100:+.3f}%",
                )
            )  # fmt: skip
    say("")
    say(table(rows))
    say("")
    for reason in proposal.reasons:
        say(f"  {reason}")
    half = capital / 2
    say(f"  needs {half:,.2f} {quote} and {half / seen.mid:.6f} {base}")
    say(
        f"  limits: an order {proposal.max_order_size:f} {base}, all open "
        f"{proposal.max_open_notional:,f} {quote},\n"
        f"          off target {proposal.max_inventory:f} {base}, drawdown 2%\n"
    )


def look(
    venue: str, pair: str, addresses: Mapping[str, str], keys: Keys | None
) -> tuple[Instrument, Market, int, Decimal | None]:
    """Ask the venue for the pair, its price and its last hour; with keys for fees and balance.

    Raises:
        ConfigError: it has no such pair.
        VenueError: it does not answer.
    """
    import asyncio

    from openmm.control.sizing import market
    from openmm.venues.desk import connect

    say(f"  asking {venue} …")

    async def asked(desk: Desk) -> tuple[Instrument, Market, int, Decimal | None]:
        found = await desk.get_instruments()
        if pair not in found:
            near = [name for name in found if name.startswith(pair.split("/")[0])][:6]
            hint = f"; it has {', '.join(near)}" if near else ""
            raise ConfigError("pair", pair, f"a pair of {venue}{hint}")
        instrument = found[pair]
        ticker = await desk.get_ticker(pair)
        candles = await desk.get_ohlcv(pair, 60, CANDLES)
        seen = market(ticker.bid, ticker.ask, [one.close for one in candles])
        fee_ppm, worth = instrument.maker_fee_ppm or 0, None
        if keys is not None:
            fee_ppm = (await desk.get_fees(pair)).maker_ppm
            held = await desk.get_balance()
            totals = [
                held[asset].total if asset in held else Decimal(0)
                for asset in (instrument.base, instrument.quote)
            ]
            worth = totals[0] * seen.mid + totals[1]
        return instrument, seen, fee_ppm, worth

    async def run() -> tuple[Instrument, Market, int, Decimal | None]:
        async with connect(venue, keys, endpoints=addresses) as desk:
            return await asked(desk)

    return asyncio.run(run())


def keys_of(venue: str, *, wanted: bool) -> Keys | None:
    """Return the venue's keys, if the bot will need them; offer to put them into the vault.

    Args:
        wanted: whether the bot will need them: nobody is asked for a passphrase otherwise.
    """
    from openmm.config.secrets import has_keys, load_keys

    if has_keys(venue):
        say(f"  keys of {venue}: found")
        return load_keys(venue) if wanted else None
    text = f"Put keys of {venue} into the vault now"
    if not typer.confirm(text, default=wanted):
        say("  later: openmm vault add " + venue)
        return None
    from openmm.cli.vault import asked_keys, new_passphrase
    from openmm.config.passphrase import stored_passphrase, vault_passphrase
    from openmm.config.vault import create_vault, put_keys, read_vault, vault_path

    path = vault_path()
    if path is None:
        say("  OPENMM_VAULT is empty: there is no vault")
        return None
    while True:
        try:
            if not path.exists():
                passphrase = stored_passphrase() or new_passphrase()
                create_vault(path, passphrase)
                say(f"  made {path}")
            else:
                passphrase = vault_passphrase()
                read_vault(path, passphrase)
            keys = asked_keys(venue)
            put_keys(path, passphrase, venue, keys)
        except OpenMMError as error:
            say(f"  {error}")
            if not typer.confirm("Again", default=True):
                return None
            continue
        say(f"  keys of {venue} are in the vault")
        return keys if wanted else None


def until_good(question: str, default: str, read: Callable[[str], T]) -> T:
    """Ask until the answer can be read; what is wrong with one is said."""
    while True:
        told: str = typer.prompt(question, default=default)
        try:
            return read(told.strip())
        except (ValueError, ConfigError) as error:
            say(f"  {error}")


def one_of(text: str, known: tuple[str, ...]) -> str:
    """Return a word of a list.

    Raises:
        ValueError: it is none.
    """
    if text.lower() not in known:
        raise ValueError(f"one of {', '.join(known)}; got {text!r}")
    return text.lower()


def positive(text: str) -> Decimal:
    """Return a decimal above zero.

    Raises:
        ValueError: it is none.
    """
    from openmm.config.values import parse_decimal

    number = parse_decimal(text.replace(",", "").replace("_", ""))
    if number <= 0:
        raise ValueError("more than zero")
    return number


def bot_name(text: str) -> str:
    """Return a bot's name.

    Raises:
        ValueError: it is none.
    """
    import re

    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", text):
        raise ValueError("1 to 32 of a-z, 0-9 and -, not starting with -")
    return text


def moves(seen: Market) -> str:
    """Say how much the market moves."""
    if seen.sigma_ppm is None:
        return "how much it moves is not known yet"
    return f"moves {pct(seen.sigma_ppm)} a minute (the last {seen.minutes})"


def pct(ppm: int) -> str:
    """Write parts per million as per cent."""
    from openmm.config.values import format_ppm

    return format_ppm(ppm)


def say(text: str) -> None:
    """Tell a line."""
    typer.echo(text)
