"""The keys of a bot's file: names, units, ranges and defaults.

A field's key in the file is its name without the unit suffix: `spread_ppm` is written `spread`.
Ratios are parts per million, times nanoseconds, quantities and money exact decimals.
"""

# Annotations are not postponed here: pydantic would compile each of them when the bot starts.
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import entry_points
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
)
from pydantic_core import to_jsonable_python

from openmm.config.values import (
    DAY_S,
    Distance,
    format_duration,
    format_ppm,
    format_time,
    parse_bytes,
    parse_decimal,
    parse_distance,
    parse_duration_ns,
    parse_ppm,
    parse_time_s,
    parse_url,
)

SUFFIXES = ("_ppm", "_ns", "_bytes")
# Levels of a book that each venue offers, and how many are subscribed by default.
DEPTHS = {
    "kraken": (10, 25, 100, 500, 1000),
    "gateio": (20, 50, 100, 400),
    "bitget": (1, 5, 15, 50, 400),
    "mexc": (5, 10, 20, 100, 500, 1000),
    "binance": (100, 500, 1000),
    "coinbase": (100, 500, 1000),
}
DEPTH_DEFAULT = {
    "kraken": 25, "gateio": 50, "bitget": 400, "mexc": 500, "binance": 1000, "coinbase": 500,
}  # fmt: skip
# Venues that are only watched: market data for the reference price, no orders.
WATCHED = ("binance", "coinbase")
VENUES = tuple(name for name in DEPTHS if name not in WATCHED)  # traded
# Where installed packages name venues of their own: docs/adding-a-venue.md.
ENTRY_POINTS = "openmm.venues"
# Likewise strategies: docs/writing-a-strategy.md.
STRATEGY_POINTS = "openmm.strategies"
# Addresses which, left out, are the venue's public ones. Where orders share the stream of market
# data `ws_auth` is `ws` unless told.
ENDPOINT_KEYS = {
    "kraken": ("ws", "ws_auth", "rest"),
    "gateio": ("ws", "rest"),
    "bitget": ("ws", "ws_auth", "rest"),
    "mexc": ("ws", "rest"),
    "binance": ("ws", "rest"),
    "coinbase": ("ws", "rest"),
}
# Venues whose private side can be pretended in the bot's process: `mode = "paper"`.
PAPER_VENUES = ("kraken", "gateio", "bitget", "mexc")
# Venues whose book messages carry no checksum; ids are always checked.
WITHOUT_CHECKSUM = ("gateio", "binance", "coinbase")
# Timeouts that a venue's dead-man's switch takes, in seconds; None: it has none. Others: any.
SWITCH_S: dict[str, tuple[int, int] | None] = {
    "gateio": (5, 86_399), "bitget": (5, 60), "mexc": None,
}  # fmt: skip
SWITCH_ANY_S = (2, 86_399)
# The least deadline of a hedge where the venue keeps none: engine.hedging.DEADLINE_NS_MIN.
WITHOUT_DEADLINES_S = 15
# Venues whose keys have a passphrase beside the secret.
WITH_PASSPHRASE = ("bitget",)
LEVELS_MAX = 32  # of a side: openmm._fast.quotes
VENUES_MAX = 8  # of one bot: openmm.telemetry
ORDERS_MAX = 512  # slots of the order table: openmm._fast.orders
_NAME = r"^[a-z0-9][a-z0-9-]{0,31}$"
_LABEL = r"^[a-z][a-z0-9-]{0,15}$"
_PAIR = r"^[A-Z0-9]{2,12}/[A-Z0-9]{2,12}$"
_CLASS = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


def key_of(field: str) -> str:
    """Return the key in the file of a field's name."""
    for suffix in SUFFIXES:
        if field.endswith(suffix):
            return field.removesuffix(suffix)
    return "class" if field == "class_path" else field


