"""Combinations that Optuna suggests, in batches: each follows from the results of those before.

The suggestions are a function of seed, ranges and results: asked again with the results that are
kept, it asks for the same runs, which are there already, until it comes to the first that is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, final

import optuna

from openmm.sweep.space import Choices, Dimension, Point

VERSION: Final = str(optuna.__version__)


@final
class Suggestions:
    """A study by the tree-structured Parzen estimator.

    Source: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization"; as in Optuna,
        https://optuna.readthedocs.io/en/stable/reference/samplers/generated/optuna.samplers.TPESampler.html.
    """

    def __init__(self, space: Sequence[Dimension], seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed)
        )
        self._asked: list[Any] = []

    def ask(self, count: int) -> list[Point]:
        """Return the next combinations; two of them may be the same."""
        self._asked = [self._study.ask() for _ in range(count)]
        return [tuple((one.key, self._value(trial, one)) for one in self._space)
                for trial in self._asked]  # fmt: skip

    def tell(self, values: Sequence[float | None]) -> None:
        """Take in what came of those asked for, in their order; None: nothing that counts."""
        for trial, value in zip(self._asked, values, strict=True):
            if value is None:
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                self._study.tell(trial, value)
        self._asked = []

    @staticmethod
    def _value(trial: Any, one: Dimension) -> str:
        if isinstance(one, Choices):
            return str(trial.suggest_categorical(one.key, one.values))
        return one.told(
            trial.suggest_float(one.key, float(one.low), float(one.high), log=one.log)
        )  # fmt: skip
