"""`openmm init`: write a commented bot.toml to start from."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from openmm.cli.output import EXIT_DONE, Json, emit
from openmm.errors import ConfigError

EXAMPLE = "Example: openmm init bot.toml --pair BTC/USD --spread 0.6% --order-amount 0.01 --yes"

TEMPLATE = """\
# A bot of OpenMM. Every key: docs/configuration.md. Check it: openmm check {file}
# Ratios carry a unit ("0.6%", "25bps"), durations too ("30s"); quantities are exact, in quotes.

[bot]
name = "{name}"
# paper: real market data, pretended fills. live: real orders.
mode = "{mode}"
{capital}
[[venue]]
# Keys: the vault (openmm vault add {venue}), or OPENMM_{env}_KEY and
# OPENMM_{env}_SECRET{passphrase}, or the keyring; never in this file.
name = "{venue}"
quote = "{pair}"
{endpoints}{fees}
# A second book for the reference price, only watched:
# [[venue]]
# name = "{venue}"
# label = "{venue}-2"
# reference = "{pair}"

[strategy]
kind = "grid"
# Between the innermost bid and ask; must pay the maker fee both ways.
spread = "{spread}"
# Of each level, in the base asset.
order_amount = "{order_amount}"
# Levels a side.
num_orders = {num_orders}
# Off target by more than this, only the side that brings it back is quoted.
rebalance_threshold = "{rebalance_threshold}"
# Share of the base asset in the total value.
target_base = "{target_base}"
# Between levels; half the spread unless told:
# level_step = "0.3%"
# Shift of both sides at full inventory; 0.4 of the spread unless told:
# skew_full = "0.24%"

[risk]
max_order_size = "{max_order_size}"
# In the quote asset, all live orders together.
max_open_notional = "{max_open_notional}"
# Off target, in the base asset; beyond it everything is cancelled and inventory only reduced.
max_inventory = "{max_inventory}"
# Loss since the session's start that halts the bot.
max_drawdown = "{max_drawdown}"
# No order further from the reference; beyond the outermost level:
{collar}
# Told of every halt:
# webhook = "https://hooks.example.com/openmm"

