"""Prompts: work that people ask for often, laid out for a model with the data it begins with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import mcp_types as types
from msgspec import Struct

from openmm.control.arguments import BOT_NAME
from openmm.errors import ControlError
from openmm.mcp.answers import cleaned

ARGUMENT_CHARS_MAX: Final = 300


class Argument(Struct, frozen=True):
    """One argument of a prompt."""

    name: str
    doc: str
    required: bool = False


class Prompt(Struct, frozen=True):
    """One prompt.

    Args:
        text: what the model is asked; `{name}` stands for an argument.
        shows: actions of the door whose results come along; those of a bot only when it is told.
    """

    name: str
    title: str
    doc: str
    text: str
    arguments: tuple[Argument, ...] = ()
    shows: tuple[str, ...] = ()


class Made(Struct, frozen=True):
    """A prompt with its arguments filled in."""

    title: str
    text: str
    shows: tuple[tuple[str, dict[str, Any]], ...]


_BOT = Argument("bot", "the bot's name, such as btc-grid", required=True)
_RULES = (
    "Give numbers as the tools return them, with their units. Say what the data does not show. "
    "Change nothing: propose, and let the user decide."
)
PROMPTS: Final = {
    one.name: one
    for one in (
        Prompt(
            "market_analysis",
            "Market analysis",
            "How a bot's market is doing: spread, depth, trades, and what it means for quoting.",
            "Analyse the market of the bot {bot} for someone who makes a market in it.\n"
            "1. market_stats over the last hour and the last day: how have spread and depth "
            "changed, in percent?\n"
            "2. order_book now: where are our orders, how much is ahead of them?\n"
            "3. candles and list_trades of its venue and pair: direction, volatility, activity.\n"
            "4. bot_pnl: do the spreads we quote pay for adverse selection and fees?\n"
            "Then say in at most ten lines what changed, why it matters for the quotes, and "
            f"which parameter you would look at first. {_RULES}",
            (_BOT,),
            ("status", "market_stats"),
        ),
        Prompt(
            "portfolio_overview",
            "Portfolio overview",
            "P&L, equity and positions over all bots and venues, and what stands out.",
            "Give an overview of the portfolio: P&L by bot and by cause, equity, inventory "
            "against target, limits that are used to more than 80%, open alerts and incidents "
            "of the last 24 hours. Use portfolio, list_bots, risk_limits and list_incidents. Do "
            "not add different quote assets together. Begin with what needs attention, then a "
            f"table with one row a bot. {_RULES}",
            (),
            ("portfolio", "bots"),
        ),
        Prompt(
            "grid_setup",
            "Set up a grid",
            "From a plain wish to a validated bot: configuration, ladder, capital, then start.",
            "Set up a bot from this description of the user: {description}\n"
            "1. Call create_bot with the description (mode paper unless the user says live in so "
            "many words). Nothing happens yet.\n"
            "2. Show the user the configuration, the ladder and the capital it needs, and every "
            "warning. Explain each limit in one line.\n"
            "3. Change the description with the user and call again until they agree.\n"
            "4. Only then call create_bot again with the same arguments and the preview_token.\n"
            "5. Watch bot_status until it quotes, then show the ladder on order_book.\n"
            "If a call is forbidden, show the user what you got so far and whom to ask.",
            (Argument("description", "such as: a grid on BTC/USD with 1% spread", True),),
            ("strategies", "profiles"),
        ),
        Prompt(
            "incident_review",
            "Incident review",
            "What went wrong with a bot, why, what it cost, and what to change.",
            "Review the incidents of the bot {bot}.\n"
            "1. list_incidents of the last 24 hours, newest first; venue_health and bot_status "
            "now.\n"
            "2. For each: what was seen first, what the bot did, how long it lasted. Use "
            "get_order and explain_order for orders that an incident names.\n"
            "3. bot_pnl and list_fills around it: what did it cost?\n"
            "4. Is it over? If the bot is halted, say what must be true before resume_bot.\n"
            f"Write it as a timeline in UTC, then causes, cost, and proposals. {_RULES}",
            (_BOT,),
            ("status", "incidents"),
        ),
    )
}
_OF_HOST: Final = ("portfolio", "bots", "strategies", "profiles")


def listed() -> list[types.Prompt]:
    """List the prompts."""
    return [
        types.Prompt(
            name=one.name,
            title=one.title,
            description=one.doc,
            arguments=[
                types.PromptArgument(name=arg.name, description=arg.doc, required=arg.required)
                for arg in one.arguments
            ],
        )
        for one in PROMPTS.values()
    ]


def made(name: str, given: Mapping[str, str]) -> Made:
    """Fill a prompt's arguments in.

    Raises:
        ControlError: there is no such prompt (`unknown_prompt`), or an argument is missing,
            unknown or will not do (`bad_argument`).
    """
    prompt = PROMPTS.get(name)
    if prompt is None:
        raise ControlError(
            f"no prompt {name[:80]!r}; there are: {', '.join(PROMPTS)}", code="unknown_prompt"
        )
    known = [one.name for one in prompt.arguments]
    text = prompt.text
    if extra := [one for one in given if one not in known]:
        raise _bad(extra[0], f"{name} takes {', '.join(known) or 'no argument'}")
    for one in prompt.arguments:
        value = given.get(one.name, "").strip()
        if not value and one.required:
            raise _bad(one.name, f"{name} needs it: {one.doc}")
        if one.name == "bot" and not BOT_NAME.fullmatch(value):
            raise _bad("bot", "1 to 32 of a-z, 0-9 and -")
        if len(value) > ARGUMENT_CHARS_MAX:
            raise _bad(one.name, f"at most {ARGUMENT_CHARS_MAX} characters")
        text = text.replace("{" + one.name + "}", cleaned(value))
    bot = given.get("bot", "").strip()
    shows = [(action, {} if action in _OF_HOST else {"bot": bot}) for action in prompt.shows]
    return Made(prompt.title, text, tuple(shows))


def _bad(name: str, allowed: str) -> ControlError:
    return ControlError(f"{name[:80]}: {allowed}", code="bad_argument")
