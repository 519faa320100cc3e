"""A market-making engine for spot crypto venues: compiled hot path, thin asyncio loop.

The names below are the public ones; each is imported when it is first used, so that `import openmm`
costs nothing and a kernel can be imported alone.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openmm.config import BotConfig as BotConfig
    from openmm.config import load as load
    from openmm.config import parse as parse
    from openmm.config.secrets import Keys as Keys
    from openmm.engine.loop import Engine as Engine
    from openmm.engine.run import run_bot as run_bot
    from openmm.errors import ConfigError as ConfigError
    from openmm.errors import OpenMMError as OpenMMError
    from openmm.instrument import Instrument as Instrument
    from openmm.strategy.python import View as View
    from openmm.strategy.quotes import Quoter as Quoter
    from openmm.strategy.quotes import Quotes as Quotes

__version__ = "0.1.0"

_PUBLIC = {
    "BotConfig": "openmm.config",
    "ConfigError": "openmm.errors",
    "Engine": "openmm.engine.loop",
    "Instrument": "openmm.instrument",
    "Keys": "openmm.config.secrets",
    "OpenMMError": "openmm.errors",
    "Quoter": "openmm.strategy.quotes",
    "Quotes": "openmm.strategy.quotes",
    "View": "openmm.strategy.python",
    "load": "openmm.config",
    "parse": "openmm.config",
    "run_bot": "openmm.engine.run",
}


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])


def get_include() -> str:
    """Return the folder of the C headers, for extensions that cimport the kernels."""
    return str(Path(__file__).parent)
