"""`python -m openmm.writer --tape PATH --journal DIR --store URL`: the process that follows a tape.

Without `--tape`, `--session ID` books a journal that is already on disk into the store.
Exit code 0: journal and store are complete; 1: they are not, standard error says why.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from openmm import __version__
from openmm.address import STORE_VARIABLE
from openmm.errors import OpenMMError
from openmm.undumped import keep_to_itself
from openmm.writer.follow import Follower, Timing, write_log
from openmm.writer.retention import Retention


def main(arguments: list[str] | None = None) -> int:
    """Run the process; return its exit code."""
    # The store's address may hold a password.
    keep_to_itself()
    usual = Timing()
    parser = argparse.ArgumentParser(prog="python -m openmm.writer", description=__doc__)
    parser.add_argument("--tape", type=Path, help="ring to follow")
    parser.add_argument("--left", type=Path, action="append", default=[],
                        help="ring that a session before left; may be repeated")  # fmt: skip
    parser.add_argument("--session", help="without --tape: the session to book from its journal")
    parser.add_argument("--journal", type=Path, required=True, help="folder of the journals")
    parser.add_argument("--store", default=os.environ.get(STORE_VARIABLE),
                        help=f"URL of the store; else {STORE_VARIABLE}")  # fmt: skip
    parser.add_argument(
        "--build", default=f"openmm-engine {__version__}", help="named in the journal"
    )
    parser.add_argument("--segment-bytes", type=int, default=usual.segment_bytes)
    parser.add_argument("--free-bytes", type=int, default=usual.free_bytes_min,
                        help="disk space below which quoting stops")  # fmt: skip
    parser.add_argument("--sync-s", type=float, default=usual.sync_s,
                        help="seconds between forced writes to the disk")  # fmt: skip
    parser.add_argument("--keep-bytes", type=int, help="size of all journals; older ones go")
    parser.add_argument("--keep-days", type=int, help="age beyond which ended sessions' go")
    parser.add_argument("--keep-sessions", type=int, help="ended sessions whose journals stay")
    options = parser.parse_args(arguments)
    if (options.tape is None) == (options.session is None):
        parser.error("give either --tape or --session")
    if not options.store:
        parser.error(f"give --store or {STORE_VARIABLE}")
    try:
        if options.tape is None:
            from openmm.writer.books import rebuild

            rebuild(options.journal, options.store, options.session)
            return 0
        follower = Follower(
            options.tape,
            options.journal,
            options.store,
            left=options.left,
            build=options.build,
            retention=Retention(options.keep_bytes, options.keep_days, options.keep_sessions),
            timing=Timing(
                sync_s=options.sync_s,
                free_bytes_min=options.free_bytes,
                segment_bytes=options.segment_bytes,
            ),
        )

        def stop(_number: int, _frame: FrameType | None) -> None:
            follower.stopping = True

        signal.signal(signal.SIGTERM, stop)
        # Ctrl+C is for the engine; this process ends when the session has.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        gc.freeze()
        if follower.run():
            return 0
        write_log("the store is behind the journal: run again with --session")
    except OpenMMError as error:
        write_log(str(error))
    except OSError as error:
        write_log(f"{error.strerror}: {error.filename}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
