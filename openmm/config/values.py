"""Read the units of a configuration: text in, exact integers and decimals out.

Every parser takes whatever TOML gave and raises `ValueError` with what is allowed. Binary floats
are refused everywhere: a limit of 0.1 that is really 0.1000000000000000055 is not the one written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlsplit

from openmm._fast.units import UTICKS_PER_TICK

_NUMBER = r"[+-]?\d{1,15}(?:\.\d{1,15})?"
_RATIO = re.compile(rf"({_NUMBER})\s*(%|bps|bp|ppm)", re.ASCII)
_DURATION = re.compile(rf"({_NUMBER})\s*(ns|us|ms|s|min|m|h|d)", re.ASCII)
_DECIMAL = re.compile(_NUMBER, re.ASCII)
_TICKS = re.compile(r"(\d{1,9})\s*ticks?", re.ASCII)
_SIZE = re.compile(r"(\d{1,9})\s*(KiB|MiB|GiB)", re.ASCII)

_PPM_PER = {
    "%": Decimal(10_000),
    "bps": Decimal(100),
    "bp": Decimal(100),
    "ppm": Decimal(1),
}
_NS_PER = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
_BYTES_PER = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

PPM = 1_000_000
DAY_S = 86_400
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance in price: whole ticks, or a share of the price in ppm. One of them is None."""

    ticks: int | None = None
    ppm: int | None = None

    def to_ticks(self, price_ticks: int) -> int:
        """Return the distance at a price, in ticks, rounded down."""
        if self.ticks is not None:
            return self.ticks
        assert self.ppm is not None
        return price_ticks * self.ppm // PPM

    def to_uticks(self, price_uticks: int) -> int:
        """Return the distance at a price in uticks, in uticks, rounded down."""
        if self.ticks is not None:
            return self.ticks * UTICKS_PER_TICK
        assert self.ppm is not None
        return price_uticks * self.ppm // PPM

    def __str__(self) -> str:
        """Format as the file would have it."""
        return f"{self.ticks} ticks" if self.ticks is not None else format_ppm(self.ppm or 0)


def parse_ppm(value: object) -> int:
    """Read "0.6%", "25bps" or "300ppm" as parts per million.

    Raises:
        ValueError: no unit, no text, or finer than one ppm.
    """
    if isinstance(value, str) and (found := _RATIO.fullmatch(value.strip())):
        ppm = Decimal(found[1]) * _PPM_PER[found[2]]
        if ppm != ppm.to_integral_value():
            raise ValueError('no finer than "0.0001%" (1 ppm)')
        return int(ppm)
    raise ValueError(f'a share with its unit as text, such as "0.6%" or "25bps"{_hint(value)}')


def _hint(value: object) -> str:
    """Say what a bare number would be with a unit."""
    if isinstance(value, bool):
        return ""
    if isinstance(value, int | float) or (isinstance(value, str) and _DECIMAL.fullmatch(value)):
        text = value if isinstance(value, str) else repr(value)
        if not _DECIMAL.fullmatch(text):
            return ""
        percent = format(Decimal(text) * 100, "f")
        percent = percent.rstrip("0").rstrip(".") if "." in percent else percent
        return f'; if a fraction was meant write "{percent}%", if percent "{text}%"'
    return ""


def parse_duration_ns(value: object) -> int:
    """Read "30s", "500ms", "1.5h" as nanoseconds. Units: ns us ms s m (or min) h d.

    Raises:
        ValueError: no unit, no text, or finer than a nanosecond.
    """
    if isinstance(value, str) and (found := _DURATION.fullmatch(value.strip())):
        span_ns = Decimal(found[1]) * _NS_PER[found[2]]
        if span_ns != span_ns.to_integral_value():
            raise ValueError('no finer than "1ns"')
        return int(span_ns)
    raise ValueError('a duration with its unit as text, such as "30s", "500ms" or "2m"')