class Section(BaseModel):
    """A table of the file: frozen, strict, no unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=key_of,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        defer_build=True,  # a table that a file leaves out needs no validator: `load` makes them
    )

    def plain(self) -> dict[str, Any]:
        """Return the table in plain values of JSON, exact numbers as text.

        As `model_dump(mode="json")`, which first makes what it takes to validate and write every
        table: longer than all of a bot's other ways through its configuration.
        """
        found: dict[str, Any] = to_jsonable_python(_fields(self))
        return found


def _fields(value: object) -> object:
    """Take tables apart into their fields."""
    if isinstance(value, Section):
        return {name: _fields(one) for name, one in value}
    if isinstance(value, tuple):
        return [_fields(one) for one in value]
    return value


def _ratio(low: int, high: int) -> Any:
    """Make a validator of a share between two bounds, in ppm."""

    def check(value: object) -> int:
        ppm = parse_ppm(value)
        if not low <= ppm <= high:
            raise ValueError(f'from "{format_ppm(low)}" to "{format_ppm(high)}"')
        return ppm

    return BeforeValidator(check)


def _span(low_ns: int, high_ns: int) -> Any:
    """Make a validator of a duration between two bounds."""

    def check(value: object) -> int:
        span_ns = parse_duration_ns(value)
        if not low_ns <= span_ns <= high_ns:
            raise ValueError(f'from "{format_duration(low_ns)}" to "{format_duration(high_ns)}"')
        return span_ns

    return BeforeValidator(check)


def _span_or_off(low_ns: int, high_ns: int) -> Callable[[object], int]:
    """Make a reader of a duration between two bounds, or `off`, which is 0."""

    def read(value: object) -> int:
        if value == "off":
            return 0
        span_ns = parse_duration_ns(value)
        if not low_ns <= span_ns <= high_ns:
            low, high = format_duration(low_ns), format_duration(high_ns)
            raise ValueError(f'from "{low}" to "{high}", or "off"')
        return span_ns

    return read


def _decimal(*, zero: bool) -> Any:
    """Make a validator of a decimal above zero (or from zero on)."""

    def check(value: object) -> Decimal:
        number = parse_decimal(value)
        if number < 0 or (number == 0 and not zero):
            raise ValueError("zero or more" if zero else "more than zero")
        return number

    return BeforeValidator(check)


def _url(*schemes: str) -> Any:
    return BeforeValidator(lambda value: parse_url(value, schemes))


def _bytes(low: int, high: int) -> Any:
    def check(value: object) -> int:
        count = parse_bytes(value)
        if not low <= count <= high:
            raise ValueError(f'from "{low >> 20}MiB" to "{high >> 20}MiB"')
        return count

    return BeforeValidator(check)


def _path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("a folder's path as text")
    return Path(value)


def _of(field: str, numerator: int, denominator: int) -> Callable[[dict[str, Any]], int]:
    """Make a default that is a fraction of an earlier field (0 if that one was refused)."""

    def default(data: dict[str, Any]) -> int:
        return int(data.get(field, 0)) * numerator // denominator

    return default


def _distance_of(
    field: str, numerator: int, denominator: int
) -> Callable[[dict[str, Any]], Distance]:
    share = _of(field, numerator, denominator)
    return lambda data: Distance(ppm=share(data))


MS = 1_000_000
SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR

Share = Annotated[int, _ratio(0, 1_000_000)]
Width = Annotated[int, _ratio(0, 500_000)]
Span = Annotated[int, _span(MS, DAY)]
Positive = Annotated[Decimal, _decimal(zero=False)]
NotNegative = Annotated[Decimal, _decimal(zero=True)]
Reach = Annotated[Distance, BeforeValidator(parse_distance)]
Pair = Annotated[str, StringConstraints(pattern=_PAIR)]


class Bot(Section):
    """Who the bot is and where it keeps its files."""

    name: Annotated[str, StringConstraints(pattern=_NAME)]
    mode: Literal["paper", "live"]
    run_dir: Annotated[Path, BeforeValidator(_path)] | None = None  # None: default_run_dir()
    # Allotted of the account, in quote. None: what may be open at once, where that counts.
    capital: Positive | None = None


class Endpoints(Section):
    """Where a venue is reached, if not at its public address."""

    ws: Annotated[str, _url("ws", "wss")] | None = None
    ws_auth: Annotated[str, _url("ws", "wss")] | None = None
    rest: Annotated[str, _url("http", "https")] | None = None


def _offered(depth: int, info: ValidationInfo) -> int:
    """Refuse a depth that the venue does not offer."""
    offered = DEPTHS.get(str(info.data.get("name")), ())
    if offered and depth not in offered:
        raise ValueError(f"{', '.join(map(str, offered[:-1]))} or {offered[-1]}")
    return depth


def plugged() -> tuple[str, ...]:
    """Return the names of installed venues that are no part of this package."""
    return tuple(sorted(point.name for point in entry_points(group=ENTRY_POINTS)))


def _known(name: str) -> str:
    """Refuse a venue that is neither in this build nor installed beside it."""
    if name not in DEPTHS and name not in (others := plugged()):
        known = [f"'{one}'" for one in (*DEPTHS, *others)]
        raise ValueError(f"{', '.join(known[:-1])} or {known[-1]}")
    return name


def _verified(verify: bool, info: ValidationInfo) -> bool:
    """Refuse to leave out what the venue does not have."""
    if not verify and info.data.get("name") in WITHOUT_CHECKSUM:
        raise ValueError("left out: this venue's books carry no checksum, ids are always checked")
    return verify


class Venue(Section):
    """One venue: traded (`quote`), only watched (`reference`), or converting others (`rate`)."""

    name: Annotated[str, AfterValidator(_known)]
    label: Annotated[str, StringConstraints(pattern=_LABEL)] = Field(
        default_factory=lambda data: str(data.get("name", "venue"))
    )
    quote: Pair | None = None
    reference: Pair | None = None
    rate: Pair | None = None
    convert: Annotated[str, StringConstraints(pattern=_LABEL)] | None = None
    endpoints: Endpoints = Endpoints.model_construct()
    depth: Annotated[int, AfterValidator(_offered)] = Field(
        default_factory=lambda data: DEPTH_DEFAULT.get(str(data.get("name")), 25)
    )
    account: Literal["dedicated", "shared"] = "shared"
    maker_fee_ppm: Annotated[int, _ratio(-10_000, 100_000)] | None = None
    taker_fee_ppm: Annotated[int, _ratio(-10_000, 100_000)] | None = None
    weight: Annotated[Decimal, _decimal(zero=True)] = Decimal(1)
    max_age_ns: Span = 5 * SECOND
    max_book_silence_ns: Annotated[int, _span(SECOND, DAY)] = 30 * SECOND
    max_spread_ppm: Annotated[int, _ratio(1, 500_000)] = 10_000
    verify_checksum: Annotated[bool, AfterValidator(_verified)] = True
    # Of this venue alone: what it leaves to the client or its documents leave open.
    options: dict[str, Any] = {}

    @property
    def pair(self) -> str:
        """Return the pair traded or watched."""
        return self.quote or self.reference or self.rate or ""

    @property
    def switch_s(self) -> tuple[int, int] | None:
        """Return the shortest and longest timeout of its dead-man's switch; None: it has none.

        Bitget has one on unified accounts only. Of an account that is to be found out (`auto`)
        none is counted on: the watchdog serves either kind.
        """
        if self.name == "bitget" and self.options.get("account") != "unified":
            return None
        return SWITCH_S.get(self.name, SWITCH_ANY_S)

    @property
    def blended(self) -> bool:
        """Whether its mid is part of the reference: without a weight it is only looked at."""
        return self.rate is None and self.weight_ppm > 0

    @property
    def weight_ppm(self) -> int:
        """Return the trust weight in millionths."""
        return int(self.weight * 1_000_000)


class NoOptions(Section):
    """`[venue.options]` of a venue that leaves nothing open."""


class GateioOptions(Section):
    """`[venue.options]` of Gate.io; what each means: openmm/venues/gateio/README.md."""

    account: Literal["spot", "margin", "cross_margin", "unified"] = "spot"
    stp_act: Literal["", "cn", "co", "cb"] = ""
    action_mode: Literal["", "ACK", "RESULT", "FULL"] = ""
    deadline_ms: Annotated[int, Field(ge=0, le=60_000)] = 5000
    login_param: Literal["", "{}", '""'] = ""


class BitgetOptions(Section):
    """`[venue.options]` of Bitget; what each means: openmm/venues/bitget/README.md."""

    account: Literal["auto", "classic", "unified"] = "auto"
    stp_mode: Literal["", "none", "cancel_taker", "cancel_maker", "cancel_both"] = ""
    fills: Literal["orders", "fill"] = "orders"
    amend: bool = False
    decoded_query: bool = True
    demo: bool = False


class MexcOptions(Section):
    """`[venue.options]` of MEXC; what each means: openmm/venues/mexc/README.md."""

    interval: Literal["10ms", "100ms"] = "10ms"
    recv_window_ms: Annotated[int, Field(ge=1, le=60_000)] = 5000
    stp_mode: Literal["", "cancel_maker", "cancel_taker", "cancel_both"] = ""
    orders_per_s: Annotated[int, Field(ge=2, le=400)] = 12


class BinanceOptions(Section):
    """`[venue.options]` of Binance; what each means: openmm/venues/binance/README.md."""

    market: Literal["spot", "usdm", "coinm"] = "spot"


OPTIONS: dict[str, type[Section]] = {  # of others: NoOptions
    "gateio": GateioOptions,
    "bitget": BitgetOptions,
    "mexc": MexcOptions,
    "binance": BinanceOptions,
}


class Strategy(Section):
    """What every strategy shares: the target and how lazily quotes follow it."""

    target_base_ppm: Annotated[int, _ratio(1, 999_999)] = 500_000
    inventory_scale: Positive | None = None  # None: risk.max_inventory
    qty_tolerance_ppm: Share = 100_000
    order_age_max_ns: Annotated[int, _span(0, 30 * DAY)] = HOUR  # 0: no limit
    queue_model: Literal["cautious", "power", "log"] = "cautious"
    queue_power: Annotated[int, Field(ge=1, le=8)] = 3  # of the model "power"


def _listed(read: Callable[[object], Any]) -> Any:
    """Make a validator of a list, one value a level; as one text they stand between commas."""

    def check(value: object) -> tuple[Any, ...]:
        if isinstance(value, str):
            value = value.split(",") if value.strip() else []
        if not isinstance(value, list | tuple) or len(value) > LEVELS_MAX:
            raise ValueError(f"a list of at most {LEVELS_MAX} values, one a level")
        return tuple(read(one) for one in value)

    return BeforeValidator(check)


def _width(value: object) -> int:
    ppm = parse_ppm(value)
    if not 0 <= ppm <= 500_000:
        raise ValueError(f'from "0%" to "{format_ppm(500_000)}"')
    return ppm


def _amount(value: object) -> Decimal:
    number = parse_decimal(value)
    if number <= 0:
        raise ValueError("more than zero")
    return number


class Window(NamedTuple):
    """A time of day, UTC, in which quotes stand wider or are away."""

    from_s: int
    to_s: int  # before `from_s`: the next day
    widen_ppm: int
    quiet: bool  # nothing is quoted

    def __str__(self) -> str:
        """Write it as one text, as `parse_windows` reads it."""
        told = "off" if self.quiet else format_ppm(self.widen_ppm)
        return f"{format_time(self.from_s)}-{format_time(self.to_s)} {told}"


WINDOWS_MAX = 16
_WINDOW_KEYS = ("from", "to", "widen", "quote")


def parse_windows(value: object) -> tuple[Window, ...]:
    """Read a schedule: tables of from, to and widen or quote, or one text.

    The text has a window between commas: "21:00-23:30 3bps, 00:00-00:05 off".

    Raises:
        ValueError: another form, or a window without length or effect.
    """
    if isinstance(value, str):
        value = [_spoken(one) for one in value.split(",")] if value.strip() else []
    if not isinstance(value, list | tuple) or len(value) > WINDOWS_MAX:
        raise ValueError(f"a list of at most {WINDOWS_MAX} windows")
    return tuple(_window(one) for one in value)


def _spoken(text: str) -> dict[str, object]:
    times, _, effect = text.strip().partition(" ")
    begin, _, end = times.partition("-")
    told: dict[str, object] = {"from": begin, "to": end}
    return told | ({"quote": False} if effect.strip() == "off" else {"widen": effect.strip()})


def _window(told: object) -> Window:
    if isinstance(told, Window):
        return told
    if not isinstance(told, dict) or not told.keys() <= set(_WINDOW_KEYS):
        raise ValueError(
            'windows such as {from = "21:00", to = "23:30", widen = "3bps"} or with quote = false'
        )
    begin, end = parse_time_s(told.get("from")), parse_time_s(told.get("to"))
    quote = told.get("quote", True)
    widen_ppm = _width(told["widen"]) if "widen" in told else 0
    if not isinstance(quote, bool):
        raise ValueError("quote is true or false")
    if begin in (end, DAY_S):
        raise ValueError(f"a window that ends when it begins: {format_time(begin)}")
    if quote == (widen_ppm == 0):
        raise ValueError("a window has either a widen above zero or quote = false")
    return Window(begin, end, widen_ppm, not quote)


Bound = Annotated[
    Decimal | None, BeforeValidator(lambda told: None if told == "off" else _amount(told))
]


class Ladder(Strategy):
    """What strategies share that quote a ladder: levels, band, sides, what it leans on."""

    order_amount: Positive
    num_orders: Annotated[int, Field(ge=1, le=LEVELS_MAX)]
    rebalance_threshold_ppm: Annotated[int, _ratio(1, 1_000_000)]
    rebalance_exit_ppm: Share = Field(default_factory=_of("rebalance_threshold_ppm", 1, 2))
    rebalance: Literal["passive", "take"] = "passive"
    rebalance_slippage_ppm: Width = 1_000  # from the reference
    rebalance_cost_max_ppm: Width = 5_000  # slippage and taker fee together
    rebalance_wait_ns: Span = 2 * SECOND
    spacing: Literal["linear", "geometric", "custom"] = "linear"
    level_ratio: Annotated[Decimal, _decimal(zero=False)] = Decimal(1)
    level_offsets_ppm: Annotated[tuple[int, ...], _listed(_width)] = ()
    sizes: Literal["flat", "pyramid", "custom"] = "flat"
    size_step_ppm: Annotated[int, _ratio(-1_000_000, 10_000_000)] = 0
    level_amounts: Annotated[tuple[Decimal, ...], _listed(_amount)] = ()
    size_skew_ppm: Share = 500_000
    price_floor: Bound = None
    price_ceiling: Bound = None
    # How it leans on what the traded book tells: weights and caps, 0 is off.
    micro_weight_ppm: Annotated[int, _ratio(0, 2_000_000)] = 0
    micro_cap_ppm: Width = 200
    imbalance_full_ppm: Width = 0
    ofi_full_ppm: Width = 0
    compression_full_ppm: Width = 0
    min_edge_ppm: Width = 0
    fee_budget_ppm: Width = 0

    def offsets_ppm(self, step_ppm: int) -> tuple[int, ...]:
        """Return each level's distance from the inner quote.

        Args:
            step_ppm: from the first level to the second, unless all are told.
        """
        if self.spacing == "custom":
            return self.level_offsets_ppm
        if self.spacing == "linear":
            return tuple(level * step_ppm for level in range(self.num_orders))
        gaps = (Fraction(self.level_ratio) ** level for level in range(self.num_orders - 1))
        return tuple(int(step_ppm * one) for one in accumulate(gaps, initial=Fraction(0)))

    @property
    def amounts(self) -> tuple[Decimal, ...]:
        """Return each level's quantity in base, not yet rounded to lots."""
        if self.sizes == "custom":
            return self.level_amounts
        step = Decimal(self.size_step_ppm) / 1_000_000 if self.sizes == "pyramid" else Decimal(0)
        return tuple(self.order_amount * (1 + level * step) for level in range(self.num_orders))


