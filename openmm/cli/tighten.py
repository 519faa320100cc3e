"""`openmm tighten`: closer limits for a running bot."""

from __future__ import annotations

from typing import Annotated

import typer

from openmm.cli.output import Json, emit, pairs
from openmm.cli.pick import Bot, Folder, pick, tell

EXAMPLE = "Example: openmm tighten --bot btc-grid --max-order-size 0.02 --max-drawdown 1%"


def _option(name: str, what: str) -> typer.models.OptionInfo:
    made = typer.Option(name, help=what)
    assert isinstance(made, typer.models.OptionInfo)
    return made


def tighten(
    bot: Bot = None,
    run_dir: Folder = None,
    max_order_size: Annotated[str, _option("--max-order-size", "Largest order, in base.")] = "",
    min_order_size: Annotated[str, _option("--min-order-size", "Smallest order, in base.")] = "",
    max_order_notional: Annotated[
        str, _option("--max-order-notional", "Largest value of an order, in quote.")
    ] = "",
    max_open_notional: Annotated[
        str, _option("--max-open-notional", "Value of all live orders, in quote.")
    ] = "",
    max_inventory: Annotated[
        str, _option("--max-inventory", "Distance from the target, in base.")
    ] = "",
    max_drawdown: Annotated[str, _option("--max-drawdown", "Loss from the start: halt.")] = "",
    max_drawdown_peak: Annotated[
        str, _option("--max-drawdown-peak", "Loss from the peak: halt.")
    ] = "",
    price_collar: Annotated[
        str, _option("--price-collar", "Distance of an order from the reference.")
    ] = "",
    max_orders: Annotated[str, _option("--max-orders", "Live orders.")] = "",
    max_message_age: Annotated[str, _option("--max-message-age", "Age of the book.")] = "",
    max_clock_offset: Annotated[
        str, _option("--max-clock-offset", "Our clock against the venue's.")
    ] = "",
    max_slippage: Annotated[
        str, _option("--max-slippage", "Fill on the losing side of the reference.")
    ] = "",
    fills_per_minute: Annotated[str, _option("--fills-per-minute", "Fills a minute.")] = "",
    rejects_per_minute: Annotated[
        str, _option("--rejects-per-minute", "Refused requests a minute.")
    ] = "",
    post_only_per_minute: Annotated[
        str, _option("--post-only-per-minute", "Post-only refusals a minute.")
    ] = "",
    cancels_per_minute: Annotated[str, _option("--cancels-per-minute", "Cancels a minute.")] = "",
    base_reserve: Annotated[str, _option("--base-reserve", "Base never offered.")] = "",
    quote_reserve: Annotated[str, _option("--quote-reserve", "Quote never spent.")] = "",
    json_: Json = False,
) -> None:
    """Change limits of a running bot, within those of its file; they last until it stops.

    A limit looser than the file's is refused. Resting orders are cancelled and placed anew within
    the limits in force. Values are written as in the file: "0.02", "1%", "500ms".
    """
    from openmm.control import Tighten

    found = pick(bot, run_dir)
    command = Tighten(
        max_order_size, min_order_size, max_order_notional, max_open_notional, max_inventory,
        max_drawdown, max_drawdown_peak, price_collar, max_orders, max_message_age,
        max_clock_offset, max_slippage, fills_per_minute, rejects_per_minute,
        post_only_per_minute, cancels_per_minute, base_reserve, quote_reserve,
    )  # fmt: skip
    result = tell(found, command)
    limits = {key: "off" if text is None else text for key, text in result["limits"].items()}
    emit({"bot": found.bot, **result}, json_, lambda: f"{found.bot}: limits\n{pairs(limits)}")
