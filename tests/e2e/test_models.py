"""Sessions that GLFT and Avellaneda-Stoikov quote: fitted live, changed live, replayed exactly."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from openmm import config as conf
from openmm import journal
from openmm._fast.tape import Record
from openmm.cli.explain import text_of
from openmm.config import BotConfig
from openmm.config.load import parse_strategy
from openmm.control.views import model_lines, page_view
from openmm.engine.commands import Set
from openmm.engine.replay import replay
from openmm.engine.snapshot import take
from openmm.engine.state import digests
from openmm.engine.why import seen
from openmm.errors import ConfigError
from openmm.journal import LadderRecord
from openmm.settlement.explain import explain
from openmm.sim.options import SimOptions
from openmm.strategy import compiled
from openmm.telemetry import TelemetrySnapshot
from openmm.testing.virtual import VirtualBot
from tests.e2e import virtual
from tests.e2e.test_replay import assert_identical

COMMON = {
    "skew_full": "6bps", "order_amount": "0.01", "num_orders": 3, "level_step": "1bps",
    "rebalance_threshold": "20%", "target_base": "50%", "requote_threshold": "0.1bps",
    "tolerance": "0.3bps",
}  # fmt: skip
# Nothing told of the intensity: the first quotes wait for the fit.
GLFT = COMMON | {"kind": "glft"}
PAPER = COMMON | {"kind": "avellaneda", "horizon": "60s", "fit_decay": "1bps"}


def configured(strategy: dict[str, Any]) -> BotConfig:
    errors: list[ConfigError] = []
    parsed = parse_strategy(strategy, errors)
    assert not errors, errors
    return virtual.config().model_copy(update={"strategy": parsed})


def session(strategy: dict[str, Any], changes: dict[str, str], run_dir: Path) -> VirtualBot:
    made = VirtualBot(
        configured(strategy),
        SimOptions(
            seed=3, maker_fee_ppm=0, taker_fee_ppm=1000, latency_ns=2_000_000,
            jitter_ns=500_000, balances={"BTC": Decimal(1), "USD": Decimal(60_000)},
        ),
        run_dir,
    )  # fmt: skip
    made.start()
    made.run(60)
    made.command(Set(orjson.dumps(changes).decode()))
    made.run(20)
    assert made.stop() == 0
    return made


def ladders(bot: VirtualBot) -> list[LadderRecord]:
    return [
        journal.read_ladder(one.payload) for one in bot.records if one.kind == Record.REC_LADDER
    ]


@pytest.mark.parametrize(
    ("strategy", "changes"),
    [
        (GLFT, {"strategy.half_factor": "1.5"}),
        (PAPER, {"strategy.skew_full": "off", "strategy.gamma": "0.05"}),
    ],
    ids=["glft", "avellaneda"],
)
def test_session_of_a_model_replays_and_its_ladders_follow_from_the_tape(
    strategy: dict[str, Any], changes: dict[str, str], tmp_path: Path
) -> None:
    bot = session(strategy, changes, tmp_path)
    assert bot.differences() == {}
    assert_identical(replay(bot.records), bot.records)
    told = ladders(bot)
    assert any(one.view.decay_uticks and one.view.arrival_uhz for one in told)
    assert all(one.view.decay_uticks for one in told) or strategy is PAPER
    before = conf.strategy_params(configured(strategy), bot.tables.instrument)
    after_changes = {key.removeprefix("strategy."): text for key, text in changes.items()}
    after = conf.strategy_params(configured(strategy | after_changes), bot.tables.instrument)
    seen = [0, 0]
    for one in told:
        matched = [
            made["bids"] == list(one.bids)
            and made["asks"] == list(one.asks)
            and made["half_uticks"] == one.parts.half_uticks
            for made, _ in (
                compiled.ladder(strategy["kind"], one.view._asdict(), params, bot.tables.instrument)
                for params in (before, after)
            )
        ]
        assert any(matched)
        seen[matched.index(True)] += 1
    assert min(seen) > 3


def page_of(bot: VirtualBot) -> TelemetrySnapshot:
    engine = bot.engine
    return take(
        configured(GLFT), "s", 0, engine.step, engine.tables, [bot.tables.instrument],
        lambda seq: f"o{seq}", bot.now_ns,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("strategy", "told", "value"),
    [
        (GLFT | {"fit_decay": "1bps", "fit_arrival": "1"}, "skew_full", "0.0006"),
        (PAPER | {"gamma": "0.04", "skew_full": "off"}, "gamma", "0.04"),
    ],
    ids=["plain", "paper"],
)
def test_surfaces_show_a_models_parameters_in_both_forms(
    strategy: dict[str, Any], told: str, value: str, tmp_path: Path
) -> None:
    bot = VirtualBot(configured(strategy), SimOptions(seed=3, maker_fee_ppm=0), tmp_path)
    bot.start()
    bot.run(30)
    page = page_of(bot)
    numbers = page.model_numbers()
    assert numbers[told] == pytest.approx(Decimal(value), rel=Decimal("0.001"))
    assert all(numbers[name] > 0 for name in ("gamma", "skew_full", "half", "sigma", "decay"))
    assert (numbers["arrival"] > 0) == (strategy["kind"] == "glft")
    view = page_view(page, bot.now_ns)
    fit = bot.tables.pipeline.feed.intensity
    assert fit is not None
    assert view["model"] == numbers | {"fitted": fit.decay_uticks > 0}
    lines = model_lines(view["model"], "USD")
    assert f"gamma {numbers['gamma']:f} per USD" in lines["inventory skew"]
    assert f"{(numbers['skew_full'] * 10_000).normalize():f} bps" in lines["inventory skew"]
    bot.stop()
    # And why an order was placed: what the model came to for its very ladder, by replay.
    acts = [one.record_index for one in bot.records if one.kind == Record.REC_INTENT][:5]
    behind = seen(bot.records, acts)
    assert sorted(behind) == acts
    for one in behind.values():
        assert one.model[told] == pytest.approx(Decimal(value), rel=Decimal("0.001"))
        assert {"gamma", "skew_full", "half", "sigma", "decay", "arrival"} == one.model.keys()
    first = behind[acts[0]].model
    ladder = ladders(bot)[0]
    assert first["decay"] == pytest.approx(Decimal("0.0001"), rel=Decimal("0.004"))
    half_uticks = ladder.parts.half_base_uticks + ladder.parts.widen_sigma_uticks
    share = Decimal(half_uticks) / ladder.view.reference_uticks
    assert first["half"] == pytest.approx(share, rel=Decimal("0.001"))
    text = text_of(explain(bot.records, str(first_seq(bot))), behind)
    assert f"gamma {first['gamma']:f} per unit of quote" in text
    assert "of skew at full inventory" in text


def first_seq(bot: VirtualBot) -> int:
    [first, *_] = [one for one in bot.records if one.kind == Record.REC_INTENT]
    return journal.read_intent(first.payload).action.seq


@pytest.mark.parametrize("strategy", [GLFT, PAPER], ids=["glft", "avellaneda"])
def test_hashes_of_the_state_cover_the_side_and_the_fit(
    strategy: dict[str, Any], tmp_path: Path
) -> None:
    bot = VirtualBot(configured(strategy), SimOptions(seed=3, maker_fee_ppm=0), tmp_path)
    bot.start()
    bot.run(5)
    tables, step = bot.tables, bot.step

    def told() -> dict[str, str]:
        return digests(tables.pipeline, tables.feeds, tables.monitor, step.money, {})

    quoted, fit = tables.pipeline.strategy, tables.pipeline.feed.intensity
    assert isinstance(quoted, compiled.COMPILED)
    assert fit is not None
    before = told()
    assert before == told()
    quoted.one_sided = 1
    assert {key for key, value in told().items() if value != before[key]} == {"strategy"}
    quoted.one_sided = 0
    assert told() == before
    # A trade within the running interval is in no count yet, and a later one rests on it.
    fit.on_trade(bot.now_ns, 1, 700_000)
    assert {key for key, value in told().items() if value != before[key]} == {"signals"}
    assert bot.stop() == 0
