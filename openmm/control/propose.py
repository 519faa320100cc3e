"""A bot out of a plain description: a validated file, what it would quote, the money it takes.

What the description leaves open is chosen from the venue as it is now (fees, spread, volatility,
minimums) and told in `assumed`; what cannot be chosen for somebody, or cannot be, is one error.
"""

from __future__ import annotations

import tomllib
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final

from msgspec import Struct

from openmm.config import BotConfig, Grid, check_with_instrument
from openmm.config.check import outermost_ppm
from openmm.config.load import parse
from openmm.config.schema import VENUES, Risk
from openmm.config.secrets import has_keys, load_keys
from openmm.config.values import format_ppm, parse_ppm
from openmm.control import words
from openmm.control.home import Home
from openmm.control.ladder import Side, preview
from openmm.control.market import Market, Place, simulated, survey
from openmm.control.profiles import DEFAULT, PROFILES, Profile
from openmm.control.words import Wish
from openmm.errors import ConfigErrors, ControlError
from openmm.instrument import Instrument
from openmm.venues.connector import Keys

# Currencies that are counted in about alike: of these a capital can be assumed.
CAPITAL: Final = {"USD": 10_000, "EUR": 10_000, "USDT": 10_000, "USDC": 10_000}
VENUE_OF: Final = {"USD": "kraken", "EUR": "kraken"}
SIM_LABEL: Final = "sim"
STEPS_PPM: Final = 100  # spreads are rounded up to 0.01%
TICKS_MIN: Final = 3
# Room for amends, which count old and new, and for prices that move.
OPEN_ROOM: Final = Decimal(2)
COLLAR_ROOM: Final = Decimal("1.2")
COLLAR_MAX_PPM: Final = 500_000
SIZE_ROOM: Final = Decimal(2)  # of one order: inventory leans sizes

TEMPLATE: Final = """\
# Made from a description. Every key: docs/configuration.md. Check it: openmm check FILE
[bot]
name = "{name}"
mode = "{mode}"
run_dir = "{run_dir}"
{capital}
[[venue]]
name = "{venue}"
label = "{label}"
quote = "{pair}"
{fees}{endpoints}
[strategy]
kind = "grid"
spread = "{spread}"
level_step = "{step}"
order_amount = "{amount}"
num_orders = {levels}
rebalance_threshold = "{rebalance}"
target_base = "{target}"

[risk]
max_order_size = "{max_order_size}"
max_open_notional = "{max_open_notional}"
max_inventory = "{max_inventory}"
max_drawdown = "{drawdown}"
{collar}{paper}"""


class Proposal(Struct, frozen=True):
    """A bot that could be started.

    Args:
        needs: what its ladder and its target take, by asset.
        assumed: what the description did not say, and why it is what it is.
    """

    name: str
    config: str
    parsed: BotConfig
    summary: str
    ladder: dict[str, Side]
    needs: dict[str, Decimal]
    warnings: tuple[str, ...]
    assumed: tuple[str, ...]
    place: Place
    mid: Decimal

    def told(self) -> dict[str, Any]:
        """Return it as an answer."""
        base, _, quote = self.parsed.quoted.pair.partition("/")
        return {
            "name": self.name, "config": self.config, "summary": self.summary,
            "ladder": self.ladder, "mid": self.mid, "venue": self.place.told(),
            "capital": {
                "base": self.needs[base], "base_asset": base,
                "quote": self.needs[quote], "quote_asset": quote,
            },
            "warnings": list(self.warnings), "assumed": list(self.assumed),
        }  # fmt: skip


def propose(home: Home, description: str, mode: str = "paper") -> Proposal:
    """Make a bot out of a description.

    Args:
        mode: paper or live; the description may say the same, and nothing else.

    Raises:
        ControlError: what is missing, contradicts itself, or cannot be; the text names it.
        VenueError: the venue could not be asked.
    """
    wish = words.read(description)
    if wish.mode and wish.mode != mode:
        raise _no(
            "ambiguous", f"mode: the description says {wish.mode}, the argument mode says {mode}",
            f'pass mode = "{wish.mode}", or leave the word out',
        )  # fmt: skip
    if not wish.pair:
        raise _no("missing", "which pair?", "name one, such as BTC/USD")
    assumed: list[str] = []
    place = _place(wish, assumed)
    label = f"{place.venue}-{SIM_LABEL}"[:16] if place.simulated else place.venue
    keys = _keys(place, label) if mode == "live" else None
    market = survey(place, wish.pair, keys)
    return build(home, wish, mode, place, label, market, assumed)


