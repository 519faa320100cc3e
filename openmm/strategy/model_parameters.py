"""Parameters of GLFT and Avellaneda-Stoikov as checked integers: what may be set, also live."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from openmm._fast.leans import LEAN_FIELDS
from openmm._fast.shape import SHAPE_FIELDS
from openmm.errors import ConfigError
from openmm.instrument import LOTS_MAX
from openmm.strategy.parameters import BOUNDS as GRID_BOUNDS
from openmm.strategy.parameters import LEVEL_BOUNDS, PPM, check_levels

RISK_UTICKS_MAX = 10**18
UHZ_MAX = 10**15
SHARED = (*LEAN_FIELDS, *SHAPE_FIELDS)
HORIZON_NS = (64, 30 * 86_400 * 10**9)

# Inclusive bounds of each field; the kernel's arithmetic is safe within them.
BOUNDS: dict[str, tuple[int, int]] = {
    **{name: GRID_BOUNDS[name] for name in SHARED if name not in LEVEL_BOUNDS},
    "risk_uticks": (0, RISK_UTICKS_MAX),
    "skew_full_ppm": (0, PPM // 2),
    "scale_lots": (1, LOTS_MAX),
    "half_factor_ppm": (1, 1_000 * PPM),
    "skew_factor_ppm": (0, 1_000 * PPM),
    "xi_ppm": (0, PPM),
    "horizon_ns": HORIZON_NS,
    "repeating": (0, 1),
    "prior_decay_ppm": (0, PPM),
    "prior_decay_uticks": (0, RISK_UTICKS_MAX),
    "prior_arrival_uhz": (0, UHZ_MAX),
    "fee_floor_ppm": (-PPM // 2, PPM // 2),
    "half_min_ppm": (0, PPM),
    "half_max_ppm": (1, PPM),
}


class GlftParameters(Struct, frozen=True, kw_only=True):
    """Parameters of GLFT, named as in `optimal.ModelParams`; docs/strategy.md explains each.

    Either `risk_uticks` is given, 1 / (gamma * order size) as a distance, or it is 0 and
    `skew_full_ppm` tells the shift at full inventory. Those of `leans` and `shape` are in `common`.

    Raises:
        ConfigError: a value out of bounds, or two that contradict each other.
    """

    common: dict[str, Any]
    scale_lots: int
    half_max_ppm: int
    risk_uticks: int = 0
    skew_full_ppm: int = 0
    half_factor_ppm: int = PPM
    skew_factor_ppm: int = PPM
    xi_ppm: int = PPM
    prior_decay_ppm: int = 0
    prior_decay_uticks: int = 0
    prior_arrival_uhz: int = 0
    fee_floor_ppm: int = 0
    half_min_ppm: int = 0

    def __post_init__(self) -> None:
        _check(self.fields())

    def fields(self) -> dict[str, Any]:
        """Return the fields by name, as the kernel takes them."""
        return _flat(asdict(self))

    @classmethod
    def of(cls, fields: dict[str, Any]) -> GlftParameters:
        """Make parameters of fields by name, those of `leans` and `shape` among them."""
        return cls(**_parted(fields))


class AvellanedaParameters(Struct, frozen=True, kw_only=True):
    """Parameters of Avellaneda-Stoikov, named as in `optimal.ModelParams`; see docs/strategy.md.

    Either `risk_uticks` is given, 1 / (gamma * order size) as a distance, or it is 0 and
    `skew_full_ppm` tells the shift at full inventory. Those of `leans` and `shape` are in `common`.

    Raises:
        ConfigError: a value out of bounds, or two that contradict each other.
    """

    common: dict[str, Any]
    scale_lots: int
    half_max_ppm: int
    horizon_ns: int
    repeating: int = 0
    risk_uticks: int = 0
    skew_full_ppm: int = 0
    half_factor_ppm: int = PPM
    skew_factor_ppm: int = PPM
    prior_decay_ppm: int = 0
    prior_decay_uticks: int = 0
    fee_floor_ppm: int = 0
    half_min_ppm: int = 0

    def __post_init__(self) -> None:
        _check(self.fields())

    def fields(self) -> dict[str, Any]:
        """Return the fields by name, as the kernel takes them."""
        return _flat(asdict(self))

    @classmethod
    def of(cls, fields: dict[str, Any]) -> AvellanedaParameters:
        """Make parameters of fields by name, those of `leans` and `shape` among them."""
        return cls(**_parted(fields))


def _flat(told: dict[str, Any]) -> dict[str, Any]:
    return {**told.pop("common"), **told}


def _parted(fields: dict[str, Any]) -> dict[str, Any]:
    shared = {name: fields[name] for name in SHARED}
    shared |= {name: tuple(fields[name]) for name in LEVEL_BOUNDS}
    return {"common": shared, **{k: v for k, v in fields.items() if k not in shared}}


def _check(fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if name in LEVEL_BOUNDS:
            continue
        least, most = BOUNDS.get(name, (0, -1))
        if type(value) is not int or not least <= value <= most:
            raise ConfigError(f"strategy.{name}", value, f"an integer from {least} to {most}")
    check_levels(fields)
    if fields["rebalance_exit_ppm"] > fields["rebalance_threshold_ppm"]:
        raise ConfigError(
            "strategy.rebalance_exit_ppm",
            fields["rebalance_exit_ppm"],
            f"at most rebalance_threshold_ppm, {fields['rebalance_threshold_ppm']}",
        )
    floor = max(fields["half_min_ppm"], fields["fee_floor_ppm"])
    if fields["half_max_ppm"] < floor:
        raise ConfigError(
            "strategy.half_max_ppm",
            fields["half_max_ppm"],
            f"at least half_min_ppm and fee_floor_ppm, {floor}",
        )
