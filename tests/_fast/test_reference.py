"""The reference price: every step of its rule, and equality with the oracle."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.reference import Reference, SourceVerdict
from tests.oracles import reference as oracle
from tests.oracles.reference import Source

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND
TICK = 1_000_000
PPM = 1_000_000
P = 700_000 * TICK

GOOD = Source(mid=P, spread=TICK, depth=10_000, recv_ns=NOW, verified=True)


def tell(reference: Reference, sources: list[Source]) -> None:
    for index, source in enumerate(sources):
        reference.set(
            index, source.mid, source.spread, source.depth, source.recv_ns, source.verified
        )


def built(sources: list[Source], **settings: int) -> Reference:
    reference = Reference(**settings)
    for source in sources:
        reference.add_source(
            age_ns_max=source.age_ns_max,
            spread_ppm_max=source.spread_ppm_max,
            trust_ppm=source.trust,
            scale_num=source.scale.numerator,
            scale_den=source.scale.denominator,
            depth_num=source.depth_scale.numerator,
            depth_den=source.depth_scale.denominator,
            is_rate=source.is_rate,
            quoted=source.quoted,
        )
    for index, source in enumerate(sources):
        if source.rate >= 0:
            reference.convert(index, source.rate, source.rate_unit, inverse=source.rate_inverse)
    tell(reference, sources)
    return reference


def compute(sources: list[Source], **settings: int) -> oracle.Result:
    """Run the kernel and put what it says into the oracle's form."""
    return told_of(built(sources, **settings), len(sources), NOW)


def told_of(reference: Reference, count: int, now_ns: int) -> oracle.Result:
    price = reference.compute(now_ns)
    assert price == reference.price_uticks
    told = [reference.source(index) for index in range(count)]
    result = oracle.Result(
        price,
        reference.confidence_ppm,
        tuple(weight for _, weight, _ in told),
        tuple(SourceVerdict(verdict).name.removeprefix("SOURCE_") for _, _, verdict in told),
    )
    assert reference.used_count == result.used
    return result


def near(bps: float, **changes: Any) -> Source:
    return replace(GOOD, mid=P + int(P * bps / 10_000), **changes)


# ------------------------------------------------------------------------ one source


def test_single_source_is_its_own_reference() -> None:
    result = compute([GOOD])
    assert result == oracle.Result(P, PPM, (PPM,), ("USED",))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"verified": False}, "UNVERIFIED"),
        ({"mid": None}, "UNVERIFIED"),
        ({"mid": 0}, "UNVERIFIED"),
        ({"mid": (TICK << 40) + 1}, "UNVERIFIED"),
        ({"recv_ns": NOW - SECOND - 1}, "STALE"),
        ({"recv_ns": NOW + SECOND + 1}, "STALE"),
        ({"spread_ppm_max": 1}, "WIDE"),
        ({"spread": -1}, "WIDE"),
        ({"depth": 0}, "THIN"),
    ],
    ids=str,
)
def test_source_that_is_not_eligible_gives_no_reference(
    changes: dict[str, Any], verdict: str
) -> None:
    result = compute([replace(GOOD, **changes)])
    assert result == oracle.Result(None, 0, (0,), (verdict,))


@pytest.mark.parametrize(
    "changes",
    [{"recv_ns": NOW - SECOND}, {"spread_ppm_max": 2}, {"recv_ns": NOW + SECOND}, {"depth": 1}],
    ids=str,
)
def test_source_at_its_limit_is_eligible(changes: dict[str, Any]) -> None:
    assert compute([replace(GOOD, **changes)]).price == P


def test_nothing_told_yet_gives_no_reference() -> None:
    reference = Reference()
    assert reference.compute(NOW) is None
    reference.add_source(age_ns_max=SECOND, spread_ppm_max=2)
    assert reference.compute(0) is None
    assert reference.source(0) == (None, 0, SourceVerdict.SOURCE_UNVERIFIED)


def test_reference_lost_is_forgotten() -> None:
    reference = built([GOOD])
    assert reference.compute(NOW) == P
    assert reference.compute(NOW + 2 * SECOND) is None
    assert reference.price_uticks is None
    assert reference.confidence_ppm == 0


