"""Append a payload to a followed tape so many times: `tape_appends.py PAYLOAD_BYTES COUNT`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from openmm._fast.tape import Record, Tape


def main(payload_bytes: int, count: int) -> None:
    """Append into a ring that has room for all of them, as behind a follower that keeps up."""
    with tempfile.TemporaryDirectory() as folder:
        tape = Tape(Path(folder) / "tape", size_bytes=1 << 26)
        payload = b"f" * payload_bytes
        assert tape.append_many(Record.REC_FRAME, 0, payload, count) == count


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
