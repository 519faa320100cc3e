"""The compiled strategies by kind: made, changed live, and asked for a ladder off the hot path."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from msgspec.structs import replace

from openmm._fast.ports import Strategy
from openmm._fast.units import UTICKS_PER_TICK
from openmm.instrument import Instrument
from openmm.strategy.avellaneda import AvellanedaStrategy, avellaneda_ladder
from openmm.strategy.glft import GlftStrategy, glft_ladder
from openmm.strategy.grid import GridStrategy, grid_ladder
from openmm.strategy.model_parameters import AvellanedaParameters, GlftParameters
from openmm.strategy.parameters import GridParameters

Compiled: TypeAlias = GridStrategy | GlftStrategy | AvellanedaStrategy
Parameters: TypeAlias = GridParameters | GlftParameters | AvellanedaParameters

PPM = 1_000_000
COMPILED = (GridStrategy, GlftStrategy, AvellanedaStrategy)


def make(kind: str, instrument: Instrument, fields: Mapping[str, Any]) -> Compiled:
    """Make a strategy of its parameters' fields.

    Args:
        kind: `grid`, `glft` or `avellaneda`.

    Raises:
        ConfigError: parameters that cannot be.
    """
    if kind == "glft":
        return GlftStrategy(instrument, GlftParameters.of(dict(fields)))
    if kind == "avellaneda":
        return AvellanedaStrategy(instrument, AvellanedaParameters.of(dict(fields)))
    return GridStrategy(instrument, GridParameters(**fields))


def parameters(strategy: Compiled, fields: Mapping[str, Any]) -> Parameters:
    """Make the parameters that a strategy takes; nothing is changed.

    Raises:
        ConfigError: parameters that cannot be.
    """
    if isinstance(strategy, GlftStrategy):
        return GlftParameters.of(dict(fields))
    if isinstance(strategy, AvellanedaStrategy):
        return AvellanedaParameters.of(dict(fields))
    return GridParameters(**fields)


def beyond(made: Parameters, edge_ppm: int) -> Parameters:
    """Return parameters that keep so much more from the reference: what hedging a fill costs.

    A strategy that may not be as wide as its floor would not quote at all: its widest follows.
    """
    floor_ppm = min(PPM // 2, made.fee_floor_ppm + edge_ppm)
    return replace(made, fee_floor_ppm=floor_ppm, half_max_ppm=max(made.half_max_ppm, floor_ppm))


def change(strategy: Strategy, made: Any) -> None:
    """Quote by other parameters, those of the strategy's own kind, from the next ladder on."""
    assert isinstance(strategy, COMPILED), "only a compiled strategy has parameters"
    strategy.params = made


def model_numbers(
    solved: Mapping[str, int],
    instrument: Instrument,
    fields: Mapping[str, Any],
    reference_uticks: int,
) -> dict[str, Decimal]:
    """Tell what a model came to: the paper's parameters and the plain ones, each from the other.

    Args:
        solved: as a model's `solved`; empty values are of none that was solved.
        fields: of the parameters it was solved with.

    Returns:
        `gamma` (per unit of the quote currency), `skew_full` and `half` (shares of the price),
        `sigma` (share of the price, per root second), `decay` (1/k, share of the price) and
        `arrival` (A a second; 0 of a model without); nothing before it was solved.
    """
    if not solved.get("risk_uticks") or reference_uticks <= 0:
        return {}
    order = instrument.qty(fields["order_lots"]) * instrument.tick_size / UTICKS_PER_TICK
    half_uticks = solved["base_uticks"] + solved["risk_half_uticks"]
    shares = {
        "skew_full": solved["skew_full_uticks"], "half": half_uticks,
        "sigma": solved["sigma_uticks"], "decay": solved["decay_uticks"],
    }  # fmt: skip
    return {
        "gamma": _short(1 / (solved["risk_uticks"] * order)),
        **{key: _short(Decimal(uticks) / reference_uticks) for key, uticks in shares.items()},
        "arrival": _short(Decimal(solved["arrival_uhz"]) / PPM),
    } | (
        # Told exactly: the model has it at a reference of eight binary places.
        {} if fields["risk_uticks"] else {"skew_full": Decimal(fields["skew_full_ppm"]) / PPM}
    )


def _short(number: Decimal) -> Decimal:
    return Decimal(f"{number:.5g}")


def ladder(
    kind: str,
    view: Mapping[str, int],
    fields: Mapping[str, Any],
    instrument: Instrument,
    strategy: Compiled | None = None,
) -> tuple[dict[str, Any], dict[str, int]]:
    """Compute a ladder; nothing is changed.

    Args:
        view: every field of `quotes.MarketView` by name.
        strategy: whose state it follows from; None: of a fresh one.

    Returns:
        (ladder, what the model came to; nothing of a grid), as the kernels' Python faces tell them.
    """
    one_sided = 0 if strategy is None else strategy.one_sided
    if kind == "glft":
        return glft_ladder(view, fields, instrument, one_sided)[2:]
    if kind == "avellaneda":
        return avellaneda_ladder(view, fields, instrument, one_sided)[2:]
    state = strategy.state if isinstance(strategy, GridStrategy) else {}
    return grid_ladder(view, fields, instrument, **state)[2], {}
