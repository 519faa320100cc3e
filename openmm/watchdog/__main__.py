"""`python -m openmm.watchdog`: started by an engine, which tells on standard input whom to watch.

The first line is one JSON object: `venue` (the table of the bot's file), `bot`, `root` (the folder
of run folders), `pid`, `silent_s`, `key`, `secret`, `passphrase`. Then the engine holds the pipe
open; a line `bye` before its end dismisses the watchdog. Exit code 0: nothing of the bot is open,
or another engine has taken over; 1: it could not be proven, standard error says why.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import orjson

from openmm.config.schema import Venue
from openmm.config.secrets import Keys
from openmm.engine.neighbours import market_of, open_board
from openmm.engine.rundir import RunDir
from openmm.errors import OpenMMError, VenueError
from openmm.undumped import keep_to_itself
from openmm.venues import registry
from openmm.venues.claims import account_name
from openmm.venues.connector import Connector
from openmm.watchdog.watch import Watchdog, Watched

READY = b"ready\n"
BYE = b"bye"
START_TRIES, START_PAUSE_S = 20, 0.5


def write_log(message: str, **values: object) -> None:
    """Write one line of JSON to standard error."""
    line = {"ts_ns": time.time_ns(), "process": "watchdog", "message": message} | values
    sys.stderr.buffer.write(orjson.dumps(line) + b"\n")
    sys.stderr.flush()


async def watch(asked: dict[str, Any], reader: asyncio.StreamReader) -> bool:
    """Watch the engine that `asked` names; returns whether nothing of the bot is open."""
    venue = Venue.model_validate(asked["venue"])
    connector = registry.connector(venue, Keys(asked["key"], asked["secret"], asked["passphrase"]))
    try:
        await _prepare(connector, venue, asked["bot"])
        gone = asyncio.Event()
        farewell = bytearray()

        async def listen() -> None:
            while data := await reader.read(64):
                farewell.extend(data)
            gone.set()

        listening = asyncio.create_task(listen())
        try:
            os.write(1, READY)
        except BrokenPipeError:
            # The engine went away while we started: the closed pipe tells how.
            write_log("nobody waits for us any more")
        watched = Watched(
            RunDir(Path(asked["root"]), asked["bot"]), asked["pid"], asked["silent_s"]
        )
        watchdog = Watchdog(
            watched, connector.rest(), lambda one: is_of_bot(connector, one), gone,
            lambda: BYE in farewell, write_log, on_fire=lambda: os.close(1),
        )  # fmt: skip
        closed = await watchdog.run()
        listening.cancel()
        if watchdog.proven:
            _leave_board(venue, asked["bot"], asked["key"])
        return closed
    finally:
        await connector.rest().close()


def is_of_bot(connector: Connector, client_id: str) -> bool:
    """Whether an id is the bot's, of whatever session: the watchdog has none of its own."""
    return connector.is_earlier(client_id) or connector.is_later(client_id)


def _leave_board(venue: Venue, bot: str, key: str) -> None:
    """Let other bots quote where the one that is gone did: nothing of it is open."""
    account = account_name(venue.name, venue.endpoints.rest or "", key)
    try:
        board = open_board()
        freed = board.proven(market_of(venue), bot=bot, account=account)
        board.close()
    except OpenMMError as error:
        write_log("the bot's row stays on the board", error=str(error))
        return
    if freed:
        write_log("off the board: other bots need not keep clear any more")


async def _prepare(connector: Connector, venue: Venue, bot: str) -> None:
    """Learn the pair, so that lists of orders can be read and client ids told apart."""
    for attempt in range(START_TRIES):
        try:
            found = await connector.rest().instruments([venue.pair])
            connector.order_encoder(found[venue.pair], bot=bot, session_s=0)
            return
        except VenueError as error:
            write_log("not ready", error=str(error))
            if attempt + 1 == START_TRIES:
                raise
            await asyncio.sleep(START_PAUSE_S)


async def _main() -> int:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    asked = orjson.loads(await reader.readline())
    return 0 if await watch(asked, reader) else 1


def main() -> int:
    """Run the process; return its exit code."""
    keep_to_itself()
    # Ctrl+C is for the engine; this process ends when it has.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return asyncio.run(_main())
    except OpenMMError as error:
        write_log(str(error))
    return 1


if __name__ == "__main__":
    sys.exit(main())
