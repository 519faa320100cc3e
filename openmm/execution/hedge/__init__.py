"""Hedge the fills of one venue on another: a state machine of its own (docs/hedging.md)."""

from __future__ import annotations

from openmm.execution.hedge.machine import HedgeMachine as HedgeMachine
from openmm.execution.hedge.terms import HedgeTerms as HedgeTerms
from openmm.execution.hedge.terms import HedgeUnits as HedgeUnits
