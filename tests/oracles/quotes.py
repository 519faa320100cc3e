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

(
    POST_ONLY_BID, POST_ONLY_ASK, FEE_FLOOR, SPREAD_MIN, SPREAD_MAX, ONE_SIDED, SKEW, FLOW, JUMP,
    BAND, NARROW, HELD, MICRO, IMBALANCE, OFI,
) = (1 << bit for bit in range(15))  # fmt: skip
OFF_BIDS, OFF_ASKS = 1, 2
DAY_S = 86_400
SECOND = 10**9
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
    "widen_schedule_uticks",
    "widen_held_uticks",
    "anchor_uticks",
    "anchor_ns",
    "held_bids",
    "held_asks",
    "quoted_bids",
    "quoted_asks",
    "bid_bound_ticks",
    "ask_bound_ticks",
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


def windows_open(params: Mapping[str, Any], now_ns: int) -> list[tuple[int, int, int, int]]:
    """The windows of the schedule that a moment is in; one may go over midnight."""
    at = Fraction(now_ns, SECOND) % DAY_S
    return [
        one
        for one in params["schedule"]
        if (one[0] <= at < one[1] if one[0] <= one[1] else at >= one[0] or at < one[1])
    ]


def distances(r: int, params: Mapping[str, Any], count: int) -> list[int]:
    """How far each level stands from the inner quote, in uticks."""
    if params["level_offsets_ppm"]:
        return [ppm(r, offset) for offset in params["level_offsets_ppm"][:count]]
    return [level * ppm(r, params["level_step_ppm"]) for level in range(count)]


def amounts(params: Mapping[str, Any], count: int, factor: int, most: int) -> list[int]:
    """The quantity of each level under the size skew."""
    whole = params["level_lots"] or [params["order_lots"]] * count
    return [min(ppm(lots, factor), most) for lots in whole[:count]]


def leans(view: Mapping[str, int], params: Mapping[str, int]) -> dict[str, int]:
    """Return each signal's shift, what compression adds to the half-spread, and clamps."""
    r = view["reference_uticks"]
    out = {"clamps": 0}

    def full(signal: str, share: str, clamp: int) -> int:
        value, most = view.get(signal, 0), params.get(share, 0)
        if abs(value) >= PPM and (most or signal == "flow_ppm"):
            out["clamps"] |= clamp
        return sign(value) * ppm(ppm(r, most), min(PPM, abs(value)))

    out["flow_uticks"] = full("flow_ppm", "flow_full_ppm", FLOW)
    out["imbalance_uticks"] = full("imbalance_ppm", "imbalance_full_ppm", IMBALANCE)
    out["ofi_uticks"] = full("ofi_ppm", "ofi_full_ppm", OFI)
    out["widen_compression_uticks"] = -full("compression_ppm", "compression_full_ppm", 0)
    out["micro_uticks"] = 0
    if params.get("micro_weight_ppm", 0):
        away = view.get("micro_ppm", 0)
        followed, most = (
            ppm(ppm(r, abs(away)), params["micro_weight_ppm"]),
            ppm(r, params["micro_cap_ppm"]),
        )
        if followed > most or abs(away) >= PPM:
            followed = most
            out["clamps"] |= MICRO
        out["micro_uticks"] = sign(away) * followed
    return out


def meaningful(prices: list[int]) -> list[int]:
    """A price out of bounds ends its side."""
    return list(takewhile(lambda price: 0 < price <= TICKS_MAX, prices))


def side_levels(
    prices: list[int], wanted: list[int], available: int, spec: Mapping[str, int], held: int,
    hanging: int,
) -> tuple[list[tuple[int, int]], int]:  # fmt: skip
    """Give each price its quantity until what there is is used up; leave out what is too small.

    A level that is held stays out; an order that hangs in its place has its quantity. Returns the
    levels, and which of the shape's they are, a bit each.
    """
    levels, quoted = [], 0
    left = available
    for at, price in enumerate(prices):
        lots = min(wanted[at], left)
        if held >> at & 1:
            left -= max(0, lots) if hanging >> at & 1 else 0
        elif lots >= max(1, spec["qty_lots_min"]) and price * lots >= spec["notional_ticklots_min"]:
            levels.append((price, lots))
            quoted |= 1 << at
            left -= lots
    return levels, quoted


