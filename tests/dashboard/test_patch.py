"""What a page is sent: all once, then what changed."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openmm.dashboard.patch import Sent, Sheet

CELLS = st.lists(st.sampled_from(["", "1", "2", "<b>"]), min_size=2, max_size=2)
SHEETS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x", "y"])),
        st.lists(CELLS, max_size=4),
    ),
    max_size=6,
)


def made(texts: dict[str, str], rows: list[list[str]]) -> Sheet:
    sheet = Sheet()
    for key, text in texts.items():
        sheet.put(key, text)
    sheet.rows["t"] = []
    for cells in rows:
        sheet.row("t", cells)
    return sheet


@given(SHEETS)
def test_page_that_takes_every_difference_shows_the_last_sheet(
    sheets: list[tuple[dict[str, str], list[list[str]]]],
) -> None:
    sent = Sent()
    text: dict[str, str] = {}
    rows: list[Any] = []
    for texts, cells in sheets:
        sheet = made(texts, cells)
        news = sent.difference(sheet)
        text |= news.get("text", {})
        table = news.get("rows", {}).get("t")
        if table is not None:
            del rows[table["n"] :]
            rows += [None] * (table["n"] - len(rows))
            for index, row in table["r"].items():
                rows[int(index)] = row
        assert {key: text[key] for key in sheet.text} == sheet.text
        assert rows == sheet.rows["t"]
        assert sent.difference(made(texts, cells)) == {}


def test_one_changed_row_is_sent_alone() -> None:
    sent = Sent()
    sent.difference(made({}, [["1", ""], ["2", ""]]))
    news = sent.difference(made({}, [["1", ""], ["3", ""]]))
    assert list(news) == ["rows"]
    assert list(news["rows"]["t"]["r"]) == ["1"]


def test_bars_are_cut_to_their_width() -> None:
    sheet = Sheet()
    sheet.fill("a", -1.0, 0.25)
    sheet.fill("b", 0.9, 0.5)
    sheet.fill("c", 0.5, 7.0, "bad")
    assert sheet.bar == {"a": [0.0, 25.0, ""], "b": [50.0, 90.0, ""], "c": [50.0, 100.0, "bad"]}
