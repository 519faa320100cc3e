"""Write the configuration of an MCP client, so that it starts `openmm mcp`; no secret in it."""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from openmm.errors import ConfigError

SERVER: Final = "openmm"
ENV_NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
FILE_BYTES_MAX: Final = 4 << 20
Place: TypeAlias = Literal["home", "config", "here", "claude", "code"]


class Known(Struct, frozen=True):
    """One client.

    Args:
        place: the folder its file lies in: the user's home, their configuration folder, the
            current folder, or that of Claude Desktop or of Visual Studio Code.
        path: of the file in there.
        table: key of the object that holds the servers.
        env: how a value takes an environment variable's, with NAME for it; "" when it cannot.
        more: further keys of an entry.
        then: what to do after.
    """

    name: str
    title: str
    place: Place
    path: str
    table: str = "mcpServers"
    env: str = ""
    more: tuple[tuple[str, str], ...] = ()
    then: str = "restart it"


# Source: the manuals of the clients, read 2026-11-26.
_ALL: Final = (
    Known(
        "claude-desktop", "Claude Desktop", "claude", "claude_desktop_config.json",
        then="quit it wholly and open it again",
    ),
    Known(
        "claude-code", "Claude Code, this folder", "here", ".mcp.json", env="${NAME}",
        more=(("type", "stdio"),), then="start claude in this folder and approve the server",
    ),
    Known("cursor", "Cursor", "home", ".cursor/mcp.json", env="${env:NAME}"),
    Known(
        "vscode", "Visual Studio Code", "code", "mcp.json", "servers", env="${env:NAME}",
        more=(("type", "stdio"),), then="run the command: MCP: List Servers",
    ),
    Known("windsurf", "Windsurf", "home", ".codeium/windsurf/mcp_config.json", env="${env:NAME}"),
    Known("zed", "Zed", "config", "zed/settings.json", "context_servers"),
    Known("gemini", "Gemini CLI", "home", ".gemini/settings.json", env="${NAME}"),
    Known("lmstudio", "LM Studio", "home", ".lmstudio/mcp.json"),
    Known("codex", "Codex", "home", ".codex/config.toml", "mcp_servers"),
)  # fmt: skip
CLIENTS: Final = {one.name: one for one in _ALL}


class Plan(Struct, frozen=True):
    """What would be written, and where."""

    client: Known
    path: Path
    before: str
    after: str
    notes: tuple[str, ...] = ()

    @property
    def diff(self) -> str:
        """The change as a unified diff; empty when there is none."""
        lines = difflib.unified_diff(
            self.before.splitlines(), self.after.splitlines(), str(self.path), str(self.path),
            lineterm="",
        )  # fmt: skip
        return "\n".join(lines)

    def text(self) -> str:
        """Return the change for a person."""
        shown = self.diff or f"{self.path} has it already: nothing to change"
        return "\n".join((shown, *(f"note: {note}" for note in self.notes)))

    def told(self, written: bool) -> str:
        """Return what came of it."""
        if not self.diff:
            return f"{self.client.title}: nothing to do"
        if not written:
            return f"{self.client.title}: nothing was written"
        return f"{self.client.title}: written; {self.client.then}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "client": self.client.name,
            "path": str(self.path),
            "diff": self.diff,
            "notes": list(self.notes),
        }

    def write(self) -> bool:
        """Write the file, the old one beside it with `.bak`; tell whether anything changed.

        Raises:
            ConfigError: it cannot be written, or has changed since.
        """
        if not self.diff:
            return False
        if _read(self.path) != self.before:
            raise ConfigError("--setup", str(self.path), "a file that does not change meanwhile")
        fresh = self.path.with_name(f".{self.path.name}.openmm")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            mode = self.path.stat().st_mode & 0o777 if self.path.exists() else 0o600
            if self.path.exists():
                shutil.copy2(self.path, self.path.with_name(self.path.name + ".bak"))
            fresh.write_text(self.after)
            fresh.chmod(mode)
            fresh.replace(self.path.resolve())
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise ConfigError(
                "--setup", str(self.path), f"a file to write ({error.strerror})"
            ) from None
        return True


def plan(
    program: str, *, run_dir: Path | None = None, client: str | None = None,
    token_file: Path | None = None, token_env: str | None = None, file: Path | None = None,
) -> Plan:  # fmt: skip
    """Return what to write for a program.

    Args:
        client: of the clients file, whose rights it is to have; no token is needed then.
        run_dir: folder of the bots, when it is not the user's own.
        token_file: the server reads the token there; its path stands in the file, not the token.
        token_env: environment variable that the program hands on.
        file: another file than the program's usual one.

    Raises:
        ConfigError: the program is not known, the file cannot be understood, or a token was given
            where the name of a variable belongs.
    """
    known = CLIENTS.get(program)
    if known is None:
        raise ConfigError("--setup", program, f"one of {', '.join(CLIENTS)}")
    path = (file or _folder(known.place) / known.path).expanduser().absolute()
    entry, notes = _entry(known, run_dir, client, token_file, token_env)
    before = _read(path)
    merge = _merged_toml if path.suffix == ".toml" else _merged_json
    return Plan(known, path, before, merge(before, path, known.table, entry), notes)


