"""What `bench_watched` counts under callgrind: `python bench/count_watched.py SHORT LONG`.

Each mix of each venue is decoded twice, SHORT frames and LONG ones; what a frame costs is the
difference.
"""

from __future__ import annotations

import sys

from bench.bench_watched import decoder_of
from bench.watched_frames import VENUES, generated
from openmm._fast.book import BookState
from openmm.testing.callgrind import section
from openmm.testing.workload import NARROW, WIDE


def main(short: int, long: int) -> None:
    """Decode, marked."""
    for venue in VENUES:
        for mix in (NARROW, WIDE):
            frames = generated(venue, mix, 200 + short + long)
            decoder, book = decoder_of(venue, frames)
            decoder.decode_many(frames.frames[:199])
            for part, rows in (
                ("short", frames.frames[199 : 199 + short]),
                ("long", frames.frames[199 + short : 199 + short + long]),
            ):
                with section(f"decode_{venue}_{mix.name}/{part}"):
                    decoder.decode_many(rows)
            assert book.state is BookState.BOOK_VERIFIED


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