[settlement]
reconcile_every = "30s"
# Share of equity by which the venue and the ledger may differ.
halt_above = "0.1%"
{paper}"""


@dataclass(frozen=True, slots=True)
class Question:
    """One value of the file: how it is asked for, and what it is unless told."""

    key: str
    text: str
    default: str


PAIR = "BTC/USD"
PAIRS = {
    "gateio": "BTC/USDT",
    "bitget": "BTC/USDT",
    "mexc": "BTC/USDT",
}  # of a venue whose main quote asset is another
SIM_PORT = 8100
QUESTIONS = (
    Question("name", "The bot's name", "btc-grid"),
    Question("pair", "The pair to trade", PAIR),
    Question("spread", "Spread between bid and ask", "0.6%"),
    Question("order_amount", "Quantity of each level", "0.01"),
    Question("num_orders", "Levels a side", "5"),
    Question("rebalance_threshold", "One-sided beyond this distance from the target", "10%"),
    Question("target_base", "Share of the base asset to hold", "50%"),
    Question("max_order_size", "Largest order", "0.05"),
    Question("max_open_notional", "Most value of all live orders", "20000"),
    Question("max_inventory", "Most inventory off target", "0.5"),
    Question("max_drawdown", "Loss that halts the bot", "2%"),
)


def init(
    file: Annotated[Path, typer.Argument(help="The file to write.")] = Path("bot.toml"),
    name: Annotated[str | None, typer.Option(help="The bot's name.")] = None,
    mode: Annotated[
        str | None,
        typer.Option(help="paper or live; paper unless told."),
    ] = None,
    venue: Annotated[str | None, typer.Option(help="The venue; kraken unless told.")] = None,
    pair: Annotated[
        str | None, typer.Option(help="The pair; BTC/USD or what the venue has.")
    ] = None,
    spread: Annotated[str | None, typer.Option(help="Such as 0.6%.")] = None,
    order_amount: Annotated[str | None, typer.Option(help="Such as 0.01.")] = None,
    num_orders: Annotated[str | None, typer.Option(help="Levels a side.")] = None,
    rebalance_threshold: Annotated[str | None, typer.Option(help="Such as 10%.")] = None,
    target_base: Annotated[str | None, typer.Option(help="Such as 50%.")] = None,
    max_order_size: Annotated[str | None, typer.Option(help="Such as 0.05.")] = None,
    max_open_notional: Annotated[str | None, typer.Option(help="Such as 20000.")] = None,
    max_inventory: Annotated[str | None, typer.Option(help="Such as 0.5.")] = None,
    max_drawdown: Annotated[str | None, typer.Option(help="Such as 2%.")] = None,
    maker_fee: Annotated[
        str | None, typer.Option(help="Your maker fee; the venue is asked unless told.")
    ] = None,
    taker_fee: Annotated[
        str | None, typer.Option(help="Your taker fee; the venue is asked unless told.")
    ] = None,
    rest: Annotated[
        str, typer.Option("--rest", help="Address instead of the venue's, of openmm sim for one.")
    ] = "",
    ws: Annotated[str, typer.Option("--ws", help="Likewise, of the public stream.")] = "",
    ws_auth: Annotated[str, typer.Option("--ws-auth", help="Likewise, of the private one.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing, take the defaults.")] = False,
    json_: Json = False,
) -> int:
    """Write a commented file for a new bot. Asks for what is not given, if at a terminal.

    At a terminal and with nothing given it looks at the market first: it asks for venue, keys (into
    the vault), pair and capital, proposes a grid from fees, spread and volatility, and shows it. An
    existing file is never overwritten, and nothing is written that would not load.
    """
    given: dict[str, str | None] = {
        "name": name,
        "pair": pair,
        "spread": spread,
        "order_amount": order_amount,
        "num_orders": num_orders,
        "rebalance_threshold": rebalance_threshold,
        "target_base": target_base,
        "max_order_size": max_order_size,
        "max_open_notional": max_open_notional,
        "max_inventory": max_inventory,
        "max_drawdown": max_drawdown,
    }
    if file.exists():
        raise ConfigError("file", str(file), "a file that is not there yet; this one is kept")
    asking = not yes and not json_ and sys.stdin.isatty()
    addresses = {
        name: url for name, url in (("ws", ws), ("ws_auth", ws_auth), ("rest", rest)) if url
    }
    proposed: dict[str, Any] = {}
    if asking and not any((*given.values(), venue, mode, maker_fee, taker_fee)):
        from openmm.cli.wizard import ask

        proposed = ask(file, addresses)
        given |= {key: proposed[key] for key in given if key in proposed}
        venue, mode, asking = proposed["venue"], proposed["mode"], False
    venue, mode = venue or "kraken", mode or "paper"
    values: dict[str, Any] = {"file": file, "mode": mode, "venue": venue}
    for question in QUESTIONS:
        value = given[question.key]
        default = PAIRS.get(venue, PAIR) if question.key == "pair" else question.default
        if value is None:
            value = typer.prompt(question.text, default=default) if asking else None
        values[question.key] = default if value is None else value
    values["capital"] = _capital(proposed.get("capital"), values["pair"])
    collar = proposed.get("price_collar")
    values["collar"] = f'price_collar = "{collar}"' if collar else '# price_collar = "5%"'
    values["paper"] = proposed.get("paper", "")
    values["env"] = venue.upper().replace("-", "_")
    values["passphrase"] = _passphrase(venue, values["env"])
    fees = [("maker_fee", maker_fee), ("taker_fee", taker_fee)]
    told = [f'{key} = "{_plain(key, value)}"' for key, value in fees if value is not None]
    values["fees"] = "".join(f"{line}\n" for line in told) or (
        '# The venue is asked for your fees unless told here:\n# maker_fee = "0.25%"\n'
    )
    if addresses:
        values["endpoints"] = "".join(
            f'endpoints.{key} = "{_plain(key, url)}"\n' for key, url in addresses.items()
        )
    else:
        values["endpoints"] = _endpoints(venue) if mode == "live" and not proposed else ""
    text = TEMPLATE.format(**{key: _plain(key, value) for key, value in values.items()})
    _validate(text, file)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        raise ConfigError("file", str(file), f"a place to write to ({error.strerror})") from None
    emit(
        {"file": file, "bot": values["name"]},
        json_,
        lambda: f"wrote {file}\n{_next(file, venue, live=bool(proposed) and mode == 'live')}",
    )
    return EXIT_DONE


def _capital(told: str | None, pair: str) -> str:
    """Return the line of the capital; a comment where none is allotted."""
    quote = str(pair).rpartition("/")[2]
    line = f'capital = "{told}"' if told else '# capital = "20000"'
    return f"# Allotted to this bot, in {_plain('pair', quote)}, base and quote together:\n{line}\n"


def _next(file: Path, venue: str, *, live: bool) -> str:
    """Say which commands come next."""
    if not live:
        return f"next: openmm check {file}, then openmm run {file}"
    rest = (f"openmm doctor {venue} --for {file}", f"openmm run {file}", "openmm top")
    return "\n      ".join((f"next: openmm check {file}", *rest))


def _passphrase(venue: str, env: str) -> str:
    """Return what is said of a venue's passphrase; nothing where its keys have none."""
    from openmm.config.schema import WITH_PASSPHRASE

    return f" and OPENMM_{env}_PASSPHRASE" if venue in WITH_PASSPHRASE else ""


def _endpoints(venue: str) -> str:
    """Return the lines that lead to the simulated venue; live trades on no other."""
    from openmm.sim.dialects import dialect

    speaks = dialect(venue)
    addresses = {
        "ws": f"ws://127.0.0.1:{SIM_PORT}{speaks.path}",
        "ws_auth": f"ws://127.0.0.1:{SIM_PORT + 1}{speaks.path}",
        "rest": f"http://127.0.0.1:{SIM_PORT + 2}{speaks.rest_path}",
    }
    lines = [f'endpoints.{key} = "{url}"' for key, url in addresses.items()]
    return "\n".join((f"# openmm sim {venue} --port {SIM_PORT}", *lines, ""))


def _plain(key: str, value: object) -> str:
    """Refuse what would end a quoted value of the file."""
    text = str(value)
    if key not in ("capital", "collar", "paper", "endpoints", "fees", "file") and any(
        ch in '"\\' or not ch.isprintable() for ch in text
    ):
        raise ConfigError(key, text, "plain text without quotes or control characters")
    return text


def _validate(text: str, file: Path) -> None:
    import tomllib

    from openmm.config import parse

    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("num_orders", text.count("\n"), f"plain values ({error})") from None
    parse(data, source=str(file), folder=file.absolute().parent)