class Grid(Ladder):
    """The default strategy. Distances left out follow from the spread."""

    kind: Literal["grid"]
    spread_ppm: Annotated[int, _ratio(1, 500_000)]
    level_step_ppm: Annotated[int, _ratio(1, 500_000)] = Field(
        default_factory=_of("spread_ppm", 1, 2)
    )
    skew_full_ppm: Width = Field(default_factory=_of("spread_ppm", 2, 5))
    flow_full_ppm: Width = Field(default_factory=_of("spread_ppm", 1, 20))
    vol_factor: NotNegative = Decimal(1)
    quote_rest_ns: Span = 5 * SECOND
    depth_factor_ppm: Width = Field(default_factory=_of("spread_ppm", 1, 20))
    inventory_widen_ppm: Width = Field(default_factory=_of("spread_ppm", 1, 10))
    spread_min_ppm: Annotated[int, _ratio(0, 500_000)] = 0
    spread_max_ppm: Annotated[int, _ratio(1, 1_000_000)] = Field(
        default_factory=lambda data: min(1_000_000, int(data.get("spread_ppm", 0)) * 5)
    )
    schedule: Annotated[tuple[Window, ...], BeforeValidator(parse_windows)] = ()
    narrow_rate_ppm: Annotated[int, _ratio(0, 1_000_000)] = 0  # a second; 0: at once
    refill_delay_ns: Annotated[int, _span(0, DAY)] = 0
    ping_pong: bool = False
    hanging: bool = False
    hanging_age_max_ns: Annotated[int, _span(0, 30 * DAY)] = HOUR  # 0: no limit
    hanging_distance_max_ppm: Width = 0  # 0: no limit
    requote_threshold: Reach = Field(default_factory=_distance_of("spread_ppm", 1, 40))
    tolerance: Reach = Field(default_factory=_distance_of("spread_ppm", 1, 20))
    # What the first place in a queue is worth; 0: places count for nothing.
    queue_value: Reach = Field(default_factory=_distance_of("level_step_ppm", 1, 2))

    @property
    def vol_ppm(self) -> int:
        """Return the volatility factor in millionths."""
        return int(self.vol_factor * 1_000_000)