def _entry(
    known: Known, run_dir: Path | None, client: str | None, token_file: Path | None,
    token_env: str | None,
) -> tuple[dict[str, Any], tuple[str, ...]]:  # fmt: skip
    """Return the server's entry, and what the user should know."""
    if sum(one is not None for one in (client, token_file, token_env)) > 1:
        raise ConfigError("--client", client, "one of --client, --token-file and --token-env")
    notes: list[str] = []
    command, *args = _command()
    args.append("mcp")
    if run_dir is not None:
        args += ["--run-dir", str(run_dir.expanduser().absolute())]
    entry: dict[str, Any] = {**dict(known.more), "command": command, "args": args}
    if client is not None:
        args += ["--client", client]
    if token_file is not None:
        where = token_file.expanduser().absolute()
        args += ["--token-file", str(where)]
        if not where.exists():
            notes.append(f"{where} is not there yet: openmm token add makes a token")
    if token_env is not None:
        if not ENV_NAME.fullmatch(token_env):
            # Not echoed: it may be the token itself.
            raise ConfigError("--token-env", "…", "the name of a variable, such as OPENMM_TOKEN")
        if not known.env:
            raise ConfigError(
                "--token-env", token_env, f"--token-file FILE: {known.title} hands on no variables"
            )
        entry["env"] = {"OPENMM_TOKEN": known.env.replace("NAME", token_env)}
    if client is None and token_file is None and token_env is None:
        notes.append("without --client, --token-file or --token-env it may only read")
    return entry, tuple(notes)


def _command() -> list[str]:
    """Return how to start `openmm`, by whole path: programs with windows have no shell's PATH."""
    beside = Path(sys.executable).with_name("openmm")
    if beside.exists():
        return [str(beside)]
    found = shutil.which("openmm")
    return [found] if found else [sys.executable, "-m", "openmm.cli.main"]


def _folder(place: Place) -> Path:
    home = Path.home()
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    apple = home / "Library" / "Application Support"
    match place:
        case "here":
            return Path.cwd()
        case "config":
            return settings
        case "claude":
            return (apple if sys.platform == "darwin" else settings) / "Claude"
        case "code":
            return (apple if sys.platform == "darwin" else settings) / "Code" / "User"
    return home


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ConfigError("--setup", str(path), f"a file of at most {FILE_BYTES_MAX} bytes")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("--setup", str(path), f"a file that can be read ({error})") from None


def _merged_json(before: str, path: Path, table: str, entry: Mapping[str, Any]) -> str:
    """Put the entry in; everything else stays, in its order."""
    try:
        found = json.loads(before) if before.strip() else {}
    except json.JSONDecodeError as error:
        # With comments in it, perhaps: what could not be kept is not rewritten.
        wanted = json.dumps({table: {SERVER: entry}}, indent=2)
        raise ConfigError(
            "--setup", str(path),
            f"plain JSON ({error}); with comments in it, add this by hand:\n{wanted}\n",
        ) from None  # fmt: skip
    servers = found.setdefault(table, {}) if isinstance(found, dict) else None
    if not isinstance(servers, dict):
        raise ConfigError("--setup", str(path), f"a JSON object with an object {table}")
    if servers.get(SERVER) == entry:
        return before
    servers[SERVER] = dict(entry)
    indent = re.search(r"^([ \t]+)\S", before, re.MULTILINE)
    return json.dumps(found, indent=indent[1] if indent else 2, ensure_ascii=False) + "\n"


def _merged_toml(before: str, path: Path, table: str, entry: Mapping[str, Any]) -> str:
    """Put the entry in as a table of its own; every other line stays as it is."""
    found = _toml(before, path)
    servers = found.get(table, {})
    if isinstance(servers, dict) and servers.get(SERVER) == entry:
        return before
    block = [f"[{table}.{SERVER}]", *(f"{key} = {json.dumps(entry[key])}" for key in entry)]
    head = rf"^\[{table}\.{SERVER}(?:\.[^\]\n]*)?\][^\n]*\n(?:(?!\[)[^\n]*\n?)*"
    rest = re.sub(head, "", before, flags=re.MULTILINE).rstrip("\n")
    after = (rest + "\n\n" if rest else "") + "\n".join(block) + "\n"
    expected = {**found, table: {**(servers if isinstance(servers, dict) else {}), SERVER: entry}}
    if _toml(after, path) != expected:
        wanted = "\n".join(block)
        raise ConfigError("--setup", str(path), f"a file to add this to by hand:\n{wanted}\n")
    return after


def _toml(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("--setup", str(path), f"TOML ({error})") from None