def test_prices_are_scaled_to_the_quoted_ticks() -> None:
    fine = replace(GOOD, mid=10 * P, spread=10 * TICK, spread_ppm_max=2, scale=Fraction(1, 10))
    assert compute([fine]).price == P


def test_spread_is_judged_in_the_currency_of_the_book() -> None:
    # A book in yen at 150 to the dollar: its spread is 150 times ours, and as wide as ours.
    yen = replace(GOOD, mid=150 * P, spread=150 * TICK, spread_ppm_max=2)
    assert compute([yen]).verdicts == ("USED",)
    assert compute([replace(yen, spread=300 * TICK)]).verdicts == ("WIDE",)


# ------------------------------------------------------------------------ two sources


def test_two_sources_are_averaged() -> None:
    result = compute([near(0), near(10)], clamp_ppm=10_000)
    assert result.weights == (500_000, 500_000)
    assert result.price == P + P // 2_000


def test_two_that_disagree_give_no_reference() -> None:
    result = compute([near(0), near(31)])
    assert result == oracle.Result(None, 0, (0, 0), ("DISAGREES", "DISAGREES"))


def test_other_of_two_stands_alone_when_one_is_stale() -> None:
    result = compute([near(0), near(10, recv_ns=NOW - 2 * SECOND)])
    assert result.price == P
    assert result.verdicts == ("USED", "STALE")
    assert result.confidence == PPM // 2


# ------------------------------------------------------------------------ three and more


def test_outlier_is_dropped() -> None:
    result = compute([near(0), near(1), near(100)])
    assert result.verdicts == ("USED", "USED", "OUTLIER")
    assert result.weights[2] == 0
    assert result.price is not None
    assert P <= result.price <= P + P // 10_000


def test_source_within_the_floor_is_no_outlier() -> None:
    assert compute([near(0), near(0), near(29)]).verdicts == ("USED", "USED", "USED")


def test_price_beyond_the_clamp_pulls_no_further() -> None:
    at = compute([near(0), near(0), near(20)])
    beyond = compute([near(0), near(0), near(28)])
    assert at.price == beyond.price
    assert beyond.confidence < at.confidence


def test_no_source_outweighs_the_cap() -> None:
    result = compute([replace(GOOD, depth=10**12), near(1), near(2)])
    assert result.weights[0] == 600_000


def test_deeper_source_weighs_by_the_root() -> None:
    result = compute([replace(GOOD, depth=40_000), GOOD, GOOD])
    assert result.weights == (500_000, 250_000, 250_000)


def test_old_source_weighs_less() -> None:
    result = compute([replace(GOOD, recv_ns=NOW - SECOND), GOOD])
    assert result.weights == (333_333, 666_666)


def test_confidence_falls_with_dispersion() -> None:
    together = compute([near(0), near(0), near(0)])
    apart = compute([near(0), near(0), near(15)])
    assert together.confidence == PPM
    assert apart.confidence == PPM * 3 // 4
    # Far apart, but none beyond three MADs: a price, and no confidence in it.
    torn = compute([near(0), near(-60), near(60)])
    assert torn.price is not None
    assert torn.confidence == 0


def test_heaviest_of_three_is_not_the_centre_by_its_weight_alone() -> None:
    # It lies by 29 bps; the other two agree: the blend is held by the clamp around them.
    result = compute([near(29, depth=10**12), near(0), near(0)], clamp_ppm=100)
    assert result.price is not None
    assert result.price - P <= P // 10_000


# ------------------------------------------------------------------------ currency


USDT = Source(mid=9_990 * TICK, spread=TICK, depth=10_000, recv_ns=NOW, verified=True, is_rate=True)


def test_price_in_another_currency_is_converted() -> None:
    tether = replace(GOOD, mid=P, rate=0, rate_unit=10_000 * TICK)
    result = compute([USDT, tether])
    assert result.price == P * 999 // 1000
    assert result.verdicts == ("RATE", "USED")
    assert result.weights == (0, PPM)


