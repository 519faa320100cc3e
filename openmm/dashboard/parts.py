"""Pieces of pages: buttons, tables of texts, dialogs. Every text is a text, never markup."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from openmm.control.access import Client, Scope
from openmm.dashboard.patch import Cell


@final
class Text(TextElement):
    """An element of any tag with a text in it."""

    def __init__(self, tag: str, text: str, kind: str = "") -> None:
        super().__init__(tag=tag, text=text)
        if kind:
            self.classes(kind)


def button(
    label: str, act: Callable[..., Any], kind: str = "", *, deed: str = "", why_not: str = "",
    title: str = "",
) -> Text:  # fmt: skip
    """Make a button.

    Args:
        deed: what a key of the keyboard finds it by.
        why_not: why it cannot be used; it is shown all the same, with that.
    """
    made = Text("button", label, f"btn {kind}")
    made.props["type"] = "button"
    if deed:
        made.props["data-deed"] = deed
    if why_not or title:
        made.props["title"] = why_not or title
    if why_not:
        made.props["disabled"] = True
        made.props["aria-label"] = f"{label}: {why_not}"
    else:
        made.on("click", act)
    return made


def why_not(client: Client, scope: Scope) -> str:
    """Return why a client may not do something, or nothing."""
    if client.may(scope):
        return ""
    has = ", ".join(sorted(one.value for one in client.scopes))
    return f"needs the scope {scope.value}; {client.name} has {has}"


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Show a table of texts that does not change; headings with `>` are of numbers."""
    with ui.element("table"):
        with ui.element("thead"), ui.element("tr"):
            for head in heads:
                Text("th", head.lstrip(">"), "num" if head.startswith(">") else "")
        with ui.element("tbody"):
            for row in rows:
                with ui.element("tr"):
                    for head, cell in zip(heads, row, strict=True):
                        text, tone = (cell, "") if isinstance(cell, str) else (cell[0], cell[1])
                        number = "num " if head.startswith(">") else ""
                        Text("td", str(text), f"{number}{tone}".strip())


@final
class Field:
    """A labelled input; its value is what was typed."""

    def __init__(self, label: str, value: str = "", *, hint: str = "", first: bool = False) -> None:
        self.value = self.begun = value
        with ui.element("div").classes("field"):
            name = Text("label", label)
            self.box = ui.element("input")
            name.props["for"] = f"c{self.box.id}"
            # Not `value`: the page would put it back over what was typed since.
            self.box.props["default-value"] = value
            self.box.props["aria-label"] = label
            self.box.props["autocomplete"] = "off"
            self.box.props["spellcheck"] = "false"
            self.box.props["maxlength"] = "200"
            if hint:
                self.box.props["placeholder"] = hint
            if first:
                self.box.props["autofocus"] = True
            self.box.on("input", self._typed, js_handler=_VALUE)

    def _typed(self, event: Any) -> None:
        told = event.args
        self.value = str(told)[:200] if isinstance(told, str) else ""

    @property
    def changed(self) -> bool:
        """Whether it is another value than at first."""
        return self.value.strip() != self.begun.strip()


_VALUE = "(event) => emit(event.target.value)"


@contextmanager
def dialog(label: str, kind: str = "", *, side: bool = False) -> Iterator[ui.dialog]:
    """Open a dialog; Escape closes it, and the focus goes back to where it was.

    Args:
        side: from the right edge, for what is long.
    """
    with ui.dialog() as made, ui.element("div").classes(f"sheet {kind}") as inside:
        inside.props["role"] = "dialog"
        inside.props["aria-label"] = label
        inside.props["aria-modal"] = "true"
        yield made
    if side:
        made.props("position=right full-height")
    made.on("hide", made.delete)
    made.open()