class Model(Ladder):
    """What GLFT and Avellaneda-Stoikov share: either `gamma` or `skew_full`, and the factors."""

    gamma: Bound = None  # risk aversion, per unit of the quote currency
    skew_full_ppm: Annotated[
        int | None, BeforeValidator(lambda told: None if told == "off" else _width(told))
    ] = None  # shift at full inventory, of price
    half_factor: Annotated[Decimal, _decimal(zero=False)] = Decimal(1)
    skew_factor: NotNegative = Decimal(1)
    fit_decay: Reach | None = None  # 1/k until there is a fit; None: nothing is quoted until then
    level_step_ppm: Annotated[int, _ratio(1, 500_000)] = 500
    flow_full_ppm: Width = 0
    spread_min_ppm: Annotated[int, _ratio(0, 500_000)] = 0
    spread_max_ppm: Annotated[int, _ratio(1, 1_000_000)] = 50_000
    requote_threshold: Reach = Distance(ppm=20)
    tolerance: Reach = Distance(ppm=50)
    queue_value: Reach = Field(default_factory=_distance_of("level_step_ppm", 1, 2))


class Glft(Model):
    """Endless horizon and limited inventory: Gueant, Lehalle and Fernandez-Tapia."""

    kind: Literal["glft"]
    xi_ppm: Share = 1_000_000  # of gamma
    fit_arrival: NotNegative = Decimal(0)  # A a second until there is a fit; 0: none is told


