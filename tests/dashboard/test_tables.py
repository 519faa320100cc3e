"""What the door tells, as tables."""

from __future__ import annotations

from openmm.dashboard import tables
from openmm.dashboard.patch import Sheet

FILL = {
    "ts_ns": 1_700_000_000_000_000_000, "side": "buy", "price": "59940.0", "qty": "0.01",
    "notional": "599.4", "quote": "USD", "fees": {"USD": "0.14985"}, "maker": True,
    "reference": "60000", "realised": "-1.25", "client_id": "c1",
}  # fmt: skip


def test_fill_tells_its_edge_fee_and_gain() -> None:
    sheet = Sheet()
    tables.fills(sheet, {"fills": [FILL], "count": 7})
    cells = [one if isinstance(one, str) else one[0] for one in sheet.rows["fills"][0]["c"]]
    assert cells == [
        "22:13:20", "buy", "59,940.0", "0.01", "599.40", "+10.00 bps", "0.14985 USD", "-1.25",
        "maker", "c1",
    ]  # fmt: skip
    assert sheet.rows["fills"][0]["id"] == "c1"
    assert sheet.text["fills_count"] == "7"
    assert tables.edge("sell", "59940", "60000") == "-10.00 bps"
    assert tables.edge("sell", "59940", None) == "–"


def test_causes_take_what_was_paid_off_and_leave_out_what_is_not_there() -> None:
    sheet = Sheet()
    part = {"spread": "10", "adverse": "-4", "drift": "0", "unsplit": "0", "fees": "2.5",
            "costs": "0", "net": "3.5", "fills": 3}  # fmt: skip
    tables.causes(sheet, {"window": {"hours": "24", "by_asset": {"USD": part}}})
    rows = [(row["c"][0], row["c"][2][0]) for row in sheet.rows["causes"]]
    assert rows == [
        ("spread earned", "+10.00"), ("adverse selection", "-4.00"), ("price drift", "0.00"),
        ("fees", "-2.50"), ("net", "+3.50"),
    ]  # fmt: skip
    assert sheet.rows["causes"][0]["c"][1][2]["span"] == [50, 100]
    assert sheet.rows["causes"][1]["c"][1][2]["span"] == [30, 50]


def test_audit_leaves_reads_and_other_bots_out() -> None:
    records = [
        {"ts_ns": 1, "scope": "read", "bot": "a", "action": "fills", "verdict": "done"},
        {"ts_ns": 2, "scope": "set", "bot": "a", "action": "set", "verdict": "refused: looser",
         "args": {"bot": "a", "changes": {"risk.max_inventory": "5"}},
         "caller": {"client": "desk", "surface": "mcp"}},
        {"ts_ns": 3, "scope": "brake", "bot": "b", "action": "halt", "verdict": "done"},
    ]  # fmt: skip
    sheet = Sheet()
    tables.audit(sheet, {"records": records}, "audit", "a")
    (row,) = sheet.rows["audit"]
    assert row["c"][1:3] == ["desk · mcp", "set"]
    assert row["c"][3][0] == "risk.max_inventory 5"
    assert row["c"][4] == ["refused: looser", "text bad"]
    tables.audit(sheet, {"records": records}, "all")
    assert [row["c"][2] for row in sheet.rows["all"]] == ["a", "b"]


def test_open_incidents_come_first() -> None:
    sheet = Sheet()
    tables.incidents(
        sheet,
        {"open": [{"kind": "lost_fill", "text": "<b>", "amount": "1", "asset": "USD"}],
         "events": [{"ts_ns": 5, "severity": "critical", "kind": "feed", "text": "gone"}]},
    )  # fmt: skip
    first, second = sheet.rows["incidents"]
    assert first["t"] == "bad"
    assert [first["c"][3][0], first["c"][4]] == ["<b>", "1 USD"]
    assert second["c"][1] == ["critical", "bad"]
    assert sheet.text["incidents_open"] == "1"


def test_reasons_are_flat_with_times_as_times() -> None:
    answer = {
        "events": [
            {"ts_ns": 0, "what": "place", "why": "no order stood at its level",
             "terms": {"reference": "60000", "bids": [["59990", "0.1"]]},
             "ladder_age_ns": 1_500, "stages": {"signal": 5_332}, "evidence": ""}
        ]
    }  # fmt: skip
    ((when, title, terms),) = tables.reasons(answer)
    assert (when, title) == ("–", "place · no order stood at its level")
    assert terms == [
        ("reference", "60000"), ("bid 0", "0.1 @ 59,990"), ("ladder age", "1.50 µs"),
        ("signal", "5.33 µs"),
    ]  # fmt: skip
