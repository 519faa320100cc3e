"""What is told of an exception: its type, its text, its place; a text that every record takes."""

from __future__ import annotations

import msgspec
import pytest

from openmm.strategy.failure import TEXT_MAX, describe, plain


class Mute(ValueError):
    """An exception whose own text fails."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def raised(error: ValueError) -> ValueError:
    try:
        raise error
    except ValueError as caught:
        return caught


def test_type_text_and_place_are_told() -> None:
    kind, text = describe(raised(ValueError("no price at 17")))
    assert text.startswith(f"ValueError: no price at 17 (at {__file__}:")
    assert text.endswith(" in raised())")
    assert kind.startswith(f"ValueError at {__file__}:")


def test_kind_is_the_same_whatever_the_text() -> None:
    first, second = (raised(ValueError(text)) for text in ("1", "2"))
    assert describe(first)[0] == describe(second)[0]
    assert describe(first)[0] != describe(ValueError("1"))[0]


def test_error_without_a_frame_is_about_the_answer() -> None:
    assert describe(TypeError("7")) == (
        "TypeError in what quote() returned", "TypeError: 7 (in what quote() returned)"
    )  # fmt: skip


def test_error_that_cannot_tell_its_text_is_told_all_the_same() -> None:
    _, text = describe(raised(Mute()))
    assert "Mute" in text
    assert "in raised()" in text


@pytest.mark.parametrize("text", ["a\nb\t c", "x" * 1_000, "broken \udc80 text", ""])
def test_text_is_one_bounded_line_that_can_be_journalled(text: str) -> None:
    told = plain(text)
    assert len(told) <= TEXT_MAX
    assert "\n" not in told
    assert msgspec.json.decode(msgspec.json.encode(told)) == told
