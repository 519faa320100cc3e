"""Build the compiled kernels: the one list of extension modules, each with its directive profile.

``CHECKED`` keeps every run-time check of Cython on. ``HOT`` removes bounds, wraparound and
initialisation checks and is for modules whose checked build passes the same tests.
``OPENMM_CHECKED=1`` builds everything ``CHECKED``.
"""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

CHECKED = {
    "language_level": 3,
    "binding": True,
    "embedsignature": False,
    "freethreading_compatible": False,
    "boundscheck": True,
    "wraparound": True,
    "initializedcheck": True,
    "cdivision": False,
    "legacy_implicit_noexcept": False,
}
HOT = CHECKED | {
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
}

# Pipeline order: a kernel cimports only from lines above its own.
MODULES = {
    "openmm._fast.units": HOT,
    "openmm._fast.scan": HOT,
    "openmm._fast.book": HOT,
    "openmm._fast.signals": HOT,
    "openmm._fast.reference": HOT,
    "openmm._fast.orders": HOT,
    "openmm._fast.inventory": HOT,
    "openmm._fast.latency": HOT,
    "openmm._fast.tape": HOT,
    "openmm._fast.matching": HOT,
    "openmm._fast.quotes": HOT,
    "openmm._fast.planner": HOT,
    "openmm._fast.checks": HOT,
    "openmm._fast.ports": HOT,
    "openmm._fast.pipeline": HOT,
    "openmm._fast.feed": HOT,
    "openmm.strategy.grid": HOT,
    "openmm.venues.kraken.wire": HOT,
}

CFLAGS = ["-O3", "-Wall", "-Wextra", "-ffp-contract=off", "-fno-strict-aliasing",
          "-Wno-unused-parameter", "-Wno-unused-function", "-Wno-cast-function-type",
          "-Wno-missing-field-initializers"]  # fmt: skip


def extensions() -> list[Extension]:
    """Translate every module with its profile; `OPENMM_ONLY=book,orders` builds just those."""
    checked = os.environ.get("OPENMM_CHECKED") == "1"
    only = [part for part in os.environ.get("OPENMM_ONLY", "").split(",") if part]
    found: list[Extension] = []
    for name, profile in MODULES.items():
        if only and name.rsplit(".", 1)[1] not in only:
            continue
        source = Path(name.replace(".", "/") + ".pyx")
        if not source.exists():
            sys.exit(f"setup.py: source of extension {name} is missing: {source}")
        ext = Extension(name, [str(source)], extra_compile_args=CFLAGS)
        found += cythonize([ext], compiler_directives=CHECKED if checked else profile)
    return found


setup(ext_modules=extensions())
