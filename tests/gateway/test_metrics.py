"""Metrics: rendered from real pages, read back by Prometheus' parser; the files that use them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from openmm.control import alerts
from openmm.control.home import Home
from openmm.engine.rundir import RunDir
from openmm.gateway.metrics import render
from openmm.telemetry import BOUNDS_NS, LIMITS, LimitPage, StagePage, TelemetrySnapshot
from openmm.telemetry import TelemetryWriter as Writer
from tests.test_telemetry import NOW_NS, full

ROOT = Path(__file__).resolve().parent.parent.parent
CONTRIB = ROOT / "contrib"
NAME = re.compile(r"\bopenmm_[a-z0-9_]+")
Rows = dict[str, list[tuple[dict[str, str], float]]]


def page(**changes: Any) -> TelemetrySnapshot:
    upto = b"".join((at + 1).to_bytes(8, "little") for at in range(len(BOUNDS_NS)))
    stages = tuple(StagePage(40, 1, 2, 3, 4, 5_000_000_000, upto) for _ in range(13))
    limits = [LimitPage(100, 80)] * len(LIMITS)
    known = {"reference_uticks": 600_000_000_000, "base_lots": 100_000_000}
    return replace(full(), stages=stages, limits=tuple(limits), **{**known, **changes})


def rendered(folder: Path, *pages: TelemetrySnapshot, now_ns: int = NOW_NS) -> Rows:
    for one in pages:
        run_dir = RunDir(folder, one.bot).make()
        run_dir.lock.touch()
        writer = Writer(run_dir.page)
        writer.publish(one)
        writer.close()
    text = render(Home(folder, folder / ".control", folder / "clients.toml"), now_ns).decode()
    rows: Rows = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            rows.setdefault(sample.name, []).append((sample.labels, sample.value))
    return rows


def one(rows: Rows, name: str, **labels: str) -> float:
    found = [value for told, value in rows[name] if labels.items() <= told.items()]
    assert len(found) == 1, (name, labels, rows[name])
    return found[0]


def test_every_family_of_a_full_page_reads_back(tmp_path: Path) -> None:
    rows = rendered(tmp_path, page())
    assert one(rows, "openmm_up", bot="btc-grid") == 0  # nothing holds its lock
    assert one(rows, "openmm_risk_state", openmm_risk_state="running") == 1
    assert one(rows, "openmm_risk_state", openmm_risk_state="halted") == 0
    assert one(rows, "openmm_filled_total") == 4
    assert one(rows, "openmm_limit", limit="drawdown") == 100 / 1_000_000
    assert one(rows, "openmm_limit_used", limit="drawdown", unit="share") == 80 / 1_000_000
    assert one(rows, "openmm_book_breaks_total", venue="kraken-0") == 0
    assert one(rows, "openmm_market_messages_total", venue="kraken-3") == 9


def test_a_stage_is_a_histogram_of_growing_counts(tmp_path: Path) -> None:
    rows = rendered(tmp_path, page())
    buckets = [
        (float(labels["le"]), value)
        for labels, value in rows["openmm_stage_seconds_bucket"]
        if labels["stage"] == "tick_to_order"
    ]
    assert [le for le, _ in buckets] == [bound / 1e9 for bound in BOUNDS_NS] + [float("inf")]
    assert [count for _, count in buckets] == [*range(1, len(BOUNDS_NS) + 1), 40]
    assert one(rows, "openmm_stage_seconds_count", stage="tick_to_order") == 40
    assert one(rows, "openmm_stage_seconds_sum", stage="tick_to_order") == 5.0


def test_each_bot_has_its_own_rows_and_a_bad_one_hides_no_other(tmp_path: Path) -> None:
    broken = RunDir(tmp_path, "torn").make()
    broken.lock.touch()
    broken.session.write_text("{")
    rows = rendered(tmp_path, page(), page(bot="eth-grid", mode="live"))
    assert {labels["bot"] for labels, _ in rows["openmm_equity"]} == {"btc-grid", "eth-grid"}
    assert one(rows, "openmm_up", bot="torn") == 0


def test_open_alerts_are_counted_and_the_gateway_itself_is_measured(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path / ".control", tmp_path / "clients.toml")
    with alerts.changing(home) as book:
        book.see("halt", "critical", "btc-grid", "", "halted", NOW_NS)
        book.see("book_broken", "warning", "btc-grid", "kraken", "broken", NOW_NS)
        noted = book.see("book_broken", "warning", "btc-grid", "gateio", "broken", NOW_NS)
        noted.acknowledged_ns = NOW_NS
    rows = rendered(tmp_path, page())
    assert one(rows, "openmm_alerts_open", rule="halt", acknowledged="false") == 1
    assert one(rows, "openmm_alerts_open", rule="book_broken", acknowledged="true") == 1
    assert one(rows, "openmm_gateway_process_resident_memory_bytes") > 1 << 20
    (home.state / "alerts.json").write_text("{")
    assert "openmm_alerts_open" not in rendered(tmp_path, page())


def test_a_session_begun_anew_counts_from_zero(tmp_path: Path) -> None:
    before = rendered(tmp_path, page())
    again = page(counters=page().counters._replace(filled=1), started_ns=NOW_NS)
    after = rendered(tmp_path, again)
    assert one(before, "openmm_filled_total") == 4
    assert one(after, "openmm_filled_total") == 1


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    return set(rendered(tmp_path_factory.mktemp("names"), page()))


def test_grafana_asks_for_metrics_that_exist(names: set[str]) -> None:
    board = json.loads((CONTRIB / "grafana" / "openmm.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())] + [
        one["query"] for one in board["templating"]["list"] if one["type"] == "query"
    ]
    assert len(asked) >= 20
    for expression in asked:
        found = set(NAME.findall(expression))
        assert found, expression
        assert found <= names, (expression, found - names)


def test_rules_ask_for_metrics_that_exist(names: set[str]) -> None:
    text = (CONTRIB / "prometheus" / "rules.yml").read_text()
    asked = re.findall(r"expr: (.*)", text)
    assert len(asked) == text.count("- alert: ") >= 6
    for expression in asked:
        found = set(NAME.findall(expression))
        assert found, expression
        assert found <= names | {"openmm_risk_state"}, expression
    promtool = shutil.which("promtool")
    if promtool is not None:
        subprocess.run(
            [promtool, "check", "rules", str(CONTRIB / "prometheus" / "rules.yml")], check=True
        )