def test_price_is_converted_by_a_rate_the_other_way_round_too() -> None:
    dollars = replace(GOOD, mid=P, rate=0, rate_unit=10_000 * TICK, rate_inverse=True)
    result = compute([USDT, dollars])
    assert result.price == P * 1000 // 999
    assert result.verdicts == ("RATE", "USED")


def test_price_without_its_rate_is_out() -> None:
    tether = replace(GOOD, rate=0, rate_unit=10_000 * TICK)
    lost = replace(USDT, verified=False)
    assert compute([lost, tether, GOOD]).verdicts == ("UNVERIFIED", "NO_RATE", "USED")


# ------------------------------------------------------------------------ memory

MEMORY = {"basis_ns": 60 * SECOND, "basis_cap_ppm": 5_000}


class Market:
    """Sources whose books are told and blended once a step, as the clock goes."""

    def __init__(self, sources: list[Source], **settings: int) -> None:
        self.sources = sources
        self.reference = built(sources, **settings)
        self.now_ns = NOW

    def step(
        self, bps: list[float | None], count: int = 1, every_ns: int = SECOND // 10
    ) -> oracle.Result:
        """Tell each source's price in bps of P (None: nothing new), `count` times."""
        for _ in range(count):
            self.now_ns += every_ns
            self.sources = [
                source if off is None
                else replace(source, mid=P + int(P * off / 10_000), recv_ns=self.now_ns)
                for source, off in zip(self.sources, bps, strict=True)
            ]  # fmt: skip
            tell(self.reference, self.sources)
            result = told_of(self.reference, len(self.sources), self.now_ns)
        return result

    def off(self) -> float:
        """Return the reference in bps of P."""
        price = self.reference.price_uticks
        assert price is not None
        return (price - P) / P * 10_000


def test_lasting_premium_is_no_outlier_and_moves_nothing_when_its_venue_dies() -> None:
    quoted = replace(GOOD, quoted=True)
    market = Market([quoted, GOOD, replace(GOOD, depth=10**9)], **MEMORY)
    market.step([0, 5, 25], 700)
    # Quotes go where the quoted venue trades, not where the average of the premiums is.
    assert abs(market.off()) < 0.1
    basis, seen_ns = market.reference.basis(2)
    assert seen_ns == 60 * SECOND
    assert basis > 0
    market.sources[2] = replace(market.sources[2], verified=False)
    result = market.step([0, 5, None])
    assert result.verdicts[2] == "UNVERIFIED"
    assert abs(market.off()) < 0.1


def test_liar_is_dropped_at_once_and_its_basis_does_not_learn_the_lie() -> None:
    market = Market([GOOD, GOOD, GOOD], **MEMORY)
    market.step([0, 2, 4], 700)
    before = market.reference.basis(2)
    result = market.step([0, 2, 54], 100)
    assert result.verdicts[2] == "OUTLIER"
    assert market.reference.basis(2) == before
    assert result.price is not None
    assert abs(market.off() - 2) < 0.1


def test_source_that_was_out_comes_back_after_good_updates() -> None:
    market = Market([GOOD, GOOD], readmit_count=3)
    assert market.step([0, 0], 3).verdicts == ("PROBATION", "PROBATION")
    assert market.step([0, 0]).verdicts == ("USED", "USED")
    market.sources[1] = replace(market.sources[1], verified=False)
    assert market.step([0, None]).verdicts == ("USED", "UNVERIFIED")
    market.sources[1] = replace(market.sources[1], verified=True)
    assert market.step([0, 50], 5).verdicts == ("USED", "PROBATION")  # back, and wrong
    assert market.step([0, 1], 3).verdicts == ("USED", "PROBATION")
    assert market.step([0, None]).verdicts == ("USED", "USED")


def test_probation_counts_updates_not_looks() -> None:
    market = Market([GOOD, GOOD], readmit_count=3)
    market.step([0, 0], 4)
    market.sources[1] = replace(market.sources[1], verified=False)
    market.step([0, None])
    market.sources[1] = replace(market.sources[1], verified=True)
    assert market.step([0, None], 5).verdicts == ("USED", "PROBATION")


