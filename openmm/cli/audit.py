"""`openmm audit`: who asked for what, and the verdict."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from openmm.cli.output import EXIT_DONE, EXIT_FAILED, Json, emit, table
from openmm.cli.pick import Folder, root_of

EXAMPLE = "Example: openmm audit --bot btc-grid --writes --limit 20"


def audit(
    bot: Annotated[str, typer.Option("--bot", help="Of this bot only.")] = "",
    client: Annotated[str, typer.Option("--client", help="Of this client only.")] = "",
    writes: Annotated[bool, typer.Option("--writes", help="Only what changes something.")] = False,
    limit: Annotated[int, typer.Option("--limit", help="Most records, newest first.")] = 50,
    verify: Annotated[
        bool, typer.Option("--verify", help="Walk along the chain: is every record as it was?")
    ] = False,
    run_dir: Folder = None,
    json_: Json = False,
) -> int:
    """Show the calls of the control plane, newest first, or prove that none was changed.

    Exit code of --verify: 0 the chain holds, 1 it does not.
    """
    from itertools import islice

    from openmm.control.audit import Audit
    from openmm.control.home import Home
    from openmm.errors import ConfigError

    if not 1 <= limit <= 100_000:
        raise ConfigError("--limit", limit, "an integer from 1 to 100000")
    book = Audit(Home.find(root_of(run_dir)).audit)
    if verify:
        return _verify(book.path.exists() or book.mark.exists(), book, json_)
    found = list(
        islice(
            (
                one for one in book.newest()
                if (not bot or one.get("bot") == bot)
                and (not client or _caller(one).get("client") == client)
                and (not writes or "key" in one or one.get("scope") not in ("", "read"))
            ),
            limit,
        )
    )  # fmt: skip
    emit({"records": found}, json_, lambda: _text(found))
    return EXIT_DONE


def _verify(there: bool, book: Any, json_: bool) -> int:
    if not there:
        emit({"lines": 0, "files": 0, "problem": "", "last": ""}, json_, lambda: "no audit yet")
        return EXIT_DONE
    found = book.verify()
    payload = {
        "lines": found.lines, "files": found.files, "problem": found.problem, "last": found.last,
    }  # fmt: skip

    def text() -> str:
        held = f"broken: {found.problem}" if found.problem else "the chain holds"
        return f"{found.lines} records in {found.files} files: {held}\nlast: {found.last}"

    emit(payload, json_, text)
    return EXIT_FAILED if found.problem else EXIT_DONE


def _caller(record: dict[str, Any]) -> dict[str, Any]:
    caller = record.get("caller")
    return caller if isinstance(caller, dict) else {}


def _text(found: list[dict[str, Any]]) -> str:
    if not found:
        return "nothing on record"
    rows: list[tuple[str, ...]] = [("time", "client", "surface", "action", "bot", "verdict")]
    for one in found:
        caller = _caller(one)
        action = f"{one.get('action', '')}{' (preview)' if one.get('preview') else ''}"
        rows.append(
            (
                str(one.get("ts", ""))[:23], str(caller.get("client", "")),
                str(caller.get("surface", "")), action, str(one.get("bot") or "-"),
                str(one.get("verdict", ""))[:80],
            )
        )  # fmt: skip
    return table(rows)
