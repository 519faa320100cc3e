"""Protobuf pushes written here, field by field, in the order the venue sends them."""

from __future__ import annotations

from collections.abc import Sequence

Level = tuple[str, str]


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | str | bytes) -> bytes:
    """Write one field; an empty one is left out, as this format does."""
    if not value:
        return b""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def push(number: int, body: bytes, channel: str, symbol: str = "BTCUSDT", ms: int = 1000) -> bytes:
    return field(1, channel) + field(3, symbol) + field(6, ms) + field(number, body)


def levels(number: int, rows: Sequence[Level]) -> bytes:
    return b"".join(field(number, field(1, price) + field(2, qty)) for price, qty in rows)


def depth(
    first: int, last: int, bids: Sequence[Level] = (), asks: Sequence[Level] = (),
    symbol: str = "BTCUSDT",
) -> bytes:  # fmt: skip
    name = "spot@public.aggre.depth.v3.api.pb@10ms"
    body = levels(1, asks) + levels(2, bids) + field(3, name)
    body += field(4, str(first)) + field(5, str(last)) + field(6, 990)
    return push(313, body, f"{name}@{symbol}", symbol)


def limit(
    version: int, bids: Sequence[Level], asks: Sequence[Level], symbol: str = "BTCUSDT"
) -> bytes:
    body = levels(1, asks) + levels(2, bids) + field(4, str(version))
    return push(303, body, f"spot@public.limit.depth.v3.api.pb@{symbol}@5", symbol)


def ticker(version: int, bid: Level | None, ask: Level | None, symbol: str = "BTCUSDT") -> bytes:
    body = b""
    for number, best in ((1, bid), (3, ask)):
        if best is not None:
            body += field(number, best[0]) + field(number + 1, best[1])
    name = f"spot@public.aggre.bookTicker.v3.api.pb@10ms@{symbol}"
    return push(315, body + field(5, str(version)), name, symbol)


def copy(
    version: int, bids: Sequence[Level], asks: Sequence[Level], symbol: str = "BTCUSDT"
) -> bytes:
    def rows(side: Sequence[Level]) -> str:
        return "[" + ",".join(f'["{price}","{qty}"]' for price, qty in side) + "]"

    return (
        f'{{"channel":"rest.depth","s":"{symbol}","result":{{"lastUpdateId":{version},'
        f'"bids":{rows(bids)},"asks":{rows(asks)},"timestamp":1}}}}'
    ).encode()
