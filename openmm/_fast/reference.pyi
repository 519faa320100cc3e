from enum import IntEnum
from typing import final

class SourceVerdict(IntEnum):
    SOURCE_UNDECIDED = 0
    SOURCE_USED = 1
    SOURCE_UNVERIFIED = 2
    SOURCE_STALE = 3
    SOURCE_WIDE = 4
    SOURCE_OUTLIER = 5
    SOURCE_DISAGREES = 6
    SOURCE_THIN = 7
    SOURCE_PROBATION = 8
    SOURCE_UNCONFIRMED = 9
    SOURCE_NO_RATE = 10
    SOURCE_RATE = 11

@final
class Reference:
    def __new__(
        cls,
        *,
        outlier_floor_ppm: int = 3_000,
        clamp_ppm: int = 2_000,
        outlier_mads: int = 3,
        weight_cap_ppm: int = 600_000,
        basis_ns: int = 600_000_000_000,
        basis_cap_ppm: int = 0,
        readmit_count: int = 1,
        jump_ppm: int = 0,
        jump_hold_ns: int = 10_000_000_000,
    ) -> Reference: ...
    def add_source(
        self,
        *,
        age_ns_max: int,
        spread_ppm_max: int,
        trust_ppm: int = 1_000_000,
        scale_num: int = 1,
        scale_den: int = 1,
        depth_num: int = 1,
        depth_den: int = 1,
        is_rate: bool = False,
        quoted: bool = False,
    ) -> int: ...
    def convert(
        self, index: int, rate_index: int, rate_unit_uticks: int, *, inverse: bool = False
    ) -> None: ...
    def set(
        self,
        index: int,
        mid_uticks: int | None,
        spread_uticks: int,
        depth_lots: int,
        recv_ns: int,
        verified: bool,
    ) -> None: ...
    def compute(self, now_ns: int) -> int | None: ...
    def source(self, index: int) -> tuple[int | None, int, SourceVerdict]: ...
    @property
    def price_uticks(self) -> int | None: ...
    def basis(self, index: int) -> tuple[int, int]: ...
    @property
    def fair_uticks(self) -> int | None: ...
    @property
    def confidence_ppm(self) -> int: ...
    @property
    def used_count(self) -> int: ...
    @property
    def source_count(self) -> int: ...
