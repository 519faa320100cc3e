"""All runs of a sweep as one Parquet file, in the plan's order, a row a slice: what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow
from pyarrow import parquet

from openmm.data.store import replacing
from openmm.sweep.figures import Figures, Moments
from openmm.sweep.plan import Job, Spec
from openmm.sweep.store import Result, SweepStore

FILE: Final = "results.parquet"
ROWS: Final = 8_192  # a row group
# What differs from one time to the next, and from place to place.
TIMINGS: Final = ("seconds", "host", "attempts")
_FIGURES: Final = msgspec.msgpack.Decoder(list[Figures])
_KINDS: Final = {
    "int": pyarrow.int64(), "float": pyarrow.float64(), "float | None": pyarrow.float64(),
    "bool": pyarrow.bool_(), "list[float]": pyarrow.list_(pyarrow.float64()),
}  # fmt: skip


def schema_of(keys: Sequence[str]) -> Any:
    """Return the columns: a slice of a run, its values as text (one a key), figures, timings.

    Figures are those of `figures.Figures`; null unless the run is done.
    """
    whole, text = pyarrow.int64(), pyarrow.string()
    figures = [
        (name, _KINDS[kind]) for name, kind in Figures.__annotations__.items() if name != "moments"
    ]
    sums = [
        ("returns", whole),
        ("covered_ns", whole),
        *((f"sum{power}", pyarrow.float64()) for power in range(1, 5)),
    ]
    return pyarrow.schema(
        [
            ("run_id", text), ("trial", whole), ("span", whole), ("slice", whole),
            ("market", text), ("start_ns", whole), ("end_ns", whole),
            *((key, text) for key in keys), ("state", text), ("why", text), *figures, *sums,
            ("sharpe", pyarrow.float64()), ("seconds", pyarrow.float64()), ("host", text),
            ("attempts", whole),
        ]
    )  # fmt: skip


def write(store: SweepStore, job: Job, keys: Sequence[str], path: Path) -> int:
    """Write what there is, a row a run and slice; returns the number of rows.

    Raises:
        DataError: it cannot be written.
    """
    schema = schema_of(keys)
    rows = (row for spec, result in store.results() for row in _rows(job, spec, result))
    count = 0
    with (
        replacing(path) as name,
        parquet.ParquetWriter(name, schema, compression="zstd") as out,
    ):
        while part := list(islice(rows, ROWS)):
            out.write_table(pyarrow.Table.from_pylist(part, schema=schema))
            count += len(part)
    return count


def _rows(job: Job, spec: Spec, result: Result) -> Iterator[dict[str, Any]]:
    span = job.spans[spec.span]
    run: dict[str, Any] = {
        "run_id": spec.run_id, "trial": spec.trial, "span": spec.span,
        "market": span.parts[0].label, "state": result.state, "why": result.why,
        "seconds": result.seconds, "host": result.host, "attempts": result.attempts,
        **dict(spec.point),
    }  # fmt: skip
    told = [] if result.figures is None else _FIGURES.decode(result.figures)
    for at, (place, start_ns, end_ns) in enumerate(span.slices):
        row = run | {"slice": place, "start_ns": start_ns, "end_ns": end_ns}
        if told:
            made = told[at]
            moments: Moments = made.moments
            row |= {name: getattr(made, name) for name in Figures.__struct_fields__}
            del row["moments"]
            row |= {"returns": moments.count, "sharpe": moments.sharpe}
            row |= {"covered_ns": moments.covered_ns}
            row |= {f"sum{power}": getattr(moments, f"sum{power}") for power in range(1, 5)}
        yield row
