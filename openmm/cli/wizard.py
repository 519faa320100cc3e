"""The questions of `openmm init` at a terminal: a grid proposed from the market as it is now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from openmm.errors import ConfigError, ControlError, OpenMMError

if TYPE_CHECKING:
    from openmm.config.keys import Keys
    from openmm.control.market import Market, Place
    from openmm.control.propose import Proposal

T = TypeVar("T")
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
    from openmm.config import Grid
    from openmm.config.schema import VENUES
    from openmm.control.market import Place

    say("A bot in a few questions. Enter takes what stands in brackets; Ctrl+C leaves.")
    say(f"Nothing is written before you have seen the grid, and {file} then.\n")
    venue = until_good("Venue", "kraken", lambda text: one_of(text, VENUES))
    mode = until_good("Mode: paper or live", "paper", lambda text: one_of(text, ("paper", "live")))
    keys = keys_of(venue, wanted=mode == "live")
    place = Place(venue, dict(addresses))
    seen = until_good("Pair", PAIRS.get(venue, PAIR), lambda text: look(place, text.upper(), keys))
    one = seen.instrument
    say(f"\n  {venue} {one.name}: {seen.mid:,f} {one.quote}, spread {seen.spread_bps:.2f} bps")
    say(f"  {moves(seen)}")
    if one.maker_fee_ppm is not None:
        say(f"  maker fee {pct(one.maker_fee_ppm)} ({'your account' if keys else 'its list'})")
    told = Decimal(CAPITAL)
    if seen.held is not None:
        held = [seen.held.get(asset, Decimal(0)) for asset in (one.base, one.quote)]
        worth = held[0] * seen.mid + held[1]
        say(f"  the account holds {worth:,.2f} {one.quote} in {one.base} and {one.quote}")
        told = min(told, worth)
    say("")
    capital = until_good(
        f"Capital in {one.quote}, base and quote together", f"{told:.2f}", positive
    )
    name = until_good("The bot's name", f"{one.base.lower()}-grid", bot_name)
    taken = settle(seen, place, mode, name, capital)
    grid, risk, paper = taken.parsed.strategy, taken.parsed.risk, taken.parsed.paper
    assert isinstance(grid, Grid), "a proposal is a grid"
    return {
        "name": name, "mode": mode, "venue": venue, "pair": one.name, "capital": f"{capital:f}",
        "spread": pct(grid.spread_ppm), "num_orders": str(grid.num_orders),
        "order_amount": f"{grid.order_amount:f}", "target_base": pct(grid.target_base_ppm),
        "max_order_size": f"{risk.max_order_size:f}", "max_inventory": f"{risk.max_inventory:f}",
        "max_open_notional": f"{risk.max_open_notional:f}",
        "max_drawdown": pct(risk.max_drawdown_ppm), "price_collar": pct(risk.price_collar_ppm),
        "paper": "" if mode == "live" or paper.base is None or paper.quote is None
        else f'\n[paper]\nbase = "{paper.base:f}"\nquote = "{paper.quote:f}"\n',
    }  # fmt: skip


def settle(seen: Market, place: Place, mode: str, name: str, capital: Decimal) -> Proposal:
    """Show a proposal and take changes of it until it is taken."""
    from openmm.config.values import format_ppm, parse_ppm
    from openmm.control.home import Home
    from openmm.control.propose import build
    from openmm.control.words import Wish

    spread, levels = "", None
    proposal = None
    while True:
        assumed: list[str] = []
        wish = Wish(
            pair=seen.instrument.name, venue=place.venue, name=name, mode=mode, capital=capital,
            spread=spread, levels=levels,
        )  # fmt: skip
        try:
            proposal = build(Home.find(), wish, mode, place, place.venue, seen, assumed)
            show(seen, proposal)
        except ControlError as error:
            say(f"  {error}")
        say("Enter writes it. A spread (0.8%) or a number of levels (3) proposes anew; q leaves.")
        told: str = typer.prompt("Take it", default="yes").strip().lower()
        if told in ("yes", "y") and proposal is not None:
            return proposal
        if told in ("q", "n", "no", "quit"):
            raise typer.Abort
        try:
            if told.isdigit():
                levels = max(1, min(32, int(told)))
            elif told not in ("yes", "y"):
                spread = format_ppm(parse_ppm(told))
        except ValueError as error:
            say(f"  {error}")


def show(seen: Market, proposal: Proposal) -> None:
    """Draw a proposal: the ladder it gives at the price now, why it is so, and what it needs."""
    from openmm.cli.output import table

    base, quote = seen.instrument.base, seen.instrument.quote
    rows: list[tuple[str, ...]] = [("", f"price {quote}", f"qty {base}", f"{quote}", "from mid")]
    for side, levels in (
        ("ask", reversed(proposal.ladder["asks"])), ("bid", proposal.ladder["bids"])
    ):  # fmt: skip
        for level in levels:
            price, qty = level["price"], level["qty"]
            away = (price / seen.mid - 1) * 100
            rows.append((side, f"{price:,f}", f"{qty:f}", f"{price * qty:,.2f}", f"{away:+.3f}%"))
    say("")
    say(table(rows))
    say("")
    for line in (*proposal.assumed, *(f"note: {warning}" for warning in proposal.warnings)):
        say(f"  {line}")
    risk = proposal.parsed.risk
    needs = " and ".join(
        f"{qty:,.2f} {asset}" if asset == quote else f"{qty:f} {asset}"
        for asset, qty in sorted(proposal.needs.items())
    )
    say(f"  needs {needs}")
    say(
        f"  limits: an order {risk.max_order_size:f} {base}, all open "
        f"{risk.max_open_notional:,f} {quote},\n"
        f"          off target {risk.max_inventory:f} {base}, "
        f"drawdown {pct(risk.max_drawdown_ppm)}\n"
    )


def look(place: Place, pair: str, keys: Keys | None) -> Market:
    """Ask the venue for the pair, its price and its last hour; with keys for fees and balance.

    Raises:
        ControlError: it has no such pair.
        VenueError: it does not answer.
    """
    from openmm.control.market import survey

    say(f"  asking {place.venue} …")
    return survey(place, pair, keys)


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
        except (ValueError, ConfigError, ControlError) as error:
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
    if seen.minute_bps is None:
        return "how much it moves is not known yet"
    return f"moves {seen.minute_bps:.2f} bps a minute, in the last hour"


def pct(ppm: int) -> str:
    """Write parts per million as per cent."""
    from openmm.config.values import format_ppm

    return format_ppm(ppm)


def say(text: str) -> None:
    """Tell a line."""
    typer.echo(text)
