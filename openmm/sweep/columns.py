"""What runs a combination: `backtest.columns`, the compiled engine over mapped columns."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Final, final

import msgspec

from openmm.backtest import columns
from openmm.backtest.model import Model
from openmm.config import BotConfig, parse
from openmm.data import store
from openmm.data.events import Events, finer
from openmm.errors import ConfigError
from openmm.sweep.figures import Figures, figures_of
from openmm.sweep.plan import Job, Spec
from openmm.sweep.space import kinds_of, with_point

SPANS_OPEN: Final = 4  # mapped at a time: the order of runs stays with one


@final
class Columns:
    """Runs combinations by `backtest.columns`: the compiled engine over mapped columns."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._data = job.data
        self._kinds = kinds_of(self._data)
        self._opened: OrderedDict[int, list[Events]] = OrderedDict()

    def __call__(self, spec: Spec) -> Figures:
        """Run one.

        Raises:
            ConfigError: the combination does not fit together, the market or the limits.
            OpenMMError: the data has no book, or cannot be read.
        """
        data, told = with_point(self._data, self._kinds, spec.point)
        try:
            model = msgspec.convert({**self._job.model, **told}, Model)
        except msgspec.ValidationError as error:
            raise ConfigError("model", told, str(error)) from error
        config = parse(data, source="run", folder=Path(self._job.folder))
        markets = self.events(config, spec.span)
        return figures_of(columns.run(config, markets, model), self._job.returns_ns)

    def events(self, config: BotConfig, span: int) -> list[Events]:
        """Return a span's markets, the quoted one first: mapped, in the venues' steps.

        Where those are finer than the file's, prices and quantities are a copy, made once.
        """
        found = self._opened.get(span)
        if found is None:
            parts = self._job.spans[span].parts
            found = [_in_steps(config, store.load(part.path, whole=False).events) for part in parts]
            self._opened[span] = found
            if len(self._opened) > SPANS_OPEN:
                self._opened.popitem(last=False)
        else:
            self._opened.move_to_end(span)
        return found


def _in_steps(config: BotConfig, events: Events) -> Events:
    venue = next((one for one in config.venue if columns.is_of(one, events)), config.quoted)
    made = columns.instrument_of(venue.name, events)
    steps = replace(events.market, tick_size=made.tick_size, lot_size=made.lot_size)
    same = (steps.tick_size, steps.lot_size) == (events.market.tick_size, events.market.lot_size)
    return events if same else finer(events, steps)