class Avellaneda(Model):
    """A horizon and a reservation price: Avellaneda and Stoikov."""

    kind: Literal["avellaneda"]
    horizon_ns: Annotated[int, _span(SECOND, 30 * DAY)] = 300 * SECOND
    horizon_mode: Literal["rolling", "repeating"] = "rolling"


class PythonStrategy(Strategy):
    """A strategy of the user's own: a class by its import path, made with `params`."""

    kind: Literal["python"]
    class_path: Annotated[str, StringConstraints(pattern=_CLASS)]
    params: dict[str, str | int | bool] = {}
    requote_threshold: Reach = Distance(ticks=1)
    tolerance: Reach = Distance(ticks=1)
    queue_value: Reach = Distance(ticks=0)


def _installed(name: str) -> str:
    """Refuse a strategy that no installed package brings along, and name those that are."""
    names = sorted({point.name for point in entry_points(group=STRATEGY_POINTS)})
    if name not in names:
        known = ", ".join(f'"{one}"' for one in names)
        raise ValueError(
            f"an installed strategy: {known or 'there is none'} (openmm new strategy makes one)"
        )
    return name


class PluginStrategy(Strategy):
    """A strategy of another package, by the name of its entry point, made with `params`."""

    kind: Literal["plugin"]
    name: Annotated[str, AfterValidator(_installed)]
    params: dict[str, str | int | bool] = {}
    requote_threshold: Reach = Distance(ticks=1)
    tolerance: Reach = Distance(ticks=1)
    queue_value: Reach = Distance(ticks=0)


