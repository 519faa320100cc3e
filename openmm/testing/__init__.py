"""Public fixtures: the canonical workload and bot, the gate table, the callgrind runner, questions
to strategies.

Each name is imported when it is first used. See docs/benchmarks.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openmm.testing.callgrind import Section as Section
    from openmm.testing.callgrind import compiler as compiler
    from openmm.testing.callgrind import run_sections as run_sections
    from openmm.testing.callgrind import section as section
    from openmm.testing.calls import call_strategy as call_strategy
    from openmm.testing.canonical import CanonicalBot as CanonicalBot
    from openmm.testing.canonical import frames_of as frames_of
    from openmm.testing.canonical import make_bot as make_bot
    from openmm.testing.gates import Gate as Gate
    from openmm.testing.gates import Outcome as Outcome
    from openmm.testing.gates import load_counts as load_counts
    from openmm.testing.gates import load_gates as load_gates
    from openmm.testing.gates import run_gates as run_gates
    from openmm.testing.gates import write_counts as write_counts
    from openmm.testing.strategies import Quoted as Quoted
    from openmm.testing.strategies import any_markets as any_markets
    from openmm.testing.strategies import ask as ask
    from openmm.testing.strategies import faults as faults
    from openmm.testing.strategies import market_view as market_view
    from openmm.testing.strategies import wrapped as wrapped
    from openmm.testing.virtual import VirtualBot as VirtualBot
    from openmm.testing.workload import MIXED as MIXED
    from openmm.testing.workload import NARROW as NARROW
    from openmm.testing.workload import WIDE as WIDE
    from openmm.testing.workload import Workload as Workload
    from openmm.testing.workload import WorkloadSpec as WorkloadSpec
    from openmm.testing.workload import canonical_instrument as canonical_instrument
    from openmm.testing.workload import make_workload as make_workload

_PUBLIC = {
    "CanonicalBot": "canonical",
    "Gate": "gates",
    "MIXED": "workload",
    "NARROW": "workload",
    "Outcome": "gates",
    "Quoted": "strategies",
    "Section": "callgrind",
    "VirtualBot": "virtual",
    "WIDE": "workload",
    "Workload": "workload",
    "WorkloadSpec": "workload",
    "any_markets": "strategies",
    "ask": "strategies",
    "call_strategy": "calls",
    "canonical_instrument": "workload",
    "compiler": "callgrind",
    "faults": "strategies",
    "frames_of": "canonical",
    "load_counts": "gates",
    "load_gates": "gates",
    "make_bot": "canonical",
    "make_workload": "workload",
    "market_view": "strategies",
    "run_gates": "gates",
    "run_sections": "callgrind",
    "section": "callgrind",
    "wrapped": "strategies",
    "write_counts": "gates",
}


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
