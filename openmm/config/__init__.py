"""A bot's file: read, validated, and turned into the kernels' integers."""

from openmm.config.check import (
    check_with_instrument,
    instrument_errors,
    maker_fee_ppm,
    taker_fee_ppm,
)
from openmm.config.load import default_run_dir, load, parse, read_options
from openmm.config.params import (
    fair_params,
    grid_params,
    intensity_params,
    inventory_params,
    paper_balances,
    planner_params,
    reference_params,
    signal_params,
    source_params,
    wanted_signals,
)
from openmm.config.schema import BotConfig, Grid, PluginStrategy, PythonStrategy, Venue

__all__ = [
    "BotConfig",
    "Grid",
    "PluginStrategy",
    "PythonStrategy",
    "Venue",
    "check_with_instrument",
    "default_run_dir",
    "fair_params",
    "grid_params",
    "instrument_errors",
    "intensity_params",
    "inventory_params",
    "load",
    "maker_fee_ppm",
    "paper_balances",
    "parse",
    "planner_params",
    "read_options",
    "reference_params",
    "signal_params",
    "source_params",
    "taker_fee_ppm",
    "wanted_signals",
]
