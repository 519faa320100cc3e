"""What each run did, as Parquet: its fills, the stays of its orders, and a mark a second.

Amounts are exact decimals, in quote or base units of the quoted market; times are timestamps in ns,
UTC. What was not known is null.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow
from numpy.typing import NDArray
from pyarrow import parquet

from openmm._fast.units import UTICKS_PER_TICK, Side
from openmm.backtest.columns import FILL_FIELDS, MARK_FIELDS, ORDER_FIELDS
from openmm.backtest.gather import Span
from openmm.backtest.trials import Trial, to_json
from openmm.errors import CommandError, ConfigError
from openmm.whole import SHARED, write_whole

Int64s: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Columns: TypeAlias = dict[str, Any]

INDEX: Final = "runs.json"
_DIGITS: Final = 38  # of a decimal of 128 bits
_WORD: Final = (1 << 64) - 1
_NAMED: Final = re.compile(r"[^\w.=+-]+", re.ASCII)
_NAME_MAX: Final = 100


def claim(option: str, folder: Path) -> None:
    """Make a folder for files, before anything is run.

    Raises:
        ConfigError: it is not empty, or cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigError(option, str(folder), "a folder that is empty, or not there yet")
    except OSError as error:
        allowed = f"a folder that is there or can be made ({error.strerror})"
        raise ConfigError(option, str(folder), allowed) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(option, str(folder), "a folder that can be written to")


def write(trials: Sequence[Trial], spans: Sequence[Span], folder: Path) -> None:
    """Write a folder a run, and last `runs.json`: what `to_json` tells, with each run's `folder`.

    Args:
        folder: that is there, and empty.

    Raises:
        CommandError: a file cannot be written.
    """
    told = to_json(trials, spans)
    names = names_of(trials, spans)
    try:
        for one, name, run in zip(trials, names, told["runs"], strict=True):
            (folder / name).mkdir()
            head = _head(one)
            for kind, columns in _KINDS.items():
                table = pyarrow.table(columns(one)).replace_schema_metadata(head)
                parquet.write_table(table, folder / name / f"{kind}.parquet", compression="zstd")
            run["folder"] = name
        text = json.dumps(told, indent=2)
        write_whole(folder / INDEX, text.encode(), mode=SHARED)
    except OSError as error:
        told_why = error.strerror or str(error)
        raise CommandError(f"cannot write to {folder}: {told_why}") from None


def names_of(trials: Sequence[Trial], spans: Sequence[Span]) -> list[str]:
    """Return a folder's name for each run: its label, ahead of it the span where there are several.

    Whatever is no plain letter, digit or one of `. = + - _` becomes a `_`; of several alike all but
    the first have a number, capitals and small letters counting as one.
    """
    made: list[str] = []
    taken: set[str] = set()
    for one in trials:
        when = f"{one.span.name.partition(',')[0]} " if len(spans) > 1 else ""
        name = _NAMED.sub("_", when.replace(":", "") + one.label)[:_NAME_MAX].strip(".") or "run"
        found, number = name, 1
        while found.casefold() in taken:
            number += 1
            found = f"{name}_{number}"
        taken.add(found.casefold())
        made.append(found)
    return made


def _head(one: Trial) -> Mapping[str, str]:
    instrument = one.outcome.instrument
    return {
        "run": one.label, "span": one.span.name, "bot": one.outcome.bot, "pair": instrument.name,
        "base": instrument.base, "quote": instrument.quote,
        "tick_size": format(instrument.tick_size, "f"),
        "lot_size": format(instrument.lot_size, "f"),
    }  # fmt: skip


def fills(one: Trial) -> Columns:
    """Return our executions, in the order in which we were told."""
    rows = _by_name(one.outcome.fills, FILL_FIELDS)
    return {
        "told_at": _times(rows["told_ns"]), "order": pyarrow.array(rows["seq"]),
        "side": _sides(rows["side"]), "price": _prices(one, rows), "qty": _lots(one, rows, "qty"),
        "maker": pyarrow.array(rows["maker"] != 0), "reference": _references(one, rows),
        "ahead": _lots(one, rows, "ahead"), "joined_at": _times(rows["joined_ns"]),
        "level": _levels(rows),
        **{
            name.removesuffix("_uticks"): _uticks(one, column)
            for name, column in rows.items() if name.startswith("after_")
        },
    }  # fmt: skip