def test_jump_of_one_source_waits_for_a_second() -> None:
    market = Market([GOOD, replace(GOOD, depth=1)], jump_ppm=1_000, jump_hold_ns=2 * SECOND)
    market.step([0, 0], 3)
    assert market.step([25, 0]).verdicts == ("UNCONFIRMED", "UNCONFIRMED")
    assert market.reference.price_uticks is None
    assert market.step([25, 24]).verdicts == ("USED", "USED")


def test_jump_that_stands_long_enough_is_believed() -> None:
    market = Market([GOOD, replace(GOOD, depth=1)], jump_ppm=1_000, jump_hold_ns=2 * SECOND)
    market.step([0, 0], 3)
    assert market.step([25, 0], 20).price is None
    assert market.step([25, 0]).price is not None


# ------------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    "settings",
    [
        {"outlier_floor_ppm": 0},
        {"clamp_ppm": PPM + 1},
        {"outlier_mads": 0},
        {"outlier_mads": 8},
        {"weight_cap_ppm": 500_000},
        {"basis_ns": 1},
        {"basis_cap_ppm": 100_001},
        {"readmit_count": 0},
        {"jump_ppm": -1},
        {"jump_hold_ns": 0},
    ],
    ids=str,
)
def test_bad_setting_is_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Reference(**settings)


