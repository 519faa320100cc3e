"""The grid's parameters as checked integers: what may be set, at start and live."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import asdict

from openmm.errors import ConfigError
from openmm.instrument import LOTS_MAX

LEVELS_MAX = 32
PPM = 1_000_000
REST_NS_MAX = 10**15

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
    "vol_ppm": (0, 1_000 * PPM),
    "rest_ns": (0, REST_NS_MAX),
    "depth_ppm": (0, PPM),
    "inventory_widen_ppm": (0, PPM),
    "fee_floor_ppm": (-PPM // 2, PPM // 2),
    "half_min_ppm": (0, PPM),
    "half_max_ppm": (1, PPM),
    "size_skew_ppm": (0, PPM),
}


class GridParameters(Struct, frozen=True, kw_only=True):
    """Parameters of a grid, named as in `quotes.GridParams`; a ladder is made from nothing else.

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
    vol_ppm: int = 0
    rest_ns: int = 5_000_000_000
    depth_ppm: int = 0
    inventory_widen_ppm: int = 0
    fee_floor_ppm: int = 0
    half_min_ppm: int = 0
    half_max_ppm: int = PPM // 2
    size_skew_ppm: int = 0

    def __post_init__(self) -> None:
        for name, (least, most) in BOUNDS.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise ConfigError(f"strategy.{name}", value, f"an integer from {least} to {most}")
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

    def fields(self) -> dict[str, int]:
        """Return the fields by name, as the kernel takes them."""
        return asdict(self)
