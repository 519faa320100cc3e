"""What `bench_watched` counts under callgrind: `python bench/count_watched.py FILE SHORT LONG`.

FILE holds pickled frames by venue and mix: making them is not for an emulated processor. Each mix
of each venue is decoded twice, SHORT frames and LONG ones; what a frame costs is the difference.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from bench.bench_watched import WARM, decoder_of
from bench.watched_frames import VENUES
from openmm._fast.book import BookState
from openmm.testing.callgrind import section
from openmm.testing.workload import NARROW, WIDE


def main(file: str, short: int, long: int) -> None:
    """Decode, marked."""
    generated = pickle.loads(Path(file).read_bytes())
    for venue in VENUES:
        for mix in (NARROW, WIDE):
            frames = generated[venue, mix.name]
            decoder, book = decoder_of(venue, frames)
            decoder.decode_many(frames.frames[:WARM])
            for part, rows in (
                ("short", frames.frames[WARM : WARM + short]),
                ("long", frames.frames[WARM + short : WARM + short + long]),
            ):
                with section(f"decode_{venue}_{mix.name}/{part}"):
                    decoder.decode_many(rows)
            assert book.state is BookState.BOOK_VERIFIED


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
