"""A few thousand inputs for each target; `make fuzz` runs a million, and under AddressSanitizer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.kernels import book_frames, kraken_wire
from tests.fuzz.run import InputFailed, Tally, all_targets, run, shares
from tests.fuzz.target import Target

NAMES = (
    "scan", "units", "book", "kraken.wire", "gateio.wire", "bitget.wire", "mexc.wire",
    "binance.wire", "coinbase.wire",
    "kraken.private", "gateio.private", "bitget.private", "mexc.private", "kraken.rest",
    "kraken.auth", "json", "config", "command", "sim.dialect", "capture", "tape",
    "journal", "journal.payload",
)  # fmt: skip
SECONDS = 4.0
COUNT = 3_000
SEED = 20_261


@pytest.fixture(scope="module")
def targets(shared: Path) -> Iterator[dict[str, Target]]:
    """Every target by its name."""
    with all_targets(shared) as made:
        yield {one.name: one for one in made}


def test_every_target_is_run_here(targets: dict[str, Target]) -> None:
    assert tuple(targets) == NAMES


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_fuzz_no_input_does_what_none_may(targets: dict[str, Target], name: str) -> None:
    tally = Tally()
    for _ in run(targets[name], SEED, COUNT, tally, seconds=SECONDS):
        pass
    assert tally.inputs > 0


def test_inputs_follow_from_seed_and_number_and_are_not_all_alike(
    targets: dict[str, Target],
) -> None:
    target = targets["kraken.wire"]
    made = [target.input(SEED, number) for number in range(300)]
    assert made == [target.input(SEED, number) for number in range(300)]
    assert len(set(made)) > 250
    assert made != [target.input(SEED + 1, number) for number in range(300)]
    assert any(one in target.samples for one in made), "some samples come as they are"


def test_input_that_does_what_none_may_is_told_with_how_to_repeat_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def check(data: bytes) -> None:
        assert b"}" not in data

    planted = Target("planted", check, [b'{"a":1}'])
    with pytest.raises(InputFailed, match=r"again: python -m tests.fuzz --only planted") as caught:
        list(run(planted, 1, 1000, Tally()))
    (kept,) = (tmp_path / ".cache" / "fuzz").glob("*.bin")
    assert kept.name in str(caught.value)
    assert b"}" in kept.read_bytes()


def test_book_wrongly_believed_is_seen(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plant the bug: a decoder that looks at no checksum. The target has to fail."""
    frames = book_frames(shared)
    monkeypatch.chdir(tmp_path)
    planted = Target("planted", kraken_wire(frames, 1, "BTC/USD", verify=False), frames)
    with pytest.raises(InputFailed, match="planted"):
        list(run(planted, SEED, 20_000, Tally()))


def test_shares_leave_no_target_out() -> None:
    many = [Target(str(n), print, [], weight=1 + 50 * n) for n in range(5)]
    parts = shares(many, 100)
    assert min(parts.values()) >= 1
    assert sum(parts.values()) >= 100
