"""Whether a live bot may place orders at a real venue, and how large: records, and one decision.

Two files in the bot's folder, readable by its user only:

    doctor.json  a passed `openmm doctor VENUE --for FILE`: of what, and when
    live.json    what was typed at the first live start, the size it allows, and how canaries ended

`admit` is a pure function of the configuration, the key, those records and the time. No flag and
no variable takes a step out of it; `OPENMM_TREAT_AS_REAL` only puts simulated venues under it too.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from openmm.config import BotConfig, Ladder
from openmm.config.schema import ENDPOINT_KEYS, Endpoints, Venue
from openmm.config.values import PPM, is_loopback
from openmm.errors import RiskError
from openmm.instrument import Instrument
from openmm.whole import write_whole

DAY_NS = 86_400_000_000_000
STRICT = "OPENMM_TREAT_AS_REAL"  # set: every address counts as a real one
CANARY, FULL = "canary", "full"
# Orders of a canary: the venue's minimum, with room for the price to fall.
ROOM = Decimal("1.1")
# Its open orders, in sizes of one: both sides, and what an amend counts twice.
OPEN_SIZES = 4

R = TypeVar("R", bound=Struct)


class Doctored(Struct, frozen=True):
    """A passed examination of a venue, an account and a file."""

    venue: str
    key: str  # fingerprint
    config: str  # hash
    passed_ns: int


class Canary(Struct, frozen=True):
    """How a session of canary size ended."""

    session: str
    ended_ns: int
    clean: bool
    fills: int


class Live(Struct, frozen=True):
    """What an operator has confirmed. `config`: the hash of the file last admitted."""

    bot: str
    venue: str
    key: str
    endpoints: tuple[str, ...]
    config: str
    confirmed_ns: int
    confirmed_by: str
    size: str = CANARY
    canary: Canary | None = None
    pair: str = ""
    max_order_size: Decimal = Decimal(0)
    max_open_notional: Decimal = Decimal(0)


class Admission(Struct, frozen=True):
    """What a live session may do. `real`: orders leave this machine."""

    real: bool
    canary: bool = False


# ---------------------------------------------------------------- what it is about


def is_real(endpoint: str | None, environ: Mapping[str, str] | None = None) -> bool:
    """Whether an address leads to a real venue: none means the venue's own."""
    strict = (os.environ if environ is None else environ).get(STRICT, "")
    return bool(strict) or endpoint is None or not is_loopback(endpoint)


def endpoints_of(venue: Venue) -> tuple[str, ...]:
    """Return the addresses of a venue that a bot uses, as the file tells them."""
    keys = ENDPOINT_KEYS.get(venue.name, tuple(Endpoints.model_fields))
    told = {key: getattr(venue.endpoints, key) for key in Endpoints.model_fields}
    return tuple(f"{key}={told[key] or 'the venue'}" for key in told if told[key] or key in keys)


def goes_live(config: BotConfig, environ: Mapping[str, str] | None = None) -> bool:
    """Whether a configuration places orders at a real venue."""
    venue = config.quoted
    needed = ENDPOINT_KEYS.get(venue.name, tuple(Endpoints.model_fields))
    urls = [getattr(venue.endpoints, key) for key in Endpoints.model_fields]
    told = [url for url in urls if url is not None]
    missing = any(getattr(venue.endpoints, key) is None for key in needed)
    return config.bot.mode == "live" and (missing or any(is_real(url, environ) for url in told))


def fingerprint(venue: str, key: str) -> str:
    """Name an account's key without telling it."""
    return hashlib.sha256(f"openmm\0{venue}\0{key}".encode()).hexdigest()[:16]


def config_hash(config: BotConfig) -> str:
    """Name a configuration by its content; where the bot keeps its files does not count."""
    body = config.plain()
    body["bot"].pop("run_dir", None)
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# ---------------------------------------------------------------- records


def doctor_path(folder: Path) -> Path:
    """Name the record of a passed doctor."""
    return folder / "doctor.json"


def live_path(folder: Path) -> Path:
    """Name the record of what was confirmed."""
    return folder / "live.json"


def read_record(path: Path, kind: type[R]) -> R | None:
    """Read a record; None when there is none.

    Raises:
        RiskError: it is damaged, or others could have written it.
    """
    try:
        info = path.stat()
        if info.st_uid != os.getuid() or info.st_mode & 0o077:
            raise RiskError(
                f"others than its user may read or write it: {path}; chmod 600 it, or remove it "
                "and confirm anew",
                code="not_confirmed",
            )
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise RiskError(
            f"damaged ({error}): {path}; remove it and confirm anew", code="not_confirmed"
        ) from None


def write_record(path: Path, record: Struct) -> None:
    """Replace a record as a whole, readable by its user only."""
    write_whole(path, msgspec.json.encode(record))


# ---------------------------------------------------------------- the decision


def doctor_problem(
    config: BotConfig, key: str, doctor: Doctored | None, live: Live | None, now_ns: int
) -> str:
    """Say what is missing of a doctor's word, and what to do; nothing when it is there.

    It must be of this venue, key and file, and no older than a day when the file is first admitted;
    the same file starts again without another.
    """
    venue = config.quoted.name
    do = f"run: openmm doctor {venue} --for FILE"
    mark = fingerprint(venue, key)
    if live is not None and (live.key, live.config) == (mark, config_hash(config)):
        return ""
    if doctor is None:
        return f"no passed doctor is on record; {do}"
    if doctor.venue != venue or doctor.key != mark:
        return f"the doctor on record saw another venue or key; {do}"
    if doctor.config != config_hash(config):
        return f"the file has changed since the doctor saw it; {do}"
    if not 0 <= now_ns - doctor.passed_ns <= DAY_NS:
        return f"the doctor on record is more than a day old; {do}"
    return ""


