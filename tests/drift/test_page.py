"""A drift for people: every count is on the page, and the words that say what it rests on."""

from __future__ import annotations

import pytest

from openmm.drift.measured import Drift, measured
from openmm.drift.page import COUNTS, QUEUES, counts, page, queues, statement
from tests.drift import live


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Drift:
    records = live.synthetic()
    return measured(lambda: records, tmp_path_factory.mktemp("books"), fit=True)


def test_rows_fit_their_heads(told: Drift) -> None:
    assert {len(one) for one in counts(told)} == {len(COUNTS)}
    assert {len(one) for one in queues(told)} == {len(QUEUES)}
    assert counts(told)[1][1] == f"{told.fills.session:,}"
    assert [one[0] for one in queues(told)] == [one.name for one in told.tried]


def test_the_page_tells_counts_models_and_whose_book_it_is(told: Drift) -> None:
    text = page(told)
    assert told.session in text
    assert "own orders stand in its public book" in text
    assert "to the nanosecond" in text
    for one in told.tried:
        assert one.name in text
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")
    assert any("came out as it was" in one for one in statement(told))
