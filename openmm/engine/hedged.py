"""Strategies for an engine that hedges elsewhere: bounded by the room there is, and paying for it.

They run in Python, beside the hot path; see docs/hedging.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from msgspec.structs import replace

from openmm._fast.orders import OrderTable
from openmm.config import BotConfig, grid_params
from openmm.config.schema import key_of
from openmm.engine.hedging import Hedging
from openmm.errors import ConfigError
from openmm.instrument import Instrument
from openmm.strategy.grid import GridStrategy
from openmm.strategy.parameters import GridParameters
from openmm.strategy.python import View
from openmm.strategy.quotes import Quoter, Quotes

# Keys of a grid that go by its own fills.
FOLLOWS_FILLS: Final = ("refill_delay_ns", "ping_pong", "hanging")
VIEW_FIELDS: Final = tuple(name for name in dir(View) if not name.startswith("_"))


@final
class HedgedQuoter:
    """Quote what another strategy wants, as far as the hedge leaves room for it.

    Args:
        table: returns the engine's order table (`lambda: engine.tables.pipeline.table`).
    """

    def __init__(self, inner: Quoter, hedging: Hedging, table: Callable[[], OrderTable]) -> None:
        self._inner = inner
        self._hedging = hedging
        self._table = table

    def quote(self, view: View) -> Quotes | None:
        """Return the ladder, cut to the room there is; nothing while quoting is stopped."""
        quotes = self._inner.quote(view)
        return self._hedging.bound(quotes or Quotes(), self._table())


@final
class GridQuoter:
    """The configured grid as a strategy in Python, with what a hedge costs now in its fee floor.

    The floor is the maker fee and `min_edge` of the file plus `HedgeMachine.edge_floor_ppm`; while
    the hedge venue's book gives none, nothing is quoted. Parameters are the file's: a live change
    of them does not reach it.

    Raises:
        ConfigError: the strategy of the file is no grid, or one that follows its own fills: a
            strategy in Python is not told of them.
    """

    def __init__(self, config: BotConfig, instrument: Instrument, hedging: Hedging) -> None:
        for key in FOLLOWS_FILLS:
            if told := getattr(config.strategy, key, None):
                path = f"strategy.{key_of(key)}"
                raise ConfigError(path, told, "left out: a GridQuoter is not told of fills")
        self._hedging = hedging
        self._params = GridParameters(**grid_params(config, instrument))
        self._grid = GridStrategy(instrument, self._params)

    @property
    def params(self) -> GridParameters:
        """The parameters of the last ladder."""
        return self._grid.params

    def quote(self, view: View) -> Quotes | None:
        """Return the grid's ladder at a floor that pays for the hedge."""
        edge_ppm = self._hedging.machine.edge_floor_ppm()
        if edge_ppm is None:
            return None
        floor_ppm = self._params.fee_floor_ppm + edge_ppm
        if floor_ppm != self._grid.params.fee_floor_ppm:
            # A grid that may not be as wide as its floor would not quote at all.
            half_max_ppm = max(self._params.half_max_ppm, floor_ppm)
            self._grid.params = replace(
                self._params, fee_floor_ppm=floor_ppm, half_max_ppm=half_max_ppm
            )
        seen = {name: int(getattr(view, name)) for name in VIEW_FIELDS}
        quoting, ladder = self._grid.quote(seen | {"warm": 1})  # it is asked only when it is
        return Quotes(ladder["bids"], ladder["asks"]) if quoting else None
