"""The bench of compiled strategies: each kind quotes and follows; its gate is over the grid's."""

from __future__ import annotations

import pytest

from bench import bench_strategies
from bench.__main__ import HERE, suites
from bench.bench_pipeline import workload
from bench.count_strategies import KINDS, LEVELS
from openmm.testing import Section, load_gates
from openmm.testing.canonical import frames_of
from openmm.testing.workload import MIXED

GATED = [kind for kind in KINDS if kind != "grid"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_keeps_its_ladder_out_and_moves_it(kind: str) -> None:
    bot = KINDS[kind]()
    bot.pipeline.run(bot.feed, frames_of(workload(1_000, MIXED)), accept=True)
    assert bot.pipeline.table.live_count == 2 * LEVELS
    assert bot.pipeline.requote_count > 20
    assert bot.pipeline.sent_count > 200


@pytest.mark.parametrize("kind", GATED)
def test_what_is_counted_has_its_signals_places_and_leans_on(kind: str) -> None:
    bot = KINDS[kind]()
    frames, told = frames_of(workload(1_000, MIXED)), set()
    for start in range(0, 1_000, 50):
        bot.pipeline.run(bot.feed, frames, start, start + 50, accept=True)
        told |= {name for name, value in bot.pipeline.ladder_parts().items() if value}
    assert {
        "micro_uticks", "imbalance_uticks", "ofi_uticks", "widen_compression_uticks"
    } <= told  # fmt: skip
    assert bot.pipeline.planner.queue.on
    assert bot.pipeline.planner.held_count > 0


def counted(monkeypatch: pytest.MonkeyPatch, requotes: int) -> None:
    """Let callgrind find 1,000 instructions a frame of the grid's and 1,200 of each other's."""

    def run(*_: object, told: list[str], **__: object) -> dict[str, Section]:
        found = {}
        for kind in KINDS:
            for one in bench_strategies.RUNS:
                told.append(f"{kind}/{one} {100 if kind == 'grid' else requotes} 7")
                each = 1_000 if kind == "grid" else 1_200
                for part, frames in (
                    ("short", bench_strategies.SHORT), ("long", bench_strategies.LONG)
                ):  # fmt: skip
                    found[f"{kind}/{one}/{part}"] = Section(5_000 + each * frames)
        return found

    monkeypatch.setattr(bench_strategies, "run_sections", run)


def test_gate_is_each_kind_over_the_plain_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    counted(monkeypatch, 120)
    found = bench_strategies.gate_strategies()
    gates = load_gates(HERE / "gates.toml")
    for kind in GATED:
        for name in (f"strategy/{kind}_over_grid", f"strategy/{kind}_over_grid/quiet"):
            assert found[name] == pytest.approx(1.2)
            assert gates[name].limit == 1.5
    assert bench_strategies.gate_strategies in suites("bench_strategies")


def test_strategy_that_does_not_requote_is_no_cheap_one(monkeypatch: pytest.MonkeyPatch) -> None:
    counted(monkeypatch, 0)
    with pytest.raises(AssertionError, match="every_shape"):
        bench_strategies.gate_strategies()
