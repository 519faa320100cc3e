"""What `bench_venues` counts under callgrind: `python bench/count_venues.py FILE WARM SHORT LONG`.

FILE holds pickled frames by name: making them is not for an emulated processor. Behind WARM frames
each set is decoded twice, SHORT frames and LONG ones; what a frame costs is the difference.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from bench.venue_decoders import decoder_of
from openmm._fast.book import BookState
from openmm.testing.callgrind import section


def main(file: str, warm: int, short: int, long: int) -> None:
    """Decode, marked."""
    for name, frames in pickle.loads(Path(file).read_bytes()).items():
        decoder, book = decoder_of(frames)
        decoder.decode_many(frames.frames[:warm])
        for part, rows in (
            ("short", frames.frames[warm : warm + short]),
            ("long", frames.frames[warm + short : warm + short + long]),
        ):
            with section(f"{name}/{part}"):
                decoder.decode_many(rows)
        assert book.state is BookState.BOOK_VERIFIED


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
