"""What a simulated venue can be set to, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from pathlib import Path

from openmm.errors import ConfigError
from openmm.sim.dialects import Dialect, dialect
from openmm.sim.faults import FaultScript

DEMO_KEY = "openmm-simulator-demo-key"
# Sixty-four bytes of nothing in particular: it opens simulated accounts on loopback only.
DEMO_SECRET = (
    "b3Blbm1tIHNpbXVsYXRvciBkZW1vIHNlY3JldCwgbG9vcGJhY2sgb25seSwgd29ydGggbm90aGluZyBhdCBhbGwhISE="
)
SPEED_MAX = 1000
LATENCY_NS_MAX = 10_000_000_000


@dataclass(frozen=True, slots=True)
class SimOptions:
    """Options of one simulated venue.

    `port` is the public WebSocket's; the private one and REST follow it (0: any free ports).
    Latency is one way: `latency_ns` plus an exponential part of mean `jitter_ns`, seeded.
    `events_first` and `post_only_accepted` turn round what the venue's documents leave open.
    `instrument` is the venue's first where nothing is said. `idle_pairs` are listed beside it: no
    market moves there, orders rest alone.
    """

    venue: str = "kraken"
    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    instrument: str = ""
    start_price: Decimal | None = None
    replay: Path | None = None
    flow: int | None = None
    speed: Decimal = Decimal(1)
    at_end: str = "hold"  # or "loop"
    restamp: bool = True
    tier: str = "pro"
    fee_tier: int = 0
    maker_fee_ppm: int | None = None
    taker_fee_ppm: int | None = None
    balances: Mapping[str, Decimal] = field(default_factory=dict)
    latency_ns: int = 0
    jitter_ns: int = 0
    api_key: str = DEMO_KEY
    api_secret: str = DEMO_SECRET
    market: Mapping[str, float] = field(default_factory=dict)
    events_first: bool = False
    post_only_accepted: bool = False
    faults: FaultScript | None = None
    idle_pairs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        speaks = dialect(self.venue)
        if not self.instrument and self.replay is None:
            object.__setattr__(self, "instrument", next(iter(speaks.pairs)))
        self._check("port", self.port, 0 <= self.port <= 65533, "0 to 65533")
        self._check("seed", self.seed, self.seed >= 0, "0 or more")
        rows, tiers = len(speaks.fees_ppm), sorted(speaks.tiers)
        self._check("fee_tier", self.fee_tier, 0 <= self.fee_tier < rows, f"0 to {rows - 1}")
        self._check("tier", self.tier, self.tier in tiers, f"one of {', '.join(tiers)}")
        self._check("at_end", self.at_end, self.at_end in ("hold", "loop"), "hold or loop")
        self._check("speed", self.speed, 0 < self.speed <= SPEED_MAX, f"above 0 to {SPEED_MAX}")
        for name in ("maker_fee_ppm", "taker_fee_ppm"):
            value = getattr(self, name)
            self._check(name, value, value is None or abs(value) <= 100_000, "at most 10%")
        for name in ("latency_ns", "jitter_ns"):
            value = getattr(self, name)
            self._check(name, value, 0 <= value <= LATENCY_NS_MAX, "0 to 10 s")
        if self.replay is None:
            pairs = sorted(speaks.pairs)
            self._check(
                "instrument",
                self.instrument,
                self.instrument in pairs,
                f"one of {', '.join(pairs)}",
            )
            idle = [name for name in self.idle_pairs if name not in speaks.pairs]
            self._check("idle_pairs", idle, not idle, f"some of {', '.join(pairs)}")
            self._check("flow", self.flow, self.flow is None, "only together with replay")
            self._check("speed", self.speed, self.speed == 1, "1 without replay")
        elif self.venue != "kraken" and speaks.recording is None:
            allowed = "a synthetic market: recordings of this venue are not served"
            raise ConfigError("sim.replay", str(self.replay), allowed)
        elif speaks.recording is not None and not self.restamp:
            allowed = "true: messages of this venue are written anew, at the time they are sent"
            raise ConfigError("sim.restamp", self.restamp, allowed)
        elif not self.replay.is_file():
            raise ConfigError("sim.replay", str(self.replay), "a capture file")
        try:
            loopback = ip_address(self.host).is_loopback
        except ValueError as error:
            raise ConfigError("sim.host", self.host, "an address") from error
        demo = self.api_secret == DEMO_SECRET
        self._check("host", self.host, loopback or not demo, "loopback with the demo key")

    @staticmethod
    def _check(path: str, value: object, good: bool, allowed: str) -> None:
        if not good:
            raise ConfigError(f"sim.{path}", value, allowed)

    @property
    def dialect(self) -> Dialect:
        """Return what the venue speaks."""
        return dialect(self.venue)

    @property
    def fees_ppm(self) -> tuple[int, int]:
        """Return maker and taker fee: those given, else the tier's."""
        maker_ppm, taker_ppm = self.dialect.fees_ppm[self.fee_tier]
        if self.maker_fee_ppm is not None:
            maker_ppm = self.maker_fee_ppm
        if self.taker_fee_ppm is not None:
            taker_ppm = self.taker_fee_ppm
        return maker_ppm, taker_ppm


def parse_fee(path: str, text: str) -> int:
    """Read a fee such as `0.25%` or `25bps` to ppm; bare numbers are refused.

    Raises:
        ConfigError: if it is not a fee or finer than a ppm.
    """
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*(%|bps|ppm)", text.strip())
    if match is None:
        raise ConfigError(path, text, "a fee with its unit: 0.25%, 25bps or 2500ppm")
    fee_ppm = Decimal(match[1]) * {"%": 10_000, "bps": 100, "ppm": 1}[match[2]]
    if fee_ppm != fee_ppm.to_integral_value():
        raise ConfigError(path, text, "a whole number of ppm")
    return int(fee_ppm)


def parse_balances(texts: Sequence[str]) -> dict[str, Decimal]:
    """Read balances such as `BTC=1`.

    Raises:
        ConfigError: if one is not of that form.
    """
    found: dict[str, Decimal] = {}
    for text in texts:
        asset, mark, amount = text.partition("=")
        try:
            value = Decimal(amount)
        except InvalidOperation:
            value = Decimal(-1)
        if not mark or not asset or not value.is_finite() or value < 0:
            raise ConfigError("sim.balances", text, "ASSET=AMOUNT")
        found[asset] = value
    return found


def parse_latency(text: str) -> tuple[int, int]:
    """Read a latency such as `2ms` or `2ms+500us` (constant + mean jitter) to nanoseconds.

    Raises:
        ConfigError: if it is not one.
    """
    units = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
    spans = []
    for part in text.split("+"):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ns|us|ms|s)\s*", part)
        if match is None:
            raise ConfigError(
                "sim.latency_ns", text, "SPAN or SPAN+JITTER with units, such as 2ms+1ms"
            )
        spans.append(int(Decimal(match[1]) * units[match[2]]))
    if len(spans) > 2:
        raise ConfigError("sim.latency_ns", text, "at most one + sign")
    return spans[0], spans[1] if len(spans) == 2 else 0
