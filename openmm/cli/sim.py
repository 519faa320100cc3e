"""`openmm sim`: a simulated venue that speaks a real venue's protocol, on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

EXAMPLE = (
    "Example: openmm sim kraken --port 9100 --seed 7 --maker-fee 0%; "
    "with everything going wrong: openmm sim kraken --port 9100 --chaos 7; "
    "with faults of your choice: openmm sim kraken --port 9100 --faults faults.toml"
)

# One each of what a venue's accounts and feeds may be.
VENUES = {
    name: EXAMPLE.replace("kraken", name).replace(
        " --maker-fee 0%", "" if name.startswith(("binance", "coinbase")) else " --maker-fee 0%"
    )
    for name in (
        "kraken", "gateio", "bitget", "bitget-2026", "bitget-legacy", "bitget-unified",
        "mexc", "mexc-ids", "binance", "binance-cached", "binance-usdm", "binance-coinm",
        "coinbase",
    )
}  # fmt: skip


class Venues(TyperGroup):
    """One command a venue, made when it is asked for: `openmm --help` does not pay for them."""

    def __init__(self, **told: Any) -> None:
        super().__init__(**told)
        made: dict[str, Any] = dict.fromkeys(VENUES)
        self.commands = made

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the venues."""
        return list(VENUES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a venue's command, None for a venue that is not simulated."""
        if self.commands.get(cmd_name) is None and cmd_name in VENUES:
            one = typer.Typer(
                add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
            )
            one.command(cmd_name, epilog=VENUES[cmd_name])(_command(cmd_name))
            self.commands[cmd_name] = typer.main.get_command(one)
        return self.commands.get(cmd_name)


app = typer.Typer(
    cls=Venues,
    help="Run a simulated venue: real sockets, the venue's own protocol, checksums, signatures.",
    epilog=EXAMPLE,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def venues() -> None:
    """Run a simulated venue: real sockets, the venue's own protocol, checksums, signatures."""


def _command(venue: str) -> Callable[..., int]:
    """Make the command that serves one venue."""

    def simulate(
        host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
        port: Annotated[
            int, typer.Option(help="Public WebSocket; private and REST take the next two. 0: any.")
        ] = 0,
        pair: Annotated[
            str,
            typer.Option("--pair", help="The pair served; the first if not given."),
        ] = "",
        seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 1,
        price: Annotated[
            str | None, typer.Option("--price", help="Where a synthetic market starts.")
        ] = None,
        replay: Annotated[
            Path | None, typer.Option("--replay", help="Serve a recording instead.")
        ] = None,
        flow: Annotated[
            int | None, typer.Option("--flow", help="Seed of takers added to a recording.")
        ] = None,
        speed: Annotated[str, typer.Option(help="Pace of a recording, 1 to 1000.")] = "1",
        at_end: Annotated[
            str, typer.Option("--at-end", help="After the last frame: hold the book, or loop.")
        ] = "hold",
        restamp: Annotated[
            bool,
            typer.Option(
                "--restamp/--keep-stamps",
                help="Whether recorded messages get the time they are sent at. To a live bot, kept"
                " ones are late news: it does not quote.",
            ),
        ] = True,
        tier: Annotated[
            str, typer.Option(help="Rate limits: starter, intermediate or pro.")
        ] = "pro",
        fee_tier: Annotated[
            int, typer.Option("--fee-tier", help="Row of the fee table, 0 to 9.")
        ] = 0,
        maker_fee: Annotated[
            str | None, typer.Option("--maker-fee", help="Instead of the tier's, such as 0.1%.")
        ] = None,
        taker_fee: Annotated[
            str | None, typer.Option("--taker-fee", help="Instead of the tier's, such as 0.2%.")
        ] = None,
        balance: Annotated[
            list[str] | None, typer.Option("--balance", help="ASSET=AMOUNT; may be repeated.")
        ] = None,
        market: Annotated[
            list[str] | None,
            typer.Option(
                "--market",
                help="NAME=NUMBER of a synthetic market, such as taker_share=0.2; repeat.",
            ),
        ] = None,
        latency: Annotated[
            str, typer.Option(help="One way: 2ms, or 2ms+1ms with a mean jitter.")
        ] = "0ms",
        faults: Annotated[
            Path | None, typer.Option("--faults", help="A TOML file of what goes wrong, and when.")
        ] = None,
        chaos: Annotated[
            int | None,
            typer.Option("--chaos", help="Let everything go wrong, drawn from this seed."),
        ] = None,
        json_: Annotated[
            bool, typer.Option("--json", help="Errors as JSON; the start line is JSON always.")
        ] = False,
    ) -> int:
        """Simulate the venue until SIGTERM or Ctrl+C.

        Once every port is open one JSON line tells addresses, the account's key and secret, fees
        and seed. `GET /sim/statement`, `/sim/open-orders` and `/sim/config` at the REST address
        tell the venue's own view.
        """
        from openmm.cli.spans import decimal
        from openmm.errors import ConfigError
        from openmm.sim.faults import chaos as drawn
        from openmm.sim.faults import load_script
        from openmm.sim.main import run
        from openmm.sim.options import SimOptions, parse_balances, parse_fee, parse_latency

        if faults is not None and chaos is not None:
            raise ConfigError("--chaos", chaos, "--faults or --chaos, not both")
        if chaos is not None and chaos < 0:
            raise ConfigError("--chaos", chaos, "0 or more")
        with _options_named():
            script = drawn(chaos) if chaos is not None else load_script(faults) if faults else None
            latency_ns, jitter_ns = parse_latency(latency)
            options = SimOptions(
                venue=venue,
                host=host,
                port=port,
                seed=seed,
                instrument=pair,
                start_price=None if price is None else decimal("--price", price),
                replay=replay,
                flow=flow,
                speed=decimal("--speed", speed),
                at_end=at_end,
                restamp=restamp,
                tier=tier,
                fee_tier=fee_tier,
                maker_fee_ppm=None
                if maker_fee is None
                else parse_fee("sim.maker_fee_ppm", maker_fee),
                taker_fee_ppm=None
                if taker_fee is None
                else parse_fee("sim.taker_fee_ppm", taker_fee),
                balances=parse_balances(balance or []),
                latency_ns=latency_ns,
                jitter_ns=jitter_ns,
                faults=script,
                market=dict(_number(text) for text in market or []),
            )
            run(options)
        return 0

    return simulate


# Options that are not called after their field of `SimOptions`.
OPTIONS = {
    "instrument": "--pair", "start_price": "--price", "balances": "--balance",
    "maker_fee_ppm": "--maker-fee", "taker_fee_ppm": "--taker-fee",
    "latency_ns": "--latency", "jitter_ns": "--latency",
}  # fmt: skip


@contextmanager
def _options_named() -> Iterator[None]:
    """Name a field of the simulator's that is refused by the option it came from."""
    from openmm.errors import ConfigError

    try:
        yield
    except ConfigError as error:
        prefix, _, path = error.path.partition(".")
        if prefix != "sim":
            raise
        field, _, rest = path.partition(".")
        option = OPTIONS.get(field, "--" + field.replace("_", "-"))
        raise ConfigError(f"{option} {rest}".rstrip(), error.value, error.allowed) from error


def _number(text: str) -> tuple[str, float]:
    """Read NAME=NUMBER.

    Raises:
        ConfigError: it is not of that form.
    """
    from openmm.errors import ConfigError

    name, mark, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if not mark or not name or value != value or abs(value) > 1e9:
        raise ConfigError("--market", text, "NAME=NUMBER, such as taker_share=0.2")
    return name, value
