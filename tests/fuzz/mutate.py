"""Make inputs: samples spoiled, structures rebuilt with odd parts, plain noise. By seed only."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

TOKENS: Final = (
    b"{", b"}", b"[", b"]", b'"', b":", b",", b" ", b"\n", b"\\", b'\\"', b"\\u0000", b"\\ud800",
    b"null", b"true", b"false", b"NaN", b"-Infinity", b"\x00", b"\xff", b"\xef\xbb\xbf", b"//",
    b'"channel":"book"', b'"type":"snapshot"', b'"type":"update"', b'"checksum":', b'"data":[{',
    b'"method":"add_order"', b'"success":true', b'"sequence":1', b'"symbol":"BTC/USD"',
    b'"bids":[]', b'"asks":[', b'"price":', b'"qty":', b'"error":[]', b'"result":{',
    b'"timestamp":"2026-08-01T02:53:53.398143Z"', b"[" * 70, b"{" * 70, b'"' + b"x" * 300 + b'"',
)  # fmt: skip
NUMBERS: Final = (
    b"0", b"-0", b"-1", b"1", b"0.0", b"0.00000000", b"1e0", b"1E-7", b"1e400", b"-1e400",
    b"1e999999999", b"9" * 19, b"9" * 30, b"9" * 5000, b"0." + b"0" * 40 + b"1",
    b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808",
    b"18446744073709551615", b"18446744073709551616", b"4294967295", b"4294967296", b"01", b"1.",
    b".5", b"+1", b"0x10", b"1_000", b'"1.5"', b"null", b"[]", b"{}", b'""',
)  # fmt: skip
WORDS: Final = (b"", b"x", b"unknown", b"\xc3\x28", b"a" * 200, b"BTC/USD", b"\\u00e9", b"0", b"-")
_NUMBER: Final = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_STRING: Final = re.compile(rb'"[^"\\]{0,200}"')


def noise(random: Random, longest: int) -> bytes:
    """Return bytes without a plan, or tokens without a grammar."""
    if random.random() < 0.5:
        return random.randbytes(random.randrange(longest + 1))
    many = random.randrange(1, 14)
    return b"".join(random.choice(random.choice((TOKENS, NUMBERS))) for _ in range(many))


def _flip(random: Random, data: bytearray, _other: bytes) -> None:
    data[random.randrange(len(data))] = random.randrange(256)


def _bit(random: Random, data: bytearray, _other: bytes) -> None:
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _cut(random: Random, data: bytearray, _other: bytes) -> None:
    at = random.randrange(len(data))
    del data[at : at + random.choice((1, 2, 5, 20, 200))]


def _end(random: Random, data: bytearray, _other: bytes) -> None:
    del data[random.randrange(len(data)) :]


def _insert(random: Random, data: bytearray, _other: bytes) -> None:
    at = random.randrange(len(data) + 1)
    data[at:at] = random.choice(TOKENS)


def _repeat(random: Random, data: bytearray, _other: bytes) -> None:
    at = random.randrange(len(data))
    part = data[at : at + random.choice((1, 8, 40, 300))]
    data[at:at] = part * random.choice((1, 2, 20))


def _splice(random: Random, data: bytearray, other: bytes) -> None:
    if other:
        at, start = random.randrange(len(data)), random.randrange(len(other))
        data[at : at + random.choice((0, 10, 100))] = other[
            start : start + random.choice((10, 100))
        ]


def _replaced(pattern: re.Pattern[bytes], by: Sequence[bytes]) -> Callable[..., None]:
    def replace(random: Random, data: bytearray, _other: bytes) -> None:
        start = random.randrange(len(data))
        found = pattern.search(data, start) or pattern.search(data)
        if found is not None:
            data[found.start() : found.end()] = random.choice(by)

    return replace


# The grammar-aware ones stand twice: they reach deeper.
WAYS: Final[tuple[Callable[[Random, bytearray, bytes], None], ...]] = (
    _flip, _bit, _cut, _end, _insert, _repeat, _splice,
    *2 * (
        _replaced(_NUMBER, NUMBERS),
        _replaced(_STRING, [b'"' + word + b'"' for word in WORDS] + list(NUMBERS)),
        _replaced(re.compile(rb'"[a-z_]+":'), (b"", b'"":', b'"x":', b'"symbol":', b'"data":')),
    ),
)  # fmt: skip


def make(random: Random, samples: Sequence[bytes], longest: int = 512) -> bytes:
    """Return one input: of ten, one noise, one a sample as it is, eight spoiled samples."""
    dice = random.random()
    if not samples or dice < 0.1:
        return noise(random, longest)
    sample = random.choice(samples)
    if dice < 0.2:
        return sample
    data = bytearray(sample)
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        if not data:
            break
        random.choice(WAYS)(random, data, random.choice(samples))
    return bytes(data)
