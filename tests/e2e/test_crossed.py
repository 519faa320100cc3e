"""Everything goes wrong on each venue, and on all the others, which are its reference.

Every venue has the faults of its own seed: those of the traded one strike orders and books, those
of the watched ones the reference. An hour and one seed each here, ten seeds by `make soak`;
`OPENMM_CHAOS_SEEDS` and `OPENMM_CHAOS_S` choose others, as in `test_chaos.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.chaos import session
from tests.e2e.crossed import PLACES
from tests.e2e.test_chaos import seeds

HOUR_S = int(os.environ.get("OPENMM_CHAOS_S", "3600"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", seeds(10))
@pytest.mark.parametrize("quoted", PLACES)
def test_everything_goes_wrong_with_the_other_venues_as_reference(
    tmp_path: Path, quoted: str, seed: int
) -> None:
    found = session(tmp_path, seed, HOUR_S, quoted)
    assert not found.wrong, found.report()
    if HOUR_S >= 3600:
        assert found.struck.total() >= 500
        assert found.counters["fills"] >= 100
        assert found.counters["queries"] >= 30  # orders in doubt
