"""The grid once more, in exact fractions, written from docs/strategy.md.

`ladder` recomputes a ladder from the fields of a view, of the parameters and of the instrument, by
their names on the tape; end-to-end tests check every recorded ladder with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import takewhile
from math import ceil, floor, isqrt
from typing import Any

PPM = 1_000_000
MISSING = -(1 << 63)
TICKS_MAX = 1 << 40
LOTS_MAX = 1 << 52

POST_ONLY_BID, POST_ONLY_ASK, FEE_FLOOR, SPREAD_MIN, SPREAD_MAX, ONE_SIDED, SKEW, FLOW, JUMP = (
    1 << bit for bit in range(9)
)
PARTS = (
    "centre_uticks",
    "skew_uticks",
    "flow_uticks",
    "half_uticks",
    "half_base_uticks",
    "widen_sigma_uticks",
    "widen_depth_uticks",
    "widen_inventory_uticks",
    "micro_uticks",
    "imbalance_uticks",
    "ofi_uticks",
    "widen_compression_uticks",
)


def ppm(value: int, share: int) -> int:
    return floor(Fraction(value * share, PPM))


def sign(value: int) -> int:
    return (value > 0) - (value < 0)


def quotable(view: Mapping[str, int]) -> bool:
    """Whether everything is known that a quote needs."""
    return (
        0 < view["reference_uticks"] <= TICKS_MAX * PPM
        and view["warm"] == 1
        and view["confidence_ppm"] > 0
        and 0 <= view["best_bid_ticks"] < view["best_ask_ticks"]
        and all(view[name] >= 0 for name in ("sigma_uticks", "depth_lots", "depth_mean_lots"))
        and all(view[name] != MISSING for name in ("flow_ppm", "x_ppm"))
        and all(0 <= view[name] <= PPM for name in ("share_ppm", "target_ppm"))
        and view.get("jump_ppm", 0) >= 0
    )


def rebalance(view: Mapping[str, int], params: Mapping[str, int], one_sided: int) -> int:
    """Return the one-sided state after: 1 only asks, -1 only bids, 0 both."""
    away = view["share_ppm"] - view["target_ppm"]
    if abs(away) > params["rebalance_threshold_ppm"]:
        return sign(away)
    if one_sided and away * one_sided < params["rebalance_exit_ppm"]:
        return 0
    return one_sided


def meaningful(prices: list[int]) -> list[int]:
    """A price out of bounds ends its side."""
    return list(takewhile(lambda price: 0 < price <= TICKS_MAX, prices))


def side_levels(
    prices: list[int], order_lots: int, held_lots: int, spec: Mapping[str, int]
) -> list[tuple[int, int]]:
    """Give each price its quantity until what is held is used up; leave out what is too small."""
    levels = []
    left = held_lots
    for price in prices:
        lots = min(order_lots, left)
        if lots < max(1, spec["qty_lots_min"]):
            break
        if price * lots >= spec["notional_ticklots_min"]:
            levels.append((price, lots))
            left -= lots
    return levels


def ladder(
    view: Mapping[str, int],
    params: Mapping[str, int],
    spec: Mapping[str, int],
    one_sided: int = 0,
) -> dict[str, Any]:
    """Recompute a ladder.

    Args:
        view, params: fields of MarketView and GridParams.
        spec: qty_lots_min, qty_lots_max and notional_ticklots_min of the instrument.
        one_sided: state before.

    Returns:
        quoting (1 or 0), one_sided (state after), bids and asks as (price_ticks, qty_lots) best
        first, clamps, and the parts.
    """
    out: dict[str, Any] = dict.fromkeys(PARTS, 0) | {
        "quoting": 0,
        "one_sided": one_sided,
        "bids": [],
        "asks": [],
        "clamps": 0,
    }
    count = min(params["num_orders"], 32)
    if not quotable(view) or count <= 0 or not 0 < params["order_lots"] <= LOTS_MAX:
        return out
    r = view["reference_uticks"]
    state = rebalance(view, params, one_sided)
    clamps = ONE_SIDED if state else 0

    x = max(-PPM, min(PPM, view["x_ppm"]))
    takers = max(-PPM, min(PPM, view["flow_ppm"]))
    clamps |= SKEW if abs(x) == PPM else 0
    clamps |= FLOW if abs(takers) == PPM else 0
    skew = -sign(x) * ppm(ppm(r, params["skew_full_ppm"]), abs(x))
    flow = sign(takers) * ppm(ppm(r, params["flow_full_ppm"]), abs(takers))
    centre = r + skew + flow

    fee = ceil(Fraction(r * params["fee_floor_ppm"], PPM))
    base = floor(Fraction(r * params["spread_ppm"], 2 * PPM))
    if fee > base:
        base = fee
        clamps |= FEE_FLOOR
    widen_sigma = min(
        r, ppm(ppm(view["sigma_uticks"], params["vol_ppm"]), isqrt(1000 * params["rest_ns"]))
    )
    depth, mean = view["depth_lots"], view["depth_mean_lots"]
    ratio = 3 * PPM
    if depth > 0:
        ratio = max(0, min(ratio, floor(PPM * (Fraction(mean, depth) - 1))))
    widen_depth = min(r, ppm(ppm(r, params["depth_ppm"]), ratio))
    widen_inventory = ppm(ppm(r, params["inventory_widen_ppm"]), abs(x))
    half = base + widen_sigma + widen_depth + widen_inventory
    least, most = max(1, ppm(r, params["half_min_ppm"])), ppm(r, params["half_max_ppm"])
    if half < least:
        half = least
        clamps |= SPREAD_MIN
    if half > most >= least:
        half = most
        clamps |= SPREAD_MAX
    elif half < most and ppm(r, view.get("jump_ppm", 0)) > base:
        half = most
        clamps |= JUMP
    step = ppm(r, params["level_step_ppm"])

    skewed = sign(x) * ppm(params["size_skew_ppm"], abs(x))
    bid_lots = min(ppm(params["order_lots"], PPM - skewed), spec["qty_lots_max"])
    ask_lots = min(ppm(params["order_lots"], PPM + skewed), spec["qty_lots_max"])

    if view["allow_bid"] == 1 and state <= 0 and x < PPM:
        wanted = [floor(Fraction(centre - half - i * step, PPM)) for i in range(count)]
        fee_bound = floor(Fraction(r - fee, PPM))
        bound = min(fee_bound, view["best_ask_ticks"] - 1)
        prices: list[int] = []
        for price in wanted:
            prices.append(min([price, bound, *(p - 1 for p in prices[-1:])]))
        held = view["quote_lots_max"]
        if prices[0] * PPM > r:
            held = floor(Fraction(held * r, prices[0] * PPM))
        out["bids"] = side_levels(meaningful(prices), bid_lots, held, spec)
        if out["bids"]:
            clamps |= FEE_FLOOR if wanted[0] > fee_bound else 0
            clamps |= POST_ONLY_BID if min(wanted[0], fee_bound) > bound else 0
    if view["allow_ask"] == 1 and state >= 0 and x > -PPM:
        wanted = [ceil(Fraction(centre + half + i * step, PPM)) for i in range(count)]
        fee_bound = ceil(Fraction(r + fee, PPM))
        bound = max(fee_bound, view["best_bid_ticks"] + 1)
        prices = []
        for price in wanted:
            prices.append(max([price, bound, *(p + 1 for p in prices[-1:])]))
        out["asks"] = side_levels(meaningful(prices), ask_lots, view["base_lots"], spec)
        if out["asks"]:
            clamps |= FEE_FLOOR if wanted[0] < fee_bound else 0
            clamps |= POST_ONLY_ASK if max(wanted[0], fee_bound) < bound else 0

    return out | {
        "quoting": int(bool(out["bids"] or out["asks"])),
        "one_sided": state,
        "clamps": clamps,
        "centre_uticks": centre,
        "skew_uticks": skew,
        "flow_uticks": flow,
        "half_uticks": half,
        "half_base_uticks": base,
        "widen_sigma_uticks": widen_sigma,
        "widen_depth_uticks": widen_depth,
        "widen_inventory_uticks": widen_inventory,
        "micro_uticks": 0,
        "imbalance_uticks": 0,
        "ofi_uticks": 0,
        "widen_compression_uticks": 0,
    }