@pytest.mark.parametrize(
    "source",
    [
        {"age_ns_max": 0},
        {"spread_ppm_max": 0},
        {"trust_ppm": 0},
        {"scale_num": 0},
        {"scale_den": -1},
        {"depth_num": 0},
        {"is_rate": True, "quoted": True},
    ],
    ids=str,
)
def test_bad_source_is_refused(source: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Reference().add_source(**({"age_ns_max": 1, "spread_ppm_max": 1} | source))


def test_bad_conversion_is_refused() -> None:
    reference = built([USDT, GOOD])
    for index, rate, unit in ((1, 1, 1), (0, 0, 1), (1, 0, 0)):
        with pytest.raises(ValueError, match="rate"):
            reference.convert(index, rate, unit)
    with pytest.raises(IndexError):
        reference.convert(2, 0, 1)


def test_depth_is_compared_in_the_same_lots() -> None:
    coarse = replace(GOOD, depth=100, depth_scale=Fraction(100))
    assert compute([GOOD, coarse]).weights == (500_000, 500_000)


def test_sources_are_bounded_and_indexed() -> None:
    reference = built([GOOD] * 16)
    with pytest.raises(ValueError, match="16"):
        reference.add_source(age_ns_max=1, spread_ppm_max=1)
    for index in (-1, 16):
        with pytest.raises(IndexError):
            reference.source(index)
        with pytest.raises(IndexError):
            reference.set(index, P, 0, 1, NOW, True)


# ------------------------------------------------------------------------ properties

prices = st.one_of(
    st.integers(P - P // 500, P + P // 500),
    st.sampled_from([P, P + 1, P + P // 1_000, P - P // 300]),
    st.integers(1, TICK << 40),
)


@st.composite
def sources(draw: st.DrawFn, least: int = 1, most: int = 16) -> list[Source]:
    return [
        Source(
            mid=draw(st.one_of(prices, st.none())) if draw(st.booleans()) else draw(prices),
            spread=draw(st.integers(-1, 3 * TICK)),
            depth=draw(st.one_of(st.integers(0, 100), st.integers(0, 1 << 62))),
            recv_ns=NOW - draw(st.one_of(st.just(0), st.integers(-SECOND, 2 * SECOND))),
            verified=draw(st.sampled_from([True, True, True, False])),
            spread_ppm_max=3,
            trust=draw(st.one_of(st.just(PPM), st.integers(1, PPM))),
            scale=draw(st.sampled_from([Fraction(1), Fraction(1), Fraction(1, 10), Fraction(3)])),
        )
        for _ in range(draw(st.integers(least, most)))
    ]


@st.composite
def close(draw: st.DrawFn, least: int = 2, most: int = 6) -> list[Source]:
    """Sources that are all eligible and near each other."""
    return [
        near(
            draw(st.integers(-25, 25)),
            depth=draw(st.integers(1, 10**9)),
            recv_ns=NOW - draw(st.integers(0, SECOND)),
            trust=draw(st.integers(1, PPM)),
        )
        for _ in range(draw(st.integers(least, most)))
    ]


@settings(max_examples=250, deadline=None)
@given(st.one_of(sources(), close()), st.integers(500_001, PPM), st.integers(1, 5))
def test_equals_the_oracle(case: list[Source], cap: int, mads: int) -> None:
    expected = oracle.compute(case, NOW, weight_cap_ppm=cap, outlier_mads=mads)
    assert compute(case, weight_cap_ppm=cap, outlier_mads=mads) == expected


@settings(max_examples=120, deadline=None)
@given(st.one_of(sources(), close()))
def test_price_lies_between_the_used(case: list[Source]) -> None:
    result = compute(case)
    used = [
        source.price
        for source, verdict in zip(case, result.verdicts, strict=True)
        if verdict == "USED"
    ]
    if result.price is None:
        assert not used
        assert result.confidence == 0
    else:
        assert min(used) <= result.price <= max(used)
        assert 0 <= result.confidence <= PPM


@settings(max_examples=120, deadline=None)
@given(close(), st.randoms(use_true_random=False))
def test_order_of_sources_does_not_matter(case: list[Source], random: Any) -> None:
    shuffled = list(case)
    random.shuffle(shuffled)
    one, other = compute(case), compute(shuffled)
    assert (one.price, one.confidence) == (other.price, other.confidence)
    assert sorted(zip(one.weights, one.verdicts, strict=True)) == sorted(
        zip(other.weights, other.verdicts, strict=True)
    )


@settings(max_examples=120, deadline=None)
@given(close(1, 6), prices, st.sampled_from(["stale", "unverified", "wide", "thin"]))
def test_source_that_is_not_eligible_never_moves_the_price(
    case: list[Source], mid: int, how: str
) -> None:
    changes: dict[str, dict[str, Any]] = {
        "stale": {"recv_ns": NOW - 2 * SECOND},
        "unverified": {"verified": False},
        "wide": {"spread": 1 << 51},
        "thin": {"depth": 0},
    }
    bad = replace(GOOD, mid=mid, **changes[how])
    with_it, without = compute([*case, bad]), compute(case)
    assert with_it.price == without.price
    assert with_it.weights == (*without.weights, 0)
    assert with_it.confidence <= without.confidence


@settings(max_examples=100, deadline=None)
@given(close(3, 6))
def test_weights_respect_the_cap(case: list[Source]) -> None:
    result = compute(case)
    if result.used >= 3:
        assert max(result.weights) <= 600_001


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(2, 5), st.sampled_from([0, 2_000]), st.sampled_from([1, 3]))
def test_any_sequence_of_updates_equals_the_oracle(
    data: st.DataObject, count: int, cap_ppm: int, readmit_count: int
) -> None:
    settings: dict[str, Any] = {
        "basis_ns": 2 * SECOND, "basis_cap_ppm": cap_ppm, "readmit_count": readmit_count,
        "jump_ppm": 1_500, "jump_hold_ns": SECOND,
    }  # fmt: skip
    rate = data.draw(st.booleans())
    told = [USDT] if rate else []
    told += [
        replace(
            GOOD, quoted=index == 0, depth=data.draw(st.integers(1, 10**6)),
            rate=0 if rate and index % 2 else -1, rate_unit=10_000 * TICK, rate_inverse=index == 3,
        )
        for index in range(count)
    ]  # fmt: skip
    reference, memory = built(told, **settings), oracle.Memory(**settings)
    now_ns = NOW
    for _ in range(data.draw(st.integers(1, 40))):
        now_ns += data.draw(st.sampled_from([0, SECOND // 20, SECOND // 10, 3 * SECOND // 2]))
        at = data.draw(st.integers(0, len(told) - 1))
        centre = 9_990 * TICK if told[at].is_rate else P
        bps = data.draw(st.integers(-40, 40))
        told[at] = replace(
            told[at], mid=centre + centre * bps // 10_000, recv_ns=now_ns,
            verified=data.draw(st.sampled_from([True] * 6 + [False])),
        )  # fmt: skip
        tell(reference, told)
        expected = oracle.compute(told, now_ns, memory=memory)
        assert told_of(reference, len(told), now_ns) == expected
