"""The reference price in Python integers and fractions, written from docs/strategy.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor, isqrt

PPM = 1_000_000
PRICE_MAX = PPM << 40


@dataclass(frozen=True)
class Source:
    """One venue: what is configured, what was told."""

    mid: int | None
    spread: int
    depth: int
    recv_ns: int
    verified: bool
    age_ns_max: int = 1_000_000_000
    spread_max: int = 1 << 50
    trust: int = PPM
    scale: Fraction = Fraction(1)

    @property
    def price(self) -> int:
        return 0 if self.mid is None else floor(self.mid * self.scale)


@dataclass(frozen=True)
class Result:
    """What comes out; weights and verdicts by source."""

    price: int | None
    confidence: int
    weights: tuple[int, ...]
    verdicts: tuple[str, ...]

    @property
    def used(self) -> int:
        return 0 if self.price is None else self.verdicts.count("USED")


def judge(source: Source, now_ns: int) -> str:
    if not source.verified or not 0 < source.price <= PRICE_MAX:
        return "UNVERIFIED"
    if abs(now_ns - source.recv_ns) > source.age_ns_max:
        return "STALE"
    if not 0 <= floor(source.spread * source.scale) <= source.spread_max:
        return "WIDE"
    return "USED" if source.depth > 0 else "THIN"


def raw_weight(source: Source, now_ns: int) -> int:
    age = max(0, now_ns - source.recv_ns)
    faded = 1024 - int(age * (512 / source.age_ns_max))
    return source.trust * min(isqrt(source.depth), 1 << 27) * faded


def weighted_median(prices: Sequence[int], weights: Sequence[int]) -> int:
    """Prices ascending."""
    total = sum(weights)
    below = 0
    for index, (price, weight) in enumerate(zip(prices, weights, strict=True)):
        below += weight
        if 2 * below == total and index + 1 < len(prices):
            return price + (prices[index + 1] - price) // 2
        if 2 * below >= total:
            return price
    raise AssertionError("no weights")


def compute(
    sources: Sequence[Source],
    now_ns: int,
    *,
    outlier_floor_ppm: int = 3_000,
    clamp_ppm: int = 2_000,
    outlier_mads: int = 3,
    weight_cap_ppm: int = 600_000,
) -> Result:
    verdicts = [judge(source, now_ns) for source in sources]
    weights = [0] * len(sources)
    all_trust = sum(source.trust for source in sources)

    def nothing() -> Result:
        return Result(None, 0, tuple(0 for _ in sources), tuple(verdicts))

    order = sorted(
        (i for i, verdict in enumerate(verdicts) if verdict == "USED"),
        key=lambda i: sources[i].price,
    )
    if not order:
        return nothing()
    if len(order) == 1:
        weights[order[0]] = PPM
        trust = sources[order[0]].trust
        return Result(
            sources[order[0]].price, trust * PPM // all_trust, tuple(weights), tuple(verdicts)
        )

    raw = {i: raw_weight(sources[i], now_ns) for i in order}
    prices = {i: sources[i].price for i in order}
    centre = weighted_median([prices[i] for i in order], [raw[i] for i in order])
    floor_uticks = centre * outlier_floor_ppm // PPM
    if len(order) == 2:
        if prices[order[1]] - prices[order[0]] > floor_uticks:
            for i in order:
                verdicts[i] = "DISAGREES"
            return nothing()
        limit = floor_uticks
    else:
        deviations = sorted(abs(prices[i] - centre) for i in order)
        limit = max(outlier_mads * deviations[(len(order) - 1) // 2], floor_uticks)
    for i in order:
        if abs(prices[i] - centre) > limit:
            verdicts[i] = "OUTLIER"
    used = [i for i in order if verdicts[i] == "USED"]
    worst = max(abs(prices[i] - centre) for i in used)
    reach = centre * clamp_ppm // PPM
    clamped = {i: max(centre - reach, min(centre + reach, prices[i])) for i in used}

    if len(used) >= 3 and weight_cap_ppm < PPM:
        for i in used:
            rest = sum(raw[j] for j in used if j != i)
            raw[i] = min(raw[i], rest * weight_cap_ppm // (PPM - weight_cap_ppm))
    total = sum(raw[i] for i in used)
    for i in used:
        weights[i] = int(raw[i] * (PPM / total))
    price = floor(
        Fraction(sum(weights[i] * clamped[i] for i in used), sum(weights[i] for i in used))
    )
    share = sum(sources[i].trust for i in used) * PPM // all_trust
    confidence = share
    if worst:
        confidence = 0
        if worst < 2 * floor_uticks:
            confidence = share - share * worst // (2 * floor_uticks)
    return Result(price, confidence, tuple(weights), tuple(verdicts))
