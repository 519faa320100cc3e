"""The reference price in Python integers and fractions, written from docs/strategy.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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
    spread_ppm_max: int = 500_000
    trust: int = PPM
    scale: Fraction = Fraction(1)
    depth_scale: Fraction = Fraction(1)
    rate: int = -1
    rate_unit: int = 1
    rate_inverse: bool = False
    is_rate: bool = False
    quoted: bool = False

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


@dataclass
class State:
    """What outlives a decision of one source."""

    admitted: bool = False
    good: int = 0
    good_recv_ns: int = 0
    basis: int = 0
    seen_ns: int = 0
    stamp_ns: int = 0
    anchor: int | None = None


@dataclass
class Memory:
    """What outlives a decision, and how it is handled."""

    basis_ns: int = 600 * 10**9
    basis_cap_ppm: int = 0
    readmit_count: int = 1
    jump_ppm: int = 0
    jump_hold_ns: int = 10 * 10**9
    states: list[State] = field(default_factory=list)
    accepted: int | None = None
    accepted_ns: int = 0

    def basis(self, index: int, price: int) -> int:
        cap = price * self.basis_cap_ppm // PPM
        return max(-cap, min(cap, self.states[index].basis))

    def learn(self, index: int, price: int, fair: int, now_ns: int) -> None:
        state, step = self.states[index], 10**8
        if not self.basis_cap_ppm:
            return
        gap = price - fair
        if not state.seen_ns:
            state.basis, state.seen_ns, state.stamp_ns = gap, step, now_ns
            return
        if now_ns - state.stamp_ns < step:
            return
        span = min(now_ns - state.stamp_ns, 10 * step)
        state.stamp_ns = now_ns
        state.seen_ns = min(state.seen_ns + span, self.basis_ns)
        state.basis += (gap - state.basis) * min(span, state.seen_ns) // state.seen_ns


def judge(source: Source, now_ns: int) -> str:
    if not source.verified or not 0 < source.price <= PRICE_MAX:
        return "UNVERIFIED"
    if abs(now_ns - source.recv_ns) > source.age_ns_max:
        return "STALE"
    limit = source.price * source.spread_ppm_max // 1_000_000
    if not 0 <= floor(source.spread * source.scale) <= limit:
        return "WIDE"
    return "USED" if floor(source.depth * source.depth_scale) > 0 else "THIN"


def raw_weight(source: Source, now_ns: int) -> int:
    age = max(0, now_ns - source.recv_ns)
    faded = 1024 - int(age * (512 / source.age_ns_max))
    return source.trust * min(isqrt(floor(source.depth * source.depth_scale)), 1 << 27) * faded


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
    memory: Memory | None = None,
) -> Result:
    """Follow docs/strategy.md, "Reference", step by step; `memory` is moved on."""
    memory = memory or Memory()
    while len(memory.states) < len(sources):
        memory.states.append(State())
    blended = [i for i, source in enumerate(sources) if not source.is_rate]
    verdicts = [judge(source, now_ns) for source in sources]
    weights = [0] * len(sources)
    prices: dict[int, int] = {}
    for i, source in enumerate(sources):
        if verdicts[i] != "USED":
            continue
        price = source.price
        if source.rate >= 0:
            rate = sources[source.rate]
            if judge(rate, now_ns) == "USED":
                num, den = rate.price, source.rate_unit
                if source.rate_inverse:
                    num, den = den, num
                price = price * num // den
            if judge(rate, now_ns) != "USED" or not 0 < price <= PRICE_MAX:
                verdicts[i] = "NO_RATE"
                continue
        prices[i] = price
    fair = {i: price - memory.basis(i, price) for i, price in prices.items()}
    for i, state in enumerate(memory.states):
        if verdicts[i] != "USED":
            state.admitted, state.good = False, 0
        elif i not in blended:
            verdicts[i] = "RATE"
        elif not state.admitted:
            if memory.readmit_count > 1 and len(blended) > 1:
                verdicts[i] = "PROBATION"
            else:
                state.admitted = True

    def told(price: int | None, confidence: int) -> Result:
        if price is None:
            return Result(None, 0, tuple(0 for _ in sources), tuple(verdicts))
        return Result(price, confidence, tuple(weights), tuple(verdicts))

    order = sorted((i for i in blended if verdicts[i] == "USED"), key=lambda i: fair[i])
    if len(blended) == 1:
        if not order:
            return told(None, 0)
        weights[order[0]] = PPM
        return told(prices[order[0]], PPM)
    blend, confidence = None, 0
    if len(order) == 1:
        weights[order[0]] = PPM
        blend = fair[order[0]]
        all_trust = sum(sources[i].trust for i in blended)
        confidence = sources[order[0]].trust * PPM // all_trust
    elif order:
        blend, confidence = average(
            sources, blended, order, fair, weights, verdicts, now_ns,
            outlier_floor_ppm, clamp_ppm, outlier_mads, weight_cap_ppm,
        )  # fmt: skip
    used = [i for i in blended if verdicts[i] == "USED"]
    if blend is not None and not confirmed(memory, blend, used, fair, now_ns):
        for i in used:
            verdicts[i] = "UNCONFIRMED"
        return told(None, 0)
    remember(memory, sources, blend, prices, fair, verdicts, now_ns, outlier_floor_ppm)
    if blend is None:
        return told(None, 0)
    price = blend
    for i in blended:
        if sources[i].quoted:
            price += memory.basis(i, blend)
    return told(price, confidence)


def confirmed(
    memory: Memory, blend: int, used: Sequence[int], fair: dict[int, int], now_ns: int
) -> bool:
    """Whether a jump was made by two sources, or has stood long enough."""
    if not memory.jump_ppm or memory.accepted is None:
        return True
    if now_ns - memory.accepted_ns > memory.jump_hold_ns:
        return True
    most = memory.accepted * memory.jump_ppm // PPM
    moved = blend - memory.accepted
    if abs(moved) <= most:
        return True
    sign = 1 if moved > 0 else -1
    anchors = {i: memory.states[i].anchor for i in used}
    made = [i for i, at in anchors.items() if at is not None and sign * (fair[i] - at) > most // 2]
    return len(made) >= 2


def remember(
    memory: Memory, sources: Sequence[Source], blend: int | None, prices: dict[int, int],
    fair: dict[int, int], verdicts: Sequence[str], now_ns: int, outlier_floor_ppm: int,
) -> None:  # fmt: skip
    """Move admissions, bases and anchors on."""
    used_count = verdicts.count("USED")
    if blend is not None:
        memory.accepted, memory.accepted_ns = blend, now_ns
    for i, state in enumerate(memory.states):
        verdict = verdicts[i]
        if blend is not None:
            state.anchor = fair[i] if verdict == "USED" else None
            cold = state.seen_ns < memory.basis_ns
            if (verdict == "USED" and used_count > 1) or (
                verdict in ("OUTLIER", "PROBATION") and cold
            ):
                memory.learn(i, prices[i], blend, now_ns)
        if verdict == "OUTLIER":
            state.admitted, state.good = False, 0
        elif verdict == "PROBATION" and sources[i].recv_ns != state.good_recv_ns:
            state.good_recv_ns = sources[i].recv_ns
            if blend is None or abs(fair[i] - blend) <= blend * outlier_floor_ppm // PPM:
                state.good += 1
                state.admitted = state.good >= memory.readmit_count
            else:
                state.good = 0


def average(
    sources: Sequence[Source], blended: Sequence[int], order: Sequence[int],
    prices: dict[int, int], weights: list[int], verdicts: list[str], now_ns: int,
    outlier_floor_ppm: int, clamp_ppm: int, outlier_mads: int, weight_cap_ppm: int,
) -> tuple[int | None, int]:  # fmt: skip
    """Blend two or more sources; sets weights and verdicts. Returns price and confidence."""
    all_trust = sum(sources[i].trust for i in blended)
    raw = {i: raw_weight(sources[i], now_ns) for i in order}
    bounded = dict(raw)
    if len(order) >= 3:
        heaviest = next(i for i in order if raw[i] == max(raw.values()))
        rest = sum(raw.values()) - raw[heaviest]
        bounded[heaviest] = min(raw[heaviest], rest * 49 // 51)
    centre = weighted_median([prices[i] for i in order], [bounded[i] for i in order])
    floor_uticks = centre * outlier_floor_ppm // PPM
    if len(order) == 2:
        if prices[order[1]] - prices[order[0]] > floor_uticks:
            for i in order:
                verdicts[i] = "DISAGREES"
            return None, 0
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
        weights[i] = int(float(raw[i]) * (PPM / float(total)))
    price = floor(
        Fraction(sum(weights[i] * clamped[i] for i in used), sum(weights[i] for i in used))
    )
    share = sum(sources[i].trust for i in used) * PPM // all_trust
    confidence = share
    if worst:
        confidence = 0
        if worst < 2 * floor_uticks:
            confidence = share - share * worst // (2 * floor_uticks)
    return price, confidence
