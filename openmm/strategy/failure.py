"""What is told of a strategy of the user's own whose call failed."""

from __future__ import annotations

import traceback

from msgspec import Struct

TEXT_MAX = 300
# Frames of the adapter, not of the strategy.
ADAPTER = "openmm/strategy/python.pyx"


class Failures(Struct, frozen=True):
    """Failed calls since the last look: how many, the longest row of them, and the last one's why.

    `kind` tells failures of one cause from others: the exception's type and place, without a text
    that may hold numbers of the moment.
    """

    count: int
    row: int
    kind: str
    text: str


def describe(error: BaseException) -> tuple[str, str]:
    """Return an exception's kind, and its type, text and place in one line of bounded length."""
    # This also writes an exception whose own __str__ fails.
    told = plain("".join(traceback.format_exception_only(error)))
    place = _place(error)
    return plain(f"{type(error).__name__} {place}"), f"{told} ({place})"


def plain(text: str) -> str:
    """Return a text that every record takes: one line, bounded, nothing that is no Unicode."""
    line = " ".join(text.split())
    line = line if len(line) <= TEXT_MAX else line[: TEXT_MAX - 1] + "…"
    return line.encode("utf-8", "replace").decode("utf-8")


def _place(error: BaseException) -> str:
    """Return where it was raised; without a frame of the strategy's own it is about the answer."""
    place = "in what quote() returned"
    for frame, line in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        if not code.co_filename.endswith(ADAPTER):
            place = plain(f"at {code.co_filename}:{line} in {code.co_name}()")
    return place