def _no(code: str, text: str, hint: str = "change the description accordingly") -> ControlError:
    return ControlError(text, code=code, hint=hint)


def _place(wish: Wish, assumed: list[str]) -> Place:
    """Choose the venue: named, the only simulated one, or the one that trades this currency."""
    if wish.venue:
        return simulated(wish.venue) or Place(wish.venue, {})
    places = [one for one in (simulated(name) for name in VENUES) if one is not None]
    if len(places) == 1:
        assumed.append(f"venue: the simulated {places[0].venue}, the only one set up here")
        return places[0]
    quote = wish.pair.partition("/")[2]
    venue = VENUE_OF.get(quote)
    if venue is None or places:
        raise _no("missing", "which venue?", f"name one of {', '.join(VENUES)}")
    assumed.append(f"venue: {venue}, where {quote} is traded")
    return Place(venue, {})


def _keys(place: Place, label: str) -> Keys | None:
    """Return the keys a live bot would trade with; of a simulated venue those it told."""
    if place.simulated and place.keys:
        told = place.keys
        return Keys(
            told.get("key", ""), told.get("secret", ""), told.get("passphrase", ""), source="sim"
        )
    return load_keys(label) if has_keys(label) else None


def build(
    home: Home, wish: Wish, mode: str, place: Place, label: str, market: Market,
    assumed: list[str],
) -> Proposal:  # fmt: skip
    """Make the file of what is wished for at a market; pure but for the names already taken."""
    one, mid = market.instrument, market.mid
    profile = next((p for p in PROFILES if p.name == wish.profile), DEFAULT)
    warnings: list[str] = []
    maker_ppm = parse_ppm(wish.maker_fee) if wish.maker_fee else one.maker_fee_ppm
    if maker_ppm is None:
        raise _no("missing", f"{place.venue} does not tell its fees: which are yours?",
                  "say maker fee 0.1% and taker fee 0.1%")  # fmt: skip
    if (wish.taker_fee == "") != (wish.maker_fee == "") and one.taker_fee_ppm is None:
        raise _no("missing", "which taker fee?", "say maker fee and taker fee both")
    spread_ppm = _spread(wish, profile, market, maker_ppm, assumed)
    step = wish.step or format_ppm(max(spread_ppm // 2, 1))
    capital = _capital(wish, one, assumed)
    amount, levels = _sizes(wish, profile, one, mid, capital, assumed)
    ladder_cost = 2 * levels * amount * mid
    if wish.capital is not None and ladder_cost > wish.capital:
        raise _no(
            "impossible",
            f"{levels} levels a side of {amount:f} {one.base} are {_money(ladder_cost)} "
            f"{one.quote} at {mid:f}, more than the capital of {wish.capital:f}",
        )
    open_max = _up(ladder_cost * OPEN_ROOM)
    if wish.capital is not None:
        open_max = min(open_max, wish.capital)
    whole = max(capital or Decimal(0), ladder_cost)
    target = wish.target or _target(market, assumed)
    share = Decimal(parse_ppm(target)) / 1_000_000
    inventory = wish.inventory or _lots(one, max(whole / mid / 2, levels * amount), up=True)
    if inventory < amount:
        raise _no("impossible", f"max inventory {inventory:f} is less than one level, {amount:f}")
    name = wish.name or _free_name(home, one.base.lower())
    held_base = _lots(one, whole * share / mid, up=True)
    held_quote = _up(whole * (1 - share), digits=6)
    text = TEMPLATE.format(
        name=name, mode=mode, run_dir=_quoted(str(home.root)), venue=place.venue, label=label,
        pair=one.name, spread=format_ppm(spread_ppm), step=step, amount=f"{amount:f}",
        levels=levels, rebalance=wish.rebalance or "10%", target=target,
        max_order_size=f"{_lots(one, amount * SIZE_ROOM, up=True):f}",
        max_open_notional=f"{open_max:f}", max_inventory=f"{inventory:f}",
        drawdown=wish.drawdown or profile.drawdown,
        collar=_collar(spread_ppm, step, levels, amount, wish.rebalance or "10%", assumed),
        capital="" if wish.capital is None else f'capital = "{wish.capital:f}"\n',
        fees="".join(
            f'{key} = "{share}"\n'
            for key, share in (("maker_fee", wish.maker_fee), ("taker_fee", wish.taker_fee))
            if share
        ),
        endpoints="".join(
            f'endpoints.{key} = "{url}"\n' for key, url in sorted(place.endpoints.items())
        ),
        paper="" if mode == "live"
        else f'\n[paper]\nbase = "{held_base:f}"\nquote = "{held_quote:f}"\n',
    )  # fmt: skip
    parsed = _parsed(text, one, mid)
    ladder = preview(parsed, one, mid)
    assert ladder is not None, "a grid has one"
    if not ladder["bids"] or not ladder["asks"]:
        raise _no("impossible", "it would quote nothing: the levels are below the venue's minimum")
    if market.minute_bps is None:
        warnings.append("too few candles are there: the spread takes no account of volatility")
    elif spread_ppm < 200 * market.minute_bps:
        warnings.append(
            f"the spread is narrower than two standard deviations of a minute "
            f"({market.minute_bps:.1f} bps each): fills will often be adverse"
        )
    if mode == "live" and not place.simulated:
        warnings.append(
            f"real money: the operator runs openmm doctor {place.venue} --for FILE and confirms at "
            "a terminal before it can start"
        )
    if maker_ppm and spread_ppm < Decimal("2.2") * maker_ppm:
        warnings.append("after fees next to nothing is left of the spread")
    needs = _needs(one, ladder)
    side = f"{levels} levels a side of {amount:f} {one.base}"
    summary = (
        f"{name}: a grid on {one.name} at {'the simulated ' if place.simulated else ''}"
        f"{place.venue}, {mode}; {side}, {format_ppm(spread_ppm)} between the innermost, "
        f"{step} between levels; {_money(ladder_cost)} {one.quote} in orders at {mid:f}; halts at "
        f"a drawdown of {wish.drawdown or profile.drawdown}"
    )
    return Proposal(
        name, text, parsed, summary, ladder, needs, tuple(warnings), tuple(assumed), place, mid
    )


def _collar(
    spread_ppm: int, step: str, levels: int, amount: Decimal, rebalance: str, assumed: list[str]
) -> str:
    """Return the line of a price collar that lets the outermost level through; none by default."""
    grid = Grid.model_validate(
        {
            "kind": "grid", "spread": format_ppm(spread_ppm), "level_step": step,
            "order_amount": f"{amount:f}", "num_orders": levels, "rebalance_threshold": rebalance,
        }
    )  # fmt: skip
    reach = outermost_ppm(grid)
    if reach < Risk.model_fields["price_collar_ppm"].default:
        return ""
    if reach * COLLAR_ROOM > COLLAR_MAX_PPM:
        raise _no("impossible", f"the outermost level would stand {format_ppm(reach)} off the mid",
                  "say a narrower spread, a smaller step or fewer levels")  # fmt: skip
    collar = format_ppm(-(-int(reach * COLLAR_ROOM) // 1_000) * 1_000)
    assumed.append(f"price collar: {collar}, beyond the outermost level")
    return f'price_collar = "{collar}"\n'


def _target(market: Market, assumed: list[str]) -> str:
    """Return the base share to hold: what the account holds now, else half."""
    one, held = market.instrument, market.held
    if held is not None:
        base = held.get(one.base, Decimal(0)) * market.mid
        whole = base + held.get(one.quote, Decimal(0))
        if whole > 0:
            percent = min(99, max(1, round(base * 100 / whole)))
            assumed.append(f"target: {percent}% in the base asset, what the account holds now")
            return f"{percent}%"
    assumed.append("target: half of the value in the base asset")
    return "50%"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _spread(
    wish: Wish, profile: Profile, market: Market, maker_ppm: int, assumed: list[str]
) -> int:
    """Return the spread in ppm: what is wished for if fees allow it, else what they need."""
    one, mid = market.instrument, market.mid
    least = max(2 * maker_ppm, int(one.tick_size / mid * 1_000_000) + 1)
    if wish.spread:
        spread_ppm = parse_ppm(wish.spread)
        if spread_ppm < least:
            raise _no(
                "impossible",
                f"a spread of {wish.spread}: at least {format_ppm(least)}, the maker fee of "
                f"{format_ppm(maker_ppm)} both ways",
                f"say {format_ppm(least)} spread or more",
            )
        return spread_ppm
    parts = {
        f"{profile.spread_fees:f} times the maker fee both ways": 2
        * maker_ppm
        * profile.spread_fees,
        f"{TICKS_MIN} ticks": TICKS_MIN * one.tick_size / mid * 1_000_000,
        "the spread there now": market.spread_bps * 100,
    }
    if market.minute_bps is not None:
        parts[f"{profile.sigmas:f} standard deviations of a minute"] = (
            market.minute_bps * profile.sigmas * 100
        )
    why, ppm = max(parts.items(), key=lambda part: part[1])
    found = min(500_000, max(STEPS_PPM, -(-int(ppm + 1) // STEPS_PPM) * STEPS_PPM))
    assumed.append(f"spread: {format_ppm(found)}, {why} ({profile.name})")
    return found


def _capital(wish: Wish, one: Instrument, assumed: list[str]) -> Decimal | None:
    if wish.capital is not None:
        return wish.capital
    if wish.amount is not None:
        return None
    if one.quote not in CAPITAL:
        raise _no("missing", f"how much {one.quote}?", f"say how much capital, in {one.quote}")
    assumed.append(f"capital: {CAPITAL[one.quote]} {one.quote}")
    return Decimal(CAPITAL[one.quote])


def _sizes(
    wish: Wish, profile: Profile, one: Instrument, mid: Decimal, capital: Decimal | None,
    assumed: list[str],
) -> tuple[Decimal, int]:  # fmt: skip
    """Return each level's quantity and the levels of a side."""
    least = max(one.qty_min, _lots(one, one.cost_min / mid, up=True), one.lot_size)
    if wish.amount is not None:
        if wish.amount < least:
            raise _no("impossible", f"{wish.amount:f} {one.base} a level: {one.venue} takes "
                      f"{least:f} or more", f"say {least:f} each, or more")  # fmt: skip
        if wish.levels is None:
            assumed.append(f"levels: {profile.levels} a side ({profile.name})")
        return wish.amount, wish.levels or profile.levels
    assert capital is not None, "one of them is told or assumed"
    levels = wish.levels or profile.levels
    while True:
        amount = _lots(one, capital * profile.deployed / (2 * levels * mid), up=False)
        if amount >= least:
            break
        if levels == 1 or wish.levels is not None:
            needed = _up(2 * levels * least * mid / profile.deployed)
            raise _no(
                "impossible",
                f"{capital:f} {one.quote} is too little for {levels} "
                f"level{'s' if levels > 1 else ''} a side: {one.venue} takes orders from "
                f"{least:f} {one.base} on",
                f"say {needed:f} {one.quote} capital, or fewer levels",
            )
        levels -= 1
    if wish.levels is None:
        assumed.append(f"levels: {levels} a side ({profile.name})")
    assumed.append(
        f"{amount:f} {one.base} a level: {profile.deployed:%} of the capital in orders"
    )  # fmt: skip
    return amount, levels


def _lots(one: Instrument, qty: Decimal, *, up: bool) -> Decimal:
    """Round a quantity to the lot."""
    rounding = ROUND_CEILING if up else ROUND_FLOOR
    lots = (qty / one.lot_size).to_integral_value(rounding)
    return (lots * one.lot_size).quantize(one.lot_size.normalize())


def _up(amount: Decimal, digits: int = 3) -> Decimal:
    """Round money up to so many digits."""
    exponent = amount.adjusted() - digits + 1
    return amount.quantize(Decimal(1).scaleb(exponent), ROUND_CEILING)


def _money(amount: Decimal) -> str:
    return f"{round(amount, 2):f}"


def _free_name(home: Home, base: str) -> str:
    """Return a name that no bot and no file has, whoever may see them."""
    whole = f"{base}-grid"[:28]
    taken = {one.name for one in home.root.iterdir()} if home.root.is_dir() else set()
    names = (whole if number == 1 else f"{whole}-{number}" for number in range(1, 1000))
    return next(name for name in names if name not in taken and f"{name}.toml" not in taken)


def _parsed(text: str, one: Instrument, mid: Decimal) -> BotConfig:
    """Validate a file's text, with the venue's rules of the pair."""
    try:
        parsed = parse(tomllib.loads(text), source="the bot described")
        check_with_instrument(parsed, one, mid)
    except ConfigErrors as error:
        raise ControlError(
            f"{error}", code="impossible", hint="change the description accordingly"
        ) from error
    return parsed


def _needs(one: Instrument, ladder: dict[str, Side]) -> dict[str, Decimal]:
    """Return what the ladder's orders hold back of each asset."""
    asks = sum((level["qty"] for level in ladder["asks"]), Decimal(0))
    bids = sum((level["qty"] * level["price"] for level in ladder["bids"]), Decimal(0))
    return {one.base: asks, one.quote: bids}


def in_sight(name: str, only: tuple[str, ...]) -> None:
    """Refuse a bot that its client could not see.

    Raises:
        ControlError: it could not (`forbidden`).
    """
    if "*" not in only and name not in only:
        raise ControlError(
            f"this client may only have bots named {', '.join(only) or '(none)'}",
            code="forbidden", hint=f"describe it as named {only[0]}" if only else "",
        )  # fmt: skip