def confirmation_problem(config: BotConfig, key: str, live: Live | None) -> str:
    """Say what is missing of an operator's word, and what to do; nothing when it is there."""
    venue, do = config.quoted, "run: openmm run FILE at a terminal, which asks for it"
    if live is None:
        return f"no live start of this bot was confirmed; {do}"
    if (live.bot, live.venue) != (config.bot.name, venue.name):
        return f"what was confirmed is {live.bot} on {live.venue}; {do}"
    if live.key != fingerprint(venue.name, key):
        return f"what was confirmed is of another key; {do}"
    if live.endpoints != endpoints_of(venue):
        return f"what was confirmed is of other addresses; {do}"
    if live.pair != venue.pair:
        return f"what was confirmed is {live.pair or 'no pair'}, not {venue.pair}; {do}"
    for limit in ("max_order_size", "max_open_notional"):
        asked, word = getattr(config.risk, limit), getattr(live, limit)
        if asked > word:
            return f"risk.{limit} is {asked:f}, what was confirmed {word:f}; {do}"
    return ""


def admit(
    config: BotConfig, key: str, doctor: Doctored | None, live: Live | None, now_ns: int, *,
    canary: bool = False, environ: Mapping[str, str] | None = None,
) -> Admission:  # fmt: skip
    """Decide whether a session may place orders, and at which size.

    Args:
        canary: this session is to be of canary size, whatever was confirmed.

    Raises:
        RiskError: it may not; the text says what to do.
    """
    if config.bot.mode != "live":
        return Admission(real=False)
    if not goes_live(config, environ):
        return Admission(real=False, canary=canary)
    problem = doctor_problem(config, key, doctor, live, now_ns)
    problem = problem or confirmation_problem(config, key, live)
    if problem:
        raise RiskError(
            f"live on the real {config.quoted.name} is refused: {problem}",
            venue=config.quoted.name, code="not_confirmed",
        )  # fmt: skip
    assert live is not None, "without it there was a problem"
    return Admission(real=True, canary=canary or live.size != FULL)


def confirmed(
    config: BotConfig, key: str, live: Live | None, size: str, by: str, now_ns: int
) -> Live:
    """Make the record of an operator's word; canaries of the same account still count."""
    venue = config.quoted
    mark = fingerprint(venue.name, key)
    same = live is not None and (live.bot, live.venue, live.key) == (
        config.bot.name, venue.name, mark,
    )  # fmt: skip
    return Live(
        config.bot.name, venue.name, mark, endpoints_of(venue), config_hash(config), now_ns, by,
        size, live.canary if live is not None and same else None, venue.pair,
        config.risk.max_order_size, config.risk.max_open_notional,
    )  # fmt: skip


def after_start(live: Live, config: BotConfig, admitted: Admission) -> Live:
    """Return the record once a session was admitted: its file starts again without a doctor.

    Of a canary the outcome is open from here on, however the one before it ended.
    """
    moved = replace(live, config=config_hash(config))
    return replace(moved, canary=None) if admitted.canary else moved


# ---------------------------------------------------------------- size


def canary_qty(config: BotConfig, instrument: Instrument, mid: Decimal) -> Decimal:
    """Return the order size of a canary in base: the least the venue and the file allow."""
    least = max(
        instrument.qty_min, config.risk.min_order_size, instrument.lot_size,
        ROOM * instrument.cost_min / mid,
    )  # fmt: skip
    lots = (least / instrument.lot_size).to_integral_value(ROUND_CEILING)
    return lots * instrument.lot_size


def canary_config(config: BotConfig, instrument: Instrument, mid: Decimal) -> BotConfig:
    """Return the configuration at canary size: never a limit looser than the file's."""
    qty = canary_qty(config, instrument, mid)
    strategy = config.strategy
    largest = qty
    if isinstance(strategy, Ladder):
        qty = min(qty, strategy.order_amount)
        strategy = strategy.model_copy(update={
            "order_amount": qty, "sizes": "flat", "size_step_ppm": 0, "level_amounts": (),
        })  # fmt: skip
        largest = qty * (PPM + strategy.size_skew_ppm) / PPM
    lots = (largest / instrument.lot_size).to_integral_value(ROUND_CEILING)
    size = min(config.risk.max_order_size, lots * instrument.lot_size)
    open_notional = min(config.risk.max_open_notional, (OPEN_SIZES * size * mid).quantize(
        Decimal("0.01"), ROUND_CEILING
    ))  # fmt: skip
    update: dict[str, object] = {"max_order_size": size, "max_open_notional": open_notional}
    per_order = config.risk.max_order_notional
    if per_order is not None:
        update["max_order_notional"] = min(per_order, open_notional)
    risk = config.risk.model_copy(update=update)
    return config.model_copy(update={"strategy": strategy, "risk": risk})


def capital_problem(
    config: BotConfig, instrument: Instrument, mid: Decimal, held: Mapping[str, Decimal]
) -> str:
    """Say what the account lacks of the capital allotted to the bot; nothing when it is there.

    Without `bot.capital` what may be open at once, `risk.max_open_notional`, stands for it.
    """
    capital = config.bot.capital
    key, needed = (
        ("bot.capital", capital)
        if capital is not None
        else ("risk.max_open_notional", config.risk.max_open_notional)
    )
    worth = held.get(instrument.quote, Decimal(0)) + mid * held.get(instrument.base, Decimal(0))
    if worth >= needed:
        return ""
    return (
        f"the account holds {worth.quantize(Decimal('0.01'))} {instrument.quote} in "
        f"{instrument.base} and {instrument.quote}, {key} allots {needed:f}: fund it, or allot less"
    )
