"""The alerts file: what it may say, who may read it, and that it keeps its addresses to itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from openmm.control.alert_file import RULES, Grade, alerts_path, load_alerts
from openmm.errors import ConfigError

GOOD = """
[channel.ops]
url = "env:ALERT_OPS"
per_minute = 3
[severity.critical]
channels = ["ops"]
repeat_every = "30m"
escalate_after = "10m"
escalate_to = ["ops"]
[rule.book_broken]
after = "5s"
severity = "critical"
[rule.no_fills]
enabled = false
[rule.disk_low]
below = "2GiB"
[rule.rate_budget]
percent = 80
"""
MINUTE = 60_000_000_000


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "alerts.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_file_says_who_is_told_and_what_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = load_alerts(written(tmp_path, GOOD))
    assert told.grade("critical") == Grade(("ops",), 30 * MINUTE, 10 * MINUTE, ("ops",))
    assert told.grade("warning") == Grade()
    assert told.rules["book_broken"].after_ns == 5_000_000_000
    assert told.rules["book_broken"].severity == "critical"
    assert not told.rules["no_fills"].enabled
    assert told.rules["disk_low"].most == 2 << 30
    assert told.rules["rate_budget"].most == 80
    assert told.rules["halt"] == RULES["halt"]
    assert told.channels["ops"].per_minute == 3
    monkeypatch.setenv("ALERT_OPS", "json://127.0.0.1/x")
    assert told.channels["ops"].url() == "json://127.0.0.1/x"
    monkeypatch.delenv("ALERT_OPS")
    with pytest.raises(ConfigError, match="env:ALERT_OPS"):
        told.channels["ops"].url()


def test_address_may_be_kept_where_the_keys_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENMM_OPS_KEY", "unused")
    monkeypatch.setenv("OPENMM_OPS_SECRET", "json://127.0.0.1/y")
    told = load_alerts(written(tmp_path, '[channel.ops]\nurl = "vault:ops"\n'))
    assert told.channels["ops"].url() == "json://127.0.0.1/y"


def test_without_a_file_all_is_watched_and_nobody_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENMM_ALERTS", str(tmp_path / "none.toml"))
    told = load_alerts(alerts_path())
    assert told.rules == RULES
    assert not told.channels


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[channel.ops]\nurl = 3\n", "channel.ops.url"),
        ("[channel.ops]\nurl = ''\n", "channel.ops.url"),
        ("[channel.ops]\nurl = 'json://secret'\nper_minute = 0\n", "per_minute"),
        ("[channel.ops]\nurl = 'json://secret'\ncolour = 1\n", "channel.ops.colour"),
        ("[channel.ops\nurl = 'json://secret'\n", "TOML"),
        ("[severity.grave]\n", "severity"),
        ("[severity.info]\nchannels = ['ops']\n", "there are: none yet"),
        ("[severity.info]\nchannels = ['tgram://secret/1']\n", "severity.info.channels"),
        ("[severity.info]\nescalate_to = ['tgram://secret/1']\n", "severity.info.escalate_to"),
        ("[severity.info]\nchannels = 'tgram://secret/1'\n", "severity.info.channels"),
        ("[severity.info]\nchannels = [['ops']]\n", "severity.info.channels"),
        ("[severity.info]\nescalate_after = '5m'\n", "both it and escalate_to"),
        ("[severity.info]\nrepeat_every = '-5m'\n", "a span such as"),
        ("[rule.book_broken]\nafter = '-5s'\n", "rule.book_broken.after"),
        ("[severity.info]\nrepeat_every = '5s'\n", "a minute or more"),
        ("[severity.info]\nrepeat_every = 5\n", "a span such as"),
        ("[rule.dance]\n", "rule"),
        ("[rule.halt]\nafter = '5s'\n", "rule.halt.after"),
        ("[rule.drawdown]\nseverity = 'info'\n", "rule.drawdown.severity"),
        ("[rule.halt]\nseverity = 'grave'\n", "rule.halt.severity"),
        ("[rule.halt]\nenabled = 'yes'\n", "rule.halt.enabled"),
        ("[rule.disk_low]\nbelow = 3\n", "a size"),
        ("[rule.drawdown]\npercent = 0\n", "from 1 to 100"),
        ("rule = 3\n", "tables"),
        ("[colour]\n", "colour"),
    ],
)
def test_bad_file_is_refused_by_key_without_an_address(
    tmp_path: Path, text: str, match: str
) -> None:
    with pytest.raises(ConfigError, match=match) as told:
        load_alerts(written(tmp_path, text))
    assert "secret" not in str(told.value)


def test_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="chmod 600"):
        load_alerts(written(tmp_path, GOOD, 0o644))
    link = tmp_path / "link.toml"
    link.symlink_to(written(tmp_path, GOOD))
    with pytest.raises(ConfigError, match="alerts file"):
        load_alerts(link)
