from enum import IntEnum
from typing import NamedTuple, final

from openmm._fast.ports import Neighbours

BOARD_MAGIC: int
VERSION: int
ROWS: int
HEADER_BYTES: int
ROW_BYTES: int
PAGE_BYTES: int
SPARE: int
TEXT_BYTES: dict[str, int]

class RowState(IntEnum):
    ROW_FREE = 0
    ROW_CLAIMED = 1

class BoardFault(IntEnum):
    FAULT_NONE = 0
    FAULT_HEADER = 1
    FAULT_ROW_LOST = 2
    FAULT_PRICE = 3

class Holdings(NamedTuple):
    updated_ns: int
    base_decimals: int
    quote_decimals: int
    base_atoms: int
    quote_atoms: int
    target_atoms: int
    capital_base_atoms: int
    capital_quote_atoms: int
    spare: tuple[int, ...] = ...

class RawRow(NamedTuple):
    place: int
    state: int
    market: int
    account: int
    pid: int
    pid_start: int
    boot: int
    bid_ticks: int
    ask_ticks: int
    bot: str
    venue: str
    instrument: str
    tick_size: str
    group: str
    purpose: str
    holdings: Holdings | None

@final
class BoardPage:
    def __new__(cls, fd: int) -> BoardPage: ...
    def begin(self) -> None: ...
    def header_fields(self) -> tuple[int, int, int, int]: ...
    @property
    def generation(self) -> int: ...
    def read(self, index: int) -> RawRow | None: ...
    def claim(
        self,
        index: int,
        *,
        market: int,
        account: int,
        pid: int,
        pid_start: int,
        boot: int,
        bot: str,
        venue: str,
        instrument: str,
        tick_size: str,
        group: str = "",
        purpose: str = "",
    ) -> None: ...
    def take_over(
        self, index: int, pid: int, pid_start: int, boot: int, group: str = ""
    ) -> None: ...
    def free(self, index: int) -> None: ...
    def poke(self, offset: int, data: bytes) -> None: ...

@final
class OwnRow(Neighbours):
    def __new__(cls, page: BoardPage, index: int) -> OwnRow: ...
    @property
    def page(self) -> BoardPage: ...
    @property
    def index(self) -> int: ...
    @property
    def fault(self) -> int: ...
    def detach(self) -> None: ...
    def settle(self) -> None: ...
    @property
    def kept(self) -> tuple[int, int]: ...
    @property
    def shown(self) -> tuple[int, int]: ...
    def race(self, rounds: int, side: int, *, careful: bool = True) -> tuple[int, int]: ...
    def tell(self, holdings: Holdings) -> None: ...
