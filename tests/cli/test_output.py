"""Results reach their reader or say in one line why not; packages that are missing are named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from openmm.cli.main import main
from openmm.cli.output import emit_beside, need_page, write_file
from openmm.errors import CommandError
from openmm.settlement.page import document

Capture = pytest.CaptureFixture[str]


def test_a_full_disk_is_one_line_and_no_success(tmp_path: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "openmm.cli.main", "data", "list", str(tmp_path)],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "openmm: cannot print the result: No space left on device\n"


def test_page_that_does_not_fit_leaves_the_one_that_was_there(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("the old one")
    code = """
import resource, sys
from pathlib import Path
from openmm.cli.output import write_file
from openmm.errors import CommandError
resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
try:
    write_file(Path(sys.argv[1]), "x" * 10_000)
except CommandError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, page], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"cannot write {page}: File too large\n"
    assert page.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [page]


def test_page_is_written_where_a_link_leads_and_to_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    real, link, pipe = tmp_path / "far" / "a.html", tmp_path / "b.html", tmp_path / "pipe"
    link.symlink_to(real)
    write_file(link, "a page")
    assert link.is_symlink()
    assert real.read_text() == "a page"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_file(pipe, "a page")
    assert os.read(reader, 100) == b"a page"
    os.close(reader)


def test_result_is_printed_whatever_becomes_of_the_files(capsys: Capture) -> None:
    def full() -> None:
        raise CommandError("no room")

    with pytest.raises(CommandError, match="no room"):
        emit_beside(full, {"a": 1}, True, lambda: "")
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_place_for_a_file_is_asked_for_before_anything_is_run(
    tmp_path: Path, capsys: Capture
) -> None:
    bot = str(Path(__file__).resolve().parents[2] / "examples" / "bots" / "grid.toml")
    for place, allowed in (
        (tmp_path / "none" / "a.html", "a file in a folder that is there"),
        (tmp_path, "a file, no folder"), (tmp_path / ("a" * 300), "a name of 230 bytes at most"),
    ):  # fmt: skip
        for command in (
            ["backtest", bot, "--data", "none.omd"], ["compare", bot, "--data", "kraken:none"],
        ):  # fmt: skip
            assert main([*command, "--html", str(place)]) == 2
            assert f"openmm: --html: {allowed}; got" in capsys.readouterr().err


def test_no_page_is_written_over_what_is_none(tmp_path: Path, capsys: Capture) -> None:
    source = Path(__file__).resolve().parents[2] / "examples" / "bots" / "grid.toml"
    bot, market, foreign = (tmp_path / name for name in ("bot.toml", "market.omd", "other.html"))
    bot.write_bytes(source.read_bytes())
    market.write_bytes(b"OMDATA1\nsomething of value")
    foreign.write_text("<!doctype html>\n<html><head><title>another's</title></head></html>\n")
    commands = (
        ["backtest", str(bot), "--data", str(market)], ["drift", "none"],
        ["compare", str(bot), "--regime", "thin"], ["fit", str(bot), "--regime", "thin"],
        ["report", "--store", f"sqlite:///{tmp_path}/none"],
    )  # fmt: skip
    for path in (bot, market, foreign):
        before = path.read_bytes()
        for command in commands:
            assert main([*command, "--html", str(path)]) == 2
            told = capsys.readouterr().err
            allowed = "a file that is not there yet, or a page of ours, which is replaced"
            assert told == f"openmm: --html: {allowed}; got '{path}'\n"
            assert path.read_bytes() == before


def test_a_page_of_ours_or_an_empty_file_is_written_over(tmp_path: Path) -> None:
    page, empty, pipe = (tmp_path / name for name in ("page.html", "empty", "pipe"))
    page.write_text(document("grid", "<p>an old one</p>"))
    empty.touch()
    os.mkfifo(pipe)
    for path in (page, empty, pipe, tmp_path / "new.html", None):
        need_page("--html", path)


@pytest.mark.parametrize(
    ("closing", "closed"), [("<&-", "0"), (">&-", "1"), ("2>&-", "2"), ("<&- >&- 2>&-", "012")]
)
def test_a_closed_standard_stream_fails_nothing_and_gets_no_file(
    closing: str, closed: str, tmp_path: Path
) -> None:
    code = """
import os, sys
from pathlib import Path
from openmm.cli.main import main
done = main(["compare", *sys.argv[2:], "--regime", "calm", "--seconds", "5"])
streams = [os.readlink(f"/proc/self/fd/{number}") for number in range(3)]
Path(sys.argv[1]).write_text(f"{done} {' '.join(streams)}")
"""
    told, said = tmp_path / "told", tmp_path / "said"
    bot = Path(__file__).resolve().parents[2] / "examples" / "bots" / "grid.toml"
    with said.open("w+") as open_:
        subprocess.run(
            ["bash", "-c", f'exec "$@" {closing}', "", sys.executable, "-c", code, told, bot],
            stdin=open_, stdout=open_, stderr=open_, timeout=60, check=False,
        )  # fmt: skip
    done, *streams = told.read_text().split()
    assert done == "0", said.read_text()
    assert streams == [os.devnull if str(n) in closed else str(said) for n in range(3)]


@pytest.mark.parametrize(
    ("package", "arguments", "told"),
    [
        ("numpy", ["backtest", "a.toml"], "a backtest needs"),
        ("pyarrow", ["backtest", "a.toml"], "a backtest needs"),
        ("pyarrow", ["data", "convert", "a.gz"], "data convert needs"),
        ("numpy", ["drift"], "drift needs"),
        ("numpy", ["data", "list"], "market data needs"),
        ("pyarrow", ["data", "import", "a.npz"], "data import needs"),
        ("pyarrow", ["data", "export", "a.omd"], "data export needs"),
    ],
)
def test_a_package_that_is_not_installed_is_named(
    package: str, arguments: list[str], told: str, capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, package, None)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert told in error
    assert f"({package}): pip install 'openmm-engine[research]'" in error
