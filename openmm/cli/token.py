"""`openmm token`: who may use the control plane, and for what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from openmm.cli.output import EXIT_DONE, Json, emit, pairs, table

if TYPE_CHECKING:
    from openmm.control.access import Client, Clients

EXAMPLE = "Example: openmm token list"
LIST_EXAMPLE = "Example: openmm token list --json"
ADD_EXAMPLE = (
    "Example: openmm token add desk-agent --scope read --scope brake --bot btc-grid --expires 30d"
)
REVOKE_EXAMPLE = "Example: openmm token revoke desk-agent"
SHOW_EXAMPLE = "Example: openmm token show desk-agent"

Name: TypeAlias = Annotated[str, typer.Argument(help="The client's name.")]
File: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--clients", help="The clients file.", envvar="OPENMM_CLIENTS", show_default=False
    ),
]

app = typer.Typer(
    help="Grant programs, models and people a token of the control plane, and take it back.\n\n"
    "Scopes: read; brake (pause, halt, cancel, stop); resume; set (parameters and limits); trade "
    "(orders by hand, flatten); start (create and start bots). None includes another.",
    epilog=EXAMPLE,
    rich_markup_mode=None,
)


@app.command("list", epilog=LIST_EXAMPLE)
def list_(clients: File = None, json_: Json = False) -> int:
    """List the clients and what they may do; tokens are not kept and cannot be shown."""
    found = [_shown(one) for one in _book(clients).all()]

    def text() -> str:
        rows: list[tuple[str, ...]] = [("client", "scopes", "bots", "expires")]
        rows += [
            (one["name"], ",".join(one["scopes"]), ",".join(one["bots"]), one["expires"] or "never")
            for one in found
        ]
        return table(rows) if found else "no clients: openmm token add NAME"

    emit({"clients": found}, json_, text)
    return EXIT_DONE


@app.command("add", epilog=ADD_EXAMPLE)
def add(
    name: Name,
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="read, brake, resume, set, trade, start; may be repeated."),
    ] = None,
    bot: Annotated[
        list[str] | None,
        typer.Option("--bot", help="A bot it sees; may be repeated. All when left out."),
    ] = None,
    requests_per_minute: Annotated[
        int, typer.Option("--requests-per-minute", help="Calls of the door.")
    ] = 120,
    orders_per_minute: Annotated[
        int, typer.Option("--orders-per-minute", help="Orders by hand.")
    ] = 0,
    order_notional: Annotated[
        str, typer.Option("--order-notional", help="Of one order, in quote; none when left out.")
    ] = "",
    notional_per_hour: Annotated[
        str, typer.Option("--notional-per-hour", help="Of all, in quote; none when left out.")
    ] = "",
    expires: Annotated[
        str, typer.Option("--expires", help="After how long, such as 12h or 30d; never if left.")
    ] = "",
    clients: File = None,
    json_: Json = False,
) -> int:
    """Grant a token and print it: once, it is kept nowhere."""
    import time

    from openmm.cli.spans import decimal
    from openmm.control.access import Caps, Client, read_scopes
    from openmm.errors import ConfigError

    for option, value, least in (
        ("--requests-per-minute", requests_per_minute, 1),
        ("--orders-per-minute", orders_per_minute, 0),
    ):
        if not least <= value <= 100_000:
            raise ConfigError(option, value, f"an integer from {least} to 100000")
    now_ns = time.time_ns()
    caps = Caps(
        requests_per_minute, orders_per_minute,
        decimal("--order-notional", order_notional) if order_notional else None,
        decimal("--notional-per-hour", notional_per_hour) if notional_per_hour else None,
    )  # fmt: skip
    client = Client(
        name, read_scopes(scope or ["read"], "--scope"), tuple(bot or ["*"]), caps,
        expires_ns=now_ns + _days_ns(expires) if expires else 0,
    )  # fmt: skip
    book = _book(clients)
    token = book.add(client, now_ns)
    shown = _shown(client)

    def text() -> str:
        told = pairs({**_lines(shown), "clients file": book.path})
        return f"{token}\n{told}\nkeep the token: it is shown this once"

    emit({"token": token, "client": shown, "clients": book.path}, json_, text)
    return EXIT_DONE


@app.command("revoke", epilog=REVOKE_EXAMPLE)
def revoke(name: Name, clients: File = None, json_: Json = False) -> int:
    """Take a client's token back: it opens nothing from now on, connections it has included."""
    book = _book(clients)
    book.revoke(name)
    emit({"revoked": name, "clients": book.path}, json_, lambda: f"{name}: revoked")
    return EXIT_DONE


@app.command("show", epilog=SHOW_EXAMPLE)
def show(name: Name, clients: File = None, json_: Json = False) -> int:
    """Show what a client may do."""
    from openmm.errors import ConfigError

    found = {one.name: one for one in _book(clients).all()}
    if name not in found:
        raise ConfigError("client", name, f"one of: {', '.join(found) or 'none'}")
    shown = _shown(found[name])
    emit({"client": shown}, json_, lambda: pairs(_lines(shown)))
    return EXIT_DONE


def _book(path: Path | None) -> Clients:
    from openmm.control.access import Clients
    from openmm.control.home import Home

    return Clients(path.expanduser().absolute() if path is not None else Home.find().clients)


def _days_ns(text: str) -> int:
    """Read a span of time that may be in days."""
    from openmm.cli.spans import span_s
    from openmm.errors import ConfigError

    if text.endswith("d") and text[:-1].isascii() and text[:-1].isdigit():
        days = int(text[:-1]) if len(text) <= 6 else 0
        if not 1 <= days <= 3_660:
            raise ConfigError("--expires", text, "1d to 3660d")
        return days * 86_400 * 1_000_000_000
    return int(span_s("--expires", text) * 1e9)


def _shown(client: Client) -> dict[str, Any]:
    from openmm.control.access import Scope, moment_of

    caps = client.caps
    return {
        "name": client.name,
        "scopes": [one.value for one in Scope if one in client.scopes],
        "bots": list(client.bots),
        "requests_per_minute": caps.requests_per_minute,
        "orders_per_minute": caps.orders_per_minute,
        "order_notional": caps.order_notional,
        "notional_per_hour": caps.notional_per_hour,
        "expires": moment_of(client.expires_ns) if client.expires_ns else None,
    }


def _lines(shown: dict[str, Any]) -> dict[str, object]:
    return {
        key: ", ".join(value) if isinstance(value, list) else "none" if value is None else value
        for key, value in shown.items()
    }
