"""The compiled strategies by kind: each is made, changed and asked as its own."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm._fast.leans import LEAN_FIELDS
from openmm._fast.quotes import QuoteClamp
from openmm.strategy import compiled
from openmm.strategy.avellaneda import AvellanedaStrategy
from openmm.strategy.glft import GlftStrategy
from openmm.strategy.grid import GridStrategy
from tests._fast.test_quotes import GRID, LOTS_MAX, PAIR, PPM, UTICKS
from tests.strategy.test_avellaneda import PAPER
from tests.strategy.test_glft import GLFT, LIVE

KINDS: list[tuple[str, dict[str, Any], type[compiled.Compiled]]] = [
    ("grid", GRID, GridStrategy),
    ("glft", GLFT, GlftStrategy),
    ("avellaneda", PAPER, AvellanedaStrategy),
]


@pytest.mark.parametrize(("kind", "fields", "made"), KINDS)
def test_each_kind_is_made_and_asked(
    kind: str, fields: dict[str, Any], made: type[compiled.Compiled]
) -> None:
    strategy = compiled.make(kind, PAIR, fields)
    assert type(strategy) is made
    ladder, solved = compiled.ladder(kind, LIVE, fields, PAIR, strategy)
    assert strategy.quote(LIVE) == (1, ladder)
    assert bool(solved) == (kind != "grid")
    # The one-sided state is the strategy's.
    strategy.quote(LIVE | {"share_ppm": 700_000})
    view = LIVE | {"share_ppm": 560_000}
    assert compiled.ladder(kind, view, fields, PAIR, strategy)[0]["bids"] == []
    assert compiled.ladder(kind, view, fields, PAIR)[0]["bids"]


@pytest.mark.parametrize(("kind", "fields", "made"), KINDS)
def test_each_kind_is_changed_by_its_own_parameters(
    kind: str, fields: dict[str, Any], made: type[compiled.Compiled]
) -> None:
    strategy = compiled.make(kind, PAIR, fields)
    compiled.change(strategy, compiled.parameters(strategy, fields | {"num_orders": 1}))
    assert len(strategy.quote(LIVE)[1]["bids"]) == 1
    other = "grid" if kind != "grid" else "glft"
    foreign = compiled.make(other, PAIR, dict(GRID if other == "grid" else GLFT))
    with pytest.raises(TypeError, match="params must be"):
        compiled.change(strategy, foreign.params)


def test_numbers_of_nothing_solved_are_none() -> None:
    assert compiled.model_numbers({}, PAIR, GLFT, 10_000_000_000) == {}


# ------------------------------------------------------------------------ what holds of each kind

BY_KIND = {kind: fields for kind, fields, _ in KINDS}
Ladder = dict[str, Any]


def quoted(kind: str, view: dict[str, int], fields: dict[str, Any]) -> Ladder:
    return compiled.ladder(kind, view, fields, PAIR)[0]


# Inventory or a signal's price view; where both quotes go, and the bid's size over the ask's.
TABLE = [
    ({"x_ppm": 500_000}, -1, -1),
    ({"x_ppm": 0}, 0, 0),
    ({"x_ppm": -500_000}, 1, 1),
    ({"flow_ppm": 800_000}, 1, 0),
    ({"flow_ppm": -800_000}, -1, 0),
    ({"ofi_ppm": 800_000}, 1, 0),
    ({"ofi_ppm": -800_000}, -1, 0),
    ({"imbalance_ppm": 800_000}, 1, 0),
    ({"imbalance_ppm": -800_000}, -1, 0),
    ({"micro_ppm": 300}, 1, 0),
    ({"micro_ppm": -300}, -1, 0),
]
LEANING = {
    "size_skew_ppm": 500_000, "flow_full_ppm": 500, "ofi_full_ppm": 500, "imbalance_full_ppm": 500,
    "micro_weight_ppm": PPM, "micro_cap_ppm": 500,
}  # fmt: skip


@pytest.mark.parametrize("kind", BY_KIND)
@pytest.mark.parametrize(("change", "moved", "more_bid"), TABLE)
def test_every_cell_of_the_table_of_shading_holds(
    kind: str, change: dict[str, int], moved: int, more_bid: int
) -> None:
    fields = BY_KIND[kind] | LEANING
    flat, made = quoted(kind, LIVE, fields), quoted(kind, LIVE | change, fields)
    assert flat["bids"][0][1] == flat["asks"][0][1]
    assert 20_000 - flat["asks"][0][0] == flat["bids"][0][0]  # centred on 10,000
    for side in ("bids", "asks"):
        for (was, _), (now, _) in zip(flat[side], made[side], strict=True):
            assert (now > was) - (now < was) == moved
    for (_, bid), (_, ask) in zip(made["bids"], made["asks"], strict=True):
        assert (bid > ask) - (bid < ask) == more_bid


VIEWS = st.fixed_dictionaries(
    {
        "reference_uticks": st.integers(9_900 * UTICKS, 10_100 * UTICKS),
        "best_bid_ticks": st.integers(9_900, 10_000),
        "best_ask_ticks": st.integers(10_001, 10_100),
        "sigma_uticks": st.integers(0, 20 * UTICKS),
        "depth_lots": st.integers(1, 10**9),
        "decay_uticks": st.integers(UTICKS, 100 * UTICKS),
        "arrival_uhz": st.integers(1_000, 10**8),
        "x_ppm": st.integers(-PPM + 1, PPM - 1) | st.sampled_from([-PPM, PPM]),
        "share_ppm": st.sampled_from([500_000] * 6 + [420_000, 580_000, 300_000, 700_000]),
        "flow_ppm": st.integers(-PPM, PPM),
        "imbalance_ppm": st.integers(-PPM, PPM),
        "ofi_ppm": st.integers(-PPM, PPM),
        "micro_ppm": st.integers(-500, 500),
        "compression_ppm": st.integers(-2 * PPM, PPM),
        "base_lots": st.sampled_from([10**9] * 4 + [25 * 10**6, 0]),
        "quote_lots_max": st.sampled_from([10**9] * 4 + [25 * 10**6, 0]),
        "allow_bid": st.sampled_from([1] * 9 + [0]),
        "allow_ask": st.sampled_from([1] * 9 + [0]),
        "jump_ppm": st.sampled_from([0, 0, 0, 3_000]),
    }
)
BPS = st.integers(0, 1_000)
SHARED = {
    "num_orders": st.integers(1, 8),
    "level_step_ppm": st.integers(1, 1_000),
    "rebalance_threshold_ppm": st.integers(100_000, PPM),
    "size_skew_ppm": st.integers(0, PPM),
    "fee_floor_ppm": st.integers(-500, 1_500),
    "half_min_ppm": BPS,
    "half_max_ppm": st.sampled_from([200, 1_500, 5_000, 20_000]),
    "floor_ticks": st.sampled_from([0] * 6 + [9_950, 10_010]),
    "ceiling_ticks": st.sampled_from([1 << 40] * 6 + [10_050, 9_990]),
    "level_offsets_ppm": st.sampled_from([(), (), (0, 300, 400, 401, 900, 901, 902, 950)]),
    **dict.fromkeys(LEAN_FIELDS, BPS),
}
MODEL = {
    "scale_lots": st.integers(10**6, 10**9), "half_factor_ppm": st.integers(1, 3 * PPM),
    "skew_factor_ppm": st.integers(0, 3 * PPM),
}  # fmt: skip
OWN = {
    "grid": {
        "spread_ppm": st.integers(0, 5_000), "skew_full_ppm": BPS, "depth_ppm": BPS,
        "inventory_widen_ppm": BPS, "vol_ppm": st.integers(0, 3 * PPM),
    },
    "glft": {**MODEL, "xi_ppm": st.integers(0, PPM)},
    "avellaneda": {
        **MODEL, "horizon_ns": st.integers(10**9, 10**12), "repeating": st.integers(0, 1),
    },
}  # fmt: skip
AVERSE = st.one_of(
    st.fixed_dictionaries({"risk_uticks": st.integers(UTICKS, 10**12)}),
    st.fixed_dictionaries({"risk_uticks": st.just(0), "skew_full_ppm": BPS}),
)
Case = tuple[str, dict[str, int], dict[str, Any]]


def one_of(kind: str) -> st.SearchStrategy[Case]:
    """A market and parameters of a kind, near each other: most of them quote, many are bound."""
    own = st.fixed_dictionaries(SHARED | OWN[kind])
    averse = st.just({}) if kind == "grid" else AVERSE

    def made(told: tuple[dict[str, int], dict[str, Any], dict[str, int]]) -> Case:
        view, fields, more = told
        # One value a level.
        offsets = fields["level_offsets_ppm"][: fields["num_orders"]]
        fields = BY_KIND[kind] | fields | more | {"level_offsets_ppm": offsets}
        return kind, LIVE | view, fields

    return st.tuples(VIEWS, own, averse).map(made)


any_case = st.one_of(*(one_of(kind) for kind in BY_KIND))


@settings(max_examples=400, deadline=None)
@given(any_case)
def test_no_ladder_crosses_or_breaks_fee_floor_band_or_what_is_held(
    case: Case,
) -> None:
    kind, view, fields = case
    made = quoted(kind, view, fields)
    bids, asks = [price for price, _ in made["bids"]], [price for price, _ in made["asks"]]
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    assert all(0 < price < view["best_ask_ticks"] for price in bids)
    assert all(price > view["best_bid_ticks"] for price in asks)
    if bids and asks:
        assert bids[0] < asks[0]
    reference, fee = view["reference_uticks"], fields["fee_floor_ppm"]
    assert all(price * UTICKS * PPM <= reference * (PPM - fee) for price in bids)
    assert all(price * UTICKS * PPM >= reference * (PPM + fee) for price in asks)
    assert all(price <= fields["ceiling_ticks"] for price in bids)
    assert all(price >= fields["floor_ticks"] for price in asks)
    assert not bids or view["allow_bid"] == 1
    assert not asks or view["allow_ask"] == 1
    assert not bids or view["x_ppm"] < PPM
    assert not asks or view["x_ppm"] > -PPM
    assert max(len(bids), len(asks)) <= fields["num_orders"]
    assert sum(lots for _, lots in made["asks"]) <= max(0, view["base_lots"])
    cost = sum(price * lots for price, lots in made["bids"]) * UTICKS
    assert cost <= max(0, view["quote_lots_max"]) * reference
    for price, lots in made["bids"] + made["asks"]:
        assert lots >= PAIR.qty_lots_min
        assert price * lots >= PAIR.notional_ticklots_min


def test_cases_reach_what_they_are_to_show() -> None:
    both: Counter[str] = Counter()
    clamped = 0

    # Of each kind as many: a search that prefers one kind shows little of the others.
    @settings(max_examples=400, deadline=None, database=None, derandomize=True)
    @given(st.tuples(*(one_of(kind) for kind in BY_KIND)))
    def look(cases: tuple[Case, ...]) -> None:
        for case in cases:
            count(case)

    def count(case: Case) -> None:
        nonlocal clamped
        kind, view, fields = case
        made = quoted(kind, view, fields)
        both[kind] += bool(made["bids"] and made["asks"])
        clamped |= made["clamps"]

    look()
    assert all(both[kind] > 10 for kind in BY_KIND), both
    for bound in (
        "POST_ONLY_BID",
        "POST_ONLY_ASK",
        "FEE_FLOOR",
        "SPREAD_MIN",
        "SPREAD_MAX",
        "BAND",
    ):
        assert clamped & QuoteClamp[f"CLAMP_{bound}"], bound


@settings(max_examples=300, deadline=None)
@given(any_case, st.integers(-PPM + 1, PPM - 1), st.integers(-PPM + 1, PPM - 1))
def test_more_inventory_never_raises_a_quote_or_buys_more_of_a_level(
    case: Case, one: int, other: int
) -> None:
    kind, view, fields = case
    # What is held caps neither side, nothing is one-sided: the shading alone.
    view = view | {
        "base_lots": LOTS_MAX, "quote_lots_max": LOTS_MAX, "share_ppm": 500_000,
        "target_ppm": 500_000, "allow_bid": 1, "allow_ask": 1, "jump_ppm": 0,
    }  # fmt: skip
    less = quoted(kind, view | {"x_ppm": min(one, other)}, fields)
    more = quoted(kind, view | {"x_ppm": max(one, other)}, fields)
    assert more["centre_uticks"] <= less["centre_uticks"]
    if fields.get("inventory_widen_ppm", 0) == 0:
        for side in ("bids", "asks"):
            if less[side] and more[side]:
                assert more[side][0][0] <= less[side][0][0]


@settings(max_examples=200, deadline=None)
@given(
    any_case, st.sampled_from(["flow_ppm", "imbalance_ppm", "ofi_ppm", "micro_ppm"]),
    st.integers(-PPM, PPM), st.integers(-PPM, PPM),
)  # fmt: skip
def test_a_higher_price_view_never_lowers_the_centre(
    case: Case, signal: str, one: int, other: int
) -> None:
    kind, view, fields = case
    low = quoted(kind, view | {signal: min(one, other)}, fields)
    high = quoted(kind, view | {signal: max(one, other)}, fields)
    if low["centre_uticks"] and high["centre_uticks"]:
        assert low["centre_uticks"] <= high["centre_uticks"]


@settings(max_examples=200, deadline=None)
@given(any_case, st.integers(0, 10**10), st.integers(0, 10**10))
def test_more_volatility_never_narrows(case: Case, one: int, other: int) -> None:
    kind, view, fields = case
    calm = quoted(kind, view | {"sigma_uticks": min(one, other)}, fields)
    rough = quoted(kind, view | {"sigma_uticks": max(one, other)}, fields)
    if calm["half_uticks"] and rough["half_uticks"]:
        assert calm["half_uticks"] <= rough["half_uticks"]