def parse_decimal(value: object) -> Decimal:
    """Read a plain decimal text or a whole number exactly.

    Raises:
        ValueError: a TOML float, an exponent, or no number.
    """
    if isinstance(value, Decimal) and value.is_finite():
        return value
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        return Decimal(value.strip())
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15:
        return Decimal(value)
    if isinstance(value, float):
        raise ValueError(f'an exact decimal as text: write "{value!r}" in quotes (floats round)')
    raise ValueError('an exact decimal as text, such as "0.01"')


def parse_time_s(value: object) -> int:
    """Read a time of day, "21:00" or "21:00:30", as seconds after midnight; "24:00" is its end.

    Raises:
        ValueError: no such time.
    """
    if isinstance(value, str) and (found := _TIME.fullmatch(value.strip())):
        hours, minutes, seconds = (int(one or 0) for one in found.groups())
        told = (hours * 60 + minutes) * 60 + seconds
        if minutes < 60 and seconds < 60 and told <= DAY_S:
            return told
    raise ValueError('a time of day (UTC) as text, such as "21:00"')


def format_time(told_s: int) -> str:
    """Write seconds after midnight as the file would have them."""
    hours, rest = divmod(told_s, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours:02d}:{minutes:02d}" + (f":{seconds:02d}" if seconds else "")


def parse_distance(value: object) -> Distance:
    """Read "2 ticks", "0.5bps" or "0.01%".

    Raises:
        ValueError: anything else, or a negative one.
    """
    if isinstance(value, str) and (found := _TICKS.fullmatch(value.strip())):
        return Distance(ticks=int(found[1]))
    if isinstance(value, str) and _RATIO.fullmatch(value.strip()):
        ppm = parse_ppm(value)
        if ppm >= 0:
            return Distance(ppm=ppm)
    raise ValueError('a distance of zero or more as text, such as "2 ticks", "0.5bps" or "0.01%"')


def parse_bytes(value: object) -> int:
    """Read "64MiB" as bytes. Units: KiB MiB GiB.

    Raises:
        ValueError: anything else.
    """
    if isinstance(value, str) and (found := _SIZE.fullmatch(value.strip())):
        return int(found[1]) * _BYTES_PER[found[2]]
    raise ValueError('a size with its unit as text, such as "64MiB"')


def parse_url(value: object, schemes: tuple[str, ...]) -> str:
    """Check an address: one of `schemes`, a host, no user part; without TLS only to loopback.

    Raises:
        ValueError: anything else.
    """
    allowed = f"an address such as {schemes[-1]}://host/path"
    if not isinstance(value, str):
        raise ValueError(allowed)
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{allowed} ({error})") from None
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        raise ValueError(allowed)
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{allowed}, without a user or password in it")
    if parts.scheme in ("ws", "http") and not is_loopback(value):
        raise ValueError(f"{parts.scheme}s:// (without TLS only loopback addresses are reached)")
    return value


def is_loopback(url: str) -> bool:
    """Tell whether an address stays on this machine."""
    return urlsplit(url).hostname in LOOPBACK_HOSTS


def format_ppm(ppm: int) -> str:
    """Format parts per million as percent: 6000 -> "0.6%"."""
    text = format(Decimal(ppm).scaleb(-4), "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"


def format_bytes(count: int) -> str:
    """Format a size with the largest unit that stays whole: 1_572_864 -> "1536KiB"."""
    for unit in ("GiB", "MiB", "KiB"):
        if count and count % _BYTES_PER[unit] == 0:
            return f"{count // _BYTES_PER[unit]}{unit}"
    return f"{count} bytes"


def format_duration(span_ns: int) -> str:
    """Format nanoseconds with the largest unit that stays whole: 30_000_000_000 -> "30s"."""
    for unit in ("d", "h", "m", "s", "ms", "us"):
        if span_ns and span_ns % _NS_PER[unit] == 0:
            return f"{span_ns // _NS_PER[unit]}{unit}"
    return f"{span_ns}ns"
