"""`openmm verify`: put recordings through a venue's decoder and book."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from openmm.cli.output import EXIT_DONE, EXIT_FAILED, Json, emit, table

EXAMPLE = "Example: openmm verify --venue kraken --json capture.cbcap.gz"
BAD = ("checksums_failed", "gaps", "crossed", "errors")


def verify(
    files: Annotated[list[Path], typer.Argument(help="Recordings of raw frames.")],
    venue: Annotated[str, typer.Option("--venue", help="Whose protocol they are in.")] = "kraken",
    json_: Json = False,
) -> int:
    """Count what recordings hold and whether every book of them verifies.

    With --json one object: the totals, and the same for each file in `files`. Exit code 1 when a
    checksum failed, messages were lost, a book was crossed or bytes were not understood.
    """
    from dataclasses import asdict

    from openmm.errors import ConfigError
    from openmm.venues import registry

    entry = registry.get(venue)
    for file in files:
        if not file.is_file():
            raise ConfigError("file", str(file), "a file that is there")
    counts: list[dict[str, Any]] = [asdict(entry.verify(file)) for file in files]
    total = {key: sum(one[key] for one in counts) for key in counts[0]}
    payload: dict[str, Any] = {"venue": venue, **total}
    payload["files"] = [{"file": file, **one} for file, one in zip(files, counts, strict=True)]
    emit(payload, json_, lambda: _text(files, counts, total))
    return EXIT_FAILED if any(total[key] for key in BAD) else EXIT_DONE


def _text(files: list[Path], counts: list[dict[str, Any]], total: dict[str, Any]) -> str:
    rows: list[tuple[str, ...]] = [("", *(file.name for file in files))]
    rows += [(key, *(f"{one[key]:,}" for one in counts)) for key in total]
    if len(files) > 1:
        rows = [
            (*row, "total" if not index else f"{total[row[0]]:,}") for index, row in enumerate(rows)
        ]
    return table(rows)
