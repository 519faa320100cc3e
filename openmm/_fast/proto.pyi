from enum import IntEnum

class WireType(IntEnum):
    WIRE_VARINT = 0
    WIRE_FIXED64 = 1
    WIRE_BYTES = 2
    WIRE_FIXED32 = 5

def read_fields(data: bytes) -> list[tuple[int, int | bytes]]: ...
