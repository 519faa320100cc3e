"""fleet.toml: every bad key and value is told; a bad bot keeps no other from running."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmm.control.fleet_file import read_fleet
from openmm.errors import ConfigError, ConfigErrors

BOT = """\
[bot]
name = "{name}"
mode = "paper"
run_dir = "runs"
[[venue]]
name = "kraken"
quote = "BTC/USD"
[strategy]
kind = "grid"
spread = "0.6%"
order_amount = "0.01"
num_orders = 3
rebalance_threshold = "10%"
[risk]
max_order_size = "0.05"
max_open_notional = "20000"
max_inventory = "0.5"
max_drawdown = "2%"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(BOT.format(name=name))
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "fleet.toml"
    path.write_text(text)
    return path


def test_fleet_is_read_with_its_defaults(folder: Path) -> None:
    text = '[[bot]]\nfile = "a.toml"\n[[bot]]\nfile = "b.toml"\nrestart = "never"\n'
    fleet = read_fleet(write(folder, text))
    assert [(one.name, one.restart) for one in fleet.members] == [
        ("a", "on-failure"), ("b", "never")
    ]  # fmt: skip
    assert [one.run_dir and one.run_dir.path for one in fleet.members] == [
        folder / "runs" / "a", folder / "runs" / "b"
    ]  # fmt: skip
    assert (fleet.stagger_ns, fleet.backoff_ns, fleet.backoff_max_ns) == (
        2_000_000_000, 1_000_000_000, 300_000_000_000
    )  # fmt: skip


def test_spans_of_the_fleet_are_its_own(folder: Path) -> None:
    text = '[fleet]\nstagger = "0s"\nbackoff = "2s"\nbackoff_max = "8s"\nhealthy_after = "1m"\n'
    fleet = read_fleet(write(folder, text + 'stop_within = "9s"\n[[bot]]\nfile = "a.toml"\n'))
    assert (fleet.stagger_ns, fleet.backoff_ns, fleet.backoff_max_ns) == (0, 2 * 10**9, 8 * 10**9)
    assert (fleet.healthy_ns, fleet.stop_ns) == (60 * 10**9, 9 * 10**9)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "bot"),
        ("bot = 1", "bot"),
        ("bot = [1]", "bot[0]"),
        ("[[bot]]", "bot[0].file"),
        ("[[bot]]\nfile = 3", "bot[0].file"),
        ('[[bot]]\nfile = "a.toml"\nrestart = "always"', "bot[0].restart"),
        ('[[bot]]\nfile = "a.toml"\nretry = 1', "bot[0].retry"),
        ('[[bot]]\nfile = "a.toml"\n[[bot]]\nfile = "./a.toml"', "bot[1].file"),
        ('[[bot]]\nfile = "a.toml"\n[more]', "more"),
        ('[[bot]]\nfile = "a.toml"\n[fleet]\nstagger = 2', "fleet.stagger"),
        ('[[bot]]\nfile = "a.toml"\n[fleet]\nstagger = "2d"', "fleet.stagger"),
        ('[[bot]]\nfile = "a.toml"\n[fleet]\nstager = "2s"', "fleet.stager"),
        ('fleet = 1\n[[bot]]\nfile = "a.toml"', "fleet"),
        ('[[bot]]\nfile = "a.toml"\n[fleet]\nbackoff = "9m"', "fleet.backoff_max"),
    ],
)
def test_bad_value_is_told_by_its_path(folder: Path, text: str, path: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read_fleet(write(folder, text))
    assert path in [error.path for error in caught.value.errors]


def test_file_that_is_none_is_refused(folder: Path) -> None:
    for path in (folder / "none.toml", write(folder, "[[bot")):
        with pytest.raises(ConfigError):
            read_fleet(path)


def test_bad_bot_is_told_and_keeps_no_other_out(folder: Path) -> None:
    (folder / "b.toml").write_text(BOT.format(name="b").replace("0.6%", "0.6"))
    text = '[[bot]]\nfile = "a.toml"\n[[bot]]\nfile = "b.toml"\n[[bot]]\nfile = "none.toml"\n'
    fleet = read_fleet(write(folder, text))
    assert [bool(one.error) for one in fleet.members] == [False, True, True]
    assert "strategy.spread" in fleet.members[1].error
    assert fleet.members[2].name == "none"
