"""`openmm record`: keep the raw frames of a public feed, with the time each came."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openmm.cli.output import EXIT_DONE, EXIT_FAILED, Json, emit, pairs
from openmm.cli.reach import Options, PairName, RestUrl, VenueName, reach
from openmm.cli.spans import span_s

if TYPE_CHECKING:
    from openmm.venues.capture import CaptureWriter
    from openmm.venues.desk import Desk

EXAMPLE = "Example: openmm record kraken BTC/USD --out btc.cbcap.zst --for 10m"
LOOK_S = 0.5


def record(
    venue: VenueName,
    pair: PairName,
    out: Annotated[Path, typer.Option("--out", help="The file to write; it must not be there.")],
    for_: Annotated[
        str, typer.Option("--for", help="How long, such as 10m; without it until Ctrl+C.")
    ] = "",
    depth: Annotated[
        int | None, typer.Option("--depth", help="Levels subscribed, one the venue offers.")
    ] = None,
    rest: RestUrl = "",
    ws: Annotated[str, typer.Option("--ws", help="Address of the public stream.")] = "",
    option: Options = None,
    json_: Json = False,
) -> int:
    """Record books and trades of a pair into a capture that verify and sim --replay read.

    Compressed with zstd and written out every second: a file that was cut off is readable to
    there. Ctrl+C ends it cleanly. Exit code 1 when no frame came.
    """
    from openmm.errors import ConfigError
    from openmm.venues.capture import CaptureWriter as Writer

    seconds = span_s("--for", for_) if for_ else None
    if out.exists():
        raise ConfigError("--out", str(out), "a file that is not there yet")
    if not out.absolute().parent.is_dir():
        raise ConfigError("--out", str(out), "in a folder that is there")

    async def run(desk: Desk) -> dict[str, Any]:
        try:
            with Writer(out, venue, pair, desk.now_ns()) as writer:
                lost = await _follow(desk, writer, pair, seconds, depth, quiet=json_)
        except OSError as error:
            raise ConfigError("--out", str(out), f"a file with room ({error.strerror})") from None
        return {
            "venue": venue, "pair": pair, "file": out, "frames": writer.frame_count,
            "bytes": writer.byte_count, "losses": lost,
        }  # fmt: skip

    told = reach(venue, run, endpoints={"rest": rest, "ws": ws}, options=option)
    emit(told, json_, lambda: pairs(told))
    return EXIT_DONE if told["frames"] else EXIT_FAILED


async def _follow(
    desk: Desk, writer: CaptureWriter, pair: str, seconds: float | None, depth: int | None, *,
    quiet: bool,
) -> int:  # fmt: skip
    """Write frames until told to stop; returns how often the stream was lost.

    Raises:
        OSError: the file cannot be written.
        VenueError: the venue refuses the stream for good.
    """
    import asyncio
    import signal

    from openmm.venues.stream import StreamLost

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    stream = await desk.market_stream(pair, levels=1, depth=depth, tap=writer.write)

    lost = 0

    async def read() -> None:
        nonlocal lost
        async for event in stream:
            lost += isinstance(event, StreamLost)

    shown = not quiet and sys.stderr.isatty()
    started_s = loop.time()
    async with stream:
        reading, stopping = asyncio.create_task(read()), asyncio.create_task(stop.wait())
        try:
            while not stopping.done() and not reading.done():
                spent_s = loop.time() - started_s
                if seconds is not None and spent_s >= seconds:
                    break
                left_s = LOOK_S if seconds is None else min(LOOK_S, seconds - spent_s)
                await asyncio.wait(
                    [stopping, reading], timeout=left_s, return_when=asyncio.FIRST_COMPLETED
                )
                writer.flush()
                if shown:
                    _show(writer, spent_s, seconds)
            if reading.done():
                reading.result()
        finally:
            if shown:
                sys.stderr.write("\n")
            for task in (reading, stopping):
                task.cancel()
            await asyncio.gather(reading, stopping, return_exceptions=True)
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
    return lost


def _show(writer: CaptureWriter, spent_s: float, seconds: float | None) -> None:
    total = "" if seconds is None else f" of {seconds:.0f}"
    sys.stderr.write(
        f"\r{spent_s:.0f}{total} s  {writer.frame_count:,} frames  {writer.byte_count:,} bytes "
    )
