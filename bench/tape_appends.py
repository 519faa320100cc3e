"""Append payloads to a followed tape under callgrind: `tape_appends.py SHORT LONG SIZE...`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from openmm._fast.tape import Record, Tape
from openmm.testing.callgrind import section


def main(counts: Sequence[int], sizes: Sequence[int]) -> None:
    """Append into rings that have room for all of them, as behind a follower that keeps up."""
    for payload_bytes in sizes:
        with tempfile.TemporaryDirectory() as folder:
            tape = Tape(Path(folder) / "tape", size_bytes=1 << 24)
            payload = b"f" * payload_bytes
            for part, count in zip(("short", "long"), counts, strict=True):
                with section(f"{payload_bytes}/{part}"):
                    fitted = tape.append_many(Record.REC_FRAME, 0, payload, count)
                assert fitted == count


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    main(numbers[:2], numbers[2:])
