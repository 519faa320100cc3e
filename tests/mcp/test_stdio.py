"""`openmm mcp` as clients start it: a process on standard input and output."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client as McpClient
from mcp import StdioServerParameters

from openmm.cli.main import main
from openmm.control.access import Client, Clients, Scope
from openmm.control.audit import Audit
from openmm.control.home import Home
from openmm.errors import ControlError
from openmm.mcp.stdio import SURFACE, find_token
from tests.mcp.desk import refused, told

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, tmp_path / ".control", tmp_path / "clients.toml")


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENMM_TOKEN", raising=False)
    monkeypatch.delenv("OPENMM_TOKEN_FILE", raising=False)


def grant(home: Home) -> str:
    return Clients(home.clients).add(Client("desk", frozenset({Scope.READ, Scope.BRAKE})), 0)


def start(home: Home, *args: str, **env: str) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "openmm.cli.main", "mcp", "--run-dir", str(home.root), *args],
        cwd=ROOT,
        env={**os.environ, "OPENMM_CLIENTS": str(home.clients), **env},
    )


def test_without_a_token_it_may_only_read(home: Home) -> None:
    async def main() -> None:
        async with McpClient(start(home)) as session:
            names = [tool.name for tool in (await session.list_tools()).tools]
            assert "list_bots" in names
            assert "pause_bot" not in names
            assert told(await session.call_tool("list_bots", {}))["bots"] == []
            assert refused(await session.call_tool("halt_bot", {"bot": "x"})) == "forbidden"

    anyio.run(main)
    last = next(Audit(home.audit).newest())
    assert last["caller"]["client"] == "mcp-reader"
    assert last["caller"]["surface"] == SURFACE


def test_token_of_a_file_is_who_it_is_until_it_is_taken_back(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text(grant(home) + "\n")

    async def main() -> None:
        async with McpClient(start(home, "--token-file", str(path)), mode="legacy") as session:
            mine = told(await session.call_tool("my_access", {}))
            assert (mine["client"], mine["scopes"]) == ("desk", ["brake", "read"])
            assert refused(await session.call_tool("halt_bot", {"bot": "x"})) == "unknown_bot"
            Clients(home.clients).revoke("desk")
            assert refused(await session.call_tool("list_bots", {})) == "unauthenticated"

    anyio.run(main)


def test_client_by_name_needs_no_token(home: Home) -> None:
    grant(home)

    async def main() -> None:
        async with McpClient(start(home, "--client", "desk")) as session:
            assert told(await session.call_tool("my_access", {}))["client"] == "desk"

    anyio.run(main)


@pytest.mark.parametrize(
    ("args", "env", "said"),
    [
        ((), {"OPENMM_TOKEN": "omm_desk_wrong"}, "opens nothing"),
        (("--client", "nobody"), {}, "no client 'nobody'"),
        (("--token-file", "nowhere"), {}, "token file"),
    ],
)
def test_who_is_not_known_is_told_at_once_and_no_token_is_repeated(
    home: Home, args: tuple[str, ...], env: dict[str, str], said: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("OPENMM_CLIENTS", str(home.clients))
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert main(["mcp", "--run-dir", str(home.root), *args, "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    error = json.loads(err.splitlines()[-1])["error"]
    assert error["code"] == "unauthenticated"
    assert said in error["message"]
    assert "omm_desk_wrong" not in err


def test_token_is_taken_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENMM_TOKEN", " abc ")
    assert find_token(None) == "abc"
    assert "OPENMM_TOKEN" not in os.environ
    assert find_token(None) == ""


def test_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("abc")
    path.chmod(0o640)
    with pytest.raises(ControlError, match="0600"):
        find_token(path)
    path.chmod(0o600)
    assert find_token(path) == "abc"
    path.write_text("x" * 5000)
    with pytest.raises(ControlError, match="holds no token"):
        find_token(path)
    with pytest.raises(ControlError):
        find_token(tmp_path)
