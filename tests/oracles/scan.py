"""JSON tokens read with regular expressions, Decimal and datetime: what `scan` must give."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, localcontext

from openmm._fast.scan import Scan

NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
# What is left of a number that the input's end cuts short.
CUT = re.compile(rb"-?\Z|-?[0-9]+\.\Z|-?[0-9]+(?:\.[0-9]+)?[eE][+-]?\Z")
INT64_MAX = (1 << 63) - 1


def scan_decimal(data: bytes, decimals: int) -> tuple[Scan, int, int]:
    """Read a decimal at the start: (result, value * 10**decimals, bytes used)."""
    if CUT.match(data):
        return Scan.SCAN_END, 0, 0
    found = NUMBER.match(data)
    # A point or an exponent without digits makes the whole token bad.
    if found is None or data[found.end() : found.end() + 1] in (b"e", b"E"):
        if found is not None and _is_complete(found.group()):
            return _value(found, decimals)
        return Scan.SCAN_BAD, 0, 0
    if data[found.end() : found.end() + 1] == b"." and not _has_point(found.group()):
        return Scan.SCAN_BAD, 0, 0
    return _value(found, decimals)


def _is_complete(token: bytes) -> bool:
    return b"e" in token.lower()


def _has_point(token: bytes) -> bool:
    return b"." in token or b"e" in token.lower()


def _value(found: re.Match[bytes], decimals: int) -> tuple[Scan, int, int]:
    with localcontext() as context:
        context.prec = 5000
        context.Emax = 10**12
        context.Emin = -(10**12)
        value = Decimal(found.group().decode())
        if value == 0:
            return Scan.SCAN_OK, 0, found.end()
        sign, digits, exponent = value.as_tuple()
        assert isinstance(exponent, int)
        while digits[-1] == 0:
            digits, exponent = digits[:-1], exponent + 1
        while digits[0] == 0:
            digits = digits[1:]
        shift = exponent + decimals
        if shift < 0:
            return Scan.SCAN_PRECISION, 0, 0
        if len(digits) + shift > 19:
            return Scan.SCAN_RANGE, 0, 0
        points = int("".join(map(str, digits))) * 10**shift
        if points > INT64_MAX:
            return Scan.SCAN_RANGE, 0, 0
        return Scan.SCAN_OK, -points if sign else points, found.end()


def rfc3339_ns(text: str) -> int:
    """Convert a time with 0 to 9 decimals and an optional zone to nanoseconds since 1970 UTC."""
    found = re.fullmatch(r"(.{19})(?:\.(\d{1,9}))?(Z|z|[+-]\d\d:\d\d)?", text)
    assert found is not None
    whole, fraction, zone = found.groups()
    moment = datetime.fromisoformat(whole + ("+00:00" if zone in (None, "Z", "z") else zone))
    span = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (span.days * 86_400 + span.seconds) * 10**9 + int((fraction or "").ljust(9, "0"))
