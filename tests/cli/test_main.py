"""The command line as a whole: help, exit codes, errors, speed of its start."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from openmm.cli.main import app, main
from openmm.config.schema import VENUES
from openmm.errors import VenueRejected
from openmm.venues.faults import Code

ROOT = Path(__file__).resolve().parent.parent.parent
COMMANDS = [
    "adjust",
    "alerts ack",
    "alerts check",
    "alerts list",
    "alerts test",
    "audit",
    "backtest",
    "balance",
    "cancel",
    "check",
    "compare",
    "data check",
    "data convert",
    "data export",
    "data import",
    "data list",
    "demo",
    "doctor",
    "drift",
    "explain",
    "export",
    "fills",
    "fit",
    "flatten",
    "halt",
    "incidents",
    "init",
    "inventory",
    "mcp",
    "neighbours",
    "new strategy",
    "ohlcv",
    "orderbook",
    "orders",
    "pause",
    "place",
    "pnl",
    "positions",
    "record",
    "replay",
    "report",
    "resume",
    "run",
    "serve",
    "set",
    "shadow",
    "sim kraken",
    "status",
    "stop",
    "sweep",
    "ticker",
    "tighten",
    "token add",
    "token list",
    "token revoke",
    "token show",
    "top",
    "trades",
    "undo",
    "up",
    "vault add",
    "vault check",
    "vault init",
    "vault list",
    "vault remove",
    "vault rotate",
    "verify",
]
Capture = pytest.CaptureFixture[str]


def run(*args: str, code: str = "") -> subprocess.CompletedProcess[str]:
    program = ["-c", code] if code else ["-m", "openmm.cli.main"]
    return subprocess.run(
        [sys.executable, *program, *args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_json(command: str, capsys: Capture) -> None:
    assert main([*command.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Example: openmm {command.split()[0]}" in out
    assert "--json" in out


def test_help_of_the_simulator_names_its_venues_and_has_an_example(capsys: Capture) -> None:
    assert main(["sim", "--help"]) == 0
    out = capsys.readouterr().out
    assert "Example: openmm sim kraken" in out
    for venue in VENUES:
        assert re.search(rf"^  {venue} ", out, re.MULTILINE)


def test_missing_command_says_where_the_list_is(capsys: Capture) -> None:
    for args in ([], ["new"], ["sim"], ["token"], ["vault"]):
        assert main(args) == 2
        told = " ".join(["openmm", *args, "--help"])
        assert capsys.readouterr().err == f"openmm: a command is missing: {told} lists them\n"


def test_every_command_is_covered() -> None:
    told = {info.name for info in app.registered_commands}
    grouped = {"alerts", "data", "new", "sim", "token", "vault"}
    assert told | grouped == {command.split()[0] for command in COMMANDS}


def test_help_lists_the_commands(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"^  {command.split()[0]} ", out, re.MULTILINE)


def test_help_starts_fast_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from openmm.cli.main import main\n"
        "main(['--help'])\n"
        "heavy = {'pydantic', 'rich', 'aiohttp', 'sqlalchemy', 'numpy', 'orjson', 'asyncio'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = run(code=code)
    assert done.returncode == 0, done.stderr


def test_version_is_told(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"openmm \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["sim"],
        ["nonsense"],
        ["run"],
        ["run", "a", "b"],
        ["status", "--nonsense"],
        ["demo", "--seconds", "x"],
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(args: list[str], capsys: Capture) -> None:
    assert main(args) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("openmm: ")
    assert captured.err.count("\n") == 1


def test_bad_usage_as_json(capsys: Capture) -> None:
    assert main(["status", "--nonsense", "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "usage"


def test_absent_file_is_a_configuration_error(tmp_path: Path, capsys: Capture) -> None:
    for command in (["run"], ["check", "--offline"]):
        assert main([*command, str(tmp_path / "none.toml")]) == 2
        assert "No such file" in capsys.readouterr().err


def test_live_bot_without_keys_is_refused_before_anything_starts(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENMM_KRAKEN_KEY", "OPENMM_KRAKEN_SECRET"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "bot.toml"
    assert main(["init", str(file), "--yes"]) == 0
    text = file.read_text().replace('mode = "paper"', f'mode = "live"\nrun_dir = "{tmp_path}/r"')
    urls = '{ws="ws://127.0.0.1:1", ws_auth="ws://127.0.0.1:1", rest="http://127.0.0.1:1"}'
    file.write_text(text.replace('quote = "BTC/USD"', f'quote = "BTC/USD"\nendpoints = {urls}'))
    capsys.readouterr()
    assert main(["run", str(file)]) == 2
    assert "OPENMM_KRAKEN_KEY and OPENMM_KRAKEN_SECRET" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(("args", "shown"), [([], False), (["--debug"], True)])
def test_trace_shows_only_with_debug(args: list[str], shown: bool) -> None:
    code = (
        "import sys\n"
        "from openmm.cli import main as m\n"
        "from openmm.errors import VenueError\n"
        "def broken():\n"
        "    raise VenueError('no such thing', venue='kraken')\n"
        "m.app.command('broken')(broken)\n"
        "sys.exit(m.main(['broken', *sys.argv[1:]]))\n"
    )
    done = run(*args, code=code)
    assert done.returncode == 1
    assert ("Traceback" in done.stderr) is shown
    assert "no such thing" in done.stderr


@pytest.mark.parametrize(("args", "shown"), [([], False), (["--debug"], True)])
def test_unforeseen_error_is_one_line_without_debug(args: list[str], shown: bool) -> None:
    code = (
        "import sys\n"
        "from openmm.cli import main as m\n"
        "def broken():\n"
        "    raise TypeError('a bug')\n"
        "m.app.command('broken')(broken)\n"
        "sys.exit(m.main(['broken', *sys.argv[1:]]))\n"
    )
    done = run(*args, code=code)
    assert done.returncode == 1
    assert ("Traceback" in done.stderr) is shown
    assert "TypeError: a bug" in done.stderr


def test_unforeseen_error_is_json_where_asked() -> None:
    code = (
        "import sys\n"
        "from openmm.cli import main as m\n"
        "def broken(json_: bool = m.typer.Option(False, '--json')):\n"
        "    raise TypeError('a bug')\n"
        "m.app.command('broken')(broken)\n"
        "sys.exit(m.main(['broken', '--json']))\n"
    )
    done = run(code=code)
    assert (done.returncode, done.stdout) == (1, "")
    assert json.loads(done.stderr)["error"] == {
        "code": "internal_error",
        "message": "internal error: TypeError: a bug (--debug shows where)",
    }


def test_error_as_json_carries_its_data(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise VenueRejected("EService:Unavailable", venue="kraken", code=Code.UNAVAILABLE)

    monkeypatch.setattr("tomllib.loads", refuse)
    assert main(["check", "--offline", "--json", str(ROOT / "pyproject.toml")]) == 1
    assert json.loads(capsys.readouterr().err)["error"] == {
        "code": "unavailable",
        "message": "EService:Unavailable",
        "venue": "kraken",
    }


def test_reader_of_a_pipe_that_leaves_ends_the_command_quietly() -> None:
    done = subprocess.run(
        f"{sys.executable} -m openmm.cli.main --help | head -c 1",
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""


def test_start_takes_little_processor_time() -> None:
    """Import and help in well under a third of a second of work, wherever this runs."""
    costs_s = []
    for _ in range(3):
        code = "import time; from openmm.cli.main import main; main(['--help']); "
        done = run(code=code + "import sys; sys.stderr.write(str(time.process_time()))")
        costs_s.append(float(done.stderr))
    assert min(costs_s) < 0.3
    assert time.process_time() > 0
