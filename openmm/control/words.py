"""Read a plain description of a bot: what it says, and nothing that it does not say."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from openmm.config.schema import VENUES, WATCHED
from openmm.control.profiles import PROFILES
from openmm.errors import ControlError

# What a description may hold instead of a digit.
_COUNTED: Final = {
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9", "ten": "10", "twelve": "12", "twenty": "20",
}  # fmt: skip
_ALIASES: Final = {"gate.io": "gateio", "gate": "gateio"}
_PROFILE_WORDS: Final = {
    "conservative": "careful", "cautious": "careful", "safe": "careful",
    "aggressive": "tight", "narrow": "tight", "normal": "balanced",
}  # fmt: skip
_QUOTES: Final = "USDT|USDC|USDG|USD|EUR|GBP|CHF|CAD|AUD|JPY|BTC|ETH"
_N: Final = r"(?<![\w.,/-])(\d[\d,_]*(?:\.\d+)?|\.\d+)"
_SHARE: Final = r"(%|bps\b|bp\b|percent\b|basis points?\b)"
_PAIR: Final = re.compile(
    rf"(?<![\w/-])([A-Z0-9]{{2,12}})\s?/\s?([A-Z0-9]{{2,12}})(?![\w/])"
    rf"|(?<![\w/-])([A-Z0-9]{{2,12}})-({_QUOTES})(?![\w/-])",
    re.IGNORECASE,
)
_IMPOSSIBLE: Final = re.compile(
    r"\b(leverag\w*|futures?|perp\w*|margin|short(?:ing)?|options?|swaps?)\b", re.IGNORECASE
)
_OTHER_KINDS: Final = re.compile(
    r"\b(avellaneda|stoikov|arbitrage|dca|twap|vwap|momentum|trend|martingale|xemm|hedg\w*)\b",
    re.IGNORECASE,
)


class Wish(Struct, frozen=True):
    """What a description says. Shares as a file writes them; None: it does not say.

    Args:
        capital: in the quote asset.
        amount: of each level, in the base asset.
    """

    pair: str = ""
    venue: str = ""
    name: str = ""
    mode: str = ""
    profile: str = ""
    spread: str = ""
    step: str = ""
    levels: int | None = None
    amount: Decimal | None = None
    capital: Decimal | None = None
    target: str = ""
    rebalance: str = ""
    drawdown: str = ""
    inventory: Decimal | None = None
    maker_fee: str = ""
    taker_fee: str = ""


# Field, kind, patterns; the first group is the number. Those that name more come first: what is
# read is taken out of the text, so that nothing is read twice.
_FIELDS: Final = (
    ("maker_fee", "share", (rf"maker fees?\s*(?:of|is|at|=|:)?\s*{_N}\s*{_SHARE}",
                            rf"{_N}\s*{_SHARE}\s+maker fees?")),
    ("taker_fee", "share", (rf"taker fees?\s*(?:of|is|at|=|:)?\s*{_N}\s*{_SHARE}",
                            rf"{_N}\s*{_SHARE}\s+taker fees?")),
    ("drawdown", "share", (
        rf"(?:max(?:imum)?\.?\s+)?(?:drawdown|loss)\s*(?:limit)?\s*(?:of|is|at|to|=|:)?\s*"
        rf"{_N}\s*{_SHARE}",
        rf"{_N}\s*{_SHARE}\s+(?:max(?:imum)?\s+)?(?:drawdown|loss)",
    )),
    ("rebalance", "share", (
        rf"rebalanc\w*\s*(?:threshold)?\s*(?:of|is|at|beyond|=|:)?\s*{_N}\s*{_SHARE}",
    )),
    ("step", "share", (
        rf"(?:level\s+)?(?:step|spacing)\s*(?:of|is|at|=|:)?\s*{_N}\s*{_SHARE}",
        rf"{_N}\s*{_SHARE}\s+(?:apart|between (?:the )?(?:levels|orders)"
        r"|(?:level\s+)?(?:step|spacing))",
    )),
    ("target", "share", (
        rf"target\s*(?:base|inventory|share)?\s*(?:of|is|at|=|:)?\s*{_N}\s*{_SHARE}"
        rf"(?:\s+(?:in\s+)?(?:the\s+)?base\b)?",
        rf"{_N}\s*{_SHARE}\s+(?:in\s+)?(?:the\s+)?(?:base|target|inventory)\b",
    )),
    ("spread", "share", (
        rf"spread\s*(?:of|is|at|=|:|to)?\s*(?:about|around)?\s*{_N}\s*{_SHARE}",
        rf"{_N}\s*{_SHARE}\s+(?:wide\s+)?spread",
        rf"{_N}\s*{_SHARE}\s+(?:wide|between bid and ask)",
    )),
    ("inventory", "number", (
        rf"max(?:imum)?\.?\s+inventory\s*(?:of|is|at|=|:)?\s*{_N}",
        rf"inventory\s+limit\s*(?:of|is|at|=|:)?\s*{_N}",
    )),
    ("levels", "count", (
        rf"{_N}\s+(?:price\s+)?(?:levels?|orders?|rungs?|quotes?)\b"
        r"(?:\s+(?:a|per|each|on each|on either|of a)\s+side)?",
        rf"(?:levels?|orders?)\s*(?:=|:)\s*{_N}",
    )),
    ("amount", "number", (
        rf"(?:order\s+)?(?:amount|size|quantity|qty)\s*(?:of|is|at|=|:)?\s*{_N}",
        rf"\bof\s+{_N}(?!\s*(?:%|bps|percent|basis|[km]\b))(?:\s+(?:each|per level|per order))?",
        rf"{_N}(?:\s+[A-Za-z]{{2,10}})?\s+(?:each|per (?:level|order)|a level|an order)\b",
    )),
    ("capital", "money", (
        rf"(?:capital|budget|funds?)\s*(?:of|is|at|=|:)?\s*[$€]?\s*{_N}\s*([km]\b)?",
        r"[$€]\s*(\d[\d,_]*(?:\.\d+)?)\s*([km]\b)?",
        rf"{_N}\s*([km]\b)?\s*(?:dollars?|in capital|capital|of capital)\b",
    )),
)  # fmt: skip
_RULES: Final = tuple(
    (field, kind, tuple(re.compile(one, re.IGNORECASE) for one in patterns))
    for field, kind, patterns in _FIELDS
)


def read(description: str) -> Wish:
    """Read a description.

    Raises:
        ControlError: it contradicts itself (`ambiguous`), asks for what there is not
            (`impossible`), or holds a number whose meaning is not clear (`not_understood`).
    """
    text = " ".join(description.split())
    if found := _IMPOSSIBLE.search(text):
        raise _no("impossible", f"{found[0]!r}: bots trade spot with what the account holds")
    if found := _OTHER_KINDS.search(text):
        raise _no("impossible", f"{found[0]!r}: the strategy that can be created is the grid")
    for word, digit in _COUNTED.items():
        text = re.sub(rf"\b{word}\b(?=\s+(?:\w+\s+)?(?:levels?|orders?|rungs?))", digit, text,
                      flags=re.IGNORECASE)  # fmt: skip
    if re.search(r"(?<![\w.])-\s?\d", text):
        raise _no("impossible", "numbers below zero make no bot")
    text, name = _name(text)
    text, pair = _pair(text)
    text, venue = _venue(text)
    wish = Wish(
        pair=pair, venue=venue, name=name, mode=_mode(text), profile=_profile(text)
    )  # fmt: skip
    base, _, quote = pair.partition("/")
    if pair:
        # 5000 USD is capital, 0.1 BTC an order's quantity, 50% BTC a target.
        text = re.sub(rf"(%|percent)\s+(?:in\s+)?{base}\b", r"\1 base", text, flags=re.IGNORECASE)
        text = re.sub(rf"({_N})\s*([km])?\s*{quote}\b", r" capital \1\3 ", text, flags=re.I)
        text = re.sub(r"\bcapital\s*(?:of|is|=|:)?\s+capital\b", "capital", text, flags=re.I)
    for field, kind, patterns in _RULES:
        text, value = _take(text, field, kind, patterns)
        if value is not None:
            wish = replace(wish, **{field: value})
    if pair and wish.amount is None:
        text, value = _take(
            text, "amount", "number", (re.compile(rf"{_N}\s*{base}\b", re.IGNORECASE),)
        )
        wish = replace(wish, amount=value) if isinstance(value, Decimal) else wish
    if left := re.search(r"\d[\d.,]*\s*(?:%|bps|percent|\w+)?(?:\s+\w+)?", text):
        raise _no(
            "not_understood",
            f"{left[0].strip()!r} of the description: say what it is, such as 1% spread, 5 levels, "
            "0.01 each, 5000 USD capital, target 50% base, max drawdown 2%",
        )
    return wish


def _no(code: str, text: str) -> ControlError:
    return ControlError(text, code=code, hint="change the description accordingly")


def _take(
    text: str, field: str, kind: str, patterns: tuple[re.Pattern[str], ...]
) -> tuple[str, str | int | Decimal | None]:
    """Read one field out of a text; what was read is gone from it."""
    values: dict[str | int | Decimal, str] = {}
    for pattern in patterns:
        while found := pattern.search(text):
            groups = [one for one in found.groups() if one is not None]
            values[_value(field, kind, groups)] = found[0].strip()
            text = text[: found.start()] + " ; " + text[found.end() :]
    if len(values) > 1:
        said = " and ".join(repr(one) for one in values.values())
        raise _no("ambiguous", f"{field}: the description says {said}")
    return text, next(iter(values), None)


def _value(field: str, kind: str, groups: list[str]) -> str | int | Decimal:
    number = Decimal(groups[0].replace(",", "").replace("_", ""))
    if kind == "count":
        if number != int(number) or not 1 <= number <= 32:
            raise _no("impossible", f"{field}: 1 to 32 of a side; got {groups[0]}")
        return int(number)
    if number <= 0 and not field.endswith("_fee"):
        raise _no("impossible", f"{field}: more than zero; got {groups[0]}")
    if kind == "share":
        unit = groups[1].lower()
        share = number / 100 if unit.startswith("b") else number
        return f"{share.normalize():f}%"
    if kind == "money" and len(groups) > 1:
        number *= {"k": 1_000, "m": 1_000_000}[groups[1].lower()]
    return number.normalize() if number != int(number) else Decimal(int(number))


def _name(text: str) -> tuple[str, str]:
    found = re.search(r"\b(?:named|called|name\s*[:=]?)\s+[\"']?([A-Za-z0-9-]+)[\"']?", text)
    if found is None:
        return text, ""
    name = found[1].lower()
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", name):
        raise _no("impossible", f"name: 1 to 32 of a-z, 0-9 and -; got {name!r}")
    return text.replace(found[0], " ; "), name


def _pair(text: str) -> tuple[str, str]:
    found: dict[str, None] = {}
    for one in _PAIR.finditer(text):
        base, quote = (part.upper() for part in one.groups() if part)
        if not (base.isdigit() or quote.isdigit()):
            found[f"{base}/{quote}"] = None
    if len(found) > 1:
        raise _no("ambiguous", f"pair: one bot trades one; got {' and '.join(found)}")
    return _PAIR.sub(" ; ", text), next(iter(found), "")


def _venue(text: str) -> tuple[str, str]:
    found: dict[str, None] = {}
    names = (*_ALIASES, *VENUES, *WATCHED)
    pattern = re.compile(
        rf"(?<![\w.-])(?:(?:at|on|@)\s+)?({'|'.join(map(re.escape, names))})(?![\w-])",
        re.IGNORECASE,
    )
    for one in pattern.finditer(text):
        name = one[1].lower()
        found[_ALIASES.get(name, name)] = None
    if len(found) > 1:
        raise _no("ambiguous", f"venue: one bot trades at one; got {' and '.join(found)}")
    venue = next(iter(found), "")
    if venue in WATCHED:
        raise _no("impossible", f"{venue} is only watched; traded are {', '.join(VENUES)}")
    return pattern.sub(" ; ", text), venue


def _mode(text: str) -> str:
    live = re.search(r"\b(live|real money|for real)\b", text, re.IGNORECASE)
    paper = re.search(r"\b(paper|pretend\w*|dry.?run)\b", text, re.IGNORECASE)
    if live and paper:
        raise _no("ambiguous", f"mode: the description says {live[0]!r} and {paper[0]!r}")
    return "live" if live else "paper" if paper else ""


def _profile(text: str) -> str:
    names = {one.name for one in PROFILES}
    said = {
        _PROFILE_WORDS.get(word, word)
        for word in re.findall(r"[a-z]+", text.lower())
        if word in names or word in _PROFILE_WORDS
    }
    if len(said) > 1:
        raise _no("ambiguous", f"profile: the description says {' and '.join(sorted(said))}")
    return next(iter(said), "")
