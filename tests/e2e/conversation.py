"""A conversation with the MCP server as a model has it, and its transcript for docs/mcp.md.

    python -m tests.e2e.conversation        writes the transcript into the page
    python -m tests.e2e.conversation --print

The answers are those of a real bot on a simulated venue. Of each answer the transcript shows the
fields that a step names. Numbers differ from run to run; `plain` takes them out, and a test holds
what is left against the page.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import anyio
from mcp import Client as McpClient
from mcp import StdioServerParameters

from openmm.control.access import Caps, Client, Clients, Scope
from openmm.control.home import Home
from tests.e2e import programs

PAGE = programs.ROOT / "docs" / "mcp.md"
BEGIN, END = "<!-- conversation: begin -->", "<!-- conversation: end -->"
AGENT = Client(
    "desk-agent", frozenset(Scope), caps=Caps(600, 5, Decimal(1000), Decimal(5000))
)
Answers: TypeAlias = dict[str, Any]
Args: TypeAlias = dict[str, Any]


@dataclass
class Step:
    """One call.

    Args:
        user: what the user says before it; empty: the model goes on by itself.
        args: or made of the answers so far, by the name of their steps.
        show: fields of the answer in the transcript, with dots into objects; a list shows its
            first item.
        model: what the model says after it.
        code: of the refusal that is expected.
        until: call again until this holds of the answer.
    """

    tool: str
    args: Args | Callable[[Answers], Args]
    user: str = ""
    show: tuple[str, ...] = ()
    model: str = ""
    name: str = ""
    code: str = ""
    until: Callable[[dict[str, Any]], bool] | None = None


@dataclass
class Turn:
    """A step that was made."""

    step: Step
    args: Args
    answer: dict[str, Any]


@dataclass
class Scene:
    """A simulated venue, a folder of bots, a client with a token in a file."""

    root: Path
    sim: dict[str, Any]
    token_file: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Home:
        """The control plane's places."""
        return Home(self.root, self.root / ".control", self.root / "clients.toml")

    def server(self) -> StdioServerParameters:
        """How a client starts the server."""
        return StdioServerParameters(
            command=programs.COMMAND[0],
            args=[*programs.COMMAND[1:], "mcp", "--run-dir", str(self.root),
                  "--token-file", str(self.token_file)],
            cwd=programs.ROOT,
            env=self.env,
        )  # fmt: skip