def orders(one: Trial) -> Columns:
    """Return stays: an order at one place in one queue, until its fill, cancel or move."""
    rows = _by_name(one.outcome.orders, ORDER_FIELDS)
    return {
        "order": pyarrow.array(rows["seq"]), "began_at": _times(rows["began_ns"]),
        "ended_at": _times(rows["ended_ns"]), "side": _sides(rows["side"]),
        "level": _levels(rows), "price": _prices(one, rows), "qty": _lots(one, rows, "qty"),
        "filled": _lots(one, rows, "filled"), "reference": _references(one, rows),
        "ahead": _lots(one, rows, "ahead"), "moves": pyarrow.array(rows["moves"]),
    }  # fmt: skip


def marks(one: Trial) -> Columns:
    """Return the account at each second, with net and flattened: the P&L of `measures.Curve`."""
    rows = _by_name(one.outcome.marks, MARK_FIELDS)
    unit, lot = one.measures.unit, one.measures.lot_size
    # Of the curve the start and the end are no marks.
    curve = slice(1, 1 + len(rows["told_ns"]))
    return {
        "told_at": _times(rows["told_ns"]),
        "equity": decimals(rows["equity_ticklots"], unit),
        "net": decimals(one.measures.curve.pnl_ticklots[curve], unit),
        "flattened": decimals(one.measures.curve.flattened_ticklots[curve], unit),
        "exit_cost": decimals(rows["exit_ticklots"], unit),
        "base": decimals(rows["base_lots"], lot),
        "position": decimals(one.measures.curve.position_lots[curve], lot),
        "reference": _references(one, rows), "live_orders": pyarrow.array(rows["live_count"]),
    }  # fmt: skip


_KINDS: Final[Mapping[str, Callable[[Trial], Columns]]] = {
    "fills": fills, "orders": orders, "marks": marks,
}  # fmt: skip


def decimals(counts: Int64s, step: Decimal, unknown: Bools | None = None) -> Any:
    """Return counts of a step as exact decimals, as many digits behind the point as the step has.

    Args:
        counts: int64[n].
        step: above zero.
        unknown: bool[n], which are null; None: none.
    """
    exponent = min(int(step.as_tuple().exponent), 0)
    factor = int(step.scaleb(-exponent))
    widest = max(-int(counts.min(initial=0)), int(counts.max(initial=0)))
    halves = np.empty((len(counts), 2), np.int64)
    if widest * factor < 1 << 63:
        halves[:, 0] = counts * factor
        halves[:, 1] = halves[:, 0] >> 63
    else:
        wide = [one * factor for one in counts.tolist()]
        halves[:, 0] = np.array([one & _WORD for one in wide], np.uint64).view(np.int64)
        halves[:, 1] = [one >> 64 for one in wide]
    valid, missing = None, 0
    if unknown is not None and unknown.any():
        valid = pyarrow.array(~unknown).buffers()[1]
        missing = int(np.count_nonzero(unknown))
    kind = pyarrow.decimal128(_DIGITS, -exponent)
    data = pyarrow.py_buffer(halves.astype("<i8").tobytes())
    return pyarrow.Array.from_buffers(kind, len(counts), [valid, data], missing)


def _by_name(rows: Int64s, names: Sequence[str]) -> dict[str, Int64s]:
    return dict(zip(names, np.ascontiguousarray(rows.T), strict=True))


def _times(ns: Int64s) -> Any:
    return pyarrow.array(ns, pyarrow.timestamp("ns", "UTC"), mask=ns <= 0)


def _sides(sides: Int64s) -> Any:
    told = pyarrow.array(np.where(sides == int(Side.BUY), 0, 1), pyarrow.int32())
    return pyarrow.DictionaryArray.from_arrays(told, pyarrow.array(["buy", "sell"]))


def _levels(rows: Mapping[str, Int64s]) -> Any:
    return pyarrow.array(rows["level"], mask=rows["level"] < 0)


def _prices(one: Trial, rows: Mapping[str, Int64s]) -> Any:
    return decimals(rows["price_ticks"], one.outcome.instrument.tick_size)


def _lots(one: Trial, rows: Mapping[str, Int64s], name: str) -> Any:
    found = rows[f"{name}_lots"]
    return decimals(found, one.measures.lot_size, found < 0)


def _references(one: Trial, rows: Mapping[str, Int64s]) -> Any:
    return _uticks(one, rows["reference_uticks"])


def _uticks(one: Trial, found: Int64s) -> Any:
    return decimals(found, one.outcome.instrument.tick_size / UTICKS_PER_TICK, found <= 0)
