"""A real terminal that a test can type into and look at: tmux, on a server of its own."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, final

PATIENCE_S = 60.0


@final
class Terminal:
    """One program in a terminal of a size, for a block."""

    def __init__(
        self, command: list[str], *, folder: Path, env: Mapping[str, str], width: int, height: int
    ) -> None:
        self._folder = folder
        self._command = command
        self._size = (width, height)
        self._env = dict(env)
        # The path of a unix socket is short; the folder's name keeps servers apart.
        self._server = ["tmux", "-L", f"openmm-{os.getpid()}-{id(self) & 0xFFFF}", "-f", os.devnull]

    def __enter__(self) -> Self:
        """Start the program. The shell behind it tells when it has ended, and how."""
        width, height = self._size
        told = " ".join(f"{name}={shlex.quote(text)}" for name, text in self._env.items())
        # The readline of the test's own process leaves its size behind, for all that it starts.
        command = f"env -u COLUMNS -u LINES {told} {shlex.join(self._command)}"
        line = f"{command}; echo ended with $?; exec sleep 600"
        self._tmux("new-session", "-d", "-x", str(width), "-y", str(height), "-s", "t",
                   "-c", str(self._folder), "sh", "-c", line)  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        """End the program, and the terminal."""
        self._tmux("kill-server")

    def _tmux(self, *args: str) -> str:
        return subprocess.run(
            [*self._server, *args], check=True, capture_output=True, text=True, timeout=20
        ).stdout

    def shown(self) -> str:
        """Return the screen as it is."""
        return self._tmux("capture-pane", "-p", "-t", "t")

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._tmux("send-keys", "-t", "t", *keys)

    def type(self, text: str) -> None:
        """Type a line."""
        if text:
            self._tmux("send-keys", "-t", "t", "-l", text)
        self.press("Enter")

    def resize(self, width: int, height: int) -> None:
        """Change the terminal's size, as who drags a window does."""
        self._tmux("resize-window", "-t", "t", "-x", str(width), "-y", str(height))

    def until(self, holds: Callable[[str], object], what: str) -> str:
        """Wait until the screen shows something; return the screen."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds(screen := self.shown()):
            assert time.monotonic() < deadline, f"not shown: {what}\n{screen}"
            time.sleep(0.05)
        return screen

    def answer(self, question: str, text: str) -> None:
        """Type an answer once its question is the last thing on the screen."""
        self.until(lambda shown: shown.rstrip().endswith(question), question)
        self.type(text)
