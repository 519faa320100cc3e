"""The grid's parameters as checked integers: what may be set, at start and live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, force_setattr

from openmm.errors import ConfigError
from openmm.instrument import LOTS_MAX, TICKS_MAX

LEVELS_MAX = 32
PPM = 1_000_000
REST_NS_MAX = 10**15
SPAN_NS_MAX = 31 * 86_400 * 10**9
WINDOWS_MAX = 16
DAY_S = 86_400

# Inclusive bounds of each field; the kernel's arithmetic is safe within them.
BOUNDS: dict[str, tuple[int, int]] = {
    "spread_ppm": (0, PPM),
    "order_lots": (1, LOTS_MAX),
    "num_orders": (1, LEVELS_MAX),
    "level_step_ppm": (0, PPM),
    "rebalance_threshold_ppm": (1, PPM),
    "rebalance_exit_ppm": (0, PPM),
    "skew_full_ppm": (0, PPM // 2),
    "flow_full_ppm": (0, PPM // 2),
    "micro_weight_ppm": (0, 2 * PPM),
    "micro_cap_ppm": (0, PPM // 2),
    "imbalance_full_ppm": (0, PPM // 2),
    "ofi_full_ppm": (0, PPM // 2),
    "compression_full_ppm": (0, PPM // 2),
    "vol_ppm": (0, 1_000 * PPM),
    "rest_ns": (0, REST_NS_MAX),
    "depth_ppm": (0, PPM),
    "inventory_widen_ppm": (0, PPM),
    "fee_floor_ppm": (-PPM // 2, PPM // 2),
    "half_min_ppm": (0, PPM),
    "half_max_ppm": (1, PPM),
    "size_skew_ppm": (0, PPM),
    "floor_ticks": (0, TICKS_MAX),
    "ceiling_ticks": (1, TICKS_MAX),
    "narrow_ppm": (0, PPM),
    "refill_ns": (0, SPAN_NS_MAX),
    "ping_pong": (0, 1),
    "hanging": (0, 1),
    "hanging_ns_max": (0, SPAN_NS_MAX),
    "hanging_distance_ppm": (0, PPM),
}
# Bounds of each value of those that have one a level, or none at all.
LEVEL_BOUNDS: dict[str, tuple[int, int]] = {
    "level_offsets_ppm": (0, PPM),
    "level_lots": (1, LOTS_MAX),
}


def check_levels(fields: Mapping[str, Any]) -> None:
    """Check what has a value a level, or none, and the price band, of any ladder's parameters.

    Raises:
        ConfigError: a value out of bounds, not one a level, or a band without a price.
    """
    for name, (least, most) in LEVEL_BOUNDS.items():
        values = fields[name]
        if values and len(values) != fields["num_orders"]:
            allowed = f"a value a level: {fields['num_orders']}"
            raise ConfigError(f"strategy.{name}", tuple(values), allowed)
        if any(type(one) is not int or not least <= one <= most for one in values):
            allowed = f"integers from {least} to {most}"
            raise ConfigError(f"strategy.{name}", tuple(values), allowed)
    offsets = list(fields["level_offsets_ppm"])
    if offsets != sorted(offsets):
        raise ConfigError("strategy.level_offsets_ppm", offsets, "each no nearer than the last")
    if fields["floor_ticks"] > fields["ceiling_ticks"]:
        allowed = f"at most ceiling_ticks, {fields['ceiling_ticks']}"
        raise ConfigError("strategy.floor_ticks", fields["floor_ticks"], allowed)


class GridParameters(Struct, frozen=True, kw_only=True):
    """Parameters of a grid, named as in `grid.GridParams`; a ladder is made from nothing else.

    Four are the public ones of a bot's file: `spread` (`spread_ppm`, the full inner spread),
    `order_amount` (`order_lots`, of one level), `num_orders` (levels a side) and
    `rebalance_threshold` (`rebalance_threshold_ppm`, share of base off target beyond which only the
    side that brings it back is quoted). docs/strategy.md explains each of the others.

    Raises:
        ConfigError: a value out of bounds, or two that contradict each other.
    """

    spread_ppm: int
    order_lots: int
    num_orders: int
    rebalance_threshold_ppm: int
    level_step_ppm: int
    rebalance_exit_ppm: int
    skew_full_ppm: int = 0
    flow_full_ppm: int = 0
    micro_weight_ppm: int = 0
    micro_cap_ppm: int = 0
    imbalance_full_ppm: int = 0
    ofi_full_ppm: int = 0
    compression_full_ppm: int = 0
    vol_ppm: int = 0
    rest_ns: int = 5_000_000_000
    depth_ppm: int = 0
    inventory_widen_ppm: int = 0
    fee_floor_ppm: int = 0
    half_min_ppm: int = 0
    half_max_ppm: int = PPM // 2
    size_skew_ppm: int = 0
    floor_ticks: int = 0
    ceiling_ticks: int = TICKS_MAX
    level_offsets_ppm: tuple[int, ...] = ()  # none: `level_step_ppm` apart
    level_lots: tuple[int, ...] = ()  # none: `order_lots` each
    schedule: tuple[tuple[int, int, int, int], ...] = ()  # from_s, to_s, widen_ppm, quiet
    narrow_ppm: int = 0
    refill_ns: int = 0
    ping_pong: int = 0
    hanging: int = 0
    hanging_ns_max: int = 0
    hanging_distance_ppm: int = 0

    def __post_init__(self) -> None:
        for name, (least, most) in BOUNDS.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise ConfigError(f"strategy.{name}", value, f"an integer from {least} to {most}")
        self._check_levels()
        self._check_schedule()
        if self.rebalance_exit_ppm > self.rebalance_threshold_ppm:
            raise ConfigError(
                "strategy.rebalance_exit_ppm",
                self.rebalance_exit_ppm,
                f"at most rebalance_threshold_ppm, {self.rebalance_threshold_ppm}",
            )
        if self.half_max_ppm < max(self.half_min_ppm, self.fee_floor_ppm):
            raise ConfigError(
                "strategy.half_max_ppm",
                self.half_max_ppm,
                f"at least half_min_ppm {self.half_min_ppm} and fee_floor_ppm {self.fee_floor_ppm}",
            )

    def _check_levels(self) -> None:
        check_levels(self.fields())
        for name in LEVEL_BOUNDS:
            force_setattr(self, name, tuple(getattr(self, name)))

    def _check_schedule(self) -> None:
        windows = tuple(tuple(one) for one in self.schedule)
        force_setattr(self, "schedule", windows)
        most = (DAY_S - 1, DAY_S, PPM, 1)
        if len(windows) > WINDOWS_MAX:
            raise ConfigError("strategy.schedule", len(windows), f"at most {WINDOWS_MAX} windows")
        for window in windows:
            if len(window) != len(most) or not all(
                type(one) is int and 0 <= one <= top for one, top in zip(window, most, strict=True)
            ):
                raise ConfigError("strategy.schedule", window, f"four integers from 0 to {most}")

    def fields(self) -> dict[str, Any]:
        """Return the fields by name, as the kernel takes them."""
        return asdict(self)
