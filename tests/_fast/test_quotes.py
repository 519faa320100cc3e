"""The grid's ladder: the table of shading, each clamp and refusal, equality with the oracle."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openmm._fast.quotes import QuoteClamp, fence_ladder
from openmm.instrument import Instrument
from openmm.strategy.grid import grid_ladder
from tests.oracles import quotes as oracle

PPM = 1_000_000
UTICKS = 1_000_000
MISSING = -(1 << 63)
LOTS_MAX = 1 << 52

PAIR = Instrument(
    venue="test",
    name="BTC/USD",
    base="BTC",
    quote="USD",
    price_decimals=2,
    qty_decimals=8,
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.00000001"),
    qty_min=Decimal("0.0001"),
    cost_min=Decimal("0.5"),
    base_decimals=8,
    quote_decimals=4,
)

# Reference 100.00, market 99.00 to 101.00 so that nothing but the formula binds.
VIEW = {
    "now_ns": 0,
    "reference_uticks": 10_000 * UTICKS,
    "confidence_ppm": PPM,
    "best_bid_ticks": 9_900,
    "best_ask_ticks": 10_100,
    "own_bid_ticks": 0,
    "own_ask_ticks": 0,
    "sigma_uticks": 0,
    "depth_lots": 1_000_000,
    "depth_mean_lots": 1_000_000,
    "spread_mean_uticks": 0,
    "flow_ppm": 0,
    "x_ppm": 0,
    "share_ppm": 500_000,
    "target_ppm": 500_000,
    "base_lots": LOTS_MAX,
    "quote_lots_max": LOTS_MAX,
    "allow_bid": 1,
    "allow_ask": 1,
    "warm": 1,
    "jump_ppm": 0,
    "hanging_bids": 0,
    "hanging_asks": 0,
}
# Half-spread 10 bps, levels 5 bps apart, skew 8 bps at x = 1.
GRID: dict[str, Any] = {
    "spread_ppm": 2_000,
    "order_lots": 10_000_000,
    "num_orders": 3,
    "level_step_ppm": 500,
    "rebalance_threshold_ppm": 100_000,
    "rebalance_exit_ppm": 50_000,
    "skew_full_ppm": 800,
    "flow_full_ppm": 400,
    "micro_weight_ppm": 0,
    "micro_cap_ppm": 0,
    "imbalance_full_ppm": 0,
    "ofi_full_ppm": 0,
    "compression_full_ppm": 0,
    "vol_ppm": 0,
    "rest_ns": 4_000_000_000,
    "depth_ppm": 0,
    "inventory_widen_ppm": 0,
    "fee_floor_ppm": 0,
    "half_min_ppm": 0,
    "half_max_ppm": 100_000,
    "size_skew_ppm": 0,
    "floor_ticks": 0,
    "ceiling_ticks": 1 << 40,
    "level_offsets_ppm": (),
    "level_lots": (),
    "schedule": (),
    "narrow_ppm": 0,
    "refill_ns": 0,
    "ping_pong": 0,
    "hanging": 0,
    "hanging_ns_max": 0,
    "hanging_distance_ppm": 0,
}
SIDES = ("bids", "asks")


def make(one_sided: int = 0, **changes: Any) -> tuple[int, int, dict[str, Any]]:
    """Make a ladder from the plain case with some fields of view or parameters changed."""
    unknown = changes.keys() - VIEW.keys() - GRID.keys()
    assert not unknown
    view = {name: changes.get(name, value) for name, value in VIEW.items()}
    grid = {name: changes.get(name, value) for name, value in GRID.items()}
    return grid_ladder(view, grid, PAIR, one_sided)


def best(**changes: int) -> tuple[int, int]:
    _, _, ladder = make(**changes)
    return ladder["bids"][0][0], ladder["asks"][0][0]


def prices(levels: list[tuple[int, int]]) -> list[int]:
    return [price for price, _ in levels]


def spec_of(pair: Instrument) -> dict[str, int]:
    return {
        "qty_lots_min": pair.qty_lots_min,
        "qty_lots_max": LOTS_MAX,
        "notional_ticklots_min": pair.notional_ticklots_min,
    }


# ------------------------------------------------------------------------ the table of shading


def test_worked_row_long_shades_both_quotes_down() -> None:
    quoting, _, ladder = make(x_ppm=500_000)
    assert quoting == 1
    assert ladder["centre_uticks"] == 9_996 * UTICKS
    assert (ladder["bids"][0][0], ladder["asks"][0][0]) == (9_986, 10_006)


def test_worked_row_short_is_the_mirror() -> None:
    _, _, ladder = make(x_ppm=-500_000)
    assert ladder["centre_uticks"] == 10_004 * UTICKS
    assert (ladder["bids"][0][0], ladder["asks"][0][0]) == (9_994, 10_014)


def test_at_target_quotes_are_centred() -> None:
    bid, ask = best()
    assert (bid, ask) == (9_990, 10_010)


@pytest.mark.parametrize(
    ("changes", "direction"),
    [
        ({"x_ppm": 300_000}, -1),
        ({"x_ppm": -300_000}, 1),
        ({"flow_ppm": 500_000}, 1),
        ({"flow_ppm": -500_000}, -1),
    ],
    ids=["long lowers", "short raises", "buying raises", "selling lowers"],
)
def test_both_quotes_move_the_same_way(changes: dict[str, int], direction: int) -> None:
    bid, ask = best()
    moved_bid, moved_ask = best(**changes)
    assert (moved_bid - bid) * direction > 0
    assert (moved_ask - ask) * direction > 0


def test_long_buys_less_and_sells_more() -> None:
    _, _, ladder = make(x_ppm=500_000, size_skew_ppm=400_000)
    assert ladder["bids"][0][1] == 8_000_000
    assert ladder["asks"][0][1] == 12_000_000


def test_short_buys_more_and_sells_less() -> None:
    _, _, ladder = make(x_ppm=-500_000, size_skew_ppm=400_000)
    assert ladder["bids"][0][1] == 12_000_000
    assert ladder["asks"][0][1] == 8_000_000


def test_at_target_quantities_are_equal() -> None:
    _, _, ladder = make(size_skew_ppm=400_000)
    assert {lots for side in SIDES for _, lots in ladder[side]} == {10_000_000}


@pytest.mark.parametrize(("x_ppm", "quoted"), [(PPM, "asks"), (-PPM, "bids"), (5 * PPM, "asks")])
def test_at_the_limit_the_adding_side_is_off(x_ppm: int, quoted: str) -> None:
    _, _, ladder = make(x_ppm=x_ppm)
    assert [side for side in SIDES if ladder[side]] == [quoted]
    assert ladder["clamps"] & QuoteClamp.CLAMP_SKEW
    assert abs(ladder["skew_uticks"]) == 8 * UTICKS


# The table holds for every level of every shape.
SPACINGS: dict[str, dict[str, Any]] = {
    "linear": {}, "geometric": {"level_offsets_ppm": (0, 500, 1_250)},
    "custom": {"level_offsets_ppm": (200, 700, 9_000)},
}  # fmt: skip
SIZES: dict[str, dict[str, Any]] = {
    "flat": {}, "pyramid": {"level_lots": (10_000_000, 15_000_000, 20_000_000)},
    "custom": {"level_lots": (10_000_000, 4_000_000, 30_000_000)},
}  # fmt: skip


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(
    ("changes", "direction", "bid_size"),
    [
        ({"x_ppm": 300_000}, -1, -1), ({"x_ppm": -300_000}, 1, 1), ({}, 0, 0),
        ({"flow_ppm": 500_000}, 1, 0), ({"flow_ppm": -500_000}, -1, 0),
    ],
    ids=["long", "short", "at target", "buying", "selling"],
)  # fmt: skip
def test_cell_of_the_table_holds_at_every_level(
    spacing: str, sizes: str, changes: dict[str, int], direction: int, bid_size: int
) -> None:
    shape = SPACINGS[spacing] | SIZES[sizes] | {"size_skew_ppm": 400_000}
    _, _, before = make(**shape)
    _, _, after = make(**shape, **changes)
    for side, size in (("bids", bid_size), ("asks", -bid_size)):
        assert len(before[side]) == len(after[side]) == 3
        for (price, lots), (price_after, lots_after) in zip(before[side], after[side], strict=True):
            assert oracle.sign(price_after - price) == direction
            assert oracle.sign(lots_after - lots) == size


def test_levels_stand_at_their_offsets_with_their_quantities() -> None:
    _, _, ladder = make(**SPACINGS["custom"], **SIZES["custom"])
    assert ladder["bids"] == [(9_988, 10_000_000), (9_983, 4_000_000), (9_900, 30_000_000)]
    assert ladder["asks"] == [(10_012, 10_000_000), (10_017, 4_000_000), (10_100, 30_000_000)]


def test_level_too_small_leaves_the_ones_behind_it() -> None:
    _, _, ladder = make(level_lots=(10_000_000, 5_000, 10_000_000))
    assert (prices(ladder["bids"]), ladder["quoted_bids"]) == ([9_990, 9_980], 0b101)


@pytest.mark.parametrize(
    ("changes", "bids", "asks", "bound"),
    [
        ({}, 3, 3, False),
        ({"ceiling_ticks": 9_986}, 0, 3, True),
        ({"ceiling_ticks": 9_999}, 0, 3, True),
        ({"ceiling_ticks": 10_000}, 3, 3, False),
        ({"floor_ticks": 10_001}, 3, 0, True),
        ({"floor_ticks": 10_000}, 3, 3, False),
    ],
)
def test_beyond_the_band_only_the_side_is_quoted_that_trades_back(
    changes: dict[str, int], bids: int, asks: int, bound: bool
) -> None:
    _, _, ladder = make(**changes)
    assert (len(ladder["bids"]), len(ladder["asks"])) == (bids, asks)
    assert bool(ladder["clamps"] & QuoteClamp.CLAMP_BAND) == bound


def test_nothing_is_bought_above_the_ceiling_or_sold_below_the_floor() -> None:
    # Skewed past the reference by the full scale.
    told: dict[str, Any] = {"fee_floor_ppm": -5_000, "skew_full_ppm": 3_000}
    _, _, ladder = make(**told, x_ppm=-999_999, ceiling_ticks=10_002)
    assert prices(ladder["bids"]) == [10_002, 10_001, 10_000]
    assert ladder["clamps"] & QuoteClamp.CLAMP_BAND
    _, _, ladder = make(**told, x_ppm=999_999, floor_ticks=9_998)
    assert prices(ladder["asks"]) == [9_998, 9_999, 10_000]


# ------------------------------------------------------------------------ the half-spread


def test_volatility_widens_by_root_of_the_rest_time() -> None:
    _, _, ladder = make(sigma_uticks=3 * UTICKS, vol_ppm=1_500_000)
    assert ladder["widen_sigma_uticks"] == 9 * UTICKS  # 1.5 * 3 ticks * sqrt(4 s)
    assert ladder["half_uticks"] == 19 * UTICKS


@pytest.mark.parametrize(
    ("depth", "mean", "ticks"),
    [(1_000, 1_000, 0), (1_000, 1_500, 5), (2_000, 1_000, 0), (1_000, 9_000, 30), (0, 0, 30)],
    ids=["usual", "thinner", "thicker", "capped", "none at all"],
)
def test_thin_depth_widens(depth: int, mean: int, ticks: int) -> None:
    _, _, ladder = make(depth_lots=depth, depth_mean_lots=mean, depth_ppm=1_000)
    assert ladder["widen_depth_uticks"] == ticks * UTICKS


@pytest.mark.parametrize("x_ppm", [500_000, -500_000])
def test_distance_from_target_widens(x_ppm: int) -> None:
    _, _, ladder = make(x_ppm=x_ppm, inventory_widen_ppm=1_000)
    assert ladder["widen_inventory_uticks"] == 5 * UTICKS
    assert ladder["half_uticks"] == 15 * UTICKS


def test_half_is_held_between_bounds() -> None:
    _, _, narrow = make(spread_ppm=0, half_min_ppm=700)
    assert narrow["half_uticks"] == 7 * UTICKS
    assert narrow["clamps"] & QuoteClamp.CLAMP_SPREAD_MIN
    _, _, wide = make(sigma_uticks=1 << 60, vol_ppm=PPM, half_max_ppm=2_000)
    assert wide["half_uticks"] == 20 * UTICKS
    assert wide["clamps"] & QuoteClamp.CLAMP_SPREAD_MAX


# ------------------------------------------------------------------------ clamps of the price


def test_fee_floor_holds_against_the_skew() -> None:
    # Short by the full scale: centre 100.08, so the bid alone would stand at 99.98.
    _, _, ladder = make(x_ppm=-999_999, fee_floor_ppm=900)
    assert ladder["bids"][0][0] == 9_991
    assert ladder["clamps"] & QuoteClamp.CLAMP_FEE_FLOOR


def test_fee_floor_raises_a_spread_that_is_too_small() -> None:
    bid, ask = best(spread_ppm=100, fee_floor_ppm=1_600)
    assert (bid, ask) == (9_984, 10_016)


def test_budget_lets_quotes_unwind_through_the_reference() -> None:
    bid, ask = best(spread_ppm=0, fee_floor_ppm=-500, x_ppm=999_999)
    assert ask < 10_000
    assert bid < ask


def test_bid_stays_a_tick_below_best_ask() -> None:
    _, _, ladder = make(best_ask_ticks=9_989, best_bid_ticks=9_980)
    assert prices(ladder["bids"]) == [9_988, 9_985, 9_980]
    assert ladder["clamps"] & QuoteClamp.CLAMP_POST_ONLY_BID


def test_ask_stays_a_tick_above_best_bid() -> None:
    _, _, ladder = make(best_bid_ticks=10_012, best_ask_ticks=10_020)
    assert prices(ladder["asks"]) == [10_013, 10_015, 10_020]
    assert ladder["clamps"] & QuoteClamp.CLAMP_POST_ONLY_ASK


def test_levels_pushed_together_stay_distinct() -> None:
    _, _, ladder = make(best_ask_ticks=9_970, best_bid_ticks=9_960)
    assert prices(ladder["bids"]) == [9_969, 9_968, 9_967]


def test_step_below_a_tick_still_parts_levels() -> None:
    _, _, ladder = make(level_step_ppm=0)
    assert prices(ladder["bids"]) == [9_990, 9_989, 9_988]
    assert prices(ladder["asks"]) == [10_010, 10_011, 10_012]


def test_empty_other_side_does_not_bind() -> None:
    _, _, ladder = make(best_bid_ticks=0, best_ask_ticks=(1 << 63) - 1)
    assert len(ladder["bids"]) == len(ladder["asks"]) == 3
    assert ladder["clamps"] == 0


def test_bids_end_above_zero() -> None:
    _, _, ladder = make(
        reference_uticks=2 * UTICKS, best_bid_ticks=1, num_orders=32, order_lots=10**10
    )
    assert prices(ladder["bids"]) == [1]


# ------------------------------------------------------------------------ rebalancing


@pytest.mark.parametrize(
    ("share", "before", "after"),
    [
        (600_000, 0, 0),
        (600_001, 0, 1),
        (399_999, 0, -1),
        (560_000, 1, 1),
        (550_000, 1, 1),
        (549_999, 1, 0),
        (450_001, -1, 0),
        (450_000, -1, -1),
        (399_999, 1, -1),
        (500_000, 1, 0),
    ],
)
def test_one_sided_with_hysteresis(share: int, before: int, after: int) -> None:
    quoting, state, ladder = make(before, share_ppm=share)
    assert quoting == 1
    assert state == after
    assert bool(ladder["bids"]) == (after <= 0)
    assert bool(ladder["asks"]) == (after >= 0)
    assert bool(ladder["clamps"] & QuoteClamp.CLAMP_ONE_SIDED) == (after != 0)


def test_side_not_allowed_is_not_quoted() -> None:
    _, _, ladder = make(allow_bid=0)
    assert not ladder["bids"]
    assert ladder["asks"]
    assert make(allow_bid=0, allow_ask=0)[0] == 0


# ------------------------------------------------------------------------ quantities


def test_asks_never_exceed_the_base_held() -> None:
    _, _, ladder = make(base_lots=25_000_000)
    assert [lots for _, lots in ladder["asks"]] == [10_000_000, 10_000_000, 5_000_000]
    _, _, ladder = make(base_lots=20_009_999)  # the rest is under the venue's minimum
    assert [lots for _, lots in ladder["asks"]] == [10_000_000, 10_000_000]


def test_bids_never_exceed_the_quote_held() -> None:
    _, _, ladder = make(quote_lots_max=15_000_000)
    assert [lots for _, lots in ladder["bids"]] == [10_000_000, 5_000_000]


def test_bid_above_the_reference_costs_more_of_the_quote() -> None:
    _, _, ladder = make(
        quote_lots_max=30_000_000, spread_ppm=0, fee_floor_ppm=-50_000, skew_full_ppm=50_000,
        x_ppm=-900_000, best_ask_ticks=20_000,
    )  # fmt: skip
    assert ladder["bids"][0][0] > 10_000
    cost = sum(price * lots for price, lots in ladder["bids"])
    assert cost <= 30_000_000 * 10_000


@pytest.mark.parametrize("held", [0, -1, MISSING, 9_999])
def test_nothing_held_is_nothing_quoted(held: int) -> None:
    assert make(base_lots=held, quote_lots_max=held)[0] == 0


def test_order_under_the_minimum_quantity_is_not_quoted() -> None:
    assert make(order_lots=PAIR.qty_lots_min - 1)[0] == 0
    assert make(order_lots=PAIR.qty_lots_min)[0] == 0  # costs 0.01, minimum 0.50
    assert make(order_lots=600_000)[0] == 1


# ------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    "changes",
    [
        {"reference_uticks": MISSING},
        {"reference_uticks": 0},
        {"reference_uticks": (UTICKS << 40) + 1},
        {"warm": 0},
        {"confidence_ppm": 0},
        {"sigma_uticks": MISSING},
        {"depth_lots": MISSING},
        {"depth_mean_lots": -1},
        {"flow_ppm": MISSING},
        {"x_ppm": MISSING},
        {"share_ppm": MISSING},
        {"share_ppm": PPM + 1},
        {"target_ppm": MISSING},
        {"best_bid_ticks": 10_100},
        {"best_bid_ticks": MISSING},
        {"best_ask_ticks": MISSING},
        {"num_orders": 0},
        {"order_lots": 0},
    ],
    ids=str,
)
def test_missing_input_quotes_nothing(changes: dict[str, int]) -> None:
    quoting, state, ladder = make(1, **changes)
    assert quoting == 0
    assert state == 1
    assert not ladder.pop("bids")
    assert not ladder.pop("asks")
    assert not any(ladder.values())


def test_more_levels_than_fit_are_cut() -> None:
    _, _, ladder = make(num_orders=1_000)
    assert len(ladder["bids"]) == len(ladder["asks"]) == 32


def test_view_without_a_field_is_refused() -> None:
    view = {name: value for name, value in VIEW.items() if name != "x_ppm"}
    with pytest.raises(ValueError, match="x_ppm"):
        grid_ladder(view, GRID, PAIR)


# ------------------------------------------------------------------------ fence


def test_fence_keeps_levels_that_are_fine() -> None:
    quoting, ladder = fence_ladder(VIEW, PAIR, [(9_990, 10**7)], [(10_010, 10**7)])
    assert quoting == 1
    assert ladder["bids"] == [(9_990, 10**7)]
    assert ladder["asks"] == [(10_010, 10**7)]
    assert ladder["clamps"] == 0


def test_fence_clamps_to_post_only_and_parts_levels() -> None:
    quoting, ladder = fence_ladder(
        VIEW, PAIR, [(10_200, 10**7), (10_150, 10**7)], [(10_300, 10**7), (10_301, 10**7)]
    )
    assert quoting == 1
    assert prices(ladder["bids"]) == [10_099, 10_098]
    assert prices(ladder["asks"]) == [10_300, 10_301]
    assert ladder["clamps"] == QuoteClamp.CLAMP_POST_ONLY_BID
    _, ladder = fence_ladder(VIEW, PAIR, [], [(9_000, 10**7), (9_001, 10**7)])
    assert prices(ladder["asks"]) == [9_901, 9_902]
    assert ladder["clamps"] == QuoteClamp.CLAMP_POST_ONLY_ASK


def test_fence_refuses_levels_that_cross_themselves() -> None:
    quoting, ladder = fence_ladder(VIEW, PAIR, [(10_000, 10**7)], [(10_000, 10**7)])
    assert quoting == 0
    assert not ladder["bids"]
    assert not ladder["asks"]


def test_fence_refuses_without_a_reference() -> None:
    view = VIEW | {"reference_uticks": MISSING}
    assert fence_ladder(view, PAIR, [(9_990, 10**7)], [])[0] == 0


def test_fence_caps_by_what_is_held_and_drops_dust() -> None:
    view = VIEW | {"base_lots": 15_000_000, "quote_lots_max": 0}
    levels = [(10_010, 10**7), (10_011, 100), (10_012, 10**7)]
    quoting, ladder = fence_ladder(view, PAIR, [(9_990, 10**7)], levels)
    assert quoting == 1
    assert ladder["bids"] == []
    assert ladder["asks"] == [(10_010, 10**7), (10_012, 5_000_000)]


def test_fence_refuses_too_many_levels() -> None:
    with pytest.raises(ValueError, match="33"):
        fence_ladder(VIEW, PAIR, [(9_990 - i, 10**7) for i in range(33)], [])


# ------------------------------------------------------------------------ properties


Case = tuple[dict[str, int], dict[str, Any], dict[str, Any]]


@st.composite
def shapes(draw: st.DrawFn, ticks: int) -> dict[str, Any]:
    """Spacing, sizes and band of a ladder, every kind with every other."""
    count = draw(st.integers(1, 32))
    one = st.integers(1, 10**8) | st.integers(1, LOTS_MAX)
    offsets = st.lists(st.integers(0, 5_000) | st.integers(0, PPM), min_size=count, max_size=count)
    near = st.integers(max(1, ticks - ticks // 50 - 2), min(1 << 40, ticks + ticks // 50 + 2))
    floor, ceiling = sorted((draw(near), draw(near)))
    return {
        "num_orders": count,
        "order_lots": draw(one),
        "level_offsets_ppm": tuple(sorted(draw(st.just([]) | offsets))),
        "level_lots": tuple(draw(st.just([]) | st.lists(one, min_size=count, max_size=count))),
        "floor_ticks": draw(st.sampled_from([0, floor])),
        "ceiling_ticks": draw(st.sampled_from([1 << 40, ceiling])),
    }


@st.composite
def states(draw: st.DrawFn, reference: int) -> dict[str, Any]:
    """One-sided state, levels held, and what narrowing began from."""
    mask = st.just(0) | st.integers(0, (1 << 32) - 1)
    return {
        "one_sided": draw(st.sampled_from([-1, 0, 1])),
        "held": (draw(mask), draw(mask)),
        "anchor": (draw(st.integers(0, reference // 50)), draw(st.integers(0, 10**11))),
    }


MINUTE = 60
windows = st.tuples(
    st.integers(0, 1_439).map(MINUTE.__mul__), st.integers(0, 1_440).map(MINUTE.__mul__),
    st.integers(1, 5_000), st.sampled_from([0, 0, 0, 1]),
)  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A view and parameters anywhere in their bounds, near each other often enough to bind."""
    ticks = draw(st.sampled_from([1, 3, 100, 10_000, 700_000, 10**9, (1 << 40) - 1]))
    reference = ticks * UTICKS + draw(st.integers(-999_999, 0))
    share = st.integers(0, PPM)
    small = st.integers(0, 5_000)
    spread = draw(st.integers(1, max(2, ticks // 50)))
    bid = max(0, ticks + draw(st.integers(-spread, spread)))
    view = VIEW | {
        "now_ns": draw(st.integers(0, 2 * 10**11)),
        "hanging_bids": draw(st.just(0) | st.integers(0, (1 << 32) - 1)),
        "hanging_asks": draw(st.just(0) | st.integers(0, (1 << 32) - 1)),
        "reference_uticks": reference,
        "confidence_ppm": draw(st.integers(1, PPM)),
        "best_bid_ticks": bid,
        "best_ask_ticks": bid + draw(st.integers(1, spread)),
        "sigma_uticks": draw(st.one_of(st.integers(0, reference // 1000), st.integers(0, 1 << 61))),
        "depth_lots": draw(st.one_of(st.integers(0, 100), st.integers(0, 1 << 58))),
        "depth_mean_lots": draw(st.one_of(st.integers(0, 300), st.integers(0, 1 << 58))),
        "flow_ppm": draw(st.integers(-2 * PPM, 2 * PPM)),
        "micro_ppm": draw(st.one_of(st.integers(-50, 50), st.integers(-2 * PPM, 2 * PPM))),
        "imbalance_ppm": draw(st.integers(-2 * PPM, 2 * PPM)),
        "ofi_ppm": draw(st.integers(-2 * PPM, 2 * PPM)),
        "compression_ppm": draw(st.integers(-9 * PPM, PPM)),
        "x_ppm": draw(st.integers(-1_100_000, 1_100_000)),
        "share_ppm": draw(share),
        "target_ppm": draw(share),
        "base_lots": draw(st.integers(-5, LOTS_MAX)),
        "quote_lots_max": draw(st.integers(-5, LOTS_MAX)),
        "allow_bid": draw(st.sampled_from([1, 1, 1, 0])),
        "allow_ask": draw(st.sampled_from([1, 1, 1, 0])),
        "jump_ppm": draw(st.one_of(st.just(0), small, share)),
    }
    wide = st.one_of(small, share)
    exit_ppm = draw(share)
    params = GRID | draw(shapes(ticks)) | {
        "schedule": tuple(draw(st.just([]) | st.lists(windows, max_size=3))),
        "narrow_ppm": draw(st.sampled_from([0, 10, 1_000])),
        "spread_ppm": draw(wide),
        "level_step_ppm": draw(wide),
        "rebalance_threshold_ppm": draw(st.integers(max(1, exit_ppm), PPM)),
        "rebalance_exit_ppm": exit_ppm,
        "skew_full_ppm": draw(st.one_of(small, st.integers(0, PPM // 2))),
        "flow_full_ppm": draw(st.one_of(small, st.integers(0, PPM // 2))),
        "micro_weight_ppm": draw(st.one_of(st.just(0), st.integers(0, 2 * PPM))),
        "micro_cap_ppm": draw(st.one_of(small, st.integers(0, PPM // 2))),
        "imbalance_full_ppm": draw(st.one_of(st.just(0), small, st.integers(0, PPM // 2))),
        "ofi_full_ppm": draw(st.one_of(st.just(0), small, st.integers(0, PPM // 2))),
        "compression_full_ppm": draw(st.one_of(st.just(0), small, st.integers(0, PPM // 2))),
        "vol_ppm": draw(st.integers(0, 1_000 * PPM)),
        "rest_ns": draw(st.integers(0, 10**15)),
        "depth_ppm": draw(wide),
        "inventory_widen_ppm": draw(wide),
        "fee_floor_ppm": draw(
            st.one_of(st.integers(-2_000, 5_000), st.integers(-PPM // 2, PPM // 2))
        ),
        "half_min_ppm": draw(small),
        "half_max_ppm": draw(st.one_of(st.integers(1, 20_000), st.integers(1, PPM))),
        "size_skew_ppm": draw(share),
    }  # fmt: skip
    return view, params, draw(states(reference))


def test_jump_past_our_own_quotes_widens_to_the_most_and_a_smaller_one_changes_nothing() -> None:
    _, _, ladder = make(jump_ppm=1_000)  # as far as our quotes stand from the reference
    assert (ladder["half_uticks"], ladder["clamps"]) == (10 * UTICKS, 0)
    _, _, ladder = make(jump_ppm=1_001, half_max_ppm=5_000)
    assert (ladder["half_uticks"], ladder["clamps"]) == (50 * UTICKS, QuoteClamp.CLAMP_JUMP)
    assert (ladder["bids"][0][0], ladder["asks"][0][0]) == (9_950, 10_050)


def test_jump_never_narrows() -> None:
    for half_max in (0, 500):  # no bound, and one below what is wanted anyway
        _, _, ladder = make(jump_ppm=5_000, half_max_ppm=half_max, half_min_ppm=1_500)
        assert ladder["half_uticks"] == 15 * UTICKS
    assert make(jump_ppm=-1)[0] == 0


@settings(max_examples=300, deadline=None)
@given(cases())
@example((VIEW, GRID, {}))
def test_equals_the_oracle(case: Case) -> None:
    view, params, state = case
    quoting, one_sided, ladder = grid_ladder(view, params, PAIR, **state)
    expected = oracle.ladder(view, params, spec_of(PAIR), **state)
    del expected["anchor"]
    assert ladder | {"quoting": quoting, "one_sided": one_sided} == expected


@settings(max_examples=200, deadline=None)
@given(cases())
def test_quotes_are_always_within_the_rules(case: Case) -> None:
    view, params, state = case
    quoting, _, ladder = grid_ladder(view, params, PAIR, **state)
    bids, asks = prices(ladder["bids"]), prices(ladder["asks"])
    assert quoting == bool(bids or asks)
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    assert all(price > 0 for price in bids + asks)
    assert all(price < view["best_ask_ticks"] for price in bids)
    assert all(price > view["best_bid_ticks"] for price in asks)
    if bids and asks:
        assert bids[0] < asks[0]
    r, fee = view["reference_uticks"], params["fee_floor_ppm"]
    assert all(price * UTICKS * PPM <= r * (PPM - fee) for price in bids)
    assert all(price * UTICKS * PPM >= r * (PPM + fee) for price in asks)
    ceiling, floor = params["ceiling_ticks"], params["floor_ticks"]
    assert all(price <= ceiling for price in bids)
    assert all(price >= floor for price in asks)
    assert not (bids and r > ceiling * UTICKS)
    assert not (asks and r < floor * UTICKS)
    for side in SIDES:
        held = ladder[f"held_{side}"]
        assert not ladder[f"quoted_{side}"] & held
        assert ladder[f"quoted_{side}"].bit_count() == len(ladder[side])
        assert bool(ladder["clamps"] & QuoteClamp.CLAMP_HELD) >= bool(held)
    assert sum(lots for _, lots in ladder["asks"]) <= max(0, view["base_lots"])
    cost = sum(price * lots for price, lots in ladder["bids"]) * UTICKS
    assert cost <= max(0, view["quote_lots_max"]) * r
    for side in SIDES:
        for price, lots in ladder[side]:
            assert lots >= PAIR.qty_lots_min
            assert price * lots >= PAIR.notional_ticklots_min


@settings(max_examples=120, deadline=None)
@given(cases(), st.integers(-PPM, PPM), st.integers(-PPM, PPM))
def test_more_inventory_never_raises_the_centre(case: Case, one: int, other: int) -> None:
    view, params, _ = case
    low, high = sorted((one, other))
    _, _, less = grid_ladder(view | {"x_ppm": low}, params, PAIR)
    _, _, more = grid_ladder(view | {"x_ppm": high}, params, PAIR)
    assert more["centre_uticks"] <= less["centre_uticks"]


@settings(max_examples=120, deadline=None)
@given(cases(), st.integers(-PPM, PPM), st.integers(-PPM, PPM))
def test_more_buying_never_lowers_the_centre(case: Case, one: int, other: int) -> None:
    view, params, _ = case
    low, high = sorted((one, other))
    _, _, less = grid_ladder(view | {"flow_ppm": low}, params, PAIR)
    _, _, more = grid_ladder(view | {"flow_ppm": high}, params, PAIR)
    assert more["centre_uticks"] >= less["centre_uticks"]


@settings(max_examples=120, deadline=None)
@given(
    cases(),
    st.sampled_from(["sigma_uticks", "depth_mean_lots", "x_ppm"]),
    st.integers(0, PPM),
    st.integers(0, PPM),
)
def test_worse_market_never_narrows(case: Case, name: str, one: int, other: int) -> None:
    view, params, _ = case
    low, high = sorted((one, other))
    _, _, calm = grid_ladder(view | {name: low}, params, PAIR)
    _, _, rough = grid_ladder(view | {name: high}, params, PAIR)
    assert rough["half_uticks"] >= calm["half_uticks"]


@settings(max_examples=120, deadline=None)
@given(cases(), st.integers(0, 5_000), st.integers(0, 5_000), st.sampled_from([0, 100, 10**6]))
def test_more_of_a_window_or_a_wider_past_never_narrows(
    case: Case, one: int, other: int, narrow_ppm: int
) -> None:
    view, params, _ = case
    low, high = sorted((one, other))
    halves = []
    for more in (low, high):
        told = params | {"schedule": ((0, 86_400, more, 0),), "narrow_ppm": narrow_ppm}
        anchor = (more * view["reference_uticks"] // PPM, view["now_ns"] // 2)
        halves.append(grid_ladder(view, told, PAIR, anchor=anchor)[2]["half_uticks"])
    assert halves[0] <= halves[1]


@settings(max_examples=120, deadline=None)
@given(st.integers(-PPM, PPM), st.integers(-PPM, PPM), st.integers(0, 10**9))
def test_opposite_inputs_give_mirrored_quotes(x_ppm: int, flow_ppm: int, sigma: int) -> None:
    _, _, one = make(x_ppm=x_ppm, flow_ppm=flow_ppm, sigma_uticks=sigma, vol_ppm=PPM)
    _, _, other = make(x_ppm=-x_ppm, flow_ppm=-flow_ppm, sigma_uticks=sigma, vol_ppm=PPM)
    # Mirrored about the reference, 10,000 ticks; the book stands mirrored already.
    assert prices(one["bids"]) == [20_000 - price for price in prices(other["asks"])]
    assert prices(one["asks"]) == [20_000 - price for price in prices(other["bids"])]