def ladder(
    view: Mapping[str, int],
    params: Mapping[str, Any],
    spec: Mapping[str, int],
    one_sided: int = 0,
    held: tuple[int, int] = (0, 0),
    anchor: tuple[int, int] = (0, 0),
) -> dict[str, Any]:
    """Recompute a ladder.

    Args:
        view, params: fields of MarketView and GridParameters.
        spec: qty_lots_min, qty_lots_max and notional_ticklots_min of the instrument.
        one_sided: state before.
        held: levels of bids and of asks that are not to be quoted, a bit each.
        anchor: half-spread and time that narrowing began from.

    Returns:
        quoting (1 or 0), one_sided and anchor (states after), bids and asks as (price_ticks,
        qty_lots) best first, clamps, and the parts.
    """
    out: dict[str, Any] = dict.fromkeys(PARTS, 0) | {
        "quoting": 0,
        "one_sided": one_sided,
        "bids": [],
        "asks": [],
        "clamps": 0,
        "sides_off": 0,
        "anchor": anchor,
    }
    count = min(params["num_orders"], 32)
    if not quotable(view) or count <= 0 or not 0 < params["order_lots"] <= LOTS_MAX:
        return out
    windows = windows_open(params, view["now_ns"])
    if any(quiet for *_, quiet in windows):
        return out
    r = view["reference_uticks"]
    state = rebalance(view, params, one_sided)
    clamps = ONE_SIDED if state else 0

    x = max(-PPM, min(PPM, view["x_ppm"]))
    clamps |= SKEW if abs(x) == PPM else 0
    lean = leans(view, params)
    clamps |= lean["clamps"]
    skew = -sign(x) * ppm(ppm(r, params["skew_full_ppm"]), abs(x))
    shifts = ("flow_uticks", "micro_uticks", "imbalance_uticks", "ofi_uticks")
    centre = r + skew + sum(lean[name] for name in shifts)

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
    widen_schedule = ppm(r, max([0, *(widen for _, _, widen, _ in windows)]))
    half = base + widen_sigma + widen_depth + widen_inventory + widen_schedule
    half += lean["widen_compression_uticks"]
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
    widen_held, before, after = 0, (0, 0), anchor
    if params["narrow_ppm"]:
        before = anchor
        fallen = Fraction(ppm(r, params["narrow_ppm"]) * max(0, view["now_ns"] - anchor[1]), SECOND)
        line = anchor[0] - floor(fallen)
        if half >= line:
            after = (half, view["now_ns"])
        else:
            line = min(line, most) if most >= least else line
            widen_held = max(0, line - half)
            half += widen_held
            clamps |= NARROW if widen_held else 0

    skewed = sign(x) * ppm(params["size_skew_ppm"], abs(x))
    bid_lots = amounts(params, count, PPM - skewed, spec["qty_lots_max"])
    ask_lots = amounts(params, count, PPM + skewed, spec["qty_lots_max"])
    offsets = distances(r, params, count)
    quoted = [0, 0]
    off = 0
    clamps |= HELD if any(held) else 0
    above = r > params["ceiling_ticks"] * PPM
    below = not above and r < params["floor_ticks"] * PPM
    clamps |= BAND if above or below else 0

    if view["allow_bid"] == 1 and state <= 0 and x < PPM and not above:
        wanted = [floor(Fraction(centre - half - offset, PPM)) for offset in offsets]
        fee_bound = floor(Fraction(r - fee, PPM))
        post_bound, band_bound = view["best_ask_ticks"] - 1, params["ceiling_ticks"]
        prices: list[int] = []
        for price in wanted:
            prices.append(
                min([price, fee_bound, post_bound, band_bound, *(p - 1 for p in prices[-1:])])
            )
        available = view["quote_lots_max"]
        if prices[0] * PPM > r:
            available = floor(Fraction(available * r, prices[0] * PPM))
        out["bids"], quoted[0] = side_levels(
            meaningful(prices), bid_lots, available, spec, held[0], view.get("hanging_bids", 0)
        )
        if out["bids"]:
            clamps |= FEE_FLOOR if wanted[0] > fee_bound else 0
            clamps |= POST_ONLY_BID if min(wanted[0], fee_bound) > post_bound else 0
            clamps |= BAND if min(wanted[0], fee_bound, post_bound) > band_bound else 0
    else:
        off |= OFF_BIDS
    if view["allow_ask"] == 1 and state >= 0 and x > -PPM and not below:
        wanted = [ceil(Fraction(centre + half + offset, PPM)) for offset in offsets]
        fee_bound = ceil(Fraction(r + fee, PPM))
        post_bound, band_bound = view["best_bid_ticks"] + 1, params["floor_ticks"]
        prices = []
        for price in wanted:
            prices.append(
                max([price, fee_bound, post_bound, band_bound, *(p + 1 for p in prices[-1:])])
            )
        out["asks"], quoted[1] = side_levels(
            meaningful(prices), ask_lots, view["base_lots"], spec, held[1],
            view.get("hanging_asks", 0),
        )  # fmt: skip
        if out["asks"]:
            clamps |= FEE_FLOOR if wanted[0] < fee_bound else 0
            clamps |= POST_ONLY_ASK if max(wanted[0], fee_bound) < post_bound else 0
            clamps |= BAND if max(wanted[0], fee_bound, post_bound) < band_bound else 0
    else:
        off |= OFF_ASKS

    return out | {
        "quoting": int(bool(out["bids"] or out["asks"])),
        "one_sided": state,
        "clamps": clamps,
        "centre_uticks": centre,
        "skew_uticks": skew,
        "flow_uticks": lean["flow_uticks"],
        "half_uticks": half,
        "half_base_uticks": base,
        "widen_sigma_uticks": widen_sigma,
        "widen_depth_uticks": widen_depth,
        "widen_inventory_uticks": widen_inventory,
        "micro_uticks": lean["micro_uticks"],
        "imbalance_uticks": lean["imbalance_uticks"],
        "ofi_uticks": lean["ofi_uticks"],
        "widen_compression_uticks": lean["widen_compression_uticks"],
        "widen_schedule_uticks": widen_schedule,
        "widen_held_uticks": widen_held,
        "anchor_uticks": before[0],
        "anchor_ns": before[1],
        "held_bids": held[0],
        "held_asks": held[1],
        "quoted_bids": quoted[0],
        "quoted_asks": quoted[1],
        "bid_bound_ticks": max(1, min(floor(Fraction(r - fee, PPM)), params["ceiling_ticks"])),
        "ask_bound_ticks": max(ceil(Fraction(r + fee, PPM)), params["floor_ticks"]),
        "sides_off": off,
        "anchor": after,
    }
