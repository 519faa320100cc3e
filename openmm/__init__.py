"""A market-making engine for spot crypto venues: compiled hot path, thin asyncio loop."""

from __future__ import annotations

from pathlib import Path

__all__ = ["__version__", "get_include"]

__version__ = "0.1.0"


def get_include() -> str:
    """Return the folder of the C headers, for extensions that cimport the kernels."""
    return str(Path(__file__).parent)
