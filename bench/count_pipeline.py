"""What `bench_pipeline` counts under callgrind: the book, decoding, and the canonical bot.

`python bench/count_pipeline.py FILE SHORT LONG`: FILE holds pickled workloads by mix,
and book streams by depth and part: making them is not for an emulated processor. Every kind of
work is done twice, with SHORT frames and with LONG ones; what a frame costs is the difference.
Prints how many orders the long part of the re-quoting bot sent beyond the short one's.
"""

from __future__ import annotations

import pickle
import sys
from array import array
from pathlib import Path

from bench.book_streams import Stream, table
from openmm._fast.book import Book
from openmm._fast.signals import Want
from openmm.testing.callgrind import section
from openmm.testing.canonical import CanonicalBot, frames_of, make_bot

WARM = 2_000
NEVER_UTICKS = 1 << 50


def book_levels(streams: dict[int, dict[str, Stream]]) -> None:
    """Apply level updates, both best prices read after each message, on a shallow and a deep book.

    Prints how many levels the long part had beyond the short one.
    """
    for depth, parts in streams.items():
        rows = {}
        for part, stream in parts.items():
            changes, ends = table(stream.rows), array("q", stream.ends)
            book = Book()
            book.apply_many(table(stream.snapshot))
            with section(f"level_{depth}/{part}"):
                book.replay(changes, ends)
            rows[part] = len(stream.rows)
        print(f"level_{depth}", rows["long"] - rows["short"])


def main(file: str, short: int, long: int) -> None:
    """Run every kind of work, marked."""
    workloads, streams = pickle.loads(Path(file).read_bytes())
    book_levels(streams)
    ends = (WARM, WARM + short, WARM + short + long)
    for mix in ("narrow", "wide"):
        frames = frames_of(workloads[mix])
        feed = make_bot().feed
        feed.decode(frames, 0, WARM)
        for part, start, stop in zip(("short", "long"), ends, ends[1:], strict=False):
            with section(f"decode_{mix}/{part}"):
                feed.decode(frames, start, stop)
    frames = frames_of(workloads["mixed"])

    def run(bot: CanonicalBot, name: str) -> None:
        pipeline, feed = bot.pipeline, bot.feed
        orders = []
        for part, start, stop in zip(("short", "long"), ends, ends[1:], strict=False):
            before = pipeline.sent_count
            with section(f"{name}/{part}"):
                pipeline.run(feed, frames, start, stop, accept=True)
            orders.append(pipeline.sent_count - before)
        assert pipeline.lost_record_count == 0
        assert pipeline.write_failed_count == 0
        if name == "requote":
            print("orders", orders[1] - orders[0])

    for name in ("requote", "skip", "watch"):
        bot = make_bot()
        if name == "watch":
            # Every signal is computed, none is followed: the same orders as those of `requote`.
            bot.feed.signals.set_wanted(Want.WANT_MICRO | Want.WANT_IMBALANCE | Want.WANT_OFI)
        bot.pipeline.run(bot.feed, frames, 0, WARM, accept=True)
        if name == "skip":
            bot.pipeline.set_requote_uticks(NEVER_UTICKS)
        run(bot, name)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
