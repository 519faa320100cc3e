"""Client configurations: merged in, nothing lost, no secret, the same result twice."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from openmm.cli.main import main
from openmm.errors import ConfigError
from openmm.mcp.setup import CLIENTS, plan

SECRET = "omm_0123456789abcdefSECRET"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("OPENMM_TOKEN", SECRET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def servers(name: str, path: Path) -> dict[str, dict[str, object]]:
    text = path.read_text()
    body = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    found: dict[str, dict[str, object]] = body[CLIENTS[name].table]
    return found


@pytest.mark.parametrize("name", CLIENTS)
def test_file_is_written_once_without_a_secret(name: str, own_home: Path) -> None:
    token = own_home / "token"
    found = plan(name, token_file=token)
    assert own_home in found.path.parents
    assert found.write()
    entry = servers(name, found.path)["openmm"]
    args = entry["args"]
    assert isinstance(args, list)
    assert args[-3:] == ["mcp", "--token-file", str(token)]
    assert Path(str(entry["command"])).is_absolute()
    assert SECRET not in found.path.read_text()
    again = plan(name, token_file=token)
    assert again.diff == ""
    assert not again.write()


@pytest.mark.parametrize("name", CLIENTS)
def test_what_was_there_stays(name: str) -> None:
    first = plan(name)
    first.path.parent.mkdir(parents=True, exist_ok=True)
    if first.path.suffix == ".toml":
        old = (
            '# mine\nmodel = "x"\n\n[mcp_servers.openmm]\ncommand = "old"\n'
            '[mcp_servers.openmm.env]\nA = "1"\n\n[mcp_servers.other]\ncommand = "other"  # kept\n'
        )
    else:
        table = CLIENTS[name].table
        old = json.dumps({"theme": "dark", table: {"other": {"command": "é"}, "openmm": {}}})
    first.path.write_text(old)
    first.path.chmod(0o640)
    found = plan(name)
    assert found.write()
    text = first.path.read_text()
    assert servers(name, first.path)["other"]["command"] in ("other", "é")
    assert servers(name, first.path)["openmm"]["command"] != "old"
    assert first.path.with_name(first.path.name + ".bak").read_text() == old
    assert first.path.stat().st_mode & 0o777 == 0o640
    if first.path.suffix == ".toml":
        assert "# mine" in text
        assert "# kept" in text
    else:
        assert json.loads(text)["theme"] == "dark"


@pytest.mark.parametrize(
    "text", ['{"a": 1, // comment\n}', "[1]", '{"mcpServers": 3}', "{", '{"mcpServers": []}']
)
def test_file_that_cannot_be_kept_is_left_alone(text: str, own_home: Path) -> None:
    path = own_home / "claude.json"
    path.write_text(text)
    with pytest.raises(ConfigError):
        plan("claude-desktop", file=path)
    assert path.read_text() == text


def test_comments_are_answered_with_what_to_add(own_home: Path) -> None:
    path = own_home / "settings.json"
    path.write_text("// mine\n{}")
    with pytest.raises(ConfigError, match=r'"context_servers"(.|\n)*"openmm"'):
        plan("zed", file=path)


def test_file_that_changed_meanwhile_is_not_overwritten(own_home: Path) -> None:
    found = plan("cursor")
    found.path.parent.mkdir()
    found.path.write_text('{"mine": 1}')
    with pytest.raises(ConfigError, match="meanwhile"):
        found.write()
    assert found.path.read_text() == '{"mine": 1}'


def test_unknown_client_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="claude-desktop, claude-code, cursor, vscode"):
        plan("emacs")


def test_variable_is_handed_on_by_name() -> None:
    found = plan("cursor", token_env="MY_TOKEN")
    assert json.loads(found.after)["mcpServers"]["openmm"]["env"] == {
        "OPENMM_TOKEN": "${env:MY_TOKEN}"
    }


def test_token_in_place_of_a_name_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError) as refused:
        plan("cursor", token_env=SECRET)
    assert SECRET not in str(refused.value)
    with pytest.raises(ConfigError, match="--token-file"):
        plan("claude-desktop", token_env="MY_TOKEN")


def test_command_only_prints_or_asks_or_writes(
    own_home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = own_home / ".cursor" / "mcp.json"
    assert main(["mcp", "--setup", "cursor", "--print"]) == 0
    assert '+    "openmm": {' in capsys.readouterr().out
    assert not path.exists()
    assert main(["mcp", "--setup", "cursor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] is False
    monkeypatch.setattr("typer.confirm", lambda _: False)
    assert main(["mcp", "--setup", "cursor"]) == 0
    assert "nothing was written" in capsys.readouterr().out
    assert not path.exists()
    assert main(["mcp", "--setup", "cursor", "--yes"]) == 0
    assert "written; restart it" in capsys.readouterr().out
    assert "openmm" in servers("cursor", path)
    assert main(["mcp", "--setup", "nobody"]) == 2
    assert "claude-desktop" in capsys.readouterr().err
