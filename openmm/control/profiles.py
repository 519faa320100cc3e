"""What a bot can be made of: strategies with their keys, and ready choices to begin with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from msgspec import Struct
from pydantic_core import PydanticUndefined

from openmm.config.change import text_of
from openmm.config.schema import (
    Avellaneda,
    Glft,
    Grid,
    PluginStrategy,
    PythonStrategy,
    Section,
    key_of,
)
from openmm.config.values import Distance, format_duration, format_ppm
from openmm.control.home import Home
from openmm.control.market import traded_venues


class Profile(Struct, frozen=True):
    """A ready choice of what a description leaves open.

    Args:
        spread_fees: the spread, in maker fees both ways.
        sigmas: and at least so many standard deviations of one minute's return.
        levels: of a side.
        deployed: share of the capital in orders at once.
        drawdown: that halts it.
    """

    name: str
    doc: str
    spread_fees: Decimal
    sigmas: Decimal
    levels: int
    deployed: Decimal
    drawdown: str


PROFILES: Final = (
    Profile(
        "careful", "wide and small: seldom filled, little inventory", Decimal("1.6"), Decimal(4), 3,
        Decimal("0.3"), "1%",
    ),
    Profile(
        "balanced", "what is taken unless another is named", Decimal("1.25"), Decimal(3), 5,
        Decimal("0.5"), "2%",
    ),
    Profile(
        "tight", "close to what fees allow: filled often, turns inventory over", Decimal("1.1"),
        Decimal(2), 8, Decimal("0.8"), "3%",
    ),
)  # fmt: skip
DEFAULT: Final = PROFILES[1]


def profiles(home: Home, now_ns: int) -> dict[str, Any]:
    """Return the ready choices; a description names one: "a careful grid on BTC/USD"."""
    return {
        "profiles": [
            {
                "name": one.name, "doc": one.doc, "levels": one.levels,
                "capital_in_orders": f"{one.deployed:f}", "max_drawdown": one.drawdown,
                "spread": f"{one.spread_fees:f} times the maker fee both ways, at least "
                f"{one.sigmas:f} standard deviations of a minute and three ticks",
                "default": one is DEFAULT,
            }
            for one in PROFILES
        ],
        "venues": list(traded_venues()),
        "example": "start a careful grid on BTC/USD at kraken with 1% spread and 5000 USD, paper",
    }  # fmt: skip


def strategies(home: Home, now_ns: int) -> dict[str, Any]:
    """Return each strategy's keys with their defaults; docs/configuration.md says what they do."""
    return {
        "strategies": [
            {
                "kind": "grid", "doc": "levels on both sides of the reference, leaned by inventory",
                "keys": _keys(Grid),
            },
            {
                "kind": "glft",
                "doc": "quotes of an endless horizon from volatility and a fitted fill intensity",
                "keys": _keys(Glft),
            },
            {
                "kind": "avellaneda",
                "doc": "a reservation price and the optimal spread over a horizon",
                "keys": _keys(Avellaneda),
            },
            {
                "kind": "python", "doc": "a class of the user's own by its import path",
                "keys": _keys(PythonStrategy),
            },
            {
                "kind": "plugin", "doc": "a strategy of an installed package, by its name",
                "keys": _keys(PluginStrategy),
            },
        ]
    }  # fmt: skip


def _keys(model: type[Section]) -> list[dict[str, Any]]:
    return [
        {
            "key": f"strategy.{key_of(name)}", "required": field.is_required(),
            "default": _default(name, field.default), "unit": _unit(name),
        }
        for name, field in model.model_fields.items()
        if name not in ("kind",)
    ]  # fmt: skip


def _default(name: str, value: Any) -> str | None:
    """Write a default as the file would; None: there is none, or it follows from other keys."""
    if value is PydanticUndefined or value is None:
        return None
    if isinstance(value, tuple):
        return str(text_of(name, value))
    if name.endswith("_ppm"):
        return format_ppm(value)
    if name.endswith("_ns"):
        return format_duration(value)
    return str(value) if isinstance(value, Decimal | Distance | int | str) else None


def _unit(name: str) -> str:
    if name in ("level_offsets_ppm", "level_amounts"):
        one = 'shares: "0bps, 5bps"' if name.endswith("_ppm") else 'base asset: "0.1, 0.2"'
        return f"one value a level, {one}"
    if name == "schedule":
        return 'windows of the day, UTC: "21:00-23:30 3bps, 00:00-00:05 off"'
    if name in ("price_floor", "price_ceiling"):
        return 'a price, or "off"'
    if name == "narrow_rate_ppm":
        return 'a share each second: "1bps"'
    if name.endswith("_ppm"):
        return 'a share: "0.4%" or "40bps"'
    if name.endswith("_ns"):
        return 'a duration: "5s"'
    if name in ("order_amount", "inventory_scale"):
        return "base asset"
    if name in ("tolerance", "requote_threshold", "queue_value"):
        return 'a share, or ticks: "2bps" or "1tick"'
    return ""
