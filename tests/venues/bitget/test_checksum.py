"""The book checksum against its documents and its oracle."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from openmm.venues.bitget import checksum
from tests.oracles.bitget import checksum as oracle_checksum
from tests.venues.bitget.samples import load


def test_documented_check_string_gives_its_checksum(shared: Path) -> None:
    for case in load(shared, "checksum_strings_docs")["cases"]:
        bids, asks = ([tuple(level) for level in case[name]] for name in ("bids", "asks"))
        assert checksum.crc(bids, asks) == case["crc32_signed"] == oracle_checksum(bids, asks)


@pytest.mark.parametrize("counted", [(1, 3), (3, 1), (0, 2), (40, 40)])
def test_checksum_covers_the_best_twenty_five_of_a_side_alone(counted: tuple[int, int]) -> None:
    bids = [(f"{100 - i}.10", f"{i + 1}.5") for i in range(counted[0])]
    asks = [(f"{101 + i}.2", f"{i + 1}") for i in range(counted[1])]
    shuffled = bids[::-1], random.Random(1).sample(asks, len(asks))
    assert checksum.crc(*shuffled) == oracle_checksum(bids, asks)
