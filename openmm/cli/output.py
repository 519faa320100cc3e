"""How commands speak: text for people, one JSON object for machines, errors in one line."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from openmm.errors import CommandError, ConfigError, ConfigErrors, OpenMMError
from openmm.whole import SHARED, write_whole

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_HALTED = 3
NAME_BYTES_MAX = 230  # of a file: it is written under a longer one first

Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON object instead of text.")
]


def emit(payload: Mapping[str, Any], as_json: bool, text: Callable[[], str]) -> None:
    """Print a result: the object as JSON, or the text made of it.

    Raises:
        CommandError: it cannot be printed, the place it goes to is full, say.
    """
    line(json.dumps(payload, default=_plain, indent=2) if as_json else text())


def line(told: str) -> None:
    """Print a line, at once.

    Raises:
        CommandError: it cannot be printed.
    """
    try:
        typer.echo(told)
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is left in the buffer would fail again at the end.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        raise CommandError(f"cannot print the result: {error.strerror}") from None


def on_terminal() -> bool:
    """Whether people read the output: it is a terminal, not a file."""
    return sys.stdout.isatty()


def need(package: str, what: str) -> None:
    """Refuse a command whose package is not installed.

    Args:
        what: needs it, as people are told.

    Raises:
        CommandError: it is not.
    """
    try:
        importlib.import_module(package)
    except ModuleNotFoundError:
        raise CommandError(
            f"{what} needs a package that is not installed ({package}): "
            "pip install 'openmm-engine[research]'"
        ) from None


def emit_beside(
    write: Callable[[], None], payload: Mapping[str, Any], as_json: bool, text: Callable[[], str]
) -> None:
    """Write files and print a result, which is printed whatever becomes of the files.

    Raises:
        CommandError: a file cannot be written, or the result not be printed.
    """
    try:
        write()
    finally:
        emit(payload, as_json, text)


def need_place(option: str, path: Path | None) -> None:
    """Refuse a file that cannot be written, before anything is done for it.

    Raises:
        ConfigError: its folder is not there, or it cannot be written.
    """
    if path is None:
        return
    folder, allowed = path.absolute().parent, ""
    if not os.path.isdir(folder):
        allowed = "a file in a folder that is there"
    elif os.path.isdir(path):
        allowed = "a file, no folder"
    elif len(os.fsencode(path.name)) > NAME_BYTES_MAX:
        allowed = f"a name of {NAME_BYTES_MAX} bytes at most"
    elif not os.access(path if os.path.exists(path) else folder, os.W_OK):
        allowed = "a file that may be written"
    if allowed:
        raise ConfigError(option, str(path), allowed)


def need_page(option: str, path: Path | None) -> None:
    """Refuse to write a page over what is none of ours: a market, say, or a bot's file.

    Raises:
        ConfigError: it is such a file, or none that can be written.
    """
    need_place(option, path)
    if path is None or not path.is_file():
        return
    from openmm.settlement.page import OPENING

    wanted = OPENING.encode()
    try:
        with path.open("rb") as file:
            begin = file.read(len(wanted))
    except OSError as error:
        allowed = f"a page's file that can be read ({error.strerror})"
        raise ConfigError(option, str(path), allowed) from None
    if begin not in (b"", wanted):
        allowed = "a file that is not there yet, or a page of ours, which is replaced"
        raise ConfigError(option, str(path), allowed)


def write_file(path: Path, text: str) -> None:
    """Write a file that a command was asked for: whole, or what was there stays.

    Raises:
        CommandError: it cannot be written.
    """
    try:
        if os.path.exists(path) and not path.is_file():  # /dev/stdout, a pipe
            path.write_text(text, encoding="utf-8")
            return
        write_whole(path.resolve(), text.encode(), mode=SHARED)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from None


def _plain(value: object) -> object:
    """Write what JSON has no form for: decimals as exact text, paths and enums as text."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    raise TypeError(f"no JSON form: {value!r}")


def fail(code: str, message: str, as_json: bool, exit_code: int) -> int:
    """Report an error on the error stream; return the exit code."""
    sys.stderr.write(_line(code, message, as_json))
    return exit_code


def _line(code: str, message: str, as_json: bool) -> str:
    if as_json:
        return json.dumps({"error": {"code": code, "message": message}}) + "\n"
    return f"openmm: {message}\n"


def maps_files(as_json: bool) -> None:
    """Let this command say why it ends when a file that it has mapped is cut short meanwhile."""
    from openmm.data.cut import say_when_cut

    told = "a data file was cut short while it was read: leave files alone meanwhile, and run again"
    say_when_cut(_line("data", told, as_json).encode(), EXIT_FAILED)


def fail_with(error: OpenMMError, as_json: bool, exit_code: int) -> int:
    """Report one of our errors with its data; return the exit code."""
    if not as_json:
        who = f"{error.venue}: " if error.venue and error.venue not in str(error) else ""
        sys.stderr.write("".join(f"openmm: {who}{line}\n" for line in str(error).splitlines()))
        return exit_code
    body: dict[str, Any] = {"code": str(error.code), "message": str(error)}
    if error.venue is not None:
        body["venue"] = error.venue
    found = error.errors if isinstance(error, ConfigErrors) else (error,)
    listed = [
        {"path": one.path, "value": repr(one.value), "allowed": one.allowed}
        for one in found
        if isinstance(one, ConfigError)
    ]
    if listed:
        body["errors"] = listed
    sys.stderr.write(json.dumps({"error": body}) + "\n")
    return exit_code


def table(rows: list[tuple[str, ...]], gap: str = "  ") -> str:
    """Line up rows of cells: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append(gap.join(cells).rstrip())
    return "\n".join(lines)


def pairs(items: Mapping[str, object]) -> str:
    """List names and values, one pair a line."""
    width = max((len(name) for name in items), default=0)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in items.items())


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show how far reading is, on the error stream of a terminal: (name, done, of how many)."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f}%"),
        TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal,
    ) as shown:  # fmt: skip
        task = shown.add_task("reading", total=None)

        def told(name: str, done: int, count: int) -> None:
            shown.update(task, description=name, completed=done, total=max(done, count))

        yield told
