"""Questions before something is done, and the page of keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

HELP = """\
 fleet    up down     choose a bot          enter   open it
 bot      1 2 3 4     market, health, orders, incidents (wide: all)
          escape      back to the fleet     tab     the next bot
          p  pause    withdraw the quotes until resumed
          r  resume   quote again after a pause or a halt
          h  halt     cancel everything, latched until resumed
 all      q  quit     ?  this page

 ◄ marks our orders in the book, * the venue that is quoted on.
 What is shown is read from shared memory: looking costs a bot nothing.
 Commands ask before they are sent, and stand in the audit.
"""


class Confirm(ModalScreen[bool]):
    """Ask for a yes; the answer that does nothing is chosen until another is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape", "answer(False)", "no"),
        Binding("left,right,up,down", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[str], yes: str) -> None:
        super().__init__()
        self._title, self._lines, self._yes = title, lines, yes

    def compose(self) -> ComposeResult:
        """Lay out question and answers."""
        with Vertical(id="dialog") as box:
            box.border_title = self._title
            yield Static(Text("\n".join(self._lines)), id="question")
            with Horizontal(id="answers"):
                yield Button("no (n)", id="no")
                yield Button(f"{self._yes} (y)", id="yes", variant="error")

    def on_mount(self) -> None:
        """Choose the answer that does nothing."""
        self.query_one("#no", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Answer by a key."""
        self.dismiss(yes)


class Help(ModalScreen[None]):
    """Show the keys until one is pressed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,space,question_mark", "app.pop_screen", "close")
    ]

    def compose(self) -> ComposeResult:
        """Lay out the page."""
        with Vertical(id="dialog", classes="help") as box:
            box.border_title = "openmm top: keys"
            yield Static(Text(HELP), id="question")
