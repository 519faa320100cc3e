"""Ask a strategy of one's own as the engine does, in a market of one's choice.

    ladder = ask(Mine(half_ppm=500), x_ppm=200_000)      # long by a fifth of the scale
    assert ladder.bids[0][0] < 600_000

What it answers goes through the fence that stands before every venue, and an error that the engine
would tell of is raised.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

from msgspec import Struct

from openmm._fast.ports import Strategy
from openmm.instrument import Instrument
from openmm.strategy.fenced import FencedStrategy
from openmm.strategy.python import PythonStrategy
from openmm.strategy.quotes import Quoter
from openmm.testing.workload import canonical_instrument

UTICKS = 1_000_000
PPM = 1_000_000
# BTC/USD at 60,000 in ticks of 0.1, lots of 1e-8: two ticks wide, nothing off its usual.
CALM = {
    "now_ns": 1_750_000_000_000_000_000, "reference_uticks": 600_000 * UTICKS,
    "confidence_ppm": PPM, "best_bid_ticks": 599_999, "best_ask_ticks": 600_001,
    "own_bid_ticks": 0, "own_ask_ticks": 0, "sigma_uticks": 2 * UTICKS,
    "depth_lots": 500_000_000, "depth_mean_lots": 500_000_000, "spread_mean_uticks": 2 * UTICKS,
    "flow_ppm": 0, "x_ppm": 0, "share_ppm": 500_000, "target_ppm": 500_000,
    "base_lots": 1_000_000_000, "quote_lots_max": 1_000_000_000, "allow_bid": 1, "allow_ask": 1,
    "warm": 1, "jump_ppm": 0, "micro_ppm": 0, "imbalance_ppm": 0, "ofi_ppm": 0,
    "compression_ppm": 0, "q_lots": 0, "decay_uticks": 0, "arrival_uhz": 0, "hanging_bids": 0,
    "hanging_asks": 0,
}  # fmt: skip


class Quoted(Struct, frozen=True):
    """What would be quoted: (price_ticks, qty_lots), best first."""

    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


def market_view(**changes: int) -> dict[str, int]:
    """Return the fields of a view of a calm market, some of them changed.

    Raises:
        TypeError: a field that a view does not have.
    """
    if unknown := changes.keys() - CALM.keys():
        raise TypeError(f"a view has no {', '.join(sorted(unknown))}; it has {', '.join(CALM)}")
    return CALM | changes


def wrapped(strategy: Quoter | Strategy, instrument: Instrument) -> PythonStrategy | FencedStrategy:
    """Put a strategy behind the fence that the engine asks it through."""
    if isinstance(strategy, Strategy):
        return FencedStrategy(instrument, strategy)
    return PythonStrategy(instrument, strategy)


def ask(
    strategy: Quoter | Strategy, instrument: Instrument | None = None, **changes: int
) -> Quoted:
    """Ask a strategy once, as the engine does, in a calm market with some fields changed.

    Args:
        strategy: an object with `quote(view)`, or a compiled one.
        instrument: the canonical BTC/USD unless told.

    Raises:
        AssertionError: the call failed; the bot would have quoted nothing and told of it.
    """
    pair = instrument or canonical_instrument()
    behind = wrapped(strategy, pair)
    view = market_view(**changes)
    _, ladder = behind.quote(view)
    failed = behind.take_failures()
    if failed is not None:
        raise AssertionError(failed.text)
    quoted = Quoted(ladder["bids"], ladder["asks"])
    assert not (wrong := faults(quoted, view, pair)), wrong
    return quoted


def faults(quoted: Quoted, view: Mapping[str, int], instrument: Instrument) -> list[str]:
    """Tell what of a ladder may never reach a venue, whoever made it; empty when all is well."""
    found = []
    best_bid, best_ask = view["best_bid_ticks"], view["best_ask_ticks"]
    for name, sign, levels, free_lots in (
        ("bids", 1, quoted.bids, _bid_lots(quoted, view)),
        ("asks", -1, quoted.asks, view["base_lots"]),
    ):
        prices = [sign * price for price, _ in levels]
        if prices != sorted(set(prices), reverse=True):
            found.append(f"{name} not best first at distinct prices: {levels}")
        if sum(qty for _, qty in levels) > free_lots:
            found.append(f"{name} of more than is held, {free_lots}: {levels}")
        if any(qty < instrument.qty_lots_min for _, qty in levels):
            found.append(f"{name} below the venue's minimum: {levels}")
        if levels and not view["allow_bid" if sign == 1 else "allow_ask"]:
            found.append(f"{name} that risk does not allow: {levels}")
    if quoted.bids and quoted.bids[0][0] >= best_ask:
        found.append(f"a bid at {quoted.bids[0][0]} takes the ask at {best_ask}")
    if quoted.asks and quoted.asks[0][0] <= best_bid:
        found.append(f"an ask at {quoted.asks[0][0]} takes the bid at {best_bid}")
    if quoted.bids and quoted.asks and quoted.bids[0][0] >= quoted.asks[0][0]:
        found.append(f"it crosses itself at {quoted.bids[0][0]}")
    return found


def _bid_lots(quoted: Quoted, view: Mapping[str, int]) -> int:
    """Return what the free quote buys at the best bid, which may stand above the reference."""
    best_uticks = quoted.bids[0][0] * UTICKS if quoted.bids else 0
    if best_uticks <= view["reference_uticks"]:
        return view["quote_lots_max"]
    return view["quote_lots_max"] * view["reference_uticks"] // best_uticks


def any_markets(count: int, seed: int = 1) -> Iterator[dict[str, int]]:
    """Yield changes for `ask`: markets of every kind, thin, wide, torn and one-sided ones too."""
    draw = random.Random(seed)
    for _ in range(count):
        mid = draw.choice((2, 50, 600_000, 10**9))
        bid = max(0, mid - draw.choice((1, 2, 500)))
        ask_ticks = mid + draw.choice((1, 2, 500))
        off_ppm = draw.choice((0, 0, -50_000, 50_000))
        yield {
            "reference_uticks": max(1, mid * (PPM + off_ppm)), "best_bid_ticks": bid,
            "best_ask_ticks": ask_ticks, "sigma_uticks": draw.choice((0, UTICKS, mid * UTICKS)),
            "depth_lots": draw.choice((0, 1, 10**9)), "flow_ppm": draw.randint(-PPM, PPM),
            "x_ppm": draw.randint(-PPM, PPM), "share_ppm": draw.randint(0, PPM),
            "base_lots": draw.choice((0, 1, 10**6, 10**12)),
            "quote_lots_max": draw.choice((0, 1, 10**6, 10**12)),
            "allow_bid": draw.choice((0, 1, 1)), "allow_ask": draw.choice((0, 1, 1)),
            "jump_ppm": draw.choice((0, 20_000)), "imbalance_ppm": draw.randint(-PPM, PPM),
            "ofi_ppm": draw.randint(-PPM, PPM), "micro_ppm": draw.randint(-500, 500),
            "q_lots": draw.randint(-(10**9), 10**9), "now_ns": draw.randint(1, 1 << 60),
        }  # fmt: skip