# Every kind of [strategy].
AnyStrategy: TypeAlias = Grid | Glft | Avellaneda | PythonStrategy | PluginStrategy


class Signal(Section):
    """Half-lives and distances of the estimators, and how the reference treats outliers."""

    sample_ns: Span = 250 * MS
    vol_fast_ns: Span = 10 * SECOND
    vol_slow_ns: Span = 120 * SECOND
    flow_ns: Span = 30 * SECOND
    ofi_ns: Span = SECOND
    fair: Literal["micro", "depth", "vamp"] = "micro"
    fair_levels: Annotated[int, Field(ge=1, le=10)] = 5
    fair_decay: Reach = Distance(ppm=0)
    fair_notional: Positive = Decimal(10_000)  # in the quote asset
    watch: bool = False  # compute every signal, also those that no weight follows
    depth_ns: Span = 60 * SECOND
    depth_distance: Reach = Distance(ppm=1_000)
    fit_sample_ns: Annotated[int, _span(10 * MS, 60 * SECOND)] = 250 * MS
    fit_ns: Annotated[int, _span(60 * SECOND, DAY)] = 600 * SECOND
    jump_sigma: Positive = Decimal(6)
    sigma_floor: Reach = Distance(ppm=0)
    outlier_floor_ppm: Annotated[int, _ratio(1, 500_000)] = 3_000
    clamp_ppm: Annotated[int, _ratio(1, 500_000)] = 300
    basis_ns: Annotated[int, _span(SECOND, DAY)] = 600 * SECOND
    basis_cap_ppm: Annotated[int, _ratio(0, 100_000)] = 5_000
    readmit_updates: Annotated[int, Field(ge=1, le=1000)] = 3
    jump_ppm: Annotated[int, _ratio(0, 500_000)] = 5_000
    jump_hold_ns: Span = 10 * SECOND


