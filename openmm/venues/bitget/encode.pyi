from enum import IntEnum
from typing import final

from openmm._fast.orders import OrderTable
from openmm._fast.ports import Encoder

STP_MODES: tuple[str, ...]
TOPICS: tuple[str, ...]
KIND_NAMES: tuple[str, ...]
SEQ_MAX: int

class RequestKind(IntEnum):
    REQUEST_UNDECIDED = 0
    REQUEST_ADD = 1
    REQUEST_BATCH_ADD = 2
    REQUEST_AMEND = 3
    REQUEST_CANCEL = 4
    REQUEST_BATCH_CANCEL = 5

def base32(value: int) -> str: ...
def parse_client_id(text: str) -> tuple[str, str, int] | None: ...

@final
class BitgetEncoder(Encoder):
    def __new__(
        cls,
        venue_symbol: str,
        tick_points: int,
        price_decimals: int,
        lot_points: int,
        qty_decimals: int,
        bot: str,
        session: str,
        unified: bool = False,
        amend: bool = False,
        stp_mode: str = "",
    ) -> BitgetEncoder: ...
    @property
    def last_req_id(self) -> int: ...
    def client_id(self, seq: int) -> str: ...
    def encode(
        self,
        actions: list[tuple[int, int, int, int, int, bool]],
        now_ns: int,
        table: OrderTable | None = None,
    ) -> list[tuple[bytes, int]]: ...
    def encode_many(
        self, actions: list[tuple[int, int, int, int, int, bool]], now_ns: int, rounds: int
    ) -> int: ...
    def is_earlier(self, client_id: str) -> bool: ...
    def requested(self, req_id: int) -> tuple[str, list[int]]: ...
    def superseded(self, req_id: int, seq: int) -> bool: ...
    def requests(self, req_id: int) -> tuple[RequestKind, list[int]] | None: ...
    def seq_of(self, client_id: str) -> int: ...
