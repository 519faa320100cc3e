"""What runs a combination: `backtest.columns`, the compiled engine over mapped columns."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Final, final

import msgspec

from openmm.backtest import columns
from openmm.backtest.model import Model
from openmm.config import parse
from openmm.data import store
from openmm.data.events import Events
from openmm.errors import ConfigError, DataError
from openmm.sweep.figures import Figures, figures_of
from openmm.sweep.plan import Job, Part, Spec
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

    def __call__(self, spec: Spec) -> list[Figures]:
        """Run one over the whole of its span; what came of it is told slice by slice.

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
        made = columns.run(config, self.events(spec.span), model)
        return figures_of(made, self._job.returns_ns, self._job.spans[spec.span].cuts)

    def events(self, span: int) -> list[Events]:
        """Return a span's markets, the quoted one first, mapped.

        Raises:
            DataError: a file is away, or holds another content than the plan's.
        """
        found = self._opened.get(span)
        if found is None:
            parts = self._job.spans[span].parts
            found = [_proven(part) for part in parts]
            self._opened[span] = found
            if len(self._opened) > SPANS_OPEN:
                self._opened.popitem(last=False)
        else:
            self._opened.move_to_end(span)
        return found


def _proven(part: Part) -> Events:
    """Map a part's file; what a run's id is a hash of is what it runs over."""
    events = store.load(part.path, whole=False).events
    content = store.digest(events)
    if content != part.content:
        raise DataError(part.path, "content", content, f"the plan's, {part.content}")
    return events