class Risk(Section):
    """Hard limits: closer ones at any time by `openmm tighten`, looser ones only here."""

    max_order_size: Positive
    min_order_size: NotNegative = Decimal(0)
    max_order_notional: Positive | None = None  # None: max_open_notional
    max_open_notional: Positive
    max_inventory: Positive
    max_group_inventory: Positive | None = None  # of all bots of inventory.group; told with it
    max_drawdown_ppm: Annotated[int, _ratio(1, 1_000_000)]
    max_drawdown_peak_ppm: Annotated[int, _ratio(1, 1_000_000)] | None = None
    cooldown_ns: Annotated[int, _span(SECOND, 30 * DAY)] | None = None  # None: resume by hand
    price_collar_ppm: Annotated[int, _ratio(1, 500_000)] = 50_000
    max_orders: Annotated[int, Field(ge=1, le=ORDERS_MAX // 2)] | None = None
    max_message_age_ns: Span = 5 * SECOND
    max_clock_offset_ns: Span = 2 * SECOND
    base_reserve: NotNegative = Decimal(0)
    quote_reserve: NotNegative = Decimal(0)
    max_slippage_ppm: Annotated[int, _ratio(1, 500_000)] = 10_000
    fills_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 120
    rejects_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 60
    post_only_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 30
    cancels_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    brake_ns: Annotated[int, _span(SECOND, 300 * SECOND)] = 5 * SECOND
    rate_reserve_ppm: Annotated[int, _ratio(0, 900_000)] = 200_000
    ack_timeout_ns: Annotated[int, _span(100 * MS, 300 * SECOND)] = 5 * SECOND
    # None: 60 s; "off": 0, none, by the operator's explicit word.
    dead_man_timeout_ns: (
        Annotated[int, BeforeValidator(_span_or_off(*(SECOND * each for each in SWITCH_ANY_S)))]
        | None
    ) = None
    # Where no dead-man switch stands behind the orders. "off": 0, by the operator's own word.
    watchdog_timeout_ns: Annotated[int, BeforeValidator(_span_or_off(SECOND, 600 * SECOND))] = (
        10 * SECOND
    )
    webhook: Annotated[str, _url("http", "https")] | None = None
    # Orders of other bots of this host on the same market: never met, or ("off") not looked at.
    neighbours: Literal["refuse", "off"] = "refuse"


class Inventory(Section):
    """One inventory over the bots of a host that trade the same base, and what may lie here."""

    group: Annotated[str, StringConstraints(pattern=_NAME)] | None = None  # None: our own alone
    target_base_ppm: Annotated[int, _ratio(1, 999_999)] | None = None  # None: strategy.target_base
    claim: Positive | None = None  # of the group's limit a side; None: `BotConfig.group_claim`
    members: Annotated[int, Field(ge=0, le=64)] = 0  # fewer: somebody is missing; 0: who is there
    neighbour_age_max_ns: Annotated[int, _span(SECOND // 5, 300 * SECOND)] = 2 * SECOND
    silence: Literal["reduce", "own"] = "reduce"
    look_every_ns: Annotated[int, _span(5 * MS, SECOND)] = 20 * MS
    capital_base_max: Positive | None = None  # held here at most, bids included
    capital_quote_max: Positive | None = None  # used here at most
    capital_alert_after_ns: Annotated[int, _span(SECOND, DAY)] = 60 * SECOND


class Settlement(Section):
    """How often money is compared with the venue, and where it is kept."""

    reconcile_every_ns: Annotated[int, _span(SECOND, DAY)] = 30 * SECOND
    alert_above_ppm: Share = 0  # any difference that outlives the races
    halt_above_ppm: Share = 1_000
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{2,16}$")] = "USD"
    store: Annotated[str, StringConstraints(pattern=r"^[a-z0-9+]+://.+$")] | None = None
    # A side counts as up with this much base within this distance of the reference; 0: any.
    uptime_within_ppm: Annotated[int, _ratio(1, 500_000)] = 5_000
    uptime_depth: NotNegative = Decimal(0)


class Journal(Section):
    """How much of ended sessions' journals is kept; those the store has not booked stay."""

    max_size_bytes: Annotated[int, _bytes(1 << 26, 1 << 50)] = 20 << 30
    keep_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    keep_sessions: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class Engine(Section):
    """The process itself."""

    telemetry_interval_ns: Annotated[int, _span(10 * MS, 10 * SECOND)] = 100 * MS
    tape_size_bytes: Annotated[int, _bytes(1 << 20, 1 << 32)] = 16 << 20
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    cpu: Annotated[int, Field(ge=0, le=4095)] | None = None
    busy_poll: bool = False
    lock_memory: bool = False
    keep_awake: bool = False
    keep_warm: bool = True
    quickack: bool = True


class Paper(Section):
    """The pretended account of `mode = "paper"`."""

    base: NotNegative = Decimal(1)
    quote: NotNegative = Decimal(100_000)
    latency_ns: Annotated[int, _span(0, 10 * SECOND)] = 5 * MS


class Hedge(Section):
    """Where, when and within which bounds fills are hedged: docs/hedging.md."""

    venue: Annotated[str, AfterValidator(_known)]
    pair: Pair
    label: Annotated[str, StringConstraints(pattern=_LABEL)] = Field(
        default_factory=lambda data: str(data.get("venue", "hedge"))
    )
    endpoints: Endpoints = Endpoints.model_construct()
    options: dict[str, Any] = {}
    unhedged_max: Positive  # in base
    slippage_ppm: Annotated[int, _ratio(1, 500_000)]
    taker_fee_ppm: Annotated[int, _ratio(-10_000, 100_000)] | None = None  # None: the venue's
    price_rate: Positive | None = None  # of the traded pair's currency in the hedge's
    urgent_ppm: Annotated[int, _ratio(1, 1_000_000)] = 500_000  # of unhedged_max
    order_max: Positive | None = None  # in base; None: no bound but the exposure
    when: Literal["always", "profitable"] = "always"
    delay_ns: Annotated[int, _span(0, HOUR)] = 0
    edge_min_ppm: Width = 0
    latency_allowance_ppm: Width = 0
    slippage_allowance_ppm: Width = 0
    deadline_ns: Annotated[int, _span(SECOND, 60 * SECOND)] = Field(
        default_factory=lambda data: (5 if data.get("venue") == "kraken" else 15) * SECOND
    )
    max_book_age_ns: Span = 5 * SECOND
    resume_after_ns: Annotated[int, _span(0, HOUR)] = 5 * SECOND
    exposure_max_ns: Span = 10 * SECOND
    doubt_max_ns: Span = 5 * SECOND
    attempts_max: Annotated[int, Field(ge=1, le=1000)] = 5
    paper_base: NotNegative = Decimal(1)
    paper_quote: NotNegative = Decimal(100_000)


class BotConfig(Section):
    """A whole file, validated. Made by `load` and `parse` only."""

    bot: Bot
    venue: tuple[Venue, ...]
    strategy: AnyStrategy
    signal: Signal = Signal.model_construct()
    risk: Risk
    settlement: Settlement = Settlement.model_construct()
    journal: Journal = Journal.model_construct()
    engine: Engine = Engine.model_construct()
    paper: Paper = Paper.model_construct()
    hedge: Hedge | None = None
    inventory: Inventory = Inventory.model_construct()

    @property
    def quoted(self) -> Venue:
        """Return the one venue that is traded."""
        return next(venue for venue in self.venue if venue.quote is not None)

    @property
    def max_orders(self) -> int:
        """Return the limit of live orders: `risk.max_orders`, else twice the ladder's."""
        if self.risk.max_orders is not None:
            return self.risk.max_orders
        levels = self.strategy.num_orders if isinstance(self.strategy, Ladder) else LEVELS_MAX
        return min(ORDERS_MAX // 2, 4 * levels)

    @property
    def inventory_scale(self) -> Decimal:
        """Return the inventory off target at which the skew is full, in base."""
        return self.strategy.inventory_scale or self.risk.max_inventory

    @property
    def group_target_ppm(self) -> int:
        """Return the share of base that the group aims at."""
        told = self.inventory.target_base_ppm
        return self.strategy.target_base_ppm if told is None else told

    @property
    def group_claim(self) -> Decimal:
        """Return how much base beyond what it holds a bot reserves of its group's limit, a side."""
        if self.inventory.claim is not None:
            return self.inventory.claim
        if isinstance(self.strategy, Ladder):
            grown = Decimal(1_000_000 + self.strategy.size_skew_ppm) / 1_000_000
            return 2 * sum(self.strategy.amounts, Decimal(0)) * grown
        return 2 * self.risk.max_order_size

    @property
    def watchdog_ns(self) -> int | None:
        """Return how long a heartbeat may stand still; None where no watchdog is started."""
        if self.bot.mode != "live" or self.dead_man_ns is not None:
            return None
        return self.risk.watchdog_timeout_ns or None

    @property
    def dead_man_ns(self) -> int | None:
        """Return the dead-man timeout: none on a shared account or when off, 60 s by default.

        Nor at a venue without such a switch: there the watchdog process stands in.
        """
        timeout_ns = self.risk.dead_man_timeout_ns
        if self.quoted.account == "shared" or timeout_ns == 0:
            return None
        if self.quoted.switch_s is None:
            return None
        return 60 * SECOND if timeout_ns is None else timeout_ns
