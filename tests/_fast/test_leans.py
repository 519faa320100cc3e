"""The leans: shifts of the centre by signals and what compression takes off the spread."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.leans import LEAN_FIELDS, lean
from openmm._fast.quotes import QuoteClamp
from tests._fast.test_quotes import GRID, PPM, UTICKS, VIEW
from tests.oracles import quotes as oracle

# A signal of the view, its weight among the parameters, its part in the ladder, its clamp.
SHIFTS = (
    ("flow_ppm", "flow_full_ppm", "flow_uticks", QuoteClamp.CLAMP_FLOW),
    ("imbalance_ppm", "imbalance_full_ppm", "imbalance_uticks", QuoteClamp.CLAMP_IMBALANCE),
    ("ofi_ppm", "ofi_full_ppm", "ofi_uticks", QuoteClamp.CLAMP_OFI),
)
STILL = GRID | dict.fromkeys(LEAN_FIELDS, 0)
SIGNALS = ("flow_ppm", "micro_ppm", "imbalance_ppm", "ofi_ppm", "compression_ppm")
PARTS = ("flow_uticks", "micro_uticks", "imbalance_uticks", "ofi_uticks")


@pytest.mark.parametrize(("signal", "weight", "part", "clamp"), SHIFTS)
@pytest.mark.parametrize(
    ("value", "ticks"), [(0, 0), (500_000, 2), (-500_000, -2), (PPM, 4), (-PPM, -4), (3 * PPM, 4)]
)
def test_signal_shifts_by_its_share_of_the_full_shift(
    signal: str, weight: str, part: str, clamp: QuoteClamp, value: int, ticks: int
) -> None:
    shift, widen, ladder = lean(VIEW | {signal: value}, STILL | {weight: 400})
    assert (shift, widen) == (ticks * UTICKS, 0)
    assert ladder[part] == shift
    assert ladder["clamps"] == (clamp if abs(value) >= PPM else 0)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("weight_ppm", "ticks", "clamps"),
    [(0, 0, 0), (500_000, 1, 0), (PPM, 2, 0), (2 * PPM, 3, QuoteClamp.CLAMP_MICRO)],
)
def test_fair_value_is_followed_by_its_weight_up_to_the_cap(
    sign: int, weight_ppm: int, ticks: int, clamps: int
) -> None:
    # 2 ticks of 10,000 off the mid, and a cap of 3.
    params = STILL | {"micro_weight_ppm": weight_ppm, "micro_cap_ppm": 300}
    shift, _, ladder = lean(VIEW | {"micro_ppm": sign * 200}, params)
    assert shift == ladder["micro_uticks"] == sign * ticks * UTICKS
    assert ladder["clamps"] == clamps


@pytest.mark.parametrize(
    ("compression_ppm", "ticks"),
    [(0, 0), (500_000, -2), (PPM, -4), (-500_000, 2), (-PPM, 4), (-7 * PPM, 4)],
)
def test_tight_market_takes_off_the_half_spread_and_a_wide_one_adds(
    compression_ppm: int, ticks: int
) -> None:
    view = VIEW | {"compression_ppm": compression_ppm}
    shift, widen, ladder = lean(view, STILL | {"compression_full_ppm": 400})
    assert (shift, widen) == (0, ticks * UTICKS)
    assert ladder["widen_compression_uticks"] == widen


def test_weights_of_nothing_lean_on_nothing() -> None:
    shift, widen, ladder = lean(VIEW | dict.fromkeys(SIGNALS, 900_000), STILL)
    assert (shift, widen, ladder["clamps"]) == (0, 0, 0)
    assert not any(ladder[part] for part in PARTS)


def test_fields_left_out_are_refused() -> None:
    for name in LEAN_FIELDS:
        with pytest.raises(KeyError, match=name):
            lean(VIEW, {key: value for key, value in GRID.items() if key != name})


full = st.one_of(st.just(0), st.integers(0, 5_000), st.integers(0, PPM // 2))
signal = st.one_of(st.integers(-100, 100), st.integers(-2 * PPM, 2 * PPM))


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, int], dict[str, int]]:
    reference = draw(st.one_of(st.integers(1, 10**9), st.integers(1, UTICKS << 40)))
    view = VIEW | {"reference_uticks": reference} | {name: draw(signal) for name in SIGNALS}
    params = STILL | {name: draw(full) for name in LEAN_FIELDS}
    return view, params | {"micro_weight_ppm": draw(st.integers(0, 2 * PPM))}


@settings(max_examples=200, deadline=None)
@given(cases())
def test_equals_the_oracle(case: tuple[dict[str, int], dict[str, int]]) -> None:
    view, params = case
    shift, widen, ladder = lean(view, params)
    expected = oracle.leans(view, params)
    assert {name: ladder[name] for name in expected} == expected
    assert shift == sum(expected[part] for part in PARTS)
    assert widen == expected["widen_compression_uticks"]


@settings(max_examples=200, deadline=None)
@given(cases())
def test_opposite_signals_lean_the_opposite_way_exactly(case: tuple[Any, Any]) -> None:
    view, params = case
    shift, widen, ladder = lean(view, params)
    there = lean(view | {name: -view[name] for name in SIGNALS}, params)
    assert (there[0], there[1]) == (-shift, -widen)
    assert there[2]["clamps"] == ladder["clamps"]


@settings(max_examples=200, deadline=None)
@given(cases(), st.sampled_from(SIGNALS), signal, signal)
def test_more_of_a_signal_never_leans_less(
    case: tuple[Any, Any], name: str, one: int, other: int
) -> None:
    view, params = case
    less, more = (lean(view | {name: value}, params) for value in sorted((one, other)))
    assert more[0] >= less[0]
    assert more[1] <= less[1]


@settings(max_examples=200, deadline=None)
@given(cases())
def test_no_lean_is_beyond_its_cap(case: tuple[Any, Any]) -> None:
    view, params = case
    _, widen, ladder = lean(view, params)
    r = view["reference_uticks"]
    caps = [(part, weight) for _, weight, part, _ in SHIFTS]
    for part, cap in [*caps, ("micro_uticks", "micro_cap_ppm")]:
        assert abs(ladder[part]) * PPM <= r * params[cap]
    assert abs(widen) * PPM <= r * params["compression_full_ppm"]
